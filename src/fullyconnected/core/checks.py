"""Checks of the caller's arrays and settings, made once, before anything is computed with them."""

import contextlib
import math
import os
import re
from collections.abc import Callable
from glob import has_magic
from numbers import Complex, Integral, Number, Real
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.core.mapped import is_mapped
from fullyconnected.errors import ConfigError, DataError, InputTypeError, ShapeError, nearest

__all__ = [
    "UNNAMED",
    "ColumnNames",
    "as_array",
    "as_rows",
    "as_weights",
    "check_precision",
    "column_labels",
    "columns_of",
    "count",
    "duration",
    "flag",
    "interval",
    "known_columns",
    "number",
    "refuse_path",
    "require_finite",
    "rows_of",
    "same_columns",
    "same_rows",
    "thread_count",
]

PRECISIONS = ("tf32", "bfloat16")  # of products of matrices of float32
ROWS = ("x", "X", "X_val")  # names of what holds rows
MOST_THREADS = 1024  # most_threads in native/src/thread_pool.cpp
BLOCK = 1 << 20  # entries that are checked at a time, so that a check of a large file needs little memory


def check_precision(precision: Any) -> str | None:
    """Return the precision of matrix products that is asked for, None for that of the network, or raise."""
    if precision is None:
        return None
    if not isinstance(precision, str):
        raise InputTypeError(
            f'precision is "tf32" or "bfloat16", or None for that of the network; got {precision!a:.80}'
        )
    if precision not in PRECISIONS:
        raise nearest("precision", precision, PRECISIONS)
    return precision


def count(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``, or raise."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputTypeError(f"{name} is a whole number; got {value!r} of type {type(value).__name__}")
    if value < least:
        raise ConfigError(f"{name} must be {least} or more; got {value}")
    return int(value)


def thread_count(value: Any) -> int:
    """Return ``n_threads``, 1 to 1024, or raise."""
    n_threads = count("n_threads", value)
    if n_threads > MOST_THREADS:
        raise ConfigError(f"n_threads must be {MOST_THREADS} or fewer; got {n_threads}")
    return n_threads


def number(
    name: str, value: Any, *, least: float = 0.0, above: bool = False, below: float = math.inf, most: float = math.inf
) -> float:
    """Return a finite number from ``least`` (or above it) to ``most`` and less than ``below``, or raise."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InputTypeError(f"{name} is a number; got {value!r} of type {type(value).__name__}")
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not (least <= value < below and value <= most) or (above and value == least):
        bound = f"more than {least:g}" if above else f"{least:g} or more"
        limit = "" if below == math.inf else f" and less than {below:g}"
        limit += "" if most == math.inf else f" and {most:g} or less"
        raise ConfigError(f"{name} must be {bound}{limit}, and finite; got {value}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Return True or False, or raise."""
    if not isinstance(value, bool | np.bool_):
        raise InputTypeError(f"{name} is True or False; got {value!a:.80}")
    return bool(value)


def interval(name: str, value: Any) -> int | float:
    """Return an interval, a number of epochs as an int or seconds as a float, from a number or a text; or raise."""
    if not isinstance(value, str):
        return count(name, value)
    return duration(name, value, "epochs, such as 10")


def duration(name: str, value: Any, number_of: str = "seconds") -> float:
    """Return a time in seconds, from a number of seconds or a text, or raise."""
    if not isinstance(value, str):
        return number(name, value, above=True)
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+) *(s|m|min|h)", value.strip(), re.ASCII)
    seconds = float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2][0]] if found else 0.0
    if not 0 < seconds < math.inf:
        raise ConfigError(
            f'{name} is a number of {number_of}, or a time, such as "30s", "5m" or "1h"; got {value!r:.80}'
        )
    return seconds


