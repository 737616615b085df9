"""What stands for CuPy where there is no GPU: the names of CuPy 14 that are used, in NumPy's memory, and no others.

:func:`make` gives one that stands for the module; :class:`Namespace` is the short list alone, by which layers, losses
and optimizers are held to what CuPy has. What CuPy would do silently is an error here: a copy to the host, the copy of
a product's ``out``, an index outside that is wrapped around. ``tests/golden/cupy.json`` has the signatures of the real
ones, and ``test_standin.py`` compares.

What is done goes through ``Machine.do``. It does it at once; or, if the current stream is capturing, it only records:
the arrays by reference, the numbers as they are, and the memory of a result, which is taken at that moment. What shape
a result has is found on zeros. ``Graph.launch`` does what was recorded, on what the arrays then hold.

Memory is what a pool gives, in pieces of 512 bytes, filled with ones: NaN, -1 or True. A pool keeps what was freed for
the same stream, as CuPy's does, but joins and splits nothing. Everything is done when it is asked for, in the thread
that asks. But a copy to the host with ``blocking=False`` arrives when its stream is waited for; and it is an error that
a stream uses what another one has written, before that was waited for.
"""

import builtins
import contextlib
import ctypes
import functools
import itertools
import math
import operator
import os
import secrets
import sys
import threading
import warnings
import weakref
from types import SimpleNamespace

import numpy as np

from fullyconnected.engine.cuda import card, presence, products
from tests.cuda import on_host

ENTRYWISE = {
    "abs", "add", "copysign", "cos", "divide", "equal", "exp", "expm1", "greater", "greater_equal", "heaviside",
    "less", "log1p", "logaddexp", "maximum", "minimum", "multiply", "negative", "reciprocal", "rint", "sign", "sin",
    "sqrt", "subtract", "tanh",
}  # fmt: skip
OTHERS = {"array", "clip", "copyto", "full", "matmul", "vdot"}
SHORT_LIST = ENTRYWISE | OTHERS
METHODS = {"argmax", "dot", "fill", "max", "put", "reshape", "sum", "take", "transpose"}

VERSION = "14.2.0"
SCALARS = (bool, int, float, np.generic)
UNIT = 512  # bytes: a pool gives multiples of it
OWN_POOL = "memory taken during a capture comes from a pool of its own, or others write to it: using_allocator"
COMPUTE_TYPES = {"TBD": 0, "DEFAULT": 1, "PEDANTIC": 2, "FP16": 3, "FP32": 4, "FP64": 5, "BF16": 6, "TF32": 7}
SIGNIFICAND = {COMPUTE_TYPES["TF32"]: 10, COMPUTE_TYPES["BF16"]: 7}  # bits behind the leading one
ATOMIC = {np.dtype(name) for name in ("int32", "float16", "float32", "float64", "uint32", "uint64")}
STATUS = {
    1: "cudaErrorInvalidValue: invalid argument",
    100: "cudaErrorNoDevice: no CUDA-capable device is detected",
    101: "cudaErrorInvalidDevice: invalid device ordinal",
    700: "cudaErrorIllegalAddress: an illegal memory access was encountered",
    900: "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing",
    901: "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during capture",
    905: "cudaErrorStreamCaptureIsolation: dependency created on uncaptured work in another stream",
}


class CUDARuntimeError(RuntimeError):
    """What CUDA refuses, by its number."""

    def __init__(self, status):
        self.status = status
        super().__init__(STATUS[status])


class OutOfMemoryError(MemoryError):
    """More memory than there is."""

    def __init__(self, size, total, limit=0):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


class NcclError(RuntimeError):
    """What NCCL refuses, by its number."""

    def __init__(self, status):
        self.status = status
        super().__init__({4: "NCCL_ERROR_INVALID_ARGUMENT", 5: "NCCL_ERROR_INVALID_USAGE"}[status])


def because(error, why):
    """Return an error with its reason, which CUDA itself does not give."""
    error.args = (f"{error.args[0]} ({why})",)
    return error


# Memory


class Block:
    """Some memory of a device: it belongs to a pool, and to whoever holds it."""

    def __init__(self, size, device):
        whole = np.empty(size + UNIT, np.uint8)
        first = -whole.__array_interface__["data"][0] % UNIT
        self.raw, self.size, self.device = whole[first : first + size], size, device
        self.address = self.raw.__array_interface__["data"][0]
        self.holder, self.released, self.written = None, False, None


class Memory:
    """That somebody holds a block: it goes back to its pool when this is collected."""

    def __init__(self, block, pool, arena):
        self.block, self.pool = block, weakref.ref(pool)
        block.holder = weakref.ref(self)
        block.device.held[id(block)] = block
        weakref.finalize(self, Memory.back, self.pool, block, arena).atexit = False

    @staticmethod
    def back(pool, block, arena):
        pool, device = pool(), block.device
        with device.lock:
            block.holder = None
            del device.held[id(block)]
            if pool is None:
                device.release(block)
            else:
                pool._free.setdefault(arena, []).append(block)


class MemoryPointer:
    """A place in memory that is held."""

    def __init__(self, mem, offset):
        self.mem, self._offset = mem, offset

    @property
    def ptr(self):
        return self.mem.block.address + self._offset if self.mem.block.size else 0

    @property
    def device_id(self):
        return self.mem.block.device.number


