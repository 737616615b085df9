"""Muon: hidden matrices by orthogonal momentum, all other parameters by another optimizer; on both engines."""

import copy
import math
import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.engine.updates import new_slots
from fullyconnected.orthogonal import COEFFICIENTS, newton_schulz, normalize
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

ENGINES = [name for name, each in fc.engines().items() if each.available]
ROWS = 50
X = np.random.default_rng(0).normal(size=(ROWS, 6))
T = np.sin(X[:, :3])


def orthogonal(u, rounds=5):
    """The formula, in float64 and in the plainest way: by the singular values."""
    left, s, right = np.linalg.svd(u / max(np.linalg.norm(u), 1e-7), full_matrices=False)
    for _ in range(rounds):
        s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
    return left * s @ right


def by_hand(net, rule, batches, l2=0.0):
    """Train a network by the formulas: Muon's for its inner matrices, AdamW's for all else."""
    named = net.program.named(net.theta)
    hidden = [name for name in named if name.endswith(".W")][1:-1]
    m, v = ({name: np.zeros(a.shape) for name, a in named.items()} for _ in range(2))
    rest = rule.rest
    for step, rows in enumerate(batches, 1):
        g = net.program.named(net.gradients(X[rows], T[rows], "half_squared_error", l2, train=True).theta)
        for name, w in named.items():
            if name in hidden:
                v[name] = rule.momentum * v[name] + g[name]
                u = g[name] + rule.momentum * v[name] if rule.nesterov else v[name]
                n_in, n_out = w.shape
                w *= 1 - rule.lr * rule.weight_decay
                w -= rule.lr * math.sqrt(max(1, n_out / n_in)) * orthogonal(u, rule.rounds)
                continue
            m[name] = rest.beta1 * m[name] + (1 - rest.beta1) * g[name]
            v[name] = rest.beta2 * v[name] + (1 - rest.beta2) * g[name] ** 2
            if name.endswith(".W"):
                w *= 1 - rest.lr * rest.weight_decay
            first, second = m[name] / (1 - rest.beta1**step), v[name] / (1 - rest.beta2**step)
            w -= rest.lr * first / (np.sqrt(second) + rest.epsilon)


def network(dtype=np.float64, seed=0):
    layers = [fc.Dense(6, 8, "tanh"), fc.Dense(8, 5, "tanh"), fc.LayerNorm(), fc.Residual([fc.Dense(5, 5, "tanh")])]
    return fc.Network([*layers, fc.Dense(5, 9, "tanh"), fc.Dense(9, 3)], dtype=dtype, seed=seed)


def fit(net, rule, **settings):
    settings = {"epochs": 3, "batch_size": 20, "shuffle": False, "progress": False} | settings
    return fc.fit(net, X, T, "half_squared_error", rule, **settings)


class TestTheRounds:
    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (4, 4), (5, 9), (9, 5), (30, 64)])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e30])
    def test_are_those_of_the_formula(self, shape, dtype, size):
        u = np.random.default_rng(0).normal(size=shape)
        n = min(shape)
        c = type("Cache", (), {"xp": np, "y": np.empty(shape, dtype), "a": np.empty((n, n), dtype),
                               "b": np.empty((n, n), dtype)})  # fmt: skip
        x = (u * size).astype(dtype)
        normalize(x, c)
        for _ in range(5):
            newton_schulz(x, c)
        wanted = orthogonal(u * size)
        assert x.dtype == dtype
        np.testing.assert_allclose(x, wanted, rtol=0, atol=1e-13 if dtype == np.float64 else 2e-5)

    def test_bring_singular_values_near_1(self):
        """What the derivations and the comment in orthogonal.py say of the polynomial."""
        a, b, c = COEFFICIENTS
        s = np.linspace(0, 1, 100_001)
        for _ in range(5):
            s = a * s + b * s**3 + c * s**5
        assert s.max() < 1.21
        assert s[200:].min() > 0.68  # of 0.002 and more

    def test_of_zeros_stay_zeros_and_of_nan_become_nan(self):
        c = type("Cache", (), {"xp": np, "y": np.empty((3, 4)), "a": np.empty((3, 3)), "b": np.empty((3, 3))})
        for x, wanted in ((np.zeros((3, 4)), np.zeros((3, 4))), (np.full((3, 4), np.nan), np.full((3, 4), np.nan))):
            normalize(x, c)
            newton_schulz(x, c)
            np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize("engine", ENGINES)
