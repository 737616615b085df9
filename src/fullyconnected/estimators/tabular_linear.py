"""What a linear model of the same columns predicts for the rows held out from the members of an ensemble."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV

from fullyconnected.core.arrays import Array
from fullyconnected.engine.numpy_engine import blas_threads
from fullyconnected.layers import Columns
from fullyconnected.network import Network
from fullyconnected.tabular.folds import Split
from fullyconnected.tabular.tasks import CLASSES, NUMBERS

__all__ = ["linear_predictions"]

ALPHAS = np.logspace(-2, 4, 7)
ITERATIONS = 100
ENTRIES = 3_000_000  # rows times columns times outputs that a model is made of, about
LEAST = 1_000  # rows that it is made of even if that is more
MODELS = 200  # of labels and parts, beyond which it would take too long


def linear_predictions(
    columns: Columns,
    x: Array,
    t: Array,
    w: Array,
    split: Split,
    task: str,
    n_out: int,
    *,
    seed: int = 0,
    n_threads: int | None = None,
) -> tuple[Array | None, str]:
    """Return what linear models say of held-out rows (rows, outputs), and in words what they are.

    For each member, ridge regression, or logistic regression of classes or of each label, learns from the rows that the
    member learns from, and predicts those held out from it. A row that several are held out from has their mean, one
    that none is has NaN. Where that cannot be done, None is returned, and why.

    Parameters
    ----------
    columns : Columns
        What makes numbers of the same scale of x, and a column for each level.
    x, t, w : array
        Rows, targets and weights, as a training takes them.
    split : Split
        Which rows each member learns from, and which ones are held out from it.
    task : {"classes", "labels", "numbers"}
    n_out : int
        The number of outputs.
    seed : int
        Seed of the rows that are learned from, where all are too many.
    n_threads : int, optional
        The number of threads that encode the rows.
    """
    parts, told = list(_parts(split)), "ridge" if task == NUMBERS else "logistic"
    if task not in (NUMBERS, CLASSES) and len(parts) * n_out > MODELS:
        return None, f"{n_out} labels are too many for it"
    classes = len(np.unique(t)) if task == CLASSES else 0  # a class may weigh nothing, and has no row then
    if task == CLASSES and any(len(np.unique(t[learned])) < classes for _, learned in parts):
        return None, "a class is in the rows of one part alone"
    net = Network([columns])
    net.adapt(x, w)

    def numbers(rows: Array) -> Array:
        return np.asarray(net.predict(x[rows], n_threads=n_threads))

    random, most = np.random.default_rng((seed, 2)), max(LEAST, ENTRIES // (net.n_out * n_out))
    total, counts = np.zeros((len(x), n_out)), np.zeros((len(x), 1))
    # several threads would wait for one another in such small products
    with blas_threads(1, or_any=True), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what does not converge in so many rounds is a baseline all the same
        for judged, learned in parts:
            some = learned if len(learned) <= most else random.choice(learned, most, replace=False)
            if task == CLASSES and len(np.unique(t[some])) < classes:
                some = learned  # a rare class is not among those that were drawn
            said = _fitted(numbers(some), t[some], w[some], task, n_out)
            for start in range(0, len(judged), most):
                rows = judged[start : start + most]
                total[rows] += said(numbers(rows))
            counts[judged] += 1
        predicted = total / counts
    if not np.isfinite(predicted[counts[:, 0] > 0]).all():
        return None, "its numbers are too large"
    return predicted, f"{told} regression of the same columns"


def _parts(split: Split) -> Iterator[tuple[Array, Array]]:
    """Yield the rows held out from a member, and those that it learns from, until each row has been held out once."""
    seen = np.zeros(len(split.held), bool)
    for held, learned in zip(split.held.T, split.learned.T, strict=True):
        if (held & ~seen).any():
            seen |= held
            yield np.flatnonzero(held), np.flatnonzero(learned)


def _fitted(z: Array, t: Array, w: Array, task: str, n_out: int) -> Callable[[Array], Array]:
    """Return the function of what a model of some rows says of others."""
    if task == NUMBERS:
        center = np.average(t, axis=0, weights=w)
        scale = np.abs(t - center).max(axis=0)
        scale = np.where(scale > 0, scale, 1.0)  # squares of large numbers would be infinite
        model: Any = RidgeCV(ALPHAS).fit(z, (t - center) / scale, w)
        return lambda judged: np.asarray(center + scale * model.predict(judged).reshape(len(judged), -1))
    if task == CLASSES:
        classes = np.unique(t)
        share = None if len(classes) == 1 else _logistic(z, t, w)

        def of_classes(judged: Array) -> Array:
            p = np.zeros((len(judged), n_out))
            p[:, classes] = 1.0 if share is None else share(judged)
            return p

        return of_classes
    labels = [_of_label(z, label, w) for label in t.T]
    return lambda judged: np.column_stack([each(judged) for each in labels])


def _of_label(z: Array, t: Array, w: Array) -> Callable[[Array], Array]:
    """Return the function of the probability of a label; one that all rows or none have is as sure as these are."""
    if (t == t[0]).all():
        return lambda judged: np.full(len(judged), float(t[0]))
    share = _logistic(z, t, w)
    return lambda judged: share(judged)[:, 1]


def _logistic(z: Array, t: Array, w: Array) -> Callable[[Array], Array]:
    model: Any = LogisticRegression(max_iter=ITERATIONS).fit(z, t, w)
    found: Callable[[Array], Array] = model.predict_proba
    return found
