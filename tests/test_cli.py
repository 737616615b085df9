"""The command line: from a table to predictions, what it prints, and that every mistake ends in one line."""

import csv
import errno
import itertools
import os
import shlex
import signal
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.checking import proof
from fullyconnected.cli import COMMANDS, main
from fullyconnected.cli.console import print_result
from fullyconnected.tables.model import load_table_model, prepare
from fullyconnected.tables.table import ADVICE, read_table

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


def accuracy(predictions, path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        wanted = [row[-1] for row in csv.reader(file, delimiter=max(",;\t", key=first.count))]
    assert len(predictions) == len(wanted)
    return np.mean([a == b for a, b in zip(predictions, wanted, strict=True)])


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


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """A model of iris with its labels as text, and its table."""
    folder = tmp_path_factory.mktemp("iris")
    path = table("iris", folder / "iris.csv", ["setosa", "versicolor", "virginica"])
    assert main(["train", path, "--target", "target", "-o", str(folder / "iris.safetensors"), "--quiet"]) == 0
    return str(folder / "iris.safetensors"), path


class TestFromATableToPredictions:
    def test_iris(self, tmp_path, capsys):
        path = table("iris", tmp_path / "iris.csv", ["setosa", "versicolor", "virginica"])
        assert main(["train", path, "--target", "target"]) == 0
        told = capsys.readouterr()
        assert "150 rows; 4 features: " in told.out
        assert "classification (text, 3 different values; change this with --task)" in told.out
        assert "classes: setosa, versicolor, virginica" in told.out
        assert "parameters: 4,675;" in told.out
        assert "(always the most frequent class: 0.3333)" in told.out
        assert "fullyconnected predict model.safetensors TABLE.csv" in told.out
        assert "epoch 1/200" in told.err
        assert main(["predict", "model.safetensors", path]) == 0
        (name,), *rows = read(capsys.readouterr().out)
        assert name == "prediction"
        assert accuracy([label for (label,) in rows], path) > 0.94

    def test_wine_with_whole_numbers_for_classes(self, tmp_path, capsys):
        path = table("wine", tmp_path / "wine.csv")
        assert main(["train", path, "--target", "target"]) == 0
        assert "classification (whole numbers, 3 different values" in capsys.readouterr().out
        assert main(["predict", "model.safetensors", path, "--output", "predictions.csv"]) == 0
        assert capsys.readouterr().out == ""
        rows = read((tmp_path / "predictions.csv").read_text(encoding="utf-8"))
        assert accuracy([label for (label,) in rows[1:]], path) > 0.96

    def test_what_patience_watches_can_be_named(self, tmp_path, capsys):
        path = table("wine", tmp_path / "wine.csv")
        assert main(["train", path, "--target", "target", "--monitor", "accuracy", "--epochs", "40"]) == 0
        told = capsys.readouterr()
        reached = [float(line.split("validation accuracy ")[1].split()[0]) for line in told.err.splitlines()]
        best = float(told.out.split("accuracy ")[1].split()[0])
        assert best == max(reached)
        assert main(["train", path, "--target", "target", "--monitor", "acuracy"]) == 2
        assert "did you mean 'accuracy'" in capsys.readouterr().err
        said = error_of(
            capsys, "train", path, "--target", "target", "--monitor", "validation_loss", "--validation", "0"
        )
        assert said == "there is no validation loss to monitor without validation data: set validation"

    def test_an_average_of_the_weights_is_what_is_judged_and_saved(self, tmp_path, capsys):
        path = table("wine", tmp_path / "wine.csv")
        for text, average in {"ema:0.9": fc.EMA(0.9), "swa:0.5": fc.SWA(0.5), "swa:3": fc.SWA(3)}.items():
            assert main(["train", path, "--target", "target", "--epochs", "6", "--average", text, "--quiet"]) == 0
            plan = prepare(read_table(path, "target"), "classification")
            plan.train(epochs=6, batch_size=32, patience=20, average=average, progress=False)
            np.testing.assert_array_equal(load_table_model("model.safetensors").net.theta, plan.model.net.theta)
        for text in ("ema", "ema:1.5", "swa:-1", "mean:3", "swa:half"):
            with pytest.raises(SystemExit):
                main(["train", path, "--target", "target", "--average", text])
            assert "such as ema:0.999, or swa" in capsys.readouterr().err

    def test_diabetes(self, tmp_path, capsys):
        path = table("diabetes", tmp_path / "diabetes.csv")
        assert main(["train", path, "--target", "target"]) == 0
        out = capsys.readouterr().out
        assert "regression (numbers, 214 different values" in out
        assert "mean absolute error" in out
        assert main(["predict", "model.safetensors", path]) == 0
        y = np.array([float(value) for (value,) in read(capsys.readouterr().out)[1:]])
        t = datasets.load_diabetes().target
        assert 1 - np.square(y - t).sum() / np.square(t - t.mean()).sum() > 0.45

    def test_labels_come_back_as_they_were_written(self, tmp_path, capsys):
        labels = ["007", 'a "b", c', "ümlaut 猫"]
        path = table("iris", tmp_path / "iris.csv", labels, delimiter=";", encoding="utf-8-sig")
        assert main(["train", path, "--target", "target", "--quiet", "--epochs", "40", "--lr", "0.01"]) == 0
        assert capsys.readouterr() == ("", "")
        assert main(["predict", "model.safetensors", path, "-o", "p.csv"]) == 0
        rows = read((tmp_path / "p.csv").read_text(encoding="utf-8"))
        assert {label for (label,) in rows[1:]} == set(labels)
        assert accuracy([label for (label,) in rows[1:]], path) > 0.94

    def test_a_label_that_looks_like_a_missing_value_is_one_where_it_is_said_to_be(self, tmp_path, capsys):
        path = table("iris", tmp_path / "iris.csv", ["None", "NA", "virginica"])
        train = ["train", path, "--target", "target", "--quiet", "--epochs", "40", "--lr", "0.01"]
        said = f"{path}, row 2, column 'target': 'None' stands for a missing value, as in 100 rows; remove such rows. "
        assert error_of(capsys, *train) == f"{said}If it is a class: --label None"
        assert "row 52, column 'target': 'NA' stands" in error_of(capsys, *train, "--label", "None")
        assert main([*train, "--label", "None", "--label", "NA"]) == 0
        assert main(["predict", "model.safetensors", path]) == 0
        assert accuracy([label for (label,) in read(capsys.readouterr().out)[1:]], path) > 0.94
        assert main(["explain", "model.safetensors", "--data", path, "--row", "60"]) == 0
        assert "target: target: 0 is NA, 1 is None, 2 is virginica" in capsys.readouterr().out

    def test_columns_are_found_by_name(self, iris, tmp_path, capsys):
        model, path = iris
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        turned = [[*row[::-1][1:], f"note {i}"] for i, row in enumerate(rows)]  # no target, another column
        assert main(["predict", model, path]) == 0
        straight = capsys.readouterr().out
        assert main(["predict", model, write(tmp_path / "turned.csv", turned[0], turned[1:])]) == 0
        assert capsys.readouterr().out == straight

    def test_rows_keep_their_order_and_do_not_depend_on_each_other(self, iris, tmp_path, capsys):
        model, path = iris
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert main(["predict", model, path, "--probabilities"]) == 0
        together = np.array(read(capsys.readouterr().out)[1:])
        assert main(["predict", model, write(tmp_path / "b.csv", header, rows[::-1]), "--probabilities"]) == 0
        backwards = np.array(read(capsys.readouterr().out)[1:])
        np.testing.assert_array_equal(backwards[::-1, 0], together[:, 0])
        np.testing.assert_allclose(backwards[::-1, 1:].astype(float), together[:, 1:].astype(float), rtol=1e-4)
        assert main(["predict", model, write(tmp_path / "one.csv", header, rows[70:71]), "--probabilities"]) == 0
        (one,) = read(capsys.readouterr().out)[1:]
        assert one[0] == together[70, 0]
        np.testing.assert_allclose(np.float64(one[1:]), together[70, 1:].astype(float), rtol=1e-4)

    def test_probabilities(self, iris, capsys):
        model, path = iris
        assert main(["predict", model, path, "--probabilities"]) == 0
        header, *rows = read(capsys.readouterr().out)
        assert header == ["prediction", "probability setosa", "probability versicolor", "probability virginica"]
        p = np.array([row[1:] for row in rows], float)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
        assert [header[1 + i] for i in p.argmax(axis=1)] == [f"probability {row[0]}" for row in rows]

    def test_a_table_without_rows_gives_the_header_alone(self, iris, tmp_path, capsys):
        model, path = iris
        with open(path, encoding="utf-8") as file:
            (tmp_path / "none.csv").write_text(file.readline(), encoding="utf-8")
        assert main(["predict", model, "none.csv"]) == 0
        assert capsys.readouterr().out == "prediction\n"

    def test_the_same_command_gives_the_same_file(self, iris, tmp_path):
        model, path = iris
        assert main(["train", path, "--target", "target", "-o", "again.safetensors", "-q"]) == 0
        with open(model, "rb") as file:
            assert file.read() == (tmp_path / "again.safetensors").read_bytes()

    def test_task_and_settings_are_obeyed(self, tmp_path, capsys):
        path = table("wine", tmp_path / "wine.csv")
        options = ["--task", "regression", "--hidden", "5", "--epochs", "3", "--validation", "0", "--batch-size", "8"]
        assert main(["train", path, "--target", "target", *options]) == 0
        told = capsys.readouterr()
        assert "regression (set by --task)" in told.out
        assert "178 rows for training, 0 held back" in told.out
        assert "on the training rows" in told.out
        assert "epoch 3/3" in told.err
        assert [layer.n_out for layer in load_table_model("model.safetensors").net.layers] == [5, 1]


class TestMistakes:
    def train(self, capsys, text, *options):
        with open("t.csv", "w", encoding="utf-8") as file:
            file.write(text)
        return error_of(capsys, "train", "t.csv", "--target", "y", *options)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a,b,y\n1,2,u\n3,,v\n", f"t.csv, row 3, column 'b': the cell is empty. {ADVICE}"),
            ("a,b,y\n1,red,u\n", f"t.csv, row 2, column 'b': 'red' is not a number. {ADVICE}"),
            ("a,b,y\n1,nan,u\n", f"t.csv, row 2, column 'b': 'nan' is not a finite number. {ADVICE}"),
            ("a,b,y\n1,2,u\n1,2,\n", "t.csv, row 3, column 'y': the cell is empty"),
            ("a,b,y\n1,2\n", "t.csv, row 2: 2 cells, where the header has 3 columns"),
            ("a,b\n1,2\n", "t.csv: there is no column 'y'; the header (row 1) names 'a', 'b'"),
            ("a,a,y\n1,2,3\n", "t.csv: columns 1 and 2 are both named 'a' in row 1; is the header missing?"),
            ("", "t.csv has no header: row 1 must hold the columns' names"),
            ("a,y\n", "t.csv has 0 rows below its header; two at least are needed for training"),
            ("a,y\n1,u\n2,u\n3,u\n", "t.csv: column 'y' holds 'u' in every row; there is nothing to learn"),
        ],
    )
    def test_of_tables(self, capsys, text, message):
        assert self.train(capsys, text) == message

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--epochs", "0"), "epochs must be 1 or more"),
            (("--lr", "-1"), "lr"),
            (("--lr", "nan"), "lr"),
            (("--batch-size", "0"), "batch_size"),
            (("--patience", "0"), "patience"),
            (("--validation", "1"), "validation"),
            (("--seed", "-1"), "seed"),
            (("--task", "regression"), "row 2, column 'y': 'u' is not a number"),
            (("--output", "t.csv"), "would replace an input file"),
            (("--output", "."), "is a folder"),
            (("--output", "missing/m.safetensors"), "in a folder that does not exist"),
        ],
    )
    def test_of_settings(self, capsys, options, message):
        assert message in self.train(capsys, "a,y\n1,u\n2,v\n1,u\n2,v\n", *options)
        assert not os.path.exists("model.safetensors")

    @pytest.mark.parametrize(
        "options", [("--hidden", "8,"), ("--hidden", "0"), ("--task", "guess"), ("--epochs", "x"), ()]
    )
    def test_of_the_command_itself_show_its_usage(self, capsys, options):
        target = ("--target", "y") if options else ()
        with pytest.raises(SystemExit) as stop:
            main(["train", "t.csv", *target, *options])
        assert stop.value.code == 2
        assert "usage: fullyconnected train" in capsys.readouterr().err

    def test_divergence_saves_nothing(self, iris, capsys):
        assert main(["train", iris[1], "--target", "target", "--lr", "1e30", "-q"]) == 2
        assert "training diverged" in capsys.readouterr().err
        assert not os.path.exists("model.safetensors")

    def test_a_column_the_model_needs(self, iris, capsys):
        write("t.csv", ["sepal length (cm)"], [[1]])
        assert error_of(capsys, "predict", iris[0], "t.csv").startswith("t.csv: there is no column 'sepal width (cm)'")

    def test_a_cell_to_predict_from(self, iris, capsys):
        features = [f"{part} {size} (cm)" for part in ("sepal", "petal") for size in ("length", "width")]
        write("t.csv", features, [[1, 2, 3, 4], [1, 2, "", 4]])
        message = f"t.csv, row 3, column 'petal length (cm)': the cell is empty. {ADVICE}"
        assert error_of(capsys, "predict", iris[0], "t.csv", "-o", "p.csv") == message
        assert not os.path.exists("p.csv")

    def test_files_that_are_not_there_or_not_what_they_should_be(self, iris, capsys):
        model, path = iris
        assert error_of(capsys, "predict", "none.safetensors", path) == "none.safetensors: No such file or directory"
        assert error_of(capsys, "predict", model, "none.csv") == "none.csv: No such file or directory"
        assert "is not a model file" in error_of(capsys, "predict", path, path)
        assert "is not text in UTF-8" in error_of(capsys, "predict", model, model)
        fc.mlp([4, 3], seed=0).save("net.safetensors")
        assert "was not trained from a table" in error_of(capsys, "predict", "net.safetensors", path)

    @pytest.mark.parametrize("which", [0, 1])
    def test_predictions_never_replace_what_they_are_made_from(self, iris, capsys, which):
        before = os.stat(iris[which])
        assert "would replace" in error_of(capsys, "predict", *iris, "--output", iris[which])
        assert os.stat(iris[which]).st_mtime_ns == before.st_mtime_ns

    def test_probabilities_of_a_number(self, capsys):
        write("t.csv", ["a", "y"], [[i, i / 7] for i in range(20)])
        assert main(["train", "t.csv", "--target", "y", "--epochs", "1", "-q"]) == 0
        assert "predicts a number, 'y'" in error_of(capsys, "predict", "model.safetensors", "t.csv", "--probabilities")