class TestAStep:
    @pytest.mark.parametrize(
        "rule",
        [
            fc.Muon(0.02),
            fc.Muon(0.05, momentum=0.8, nesterov=False, weight_decay=0.3, rounds=3),
            fc.Muon(0.02, rounds=0, rest=fc.AdamW(0.01, beta1=0.8, weight_decay=0.1)),
            fc.Muon(0.02, momentum=0.0, rest=fc.AdamW(0.02)),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("l2", [0.0, 0.1])
    def test_is_that_of_the_formula(self, rule, l2, engine):
        """Matrices that are wider than high, higher than wide, and square, of a block too."""
        net, twin = network(), network()
        history = fit(net, rule, l2=l2, engine=engine)
        assert history.engine == engine
        by_hand(twin, rule, [np.arange(at, min(at + 20, ROWS)) for at in (0, 20, 40)] * 3, l2)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=0, atol=1e-6)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=0, atol=1e-11)

    def test_the_rest_follows_schedules_in_proportion(self, engine):
        net, twin = network(), network()
        fit(net, fc.Muon(0.02, rest=fc.SGD(0.1)), epochs=1, batch_size=ROWS, schedule=lambda epoch: 0.25, engine=engine)
        g = twin.gradients(X, T, "half_squared_error")
        for mine, before, its in zip(net.params[0], twin.params[0], g.params[0], strict=True):
            np.testing.assert_allclose(mine[1], before[1] - 0.25 * 0.1 * its[1], rtol=1e-12)
        step = 0.25 * 0.02 * orthogonal(1.95 * g.params[1].W)
        np.testing.assert_allclose(net.params[1].W, twin.params[1].W - step, rtol=0, atol=1e-13)

    def test_factors_are_for_each_of_both(self, engine):
        factors = fc.Factors(
            lr={"dense_2.W": 0.5, "residual_1": 0, "last": 0.25}, weight_decay={"dense_3.W": 3, "first": 2}
        )
        net, twin = network(), network()
        fit(net, fc.Muon(0.02, weight_decay=0.1), factors=factors, engine=engine, l2=0.01)
        # by hand, one parameter at a time
        before = twin.copy()
        slots = {}
        for step, rows in enumerate([slice(0, 20), slice(20, 40), slice(40, 50)] * 3, 1):
            g = twin.program.named(twin.gradients(X[rows], T[rows], "half_squared_error", train=True).theta)
            for name, w in twin.program.named(twin.theta).items():
                lr = {"dense_2.W": 0.5}.get(name, 0.25 if name.startswith("dense_4") else 1)
                decay = {"dense_3.W": 3, "dense_1.W": 2}.get(name, 1) * name.endswith("W")
                d = g[name] + 0.01 * decay * w
                m, v = slots.setdefault(name, (np.zeros_like(w), np.zeros_like(w)))
                if name.startswith("residual"):
                    continue
                if name in ("dense_2.W", "dense_3.W"):
                    v[...] = 0.95 * v + d
                    w *= 1 - 0.02 * lr * 0.1 * decay
                    w -= 0.02 * lr * max(1, w.shape[1] / w.shape[0]) ** 0.5 * orthogonal(d + 0.95 * v)
                else:
                    m[...] = 0.9 * m + 0.1 * d
                    v[...] = 0.999 * v + 0.001 * d**2
                    w *= 1 - 0.001 * lr * 0.01 * decay
                    w -= 0.001 * lr * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=0, atol=1e-11)
        assert net.params[3][0].W.tobytes() == before.params[3][0].W.tobytes()

    def test_clipping_and_averages(self, engine):
        net, twin = network(), network()
        rule = fc.Muon(0.02, momentum=0.0, rest=fc.SGD(0.1))
        fit(net, rule, epochs=1, batch_size=ROWS, max_grad_norm=0.01, average=fc.EMA(0.5, warm_up=False), engine=engine)
        g = twin.gradients(X, T, "half_squared_error")
        scale = 0.01 / np.linalg.norm(g.theta)
        np.testing.assert_allclose(net.params[0].W, twin.params[0].W - 0.5 * 0.1 * scale * g.params[0].W, rtol=1e-10)
        step = 0.5 * 0.02 * orthogonal(g.params[1].W)
        np.testing.assert_allclose(net.params[1].W, twin.params[1].W - step, rtol=0, atol=1e-12)

    def test_a_network_without_hidden_matrices_is_trained_by_the_rest(self, engine):
        for sizes in ([6, 3], [6, 4, 3]):
            one, two = (fc.mlp(sizes, "tanh", dtype=np.float64, seed=0) for _ in range(2))
            fit(one, fc.Muon(0.02, rest=fc.Adam(0.01)), engine=engine)
            fit(two, fc.Adam(0.01), engine=engine)
            assert one.theta.tobytes() == two.theta.tobytes()

    def test_a_dead_layer_stays_where_it_is(self, engine):
        net = fc.mlp([6, 4, 4, 3], dtype=np.float32, seed=0)
        net.params[1].b = -1e3  # no unit of relu ever fires, so that the gradients of the two layers before are 0
        before = net.copy()
        fit(net, fc.Muon(0.1), engine=engine)
        assert net.params[1].W.tobytes() == before.params[1].W.tobytes()
        assert np.isfinite(net.theta).all()

    def test_it_learns(self, engine):
        net = fc.mlp([6, 32, 32, 32, 3], seed=0)
        history = fit(net, fc.Muon(0.02), epochs=60, shuffle=True, engine=engine)
        assert history.loss[-1] < 0.05 * history.loss[0]

    def test_a_run_resumes_to_the_bit(self, tmp_path, engine):
        """With slots of both rules, which are not of the same length."""
        rule = fc.Muon(0.02, rest=fc.AdamW(0.01))
        for dtype in (np.float32, np.float64):
            how = {"engine": engine, "shuffle": True, "max_grad_norm": 1.0}
            fit(straight := network(dtype), rule, epochs=4, **how)
            path = tmp_path / np.dtype(dtype).name
            for epochs in (1, 3, 4):
                fit(
                    resumed := network(dtype, seed=1), rule, epochs=epochs, checkpoint=path, **how
                ) if epochs > 1 else fit(network(dtype), rule, epochs=epochs, checkpoint=path, **how)
            assert resumed.theta.tobytes() == straight.theta.tobytes()
        for other in (fc.Muon(0.02), fc.Muon(0.02, rounds=4, rest=fc.AdamW(0.01)), fc.AdamW(0.01)):
            with pytest.raises(errors.CheckpointError, match="was begun with optimizer="):
                fit(network(), other, epochs=5, checkpoint=path, **how)


