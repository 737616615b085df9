"""A search over hyperparameters on many processes: the same search by joblib's own workers, by Dask and by Ray.

    python examples/search.py [loky|threading|dask|ray]

joblib runs the fits of a search where its back end says: loky, its own, in processes of this machine; Dask and Ray in
those of a cluster, here of two workers on this machine. Each fit takes one thread, by ``n_jobs=1`` of the estimator, so
that as many fits run as there are workers, and each gives the bits that it gives in one process. RandomizedSearchCV,
cross_val_score, and all else that scikit-learn gives to joblib, go the same way.

Data: scikit-learn's load_digits, 1,797 images of 8 by 8 pixels, divided by 16 so that they lie between 0 and 1.
Seeds: 0, for initial weights and shuffling.
Needs scikit-learn: pip install "fullyconnected[sklearn]"; and dask with distributed, or ray, for their back ends.
"""

import contextlib
import os
import sys

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import fullyconnected as fc
from fullyconnected.engine.threads import n_threads

WORKERS = 2
GRID = {"hidden_layer_sizes": [(16,), (64,)], "alpha": [1e-4, 10.0]}


@contextlib.contextmanager
def workers(backend):
    """Run what joblib is given in this context on the workers of a back end."""
    with contextlib.ExitStack() as stack:
        if backend == "dask":
            from distributed import Client

            stack.enter_context(Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0"))
        elif backend == "ray":
            import ray
            from ray.util.joblib import register_ray

            register_ray()
            stack.enter_context(ray.init(num_cpus=WORKERS, include_dashboard=False))
        stack.enter_context(joblib.parallel_config(backend, n_jobs=WORKERS))
        yield


def scores(model, X, y):
    """Return the accuracy of a fit, and beside it the process in which it ran and its number of threads."""
    return {"accuracy": model.score(X, y), "process": os.getpid(), "threads": n_threads(model.n_jobs)}


def of_each_fit(search, name):
    """Return what the scorer found: a row for each split, a column for each setting."""
    return np.array([search.cv_results_[f"split{i}_test_{name}"] for i in range(search.n_splits_)])


def main(backend="loky"):
    """Search in one process and on the workers of a back end, and hold the results to be the same."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    model = fc.MLPClassifier(n_jobs=1, learning_rate_init=0.01, tol=1e-3, n_iter_no_change=3, random_state=0)
    search = GridSearchCV(model, GRID, scoring=scores, refit="accuracy", cv=3)
    here = GridSearchCV(model, GRID, scoring=scores, refit="accuracy", cv=3).fit(X, y)
    with workers(backend):
        search.fit(X, y)

    accuracy, processes = of_each_fit(search, "accuracy"), {int(each) for each in of_each_fit(search, "process").flat}
    print(f"{backend}: {accuracy.size} fits in {len(processes)} processes, one thread each")
    assert len(processes) <= WORKERS
    assert (os.getpid() in processes) == (backend == "threading")
    assert np.all(of_each_fit(search, "threads") == 1)

    print(f"best of the search {search.best_params_}, accuracy {search.best_score_:.3f}")
    assert search.best_params_ == {"hidden_layer_sizes": (64,), "alpha": 1e-4}
    assert search.best_score_ > 0.9

    print("the same bits as in one process")
    assert search.best_params_ == here.best_params_
    assert np.array_equal(accuracy, of_each_fit(here, "accuracy"))
    assert np.array_equal(search.predict_proba(X), here.predict_proba(X))


if __name__ == "__main__":
    main(*sys.argv[1:])
