"""Where a table was read, for messages; and a file that cannot be opened."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO, Self

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import DataError, FileAccessError, FileFormatError, FullyConnectedError
from fullyconnected.tables.cells import shortened
from fullyconnected.tables.frame import Frame, frame_of
from fullyconnected.tables.names import key_of

__all__ = ["SourceFrame", "check_names", "content", "is_stream", "naming", "opened", "same_length", "source_frame"]

LISTED = 10_000  # names in a folder among which the nearest is looked for
SPARSE = 1000  # cells that a table may have for each one that is there


@dataclass(frozen=True)
class SourceFrame(Frame):
    """A table, and where it was read.

    Attributes
    ----------
    source : str
        The file, and what of it, in words.
    numbers : array (rows,)
        The line of a text file in which each row begins, or the number of the row, both from 1.
    counted : str
        Which of them it is: ``"line"`` or ``"row"``.
    files : tuple of (int, str)
        If the table is that of several files, the number of the first row of each, and its path.
    """

    source: str
    numbers: Array
    counted: str
    files: tuple[tuple[int, str], ...] = ()

    def place(self, row: int, column: str | None = None) -> str:
        """Return the place of a row, counted from 0, or of a cell, in words."""
        cell = "" if column is None else f", column {column!r:.200}"
        number, path = int(self.numbers[row]), self.source
        for first, each in self.files:
            if first <= self.numbers[row]:
                number, path = int(self.numbers[row]) - first + 1, each
        return f"{path}, {self.counted} {number}{cell}"

    def at(self, rows: Array) -> Self:
        """Return some rows, by their numbers or by a mask, which keep their places."""
        return replace(super().at(rows), numbers=self.numbers[rows])


def source_frame(source: str, table: Any, lines: Sequence[int] | None = None) -> SourceFrame:
    """Return what :func:`frame_of` makes of a table that was read; what it raises names the source."""
    with naming(source):
        frame = frame_of(table)
    if not frame.rows:
        raise DataError(f"{source}: there are columns, but no rows")
    numbers = np.arange(1, frame.rows + 1) if lines is None else np.array(lines)
    return SourceFrame(frame.columns, frame.rows, True, source, numbers, "row" if lines is None else "line")


@contextlib.contextmanager
def naming(source: str) -> Iterator[None]:
    """Name the source in what is raised for its table."""
    try:
        yield
    except FullyConnectedError as error:
        rows = " (rows counted from 0)" if ", row " in str(error) else ""
        raise type(error)(f"{source}: {error}{rows}") from None


def check_names(source: str, names: Mapping[int, str]) -> None:
    """Raise if a column has no name, or two have the same; a column is known by its place, from 0."""
    first: dict[str, int] = {}
    for i, name in names.items():
        if not name.strip():
            raise FileFormatError(f"{source}: column {i + 1} has no name")
        if first.setdefault(key_of(name), i) != i:
            raise FileFormatError(
                f"{source}: columns {first[key_of(name)] + 1} and {i + 1} are both named {shortened(name)}; rename "
                f"one, or leave it out"
            )


def same_length(source: str, records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns of records; what is absent is None."""
    names = list(dict.fromkeys(name for record in records for name in record))
    if len(names) * len(records) > SPARSE * max(1000, sum(map(len, records))):
        raise FileFormatError(
            f"{source}: {len(records):,} records have {len(names):,} different keys, most of them in few records; the "
            f"keys of a record are the columns of a table"
        )
    return {name: [record.get(name) for record in records] for name in names}


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file, or raise with what is wrong: it is not there, is a folder, or may not be read."""
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise FileAccessError(f"{path}: there is no such file{_nearest(path)}") from None
    except IsADirectoryError:
        raise FileAccessError(_folder(path)) from None
    except PermissionError as error:
        said = _folder(path) if os.path.isdir(path) else f"{path}: the file may not be read: {error.strerror}"
        raise FileAccessError(said) from None
    except OSError as error:
        raise FileAccessError(f"{path}: the file cannot be read: {error.strerror or error}") from None


def content(path: str) -> bytes:
    """Return what a file holds, unpacked if its name ends in .gz."""
    with opened(path) as file:
        data = file.read()
    if not data:
        raise FileFormatError(f"{path}: the file is empty")
    if not path.lower().endswith(".gz"):
        return data
    try:
        return gzip.decompress(data)
    except EOFError:
        raise FileFormatError(f"{path}: the file is cut short: what gzip has packed goes on after its end") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(f"{path}: the file is damaged, or not packed by gzip: {error}") from None


def is_stream(path: str) -> bool:
    """Whether a path is a pipe or a device such as /dev/stdin, whose name says nothing about its content."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _folder(path: str) -> str:
    return f"{path} is a folder; name a file in it{_among(_inside(path))}"


def _nearest(path: str) -> str:
    import difflib

    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return f", nor a folder {folder}"
    alike = {each.casefold(): each for each in _inside(folder or ".")}
    close = difflib.get_close_matches(name.casefold(), alike, n=1, cutoff=0.6)
    return f"; did you mean {os.path.join(folder, alike[close[0]])}?" if close else ""


def _inside(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in islice(entries, LISTED) if not entry.name.startswith("."))
    except OSError:
        return []


def _among(names: Collection[str]) -> str:
    shown = [shortened(name) for name in list(names)[:12]]
    return f": {', '.join(shown)}" + (", ..." if len(names) > 12 else "") if shown else ""
