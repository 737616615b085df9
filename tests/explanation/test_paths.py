"""One number followed to the loss: its paths, their shares, and what they add up to."""

import json
import math
import re
from typing import ClassVar

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.explanation import explain, paths
from fullyconnected.symbolic.digits import shown
from fullyconnected.symbolic.expression import Number

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies


def focused(net, x, t, loss="half_squared_error", focus="W1[0,0]", **more):
    return explain(net, x, t, loss, focus=focus, **more).focus


def counted(focus):
    """Return how many paths a focus says there are."""
    if focus.summary.startswith("No path leads"):
        return 0
    if focus.summary.startswith("One path leads"):
        return 1
    return int(re.match(r"([\d,]+) paths lead", focus.summary)[1].replace(",", ""))


def slopes(path):
    """Return the slopes that stand in a path's product."""
    found, stack = [], [path.tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Number):
            found.append(node)
        else:
            stack += [node.left, node.right]
    return found


def product(path):
    """Return the share of a path, from the slopes that stand in it."""
    return math.prod(node.value for node in slopes(path))


@pytest.fixture
def everything(monkeypatch):
    """Show all paths, and follow all of them."""
    monkeypatch.setattr(paths, "SHOWN", 10**6)
    monkeypatch.setattr(paths, "BEAM", 10**6)


def add_up(explanation):
    """Hold the shares of all paths to the recorded gradient."""
    focus, record = explanation.focus, explanation.trace
    shares = [product(path) for path in focus.paths]
    gradient = float(record.values[focus.name.gradient("L")][focus.at])
    size = max(map(abs, shares), default=0)
    wrong = abs(sum(shares) - gradient) > 1e-9 * max(size, 1e-300)
    return counted(focus) == len(shares) and not (wrong and size), (len(shares), sum(shares), gradient)


