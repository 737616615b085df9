"""Schedules of weight decay and of dropout: the numbers of each step, both engines, checkpoints, what is refused."""

import math
import os

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.core.randomness import Uniforms
from fullyconnected.engine.choice import ENGINES
from fullyconnected.engine.numpy_engine import NumpyEngine

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(90, 4)), RNG.normal(size=(90, 2))
LOSS = fc.HalfSquaredError()
SHORT = {"batch_size": 20, "progress": False, "warn": False, "seed": 3}
STEPS = 5  # in an epoch
ENGINE = [pytest.param(name, id=name) for name in ("numpy", "native")]


def falling(epoch):
    return 1 / (1 + epoch)


def net(rate=0.4, seed=0, dtype="float64"):
    layers = [fc.Dense(4, 8, "tanh"), fc.Dropout(rate), fc.Residual([fc.Dense(8, 8, "relu"), fc.Dropout(rate / 2)])]
    return fc.Network([*layers, fc.Dense(8, 2)], dtype=dtype, seed=seed)


def trained(made, epochs, optimizer=None, **settings):
    fc.fit(made, X, T, LOSS, optimizer or fc.AdamW(0.05, weight_decay=0.2), epochs, **{**SHORT, **settings})
    return made


@pytest.fixture(params=ENGINE)
def engine(request):
    if not fc.engines()[request.param].available:
        pytest.skip("it is not here")
    return request.param


class TestWeightDecay:
    def test_the_step_is_the_formula(self):
        """theta <- (1 - lr wd f(e)) theta at the epoch e of each step, if the gradient is 0."""

        class Nothing(fc.Loss):
            name = "nothing_at_all"

            def terms(self, z, t, c, dz):
                c.e[...] = 0
                dz[...] = 0

        made = fc.Network([fc.Dense(4, 2, bias_init=0.5)], dtype="float64", seed=0)
        before = made.params[0].W.copy(), made.params[0].b.copy()
        rule = fc.AdamW(0.05, weight_decay=0.2)
        fc.fit(made, X, T, Nothing(), rule, 3, weight_decay_schedule=falling, **SHORT)
        shrunk = math.prod(1 - 0.05 * 0.2 * falling(i / STEPS) for i in range(3 * STEPS))
        assert np.allclose(made.params[0].W, before[0] * shrunk, rtol=1e-12)
        assert (made.params[0].b == before[1]).all()

    def test_a_constant_factor_is_another_weight_decay(self, engine):
        half = trained(net(), 3, weight_decay_schedule=lambda epoch: 0.5, engine=engine)
        assert (
            half.theta.tobytes() == trained(net(), 3, fc.AdamW(0.05, weight_decay=0.1), engine=engine).theta.tobytes()
        )
        none = trained(net(), 3, weight_decay_schedule=lambda epoch: 0.0, engine=engine)
        assert none.theta.tobytes() == trained(net(), 3, fc.Adam(0.05), engine=engine).theta.tobytes()

    def test_it_multiplies_the_factors_of_layers(self, engine):
        factors = fc.Factors(weight_decay={"dense_1": 0.5, "dense_2": 3})
        made = trained(net(), 3, weight_decay_schedule=lambda epoch: 0.5, factors=factors, engine=engine)
        other = fc.Factors(weight_decay={"dense_1": 0.25, "dense_2": 1.5, "rest": 0.5})
        assert np.allclose(made.theta, trained(net(), 3, factors=other, engine=engine).theta, rtol=1e-10)

    def test_rules_of_your_own(self):
        class Shrinking(fc.Optimizer):
            name = "shrinking_with_a_schedule"
            lr = 0.1
            decays = True

            def __init__(self, strength=0.1):
                self.strength = strength

            def times_decay(self, factor):
                return Shrinking(self.strength * factor)

            def update(self, theta, g, s, c, *, lr, step, decays):
                theta -= lr * g
                if decays:
                    theta *= 1 - lr * self.strength

        half = trained(net(), 2, Shrinking(), weight_decay_schedule=lambda epoch: 0.5)
        assert np.allclose(half.theta, trained(net(), 2, Shrinking(0.05)).theta, rtol=1e-12)

        class Fixed(Shrinking):
            times_decay = fc.Optimizer.times_decay

        with pytest.raises(errors.ConfigError, match="times_decay"):
            trained(net(), 2, Fixed(), weight_decay_schedule=falling)


