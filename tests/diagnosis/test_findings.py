"""Each finding: a network that has it, at which place, and a sibling that has not."""

from itertools import pairwise

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.diagnosis.findings import NAMES, SEVERITIES
from fullyconnected.training.history import History

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6))
CLASSES = np.digitize(X[:, 0] + 0.5 * X[:, 1], [-0.5, 0.5])
T = np.tanh(X[:, :2] @ [1.0, -1.0])
SOFTMAX, SQUARED, BINARY = "softmax_cross_entropy", "half_squared_error", "binary_cross_entropy"


def dense(*sizes, activation="tanh", init=None, last=None):
    """Return layers with these initial weights; ``last`` are those of the last layer."""
    pairs = list(pairwise(sizes))
    hidden = [fc.Dense(n_in, n_out, activation, init=init) for n_in, n_out in pairs[:-1]]
    return [*hidden, fc.Dense(*pairs[-1], init=init if last is None else last)]


def found(net, x=X, t=CLASSES, loss=SOFTMAX, history=None):
    """Return what is found, as pairs of name and place, without notes."""
    before = net.theta.copy(), net.state.copy(), net.loss, net.columns
    report = fc.diagnose(net, x, t, loss, history)
    np.testing.assert_array_equal(net.theta, before[0])  # the network stays as it is
    np.testing.assert_array_equal(net.state, before[1])
    assert (net.loss, net.columns) == before[2:]
    for each in report.findings:
        assert each.name in NAMES
        assert each.severity in SEVERITIES
        assert str(each) == f"{each.seen}. {each.change}"
        assert "\n" not in str(each)
    return [(each.name, each.where) for each in report.findings if each.severity != "note"]


def trained(net, x=X, t=CLASSES, loss=SOFTMAX, optimizer=None, epochs=60, **settings):
    settings = {"batch_size": 32, "progress": False, "warn": False, **settings}
    return net, fc.fit(net, x, t, loss, optimizer or fc.Adam(0.01), epochs, **settings)


def notes(net, x, t=CLASSES, loss=SOFTMAX):
    return {each.name: each for each in fc.diagnose(net, x, t, loss).findings if each.severity == "note"}


class TestUnits:
    def test_dead(self):
        net = fc.mlp([6, 32, 16, 3], seed=0)
        assert found(net) == []
        net.params[1].b[:8] = -100.0
        assert found(net) == [("dead_units", "dense_2")]
        (finding, _) = fc.diagnose(net, X, CLASSES, SOFTMAX).findings
        dead = int((np.maximum(X @ net.params[0].W, 0) @ net.params[1].W + net.params[1].b <= 0).all(axis=0).sum())
        assert finding.seen.startswith(f"{dead} of the 16 units ({dead / 16:.0%}) of dense_2 are dead")
        net.params[1].b[:8] = 0
        net.params[1].b[:3] = -100.0
        assert found(net) == []  # a few are no harm

    @pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "elu", "selu", "mish", "softplus"])
    def test_dead_whatever_the_activation(self, activation):
        for layers in (
            [fc.Dense(6, 16, activation), fc.Dense(16, 3)],
            [fc.Dense(6, 16), fc.Activation(activation), fc.Dense(16, 3)],
        ):
            net = fc.Network(layers, seed=0)
            assert found(net) == []
            net.params[0].b = -60.0
            name = "activation_1" if len(layers) == 3 else "dense_1"
            assert ("dead_units", name) in found(net)

    def test_a_leaky_unit_is_never_dead(self):
        net = fc.mlp([6, 16, 3], "leaky_relu", seed=0)
        net.params[0].b = -60.0
        assert "dead_units" not in dict(found(net))

    def test_within_a_block(self):
        net = fc.Network([fc.Dense(6, 8), fc.Residual([fc.Dense(8, 8, "relu")]), fc.Dense(8, 3)], seed=0)
        assert found(net) == []
        net.params[1][0].b = -100.0
        assert found(net) == [("dead_units", "residual_1.dense_1")]

    @pytest.mark.parametrize(("activation", "factor"), [("tanh", 100), ("sigmoid", 400)])
    def test_saturated(self, activation, factor):
        net = fc.mlp([6, 16, 8, 3], activation, seed=0)
        assert found(net) == []
        net.params[0].W *= factor
        (finding,) = (each for each in fc.diagnose(net, X, CLASSES, SOFTMAX).findings if each.name != "cannot_overfit")
        assert (finding.name, finding.where) == ("saturated_units", "dense_1")
        assert f"their {activation} is flat" in finding.seen

    def test_equal(self):
        for init in ("zeros", lambda rng, shape, *_: np.full(shape, 0.1)):
            net = fc.Network(dense(6, 16, 3, init=init))
            assert ("symmetric_weights", "dense_1") in found(net)
            trained(net, epochs=3)
            assert ("symmetric_weights", "dense_1") in found(net)  # and so it stays
        net = fc.Network(dense(6, 16, 8, 3), seed=0)
        net.params[1].W, net.params[2].W = 0.2, 0.3
        assert found(net)[0] == ("symmetric_weights", "dense_2")

    def test_equal_weights_that_do_not_stay_equal(self):
        assert found(fc.Network(dense(6, 16, 3, last="zeros"), seed=0)) == []
        net = fc.Network(dense(6, 16, 3), seed=0)
        net.params[0].W = 0.1  # the weights that follow differ, and so do the gradients
        assert "symmetric_weights" not in dict(found(net))
        assert "symmetric_weights" not in dict(found(fc.Network([fc.Dense(6, 3, init="zeros")])))  # no hidden units
        assert "symmetric_weights" not in dict(found(fc.Network(dense(6, 1, 3), seed=0)))


