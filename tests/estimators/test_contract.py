"""scikit-learn's own checks of estimators; of those for tables, one kind is expected to fail."""

from typing import Any

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import fullyconnected as fc

# as scikit-learn sets its own for these checks
WEIGHTS = {"MLPClassifier": {"solver": "lbfgs"}, "MLPRegressor": {"solver": "sgd", "tol": 1e-2, "random_state": 42}}
SMALL = {"n_members": 2, "hidden": (32,), "epochs": 16}


ALL = parametrize_with_checks(
    [
        fc.MLPClassifier(max_iter=100),
        fc.MLPRegressor(max_iter=100),
        fc.TabularClassifier(**SMALL),
        fc.TabularRegressor(**SMALL),
    ]
)
names, cases = ALL.args  # before scikit-learn 1.6, the cases are a generator, which new versions of pytest refuse


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(names, list(cases), **ALL.kwargs)
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    name, on = type(estimator).__name__, str(check)
    if name.startswith("Tabular") and ("sample_weight_equivalence_on_dense" in on or "kind='zeros'" in on):
        pytest.xfail("which rows are held out together depends on their number and order")
    if "sample_weight_equivalence_on_dense" in on:
        estimator = clone(estimator).set_params(**WEIGHTS[name])
    check(estimator)
