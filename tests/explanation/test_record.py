"""The record of a training step: bit for bit the ordinary step, every formula true of it, and nothing is changed."""

import itertools
import json
import random
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.engine.choice import ENGINES
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.engine.updates import new_slots
from fullyconnected.explanation.record import PHASES
from fullyconnected.explanation.recorder import trace
from fullyconnected.explanation.render.document import losses, note
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.data import check_data
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.digits import shown
from fullyconnected.symbolic.expression import Name, names_in
from fullyconnected.symbolic.formulas.lines import DY, Both, Line, X

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

RULES = sorted(name for name, cls in OPTIMIZERS.classes.items() if issubclass(cls, fc.Optimizer))
ROWS, N_IN, WIDTH, N_OUT = 3, 2, 3, 3
CLOSE = {"float64": 1e-13, "float32": 3e-6}  # a result and its formula, relative to the largest number met on the way


def network(layer, activation, dtype):
    """A network with the activation on a Dense, and around the layer."""
    activation = ACTIVATIONS.build(activation)
    cls = LAYERS.classes[layer]
    first = [cls.example(N_IN)] if cls.reads_raw else []
    dense = fc.Dense(first[0].n_out if first else N_IN, WIDTH, activation)
    layers = [*first, dense] if first else [dense, cls.example(WIDTH)]
    if not cls.comes_last:
        layers += [fc.Activation(activation), fc.Dense(int(layers[-1].n_out), N_OUT)]
    net = fc.Network(layers, dtype=dtype, seed=0)
    net.theta += np.random.default_rng(5).normal(0, 0.1, net.n_params)
    return net


def problem(loss, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, N_IN)), LOSSES.build(loss).example_targets(rng, ROWS, N_OUT)


def same(net, record, g):
    """Hold a record equal to the ordinary gradients, bit for bit."""
    assert np.float64(record.loss).tobytes() == np.float64(g.loss).tobytes()
    assert record.values[record.name("x").gradient("L")].tobytes() == g.x.tobytes()
    flat = np.full_like(g.theta, np.nan)
    for tensor in net.program.tensors:
        traced = record.values[record.name(tensor.name).gradient("L")]
        assert (traced.shape, traced.dtype) == (tensor.shape, net.dtype)
        flat[tensor.part] = traced.ravel()
    assert flat.tobytes() == g.theta.tobytes()


def updated(net, record):
    """Return theta as the record says it is after the update."""
    theta = np.full_like(net.theta, np.nan)
    for name, view in net.program.named(theta).items():
        view[...] = record.values[record.name(f"{name}_new")]
    return theta


def holds(record, tolerance):
    for step in (*record.steps, *record.again):
        assert step.known, step.equation
        assert not step.error > (1e-9 if step.phase == "check" else tolerance), (str(step.equation), step.error)


@pytest.fixture(scope="module")
def steps(pairwise):
    """Return layers with activations and losses, each with settings and a rule of its own."""
    draw = random.Random(0).choice
    settings = ("float32", "float64"), (0, 0.1), (False, True), (False, True)
    every = itertools.product(sorted(LAYERS.classes), ACTIVATIONS.classes, LOSSES.classes)
    return pairwise((*each, draw(RULES), *map(draw, settings)) for each in every)


@pytest.mark.parametrize("layer", sorted(LAYERS.classes))
def test_bit_for_bit_the_ordinary_step_with_everything_that_is_registered(layer, steps):
    for i, (_, activation, loss, rule, dtype, l2, weighted, train) in enumerate(s for s in steps if s[0] == layer):
        net = network(layer, activation, dtype)
        x, t = net.layers[0].example_rows(np.random.default_rng(i), ROWS), problem(loss, seed=i)[1]
        weights = np.arange(1, ROWS + 1) / 3 if weighted else None
        if net.program.members is not None and not LOSSES.build(loss).link.pools:
            with pytest.raises(errors.ConfigError, match="a mean of scores"):
                trace(net, x, t, loss)
            continue
        record = trace(net, x, t, loss, rule, l2=l2, sample_weight=weights, train=train, seed=i)
        same(net, record, net.gradients(x, t, loss, l2, weights, train, i))
        holds(record, CLOSE[net.dtype.name])


