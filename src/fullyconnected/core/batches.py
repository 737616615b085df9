"""The batches of an epoch, and what a layer sees of all training rows."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = ["Rows", "TrainingRows", "batches", "n_batches"]

Rows = np.ndarray[Any, np.dtype[np.intp]]


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
