"""Data that a network hardly learns from: inputs and targets far from 1, by a sample of the rows, and the like."""

import math
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.contracts import is_foreign
from fullyconnected.program.program import Program
from fullyconnected.program.sources import ArraySource, Source

__all__ = ["Scale", "of_inputs", "of_order", "of_targets", "scale_of"]

LARGE, SMALL, UNLIKE = 30.0, 1e-3, 1000.0
ROWS, ENTRIES = 1000, 200_000  # looked at, at most
FEW = 10  # rows of which no scale can be told


class Scale(NamedTuple):
    """Mean, standard deviation and largest distance from the mean of each column."""

    mean: Array
    deviation: Array
    reach: Array

    @property
    def size(self) -> Array:
        """The root of the mean square."""
        return np.hypot(self.mean, self.deviation)

    def told(self, i: int, names: tuple[str, ...] | None, what: str) -> str:
        """Return the numbers of a column in words."""
        name = "" if names is None or i >= len(names) else f" ({names[i]!a:.60})"
        return f"{what}[:, {i}]{name} has mean {self.mean[i]:.3g} and standard deviation {self.deviation[i]:.3g}"


def sample(a: Array | Source, rows: int = ROWS) -> Array:
    """Return some rows, from all over the data, in float64."""
    source = a if isinstance(a, Source) else ArraySource(a)
    most = max(1, min(rows, ENTRIES // max(1, math.prod(source.shape[1:]))))
    return source.taken(np.linspace(0, len(a) - 1, min(len(a), most)).astype(np.intp), np.float64)


def scale_of(a: Array | Source) -> Scale:
    """Return the scale of each column (rows, columns), by a sample."""
    rows = sample(a)
    with np.errstate(all="ignore"):  # what overflows is large enough
        mean = rows.mean(axis=0)
        return Scale(mean, rows.std(axis=0), np.abs(rows - mean).max(axis=0))


def of_inputs(x: Source, program: Program, names: tuple[str, ...] | None = None) -> str:
    """Say which columns of inputs are of another size than a network learns from, and what to do; or nothing."""
    first = next((op.layer for op in program.operations if op.kind != "dropout"), None)
    if len(x) < FEW or first is None or is_foreign(first) or first.name in ("batch_norm", "layer_norm"):
        return ""  # where another layer comes first, inputs may be what it wants
    scale = scale_of(x)
    varies = scale.reach > 0
    if not varies.any():
        return ""
    most, least = int(scale.size.argmax()), int(np.where(varies, scale.reach, np.inf).argmin())
    widest = float(scale.deviation.max())
    large, small = scale.size[most] > LARGE, widest < SMALL
    if not (large or small or widest > UNLIKE * scale.reach[least]):
        return ""
    told = [scale.told(most, names, "x")]
    if least != most and scale.size[most] > 10 * scale.size[least]:
        told.append(scale.told(least, names, "x"))
    return (
        f"{', and '.join(told)}. A network learns slowly or not at all from inputs that are far from mean 0 and "
        f"standard deviation 1: mean, std = x.mean(axis=0), x.std(axis=0); x = (x - mean) / std, and the same for "
        f"whatever is predicted"
    )


def of_targets(t: Array, loss: Loss, outputs: Any = None) -> str:
    """Say of which size targets are, where they are numbers that outputs near 0 are far from; or nothing.

    ``outputs(rows)`` gives what the network says now of some rows, by their numbers: where it is near the targets
    already, there is nothing to say.
    """
    if len(t) < FEW or t.ndim != 2 or not loss.link.is_identity or is_foreign(loss):
        return ""
    scale = scale_of(t)
    most = int(scale.size.argmax())
    size = float(scale.size[most])
    if size == 0 or SMALL <= size <= LARGE:
        return ""
    if size > LARGE and outputs is not None:
        rows = np.linspace(0, len(t) - 1, min(len(t), 64)).astype(np.intp)
        with np.errstate(all="ignore"):
            if np.sqrt(np.square(outputs(rows) - t[rows].astype(np.float64)).mean()) <= LARGE:
                return ""
    return (
        f"{scale.told(most, None, 't')}. A network begins with outputs near 0 and takes steps of one size: mean, std = "
        f"t.mean(axis=0), t.std(axis=0); train it on (t - mean) / std, and take predict(x) * std + mean"
    )


def of_order(x: Any, t: Any) -> str:
    """Say where two tables of pandas have the same rows by their labels, in another order; or nothing."""
    ours: Any = getattr(x, "index", None)
    theirs: Any = getattr(t, "index", None)
    if not (hasattr(ours, "equals") and hasattr(theirs, "equals")) or len(ours) != len(theirs) or ours.equals(theirs):
        return ""
    try:
        same = ours.is_unique and ours.sort_values().equals(theirs.sort_values())
    except TypeError:  # labels of kinds that have no order
        return ""
    if not same:
        return ""
    return (
        "x and t have the same row labels in another order, and rows are taken by position: t.loc[x.index] has the "
        "order of x. (Where the positions are right: t.reset_index(drop=True) and x.reset_index(drop=True))"
    )
