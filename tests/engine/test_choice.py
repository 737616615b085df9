"""Engines as objects in a registry: who is chosen and why, and an engine from outside that does everything."""

import copy
import inspect
import pickle
import re
import threading

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.engine.choice import ENGINES, choose
from fullyconnected.errors import ConfigError, DivergenceError, InputTypeError, UnknownNameError

X = np.random.default_rng(0).normal(size=(20, 3))
T = X.sum(axis=1)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(ENGINES, "classes", dict(ENGINES.classes))


class Linear(fc.Engine):
    """One Dense layer without bias, and half the squared error, by hand."""

    name = "linear"
    asked = ()

    def about(self):
        return True, "least squares"

    def supports(self, program, *, loss=None, optimizer=None, source=None):
        if program.n_params != program.n_in * program.n_out:
            return "it has one layer without a bias"
        return None if loss is None or loss.name == "half_squared_error" else f"it has no loss {loss.name}"

    def trainer(self, task, state):
        return Descent(self, task, state)

    def gradient(self, program, theta, state, data, *, l2, train, seed):
        W, w = theta.reshape(program.n_in, program.n_out), data.weights
        w = np.ones(len(data.x)) if w is None else w
        w = w[:, None] / w.sum()
        x = data.x.block(0, len(data.x))
        error = x @ W - data.t
        value = 0.5 * (w * error**2).sum() + 0.5 * l2 * (theta**2).sum()
        return float(value), (x.T @ (w * error)).ravel() + l2 * theta, w * error @ W.T

    def predictor(self, program, theta, state):
        return Product(theta.reshape(program.n_in, program.n_out))


class Descent:
    def __init__(self, engine, task, state):
        self.engine, self.task, self.state = engine, task, state

    def epoch(self, order):  # which does not matter, with all rows in one batch
        task, state = self.task, self.state
        data = task.data
        value, g, _ = self.engine.gradient(task.program, state.theta, state.state, data, l2=task.l2, train=True, seed=0)
        state.theta -= task.optimizer.lr * g
        state.step += 1
        return value


class Product:
    def __init__(self, W):
        self.W = W

    def predict(self, x, z, n_threads):
        z[...] = x @ self.W

    def row(self, x, z):
        return False


def linear():
    return fc.Network([fc.Dense(3, 1, bias=False)], dtype=np.float64, seed=0)


def test_an_engine_from_outside_does_all_that_one_does():
    fc.register(Linear)
    assert fc.engines()["linear"] == (True, "least squares")
    nets, histories = (linear(), linear()), []
    for net, engine in zip(nets, ("linear", "numpy"), strict=True):
        how = {"batch_size": 20, "validation": (X, T), "progress": False, "epochs": 3, "l2": 0.1, "engine": engine}
        histories.append(fc.fit(net, X, T, "half_squared_error", fc.SGD(0.1), **how))
    assert (histories[0].engine, histories[0].engine_why) == ("linear", "it was named")
    np.testing.assert_allclose(histories[0].loss, histories[1].loss)
    np.testing.assert_allclose(histories[0].validation_loss, histories[1].validation_loss)
    np.testing.assert_allclose(nets[0].theta, nets[1].theta)
    np.testing.assert_allclose(nets[0].predict(X, engine="linear"), nets[0].predict(X, engine="numpy"))
    evaluations = [nets[0].evaluate(X, T, "half_squared_error", engine=engine).loss for engine in ("linear", "numpy")]
    np.testing.assert_allclose(*evaluations)
    gradients = [nets[0].gradients(X, T, "half_squared_error", l2=0.1, engine=engine) for engine in ("linear", "numpy")]
    for ours, theirs in zip(gradients[0][1::2], gradients[1][1::2], strict=True):
        np.testing.assert_allclose(ours, theirs)
    assert fc.check_gradients(nets[0], X, T, "half_squared_error", engine="linear").ok


