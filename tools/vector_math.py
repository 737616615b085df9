"""Compute the coefficients of native/src/kernels/math.hpp (needs mpmath): ``python tools/vector_math.py``.

With the argument ``golden``, write the values that tests/native/test_vector_math.py compares with.

Each approximation is the polynomial, or the quotient of two, with the least maximal error (Remez's exchange algorithm),
in 50 digits. The coefficients of a polynomial are then rounded to the type one after the other, the lowest power first,
and after each rounding the others are computed again, so that they compensate for it.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import mpmath as mp
import numpy as np
from safetensors.numpy import save_file

mp.mp.dps = 50
POINTS = 1500
SCALES = 500
Function = Callable[[mp.mpf], mp.mpf]


def rounded(value: mp.mpf, single: bool) -> mp.mpf:
    return mp.mpf(float(np.float32(float(value)))) if single else mp.mpf(float(value))


def extrema(errors: list[mp.mpf], wanted: int) -> list[int]:
    """Return ``wanted`` places of alternating sign where the error is largest between its changes of sign."""
    found: list[int] = []
    for i, e in enumerate(errors):
        if found and (e > 0) == (errors[found[-1]] > 0):
            if abs(e) > abs(errors[found[-1]]):
                found[-1] = i
        else:
            found.append(i)
    while len(found) > wanted:  # drop the smaller end
        found.pop(0 if abs(errors[found[0]]) < abs(errors[found[-1]]) else -1)
    return found


def polynomial(
    f: Function, weight: Function, low: mp.mpf, high: mp.mpf, terms: int, fixed: list[mp.mpf]
) -> tuple[list[mp.mpf], mp.mpf]:
    """Return the coefficients, lowest first, that make max |weight (p - f)| least, and that maximum."""
    start, free = len(fixed), terms - len(fixed)
    xs = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (POINTS - 1)) for i in range(POINTS)]
    ws = [weight(x) for x in xs]
    rest = [w * (f(x) - mp.polyval(fixed[::-1], x) if fixed else f(x)) for x, w in zip(xs, ws, strict=True)]
    basis = [[w * x**k for k in range(start, terms)] for x, w in zip(xs, ws, strict=True)]
    best, worst = [mp.mpf(0)] * free, mp.inf
    found = list(mp.lu_solve(mp.matrix(basis), mp.matrix(rest)))  # the start is a least-squares fit
    while True:
        errors = [r - mp.fdot(found, b) for r, b in zip(rest, basis, strict=True)]
        largest = max(abs(e) for e in errors)
        if largest > worst * mp.mpf("0.999"):
            return fixed + best, worst
        best, worst = found, largest
        places = extrema(errors, free + 1)
        if len(places) < free + 1:
            return fixed + best, worst
        rows = mp.matrix([[*basis[p], (-1) ** i] for i, p in enumerate(places)])
        found = list(mp.lu_solve(rows, mp.matrix([rest[p] for p in places])))[:free]


def polynomial_rounded(
    f: Function, weight: Function, low: mp.mpf, high: mp.mpf, terms: int, single: bool
) -> tuple[list[mp.mpf], mp.mpf]:
    fixed: list[mp.mpf] = []
    while len(fixed) < terms:
        coefficients, _ = polynomial(f, weight, low, high, terms, fixed)
        fixed.append(rounded(coefficients[len(fixed)], single))
    step = (high - low) / 997
    points = [low + step / 3 + i * step for i in range(997)]
    return fixed, max(abs(weight(x) * (mp.polyval(fixed[::-1], x) - f(x))) for x in points)


def quotient(
    f: Function, weight: Function, points: list[mp.mpf], above: int, below: int
) -> tuple[list[mp.mpf], list[mp.mpf], mp.mpf]:
    """Return a and b, lowest first and b_0 = 1, that make max |weight (a / b - f)| least, and that maximum."""
    count = above + 1 + below
    places = [round((1 - mp.cos(mp.pi * i / count)) / 2 * (len(points) - 1)) for i in range(count + 1)]
    fs, ws = [f(x) for x in points], [weight(x) for x in points]
    bs = [mp.mpf(1)] * len(points)
    best, a, b = mp.inf, [], []
    while True:
        for _ in range(12):  # b multiplies the error, so use b of the previous iteration
            rows = [
                [ws[p] * points[p] ** k for k in range(above + 1)]
                + [-ws[p] * fs[p] * points[p] ** k for k in range(1, below + 1)]
                + [(-1) ** i * bs[p]]
                for i, p in enumerate(places)
            ]
            solution = list(mp.lu_solve(mp.matrix(rows), mp.matrix([ws[p] * fs[p] for p in places])))
            found_a, found_b = solution[: above + 1], [mp.mpf(1), *solution[above + 1 : count]]
            before, bs = bs, [mp.polyval(found_b[::-1], x) for x in points]
            if all(abs(bs[p] / before[p] - 1) < mp.mpf("1e-6") for p in places):
                break
        values = [mp.polyval(found_a[::-1], x) / y for x, y in zip(points, bs, strict=True)]
        errors = [w * (v - y) for w, v, y in zip(ws, values, fs, strict=True)]
        largest = max(abs(e) for e in errors)
        if largest > best * mp.mpf("0.999"):
            return a, b, best
        best, a, b = largest, found_a, found_b
        places = extrema(errors, count + 1)
        if len(places) < count + 1:
            return a, b, best


def quotient_rounded(
    f: Function, weight: Function, points: list[mp.mpf], above: int, below: int, single: bool
) -> tuple[list[mp.mpf], list[mp.mpf], mp.mpf]:
    """Return a and b rounded, multiplied by the number from 1 to 2 for which rounding changes the quotient least."""
    a, b, _ = quotient(f, weight, points, above, below)
    some = points[::5]
    fs, ws = [f(x) for x in some], [weight(x) for x in some]
    best, kept = mp.inf, ([], [])
    for i in range(SCALES):
        scale = rounded(1 + mp.mpf(i) / SCALES, True)
        top, bottom = [[rounded(scale * c, single) for c in side] for side in (a, b)]
        top[0] = bottom[0] * f(mp.mpf(0))
        values = [mp.polyval(top[::-1], x) / mp.polyval(bottom[::-1], x) for x in some]
        worst = max(abs(w * (v - y)) for w, v, y in zip(ws, values, fs, strict=True))
        if worst < best:
            best, kept = worst, (top, bottom)
    return *kept, best


def exponential(r: mp.mpf) -> mp.mpf:
    return mp.mpf(1) / 2 + r / 6 if abs(r) < mp.mpf(10) ** -20 else (mp.expm1(r) - r) / r**2


def logarithm(z: mp.mpf) -> mp.mpf:
    s = mp.sqrt(z)
    return mp.mpf(2) / 3 if s < mp.mpf(10) ** -15 else (2 * mp.atanh(s) - 2 * s) / (s * z)


def hyperbolic_tangent(z: mp.mpf) -> mp.mpf:
    x = mp.sqrt(z)
    return -mp.mpf(1) / 3 if x < mp.mpf(10) ** -12 else (mp.tanh(x) - x) / (x * z)


def error_function(z: mp.mpf) -> mp.mpf:
    x = mp.sqrt(z)
    return 2 / mp.sqrt(mp.pi) - 1 if x == 0 else mp.erf(x) / x - 1


def tail(z: mp.mpf) -> mp.mpf:
    """Return Phi(-z) e^(z^2 / 2)."""
    return mp.erfc(z / mp.sqrt(2)) * mp.exp(z * z / 2) / 2


def beyond(z: mp.mpf) -> mp.mpf:
    """Return the difference of 1 / tail(z) and its asymptote: 2 at 0, and about sqrt(2 pi) / z for large z."""
    return 1 / tail(z) - mp.sqrt(2 * mp.pi) * z


def tail_points(highest: int) -> list[mp.mpf]:
    """Return points that are dense at both ends, in terms of (z - 3) / (z + 3)."""
    last = mp.mpf(highest - 3) / (highest + 3)
    us = [-1 + (1 - mp.cos(mp.pi * i / 599)) / 2 * (last + 1) for i in range(600)]
    return [3 * (1 + u) / (1 - u) for u in us]


def show(name: str, coefficients: list[mp.mpf], single: bool, error: mp.mpf) -> None:
    digits = 9 if single else 17
    numbers = [mp.nstr(c, digits, strip_zeros=False, min_fixed=-4) + "f" * single for c in coefficients[::-1]]
    print(f"    // {name}: {mp.nstr(error, 2)}\n    {', '.join(numbers)}")


def main() -> None:
    for single in (True, False):
        print("float" if single else "double")
        parts = 2 ** (16 if single else 42)
        high = mp.floor(mp.log(2) * parts) / parts  # times an exponent, it is exact
        print(f"    // log 2\n    {float(high).hex()}, {float(rounded(mp.log(2) - high, single)).hex()}")
        edge = mp.log(2) / 2 * mp.mpf("1.001")
        c, e = polynomial_rounded(
            exponential, lambda r: abs(r**2 / mp.expm1(r)) if r else mp.mpf(0), -edge, edge, 5 if single else 10, single
        )
        show("exponential, of e^r - 1", c, single, e)
        edge = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mp.mpf("1.001")
        c, e = polynomial_rounded(logarithm, lambda z: z / 2, mp.mpf(0), edge**2, 3 if single else 7, single)
        show("logarithm", c, single, e)
        if single:
            c, e = polynomial_rounded(hyperbolic_tangent, lambda z: z, mp.mpf(0), mp.mpf("0.57") ** 2, 5, single)
            show("tanh", c, single, e)
        edge = mp.mpf("0.9")
        c, e = polynomial_rounded(error_function, lambda z: mp.mpf(1), mp.mpf(0), edge**2, 6 if single else 11, single)
        show("erf", c, single, e)
        degrees = (4, 5) if single else (9, 10)
        a, b, e = quotient_rounded(beyond, tail, tail_points(15 if single else 39), *degrees, single)
        show("above", a, single, e)
        show("below", b, single, e)


def golden() -> None:
    """Write arguments, exact values rounded to float64, and the remainders that the rounding left."""
    rng = np.random.default_rng(1)
    near = np.concatenate([s * 10 ** rng.uniform(-307, 0, 40) for s in (-1.0, 1.0)])
    arguments = {
        "erf": np.concatenate([near, rng.uniform(-6, 6, 160), rng.uniform(0.8, 1.1, 60)]),
        "normal_cdf": np.concatenate(
            [near, rng.uniform(-38.4, 0, 200), rng.uniform(-2, 9, 100), rng.uniform(-39, -37, 20)]
        ),
    }
    functions = {"erf": mp.erf, "normal_cdf": lambda h: mp.erfc(-h / mp.sqrt(2)) / 2}
    arrays = {}
    for name, x in arguments.items():
        with mp.workdps(400):  # the smallest arguments have 307 zeros before their digits
            values = [functions[name](mp.mpf(float(v))) for v in x]
            exact = np.array([float(v) for v in values])
            rest = np.array([float(v - mp.mpf(float(e))) for v, e in zip(values, exact, strict=True)])
        arrays |= {f"{name}/x": x, f"{name}/exact": exact, f"{name}/rest": rest}
    save_file(arrays, Path(__file__).parents[1] / "tests" / "native" / "vector_math.safetensors")


if __name__ == "__main__":
    golden() if "golden" in sys.argv else main()
