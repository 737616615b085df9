"""``evaluate``: how good a model is on a table whose targets are known."""

import re
import subprocess
import sys

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.cli import main

from .conftest import flats, write

pytest.importorskip("sklearn", reason="what is trained is an estimator of scikit-learn")


def score(out, name):
    """The scores below a heading: of the model, in training, and of the trivial one."""
    block = re.search(rf"^{re.escape(name)}\n((?:  .*\n)+)", out, re.MULTILINE)[1]
    return {" ".join(line.split()[:-1]): float(line.split()[-1]) for line in block.splitlines()}


def test_classes(trained, capsys):
    columns = flats(60, seed=1)
    assert main(["evaluate", trained[1], write("new.csv", columns)]) == 0
    out = capsys.readouterr().out
    model = fc.load_estimator(trained[1])
    p, right = model.predict_proba(columns), np.array(columns["dear"])
    found = score(out, "accuracy")
    assert found["this model"] == pytest.approx(np.mean(model.predict(columns) == right), abs=1e-4)
    assert found.keys() == {"this model", "in training", "trivial"}
    there = np.searchsorted(model.classes_, right)
    assert score(out, "log-loss")["this model"] == pytest.approx(-np.log(p[np.arange(60), there]).mean(), rel=1e-3)
    recalls = re.findall(r"^(no|yes) +\d+ +\d+ +(\d+)%$", out, re.MULTILINE)
    for name, recall in recalls:
        assert float(recall) == pytest.approx(100 * np.mean(model.predict(columns)[right == name] == name), abs=1)
    assert len(recalls) == 2


def test_numbers(trained, capsys):
    columns = flats(60, seed=1)
    columns["price"][0] = ""
    assert main(["evaluate", trained[0], write("new.csv", columns)]) == 0
    out = capsys.readouterr().out
    assert "new.csv: 60 rows; 1 has no target" in out
    left = np.array(columns["price"][1:], float) - fc.load_estimator(trained[0]).predict(columns)[1:]
    assert score(out, "RMSE")["this model"] == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-3)
    assert re.search(rf"^largest +{re.escape(f'{left.max():.4g}')}$", out, re.MULTILINE)


def test_classes_that_the_model_does_not_know_are_counted(trained, capsys, error_of):
    columns = flats(20)
    columns["dear"][:3] = ["perhaps"] * 3
    assert main(["evaluate", trained[1], write("new.csv", columns)]) == 0
    assert "3 have a class that the model does not know" in capsys.readouterr().out
    columns["dear"] = ["perhaps"] * 20
    assert "no row has a class that the model knows" in error_of("evaluate", trained[1], write("new.csv", columns))


def test_one_row_and_one_class_are_enough(trained, capsys):
    assert main(["evaluate", trained[1], write("new.csv", {k: v[:1] for k, v in flats().items()})]) == 0
    assert "1 rows" not in capsys.readouterr().err


def test_an_estimator_whose_file_does_not_name_the_target(capsys, error_of):
    table = {"a": [1.0, 2.0] * 10, "b": ["x", "y"] * 10}
    fc.TabularClassifier(n_members=2, hidden=8, epochs=4, random_state=0).fit(table, [0, 1] * 10).save("m")
    path = write("t.csv", {**table, "answer": [0, 1] * 10})
    assert "name it: --target COLUMN" in error_of("evaluate", "m", path)
    assert main(["evaluate", "m", path, "--target", "answer"]) == 0
    assert score(capsys.readouterr().out, "accuracy")["this model"] == 1


def test_text_where_the_model_predicts_numbers(trained, error_of):
    columns = flats(8)
    columns["price"] = columns["dear"]
    said = error_of("evaluate", trained[0], write("text.csv", columns))
    assert said.endswith("is not a number; the model predicts numbers")


def test_a_table_without_the_target(trained, error_of):
    columns = flats(8)
    del columns["price"]
    assert "there is no column 'price' for --target" in error_of("evaluate", trained[0], write("t.csv", columns))


def test_what_does_not_train_loads_no_scikit_learn(trained):
    code = (
        "import sys\nfrom fullyconnected.cli import main\n"
        f"model, table = {trained[1]!r}, {trained[2]!r}\n"
        "for line in (['predict', model, table, '--proba'], ['evaluate', model, table], ['inspect', model]):\n"
        "    assert main(line) == 0\n"
        "print(sorted({'sklearn', 'scipy', 'pandas', 'narwhals', 'pyarrow', 'duckdb'} & {*sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