def test_what_it_cannot_run_is_refused_with_its_reason():
    fc.register(Linear)
    for call in (
        lambda: fc.mlp([3, 1]).predict(X, engine="linear"),
        lambda: fc.mlp([3, 1]).gradients(X, T, "half_squared_error", engine="linear"),
        lambda: fc.fit(fc.mlp([3, 1]), X, T, "half_squared_error", engine="linear", progress=False),
    ):
        with pytest.raises(ConfigError, match="the linear engine cannot run this: it has one layer without a bias"):
            call()
    with pytest.raises(ConfigError, match="no loss huber"):
        linear().gradients(X, T, "huber", engine="linear")


def test_auto_takes_one_from_outside_only_if_that_says_so():
    class Fast(Linear):
        name = "fast"
        automatic = True

    fc.register(Linear)
    assert choose("auto", linear().program).engine.name != "linear"
    fc.register(Fast)
    assert list(fc.engines())[:2] == ["fast", "linear"]
    history = fc.fit(linear(), X, T, "half_squared_error", epochs=1, progress=False)
    assert (history.engine, history.engine_why) == ("fast", "it is the fastest")
    net = linear()
    for _ in range(3):
        assert np.array_equal(net.predict(X), X @ net.params[0].W)
    history = fc.fit(fc.mlp([3, 1]), X, T, "half_squared_error", epochs=1, progress=False)
    assert history.engine != "fast"
    assert "the fast engine cannot run this: it has one layer without a bias" in history.engine_why


def test_a_network_whose_engine_is_from_outside_is_copied_and_pickled():
    fc.register(Linear)
    net = linear()
    z = net.predict(X, engine="linear")
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.copy()):
        assert np.array_equal(other.predict(X, engine="linear"), z)


def test_an_engine_that_cannot_be_called_as_engines_are_is_refused():
    class Old(Linear):
        name = "old"

        def supports(self, program):
            return None

    with pytest.raises(ConfigError, match=r"Old\.supports takes .* but is called as supports"):
        fc.register(Old)
    with pytest.raises(ConfigError, match="the engine name 'numpy' is taken by"):
        fc.register(type("NumPy", (Linear,), {"name": "numpy"}))
    with pytest.raises(InputTypeError, match="Solver, Engine or"):
        fc.register(Product)