def as_array(a: Any, what: str, *, missing: bool = False) -> Array:
    """Return an array of numbers (or bool), or raise. The caller's memory is copied only where it must be.

    An array of objects, which pandas makes of columns of several dtypes, is accepted if every entry is a number. With
    ``missing``, masked entries, None and pandas's NA become NaN; else they are refused.
    """
    refuse_path(a, what)
    # np.asarray would return the numbers under a mask; a structured array is refused for its dtype, below
    if isinstance(a, np.ma.MaskedArray) and a.dtype.names is None and a.mask.any():
        if not missing or a.dtype.kind not in "biufO":
            raise DataError(f"{what} has masked entries, missing values. Drop such rows or fill them in first")
        a = np.ma.filled(a.astype(np.result_type(a.dtype, np.float32), copy=False), np.nan)
    if hasattr(a, "toarray"):
        raise InputTypeError(f"{what} is a sparse {type(a).__name__}; a dense array is wanted: {what}.toarray()")
    try:
        array = np.asarray(a)
    except ValueError as error:
        raise ShapeError(f"{what} does not form an array; are its rows of different lengths? ({error})") from None
    except Exception as error:  # whatever the __array__ of another library raises
        raise InputTypeError(f"{what}, a {type(a).__name__}, does not turn into an array: {error}") from error
    if array.dtype == object:
        if callable(getattr(a, "collect", None)):
            raise InputTypeError(f"{what} is a {type(a).__name__}, whose rows are not there yet: {what}.collect()")
        array = _numbers(array, what, missing=missing)
    if array.dtype.kind not in "biuf":
        raise InputTypeError(
            f"{what} has dtype {array.dtype}; numbers are wanted (float, int, uint8 or bool). "
            + _what_to_do(a, array, what)
        )
    return array


def refuse_path(a: Any, what: str) -> None:
    """Raise if a path is given in place of rows, or in place of other numbers a text that can be nothing else."""
    if not isinstance(a, str | os.PathLike):
        return
    name, rows = os.fsdecode(a), what.split()[-1] in ROWS
    if rows or not isinstance(a, str) or _is_path(name):
        wanted = "rows" if rows else "numbers"
        raise InputTypeError(f"{what} is the path {name!a:.80}, and {wanted} are wanted: {_reading(name, rows=rows)}")


def _is_path(text: str) -> bool:
    """Whether a text names a file: by an ending, or a folder before it."""
    return bool(os.path.dirname(text) or re.fullmatch(r"\.[A-Za-z]\w*", os.path.splitext(text)[1]))


def _reading(path: str, *, rows: bool) -> str:
    """Return what to write in place of a path, by what its name says of the file."""
    if path.lower().endswith(".npy"):
        return 'np.load(path, mmap_mode="r")'
    if path.lower().endswith(".parquet") or has_magic(path) or os.path.isdir(path):
        return (
            f"fc.Parquet(path, target=...){'' if rows else ' in place of the rows has their targets and weights, too'}"
        )
    if not rows:
        return "read it first, with np.loadtxt or pandas.read_csv"
    return (
        "read it first, with pandas.read_csv, or for TabularClassifier and TabularRegressor with "
        "fullyconnected.tables.files.read_frame"
    )


def _what_to_do(a: Any, array: Array, what: str) -> str:
    """Return advice on how to turn an array of something else into numbers."""
    name = what.split()[-1]
    if name == "sample_weight":
        return "It is one number per row, (rows,); for weights by class: np.array([1.0, 5.0, ...])[t]"
    wrong = _columns_without_numbers(a)
    if wrong and (name != "t" or len(wrong) > 1):
        columns = f"column{'s' * (len(wrong) > 1)} {', '.join(wrong[:5])}{', ...' * (len(wrong) > 5)}"
        return (
            f"{columns} of {name} hold{'s' * (len(wrong) == 1)} no numbers: leave out what is no feature, "
            f"{name}.drop(columns=[...]), and encode the rest as numbers, such as a column for each category "
            f"(pandas.get_dummies({name}))"
        )
    text = next((entry[:40] for entry in array.flat if isinstance(entry, str | bytes)), None)
    if text is not None and not _reads_as_numbers(array):
        if name == "t":
            return (
                f"It holds text, such as {text!a}. For class labels: labels, t = np.unique(t, "
                f"return_inverse=True); labels[net.predict(x).argmax(axis=1)] turns outputs back into text"
            )
        return (
            f"It holds text, such as {text!a}: encode it as numbers, such as a column for each category. "
            f"({name}.astype(float) converts numbers that are written as text)"
        )
    return f"Where every entry is a number, convert it: {name}.astype(float)"