@pytest.mark.parametrize("rule", RULES)
def test_bit_for_bit_the_first_step_of_every_rule(rule, pairwise):
    every = pairwise(itertools.product(RULES, sorted(LAYERS.classes), ("float32", "float64")))
    for _, layer, dtype in [case for case in every if case[0] == rule]:
        net = network(layer, "gelu", dtype)
        x, t = net.layers[0].example_rows(np.random.default_rng(0), ROWS), problem("half_squared_error")[1]
        weights = np.arange(1, ROWS + 1) / 3
        record = trace(net, x, t, "half_squared_error", rule, l2=0.1, sample_weight=weights, train=True, seed=7)
        fc.fit(
            net, x, t, "half_squared_error", rule, epochs=1, batch_size=ROWS, shuffle=False, seed=7, engine="numpy",
            l2=0.1, sample_weight=weights, progress=False,
        )  # fmt: skip
        assert updated(net, record).tobytes() == net.theta.tobytes()
        for tensor in net.program.state_tensors:  # the running statistics
            assert record.values[record.name(f"{tensor.name}_new")].tobytes() == tensor.of(net.state).tobytes()


def test_bit_for_bit_with_any_network(cases, examples):
    @hypothesis.settings(max_examples=examples(150))
    @hypothesis.given(cases())
    def check(case):
        net = case.net()
        record = case.trace(net)
        same(net, record, net.gradients(*case.data(), case.loss, **case.settings()))
        holds(record, CLOSE[case.dtype])
        if record.first_not_finite is not None or case.rows < net.program.least_rows:  # training refuses such a step
            return
        fc.fit(
            net, *case.data(), case.loss, case.optimizer, epochs=1, batch_size=case.rows, shuffle=False, l2=case.l2,
            sample_weight=case.weights(), seed=case.seed, engine="numpy", progress=False,
        )  # fmt: skip
        if case.train or not any(op.layer.random or op.state for op in net.program.operations):
            assert updated(net, record).tobytes() == net.theta.tobytes()

    check()


def test_the_masks_are_those_of_training():
    inner = fc.Residual([fc.Dense(5, 5, "relu"), fc.Dropout(0.5), fc.Residual([fc.Dropout(0.3), fc.Dense(5, 5)])])
    net = fc.Network([fc.Dense(4, 5, "tanh"), fc.Dropout(0.5), inner, fc.Dense(5, 2)], seed=1)
    x, t = np.ones((6, 4)), np.zeros((6, 2))
    first, again, other = (trace(net, x, t, "half_squared_error", train=True, seed=s) for s in (3, 3, 4))
    for name in ("dropout_1.m", "residual_1.dropout_1.m", "residual_1.residual_1.dropout_1.m"):
        masks = [record.values[record.name(name)] for record in (first, again, other)]
        np.testing.assert_array_equal(masks[0], masks[1])
        assert (masks[0] != masks[2]).any()
        assert 0 < (masks[0] == 0).mean() < 1
    same(net, first, net.gradients(x, t, "half_squared_error", train=True, seed=3))
    at_rest = trace(net, x, t, "half_squared_error")
    assert not [name for name in at_rest.values if name.full.endswith(".m")]


def test_blocks_within_blocks():
    block = fc.Residual([fc.Residual([fc.Dense(3, 3, "silu")]), fc.LayerNorm(), fc.Residual([fc.BatchNorm()])])
    net = fc.Network([block, fc.Dense(3, 2)], dtype="float64", seed=0)
    x, t = np.random.default_rng(0).normal(size=(4, 3)), np.zeros((4, 2))
    for train in (False, True):
        record = trace(net, x, t, "huber", "adamw", train=train)
        same(net, record, net.gradients(x, t, "huber", train=train))
        holds(record, 1e-13)
    assert next(str(step.equation) for step in record.steps if step.layer.endswith(".add")) == "y_sum1 = y1 + x"
    back = [str(step.equation) for step in record.steps if step.phase == "backward" and step.name == "dL/dx"]
    assert [equation.partition(" + ")[2] for equation in back] == [
        "dL/dy_sum1 + dL/dy_sum3"
    ]  # the ways past both blocks


