"""First values: their distribution, their seeds, and functions of one's own."""

import math

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.initializers import INITIALIZERS

FAN_IN, FAN_OUT = 300, 200


def drawn(init, seed=0, **settings):
    net = fc.Network([fc.Dense(FAN_IN, FAN_OUT, init=init, **settings)], dtype=np.float64, seed=seed)
    return net.params[0]


MOMENTS = {  # mean, standard deviation, and largest value (None: unbounded)
    "glorot_uniform": (0, math.sqrt(2 / 500), math.sqrt(6 / 500)),
    "glorot_normal": (0, math.sqrt(2 / 500), None),
    "he_uniform": (0, math.sqrt(2 / 300), math.sqrt(6 / 300)),
    "he_normal": (0, math.sqrt(2 / 300), None),
    "lecun_uniform": (0, math.sqrt(1 / 300), math.sqrt(3 / 300)),
    "lecun_normal": (0, math.sqrt(1 / 300), None),
    "uniform_fan_in": (0, math.sqrt(1 / 900), math.sqrt(1 / 300)),
    "uniform01": (0.5, math.sqrt(1 / 12), 1),
    "zeros": (0, 0, 0),
    "ones": (1, 0, 1),
    "signs": (0, 1, 1),
}


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_distribution(name):
    mean, deviation, largest = MOMENTS[name]
    W = drawn(name).W
    assert W.mean() == pytest.approx(mean, abs=4 * deviation / math.sqrt(W.size))
    assert W.std() == pytest.approx(deviation, rel=0.01)
    if largest is None:  # a normal distribution that is not cut off: some of 60 000 lie beyond 3.5 deviations
        assert 3.5 * deviation < np.abs(W).max() < 6 * deviation
    else:
        assert np.abs(W).max() <= largest
        assert np.abs(W).max() >= 0.99 * largest


def test_uniform_distributions_have_their_shape():
    W = np.sort(drawn("he_uniform").W.ravel())
    even = np.linspace(-math.sqrt(6 / 300), math.sqrt(6 / 300), W.size)
    assert np.abs(W - even).max() < 0.002


def test_a_number_is_a_standard_deviation():
    assert drawn(0.001).W.std() == pytest.approx(0.001, rel=0.02)
    assert drawn(np.float32(0.5)).W.std() == pytest.approx(0.5, rel=0.02)
    assert not drawn(0).W.any()


def test_biases():
    assert not drawn("he_normal").b.any()
    p = drawn("he_normal", bias_init="uniform_fan_in")
    assert np.abs(p.b).max() <= 1 / math.sqrt(FAN_IN)
    assert p.b.std() == pytest.approx(1 / math.sqrt(3 * FAN_IN), rel=0.15)
    assert (drawn("zeros", bias_init="ones").b == 1).all()
    assert drawn(0.1, bias_init=2.0).b.std() == pytest.approx(2, rel=0.15)


def test_a_function_of_ones_own():
    seen = []

    def mine(rng, shape, fan_in, fan_out):
        seen.append((shape, fan_in, fan_out))
        return rng.normal(size=shape) * 0 + 3

    net = fc.Network([fc.Dense(4, 2, init=mine, bias_init=lambda rng, shape, fan_in, fan_out: [1, 2])])
    assert seen == [((4, 2), 4, 2)]
    assert net.theta.tolist() == [3] * 8 + [1, 2]


def test_seeds():
    weights = {seed: drawn("he_normal", seed=seed).W for seed in (0, 1, 2**63, 2**64 - 1)}
    assert np.array_equal(weights[0], drawn("he_normal", seed=0).W)
    assert len({W.tobytes() for W in weights.values()}) == 4
    assert not np.array_equal(drawn("he_normal", seed=None).W, drawn("he_normal", seed=None).W)
    assert np.array_equal(weights[1], drawn("he_normal", seed=np.int64(1)).W)


def test_generators_as_seeds():
    one, two = (drawn("he_normal", seed=np.random.default_rng(5)).W for _ in range(2))
    assert np.array_equal(one, two)
    rng = np.random.default_rng(5)
    assert np.array_equal(drawn("he_normal", seed=rng).W, one)
    assert not np.array_equal(drawn("he_normal", seed=rng).W, one)  # its next draw


def test_layers_of_one_network_differ():
    net = fc.mlp([10, 10, 10], seed=0)
    assert not np.array_equal(net.params[0].W, net.params[1].W)


def test_a_layers_weights_do_not_depend_on_the_layers_after_it():
    short, long = fc.mlp([4, 3, 3], seed=1), fc.mlp([4, 3, 3, 3], seed=1)
    assert np.array_equal(short.params[0].W, long.params[0].W)


def test_no_global_state():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    net = fc.mlp([4, 3, 1])
    fc.fit(net, np.zeros((4, 4)), np.zeros(4), "half_squared_error", epochs=1, progress=False, seed=None)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"init": "he_norml"}, errors.UnknownNameError, "no initializer 'he_norml'; did you mean 'he_normal'"),
        ({"bias_init": "zero"}, errors.UnknownNameError, "did you mean 'zeros'"),
        ({"init": -0.1}, errors.ConfigError, "init=-0.1 is a standard deviation"),
        ({"init": math.nan}, errors.ConfigError, "finite"),
        ({"init": True}, errors.InputTypeError, "init is a name, a standard deviation or a function; got True"),
        ({"init": [0.1]}, errors.InputTypeError, "init is a name"),
        ({"bias_init": None}, errors.InputTypeError, "bias_init is a name"),
        ({"bias": "zeros"}, errors.InputTypeError, "bias is True or False; got 'zeros'.*bias_init"),
    ],
)
def test_settings_that_cannot_be(settings, error, message):
    with pytest.raises(error, match=message):
        fc.Dense(2, 3, **settings)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (lambda rng, shape, fan_in, fan_out: np.zeros(shape[::-1]), r"\(3, 2\).*wanted \(2, 3\)"),
        (lambda rng, shape, fan_in, fan_out: np.full(shape, np.nan), "not finite"),
        (lambda rng, shape, fan_in, fan_out: 0.0, r"\(\).*wanted \(2, 3\)"),
    ],
)
def test_functions_that_give_something_else(init, message):
    with pytest.raises(errors.ConfigError, match=message):
        fc.Network([fc.Dense(2, 3, init=init)])
