"""The metrics: measures of quality besides the loss, each of them defined for some kinds of targets."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from fullyconnected.base import Loss, Metric
from fullyconnected.core.arrays import Array
from fullyconnected.core.contracts import check_call, guarded, is_foreign, read_only
from fullyconnected.core.registry import Registry
from fullyconnected.core.settings import settings
from fullyconnected.errors import ConfigError, DataError, InputTypeError

__all__ = ["METRICS", "named"]


def mean_of_parts(metric: Metric, parts: Iterable[tuple[Array, Array, Array]]) -> float:
    """Return the value over all parts of a metric that is a weighted mean over rows."""
    values, weights = zip(*((metric(z, t, w), w.sum()) for z, t, w in parts), strict=True)
    return float(np.dot(values, weights) / np.sum(weights))


@settings
class Accuracy(Metric):
    """The weighted share of rows whose class is right; a row with an output that is NaN counts as wrong.

    With one output, an output above ``boundary`` means class 1, and so does a target above ``between``. With more
    outputs, the largest gives the class; if ``several`` labels of a row may be 1, all of its labels must be right.
    """

    boundary: float = 0.0
    between: float = 0.5
    several: bool = False
    name: ClassVar[str] = "accuracy"
    greater_is_better: ClassVar[bool] = True

    def for_targets(self, t: Array, loss: Loss, n_out: int, *, w: Array | None, trained: Array) -> Metric:
        link = loss.link
        if t.ndim == 1 and t.dtype.kind in "iu" and n_out > 1:
            return Accuracy()
        if not (link.is_identity or link.tells_classes):
            raise ConfigError(f"accuracy counts right classes, and {type(loss).__name__} has none. {_instead(loss)}")
        if t.ndim != 2 or t.shape[1] != n_out:
            raise ConfigError(
                f"accuracy counts right classes: numbers (rows,), or a column for each output, (rows, {n_out}); the "
                f"targets of {type(loss).__name__} are {_shape(t)}. Give a function of yours (outputs, targets)"
            )
        if link.tells_classes and n_out > 1 and not link.tells_labels:
            if ((t == t.max(axis=1, keepdims=True)).sum(axis=1) > 1).any():
                raise ConfigError("accuracy takes the most probable class of a row, and some rows have two of the same")
            return Accuracy()
        if link.tells_classes and t.min() >= 0:
            if (t == 0.5).any():
                raise ConfigError("accuracy takes a probability of more than 0.5 for class 1, and some targets are 0.5")
            return Accuracy(several=True)
        ones = (t == 1).sum(axis=1)
        if n_out == 1 or (ones == 1).all():
            if _holds(t, 0) and _holds(trained, 0):
                return Accuracy(boundary=0.0 if link.tells_classes else 0.5)
            if _holds(t, -1) and _holds(trained, -1):
                return Accuracy(boundary=0.0, between=0.0)
        odd = t[(t != 0) & (abs(t) != 1)]
        found = f", such as {odd[0]:.6g}" if odd.size else ""
        one_hot = "" if n_out == 1 else ", with a single 1 in each row"
        raise ConfigError(
            f"accuracy counts right classes, and these targets are numbers{found}. {_instead(loss)}. (Classes are "
            f"targets of 0 and 1, or of -1 and 1{one_hot}; or SoftmaxCrossEntropy takes their numbers)"
        )

    def __call__(self, z: Array, t: Array, w: Array) -> float:
        if t.ndim == 1:
            right = z.argmax(axis=1) == t
        elif z.shape[1] == 1 or self.several:
            right = ((z > self.boundary) == (t > self.between)).all(axis=1)
        else:
            right = z.argmax(axis=1) == t.argmax(axis=1)
        return float(w @ (right & ~np.isnan(z).any(axis=1)) / w.sum())

    def of_parts(self, parts: Iterable[tuple[Array, Array, Array]]) -> float:
        return mean_of_parts(self, parts)


class MeanAbsoluteError(Metric):
    """The weighted mean over rows of the mean over outputs of |z - t|."""

    name = "mean_absolute_error"
    greater_is_better = False

    def for_targets(self, t: Array, loss: Loss, n_out: int, *, w: Array | None, trained: Array) -> Metric:
        if t.ndim == 1:
            raise ConfigError(
                f"{self.name} compares outputs with numbers, and these targets are class numbers. {_instead(loss)}"
            )
        if not loss.link.is_identity:
            raise ConfigError(
                f"{self.name} compares outputs with targets, but the outputs do not estimate them: "
                f"{type(loss).__name__} takes {loss.link.takes}. {_instead(loss)}"
            )
        if t.shape[1:] != (n_out,):
            raise ConfigError(
                f"{self.name} compares each of {n_out} outputs with a number of its own, and the targets of "
                f"{type(loss).__name__} are {_shape(t)}. Give a function of yours (outputs, targets)"
            )
        return self

    def __call__(self, z: Array, t: Array, w: Array) -> float:
        return float(w @ np.abs(z - t).mean(axis=1) / w.sum())

    def of_parts(self, parts: Iterable[tuple[Array, Array, Array]]) -> float:
        return mean_of_parts(self, parts)


class MeanSquaredError(MeanAbsoluteError):
    """The weighted mean over rows of the mean over outputs of (z - t)^2."""

    name = "mean_squared_error"

    def __call__(self, z: Array, t: Array, w: Array) -> float:
        return float(w @ np.square(z - t).mean(axis=1) / w.sum())


class R2(MeanAbsoluteError):
    """1 minus the squared error relative to predicting the mean, averaged over outputs."""

    name = "r2"
    greater_is_better = True

    def for_targets(self, t: Array, loss: Loss, n_out: int, *, w: Array | None, trained: Array) -> Metric:
        super().for_targets(t, loss, n_out, w=w, trained=trained)
        seen = t if w is None else t[w > 0]
        if (same := (seen == seen[0]).all(axis=0)).any():
            raise DataError(
                f"r2 is not defined where a target column does not vary: column {int(same.argmax())} is "
                f"{seen[0, same.argmax()]:.6g} in every row that counts. Use mean_squared_error"
            )
        return self

    def __call__(self, z: Array, t: Array, w: Array) -> float:
        t = t.astype(np.float64)
        spread = w @ np.square(t - w @ t / w.sum())
        return float(1 - (w @ np.square(z - t) / spread).mean())

    def of_parts(self, parts: Iterable[tuple[Array, Array, Array]]) -> float:
        weight = sum(w.sum() for _, _, w in parts)
        mean = sum(w @ t.astype(np.float64) for _, t, w in parts) / weight
        spread = sum(w @ np.square(t.astype(np.float64) - mean) for _, t, w in parts)
        error = sum(w @ np.square(z - t.astype(np.float64)) for z, t, w in parts)
        return float(1 - (error / spread).mean())


RESERVED = ("auto", "loss", "validation_loss")  # metrics="auto"; monitor="loss", and the loss in a history
METRICS: Registry[Metric] = Registry(
    "metric", Metric, (Accuracy, MeanAbsoluteError, MeanSquaredError, R2), reserved=RESERVED
)


def _holds(t: Array, low: int) -> bool:
    """Whether every target is ``low`` or 1."""
    return bool(((t == low) | (t == 1)).all())


def _shape(t: Array) -> str:
    return f"({', '.join(map(str, ('rows', *t.shape[1:])))})"


def _instead(loss: Loss) -> str:
    """Return what to use with this loss instead of a metric that is not defined for it."""
    if loss.link.is_identity:
        return "Use mean_absolute_error, mean_squared_error or r2"
    if loss.link.tells_classes:
        return "Use accuracy, or give a function of yours (outputs, targets)"
    return "Give a function of yours, such as lambda z, t: np.abs(loss.predictions(z) - t).mean()"


READS = "the outputs, the targets and their weights"  # what a metric may read


class _Checked(Metric):
    """A wrapper of a user's own function or metric, which checks how it treats its arguments and what it returns."""

    def __init__(self, run: Callable[..., Any], name: str, *, weighted: bool) -> None:
        self.run, self.name, self.weighted = run, name, weighted  # type: ignore[misc]
        # a function may lack it, as long as nothing depends on it
        better = getattr(run, "greater_is_better", getattr(getattr(run, "func", None), "greater_is_better", None))
        if not isinstance(better, bool | np.bool_ | None):
            raise InputTypeError(f"greater_is_better of the metric {name!r} is True or False; got {better!a:.80}")
        self.greater_is_better = None if better is None else bool(better)  # type: ignore[misc, assignment]

    def __call__(self, z: Array, t: Array, w: Array) -> float:
        value = guarded(self.run, f"the metric {self.run!a:.80}", READS)(*(z, t, w)[: 2 + self.weighted])
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            return float(value.item() if isinstance(value, np.ndarray) else value)
        except (TypeError, ValueError, OverflowError):
            raise InputTypeError(f"the metric {self.run!r} returned {value!r:.80}; a single number is wanted") from None