class TestNothingChanges:
    def test_network_and_data(self):
        layers = [fc.Dense(2, 3, "relu"), fc.BatchNorm(), fc.Dropout(0.5), fc.Dense(3, 2)]
        net = fc.Network(layers, dtype="float64", seed=0)
        x, t, weights = np.ones((4, 2)), np.ones((4, 2)), np.ones(4)
        held = [net.theta, net.state, x, t, weights]
        before = [a.tobytes() for a in held]
        trace(net, x, t, "half_squared_error", "adam", l2=0.1, sample_weight=weights, train=True, step=0.1)
        assert [a.tobytes() for a in held] == before
        assert net.theta is held[0]

    def test_a_record_is_frozen_and_its_values_are_its_own(self):
        net = fc.mlp([2, 3, 2], activation="relu", dtype="float64", seed=0)
        x, t = np.ones((2, 2)), np.zeros((2, 2))
        record = trace(net, x, t, "half_squared_error", "adam", l2=0.1)
        for name, array in record.values.items():
            assert not array.flags.writeable, name
            assert array.base is None or not array.base.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
        before = {name: a.copy() for name, a in record.values.items()}
        net.theta[...] = 9
        x[...] = 9
        t[...] = 9
        for name, a in record.values.items():
            np.testing.assert_array_equal(a, before[name])
        step = record.steps[0]
        for thing, attribute in ((record, "loss"), (record, "steps"), (step, "why"), (step, "values")):
            with pytest.raises(FrozenInstanceError):
                setattr(thing, attribute, None)
        for mapping in (record.values, record.settings, step.values):
            with pytest.raises(TypeError):
                mapping["x"] = 1
        assert isinstance(record.steps, tuple)
        assert record == record
        assert record != trace(net, x, t, "half_squared_error")

    def test_no_warning_and_no_setting_of_numpy(self):
        before = np.geterr()
        net = fc.mlp([2, 2, 2], activation="exp", seed=0)
        net.theta[...] = 1e30
        record = trace(net, [[1, 1]], [[0, 0]], "half_squared_error", "adam")
        assert record.first_not_finite.name == "y1"
        assert np.geterr() == before


@pytest.fixture(scope="module")
def record():
    net = fc.mlp([2, 3, 2], activation="tanh", dtype="float64", seed=0)
    return trace(net, np.ones((4, 2)), np.zeros((4, 2)), "half_squared_error", "adam", l2=0.1)


class TestSteps:
    def test_order_and_numbers(self, record):
        assert [step.number for step in record.steps] == list(range(1, len(record.steps) + 1))
        phases = [step.phase for step in record.steps]
        assert [phase for phase, _ in itertools.groupby(phases)] == list(PHASES)
        assert {step.layer for step in record.steps} == {"dense_1", "dense_2", "loss", "x", "adam"}

    def test_a_batch_is_added_up_by_ones(self, record):
        equations = [str(step.equation) for step in record.steps]
        assert "dL/db2 = 1' dL/dy2" in equations
        assert "dE/dW1 = x' dL/dz1" in equations
        assert "dL/dW1 = dE/dW1 + l2 * W1" in equations

    def test_what_a_step_says_of_itself(self, record):
        for step in record.steps:
            assert step.why.endswith((".", "!"))
            assert step.name == step.equation.left.text
            assert set(step.operands) == {name.text for name in names_in(step.formula)}
            assert step.shapes[step.name] == step.result.shape
            assert step.finite
            assert (step.report is not None) == (step.phase == "check") == (step.entries is not None)

    def test_everything_is_given_or_computed_before_it_is_used(self, record):
        known = set(record.given)
        before = [step for step in record.steps if step.phase != "after"]
        for step in (*before, *record.again, *record.steps[len(before) :]):
            used = {name for name in names_in(step.formula) if not name.full.endswith((":left", ":right"))}
            assert used <= known
            known.add(step.equation.left)

    def test_a_sum_of_the_biases_gradient(self, record):
        dy = record.values[record.name("y2").gradient("L")]
        np.testing.assert_allclose(record.values[record.name("b2").gradient("L")], dy.sum(axis=0))

    def test_names(self, record):
        assert record.name("W1") == record.name("dense_1.W")
        assert record.name("dL:dense_1.W") == record.name("dL/dW1") != record.name("dE:dense_1.W")
        assert len({name.quantity for name in record.values}) == len(record.values)
        with pytest.raises(KeyError):
            record.name("W9")

    @pytest.mark.parametrize(("rule", "name"), [("sgd", "beta_norm1"), ("adam", "beta_norm1")])
    def test_a_beta_that_the_rule_has_too(self, rule, name):
        net = fc.Network([fc.Dense(2, 3), fc.LayerNorm()], seed=0)
        record = trace(net, [[1.0, 2.0]], [[0.0, 1.0, 2.0]], "half_squared_error", rule)
        assert f"y_norm1 = gamma_norm1 * n_norm1 + {name}" in [str(step.equation) for step in record.steps]

    def test_checked(self, record):
        assert record.ok
        assert len(record.reports) == 5
        assert record.first_not_finite is None

    def test_a_wrong_gradient_is_said(self, monkeypatch):
        def backward(self, z, c, y, dy):
            dy *= y

        monkeypatch.setattr(type(ACTIVATIONS.build("tanh")), "backward", backward)
        net = fc.mlp([2, 3, 2], activation="tanh", dtype="float64", seed=0)
        wrong = trace(net, np.ones((4, 2)), np.zeros((4, 2)), "half_squared_error")
        assert not wrong.ok
        said = {step.name: step.why for step in wrong.steps if step.phase == "check"}
        assert said["slope_W1"].startswith("dL/dW1 DISAGREES")
        assert said["slope_W2"].startswith("dL/dW2 agrees")
        # and its formula does not hold either
        assert next(step for step in wrong.steps if step.name == "dL/dz1").error > 1e-3

    def test_a_wrong_forward_does_not_hold(self, monkeypatch):
        def forward(self, z, c, y):
            c.xp.tanh(z, out=y)
            y *= 1.001

        monkeypatch.setattr(type(ACTIVATIONS.build("tanh")), "forward", forward)
        net = fc.mlp([2, 3, 2], activation="tanh", dtype="float64", seed=0)
        wrong = trace(net, np.ones((4, 2)), np.zeros((4, 2)), "half_squared_error")
        assert next(step for step in wrong.steps if step.name == "y1").error > 1e-4