class TestGradients:
    def test_vanishing(self):
        assert found(fc.mlp([6, *[16] * 4, 3], "sigmoid", seed=0)) == []
        net = fc.mlp([6, *[16] * 12, 3], "sigmoid", seed=0)
        assert ("gradients_vanishing", "dense_1") in found(net)
        blocks = [fc.Residual([fc.Dense(16, 16, "sigmoid")]) for _ in range(12)]
        assert found(fc.Network([fc.Dense(6, 16), *blocks, fc.LayerNorm(), fc.Dense(16, 3)], seed=0)) == []

    def test_exploding(self):
        sizes = (6, *[32] * 6, 3)
        assert found(fc.Network(dense(*sizes, activation="relu"), seed=0)) == []
        large = fc.Network(dense(*sizes, activation="relu", init=1.5), seed=0)
        assert ("gradients_exploding", "dense_1") in found(large)
        (seen,) = (each.seen for each in fc.diagnose(large, X, CLASSES, SOFTMAX).findings if "exploding" in each.name)
        g = large.gradients(X, CLASSES, SOFTMAX)
        assert "times that at the output" in seen
        assert np.linalg.norm(g.theta) > 1e3

    def test_large_beside_the_weights(self):
        net = fc.mlp([6, 16, 1], seed=0)
        assert found(net, t=T, loss=SQUARED) == []
        net.params[1].W *= 1e-3
        net.params[1].b = 100.0
        assert found(net, t=T, loss=SQUARED)[0] == ("gradients_exploding", "dense_2.W")

    def test_nothing_left_to_learn(self):
        """At a loss of 0 all gradients are 0, and none has vanished."""
        net = fc.mlp([6, 16, 1], "tanh", seed=0, dtype=np.float64)
        assert found(net, t=net.predict(X), loss=SQUARED) == []


