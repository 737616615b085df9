"""The specification of ``precision="bfloat16"``: the NumPy engine, whose products of matrices round what they multiply.

It is slow, and computes the same on every processor.
"""

from typing import Any

import numpy as np

from fullyconnected.engine.numpy_engine import NumpyEngine, NumpyPredictor, NumpyTrainer

__all__ = ["InBfloat16", "rounded"]


def rounded(a: Any) -> Any:
    """Return the nearest numbers of 8 binary digits, of two the even one, as float32; NaN stays NaN.

    Numbers below 2^-126 count as zero.
    """
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32)
    size = bits & np.uint32(0x7FFFFFFF)
    near = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    near = np.where(size < 0x00800000, bits & np.uint32(0x80000000), near)
    near = np.where(size > 0x7F800000, bits | np.uint32(0x00400000), near)
    return (near & np.uint32(0xFFFF0000)).view(np.float32)


class Rounding(np.ndarray):  # type: ignore[type-arg]
    """An array whose products with another matrix of float32 are computed in bfloat16, and summed in float32."""

    def dot(self, other: Any, out: Any = None) -> Any:
        a, b = np.asarray(self), np.asarray(other)
        if a.ndim == b.ndim == 2 and a.dtype == b.dtype == np.float32:
            a, b = rounded(a), rounded(b)
        return np.dot(a, b, out=None if out is None else np.asarray(out))


class Namespace:
    """NumPy, whose new arrays are of this class, and so are views of them."""

    def __getattr__(self, name: str) -> Any:
        made = getattr(np, name)
        if name not in ("array", "empty", "full", "zeros", "ones"):
            return made
        return lambda *given, **how: made(*given, **how).view(Rounding)


class Trainer(NumpyTrainer):
    xp = Namespace()


class Predictor(NumpyPredictor):
    xp = Namespace()


class InBfloat16(NumpyEngine):
    """The NumPy engine, in bfloat16."""

    name = "numpy_in_bfloat16"
    automatic = False

    def trainer(self, task: Any, state: Any) -> NumpyTrainer:
        return Trainer(task, state)

    def predictor(self, program: Any, theta: Any, state: Any) -> NumpyPredictor:
        return Predictor(program, theta, state)