# --- of a user's own --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch(fc.Layer):
    """Each column times a parameter of its own."""

    n_in: int
    name: ClassVar[str] = "stretch"

    @property
    def n_out(self):
        return self.n_in

    def params(self):
        return {"s": fc.Param((self.n_in,), decays=True)}

    def state(self):
        return {"seen": (1,)}

    def cache(self, rows):
        return {"product": (rows, self.n_in), "ones": np.ones(rows)}

    def initialize(self, p, rng):
        p.s = 2
        p.seen = 0

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, p.s, out=y)
        if train:
            p.seen += len(x)

    def backward(self, p, x, c, y, dy, g, dx):
        c.xp.multiply(dy, x, out=c.product)
        c.ones.dot(c.product, out=g.s)
        if dx is not None:
            c.xp.multiply(dy, p.s, out=dx)


class Snake(fc.ActivationFunction):
    """y = z + sin(z)^2."""

    name = "snake"
    needs_input = True

    def cache(self, rows, n):
        return {"a": (rows, n)}

    def forward(self, z, c, y):
        c.xp.sin(z, out=y)
        y *= y
        y += z

    def backward(self, z, c, y, dy):
        c.xp.multiply(z, 2, out=c.a)
        c.xp.sin(c.a, out=c.a)
        c.a += 1
        dy *= c.a


class LogCosh(fc.Loss):
    """Written with an error that is worked on in place, in another array than the gradient's."""

    name = "log_cosh"

    def terms(self, z, t, c, dz):
        c.xp.subtract(z, t, out=dz)
        error = c.xp.cosh(dz, out=c.e)
        error += 0
        c.xp.log(c.e, out=c.e)
        c.xp.tanh(dz, out=dz)


class Whole(fc.Loss):
    """With a ``value_and_gradient`` of its own, which knows no weights and no terms."""

    name = "whole"

    def value_and_gradient(self, z, t, c, dz):
        c.xp.subtract(z, t, out=dz)
        value = float((dz**2).sum() / 2)
        return value


@dataclass(frozen=True)
class AdaGrad(fc.Optimizer):
    """With slots whose names something else has, too."""

    lr: float = 0.1
    name: ClassVar[str] = "adagrad"
    slots: ClassVar[tuple[str, ...]] = ("g", "theta_new")

    def update(self, theta, g, s, c, *, lr, step, decays):
        c.xp.multiply(g, g, out=c.a)
        s.g += c.a
        c.xp.add(s.g, 1e-10, out=c.a)
        c.xp.sqrt(c.a, out=c.a)
        c.xp.divide(g, c.a, out=c.a)
        c.a *= lr
        theta -= c.a
        vars(s)["theta_new"][...] = theta


