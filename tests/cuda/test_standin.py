"""The tester is tested: what stands for CuPy refuses what CuPy has not, or would do silently."""

import copy
import gc
import inspect
import json
import pickle
import subprocess
import sys
import threading
import unittest.mock
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.cuda import standin

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "cupy.json").read_text(encoding="utf-8"))
CLASSES = {
    "ndarray": lambda cupy: cupy.ndarray,
    "RawKernel": lambda cupy: cupy.RawKernel,
    **{f"cuda.{name}": lambda cupy, name=name: getattr(cupy.cuda, name) for name in ("Stream", "Graph", "Device")},
    **{f"cuda.{name}": lambda cupy, name=name: getattr(cupy.cuda, name) for name in ("MemoryPool", "MemoryPointer")},
    "cuda.nccl.NcclCommunicator": lambda cupy: cupy.cuda.nccl.NcclCommunicator,
}


@pytest.fixture
def cupy():
    return standin.make()


# What there is


def things(owner, before=""):
    """Return every name of the stand-in, with what it names, but for what its classes have."""
    found = {}
    for name, thing in inspect.getmembers(owner):
        if isinstance(thing, SimpleNamespace):
            found |= things(thing, f"{before}{name}.")
        elif (not name.startswith("_") or name == "__version__") and (before, name) != ("", "transfers"):
            found[before + name] = thing
    return found


def names_of_everything(cupy):
    found = things(cupy) | {"add.at": cupy.add.at}
    for owner, find in CLASSES.items():
        cls = find(cupy)
        for name in dir(cls):
            thing = inspect.getattr_static(cls, name)
            operator = owner == "ndarray" and name.startswith("__") and name not in dir(type("", (), {}))
            if not name.startswith("_") or (operator and getattr(thing, "__name__", "") != "_refused"):
                found[f"{owner}.{name}"] = thing
    return found | {"RawKernel.__call__": cupy.RawKernel.__call__}


EVERYTHING = names_of_everything(standin.make())


def test_the_list_is_that_of_the_same_version():
    assert GOLDEN["__version__"] == standin.VERSION
    assert len(EVERYTHING) > 100
    assert {"add", "add.at", "ndarray.take", "cuda.Stream.begin_capture", "cuda.nccl.NCCL_SUM"} < set(EVERYTHING)


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_cupy_has_every_name_with_every_parameter(name):
    known, thing = GOLDEN[name], EVERYTHING[name]
    if not isinstance(known, list):
        assert known in ("attribute", "unknown") or known == thing
        return
    ours = parameters(thing)
    written = [e.name if e.default is e.empty else f"{e.name}={said(e.default)}" for e in ours]
    of_two = known[known.index("/") + 1 :] if "/" in known else known  # what is before has no names
    by_place = of_two[: of_two.index("*")] if "*" in of_two else of_two
    for place, each in enumerate(ours):
        if each.kind is each.KEYWORD_ONLY:
            assert written[place] in known
        elif each.kind is each.POSITIONAL_OR_KEYWORD and "**kwargs" not in known:
            assert written[place] == by_place[place]
        else:
            assert each.kind in (each.VAR_POSITIONAL, each.POSITIONAL_ONLY) or "**kwargs" in known


def parameters(thing):
    if isinstance(thing, standin.Entrywise):
        thing = type(thing).__call__
    assert callable(thing), "a function"
    return [each for each in inspect.signature(thing).parameters.values() if each.name != "self"]


def said(default):
    return default.__name__ if isinstance(default, type) else repr(default)


def test_modules_can_be_imported_by_name(cupy):
    with unittest.mock.patch.dict(sys.modules, standin.modules(cupy)):
        import cupy as found
        from cupy.cuda import nccl
        from cupy.cuda.memory import OutOfMemoryError

    assert found is cupy
    assert nccl is cupy.cuda.nccl
    assert OutOfMemoryError is standin.OutOfMemoryError


# What is refused

