"""Numeric columns as points on a line with learned bends: PiecewiseLinearEmbedding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache, Shape, Views
from fullyconnected.core.batches import TrainingRows
from fullyconnected.core.checks import as_array, count
from fullyconnected.core.settings import settings
from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import ConfigError, InputTypeError, ShapeError
from fullyconnected.layers.statistics import each_column, quantiles

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike

__all__ = ["PiecewiseLinearEmbedding"]

BINS = 48  # of a column, if neither their number nor edges are given
LARGEST = float(np.finfo(np.float32).max)  # of an edge, so that a network of either dtype can hold it
LEAST = 1e-30  # of the distance of two edges, so that neither it nor 1 over it is lost in float32
NOISE = 1e-12  # quantiles that differ by no more, relative to the largest, are one: interpolation has rounded them
FAR = 1e30  # bins beyond the edges: what is farther counts as this far, so that no share of a bin is infinite
NO_WIDTH = 1e-37  # stands for the width of a bin whose edges are one number in float32
FIRST = "Bring columns to a scale of about 1 first, with fc.Standardize"
SHOWN = 3  # edges of a column in a repr, of more than twice as many


@settings
class PiecewiseLinearEmbedding(Layer):
    r"""Embed each column by a line that may bend at the edges of its bins: ``y_j = x_j w_j + v_j W_j + b_j``.

    Of column j with the edges e_0 < e_1 < ... < e_m, v_j says how much of each bin lies below x_j: 1 for the bins below
    it, (x_j - e_(k-1)) / (e_k - e_(k-1)) for the one that it lies in, and 0 for those above. Below e_0 the first bin
    goes on, and above e_m the last one, so that v is linear there and may leave 0 to 1. W begins at 0: at first y is
    linear in x, and training adds the bends, so that a network can take values that are close to each other for quite
    different ones, as trees do.

    Edges are constants, not parameters. Those that are not given are quantiles of the training rows, by their weights:
    :func:`fullyconnected.fit` takes them once, at the start of the first training, or :meth:`Network.adapt`. Quantiles
    that are equal are one edge. A column with fewer bins than ``bins``, as one with few different values, or a
    constant, which has none, leaves the last rows of W_j unused: they do nothing, and their gradient is 0. l2 and
    weight decay shrink w and W. At an edge between two bins, the derivative is that of the bin below. Where columns
    have different units, :class:`Standardize` should come before.

    For max(v W + b, 0), the form of the first paper, put ``Activation("relu")`` behind: x is a sum of shares, so that
    w adds no function, only a better beginning. A maximum of v W alone is not offered: at W = 0, its derivative is 0
    for ever.

    Parameters
    ----------
    n_in : int, optional
        The number of columns; None takes it from the edges, or from the previous layer.
    bins : int, optional
        The largest number of bins of a column, 1 or more; None for as many as the edges make, or 48.
    size : int
        The number of outputs of a column, 1 or more.
    edges : sequence of arrays, optional
        For each column its edges, finite and in increasing order, at least 1e-30 apart, and within the range of
        float32; one edge alone for a column without bins.

    Shapes
    ------
    x (rows, n_in), w and b (n_in, size), W (n_in, bins, size), y (rows, n_in size): the outputs of a column stand side
    by side.

    Raises
    ------
    ShapeError, ConfigError, InputTypeError
        For numbers below 1 or not whole, or edges that are not as above or more than ``bins`` and one.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> layer = PiecewiseLinearEmbedding(size=1, edges=[[0.0, 1.0, 3.0]])
    >>> net = fc.Network([layer])
    >>> net.params[0].w, net.params[0].b, net.params[0].W = 0, 0, [[[1.0], [10.0]]]
    >>> net.predict([[-1.0], [0.5], [1.0], [2.0], [5.0]]).ravel().tolist()
    [-1.0, 0.5, 1.0, 6.0, 21.0]
    >>> net = fc.Network([fc.PiecewiseLinearEmbedding(2, bins=4, size=3), fc.Dense(6, 1)], seed=0)
    >>> net.adapt([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [4.0, 5.0], [8.0, 5.0]])
    >>> net.layers[0]
    PiecewiseLinearEmbedding(2, 4, 3, edges=((0.0, 1.0, 2.0, 4.0, 8.0), (5.0,)))

    Source: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS
    2022, section 3.2; with x w, and W that begins at 0: Gorishniy, Kotelnikov and Babenko, "TabM", ICLR 2025, appendix.
    """

    n_in: int | None = None
    bins: int | None = None  # a number in the end
    size: int = 16
    edges: Sequence[ArrayLike] | None = field(default=None, kw_only=True)  # a tuple of float for each column in the end
    name: ClassVar[str] = "piecewise_linear_embedding"

    def __post_init__(self) -> None:
        what = "PiecewiseLinearEmbedding"
        for name in ("n_in", "bins", "size"):
            if (value := getattr(self, name)) is not None or name == "size":
                object.__setattr__(self, name, count(f"{name} of {what}", value))
        if self.edges is None:
            object.__setattr__(self, "bins", self.bins or BINS)
            return
        if not isinstance(self.edges, Sequence | np.ndarray) or isinstance(self.edges, str):
            raise InputTypeError(f"edges of {what} is a list with an array for each column; got {self.edges!a:.80}")
        edges = tuple(_checked(column, j) for j, column in enumerate(self.edges))
        if len(edges) != (self.n_in or len(edges)) or not edges:
            raise ShapeError(f"{what} takes edges for each of its {self.n_in or 'columns'}; got {len(edges)} of them")
        most = max(map(len, edges)) - 1
        if most > (self.bins or most):
            j = max(range(len(edges)), key=lambda j: len(edges[j]))
            raise ConfigError(f"edges of column {j} make {most} bins, more than bins={self.bins}: leave out bins")
        for name, value in {"n_in": len(edges), "bins": self.bins or max(1, most), "edges": edges}.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        def told(values: Sequence[Any]) -> str:
            some = values if len(values) <= 2 * SHOWN else values[:SHOWN]
            said = [told(each) if isinstance(each, tuple) else repr(each) for each in some]
            return f"({', '.join(said)}{', ...' * (len(some) < len(values))}{',' * (len(values) == 1)})"

        given = "" if self.unset else f", edges={told(self.known_edges)}"
        return in_ascii(f"{type(self).__name__}({self.n_in}, {self.bins}, {self.size}{given})")

    @property
    def n_out(self) -> int | None:
        """The number of outputs: ``size`` for each column."""
        return None if self.n_in is None else self.n_in * self.size

    @property
    def unset(self) -> bool:
        """Whether its edges are still to be taken from training rows."""
        return self.edges is None

    @property
    def shape(self) -> Shape:
        """The shape of W: columns, bins, and outputs of a column."""
        if self.n_in is None or self.bins is None:
            raise ShapeError(
                "PiecewiseLinearEmbedding has no width yet: give n_in, or put it after a layer that has one"
            )
        return self.n_in, self.bins, self.size

    @property
    def known_edges(self) -> tuple[tuple[float, ...], ...]:
        """The edges of each column."""
        edges: Any = self.edges
        return edges or ()

    @property
    def bounds(self) -> tuple[float, ...]:
        """All edges for an engine: of each column bins + 1, where the last one is repeated."""
        rows = (column + column[-1:] * (self.shape[1] + 1 - len(column)) for column in self.known_edges)
        return tuple(edge for row in rows for edge in row)

    @property
    def used(self) -> tuple[int, ...]:
        """The number of bins that each column has."""
        return tuple(len(column) - 1 for column in self.known_edges)

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(n, 3, 2, edges=[np.linspace(-1, 1, 4 - j % 4) + 0.1 * j for j in range(n)])

    @classmethod
    def example_unset(cls, n: int) -> Layer:
        return cls(n, 3, 2)

    def with_input_width(self, n_in: int) -> Self:
        return replace(self, n_in=n_in) if self.n_in is None else super().with_input_width(n_in)

    def adapt(self, p: Views, rows: TrainingRows, weights: Array, rng: np.random.Generator) -> Self:
        held, bins = rows.held(), min(self.shape[1], len(weights) - 1)  # no more than there are rows to tell them apart
        columns = each_column(rows if held is None else held, weights, "the input of PiecewiseLinearEmbedding")
        return replace(self, edges=[_apart(quantiles(values, w, np.linspace(0, 1, bins + 1))) for values, w in columns])

    def params(self) -> Mapping[str, Param]:
        n, _, size = self.shape
        roles = ("embedding",)
        return {
            "w": Param((n, size), decays=True, roles=roles),
            "W": Param(self.shape, decays=True, roles=roles),
            "b": Param((n, size), roles=roles),
        }

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        most = 1 / math.sqrt(self.size)
        p.w = rng.uniform(-most, most, p.w.shape)
        p.W = 0
        p.b = rng.uniform(-most, most, p.b.shape)

    def cache(self, rows: int) -> BufferSpecs:
        n, bins, size = self.shape
        shares, linear = (n, rows, bins), (n, rows, size)
        buffers: dict[str, Shape] = {"half": (n, rows), "column": (n, rows), "start": (n, bins), "width": (n, bins)}
        buffers |= {"v": shares, "dv": shares, "e": linear, "de": linear}
        return {**buffers, "inside": Buffer(shares, np.bool_), **self._constants()}

    def _constants(self) -> dict[str, Array]:
        """Return, for each bin of each column: its edges; the least and the largest share of it; where x lies in it.

        Bins that are not used have the share 0, and x is never in them.
        """
        n, bins, _ = self.shape
        fill = {"left": 0.0, "right": 1.0, "low": 0.0, "high": 0.0, "after": math.inf, "until": math.inf}
        found = {name: np.full((n, bins), math.nan if self.unset else value) for name, value in fill.items()}
        for j, column in enumerate(self.known_edges):
            used = len(column) - 1
            if used:
                found["left"][j, :used], found["right"][j, :used] = column[:-1], column[1:]
                found["high"][j, :used] = 1
                found["low"][j, 0], found["high"][j, used - 1] = -FAR, FAR
                found["after"][j, :used], found["until"][j, :used] = column[:-1], column[1:]
                found["after"][j, 0], found["until"][j, used - 1] = -math.inf, math.inf
        return found

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        xp = c.xp
        xp.multiply(x.T, 0.5, out=c.half)  # so that no difference of large numbers overflows
        xp.multiply(c.left, 0.5, out=c.start)
        xp.multiply(c.right, 0.5, out=c.width)
        xp.subtract(c.width, c.start, out=c.width)
        xp.maximum(c.width, NO_WIDTH, out=c.width)
        xp.subtract(c.half[:, :, None], c.start[:, None, :], out=c.v)
        xp.divide(c.v, c.width[:, None, :], out=c.v)
        xp.maximum(c.v, c.low[:, None, :], out=c.v)
        xp.minimum(c.v, c.high[:, None, :], out=c.v)
        xp.matmul(c.v, p.W, out=c.e)  # of each column (rows, bins) (bins, size)
        xp.multiply(x.T[:, :, None], p.w[:, None, :], out=c.de)
        xp.add(c.e, c.de, out=c.e)
        xp.add(c.e, p.b[:, None, :], out=c.e)
        xp.copyto(y.reshape(len(x), -1, self.size), c.e.transpose(1, 0, 2))

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        xp = c.xp
        xp.copyto(c.de, dy.reshape(len(x), -1, self.size).transpose(1, 0, 2))
        c.de.sum(axis=1, out=g.b)
        xp.matmul(c.v.transpose(0, 2, 1), c.de, out=g.W)  # of each column (bins, rows) (rows, size)
        xp.multiply(x.T[:, :, None], c.de, out=c.e)
        c.e.sum(axis=1, out=g.w)
        if dx is None:
            return
        xp.matmul(c.de, p.W.transpose(0, 2, 1), out=c.dv)  # (rows, size) (size, bins)
        xp.greater(x.T[:, :, None], c.after[:, None, :], out=c.inside)
        xp.multiply(c.dv, c.inside, out=c.dv)
        xp.greater_equal(c.until[:, None, :], x.T[:, :, None], out=c.inside)
        xp.multiply(c.dv, c.inside, out=c.dv)
        xp.divide(c.dv, c.width[:, None, :], out=c.dv)
        c.dv.sum(axis=2, out=c.half)
        xp.multiply(c.half, 0.5, out=c.half)  # the width was that of the halves
        xp.multiply(c.de, p.w[:, None, :], out=c.e)
        c.e.sum(axis=2, out=c.column)
        xp.add(c.half.T, c.column.T, out=dx)

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        inner = self._constants()["until"][:, :-1]  # (columns, bins - 1), infinite where there is no edge between bins
        return (x[None] - inner.T[:, None, :]) if inner.shape[1] else None


def _checked(column: Any, j: int) -> tuple[float, ...]:
    """Return the edges of one column as plain numbers, or raise."""
    what = f"edges of column {j} of PiecewiseLinearEmbedding"
    given = as_array(column, what)
    if given.ndim != 1 or not len(given):
        hint = "; for a single column: edges=[[...]]" if given.ndim == 0 else ""
        raise ShapeError(f"{what} is a list of one number or more; got the shape {given.shape}{hint}")
    edges = given.astype(np.float64)
    if not (np.abs(edges) <= LARGEST).all():
        wrong = edges[~(np.abs(edges) <= LARGEST)][0]
        raise ConfigError(f"{what} are finite numbers in the range of float32, up to 3.4e38; got {wrong}. {FIRST}")
    near = np.flatnonzero(~(np.diff(edges) >= LEAST))
    if len(near):
        before, after = edges[near[0]], edges[near[0] + 1]
        hint = f". {FIRST}" if after > before else ""
        raise ConfigError(f"{what} increase, each by {LEAST:g} or more; got {before}, and then {after}{hint}")
    return tuple(edges.tolist())


def _apart(values: Array) -> list[float]:
    """Return the values, which do not decrease, without those that are no more than rounding above the one before."""
    least = NOISE * float(np.abs(values).max())
    found: list[float] = []
    for value in values.tolist():
        if not found or value - found[-1] > least:
            found.append(value)
    return found
