"""Learning-rate schedules: their values, and that they change the rate of every step exactly so."""

import math

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

AT = [0, 0.25, 0.999, 1, 1.5, 2, 3.7, 10, 1e6]


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (fc.StepDecay(0.5), lambda e: 0.5 ** int(e)),
        (fc.StepDecay(0.1, every=3), lambda e: 0.1 ** int(e / 3)),
        (fc.ExponentialDecay(0.9), lambda e: 0.9**e),
        (fc.LinearDecay(4), lambda e: 1 - min(e, 4) / 4),
        (fc.LinearDecay(4, end=0.2), lambda e: 1 - 0.8 * min(e, 4) / 4),
        (fc.CosineDecay(4), lambda e: (1 + math.cos(math.pi * min(e, 4) / 4)) / 2),
        (fc.CosineDecay(4, end=0.1), lambda e: 0.1 + 0.9 * (1 + math.cos(math.pi * min(e, 4) / 4)) / 2),
        (fc.Warmup(2), lambda e: min(e / 2, 1)),
        (fc.Warmup(2, then=fc.StepDecay(0.5)), lambda e: e / 2 if e < 2 else 0.5 ** int(e - 2)),
        (fc.Warmup(1, then=lambda e: 7 + e), lambda e: e if e < 1 else 6 + e),
    ],
)
def test_values(schedule, formula):
    for epoch in AT:
        assert schedule(epoch) == pytest.approx(formula(epoch), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    "schedule",
    [
        fc.StepDecay(0.5),
        fc.ExponentialDecay(0.5),
        fc.LinearDecay(3),
        fc.CosineDecay(3, end=0.1),
        fc.Warmup(1.5, then=fc.StepDecay(0.1)),
        lambda epoch: 0.3 if epoch < 1 else 2.0,
    ],
)
def test_changes_the_rate_of_every_step(schedule, rng):
    """Three steps an epoch, the last of them short: step i of epoch e has the rate at e + i / 3."""
    net = fc.Network([fc.Dense(2, 1)], dtype=np.float64, seed=0)
    x, t = rng.normal(size=(8, 2)), rng.normal(size=8)
    twin = net.copy()
    fc.fit(net, x, t, "half_squared_error", fc.SGD(0.1), 3, 3, schedule=schedule, shuffle=False, progress=False)
    for epoch in range(3):
        for i, rows in enumerate((slice(0, 3), slice(3, 6), slice(6, 8))):
            g = twin.gradients(x[rows], t[rows], "half_squared_error").theta
            twin.theta = twin.theta - 0.1 * schedule(epoch + i / 3) * g
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-13)


def test_zero_rate_does_not_move(rng):
    net = fc.mlp([2, 3, 1], seed=0)
    before = net.theta.copy()
    fc.fit(
        net, rng.normal(size=(8, 2)), np.arange(8), "half_squared_error", epochs=2, schedule=lambda e: 0, progress=False
    )
    assert np.array_equal(net.theta, before)


