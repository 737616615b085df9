"""Normalisation: over the units of a row (LayerNorm, RMSNorm) and over the rows of a batch (BatchNorm)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

import numpy as np

from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Shape, Views
from fullyconnected.core.checks import number
from fullyconnected.core.settings import settings
from fullyconnected.layers.widths import SameWidth

__all__ = ["BatchNorm", "LayerNorm", "RMSNorm", "RowNorm"]


@settings
class Norm(SameWidth):
    """The settings and parameters of norms: ``y = gamma * n + beta``, with n the normalised input."""

    epsilon: float = field(default=1e-5, kw_only=True)
    normalizes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        number(f"epsilon of {type(self).__name__}", self.epsilon, above=True)

    @classmethod
    def example(cls, n: int) -> Layer:
        # with the default epsilon, a unit that hardly varies is curved too much for differences to be exact
        return cls(n_in=n, epsilon=0.01)

    def params(self) -> Mapping[str, Param]:
        return {"gamma": Param((self.width,), roles=("gain",)), "beta": Param((self.width,), roles=("bias",))}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        p.gamma = 1
        p.beta = 0


@settings
class RowNorm(Norm):
    """What LayerNorm and RMSNorm have in common: each row has a rate, by which it is multiplied, of its own squares."""

    def cache(self, rows: int) -> BufferSpecs:
        n = self.width
        return {"n": (rows, n), "s": (rows, n), "rate": (rows, 1), "row": (rows, 1), "ones": np.ones(rows)}

    def _normalise(self, c: Cache, x: Array) -> None:
        """Write n = x * rate with rate = 1 / sqrt(mean(x^2) + epsilon); x may be n."""
        xp = c.xp
        xp.multiply(x, x, out=c.s)
        c.s.sum(axis=1, keepdims=True, out=c.rate)
        c.rate /= self.width
        c.rate += self.epsilon
        xp.subtract(c.rate, c.rate, out=c.row)
        c.rate += c.row  # if the squares overflow, this makes the row NaN, which is noticed, not zeros
        xp.sqrt(c.rate, out=c.rate)
        xp.reciprocal(c.rate, out=c.rate)
        xp.multiply(x, c.rate, out=c.n)

    def _scale(self, p: Views, c: Cache, n: Array, y: Array) -> None:
        c.xp.multiply(n, p.gamma, out=y)

    def _sum(self, c: Cache, a: Array, out: Array) -> None:
        """Write the sums over the rows."""
        c.ones.dot(a, out=out)  # (rows,) (rows, n)

    def _gradients(self, c: Cache, dy: Array, g: Views) -> None:
        c.xp.multiply(dy, c.n, out=c.s)
        self._sum(c, c.s, g.gamma)

    def _gain(self, p: Views, c: Cache, dy: Array, dx: Array) -> None:
        c.xp.multiply(dy, p.gamma, out=dx)

    def _along(self, c: Cache, dn: Array) -> None:
        """Write n * mean(n dn), what the rate of each row has to do with its gradient, into s."""
        c.xp.multiply(dn, c.n, out=c.s)
        c.s.sum(axis=1, keepdims=True, out=c.row)
        c.row /= self.width
        c.xp.multiply(c.n, c.row, out=c.s)


@settings
class LayerNorm(RowNorm):
    """Bring each row to mean 0 and variance 1: ``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta``.

    With n the normalised row and dn = gamma * dy, dx = (dn - mean(dn) - n * mean(n dn)) / sqrt(variance + epsilon).

    Parameters
    ----------
    n_in : int, optional
        The width; None takes it from the previous layer.
    epsilon : float
        Added to the variance (of 1 / n, not 1 / (n - 1)); positive.

    Shapes
    ------
    x and y (rows, n_in), gamma and beta (n_in,).

    Raises
    ------
    ConfigError, InputTypeError
        For a width below 1 or not whole, or an epsilon that is not a positive number.

    Examples
    --------
    >>> list(LayerNorm(n_in=4).params())
    ['gamma', 'beta']

    Source: Ba, Kiros and Hinton, "Layer normalization", 2016, equation 3.
    """

    name: ClassVar[str] = "layer_norm"

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        x.sum(axis=1, keepdims=True, out=c.row)
        c.row /= self.width
        c.xp.subtract(x, c.row, out=c.n)
        self._normalise(c, c.n)
        self._scale(p, c, c.n, y)

    def _scale(self, p: Views, c: Cache, n: Array, y: Array) -> None:
        super()._scale(p, c, n, y)
        y += p.beta

    def _gradients(self, c: Cache, dy: Array, g: Views) -> None:
        self._sum(c, dy, g.beta)
        super()._gradients(c, dy, g)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        self._gradients(c, dy, g)
        if dx is None:
            return
        self._gain(p, c, dy, dx)
        self._along(c, dx)
        dx.sum(axis=1, keepdims=True, out=c.row)
        c.row /= self.width
        dx -= c.row
        dx -= c.s
        dx *= c.rate


@settings
class RMSNorm(RowNorm):
    """Divide each row by its root mean square: ``y = gamma * x / sqrt(mean(x^2) + epsilon)``.

    It is LayerNorm without the mean and without beta. With n = x / sqrt(mean(x^2) + epsilon) and dn = gamma * dy,
    dx = (dn - n * mean(n dn)) / sqrt(mean(x^2) + epsilon).

    Parameters
    ----------
    n_in : int, optional
        The width; None takes it from the previous layer.
    epsilon : float
        Added to the mean of the squares; positive. 1e-6 is the default of Keras and Flax. That of PyTorch is the
        machine epsilon of the numbers, 1.2e-7 for float32 and 2.2e-16 for float64, so that the same layer would be
        another one in another dtype; give it to have PyTorch's numbers.

    Shapes
    ------
    x and y (rows, n_in), gamma (n_in,).

    Raises
    ------
    ConfigError, InputTypeError
        For a width below 1 or not whole, or an epsilon that is not a positive number.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.RMSNorm(n_in=2)], dtype="float64")
    >>> net.predict([[3.0, 4.0]]).round(4)  # divided by 3.5355, the root of 12.5
    array([[0.8485, 1.1314]])

    Source: Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019, equation 4.
    """

    epsilon: float = field(default=1e-6, kw_only=True)
    name: ClassVar[str] = "rms_norm"

    def params(self) -> Mapping[str, Param]:
        return {"gamma": super().params()["gamma"]}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        p.gamma = 1

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        self._normalise(c, x)
        self._scale(p, c, c.n, y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        self._gradients(c, dy, g)
        if dx is None:
            return
        self._gain(p, c, dy, dx)
        self._along(c, dx)
        dx -= c.s
        dx *= c.rate


@settings
class BatchNorm(Norm):
    """Bring each unit to mean 0 and variance 1 over the batch; in prediction, by running averages of mean and variance.

    ``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta``. In training, mean and variance are those of the
    batch, and backward differentiates through them, with means over rows:
    dx = (dn - mean(dn) - n * mean(n dn)) / sqrt(variance + epsilon).
    In prediction, and for gradients with ``train=False``, they are constants: dx = dn / sqrt(variance + epsilon).
    The running averages move by ``momentum`` a step towards the batch's mean and unbiased variance. Sample weights
    do not affect them. A single row has variance 0, and its output would be ``beta`` whatever the row holds: a single
    row left over at the end of an epoch is added to the batch before, and a batch size of 1 is refused.

    Parameters
    ----------
    n_in : int, optional
        The width; None takes it from the previous layer.
    momentum : float
        The share of the new batch in the running averages, in (0, 1); PyTorch's 0.1 (Keras writes 0.99 for 0.01).
    epsilon : float
        Added to the variance; positive.

    Shapes
    ------
    x and y (rows, n_in), gamma, beta and the running mean and variance (n_in,).

    Raises
    ------
    ConfigError, InputTypeError
        For a width below 1 or not whole, or a momentum or epsilon out of range or not a number.

    Examples
    --------
    >>> list(BatchNorm(n_in=4).state())
    ['running_mean', 'running_var']

    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, algorithm 1.
    """

    momentum: float = field(default=0.1, kw_only=True)
    name: ClassVar[str] = "batch_norm"
    least_rows: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        number("momentum of BatchNorm", self.momentum, above=True, below=1)

    def state(self) -> Mapping[str, Shape]:
        return {"running_mean": (self.width,), "running_var": (self.width,)}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        super().initialize(p, rng)
        p.running_mean = 0
        p.running_var = 1

    def cache(self, rows: int) -> BufferSpecs:
        n = self.width
        return {"n": (rows, n), "s": (rows, n), "rate": (n,), "unit": (n,), "ones": np.ones(rows)}

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        xp, rows = c.xp, len(x)
        c.through = train  # whether backward differentiates through the statistics
        if train:
            if c.across is None:
                c.ones.dot(x, out=c.unit)
                c.unit /= rows
                xp.subtract(x, c.unit, out=c.n)
                xp.multiply(c.n, c.n, out=c.s)
                c.ones.dot(c.s, out=c.rate)
                c.rate /= rows
            else:
                rows = self._moments_across(p, x, c)
            self._follow(p.running_mean, c.unit, 1.0)
            xp.copyto(c.unit, c.rate)
            self._follow(p.running_var, c.unit, rows / max(rows - 1, 1))
        else:
            xp.subtract(x, p.running_mean, out=c.n)
            xp.copyto(c.rate, p.running_var)
        c.rate += self.epsilon
        xp.sqrt(c.rate, out=c.rate)
        xp.reciprocal(c.rate, out=c.rate)
        c.n *= c.rate
        xp.multiply(c.n, p.gamma, out=y)
        y += p.beta

    def _moments_across(self, p: Views, x: Array, c: Cache) -> int:
        """Do the same over the rows of all processes: mean in unit, variance in rate, x - mean in n.

        One sum over processes, in float64, has the sums of x and of its squares. What is subtracted before is the same
        in all of them, and near to the mean after some steps: else large means would leave few digits of the variance.
        """
        xp = c.xp
        xp.subtract(x, p.running_mean, out=c.n)
        xp.multiply(c.n, c.n, out=c.s)
        sums = xp.full((2, x.shape[1]), 0.0)
        c.n.sum(axis=0, dtype=np.float64, out=sums[0])
        c.s.sum(axis=0, dtype=np.float64, out=sums[1])
        c.across.sum(sums)
        sums /= c.across.rows
        xp.add(p.running_mean, sums[0], out=c.unit, casting="same_kind")
        sums[0] *= sums[0]
        xp.subtract(sums[1], sums[0], out=sums[1])
        xp.maximum(sums[1], 0, out=sums[1])
        xp.copyto(c.rate, sums[1], casting="same_kind")
        xp.subtract(x, c.unit, out=c.n)
        return int(c.across.rows)

    def _follow(self, running: Array, new: Array, factor: float) -> None:
        """Move a running average by ``momentum`` towards ``factor * new``; ``new`` is overwritten."""
        running *= 1 - self.momentum
        new *= self.momentum * factor
        running += new

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        xp, rows = c.xp, len(x)
        c.ones.dot(dy, out=g.beta)  # (rows,) (rows, n)
        xp.multiply(dy, c.n, out=c.s)
        c.ones.dot(c.s, out=g.gamma)
        if dx is None:
            return
        if c.through:  # gamma * (dy - mean(dy) - n * mean(n dy)); the sums of both means are in g
            beta, gamma = g.beta, g.gamma
            if c.across is not None:  # g has those of the rows of this process
                sums, rows = xp.full((2, dy.shape[1]), 0.0), c.across.rows
                xp.copyto(sums[0], beta)
                xp.copyto(sums[1], gamma)
                c.across.sum(sums)
                beta, gamma = sums[0], sums[1]
            xp.multiply(c.n, gamma, out=c.s, casting="same_kind")
            xp.add(c.s, beta, out=c.s, casting="same_kind")
            c.s /= rows
            xp.subtract(dy, c.s, out=dx)
        else:
            xp.copyto(dx, dy)
        dx *= p.gamma
        dx *= c.rate
