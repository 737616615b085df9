"""``notation="Wx"``: samples are columns, and every number, formula and form is that of the record, transposed."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.explanation.columns import in_columns
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.recorder import trace
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.digits import shown
from fullyconnected.symbolic.evaluation import entry, evaluate, shape_of
from fullyconnected.symbolic.expression import Number, nodes_in
from fullyconnected.symbolic.turning import turned, turned_array, turned_index

hypothesis = pytest.importorskip("hypothesis")

RULES = sorted(name for name, cls in OPTIMIZERS.classes.items() if issubclass(cls, fc.Optimizer))
RUNNING = Path(__file__).with_name("running.py")
CLOSE = {"float64": 1e-13, "float32": 3e-6}


def scripts_agree(scripts, folder):
    for i, script in enumerate(scripts):
        (folder / f"{i:04d}.py").write_text(script, encoding="utf-8")
    out = subprocess.run(
        [sys.executable, "-I", "-W", "error", RUNNING, folder],
        capture_output=True, text=True, check=True, encoding="utf-8",
    ).stdout  # fmt: skip
    said = [line.partition("\t")[2] for line in out.splitlines()]
    assert len(said) == len(scripts)
    assert [line for line in said if not line.endswith("numbers were computed again, and agree")] == []


def holds(record: Trace, there: Trace) -> None:
    """Hold a turned record to the other, and to its own formulas."""
    assert list(there.values) == list(record.values)
    for name, array in record.values.items():
        classes = name.full == "t" and array.ndim == 1
        np.testing.assert_array_equal(there.values[name], array if classes else turned_array(array))
    known = {name.quantity: array for name, array in there.values.items()}
    for step, other in zip((*record.steps, *record.again), (*there.steps, *there.again), strict=True):
        assert (other.number, other.phase, other.layer, other.why) == (step.number, step.phase, step.layer, step.why)
        assert turned(other.formula) == step.formula
        if step.known:
            assert shape_of(other.formula, other.values) in (other.result.shape, ())
            bound = 1e-9 if step.phase == "check" else CLOSE[record.dtype]
            assert not other.error > max(bound, 2 * step.error), other.equation
            for at in list(step.entries or np.ndindex(step.result.shape))[:5]:  # an entry has the same numbers
                ours, theirs = (
                    [n for n in nodes_in(entry(each.formula, where, each.values)) if isinstance(n, Number)]
                    for each, where in ((step, at), (other, turned_index(at)))
                )
                assert Counter(n.text for n in ours) == Counter(n.text for n in theirs), (other.equation, at)
                for number in theirs:
                    name, _, place = number.quantity.partition("[")
                    if place:  # it is the entry that it is said to be
                        array = known[name]
                        assert shown(array[tuple(map(int, place[:-1].split(",")))]) == number.text or array.ndim == 1


def network(layer: str) -> fc.Network:
    cls = LAYERS.classes[layer]
    layers = [cls.example(3)]
    if not cls.comes_last:
        layers += [fc.Dense(int(layers[0].n_out), 4, "sigmoid"), fc.Dense(4, 3)]
    net = fc.Network(layers, dtype="float64", seed=0)
    net.theta += np.random.default_rng(1).normal(0, 0.1, net.n_params)
    return net


@pytest.mark.parametrize("train", [False, True])
def test_everything_that_is_registered(train, tmp_path, examples):
    rng, scripts = np.random.default_rng(0), []
    for i, layer in enumerate(sorted(LAYERS.classes)):
        every = [*LAYERS.classes[layer].examples(3)]
        # in training a layer does all that it can do; otherwise some of its settings are enough
        for number, example in enumerate(every if train else every[: examples(len(every))]):
            layers = [example]
            if not type(example).comes_last:
                layers += [fc.Dense(int(example.n_out), 3, "tanh")]
            net = fc.Network(layers, dtype="float64", seed=i)
            x, t = net.layers[0].example_rows(rng, 4), rng.normal(size=(4, net.n_out))
            rule = RULES[i % len(RULES)]
            made = fc.explain(net, x, t, "half_squared_error", rule, l2=0.1, train=train, notation="Wx")
            holds(made.trace.in_rows, made.trace)
            scripts.append(made.to_python())
            differs = any(op.layer.random or op.state for op in net.program.operations)
            if number < examples(len(every)) and (train or differs):  # the forms have all words of a layer once
                made.to_text()
                made.to_markdown()
                assert json.loads(made.to_json())["notation"] == "Wx"
    for name in ACTIVATIONS.classes if train else ():  # which are the same in both modes
        net = fc.mlp([2, 3, 2], activation=name, dtype="float64", seed=0)
        record = trace(net, rng.normal(size=(4, 2)), np.zeros((4, 2)), "half_squared_error", train=train)
        holds(record, in_columns(record))
    scripts_agree(scripts, tmp_path)


@pytest.mark.parametrize("loss", sorted(LOSSES.classes))
def test_every_loss(loss, tmp_path):
    rng, scripts = np.random.default_rng(0), []
    net = fc.mlp([2, 4, 3], dtype="float64", seed=0)
    for subject in (LOSSES.build(loss), LOSSES.classes[loss].example(3)):
        t = subject.example_targets(rng, 4, 3)
        for targets in [t, np.eye(3)[t]] if t.ndim == 1 else [t]:
            for weights in (None, [1, 2, 3, 4]):
                made = fc.explain(
                    net, rng.normal(size=(4, 2)), targets, subject, "sgd", sample_weight=weights, notation="Wx"
                )
                holds(made.trace.in_rows, made.trace)
                scripts.append(made.to_python())
    scripts_agree(scripts, tmp_path)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule(rule, tmp_path):
    members = fc.Members(2, [fc.Dense(3, 3, "relu"), fc.Dense(3, 2)])
    for i, layers in enumerate([[members], [fc.Dense(3, 5, "tanh"), fc.Dense(5, 2)]]):
        net = fc.Network(layers, dtype="float64", seed=0)
        made = fc.explain(net, np.ones((2, 3)), np.zeros((2, 2)), "half_squared_error", rule, l2=0.1, notation="Wx")
        holds(made.trace.in_rows, made.trace)
        (tmp_path / str(i)).mkdir()
        scripts_agree([made.to_python()], tmp_path / str(i))


def test_any_network(cases, examples, tmp_path):
    scripts = []

    @hypothesis.settings(max_examples=examples(40), phases=[hypothesis.Phase.generate])
    @hypothesis.given(cases())
    def check(case):
        made = case.explain(notation="Wx")
        holds(made.trace.in_rows, made.trace)
        scripts.append(made.to_python())

    check()
    scripts_agree(scripts, tmp_path)


def test_the_formulas_of_a_textbook():
    net = fc.mlp([2, 2], dtype="float64", seed=0)
    net.theta = [0.15, 0.20, 0.25, 0.30, 0.35, 0.45]
    made = fc.explain(net, [[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error", fc.SGD(0.5), notation="Wx")
    said = [str(step.equation) for step in made.trace.steps]
    for line in ("y1 = W1 x + b1", "dL/dW1 = dL/dy1 x'", "dL/db1 = dL/dy1 1", "dL/dx = W1' dL/dy1"):
        assert line in said
    assert made.trace.values[made.trace.name("W1")].tolist() == [[0.15, 0.25], [0.2, 0.3]]
    assert made.trace.predicted.shape == (2, 1)
    whole = made.to_text()
    assert "dL/dW1[0,1] = 0.48 * 0.5 = 0.24" in whole
    assert "layout: samples are columns: z = W x + b" in whole
    assert "z1 = W1 x + b1  z = x W + b" in whole
    assert "one column for each sample" in whole
    assert all(not array.flags.writeable for array in made.trace.values.values())


def test_paths_have_the_names_that_are_shown():
    net = fc.Network([fc.Dense(2, 3, "tanh"), fc.BatchNorm(), fc.Dense(3, 2)], dtype="float64", seed=0)
    x, t = np.random.default_rng(0).normal(size=(3, 2)), np.zeros((3, 2))
    rows = fc.explain(net, x, t, "half_squared_error", focus="W1[0,2]", train=True)
    columns = fc.explain(net, x, t, "half_squared_error", focus="W1[2,0]", train=True, notation="Wx")
    assert str(columns.focus) == "W1[2,0]"
    assert columns.focus.in_rows.at == rows.focus.at == (0, 2)
    for one, other in zip(rows.focus.paths, columns.focus.paths, strict=True):
        assert one.result == other.result
        for name, there in zip(one.nodes[:-1], other.nodes[:-1], strict=True):
            i, j = name.partition("[")[2].rstrip("]").split(",")
            assert there == f"{name.partition('[')[0]}[{j},{i}]"
    for step, other in zip(rows.trace.steps, columns.trace.steps, strict=True):
        assert rows.focus.concerns(step) == columns.focus.concerns(other), step.equation
    bias = fc.explain(net, x, t, "half_squared_error", focus="b1[2,0]", train=True, notation="Wx")
    assert bias.focus.in_rows.at == (2,)
    with pytest.raises(errors.ConfigError, match=r"dense_1.W has shape \(3, 2\), so there is no entry \[0,2\]"):
        fc.explain(net, x, t, "half_squared_error", focus="W1[0,2]", notation="Wx")


def test_another_notation_is_refused():
    with pytest.raises(errors.UnknownNameError, match="there is no notation 'wx'"):
        fc.explain(fc.mlp([2, 2], seed=0), [[1, 1]], [[0, 0]], "half_squared_error", notation="wx")


def test_turning_twice_changes_nothing():
    for table in (formulas.LAYERS,):
        for name in table:
            cls = LAYERS.classes.get(name)
            if cls is None:
                continue
            for layer in cls.examples(3):
                for line in (*formulas.forward(layer, train=True, rows=4), *formulas.backward(layer, train=True)):
                    assert turned(turned(line.formula)) == line.formula


def test_evaluation_of_a_turned_formula():
    net = network("layer_norm")
    record = trace(net, np.ones((2, 3)), np.zeros((2, 3)), "half_squared_error")
    there = in_columns(record)
    step = next(step for step in there.steps if step.name == "mean_norm1")
    np.testing.assert_array_equal(evaluate(step.formula, step.values), step.result)
    assert step.result.shape == (1, 2)