@pytest.mark.skipif("native" not in ENGINES, reason="the native engine is not built")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "sizes", [[9, 1, 1, 3, 2], [9, 47, 49, 2], [9, 100, 60, 2], [9, 60, 100, 2], [9, 48, 300, 2], [9, 300, 130, 257, 2]]
)
def test_both_engines_agree_with_any_number_of_threads(sizes, dtype):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(120, 9)), rng.normal(size=(120, 2))
    for rule in (fc.Muon(0.02), fc.Muon(0.02, nesterov=False, weight_decay=0.1, rounds=2, rest=fc.Momentum(0.01))):
        ends = []
        for engine, threads in (("numpy", None), ("native", 1), ("native", 2), ("native", 3), ("native", 5)):
            net = fc.mlp(sizes, "tanh", dtype=dtype, seed=0)
            how = {"epochs": 1, "batch_size": 60, "l2": 0.01, "engine": engine, "n_threads": threads}
            history = fc.fit(net, x, t, "half_squared_error", rule, progress=False, **how)
            assert history.engine == engine
            ends.append(net.theta.copy())
        for other in ends[1:]:
            assert np.linalg.norm(ends[0] - other) <= (1e-11 if dtype == np.float64 else 1e-4) * np.linalg.norm(other)


@pytest.mark.skipif("native" not in ENGINES, reason="the native engine is not built")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_threads_give_the_same_bits(threads):
    thetas = []
    for _ in range(3):
        net = fc.mlp([6, 150, 120, 140, 3], seed=0)
        fit(net, fc.Muon(0.02), engine="native", n_threads=threads)
        thetas.append(net.theta.tobytes())
    assert len(set(thetas)) == 1


