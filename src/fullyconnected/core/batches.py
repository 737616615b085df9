"""The batches of an epoch, a process's share of them, and what a layer sees of all training rows."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = ["Rows", "Share", "Shared", "TrainingRows", "Whole", "batches", "n_batches", "sizes_of"]

Rows = np.ndarray[Any, np.dtype[np.intp]]


class Whole(NamedTuple):
    """A batch of which this process has a part: its rows, where the part begins, and the sums of its weights.

    ``weights`` is (1,), or (members,) where each member of an ensemble has weights of its own.
    """

    rows: int
    first: int
    weights: Array

    @property
    def weight(self) -> float:
        """What the batch weighs: of an ensemble, the mean of what it weighs for the members."""
        return float(self.weights.mean())


class Shared(NamedTuple):
    """Batches of which this process has a part: for each, as in :class:`Whole`, and how many rows its part has."""

    rows: Array
    first: Array
    own: Array
    weights: Array  # (batches, 1) or (batches, members)

    def whole(self, batch: int) -> Whole:
        """Return one of the batches."""
        return Whole(int(self.rows[batch]), int(self.first[batch]), self.weights[batch])


class Share(NamedTuple):
    """The part of each batch that one of several processes takes: from ``low`` to ``high`` of ``parts`` equal parts.

    >>> Share(1, 2, 4).of(10)
    (2, 5)
    """

    low: int
    high: int
    parts: int

    def of(self, rows: Any) -> tuple[Any, Any]:
        """Return where the part begins and ends in a batch of so many rows, or in each of several batches."""
        return rows * self.low // self.parts, rows * self.high // self.parts

    def taken(self, order: Rows, sizes: Array) -> Rows:
        """Return the rows that this process takes of an order, which is cut into batches of these sizes."""
        ends = np.cumsum(sizes)
        starts, (first, end) = ends - sizes, self.of(sizes)
        return np.concatenate([order[start + a : start + b] for start, a, b in zip(starts, first, end, strict=True)])

    def shared(self, sizes: Array, weights: Array | None) -> Shared:
        """Return what is to be known of batches of these sizes; ``weights`` are those of all their rows in order."""
        sums = sizes if weights is None else np.add.reduceat(weights, np.cumsum(sizes) - sizes, axis=0)
        first, end = self.of(sizes)
        return Shared(sizes, first, end - first, sums.reshape(len(sizes), -1).astype(np.float64))


class TrainingRows(Protocol):
    """The rows that reach a layer, which are read in blocks, never all at once: what ``Layer.adapt`` is given."""

    shape: tuple[int, ...]

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield all rows in blocks of bounded size, each with the number of its first row; only to be read."""
        ...

    def taken(self, rows: Rows, dtype: type[np.floating]) -> Array:
        """Return a copy of some rows, cast to ``dtype``."""
        ...

    def held(self) -> object:
        """Return the array or the sparse matrix that holds these very rows, or None if they are computed."""
        ...


def n_batches(rows: int, batch_size: int, least: int = 1) -> int:
    """Return the number of batches that ``rows`` rows are cut into."""
    return max(1, -(-(rows - least + 1) // batch_size))


def batches(order: Rows, batch_size: int, least: int = 1) -> Iterator[Rows]:
    """Yield the batches of an order. A last batch of fewer than ``least`` rows is merged into the one before it.

    >>> [list(map(int, rows)) for rows in batches(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    >>> [list(map(int, rows)) for rows in batches(np.arange(5), 2, least=2)]
    [[0, 1], [2, 3, 4]]
    """
    last = (n_batches(len(order), batch_size, least) - 1) * batch_size
    for start in range(0, last, batch_size):
        yield order[start : start + batch_size]
    yield order[last:]


def sizes_of(rows: int, batch_size: int, least: int = 1) -> Array:
    """Return the numbers of rows of the batches of ``rows`` rows.

    >>> sizes_of(5, 2).tolist(), sizes_of(5, 2, least=2).tolist()
    ([2, 2, 1], [2, 3])
    """
    steps = n_batches(rows, batch_size, least)
    sizes = np.full(steps, batch_size)
    sizes[-1] = rows - (steps - 1) * batch_size
    return sizes
