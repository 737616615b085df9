"""Factors on the learning rate and the weight decay of single parameters, and what a factor of 0 leaves alone."""

import copy
import itertools
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.core.batches import batches
from fullyconnected.core.order import epoch_order
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

ROWS = 37
X = np.random.default_rng(0).normal(size=(ROWS, 5))
T = np.sin(X[:, :2])
ENGINES = [name for name, each in fc.engines().items() if each.available]
BIASES = ("layer_norm_1.beta", "residual_1.dense_1.b", "residual_1.dense_2.b", "batch_norm_1.beta", "dense_2.b")
RULES = [
    fc.SGD(0.1),
    fc.Momentum(0.05),
    fc.Nesterov(0.05),
    fc.RMSProp(0.01),
    fc.Adam(0.01),
    fc.AdamW(0.01, weight_decay=0.5),
]


def network(dtype=np.float64, seed=0):
    layers = [
        fc.Dense(5, 7, "tanh"),
        fc.LayerNorm(),
        fc.Residual([fc.Dense(7, 7, "sigmoid"), fc.Dense(7, 7)]),
        fc.BatchNorm(),
        fc.Dense(7, 2),
    ]
    net = fc.Network(layers, dtype=dtype, seed=seed)
    net.theta = net.theta + 0.1 * np.random.default_rng(seed).normal(size=net.n_params)  # biases are not 0 either
    return net


def fit(net, rule, factors, **settings):
    settings = {"epochs": 3, "batch_size": 8, "progress": False} | settings
    return fc.fit(net, X, T, "half_squared_error", rule, factors=factors, **settings)


def begun(net, rule, factors, **settings):
    return Run(net, X, T, "half_squared_error", rule, FitSettings(batch_size=8, factors=factors, **settings))


def changed(net, before):
    """Return the names of the parameters that have other bits than before."""
    now, then = (each.program.named(each.theta) for each in (net, before))
    return {name for name in now if now[name].tobytes() != then[name].tobytes()}


