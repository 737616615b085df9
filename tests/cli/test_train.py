"""``train``: what it says of a table, what it saves, and what it refuses."""

import os
import re

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.assessment.stored import facts_in
from fullyconnected.cli import main
from fullyconnected.files import read_model

from .conftest import QUICK, flats, write

pytest.importorskip("sklearn", reason="what is trained is an estimator of scikit-learn")


def train(columns, *options, path="t.csv"):
    """Train quickly on a dict of columns."""
    return main(["train", write(path, columns), *map(str, options), *QUICK])


def facts():
    return facts_in(read_model("model.safetensors"))


class TestWhatIsSaid:
    def test_numbers(self, capsys):
        assert train(flats(), "--target", "price", "--ignore", "dear", "--id", "key") == 0
        told = capsys.readouterr()
        assert "t.csv: 160 rows, 7 columns" in told.out
        assert "price: regression (numbers" in told.out
        assert "128 rows to learn from, 32 held out as the test part" in told.out
        assert re.search(r"^size +number +\d", told.out, re.MULTILINE)
        assert re.search(r"^city +category +3  3 different texts", told.out, re.MULTILINE)
        assert "key" not in re.findall(r"^(\w+) +\w+ +\d", told.out, re.MULTILINE)
        blocks = re.findall(r"^(R2|RMSE)\n  this model +(\S+) +(\S+)\n  linear model", told.out, re.MULTILINE)
        assert [name for name, *_ in blocks] == ["R2", "RMSE"]
        assert re.search(r"^  trivial +-?0\S* +-?\d", told.out, re.MULTILINE)
        assert "test rows, the truth minus the prediction:" in told.out
        assert "what to look at next:" in told.out
        assert "fullyconnected predict model.safetensors TABLE" in told.out
        assert "epoch 8/8" in told.err

    def test_classes(self, capsys):
        assert train(flats(), "--target", "dear", "--ignore", "price,key") == 0
        out = capsys.readouterr().out
        assert "dear: classification (text, 2 different values; change this with --task)" in out
        assert "classes: no, yes" in out
        assert re.search(r"^class +no +yes +recall$", out, re.MULTILINE)
        assert "accuracy" in out
        assert "log-loss" in out

    def test_every_line_fits_a_narrow_terminal(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "40")
        assert train(flats(), "--target", "dear", "--ignore", "price,key", "--compare") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if len(line) > 40] == ["  fullyconnected predict model.safetensors TABLE"]

    def test_other_models_are_scored_on_the_same_rows(self, capsys):
        assert train(flats(), "--target", "price", "--ignore", "dear,key", "--compare") == 0
        out = capsys.readouterr().out
        for name in ("linear model", "boosted trees", "random forest"):
            assert len(re.findall(rf"^  {name} +\S+ +\S+$", out, re.MULTILINE)) == 2
            assert re.search(rf"^  {name} +\d+\.\d$", out, re.MULTILINE)  # seconds

    def test_a_leak_is_named(self, capsys):
        columns = {**flats(), "paid": [f"{float(each) * 1.25:.3f}" for each in flats()["price"]]}
        assert train(columns, "--target", "price", "--id", "key") == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "leak? 'paid': it has the order of the target" in out
        assert "'paid' may give the target away" in out
        assert "--ignore paid" in out

    @pytest.mark.parametrize("target", ["dear", "price"])
    def test_a_page(self, capsys, target):
        columns = {**flats(), "paid": [f"{float(each) * 1.25:.3f}" for each in flats()["price"]]}
        other = {"dear": "price", "price": "dear"}[target]
        assert train(columns, "--target", target, "--ignore", other, "--report", "r.html") == 0
        assert "the report is r.html" in capsys.readouterr().out
        with open("r.html", encoding="utf-8") as file:
            page = file.read()
        assert page.startswith("<!doctype html>")
        for said in ("this model", "linear model", "trivial", "32 test rows", "What to look at next", "paid"):
            assert said in page

    def test_nothing_if_it_is_to_be_quiet(self, capsys):
        assert train(flats(), "--target", "price", "-q") == 0
        assert capsys.readouterr() == ("", "")


