"""Files that leave predict what the model does, wherever they run."""

import ctypes
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.exchange.graph import graph_of
from fullyconnected.exchange.leaving import leaving
from tests.exchange.networks import NETWORKS, rows_for
from tests.node import NODE, needs_node

COMPILER = next((each for each in ("cc", "gcc", "clang") if shutil.which(each)), None)
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]


needs_compiler = pytest.mark.skipif(COMPILER is None, reason="a C compiler is needed to run C")


def in_c(path, x, n_out):
    """Return what a file of C predicts, compiled without a warning, after its own test."""
    library = Path(path).with_suffix(".so")
    subprocess.run([COMPILER, *STRICT, "-O1", "-shared", "-fPIC", path, "-o", library, "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    assert loaded.fc_self_test() == 0
    predict, y = loaded.fc_predict, np.full((len(x), n_out), np.nan, np.float32)
    for row, result in zip(np.ascontiguousarray(x, np.float32), y, strict=True):
        predict(row.ctypes.data_as(ctypes.c_void_p), result.ctypes.data_as(ctypes.c_void_p))
    return y


def in_node(paths, rows):
    """Return what modules of JavaScript predict for the rows of each, after their own tests."""
    folder = Path(paths[0]).parent
    given = [[[None if np.isnan(a) else float(a) for a in row] for row in x] for x in rows]
    (folder / "rows.json").write_text(json.dumps(given), "utf-8")
    lines = ['import { readFileSync } from "node:fs";', 'const rows = JSON.parse(readFileSync("rows.json"));']
    for i, path in enumerate(paths):
        lines += [
            f'import * as m{i} from "./{Path(path).name}";',
            f"m{i}.selfTest();",
            f"console.log(JSON.stringify(rows[{i}].map((x) => m{i}.predict(x.map((a) => a ?? NaN)).map(String))));",
        ]
    (folder / "all.mjs").write_text("\n".join(lines), "utf-8")
    done = subprocess.run([NODE, "all.mjs"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    numbers = {"Infinity": np.inf, "-Infinity": -np.inf, "NaN": np.nan}
    return [
        np.array([[numbers.get(a, a) for a in row] for row in json.loads(line)], np.float64).reshape(len(x), -1)
        for line, x in zip(done.stdout.splitlines(), rows, strict=True)
    ]


def assert_near(found, wanted):
    """Assert that results are those of a model, up to what float32 loses."""
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0.0) <= 1e-5 * max(1, np.abs(wanted).max(initial=0.0))


class TestNetworks:
    @pytest.mark.parametrize("n", [0, 1, 7])
    def test_formulas_give_what_the_network_does(self, net, n):
        x = rows_for(net, n)
        found = graph_of(net, net.dtype.name).predict(x)
        wanted = net.predict(x)
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        if n:
            size = np.linalg.norm(wanted, axis=1).max() + 1e-30
            assert np.abs(found - wanted).max() <= (1e-5 if net.dtype == np.float32 else 1e-11) * size

    def test_python(self, net, tmp_path):
        fc.exchange.to_python(net, tmp_path / "net.py")
        predict = runpy.run_path(str(tmp_path / "net.py"))["predict"]
        for n in (0, 1, 7):
            x = rows_for(net, n, seed=5)
            assert_near(predict(x), net.predict(x))

    @needs_compiler
    @pytest.mark.parametrize("name", NETWORKS)
    def test_c(self, name, tmp_path):
        net = NETWORKS[name](dtype="float32")
        fc.exchange.to_c(net, tmp_path / "net.c")
        x = rows_for(net, 7, seed=5)
        assert_near(in_c(tmp_path / "net.c", x, net.n_out), net.predict(x))

    @needs_node
    def test_javascript(self, tmp_path):
        nets = [make(dtype=dtype) for make in NETWORKS.values() for dtype in ("float32", "float64")]
        paths = [tmp_path / f"net{i}.mjs" for i in range(len(nets))]
        rows = [rows_for(net, 7, seed=5) for net in nets]
        for net, path in zip(nets, paths, strict=True):
            fc.exchange.to_js(net, path)
        for net, x, found in zip(nets, rows, in_node(paths, rows), strict=True):
            assert_near(found, net.predict(x))


class TestEstimators:
    def results(self, estimator, n):
        """Return what an estimator predicts, with the probabilities of a classifier that has them."""
        rows = self.rows(estimator, n)
        if not hasattr(estimator, "classes_"):
            return rows, np.asarray(estimator.predict(rows)).reshape(n, -1)
        try:
            p = estimator.predict_proba(rows)
        except (AttributeError, fc.errors.ConfigError):
            return rows, estimator.network_.predict(rows)
        return rows, np.asarray(p)

    def rows(self, estimator, n):
        if hasattr(estimator, "vocabulary_"):
            from tests.exchange.conftest import table

            rows = table()[0].head(n).copy()
            rows.loc[1, "color"] = "a level that is new"
            rows.loc[2, "weight"] = np.nan
            return rows
        return (np.random.default_rng(3).normal(size=(n, 4)) * [1, 10, 100, 0.1] + 5).astype(np.float32)

    def test_every_format(self, estimator, tmp_path):
        rows, wanted = self.results(estimator, 7)
        x = np.asarray(rows)
        if hasattr(estimator, "vocabulary_"):
            from fullyconnected.tables.frame import frame_of

            x = estimator.vocabulary_.encode(frame_of(rows))
        x = x.astype(np.float32)
        for suffix in ("py", "mjs", "c"):
            fc.exchange.export(estimator, tmp_path / f"model.{suffix}")
        assert_near(runpy.run_path(str(tmp_path / "model.py"))["predict"](x), wanted)
        if COMPILER is not None:
            assert_near(in_c(tmp_path / "model.c", x, wanted.shape[1]), wanted)
        if NODE is not None:
            assert_near(in_node([tmp_path / "model.mjs"], [x])[0], wanted)

    def test_a_file_and_a_predictor_leave_as_the_estimator_does(self, estimator, tmp_path):
        estimator.save(path := tmp_path / "model.safetensors")
        for i, model in enumerate((estimator, path, str(path), fc.Predictor(path))):
            fc.exchange.to_c(model, tmp_path / f"{i}.c")
        texts = {(tmp_path / f"{i}.c").read_text("utf-8").replace(f"{i}.c", "") for i in range(4)}
        assert len(texts) == 1

    def test_classes_and_columns_are_named(self, tmp_path):
        pytest.importorskip("sklearn")
        rng = np.random.default_rng(0)
        table = {"length": rng.normal(size=60).tolist(), "kind": ["oak", "elm", "yew"] * 20}
        model = fc.TabularClassifier(epochs=2, hidden=(4,), n_members=2, random_state=0).fit(table, ["a", "b"] * 30)
        fc.exchange.to_python(model, tmp_path / "model.py")
        found = runpy.run_path(str(tmp_path / "model.py"))
        assert found["classes"] == ["a", "b"]
        assert "x[1]: kind: 0 is 'elm', 1 is 'oak', 2 is 'yew', -1 is any other" in found["__doc__"]
        assert "y[1]: the probability of class 'b'" in found["__doc__"]


@needs_node
def test_a_module_refuses_what_is_no_row(tmp_path):
    fc.exchange.to_js(fc.mlp([2, 3, 1], seed=0), tmp_path / "net.mjs")
    tries = ["[1]", "[1, 2, 3]", "undefined", "[1, NaN]", '[1, "2"]', "[1, null]", "[1, Infinity]"]
    lines = ['import { predict } from "./net.mjs";']
    lines += [
        f"try {{ predict({each}); console.log('taken'); }} catch (e) {{ console.log(e.name); }}" for each in tries
    ]
    (tmp_path / "tries.mjs").write_text("\n".join(lines), "utf-8")
    done = subprocess.run([NODE, "tries.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["TypeError"] * len(tries)


@needs_compiler
def test_the_self_test_of_c_finds_a_wrong_weight(tmp_path):
    fc.exchange.to_c(fc.mlp([2, 3, 1], seed=0), path := tmp_path / "net.c")
    text = path.read_text("utf-8")
    start = text.index("fc_b2[1]")
    path.write_text(text[:start] + text[start:].replace("0.0f", "0.001f", 1), "utf-8")
    for text_now, status in ((text, 0), (path.read_text("utf-8"), 1)):
        path.write_text(text_now, "utf-8")
        subprocess.run([COMPILER, *STRICT, "-DFC_MAIN", path, "-o", tmp_path / "net", "-lm"], check=True)
        assert subprocess.run([tmp_path / "net"], check=False).returncode == status


@needs_compiler
def test_two_models_in_one_program(tmp_path):
    """Each file is compiled with names of its own, as its comment says."""
    nets, x = {"door": fc.mlp([2, 3, 1], seed=0), "lamp": fc.mlp([2, 4, 2], seed=1)}, [[0.25, -0.5]]
    fc.exchange.to_c(nets["door"], tmp_path / "door.c")
    fc.exchange.to_c(nets["lamp"], tmp_path / "lamp.c", "int8", rows_for(nets["lamp"], 120))
    for name in nets:
        names = [f"-Dfc_predict={name}_predict", f"-Dfc_self_test={name}_self_test"]
        said = " ".join((tmp_path / f"{name}.c").read_text("utf-8").replace("\n *", "").split())
        assert " ".join(names).replace(name, "door") in said
        subprocess.run([COMPILER, *STRICT, *names, "-c", f"{name}.c", "-o", f"{name}.o"], cwd=tmp_path, check=True)
    lines = ["#include <stdio.h>"]
    lines += [f"void {n}_predict(const float *x, float *y);\nint {n}_self_test(void);" for n in nets]
    lines += ["int main(void) {", "    const float x[2] = {0.25f, -0.5f};", "    float y[3];"]
    lines += ["    door_predict(x, y);", "    lamp_predict(x, y + 1);"]
    lines += ['    printf("%.9g %.9g %.9g\\n", (double)y[0], (double)y[1], (double)y[2]);']
    lines += ["    return door_self_test() + lamp_self_test();", "}"]
    (tmp_path / "main.c").write_text("\n".join([*lines, ""]), "utf-8")
    subprocess.run([COMPILER, *STRICT, "main.c", "door.o", "lamp.o", "-o", "both", "-lm"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "both"], capture_output=True, text=True, check=True)
    found = np.array(done.stdout.split(), float)
    assert np.abs(found - np.concatenate([net.predict(x)[0] for net in nets.values()])).max() < 0.05


def test_a_script_needs_numpy_alone(tmp_path):
    fc.exchange.to_python(NETWORKS["deep"](), tmp_path / "net.py")
    found = "{each.split('.')[0] for each in sys.modules} & {'fullyconnected', 'safetensors', 'scipy'}"
    code = f"import runpy, sys; runpy.run_path('net.py'); print({found})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def in_every_language(model, folder, x, n_out):
    """Yield what files of a model predict for rows, after their own tests."""
    for suffix in ("py", "mjs", "c"):
        fc.exchange.export(model, folder / f"model.{suffix}")
    yield runpy.run_path(str(folder / "model.py"))["predict"](x)
    if NODE is not None:
        yield in_node([folder / "model.mjs"], [x])[0]
    if COMPILER is not None:
        yield in_c(folder / "model.c", x, n_out)


@pytest.mark.parametrize("seed", [21, 127])
def test_results_of_a_large_unit_that_are_near_0(seed, tmp_path):
    layers = [
        fc.Dense(6, 64, "relu"),
        fc.Dense(64, 64, "relu"),
        fc.Dense(64, 1),
        fc.Rescale(1, mean=[0.0], scale=[1e6]),
    ]
    net, x = fc.Network(layers, seed=seed), np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    for found in in_every_language(net, tmp_path, x, 1):
        assert_near(found, net.predict(x))


def test_a_saturated_network_is_as_right_as_float32_lets_it_be(tmp_path):
    net = fc.mlp([6, 16, 16, 3], activation="tanh", seed=0)
    net.theta[:] *= 1e3
    x = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    for found in in_every_language(net, tmp_path, x, 3):
        assert np.abs(found - net.predict(x)).max() <= 1e-3 * np.abs(net.predict(x)).max()


def test_what_is_no_code_is_unknown(tmp_path):
    net = fc.Network([fc.Embedding(3, 2)], seed=0)
    net.theta[-2:] = [5.0, 7.0]  # of unknown levels
    x = np.array([[0], [2], [-1], [0.5], [7]], np.float32)
    wanted = net.predict(x[:3])
    for found in in_every_language(net, tmp_path, x, 2):
        np.testing.assert_allclose(found[:3], wanted, rtol=1e-6)
        assert np.isin(found[3:], [0.0, 5.0, 7.0]).all()  # nothing of a level


def test_labels_too_large_for_a_number_of_javascript(tmp_path):
    pytest.importorskip("sklearn")
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    model = fc.MLPClassifier(max_iter=500, random_state=0, tol=1e-2).fit(x, np.where(x[:, 0] > 0, 2**53 + 1, 2**53))
    fc.exchange.to_js(model, tmp_path / "model.mjs")
    assert "classes = [9007199254740992n, 9007199254740993n]" in (tmp_path / "model.mjs").read_text("utf-8")


class TestResultsOfDifferentUnits:
    """A price in hundred thousands beside a rate in hundredths: each has to be right by itself."""

    def net(self):
        net = fc.Network([fc.Dense(3, 8, "tanh"), fc.Dense(8, 2), fc.Rescale(2, mean=[3e5, 0.05], scale=[1e5, 0.01])])
        net.theta[:] = np.random.default_rng(0).normal(size=net.n_params)
        return net

    @needs_compiler
    def test_c(self, tmp_path):
        fc.exchange.to_c(self.net(), path := tmp_path / "net.c")
        text = path.read_text("utf-8")
        assert in_c(path, rows_for(self.net(), 3), 2).shape == (3, 2)
        (other := tmp_path / "other.c").write_text(  # another name, since a library is loaded once
            text.replace("fabsf(y[j] - ", "fabsf((j == 1 ? 1.001f : 1.0f) * y[j] - "), "utf-8"
        )
        with pytest.raises(AssertionError):  # of its own test
            in_c(other, rows_for(self.net(), 3), 2)

    def test_python(self, tmp_path):
        fc.exchange.to_python(self.net(), path := tmp_path / "net.py")
        text = path.read_text("utf-8")
        assert "np.abs(predict(test_x) - test_y)" in text
        path.write_text(
            text.replace("np.abs(predict(test_x) - test_y)", "np.abs(predict(test_x) * [1, 1.001] - test_y)"), "utf-8"
        )
        with pytest.raises(AssertionError):
            runpy.run_path(str(path))

    @needs_node
    def test_javascript(self, tmp_path):
        fc.exchange.to_js(self.net(), path := tmp_path / "net.mjs")
        text = path.read_text("utf-8")
        path.write_text(text.replace("Math.abs(each - wanted)", "Math.abs(each * (j ? 1.001 : 1) - wanted)"), "utf-8")
        with pytest.raises(AssertionError, match="result 1"):
            in_node([path], [rows_for(self.net(), 3)])

    def test_what_is_written_is_held_to_it(self):
        vector = leaving(self.net()).vector
        vector.require(vector.y * np.float32(1 + 2e-6), "it")
        with pytest.raises(fc.errors.ConfigError, match="result 1"):
            vector.require(vector.y * np.array([1, 1.001], np.float32), "it")


class TestBadInput:
    def test_rows_of_another_width(self, tmp_path):
        fc.exchange.to_python(fc.mlp([2, 3, 1], seed=0), tmp_path / "net.py")
        predict = runpy.run_path(str(tmp_path / "net.py"))["predict"]
        for shape in ((3, 4), (2,), (3, 2, 2), (2, 1)):
            with pytest.raises(ValueError, match="rows"):
                predict(np.zeros(shape))

    @pytest.mark.parametrize("large", [1e20, np.inf, np.nan])
    def test_results_that_are_not_finite(self, large, tmp_path):
        net = fc.mlp([6, 16, 16, 3], seed=0)
        net.theta[:] = large
        with pytest.raises(fc.errors.ConfigError, match="not finite"):
            fc.exchange.to_c(net, tmp_path / "net.c")
        assert not any(tmp_path.iterdir())

    def test_a_suffix_that_says_nothing(self, tmp_path):
        for name in ("model", "model.onnxx", "model.txt"):
            with pytest.raises(fc.errors.ConfigError, match="suffix"):
                fc.exchange.export(fc.mlp([2, 1], seed=0), tmp_path / name)
        assert not any(tmp_path.iterdir())

    def test_what_is_no_model(self, tmp_path):
        for thing in (None, 3, [1], fc.Dense(2, 3), np.zeros(3), fc.Network, fc.MLPClassifier):
            with pytest.raises(fc.errors.InputTypeError, match="can leave"):
                fc.exchange.to_c(thing, tmp_path / "net.c")

    def test_a_model_is_not_replaced_by_itself(self, tmp_path):
        fc.mlp([2, 1], seed=0).save(path := tmp_path / "net.c")
        before = path.read_bytes()
        with pytest.raises(fc.errors.ConfigError, match="replace the model itself"):
            fc.exchange.to_c(path, path)
        assert path.read_bytes() == before

    def test_a_layer_without_a_formula(self, tmp_path):
        class Odd(fc.ActivationFunction):
            name, needs_input = "odd_one", True

            def forward(self, z, c, y):
                y[...] = z**3

            def backward(self, z, c, y, dy):
                dy *= 3 * z**2

        with pytest.raises(fc.errors.ConfigError, match=r"dense_1 has no formula.*Odd"):
            fc.exchange.to_js(fc.Network([fc.Dense(2, 3, Odd())], seed=0), tmp_path / "net.js")

    def test_constants_that_are_not_set(self, tmp_path):
        with pytest.raises(fc.errors.ConfigError, match="adapt"):
            fc.exchange.to_c(fc.Network([fc.Standardize(2), fc.Dense(2, 1)], seed=0), tmp_path / "net.c")

    def test_formulas_that_do_not_reproduce_the_network(self, tmp_path, monkeypatch):
        from fullyconnected.symbolic import formulas
        from fullyconnected.symbolic.formulas.lines import DY, Both, Line, X

        wrong = Both([Line("y", X * 1.001, "")], [Line("dx", DY, "")])
        monkeypatch.setitem(formulas.ACTIVATIONS, "relu", lambda _: wrong)
        (path := tmp_path / "net.c").write_text("what was there before", "utf-8")
        with pytest.raises(fc.errors.ConfigError, match=r"row 0 of the test vector, result 0 is"):
            fc.exchange.to_c(fc.mlp([4, 8, 3], activation="relu", seed=0), path)
        assert path.read_text("utf-8") == "what was there before"
        assert os.listdir(tmp_path) == ["net.c"]

    def test_a_script_that_would_be_wrong(self, tmp_path, monkeypatch):
        from fullyconnected.exchange.programs.numpy_script import Source

        monkeypatch.setitem(Source.forms, "tanh", ("np.sin({0})", 5))
        with pytest.raises(fc.errors.ConfigError, match=r"the script does not reproduce"):
            fc.exchange.to_python(fc.mlp([2, 4, 1], activation="tanh", seed=0), tmp_path / "net.py")
        assert not any(tmp_path.iterdir())

    def test_an_estimator_that_is_not_fitted(self, tmp_path):
        pytest.importorskip("sklearn")
        for model in (fc.MLPClassifier(), fc.TabularRegressor()):
            with pytest.raises(Exception, match="not fitted"):
                fc.exchange.to_c(model, tmp_path / "net.c")

    def test_a_file_that_holds_no_model(self, tmp_path):
        (path := tmp_path / "model.safetensors").write_bytes(b"not a model")
        with pytest.raises(fc.errors.FileFormatError):
            fc.exchange.to_c(path, tmp_path / "net.c")


class TestTheCommand:
    def test_it_writes_and_says_what(self, tmp_path, capsys):
        from fullyconnected.cli import main

        fc.mlp([2, 3, 1], seed=0).save(tmp_path / "net.safetensors")
        assert main(["export", str(tmp_path / "net.safetensors"), str(tmp_path / "net.py")]) == 0
        assert "a Python script" in capsys.readouterr().out
        assert (tmp_path / "net.py").read_text("utf-8").startswith('"""A network: 2 inputs, 1 output, 13 parameters.')

    @pytest.mark.parametrize("name", ["net.exe", "net", "no/such/folder/net.c", "net.safetensors"])
    def test_what_it_cannot_write(self, tmp_path, capsys, name):
        from fullyconnected.cli import main

        fc.mlp([2, 3, 1], seed=0).save(tmp_path / "net.safetensors")
        assert main(["export", str(tmp_path / "net.safetensors"), str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.startswith("fullyconnected: error: ")
        assert os.listdir(tmp_path) == ["net.safetensors"]


@pytest.mark.parametrize("path", [None, 3, b"net.c", object()], ids=lambda path: type(path).__name__)
def test_what_is_no_path_is_named(path):
    net = fc.mlp([2, 1], seed=0)
    writers = [fc.exchange.export, fc.exchange.to_c, fc.exchange.to_js, fc.exchange.to_python, fc.exchange.to_onnx]
    for write in writers:
        with pytest.raises(fc.errors.InputTypeError, match=f"by its path, .* got a {type(path).__name__}"):
            write(net, path)
