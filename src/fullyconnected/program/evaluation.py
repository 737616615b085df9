"""The loss and the metrics of outputs over a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.contracts import read_only

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fullyconnected.base import Loss, Metric
    from fullyconnected.program.data import Data

__all__ = ["Evaluation", "evaluation", "mean_loss", "member_losses"]

BLOCK = 1 << 13  # rows whose loss is computed together
PART = 1 << 20  # rows whose metrics are computed together


class Evaluation(NamedTuple):
    """The loss and the metrics, by name, over a data set."""

    loss: float
    metrics: dict[str, float]


def evaluation(z: Array, data: Data, metrics: Mapping[str, Metric]) -> Evaluation:
    """Return the loss and the metrics of outputs."""
    t, total, loss = data.t.view(), 0.0, data.loss.for_evaluation()
    # the rows count in the loss by the first, and in metrics by the second
    both = data.row_weights, data.row_sample_weight
    weights, given = (np.broadcast_to(1.0, len(z)) if w is None else w.view() for w in both)
    # a user's loss or metric must not change these arrays for others
    z = z.view()
    z.flags.writeable = t.flags.writeable = weights.flags.writeable = given.flags.writeable = False
    for start in range(0, len(z), BLOCK):
        rows: Any = slice(start, start + BLOCK)
        if data.weights is not None:  # rows of weight zero are left out, for their loss may overflow
            rows = start + np.flatnonzero(weights[rows])
        if len(w := np.ascontiguousarray(weights[rows])):
            total += loss.of_checked(z[rows], t[rows], w)[0] * w.sum()
    parts = _Parts(z, t, given)
    return Evaluation(float(total / weights.sum()), {name: parts.value(metric) for name, metric in metrics.items()})


class _Parts:
    """Outputs, targets and weights, in parts that are small enough to be computed with, of rows that count."""

    def __init__(self, z: Array, t: Array, w: Array) -> None:
        self.z, self.t, self.w = z, t, w

    def __iter__(self) -> Iterator[tuple[Array, Array, Array]]:
        for start in range(0, len(self.z), PART):
            w = self.w[start : start + PART]
            if w.any():
                yield self.z[start : start + PART], self.t[start : start + PART], w

    def value(self, metric: Metric) -> float:
        """Return the value of a metric, in parts where there are many rows and the metric can be had so."""
        value = metric.of_parts(self) if len(self.z) > PART else None
        return metric(self.z, self.t, read_only(np.ascontiguousarray(self.w))) if value is None else value


def member_losses(z: Array, data: Data) -> Array:
    """Return the loss of each member of an ensemble from the outputs of all of them (rows, members, n_out)."""
    losses = []
    for m in range(z.shape[1]):
        w = None if data.weights is None else data.weights[:, m] if data.weights.ndim == 2 else data.weights
        rows = np.arange(len(z)) if w is None else np.flatnonzero(w)
        w = np.ones(len(z)) if w is None else w
        losses.append(mean_loss(z[rows, m], data.t[rows], w[rows], data.loss))
    return np.array(losses)


def mean_loss(z: Array, t: Array, w: Array, loss: Loss) -> float:
    """Return the mean loss of outputs, summed in float64 over blocks of rows."""
    evaluated, total = loss.for_evaluation(), 0.0
    for start in range(0, len(z), BLOCK):
        some = slice(start, start + BLOCK)
        total += evaluated.of_checked(z[some], t[some], w[some])[0] * w[some].sum()
    return float(total / w.sum())
