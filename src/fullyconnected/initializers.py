"""Initial values of parameters: given by name, by a standard deviation, or by a function of your own.

An initializer is a function ``(rng, shape, fan_in, fan_out) -> array``. Draws are made in float64 by NumPy, so that
float32 and float64 networks with the same seed start from the same numbers, rounded.

Those of ``WEIGHTS_FROM_ROWS`` and ``BIASES_FROM_ROWS`` also depend on the training rows, as they reach the layer. Until
these are known, the parameters are NaN; ``Layer.adapt`` then calls them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.core.batches import TrainingRows
from fullyconnected.errors import ConfigError, InputTypeError, nearest

__all__ = ["BIASES_FROM_ROWS", "INITIALIZERS", "WEIGHTS_FROM_ROWS", "check", "draw"]

POINTS = 5  # training rows whose random mean a hyperplane of "he+5" passes through
BLOCK = 1 << 20  # entries of rows that are taken at a time
NOISE = 8  # a unit that varies by no more units of rounding, relative to its size, is constant


def _uniform(rng: np.random.Generator, shape: Shape, limit: float) -> Array:
    return rng.uniform(-limit, limit, shape)


INITIALIZERS: dict[str, Callable[[np.random.Generator, Shape, int, int], Array]] = {
    # U(-a, a) with a = sqrt(6 / (fan_in + fan_out)), and N(0, 2 / (fan_in + fan_out)). Glorot and Bengio 2010,
    # equations 16 and 12.
    "glorot_uniform": lambda rng, shape, fan_in, fan_out: _uniform(rng, shape, math.sqrt(6 / (fan_in + fan_out))),
    "glorot_normal": lambda rng, shape, fan_in, fan_out: rng.normal(0, math.sqrt(2 / (fan_in + fan_out)), shape),
    # U(-a, a) with a = sqrt(6 / fan_in), and N(0, 2 / fan_in), not truncated. He et al. 2015, equation 10.
    "he_uniform": lambda rng, shape, fan_in, _: _uniform(rng, shape, math.sqrt(6 / fan_in)),
    "he_normal": lambda rng, shape, fan_in, _: rng.normal(0, math.sqrt(2 / fan_in), shape),
    # U(-a, a) with a = sqrt(3 / fan_in), and N(0, 1 / fan_in). LeCun et al. 1998, equation 16.
    "lecun_uniform": lambda rng, shape, fan_in, _: _uniform(rng, shape, math.sqrt(3 / fan_in)),
    "lecun_normal": lambda rng, shape, fan_in, _: rng.normal(0, math.sqrt(1 / fan_in), shape),
    # U(-a, a) with a = 1 / sqrt(fan_in): what PyTorch's Linear draws, weights and biases alike.
    "uniform_fan_in": lambda rng, shape, fan_in, _: _uniform(rng, shape, 1 / math.sqrt(fan_in)),
    "uniform01": lambda rng, shape, *_: rng.random(shape),
    "zeros": lambda _, shape, *__: np.zeros(shape),  # for weights only where symmetry does not matter
    "signs": lambda rng, shape, *_: rng.choice((-1.0, 1.0), shape),  # for the scales of Members
    "ones": lambda _, shape, *__: np.ones(shape),
}


def unit_variance(rng: np.random.Generator, shape: Shape, rows: TrainingRows, weights: Array) -> Array:
    """Return W with N(0, 1 / n_in) entries, each column divided by the standard deviation of x W over the rows.

    The column of a unit that does not vary over the rows stays as it is drawn. Source: Holzmueller, Grinsztajn and
    Steinwart, "Better by default", 2024, section 3.
    """
    W = rng.normal(0, math.sqrt(1 / shape[0]), shape)
    total, mean, squares, largest = 0.0, np.zeros(shape[1]), np.zeros(shape[1]), np.zeros(shape[1])
    rounding = np.finfo(np.float64).eps
    for start, block in rows.blocks():
        if block.dtype.kind == "f":
            rounding = max(rounding, np.finfo(block.dtype).eps)
        z = block.astype(np.float64) @ W
        w = np.ascontiguousarray(weights[start : start + len(z)])
        weight, middle = float(w.sum()), w @ z / w.sum()
        np.maximum(largest, np.abs(z).max(axis=0), out=largest)
        z -= middle
        squares += w @ np.square(z)
        # the moments of two sets of rows together: Chan, Golub and LeVeque 1983, equation 2.1
        shift, before = middle - mean, total
        total += weight
        mean += shift * (weight / total)
        squares += np.square(shift) * (before * weight / total)
    deviation = np.sqrt(squares / total)
    constant = deviation <= NOISE * rounding * largest
    return W / np.where(constant, 1.0, deviation)


def he_plus(rng: np.random.Generator, W: Array, rows: TrainingRows, weights: Array) -> Array:
    """Return b with which the hyperplane x W + b = 0 of each unit passes through a point among the rows.

    The point is a random convex combination of five random rows, others for each unit. A row is drawn in proportion to
    its weight, and the shares of the five are uniform on the simplex. Source: Steinwart, "A sober look at neural
    network initializations", 2019; Holzmueller, Grinsztajn and Steinwart, "Better by default", 2024.
    """
    n_in, units = W.shape
    share = rng.standard_exponential((units, POINTS))
    share /= share.sum(axis=1, keepdims=True)
    reached = np.cumsum(weights)
    chosen = np.searchsorted(reached, rng.random((units, POINTS)) * reached[-1], side="right")
    chosen = np.minimum(chosen, len(weights) - 1)  # rounding may reach the sum
    b, some = np.empty(units), max(1, BLOCK // (POINTS * n_in))
    for first in range(0, units, some):
        part = slice(first, first + some)
        points = rows.taken(chosen[part].ravel(), np.float64).reshape(-1, POINTS, n_in)
        b[part] = -np.einsum("jki,jk,ij->j", points, share[part], W[:, part])
    return b


# By name: functions (rng, shape, rows, weights of the rows) -> W, and (rng, W, rows, weights of the rows) -> b.
WEIGHTS_FROM_ROWS: dict[str, Callable[[np.random.Generator, Shape, TrainingRows, Array], Array]] = {
    "unit_variance": unit_variance
}
BIASES_FROM_ROWS: dict[str, Callable[[np.random.Generator, Array, TrainingRows, Array], Array]] = {"he+5": he_plus}
FROM_ROWS: dict[str, dict[str, Any]] = {"init": WEIGHTS_FROM_ROWS, "bias_init": BIASES_FROM_ROWS}  # by the setting


def check(init: Any, setting: str) -> None:
    """Raise unless ``init`` is a known name, a standard deviation, or callable."""
    if isinstance(init, str):
        if init not in (known := {**INITIALIZERS, **FROM_ROWS.get(setting, {})}):
            raise nearest("initializer", init, known)
    elif isinstance(init, Real) and not isinstance(init, bool):
        if not 0 <= float(init) < math.inf:
            raise ConfigError(f"{setting}={init!r} is a standard deviation: it must be finite and not negative")
    elif not callable(init):
        raise InputTypeError(f"{setting} is a name, a standard deviation or a function; got {init!r}")


def draw(init: Any, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
    """Return the initial values of one parameter; NaN if they depend on training rows."""
    if isinstance(init, str):
        if any(init in table for table in FROM_ROWS.values()):
            return np.full(shape, np.nan)
        return INITIALIZERS[init](rng, shape, fan_in, fan_out)
    if not callable(init):
        return rng.normal(0, float(init), shape)
    values = np.asarray(init(rng, shape, fan_in, fan_out), np.float64)
    if values.shape != shape or not np.isfinite(values).all():
        raise ConfigError(
            f"the initializer {init!r} gave values of shape {values.shape}, or not finite; wanted {shape}"
        )
    return values