class TestDropout:
    def test_the_mask_of_each_step_is_drawn_at_its_rate(self):
        """Each entry is kept where its uniform number is at least rate f(e), and divided by 1 - rate f(e)."""
        seen = []

        class Watching(fc.Dropout):
            name = "watching"

            def forward(self, p, x, c, y, *, train):
                super().forward(p, x, c, y, train=train)
                if train:
                    seen.append((c.uniforms.step, c.m.copy()))

        made = fc.Network([fc.Dense(4, 8), Watching(0.4), fc.Dense(8, 2)], dtype="float64", seed=0)
        trained(made, 2, dropout_schedule=falling, engine="numpy")
        assert len(seen) == 2 * STEPS
        for i, (step, mask) in enumerate(seen):
            uniforms, u = Uniforms(1), np.empty(mask.shape, np.float32)
            uniforms.seed, uniforms.step = SHORT["seed"], step
            uniforms.fill(u)
            rate = 0.4 * falling(i / STEPS)
            assert np.allclose(mask, (u >= np.float32(rate)) / (1 - rate), rtol=1e-12)

    def test_a_constant_factor_is_another_rate(self, engine):
        half = trained(net(0.4), 3, dropout_schedule=lambda epoch: 0.5, engine=engine)
        assert half.theta.tobytes() == trained(net(0.2), 3, engine=engine).theta.tobytes()
        none = trained(net(0.4), 3, dropout_schedule=lambda epoch: 0, engine=engine)
        assert none.theta.tobytes() == trained(net(0.0), 3, engine=engine).theta.tobytes()
        more = trained(net(0.4), 3, dropout_schedule=lambda epoch: 1.5, engine=engine)
        assert np.allclose(more.theta, trained(net(0.4 * 1.5), 3, engine=engine).theta, rtol=1e-10)

    def test_running_statistics_of_an_average_are_those_of_its_rate(self, engine):
        def made(rate):
            layers = [fc.Dense(4, 8, "relu"), fc.Dropout(rate), fc.BatchNorm(), fc.Dense(8, 2)]
            return fc.Network(layers, dtype="float64", seed=0)

        half = trained(made(0.4), 4, dropout_schedule=lambda epoch: 0.5, average=fc.SWA(0.5), engine=engine)
        assert np.allclose(half.state, trained(made(0.2), 4, average=fc.SWA(0.5), engine=engine).state, rtol=1e-9)
        late = {"dropout_schedule": fc.FlatCosine(), "average": fc.SWA(0.5), "engine": engine}
        one, other = trained(made(0.4), 4, **late), trained(made(0.4), 4, **late, validation=(X, T), patience=9)
        assert one.state.tobytes() == other.state.tobytes()


class TestBoth:
    @pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-4), ("float64", 1e-10)])
    def test_the_engines_are_equal(self, dtype, close):
        if not fc.engines()["native"].available:
            pytest.skip("there is no native engine")
        settings = {
            "schedule": fc.LogCosine(2),
            "weight_decay_schedule": fc.FlatCosine(),
            "dropout_schedule": fc.LinearWarmup(0.2, then=fc.FlatCosine(0.3)),
        }
        one, two = (trained(net(dtype=dtype), 6, **settings, engine=engine) for engine in ("numpy", "native"))
        assert np.allclose(one.theta, two.theta, rtol=close, atol=close)
        assert not np.allclose(one.theta, trained(net(dtype=dtype), 6, schedule=fc.LogCosine(2)).theta, atol=1e-3)

    @pytest.mark.parametrize("threads", [1, 2])
    def test_any_number_of_threads(self, threads):
        if not fc.engines()["native"].available:
            pytest.skip("there is no native engine")
        wide = [
            fc.Dense(64, 300, "relu"),
            fc.Dropout(0.3),
            fc.Dense(300, 300, "relu"),
            fc.Dropout(0.2),
            fc.Dense(300, 2),
        ]
        x, t = RNG.normal(size=(600, 64)), RNG.normal(size=(600, 2))
        made = [fc.Network(wide, dtype="float64", seed=0) for _ in range(2)]
        for each, how in zip(made, ({"engine": "numpy"}, {"engine": "native", "n_threads": threads}), strict=True):
            fc.fit(
                each, x, t, LOSS, fc.AdamW(1e-3, weight_decay=0.5), 2, 200, progress=False, warn=False,
                weight_decay_schedule=falling, dropout_schedule=falling, **how,
            )  # fmt: skip
        assert np.allclose(made[0].theta, made[1].theta, rtol=1e-9, atol=1e-10)

    def test_a_resumed_run_has_the_same_bits(self, engine, tmp_path):
        settings = {"weight_decay_schedule": falling, "dropout_schedule": fc.Warmup(3), "engine": engine}
        whole = trained(net(), 6, **settings)
        for epochs in (1, 4, 6):
            parts = trained(net(), epochs, **settings, checkpoint=tmp_path / "run.safetensors")
        assert parts.theta.tobytes() == whole.theta.tobytes()

    def test_a_loop_over_epochs(self):
        made = net()
        settings = {"weight_decay_schedule": falling, "dropout_schedule": falling}
        for epoch in fc.epochs(made, X, T, LOSS, fc.AdamW(0.05, weight_decay=0.2), **settings, batch_size=20, seed=3):
            if epoch.number == 3:
                break
        assert made.theta.tobytes() == trained(net(), 3, **settings).theta.tobytes()

    @pytest.mark.parametrize("name", ["weight_decay_schedule", "dropout_schedule"])
    def test_a_run_with_a_schedule_of_progress_is_not_prolonged(self, tmp_path, name):
        path = tmp_path / "run.safetensors"
        trained(net(), 2, checkpoint=path, **{name: fc.FlatCosine()})
        trained(net(), 2, checkpoint=path, **{name: fc.FlatCosine()})
        with pytest.raises(errors.CheckpointError, match=f"{name}=.*2.*would go on with.*3"):
            trained(net(), 3, checkpoint=path, **{name: fc.FlatCosine()})
        with pytest.raises(errors.CheckpointError, match=name):
            trained(net(), 2, checkpoint=path)
        with pytest.raises(errors.ConfigError, match=rf"{name}=FlatCosine.*nobody says here how many"):
            next(fc.epochs(net(), X, T, LOSS, fc.AdamW(), **{name: fc.FlatCosine()}))
        with pytest.raises(errors.ConfigError, match=rf"{name}=FlatCosine.*max_time settles"):
            trained(net(), 2, max_time="1h", **{name: fc.FlatCosine()})

    def test_a_schedule_that_answers_otherwise_is_refused(self, tmp_path, monkeypatch):
        def of_the_environment(epoch):
            return float(os.environ["FACTOR"])

        monkeypatch.setenv("FACTOR", "0.5")
        trained(net(), 2, checkpoint=tmp_path / "run.safetensors", dropout_schedule=of_the_environment)
        monkeypatch.setenv("FACTOR", "0.75")
        with pytest.raises(errors.CheckpointError, match=r"a dropout schedule that gave 0\.5 at epoch .* gives 0\.75"):
            trained(net(), 3, checkpoint=tmp_path / "run.safetensors", dropout_schedule=of_the_environment)

    def test_without_schedules_a_checkpoint_is_as_before(self, tmp_path):
        trained(net(), 1, checkpoint=tmp_path / "run.safetensors")
        assert b"answers_of" not in (tmp_path / "run.safetensors").read_bytes()


