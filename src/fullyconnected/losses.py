"""The losses: a sum over outputs and a weighted mean over rows, unless the first line of a class says otherwise.

Each class gives the terms of one row's loss and their derivative with respect to the network's raw outputs z;
:meth:`Loss.value_and_gradient` weights both. Classification losses take logits, Poisson takes log-rates.
"""

from __future__ import annotations

import copy
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar, Self, SupportsFloat

import numpy as np

from fullyconnected import links
from fullyconnected.activations import ONE
from fullyconnected.base import Link, Loss, as_outputs, check_outputs
from fullyconnected.core.arrays import BLOCK, Array, Buffer, BufferSpecs, Cache, dot, take
from fullyconnected.core.checks import as_array, as_weights, number, require_finite
from fullyconnected.core.registry import Registry
from fullyconnected.core.settings import LATER, Settings, settings
from fullyconnected.errors import ConfigError, DataError, InputTypeError, ShapeError

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "Hinge",
    "Huber",
    "BinaryCrossEntropy",
    "MeanSquaredError",
    "Poisson",
    "Quantile",
    "SoftmaxCrossEntropy",
    "HalfSquaredError",
]


class HalfSquaredError(Loss):
    """Half the sum of squares over outputs, weighted mean over rows: ``1/2 sum_j (z_j - t_j)^2``; dz = z - t.

    Shapes: z and dz (rows, n_out). Targets: numbers (rows, n_out), or (rows,) for one output.

    Raises
    ------
    ShapeError, InputTypeError
        For outputs or targets of another shape, or that are not numbers.

    Source: Legendre, "Nouvelles méthodes pour la détermination des orbites des comètes", 1805.

    >>> value, dz = HalfSquaredError()([[0.49, 0.62]], [[0.01, 0.99]])
    >>> round(value, 12), dz.round(12).tolist()
    (0.18365, [[0.48, -0.37]])
    """

    name: ClassVar[str] = "half_squared_error"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "terms" in vars(cls) and "value_and_gradient" not in vars(cls):
            cls.value_and_gradient = Loss.value_and_gradient  # type: ignore[method-assign]

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        xp = c.xp
        xp.subtract(z, t, out=dz)
        xp.multiply(dz, 0.5, out=c.e)
        xp.multiply(c.e, dz, out=c.e)

    def value_and_gradient(self, z: Array, t: Array, c: Cache, dz: Array) -> SupportsFloat:
        xp = c.xp
        xp.subtract(z, t, out=c.e)
        xp.multiply(c.e, c.w, out=dz)  # the gradient w (z - t), from which the value follows
        return 0.5 * dot(xp, c.e, dz)


class MeanSquaredError(Loss):
    """Mean of squares over outputs, weighted mean over rows: ``1/k sum_j (z_j - t_j)^2``; dz = 2/k (z - t).

    Keras's and PyTorch's mean squared error, without the half.
    Shapes: z and dz (rows, n_out). Targets: numbers (rows, n_out), or (rows,) for one output.

    Raises
    ------
    ShapeError, InputTypeError
        For outputs or targets of another shape, or that are not numbers.

    Source: Legendre 1805, as :class:`HalfSquaredError`.

    >>> MeanSquaredError()([[1.0, 2.0]], [[0.0, 0.0]])[0]
    2.5
    """

    name: ClassVar[str] = "mean_squared_error"

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        xp = c.xp
        xp.subtract(z, t, out=dz)
        xp.multiply(dz, 1 / z.shape[1], out=c.e)
        xp.multiply(c.e, dz, out=c.e)
        xp.multiply(dz, 2 / z.shape[1], out=dz)


class AbsoluteError(Loss):
    """Sum of absolute errors over outputs, weighted mean over rows: ``sum_j |z_j - t_j|``; dz = sign(z - t).

    The derivative at the kink z = t is 0.
    Shapes: z and dz (rows, n_out). Targets: numbers (rows, n_out), or (rows,) for one output.

    Raises
    ------
    ShapeError, InputTypeError
        For outputs or targets of another shape, or that are not numbers.

    Source: Boscovich, "De litteraria expeditione per pontificiam ditionem", 1757.

    >>> AbsoluteError()([[1.0, -2.0]], [[0.0, 0.0]])[0]
    3.0
    """

    name: ClassVar[str] = "absolute_error"

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        xp = c.xp
        xp.subtract(z, t, out=dz)
        xp.abs(dz, out=c.e)
        xp.sign(dz, out=dz)

    def kink_distances(self, z: Array, t: Array) -> Array | None:
        return z - t