class TestRoles:
    def test_the_file_says_what_columns_were_for(self):
        columns = {**flats(), "w": np.arange(160) % 3}
        options = ("--ignore", "dear", "--id", "key", "--weight", "w", "--group", "house", "-q")
        assert train(columns, "--target", "price", *options) == 0
        found = facts()
        assert (found.roles.target, found.roles.ids, found.roles.ignore) == ("price", ("key",), ("dear",))
        assert (found.roles.weight, found.roles.group, found.table) == ("w", "house", "t.csv")
        assert fc.load_estimator("model.safetensors").feature_names_in_.tolist() == ["size", "city", "listed"]

    def test_the_latest_rows_are_the_test_part_and_later_rows_judge_earlier_ones(self, capsys):
        columns = flats()
        options = ("--target", "price", "--ignore", "dear", "--id", "key", "--time", "listed", "--compare")
        assert train(columns, *options) == 0
        assert facts().roles.time == "listed"
        late = np.sort(columns["listed"])[128]
        held = sum(day >= late for day in columns["listed"])
        assert facts().test_rows == held
        out = capsys.readouterr().out
        assert len(re.findall(r"^  random forest +\S+ +\S+$", out, re.MULTILINE)) == 2
        assert fc.load_estimator("model.safetensors").cv is None

    def test_rows_without_a_target_are_left_out_and_counted(self, capsys):
        columns = flats()
        columns["price"][3:10] = ["NA", "", "?", "", "", "n/a", ""]
        assert train(columns, "--target", "price", "--ignore", "dear") == 0
        assert "t.csv: 160 rows, 7 columns; 7 rows have no 'price', and are left out" in " ".join(
            capsys.readouterr().out.split()
        )
        assert facts().lacking == 7

    def test_all_rows_can_be_learned_from(self, capsys):
        assert train(flats(), "--target", "price", "--test", "0") == 0
        out = capsys.readouterr().out
        assert "160 rows to learn from, 0 held out" in out
        assert "held-out rows, the truth minus the prediction" in out
        assert (facts().rows, facts().test_rows) == (160, 0)

    def test_a_label_that_looks_like_a_missing_value_is_one_where_it_is_said_to_be(self, capsys):
        columns = flats()
        columns["dear"] = ["NA" if each == "no" else each for each in columns["dear"]]
        assert train(columns, "--target", "dear", "--ignore", "price", "--label", "NA", "-q") == 0
        assert fc.load_estimator("model.safetensors").classes_.tolist() == ["NA", "yes"]

    def test_the_same_command_gives_the_same_file(self, tmp_path):
        for path in ("a", "b"):
            assert train(flats(), "--target", "price", "-q", "--seed", "3", "-o", path) == 0
        first, second = (read_model(path) for path in ("a", "b"))
        assert np.array_equal(first.theta, second.theta)


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a,b\n1,2\n", "there is no column 'y' for --target; the columns are 'a', 'b'"),
            ("a,Y1\n1,2\n", "there is no column 'y' for --target; did you mean 'Y1'?"),
            ("a,y\n1,u\n", "has one row; two are needed"),
            ("a,y\n1,u\n2,u\n3,u\n", "column 'y' holds 'u' in every row; there is nothing to learn"),
            ("a,y\n1,\n2,NA\n", "column 'y' is missing in every row; there is nothing to learn"),
            ("a,y\n1,u\n2,\n", "one row alone has a 'y'"),
            ("y\n1\n2\n", "there is no column to predict 'y' from"),
            ("a,y\n1,2\n2,3\n3,4\n4,5\n5,6\n6,x\n", "column 'y': 'x' is not a number, as most cells of the column"),
            ("a,y\n1,u\n2,v\n3,w\n", "holds 3 different texts in 3 rows, which look like names"),
            ("a,y\n1,2024-01-01\n2,2024-01-02\n", "column 'y' holds dates, which cannot be predicted"),
            ("a,a,y\n1,2,3\n", "both named 'a'"),
            ("a,y\n", "there are columns, but no rows"),
            ("", "the file is empty"),
            ("a,b,y\n1,2\n", "line 2: "),
        ],
    )
    def test_of_tables(self, error_of, text, message):
        with open("t.csv", "w", encoding="utf-8") as file:
            file.write(text)
        said = error_of("train", "t.csv", "--target", "y", *QUICK)
        assert said.startswith("t.csv")
        assert message in said

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--epochs", "0"), "epochs must be 1 or more"),
            (("--members", "1"), "--members must be 2 or more"),
            (("--seed", "-1"), "--seed is a whole number from 0"),
            (("--test", "1"), "--test must be 0 or more and less than 1"),
            (("--max-time", "never"), "--max-time"),
            (("--id", "hause"), "t.csv: there is no column 'hause' for --id; did you mean 'house'?"),
            (("--ignore", "city,town"), "there is no column 'town' for --ignore"),
            (("--group", "price"), "--group price: this is the column to predict"),
            (("--weight", "city"), "column 'city': '"),
            (("--time", "city"), "is text, as the column is; times are dates"),
            (("--group", "house", "--time", "listed"), "--group and --time cannot both"),
            (("--weight", "size"), "the cell is empty"),
            (("--output", "t.csv"), "would replace an input file"),
            (("--report", "t.csv"), "--report t.csv would replace an input file"),
            (("--report", "m", "--output", "m"), "--output and --report need different files"),
            (("--report", "./m", "--output", "m"), "--output and --report need different files"),
            (("--ignore", ""), "there is no column '' for --ignore"),
            (("--id", " , "), "there is no column ' , ' for --id"),
            (("--output", "."), "is a folder"),
            (("--output", "missing/m.safetensors"), "in a folder that does not exist"),
            (("--task", "regression", "--target", "dear"), "is not a number; for text, use --task classification"),
        ],
    )
    def test_of_options(self, error_of, options, message, tmp_path):
        write("t.csv", flats())
        assert message in error_of("train", "t.csv", "--target", "price", *QUICK, *options)
        assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]

    @pytest.mark.parametrize("option", ["--lr", "--batch-size", "--patience", "--monitor", "--average", "--validation"])
    def test_of_options_that_have_gone(self, capsys, option):
        with pytest.raises(SystemExit) as stop:
            main(["train", "t.csv", "--target", "y", option, "1"])
        assert stop.value.code == 2
        err = " ".join(capsys.readouterr().err.split())
        assert f"{option} was an option of the plain network" in err
        assert f"fc.fit(..., {option.strip('-').replace('-', '_').replace('lr', 'optimizer')}" in err

    @pytest.mark.parametrize(
        "options", [("--hidden", "8,"), ("--hidden", "0"), ("--task", "guess"), ("--epochs", "x"), ()]
    )
    def test_of_the_command_itself_show_its_usage(self, capsys, options):
        target = ("--target", "y") if options else ()
        with pytest.raises(SystemExit) as stop:
            main(["train", "t.csv", *target, *options])
        assert stop.value.code == 2
        assert "usage: fullyconnected train" in capsys.readouterr().err

    def test_what_is_not_installed(self, error_of, monkeypatch):
        import sys

        for name in [name for name in sys.modules if name.startswith("fullyconnected.estimators")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "sklearn", None)
        write("t.csv", flats(8))
        assert "pip install 'fullyconnected[sklearn]'" in error_of("train", "t.csv", "--target", "price")

    def test_a_weight_below_zero(self, error_of):
        write("t.csv", {"a": [1, 2, 3, 4], "w": [1, 1, -2, 1], "y": [1.5, 2.5, 3.5, 5]})
        said = error_of("train", "t.csv", "--target", "y", "--weight", "w", *QUICK)
        assert said == "t.csv, line 4, column 'w': -2 is no weight; a number of 0 or more is wanted"


