"""Training: what the history says, what settings change, what stops a run, and what it leaves behind."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

ENGINES = [name for name, each in fc.engines().items() if each.available]


def quiet(net, x, t, loss="half_squared_error", *args, **settings):
    return fc.fit(net, x, t, loss, *args, progress=False, **settings)


def small(*, dtype=np.float64, seed=0):
    return fc.mlp([3, 5, 2], activation="tanh", dtype=dtype, seed=seed)


@pytest.fixture
def data(rng):
    return rng.normal(size=(11, 3)), rng.normal(size=(11, 2))


class Rules:
    """Optimizers written out anew, with their memory."""

    def __init__(self, lr=0.1):
        self.lr, self.t, self.m, self.v = lr, 0, 0.0, 0.0

    def sgd(self, theta, g):
        return theta - self.lr * g

    def momentum(self, theta, g):
        self.v = 0.9 * self.v + g
        return theta - self.lr * self.v

    def adam(self, theta, g):
        self.t += 1
        self.m, self.v = 0.9 * self.m + 0.1 * g, 0.999 * self.v + 0.001 * g * g
        return theta - self.lr * self.m / (1 - 0.9**self.t) / (np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8)


def by_hand(net, x, t, rule, epochs, size, *, loss="half_squared_error", l2=0.0, alpha=0.0, weights=None, limit=None):
    """Train with net.gradients and a loop, in the rows' own order; return what history.loss should be."""
    losses = []
    for _ in range(epochs):
        total = share = 0.0
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            w = np.ones(len(x[rows])) if weights is None else weights[rows]
            if not w.any():
                continue
            g = net.gradients(x[rows], t[rows], loss, l2=l2 + alpha / w.sum(), sample_weight=w)
            flat = g.theta if limit is None else g.theta * min(1, limit / np.linalg.norm(g.theta))
            net.theta = rule(net.theta.copy(), flat)
            total, share = total + g.loss * w.sum(), share + w.sum()
        losses.append(total / share)
    return losses


RULES = {"sgd": fc.SGD(0.1), "momentum": fc.Momentum(0.1), "adam": fc.Adam(0.1)}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"l2": 0.1},
        {"alpha": 0.3},
        {"limit": 0.05},
        {"weights": True},
        {"alpha": 0.3, "weights": True},
        {"l2": 0.1, "alpha": 0.2, "limit": 0.3, "weights": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [1, 4, 11, 100])
def test_a_run_by_hand(name, settings, size, data):
    """Batches, their short last one, and the history: the row-weighted mean of their losses before their updates."""
    x, t = data
    net, twin = small(), small()
    settings = dict(settings)
    if settings.get("weights"):
        settings["weights"] = np.array([1, 2, 0.5, 0, 0, 0, 0, 0, 3, 1, 1])
    names = {"limit": "max_grad_norm", "weights": "sample_weight"}
    given = {names.get(key, key): value for key, value in settings.items()}
    history = quiet(net, x, t, "half_squared_error", RULES[name], 4, size, shuffle=False, **given)
    losses = by_hand(twin, x, t, getattr(Rules(), name), 4, size, **settings)
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-11)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "hinge", "binary_cross_entropy", "huber"])
def test_other_losses_by_hand(loss, data):
    x, t = data
    if loss in ("softmax_cross_entropy", "hinge"):
        t = (t[:, 0] > 0).astype(int)
    elif loss == "binary_cross_entropy":
        t = (t > 0).astype(float)
    net, twin = small(), small()
    history = quiet(net, x, t, loss, fc.SGD(0.1), 3, 4, shuffle=False, l2=0.01)
    losses = by_hand(twin, x, t, Rules().sgd, 3, 4, loss=loss, l2=0.01)
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)


def test_shuffled_runs_visit_the_rows_of_the_epochs_order(data):
    from fullyconnected.core.order import epoch_order

    x, t = data
    net, twin = small(), small()
    history = quiet(net, x, t, "half_squared_error", fc.SGD(0.1), 3, 4, seed=8)
    losses = []
    for epoch in range(3):
        order = epoch_order(11, 8, epoch, shuffle=True)
        losses += by_hand(twin, x[order], t[order], Rules().sgd, 1, 4)
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-12)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)


