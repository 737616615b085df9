"""Numeric columns as vectors of learned waves: PeriodicEmbedding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache, Shape, Views
from fullyconnected.core.checks import count, number
from fullyconnected.core.settings import settings
from fullyconnected.errors import ConfigError, ShapeError, nearest

__all__ = ["PeriodicEmbedding"]

KINDS = ("pbld", "plr", "pl")
TURN = 2 * math.pi


@settings
class PeriodicEmbedding(Layer):
    r"""Embed each column by waves of learned frequencies, and a small linear map of its own.

    Of column j, with a frequency w for each wave, and a matrix W and biases b for each column:

    - ``"pbld"``: ``[x_j, v W_j + b_j]`` with ``v = cos(2 pi x_j w_j + phi_j)``, and a phase phi for each wave;
    - ``"plr"``: ``max(v W_j + b_j, 0)`` with ``v = [cos(2 pi x_j w_j), sin(2 pi x_j w_j)]``;
    - ``"pl"``: the same without the maximum.

    So a network can take values that are close to each other for quite different ones, as trees do. Columns should
    have a scale of about 1 (:class:`Standardize`). Whole turns are taken off x w before it is multiplied by 2 pi, which
    loses no digits: x may be large, as far as x w has digits after the point. l2 and weight decay shrink W alone. At
    the kink of the maximum, the derivative is 0.

    Parameters
    ----------
    n_in : int, optional
        The number of columns; None takes it from the previous layer.
    frequencies : int
        The number of waves of a column.
    size : int
        The number of outputs of a column, 1 or more; with ``"pbld"`` one of them is the column itself, so 2 or more.
    kind : {"pbld", "plr", "pl"}
        Periodic, bias, linear, densenet; periodic, linear, ReLU; periodic, linear.
    sigma : float
        The standard deviation of the initial frequencies, positive; of all settings it matters most. Phases begin
        uniform in -pi to pi, W and b uniform within 1 / sqrt(the number of numbers that W_j multiplies).

    Shapes
    ------
    x (rows, n_in), w and phi (n_in, frequencies), W (n_in, frequencies or 2 frequencies, size or size - 1),
    b (n_in, size or size - 1), y (rows, n_in size): the outputs of a column stand side by side.

    Raises
    ------
    ShapeError, ConfigError, InputTypeError, UnknownNameError
        For numbers below 1 or not whole, ``size=1`` with ``"pbld"``, a sigma that is not a positive number, or an
        unknown kind.

    Examples
    --------
    >>> PeriodicEmbedding(3).n_out
    12
    >>> {name: param.shape for name, param in PeriodicEmbedding(3, 48, 24, "plr", sigma=0.02).params().items()}
    {'w': (3, 48), 'W': (3, 96, 24), 'b': (3, 24)}

    Source: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS
    2022, section 3.3, where initial frequencies are cut off at 3 sigma; ``"pbld"``: Holzmueller, Grinsztajn and
    Steinwart, "Better by default", NeurIPS 2024, section 3, whose settings are the defaults.
    """

    n_in: int | None = None
    frequencies: int = 16
    size: int = 4
    kind: str = "pbld"
    sigma: float = field(default=0.1, kw_only=True)
    name: ClassVar[str] = "periodic_embedding"

    if TYPE_CHECKING:

        def __init__(
            self,
            n_in: int | None = None,
            frequencies: int = 16,
            size: int = 4,
            kind: Literal["pbld", "plr", "pl"] = "pbld",
            *,
            sigma: float = 0.1,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in ("n_in", "frequencies", "size"):
            value = getattr(self, name)
            if name != "n_in" or value is not None:
                object.__setattr__(self, name, count(f"{name} of PeriodicEmbedding", value))
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise nearest("kind of PeriodicEmbedding", self.kind, KINDS)
        if self.size <= self.phases:
            raise ConfigError(
                f'size of PeriodicEmbedding must be 2 or more with "pbld", as one output is the column itself; got '
                f'{self.size}. Kinds without it: "plr", "pl"'
            )
        number("sigma of PeriodicEmbedding", self.sigma, above=True)

    @property
    def n_out(self) -> int | None:
        """The number of outputs: ``size`` for each column."""
        return None if self.n_in is None else self.n_in * self.size

    @property
    def phases(self) -> bool:
        """Whether waves have phases, and the columns themselves are among the outputs."""
        return self.kind == "pbld"

    @property
    def rectified(self) -> bool:
        """Whether negative outputs become 0."""
        return self.kind == "plr"

    @property
    def linear(self) -> Shape:
        """The shape of W: columns, numbers of a column that it multiplies, outputs that it gives."""
        if self.n_in is None:
            raise ShapeError("PeriodicEmbedding has no width yet: give n_in, or put it after a layer that has one")
        return self.n_in, self.frequencies * (1 if self.phases else 2), self.size - self.phases

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(n, 2, 2, sigma=0.3)

    @classmethod
    def examples(cls, n: int) -> Iterable[Layer]:
        return cls.example(n), cls(n, 2, 1, "plr", sigma=0.3), cls(n, 2, 2, "pl", sigma=0.3)

    def with_input_width(self, n_in: int) -> Self:
        return replace(self, n_in=n_in) if self.n_in is None else super().with_input_width(n_in)

    def params(self) -> Mapping[str, Param]:
        n, _, size = self.linear
        roles = ("embedding",)
        waves = {"w": Param((n, self.frequencies), roles=roles)}
        if self.phases:
            waves["phi"] = Param((n, self.frequencies), roles=roles)
        return {**waves, "W": Param(self.linear, decays=True, roles=roles), "b": Param((n, size), roles=roles)}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        p.w = rng.normal(0, self.sigma, p.w.shape)
        if self.phases:
            p.phi = rng.uniform(-math.pi, math.pi, p.phi.shape)
        most = 1 / math.sqrt(self.linear[1])
        p.W = rng.uniform(-most, most, p.W.shape)
        p.b = rng.uniform(-most, most, p.b.shape)

    def cache(self, rows: int) -> BufferSpecs:
        n, given, size = self.linear
        waves, linear = (n, rows, self.frequencies), (n, rows, size)
        wanted: dict[str, Any] = {"z": waves, "dz": waves, "v": (n, rows, given), "dv": (n, rows, given)}
        wanted |= {"e": linear, "de": linear, "column": (n, rows)}
        return {**wanted, "positive": Buffer(linear, np.bool_)} if self.rectified else wanted

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        xp, k = c.xp, self.frequencies
        xp.multiply(x.T[:, :, None], p.w[:, None, :], out=c.z)  # in turns
        xp.rint(c.z, out=c.dz)
        xp.subtract(c.z, c.dz, out=c.z)  # exact
        xp.multiply(c.z, TURN, out=c.z)
        if self.phases:
            xp.add(c.z, p.phi[:, None, :], out=c.z)
            xp.cos(c.z, out=c.v)
        else:
            xp.cos(c.z, out=c.v[:, :, :k])
            xp.sin(c.z, out=c.v[:, :, k:])
        xp.matmul(c.v, p.W, out=c.e)  # of each column (rows, waves) (waves, size)
        xp.add(c.e, p.b[:, None, :], out=c.e)
        if self.rectified:
            xp.maximum(c.e, 0, out=c.e)
        y = y.reshape(len(x), -1, self.size)
        if self.phases:
            xp.copyto(y[:, :, 0], x)
        xp.copyto(y[:, :, int(self.phases) :], c.e.transpose(1, 0, 2))

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        xp, k = c.xp, self.frequencies
        dy = dy.reshape(len(x), -1, self.size)
        xp.copyto(c.de, dy[:, :, int(self.phases) :].transpose(1, 0, 2))
        if self.rectified:
            xp.greater(c.e, 0, out=c.positive)
            xp.multiply(c.de, c.positive, out=c.de)
        c.de.sum(axis=1, out=g.b)
        xp.matmul(c.v.transpose(0, 2, 1), c.de, out=g.W)  # of each column (waves, rows) (rows, size)
        xp.matmul(c.de, p.W.transpose(0, 2, 1), out=c.dv)  # (rows, size) (size, waves)
        if self.phases:
            xp.sin(c.z, out=c.z)
            xp.multiply(c.z, c.dv, out=c.dz)
            xp.negative(c.dz, out=c.dz)
            c.dz.sum(axis=1, out=g.phi)
        else:
            xp.multiply(c.dv[:, :, :k], c.v[:, :, k:], out=c.z)
            xp.multiply(c.dv[:, :, k:], c.v[:, :, :k], out=c.dz)
            xp.subtract(c.dz, c.z, out=c.dz)
        xp.multiply(c.dz, TURN, out=c.dz)
        xp.multiply(c.dz, x.T[:, :, None], out=c.z)
        c.z.sum(axis=1, out=g.w)
        if dx is None:
            return
        xp.multiply(c.dz, p.w[:, None, :], out=c.z)
        c.z.sum(axis=2, out=c.column)
        if self.phases:
            xp.add(c.column.T, dy[:, :, 0], out=dx)
        else:
            xp.copyto(dx, c.column.T)

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        if not self.rectified:
            return None
        z = TURN * x.T[:, :, None] * p.w[:, None, :]
        e = np.concatenate([np.cos(z), np.sin(z)], axis=2) @ p.W + p.b[:, None, :]
        return e.transpose(1, 0, 2).reshape(1, len(x), -1)
