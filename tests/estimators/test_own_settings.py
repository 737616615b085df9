"""What the estimators have beyond scikit-learn's: weights, validation, architecture, losses, and runs that go on."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import make_scorer, max_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import fullyconnected as fc
from fullyconnected.estimators.rows import shuffled, stratified

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = scale(load_iris().data), load_iris().target
XR, yr = scale(load_diabetes().data), scale(load_diabetes().target)
QUICK = {"hidden_layer_sizes": (8,), "max_iter": 15, "random_state": 0}


def same(a: Any, b: Any, **tolerance: float) -> None:
    for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(one, other, **{"rtol": 1e-9, "atol": 1e-12, **tolerance})


# weights


@pytest.mark.parametrize("more", [{"solver": "lbfgs"}, {"batch_size": 100_000}], ids=["lbfgs", "full batch"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
def test_an_integer_weight_is_a_repeated_row_and_zero_is_a_removed_one(kind: str, more: dict[str, Any]) -> None:
    w = np.random.default_rng(1).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), w)
    weighted = getattr(fc, kind)(**QUICK, **more).fit(X, y, sample_weight=w)
    repeated = getattr(fc, kind)(**QUICK, **more).fit(X[rows], y[rows])
    same(weighted, repeated, rtol=1e-6, atol=1e-8)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-8)
    removed = getattr(fc, kind)(**QUICK, **more).fit(X[w > 0], y[w > 0], sample_weight=w[w > 0])
    same(weighted, removed, rtol=0, atol=0)


def test_a_row_of_weight_zero_changes_no_bit_in_batches_with_early_stopping() -> None:
    w = np.random.default_rng(2).integers(0, 3, len(y)).astype(float)
    settings = {**QUICK, "early_stopping": True, "batch_size": 16}
    noise = X.copy()
    noise[w == 0] = 1e6
    a = fc.MLPClassifier(**settings).fit(noise, y, sample_weight=w)
    b = fc.MLPClassifier(**settings).fit(X[w > 0], y[w > 0], sample_weight=w[w > 0])
    same(a, b, rtol=0, atol=0)
    assert a.validation_scores_ == b.validation_scores_


def test_class_weights_are_weights_of_rows() -> None:
    w = np.random.default_rng(0).random(len(y)) + 0.5
    given = fc.MLPClassifier(**QUICK, class_weight={0: 3.0, 2: 0.5}).fit(X, y, sample_weight=w)
    by_hand = fc.MLPClassifier(**QUICK).fit(X, y, sample_weight=w * np.array([3.0, 1.0, 0.5])[y])
    same(given, by_hand)
    rows = np.concatenate([np.arange(60), np.arange(100, 110)])  # classes of 50, 10 and 10 rows
    balanced = fc.MLPClassifier(**QUICK, class_weight="balanced").fit(X[rows], y[rows])
    same(
        balanced,
        fc.MLPClassifier(**QUICK).fit(X[rows], y[rows], sample_weight=70 / 3 / np.array([50, 10, 10])[y[rows]]),
    )
    doubled = np.repeat(rows, 2)  # balanced weights of weighted rows are those of repeated rows
    full = {**QUICK, "solver": "lbfgs", "class_weight": "balanced"}
    one = fc.MLPClassifier(**full).fit(X[rows], y[rows], sample_weight=np.full(70, 2))
    same(one, fc.MLPClassifier(**full).fit(X[doubled], y[doubled]), rtol=1e-6, atol=1e-8)


def test_labels_of_several_have_class_weights_of_their_own() -> None:
    A, labels = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
    weights = [{0: 1, 1: 2}, {0: 1, 1: 1}, {0: 3, 1: 1}]
    w = np.prod([np.array([d[0], d[1]])[c] for d, c in zip(weights, labels.T, strict=True)], axis=0)
    same(
        fc.MLPClassifier(**QUICK, class_weight=weights).fit(A, labels),
        fc.MLPClassifier(**QUICK).fit(A, labels, sample_weight=w.astype(float)),
    )


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (-np.ones(150), "Negative values in data passed to `sample_weight`"),
        (np.zeros(150), "at least one non-zero"),
        (np.ones(149), r"sample_weight.shape == \(149,\), expected \(150,\)"),
        (np.full(150, np.nan), "NaN"),
    ],
)
def test_bad_weights_are_refused(w: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fc.MLPClassifier(**QUICK).fit(X, y, sample_weight=w)


# validation


def test_a_rare_class_is_always_in_both_parts() -> None:
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat([0, 1, 2], [190, 100, 10]))
    for seed in range(50):
        train, held_out = stratified(codes, 0.1, None, np.random.RandomState(seed))
        assert sorted([*train, *held_out]) == list(range(300))
        assert np.bincount(codes[held_out]).tolist() == [19, 10, 1]
    codes[0] = 3  # a class of one row stays in training
    train, held_out = stratified(codes, 0.1, None, np.random.RandomState(0))
    assert 0 in train
    few, _ = stratified(np.arange(20), 0.1, None, np.random.RandomState(0))
    assert len(few) == 18  # more classes than rows to hold out


def test_labels_of_several_are_in_both_parts_in_equal_shares() -> None:
    rng = np.random.default_rng(0)
    has = (rng.random((400, 6)) < np.array([0.5, 0.3, 0.1, 0.05, 0.02, 0.9])).astype(int)
    for seed in range(20):
        train, held_out = stratified(has, 0.25, None, np.random.RandomState(seed))
        assert sorted([*train, *held_out]) == list(range(400))
        assert len(held_out) == 100
        np.testing.assert_allclose(has[held_out].sum(axis=0), has.sum(axis=0) / 4, atol=2.1)


@pytest.mark.parametrize("n", [11, 12, 50])
def test_as_many_rows_are_held_out_as_by_scikit_learn_whatever_the_labels(n: int) -> None:
    rng = np.random.default_rng(0)
    kinds = {
        "few labels": rng.random((n, 2)) < 0.4,
        "many labels": rng.random((n, 300)) < 0.01,
        "frequent labels": rng.random((n, 10)) < 0.9,
        "classes of one row": np.minimum(np.arange(n), n - 4),
    }
    for kind, codes in kinds.items():
        for seed in range(10):
            train, held_out = stratified(codes.astype(int), 0.1, None, np.random.RandomState(seed))
            assert sorted([*train, *held_out]) == list(range(n)), kind
            assert len(held_out) == np.ceil(n / 10), kind
    fc.MLPClassifier(**QUICK, early_stopping=True).fit(X[:n], kinds["few labels"])
    with pytest.raises(ValueError, match="the resulting train set will be empty"):
        fc.MLPClassifier(**QUICK, early_stopping=True, validation_fraction=0.999).fit(X[:n], kinds["few labels"])


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_rows_of_a_group_stay_together(kind: str) -> None:
    groups = np.arange(150) // 5
    seen: list[Any] = []

    class Spy(getattr(fc, kind)):  # type: ignore[misc]
        def _split(self, *given: Any) -> Any:
            seen.append(super()._split(*given))
            return seen[-1]

    Spy(**QUICK, early_stopping=True).fit(X, y, groups=groups)
    train, held_out = seen[0]
    assert not set(groups[train]) & set(groups[held_out])
    assert len(train) + len(held_out) == 150
    with pytest.raises(ValueError, match="a group for each row"):
        getattr(fc, kind)(**QUICK, early_stopping=True).fit(X, y, groups=groups[:-1])
    assert (
        getattr(fc, kind)(**QUICK, early_stopping=True).fit(X, y, groups=np.arange(150) % 3).n_iter_ > 0
    )  # of few groups


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.3, 0.4, 0.6, 0.9])
def test_groups_are_held_out_as_near_to_the_fraction_as_they_allow(fraction: float) -> None:
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(60), np.arange(60) + 1))
    n, seen = len(groups), set()
    codes = rng.choice(3, n, p=[0.7, 0.2, 0.1])
    labels = (rng.random((n, 4)) < [0.5, 0.2, 0.05, 0.0]).astype(int)
    for seed in range(10):
        for split, columns in (
            (lambda r: stratified(codes, fraction, groups, r), np.eye(3)[codes]),
            (lambda r: stratified(codes == 2, fraction, groups, r), np.eye(2)[(codes == 2).astype(int)]),
            (lambda r: stratified(labels, fraction, groups, r), labels[:, :3]),
            (lambda r: shuffled(n, fraction, groups, r), np.ones((n, 1))),
        ):
            train, held_out = split(np.random.RandomState(seed))
            assert sorted([*train, *held_out]) == list(range(n))
            assert not set(groups[train]) & set(groups[held_out])
            assert abs(len(held_out) / n - fraction) < 0.012  # of whole groups of up to 0.033
            shares = columns[held_out].sum(axis=0) / columns.sum(axis=0)
            assert np.abs(shares - fraction).max() < 0.12
            np.testing.assert_array_equal(held_out, split(np.random.RandomState(seed))[1])
            seen.add(tuple(held_out))
    assert len(seen) > 20


def test_few_or_large_groups_are_split_too() -> None:
    sizes = np.array([40, 30, 30])
    groups = np.repeat(["a", "b", "c"], sizes)
    for fraction in (1e-9, 0.1, 0.5, 0.9, 1 - 1e-9):
        found = {len(shuffled(100, fraction, groups, np.random.RandomState(seed))[1]) for seed in range(20)}
        assert found <= ({30} if fraction < 0.4 else {40, 60} if fraction == 0.5 else {70})
    one = {tuple(np.unique(groups[shuffled(100, 0.1, groups, np.random.RandomState(s))[1]])) for s in range(20)}
    assert one == {("b",), ("c",)}  # drawn among those of the same size


def test_a_validation_set_of_ones_own_decides_when_to_stop() -> None:
    order = np.random.default_rng(0).permutation(len(yr))
    train, held_out = order[:300], order[300:]
    settings = {"random_state": 0, "max_iter": 300, "learning_rate_init": 0.03, "early_stopping": True}
    model = fc.MLPRegressor(**settings).fit(XR[train], yr[train], X_val=XR[held_out], y_val=yr[held_out])
    assert model.n_iter_ < 300
    assert model.best_validation_score_ == pytest.approx(model.score(XR[held_out], yr[held_out]))
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    lowest = fc.MLPRegressor(**settings, scoring="loss").fit(
        XR[train], yr[train], X_val=XR[held_out], y_val=yr[held_out]
    )
    assert lowest.best_validation_score_ == pytest.approx(-min(lowest.validation_loss_curve_))
    assert 0.5 * np.mean((lowest.predict(XR[held_out]) - yr[held_out]) ** 2) == pytest.approx(
        -lowest.best_validation_score_
    )
    watched = fc.MLPRegressor(random_state=0, max_iter=5).fit(
        XR[train], yr[train], X_val=XR[held_out], y_val=yr[held_out]
    )
    assert len(watched.validation_loss_curve_) == 5  # without early stopping it is only watched
    assert watched.validation_scores_ is None


@pytest.mark.parametrize("rate", [0.001, 0.5])
def test_a_warm_start_keeps_the_best_weights_of_the_fits_before(rate: float) -> None:
    """Scikit-learn trains on in the arrays that hold its best weights, and so restores the last ones."""
    A, b = load_breast_cancer(return_X_y=True)
    A, held_out = scale(A), {"X_val": scale(A)[400:], "y_val": b[400:]}
    model = fc.MLPClassifier(warm_start=True, early_stopping=True, random_state=0, max_iter=12, learning_rate_init=rate)
    best = 0.0
    for _ in range(3):
        model.fit(A[:400], b[:400], **held_out)
        assert model.score(A[400:], b[400:]) == model.best_validation_score_ >= best
        best = model.best_validation_score_


def test_a_warm_start_with_another_score_compares_it_with_its_own_epochs_alone() -> None:
    model = fc.MLPRegressor(**QUICK, warm_start=True, early_stopping=True, n_iter_no_change=2).fit(XR, yr)
    model.set_params(scoring="neg_mean_squared_error").fit(XR, yr)  # below 0, where R2 was above
    assert model.n_iter_ == 15
    assert model.best_validation_score_ == max(model.validation_scores_[-15:]) < 0
    before = model.best_validation_score_
    assert model.fit(XR, yr).best_validation_score_ >= before


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc", lambda model, A, b: float(model.score(A, b))])
def test_any_scorer_can_decide_when_to_stop(scoring: Any) -> None:
    pandas = pytest.importorskip("pandas")
    A, b = load_breast_cancer(return_X_y=True, as_frame=True)
    assert isinstance(A, pandas.DataFrame)
    model = fc.MLPClassifier(**QUICK, early_stopping=True, scoring=scoring).fit(A / A.max(), b.map({0: "no", 1: "yes"}))
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == model.n_iter_


def test_a_scorer_takes_weights_where_rows_have_some() -> None:
    def share(model: Any, A: Any, b: Any) -> float:
        return float(model.score(A, b))

    def weighted(model: Any, A: Any, b: Any, sample_weight: Any = None) -> float:
        return float(model.score(A, b, sample_weight))

    settings = {**QUICK, "early_stopping": True}
    for more, fit in (({"class_weight": "balanced"}, {}), ({}, {"sample_weight": np.ones(150)})):
        for scoring in (share, make_scorer(max_error), "rand_score"):
            with pytest.raises(ValueError, match="takes no sample_weight, and the rows have weights"):
                fc.MLPClassifier(**settings, **more, scoring=scoring).fit(X, y, **fit)
        scores = [
            fc.MLPClassifier(**settings, **more, scoring=scoring).fit(X, y, **fit).validation_scores_
            for scoring in (None, "accuracy", weighted, lambda *given, **more: weighted(*given, **more))
        ]
        assert scores[0] == scores[1] == scores[2] == scores[3]
    assert fc.MLPClassifier(**settings, scoring=share).fit(X, y).n_iter_ > 0


@pytest.mark.parametrize("scoring", [None, "r2", "neg_median_absolute_error"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_one_row_has_no_score(kind: str, scoring: Any) -> None:
    settings = {**QUICK, "early_stopping": True}
    for rows, more in ((1, {}), (3, {"sample_weight_val": [0, 2, 0]})):
        with pytest.raises(ValueError, match="validation set is too small: a score needs two rows or more in X_val"):
            getattr(fc, kind)(**settings, scoring=scoring).fit(X, y, X_val=X[:rows], y_val=y[:rows], **more)
    model = getattr(fc, kind)(**settings, scoring="loss").fit(X, y, X_val=X[:1], y_val=y[:1])
    assert np.isfinite(model.validation_scores_).all()


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"X_val": X[:, :3], "y_val": y}, "X has 3 features, but MLPClassifier is expecting 4 features as input"),
        ({"X_val": X, "y_val": y + 1}, "`y` has classes not in `self.classes_`"),
        ({"X_val": X}, "Both X_val and y_val"),
        ({"sample_weight_val": y}, "sample_weight_val was given without"),
        ({"X_val": X, "y_val": y[:-1]}, "inconsistent numbers of samples"),
    ],
)
def test_a_validation_set_that_does_not_fit_is_refused(fit: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fc.MLPClassifier(**QUICK).fit(X, y, **fit)


def test_validation_rows_have_the_class_weights_of_the_training_rows() -> None:
    order = np.random.default_rng(0).permutation(150)
    train, rest = order[:100], order[100:]
    model = fc.MLPClassifier(**QUICK, class_weight="balanced", early_stopping=True)
    model.fit(X[train], y[train], X_val=X[rest], y_val=y[rest])
    factors = 100 / 3 / np.bincount(y[train])
    assert model.best_validation_score_ == pytest.approx(model.score(X[rest], y[rest], factors[y[rest]]))


def test_validation_rows_are_watched_by_lbfgs_too() -> None:
    model = fc.MLPRegressor(solver="lbfgs", random_state=0, max_iter=7).fit(
        XR[:300], yr[:300], X_val=XR[300:], y_val=yr[300:]
    )
    assert len(model.validation_loss_curve_) == model.n_iter_
    for more in ({"schedule": fc.LinearDecay(3)}, {"max_grad_norm": 1.0}, {"checkpoint": "run"}, {"dropout": 0.5}):
        with pytest.raises(ValueError, match="it does not work with"):
            fc.MLPRegressor(solver="lbfgs", random_state=0, **more).fit(XR, yr)


@pytest.mark.parametrize(
    ("settings", "fit", "message"),
    [
        ({"class_weight": {0: -1.0}}, {}, "negative, not finite, or all zero"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, {}, "negative, not finite, or all zero"),
        ({"loss": fc.HalfSquaredError()}, {}, "is for numbers"),
        ({"scoring": "acuracy"}, {}, "acuracy"),
        ({"loss": fc.SoftmaxCrossEntropy(class_weight=[1, 2])}, {}, "has 2 entries; the network has 3 outputs"),
        (
            {"loss": fc.SoftmaxCrossEntropy(class_weight=[1, 2, 3]), "class_weight": "balanced"},
            {},
            "class_weight is given twice.*leave out one",
        ),
        ({"early_stopping": True}, {"groups": np.zeros(150)}, "groups has one group"),
        ({}, {"groups": np.zeros(3)}, "a group for each row"),
        ({}, {"groups": np.zeros(3), "sample_weight": np.arange(150)}, "a group for each row"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], fit: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fc.MLPClassifier(**QUICK, **settings).fit(X, y, **fit)


def test_one_class_needs_a_loss_that_can_do_with_one() -> None:
    assert (fc.MLPClassifier(**QUICK).fit(X, np.zeros(150)).predict(X) == 0).all()
    for loss in ("hinge", fc.SoftmaxCrossEntropy()):
        with pytest.raises(ValueError, match="needs 2 classes or more; y has 1"):
            fc.MLPClassifier(**QUICK, loss=loss).fit(X, np.zeros(150))


@pytest.mark.parametrize("n_jobs", [1, 2, -1])
def test_jobs_are_threads(n_jobs: int) -> None:
    model = fc.MLPClassifier(**QUICK, n_jobs=n_jobs).fit(X, y)
    assert model.predict(X).shape == (150,)


# architecture and losses


def test_layers_have_their_own_activations_dropout_norms_and_skips() -> None:
    model = fc.MLPClassifier(
        (8, 8, 4), ["gelu", "tanh", "relu"], dropout=[0.1, 0.0, 0.5], layer_norm=True, residual=True, max_iter=3
    ).fit(X, y)
    kinds = [op.kind for op in model.network_.program.operations]
    assert kinds.count("layer_norm") == 3
    assert kinds.count("dropout") == 2
    assert kinds.count("add") == 1
    assert [W.shape for W in model.coefs_] == [(4, 8), (8, 8), (8, 4), (4, 3)]
    normal = fc.MLPRegressor(
        hidden_layer_sizes=8, batch_norm=True, max_iter=200, random_state=0, learning_rate_init=0.01
    ).fit(XR, yr)
    assert normal.score(XR, yr) > 0.5
    with pytest.raises(ValueError, match="one entry for each of the 2 hidden layers"):
        fc.MLPClassifier((3, 3), dropout=[0.1]).fit(X, y)


@pytest.mark.parametrize(("loss", "more"), [("absolute_error", {}), ("huber", {}), ("quantile", {"quantile": 0.9})])
def test_regression_losses_by_name(loss: str, more: dict[str, Any]) -> None:
    settings = {"random_state": 0, "max_iter": 300, "learning_rate_init": 0.02, "hidden_layer_sizes": 8}
    model = fc.MLPRegressor(loss, **settings, **more).fit(XR, yr)
    assert model.loss_ < 0.6 * model.loss_curve_[0]
    if loss == "quantile":
        assert np.mean(yr <= model.predict(XR)) == pytest.approx(0.9, abs=0.05)


def test_predictions_are_bounded_by_the_output_activation() -> None:
    positive = fc.MLPRegressor(output_activation="softplus", random_state=0, max_iter=200).fit(XR, np.exp(yr))
    assert (positive.predict(100 * XR) >= 0).all()
    assert positive.out_activation_ == "softplus"
    share = 1 / (1 + np.exp(-yr))
    bounded = fc.MLPRegressor(output_activation="logistic", random_state=0, max_iter=200).fit(XR, share)
    assert 0 <= bounded.predict(100 * XR).min() <= bounded.predict(100 * XR).max() <= 1
    assert bounded.score(XR, share) > 0.4


@pytest.mark.parametrize("loss", ["poisson", fc.Poisson()])
def test_an_output_activation_does_not_bound_logarithms_of_rates(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"output_activation='softplus'.*exponential itself.*output_activation=None"):
        fc.MLPRegressor(loss, output_activation="softplus").fit(XR, np.exp(yr))
    fc.MLPRegressor(loss, output_activation="identity", max_iter=2).fit(XR, np.exp(yr))


def test_probabilities_are_those_of_the_loss_that_was_trained() -> None:
    model = fc.MLPClassifier(**QUICK, loss="hinge").fit(X, y)
    assert not hasattr(model.set_params(loss="log_loss"), "predict_proba")
    p = model.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(model.set_params(loss="hinge").predict_proba(X), p)


def test_probabilities_of_each_class_against_the_rest_sum_to_1_however_small_they_are(tmp_path: Path) -> None:
    model = fc.MLPClassifier(**QUICK, loss=fc.BinaryCrossEntropy()).fit(X, y)
    model.coefs_[1][...] = 0.0
    for z, expected in (
        ([-800.0, -801.0, -2000.0], [1 / (1 + np.exp(-1)), 1 - 1 / (1 + np.exp(-1)), 0.0]),
        ([-1.0, -1.0, 800.0], np.array([1, 1, 1 + np.e]) / (3 + np.e)),
    ):
        model.intercepts_[1][:] = z
        model.save(tmp_path / "model")
        for p in (model.predict_proba(X), fc.Predictor(tmp_path / "model").predict_proba(X)):
            np.testing.assert_allclose(p, np.tile(expected, (150, 1)), rtol=1e-9)


LABELS = make_multilabel_classification(150, 4, n_classes=3, random_state=0)[1]
PAIRS = [[1.0, 2.0], [0.5, 1.0], [1.5, 3.0]]


@pytest.mark.parametrize(
    ("target", "loss", "class_weight"),
    [
        (y, fc.SoftmaxCrossEntropy(class_weight=[1, 2, 3]), {0: 1, 1: 2, 2: 3}),
        (y == 1, fc.BinaryCrossEntropy(class_weight=[1, 3]), {False: 1, True: 3}),
        (LABELS, fc.BinaryCrossEntropy(class_weight=PAIRS), [dict(enumerate(pair)) for pair in PAIRS]),
    ],
    ids=["classes", "two classes", "labels"],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_of_a_loss_train_as_those_of_the_classifier(
    target: Any, loss: fc.Loss, class_weight: Any, solver: str
) -> None:
    settings, w = {**QUICK, "solver": solver, "batch_size": 32}, np.random.default_rng(0).random(150)
    validation = {"X_val": X[::2], "y_val": target[::2]}
    of_loss = fc.MLPClassifier(**settings, loss=loss).fit(X, target, w, **validation)
    of_classifier = fc.MLPClassifier(**settings, class_weight=class_weight).fit(X, target, w, **validation)
    same(of_loss, of_classifier)
    np.testing.assert_allclose(of_loss.validation_loss_curve_, of_classifier.validation_loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(of_loss.predict_proba(X), of_classifier.predict_proba(X), rtol=1e-6)


def test_smoothed_labels_in_a_classifier(tmp_path: Path) -> None:
    loss = fc.SoftmaxCrossEntropy(label_smoothing=0.2, class_weight=[1, 2, 3])
    settings = {**QUICK, "loss": loss, "early_stopping": True, "scoring": "loss"}
    model = fc.MLPClassifier(**settings).fit(X, y, X_val=X, y_val=y)
    z = model.decision_function(X)
    judged = fc.SoftmaxCrossEntropy(class_weight=[1, 2, 3])(z, y)[0]
    assert min(model.validation_loss_curve_) == pytest.approx(judged, rel=1e-9)
    assert model.best_validation_score_ == pytest.approx(-judged, rel=1e-9)
    assert clone(model).get_params()["loss"] == loss
    assert model.network_.loss == loss
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    model.save(tmp_path / "model")
    loaded = fc.load_estimator(tmp_path / "model")
    assert loaded.get_params()["loss"] == loaded.network_.loss == loss
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    # the score of early stopping is that of the rows, whatever their classes weigh in the loss
    scored = fc.MLPClassifier(**{**settings, "scoring": None}).fit(X, y, X_val=X, y_val=y)
    assert scored.best_validation_score_ == pytest.approx(scored.score(X, y))


def test_the_hinge_loss_has_scores_and_no_probabilities() -> None:
    for labels, loss in ((y, "hinge"), (np.where(y > 0, "a", "b"), fc.Hinge())):
        model = fc.MLPClassifier(loss=loss, random_state=0, max_iter=200, learning_rate_init=0.01).fit(X, labels)
        assert model.score(X, labels) > 0.95
        assert not hasattr(model, "predict_proba")
        assert model.decision_function(X).shape == (150, len(set(labels)))
    one_against_rest = fc.MLPClassifier(loss=fc.BinaryCrossEntropy(), solver="lbfgs", random_state=0).fit(X, y)
    np.testing.assert_allclose(one_against_rest.predict_proba(X).sum(axis=1), 1)
    assert one_against_rest.score(X, y) > 0.95


def test_weight_decay_does_not_depend_on_the_batch_size_and_alpha_does() -> None:
    sizes = {}
    for name in ("alpha", "weight_decay"):
        for batch, epochs in ((10, 2), (150, 30)):  # 30 steps
            settings = {"solver": "sgd", "momentum": 0, "random_state": 0, "batch_size": batch, "tol": 0}
            model = fc.MLPClassifier(
                (8,), learning_rate_init=1e-9, max_iter=epochs, **settings, **{"alpha": 0.0, name: 1e8}
            )
            before = fc.MLPClassifier((8,), learning_rate_init=1e-30, max_iter=1, **settings).fit(X, y)
            shrunk = np.linalg.norm(model.fit(X, y).coefs_[0]) / np.linalg.norm(before.coefs_[0])
            sizes[name, batch] = 1 - shrunk ** (1 / 30)
    assert sizes["weight_decay", 10] == pytest.approx(sizes["weight_decay", 150], rel=0.1)
    assert sizes["alpha", 10] == pytest.approx(15 * sizes["alpha", 150], rel=0.1)


@pytest.mark.parametrize(
    "solver", ["rmsprop", "adamw", "momentum", "nesterov", fc.Adam(0.01), fc.LBFGS(), fc.RMSProp(0.01, rho=0.8)]
)
def test_the_librarys_optimizers_are_solvers(solver: Any) -> None:
    model = fc.MLPClassifier((8,), solver=solver, random_state=0, max_iter=100, learning_rate_init=0.01).fit(X, y)
    assert model.score(X, y) > 0.9


def test_clipping_schedules_and_dtypes_reach_the_training() -> None:
    plain = fc.MLPClassifier(**QUICK).fit(X, y)
    for more in ({"max_grad_norm": 0.01}, {"schedule": fc.LinearDecay(15)}, {"weight_decay": 0.5}, {"dropout": 0.5}):
        assert not np.allclose(fc.MLPClassifier(**QUICK, **more).fit(X, y).coefs_[0], plain.coefs_[0])
    assert fc.MLPClassifier(**QUICK, dtype="float32").fit(X, y).coefs_[0].dtype == np.float32
    assert fc.MLPClassifier(**QUICK).fit(X.astype(np.float32), y).predict_proba(X).dtype == np.float32
    with pytest.raises(ValueError, match="dtype must be float32, float64 or None"):
        fc.MLPClassifier(**QUICK, dtype=np.float16).fit(X, y)


# runs that go on


@pytest.mark.parametrize("more", [{}, {"solver": "sgd", "learning_rate": "invscaling"}, {"dropout": 0.2}])
def test_partial_fit_goes_on_in_a_new_process_with_the_same_bits(more: dict[str, Any], tmp_path: Path) -> None:
    settings = {**QUICK, **more}
    straight = fc.MLPClassifier(**settings)
    broken = fc.MLPClassifier(**settings)
    for _ in range(3):
        straight.partial_fit(X, y, classes=[0, 1, 2])
        broken.partial_fit(X, y, classes=[0, 1, 2])
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps((broken, X, y)))
    code = """
        import pickle, sys
        model, X, y = pickle.load(open(sys.argv[1], "rb"))
        for _ in range(4):
            model.partial_fit(X, y)
        pickle.dump(model, open(sys.argv[1], "wb"))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(file)], check=True)
    for _ in range(4):
        straight.partial_fit(X, y)
    gone_on = pickle.loads(file.read_bytes())
    same(straight, gone_on, rtol=0, atol=0)
    assert straight.loss_curve_ == gone_on.loss_curve_
    assert straight.t_ == gone_on.t_ == 7 * 150