class Louder(fc.Dropout):
    """A layer of the library, made to do something else."""

    name = "louder"

    def forward(self, p, x, c, y, *, train):
        c.drops = False
        c.xp.multiply(x, 3, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            c.xp.multiply(dy, 3, out=dx)


class Twin(fc.Residual):
    """A block of one's own, made of the library's layers."""

    name = "twin"


@dataclass(frozen=True)
class Two(fc.Layer):
    """A layer that stands for two of the library's."""

    n_in: int
    n_out: int
    name: ClassVar[str] = "two"

    def steps(self):
        return (fc.Dense(self.n_in, 3, "gelu"), fc.Dense(3, self.n_out, "tanh"))


class Log(fc.ActivationFunction):
    """Called as a function that formulas know, and not that function."""

    name = "log"

    def forward(self, z, c, y):
        y[...] = 2 * z

    def backward(self, z, c, y, dy):
        dy *= 2


class Rows(fc.ActivationFunction):
    """Each entry minus its row's mean."""

    name = "rows"

    def forward(self, z, c, y):
        y[...] = z - z.mean(axis=1, keepdims=True)

    def backward(self, z, c, y, dy):
        dy -= dy.mean(axis=1, keepdims=True)


class TestOfOnesOwn:
    @pytest.mark.parametrize("train", [False, True])
    def test_layers_activations_losses_and_rules(self, train):
        layers = [
            fc.Dense(2, 3, Snake()),
            Stretch(3),
            fc.Residual([fc.Dense(3, 3, Snake()), Stretch(3)]),
            fc.Dense(3, 2),
        ]
        net = fc.Network(layers, dtype="float64", seed=0)
        x, t = np.random.default_rng(0).normal(size=(3, 2)), np.zeros((3, 2))
        before = net.state.copy()
        record = trace(net, x, t, LogCosh(), AdaGrad(), l2=0.1, train=train, sample_weight=[1, 2, 3])
        same(net, record, net.gradients(x, t, LogCosh(), 0.1, [1, 2, 3], train, 0))
        assert record.ok
        assert net.state.tobytes() == before.tobytes()
        opaque = {str(step.equation): step.why for step in record.steps if not step.known}
        assert opaque["y1 = snake(z1)"] == "The formula is not known: the numbers are those of the code."
        assert opaque["y_stretch1 = stretch(y1)"] == "The formula is not known: the numbers are those of the code."
        assert "dE/ds_stretch1 = stretch.backward(y1, y_stretch1, dL/dy_stretch1)" in opaque
        assert "e = log_cosh(y3, t)" in opaque
        assert "W1_new = adagrad(W1, dL/dW1)" in opaque
        assert "g_W1_new = adagrad.g(W1, dL/dW1)" in opaque
        assert all("those of the code" in why for why in opaque.values())
        assert all(np.isnan(step.error) for step in record.steps if not step.known)
        holds_where_known = [step for step in record.steps if step.known and step.phase != "check"]
        assert max(step.error for step in holds_where_known) < 1e-13
        fc.fit(
            net, x, t, LogCosh(), AdaGrad(), epochs=1, batch_size=3, shuffle=False, l2=0.1, sample_weight=[1, 2, 3],
            engine="numpy", progress=False,
        )  # fmt: skip
        assert updated(net, record).tobytes() == net.theta.tobytes()

    def test_a_pair_of_functions(self):
        net = fc.Network([fc.Dense(2, 3, (np.sin, np.cos)), fc.Dense(3, 2)], dtype="float64", seed=0)
        record = trace(net, np.ones((2, 2)), np.zeros((2, 2)), "half_squared_error")
        assert "y1 = function pair(z1)" in map(str, (step.equation for step in record.steps))
        assert record.ok

    def test_a_loss_with_weights_of_its_own(self):
        net = fc.Network([fc.Dense(2, 2)], dtype="float64", seed=0)
        record = trace(net, np.ones((3, 2)), np.zeros((3, 2)), Whole(), "sgd")
        same(net, record, net.gradients(np.ones((3, 2)), np.zeros((3, 2)), Whole()))
        assert not record.steps[1].known
        assert str(record.steps[1].equation) == "L = whole(y1, t)"
        assert record.ok

    @pytest.mark.parametrize(
        "layers",
        [
            [fc.Dense(2, 3, "tanh"), Louder(0.5), fc.Dense(3, 2)],
            [fc.Dense(2, 3, "tanh"), Twin([fc.Dense(3, 3, "gelu"), fc.Dense(3, 3, "relu")]), fc.Dense(3, 2)],
            [Two(2, 3), fc.Residual([Two(3, 3)]), Two(3, 2)],
            [fc.Dense(2, 3, Log()), fc.Dense(3, 2, Rows())],
        ],
        ids=["a derived layer", "a derived block", "a layer of layers", "activations"],
    )
    def test_derived_from_the_librarys(self, layers):
        net = fc.Network(layers, dtype="float64", seed=0)
        x, t = np.random.default_rng(0).normal(size=(3, 2)), np.zeros((3, 2))
        for train in (False, True):
            record = trace(net, x, t, "half_squared_error", "adam", train=train, l2=0.1)
            same(net, record, net.gradients(x, t, "half_squared_error", 0.1, train=train))
            assert record.ok
            assert max(step.error for step in record.steps if step.known and step.phase != "check") < 1e-13

    def test_the_end_of_a_block_that_is_no_sum(self, gated):
        x, t = np.random.default_rng(0).normal(size=(3, 2)), np.zeros((3, 1))
        record = trace(gated, x, t, "half_squared_error")
        same(gated, record, gated.gradients(x, t, "half_squared_error"))
        said = {str(step.equation) for step in record.steps}
        assert "y_gate1 = gate(y2, y1)" in said
        assert "dL/dy1 = dL/dz2 W2' + gate.backward(y2, y1, y_gate1, dL/dy_gate1)" in said
        assert max(step.error for step in record.steps if step.known and step.phase != "check") < 1e-13
        assert record.ok

    def test_a_formula_for_the_end_of_a_block_that_is_no_sum(self, gated, monkeypatch):
        gate = gated.program.operations[2].layer
        monkeypatch.setattr(LAYERS, "classes", {**LAYERS.classes, "gate": type(gate)})
        skip = Name("skip")
        made = Both([Line("y", X * skip, "A gate.")], [Line("dx", DY * skip, "The other factor.")], DY * X)
        monkeypatch.setitem(formulas.LAYERS, "gate", lambda *_: made)
        net = fc.Network(list(gated.layers), dtype="float64", seed=0)
        record = trace(net, np.random.default_rng(0).normal(size=(3, 2)), np.zeros((3, 1)), "half_squared_error")
        holds(record, 1e-13)
        assert "dL/dy1 = dL/dz2 W2' + dL/dy_gate1 * y2" in {str(step.equation) for step in record.steps}

    def test_a_backward_that_forgets_a_parameter_shows(self):
        class Forgets(Stretch):
            name = "forgets"

            def backward(self, p, x, c, y, dy, g, dx):
                c.xp.multiply(dy, p.s, out=dx)

        net = fc.Network([Forgets(2), fc.Dense(2, 2)], dtype="float64", seed=0)
        record = trace(net, np.ones((2, 2)), np.zeros((2, 2)), "half_squared_error", l2=0.1)
        assert np.isnan(record.values[record.name("dL/ds_forgets1")]).all()
        assert np.isnan(net.gradients(np.ones((2, 2)), np.zeros((2, 2)), "half_squared_error", 0.1).params[0].s).all()
        assert not record.ok


class TestAllThatIsRegisteredIsKnown:
    """What the library brings has a formula; a test of it is that none is opaque."""

    @pytest.mark.parametrize("activation", sorted(ACTIVATIONS.classes))
    def test_activations(self, activation):
        record = trace(network("dense", activation, "float64"), *problem("half_squared_error"), "half_squared_error")
        assert all(step.known for step in record.steps)

    @pytest.mark.parametrize("loss", sorted(LOSSES.classes))
    def test_losses_with_both_kinds_of_targets(self, loss):
        x, t = problem(loss)
        net = network("dense", "tanh", "float64")
        settings = LOSSES.build(loss), LOSSES.classes[loss].example(N_OUT)
        forms = [t, np.eye(N_OUT)[t]] if t.ndim == 1 else [t]
        for given, targets in itertools.product(settings, forms):
            for weights in (None, [1, 2, 3]):
                for rows in (1, 3):
                    w = None if weights is None else weights[:rows]
                    record = trace(net, x[:rows], targets[:rows], given, sample_weight=w)
                    holds(record, 1e-13)
                    same(net, record, net.gradients(x[:rows], targets[:rows], given, 0.0, w))

    def test_probabilities(self):
        net, p = network("dense", "tanh", "float64"), np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0.9, 0.05, 0.05]])
        record = trace(net, problem("half_squared_error")[0], p, "softmax_cross_entropy")
        holds(record, 1e-13)
        assert record.ok

    @pytest.mark.parametrize("rule", RULES)
    def test_rules(self, rule):
        record = trace(network("dense", "tanh", "float64"), *problem("half_squared_error"), "half_squared_error", rule)
        assert all(step.known for step in record.steps)
        assert [step for step in record.steps if step.phase == "update"]


