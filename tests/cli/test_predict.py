"""``predict``: labels, probabilities and the columns beside them, in the forms that are written."""

import csv
import json

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.cli import main

from .conftest import QUICK, flats, write

pytest.importorskip("sklearn", reason="what is trained is an estimator of scikit-learn")


def read(text, delimiter=","):
    return list(csv.reader(text.splitlines(), delimiter=delimiter))


def test_numbers_are_those_of_the_estimator(trained, capsys):
    price, _, table = trained
    assert main(["predict", price, table]) == 0
    (name,), *rows = read(capsys.readouterr().out)
    assert name == "prediction"
    expected = fc.load_estimator(price).predict(flats())
    np.testing.assert_allclose([float(each) for (each,) in rows], expected, rtol=1e-9)


@pytest.mark.parametrize("option", ["--proba", "--probabilities"])
def test_labels_and_their_probabilities(trained, capsys, option):
    _, dear, table = trained
    assert main(["predict", dear, table, option, "--id", "key,house"]) == 0
    header, *rows = read(capsys.readouterr().out)
    assert header == ["key", "house", "prediction", "probability no", "probability yes"]
    p = np.array([row[3:] for row in rows], float)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert [row[2] for row in rows] == [["no", "yes"][i] for i in p.argmax(axis=1)]
    assert [row[:2] for row in rows[:5]] == [[f"flat-{i:04d}", f"{i // 4}"] for i in range(5)]
    assert main(["predict", dear, table]) == 0
    assert [row[0] for row in read(capsys.readouterr().out)[1:]] == [row[2] for row in rows]


@pytest.mark.parametrize("given", [[], ["0.8"]])
def test_intervals(trained, capsys, given):
    price, _, table = trained
    assert main(["predict", price, table, "--interval", *given]) == 0
    header, *rows = read(capsys.readouterr().out)
    assert header == ["prediction", "low", "high"]
    expected = fc.load_estimator(price).predict_interval(flats(), *map(float, given))
    np.testing.assert_allclose([[float(cell) for cell in row[1:]] for row in rows], expected, rtol=1e-9)
    assert all(float(low) <= float(y) <= float(high) for y, low, high in rows)


def test_contributions_add_up_to_the_prediction(trained, capsys):
    price, dear, table = trained
    assert main(["predict", price, table, "--contributions"]) == 0
    header, *rows = read(capsys.readouterr().out)
    assert header == ["prediction", "size adds", "city adds", "listed adds", "house adds", "base value"]
    numbers = np.array(rows, float)
    np.testing.assert_allclose(numbers[:, 1:].sum(axis=1), numbers[:, 0], rtol=1e-5)
    assert main(["predict", dear, table, "--proba", "--contributions"]) == 0
    rows = read(capsys.readouterr().out)[1:]
    p = [float(row[1 + ["no", "yes"].index(row[0])]) for row in rows]
    np.testing.assert_allclose(np.array([row[3:] for row in rows], float).sum(axis=1), p, atol=1e-4)


def test_columns_are_found_by_name_and_others_are_ignored(trained, capsys, tmp_path):
    price, _, table = trained
    assert main(["predict", price, table]) == 0
    straight = capsys.readouterr().out
    columns = flats()
    turned = {name: columns[name] for name in ("listed", "city", "house", "size")} | {"note": list(range(160))}
    assert main(["predict", price, write("turned.csv", turned)]) == 0
    assert capsys.readouterr().out == straight


