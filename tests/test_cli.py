"""The command line: from a table to predictions, what it prints, and that every mistake ends in one line."""

import csv
import errno
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from keyword import iskeyword
from types import ModuleType

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.assessment import stored
from fullyconnected.checking import proof
from fullyconnected.cli import COMMANDS, main
from fullyconnected.cli.console import print_result

datasets = pytest.importorskip("sklearn.datasets", reason="the tables are scikit-learn's")


def write(path, columns, rows, delimiter=",", encoding="utf-8"):
    with open(path, "w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(rows)
    return str(path)


def read(text):
    return list(csv.reader(text.splitlines()))


def table(name, path, labels=None, **how):
    data = getattr(datasets, f"load_{name}")()
    answers = data.target if labels is None else np.array(labels)[data.target]
    columns = [*(str(feature) for feature in data.feature_names), "target"]
    return write(path, columns, [[*map(repr, x.tolist()), y] for x, y in zip(data.data, answers, strict=True)], **how)


def error_of(capsys, *arguments):
    """The one line on standard error with which a command fails."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fullyconnected: error: ")
    assert captured.err.count("\n") == 1
    return captured.err.strip().removeprefix("fullyconnected: error: ")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


QUICK = ["--members", "2", "--hidden", "8", "--epochs", "6"]


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """A model of iris with its labels as text, and its table."""
    folder = tmp_path_factory.mktemp("iris")
    path = table("iris", folder / "iris.csv", ["setosa", "versicolor", "virginica"])
    assert main(["train", path, "--target", "target", "-o", str(folder / "iris.safetensors"), "--quiet", *QUICK]) == 0
    return str(folder / "iris.safetensors"), path


class TestCheck:
    @pytest.fixture(autouse=True)
    def _a_few(self, monkeypatch):
        """The whole proof is test_proof's; here every 97th network."""
        every = proof.cases
        monkeypatch.setattr(proof, "cases", lambda layers=None: itertools.islice(every(layers), 0, None, 97))

    def test_it_prints_the_proof(self, capsys):
        assert main(["check"]) == 0
        out = capsys.readouterr().out
        assert "networks proven" in out
        assert "batch_norm" in out

    def test_a_wrong_gradient_is_exit_status_1(self, capsys, monkeypatch):
        right = fc.Scale.backward  # of few networks, each of whose wrong gradients is looked into

        def backward(self, p, x, c, y, dy, g, dx):
            right(self, p, x, c, y, dy, g, dx)
            g.s *= 1.001

        monkeypatch.setattr(fc.Scale, "backward", backward)
        assert main(["check"]) == 1
        assert "WRONG" in capsys.readouterr().out

    def test_nothing_to_compare_is_exit_status_3(self, capsys, monkeypatch):
        monkeypatch.setattr(proof.Case, "check", lambda case: fc.check_gradients(*saturated(), "half_squared_error"))
        assert main(["check"]) == 3
        assert "unresolved" in capsys.readouterr().out

    def test_it_covers_what_a_module_of_yours_registers(self, tmp_path, capsys, monkeypatch):
        (tmp_path / "my_activations_for_check.py").write_text(
            "import numpy as np\nimport fullyconnected as fc\n\n"
            "@fc.register\nclass Square(fc.ActivationFunction):\n"
            "    name, needs_input = 'square', True\n"
            "    def forward(self, z, c, y):\n        np.multiply(z, z, out=y)\n"
            "    def backward(self, z, c, y, dy):\n        dy *= 2 * z\n",
            encoding="utf-8",
        )
        monkeypatch.setattr(sys, "path", [*sys.path])
        assert main(["check", "--import", "my_activations_for_check"]) == 0
        assert "square" in capsys.readouterr().out
        assert "no_such_module" in error_of(capsys, "check", "--import", "no_such_module")
        for path in ("./my_activations_for_check.py", "my_activations_for_check.py", ".check", "a/b", "", "my-module"):
            said = "this is a path, and the name of a module is wanted, such as package.module"
            assert error_of(capsys, "check", "--import", path) == f"--import {path}: {said}"


def command(*arguments):
    return [sys.executable, "-m", "fullyconnected", *arguments]


class TestAsAProgram:
    def test_version_and_help(self, capsys):
        out = subprocess.run(command("--version"), capture_output=True, text=True, check=True).stdout
        assert out.split() == ["fullyconnected", fc.__version__]  # in a window of 20 columns they are two lines
        for arguments in (["--help"], ["train", "--help"], ["predict", "--help"], ["check", "--help"]):
            with pytest.raises(SystemExit) as stop:
                main(arguments)
            assert stop.value.code == 0
            assert "usage: fullyconnected" in capsys.readouterr().out

    def test_an_error_is_one_line_and_status_2(self):
        done = subprocess.run(command("predict", "none", "none"), capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "fullyconnected: error: none: No such file or directory\n"

    def test_what_it_writes_is_utf_8_whatever_the_terminal_speaks(self, iris, tmp_path):
        write("t.csv", ["a", "y"], [[i, "猫" if i < 5 else "犬"] for i in range(10)])
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        train = command("train", "t.csv", "--target", "y", *QUICK)
        told = subprocess.run(train, capture_output=True, env=environment, check=True).stdout.decode()
        assert "classes: 犬, 猫" in told
        done = subprocess.run(command("predict", "model.safetensors", "t.csv"), capture_output=True, env=environment)
        assert done.returncode == 0
        assert set(done.stdout.decode().split()) <= {"prediction", "猫", "犬"}

    @pytest.mark.skipif(os.name != "posix", reason="pipes are closed otherwise here")
    def test_a_reader_that_has_seen_enough_is_no_error(self, iris, tmp_path):
        model, path = iris
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        many = write(tmp_path / "many.csv", header, rows * 100)
        running = subprocess.Popen(command("predict", model, many), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.stdout.close()
        assert running.stderr.read() == b""
        running.stderr.close()
        assert running.wait(30) == 1

    @pytest.mark.skipif(os.name != "posix", reason="there is no such signal here")
    def test_under_nohup_a_terminal_that_hangs_up_ends_nothing(self, iris):
        train = command("train", iris[1], "--target", "target", *QUICK)
        nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
        running = subprocess.Popen([*nohup, *train], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.stderr.readline()
        running.send_signal(signal.SIGHUP)
        assert b"saved to" in running.communicate()[0]
        assert running.returncode == 0

    @pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent otherwise here")
    @pytest.mark.usefixtures("signals")
    @pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGTERM"])
    def test_ctrl_c_saves_the_best_weights_so_far_and_so_does_a_terminal_that_hangs_up(self, name, iris, tmp_path):
        number = getattr(signal, name)
        options = [*QUICK, "--epochs", "1000000"]
        running = subprocess.Popen(
            command("train", iris[1], "--target", "target", *options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in running.stderr:
            if line.startswith("epoch 16/"):
                running.send_signal(number)
                break
        assert "are saved" in running.stderr.read().splitlines()[-1]
        running.stderr.close()
        assert running.wait(30) == 130
        estimator = fc.load_estimator(tmp_path / "model.safetensors")
        assert estimator.report_.interrupted
        assert estimator.predict_proba(dict.fromkeys(estimator.feature_names_in_, 1.0)).shape == (1, 3)

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            ("fullyconnected.cli.train.read", "interrupted"),
            (
                "fullyconnected.core.order.epoch_order",
                "interrupted before the first epoch was complete; nothing",
            ),
        ],
    )
    def test_ctrl_c_before_there_is_an_epoch_saves_nothing(self, iris, capsys, monkeypatch, where, message):
        def interrupted(*arguments, **settings):
            raise KeyboardInterrupt

        monkeypatch.setattr(where, interrupted)
        assert main(["train", iris[1], "--target", "target", "-q", *QUICK]) == 130
        assert capsys.readouterr().err.startswith(f"fullyconnected: {message}")
        assert not os.path.exists("model.safetensors")

    def test_the_package_does_not_load_the_command(self):
        code = "import sys, fullyconnected; print(*[n for n in sys.modules if n.endswith(('cli', 'tables', 'model'))])"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert not out.strip()

    # explain has an option for each form of an example, and loads what makes them
    @pytest.mark.parametrize(
        "arguments", [["--version"], ["--help"], *([name, "--help"] for name in COMMANDS if name != "explain")]
    )
    def test_what_answers_at_once_loads_no_more_than_the_package_does(self, arguments):
        code = (
            "import sys, fullyconnected; before = {*sys.modules}\n"
            "from fullyconnected.cli import main\n"
            f"try: main({arguments})\nexcept SystemExit: pass\n"
            "print(*({name for name in {*sys.modules} - before if name.startswith('fullyconnected.')}))"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        loaded = {name.removeprefix("fullyconnected.") for name in out.splitlines()[-1].split()}
        allowed = {
            "cli",
            "cli.console",
            "cli.tables",
            "training",
            "training.progress",
            f"cli.{arguments[0]}{'_' * iskeyword(arguments[0])}",
        }
        assert loaded <= allowed


def test_a_command_is_a_file_and_a_line(capsys, monkeypatch):
    def arguments(parser):
        parser.add_argument("--name", default="world")

    greet = ModuleType("fullyconnected.cli.greet")
    greet.arguments, greet.run = arguments, lambda options: print_result(f"hello, {options.name}\n") or 0
    monkeypatch.setitem(sys.modules, greet.__name__, greet)
    monkeypatch.setitem(COMMANDS, "greet", "Say hello.")
    assert main(["greet", "--name", "you"]) == 0
    assert capsys.readouterr().out == "hello, you\n"
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Say hello." in " ".join(capsys.readouterr().out.split())


def test_explain_prints_an_example(capsys):
    assert main(["explain", "seed"]) == 0
    out = capsys.readouterr().out
    assert "y1[0,0] = 0.1 * 0.15 + 0.5 * 0.25 + 0.35 = 0.49" in out
    assert "(0.1841305 - 0.1831705) / (2 * 0.01) = 0.048" in out
    assert main(["explain", "xor", "--step", "0.5", "--optimizer", "adam", "--focus", "W1[0,1]"]) == 0
    out = capsys.readouterr().out
    assert "step: 0.5" in out
    assert "Adam(" in out
    assert "PATHS of W1[0,1]" in out


def test_explain_writes_every_form(tmp_path, capsys):
    forms = {"html": "<!doctype html>", "markdown": "# One", "json": "{", "python": '"""One', "text": "One training"}
    options = [word for form in forms for word in (f"--{form}", str(tmp_path / form))]
    assert main(["explain", "seed", *options]) == 0
    assert capsys.readouterr().out == ""
    for form, beginning in forms.items():
        assert (tmp_path / form).read_text(encoding="utf-8").startswith(beginning)
    done = subprocess.run([sys.executable, str(tmp_path / "python")], capture_output=True, text=True, check=True)
    assert "agree" in done.stdout


def test_explain_in_chinese_and_with_samples_as_columns(tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["explain", "xor", "--lang", "zh", "--notation", "Wx", "--html", str(page), "--text", "-"]) == 0
    out = capsys.readouterr().out
    assert "z1 = W1 x + b1" in out
    assert "前向传播" in out
    assert page.read_text(encoding="utf-8").isascii()


def test_explain_a_row_of_a_table_is_what_the_model_computes(iris, capsys):
    model, path = iris
    assert main(["explain", model, "--data", path, "--row", "100", "--row", "3", "--json", "out.json"]) == 0
    with open("out.json", encoding="utf-8") as file:
        record = json.load(file)
    assert record["ok"]
    assert record["quantities"]["t"]["values"] == [2, 2, 0, 0]  # virginica, setosa, of two members
    assert record["settings"]["data"].endswith("rows 100, 3, counted from 0")
    assert "x[0] is sepal length (cm)" in record["settings"]["inputs"]
    net = fc.load_estimator(model).ensemble_.networks[0]
    row = datasets.load_iris().data[100:101]
    p = np.mean(record["quantities"]["loss.p"]["values"][: net.program.members], axis=0)  # of its members
    np.testing.assert_allclose(p, net.predictions(row)[0], rtol=1e-4, atol=1e-6)


def saturated():
    """Return a network without a gradient that float64 could resolve, a row and its target."""
    net = fc.Network([fc.Dense(1, 1, "sigmoid", bias=False)], dtype=np.float64)
    net.theta = [6.0]
    return net, [[6.0]], [[1.0 - 1e-9]]


def test_the_exit_status_says_whether_the_gradients_of_an_explanation_are_right(capsys, monkeypatch):
    from fullyconnected.explanation import samples

    def explain(net, x, t):
        monkeypatch.setitem(samples.SAMPLES, "xor", lambda: (net, x, t, {"loss": "half_squared_error"}))
        status = main(["explain", "xor"])
        return status, *capsys.readouterr()

    net, x, t = saturated()
    status, out, err = explain(net, x, t)
    assert status == 3
    assert "neither right nor wrong" in out
    assert "neither right nor wrong" in err
    net.theta = [1.0]
    assert explain(net, x, t)[0] == 0
    status, _, err = explain(net, [[-1e200]], [[1e200]])
    assert status == 3
    assert "NOT FINITE" in err
    right = fc.Dense.backward

    def backward(self, p, x, c, y, dy, g, dx):
        right(self, p, x, c, y, dy, g, dx)
        g.W *= 1.001

    monkeypatch.setattr(fc.Dense, "backward", backward)
    status, out, err = explain(net, x, t)
    assert status == 1
    assert "WRONG: the gradients of dense_1.W disagree" in out
    assert "WRONG" in err


def test_a_page_of_a_row_of_a_table_has_the_names_of_columns_and_classes(iris):
    model, path = iris
    assert main(["explain", model, "--data", path, "--row", "100", "--html", "page.html"]) == 0
    with open("page.html", encoding="utf-8") as file:
        page = file.read()
    story = page[page.index('id="story"') : page.index('id="desk"')]
    for name in ("sepal length (cm)", "petal width (cm)"):
        assert f'<th scope="col" title="{name}">' in story
    assert re.search(r"<span [^>]*>virginica 0\.\d+</span></td><td><span [^>]*>virginica</span>", story)
    assert 'data-called="petal width (cm)"' in page
    assert 'data-called="versicolor"' in page


def test_every_row_of_a_model_that_was_trained_is_explained_without_an_alarm(iris, tmp_path):
    from fullyconnected.explanation import trace

    data, estimator = datasets.load_iris(), fc.load_estimator(iris[0])
    net = estimator.ensemble_.networks[0]  # the other one has bins, and a slope on either side of their edges
    for i in range(0, len(data.data), 10):
        record = trace(net, data.data[i : i + 1], data.target[i : i + 1], net.loss)
        assert record.ok, [report for report in record.reports if report.wrong]
        assert record.resolved


def test_explain_a_regression_is_in_the_unit_that_the_network_sees(tmp_path, capsys):
    path = write(tmp_path / "line.csv", ["a", "y"], [[i, 3 * i + 1] for i in range(20)])
    assert main(["train", path, "--target", "y", "--task", "regression", "-q", *QUICK]) == 0
    assert main(["explain", "model.safetensors", "--data", path, "--row", "19"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "MeanSquaredError" in out
    assert "target: y, minus its mean, over its deviation" in out
    assert "in an ensemble of " in out


def test_explain_a_model_of_an_earlier_version(tmp_path, capsys):
    write("t.csv", [*"cba", "y"], [[0.1 * i, "true", -i, f"{i / 3}"] for i in range(5)])
    described = {
        "format": 1, "features": ["a", "b", "c"], "means": [0.0, 0.5, 1.0], "scales": [1.0, 2.0, 1.0], "target": "y",
        "classes": None, "target_mean": 1.0, "target_scale": 2.0,
    }  # fmt: skip
    net = fc.mlp([3, 2, 1], seed=0)
    fc.files.write_model("old", fc.files.Model(net.layers, net.theta, net.state, {"table": described}))
    assert main(["explain", "old", "--data", "t.csv", "--row", "3", "--json", "-"]) == 0
    record = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(record["quantities"]["x"]["values"], [[-3.0, 0.25, -0.7]], rtol=1e-6)
    np.testing.assert_allclose(record["quantities"]["t"]["values"], [[0.0]], atol=1e-6)


def test_explain_opens_a_page(monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert main(["explain", "seed", "--open"]) == 0
    assert main(["explain", "seed", "--html", "page.html", "--open"]) == 0
    assert all(address.startswith("file:///") and address.endswith("page.html") for address in opened)
    assert len(opened) == 2
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert main(["explain", "seed", "--html", "page.html", "--open"]) == 0
    assert "no browser could be started; open file:///" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "there is no example and no file 'nothing'; the examples are xor and seed"),
        (["nothing.safetensors"], "nothing.safetensors: No such file"),
        (["xor", "--row", "1"], "xor is an example with its own data"),
        (["MODEL"], "name the table and the row to explain"),
        (["MODEL", "--data", "TABLE", "--row", "150"], "has 150 rows below its header, 0 to 149"),
        (["MODEL", "--data", "TABLE", "--row", "-1"], "has 150 rows below its header, 0 to 149"),
        (["MODEL", "--data", "TABLE", "--focus", "x[0,9]"], "there is no entry [0,9]"),
        (["MODEL", "--data", "TABLE", "--focus", "dense_7.W[0,0]"], "there is no parameter or input 'dense_7.W'"),
        (["MODEL", "--data", "TABLE", "--target", "no"], "no column 'no' for --target"),
        (["MODEL", "--data", "TABLE", "--html", "TABLE"], "would replace an input file"),
        (["MODEL", "--data", "other.csv"], "'rose' is no class of the model, which knows setosa"),
        (["xor", "--html", "no/folder/page.html"], "in a folder that does not exist"),
        (["xor", "--html", "page.html", "--text", "./page.html"], "--html and --text need different files"),
        (["xor", "--optimizer", "lbfgs"], "give an optimizer such as fc.SGD"),
        (["xor", "--optimizer", "adm"], "did you mean 'adam'"),
        (["xor", "--step", "0"], "step must be more than 0"),
        (["xor", "--focus", "W1"], "focus is one number"),
    ],
)
def test_what_cannot_be_explained_is_told_in_a_line(iris, capsys, arguments, says):
    model, path = iris
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    with open("other.csv", "w", encoding="utf-8") as file:
        file.write("\n".join([lines[0], lines[1].replace("setosa", "rose")]) + "\n")
    words = [{"MODEL": model, "TABLE": path}.get(word, word) for word in arguments]
    assert says in error_of(capsys, "explain", *words)


def shell(line, **paths):
    """Run a line of a shell, in which $fc is the command, and return its exit status, output and errors."""
    names = {"fc": f"{shlex.quote(sys.executable)} -m fullyconnected"}
    names |= {name: shlex.quote(str(path)) for name, path in paths.items()}
    for name, text in names.items():
        line = line.replace(f"${name}", text)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(os.name != "posix", reason="redirections are those of a POSIX shell")
class TestWhereOutputGoes:
    @pytest.mark.parametrize(
        "where", ["2>&1 | head -1", "| true", ">&-", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | true"]
    )
    def test_a_model_is_saved_whatever_becomes_of_what_is_told(self, iris, where):
        if "full" in where and not os.path.exists("/dev/full"):
            pytest.skip("there is no full device here")
        line = f"($fc train $table --target target {' '.join(QUICK)} -o m; echo $? > status) {where}"
        shell(line, table=iris[1])
        with open("status", encoding="utf-8") as file:
            assert file.read() == "0\n"
        assert fc.files.read_model("m").extras["trained"]["roles"]["target"] == "target"

    @pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "-"])
    def test_predictions_are_appended_to_a_log(self, iris, name, tmp_path):
        (tmp_path / "log").write_text("kept\n", encoding="utf-8")
        assert shell(f"$fc predict $model $table -o {name} >> log", model=iris[0], table=iris[1]) == (0, "", "")
        lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
        assert lines[:2] == ["kept", "prediction"]
        assert len(lines) == 152
        assert [path.name for path in tmp_path.iterdir()] == ["log"]

    def test_a_dash_is_standard_output_for_every_form(self, tmp_path, capsysbinary):
        for form in ("html", "markdown", "json", "python", "text"):
            assert main(["explain", "xor", f"--{form}", "-"]) == 0
            out, err = capsysbinary.readouterr()
            assert err == b""
            assert main(["explain", "xor", f"--{form}", "file"]) == 0
            assert out == (tmp_path / "file").read_bytes()
        assert main(["explain", "xor", "--json", "-", "--text", "-"]) == 2
        assert b"need different files" in capsysbinary.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    @pytest.mark.parametrize("name", ["-", "/dev/stdout"])
    def test_a_model_may_go_to_standard_output_and_what_is_told_then_does_not(self, iris, name, tmp_path):
        train = f"$fc train $table --target target {' '.join(QUICK)} -o {name} > model"
        status, _, err = shell(train, table=iris[1])
        assert status == 0
        assert "150 rows, 5 columns" in " ".join(err.split())
        assert shell("$fc predict model $table", table=iris[1])[0] == 0
        assert [path.name for path in tmp_path.iterdir()] == ["model"]

    def test_a_result_that_cannot_be_written_is_an_error(self, iris):
        int8 = "$fc export $model model.c --dtype int8 --data $table"
        for line in ("$fc predict $model $table", "$fc explain xor", int8):
            status, _, err = shell(f"{line} >&-", model=iris[0], table=iris[1])
            assert status == 2
            assert "standard output is closed" in err
            if os.path.exists("/dev/full"):
                status, _, err = shell(f"{line} >/dev/full", model=iris[0], table=iris[1])
                assert status == 2
                assert err == "fullyconnected: error: standard output: No space left on device\n"

    def test_a_file_that_is_read_only_is_told_before_training(self, iris, tmp_path):
        (tmp_path / "m").write_text("mine", encoding="utf-8")
        (tmp_path / "m").chmod(0o444)
        status, out, err = shell("$fc train $table --target target -o m", table=iris[1])
        assert (status, out) == (2, "")
        assert err.startswith("fullyconnected: error: m: This file is read-only")
        assert (tmp_path / "m").read_text(encoding="utf-8") == "mine"

    def test_ctrl_c_once_more_while_a_model_is_saved(self, iris, monkeypatch):
        def press(estimator, facts, path):
            pressed.append(path)
            if len(pressed) == 1:
                raise KeyboardInterrupt
            save(estimator, facts, path)

        save, pressed = stored.save, []
        monkeypatch.setattr(stored, "save", press)
        assert main(["train", iris[1], "--target", "target", *QUICK, "-q", "-o", "m"]) == 0
        assert main(["predict", "m", iris[1], "-o", "p"]) == 0

    def test_a_model_that_cannot_be_saved_where_it_should_be_is_saved_elsewhere(self, iris, capsys, monkeypatch):
        def full(estimator, facts, path):
            if path == "m":
                raise OSError(errno.ENOSPC, "No space left on device", path)
            save(estimator, facts, path)

        save = stored.save
        monkeypatch.setattr(stored, "save", full)
        assert main(["train", iris[1], "--target", "target", *QUICK, "-q", "-o", "m"]) == 2
        err = capsys.readouterr().err
        assert err.startswith("fullyconnected: error: m: No space left on device; the model is saved to ")
        path = err.split("is saved to ")[1].removesuffix(" instead\n")
        assert main(["predict", path, iris[1]]) == 0
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
