"""Text, LaTeX, MathML, NumPy and JSON say the same; and what stands beside a sign of equality is equal."""

import ast
import json
import re
from fractions import Fraction
from math import erfc, isqrt
from xml.etree import ElementTree

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.explanation import explain
from fullyconnected.symbolic.as_numpy import as_numpy
from fullyconnected.symbolic.digits import shown
from fullyconnected.symbolic.expression import Name, call, number, total, where
from fullyconnected.symbolic.latex import latex
from fullyconnected.symbolic.mathml import mathml
from fullyconnected.symbolic.text import text

hypothesis = pytest.importorskip("hypothesis")

MORE = re.compile(r"\(([\d,]+) more\)")
DIGITS = r"\d+(?:\.\d+)?"
BOUNDS = ("low", "high", "after", "until")  # of bins: numbers are compared to them, and some are infinite


# --- the signs of each notation, read one after the other: numbers without their minus, and minuses -------------------


def of_text(written):
    written = MORE.sub(lambda match: f" more{match[1]} ", written)
    found = re.findall(rf"more[\d,]+|(?<![\w.]){DIGITS}(?:e-?\d+)?(?![\w.])|NaN|inf|-", written)
    return [sign.replace(",", "") for sign in found]


def of_latex(written):
    written = (
        written.replace(r"\mathrm{NaN}", "NaN").replace(r"\infty", "inf").replace(r"\Phi", "").replace(r"\phi", "")
    )
    written = re.sub(rf"({DIGITS}) \\cdot 10\^\{{(-?\d+)\}}", r"\1e\2", written)
    return of_text(written)


def of_mathml(written):
    found = []

    def read(element):
        children = list(element)
        if [child.tag for child in children] == ["mn", "mo", "msup"] and children[1].text == "·":
            mantissa, base, exponent = children[0].text, *(child.text for child in children[2])
            if base == "10":
                found.append(f"{mantissa}e{exponent}")
                return
        if element.tag in ("mn", "mo", "mtext"):
            found.append(element.text)
        for child in children:
            read(child)

    read(ElementTree.fromstring(f"<math>{written}</math>"))
    return of_text(" ".join(found).replace("∞", "inf").replace("\u2212", "-"))


def structure(written):
    """Hold MathML to its own rules: which elements there are, and how many parts each has."""
    parts = {"msub": 2, "msup": 2, "mfrac": 2, "munder": 2, "msubsup": 3}
    for element in ElementTree.fromstring(f"<math>{written}</math>").iter():
        if element.tag in parts:
            assert len(element) == parts[element.tag], written
        if element.tag in ("mi", "mn", "mo", "mtext"):
            assert len(element) == 0
            assert element.text
        else:
            assert element.tag in {*parts, "math", "mrow", "msqrt", "mtable", "mtr", "mtd"}
            assert not (element.text or "").strip()
        assert not (element.tail or "").strip()


def balanced(written):
    depth = 0
    for sign in re.sub(r"\\[{}]", "", written):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0, written
    assert depth == 0, written
    assert written.count(r"\left") == written.count(r"\right"), written
    assert written.count(r"\begin") == written.count(r"\end")


# --- equality, worked out from the text alone -------------------------------------------------------------------------


def worth(written):
    """Return what the text of a right side is exactly, or None; knows nothing of the library."""
    if "..." in written or "NaN" in written or "inf" in written:
        return None
    written = re.sub(r"\|([^|]+)\|", r"abs(\1)", written).replace("^", "**")
    source = re.sub(rf"(?<![\w.])({DIGITS}(?:e-?\d+)?)", r"Fraction('\1')", written)

    def value(node):
        match node:
            case ast.Call(func=ast.Name(id="Fraction"), args=[ast.Constant(value=digits)]):
                return Fraction(digits)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = value(left), value(right)
                if a is None or b is None:
                    return None
                match op:
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Mult():
                        return a * b
                    case ast.Div():
                        return a / b if b else None
                    case ast.Pow():
                        return a**b if b.denominator == 1 else None
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                a = value(operand)
                return None if a is None else -a
            case ast.Call(func=ast.Name(id=function), args=args):
                found = [value(arg) for arg in args]
                if None in found:
                    return None
                match function, found:
                    case "max", _:
                        return max(found)
                    case "clip", (a, least, most):
                        return min(max(a, least), most)
                    case "abs", (a,):
                        return abs(a)
                    case "sign", (a,):
                        return Fraction((a > 0) - (a < 0))
                    case "exp", (a,) if a == 0:
                        return Fraction(1)
                    case "tanh", (a,) if a == 0:
                        return a
                    case "log", (a,) if a == 1:
                        return Fraction(0)
                    case "sqrt", (a,) if a >= 0:
                        top, bottom = isqrt(a.numerator), isqrt(a.denominator)
                        return Fraction(top, bottom) if Fraction(top, bottom) ** 2 == a else None
                return None
        raise AssertionError(ast.dump(node))

    return value(ast.parse(source.strip(), mode="eval").body)


