"""The task of a training run, which an engine gets along with its state, and which does not change."""

from collections.abc import Callable
from typing import NamedTuple

from fullyconnected.averages import EMA, SWA
from fullyconnected.base import Optimizer, Solver
from fullyconnected.program.data import Data
from fullyconnected.program.program import Program

__all__ = ["Task"]


class Task(NamedTuple):
    """A program, its training data, an optimizer, and settings."""

    program: Program
    data: Data
    optimizer: Optimizer | Solver
    batch_size: int
    l2: float = 0.0
    alpha: float = 0.0  # over the weight of a batch, it is an l2 of that batch
    max_grad_norm: float | None = None
    schedule: Callable[[float], float] | None = None
    n_threads: int | None = None  # None: engine.threads decides
    average: EMA | SWA | None = None  # of the weights: an EMA is the engine's work, in each step

    @property
    def rule(self) -> Optimizer:
        """The optimizer, where it is known not to be a solver."""
        assert isinstance(self.optimizer, Optimizer)
        return self.optimizer