class TestLearning:
    def test_classes(self, blobs):
        x, t = blobs
        net = fc.mlp([2, 16, 3], seed=0)
        history = quiet(net, x, t, "softmax_cross_entropy", fc.Adam(0.01), 60, 16, metrics=["accuracy"])
        assert history.loss[-1] < 0.05 < history.loss[0]
        assert history.metrics["accuracy"][-1] == 1.0
        assert len(history.loss) == 60

    @pytest.mark.parametrize(
        "rule",
        [fc.SGD(0.1), fc.Momentum(0.02), fc.Nesterov(0.02), fc.RMSProp(0.01), fc.Adam(0.02), fc.AdamW(0.02)],
        ids=lambda rule: rule.name,
    )
    def test_every_optimizer_learns(self, rule, rng):
        x = rng.uniform(-2, 2, (200, 1))
        net = fc.mlp([1, 20, 1], activation="tanh", seed=1)
        history = quiet(net, x, np.sin(x), "half_squared_error", rule, 150, 20)
        assert history.loss[-1] < 0.01

    def test_xor(self):
        """The XOR network: 2-3-1 with sigmoids and half the squared error."""
        net = fc.mlp([2, 3, 1], activation="sigmoid", output_activation="sigmoid", dtype=np.float64, seed=1)
        x, t = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        history = quiet(net, x, t, "half_squared_error", fc.Adam(0.05), 1500, 4)
        assert history.loss[-1] < 1e-3
        assert net.evaluate(x, t, "half_squared_error").metrics["accuracy"] == 1.0

    def test_one_row(self):
        net = fc.mlp([2, 4, 1], activation="tanh", seed=0)
        history = quiet(net, [[1.0, 2.0]], [3.0], "half_squared_error", fc.Adam(0.05), 200)
        assert history.loss[-1] < 1e-3

    def test_inputs_of_more_dimensions_and_bytes(self, rng):
        """Pictures as they come from a file: uint8, (rows, h, w)."""
        t = rng.integers(0, 2, 60)
        x = rng.integers(0, 80, (60, 4, 4), dtype=np.uint8) + (t * 120).astype(np.uint8)[:, None, None]
        net = fc.Network([fc.LayerNorm(n_in=16), fc.Dense(16, 8, "relu"), fc.Dense(8, 2)], seed=0)
        flat = net.copy()
        quiet(net, x, t, "softmax_cross_entropy", epochs=3, batch_size=7)
        quiet(flat, x.reshape(60, 16).astype(float), t, "softmax_cross_entropy", epochs=3, batch_size=7)
        assert np.array_equal(net.theta, flat.theta)

    def test_float32_and_float64_agree(self, blobs):
        x, t = blobs
        losses = []
        for dtype in (np.float32, np.float64):
            net = fc.mlp([2, 8, 3], activation="tanh", dtype=dtype, seed=0)
            losses.append(quiet(net, x, t, "softmax_cross_entropy", fc.Adam(0.01), 10, 16).loss)
            assert net.theta.dtype == dtype
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)

    def test_adam_is_the_default(self, data):
        a, b = small(), small()
        quiet(a, *data)
        quiet(b, *data, "half_squared_error", fc.Adam(1e-3), 10, 128, seed=0, shuffle=True)
        assert np.array_equal(a.theta, b.theta)

    def test_names_stand_for_loss_and_optimizer(self, data):
        a, b = small(), small()
        quiet(a, *data, "half_squared_error", "momentum")
        quiet(b, *data, fc.HalfSquaredError(), fc.Momentum())
        assert np.array_equal(a.theta, b.theta)


class TestSeeds:
    def run(self, seed, **settings):
        net = fc.Network([fc.Dense(3, 8, "relu"), fc.Dropout(0.3), fc.BatchNorm(), fc.Dense(8, 2)], seed=0)
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
        history = quiet(net, x, t, "half_squared_error", epochs=3, batch_size=8, seed=seed, **settings)
        return net.theta.tobytes() + net.state.tobytes(), history

    def test_same_seed_same_bits(self):
        assert self.run(4)[0] == self.run(4)[0]
        assert self.run(np.uint32(4))[0] == self.run(4)[0]
        assert self.run(4)[1].loss == self.run(4)[1].loss

    def test_different_seed_different_run(self):
        assert len({self.run(seed)[0] for seed in (0, 1, 2, 2**63)}) == 4

    def test_generators(self):
        one, two = (self.run(np.random.default_rng(9))[0] for _ in range(2))
        assert one == two
        rng = np.random.default_rng(9)
        assert self.run(rng)[0] == one
        assert self.run(rng)[0] != one

    def test_a_fresh_seed_is_told(self):
        theta, history = self.run(None)
        assert self.run(history.seed)[0] == theta
        assert self.run(None)[0] != theta

    def test_the_engine_is_told_and_can_be_named(self):
        assert self.run(0)[1].engine in ("numpy", "native")
        assert self.run(0, engine="numpy")[1].engine == "numpy"

    def test_without_shuffle_the_order_is_the_rows_own(self, data):
        x, t = data
        a, b, c = small(), small(), small()
        quiet(a, x, t, batch_size=4, shuffle=False, seed=1)
        quiet(b, x, t, batch_size=4, shuffle=False, seed=2)
        quiet(c, x[::-1], t[::-1], batch_size=4, shuffle=False, seed=1)
        assert np.array_equal(a.theta, b.theta)
        assert not np.array_equal(a.theta, c.theta)


