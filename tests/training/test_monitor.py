"""What patience watches: the loss, or a metric, of which more or less may be better."""

import functools
import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fullyconnected as fc
from fullyconnected import errors

NAN = float("nan")


class Walk(fc.Optimizer):
    """Puts the only weight where the next of the values says."""

    name = "walk"
    lr = 1.0

    def __init__(self, values):
        vars(self)["values"] = iter(values)

    def update(self, theta, g, s, c, *, lr, step, decays):
        theta[:] = next(self.values)


def walk(values, metric, epochs=None, **settings):
    """Let a network walk through the weights, and return it and its history; the metric sees its weight as z."""
    net = fc.Network([fc.Dense(1, 1, bias=False)], dtype=np.float64)
    net.theta = [0.0]
    history = fc.fit(
        net, [[1.0]], [0.0], fc.AbsoluteError(), Walk(values), epochs or len(values), metrics=[metric], progress=False,
        **settings,
    )  # fmt: skip
    return net, history


def weight(z, t):
    """The network's weight, which is worse the larger it is, or better, as each test says."""
    return z[0, 0]


def saying(greater_is_better, function=weight):
    def score(z, t):
        return function(z, t)

    score.greater_is_better = greater_is_better
    return score


class TestWhichWay:
    def test_greater_is_better(self):
        net, history = walk([1.0, 3.0, 2.0, 2.5, 9.0], saying(True), monitor="score", patience=2)
        assert (history.metrics["score"], history.best_epoch, history.stopped) == ([1, 3, 2, 2.5], 2, "patience")
        assert (history.monitor, net.theta.tolist()) == ("score", [3.0])
        assert str(history).endswith("the network has the weights of epoch 2, the best by score")

    def test_less_is_better(self):
        net, history = walk([4.0, 3.0, 5.0, 3.5, 1.0], saying(False), monitor="score", patience=2)
        assert (history.best_epoch, history.stopped, net.theta.tolist()) == (2, "patience", [3.0])

    def test_the_loss_though_there_are_validation_data(self):
        """Both fall apart: the training loss is the weight's size, the validation loss its distance from 10."""
        values, validation = [4.0, 3.0, 5.0, 6.0, 7.0, 8.0], ([[1.0]], [10.0])
        _, history = walk(values, saying(True), monitor="loss", patience=3, validation=validation)
        assert (history.monitor, history.best_epoch) == ("loss", int(np.argmin(history.loss)) + 1)
        _, history = walk(values, saying(True), patience=3, validation=validation)
        assert (history.monitor, history.best_epoch, history.stopped) == ("validation_loss", 6, "epochs")

    def test_a_tie_is_no_improvement(self):
        net, history = walk([2.0, 3.0, 3.0, 3.0, 9.0], saying(True), monitor="score", patience=2)
        assert (history.best_epoch, len(history.loss), net.theta.tolist()) == (2, 4, [3.0])

    @pytest.mark.parametrize("greater", [True, False])
    def test_any_number_is_better_than_nan_and_nan_than_nothing(self, greater):
        metric = saying(greater, lambda z, t: NAN if z < 0 else z[0, 0])
        net, history = walk([-1.0, -1.0, 5.0, -1.0, -1.0, 7.0], metric, monitor="score", patience=2)
        assert (history.best_epoch, history.stopped, net.theta.tolist()) == (3, "patience", [5.0])
        net, history = walk([-1.0, -2.0, -3.0, 5.0], metric, monitor="score", patience=2)
        assert (history.best_epoch, len(history.loss), net.theta.tolist()) == (1, 3, [-1.0])

    @pytest.mark.parametrize("wrapped", [functools.partial(saying(True)), saying(np.True_)])
    def test_a_partial_says_what_its_function_says(self, wrapped):
        name = "score()" if isinstance(wrapped, functools.partial) else "score"
        assert walk([1.0, 3.0, 2.0], wrapped, monitor=name, patience=1)[1].best_epoch == 2


def test_accuracy(blobs):
    """The best epoch is the first of the highest accuracy on the validation data, whatever the loss did."""
    x, t = blobs
    settings = {"validation": (x[60:], t[60:]), "epochs": 40, "batch_size": 8, "patience": 4, "progress": False}
    net = fc.mlp([2, 4, 3], seed=2)
    history = fc.fit(net, x[:60], t[:60], "softmax_cross_entropy", fc.SGD(0.05), monitor="accuracy", **settings)
    accuracy = history.metrics["accuracy"]  # it is judged by, though no metrics= names it
    assert history.best_epoch == int(np.argmax(accuracy)) + 1
    assert history.stopped == "patience"
    assert net.evaluate(*settings["validation"], "softmax_cross_entropy").metrics["accuracy"] == max(accuracy)
    assert history.validation_loss[-1] < history.validation_loss[history.best_epoch - 1]


