"""Training with a full-batch solver, which gets the loss of all rows as a function of the parameter vector."""

import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np

from fullyconnected.base import Solver
from fullyconnected.comm.base import Comm
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows, Share, Whole
from fullyconnected.core.mapped import is_mapped
from fullyconnected.core.order import Order
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.errors import ConfigError, DivergenceError, InputTypeError, ShapeError
from fullyconnected.program.data import BatchLoader, Data
from fullyconnected.program.reading import WINDOW, Reader
from fullyconnected.program.sources import ArraySource, SparseSource, some_rows
from fullyconnected.program.workspace import Batch, Workspace
from fullyconnected.training.divergence import explained

__all__ = ["refuse", "solve"]


def refuse(solver: Solver, task: Task, checkpoint: Any, dtype: np.dtype[Any]) -> None:
    """Raise for settings and layers that do not work with full-batch solvers."""
    name = type(solver).__name__
    if not task.program.n_params:
        raise ConfigError(f"the network has no parameters; there is nothing for {name} to change")
    if isinstance(task.data.x, SparseSource) and not task.program.multiplies_input:
        raise ConfigError(
            f"x is sparse, and {name} uses all rows at once, which would make it dense as a whole: only Dense, as the "
            f"first layer, reads sparse rows, and the network begins with {task.program.operations[0].name}. Use an "
            f"optimizer such as Adam, which takes a batch of rows at a time"
        )
    problems = {
        "a schedule": any((task.schedule, task.weight_decay_schedule, task.dropout_schedule)),
        "max_grad_norm": task.max_grad_norm is not None,
        "a checkpoint": checkpoint is not None,
        "dropout": any(op.layer.random for op in task.program.operations),
        "batch normalisation": any(op.state for op in task.program.operations),
        "an average of weights": task.average is not None,
        **_of_blocks(task, dtype),
        "a learning-rate factor": any(tensor.param.lr_factor != 1 for tensor in task.program.tensors),
    }
    for what, present in problems.items():
        if present:
            raise ConfigError(f"{name} uses all rows at once and chooses its own steps; it does not work with {what}")


def solve(
    solver: Solver, task: Task, state: TrainingState, iterations: int, after: Callable[[float], bool]
) -> tuple[str, float]:
    """Minimise the loss in at most ``iterations``; ``after(loss)``, called after each, returns whether to stop.

    Returns what ended the solver, as in ``History.stopped``, and the initial loss.
    """
    theta, name = state.theta, type(solver).__name__
    rows = _AllRows(task, state)
    accepted, start = theta.copy(), theta.astype(np.float64)
    done, first = 0, math.nan

    def loss_and_gradient(candidate: Array) -> tuple[float, Array]:
        nonlocal first
        theta[...] = candidate
        state.step += 1
        with np.errstate(all="ignore"):
            value, gradient = rows.loss_and_gradient()
        if np.array_equal(candidate, start):
            first = value
            if not np.isfinite(value):
                raise rows.diverged()
        return value, gradient

    def after_iteration(reached: Array, value: float) -> bool:
        nonlocal done
        if done == iterations:
            raise ConfigError(f"{name}.minimize continues after {iterations} iterations, its limit")
        if np.shape(reached) != theta.shape:
            raise ShapeError(f"{name}.minimize reports theta with shape {np.shape(reached)}; it has {theta.shape}")
        if not np.isfinite(reached).all():
            raise ConfigError(f"{name}.minimize has reached parameters that are not finite")
        before = accepted.copy()
        theta[...] = reached
        accepted[...] = theta
        try:
            stop = after(float(value))
        except Exception:  # a user's metric failed: the iteration is not counted, so undo it
            accepted[...] = before
            raise
        done += 1
        return stop

    try:
        why = solver.minimize(loss_and_gradient, start.copy(), iterations, after_iteration)
        if not done and math.isnan(first):  # it has not even looked at the initial loss
            loss_and_gradient(start)
    finally:
        theta[...] = accepted  # the last accepted point, not the last point that was tried
    if not isinstance(why, str):
        raise InputTypeError(f'{name}.minimize returns what ended it, such as "converged"; got {why!a:.80}')
    return why, first