class MemoryPool:
    """Memory of all devices, which is kept when it is freed, for the stream that it was freed on."""

    _machine = None

    def __init__(self):
        self._free = {}  # blocks by device, stream and size
        self._total = {}  # bytes by device
        weakref.finalize(self, MemoryPool._gone, self._free).atexit = False

    @staticmethod
    def _gone(free):
        for block in itertools.chain.from_iterable(free.values()):
            with block.device.lock:
                block.device.release(block)

    def malloc(self, size):
        machine = self._machine
        device, size = machine.device(), -(-size // UNIT) * UNIT
        arena = device.number, machine.stream().ptr, size
        with device.lock:
            if self._free.get(arena):
                block = self._free[arena].pop()
            else:
                if device.free() < size:
                    self.free_all_blocks()
                if device.free() < size:
                    raise OutOfMemoryError(size, self.total_bytes())
                block = device.reserve(size)
                self._total[device.number] = self.total_bytes() + size
            memory = Memory(block, self, arena)
        block.raw.fill(255)
        return MemoryPointer(memory, 0)

    def used_bytes(self):
        return self.total_bytes() - self.free_bytes()

    def total_bytes(self):
        return self._total.get(self._machine.device().number, 0)

    def free_bytes(self):
        number = self._machine.device().number
        return sum(size * len(blocks) for (device, _, size), blocks in self._free.copy().items() if device == number)

    def free_all_blocks(self):
        device = self._machine.device()
        with device.lock:
            for arena in [arena for arena in list(self._free) if arena[0] == device.number]:
                for block in self._free.pop(arena):
                    device.release(block)
                    self._total[device.number] -= block.size


class Hardware:
    """A device as it is, of which :class:`Device` is a name."""

    def __init__(self, number, memory):
        self.number, self.memory, self.lock = number, memory, threading.RLock()
        self.blocks, self.held = {}, {}  # what pools have, and what somebody holds of it, each by its id

    def free(self):
        return self.memory - sum(block.size for block in list(self.blocks.values()))

    def reserve(self, size):
        block = Block(size, self)
        self.blocks[id(block)] = block
        return block

    def release(self, block):
        block.released = True
        del self.blocks[id(block)]


# What is done, at once or in a graph


class Recording:
    """What a stream captures: what is to be done in this order, and the memory that it needs."""

    def __init__(self):
        self.steps, self.memories, self.pools, self.spoiled = [], {}, set(), False
        self.written = {}

    def add(self, step, reads, writes):
        """Record what is to be done, and the memory that it reads and writes."""
        self.steps.append(step)
        for memory in (*reads, *writes):
            self.needs(memory)
        self.written |= {id(memory.block): memory.block for memory in writes}

    def needs(self, memory):
        """Remember an array: if it was there before the capture, it has to be there at every launch."""
        taken = id(memory.block) in self.memories and self.memories[id(memory.block)][2]
        self.memories[id(memory.block)] = memory.block, weakref.ref(memory), taken

    def takes(self, memory):
        """Remember what was taken during the capture: it may be freed, if nobody else gets it, and its pool stays."""
        self.memories[id(memory.block)] = memory.block, weakref.ref(memory), True
        self.pools.add(memory.pool)

    def check(self):
        """Raise if some of the memory has gone, or belongs to others."""
        if any(pool() is None for pool in self.pools):
            raise because(
                CUDARuntimeError(700), "the pool that the memory of the capture comes from is no longer there"
            )
        for block, memory, taken in self.memories.values():
            if memory() is None and not taken:
                raise because(CUDARuntimeError(700), "an array that the graph uses was freed after the capture")
            if memory() is None and (block.released or block.holder is not None):
                raise because(CUDARuntimeError(700), "memory of the capture was freed, and handed to somebody else")


class Graph:
    """What a stream has captured."""

    _machine = None

    def __init__(self, *args, **kwargs):
        raise NotImplementedError("a graph is made by the capture of a stream")

    def launch(self, stream=None):
        machine = self._machine
        if machine.recording() is not None:
            machine.refuse("a graph within a graph is not known here")
        if stream is not None and stream.device_id not in (-1, machine.device().number):
            raise because(CUDARuntimeError(1), "the stream belongs to another device")
        self._recording.check()
        blocks = [block for block, _, _ in self._recording.memories.values()]
        machine.passes(stream or machine.stream(), blocks, self._recording.written.values())
        for step in self._recording.steps:
            with np.errstate(all="ignore"):
                step()


class Machine:
    """What the names of one stand-in share: devices, streams, pools, and what is current in each thread."""

    def __init__(self, devices=1, memory=2**34, capability="90"):
        self.hardware = [Hardware(number, memory) for number in range(devices)]
        self.capability = capability
        self.transfers = []
        self.compute_types = dict.fromkeys(("float16", "float32", "float64"), COMPUTE_TYPES["TBD"])
        self.local, self.numbers = threading.local(), itertools.count(1)
        self.streams, self.works = weakref.WeakValueDictionary(), []
        self.array, self.classes = Array, {}
        for cls in (MemoryPool, Stream, Graph, Device, RawKernel, NcclCommunicator):
            self.classes[cls.__name__] = self.bound(cls)
        self.null = self.classes["Stream"].null = self.classes["Stream"](null=True)
        self.pool = self.classes["MemoryPool"]()

    def bound(self, cls):
        """Return a class of this stand-in alone."""
        return type(cls.__name__, (cls,), {"_machine": self, "__doc__": cls.__doc__, "__module__": cls.__module__})

    def mine(self, name, default):
        """Return what is current in this thread."""
        return self.local.__dict__.setdefault(name, default)

    def device(self, number=None):
        if not self.hardware:
            raise CUDARuntimeError(100)
        number = self.mine("devices", [0])[-1] if number is None else number
        if not 0 <= number < len(self.hardware):
            raise CUDARuntimeError(101)
        return self.hardware[number]

    def current_streams(self):
        return self.mine("streams", {}).setdefault(self.device().number, [self.null])

    def stream(self):
        return self.current_streams()[-1]

    # Captures

    def capturing(self):
        """Return the streams that capture what this thread does."""
        return [stream for stream in self.mine("captures", []) if stream._recording is not None]

    def recording(self):
        """Return what the current stream captures, or None; what goes to another stream meanwhile is a mistake."""
        recording = self.stream()._recording
        if recording is None and self.capturing():
            raise because(CUDARuntimeError(905), "this thread captures, on another stream than the current one")
        return recording

    def refuse(self, why):
        """Raise, and spoil the capture as CUDA does."""
        for stream in self.capturing():
            stream._recording.spoiled = True
        raise because(CUDARuntimeError(900), why)

    def outside(self, what):
        """Refuse what a capture cannot have."""
        if self.capturing():
            self.refuse(what)

    def passes(self, stream, blocks, written):
        """See to it that a stream only uses what it has written itself, or what somebody has waited for."""
        for block in blocks:
            if block.written is not None:
                writer, when = block.written
                if when > writer.waited and not writer.comes_before(stream._work):
                    raise RuntimeError(
                        f"stream {stream.ptr} uses memory that stream {writer.ptr} writes, and nobody has waited for"
                        " that: synchronize() it"
                    )
        for block in written:
            block.written = stream._work, next(self.numbers)

    # Arrays

    def new(self, shape, dtype):
        """Return an array of memory that nobody has written."""
        shape, dtype = (shape,) if isinstance(shape, int | np.integer) else tuple(shape), np.dtype(dtype)
        recording = self.recording()
        allocators = self.mine("allocators", [])
        malloc = allocators[-1] if allocators else self.pool.malloc
        if recording is not None and getattr(malloc, "__self__", None) is self.pool:
            recording.spoiled = True
            raise RuntimeError(OWN_POOL)
        pointer = malloc(math.prod(shape) * dtype.itemsize)
        if recording is not None:
            recording.takes(pointer.mem)
        array = self.placed(shape, dtype, pointer)
        if dtype.kind == "b":  # any other byte is no truth value
            array._memory.fill(True)
        return array

    def placed(self, shape, dtype, pointer):
        size = math.prod(shape) * dtype.itemsize
        memory = pointer.mem.block.raw[pointer._offset : pointer._offset + size].view(dtype).reshape(shape)
        return self.wrap(memory, pointer.mem)

    def wrap(self, memory, held, kind=None):
        array = object.__new__(kind or self.array)
        array._memory, array._held = memory, held
        return array

    def is_array(self, value):
        return isinstance(value, self.array)

    def bare(self, value):
        """Return the NumPy array or the number within, and refuse what could not be handed to a device."""
        if self.is_array(value):
            if len(self.hardware) > 1 and value._held.block.device is not self.device():
                raise ValueError(
                    f"the array lies on device {value._held.block.device.number}, and {self.device().number} is current"
                )
            return value._memory
        if isinstance(value, SCALARS):
            return value
        raise TypeError(f"unsupported type {type(value).__name__}: an array of this namespace, or a number")

    def target(self, out, shape=None):
        """Return the memory of an ``out``: of the result's shape, or of one that the result is repeated to."""
        if not self.is_array(out):
            raise TypeError(f"out is an array of this namespace, not {type(out).__name__}")
        if shape is not None and (np.broadcast_shapes(out.shape, shape) != out.shape or len(shape) > out.ndim):
            raise ValueError(f"out has shape {out.shape}, the result {shape}")
        return self.bare(out)

    def do(self, work, *inputs, out=None):
        """Let ``work(*memories, out=memory)`` write into ``out``; or return a new array of what it returns."""
        memories = [self.bare(value) for value in inputs]
        memory = None if out is None else self.target(out)
        recording = self.recording()
        arrays = [value._held for value in inputs if self.is_array(value)]
        written = [] if out is None else [out._held]
        if recording is None:
            self.passes(self.stream(), [held.block for held in arrays + written], [held.block for held in written])
        with np.errstate(all="ignore"):
            if recording is None:
                found = work(*memories, out=memory)
            else:
                dry = [np.zeros(m.shape, m.dtype) if isinstance(m, np.ndarray) else m for m in (*memories, memory)]
                found = work(*dry[:-1], out=dry[-1])
        if out is None:
            found = np.asarray(found)
            result = self.new(found.shape, found.dtype)
            if recording is None:
                self.passes(self.stream(), [], [result._held.block])
                result._memory[...] = found
                return result

            def step():
                result_memory[...] = work(*memories, out=None)

            result_memory = result._memory  # and not the array: who throws it away frees it
        elif recording is None:
            return out
        else:

            def step():
                work(*memories, out=memory)

            result = out
        recording.add(step, arrays, [result._held])
        return result

    def at(self, address, dtype, count, device, error):
        """Return numbers that lie at an address of a device, and who holds that memory; or raise the error."""
        size = count * np.dtype(dtype).itemsize
        for block in list(self.device(device).held.values()):
            held = block.holder and block.holder()
            if held is not None and block.address <= address <= block.address + block.size - size:
                return np.frombuffer((ctypes.c_char * size).from_address(address), dtype), held
        raise because(error, f"no array of this device holds {size} bytes at {address}")

    def upload(self, values, into=None, stream=None):
        """Copy from the host: into an array, or into a new one."""
        if values.dtype.kind not in "biuf":
            raise ValueError(f"Unsupported dtype {values.dtype}")
        self.outside("a copy from the host, whose memory is not pinned")
        result = self.new(values.shape, values.dtype) if into is None else into
        self.passes(stream or self.stream(), [result._held.block], [result._held.block])
        result._memory[...] = values
        self.transfers.append(("to device", values.nbytes))
        return result

    def precision(self):
        """Return to how many bits a product of float32 rounds what it multiplies, or None."""
        kind = self.compute_type("float32")
        return SIGNIFICAND[kind] if kind == COMPUTE_TYPES["TF32"] else None  # with BF16, it multiplies float32 as it is

    def compute_type(self, dtype):
        name = np.dtype(dtype).name
        if name not in self.compute_types:
            raise TypeError(f"dtype is not supported: {name}")
        if self.compute_types[name] == COMPUTE_TYPES["TBD"]:
            fast = name == "float32" and int(os.getenv("CUPY_TF32", "0")) > 0
            self.set_compute_type(name, COMPUTE_TYPES["TF32" if fast else "DEFAULT"])
        return self.compute_types[name]

    def set_compute_type(self, dtype, compute_type):
        name = np.dtype(dtype).name
        if name not in self.compute_types:
            raise TypeError(f"dtype is not supported: {name}")
        if compute_type not in COMPUTE_TYPES.values():
            raise ValueError(f"Unknown compute type: {compute_type}")
        if compute_type in SIGNIFICAND and int(self.capability) < 80:
            warnings.warn("COMPUTE_TYPE_BF16 and COMPUTE_TYPE_TF32 need a compute capability of 8.0", stacklevel=3)
            compute_type = COMPUTE_TYPES["DEFAULT"]
        self.compute_types[name] = compute_type


def rounded(a, bits):
    """Return float32 numbers with so many bits behind the leading one, ties to even."""
    drop = 23 - bits
    pattern = np.array(a, np.float32).view(np.uint32)
    up = np.uint32((1 << (drop - 1)) - 1) + ((pattern >> np.uint32(drop)) & np.uint32(1))
    finite = np.isfinite(a)
    pattern = np.where(finite, (pattern + up) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF), pattern)
    return pattern.view(np.float32)