@pytest.mark.parametrize("more", [{}, {"solver": "sgd", "learning_rate": "invscaling"}])
def test_an_estimator_that_a_callback_pickles_goes_on_from_that_epoch(more: dict[str, Any]) -> None:
    settings = {**QUICK, "random_state": np.random.RandomState(0), **more}
    kept: list[bytes] = []

    def keep(epoch: fc.Epoch) -> None:
        then = copy.copy(model)
        then.callback = None
        kept.append(pickle.dumps(then))

    model = fc.MLPClassifier(**settings, callback=keep)
    model.fit(X, y)
    gone_on = pickle.loads(kept[5])
    for _ in range(3):
        gone_on.partial_fit(X, y)
    straight = fc.MLPClassifier(**{**settings, "random_state": np.random.RandomState(0), "max_iter": 6}).fit(X, y)
    for _ in range(3):
        straight.partial_fit(X, y)
    same(straight, gone_on, rtol=0, atol=0)
    assert straight.loss_curve_ == gone_on.loss_curve_


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"early_stopping": True, "n_iter_no_change": 5},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
        {"dropout": 0.2, "batch_norm": True},
    ],
)
def test_a_fit_that_is_stopped_is_resumed_with_the_same_bits(more: dict[str, Any], tmp_path: Path) -> None:
    settings = {**QUICK, "max_iter": 25, "batch_size": 20, **more}
    straight = fc.MLPClassifier(**settings).fit(X, y)

    def stop(epoch: Any) -> None:
        if epoch.number == 9:
            raise RuntimeError("stopped")

    path = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped"):
        fc.MLPClassifier(**settings, checkpoint=path, callback=stop).fit(X, y)
    resumed = fc.MLPClassifier(**settings, checkpoint=path).fit(X, y)
    same(straight, resumed, rtol=0, atol=0)
    assert straight.loss_curve_ == resumed.loss_curve_
    assert straight.validation_scores_ == resumed.validation_scores_
    assert (straight.n_iter_, straight.t_) == (resumed.n_iter_, resumed.t_)
    with pytest.raises(ValueError, match="random_state"):
        fc.MLPClassifier(**{**settings, "random_state": None}, checkpoint=path).fit(X, y)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is needed")