class TestCheck:
    @pytest.fixture(autouse=True)
    def _a_few(self, monkeypatch):
        """The whole proof is test_proof's; here every 97th network."""
        every = proof.cases
        monkeypatch.setattr(proof, "cases", lambda layers: itertools.islice(every(layers), 0, None, 97))

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
        train = command("train", "t.csv", "--target", "y", "--epochs", "1")
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
        train = command("train", iris[1], "--target", "target", "--epochs", "50")
        nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
        running = subprocess.Popen([*nohup, *train], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.stderr.readline()
        running.send_signal(signal.SIGHUP)
        assert b"saved to" in running.communicate()[0]
        assert running.returncode == 0

    @pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent otherwise here")
    @pytest.mark.usefixtures("signals")
    @pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGTERM"])
    def test_ctrl_c_saves_the_best_epoch_so_far_and_so_does_a_terminal_that_hangs_up(self, name, iris, tmp_path):
        number = getattr(signal, name)
        options = ["--epochs", "1000000", "--patience", "1000000"]
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
        assert "is saved" in running.stderr.read().splitlines()[-1]
        running.stderr.close()
        assert running.wait(30) == 130
        assert load_table_model(tmp_path / "model.safetensors").net.n_out == 3

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            ("fullyconnected.tables.table.read_table", "interrupted"),
            (
                "fullyconnected.training.run.epoch_order",
                "interrupted before the first epoch was complete; nothing",
            ),
        ],
    )
    def test_ctrl_c_before_there_is_an_epoch_saves_nothing(self, iris, capsys, monkeypatch, where, message):
        def interrupted(*arguments, **settings):
            raise KeyboardInterrupt

        monkeypatch.setattr(where, interrupted)
        assert main(["train", iris[1], "--target", "target", "-q"]) == 130
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
        allowed = {"cli", "cli.console", "training", "training.progress", f"cli.{arguments[0]}"}
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