class TestWeights:
    @pytest.mark.parametrize("alpha", [0.0, 0.5])
    @pytest.mark.parametrize("rule", [fc.SGD(0.1), fc.Adam(0.1)], ids=repr)
    def test_weight_two_is_the_row_twice(self, rule, alpha, data):
        x, t = data
        a, b = small(), small()
        w = np.array([1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1])
        rows = np.repeat(np.arange(11), w)
        weighted = quiet(a, x, t, "half_squared_error", rule, 5, 12, sample_weight=w, alpha=alpha)
        repeated = quiet(b, x[rows], t[rows], "half_squared_error", rule, 5, 12, alpha=alpha)
        np.testing.assert_allclose(a.theta, b.theta, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(weighted.loss, repeated.loss, rtol=1e-10)

    @pytest.mark.parametrize("alpha", [0.0, 0.5])
    @pytest.mark.parametrize("rule", [fc.SGD(0.1), fc.Adam(0.1)], ids=repr)
    def test_weight_zero_is_no_row(self, rule, alpha, data):
        x, t = data
        a, b = small(), small()
        w = np.array([1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0.0])
        weighted = quiet(a, x, t, "half_squared_error", rule, 5, 12, sample_weight=w, alpha=alpha)
        dropped = quiet(b, x[w > 0], t[w > 0], "half_squared_error", rule, 5, 12, alpha=alpha)
        np.testing.assert_allclose(a.theta, b.theta, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(weighted.loss, dropped.loss, rtol=1e-10)

    @pytest.mark.parametrize("weights", [np.full(11, 3.0), np.full(11, 1e-30), [2] * 11, np.ones((11, 1)), [True] * 11])
    def test_even_weights_change_nothing(self, weights, data):
        a, b = small(), small()
        quiet(a, *data, batch_size=4, sample_weight=weights)
        quiet(b, *data, batch_size=4)
        np.testing.assert_allclose(a.theta, b.theta, rtol=1e-10, atol=1e-13)

    def test_a_batch_without_weight_makes_no_step(self, data):
        """Not with l2 either, and Adam does not count it."""
        x, t = data[0][:8], data[1][:8]
        a, b = small(), small()
        history = quiet(
            a, x, t, "half_squared_error", fc.Adam(0.1), 3, 4, sample_weight=[0] * 4 + [1] * 4, l2=0.1, shuffle=False
        )
        alone = quiet(b, x[4:], t[4:], "half_squared_error", fc.Adam(0.1), 3, 4, l2=0.1, shuffle=False)
        assert np.array_equal(a.theta, b.theta)
        np.testing.assert_allclose(history.loss, alone.loss, rtol=1e-14)


class TestL2:
    def test_shrinks_weights_alone(self):
        """Where the data pull nowhere, W shrinks by 1 - lr l2 a step, and nothing else moves."""
        layers = [fc.LayerNorm(n_in=2), fc.Dense(2, 1)]
        net = fc.Network(layers, dtype=np.float64, seed=0)
        net.params[0].beta = 0
        net.params[1].b = 5
        W = net.params[1].W.copy()
        x, t = np.ones((4, 2)), np.full(4, 5.0)  # a constant row is normalised to zero: z = b = t
        history = quiet(net, x, t, "half_squared_error", fc.SGD(0.1), 3, 4, l2=0.5)
        np.testing.assert_allclose(net.params[1].W, W * 0.95**3, rtol=1e-14)
        assert net.params[1].b[0] == 5
        assert net.params[0].gamma.tolist() == [1, 1]
        wanted = [0.25 * (W**2).sum() * 0.95 ** (2 * i) for i in range(3)]
        np.testing.assert_allclose(history.loss, wanted, rtol=1e-13)

    def test_is_no_part_of_the_validation_loss(self, data):
        net = small()
        history = quiet(net, *data, epochs=1, l2=10.0, validation=data)
        assert history.validation_loss[0] == pytest.approx(net.evaluate(*data, "half_squared_error", ()).loss)
        assert history.loss[0] > 2 * history.validation_loss[0]


class TestAlpha:
    """Of which each batch has a share: an l2 of alpha over the weight of its rows."""

    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("clipped", [{}, {"max_grad_norm": 0.1}])
    def test_with_equal_batches_it_is_l2_bit_for_bit(self, engine, dtype, clipped, data):
        x, t = data[0][:8], data[1][:8]
        a, b = small(dtype=dtype), small(dtype=dtype)
        how = {"optimizer": fc.Adam(0.01), "epochs": 3, "engine": engine, **clipped}
        one = quiet(a, x, t, batch_size=4, alpha=0.5, l2=0.25, **how)
        other = quiet(b, x, t, batch_size=4, l2=0.375, **how)
        assert a.theta.tobytes() == b.theta.tobytes()
        assert one.loss == other.loss

    @pytest.mark.parametrize("engine", ENGINES)
    def test_a_smaller_batch_pulls_more(self, engine):
        """Where the data pull nowhere, W shrinks by 1 - lr alpha / w a step, w being what its rows weigh."""
        net = fc.Network([fc.Dense(2, 1)], dtype=np.float64, seed=0)
        net.params[0].b = 5
        W = net.params[0].W.copy()
        x, t, w = np.zeros((5, 2)), np.full(5, 5.0), [1.0, 0.5, 0.0, 0.0, 4.0]
        history = quiet(net, x, t, optimizer=fc.SGD(0.1), epochs=1, batch_size=2, alpha=0.5, sample_weight=w,
                        shuffle=False, engine=engine)  # fmt: skip
        first = 1 - 0.1 * 0.5 / 1.5  # the second batch makes no step
        np.testing.assert_allclose(net.params[0].W, W * first * (1 - 0.1 * 0.5 / 4), rtol=1e-14)
        assert net.params[0].b[0] == 5
        size = (W**2).sum()
        np.testing.assert_allclose(history.loss, [(0.25 * size + 0.25 * size * first**2) / 5.5], rtol=1e-13)

    def test_is_no_part_of_the_validation_loss(self, data):
        net = small()
        history = quiet(net, *data, epochs=1, alpha=100.0, validation=data)
        assert history.validation_loss[0] == pytest.approx(net.evaluate(*data, "half_squared_error", ()).loss)
        assert history.loss[0] > 2 * history.validation_loss[0]


class TestClipping:
    def test_the_step_is_as_long_as_the_limit(self, data):
        net = small()
        before = net.theta.copy()
        quiet(net, *data, "half_squared_error", fc.SGD(1.0), 1, 11, max_grad_norm=0.01)
        assert np.linalg.norm(net.theta - before) == pytest.approx(0.01, rel=1e-12)
        g = small().gradients(*data, "half_squared_error").theta
        np.testing.assert_allclose((before - net.theta) / 0.01, g / np.linalg.norm(g), rtol=1e-10)

    def test_short_gradients_are_left_alone(self, data):
        a, b = small(), small()
        quiet(a, *data, max_grad_norm=1e6, engine="numpy")
        quiet(b, *data, engine="numpy")
        assert np.array_equal(a.theta, b.theta)

    @pytest.mark.parametrize(("width", "apart"), [(40, 0), (5, 1e-13)])
    def test_short_gradients_are_left_alone_by_every_engine(self, data, width, apart):
        """In every bit, but for a tiny network: without clipping it takes a way of its own in the native engine."""
        x, t = data
        nets = [fc.mlp([x.shape[1], width, t.shape[1]], "tanh", dtype=np.float64, seed=0) for _ in range(2)]
        quiet(nets[0], x, t, max_grad_norm=1e6)
        quiet(nets[1], x, t)
        np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=0, atol=apart)

    def test_gradients_whose_squares_overflow(self):
        """1e25 is a fine float32, and its square is not: the gradient keeps its direction all the same."""
        net = fc.Network([fc.Dense(2, 1, bias=False)], seed=0)
        net.theta = [0, 0]
        x = np.array([[3e25, -4e25]], np.float32)
        quiet(net, x, [1e30], fc.AbsoluteError(), fc.SGD(1.0), 1, 1, max_grad_norm=5.0)
        np.testing.assert_allclose(net.theta, [3, -4], rtol=1e-5)


class TestValidation:
    def test_is_what_evaluate_says(self, blobs):
        x, t = blobs
        net = fc.Network([fc.Dense(2, 8, "relu"), fc.Dropout(0.5), fc.BatchNorm(), fc.Dense(8, 3)], seed=0)
        w = np.random.default_rng(0).random(30)
        validation, seen = (x[60:], t[60:], w), []
        training = fc.epochs(
            net, x[:60], t[:60], "softmax_cross_entropy", validation=validation, metrics=["accuracy"], batch_size=16
        )
        for epoch in training:
            found = net.evaluate(x[60:], t[60:], "softmax_cross_entropy", sample_weight=w)
            assert epoch.validation_loss == found.loss
            assert epoch.metrics == found.metrics
            seen.append(epoch.number)
            if epoch.number == 3:
                break
        assert seen == [1, 2, 3]

    def test_does_not_change_the_training(self, data):
        a, b = small(), small()
        quiet(a, *data)
        quiet(b, *data, validation=data, metrics=["r2"])
        assert np.array_equal(a.theta, b.theta)

    @pytest.mark.parametrize("kind", [tuple, list])
    def test_records(self, kind, data):
        history = quiet(small(), *data, epochs=4, validation=kind(data), metrics=["r2", "mean_squared_error"])
        assert len(history.validation_loss) == len(history.metrics["r2"]) == 4
        assert list(history.metrics) == ["r2", "mean_squared_error"]

    def test_without_it(self, data):
        history = quiet(small(), *data, epochs=4)
        assert (history.validation_loss, history.metrics, history.best_epoch) == ([], {}, None)
        assert (history.interrupted, history.stopped) == (False, "epochs")

    def test_metrics_without_validation_are_of_the_training_data(self, data):
        net = small()
        history = quiet(net, *data, epochs=2, metrics=["mean_squared_error"])
        found = net.evaluate(*data, "half_squared_error", ["mean_squared_error"])
        assert history.metrics["mean_squared_error"][-1] == found.metrics["mean_squared_error"]

    def test_own_metrics(self, data):
        def outputs_above_zero(z, t):
            return (z > 0).mean()

        net = small()
        history = quiet(net, *data, epochs=2, metrics=[outputs_above_zero, "r2"])
        assert history.metrics["outputs_above_zero"][-1] == (net.predict(data[0]) > 0).mean()


def overfitting():
    """Training pulls towards 1, validation wants 0.5: its loss falls, and then rises for good."""
    net = fc.Network([fc.Dense(1, 1), fc.BatchNorm(), fc.Dense(1, 1)], dtype=np.float64, seed=0)
    net.params[2].W, net.params[2].b = 0.001, 0
    x = np.array([[1.0], [1.5]])
    return net, x, np.array([1.0, 1.0]), (x, np.array([0.5, 0.5]))


class TestPatience:
    def test_stops_and_gives_the_best_weights_back(self):
        net, x, t, validation = overfitting()
        recorded = []
        twin = net.copy()
        for epoch in fc.epochs(twin, x, t, "half_squared_error", fc.SGD(0.05), validation=validation):
            recorded.append((epoch.validation_loss, twin.theta.copy(), twin.state.copy()))
            if epoch.number == 60:
                break
        best = int(np.argmin([loss for loss, _, _ in recorded]))
        assert 2 < best < 40
        history = quiet(net, x, t, "half_squared_error", fc.SGD(0.05), 1000, validation=validation, patience=7)
        assert history.stopped == "patience"
        assert history.best_epoch == best + 1
        assert len(history.loss) == len(history.validation_loss) == best + 1 + 7
        assert np.array_equal(net.theta, recorded[best][1])
        assert np.array_equal(net.state, recorded[best][2])
        assert net.evaluate(*validation, "half_squared_error", ()).loss == min(history.validation_loss)

    def test_best_weights_come_back_where_epochs_run_out_first(self):
        net, x, t, validation = overfitting()
        history = quiet(net, x, t, "half_squared_error", fc.SGD(0.05), 60, validation=validation, patience=50)
        assert history.stopped == "epochs"
        assert history.best_epoch < 60
        assert net.evaluate(*validation, "half_squared_error", ()).loss == min(history.validation_loss)

    def test_watches_the_training_loss_without_validation(self, data):
        history = quiet(small(), *data, epochs=50, patience=3, schedule=lambda epoch: 0.0, shuffle=False)
        assert len(history.loss) == 4
        assert history.best_epoch == 1

    def test_an_equal_loss_is_no_improvement_and_a_smaller_one_is(self):
        losses = iter([5.0, 4.0, 4.0, 3.9, 3.9, 3.9, 1.0])
        net = fc.Network([fc.Dense(1, 1, bias=False)], dtype=np.float64)
        net.theta = [0.0]

        class Walk(fc.Optimizer):
            """Puts the network where the validation loss is the next of the list."""

            name = "walk"
            lr = 1.0

            def update(self, theta, g, s, c, *, lr, step, decays):
                theta[:] = next(losses)

        history = quiet(net, [[1.0]], [0.0], fc.AbsoluteError(), Walk(), 7, validation=([[1.0]], [0.0]), patience=2)
        assert history.validation_loss == [5.0, 4.0, 4.0, 3.9, 3.9, 3.9]
        assert (history.stopped, history.best_epoch, net.theta.tolist()) == ("patience", 4, [3.9])

    def test_with_epochs(self):
        net, x, t, validation = overfitting()
        twin = net.copy()
        numbers = [
            epoch.number
            for epoch in fc.epochs(net, x, t, "half_squared_error", fc.SGD(0.05), validation=validation, patience=7)
        ]
        history = quiet(twin, x, t, "half_squared_error", fc.SGD(0.05), 1000, validation=validation, patience=7)
        assert numbers == list(range(1, len(history.loss) + 1))
        assert np.array_equal(net.theta, twin.theta)
        assert np.array_equal(net.state, twin.state)

    @pytest.mark.parametrize(("loss", "n_out", "first"), [("absolute_error", 1, np.inf), ("hinge", 2, np.nan)])
    def test_a_first_epoch_without_a_finite_loss_is_no_best_epoch(self, loss, n_out, first):
        """An infinite or undefined validation loss is worse than any number."""
        values = iter([1e150, 2.0, 3.0])
        net = fc.Network([fc.Dense(1, n_out, bias=False)], dtype=np.float64)
        net.theta = np.zeros(n_out)

        class Walk(fc.Optimizer):
            name = "walk"
            lr = 1.0

            def update(self, theta, g, s, c, *, lr, step, decays):
                theta[:] = next(values)

        validation = ([[1e170]], [0])
        history = quiet(net, [[1e-9]], [0], loss, Walk(), 3, validation=validation, patience=5)
        np.testing.assert_equal(history.validation_loss[0], first)
        assert (history.best_epoch, net.theta[0]) == (2, 2.0)


class TestEpochs:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"shuffle": False, "batch_size": 4},
            {"l2": 0.01, "max_grad_norm": 0.1, "schedule": fc.CosineDecay(4), "batch_size": 5, "seed": 3},
            {"sample_weight": np.arange(11.0), "batch_size": 4},
        ],
        ids=str,
    )
    def test_is_fit_bit_for_bit(self, settings, data):
        nets = [
            fc.Network([fc.Dense(3, 6, "relu"), fc.Dropout(0.3), fc.BatchNorm(), fc.Dense(6, 2)], seed=0)
            for _ in range(2)
        ]
        history = quiet(nets[0], *data, epochs=4, validation=data, **settings)
        losses = []
        for epoch in fc.epochs(nets[1], *data, "half_squared_error", validation=data, **settings):
            losses.append((epoch.loss, epoch.validation_loss))
            if epoch.number == 4:
                break
        assert np.array_equal(nets[0].theta, nets[1].theta)
        assert np.array_equal(nets[0].state, nets[1].state)
        assert losses == list(zip(history.loss, history.validation_loss, strict=True))

    def test_break_leaves_the_network_where_it_was(self, data):
        net, seen = small(), None
        for epoch in fc.epochs(net, *data, "half_squared_error"):
            seen = net.theta.copy()
            if epoch.loss < 1e9:
                break
        assert np.array_equal(net.theta, seen)
        assert quiet(net, *data, epochs=1).loss  # and it can be trained on

    def test_what_an_epoch_tells(self, data):
        began = time.perf_counter()
        epoch = next(fc.epochs(small(), *data, "half_squared_error", validation=data, metrics=["r2"]))
        took = time.perf_counter() - began
        assert epoch.number == 1
        assert epoch.loss > 0 < epoch.validation_loss
        assert list(epoch.metrics) == ["r2"]
        assert 0 <= epoch.seconds <= took
        assert "loss" in str(epoch)
        assert "r2" in str(epoch)

    def test_the_callers_loop_may_look_at_and_change_the_network(self, data):
        net = small()
        training = fc.epochs(net, *data, "half_squared_error", fc.SGD(0.1), shuffle=False)
        next(training)
        net.params[0].W *= 0.5
        net.predict(data[0])
        twin = net.copy()
        next(training)
        by_hand(twin, *data, Rules().sgd, 1, 128)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-12)

    def test_arguments_are_checked_at_once(self, data):
        with pytest.raises(errors.ConfigError, match="batch_size"):
            fc.epochs(small(), *data, "half_squared_error", batch_size=0)
        with pytest.raises(errors.ShapeError):
            fc.epochs(small(), data[0], data[1][:3], "half_squared_error")

    @pytest.mark.parametrize("setting", [{"epochs": 3}, {"progress": True}, {"batchsize": 3}])
    def test_settings_that_it_does_not_have(self, setting, data):
        with pytest.raises(TypeError, match=next(iter(setting))):
            fc.epochs(small(), *data, "half_squared_error", **setting)


