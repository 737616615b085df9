"""The summary: what it says, and that nothing of it is lost at any width, in a notebook, or in a file."""

import copy
import html.parser
import pickle
import re
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.program.workspace import Workspace


@dataclass(frozen=True)
class Weird(fc.Layer):
    """A layer of the user's own, with a name that no table is ready for."""

    n_in: int
    about: str = "R & D <script>"
    n_out = property(lambda self: self.n_in)
    name = "<b>"

    def forward(self, p, x, c, y, *, train):
        c.xp.copyto(y, x)


@dataclass(frozen=True)
class Softshrink(fc.ActivationFunction):
    width: float = 0.5
    name = "softshrink"


class Quiet(fc.Dense):
    name = "quiet"


def deep(n):
    return fc.Network([fc.Dense(3, 4, "relu"), *[fc.Dense(4, 4, "relu")] * n, fc.Dense(4, 1)], seed=0)


def nested():
    inner = fc.Residual([fc.Dense(512, 512, "tanh")])
    block = fc.Residual([fc.LayerNorm(), inner, fc.Dense(512, 512, "selu", bias=False)])
    layers = [fc.Dense(784, 512, fc.ELU(0.5)), fc.Dropout(0.1), fc.BatchNorm(), block, fc.Activation("gelu")]
    return fc.Network([*layers, fc.Dense(512, 10)])


NETWORKS = {
    "one layer": lambda: fc.Network([fc.Dense(2, 1)]),
    "no parameters": lambda: fc.Network([fc.Dropout(0.5, n_in=3)]),
    "nested": nested,
    "200 layers": lambda: deep(200),
    "float64": lambda: fc.mlp([10_000, 1000, 3], dtype=np.float64),
    "own layer": lambda: fc.Network([Weird(3), fc.Dense(3, 2)]),
}


def row_of(text, name):
    """Return the cells of a layer's line, where the table is wide enough to have one."""
    (line,) = (line for line in text.splitlines() if line.startswith(name + " "))
    return re.split("  +", line)