def _size(task: Task, dtype: np.dtype[Any]) -> int:
    """Return how many rows are in memory at a time: all, but for those of a file, whose activations take a window."""
    x = task.data.x
    if x.in_memory and not (isinstance(x, ArraySource) and is_mapped(x.array)):
        return len(x)
    return min(len(x), max(1, WINDOW // (2 * task.program.entries_a_row * dtype.itemsize)))


def _of_blocks(task: Task, dtype: np.dtype[Any]) -> dict[str, bool]:
    """Return what does not work where the rows are gone through in blocks."""
    if _size(task, dtype) == len(task.data.x):
        return {}
    weights = task.data.weights
    return {
        "weights for each member of an ensemble, of rows that do not fit in a window": weights is not None
        and weights.ndim == 2,
        "a layer that combines the rows of a batch, of which not all fit in a window": task.program.least_rows > 1,
    }


def _own_part(data: Data, comm: Comm) -> tuple[Data, Whole]:
    """Return the rows of which this process computes the loss, and what they are a part of."""
    n, weights = len(data.x), data.weights
    start, stop = Share(comm.rank, comm.rank + 1, comm.size).of(n)
    t, own, given = (None if a is None else a[start:stop] for a in (data.t, weights, data.sample_weight))
    assert t is not None
    sums = np.array([float(n)]) if weights is None else np.atleast_1d(weights.sum(axis=0))
    return Data(some_rows(data.x, start, stop), t, own, data.loss, given), Whole(n, start, sums)


class _AllRows:
    """The loss of all rows and its gradient; rows in files are read block by block, the next while one is used.

    Of several processes, each has a part of the rows, and the sums of all of them are the loss and its gradient.
    """

    def __init__(self, task: Task, state: TrainingState) -> None:
        data, program = task.data, task.program
        self.whole: Whole | None = None
        if task.others is not None:
            data, self.whole = _own_part(data, task.others)
        self.begin = 0 if self.whole is None else self.whole.first
        self.task, self.state, self.size = task, state, _size(task._replace(data=data), state.theta.dtype)
        self.workspace = Workspace(program, state.theta, state.state, max(1, self.size), loss=data.loss, source=data.x)
        self.loader = BatchLoader(data, self.workspace)
        self.reader: Reader | None = None
        self.batch: Batch | None = None
        self.weight = 0.0 if self.whole is None else self.whole.weight
        if not self.size:  # there are more processes than rows
            pass
        elif self.size == len(data.x):
            if not data.x.in_memory:  # a range is checked as it is read
                x = np.empty(data.x.shape, program.input_dtype(state.theta.dtype))
                data.x.fill(0, x)
                self.loader.data = data._replace(x=ArraySource(x))
            self.batch, self.weight = self.loader.load(np.arange(self.size), self.whole)
        else:
            order = Order(len(data.x), self.size, 1, shuffle=False, window=self.size)
            self.reader = Reader(data, order, np.dtype(program.input_dtype(state.theta.dtype)), keep=data.x.keep)
            if self.whole is None:
                self.weight = float(len(data.x) if data.weights is None else data.weights.sum())
        self.l2 = task.l2 + task.alpha / self.weight
        self.wrong: tuple[Rows, str] | None = None  # rows of which the loss is not finite, and where that begins

    def loss_and_gradient(self) -> tuple[float, Array]:
        """Return both for the present parameters; where the loss is not finite, ``wrong`` says why."""
        self.wrong = None
        if self.whole is None and self.batch is not None:
            value = float(self.batch.loss_and_gradient(train=True, l2=self.l2))
            self.note(value, np.arange(self.size), self.batch)
            return value, self.workspace.gradient.astype(np.float64)
        sums = np.zeros(self.workspace.gradient.size + 1)  # the gradient, and the loss behind it
        self.add_rows(sums)
        self.task.comm.sum(sums)
        gradient, value = sums[:-1], float(sums[-1])
        self.workspace.gradient[...] = 0
        value += float(self.workspace.add_l2(self.l2)) if self.l2 else 0.0
        return value, gradient + self.workspace.gradient

    def add_rows(self, sums: Array) -> None:
        """Add the gradient and the loss of the rows of this process."""
        if self.batch is not None:
            sums[-1] = float(self.batch.loss_and_gradient(train=True))
            sums[:-1] = self.workspace.gradient
            self.note(sums[-1], self.begin + np.arange(self.size), self.batch)
        if self.reader is None:
            return
        first = self.begin
        with closing(self.reader.parts(0, 0)) as parts:
            for part in parts:
                self.loader.data = part.data
                batch, weight = self.loader.load(part.order)
                if weight:
                    share = weight / self.weight
                    sums[-1] += share * float(batch.loss_and_gradient(train=True))
                    sums[:-1] += share * self.workspace.gradient
                    self.note(sums[-1], np.arange(first, first + len(part.order)), batch)
                first += len(part.order)

    def note(self, value: float, rows: Rows, batch: Batch) -> None:
        """Note the first rows with which the loss is not finite."""
        if self.wrong is None and not math.isfinite(value):
            self.wrong = rows, batch.first_not_finite()

    def diverged(self) -> DivergenceError:
        """Return the error of a loss that is not finite at the initial parameters."""
        state, (rows, where) = self.state, self.wrong or (np.arange(max(1, self.size)), "loss")
        error = DivergenceError(state.epoch + 1, state.step, math.nan, where)
        task = self.task._replace(batch_size=len(rows))
        return explained(error, task, state.theta, state.state, state.seed, 0, rows)
