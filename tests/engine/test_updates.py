"""Rules that look at whole parameters, what they remember of each, and parameters with a rate of their own."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from safetensors.numpy import load_file

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.engine.updates import new_slots, updates
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

X = np.random.default_rng(0).normal(size=(40, 5))
T = np.sin(X[:, :2])


@dataclass(frozen=True)
class Orthogonal(fc.Optimizer):
    """Momentum whose step is orthogonalised for matrices, as in Muon; another rule moves the rest."""

    lr: float = 0.05
    rest: fc.Optimizer = field(default_factory=lambda: fc.AdamW(0.01))
    name = "orthogonal"

    def slot_shapes(self, param, name):
        return dict.fromkeys(("m",) if param.matrix else self.rest.slots, param.shape)

    def scratch_shapes(self, param, name):
        if not param.matrix:
            return dict.fromkeys(self.rest.scratch, param.shape)
        return {"a": param.shape, "gram": (param.shape[1], param.shape[1])}

    def update_tensor(self, theta, g, s, c, *, lr, step, param, name):
        if not param.matrix:
            rate = self.rest.lr * lr / self.lr
            self.rest.update(theta, g, s, c, lr=rate, step=step, decays=param.decays)
            return
        s.m *= 0.9
        s.m += g
        c.a[...] = s.m
        c.a /= np.linalg.norm(c.a) + 1e-12
        for _ in range(12):  # Newton and Schulz: a (3 - a'a) / 2
            c.gram[...] = c.a.T @ c.a
            c.gram *= -0.5
            c.gram += 1.5 * np.eye(len(c.gram))
            c.a[...] = c.a @ c.gram
        c.a *= lr
        theta -= c.a


@dataclass(frozen=True)
class Factored(fc.Optimizer):
    """A running size of the gradient, kept as a number for each row and column of a matrix, as in Adafactor."""

    lr: float = 0.01
    name = "factored"
    scratch = ()

    def slot_shapes(self, param, name):
        if not param.matrix:
            return {"v": param.shape}
        return {"row": param.shape[:1], "column": param.shape[1:], "mean": ()}

    def update_tensor(self, theta, g, s, c, *, lr, step, param, name):
        square, rest = g * g + 1e-30, 1 - 0.9**step
        if param.matrix:
            s.row = 0.9 * s.row + 0.1 * square.mean(axis=1)
            s.column = 0.9 * s.column + 0.1 * square.mean(axis=0)
            s.mean = 0.9 * s.mean + 0.1 * square.mean()
            size = np.outer(s.row, s.column) / s.mean
        else:
            s.v = 0.9 * s.v + 0.1 * square
            size = s.v
        theta -= lr * g / np.sqrt(size / rest)


RULES = {"orthogonal": Orthogonal(), "factored": Factored()}
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def network(dtype=np.float64):
    block = fc.Residual([fc.LayerNorm(), fc.Dense(6, 6, "tanh")])
    return fc.Network([fc.Dense(5, 6, "tanh"), block, fc.Dense(6, 2)], dtype=dtype, seed=0)


def fit(net, rule, epochs=1, **settings):
    return fc.fit(net, X, T, "half_squared_error", rule, epochs, 16, progress=False, **settings)


def by_hand(rule, net, steps, memory, lr=None):
    """Take steps over all rows with net.gradients, each parameter in its own turn, in formulas of their own."""
    lr = lr or rule.lr
    for step in range(1, steps + 1):
        g, theta = net.gradients(X, T, "half_squared_error").theta, net.theta.copy()
        for tensor in net.program.tensors:
            w, d = theta[tensor.part].reshape(tensor.shape), g[tensor.part].reshape(tensor.shape)
            kept = memory.setdefault(tensor.name, {})
            if isinstance(rule, Orthogonal) and tensor.param.matrix:
                kept["m"] = 0.9 * kept.get("m", 0) + d
                a = kept["m"] / np.linalg.norm(kept["m"])
                for _ in range(12):
                    a = a @ (1.5 * np.eye(a.shape[1]) - 0.5 * a.T @ a)
                w -= lr * a
            elif isinstance(rule, Orthogonal):
                kept["m"] = 0.9 * kept.get("m", 0) + 0.1 * d
                kept["v"] = 0.999 * kept.get("v", 0) + 0.001 * d**2
                w -= 0.01 * kept["m"] / (1 - 0.9**step) / (np.sqrt(kept["v"] / (1 - 0.999**step)) + 1e-8)
            else:
                kept["v"] = 0.9 * kept.get("v", 0) + 0.1 * d**2
                size = kept["v"] / (1 - 0.9**step)
                if tensor.param.matrix:
                    size = np.outer(size.mean(axis=1), size.mean(axis=0)) / size.mean()
                w -= lr * d / np.sqrt(size)
        net.theta = theta


@rules
def test_it_sees_each_parameter_in_its_shape(rule):
    net, twin = network(), network()
    fc.fit(net, X, T, "half_squared_error", rule, 3, 40, shuffle=False, progress=False, engine="auto")
    by_hand(rule, twin, 3, {})
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-7, atol=1e-9)


@rules
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_learns(rule, dtype):
    history = fit(network(dtype), rule, 60)
    assert history.loss[-1] < 0.1 * history.loss[0]
    assert history.engine == "numpy"


def test_what_it_remembers_is_kept_as_flat_vectors_whose_sizes_the_rule_says(tmp_path):
    net = network()
    fit(net, Factored(), checkpoint=tmp_path / "run")
    tensors = load_file(tmp_path / "run")
    sizes = {name.removeprefix("run.slot."): a.size for name, a in tensors.items() if name.startswith("run.slot.")}
    assert sizes == {"row": 5 + 6 + 6, "column": 6 + 6 + 2, "mean": 3, "v": 6 + 6 + 6 + 6 + 2}
    run = Run(net, X, T, "half_squared_error", fc.Adam(), FitSettings(engine="numpy"))
    assert {name: a.size for name, a in run.state.slots.items()} == {"m": net.n_params, "v": net.n_params}


@rules
def test_a_run_goes_on_bit_for_bit(rule, tmp_path):
    whole, parts = network(np.float32), None
    fit(whole, rule, 7)
    for epochs in (1, 2, 5, 7):
        fit(parts := network(np.float32), rule, epochs, checkpoint=tmp_path / "run", checkpoint_every=1)
    assert parts.theta.tobytes() == whole.theta.tobytes()
    other = Orthogonal(lr=0.1) if isinstance(rule, Orthogonal) else Factored(lr=0.1)
    with pytest.raises(errors.CheckpointError, match="begun with optimizer="):
        fit(network(np.float32), other, 8, checkpoint=tmp_path / "run")


def test_a_checkpoint_with_memory_of_another_size_is_damaged(tmp_path):
    fit(network(), Factored(), checkpoint=tmp_path / "run")
    with pytest.raises(errors.CheckpointError, match="begun with layer"):
        fit(fc.mlp([5, 2], dtype=np.float64), Factored(), checkpoint=tmp_path / "run")


@rules
def test_the_worked_example_shows_what_its_code_gave(rule):
    net = fc.Network([fc.Dense(5, 3, "tanh"), fc.Dense(3, 2)], dtype=np.float64, seed=0)
    record = fc.trace(net, X[:4], T[:4], "half_squared_error", rule)
    shown = [step for step in record.steps if step.phase == "update"]
    moved = net.copy()
    fc.fit(moved, X[:4], T[:4], "half_squared_error", rule, 1, 4, shuffle=False, progress=False, warn=False)
    results = [step.result for step in shown if step.result.shape == (5, 3)]
    assert any(np.array_equal(result, moved.params[0].W) for result in results)
    count = {"orthogonal": [2, 3, 2, 3], "factored": [4, 2, 4, 2]}[rule.name]  # its memory, and the parameter
    assert len(shown) == sum(count)
    explained = fc.explain(net, X[:4], T[:4], "half_squared_error", rule)
    assert f"{rule.name}(W1, dL/dW1)" in explained.to_text()
    assert all(rule.name in made() for made in (explained.to_markdown, explained.to_html, explained.to_json))
    exec(compile(explained.to_python(), "script", "exec"), {"__name__": "__main__"})  # it asserts what it computes


def test_the_native_engine_says_why_it_does_not_have_such_rules():
    pytest.importorskip("fullyconnected._native", reason="the engine was not built here")
    assert "no optimizer Factored, which updates whole parameters" in fit(network(), Factored()).engine_why
    with pytest.raises(errors.ConfigError, match="updates whole parameters"):
        fit(network(), Orthogonal(), engine="native")


class TestWhatItIsTold:
    def test_which_parameter_it_is_and_what_it_is(self):
        told = []

        class Listening(fc.SGD):
            name = "listening"

            def update_tensor(self, theta, g, s, c, *, lr, step, param, name):
                told.append((name, param, theta.shape, g.shape, c.a.shape, lr, step))
                theta -= lr * g

        net = network()
        fc.fit(net, X, T, "half_squared_error", Listening(0.1), 1, 40, schedule=lambda epoch: 0.5, progress=False)
        assert [entry[0] for entry in told] == [tensor.name for tensor in net.program.tensors]
        assert "residual_1.dense_1.W" in {entry[0] for entry in told}
        for (_, param, *shapes, lr, step), tensor in zip(told, net.program.tensors, strict=True):
            assert param == tensor.param
            assert shapes == [tensor.shape] * 3
            assert (lr, step) == (0.05, 1)

    def test_a_rule_without_shapes_of_its_own_remembers_and_scribbles_in_the_parameters_shape(self):
        class Slow(fc.Momentum):
            name = "slow"

            def update_tensor(self, theta, g, s, c, *, lr, step, param, name):
                self.update(theta, g, s, c, lr=lr, step=step, decays=param.decays)

        net, twin = network(), network()
        fit(net, Slow(0.01), 3, engine="numpy")
        fit(twin, fc.Momentum(0.01), 3, engine="numpy")
        assert net.theta.tobytes() == twin.theta.tobytes()

    def test_scratch_is_shared_by_all_parameters(self):
        net = network()
        run = Run(net, X, T, "half_squared_error", Orthogonal(), FitSettings())
        buffers = {id(update.c.a.base if update.c.a.base.base is None else update.c.a.base.base)
                   for update in run.trainer.updates}  # fmt: skip
        assert len(buffers) == 1


class TestMistakes:
    def make(self, **members):
        def update_tensor(self, theta, g, s, c, *, lr, step, param, name):
            theta -= lr * g

        return type("Mine", (fc.Optimizer,), {"name": "mine", "lr": 0.1, "update_tensor": update_tensor, **members})

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            ({"slot_shapes": lambda self, param, name: ["v"]}, r"Mine\.slot_shapes\(\) returns a dict of shapes"),
            ({"slot_shapes": lambda self, param, name: {"v": 3}}, "the shape of v is 3"),
            ({"scratch_shapes": lambda self, param, name: {"v": (0,)}}, "the shape of v is"),
            ({"slot_shapes": lambda self, param: {}}, r"called as slot_shapes\(param, name\)"),
            ({"update_tensor": lambda self, theta, g: None}, r"called as update_tensor\(theta, g, s, c, lr=, step="),
            (
                {"update_tensor": fc.Optimizer.update_tensor, "slot_shapes": lambda self, param, name: {}},
                "slot_shapes is used only with update_tensor",
            ),
        ],
    )
    def test_they_are_named_before_anything_is_trained(self, members, message):
        net = network()
        before = net.theta.copy()
        with pytest.raises(errors.ConfigError, match=message):
            fit(net, self.make(**members)())
        assert np.array_equal(net.theta, before)

    def test_a_rule_that_moves_another_array(self):
        def update_tensor(self, theta, g, s, c, *, lr, step, param, name):
            theta = theta - lr * g

        with pytest.raises(errors.ConfigError, match=r"Mine\.update_tensor does not change theta"):
            fit(network(), self.make(update_tensor=update_tensor)())

    def test_a_rule_that_diverges(self):
        def update_tensor(self, theta, g, s, c, *, lr, step, param, name):
            theta -= lr * g / s.v
            s.v = g * g

        with pytest.raises(errors.DivergenceError) as caught:
            fit(network(), self.make(update_tensor=update_tensor, slots=("v",))())
        assert "update_tensor of Mine makes NaN or infinity" in caught.value.advice


class Slowed(fc.Dense):
    """A Dense layer whose weights and biases have rates of their own."""

    name = "slowed"
    factors = (0.5, 0.0)

    def params(self):
        named = zip(super().params().items(), self.factors, strict=True)
        return {name: param._replace(lr_factor=factor) for (name, param), factor in named}


class TestFactors:
    def nets(self, dtype=np.float64):
        slowed = fc.Network([fc.Dense(5, 4, "tanh"), Slowed(4, 3, "tanh"), fc.Dense(3, 2)], dtype=dtype, seed=0)
        plain = fc.Network([fc.Dense(5, 4, "tanh"), fc.Dense(4, 3, "tanh"), fc.Dense(3, 2)], dtype=dtype, seed=0)
        return slowed, plain

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("watched", [False, True])
    def test_half_a_step_and_none(self, dtype, watched):
        rule = type("Mine", (fc.SGD,), {"name": "mine"}) if watched else fc.SGD
        slowed, plain = self.nets(dtype)
        before = plain.theta.copy()
        for net, lr in ((slowed, 0.25), (plain, 0.25)):
            fc.fit(net, X, T, "half_squared_error", rule(lr), 1, 40, engine="numpy", progress=False)
        halved = before.copy()
        halved_twin = plain.copy()
        halved_twin.theta = before
        fc.fit(halved_twin, X, T, "half_squared_error", rule(0.125), 1, 40, engine="numpy", progress=False)
        for tensor, factor in zip(slowed.program.tensors, (1, 1, 0.5, 0, 1, 1), strict=True):
            wanted = {1: plain.theta, 0.5: halved_twin.theta, 0: halved}[factor]
            assert np.array_equal(slowed.theta[tensor.part], wanted[tensor.part]), tensor.name

    @pytest.mark.parametrize("rule", [fc.AdamW(0.01, weight_decay=0.5), Orthogonal(), Factored()], ids=lambda r: r.name)
    def test_with_any_rule_a_factor_of_zero_freezes_bit_for_bit(self, rule):
        slowed, _ = self.nets(np.float32)
        before = slowed.theta.copy()
        fit(slowed, rule, 5, l2=0.1)
        moved = [not np.array_equal(slowed.theta[t.part], before[t.part]) for t in slowed.program.tensors]
        assert moved == [True, True, True, False, True, True]

    def test_weight_decay_is_slowed_too(self):
        slowed, plain = self.nets()
        rule = fc.AdamW(0.1, weight_decay=0.5)
        tensor = slowed.program.tensors[2]
        g, slots = np.zeros_like(slowed.theta), new_slots(rule, slowed.program, slowed.theta.dtype)
        for update in updates(rule, slowed.program, slowed.theta, g, slots):
            update.run(*update[1:5], lr=0.1, step=1, decays=update.decays)
        np.testing.assert_allclose(slowed.theta[tensor.part], plain.theta[tensor.part] * (1 - 0.1 * 0.5 * 0.5))

    def test_the_worked_example_says_so(self):
        slowed, _ = self.nets()
        record = fc.trace(slowed, X[:4], T[:4], "half_squared_error", "sgd")
        shown = {str(step.equation): step for step in record.steps if step.phase == "update"}
        half = next(step for equation, step in shown.items() if "lr_factor" in equation)
        g = slowed.gradients(X[:4], T[:4], "half_squared_error")
        np.testing.assert_allclose(half.result, slowed.params[1].W - 0.01 * 0.5 * g.params[1].W, rtol=1e-12)
        (still,) = (step for step in shown.values() if "stays as it is" in step.why)
        assert np.array_equal(still.result, slowed.params[1].b)

    def test_a_solver_has_no_rate_to_be_slowed(self):
        with pytest.raises(errors.ConfigError, match="does not work with a learning-rate factor"):
            fit(self.nets()[0], fc.LBFGS())
