"""The rows of a CSV file: its encoding, the delimiter between its cells, and its end."""

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import NamedTuple
from unicodedata import normalize

from fullyconnected.errors import FileFormatError
from fullyconnected.tables.cells import as_feature

__all__ = ["Row", "key_of", "require_text", "rows_of"]

NOT_TEXT = "is not text in UTF-8; a spreadsheet saves it as 'CSV UTF-8'"
DELIMITERS = ",;\t|"
SAMPLE, ROWS = 1 << 16, 20  # bytes and rows from which the delimiter is guessed
LONGEST = 2**31 - 1  # characters of a cell: no limit for columns that are not read


class Row(NamedTuple):
    """A row of a file: its number as a spreadsheet shows it, the line in the file where it ends, and its cells."""

    number: int
    line: int
    cells: list[str]

    def place(self, path: str, column: str | None = None) -> str:
        named = "" if column is None else f", column {column!r:.200}"
        line = "" if self.line == self.number else f" (line {self.line} of the file)"
        return f"{path}, row {self.number}{named}{line}"


def key_of(name: str) -> str:
    """Return a column's name in Unicode's composed form, in which names are compared."""
    return normalize("NFC", name)


def require_text(path: str, text: str, row: Row) -> None:
    """Raise if a text has bytes that are not UTF-8."""
    if any("\udc80" <= c <= "\udcff" for c in text):
        raise FileFormatError(f"{path} {NOT_TEXT} (row {row.number})")


def rows_of(path: str, wanted: Sequence[str]) -> Generator[Row, None, None]:
    """Yield the rows of a file without empty ones at its end; ``wanted`` are names of columns that are to be read."""
    with open(path, "rb") as opened:
        file: io.BufferedReader | io.BytesIO = opened if opened.seekable() else io.BytesIO(opened.read())
        begins = file.read(SAMPLE)
        file.seek(0)
        encoding, errors = _encoding(begins)
        sample = begins.decode(encoding, "replace")
        if "\0" in sample.partition("\n")[0]:
            raise FileFormatError(f"{path} {NOT_TEXT}")
        said = re.match(r"(?i)(\"?)sep=([^\w\s\"]|\t)\1\2* *(?:\r\n?|\n)", sample)
        text = io.TextIOWrapper(file, encoding, errors, newline="")
        lines = _lines(text)
        if said:
            next(lines, None)
        delimiter = said[2] if said else _delimiter(sample, len(begins) < SAMPLE, wanted)
        # strict: a quote that is never closed would otherwise swallow the rest of the file
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
        empty: Row | None = None
        number, limit = 0, csv.field_size_limit(LONGEST)
        try:
            for number, cells in enumerate(reader, 1):
                row = Row(number, reader.line_num + bool(said), [cell.strip() for cell in cells])
                if any(row.cells):
                    if empty:
                        raise FileFormatError(f"{empty.place(path)}: an empty row above other rows; remove it")
                    yield row
                elif number == 1:
                    raise FileFormatError(f"{path} has no header: row 1 must hold the columns' names")
                else:
                    empty = empty or row
        except csv.Error as error:
            open_end = "unexpected end" in str(error)
            why = "a quote that opens there is never closed" if open_end else "within quotes, a quote is written twice"
            raise FileFormatError(f"{path}, row {number + 1}: {error}: {why}") from None
        except UnicodeError:
            raise FileFormatError(f"{path} {NOT_TEXT}") from None
        finally:
            csv.field_size_limit(limit)


def _encoding(begins: bytes) -> tuple[str, str]:
    """Return a file's encoding, by its first bytes, and how bytes that cannot be decoded are treated."""
    if begins.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32", "strict"
    if begins.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "strict"
    return "utf-8-sig", "surrogateescape"  # such bytes may be in a column that is not read


def _lines(text: io.TextIOBase) -> Iterator[str]:
    """Yield the lines of a file without empty ones at its end, and without control-Z, with which DOS ends a file."""
    held: list[str] = []
    for line in text:
        if line.strip("\x1a \t\r\n"):
            yield from held
            yield line.rstrip("\x1a")
            held.clear()
        else:
            held.append(line)


def _delimiter(sample: str, whole: bool, wanted: Sequence[str]) -> str:
    """Return the delimiter between cells, by a guess from the first rows.

    It is one under which the header has all wanted columns. Of several, it is the one under which most rows have as
    many cells as the header; of those, the one with most numbers, and then with most columns.
    """

    def likely(delimiter: str) -> tuple[bool, float, float, int]:
        rows = []
        with contextlib.suppress(csv.Error):
            reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
            rows += [[cell.strip() for cell in row] for row in islice(reader, ROWS)]
        header, *below = rows or [[]]
        below = [row for row in (below if whole else below[:-1]) if any(row)]
        if len(header) < 2:
            return False, 0.0, 0.0, 0
        fits = sum(len(row) == len(header) for row in below) / max(1, len(below))
        cells = [cell for row in below for cell in row]
        numbers = sum(as_feature(cell) is not None for cell in cells) / max(1, len(cells))
        return set(map(key_of, wanted)) <= set(map(key_of, header)), fits if below else 1.0, numbers, len(header)

    return max(DELIMITERS, key=likely)
