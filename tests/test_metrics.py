"""What evaluate and fit judge by, against formulas and scikit-learn."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.metrics import METRICS


def outputs(z):
    """A network whose outputs are its inputs: metrics can be tried on any numbers."""
    return fc.Network([fc.Activation("identity", n_in=np.shape(z)[1])], dtype=np.float64)


def metric(name, z, t, loss, w=None):
    return outputs(z).evaluate(z, t, loss, [name], sample_weight=w).metrics[name]


class TestAccuracy:
    def test_class_numbers(self):
        z = [[3, 1, 2], [0, 1, 0], [0, 0, 5], [1, 0, 0]]
        assert metric("accuracy", z, [0, 1, 0, 0], "softmax_cross_entropy") == 0.75
        assert metric("accuracy", z, np.eye(3)[[0, 1, 0, 0]], "softmax_cross_entropy") == 0.75
        assert metric("accuracy", z, [0, 1, 0, 0], "hinge") == 0.75
        assert metric("accuracy", z, np.eye(3)[[0, 1, 0, 0]], "hinge") == 0.75

    def test_weights(self):
        z = [[3, 1], [0, 1], [0, 5]]
        assert metric("accuracy", z, [0, 0, 1], "softmax_cross_entropy", [1, 3, 4]) == 5 / 8
        assert metric("accuracy", z, [0, 0, 1], "softmax_cross_entropy", [1, 0, 4]) == 1

    def test_one_logit(self):
        assert metric("accuracy", [[0.2], [-0.2], [5], [0.4]], [1, 0, 0, 1], "binary_cross_entropy") == 0.75

    def test_one_output_after_a_sigmoid(self):
        net = fc.Network([fc.Activation("sigmoid", n_in=1)], dtype=np.float64)
        z = [[0.2], [-0.2], [5], [0.4]]
        assert net.evaluate(z, [1, 0, 0, 1], "half_squared_error").metrics["accuracy"] == 0.75

    def test_many_labels(self):
        z = [[1, -1, 1], [1, 1, 1], [-1, -1, -1]]
        assert metric("accuracy", z, [[1, 0, 1], [1, 1, 0], [0, 0, 0]], "binary_cross_entropy") == pytest.approx(2 / 3)

    def test_nan_is_no_class(self):
        z = np.array([[np.nan, 1.0], [3.0, 1.0]])
        found = METRICS.build("accuracy")(z, np.array([0, 0]), np.ones(2))
        assert found == 0.5

    @pytest.mark.parametrize("high", [1, 1.0])
    def test_targets_of_minus_one_and_one(self, high):
        """The boundary lies halfway between them."""
        assert metric("accuracy", [[0.2], [-0.2], [5], [0.4]], [high, -high, -high, high], "half_squared_error") == 0.75
        t = 2 * np.eye(3)[[0, 1, 1]] - 1
        assert metric("accuracy", [[0.1, 0, -1], [1, 2, 0], [3, 0, 0]], t, "half_squared_error") == pytest.approx(2 / 3)

    def test_targets_of_minus_one_and_one_where_one_of_them_is_in_the_validation_data_alone(self):
        net = outputs([[1.0]])
        x, t = np.array([[0.2], [-0.5]]), np.array([1.0, -1.0])
        found = fc.fit(
            net, x, t, "half_squared_error", epochs=1, validation=(x[:1], t[:1]), metrics="accuracy", progress=False
        )
        assert found.metrics["accuracy"] == [1.0]  # 0.2 stands for 1 between -1 and 1, and not between 0 and 1

    def test_default(self):
        assert outputs([[1, 0]]).evaluate([[1, 0]], [0], "softmax_cross_entropy").metrics == {"accuracy": 1.0}


NUMBERS, COUNTS = np.array([[0.3, 2.0], [1.5, -1.0], [0.0, 1.0]]), np.array([[0, 1], [3, 2], [1, 0]])
SOFT = np.array([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]])


class Distribution(fc.Loss):
    """A mean and a log-deviation for one target: its outputs are no numbers to compare with the targets."""

    name = "distribution"
    min_outputs = 2

    def encode_targets(self, t, n_out):
        return t.reshape(len(t), 1).astype(float)

    def cache(self, rows, n_out):
        return {"e": (rows, 1)}

    def terms(self, z, t, c, dz):
        c.e[...] = (z[:, :1] - t) ** 2
        dz[...] = 0
        dz[:, :1] = 2 * (z[:, :1] - t)


@pytest.mark.parametrize(
    ("name", "t", "loss", "message"),
    [
        (
            "accuracy",
            NUMBERS,
            "half_squared_error",
            "targets are numbers, such as 0.3. Use mean_absolute_error, mean_sq",
        ),
        ("accuracy", NUMBERS, "mean_squared_error", "targets are numbers"),
        ("accuracy", NUMBERS[:, 0], "huber", "targets are numbers"),
        ("accuracy", [0, 1, 2], "absolute_error", "targets are numbers.*or SoftmaxCrossEntropy takes their numbers"),
        ("accuracy", [[0, 1], [1, 1], [0, 0]], "half_squared_error", "with a single 1 in each row"),
        ("accuracy", [[2, 1], [0, 1], [1, 3]], "quantile", "targets are numbers"),
        ("accuracy", COUNTS, "poisson", "Poisson has none. Give a function of yours, such as lambda z, t"),
        ("accuracy", [0, 1, 1], "poisson", "Poisson has none"),
        ("accuracy", SOFT, "softmax_cross_entropy", "two of the same"),
        ("accuracy", SOFT, "binary_cross_entropy", "some targets are 0.5"),
        ("accuracy", NUMBERS[:, 0], Distribution(), r"are \(rows, 1\). Give a function of yours"),
        ("r2", NUMBERS[:, 0], Distribution(), r"each of 2 outputs.*are \(rows, 1\). Give a function"),
        ("mean_squared_error", NUMBERS[:, 0], Distribution(), "each of 2 outputs"),
        (
            "mean_absolute_error",
            COUNTS,
            "poisson",
            r"takes logarithms of rates.*lambda z, t: np.abs\(loss.predictions\(z\) - t\)",
        ),
        ("r2", COUNTS, "poisson", "takes logarithms of rates"),
        ("mean_squared_error", [[0, 1], [1, 1], [0, 0]], "binary_cross_entropy", "takes logits.*Use accuracy"),
        ("r2", [[0, 1], [1, 0], [0, 1]], "softmax_cross_entropy", "takes logits"),
        ("r2", [0, 1, 1], "hinge", "class numbers. Use accuracy"),
        ("r2", [[3.0, 1], [3, 2], [3, 4]], "half_squared_error", "does not vary: column 0 is 3 in every row"),
        ("r2", np.full((3, 2), 0.1), "half_squared_error", "does not vary"),
    ],
)
def test_a_metric_refuses_targets_that_it_is_not_defined_for(name, t, loss, message):
    """Before training: the network, and the checkpoint, are as they were."""
    n_out = 2 if np.ndim(t) == 2 or loss in ("softmax_cross_entropy", "hinge") or isinstance(loss, Distribution) else 1
    net, x = fc.mlp([2, n_out], seed=0), np.arange(6.0).reshape(3, 2)
    before = net.theta.copy()
    good = [[1, 0], [0, 1], [0, 1]] if loss == "softmax_cross_entropy" and np.ndim(t) == 2 else t
    for call in (
        lambda: net.evaluate(x, t, loss, [name]),
        lambda: fc.fit(net, x, t, loss, metrics=[name], progress=False),
        lambda: fc.fit(net, x, good, loss, validation=(x, t), metrics=[name], progress=False),
        lambda: fc.epochs(net, x, t, loss, metrics=[name]),
    ):
        with pytest.raises(errors.FullyConnectedError, match=message):
            call()
    assert np.array_equal(net.theta, before)
    if name == "accuracy":
        assert net.evaluate(x, t, loss).metrics == {}


def test_r2_of_validation_targets_that_do_not_vary_among_the_rows_that_count():
    net, x = fc.mlp([2, 1], seed=0), np.arange(8.0).reshape(4, 2)
    before = net.theta.copy()
    with pytest.raises(errors.DataError, match="does not vary"):
        fc.fit(
            net,
            x,
            [0, 1, 2, 3],
            "half_squared_error",
            validation=(x, [5, 5, 5, 9], [1, 1, 1, 0]),
            metrics=["r2"],
            progress=False,
        )
    assert np.array_equal(net.theta, before)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("name", ["mean_absolute_error", "mean_squared_error", "r2"])
def test_regression_against_sklearn(name, n_out, weights, rng):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn's metrics as the reference")
    theirs = {"r2": metrics.r2_score}.get(name) or getattr(metrics, name)
    z, t = rng.normal(size=(40, n_out)), rng.normal(size=(40, n_out)) + 100
    w = rng.random(40) if weights else None
    assert metric(name, z, t, "half_squared_error", w) == pytest.approx(theirs(t, z, sample_weight=w), rel=1e-10)
    if n_out == 1:
        assert metric(name, z, t[:, 0], "half_squared_error", w) == pytest.approx(
            theirs(t, z, sample_weight=w), rel=1e-10
        )


def test_r2_in_float32_of_large_targets(rng):
    """Targets around 1000 with a spread of 1: a float32 sum of squares would not see it."""
    t = rng.normal(size=(500, 1)) + 1000
    net = fc.Network([fc.Activation("identity", n_in=1)])
    z = (t + 0.1 * rng.normal(size=t.shape)).astype(np.float32)
    wanted = 1 - ((z - t) ** 2).sum() / ((t - t.mean()) ** 2).sum()
    assert net.evaluate(z, t, "half_squared_error", ["r2"]).metrics["r2"] == pytest.approx(wanted, abs=1e-3)


def test_r2_of_a_constant_target():
    with pytest.raises(errors.DataError, match="does not vary"):
        metric("r2", [[1], [2]], [3, 3], "half_squared_error")


def test_functions_of_ones_own():
    def worst(z, t):
        assert isinstance(z, np.ndarray)
        return np.abs(z - t).max()

    found = outputs([[1], [5]]).evaluate([[1], [5]], [0, 1], "half_squared_error", [worst, "r2"])
    assert found.metrics["worst"] == 4
    assert isinstance(found.metrics["worst"], float)
    assert list(found.metrics) == ["worst", "r2"]
    for alone in (worst, [worst], (worst,)):
        assert outputs([[1]]).evaluate([[1]], [0], "half_squared_error", alone).metrics == {"worst": 1.0}
    assert outputs([[1]]).evaluate([[1]], [0], "half_squared_error", "mean_absolute_error").metrics == {
        "mean_absolute_error": 1.0
    }
    assert outputs([[1]]).evaluate([[1]], [0], "half_squared_error", ()).metrics == {}


@pytest.fixture
def largest_error():
    """A metric of a user's own, registered while the test runs: the largest error of the rows that count."""

    @fc.register
    class LargestError(fc.Metric):
        name = "largest_error"
        greater_is_better = False

        def for_targets(self, t, loss, n_out, *, w, trained):
            if t.ndim != 2:
                raise errors.ConfigError("largest_error is of numbers")
            return self

        def __call__(self, z, t, w):
            return np.abs(z - t)[w > 0].max()

    yield LargestError
    del METRICS.classes["largest_error"]


