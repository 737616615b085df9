"""Columns as vectors of waves: PeriodicEmbedding."""

import math
import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

ENGINES = [name for name, info in fc.engines().items() if info.available]
KINDS = ("pbld", "plr", "pl")
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(11, 3)), RNG.normal(size=(11, 2))


def network(kind="pbld", dtype="float64", n=3, frequencies=5, size=4, sigma=0.5, n_out=2):
    layers = [fc.PeriodicEmbedding(n, frequencies, size, kind, sigma=sigma), fc.Dense(n * size, n_out)]
    return fc.Network(layers, dtype=dtype, seed=0)


def by_formula(layer, p, x):
    outputs = []
    for j in range(x.shape[1]):
        turns = np.outer(x[:, j], p.w[j])
        angle = 2 * np.pi * (turns - np.round(turns))
        if layer.kind == "pbld":
            e = np.cos(angle + p.phi[j]) @ p.W[j] + p.b[j]
            outputs.append(np.column_stack([x[:, j], e]))
        else:
            e = np.hstack([np.cos(angle), np.sin(angle)]) @ p.W[j] + p.b[j]
            outputs.append(np.maximum(e, 0) if layer.kind == "plr" else e)
    return np.hstack(outputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
class TestInEachEngine:
    def test_the_formula(self, engine, kind):
        net = fc.Network([fc.PeriodicEmbedding(3, 5, 4, kind, sigma=1.0)], dtype="float64", seed=1)
        expected = by_formula(net.layers[0], net.params[0], X)
        np.testing.assert_allclose(net.predict(X, engine=engine), expected, rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize(
        ("n", "frequencies", "size", "rows"),
        [(1, 1, 2, 1), (3, 4, 3, 7), (64, 16, 4, 256), (5, 48, 24, 33), (2, 3, 2, 1000), (40, 16, 4, 700)],
    )
    @pytest.mark.parametrize("scale", [1, 1000])
    def test_of_any_shape(self, engine, kind, n, frequencies, size, rows, dtype, scale):
        net = network(kind, dtype, n, frequencies, size)
        x, t = scale * RNG.normal(size=(rows, n)).astype(dtype), RNG.normal(size=(rows, 2))
        own, found = (net.gradients(x, t, "half_squared_error", engine=each) for each in ("numpy", engine))
        bound = 1e-5 if dtype == "float32" else 1e-12
        y = net.predict(x, engine="numpy")
        assert np.abs(net.predict(x, engine=engine) - y).max() <= bound * np.abs(y).max()
        assert np.abs(found.theta - own.theta).max() <= bound * np.abs(own.theta).max()
        assert np.abs(found.x - own.x).max() <= bound * np.abs(own.x).max()

    @pytest.mark.parametrize("optimizer", [fc.SGD(0.01), fc.AdamW(0.01, weight_decay=0.1)])
    @pytest.mark.parametrize("how", [{"l2": 0.1}, {"max_grad_norm": 0.01}, {"average": fc.EMA(0.8)}, {"n_threads": 2}])
    def test_training_is_that_of_numpy(self, engine, kind, optimizer, how):
        ends = []
        for each in ("numpy", engine):
            net = network(kind)
            fc.fit(net, X, T, "half_squared_error", optimizer, 5, 4, engine=each, progress=False, warn=False, **how)
            ends.append(net.theta)
        np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)

    def test_a_frozen_embedding_keeps_its_bits(self, engine, kind):
        net = network(kind)
        before = net.copy()
        factors = fc.Factors(lr={"embedding": 0})
        fc.fit(net, X, T, "half_squared_error", "adam", 3, factors=factors, engine=engine, progress=False, warn=False)
        for name, view in net.program.named(net.theta).items():
            same = view.tobytes() == before.program.named(before.theta)[name].tobytes()
            assert same == name.startswith("periodic_embedding")

    @pytest.mark.parametrize("learns", ["w", "phi", "W", "b"])
    def test_one_parameter_may_learn_alone(self, engine, kind, learns):
        ends = []
        for each in ("numpy", engine):
            net = network(kind)
            letters = [tensor.letter for tensor in net.program.operations[0].params if tensor.letter != learns]
            factors = fc.Factors(lr={f"periodic_embedding_1.{letter}": 0 for letter in letters} | {"dense_1": 0})
            how = {"factors": factors, "engine": each, "progress": False, "warn": False}
            if learns == "phi" and kind != "pbld":
                return
            fc.fit(net, X, T, "half_squared_error", "adam", 3, **how)
            ends.append(net.theta)
        np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)

    def test_a_run_goes_on_from_its_checkpoint(self, engine, kind, tmp_path):
        ends = []
        for runs in ([6], [2, 6]):
            for epochs in runs:
                net = network(kind, "float32")
                how = {"checkpoint": tmp_path / str(len(runs)), "engine": engine, "progress": False, "warn": False}
                fc.fit(net, X, T, "half_squared_error", fc.AdamW(0.01), epochs, 4, **how)
            ends.append(net.theta.tobytes())
        assert ends[0] == ends[1]

    def test_threads_give_the_same_bits_each_time(self, engine, kind):
        x, t = RNG.normal(size=(400, 30)), RNG.normal(size=(400, 2))
        ends = set()
        for _ in range(3):
            net = network(kind, "float32", 30, 16, 4)
            how = {"n_threads": 2, "engine": engine, "progress": False, "warn": False}
            fc.fit(net, x, t, "half_squared_error", fc.Adam(0.01), 3, 128, **how)
            ends.add(net.theta.tobytes())
        assert len(ends) == 1

    def test_whole_turns_do_nothing_however_many(self, engine, kind):
        """x w is exact here, and so is the fraction of a turn that is left of it."""
        net = network(kind, n=1)
        net.params[0].w = [[1, 2, 3, -1, 4]]
        x = np.array([[0.125], [0.25], [0.5]])
        near = net.predict(x, engine=engine)
        for far in (1, 2.0**20, 2.0**40):
            moved = net.predict(x + far, engine=engine)
            if kind == "pbld":  # x itself is among the outputs
                moved = moved - far * net.params[1].W[0]
            np.testing.assert_allclose(moved, near, rtol=1e-9, atol=1e-15 * far)

    def test_numbers_that_are_not_finite_are_noticed(self, engine, kind):
        net = network(kind)
        net.params[0].w[0, 0] = np.nan
        assert np.isnan(net.predict(X, engine=engine)).all()
        with pytest.raises(errors.DivergenceError):
            fc.fit(
                network(kind), X, T, "half_squared_error", fc.SGD(1e200), 5, engine=engine, progress=False, warn=False
            )

    def test_huge_numbers(self, engine, kind):
        net = network(kind)
        x = np.array([[1e300, -1e300, 1e15], [0.0, -0.0, 1e-300]])
        y = net.predict(x, engine=engine)
        assert np.isfinite(y).all()
        np.testing.assert_allclose(y, net.predict(x, engine="numpy"), rtol=1e-9)

    def test_behind_other_layers_and_in_blocks(self, engine, kind):
        waves = fc.PeriodicEmbedding(frequencies=3, size=2, kind=kind)
        block = fc.Residual([waves, fc.Dense(8, 4)])
        layers = [fc.Standardize.fit(X), fc.Dense(3, 4, "tanh"), block, fc.Dropout(0.2), fc.Dense(4, 2)]
        net = fc.Network(layers, dtype="float64", seed=0)
        own, found = (
            net.gradients(X, T, "huber", train=True, seed=1, engine=each, l2=0.1) for each in ("numpy", engine)
        )
        np.testing.assert_allclose(found.theta, own.theta, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(found.x, own.x, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
class TestOfEachKind:
    def test_gradients(self, kind):
        net = network(kind)
        assert fc.check_gradients(net, X, T, "half_squared_error", l2=0.1).ok
        assert fc.check_gradients(fc.PeriodicEmbedding(4, 3, 3, kind)).ok

    def test_initial_values(self, kind):
        net = network(kind, n=50, frequencies=100, sigma=0.3)
        p = net.params[0]
        assert abs(p.w.std() - 0.3) < 0.01
        most = 1 / math.sqrt(100 if kind == "pbld" else 200)
        for a in (p.W, p.b):
            assert np.abs(a).max() <= most
            assert np.abs(a).max() > 0.95 * most
        if kind == "pbld":
            assert np.abs(p.phi).max() <= np.pi
            assert np.abs(p.phi).max() > 0.99 * np.pi

    def test_files_copies_and_pickles(self, kind, tmp_path):
        net = network(kind)
        net.save(tmp_path / "net")
        for twin in (fc.load(tmp_path / "net"), net.copy(), pickle.loads(pickle.dumps(net))):
            assert twin.layers == net.layers
            assert np.array_equal(twin.predict(X), net.predict(X))

    def test_l2_shrinks_the_linear_map_alone(self, kind):
        shrunk = {tensor.letter for tensor in network(kind).program.tensors[:4] if tensor.param.decays}
        assert shrunk == {"W"}

    def test_it_is_explained(self, kind):
        net = fc.Network([fc.PeriodicEmbedding(2, 2, 2, kind), fc.Dense(4, 1)], dtype="float64", seed=0)
        found = fc.explain(net, X[:3, :2], T[:3, :1], "half_squared_error", "adam", focus="periodic_embedding_1.w[1,0]")
        assert found.trace.ok
        assert all(step.known and step.error < 1e-12 for step in found.trace.steps if step.phase != "check")
        exec(compile(found.to_python(), "script", "exec"), {"__name__": "script"})
        assert "periodic_embedding_1" in fc.draw(net, X[:1, :2])
        assert "of each column" in net.summary(width=150)


def test_what_the_worked_example_says():
    net = fc.Network([fc.PeriodicEmbedding(2, 2, 2), fc.Dense(4, 1)], dtype="float64", seed=0)
    steps = {str(step.equation) for step in fc.explain(net, X[:2, :2], T[:2, :1], "half_squared_error").trace.steps}
    assert {
        "v_wave1 = cos(6.2831853 * x * w_wave1 + phi_wave1)",
        "e_wave1 = v_wave1 W_wave1[j] + b_wave1",
        "y_wave1 = [x | e_wave1]",
        "dL/dW_wave1 = v_wave1[j]' dL/dy_wave1[e_wave1][j]",
        "dL/db_wave1 = sum_i(dL/dy_wave1[e_wave1])",
    } <= steps


def test_widths():
    net = fc.Network([fc.Dense(2, 3), fc.PeriodicEmbedding(), fc.Dense(12, 1)])
    assert net.layers[1] == fc.PeriodicEmbedding(3, 16, 4, "pbld", sigma=0.1)
    with pytest.raises(errors.ShapeError, match="comes first and has no width: give it n_in"):
        fc.Network([fc.PeriodicEmbedding()])
    with pytest.raises(errors.ShapeError, match="takes 4 columns, and what comes before it gives 3"):
        fc.Network([fc.Dense(2, 3), fc.PeriodicEmbedding(4)])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_in": 0}, errors.ConfigError, "n_in of PeriodicEmbedding must be 1 or more; got 0"),
        ({"frequencies": 0}, errors.ConfigError, "frequencies of PeriodicEmbedding must be 1 or more; got 0"),
        ({"frequencies": 2.5}, errors.InputTypeError, "frequencies of PeriodicEmbedding is a whole number; got 2.5"),
        ({"size": 0, "kind": "pl"}, errors.ConfigError, "size of PeriodicEmbedding must be 1 or more; got 0"),
        ({"size": 1}, errors.ConfigError, 'must be 2 or more with "pbld", as one output is the column itself; got 1'),
        ({"sigma": 0}, errors.ConfigError, "sigma of PeriodicEmbedding must be"),
        ({"sigma": np.nan}, errors.ConfigError, "sigma of PeriodicEmbedding"),
        ({"sigma": "0.1"}, errors.InputTypeError, "sigma of PeriodicEmbedding"),
        ({"kind": "PLR "}, errors.UnknownNameError, "there is no kind of PeriodicEmbedding 'PLR '; did you mean 'plr'"),
        ({"kind": None}, errors.UnknownNameError, "there is no kind of PeriodicEmbedding None"),
        ({"activation": True}, TypeError, "activation"),
    ],
)
def test_settings_that_cannot_be(settings, error, message):
    with pytest.raises(error, match=message):
        fc.PeriodicEmbedding(**{"n_in": 3, **settings})