@pytest.mark.parametrize("rule", [fc.Momentum(0.1), fc.AdamW(0.1, weight_decay=0.5), fc.RMSProp(0.1)], ids=repr)
def test_a_constant_schedule_is_another_rate(rule, rng):
    x, t = rng.normal(size=(8, 2)), rng.normal(size=8)
    nets = [fc.mlp([2, 3, 1], dtype=np.float64, seed=0) for _ in range(2)]
    fc.fit(nets[0], x, t, "half_squared_error", rule, 3, 4, schedule=lambda e: 0.5, progress=False)
    fc.fit(nets[1], x, t, "half_squared_error", type(rule)(**{**vars(rule), "lr": 0.05}), 3, 4, progress=False)
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-12)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: fc.StepDecay(0), errors.ConfigError, "factor must be more than 0"),
        (lambda: fc.StepDecay(0.5, every=0), errors.ConfigError, "every must be more than 0"),
        (lambda: fc.StepDecay("0.5"), errors.InputTypeError, "factor is a number; got '0.5'"),
        (lambda: fc.ExponentialDecay(-1), errors.ConfigError, "factor"),
        (lambda: fc.LinearDecay(0), errors.ConfigError, "epochs must be more than 0"),
        (lambda: fc.LinearDecay(5, end=-1), errors.ConfigError, "end must be 0 or more"),
        (lambda: fc.CosineDecay(math.nan), errors.ConfigError, "epochs"),
        (lambda: fc.CosineDecay(5, end=math.inf), errors.ConfigError, "end"),
        (lambda: fc.Warmup(-1), errors.ConfigError, "epochs"),
        (lambda: fc.Warmup(1, then=0.5), errors.InputTypeError, "then is a schedule"),
    ],
)
def test_settings_that_cannot_be(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize("value", [None, "slow", np.zeros(2)], ids=str)
def test_a_schedule_that_returns_no_number_is_an_error(value):
    with pytest.raises(errors.InputTypeError, match="what the schedule returns"):
        fc.fit(fc.mlp([1, 1], seed=0), [[1.0]], [1.0], "half_squared_error", schedule=lambda e: value, progress=False)


ENGINES = pytest.mark.parametrize("engine", [name for name, info in fc.engines().items() if info.available])
OF_PROGRESS = pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (fc.FlatCosine(), lambda p: 1 if p < 0.5 else (1 + math.cos(math.pi * (2 * p - 1))) / 2),
        (fc.FlatCosine(0, end=0.1), lambda p: 0.1 + 0.9 * (1 + math.cos(math.pi * p)) / 2),
        (fc.LogCosine(), lambda p: (1 - math.cos(2 * math.pi * math.log2(1 + 15 * p))) / 2),
        (fc.LogCosine(1), lambda p: (1 - math.cos(2 * math.pi * math.log2(1 + p))) / 2),
        (fc.LinearWarmup(0.25), lambda p: min(4 * p, 1)),
        (fc.LinearWarmup(0.2, then=fc.FlatCosine(0)),
         lambda p: 5 * p if p < 0.2 else (1 + math.cos(math.pi * (p - 0.2) / 0.8)) / 2),
    ],
)  # fmt: skip


