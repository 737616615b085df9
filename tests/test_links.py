"""What the losses take outputs for: the predictions beside the activations, at the extremes, in every dtype."""

from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors, links
from fullyconnected.activations import ACTIVATIONS, Tanh
from fullyconnected.losses import LOSSES

OUTPUTS = {"identity": "identity", "scores": "identity", "log": "exp", "logit": "sigmoid"}
OUTPUTS["multinomial logit"] = "softmax"
ALL = (links.IDENTITY, links.LOG, links.LOGIT, links.MULTINOMIAL_LOGIT, links.SCORES)


@pytest.mark.parametrize("name", LOSSES.classes)
def test_every_loss_says_what_its_outputs_mean(name):
    assert LOSSES.classes[name]().link in ALL


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOSSES.classes)
def test_predictions_have_the_bits_of_a_network_that_ends_in_the_activation(name, dtype, rng):
    loss = LOSSES.classes[name]()
    net = fc.mlp([3, 4, 5], activation="tanh", dtype=dtype, seed=0)
    ends = fc.mlp([3, 4, 5], "tanh", OUTPUTS[loss.link.name], dtype=dtype, seed=0)
    x = 10 * rng.normal(size=(50, 3))
    z = net.predict(x, engine="numpy")
    y = loss.predictions(z)
    assert y.dtype == dtype
    assert y is not z
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(y, ends.predict(x, engine="numpy"))
    assert loss.link.refuses == () or OUTPUTS[loss.link.name] in (*loss.link.refuses, "identity")


@pytest.mark.parametrize("name", LOSSES.classes)
def test_what_must_not_come_before_is_known(name):
    assert {*LOSSES.classes[name]().link.refuses} <= {*ACTIVATIONS.classes}


def test_probabilities_and_rates_as_one_would_compute_them():
    z = np.array([[0.0, np.log(3.0)], [-1.0, 1.0]])
    np.testing.assert_allclose(fc.SoftmaxCrossEntropy().predictions(z)[0], [0.25, 0.75], rtol=1e-15)
    np.testing.assert_allclose(fc.BinaryCrossEntropy().predictions(z)[0], [0.5, 0.75], rtol=1e-15)
    np.testing.assert_allclose(fc.Poisson().predictions(z)[0], [1, 3], rtol=1e-15)
    for loss in (fc.HalfSquaredError(), fc.Hinge()):
        assert loss.predictions(z).tolist() == z.tolist()


@pytest.mark.parametrize(("dtype", "far"), [(np.float64, 1e300), (np.float32, 1e38)])
def test_the_largest_outputs(dtype, far):
    z = np.array([[far, -far], [-far, -far], [far, far], [0, far]], dtype)
    half = [0.5, 0.5]
    assert fc.SoftmaxCrossEntropy().predictions(z).tolist() == [[1, 0], half, half, [0, 1]]
    assert fc.BinaryCrossEntropy().predictions(z).tolist() == [[1, 0], [0, 0], [1, 1], [0.5, 1]]
    assert fc.Poisson().predictions(z).tolist() == [[np.inf, 0], [0, 0], [np.inf, np.inf], [1, np.inf]]
    assert fc.HalfSquaredError().predictions(z).tolist() == z.tolist()


@pytest.mark.parametrize("name", LOSSES.classes)
def test_nan_stays(name):
    y = LOSSES.classes[name]().predictions([[np.nan, 0.0], [1.0, 2.0]])
    assert np.isnan(y[0, 0])
    assert np.isfinite(y[1]).all()


