"""L-BFGS, the full-batch solver: what it reaches, what it tells, and what it refuses."""

import builtins

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

pytest.importorskip("scipy.optimize", reason="the solver is SciPy's")


def solve(net, x, t, loss="half_squared_error", epochs=200, optimizer=None, **settings):
    return fc.fit(net, x, t, loss, optimizer or fc.LBFGS(), epochs, progress=False, **settings)


@pytest.fixture
def line(rng):
    x = rng.normal(size=(50, 4))
    return x, x @ rng.normal(size=(4, 2)) + [1.0, -2.0] + 0.1 * rng.normal(size=(50, 2))


def linear(dtype=np.float64):
    return fc.Network([fc.Dense(4, 2)], dtype=dtype, seed=0)


class TestReaches:
    def test_least_squares(self, line):
        x, t = line
        net = linear()
        history = solve(net, x, t, optimizer=fc.LBFGS(tolerance=0, gradient_tolerance=1e-9))
        design = np.column_stack([x, np.ones(50)])
        best, *_ = np.linalg.lstsq(design, t, rcond=None)
        np.testing.assert_allclose(np.vstack([net.params[0].W, net.params[0].b]), best, atol=1e-7)
        assert history.stopped == "converged"
        residual = design @ best - t
        assert history.loss[-1] == pytest.approx((residual**2).sum() / 2 / 50, rel=1e-9)

    @pytest.mark.parametrize("shared", [False, True])
    def test_weighted_ridge(self, line, shared):
        x, t = line
        w = np.random.default_rng(1).random(50)
        w[:5] = 0
        net = linear()
        penalty = {"l2": 0.1, "alpha": 0.2 * w.sum()} if shared else {"l2": 0.3}
        solve(net, x, t, **penalty, sample_weight=w, optimizer=fc.LBFGS(tolerance=0, gradient_tolerance=1e-9))
        share = w / w.sum()
        design = np.column_stack([x, np.ones(50)])
        penalty = np.diag([0.3] * 4 + [0])
        best = np.linalg.solve(design.T @ (share[:, None] * design) + penalty, design.T @ (share[:, None] * t))
        np.testing.assert_allclose(np.vstack([net.params[0].W, net.params[0].b]), best, atol=1e-7)

    def test_ridge_with_alpha(self, line):
        x, t = line
        a, b = linear(), linear()
        exact = fc.LBFGS(tolerance=0, gradient_tolerance=1e-9)
        one, other = solve(a, x, t, alpha=25.0, optimizer=exact), solve(b, x, t, l2=0.5, optimizer=exact)
        assert a.theta.tobytes() == b.theta.tobytes()
        assert one.loss == other.loss

    def test_in_float32(self, line):
        x, t = line
        net = linear(np.float32)
        solve(net, x, t)
        best, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(50)]), t, rcond=None)
        np.testing.assert_allclose(np.vstack([net.params[0].W, net.params[0].b]), best, atol=2e-3)
        assert net.theta.dtype == np.float32

    def test_classes(self, blobs):
        x, t = blobs
        net = fc.mlp([2, 8, 3], activation="tanh", dtype=np.float64, seed=0)
        history = solve(net, x, t, "softmax_cross_entropy", 100, l2=1e-3, metrics=["accuracy"])
        assert history.metrics["accuracy"][-1] == 1
        assert history.loss[-1] < 0.1


