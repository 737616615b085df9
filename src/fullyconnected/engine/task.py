"""What an engine is given beside the state of the run: the task, which does not change."""

from collections.abc import Callable
from typing import NamedTuple

from fullyconnected.base import Loss, Optimizer, Solver
from fullyconnected.core.arrays import Array
from fullyconnected.program.program import Program

__all__ = ["Task"]


class Task(NamedTuple):
    """A program and what it is trained on: checked arrays, encoded targets, and settings."""

    program: Program
    loss: Loss
    optimizer: Optimizer | Solver
    x: Array  # (rows, n_in), C order, in the caller's dtype
    t: Array  # (rows, ...), as the loss encodes it
    weights: Array | None  # (rows,)
    batch_size: int
    l2: float = 0.0
    max_grad_norm: float | None = None
    schedule: Callable[[float], float] | None = None
    n_threads: int | None = None  # None leaves it to the environment

    @property
    def rule(self) -> Optimizer:
        """The optimizer, for what trains step by step."""
        assert isinstance(self.optimizer, Optimizer)
        return self.optimizer
