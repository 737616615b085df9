"""The activation functions against their formulas, written independently and in more digits."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS, ELU, LeakyReLU

LONG = np.longdouble  # 64 bits of mantissa on x86; where it is float64, these tests still hold to their tolerances

# A Dense layer of zero weights passes its bias to the activation: any value, finite or not, as a network sees it.


def applied(f, h, dtype=np.float64):
    """f(h) and f'(h), entry by entry, from a network."""
    h = np.asarray(h, dtype)
    net = fc.Network([fc.Dense(1, len(h), f)], dtype=dtype)
    net.params[0].W, net.params[0].b = 0, h
    y = net.predict([[0.0]])[0]
    below_everything = np.full((1, len(h)), -1e30)  # there the loss is sum(y)
    dh = net.gradients([[0.0]], below_everything, fc.AbsoluteError()).params[0].b
    assert y.dtype == dh.dtype == dtype
    return y, dh


def sigmoid(h):
    return np.where(h < 0, np.exp(-np.abs(h)), 1) / (1 + np.exp(-np.abs(h)))


def tail(a):
    """The normal distribution function at -a, for a >= 3: Laplace's continued fraction."""
    t = a
    for n in range(200, 0, -1):
        t = a + n / t
    return np.exp(-a * a / 2) / np.sqrt(2 * LONG(np.pi)) / t


def normal_cdf(h):
    series = term = np.where(np.abs(h) < 3, h, 0).astype(h.dtype)
    for n in range(1, 80):
        term = term * h * h / (2 * n + 1)
        series = series + term  # h + h^3/3 + h^5/15 + ...
    near = LONG(0.5) + series * np.exp(-h * h / 2) / np.sqrt(2 * LONG(np.pi))
    far = tail(np.maximum(np.abs(h), 3))
    return np.where(np.abs(h) < 3, near, np.where(h < 0, far, 1 - far))


def tanh_softplus(h):
    s = np.exp(-np.abs(h))  # tanh(log(u)) = (u^2 - 1) / (u^2 + 1) with u = 1 + e^h
    return np.where(h < 0, s * (s + 2) / (s * (s + 2) + 2), (1 + 2 * s) / (1 + 2 * s + 2 * s * s))


SELU = {"scale": 1.0507009873554804934193349852946, "alpha": 1.6732632423543772848170429916717}
FORMULAS = {  # f and f', for finite h
    "identity": (lambda h: h, lambda h: np.ones_like(h)),
    "relu": (lambda h: np.where(h > 0, h, 0), lambda h: np.where(h > 0, 1, 0)),
    "leaky_relu": (lambda h: np.where(h > 0, h, LONG(0.01) * h), lambda h: np.where(h > 0, 1, LONG(0.01))),
    "elu": (
        lambda h: np.where(h > 0, h, np.expm1(np.minimum(h, 0))),
        lambda h: np.where(h > 0, 1, np.exp(np.minimum(h, 0))),
    ),
    "selu": (
        lambda h: SELU["scale"] * np.where(h > 0, h, SELU["alpha"] * np.expm1(np.minimum(h, 0))),
        lambda h: SELU["scale"] * np.where(h > 0, 1, SELU["alpha"] * np.exp(np.minimum(h, 0))),
    ),
    "gelu": (
        lambda h: h * normal_cdf(h),
        lambda h: normal_cdf(h) + h * np.exp(-h * h / 2) / np.sqrt(2 * LONG(np.pi)),
    ),
    "silu": (lambda h: h * sigmoid(h), lambda h: sigmoid(h) * (1 + h * sigmoid(-h))),
    "mish": (
        lambda h: h * tanh_softplus(h),
        lambda h: tanh_softplus(h) + h * sigmoid(h) * (1 - tanh_softplus(h)) * (1 + tanh_softplus(h)),
    ),
    "softplus": (lambda h: np.maximum(h, 0) + np.log1p(np.exp(-np.abs(h))), sigmoid),
    "sigmoid": (sigmoid, lambda h: sigmoid(h) * sigmoid(-h)),
    "tanh": (np.tanh, lambda h: 1 / np.cosh(h) ** 2),
    "exp": (np.exp, np.exp),
}
H = np.concatenate([np.linspace(-40, 40, 4001), np.linspace(-3, 3, 2000), [0.0, -1e3, 1e3, 1e-30, -1e-30]])


