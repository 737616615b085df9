"""The models of benchmarks/accuracy.py with their default settings, each as its users prepare a table for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import fullyconnected as fc

__all__ = ["FAST", "MODELS", "OURS"]

OURS = "fullyconnected"
FAST = "fullyconnected_fast"


def ours(x: pd.DataFrame, classes: bool, seed: int, threads: int, preset: str = "default") -> tuple[Any, Any]:
    made = fc.TabularClassifier if classes else fc.TabularRegressor
    return made(random_state=seed, n_jobs=threads, preset=preset), x


def fast(x: pd.DataFrame, classes: bool, seed: int, threads: int) -> tuple[Any, Any]:
    return ours(x, classes, seed, threads, "fast")


def linear(x: pd.DataFrame, classes: bool, seed: int, threads: int) -> tuple[Any, Any]:
    return make_pipeline(_columns(x), LogisticRegression(max_iter=1000) if classes else Ridge()), x


def mlp(x: pd.DataFrame, classes: bool, seed: int, threads: int) -> tuple[Any, Any]:
    regressor = TransformedTargetRegressor(MLPRegressor(random_state=seed), transformer=StandardScaler())
    return make_pipeline(_columns(x), MLPClassifier(random_state=seed) if classes else regressor), x


def forest(x: pd.DataFrame, classes: bool, seed: int, threads: int) -> tuple[Any, Any]:
    made = RandomForestClassifier if classes else RandomForestRegressor
    return made(random_state=seed, n_jobs=threads), _codes(x)


def histgb(x: pd.DataFrame, classes: bool, seed: int, threads: int) -> tuple[Any, Any]:
    made = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return made(random_state=seed, categorical_features="from_dtype"), x  # the default since scikit-learn 1.6


def lightgbm(x: pd.DataFrame, classes: bool, seed: int, threads: int) -> tuple[Any, Any]:
    import lightgbm

    made = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    return made(random_state=seed, n_jobs=threads, verbosity=-1), x


def xgboost(x: pd.DataFrame, classes: bool, seed: int, threads: int) -> tuple[Any, Any]:
    import xgboost

    made = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
    return made(random_state=seed, n_jobs=threads, enable_categorical=True), x


def catboost(x: pd.DataFrame, classes: bool, seed: int, threads: int) -> tuple[Any, Any]:
    import catboost

    made = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
    columns = _categories(x)
    filled = {column: x[column].astype(object).where(x[column].notna(), "missing") for column in columns}
    options = {"verbose": 0, "allow_writing_files": False, "cat_features": columns}
    return made(random_seed=seed, thread_count=threads, **options), x.assign(**filled)


def _categories(x: pd.DataFrame) -> list[str]:
    return [column for column in x.columns if isinstance(x[column].dtype, pd.CategoricalDtype)]


def _columns(x: pd.DataFrame) -> ColumnTransformer:
    categories = _categories(x)
    numbers = [column for column in x.columns if column not in categories]
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("numbers", scaled, numbers), ("levels", levels, categories)])


def _codes(x: pd.DataFrame) -> np.ndarray:
    columns = [x[name].cat.codes.where(x[name].notna(), np.nan) if name in _categories(x) else x[name] for name in x]
    return np.column_stack([np.asarray(column, float) for column in columns])


MODELS: dict[str, Callable[[pd.DataFrame, bool, int, int], tuple[Any, Any]]] = {
    OURS: ours,
    FAST: fast,
    "linear": linear,
    "rf": forest,
    "histgb": histgb,
    "lightgbm": lightgbm,
    "xgboost": xgboost,
    "catboost": catboost,
    "mlp": mlp,
}
