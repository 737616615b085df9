"""Sources of rows from Arrow's columns: a table, and Parquet files, which are read a few rows at a time."""

from __future__ import annotations

import glob
import os
import re
import threading
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from unicodedata import normalize

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.core.mapped import scratch
from fullyconnected.errors import DataError, FileAccessError, FileFormatError, InputTypeError, missing, nearest
from fullyconnected.program.sources import Source, take_by_blocks

if TYPE_CHECKING:
    import pyarrow

    from fullyconnected.annotations import PathLike

__all__ = ["INDEX", "MAGIC", "SHORTEST", "ArrowTable", "Columnar", "Parquet", "files_of", "is_text"]

INDEX = re.compile(r"__index_level_\d+__")  # pandas names its index so, which is no column
MAGIC = b"PAR1"  # a Parquet file begins and ends so
SHORTEST = 12  # bytes: both, and the length of the footer between
ROWS, CELLS = 1 << 16, 1 << 20  # of a table that are decoded at a time, at most
BATCH = 1 << 18  # numbers that are decoded at a time
OPEN = 64  # row groups that are read from at a time
EXACT = {"float", "halffloat", "int8", "int16", "uint8", "uint16", "bool"}  # types whose numbers float32 holds


def _pyarrow(purpose: str) -> Any:
    """Return the package, or raise if it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet  # noqa: F401  a part that is loaded by name alone
    except ImportError:
        raise missing("pyarrow", "files", purpose) from None
    return pyarrow


class _Columns(NamedTuple):
    """Which columns of a schema are the inputs, the targets and the weights."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    weight: str | None

    @classmethod
    def of(cls, schema: Any, what: str, target: Any, weight: Any, columns: Any) -> _Columns:
        """Return the columns that are asked for, or raise where the schema lacks one, or weights are no numbers."""
        known = _known(schema, what)

        def names_of(given: Any, name: str) -> tuple[str, ...]:
            if given is None:
                return ()
            asked = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
            if not all(isinstance(each, str) for each in asked):
                raise InputTypeError(f"{name} is the name of a column or a list of names; got {given!a:.80}")
            for each in asked:
                if normalize("NFC", each) not in known:
                    raise nearest(f"column of {what}", each, known.values())
            found = tuple(known[normalize("NFC", each)] for each in asked)
            if len({*found}) < len(found):
                twice = next(each for each in found if found.count(each) > 1)
                raise DataError(f"{name} names the column {twice!a:.80} of {what} twice")
            return found

        targets, weights = names_of(target, "target"), names_of(weight, "weight")
        inputs = names_of(columns, "columns")
        if columns is None:
            others = {*targets, *weights}
            inputs = tuple(name for name in schema.names if name not in others and not INDEX.fullmatch(name))
        if both := sorted({*inputs} & {*targets, *weights}):
            raise DataError(f"the column {both[0]!a:.80} of {what} is both an input and the target or the weight")
        if both := sorted({*targets} & {*weights}):
            raise DataError(f"the column {both[0]!a:.80} of {what} is both the target and the weight")
        if len(weights) > 1:
            raise InputTypeError(f"weight is the name of one column; got {weight!a:.80}")
        if not inputs:
            raise DataError(f"{what} has no column besides the target: no inputs")
        for name in weights:
            cls.require_numbers(schema.field(name), what)
        for field in map(schema.field, targets):
            if not (_is_number(field.type) or is_text(field.type)):
                raise InputTypeError(
                    f"the target {field.name!a:.80} of {what} holds neither numbers nor text ({field.type}): make one "
                    f"of these of it"
                )
        return cls(inputs, targets, weights[0] if weights else None)

    @property
    def all(self) -> tuple[str, ...]:
        """The names of all columns that are read."""
        return (*self.inputs, *self.targets, *(() if self.weight is None else (self.weight,)))

    @staticmethod
    def require_numbers(field: Any, what: str) -> None:
        """Raise if a column holds no numbers."""
        if not _is_number(field.type):
            raise InputTypeError(
                f"the column {field.name!a:.80} of {what} holds no numbers ({field.type}): name those that do, "
                f"columns=[...], or encode it as numbers. (TabularClassifier and TabularRegressor take text and dates)"
            )

    def dtype(self, schema: Any, what: str) -> np.dtype[Any]:
        """Return float32 where that holds every number of the inputs exactly, else float64; raise for other inputs."""
        for name in self.inputs:
            self.require_numbers(schema.field(name), what)
        return np.dtype(np.float32 if all(str(schema.field(n).type) in EXACT for n in self.inputs) else np.float64)


