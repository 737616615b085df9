"""The regressor for tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.base import RegressorMixin

from fullyconnected.core.arrays import Array
from fullyconnected.estimators.base import store
from fullyconnected.estimators.parameters import constraints, described
from fullyconnected.estimators.tabular import BaseTabular, Targets
from fullyconnected.estimators.tabular_parameters import TABULAR_REGRESSOR
from fullyconnected.estimators.targets import numbers_of
from fullyconnected.tabular.tasks import NUMBERS

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, CVLike, TableLike

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
        categorical_features: ArrayLike | str | None = "from_dtype",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        store(self, locals())

    def _targets(self, y: Array) -> Targets:
        t = numbers_of(y, type(self).__name__)
        return Targets(NUMBERS, t, t.shape[1], {}, np.ones_like)

    def _in_shape(self, predicted: Array) -> Array:
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted

    def predict(self, X: TableLike) -> Array:
        """Return the predictions (rows,), or (rows, outputs) for several outputs."""
        return self._in_shape(self._predicted(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
