"""The estimators for tables: whatever table goes in, what comes out, and what is said of it."""

import copy
import pickle
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import fullyconnected as fc
from fullyconnected.estimators.tabular_parameters import TABULAR_REGRESSOR
from fullyconnected.tabular.budget import LEAST
from fullyconnected.tabular.recipe import PRESETS, Recipe
from fullyconnected.training.run import Run

QUICK = {"n_members": 3, "hidden": (24,), "epochs": 12, "random_state": 0, "n_jobs": 1}


def table_of(rows: int = 160, seed: int = 0) -> tuple[dict[str, list[Any]], list[str], np.ndarray]:
    """Return a table with numbers, gaps, text, booleans and dates, labels, and numbers that depend on it."""
    rng = np.random.default_rng(seed)
    size, city = rng.normal(size=rows), rng.choice(["Oslo", "Bergen", "Troms\xf8"], rows)
    member, day = rng.random(rows) > 0.5, np.datetime64("2024-01-01") + rng.integers(0, 700, rows)
    value = 2 * size + 3 * (city == "Oslo") + member
    table = {
        "size": [None if i % 9 == 4 else each for i, each in enumerate(size.tolist())],
        "city": [None if i % 11 == 3 else each for i, each in enumerate(city.tolist())],
        "member": member.tolist(),
        "day": day.tolist(),
        "country": ["NO"] * rows,
    }
    return table, np.where(value > 1, "high", "low").tolist(), value


TABLE, LABELS, VALUES = table_of()


def classifier(**settings: Any) -> Any:
    return fc.TabularClassifier(**{**QUICK, **settings})


def regressor(**settings: Any) -> Any:
    return fc.TabularRegressor(**{**QUICK, **settings})


