"""SQLite: a table of a database, or what a query of it gives."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fullyconnected.core.wording import many
from fullyconnected.errors import (
    ConfigError,
    DataError,
    FileAccessError,
    FileFormatError,
    InputTypeError,
    MissingPackageError,
    nearest,
)
from fullyconnected.tables.cells import shortened
from fullyconnected.tables.files.source import SourceFrame, check_names, opened, source_frame

if TYPE_CHECKING:
    import sqlite3

__all__ = ["read_query", "read_table"]

BEGINS = b"SQLite format 3\0"
PATIENCE = 5.0  # seconds until what another program has locked is given up


def read_table(path: str, table: str | None) -> SourceFrame:
    """Return a table or view of a database, which may be left unnamed if it is the only one."""
    with _connected(path) as database:
        found = (
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        names = [name for (name,) in database.execute(found)]
        if not names:
            raise FileFormatError(f"{path} has no tables")
        if table is None and len(names) > 1:
            listed = ", ".join(map(shortened, sorted(names)[:20])) + (", ..." if len(names) > 20 else "")
            raise ConfigError(f"{path} has {many(len(names), 'table')}; name one of them: {listed}")
        alike = {name.lower(): name for name in names}  # SQLite, too, ignores their case
        name = names[0] if table is None else alike.get(table.lower())
        if name is None:
            raise nearest(f"table in {path} with the name", table, names)
        quoted = name.replace('"', '""')
        return _frame(f"{path}, table {name!r:.80}", database.execute(f'SELECT * FROM "{quoted}"'))


def read_query(path: str, query: str) -> SourceFrame:
    """Return what a query of a database gives."""
    with _connected(path, query) as database:
        return _frame(f"{path}, the query", database.execute(query))


@contextlib.contextmanager
def _connected(path: str, query: str = "") -> Iterator[sqlite3.Connection]:
    """Open a database to be read alone; what SQLite raises becomes an error of the library."""
    try:
        import sqlite3
    except ImportError:  # some builds of Python leave it out
        raise MissingPackageError("reading SQLite needs sqlite3, which this Python has been built without") from None
    with opened(path) as file:
        begins = file.read(len(BEGINS))
    if not begins:
        raise FileFormatError(f"{path}: the file is empty")
    if begins != BEGINS:
        raise FileFormatError(f"{path} is no SQLite database: it does not begin as one")
    of_query = f", the query {shortened(query)}" if query else ""
    try:
        database = sqlite3.connect(f"file:{quote(path)}?mode=ro", timeout=PATIENCE, uri=True)
        with contextlib.closing(database):
            yield database
    except (sqlite3.Error, sqlite3.Warning) as error:
        if "locked" in str(error):
            raise FileAccessError(
                f"{path}: {error}: another program writes to it; close that, or copy the file"
            ) from None
        damaged = type(error) is sqlite3.DatabaseError
        said = f"the database is damaged, or cut short: {error}" if damaged else str(error)
        raise (FileFormatError if damaged else DataError)(f"{path}{of_query}: {said}") from None


def _frame(source: str, cursor: Any) -> SourceFrame:
    if cursor.description is None:
        raise ConfigError(f"{source} gives no rows of a table; it is to begin with SELECT")
    names = [column[0] for column in cursor.description]
    check_names(source, dict(enumerate(names)))
    columns = list(zip(*cursor.fetchall(), strict=True))
    if not columns:
        raise DataError(f"{source}: there are columns ({', '.join(map(shortened, names[:12]))}), but no rows")
    for name, column in zip(names, columns, strict=True):
        if bytes in set(map(type, column)):
            row = next(i for i, value in enumerate(column, 1) if type(value) is bytes)
            raise InputTypeError(
                f"{source}, row {row}, column {name!r:.200}: a binary value; a number or text is wanted: leave the "
                f"column out by a query"
            )
    return source_frame(source, dict(zip(names, map(list, columns), strict=True)))