def test_explain_a_row_of_a_table_is_what_the_model_computes(iris, capsys):
    import json

    model, path = iris
    assert main(["explain", model, "--data", path, "--row", "100", "--row", "3", "--json", "out.json"]) == 0
    with open("out.json", encoding="utf-8") as file:
        record = json.load(file)
    assert record["ok"]
    assert record["quantities"]["t"]["values"] == [2, 0]  # virginica, setosa
    assert record["settings"]["data"].endswith("rows 100, 3, counted from 0")
    assert "x[0] is sepal length (cm)" in record["settings"]["inputs"]
    assert main(["predict", model, path, "--probabilities"]) == 0
    said = read(capsys.readouterr().out)[101]
    p = record["quantities"]["loss.p"]["values"][0]
    np.testing.assert_allclose(p, list(map(float, said[1:])), rtol=1e-4, atol=1e-6)


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


def test_every_row_of_a_model_that_was_trained_is_explained_without_an_alarm(iris, tmp_path):
    from fullyconnected.explanation import trace
    from fullyconnected.tables.model import load_table_model
    from fullyconnected.tables.table import read_table

    model = load_table_model(iris[0])
    table = read_table(iris[1], model.target, model.features, model.classes)
    x, t = model.standardise(table), model.targets(table)
    for i in range(0, len(x), 3):
        record = trace(model.net, x[i : i + 1], t[i : i + 1], model.loss)
        assert record.ok, [report for report in record.reports if report.wrong]
        assert record.resolved