def test_a_killed_fit_is_resumed_with_the_same_bits(tmp_path: Path) -> None:
    code = """
        import sys
        import fullyconnected as fc
        from sklearn.datasets import load_digits
        X, y = load_digits(return_X_y=True)
        settings = {"random_state": 0, "max_iter": 40, "tol": 0, "checkpoint": sys.argv[1]}
        fc.MLPClassifier(**settings, callback=lambda epoch: print(epoch.number, flush=True)).fit(X, y)
    """
    path, call = tmp_path / "run", [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "run")]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "5":
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
    A, b = load_digits(return_X_y=True)
    settings = {"random_state": 0, "max_iter": 40, "tol": 0}
    same(
        fc.MLPClassifier(**settings, checkpoint=path).fit(A, b), fc.MLPClassifier(**settings).fit(A, b), rtol=0, atol=0
    )


def test_ctrl_c_keeps_what_was_trained() -> None:
    def interrupt(epoch: Any) -> None:
        if epoch.number == 4:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = fc.MLPClassifier(**QUICK, callback=interrupt).fit(X, y)
    assert model.n_iter_ == 4
    same(model, fc.MLPClassifier(**{**QUICK, "max_iter": 4}).fit(X, y), rtol=0, atol=0)


def test_the_callback_gets_each_epochs_record() -> None:
    epochs: list[fc.Epoch] = []
    model = fc.MLPClassifier(**QUICK, early_stopping=True, callback=epochs.append).fit(X, y)
    assert [epoch.loss for epoch in epochs] == model.loss_curve_
    assert [epoch.metrics["score"] for epoch in epochs] == model.validation_scores_
    assert [epoch.number for epoch in epochs] == list(range(1, model.n_iter_ + 1))