def product(machine, function, a, b, out):
    """Return a product, or write it into an ``out`` that CuPy writes to without a copy.

    Of a sum of one row times one column CuPy makes a multiplication and a sum, and stacks it multiplies by another
    function of cuBLAS: neither asks for the compute type.
    """
    left, right = machine.bare(a), machine.bare(b)
    rows, columns = left.shape[-2:-1], right.shape[-1:] if right.ndim > 1 else ()
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2]) if function is np.matmul else ()
    shape = (*stack, *rows, *columns) if function is np.matmul else (*left.shape[:-1], *right.shape[:-2], *columns)
    dtype = np.result_type(left, right)
    if out is not None:
        memory = machine.target(out)
        if memory.shape != shape or memory.dtype != dtype or not memory.flags.c_contiguous:
            raise ValueError("the out of a product is contiguous, and of the product's own shape and dtype")
    stacked = max(left.ndim, right.ndim) > 2
    number = math.prod(shape) == 1 and not stacked
    cublas = dtype.kind == "f" and left.size and right.size and not number
    if cublas and machine.recording() is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    bits = machine.precision() if dtype == np.float32 and not number and not stacked else None

    def work(a, b, out):
        if bits is not None:
            a, b = rounded(a, bits), rounded(b, bits)
        return function(a, b) if out is None else function(a, b, out=out)

    return machine.do(work, a, b, out=out)