class TestRegistered:
    def test_its_name_works_wherever_one_is_given(self, largest_error):
        net, x, t, w = outputs([[1]]), [[1.0], [5.0], [9.0]], [1.0, 2.0, 0.0], [1.0, 1.0, 0.0]
        for given in ("largest_error", ["largest_error"], [largest_error()]):
            assert net.evaluate(x, t, "half_squared_error", given, sample_weight=w).metrics == {"largest_error": 3.0}
        history = fc.fit(
            fc.mlp([1, 1], seed=0), x, t, "half_squared_error", metrics=["largest_error", "r2"], progress=False
        )
        assert list(history.metrics) == ["largest_error", "r2"]

    def test_it_refuses_targets_that_it_is_not_defined_for(self, largest_error):
        with pytest.raises(errors.ConfigError, match="largest_error is of numbers"):
            fc.fit(fc.mlp([2, 2]), np.eye(2), [0, 1], "softmax_cross_entropy", metrics="largest_error", progress=False)

    @pytest.mark.parametrize("name", ["loss", "validation_loss", "auto"])
    def test_a_name_that_means_something_else_is_refused(self, name):
        def metric(z, t):
            return 7.0

        metric.__name__ = name
        mine = type("Mine", (fc.Metric,), {"name": name, "greater_is_better": True, "__call__": lambda s, z, t, w: 7.0})
        with pytest.raises(errors.ConfigError, match=f"no metric can be called '{name}'"):
            fc.register(mine)
        for given in (metric, mine()):
            for call in (fc.fit, fc.Network.evaluate):
                with pytest.raises(errors.ConfigError, match=f"no metric can be called '{name}'"):
                    call(fc.mlp([2, 1]), np.ones((4, 2)), np.zeros(4), "half_squared_error", metrics=[given])

    @pytest.mark.parametrize("which", ["t", "w", "trained"])
    def test_the_choice_by_targets_only_reads_them(self, which):
        class Rude(fc.Metric):
            name = "rude"
            greater_is_better = True

            def for_targets(self, t, loss, n_out, **both):
                {"t": t, **both}[which][0] = 5
                return self

        x, t, w = np.ones((4, 2)), np.zeros((4, 1)), np.ones(4)
        settings = {"sample_weight": w, "metrics": [Rude()], "progress": False, "validation": (x, t, w)}
        with pytest.raises(errors.ConfigError, match="writes to an array that it may only read"):
            fc.fit(fc.mlp([2, 1], dtype="float64"), x, t, "half_squared_error", **settings)
        assert not t.any()
        assert w.all()

    @pytest.mark.parametrize("chosen", [None, "r2", fc.Metric, 3])
    def test_the_choice_by_targets_is_a_metric(self, chosen):
        class Silent(fc.Metric):
            name = "silent"
            greater_is_better = True

            def for_targets(self, t, loss, n_out, *, w, trained):
                return chosen

        with pytest.raises(errors.InputTypeError, match=r"for_targets of the metric .*Silent.* returned .*return self"):
            fc.mlp([2, 1]).evaluate(np.ones((4, 2)), np.zeros(4), "half_squared_error", [Silent()])

    @pytest.mark.parametrize("value", [10**400, "1", None, [1.0], 1j])
    def test_a_value_that_is_no_number(self, value):
        with pytest.raises(errors.InputTypeError, match="a single number is wanted"):
            fc.mlp([2, 1]).evaluate(np.ones((4, 2)), np.zeros(4), "half_squared_error", [lambda z, t: value])

    def test_what_it_does_is_looked_at_as_that_of_a_function(self):
        class Rude(fc.Metric):
            name = "rude"
            greater_is_better = True

            def __call__(self, z, t, w):
                w *= 2
                return 0.0

        class Silent(Rude):
            name = "silent"

            def __call__(self, z, t, w):
                pass

        net = fc.mlp([2, 1], seed=0)
        with pytest.raises(errors.ConfigError, match="writes to an array that it may only read"):
            net.evaluate(np.ones((4, 2)), np.zeros(4), "half_squared_error", [Rude()])
        with pytest.raises(errors.InputTypeError, match="a single number is wanted"):
            net.evaluate(np.ones((4, 2)), np.zeros(4), "half_squared_error", [Silent()])

    @pytest.mark.parametrize(
        ("attributes", "message"),
        [
            ({"name": "mine"}, "Mine needs a class attribute greater_is_better, True or False; it is None"),
            ({"name": "mine", "greater_is_better": "yes"}, "it is 'yes'"),
            ({"greater_is_better": True}, "needs a class attribute name"),
            ({"name": "r2", "greater_is_better": True}, "the metric name 'r2' is taken"),
            (
                {"name": "mine", "greater_is_better": True, "__call__": lambda self, z, t: 0},
                r"called as __call__\(z, t, w\)",
            ),
        ],
    )
    def test_what_is_missing_is_told_when_it_is_registered(self, attributes, message):
        with pytest.raises(errors.ConfigError, match=message):
            fc.register(type("Mine", (fc.Metric,), attributes))

    def test_a_class_is_to_be_called(self, largest_error):
        with pytest.raises(errors.InputTypeError, match=r"is a class; call it: LargestError\(\)"):
            outputs([[1]]).evaluate([[1]], [0], "half_squared_error", [largest_error])