def test_forms(trained, capsys):
    _, dear, table = trained
    assert main(["predict", dear, table, "--proba", "--id", "key"]) == 0
    header, *rows = read(capsys.readouterr().out)
    assert main(["predict", dear, table, "--proba", "--id", "key", "-o", "p.tsv"]) == 0
    with open("p.tsv", encoding="utf-8") as file:
        assert read(file.read(), "\t") == [header, *rows]
    assert main(["predict", dear, table, "--proba", "--id", "key", "-o", "p.jsonl"]) == 0
    with open("p.jsonl", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    assert [[*record] for record in records] == [header] * len(rows)
    assert [record["prediction"] for record in records] == [row[1] for row in rows]
    np.testing.assert_allclose([r["probability yes"] for r in records], [float(r[3]) for r in rows], atol=1e-5)
    parquet = pytest.importorskip("pyarrow.parquet")
    assert main(["predict", dear, table, "--proba", "--id", "key", "-o", "p.parquet"]) == 0
    found = parquet.read_table("p.parquet").to_pydict()
    assert [*found] == header
    assert found["key"] == [row[0] for row in rows]


@pytest.mark.parametrize("name", ["p.xlsx", "p.json", "p.csv.gz"])
def test_forms_that_are_not_written(trained, error_of, tmp_path, name):
    assert "is not written; let the name end in .csv, " in error_of("predict", trained[0], trained[2], "-o", name)
    assert not (tmp_path / name).exists()


def test_a_level_and_a_gap_that_training_has_not_seen_are_predicted_for(trained, capsys):
    row = {"size": [""], "city": ["Hammerfest"], "listed": ["2025-02-01"], "house": [77]}
    assert main(["predict", trained[0], write("one.csv", row)]) == 0
    assert np.isfinite(float(read(capsys.readouterr().out)[1][0]))


@pytest.mark.parametrize("which", [0, 2])
def test_predictions_never_replace_what_they_are_made_from(trained, error_of, which):
    assert "would replace" in error_of("predict", trained[0], trained[2], "--output", trained[which])


def test_a_table_behind_interval_is_not_taken_for_a_number_without_a_word(trained, capsys):
    with pytest.raises(SystemExit):
        main(["predict", trained[0], "--interval", trained[2]])
    assert "is no number; with nothing behind it, --interval stands after" in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_predicted(trained, error_of, tmp_path):
    price, dear, table = trained
    assert "predicts a number, and no classes" in error_of("predict", price, table, "--proba")
    assert "there is no column 'kay' for --id; did you mean 'key'?" in error_of("predict", price, table, "--id", "kay")
    assert "predicts classes, and no numbers" in error_of("predict", dear, table, "--interval")
    assert "there is no column '' for --id" in error_of("predict", price, table, "--id", "")
    assert "coverage" in error_of("predict", price, table, "--interval", "2")
    assert error_of("predict", "none", table).startswith("none: No such file")
    fc.mlp([4, 3], seed=0).save("net.safetensors")
    assert "holds a network, and no estimator" in error_of("predict", "net.safetensors", table)
    columns = flats(8)
    columns["size"][2] = "big"
    said = error_of("predict", price, write("t.csv", columns), "-o", "p.csv")
    assert said.startswith("t.csv, line 4, column 'size': 'big' does not fit the column, which held numbers")
    del columns["city"]
    columns["town"] = ["Oslo"] * 8
    assert "t.csv: a column is missing: 'city'" in error_of("predict", price, write("t.csv", columns), "-o", "p.csv")
    assert not (tmp_path / "p.csv").exists()


def test_tables_of_a_database_and_of_queries(trained, capsys):
    import sqlite3

    price, _, table = trained
    assert main(["predict", price, table]) == 0
    straight = capsys.readouterr().out
    columns = flats()
    with sqlite3.connect("flats.sqlite") as base:
        for name in ("flats", "others"):
            base.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            rows = zip(*columns.values(), strict=True)
            base.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
    base.close()
    assert main(["predict", price, "flats.sqlite", "--table", "flats"]) == 0
    assert capsys.readouterr().out == straight
    query = "SELECT * FROM flats ORDER BY key LIMIT 5"
    assert main(["predict", price, "flats.sqlite", "--query", query]) == 0
    assert capsys.readouterr().out.splitlines() == straight.splitlines()[:6]
    pytest.importorskip("duckdb")
    write("flats.csv", columns)
    assert main(["predict", price, ".", "--query", "SELECT * FROM 'flats.csv' ORDER BY key LIMIT 5"]) == 0
    assert capsys.readouterr().out.splitlines() == straight.splitlines()[:6]


class TestIds:
    """What tells rows apart is written as it was read, or refused."""

    def saved(self, cells, name="t.parquet"):
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pytest.importorskip("narwhals")
        table = pyarrow.table(
            {"id": cells, "a": [0.5 * i for i in range(len(cells))], "y": [1.0 * i for i in range(len(cells))]}
        )
        parquet.write_table(table, name)
        return name

    def test_ids_of_every_kind(self):
        table = self.saved([0.123456789012345, 1e300, 3.0, None] * 8)
        assert main(["train", table, "--target", "y", "--id", "id", *QUICK]) == 0
        for cells, first in (
            ([0.123456789012345, 1e300, 3.0, None], ["0.123456789012345", "1e+300", "3", ""]),
            ([2**53 - 1, 7, 8, 9], ["9007199254740991", "7", "8", "9"]),
            ([True, False, True, None], ["true", "false", "true", ""]),
        ):
            table = self.saved(cells)
            assert main(["predict", "model.safetensors", table, "--id", "id", "-o", "p.csv"]) == 0
            with open("p.csv", encoding="utf-8") as file:
                assert [line.partition(",")[0] for line in file.read().splitlines()[1:]] == first

    def test_numbers_that_have_been_rounded_are_no_ids_labels_or_groups(self, error_of):
        table = self.saved([2**60 + i % 3 for i in range(32)])
        assert main(["train", table, "--target", "y", "--id", "id", *QUICK, "-q"]) == 0
        for command in (
            ["predict", "model.safetensors", table, "--id", "id", "-o", "p.csv"],
            ["train", table, "--target", "id", "--task", "classification"],
            ["train", table, "--target", "y", "--group", "id"],
        ):
            said = error_of(*command)
            assert "whole numbers of 2**53 and more are rounded" in said
            assert said.endswith("need all their digits: write them as text")