class TestData:
    def test_features_unscaled(self):
        net = fc.mlp([6, 16, 3], "tanh", seed=0)
        assert found(net, X * [1, 1, 1, 1, 1e6, 1])[0] == ("features_unscaled", "x[:, 4]")
        assert found(net, X * [1, 1, 1, 1, 10, 1]) == []
        norm = fc.Network([fc.BatchNorm(n_in=6), *dense(6, 16, 3)], seed=0)
        assert "features_unscaled" not in dict(found(norm, X * [1, 1, 1, 1, 1e6, 1]))

    def test_a_network_that_has_learned_copes_with_its_features(self):
        net, history = trained(fc.mlp([6, 16, 3], seed=0), X * 40, epochs=100)
        assert "features_unscaled" in notes(net, X * 40)
        assert "features_unscaled" not in dict(found(net, X * 40, history=history))

    def test_targets_unscaled(self):
        net = fc.mlp([6, 16, 1], "tanh", seed=0)
        assert found(net, t=T * 77 + 152, loss=SQUARED) == [("targets_unscaled", "t[:, 0]")]
        assert found(net, t=T, loss=SQUARED) == []

    def test_targets_constant(self):
        for t, loss, n in ((np.full(300, 2), SOFTMAX, 3), (np.full(300, 0.5), SQUARED, 1)):
            assert found(fc.mlp([6, 16, n], seed=0), t=t, loss=loss) == [("targets_constant", "t")]

    def test_features_constant_or_repeated(self):
        x = np.c_[X, np.ones(300), 3 - 2 * X[:, 1], X[:, 1] + 1e-3 * X[:, 2]]
        net = fc.mlp([9, 16, 3], seed=0)
        assert found(net, x) == []
        told = notes(net, x)
        assert {name: each.where for name, each in told.items()} == {
            "features_constant": "x[:, 6]",
            "features_duplicate": "x[:, 7]",
        }
        assert "1 of the 9 features is the same as another one" in told["features_duplicate"].seen
        assert told["features_duplicate"].seen.endswith("x[:, 7] as x[:, 1]")
        assert notes(fc.mlp([6, 16, 3], seed=0), X) == {}
        assert ("features_constant", "x") in found(net, np.ones((300, 9)))

    def test_a_feature_that_is_missing_in_each_row(self):
        x, t = RNG.normal(size=(5000, 2)), np.arange(5000) % 2
        x[:, 1] = np.nan
        net = fc.Network([fc.Standardize(2, missing=True), fc.Dense(4, 2)], seed=0)
        assert notes(net, x, t)["features_constant"].where == "x[:, 1]"
        for row in range(5):  # some of them are not in the sample of the rows
            rare = x.copy()
            rare[row, 1] = 0.5
            assert "features_constant" not in notes(net, rare, t)

    def test_features_have_names(self):
        class Table:
            columns = ("age", "rooms", "income", "year", "size", "rate")
            x = X * [1, 1, 1, 1, 1e6, 1]

            def __array__(self, dtype=None, copy=None):
                return self.x

        assert found(fc.mlp([6, 16, 3], seed=0), Table())[0] == ("features_unscaled", "x[:, 4] ('size')")

    def test_tables_whose_rows_come_in_another_order(self):
        pandas = pytest.importorskip("pandas", reason="tables of pandas have labels of rows")
        x, t = pandas.DataFrame(X, columns=list("abcdef")), pandas.Series(CLASSES)
        net = fc.mlp([6, 16, 3], seed=0)
        assert found(net, x.sort_values("a"), t) == [("rows_in_another_order", "x, t")]
        assert found(net, x, t) == []

    @pytest.mark.parametrize("loss", [SOFTMAX, "hinge", BINARY])
    def test_class_imbalance(self, loss):
        rare = np.zeros(300, int)
        rare[::50] = 1  # in no relation to x
        net, history = trained(fc.mlp([6, 4, 1 if loss == BINARY else 2], seed=0), t=rare, loss=loss, epochs=30)
        assert ("class_imbalance", "t[:, 0]" if loss == BINARY else "class 1") in found(net, X, rare, loss, history)
        clear = (X[:, 0] > 1.5).astype(int)
        net, history = trained(fc.mlp([6, 16, 1 if loss == BINARY else 2], seed=0), t=clear, loss=loss, epochs=100)
        assert found(net, X, clear, loss, history) == []


