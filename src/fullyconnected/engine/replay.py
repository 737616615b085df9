"""A step that diverged, whose forward pass NumPy repeats, to name what is not finite first."""

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.engine.task import Task
from fullyconnected.program.data import BatchLoader, Data
from fullyconnected.program.workspace import Workspace

__all__ = ["first_not_finite"]


def first_not_finite(
    task: Task, theta: Array, state: Array, data: Data, rows: Rows, *, seed: int, step: int, row: int, dropout: float
) -> str:
    """Name what is not finite first in the forward pass of a batch, with the weights and random numbers of a step.

    ``row`` is the number of the first of the rows in the whole batch, and ``dropout`` the factor on the rates.
    """
    workspace = Workspace(task.program, theta, state, len(rows), loss=task.data.loss)
    with np.errstate(all="ignore"):
        batch, _ = BatchLoader(data, workspace).load(rows)
        workspace.at(seed, step, row)
        workspace.set_dropout(dropout)
        batch.forward(train=True)
    return batch.first_not_finite()
