"""Tables of any kind as named columns: DataFrames, Arrow tables, dicts, rows and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import PurePath
from typing import Any, Self

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.mapped import taken
from fullyconnected.errors import DataError, InputTypeError, ShapeError, nearest
from fullyconnected.tables.cells import is_missing
from fullyconnected.tables.column import Column, column_of, meaning_of
from fullyconnected.tables.dataframes import columns_of_dataframe, is_dataframe, labels_of_dataframe
from fullyconnected.tables.names import key_of

__all__ = ["Frame", "frame_of", "is_cell", "without_gaps"]


@dataclass(frozen=True)
class Frame:
    """A table as columns.

    Attributes
    ----------
    columns : tuple of Column
        The columns in the order of the table.
    rows : int
        The number of rows.
    named : bool
        Whether the names are the table's own. Otherwise a column is known by its place: those of an array are called
        x0, x1, ..., and the numbers by which pandas knows columns without names are their texts.
    """

    columns: tuple[Column, ...]
    rows: int
    named: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def at(self, rows: Array) -> Self:
        """Return some rows, by their numbers or by a mask; what lies in a file stays in one."""
        columns = tuple(replace(column, values=taken(column.values, rows)) for column in self.columns)
        return replace(self, columns=columns, rows=len(columns[0].values))

    def column(self, name: str) -> Column:
        """Return the column of a name, in whatever form of Unicode, or raise with the nearest one."""
        return self.columns[self._place(name)]

    def without(self, *names: str) -> Self:
        """Return the table without some columns."""
        places = {self._place(name) for name in names}
        return replace(self, columns=tuple(each for i, each in enumerate(self.columns) if i not in places))

    def _place(self, name: str) -> int:
        for i, each in enumerate(self.names):
            if key_of(each) == key_of(name):
                return i
        raise nearest("column", name, self.names)


def frame_of(X: Any, names: Sequence[str] | None = None) -> Frame:
    """Return a table as columns of numbers, text and dates.

    In text, an empty cell is missing. None, NaN, NaT and pandas's NA are missing everywhere. Infinite numbers are kept:
    who uses a column refuses them.

    Parameters
    ----------
    X : DataFrame of pandas, polars or another library, Arrow table, dict, list, array, or Frame
        A dict has a sequence for each column, or one value for each if it is a single row. A list has rows: lists, or
        dicts, in which a key that is absent is missing. An array is (rows, columns), or structured (rows,). A Frame is
        returned as it is.
    names : sequence of str, optional
        The names of the columns of an array or of a list of lists, which has none.

    Raises
    ------
    InputTypeError
        For what is no table, a table whose rows are not in memory, or a column that holds no numbers, text or dates.
    ShapeError
        For no columns, columns or rows of different lengths, or an array that is not (rows, columns).
    DataError
        For names of columns that are no texts, or equal.

    Examples
    --------
    >>> frame = frame_of({"age": [31, None], "city": ["Oslo", ""]})
    >>> [column.values.tolist() for column in frame.columns]
    [[31.0, nan], ['Oslo', None]]
    """
    if isinstance(X, Frame):
        return X
    labels, given, named = _parts(X, names)
    if not labels:
        rows = len(X) if hasattr(X, "__len__") and not isinstance(X, Mapping) else 0
        raise ShapeError(f"X has 0 feature(s) (shape=({rows}, 0)) while a minimum of 1 is required.")
    different(labels)
    if given is None:
        columns = columns_of_dataframe(X, labels)
    else:
        columns = [column_of(label, values) for label, values in zip(labels, given, strict=True)]
    rows = len(columns[0].values)
    for column in columns:
        if len(column.values) != rows:
            raise ShapeError(
                f"the columns differ in length: {labels[0]!r:.80} has {rows} rows, and {column.name!r:.80} has "
                f"{len(column.values)}"
            )
    return Frame(tuple(columns), rows, named)


def _parts(X: Any, names: Sequence[str] | None) -> tuple[list[str], list[Any] | None, bool]:
    """Return the labels of a table, the values of its columns (None for a DataFrame), and whether they are names."""
    given: list[Any] | None
    if isinstance(X, Mapping):
        labels, given = list(X), list(_of_dict(X))
    elif isinstance(X, np.ndarray) and X.dtype.names is not None:
        labels, given = list(X.dtype.names), _fields(X)
    elif isinstance(X, list | tuple) and X and all(isinstance(row, Mapping) for row in X):
        labels = list(dict.fromkeys(key for row in X for key in row))
        given = [[row.get(label) for row in X] for label in labels]
    elif not isinstance(X, np.ndarray | list | tuple) and is_dataframe(X):
        labels, given = labels_of_dataframe(X), None
    else:
        given = _of_array(X)
        if names is None:
            return [f"x{i}" for i in range(len(given))], given, False
        labels, names = _given_names(names, len(given)), None
    if names is not None:
        raise InputTypeError(f"names are for an array or a list of lists; this {type(X).__name__} has names of its own")
    texts = [_name(label) for label in labels]
    return texts, given, not all(isinstance(label, Integral) for label in labels)


def _name(label: Any) -> str:
    """Return the label of a column as a text; a number, as pandas gives columns by default, is one, too."""
    if isinstance(label, bool | np.bool_) or not isinstance(label, str | Integral):
        raise DataError(
            f"the names of columns are texts; got {label!r:.80} of type {type(label).__name__}. "
            f"For a DataFrame of pandas: X.columns = X.columns.map(str)"
        )
    try:
        return str(label).encode().decode()
    except UnicodeEncodeError:
        raise DataError(f"the name {str(label)!a:.80} of a column is not text that UTF-8 can hold") from None


def _given_names(names: Sequence[str], columns: int) -> list[str]:
    if isinstance(names, str) or len(names) != columns:
        raise ShapeError(f"names has {len(names)} entries, and X {columns} columns")
    return list(names)


def different(labels: Sequence[str]) -> None:
    """Raise if two columns have the same name, in whatever form of Unicode."""
    if len(set(labels)) == len(labels) and all(map(str.isascii, labels)):
        return
    first: dict[str, int] = {}
    for i, label in enumerate(labels):
        if first.setdefault(key_of(label), i) != i:
            raise DataError(
                f"columns {first[key_of(label)]} and {i}, counted from 0, are both named {label!r:.80}; rename one, or "
                f"leave it out"
            )


def is_cell(value: Any) -> bool:
    """Whether a value is one cell, and no column of them."""
    return isinstance(value, str) or meaning_of(type(value)) != ""


def _of_dict(X: Mapping[Any, Any]) -> list[Any]:
    """Return the columns of a dict, each a sequence; or all of them one value, if it is a single row."""
    single = [is_cell(v) for v in X.values()]
    if all(single):
        return [[value] for value in X.values()]
    if any(single):
        one, column = (next(k for k, s in zip(X, single, strict=True) if s is want) for want in (True, False))
        raise ShapeError(
            f"{one!r:.80} is a single value, and {column!r:.80} is not; a dict has a sequence for each column, or one "
            f"value for each if it is one row"
        )
    return [_sequence(name, values) for name, values in X.items()]


def _sequence(name: Any, values: Any) -> Array | list[Any]:
    if isinstance(values, list | tuple | range):
        return list(values)
    if hasattr(values, "__array__"):
        array = values if isinstance(values, np.ndarray) else np.asarray(values)
        if array.ndim != 1:
            raise ShapeError(f"the column {name!r:.80} has the shape {array.shape}; (rows,) is wanted")
        return array
    raise InputTypeError(
        f"the column {name!r:.80} is a {type(values).__name__}; a list, an array (rows,) or a Series is wanted"
    )


def _fields(X: Array) -> list[Array]:
    if X.ndim != 1:
        raise ShapeError(f"X is a structured array of the shape {X.shape}; (rows,) is wanted")
    for name in X.dtype.names or ():
        if X.dtype[name].shape or X.dtype[name].names:
            raise InputTypeError(f"the column {name!r:.80} is of the dtype {X.dtype[name]}; one value a row is wanted")
    return [X[name] for name in X.dtype.names or ()]


def _of_array(X: Any) -> list[Any]:
    """Return the columns of an array, or of a list of rows."""
    if hasattr(X, "toarray"):
        raise InputTypeError(f"X is a sparse {type(X).__name__}; a dense table is wanted: X.toarray()")
    if isinstance(X, list | tuple):
        return _of_rows(list(X))
    if not isinstance(X, np.ndarray) and (not hasattr(X, "__array__") or hasattr(X, "to_frame")):
        advice = ": X.to_frame()" if hasattr(X, "to_frame") else ""
        if isinstance(X, str | PurePath):
            advice = ". Of a file, fullyconnected.tables.files.read_frame makes one"
        raise InputTypeError(f"X is a {type(X).__name__}; a DataFrame, dict, list of rows or array is wanted{advice}")
    array = X if isinstance(X, np.ma.MaskedArray) else np.asarray(X)  # a matrix has no columns of one dimension
    if array.ndim != 2:
        raise ShapeError(
            f"X has the shape {array.shape}; (rows, columns) is wanted. Reshape your data: X.reshape(-1, 1) if it is "
            f"one column, X.reshape(1, -1) if it is one row"
        )
    if array.dtype.kind in "cSV":
        said = "decode it to text: X.astype(str)" if array.dtype.kind == "S" else "numbers, text or dates are wanted"
        raise InputTypeError(f"X has the dtype {array.dtype}; {said}")
    return list(array.T)


def _of_rows(rows: list[Any]) -> list[Any]:
    if not rows:
        return []
    for i, row in enumerate(rows):
        if isinstance(row, str | bytes | set | Mapping) or not hasattr(row, "__len__") or getattr(row, "ndim", 1) != 1:
            raise ShapeError(
                f"row {i} of X is a {type(row).__name__}; each row is a list of cells. Reshape your data: [X] if it is "
                f"one row, [[cell] for cell in X] if it is one column"
            )
        if len(row) != len(rows[0]):
            raise ShapeError(f"row {i} of X has {len(row)} cells, and row 0 has {len(rows[0])}")
    return [list(column) for column in zip(*rows, strict=True)]


def without_gaps(column: Column) -> Column:
    """Return a column of text with None for NA, ? and the like, which stand for a missing value in a file of text."""
    found = {value for value in set(column.values.tolist()) - {None} if is_missing(value.strip())}
    if "+" in column.values:  # then - is a level as well
        found.discard("-")
    if not found:
        return column
    values = column.values.copy()
    values[[value in found for value in values]] = None
    return replace(column, values=values)
