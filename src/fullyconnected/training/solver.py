"""The full-batch solver: SciPy's L-BFGS-B on the network's flat vector."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.errors import ConfigError, DivergenceError, missing
from fullyconnected.optimizers import LBFGS
from fullyconnected.program.workspace import Workspace
from fullyconnected.training.divergence import explained

__all__ = ["refuse", "solve"]


def refuse(task: Task, checkpoint: Any) -> None:
    """Raise for what a full-batch solver cannot do."""
    if not task.program.n_params:
        raise ConfigError("the network has no parameters; there is nothing for L-BFGS to change")
    problems = {
        "a schedule": task.schedule is not None,
        "max_grad_norm": task.max_grad_norm is not None,
        "a checkpoint": checkpoint is not None,
        "dropout": any(op.layer.random for op in task.program.operations),
        "batch normalisation": any(op.state for op in task.program.operations),
    }
    for what, present in problems.items():
        if present:
            raise ConfigError(f"L-BFGS looks at all rows at once and searches along lines; {what} does not go with it")


def solve(task: Task, state: TrainingState, iterations: int, after: Callable[[float], bool]) -> tuple[str, float]:
    """Minimise in at most ``iterations``; ``after(loss)`` is told of each, with the network there, and says stop.

    Returns what ended it, as ``History.stopped`` has it, and the last loss.
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise missing("scipy", "lbfgs", "the L-BFGS solver") from None
    optimizer = task.optimizer
    assert isinstance(optimizer, LBFGS)
    theta = state.theta
    workspace = Workspace(task.program, theta, state.state, len(task.x), loss=task.loss)
    batch = workspace.bind(len(task.x))
    batch.fill(task.x, task.t, task.weights)
    accepted = theta.copy()

    def loss_and_gradient(candidate: Array) -> tuple[float, Array]:
        theta[...] = candidate
        state.step += 1
        with np.errstate(all="ignore"):
            value = float(batch.loss_and_gradient(train=True, l2=task.l2))
        if not np.isfinite(value) and np.array_equal(candidate, start):
            error = DivergenceError(state.epoch + 1, state.step, math.nan, batch.first_not_finite())
            raise explained(error, task, theta, state.state, state.seed, 0, np.arange(len(task.x)))
        return value, workspace.gradient.astype(np.float64)

    def after_iteration(intermediate_result: Any) -> None:
        before = accepted.copy()
        theta[...] = intermediate_result.x
        accepted[...] = theta
        try:
            stop = after(float(intermediate_result.fun))
        except Exception:  # a metric of the user's own: an iteration that is not counted has not been made
            accepted[...] = before
            raise
        if stop:
            raise StopIteration

    start = theta.astype(np.float64)
    options = {
        "maxcor": optimizer.history,
        "ftol": optimizer.tolerance,
        "gtol": optimizer.gradient_tolerance,
        "maxiter": iterations,
        "maxfun": 20 * iterations + 20,
    }
    try:
        result = minimize(
            loss_and_gradient, start, jac=True, method="L-BFGS-B", callback=after_iteration, options=options
        )
    finally:
        theta[...] = accepted  # not the last point that was tried
    return _why(result, iterations), float(result.fun)


def _why(result: Any, iterations: int) -> str:
    """Return what ended SciPy's solver: its status is 0, 1 for a limit, 2 where the search along a line failed."""
    if result.success:
        return "converged"
    if result.status == 1:
        return "epochs" if result.nit >= iterations else "evaluations"
    return "line_search"