def rows_of(table: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # what a report looks like depends on it


@pytest.fixture(scope="module")
def model() -> Any:
    return classifier().fit(TABLE, LABELS)


class TestTables:
    def test_a_table_goes_in_as_it_is_and_no_warning_comes_out(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model, values = classifier().fit(TABLE, LABELS), regressor().fit(TABLE, VALUES)
        assert model.score(TABLE, LABELS) > 0.85
        assert values.score(TABLE, VALUES) > 0.8
        assert model.classes_.tolist() == ["high", "low"]
        assert model.feature_names_in_.tolist() == list(TABLE)
        assert model.n_features_in_ == 5
        assert model.n_outputs_ == 2
        assert values.n_outputs_ == 1
        assert model.n_iter_ == 12

    def test_every_form_of_a_table_gives_the_same_predictions(self, model: Any) -> None:
        pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
        arrow = pytest.importorskip("pyarrow")
        wanted = model.predict_proba(TABLE)
        for form in (pandas.DataFrame(TABLE), polars.DataFrame(TABLE), arrow.table(TABLE), rows_of(TABLE)):
            np.testing.assert_array_equal(model.predict_proba(form), wanted)
            again = classifier().fit(form, LABELS)
            np.testing.assert_array_equal(again.predict_proba(form), wanted)

    def test_columns_are_known_by_name_and_others_are_not_looked_at(self, model: Any) -> None:
        turned = {name: TABLE[name] for name in reversed(TABLE)} | {"more": [1] * 160}
        del turned["country"]  # which was the same in all rows
        np.testing.assert_array_equal(model.predict_proba(turned), model.predict_proba(TABLE))
        one = rows_of(TABLE)[5]
        np.testing.assert_allclose(model.predict_proba(one), model.predict_proba(TABLE)[5:6], rtol=1e-5)

    def test_a_dataframe_in_another_order_is_refused_with_what_to_do(self, model: Any) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(TABLE)
        turned = frame[frame.columns[::-1]]
        with pytest.raises(ValueError, match=r"same order as they were in fit\.\nPut them in it: X\[list"):
            model.predict(turned)
        np.testing.assert_array_equal(model.predict(turned[list(model.feature_names_in_)]), model.predict(frame))
        np.testing.assert_array_equal(model.predict(frame.assign(more=1)), model.predict(frame))

    def test_a_missing_column_is_named_with_the_nearest_one(self, model: Any) -> None:
        table = {**TABLE, "City ": TABLE["city"]}
        del table["city"]
        with pytest.raises(ValueError, match=r"yet now missing:\n- city\na column is missing: 'city'; is it 'City '"):
            model.predict(table)
        with pytest.raises(ValueError, match="X has 2 features, but TabularClassifier is expecting 3 features"):
            classifier().fit(np.eye(3).repeat(4, axis=0), [0, 1] * 6).predict([[1.0, 2.0]])

    def test_names_that_only_one_of_both_tables_has_are_warned_of(self, model: Any) -> None:
        plain = [list(row.values()) for row in rows_of(TABLE)]
        with pytest.warns(UserWarning, match="X does not have valid feature names") as seen:
            found = model.predict_proba(plain)
        assert seen[0].filename == __file__
        np.testing.assert_array_equal(found, model.predict_proba(TABLE))
        unnamed = classifier().fit(plain, LABELS)
        assert not hasattr(unnamed, "feature_names_in_")
        with pytest.warns(UserWarning, match="X has feature names, but TabularClassifier was fitted without"):
            unnamed.predict(TABLE)

    def test_unknown_levels_and_new_gaps_have_their_place(self, model: Any) -> None:
        odd = {**{name: [None] * 2 for name in TABLE}, "city": ["Paris", None]}
        assert np.isfinite(model.predict_proba(odd)).all()
        no_gaps = {name: TABLE[name] for name in ("member", "day")}
        assert np.isfinite(classifier().fit(no_gaps, LABELS).predict_proba({"member": [None], "day": [None]})).all()

    def test_columns_can_be_said_to_be_categories(self) -> None:
        codes = np.arange(120) % 4
        y = np.isin(codes, [0, 2]).astype(float)
        said = regressor(categorical_features=[0], epochs=30).fit(codes[:, None], y)
        assert said.report_.columns[0].kind == "category"
        assert said.score(codes[:, None], y) > 0.9
        with pytest.raises(ValueError, match="categorical_features"):
            regressor(categorical_features=["cty"]).fit(TABLE, VALUES)

    def test_large_and_small_numbers(self) -> None:
        x = np.random.default_rng(0).normal(size=(80, 2))
        for size in (1e-300, 1e300):
            found = regressor(epochs=30).fit(x * [1, size], x[:, 1] * size).predict(x * [1, size])
            assert np.corrcoef(found / size, x[:, 1])[0, 1] > 0.9


class TestTargets:
    @pytest.mark.parametrize(
        "labels",
        [["no", "yes"], [False, True], [-1, 7], [0.0, 1.0], ["a", "b", "c"]],
        ids=["text", "booleans", "whole numbers", "float", "three"],
    )
    def test_labels_of_any_kind_come_back(self, labels: list[Any]) -> None:
        x = np.linspace(-1, 1, 60)[:, None]
        y = [labels[min(int((each + 1) / 2 * len(labels)), len(labels) - 1)] for each in x[:, 0].tolist()]
        model = classifier(epochs=30).fit(x, y)
        assert model.score(x, y) > 0.9
        assert set(model.predict(x).tolist()) == set(labels)
        assert model.predict_proba(x).shape == model.oof_predictions_.shape == (60, len(labels))
        np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1)
        np.testing.assert_array_equal(
            np.exp(model.predict_log_proba(x)).argmax(axis=1), model.predict_proba(x).argmax(1)
        )

    def test_labels_of_a_series_come_back(self) -> None:
        pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
        series = pandas.Series(LABELS, index=range(7, 167))
        for y in (series, series.astype("category"), series.astype("string"), polars.Series(LABELS)):
            assert set(classifier().fit(TABLE, y).predict(TABLE)) == {"high", "low"}
        whole = pandas.Series(np.arange(160) % 2, dtype="Int64")
        assert classifier().fit(TABLE, whole).classes_.tolist() == [0, 1]
        with pytest.raises(ValueError, match=r"one row has no target, the first is row 3\. Leave such rows out"):
            classifier().fit(TABLE, whole.mask(whole.index == 3))

    def test_several_numbers(self) -> None:
        y = np.column_stack([VALUES, 1000 - 500 * VALUES])
        model = regressor(epochs=30).fit(TABLE, y)
        assert model.predict(TABLE).shape == model.oof_predictions_.shape == (160, 2)
        assert model.score(TABLE, y) > 0.8
        assert model.n_outputs_ == 2
        one = regressor().fit(TABLE, VALUES)
        assert one.predict(TABLE).shape == one.oof_predictions_.shape == (160,)
        assert one.predict(TABLE).min() >= VALUES.min()
        assert one.predict(TABLE).max() <= VALUES.max()

    def test_several_labels(self) -> None:
        y = np.column_stack([VALUES > 1, VALUES < 3, np.array(TABLE["member"])]).astype(int)
        model = classifier(epochs=30, class_weight=[None, "balanced", {0: 1, 1: 2}]).fit(TABLE, y)
        assert model.predict(TABLE).shape == model.predict_proba(TABLE).shape == (160, 3)
        assert model.classes_.tolist() == [0, 1, 2]
        assert model.score(TABLE, y) > 0.6
        assert "each label" in str(model.report_)

    def test_a_constant_target(self) -> None:
        model = regressor().fit(TABLE, np.full(160, 7.25))
        np.testing.assert_array_equal(model.predict(TABLE), np.full(160, 7.25))

    @pytest.mark.parametrize("rows", range(2, 11))
    def test_a_few_rows(self, rows: int) -> None:
        x, y = np.arange(rows * 2.0).reshape(rows, 2), np.arange(rows) // 2 * 1.0
        assert np.isfinite(regressor().fit(x, y).oof_predictions_).all()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, of numbers that are nearly all different
            model = classifier().fit(x, [f"c{each}" for each in range(rows)])  # each class has one row
        assert np.isfinite(model.predict_proba(x)).all()
        assert len(model.classes_) == rows
        assert str(model.report_)

    @pytest.mark.parametrize(
        ("y", "said"),
        [
            (["a"] * 160, "y has 1 class only, 'a'"),
            ([None, np.nan, *LABELS[2:]], r"2 of 160 rows have no target, the first is row 0"),
            (LABELS[:-1], "X has 160 rows, and y has 159"),
            (VALUES, "Unknown label type"),
            ([1, *LABELS[1:]] * 1, None),
            (np.array([1, *LABELS[1:]], object), r"y holds int and str; labels are all texts or all numbers"),
            (np.arange(320).reshape(160, 2) % 3, "y has 2 columns that are not all 0 and 1"),
            (None, "requires y to be passed, but the target y is None"),
            (np.zeros((160, 2, 2)), "y should be a 1d array"),
            ([{}] * 160, "y holds dict"),
            ([[1], [1, 2]] * 80, "the rows of y differ in length"),
            ([10**400] * 160, "whole numbers too large for 64 bits"),
            (np.array([b"a", b"b"] * 80), r"which are bytes; decode them: y\.astype\(str\)"),
        ],
    )
    def test_targets_that_are_no_labels(self, y: Any, said: str | None) -> None:
        if said is None:
            assert classifier().fit(TABLE, y).classes_.tolist() == ["1", "high", "low"]  # as NumPy reads the list
            return
        with pytest.raises((ValueError, TypeError), match=said):
            classifier().fit(TABLE, y)

    @pytest.mark.parametrize(
        ("y", "said"),
        [
            (LABELS, r"numbers are wanted: y.astype\(float\). For labels, use TabularClassifier"),
            ([np.inf, *VALUES[1:]], "Input y contains infinity or a value too large.*, in row 0"),
            (
                [*VALUES[:-2], np.nan, np.nan],
                "Input y contains NaN: 2 of 160 rows have no target, the first is row 158",
            ),
            (np.ma.masked_less(VALUES, VALUES.min() + 1e-9), "one row has no target"),
            (VALUES + 1j, "Complex data not supported"),
        ],
    )
    def test_targets_that_are_no_numbers(self, y: Any, said: str) -> None:
        with pytest.raises((ValueError, TypeError), match=said):
            regressor().fit(TABLE, y)

    def test_an_error_leaves_the_estimator_as_it_was(self, model: Any) -> None:
        mine = copy.deepcopy(model)
        with pytest.raises(ValueError, match="1 class"):
            mine.fit({"other": [1.0, 2.0]}, ["a", "a"])
        np.testing.assert_array_equal(mine.predict_proba(TABLE), model.predict_proba(TABLE))


class TestWeights:
    def test_a_row_of_weight_zero_is_as_if_it_were_not_there(self) -> None:
        w = np.where(np.arange(160) % 4 == 0, 0.0, 1.0)
        kept = np.flatnonzero(w)
        odd = {
            **TABLE,
            "city": ["elsewhere" if not each else city for each, city in zip(w, TABLE["city"], strict=True)],
        }
        y = np.where(w > 0, LABELS, "no label that counts")
        model = classifier().fit(odd, y, w)
        part = classifier().fit(
            {name: [cells[i] for i in kept] for name, cells in TABLE.items()}, np.array(LABELS)[kept]
        )
        assert model.classes_.tolist() == ["high", "low"]
        assert model.vocabulary_ == part.vocabulary_
        np.testing.assert_array_equal(model.predict_proba(TABLE), part.predict_proba(TABLE))
        np.testing.assert_array_equal(model.oof_predictions_[kept], part.oof_predictions_)
        others = np.flatnonzero(w == 0)  # nobody has learned from these
        some = {name: [cells[i] for i in others] for name, cells in odd.items()}
        np.testing.assert_allclose(model.oof_predictions_[others], model.predict_proba(some), rtol=1e-5)
        assert model.report_.rows == 120

    def test_a_row_of_weight_zero_needs_neither_target_nor_group(self) -> None:
        w, gone = np.ones(160), [3, 5]
        w[gone] = 0
        y = [None if i in gone else label for i, label in enumerate(LABELS)]
        group = [None if i in gone else f"g{i // 2}" for i in range(160)]
        assert np.isfinite(classifier().fit(TABLE, y, w, groups=group).oof_predictions_).all()
        assert np.isfinite(regressor().fit(TABLE, np.where(w > 0, VALUES, np.nan), w).oof_predictions_).all()
        y[9] = None
        with pytest.raises(ValueError, match="one row has no target, the first is row 9"):
            classifier().fit(TABLE, y, w)
        with pytest.raises(ValueError, match=r"in row 9: leave the row out"):
            regressor().fit(TABLE, np.where(np.arange(160) == 9, np.inf, VALUES), w)

    def test_classes_can_be_weighted(self) -> None:
        rng = np.random.default_rng(0)
        y = np.where(rng.random(300) < 0.1, "rare", "often")
        x = rng.normal(size=(300, 2)) + (y == "rare")[:, None]
        recall = {}
        for given in (None, "balanced", {"often": 0.01, "rare": 1.0}):
            found = classifier(class_weight=given).fit(x, y).predict(x)
            recall[str(given)] = (found[y == "rare"] == "rare").mean()
        first, second, third = recall.values()
        assert first < 0.4 < second < third + 1e-9
        assert third > 0.95
        with pytest.raises(ValueError, match="are not in class_weight"):
            classifier(class_weight={"seldom": 1.0}).fit(x, y)
        with pytest.raises(ValueError, match=r"No row has a weight|all zero"):
            classifier(class_weight={"often": 0.0, "rare": 0.0}).fit(x, y)
        alone = classifier(class_weight={"often": 0.0}).fit(x, y)
        assert (alone.predict(x[y == "rare"]) == "rare").all()
        assert alone.classes_.tolist() == ["often", "rare"]

    def test_rows_of_a_group_are_held_out_together(self) -> None:
        rng = np.random.default_rng(1)
        group = np.repeat(np.arange(40), 6)
        x = rng.normal(size=(40, 4))[group]  # all rows of a group are alike, and its label says nothing of others
        y = rng.integers(0, 2, 40)[group]
        settings = {"hidden": (64, 64), "epochs": 40, "n_members": 4}
        told, blind = (classifier(**settings).fit(x, y, groups=g) for g in (None, group))
        right = [(each.oof_predictions_.argmax(axis=1) == y).mean() for each in (told, blind)]
        assert right[0] > 0.8
        assert right[1] < 0.5 + 4 * 0.5 / 40**0.5
        names = np.array([f"g{each}" for each in group])
        assert np.isfinite(classifier().fit(x, y, groups=names).oof_predictions_).all()
        with pytest.raises(ValueError, match=r"groups has shape \(3,\); expected \(240,\)"):
            classifier().fit(x, y, groups=[1, 2, 3])
        with pytest.raises(ValueError, match="120 of 240 rows have no group, the first is row 1: give each"):
            classifier().fit(x, y, groups=["a", None] * 120)
        with pytest.raises(ValueError, match="1 group of rows cannot be divided"):
            classifier().fit(x, y, groups=np.zeros(240))

    @pytest.mark.parametrize("size", [2.0**1020, 2.0**-1020])
    def test_only_the_ratios_of_weights_count(self, size: float) -> None:
        w = np.where(np.arange(160) % 2 == 0, 1.0, 0.5)
        expected = regressor().fit(TABLE, VALUES, w)
        model = regressor().fit(TABLE, VALUES, size * w)
        np.testing.assert_array_equal(model.predict_interval(TABLE), expected.predict_interval(TABLE))
        weighted = {"low": size, "high": 2 * size}
        model, expected = (classifier(class_weight=each) for each in (weighted, {"low": 1, "high": 2}))
        model.fit(TABLE, LABELS, size * w)
        np.testing.assert_array_equal(model.predict_proba(TABLE), expected.fit(TABLE, LABELS, w).predict_proba(TABLE))

    def test_wrong_weights(self) -> None:
        for w, said in ((-np.ones(160), "Negative"), (np.zeros(160), "non-zero"), (np.ones(3), "shape|inconsistent")):
            with pytest.raises(ValueError, match=said):
                classifier().fit(TABLE, LABELS, w)
        with pytest.raises(ValueError, match="one sample alone has a weight"):
            regressor().fit(TABLE, VALUES, np.eye(160)[5])


class TestWhatIsHeldOut:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_of_labels_at_random_nothing_is_foretold(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        rows = 400
        table = {"a": rng.normal(size=rows), "b": rng.normal(size=rows), "c": rng.integers(0, 40, rows).astype(str)}
        y = rng.integers(0, 2, rows)
        model = classifier(hidden=(64, 64), epochs=40, n_members=4, random_state=seed).fit(table, y)
        p = model.oof_predictions_
        assert abs((p.argmax(axis=1) == y).mean() - 0.5) < 4 * 0.5 / rows**0.5
        z = np.log(p[:, 1] / p[:, 0])
        loss, spread = -np.log(p[np.arange(rows), y]).mean(), (z**2 / 4).mean() ** 0.5 / rows**0.5
        assert np.log(2) - 4 * spread - 0.005 < loss < np.log(2) + 0.02

    def test_numbers_at_random(self) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(300, 3)), rng.normal(size=300)
        model = regressor(hidden=(64, 64), epochs=40, n_members=4).fit(x, y)
        r = np.corrcoef(model.oof_predictions_, y)[0, 1]
        assert r < 4 / 300**0.5
        assert model.report_.scores[0].value < 0.05

    def test_it_says_what_new_rows_bring(self) -> None:
        table, labels, _ = table_of(1000, 5)
        first = {name: cells[:500] for name, cells in table.items()}
        then = {name: cells[500:] for name, cells in table.items()}
        model = classifier(epochs=30).fit(first, labels[:500])
        said = model.report_.scores[0].value
        assert abs(said - model.score(then, labels[500:])) < 4 * (said * (1 - said) / 500) ** 0.5


class TestReport:
    def test_it_says_what_was_found_trained_and_reached(self, model: Any) -> None:
        report = model.report_
        text = str(report)
        assert repr(report) == text
        assert text.startswith("160 rows: 1 number, 1 boolean, 1 category and 1 date; 1 column is left out")
        assert re.search(r"country +constant +1 +left out; the same in all rows", text)
        assert re.search(r"size +number +11.2% +142", text)
        assert "of 3 members each" in text
        assert [each.kind for each in report.columns] == ["number", "category", "boolean", "date", "constant"]
        accuracy, loss = report.scores
        assert accuracy.name == "accuracy"
        assert accuracy.value > accuracy.baseline > 0.5
        assert loss.value < loss.baseline
        right = model.oof_predictions_.argmax(axis=1) == np.searchsorted(model.classes_, LABELS)
        assert accuracy.value == right.mean()
        assert report.rows == 160
        assert sum(each.share for each in report.networks) == pytest.approx(1)
        assert all(len(each.kept) == 3 and each.epochs == 12 for each in report.networks)

    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_it_fits_the_line_and_is_ascii(self, width: int, monkeypatch: Any) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        table = {**TABLE, "a name of a column that is l\xf6nger than others": [f"{i} words" for i in range(160)]}
        text = str(regressor().fit(table, VALUES * 1e8).report_)
        assert max(map(len, text.splitlines())) <= width
        assert text.isascii()
        assert "the mean of y" in text
        assert "RMSE" in text
        assert "identifier" in text
        assert all(line == line.rstrip() for line in text.splitlines())

    def test_a_wide_table(self) -> None:
        x = np.random.default_rng(0).normal(size=(30, 90))
        text = str(regressor().fit(x, x[:, 0]).report_)
        assert "and 30 more, which report_.columns has" in text
        assert len(re.findall(r"^x\d+ +number ", text, re.MULTILINE)) == 60

    def test_it_names_the_columns_that_matter(self, model: Any, monkeypatch: Any) -> None:
        matters = model.feature_importances_
        assert matters.shape == (5,)
        assert model.report_.importances == tuple(matters.tolist())
        assert matters.argmax() == 0
        assert matters[4] == 0  # the country, which is left out
        text = str(model.report_)
        assert re.search(r"most important +log-loss\n-+  -+\nsize +\+\d", text)
        assert "the change of that score if the cells of the column are shuffled" in text
        monkeypatch.setenv("COLUMNS", "40")
        x = np.random.default_rng(0).normal(size=(200, 30))
        wide = regressor(hidden=(), epochs=16).fit(x, x[:, :15].sum(axis=1))
        shown = str(wide.report_).partition("most important")[2]
        assert len(re.findall(r"^x\d+ +-\d", shown, re.MULTILINE)) == 10
        assert max(map(len, shown.splitlines())) <= 40

    def test_scores_count_by_weight(self) -> None:
        y, w = np.array(LABELS), np.where(np.array(LABELS) == "high", 3.0, 1.0)
        model = classifier().fit(TABLE, LABELS, w)
        right = model.classes_[model.oof_predictions_.argmax(axis=1)] == y
        assert model.report_.scores[0].value == pytest.approx(np.average(right, weights=w))
        assert model.report_.scores[0].baseline == pytest.approx(w[y == "high"].sum() / w.sum())


class TestInsideScikitLearn:
    def test_searches_pipelines_and_scores(self) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(TABLE)
        assert cross_val_score(classifier(epochs=24), frame, LABELS, cv=3).min() > 0.75
        search = GridSearchCV(classifier(), {"epochs": [2, 24], "hidden": [(8,), 24]}, cv=2).fit(frame, LABELS)
        assert search.best_params_["epochs"] == 24
        pipe = make_pipeline(FunctionTransformer(lambda table: table.drop(columns="day")), classifier())
        assert pipe.fit(frame, LABELS).score(frame, LABELS) > 0.8
        scaled = TransformedTargetRegressor(regressor(epochs=24), func=np.cbrt, inverse_func=lambda y: y**3)
        assert scaled.fit(frame, VALUES).score(frame, VALUES) > 0.6

    def test_weights_and_groups_are_routed(self) -> None:
        pandas = pytest.importorskip("pandas")
        # which groups are held out depends on how NumPy sorts equal ones, and so on the processor
        frame, w, group = pandas.DataFrame(TABLE), np.arange(160) % 3 + 1.0, np.arange(160) // 4
        with sklearn.config_context(enable_metadata_routing=True):
            asked = (
                classifier(epochs=72)
                .set_fit_request(sample_weight=True, groups=True)
                .set_score_request(sample_weight=True)
            )
            found = cross_validate(asked, frame, LABELS, cv=GroupKFold(2), params={"sample_weight": w, "groups": group})
            unasked = cross_validate(classifier(epochs=72), frame, LABELS, cv=GroupKFold(2), params={"groups": group})
        assert found["test_score"].min() > 0.7
        assert unasked["test_score"].min() > 0.7

    def test_the_same_seed_gives_the_same_bits(self, model: Any) -> None:
        again = clone(model).fit(TABLE, LABELS)
        other = classifier(random_state=1).fit(TABLE, LABELS)
        np.testing.assert_array_equal(again.predict_proba(TABLE), model.predict_proba(TABLE))
        np.testing.assert_array_equal(again.oof_predictions_, model.oof_predictions_)
        assert (other.predict_proba(TABLE) != model.predict_proba(TABLE)).any()
        assert str(again.report_) == str(model.report_)

    @pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_copies_and_pickles_predict_the_same(self, model: Any, again: Any) -> None:
        other = again(model)
        np.testing.assert_array_equal(other.predict_proba(TABLE), model.predict_proba(TABLE))
        assert str(other.report_) == str(model.report_)
        assert other.vocabulary_ == model.vocabulary_

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"n_members": 1}, "n_members"),
            ({"epochs": 0}, "epochs"),
            ({"preset": "slow"}, "preset"),
            ({"hidden": (8, 0)}, r"hidden has the units of each hidden layer, whole numbers from 1 on; got \(8, 0\)"),
            ({"hidden": "wide"}, "hidden"),
            ({"max_time": "soon"}, "max_time"),
            ({"n_jobs": 0.5}, "n_jobs"),
        ],
    )
    def test_parameters_that_cannot_be(self, settings: dict[str, Any], said: str) -> None:
        for kind in (classifier, regressor):
            with pytest.raises(ValueError, match=said):
                kind(**settings).fit(TABLE, np.arange(160) % 2)

    def test_a_parameter_of_another_estimator_is_refused(self) -> None:
        with pytest.raises(TypeError, match="class_weight"):
            fc.TabularRegressor(class_weight="balanced")


