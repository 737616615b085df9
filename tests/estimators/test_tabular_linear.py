"""The linear model beside which an estimator for tables is reported."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import fullyconnected as fc
from fullyconnected.estimators import tabular_linear
from fullyconnected.tabular.folds import Split

QUICK = {"n_members": 3, "hidden": (8,), "epochs": 3, "random_state": 0, "n_jobs": 1}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(300, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * RANDOM.normal(size=300)


def classifier(**settings: Any) -> Any:
    return fc.TabularClassifier(**{**QUICK, **settings})


def regressor(**settings: Any) -> Any:
    return fc.TabularRegressor(**{**QUICK, **settings})


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "80")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_linear_problem_of_numbers() -> None:
    report = regressor().fit(X, Y).report_
    r2, rmse = report.scores
    assert r2.linear > 0.97
    assert 0.05 < rmse.linear < 0.5
    text = str(report)
    assert re.search(r"held out +estimator +linear +baseline\n-+  -+  -+  -+\nR2 +[\d.]+ +0.9\d+ +0\n", text)
    assert "linear: ridge regression of the same columns" in text
    huge = regressor().fit(X, 1e200 * np.column_stack([Y, -Y])).report_
    assert huge.scores[0].linear == pytest.approx(r2.linear, abs=0.01)


def test_classes_and_labels() -> None:
    y = np.digitize(Y, [-1, 1])
    accuracy, loss = classifier().fit(X, y).report_.scores
    assert accuracy.linear > 0.85
    assert loss.linear < 0.5 < loss.baseline
    report = classifier().fit(X, np.column_stack([Y > 0, X[:, 1] > 0, np.arange(300) == 5]).astype(int)).report_
    assert report.scores[0].linear > 0.85
    assert report.scores[1].linear < 0.3
    assert report.linear == "logistic regression of the same columns"


def test_text_gaps_and_dates() -> None:
    city = np.array(["Oslo", "Bergen", "Narvik"])[RANDOM.integers(0, 3, 300)]
    gap = np.where(RANDOM.random(300) < 0.3, np.nan, X[:, 0])
    day = np.datetime64("2024-01-01") + np.arange(300)
    y = 5.0 * (city == "Oslo") + 3.0 * np.isnan(gap) + 0.05 * np.arange(300) + 0.1 * X[:, 1]
    report = regressor().fit({"city": city, "gap": gap, "day": day}, y).report_
    assert report.scores[0].linear > 0.95


def test_it_is_judged_by_rows_that_it_has_not_learned_from() -> None:
    group = np.repeat(np.arange(30), 10)
    y = RANDOM.integers(0, 2, 30)[group]  # which says nothing of other groups
    x = {"a": X[:, 0], "group": [f"g{each}" for each in group]}
    told, blind = (classifier().fit(x, y, groups=g).report_.scores[0] for g in (None, group))
    assert told.linear == 1.0
    assert blind.linear < 0.5 + 4 * 0.5 / 30**0.5


def test_rows_count_by_their_weight() -> None:
    y = np.where(np.arange(300) < 150, X[:, 0], -X[:, 0])
    w = np.where(np.arange(300) < 150, 1.0, 1e-6)
    assert regressor().fit(X, y, w).report_.scores[0].linear > 0.95
    assert regressor().fit(X, y).report_.scores[0].linear < 0.1
    none = np.where(np.arange(300) < 150, 1.0, 0.0)
    assert regressor().fit(X, y, none).report_.scores[0].linear > 0.95


def test_where_there_is_none_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    y = (Y > 0).astype(int)
    y[7] = 2  # which only members learn that do not hold it out
    report = classifier().fit(X, y).report_
    assert all(score.linear is None for score in report.scores)
    assert re.search(r"held out +estimator +baseline\n", str(report))
    assert "linear: no model, since a class is in the rows of one part alone" in str(report)
    monkeypatch.setattr(tabular_linear, "MODELS", 5)
    report = classifier().fit(X, np.column_stack([Y > 0, Y < 1]).astype(int)).report_
    assert "linear: no model, since 2 labels are too many for it" in str(report)


def test_a_class_that_weighs_nothing() -> None:
    y = np.digitize(Y, [-1, 1])
    report = classifier(class_weight={0: 1.0, 1: 0.0, 2: 1.0}).fit(X, y).report_
    assert report.scores[0].linear > 0.9
    alone = classifier(class_weight={0: 0.0, 1: 0.0, 2: 1.0}).fit(X, y).report_
    assert alone.scores[0].linear == 1.0


def test_a_table_that_is_large_is_learned_from_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    fit = LogisticRegression.fit
    monkeypatch.setattr(
        LogisticRegression, "fit", lambda self, x, *more: (sizes.append(len(x)), fit(self, x, *more))[1]
    )
    monkeypatch.setattr(tabular_linear, "LEAST", 60)
    monkeypatch.setattr(tabular_linear, "ENTRIES", 1)
    score = classifier().fit(X, Y > 0).report_.scores[0]
    assert sizes == [60, 60, 60]
    assert score.linear > 0.85


def test_two_rows_and_columns_that_say_nothing(tmp_path: Path) -> None:
    for x, y in (([[0.0], [1.0]], [0.0, 1.0]), ([["a"]] * 4, [1.0, 2.0, 3.0, 4.0]), ([[1.0], [2.0], [3.0]], [5.0] * 3)):
        try:
            model = regressor().fit(x, y)
        except ValueError:
            continue  # a table without a column that says anything is refused
        assert np.isfinite(model.report_.scores[1].linear)
        model.save(tmp_path / "model")
        assert fc.load_estimator(tmp_path / "model").report_ == model.report_


def test_a_row_that_no_member_or_several_hold_out() -> None:
    held = np.arange(300)[:, None] % 4 == np.arange(3)  # a quarter of the rows is held out from none
    held[:50, 1] = True
    layer = fc.Columns([(range(4), fc.Standardize.fit(X))])
    p, _ = tabular_linear.linear_predictions(layer, X, Y[:, None], np.ones(300), Split(~held, held), "numbers", 1)
    assert p is not None
    none = ~held.any(axis=1)
    assert np.isnan(p[none]).all()
    assert np.abs(p[~none, 0] - Y[~none]).max() < 1
