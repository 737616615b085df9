"""The state of a training run: all of it that changes."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = ["Average", "Best", "TrainingState"]


class Best(NamedTuple):
    """The best epoch so far, by the monitored value.

    Where each member of an ensemble keeps its own best weights, ``members`` has the least loss and the epoch of each.
    """

    value: float
    epoch: int
    theta: Array
    state: Array
    members: tuple[tuple[float, int], ...] = ()


class Average(NamedTuple):
    """An average of the parameters, and the running statistics that belong to it."""

    theta: Array
    state: Array


@dataclass
class TrainingState:
    """The state of a run: saving it after epoch a and resuming for b epochs equals a + b epochs, bit for bit.

    ``theta`` and ``state`` are the network's own vectors; ``slots`` is the optimizer state. ``lr_factor`` multiplies
    the optimizer's learning rate, beside a schedule; it may change between epochs. ``epochs_in_time`` is the number of
    epochs that ``max_time`` allows, once that is known. ``average`` is there if the run averages its weights.
    """

    theta: Array
    state: Array
    seed: int
    slots: dict[str, Array]
    step: int = 0
    epoch: int = 0
    lr_factor: float = 1.0
    epochs_in_time: int | None = None
    best: Best | None = None
    average: Average | None = None
    records: dict[str, list[float]] = field(default_factory=dict)

    def vectors(self) -> list[Array]:
        """Return the parameters and the running statistics, and then those of the average."""
        return [self.theta, self.state, *(self.average or ())]

    def copied(self, into: "TrainingState | None" = None) -> "TrainingState":
        """Return a copy, in the memory of an earlier copy if given. Records only grow, so they are shared."""
        if into is None:
            slots = {name: np.empty_like(slot) for name, slot in self.slots.items()}
            average = self.average and Average(*map(np.empty_like, self.average))
            into = TrainingState(
                np.empty_like(self.theta), np.empty_like(self.state), self.seed, slots, average=average
            )
        for mine, its in zip(self.vectors(), into.vectors(), strict=True):
            its[...] = mine
        for name, slot in self.slots.items():
            into.slots[name][...] = slot
        into.step, into.epoch, into.lr_factor = self.step, self.epoch, self.lr_factor
        into.epochs_in_time, into.best, into.records = self.epochs_in_time, self.best, self.records
        return into
