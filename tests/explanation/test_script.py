"""The emitted script: in a process of its own, with NumPy alone, it computes every number again, and asserts."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.explanation import explain

hypothesis = pytest.importorskip("hypothesis")

RUNNING = Path(__file__).with_name("running.py")
AGREE = re.compile(r"([\d,]+) numbers were computed again, and agree")


def run(scripts, folder):
    """Run each script as a program without anything of the library, and return what each printed, or its error."""
    for i, script in enumerate(scripts):
        (folder / f"{i:04d}.py").write_text(script, encoding="utf-8")
    out = subprocess.run(
        [sys.executable, "-I", "-W", "error", RUNNING, folder],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert out.returncode == 0, out.stderr
    lines = [line.partition("\t")[2] for line in out.stdout.splitlines()]
    assert len(lines) == len(scripts)
    return lines


def numbers(record):
    """Return how many numbers a script of a record is to compute again."""
    found, loss_is_known = 0, all(step.known for step in record.steps if step.phase in ("forward", "loss"))
    for step in (*record.steps, *record.again):
        if step.phase == "check":
            found += len(step.entries) * (3 if loss_is_known else 1)
        elif step.known:
            found += step.result.size
    return found


def test_any_network(cases, tmp_path, examples):
    found = []

    @hypothesis.settings(max_examples=examples(150), phases=[hypothesis.Phase.generate])
    @hypothesis.given(cases())
    def collect(case):
        explanation = case.explain()
        found.append((case, explanation.trace, explanation.to_python()))

    collect()
    for (case, record, _), said in zip(found, run([script for _, _, script in found], tmp_path), strict=True):
        match = AGREE.fullmatch(said)
        assert match, (case, said)
        if record.first_not_finite is None:
            assert int(match[1].replace(",", "")) == numbers(record)


@pytest.fixture
def explanation():
    net = fc.Network([fc.Dense(2, 3, "tanh"), fc.LayerNorm(), fc.Dropout(0.3), fc.Dense(3, 2)], dtype="float64", seed=0)
    net.theta += np.random.default_rng(0).normal(0, 0.1, net.n_params)
    x, t = np.random.default_rng(1).normal(size=(3, 2)), [0, 1, 0]
    return explain(net, x, t, "softmax_cross_entropy", "adamw", l2=0.1, sample_weight=[1, 2, 3], train=True)


def test_alone_as_a_user_runs_it(explanation, tmp_path):
    path = tmp_path / "a worked example.py"
    path.write_text(explanation.to_python(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", path], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert AGREE.fullmatch(done.stdout.strip())
    assert not done.stderr
    # under -O there are no assertions to pass
    optimised = subprocess.run([sys.executable, "-O", path], capture_output=True, text=True, check=False)
    assert optimised.returncode != 0
    assert "agree" not in optimised.stdout


def test_nothing_but_numpy_and_the_standard_library_is_imported(explanation):
    imported = set()
    for node in ast.walk(ast.parse(explanation.to_python())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        assert not isinstance(node, ast.ImportFrom)
    assert imported <= {"numpy", "math", "base64"}
    assert "fullyconnected" not in re.sub(r"#.*", "", explanation.to_python())


class Altered(ast.NodeTransformer):
    """Alter one number of the script: the n-th of those that are recorded."""

    def __init__(self, n, by):
        self.n, self.by, self.met, self.what = n, by, -1, ""

    def number(self, node, what, size):
        self.met += 1
        if self.met != self.n:
            return node
        self.what = what
        return ast.Constant(node.value + self.by * size)

    def count(self, script):
        self.visit(ast.parse(script))
        return self.met + 1

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "check" and len(node.args) == 4:
            name, size = node.args[0].value, ast.literal_eval(node.args[3])
            inner, outer = node.args[2], self

            class Entries(ast.NodeTransformer):
                def visit_Constant(self, node):
                    return outer.number(node, name, size) if isinstance(node.value, float) else node

                def visit_UnaryOp(self, node):
                    return outer.number(ast.Constant(-node.operand.value), name, size)

            node.args[2] = Entries().visit(inner)
        return node

    def visit_For(self, node):
        if isinstance(node.iter, ast.List):  # the differences: entry, h, right, left, slope
            for row in node.iter.elts:
                for k in (2, 3, 4):
                    value = ast.literal_eval(row.elts[k])
                    row.elts[k] = self.number(ast.Constant(value), "a difference", max(1.0, abs(value)))
        return node


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_planted_errors(dtype, tmp_path):
    net = fc.Network([fc.Dense(2, 3, "gelu"), fc.BatchNorm(), fc.Dense(3, 2)], dtype=dtype, seed=0)
    net.theta += np.random.default_rng(0).normal(0, 0.1, net.n_params)
    x, t = np.random.default_rng(1).normal(size=(3, 2)), [0, 1, 0]
    made = explain(net, x, t, "softmax_cross_entropy", "momentum", l2=0.1, train=True)
    script, by = made.to_python(), {"float64": 1e-6, "float32": 1e-3}[dtype]
    assert Altered(-1, by).count(script) == numbers(made.trace)
    chosen = range({"float64": 0, "float32": 1}[dtype], numbers(made.trace), 4)
    altered = [Altered(n, by) for n in chosen]
    scripts = [script, *(ast.unparse(ast.fix_missing_locations(each.visit(ast.parse(script)))) for each in altered)]
    places = [each.what for each in altered]
    right, *wrong = run(scripts, tmp_path)
    assert AGREE.fullmatch(right)
    for what, said in zip(places, wrong, strict=True):
        assert said.startswith("AssertionError"), (what, said)
        assert "recorded" in said
        assert "computed" in said


def test_a_planted_error_in_what_is_given(tmp_path):
    net = fc.mlp([2, 2], dtype="float64", seed=0)
    net.theta = [0.15, 0.20, 0.25, 0.30, 0.35, 0.45]
    script = explain(net, [[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error", fc.SGD(0.5), step=0.01).to_python()
    given = script[script.index("# given") : script.index("# forward")]
    scripts = [script]
    for match in re.finditer(r"\d+\.\d+", given):
        altered = f"{given[: match.start()]}{float(match[0]) + 0.01!r}{given[match.end() :]}"
        scripts.append(script.replace(given, altered))
    right, *wrong = run(scripts, tmp_path)
    assert AGREE.fullmatch(right)
    assert len(wrong) == 13
    # the step h is written beside each difference, which is what counts
    assert [said for said in wrong if not said.startswith("AssertionError")] == [right]


def test_a_golden_script_reads_as_the_mathematics(tmp_path):
    net = fc.mlp([2, 2], dtype="float64", seed=0)
    net.theta = [0.15, 0.20, 0.25, 0.30, 0.35, 0.45]
    script = explain(net, [[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error", fc.SGD(0.5), step=0.01).to_python()
    for line in (
        "x = np.array([[0.1, 0.5]], 'float64')  # the input",
        "y1 = check('y1', x @ W1 + b1, np.array([[0.49, 0.62]], 'float64'), ",
        "dL_dW1 = check('dL/dW1', x.T @ dL_dy1, np.array([[0.048, -0.037], [0.24, -0.185]], 'float64'), ",
        "dL_db1 = check('dL/db1', ones.T @ dL_dy1, ",
        "W1_new = check('W1_new', W1 - lr * dL_dW1, ",
    ):
        assert f"\n{line}" in script
    compile(script, "script", "exec")


class TestLargeArrays:
    def test_as_bytes(self, tmp_path):
        net = fc.mlp([60, 40, 3], activation="relu", seed=0)
        rng = np.random.default_rng(0)
        made = explain(net, rng.normal(size=(70, 60)), rng.integers(0, 3, 70), "softmax_cross_entropy", "adam")
        script = made.to_python()
        assert "W1 = unpack('" in script
        assert "np.array([" in script  # small ones are still to be read
        (said,) = run([script], tmp_path)
        assert int(AGREE.fullmatch(said)[1].replace(",", "")) == numbers(made.trace)

    def test_a_planted_error_in_bytes(self, tmp_path):
        net = fc.mlp([60, 40, 3], activation="relu", dtype="float64", seed=0)
        rng = np.random.default_rng(0)
        made = explain(net, rng.normal(size=(30, 60)), rng.integers(0, 3, 30), "softmax_cross_entropy")
        script = made.to_python()
        at = script.index("z1 = check(")
        at = script.index("unpack('", at) + 100
        other = "A" if script[at] != "A" else "B"
        (said,) = run([script[:at] + other + script[at + 1 :]], tmp_path)
        assert said.startswith("AssertionError: z1: recorded")


class TestNotFinite:
    def test_it_is_compared_too(self, tmp_path):
        rng = np.random.default_rng(0)
        scripts = []
        for value in (np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-30):
            for layers in ([fc.Dense(2, 2, "exp"), fc.Dense(2, 2)], [fc.Dense(2, 2), fc.LayerNorm(), fc.Dense(2, 2)]):
                net = fc.Network(layers, seed=0)
                net.theta[0] = value
                made = explain(net, rng.normal(size=(2, 2)), [[0, 1], [1, 0]], "half_squared_error", "adam")
                scripts.append(made.to_python())
        for said in run(scripts, tmp_path):
            assert AGREE.fullmatch(said), said

    def test_what_is_finite_cannot_stand_for_what_is_not(self, tmp_path):
        net = fc.mlp([1, 2, 1], activation="exp", seed=0)
        net.params[0].W = [[100.0, 1.0]]
        script = explain(net, [[1]], [[0]], "half_squared_error").to_python()
        assert "y1 = check('y1', np.exp(z1), np.array([[inf, " in script
        right, wrong = run([script, script.replace("np.exp(z1)", "np.exp(z1 * [0, 1])")], tmp_path)
        assert AGREE.fullmatch(right)
        assert wrong.startswith("AssertionError: y1: recorded as not finite")

    def test_zero_times_infinity_is_what_a_product_makes_of_it(self, tmp_path):
        net = fc.mlp([2, 1, 2], activation="relu", dtype="float64", seed=0)
        net.params[0].W, net.params[0].b = -1.0, 0.0
        net.params[1].b = [1.0, 1000.0]
        made = explain(net, [[1, 1]], [[1, 1]], "poisson", "adam")
        dz = made.trace.values[made.trace.name("dL/dz2")]
        assert np.isinf(dz).tolist() == [[False, True]]
        (said,) = run([made.to_python()], tmp_path)
        assert AGREE.fullmatch(said), said


def test_a_layer_of_ones_own_is_not_computed_again(tmp_path):
    class Shift(fc.ActivationFunction):
        name = "shift by 1\nimport os"

        def forward(self, z, c, y):
            c.xp.add(z, 1, out=y)

        def backward(self, z, c, y, dy):
            pass

    net = fc.Network([fc.Dense(2, 3, Shift()), fc.Dense(3, 2)], dtype="float64", seed=0)
    made = explain(net, [[1, 2]], [[0, 1]], "half_squared_error", "sgd")
    script = made.to_python()
    assert "  # of dense_1, whose formula is not known: not computed again\n" in script
    assert "loss_of" not in script
    assert "import os" not in script
    (said,) = run([script], tmp_path)
    assert int(AGREE.fullmatch(said)[1]) == numbers(made.trace)
