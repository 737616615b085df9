"""Dates: how they are written as text, and the numbers that a network reads of them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.tables.column import as_datetime

__all__ = ["CYCLES", "PARTS", "as_date", "looks_like_date", "numbers_of", "varying_parts"]

ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|[+-]\d\d(:?\d\d)?))?)?", re.ASCII)
OTHER = re.compile(  # 31.12.2024, 12/31/24, 2024/12/31, 2024-12, 31 Dec 2024, 31-Dec-24, December 31, 2024; and a time
    r"([0-3]?\d([./-])[0-3]?\d\2((19|20)\d\d|\d\d)|(19|20)\d\d([./-])[0-3]?\d(\6[0-3]?\d)?"
    r"|[0-3]?\d([. -]{1,2})[^\W\d_]{3,9}\.?,?[ -]((19|20)\d\d|\d\d)|[^\W\d_]{3,9}\.? [0-3]?\d,? (19|20)\d\d)"
    r"([T ,]+\d.*)?"
)
DAY = 86_400_000_000  # microseconds


def as_date(text: str) -> np.datetime64 | None:
    """Return a date or time in the form of ISO 8601 as datetime64[us], in UTC if it has a time zone; or None.

    >>> as_date("2024-02-29 12:00+02:00"), as_date("2024-02-30"), as_date("1/2/2024")
    (np.datetime64('2024-02-29T10:00:00.000000'), None, None)
    """
    if not ISO.fullmatch(text):
        return None
    try:
        return as_datetime(dt.datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-").replace(" Z", "Z")))
    except (ValueError, OverflowError):
        return None


def looks_like_date(text: str) -> bool:
    """Whether a text may be a date, in whatever form.

    >>> [looks_like_date(text) for text in ("31.12.2024", "12/31/24 23:59", "Dec 31, 2024", "12 Main Street")]
    [True, True, True, False]
    """
    return as_date(text) is not None or OTHER.fullmatch(text) is not None


def _days(dates: Array) -> Array:
    return np.asarray(dates.view(np.int64) / DAY)


def _month(dates: Array) -> Array:
    return np.asarray(dates.astype("datetime64[M]").view(np.int64) % 12)


def _day(dates: Array) -> Array:
    day = dates.astype("datetime64[D]")
    return np.asarray((day - day.astype("datetime64[M]").astype("datetime64[D]")).view(np.int64) + 1)


def _weekday(dates: Array) -> Array:
    return np.asarray((dates.astype("datetime64[D]").view(np.int64) + 3) % 7)  # 1970 began on a Thursday


def _hour(dates: Array) -> Array:
    return np.asarray(dates.view(np.int64) % DAY / (DAY / 24))


PARTS: dict[str, Callable[[Array], Array]] = {
    "days": _days,  # since 1970, with the fraction of the day
    "month": _month,  # from 0
    "day": _day,  # of the month, from 1
    "weekday": _weekday,  # from 0, a Monday
    "hour": _hour,  # with its fraction
}
CYCLES = {"month": 12, "weekday": 7, "hour": 24}  # read as sine and cosine, so that December is beside January


def varying_parts(dates: Array) -> tuple[str, ...]:
    """Return the days, and the parts that are not the same in all dates; none of these is NaT."""
    found = {name: part(dates) for name, part in PARTS.items()}
    return tuple(name for name, values in found.items() if name == "days" or (values != values[0]).any())


def numbers_of(dates: Array, part: str) -> list[Array]:
    """Return a part of dates (rows,) as one column of numbers, or two if it has a cycle: sine, cosine; NaN for NaT."""
    values = np.where(np.isnat(dates), np.nan, PARTS[part](dates))
    if part not in CYCLES:
        return [values]
    angle = values * (2 * np.pi / CYCLES[part])
    return [np.sin(angle), np.cos(angle)]
