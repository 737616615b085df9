"""How good predictions of held-out rows are, beside a trivial prediction of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.tabular.tasks import CLASSES, LABELS
from fullyconnected.tabular.units import Unit

__all__ = ["Score", "losses_of", "scores_of"]


class Score(NamedTuple):
    """A score of the predictions for held-out rows, and those of a trivial prediction and of a linear model.

    ``linear`` is None where there is no linear model.
    """

    name: str
    value: float
    baseline: float
    linear: float | None = None


def scores_of(p: Array, t: Array, w: Array, task: str, linear: Array | None = None) -> tuple[str, tuple[Score, ...]]:
    """Return what a trivial prediction is, and the scores of predictions of held-out rows beside its own.

    Parameters
    ----------
    p : array (rows, outputs)
        Probabilities, or values.
    t : array
        Class numbers (rows,), labels (rows, labels), or values (rows, outputs).
    w : array (rows,)
        Weights of the rows.
    task : {"classes", "labels", "numbers"}
    linear : array (rows, outputs), optional
        Those of a linear model.
    """
    others = [] if linear is None else [linear]
    if task == CLASSES:
        share = np.bincount(t, w, minlength=p.shape[1]) / w.sum()
        every = [p, np.broadcast_to(share, p.shape), *others]
        right = [each.argmax(axis=1) == t for each in every]
        what = "the most frequent class, and the shares of the classes"
    elif task == LABELS:
        every = [p, np.broadcast_to(np.average(t, axis=0, weights=w), p.shape), *others]
        right = [((each > 0.5) == t).all(axis=1) for each in every]
        what = "the more frequent value of each label, and its share"
    else:
        return "the mean of y", _of_numbers([p, np.average(t, axis=0, weights=w), *others], t, w)
    named = {"accuracy": right, "log-loss": [losses_of(each, t, task) for each in every]}
    return what, tuple(
        Score(name, *(float(np.average(one, weights=w)) for one in each)) for name, each in named.items()
    )


def losses_of(p: Array, t: Array, task: str, unit: Unit | None = None) -> Array:
    """Return the loss of each row (rows,): the log-loss, or of numbers the squared error, both the mean of the outputs.

    Errors of numbers are in a ``unit``: with the scale of the targets, they are shares of their variance.
    """
    if task == CLASSES:
        return -np.log(_above_zero(p[np.arange(len(t)), t]))
    if task == LABELS:
        return -np.log(_above_zero(np.where(t == 1, p, 1 - p))).mean(axis=1)
    return np.square((p - t) / (1.0 if unit is None else unit.scale)).mean(axis=1)


def _of_numbers(every: Sequence[Array], t: Array, w: Array) -> tuple[Score, ...]:
    """Return R2 and RMSE of predictions, the second of which is the mean of the targets."""
    size = np.abs(t).max(axis=0) + sum(np.abs(each).max(axis=0) for each in every)
    unit = np.where(size > 0, size, 1.0)  # squares of large numbers would be infinite
    mse = [np.average(((each - t) / unit) ** 2, axis=0, weights=w) for each in every]
    rmse = [float((np.sqrt(each) * unit).mean()) for each in mse]
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = [
            float(np.where(mse[1] > 0, 1 - each / mse[1], np.where(each > 0, 0.0, 1.0)).mean())
            for each in (mse[0], *mse[2:])
        ]
    return Score("R2", r2[0], 0.0, *r2[1:]), Score("RMSE", *rmse)


def _above_zero(p: Array) -> Array:
    return np.maximum(p, np.finfo(np.float64).eps)
