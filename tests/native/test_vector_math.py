"""The native engine's vector functions: how far from exact, over the whole range, and what they make of extremes.

Errors are in units in the last place. float32 is held to NumPy's float64 functions; float64 to its long double ones
where those have 64 bits, and, for what NumPy lacks, to vector_math.safetensors, which tools/vector_math.py writes.
"""

import functools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

native = pytest.importorskip("fullyconnected._native", reason="the native engine is not built")

GOLDEN = load_file(Path(__file__).parent / "vector_math.safetensors")
LONG = np.longdouble
HAS_LONG = np.finfo(LONG).nmant >= 63


def decay(x):
    return np.exp(-np.abs(x))


def each(f):
    return lambda x: np.array([f(v) for v in x.tolist()], x.dtype)


def wave(quarters):
    """Return the cosine of so many turns, less a number of quarters; whole turns and quarters are taken off exactly."""

    def f(x):
        part = x - np.rint(x)
        nearest = np.rint(4 * part)
        t = 2 * PI * (part - nearest / 4)
        place = (nearest.astype(np.int64, casting="unsafe") - quarters) % 4
        cosine, sine = np.cos(t), np.sin(t)
        found = np.select([place == 0, place == 1, place == 2], [cosine, -sine, -cosine], sine)
        return np.where(np.isfinite(x), found, np.nan).astype(x.dtype)

    return f


PI = np.longdouble("3.14159265358979323846264338327950288")
FUNCTIONS = {
    "cosine_of_turns": wave(0),
    "sine_of_turns": wave(1),
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x < 0, decay(x), 1) / (1 + decay(x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(decay(x)),
}
WITHOUT_LONG = {"erf": each(math.erf), "normal_cdf": each(lambda z: math.erfc(-z / math.sqrt(2)) / 2)}
BOUNDS = {np.float32: 2, np.float64: 4}
TAIL_BOUNDS = {np.float32: 4, np.float64: 6}  # normal_cdf, relative to however small a tail


def evaluate(name, x):
    return native.evaluate(name, x, np.empty_like(x))


@functools.cache
def numbers(dtype):
    """Numbers of all sizes and signs, more of them where the functions bend, and the extremes."""
    rng = np.random.default_rng(5)
    bits = np.uint32 if dtype == np.float32 else np.uint64
    n = 100_000
    some = [
        rng.integers(0, np.iinfo(bits).max, n, dtype=bits, endpoint=True).view(dtype),
        *(rng.uniform(-width, width, n) for width in (0.6, 1.2, 4, 20, 110, 760)),
        rng.uniform(1, 2, n) * np.exp2(rng.integers(-70, 3, n)) * rng.choice([-1, 1], n),
        1 + rng.uniform(-1, 1, n) * np.exp2(rng.integers(-52, 0, n)),
        -1 + rng.uniform(0, 1, n) * np.exp2(rng.integers(-52, 0, n)),
    ]
    info = np.finfo(dtype)
    extremes = [0, 1, info.tiny, info.smallest_subnormal, info.max, np.inf, np.nan]
    limits = [v for x in (info.max, info.smallest_subnormal) for v in np.log(dtype(x)) + np.linspace(-1, 1, 2001)]
    with np.errstate(all="ignore"):
        x = np.concatenate(
            [v.astype(dtype) for v in (*some, np.array(extremes), -np.array(extremes), np.array(limits))]
        )
    return x[~np.isnan(x) | (np.arange(len(x)) >= len(x) - 5000)]  # of NaN, no more than the few given


def holds(name, got, exact, bound, rest=0):
    """Assert that ``got`` is within ``bound`` of ``exact + rest``, and the same where that is infinite, NaN or zero."""
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        finite = np.isfinite(rounded)
        np.testing.assert_array_equal(got[~finite], rounded[~finite], err_msg=name)
        zero = finite & ((got == 0) | (exact == 0))
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(exact[zero]), err_msg=f"{name}: sign of zero")
        exponent = np.maximum(np.frexp(exact)[1], info.minexp + 1)
        errors = np.abs((got.astype(exact.dtype) - exact) - rest) / np.ldexp(
            exact.dtype.type(1), exponent - info.nmant - 1
        )
    errors = np.where(finite, errors, 0)
    at = np.argmax(errors)
    assert errors[at] <= bound, f"{name}: {errors[at]:.2f} units from {exact[at]!r}: {got[at]!r}"


