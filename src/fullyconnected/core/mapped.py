"""Arrays whose numbers lie in files: those that are mapped into memory, and those of every row of a large data set."""

import math
import mmap
import os
import shutil
import tempfile
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, Shape

__all__ = ["folder_of_files", "is_mapped", "mapping_of", "room_for", "scratch", "spare_room", "taken"]

LARGE = 1 << 26  # bytes of an array that is rather kept in a file
STEP = 1 << 20  # entries that are copied at a time
ON_DISK = "/var/tmp"


def room_for(shape: Shape, dtype: Any, *, in_file: bool = False) -> Array | None:
    """Return an array, not set, in memory, or if it is large or one of many in a temporary file without a name.

    It is None where no file can be had, such as on a full disk. Objects are in memory, for no file can hold them.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if np.dtype(dtype).hasobject or (size <= LARGE and not (in_file and size)):
        return np.empty(shape, dtype)
    if not hasattr(os, "posix_fallocate"):
        return None
    try:
        with tempfile.TemporaryFile(dir=folder_of_files()) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # or a write to memory would end the process on a full disk
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError:
        return None


def spare_room(shape: Shape, dtype: Any) -> Array | None:
    """Return an array in a file for what could also be computed again: None where that takes scarce room.

    That is memory, or more than half of what is free.
    """
    folder, size = folder_of_files(), math.prod(shape) * np.dtype(dtype).itemsize
    try:
        scarce = _is_in_memory(folder) or 2 * size > shutil.disk_usage(folder).free
    except OSError:
        return None
    return None if scarce else room_for(shape, dtype, in_file=True)


def folder_of_files() -> str:
    """Return the folder for large files: that of temporary ones, or /var/tmp where their files take memory."""
    folder = tempfile.gettempdir()
    moves = "TMPDIR" not in os.environ and _is_in_memory(folder) and os.path.isdir(ON_DISK)
    return ON_DISK if moves and not _is_in_memory(ON_DISK) else folder


def _is_in_memory(folder: str) -> bool:
    """Whether the files of a folder take memory, as those of tmpfs do; only Linux tells."""
    try:
        device = os.stat(folder).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                mount, _, kind = line.partition(" - ")
                if mount.split()[2] == f"{os.major(device)}:{os.minor(device)}":
                    return kind.split()[0] in ("tmpfs", "ramfs")
    except OSError:
        pass
    return False


def scratch(shape: Shape, dtype: Any, *, in_file: bool = False) -> Array:
    """Return the same, and an array in memory where no file can be had."""
    found = room_for(shape, dtype, in_file=in_file)
    return np.empty(shape, dtype) if found is None else found


def taken(a: Array, rows: Array) -> Array:
    """Return some rows of an array, by their numbers or by a mask: a copy, in a file if the array is in one."""
    if not is_mapped(a):
        return np.asarray(a[rows])
    numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
    out = np.asarray(scratch((len(numbers), *a.shape[1:]), a.dtype, in_file=True))
    step = max(1, STEP // max(1, math.prod(a.shape[1:])))
    for start in range(0, len(numbers), step):
        out[start : start + step] = a[numbers[start : start + step]]
    return out


def mapping_of(a: Any) -> mmap.mmap | None:
    """Return the mapping of the file that an array's numbers are those of, or None."""
    while isinstance(a, np.ndarray):
        a = a.base
    return a if isinstance(a, mmap.mmap) else None


def is_mapped(a: Any) -> bool:
    """Whether the numbers of an array are those of a file, which is mapped into memory."""
    return mapping_of(a) is not None