class TestLoss:
    def test_above_chance(self):
        net, history = trained(fc.mlp([6, 16, 3], seed=0), optimizer=fc.SGD(1e-9), epochs=5)
        assert ("loss_above_chance", "the network") in found(net, history=history)
        net, history = trained(fc.mlp([6, 16, 3], seed=0))
        assert found(net, history=history) == []
        assert found(fc.mlp([6, 16, 3], seed=0)) == []  # of a network without training nothing else is expected

    def test_without_a_history_biases_tell_whether_it_was_trained(self):
        net = fc.mlp([6, 16, 3], seed=0)
        net.params[0].b = 0.01
        assert [*notes(net, X)] == ["loss_above_chance"]  # or somebody has set them
        net.loss = SOFTMAX
        assert found(net) == [("loss_above_chance", "the network")]
        assert "loss_above_chance" not in dict(found(fc.mlp([6, 16, 3], seed=0)))

    def test_cannot_overfit(self):
        assert "cannot_overfit" in dict(found(fc.Network(dense(6, 16, 3, init="zeros"))))
        xor = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
        assert found(fc.mlp([2, 1], seed=0), xor, [0, 1, 1, 0], BINARY) == [("cannot_overfit", "the network")]
        assert found(fc.mlp([2, 8, 1], "tanh", seed=0), xor, [0, 1, 1, 0], BINARY) == []

    def test_rows_that_repeat_are_not_to_be_learned_by_heart(self):
        x, numbers = np.repeat(np.c_[np.linspace(-2, 2, 5), np.zeros(5)], 4, axis=0), np.arange(20)
        t = ((numbers > 11) + numbers) % 2  # those of equal rows differ
        for hole in (0.0, np.nan):
            x[:, 1] = hole
            net = fc.Network([fc.Standardize(2, missing=True), fc.Dense(4, 32, "tanh"), fc.Dense(32, 2)], seed=0)
            assert "cannot_overfit" not in dict(found(net, x, t))

    def test_a_wrong_gradient_of_your_own(self):
        class Turned(fc.ActivationFunction):
            name = "turned"
            sign = -1.0

            def forward(self, z, c, y):
                y[...] = z

            def backward(self, z, c, y, dy):
                dy *= self.sign

        class Right(Turned):
            sign = 1.0

        for f, names in ((Turned(), ["cannot_overfit"]), (Right(), [])):
            net = fc.Network([fc.Dense(6, 16, "tanh"), fc.Dense(16, 1), fc.Activation(f)], seed=0)
            assert [*dict(found(net, t=T, loss=SQUARED))] == names

    def test_not_finite(self):
        net = fc.mlp([6, 16, 3], seed=0)
        net.theta[7] = np.nan
        assert found(net) == [("not_finite", "dense_1.W")]
        net = fc.Network([fc.Dense(6, 4), fc.BatchNorm(), fc.Dense(4, 3)], seed=0)
        net.state[1] = np.inf
        assert found(net) == [("not_finite", "batch_norm_1.running_mean")]
        net = fc.mlp([6, 16, 3], seed=0)
        net.params[0].W, net.params[1].W = 1e25, 1e25
        (finding,) = fc.diagnose(net, X, CLASSES, SOFTMAX).findings
        assert (finding.severity, finding.name, finding.where) == ("error", "not_finite", "dense_2")
        assert "the network's own parameters reach 1e+25" in finding.change  # as a run that diverges says it
        (first, *_) = fc.diagnose(fc.mlp([6, 1], seed=0), X * 1e25, T, SQUARED).findings
        assert (first.severity, first.where) == ("error", "the loss")
        assert "reaches" in first.change

    @pytest.mark.parametrize("curve", [[1.0, np.nan], [1.0, 2.0, np.inf]])
    def test_not_finite_in_an_epoch(self, curve):
        assert found(fc.mlp([6, 16, 3], seed=0), history=curve)[0] == ("not_finite", f"epoch {len(curve)}")