class TestWhichParameters:
    """The longest name counts; names come before roles, whose factors are multiplied; the rest comes last."""

    @pytest.mark.parametrize(
        ("lr", "wanted"),
        [
            ({}, {}),
            ({"dense_1": 0.5}, {"dense_1.W": 0.5, "dense_1.b": 0.5}),
            ({"dense_1.W": 0.5}, {"dense_1.W": 0.5}),
            ({"dense_1": 0.5, "dense_1.b": 3}, {"dense_1.W": 0.5, "dense_1.b": 3}),
            ({"residual_1": 2}, {f"residual_1.dense_{i}.{p}": 2 for i in (1, 2) for p in "Wb"}),
            (
                {"residual_1": 2, "residual_1.dense_2": 4},
                {f"residual_1.dense_{i}.{p}": 2 * i for i in (1, 2) for p in "Wb"},
            ),
            ({"gain": 2}, {"layer_norm_1.gamma": 2, "batch_norm_1.gamma": 2}),
            ({"first": 2}, {"dense_1.W": 2, "dense_1.b": 2}),
            ({"last": 2}, {"dense_2.W": 2, "dense_2.b": 2}),
            ({"hidden": 2}, {f"residual_1.dense_{i}.{p}": 2 for i in (1, 2) for p in "Wb"}),
            ({"first": 2, "bias": 3, "rest": 1}, {"dense_1.W": 2, "dense_1.b": 6} | dict.fromkeys(BIASES, 3)),
            ({"bias": 3, "dense_1": 0.5, "weight": 1, "gain": 1, "layer_norm_1.beta": 1, "residual_1": 1},
             {"dense_1.W": 0.5, "dense_1.b": 0.5, "batch_norm_1.beta": 3, "dense_2.b": 3}),
        ],
    )  # fmt: skip
    def test_a_factor_is_for(self, lr, wanted):
        program = network().program.for_training(fc.Factors(lr=lr))
        factors = {tensor.name: tensor.param.lr_factor for tensor in program.tensors}
        assert factors == dict.fromkeys(factors, 1.0) | wanted

    def test_the_rest_is_what_no_other_key_is_for(self):
        program = network().program.for_training(fc.Factors(lr={"rest": 0, "last": 1, "bias": 2}))
        learn = {tensor.name: tensor.param.lr_factor for tensor in program.tensors if tensor.param.lr_factor}
        assert learn == dict.fromkeys(("dense_1.b", *BIASES), 2.0) | {"dense_2.W": 1.0}

    @pytest.mark.parametrize(
        ("decay", "wanted"),
        [
            ({}, {"dense_1.W": 1, "residual_1.dense_1.W": 1, "residual_1.dense_2.W": 1, "dense_2.W": 1}),
            ({"first": 2, "rest": 0}, {"dense_1.W": 2}),  # of the first layer, its bias still does not decay
            ({"weight": 0, "bias": 0.5, "layer_norm_1": 1}, None),
            ({"rest": 0, "dense_1.b": 0.5}, {"dense_1.b": 0.5}),
            ({"weight": 0, "gain": 3}, {"layer_norm_1.gamma": 3, "batch_norm_1.gamma": 3}),
            ({"rest": 0, "first": 4, "bias": 0.5}, {"dense_1.W": 4, "dense_1.b": 2} | dict.fromkeys(BIASES, 0.5)),
        ],
    )  # fmt: skip
    def test_a_factor_on_weight_decay_is_for(self, decay, wanted):
        if wanted is None:
            with pytest.raises(errors.ConfigError, match=r"key 'layer_norm_1'.*do not decay.*full name.*'bias'"):
                network().program.for_training(fc.Factors(weight_decay=decay))
            return
        program = network().program.for_training(fc.Factors(weight_decay=decay))
        assert {t.name: t.param.decay_factor for t in program.tensors if t.param.decays} == wanted

    def test_a_single_matrix_is_first_and_last(self):
        factors = fc.Factors(lr={"first": 2, "last": 3})
        program = fc.Network([fc.LayerNorm(n_in=4), fc.Dense(4, 2), fc.LayerNorm()]).program.for_training(factors)
        assert [tensor.param.lr_factor for tensor in program.tensors] == [1, 1, 6, 6, 1, 1]

    def test_roles_of_your_own(self):
        @dataclass(frozen=True)
        class Shifted(fc.Dense):
            def params(self):
                W, b = super().params().values()
                return {"W": W._replace(roles=("weight", "slow")), "b": b}

        net = fc.Network([fc.Dense(5, 4), Shifted(4, 2)], seed=0)
        program = net.program.for_training(fc.Factors(lr={"slow": 0.5}))
        assert [tensor.param.lr_factor for tensor in program.tensors] == [1, 1, 0.5, 1]

    def test_a_program_without_factors_is_the_same_object(self):
        program = network().program
        assert program.for_training() is program
        assert program.for_training(fc.Factors()) is program
        assert program.for_training(fc.Factors(lr={"dense_1": 1})) is program


