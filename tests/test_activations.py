"""The activation functions against their formulas, written independently and in more digits."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.activations import ACTIVATIONS, ELU, LeakyReLU

LONG = np.longdouble  # 64 bits of mantissa on x86; where it is float64, these tests still hold to their tolerances

# A Dense layer of zero weights passes its bias to the activation: any value, finite or not, as a network sees it.


def applied(f, z, dtype=np.float64):
    """f(z) and f'(z), entry by entry, from a network."""
    z = np.asarray(z, dtype)
    net = fc.Network([fc.Dense(1, len(z), f)], dtype=dtype)
    net.params[0].W, net.params[0].b = 0, z
    y = net.predict([[0.0]])[0]
    below_everything = np.full((1, len(z)), -1e30)  # there the loss is sum(y)
    dz = net.gradients([[0.0]], below_everything, fc.AbsoluteError()).params[0].b
    assert y.dtype == dz.dtype == dtype
    return y, dz


def sigmoid(z):
    return np.where(z < 0, np.exp(-np.abs(z)), 1) / (1 + np.exp(-np.abs(z)))


def tail(a):
    """The normal distribution function at -a, for a >= 3: Laplace's continued fraction."""
    t = a
    for n in range(200, 0, -1):
        t = a + n / t
    return np.exp(-a * a / 2) / np.sqrt(2 * LONG(np.pi)) / t


def normal_cdf(z):
    series = term = np.where(np.abs(z) < 3, z, 0).astype(z.dtype)
    for n in range(1, 80):
        term = term * z * z / (2 * n + 1)
        series = series + term  # z + z^3/3 + z^5/15 + ...
    near = LONG(0.5) + series * np.exp(-z * z / 2) / np.sqrt(2 * LONG(np.pi))
    far = tail(np.maximum(np.abs(z), 3))
    return np.where(np.abs(z) < 3, near, np.where(z < 0, far, 1 - far))


def tanh_softplus(z):
    s = np.exp(-np.abs(z))  # tanh(log(u)) = (u^2 - 1) / (u^2 + 1) with u = 1 + e^z
    return np.where(z < 0, s * (s + 2) / (s * (s + 2) + 2), (1 + 2 * s) / (1 + 2 * s + 2 * s * s))


SELU = {"scale": 1.0507009873554804934193349852946, "alpha": 1.6732632423543772848170429916717}
FORMULAS = {  # f and f', for finite z
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.where(z > 0, z, 0), lambda z: np.where(z > 0, 1, 0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, LONG(0.01) * z), lambda z: np.where(z > 0, 1, LONG(0.01))),
    "elu": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    ),
    "selu": (
        lambda z: SELU["scale"] * np.where(z > 0, z, SELU["alpha"] * np.expm1(np.minimum(z, 0))),
        lambda z: SELU["scale"] * np.where(z > 0, 1, SELU["alpha"] * np.exp(np.minimum(z, 0))),
    ),
    "gelu": (
        lambda z: z * normal_cdf(z),
        lambda z: normal_cdf(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * LONG(np.pi)),
    ),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
    "mish": (
        lambda z: z * tanh_softplus(z),
        lambda z: tanh_softplus(z) + z * sigmoid(z) * (1 - tanh_softplus(z)) * (1 + tanh_softplus(z)),
    ),
    "softplus": (lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))), sigmoid),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "exp": (np.exp, np.exp),
}
H = np.concatenate([np.linspace(-40, 40, 4001), np.linspace(-3, 3, 2000), [0.0, -1e3, 1e3, 1e-30, -1e-30]])


def test_every_activation_is_tested():
    assert set(ACTIVATIONS.classes) == {*FORMULAS, "softmax"}