@settings
class Huber(Loss):
    """Sum over outputs of r^2 / 2 near 0 and delta (|r| - delta / 2) beyond, weighted mean over rows; r = z - t.

    With d = clip(r, -delta, delta), the term is d r - d^2 / 2 and dz = d. There is no kink: the slopes meet.
    Shapes: z and dz (rows, n_out). Targets: numbers (rows, n_out), or (rows,) for one output.

    Parameters
    ----------
    delta : float
        Where the square turns into a line, in the unit of the targets; positive.

    Raises
    ------
    ConfigError, ShapeError, InputTypeError
        For a delta out of range; for outputs or targets of another shape, or that are not numbers.

    Source: Huber, "Robust estimation of a location parameter", 1964.

    >>> Huber(1.0)([[0.5, 3.0]], [[0.0, 0.0]])[0]
    2.625
    """

    delta: float = 1.0
    name: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        number("delta of Huber", self.delta, above=True)

    def cache(self, rows: int, n_out: int) -> BufferSpecs:
        return {"e": (rows, n_out), "r": (rows, n_out)}

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        xp = c.xp
        xp.subtract(z, t, out=c.r)
        xp.clip(c.r, -self.delta, self.delta, out=dz)
        xp.multiply(dz, -0.5, out=c.e)
        c.e += c.r
        c.e *= dz


@settings
class Quantile(Loss):
    """Sum over outputs of q (t - z) where z < t, else (1 - q) (z - t), weighted mean over rows; the pinball loss.

    Its minimum is the q-quantile of t. dz is -q below the target, 1 - q above, and 0 at the kink z = t.
    Shapes: z and dz (rows, n_out). Targets: numbers (rows, n_out), or (rows,) for one output.

    Parameters
    ----------
    q : float
        Which quantile, in (0, 1).

    Raises
    ------
    ConfigError, ShapeError, InputTypeError
        For a q out of range; for outputs or targets of another shape, or that are not numbers.

    Source: Koenker and Bassett, "Regression quantiles", 1978.

    >>> Quantile(0.9)([[0.0]], [[1.0]])[0]
    0.9
    """

    q: float = 0.5
    name: ClassVar[str] = "quantile"

    def __post_init__(self) -> None:
        number("q of Quantile", self.q, above=True, below=1)

    def cache(self, rows: int, n_out: int) -> BufferSpecs:
        return {"e": (rows, n_out), "r": (rows, n_out)}

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        xp = c.xp
        xp.subtract(z, t, out=c.r)
        xp.sign(c.r, out=dz)
        xp.abs(dz, out=c.e)
        dz *= 0.5
        c.e *= 0.5 - self.q
        dz += c.e  # 1/2 + 1/2 - q above, -1/2 + 1/2 - q below
        xp.multiply(dz, c.r, out=c.e)

    def kink_distances(self, z: Array, t: Array) -> Array | None:
        return z - t


class Poisson(Loss):
    """Sum over outputs of exp(z) - t z, weighted mean over rows: z is the logarithm of the rate; dz = exp(z) - t.

    The negative log-likelihood of counts, without the constant log t!.
    Shapes: z and dz (rows, n_out). Targets: counts or rates, 0 or more, (rows, n_out), or (rows,) for one output.

    Raises
    ------
    ShapeError, InputTypeError, DataError
        For outputs or targets of another shape, or that are not numbers; for negative targets.

    Source: Nelder and Wedderburn, "Generalized linear models", 1972.

    >>> Poisson()([[0.0]], [[2.0]])
    (1.0, array([[-1.]]))
    """

    name: ClassVar[str] = "poisson"
    link: ClassVar[Link] = links.LOG

    def example_targets(self, rng: np.random.Generator, rows: int, n_out: int) -> Array:
        return rng.poisson(2.0, (rows, n_out))

    def encode_targets(self, t: Array, n_out: int) -> Array:
        t = as_outputs(t, n_out)
        if (t < 0).any():
            raise DataError(f"Poisson takes counts or rates, 0 or more; the smallest target is {t.min()}")
        return t

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        xp = c.xp
        xp.exp(z, out=dz)
        xp.multiply(t, z, out=c.e)
        xp.subtract(dz, c.e, out=c.e)
        dz -= t