class TestHistory:
    def test_is_the_loss_after_each_iteration(self, line):
        x, t = line
        net = linear()
        history = solve(net, x, t, epochs=5, l2=0.1, validation=(x, t), metrics=["r2"])
        assert len(history.loss) == len(history.validation_loss) == len(history.metrics["r2"]) == 5
        assert history.stopped == "epochs"
        assert all(a > b for a, b in zip(history.loss, history.loss[1:], strict=False))
        assert history.loss[-1] == pytest.approx(net.gradients(x, t, "half_squared_error", l2=0.1).loss, rel=1e-12)
        assert history.validation_loss[-1] == net.evaluate(x, t, "half_squared_error", ()).loss

    def test_an_epoch_is_an_iteration(self, line):
        a, b = linear(), linear()
        assert len(solve(a, *line, epochs=1).loss) == 1
        history = solve(b, *line, epochs=3)
        assert len(history.loss) == 3
        assert history.loss[0] == solve(linear(), *line, epochs=1).loss[0]

    def test_same_bits_again(self, line):
        a, b = linear(), linear()
        solve(a, *line, seed=1)
        solve(b, *line, seed=2, batch_size=3, shuffle=False)
        assert np.array_equal(a.theta, b.theta)

    def test_at_the_optimum_already(self, line):
        net = linear()
        x = line[0]
        history = solve(net, x, net.predict(x))
        assert history.stopped == "converged"
        assert np.isfinite(net.theta).all()

    def test_says_where_the_line_search_failed(self, line):
        class Uphill(fc.Loss):
            """Its gradient has the wrong sign: no step along it makes the loss smaller."""

            name = "uphill"

            def terms(self, z, t, c, dz):
                c.e[...] = (z - t) ** 2
                dz[...] = -2 * (z - t)

        assert solve(linear(), *line, Uphill()).stopped == "line_search"

    def test_says_where_the_evaluations_ran_out(self, line, monkeypatch):
        from scipy import optimize

        real = optimize.minimize

        def with_few(*given, options, **settings):
            return real(*given, options={**options, "maxfun": 3}, **settings)

        monkeypatch.setattr(optimize, "minimize", with_few)
        assert solve(linear(), *line, optimizer=fc.LBFGS(tolerance=0)).stopped == "evaluations"

    def test_a_metric_that_fails_leaves_the_network_as_it_was_counted(self, line):
        net, twin, calls = linear(), linear(), []

        def failing(z, t):
            calls.append(1)
            if len(calls) == 3:
                raise ZeroDivisionError
            return 0.0

        with pytest.raises(ZeroDivisionError):
            solve(net, *line, metrics=[failing])
        solve(twin, *line, epochs=2)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-12)

    def test_patience(self, line):
        x, t = line
        net = fc.mlp([4, 30, 2], activation="tanh", dtype=np.float64, seed=0)
        history = solve(net, x[:20], t[:20], epochs=500, validation=(x[20:], t[20:]), patience=5)
        assert history.stopped == "patience"
        assert len(history.loss) == history.best_epoch + 5
        assert net.evaluate(x[20:], t[20:], "half_squared_error", ()).loss == min(history.validation_loss)

    def test_interrupted(self, line):
        calls = []

        def impatient(z, t):
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return 0.0

        net, twin = linear(), linear()
        history = solve(net, *line, metrics=[impatient])
        assert (history.interrupted, len(history.loss)) == (True, 3)
        solve(twin, *line, epochs=4)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-12)

    def test_interrupted_between_iterations(self, line):
        """In the middle of a search along a line the network is somewhere else: it goes back to the last iteration."""
        calls = []

        class Impatient(fc.MeanSquaredError):
            name = "impatient"

            def terms(self, z, t, c, dz):
                calls.append(1)
                if len(calls) == stop:
                    raise KeyboardInterrupt
                super().terms(z, t, c, dz)

        net, before = linear(), linear().theta.copy()
        stop = 2  # the first call is for the start, the second for a point to try
        history = solve(net, *line, Impatient())
        assert (history.interrupted, history.loss) == (True, [])
        assert np.array_equal(net.theta, before)


REFUSED = [
    ([fc.Dense(4, 2), fc.Dropout(0.5)], {}, "dropout"),
    ([fc.Residual([fc.Dense(4, 4), fc.Dropout(0.5)]), fc.Dense(4, 2)], {}, "dropout"),
    ([fc.BatchNorm(n_in=4), fc.Dense(4, 2)], {}, "batch normalisation"),
    ([fc.Dense(4, 2)], {"schedule": fc.StepDecay(0.5)}, "a schedule"),
    ([fc.Dense(4, 2)], {"max_grad_norm": 1.0}, "max_grad_norm"),
    ([fc.Dense(4, 2)], {"checkpoint": "run"}, "a checkpoint"),
]


