"""How a column becomes numbers and codes: one encoder for each kind, for whole columns and for single cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isinf, nan
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import DataError
from fullyconnected.tables.cells import as_feature, as_number, hint, is_missing, plain_numbers, shortened
from fullyconnected.tables.column import Column, as_datetime, column_of, meaning, place, require_finite, text_of
from fullyconnected.tables.dates import CYCLES, numbers_of
from fullyconnected.tables.levels import key_of_level
from fullyconnected.tables.texts import Reading

__all__ = ["UNKNOWN", "CategoryEncoder", "DateEncoder", "Encoder", "Feature", "NumberEncoder"]

UNKNOWN = -1  # the code of a level that training did not have, as OneHot and Embedding read it
NO_DATE = np.datetime64("NaT", "us")
NUMBERS = ("boolean", "integer", "number")


class Feature(NamedTuple):
    """What a column of x is.

    Attributes
    ----------
    name : str
        The name of the column of the table, and for a date that of the part.
    source : str
        The name of the column of the table.
    kind : str
        ``"number"``, ``"boolean"`` (a number with two values), ``"date"`` (a number that is a part of one) or
        ``"code"``.
    levels : int
        For a code, the number of codes, from 0 to levels - 1, that of missing among them; 0 for a number.
    missing : bool
        Whether it was missing in training rows. Then a number is NaN, and a code is levels - 1.
    heavy : bool
        Whether a number has a long tail.
    """

    name: str
    source: str
    kind: str
    levels: int = 0
    missing: bool = False
    heavy: bool = False


@dataclass(frozen=True)
class Encoder:
    """How a column of the table becomes columns of x: all that a file holds of it is in the fields of its class."""

    name: str
    kind: ClassVar[str] = ""

    @property
    def features(self) -> tuple[Feature, ...]:
        """What each column of x is that is made of the column."""
        raise NotImplementedError

    def encode(self, column: Column, x: Array) -> None:
        """Write the columns of x for a column of a table, (rows, features)."""
        raise NotImplementedError

    def cells(self, value: Any, row: int | None = None) -> tuple[float, ...]:
        """Return the numbers for a single cell; ``row`` is for the message of an error."""
        raise NotImplementedError

    def by_cells(self, column: Column, x: Array) -> None:
        """Write the columns of x cell by cell, for a column that came as another kind than in training."""
        known: dict[Any, tuple[float, ...]] = {}
        values = column.values.tolist() if column.holds != "dates" else list(column.values)
        for row, value in enumerate(values):
            if value not in known:
                known[value] = self.cells(value, row)
        if values:
            x[:] = [known[value] for value in values]

    def refuse(self, value: Any, row: int | None, wanted: str, advice: str = "") -> NoReturn:
        where = f"column {self.name!r:.200}" if row is None else place(self.name, row)
        text = isinstance(value, str)
        said = shortened(value) if text else f"{value!s:.60}, a {type(value).__name__},"
        advice = advice or (hint(value) if text else "")
        raise DataError(f"{where}: {said} does not fit the column, which held {wanted} in training{advice}")


@dataclass(frozen=True)
class NumberEncoder(Encoder):
    """A number stays as it is, and NaN if it is missing; true and false are 1 and 0, and durations are seconds."""

    boolean: bool = False
    missing: bool = False
    heavy: bool = False
    reading: Reading | None = None
    kind: ClassVar[str] = "number"

    @property
    def features(self) -> tuple[Feature, ...]:
        kind = "boolean" if self.boolean else "number"
        return (Feature(self.name, self.name, kind, 0, self.missing, self.heavy),)

    def encode(self, column: Column, x: Array) -> None:
        if column.holds == "numbers":
            require_finite(column)
            x[:, 0] = column.values
        elif (numbers := self._plain(column)) is not None:
            x[:, 0] = numbers
        else:
            self.by_cells(column, x)

    def _plain(self, column: Column) -> Array | None:
        """Return a column of text at once if all of it are numbers that need no reading, otherwise None."""
        same = self.reading is None or (self.reading.of, self.reading.decimal) in (("numbers", "."), ("truth", "."))
        return plain_numbers(column.values.tolist()) if same and column.holds == "text" else None

    def cells(self, value: Any, row: int | None = None) -> tuple[float, ...]:
        found = meaning(value)
        if found in NUMBERS:
            try:
                number = float(value)
            except OverflowError:
                number = float("inf")
            if isinf(number):
                self.refuse(value, row, "finite numbers")
            return (number,)
        if found == "text":
            return (self._number_in(value, row),)
        if found == "nothing":
            return (nan,)
        if found == "duration":
            return (float(column_of(self.name, [value]).values[0]),)
        self.refuse(value, row, "numbers")

    def _number_in(self, text: str, row: int | None) -> float:
        text = text.strip()
        number = as_feature(text) if self.reading is None else self.reading.value(text)
        if isinstance(number, float) and not isinf(number):
            return number
        if not text or (self.reading is not None and (self.reading.others or is_missing(text))):
            return nan
        self.refuse(text, row, "numbers" if self.reading is None or self.reading.of == "numbers" else "true and false")


@dataclass(frozen=True)
class CategoryEncoder(Encoder):
    """A level becomes its code: 0 and on in the order of ``levels``, then one for rare levels, and one for missing.

    A level that training did not have is as rare as those that share a code, and gets that; it is -1 where none do.
    """

    levels: tuple[str, ...] | tuple[float, ...] = ()
    rare: bool = False
    missing: bool = False
    kind: ClassVar[str] = "category"
    codes: Mapping[Any, float] = field(init=False, repr=False, compare=False)  # by level, and by None for missing
    unknown: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes: dict[Any, float] = {level: float(i) for i, level in enumerate(self.levels)}
        codes[None] = float(len(self.levels) + self.rare if self.missing else UNKNOWN)
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "unknown", float(len(self.levels)) if self.rare else float(UNKNOWN))

    @property
    def numeric(self) -> bool:
        """Whether the levels are numbers."""
        return isinstance(self.levels[0], float)

    @property
    def features(self) -> tuple[Feature, ...]:
        codes = len(self.levels) + self.rare + self.missing
        return (Feature(self.name, self.name, "code", codes, self.missing),)

    def encode(self, column: Column, x: Array) -> None:
        if column.holds == "numbers" and self.numeric:
            levels = np.array(self.levels)
            codes = np.searchsorted(levels, column.values).clip(max=len(levels) - 1)
            x[:, 0] = np.where(levels[codes] == column.values, codes, self.unknown)
            x[np.isnan(column.values), 0] = self.codes[None]
        elif column.holds == "text" and not self.numeric:
            values = column.values.tolist()
            found = list(map(self.codes.get, values))
            if None in found:
                others = {value: self._code_of(value) for value in set(values).difference(self.codes)}
                found = [others[value] if code is None else code for value, code in zip(values, found, strict=True)]
            x[:, 0] = found
        else:
            self.by_cells(column, x)

    def cells(self, value: Any, row: int | None = None) -> tuple[float, ...]:
        found = meaning(value)
        if found == "nothing":
            return (self.codes[None],)
        if found == "text":
            number = as_number(value.strip()) if self.numeric else None
            if self.numeric and value.strip() and number is None:
                self.refuse(value, row, f"numbers such as {text_of(self.levels[0])}")
            return (self._code_of(value if number is None else number),)
        if found not in NUMBERS:
            self.refuse(value, row, "text" if not self.numeric else "numbers")
        if self.numeric:
            return (self.codes.get(value, self.unknown),)
        code = self.codes.get(text_of(value))
        if code is None and not any(as_number(str(level)) is not None for level in self.levels):
            self.refuse(value, row, f"text such as {shortened(str(self.levels[0]))}")
        return (self.unknown if code is None else code,)

    def _code_of(self, level: Any) -> float:
        """Return the code of a level that is none as it is written."""
        key = key_of_level(level) if isinstance(level, str) else level
        return self.codes[None] if key == "" else self.codes.get(key, self.unknown)


@dataclass(frozen=True)
class DateEncoder(Encoder):
    """A date becomes the days since 1970, and those of month, day, weekday and hour that varied in training.

    What comes again, the month, weekday and hour, is a sine and a cosine.
    """

    parts: tuple[str, ...] = ()
    missing: bool = False
    reading: Reading | None = None
    kind: ClassVar[str] = "date"

    @property
    def features(self) -> tuple[Feature, ...]:
        names = [
            f"{self.name}: {part}{of}"
            for part in self.parts
            for of in ((", sin", ", cos") if part in CYCLES else ("",))
        ]
        return tuple(Feature(name, self.name, "date", 0, self.missing) for name in names)

    def encode(self, column: Column, x: Array) -> None:
        if column.holds == "numbers":
            self.by_cells(column, x)  # which refuses all but missing ones
            return
        dates = column.values
        if column.holds == "text":
            known: dict[str | None, np.datetime64] = {None: NO_DATE}
            for row, text in enumerate(texts := dates.tolist()):
                if text not in known:
                    known[text] = self._date_in(text, row)
            dates = np.array([known[text] for text in texts])
        self._write(dates, x)

    def cells(self, value: Any, row: int | None = None) -> tuple[float, ...]:
        found = meaning(value)
        if found == "text":
            value = self._date_in(value, row)
        elif found == "nothing":
            value = NO_DATE
        elif found != "date":
            self.refuse(value, row, "dates")
        x = np.empty((1, len(self.features)))
        try:
            self._write(np.array([as_datetime(value)]), x)
        except (OverflowError, ValueError):
            self.refuse(value, row, "dates")
        return tuple(x[0].tolist())

    def _write(self, dates: Array, x: Array) -> None:
        columns = [numbers for part in self.parts for numbers in numbers_of(dates, part)]
        for i, numbers in enumerate(columns):
            x[:, i] = numbers

    def _date_in(self, text: str, row: int | None) -> np.datetime64:
        date = (self.reading or Reading("dates")).value(text)
        if isinstance(date, np.datetime64):
            return date
        if not text.strip() or (self.reading is not None and (self.reading.others or is_missing(text.strip()))):
            return NO_DATE
        self.refuse(text, row, "dates", "; they are read in the form of 2024-12-31 or 2024-12-31 23:59")