class TestInterrupted:
    def test_in_a_metric(self, data):
        calls = []

        def impatient(z, t):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return 0.0

        net = small()
        history = quiet(net, *data, epochs=10, metrics=[impatient], validation=data)
        assert history.interrupted
        assert history.stopped == "interrupted"
        assert len(history.loss) == len(history.validation_loss) == len(history.metrics["impatient"]) == 2
        assert np.isfinite(net.theta).all()
        assert np.isfinite(net.predict(data[0])).all()
        assert quiet(net, *data, epochs=1).interrupted is False

    def test_in_the_middle_of_an_epoch(self, data):
        def schedule(epoch):
            if epoch > 2.5:
                raise KeyboardInterrupt
            return 1.0

        net, twin = small(), small()
        # the NumPy engine asks the schedule at each step
        history = quiet(net, *data, batch_size=2, epochs=10, schedule=schedule, engine="numpy")
        assert history.interrupted
        assert len(history.loss) == 2
        quiet(twin, *data, batch_size=2, epochs=2)
        assert not np.array_equal(net.theta, twin.theta)  # the steps of the third epoch count
        assert np.isfinite(net.theta).all()

    def test_before_the_first_epoch_is_complete(self, data):
        def schedule(epoch):
            raise KeyboardInterrupt

        net = small()
        before = net.theta.copy()
        history = quiet(net, *data, schedule=schedule)
        assert (history.interrupted, history.loss) == (True, [])
        assert np.array_equal(net.theta, before)

    def test_between_an_update_that_overflows_and_the_loss_that_would_show_it(self):
        def schedule(epoch):
            if epoch:
                raise KeyboardInterrupt
            return 1.0

        net = fc.Network([fc.Dense(1, 1, bias=False)])
        net.theta = [0.0]
        x, t = [[1e10], [1e10]], [1e10, 1e10]
        history = quiet(net, x, t, fc.AbsoluteError(), fc.SGD(1e30), 2, 1, schedule=schedule)
        assert history.interrupted
        assert net.theta.tolist() == [0]

    def test_with_patience_the_best_weights_come_back(self):
        net, x, t, validation = overfitting()

        def schedule(epoch):
            if epoch >= 55:
                raise KeyboardInterrupt
            return 1.0

        settings = {"validation": validation, "patience": 100, "schedule": schedule}
        history = quiet(net, x, t, "half_squared_error", fc.SGD(0.05), 1000, **settings)
        assert history.interrupted
        assert net.evaluate(*validation, "half_squared_error", ()).loss == min(history.validation_loss)

    def test_other_exceptions_are_the_callers(self, data):
        def broken(z, t):
            raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            quiet(small(), *data, metrics=[broken])

    @pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")
    @pytest.mark.usefixtures("signals")
    @pytest.mark.parametrize("validation", ["None", "(x, t)"])
    def test_by_a_real_signal(self, validation):
        program = textwrap.dedent(f"""
            import os
            import numpy as np
            import fullyconnected as fc

            rng = np.random.default_rng(0)
            x, t = rng.normal(size=(4000, 20)), rng.integers(0, 3, 4000)
            net = fc.mlp([20, 64, 3], seed=0)
            before = net.theta.copy()

            def started(z, t):
                os.write(1, b"epoch\\n")  # whole, however soon the signal comes
                return 0.0

            history = fc.fit(net, x, t, "softmax_cross_entropy", epochs=1_000_000, batch_size=32, metrics=[started],
                             validation={validation}, progress=False)
            usable = np.isfinite(net.theta).all() and np.isfinite(net.predict(x)).all()
            print(history.interrupted, history.stopped, len(history.loss), usable, (net.theta != before).any())
        """)
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "epoch\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        interrupted, stopped, epochs, usable, moved = out.splitlines()[-1].split()
        assert (interrupted, stopped, usable, moved) == ("True", "interrupted", "True", "True"), err
        assert int(epochs) >= 0
        assert err == ""
        assert process.returncode == 0