class TestHardTables:
    def test_huge_numbers(self, capsys):
        rng = np.random.default_rng(0)
        columns = {"a": rng.normal(size=60) * 1e300, "b": rng.normal(size=60), "y": rng.normal(size=60) * 1e150}
        assert train(columns, "--target", "y", "--compare") == 0
        assert "this model" in capsys.readouterr().out

    def test_what_goes_wrong_after_the_training_does_not_lose_the_model(self, error_of, monkeypatch):
        from fullyconnected.estimators.rivals import Rival

        def full(*arguments):
            raise MemoryError("12 GB are wanted")

        monkeypatch.setattr(Rival, "fit", full)
        write("t.csv", flats())
        assert "there is not enough memory: 12 GB" in error_of("train", "t.csv", "--target", "price", "-q", *QUICK)
        assert np.isfinite(fc.load_estimator("model.safetensors").predict(flats())).all()

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
    def test_a_page_that_cannot_be_written_does_not_hide_where_the_model_is(self, capsys):
        assert train(flats(), "--target", "price", "--report", "/dev/full") == 2
        captured = capsys.readouterr()
        assert "/dev/full: No space left on device; the model is saved to model.safetensors" in captured.err
        assert "fullyconnected predict model.safetensors TABLE" in captured.out
        assert np.isfinite(fc.load_estimator("model.safetensors").predict(flats())).all()

    def test_a_model_that_can_be_saved_nowhere_is_told_with_both_reasons(self, error_of, monkeypatch, tmp_path):
        from fullyconnected.assessment import stored

        def full(estimator, facts, path):
            raise OSError(28, "No space left on device", path)

        monkeypatch.setattr(stored, "save", full)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        write("t.csv", flats())
        said = error_of("train", "t.csv", "--target", "price", "-q", *QUICK)
        assert said.startswith("model.safetensors: No space left on device; nor can the model be saved to a temporary")
        assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]

    def test_one_row_is_not_called_rows(self, capsys):
        columns = flats(40)
        columns["price"][3] = ""
        assert train(columns, "--target", "price", "--test", "0") == 0
        assert "1 row has no 'price', and is left out" in " ".join(capsys.readouterr().out.split())

    def test_ctrl_c_while_other_models_are_trained_saves_the_model(self, capsys, monkeypatch):
        from fullyconnected.estimators.rivals import Rival

        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(Rival, "fit", interrupted)
        assert train(flats(), "--target", "price", "--compare", "-q") == 130
        assert "are saved" in capsys.readouterr().err
        assert facts().models == ()
        assert np.isfinite(fc.load_estimator("model.safetensors").predict(flats())).all()
        assert main(["inspect", "model.safetensors"]) == 0

    def test_two_rows(self, capsys):
        assert train({"a": [1, 2], "y": ["no", "yes"]}, "--target", "y", "--task", "classification", "--test", "0") == 0
        assert "2 training rows are few" in " ".join(capsys.readouterr().out.split())

    def test_a_column_of_very_many_levels(self):
        rows = 2500
        columns = {"a": [f"level {i // 2}" for i in range(rows)], "b": np.arange(rows) % 7, "y": np.arange(rows) % 2}
        assert train(columns, "--target", "y", "-q", "--epochs", "1") == 0

    def test_a_class_of_one_row_is_learned_from(self, capsys):
        columns = {"a": list(range(41)), "y": ["u", "v"] * 20 + ["w"]}
        assert train(columns, "--target", "y") == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "'w' has one row, too few to learn from" in out
        assert fc.load_estimator("model.safetensors").classes_.tolist() == ["u", "v", "w"]


