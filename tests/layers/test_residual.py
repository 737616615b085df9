"""Residual blocks: y = x + F(x), nested, first, last, and around layers without widths."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors


def test_adds_its_input(rng):
    net = fc.Network([fc.Residual([fc.Dense(4, 6, "tanh"), fc.Dense(6, 4)])], dtype=np.float64, seed=0)
    x = rng.normal(size=(5, 4))
    inner, outer = net.params[0]
    z = x + np.tanh(x @ inner.W + inner.b) @ outer.W + outer.b
    np.testing.assert_allclose(net.predict(x), z, rtol=1e-13)


def test_gradients(rng):
    net = fc.Network([fc.Residual([fc.Dense(3, 3, "tanh")]), fc.Dense(3, 1)], dtype=np.float64, seed=0)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=5)
    (block,), last = net.params
    y = np.tanh(x @ block.W + block.b)
    h = x + y
    dz = (h @ last.W + last.b - t[:, None]) / 5
    dh = dz @ last.W.T
    da = dh * (1 - y**2)
    g = net.gradients(x, t, "half_squared_error")
    np.testing.assert_allclose(g.params[1].W, h.T @ dz, rtol=1e-12)
    np.testing.assert_allclose(g.params[0][0].W, x.T @ da, rtol=1e-12)
    np.testing.assert_allclose(g.params[0][0].b, da.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(g.x, dh + da @ block.W.T, rtol=1e-12)


def test_a_block_of_zero_weights_passes_everything(rng):
    block = fc.Residual([fc.Dense(4, 4, "relu"), fc.Dense(4, 4)])
    net = fc.Network([block, block], dtype=np.float64)
    net.theta = np.zeros(net.n_params)
    x = rng.normal(size=(3, 4))
    assert np.array_equal(net.predict(x), x)


def test_nested_blocks_add_up(rng):
    x = rng.normal(size=(3, 4))
    net = fc.Network([fc.Residual([fc.Residual([fc.Activation("identity", n_in=4)])])], dtype=np.float64)
    np.testing.assert_allclose(net.predict(x), 3 * x)
    np.testing.assert_allclose(net.gradients(x, np.full((3, 4), -1e9), fc.AbsoluteError()).x, 1)


def test_params_of_nested_blocks():
    inner = fc.Residual([fc.Dense(4, 4)])
    net = fc.Network([fc.Dense(2, 4), fc.Residual([fc.LayerNorm(), inner, fc.Activation("relu")]), fc.Dense(4, 1)])
    assert len(net.params) == 3
    norm, (dense,), activation = net.params[1]
    assert (norm.gamma.shape, dense.W.shape, len(activation)) == ((4,), (4, 4), 0)
    dense.W = 7
    assert (net.theta == 7).sum() == 16


def test_takes_its_width_from_the_layer_before():
    net = fc.Network([fc.Dense(3, 5), fc.Residual([fc.LayerNorm(), fc.Dropout(0.1), fc.Dense(5, 5)]), fc.Dense(5, 1)])
    assert net.n_params == 20 + 10 + 30 + 6
    assert net.layers[1].n_in == 5
    assert net.layers[1].layers[0].n_in == 5
    net = fc.Network([fc.Dense(3, 5), fc.Residual([fc.LayerNorm(), fc.Activation("relu")]), fc.Dense(5, 1)])
    assert net.layers[1].n_out == 5


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_trains_wherever_it_stands(place, rng):
    """Against the same block written as a wide chain: training must see both ways through it."""
    block = fc.Residual([fc.Dense(3, 3, "tanh")])
    layers = {
        "first": [block, fc.Dense(3, 3)],
        "middle": [fc.Dense(3, 3), block, fc.Dense(3, 3)],
        "last": [fc.Dense(3, 3), block],
    }[place]
    net = fc.Network(layers, dtype=np.float64, seed=0)
    x = rng.normal(size=(40, 3))
    history = fc.fit(net, x, np.sin(x), "half_squared_error", fc.Adam(0.01), 60, 8, progress=False)
    assert history.loss[-1] < 0.2 * history.loss[0]
    one = fc.Network(layers, dtype=np.float64, seed=0)
    step = one.gradients(x, np.sin(x), "half_squared_error").theta
    two = fc.Network(layers, dtype=np.float64, seed=0)
    fc.fit(two, x, np.sin(x), "half_squared_error", fc.SGD(1.0), 1, 40, progress=False)
    np.testing.assert_allclose(one.theta - two.theta, step, atol=1e-14)


def test_names_of_its_parts():
    net = fc.Network([fc.Dense(2, 2), fc.Residual([fc.Dense(2, 2)]), fc.Residual([fc.Dense(2, 2)])])
    text = net.summary()
    for name in ("dense_1", "residual_1.dense_1", "residual_2.dense_1"):
        assert name in text


def test_deep_stack_without_parameters_before_it(rng):
    """Where nothing in a block has parameters, training may leave it out of backward, and must not trip over it."""
    block = fc.Residual([fc.Activation("tanh", n_in=3)])
    net = fc.Network([block, fc.Residual([fc.Activation("relu"), fc.Dense(3, 3)]), fc.Dense(3, 1)], seed=0)
    x = rng.normal(size=(20, 3))
    history = fc.fit(net, x, x.sum(axis=1), "half_squared_error", fc.Adam(0.02), 30, 4, progress=False)
    assert history.loss[-1] < history.loss[0] / 5


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: fc.Residual([fc.Dense(4, 3)]),
            errors.ShapeError,
            "needs 4 outputs, but its last layer gives 3",
        ),
        (lambda: fc.Residual([]), errors.ConfigError, "one layer or more"),
        (lambda: fc.Residual(fc.Dense(4, 4)), errors.ConfigError, "a list of one layer or more"),
        (lambda: fc.Residual([fc.Dense(4, 3), fc.Dense(2, 4)]), errors.ShapeError, "takes 2.*gives 3"),
        (lambda: fc.Residual([fc.Dense(4, 4)], n_in=5), errors.ShapeError, "takes 4 columns.*input of the block"),
        (lambda: fc.Residual(["relu"], n_in=4), errors.InputTypeError, "layer 0 is 'relu'"),
        (lambda: fc.Network([fc.Residual([fc.LayerNorm()])]), errors.ShapeError, "no width"),
        (
            lambda: fc.Network([fc.Dense(3, 5), fc.Residual([fc.Dense(4, 4)])]),
            errors.ShapeError,
            "layer 1.*takes 4 columns.*gives 5.*layer 0",
        ),
    ],
)
def test_blocks_that_do_not_fit(build, error, message):
    with pytest.raises(error, match=message):
        build()
