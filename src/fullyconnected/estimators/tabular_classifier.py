"""The classifier for tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.base import ClassifierMixin

from fullyconnected.core.arrays import Array
from fullyconnected.estimators.base import store
from fullyconnected.estimators.parameters import constraints, described
from fullyconnected.estimators.rows import class_factors, of_rows
from fullyconnected.estimators.sources import with_own
from fullyconnected.estimators.tabular import BaseTabular, Targets
from fullyconnected.estimators.tabular_parameters import TABULAR_CLASSIFIER
from fullyconnected.estimators.targets import classes_of
from fullyconnected.tabular.tasks import CLASSES, LABELS

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, ClassWeightLike, CommLike, CVLike, PathLike, TableLike

__all__ = ["TabularClassifier"]


@described(TABULAR_CLASSIFIER)
class TabularClassifier(ClassifierMixin, BaseTabular):
    """A classifier for tables: numbers, text, booleans, dates and missing cells go in as they are.

    It is a mixture of networks of several members, each of which holds some rows out: by these, the epoch of the other
    members, the shares of the networks and the temperature of the probabilities are chosen, so that no row is lost.

    [parameters]

    Attributes
    ----------
    classes_ : array
        The labels, in the order of the columns of ``predict_proba``.
    oof_predictions_ : array (rows, classes)
        Probabilities for the training rows, out of fold: each by members that have not learned from the row.
    feature_importances_ : array (columns,)
        For each column of the table, by how much the log-loss of predictions for held-out rows grows when the cells
        of the column are shuffled: about 0 if it says nothing, and 0 if it is left out. They do not sum to 1.
    report_ : object
        What was found in the table, what was trained, and the score of ``oof_predictions_``; prints as a text.
    ensemble_ : object
        The networks, their shares and the temperature.
    vocabulary_ : object
        What turns rows of a table into numbers.
    n_features_in_, feature_names_in_, n_outputs_, n_iter_
        The columns and, if they have some, their names; the outputs; the epochs.

    Raises
    ------
    ValueError, TypeError
        For parameters or tables that cannot be used: a missing target, a single class, an infinite number, a missing
        column.
    MissingPackageError
        On first use, where scikit-learn is not installed (extra ``sklearn``), or with a DataFrame, narwhals (extra
        ``tables``).

    Examples
    --------
    >>> import fullyconnected as fc
    >>> table = {"size": [3.5, None, 9.0, 8.1] * 10, "colour": ["red", "red", "blue", None] * 10}
    >>> model = fc.TabularClassifier(epochs=8, random_state=0).fit(table, ["apple", "apple", "plum", "plum"] * 10)
    >>> model.predict({"size": 3.0, "colour": "red"}).tolist()
    ['apple']

    Source: the parts are those of Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = constraints(TABULAR_CLASSIFIER)
    classes_: Array

    def __init__(
        self,
        *,
        preset: Literal["fast", "default", "best"] = "default",
        n_members: int | None = None,
        hidden: int | Sequence[int] | None = None,
        epochs: int | None = None,
        max_time: float | str | None = None,
        cv: CVLike = None,
        validation_fraction: float | None = None,
        scoring: str | Callable[..., float] | None = None,
        checkpoint: PathLike | None = None,
        categorical_features: ArrayLike | str | None = "from_dtype",
        class_weight: ClassWeightLike = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        comm: CommLike = None,
        verbose: int = 0,
    ) -> None:
        store(self, locals())

    def _targets(self, y: Array) -> Targets:
        classes, t = classes_of(y)

        def factor(w: Array) -> Array:
            if self.class_weight is None:
                return np.ones(len(t))
            return of_rows(class_factors(self.class_weight, classes, t, w), t)

        return Targets(LABELS if t.ndim == 2 else CLASSES, t, len(classes), {"classes_": classes}, factor)

    def score(self, X: TableLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy, the share of rows whose labels are all right; y and the weights are as in ``fit``."""
        return float(super().score(X, *with_own(X, y, sample_weight)))

    def predict(self, X: TableLike) -> Array:
        """Return the predicted classes (rows,), or the indicators of the predicted labels (rows, labels)."""
        predicted = self._predicted(X)  # which raises if nothing is fitted
        found = self.ensemble_.decided(predicted)
        return found if found.ndim == 2 else self.classes_[found]

    def predict_proba(self, X: TableLike) -> Array:
        """Return the probability of each class, or of each of several labels (rows, classes)."""
        return self._predicted(X)

    def predict_log_proba(self, X: TableLike) -> Array:
        """Return the logarithm of ``predict_proba``."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def contributions(self, X: TableLike) -> Array:
        """Return what each column of the table contributes to probabilities, by integrated gradients.

        The contributions to a prediction and the base value add up to it. The base value is what the networks say of
        the mean of the training rows as they are encoded; the gradient of the prediction is integrated along the
        straight line from there to the row. A column that is left out contributes 0.

        Parameters
        ----------
        X : DataFrame, Arrow table, dict, list of rows or array
            As ``predict`` takes it.

        Returns
        -------
        array (rows, columns + 1, classes)
            The columns in the order of the training table, and the base value; for each class, or each label.

        Raises
        ------
        ConfigError
            If the estimator is from a file of a version that has none.

        Examples
        --------
        >>> import fullyconnected as fc
        >>> table = {"size": [3.5, None, 9.0, 8.1] * 10, "colour": ["red", "red", "blue", None] * 10}
        >>> model = fc.TabularClassifier(epochs=8, random_state=0).fit(table, ["apple", "apple", "plum", "plum"] * 10)
        >>> model.contributions({"size": 3.0, "colour": "red"}).shape
        (1, 3, 2)

        Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.
        """
        return self._contributions(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