@pytest.mark.parametrize("name", LOSSES.classes)
def test_what_is_given_is_checked_and_left_alone(name):
    loss = LOSSES.classes[name]()
    z = np.array([[1.0, 2.0], [3.0, 4.0]])
    z.flags.writeable = False
    y = loss.predictions(z)
    y += 1
    assert z.tolist() == [[1, 2], [3, 4]]
    assert loss.predictions([[1, 2], [3, 4]]).dtype == np.float64
    assert loss.predictions(np.asfortranarray(z)).tolist() == loss.predictions(z).tolist()
    assert loss.predictions(np.empty((0, 2), np.float32)).shape == (0, 2)
    with pytest.raises(errors.ShapeError, match=r"outputs are \(rows, n_out\); got \(2,\)"):
        loss.predictions([1.0, 2.0])
    with pytest.raises(errors.InputTypeError, match="z has dtype"):
        loss.predictions([["a", "b"]])
    if loss.min_outputs > 1:
        with pytest.raises(errors.ShapeError, match="takes 2 outputs or more"):
            loss.predictions([[1.0]])


class Square(fc.ActivationFunction):
    name = "square"

    def forward(self, z, c, y):
        c.xp.multiply(z, z, out=y)


def of_link(link):
    return type("Mine", (fc.Loss,), {"name": "mine", "link": link})


def test_a_loss_of_ones_own_has_numbers_unless_it_says_otherwise():
    class Plain(fc.Loss):
        name = "plain"

    assert Plain().link is links.IDENTITY
    assert Plain().predictions([[-3.0]]).tolist() == [[-3]]
    assert of_link(links.LOG)().predictions([[0.0]]).tolist() == [[1]]
    squared = links.Link("square root", inverse=Square(), takes="roots, and squares them itself", refuses=("square",))
    assert of_link(squared)().predictions([[-3.0]]).tolist() == [[9]]
    with pytest.raises(errors.ConfigError, match=r"network ends in 'square', but Mine takes roots, and squares"):
        fc.fit(fc.Network([fc.Dense(1, 1, Square())], seed=0), [[1.0]], [1.0], of_link(squared)())


def test_an_inverse_of_ones_own_must_not_write_to_the_outputs():
    class Wrong(Square):
        def forward(self, z, c, y):
            z[...] = 0

    with pytest.raises(errors.ConfigError, match=r"Wrong\(\) writes to an array that it may only read \(z\)"):
        of_link(links.Link("wrong", inverse=Wrong()))().predictions([[1.0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: of_link("logit"), r"Mine.link is 'logit'; one of fc.links is wanted, such as link = fc.links.LOGIT"),
        (lambda: type("Mine", (fc.HalfSquaredError,), {"link": None}), r"Mine.link is None"),
        (lambda: links.Link("mine", "odds"), "predicts of a Link is one of values, rates, labels, classes, scores"),
        (lambda: links.Link("mine", inverse="exp"), "inverse of a Link is an ActivationFunction or None; got 'exp'"),
        (lambda: links.Link("mine", inverse=Tanh), "inverse of a Link is an ActivationFunction or None"),
        (lambda: links.Link("mine", refuses="exp"), "refuses of a Link is a tuple of names; got 'exp'"),
    ],
)
def test_a_link_that_is_none_is_told(make, message):
    with pytest.raises(errors.ConfigError, match=message):
        make()


def test_metrics_follow_the_link_of_a_loss_of_ones_own():
    class Cross(fc.Loss):
        name = "cross"

        def terms(self, z, t, c, dz):
            c.e[...] = 0
            dz[...] = 0

    net, x = fc.Network([fc.Dense(1, 1, init="ones")], seed=0), [[-1.0], [0.2], [2.0]]
    assert net.evaluate(x, [0, 0, 1], Cross()).metrics == {"accuracy": 1.0}  # beyond 0.5
    Cross.link = links.LOGIT
    assert net.evaluate(x, [0, 1, 1], Cross()).metrics == {"accuracy": 1.0}  # beyond 0
    Cross.link = links.LOG
    assert net.evaluate(x, [0, 1, 1], Cross()).metrics == {}
    with pytest.raises(errors.ConfigError, match=r"takes logarithms of rates.*loss\.predictions\(z\)"):
        net.evaluate(x, [0, 1, 1], Cross(), ["r2"])


