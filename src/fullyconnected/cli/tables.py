"""What the commands for tables share: where a table is read, and where in it a mistake is."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import glob
import os
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fullyconnected.errors import ConfigError, DataError, FileAccessError, InputTypeError, ShapeError

if TYPE_CHECKING:
    from fullyconnected.tables.files.source import SourceFrame

__all__ = ["add_source", "as_text", "check_apart", "inputs_of", "listed", "placing", "read"]


def add_source(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the table to the arguments, and what says which table of a file it is."""
    add = parser.add_argument
    add(
        "table",
        metavar="TABLE",
        help=f"{what}: .csv .tsv .json .jsonl .parquet .sqlite, text also as .gz; "
        "or a folder or pattern of Parquet files, such as 'part-*.parquet'",
    )
    add("--table", dest="name", type=as_text, metavar="NAME", help="table of an SQLite database, if it has several")
    query = (
        "query in SQL whose result is the table: of an SQLite database, or over files in a folder, which TABLE names"
    )
    add("--query", type=as_text, metavar="SQL", help=query)


def read(options: argparse.Namespace, verbatim: Collection[str] = ()) -> SourceFrame:
    """Return the table that the arguments name, as columns that know where each row stands.

    In the ``verbatim`` columns, NA and the like are what is written, and no missing values.
    """
    from fullyconnected.tables.files import read_frame

    if not glob.has_magic(options.table):
        os.stat(options.table)  # that a file is not there, or may not be read, is told as for any other
    return read_frame(options.table, table=options.name, query=options.query, verbatim=verbatim)


def inputs_of(options: argparse.Namespace) -> list[str]:
    """Return the files that are read: the table, or those of a folder or a pattern."""
    from fullyconnected.columnar import files_of

    if options.query is None:
        with contextlib.suppress(FileAccessError):
            return files_of(options.table)
    return [options.table]


def check_apart(options: argparse.Namespace, output: str) -> None:
    """Raise if a file would be a part of the table of a folder or a pattern when it is read again."""
    if options.query is not None or output == "-" or not output.lower().endswith(".parquet"):
        return
    table, path = os.path.abspath(options.table), os.path.abspath(output)
    inside = os.path.isdir(table) and os.path.commonpath([table, path]) == table
    if inside or (glob.has_magic(table) and fnmatch.fnmatch(path, table)):
        raise ConfigError(f"--output {output} would be a part of the table {options.table}: choose another folder")


@contextlib.contextmanager
def placing(frame: Any) -> Iterator[None]:
    """Name the file, the row and the column in an error that counts the rows of this table from 0."""
    try:
        yield
    except (DataError, InputTypeError, ShapeError) as error:
        from fullyconnected.tables.column import in_place

        if str(error).startswith(frame.source):
            raise
        placed = in_place(str(error), lambda column, row: frame.place(row, column))
        raise type(error)(placed or f"{frame.source}: {error}") from None


def as_text(text: str) -> str:
    """Decode an argument as UTF-8, the encoding of tables, also where the locale has another encoding."""
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text


def listed(given: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of an option that is repeated, or has several with commas between; a name may have commas.

    >>> listed(["a,b", "c"], ["a", "b", "c"]), listed(["a,b"], ["a,b", "c"])
    (('a', 'b', 'c'), ('a,b',))
    """
    found: list[str] = []
    for text in map(as_text, given):
        parts = [part.strip() for part in text.split(",")]
        found += [text] if text in names or not any(parts) else filter(None, parts)
    return tuple(dict.fromkeys(found))