def _columns_without_numbers(a: Any) -> list[str]:
    """Return the names of a table's columns that do not hold numbers, each with its dtype."""
    wrong: list[str] = []
    if not hasattr(a, "columns") or len(np.shape(a)) != 2:
        return wrong
    for name in a.columns:
        column = np.asarray(a[name])
        if column.dtype == object:
            column = _numbers(column, str(name), missing=True)
        if column.dtype.kind not in "biuf":
            kind = "text" if any(isinstance(entry, str) for entry in column[:100].flat) else str(column.dtype)
            wrong.append(f"{name!a} ({kind})")
    return wrong


def _reads_as_numbers(array: Array) -> bool:
    try:
        array.astype(float)
    except (TypeError, ValueError):
        return False
    return True


def _numbers(array: Array, what: str, *, missing: bool = False) -> Array:
    """Return an array of objects as bool, int64 or float64 if every entry is a number, else unchanged."""
    kinds = set(map(type, array.flat))
    others = {kind for kind in kinds if not _is_number(kind)}
    if others and missing and all(map(_is_missing, others)):
        array = array.copy()
        array[np.reshape([type(value) in others for value in array.flat], array.shape)] = np.nan
        kinds, others = {float}, set()
    if others and others < kinds and all(map(_is_missing, others)):
        where = next(at for at, value in np.ndenumerate(array) if type(value) in others)
        raise DataError(f"{what}{list(where)} is {array[where]}, a missing value. Drop such rows or fill them in first")
    if others:
        return array
    try:
        if kinds and all(issubclass(kind, bool | np.bool_) for kind in kinds):
            return array.astype(bool)
        if kinds and all(issubclass(kind, Integral | np.bool_) for kind in kinds):
            with contextlib.suppress(OverflowError):  # more than int64 holds
                return array.astype(np.int64)
        return array.astype(np.float64)
    except OverflowError:
        raise DataError(f"{what} has a number that is too large for float64; scale it down") from None


def _is_number(kind: type) -> bool:
    """Whether values of this type are real numbers; Python's Decimal is a Number, but not a Real."""
    return issubclass(kind, Real | np.bool_) or (issubclass(kind, Number) and not issubclass(kind, Complex))


def _is_missing(kind: type) -> bool:
    """Whether a type is that of None or of a missing value of pandas."""
    return kind is type(None) or (kind.__module__.startswith("pandas") and kind.__name__ in ("NAType", "NaTType"))


class ColumnNames(NamedTuple):
    """The names of the columns that a network was trained with; None for arrays, which have no names."""

    x: tuple[str, ...] | None = None
    t: tuple[str, ...] | None = None


UNNAMED = ColumnNames()


def columns_of(table: Any) -> tuple[str, ...] | None:
    """Return the names of a table's columns; None for arrays, and for tables whose columns are counted from 0.

    Names are in Unicode's composed form (NFC), so that equal names with accents compare equal.

    >>> columns_of([[1, 2]]) is None
    True
    """
    labels = column_labels(table)
    return None if labels is None else tuple(normalize("NFC", str(label)) for label in labels)