XP = standin.make()
SHORT = standin.Namespace()
A, OUT, MASK = (XP.array(np.ones((2, 3), dtype)) for dtype in (np.float32, np.float32, bool))
B = SHORT.array(np.ones((2, 3), np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: XP.add.reduce(A, axis=1),
        lambda: XP.maximum.reduce(A, axis=1, keepdims=True),
        lambda: XP.multiply(A, 2, out=OUT, where=MASK),
        lambda: XP.einsum("ij->j", A),
        lambda: XP.sum(A, axis=0),
        lambda: XP.add(A, np.ones((2, 3))),
        lambda: XP.add(A, 1, out=np.ones((2, 3), np.float32)),
        lambda: XP.add(A, 1, out=XP.array(np.ones(3, np.float32))),
        lambda: XP.add(A, 1, out=XP.array(np.ones((2, 1), np.float32))),
        lambda: XP.add(A, 1.0, out=MASK),
        lambda: XP.add(A),
        lambda: XP.add(A, B),  # of another machine
        lambda: XP.array([A, A]),
        lambda: XP.array(["a"]),
        lambda: np.add(A, 1),
        lambda: np.asarray(A),
        lambda: np.sum(A),
        lambda: np.copyto(np.ones((2, 3)), A),
        lambda: np.float32(2) * A.get() + A,
        lambda: A + np.ones(3),
        lambda: np.ones((2, 3)) * A,
        lambda: A.__eq__(np.ones((2, 3))),
        lambda: A.__iadd__(np.ones((2, 3), np.float32)),
        lambda: A.__setitem__(0, np.ones(3, np.float32)),
        lambda: A.fill(np.ones(3)),
        lambda: A.take(XP.array(np.array([1])), mode="clip"),
        lambda: A.take(XP.array(np.array([6]))),
        lambda: A.take(XP.array(np.array([1])), out=XP.array(np.array([1.0]))),
        lambda: A.put(XP.array(np.array([1])), 0, mode="raise"),
        lambda: XP.add.at(MASK, XP.array(np.array([1])), MASK),
        lambda: A[XP.array(np.array([1]))],
        lambda: A[[0, 1]],
        lambda: A[True],
        lambda: A.T.dot(A, out=XP.array(np.ones((3, 3)))),
        lambda: A.dot(A.T, out=XP.array(np.ones((2, 2), np.float32)).T[:, ::-1]),
        lambda: A.mean(),
        lambda: float(A.sum()),
        lambda: int(A.sum()),
        lambda: bool(A.sum()),
        lambda: complex(A.sum()),
        lambda: [1, 2, 3][A.argmax()],
        lambda: list(A),
        lambda: f"{A}",
        lambda: str(A),
        lambda: copy.copy(A),
        lambda: pickle.dumps(A),
        lambda: A.max(axis=1, initial=0.0),
        lambda: A.sum(axis=1, where=MASK),
        lambda: A.T.reshape(6),
        lambda: A.item(),
        lambda: A.tolist(),
        lambda: A.set([[1, 2, 3], [4, 5, 6]]),
        lambda: A.set(np.ones((2, 3))),
        lambda: A.set(np.ones((3, 2), np.float32)),
        lambda: A.T.set(np.ones((3, 2), np.float32)),
        lambda: A.get(out=np.ones((2, 3))),
        lambda: A.T.get(out=np.ones((3, 2), np.float32)),
        lambda: XP.asnumpy(np.ones(3)),
        lambda: XP.cuda.Graph(),
        lambda: B.astype(np.float64),
        lambda: B.set(np.ones((2, 3), np.float32)),
        lambda: SHORT.zeros(3),
    ],
)
def test_what_other_arrays_do_not_have_is_refused(wrong):
    """Each of these passes, or could pass, with NumPy's own arrays, or with CuPy's after a wait or a copy."""
    with pytest.raises((TypeError, ValueError, AttributeError, AssertionError, RuntimeError, IndexError)):
        wrong()


# What it computes


def test_arrays_are_views_of_one_memory(cupy):
    a = cupy.arange(6, dtype=np.float32).reshape(2, 3)
    a[1, 2] = 7  # a view, though it has no dimension
    entry = a[0, 1]
    entry += 10
    assert entry.shape == ()
    np.testing.assert_array_equal(a.get(), [[0, 11, 2], [3, 4, 7]])
    assert a[1].data.ptr == a.data.ptr + 12
    assert a.data.ptr % 512 == 0
    assert (a.T.flags.c_contiguous, a.flags.c_contiguous, a.nbytes, len(a)) == (False, True, 24, 2)
    again = cupy.ndarray((2, 3), np.float32, a.data)
    again.fill(1)
    np.testing.assert_array_equal(a.get(), np.ones((2, 3)))
    assert isinstance(a, cupy.ndarray)
    assert not isinstance(a, standin.make().ndarray)


def test_what_nobody_has_written_is_seen(cupy):
    assert np.isnan(cupy.empty(3, np.float32).get()).all()
    assert np.isnan(cupy.ndarray(3).get()).all()
    assert (cupy.empty(3, np.int32).get() == -1).all()
    assert cupy.empty(3, bool).get().all()
    assert (cupy.zeros((2, 2)).get() == 0).all()


