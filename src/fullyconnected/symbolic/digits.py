"""Numbers as they are shown: at most eight significant digits, and what those digits are worth."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

__all__ = ["decimal", "place", "shown"]

DIGITS = 8


def shown(value: Any) -> str:
    """Return a number with up to 8 significant digits, or as few as its own type needs to tell it from others.

    >>> shown(1 / 3), shown(0.1 + 0.2), shown(np.float32(0.1)), shown(-1.5e-7), shown(-0.0), shown(float("-inf"))
    ('0.33333333', '0.3', '0.1', '-1.5e-7', '0', '-inf')
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
    text = f"{value:.{DIGITS}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text


def place(at: tuple[int, ...]) -> str:
    """Return an index as it is written behind a name.

    >>> place((0, 1)), place(())
    ('[0,1]', '')
    """
    return f"[{','.join(map(str, at))}]" if at else ""


def decimal(text: str) -> Fraction | None:
    """Return what the digits say, exactly; None for what is not finite.

    >>> decimal("0.49")
    Fraction(49, 100)
    """
    return Fraction(text) if math.isfinite(float(text)) else None
