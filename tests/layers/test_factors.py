"""Layers with one learned factor for each unit."""

import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.activations import ACTIVATIONS

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
    assert {
        "y_scale1 = s_scale1 * x",
        "dL/ds_scale1 = 1' (x * dL/dy_scale1)",
        "dL/dx = s_scale1 * dL/dy_scale1",
    } <= steps
    assert found.trace.ok
    assert "scale_1" in fc.draw(net, [[1.0, 2.0]])


def by_formula(f, x, a):
    """y of a Parametric layer, and its slope by x."""
    alone = fc.Network([fc.Activation(f, n_in=x.shape[1])], dtype="float64")
    y = alone.predict(x, engine="numpy")
    slope = alone.gradients(x, y - len(x), "half_squared_error", engine="numpy").x
    return x + a * (y - x), 1 - a + a * slope


@pytest.mark.parametrize("engine", ENGINES)
class TestParametric:
    def test_by_hand(self, engine):
        net = fc.Network([fc.Parametric("relu", n_in=3)], dtype="float64")
        assert net.params[0].a.tolist() == [1, 1, 1]
        x = np.array([[-2.0, -2.0, -2.0], [4.0, 4.0, 4.0]])
        assert net.predict(x, engine=engine).tolist() == [[0, 0, 0], [4, 4, 4]]
        net.params[0].a = [0, 0.5, 2]
        assert net.predict(x, engine=engine).tolist() == [[-2, -1, 2], [4, 4, 4]]
        g = net.gradients(x, [[0, 0, 0], [2, 2, 2]], "half_squared_error", engine=engine)
        assert g.params[0].a.tolist() == [-2, -1, 2]  # f(x) - x is 2 and 0
        assert g.x.tolist() == [[-1, -0.25, -1], [1, 1, 1]]

    @pytest.mark.parametrize("f", [name for name in ACTIVATIONS.classes if name not in ("softmax", "exp")])
    def test_every_activation(self, engine, f):
        x, a = 2 * RNG.normal(size=(40, 19)), RNG.normal(size=19)
        net = fc.Network([fc.Parametric(f, n_in=19)], dtype="float64")
        net.params[0].a = a
        y, slope = by_formula(f, x, a)
        np.testing.assert_allclose(net.predict(x, engine=engine), y, rtol=1e-11, atol=1e-13)
        g = net.gradients(x, y - 40, "half_squared_error", engine=engine)  # dy is 1
        np.testing.assert_allclose(g.x, slope, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(g.params[0].a * a, (y - x).sum(axis=0), rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize(("rows", "n"), [(1, 1), (5, 33), (300, 200), (3000, 1)])
    @pytest.mark.parametrize("f", ["mish", "selu", "softmax"])
    def test_of_any_shape(self, engine, rows, n, dtype, f):
        x, t = RNG.normal(size=(rows, n)), RNG.normal(size=(rows, n))
        net = fc.Network([fc.Dense(n, n), fc.Parametric(f), fc.Dense(n, n)], dtype=dtype, seed=0)
        net.params[1].a = RNG.normal(size=n)
        g, own = (net.gradients(x, t, "half_squared_error", engine=each) for each in (engine, "numpy"))
        bound = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
        np.testing.assert_allclose(g.theta, own.theta, **bound)
        np.testing.assert_allclose(g.x, own.x, **bound)

    def test_neither_l2_nor_decay_shrinks_it(self, engine):
        net = fc.Network([fc.Parametric("mish", n_in=3), fc.Dense(3, 3)], dtype="float64", seed=0)
        net.params[1].W = 0
        how = {"epochs": 3, "l2": 0.5, "engine": engine, "progress": False, "warn": False}
        fc.fit(net, X, np.zeros((9, 3)), "half_squared_error", fc.AdamW(0.1, weight_decay=0.5), **how)
        assert net.params[0].a.tolist() == [1, 1, 1]

    def test_a_unit_becomes_linear_if_that_is_what_it_takes(self, engine):
        x = np.random.default_rng(1).normal(size=(300, 1))
        net = fc.Network([fc.Parametric("relu", n_in=1)], seed=0)
        fc.fit(net, x, x, "half_squared_error", fc.Adam(0.05), 40, engine=engine, progress=False)
        assert abs(net.params[0].a[0]) < 0.01

    def test_a_run_goes_on_from_its_checkpoint(self, engine, tmp_path):
        ends = []
        for runs in ([6], [2, 6]):
            for epochs in runs:
                net = fc.Network([fc.Dense(3, 5), fc.Parametric("selu"), fc.Dense(5, 3)], seed=0)
                trained(net, X, T, epochs=epochs, batch_size=4, checkpoint=tmp_path / f"{len(runs)}", engine=engine)
            ends.append(net.theta.tobytes())
        assert ends[0] == ends[1]


def test_what_parametric_takes():
    for given in ("mish", ACTIVATIONS.build("mish")):
        net = fc.Network([fc.Dense(2, 4), fc.Parametric(given)])
        assert net.layers[1] == fc.Parametric("mish", n_in=4)
    pair = fc.Network([fc.Dense(2, 4), fc.Parametric((np.sin, np.cos))], dtype="float64", seed=0)
    assert fc.check_gradients(pair, X[:, :2], np.zeros((9, 4)), "half_squared_error").ok
    with pytest.raises(errors.UnknownNameError, match="no activation 'mihs'; did you mean 'mish'"):
        fc.Parametric("mihs")
    with pytest.raises(TypeError):
        fc.Parametric()
    with pytest.raises(errors.ShapeError, match="comes first and has no width: give it n_in"):
        fc.Network([fc.Parametric("mish")])
    with pytest.raises(errors.ConfigError, match="n_in of Parametric must be 1 or more"):
        fc.Parametric("mish", n_in=0)
    with pytest.raises(errors.ConfigError, match="softmax"):
        fc.fit(fc.Network([fc.Parametric("softmax", n_in=3)]), X, [0, 1, 2] * 3, "softmax_cross_entropy")


def test_buffers_of_one_name():
    class Mine(fc.ActivationFunction):
        name = "mine"

        def cache(self, rows, n):
            return {"bend": (rows, n)}

    with pytest.raises(errors.ConfigError, match="requests a buffer 'bend', but Parametric has one"):
        fc.Network([fc.Parametric(Mine(), n_in=2)]).predict([[1.0, 2.0]])


def test_kinks_of_parametric_are_found():
    net = fc.Network([fc.Parametric("relu", n_in=2)], dtype="float64")
    report = fc.check_gradients(net, [[0.0, 1.0], [0.5, 1e-7]], np.ones((2, 2)), "half_squared_error")
    assert report.ok
    assert "kink" in str(report)


def test_parametric_in_files_copies_and_pickles(tmp_path):
    net = trained(fc.Network([fc.Dense(3, 3), fc.Parametric(fc.LeakyReLU(0.2))], seed=0), X, T, epochs=2)
    net.save(tmp_path / "net")
    for twin in (fc.load(tmp_path / "net"), net.copy(), pickle.loads(pickle.dumps(net))):
        assert twin.layers == net.layers
        assert np.array_equal(twin.predict(X), net.predict(X))
    assert "x + a (leaky_relu(x; slope=0.2) - x)" in net.summary(width=120)


def test_parametric_is_explained_and_drawn():
    net = fc.Network([fc.Dense(2, 2), fc.Parametric("mish"), fc.Dense(2, 1)], dtype="float64", seed=0)
    net.params[1].a = [0.5, 2]
    found = fc.explain(net, [[1.0, 2.0]], [[1.0]], "half_squared_error", focus="parametric_1.a[1]")
    steps = {str(step.equation) for step in found.trace.steps}
    assert {"f1 = z1 * t1", "y1 = z1 + a1 * (f1 - z1)", "dL/da1 = 1' ((f1 - z1) * dL/dy1)"} <= steps
    assert any(step.startswith("dL/dz1 = (1 - a1) * dL/dy1 + a1 * dL/dy1 * (t1 + ") for step in steps), steps
    assert found.trace.ok
    exec(compile(found.to_python(), "script", "exec"), {"__name__": "script"})
    drawn = fc.draw(net, [[1.0, 2.0]])
    assert "parametric_1" in drawn
    assert ">mish<" in drawn


def test_dead_units_are_those_that_pass_no_gradient_on():
    net = fc.Network([fc.Dense(3, 6), fc.Parametric("relu"), fc.Dense(6, 3)], seed=0)
    net.params[0].b = -100
    assert "dead_units" in [each.name for each in fc.diagnose(net, X, T, "half_squared_error").findings]
    net.params[1].a = 0.5  # with half of relu, there is always a slope
    assert "dead_units" not in [each.name for each in fc.diagnose(net, X, T, "half_squared_error").findings]
