"""Text that stands for something else: numbers with separators or symbols, dates, true and false."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from fullyconnected.tables.cells import (
    CODE,
    TRUTH,
    as_feature,
    is_missing,
    number_in,
    plain_numbers,
    shortened,
    symbol,
)
from fullyconnected.tables.dates import as_date

__all__ = ["Reading", "reading_of"]

MAJORITY = 0.9  # of the cells are numbers, or dates, in a column that is read as such
CODED = "digits that begin with a zero are names"
SAMPLE = 200  # levels that are looked at first, since most columns of many levels are no numbers


@dataclass(frozen=True)
class Reading:
    """How the text of a column is read.

    Attributes
    ----------
    of : str
        ``"numbers"``, ``"dates"`` (in the form of ISO 8601), or ``"truth"``: true and false as 1 and 0.
    decimal : str
        What stands between a number and its fraction: a point or a comma.
    others : bool
        Whether other texts stood in the column in training. They are missing values then, and errors otherwise.
    """

    of: str
    decimal: str = "."
    others: bool = False

    def value(self, text: str) -> float | np.datetime64 | None:
        """Return the number or the date in a cell, or None."""
        text = text.strip()
        if self.of == "truth":
            return as_feature(text)
        if self.of == "dates":
            return as_date(text)
        value = number_in(text, self.decimal)
        return value if value is not None and isfinite(value) else None

    def values(self, texts: Iterable[str]) -> dict[str, float | np.datetime64]:
        """Return the numbers or dates in cells, by their text, without those that hold none."""
        texts = list(texts)
        if self.of == "numbers" and self.decimal == "." and (plain := plain_numbers(texts)) is not None:
            return dict(zip(texts, plain.tolist(), strict=True))
        return {text: value for text in texts if (value := self.value(text)) is not None}


def reading_of(levels: Mapping[str, int], *, written: bool = False) -> tuple[Reading | None, str]:
    """Return how a column of text is read, or None if it is text, and a note for the user, from its levels' counts.

    Numbers and dates need a majority of nine cells in ten. The decimal comma is recognised by the column as a whole: it
    is that under which more cells are numbers, and a point if both are equal. Digits that begin with a zero (007) are
    names, and so are numbers whose symbols differ, such as $ 5 beside 5 %. Where everything is written as text, as in a
    CSV file, that it is text is not noted.
    """
    levels = {text: times for text, times in levels.items() if not is_missing(text)}
    cells = sum(levels.values())
    if not cells:
        return None, ""
    if all(text.lower() in TRUTH for text in levels):
        return Reading("truth"), ""
    as_text = "" if written else " as text"
    if plain_numbers(list(levels)) is not None:
        return (None, CODED) if any(map(CODE.match, levels)) else (Reading("numbers"), _note("numbers", as_text, ""))
    sample = list(levels)[:: -(-len(levels) // SAMPLE)]
    for reading in (Reading("numbers"), Reading("numbers", ","), Reading("dates")):
        if 2 * sum(reading.value(text) is not None for text in sample) < len(sample):
            continue
        rivals = [reading] if reading.of == "dates" else [Reading("numbers"), Reading("numbers", ",")]
        read = {each: _readable(levels, each.value) for each in rivals}
        best = max(rivals, key=lambda each: sum(read[each].values()))
        found = sum(read[best].values())
        if found < MAJORITY * cells:
            share = f"{found:,} of {cells:,} cells are {best.of}"
            return None, f"{share}; from {MAJORITY:.0%} on, the others would be missing values" if found else ""
        if best.of == "dates":
            left_out = _left_out(levels, read[best], cells - found)
            return Reading("dates", others=found < cells), _note("dates", as_text, left_out)
        return _as_numbers(levels, best, read[best], cells - found, as_text)
    return None, ""


def _readable(levels: Mapping[str, int], value: Callable[[str], Any]) -> dict[str, int]:
    return {text: times for text, times in levels.items() if value(text) is not None}


def _as_numbers(
    levels: Mapping[str, int], best: Reading, read: Mapping[str, int], left: int, as_text: str
) -> tuple[Reading | None, str]:
    if any(map(CODE.match, levels)):
        return None, CODED
    symbols = sorted({symbol(text) for text in read} - {""})
    if len(symbols) > 1:
        return None, f"the numbers have different symbols, {' and '.join(symbols[:3])}, and are taken as text"
    said = ""
    if best.decimal == ",":
        said = " with a decimal comma"
    elif comma := next((text for text in read if "," in text), ""):
        said = f", where {shortened(comma)} is read as {number_in(comma, '.'):.12g}"
    said += f"; {symbols[0]} is left out" if symbols else ""
    return Reading("numbers", best.decimal, others=left > 0), _note(
        "numbers", as_text, said + _left_out(levels, read, left)
    )


def _note(what: str, as_text: str, said: str) -> str:
    return f"{what}{as_text}{said}" if as_text or said else ""


def _left_out(levels: Mapping[str, int], read: Mapping[str, int], left: int) -> str:
    if not left:
        return ""
    example = next(text for text in levels if text not in read)
    many = f"{left:,} other cells" if left > 1 else "one other cell"
    return f"; {many}, such as {shortened(example)}, {'are' if left > 1 else 'is'} missing"
