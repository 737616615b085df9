"""Compute the coefficients that activations.py uses for the normal distribution's tail (needs mpmath).

With z >= 0 and u = (z - 4) / (z + 4) in [-1, 1), the function Phi(-z) exp(z^2 / 2) is smooth in u. Its Chebyshev
interpolant is computed in 60 digits, converted to powers of u, and printed from the highest power down.
"""

import mpmath as mp

mp.mp.dps = 60
SCALE = 4


def scaled_tail(u: mp.mpf) -> mp.mpf:
    if u == 1:
        return mp.mpf(0)
    z = SCALE * (1 + u) / (1 - u)
    return mp.erfc(z / mp.sqrt(2)) * mp.exp(z * z / 2) / 2


def powers(degree: int) -> list[mp.mpf]:
    """Coefficients of the interpolant in powers of u, highest first."""
    return mp.chebyfit(scaled_tail, [-1, 1], degree + 1)


def worst_relative_error(degree: int) -> mp.mpf:
    coefficients = powers(degree)
    worst = mp.mpf(0)
    for i in range(801):
        z = mp.mpf(40) * i / 800
        u = (z - SCALE) / (z + SCALE)
        exact = scaled_tail(u)
        worst = max(worst, abs(mp.polyval(coefficients, u) / exact - 1))
    return worst


if __name__ == "__main__":
    for name, degree in (("float32", 10), ("float64", 24)):
        print(f"# {name}: degree {degree}, relative error {mp.nstr(worst_relative_error(degree), 2)} for z up to 40")
        print(",\n".join(f"    {mp.nstr(c, 20)}" for c in powers(degree)))