class TestWhatItSays:
    def test_every_column(self):
        text = fc.mlp([784, 512, 10], seed=0).summary(100)
        assert row_of(text, "dense_1") == [
            "dense_1", "relu(x W + b)", "(rows, 512)", "401,408", "512", "1.53 MiB", f"{2 * 784 * 512 + 512:,}",
        ]  # fmt: skip
        assert row_of(text, "dense_2")[1:] == ["x W + b", "(rows, 10)", "5,120", "10", "20 KiB", "10,250"]
        assert row_of(text, "total")[1:] == ["406,528", "522", "1.55 MiB", "813,578"]
        assert "(rows, 784) -> (rows, 10), float32" in text
        assert "parameters: 407,050; l2 and weight decay shrink 406,528 weights, and leave 522 biases alone" in text

    def test_formulas(self):
        text = nested().summary(200)
        formulas = {row[0]: row[1] for row in (re.split("  +", line) for line in text.splitlines()) if len(row) == 7}
        assert formulas["dense_1"] == "elu(x W + b; alpha=0.5)"
        assert formulas["dropout_1"] == "m x, rate 0.1"
        assert formulas["residual_1.dense_1"] == "selu(x W)"
        assert formulas["residual_1.residual_1.add"] == formulas["residual_1.add"] == "x + F(x)"
        assert formulas["activation_1"] == "gelu(x)"
        assert formulas["batch_norm_1"] == "gamma (x - mean) / sqrt(variance + 1e-05) + beta, of each unit"
        assert formulas["residual_1.layer_norm_1"].endswith("of each row")
        line = row_of(fc.Network([fc.RMSNorm(n_in=8)]).summary(200), "rms_norm_1")
        assert line[1] == "gamma x / sqrt(mean(x^2) + 1e-06), of each row"
        assert line[3:] == ["0", "8", "32 B", "32"]

    @pytest.mark.parametrize(
        ("activation", "formula"),
        [
            (fc.LeakyReLU(), "leaky_relu(x W + b)"),
            (fc.LeakyReLU(0.2), "leaky_relu(x W + b; slope=0.2)"),
            ((np.tanh, np.cosh), "tanh(x W + b)"),
            ((lambda z: z, np.ones_like), "<lambda>(x W + b)"),
            (Softshrink(0.1), "softshrink(x W + b; width=0.1)"),
        ],
    )
    def test_activations(self, activation, formula):
        net = fc.Network([fc.Dense(2, 3, activation)])
        assert row_of(net.summary(120), "dense_1")[1] == formula

    def test_gamma_and_beta_count_where_decay_leaves_them_alone_and_statistics_are_not_trained(self):
        net = fc.Network([fc.Dense(4, 8, bias=False), fc.BatchNorm()])
        text = net.summary(120)
        assert row_of(text, "batch_norm_1")[3:6] == ["0", "16", "128 B"]
        assert "leave 16 biases (with gamma, beta) alone" in text
        assert "not trained: 16 running statistics" in text
        assert "not trained" not in fc.mlp([2, 1]).summary()

    def test_the_totals_are_those_of_the_network(self):
        for make in NETWORKS.values():
            net = make()
            decaying = sum(tensor.of(net.theta).size for tensor in net.program.tensors if tensor.param.decays)
            total = row_of(net.summary(500), "total")
            assert total[1:3] == [f"{decaying:,}", f"{net.n_params - decaying:,}"]

    def test_float64_takes_twice_the_memory(self):
        small, large = (fc.mlp([512, 256], dtype=dtype).summary(99) for dtype in (np.float32, np.float64))
        assert row_of(small, "dense_1")[5] == "513 KiB"
        assert row_of(large, "dense_1")[5] == "1 MiB"

    def test_a_layer_of_your_own(self):
        text = NETWORKS["own layer"]().summary(120)
        assert row_of(text, "<b>_1")[1:] == [
            "Weird(n_in=3, about='R & D <script>')", "(rows, 3)", "0", "0", "0 B", "-",
        ]  # fmt: skip
        assert row_of(text, "total")[-1] == "14"
        assert "-: not known" in text
        assert "-: " not in fc.mlp([2, 1]).summary()

    def test_a_layer_derived_from_one_of_ours_may_compute_something_else(self):
        row = row_of(fc.Network([Quiet(2, 3, "tanh")]).summary(200), "quiet_1")
        assert row[1].startswith("Quiet(")
        assert row[-1] == "-"

    def test_the_work_of_a_training_step(self):
        """A hand count: forward, the gradient of the parameters, and of the input, but for the first layer."""
        text = fc.Network([fc.Dense(5, 3, "relu"), fc.Residual([fc.Dense(3, 3)]), fc.Dense(3, 2)]).summary(99)
        forward = (30 + 3) + (18 + 3) + 3 + (12 + 2)
        backward = (30 + 3) + (18 + 3 + 18) + 3 + (12 + 2 + 12)
        assert row_of(text, "total")[-1] == str(forward)
        assert f"take {forward + backward} FLOPs" in text

    def test_the_memory_of_a_training_step_is_what_a_workspace_takes(self):
        class Free(fc.HalfSquaredError):
            name = "free"

            def buffers(self, rows, n_out):
                return {}

        for name in ("nested", "one layer", "no parameters", "float64"):
            net, rows = NETWORKS[name](), 100
            workspace = Workspace(net.program, net.theta, net.state, rows, loss=Free())
            arrays = [workspace.x, *workspace.y, *workspace.d, *workspace.d_skips.values()]
            arrays += [a for cache in workspace.caches for a in cache.values() if a.size % rows == 0]
            told, unit = re.search(r"FLOPs\s+and\s+(\S+)\s+(\S+)\s+a\s+row", net.summary()).groups()
            size = float(told.replace(",", "")) * {"B": 1, "KiB": 1024}[unit]
            assert sum(a.nbytes for a in arrays) / rows == pytest.approx(size, rel=0.01)


