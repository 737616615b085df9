"""How many threads the native engine uses: what was asked for, the environment, the processors, and who limits it."""

import functools
import importlib
import math
import os
import sys
from typing import Any

from fullyconnected.core.checks import count
from fullyconnected.errors import ConfigError

__all__ = ["n_threads", "register_with_threadpoolctl"]

MOST = 1024  # most_threads in native/src/thread_pool.cpp

_openblas: list[Any] = []  # controllers, while they hold a limit that was set before this library was registered


def n_threads(asked: int | None = None) -> int:
    """Return the number of threads for a call into the native engine.

    What was asked for is taken as it is: the same number gives the same bits on every machine. Otherwise it is
    ``OMP_NUM_THREADS``; or else one in a worker of ``multiprocessing`` or ``joblib``, whose siblings have the other
    processors; or else the number of processors that this process may use, by its affinity and by its container's
    quota. What ``threadpoolctl`` limits it to is the most it can be then.

    Parameters
    ----------
    asked : int, optional
        Number of threads, 1 to 1024.

    Raises
    ------
    InputTypeError
        Where ``asked`` is not a whole number.
    ConfigError
        Where it is out of range.
    """
    if asked is not None:
        asked = count("n_threads", asked)
        if asked > MOST:
            raise ConfigError(f"n_threads must be {MOST} or fewer; got {asked}")
        return asked
    wanted = _without_limit()
    return min(wanted, _limit(wanted))


@functools.cache
def register_with_threadpoolctl() -> None:
    """Let ``threadpoolctl`` find the native engine, where it is installed; called when the extension is loaded.

    The engine counts as a BLAS there (``user_api="blas"``): its products are what a BLAS computes for the NumPy
    engine. So a limit on everything holds for it, and so does one on BLAS alone, as scikit-learn sets it around its
    own parallel loops; a ``user_api`` of its own would be left out of that.
    """
    loaded_before = "threadpoolctl" in sys.modules
    try:
        threadpoolctl: Any = importlib.import_module("threadpoolctl")
    except ImportError:
        return
    if not hasattr(threadpoolctl, "register"):  # before 3.2
        return

    class FullyConnectedController(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = "blas"
        internal_api = "fullyconnected"
        filename_prefixes = ("_native",)
        check_symbols = ("fullyconnected_get_num_threads", "fullyconnected_set_num_threads")

        def get_num_threads(self) -> int:
            return n_threads()

        def set_num_threads(self, num_threads: int) -> None:
            # a limit ends with a call that sets what there was before: then there is to be none, and not that number
            self.dynlib.fullyconnected_set_num_threads(0 if num_threads >= _without_limit() else num_threads)

        def get_version(self) -> None:
            return None

    threadpoolctl.register(FullyConnectedController)
    if loaded_before and not any(map(os.environ.get, ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS"))):
        # The extension is loaded when it is first used, which may be inside of threadpool_limits(...): nothing was
        # told of that limit. NumPy's OpenBLAS was, so that one goes by it until it ends.
        _openblas.extend(threadpoolctl.ThreadpoolController().select(internal_api="openblas").lib_controllers)


def _limit(wanted: int) -> int:
    """Return what threadpoolctl limits so many threads to."""
    native = sys.modules.get("fullyconnected._native")
    limit = native.thread_limit() if native is not None else 0
    if _openblas:
        allowed = min(controller.num_threads for controller in _openblas)
        if allowed < min(wanted, _processors(), 64):  # it takes no more than 64 by itself, as it is built for NumPy
            return min(limit or MOST, allowed)
        _openblas.clear()
    return limit or MOST


def _without_limit() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # "4,2" is 4, and 2 in nested loops
    if wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), MOST)
    # no import: who is a worker has the module; a worker of joblib's own kind (loky) is one of multiprocessing too
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        return 1
    return min(_processors(), math.ceil(_quota()), MOST)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _quota(folder: str = "/sys/fs/cgroup") -> float:
    """Return how many processors' time a container may use, above 0; 1024 where nothing says so."""
    try:
        with open(f"{folder}/cpu.max", encoding="ascii") as file:  # version 2 of cgroups
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:
            with open(f"{folder}/cpu/cpu.cfs_quota_us", encoding="ascii") as file:
                quota = file.read()
            with open(f"{folder}/cpu/cpu.cfs_period_us", encoding="ascii") as file:
                period = file.read()
        except (OSError, ValueError):
            return MOST
    try:
        processors = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return MOST
    return processors if 0 < processors < MOST else MOST
