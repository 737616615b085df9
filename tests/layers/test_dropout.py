"""Dropout: inverted, off in prediction, and a function of seed, step, layer, row and unit alone."""

import numpy as np
import pytest

import fullyconnected as fc

ROWS, WIDTH = 200, 50


def mask(rate=0.3, seed=0, rows=ROWS, before=0, dtype=np.float64):
    """What dropout multiplies with: the gradient of a sum through it. ``before`` counts layers in front of it."""
    layers = [fc.Activation("identity", n_in=WIDTH)] * before
    net = fc.Network([*layers, fc.Dropout(rate, n_in=WIDTH)], dtype=dtype)
    below = np.full((rows, WIDTH), -1e9)
    g = net.gradients(np.ones((rows, WIDTH)), below, fc.AbsoluteError(), train=True, seed=seed)
    return g.x * rows


def test_drops_and_scales():
    m = mask(0.3)
    values, counts = np.unique(m.round(12), return_counts=True)
    np.testing.assert_allclose(values, [0, 1 / 0.7])
    dropped = counts[0] / m.size
    assert dropped == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / m.size))
    assert m.mean() == pytest.approx(1, abs=0.03)


def test_units_and_rows_are_independent():
    m = mask(0.5) > 0
    assert len(np.unique(m, axis=0)) == ROWS
    assert np.abs(np.corrcoef(m.T) - np.eye(WIDTH)).max() < 0.4
    assert m.mean(axis=0) == pytest.approx(0.5, abs=0.2)
    assert m.mean(axis=1) == pytest.approx(0.5, abs=0.35)


def test_forward_and_backward_use_one_mask(rng):
    net = fc.Network([fc.Dropout(0.5, n_in=6)], dtype=np.float64)
    x = rng.normal(size=(9, 6))
    g = net.gradients(x, np.zeros((9, 6)), fc.HalfSquaredError(), train=True, seed=4)
    dropped = g.x == 0
    assert 0 < dropped.sum() < x.size
    np.testing.assert_allclose(g.x, np.where(dropped, 0, 4 * x / 9))  # m (m x) with m = 2
    assert g.loss == pytest.approx((np.where(dropped, 0, 2 * x) ** 2).sum() / 2 / 9)


def test_off_in_prediction_and_by_default(rng):
    net = fc.Network([fc.Dropout(0.9, n_in=6)], dtype=np.float64)
    x = rng.normal(size=(9, 6))
    assert np.array_equal(net.predict(x), x)
    assert (net.gradients(x, x - 9, fc.HalfSquaredError()).x == 1).all()
    assert net.evaluate(x, x, "half_squared_error", ()).loss == 0


def test_rate_zero_changes_nothing(rng):
    net = fc.Network([fc.Dropout(0.0, n_in=6)], dtype=np.float64)
    x = rng.normal(size=(9, 6))
    assert (net.gradients(x, x - 9, fc.HalfSquaredError(), train=True).x == 1).all()


class TestCounted:
    """The mask depends on (seed, step, layer, row, unit), and on nothing else."""

    def test_same_seed(self):
        assert np.array_equal(mask(seed=5), mask(seed=5))
        assert not np.array_equal(mask(seed=5), mask(seed=6))

    def test_not_on_the_rest_of_the_batch(self):
        assert np.array_equal(mask(rows=20) > 0, mask(rows=ROWS)[:20] > 0)

    def test_on_the_layer(self):
        assert not np.array_equal(mask(before=0), mask(before=1))

    def test_not_on_the_precision(self):
        assert np.array_equal(mask(dtype=np.float32) > 0, mask(dtype=np.float64) > 0)

    def test_not_on_what_happened_before(self):
        net = fc.Network([fc.Dropout(0.5, n_in=6)], dtype=np.float64)
        x = np.ones((9, 6))
        first = net.gradients(x, x, "half_squared_error", train=True, seed=1)
        for _ in range(3):
            net.gradients(x, x, "half_squared_error", train=True, seed=None)
            net.predict(x)
        again = net.gradients(x, x, "half_squared_error", train=True, seed=1)
        assert np.array_equal(first.x, again.x)

    def test_on_the_step(self):
        """With rate 1 the weights show each step's mask: what is dropped does not move."""
        net = fc.Network([fc.Dropout(0.5, n_in=8), fc.Dense(8, 1, bias=False)], dtype=np.float64)
        x, t = np.ones((1, 8)), [-1e9]
        masks = []

        class Record(fc.Optimizer):
            name = "record"
            lr = 1.0

            def update(self, theta, g, s, c, *, lr, step, decays):
                masks.append(tuple(g > 0))

        fc.fit(net, x, t, fc.AbsoluteError(), Record(), epochs=12, progress=False, seed=3)
        assert len(set(masks)) > 6
        again = masks.copy()
        masks.clear()
        for _ in zip(range(12), fc.epochs(net, x, t, fc.AbsoluteError(), Record(), seed=3), strict=False):
            pass
        assert masks[:12] == again
        first = net.gradients(x, t, fc.AbsoluteError(), train=True, seed=3).params[1].W[:, 0] > 0
        assert tuple(first) == again[0]

    def test_two_dropout_layers_differ(self):
        """Two layers of rate 0.5 leave a quarter, not a half."""
        net = fc.Network([fc.Dropout(0.5, n_in=WIDTH), fc.Dropout(0.5)], dtype=np.float64)
        x = np.ones((ROWS, WIDTH))
        g = net.gradients(x, x - 1e9, fc.AbsoluteError(), train=True, seed=0)
        assert (g.x > 0).mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, np.nan, np.inf])
def test_rates_that_cannot_be(rate):
    with pytest.raises(fc.errors.ConfigError, match="rate of Dropout must be 0 or more and less than 1"):
        fc.Dropout(rate)