TRUE = ("y_true", "true", "target", "targets", "t", "labels", "y", "expected")
FOUND = ("y_pred", "y_score", "y_hat", "pred", "prediction", "predictions", "predicted", "output", "outputs", "z")


def _check_signature(metric: Callable[..., Any], name: str) -> None:
    """Raise if a function does not take two arguments, or if their names show that it takes them in the other order."""
    check_call(metric, "the metric", "outputs", "targets")
    try:
        signature = inspect.signature(metric)
    except (TypeError, ValueError):  # a function written in C may have none
        return
    first, second = (*(name.lower() for name in signature.parameters), "", "")[:2]
    if first in TRUE and second in FOUND:
        raise ConfigError(
            f"the metric {name!r} takes {signature}, and is called with (outputs, targets): the two would be swapped. "
            f"Write lambda z, t: {getattr(metric, '__name__', name)}(t, z); z are the raw outputs, such as logits"
        )


def _name_of(metric: Any) -> str:
    """Return the name of a function or of another callable, the same in every process."""
    if isinstance(metric, partial) and not hasattr(metric, "__name__"):
        given = [*map(repr, metric.args), *(f"{key}={value!r}" for key, value in metric.keywords.items())]
        short = [text for text in given if len(text) < 40 and " at 0x" not in text]
        return f"{_name_of(metric.func)}({', '.join(short)})"
    name = getattr(metric, "__name__", None) or repr(metric)
    return name if isinstance(name, str) and " at 0x" not in name else type(metric).__name__


