"""The content of a cell: a number, true or false, a label or a missing value; and what is wrong with a cell."""

import re
import unicodedata

import numpy as np

__all__ = ["CODE", "LARGEST", "as_feature", "as_number", "hint", "is_missing", "shortened", "wrong"]

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
    bare = "".join(c for c in cell if unicodedata.category(c) != "Sc" and c not in "%\u2030\u00b0")
    bare = bare.strip().replace("\u2212", "-")
    if debit := re.fullmatch(r"\((.+)\)", bare):
        bare = f"-{debit[1].strip()}"
    ways = _ways(bare)
    if len(ways) == 2:
        return f"; write {ways[0]} or {ways[1]}, whichever is meant"
    if bare != cell and as_number(bare) is not None:
        return f"; write the number alone: {bare}"
    if re.fullmatch(r"[+-]?\d+,\d+", cell):
        return "; decimals are written with a point"
    return f"; write {ways[0]}" if ways else ""


def _ways(text: str) -> list[str]:
    """Return the numbers that digits with separators may stand for, as Python writes them.

    >>> _ways("1.234,5"), _ways("1,000"), _ways("1 000 000"), _ways("0,123"), _ways("10.12.2024")
    (['1234.5'], ['1000', '1.000'], ['1000000'], ['0.123'], [])
    """
    found = []
    for decimal in ("", ",", "."):
        whole, _, after = text.partition(decimal) if decimal else (text, "", "0")
        if after.isdecimal() and WHOLE.fullmatch(whole):
            digits = re.sub(r"[^\d+-]", "", whole)
            found.append(f"{digits}.{after}" if decimal else digits)
    return found
