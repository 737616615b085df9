"""A column of a table as it is kept: numbers, text or dates, whatever kind of values it came as."""

from __future__ import annotations

import ast
import datetime as dt
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import DataError, InputTypeError

__all__ = [
    "EXACT",
    "ROUNDED",
    "Column",
    "as_datetime",
    "column_of",
    "in_place",
    "meaning",
    "meaning_of",
    "place",
    "require_finite",
    "text_of",
]

EXACT = 2.0**53  # from here on, not every whole number is a float64
DATES = np.dtype("datetime64[us]")
ENDS = np.array(["-290307", "294247"], "datetime64[Y]")  # the first of the whole years that it has, and the next one
COARSE_DATES = ("Y", "M", "W", "D", "h", "m", "s", "ms")  # the units that have dates beyond these
ROUNDED = "whole numbers of 2**53 and more are rounded to float64, so that neighbours may become equal"

# What the types of Python and NumPy mean in a cell. The first that fits holds: timedelta64 is an integer to NumPy.
MEANINGS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("boolean", (bool, np.bool_)),
    ("duration", (dt.timedelta, np.timedelta64, dt.time)),
    ("integer", (Integral,)),
    ("number", (Real, Decimal)),
    ("text", (str,)),
    ("date", (dt.date, np.datetime64)),
)
NOTHING = ("NoneType", "NAType", "NaTType", "MaskedConstant")  # those of pandas and NumPy, which need not be loaded
USUAL = {bool: "boolean", int: "integer", float: "number", str: "text", type(None): "nothing"}  # found at once
NUMBERS = {"boolean", "integer", "number"}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
        Its name; that of a column without one is ``x`` and its number.
    values : array (rows,)
        Numbers as float64 with NaN for missing; text as objects, each a str or None; or dates as datetime64[us] in UTC,
        with NaT.
    origin : str
        What it came as: ``"boolean"``, ``"integer"``, ``"number"``, ``"duration"`` (numbers of seconds), ``"text"``,
        ``"written"`` (text of a file in which everything is text), ``"date"``, ``"category"`` (a categorical dtype, of
        text or numbers), or ``"nothing"``, if all is missing.
    note : str
        What was lost on the way, in words; or empty.
    """

    name: str
    values: Array
    origin: str
    note: str = ""

    @property
    def holds(self) -> str:
        """``"numbers"``, ``"text"`` or ``"dates"``."""
        return {"f": "numbers", "O": "text", "M": "dates"}[self.values.dtype.kind]

    @property
    def missing(self) -> Array:
        """Where it is missing, (rows,) of bool."""
        if self.values.dtype == object:
            return np.fromiter((value is None for value in self.values), bool, len(self.values))
        return np.asarray(self.values != self.values)


def column_of(name: str, values: Sequence[Any] | Array) -> Column:
    """Return a column of an array (rows,) or of a sequence of objects.

    Numbers beside text become text, as does a date. An array of ``datetime64`` or ``timedelta64`` has dates or seconds.

    Raises
    ------
    InputTypeError
        For bytes, complex numbers, lists and other objects that are no number, text or date, or numbers beside dates.
    DataError
        For a number or date that float64 or datetime64[us] cannot hold.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = [None if gone else value for value, gone in zip(values.data, np.ma.getmaskarray(values), strict=True)]
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biufMm":
        return _of_objects(name, values.tolist() if isinstance(values, np.ndarray) else list(values))
    kind = values.dtype.kind
    if kind == "M":
        dates, far = _in_microseconds(values)
        if far.any():
            row = int(np.argmax(far))
            raise DataError(f"{place(name, row)}: {values[row]} is too far away for a date in microseconds")
        return Column(name, dates, "date")
    if kind == "m":
        try:
            return Column(name, _in_seconds(values), "duration")
        except ValueError as error:
            raise DataError(f"column {name!r:.200}: {error}") from None
    numbers = np.array(values, np.float64)  # a copy: the caller's array may change
    origin = {"b": "boolean", "f": "number"}.get(kind, "integer")
    wide = origin == "integer" and values.dtype.itemsize == 8 and bool((np.abs(numbers) >= EXACT).any())
    return Column(name, numbers, origin, ROUNDED if wide else "")


