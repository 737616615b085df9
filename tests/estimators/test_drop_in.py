"""The estimators train as scikit-learn's do: the same weights, order of rows, losses and attributes."""

import enum
import inspect
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.preprocessing import scale

import fullyconnected as fc
from fullyconnected.estimators.compat import VERSION

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::RuntimeWarning",
    "ignore:scipy.optimize. The `disp`:DeprecationWarning",  # scikit-learn before 1.7 passes it to SciPy
)
THEIRS = sklearn.neural_network

LABELS = make_multilabel_classification(100, 8, random_state=0)[1]
CLASSES = {
    "iris": (scale(load_iris().data), load_iris().target),
    "breast cancer": (scale(load_breast_cancer().data), load_breast_cancer().target),
    "digits": (load_digits().data[:300] / 16, load_digits().target[:300].astype(str)),
    "labels": (scale(make_multilabel_classification(100, 8, random_state=0)[0]), LABELS),
}
VALUES = {
    "diabetes": (scale(load_diabetes().data), scale(load_diabetes().target)),
    "wine's alcohol": (scale(load_iris().data[:, :3]), load_iris().data[:, 3]),
}
SOLVERS = {
    "plain": {"solver": "sgd", "momentum": 0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.8},
    "nesterov": {"solver": "sgd", "alpha": 0.1},
    "all gradients": {"solver": "sgd", "momentum": 1, "learning_rate_init": 1e-4},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "power_t": 0.4},
    "adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "tol": 0.02, "n_iter_no_change": 1
    },
    "adam": {"solver": "adam", "learning_rate_init": 0.01, "epsilon": 1e-3},
    "adam, deep": {"hidden_layer_sizes": (9, 7), "activation": "tanh", "alpha": 1.0, "batch_size": 32},
    "logistic, unshuffled": {"activation": "logistic", "shuffle": False, "batch_size": 23},
    "linear": {"activation": "identity", "beta_1": 0.5, "beta_2": 0.9},
}  # fmt: skip


def pair(kind: str, settings: dict[str, Any], X: Any, y: Any, engine: str, **fit: Any) -> tuple[Any, Any]:
    """Return scikit-learn's estimator and ours, both fitted."""
    settings = {"max_iter": 20, "random_state": 5, **settings}
    theirs = getattr(THEIRS, kind)(**settings).fit(X, y, **fit)
    return theirs, getattr(fc, kind)(engine=engine, **settings).fit(X, y, **fit)


def same(theirs: Any, ours: Any, rtol: float = 1e-6) -> None:
    """Assert that both have trained in the same way."""
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)
    for name in ("loss_", "best_loss_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        mine, his = getattr(ours, name), getattr(theirs, name)
        assert mine == (pytest.approx(his, rel=rtol) if isinstance(his, float) else his), name


@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize("settings", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("data", CLASSES)
def test_a_classifier_trains_as_scikit_learns(data: str, settings: dict[str, Any], engine: str) -> None:
    X, y = CLASSES[data]
    theirs, ours = pair("MLPClassifier", settings, X, y, engine)
    same(theirs, ours)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize("settings", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("data", VALUES)
def test_a_regressor_trains_as_scikit_learns(data: str, settings: dict[str, Any], engine: str) -> None:
    X, y = VALUES[data]
    theirs, ours = pair("MLPRegressor", settings, X, y, engine)
    same(theirs, ours)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5, atol=1e-8)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-6)


@pytest.mark.skipif(VERSION < (1, 7), reason="scikit-learn has this loss from 1.7 on")
@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_the_poisson_loss_is_scikit_learns(engine: str) -> None:
    X = VALUES["diabetes"][0]
    y = np.random.default_rng(0).poisson(np.exp(X[:, 2]))
    same(*pair("MLPRegressor", {"loss": "poisson", "learning_rate_init": 0.01}, X, y, engine))


@pytest.mark.skipif(VERSION < (1, 7), reason="scikit-learn has this loss from 1.7 on")
def test_epochs_without_improvement_are_counted_on_in_a_warm_start_with_the_poisson_loss() -> None:
    X = VALUES["diabetes"][0]
    y = 50 + np.random.default_rng(0).poisson(np.exp(X[:, 2]))  # a large part of the deviance is constant
    settings = {"loss": "poisson", "warm_start": True, "random_state": 0, "max_iter": 8, "n_iter_no_change": 3}
    theirs, ours = (module.MLPRegressor(**settings, tol=30.0) for module in (THEIRS, fc))
    for _ in range(3):
        assert ours.fit(X, y).n_iter_ == theirs.fit(X, y).n_iter_
        assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=1e-6)