class TestDivergence:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_is_told_and_leaves_the_last_finite_weights(self, dtype, data):
        net, seen = small(dtype=dtype), []
        training = fc.epochs(net, *data, "half_squared_error", fc.SGD(1e5), batch_size=4, schedule=lambda epoch: 2.0)

        def watch():
            for _ in training:
                seen.append(net.theta.copy())

        with pytest.raises(errors.DivergenceError) as caught:
            watch()
        error = caught.value
        assert error.epoch == len(seen) + 1
        assert 3 * len(seen) < error.step <= 3 * len(seen) + 3
        assert error.learning_rate == 2e5
        assert error.layer.startswith(("dense_", "the output of dense_", "loss"))
        for words in (
            f"epoch {error.epoch}, step {error.step}",
            "2e+05",
            error.layer,
            "learning rate ten times smaller",
        ):
            assert words in str(error)
        assert np.isfinite(net.theta).all()
        assert np.array_equal(net.theta, seen[-1])
        assert np.isfinite(net.predict(data[0])).all()
        assert quiet(net, *data, "absolute_error", epochs=1).loss

    def test_can_be_caught_as_what_it_is(self, data):
        with pytest.raises(ArithmeticError):
            quiet(small(), *data, "half_squared_error", fc.SGD(1e10), epochs=100)
        with pytest.raises(errors.FullyConnectedError):
            quiet(small(), *data, "half_squared_error", fc.SGD(1e10), epochs=100)

    def test_survives_a_pickle(self):
        error = pickle.loads(pickle.dumps(errors.DivergenceError(2, 31, 0.5, "dense_1.W")))
        assert (error.epoch, error.step, error.learning_rate, error.layer) == (2, 31, 0.5, "dense_1.W")
        assert "epoch 2, step 31" in str(error)

    @pytest.mark.parametrize(
        ("weights", "target", "layer"),
        [
            ((1e30, 1e30), 0, "the output of dense_2"),
            ((1e38, 1e38), 0, "the output of dense_2"),
            ((1.0, 1e25), 0, "loss"),
        ],
    )
    def test_names_the_first_layer(self, weights, target, layer):
        net = fc.Network([fc.Dense(1, 1), fc.Dense(1, 1)])
        net.params[0].W, net.params[1].W = weights
        before = net.theta.copy()
        with pytest.raises(errors.DivergenceError) as caught:
            quiet(net, [[2.0]], [target], "half_squared_error", epochs=3)
        assert (caught.value.epoch, caught.value.step, caught.value.layer) == (1, 1, layer)
        assert np.array_equal(net.theta, before)

    def test_of_weights_alone(self):
        """The last update of a run is followed by no loss, and must not slip through."""
        net = fc.Network([fc.Dense(1, 1, bias=False)])
        net.theta = [0.0]
        with pytest.raises(errors.DivergenceError) as caught:
            quiet(net, [[1e10]], [1e10], fc.AbsoluteError(), fc.SGD(1e30), epochs=1)
        assert caught.value.layer == "dense_1.W"
        assert net.theta.tolist() == [0]

    def test_running_statistics_are_restored_too(self):
        net = fc.Network([fc.BatchNorm(n_in=1), fc.Dense(1, 1)], seed=0)
        x = np.array([[1e19], [-3e19]], np.float32)  # their squares are beyond float32
        state = net.state.copy()
        with pytest.raises(errors.DivergenceError):
            quiet(net, x, [1e30, -1e30], "half_squared_error", fc.SGD(1e30), epochs=2)
        assert np.array_equal(net.state, state)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_network_that_is_not_finite_is_refused(self, bad, data):
        net = small()
        net.params[0].W[0, 0] = bad
        with pytest.raises(errors.ConfigError, match="not all finite"):
            quiet(net, *data)


