"""Kernels in CUDA's C++, compiled for the processor: each thread of each block runs after the other.

No header of the standard library is included, as NVRTC includes none: ``uint64_t`` is not known. What threads of a
block share (``__shared__``, ``__syncthreads``) is not known either, since they do not run at the same time.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

BEFORE = r"""
typedef __SIZE_TYPE__ size_t;
struct standin_place { unsigned x, y, z; };
static thread_local standin_place blockIdx, threadIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
static inline long long __mul64hi(long long a, long long b) { return (long long)(((__int128)a * b) >> 64); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a * b) >> 32); }
template <class To, class From> static inline To standin_bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "of one size");
    To bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}
static inline float __int_as_float(int x) { return standin_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return standin_bits<float>(x); }
static inline int __float_as_int(float x) { return standin_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return standin_bits<unsigned>(x); }
static inline double __longlong_as_double(long long x) { return standin_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return standin_bits<long long>(x); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
template <class T> static inline T __ldg(const T* p) { return *p; }
template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }
#define STANDIN_OF_ONE(name) \
    extern "C" double name(double); \
    extern "C" float name##f(float); \
    static inline float name(float x) { return name##f(x); }
STANDIN_OF_ONE(sqrt) STANDIN_OF_ONE(exp) STANDIN_OF_ONE(expm1) STANDIN_OF_ONE(log) STANDIN_OF_ONE(log1p)
STANDIN_OF_ONE(sin) STANDIN_OF_ONE(cos) STANDIN_OF_ONE(tanh) STANDIN_OF_ONE(fabs) STANDIN_OF_ONE(floor)
STANDIN_OF_ONE(ceil) STANDIN_OF_ONE(rint)
extern "C" double fma(double, double, double);
extern "C" float fmaf(float, float, float);
#line 1 "kernel"
"""
AFTER = r"""
#line 1 "after the kernel"
template <class T> struct standin_kind { static const char value = '?'; };
#define STANDIN_KIND(type, kind) template <> struct standin_kind<type> { static const char value = kind; };
STANDIN_KIND(bool, 'b') STANDIN_KIND(char, 'i') STANDIN_KIND(signed char, 'i') STANDIN_KIND(unsigned char, 'u')
STANDIN_KIND(short, 'i') STANDIN_KIND(unsigned short, 'u') STANDIN_KIND(int, 'i') STANDIN_KIND(unsigned, 'u')
STANDIN_KIND(long, 'i') STANDIN_KIND(unsigned long, 'u') STANDIN_KIND(long long, 'i')
STANDIN_KIND(unsigned long long, 'u') STANDIN_KIND(float, 'f') STANDIN_KIND(double, 'f')
template <class T> struct standin_described {
    static void to(char* at) { at[0] = 'v', at[1] = standin_kind<T>::value, at[2] = (char)('0' + sizeof(T)); }
};
template <class T> struct standin_described<T*> {
    static void to(char* at) { standin_described<T>::to(at), at[0] = 'p'; }
};
template <class T> struct standin_described<const T*> {
    static void to(char* at) { standin_described<T>::to(at), at[0] = 'c'; }
};
template <int... I> struct standin_places {};
template <int N, int... I> struct standin_upto : standin_upto<N - 1, N - 1, I...> {};
template <int... I> struct standin_upto<0, I...> { typedef standin_places<I...> type; };
template <class... A, int... I> void standin_call(void (*kernel)(A...), void** args, standin_places<I...>) {
    kernel(*(A*)args[I]...);
}
template <class... A>
void standin_grid(void (*kernel)(A...), void** args, const unsigned* grid, const unsigned* block) {
    gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
    for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
                for (threadIdx.z = 0; threadIdx.z < block[2]; ++threadIdx.z)
                    for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
                        for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x)
                            standin_call(kernel, args, typename standin_upto<sizeof...(A)>::type());
}
template <class... A> int standin_signature(void (*)(A...), char* to) {
    int n = 0;
    int all[] = {0, (standin_described<A>::to(to + 3 * n++), 0)...};
    (void)all;
    return n;
}
extern "C" int standin_describe(char* to) { return standin_signature(&STANDIN_KERNEL, to); }
extern "C" void standin_run(void** args, const unsigned* grid, const unsigned* block) {
    standin_grid(&STANDIN_KERNEL, args, grid, block);
}
"""
MOST_PARAMETERS = 64


def compiler():
    """Return the command of a C++ compiler, or leave the test: as a failure where a compiler is required."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and (found := shutil.which(name)):
            return found
    required = os.environ.get("FULLYCONNECTED_REQUIRE_NATIVE", "0") not in ("", "0")
    return (pytest.fail if required else pytest.skip)("kernels are tested where there is a C++ compiler")