class TestAnyWidth:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_nothing_is_cut_and_no_line_is_longer_than_its_longest_word(self, name):
        net = NETWORKS[name]()
        wide = net.summary(100_000)
        words = re.findall(r"[\w<>]+", wide)
        pieces = re.findall(r"[^\s.]+\.?|\.\S+", wide)
        for width in (1, 2, 5, *range(10, 130, 1 if name != "200 layers" else 10), 300):
            text = net.summary(width)
            assert text.isascii()
            assert not any(line != line.rstrip() for line in text.splitlines())
            found = re.findall(r"[\w<>]+", text)
            assert set(words) - {"layer", "formula"} <= set(found)  # a list does without these two
            assert found.count("dense_1") == words.count("dense_1")
            dashes = [piece for piece in pieces if not set(piece) <= {"-"}]
            assert max(map(len, text.splitlines())) <= max(width, *map(len, dashes)), width

    def test_columns_where_there_is_room_else_a_list(self):
        net = nested()
        assert row_of(net.summary(79), "activation_1")[1] == "gelu(x)"
        assert "activation_1: gelu(x)\n  output: (rows, 512); weights: 0;" in net.summary(50)

    def test_wide_does_not_mean_stretched(self):
        assert max(map(len, fc.mlp([2, 1]).summary(300).splitlines())) < 110

    @pytest.mark.parametrize(
        ("width", "error", "message"),
        [
            (0, errors.ConfigError, "width must be 1 or more; got 0"),
            (-80, errors.ConfigError, "width must be 1 or more; got -80"),
            ("80", errors.InputTypeError, "width is a whole number; got '80'"),
            (80.0, errors.InputTypeError, "width is a whole number; got 80.0"),
            (True, errors.InputTypeError, "width is a whole number; got True"),
        ],
    )
    def test_a_width_that_cannot_be(self, width, error, message):
        with pytest.raises(error, match=message):
            fc.mlp([2, 1]).summary(width)

    def test_columns_of_the_environment(self, monkeypatch):
        net = nested()
        monkeypatch.setenv("COLUMNS", "40")
        assert net.summary() == net.summary(40)
        monkeypatch.delenv("COLUMNS")
        assert net.summary() == net.summary(80)

    def test_the_terminal(self, monkeypatch):
        monkeypatch.delenv("COLUMNS", raising=False)
        monkeypatch.setattr("shutil.get_terminal_size", lambda fallback: __import__("os").terminal_size((55, 20)))
        net = nested()
        assert net.summary() == net.summary(80)  # what is printed goes into a file or a notebook
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert net.summary() == net.summary(55)

    def test_a_program_without_a_console(self, monkeypatch):
        monkeypatch.delenv("COLUMNS", raising=False)
        monkeypatch.setattr("sys.stdout", None)
        net = fc.mlp([2, 1])
        assert net.summary() == net.summary(80)


class Shown(html.parser.HTMLParser):
    """What a browser makes of a table: its tags, and the text of each cell."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.cells, self.open = [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th"):
            self.cells[-1] += data


class TestInANotebook:
    def test_the_table(self):
        shown = Shown(fc.mlp([784, 512, 10]).summary()._repr_html_())
        assert shown.open == []
        tags = [tag for tag, _ in shown.tags]
        assert tags[:2] == ["table", "caption"]
        assert {attributes["scope"] for tag, attributes in shown.tags if tag == "th"} == {"row", "col"}
        assert all("style" not in attributes for _, attributes in shown.tags)
        assert "style" not in tags
        assert shown.cells[7:14] == ["dense_1", "relu(x W + b)", "(rows, 512)", "401,408", "512", "1.53 MiB", "803,328"]

    def test_what_users_name_is_escaped(self):
        shown = Shown(NETWORKS["own layer"]().summary()._repr_html_())
        assert {tag for tag, _ in shown.tags}.isdisjoint({"b", "script"})
        assert "<b>_1" in shown.cells
        assert "Weird(n_in=3, about='R & D <script>')" in shown.cells
        assert shown.cells.count("-") == 2  # the cell, and what it means

    def test_a_network_shows_it_too(self):
        net = nested()
        assert net._repr_html_() == net.summary()._repr_html_()
        assert repr(net).startswith("Network([")


def test_it_is_text(capsys):
    summary = fc.mlp([2, 1], seed=0).summary()
    assert isinstance(summary, str)
    print(summary)  # noqa: T201
    assert capsys.readouterr().out == f"{summary}\n" == repr(summary) + "\n"
    assert "\n".join(["a", summary]).startswith("a\nNetwork:")
    for again in (pickle.loads(pickle.dumps(summary)), copy.deepcopy(summary)):
        assert again == summary
        assert again._repr_html_() == summary._repr_html_()
