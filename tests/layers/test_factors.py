"""Layers with one learned factor for each unit."""

import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

ENGINES = [name for name, info in fc.engines().items() if info.available]
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 3))


def trained(net, x, t, **how):
    fc.fit(net, x, t, "half_squared_error", fc.Adam(0.02), shuffle=False, progress=False, warn=False, **how)
    return net


@pytest.mark.parametrize("engine", ENGINES)
class TestScale:
    def test_by_hand(self, engine):
        net = fc.Network([fc.Scale(2)], dtype="float64")
        assert net.params[0].s.tolist() == [1, 1]
        net.params[0].s = [2, -3]
        x, t = np.array([[1.0, 2.0], [3.0, 5.0]]), np.zeros((2, 2))
        assert net.predict(x, engine=engine).tolist() == [[2, -6], [6, -15]]
        g = net.gradients(x, t, "half_squared_error", engine=engine)
        assert g.x.tolist() == [[2, 9], [6, 22.5]]  # s y / 2
        assert g.params[0].s.tolist() == [(1 * 2 + 3 * 6) / 2, (-2 * 6 - 5 * 15) / 2]

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize(("rows", "n"), [(1, 1), (5, 33), (300, 200), (3000, 1)])
    def test_of_any_shape(self, engine, rows, n, dtype):
        """Also where threads share the rows and the columns."""
        x, t = RNG.normal(size=(rows, n)), RNG.normal(size=(rows, n))
        net = fc.Network([fc.Dense(n, n), fc.Scale(), fc.Dense(n, n)], dtype=dtype, seed=0)
        net.params[1].s = RNG.normal(size=n)
        g, own = (net.gradients(x, t, "half_squared_error", engine=each) for each in (engine, "numpy"))
        bound = {"rtol": 1e-5, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
        np.testing.assert_allclose(g.theta, own.theta, **bound)
        np.testing.assert_allclose(g.x, own.x, **bound)

    def test_neither_l2_nor_decay_shrinks_it(self, engine):
        net = fc.Network([fc.Scale(3), fc.Dense(3, 3)], dtype="float64", seed=0)
        net.params[1].W = 0  # so that s has no gradient
        t = np.zeros((9, 3))
        how = {"epochs": 3, "l2": 0.5, "engine": engine, "progress": False, "warn": False}
        fc.fit(net, X, t, "half_squared_error", fc.AdamW(0.1, weight_decay=0.5), **how)
        assert net.params[0].s.tolist() == [1, 1, 1]

    def test_a_column_that_says_nothing_is_turned_down(self, engine):
        x = np.random.default_rng(1).normal(size=(400, 2))
        net = fc.Network([fc.Scale(2), fc.Dense(2, 1)], seed=0)
        net.params[1].W = 1
        fc.fit(net, x, 3 * x[:, :1], "half_squared_error", fc.Adam(0.02), 40, engine=engine, progress=False)
        relevant, other = np.abs(net.params[0].s)
        assert relevant > 5 * other

    def test_a_run_goes_on_from_its_checkpoint(self, engine, tmp_path):
        ends = []
        for runs in ([6], [2, 6]):
            for epochs in runs:
                net = fc.Network([fc.Scale(3), fc.Dense(3, 5, "tanh"), fc.Scale(), fc.Dense(5, 3)], seed=0)
                path = tmp_path / f"{len(runs)}"
                trained(net, X, T, epochs=epochs, batch_size=4, checkpoint=path, engine=engine)
            ends.append(net.theta.tobytes())
        assert ends[0] == ends[1]


def test_widths():
    net = fc.Network([fc.Dense(2, 4), fc.Scale(), fc.Residual([fc.Scale()])])
    assert [layer.n_in for layer in net.layers] == [2, 4, 4]
    with pytest.raises(errors.ShapeError, match=r"layer 0, Scale\(n_in=None\), comes first and has no width: give it"):
        fc.Network([fc.Scale()])
    with pytest.raises(errors.ShapeError, match="takes 3 columns, and what comes before it gives 4"):
        fc.Network([fc.Dense(2, 4), fc.Scale(3)])


@pytest.mark.parametrize(("n", "error"), [(0, errors.ConfigError), (1.5, errors.InputTypeError), ("3", TypeError)])
def test_widths_that_cannot_be(n, error):
    with pytest.raises(error, match="n_in of Scale"):
        fc.Scale(n)


def test_files_copies_and_pickles(tmp_path):
    net = trained(fc.Network([fc.Scale(3), fc.Dense(3, 3), fc.Scale()], seed=0), X, T, epochs=2)
    net.save(tmp_path / "net")
    for twin in (fc.load(tmp_path / "net"), net.copy(), pickle.loads(pickle.dumps(net))):
        assert twin.layers == net.layers
        assert np.array_equal(twin.predict(X), net.predict(X))
    assert "scale_1" in net.summary()
    assert "s x" in net.summary()


def test_numbers_that_are_not_finite_are_noticed():
    net = fc.Network([fc.Scale(3), fc.Dense(3, 3)], seed=0)
    with pytest.raises(errors.DivergenceError):
        fc.fit(net, 1e30 * X, T, "half_squared_error", fc.SGD(1e30), 5, progress=False, warn=False)


def test_it_is_explained_and_drawn():
    net = fc.Network([fc.Scale(2), fc.Dense(2, 1)], dtype="float64", seed=0)
    net.theta = [2, 3, 0.5, 0.25, 1]
    found = fc.explain(net, [[1.0, 2.0]], [[1.0]], "half_squared_error", focus="scale_1.s[1]")
    steps = {str(step.equation) for step in found.trace.steps}
    assert {"y1 = s1 * x", "dL/ds1 = 1' (x * dL/dy1)", "dL/dx = s1 * dL/dy1"} <= steps
    assert found.trace.ok
    assert "scale_1" in fc.draw(net, [[1.0, 2.0]])