@pytest.mark.parametrize("name", FORMULAS)
def test_float64(name):
    z = H[np.abs(H) <= 40] if name == "exp" else H
    f, df = FORMULAS[name]
    y, dz = applied(name, z)
    exact = z.astype(LONG)
    np.testing.assert_allclose(y, f(exact).astype(float), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(dz, df(exact).astype(float), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", FORMULAS)
def test_float32(name):
    z = (H[np.abs(H) <= 40] if name == "exp" else H).astype(np.float32)
    f, df = FORMULAS[name]
    y, dz = applied(name, z, np.float32)
    exact = z.astype(LONG)
    np.testing.assert_allclose(dz, df(exact).astype(float), rtol=4e-6, atol=4e-6)
    # what is small is right to a few rounding errors, too; the square in gelu's exp(-z^2/2) brings z^2/2 of them
    value = f(exact).astype(float)
    roundings = 4 + (z.astype(float) ** 2 / 2 if name == "gelu" else 0)
    normal = np.abs(value) > 1e3 * np.finfo(np.float32).tiny
    error = np.abs(y - value) / np.maximum(np.abs(value), 1e-37) / np.finfo(np.float32).eps
    assert (error <= roundings)[normal].all(), (z[normal][np.argmax((error / roundings)[normal])], error[normal].max())


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
    y, dz = applied(name, [0.0, -0.0], dtype)
    np.testing.assert_allclose(y, value, rtol=1e-6, atol=0)
    np.testing.assert_allclose(dz, slope, rtol=1e-6, atol=0)


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
    y, dz = applied(name, [-np.inf, -1000, 1000, np.inf, np.nan], dtype)
    np.testing.assert_allclose(y[:4], ENDS[name], rtol=1e-6, atol=0)
    assert np.isnan(y[4])
    slopes = {"identity": (1, 1), "leaky_relu": (0.01, 1), "selu": (0, SELU["scale"]), "exp": (0, np.inf)}
    slopes |= dict.fromkeys(("sigmoid", "tanh"), (0, 0))
    np.testing.assert_allclose(dz[1:3], slopes.get(name, (0, 1)), rtol=1e-6, atol=0)


def test_gelu_against_scipy():
    special = pytest.importorskip("scipy.special", reason="SciPy's normal distribution function")
    z = np.linspace(-35, 35, 7001)
    y, dz = applied("gelu", z)
    np.testing.assert_allclose(y, z * special.ndtr(z), rtol=1e-11, atol=0)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(dz, special.ndtr(z) + z * density, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax(dtype, rng):
    z = (rng.normal(size=(50, 7)) * np.logspace(-1, 3, 50)[:, None]).astype(dtype)
    net = fc.Network([fc.Activation("softmax", n_in=7)], dtype=dtype)
    y = net.predict(z)
    exact = z.astype(LONG)
    p = np.exp(exact - exact.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    eps = np.finfo(dtype).eps
    # z - max(z) rounds once: a relative error of |z| eps in p
    np.testing.assert_allclose(y, p.astype(float), rtol=float(np.ptp(z)) * eps, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=10 * eps)
    t = rng.normal(size=y.shape)
    g = net.gradients(z, t, fc.HalfSquaredError())
    dy = (y - t) / len(z)
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
    z = np.linspace(-2, 2, 9)
    y, dz = applied((np.sin, np.cos), z)
    np.testing.assert_allclose(y, np.sin(z), rtol=1e-15)
    np.testing.assert_allclose(dz, np.cos(z), rtol=1e-15)


def test_pair_with_a_constant_derivative():
    y, dz = applied((lambda z: 3 * z, lambda z: 3.0), [1.0, 2.0])
    assert y.tolist() == [3, 6]
    assert dz.tolist() == [3, 3]


def test_pair_that_changes_the_shape_is_named():
    net = fc.Network([fc.Dense(2, 3, (np.sum, np.cos)), fc.Dense(3, 1)])
    assert net.predict(np.zeros((1, 2))).shape == (1, 1)  # a single number for all entries is a constant function
    net = fc.Network([fc.Dense(2, 3, (lambda z: z[:, :1], np.cos))])
    with pytest.raises(fc.errors.ShapeError, match=r"\(4, 3\) into \(4, 1\)"):
        net.predict(np.zeros((4, 2)))


def test_settings():
    y, dz = applied(LeakyReLU(0.25), [-4.0, 4.0])
    assert (y.tolist(), dz.tolist()) == ([-1, 4], [0.25, 1])
    y, dz = applied(ELU(2.0), [-np.log(2), 4.0])
    np.testing.assert_allclose(y, [-1, 4])
    np.testing.assert_allclose(dz, [1, 1])


def test_equality_and_names():
    """Two of a kind are equal, so that networks can be compared by their layers."""
    assert fc.Dense(2, 3, "relu") == fc.Dense(2, 3, "relu") != fc.Dense(2, 3, "gelu")
    assert fc.Dense(2, 3, LeakyReLU(0.1)) != fc.Dense(2, 3, "leaky_relu")
    assert repr(fc.Dense(2, 3, "leaky_relu").activation) == "LeakyReLU(slope=0.01)"


# softplus is like relu for large numbers alone: its outputs are far from 0 for inputs near 0
@pytest.mark.parametrize("name", sorted(FORMULAS.keys() - {"softplus"}))
def test_weights_begin_larger_where_an_activation_halves_the_variance(name):
    f = ACTIVATIONS.build(name)
    low, high = applied(f, [-50.0, 50.0])[0]
    like_relu = abs(low) < 2 and 45 < high < 55
    assert fc.Dense(3, 3, f).init == f.suited_init
    assert (f.suited_init != "glorot_uniform") == like_relu


def test_an_activation_of_ones_own_says_what_weights_suit_it():
    class Mine(fc.ActivationFunction):
        name = "mine"
        suited_init = "lecun_normal"

    class Unknown(Mine):
        suited_init = "large"

    assert fc.Dense(3, 3, Mine()).init == "lecun_normal"
    assert fc.Dense(3, 3, Mine(), init="zeros").init == "zeros"
    with pytest.raises(errors.UnknownNameError, match="initializer 'large'"):
        fc.Dense(3, 3, Unknown())