X = np.random.default_rng(0).normal(size=(12, 2))


@pytest.mark.parametrize("train", [fc.fit, lambda *given, **named: next(iter(fc.epochs(*given)))])
def test_a_network_remembers_what_it_was_trained_with(train):
    net = fc.mlp([2, 3], seed=0)
    assert net.loss is None
    train(net, X, np.arange(12) % 3, "softmax_cross_entropy", progress=False)
    assert net.loss == fc.SoftmaxCrossEntropy()
    np.testing.assert_allclose(net.predictions(X).sum(axis=1), 1, rtol=1e-6)
    assert net.predictions(X, engine="numpy").dtype == np.float32
    assert net.predictions(X[:0]).shape == (0, 3)
    train(net, X, np.zeros((12, 3)), fc.Huber(0.5), progress=False)
    assert net.loss == fc.Huber(0.5)
    assert np.array_equal(net.predictions(X), net.predict(X))
    with pytest.raises(errors.DataError):
        train(net, X, np.full((12, 3), -1.0), fc.Poisson(), progress=False)
    assert net.loss == fc.Huber(0.5)


@pytest.mark.parametrize("judge", [fc.Network.evaluate, fc.Network.gradients, fc.check_gradients])
def test_what_a_network_is_judged_by_is_not_what_it_was_trained_with(judge):
    net = fc.mlp([2, 3], seed=0)
    judge(net, X, np.zeros((12, 3)), fc.Huber())
    assert net.loss is None


def test_a_loss_may_be_assigned_and_is_checked():
    net = fc.mlp([2, 1], seed=0)
    with pytest.raises(errors.ConfigError, match=r"no loss.*net\.loss = fc\.SoftmaxCrossEntropy\(\)"):
        net.predictions(X)
    net.loss = fc.Poisson()
    assert np.array_equal(net.predictions(X), np.exp(net.predict(X)))
    net.loss = "binary_cross_entropy"
    assert net.loss == fc.BinaryCrossEntropy()
    with pytest.raises(errors.ConfigError, match="SoftmaxCrossEntropy takes 2 outputs or more"):
        net.loss = "softmax_cross_entropy"
    with pytest.raises(errors.InputTypeError, match="expected a loss"):
        net.loss = 0.5
    assert net.loss == fc.BinaryCrossEntropy()
    net.loss = None
    assert net.loss is None
    with pytest.raises(errors.ConfigError, match="network ends in 'sigmoid', but BinaryCrossEntropy takes logits"):
        fc.mlp([2, 1], output_activation="sigmoid").loss = "binary_cross_entropy"


