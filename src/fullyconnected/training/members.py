"""Early stopping of each member of an ensemble: the weights of the epoch in which its validation loss was best."""

from math import isnan
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.engine.state import Best
from fullyconnected.errors import ConfigError
from fullyconnected.program.program import Program
from fullyconnected.training.settings import FitSettings

__all__ = ["OTHERS", "check", "judged_by", "kept"]

OTHERS = "others"


def check(program: Program, settings: FitSettings, validation: Any) -> None:
    """Raise if members cannot each keep their best weights in a run."""
    asked = "best_per_member keeps the best weights of each member"
    if program.members is None:
        raise ConfigError(f"{asked} of an ensemble, and this network is none: it does not end in fc.Members")
    if shared := [tensor.name for tensor in program.tensors if not tensor.param.stacked]:
        raise ConfigError(
            f"{asked}, which needs members that share none, as packed ones do; {shared[0]} is that of all of them. "
            f'Use fc.Members(..., kind="packed") without layers with parameters before it, or patience alone'
        )
    if settings.best_per_member == OTHERS and program.members < 2:
        raise ConfigError(f"best_per_member={OTHERS!r} is for two members or more: this ensemble has one alone")
    if validation is None or settings.monitor not in (None, "validation_loss"):
        what = "without validation data there is none" if validation is None else f"monitor is {settings.monitor!r}"
        raise ConfigError(f"{asked} by its validation loss; {what}: set validation, and leave out monitor")


def judged_by(how: bool | str, losses: Array) -> Array:
    """Return the loss that the epochs of each member are judged by: its own, or the mean of those of the others.

    A member whose loss is not finite, as one that has diverged, does not count for the others.
    """
    if how != OTHERS:
        return losses
    known = np.isfinite(losses)
    counted = np.where(known, losses, 0.0)
    with np.errstate(invalid="ignore"):
        return (counted.sum() - counted) / (known.sum() - known)


def kept(best: Best | None, losses: Array, epoch: int, program: Program, theta: Array, state: Array) -> Best:
    """Return the best weights of each member after an epoch, of which these are the losses, parameters and statistics.

    The epoch of what is returned is the last in which a member was better than before, and its value the mean of the
    members' least losses.
    """
    if best is None:
        members = tuple((float(loss), epoch) for loss in losses)
        return Best(float(losses.mean()), epoch, theta.copy(), state.copy(), members)
    better = [
        loss < least or (isnan(least) and not isnan(loss))
        for (least, _), loss in zip(best.members, losses, strict=True)
    ]
    if not any(better):
        return best
    vectors = best.theta.copy(), best.state.copy()
    for tensors, mine, now in zip((program.tensors, program.state_tensors), vectors, (theta, state), strict=True):
        for tensor in tensors:
            tensor.of(mine)[better] = tensor.of(now)[better]
    pairs = zip(better, losses, best.members, strict=True)
    members = tuple((float(loss), epoch) if is_better else before for is_better, loss, before in pairs)
    return Best(sum(least for least, _ in members) / len(members), epoch, *vectors, members)
