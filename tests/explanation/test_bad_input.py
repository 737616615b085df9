"""What a user may bring: NaN, numbers out of all bounds, names of any signs, networks that are too large to show."""

import ast
import inspect
import itertools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from html import unescape
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.symbolic.mathml import mathml

NAMES = [
    "<b>x</b>",
    "<script>alert('1')</script>",
    "a \"quoted\" 'name'",
    "with spaces  and\ttabs",
    "lines\nof\r\ntext\x85and\u2028more\x0c",
    "import os\nos.abort()",
    '"""',
    "'''\\",
    "back\\slash \\frac{1}{2} \\",
    "$math$ $$ {} } { % # _ ^ & ~ &amp; &#60; ]]>",
    "`code` *bold* _it_ [link](x) | # -> ![i](y)",
    "größe 字 \u03b3 \U0001f600",
    "a\u202ereversed\x00null\x07bell\ud800surrogate",
    "lambda",
    "exp",
    "pick",
    "softplus",
    "onehot",
    "np",
    "L",
    "x",
    "dense_1",
    "e",
    "a:right",
    "a[0]",
    "x.y.z",
    "{0} {name} %s %(a)s",
    "",
    " ",
    "1",
    "very_" * 60 + "long",
]


def named(name):
    """Return a network, a loss and a rule in which everything that a user can name is called so."""

    class Scale(fc.Layer):
        n_in = n_out = 2

        def with_input_width(self, n_in):
            return self

        def params(self):
            return {name: fc.Param((2,), decays=True)}

        def state(self):
            return {f"{name} seen": (1,)}

        def initialize(self, p, rng):
            for _, view in p:
                view[...] = 1.5

        def forward(self, p, x, c, y, *, train):
            c.xp.multiply(x, getattr(p, name), out=y)

        def backward(self, p, x, c, y, dy, g, dx):
            getattr(g, name)[...] = (dy * x).sum(axis=0)
            if dx is not None:
                c.xp.multiply(dy, getattr(p, name), out=dx)

    class Double(fc.ActivationFunction):
        def forward(self, z, c, y):
            c.xp.multiply(z, 2, out=y)

        def backward(self, z, c, y, dy):
            dy *= 2

    class Squares(fc.Loss):
        def terms(self, z, t, c, dz):
            c.xp.subtract(z, t, out=dz)
            c.e[...] = dz**2 / 2

    @dataclass(frozen=True)
    class Rule(fc.Optimizer):
        lr: float = 0.1
        slots: ClassVar[tuple[str, ...]] = (name, "v")

        def update(self, theta, g, s, c, *, lr, step, decays):
            getattr(s, name)[...] += g
            theta -= lr * g

        def __repr__(self):
            return f"Rule({name})"

    for each in (Scale, Double, Squares, Rule):
        each.name = name
    Scale.name = name.replace(".", ":")  # the dot stands between a block and its layers
    layers = [fc.Dense(2, 2, Double()), fc.Residual([Scale()]), Scale(), fc.Dense(2, 2)]
    return fc.Network(layers, dtype="float64", seed=0), Squares(), Rule()