# cuBLAS itself

ROUNDS = {  # how a product is computed: of which numbers, and to how many bits they are rounded
    68: (np.float32, None),
    77: (np.float32, SIGNIFICAND[COMPUTE_TYPES["TF32"]]),
    75: (np.float32, SIGNIFICAND[COMPUTE_TYPES["BF16"]]),
    70: (np.float64, None),
}
KINDS = {0: np.float32, 1: np.float64}
PROTOTYPES = {  # cublas_api.h of CUDA 12: P is a pointer, i an int, l a long long, z a size_t
    "cublasCreate_v2": "P",
    "cublasDestroy_v2": "P",
    "cublasSetStream_v2": "PP",
    "cublasSetWorkspace_v2": "PPz",
    "cublasGemmEx": "PiiiiiPPiiPiiPPiiii",
    "cublasGemmStridedBatchedEx": "PiiiiiPPiilPiilPPiiliii",
}
LETTERS = {"P": ctypes.c_void_p, "i": ctypes.c_int, "l": ctypes.c_longlong, "z": ctypes.c_size_t}


class Library:
    """The library of cuBLAS, called as C is: its matrices lie column by column, and it may be called in a capture.

    It takes no memory of its own then, so that it has to have a workspace; and a product goes to the handle's stream.
    """

    def __init__(self, cupy):
        self._machine, self._handles, self._numbers = cupy._machine, {}, itertools.count(4096)
        for name, letters in PROTOTYPES.items():
            kind = ctypes.CFUNCTYPE(ctypes.c_int, *(LETTERS[letter] for letter in letters))
            setattr(self, name, kind(functools.partial(self._status, getattr(self, f"_{name}"))))

    def _status(self, function, *given):
        try:
            function(*given)
        except Exception as error:  # which C has no word for
            sys.stderr.write(f"cuBLAS: {error!r}\n")
            return 13
        return 0

    def _cublasCreate_v2(self, handle):
        number = next(self._numbers)
        self._handles[number] = SimpleNamespace(stream=None, workspace=0)
        ctypes.c_void_p.from_address(handle).value = number

    def _cublasDestroy_v2(self, handle):
        del self._handles[handle]

    def _cublasSetStream_v2(self, handle, stream):
        assert stream in self._machine.streams
        self._handles[handle].stream, self._handles[handle].workspace = stream, 0

    def _cublasSetWorkspace_v2(self, handle, address, size):
        assert address % 256 == 0
        self._machine.at(address or 0, np.uint8, size, self._machine.device().number, RuntimeError("workspace"))
        self._handles[handle].workspace = size

    def _cublasGemmEx(self, handle, ta, tb, m, n, k, by, a, ka, la, b, kb, lb, plus, c, kc, lc, compute, algorithm):
        sizes = ta, tb, m, n, k
        self._multiply(handle, sizes, by, (a, ka, la, 0), (b, kb, lb, 0), plus, (c, kc, lc, 0), 1, compute, algorithm)

    def _cublasGemmStridedBatchedEx(
        self, handle, ta, tb, m, n, k, by, a, ka, la, sa, b, kb, lb, sb, plus, c, kc, lc, sc, count, compute, algorithm
    ):
        left, right, result = (a, ka, la, sa), (b, kb, lb, sb), (c, kc, lc, sc)
        self._multiply(handle, (ta, tb, m, n, k), by, left, right, plus, result, count, compute, algorithm)

    def _multiply(self, handle, sizes, by, left, right, plus, result, count, compute, algorithm):
        machine, (ta, tb, m, n, k) = self._machine, sizes
        assert machine.stream().ptr == self._handles[handle].stream, "the stream of the handle is another one"
        dtype, bits = ROUNDS[compute]
        assert {KINDS[each[1]] for each in (left, right, result)} == {dtype}
        assert algorithm == -1
        assert [np.dtype(dtype).type(number) for number in (1, 0)] == [
            np.frombuffer((ctypes.c_char * np.dtype(dtype).itemsize).from_address(at), dtype)[0] for at in (by, plus)
        ]
        (a, held_a), (b, held_b), (c, held_c) = (
            self._matrices(dtype, count, each, *shape)
            for each, shape in ((left, ((m, k), (k, m))[ta]), (right, ((k, n), (n, k))[tb]), (result, (m, n)))
        )

        def step():
            one, other = (a.transpose(0, 2, 1) if ta else a), (b.transpose(0, 2, 1) if tb else b)
            if bits is not None:
                one, other = rounded(one, bits), rounded(other, bits)
            c[...] = one @ other

        recording = machine.recording()
        if recording is not None:
            assert self._handles[handle].workspace, "it would take memory of its own in a capture"
            recording.add(step, [held_a, held_b], [held_c])
            return
        machine.passes(machine.stream(), [each.block for each in (held_a, held_b, held_c)], [held_c.block])
        with np.errstate(all="ignore"):
            step()

    def _matrices(self, dtype, count, where, rows, columns):
        """Return matrices that lie one after the other, each column by column, and who holds their memory."""
        address, _, step, stride = where
        assert step >= rows, "the columns of a matrix lie in each other"
        machine, item = self._machine, np.dtype(dtype).itemsize
        size = (count - 1) * stride + (columns - 1) * step + rows
        numbers, held = machine.at(address, dtype, size, machine.device().number, RuntimeError("no memory there"))
        strides = (stride * item, item, step * item)
        return np.lib.stride_tricks.as_strided(numbers, (count, rows, columns), strides), held