@pytest.mark.parametrize(
    ("layers", "settings", "what"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_refuses(layers, settings, what, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = fc.Network(layers, dtype=np.float64, seed=0)
    before = net.theta.copy()
    with pytest.raises(errors.ConfigError, match=f"LBFGS.*does not work with {what}"):
        solve(net, *line, **settings)
    assert np.array_equal(net.theta, before)
    assert not list(tmp_path.iterdir())


def test_has_no_epochs(line):
    with pytest.raises(errors.ConfigError, match=r"epochs yields after each epoch.*use fit"):
        fc.epochs(linear(), *line, "half_squared_error", fc.LBFGS())


def test_has_no_learning_rate():
    with pytest.raises(TypeError):
        fc.LBFGS(lr=0.1)


def test_layer_norm_is_fine(line):
    net = fc.Network([fc.LayerNorm(n_in=4), fc.Dense(4, 2)], dtype=np.float64, seed=0)
    history = solve(net, *line)
    assert history.loss[-1] < history.loss[0]


def test_a_start_without_a_finite_loss():
    net = fc.Network([fc.Dense(1, 1)], dtype=np.float64)
    net.theta = [1e200, 0]
    with pytest.raises(errors.DivergenceError, match=r"loss|output"):
        solve(net, [[1e10]], [0.0])
    assert net.theta.tolist() == [1e200, 0]


def test_without_scipy_the_message_says_what_to_install(line, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **settings):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *args, **settings)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(errors.MissingPackageError, match=r"scipy.*pip install 'fullyconnected\[lbfgs\]'"):
        solve(linear(), *line)


class Backtracking(fc.Solver):
    """Gradient descent with steps that are halved until the loss falls far enough."""

    name = "backtracking"

    def minimize(self, loss, theta, iterations, after):
        value, g = loss(theta)
        for _ in range(iterations):
            step = 1.0
            while True:
                there = theta - step * g
                new, slope = loss(there)
                if new <= value - 0.5 * step * (g @ g):
                    break
                step /= 2
                if step < 1e-9:
                    return "no step was short enough"
            theta, value, g = there, new, slope
            if after(theta, value):
                break
        return "epochs"


@pytest.fixture
def backtracking():
    from fullyconnected.optimizers import OPTIMIZERS

    fc.register(Backtracking)
    yield "backtracking"
    del OPTIMIZERS.classes["backtracking"]


class TestOfOnesOwn:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_reaches_least_squares_by_its_name(self, line, backtracking, dtype):
        x, t = line
        net = linear(dtype)
        history = solve(net, x, t, optimizer=backtracking, epochs=100, metrics=["r2"])
        best, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(50)]), t, rcond=None)
        np.testing.assert_allclose(np.vstack([net.params[0].W, net.params[0].b]), best, atol=1e-3)
        assert (history.engine, len(history.metrics["r2"])) == ("numpy", len(history.loss))
        assert "a full-batch solver takes its gradients from NumPy" in history.engine_why or (
            "it was not built" in history.engine_why
        )
        assert net.theta.dtype == dtype

    def test_patience_validation_and_l2(self, line):
        x, t = line
        net = linear()
        settings = {"validation": (x[:20], t[:20]), "monitor": "r2", "patience": 3, "l2": 0.1}
        history = solve(net, x[20:], t[20:], optimizer=Backtracking(), **settings)
        assert history.stopped == "patience"
        assert history.best_epoch == int(np.argmax(history.metrics["r2"])) + 1 == len(history.loss) - 3

    def test_one_that_does_nothing_leaves_the_initial_loss(self, line):
        solver = type("Idle", (fc.Solver,), {"name": "idle", "minimize": lambda self, *given: "idle"})()
        net = linear()
        history = solve(net, *line, optimizer=solver)
        assert history.loss == [pytest.approx(net.evaluate(*line, "half_squared_error").loss)]
        assert history.stopped == "idle"

    def test_what_ends_it_is_told_in_its_own_words(self, line):
        class Uphill(fc.HalfSquaredError):
            name = "uphill"

            def value_and_gradient(self, z, t, c, dz):
                value = super().value_and_gradient(z, t, c, dz)
                dz *= -1
                return value

        net = linear()
        before = net.theta.copy()
        history = solve(net, *line, Uphill(), optimizer=Backtracking())
        assert (history.stopped, len(history.loss)) == ("no step was short enough", 1)
        assert "no step was short enough" in str(history)
        assert np.array_equal(net.theta, before)

    def test_what_does_not_go_with_it_is_refused_for_it_too(self, line, tmp_path):
        net = fc.Network([fc.Dense(4, 2), fc.Dropout(0.5)], seed=0)
        with pytest.raises(errors.ConfigError, match=r"Backtracking uses all rows at once.*does not work with dropout"):
            solve(net, *line, optimizer=Backtracking())
        with pytest.raises(errors.ConfigError, match="epochs yields after each epoch, and Backtracking has none"):
            fc.epochs(linear(), *line, "half_squared_error", Backtracking())
        with pytest.raises(errors.ConfigError, match="the native engine cannot run this: "):
            solve(linear(), *line, optimizer=Backtracking(), engine="native")
        with pytest.raises(errors.ConfigError, match=r"Backtracking evaluates the loss many times.*give an optimizer"):
            fc.explain(linear(), *line, "half_squared_error", Backtracking())

    @pytest.mark.parametrize(
        ("minimize", "error", "message"),
        [
            (lambda self, loss, theta, n, after: None, errors.InputTypeError, "returns what ended it.*got None"),
            (
                lambda self, loss, theta, n, after: [after(theta, 1.0) for _ in range(n + 1)],
                errors.ConfigError,
                "continues after 7 iterations",
            ),
            (
                lambda self, loss, theta, n, after: after(theta * np.nan, 1.0),
                errors.ConfigError,
                "parameters that are not finite",
            ),
            (
                lambda self, loss, theta, n, after: after(theta[:-1], 1.0),
                errors.ShapeError,
                "reports theta with shape",
            ),
        ],
    )
    def test_mistakes_are_named_and_leave_finite_weights(self, line, minimize, error, message):
        solver = type("Mistaken", (fc.Solver,), {"name": "mistaken", "minimize": minimize})()
        net = linear()
        before = net.theta.copy()
        with pytest.raises(error, match=message):
            solve(net, *line, optimizer=solver, epochs=7)
        assert np.array_equal(net.theta, before)

    def test_how_minimize_is_called_is_checked_when_it_is_registered(self):
        with pytest.raises(errors.ConfigError, match=r"called as minimize\(loss, theta, iterations, after\)"):
            fc.register(type("Mine", (fc.Solver,), {"name": "mine", "minimize": lambda self, f, x0: None}))