def test_what_an_engine_does_not_have_is_named():
    class Bare(fc.Engine):
        name = "bare"

    for method in ("about", "supports", "trainer", "gradient", "predictor"):
        parameters = [*inspect.signature(getattr(Bare(), method)).parameters.values()]
        names = {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
        with pytest.raises(NotImplementedError, match=f"Bare has no {method}"):
            getattr(Bare(), method)(*parameters[: len(parameters) - len(names)], **names)


@pytest.mark.parametrize("name", ["nump", "linear", "", "Native"])
def test_an_unknown_name_gets_the_nearest(name):
    for call in (
        lambda: linear().predict(X, engine=name),
        lambda: linear().predict(X[:0], engine=name),
        lambda: linear().evaluate(X, T, "half_squared_error", engine=name),
        lambda: linear().gradients(X, T, "half_squared_error", engine=name),
        lambda: fc.fit(linear(), X, T, "half_squared_error", engine=name, progress=False),
    ):
        with pytest.raises(UnknownNameError, match="engine"):
            call()


@pytest.mark.parametrize("name", [None, 1, ["numpy"], {}, fc.Engine])
def test_what_is_no_name_is_refused(name):
    net = linear()
    for x in (X, X[:1]):
        with pytest.raises(InputTypeError, match="engine is the name of an engine"):
            net.predict(x, engine=name)


@pytest.mark.parametrize("engine", fc.engines())
def test_threads_share_a_network(engine):
    if not fc.engines()[engine].available:
        pytest.skip(fc.engines()[engine].about)
    net = fc.mlp([3, 50, 2], seed=0)
    rows = X.astype(np.float32)
    wanted, wrong = net.predict(rows, engine=engine), []

    def work(first):
        for i in range(300):
            rows_here = slice(first, first + 1 + i % 5)
            z = net.predict(rows[rows_here], engine=engine)
            if not np.allclose(z, wanted[rows_here], rtol=1e-5):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_prediction_that_fails_leaves_the_network_usable():
    class Failing(Linear):
        name = "failing"

        def predictor(self, program, theta, state):
            return Product(None)

    fc.register(Failing)
    net = linear()
    for _ in range(2):
        with pytest.raises(ValueError, match="matmul"):
            net.predict(X, engine="failing")
    assert net.predict(X).shape == (20, 1)


def test_the_name_for_the_fastest_one_is_no_engines_own():
    with pytest.raises(ConfigError, match="no engine can be called 'auto', which has a meaning of its own"):
        fc.register(type("Auto", (Linear,), {"name": "auto"}))


def test_no_engine_of_ones_own_is_said_to_have_run_a_solver():
    pytest.importorskip("scipy.optimize", reason="the solver is SciPy's")
    fc.register(Linear)
    with pytest.raises(ConfigError, match="a full-batch solver takes its gradients from NumPy"):
        fc.fit(linear(), X, T, "half_squared_error", fc.LBFGS(), engine="linear", progress=False)
    for engine in ("auto", "numpy"):
        history = fc.fit(linear(), X, T, "half_squared_error", fc.LBFGS(), engine=engine, progress=False)
        assert history.engine == "numpy"


def redefined(**parts):
    return type("Again", (Linear,), {"name": "again", **parts})


class Sevens(Product):
    def predict(self, x, z, n_threads):
        z[...] = 7


def test_a_network_predicts_by_the_engines_that_there_are_now():
    net = linear()
    small = X[:2]  # for which a predictor is asked first
    for rows in (X, small, small):
        assert not (net.predict(rows) == 7).any()
    fc.register(redefined())
    assert not (net.predict(X, engine="again") == 7).any()
    fc.register(redefined(automatic=True, predictor=lambda self, program, theta, state: Sevens(theta)))
    for rows in (X, small, small):
        assert (net.predict(rows, engine="again") == 7).all()
        assert (net.predict(rows) == 7).all()


def failing(self):
    raise OSError("no card")


@pytest.mark.parametrize("about", [failing, lambda self: "no card", lambda self: None, lambda self: ("no card",)])
def test_an_engine_that_cannot_say_what_it_is_does_not_hide_the_others(about):
    fc.register(redefined(about=about))
    found = fc.engines()
    assert found["numpy"].available
    assert not found["again"].available
    assert "about" in found["again"].about


@pytest.mark.parametrize("reason", [False, True, "", 0, ["no"]])
def test_an_engine_that_says_anything_but_none_cannot_do_the_work(reason):
    fc.register(redefined(automatic=True, supports=lambda self, program, **work: reason))
    with pytest.raises(ConfigError, match=f"the again engine cannot run this: {re.escape(str(reason))}"):
        linear().predict(X, engine="again")
    assert choose("auto", linear().program).why.startswith("the again engine cannot run this")


class Trained:
    """A trainer that returns what it is told to, and may leave theta without finite values."""

    def __init__(self, state, returned, left):
        self.state, self.returned, self.left = state, returned, left

    def epoch(self, order):
        self.state.theta[0] = self.left
        return self.returned


@pytest.mark.parametrize(
    ("returned", "left", "error", "message"),
    [
        (None, 1.0, InputTypeError, "what epoch of the engine 'again' returns is a number; got None"),
        ("1", 1.0, InputTypeError, "is a number"),
        (np.nan, 1.0, ConfigError, "finite; got nan"),
        (1.0, np.nan, DivergenceError, "what epoch of the engine 'again' wrote"),
        (1.0, np.inf, DivergenceError, "what epoch of the engine 'again' wrote"),
    ],
)
def test_what_an_epoch_leaves_is_checked(returned, left, error, message):
    fc.register(redefined(trainer=lambda self, task, state: Trained(state, returned, left)))
    net = linear()
    before = net.theta.copy()
    with pytest.raises(error, match=message):
        fc.fit(net, X, T, "half_squared_error", engine="again", progress=False)
    assert np.array_equal(net.theta, before)
    assert net.loss is None
