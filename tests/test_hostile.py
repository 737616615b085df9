"""No command ends in a Python traceback, whatever tables, models and arguments it is given."""

from pathlib import Path

import numpy as np
import pytest

from fullyconnected.cli import main
from fullyconnected.files import read_model, write_model

TABLE = "\n".join(["a,\u03b3,y", *(f"{i % 7},{i % 3},{'猫' if i % 2 else 'né'}" for i in range(20)), ""])


BYTES = [
    b"", b"\n", b"\x00", b"\xff\xfe", b"\xff\xfe\x00\x00", b"\xef\xbb\xbf", b"PK\x03\x04\x14\x00", b"\x1f\x8b\x08",
    b"\x1a", b"sep=", b"sep=;\n", b"sep=;", b'sep="\n1', b"sep=\n\n", b'"', b'"\n', b'a,"b\ny', b'"a"b,y\n1,2\n',
    b"a,y", b"a,y\r1,2\r", b"y", b"y\n1\n2\n", b"a,y\n", b"a,y\n1,2\n", b"a,y\n1,1\n1,2\n", b",\n,\n", b",y\n1,2\n",
    b"a,a,y\n1,2,3\n", b"a,y,y\n1,2,3\n", b"a;b,y\n1;2,3\n", b"a|y\n1|2\n", b"a\ty\n1\t2\n", b"a,y\n1,2,\n3,4\n",
    b"a,y,\n1,2\n3,4\n", b"a,y\n1\n", b"a,y\n1,2,3\n", b"a,y\n\n\n1,2\n", b"a,y\n1,2\n\n\n", b"a,y\n1,2\n,,,\n\x1a",
    b"a,y\n1,NA\n2,?\n", b"a,y\nnan,1\ninf,2\n", b"a,y\n1e999,1\n2,2\n", b"a,y\n1e38,1\n-1e38,2\n3,1\n4,2\n",
    b"a,y\n1,1e38\n2,-1e38\n3,0\n", b"a,y\n1_0,1\n2,2\n", b"a,y\n0x1,1\n", b"a,y\nTrue,1\nFalse,2\n",
    b"a,y\n1,True\n2,False\n3,True\n4,False\n",
    "\u00e9,y\n1,\u732b\n2,\U0001f600\n3,\u732b\n4,\U0001f600\n".encode(), "a,y\n1,2\n".encode("utf-16"),
    "a,y\n1,2\n".encode("utf-16-le"), "a,y\n1,2\n".encode("utf-32"), b"caf\xe9,y\n1,2\n", b"a,y\n1,caf\xe9\n",
    b"a,caf\xe9,y\n1,2,3\n", b"a," + b"b" * 200_000 + b",y\n1,2,3\n2,3,4\n", b"a,y\n1," + b"b" * 200_000 + b"\n",
    b"a,y\n" + b"1," * 5000 + b"\n", b"a,y\n1,007\n2,07\n3,007\n4,07\n", b"a,y\n\x1b[2J,1\n",
    b"\x1b[2J,y\n1,a\n2,b\n3,a\n4,b\n", b'"a\nb",y\n1,2\n2,1\n1,2\n2,1\n', b"a,y\n1,-\n2,+\n3,-\n4,+\n",
    b"a,y\n1,=1+1\n2,@x\n3,=1+1\n4,@x\n", "a,y\n\u2212 1,2\n".encode(),
]  # fmt: skip


