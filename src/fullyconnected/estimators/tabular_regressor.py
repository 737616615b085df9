"""The regressor for tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.base import RegressorMixin

from fullyconnected.core.arrays import Array
from fullyconnected.estimators.base import store
from fullyconnected.estimators.parameters import constraints, described
from fullyconnected.estimators.sources import with_own
from fullyconnected.estimators.tabular import BaseTabular, Targets
from fullyconnected.estimators.tabular_parameters import TABULAR_REGRESSOR
from fullyconnected.estimators.targets import numbers_of
from fullyconnected.tabular.tasks import NUMBERS

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, CommLike, CVLike, PathLike, TableLike

__all__ = ["TabularRegressor"]


@described(TABULAR_REGRESSOR)
class TabularRegressor(RegressorMixin, BaseTabular):
    """A regressor for tables: numbers, text, booleans, dates and missing cells go in as they are.

    It is a mixture of networks of several members, each of which holds some rows out: by these, the epoch of the other
    members and the shares of the networks are chosen, so that no row is lost. Predictions stay in the range of y.

    [parameters]

    Attributes
    ----------
    oof_predictions_ : array (rows,) or (rows, outputs)
        Predictions for the training rows, out of fold: each by members that have not learned from the row.
    feature_importances_ : array (columns,)
        For each column of the table, how much R2 of predictions for held-out rows loses when the cells of the column
        are shuffled: about 0 if it says nothing, and 0 if it is left out. They do not sum to 1.
    report_ : object
        What was found in the table, what was trained, and the score of ``oof_predictions_``; prints as a text.
    ensemble_ : object
        The networks, their shares, and the unit and range of y.
    vocabulary_ : object
        What turns rows of a table into numbers.
    n_features_in_, feature_names_in_, n_outputs_, n_iter_
        The columns and, if they have some, their names; the outputs; the epochs.

    Raises
    ------
    ValueError, TypeError
        For parameters or tables that cannot be used: a missing target, an infinite number, a missing column.
    MissingPackageError
        On first use, where scikit-learn is not installed (extra ``sklearn``), or with a DataFrame, narwhals (extra
        ``tables``).

    Examples
    --------
    >>> import fullyconnected as fc
    >>> table = {"size": list(range(40)), "colour": ["red", "blue", None, "blue"] * 10}
    >>> y = [size + 10 * (colour == "red") for size, colour in zip(table["size"], table["colour"])]
    >>> model = fc.TabularRegressor(random_state=0).fit(table, y)
    >>> float(model.score(table, y)) > 0.9
    True

    Source: the parts are those of Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = constraints(TABULAR_REGRESSOR)

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
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        comm: CommLike = None,
        verbose: int = 0,
    ) -> None:
        store(self, locals())

    def _targets(self, y: Array) -> Targets:
        t = numbers_of(y, type(self).__name__)
        return Targets(NUMBERS, t, t.shape[1], {}, np.ones_like)

    def _in_shape(self, predicted: Array) -> Array:
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted

    def score(self, X: TableLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the R2, the share of the variance that is explained; y and the weights are as in ``fit``."""
        return float(super().score(X, *with_own(X, y, sample_weight)))

    def predict(self, X: TableLike) -> Array:
        """Return the predictions (rows,), or (rows, outputs) for several outputs."""
        return self._in_shape(self._predicted(X))

    def predict_interval(self, X: TableLike, coverage: float = 0.9) -> Array:
        """Return between which numbers the target of each row lies with the probability ``coverage``.

        The width follows from the errors of predictions for held-out rows: how large they are where predictions are
        like that of the row, and the quantile of ``coverage`` of them on the whole. So it is the probability over all
        rows that are like those of the training, not for each of them alone; of several outputs, it is that of each.
        Intervals are not cut at the range of y.

        Parameters
        ----------
        X : DataFrame, Arrow table, dict, list of rows or array
            As ``predict`` takes it.
        coverage : float
            The probability, above 0 and below 1.

        Returns
        -------
        array (rows, 2), or (rows, outputs, 2) for several outputs
            The least and the largest.

        Raises
        ------
        ConfigError
            For a coverage that is not between 0 and 1, or takes more held-out rows than there were (99 for 0.99); or
            if the estimator is from a file of a version that has no intervals.

        Examples
        --------
        >>> import fullyconnected as fc
        >>> import numpy as np
        >>> x = np.linspace(0, 1, 200)[:, None]
        >>> y = x[:, 0] + np.random.default_rng(0).normal(size=200)
        >>> model = fc.TabularRegressor(preset="fast", random_state=0).fit(x, y)
        >>> low, high = model.predict_interval(x, coverage=0.8).T
        >>> bool(0.7 < np.mean((low <= y) & (y <= high)) < 0.9)
        True

        Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for regression",
        Journal of the American Statistical Association 113, 2018; with out-of-fold errors, as in Barber, Candes, Ramdas
        and Tibshirani, "Predictive inference with the jackknife+", Annals of Statistics 49, 2021.
        """
        predicted = self._predicted(X)  # which raises if nothing is fitted
        around = self.ensemble_.around(predicted, coverage)
        return around[:, 0] if around.shape[1] == 1 else around

    def contributions(self, X: TableLike) -> Array:
        """Return what each column of the table contributes to predictions, by integrated gradients.

        The contributions to a prediction and the base value add up to it. The base value is what the networks say of
        the mean of the training rows as they are encoded; the gradient of the prediction is integrated along the
        straight line from there to the row. A column that is left out contributes 0.

        Parameters
        ----------
        X : DataFrame, Arrow table, dict, list of rows or array
            As ``predict`` takes it.

        Returns
        -------
        array (rows, columns + 1), or (rows, columns + 1, outputs) for several outputs
            The columns in the order of the training table, and the base value.

        Raises
        ------
        ConfigError
            If the estimator is from a file of a version that has none.

        Examples
        --------
        >>> import fullyconnected as fc
        >>> import numpy as np
        >>> x = np.linspace(0, 1, 200).reshape(100, 2)
        >>> model = fc.TabularRegressor(preset="fast", random_state=0).fit(x, x[:, 0])
        >>> bool(np.allclose(model.contributions(x).sum(axis=1), model.predict(x)))
        True

        Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.
        """
        found = self._contributions(X)
        return found[:, :, 0] if found.shape[2] == 1 else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