def test_results_are_those_of_numpy(cupy, rng):
    host = rng.normal(size=(4, 3)).astype(np.float32)
    a = cupy.asarray(host)
    assert cupy.asarray(a) is a
    assert cupy.asarray(a, np.float64).dtype == np.float64
    for device, numpy in (
        (cupy.exp(a), np.exp(host)),
        (a * 2.0 + a, host * 2.0 + host),
        (a.sum(axis=0), host.sum(axis=0)),
        (a.argmax(axis=1), host.argmax(axis=1)),
        (a.T.dot(a), host.T @ host),
        (cupy.matmul(a, a.T), host @ host.T),
        (cupy.vdot(a, a), np.vdot(host, host)),
        (cupy.clip(a, -0.5, 0.5), host.clip(-0.5, 0.5)),
        (a.take(cupy.arange(2), axis=0), host[:2]),
        (a.astype(np.float64), host.astype(np.float64)),
        (a.copy(), host),
        (a == a, host == host),
        (cupy.full(2, 3.0), np.full(2, 3.0)),
        (cupy.arange(1, 4, 2), np.arange(1, 4, 2)),
    ):
        np.testing.assert_array_equal(device.get(), numpy, strict=True)
    cupy.divide(a, 0.0)  # a device warns of nothing


def test_a_sum_is_found_in_its_own_type_whatever_the_out_is(cupy):
    """NumPy would add up in float64 if the out is float64."""
    a, out = cupy.array(np.array([1, 1e-8], np.float32)), cupy.zeros((), np.float64)
    a.sum(out=out)
    assert out.get() == 1


def test_copies_between_host_and_device_are_counted(cupy):
    a = cupy.array(np.ones(3, np.float32))
    a.set(np.zeros(3, np.float32))
    b, out = cupy.array([1, 2]), np.empty(3, np.float32)
    assert cupy.asnumpy(a, out=out) is out
    a *= 2
    a[...] = 1
    a.put(cupy.arange(1), 3.0)  # CuPy makes an array of the number, on the host
    np.testing.assert_array_equal(b.get(), [1, 2])
    down, up = "to host", "to device"
    assert cupy.transfers == [(up, 12), (up, 12), (up, 16), (down, 12), (up, 4), (down, 16)]


def test_a_copy_that_does_not_block_arrives_when_the_stream_is_waited_for(cupy):
    a, stream = cupy.arange(3, dtype=np.float32), cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.get_current_stream().synchronize()
    with stream:
        early = a.get(blocking=False)
    a *= 2
    cupy.cuda.get_current_stream().synchronize()
    assert np.isnan(early).all()
    stream.synchronize()
    np.testing.assert_array_equal(early, [0, 1, 2])


# Precision

LINALG = standin.make()._core._routines_linalg


def test_tf32_rounds_what_products_multiply(cupy):
    one = np.float32(1)
    host = np.array([one + one / 2**11, one + 3 * one / 2**11, np.inf, one + one / 2**9], np.float32)
    expected = np.array([1, 1 + 2**-9, np.inf, 1 + 2**-9], np.float32)  # ties go to the even one
    np.testing.assert_array_equal(standin.rounded(host, 10), expected)
    np.testing.assert_array_equal(standin.rounded(-host, 10), -expected)
    assert np.isnan(standin.rounded(np.float32(np.nan), 10))
    cupy._core.set_compute_type(np.float32, LINALG.COMPUTE_TYPE_TF32)
    assert cupy._core.get_compute_type("float32") == LINALG.COMPUTE_TYPE_TF32
    eye, column = cupy.array(np.eye(4, dtype=np.float32)), host.copy()
    column[2] = 2
    a, rounds = cupy.array(column[:, None]), standin.rounded(column, 10)
    for result in (eye.dot(a), cupy.matmul(eye, a)):
        np.testing.assert_array_equal(result.get()[:, 0], rounds)
    exact = np.float32(np.vdot(column, column))
    assert cupy.vdot(a, a).get() == exact
    assert a.T.dot(a).get() == exact  # a single number is found in another way
    stack = cupy.matmul(eye.reshape(1, 4, 4), a)  # and so are stacks
    np.testing.assert_array_equal(stack.get()[0, :, 0], column)
    double = cupy.array(column[:, None].astype(np.float64))
    np.testing.assert_array_equal(eye.astype(np.float64).dot(double).get(), double.get())
    cupy._core.set_compute_type(np.float32, LINALG.COMPUTE_TYPE_DEFAULT)
    np.testing.assert_array_equal(eye.dot(a).get()[:, 0], column)


