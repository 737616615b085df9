"""Tables of Arrow: those of Parquet files, and what a query of DuckDB gives."""

from __future__ import annotations

import os
from dataclasses import replace
from glob import has_magic
from itertools import accumulate
from typing import Any

from fullyconnected.columnar import INDEX, MAGIC, SHORTEST, Parquet, files_of
from fullyconnected.errors import FileAccessError, FileFormatError, InputTypeError, missing
from fullyconnected.tables.files.source import SourceFrame, check_names, naming, opened, source_frame
from fullyconnected.tables.gathered import frame_of_source

__all__ = ["frame_of_arrow", "holds_parquet", "pyarrow", "read_parquet"]


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
    """Return the columns of a Parquet file, or of the files of a folder or a pattern, which are read one by one."""
    pyarrow("reading Parquet")
    files = files_of(path) if os.path.isdir(path) or (not os.path.exists(path) and has_magic(path)) else [path]
    rows = [_rows_of(each) for each in files]
    with naming(path):
        table = Parquet(files)
        frame = frame_of_source(table)
    firsts = zip(accumulate([1, *rows[:-1]]), files, strict=True) if len(files) > 1 else ()
    return replace(source_frame(path, frame), files=tuple(firsts))


def holds_parquet(path: str) -> bool:
    """Whether a path is a folder with Parquet files in it."""
    try:
        return os.path.isdir(path) and bool(files_of(path))
    except FileAccessError:
        return False


def _rows_of(path: str) -> int:
    """Return the number of rows of a Parquet file, whose columns can be those of a table, or raise."""
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
            found = pa.parquet.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise FileFormatError(f"{path}: the file is damaged: {error}") from None
        _check(path, [field for field in found.schema_arrow if not INDEX.fullmatch(field.name)])
        return int(found.metadata.num_rows)


def frame_of_arrow(source: str, table: Any) -> SourceFrame:
    """Return the columns of an Arrow table."""
    _check(source, table.schema)
    return source_frame(source, table)


def _check(source: str, schema: Any) -> None:
    """Raise for columns that are not those of a table."""
    types = pyarrow("reading Arrow tables").types
    if not len(schema):
        raise FileFormatError(f"{source} has no columns")
    check_names(source, {i: field.name for i, field in enumerate(schema)})
    for field in schema:
        binary = types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view
        if any(is_of(field.type) for is_of in binary):
            raise InputTypeError(
                f"{source}: the column {field.name!r:.200} is binary ({field.type}); numbers, text or dates are "
                f"wanted: leave it out, or turn it into text"
            )
