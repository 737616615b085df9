"""The estimators for tables, on rows that need not be in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import columnar, errors
from fullyconnected.core import mapped
from fullyconnected.tables import gathered

pytest.importorskip("sklearn")
pytest.importorskip("narwhals")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

QUICK = {"epochs": 2, "hidden": (8,), "n_members": 2, "random_state": 0}


def table(rows: int = 240) -> Any:
    rng = np.random.default_rng(0)
    area, city = rng.normal(size=rows), rng.choice(["Oslo", "Rome", "Bern"], rows)
    gaps = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows))
    days = np.datetime64("2024-01-01") + rng.integers(0, 900, rows)
    price = 2 * area + (city == "Oslo") + 0.1 * rng.normal(size=rows)
    kind = np.where(price > 0, "dear", "cheap")
    weight = rng.integers(0, 3, rows).astype(float)
    return pa.table(
        {"area": area, "city": city, "gaps": gaps, "day": days, "price": price, "kind": kind, "weight": weight}
    )


INPUTS = ["area", "city", "gaps", "day"]
ROWS = table()


@pytest.fixture(params=["in memory", "in files"])
def folder(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parquet files, of which all that is kept is in memory, or all in files, and read a few rows at a time."""
    for i in range(3):
        pq.write_table(ROWS.slice(80 * i, 80), tmp_path / f"{i}.parquet", row_group_size=30)
    if request.param == "in files":
        monkeypatch.setattr(mapped, "LARGE", 1)
        monkeypatch.setattr(columnar, "CELLS", 200)
        monkeypatch.setattr(gathered, "BLOCK", 100)
    return tmp_path


@pytest.mark.parametrize(("kind", "target"), [(fc.TabularClassifier, "kind"), (fc.TabularRegressor, "price")])
def test_a_source_gives_what_the_table_in_memory_gives(folder: Path, kind: Any, target: str) -> None:
    y = ROWS[target].to_numpy(zero_copy_only=False)
    expected = kind(**QUICK).fit(ROWS.select(INPUTS), y)
    rows = fc.Parquet(folder, target, columns=INPUTS)
    model = kind(**QUICK).fit(rows)
    assert np.array_equal(model.oof_predictions_, expected.oof_predictions_)
    assert np.array_equal(model.feature_importances_, expected.feature_importances_)
    assert model.report_.columns == expected.report_.columns
    assert model.feature_names_in_.tolist() == INPUTS
    outputs = "predict_proba" if kind is fc.TabularClassifier else "predict_interval"
    for name in ("predict", "contributions", outputs):
        found, wanted = (getattr(model, name)(X) for X in (rows, ROWS.select(INPUTS)))
        if name == "contributions" or found.dtype.kind == "f":
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
        else:
            assert np.array_equal(found, wanted)
    assert model.score(rows) == pytest.approx(expected.score(ROWS.select(INPUTS), y))
    model.save(folder / "model")
    for loaded in (fc.load_estimator(folder / "model"), fc.Predictor(folder / "model")):
        assert np.array_equal(loaded.predict(rows), model.predict(rows))