class Array:
    """An array that is no NumPy array, and does not become one unless it is asked to by ``get``: the short list."""

    _machine = None
    __array_ufunc__ = None
    __hash__ = None

    shape = property(lambda self: self._memory.shape)
    ndim = property(lambda self: self._memory.ndim)
    size = property(lambda self: self._memory.size)
    dtype = property(lambda self: self._memory.dtype)
    itemsize = property(lambda self: self._memory.itemsize)
    nbytes = property(lambda self: self._memory.nbytes)
    T = property(lambda self: self._view(self._memory.T))

    def get(self, stream=None, order="C", out=None, blocking=True):
        """Return a copy on the host, or fill ``out``; unless it blocks, it arrives when the stream is waited for."""
        machine = self._machine
        machine.outside("a copy to the host")
        memory, stream = machine.bare(self), stream or machine.stream()
        if out is not None:
            if not isinstance(out, np.ndarray) or (out.dtype, out.shape) != (memory.dtype, memory.shape):
                raise TypeError(f"out is a NumPy array of {memory.dtype}, of shape {memory.shape}")
            if not (out.flags.c_contiguous and memory.flags.c_contiguous):
                raise RuntimeError("`out` cannot be specified when copying to non-contiguous ndarray")
        machine.passes(stream, [self._held.block], [])
        found = memory.copy(order)
        result = np.empty_like(found) if out is None else out
        machine.transfers.append(("to host", memory.nbytes))
        if blocking:
            stream._work.done(next(machine.numbers))
            result[...] = found
        else:
            result[...] = (
                True if result.dtype.kind == "b" else np.frombuffer(b"\xff" * result.itemsize, result.dtype)[0]
            )
            stream._work.arrives.append((result, found))
        return result

    def __len__(self):
        return len(self._memory)

    def __repr__(self):
        return f"<{self.dtype} {self.shape} on a device>"

    def _refused(self, *args, **kwargs):
        raise TypeError("an array of the device is not turned into a NumPy array or a Python number by itself")

    __array__ = __array_function__ = __array_interface__ = __float__ = __int__ = __bool__ = __index__ = __iter__ = (
        _refused
    )
    __complex__ = __str__ = __format__ = __reduce_ex__ = _refused

    def _view(self, memory):
        return self._machine.wrap(memory, self._held, type(self))  # also of a class that is made from this one

    def _part(self, key):
        key = key if isinstance(key, tuple) else (key,)
        for part in key:
            if isinstance(part, bool) or not (
                part is None or part is Ellipsis or isinstance(part, int | np.integer | slice)
            ):
                raise TypeError(f"views are cut by numbers and slices, which copy nothing; got {type(part).__name__}")
        return self._view(self._memory[key if Ellipsis in key else (*key, ...)])

    def __getitem__(self, key):
        return self._part(key)

    def __setitem__(self, key, value):
        def work(value, out):
            out[...] = value

        self._machine.do(work, value, out=self._part(key))

    def reshape(self, *shape):
        view = self._memory.reshape(*shape)
        assert not view.size or np.shares_memory(view, self._memory), "a reshape that copies"
        return self._view(view)

    def transpose(self, *axes):
        return self._view(self._memory.transpose(*axes))

    def fill(self, value):
        self[...] = value

    def dot(self, b, out=None):
        return product(self._machine, np.dot, self, b, out)

    def _reduced(self, function, out):
        """CuPy finds a result in the type that it has without an ``out``, and casts it to the type of that."""

        def work(memory, out):
            found = np.asarray(function(memory))
            if out is None:
                return found
            if out.shape != found.shape:
                raise ValueError(f"out has shape {out.shape}, the result {found.shape}")
            out[...] = found
            return out

        return self._machine.do(work, self, out=out)

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return self._reduced(lambda memory: memory.sum(axis=axis, dtype=dtype, keepdims=keepdims), out)

    def max(self, axis=None, out=None, keepdims=False):
        return self._reduced(lambda memory: memory.max(axis=axis, keepdims=keepdims), out)

    def argmax(self, axis=None, out=None):
        return self._reduced(lambda memory: memory.argmax(axis=axis), out)

    def take(self, indices, axis=None, out=None):
        def work(memory, indices, out):
            found = np.asarray(memory.take(indices, axis=axis))  # raises where CuPy wraps around
            if out is None:
                return found
            if (out.dtype, out.shape) != (found.dtype, found.shape):
                raise TypeError(f"out is {out.dtype} {out.shape}, the result {found.dtype} {found.shape}")
            out[...] = found
            return out

        return self._machine.do(work, self, indices, out=out)

    def put(self, indices, values, mode="wrap"):
        if mode not in ("wrap", "clip"):
            raise TypeError("put wraps or clips: to raise, a device is waited for")
        machine = self._machine
        indices, values = (
            x if machine.is_array(x) else machine.upload(np.array(machine.bare(x), dtype))
            for x, dtype in ((indices, None), (values, self.dtype))
        )
        machine.do(lambda indices, values, out: out.put(indices, values, mode=mode), indices, values, out=self)

    def _operator(function):
        def apply(self, other):
            return self._machine.do(lambda a, b, out: function(a, b), self, other)

        return apply

    def _swapped(function):
        def apply(self, other):
            return self._machine.do(lambda a, b, out: function(b, a), self, other)

        return apply

    def _in_place(function):
        def apply(self, other):
            return self._machine.do(lambda b, out: function(out, b), other, out=self)

        return apply

    __add__, __mul__ = _operator(operator.add), _operator(operator.mul)
    __radd__, __rmul__ = _swapped(operator.add), _swapped(operator.mul)
    __iadd__, __isub__ = _in_place(operator.iadd), _in_place(operator.isub)
    __imul__, __itruediv__ = _in_place(operator.imul), _in_place(operator.itruediv)
    __eq__, __ne__ = _operator(operator.eq), _operator(operator.ne)