class TestContinued:
    """A run that is broken off and goes on from its checkpoint; what a checkpoint must survive is in tests/files."""

    def net(self):
        layers = [fc.Dense(3, 6, "relu"), fc.Dropout(0.3), fc.BatchNorm(), fc.Dense(6, 2)]
        return fc.Network(layers, seed=0)

    @pytest.mark.parametrize("rule", [fc.SGD(0.1), fc.Nesterov(0.01), fc.RMSProp(), fc.AdamW(0.01)], ids=repr)
    def test_has_the_bits_of_a_run_without_a_break(self, rule, data, tmp_path):
        settings = {
            "batch_size": 4,
            "l2": 0.01,
            "validation": data,
            "metrics": ["r2"],
            "schedule": fc.CosineDecay(9),
            "max_grad_norm": 1.0,
            "patience": 8,
            "sample_weight": np.arange(1.0, 12),
        }
        whole = self.net()
        expected = quiet(whole, *data, "half_squared_error", rule, 9, **settings)
        path = tmp_path / "run"
        quiet(self.net(), *data, "half_squared_error", rule, 2, checkpoint=path, **settings)
        quiet(self.net(), *data, "half_squared_error", rule, 5, checkpoint=str(path), **settings)
        parts = self.net()
        history = quiet(parts, *data, "half_squared_error", rule, 9, checkpoint=path, **settings)
        assert np.array_equal(parts.theta, whole.theta)
        assert np.array_equal(parts.state, whole.state)
        assert history == expected

    def test_a_run_that_is_complete_trains_no_more(self, data, tmp_path):
        net, again = self.net(), self.net()
        history = quiet(net, *data, epochs=3, checkpoint=tmp_path / "run")
        assert quiet(again, *data, epochs=3, checkpoint=tmp_path / "run").loss == history.loss
        assert np.array_equal(net.theta, again.theta)

    def test_after_an_interrupt(self, data, tmp_path):
        calls = []

        def impatient(z, t):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return float(np.abs(z).sum())

        whole, parts = self.net(), self.net()
        history = quiet(parts, *data, epochs=6, batch_size=4, metrics=[impatient], checkpoint=tmp_path / "run")
        assert (history.interrupted, len(history.loss)) == (True, 2)
        history = quiet(parts, *data, epochs=6, batch_size=4, metrics=[impatient], checkpoint=tmp_path / "run")
        assert (history.interrupted, len(history.loss)) == (False, 6)
        quiet(whole, *data, epochs=6, batch_size=4)
        assert np.array_equal(parts.theta, whole.theta)

    def test_with_epochs(self, data, tmp_path):
        whole, parts = self.net(), self.net()
        quiet(whole, *data, epochs=5)
        for epoch in fc.epochs(parts, *data, "half_squared_error", checkpoint=tmp_path / "run"):
            if epoch.number == 2:
                break
        numbers = []
        for epoch in fc.epochs(self.net(), *data, "half_squared_error", checkpoint=tmp_path / "run"):
            numbers.append(epoch.number)
            if epoch.number == 5:
                break
        assert numbers == [3, 4, 5]
        assert np.array_equal(fc.load(tmp_path / "run").theta, whole.theta)

    def test_other_settings_are_refused(self, data, tmp_path):
        quiet(self.net(), *data, epochs=1, checkpoint=tmp_path / "run")
        with pytest.raises(errors.CheckpointError, match="batch_size"):
            quiet(self.net(), *data, epochs=2, batch_size=3, checkpoint=tmp_path / "run")

    def test_an_infinite_validation_loss_does_not_break_it(self, tmp_path):
        net = fc.Network([fc.Dense(1, 1)], seed=0)
        validation = ([[1e30]], [0.0])
        history = quiet(net, [[1.0]], [1.0], epochs=2, validation=validation, checkpoint=tmp_path / "run")
        assert history.validation_loss == [np.inf, np.inf]
        net = fc.Network([fc.Dense(1, 1)], seed=0)
        history = quiet(net, [[1.0]], [1.0], epochs=3, validation=validation, checkpoint=tmp_path / "run")
        assert history.validation_loss == [np.inf] * 3