class TestTheStory:
    """What the network says, what is wanted, how large the loss is, and what it is after the update."""

    @pytest.mark.parametrize("loss", sorted(LOSSES.classes))
    def test_of_every_loss(self, loss):
        net = network("dense", "tanh", "float64")
        x, t = problem(loss)
        record = trace(net, x, t, loss, "sgd", l2=0.1, sample_weight=[1, 2, 3])
        subject = LOSSES.build(loss)
        np.testing.assert_allclose(record.predicted, subject.predictions(net.predict(x)), rtol=1e-12)
        assert np.asarray(record.wanted).reshape(ROWS, -1).astype(float).tolist() == np.reshape(t, (ROWS, -1)).tolist()
        alone = [net.gradients(x[i : i + 1], t[i : i + 1], loss).loss for i in range(ROWS)]
        np.testing.assert_allclose(record.losses, alone, rtol=1e-12)

    @pytest.mark.parametrize("layer", sorted(LAYERS.classes))
    @pytest.mark.parametrize("train", [False, True])
    def test_the_loss_after_is_that_of_the_updated_network(self, layer, train):
        net = network(layer, "gelu", "float64")
        x, t = net.layers[0].example_rows(np.random.default_rng(0), ROWS), problem("half_squared_error")[1]
        record = trace(net, x, t, "half_squared_error", "adam", l2=0.1, train=train, seed=3)
        new = net.copy()
        new.theta = updated(net, record)
        assert record.loss_after == new.gradients(x, t, "half_squared_error", 0.1, train=train, seed=3).loss
        assert record.loss_after == record.values[record.name("L_new")] == record.steps[-1].result
        assert [step.phase for step in record.steps[-2:]] == ["after", "after"]
        assert {step.phase for step in record.again} == {"after"}
        repeated = {step.number: step for step in record.steps}
        for step in record.again:
            assert step.equation.left == replace(repeated[step.number].equation.left, new=True)
        holds(record, 1e-13)

    def test_without_an_update(self):
        record = trace(network("dense", "tanh", "float64"), *problem("half_squared_error"), "half_squared_error")
        assert record.loss_after is None
        assert record.again == ()

    def test_of_an_ensemble(self):
        members = fc.Members(4, [fc.Dense(2, 3, "relu"), fc.Dense(3, 3)])
        net = fc.Network([members], dtype="float64", seed=0)
        x, t = problem("softmax_cross_entropy")
        record = trace(net, x, t, "softmax_cross_entropy", "sgd")
        assert record.predicted.shape == (ROWS, 3)
        np.testing.assert_allclose(record.losses.mean(), record.loss)
        np.testing.assert_array_equal(record.wanted, t)

    def test_is_told_in_every_form(self):
        made = fc.explain(
            network("dense", "tanh", "float64"), *problem("half_squared_error"), "half_squared_error", fc.SGD(1e-3)
        )
        said = f"The loss was L = {shown(made.trace.loss)}; after the update it is smaller"
        for form in (made.to_text(), made.to_markdown(), made.to_python()):
            assert said in " ".join(form.split())
        loaded = json.loads(made.to_json())
        assert loaded["loss_after"] == made.trace.loss_after < loaded["loss"] == made.trace.loss
        assert loaded["predicted"] == made.trace.predicted.tolist()
        assert [step["number"] for step in loaded["again"]] == [step.number for step in made.trace.again]
        worse = trace(
            network("dense", "tanh", "float64"), *problem("half_squared_error"), "half_squared_error", fc.SGD(50.0)
        )
        assert "after the update it is not smaller" in losses(worse)