def test_a_diverging_fit_says_why_and_keeps_the_best_weights_if_there_are_some() -> None:
    settings = {
        "solver": "sgd",
        "activation": "identity",
        "learning_rate_init": 10.0,
        "random_state": 0,
        "max_iter": 50,
    }
    with pytest.raises(ValueError, match=r"Solver produced non-finite parameter weights.*learning rate"):
        fc.MLPRegressor(**settings).fit(1e3 * XR, yr)
    with pytest.warns(ConvergenceWarning, match="the best weights are restored"):
        model = fc.MLPRegressor(**settings, early_stopping=True).fit(1e3 * XR, yr)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(XR)).all()


HUGE = {"activation": "identity", "random_state": 0, "scale": False, "learning_rate_init": 1e100, "solver": "sgd"}


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_a_fit_that_fails_before_an_epoch_has_been_trained_changes_nothing(
    kind: str, early_stopping: bool, solver: str
) -> None:
    """It diverges at once, or what was given does not go together; a new estimator is not fitted afterwards."""

    def broken(model: Any) -> None:
        before, parameters = dict(vars(model)), dict(vars(model))
        for change, rows in (
            ({**HUGE, "solver": solver, "early_stopping": early_stopping}, 5e307 * X),
            ({"early_stopping": True, "validation_fraction": 1e-9, "solver": "sgd"}, X),
            ({"engine": "none such"}, X),
            ({"solver": "lbfgs", "max_grad_norm": 1.0}, X),
        ):
            model.set_params(**{"warm_start": False, **change})
            before |= model.get_params()
            with np.errstate(all="ignore"), pytest.raises((ValueError, TypeError)) as caught:
                model.fit(rows, y)
            assert "has the weights from before" not in str(caught.value)
            assert vars(model) == before
            before |= {name: parameters[name] for name in change}
            model.set_params(**{name: parameters[name] for name in change})

    fresh = getattr(fc, kind)(**QUICK)
    broken(fresh)
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    fitted = getattr(fc, kind)(**QUICK).fit(X, y)
    found, curve = fitted.predict(X), list(fitted.loss_curve_)
    broken(fitted)
    assert fitted.loss_curve_ == curve
    np.testing.assert_array_equal(fitted.predict(X), found)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_a_call_of_partial_fit_that_fails_changes_nothing(kind: str) -> None:
    more = {"classes": [0, 1, 2]} if kind == "MLPClassifier" else {}
    fresh = getattr(fc, kind)(**{**QUICK, **HUGE})
    before = dict(vars(fresh))
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="The estimator is as it was before"):
        fresh.partial_fit(5e307 * X, y, **more)
    assert vars(fresh) == before
    settings = {**QUICK, **HUGE, "learning_rate_init": 0.01}
    one, other = (getattr(fc, kind)(**settings).partial_fit(X, y, **more) for _ in range(2))
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="The estimator is as it was before"):
        one.set_params(learning_rate_init=1e300).partial_fit(5e307 * X, y)
    one.set_params(learning_rate_init=0.01).partial_fit(X, y)
    same(one, other.partial_fit(X, y), rtol=0, atol=0)  # with the moments of before