def lines_hold(record):
    """Hold every worked entry of a JSON record to its sign; return how many stood beside each."""
    counts = {"=": 0, "~": 0}
    for step in record["steps"]:
        for line in step["worked"]:
            _, right = line["text"].split(" = ", 1)
            right, _, result = right.rpartition(f" {line['sign']} ")
            assert result == line["shown"]
            exactly = worth(right)
            is_equal = exactly is not None and result not in ("NaN", "inf", "-inf") and exactly == Fraction(result)
            assert is_equal == (line["sign"] == "="), line["text"]
            counts[line["sign"]] += 1
        if step["sign"] == "=" and step["formula"]["numpy"]:
            assert all(line["sign"] == "=" for line in step["worked"])
    return counts


def notations_agree(explanation):
    record = json.loads(explanation.to_json())
    whole_text = " ".join(explanation.to_text().split())
    markdown = explanation.to_markdown()
    for step in record["steps"]:
        formula = step["formula"]
        structure(formula["mathml"])
        balanced(formula["latex"])
        assert f"$$\n{formula['latex']}\n$$" in markdown
        assert " ".join(f"{step['number']} {step['layer']}: {formula['text']}".split()) in whole_text
        for line in step["worked"]:
            left, right = line["text"].split(" = ", 1)
            right, _, result = right.rpartition(f" {line['sign']} ")
            signs = of_text(right)
            assert signs == of_latex(line["latex"]), line
            assert signs == of_mathml(line["mathml"]), line
            assert result == line["shown"] == of_json(line["value"])
            structure(line["mathml"])
            balanced(line["latex"])
            assert line["text"] in whole_text
            assert line["latex"] in markdown
            assert re.fullmatch(re.escape(record["quantities"][step["result"]]["name"]) + r"(\[[\d,]+\])?", left)
            for element in ElementTree.fromstring(f"<math>{line['mathml']}</math>").iter():
                if "data-q" in element.attrib:
                    quantity, _, place = element.get("data-q").rstrip("]").partition("[")
                    value = record["quantities"][quantity]["values"]
                    for i in place.split(",") if place else ():
                        value = value[int(i)]
                    written = ElementTree.tostring(element, encoding="unicode")
                    if element.text in ("0", "1") and isinstance(value, int):
                        continue  # of a class number: whether it is this one
                    assert "".join(of_mathml(written)) == of_json(value), (quantity, place)
    for quantity in record["quantities"].values():
        structure(quantity["mathml"])
        balanced(quantity["latex"])
    return record


def of_json(value):
    return {"Infinity": "inf", "-Infinity": "-inf"}.get(value, value) if isinstance(value, str) else shown(value)


def columns(explanation):
    for line in explanation.to_text().splitlines():
        assert len(line) <= 80, line
        assert line == line.rstrip()
        assert "\u2212" not in line
        assert "\t" not in line


def test_any_network(cases, examples):
    counts = {"=": 0, "~": 0}

    @hypothesis.settings(max_examples=examples(60))
    @hypothesis.given(cases())
    def check(case):
        explanation = case.explain()
        columns(explanation)
        record = notations_agree(explanation)
        for sign, count in lines_hold(record).items():
            counts[sign] += count

    check()
    assert min(counts.values()) > examples(500)


def test_in_focus(cases, examples):
    st = hypothesis.strategies

    @hypothesis.settings(max_examples=examples(100))
    @hypothesis.given(cases(depth=3, width=3, rows=2), st.data())
    def check(case, data):
        record = case.trace()
        choices = [name for name in record.values if name.gradient("L") in record.values and not name.of]
        choices = [name for name in choices if name not in record.wires[1:]]
        name = data.draw(st.sampled_from(sorted(choices, key=str)))
        at = [data.draw(st.integers(0, n - 1)) for n in record.values[name].shape]
        explanation = case.explain(focus=f"{name.full}{at}")
        columns(explanation)
        found = json.loads(explanation.to_json())["focus"]
        markdown = explanation.to_markdown()
        balanced(markdown)
        for path in found["paths"]:
            result = worth(path["text"])
            equal = result is not None and result == Fraction(path["shown"])
            assert equal == (path["sign"] == "="), path
        assert found["quantity"] in markdown.replace("\\", "")

    check()


