"""The scalers of scikit-learn, each as a shift and a scale of each column; and whose class a model is.

Scikit-learn itself is not needed: a scaler is read by the attributes that fitting has given it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fullyconnected.core.wording import in_words
from fullyconnected.errors import ConfigError

__all__ = ["SCALERS", "Scaling", "class_of", "inverse_of", "shown"]


@dataclass(frozen=True)
class Scaling:
    """``(x - mean) / scale``, cut to a range if there is one; ``exactly`` is how scikit-learn computes it."""

    mean: float
    scale: float
    exactly: Callable[[float], float]
    range: tuple[float, float] | None = None


def class_of(model: Any) -> str:
    """Return the name of a class of scikit-learn's, and an empty string for all others, a subclass among them."""
    kind = type(model)
    return kind.__name__ if kind.__module__.split(".")[0] == "sklearn" else ""


def shown(step: Any) -> str:
    """Return what a step is, in words."""
    kind = type(step)
    if class_of(step) == "FunctionTransformer":
        return f"a FunctionTransformer of {step.func!r:.80}"
    return f"{kind.__module__.split('.')[0]}'s {kind.__qualname__}"


def _listed(values: Any, n: int, usual: float) -> list[float]:
    return [usual] * n if values is None else [float(each) for each in values]


def _standard(step: Any) -> list[Scaling]:
    return _centred(step.mean_ if step.with_mean else None, step.scale_ if step.with_std else None, step)


def _robust(step: Any) -> list[Scaling]:
    return _centred(step.center_ if step.with_centering else None, step.scale_ if step.with_scaling else None, step)


def _largest(step: Any) -> list[Scaling]:
    cut = (-1.0, 1.0) if getattr(step, "clip", False) else None
    return [replace(each, range=cut) for each in _centred(None, step.scale_, step)]


def _centred(mean: Any, scale: Any, step: Any) -> list[Scaling]:
    def one(m: float, s: float) -> Scaling:
        return Scaling(m, s, lambda x: (x - m) / s)

    n = step.n_features_in_
    return [one(m, s) for m, s in zip(_listed(mean, n, 0.0), _listed(scale, n, 1.0), strict=True)]


def _min_max(step: Any) -> list[Scaling]:
    low, high = map(float, step.feature_range)
    cut = (low, high) if step.clip else None

    def one(times: float, plus: float, least: float) -> Scaling:
        return Scaling(least - low / times, 1 / times, lambda x: x * times + plus, cut)

    return [one(*map(float, each)) for each in zip(step.scale_, step.min_, step.data_min_, strict=True)]


SCALERS: dict[str, Callable[[Any], list[Scaling]]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _largest,
    "RobustScaler": _robust,
}


def inverse_of(step: Any, n: int, where: str) -> tuple[list[float], list[float]]:
    """Return mean and scale of each output, by ``y = mean + scale z``, of a step that scales targets; or raise."""
    name = class_of(step)
    if name == "FunctionTransformer" and step.func is None and step.inverse_func is None:
        return [0.0] * n, [1.0] * n
    if name not in SCALERS:
        raise ConfigError(f"{where} is {shown(step)}; of targets, {in_words(SCALERS)} can be held")
    each = SCALERS[name](step)
    return [one.mean for one in each], [one.scale for one in each]