def test_a_warm_start_that_fails_keeps_the_loss() -> None:
    model = fc.MLPRegressor(**QUICK, warm_start=True).fit(XR, yr)
    with pytest.raises(ValueError, match="there is no engine"):
        model.set_params(loss="huber", engine="none such").fit(XR, yr)
    assert isinstance(model.network_.loss, fc.HalfSquaredError)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="The estimator is as it was before"):
        model.set_params(engine="auto", loss=fc.MeanSquaredError()).fit(1e300 * XR, yr)
    assert isinstance(model.network_.loss, fc.HalfSquaredError)


def test_a_warm_start_with_another_architecture_is_refused() -> None:
    model = fc.MLPClassifier(**QUICK, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="hidden layers \\[8\\]"):
        model.set_params(hidden_layer_sizes=(9,)).fit(X, y)
    model.set_params(hidden_layer_sizes=8)
    with pytest.raises(ValueError, match="what has changed since: dtype"):
        model.set_params(dtype="float32").fit(X, y)
    model.set_params(dtype=None).fit(X.astype(np.float32), y)  # with the dtype of the weights
    assert model.coefs_[0].dtype == np.float64


def test_weights_can_be_set_and_seen() -> None:
    model = fc.MLPClassifier(**QUICK).fit(X, y)
    other = fc.MLPClassifier(**QUICK, alpha=5.0).fit(X, y)
    model.coefs_, model.intercepts_ = other.coefs_, other.intercepts_
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    model.coefs_[0] = np.zeros((4, 8))
    assert not model.coefs_[0].any()
    model.coefs_[1][...] = 0.0
    np.testing.assert_allclose(np.ptp(model.decision_function(X), axis=0), 0)
    with pytest.raises(ValueError, match="arrays of the shapes"):
        model.coefs_ = [np.zeros((3, 3))]
    assert not hasattr(fc.MLPClassifier(), "coefs_")