class TestTraining:
    def test_ctrl_c_keeps_the_best_so_far_and_says_so(self, monkeypatch: Any) -> None:
        epoch, calls = Run.epoch, []

        def stopped(self: Any, *given: Any) -> Any:
            calls.append(1)
            if len(calls) > 5:
                raise KeyboardInterrupt
            return epoch(self, *given)

        monkeypatch.setattr(Run, "epoch", stopped)
        with pytest.warns(
            UserWarning, match=r"interrupted by user: the estimator has the networks smooth, the last after"
        ):
            model = classifier().fit(TABLE, LABELS)
        assert model.n_iter_ == 5
        assert model.score(TABLE, LABELS) > 0.5
        assert model.report_.interrupted
        assert "until Ctrl-C" in str(model.report_)

    def test_ctrl_c_before_an_epoch_leaves_the_estimator_as_it_was(self, monkeypatch: Any) -> None:
        def stopped(self: Any, *given: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(Run, "epoch", stopped)
        model = classifier()
        with pytest.raises(KeyboardInterrupt):
            model.fit(TABLE, LABELS)
        assert not hasattr(model, "ensemble_")

    def test_time_decides_the_number_of_epochs(self) -> None:
        model = classifier(max_time="0.02s", epochs=10_000).fit(TABLE, LABELS)
        assert LEAST <= model.n_iter_ < 10_000
        assert model.report_.in_time
        assert model.report_.hidden == (24,)
        assert all(len(each.kept) == 3 for each in model.report_.networks)
        assert "with a hidden layer of 24 units, which is what max_time allows" in " ".join(str(model.report_).split())

    def test_time_decides_the_sizes_that_are_not_given(self, tmp_path: Path) -> None:
        model = fc.TabularRegressor(max_time=1e-6, random_state=0).fit(TABLE, VALUES)
        assert model.report_.hidden == PRESETS["fast"].hidden
        assert [(each.view, each.epochs, len(each.kept)) for each in model.report_.networks] == [("bends", LEAST, 4)]
        model.save(tmp_path / "model")
        assert fc.load_estimator(tmp_path / "model").report_ == model.report_
        model = fc.TabularRegressor(max_time=1e-6, hidden=(6, 6), n_members=2, random_state=0).fit(TABLE, VALUES)
        assert model.report_.hidden == (6, 6)
        assert [len(each.kept) for each in model.report_.networks] == [2]
        assert not regressor(max_time="1h").fit(TABLE, VALUES).report_.in_time

    def test_progress_is_shown_if_asked_for(self, capfd: Any) -> None:
        classifier().fit(TABLE, LABELS)
        assert capfd.readouterr() == ("", "")
        classifier(verbose=1).fit(TABLE, LABELS)
        assert "epoch" in capfd.readouterr().err.lower()

    def test_a_preset_has_the_sizes_of_the_recipe_and_what_is_given_wins(self, monkeypatch: Any) -> None:
        sizes = {"fast": Recipe(3, (12,), 2, ("bends",)), "default": Recipe(2, (8, 8), 3), "best": Recipe(4, (16,), 4)}
        assert set(sizes) == set(PRESETS) == set(TABULAR_REGRESSOR["preset"].allowed[0].options)
        for name, recipe in sizes.items():
            monkeypatch.setitem(PRESETS, name, recipe)
            report = fc.TabularRegressor(preset=name, random_state=0).fit(TABLE, VALUES).report_
            assert [each.view for each in report.networks] == list(recipe.views)
            assert all((len(each.kept), each.epochs) == (recipe.members, recipe.epochs) for each in report.networks)
        model = fc.TabularClassifier(preset="best", n_members=np.int64(2), hidden=6, epochs=1).fit(TABLE, LABELS)
        assert [(len(each.kept), each.epochs) for each in model.report_.networks] == [(2, 1)] * 2
        assert all("(6,)" in str(net.layers) or ", 6," in str(net.layers) for net in model.ensemble_.networks)

    def test_the_default_preset_is_the_recipe_by_itself_and_gives_the_same_bits_as_its_numbers(self) -> None:
        one, recipe = PRESETS["default"], Recipe()
        assert one == recipe == Recipe(members=8, hidden=(64, 64, 64), epochs=64, views=("smooth", "bends"), bins=32)
        assert fc.TabularRegressor().preset == "default"
        few = {name: cells[:12] for name, cells in TABLE.items()}
        sizes = {"n_members": recipe.members, "hidden": recipe.hidden, "epochs": recipe.epochs}
        found = [fc.TabularRegressor(random_state=0, **each).fit(few, VALUES[:12]).predict(few) for each in ({}, sizes)]
        np.testing.assert_array_equal(*found)

    def test_the_documents_have_the_numbers_of_the_presets(self) -> None:
        text = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
        for name, recipe in PRESETS.items():
            views = " and ".join(f"`{view}`" for view in recipe.views)
            assert f'| "{name}" | {views} | {recipe.members} | {recipe.hidden} | {recipe.epochs} |' in text

    def test_the_fast_preset_is_fast_and_learns(self) -> None:
        fast, default = PRESETS["fast"], PRESETS["default"]
        work = [r.members * sum(r.hidden) ** 2 * r.epochs * len(r.views) for r in (fast, default)]
        assert work[0] < work[1] / 10
        assert fc.TabularRegressor(preset="fast", random_state=0).fit(TABLE, VALUES).score(TABLE, VALUES) > 0.8
        model = fc.TabularClassifier(preset="fast", random_state=0).fit(TABLE, LABELS)
        assert model.score(TABLE, LABELS) > 0.85

    def test_a_small_table_is_learned_from_in_small_batches(self) -> None:
        rows = 2, 300, 301, 1500, 4000, 10**6
        assert [PRESETS["default"].rows_of_batch(n) for n in rows] == [32, 32, 64, 64, 128, 256]
        assert [PRESETS["fast"].rows_of_batch(n) for n in rows] == [64, 64, 64, 64, 128, 256]
        few = PRESETS["default"].settings(150, "classes", 3)
        assert few["batch_size"] == 32
        assert replace(PRESETS["default"], batch_size=10).settings(150, "classes", 3)["batch_size"] == 10

    def test_the_fast_preset_follows_the_table(self) -> None:
        fast = PRESETS["fast"]
        assert fast.for_table(1500, "numbers", 3) == fast
        assert [fast.for_table(n, "numbers", 1).epochs for n in (2, 3000, 10**6)] == [20, 10, 7]
        two, many = fast.for_table(500, "classes", 2), fast.for_table(10**6, "classes", 3)
        assert (two.views, two.epochs) == (("smooth", "bends"), 13)
        assert (many.views, many.epochs) == (("smooth", "bends"), 48)
        assert fast.for_table(500, "labels", 3) == two
        for usual in (PRESETS["default"], PRESETS["best"]):
            assert usual.for_table(10**6, "numbers", 8) == usual
            assert usual.for_table(500, "classes", 9) == replace(usual, hidden=(128,) * 3)
        model = fc.TabularClassifier(preset="fast", epochs=3, random_state=0).fit(TABLE, LABELS)
        assert [(each.view, each.epochs) for each in model.report_.networks] == [("smooth", 3), ("bends", 3)]

    def test_a_linear_model_and_two_threads(self) -> None:
        assert regressor(hidden=(), epochs=40, n_jobs=2).fit(TABLE, VALUES).score(TABLE, VALUES) > 0.8


class TestAnything:
    """A table at random is learned from and predicted, by all ways alike, or there is a sentence."""

    SAID = "no column of the table can be learned from|one sample alone has a weight|y has 1 class only"

    @staticmethod
    def column(pandas: Any, rng: np.random.Generator, rows: int) -> Any:
        kinds = [
            lambda: rng.normal(size=rows) * 10.0 ** rng.integers(-300, 300),
            lambda: rng.integers(0, 3, rows),
            lambda: rng.choice(["a", "b", "c"], rows),
            lambda: [f"t{i}" for i in range(rows)],
            lambda: rng.random(rows) > 0.5,
            lambda: pandas.date_range("2020", periods=rows, freq="7h"),
            lambda: pandas.Categorical(rng.choice(["x", "y"], rows)),
            lambda: [1.5] * rows,
            lambda: pandas.array(rng.integers(0, 9, rows), dtype="Int64"),
            lambda: [f"{each:,.2f}" for each in rng.normal(size=rows) * 1e5],
            lambda: np.exp(20 * rng.normal(size=rows)),
            lambda: rng.choice(["2020-01-01", "2021-05-05", "n/a"], rows),
        ]
        column = pandas.Series(kinds[rng.integers(len(kinds))]())
        return column.mask(pandas.Series(rng.random(rows) < rng.random())) if rng.random() < 0.3 else column

    @pytest.mark.filterwarnings("error")
    @pytest.mark.filterwarnings("ignore:.*unique classes")
    @pytest.mark.parametrize("seed", range(40))
    def test_tables_at_random(self, seed: int, tmp_path: Any) -> None:
        pandas, rng = pytest.importorskip("pandas"), np.random.default_rng(seed)
        rows = int(rng.choice([2, 3, 5, 8, 20, 60]))
        frame = pandas.DataFrame({f"c{i}": self.column(pandas, rng, rows) for i in range(rng.integers(1, 7))})
        y = [
            rng.choice(["u", "v"], rows),
            rng.integers(0, min(rows, 12), rows),
            rng.integers(0, 2, (rows, 3)),
            rng.normal(size=rows) * 10.0 ** rng.integers(-200, 200),
            rng.normal(size=(rows, 2)),
        ][kind := rng.integers(5)]
        settings = {"hidden": (8,) * int(rng.integers(0, 3)), "epochs": int(rng.integers(1, 6)), "random_state": seed}
        model = (classifier if kind < 3 else regressor)(**settings)
        w = None if rng.random() < 0.5 else rng.random(rows) * (rng.random(rows) < 0.8) + np.eye(rows)[0]
        said = ""
        try:
            model.fit(frame, y, w)
        except fc.errors.DataError as error:
            said = str(error)
        if said:
            assert re.search(self.SAID, said)
            return
        predict = model.predict_proba if kind < 3 else model.predict
        found = predict(frame)
        assert np.isfinite(found).all()
        assert np.isfinite(model.oof_predictions_).all()
        np.testing.assert_allclose(predict(frame.iloc[:1]), found[:1], rtol=1e-4, atol=1e-6 * np.abs(found).max())
        model.save(tmp_path / "model")
        again = fc.load_estimator(tmp_path / "model")
        np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
        assert str(again.report_) == str(model.report_)