def test_windows_are_the_same_wherever_rows_lie(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fc.TabularRegressor(**QUICK).fit(ROWS.select(INPUTS), ROWS["price"].to_numpy())
    monkeypatch.setattr("fullyconnected.tabular.training.WINDOW", 64 * 8 * 14)
    model = fc.TabularRegressor(**QUICK).fit(ROWS.select(INPUTS), ROWS["price"].to_numpy())
    other = fc.TabularRegressor(**QUICK).fit(fc.Parquet(folder, "price", columns=INPUTS))
    assert np.array_equal(model.oof_predictions_, other.oof_predictions_)
    assert not np.array_equal(model.oof_predictions_, whole.oof_predictions_)


def test_weights_are_those_of_the_source_and_rows_without_weight_are_as_if_they_were_not_there(folder: Path) -> None:
    w, y = ROWS["weight"].to_numpy(), ROWS["price"].to_numpy()
    rows = fc.Parquet(folder, "price", weight="weight", columns=INPUTS)
    model = fc.TabularRegressor(**QUICK).fit(rows)
    expected = fc.TabularRegressor(**QUICK).fit(ROWS.select(INPUTS), y, sample_weight=w)
    assert np.array_equal(model.oof_predictions_, expected.oof_predictions_)
    assert model.score(rows) == pytest.approx(expected.score(ROWS.select(INPUTS), y, sample_weight=w))


def test_a_splitter_a_group_and_a_score_of_ones_own(folder: Path) -> None:
    from sklearn.model_selection import KFold

    def shares(estimator: Any, X: Any, y: Any) -> float:
        return -float(np.abs(estimator.predict(X) - y).mean())

    y, groups = ROWS["price"].to_numpy(), np.arange(len(ROWS)) // 4
    for settings, how in (({"cv": KFold(2)}, {}), ({"scoring": shares}, {}), ({}, {"groups": groups})):
        model = fc.TabularRegressor(**QUICK, **settings).fit(fc.Parquet(folder, "price", columns=INPUTS), **how)
        expected = fc.TabularRegressor(**QUICK, **settings).fit(ROWS.select(INPUTS), y, **how)
        assert np.array_equal(model.oof_predictions_, expected.oof_predictions_)


def test_arrays_in_files_and_sources_of_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "LARGE", 1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    np.save(tmp_path / "x.npy", x)
    y = x[:, 0] - x[:, 1]

    class Rows(fc.Source):
        shape, dtype = x.shape, x.dtype

        def block(self, start: int, stop: int) -> Any:
            return x[start:stop]

    expected = fc.TabularRegressor(**QUICK).fit(x, y)
    for X in (Rows(), np.load(tmp_path / "x.npy", mmap_mode="r")):
        model = fc.TabularRegressor(**QUICK).fit(X, y)
        assert np.array_equal(model.predict(X), expected.predict(x))
        assert "feature_names_in_" not in vars(model)


def test_columns_are_found_by_their_names_whatever_else_a_source_has(folder: Path) -> None:
    model = fc.TabularRegressor(**QUICK).fit(fc.Parquet(folder, "price", columns=INPUTS))
    turned = fc.Parquet(folder, columns=["weight", *INPUTS[::-1]])
    assert np.array_equal(model.predict(turned), model.predict(fc.Parquet(folder, columns=INPUTS)))
    with pytest.raises(errors.ShapeError, match="now missing:\n- day"):
        model.predict(fc.Parquet(folder, columns=INPUTS[:3]))


class TestBadInput:
    def test_targets_that_are_not_there_or_there_twice(self, folder: Path) -> None:
        with pytest.raises(errors.InputTypeError, match="y is missing: this Parquet has no targets of its own"):
            fc.TabularRegressor().fit(fc.Parquet(folder, columns=INPUTS))
        with pytest.raises(errors.ConfigError, match="y is given, and X, a Parquet, has its own"):
            fc.TabularRegressor().fit(fc.Parquet(folder, "price"), ROWS["price"])
        with pytest.raises(errors.InputTypeError, match=r"the path 'rows.parquet', and rows are wanted: fc.Parquet"):
            fc.TabularRegressor().fit("rows.parquet", [1.0])

    def test_a_number_that_is_infinite_has_its_place(self, folder: Path) -> None:
        far = ROWS.set_column(0, "area", pa.array(np.where(np.arange(240) == 200, np.inf, 1.0)))
        for i in range(3):
            pq.write_table(far.slice(80 * i, 80), folder / f"{i}.parquet", row_group_size=30)
        with pytest.raises(errors.DataError, match=r"'area', row 200 \(.*2.parquet, row group 1, its row 10\): inf"):
            fc.TabularRegressor(**QUICK).fit(fc.Parquet(folder, "price", columns=INPUTS))

    def test_a_cell_of_another_kind_in_a_prediction_has_its_row(self, folder: Path) -> None:
        model = fc.TabularRegressor(**QUICK).fit(fc.Parquet(folder, "price", columns=["area"]))
        text = fc.ArrowTable(pa.table({"area": ["1.5"] * 60 + ["much"]}))
        with pytest.raises(errors.DataError, match=r"column 'area', row 60: 'much' does not fit"):
            model.predict(text)

    def test_a_file_that_vanishes(self, folder: Path) -> None:
        rows = fc.Parquet(folder, "price", columns=INPUTS)
        (folder / "1.parquet").unlink()
        model = fc.TabularRegressor(**QUICK)
        with pytest.raises(errors.FileAccessError, match=r"1.parquet is gone"):
            model.fit(rows)
        assert not hasattr(model, "ensemble_")