def column_labels(table: Any) -> list[Any] | None:
    """Return the labels of a table's columns as they are; None for arrays, and for columns that are counted from 0."""
    if isinstance(table, np.ndarray) or callable(getattr(table, "collect", None)):  # a LazyFrame, without rows yet
        return None
    arrow = type(table).__module__.startswith("pyarrow")  # whose .columns is the data itself
    labels = getattr(table, "column_names" if arrow else "columns", None)
    if labels is None or callable(labels) or not hasattr(labels, "__iter__"):
        return None
    labels = list(labels)
    return None if labels == list(range(len(labels))) else labels


def known_columns(x: Any, read: tuple[str, ...] | None, known: tuple[str, ...] | None, what: str = "x") -> Any:
    """Return the rows as a network takes them: of a table that is ``read`` by names, these columns in their order.

    Raise if the table lacks some, or has other columns than ``known``, those that the network was trained with.
    """
    labels = None if read is None else column_labels(x)
    if read is not None and labels is not None:
        own = {normalize("NFC", str(label)): label for label in labels}
        if len(own) < len(labels) or not own.keys() >= set(read):
            lacking = _listed([name for name in read if name not in own]) or "columns whose names differ"
            raise DataError(
                f"{what} lacks {lacking}: the network reads the columns {_listed(list(read))} by their names"
            )
        x = x.select(list(read)) if hasattr(x, "column_names") else x[[own[name] for name in read]]
    same_columns(known, columns_of(x), what, "net.columns.x")
    return x


