"""A query in SQL over files, which DuckDB runs in memory."""

from __future__ import annotations

import os
from typing import Any

from fullyconnected.errors import ConfigError, DataError, missing
from fullyconnected.tables.cells import shortened
from fullyconnected.tables.files.arrow import frame_of_arrow, pyarrow
from fullyconnected.tables.files.source import SourceFrame

__all__ = ["read"]

# nothing is downloaded, and names in a query are never variables of the program
SETTINGS: dict[str, Any] = {"autoinstall_known_extensions": "false", "python_enable_replacements": "false"}


def read(query: str, folder: str | None) -> SourceFrame:
    """Return what a query gives; names of files in it are relative to the folder, or to the working directory."""
    pyarrow("a query over files")
    try:
        import duckdb
    except ImportError:
        raise missing("duckdb", "files", "a query over files") from None
    source = f"the query {shortened(' '.join(query.split()))}"
    with duckdb.connect(":memory:", config=SETTINGS) as database:
        try:
            if folder is not None:
                quoted = os.path.abspath(folder).replace("'", "''")
                database.execute(f"SET file_search_path = '{quoted}'")
            statements = database.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise ConfigError(
                    f"{source} is not one statement that gives a table, such as SELECT * FROM 'table.csv'"
                )
            table = database.sql(query).to_arrow_table()
        except duckdb.Error as error:
            said = " ".join(
                str(error).split("\n\nLINE ")[0].split()
            )  # without the line below, which points into the query
            raise DataError(f"{source}: {said}") from None
    return frame_of_arrow(source, table)
