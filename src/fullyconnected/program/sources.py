"""Sources of the rows of a data set, which are read by the batch or by the block, never all at once."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows

__all__ = ["ArraySource", "Source"]

BLOCK = 1 << 20  # entries per block


class Source:
    """Rows of numbers: a subclass has ``shape``, which is (rows, n_in), ``dtype``, and these two methods."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def take(self, rows: Rows, out: Array) -> None:
        """Copy the rows with these numbers, in this order, into ``out`` (rows, n_in), of any float dtype."""
        raise NotImplementedError(f"{type(self).__name__} has no take")

    def block(self, start: int, stop: int) -> Array:
        """Return the rows from ``start`` up to, not including, ``stop``; the caller must not write to them."""
        raise NotImplementedError(f"{type(self).__name__} has no block")

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield all rows in blocks, each with the number of its first row."""
        size = max(1, BLOCK // self.shape[1])
        for start in range(0, len(self), size):
            yield start, self.block(start, min(start + size, len(self)))

    def taken(self, rows: Rows, dtype: Any) -> Array:
        """Return a copy of some rows, cast to ``dtype``."""
        out = np.empty((len(rows), *self.shape[1:]), dtype)
        self.take(rows, out)
        return out


class ArraySource(Source):
    """An array in memory; one object belongs to one thread at a time."""

    def __init__(self, array: Array) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self._raw = array[:0]  # rows before they are cast

    def take(self, rows: Rows, out: Array) -> None:
        if out.dtype is self.dtype or out.dtype == self.dtype:
            self.array.take(rows, 0, out, "clip")  # with any other mode NumPy buffers the output
            return
        if len(self._raw) < len(rows):
            self._raw = np.empty((len(rows), *self.shape[1:]), self.dtype)
        raw = self._raw[: len(rows)]
        self.array.take(rows, 0, raw, "clip")
        np.copyto(out, raw, casting="unsafe")

    def block(self, start: int, stop: int) -> Array:
        return self.array[start:stop]

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield the whole array as one block, since it is in memory anyway."""
        yield 0, self.array