@functools.cache
def folder():
    return tempfile.TemporaryDirectory(prefix="kernels", ignore_cleanup_errors=True)


def accepted(options):
    """Return the options that the compiler here takes too; that products are not contracted holds here in any case."""
    taken = []
    for option in options:
        if option.startswith(("-std=", "--std=", "-D")):
            taken.append(option.replace("--std", "-std"))
        elif option.lstrip("-") not in ("fmad=false", "fmad=true"):
            raise ValueError(f"the option {option!r} of NVRTC is not known here")
    return taken


@functools.cache
def compiled(code, name, options):
    """Return the library of a kernel, and what its parameters are: p, c (to constants) or v, kind of number, bytes."""
    stem = Path(folder().name) / hashlib.sha256(repr((code, name, options)).encode()).hexdigest()[:16]
    source, library = stem.with_suffix(".cpp"), stem.with_suffix(".so")
    source.write_text(BEFORE + code + f"\n#define STANDIN_KERNEL {name}\n" + AFTER, encoding="utf-8")
    flags = ["-std=c++17", *accepted(options), "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-w"]
    run = subprocess.run([compiler(), *flags, "-o", library, source], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"the kernel {name} does not compile:\n{run.stderr}")
    loaded = ctypes.CDLL(str(library))
    if not hasattr(loaded, name):
        raise ValueError(f'named symbol not found: the kernel {name} is declared extern "C", or CuPy does not find it')
    text = ctypes.create_string_buffer(3 * MOST_PARAMETERS)
    n = loaded.standin_describe(text)
    parts = text.raw.decode()
    return loaded, [(parts[3 * i], parts[3 * i + 1], int(parts[3 * i + 2])) for i in range(n)]


def value_of(number, parameter):
    """Return a number as a kernel takes it, by the rules of CuPy, if the kernel's parameter is of that type."""
    pointer, kind, size = parameter
    if isinstance(number, int) and not isinstance(number, np.generic):  # a bool too: CuPy asks for an int first
        number = np.int64(number)
    elif isinstance(number, float) and not isinstance(number, np.generic):
        number = np.float64(number)
    elif not isinstance(number, np.generic):
        raise TypeError(f"Unsupported type {type(number)}")
    same_kind = number.dtype.kind == kind or {number.dtype.kind, kind} <= {"i", "u"}
    if pointer != "v":
        kind, size, same_kind = "an address", 8, number.dtype.kind in "iu"
    if not same_kind or number.itemsize != size:
        raise TypeError(f"a kernel's parameter of kind {kind} and {size} bytes was given {number.dtype} {number!r}")
    return np.array(number)


def memory_of(memory, parameter):
    """Return the address of an array as a kernel takes it, if the kernel's parameter is a pointer to such entries."""
    pointer, kind, size = parameter
    if pointer == "v":
        raise TypeError(f"a kernel's parameter of kind {kind} and {size} bytes was given an array")
    if not memory.flags.c_contiguous:
        raise ValueError("a kernel sees an address, and no strides: the array is contiguous")
    bytes_alone = {memory.dtype.kind, kind} == {"b", "u"}
    if kind != "?" and ((memory.dtype.kind != kind and not bytes_alone) or memory.itemsize != size):
        raise TypeError(f"a kernel's pointer to kind {kind} of {size} bytes was given an array of {memory.dtype}")
    return np.array(memory.__array_interface__["data"][0], np.uint64)


def dimensions(given, name, most):
    """Return a grid or a block as three numbers; CuPy takes a tuple alone, and makes a one of a zero."""
    if not isinstance(given, tuple):
        raise TypeError(f"Argument '{name}' has incorrect type (expected tuple, got {type(given).__name__})")
    three = (*given, 1, 1)[:3]
    if len(given) > 3 or any(n < 1 for n in three) or np.prod(three, dtype=object) > most:
        raise ValueError(f"a {name} has 1 to 3 numbers from 1 on, of which {most} at the most; got {given}")
    return np.array(three, np.uint32)


def prepared(code, name, options, grid, block, arguments):
    """Return a function that runs the kernel, and which arguments it does not write; arrays are NumPy's here."""
    library, parameters = compiled(code, name, options)
    if len(arguments) != len(parameters):
        raise TypeError(f"the kernel {name} has {len(parameters)} parameters; got {len(arguments)}")
    values = [
        (memory_of if isinstance(given, np.ndarray) else value_of)(given, parameter)
        for given, parameter in zip(arguments, parameters, strict=True)
    ]
    sizes = dimensions(grid, "grid", 2**31 - 1), dimensions(block, "block", 1024)

    def run():
        addresses = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        library.standin_run(addresses, *(ctypes.c_void_p(size.ctypes.data) for size in sizes))

    run.memory = arguments  # whose addresses are among the values
    return run, [parameter[0] != "p" for parameter in parameters]
