"""What differs between scikit-learn 1.5 and 1.9, in one place."""

from __future__ import annotations

from typing import Any

from sklearn import __version__

__all__ = ["VERSION", "check_n_features", "validate_data"]

VERSION = tuple(int(part) for part in __version__.split(".")[:2])

if VERSION >= (1, 6):
    from sklearn.utils.validation import _check_n_features as check_n_features
    from sklearn.utils.validation import validate_data
else:

    def check_n_features(estimator: Any, X: Any, reset: bool) -> None:
        """Set or check the number of features; before 1.6, this was a method of scikit-learn's estimators."""
        estimator._check_n_features(X, reset=reset)

    def validate_data(estimator: Any, *given: Any, **settings: Any) -> Any:
        """Check input as scikit-learn does; before 1.6, this was a method of its estimators."""
        return estimator._validate_data(*given, **settings)
