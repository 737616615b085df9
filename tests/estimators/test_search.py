"""Searches of scikit-learn on joblib's workers, and on those of Dask and Ray, which `.ci/nightly search` has."""

import contextlib
import importlib.util
import os

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

import fullyconnected as fc
from fullyconnected.engine.threads import n_threads

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NATIVE = fc.engines()["native"]
NEEDS = {"loky": "joblib", "dask": "distributed", "ray": "ray"}
X, y = load_digits(n_class=3, return_X_y=True)
X = X / 16
MODEL = fc.MLPClassifier((32,), n_jobs=1, max_iter=8, learning_rate_init=0.01, random_state=0)
GRID = {"alpha": [1e-4, 100.0], "dropout": [0.0, 0.3]}


@pytest.fixture(scope="module", params=NEEDS)
def backend(request):
    """The name of a back end whose two workers run what joblib is given, and have no number of threads from here."""
    name = request.param
    if importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not needed to test the library; .ci/nightly search has it")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.delenv("OMP_NUM_THREADS", raising=False)
        if name == "dask":
            from distributed import Client

            stack.enter_context(Client(n_workers=2, threads_per_worker=1, dashboard_address=":0"))
        elif name == "ray":
            import ray
            from ray.util.joblib import register_ray

            register_ray()
            stack.enter_context(ray.init(num_cpus=2, include_dashboard=False))
        stack.enter_context(joblib.parallel_config(name, n_jobs=2))
        yield name


def results(search):
    """Return all that a search has found, but not how long it took."""
    return {name: list(found) for name, found in search.cv_results_.items() if not name.endswith("_time")}


def watching(model, X, y):
    """Return where a fit runs, and on how many threads: those that its engine is told, and those it would take."""
    from fullyconnected.engine import native_engine

    told, asked = native_engine.n_threads, []
    native_engine.n_threads = lambda given=None: asked.append(told(given)) or asked[-1]
    try:
        clone(model).fit(X, y)
    finally:
        native_engine.n_threads = told
    return {"process": os.getpid(), "threads": max(asked), "by itself": n_threads()}


watching.__module__ = "__main__"  # so that it is pickled as it stands: workers cannot import this module


@pytest.mark.parametrize(
    ("kind", "settings"), [(GridSearchCV, {}), (RandomizedSearchCV, {"n_iter": 3, "random_state": 0})]
)
def test_a_search_finds_the_bits_of_one_process(backend, kind, settings):
    with joblib.parallel_config("sequential"):
        here = kind(MODEL, GRID, cv=3, **settings).fit(X, y)
    there = kind(MODEL, GRID, cv=3, **settings).fit(X, y)
    assert results(there) == results(here)
    assert there.best_params_ == here.best_params_
    assert there.best_score_ > 0.9
    assert there.best_estimator_.network_.theta.tobytes() == here.best_estimator_.network_.theta.tobytes()


@pytest.mark.skipif(not NATIVE.available, reason=NATIVE.about)
def test_each_fit_takes_one_thread_of_a_worker(backend):
    found = GridSearchCV(MODEL, GRID, cv=3, scoring=watching, refit=False).fit(X, y).cv_results_
    of = {
        name: {int(n) for i in range(3) for n in found[f"split{i}_test_{name}"]}
        for name in ("process", "threads", "by itself")
    }
    assert os.getpid() not in of["process"]
    assert len(of["process"]) <= 2
    assert of["threads"] == {1}
    if backend != "loky":  # which gives each worker its share of the processors
        assert of["by itself"] == {1}


def test_fitted_estimators_go_to_workers_and_come_back(backend):
    models = [
        clone(MODEL).fit(X, y),
        fc.MLPRegressor(hidden_layer_sizes=(8,), n_jobs=1, max_iter=8, random_state=0).fit(X, y),
        fc.TabularClassifier(preset="fast", epochs=2, n_jobs=1, random_state=0).fit(X[:, 20:30], y),
    ]
    rows = [X, X, X[:, 20:30]]
    predicted = joblib.Parallel()(joblib.delayed(model.predict)(x) for model, x in zip(models, rows, strict=True))
    again = joblib.Parallel()(joblib.delayed(model.fit)(x, y) for model, x in zip(models, rows, strict=True))
    for model, x, there, back in zip(models, rows, predicted, again, strict=True):
        here = model.predict(x)
        assert there.tobytes() == here.tobytes()
        assert back is not model
        assert back.predict(x).tobytes() == here.tobytes()
        assert back.get_params() == model.get_params()


def test_estimators_for_tables_are_searched(backend):
    table = np.where(X[:, 20:28] > 0, X[:, 20:28], np.nan)  # gaps, too
    model = fc.TabularClassifier(preset="fast", n_jobs=1, random_state=0)
    grid = {"epochs": [1, 6]}
    with joblib.parallel_config("sequential"):
        here = GridSearchCV(model, grid, cv=2).fit(table, y)
    there = GridSearchCV(model, grid, cv=2).fit(table, y)
    assert results(there) == results(here)
    assert there.best_params_ == {"epochs": 6}
    assert there.predict_proba(table).tobytes() == here.predict_proba(table).tobytes()