class TestFiles:
    """A network's file holds its loss, by name and settings; what no file can hold is left out, and said."""

    @pytest.mark.parametrize("loss", [*(cls() for cls in LOSSES.classes.values()), fc.Huber(0.25), fc.Quantile(0.9)])
    def test_every_loss_comes_back(self, loss, tmp_path):
        net = fc.mlp([2, 3], seed=0)
        net.loss = loss
        net.save(tmp_path / "net")
        loaded = fc.load(tmp_path / "net")
        assert loaded.loss == loss
        assert np.array_equal(loaded.predictions(X), net.predictions(X))

    def test_checkpoints_hold_it(self, tmp_path):
        net = fc.mlp([2, 1], seed=0)
        fc.fit(net, X, np.ones(12), fc.Poisson(), epochs=1, checkpoint=tmp_path / "run", progress=False)
        loaded = fc.load(tmp_path / "run")
        assert loaded.loss == fc.Poisson()
        assert np.array_equal(loaded.predictions(X), net.predictions(X))

    def test_none(self, tmp_path):
        fc.mlp([2, 1], seed=0).save(tmp_path / "net")
        assert fc.load(tmp_path / "net").loss is None

    @pytest.mark.parametrize("registered", [True, False])
    def test_a_loss_of_ones_own(self, tmp_path, monkeypatch, registered):
        monkeypatch.setattr(LOSSES, "classes", dict(LOSSES.classes))

        @dataclass(frozen=True)
        class Mine(fc.HalfSquaredError):
            name: ClassVar[str] = "mine"
            power: float = 2.0

        if registered:
            fc.register(Mine)
        net = fc.mlp([2, 1], seed=0)
        fc.fit(net, X, np.ones(12), Mine(3.0), epochs=1, checkpoint=tmp_path / "run", progress=False)
        net.save(tmp_path / "net")
        for path in (tmp_path / "net", tmp_path / "run"):
            assert fc.load(path).loss == (Mine(3.0) if registered else None)
        LOSSES.classes.pop("mine", None)
        for _ in range(2):  # the second time from a file that the loaded network has written
            loaded = fc.load(tmp_path / "net")
            assert loaded.loss is None
            with pytest.raises(
                errors.ConfigError,
                match=r"(?i)saved with a loss, .*mine, that is not registered, has changed or cannot be",
            ):
                loaded.predictions(X)
            assert np.array_equal(loaded.predict(X), net.predict(X))
            loaded.copy().save(tmp_path / "net")
        if registered:
            fc.register(Mine)
            assert fc.load(tmp_path / "net").loss == Mine(3.0)

    @pytest.mark.parametrize("setting", [np.sin, np.inf, np.float32("nan"), Fraction(10**400)])
    def test_a_loss_whose_settings_no_file_can_hold(self, tmp_path, monkeypatch, setting):
        monkeypatch.setattr(LOSSES, "classes", dict(LOSSES.classes))

        @dataclass(frozen=True)
        class Bent(fc.HalfSquaredError):
            name: ClassVar[str] = "bent loss"
            f: Callable | float = np.sin

        fc.register(Bent)
        net = fc.mlp([2, 1], seed=0)
        net.loss = Bent(setting)
        net.save(tmp_path / "net")
        fc.fit(net, X, np.ones(12), Bent(setting), epochs=1, checkpoint=tmp_path / "run", progress=False)
        with pytest.raises(
            errors.ConfigError,
            match=r"saved with a loss, Bent, that is not registered, has changed or cannot be stored\. Set it",
        ):
            fc.load(tmp_path / "net").predictions(X)

    @pytest.mark.parametrize(
        "now",
        [
            make_dataclass("Mine", [("d", float, 1.0)], bases=(fc.HalfSquaredError,), frozen=True),  # other settings
            make_dataclass("Mine", [("power", float)], bases=(fc.SoftmaxCrossEntropy,), frozen=True),  # other outputs
            type("Mine", (fc.HalfSquaredError,), {"__init__": lambda self, power: 1 / 0}),
        ],
    )
    def test_a_loss_that_has_changed_since(self, tmp_path, monkeypatch, now):
        monkeypatch.setattr(LOSSES, "classes", dict(LOSSES.classes))
        then = make_dataclass("Mine", [("power", float)], bases=(fc.HalfSquaredError,), frozen=True)
        then.name = now.name = "mine"
        fc.register(then)
        net = fc.mlp([2, 1], seed=0)
        net.loss = then(3.0)
        net.save(tmp_path / "net")
        LOSSES.classes["mine"] = now
        loaded = fc.load(tmp_path / "net")
        assert loaded.loss is None
        assert loaded.theta.tobytes() == net.theta.tobytes()
        with pytest.raises(errors.ConfigError, match="a loss, mine, that is not registered, has changed or"):
            loaded.predictions(X)

    def test_a_loss_that_does_not_fit_the_network_is_damage(self, tmp_path):
        net = fc.mlp([2, 1], seed=0)
        net._loss = fc.SoftmaxCrossEntropy()
        net.save(tmp_path / "net")
        with pytest.raises(
            errors.FileFormatError, match="loss of the network cannot be used: SoftmaxCrossEntropy takes 2"
        ):
            fc.load(tmp_path / "net")