class TestNames:
    @pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
    def test_of_anything(self, name):
        net, loss, rule = named(name)
        x, t = [[1.0, 2.0], [3.0, -1.0]], np.zeros((2, 2))
        made = fc.explain(net, x, t, loss, rule, l2=0.1)
        record = made.trace
        assert record.ok
        g = net.gradients(x, t, loss, 0.1)
        gradients = [a for n, a in record.values.items() if n.of == "L" and n.gradient("E") in record.values]
        sizes = sorted(a.size for a in gradients)
        assert sizes == [2, 2, 4, 4]
        total = sum(float(np.abs(a).sum()) for a in gradients)
        biases = sum(float(np.abs(p.b).sum()) for p in (g.params[0], g.params[3]))
        assert total == pytest.approx(float(np.abs(g.theta).sum()) - biases)
        # no two things are called the same, in any notation
        for said in ("text", "identifier", "quantity"):
            known = [getattr(n, said) for n in record.values if not n.full.endswith((":left", ":right"))]
            assert len(set(known)) == len(known), said
        for n in record.values:
            assert n.letter == "1" or n.identifier.isidentifier()
        forms = {form: made.to(form) for form in ("text", "markdown", "html", "json", "python")}
        assert all(form.isascii() for form in forms.values())
        # text
        for line in forms["text"].splitlines():
            assert len(line) <= 80
            assert line.isprintable()
        # Markdown: nothing of a name is markup
        markdown = forms["markdown"]
        outside = re.sub(r"\$\$\n.*?\n\$\$", "", markdown, flags=re.S)
        assert "<" not in outside
        assert not re.search(r"(?<!\\)[`*_|\[\]]", re.sub(r"\*\*Not finite:\*\*", "", outside))
        for block in re.findall(r"\$\$\n(.*?)\n\$\$", markdown, re.S):
            assert not re.search(r"[<$\n#%~`]", block.replace(" & ", ""))
            assert re.sub(r"\\[{}]", "", block).count("{") == re.sub(r"\\[{}]", "", block).count("}")
        # JSON
        found = json.loads(forms["json"])
        assert len(found["quantities"]) == len({n.quantity for n in record.values})
        for step in found["steps"]:
            ElementTree.fromstring(f"<math>{step['formula']['mathml']}</math>")
        for n in record.values:
            ElementTree.fromstring(f"<math>{mathml(n)}</math>")
        # the script
        tree = ast.parse(forms["python"])
        assert {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names} <= {
            "base64", "math", "numpy",
        }  # fmt: skip

    def test_the_scripts_run(self, tmp_path):
        for i, name in enumerate(NAMES):
            net, loss, rule = named(name)
            made = fc.explain(net, [[1.0, 2.0], [3.0, -1.0]], np.zeros((2, 2)), loss, rule, l2=0.1)
            (tmp_path / f"{i:02d}.py").write_text(made.to_python(), encoding="utf-8")
            # known formulas around the layers of one's own
            net, _, _ = named(name)
            made = fc.explain(net, [[1.0, 2.0], [3.0, -1.0]], np.zeros((2, 2)), "huber", "adam", l2=0.1)
            (tmp_path / f"{i:02d} known.py").write_text(made.to_python(), encoding="utf-8")
        running = __file__.replace("test_bad_input", "running")
        out = subprocess.run(
            [sys.executable, "-I", "-W", "error", running, tmp_path], capture_output=True, text=True, check=True
        )
        lines = out.stdout.splitlines()
        assert len(lines) == 2 * len(NAMES)
        assert all(line.endswith(" numbers were computed again, and agree") for line in lines), lines

    @pytest.mark.parametrize("name", [n for n in NAMES if n], ids=str.isprintable)
    def test_can_be_followed(self, name):
        net, loss, rule = named(name)
        x, t = [[1.0, 2.0], [3.0, -1.0]], np.zeros((2, 2))
        record = fc.trace(net, x, t, loss, rule)
        own = [n for n in record.values if not n.of and not n.new and n.gradient("L") in record.values]
        own = [n for n in own if n.letter not in ("W", "b", "z", "y") and n.full != "x"]
        assert len(own) == 2
        for n in own:
            for said in (n.text, n.full):
                if said.strip() == said:
                    focus = fc.explain(net, x, t, loss, rule, focus=f"{said}[1]").focus
                    assert (focus.name, focus.at) == (n, (1,))

    def test_parameters_called_as_something_else_is(self):
        letters = (
            "x",
            "y",
            "z",
            "W",
            "W1",
            "beta",
            "l",
            "E",
            "v_W",
            "dL_dW",
            "W_new",
            "slope_W",
            "_",
            "L_right",
            "ones",
            "t",
        )

        class Many(fc.Layer):
            name = "many"
            n_in = n_out = 2

            def with_input_width(self, n_in):
                return self

            def params(self):
                return {letter: fc.Param((2,)) for letter in letters}

            def initialize(self, p, rng):
                for _, view in p:
                    view[...] = 1

            def forward(self, p, x, c, y, *, train):
                y[...] = x * sum(view for _, view in p)

            def backward(self, p, x, c, y, dy, g, dx):
                for _, view in g:
                    view[...] = (dy * x).sum(axis=0)
                if dx is not None:
                    dx[...] = dy * sum(view for _, view in p)

        layers = [Many(), *(fc.Dense(2, 2) for _ in range(10))]
        net = fc.Network(layers, dtype="float64", seed=0)
        made = fc.explain(net, [[1, 2]], [[0, 0]], "half_squared_error", "adamw", l2=0.1)
        record = made.trace
        assert record.ok
        names = [n for n in record.values if not n.full.endswith((":left", ":right"))]
        for said in ("text", "identifier", "quantity"):
            known = [getattr(n, said) for n in names]
            assert len(set(known)) == len(known), sorted(k for k in known if known.count(k) > 1)
        exec(compile(made.to_python(), "script", "exec"), {"__name__": "script", "print": len})
        g = net.gradients([[1, 2]], [[0, 0]], "half_squared_error", 0.1)
        for letter in letters:
            own = next(n for n in names if n.full.rstrip("_") == f"many_1.{letter}".rstrip("_") and not n.of)
            np.testing.assert_array_equal(record.values[own.gradient("L")], getattr(g.params[0], letter))

    def test_html_stays_text(self):
        net, loss, rule = named("<b>x</b>")
        made = fc.explain(net, [[1.0, 2.0]], [[0, 0]], loss, rule)
        for step in json.loads(made.to_json())["steps"]:
            assert "<b>" not in step["formula"]["mathml"]
        assert "<b>x</b>(z1)" in made.to_text()
        assert "y1 = <b>x</b>(z1)" in [str(step.equation) for step in made.trace.steps]
        assert "&lt;b&gt;x&lt;/b&gt;" in made.to_markdown()
        assert "<b>x</b>" in unescape(made.trace.steps[1].equation.mathml)