class TestRefused:
    @pytest.mark.parametrize("optimizer", [fc.SGD(0.1), fc.Adam(0.1), fc.AdamW(0.1, weight_decay=0.0)], ids=str)
    def test_no_weight_decay(self, optimizer):
        with pytest.raises(errors.ConfigError, match=r"weight_decay_schedule is for.*fc.AdamW\(weight_decay=0.01\)"):
            trained(net(), 1, optimizer, weight_decay_schedule=falling, l2=0.1)

    def test_no_dropout(self):
        for made in (fc.mlp([4, 5, 2]), net(0.0)):
            with pytest.raises(errors.ConfigError, match=r"dropout_schedule is for.*add fc.Dropout\(0.15\)"):
                trained(made, 1, dropout_schedule=falling)

    @pytest.mark.parametrize("name", ["weight_decay_schedule", "dropout_schedule"])
    def test_solvers_and_engines(self, name):
        plain = fc.Network([fc.Dense(4, 2)], seed=0)
        with pytest.raises(errors.ConfigError, match="does not work with a schedule"):
            trained(plain, 1, fc.LBFGS(), **{name: falling})

    @pytest.mark.parametrize("name", ["weight_decay_schedule", "dropout_schedule"])
    @pytest.mark.parametrize(
        ("schedule", "error", "said"),
        [
            (0.5, errors.InputTypeError, "is a function of the epoch"),
            (lambda: 0.5, errors.InputTypeError, "is called with"),
            (fc.FlatCosine, errors.InputTypeError, "is a class; call it"),
            (lambda epoch: -1.0, errors.ConfigError, "must be 0 or more"),
            (lambda epoch: math.nan, errors.ConfigError, "must be 0 or more"),
            (lambda epoch: "half", errors.InputTypeError, "is a number"),
        ],
    )
    def test_what_is_no_schedule(self, engine, name, schedule, error, said):
        with pytest.raises(error, match=said):
            trained(net(), 1, engine=engine, **{name: schedule})

    def test_a_rate_of_one(self, engine):
        with pytest.raises(errors.ConfigError, match=r"dropout schedule returns \(at epoch 0\).*less than 2.5"):
            trained(net(0.4), 1, engine=engine, dropout_schedule=lambda epoch: 2.5)

    def test_an_engine_of_your_own_says_that_it_follows_them(self, monkeypatch):
        class Plain(NumpyEngine):
            name = "plain_without_schedules"
            schedules = False

        fc.register(Plain)
        try:
            with pytest.raises(errors.ConfigError, match="follows no schedules of weight decay and dropout"):
                trained(net(), 1, engine=Plain.name, dropout_schedule=falling)
            trained(net(), 1, engine=Plain.name)
        finally:
            del ENGINES.classes[Plain.name]

    def test_divergence_is_explained_at_the_rate_of_its_step(self, engine):
        with pytest.raises(errors.DivergenceError, match="learning rate"):
            trained(net(), 9, fc.AdamW(1e30, weight_decay=0.1), engine=engine, dropout_schedule=falling)
