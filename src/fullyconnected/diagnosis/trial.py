"""A trial on ten rows: what cannot learn ten rows by heart will learn nothing from more of them."""

from collections.abc import Iterator

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.diagnosis.chance import Level, level_of, targets_of
from fullyconnected.diagnosis.findings import Finding
from fullyconnected.engine.updates import new_slots, updates
from fullyconnected.optimizers import Adam
from fullyconnected.program.data import BatchLoader, Data
from fullyconnected.program.program import Program
from fullyconnected.program.sources import ArraySource
from fullyconnected.program.workspace import Workspace

__all__ = ["of_trial", "steps_of"]

TEN = 10
STEPS, RATES = 200, (0.01, 0.001)  # steps of Adam at each rate
WORK = 2e9  # floating-point operations at each rate: about half a second
LEARNED = 0.5  # the networks that learned (see of_step) passed this within STEPS; a broken one stays at 0


def steps_of(program: Program) -> int:
    """Return the number of steps of a trial, so that its time is bounded; 0 if they would be too few."""
    steps = int(min(STEPS, WORK // (6 * TEN * max(1, program.n_params))))
    return steps if steps >= 20 else 0


def of_trial(program: Program, data: Data, theta: Array, state: Array) -> Iterator[Finding]:
    """Yield a finding if copies of the vectors cannot be trained to fit ten rows; dropout is off."""
    ten, steps = _ten(data, program.n_out), steps_of(program)
    if not (steps and program.n_params) or len(ten.x) < 2:
        return
    best: Level | None = None
    for rate in RATES:
        level = _trained(program, ten, theta.copy(), state.copy(), rate, steps)
        if level.scale == 0 or level.learned >= LEARNED:
            return
        best = level if best is None or level.loss < best.loss else best
    assert best is not None
    yield Finding(
        "cannot_overfit",
        "warning",
        "the network",
        f"the network cannot learn {len(ten.x)} rows by heart: after {steps} steps of Adam on a copy the loss on them "
        f"is {best.loss:.3g}, where a constant prediction has {best.chance:.3g}",
        "More rows or epochs will not help. Look at the other findings, use more units, or check your own layers and "
        "loss by fc.check_gradients.",
    )


def _trained(program: Program, ten: Data, theta: Array, state: Array, rate: float, steps: int) -> Level:
    """Return the lowest level of the loss in training."""
    workspace = Workspace(program, theta, state, len(ten.x), loss=ten.loss)
    batch, rule = BatchLoader(ten, workspace).load_all(), Adam(rate)
    calls = updates(rule, program, theta, workspace.gradient, new_slots(rule, program, theta.dtype))
    with np.errstate(all="ignore"):
        batch.forward(train=False)
        lowest = level_of(ten, batch.outputs())
        for step in range(1, steps + 1):
            value = float(batch.loss_and_gradient(train=False))
            if not np.isfinite(value):
                break
            lowest = lowest._replace(loss=min(lowest.loss, value)) if np.isfinite(lowest.loss) else lowest
            if lowest.learned >= LEARNED:
                break
            for call in calls:
                call.run(*call[1:5], lr=rate, step=step, decays=call.decays)
    return lowest


def _ten(data: Data, n_out: int) -> Data:
    """Return ten different rows whose targets are as different as possible: evenly spaced in their order."""
    x = data.x.block(0, len(data.x))
    there = np.where(np.isnan(x), np.inf, x)  # missing values are equal, and NaN is not
    different = np.sort(np.unique(there, axis=0, return_index=True)[1])
    t = targets_of(data.t, n_out)[different]
    order = np.lexsort(t.T) if t.shape[1] <= TEN else np.argsort(t.argmax(axis=1), kind="stable")
    spaced = np.unique(np.linspace(0, len(order) - 1, min(TEN, len(order))).astype(np.intp))
    rows = different[order[spaced]]
    return Data(ArraySource(data.x.taken(rows, data.x.dtype)), data.t[rows], None, data.loss)
