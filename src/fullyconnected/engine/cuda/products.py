"""Products of matrices on a card, by cuBLAS itself: CuPy refuses to call it while a graph is recorded."""

import ctypes
import os
import threading
import weakref
from functools import cache
from typing import Any

import numpy as np

from fullyconnected.engine.cuda.numbers import Number, Numbers
from fullyconnected.errors import MissingPackageError

__all__ = ["HERE", "PRECISIONS", "Cublas", "array_of", "library"]

# What cuBLAS calls the types of numbers, and what it computes products of them with (library_types.h, cublas_api.h).
KINDS = {"float32": 0, "float64": 1}
COMPUTES = {"float32": 68, "float64": 70}
PRECISIONS = {"tf32": 77, "bfloat16": 75}  # float32 whose inputs are rounded for the tensor cores
DEFAULT_ALGORITHM = -1
# Bytes that cuBLAS works with, by the compute capability from which on; it may not take them itself in a recording.
WORKSPACE = {90: 1 << 25, 0: 1 << 22}

_A, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (ctypes.POINTER(_A),),
    "cublasDestroy_v2": (_A,),
    "cublasSetStream_v2": (_A, _A),
    "cublasSetWorkspace_v2": (_A, _A, ctypes.c_size_t),
    # handle; whether each input is transposed; m, n, k; 1; each matrix with its type and step; 0; how
    "cublasGemmEx": (_A, _I, _I, _I, _I, _I, _A, _A, _I, _I, _A, _I, _I, _A, _A, _I, _I, _I, _I),
    # the same, each matrix with the step to the next one; and their number
    "cublasGemmStridedBatchedEx": (
        *(_A, _I, _I, _I, _I, _I, _A, _A, _I, _I, _L, _A, _I, _I, _L, _A, _A, _I, _I, _L),
        *(_I, _I, _I),
    ),
}


