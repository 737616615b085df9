"""All of a run that changes while it goes on."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = ["Best", "TrainingState"]


class Best(NamedTuple):
    """The best epoch so far, by what patience watches."""

    value: float
    epoch: int
    theta: Array
    state: Array


@dataclass
class TrainingState:
    """All of a run: saving it after epoch a and going on for b epochs equals a + b epochs, bit for bit.

    ``theta`` and ``state`` are the network's own vectors; ``slots`` are what the optimizer remembers.
    """

    theta: Array
    state: Array
    seed: int
    slots: dict[str, Array]
    step: int = 0
    epoch: int = 0
    best: Best | None = None
    records: dict[str, list[float]] = field(default_factory=dict)

    def copied(self, into: "TrainingState | None" = None) -> "TrainingState":
        """Return a copy, in the memory of an earlier one where there is one. Records only grow, and are shared."""
        if into is None:
            slots = {name: np.empty_like(slot) for name, slot in self.slots.items()}
            into = TrainingState(np.empty_like(self.theta), np.empty_like(self.state), self.seed, slots)
        into.theta[...], into.state[...] = self.theta, self.state
        for name, slot in self.slots.items():
            into.slots[name][...] = slot
        into.step, into.epoch, into.best, into.records = self.step, self.epoch, self.best, self.records
        return into
