"""Whether CuPy and a GPU are here: all that is loaded of the CUDA engine before it is used."""

import os
from typing import Any

from fullyconnected.errors import ConfigError, MissingPackageError, missing

__all__ = ["load", "why_not"]

PROCESS: list[int] = []  # the one that has used CUDA here


def load() -> Any:
    """Return CuPy, or raise."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "cupy":
            raise
        raise missing("cupy", "cuda", 'engine="cuda"') from None
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingPackageError(
            f"CuPy is installed, and cannot be loaded: {' '.join(str(error).split())[:300]}"
        ) from error
    PROCESS.extend([os.getpid()] * (not PROCESS))
    if PROCESS[0] != os.getpid():
        raise ConfigError(
            "this process was forked from one that has used the GPU, and CUDA cannot be used in it: start it by "
            'multiprocessing.get_context("spawn"), or as joblib does (loky)'
        )
    return cupy


def why_not() -> str:
    """Return why no card can be used here, or an empty string."""
    try:
        cupy = load()
    except (MissingPackageError, ConfigError) as error:
        return str(error)
    runtime = cupy.cuda.runtime
    try:
        if runtime.getDeviceCount():
            return ""
    except runtime.CUDARuntimeError as error:
        text = str(error)
        if "InsufficientDriver" in text:
            driver, wanted = runtime.driverGetVersion(), runtime.runtimeGetVersion()
            if not driver:
                return "there is no NVIDIA driver on this machine"
            return (
                f"the NVIDIA driver is for CUDA {_version(driver)}, and CuPy for CUDA {_version(wanted)}: update the "
                f"driver, or install the CuPy for its version (cupy-cuda12x, cupy-cuda13x)"
            )
        if "NoDevice" not in text:
            return f"CUDA cannot be used: {text}"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "CUDA sees no GPU on this machine" + (
        f" (CUDA_VISIBLE_DEVICES is {visible!r})" if visible is not None else ""
    )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
