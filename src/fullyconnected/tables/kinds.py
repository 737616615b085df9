"""What each column of a table is, judged by the training rows: a number, a category, a date, or nothing of use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError, DataError, InputTypeError, nearest
from fullyconnected.tables.column import EXACT, Column, require_finite
from fullyconnected.tables.dates import looks_like_date
from fullyconnected.tables.frame import Frame
from fullyconnected.tables.levels import MOST_LEVELS, count_levels
from fullyconnected.tables.names import key_of
from fullyconnected.tables.texts import Reading, reading_of

__all__ = ["KINDS", "USED", "Decision", "judge", "tail_of"]

USED = ("number", "boolean", "category", "date")
KINDS = (*USED, "constant", "missing", "identifier")
FEW, SHARE = 20, 0.9  # text of more levels than that, in this share of the cells, does not tell rows apart by kind
HEAVY = 10.0  # the tails of a normal distribution measure 3.8, of an exponential one 8.4, of a log-normal one 16.7
LEAST = 50  # rows from which tails are judged


@dataclass(frozen=True)
class Decision:
    """What a column is, and why.

    Attributes
    ----------
    column : str
        Its name.
    kind : str
        ``"number"``, ``"boolean"`` (two values), ``"category"`` or ``"date"``; or, for a column that is left out,
        ``"constant"``, ``"missing"`` or ``"identifier"``.
    why : str
        The reason in words.
    missing : float
        The share of the rows in which it is missing, from 0 to 1.
    levels : int
        The number of different values.
    note : str
        What the user should know of it, in words; or empty.
    tail : float or None
        The length of the longer tail of numbers: :func:`tail_of`.
    reading : Reading or None
        How text is read as numbers or dates.
    """

    column: str
    kind: str
    why: str
    missing: float
    levels: int
    note: str = ""
    tail: float | None = None
    reading: Reading | None = None

    @property
    def used(self) -> bool:
        """Whether a network can learn from the column."""
        return self.kind in USED

    @property
    def heavy(self) -> bool:
        """Whether numbers have a tail so long that a transform may pay."""
        return self.tail is not None and self.tail > HEAVY


def judge(frame: Frame, categorical_features: Any = "from_dtype") -> tuple[Decision, ...]:
    """Return what each column of the training rows is.

    Whole numbers stay numbers even if they take few values: their order is lost in a category, and only who made the
    table knows whether it means anything.

    Parameters
    ----------
    frame : Frame
        The training rows.
    categorical_features : "from_dtype", None, or sequence of bool, int or str
        The columns that are categories whatever they hold: those of a categorical dtype, none, or a mask, the numbers
        or the names of columns, as :class:`sklearn.ensemble.HistGradientBoostingClassifier` takes them. Text is a
        category without being named.

    Raises
    ------
    DataError
        For a table without rows, or an infinite number.
    ConfigError, InputTypeError
        For ``categorical_features`` that do not exist in the table, or that hold dates.

    Examples
    --------
    >>> from fullyconnected.tables.frame import frame_of
    >>> frame = frame_of({"age": [31, 22, 40], "city": ["Oslo", "Bergen", None], "country": ["NO"] * 3})
    >>> [(each.kind, each.why) for each in judge(frame)]
    [('number', '3 different numbers'), ('category', '2 different texts'), ('constant', 'the same in all rows')]
    """
    if not frame.rows:
        raise DataError("the table has no rows; there is nothing to learn from")
    said = _categories(frame, categorical_features)
    found = (_judge(column, said.get(i)) for i, column in enumerate(frame.columns))
    return tuple(
        replace(each, note="; ".join(filter(None, (column.note, each.note))))
        for each, column in zip(found, frame.columns, strict=True)
    )


def tail_of(numbers: Array) -> float | None:
    """Return how far the tails reach: from the median to the 0.5 or 99.5 % quantile, in half interquartile ranges.

    It is the longer of the two distances. Where more than half of the numbers are the same, the others alone are
    measured. None for fewer than fifty numbers, or ten different ones.

    >>> normal = np.random.default_rng(0).normal(size=10_000)
    >>> round(tail_of(normal)), round(tail_of(np.exp(2 * normal))) > 50
    (4, True)
    """
    numbers = numbers / 4  # differences of the largest ones would be infinite
    for values in (numbers, None):
        if values is None:
            values = numbers[numbers != np.median(numbers)]
        if len(values) < LEAST or len(np.unique(values[: 100 * LEAST])) < 10:
            return None
        low, first, middle, third, high = np.quantile(values, [0.005, 0.25, 0.5, 0.75, 0.995])
        half = (third - first) / 2
        if half > 0:
            with np.errstate(over="ignore"):
                return float(max(high - middle, middle - low) / half)
    return None


def _judge(column: Column, said: str | None) -> Decision:
    gone = column.missing
    missing = float(gone.mean())
    if missing == 1:
        return Decision(column.name, "missing", "missing in all rows", 1.0, 0)
    if column.holds == "text":
        return _text(column, count_levels(column.values.tolist()), missing, said)
    require_finite(column)
    present = column.values[~gone]
    levels = len(np.unique(present))
    if said is not None and column.holds == "dates":
        raise InputTypeError(
            f"the column {column.name!r:.200} holds dates; a category is text or numbers: leave it out of "
            f"categorical_features, or turn it into text"
        )
    if levels == 1 and not missing:
        return Decision(column.name, "constant", "the same in all rows", missing, levels)
    if said is not None:
        return _category(column, levels, missing, said)
    if column.holds == "dates":
        return Decision(column.name, "date", _different(levels, "date"), missing, levels)
    return _numbers(column, present, levels, missing)


def _numbers(column: Column, present: Array, levels: int, missing: float, reading: Reading | None = None) -> Decision:
    if levels <= 2:
        why = "two values" if levels == 2 else "one value, or missing"
        return Decision(column.name, "boolean", why, missing, levels, reading=reading)
    half = present.max() / 2 - present.min() / 2  # of the whole range, which may be too large for float64
    whole = levels == len(present) and levels > FEW and (present % 1 == 0).all() and half < min(0.75 * levels, EXACT)
    note = "whole numbers without repetition or wide gaps, as the numbers of rows are: leave them out, if so"
    why = _different(levels, "number")
    return Decision(column.name, "number", why, missing, levels, note if whole else "", tail_of(present), reading)


def _text(column: Column, levels: dict[str, int], missing: float, said: str | None) -> Decision:
    reading, note = (None, "") if said is not None else reading_of(levels, written=column.origin == "written")
    if reading is not None:
        values = reading.values(levels)
        different = len(set(values.values()))
        missing = 1 - sum(levels[text] for text in values) / len(column.values)
        if different == 1 and not missing:
            return Decision(column.name, "constant", "the same in all rows", missing, 1)
        if reading.of == "dates":
            why = _different(different, "date")
            return Decision(column.name, "date", why, missing, different, note, reading=reading)
        if reading.of == "truth":
            why = "true or false" if different == 2 else "one value, or missing"
            return Decision(column.name, "boolean", why, missing, different, note, reading=reading)
        numbers = np.repeat([float(each) for each in values.values()], [levels[text] for text in values])
        found = _numbers(column, numbers, different, missing, reading)
        return replace(found, note="; ".join(filter(None, (note, found.note))))
    if len(levels) == 1 and not missing:
        return Decision(column.name, "constant", "the same in all rows", missing, 1)
    present = sum(levels.values())
    if said is None and not note and sum(levels[text] for text in levels if looks_like_date(text)) > SHARE * present:
        note = "they look like dates, which are read in the form 2024-12-31 23:59 alone"
    if said is None and len(levels) > max(FEW, SHARE * present):
        why = f"{len(levels):,} different texts in {present:,} cells, as identifiers or free text have"
        return Decision(column.name, "identifier", why, missing, len(levels), note)
    why = _different(len(levels), "text") if said is None else said
    found = _category(column, len(levels), missing, why)
    return replace(found, note="; ".join(filter(None, (note, found.note))))


def _different(levels: int, what: str) -> str:
    return f"{levels:,} different {what}s" if levels > 1 else f"one {what}, or missing"


def _category(column: Column, levels: int, missing: float, why: str) -> Decision:
    note = f"{levels:,} levels: the {MOST_LEVELS:,} most frequent have a code each, and the others share one"
    return Decision(column.name, "category", why, missing, levels, note if levels > MOST_LEVELS else "")


def _categories(frame: Frame, given: Any) -> dict[int, str]:
    """Return the columns that are said to be categories, by their number, with the reason."""
    if given is None:
        return {}
    if isinstance(given, str) and given == "from_dtype":
        return {i: "a categorical dtype" for i, column in enumerate(frame.columns) if column.origin == "category"}
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputTypeError(
            f'categorical_features are "from_dtype", None, or a list of bools, numbers or names; got {given!r:.80}'
        )
    listed, columns = list(given), len(frame.columns)
    if listed and all(isinstance(each, bool | np.bool_) for each in listed):
        if len(listed) != columns:
            raise ConfigError(f"categorical_features is a mask of {len(listed)} columns, and X has {columns}")
        chosen = [i for i, each in enumerate(listed) if each]
    elif all(isinstance(each, str) for each in listed):
        places = {key_of(name): i for i, name in enumerate(frame.names)}
        if lacking := [each for each in listed if key_of(each) not in places]:
            raise nearest("column in X for categorical_features", lacking[0], frame.names)
        chosen = [places[key_of(each)] for each in listed]
    elif all(isinstance(each, Integral) and not isinstance(each, bool) for each in listed):
        if far := [each for each in listed if not 0 <= each < columns]:
            raise ConfigError(f"categorical_features has {far[0]}; the columns of X are 0 to {columns - 1}")
        chosen = [int(each) for each in listed]
    else:
        raise InputTypeError(f"categorical_features are all bools, all numbers or all names; got {listed!r:.80}")
    return dict.fromkeys(chosen, "said to be a category")