def same_columns(known: tuple[str, ...] | None, found: tuple[str, ...] | None, what: str, attribute: str) -> None:
    """Raise if a table has other columns than the network was trained with, or the same in another order.

    ``attribute`` is the expression that gives the names the network knows: ``"net.columns.x"``.
    """
    if known is None or found is None or known == found:
        return
    name = what.split()[-1]
    advice = f"Put them in order: {name}[list({attribute})]. (To ignore the names: {name}.to_numpy())"
    missing, more = ([each for each in one if each not in other] for one, other in ((known, found), (found, known)))
    if not missing and not more and len(known) == len(found):
        i = next(i for i, (one, other) in enumerate(zip(known, found, strict=True)) if one != other)
        raise DataError(
            f"{what} has its columns in another order than the network was trained with: column {i} is {found[i]!a}, "
            f"where {known[i]!a} belongs. {advice}"
        )
    parts = [f"lacks {_listed(missing)}"] * bool(missing) + [f"has {_listed(more)} in addition"] * bool(more)
    error = DataError if len(known) == len(found) else ShapeError
    raise error(
        f"{what} has other columns than the network was trained with: it "
        f"{' and '.join(parts) or 'has some of them twice'}. {advice}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"{name!a:.60}" for name in names[:8]) + ", ..." * (len(names) > 8)


def as_rows(x: Any, n_in: int, what: str = "x", *, empty: bool = False, missing: bool = False) -> Array:
    """Return ``x`` as ``(rows, n_in)``: further dimensions are flattened, in C order; see as_array for ``missing``."""
    x = as_array(x, what, missing=missing)
    return x.reshape(rows_of(x.shape, n_in, what, empty=empty), n_in)


def rows_of(shape: Shape, n_in: int, what: str = "x", *, empty: bool = False) -> int:
    """Return the number of rows in this shape, or raise if they are not rows of ``n_in`` numbers."""
    name, size = what.split()[-1], math.prod(shape)
    if len(shape) < 2:
        hint = f" For a single row: {name}[None]" if n_in > 1 or size == 1 else f" For a column: {name}[:, None]"
        raise ShapeError(f"{what} has shape {shape}; the network wants (rows, {n_in}).{hint}")
    rows, width = shape[0], math.prod(shape[1:])
    if width != n_in:
        hint = ""
        if size == n_in:
            hint = f". For a single row: {name}[None]"
        elif len(shape) == 2 and rows == n_in:
            hint = f". Rows are samples: {name}.T"
        raise ShapeError(f"{what} has shape {shape}, {width} numbers a row; the network takes {n_in}{hint}")
    if not rows and not empty:
        raise ShapeError(f"{what} has no rows; one at least is needed")
    return rows


def same_rows(rows: int, a: Array, what: str) -> Array:
    """Return ``a`` if it has as many rows as ``x``, or raise."""
    if a.ndim == 0 or len(a) != rows:
        raise ShapeError(f"x has {rows} rows and {what} has shape {a.shape}; each row of x needs one entry of {what}")
    return a


def require_finite(
    a: Array,
    what: str,
    dtype: np.dtype[Any],
    first: int = 0,
    place_of: Callable[[int], Shape] | None = None,
    *,
    missing: bool = False,
) -> None:
    """Raise if an entry is NaN or infinite, or too large for the network's ``dtype``.

    ``first`` is the number of the first row of ``a`` where it is a block of a larger array. ``place_of`` returns the
    place of an entry of ``a`` for the message, where ``a`` lists the entries of a sparse matrix. With ``missing``,
    entries may be NaN.
    """
    if a.dtype.kind != "f" or not a.size:
        return
    largest = np.float64(np.finfo(dtype).max)  # a Python float would be rounded to the block's dtype: to infinity
    rows = max(1, BLOCK // max(1, a[0].size if a.ndim > 1 else 1))
    for start in range(0, len(a), rows):
        block = a[start : start + rows]
        with np.errstate(invalid="ignore"):
            most, least = (np.fmax, np.fmin) if missing else (np.maximum, np.minimum)
            top, bottom = most.reduce(block, axis=None), least.reduce(block, axis=None)
        if top <= largest and bottom >= -largest:  # NaN fails both
            continue
        wrong = ~(np.abs(block) <= largest)
        if missing and not (wrong := wrong & ~np.isnan(block)).any():  # all are NaN
            continue
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        value, place = block[where], (first + start + where[0], *where[1:])
        place = place if place_of is None else place_of(place[0])
        if np.isfinite(value):
            raise DataError(f"{what}{list(place)} is {value!s}, too large for a network of {dtype}; scale it down")
        raise DataError(f"{what}{list(place)} is {value}; {what} must be finite. Drop such rows or fill them in first")


def as_weights(w: Any, rows: int, what: str = "sample_weight", members: int | None = None) -> Array:
    """Return weights (rows,), or (rows, members) for an ensemble: finite, none negative, not all zero; or raise."""
    w = same_rows(rows, as_array(w, what), what)
    if w.ndim == 2 and w.shape[1] == 1:
        w = w[:, 0]
    if w.ndim != 1 and (w.ndim, w.shape[-1]) != (2, members):
        more = f", or one for each member, ({rows}, {members})" if members else ""
        if w.ndim == 2 and not members:
            more = f". Weights for each member are for a network that ends in fc.Members({w.shape[1]}, [...])"
        raise ShapeError(f"{what} has shape {w.shape}; one number per row is wanted: ({rows},){more}")
    w = w.astype(np.float64, copy=not is_mapped(w))
    require_finite(w, what, w.dtype)
    if (w < 0).any():
        place = [int(i) for i in np.argwhere(w < 0)[0]]
        raise DataError(f"{what}{place} is {w[tuple(place)]}; weights are 0 or more")
    if not w.any():
        raise DataError(f"every {what} is zero; nothing is left to learn from")
    if w.ndim == 2 and not (weighs := w.any(axis=0)).all():
        raise DataError(f"every {what} of member {int(np.argmin(weighs))} is zero; it has nothing to learn from")
    with np.errstate(over="ignore"):
        if not np.isfinite(w.sum()):
            raise DataError(f"the sum of {what} is too large for float64; scale them down")
    if not 1e-100 < w.max() < 1e100:
        w = w / w.max()  # only their proportions matter, and losses times such weights would overflow or underflow
    return w