def require_finite(column: Column) -> None:
    """Raise for an infinite number in a column."""
    if column.holds == "numbers" and (far := np.isinf(column.values)).any():
        row = int(np.argmax(far))
        raise DataError(
            f"{place(column.name, row)}: {column.values[row]} is no finite number; if it stands for a missing value, "
            f"make it NaN"
        )


def place(name: str, row: int) -> str:
    """Return the place of a cell in words; rows count from 0, as those of an array."""
    return f"column {name!r:.200}, row {row}"


PLACE = re.compile(r"column ('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"), row (\d+): (.*)", re.DOTALL)


def in_place(error: str, place_of: Callable[[str, int], str]) -> str | None:
    """Return an error that begins with the place of a cell with another place for it; None for any other error.

    ``place_of`` gets the name of the column, and the row.

    >>> in_place("column 'a', row 3: 'x' is no number", lambda name, row: f"{name}[{row + 10}]")
    "a[13]: 'x' is no number"
    """
    found = PLACE.match(error)
    return None if found is None else f"{place_of(ast.literal_eval(found[1]), int(found[2]))}: {found[3]}"


def meaning_of(kind: type) -> str:
    """Return what values of a type mean in a cell: a word of MEANINGS, ``"nothing"``, or an empty string."""
    if (usual := USUAL.get(kind)) is not None:
        return usual
    if kind.__name__ in NOTHING:
        return "nothing"
    return next((meaning for meaning, types in MEANINGS if issubclass(kind, types)), "")


def meaning(value: Any) -> str:
    """Return what a value means in a cell, as :func:`meaning_of` its type; NaN and NaT are ``"nothing"``."""
    found = meaning_of(type(value))
    if found == "number":
        return "nothing" if _is_nan(value) else found
    return "nothing" if found in ("date", "duration") and value != value else found


def _of_objects(name: str, values: list[Any]) -> Column:
    means = {kind: meaning_of(kind) for kind in set(map(type, values))}
    if "" in means.values():
        row = next(i for i, value in enumerate(values) if not means[type(value)])
        raise InputTypeError(f"{place(name, row)}: {_not_usable(values[row])}")
    if not means.keys() <= {bool, int, float, str, type(None)} or {float, str} <= means.keys():
        # what is missing has one form from here on
        doubtful = {kind for kind, word in means.items() if word not in ("boolean", "integer", "text")}
        values = [None if type(value) in doubtful and meaning(value) == "nothing" else value for value in values]
        means = {kind: means.get(kind, "nothing") for kind in set(map(type, values))}
    found = {*means.values()} - {"nothing"}
    if not found:
        return Column(name, np.full(len(values), np.nan), "nothing")
    if found <= NUMBERS:
        return _of_numbers(name, values, found)
    if "text" in found and "duration" not in found:
        return Column(name, _texts(values), "text")
    if found == {"date"}:
        return Column(name, _dates(name, values), "date")
    if found == {"duration"}:
        return Column(name, _durations(name, values), "duration")
    kinds = sorted(kind.__name__ for kind, word in means.items() if word != "nothing")
    raise InputTypeError(
        f"the column {name!r:.200} holds {', '.join(kinds)} side by side; numbers, text or dates are wanted in all rows"
    )


def _is_nan(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float | np.floating) and value != value