def test_numpy_source_gives_the_recorded_numbers(cases, examples):
    def normal(z):
        return (0.5 * np.vectorize(erfc, otypes=[float])(-np.asarray(z, float) / np.sqrt(2))).astype(z.dtype)

    helpers = {"np": np, "Phi": normal, "phi": lambda z: np.exp(-z * z / 2) / np.sqrt(2 * np.pi)}

    @hypothesis.settings(max_examples=examples(60))
    @hypothesis.given(cases())
    def check(case):
        for step in case.trace().steps:
            operands = {as_numpy(name): value for name, value in step.values.items()}
            left, _, right = step.equation.numpy.partition(" = ")
            assert left == as_numpy(step.equation.left)
            with np.errstate(all="ignore"):
                found = eval(right, {**helpers, **operands})
            numbers = [value for name, value in step.values.items() if name.letter not in BOUNDS]
            size = max(float(np.nanmax(np.abs(value), initial=1)) for value in numbers)
            tolerance = {"float64": 1e-12, "float32": 1e-5}[case.dtype] * (100 if step.phase == "check" else 1)
            np.testing.assert_allclose(
                found, step.result, rtol=0, atol=tolerance * size * 10, err_msg=str(step.equation)
            )

    check()


class TestColumns:
    def test_long_names_and_many_rows(self):
        class Long(fc.ActivationFunction):
            name = "an_activation_function_of_my_own_with_a_name_that_is_longer_than_any_line_of_eighty_columns"

            def forward(self, z, c, y):
                c.xp.copyto(y, z)

            def backward(self, z, c, y, dy):
                pass

        class LongLayer(fc.LayerNorm):
            name = Long.name * 2

            def params(self):
                return {"gain_of_" + "very_" * 20 + "many_words": fc.Param((self.width,), decays=True)}

            def initialize(self, p, rng):
                for _, view in p:
                    view[...] = 1

            def forward(self, p, x, c, y, *, train):
                c.xp.copyto(y, x)

            def backward(self, p, x, c, y, dy, g, dx):
                for _, view in g:
                    view[...] = 0
                c.xp.copyto(dx, dy)

        inner = fc.Residual([fc.Residual([fc.Dense(12, 12, Long()), LongLayer(n_in=12)])])
        net = fc.Network([fc.Dense(30, 12), inner, fc.Dense(12, 12)], seed=0)
        x, t = np.random.default_rng(0).normal(size=(40, 30)) * 1e-7, np.zeros((40, 12))
        for focus in (None, "x[39,29]", "dense_1.W[0,0]"):
            columns(explain(net, x, t, "half_squared_error", "adam", l2=0.1, focus=focus))
        long = next(op.name for op in net.program.operations if "very" in str(op.params))
        letter = "gain_of_" + "very_" * 20 + "many_words"
        columns(explain(net, x, t, "half_squared_error", "adam", focus=f"{long}.{letter}[3]"))

    def test_every_width_of_a_number(self):
        net = fc.mlp([3, 5, 2], activation="tanh", dtype="float64", seed=0)
        for scale in (1e-200, 1e-7, 1, 12345678.9, 1e100):
            net.theta[...] = np.random.default_rng(0).normal(size=net.n_params) * scale
            columns(explain(net, np.ones((2, 3)) / 3, np.ones((2, 2)) / 7, "half_squared_error", "adam"))


