"""scikit-learn's estimators of multi-layer perceptrons, trained by this library (extra ``sklearn``)."""

from fullyconnected.errors import missing

try:
    import sklearn  # noqa: F401
except ImportError:
    raise missing("scikit-learn", "sklearn", "its estimators") from None

from fullyconnected.estimators.classifier import MLPClassifier
from fullyconnected.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