def test_lbfgs(blobs):
    pytest.importorskip("scipy.optimize", reason="the solver is SciPy's")
    x, t = blobs
    net = fc.mlp([2, 4, 3], dtype=np.float64, seed=2)
    history = fc.fit(net, x, t, "softmax_cross_entropy", fc.LBFGS(), 50, monitor="accuracy", patience=3, progress=False)
    assert history.best_epoch == int(np.argmax(history.metrics["accuracy"])) + 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"monitor": "score"}, errors.ConfigError, "function, and it is unknown.*score.greater_is_better = True"),
        ({"monitor": "val_loss"}, errors.UnknownNameError, "no quantity to monitor 'val_loss'; did you mean 'valid"),
        ({"monitor": ""}, errors.UnknownNameError, "no quantity to monitor ''"),
        ({"monitor": "acuracy"}, errors.UnknownNameError, "did you mean 'accuracy'"),
        (
            {"monitor": "validation_loss"},
            errors.ConfigError,
            "no validation loss to monitor without validation data: set validation",
        ),
        ({"monitor": "r2"}, errors.DataError, "does not vary"),
        ({"monitor": weight}, errors.InputTypeError, 'monitor is "loss", "validation_loss" or the name of a metric'),
        ({"monitor": "loss", "patience": None}, errors.ConfigError, "give patience, too"),
    ],
)
def test_what_cannot_be_watched(settings, error, message):
    def score(z, t):
        return 0.0

    with pytest.raises(error, match=message):
        walk([1.0], score, **{"patience": 2, **settings})


def test_which_way_is_better_is_true_or_false():
    with pytest.raises(
        errors.InputTypeError, match="greater_is_better of the metric 'score' is True or False; got 'max'"
    ):
        walk([1.0], saying("max"))


class TestCheckpoint:
    X = np.random.default_rng(0).normal(size=(60, 3))
    T = (X[:, 0] * X[:, 1] > 0).astype(int)

    def fit(self, path, epochs, **settings):
        net = fc.mlp([3, 8, 2], dtype=np.float64, seed=1)
        history = fc.fit(
            net, self.X[:40], self.T[:40], "softmax_cross_entropy", fc.Adam(0.02), epochs, 8,
            validation=(self.X[40:], self.T[40:]), checkpoint=path, progress=False,
            **{"monitor": "accuracy", "patience": 6, **settings},
        )  # fmt: skip
        return net, history

    @pytest.mark.parametrize("metrics", [(), ["accuracy"]])
    def test_a_run_goes_on_bit_for_bit(self, metrics, tmp_path):
        whole, history = self.fit(tmp_path / "whole", 30, metrics=metrics)
        for epochs in (2, 3, 9, 30):
            net, again = self.fit(tmp_path / "parts", epochs, metrics=metrics)
        assert net.theta.tobytes() == whole.theta.tobytes()
        assert (again.metrics, again.best_epoch, again.stopped) == (
            history.metrics,
            history.best_epoch,
            history.stopped,
        )
        assert 1 < history.best_epoch < len(history.loss)

    def test_it_goes_on_with_nothing_else_to_watch(self, tmp_path):
        self.fit(tmp_path / "run", 2)
        before = (tmp_path / "run").read_bytes()
        for other in ("loss", "validation_loss", None):
            with pytest.raises(errors.CheckpointError, match="begun with monitor='accuracy' and would go on with"):
                self.fit(tmp_path / "run", 3, monitor=other, metrics=["accuracy"])
        assert (tmp_path / "run").read_bytes() == before

    def test_what_is_watched_by_default_may_be_named(self, tmp_path):
        self.fit(tmp_path / "run", 2, monitor=None)
        self.fit(tmp_path / "run", 3, monitor="validation_loss")

    def test_another_function_of_the_same_name_is_something_else(self, tmp_path):
        def scores(sign):
            def score(z, t):
                return sign * float(z.mean())

            score.greater_is_better = better
            return score

        better = True
        self.fit(tmp_path / "run", 2, metrics=[scores(1)], monitor="score")
        self.fit(tmp_path / "run", 3, metrics=[scores(1)], monitor="score")
        with pytest.raises(errors.CheckpointError, match="begun with monitor="):
            self.fit(tmp_path / "run", 4, metrics=[scores(-1)], monitor="score")
        better = False
        with pytest.raises(errors.CheckpointError, match=r"begun with monitor=.*greater_is_better=True"):
            self.fit(tmp_path / "run", 4, metrics=[scores(1)], monitor="score")

    def test_a_file_that_knows_of_no_monitor_watched_the_default(self, tmp_path):
        path = tmp_path / "run"
        whole, _ = self.fit(tmp_path / "whole", 5, monitor=None, metrics=["accuracy"])

        def begin():
            path.unlink(missing_ok=True)
            self.fit(path, 2, monitor=None, metrics=["accuracy"])
            tensors = load_file(path)
            with safe_open(path, "numpy") as file:
                content = json.loads(file.metadata()["fullyconnected"])
            del content["extras"]["run"]["settings"]["monitor"]
            save_file(tensors, path, {"fullyconnected": json.dumps(content)})

        for named in (None, "validation_loss"):
            begin()
            net, _ = self.fit(path, 5, monitor=named, metrics=["accuracy"])
            assert net.theta.tobytes() == whole.theta.tobytes()
        begin()
        with pytest.raises(errors.CheckpointError, match="begun with monitor=None"):
            self.fit(path, 5, monitor="accuracy", metrics=["accuracy"])
