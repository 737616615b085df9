"""The fully connected layer against its formulas, and the numbers of the worked examples."""

import numpy as np
import pytest

import fullyconnected as fc


def one_layer(W, b, activation=None, dtype=np.float64):
    W = np.asarray(W)
    net = fc.Network([fc.Dense(*W.shape, activation)], dtype=dtype)
    net.params[0].W, net.params[0].b = W, b
    return net


def test_seed_000_by_hand():
    """The 2-2 worked example of docs/derivations.md."""
    net = one_layer([[0.15, 0.20], [0.25, 0.30]], [0.35, 0.45])
    np.testing.assert_allclose(net.predict([[0.1, 0.5]]), [[0.49, 0.62]], rtol=1e-14)
    g = net.gradients([[0.1, 0.5]], [[0.01, 0.99]], fc.HalfSquaredError())
    assert g.loss == pytest.approx(0.18365, rel=1e-13)
    np.testing.assert_allclose(g.params[0].W, [[0.048, -0.037], [0.24, -0.185]], rtol=1e-13)
    np.testing.assert_allclose(g.params[0].b, [0.48, -0.37], rtol=1e-13)
    np.testing.assert_allclose(g.x, [[-0.002, 0.009]], rtol=1e-12)


def test_seed_000_central_differences():
    """The values left and right of each parameter, as the seed should have printed them."""
    wanted = {
        0: (0.1841305, 0.1831705),
        1: (0.1832805, 0.1840205),
        2: (0.1860625, 0.1812625),
        3: (0.1818125, 0.1855125),
        4: (0.1885, 0.1789),
        5: (0.1800, 0.1874),
    }
    net = one_layer([[0.15, 0.20], [0.25, 0.30]], [0.35, 0.45])
    at = net.theta.copy()
    for i, sides in wanted.items():
        for value, step in zip(sides, (0.01, -0.01), strict=True):
            net.theta[:] = at
            net.theta[i] += step
            loss = net.evaluate([[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error", ()).loss
            assert loss == pytest.approx(value, rel=1e-12)


def test_seed_004_affine_products():
    x = np.arange(1.0, 11).reshape(2, 5)
    dy = np.array([[0, 0.2, 0.4], [0.6, 0.8, 1.0]])
    W = np.linspace(-1, 1, 15).reshape(5, 3)
    net = one_layer(W, [0, 0, 0])
    y = x @ W
    g = net.gradients(x, y - 2 * dy, fc.HalfSquaredError())  # two rows: the loss's derivative is dy
    wanted = [[3.6, 5, 6.4], [4.2, 6, 7.8], [4.8, 7, 9.2], [5.4, 8, 10.6], [6, 9, 12]]
    np.testing.assert_allclose(g.params[0].W, wanted, rtol=1e-12)
    np.testing.assert_allclose(g.params[0].b, [0.6, 1, 1.4], rtol=1e-12)
    np.testing.assert_allclose(g.x, dy @ W.T, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("rows", [1, 2, 17])
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (1, 5), (5, 1), (4, 3), (33, 65)])
def test_against_the_formulas(rows, n_in, n_out, rng):
    W, b = rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)
    x, t = rng.normal(size=(rows, n_in)), rng.normal(size=(rows, n_out))
    net = one_layer(W, b, "tanh")
    y = np.tanh(x @ W + b)
    np.testing.assert_allclose(net.predict(x), y, rtol=1e-12, atol=1e-14)
    g = net.gradients(x, t, fc.HalfSquaredError())
    dz = (y - t) / rows * (1 - y**2)
    np.testing.assert_allclose(g.params[0].W, x.T @ dz, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(g.params[0].b, dz.sum(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(g.x, dz @ W.T, rtol=1e-12, atol=1e-14)
    assert g.loss == pytest.approx(((y - t) ** 2).sum() / 2 / rows, rel=1e-12)


def test_without_bias(rng):
    net = fc.Network([fc.Dense(3, 2, "tanh", bias=False), fc.Dense(2, 2, bias=False)], dtype=np.float64, seed=0)
    assert net.n_params == 6 + 4
    assert [name for name, _ in net.params[0]] == ["W"]
    x = rng.normal(size=(4, 3))
    np.testing.assert_allclose(net.predict(x), np.tanh(x @ net.params[0].W) @ net.params[1].W, rtol=1e-13)
    assert not net.predict(np.zeros((1, 3))).any()
    g = net.gradients(x, np.zeros((4, 2)), "half_squared_error")
    assert len(g.theta) == 10


def test_symmetry_is_broken_and_biases_start_at_zero():
    net = fc.mlp([20, 30, 2], seed=1)
    assert len(np.unique(net.params[0].W)) == 600
    assert not net.params[0].b.any()


@pytest.mark.parametrize(
    ("activation", "deviation"),
    [
        ("relu", np.sqrt(2 / 400)),
        ("gelu", np.sqrt(2 / 400)),
        ("selu", np.sqrt(1 / 400)),
        ("tanh", np.sqrt(2 / 700)),
        (None, np.sqrt(2 / 700)),
        ((np.sin, np.cos), np.sqrt(2 / 700)),
    ],
)
def test_first_weights_suit_the_activation(activation, deviation):
    W = fc.Network([fc.Dense(400, 300, activation)], seed=2, dtype=np.float64).params[0].W
    assert W.std() == pytest.approx(deviation, rel=0.02)
    assert W.mean() == pytest.approx(0, abs=4 * deviation / np.sqrt(W.size))


def test_signals_keep_their_size_through_depth(rng):
    """He for relu: twenty layers neither blow the signal up nor let it die."""
    net = fc.mlp([256] * 21, activation="relu", output_activation="relu", seed=0)
    z = net.predict(rng.normal(size=(64, 256)))
    assert 0.1 < np.sqrt((z**2).mean()) < 10


def test_same_first_weights_in_both_precisions():
    single, double = (fc.mlp([5, 4, 3], dtype=dtype, seed=9) for dtype in (np.float32, np.float64))
    assert np.array_equal(single.theta, double.theta.astype(np.float32))


def test_float32_stays_float32(rng):
    net = fc.mlp([4, 5, 3], activation="gelu", seed=0)
    x, t = rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    g = net.gradients(x, t, "mean_squared_error")
    for a in (net.theta, net.predict(x), g.theta, g.x, g.params[1].W, *net.get_weights()):
        assert a.dtype == np.float32


def test_repr_can_be_read_back():
    from fullyconnected import Dense  # noqa: F401

    layer = fc.Dense(2, 3, bias=False, init=0.1)
    assert eval(repr(layer)) == layer