class TestNotFinite:
    def said(self, made, first):
        record = made.trace
        assert not record.ok
        assert record.first_not_finite.name == first
        number, layer = record.first_not_finite.number, record.first_not_finite.layer
        text = " ".join(made.to_text().split())
        assert f"NOT FINITE: step {number}, {first} of {layer}, is the first result to hold NaN or infinity" in text
        assert "NOT FINITE: this result holds NaN or infinity." in text
        assert "**Not finite:**" in made.to_markdown()
        found = json.loads(made.to_json())
        assert not found["ok"]
        assert [step["finite"] for step in found["steps"]].index(False) == number - 1
        exec(compile(made.to_python(), "script", "exec"), {"__name__": "script", "print": len})
        return text

    def test_exp_overflows_in_float32(self):
        net = fc.mlp([1, 2, 1], activation="exp", seed=0)
        net.params[0].W = [[100.0, 1.0]]
        text = self.said(fc.explain(net, [[1.0]], [[0.0]], "half_squared_error", "adam"), "y1")
        assert "y1[0,0] = exp(100) ~ inf" in text
        assert "from the start" not in text
        wide = fc.Network(net.layers, dtype="float64")
        wide.theta = net.theta
        assert fc.trace(wide, [[1.0]], [[0.0]], "half_squared_error").first_not_finite is None

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("loss", ["half_squared_error", "softmax_cross_entropy", "hinge", "poisson", "quantile"])
    def test_parameters(self, value, loss):
        net = fc.mlp([2, 3, 2], activation="relu", seed=0)
        net.params[1].W[1, 1] = value
        net.params[0].b = 1.0
        t = [1, 0] if loss in ("softmax_cross_entropy", "hinge") else [[0, 1], [1, 0]]
        last = "z2" if loss in ("softmax_cross_entropy", "poisson") else "y2"
        text = self.said(fc.explain(net, [[1, 2], [3, 4]], t, loss, "rmsprop", l2=0.1), last)
        assert {np.nan: "NaN", np.inf: "inf", -np.inf: "-inf"}[value] in text
        assert "is the first result to hold NaN or infinity; W2 held it from the start." in text

    def test_all_of_them(self):
        net = fc.Network([fc.Dense(2, 3, "gelu"), fc.LayerNorm(), fc.BatchNorm(), fc.Dense(3, 2)], seed=0)
        for value in (np.nan, np.inf):
            net.theta = np.full(net.n_params, value)
            for train in (False, True):
                self.said(
                    fc.explain(net, [[1, 2], [3, 4]], [[0, 1], [1, 0]], "half_squared_error", "adam", train=train), "z1"
                )

    def test_with_a_focus(self):
        net = fc.mlp([2, 3, 2], activation="tanh", seed=0)
        for value in (np.nan, np.inf):
            net.theta[0] = value
            made = fc.explain(net, [[1, 2], [3, 4]], [[0, 1], [1, 0]], "half_squared_error", "adam", focus="W1[0,0]")
            assert "NaN" in made.to_text()
            made.to_markdown()
            json.loads(made.to_json())

    def test_numbers_out_of_all_bounds(self):
        rules = itertools.cycle(["sgd", "adam", "rmsprop"])
        for scale in (1e-45, 1e-38, 1e-20, 1e18, 1e19, 3e38):
            net = fc.Network([fc.Dense(2, 3, "tanh"), fc.LayerNorm(), fc.Dense(3, 2, "silu"), fc.Dense(2, 2)], seed=0)
            net.theta[...] = np.random.default_rng(0).uniform(-1, 1, net.n_params) * scale
            for x in ([[1, 2]], [[1e-30, 1e-38]], [[1e30, -1e38]]):
                made = fc.explain(net, x, [[0, 1]], "half_squared_error", next(rules), l2=0.1)
                exec(compile(made.to_python(), "script", "exec"), {"__name__": "script", "print": len})
                assert all(len(line) <= 80 for line in made.to_text().splitlines())
                made.to_markdown()
                json.loads(made.to_json())

    def test_l2_overflows(self):
        net = fc.Network([fc.Dense(1, 1, bias=False)], seed=0)
        net.theta = [1e20]
        assert fc.trace(net, [[0.0]], [0.0], "half_squared_error", l2=0.1).first_not_finite.name == "L"

    def test_in_float64_too(self):
        for scale in (5e-324, 1e-300, 1e150, 1e300, 1.7e308):
            net = fc.mlp([2, 3, 2], activation="softplus", dtype="float64", seed=0)
            net.theta[...] = scale
            for x in ([[1, 2]], [[1e-320, 0]], [[1e300, -1e308]]):
                made = fc.explain(net, x, [[0, 1e300]], "half_squared_error", "adam", l2=0.1)
                exec(compile(made.to_python(), "script", "exec"), {"__name__": "script", "print": len})
                made.to_text()
                json.loads(made.to_json())