class TestInTheMiddleOfARun:
    """``state=``: the step that a run makes next, with the optimizer's memory and the masks of that step."""

    @pytest.mark.parametrize("rule", RULES)
    def test_bit_for_bit_the_next_step(self, rule):
        net = fc.Network(
            [fc.Dense(2, 5, "tanh"), fc.BatchNorm(), fc.Dropout(0.5), fc.Dense(5, 3)], dtype="float64", seed=0
        )
        x, t = problem("half_squared_error")
        data = check_data(net.program, net.dtype, x, t, "half_squared_error")
        optimizer = OPTIMIZERS.get(rule)
        task = Task(net.program, data, optimizer, l2=0.1, batch_size=ROWS)
        state = TrainingState(net.theta, net.state, 7, new_slots(optimizer, net.program, net.dtype), lr_factor=0.5)
        trainer = ENGINES.build("numpy").trainer(task, state)
        for _ in range(3):
            before = state.copied()
            record = trace(net, x, t, "half_squared_error", rule, l2=0.1, train=True, state=before)
            trainer.epoch(np.arange(ROWS))
            assert updated(net, record).tobytes() == state.theta.tobytes()
            assert record.ok
            holds(record, 1e-13)
        later = trace(fc.Network(net.layers, dtype="float64", seed=9), x, t, "half_squared_error", rule, l2=0.1,
                      train=True, state=before)  # fmt: skip
        assert later.loss == record.loss  # the state holds all of it
        assert "step 3" in later.settings["mode"]
        assert "This is step 3 of the optimizer" in note(later, "update")
        assert later.values[later.name("steps")] == 3

    def test_another_runs(self):
        net, x, t = fc.mlp([2, 3, 3], seed=0), *problem("half_squared_error")
        other = fc.mlp([2, 4, 3], seed=0)
        state = TrainingState(other.theta, other.state, 0, new_slots(fc.Adam(), other.program, other.dtype))
        with pytest.raises(errors.ConfigError, match="27 parameters, and 21 are needed"):
            trace(net, x, t, "half_squared_error", "adam", state=state)
        state = TrainingState(net.theta, net.state, 0, new_slots(fc.SGD(), net.program, net.dtype))
        with pytest.raises(errors.ConfigError, match="0 numbers of the optimizer's m, and 21 are needed"):
            trace(net, x, t, "half_squared_error", "adam", state=state)
        with pytest.raises(errors.ConfigError, match="has a seed, 0; got another one, seed=4"):
            trace(net, x, t, "half_squared_error", "sgd", state=state, seed=4)
        with pytest.raises(errors.InputTypeError, match="state is that of a run, a TrainingState; got"):
            trace(net, x, t, "half_squared_error", "sgd", state={})