class ndarray(Array):
    """What else an array has, outside of a step."""

    def __init__(self, shape, dtype=float, memptr=None):
        machine = self._machine
        if memptr is None:
            made = machine.new(shape, dtype)
        else:
            made = machine.placed((shape,) if isinstance(shape, int) else tuple(shape), np.dtype(dtype), memptr)
        self._memory, self._held = made._memory, made._held

    @property
    def data(self):
        return MemoryPointer(self._held, self._memory.__array_interface__["data"][0] - self._held.block.address)

    @property
    def flags(self):
        flags = self._memory.flags
        return SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous)

    strides = property(lambda self: self._memory.strides)
    device = property(lambda self: self._machine.classes["Device"](self._held.block.device.number))

    def view(self, dtype=None, type=None):
        kind = dtype if type is None else type
        if not (isinstance(kind, builtins.type) and issubclass(kind, ndarray)):
            raise TypeError("a view as another dtype is not known here")
        return self._machine.wrap(self._memory, self._held, kind)

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self._memory.flags.c_contiguous:
            raise RuntimeError("Cannot set to non-contiguous array")
        self._machine.bare(self)
        self._machine.upload(arr, into=self, stream=stream)

    def astype(self, dtype, *, copy=True):
        if not copy and self.dtype == dtype:
            return self
        return self._machine.do(lambda a, out: a.astype(dtype), self)

    def copy(self):
        return self._machine.do(lambda a, out: a.copy(), self)


class Entrywise:
    """A function of entries: no methods, and no ``where=``."""

    def __init__(self, name, machine):
        self._function, self._machine = getattr(np, name), machine

    def __call__(self, *args, out=None, dtype=None, casting="same_kind"):
        function, machine = self._function, self._machine
        if len(args) > function.nin:
            if out is not None:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            *args, out = args
        if len(args) != function.nin:
            raise TypeError(f"{function.__name__} takes {function.nin} arrays or numbers, and an out")
        if out is not None:
            machine.target(out, np.broadcast_shapes(*(np.shape(machine.bare(value)) for value in args)))

        def work(*values, out):
            return function(*values, out=out, dtype=dtype, casting=casting)

        return machine.do(work, *args, out=out)


class Add(Entrywise):
    """The one function that can also add to entries of an array, chosen by numbers of which some may be the same."""

    def at(self, a, indices, b=None):
        if a.dtype not in ATOMIC:
            raise TypeError(f"scatter_add only supports {', '.join(sorted(map(str, ATOMIC)))}; got {a.dtype}")
        if not self._machine.is_array(b):
            b = self._machine.upload(np.array(self._machine.bare(b), a.dtype))

        def work(indices, b, out):
            np.add.at(out, indices, b.astype(out.dtype))

        self._machine.do(work, indices, b, out=a)


class Namespace:
    """The short list, and nothing else."""

    def __init__(self, machine=None, array=Array):
        self._machine = machine or Machine()
        self._machine.array = self._array = self._machine.bound(array)
        for name in ENTRYWISE:
            setattr(self, name, (Add if name == "add" else Entrywise)(name, self._machine))

    def array(self, obj, dtype=None):
        if self._machine.is_array(obj):
            return self._machine.do(lambda a, out: a.astype(a.dtype if dtype is None else dtype), obj)
        return self._machine.upload(np.array(obj, dtype))

    def full(self, shape, fill_value, dtype=None):
        of = fill_value if self._machine.is_array(fill_value) else np.array(self._machine.bare(fill_value))
        array = self._machine.new(shape, of.dtype if dtype is None else dtype)
        array[...] = fill_value
        return array

    def copyto(self, dst, src, casting="same_kind", where=None):
        def work(src, where, out):
            np.copyto(out, src, casting=casting, where=where)

        self._machine.do(work, src, True if where is None else where, out=dst)

    def clip(self, a, a_min, a_max, out=None):
        if out is not None:
            self._machine.target(out, a.shape)
        return self._machine.do(lambda a, least, most, out: np.clip(a, least, most, out=out), a, a_min, a_max, out=out)

    def matmul(self, a, b, /, *, out=None):
        return product(self._machine, np.matmul, a, b, out)

    def vdot(self, a, b):
        return self._machine.do(lambda a, b, out: np.vdot(a, b), a, b)