def test_weights_are_set_before_the_first_call_in_both_kinds_or_in_none() -> None:
    trained = fc.MLPRegressor(**QUICK).fit(XR, yr)
    for has, lacks in (("coefs_", "intercepts_"), ("intercepts_", "coefs_")):
        for warm_start in (False, True):
            model = fc.MLPRegressor(**QUICK, warm_start=warm_start)
            setattr(model, has, getattr(trained, has))
            with pytest.raises(ValueError, match=f"{has} was set before the first call, and {lacks} was not"):
                (model.fit if warm_start else model.partial_fit)(XR, yr)
            setattr(model, lacks, getattr(trained, lacks))
            again = fc.MLPRegressor(**QUICK, warm_start=True).fit(XR, yr)
            if warm_start:
                same(model.fit(XR, yr), again.fit(XR, yr), rtol=0, atol=0)
            else:
                model.partial_fit(XR, yr)


def test_the_network_of_an_estimator_is_explained_and_checked() -> None:
    model = fc.MLPClassifier((3,), random_state=0, max_iter=5).fit(X, y)
    assert fc.check_gradients(model.network_, X[:5], y[:5], model.network_.loss).ok
    assert "softmax" in fc.explain(model.network_, X[:1], y[:1], model.network_.loss, "sgd").to_text()
    np.testing.assert_allclose(model.network_.predictions(X), model.predict_proba(X), rtol=1e-12)