class TestSigns:
    """What a reader could take amiss."""

    a, b, c, dw = Name("a"), Name("b"), Name("c"), Name("W", "1", of="L")

    @pytest.mark.parametrize(
        ("formula", "wanted"),
        [
            (a - (b - c), "a - (b - c)"),
            (a - (b + c), "a - (b + c)"),
            (a + (b + c), "a + b + c"),
            (a + (b - c), "a + (b - c)"),
            (a / (b * c), "a / (b * c)"),
            (a / (b / c), "a / (b / c)"),
            (a * (b / c), "a * (b / c)"),
            (a * b * (b * c), "a * b * b * c"),
            (a * (b + c), "a * (b + c)"),
            ((a + b) ** 2, "(a + b)^2"),
            ((a * b) ** 2, "(a * b)^2"),
            ((a**2) ** 2, "(a^2)^2"),
            ((-a) ** 2, "(-a)^2"),
            (-(a**2), "-a^2"),
            (-(a + b), "-(a + b)"),
            (-a - b, "-a - b"),
            (a - -b, "a - (-b)"),
            (a * -b, "a * (-b)"),
            (-a * b, "-a * b"),
            (a @ b @ c, "a b c"),
            (a @ (b @ c), "a (b c)"),
            ((a + b) @ c, "(a + b) c"),
            (a.T @ b, "a' b"),
            ((a + b).T, "(a + b)'"),
            (a @ (b * c), "a (b * c)"),
            (dw**2, "(dL/dW1)^2"),
            (number(-0.37) ** 2, "(-0.37)^2"),
            (number(-0.37) * number(-0.5), "-0.37 * (-0.5)"),
            (number(1e-7) ** 2, "1e-7^2"),
            (call("expm1", a) * b, "(exp(a) - 1) * b"),
            (total(a) ** 2, "sum(a)^2"),
            (where(a > 0, a, -b), "(a if a > 0 else -b)"),
            (1 / (1 + call("exp", -a)), "1 / (1 + exp(-a))"),
        ],
    )
    def test_brackets(self, formula, wanted):
        assert text(formula) == wanted
        structure(mathml(formula))
        balanced(latex(formula))

    def test_text_and_numpy_mean_the_same(self):
        values = {"a": 0.3, "b": -1.7, "c": 2.9}
        a, b, c = self.a, self.b, self.c
        formulas = [a - (b - c), a / (b / c), a / (b * c), a * (b / c), (-a) ** 2, -(a**2), a - -b, a * -b, (a**2) ** 2]
        results = [
            0.3 - (-1.7 - 2.9),
            0.3 / (-1.7 / 2.9),
            0.3 / (-1.7 * 2.9),
            0.3 * (-1.7 / 2.9),
            0.09,
            -0.09,
            -1.4,
            0.51,
        ]
        for formula, result in zip(formulas, [*results, 0.0081], strict=True):
            assert eval(as_numpy(formula), dict(values)) == pytest.approx(result)
            assert eval(text(formula).replace("^", "**"), dict(values)) == pytest.approx(result)

    def test_a_power_of_ten_is_not_the_base_of_a_power(self):
        assert latex(number(1.5e-7) ** 2) == r"{\left(1.5 \cdot 10^{-7}\right)}^{2}"
        assert mathml(number(1.5e-7) ** 2).startswith("<msup><mrow><mo>(</mo>")
        assert latex(number(2) * number(1.5e-7)) == r"2 \cdot 1.5 \cdot 10^{-7}"

    def test_a_gradient_squared(self):
        assert latex(self.dw**2) == r"{\left(\frac{\partial L}{\partial W_{1}}\right)}^{2}"
        structure(mathml(self.dw**2))

    def test_names_of_more_than_a_letter_are_upright(self):
        assert latex(Name("v", "gain2")) == r"v_{\mathrm{gain2}}"
        assert latex(Name("a_b", "c_d", new=True)) == r"\mathrm{a\_b}_{\mathrm{c\_d}}^{\mathrm{new}}"


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "wanted"),
        [
            (0.1, "0.1"),
            (np.float32(0.1), "0.1"),
            (1 / 3, "0.33333333"),
            (np.float32(1 / 3), "0.33333334"),
            (123456789.0, "123456789"),
            (12345678.0, "12345678"),
            (123456789, "123456789"),
            (1e-5, "1e-5"),
            (0.0001, "0.0001"),
            (1e22, "1e22"),
            (-2.5e-300, "-2.5e-300"),
            (np.float32(1e-45), "1e-45"),
            (5e-324, "4.9406565e-324"),
            (-0.0, "0"),
            (np.True_, "1"),
            (float("nan"), "NaN"),
            (np.float32("inf"), "inf"),
            (-np.inf, "-inf"),
            (0.18364999999999998, "0.18365"),
            (np.int64(3), "3"),
            (np.array(2.5)[()], "2.5"),
        ],
    )
    def test_shown(self, value, wanted):
        assert shown(value) == wanted

    @hypothesis.given(hypothesis.strategies.floats(allow_nan=False, allow_infinity=False))
    def test_at_most_eight_digits_and_no_nearer_number(self, value):
        written = shown(value)
        digits = re.sub(r"e.*|[-.]", "", written).lstrip("0")
        assert len(digits) <= 8
        assert (
            abs(Fraction(written) - Fraction(value)) <= abs(Fraction(value)) * Fraction(1, 10**7) / 2
            or abs(value) < 1e-300
        )

    @hypothesis.given(hypothesis.strategies.floats(width=32, allow_nan=False, allow_infinity=False))
    def test_float32(self, value):
        written = shown(np.float32(value))
        assert abs(np.float32(written) - np.float32(value)) <= abs(np.float32(value)) * np.float32(1e-7) + np.float32(
            1e-44
        )
