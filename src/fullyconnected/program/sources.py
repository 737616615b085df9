"""Sources of the rows of a data set, which are read by the batch or by the block, never all at once."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from unicodedata import normalize

import numpy as np

from fullyconnected.core.arrays import Array, take
from fullyconnected.core.batches import Rows
from fullyconnected.core.checks import as_array, require_finite, rows_of
from fullyconnected.core.mapped import is_mapped
from fullyconnected.errors import DataError, InputTypeError, ShapeError, nearest
from fullyconnected.program.claims import beside, dtype_of, names_of, shape_of, shards_of

if TYPE_CHECKING:
    from fullyconnected.annotations import DType, DTypeLike

__all__ = [
    "ArraySource",
    "Chosen",
    "Converted",
    "Named",
    "Read",
    "Source",
    "SparseRows",
    "SparseSource",
    "array_source",
    "beneath",
    "is_sparse",
    "number_of",
    "read_in_place",
    "spread",
    "take_by_blocks",
]

BLOCK = 1 << 20  # entries per block
GAP = 64  # rows that are read in vain rather than read apart
PLACES = 10  # of which some rows are taken where each has to be read
CHECKED = 1 << 24  # bytes of which a checksum is taken at a time


class Source:
    """Rows of numbers that are read when they are needed, as ``x`` of :func:`fullyconnected.fit` and of a network.

    A subclass has ``shape``, which is (rows, n_in), ``dtype``, and the method ``block``. Everything else has a default.
    A run reads windows of rows by ``block``, in a thread of its own, while it trains on the rows before
    (:func:`fullyconnected.fit`, ``window`` and ``streams``); a prediction reads one block after the other.

    Attributes
    ----------
    shape : (int, int)
        The number of rows and of columns.
    dtype : numpy.dtype
        The dtype of the numbers, which holds those that ``block`` returns; wider floats are rounded to it.
    shards : sequence of int, optional
        How many rows lie together, such as those of a file. A shuffle goes through the shards in an order that is
        drawn, so that rows are read mostly one after the other. Without, any range of rows is as fast as any other.
    columns : sequence of str, optional
        The names of all columns, each another text, which a network then remembers; ``source[["age", "rooms"]]``
        has these alone.
    keep : bool
        Whether reading takes so long that a run of several epochs keeps what it has read in a temporary file, and
        reads no row twice. It does so if that takes at most half of the room that is free there.

    Examples
    --------
    >>> import numpy as np
    >>> import fullyconnected as fc
    >>> class Waves(fc.Source):
    ...     shape, dtype = (100_000, 2), np.dtype(np.float64)
    ...     def block(self, start, stop):
    ...         n = np.arange(start, stop)
    ...         return np.stack([np.sin(n), np.cos(n)], axis=1)
    ...     def targets(self):
    ...         return np.sin(2 * np.arange(len(self)))
    >>> net = fc.mlp([2, 8, 1], seed=0)
    >>> history = fc.fit(net, Waves(), loss="half_squared_error", epochs=1, window=10_000, progress=False)
    >>> net.evaluate(Waves(), loss="half_squared_error").loss < 0.1
    True
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    sparse: ClassVar[bool] = False
    in_memory: ClassVar[bool] = False
    shards: Sequence[int] | None = None
    columns: Sequence[str] | None = None
    keep: bool = False

    def block(self, start: int, stop: int) -> Array:
        """Return the rows from ``start`` up to, not including, ``stop``; the caller must not write to them."""
        raise NotImplementedError(f"{type(self).__name__} has no block")

    def fill(self, start: int, out: Array) -> None:
        """Copy rows, from ``start`` on, into ``out`` (rows, n_in), of any float dtype or of the source's own."""
        out[...] = self.block(start, start + len(out))

    def take(self, rows: Rows, out: Array) -> None:
        """Copy the rows with these numbers, in this order, into ``out`` (rows, n_in), of any float dtype."""
        take_by_blocks(self.block, rows, out)

    def targets(self) -> Array | None:
        """Return the targets of all rows, or None if they are given apart, as ``t``."""
        return None

    def weights(self) -> Array | None:
        """Return the weights of all rows, or None."""
        return None

    def where(self, row: int, column: int | None = None) -> str:
        """Return where a number comes from, for messages, such as the name of a file; or an empty string."""
        return ""

    def verify(self, start: int, stop: int) -> None:
        """Raise if rows are no longer those that have been read: called where they are kept, in place of ``fill``."""

    def __len__(self) -> int:
        return shape_of(self)[0]

    def __array__(self, dtype: object = None, copy: object = None) -> Array:
        """Raise, for whoever takes rows that are in memory alone, with how to get some."""
        raise TypeError("its rows are read when they are needed; source.block(0, 100) returns the first hundred")

    def __getitem__(self, names: Sequence[str]) -> Source:
        """Return the source with these of its columns as inputs, in this order."""
        if not isinstance(names, str | Sequence) and callable(getattr(names, "tolist", None)):  # an array or an index
            listed = names.tolist()
        else:
            listed = names
        if (
            isinstance(listed, str)
            or not isinstance(listed, Sequence)
            or not all(isinstance(each, str) for each in listed)
        ):
            raise InputTypeError(
                f"a {type(self).__name__}[...] takes a list of names of columns; got {names!a:.80}. Its rows are not "
                f"chosen by their numbers: block(start, stop) returns some, and scikit-learn's searches and "
                f"cross-validation take arrays and tables"
            )
        return Named(self, listed)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield all rows in blocks, each with the number of its first row."""
        size = max(1, BLOCK // self.shape[1])
        for start in range(0, len(self), size):
            yield start, self.block(start, min(start + size, len(self)))

    def taken(self, rows: Rows, dtype: DTypeLike | np.dtype[np.generic]) -> Array:
        """Return a copy of some rows, cast to ``dtype``."""
        out = np.empty((len(rows), *self.shape[1:]), dtype)
        self.take(rows, out)
        return out

    def part(self, rows: Rows, dtype: DTypeLike | np.dtype[np.generic]) -> Source:
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

    def require_finite(self, what: str, dtype: DType) -> None:
        """Raise if an entry is not finite in ``dtype``; ``what`` is the name of the rows in the message."""
        for start, block in self.blocks():
            require_finite(block, what, dtype, start)

    def checksum(self) -> int:
        """Return a checksum of all entries."""
        value, rows = 0, max(1, CHECKED // max(1, self.block(0, 1).nbytes))
        for start in range(0, len(self), rows):
            value = zlib.crc32(self.block(start, min(start + rows, len(self))).tobytes(), value)
        return value


def take_by_blocks(block: Callable[[int, int], Array], rows: Rows, out: Array) -> None:
    """Copy the rows with these numbers into ``out``, in ascending ranges, of which ``block(start, stop)`` gives one."""
    by_number = np.argsort(rows, kind="stable")
    ordered, at = rows[by_number], 0
    size = max(1, BLOCK // out.shape[1])
    while at < len(ordered):  # ranges of rows, of which not too many lie between those that are asked for
        end = int(np.searchsorted(ordered, ordered[at] + size))
        gaps = np.flatnonzero(np.diff(ordered[at:end]) > GAP)
        end = at + 1 + int(gaps[0]) if len(gaps) else end
        first, last = int(ordered[at]), int(ordered[end - 1])
        out[by_number[at:end]] = block(first, last + 1)[ordered[at:end] - first]
        at = end


def spread(source: Source, n: int) -> Rows:
    """Return the numbers of about ``n`` rows from all over a source; where each has to be read, of a few places.

    These are the beginnings of shards, since what is in the middle of one may only be reached through what is before.
    """
    if source.in_memory:
        return np.linspace(0, len(source) - 1, n).astype(np.intp)
    if source.shards is None:
        firsts = np.linspace(0, len(source) - 1, PLACES).astype(np.intp)
    else:
        shards = np.array(source.shards)
        firsts = (np.cumsum(shards) - shards)[shards > 0]
        firsts = firsts[np.linspace(0, len(firsts) - 1, min(PLACES, len(firsts))).astype(np.intp)]
    rows = np.unique(firsts[:, None] + np.arange(max(1, n // len(firsts))))
    return rows[rows < len(source)]


def _is_own(source: Source, method: str) -> bool:
    """Whether a source has a method of its own in place of the default."""
    return getattr(getattr(source, method), "__func__", None) is not getattr(Source, method)


class Read(Source):
    """A source that is not in memory: what it gives is checked whenever it is read, and never all of it at once.

    ``check`` raises if rows cannot be used; it is called with a block and the number of its first row. Targets and
    weights of the source are no longer there.
    """

    def __init__(
        self, source: Source, what: str, check: Callable[[Array, int], None] = lambda block, first: None
    ) -> None:
        self.source, self.what, self.check, self.name = source, what, check, type(source).__name__
        self.shape, self.dtype = shape_of(source, what), dtype_of(source, what)
        self.shards, self.columns, self.keep = shards_of(source, what), names_of(source, what), source.keep

    def block(self, start: int, stop: int) -> Array:
        return self.checked(self.source.block(start, stop), start, stop)

    def fill(self, start: int, out: Array) -> None:
        if out.dtype == self.dtype and _is_own(self.source, "fill"):
            self.source.fill(start, out)
            self.check(out, start)
        else:  # a number that is too large for the dtype is told from one that is infinite before it is cast
            super().fill(start, out)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        if not _is_own(self.source, "blocks"):
            yield from super().blocks()
            return
        at = 0
        for start, block in self.source.blocks():
            yield start, self.checked(block, start, at := start + (len(block) if np.ndim(block) else 0))
        if at != len(self):
            raise ShapeError(
                f"the blocks of {self.what}, a {self.name}, have {at} rows, and its shape says {len(self)}"
            )

    def checked(self, block: Any, start: int, stop: int) -> Array:
        """Return what the source gives for the rows of a range, or raise if that is something else."""
        block = as_array(block, f"a block of {self.what}")
        if block.shape != (stop - start, *self.shape[1:]):
            raise ShapeError(
                f"the rows {start} to {stop} of {self.what}, a {self.name}, come with the shape {block.shape}; "
                f"{(stop - start, *self.shape[1:])} is wanted"
            )
        self.check(block, start)
        if not np.can_cast(block.dtype, self.dtype):
            self._require_held(block, start)
        return block

    def _require_held(self, block: Array, start: int) -> None:
        """Raise if numbers of a wider dtype than the source says would become others, not only be rounded."""
        if self.dtype.kind != "f":
            raise InputTypeError(
                f"the rows of {self.what}, a {self.name}, come as {block.dtype}, and its dtype is {self.dtype}, which "
                f"does not hold such numbers: let its dtype be numpy.dtype({str(block.dtype)!r})"
            )
        floats: DType = self.dtype  # type: ignore[assignment]
        wrong = np.isfinite(block) & (np.abs(block) > np.float64(np.finfo(floats).max))
        if wrong.any():
            row, column = map(int, np.argwhere(wrong)[0])
            raise DataError(
                f"{self.what}[{start + row}, {column}] is {block[row, column]!s}, too large for {self.dtype}, as the "
                f"dtype of {self.what}, a {self.name}, says: let it be numpy.dtype({str(block.dtype)!r})"
            )

    def take(self, rows: Rows, out: Array) -> None:
        if not _is_own(self.source, "take"):
            take_by_blocks(self.block, rows, out)
            return
        self.source.take(rows, out)
        try:
            self.check(out, 0)
        except DataError:
            for row, each in zip(rows.tolist(), out, strict=True):  # which names the row by its number
                self.check(each[None], row)
            raise

    def checksum(self) -> int:
        return self.source.checksum() if _is_own(self.source, "checksum") else super().checksum()

    def verify(self, start: int, stop: int) -> None:
        self.source.verify(start, stop)

    def where(self, row: int, column: int | None = None) -> str:
        return self.source.where(row, column)


class Chosen(Source):
    """Some of the rows of a source, which are read from it when they are needed; ``rows`` are numbers that ascend.

    Its shards are those of the source, as far as their rows are among these.
    """

    def __init__(self, source: Source, rows: Rows) -> None:
        self.source, self.rows = source, rows
        self.shape, self.dtype = (len(rows), *source.shape[1:]), np.dtype(source.dtype)
        self.columns, self.keep = source.columns, source.keep
        if source.shards is not None:
            borders = np.concatenate([[0], np.cumsum(source.shards)])
            self.shards = tuple(np.diff(np.searchsorted(rows, borders)).tolist())

    def block(self, start: int, stop: int) -> Array:
        out = np.empty((stop - start, *self.shape[1:]), self.dtype)
        self.fill(start, out)
        return out

    def fill(self, start: int, out: Array) -> None:
        rows = self.rows[start : start + len(out)]
        if self.source.in_memory:
            self.source.take(rows, out)
        else:  # which goes on reading where it has ended
            take_by_blocks(self.source.block, rows, out)

    def take(self, rows: Rows, out: Array) -> None:
        self.source.take(self.rows[rows], out)

    def checksum(self) -> int:
        return zlib.crc32(self.rows.astype("<i8").data, self.source.checksum())

    def verify(self, start: int, stop: int) -> None:
        if stop > start:
            self.source.verify(int(self.rows[start]), int(self.rows[stop - 1]) + 1)

    def where(self, row: int, column: int | None = None) -> str:
        return self.source.where(int(self.rows[row]), column)


def some_rows(source: Source, start: int, stop: int) -> Source:
    """Return the rows from ``start`` to ``stop`` of a checked source."""
    if isinstance(source, ArraySource):
        return ArraySource(source.array[start:stop])
    if isinstance(source, SparseSource):
        return SparseSource(source.csr[start:stop])
    return Chosen(source, np.arange(start, stop))


def beneath(source: Source) -> Source:
    """Return the source that a source reads its rows from, or itself."""
    while isinstance(source, Read | Chosen):
        source = source.source
    return source


class Named(Source):
    """Some columns of a source by their names, in this order."""

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        self.source, self.columns, self.read = source, tuple(names), Read(source, "x")
        of_all = self.read.columns or ()
        known = [normalize("NFC", name) for name in of_all]
        for name in names:
            if normalize("NFC", name) not in known:
                raise nearest(f"column of a {type(source).__name__}", name, of_all)
        self.numbers = [known.index(normalize("NFC", name)) for name in names]
        self.shape, self.dtype, self.shards = (len(source), len(names)), self.read.dtype, self.read.shards
        self.keep = source.keep

    def block(self, start: int, stop: int) -> Array:
        return self.read.block(start, stop)[:, self.numbers]

    def targets(self) -> Array | None:
        return beside(self.source, "x")[0]

    def weights(self) -> Array | None:
        return beside(self.source, "x")[1]

    def checksum(self) -> int:
        return zlib.crc32(bytes(str(self.numbers), "ascii"), self.read.checksum())

    def where(self, row: int, column: int | None = None) -> str:
        return self.source.where(row, None if column is None else self.numbers[column])

    def verify(self, start: int, stop: int) -> None:
        self.source.verify(start, stop)


def number_of(source: Source, row: int) -> int:
    """Return the number by which the caller knows a row of a source."""
    while isinstance(source, Read | Chosen):
        row, source = int(source.rows[row]) if isinstance(source, Chosen) else row, source.source
    return row


class ArraySource(Source):
    """An array in memory; one object belongs to one thread at a time."""

    in_memory = True

    def __init__(self, array: Array) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self._raw = array[:0]  # rows before they are cast

    def __len__(self) -> int:  # of targets, too, which may have one dimension
        return self.shape[0]

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


class Converted(ArraySource):
    """An array in a file that is not read where it lies, but converted a few rows at a time.

    It has another dtype than engines read, or rows whose numbers do not lie one after the other: it is in Fortran
    order, or some columns of a larger one. Rows may have several dimensions, which are flattened in C order.
    """

    def __init__(self, array: Array, n_in: int) -> None:
        super().__init__(array)
        self.shape = len(array), n_in

    def take(self, rows: Rows, out: Array) -> None:
        np.copyto(out, self.array[rows].reshape(out.shape), casting="unsafe")

    def block(self, start: int, stop: int) -> Array:
        return self.array[start:stop].reshape(stop - start, *self.shape[1:])

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield the whole array as one block, since engines take parts of it; if it is none of rows, several."""
        return super().blocks() if self.array.ndim == 2 else Source.blocks(self)


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
    def T(self) -> SparseRows:
        """The transpose."""
        return SparseRows(self.dtype, self.matrix.T)


