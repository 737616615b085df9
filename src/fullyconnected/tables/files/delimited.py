"""CSV, TSV and their like: rows of cells with a comma, semicolon, tab or bar between, under a header."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from array import array
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from fullyconnected.core.wording import many
from fullyconnected.errors import FileFormatError
from fullyconnected.tables.cells import as_feature, as_number, number_in, shortened
from fullyconnected.tables.files.encoding import decoded
from fullyconnected.tables.files.source import SourceFrame, check_names, content, source_frame

__all__ = ["read"]

DELIMITERS = "\t;|,"  # of two under which a file is as good a table, the first: commas are also in text and numbers
SAMPLE, ROWS = 1 << 16, 20  # characters and rows from which the delimiter is guessed
LONGEST = 2**31 - 1  # characters of a cell
SAID = re.compile(r"(?i)(\"?)sep=([^\w\s\"]|\t)\1\2* *(\r\n?|\n)")  # a first line that sets the delimiter


class Row(NamedTuple):
    """The cells of a row, and the line of the file in which it begins, from 1."""

    cells: list[str]
    line: int


def read(path: str) -> SourceFrame:
    """Return the columns of a file; cells are text, without the space around it."""
    text = _without_end(decoded(path, content(path), _column_at))
    rows = _rows(path, text)
    header, line = rows[0]
    named = _named(f"{path}, line {line}", [name.strip() for name in header])
    least, width = max(named) + 1, len(header)
    for row in rows[1:]:
        if len(row.cells) != width:
            _fit(path, row, least, width, last=row is rows[-1])
    lines = array("q", (row.line for row in rows[1:]))
    cells = [[cell.strip() for cell in column] for column in zip(*(row.cells for row in rows[1:]), strict=True)]
    for i, column in enumerate(cells):
        if i not in named and any(column):
            below = next(k for k, cell in enumerate(column) if cell)
            raise FileFormatError(f"{path}, line {lines[below]}: {_nameless(i, column[below], line)}")
    frame = source_frame(path, {name: cells[i] if cells else [] for i, name in named.items()}, lines)
    return replace(frame, columns=tuple(replace(each, origin="written") for each in frame.columns))


def _named(place: str, header: list[str]) -> dict[int, str]:
    """Return the names of the columns by their place. One without a name has none: it must be empty in all rows."""
    named = {i: name for i, name in enumerate(header) if name}
    if not named:
        raise FileFormatError(f"{place}: this must be the header, which holds the names of the columns")
    numbers = [as_number(name) for name in named.values()]
    if any(value is not None and value % 1 for value in numbers) and None not in numbers:
        raise FileFormatError(
            f"{place}: this must be the header, which holds the names of the columns; it holds numbers"
        )
    check_names(f"{place}, the header", named)
    return named


def _rows(path: str, text: str) -> list[Row]:
    """Return the rows that are not blank; of those at the end, none without a cell that is not empty."""
    delimiter, above, below = _beginning(text)
    rows: list[Row] = []
    begins = 1 + above
    reader = csv.reader(io.StringIO(below, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        with _any_length():
            for cells in reader:
                if len(cells) > 1 or (cells and (cells[0].strip() or (rows and len(rows[0].cells) == 1))):
                    rows.append(Row(cells, begins))
                begins = reader.line_num + 1 + above
    except csv.Error as error:
        said = f"{error}: within quotes, a quote is written twice"
        if "unexpected end" in str(error):
            said = "a quote that opens here is never closed; the file is cut short, or the quote is to be written twice"
        where = _column_at(text) if "unexpected end" in str(error) else ""
        raise FileFormatError(f"{path}, line {begins}{where}: {said}") from None
    while rows and len(rows[-1].cells) > 1 and not any(map(str.strip, rows[-1].cells)):
        rows.pop()  # a spreadsheet thinks that it is there
    if not rows:
        raise FileFormatError(f"{path}: the file has nothing but blank lines")
    return rows


def _beginning(text: str) -> tuple[str, int, str]:
    """Return the delimiter, the number of lines above the header that say so, and the text below them."""
    if said := SAID.match(text):
        return said[2], 1, text[said.end() :]
    return _delimiter(text), 0, text


def _delimiter(text: str) -> str:
    """Return the delimiter between cells, by a guess from the first rows.

    It is the one under which most rows have as many cells as the header; of several, the one with most numbers, and
    then with most columns.
    """
    sample, whole = text[:SAMPLE], len(text) <= SAMPLE

    def likely(delimiter: str) -> tuple[bool, float, float, int]:
        rows = [row for row in _loosely(sample, delimiter, ROWS) if any(row)]
        header, *below = rows or [[]]
        if not whole and len(rows) < ROWS:  # the last one is cut
            below = below[:-1]
        if len(header) < 2:
            return False, 0.0, 0.0, 0
        fits = sum(len(row) == len(header) for row in below) / max(1, len(below))
        cells = [cell.strip() for row in below for cell in row]
        numbers = sum(_is_number(cell) for cell in cells) / max(1, len(cells))
        return True, fits if below else 1.0, numbers, len(header)

    return max(DELIMITERS, key=likely)


def _is_number(cell: str) -> bool:
    return as_feature(cell) is not None or number_in(cell, ",") is not None


def _loosely(text: str, delimiter: str, most: int | None = None) -> list[list[str]]:
    """Return the first rows of a text, whatever is wrong with its quotes."""
    rows: list[list[str]] = []
    with _any_length(), contextlib.suppress(csv.Error):
        rows += islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True), most)
    return rows


def _column_at(before: str) -> str:
    """Return in words in which column a place is, by the text before it."""
    delimiter, _, text = _beginning(before)
    header, *below = [row for row in _loosely(f"{text}x", delimiter) if any(row)]
    if not below:
        return ", in the header"
    i = len(below[-1]) - 1
    return f", column {header[i].strip()!r:.200}" if i < len(header) else ""


def _without_end(text: str) -> str:
    """Return a text without control-Z, with which DOS ends a file."""
    end = text.rstrip("\x1a\r\n ")
    return f"{end}\n" if "\x1a" in text[len(end) :] else text


def _fit(path: str, row: Row, least: int, width: int, last: bool) -> None:
    """Bring a row to the width of the header by empty cells at its end, or raise if it has others."""
    cells = row.cells
    if len(cells) < least or any(map(str.strip, cells[width:])):
        advice = "; a cell that contains the delimiter is to be quoted" if len(cells) > least else ""
        if len(cells) < least and last:
            advice = "; the file may be cut short"
        if len(cells) == least + 1 and least == width:  # as write.table of R does with the names of rows
            advice += ", and names of rows have a column of their own: row.names = FALSE in R"
        raise FileFormatError(
            f"{path}, line {row.line}: {many(len(cells), 'cell')}, where the header has {many(least, 'column')}{advice}"
        )
    cells[width:] = []
    cells += [""] * (width - len(cells))


def _nameless(i: int, cell: str, header: int) -> str:
    index = "; if pandas wrote an index there, leave it out: to_csv(index=False)" if i == 0 else ""
    return f"{shortened(cell)} in column {i + 1}, which has no name in the header (line {header}){index}"


@contextlib.contextmanager
def _any_length() -> Iterator[None]:
    """Let a cell be of any length; the limit is one for all of Python's csv module."""
    limit = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
