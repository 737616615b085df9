"""scikit-learn's own checks of estimators, with an empty list of expected failures."""

from typing import Any

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import fullyconnected as fc

# as scikit-learn sets its own for these checks
WEIGHTS = {"MLPClassifier": {"solver": "lbfgs"}, "MLPRegressor": {"solver": "sgd", "tol": 1e-2, "random_state": 42}}


ALL = parametrize_with_checks([fc.MLPClassifier(max_iter=100), fc.MLPRegressor(max_iter=100)])
names, cases = ALL.args  # before scikit-learn 1.6, the cases are a generator, which new versions of pytest refuse


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(names, list(cases), **ALL.kwargs)
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    if "sample_weight_equivalence_on_dense" in str(check):
        estimator = clone(estimator).set_params(**WEIGHTS[type(estimator).__name__])
    check(estimator)
