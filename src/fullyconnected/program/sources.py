"""Sources of the rows of a data set, which are read by the batch or by the block, never all at once."""

import sys
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from fullyconnected.core.arrays import Array, take
from fullyconnected.core.batches import Rows
from fullyconnected.core.checks import require_finite, rows_of
from fullyconnected.errors import DataError, InputTypeError

__all__ = ["ArraySource", "Source", "SparseRows", "SparseSource", "is_sparse"]

BLOCK = 1 << 20  # entries per block
CHECKED = 1 << 24  # bytes of which a checksum is taken at a time


class Source:
    """Rows of numbers: a subclass has ``shape``, which is (rows, n_in), ``dtype``, and these two methods."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sparse: ClassVar[bool] = False

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

    def part(self, rows: Rows, dtype: Any) -> "Source":
        """Return a source of some rows, cast to ``dtype``."""
        return ArraySource(self.taken(rows, dtype))

    def held(self) -> object:
        """Return the array or the sparse matrix that holds these very rows; None if there is no such thing."""
        return None

    def largest(self, rows: Rows) -> Array:
        """Return the largest magnitude in each column of some rows."""
        return np.abs(self.taken(rows, np.float64)).max(axis=0)

    def extremes(self) -> tuple[Array, Array]:
        """Return the smallest and the largest number in each column."""
        both = [(block.min(axis=0), block.max(axis=0)) for _, block in self.blocks()]
        return np.min([low for low, _ in both], axis=0), np.max([high for _, high in both], axis=0)

    def require_finite(self, what: str, dtype: np.dtype[Any]) -> None:
        """Raise if an entry is not finite in ``dtype``; ``what`` is the name of the rows in the message."""
        for start, block in self.blocks():
            require_finite(block, what, dtype, start)

    def checksum(self) -> int:
        """Return a checksum of all entries."""
        value, rows = 0, max(1, CHECKED // max(1, self.block(0, 1).nbytes))
        for start in range(0, len(self), rows):
            value = zlib.crc32(self.block(start, min(start + rows, len(self))).tobytes(), value)
        return value


class ArraySource(Source):
    """An array in memory; one object belongs to one thread at a time."""

    def __init__(self, array: Array) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self._raw = array[:0]  # rows before they are cast

    def take(self, rows: Rows, out: Array) -> None:
        if out.dtype is self.dtype or out.dtype == self.dtype:
            take(self.array, rows, out, axis=0)
            return
        if len(self._raw) < len(rows):
            self._raw = np.empty((len(rows), *self.shape[1:]), self.dtype)
        raw = self._raw[: len(rows)]
        take(self.array, rows, raw, axis=0)
        np.copyto(out, raw, casting="unsafe")

    def block(self, start: int, stop: int) -> Array:
        return self.array[start:stop]

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield the whole array as one block, since it is in memory anyway."""
        yield 0, self.array

    def held(self) -> Array:
        return self.array


class SparseRows:
    """The rows of a batch as Dense reads them, ``x.dot(W, out=z)`` and ``x.T.dot(dy, out=g.W)``, but kept sparse.

    A product takes time for the entries that are there, not for the zeros. SciPy allocates its result.
    """

    def __init__(self, dtype: np.dtype[Any], matrix: Any = None) -> None:
        self.dtype, self.matrix = dtype, matrix

    def dot(self, a: Array, out: Array) -> None:
        """Write the matrix product with ``a`` into ``out``."""
        np.copyto(out, self.matrix @ a)

    @property
    def T(self) -> "SparseRows":
        """The transpose."""
        return SparseRows(self.dtype, self.matrix.T)


class SparseSource(Source):
    """The rows of a sparse matrix of SciPy, which is converted to CSR once, and never made dense as a whole."""

    sparse = True

    def __init__(self, csr: Any) -> None:
        self.csr, self.shape, self.dtype = csr, csr.shape, csr.dtype

    @classmethod
    def of(cls, x: Any, n_in: int, what: str, *, empty: bool = False) -> "SparseSource":
        """Return the source of a matrix or array of scipy.sparse, or raise if its shape, dtype or indices are wrong.

        The arrays of a CSR matrix are read in place where its indices are sorted and each is there once.
        """
        from scipy import sparse  # it is loaded, for x is one of its matrices

        if x.dtype.kind not in "biuf":
            raise InputTypeError(f"{what} has dtype {x.dtype}; numbers are wanted (float, int, uint8 or bool)")
        rows = rows_of(x.shape, n_in, what, empty=empty)
        given = x.format
        try:
            if x.ndim > 2:
                x = x.reshape(rows, n_in)
            # A matrix remembers whether its indices are sorted, also after its owner has changed them, and SciPy writes
            # to any place that they say: so the matrix is made anew, of the same arrays, and its indices are checked.
            if x.format in ("csr", "csc"):
                made = sparse.csr_array if x.format == "csr" else sparse.csc_array
                x = made((x.data, x.indices, x.indptr), shape=x.shape)
                x.check_format(full_check=True)
            elif x.format == "coo":
                x = sparse.coo_array((x.data, (x.row, x.col)), shape=x.shape)
            csr = sparse.csr_array(x)
        except ValueError as error:
            raise DataError(f"{what} is a damaged sparse matrix (format {given!a}): {error}") from None
        if csr.dtype == np.float16 or not csr.dtype.isnative:  # which SciPy's functions cannot read
            csr = csr.astype(np.float32 if csr.dtype == np.float16 else csr.dtype.newbyteorder("="))
        if not csr.has_canonical_format:
            csr = csr.copy()
            csr.sum_duplicates()
        return cls(csr)

    def take(self, rows: Rows, out: Array | SparseRows) -> None:
        """Copy rows into a dense array, or give them to the :class:`SparseRows` of a batch."""
        taken = self.csr[rows]
        if isinstance(out, SparseRows):
            taken.data = taken.data.astype(out.dtype, copy=False)
            out.matrix = taken
        else:
            out.fill(0)
            out[np.repeat(np.arange(len(rows)), np.diff(taken.indptr)), taken.indices] = taken.data

    def block(self, start: int, stop: int) -> Array:
        return self.csr[start:stop].toarray()

    def part(self, rows: Rows, dtype: Any) -> "SparseSource":
        return SparseSource(self.csr[rows].astype(dtype))

    def held(self) -> object:
        return self.csr

    def largest(self, rows: Rows) -> Array:
        taken, found = self.csr[rows], np.zeros(self.shape[1])
        np.maximum.at(found, taken.indices, np.abs(taken.data.astype(np.float64)))
        return found

    def extremes(self) -> tuple[Array, Array]:
        columns = self.csr.tocsc()
        low, high = (found(axis=0).toarray().ravel() for found in (columns.min, columns.max))
        return low, high

    def require_finite(self, what: str, dtype: np.dtype[Any]) -> None:
        def place_of(i: int) -> tuple[int, int]:
            return int(np.searchsorted(self.csr.indptr, i, "right")) - 1, int(self.csr.indices[i])

        require_finite(self.csr.data, what, dtype, place_of=place_of)

    def checksum(self) -> int:
        value = 0
        for a in (self.csr.indptr, self.csr.indices, self.csr.data):
            value = zlib.crc32(np.ascontiguousarray(a).data, value)
        return value


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a matrix or array of scipy.sparse, which is loaded if somebody has one."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(x))