@pytest.mark.parametrize("settings", [{}, {"alpha": 1.0, "activation": "tanh", "hidden_layer_sizes": (8,)}])
def test_lbfgs_arrives_where_scikit_learns_does(settings: dict[str, Any]) -> None:
    for kind, (X, y) in [("MLPClassifier", CLASSES["iris"]), ("MLPClassifier", CLASSES["breast cancer"]),
                         ("MLPRegressor", VALUES["diabetes"])]:  # fmt: skip
        theirs, ours = pair(kind, {"solver": "lbfgs", "max_iter": 15, **settings}, X, y, "auto")
        assert ours.n_iter_ == theirs.n_iter_
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
        assert ours.loss_curve_[-1] == ours.loss_
        for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("rate", ["constant", "adaptive"])
def test_what_is_printed_is_scikit_learns(rate: str, early_stopping: bool, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {
        "solver": "sgd", "learning_rate": rate, "tol": 0.05, "n_iter_no_change": 2, "verbose": True,
        "early_stopping": early_stopping, "random_state": 5, "max_iter": 100, "learning_rate_init": 1e-4,
    }  # fmt: skip
    printed = []
    for module in (THEIRS, fc):
        module.MLPClassifier(**settings).fit(*CLASSES["breast cancer"])
        printed.append(re.sub(r"(?<=loss = \d\.\d{5})\d+", "", capsys.readouterr().out).splitlines())
    assert printed[0] == printed[1]
    assert any("Setting learning rate to 0.000020" in line for line in printed[1]) == (rate == "adaptive")


@pytest.mark.parametrize(("kind", "data"), [("MLPClassifier", "breast cancer"), ("MLPRegressor", "diabetes")])
@pytest.mark.parametrize(
    "more", [{}, {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.1}]
)
def test_early_stopping_is_scikit_learns(kind: str, data: str, more: dict[str, Any]) -> None:
    X, y = {**CLASSES, **VALUES}[data]
    settings = {"early_stopping": True, "max_iter": 60, "learning_rate_init": 0.02, "n_iter_no_change": 4, **more}
    theirs, ours = pair(kind, settings, X, y, "auto")
    same(theirs, ours)  # the weights are those of the best epoch
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-6)
    assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_, rel=1e-6)
    assert ours.best_loss_ is None
    assert len(ours.validation_loss_curve_) == ours.n_iter_


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_partial_fit_and_warm_start_go_on_as_scikit_learns(kind: str) -> None:
    X, y = CLASSES["iris"]
    first = {"classes": np.unique(y)} if kind == "MLPClassifier" else {}
    for settings in SOLVERS.values():
        theirs, ours = (getattr(module, kind)(random_state=1, **settings) for module in (THEIRS, fc))
        for rows in (slice(0, 90), slice(30, 150), slice(0, 150)):
            for each in (theirs, ours):
                each.partial_fit(X[rows], y[rows], **first)
        same(theirs, ours)
        theirs, ours = (getattr(m, kind)(random_state=1, warm_start=True, max_iter=3, **settings) for m in (THEIRS, fc))
        for n in (3, 6):
            for each in (theirs, ours):
                each.set_params(max_iter=n).fit(X, y)
        same(theirs, ours)
        assert len(ours.loss_curve_) == 9