def _of_numbers(name: str, values: list[Any], found: Collection[str]) -> Column:
    try:
        numbers = np.array(values, np.float64)
    except OverflowError:
        row = next(i for i, v in enumerate(values) if isinstance(v, Integral) and abs(int(v)) >= 10**308)
        raise DataError(f"{place(name, row)}: the number is too large for float64; scale the column down") from None
    origin = next(each for each in ("number", "integer", "boolean") if each in found)
    if origin == "number" and np.isnan(numbers).all():
        return Column(name, numbers, "nothing")
    wide = "integer" in found and bool((np.abs(numbers) >= EXACT).any())
    return Column(name, numbers, origin, ROUNDED if wide else "")


def text_of(value: Any) -> str:
    """Return a value as the text of a level, whole numbers without a fraction.

    >>> text_of(3.0), text_of(2.5), text_of(True), text_of("a")
    ('3', '2.5', 'True', 'a')
    """
    if isinstance(value, float | np.floating) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _texts(values: list[Any]) -> Array:
    texts = np.empty(len(values), object)
    for row, value in enumerate(values):  # which None fills at first
        if type(value) is not str:
            value = None if value is None else text_of(value)
        if value and not value.isspace():
            texts[row] = value
    return texts


def _in_microseconds(values: Array) -> tuple[Array, Array]:
    """Return dates of any unit as datetime64[us], and which of them that cannot hold: those have NaT.

    Finer ones are cut. NumPy raises for one that is too far away or, before 2.5, gives another date.
    """
    far = np.zeros(values.shape, bool)
    if np.datetime_data(values.dtype)[0] in COARSE_DATES:
        first, end = ENDS.astype(values.dtype)
        far = ~np.isnat(values) & ((values < first) | (values >= end))
    return np.where(far, np.array("NaT", values.dtype), values).astype(DATES), far


def _in_seconds(values: Any) -> Any:
    """Return durations of any unit as numbers of seconds, NaN for NaT; or raise ValueError."""
    if (unit := np.datetime_data(values.dtype)[0]) in COARSE_DATES:
        if unit in ("Y", "M"):
            raise ValueError("years and months differ in length; give durations in days")
        one = np.array(1, values.dtype)
        return values / one * (one / np.timedelta64(1, "s"))
    return values / np.timedelta64(1, "us") / 1e6


def as_datetime(value: Any) -> np.datetime64:
    """Return a date or time as datetime64[us], in UTC if it has a time zone; or raise OverflowError or ValueError."""
    if isinstance(value, np.datetime64):
        dates, far = _in_microseconds(np.array([value]))
        if far[0]:
            raise OverflowError
        return dates[0]
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def _dates(name: str, values: list[Any]) -> Array:
    dates = np.full(len(values), "NaT", DATES)
    for row, value in enumerate(values):
        if value is not None:
            try:
                dates[row] = as_datetime(value)
            except (OverflowError, ValueError):
                raise DataError(f"{place(name, row)}: {value} is too far away for a date in UTC") from None
    return dates


def _durations(name: str, values: list[Any]) -> Array:
    seconds = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            seconds[row] = _seconds(value)
        except ValueError as error:
            raise DataError(f"{place(name, row)}: {error}") from None
    return seconds


def _seconds(value: Any) -> float:
    if isinstance(value, dt.time):
        value = dt.timedelta(
            hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
        )
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return float("nan") if value is None else float(_in_seconds(value))


def _not_usable(value: Any) -> str:
    """Return what came, what is wanted and what to do, for a value that is no number, text or date."""
    if isinstance(value, bytes | bytearray | memoryview):
        advice = 'decode it to text, such as value.decode("utf-8")'
    elif isinstance(value, complex | np.complexfloating):
        advice = "give the real and the imaginary part as two columns"
    elif isinstance(value, dict | list | tuple | set | frozenset | np.ndarray):
        advice = "make a column of each of its parts, or leave the column out"
    elif type(value).__name__ == "Period":
        advice = "turn it into dates with .dt.to_timestamp()"
    else:
        advice = "turn it into one of these, or leave the column out"
    return f"{value!r:.60} is of type {type(value).__name__}; numbers, text or dates are wanted: {advice}"