class TestRefused:
    """What cannot be explained is refused as training refuses it, and by the library's own errors."""

    @pytest.fixture
    def net(self):
        return fc.mlp([2, 3, 2], seed=0)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"x": np.ones((0, 2)), "t": np.ones((0, 2))}, errors.ShapeError, "x has no rows"),
            ({"x": [[1, 2, 3]]}, errors.ShapeError, r"x has shape \(1, 3\)"),
            ({"x": [1, 2]}, errors.ShapeError, "For a single row: x"),
            ({"x": [[1, np.nan]]}, errors.DataError, r"x\[0, 1\] is nan"),
            ({"x": [[1, np.inf]]}, errors.DataError, "x must be finite"),
            ({"x": [[1, 1e300]]}, errors.DataError, "too large for a network of float32"),
            ({"x": [["a", "b"]]}, errors.InputTypeError, "numbers are wanted"),
            ({"t": [[0, 1], [1, 0]]}, errors.ShapeError, "x has 1 rows and t has shape"),
            ({"t": [[0, 1, 2]]}, errors.ShapeError, "the network gives 2 outputs"),
            ({"t": [[0, np.nan]]}, errors.DataError, r"t\[0, 1\] is nan"),
            ({"loss": "halfsquarederror"}, errors.UnknownNameError, "did you mean 'half_squared_error'"),
            ({"loss": fc.HalfSquaredError}, errors.InputTypeError, "is a class; call it"),
            ({"loss": None}, errors.InputTypeError, "expected a loss"),
            ({"optimizer": "sdg"}, errors.UnknownNameError, "did you mean 'sgd'"),
            ({"optimizer": fc.SGD}, errors.InputTypeError, "is a class; call it"),
            ({"optimizer": 0.1}, errors.InputTypeError, "expected an optimizer"),
            ({"optimizer": "lbfgs"}, errors.ConfigError, r"give an optimizer such as fc.SGD\(0.1\)"),
            ({"optimizer": fc.LBFGS()}, errors.ConfigError, "give an optimizer"),
            ({"step": 0}, errors.ConfigError, "step must be more than 0"),
            ({"step": -0.01}, errors.ConfigError, "step must be more than 0"),
            ({"step": np.nan}, errors.ConfigError, "step must be more than 0"),
            ({"step": np.inf}, errors.ConfigError, "step must be more than 0"),
            ({"step": 1e-30}, errors.ConfigError, "step = 1e-30 is too small: it does not move W1"),
            ({"step": "small"}, errors.InputTypeError, "step is a number"),
            ({"l2": -1}, errors.ConfigError, "l2 must be 0 or more"),
            ({"l2": np.nan}, errors.ConfigError, "l2 must be 0 or more"),
            ({"sample_weight": [0]}, errors.DataError, "every sample_weight is zero"),
            ({"sample_weight": [-1]}, errors.DataError, "weights are 0 or more"),
            ({"sample_weight": [1, 1]}, errors.ShapeError, "sample_weight"),
            ({"seed": "zero"}, errors.InputTypeError, "seed is an int"),
            ({"seed": -1}, errors.ConfigError, "seed is from 0"),
        ],
    )
    def test_as_training_does(self, net, change, error, message):
        given = {"x": [[1.0, 2.0]], "t": [[0.0, 1.0]], "loss": "half_squared_error", **change}
        for call in (fc.trace, fc.explain):
            with pytest.raises(error, match=message):
                call(net, **given)

    @pytest.mark.parametrize("net", [None, fc.Dense(2, 2), fc.Network, "net", [fc.Dense(2, 2)]], ids=str)
    def test_no_network(self, net):
        for call in (fc.trace, fc.explain):
            with pytest.raises(errors.InputTypeError, match="a Network can be traced; got"):
                call(net, [[1, 2]], [[0, 1]], "half_squared_error")

    def test_an_output_that_the_loss_has_itself(self):
        net = fc.mlp([2, 2], output_activation="softmax", seed=0)
        with pytest.raises(errors.ConfigError, match="Remove the activation of the last layer"):
            fc.trace(net, [[1, 2]], [0], "softmax_cross_entropy")