class RawKernel:
    """A kernel in CUDA's C++, which really runs: on the processor, one thread after the other."""

    _machine = None

    def __init__(self, code, name, options=()):
        if not isinstance(options, tuple):
            raise TypeError("Argument 'options' has incorrect type: a tuple of texts")
        self._kernel = code, name, options

    def __call__(self, grid, block, args):
        machine = self._machine
        machine.device()
        given = [machine.bare(value) for value in args]
        run, constant = on_host.prepared(*self._kernel, grid, block, given)
        arrays = [value._held for value in args if machine.is_array(value)]
        written = [a._held for a, alone in zip(args, constant, strict=True) if machine.is_array(a) and not alone]
        recording = machine.recording()
        if recording is None:
            machine.passes(machine.stream(), [held.block for held in arrays], [held.block for held in written])
            run()
        else:
            recording.add(run, arrays, written)


# Streams and devices


class Work:
    """What a stream does, which others do not see before it was waited for."""

    def __init__(self, ptr, device_id, non_blocking):
        self.ptr, self.device_id, self.non_blocking = ptr, device_id, non_blocking
        self.waited, self.arrives = 0, []

    def comes_before(self, other):
        """Whether another stream begins after this one: only the null stream waits, and is waited for, by itself."""
        null_and_blocking = 0 in (self.ptr, other.ptr) and not (self.non_blocking or other.non_blocking)
        return self is other or null_and_blocking

    def done(self, now):
        self.waited = now
        for result, found in self.arrives:
            result[...] = found
        self.arrives.clear()


class Stream:
    """What is done in order."""

    _machine = null = None

    def __init__(self, null=False, non_blocking=False):
        machine = self._machine
        self.ptr, self.device_id = (0, -1) if null else (next(machine.numbers), machine.device().number)
        self._recording, self._work = None, Work(self.ptr, self.device_id, non_blocking)
        machine.streams[self.ptr] = self
        machine.works.append(self._work)

    def __eq__(self, other):
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self):
        return self.ptr

    def _check(self):
        number = self._machine.device().number
        if self.device_id not in (-1, number):
            raise RuntimeError(
                f"The device that the stream is created on ({self.device_id})"
                f" does not match with the current device ({number})"
            )

    def __enter__(self):
        self._check()
        streams = self._machine.current_streams()
        streams.append(self)
        self._machine.mine("entered", []).append(streams)
        return self

    def __exit__(self, *args):
        self._machine.mine("entered", []).pop().pop()

    def use(self):
        self._check()
        self._machine.current_streams()[-1] = self
        return self

    def synchronize(self):
        self._machine.device()
        self._machine.outside("waiting for a stream")
        self._work.done(next(self._machine.numbers))

    def begin_capture(self, mode=None):
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self._recording is not None:
            raise because(CUDARuntimeError(1), "the stream captures already")
        self._recording = Recording()
        self._machine.mine("captures", []).append(self)

    def end_capture(self):
        if self._recording is None:
            raise because(CUDARuntimeError(1), "the stream does not capture")
        recording, self._recording = self._recording, None
        self._machine.local.captures = self._machine.capturing()
        if recording.spoiled:
            raise CUDARuntimeError(901)
        graph = object.__new__(self._machine.classes["Graph"])
        graph._recording = recording
        return graph

    def is_capturing(self):
        return self._recording is not None


class Device:
    """A device by its number."""

    _machine = None

    def __init__(self, device=None):
        self._number = self._machine.device().number if device is None else int(device)

    id = property(lambda self: self._number)

    def __int__(self):
        return self._number

    def __eq__(self, other):
        return isinstance(other, Device) and self._number == other._number

    def __hash__(self):
        return self._number

    def use(self):
        self._machine.mine("devices", [0])[-1] = self._machine.device(self._number).number

    def __enter__(self):
        self._machine.mine("devices", [0]).append(self._machine.device(self._number).number)
        return self

    def __exit__(self, *args):
        self._machine.mine("devices", [0]).pop()

    @property
    def mem_info(self):
        hardware = self._machine.device(self._number)
        return hardware.free(), hardware.memory

    @property
    def compute_capability(self):
        self._machine.device(self._number)
        return self._machine.capability

    def synchronize(self):
        self._machine.device(self._number)
        self._machine.outside("waiting for a device")
        for work in list(self._machine.works):
            if work.device_id in (-1, self._number):
                work.done(next(self._machine.numbers))


# Many devices

NUMBERS = {7: np.float32, 8: np.float64, 4: np.int64}
GROUPS = weakref.WeakValueDictionary()
PATIENCE = 60  # seconds until a group that is not complete is an error


class Group:
    """Who sums together, in threads of this process."""

    def __init__(self, size):
        self.size, self.all_here, self.given, self.places = size, threading.Barrier(size), [None] * size, set()

    def sum(self, rank, mine):
        self.given[rank] = mine
        self.all_here.wait(PATIENCE)
        total = sum(self.given[1:], self.given[0].copy())
        self.all_here.wait(PATIENCE)
        return total


LOCK = threading.Lock()


class NcclCommunicator:
    """A device among others, which begins when all have come."""

    _machine = None

    def __init__(self, ndev, commId, rank):
        if not isinstance(commId, bytes) or len(commId) != 128:
            raise TypeError("commId is the 128 bytes that get_unique_id gives")
        if not 0 <= rank < ndev:
            raise NcclError(4)
        machine = self._machine
        machine.outside("a communicator that begins")
        with LOCK:
            if (group := GROUPS.get(commId)) is None:
                group = GROUPS[commId] = Group(ndev)
            self._group = group
            place = id(machine), machine.device().number
            duplicate = place in group.places
            group.places.add(place)
        if duplicate or group.size != ndev:
            group.all_here.abort()
            raise because(NcclError(5), "a device is used twice" if duplicate else "the ranks disagree about how many")
        self._rank, self._device = rank, machine.device().number
        group.all_here.wait(PATIENCE)

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):
        machine, group = self._machine, self._group
        if group is None:
            raise because(NcclError(4), "the communicator was destroyed")
        if datatype not in NUMBERS or op != 0:
            raise because(NcclError(4), "sums of float32, float64 and int64 are known here")
        if stream not in machine.streams:
            raise because(NcclError(4), f"no stream has the address {stream}")
        (source, sent), (result, received) = (
            machine.at(address, NUMBERS[datatype], count, self._device, NcclError(4)) for address in (sendbuf, recvbuf)
        )

        def step():
            result[...] = group.sum(self._rank, source.copy())

        whose = machine.streams[stream]
        if whose._recording is None:
            machine.outside("a sum that goes to another stream")
            machine.passes(whose, [sent.block, received.block], [received.block])
            step()
        else:
            whose._recording.add(step, [sent], [received])

    def destroy(self):
        self._group = None


