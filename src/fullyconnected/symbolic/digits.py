"""Numbers as text with eight significant digits as a rule, and the exact value of such a text."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

__all__ = ["decimal", "place", "shown"]

DIGITS = 8
DECIMALS, LARGE = 3, 10**12  # up to this size, a number has so many decimals: timestamps differ in them


def shown(value: Any) -> str:
    """Return a number as text with up to 8 significant digits, or fewer if they identify it in its own dtype.

    Large numbers have more, for three decimals.

    >>> shown(1 / 3), shown(0.1 + 0.2), shown(np.float32(0.1)), shown(-1.5e-7), shown(-0.0), shown(float("-inf"))
    ('0.33333333', '0.3', '0.1', '-1.5e-7', '0', '-inf')
    >>> shown(1e9), shown(1e9 + 1 / 3), shown(1e20 / 3)
    ('1e9', '1000000000.333', '3.3333333e19')
    """
    if isinstance(value, int | np.integer | np.bool_):
        return str(int(value))
    if isinstance(value, np.float32):  # 0.1 as a float32 is 0.10000000149...; its own shortest form is 0.1
        value = str(value)
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if value == 0:
        return "0"
    whole = len(str(int(abs(value)))) if 1 <= abs(value) < LARGE else 0
    text = f"{value:.{DIGITS}g}"
    if whole + DECIMALS > DIGITS and float(text) != (more := float(f"{value:.{whole + DECIMALS}g}")):
        return repr(more).removesuffix(".0")
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text


def place(at: tuple[int, ...]) -> str:
    """Return an index in the form in which it follows a name.

    >>> place((0, 1)), place(())
    ('[0,1]', '')
    """
    return f"[{','.join(map(str, at))}]" if at else ""


def decimal(text: str) -> Fraction | None:
    """Return the exact value of the digits; None for NaN and infinity.

    >>> decimal("0.49")
    Fraction(49, 100)
    """
    return Fraction(text) if math.isfinite(float(text)) else None