@pytest.mark.parametrize("metric", METRICS.classes.values())
def test_every_metric_says_which_way_is_better(metric):
    better = metric().for_targets(np.array([[0.0], [1.0]]), fc.HalfSquaredError(), 1, w=None, trained=np.zeros((1, 1)))
    good, bad = (better(z, np.array([[0.0], [1.0]]), np.ones(2)) for z in np.array([[[0.0], [1.0]], [[9.0], [-9.0]]]))
    assert (good > bad) == metric.greater_is_better


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (["acuracy"], errors.UnknownNameError, "no metric 'acuracy'; did you mean 'accuracy'"),
        ("mse", errors.UnknownNameError, "no metric 'mse'.*mean_squared_error"),
        ([0.5], errors.InputTypeError, "a metric is a name or a function.*got 0.5"),
        (5, errors.InputTypeError, "metrics is a list of names or functions; got 5"),
        (None, errors.InputTypeError, "metrics is a list"),
        ([lambda z, t: 0, lambda z, t: 1], errors.ConfigError, "two metrics are called '<lambda>'"),
    ],
)
def test_metrics_that_cannot_be(metrics, error, message):
    with pytest.raises(error, match=message):
        outputs([[1]]).evaluate([[1]], [0], "half_squared_error", metrics)
    with pytest.raises(error, match=message):
        fc.fit(fc.mlp([1, 1]), [[1]], [0], "half_squared_error", metrics=metrics)


