"""``scoring`` of the estimators for tables: scikit-learn's scorers, of predictions that are there already."""

from __future__ import annotations

import warnings
from math import isnan
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import check_scoring, make_scorer

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError, DataError
from fullyconnected.estimators.base import takes_weights
from fullyconnected.estimators.tabular_splits import rows_of
from fullyconnected.tabular.ensemble import decided
from fullyconnected.tabular.tasks import LABELS, NUMBERS

__all__ = ["HeldOutScore"]

OF_SKLEARN = type(make_scorer(len))  # its scorers do nothing with X but give it to ``predict``


class HeldOutScore:
    """The score of predictions for some rows of the training table.

    Parameters
    ----------
    scoring : str or callable
        A scorer, or its name, as scikit-learn takes it.
    task : {"classes", "labels", "numbers"}
    classes : array or None
        The labels, in the order of the columns of the predictions.
    X : object
        The table, as it was given.
    places : array (rows,)
        Which rows of the table are learned from.
    y : array (rows,) or (rows, outputs)
        Their targets, as they were given.
    w : array (rows,) or None
        Their weights, which the scorer must take then.

    Raises
    ------
    ValueError
        For an unknown name.
    ConfigError
        For a scorer that does not take the weights; and in a call, for one that fails, or gives no number.
    """

    def __init__(
        self, scoring: Any, task: str, classes: Array | None, X: Any, places: Array, y: Array, w: Array | None
    ) -> None:
        self.scoring, self.task, self.classes = scoring, task, classes
        self.X, self.places, self.y, self.w = X, places, y, w
        self.scorer = check_scoring(self._model(np.empty((0, 1))), scoring)
        if w is not None and not takes_weights(self.scorer):
            raise ConfigError(
                f"scoring={scoring!r:.80} takes no sample_weight, and the rows have weights. Give a scorer that takes "
                f"them: def scorer(estimator, X, y, sample_weight=None)"
            )

    def __call__(self, p: Array, rows: Array) -> float:
        places = self.places[rows]
        X = places[:, None] if isinstance(self.scorer, OF_SKLEARN) else rows_of(self.X, places)
        weights = {} if self.w is None else {"sample_weight": self.w[rows]}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)  # it would come in many epochs
                score = self.scorer(self._model(p), X, self.y[rows], **weights)
        except Exception as error:
            raise ConfigError(
                f"scoring={self.scoring!r:.80} failed for {len(rows)} rows held out: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(score, Real | np.generic) or isnan(score):
            raise ConfigError(
                f"scoring={self.scoring!r:.80} gave {score!r:.60} for {len(rows)} rows held out, which cannot tell the "
                f"best epoch: a number is wanted. Are there enough rows of each class? cv and validation_fraction say "
                f"which ones are held out"
            )
        return float(score)

    def _model(self, p: Array) -> Any:
        return _SaidValues(p) if self.task == NUMBERS else _SaidClasses(p, self.task, self.classes)


class _Said(BaseEstimator):
    """What an estimator is to a scorer: it has predicted the rows, and says so."""

    def fit(self, X: Any, y: Any) -> Any:
        raise NotImplementedError("a scorer does not train")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _of(self, X: Any, p: Array) -> Array:
        rows = X.shape[0] if hasattr(X, "shape") else len(next(iter(X.values()), ())) if isinstance(X, dict) else len(X)
        if rows != len(p):
            raise DataError(f"{len(p)} rows are scored, and predictions are asked for {rows}: ask for all of X")
        return p


class _SaidClasses(ClassifierMixin, _Said):
    def __init__(self, p: Array, task: str, classes: Array | None) -> None:
        self.p, self.task, self.classes = p, task, classes

    @property
    def classes_(self) -> Any:
        if self.task == LABELS:  # a list, as of forests: scorers take an array of 0 and 1 for the classes of one label
            return [np.arange(2)] * self.p.shape[1]
        return self.classes

    def predict_proba(self, X: Any) -> Array:
        return self._of(X, self.p)

    def predict(self, X: Any) -> Array:
        found = decided(self._of(X, self.p), self.task)
        return found if self.classes is None or found.ndim == 2 else self.classes[found]


class _SaidValues(RegressorMixin, _Said):
    def __init__(self, p: Array) -> None:
        self.p = p

    def predict(self, X: Any) -> Array:
        p = self._of(X, self.p)
        return p[:, 0] if p.shape[1] == 1 else p
