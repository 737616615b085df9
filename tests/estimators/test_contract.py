"""scikit-learn's own checks of estimators, with an empty list of expected failures."""

from typing import Any

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import fullyconnected as fc

# as scikit-learn sets its own for these checks
WEIGHTS = {"MLPClassifier": {"solver": "lbfgs"}, "MLPRegressor": {"solver": "sgd", "tol": 1e-2, "random_state": 42}}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([fc.MLPClassifier(max_iter=100), fc.MLPRegressor(max_iter=100)])
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    if "sample_weight_equivalence_on_dense" in str(check):
        estimator = clone(estimator).set_params(**WEIGHTS[type(estimator).__name__])
    check(estimator)