@settings
class CrossEntropy(Loss):
    """What both cross-entropies have in common: labels may be smoothed, and classes weighted."""

    label_smoothing: float = field(default=0.0, kw_only=True, metadata=LATER)
    class_weight: ArrayLike | None = field(default=None, kw_only=True, metadata=LATER)  # tuples of float in the end
    _weight_shape: ClassVar[str]  # in words

    @staticmethod
    def _can_be(shape: tuple[int, ...]) -> bool:
        """Whether class weights may have this shape."""
        raise NotImplementedError

    def _factors(self, t: Array) -> Array:
        """Return by what the classes multiply the weight of each row (rows,)."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        what = type(self).__name__
        smoothing = number(f"label_smoothing of {what}", self.label_smoothing, below=1)
        object.__setattr__(self, "label_smoothing", smoothing)
        if (given := self.class_weight) is None:
            return
        name, shape = f"class_weight of {what}", self._weight_shape
        if isinstance(given, str | dict):
            raise InputTypeError(
                f"{name} holds numbers, {shape}; got {given!r:.80}. (The class_weight of fc.MLPClassifier takes a dict "
                f"or 'balanced')"
            )
        weights = as_array(given, name)
        require_finite(np.atleast_1d(weights), name, weights.dtype)
        if not self._can_be(weights.shape):
            raise ShapeError(f"{name} holds numbers, {shape}; got the shape {weights.shape}")
        if (weights < 0).any() or not weights.any():
            raise ConfigError(f"{name} holds numbers of 0 or more, not all of them 0; got {given!r:.80}")
        plain = weights.astype(np.float64).tolist()
        object.__setattr__(self, "class_weight", tuple(tuple(a) if isinstance(a, list) else a for a in plain))

    def row_weights(self, t: Array, w: Array | None) -> Array | None:
        if self.class_weight is None:
            return w
        factors = self._factors(t) if w is None else w * self._factors(t)
        return as_weights(factors, len(t), f"sample weight times class_weight of {type(self).__name__}")

    def for_evaluation(self) -> Self:
        if not self.label_smoothing:
            return self
        plain = copy.copy(self)
        object.__setattr__(plain, "label_smoothing", 0.0)
        return plain


class BinaryCrossEntropy(CrossEntropy):
    """Sum over outputs of log(1 + exp(z)) - t z, weighted mean over rows: z are logits; dz = sigmoid(z) - t.

    The binary cross-entropy of each output on its own: one output for two classes, or one for each of many labels.
    Shapes: z and dz (rows, n_out). Targets: 0, 1 or a probability, (rows, n_out), or (rows,) for one output.

    Parameters
    ----------
    label_smoothing : float
        How far training moves targets towards 1/2, from 0 to less than 1: t becomes (1 - s) t + s / 2. ``evaluate``,
        the validation loss and metrics are without it.
    class_weight : array (2,) or (n_out, 2), optional
        The weights of 0 and 1, for all outputs or for each. Each multiplies the weight of the row, also in the sum
        that the mean is divided by: for a target t before smoothing it is w0 (1 - t) + w1 t, and for several outputs
        the product over them. It is part of the loss, so in ``evaluate`` and the validation loss, too; metrics count
        rows by ``sample_weight`` alone.

    Raises
    ------
    ConfigError
        For a label_smoothing or class weights out of range.
    ShapeError, InputTypeError, DataError
        For outputs, targets or class weights of another shape, or that are not numbers; for targets outside [0, 1]; if
        the classes of all rows have weight 0.

    Source: Cox, "The regression analysis of binary sequences", 1958.
    Label smoothing: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016.

    >>> value, dz = BinaryCrossEntropy()([[0.0]], [1])
    >>> round(value, 6), dz
    (0.693147, array([[-0.5]]))
    >>> BinaryCrossEntropy(class_weight=[1, 3])([[0.0], [0.0]], [0, 1])[1].tolist()
    [[0.125], [-0.375]]
    """

    name: ClassVar[str] = "binary_cross_entropy"
    link: ClassVar[Link] = links.LOGIT
    _weight_shape: ClassVar[str] = "(w0, w1), the weights of 0 and of 1, or such a pair for each output"

    @classmethod
    def example(cls, n_out: int) -> Self:
        return cls(label_smoothing=0.1, class_weight=np.linspace(0.5, 2, 2 * n_out).reshape(n_out, 2))

    @staticmethod
    def _can_be(shape: tuple[int, ...]) -> bool:
        return shape[-1:] == (2,) and len(shape) <= 2

    def _factors(self, t: Array) -> Array:
        pairs = np.broadcast_to(np.asarray(self.class_weight), (t.shape[1], 2))
        return np.prod(pairs[:, 0] * (1 - t) + pairs[:, 1] * t, axis=1, dtype=np.float64)

    def example_targets(self, rng: np.random.Generator, rows: int, n_out: int) -> Array:
        return rng.integers(0, 2, (rows, n_out))

    def encode_targets(self, t: Array, n_out: int) -> Array:
        if t.ndim == 1 and n_out > 1:
            raise ShapeError(
                f"BinaryCrossEntropy takes a 0 or 1 for each of the {n_out} outputs: (rows, {n_out}); got {t.shape}. "
                f"For one class out of {n_out}, use SoftmaxCrossEntropy()"
            )
        t = as_outputs(t, n_out)
        weights: Any = self.class_weight
        if weights is not None and isinstance(weights[0], tuple) and len(weights) != n_out:
            raise ShapeError(
                f"class_weight of BinaryCrossEntropy has {len(weights)} pairs; the network has {n_out} outputs"
            )
        if t.min(initial=0) < 0 or t.max(initial=0) > 1:
            hint = ": (t + 1) / 2 makes 0 and 1 of -1 and 1" if ((t == -1) | (t == 1)).all() else ""
            hint = ": t - 1" if ((t == 1) | (t == 2)).all() else hint
            raise DataError(f"BinaryCrossEntropy takes targets from 0 to 1; they go from {t.min()} to {t.max()}{hint}")
        return t

    def cache(self, rows: int, n_out: int) -> BufferSpecs:
        full = (rows, n_out)
        return {"e": full, "s": full, "side": full, "one": ONE, "minus": np.full((), -1.0), "half": np.full((), 0.5)}

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        # With q = exp(-|z|), the value is log(1 + q) + ([z >= 0] - t) z and the slope [z >= 0] - t -+ q / (1 + q):
        # no number near 1 is subtracted from 1, so that the small loss and slope of a right answer are accurate, too.
        xp = c.xp
        xp.copysign(z, c.minus, out=c.s)
        xp.exp(c.s, out=c.s)
        xp.log1p(c.s, out=c.e)
        xp.add(c.s, c.one, out=dz)
        c.s /= dz  # sigmoid(-|z|)
        xp.heaviside(z, c.one, out=c.side)
        xp.subtract(c.side, c.half, out=dz)
        xp.copysign(c.s, dz, out=c.s)  # z may be a zero of either sign
        c.side -= t
        if self.label_smoothing:  # [z >= 0] minus the smoothed t: small where both are, however the labels are smoothed
            c.side *= 1 - self.label_smoothing
            dz *= self.label_smoothing
            c.side += dz
        xp.subtract(c.side, c.s, out=dz)
        c.side *= z
        c.e += c.side


def class_numbers(t: Array, n_out: int, loss: str) -> Array:
    """Return class numbers (rows,) checked against the number of outputs."""
    if t.ndim == 2 and t.shape[1] == 1:
        t = t[:, 0]
    if t.ndim != 1:
        raise ShapeError(f"{loss} takes class numbers (rows,) or one column a class (rows, {n_out}); got {t.shape}")
    if t.dtype.kind == "f":
        odd = t[t != np.round(t)]
        hint = f"; {odd[0]:g} is none. For numbers: HalfSquaredError or MeanSquaredError" if odd.size else ""
        if not odd.size and not 0 <= t.min(initial=0) <= t.max(initial=0) < n_out:
            hint = "; " + _no_such_class(t.astype(np.intp), n_out)
        raise InputTypeError(
            f"{loss} takes class numbers as integers; got {t.dtype}: t.astype(int), if they are classes{hint}"
        )
    if t.size and (t.min() < 0 or t.max() >= n_out):
        raise DataError(_no_such_class(t, n_out))
    return t.astype(np.intp, copy=False)


def _no_such_class(t: Array, n_out: int) -> str:
    """Return which class the network does not have, and how to number the classes."""
    low, high = int(t.min()), int(t.max())
    start = f"there is no class {high if high >= n_out else low}: the network has {n_out} outputs, for classes 0 to "
    if low > 0 and high - low < n_out:
        return f"{start}{n_out - 1}. Classes count from 0: t - {low}"
    different = np.unique(t)
    if different.tolist() == [-1, 1]:
        return f"{start}{n_out - 1}. Classes count from 0: (t + 1) // 2 makes 0 and 1 of -1 and 1"
    if len(different) <= n_out:
        return f"{start}{n_out - 1}. Classes count from 0: labels, t = np.unique(t, return_inverse=True)"
    return f"{start}{n_out - 1}. There are {len(different)} classes in t; the last layer needs an output for each"


def add_rows(a: Array, signs: Array, out: Array) -> None:
    """Write the sum of each row of ``a`` into ``out`` (rows, 1), times 1 or -1: ``signs`` is a column of either."""
    if len(signs) <= BLOCK:
        a.dot(signs, out=out)  # a third of the time of ``sum``, for rows of ten
    else:
        a.sum(axis=1, keepdims=True, out=out)
        out *= signs[:1]


class SoftmaxCrossEntropy(CrossEntropy):
    """Cross-entropy of softmax(z) in each row, weighted mean over rows: -sum_j t_j log p_j; dz = p sum_j t_j - t.

    z are logits: softmax and logarithm are one function here, shifted by the largest logit, so that nothing
    overflows.
    Shapes: z and dz (rows, n_out), n_out 2 or more.
    Targets: class numbers from 0 to n_out - 1, (rows,) integers; or one-hot rows or probabilities (rows, n_out).

    Parameters
    ----------
    label_smoothing : float
        The share s of each target that training spreads evenly over all classes, from 0 to less than 1: t_j becomes
        (1 - s) t_j + s / n_out. ``evaluate``, the validation loss and metrics are without it.
    class_weight : array (n_out,), optional
        A weight for each class, in their order. That of a row's class multiplies the weight of the row, also in the
        sum that the mean is divided by; for probabilities it is sum_j t_j w_j, always with targets before smoothing.
        It is part of the loss, so in ``evaluate`` and the validation loss, too; metrics count rows by
        ``sample_weight`` alone.

    Raises
    ------
    ConfigError
        For a label_smoothing or class weights out of range.
    ShapeError, InputTypeError, DataError
        For outputs, targets or class weights of another shape or kind; for an unknown class, or rows that are not
        probabilities; if the classes of all rows have weight 0.

    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    Label smoothing: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016.

    >>> value, dz = SoftmaxCrossEntropy()([[0.0, 0.0]], [1])
    >>> round(value, 6), dz
    (0.693147, array([[ 0.5, -0.5]]))
    >>> SoftmaxCrossEntropy(class_weight=[1, 3])([[0.0, 0.0], [0.0, 0.0]], [0, 1])[1].tolist()
    [[-0.125, 0.125], [0.375, -0.375]]
    """

    name: ClassVar[str] = "softmax_cross_entropy"
    min_outputs: ClassVar[int] = 2
    link: ClassVar[Link] = links.MULTINOMIAL_LOGIT
    _weight_shape: ClassVar[str] = "one for each class in their order, such as (1.0, 5.0)"

    @classmethod
    def example(cls, n_out: int) -> Self:
        return cls(label_smoothing=0.1, class_weight=np.linspace(0.5, 2, n_out))

    @staticmethod
    def _can_be(shape: tuple[int, ...]) -> bool:
        return len(shape) == 1

    def _factors(self, t: Array) -> Array:
        weights = np.asarray(self.class_weight)
        return weights[t] if t.ndim == 1 else t @ weights

    def example_targets(self, rng: np.random.Generator, rows: int, n_out: int) -> Array:
        return rng.integers(0, n_out, rows)

    def encode_targets(self, t: Array, n_out: int) -> Array:
        weights: Any = self.class_weight
        if weights is not None and len(weights) != n_out:
            raise ShapeError(
                f"class_weight of SoftmaxCrossEntropy has {len(weights)} entries; the network has {n_out} outputs"
            )
        if t.ndim != 2 or t.shape[1] != n_out:
            return class_numbers(t, n_out, "SoftmaxCrossEntropy")
        sums = t.sum(axis=1, dtype=np.float64)
        if t.min(initial=0) < 0 or (np.abs(sums - 1) > 1e-3).any():
            row = int(np.argmax((np.abs(sums - 1) > 1e-3) | (t < 0).any(axis=1)))
            raise DataError(f"targets of SoftmaxCrossEntropy are probabilities; row {row} is {t[row]}")
        return t

    def cache(self, rows: int, n_out: int) -> BufferSpecs:
        return {
            "e": (rows, 1),
            "row": (rows, 1),
            "rest": (rows, 1),
            "shifted": (rows, n_out),
            "ones": np.ones((n_out, 1)),
            "minus": np.full((n_out, 1), -1.0),
            "nothing": np.zeros(()),
            "first": np.arange(rows) * n_out,  # where each row begins in the flat batch
            "place": Buffer((rows,), np.intp),
            "picked": (rows,),
            "best": Buffer((rows,), np.intp),
            "others": (rows, n_out),
            **({"smoothed": (rows, n_out)} if self.label_smoothing else {}),
        }

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        # 1 - p of the right class (of the likeliest one, where the targets are probabilities) is computed as the sum
        # of the other p, not by a subtraction from 1: so the small loss and slope of a right answer are accurate.
        xp, e = c.xp, c.e[:, 0]
        z.max(axis=1, keepdims=True, out=c.row)
        xp.subtract(z, c.row, out=c.shifted)
        xp.exp(c.shifted, out=dz)
        add_rows(dz, c.ones, c.row)
        dz /= c.row  # p
        xp.add(c.first, t if t.ndim == 1 else z.argmax(axis=1, out=c.best), out=c.place)
        take(c.shifted, c.place, c.picked)
        dz.put(c.place, c.nothing)
        add_rows(dz, c.minus, c.rest)  # p - 1
        xp.expm1(c.picked, out=e)
        c.row *= c.rest
        c.e -= c.row  # the sum of exp(shifted), minus the 1 of the largest
        xp.log1p(c.e, out=c.e)
        if t.ndim == 1:  # class numbers
            if self.label_smoothing:
                self._smooth(c, dz)
            e -= c.picked
            dz.put(c.place, c.rest)
        else:
            self._of_probabilities(t, c, dz)

    def _smooth(self, c: Cache, dz: Array) -> None:
        """Prepare value and slope for smoothed class numbers, of which each class has the share b = s / n_out.

        They are log sum_j exp(z_j) - (1 - s) z_y - b sum_j z_j, and p_j - b; for the right class s - b - (1 - p_y).
        """
        share = self.label_smoothing / dz.shape[1]
        c.picked *= 1 - self.label_smoothing
        add_rows(c.shifted, c.minus, c.row)
        c.row *= share
        c.e += c.row
        dz -= share
        c.rest += share * (dz.shape[1] - 1)

    def _of_probabilities(self, t: Array, c: Cache, dz: Array) -> None:
        """Write -sum_j t_j log p_j and p_j (sum_k t_k - t_j) - t_j (1 - p_j), which is p_j sum_k t_k - t_j."""
        xp, smoothing, n = c.xp, self.label_smoothing, dz.shape[1]
        add_rows(t, c.ones, c.row)
        xp.subtract(c.row, t, out=c.others)
        if smoothing:
            c.others *= 1 - smoothing
            c.others += smoothing * (n - 1) / n
            t = xp.multiply(t, 1 - smoothing, out=c.smoothed)
            t += smoothing / n
        xp.add(c.rest, 1, out=c.row)
        dz.put(c.place, c.row)  # p, whole again
        xp.subtract(c.shifted, c.e, out=c.shifted)  # log p
        c.shifted *= t
        add_rows(c.shifted, c.ones, c.e)
        xp.negative(c.e, out=c.e)
        xp.subtract(1, dz, out=c.shifted)
        xp.negative(c.rest, out=c.row)
        c.shifted.put(c.place, c.row)  # 1 - p
        c.shifted *= t
        dz *= c.others
        dz -= c.shifted


class Hinge(Loss):
    """Sum over the wrong classes of max(0, z_j - z_y + 1), weighted mean over rows: the multiclass hinge loss.

    y is the right class. dz_j = 1 where a wrong class comes within the margin, and dz_y is minus their number; at
    the kink, where the margin is just met, the derivative is 0.
    Shapes: z and dz (rows, n_out), n_out 2 or more.
    Targets: class numbers from 0 to n_out - 1, (rows,) integers; or one-hot rows (rows, n_out).

    Raises
    ------
    ShapeError, InputTypeError, DataError
        For outputs or targets of another shape or kind; for a class that does not exist, or rows not one-hot.

    Source: Weston and Watkins, "Support vector machines for multi-class pattern recognition", 1999.

    >>> Hinge()([[1.0, 0.5, -2.0]], [0])
    (0.5, array([[-1.,  1.,  0.]]))
    """

    name: ClassVar[str] = "hinge"
    min_outputs: ClassVar[int] = 2
    link: ClassVar[Link] = links.SCORES

    def example_targets(self, rng: np.random.Generator, rows: int, n_out: int) -> Array:
        return rng.integers(0, n_out, rows)

    def encode_targets(self, t: Array, n_out: int) -> Array:
        if t.ndim == 2 and t.shape[1] == n_out:
            if not (((t == 0) | (t == 1)).all() and (t.sum(axis=1) == 1).all()):
                raise DataError("targets of Hinge with one column a class are one-hot: a single 1 in each row, else 0")
            t = t.argmax(axis=1)
        return class_numbers(t, n_out, "Hinge")

    def cache(self, rows: int, n_out: int) -> BufferSpecs:
        return {
            "e": (rows, n_out),
            "row": (rows, 1),
            "first": np.arange(rows) * n_out,
            "place": Buffer((rows,), np.intp),
            "picked": (rows,),
        }

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        xp = c.xp
        xp.add(c.first, t, out=c.place)
        take(z, c.place, c.picked)  # z_y
        xp.subtract(z, c.picked[:, None], out=c.e)
        c.e += 1
        c.picked.fill(0)
        c.e.put(c.place, c.picked)  # no margin to itself
        xp.maximum(c.e, 0, out=c.e)
        xp.sign(c.e, out=dz)
        dz.sum(axis=1, out=c.picked)
        xp.negative(c.picked, out=c.picked)
        dz.put(c.place, c.picked)

    def kink_distances(self, z: Array, t: Array) -> Array | None:
        rows = np.arange(len(z))
        margins = z - z[rows, t][:, None] + 1
        margins[rows, t] = 1  # no kink between a class and itself
        return margins


def _hint(given: Any) -> str:
    """Say what to write instead of something that is no loss."""
    if given is None:
        return "for classes: SoftmaxCrossEntropy(), for numbers: HalfSquaredError()"
    if isinstance(given, Settings):
        return "are two arguments swapped?"
    return "a loss of your own is a class, see help(fc.Loss)" if callable(given) else ""


LOSSES = Registry(
    "loss",
    Loss,
    (
        HalfSquaredError,
        MeanSquaredError,
        AbsoluteError,
        Huber,
        Quantile,
        Poisson,
        Hinge,
        SoftmaxCrossEntropy,
        BinaryCrossEntropy,
    ),
    check=check_outputs,
    hint=_hint,
)