def test_every_activation_is_tested():
    assert set(ACTIVATIONS.classes) == {*FORMULAS, "softmax"}


@pytest.mark.parametrize("name", FORMULAS)
def test_float64(name):
    h = H[np.abs(H) <= 40] if name == "exp" else H
    f, df = FORMULAS[name]
    y, dh = applied(name, h)
    exact = h.astype(LONG)
    np.testing.assert_allclose(y, f(exact).astype(float), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(dh, df(exact).astype(float), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", FORMULAS)
def test_float32(name):
    h = (H[np.abs(H) <= 40] if name == "exp" else H).astype(np.float32)
    f, df = FORMULAS[name]
    y, dh = applied(name, h, np.float32)
    exact = h.astype(LONG)
    np.testing.assert_allclose(dh, df(exact).astype(float), rtol=4e-6, atol=4e-6)
    # what is small is right to a few rounding errors, too; the square in gelu's exp(-h^2/2) brings h^2/2 of them
    value = f(exact).astype(float)
    roundings = 4 + (h.astype(float) ** 2 / 2 if name == "gelu" else 0)
    normal = np.abs(value) > 1e3 * np.finfo(np.float32).tiny
    error = np.abs(y - value) / np.maximum(np.abs(value), 1e-37) / np.finfo(np.float32).eps
    assert (error <= roundings)[normal].all(), (h[normal][np.argmax((error / roundings)[normal])], error[normal].max())


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [
        ("identity", 0, 1),
        ("relu", 0, 0),
        ("leaky_relu", 0, 0.01),
        (LeakyReLU(0.3), 0, 0.3),
        ("elu", 0, 1),
        (ELU(0.4), 0, 0.4),
        ("selu", 0, SELU["scale"] * SELU["alpha"]),
        ("gelu", 0, 0.5),
        ("silu", 0, 0.5),
        ("mish", 0, 0.6),
        ("softplus", np.log(2), 0.5),
        ("sigmoid", 0.5, 0.25),
        ("tanh", 0, 1),
        ("exp", 1, 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_zero(name, value, slope, dtype):
    """At a kink the derivative is the one from the left; minus zero is zero."""
    y, dh = applied(name, [0.0, -0.0], dtype)
    np.testing.assert_allclose(y, value, rtol=1e-6, atol=0)
    np.testing.assert_allclose(dh, slope, rtol=1e-6, atol=0)


NAN = np.nan
ENDS = {  # f(-inf), f(-1000), f(1000), f(inf)
    "identity": (-np.inf, -1000, 1000, np.inf),
    "relu": (0, 0, 1000, np.inf),
    "leaky_relu": (-np.inf, -10, 1000, np.inf),
    "elu": (-1, -1, 1000, np.inf),
    "selu": (-SELU["scale"] * SELU["alpha"], -SELU["scale"] * SELU["alpha"], 1000 * SELU["scale"], np.inf),
    "gelu": (NAN, 0, 1000, np.inf),  # minus infinity times zero, as in PyTorch
    "silu": (NAN, 0, 1000, np.inf),
    "mish": (NAN, 0, 1000, np.inf),
    "softplus": (0, 0, 1000, np.inf),
    "sigmoid": (0, 0, 1, 1),
    "tanh": (-1, -1, 1, 1),
    "exp": (0, 0, np.inf, np.inf),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_and_nan(name, dtype):
    y, dh = applied(name, [-np.inf, -1000, 1000, np.inf, np.nan], dtype)
    np.testing.assert_allclose(y[:4], ENDS[name], rtol=1e-6, atol=0)
    assert np.isnan(y[4])
    slopes = {"identity": (1, 1), "leaky_relu": (0.01, 1), "selu": (0, SELU["scale"]), "exp": (0, np.inf)}
    slopes |= dict.fromkeys(("sigmoid", "tanh"), (0, 0))
    np.testing.assert_allclose(dh[1:3], slopes.get(name, (0, 1)), rtol=1e-6, atol=0)


def test_gelu_against_scipy():
    special = pytest.importorskip("scipy.special", reason="SciPy's normal distribution function")
    h = np.linspace(-35, 35, 7001)
    y, dh = applied("gelu", h)
    np.testing.assert_allclose(y, h * special.ndtr(h), rtol=1e-11, atol=0)
    density = np.exp(-h * h / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(dh, special.ndtr(h) + h * density, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax(dtype, rng):
    h = (rng.normal(size=(50, 7)) * np.logspace(-1, 3, 50)[:, None]).astype(dtype)
    net = fc.Network([fc.Activation("softmax", n_in=7)], dtype=dtype)
    y = net.predict(h)
    exact = h.astype(LONG)
    p = np.exp(exact - exact.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    eps = np.finfo(dtype).eps
    # h - max(h) rounds once: a relative error of |h| eps in p
    np.testing.assert_allclose(y, p.astype(float), rtol=float(np.ptp(h)) * eps, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=10 * eps)
    t = rng.normal(size=y.shape)
    g = net.gradients(h, t, fc.HalfSquaredError())
    dy = (y - t) / len(h)
    jacobians = np.einsum("ij,jk->ijk", y, np.eye(7)) - np.einsum("ij,ik->ijk", y, y)
    np.testing.assert_allclose(g.x, np.einsum("ij,ijk->ik", dy, jacobians), atol=10 * eps)


def test_softmax_of_huge_and_equal_entries():
    net = fc.Network([fc.Activation("softmax", n_in=3)])
    y = net.predict([[1e30, 1e30, -1e30], [-1e3, -1e3, -1e3]])
    np.testing.assert_allclose(y, [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS.classes))
def test_as_a_layer_of_its_own(name, rng):
    """Activation("f") after Dense gives what Dense(..., "f") gives, forward and backward, but for the last digits."""
    x, t = rng.normal(size=(6, 4)), rng.normal(size=(6, 3))
    inside = fc.Network([fc.Dense(4, 5, name), fc.Dense(5, 3)], dtype=np.float64, seed=1)
    after = fc.Network([fc.Dense(4, 5), fc.Activation(name), fc.Dense(5, 3)], dtype=np.float64, seed=1)
    after.theta = inside.theta
    a, b = (net.gradients(x, t, "half_squared_error") for net in (inside, after))
    for one, other in ((inside.predict(x), after.predict(x)), (a.theta, b.theta), (a.x, b.x)):
        # sums of six terms or fewer, one within the other, of numbers that are not larger than the largest of all
        np.testing.assert_allclose(one, other, rtol=0, atol=36 * np.finfo(np.float64).eps * max(1, np.abs(one).max()))


def test_pair_of_functions():
    """An activation as a pair: a function and its derivative, both of the pre-activations."""
    h = np.linspace(-2, 2, 9)
    y, dh = applied((np.sin, np.cos), h)
    np.testing.assert_allclose(y, np.sin(h), rtol=1e-15)
    np.testing.assert_allclose(dh, np.cos(h), rtol=1e-15)


def test_pair_with_a_constant_derivative():
    y, dh = applied((lambda h: 3 * h, lambda h: 3.0), [1.0, 2.0])
    assert y.tolist() == [3, 6]
    assert dh.tolist() == [3, 3]


def test_pair_that_changes_the_shape_is_named():
    net = fc.Network([fc.Dense(2, 3, (np.sum, np.cos)), fc.Dense(3, 1)])
    assert net.predict(np.zeros((1, 2))).shape == (1, 1)  # a single number for all entries is a constant function
    net = fc.Network([fc.Dense(2, 3, (lambda h: h[:, :1], np.cos))])
    with pytest.raises(fc.errors.ShapeError, match=r"\(4, 3\) into \(4, 1\)"):
        net.predict(np.zeros((4, 2)))


def test_settings():
    y, dh = applied(LeakyReLU(0.25), [-4.0, 4.0])
    assert (y.tolist(), dh.tolist()) == ([-1, 4], [0.25, 1])
    y, dh = applied(ELU(2.0), [-np.log(2), 4.0])
    np.testing.assert_allclose(y, [-1, 4])
    np.testing.assert_allclose(dh, [1, 1])


def test_equality_and_names():
    """Two of a kind are equal, so that networks can be compared by their layers."""
    assert fc.Dense(2, 3, "relu") == fc.Dense(2, 3, "relu") != fc.Dense(2, 3, "gelu")
    assert fc.Dense(2, 3, LeakyReLU(0.1)) != fc.Dense(2, 3, "leaky_relu")
    assert repr(fc.Dense(2, 3, "leaky_relu").activation) == "LeakyReLU(slope=0.01)"
