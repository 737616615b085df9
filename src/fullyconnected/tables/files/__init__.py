"""Tables in files: CSV, JSON, Parquet and SQLite, and what queries in SQL give, as columns with names."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from fullyconnected.errors import ConfigError, FileFormatError, InputTypeError
from fullyconnected.tables.files import arrow, delimited, duck, records, sqlite
from fullyconnected.tables.files.source import SourceFrame, is_stream, opened
from fullyconnected.tables.frame import without_gaps
from fullyconnected.tables.names import key_of

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["FORMATS", "Format", "read_frame"]


class Format(NamedTuple):
    """A format: what the names of files end in, what reads one, and whether it is text, which gzip may have packed."""

    suffixes: tuple[str, ...]
    read: Callable[..., SourceFrame]
    text: bool = False


FORMATS = (
    Format((".csv", ".tsv", ".txt"), delimited.read, text=True),
    Format((".jsonl", ".ndjson"), records.read_lines, text=True),
    Format((".json",), records.read_list, text=True),
    Format((".parquet",), arrow.read_parquet),
    Format((".sqlite", ".sqlite3", ".db"), sqlite.read_table),
)
PACKED = ".gz"


def read_frame(
    path: PathLike | None, *, table: str | None = None, query: str | None = None, verbatim: Collection[str] = ()
) -> SourceFrame:
    r"""Read a table from a file, whose name says what it is.

    CSV (.csv, .tsv, .txt) is text in UTF-8, or in UTF-16 with its mark, under a header, with commas, semicolons, tabs
    or bars between cells; JSON is a list of objects (.json), or an object in each line (.jsonl, .ndjson). Text may be
    packed by gzip (.gz). Parquet (.parquet) and queries need the extra ``files``; SQLite (.sqlite, .sqlite3, .db) is in
    Python. A pipe without a suffix is read as CSV. A folder of Parquet files, or a pattern such as
    ``"part-*.parquet"``, is one table, whose numbers are kept in a temporary file where they are more than 64 MB.

    Cells come as what they are. In CSV everything is text, which the estimators read as numbers, dates and categories;
    NA, ? and the like are missing there.

    Parameters
    ----------
    path : path or None
        The file, or a folder or pattern of Parquet files. With a query over files, the folder that their names are
        relative to, or None for the working one.
    table : str, optional
        The table or view of an SQLite database, if it has several.
    query : str, optional
        A query in SQL, whose result is the table. One of an SQLite database is run by SQLite, and any other by DuckDB,
        over the files that it names: ``"SELECT * FROM 'sales.csv' JOIN 'shops.parquet' USING (shop)"``.
    verbatim : collection of str
        Columns of CSV in which NA and the like are no missing values, but what is written: labels, for instance.

    Returns
    -------
    SourceFrame
        The columns, and ``place``, which says in words where a row was read. ``fit`` and ``predict`` of the estimators
        for tables take it, and ``without`` and ``column`` divide it into features and target.

    Raises
    ------
    FileAccessError
        For a file that does not exist, is a folder, may not be read, or is locked.
    FileFormatError
        For a file of another kind than its name says, or that is cut short, damaged, in another encoding, or no table:
        without a header, or with rows of different lengths. The message names the line, or the row, and the column.
    DataError
        For a table without rows, and for what the engine says of a query.
    InputTypeError
        For a column of binary or nested values.
    ConfigError
        For a table or query that does not go with the file; UnknownNameError for a table that does not exist.
    MissingPackageError
        For Parquet, or a query over files, without the extra.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "prices.csv")
    ...     path.write_text("size;city;price\n70,5;Oslo;400\n48;NA;250\n", encoding="utf-8")
    ...     frame = read_frame(path)
    40
    >>> frame.names, frame.column("city").values
    (('size', 'city', 'price'), array(['Oslo', None], dtype=object))
    """
    name = None if path is None else os.fspath(path)
    if isinstance(name, bytes):
        raise InputTypeError(f"the path is {name!r:.80}; text is wanted: os.fsdecode(path)")
    if query is not None:
        if table is not None:
            raise ConfigError("table and query do not go together; name the table in the query")
        return _queried(name, query)
    if name is None:
        raise ConfigError("there is no file to read; give a path, or a query that names files")
    read = arrow.read_parquet if arrow.holds_parquet(name) else _format(name).read
    if read is sqlite.read_table:
        return sqlite.read_table(name, table)
    if table is not None:
        raise ConfigError(f"table={table!r:.80} is for SQLite; {name} holds one table")
    frame: Any = read(name)
    kept = set(map(key_of, verbatim))
    columns = (
        without_gaps(each) if each.origin == "written" and key_of(each.name) not in kept else each
        for each in frame.columns
    )
    return replace(frame, columns=tuple(columns))


def _format(path: str) -> Format:
    """Return the format of a file, by what its name ends in."""
    suffixes = [each.lower() for each in PurePath(path).suffixes]
    packed = suffixes[-1:] == [PACKED]
    suffix = "".join(suffixes[-2:-1] if packed else suffixes[-1:])
    for each in FORMATS:
        if suffix in each.suffixes and each.text >= packed:
            return each
    if not suffix and is_stream(path):
        return FORMATS[0]
    with opened(path):  # that there is no such file is said first
        pass
    known = ", ".join(suffix for each in FORMATS for suffix in each.suffixes)
    raise FileFormatError(
        f"{path}: a file of a table is known by its name, which ends in one of {known}; those of text also with .gz"
    )


def _queried(path: str | None, query: str) -> SourceFrame:
    if path is None or os.path.isdir(path):
        return duck.read(query, path)
    if _format(path).read is sqlite.read_table:
        return sqlite.read_query(path, query)
    raise ConfigError(
        f"a query over files names them itself: SELECT * FROM '{os.path.basename(path)}'; the path is "
        f"their folder then, such as ., and not {path}"
    )