class TestAStep:
    """Held against the formulas, written out for each parameter."""

    FACTORS = fc.Factors(
        lr={"bias": 0.1, "first": 3, "gain": 0.5, "residual_1.dense_1": 0}, weight_decay={"last": 2, "bias": 0.3}
    )

    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.parametrize("limit", [None, 0.3])
    def test_is_that_of_the_formula(self, limit, engine):
        lr, decay, l2 = 0.02, 0.5, 0.1
        net, by_hand = network(), network()
        rates, pulls = {}, {}
        for tensor in net.program.tensors:
            bias, norm = tensor.letter in ("b", "beta"), "norm" in tensor.name
            rates[tensor.name] = (0.1 if bias else 0.5 if norm else 1) * (3 if tensor.name.startswith("dense_1") else 1)
            pulls[tensor.name] = (0.3 if bias else 0 if norm else 1) * (2 if tensor.name.startswith("dense_2") else 1)
            if tensor.name.startswith("residual_1.dense_1"):
                rates[tensor.name] = pulls[tensor.name] = 0
        moments = {
            name: (np.zeros_like(a), np.zeros_like(a)) for name, a in by_hand.program.named(by_hand.theta).items()
        }
        losses, step = [], 0
        for epoch in range(2):
            for rows in batches(epoch_order(ROWS, 0, epoch, shuffle=True), 8, 2):
                step += 1
                g = by_hand.gradients(X[rows], T[rows], "half_squared_error", train=True)
                gradients = by_hand.program.named(g.theta.copy())
                theta = by_hand.program.named(by_hand.theta)
                losses.append((g.loss + l2 / 2 * sum(pulls[n] * (w**2).sum() for n, w in theta.items())) * len(rows))
                for name, a in gradients.items():
                    a += l2 * pulls[name] * theta[name]
                    a *= rates[name] > 0
                if limit:
                    norm = np.sqrt(sum((a**2).sum() for a in gradients.values()))
                    for a in gradients.values():
                        a *= min(1, limit / norm)
                for name, a in gradients.items():
                    m, v = moments[name]
                    m[...] = 0.9 * m + 0.1 * a
                    v[...] = 0.999 * v + 0.001 * a**2
                    rate = lr * rates[name]
                    theta[name] *= 1 - rate * decay * pulls[name]
                    theta[name] -= rate * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        rule = fc.AdamW(lr, weight_decay=decay)
        history = fit(net, rule, self.FACTORS, epochs=2, l2=l2, max_grad_norm=limit, engine=engine)
        assert history.engine == engine
        np.testing.assert_allclose(net.theta, by_hand.theta, rtol=0, atol=1e-13)
        assert sum(history.loss) == pytest.approx(sum(losses) / ROWS, rel=1e-12)

    @pytest.mark.skipif("native" not in ENGINES, reason="the native engine is not built")
    @pytest.mark.parametrize(
        ("rule", "dtype"), [*((rule, np.float64) for rule in RULES), *((rule, np.float32) for rule in RULES[:3])]
    )
    def test_is_the_same_on_both_engines(self, rule, dtype):
        """With a matrix whose update is fused with its gradient, and threads that share it."""
        rng = np.random.default_rng(1)
        x, t = rng.normal(size=(600, 90)).astype(dtype), rng.integers(0, 20, 600)
        layers = [fc.Dense(90, 200, "tanh"), fc.LayerNorm(), fc.Dense(200, 120, "relu"), fc.Dense(120, 20)]
        tables = [
            fc.Factors(lr={"bias": 0.1, "hidden": 0.5, "gain": 0}, weight_decay={"bias": 0.5, "first": 2}),
            fc.Factors(lr={"dense_1": 0, "layer_norm_1": 0}),
            fc.Factors(lr={"hidden": 0}),
            fc.Factors(lr={"rest": 0, "bias": 1}),
        ]
        for factors, limit in itertools.product(tables, (None, 0.5)):
            ends = []
            for engine, threads in (("numpy", None), ("native", 1), ("native", 2), ("native", 3)):
                net = fc.Network(layers, dtype=dtype, seed=0)
                how = {"l2": 0.01, "max_grad_norm": limit, "epochs": 1, "batch_size": 128, "progress": False}
                fc.fit(
                    net, x, t, "softmax_cross_entropy", rule, engine=engine, n_threads=threads, factors=factors, **how
                )
                ends.append(net.theta.copy())
            for other in ends[1:]:
                assert np.linalg.norm(ends[0] - other) <= (1e-10 if dtype == np.float64 else 1e-4) * np.linalg.norm(
                    other
                )

    @pytest.mark.parametrize("engine", ENGINES)
    def test_the_factor_of_a_layer_and_that_of_the_run_are_multiplied(self, engine):
        class Slow(fc.Dense):
            def params(self):
                return {
                    name: param._replace(lr_factor=0.5, decay_factor=4.0) for name, param in super().params().items()
                }

        one = fc.Network([fc.Dense(5, 4, "tanh"), Slow(4, 2)], dtype=np.float64, seed=0)
        two = fc.Network([fc.Dense(5, 4, "tanh"), fc.Dense(4, 2)], dtype=np.float64, seed=0)
        rule = fc.AdamW(0.01, weight_decay=0.1)
        fit(one, rule, fc.Factors(lr={"last": 0.5}, weight_decay={"last": 0.5}), l2=0.1, engine="numpy")
        fit(two, rule, fc.Factors(lr={"last": 0.25}, weight_decay={"last": 2}), l2=0.1, engine=engine)
        np.testing.assert_allclose(one.theta, two.theta, rtol=0, atol=1e-13)

    def test_the_worked_example_shows_the_factors(self):
        net = fc.Network([fc.Dense(5, 3, "tanh"), fc.Dense(3, 2)], dtype=np.float64, seed=0)
        factors = fc.Factors(lr={"dense_1.W": 0, "bias": 0.1}, weight_decay={"last": 2, "dense_1.b": 0.5})
        example = fc.explain(net, X[:3], T[:3], "half_squared_error", fc.AdamW(0.1), l2=0.1, factors=factors)
        shown = {step.name: step for step in example.trace.steps}
        assert str(shown["b2_new"].equation).startswith("b2_new = b2 - lr * lr_factor_b2 * (")
        assert str(shown["W2_new"].equation).startswith(
            "W2_new = W2 * (1 - lr * weight_decay * decay_factor_W2) - lr * ("
        )
        assert str(shown["W1_new"].equation) == "W1_new = W1"
        assert str(shown["dL/dW2"].equation) == "dL/dW2 = dE/dW2 + l2 * decay_factor_W2 * W2"
        assert example.trace.ok
        for step in example.trace.steps:
            assert step.error < 1e-9
        trained = net.copy()
        fit(trained, fc.AdamW(0.1), factors, l2=0.1, epochs=1, engine="numpy", sample_weight=np.arange(ROWS) < 3,
            batch_size=ROWS)  # fmt: skip
        for i, letter in itertools.product((1, 2), "Wb"):
            np.testing.assert_allclose(
                shown[f"{letter}{i}_new"].result, getattr(trained.params[i - 1], letter), rtol=1e-12
            )
        exec(example.to_python(), {"__name__": "script"})
        with pytest.raises(TypeError, match=r"factors is fc\.Factors"):
            fc.trace(net, X[:3], T[:3], "half_squared_error", "sgd", factors={"bias": 0.1})