# warnings


def test_one_warning_says_what_the_run_shows_and_which_parameter_to_change() -> None:
    A = XR * np.array([1.0] * 7 + [1e6] + [1.0] * 2)
    with pytest.warns(ConvergenceWarning) as caught:
        fc.MLPRegressor(hidden_layer_sizes=20, max_iter=3, random_state=0).fit(A, 100 + 50 * yr)
    assert len(caught) == 1
    said = str(caught[0].message)
    assert "Maximum iterations (3) reached and the optimization hasn't converged yet." in said
    assert "Feature 7 has mean" in said
    assert "y has mean" in said
    assert "StandardScaler" in said
    with pytest.warns(ConvergenceWarning, match=r"still falling, by .* an epoch.*max_iter"):
        fc.MLPClassifier((8,), max_iter=30, random_state=0).fit(X, y)
    with pytest.warns(ConvergenceWarning, match=r"lbfgs failed to converge after 3 iteration\(s\): STOP.*max_iter=3"):
        fc.MLPClassifier((8,), solver="lbfgs", max_iter=3, random_state=0).fit(X, y)
    settings = {"solver": "sgd", "learning_rate_init": 20.0, "max_iter": 40, "n_iter_no_change": np.inf}
    with pytest.warns(ConvergenceWarning, match="lower learning_rate_init"):
        fc.MLPClassifier((8,), **settings, random_state=0).fit(X, y)