def test_a_training_that_was_killed_goes_on_from_its_checkpoint(tmp_path, capsys):
    for path in ("first", "again"):
        assert train(flats(), "--target", "price", "--ignore", "dear", "--checkpoint", "run", "-o", path) == 0
    assert (tmp_path / "run" / "run.json").exists()
    first, again = (read_model(path) for path in ("first", "again"))
    assert np.array_equal(first.theta, again.theta)
    assert fc.load_estimator("again").checkpoint is None


class TestFilesOfParquet:
    @pytest.fixture(autouse=True)
    def parts(self):
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pytest.importorskip("narwhals")
        os.mkdir("rows")
        table = pyarrow.table({**flats(), "price": [float(each) for each in flats()["price"]]})
        parquet.write_table(table, "whole.parquet")
        for i in range(4):
            parquet.write_table(table.slice(40 * i, 40), f"rows/part-{i}.parquet")

    TARGET = ("--target", "price", "--ignore", "dear", "--id", "key")

    def test_a_folder_and_a_pattern_are_the_table_of_their_files(self, capsys):
        said = []
        for table in ("whole.parquet", "rows", "rows/part-*.parquet"):
            assert main(["train", table, *self.TARGET, *QUICK]) == 0
            first, *rest = capsys.readouterr().out.splitlines()
            assert first == f"{table}: 160 rows, 7 columns"
            said.append([line for line in rest if not re.match("  (this|linear) model +[0-9.]+$", line)])  # seconds
        assert said[0] == said[1] == said[2]
        assert main(["predict", "model.safetensors", "rows", "-o", "p.csv"]) == 0
        with open("p.csv", encoding="utf-8") as file:
            assert len(file.readlines()) == 161

    def test_what_cannot_be_used_is_named(self, error_of):
        assert error_of("train", "part-*.parquet", *self.TARGET) == "there is no file part-*.parquet"
        for table in ("rows", "rows/*.parquet"):
            said = error_of("train", table, *self.TARGET, "-o", "rows/part-1.parquet")
            assert said == "--output rows/part-1.parquet would replace an input file; choose another name"
        with open("rows/part-2.parquet", "r+b") as file:
            file.truncate(1000)
        assert error_of("train", "rows", *self.TARGET).startswith(
            os.path.join("rows", "part-2.parquet") + ": the file is cut short"
        )

    def test_predictions_are_no_part_of_the_table(self, error_of):
        assert main(["train", "rows", *self.TARGET, *QUICK, "-q"]) == 0
        for table in ("rows", "rows/*.parquet"):
            said = error_of("predict", "model.safetensors", table, "-o", "rows/said.parquet")
            assert said == f"--output rows/said.parquet would be a part of the table {table}: choose another folder"
        assert main(["predict", "model.safetensors", "rows", "-o", "rows/said.csv"]) == 0
        assert main(["predict", "model.safetensors", "rows/part-*.parquet", "-o", "rows/said.parquet"]) == 0

    def test_a_cell_that_cannot_be_learned_from_has_its_file(self, error_of):
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        for i in range(2):
            cells = {"a": [1.0, 2.0, 3.0, np.inf if i else 4.0], "y": [1.0, 2.0, 3.0, 4.0]}
            parquet.write_table(pyarrow.table(cells), f"far-{i}.parquet")
        said = error_of("train", "far-?.parquet", "--target", "y", "--test", "0")
        assert said.startswith("far-1.parquet, row 4, column 'a': inf is no finite number")