@pytest.mark.parametrize("engine", ENGINES)
class TestAFactorOfZero:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
    @pytest.mark.parametrize(
        "lr",
        [
            {"dense_1": 0},
            {"dense_1": 0, "layer_norm_1": 0, "residual_1": 0},
            {"rest": 0, "last": 1},
            {"rest": 0, "bias": 1},
            {"dense_2": 0},
            {"gain": 0, "residual_1.dense_1.W": 0},
        ],
    )
    def test_leaves_the_bits_and_remembers_nothing(self, lr, rule, engine):
        run = begun(net := network(np.float32), rule, fc.Factors(lr=lr), l2=0.1, alpha=0.1, engine=engine)
        before = net.copy()
        frozen = run.task.program.frozen
        for _ in range(3):
            run.epoch()
        assert changed(net, before) == {tensor.name for tensor in net.program.tensors} - frozen
        for slot in run.state.slots.values():
            for tensor in net.program.tensors:
                assert tensor.of(slot).any() == (tensor.name not in frozen)

    def test_is_what_a_network_without_the_layers_would_do(self, engine):
        """A frozen layer gives the same numbers as rows that have passed through it before."""
        whole = fc.Network([fc.Dense(5, 6, "tanh"), fc.Dense(6, 4, "tanh"), fc.Dense(4, 2)], dtype=np.float64, seed=0)
        rest = fc.Network(whole.layers[1:], dtype=np.float64, seed=0)
        rest.set_weights(whole.get_weights()[2:])
        x = np.tanh(X @ whole.params[0].W + whole.params[0].b)
        how = {"epochs": 3, "batch_size": 8, "l2": 0.1, "max_grad_norm": 0.2, "progress": False, "engine": engine}
        one = fc.fit(whole, X, T, "half_squared_error", fc.AdamW(0.01), factors=fc.Factors(lr={"dense_1": 0}), **how)
        two = fc.fit(rest, x, T, "half_squared_error", fc.AdamW(0.01), **how)
        np.testing.assert_allclose(whole.theta[-rest.n_params :], rest.theta, rtol=0, atol=1e-13)
        np.testing.assert_allclose(one.loss, two.loss, rtol=1e-12)

    def test_a_learned_scale_before_frozen_layers_still_learns(self, engine):
        net, before = network(), network()
        fit(net, fc.SGD(0.1), fc.Factors(lr={"rest": 0, "layer_norm_1.gamma": 1}), engine=engine)
        assert changed(net, before) == {"layer_norm_1.gamma"}

    def test_running_statistics_and_averages_go_on(self, engine):
        net, before = network(), network()
        how = {"engine": engine, "average": fc.EMA(0.9)}
        fit(net, fc.SGD(0.1), fc.Factors(lr={"rest": 0, "last": 1}), **how)
        assert not np.array_equal(net.state, before.state)
        assert changed(net, before) == {"dense_2.W", "dense_2.b"}

    def test_everything_may_be_frozen_where_statistics_run(self, engine):
        net, before = network(), network()
        fit(net, fc.SGD(0.1), fc.Factors(lr={"rest": 0}), engine=engine)
        assert not changed(net, before)
        assert not np.array_equal(net.state, before.state)

    def test_numbers_that_are_not_finite_in_frozen_gradients_do_not_matter(self, engine):
        """The gradient of a frozen matrix overflows, and nobody asks for it."""
        net = fc.Network([fc.Dense(2, 2, bias=False, init="ones"), fc.Dense(2, 1, init="zeros")], dtype=np.float32)
        net.params[1].W = 1e30
        x = np.full((8, 2), 1e-30)
        x[:, 1] = np.arange(8) * 1e-32
        t = np.linspace(-1, 1, 8)
        fc.fit(net, x, t, "half_squared_error", fc.SGD(1e-3), factors=fc.Factors(lr={"rest": 0, "dense_2.b": 1}),
               max_grad_norm=1.0, engine=engine, progress=False, warn=False)  # fmt: skip
        assert np.isfinite(net.theta).all()


