"""DataFrames and Arrow tables, of whatever library, as columns: narwhals knows their interfaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fullyconnected.errors import InputTypeError, missing
from fullyconnected.tables.column import Column, column_of, text_of

__all__ = ["columns_of_dataframe", "is_dataframe", "labels_of_dataframe"]


def is_dataframe(X: Any) -> bool:
    """Whether an object looks like a table with named columns of another library."""
    return any(hasattr(X, name) for name in ("collect", "column_names", "columns"))


def labels_of_dataframe(X: Any) -> list[Any]:
    """Return the labels of the columns, which need be neither texts nor different; raise for a lazy table."""
    if callable(getattr(X, "collect", None)):
        raise InputTypeError(f"X is a {type(X).__name__}, whose rows are not in memory; collect them: X.collect()")
    return list(X.column_names if hasattr(X, "column_names") else X.columns)


def columns_of_dataframe(X: Any, names: list[str]) -> list[Column]:
    """Return the columns of a DataFrame or Arrow table under these names.

    Raises
    ------
    InputTypeError
        For a table whose rows are not there yet, or a column of lists, structs, bytes or other objects.
    MissingPackageError
        If narwhals is not installed.
    """
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        raise missing("narwhals", "tables", f"a table of the type {type(X).__name__}") from None
    try:
        table = nw.from_native(X, eager_only=True)
    except TypeError:
        raise InputTypeError(
            f"X is a {type(X).__name__}, which narwhals knows as no table whose rows are in memory; give an Arrow "
            f"table or a DataFrame of pandas or polars"
        ) from None
    return [_column(nw, name, series) for name, series in zip(names, table.iter_columns(), strict=True)]


def _column(nw: Any, name: str, series: Any) -> Column:
    dtype = series.dtype
    if dtype.is_nested():
        raise InputTypeError(
            f"the column {name!r:.200} is of the type {dtype!s:.80}; numbers, text or dates are wanted: make a column "
            f"of each of its parts, or leave it out"
        )
    if dtype in (nw.Categorical, nw.Enum):
        return _categorical(name, series.to_list())
    if dtype.is_temporal() and dtype != nw.Time:
        return column_of(name, series.to_numpy())  # in UTC
    if (dtype.is_float() or dtype.is_integer()) and dtype not in (nw.Int128, nw.UInt128):
        column = column_of(name, series.to_numpy())  # whole numbers become float64 where some are missing
        if dtype.is_float() or column.origin == "integer":
            return column
        whole = column_of(name, series.drop_nulls().to_numpy())
        return replace(column, origin="integer", note=whole.note)
    if dtype == nw.Boolean and not series.null_count():
        return column_of(name, series.to_numpy())
    return column_of(name, series.to_list())


def _categorical(name: str, values: list[Any]) -> Column:
    """Return a column of a categorical dtype: of numbers if its levels are such, else of text."""
    try:
        column = column_of(name, values)
    except InputTypeError:  # levels of another kind, such as the intervals of pandas.cut
        column = column_of(name, [_level(value) for value in values])
    if column.holds == "dates":
        raise InputTypeError(
            f"the column {name!r:.200} has dates as the levels of a categorical dtype; text or numbers are wanted: "
            f"turn it into dates, or into text"
        )
    return replace(column, origin="category")


def _level(value: Any) -> str | None:
    if type(value).__name__ == "Interval":  # its ends are whole numbers or not by what else is in the column
        opens, closes = "[" if value.closed_left else "(", "]" if value.closed_right else ")"
        return f"{opens}{text_of(value.left)}, {text_of(value.right)}{closes}"
    return None if value is None or value != value else str(value)