class TestTheSharesAddUp:
    @pytest.mark.usefixtures("everything")
    def test_of_any_number_of_any_network(self, cases, examples):
        found, count = set(), 2 * examples(320)  # fewer do not meet every letter

        @hypothesis.settings(max_examples=count, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
        @hypothesis.given(cases(depth=3, width=3, rows=3, dtype="float64"), st.data())
        def check(case, data):
            names = [f"{tensor.name}{list(tensor.shape)}" for tensor in case.net().program.tensors]
            names.append(f"x{[case.rows, case.layers[0].n_in]}")
            parts = {}
            for name in names:
                parts.setdefault(name.partition("[")[0].rpartition(".")[2], []).append(name)
            for letter, alike in parts.items():
                name, shape = data.draw(st.sampled_from(alike)).split("[")
                at = [data.draw(st.integers(0, int(n) - 1)) for n in shape.rstrip("]").split(",")]
                focus = f"{name}[{','.join(map(str, at))}]"
                try:
                    explanation = case.explain(focus=focus)
                except MemoryError:
                    hypothesis.reject()
                holds, said = add_up(explanation)
                assert holds, (focus, said)
                found.add(letter)

        check()
        assert found == {"W", "b", "gamma", "beta", "s", "a", "w", "phi", "x"}

    @pytest.mark.usefixtures("everything")
    @pytest.mark.parametrize("train", [False, True])
    @pytest.mark.parametrize(
        "layer",
        [
            fc.Activation("softmax"),
            fc.LayerNorm(),
            fc.BatchNorm(),
            fc.Dropout(0.5),
            fc.Residual([fc.Dense(3, 3, "tanh"), fc.Residual([fc.LayerNorm(), fc.Dropout(0.3)])]),
            fc.Residual([fc.BatchNorm(), fc.Activation("softmax")]),
        ],
        ids=lambda layer: layer.name,
    )
    def test_through_layers_that_join_units_or_rows(self, layer, train):
        net = fc.Network([fc.Dense(2, 3, "tanh"), layer, fc.Dense(3, 2)], dtype="float64", seed=0)
        net.theta += np.random.default_rng(0).normal(0, 0.3, net.n_params)
        x, t = np.random.default_rng(1).normal(size=(3, 2)), np.zeros((3, 2))
        more = {"train": train, "seed": 5, "sample_weight": [1, 2, 4]}
        names = [f"{tensor.name}[{','.join('0' * len(tensor.shape))}]" for tensor in net.program.tensors]
        for focus in (*names, "x[0,0]", "x[2,1]"):
            holds, said = add_up(explain(net, x, t, "half_squared_error", focus=focus, **more))
            assert holds, (focus, said)

    @pytest.mark.usefixtures("everything")
    def test_l2_is_a_path_of_its_own(self):
        net = fc.mlp([2, 2], dtype="float64", seed=0)
        net.theta = [0.15, 0.20, 0.25, 0.30, 0.35, 0.45]
        explanation = explain(net, [[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error", l2=0.1, focus="W1[0,1]")
        assert [path.nodes for path in explanation.focus.paths] == [("W1[0,1]", "y1[0,1]", "L"), ("W1[0,1]", "L")]
        assert explanation.focus.paths[1].factors == ("l2", "W1[0,1]")
        assert add_up(explanation)[0]
        assert explanation.focus.rest == "Sum: (-0.037) + 0.02 = -0.017"
        assert len(focused(net, [[0.1, 0.5]], [[0.01, 0.99]], l2=0.1, focus="b1[1]").paths) == 1

    @pytest.mark.usefixtures("everything")
    @pytest.mark.parametrize("focus", ["dense_1.W[0,1]", "x[1,0]", "gated_2.dense_1.b[0]"])
    def test_past_the_end_of_a_block_that_is_no_sum(self, gated, focus):
        x, t = np.random.default_rng(0).normal(size=(2, 2)), np.zeros((2, 1))
        holds, said = add_up(explain(gated, x, t, "half_squared_error", focus=focus))
        assert holds, said

    @pytest.mark.usefixtures("everything")
    def test_of_ones_own(self):
        class Shuffled(fc.ActivationFunction):
            """Each entry gives what its neighbour got, so that no slope lies where a function's would."""

            name = "softmax"  # called as one of the library's

            def forward(self, z, c, y):
                y[...] = np.roll(z, 1, axis=1)

            def backward(self, z, c, y, dy):
                dy[...] = np.roll(dy, -1, axis=1)

        class Rows(Shuffled):
            name = "relu"

            def forward(self, z, c, y):
                y[...] = z - z.mean(axis=0)

            def backward(self, z, c, y, dy):
                dy -= dy.mean(axis=0)

        class Gain(fc.Layer):
            """One number, called as that of a norm is, that every unit is multiplied by."""

            name: ClassVar[str] = "dropout"
            n_in = n_out = 3

            def params(self):
                return {"gain": fc.Param((1,))}

            def initialize(self, p, rng):
                p.gain = 1.5

            def with_input_width(self, n_in):
                return self

            def forward(self, p, x, c, y, *, train):
                c.xp.multiply(x[:, ::-1], p.gain, out=y)

            def backward(self, p, x, c, y, dy, g, dx):
                g.gain = (x[:, ::-1] * dy).sum()
                if dx is not None:
                    dx[...] = dy[:, ::-1] * p.gain

        net = fc.Network(
            [fc.Dense(2, 3, Shuffled()), Gain(), fc.Dense(3, 3, Rows()), fc.Dense(3, 2)], dtype="float64", seed=0
        )
        x, t = np.random.default_rng(1).normal(size=(3, 2)), np.zeros((3, 2))
        for focus in ("W1[1,2]", "b1[0]", "dropout_1.gain[0]", "dense_2.W[0,1]", "x[1,1]"):
            explanation = explain(net, x, t, "half_squared_error", focus=focus)
            assert explanation.trace.ok
            holds, said = add_up(explanation)
            assert holds, (focus, said)


class TestHowManyThereAre:
    @pytest.mark.parametrize("rows", [1, 3])
    @pytest.mark.parametrize("widths", [[2, 3], [2, 3, 4], [3, 2, 5, 2], [2, 3, 3, 3, 3, 3, 3, 3, 2]])
    @pytest.mark.parametrize("activation", [None, "tanh"])
    def test_of_a_plain_network(self, widths, rows, activation):
        net = fc.mlp(widths, activation=activation, dtype="float64", seed=1)
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(rows, widths[0])), rng.normal(size=(rows, widths[-1]))
        assert counted(focused(net, x, t, focus="W1[0,1]")) == rows * math.prod(widths[2:])
        assert counted(focused(net, x, t, focus="b1[1]")) == rows * math.prod(widths[2:])
        assert counted(focused(net, x, t, focus="x[0,0]")) == math.prod(widths[1:])
        last = len(widths) - 1
        assert counted(focused(net, x, t, focus=f"dense_{last}.W[0,0]")) == rows

    def test_past_a_block_and_through_it(self):
        net = fc.Network([fc.Residual([fc.Dense(2, 2)]), fc.Residual([fc.Dense(2, 2)])], dtype="float64", seed=1)
        # one way past and two through, twice: x[0,0] reaches its own unit by 1 + 1 ways, the other by 1
        assert counted(focused(net, [[1, 2]], [[5, 5]], focus="x[0,0]")) == 9
        focus = focused(net, [[1, 2]], [[5, 5]], focus="x[0,0]")
        nodes = {path.nodes for path in focus.paths}
        assert len(nodes) == 9
        assert ("x[0,0]", "y_sum1[0,0]", "y_sum2[0,0]", "L") in nodes
        assert all(path.nodes[0] == "x[0,0]" and path.nodes[-1] == "L" for path in focus.paths)

    def test_relu_cuts_paths(self):
        net = fc.mlp([1, 4, 1], activation="relu", dtype="float64", seed=0)
        net.params[0].W = [[1.0, -1.0, 2.0, 0.0]]
        net.params[0].b = 0.0
        net.params[1].W = np.ones((4, 1))
        assert counted(focused(net, [[1.0]], [[0.0]], focus="x[0,0]")) == 2
        assert counted(focused(net, [[-1.0]], [[0.0]], focus="x[0,0]")) == 1
        dead = focused(net, [[1.0]], [[0.0]], focus="W1[0,1]")
        assert counted(dead) == 0
        assert not dead.paths
        assert dead.summary == "No path leads from W1[0,1] to L: each has a slope of 0 somewhere."
        text = explain(net, [[1.0]], [[0.0]], "half_squared_error", focus="W1[0,1]").to_text()
        assert "No path leads from W1[0,1] to L" in text

    def test_a_row_that_weighs_nothing(self):
        net = fc.mlp([1, 2], dtype="float64", seed=0)
        focus = focused(net, [[1.0], [2.0]], [[0.0, 0.0]] * 2, focus="W1[0,1]", sample_weight=[1, 0])
        assert [path.nodes for path in focus.paths] == [("W1[0,1]", "y1[0,1]", "L")]

    def test_dropped_units_cut_paths(self):
        net = fc.Network([fc.Dense(1, 8), fc.Dropout(0.5), fc.Dense(8, 1)], dtype="float64", seed=0)
        explanation = explain(net, [[1.0]], [[0.0]], "half_squared_error", train=True, seed=2, focus="x[0,0]")
        mask = explanation.trace.values[explanation.trace.name("dropout_1.m")]
        assert 0 < np.count_nonzero(mask) < 8
        assert counted(explanation.focus) == np.count_nonzero(mask)


class TestWhatIsShown:
    def test_slopes_in_float32_have_digits_of_float32(self):
        layers = [fc.Dense(2, 3, "softmax"), fc.LayerNorm(), fc.BatchNorm(), fc.Dense(3, 2)]
        net = fc.Network(layers, dtype="float32", seed=0)
        for train in (False, True):
            focus = focused(net, [[0.3, 0.7], [1, 2]], [[0, 1]] * 2, focus="dense_1.b[1]", train=train)
            found = [node for path in focus.paths for node in slopes(path)]
            assert [node.text for node in found] == [shown(np.float32(node.value)) for node in found]

    @pytest.mark.parametrize("activation", [*ACTIVATIONS.classes, (np.sin, np.cos)])
    def test_an_entry_alone_is_known_by_its_formula(self, activation):
        net = fc.Network([fc.Activation(activation, n_in=3)], dtype="float64", seed=0)
        focus = focused(net, [[0.3, 0.7, -0.1]], [[0, 1, 1]], focus="x[0,1]")
        assert len(focus.paths) == (3 if activation == "softmax" else 1)

    def test_of_seed_000(self):
        net = fc.mlp([2, 2], dtype="float64", seed=0)
        net.theta = [0.15, 0.20, 0.25, 0.30, 0.35, 0.45]
        explanation = explain(
            net, [[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error", fc.SGD(0.5), focus="dense_1.W[0,1]"
        )
        (path,) = explanation.focus.paths
        assert path.nodes == ("W1[0,1]", "y1[0,1]", "L")
        assert path.factors == ("x[0,0]", "dL/dy1[0,1]")
        assert (path.sign, path.result) == ("=", "-0.037")
        text = explanation.to_text()
        for part in (
            "PATHS of W1[0,1] to the loss",
            "One path leads from W1[0,1] to L.",
            "  W1[0,1] -> y1[0,1] -> L\n  = x[0,0] * dL/dy1[0,1]\n  = 0.1 * (-0.37) = -0.037\n",
            "y1[0,1] = 0.1 * 0.2 + 0.5 * 0.3 + 0.45 = 0.62",
            "dL/dW1[0,1] = 0.1 * (-0.37) = -0.037",
            "W1_new[0,1] = 0.2 - 0.5 * (-0.037) = 0.2185",
            "do not concern W1[0,1]",
        ):
            assert part in text
        for part in ("y1[0,0] =", "dL/dW1[0,0] =", "b1_new ="):
            assert part not in text
        markdown = explanation.to_markdown()
        assert "`W1[0,1] -> y1[0,1] -> L`" in markdown
        assert "do not concern W1" in markdown
        assert json.loads(explanation.to_json())["focus"]["paths"][0]["shown"] == "-0.037"

    def test_many_paths_are_left_out_openly(self):
        net = fc.mlp([3, 6, 6, 6, 2], activation="tanh", dtype="float64", seed=0)
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
        explanation = explain(net, x, t, "half_squared_error", focus="W1[0,0]")
        focus = explanation.focus
        assert counted(focus) == 4 * 6 * 6 * 2
        assert len(focus.paths) == paths.SHOWN
        found = re.fullmatch(
            r"These 12 paths have the largest products( of those followed)?, which add up to (\S+); "
            r"those of all others add up to (\S+)\.",
            focus.rest,
        )
        gradient = float(explanation.trace.values[focus.name.gradient("L")][focus.at])
        together = sum(product(path) for path in focus.paths)
        assert float(found[2]) == pytest.approx(together, rel=1e-7)
        assert float(found[3]) == pytest.approx(gradient - together, rel=1e-6)
        shares = [abs(product(path)) for path in focus.paths]
        assert shares == sorted(shares, reverse=True)
        assert focus.rest in " ".join(explanation.to_text().split())

    def test_the_largest_shares_are_those_shown(self, monkeypatch):
        net = fc.mlp([3, 4, 4, 2], activation="tanh", dtype="float64", seed=0)
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(2, 3)), rng.normal(size=(2, 2))
        some = focused(net, x, t)
        monkeypatch.setattr(paths, "SHOWN", 10**6)
        every = focused(net, x, t)
        assert len(every.paths) == 2 * 4 * 2 > len(some.paths)
        assert [path.nodes for path in every.paths[:12]] == [path.nodes for path in some.paths]

    def test_everything_that_moves_is_marked_also_where_paths_are_left_out(self):
        net = fc.mlp([2, 30, 30, 30, 2], activation="tanh", dtype="float64", seed=0)
        rng = np.random.default_rng(0)
        explanation = explain(
            net, rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), "half_squared_error", focus="W1[0,7]"
        )
        focus, wires = explanation.focus, explanation.trace.wires
        assert counted(focus) == 5 * 30 * 30 * 2
        for wire in wires:
            moved = np.zeros(explanation.trace.values[wire].shape, bool)
            moved[:, 7 if wire.index == "1" else slice(None)] = bool(wire.index)
            np.testing.assert_array_equal(focus.moved[wire], moved, err_msg=wire.text)

    def test_what_concerns_a_number(self):
        net = fc.Network(
            [fc.Dense(2, 3, "tanh"), fc.LayerNorm(), fc.BatchNorm(), fc.Dense(3, 2)], dtype="float64", seed=0
        )
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
        for train in (False, True):
            explanation = explain(net, x, t, "huber", "adam", train=train, focus="x[1,0]")
            focus = explanation.focus
            for step in explanation.trace.steps:
                concerns = focus.concerns(step)
                if step.equation.left.full == "x" or step.name in ("L", "z1", "y1"):
                    assert concerns
                if step.phase == "update" or step.name in ("dL/dW1", "dL/db1", "slope_W1", "slope_b1"):
                    assert not concerns
            rows = {step.name: focus.chosen(step) for step in explanation.trace.steps}
            assert rows["z1"]((1, 2))
            assert not rows["z1"]((0, 2))
            assert rows["y_norm2"]((0, 0)) == train  # the batch's mean carries it to other rows
            assert rows["r"]((0, 0)) == train

    def test_deep(self):
        net = fc.mlp([1] * 60, activation="tanh", dtype="float64", seed=0)
        net.theta[...] = 0.9
        focus = focused(net, [[1.0]], [[0.0]], focus="x[0,0]")
        assert counted(focus) == 1
        assert len(focus.paths[0].factors) == 59 * 2


class TestRefused:
    @pytest.fixture
    def say(self):
        net = fc.Network([fc.Dense(2, 3, "relu"), fc.LayerNorm(), fc.Dense(3, 2)], seed=0)

        def say(focus):
            with pytest.raises(errors.ConfigError) as caught:
                explain(net, [[1, 2]], [[0, 0]], "half_squared_error", "adam", focus=focus)
            return str(caught.value)

        return say

    LIST = (
        "There are: x(1, 2), dense_1.W(2, 3), dense_1.b(3,), layer_norm_1.gamma(3,), layer_norm_1.beta(3,), "
        "dense_2.W(3, 2), dense_2.b(2,)"
    )

    @pytest.mark.parametrize(
        "focus", ["W1", "", "[0,0]", "L", 5, b"W1[0,0]", ("W1", 0), "W1[0,0", "W1[[0,0]]", "W1 0 0", ["W1[0,0]"]]
    )
    def test_no_entry(self, say, focus):
        said = say(focus)
        assert said.startswith('focus is one number, such as "dense_1.W[0,1]"; got ')
        assert self.LIST in said

    @pytest.mark.parametrize(
        "focus",
        ["W9[0,0]", "dense_9.W[0,0]", "z1[0,0]", "y3[0,0]", "t[0,0]", "dL/dW1[0,0]", "lr[0]", "m_W1[0,0]", "1[0]",
         "w1[0,0]", "rate2[0]", "dense_1.W_new[0,0]", "W1_new[0,0]", "<b>[0]", "x" * 5000 + "[0]"],
    )  # fmt: skip
    def test_no_such_number(self, say, focus):
        said = say(focus)
        assert said.startswith("focus: there is no parameter or input '")
        assert self.LIST in said
        assert len(said) < 600

    @pytest.mark.parametrize(
        "place",
        ["0", "0,0,0", "2,0", "0,3", "-1,0", "", ",", "0,", "a,b", "--1,0", "1-1,0", "0 1,0", "0.0,1", "1e0,0", "²,0",
         "9" * 99 + ",0"],
    )  # fmt: skip
    def test_no_such_entry(self, say, place):
        assert say(f"dense_1.W[{place}]") == f"focus: dense_1.W has shape (2, 3), so there is no entry [{place}]"

    def test_rows_that_do_not_exist(self, say):
        assert say("x[1,0]") == "focus: x has shape (1, 2), so there is no entry [1,0]"

    @pytest.mark.parametrize("focus", ["W1[0,1]", "dense_1.W[0,1]", " dense_1.W [ 0 , 1 ] ", "W1[0,01]"])
    def test_all_the_ways_to_write_one(self, focus):
        net = fc.mlp([2, 3, 2], seed=0)
        found = explain(net, [[1, 2]], [[0, 0]], "half_squared_error", focus=focus).focus
        assert (str(found), found.at, found.name.full) == ("W1[0,1]", (0, 1), "dense_1.W")

    def test_too_much_to_follow(self):
        net = fc.Network([fc.Dense(2, 60), fc.LayerNorm(), fc.Dense(60, 2)], seed=0)
        with pytest.raises(
            errors.ConfigError, match=r"^focus: layer_norm_1 joins 2,400 numbers, too many to follow; give fewer rows$"
        ):
            explain(net, np.ones((40, 2)), np.zeros((40, 2)), "half_squared_error", focus="W1[0,0]")