def test_layers_before_the_first_that_learns_have_no_backward_pass():
    calls = []

    class Counted(fc.Dense):
        def backward(self, p, x, c, y, dy, g, dx):
            calls.append((self.n_out, dx is None))
            super().backward(p, x, c, y, dy, g, dx)

    net = fc.Network([Counted(5, 3, "tanh"), Counted(3, 4, "tanh"), Counted(4, 2)], seed=0)
    for factors, wanted in (
        (None, {(3, True), (4, False), (2, False)}),
        (fc.Factors(lr={"first": 0}), {(4, True), (2, False)}),
        (fc.Factors(lr={"rest": 0, "last": 1}), {(2, True)}),
    ):
        calls.clear()
        fit(net, fc.SGD(0.1), factors, epochs=1)
        assert set(calls) == wanted


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", [fc.Momentum(0.05), fc.AdamW(0.01)], ids=lambda rule: rule.name)
def test_a_run_with_factors_resumes_to_the_bit_and_not_with_others(rule, engine, tmp_path):
    factors = fc.Factors(lr={"dense_1": 0, "bias": 0.1}, weight_decay={"last": 2})
    straight, resumed = network(), network()
    fit(straight, rule, factors, epochs=4, l2=0.01, engine=engine)
    how = {"l2": 0.01, "engine": engine, "checkpoint": tmp_path / "run"}
    fit(resumed, rule, factors, epochs=2, **how)
    for others in (
        None,
        fc.Factors(lr={"dense_1": 0, "bias": 0.2}, weight_decay={"last": 2}),
        fc.Factors(lr=factors.lr),
    ):
        with pytest.raises(errors.CheckpointError, match="was begun with factors="):
            fit(network(), rule, others, epochs=4, **how)
    same = fc.Factors(lr={"bias": 0.1, "dense_1": 0.0}, weight_decay={"last": 2.0})  # in another order
    fit(resumed := network(seed=1), rule, same, epochs=4, **how)
    assert resumed.theta.tobytes() == straight.theta.tobytes()


def test_the_network_itself_is_not_changed_by_factors():
    net = network()
    before = net.gradients(X, T, "half_squared_error", l2=0.1)
    run = begun(net, fc.SGD(0.1), fc.Factors(lr={"dense_1": 0}))
    after = net.gradients(X, T, "half_squared_error", l2=0.1)
    assert before.theta.tobytes() == after.theta.tobytes()
    assert net.program is not run.task.program
    assert fc.check_gradients(net, X, T, "half_squared_error").ok


