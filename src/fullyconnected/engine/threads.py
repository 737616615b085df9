"""The number of threads of the native engine: by argument, environment, processors, and limits of threadpoolctl."""

import contextlib
import functools
import importlib
import math
import os
import sys
from pathlib import Path
from typing import Any

from fullyconnected.comm.launchers import is_worker
from fullyconnected.core.checks import MOST_THREADS, thread_count

__all__ = ["n_threads", "register_with_threadpoolctl"]

_openblas: list[Any] = []  # its controllers, while they hold a limit that was set before this library was registered


def n_threads(given: int | None = None) -> int:
    """Return the number of threads for a call into the native engine.

    A given number is used as it is: the same number gives the same bits on every machine. Otherwise the number is
    ``OMP_NUM_THREADS``; or else 1 in a worker of ``multiprocessing`` or ``joblib``, since the other workers use the
    other processors; or else the number of processors that this process may use, by its affinity and by its container's
    quota. A limit of ``threadpoolctl`` is the maximum of these numbers.

    Parameters
    ----------
    given : int, optional
        Number of threads, 1 to 1024.

    Raises
    ------
    InputTypeError
        If ``given`` is not a whole number.
    ConfigError
        If it is out of range.
    """
    if given is not None:
        return thread_count(given)
    wanted = _without_limit()
    return min(wanted, _limit(wanted))


@functools.cache
def register_with_threadpoolctl() -> None:
    """Make the native engine known to ``threadpoolctl``, if that is installed; called when the extension is loaded.

    The engine counts as a BLAS there (``user_api="blas"``), since it computes what a BLAS computes for the NumPy
    engine. So a limit on all libraries applies to it, and so does a limit on BLAS alone, which scikit-learn sets around
    its own parallel loops. With another ``user_api``, the latter would not apply.
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
            # a limit ends with a call that sets the previous number, which here means no limit
            self.dynlib.fullyconnected_set_num_threads(0 if num_threads >= _without_limit() else num_threads)

        def get_version(self) -> None:
            return None

    threadpoolctl.register(FullyConnectedController)
    if loaded_before and not any(map(os.environ.get, ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS"))):
        # The extension is loaded when it is first used, which may be inside threadpool_limits(...). That limit was not
        # set for the extension, but for NumPy's OpenBLAS, so the limit of OpenBLAS is used until it ends.
        _openblas.extend(threadpoolctl.ThreadpoolController().select(internal_api="openblas").lib_controllers)


def _limit(wanted: int) -> int:
    """Return the limit of threadpoolctl on ``wanted`` threads."""
    native = sys.modules.get("fullyconnected._native")
    limit = native.thread_limit() if native is not None else 0
    if _openblas:
        allowed = min(controller.num_threads for controller in _openblas)
        if allowed < min(wanted, _processors(), 64):  # the OpenBLAS that NumPy ships uses at most 64
            return min(limit or MOST_THREADS, allowed)
        _openblas.clear()
    return limit or MOST_THREADS


def _without_limit() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # "4,2" is 4, and 2 in nested loops
    if wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), MOST_THREADS)
    if is_worker():
        return 1
    return min(_processors(), math.ceil(_quota()), MOST_THREADS)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _quota(folder: str = "/sys/fs/cgroup") -> float:
    """Return the number of processors that a container may use, above 0; 1024 if there is no quota."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # version 2 of cgroups; version 1
        with contextlib.suppress(OSError, ValueError):
            quota, period = " ".join(Path(folder, name).read_text(encoding="ascii") for name in names).split()
            break
    else:
        return MOST_THREADS
    try:
        processors = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return MOST_THREADS
    return processors if 0 < processors < MOST_THREADS else MOST_THREADS
