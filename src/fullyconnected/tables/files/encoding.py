"""The text of a file: in UTF-8, or UTF-16 with its mark; and where it is none."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from fullyconnected.errors import FileFormatError
from fullyconnected.tables.cells import shortened

__all__ = ["decoded", "line_of"]

MARKS = (  # the first that fits holds: that of UTF-32 begins as that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OTHERS = (  # what files begin with that are no text, and what to do
    (b"PK\x03\x04", "a spreadsheet (.xlsx, .ods) or another ZIP archive: save the table as 'CSV UTF-8'"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet (.xls): save the table as 'CSV UTF-8'"),
    (b"PAR1", "Parquet: let its name end in .parquet"),
    (b"SQLite format 3\0", "an SQLite database: let its name end in .sqlite"),
    (b"\x1f\x8b", "packed by gzip: let its name end in .gz"),
    (b"%PDF", "a PDF document: save the table as 'CSV UTF-8'"),
)
ENDS = re.compile(r"\r\n|\r|\n")
AROUND = 40  # bytes before and after a wrong one that are looked at
GUESS = "cp1252", "Windows-1252"  # what text in the languages of Western Europe is that is not UTF-8


def decoded(path: str, data: bytes, column_of: Callable[[str], str] = lambda before: "") -> str:
    """Return the text of a file.

    Parameters
    ----------
    path : str
        Its name, for messages.
    data : bytes
        Its content.
    column_of : function, optional
        Given the text before a place, it says in which column that is: ``", column 'age'"``, or an empty string.

    Raises
    ------
    FileFormatError
        For a byte that is no text, or a character that no text has, with its line and column.
    """
    for beginning, what in OTHERS:
        if data.startswith(beginning):
            raise FileFormatError(f"{path} holds no text, but {what}")
    data = data.removeprefix(codecs.BOM_UTF8)
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "ignore")
        where = f"{path}, line {line_of(before)}{column_of(before)}"
        if encoding == "utf-8":
            raise FileFormatError(f"{where}: {_not_utf8(data, error.start)}") from None
        said = "the file is cut short" if "truncated" in error.reason else error.reason
        raise FileFormatError(f"{where}: {said}, in {encoding.upper()}, as which the file begins") from None
    if "\0" in text:
        if data.count(0, 0, 4000) > len(data[:4000]) // 4:
            raise FileFormatError(
                f"{path} is not text in UTF-8: every other byte or so is 0, as in UTF-16 without its mark; save it as "
                f"UTF-8"
            )
        before = text[: text.index("\0")]
        raise FileFormatError(
            f"{path}, line {line_of(before)}{column_of(before)}: a NUL character, which no text has; the file is "
            f"damaged, or no table"
        )
    return text


def line_of(before: str) -> int:
    """Return the line of a place, from 1, by the text before it."""
    return sum(1 for _ in ENDS.finditer(before)) + 1


def _not_utf8(data: bytes, at: int) -> str:
    said = f"the byte {data[at]:#04x} is not text in UTF-8"
    codec, name = GUESS
    start = max(0, at - AROUND)
    left, right = re.split(rb"[\s,;|\"]", data[start:at])[-1], re.split(rb"[\s,;|\"]", data[at : at + AROUND])[0]
    try:
        looks = (left + right).decode(codec)
    except UnicodeDecodeError:
        return f"{said}; save the file as UTF-8, such as a spreadsheet does as 'CSV UTF-8'"
    if not data[:at].isascii():
        return (
            f"{said}, as the text before it is: the file has mixed encodings. In {name} it is {shortened(looks)}; "
            f"correct the cell"
        )
    return (
        f"{said}. In {name} it is {shortened(looks)}: if so, convert the file with iconv -f {name.upper()} -t UTF-8, "
        f"or save it in a spreadsheet as 'CSV UTF-8'"
    )
