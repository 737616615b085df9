"""What an engine is given beside the state of the run: the task, which does not change."""

from collections.abc import Callable
from typing import NamedTuple

from fullyconnected.base import Optimizer, Solver
from fullyconnected.program.data import Data
from fullyconnected.program.program import Program

__all__ = ["Task"]


class Task(NamedTuple):
    """A program, what it is trained on and by which rule, and settings."""

    program: Program
    data: Data
    optimizer: Optimizer | Solver
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