def test_an_epoch_that_is_interrupted_while_it_is_judged_is_not_counted(data):
    calls = []

    def impatient(z, t):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return 0.0

    history = fc.fit(small(), *data, "half_squared_error", epochs=9, metrics=[impatient], patience=5, progress=False)
    assert history.interrupted
    assert len(history.loss) == len(history.metrics["impatient"]) == 2


class Table:
    """Rows with names of columns, as a table has them."""

    columns = ("a", "b", "c")

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


def raising(kind):
    def metric(z, t):
        raise kind("not now")

    return metric


def diverges(net, x, t):
    quiet(net, x, t * 1e200, fc.MeanSquaredError(), fc.SGD(0.1), 1, warn=False)


def diverges_at_the_start_of_a_solver(net, x, t):
    pytest.importorskip("scipy.optimize")
    quiet(net, x, t * 1e300, fc.MeanSquaredError(), fc.LBFGS(), warn=False)


def has_a_metric_that_raises(net, x, t):
    quiet(net, x, t, fc.MeanSquaredError(), metrics=[raising(ZeroDivisionError)])


def has_a_metric_that_raises_in_a_solver(net, x, t):
    pytest.importorskip("scipy.optimize")
    quiet(net, x, t, fc.MeanSquaredError(), fc.LBFGS(), metrics=[raising(ZeroDivisionError)])


