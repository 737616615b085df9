"""What is printed or written survives wherever that is done: under any encoding of streams and files, in any locale."""

import ast
import contextlib
import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.cli import main
from fullyconnected.explanation.render.plaintext import to_text
from fullyconnected.tables.files import read_frame
from fullyconnected.tables.model import load_table_model

NAME = "größe \u03b3 字 \U0001f600"
HERE = {k: v for k, v in os.environ.items() if k not in ("PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL", "LC_CTYPE")}
X, T = [[1.0, 2.0], [3.0, -1.0]], np.zeros((2, 2))
FORMS = ("text", "markdown", "html", "json", "python")


class Größe(fc.Layer):
    """Everything that can have a name of its user's choice has one with letters that ASCII lacks."""

    name = NAME
    n_in = n_out = 2

    def __repr__(self):
        return f"{NAME}()"

    def with_input_width(self, n_in):
        return self

    def params(self):
        return {"größe": fc.Param((2,)), "\u03b3": fc.Param((2,)), "字": fc.Param((2,))}

    def initialize(self, p, rng):
        for _, view in p:
            view[...] = 1

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, p.größe, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        for _, view in g:
            view[...] = 0
        g.größe[...] = (dy * x).sum(axis=0)
        if dx is not None:
            c.xp.multiply(dy, p.größe, out=dx)


class Double(fc.ActivationFunction):
    name = NAME

    def forward(self, z, c, y):
        c.xp.multiply(z, 2, out=y)

    def backward(self, z, c, y, dy):
        dy *= 2


class Squares(fc.Loss):
    name = NAME

    def __repr__(self):
        return f"{NAME}()"

    def terms(self, z, t, c, dz):
        c.xp.subtract(z, t, out=dz)
        c.e[...] = dz**2 / 2


class Rule(fc.Optimizer):
    name = NAME
    slots: ClassVar[tuple[str, ...]] = ("größe",)
    lr = 0.1

    def __repr__(self):
        return f"{NAME}()"

    def update(self, theta, g, s, c, *, lr, step, decays):
        theta -= lr * g


WORD = "grosse_gamma_u5b57__1"  # of the layer, whose kind is not known
LONG = f"grosse_{WORD}"  # and of its first parameter


@pytest.fixture(scope="module")
def net():
    return fc.Network([fc.Dense(2, 2, Double()), Größe(), fc.Dense(2, 2)], dtype="float64", seed=0)


@pytest.fixture(scope="module")
def explanation(net):
    return fc.explain(net, X, T, Squares(), Rule(), focus=f"{LONG}[1]", l2=0.1).about({NAME: f"{NAME} \udce9"})


class TestAscii:
    """What Python prints of something of the library has no other letters than those of ASCII, whatever it is of."""

    @pytest.mark.parametrize("form", FORMS)
    def test_an_explanation_in_every_form(self, explanation, form):
        assert getattr(explanation, f"to_{form}")().isascii()

    def test_pictures(self, net):
        assert fc.draw(net, X, T, Squares()).isascii()
        assert fc.draw(fc.mlp([30, 40, 2], seed=0)).isascii()

    def test_what_prints(self, net, explanation):
        report = fc.check_gradients(net, X, T, Squares())
        epoch = next(iter(fc.epochs(net, X, T, Squares(), fc.SGD(0.01), metrics=[größe])))
        record = explanation.trace
        printed = [net, net.params[1], net.summary(), net.summary(40), report, epoch, explanation]
        printed += [explanation.focus, *(step.equation for step in record.steps), fc.draw(net)]
        printed += [fc.fit(net, X, T, Squares(), fc.SGD(0.01), metrics=[größe], epochs=2, progress=False)]
        printed += [Double(), fc.Activation((größe, größe))]
        for thing in printed:
            assert str(thing).isascii(), type(thing)
        assert net._repr_html_().isascii()
        assert NAME in unescape(net._repr_html_())

    def test_an_error_that_names_a_file_whose_name_is_not_utf_8(self, tmp_path):
        path = tmp_path / os.fsdecode(b"caf\xe9")
        try:
            path.write_bytes(b"no model")
        except OSError:
            pytest.skip("this file system has UTF-8 names alone")
        for load in (fc.load, load_table_model, read_frame):
            with pytest.raises(fc.errors.FileFormatError) as error:
                load(path)
            assert "caf\\udce9" in str(error.value)
            str(error.value).encode()

    def test_formulas_have_words_for_letters(self, explanation):
        text = explanation.to_text()
        assert f"{LONG} = [1  1]" in text
        for said in ("\\U0001f600", f"gamma_{WORD} = [1  1]", f"u5b57__{WORD} = [1  1]", "\\xe9"):
            assert said in text, said
        assert all(len(line) <= 80 for line in text.splitlines())

    def test_the_letters_are_kept_where_they_can_be(self, explanation):
        page = unescape(explanation.to_html())
        assert NAME in page
        assert "∂" in page
        assert "\ufffd" not in page
        assert NAME in unescape(explanation.to_markdown())
        assert NAME in json.loads(explanation.to_json())["settings"]
        assert NAME in to_text(explanation.trace, letters=True)


def größe(z, t):
    return 0.5


CODE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_surroundings as here
import fullyconnected as fc
net = fc.Network([fc.Dense(2, 2, here.Double()), here.Größe(), fc.Dense(2, 2)], dtype="float64", seed=0)
made = fc.explain(net, here.X, here.T, here.Squares(), here.Rule())
print(made, net, net.summary(), fc.check_gradients(net, here.X, here.T, here.Squares()))
fc.fit(net, here.X, here.T, here.Squares(), fc.SGD(0.01), epochs=2, metrics=[here.größe], progress=True)
for form in here.FORMS:
    Path(form).write_text(getattr(made, "to_" + form)())
