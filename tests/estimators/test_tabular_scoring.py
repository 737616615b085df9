"""``scoring`` of the estimators for tables: the best epoch by a scorer of scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import f1_score, log_loss, make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV

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


def kept(model: Any) -> list[tuple[int, ...]]:
    return [each.kept for each in model.report_.networks]


@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc", "f1_macro", "neg_brier_score", "neg_log_loss"])
def test_scorers_of_classes(scoring: str) -> None:
    y: Any = LABELS if "brier" not in scoring else (VALUES > 0).astype(int)
    for settings in ({}, {"validation_fraction": 0.3}):
        assert classifier(scoring=scoring, **settings).fit(X, y).score(X, y) > 0.6


def test_the_log_loss_chooses_as_the_loss_does() -> None:
    assert kept(classifier(scoring="neg_log_loss").fit(X, LABELS)) == kept(classifier().fit(X, LABELS))


def test_scorers_of_numbers_and_of_several() -> None:
    for scoring in ("r2", "neg_mean_absolute_error", make_scorer(mean_absolute_error, greater_is_better=False)):
        assert regressor(scoring=scoring).fit(X, VALUES).score(X, VALUES) > 0
        assert regressor(scoring=scoring).fit(X, np.column_stack([VALUES, -VALUES])).n_outputs_ == 2
    several = np.column_stack([VALUES > 0, X[:, 1] > 0]).astype(int)
    for scoring in ("accuracy", "roc_auc", "f1_micro"):
        assert classifier(scoring=scoring).fit(X, several).n_outputs_ == 2
    assert classifier(scoring="roc_auc_ovr").fit(X, np.digitize(VALUES, [-0.5, 0.5])).n_outputs_ == 3


def test_a_function_gets_an_estimator_rows_and_labels() -> None:
    table = {"a": X[:, 0].tolist(), "b": ["x", None, "y"] * 30}
    seen = []

    def own(estimator: Any, X: Any, y: Any) -> float:
        assert is_classifier(estimator)
        assert not is_regressor(estimator)
        assert estimator.classes_.tolist() == ["high", "low"]
        assert estimator.predict_proba(X).shape == (len(y), 2)
        assert set(estimator.predict(X)) <= {"high", "low"}
        assert set(y) == {"high", "low"}
        assert len(X["a"]) == len(X["b"]) == len(y)
        seen.append(X)
        return float((estimator.predict(X) == y).mean())

    model = classifier(scoring=own).fit(table, LABELS)
    assert kept(model) == kept(classifier(scoring="accuracy").fit(table, LABELS))
    assert {tuple(each["b"][:3]) for each in seen}
    assert all(set(each["a"]) < set(table["a"]) for each in seen)


def test_weights_reach_the_scorer() -> None:
    w, sums = np.where(np.arange(90) < 10, 0.0, np.arange(90.0)), []

    def weighted(y: Any, p: Any, sample_weight: Any = None) -> float:
        sums.append(None if sample_weight is None else sample_weight.min())
        return -log_loss(y, p, sample_weight=sample_weight, labels=["high", "low"])

    scorer = make_scorer(weighted, response_method="predict_proba")
    classifier(scoring=scorer).fit(X, LABELS, w)
    assert min(sums) >= 10.0  # rows of weight 0 are not there
    sums.clear()
    classifier(scoring=scorer).fit(X, LABELS)
    assert set(sums) == {None}
    for scoring in (make_scorer(lambda y, p: 1.0), lambda estimator, X, y: 1.0):
        with pytest.raises(ValueError, match="takes no sample_weight, and the rows have weights"):
            classifier(scoring=scoring).fit(X, LABELS, w)


@pytest.mark.parametrize(
    ("scoring", "said"),
    [
        ("acuracy", "acuracy"),
        (3, "scoring"),
        (lambda estimator, X, y: float("nan"), r"gave nan for \d+ rows held out, which cannot tell the best epoch"),
        (lambda estimator, X, y: "good", "gave 'good' for"),
        (lambda estimator, X, y: None, "gave None for"),
        (lambda estimator, X, y: 1 / 0, r"failed for \d+ rows held out: ZeroDivisionError: division by zero"),
        (lambda estimator, X, y: estimator.predict(X[:3]).sum(), "predictions are asked for 3: ask for all of X"),
        (make_scorer(f1_score, pos_label="none"), "failed for .*pos_label"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_scorer_that_fails_or_is_none(scoring: Any, said: str) -> None:
    model = classifier(scoring=scoring)
    with pytest.raises((ValueError, TypeError), match=said):
        model.fit(X, LABELS)
    assert not hasattr(model, "ensemble_")


def test_searches_clones_and_files(tmp_path: Path) -> None:
    search = GridSearchCV(classifier(), {"scoring": [None, "accuracy"]}, cv=2).fit(X, LABELS)
    assert len(search.cv_results_["params"]) == 2
    clone(classifier(scoring="accuracy")).fit(X, LABELS).save(tmp_path / "model")
    assert fc.load_estimator(tmp_path / "model").scoring == "accuracy"
    own = classifier(scoring=lambda estimator, X, y: 1.0).fit(X, LABELS)
    with pytest.warns(UserWarning, match="scoring=.* is not stored in the file"):
        own.save(tmp_path / "model")
    assert fc.load_estimator(tmp_path / "model").scoring is None
