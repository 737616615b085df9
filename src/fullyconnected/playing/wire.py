"""Frames and replies as JSON: arrays as base64 of their bytes, and no number that JSON does not have."""

import base64
import json
import math
from typing import Any

import numpy as np

__all__ = ["as_json"]


def as_json(value: Any) -> bytes:
    """Return plain data and arrays as JSON in ASCII.

    >>> as_json({"data": np.array([1, 2], np.uint8), "loss": float("nan")})
    b'{"data":{"u1":"AQI="},"loss":null}'
    """
    return json.dumps(_plain(value), separators=(",", ":"), allow_nan=False).encode("ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        kind, dtype = ("u1", "u1") if value.dtype == np.uint8 else ("f8", "<f8")
        return {kind: base64.b64encode(np.ascontiguousarray(value, dtype).tobytes()).decode("ascii")}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