@functools.cache
def exactly(name, dtype):
    with np.errstate(all="ignore"):
        return (FUNCTIONS | WITHOUT_LONG)[name](numbers(dtype).astype(np.float64 if dtype is np.float32 else LONG))


CASES = [*((name, np.float32) for name in (*FUNCTIONS, *WITHOUT_LONG))]
CASES += [(name, np.float64) for name in FUNCTIONS if HAS_LONG]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_over_the_whole_range(name, dtype):
    bounds = TAIL_BOUNDS if name == "normal_cdf" else BOUNDS
    holds(name, evaluate(name, numbers(dtype)), exactly(name, dtype), bounds[dtype])


@pytest.mark.parametrize(("name", "bounds"), [("erf", BOUNDS), ("normal_cdf", TAIL_BOUNDS)])
def test_float64_golden(name, bounds):
    x, exact, rest = (GOLDEN[f"{name}/{part}"] for part in ("x", "exact", "rest"))
    holds(name, evaluate(name, x), exact, bounds[np.float64], rest)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes(dtype):
    x = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan], dtype)
    half, two = 0.5, math.log(2)
    nan, inf = np.nan, np.inf
    expected = {
        "exp": [0, 1, 1, inf, nan],
        "expm1": [-1, -0.0, 0, inf, nan],
        "log": [nan, -inf, -inf, inf, nan],
        "log1p": [nan, -0.0, 0, inf, nan],
        "tanh": [-1, -0.0, 0, 1, nan],
        "sigmoid": [0, half, half, 1, nan],
        "softplus": [0, two, two, inf, nan],
        "erf": [-1, -0.0, 0, 1, nan],
        "normal_cdf": [0, half, half, 1, nan],
        "cosine_of_turns": [nan, 1, 1, nan, nan],
        "sine_of_turns": [nan, 0, 0, nan, nan],
    }
    for name, values in expected.items():
        got, wanted = evaluate(name, x), np.array(values, dtype)
        np.testing.assert_array_equal(got, wanted, err_msg=name)
        np.testing.assert_array_equal(np.signbit(got[:4])[wanted[:4] == 0], np.signbit(wanted[:4][wanted[:4] == 0]))


def test_log1p_ends_at_minus_one():
    for dtype in (np.float32, np.float64):
        x = np.array([-1, np.nextafter(dtype(-1), dtype(-2)), -2, -np.inf], dtype)
        np.testing.assert_array_equal(evaluate("log1p", x), np.array([-np.inf, np.nan, np.nan, np.nan], dtype))


def test_an_array_of_any_length():
    """What is left over at the end is computed like the rest, and nothing beyond it."""
    x = np.linspace(-3, 3, 70)
    whole = evaluate("tanh", x)
    for n in range(len(x)):
        y = np.full(len(x), 7.0)
        native.evaluate("tanh", x[:n], y[:n])
        np.testing.assert_array_equal(y, [*whole[:n], *[7.0] * (len(x) - n)])


EVALUATE = """
import sys, numpy as np
from fullyconnected import _native
given = np.load(sys.argv[1])
np.savez(sys.argv[2], **{key: _native.evaluate(key.split()[0], x, np.empty_like(x)) for key, x in given.items()})
"""


@pytest.mark.skipif("FULLYCONNECTED_CPU" in os.environ, reason="one set of kernels is chosen")
@pytest.mark.parametrize("kernels", native.usable_kernels()[1:])
def test_the_other_kernels(kernels, tmp_path):
    """What they evaluate in a process of its own is held to what is known here; the shorter tests run there."""
    environment = os.environ | {"FULLYCONNECTED_CPU": kernels, "PYTEST_ADDOPTS": ""}

    how = {"env": environment, "cwd": Path(__file__).parents[2], "capture_output": True, "text": True, "timeout": 600}

    def run(*arguments):
        done = subprocess.run([sys.executable, *arguments], **how)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    given, found = tmp_path / "given.npz", tmp_path / "found.npz"
    np.savez(given, **{f"{name} {dtype.__name__}": numbers(dtype) for name, dtype in CASES})
    run("-c", EVALUATE, given, found)
    values = np.load(found)
    for name, dtype in CASES:
        bounds = TAIL_BOUNDS if name == "normal_cdf" else BOUNDS
        holds(name, values[f"{name} {dtype.__name__}"], exactly(name, dtype), bounds[dtype])
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", "-k", "not whole_range"]
    run("-m", "pytest", *options, __file__)
