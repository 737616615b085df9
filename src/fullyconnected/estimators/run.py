"""The run of an estimator: rows in scikit-learn's order, its learning rates, and its validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isnan
from typing import Any

import numpy as np

from fullyconnected.base import Metric
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.core.order import Order
from fullyconnected.engine.state import Best
from fullyconnected.estimators.stopping import Stopping
from fullyconnected.network import Network
from fullyconnected.training.history import Epoch
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

__all__ = ["EstimatorRun"]

SCORE = "metric.score"  # the record of the validation scores


class _Score(Metric):
    """The validation score."""

    name = "score"
    greater_is_better = True

    def __init__(self, score: Callable[[Array, Array, Array], float]) -> None:
        self.score = score

    def __call__(self, z: Array, t: Array, w: Array) -> float:
        return self.score(z, t, w)


class EstimatorRun(Run):
    """A run whose rows are shuffled by a RandomState, and whose rate and end follow :class:`Stopping`.

    Rows in files are visited window by window, in the library's own order, whose seed the RandomState draws. If one
    window has them all, they are shuffled as those in memory; ``first`` is the order that they are in before that.

    ``score`` computes the validation score from outputs, encoded targets and weights; with ``watches_score``, it
    decides when to stop, not the loss. What depends on earlier epochs is computed again from the records of a resumed
    checkpoint.
    """

    def __init__(
        self,
        net: Network,
        x: Any,
        t: Any,
        loss: Any,
        optimizer: Any,
        settings: FitSettings,
        *,
        random: np.random.RandomState,
        stopping: Stopping,
        score: Callable[[Array, Array, Array], float] | None = None,
        watches_score: bool = False,
        seen: int = 0,
        planned: int | None = None,
        identity: Mapping[str, Any] | None = None,
        first: Rows | None = None,
    ) -> None:
        self.others, self.random, self.first = dict(identity or {}), random, first
        super().__init__(net, x, t, loss, optimizer, settings, planned)
        self.stopping, self.watches_score = stopping, watches_score
        self.metrics = {} if score is None else {"score": _Score(score)}
        self.seen, self.asked_to_stop = seen, False
        self.why_stopped: str | None = None
        resumed = self.state.records
        for i, loss_then in enumerate(resumed.get("loss", ())):
            self.shuffle_rows()
            self.count(resumed[SCORE][i] if watches_score else loss_then)  # the rate itself is in the file

    def order_of_epochs(self) -> Order:
        visits = super().order_of_epochs()
        if visits.is_plain:
            visits.drawn = np.arange(self.rows) if self.first is None else self.first
        else:
            self.state.seed = int(self.random.randint(2**31 - 1))
        return visits

    def shuffle_rows(self) -> None:
        """Shuffle the order of the epoch before; that of windows is a function of the seed and the epoch."""
        if self.shuffle and self.visits.drawn is not None:
            self.random.shuffle(self.visits.drawn)

    def identity(self) -> dict[str, Any]:
        return self.others

    def count(self, value: float) -> None:
        """Take the monitored value of an epoch, which may end the run or change the rate of the next."""
        self.seen += self.rows
        self.why_stopped = self.stopping.after(value, self.seen)

    def note(self, value: float) -> None:
        """Take the monitored value of an epoch, and set the rate of the next."""
        rate = self.stopping.rate
        self.count(value)
        if self.stopping.rate != rate:
            self.set_rate(self.stopping.rate)

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the coming epochs.

        scikit-learn's momentum holds steps, ``v = momentum v - rate g``, and the library's holds sums of gradients,
        which are scaled here so that the step does not change.
        """
        rule = self.task.rule
        before = rule.lr * self.state.lr_factor
        self.state.lr_factor = rate / rule.lr
        if rule.name in ("momentum", "nesterov"):
            self.state.slots["v"] *= before / rate

    def out_of_patience(self) -> bool:
        return self.asked_to_stop

    def order(self) -> Rows:
        self.shuffle_rows()
        return super().order()

    def train_windows(self) -> float:
        self.shuffle_rows()
        return super().train_windows()

    def adopt(self) -> None:
        self.net.loss = self.data.loss  # the names of columns are the estimator's, as those of a table

    def record(self, loss: float, began: float) -> Epoch:
        epoch, state = super().record(loss, began), self.state
        value = epoch.metrics["score"] if self.watches_score else loss
        if self.watches_score and (state.best is None or isnan(state.best.value) or value > state.best.value):
            state.best = Best(value, state.epoch, state.theta.copy(), state.state.copy())
        self.note(value)
        return epoch