def test_a_named_metric_that_does_not_fit_the_loss_is_refused_before_training():
    net = fc.mlp([2, 3], seed=0)
    before = net.theta.copy()
    with pytest.raises(errors.FullyConnectedError, match=r"r2 compares outputs with numbers.*class numbers"):
        fc.fit(net, np.zeros((4, 2)), [0, 1, 2, 0], "softmax_cross_entropy", metrics=["r2"], progress=False)
    assert np.array_equal(net.theta, before)


@pytest.mark.parametrize("value", [None, "good", np.zeros(3)])
def test_a_metric_of_your_own_returns_one_number(value):
    def mine(z, t):
        return value

    with pytest.raises(errors.InputTypeError, match="a single number is wanted"):
        fc.mlp([2, 1], seed=0).evaluate(np.zeros((2, 2)), np.zeros(2), "half_squared_error", [mine])


@pytest.mark.parametrize(
    ("mine", "error", "message"),
    [
        (lambda z: 0.0, errors.InputTypeError, r"called with \(outputs, targets\), but takes \(z\)"),
        (lambda z, t, w: 0.0, errors.InputTypeError, "missing a required argument: 'w'"),
        (lambda y_true, y_pred: 0.0, errors.ConfigError, r"would be swapped. Write lambda z, t: <lambda>\(t, z\)"),
        (lambda targets, outputs: 0.0, errors.ConfigError, "would be swapped"),
    ],
)
def test_a_function_that_takes_something_else_is_refused_before_training(mine, error, message):
    net = fc.mlp([2, 1], seed=0)
    before = net.theta.copy()
    with pytest.raises(error, match=message):
        fc.fit(net, np.zeros((4, 2)), np.zeros(4), "half_squared_error", metrics=[mine], progress=False)
    assert np.array_equal(net.theta, before)