def test_bfloat16_is_taken_and_does_nothing(cupy):
    cupy._core.set_compute_type(np.float32, LINALG.COMPUTE_TYPE_BF16)
    host = np.array([[1 + 2**-8, 1 + 2**-7 + 2**-8], [3, 1 + 2**-10]], np.float32)
    found = cupy.array(np.eye(2, dtype=np.float32)).dot(cupy.array(host)).get()
    np.testing.assert_array_equal(found, host)


def test_an_older_device_has_no_tf32(monkeypatch):
    cupy = standin.make(capability="75")
    with pytest.warns(UserWarning, match="compute capability"):
        cupy._core.set_compute_type(np.float32, LINALG.COMPUTE_TYPE_TF32)
    assert cupy._core.get_compute_type(np.float32) == LINALG.COMPUTE_TYPE_DEFAULT
    with pytest.raises(ValueError, match="Unknown compute type"):
        cupy._core.set_compute_type(np.float32, 12)
    with pytest.raises(TypeError, match="not supported"):
        cupy._core.get_compute_type(np.int16)
    monkeypatch.setenv("CUPY_TF32", "1")
    assert standin.make()._core.get_compute_type(np.float32) == LINALG.COMPUTE_TYPE_TF32


# Memory


def test_memory_is_given_back_to_the_pool_and_by_it_to_the_device():
    cupy = standin.make(memory=4096)
    pool, info = cupy.get_default_memory_pool(), cupy.cuda.runtime.memGetInfo
    assert info() == (4096, 4096)
    a = cupy.zeros(300, np.float32)  # 1200 bytes, of which 512 each are given
    view, place = a[1:], a.data.ptr
    assert (pool.used_bytes(), pool.total_bytes(), info()) == (1536, 1536, (2560, 4096))
    del a
    gc.collect()
    assert pool.used_bytes() == 1536
    del view
    gc.collect()
    assert (pool.used_bytes(), pool.free_bytes(), pool.total_bytes()) == (0, 1536, 1536)
    again = cupy.empty(300, np.float32)
    assert again.data.ptr == place
    assert np.isnan(again.get()).all()
    del again
    gc.collect()
    pool.free_all_blocks()
    assert pool.total_bytes() == 0
    assert cupy.cuda.Device().mem_info == (4096, 4096)


def test_more_than_there_is():
    cupy = standin.make(memory=4096)
    a = cupy.zeros(512, np.float32)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match=r"allocating 2,560 bytes .*: 2,048 bytes"):
        cupy.zeros(600, np.float32)
    del a
    gc.collect()
    assert cupy.zeros(1000, np.float32).size == 1000  # what the pool has is given back first


def test_a_pool_that_is_gone_keeps_nothing():
    cupy = standin.make(memory=8192)
    pool = cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc):
        a, b = cupy.zeros(128, np.float32), cupy.zeros(128, np.float32)
    del b
    gc.collect()
    assert (pool.used_bytes(), pool.total_bytes(), cupy.get_default_memory_pool().total_bytes()) == (512, 1024, 0)
    del pool
    gc.collect()
    assert cupy.cuda.runtime.memGetInfo() == (7680, 8192)
    assert (a.get() == 0).all()
    del a
    gc.collect()
    assert cupy.cuda.runtime.memGetInfo() == (8192, 8192)
    with pytest.raises(TypeError, match="malloc of a pool"), cupy.cuda.using_allocator(lambda size: None):
        pass


# Devices and streams


def test_devices_have_memory_of_their_own():
    cupy = standin.make(devices=2, memory=4096, capability="80")
    runtime, Device = cupy.cuda.runtime, cupy.cuda.Device
    assert runtime.getDeviceCount() == 2
    assert runtime.getDeviceProperties(1)["name"] == b"stand-in"
    here = cupy.zeros(4)
    with Device(1) as device:
        there = cupy.zeros(4)
        assert (Device().id, device.id, there.device.id, here.device.id) == (1, 1, 1, 0)
        assert device.mem_info == (3584, 4096)
        assert device.compute_capability == "80"
        with pytest.raises(ValueError, match="lies on device 0, and 1 is current"):
            there += here
        with pytest.raises(ValueError, match="lies on device 0"):
            here.get()
    assert Device().id == 0
    Device(1).use()
    other = []
    thread = threading.Thread(target=lambda: other.append(Device().id))
    thread.start()
    thread.join()
    assert (Device().id, other) == (1, [0])
    with pytest.raises(runtime.CUDARuntimeError, match="invalid device ordinal"):
        Device(2).use()


