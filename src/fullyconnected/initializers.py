"""Initial values of parameters: given by name, by a standard deviation, or by a function of your own.

An initializer is a function ``(rng, shape, fan_in, fan_out) -> array``. Draws are made in float64 by NumPy, so that
float32 and float64 networks with the same seed start from the same numbers, rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.errors import ConfigError, InputTypeError, nearest

__all__ = ["INITIALIZERS", "check", "draw"]


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
    "ones": lambda _, shape, *__: np.ones(shape),
}


def check(init: Any, setting: str) -> None:
    """Raise unless ``init`` is a known name, a standard deviation, or callable."""
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise nearest("initializer", init, INITIALIZERS)
    elif isinstance(init, Real) and not isinstance(init, bool):
        if not 0 <= float(init) < math.inf:
            raise ConfigError(f"{setting}={init!r} is a standard deviation: it must be finite and not negative")
    elif not callable(init):
        raise InputTypeError(f"{setting} is a name, a standard deviation or a function; got {init!r}")


def draw(init: Any, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
    """Return the initial values of one parameter."""
    if isinstance(init, str):
        return INITIALIZERS[init](rng, shape, fan_in, fan_out)
    if not callable(init):
        return rng.normal(0, float(init), shape)
    values = np.asarray(init(rng, shape, fan_in, fan_out), np.float64)
    if values.shape != shape or not np.isfinite(values).all():
        raise ConfigError(
            f"the initializer {init!r} gave values of shape {values.shape}, or not finite; wanted {shape}"
        )
    return values
