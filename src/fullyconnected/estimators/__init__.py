"""Estimators for scikit-learn: its own of multi-layer perceptrons, and those for tables (extra ``sklearn``)."""

from fullyconnected.errors import missing

try:
    import sklearn  # noqa: F401
except ImportError:
    raise missing("scikit-learn", "sklearn", "an estimator") from None

from fullyconnected.estimators.classifier import MLPClassifier
from fullyconnected.estimators.regressor import MLPRegressor
from fullyconnected.estimators.tabular_classifier import TabularClassifier
from fullyconnected.estimators.tabular_regressor import TabularRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor"]