def ensemble(kind, k, sizes, dtype=np.float64, **settings):
    """Return members with two hidden matrices, of which the first reads one row for all, behind a layer of theirs."""
    n, *inner = sizes
    layers = [fc.Dense(i, o, "tanh", **settings) for i, o in zip([6, *inner], inner, strict=False)]
    return fc.Network(
        [fc.Dense(n, 6, "tanh"), fc.Members(k, [*layers, fc.Dense(inner[-1], 3)], kind)], dtype=dtype, seed=0
    )


@pytest.mark.skipif("native" not in ENGINES, reason="the native engine is not built")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["tabm", "mini", "packed"])
class TestAnEnsembleOnTheNativeEngine:
    """Matrices that all members share, and stacks of which each member has one."""

    @pytest.mark.parametrize(("k", "sizes"), [(1, [6, 7, 5]), (2, [6, 1, 9, 4]), (3, [6, 70, 60]), (7, [6, 60, 30])])
    def test_goes_where_numpy_goes(self, kind, dtype, k, sizes):
        rng = np.random.default_rng(1)
        ways = [
            (fc.Muon(0.02), {}),
            (
                fc.Muon(0.05, nesterov=False, weight_decay=0.1, rounds=2, rest=fc.Momentum(0.01)),
                {
                    "l2": 0.01,
                    "max_grad_norm": 0.5,
                    "average": fc.EMA(0.8),
                    "sample_weight": rng.integers(0, 3, (ROWS, k)),
                    "factors": fc.Factors(lr={"hidden": 0.5, "last": 2}, weight_decay={"weight": 3}),
                    "weight_decay_schedule": lambda epoch: 0.5**epoch,
                },
            ),
            (
                fc.Muon(0.02, momentum=0.0, weight_decay=0.3),
                {"l2": 0.1, "average": fc.EMA(0.8), "parametrization": "ntk"},
            ),
        ]
        for rule, settings in ways:
            how = dict(settings)
            form = {"parametrization": how.pop("parametrization", "standard")}
            nets = [ensemble(kind, k, sizes, dtype, **form) for _ in range(2)]
            for net, engine in zip(nets, ("numpy", "native"), strict=True):
                history = fit(net, rule, engine=engine, **how)
                assert history.engine == engine
            far = np.linalg.norm(nets[0].theta - nets[1].theta)
            assert far <= (1e-11 if dtype == np.float64 else 1e-4) * np.linalg.norm(nets[0].theta)

    def test_has_the_same_bits_with_any_number_of_threads(self, kind, dtype):
        for k in (2, 5):  # fewer members than threads, and more
            thetas = []
            for threads in (1, 2, 3, 4):
                net = ensemble(kind, k, [6, 90, 70], dtype)
                fit(net, fc.Muon(0.02, weight_decay=0.1), engine="native", n_threads=threads, average=fc.EMA(0.9))
                thetas.append(net.theta.tobytes())
            assert len(set(thetas)) == 1

    def test_leaves_a_frozen_layer_as_it_is(self, kind, dtype):
        net = ensemble(kind, 3, [6, 8, 7], dtype)
        before = net.copy()
        names = [tensor.name for tensor in net.program.tensors if tensor.param.is_hidden]
        assert len(names) == 2
        fit(net, fc.Muon(0.02, weight_decay=0.1), engine="native", factors=fc.Factors(lr={names[1]: 0}))
        now, then = (each.program.named(each.theta) for each in (net, before))
        assert [name for name in now if now[name].tobytes() == then[name].tobytes()] == [names[1]]

    def test_resumes_to_the_bit(self, kind, dtype, tmp_path):
        rule, how = fc.Muon(0.02, rest=fc.AdamW(0.01)), {"engine": "native", "shuffle": True, "average": fc.EMA(0.9)}
        straight, resumed = (ensemble(kind, 4, [6, 40, 30], dtype) for _ in range(2))
        fit(straight, rule, epochs=4, **how)
        fit(ensemble(kind, 4, [6, 40, 30], dtype), rule, epochs=2, checkpoint=tmp_path / "run", **how)
        fit(resumed, rule, epochs=4, checkpoint=tmp_path / "run", **how)
        assert resumed.theta.tobytes() == straight.theta.tobytes()

    def test_a_batch_in_which_a_member_has_no_weight(self, kind, dtype):
        weights = np.ones((ROWS, 3))
        weights[:-1, 1] = 0
        ends = []
        for engine in ("numpy", "native"):
            fit(net := ensemble(kind, 3, [6, 8, 7], dtype), fc.Muon(0.02), engine=engine, sample_weight=weights)
            ends.append(net.theta)
        assert np.linalg.norm(ends[0] - ends[1]) <= (1e-11 if dtype == np.float64 else 1e-4) * np.linalg.norm(ends[0])