def _known(schema: Any, what: str) -> dict[str, str]:
    """Return the names of a schema by their form in NFC; raise if two columns have the same."""
    names = [normalize("NFC", name) for name in schema.names]
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{what} has two columns of the name {twice!a:.80}: they can be told apart by nothing")
    return dict(zip(names, schema.names, strict=True))


def _filled(batch: Any, names: Sequence[str], out: Array) -> None:
    """Write columns of Arrow into rows; what is missing becomes NaN."""
    for j, name in enumerate(names):
        out[:, j] = _numbers(batch.column(name))


def _numbers(column: Any) -> Array:
    """Return the numbers of a column, or of a part of one, as they are where none is missing."""
    if _pyarrow("reading columns").types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        numbers = column.__array__()
    except TypeError:
        numbers = np.empty(0, object)
    return np.asarray(column.cast("float64")) if numbers.dtype == object else numbers


def _values(column: Any) -> Array:
    """Return the numbers of a column, or its text, of which equal ones of a batch are the same object."""
    if is_text(column.type):
        coded = _pyarrow("reading columns").types.is_dictionary(column.type)
        column = column if coded else column.dictionary_encode()
        texts = np.array([*column.dictionary.to_pylist(), None], object)
        return texts[np.asarray(column.indices.fill_null(len(texts) - 1).cast("int64"))]
    return _numbers(column)


def _is_number(kind: Any) -> bool:
    """Whether columns of a type of Arrow hold numbers, or nothing at all."""
    types = _pyarrow("reading columns").types
    if types.is_dictionary(kind):
        kind = kind.value_type
    kinds = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null
    return any(is_of(kind) for is_of in kinds)


def _joined(kind: Any, other: Any) -> Any:
    """Return the type of a column of which files hold these two, or None if that cannot be one column.

    How wide a number or the code of a text is, is no property of the data; and where all of a column is missing, a file
    does not say what it is.
    """
    pa = _pyarrow("reading columns")
    types = pa.types
    if kind == other or types.is_null(other):
        return kind
    if types.is_null(kind):
        return other
    if is_text(kind) and is_text(other):
        return kind if types.is_dictionary(kind) and types.is_dictionary(other) else pa.string()
    if _is_number(kind) and _is_number(other):
        return pa.float32() if {str(kind), str(other)} <= EXACT else pa.float64()
    dates = [types.is_date(each) or types.is_timestamp(each) for each in (kind, other)]
    zones = {getattr(each, "tz", None) is None for each in (kind, other)}
    return kind if all(dates) and len(zones) == 1 else None


def is_text(kind: Any) -> bool:
    """Whether columns of a type of Arrow hold text, or codes of text."""
    types = _pyarrow("reading columns").types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_of(kind) for is_of in (types.is_string, types.is_large_string, types.is_string_view))