def test_explain_a_regression_is_in_the_unit_that_the_network_sees(tmp_path, capsys):
    path = write(tmp_path / "line.csv", ["a", "y"], [[i, 3 * i + 1] for i in range(20)])
    assert main(["train", path, "--target", "y", "--task", "regression", "-q", "--epochs", "2", "--hidden", "4"]) == 0
    assert main(["explain", "model.safetensors", "--data", path, "--row", "19"]) == 0
    out = capsys.readouterr().out
    assert "MeanSquaredError" in out
    assert "target: y, minus its mean, over its deviation" in out


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
        line = f"($fc train $table --target target --epochs 3 -o m; echo $? > status) {where}"
        shell(line, table=iris[1])
        with open("status", encoding="utf-8") as file:
            assert file.read() == "0\n"
        assert fc.files.read_model("m").extras["table"]["target"] == "target"

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
        train = f"$fc train $table --target target --epochs 2 -o {name} > model"
        status, _, err = shell(train, table=iris[1])
        assert status == 0
        assert "150 rows" in err
        assert shell("$fc predict model $table", table=iris[1])[0] == 0
        assert [path.name for path in tmp_path.iterdir()] == ["model"]

    def test_a_result_that_cannot_be_written_is_an_error(self, iris):
        for line in ("$fc predict $model $table", "$fc explain xor"):
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
        def press(self, path):
            pressed.append(path)
            if len(pressed) == 1:
                raise KeyboardInterrupt
            save(self, path)

        from fullyconnected.tables.model import TableModel

        save, pressed = TableModel.save, []
        monkeypatch.setattr(TableModel, "save", press)
        assert main(["train", iris[1], "--target", "target", "--epochs", "2", "-q", "-o", "m"]) == 0
        assert main(["predict", "m", iris[1], "-o", "p"]) == 0

    def test_a_model_that_cannot_be_saved_where_it_should_be_is_saved_elsewhere(self, iris, capsys, monkeypatch):
        from fullyconnected.tables.model import TableModel

        def full(self, path):
            if path == "m":
                raise OSError(errno.ENOSPC, "No space left on device", path)
            save(self, path)

        save = TableModel.save
        monkeypatch.setattr(TableModel, "save", full)
        assert main(["train", iris[1], "--target", "target", "--epochs", "2", "-q", "-o", "m"]) == 2
        err = capsys.readouterr().err
        assert err.startswith("fullyconnected: error: m: No space left on device; the model is saved to ")
        path = err.split("is saved to ")[1].removesuffix(" instead\n")
        assert main(["predict", path, iris[1]]) == 0
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