# The whole


class CuPy(Namespace):
    """What stands for the module ``cupy``; ``transfers`` has every copy between host and device, and its bytes."""

    def __init__(self, machine, nccl):
        super().__init__(machine, ndarray)
        self.ndarray, self.transfers, self.__version__ = self._array, machine.transfers, VERSION
        self.RawKernel = machine.classes["RawKernel"]
        self._core = SimpleNamespace(
            set_compute_type=machine.set_compute_type,
            get_compute_type=machine.compute_type,
            _routines_linalg=SimpleNamespace(
                **{f"COMPUTE_TYPE_{name}": value for name, value in COMPUTE_TYPES.items()}
            ),
        )
        names = ("Stream", "Graph", "Device", "MemoryPool")
        self.cuda = SimpleNamespace(
            **{name: machine.classes[name] for name in names},
            MemoryPointer=MemoryPointer,
            get_current_stream=self._get_current_stream,
            is_available=self._is_available,
            using_allocator=self._using_allocator,
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError,
                getDeviceCount=self._get_device_count,
                getDeviceProperties=self._get_device_properties,
                runtimeGetVersion=lambda: 12090,
                driverGetVersion=lambda: 13000,
                memGetInfo=lambda: self.cuda.Device().mem_info,
                streamCaptureModeGlobal=0,
                streamCaptureModeThreadLocal=1,
                streamCaptureModeRelaxed=2,
            ),
            cublas=SimpleNamespace(),  # of which the library is called itself: Library
            nccl=SimpleNamespace(available=False),
        )
        if nccl:
            self.cuda.nccl = SimpleNamespace(
                available=True,
                get_unique_id=lambda: secrets.token_bytes(128),
                NcclCommunicator=machine.classes["NcclCommunicator"],
                NcclError=NcclError,
                NCCL_FLOAT32=7,
                NCCL_FLOAT64=8,
                NCCL_INT64=4,
                NCCL_SUM=0,
            )

    def asarray(self, a, dtype=None):
        same = self._machine.is_array(a) and (dtype is None or a.dtype == dtype)
        return a if same else self.array(a, dtype)

    def asnumpy(self, a, stream=None, order="C", out=None, *, blocking=True):
        if not self._machine.is_array(a):
            raise TypeError(f"asnumpy is for arrays of the device; got {type(a).__name__}")
        return a.get(stream=stream, order=order, out=out, blocking=blocking)

    def ascontiguousarray(self, a, dtype=None):
        same = a.flags.c_contiguous and (dtype is None or a.dtype == dtype)
        return a if same else self._machine.do(lambda a, out: np.ascontiguousarray(a, dtype), a)

    def empty(self, shape, dtype=float):
        return self._machine.new(shape, dtype)

    def zeros(self, shape, dtype=float):
        return self.full(shape, 0, dtype)

    def arange(self, start, stop=None, step=1, dtype=None):
        start, stop = (0, start) if stop is None else (start, stop)
        return self._machine.do(lambda start, stop, step, out: np.arange(start, stop, step, dtype), start, stop, step)

    def get_default_memory_pool(self):
        return self._machine.pool

    def _get_current_stream(self):
        return self._machine.stream()

    def _is_available(self):
        return bool(self._machine.hardware)

    @contextlib.contextmanager
    def _using_allocator(self, allocator=None):
        if not isinstance(getattr(allocator, "__self__", None), self.cuda.MemoryPool):
            raise TypeError("an allocator is the malloc of a pool")
        allocators = self._machine.mine("allocators", [])
        allocators.append(allocator)
        try:
            yield
        finally:
            allocators.pop()

    def _get_device_count(self):
        if not self._machine.hardware:
            raise CUDARuntimeError(100)
        return len(self._machine.hardware)

    def _get_device_properties(self, device):
        memory, capability = self._machine.device(device).memory, self._machine.capability
        major, minor = int(capability[:-1]), int(capability[-1])
        return {"name": b"stand-in", "totalGlobalMem": memory, "major": major, "minor": minor}


def make(devices=1, memory=2**34, capability="80", *, nccl=True):
    """Return what stands for the module ``cupy`` on a machine of so many devices, each with so many bytes.

    ``capability`` is that of all devices; without ``nccl`` its library is not installed. With no device, whatever asks
    for one raises. Each is another machine: arrays of one are strangers to another, and what is current in a thread is
    so for one of them.
    """
    return CuPy(Machine(devices, memory, capability), nccl)


def install(patch, **how):
    """Let what :func:`make` returns be CuPy, and let there be its cuBLAS, until the patch is undone; return it."""
    cupy = make(**how)
    for name, module in modules(cupy).items():
        patch.setitem(sys.modules, name, module)
    cublas = Library(cupy)
    patch.setattr(products, "library", lambda module: cublas if module is cupy else None)
    patch.setattr(card, "THREAD", threading.local())  # so that what is done on it ends with it
    patch.setattr(card, "IDLE", {})
    patch.setattr(presence, "PROCESS", [])
    return cupy


def modules(cupy):
    """Return the names under which modules are imported, for ``sys.modules``: ``from cupy.cuda import nccl`` too."""
    names = {"": cupy, ".cuda": cupy.cuda, "._core": cupy._core, "._core._routines_linalg": cupy._core._routines_linalg}
    names |= {f".cuda.{name}": getattr(cupy.cuda, name) for name in ("runtime", "memory", "nccl")}
    return {f"cupy{name}": module for name, module in names.items()}
