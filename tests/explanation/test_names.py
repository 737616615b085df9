"""What a quantity is called: as in a textbook, with one name for each, which the pictures and every form have, too."""

import json
import re

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.explanation.naming import WORDS, wires
from fullyconnected.layers import LAYERS, PARTS
from fullyconnected.program.description import apart
from fullyconnected.program.program import Program


def named(layers, **activated):
    net = fc.Network(layers, seed=0)
    program = Program(net.layers, apart(net.program.operations))
    return [name.text for name in wires(program.operations, **activated)]


def test_dense_layers_are_counted_and_an_activation_belongs_to_its_layer():
    assert named([fc.Dense(2, 3, "tanh"), fc.Dense(3, 2)]) == ["x", "z1", "y1", "y2"]
    assert named([fc.Dense(2, 3), fc.Activation("tanh"), fc.Dense(3, 2)]) == ["x", "z1", "y1", "y2"]
    assert named([fc.Dense(2, 3), fc.BatchNorm(), fc.Activation("tanh")]) == ["x", "z1", "y_norm1", "y1"]
    assert named([fc.Dense(2, 3), fc.LayerNorm(), fc.Dense(3, 2)]) == ["x", "y1", "y_norm1", "y2"]
    assert named([fc.Activation("tanh", n_in=2), fc.Dense(2, 2, "relu")]) == ["x", "y_act1", "z1", "y1"]
    two = [fc.Dense(2, 3, "tanh"), fc.Activation("relu"), fc.Dropout(0.5), fc.Dropout(0.5)]
    assert named(two) == ["x", "z1", "y1", "y_act1", "y_drop1", "y_drop2"]


def test_the_input_of_an_activation_in_the_loss_is_z():
    assert named([fc.Dense(2, 3, "tanh"), fc.Dense(3, 2)], activated=True)[-1] == "z2"
    net, x = fc.mlp([2, 2], seed=0), [[1.0, 2.0]]
    for loss, t, said in (("softmax_cross_entropy", [1], "z1"), ("half_squared_error", [[0, 1]], "y1")):
        record = fc.trace(net, x, t, loss)
        assert record.wires[-1].text == said
        assert record.wires[-1].full == "dense_1.y"  # as the library calls what the layer gives


def test_a_block_is_counted_through_and_its_input_is_no_activation_of_one_layer():
    block = fc.Residual([fc.Dense(3, 3, "relu"), fc.Dense(3, 3)])
    found = named([fc.Dense(2, 3), block, fc.Activation("tanh"), fc.Dense(3, 1)])
    assert found == ["x", "y1", "z2", "y2", "y3", "y_sum1", "y_act1", "y4"]


def test_every_layer_has_a_word_and_no_two_quantities_the_same_name():
    dense = {"dense", "shared_dense", "own_dense"}
    names = {cls.name for cls in (*LAYERS.classes.values(), *PARTS.values())}
    assert set(WORDS) <= names
    for name in sorted(set(LAYERS.classes) - dense):
        cls = LAYERS.classes[name]
        for example in cls.examples(3):
            layers = [example] if cls.comes_last else [example, fc.Dense(int(example.n_out), 3, "tanh"), fc.LayerNorm()]
            net = fc.Network(layers, dtype="float64", seed=0)
            x = net.layers[0].example_rows(np.random.default_rng(0), 3)
            record = fc.trace(net, x, np.zeros((3, net.n_out)), "half_squared_error", "adam", l2=0.1, train=True)
            texts = [each.text for each in record.values if not each.full.endswith((":left", ":right"))]
            assert len(set(texts)) == len(texts)


@pytest.fixture(scope="module")
def made():
    net = fc.Network([fc.Dense(2, 12, "tanh"), fc.LayerNorm(), fc.Dropout(0.5), fc.Dense(12, 8)], seed=0)
    x = np.random.default_rng(0).normal(size=(2, 2))
    return fc.explain(net, x, np.zeros((2, 8)), "half_squared_error", "adam")


def test_both_names_are_accepted(made):
    record = made.trace
    assert record.name("W2") == record.name("dense_2.W")
    for focus in ("W2[0,1]", "dense_2.W[0,1]"):
        net = fc.mlp([2, 3, 2], seed=0)
        followed = fc.explain(net, [[1.0, 2.0]], [[0.0, 1.0]], "half_squared_error", focus=focus).focus
        assert followed.text == "W2[0,1]"


class TestNoNoise:
    def test_what_was_not_compared_is_not_shown_as_nan(self, made):
        assert made.trace.steps[0].entries is None
        partly = [step for step in made.trace.steps if step.entries and len(step.entries) < step.result.size]
        assert partly
        for form in ("text", "markdown", "json"):
            assert "NaN" not in made.to(form)
        quantities = json.loads(made.to_json())["quantities"]
        for step in partly:
            values = np.array(quantities[step.equation.left.quantity]["values"], object).ravel()
            assert sum(value is not None for value in values) == len(step.entries)

    def test_a_memory_of_zeros_is_told_in_one_sentence(self, made):
        text = " ".join(made.to_text().split())
        assert "The optimizer's memory, m and v of every parameter, is 0 before the first step." in text
        assert "m_W1 = [0" not in text
        assert "from 0 to 0, mean 0" not in text
        assert "m_W1_new[0,0] = 0.9 * 0 + " in text
        assert "m_W1 = np.zeros((2, 12), 'float32')" in made.to_python()

    def test_a_copy_is_not_worked_out(self, made):
        step = next(step for step in made.trace.steps if step.name == "y_drop1")
        assert str(step.equation) == "y_drop1 = y_norm1"
        assert not re.search(r"^ +\S+\[[\d,]+\] = (-?[\d.e-]+) [=~] \1$", made.to_text(), re.MULTILINE)
        assert " y_drop1[0,0] =" not in made.to_text()

    def test_mean_and_variance_are_steps(self, made):
        said = [str(step.equation) for step in made.trace.steps]
        assert "mean_norm1 = mean_j(y1)" in said
        assert "n_norm1 = (y1 - mean_norm1) * rate_norm1" in said
        assert "dL/dn_norm1 = dL/dy_norm1 * gamma_norm1" in said
        longest = max(len(line) for line in said)
        assert longest < 150

    def test_the_step_of_the_differences_and_the_optimizers_count_have_different_names(self, made):
        names = {name.text: name.full for name in made.trace.values}
        assert "h" not in names
        assert {"step", "steps"} <= set(names)