def has_a_schedule_that_raises(net, x, t):
    quiet(net, x, t, fc.MeanSquaredError(), batch_size=4, schedule=lambda epoch: 1 if epoch == 0 else 1 / 0)


def is_called_without_an_epoch(net, x, t):
    fc.epochs(net, x, t, fc.MeanSquaredError()).close()


class TestWhatAFailedRunLeaves:
    """The loss says what outputs mean, so it changes when the weights do, and not before."""

    @pytest.mark.parametrize(
        "run",
        [
            diverges,
            diverges_at_the_start_of_a_solver,
            has_a_metric_that_raises,
            has_a_metric_that_raises_in_a_solver,
            has_a_schedule_that_raises,
            is_called_without_an_epoch,
        ],
    )
    def test_weights_loss_and_columns_from_before(self, run, data):
        x, t = data
        net = small()
        quiet(net, x, (t > 0) * 1.0, "binary_cross_entropy", epochs=1)
        theta, before = net.theta.copy(), net.predictions(x)
        with contextlib.suppress(errors.DivergenceError, ZeroDivisionError):
            run(net, Table(x), t)
        assert net.theta.tobytes() == theta.tobytes()
        assert net.loss == fc.BinaryCrossEntropy()
        assert net.columns.x is None
        assert np.array_equal(net.predictions(x), before)

    def test_a_file_from_before_the_first_epoch_too(self, data, tmp_path):
        x, t = data
        net = small()
        quiet(net, x, (t > 0) * 1.0, "binary_cross_entropy", epochs=1)
        before = net.predictions(x)
        run = fc.epochs(net, Table(x), t, fc.MeanSquaredError(), checkpoint=tmp_path / "run")
        assert np.array_equal(fc.load(tmp_path / "run").predictions(x), before)
        next(run)
        run.close()
        other = small(seed=1)
        fc.epochs(other, Table(x), t, fc.MeanSquaredError(), checkpoint=tmp_path / "run").close()
        for trained in (net, fc.load(tmp_path / "run"), other):  # a resumed run has the weights of the file at once
            assert trained.loss == fc.MeanSquaredError()
            assert trained.columns.x == Table.columns

    @pytest.mark.parametrize(
        "settings",
        [
            {"metrics": [raising(KeyboardInterrupt)]},
            {"metrics": [raising(KeyboardInterrupt)], "engine": "numpy"},
            {"metrics": [raising(KeyboardInterrupt)], "optimizer": "lbfgs"},
            {"schedule": lambda epoch: raising(KeyboardInterrupt)(0, 0) if epoch else 1, "engine": "numpy"},
        ],
    )
    def test_an_epoch_that_is_interrupted_after_a_step_leaves_its_loss(self, settings, data):
        if "optimizer" in settings:
            pytest.importorskip("scipy.optimize")
        x, t = data
        net = small()
        quiet(net, x, t, "huber", epochs=1)
        theta = net.theta.copy()
        history = quiet(net, x, t, fc.MeanSquaredError(), batch_size=4, **settings)
        assert history.interrupted
        assert history.loss == []
        assert (net.theta != theta).any()
        assert net.loss == fc.MeanSquaredError()