def test_a_machine_without_a_device():
    cupy = standin.make(devices=0)
    for use in (cupy.cuda.runtime.getDeviceCount, lambda: cupy.zeros(3), cupy.cuda.runtime.memGetInfo):
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorNoDevice") as caught:
            use()
        assert caught.value.status == 100
    assert not cupy.cuda.is_available()


def test_streams_belong_to_threads_and_to_devices():
    cupy = standin.make(devices=2)
    null, stream = cupy.cuda.get_current_stream(), cupy.cuda.Stream(non_blocking=True)
    assert null == cupy.cuda.Stream.null
    assert null.ptr == 0
    other = []
    with stream:
        assert cupy.cuda.get_current_stream() == stream != null
        thread = threading.Thread(target=lambda: other.append(cupy.cuda.get_current_stream()))
        thread.start()
        thread.join()
        with cupy.cuda.Device(1):
            assert cupy.cuda.get_current_stream() == null
            with pytest.raises(RuntimeError, match="created on"), stream:
                pass
    assert (other, cupy.cuda.get_current_stream()) == ([null], null)


def test_streams_are_waited_for(cupy):
    Stream, a = cupy.cuda.Stream, cupy.zeros(3)
    one, two = Stream(non_blocking=True), Stream(non_blocking=True)
    late = pytest.raises(RuntimeError, match="nobody has waited")
    with one, late:
        a += 1
    Stream.null.synchronize()
    with one:
        a += 1
        b = a + 1
    with two, late:
        cupy.add(b, 1)
    with late:
        b.get()
    one.synchronize()
    with two:
        b[...] = a
    cupy.add(a, a)  # both may read
    with late:
        a.dot(b)
    cupy.cuda.Device().synchronize()
    assert a.dot(b).get() == 3
    with Stream():
        b += a  # which the null stream waits for
    assert (b.get() == 2).all()
    with one:
        c = a.copy()
        assert (c.get() == 1).all()  # waits for the stream
    with two:
        c += 1


# Graphs


class Capture:
    """A capture with a pool of its own, and its graph."""

    def __init__(self, cupy):
        self.cupy, self.stream, self.pool = cupy, cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()

    def __enter__(self):
        self.allocator = self.cupy.cuda.using_allocator(self.pool.malloc)
        self.stream.__enter__()
        self.allocator.__enter__()
        self.stream.begin_capture()
        return self

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                self.graph = self.stream.end_capture()
        finally:
            self.allocator.__exit__(kind, *rest)
            self.stream.__exit__(kind, *rest)


def test_a_graph_is_replayed_on_what_arrays_then_hold(cupy, rng):
    """Everything that an array can do: a replay gives what NumPy gives, and a capture does nothing."""
    shape, places = (4, 3), np.array([2, 0])

    def work(xp, a, b, rows, out):
        c = xp.add(a, b) * 2.0 + a
        xp.exp(c, out=c)
        c -= b
        c[1:3] = a[1:3]
        c[0, 0] = 5.0
        out[...] = c[:3]
        xp.maximum(out, 0.5, out=out)
        picked = a.take(rows, axis=0)
        xp.add.at(out, rows, picked)
        out.put(rows, picked)
        xp.copyto(out, xp.clip(out, 0.0, 3.0), where=xp.greater(out, 2.0))
        out += a.sum(axis=0) + xp.vdot(a, b) + a.max(axis=0)
        out *= a.argmax(axis=0)

    a, b, rows = cupy.zeros(shape), cupy.zeros(shape), cupy.array(places)
    out = cupy.full((3, 3), 7.0)
    with Capture(cupy) as capture:
        work(cupy, a, b, rows, out)
    before = len(cupy.transfers)
    gc.collect()  # what was taken for results is free again, and only the graph uses it
    assert capture.pool.used_bytes() == 0 < capture.pool.total_bytes()
    assert (out.get() == 7).all()
    assert (a.get() == 0).all()
    assert len(cupy.transfers) == before + 2
    null = cupy.cuda.Stream.null
    for stream in (null, capture.stream, null):
        host_a, host_b, host = rng.normal(size=shape), rng.normal(size=shape), np.full((3, 3), 7.0)
        a.set(host_a)
        b.set(host_b)
        out.set(host)
        rows.set(places)
        null.synchronize()
        capture.graph.launch(stream)
        if stream is not null:
            with pytest.raises(RuntimeError, match="nobody has waited"):
                out.get()
            stream.synchronize()
        work(np, host_a, host_b, places, host)
        np.testing.assert_array_equal(out.get(), host)
        places = places[::-1].copy()


