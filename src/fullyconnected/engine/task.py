"""The task of a training run, which an engine gets along with its state, and which does not change."""

from collections.abc import Callable
from math import inf
from typing import NamedTuple

from fullyconnected.averages import EMA, SWA
from fullyconnected.base import Optimizer, Solver
from fullyconnected.comm.base import ALONE, Comm
from fullyconnected.core.checks import number
from fullyconnected.layers import Dropout
from fullyconnected.program.data import Data
from fullyconnected.program.program import Program

__all__ = ["Task", "answer_of"]


class Task(NamedTuple):
    """A program, its training data, an optimizer, and settings."""

    program: Program
    data: Data
    optimizer: Optimizer | Solver
    batch_size: int
    l2: float = 0.0
    alpha: float = 0.0  # over the weight of a batch, it is an l2 of that batch
    max_grad_norm: float | None = None
    schedule: Callable[[float], float] | None = None  # of the learning rate
    weight_decay_schedule: Callable[[float], float] | None = None
    dropout_schedule: Callable[[float], float] | None = None
    n_threads: int | None = None  # None: engine.threads decides
    average: EMA | SWA | None = None  # of the weights: an EMA is the engine's work, in each step
    precision: str | None = None  # of products of matrices, None: that of the network
    comm: Comm = ALONE  # the processes that share the batches

    @property
    def others(self) -> Comm | None:
        """The processes that share the batches with this one, or None if it is alone."""
        return self.comm if self.comm.size > 1 else None

    @property
    def rule(self) -> Optimizer:
        """The optimizer, where it is known not to be a solver."""
        assert isinstance(self.optimizer, Optimizer)
        return self.optimizer

    def decay_factor(self, epoch: float) -> float:
        """Return the factor on the optimizer's weight decay after so many epochs."""
        return answer_of("weight-decay schedule", self.weight_decay_schedule, epoch)

    def dropout_factor(self, epoch: float) -> float:
        """Return the factor on the rates of dropout after so many epochs; with it, each stays below 1."""
        rates = [op.layer.rate for op in self.program.operations if isinstance(op.layer, Dropout)]
        return answer_of(
            "dropout schedule", self.dropout_schedule, epoch, below=1 / max((0.0, *rates)) if any(rates) else inf
        )


def answer_of(what: str, schedule: Callable[[float], float] | None, epoch: float, below: float = inf) -> float:
    """Return the factor that a schedule gives, 1 without one, after checking that it is a number."""
    if schedule is None:
        return 1.0
    return number(f"what the {what} returns (at epoch {epoch:g})", schedule(epoch), below=below)
