"""CUDA's own compiler and cuBLAS, which need no GPU to compile a kernel and to be asked for a function."""

import ctypes
import itertools
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.engine.cuda import masks
from fullyconnected.engine.cuda.products import FUNCTIONS
from tests.native.test_equality import OPTIMIZERS

ARCHITECTURES = ("sm_75", "sm_90")


def library(name, file):
    """Return a library of CUDA from its wheel, or skip."""
    try:
        found = find_spec(f"nvidia.{name}")
    except ModuleNotFoundError:
        found = None
    folders = () if found is None else found.submodule_search_locations or ()
    libraries = sorted(each for folder in folders for each in Path(folder).glob("lib/*.so.*"))
    if not libraries:
        pytest.skip(f"nvidia-{name.replace('_', '-')}-cu12 is not needed to test the library; .ci/nightly cuda has it")
    for needed in libraries:
        ctypes.CDLL(str(needed), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(next(each for each in libraries if each.name.startswith(file))))


def compiled(nvrtc, source, options):
    """Return what the compiler says of a kernel, and how large its code is."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert not nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    given = (ctypes.c_char_p * len(options))(*(each.encode() for each in options))
    failed = nvrtc.nvrtcCompileProgram(program, len(options), given)
    assert not nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    said = ctypes.create_string_buffer(size.value)
    assert not nvrtc.nvrtcGetProgramLog(program, said)
    if not failed:
        assert not nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    return said.value.decode(), 0 if failed else size.value


def test_every_kernel_compiles(cupy, monkeypatch):
    nvrtc, sources = library("cuda_nvrtc", "libnvrtc.so."), {(masks.SOURCE, ())}
    made = cupy.RawKernel.__init__
    monkeypatch.setattr(
        cupy.RawKernel,
        "__init__",
        lambda self, code, name, options=(): (sources.add((code, options)), made(self, code, name, options))[1],
    )
    x = np.random.default_rng(0).normal(size=(20, 5))
    for rule in OPTIMIZERS:
        for dtype in (np.float32, np.float64):
            net = fc.mlp([5, 6, 6, 1], dtype=dtype, seed=0)
            fc.fit(net, x, x[:, 0], "half_squared_error", rule, engine="cuda", epochs=1, progress=False,
                   average=fc.EMA(0.9))  # fmt: skip
    assert len(sources) > 10
    for (source, options), architecture in itertools.product(sources, ARCHITECTURES):
        said, size = compiled(nvrtc, source, [f"--gpu-architecture={architecture}", "--std=c++17", *options])
        assert size > 0, f"{said}\n{source}"
        assert "warning" not in said, f"{said}\n{source}"


def test_what_does_not_compile_is_told(cupy):
    said, size = compiled(library("cuda_nvrtc", "libnvrtc.so."), "__global__ void kernel() { wrong; }", [])
    assert "wrong" in said
    assert not size


FINDS = """
import cupy
from fullyconnected.engine.cuda.products import FUNCTIONS, library
found = library(cupy)
print([name for name in FUNCTIONS if not hasattr(found, name)])
"""


def test_the_cublas_of_cupy_is_found_wherever_it_is_installed():
    """In a process of its own, which knows no stand-in, and has loaded nothing."""
    ran = subprocess.run([sys.executable, "-c", FINDS], capture_output=True, text=True)
    if "No module named 'cupy'" in ran.stderr:
        pytest.skip("CuPy is not needed to test the library; .ci/nightly cuda has it")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


def test_cublas_has_every_function():
    cublas = library("cublas", "libcublas.so.")
    assert [name for name in FUNCTIONS if not hasattr(cublas, name)] == []
    handle = ctypes.c_void_p()
    create = cublas.cublasCreate_v2
    create.argtypes, create.restype = FUNCTIONS["cublasCreate_v2"], ctypes.c_int
    assert create(ctypes.byref(handle)) in (0, 1, 3)  # made; or there is no GPU, or no memory on it