@pytest.mark.skipif(VERSION < (1, 7), reason="scikit-learn has weights from 1.7 on")
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_equal_weights_change_nothing_and_others_weigh_as_scikit_learns_in_a_full_batch(solver: str) -> None:
    X, y = CLASSES["iris"]
    w = np.random.default_rng(0).integers(1, 5, len(y)).astype(float)
    settings = {"solver": solver, "batch_size": len(y), "alpha": 0.3, "max_iter": 10}
    theirs, ours = pair("MLPClassifier", settings, X, y, "auto", sample_weight=w)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_parameters_are_scikit_learns_and_the_librarys_own_are_keywords_after_them(kind: str) -> None:
    theirs, ours = (inspect.signature(getattr(module, kind)).parameters for module in (THEIRS, fc))
    if VERSION >= (1, 7):
        assert list(ours)[: len(theirs)] == list(theirs)
    for name, given in theirs.items():
        assert ours[name].default == given.default
        assert ours[name].kind == given.kind or VERSION < (1, 7)
    for name in ours.keys() - theirs.keys() - {"loss"}:
        assert ours[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert re.search(rf"^{name} : .*, default=", getattr(fc, kind).__doc__, re.MULTILINE)


def test_labels_come_back_in_the_form_in_which_they_were_given(tmp_path: Path) -> None:
    X, labels = CLASSES["labels"]
    forms = {"dense": labels, "sparse": csr_array(labels)}
    for form, given in forms.items():
        ours, theirs = (module.MLPClassifier(max_iter=3, random_state=0).fit(X, given) for module in (fc, THEIRS))
        ours.save(tmp_path / form)
        for model in (ours, fc.load_estimator(tmp_path / form)):
            found, expected = model.predict(X), theirs.predict(X)
            assert type(found) is type(expected)
            assert (found != expected).sum() == 0
        assert isinstance(fc.Predictor(tmp_path / form).predict(X), np.ndarray)


def test_labels_that_numpy_reads_as_others_are_refused() -> None:
    """Strings of an Enum sort as what they are, and become the name of their member in an array."""

    class Colour(str, enum.Enum):  # noqa: UP042 (a StrEnum is read as its value)
        RED, BLUE = "A", "B"

    X, y = CLASSES["breast cancer"]
    labels = np.array([Colour.RED, Colour.BLUE], dtype=object)[y]
    with pytest.raises(ValueError, match=r"`y` has the label <Colour\.RED: 'A'>, which.*convert"):
        fc.MLPClassifier(max_iter=3).fit(X, labels)


def test_several_outputs_train_as_scikit_learns_and_the_loss_is_that_of_the_gradient() -> None:
    X = VALUES["diabetes"][0]
    y = X[:, :3] @ np.array([[1.0, 2, 0], [0, 1, 1], [1, 0, 1]])
    theirs, ours = pair("MLPRegressor", {"alpha": 0.0, "tol": 0.0}, X, y, "auto")
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ours.loss_curve_, 3 * np.array(theirs.loss_curve_), rtol=1e-6)


# The tests of scikit-learn's own MLP that read private attributes of its class
PRIVATE = {"test_gradient": "_loss_grad_lbfgs"}


def test_scikit_learns_own_tests_pass(tmp_path: Path) -> None:
    """Its installed test module runs with the import changed; nothing of it is kept."""
    import sklearn.neural_network.tests.test_mlp as own

    source = Path(own.__file__).read_text(encoding="utf-8")
    changed, n = re.subn(r"from sklearn\.neural_network import MLP", "from fullyconnected import MLP", source)
    assert n == 1
    (tmp_path / "test_own.py").write_text(changed, encoding="utf-8")
    fixture = "import pytest\n@pytest.fixture\ndef global_random_seed():\n    return 42\n"
    (tmp_path / "conftest.py").write_text(fixture, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path),
         "--junitxml", "found.xml", "test_own.py"],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    cases = ElementTree.parse(tmp_path / "found.xml").iter("testcase")
    found = {case.get("name"): "".join(f.get("message", "") for f in case.iter("failure")) for case in cases}
    assert len(found) > 40, done.stdout
    failed = {name: why for name, why in found.items() if why}
    assert {name: PRIVATE.get(name, "") in why for name, why in failed.items()} == dict.fromkeys(PRIVATE, True), failed