def test_numbers_are_baked_and_results_stay_where_they_are(cupy):
    a, rate = cupy.zeros(3), 2.0
    with Capture(cupy) as capture:
        result = a + rate
        kind = cupy.greater(a, 0.0)
    place = result.data.ptr
    assert np.isnan(result.get()).all()
    assert (kind.dtype, result.shape) == (bool, (3,))
    rate = 5.0
    for value in (1.0, 4.0):
        a.fill(value)
        capture.graph.launch()
        np.testing.assert_array_equal(result.get(), [value + 2] * 3)
    assert result.data.ptr == place
    assert rate == 5
    assert kind.get().all()


def test_products_of_cupy_are_refused_in_a_capture(cupy):
    a, stack = cupy.full((2, 2), 1.0), cupy.full((3, 2, 2), 1.0)
    whole = cupy.full((2, 2), 1)
    assert (a.dot(a).get() == 2).all()  # outside of a capture
    with Capture(cupy) as capture:
        number, integers = cupy.vdot(a, a), whole.dot(whole)  # without cuBLAS
        for work in (lambda: a.dot(a), lambda: cupy.matmul(a, a), lambda: cupy.matmul(stack, a)):
            with pytest.raises(NotImplementedError, match="cuBLAS API during stream capture"):
                work()
    capture.graph.launch()
    assert number.get() == 4
    assert (integers.get() == 2).all()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda cupy, a: a.get(),
        lambda cupy, a: a.get(blocking=False),
        lambda cupy, a: a.set(np.zeros(3)),
        lambda cupy, a: cupy.asnumpy(a),
        lambda cupy, a: cupy.array(1.0),
        lambda cupy, a: cupy.asarray(np.zeros(3)),
        lambda cupy, a: a.put(a, 1.0),
        lambda cupy, a: cupy.add.at(a, cupy.arange(2), 1.0),
        lambda cupy, a: cupy.cuda.get_current_stream().synchronize(),
        lambda cupy, a: cupy.cuda.Device().synchronize(),
        lambda cupy, a: cupy.cuda.Stream.null.synchronize(),
    ],
)
def test_what_a_capture_cannot_have_spoils_it(cupy, wrong):
    a, before, capture = cupy.zeros(3), list(cupy.transfers), Capture(cupy)
    capture.__enter__()
    cupy.cuda.runtime.memGetInfo()  # which is allowed
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="CaptureUnsupported"):
        wrong(cupy, a)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="CaptureInvalidated"):
        capture.__exit__(None, None, None)
    assert cupy.transfers == before
    a.get()


def test_memory_of_a_capture_comes_from_a_pool_of_its_own(cupy):
    a, stream = cupy.zeros(3), cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        a += 1.0
        with pytest.raises(RuntimeError, match="pool of its own"):
            a + 1.0
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="CaptureInvalidated"):
            stream.end_capture()
        stream.begin_capture()
        a += 1.0
        graph = stream.end_capture()
    graph.launch()
    assert (a.get() == 1).all()


def test_a_mistake_in_a_capture_is_found_there(cupy):
    a, b = cupy.zeros(3), cupy.zeros(4)
    with Capture(cupy):
        for wrong in (lambda: a + b, lambda: a.dot(b), lambda: cupy.exp(a, out=b), lambda: a.__setitem__(0, b)):
            with pytest.raises(ValueError, match=r"shape|broadcast|aligned"):
                wrong()


def test_a_capture_is_of_the_current_stream(cupy):
    a, stream = cupy.zeros(3), cupy.cuda.Stream(non_blocking=True)
    error = cupy.cuda.runtime.CUDARuntimeError
    with pytest.raises(RuntimeError, match="default"):
        cupy.cuda.Stream.null.begin_capture()
    with pytest.raises(error, match="does not capture"):
        stream.end_capture()
    stream.begin_capture()
    assert stream.is_capturing()
    with pytest.raises(error, match="another stream"):
        a += 1
    with pytest.raises(error, match="captures already"):
        stream.begin_capture()
    thread = threading.Thread(target=lambda: a.fill(2))  # others may go on
    thread.start()
    thread.join()
    stream.end_capture().launch()
    assert (a.get() == 2).all()


def captured(cupy, a):
    with Capture(cupy) as capture:
        b = a + 1.0
        a[...] = b * 2.0
    return capture


def test_a_graph_needs_its_arrays(cupy):
    a = cupy.zeros(3)
    capture = captured(cupy, a)
    capture.graph.launch()
    assert (a.get() == 2).all()
    del a
    gc.collect()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="was freed after the capture"):
        capture.graph.launch()


def test_a_graph_needs_its_pool(cupy):
    a = cupy.zeros(3)
    graph = captured(cupy, a).graph
    gc.collect()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"pool .* no longer"):
        graph.launch()