class Columnar(Source):
    """What both sources share: the names of their columns, and targets and weights as arrays."""

    chosen: _Columns
    what: str
    schema: pyarrow.Schema
    keep = True

    @cached_property
    def dtype(self) -> np.dtype[np.generic]:  # type: ignore[override]
        """The dtype in which the inputs are read as numbers; raises for text and the like."""
        return self.chosen.dtype(self.schema, self.what)

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the inputs."""
        return self.chosen.inputs

    def block(self, start: int, stop: int) -> Array:
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        self.fill(start, out)
        return out

    def _require_rows(self, start: int, stop: int) -> None:
        """Raise if these rows are not among those of the source."""
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"rows {start} to {stop} are asked for, and there are {len(self)}")

    def batches(self, names: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        """Yield some columns of all rows as they are, in record batches of Arrow."""
        raise NotImplementedError

    def targets(self) -> Array | None:
        """Return the targets, (rows,) of one column and (rows, columns) of several; None without a target.

        Labels that are text come as they are. What takes more than 64 MB lies in a temporary file.
        """
        return self._all_of(self.chosen.targets) if self.chosen.targets else None

    def weights(self) -> Array | None:
        """Return the weights of the rows, or None without a column of weights."""
        return None if self.chosen.weight is None else self._all_of((self.chosen.weight,))

    def _all_of(self, names: tuple[str, ...]) -> Array:
        """Return columns of all rows, (rows,) for one and (rows, columns) for several; raise where one is missing."""
        out, at = np.empty(0), 0
        for batch in self.batches(names):
            each = [_values(batch.column(name)) for name in names]
            for name, values in zip(names, each, strict=True):
                self._require_there(name, values, at)
            values = each[0] if len(names) == 1 else np.stack(each, axis=1)
            if not at:
                out = scratch((len(self), *values.shape[1:]), values.dtype)
            out[at : at + len(values)] = values
            at += len(values)
        return out

    def _require_there(self, name: str, values: Array, first: int) -> None:
        if values.dtype == object:
            wrong = np.flatnonzero([each is None for each in values])
        else:
            wrong = np.flatnonzero(np.isnan(values))
        if len(wrong):
            row = first + int(wrong[0])
            place = self.where(row)
            raise DataError(
                f"the column {name!a:.80} is missing or NaN in row {row}{f' ({place})' * bool(place)}: leave out such "
                f"rows"
            )


class ArrowTable(Columnar):
    """The rows of an Arrow table: inputs, targets and weights by the names of columns.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        It may be mapped into memory from a file (``pyarrow.memory_map``, ``pyarrow.ipc.open_file``). Its numbers are
        read as float32 where that holds each of them exactly, else as float64, a block of rows at a time.
    target : str or list of str, optional
        The column of the targets, or several.
    weight : str, optional
        The column of the rows' weights.
    columns : list of str, optional
        The columns of the inputs, in this order; None is all others.

    Raises
    ------
    UnknownNameError, InputTypeError, DataError
        For columns that are not there, and for weights that are no numbers. Inputs that are text or dates are for the
        estimators for tables: where numbers are read, they are refused.

    Examples
    --------
    >>> import pyarrow
    >>> import fullyconnected as fc
    >>> table = pyarrow.table({"width": [1.0, 2.0, 3.0], "height": [4.0, 3.0, 1.0], "area": [4.0, 6.0, 3.0]})
    >>> rows = fc.ArrowTable(table, target="area")
    >>> rows.columns, rows.shape, rows.targets()
    (('width', 'height'), (3, 2), array([4., 6., 3.]))
    """

    def __init__(
        self,
        table: pyarrow.Table | pyarrow.RecordBatch,
        target: str | Sequence[str] | None = None,
        *,
        weight: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        pa = _pyarrow("an Arrow table")
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        if not isinstance(table, pa.Table):
            raise InputTypeError(f"ArrowTable takes a pyarrow.Table; got a {type(table).__name__}")
        self.what = "the table"
        self.table, self.schema = table, table.schema
        self.chosen = _Columns.of(table.schema, self.what, target, weight, columns)
        self.shape = table.num_rows, len(self.chosen.inputs)

    def __getitem__(self, names: Sequence[str]) -> Self:
        """Return the source with these columns as inputs."""
        return type(self)(self.table, self.chosen.targets or None, weight=self.chosen.weight, columns=names)

    def fill(self, start: int, out: Array) -> None:
        self._require_rows(start, start + len(out))
        _filled(self.table.slice(start, len(out)), self.chosen.inputs, out)

    def batches(self, names: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        yield from self.table.select(list(names)).to_batches(max_chunksize=_rows(names))


def _rows(names: Sequence[str]) -> int:
    """Return how many rows of some columns are decoded at a time."""
    return max(1, min(ROWS, CELLS // len(names)))


class _Group(NamedTuple):
    """A row group of a file: where its rows begin among all rows."""

    path: str
    number: int
    first: int
    rows: int

    def __str__(self) -> str:
        return f"{self.path}, row group {self.number}"


class Parquet(Columnar):
    """The rows of Parquet files: inputs, targets and weights by the names of columns.

    Each row group is a shard. Rows are decoded a few at a time, so that neither a file nor a row group has to fit in
    memory. Targets and weights that take more than 64 MB lie in a temporary file.

    Parameters
    ----------
    path : path or list of paths
        A file, a folder (all files ``*.parquet`` below it, in the order of their names; those whose name begins with
        ``.`` or ``_`` are left out), or a pattern such as ``"part-*.parquet"``.
    target : str or list of str, optional
        The column of the targets, or several; they are numbers, as the loss takes them.
    weight : str, optional
        The column of the rows' weights.
    columns : list of str, optional
        The columns of the inputs, in this order; None is all others. They are read as float32 where that holds each
        of their numbers exactly (float, 8 or 16 bits, bool), else as float64.

    Raises
    ------
    FileAccessError, FileFormatError
        For files that are not there, and for what is no Parquet file, is cut short or damaged.
    UnknownNameError, InputTypeError, DataError
        For columns that are not there, and for files whose columns are not those of the first. Inputs that are text or
        dates are for the estimators for tables: where numbers are read, they are refused.

    Examples
    --------
    >>> import os, tempfile, pyarrow, pyarrow.parquet
    >>> import fullyconnected as fc
    >>> folder = tempfile.mkdtemp()
    >>> table = pyarrow.table({"x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, 3.0, 5.0, 7.0]})
    >>> pyarrow.parquet.write_table(table, os.path.join(folder, "part-0.parquet"), row_group_size=2)
    >>> rows = fc.Parquet(folder, target="y")
    >>> rows.shape, rows.shards, rows.block(1, 3).tolist()
    ((4, 1), (2, 2), [[1.0], [2.0]])
    >>> net = fc.mlp([1, 8, 1], activation="tanh", seed=0)
    >>> history = fc.fit(net, rows, loss="half_squared_error", epochs=3, progress=False)
    """

    def __init__(
        self,
        path: PathLike | Sequence[PathLike],
        target: str | Sequence[str] | None = None,
        *,
        weight: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.paths = files_of(path)
        self._lock, self._readers = threading.Lock(), dict[_Group, _GroupReader]()
        self.schema, self._groups = None, list[_Group]()
        first, self._sums = 0, dict[str, int]()
        for each in self.paths:
            file, self._sums[each] = _opened(each)
            with file:
                if self.schema is None:
                    self.schema, self.what = file.schema_arrow, each
                    self.chosen = _Columns.of(self.schema, each, target, weight, columns)
                else:
                    self._join(file.schema_arrow, each)
                for number in range(file.metadata.num_row_groups):
                    rows = file.metadata.row_group(number).num_rows
                    if rows:
                        self._groups.append(_Group(each, number, first, rows))
                    first += rows
        self.shape = (first, len(self.chosen.inputs))
        self.shards = tuple(group.rows for group in self._groups)
        self._firsts = [0, *accumulate(self.shards)][:-1]

    def _join(self, schema: Any, path: str) -> None:
        """Take over the types of another file; raise if its columns that are read cannot be those of the first."""
        known = _known(schema, path)
        for name in self.chosen.all:
            own = known.get(normalize("NFC", name))
            if own is None:
                raise DataError(f"{path} has no column {name!a:.80}, which {self.what} has: all files need the same")
            if own != name:
                raise DataError(
                    f"the column {name!a:.80} of {self.what} is written with other characters in {path}, {own!a:.80}, "
                    f"which look the same: write all files with the same names"
                )
            field = self.schema.field(name)
            if (both := _joined(field.type, schema.field(own).type)) is None:
                raise DataError(
                    f"the column {name!a:.80} is {schema.field(own).type} in {path}, and {field.type} in {self.what}: "
                    f"all files need the same"
                )
            self.schema = self.schema.set(self.schema.get_field_index(name), field.with_type(both))

    def __getitem__(self, names: Sequence[str]) -> Self:
        """Return the source with these columns as inputs."""
        chosen = self.chosen
        return type(self)(self.paths, chosen.targets or None, weight=chosen.weight, columns=names)

    def __reduce__(self) -> tuple[Any, ...]:
        chosen = self.chosen
        paths = [os.path.abspath(path) for path in self.paths]
        return _again, (paths, chosen.targets or None, chosen.weight, chosen.inputs)

    def fill(self, start: int, out: Array) -> None:
        with self._lock:
            self._fill(start, out, self._readers, OPEN)

    def take(self, rows: Rows, out: Array) -> None:
        readers: dict[_Group, _GroupReader] = {}  # one at a time, since they are left where they are

        def block(start: int, stop: int) -> Array:
            found = np.empty((stop - start, self.shape[1]), self.dtype)
            self._fill(start, found, readers, 1)
            return found

        take_by_blocks(block, rows, out)

    def _fill(self, start: int, out: Array, readers: dict[_Group, _GroupReader], most: int) -> None:
        """Copy rows, and keep at most so many readers of the row groups that have more."""
        at, stop = start, start + len(out)
        self._require_rows(start, stop)
        while at < stop:
            group = self._groups[bisect_right(self._firsts, at) - 1]
            first, end = at - group.first, min(stop, group.first + group.rows)
            reader = readers.pop(group, None)
            if reader is None or reader.at > first:
                reader = None  # its memory is free before another takes some
                for old in list(readers)[: len(readers) - most + 1]:
                    del readers[old]
                reader = _GroupReader(group, self.chosen.inputs, self._sums[group.path])
            reader.skip(first - reader.at)
            reader.read(out[at - start : end - start])
            if end < group.first + group.rows:
                readers[group] = reader
            at = end

    def batches(self, names: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        for path in self.paths:
            file, _ = _opened(path, self._sums[path])
            batches = file.iter_batches(_rows(names), columns=list(names), use_threads=False)
            while True:
                with _named_errors(file, path, names):
                    batch = next(batches, None)
                if batch is None:
                    break
                yield batch.select(list(names))

    def checksum(self) -> int:
        """Return a checksum of the inputs' names and the footers: the place, size and extremes of every column."""
        value = zlib.crc32(repr(self.chosen.inputs).encode("utf-8", "backslashreplace"))
        for path in self.paths:
            value = zlib.crc32(self._sums[path].to_bytes(4, "little"), value)
        return value

    def verify(self, start: int, stop: int) -> None:
        first, last = (bisect_right(self._firsts, row) - 1 for row in (start, stop - 1))
        for path in dict.fromkeys(group.path for group in self._groups[first : last + 1]):
            _identity(path, self._sums[path])

    def where(self, row: int, column: int | None = None) -> str:
        group = self._groups[bisect_right(self._firsts, row) - 1]
        name = "" if column is None else f", column {self.chosen.inputs[column]!a:.80}"
        return f"{group}, its row {row - group.first}{name}"


def _again(paths: list[str], target: Any, weight: Any, columns: Any) -> Parquet:
    """Return the source of a pickle."""
    return Parquet(paths, target, weight=weight, columns=columns)


class _GroupReader:
    """Reads a row group from its beginning, a few rows at a time."""

    def __init__(self, group: _Group, names: Sequence[str], footer: int) -> None:
        self.group, self.names, self.at = group, list(names), 0
        self.file, _ = _opened(group.path, footer)
        rows = max(64, BATCH // len(names))
        self.batches: Iterator[Any] = self.file.iter_batches(
            rows, row_groups=[group.number], columns=self.names, use_threads=False
        )
        self.batch: Any = None  # what is left of the last one

    def skip(self, rows: int) -> None:
        """Pass over rows."""
        while rows:
            batch = self.some(rows)
            rows -= batch.num_rows

    def read(self, out: Array) -> None:
        """Write the next rows."""
        done = 0
        while done < len(out):
            batch = self.some(len(out) - done)
            _filled(batch, self.names, out[done : done + batch.num_rows])
            done += batch.num_rows

    def some(self, most: int) -> Any:
        """Return the next rows, one or more, and at most so many."""
        while self.batch is None or not self.batch.num_rows:
            with _named_errors(self.file, str(self.group), self.names, self.group.number):
                self.batch = next(self.batches, None)
            if self.batch is None:
                raise DataError(f"{self.group} ends after {self.at} of its {self.group.rows} rows: the file is damaged")
        found, self.batch = self.batch.slice(0, most), self.batch.slice(most)
        self.at += found.num_rows
        return found


class _named_errors:
    """Turns what goes wrong while columns are read into an error that names the file, the row group and the column."""

    def __init__(self, file: Any, what: str, names: Sequence[str], group: int | None = None) -> None:
        self.file, self.what, self.names, self.group = file, what, names, group

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        pa = _pyarrow("reading Parquet")
        if not isinstance(error, pa.ArrowException | OSError) or isinstance(error, MemoryError):
            return
        groups = range(self.file.metadata.num_row_groups) if self.group is None else [self.group]
        for group in groups:
            for name in self.names:
                try:
                    self.file.read_row_group(group, columns=[name], use_threads=False)
                except MemoryError:
                    raise
                except (pa.ArrowException, OSError) as found:
                    place = "" if self.group is not None else f", row group {group}"
                    raise FileFormatError(
                        f"{self.what}{place}: the column {name!a:.80} cannot be read, the file is damaged: {found}"
                    ) from None
        raise FileFormatError(f"{self.what} cannot be read: {error}") from None


def files_of(path: Any) -> list[str]:
    """Return the files of a path, a folder, a pattern, or a list of these."""
    if isinstance(path, str | os.PathLike):
        path = [path]
    paths = list(path) if isinstance(path, Iterable) and not isinstance(path, bytes) else []
    if not paths or not all(isinstance(each, str | os.PathLike) for each in paths):
        raise InputTypeError(f"Parquet takes a path, or a list of paths; got {path!a:.80}")
    files: dict[str, str] = {}
    for each in map(os.fspath, paths):
        if os.path.isdir(each):
            found = _below(each)
            _require_no_values(each, found)
        elif os.path.exists(each):
            found = [each]
        else:
            matched = sorted(glob.glob(each, recursive=True)) if glob.has_magic(each) else []
            found = [file for one in matched for file in (_below(one) if os.path.isdir(one) else [one])]
        if not found:
            none = f"the folder {each} has no files *.parquet" if os.path.isdir(each) else f"there is no file {each}"
            raise FileAccessError(none)
        here = {os.path.realpath(file): file for file in reversed(found)}  # a pattern may match a file and its folder
        for real, file in reversed(here.items()):
            if real in files:
                raise DataError(f"the file {files[real]} comes twice, also as {file}: its rows would count twice")
        files |= dict(reversed(here.items()))
    return [*files.values()]


def _below(folder: str) -> list[str]:
    """Return the Parquet files below a folder."""
    names = sorted(name for name in glob.glob("**/*.parquet", root_dir=folder, recursive=True) if not _is_hidden(name))
    return [file for name in names if not os.path.isdir(file := os.path.join(folder, name))]


def _require_no_values(folder: str, files: Sequence[str]) -> None:
    """Raise if folders have values in their names, which would be lost."""
    for file in files:
        if part := next((part for part in os.path.relpath(file, folder).split(os.sep)[:-1] if "=" in part), None):
            raise DataError(
                f"{folder} has values in the names of its folders ({part}), which are in no column of its files: write "
                f"them as columns, or name the files by a pattern, {os.path.join(folder, '**', '*.parquet')!a}, to "
                f"leave them out"
            )


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split(os.sep))


def _opened(path: str, footer: int | None = None) -> tuple[Any, int]:
    """Return a Parquet file and the checksum of its footer; raise if it is none, or if the footer is another one."""
    pa, found = _pyarrow("reading Parquet"), _identity(path, footer)
    try:
        # neither mapped, since a file that is cut short ends the process then, nor read ahead, which takes memory
        return pa.parquet.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False), found
    except OSError as error:
        raise FileAccessError(f"{path} cannot be read: {error}") from None
    except pa.ArrowException as error:
        raise FileFormatError(f"{path} is no Parquet file, or is damaged: {error}") from None


def _identity(path: str, footer: int | None = None) -> int:
    """Return the checksum of the footer of a Parquet file; raise if it is none, or if the footer is another one."""
    try:
        found = _footer_sum(path)
    except FileNotFoundError:
        gone = "is not there" if footer is None else "is gone"
        raise FileAccessError(f"{path} {gone}: its rows cannot be read") from None
    except OSError as error:
        raise FileAccessError(f"{path} cannot be read: {error}") from None
    if footer not in (None, found):
        raise DataError(f"{path} has changed since the first look at it: write new files under other names")
    return found


def _footer_sum(path: str) -> int:
    """Return a checksum of the footer of a Parquet file, and of its size."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < SHORTEST:
            raise FileFormatError(f"{path} is no Parquet file: it has {size} bytes")
        file.seek(-8, os.SEEK_END)
        end = file.read(8)
        if end[4:] != MAGIC:
            raise FileFormatError(f"{path} is no Parquet file, or is cut short: it does not end as one")
        length = int.from_bytes(end[:4], "little")
        if length > size - SHORTEST:
            raise FileFormatError(f"{path} is damaged: its footer is longer than the file")
        file.seek(-8 - length, os.SEEK_END)
        return zlib.crc32(file.read(length), zlib.crc32(size.to_bytes(8, "little")))
