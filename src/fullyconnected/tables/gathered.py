"""Tables that are read a few rows at a time: what they hold is kept in a file where it is large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeGuard

import numpy as np

from fullyconnected.columnar import Columnar, is_text
from fullyconnected.core.arrays import Array
from fullyconnected.core.mapped import is_mapped, scratch
from fullyconnected.errors import DataError, InputTypeError, ShapeError
from fullyconnected.program.claims import dtype_of, names_of, place_of, shape_of
from fullyconnected.program.sources import BLOCK, ArraySource, Read, Source
from fullyconnected.tables.column import Column, in_place, place
from fullyconnected.tables.frame import Frame, frame_of

__all__ = ["frame_of_source", "is_source", "parts_of", "placed"]

LEVELS = 1 << 16  # different texts of a column up to which each is in memory once
TEXT = "OSTU"  # kinds of NumPy's dtypes whose values become text


def is_source(X: Any) -> TypeGuard[Source | Array]:
    """Whether the rows of a table need not be in memory: those of a source, or an array that is mapped from a file."""
    return isinstance(X, Source) or (is_mapped(X) and X.ndim == 2)


def frame_of_source(source: Source | Array) -> Frame:
    """Return the inputs of a source as a table, reading each row once.

    Numbers and dates take 8 bytes a cell, in a temporary file if they are more than 64 MB together. Text takes 8 bytes
    a cell in memory, and each different text once, or if there are many of them, each cell.

    Raises
    ------
    InputTypeError, DataError
        As :func:`~fullyconnected.tables.frame.frame_of`.

    Examples
    --------
    >>> import pyarrow
    >>> from fullyconnected import ArrowTable
    >>> table = pyarrow.table({"age": [31, None], "city": ["Oslo", ""], "fee": [1.0, 2.0]})
    >>> frame = frame_of_source(ArrowTable(table, target="fee"))
    >>> [(each.name, each.values.tolist()) for each in frame.columns]
    [('age', [31.0, nan]), ('city', ['Oslo', None])]
    """
    names, rows = _names(source), len(source)
    texts = _texts(source, names)
    columns: list[_Gathered] = []
    numbers = iter(scratch((len(texts) - sum(texts), rows), np.float64))
    for name, text in zip(names, texts, strict=True):
        columns.append(_Texts(name, np.empty(rows, object)) if text else _Gathered(name, np.asarray(next(numbers))))
    for at, part in parts_of(source):
        for column, more in zip(columns, part.columns, strict=True):
            column.take(more, at)
    return Frame(tuple(each.column() for each in columns), rows, _is_named(source))


def parts_of(source: Source | Array) -> Iterator[tuple[int, Frame]]:
    """Yield the inputs of a source as tables of a few rows, each with the number of its first row."""
    names, at = _names(source), 0
    if isinstance(source, Columnar):  # columns of Arrow
        parts: Iterator[Frame] = map(_of_batch, source.batches(names))
    else:
        parts = _of_numbers(source, names if _is_named(source) else None)
    while True:
        with placed(source, at):
            part = next(parts, None)
        if part is None:
            break
        yield at, part
        at += part.rows
    if at != len(source):
        raise DataError(f"X has {at} rows, and its shape says {len(source)}")


@contextmanager
def placed(X: Any, rows: Array | int = 0) -> Iterator[None]:
    """Name in an error the row of the whole table X, and where a source has it from.

    ``rows`` are the numbers of the rows that the error counts from 0, or that of the first of them.
    """

    def placed_at(name: str, row: int) -> str:
        number = row + rows if isinstance(rows, int) else int(rows[row])
        where = place_of(X, number) if isinstance(X, Source) else ""
        return place(name, number) + f" ({where})" * bool(where)

    try:
        yield
    except (DataError, InputTypeError) as error:
        said = in_place(str(error), placed_at)
        if said is None:
            raise
        raise type(error)(said) from None


class _Gathered:
    """A column of numbers or dates, whose parts come one after the other."""

    def __init__(self, name: str, values: Array) -> None:
        self.name, self.values = name, values
        self.origins, self.notes = set[str](), dict[str, None]()

    def take(self, part: Column, at: int) -> None:
        """Take over the next rows."""
        rows = slice(at, at + len(part.values))
        if part.origin != "nothing":
            self.origins.add(part.origin)
            self.notes |= dict.fromkeys(filter(None, [part.note]))
            if part.holds == "dates" and self.values.dtype != part.values.dtype:
                self.values = self.values.view(part.values.dtype)
                self.values[:at] = "NaT"  # all of them were missing
        elif self.values.dtype.kind == "M":
            self.values[rows] = "NaT"
            return
        self.write(part, self.values[rows])

    def write(self, part: Column, out: Array) -> None:
        out[:] = part.values

    def column(self) -> Column:
        """Return the column."""
        if not self.origins:
            return Column(self.name, np.full(len(self.values), np.nan), "nothing")
        wider = ("number", "integer", "boolean")  # of numbers of several kinds, as decimals may be
        origin = next((each for each in wider if each in self.origins), min(self.origins))
        return Column(self.name, self.values, origin, "; ".join(self.notes))


class _Texts(_Gathered):
    """A column of text; the same text is the same object in all its parts."""

    def __init__(self, name: str, values: Array) -> None:
        super().__init__(name, values)
        self.known: dict[Any, Any] = {}

    def write(self, part: Column, out: Array) -> None:
        if part.holds != "text":
            return  # all are missing, and stay None
        values = part.values.tolist()
        out[:] = list(map(self.known.setdefault, values, values)) if len(self.known) < LEVELS else part.values


def _names(source: Source | Array) -> list[str]:
    """Return the names of the columns, or x0, x1, ..."""
    shape = shape_of(source, "X") if isinstance(source, Source) else source.shape
    if len(shape) != 2 or not shape[1]:
        raise ShapeError(f"X has the shape {shape}; (rows, columns) with a column or more is wanted")
    if isinstance(source, Columnar):
        return list(source.columns)
    names = names_of(source, "X") if isinstance(source, Source) else None
    return [f"x{i}" for i in range(shape[1])] if names is None else list(names)


def _is_named(source: Source | Array) -> bool:
    return getattr(source, "columns", None) is not None


def _texts(source: Source | Array, names: Sequence[str]) -> list[bool]:
    """Return which columns hold text."""
    if isinstance(source, Columnar):
        return [is_text(source.schema.field(name).type) for name in names]
    dtype = dtype_of(source, "X") if isinstance(source, Source) else source.dtype  # sources of one's own hold numbers
    return [dtype.kind in TEXT] * len(names)


def _of_batch(batch: Any) -> Frame:
    import pyarrow

    return frame_of(pyarrow.Table.from_batches([batch]))


def _of_numbers(source: Source | Array, names: Sequence[str] | None) -> Iterator[Frame]:
    """Yield the rows of numbers, a few at a time."""
    read = Read(source, "X") if isinstance(source, Source) else ArraySource(source)
    rows, size = len(read), max(1, BLOCK // read.shape[1])
    for start in range(0, rows, size):
        yield frame_of(np.asarray(read.block(start, min(start + size, rows))), names)
