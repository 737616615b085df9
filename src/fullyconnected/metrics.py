"""What a network is judged by beside its loss: functions of raw outputs and targets, defined for some targets each."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.contracts import check_call
from fullyconnected.errors import ConfigError, DataError, InputTypeError, nearest

__all__ = ["METRICS", "named"]

Metric = Callable[[Array, Array, Array], float]


def accuracy(
    z: Array, t: Array, w: Array, *, boundary: float = 0.0, between: float = 0.5, several: bool = False
) -> float:
    """Return the weighted share of rows whose class is right; outputs that are NaN stand for none.

    With one output, more than ``boundary`` stands for class 1, as does a target of more than ``between``. With more,
    the largest counts; where ``several`` labels of a row may be 1, every one of them must be right.
    """
    if t.ndim == 1:
        right = z.argmax(axis=1) == t
    elif z.shape[1] == 1 or several:
        right = ((z > boundary) == (t > between)).all(axis=1)
    else:
        right = z.argmax(axis=1) == t.argmax(axis=1)
    return float(w @ (right & ~np.isnan(z).any(axis=1)) / w.sum())


def mean_absolute_error(z: Array, t: Array, w: Array) -> float:
    """Return the weighted mean over rows of the mean over outputs of |z - t|."""
    return float(w @ np.abs(z - t).mean(axis=1) / w.sum())


def mean_squared_error(z: Array, t: Array, w: Array) -> float:
    """Return the weighted mean over rows of the mean over outputs of (z - t)^2."""
    return float(w @ np.square(z - t).mean(axis=1) / w.sum())


def r2(z: Array, t: Array, w: Array) -> float:
    """Return 1 minus the squared error relative to predicting the mean, averaged over outputs."""
    t = t.astype(np.float64)
    spread = w @ np.square(t - w @ t / w.sum())
    return float(1 - (w @ np.square(z - t) / spread).mean())


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
    "r2": r2,
}


def _accuracy(t: Array, n_out: int, loss: Loss, also: Array) -> Metric:
    """Return accuracy for these targets (``also``: those of the training), or raise where they are no classes."""
    link = loss.link
    if t.ndim == 1 and t.dtype.kind in "iu" and n_out > 1:
        return accuracy
    if not (link.is_identity or link.tells_classes):
        raise ConfigError(f"accuracy counts right classes, and {type(loss).__name__} has none. {_instead(loss)}")
    if t.ndim != 2 or t.shape[1] != n_out:
        raise ConfigError(
            f"accuracy counts right classes: numbers (rows,), or a column for each output, (rows, {n_out}); the "
            f"targets of {type(loss).__name__} are {_shape(t)}. Give a function of yours (outputs, targets)"
        )
    if link.tells_classes and n_out > 1 and link.predicts != "labels":
        if ((t == t.max(axis=1, keepdims=True)).sum(axis=1) > 1).any():
            raise ConfigError("accuracy takes the most probable class of a row, and some rows have two of the same")
        return accuracy
    if link.tells_classes and t.min() >= 0:
        if (t == 0.5).any():
            raise ConfigError("accuracy takes a probability of more than 0.5 for class 1, and some targets are 0.5")
        return partial(accuracy, several=True)
    ones = (t == 1).sum(axis=1)
    if n_out == 1 or (ones == 1).all():
        if _holds(t, 0) and _holds(also, 0):
            return partial(accuracy, boundary=0.0 if link.tells_classes else 0.5)
        if _holds(t, -1) and _holds(also, -1):
            return partial(accuracy, boundary=0.0, between=0.0)
    odd = t[(t != 0) & (abs(t) != 1)]
    found = f", such as {odd[0]:.6g}" if odd.size else ""
    one_hot = "" if n_out == 1 else ", with a single 1 in each row"
    raise ConfigError(
        f"accuracy counts right classes, and these targets are numbers{found}. {_instead(loss)}. (Classes are targets "
        f"of 0 and 1, or of -1 and 1{one_hot}; or SoftmaxCrossEntropy takes their numbers)"
    )


def _holds(t: Array, low: int) -> bool:
    """Whether targets are ``low`` and 1 alone."""
    return bool(((t == low) | (t == 1)).all())


def _shape(t: Array) -> str:
    return f"({', '.join(map(str, ('rows', *t.shape[1:])))})"


def _instead(loss: Loss) -> str:
    """Say what a network with this loss can be judged by where a metric is not defined."""
    if loss.link.is_identity:
        return "Use mean_absolute_error, mean_squared_error or r2"
    if loss.link.tells_classes:
        return "Use accuracy, or give a function of yours (outputs, targets)"
    return "Give a function of yours, such as lambda z, t: np.abs(loss.predictions(z) - t).mean()"


def _of_numbers(name: str, t: Array, n_out: int, loss: Loss, w: Array | None) -> Metric:
    """Return a metric that compares outputs with targets, or raise where they are not of one kind."""
    if t.ndim == 1:
        raise ConfigError(
            f"{name} compares outputs with numbers, and these targets are class numbers. {_instead(loss)}"
        )
    if not loss.link.is_identity:
        raise ConfigError(
            f"{name} compares outputs with targets, and the outputs here are no such numbers: {type(loss).__name__} "
            f"takes {loss.link.takes}. {_instead(loss)}"
        )
    if t.shape[1:] != (n_out,):
        raise ConfigError(
            f"{name} compares each of {n_out} outputs with a number of its own, and the targets of "
            f"{type(loss).__name__} are {_shape(t)}. Give a function of yours (outputs, targets)"
        )
    if name == "r2":
        seen = t if w is None else t[w > 0]
        if (same := (seen == seen[0]).all(axis=0)).any():
            raise DataError(
                f"r2 is not defined where a target column does not vary: column {int(same.argmax())} is "
                f"{seen[0, same.argmax()]:.6g} in every row that it is judged by. Use mean_squared_error"
            )
    return METRICS[name]


TRUE = ("y_true", "true", "target", "targets", "t", "labels", "y", "expected")
FOUND = ("y_pred", "y_score", "y_hat", "pred", "prediction", "predictions", "predicted", "output", "outputs", "z")


def _check_signature(metric: Callable[..., Any], name: str) -> None:
    """Raise where a function does not take two arrays, or by its names takes them the other way round."""
    check_call(metric, "the metric", "outputs", "targets")
    try:
        signature = inspect.signature(metric)
    except (TypeError, ValueError):  # what is written in C need not have one
        return
    first, second = (*(name.lower() for name in signature.parameters), "", "")[:2]
    if first in TRUE and second in FOUND:
        raise ConfigError(
            f"the metric {name!r} takes {signature}, and is called with (outputs, targets): the two would be swapped. "
            f"Write lambda z, t: {getattr(metric, '__name__', name)}(t, z); z are the raw outputs, such as logits"
        )


def _called(metric: Any) -> str:
    """Return the name of a function or of an object that is called like one, which is the same in every process."""
    if isinstance(metric, partial) and not hasattr(metric, "__name__"):
        given = [*map(repr, metric.args), *(f"{key}={value!r}" for key, value in metric.keywords.items())]
        return f"{_called(metric.func)}({', '.join(text for text in given if len(text) < 40 and ' at 0x' not in text)})"
    name = getattr(metric, "__name__", None) or repr(metric)
    return name if isinstance(name, str) and " at 0x" not in name else type(metric).__name__


def _of_your_own(metric: Callable[[Array, Array], Any], z: Array, t: Array, w: Array) -> float:
    try:
        value = metric(z, t)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ConfigError(
            f"the metric {metric!a:.80} writes to the outputs or the targets, which are read-only: others see them "
            f"too. Copy them first"
        ) from error
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value.item() if isinstance(value, np.ndarray) else value)
    except (TypeError, ValueError):
        raise InputTypeError(f"the metric {metric!r} returned {value!r:.80}; a single number is wanted") from None


def named(
    metrics: Any, t: Array, loss: Loss, n_out: int, w: Array | None = None, also: Array | None = None
) -> dict[str, Metric]:
    """Return the metrics by name, or raise where one is not defined for these targets, before anything is computed.

    Parameters
    ----------
    metrics : sequence of str or callable
        Names, and functions ``(outputs, targets) -> float``; ``"auto"`` is accuracy where the targets are classes.
    t : array
        The targets that they will see, as the loss encodes them.
    loss : Loss
        It says what outputs are: logits, the logarithms of rates, or numbers to be compared with the targets.
    n_out : int
        Outputs of the network.
    w : array (rows,), optional
        The rows' weights.
    also : array, optional
        The targets that the network is trained with, where they are others: both tell what stands for which class.
    """
    if isinstance(metrics, str) and metrics == "auto":
        try:
            return {"accuracy": _accuracy(t, n_out, loss, t if also is None else also)}
        except ConfigError:
            return {}
    if isinstance(metrics, str) or callable(metrics):
        metrics = (metrics,)
    if not isinstance(metrics, Sequence):
        raise InputTypeError(f"metrics is a list of names or functions; got {metrics!r}")
    found: dict[str, Metric] = {}
    for metric in metrics:
        if isinstance(metric, str):
            if metric not in METRICS:
                raise nearest("metric", metric, METRICS)
            if metric in found:
                raise ConfigError(f"two metrics are called {metric!r}; give your function another name")
            if metric == "accuracy":
                found[metric] = _accuracy(t, n_out, loss, t if also is None else also)
            else:
                found[metric] = _of_numbers(metric, t, n_out, loss, w)
        elif callable(metric):
            name = _called(metric)
            if name in found:
                raise ConfigError(f"two metrics are called {name!r}; give your function a name of its own with def")
            _check_signature(metric, name)
            found[name] = partial(_of_your_own, metric)
        else:
            raise InputTypeError(f"a metric is a name or a function (outputs, targets) -> float; got {metric!r}")
    return found
