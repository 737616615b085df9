"""The kernels of the CUDA engine, run from their own source: random numbers, and rules as one kernel each."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.core.randomness import Uniforms
from fullyconnected.engine.cuda import fused, products, trainer
from fullyconnected.engine.cuda.card import card_of
from fullyconnected.engine.cuda.masks import CardUniforms
from fullyconnected.engine.cuda.numbers import Namespace, Number, Numbers
from fullyconnected.engine.cuda.products import Cublas, array_of
from fullyconnected.engine.updates import Update
from fullyconnected.errors import ConfigError, MissingPackageError
from tests.native.test_equality import OPTIMIZERS

LIBRARY = products.library  # before a stand-in takes its place
FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 5)).astype(np.float32)
T = X[:, 0]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 33), (0, 4)])
@pytest.mark.parametrize(("row", "copies"), [(0, 1), (1, 1), (7, 3), (1000, 2)])
def test_random_numbers_are_those_of_numpy(cupy, shape, row, copies):
    for seed in (0, 5, 2**64 - 1):
        host, there = Uniforms(4, copies), CardUniforms(cupy, None, 4, copies)
        wanted, found = np.empty(shape, np.float32), cupy.empty(shape, np.float32)
        for uniforms, out in ((host, wanted), (there, found)):
            uniforms.seed, uniforms.step, uniforms.row = seed, 17, row
            uniforms.fill(out)
        np.testing.assert_array_equal(found.get(), wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", OPTIMIZERS, ids=repr)
def test_a_rule_as_one_kernel_gives_the_bits_of_its_single_calls(cupy, monkeypatch, rule, dtype):
    kernels, ways = [], []
    compiled = fused.kernel
    monkeypatch.setattr(fused, "kernel", lambda *given: (kernels.append(1), compiled(*given))[1])
    for fuses in (True, False):
        net = fc.mlp([5, 6, 6, 1], "tanh", dtype=dtype, seed=0)
        if not fuses:
            monkeypatch.setattr(trainer, "run_fused", lambda *given, **numbers: False)
        fc.fit(net, X, T, "half_squared_error", rule, engine="cuda", epochs=3, batch_size=10, l2=0.1, progress=False,
               average=fc.EMA(0.9), factors=fc.Factors(lr={"dense_2": 0.5}))  # fmt: skip
        ways.append(net.theta)
    assert kernels
    np.testing.assert_array_equal(*ways)


def test_a_step_of_adam_is_one_kernel(cupy, monkeypatch):
    launched = []
    call = cupy.RawKernel.__call__
    monkeypatch.setattr(cupy.RawKernel, "__call__", lambda self, *given: (launched.append(1), call(self, *given))[1])
    net = fc.mlp([5, 300, 200, 1], seed=0)  # more entries than NumPy's engine updates at a time
    fc.fit(net, X, T, "half_squared_error", fc.Adam(), engine="cuda", epochs=1, batch_size=50, progress=False)
    assert len(launched) == 1


class Rule:
    """What a rule does that cannot be written down as one kernel."""

    def __init__(self, work):
        self.work = work

    def __call__(self, theta, g, s, c, *, lr, step, decays):
        self.work(c.xp, theta, g, lr)


@pytest.mark.parametrize(
    "work",
    [
        lambda xp, theta, g, lr: xp.subtract(theta, g.sum(), out=theta),
        lambda xp, theta, g, lr: xp.multiply(theta, xp.sign(g), out=theta),
        lambda xp, theta, g, lr: theta[:3],
        lambda xp, theta, g, lr: xp.add(theta, np.ones(3), out=theta),
        lambda xp, theta, g, lr: xp.add(theta, g, out=theta, dtype=np.float64),
        lambda xp, theta, g, lr: theta.__setitem__(slice(1), 0),
    ],
)
def test_what_is_not_entry_by_entry_is_left_to_single_calls(cupy, work):
    theta, g = cupy.full((4,), 1.0, np.float32), cupy.full((4,), 2.0, np.float32)
    update = Update(Rule(work), theta, g, SimpleNamespace(), SimpleNamespace(xp=cupy), decays=False)
    assert not fused.run_fused(cupy, Numbers(cupy), update, lr=0.5, step=1)
    assert theta.get().tolist() == [1.0] * 4


def test_numbers_that_come_later_are_computed_for_all_steps_at_once():
    lr, step = Number("lr"), Number("step")
    values = {"lr": np.array([0.1, 0.2]), "step": np.array([1.0, 2.0])}
    found = (2 * lr - lr * 0.5 + 1 - (-lr)) / (1 - 0.9**step) ** 0.5 * step**2
    for i, (a, n) in enumerate([(0.1, 1), (0.2, 2)]):
        wanted = (2 * a - a * 0.5 + 1 + a) / (1 - 0.9**n) ** 0.5 * n**2
        assert found.of(values)[i] == pytest.approx(wanted, rel=1e-15)
    assert (1 / lr).of(values).tolist() == [10.0, 5.0]
    for wrong in (lambda: lr > 0, lambda: float(lr), lambda: bool(step), lambda: int(step), lambda: max(step, 3),
                  lambda: step == 1, lambda: step != 1, lambda: step in (1, 2)):  # fmt: skip
        with pytest.raises(ConfigError, match="may not compare"):
            wrong()
    with pytest.raises(TypeError):
        lr + np.ones(3)


def test_the_same_number_has_one_place_and_the_value_of_each_step(cupy):
    numbers = Numbers(cupy)
    xp = Namespace(cupy, cupy.ndarray, numbers)
    base = {name: np.zeros(3) for name in Numbers.INTEGERS}
    numbers.begin({**base, "lr": np.array([1.0, 2.0, 3.0])})
    out, seen = cupy.zeros(2, np.float32), []
    for i in range(3):
        numbers.current = i
        numbers.next()
        xp.multiply(cupy.full((2,), 1.0, np.float32), Number("lr") * 2, out=out)
        xp.add(out, 2 * Number("lr") * 0, out=out)
        seen.append(out.get()[0])
    assert seen == [2.0, 4.0, 6.0]
    assert len(numbers.made) == 2
    np.testing.assert_array_equal(numbers.slot(Number("lr") * 2, np.dtype(np.float32)).get(), np.float32(6))


@pytest.fixture
def card(cupy):
    card = card_of(None)
    with card.at_work():
        yield card


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("precision", [None, "tf32", "bfloat16"])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_products_of_matrices_that_lie_in_any_order(card, turned, precision, dtype):
    cupy, kind = card.cupy, array_of(card.cupy, precision)

    def there(a, swap):
        a = np.moveaxis(a, -1, -2) if swap else a
        array = cupy.asarray(np.ascontiguousarray(a.astype(dtype))).view(kind)
        return array.transpose(*range(array.ndim - 2), -1, -2) if swap else array

    # whole numbers so small are exact in any precision
    for stack, (m, k, n) in ((), (7, 5, 3)), ((), (1, 5, 1)), ((), (7, 1, 3)), ((4,), (7, 5, 3)), ((1,), (2, 5, 3)):
        left, right = (*stack, m, k), (*stack, k, n)
        a, b = RNG.integers(-8, 8, left), RNG.integers(-8, 8, right)
        out = cupy.empty((a @ b).shape, dtype)
        one, other = there(a, turned[0]), there(b, turned[1])
        assert (one.dot if a.ndim == 2 else one.matmul)(other, out=out) is out
        np.testing.assert_array_equal(out.get(), a @ b)
    wide, other = there(np.ones((7, 9)), turned[0])[:, 2:7], there(np.arange(15).reshape(5, 3), turned[1])
    np.testing.assert_array_equal(wide.dot(other).get(), np.ones((7, 5)) @ np.arange(15).reshape(5, 3))
    ones, out = there(np.ones((1, 7)), False).reshape(-1), cupy.empty(5, dtype)
    np.testing.assert_array_equal(ones.dot(wide, out=out).get(), [7] * 5)
    np.testing.assert_array_equal(wide.dot(out.view(kind)).get(), [35] * 7)
    nothing = there(np.ones((5, 0)), False).dot(there(np.ones((0, 3)), False))
    np.testing.assert_array_equal(nothing.get(), np.zeros((5, 3)))
    for wrong in (lambda: wide.dot(wide), lambda: wide.dot(other, out=cupy.empty((3, 7), dtype))):
        with pytest.raises(ValueError, match="does not fit"):
            wrong()
    with pytest.raises(TypeError, match="two arrays of float32 or of float64"):
        wide.dot(cupy.zeros((5, 3), np.int64))


def test_only_products_of_two_matrices_of_float32_are_rounded(card):
    for precision, bits in (("tf32", 10), ("bfloat16", 7)):
        kind = array_of(card.cupy, precision)
        for dtype, far in ((np.float32, 2.0**-bits), (np.float64, 2.0**-40)):
            a = RNG.uniform(1, 2, (9, 9)).astype(dtype)
            there = card.cupy.asarray(a).view(kind)
            apart = np.abs(there.dot(there).get() - a.astype(float) @ a) / (a @ a)
            assert apart.max() < far
            assert (apart.max() > far / 64) == (dtype == np.float32)
            vector = np.abs(there[0].dot(there).get() - a[0] @ a) / (a[0] @ a)
            assert vector.max() < 2.0**-20


def test_a_library_that_is_not_there_or_fails_is_named(card, monkeypatch):
    failing = SimpleNamespace(**{name: FUNCTION(lambda *given: 1) for name in products.FUNCTIONS})
    monkeypatch.setattr(products, "library", lambda cupy: failing)
    with pytest.raises(RuntimeError, match="cublasCreate_v2 of cuBLAS fails with status 1"):
        Cublas(card.cupy, card.cublas.stream, 80)
    monkeypatch.undo()
    monkeypatch.setattr(products.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    with pytest.raises(MissingPackageError, match=r"libcublas\.so\.12.*cupy-cuda12x\[ctk\]"):
        LIBRARY(card.cupy)