class TestOfProgress:
    @OF_PROGRESS
    def test_values(self, schedule, formula):
        for progress in (0, 0.01, 0.2, 0.25, 0.4999, 0.5, 0.7, 1):
            assert schedule(progress) == pytest.approx(formula(progress), rel=1e-12, abs=1e-15)

    @ENGINES
    @OF_PROGRESS
    def test_the_rate_of_each_step_is_that_of_its_share_of_the_epochs(self, schedule, formula, engine, rng):
        net = fc.Network([fc.Dense(2, 1)], dtype=np.float64, seed=0)
        x, t = rng.normal(size=(8, 2)), rng.normal(size=8)
        twin = net.copy()
        how = {"shuffle": False, "progress": False, "engine": engine}
        fc.fit(net, x, t, "half_squared_error", fc.SGD(0.1), 3, 3, schedule=schedule, **how)
        of_epochs = lambda epoch: formula(epoch / 3)  # noqa: E731
        fc.fit(twin, x, t, "half_squared_error", fc.SGD(0.1), 3, 3, schedule=of_epochs, **how)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-13)

    def test_a_run_is_resumed_and_not_prolonged(self, tmp_path, rng):
        x, t = rng.normal(size=(20, 2)), rng.normal(size=20)
        how = {"optimizer": fc.Adam(0.01), "batch_size": 5, "seed": 0, "progress": False}
        whole, parts = fc.mlp([2, 4, 1], seed=0), fc.mlp([2, 4, 1], seed=0)
        path = tmp_path / "run.safetensors"
        for schedule in (fc.FlatCosine(0.9), fc.LinearWarmup(0.3, then=fc.LogCosine(2))):
            fc.fit(whole, x, t, "huber", epochs=8, schedule=schedule, **how)

            class Stop(Exception):
                pass

            def stop(z, targets):
                stop.calls += 1
                if stop.calls == 4:
                    raise Stop
                return 0.0

            stop.calls = 0
            with pytest.raises(Stop):
                fc.fit(parts, x, t, "huber", epochs=8, schedule=schedule, metrics=stop, checkpoint=path,
                       checkpoint_every=1, **how)  # fmt: skip
            with pytest.raises(errors.CheckpointError, match=r"begun with schedule=.*epochs=8.* go on with .*epochs=9"):
                fc.fit(parts, x, t, "huber", epochs=9, schedule=schedule, metrics=stop, checkpoint=path, **how)
            fc.fit(parts, x, t, "huber", epochs=8, schedule=schedule, metrics=stop, checkpoint=path, **how)
            assert parts.theta.tobytes() == whole.theta.tobytes()
            path.unlink()
            whole, parts = fc.mlp([2, 4, 1], seed=0), fc.mlp([2, 4, 1], seed=0)

    def test_where_nobody_says_how_many_epochs_are_planned(self, rng):
        net, x, t = fc.mlp([2, 1], seed=0), rng.normal(size=(8, 2)), rng.normal(size=8)
        with pytest.raises(errors.ConfigError, match=r"nobody says here how many are planned. Use fit\(..., epochs"):
            next(iter(fc.epochs(net, x, t, "huber", schedule=fc.FlatCosine())))
        with pytest.raises(errors.ConfigError, match="max_time settles after the first one how many"):
            fc.fit(net, x, t, "huber", schedule=fc.LogCosine(), max_time=5, progress=False)

    @pytest.mark.parametrize(
        ("wrong", "error", "message"),
        [
            (lambda: fc.FlatCosine(1.0), errors.ConfigError, "flat is a share of the planned epochs, below 1; got 1.0"),
            (lambda: fc.FlatCosine(-0.1), errors.ConfigError, "flat"),
            (lambda: fc.FlatCosine(end="0"), errors.InputTypeError, "end"),
            (lambda: fc.LogCosine(0), errors.ConfigError, "cycles"),
            (lambda: fc.LogCosine(2.5), errors.InputTypeError, "cycles"),
            (lambda: fc.LinearWarmup(0.0), errors.ConfigError, "share"),
            (lambda: fc.LinearWarmup(5), errors.ConfigError, "share is a share of the planned epochs, below 1; got 5"),
            (
                lambda: fc.LinearWarmup(then=fc.StepDecay(0.5)),
                errors.InputTypeError,
                "Warmup takes schedules of epochs",
            ),
            (
                lambda: fc.Warmup(2, then=fc.FlatCosine()),
                errors.InputTypeError,
                r"LinearWarmup\(share, then=FlatCosine",
            ),
        ],
    )
    def test_bad_settings(self, wrong, error, message):
        with pytest.raises(error, match=message):
            wrong()

    def test_estimators_plan_max_iter(self, tmp_path):
        sklearn = pytest.importorskip("sklearn.exceptions")
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(40, 3)), rng.normal(size=40)
        settings = {"hidden_layer_sizes": (4,), "random_state": 0, "max_iter": 6, "n_iter_no_change": 99}
        planned, by_epochs = fc.LinearWarmup(0.5, then=fc.FlatCosine(0)), fc.Warmup(3, then=fc.CosineDecay(3))
        model, twin = (fc.MLPRegressor(**settings, schedule=schedule) for schedule in (planned, by_epochs))
        for each in (model, twin):
            with pytest.warns(sklearn.ConvergenceWarning):
                each.fit(x, t)
        np.testing.assert_allclose(model.coefs_[0], twin.coefs_[0], rtol=1e-12)
        model.save(tmp_path / "model")
        assert fc.load_estimator(tmp_path / "model").schedule == model.schedule
        with pytest.raises(ValueError, match="nobody says here how many"):
            model.partial_fit(x, t)
