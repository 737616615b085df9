"""Training with a full-batch solver, which gets the loss of all rows as a function of the parameter vector."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fullyconnected.base import Solver
from fullyconnected.core.arrays import Array
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.errors import ConfigError, DivergenceError, InputTypeError, ShapeError
from fullyconnected.program.data import BatchLoader
from fullyconnected.program.sources import SparseSource
from fullyconnected.program.workspace import Workspace
from fullyconnected.training.divergence import explained

__all__ = ["refuse", "solve"]


def refuse(solver: Solver, task: Task, checkpoint: Any) -> None:
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
    workspace = Workspace(task.program, theta, state.state, len(task.data.x), loss=task.data.loss, source=task.data.x)
    batch, weight = BatchLoader(task.data, workspace).load(np.arange(len(task.data.x)))
    l2 = task.l2 + task.alpha / weight
    accepted, start = theta.copy(), theta.astype(np.float64)
    done, first = 0, math.nan

    def loss_and_gradient(candidate: Array) -> tuple[float, Array]:
        nonlocal first
        theta[...] = candidate
        state.step += 1
        with np.errstate(all="ignore"):
            value = float(batch.loss_and_gradient(train=True, l2=l2))
        if np.array_equal(candidate, start):
            first = value
            if not np.isfinite(value):
                error = DivergenceError(state.epoch + 1, state.step, math.nan, batch.first_not_finite())
                raise explained(error, task, theta, state.state, state.seed, 0, np.arange(len(task.data.x)))
        return value, workspace.gradient.astype(np.float64)

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
