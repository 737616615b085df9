"""What a file holds of an estimator: its network, parameters, labels and names of features, and no code."""

from __future__ import annotations

import math
import warnings
from dataclasses import fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.base import ActivationFunction, Loss, Optimizer, Solver
from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.files import Model, write_model
from fullyconnected.program.plain import settings_of
from fullyconnected.registries import REGISTRIES
from fullyconnected.schedules import (
    CosineDecay,
    ExponentialDecay,
    FlatCosine,
    LinearDecay,
    LinearWarmup,
    LogCosine,
    StepDecay,
    Warmup,
)

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["FITTED", "labels_described", "parameters_of", "read_value", "save"]

OF_ONE_FIT = ("checkpoint", "comm")  # parameters that no file has

FITTED = (
    "n_iter_", "t_", "loss_", "best_loss_", "loss_curve_", "validation_loss_curve_", "validation_scores_",
    "best_validation_score_", "n_outputs_", "n_layers_", "n_features_in_", "out_activation_",
)  # fmt: skip
UNKNOWN = {"pairs": [["unknown", True]]}  # which is no score that a warm start could go on with
SCHEDULES = {
    each.__name__: each
    for each in (CosineDecay, ExponentialDecay, FlatCosine, LinearDecay, LinearWarmup, LogCosine, StepDecay, Warmup)
}


def save(estimator: Any, path: PathLike) -> None:
    """Write a fitted estimator to a file."""
    net = estimator.network_
    described: dict[str, Any] = {
        "class": type(estimator).__name__,
        "parameters": parameters_of(estimator),
        "fitted": {name: plain_value(getattr(estimator, name)) for name in FITTED if hasattr(estimator, name)},
        "labels": None,
        "watched": _watched(estimator),
    }
    if not type(estimator).__module__.startswith("fullyconnected.estimators."):
        raise ConfigError(f"a file holds an MLPClassifier or MLPRegressor; got {type(estimator)!r:.80}, of your own")
    if hasattr(estimator, "classes_"):
        binarizer = estimator._label_binarizer
        described["labels"] = labels_described(estimator.classes_, binarizer.y_type_, sparse=binarizer.sparse_input_)
    if hasattr(estimator, "feature_names_in_"):
        described["features"] = estimator.feature_names_in_.tolist()
    write_model(path, Model(net.layers, net.theta, net.state, {"estimator": described}, loss=estimator._loss_))


def parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters that a file can hold, and None instead of a function of the caller's, with a warning.

    A checkpoint is of the fit that has ended: the estimator from the file would go on with, and write to, its path. So
    are the processes that have made it.
    Indices of rows in ``cv`` are of its table.
    """
    parameters = {}
    for name, value in estimator.get_params(deep=False).items():
        try:
            if name == "cv" and not isinstance(value, Integral | None):
                raise TypeError("it is of the training rows")
            parameters[name] = None if name in OF_ONE_FIT else plain_value(value)
        except (TypeError, ConfigError):
            warnings.warn(
                f"{name}={value!r:.80} is not stored in the file, and is None in the estimator that is loaded from it",
                UserWarning,
                stacklevel=4,
            )
            parameters[name] = None
    return parameters


def _watched(estimator: Any) -> Any:
    """Return the score that the best weights are the best by; UNKNOWN for a function, which no file holds."""
    try:
        return plain_value(vars(estimator).get("_watched", estimator.scoring))
    except TypeError:
        return UNKNOWN


def labels_described(classes: Array, kind: str, *, sparse: bool = False) -> dict[str, Any]:
    """Return the labels of a classifier as JSON can hold them, or raise."""
    values = classes.tolist()
    if classes.dtype.kind not in "biufUO" or not all(isinstance(v, str | bool | int | float) for v in values):
        raise ConfigError(f"a file holds classes that are strings, numbers or bools; got {classes!r:.120}")
    dtype = "O" if classes.dtype.kind == "O" else classes.dtype.str
    return {"kind": kind, "dtype": dtype, "classes": values, "sparse": sparse}


def plain_value(value: Any) -> Any:
    """Return a value as JSON can hold it, or raise TypeError."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else {"number": str(number)}
    if isinstance(value, tuple):
        return {"tuple": [plain_value(each) for each in value]}
    if isinstance(value, list | range) or hasattr(value, "__array__"):
        return [plain_value(each) for each in value]
    if isinstance(value, dict):
        return {"pairs": [[plain_value(key), plain_value(each)] for key, each in value.items()]}
    if (isinstance(value, type) and issubclass(value, np.generic)) or isinstance(value, np.dtype):
        return np.dtype(value).name
    if isinstance(value, Loss | ActivationFunction | Optimizer | Solver):
        registry = next(registry for registry in REGISTRIES if isinstance(value, registry.bases))
        if registry.classes.get(value.name) is type(value):
            return {registry.kind: value.name, "settings": settings_of(value)}
    if SCHEDULES.get(name := type(value).__name__) is type(value):
        settings = {each.name: plain_value(getattr(value, each.name)) for each in fields(value)}
        return {"schedule": name, "settings": settings}
    raise TypeError(f"{value!r:.80} is no plain value")


def read_value(value: Any) -> Any:
    """Return what ``plain_value`` has described."""
    if isinstance(value, list):
        return [read_value(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"number"}:
        return float(value["number"])
    if value.keys() == {"tuple"}:
        return tuple(read_value(each) for each in value["tuple"])
    if value.keys() == {"pairs"}:
        return {read_value(key): read_value(each) for key, each in value["pairs"]}
    settings = {key: read_value(each) for key, each in value["settings"].items()}
    if "schedule" in value:
        return SCHEDULES[value["schedule"]](**settings)
    registry = next(registry for registry in REGISTRIES if registry.kind in value)
    return registry.build(value[registry.kind], **settings)
