"""The content of a cell: a number, true or false, a label or a missing value; and what is wrong with a cell."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = [
    "CODE",
    "LARGEST",
    "TRUTH",
    "as_feature",
    "as_number",
    "hint",
    "is_missing",
    "number_in",
    "plain_numbers",
    "shortened",
    "symbol",
    "wrong",
]

LARGEST = float(np.finfo(np.float32).max)  # networks compute in float32
CODE = re.compile(r"[+-]?0\d")  # 007 and 02134 are names made of digits
WHOLE = re.compile(r"[+-]?(?:\d+|[1-9]\d{0,2}([\s,.'\u2019])(?:\d{2,3}\1)*\d{3})")  # 1000, or 1,000, or 1 000
TRUTH = {"true": 1.0, "false": 0.0}
# What programs and people write for a missing value, in lower case.
MISSING = {
    "", "?", ".", "-", "--", "\u2013", "\u2014", "na", "n/a", "n.a.", "nan", "-nan", "none", "null", "nil", "nat",
    "<na>", "missing", "#n/a", "#n/a n/a", "#na", "#nv", "#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!",
    "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
}  # fmt: skip


def as_number(cell: str) -> float | None:
    """Return the number in a cell, or None.

    >>> as_number("-1.5e3"), as_number("1_000"), as_number("True")
    (-1500.0, None, None)
    """
    try:
        return None if "_" in cell else float(cell.replace("\u2212", "-"))  # 1_000 is a number in Python alone
    except ValueError:
        return None


def plain_numbers(cells: Sequence[str | None]) -> Array | None:
    """Return cells as numbers, NaN for None, if each is a finite number as Python writes it; otherwise None.

    It is what :func:`as_number` says of each of them, in a tenth of the time.

    >>> plain_numbers(["1", None, "-2.5"]), plain_numbers(["1", "1,5"])
    (array([ 1. ,  nan, -2.5]), None)
    """
    present = [cell for cell in cells if cell is not None]
    try:
        numbers = np.fromiter(map(float, present), np.float64, len(present))
    except ValueError:
        return None
    if not np.isfinite(numbers).all() or "_" in "".join(present):
        return None
    if len(present) == len(cells):
        return numbers
    values = np.full(len(cells), np.nan)
    values[[cell is not None for cell in cells]] = numbers
    return values


def as_feature(cell: str) -> float | None:
    """Return a cell as a number, with 1 for true and 0 for false; or None."""
    value = as_number(cell)
    return TRUTH.get(cell.lower()) if value is None else value


def is_missing(label: str) -> bool:
    """Whether a label stands for a missing value in tables that programs or people write.

    >>> is_missing("N/A"), is_missing("?"), is_missing("no")
    (True, True, False)
    """
    return label.lower() in MISSING


def wrong(cell: str, value: float | None) -> str | None:
    """Return why a cell cannot be used as a number, or None if it can; ``value`` is its number, None for no number."""
    if not cell:
        return "the cell is empty"
    if value is None:
        return f"{shortened(cell)} is not a number{hint(cell)}"
    if not abs(value) <= LARGEST:
        return f"{shortened(cell)} is too large" if np.isfinite(value) else f"{shortened(cell)} is not a finite number"
    return None


def shortened(text: str) -> str:
    """Return a text in quotes, shortened if it is long."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def hint(cell: str) -> str:
    """Return advice on writing a cell as a number that can be read; an empty string if the cell holds no number.

    >>> hint("3,14"), hint("$5"), hint("red")
    ('; decimals are written with a point', '; write the number alone: 5', '')
    >>> hint("1,000")
    '; write 1000 or 1.000, whichever is meant'
    """
    if len(cell) > 40:
        return ""
    if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]+", cell):
        return f"; write it in decimal: {int(cell, 16)}"
    bare = _bare(cell)
    ways = _ways(bare)
    if len(ways) == 2:
        return f"; write {ways[0]} or {ways[1]}, whichever is meant"
    if bare != cell and as_number(bare) is not None:
        return f"; write the number alone: {bare}"
    if re.fullmatch(r"[+-]?\d+,\d+", cell):
        return "; decimals are written with a point"
    return f"; write {ways[0]}" if ways else ""


def symbol(cell: str) -> str:
    """Return the sign of a currency, per cent or degrees in a cell, or an empty string.

    >>> symbol("$ 5"), symbol("12 %"), symbol("5")
    ('$', '%', '')
    """
    return "" if cell.isalnum() else "".join(c for c in cell if _is_symbol(c))


def number_in(cell: str, decimal: str) -> float | None:
    """Return the number in a cell with separators, with a symbol or in a debtor's brackets; or None.

    ``decimal`` is what stands between a number and its fraction, a point or a comma.

    >>> number_in("1,234.50", "."), number_in("1.234,50", ","), number_in("12 %", "."), number_in("1.234,5", ".")
    (1234.5, 1234.5, 12.0, None)
    """
    bare = cell if cell.isascii() and cell.isdecimal() else _bare(cell)
    value = as_number(bare) if decimal == "." else None if "." in bare else as_number(bare.replace(",", "."))
    if value is None:
        written = _without_separators(bare, decimal if decimal in bare else "")
        value = None if written is None else float(written)
    return value


def _is_symbol(c: str) -> bool:
    return unicodedata.category(c) == "Sc" or c in "%\u2030\u00b0"


def _bare(cell: str) -> str:
    """Return a cell without symbols, and with a minus for a debtor's brackets."""
    bare = cell if cell.isalnum() else "".join(c for c in cell if not _is_symbol(c))
    bare = bare.strip().replace("\u2212", "-")
    debit = re.fullmatch(r"\((.+)\)", bare)
    return f"-{debit[1].strip()}" if debit else bare


def _without_separators(text: str, decimal: str) -> str | None:
    """Return a number as Python writes it, from digits in groups with this before their fraction; or None."""
    whole, _, after = text.partition(decimal) if decimal else (text, "", "0")
    if not (after.isdecimal() and WHOLE.fullmatch(whole)):
        return None
    digits = re.sub(r"[^\d+-]", "", whole)
    return f"{digits}.{after}" if decimal else digits


def _ways(text: str) -> list[str]:
    """Return the numbers that digits with separators may stand for, as Python writes them.

    >>> _ways("1.234,5"), _ways("1,000"), _ways("1 000 000"), _ways("0,123"), _ways("10.12.2024")
    (['1234.5'], ['1000', '1.000'], ['1000000'], ['0.123'], [])
    """
    found = [_without_separators(text, decimal) for decimal in ("", ",", ".")]
    return [each for each in found if each is not None]