def test_the_metrics_of_scikit_learn_take_the_targets_first():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn's metrics")
    z, t = [[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0]
    with pytest.raises(errors.ConfigError, match=r"lambda z, t: r2_score\(t, z\)"):
        outputs(z).evaluate(z, t, "half_squared_error", [metrics.r2_score])
    found = outputs(z).evaluate(z, t, "half_squared_error", [lambda z, t: metrics.r2_score(t, z)])
    assert found.metrics["<lambda>"] == pytest.approx(0.5)


@pytest.mark.parametrize("result", [np.zeros(3), None, "0.5", 1j, ZeroDivisionError("mine")], ids=repr)
def test_a_function_that_fails_leaves_the_network_as_it_was(result):
    def mine(z, t):
        if isinstance(result, Exception):
            raise result
        return result

    net = fc.mlp([2, 1], seed=0)
    before = net.theta.copy()
    with pytest.raises((errors.InputTypeError, ZeroDivisionError)):
        fc.fit(net, np.ones((4, 2)), np.ones(4), "half_squared_error", metrics=[mine], progress=False)
    assert np.array_equal(net.theta, before)


def test_an_array_of_one_number_is_a_number():
    assert outputs([[1]]).evaluate([[1]], [0], "half_squared_error", [lambda z, t: abs(z - t)[0]]).metrics == {
        "<lambda>": 1.0
    }


def test_a_metric_of_your_own_cannot_change_what_others_see():
    def rude(z, t):
        z -= t
        return 0.0

    x, t = np.ones((4, 2)), np.zeros(4)
    with pytest.raises(ValueError, match="may only read"):
        fc.mlp([2, 1], seed=0).evaluate(x, t, "half_squared_error", [rude])


def test_accuracy_goes_by_what_the_loss_takes(rng):
    # one output and targets 0 and 1: halfway between them for numbers, 0 for logits
    net = fc.Network([fc.Dense(1, 1)], dtype=np.float64)
    net.set_weights([[[1.0]], [0.0]])
    x, t = [[-1.0], [0.2], [0.8], [2.0]], [0, 0, 1, 1]
    assert net.evaluate(x, t, "half_squared_error").metrics["accuracy"] == 1
    assert net.evaluate(x, t, "binary_cross_entropy").metrics["accuracy"] == 0.75
    # several outputs: for BinaryCrossEntropy every label counts, however many of them are 1
    net = fc.mlp([3, 3], seed=0)
    x, t = rng.normal(size=(20, 3)), np.eye(3)[rng.integers(0, 3, 20)]
    right = (net.predict(x) > 0) == (t > 0.5)
    assert net.evaluate(x, t, "binary_cross_entropy").metrics["accuracy"] == right.all(axis=1).mean()
    assert net.evaluate(x, t, "softmax_cross_entropy").metrics["accuracy"] == pytest.approx(
        (net.predict(x).argmax(axis=1) == t.argmax(axis=1)).mean()
    )
