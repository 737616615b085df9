"""Numbers of every row of a data set that is larger than memory: they lie in a file that is gone with the array."""

import math
import os
import tempfile
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, Shape

__all__ = ["scratch"]

LARGE = 1 << 26  # bytes of an array that is rather kept in a file


def scratch(shape: Shape, dtype: Any) -> Array:
    """Return an array, not set, in memory, or if it is large in a temporary file without a name.

    Where no file can be had, such as on a full disk, it is in memory.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= LARGE or not hasattr(os, "posix_fallocate"):
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, size)  # or a write to memory would end the process on a full disk
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError:
        return np.empty(shape, dtype)