def named(
    metrics: Any, t: Array, loss: Loss, n_out: int, w: Array | None = None, also: Array | None = None
) -> dict[str, Metric]:
    """Return the metrics by name, or raise where one is not defined for these targets, before anything is computed.

    Parameters
    ----------
    metrics : sequence of str, Metric or callable
        Names, metrics, and functions ``(outputs, targets) -> float``; ``"auto"`` is accuracy where the targets are
        classes.
    t : array
        The targets to evaluate on, as the loss encodes them.
    loss : Loss
        The loss, which says what outputs mean: logits, logarithms of rates, or estimates of the targets.
    n_out : int
        Number of outputs of the network.
    w : array (rows,), optional
        The rows' weights.
    also : array, optional
        The targets that the network is trained with, if ``t`` is validation data: both show how classes are encoded.
    """
    trained = read_only(t if also is None else also)
    t, w = read_only(t), read_only(w)
    if isinstance(metrics, str) and metrics == "auto":
        try:
            return {"accuracy": Accuracy().for_targets(t, loss, n_out, w=w, trained=trained)}
        except ConfigError:
            return {}
    if isinstance(metrics, str) or callable(metrics):
        metrics = (metrics,)
    if not isinstance(metrics, Sequence):
        raise InputTypeError(f"metrics is a list of names or functions; got {metrics!r}")
    found: dict[str, Metric] = {}
    for given in metrics:
        known = isinstance(given, str | Metric) or (isinstance(given, type) and issubclass(given, Metric))
        if not (known or callable(given)):
            raise InputTypeError(f"a metric is a name or a function (outputs, targets) -> float; got {given!r}")
        if known:
            asked = METRICS.get(given)
            choose = guarded(asked.for_targets, f"the metric {asked!a:.80}", READS)
            metric = choose(t, loss, n_out, w=w, trained=trained)
            if not isinstance(metric, Metric):
                raise InputTypeError(f"for_targets of the metric {asked!a:.80} returned {metric!a:.80}; return self")
            name = metric.name
            if is_foreign(metric):
                metric = _Checked(metric, name, weighted=True)
        else:
            name = _name_of(given)
            _check_signature(given, name)
            metric = _Checked(given, name, weighted=False)
        METRICS.check_name(name)
        if name in found:
            raise ConfigError(f"two metrics are called {name!r}; give your function a name of its own with def")
        found[name] = metric
    return found