def test_kinks_of_the_rectified_kind_are_found():
    net = fc.Network([fc.PeriodicEmbedding(1, 1, 1, "plr")], dtype="float64")
    p = net.params[0]
    p.w, p.W, p.b = 0.25, [[[1.0], [0.0]]], 0.0
    distances = net.layers[0].kink_distances(p, np.array([[1.0], [0.0]]))  # a quarter of a turn: its cosine is 0
    np.testing.assert_allclose(distances.ravel(), [0, 1], atol=1e-15)


def test_it_tells_close_numbers_apart():
    """What a plain network of that size learns slowly, as it is nearly linear in each column."""
    x = np.random.default_rng(1).uniform(-1, 1, (800, 1))
    t = np.sign(np.sin(12 * x))
    losses = []
    for first in (fc.PeriodicEmbedding(1, 16, 8, sigma=2.0), fc.Dense(1, 8, "relu")):
        net = fc.Network([first, fc.Dense(8, 32, "relu"), fc.Dense(32, 1)], seed=0)
        fc.fit(net, x, t, "half_squared_error", fc.Adam(0.01), 40, 64, seed=0, progress=False, warn=False)
        losses.append(net.evaluate(x, t, "half_squared_error").loss)
    assert losses[0] < 0.3 * losses[1]
