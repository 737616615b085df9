"""Which rows an estimator for tables holds out: ``cv`` and ``validation_fraction``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

import fullyconnected as fc

QUICK = {"n_members": 3, "hidden": (8,), "epochs": 4, "random_state": 0, "n_jobs": 1}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
VALUES = X[:, 0] + 0.1 * RNG.normal(size=90)
LABELS = np.where(VALUES > 0, "high", "low")


def classifier(**settings: Any) -> Any:
    return fc.TabularClassifier(**{**QUICK, **settings})


def regressor(**settings: Any) -> Any:
    return fc.TabularRegressor(**{**QUICK, **settings})


def test_as_many_parts_as_members_are_the_default() -> None:
    one, two = regressor().fit(X, VALUES), regressor(cv=3).fit(X, VALUES)
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    np.testing.assert_array_equal(one.oof_predictions_, two.oof_predictions_)


@pytest.mark.parametrize(("parts", "unknown"), [(2, 0), (5, 36)])
def test_a_number_of_parts(parts: int, unknown: int) -> None:
    model = classifier(cv=parts).fit(X, LABELS)
    assert np.isnan(model.oof_predictions_).any(axis=1).sum() == unknown
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_time_series(kind: str) -> None:
    splitter = TimeSeriesSplit(3)
    model = (regressor if kind == "numbers" else classifier)(cv=splitter)
    model.fit(X, VALUES if kind == "numbers" else LABELS)
    found = model.oof_predictions_
    later = np.concatenate([test for _, test in splitter.split(X)])
    gone = np.isnan(found if found.ndim == 1 else found[:, 0])
    assert np.flatnonzero(~gone).tolist() == later.tolist()
    assert np.isfinite([each.value for each in model.report_.scores]).all()


def test_what_comes_later_tells_a_member_nothing() -> None:
    """Rows after those that a member learns from do not change what it says of its own test rows."""
    splitter, y = TimeSeriesSplit(3), VALUES.copy()
    first = next(iter(splitter.split(X)))[1]
    settings = {"cv": [next(iter(splitter.split(X)))], "epochs": 1}
    before = regressor(**settings).fit(X, y).oof_predictions_[first]
    y[first[-1] + 1 :] = -y[first[-1] + 1 :]
    np.testing.assert_array_equal(regressor(**settings).fit(X, y).oof_predictions_[first], before)


def test_one_part_for_all_members() -> None:
    for model, y in ((classifier(validation_fraction=0.2), LABELS), (regressor(validation_fraction=0.2), VALUES)):
        model.fit(X, y)
        out = ~np.isnan(model.oof_predictions_.reshape(90, -1)[:, 0])
        assert out.sum() == 18
        if y is LABELS:
            right = model.classes_[model.oof_predictions_[out].argmax(axis=1)] == y[out]
            assert model.report_.scores[0].value == pytest.approx(right.mean())
            assert abs((y[out] == "high").mean() - (y == "high").mean()) < 0.06
    groups = np.arange(90) // 9
    out = ~np.isnan(regressor(validation_fraction=0.3).fit(X, VALUES, groups=groups).oof_predictions_)
    assert len(set(groups[out])) == 3
    assert not set(groups[out]) & set(groups[~out])


def test_the_part_that_is_held_out_is_not_learned() -> None:
    """Targets of the part can be anything: the first epoch does not know them, nor is one network preferred by them."""
    settings = {"validation_fraction": 0.5, "epochs": 1, "preset": "fast"}
    x = np.arange(40.0)[:, None]
    out = ~np.isnan(regressor(**settings).fit(x, x[:, 0]).oof_predictions_)
    pairs = [(np.flatnonzero(~out), np.flatnonzero(out))]
    y = np.where(out, 1e6 - x[:, 0], x[:, 0])
    said = [regressor(cv=pairs, epochs=1, preset="fast").fit(x, each).predict(x) for each in (x[:, 0], y)]
    np.testing.assert_array_equal(*said)
    assert said[0].max() <= x.max()


def test_splitters_get_groups_and_indices_may_have_any_form() -> None:
    groups = np.arange(90) % 6
    for splitter in (GroupKFold(3), LeaveOneGroupOut()):
        model = classifier(cv=splitter).fit(X, LABELS, groups=groups)
        pairs = list(splitter.split(X, LABELS, groups))
        for form in (
            pairs,
            tuple((train.tolist(), test.tolist()) for train, test in pairs),
            [(np.isin(np.arange(90), train), np.isin(np.arange(90), test)) for train, test in pairs],
        ):
            again = classifier(cv=form).fit(X, LABELS)
            np.testing.assert_array_equal(again.oof_predictions_, model.oof_predictions_)
        out = sorted(np.concatenate([test for _, test in pairs[:3]]).tolist())
        assert np.flatnonzero(~np.isnan(model.oof_predictions_[:, 0])).tolist() == out
    with pytest.raises(ValueError, match="groups"):
        classifier(cv=GroupKFold(3)).fit(X, LABELS)
    generator = classifier(cv=((train, test) for train, test in KFold(3).split(X))).fit(X, LABELS)
    assert np.isfinite(generator.oof_predictions_).all()


@pytest.mark.parametrize("kind", ["dict", "rows", "pandas", "polars", "arrow"])
def test_a_splitter_gets_the_rows_of_the_table_that_count(kind: str) -> None:
    package = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}.get(kind)
    make = pytest.importorskip(package) if package else None
    columns = {f"c{i}": X[:, i] for i in range(3)}
    table: Any = {
        "dict": lambda: {name: cells.tolist() for name, cells in columns.items()},
        "rows": lambda: X.tolist(),
        "pandas": lambda: make.DataFrame(columns),
        "polars": lambda: make.DataFrame(columns),
        "arrow": lambda: make.table(columns),
    }[kind]()
    seen = []

    class Halves:
        def get_n_splits(self) -> int:
            return 1

        def split(self, X: Any, y: Any, groups: Any) -> Iterator[Any]:
            seen.append((X, y, groups))
            yield np.arange(30), np.arange(30, len(y))

    w = np.where(np.arange(90) < 10, 0.0, 1.0)
    y = np.where(w > 0, LABELS, "none")
    model = classifier(cv=Halves()).fit(table, y, w, groups=np.arange(90))
    [(rows, labels, groups)] = seen
    assert type(rows) is (list if kind == "dict" else type(table))
    assert len(rows) == 80
    key: Any = 0 if kind == "rows" else "c0"
    first = [row[key] for row in rows] if isinstance(rows, list) else rows["c0"]
    np.testing.assert_array_equal(np.asarray(first), X[10:, 0])
    assert labels.tolist() == LABELS[10:].tolist()
    assert groups.tolist() == list(range(10, 90))
    gone = np.isnan(model.oof_predictions_[:, 0])
    assert np.flatnonzero(gone).tolist() == list(range(10, 40))  # the first ten no member has learned from
    pairs = [(np.arange(40), np.arange(40, 90))]  # indices of the whole table
    again = classifier(cv=pairs).fit(table, y, w)
    np.testing.assert_array_equal(again.oof_predictions_, model.oof_predictions_)


ROWS = list(range(90))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cv": 3, "validation_fraction": 0.2}, "cv=3 and validation_fraction=0.2 both say which rows"),
        ({"cv": 1}, "cv"),
        ({"cv": "five"}, "cv"),
        ({"validation_fraction": 0.0}, "validation_fraction"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"cv": 91}, "90 rows cannot be divided into 91 parts"),
        ({"cv": []}, r"cv=\[\] has no split"),
        ({"cv": [3]}, "split 0 of cv is 3; a pair"),
        ({"cv": [(ROWS[:40], [])]}, "split 0 of cv has no test row"),
        ({"cv": [(ROWS[:40], ROWS[40:]), ([], ROWS)]}, "split 1 of cv has no training row"),
        ({"cv": [(ROWS[:40], [90])]}, "split 0 of cv has the row 90, and the table has rows 0 to 89"),
        ({"cv": [([-1], ROWS[:9])]}, "split 0 of cv has the row -1"),
        ({"cv": [(ROWS[:40], [0.5])]}, "the test rows of split 0 of cv are .*; a list of whole numbers"),
        ({"cv": [(ROWS[:40], ROWS[39:])]}, "split 0 of cv has the row 39 in both parts"),
        ({"cv": PredefinedSplit([-1] * 90)}, "has no split"),
    ],
)
def test_splits_that_cannot_be(settings: dict[str, Any], said: str) -> None:
    for model, y in ((classifier(**settings), LABELS), (regressor(**settings), VALUES)):
        with pytest.raises(ValueError, match=said):
            model.fit(X, y)
        assert not hasattr(model, "ensemble_")


def test_a_member_learns_two_classes() -> None:
    order = np.argsort(LABELS)
    with pytest.raises(ValueError, match="training rows of split 0 of cv have one class alone, 'low'"):
        classifier(cv=KFold(2)).fit(X[order], LABELS[order])
    w = np.zeros(90)
    w[:5] = 1
    with pytest.raises(ValueError, match="split 0 of cv has no test row that has a weight"):
        regressor(cv=[(ROWS[:40], ROWS[40:])]).fit(X, VALUES, w)


def test_labels_that_are_several_and_weights() -> None:
    y = np.column_stack([VALUES > 0, X[:, 1] > 0]).astype(int)
    w = RNG.random(90) + 0.1
    for settings in ({"validation_fraction": 0.3}, {"cv": TimeSeriesSplit(2)}):
        model = classifier(**settings).fit(X, y, w)
        out = ~np.isnan(model.oof_predictions_[:, 0])
        right = ((model.oof_predictions_[out] > 0.5) == y[out]).all(axis=1)
        assert model.report_.scores[0].value == pytest.approx(np.average(right, weights=w[out]))


def test_searches_clones_and_files(tmp_path: Path) -> None:
    search = GridSearchCV(classifier(), {"cv": [None, 2, StratifiedKFold(2)]}, cv=2).fit(X, LABELS)
    assert len(search.cv_results_["params"]) == 3
    model = clone(classifier(cv=4)).fit(X, LABELS)
    model.save(tmp_path / "model")
    assert fc.load_estimator(tmp_path / "model").cv == 4
    for cv in (StratifiedKFold(3), list(KFold(3).split(X))):
        model = clone(classifier(cv=cv)).fit(X, LABELS)
        with pytest.warns(UserWarning, match=r"(?s)cv=.* is not stored in the file"):
            model.save(tmp_path / "model")
        again = fc.load_estimator(tmp_path / "model")
        assert again.cv is None
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