QUICK = ["--epochs", "1", "--hidden", "2", "--members", "2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "t.csv").write_text(TABLE, encoding="utf-8")
    path = str(folder / "m.safetensors")
    assert main(["train", str(folder / "t.csv"), "--target", "y", "-q", *QUICK, "-o", path]) == 0
    return path


def ends(capsys, *arguments):
    """Run a command in this process, and say how it ends."""
    try:
        status = main(list(arguments))
    except SystemExit as stop:  # argparse has shown the usage
        status = f"usage, and {stop.code}"
    err = capsys.readouterr().err
    if status == "usage, and 2":
        return err
    assert status in (0, 1, 2, 3)
    assert (status == 2) == ("fullyconnected: error: " in err)
    assert err.count("\n") == 1 or status != 2
    assert all(c.isprintable() or c == "\n" for c in err)
    return err


@pytest.mark.parametrize("number", range(len(BYTES)))
def test_tables(tmp_path, monkeypatch, capsys, model, number):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_bytes(BYTES[number])
    for more in ([], ["--task", "classification"], ["--task", "regression"]):
        ends(capsys, "train", "t.csv", "--target", "y", *QUICK, "-q", *more)
    ends(capsys, "predict", model, "t.csv")
    ends(capsys, "evaluate", model, "t.csv")
    ends(capsys, "explain", model, "--data", "t.csv")


def test_tables_at_random(tmp_path, monkeypatch, capsys, model):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    pieces = [
        b"a",
        b"y",
        b"\xce\xb3",
        b",",
        b",",
        b";",
        b"\n",
        b"\n",
        b"\r\n",
        b'"',
        b"1",
        b"2.5",
        b"-",
        b"NA",
        b" ",
        b"\xe9",
    ]
    for _ in range(300):
        chosen = random.choice(len(pieces), int(random.integers(1, 30)))
        (tmp_path / "t.csv").write_bytes(
            b"a,\xce\xb3,y\n" * int(random.integers(2)) + b"".join(pieces[i] for i in chosen)
        )
        ends(capsys, "predict", model, "t.csv")
        ends(capsys, "train", "t.csv", "--target", "y", *QUICK, "-q")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "t.csv", "--target", ""],
        ["train", "t.csv", "--target", "\udcff"],
        ["train", "t.csv", "--target", "y\x1b[2J\n"],
        ["train", "t.csv", "--target", "y", "--label", "\udcff"],
        ["train", "t.csv", "--target", "y", "--hidden", "1000000000,1000000000"],
        ["train", "t.csv", "--target", "y", "--hidden", "99999999999999999999"],
        ["train", "t.csv", "--target", "y", "--hidden", "\u00b2"],
        ["train", "t.csv", "--target", "y", "--seed", "9" * 5000],
        ["train", "t.csv", "--target", "y", "--seed", "9" * 100],
        ["train", "t.csv", "--target", "y", "--epochs", "9" * 30, "--max-time", "1e-30"],
        ["train", "t.csv", "--target", "y", "--members", "9" * 30, "--epochs", "1"],
        ["train", "t.csv", "--target", "y", "--max-time", "1e999"],
        ["train", "t.csv", "--target", "y", "--test", "nan"],
        ["train", "t.csv", "--target", "y", "--id", "\x1b[2J\n", "--ignore", ","],
        ["train", "t.csv", "--target", "y", "--table", "\udcff"],
        ["train", "t.csv", "--target", "y", "--query", "SELECT \udcff"],
        ["train", "t.csv", "--target", "y", "--report", "loop"],
        ["train", "t.csv", "--target", "y", "--checkpoint", "t.csv"],
        ["predict", "m.safetensors", "t.csv", "--id", "\udcff"],
        ["predict", "m.safetensors", "t.csv", "-o", "loop"],
        ["evaluate", "m.safetensors", "t.csv", "--target", "\udcff"],
        ["inspect", "t.csv"],
        ["inspect", "."],
        ["train", "t.csv", "--target", "y", "-o", "x" * 5000],
        ["train", "t.csv", "--target", "y", "-o", "\udcff/\udcff"],
        ["train", "t.csv", "--target", "y", "-o", "loop"],
        ["train", "loop", "--target", "y"],
        ["train", "x" * 5000, "--target", "y"],
        ["train", "", "--target", "y"],
        ["train", ".", "--target", "y"],
        ["predict", "", ""],
        ["predict", "t.csv", "t.csv"],
        ["predict", "loop", "loop"],
        ["predict", "m.safetensors", "\udcff"],
        ["explain", "m.safetensors", "--data", "t.csv", "--row", "9" * 100],
        ["explain", "m.safetensors", "--data", "t.csv", "--row", "-1"],
        ["explain", "m.safetensors", "--data", "t.csv", "--step", "1e-320"],
        ["explain", "m.safetensors", "--data", "t.csv", "--step", "1e300"],
        ["explain", "m.safetensors", "--data", "t.csv", "--focus", "\udcff"],
        ["explain", "m.safetensors", "--data", "t.csv", "--focus", "W1[" + "9" * 5000 + "]"],
        ["explain", "m.safetensors", "--data", "t.csv", "--optimizer", "\udcff"],
        ["explain", "xor", "--html", "loop"],
        ["explain", "\udcff"],
        ["check", "--import", ""],
        ["check", "--import", "."],
        ["check", "--import", "\udcff"],
        ["check", "--import", "raises_an_error"],
        ["check", "--import", "has_no_syntax"],
        ["\udcff"],
        ["train", "t.csv", "--target", "y", "--task", "\udcff"],
    ],
    ids=lambda arguments: ascii(" ".join(arguments))[:60],
)
def test_arguments(tmp_path, monkeypatch, capsys, model, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_bytes((Path(model).parent / "t.csv").read_bytes())
    (tmp_path / "m.safetensors").write_bytes(Path(model).read_bytes())
    (tmp_path / "raises_an_error.py").write_text("def f():\n    1 / 0\n\nf()\n", encoding="utf-8")
    (tmp_path / "has_no_syntax.py").write_text("1 +\n", encoding="utf-8")
    (tmp_path / "loop").symlink_to("loop")
    said = ends(capsys, *arguments)
    if "raises_an_error" in arguments:
        assert "ZeroDivisionError: division by zero (" in said
        assert "raises_an_error.py, line 2)" in said


def test_models_whose_labels_are_no_text(tmp_path, monkeypatch, capsys, model):
    monkeypatch.chdir(tmp_path)
    table = str(Path(model).parent / "t.csv")
    file = read_model(model)
    file.extras["tabular"]["labels"]["classes"] = ["\x1b[2J\n\x00", "\ud800\udcff"]
    write_model("m.safetensors", file)
    assert ends(capsys, "predict", "m.safetensors", table, "-o", "p.csv") == ""
    assert ends(capsys, "predict", "m.safetensors", table, "--probabilities") == ""
    said = ends(capsys, "explain", "m.safetensors", "--data", table)
    assert "is no class of the model" in said
    assert ends(capsys, "inspect", "m.safetensors") == ""
    assert ends(capsys, "inspect", "m.safetensors", "--json") == ""
    assert "no row has a class that the model knows" in ends(capsys, "evaluate", "m.safetensors", table)