def test_a_warning_advises_what_has_not_been_done_yet() -> None:
    with pytest.warns(ConvergenceWarning) as caught:
        fc.MLPClassifier((8,), solver="lbfgs", max_iter=10, random_state=0, tol=1e-9).fit(X, y)
    assert "learning_rate_init" not in str(caught[0].message)
    with pytest.warns(ConvergenceWarning, match="divide y by a number") as caught:
        fc.MLPRegressor(scale=True, output_activation="softplus", max_iter=3, random_state=0).fit(XR, 1e4 + yr)
    assert "scale=True" not in str(caught[0].message)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_a_warning_is_at_the_line_of_the_call(kind: str) -> None:
    def interrupt(epoch: Any) -> None:
        raise KeyboardInterrupt

    more = {"classes": [0, 1, 2]} if kind == "MLPClassifier" else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(fc, kind)(max_iter=2, batch_size=500).fit(X, y)
        getattr(fc, kind)(batch_size=500).partial_fit(X, y, **more)
        getattr(fc, kind)(solver="lbfgs", max_iter=2).fit(X, y)
        getattr(fc, kind)(callback=interrupt).fit(X, y)
        getattr(fc, kind)(callback=interrupt, solver="lbfgs").fit(X, y)
    assert len(caught) == 6
    assert {each.filename for each in caught} == {__file__}


def test_a_fit_keeps_to_its_time() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Training ended after \d+ epochs, as max_time=0.05 asks"):
        model = fc.MLPClassifier(max_iter=10**6, tol=0, random_state=0, max_time=0.05).fit(X, y)
    again = fc.MLPClassifier(max_iter=model.n_iter_, tol=0, random_state=0).fit(X, y)
    same(model, again, rtol=0, atol=0)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after .* max_time='0.001s' allows no more"):
        fc.MLPClassifier(solver="lbfgs", max_iter=10**5, tol=0, random_state=0, max_time="0.001s").fit(X, y)


def test_progress_is_shown_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    fc.MLPClassifier(**QUICK, progress=True).fit(X, y)
    assert "loss" in capsys.readouterr().err
    fc.MLPClassifier(**QUICK).fit(X, y)
    assert capsys.readouterr() == ("", "")


def test_an_estimator_is_diagnosed() -> None:
    model = fc.MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, np.array(["a", "b", "c"])[y])
    assert fc.diagnose(model, X, np.array(["a", "b", "c"])[y]).ok


@pytest.mark.parametrize("loss", ["log_loss", "hinge", fc.BinaryCrossEntropy(), fc.SoftmaxCrossEntropy()])
@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"])[y], y > 1, y, np.stack([y > 1, y > 0], axis=1)])
def test_classifiers_of_all_kinds_are_diagnosed(loss: Any, labels: Any) -> None:
    if labels.ndim > 1 and loss in ("hinge", fc.SoftmaxCrossEntropy()):
        return  # these know one class a row
    model = fc.MLPClassifier((8,), solver="lbfgs", loss=loss, random_state=0, alpha=0, max_iter=20).fit(X, labels)
    told = fc.diagnose(model, X, labels).about.split("the loss on them is ")[1].split(",")[0]
    assert float(told) == pytest.approx(model.loss_, rel=1e-3)


def test_the_last_step_of_a_pipeline_is_diagnosed() -> None:
    model = make_pipeline(StandardScaler(), fc.MLPClassifier((8,), solver="lbfgs", random_state=0)).fit(9 * X + 5, y)
    with pytest.raises(fc.errors.InputTypeError, match=r"fc\.diagnose\(model\[-1\], model\[:-1\]\.transform\(x\), t\)"):
        fc.diagnose(model, 9 * X + 5, y)  # type: ignore[arg-type]
    assert fc.diagnose(model[-1], model[:-1].transform(9 * X + 5), y).ok


def test_an_estimator_is_diagnosed_with_whatever_it_was_fitted_with() -> None:
    pandas = pytest.importorskip("pandas", reason="tables of pandas have names of columns")
    labels = csr_array(np.stack([y == 0, y > 0], axis=1).astype(int))
    model = fc.MLPClassifier((8,), solver="lbfgs", random_state=0).fit(csr_array(X), labels)
    assert fc.diagnose(model, csr_array(X), labels) == fc.diagnose(model, X, labels.toarray())
    table = pandas.DataFrame(X, columns=list("abcd"))
    model = fc.MLPClassifier((8,), solver="lbfgs", random_state=0).fit(table, y)
    assert fc.diagnose(model, table, y).ok
    with pytest.raises(fc.errors.DataError, match=r"in another order .* x\[list\(estimator\.feature_names_in_\)\]"):
        fc.diagnose(model, table[list("dcba")], y)


@pytest.mark.parametrize(
    ("more", "wanted", "not_wanted"),
    [
        ({}, "lower learning_rate_init, or set activation", "of solver"),
        ({"solver": fc.RMSProp(0.001)}, "lower the learning rate of solver, or set activation", "learning_rate_init"),
        ({"solver": "lbfgs"}, ': set activation="leaky_relu"', "learning"),
    ],
)
def test_a_warning_advises_what_the_solver_has(more: dict[str, Any], wanted: str, not_wanted: str) -> None:
    model = fc.MLPClassifier(**{**QUICK, "max_iter": 1}, warm_start=True, **more).fit(X, y)
    model.intercepts_[0] = np.full(8, -100.0)
    with pytest.warns(ConvergenceWarning, match="8 of the 8 units") as caught:
        model.fit(X, y)
    assert wanted in str(caught[0].message)
    assert not_wanted not in str(caught[0].message)


def test_a_warning_about_sparse_features_advises_what_keeps_the_zeros() -> None:
    with pytest.warns(ConvergenceWarning, match="set scale=True, or put a StandardScaler"):
        fc.MLPClassifier(**QUICK).fit(1e6 * X, y)
    with pytest.warns(ConvergenceWarning, match="put a MaxAbsScaler"):
        fc.MLPClassifier(**QUICK).fit(csr_array(1e6 * X), y)