class TestCurves:
    net = trained(fc.mlp([6, 16, 3], seed=0))[0]

    def told(self, loss, validation=(), **settings):
        return found(self.net, history=History(list(loss), list(validation), **settings))

    def test_still_falling(self):
        n = np.arange(20)
        assert self.told(1 - 0.02 * n) == [("loss_still_falling", "epoch 20")]
        assert self.told(0.9**n + 0.5, stopped="patience") == []
        assert self.told(0.1**n + 0.5) == []
        assert self.told([1.0, 0.5]) == []  # too few to say
        rough = [0.5, 0.52, 0.49, 0.53, 0.5, 0.54, 0.51]  # as with batch norm, or small batches
        assert self.told([1.0, 0.8, *rough, 0.53, 0.52, 0.5]) == []
        (finding,) = fc.diagnose(self.net, X, CLASSES, SOFTMAX, 1 - 0.02 * n).findings
        assert finding.seen == "the loss is still falling, by 0.02 an epoch over the last 3, and is 0.62 in epoch 20"
        (finding,) = fc.diagnose(self.net, X, CLASSES, SOFTMAX, 1 - 0.002 * n).findings
        assert finding.severity == "note"

    def test_rising(self):
        n = np.arange(30)
        assert self.told(np.where(n < 10, 1 - 0.05 * n, 0.2 + 0.03 * n)) == [("loss_rising", "epoch 11")]
        assert self.told(np.where(n < 10, 1 - 0.05 * n, 0.5 + 0.001 * n)) == []

    def test_oscillating(self):
        n = np.arange(30)
        assert self.told(0.5 + 0.2 * (-1.0) ** n) == [("loss_oscillating", "epochs 16 to 30")]
        assert self.told(0.5 + 0.01 * (-1.0) ** n) == []

    def test_a_learning_rate_that_is_too_high(self):
        net, history = trained(fc.mlp([6, 16, 3], seed=0), optimizer=fc.Adam(3.0), epochs=20)
        assert {"loss_rising", "loss_oscillating"} & {*dict(found(net, history=history))}

    def test_overfitting(self):
        t = RNG.permutation(CLASSES)  # in no relation to x
        settings = {"validation": (X[:150], t[:150]), "epochs": 80}
        net, history = trained(fc.mlp([6, 64, 3], seed=0), X[150:], t[150:], **settings)
        best = int(np.argmin(history.validation_loss)) + 1
        assert found(net, X[150:], t[150:], history=history) == [("overfitting", f"epoch {best}")]
        net, history = trained(fc.mlp([6, 64, 3], seed=0), X[150:], t[150:], patience=5, **settings)
        assert "overfitting" not in dict(found(net, X[150:], t[150:], history=history))  # it has the best weights
        net, history = trained(
            fc.mlp([6, 16, 3], seed=0), X[150:], validation=(X[:150], CLASSES[:150]), t=CLASSES[150:]
        )
        assert found(net, X[150:], CLASSES[150:], history=history) == []


def test_causes_come_before_consequences():
    net = fc.mlp([6, 16, 3], "tanh", seed=0)
    names = [name for name, _ in found(net, X * 1e6)]
    assert names == sorted(names, key=NAMES.index)
    assert names[:2] == ["features_unscaled", "saturated_units"]


class TestYourOwn:
    """Losses and layers of a user's own, of which nothing is known."""

    def test_losses(self):
        class Fourth(fc.Loss):
            name = "fourth"

            def terms(self, z, t, c, dz):
                c.e[...] = (z - t) ** 4
                dz[...] = 4 * (z - t) ** 3

        class Weighted(fc.Loss):
            """Targets are a value and its weight: two columns for one output."""

            name = "weighted"

            def encode_targets(self, t, n_out):
                return np.asarray(t)

            def cache(self, rows, n_out):
                return {"e": (rows, n_out)}

            def terms(self, z, t, c, dz):
                c.e[...] = t[:, 1:] * (z - t[:, :1]) ** 2
                dz[...] = 2 * t[:, 1:] * (z - t[:, :1])

        class Flat(Weighted):
            """One number a row, and no column."""

            name = "flat"

            def terms(self, z, t, c, dz):
                c.e[...] = (z - t[:, None]) ** 2
                dz[...] = 2 * (z - t[:, None])

        for loss, t in ((Fourth(), T), (Weighted(), np.c_[T, np.ones(300)]), (Flat(), T)):
            net = fc.mlp([6, 16, 1], "tanh", seed=0)
            assert found(net, X, t, loss) == []
            net, history = trained(net, X, t, loss)
            assert found(net, X, t, loss, history) == []

    def test_layers(self):
        class Twice(fc.Layer):
            name = "twice"
            n_in = n_out = 16
            activation = "of its own"  # which means nothing to others

            def forward(self, p, x, c, y, *, train):
                y[...] = 2 * x

            def backward(self, p, x, c, y, dy, g, dx):
                dx[...] = 2 * dy

        net = fc.Network([fc.Dense(6, 16, "relu"), Twice(), fc.Dense(16, 3)], seed=0)
        assert found(net) == []
        net.params[0].b = -100.0
        assert ("dead_units", "dense_1") in found(net)