def test_each_matrix_of_a_stack_has_a_step_of_its_own():
    rng = np.random.default_rng(0)
    theta, g = rng.normal(size=(3, 4, 6)), rng.normal(size=(3, 4, 6)) * [[[1.0]], [[1e-3]], [[1e5]]]
    param = fc.Param((3, 4, 6), decays=True, matrix=True, roles=("weight", "hidden"))
    rule = fc.Muon(0.1)
    assert rule.for_param(param) is rule
    c, s = (
        type("Namespace", (), {name: np.zeros(shape) for name, shape in shapes.items()})
        for shapes in (rule.scratch_shapes(param, "W"), rule.slot_shapes(param, "W"))
    )
    c.xp = np
    wanted = theta - 0.1 * 1.5**0.5 * np.array([orthogonal(1.95 * each) for each in g])
    rule.update_tensor(theta, g, s, c, lr=0.1, step=1, param=param, name="members_1.W")
    np.testing.assert_allclose(theta, wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_members_of_a_stack_are_trained_as_networks_apart(engine):
    """The loss is the mean of theirs: the gradients are smaller, which the step of a hidden matrix does not see."""
    apart = [fc.mlp([6, 8, 7, 3], "tanh", dtype=np.float64, seed=i) for i in range(3)]
    layers = [fc.Dense(6, 8, "tanh"), fc.Dense(8, 7, "tanh"), fc.Dense(7, 3)]
    net = fc.Network([fc.Members(3, layers, kind="packed")], dtype=np.float64, seed=0)
    net.theta = np.concatenate([np.ravel(each) for each in zip(*(one.get_weights() for one in apart), strict=True)])
    fit(net, fc.Muon(0.02, weight_decay=0.1, rest=fc.SGD(0.3)), engine=engine)
    for one in apart:
        fit(one, fc.Muon(0.02, weight_decay=0.1, rest=fc.SGD(0.1)), engine=engine)
    for i, stack in enumerate(net.get_weights()):
        np.testing.assert_allclose(stack, [one.get_weights()[i] for one in apart], rtol=0, atol=1e-12)


def test_slots_are_those_of_each_rule():
    net = network()
    slots = new_slots(fc.Muon(), net.program, net.dtype)
    hidden = sum(tensor.of(net.theta).size for tensor in net.program.tensors if tensor.param.is_hidden)
    assert {name: slot.size for name, slot in slots.items()} == {"v": net.n_params, "m": net.n_params - hidden}
    slots = new_slots(fc.Muon(rest=fc.SGD()), net.program, net.dtype)
    assert {name: slot.size for name, slot in slots.items()} == {"v": hidden}


@pytest.mark.parametrize(
    "like", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a)), lambda a: eval(repr(a), vars(fc))]
)
def test_is_a_plain_value(like):
    rule = fc.Muon(0.1, nesterov=False, rest=fc.Momentum(0.2))
    assert like(rule) == rule != fc.Muon(0.1, nesterov=False, rest=fc.Momentum(0.3))


