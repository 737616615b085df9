"""The estimators work inside scikit-learn: pipelines, searches, ensembles, inspection, callbacks, sparse data."""

import pickle
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.ensemble import BaggingRegressor, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, HalvingGridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils._param_validation import InvalidParameterError

import fullyconnected as fc
from fullyconnected.estimators.compat import VERSION
from fullyconnected.registries import ACTIVATIONS, OPTIMIZERS

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:scipy.optimize. The `disp`:DeprecationWarning",  # scikit-learn before 1.7 passes it to SciPy
)
X, y = scale(load_iris().data), load_iris().target
XR, yr = scale(load_diabetes().data), scale(load_diabetes().target)
QUICK = {"hidden_layer_sizes": (8,), "max_iter": 60, "random_state": 0, "learning_rate_init": 0.02}


def test_pipelines_and_searches() -> None:
    pipeline = make_pipeline(StandardScaler(), fc.MLPClassifier(**QUICK))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.9
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1e3]}, cv=3, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"mlpclassifier__alpha": 1e-4}
    assert search.predict(X).shape == (150,)
    halving = HalvingGridSearchCV(fc.MLPRegressor(**QUICK), {"alpha": [0.1, 1.0, 10.0]}, cv=2, random_state=0).fit(
        XR, yr
    )
    assert halving.best_estimator_.score(XR, yr) > 0.3


def test_clones_have_the_parameters_and_no_weights() -> None:
    model = fc.MLPClassifier(**QUICK, dropout=[0.1], loss=fc.SoftmaxCrossEntropy()).fit(X, y)
    again = clone(model)
    assert again.get_params() == model.get_params()
    assert not hasattr(again, "coefs_")
    np.testing.assert_array_equal(again.fit(X, y).coefs_[0], model.coefs_[0])


def test_pickles_predict_the_same_and_hold_the_moments_once() -> None:
    rng = np.random.default_rng(0)
    model = fc.MLPClassifier((200, 100), max_iter=3, random_state=0).fit(
        rng.normal(size=(300, 100)), rng.integers(0, 5, 300)
    )
    saved = pickle.dumps(model)
    np.testing.assert_array_equal(
        pickle.loads(saved).predict_proba(np.ones((1, 100))), model.predict_proba(np.ones((1, 100)))
    )
    assert len(saved) < 3.3 * model.network_.theta.nbytes


def test_ensembles_calibration_and_inspection() -> None:
    votes = VotingClassifier([("a", fc.MLPClassifier(**QUICK)), ("b", LogisticRegression())], voting="soft").fit(X, y)
    assert votes.score(X, y) > 0.9
    bagged = BaggingRegressor(fc.MLPRegressor(**QUICK), n_estimators=3, random_state=0).fit(XR, yr)
    assert bagged.score(XR, yr) > 0.4
    calibrated = CalibratedClassifierCV(fc.MLPClassifier(**QUICK), cv=3).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    model = fc.MLPRegressor(**QUICK).fit(XR, yr)
    assert permutation_importance(model, XR, yr, n_repeats=2, random_state=0).importances_mean.argmax() in (2, 4, 8)
    assert partial_dependence(model, XR, [2])["average"].shape[0] == 1


def test_displays() -> None:
    pytest.importorskip("matplotlib").use("agg")
    from sklearn.inspection import DecisionBoundaryDisplay
    from sklearn.model_selection import LearningCurveDisplay

    model = fc.MLPClassifier(**QUICK).fit(X[:, :2], y)
    assert DecisionBoundaryDisplay.from_estimator(model, X[:, :2], response_method="predict").surface_ is not None
    display = LearningCurveDisplay.from_estimator(model, X[:, :2], y, cv=2, train_sizes=[0.5, 1.0])
    assert display.test_scores.shape == (2, 2)