def test_a_graph_writes_to_nobody_else(cupy):
    a = cupy.zeros(3)
    capture = captured(cupy, a)
    with cupy.cuda.using_allocator(capture.pool.malloc):
        with capture.stream:
            other = cupy.zeros(3)
            capture.stream.synchronize()
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="handed to somebody else"):
            capture.graph.launch()
        del other
    gc.collect()
    capture.graph.launch()
    capture.pool.free_all_blocks()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="handed to somebody else"):
        capture.graph.launch()


def test_a_capture_may_use_memory_again(cupy):
    a = cupy.zeros(3)
    with Capture(cupy) as capture:
        for _ in range(10):
            a[...] = a + 1.0
    assert capture.pool.total_bytes() == 512
    capture.graph.launch()
    assert (a.get() == 10).all()


# Kernels

PRODUCTS = r"""
extern "C" __global__ void products(const unsigned long long* __restrict__ a, unsigned long long b, double scale,
                                    long long n, unsigned long long* high, double* low) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    high[i] = __umul64hi(a[i], b);
    low[i] = scale * (double)((a[i] * b) & 0xffULL) + sqrt(4.0f) + gridDim.x;
}
"""


def test_a_kernel_runs_in_blocks(cupy, rng):
    n, b = 1000, 0x9E3779B97F4A7C15
    host = rng.integers(0, 2**64, n, np.uint64)
    a, high, low = cupy.array(host), cupy.zeros(n, np.uint64), cupy.zeros(n)
    kernel = cupy.RawKernel(PRODUCTS, "products", options=("--fmad=false",))
    kernel((8,), (128,), (a, np.uint64(b), 0.5, n, high, low))
    assert high.get().tolist() == [int(x) * b >> 64 for x in host]
    np.testing.assert_array_equal(low.get(), [0.5 * (int(x) * b & 0xFF) + 10 for x in host])
    high.fill(0)
    kernel((2,), (128,), (a, np.uint64(b), 0.5, n, high, low))
    assert (high.get()[256:] == 0).all()
    assert (high.get()[:256] != 0).any()


def test_a_kernel_is_captured(cupy):
    code = 'extern "C" __global__ void fill(float* a, float x, int n) { for (int i = 0; i < n; ++i) a[i] += x; }'
    a, kernel = cupy.zeros(3, np.float32), cupy.RawKernel(code, "fill")
    with Capture(cupy) as capture:
        kernel((1,), (1,), (a, np.float32(1.5), np.int32(3)))
    assert (a.get() == 0).all()
    capture.graph.launch()
    capture.graph.launch()
    assert (a.get() == 3).all()
    del a
    gc.collect()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="freed"):
        capture.graph.launch()


def test_a_kernel_writes_what_is_not_constant(cupy):
    code = 'extern "C" __global__ void f(const float* a, float* b) { b[0] = a[0]; }'
    a, b, stream = cupy.zeros(1, np.float32), cupy.zeros(1, np.float32), cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with stream:
        cupy.RawKernel(code, "f")((1,), (1,), (a, b))
    a.get()
    with pytest.raises(RuntimeError, match="nobody has waited"):
        b.get()