def test_a_rest_of_your_own_runs_on_numpy():
    class Sign(fc.Optimizer):
        lr = 0.1
        name = "sign_of_mine"
        slots = ("seen",)

        def update(self, theta, g, s, c, *, lr, step, decays):
            assert theta.ndim == g.ndim == s.seen.ndim == c.a.ndim == 1
            s.seen = g  # in a user's code this copies into the slot
            c.xp.sign(g, out=c.a)
            c.a *= lr
            theta -= c.a

    net, before = network(), network()
    run = Run(net, X, T, "half_squared_error", fc.Muon(0.02, rest=Sign()), FitSettings(batch_size=ROWS))
    assert run.engine.name == "numpy"
    assert "it has no optimizer Sign" in run.why
    run.epoch()
    np.testing.assert_allclose(np.abs(net.params[0].W - before.params[0].W), 0.1, rtol=1e-12)
    assert run.state.slots["seen"].any()


class TestTheWorkedExample:
    def test_shows_every_round(self):
        net = fc.Network([fc.Dense(2, 3, "tanh"), fc.Dense(3, 4, "tanh"), fc.Dense(4, 1)], dtype=np.float64, seed=0)
        example = fc.explain(net, [[0.1, 0.5]], [[0.3]], "half_squared_error", fc.Muon(0.1, weight_decay=0.5))
        shown = {step.name: step for step in example.trace.steps}
        for step in example.trace.steps:
            assert step.known
            assert step.error < 1e-10
        assert str(shown["X0_W2"].equation) == (
            "X0_W2 = (dL/dW2 + momentum * v_W2_new) / max(sqrt(sum((dL/dW2 + momentum * v_W2_new)^2)), 1e-7)"
        )
        assert str(shown["A0_W2"].equation) == "A0_W2 = X0_W2 X0_W2'"
        assert str(shown["B4_W2"].equation) == "B4_W2 = 2.0315 * (A4_W2 A4_W2) + (-4.775) * A4_W2"
        assert str(shown["X5_W2"].equation) == "X5_W2 = 3.4445 * X4_W2 + B4_W2 X4_W2"
        assert str(shown["W2_new"].equation) == ("W2_new = W2 * (1 - lr * weight_decay) - lr * shape_factor_W2 * X5_W2")
        assert float(shown["W2_new"].values[next(n for n in shown["W2_new"].values if n.letter == "shape_factor")]) == (
            pytest.approx((4 / 3) ** 0.5)
        )
        assert str(shown["b1_new"].equation).startswith("b1_new = b1 - lr_adamw * (")
        trained = net.copy()
        fc.fit(trained, [[0.1, 0.5]], [[0.3]], "half_squared_error", fc.Muon(0.1, weight_decay=0.5), epochs=1,
               progress=False, engine="numpy")  # fmt: skip
        np.testing.assert_array_equal(shown["W2_new"].result, trained.params[1].W)
        exec(example.to_python(), {"__name__": "script"})
        for form in ("markdown", "html", "json"):
            assert example.to(form)

    @pytest.mark.parametrize("k", [1, 3])
    @pytest.mark.parametrize("sizes", [[2, 3, 4, 2, 1], [2, 3, 3, 1]])
    def test_shows_every_round_of_each_member(self, k, sizes):
        """Matrices that are wider than high, and higher than wide, of which each member has one."""
        net = fc.Network([fc.Members(k, fc.mlp(sizes, "tanh").layers, "packed")], dtype=np.float64, seed=0)
        batch, rule = ([[0.1, 0.5], [0.3, -0.2]], [[0.3], [0.1]]), fc.Muon(0.1, weight_decay=0.5, rounds=2)
        example = fc.explain(net, *batch, "half_squared_error", rule)
        shown = {step.name: step for step in example.trace.steps}
        for step in example.trace.steps:
            assert step.known
            assert step.error < 1e-10
        assert str(shown["X0_W2"].equation) == (
            "X0_W2 = (dL/dW2 + momentum * v_W2_new) / max(sqrt(sum_ij((dL/dW2 + momentum * v_W2_new)^2)), 1e-7)"
        )
        assert str(shown["A0_W2"].equation) == "A0_W2 = X0_W2[m] X0_W2[m]'"
        assert str(shown["B1_W2"].equation) == "B1_W2 = 2.0315 * (A1_W2[m] A1_W2[m]) + (-4.775) * A1_W2"
        assert str(shown["X2_W2"].equation) == "X2_W2 = 3.4445 * X1_W2 + B1_W2[m] X1_W2[m]"
        assert str(shown["W2_new"].equation) == "W2_new = W2 * (1 - lr * weight_decay) - lr * shape_factor_W2 * X2_W2"
        if sizes[3] == 2:
            assert str(shown["A0_W3"].equation) == "A0_W3 = X0_W3[m]' X0_W3[m]"
            assert str(shown["X2_W3"].equation) == "X2_W3 = 3.4445 * X1_W3 + X1_W3[m] B1_W3[m]"
        assert shown["X2_W2"].result.shape == (k, *sizes[1:3])
        trained = net.copy()
        fc.fit(trained, *batch, "half_squared_error", rule, 1, shuffle=False, progress=False, engine="numpy")
        np.testing.assert_array_equal(shown["W2_new"].result, trained.get_weights()[2])
        exec(example.to_python(), {"__name__": "script"})
        for form in ("markdown", "html", "json"):
            assert example.to(form)

    def test_of_frozen_matrices_and_factors(self):
        net = fc.mlp([2, 3, 3, 3, 1], "tanh", dtype=np.float64, seed=0)
        factors = fc.Factors(lr={"dense_2": 0, "dense_3": 0.5, "bias": 0.1}, weight_decay={"dense_3": 2})
        trace = fc.trace(
            net, X[:3, :2], T[:3, :1], "half_squared_error", fc.Muon(0.1, weight_decay=0.2), factors=factors
        )
        shown = {step.name: str(step.equation) for step in trace.steps}
        assert shown["W2_new"] == "W2_new = W2"
        assert "lr * lr_factor_W3 * weight_decay * decay_factor_W3" in shown["W3_new"]
        assert "X5_W2" not in shown
        assert max(step.error for step in trace.steps) < 1e-9