@pytest.mark.parametrize("like", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_factors_are_plain_values(like):
    given = {"bias": 1}
    factors = fc.Factors(lr=given)
    given["bias"] = 2
    assert like(factors) == factors == fc.Factors({"bias": 1.0})
    assert factors != fc.Factors(lr={"bias": 2})
    assert repr(factors) == "Factors(lr={'bias': 1.0}, weight_decay={})"
    hash(factors)


@pytest.mark.parametrize("rule", [fc.AdamW(0.01, weight_decay=0.2), fc.Muon(0.02, weight_decay=0.1)], ids=repr)
@pytest.mark.parametrize(
    "factors",
    [
        fc.Factors(lr={"embedding": 0}),
        fc.Factors(lr={"embedding": 0.1, "bias": 2}, weight_decay={"embedding": 3}),
        fc.Factors(lr={"rest": 0, "embedding": 1}),
        fc.Factors(lr={"embedding": 0, "dense_1": 0, "activation": 0.5}),
    ],
    ids=repr,
)
@pytest.mark.parametrize("limit", [None, 0.1])
def test_tables_of_codes_and_shares_of_activations_too(limit, factors, rule):
    x = np.c_[X[:, :2], np.arange(ROWS) % 4]
    columns = fc.Columns([([0, 1], fc.Standardize(n_in=2)), ([2], fc.Embedding(4, 3))])
    layers = [columns, fc.Dense(5, 6, "tanh"), fc.Dense(6, 6, "tanh"), fc.Parametric("relu"), fc.Dense(6, 2)]
    ends = []
    for engine in ENGINES:
        net = fc.Network(layers, dtype=np.float64, seed=0)
        before = net.copy()
        how = {"epochs": 2, "batch_size": 16, "l2": 0.05, "max_grad_norm": limit, "progress": False}
        fc.fit(net, x, T, "half_squared_error", rule, factors=factors, engine=engine, **how)
        program = net.program.for_training(factors)
        assert changed(net, before) == {tensor.name for tensor in program.tensors} - program.frozen
        ends.append(net.theta)
    for other in ends[1:]:
        np.testing.assert_allclose(other, ends[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_factor_that_makes_a_run_diverge_is_told(engine):
    net = fc.mlp([5, 4, 2], dtype=np.float64, seed=0)
    with pytest.raises(
        errors.DivergenceError, match=r"smaller factors on the learning rate: that of dense_1\.W is 1e\+99"
    ):
        fit(net, fc.SGD(0.1), fc.Factors(lr={"first": 1e99}), engine=engine, epochs=9)


class TestRulesOfYourOwn:
    def test_a_field_weight_decay_is_multiplied(self):
        @dataclass(frozen=True)
        class Shrink(fc.Optimizer):
            lr: float = 0.1
            weight_decay: float = 0.5
            name = "shrink"
            decays = True

            def update(self, theta, g, s, c, *, lr, step, decays):
                if decays:
                    theta *= 1 - lr * self.weight_decay

        net = network()
        before = net.copy()
        fit(net, Shrink(), fc.Factors(lr={"last": 0.5}, weight_decay={"last": 0.2}), epochs=1, batch_size=ROWS)
        np.testing.assert_allclose(net.params[0].W, 0.95 * before.params[0].W, rtol=1e-15)
        np.testing.assert_allclose(net.params[4].W, 0.995 * before.params[4].W, rtol=1e-15)

    def test_without_such_a_field_it_is_told_what_to_write(self):
        class Shrink(fc.Optimizer):
            lr = 0.1
            name = "shrink"
            decays = True

            def update(self, theta, g, s, c, *, lr, step, decays):
                if decays:
                    theta *= 0.9

        with pytest.raises(errors.ConfigError, match=r"Shrink has no field weight_decay.*times_decay"):
            fit(network(), Shrink(), fc.Factors(weight_decay={"last": 0.2}))

    def test_an_optimizer_of_whole_parameters_sees_roles(self):
        seen = {}

        class Look(fc.Optimizer):
            lr = 0.1
            name = "look"

            def update_tensor(self, theta, g, s, c, *, lr, step, param, name):
                seen[name] = param.roles, param.is_hidden, lr

        fit(network(), Look(), fc.Factors(lr={"dense_1.b": 0.5, "last": 0}))
        assert seen == {
            "dense_1.W": (("weight", "first"), False, 0.1),
            "dense_1.b": (("bias", "first"), False, 0.05),
            "layer_norm_1.gamma": (("gain",), False, 0.1),
            "layer_norm_1.beta": (("bias",), False, 0.1),
            "residual_1.dense_1.W": (("weight", "hidden"), True, 0.1),
            "residual_1.dense_1.b": (("bias", "hidden"), False, 0.1),
            "residual_1.dense_2.W": (("weight", "hidden"), True, 0.1),
            "residual_1.dense_2.b": (("bias", "hidden"), False, 0.1),
            "batch_norm_1.gamma": (("gain",), False, 0.1),
            "batch_norm_1.beta": (("bias",), False, 0.1),
        }


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("make", "kind", "said"),
        [
            (lambda: fc.Factors(lr={"bias": -1}), errors.ConfigError, "factor on lr of 'bias' must be 0 or more"),
            (lambda: fc.Factors(lr={"bias": float("nan")}), errors.ConfigError, "factor on lr of 'bias'"),
            (lambda: fc.Factors(lr={"bias": float("inf")}), errors.ConfigError, "factor on lr of 'bias'"),
            (lambda: fc.Factors(weight_decay={"bias": "1"}), errors.InputTypeError, "weight_decay of 'bias'"),
            (lambda: fc.Factors(lr=0.5), errors.InputTypeError, r'such as \{"bias": 0.1, "dense_1": 0\}; got 0.5'),
            (lambda: fc.Factors(lr=[("bias", 1)]), errors.InputTypeError, "a factor for each key"),
            (lambda: fc.Factors(lr={1: 0.5}), errors.InputTypeError, "names and roles as keys, texts; got 1"),
            (lambda: fc.Factors(rate={"bias": 1}), errors.InputTypeError, "lr"),
        ],
    )
    def test_by_itself(self, make, kind, said):
        with pytest.raises(kind, match=said):
            make()

    @pytest.mark.parametrize(
        ("factors", "kind", "said"),
        [
            ({"bias": 0.1}, TypeError, r'factors is fc\.Factors\(lr=\{"bias": 0.1\}\) or the like'),
            (
                fc.Factors(lr={"dense_3": 1}),
                errors.UnknownNameError,
                "did you mean 'dense_.'.*Known: batch_norm_1, .*rest",
            ),
            (fc.Factors(lr={"embedding": 1}), errors.UnknownNameError, "no parameter, layer or role 'embedding'"),
            (fc.Factors(lr={"dense_1.w": 1}), errors.UnknownNameError, "role 'dense_1.w'; did you mean 'dense_1.b'"),
            (fc.Factors(weight_decay={"": 1}), errors.UnknownNameError, "no parameter, layer or role ''"),
            (fc.Factors(weight_decay={"bias": 1}), errors.ConfigError, r"neither the optimizer nor l2.*fc\.AdamW"),
        ],
    )
    def test_by_a_run(self, factors, kind, said):
        net, before = network(), network()
        with pytest.raises(kind, match=said):
            fit(net, fc.SGD(0.1), factors)
        assert not changed(net, before)

    def test_that_nothing_learns(self):
        net = fc.mlp([5, 3, 2], seed=0)
        with pytest.raises(errors.ConfigError, match=r"freeze every parameter.*'last': 1"):
            fit(net, fc.SGD(0.1), fc.Factors(lr={"rest": 0}))

    def test_a_solver_has_no_rates_but_takes_factors_on_l2(self):
        net = fc.mlp([5, 3, 2], "tanh", dtype=np.float64, seed=0)
        with pytest.raises(errors.ConfigError, match="does not work with a learning-rate factor"):
            fit(net.copy(), fc.LBFGS(), fc.Factors(lr={"last": 0}))
        fit(strong := net.copy(), fc.LBFGS(), fc.Factors(weight_decay={"last": 1000.0}), l2=1.0, epochs=50)
        fit(plain := net.copy(), fc.LBFGS(), None, l2=1.0, epochs=50)
        assert np.linalg.norm(strong.params[1].W) < 0.1 * np.linalg.norm(plain.params[1].W)

    @pytest.mark.parametrize("roles", ["bias", ("two words",), ("first",), ("rest",), (1,), ["bias"], ("",)])
    def test_roles_that_are_none(self, roles):
        class Odd(fc.Dense):
            def params(self):
                return {name: param._replace(roles=roles) for name, param in super().params().items()}

        with pytest.raises(errors.ConfigError, match=r"role"):
            fc.Network([Odd(2, 2)])


class TestCopyWeightsFrom:
    def test_copies_all_with_running_statistics(self):
        one, two = network(seed=0), network(np.float32, seed=1)
        fit(one, fc.SGD(0.1), None)
        assert two.copy_weights_from(one) == [*one.program.named(one.theta, one.state)]
        assert np.array_equal(two.theta, one.theta.astype(np.float32))
        assert np.array_equal(two.state, one.state.astype(np.float32))

    @pytest.mark.parametrize(
        ("names", "copied"),
        [
            ("dense_1", ["dense_1.W", "dense_1.b"]),
            (["dense_1.b"], ["dense_1.b"]),
            (("batch_norm_1", "dense_1.b"), [*(f"batch_norm_1.{each}" for each in
                                              ("gamma", "beta", "running_mean", "running_var")), "dense_1.b"]),
            ({"residual_1": 1}, [f"residual_1.dense_{i}.{p}" for i in (1, 2) for p in "Wb"]),
            (["residual_1.dense_2", "residual_1.dense_2.b"], ["residual_1.dense_2.W", "residual_1.dense_2.b"]),
            ([], []),
        ],
    )  # fmt: skip
    def test_copies_what_is_named(self, names, copied):
        one, two = network(seed=0), network(seed=1)
        fit(one, fc.SGD(0.1), None)
        before = two.copy()
        assert two.copy_weights_from(one, names) == copied
        for name, now in two.program.named(two.theta, two.state).items():
            source = one if name in copied else before
            assert np.array_equal(now, source.program.named(source.theta, source.state)[name])

    def test_is_how_a_network_is_tuned_to_other_targets(self):
        old = network()
        fit(old, fc.Adam(0.01), None, epochs=20)
        new = fc.Network([*old.layers[:-1], fc.Dense(7, 3)], dtype=np.float64, seed=5)
        with pytest.raises(errors.ShapeError) as caught:
            new.copy_weights_from(old)
        assert "dense_2.W is (7, 3) here and (7, 2) there; dense_2.b is (3,) here and (2,) there" in str(caught.value)
        names = eval(str(caught.value).partition("names=")[2])
        assert names == ["dense_1", "layer_norm_1", "residual_1.dense_1", "residual_1.dense_2", "batch_norm_1"]
        new.copy_weights_from(old, names)
        before = new.copy()
        factors = fc.Factors(lr={"rest": 0, "last": 1})
        fc.fit(new, X, np.cos(X[:, :3]), "half_squared_error", fc.Adam(0.01), factors=factors, progress=False)
        assert changed(new, before) == {"dense_2.W", "dense_2.b"}

    @pytest.mark.parametrize(
        ("other", "names", "kind", "said"),
        [
            ("net.safetensors", None, errors.InputTypeError, r"from a Network, such as fc\.load\(path\); got a str"),
            (
                network(),
                ["dense_9"],
                errors.UnknownNameError,
                "no layer, parameter or running statistic 'dense_9'.*Known",
            ),
            (network(), [3], errors.InputTypeError, 'such as "dense_1"; got 3'),
            (
                fc.mlp([5, 7, 2]),
                None,
                errors.ShapeError,
                r"layer_norm_1.gamma is not there; .*names=\['dense_1', 'dense_2'\]",
            ),
            (fc.mlp([5, 8, 2]), "dense_1", errors.ShapeError, r"dense_1.W is \(5, 7\) here and \(5, 8\) there"),
        ],
    )
    def test_copies_nothing_if_one_does_not_fit(self, other, names, kind, said):
        net, before = network(), network()
        with pytest.raises(kind, match=said):
            net.copy_weights_from(other, names)
        assert not changed(net, before)

    def test_numbers_too_large_for_the_dtype(self):
        one, two = network(), network(np.float32)
        one.params[4].b[1] = 1e300
        before = two.copy()
        with pytest.raises(errors.DataError, match=r"dense_2\.b of the other network"):
            two.copy_weights_from(one)
        assert not changed(two, before)
