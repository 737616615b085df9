"""Write cupy.json: which names CuPy has, and their parameters, to which cuda/test_standin.py holds what stands for it.

Needs the packages below, and neither a GPU nor a driver, in an environment of its own:

    python3 -m venv cupyv
    cupyv/bin/pip install cupy-cuda12x==14.2.0 nvidia-nccl-cu12==2.32.3
    folder=$(cupyv/bin/python -c "import nvidia.nccl; print(*nvidia.nccl.__path__)")
    LD_LIBRARY_PATH=$folder/lib cupyv/bin/python tests/golden/make_cupy.py

A function has a list of its parameters, as they are written in Python; ``*`` and ``/`` stand between them. Where the
compiled code says nothing about them, it is "unknown"; "attribute" is what is not called, and a constant has its value.
"""

import inspect
import json
import re
from pathlib import Path

import cupy
import cupy._core
from cupy.cuda import nccl

assert nccl.available, "the library of NCCL is not found"

FUNCTIONS = [
    "abs", "add", "copysign", "cos", "divide", "equal", "exp", "expm1", "greater", "greater_equal", "heaviside",
    "less", "log1p", "logaddexp", "maximum", "minimum", "multiply", "negative", "reciprocal", "rint", "sign", "sin",
    "sqrt", "subtract", "tanh", "array", "clip", "copyto", "full", "matmul", "vdot", "add.at", "arange", "asarray",
    "ascontiguousarray", "asnumpy", "empty", "zeros", "get_default_memory_pool", "RawKernel.__call__",
    "_core.set_compute_type", "_core.get_compute_type", "cuda.get_current_stream", "cuda.is_available",
    "cuda.using_allocator",
    "cuda.memory.OutOfMemoryError", "cuda.runtime.CUDARuntimeError", "cuda.runtime.getDeviceCount",
    "cuda.runtime.getDeviceProperties", "cuda.runtime.runtimeGetVersion", "cuda.runtime.driverGetVersion",
    "cuda.runtime.memGetInfo", "cuda.nccl.get_unique_id", "cuda.nccl.NcclError",
]  # fmt: skip
CLASSES = [
    "ndarray", "RawKernel", "cuda.Stream", "cuda.Graph", "cuda.Device", "cuda.MemoryPool", "cuda.MemoryPointer",
    "cuda.nccl.NcclCommunicator",
]  # fmt: skip
CONSTANTS = [
    "__version__", "cuda.runtime.streamCaptureModeGlobal", "cuda.runtime.streamCaptureModeThreadLocal",
    "cuda.runtime.streamCaptureModeRelaxed", "cuda.nccl.available", "cuda.nccl.NCCL_FLOAT32",
    "cuda.nccl.NCCL_FLOAT64", "cuda.nccl.NCCL_INT64", "cuda.nccl.NCCL_SUM",
]  # fmt: skip
CONSTANTS += [f"_core._routines_linalg.{name}" for name in dir(cupy._core._routines_linalg) if "COMPUTE_TYPE_" in name]


def thing(name):
    found = cupy
    for part in name.split("."):
        found = getattr(found, part)
    return found


def written(parameter):
    """Return a parameter without a type, which Cython writes before it."""
    name, equals, default = parameter.replace("\\", "").strip().partition("=")
    return name.split(":")[0].split()[-1] + equals + default


def parameters(found):
    """Return what a function takes, from its signature, or from the first line of its documentation."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        line = re.match(r"[\w.]+\((.*?)\)(?: ->.*)?$", found.__doc__ or "", re.MULTILINE)
        if line is None:
            return "unknown"
        return [written(each) for each in line[1].split(",") if each.strip() not in ("", "self")]
    plain = [each.replace(annotation=each.empty) for each in signature.parameters.values() if each.name != "self"]
    text = re.sub(r"<class '(\w+)'>", r"\1", str(inspect.Signature(plain))[1:-1])
    return [each.strip() for each in text.split(",") if each.strip()]


golden = {name: parameters(thing(name)) for name in FUNCTIONS}
for owner in CLASSES:
    golden[owner] = parameters(thing(owner))
    for name in dir(thing(owner)):
        found = getattr(thing(owner), name)
        if not name.startswith("_"):
            golden[f"{owner}.{name}"] = parameters(found) if callable(found) else "attribute"
        elif owner == "ndarray" and name.startswith("__") and name not in dir(object):
            golden[f"{owner}.{name}"] = "unknown"
golden |= {name: thing(name) for name in CONSTANTS}
text = json.dumps(dict(sorted(golden.items())), indent=0)
text = re.sub(r"\[\n(.*?)\]", lambda found: "[" + " ".join(found[1].split()) + "]", text, flags=re.DOTALL)
(Path(__file__).parent / "cupy.json").write_text(text + "\n", encoding="utf-8")
