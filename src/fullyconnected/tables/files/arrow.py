"""Tables of Arrow: those of Parquet files, and what a query of DuckDB gives."""

from __future__ import annotations

import os
from typing import Any

from fullyconnected.columnar import INDEX, MAGIC, SHORTEST
from fullyconnected.errors import FileFormatError, InputTypeError, missing
from fullyconnected.tables.files.source import SourceFrame, check_names, opened, source_frame

__all__ = ["frame_of_arrow", "pyarrow", "read_parquet"]


def pyarrow(purpose: str) -> Any:
    """Return the package, or raise if it is not installed."""
    try:
        import narwhals.stable.v2  # noqa: F401  by which Arrow's columns become the library's
        import pyarrow
        import pyarrow.parquet  # noqa: F401  a part that is loaded by name alone
    except ImportError as error:
        raise missing(error.name.partition(".")[0] if error.name else "pyarrow", "files", purpose) from None
    return pyarrow


def read_parquet(path: str) -> SourceFrame:
    """Return the columns of a Parquet file."""
    pa = pyarrow("reading Parquet")
    with opened(path) as file:
        begins = file.read(len(MAGIC))
        if not begins:
            raise FileFormatError(f"{path}: the file is empty")
        if begins != MAGIC:
            raise FileFormatError(f"{path} is no Parquet file: it does not begin as one")
        file.seek(-len(MAGIC), os.SEEK_END)
        if file.read() != MAGIC or file.tell() < SHORTEST:
            raise FileFormatError(f"{path}: the file is cut short: it has no footer, with which a Parquet file ends")
        try:
            table = pa.parquet.ParquetFile(file).read()
        except (pa.ArrowException, OSError) as error:
            raise FileFormatError(f"{path}: the file is damaged: {error}") from None
    chosen = [i for i, name in enumerate(table.column_names) if not INDEX.fullmatch(name)]
    return frame_of_arrow(path, table.select(chosen))


def frame_of_arrow(source: str, table: Any) -> SourceFrame:
    """Return the columns of an Arrow table."""
    types = pyarrow("reading Arrow tables").types
    if not table.num_columns:
        raise FileFormatError(f"{source} has no columns")
    check_names(source, dict(enumerate(table.column_names)))
    for field in table.schema:
        binary = types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view
        if any(is_of(field.type) for is_of in binary):
            raise InputTypeError(
                f"{source}: the column {field.name!r:.200} is binary ({field.type}); numbers, text or dates are "
                f"wanted: leave it out, or turn it into text"
            )
    return source_frame(source, table)