@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        ({"lr": 0}, errors.ConfigError, "lr must be more than 0"),
        ({"momentum": 1.0}, errors.ConfigError, "momentum must be 0 or more and less than 1"),
        ({"rounds": -1}, errors.ConfigError, "rounds must be 0 or more"),
        ({"rounds": 2.5}, errors.InputTypeError, "rounds"),
        ({"nesterov": "yes"}, errors.InputTypeError, "nesterov"),
        ({"weight_decay": -0.1}, errors.ConfigError, "weight_decay must be 0 or more"),
        ({"rest": fc.LBFGS()}, errors.ConfigError, r"such as fc\.AdamW\(1e-3\); LBFGS is not for single parameters"),
        ({"rest": fc.Muon()}, errors.ConfigError, "Muon is not for single parameters"),
        ({"rest": "muon"}, errors.ConfigError, "Muon is not for single parameters"),
        ({"rest": 0.1}, errors.InputTypeError, r"fc\.Adam\(0\.1\)"),
        ({"ns_steps": 5}, errors.InputTypeError, "rounds|Known"),
    ],
)
def test_settings_that_cannot_be(settings, kind, said):
    with pytest.raises(kind, match=said):
        fc.Muon(**settings)


def test_a_name_stands_for_the_rest():
    assert fc.Muon(rest="sgd").rest == fc.SGD()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_diverges_says_so(engine):
    net = fc.mlp([6, 4, 4, 3], "identity", seed=0)
    with pytest.raises(errors.DivergenceError, match="ten times smaller"):
        fit(net, fc.Muon(1e30), epochs=20, engine=engine)
    assert np.isfinite(net.theta).all()