def test_what_a_kernel_would_not_notice_is_refused(cupy):
    code = 'extern "C" __global__ void f(float* a, float x, int n) {}'
    kernel, a, one = cupy.RawKernel(code, "f"), cupy.zeros((2, 2), np.float32), np.float32(1)
    good, three = ((1,), (1,)), np.int32(3)
    kernel(*good, (a, one, three))
    for wrong, message in (
        ((a, 1.0, three), "4 bytes was given float64"),
        ((a, one, 3), "4 bytes was given int64"),
        ((a, one, True), "4 bytes was given int64"),
        ((a, one), "has 3 parameters"),
        ((one, one, three), "an address"),
        ((a, a, three), "was given an array"),
        ((np.zeros(3), one, three), "nsupported type"),
        ((cupy.zeros(3), one, three), "array of float64"),
        ((a.T, one, three), "contiguous"),
        ((None, one, three), "nsupported type"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            kernel(*good, wrong)
    for grid, block in ((1, (1,)), ((0,), (1,)), ((1,), (1025,)), ((1,), (32, 33)), ((1, 1, 1, 1), (1,))):
        with pytest.raises((TypeError, ValueError), match=r"grid|block"):
            kernel(grid, block, (a, one, three))
    for code, message in (
        ("__global__ void f(float* a) {}", "named symbol not found"),
        ('extern "C" __global__ void f(uint64_t* a) {}', "does not compile"),
        ('extern "C" __global__ void f(float* a) { __syncthreads(); }', "does not compile"),
    ):
        with pytest.raises((RuntimeError, ValueError), match=message):
            cupy.RawKernel(code, "f")(*good, (a,))
    with pytest.raises(ValueError, match="not known"):
        cupy.RawKernel(code, "f", ("--maxrregcount=3",))(*good, (a,))


@pytest.mark.parametrize(("required", "outcome"), [("1", "failed"), ("0", "skipped")])
def test_without_a_compiler(tmp_path, required, outcome):
    """It is not forgotten where one is required, as the Makefile does where there is one."""
    test = tmp_path / "test_it.py"
    test.write_text("from tests.cuda import on_host\n\ndef test():\n    on_host.compiler()\n", encoding="utf-8")
    environment = {"PATH": "", "FULLYCONNECTED_REQUIRE_NATIVE": required, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"1 {outcome}" in run.stdout, run.stdout + run.stderr


# Many devices


def together(size, work):
    """Return what ``work(rank)`` returns in so many threads, or raise what the first of them raises."""
    results, errors = [None] * size, []

    def one(rank):
        try:
            results[rank] = work(rank)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise min(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError))
    return results


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_sums_over_devices(graph, shared):
    machine = standin.make(devices=3)
    unique = machine.cuda.nccl.get_unique_id()

    def work(rank):
        cupy = machine if shared else standin.make()
        with cupy.cuda.Device(rank if shared else 0):
            nccl, a = cupy.cuda.nccl, cupy.full(4, 10.0**rank, np.float32)
            whole = cupy.full(5, rank, np.int64)
            comm, capture = nccl.NcclCommunicator(3, unique, rank), Capture(cupy)

            def both():
                stream = cupy.cuda.get_current_stream().ptr
                comm.allReduce(a.data.ptr, a.data.ptr, 3, nccl.NCCL_FLOAT32, nccl.NCCL_SUM, stream)
                comm.allReduce(whole.data.ptr, whole.data.ptr, 5, nccl.NCCL_INT64, nccl.NCCL_SUM, stream)

            if graph:
                with capture:
                    both()
                assert (whole.get() == rank).all()
                capture.graph.launch()
            else:
                both()
            comm.destroy()
            return a.get().tolist(), whole.get().tolist()

    for rank, found in enumerate(together(3, work)):
        assert found == ([111, 111, 111, 10.0**rank], [3] * 5)


def test_what_nccl_refuses(cupy):
    nccl = cupy.cuda.nccl
    a, comm = cupy.zeros(3, np.float32), nccl.NcclCommunicator(1, nccl.get_unique_id(), 0)
    good = a.data.ptr, a.data.ptr, 3, nccl.NCCL_FLOAT32, nccl.NCCL_SUM, 0
    comm.allReduce(*good)
    for place, value in ((0, a.data.ptr + 4096), (2, 200), (3, 2), (4, 1), (5, 99)):
        wrong = [*good]
        wrong[place] = value
        with pytest.raises(nccl.NcclError, match="INVALID_ARGUMENT"):
            comm.allReduce(*wrong)
    comm.destroy()
    with pytest.raises(nccl.NcclError, match="destroyed"):
        comm.allReduce(*good)
    with pytest.raises(TypeError, match="128 bytes"):
        nccl.NcclCommunicator(1, tuple(nccl.get_unique_id()), 0)
    with pytest.raises(nccl.NcclError, match="INVALID_ARGUMENT"):
        nccl.NcclCommunicator(1, nccl.get_unique_id(), 1)
    unique = nccl.get_unique_id()
    with pytest.raises(nccl.NcclError, match="used twice"):
        together(2, lambda rank: nccl.NcclCommunicator(2, unique, rank))
    assert not standin.make(nccl=False).cuda.nccl.available


@pytest.mark.parametrize("objects", range(0, 100, 5))
def test_memory_comes_back_while_what_is_free_is_counted(objects):
    """As a collection of garbage makes it, which begins when so many objects were made."""
    cupy, threshold = standin.make(), gc.get_threshold()
    pool = cupy.get_default_memory_pool()
    held = [cupy.empty(512 * n, np.int8) for n in range(1, 101)]
    del held
    gc.collect()
    gc.disable()
    try:
        for n in range(101, 111):
            around = [cupy.empty(512 * n, np.int8)]
            around.append(around)
        del around
        gc.set_threshold(gc.get_count()[0] + objects)
        gc.enable()
        pool.free_bytes()
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
    gc.collect()
    assert pool.free_bytes() == 512 * sum(range(1, 111))