def library(cupy: Any) -> Any:
    """Return the cuBLAS that CuPy has loaded."""
    version = cupy.cuda.runtime.runtimeGetVersion() // 1000
    name = f"cublas64_{version}.dll" if os.name == "nt" else f"libcublas.so.{version}"
    try:
        _ = cupy.cuda.cublas  # which finds the library, wherever it was installed, and loads it
        return ctypes.CDLL(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingPackageError(
            f"{name}, the cuBLAS that CuPy was built for, is not found: pip install 'cupy-cuda{version}x[ctk]'"
        ) from error


class Cublas:
    """The products of one thread on one card, in one stream."""

    def __init__(self, cupy: Any, stream: Any, capability: int) -> None:
        self.cupy, self.stream, found = cupy, stream, library(cupy)
        for name, arguments in FUNCTIONS.items():
            function = getattr(found, name)
            function.argtypes, function.restype = arguments, ctypes.c_int
            setattr(self, name, function)
        self.handle = ctypes.c_void_p()
        self.call("cublasCreate_v2", ctypes.byref(self.handle))
        size = next(size for least, size in WORKSPACE.items() if capability >= least)
        self.workspace = cupy.empty(size, np.uint8)
        self.call("cublasSetStream_v2", self.handle, stream.ptr)  # before the workspace, which it takes away
        self.call("cublasSetWorkspace_v2", self.handle, self.workspace.data.ptr, size)
        self.scales = {name: (np.ones(1, name), np.zeros(1, name)) for name in KINDS}  # which are read at each call
        weakref.finalize(self, found.cublasDestroy_v2, self.handle).atexit = False  # when CUDA may have ended already

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the library, and raise if it fails."""
        status = getattr(self, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} of cuBLAS fails with status {status}")

    def multiply(self, a: Any, b: Any, out: Any, compute: int) -> None:
        """Write the product of two matrices, or of the matrices of two stacks, into a contiguous ``out``."""
        name = str(out.dtype)
        (a, turn_a, step_a), (b, turn_b, step_b) = _as_read(self.cupy, a), _as_read(self.cupy, b)
        rows, columns = out.shape[-2:]
        kind, (one, zero) = KINDS[name], self.scales[name]
        # cuBLAS reads and writes every matrix column by column, and so computes out' = b' a'
        sizes = self.handle, turn_b, turn_a, columns, rows, a.shape[-1]
        left, right, written = (b.data.ptr, kind, step_b), (a.data.ptr, kind, step_a), (out.data.ptr, kind, columns)
        how, by, plus = (compute, DEFAULT_ALGORITHM), one.ctypes.data, zero.ctypes.data
        if out.ndim == 2:
            self.call("cublasGemmEx", *sizes, by, *left, *right, plus, *written, *how)
            return
        from_a, from_b, from_out = (each.strides[0] // each.itemsize for each in (a, b, out))
        stacks = (*left, from_b, *right, from_a, plus, *written, from_out, len(out))
        self.call("cublasGemmStridedBatchedEx", *sizes, by, *stacks, *how)


def _as_read(cupy: Any, a: Any) -> tuple[Any, int, int]:
    """Return a matrix as cuBLAS can read it, whether it is transposed, and the step from a row of it to the next."""
    row, column = (stride // a.itemsize for stride in a.strides[-2:])
    rows, columns = a.shape[-2:]
    if (column == 1 or columns == 1) and row >= columns:
        return a, 0, row
    if (row == 1 or rows == 1) and column >= rows:
        return a, 1, column
    return cupy.ascontiguousarray(a), 0, columns


class Here(threading.local):
    """What this thread multiplies by: the last, while another one is at work within it; and the numbers of a step."""

    def __init__(self) -> None:
        self.cublas: list[Cublas] = []
        self.numbers: Numbers | None = None


HERE = Here()


@cache
def array_of(cupy: Any, precision: str | None) -> type:
    """Return the class of arrays whose products are those of cuBLAS; views of such an array are of it, too.

    With a precision, the inputs of products of two matrices of float32 are rounded to it.
    """
    base: Any = cupy.ndarray

    class CardArray(base):  # type: ignore[misc]
        def dot(self, other: Any, out: Any = None) -> Any:
            """Return the product of two matrices or vectors, and write it into ``out``."""
            shape = (*self.shape[:-1], *(other.shape[1:] if other.ndim > 1 else ()))
            out = cupy.empty(shape, self.dtype) if out is None else out
            if out.shape != shape:
                raise ValueError(f"a product of {self.shape} and {other.shape} does not fit into {out.shape}")
            a = self.reshape(1, -1) if self.ndim == 1 else self
            b = other.reshape(-1, 1) if other.ndim == 1 else other
            both = self.ndim == other.ndim == 2
            return _product(a, b, out, out.reshape(a.shape[0], b.shape[1]), precision if both else None)

        def matmul(self, other: Any, out: Any) -> Any:
            """Write the products of the matrices of two stacks into ``out``; they are small, and never rounded."""
            return _product(self, other, out, out, None)

        def _of_step(apply: Any) -> Any:
            def run(self: Any, other: Any) -> Any:
                if isinstance(other, Number) and HERE.numbers is not None:
                    other = HERE.numbers.slot(other, self.dtype)
                return apply(self, other)

            return run

        for _name in ("add", "sub", "mul", "truediv"):
            for _kind in ("", "r", "i"):
                if hasattr(base, f"__{_kind}{_name}__"):
                    locals()[f"__{_kind}{_name}__"] = _of_step(getattr(base, f"__{_kind}{_name}__"))

    return CardArray


def _product(a: Any, b: Any, out: Any, written: Any, rounded: str | None) -> Any:
    """Return ``out``, after a product was written into it, or into a view of its memory."""
    if not (a.dtype == b.dtype == out.dtype and str(out.dtype) in KINDS and out.flags.c_contiguous):
        raise TypeError(
            f"products are of two arrays of float32 or of float64, into a contiguous one: got {a.dtype}, {b.dtype} "
            f"and {out.dtype}"
        )
    stacks = a.shape[:-2] == b.shape[:-2] == written.shape[:-2]
    if not stacks or a.shape[-1] != b.shape[-2] or written.shape[-2:] != (a.shape[-2], b.shape[-1]):
        raise ValueError(f"a product of {a.shape} and {b.shape} does not fit into {out.shape}")
    if not (a.size and b.size):
        out.fill(0)
        return out
    compute = COMPUTES[str(out.dtype)]
    if rounded is not None and out.dtype == np.float32:
        compute = PRECISIONS[rounded]
    HERE.cublas[-1].multiply(a, b, written, compute)
    return out