Path("net.svg").write_text(fc.draw(net, here.X, here.T, here.Squares()))
Path("summary").write_text(net.summary())
"""


@pytest.mark.parametrize(
    "surroundings",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "utf-16"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_printing_and_writing_under_any_encoding(tmp_path, surroundings):
    (tmp_path / "run.py").write_text(CODE, encoding="utf-8")
    environment = {**HERE, **surroundings}
    command = [sys.executable, "-W", "error", "run.py", str(Path(__file__).parent)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    encoding = surroundings.get("PYTHONIOENCODING", "ascii")
    assert "\\u5b57" in done.stdout.decode(encoding)
    for name in (*FORMS, "net.svg", "summary"):
        assert (tmp_path / name).read_bytes().isascii()
    ElementTree.fromstring((tmp_path / "net.svg").read_bytes())
    ast.parse((tmp_path / "python").read_bytes())
    json.loads((tmp_path / "json").read_bytes())


def command(*arguments, folder, **surroundings):
    """Run the command line as its own process; return its status, standard output and standard error as bytes."""
    environment = {**HERE, **surroundings}
    line = [sys.executable, "-W", "error", "-m", "fullyconnected", *arguments]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True)
    return done.returncode, done.stdout, done.stderr


def lines(header, *rows):
    return "\n".join([header, *rows, ""])


TABLE = lines("Größe,\u03b3,種", *(f"{i % 7},{i % 3},{'猫' if i % 2 else 'né'}" for i in range(20)))
ANY = [{"PYTHONUTF8": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]


@pytest.mark.skipif(os.name != "posix", reason="file names are text here")
@pytest.mark.parametrize("surroundings", ANY, ids=str)
class TestCommands:
    """The command line, under a UTF-8 locale and under none."""

    def test_files_whose_names_are_not_utf_8(self, tmp_path, surroundings):
        folder = os.fsencode(tmp_path)
        table, model = b"caf\xe9 \xff.csv", b"\xe9.safetensors"
        try:
            with open(os.path.join(folder, table), "w", encoding="utf-8") as file:
                file.write(TABLE)
        except OSError:
            pytest.skip("this file system has UTF-8 names alone")
        train = (b"train", table, b"--target", "種".encode(), b"-o", model, b"--epochs", b"2", b"--hidden", b"4")
        status, out, err = command(*train, folder=folder, **surroundings)
        assert (status, b"Traceback" in err) == (0, False), err
        assert b"caf\\xe9 \\xff.csv: 20 rows, 3 columns" in b" ".join(out.split())
        status, out, err = command(b"predict", model, table, b"-o", b"\xff.csv", folder=folder, **surroundings)
        assert (status, out, err) == (0, b"", b"")
        with open(os.path.join(folder, b"\xff.csv"), encoding="utf-8") as file:
            assert set(file.read().split()) <= {"prediction", "猫", "né"}
        wanted = [part for form in FORMS for part in (f"--{form}".encode(), b"\xff." + form.encode())]
        explain = (b"explain", model, b"--data", table, b"--row", b"1", *wanted)
        status, out, err = command(*explain, folder=folder, **surroundings)
        assert (status, out, err) == (0, b"", b"")
        for form in FORMS:
            with open(os.path.join(folder, b"\xff." + form.encode()), encoding="utf-8") as file:
                written = file.read()
            assert written.isascii() or form == "text"
            assert "caf\\xe9 \\xff.csv" in unescape(written).replace("\\\\", "\\") or form == "python"
        status, out, err = command(b"predict", b"\xfe.safetensors", table, folder=folder, **surroundings)
        assert (status, err) == (2, b"fullyconnected: error: \\xfe.safetensors: No such file or directory\n")

    def test_names_and_labels_with_letters(self, tmp_path, surroundings):
        (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
        train = ("train", "t.csv", "--target", "種", "--epochs", "2", "--hidden", "4")
        status, out, err = command(*(each.encode() for each in train), folder=tmp_path, **surroundings)
        assert status == 0, err
        assert re.search("^Größe +number", out.decode(), re.MULTILINE)
        assert "classes: né, 猫\n" in out.decode()
        status, out, err = command("explain", "model.safetensors", "--data", "t.csv", folder=tmp_path, **surroundings)
        assert (status, err) == (0, b"")
        assert "inputs: x[0] is Größe" in out.decode()
        wrong = ("train", "t.csv", "--target", "größe")
        status, out, err = command(*(each.encode() for each in wrong), folder=tmp_path, **surroundings)
        assert status == 2
        assert err.decode("ascii" if "LC_ALL" in surroundings else "utf-8").count("\n") == 1
        assert b"did you mean" in err

    def test_a_terminal_of_another_encoding(self, tmp_path, monkeypatch, surroundings):
        (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        assert main(["train", "t.csv", "--target", "種", "-q", "--epochs", "2", "--hidden", "4", "--members", "2"]) == 0
        predict, explain = (
            ["predict", "model.safetensors", "t.csv"],
            ["explain", "model.safetensors", "--data", "t.csv"],
        )
        for stream, arguments, told in (("ascii", predict, "prediction"), ("cp1252", explain, "inputs: x[0] is Größe")):
            environment = {**HERE, **surroundings, "PYTHONIOENCODING": stream, "TERM": "dumb", "COLUMNS": "80"}
            ours, theirs = os.openpty()
            line = [sys.executable, "-W", "error", "-m", "fullyconnected", *arguments]
            running = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs, stdin=theirs)
            os.close(theirs)
            said = b""
            with contextlib.suppress(OSError):  # by which Linux says that the other end is closed
                while more := os.read(ours, 1 << 16):
                    said += more
            os.close(ours)
            assert running.wait() == 0, said
            assert told in said.decode(stream)
