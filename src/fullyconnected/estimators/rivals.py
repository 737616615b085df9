"""Models of scikit-learn that an ensemble for a table is compared with: linear, boosted trees and a random forest."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import check_random_state

from fullyconnected.core.arrays import Array
from fullyconnected.tables.encoders import Feature
from fullyconnected.tabular.folds import held_out
from fullyconnected.tabular.tasks import NUMBERS

__all__ = ["RIVALS", "Rival", "fold_of_rows"]

RIVALS = LINEAR, TREES, FOREST = "linear model", "boosted trees", "random forest"
MOST_FOLDS = 8  # a comparison trains each model so often at most
MOST_BINS = 255  # levels that boosted trees take as categories
FEW = 20  # levels from which a forest reads the codes, and not a column for each


class Rival:
    """A model of scikit-learn with its default settings, for a table that a vocabulary has encoded.

    Numbers with gaps have their median there and a column that says so, except for boosted trees, which know gaps. A
    linear model has standardised numbers, and a column for each level of a category, as a forest has it for categories
    of few levels.

    Parameters
    ----------
    name : str
        One of ``RIVALS``.
    features : sequence of Feature
        What each column of x is.
    task : {"classes", "numbers"}
    n_out : int
        The number of classes, or 1.
    seed : int
    """

    def __init__(self, name: str, features: Sequence[Feature], task: str, n_out: int, seed: int) -> None:
        self.task, self.n_out = task, n_out
        numbers = task == NUMBERS
        if name == LINEAR:
            model: Any = Ridge() if numbers else LogisticRegression(max_iter=1000)
            self.model = make_pipeline(_columns(features, StandardScaler(), np.inf), model)
        elif name == TREES:
            kind: Any = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
            coded = [0 < each.levels <= MOST_BINS for each in features]
            self.model = make_pipeline(
                _Codes([i for i, each in enumerate(features) if each.levels]),
                kind(random_state=seed, categorical_features=coded),
            )
        else:
            kind = RandomForestRegressor if numbers else RandomForestClassifier
            self.model = make_pipeline(_columns(features, "passthrough", FEW), kind(random_state=seed, n_jobs=-1))

    def fit(self, x: Array, t: Array, w: Array | None) -> Rival:
        """Train on encoded rows, with class numbers or numbers (rows,)."""
        step = self.model.steps[-1][0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of a column that is missing in a fold
            self.model.fit(x, t, **({} if w is None else {f"{step}__sample_weight": w}))
        return self

    def predict(self, x: Array) -> Array:
        """Return probabilities (rows, classes), or values (rows, 1)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self.task == NUMBERS:
                return np.asarray(self.model.predict(x), np.float64)[:, None]
            found = self.model.predict_proba(x)
        p = np.zeros((len(x), self.n_out))
        p[:, self.model.classes_] = found  # a fold may lack a rare class
        return p


def fold_of_rows(t: Array, members: int, seed: int, groups: Array | None) -> Array:
    """Return the part (rows,) by which an estimator for tables with this ``random_state`` holds each row out.

    There are eight at most: where an estimator has more members, several of its parts are one.
    """
    drawn = int(check_random_state(seed).randint(2**31 - 1))  # as the estimator does
    held = held_out(t, members, drawn, groups)
    return np.asarray(held.argmax(axis=1) % MOST_FOLDS)


class _Codes:
    """A step that makes unknown levels missing, as boosted trees take them."""

    def __init__(self, coded: list[int]) -> None:
        self.coded = coded

    def fit(self, x: Array, y: Any = None) -> _Codes:
        return self

    def transform(self, x: Array) -> Array:
        codes = x[:, self.coded]
        x = x.copy()
        x[:, self.coded] = np.where(codes < 0, np.nan, codes)
        return x

    def fit_transform(self, x: Array, y: Any = None) -> Array:
        return self.transform(x)


def _columns(features: Sequence[Feature], scaler: Any, most: float) -> ColumnTransformer:
    """Return what fills gaps in numbers and gives the levels of categories columns of their own."""
    numbers = [i for i, each in enumerate(features) if not each.levels]
    levels = [i for i, each in enumerate(features) if 0 < each.levels <= most]
    codes = [i for i, each in enumerate(features) if each.levels > most]
    filled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), scaler)
    return ColumnTransformer(
        [
            ("numbers", filled, numbers),
            ("levels", OneHotEncoder(handle_unknown="ignore"), levels),
            ("codes", "passthrough", codes),
        ]
    )