class TestSizes:
    def test_one_number(self):
        net = fc.Network([fc.Dense(1, 1, bias=False)], dtype="float64", seed=0)
        net.theta = [3]
        made = fc.explain(net, [[2]], [5], "half_squared_error", fc.SGD(0.5))
        text = made.to_text()
        assert "y1[0,0] = 2 * 3 = 6" in text
        assert "W1_new[0,0] = 3 - 0.5 * 2 = 2" in text
        assert "One training step of a 1-1 network, worked out for 1 row" in text

    def test_no_parameters(self):
        net = fc.Network([fc.Activation("tanh", n_in=2), fc.Dropout(0.5)], dtype="float64")
        for train in (False, True):
            made = fc.explain(net, [[1, 2]], [[0, 0]], "half_squared_error", "adam", l2=0.1, train=train)
            assert made.trace.ok
            assert not [step for step in made.trace.steps if step.phase == "update"]
            exec(compile(made.to_python(), "script", "exec"), {"__name__": "script", "print": len})
            assert "agree with central differences" in " ".join(made.to_text().split())

    def test_inputs_of_more_dimensions(self):
        net = fc.mlp([4, 2], dtype="float64", seed=0)
        made = fc.explain(net, np.ones((3, 2, 2)), np.zeros((3, 2)), "half_squared_error", focus="x[2,3]")
        assert made.trace.values[made.trace.name("x")].shape == (3, 4)

    def test_integers_and_lists(self):
        net = fc.mlp([2, 2], dtype="float64", seed=0)
        for x in ([[1, 2]], np.array([[1, 2]], np.uint8), np.array([[True, False]])):
            assert fc.trace(net, x, [[0, 1]], "half_squared_error").ok

    def test_too_large_to_show(self, calls):
        rng = np.random.default_rng(0)
        net = fc.mlp([784, 64, 10], activation="relu", seed=0)
        x, t = rng.normal(size=(256, 784)), rng.integers(0, 10, 256)
        said = []

        def work():
            made = fc.explain(net, x, t, "softmax_cross_entropy", "adam")
            said.extend((made, made.to_text(), made.to_markdown(), made.to_json()))

        assert calls(work) < 10 * x.size  # 0.8 million; forms that showed every number would need more for x alone
        made, text, markdown, data = said
        assert len(text) < 100_000
        assert len(markdown) < 100_000
        assert len(data) < 1_000_000
        assert made.trace.ok
        # elided, and it says so: the shape, statistics, how many are not shown
        assert re.search(r"W1 [=~]\n? *\[.*\.\.\..*\]", text)
        W = made.trace.values[made.trace.name("W1")]
        flat = " ".join(text.split())
        assert f"784x64: 50,176 numbers from {W.min():.4g} to {W.max():.4g}, mean {W.mean():.4g}" in flat
        assert "and 16,380 more entries, computed in the same way" in flat
        assert "8 of 50,176 entries were compared." in flat
        assert "were compared with central differences, and agree" in flat
        assert re.search(r"\.\.\. \(779 more\)", flat)
        quantity = json.loads(data)["quantities"]["dense_1.W"]
        assert quantity["values"] is None
        assert quantity["shape"] == [784, 64]
        assert quantity["elided"].startswith("784x64: 50,176 numbers from ")
        for i, j, number in quantity["sample"]:
            assert np.float32(number) == W[i, j]

    def test_more_layers_than_calls_may_be_nested(self, calls):
        def explained(layers):
            net = fc.mlp([1] * (layers + 1), activation="tanh", dtype="float64", seed=0)
            net.theta[...] = 0.9
            made = fc.explain(net, [[1.0]], [[0.0]], "half_squared_error", "sgd", l2=0.01, focus="x[0,0]")
            assert made.trace.ok
            assert len(made.trace.steps) > 10 * layers
            for form in (made.to_text, made.to_markdown, made.to_json, made.to_python):
                assert form()

        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(len(inspect.stack(0)) + 90)
        try:
            explained(100)
        finally:
            sys.setrecursionlimit(limit)
        # twice as many layers take twice the work, and not the four times of a square
        assert calls(lambda: explained(24)) < 3 * calls(lambda: explained(12))

    def test_a_hundred_rows_of_a_batch_norm(self):
        net = fc.Network([fc.Dense(3, 4), fc.BatchNorm(), fc.Dense(4, 2)], seed=0)
        rng = np.random.default_rng(0)
        made = fc.explain(net, rng.normal(size=(100, 3)), rng.normal(size=(100, 2)), "huber", "adam", train=True)
        exec(compile(made.to_python(), "script", "exec"), {"__name__": "script", "print": len})
        assert made.trace.ok


@pytest.mark.parametrize("layers", [[fc.LayerNorm(n_in=3)], [fc.Residual([fc.Activation("tanh")], n_in=3)]])
def test_a_network_without_a_dense_layer_has_a_page_without_its_picture(layers):
    net, x = fc.Network(layers, dtype="float64", seed=0), np.eye(3)
    page = fc.explain(net, x, x, "huber", "sgd").to_html()
    assert 'id="network"' not in page
    assert 'id="graph"' in page