class SparseSource(Source):
    """The rows of a sparse matrix of SciPy, which is converted to CSR once, and never made dense as a whole."""

    sparse = True
    in_memory = True

    def __init__(self, csr: Any) -> None:
        self.csr, self.shape, self.dtype = csr, csr.shape, csr.dtype

    @classmethod
    def of(cls, x: Any, n_in: int, what: str, *, empty: bool = False) -> SparseSource:
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

    def part(self, rows: Rows, dtype: DTypeLike | np.dtype[np.generic]) -> SparseSource:
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

    def require_finite(self, what: str, dtype: DType) -> None:
        def place_of(i: int) -> tuple[int, int]:
            return int(np.searchsorted(self.csr.indptr, i, "right")) - 1, int(self.csr.indices[i])

        require_finite(self.csr.data, what, dtype, place_of=place_of)

    def checksum(self) -> int:
        value = 0
        for a in (self.csr.indptr, self.csr.indices, self.csr.data):
            value = zlib.crc32(np.ascontiguousarray(a).data, value)
        return value


def array_source(array: Array, n_in: int) -> ArraySource:
    """Return the source of an array of rows of ``n_in`` numbers; one in a file is never copied as a whole."""
    if is_mapped(array):
        in_order = array.flags.c_contiguous and array.flags.aligned
        if not (in_order and read_in_place(array.dtype)):
            return Converted(array, n_in)
    return ArraySource(array.reshape(len(array), n_in))


def read_in_place(dtype: np.dtype[Any]) -> bool:
    """Whether every engine reads numbers of a dtype where they lie; others are converted."""
    return dtype.isnative and (dtype.kind in "biu" or dtype in (np.float32, np.float64))


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a matrix or array of scipy.sparse, which is loaded if somebody has one."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(x))