class TestTrainingPaysNothing:
    def test_nothing_of_it_is_imported(self):
        code = (
            "import sys, numpy as np, fullyconnected as fc\n"
            "net = fc.mlp([2, 3, 1], seed=0)\n"
            "fc.fit(net, np.ones((4, 2)), np.ones((4, 1)), 'half_squared_error', epochs=2, progress=False)\n"
            "net.gradients(np.ones((4, 2)), np.ones((4, 1)), 'half_squared_error'); net.predict(np.ones((4, 2)))\n"
            "fc.check_gradients(net, np.ones((4, 2)), np.ones((4, 1)), 'half_squared_error')\n"
            "print([name for name in sys.modules if name.startswith('fullyconnected.expla')])"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert out.strip() == "[]"


class TestRefused:
    @pytest.mark.parametrize("step", [0, -0.1, np.nan, np.inf, 1e-20, 1e-300])
    def test_steps_that_move_nothing(self, step):
        net = fc.mlp([2, 2], dtype="float64", seed=0)
        with pytest.raises(errors.ConfigError, match=r"^step "):
            trace(net, [[1, 1]], [[0, 0]], "half_squared_error", step=step)

    def test_a_step_that_moves_too_far(self):
        net = fc.mlp([2, 2], dtype="float64", seed=0)
        record = trace(net, [[1, 1]], [[0, 0]], "half_squared_error", step=1e300)
        assert record.first_not_finite.phase == "check"
        assert all(report.ok for report in record.reports)
