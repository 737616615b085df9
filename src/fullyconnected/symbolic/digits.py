"""Numbers as text with eight significant digits as a rule, or three; and the exact value of such a text."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

__all__ = ["brief", "decimal", "place", "shown"]

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


def brief(value: Any) -> str:
    """Return a number as text with three significant digits, and all whole ones up to a million.

    It has at most 8 characters if its exponent has at most one digit behind a minus sign, and at most 10.

    >>> brief(1 / 3), brief(-0.00012345), brief(12345.678), brief(999.96), brief(-2.5e7), brief(3), brief(-0.0)
    ('0.333', '-1.23e-4', '12346', '1000', '-2.5e7', '3', '0')
    >>> brief(float("nan")), brief(float("-inf")), brief(-1.2345e-300)
    ('NaN', '-inf', '-1.23e-300')
    """
    value = float(value)
    if not math.isfinite(value):
        return shown(value)
    mantissa, exponent = f"{value:.2e}".split("e")
    size = abs(float(f"{mantissa}e{exponent}"))
    if size == 0:
        return "0"
    if 1e3 <= size < 1e6:
        return f"{value:.0f}"
    return f"{value:.3g}" if 1e-3 <= size < 1e3 else f"{float(mantissa):g}e{int(exponent)}"


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
