"""Columns cut into bins: the edges of the bins, from training rows or given, and how much of each bin lies below x."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache, Shape, Views
from fullyconnected.core.batches import TrainingRows
from fullyconnected.core.checks import as_array, count
from fullyconnected.core.settings import names_of, settings
from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import ConfigError, InputTypeError, ShapeError
from fullyconnected.layers.statistics import each_column, quantiles

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike

__all__ = ["Bins", "example_edges"]

LARGEST = float(np.finfo(np.float32).max)  # of an edge, so that a network of either dtype can hold it
LEAST = 1e-30  # of the distance of two edges, so that neither it nor 1 over it is lost in float32
NOISE = 1e-12  # quantiles that differ by no more, relative to the largest, are one: interpolation has rounded them
FAR = 1e30  # bins beyond the edges: what is farther counts as this far, so that no share of a bin is infinite
NO_WIDTH = 1e-37  # stands for the width of a bin whose edges are one number in float32
FIRST = "Bring columns to a scale of about 1 first, with fc.Standardize"
SHOWN = 3  # edges of a column in a repr, of more than twice as many


@settings
class Bins(Layer):
    """The edges of PiecewiseLinearEncoding and PiecewiseLinearEmbedding, and the share of each bin that lies below x.

    Without edges, ``adapt`` takes quantiles.
    """

    n_in: int | None = None
    bins: int | None = None  # a number in the end
    edges: Sequence[ArrayLike] | None = field(default=None, kw_only=True)  # a tuple of float for each column in the end
    usual: ClassVar[int]  # bins of a column, if neither their number nor edges are given

    def __post_init__(self) -> None:
        what = type(self).__name__
        for name in ("n_in", "bins"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, count(f"{name} of {what}", value))
        if self.edges is None:
            object.__setattr__(self, "bins", self.bins or self.usual)
            return
        if not isinstance(self.edges, Sequence | np.ndarray) or isinstance(self.edges, str):
            raise InputTypeError(f"edges of {what} is a list with an array for each column; got {self.edges!a:.80}")
        edges = tuple(_checked(column, f"edges of column {j} of {what}") for j, column in enumerate(self.edges))
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

        kind: Any = type(self)
        sizes = [str(getattr(self, name)) for name in names_of(kind) if name != "edges"]
        given = [] if self.unset else [f"edges={told(self.known_edges)}"]
        return in_ascii(f"{kind.__name__}({', '.join(sizes + given)})")

    @property
    def unset(self) -> bool:
        """Whether its edges are still to be taken from training rows."""
        return self.edges is None

    @property
    def table(self) -> Shape:
        """The number of columns, and of bins of each."""
        if self.n_in is None or self.bins is None:
            raise ShapeError(f"{type(self).__name__} has no width yet: give n_in, or put it after a layer that has one")
        return self.n_in, self.bins

    @property
    def known_edges(self) -> tuple[tuple[float, ...], ...]:
        """The edges of each column."""
        edges: Any = self.edges
        return edges or ()

    @property
    def bounds(self) -> tuple[float, ...]:
        """All edges for an engine: of each column bins + 1, where the last one is repeated."""
        rows = (column + column[-1:] * (self.table[1] + 1 - len(column)) for column in self.known_edges)
        return tuple(edge for row in rows for edge in row)

    @property
    def used(self) -> tuple[int, ...]:
        """The number of bins that each column has."""
        return tuple(len(column) - 1 for column in self.known_edges)

    def with_input_width(self, n_in: int) -> Self:
        return replace(self, n_in=n_in) if self.n_in is None else super().with_input_width(n_in)

    def adapt(self, p: Views, rows: TrainingRows, weights: Array, rng: np.random.Generator) -> Self:
        held, bins = rows.held(), min(self.table[1], len(weights) - 1)  # no more than there are rows to tell them apart
        columns = each_column(rows if held is None else held, weights, f"the input of {type(self).__name__}")
        return replace(self, edges=[_apart(quantiles(values, w, np.linspace(0, 1, bins + 1))) for values, w in columns])

    def cache(self, rows: int) -> BufferSpecs:
        n, bins = self.table
        shares = (n, rows, bins)
        buffers: dict[str, Shape] = {"half": (n, rows), "start": (n, bins), "width": (n, bins)}
        return {**buffers, "v": shares, "dv": shares, "inside": Buffer(shares, np.bool_), **self._constants()}

    def _constants(self) -> dict[str, Array]:
        """Return, for each bin of each column: its edges; the least and the largest share of it; where x lies in it.

        Bins that are not used have the share 0, and x is never in them.
        """
        n, bins = self.table
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

    def find_shares(self, x: Array, c: Cache) -> None:
        """Write into c.v (n, rows, bins) how much of each bin of its column lies below x (rows, n)."""
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

    def pull_shares(self, x: Array, c: Cache) -> None:
        """Write into c.half (n, rows) the gradient by x of what has the gradient c.dv by the shares; c.dv is lost."""
        xp = c.xp
        xp.greater(x.T[:, :, None], c.after[:, None, :], out=c.inside)
        xp.multiply(c.dv, c.inside, out=c.dv)
        xp.greater_equal(c.until[:, None, :], x.T[:, :, None], out=c.inside)
        xp.multiply(c.dv, c.inside, out=c.dv)
        xp.divide(c.dv, c.width[:, None, :], out=c.dv)
        c.dv.sum(axis=2, out=c.half)
        xp.multiply(c.half, 0.5, out=c.half)  # the width was that of the halves

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        inner = self._constants()["until"][:, :-1]  # (columns, bins - 1), infinite where there is no edge between bins
        return (x[None] - inner.T[:, None, :]) if inner.shape[1] else None


def example_edges(n: int) -> list[Array]:
    """Return edges of n columns, of which one has 3 bins, the next 2, then 1 and none."""
    return [np.linspace(-1, 1, 4 - j % 4) + 0.1 * j for j in range(n)]


def _checked(column: Any, what: str) -> tuple[float, ...]:
    """Return the edges of one column as plain numbers, or raise."""
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