def test_tables_keep_the_names_of_columns() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = fc.MLPClassifier(**QUICK).fit(table, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(model.predict_proba(table), fc.MLPClassifier(**QUICK).fit(X, y).predict_proba(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[["b", "a", "c", "d"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    scaled = make_pipeline(StandardScaler().set_output(transform="pandas"), fc.MLPClassifier(**QUICK)).fit(table, y)
    assert scaled[-1].feature_names_in_.tolist() == ["a", "b", "c", "d"]


def test_weights_are_routed() -> None:
    w = np.where(y == 0, 10.0, 0.1)
    with sklearn.config_context(enable_metadata_routing=True):
        model = fc.MLPClassifier(**QUICK).set_fit_request(sample_weight=True, groups=False)
        model.set_score_request(sample_weight=True)
        found = cross_validate(model, X, y, cv=3, params={"sample_weight": w}, return_estimator=True)
        by_group = cross_validate(
            fc.MLPClassifier(**QUICK), X, y, cv=GroupKFold(3), params={"groups": np.arange(150) // 2}
        )
    assert found["test_score"].min() > 0.9
    assert by_group["test_score"].min() > 0.8  # the groups are for the splitter alone, unless they are asked for
    assert fc.MLPClassifier(**QUICK).fit(X, y, w).score(X, y, w) > 0.99


@pytest.mark.parametrize("convert", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_array])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_sparse_rows_train_as_dense_ones(convert: Any, solver: str) -> None:
    A = X * (X > 0)
    settings = {**QUICK, "solver": solver, "max_iter": 10, "early_stopping": solver == "sgd", "engine": "numpy"}
    dense, thin = fc.MLPClassifier(**settings).fit(A, y), fc.MLPClassifier(**settings).fit(convert(A), y)
    np.testing.assert_allclose(thin.coefs_[0], dense.coefs_[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(thin.predict_proba(convert(A)), dense.predict_proba(A), rtol=1e-6)
    thin = fc.MLPRegressor(**{**settings, "early_stopping": False}).fit(convert(A), y, sample_weight=np.arange(150) % 3)
    dense = fc.MLPRegressor(**{**settings, "early_stopping": False}).fit(A, y, sample_weight=np.arange(150) % 3)
    np.testing.assert_allclose(thin.predict(convert(A)), dense.predict(A), rtol=1e-5, atol=1e-8)


@pytest.mark.skipif(VERSION < (1, 9), reason="scikit-learn has callbacks from 1.9 on")
def test_scikit_learns_callbacks_are_called_in_each_epoch_and_can_stop() -> None:
    from sklearn.callback import ProgressBar

    class Watch:
        def __init__(self) -> None:
            self.begun, self.scores, self.torn_down = 0, [], False

        def setup(self, estimator: Any, context: Any) -> None:
            self.most = context.max_subtasks

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            self.begun += 1

        def on_fit_task_end(
            self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, fitted_estimator: Any = None
        ) -> bool:
            if context.task_name == "epoch":
                self.scores.append(fitted_estimator.score(X, y))
            return len(self.scores) == 5

        def teardown(self, estimator: Any, context: Any) -> None:
            self.torn_down = True

    watch = Watch()
    model = fc.MLPClassifier(**QUICK).set_callbacks(watch).fit(X, y)
    assert (watch.most, watch.begun, len(watch.scores), model.n_iter_, watch.torn_down) == (60, 6, 5, 5, True)
    assert watch.scores[-1] == model.score(X, y)
    assert fc.MLPRegressor(**QUICK).set_callbacks(ProgressBar()).fit(XR, yr).n_iter_ == 60


@pytest.mark.parametrize(
    ("parameter", "value", "allowed"),
    [
        ("activation", "rellu", "'tanh'"),
        ("solver", "newton", "'lbfgs'"),
        ("learning_rate", "fast", "'adaptive'"),
        ("alpha", -1, "range"),
        ("validation_fraction", 1.0, "range"),
        ("loss", "brier", "'log_loss'"),
        ("class_weight", "even", "'balanced'"),
        ("dropout", 1.0, "range"),
        ("max_grad_norm", 0.0, "range"),
        ("schedule", "cosine", "callable"),
        ("hidden_layer_sizes", "8", "array-like"),
    ],
)
def test_unknown_values_are_refused_with_the_allowed_ones(parameter: str, value: Any, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of MLPClassifier must be.*{allowed}"):
        fc.MLPClassifier(**{parameter: value}).fit(X, y)


@pytest.mark.parametrize(
    ("parameter", "value", "place", "allowed"),
    [
        ("activation", ["relu", "rellu"], 1, "'logistic'.*instance of"),
        ("activation", [None, "relu"], 0, "'logistic'"),
        ("dropout", [0.5, 1.0], 1, r"range \[0.0, 1.0\)"),
        ("dropout", ["0.1", 0.5], 0, "float"),
        ("hidden_layer_sizes", (3.5, 2), 0, "int in the range"),
        ("hidden_layer_sizes", [2, "3"], 1, "int in the range"),
        ("hidden_layer_sizes", np.ones((2, 2), int), 0, "int in the range"),
    ],
)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_unknown_entries_of_lists_are_refused_with_their_place(
    kind: str, parameter: str, value: Any, place: int, allowed: str
) -> None:
    model = getattr(fc, kind)(**{"hidden_layer_sizes": (2, 2), parameter: value})
    for fit in (model.fit, lambda X, y: model.partial_fit(X, y, *[[0, 1, 2]] * (kind == "MLPClassifier"))):
        with pytest.raises(
            InvalidParameterError, match=rf"The '{parameter}\[{place}\]' parameter of {kind}.*{allowed}"
        ):
            fit(X, y)


def test_class_weights_of_a_label_are_a_dict_balanced_or_none() -> None:
    A, labels = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
    with pytest.raises(InvalidParameterError, match=r"'class_weight\[1\]' parameter of MLPClassifier.*'balanced'"):
        fc.MLPClassifier(class_weight=["balanced", "balancd", None]).fit(A, labels)
    given = [{0: 1, 1: 1}, "balanced", {0: 2.0, 1: 1.0}]
    one, other = (
        fc.MLPClassifier(**QUICK, class_weight=weights).fit(A, labels) for weights in (given, [None, *given[1:]])
    )
    np.testing.assert_array_equal(one.predict_proba(A), other.predict_proba(A))


def test_classes_that_are_registered_later_have_names_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (OPTIMIZERS, ACTIVATIONS):
        monkeypatch.setattr(registry, "classes", dict(registry.classes))

    @dataclass(frozen=True)
    class Sign(fc.Optimizer):
        lr: float = 0.1
        name: ClassVar[str] = "sign_of_the_gradient"

        def update(self, theta: Any, g: Any, s: Any, c: Any, *, lr: float, step: int, decays: bool) -> None:
            theta -= lr * np.sign(g)

    class Start(fc.Solver):
        name = "stays_where_it_is"

        def minimize(self, loss: Any, theta: Any, iterations: int, after: Any) -> str:
            after(theta, loss(theta)[0])
            return "converged"

    class Bend(fc.ActivationFunction):
        name = "bend"

        def forward(self, z: Any, c: Any, y: Any) -> None:
            c.xp.arctan(z, out=y)

        def backward(self, z: Any, c: Any, y: Any, dy: Any) -> None:
            dy *= np.cos(y) ** 2

    for cls in (Sign, Start, Bend):
        fc.register(cls)
    settings = {**QUICK, "max_iter": 60, "activation": "bend", "output_activation": "bend"}
    model = fc.MLPRegressor(**settings, solver=Sign.name).fit(XR, yr)
    again = fc.MLPRegressor(**settings, solver=Sign(0.02)).fit(XR, yr)
    np.testing.assert_array_equal(model.predict(XR), again.predict(XR))
    still = fc.MLPRegressor(**settings, solver=Start.name).fit(XR, yr)
    assert still.n_iter_ == 1
    assert not hasattr(still, "partial_fit")
    with pytest.raises(ValueError, match=r"'solver' parameter of MLPRegressor must be.*'sign_of_the_gradient'"):
        fc.MLPRegressor(solver="sign").fit(XR, yr)


@pytest.mark.parametrize(
    ("A", "b", "message"),
    [
        (np.where(X[3, 1] == X, np.nan, X), y, "Input X contains NaN"),
        (np.where(X[3, 1] == X, np.inf, X), y, "Input X contains infinity"),
        (X[:0], y[:0], "Found array with 0 sample"),
        (X[:, :0], y, "0 feature"),
        (X, y[:-1], "inconsistent numbers of samples"),
        (X[0], y, "Expected 2D array, got 1D array instead"),
        (X, y + 0.5, "Unknown label type"),
        (np.full((150, 4), "a"), y, "could not convert string to float"),
    ],
)
def test_bad_data_is_refused_in_scikit_learns_words(A: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fc.MLPClassifier(**QUICK).fit(A, b)


@pytest.mark.parametrize(
    ("b", "error", "message"),
    [
        (np.where(yr == yr[5], np.nan, yr), ValueError, "Input y contains NaN"),
        ([None] * len(yr), ValueError, "Input y contains NaN"),
        (np.full(len(yr), -np.inf), ValueError, "Input y contains infinity"),
        (["a"] * len(yr), TypeError, r"y has dtype <U1, such as .*'a'.*; numbers are wanted, y.astype\(float\)"),
        (np.array(["a"] * len(yr), dtype=object), ValueError, "could not convert string to float"),
    ],
)
def test_bad_targets_of_a_regressor_are_named_y(b: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fc.MLPRegressor(**QUICK).fit(XR, b)


def test_bad_rows_for_prediction_are_refused_in_scikit_learns_words() -> None:
    model = fc.MLPClassifier(**QUICK).fit(X, y)
    for A, message in [(X[:, :3], "X has 3 features, but MLPClassifier is expecting 4"), (X * np.nan, "contains NaN"),
                       (X[:0], "0 sample"), (X[0], "Expected 2D array")]:  # fmt: skip
        for method in (model.predict, model.predict_proba, model.decision_function):
            with pytest.raises(ValueError, match=message):
                method(A)
