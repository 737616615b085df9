"""Warnings about data that make training difficult, from a sample of the rows: scales far from 1, and the like."""

import math
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.contracts import is_foreign
from fullyconnected.program.program import Program
from fullyconnected.program.sources import ArraySource, Source, SparseSource, spread

__all__ = ["Remark", "Scale", "column_of", "of_inputs", "of_order", "of_targets", "scale_of"]

LARGE, SMALL, UNLIKE = 30.0, 1e-3, 1000.0
ROWS, ENTRIES = 1000, 200_000  # most rows and entries of a sample
FEW = 10  # with fewer rows, no scale is estimated


class Remark(NamedTuple):
    """What was seen in the data, where, and what to change; its text is the warning."""

    where: str
    seen: str
    change: str

    def __str__(self) -> str:
        return f"{self.seen}. {self.change}"


class Scale(NamedTuple):
    """Mean, standard deviation and largest distance from the mean of each column, which is infinite if unknown."""

    mean: Array
    deviation: Array
    reach: Array

    @property
    def size(self) -> Array:
        """The root mean square of each column."""
        return np.hypot(self.mean, self.deviation)

    def describe(self, i: int, names: tuple[str, ...] | None, what: str) -> str:
        """Return the mean and standard deviation of a column in words."""
        place = column_of(what, i, names)
        return f"{place} has mean {self.mean[i]:.3g} and standard deviation {self.deviation[i]:.3g}"


def column_of(what: str, i: int, names: tuple[str, ...] | None) -> str:
    """Return how a caller writes a column, with its name if it has one: ``x[:, 2] ('age')``."""
    return f"{what}[:, {i}]" + ("" if names is None or i >= len(names) else f" ({names[i]!a:.60})")


def sample(a: Array | Source) -> Source:
    """Return evenly spaced rows in float64."""
    source = a if isinstance(a, Source) else ArraySource(a)
    entries = math.ceil(source.csr.nnz / len(a)) if isinstance(source, SparseSource) else math.prod(source.shape[1:])
    most = max(1, min(ROWS, ENTRIES // max(1, entries)))
    return source.part(spread(source, min(len(a), most)), np.float64)


def scale_of(a: Array | Source) -> Scale:
    """Return the scale of each column of ``a`` (rows, columns), from a sample."""
    part = sample(a)
    with np.errstate(all="ignore"):  # what overflows counts as large
        if isinstance(part, SparseSource):
            return _of_entries(part)
        rows = part.block(0, len(part))
        mean = rows.mean(axis=0)
        off = rows - mean
        return Scale(mean, np.sqrt(np.square(off).mean(axis=0)), np.abs(off).max(axis=0))


def _of_entries(part: SparseSource) -> Scale:
    """Return the scale of each column of sparse rows, whose zeros count, too.

    The reach of a column with only a few entries is unknown, and infinite: they may all be small by chance.
    """
    n, columns = part.shape
    there = part.csr.data != 0
    values, column = part.csr.data[there], part.csr.indices[there]
    entries = np.bincount(column, minlength=columns)
    mean = np.bincount(column, values, columns) / n
    off = np.abs(values - mean[column])
    squares = np.bincount(column, np.square(off), columns) + (n - entries) * np.square(mean)
    reach = np.where(entries < n, np.abs(mean), 0.0)
    np.maximum.at(reach, column, off)
    return Scale(mean, np.sqrt(squares / n), np.where((entries > 0) & (entries < FEW), np.inf, reach))


def of_inputs(x: Source, program: Program, names: tuple[str, ...] | None = None) -> Remark | None:
    """Return a remark on columns of inputs with an unsuitable scale, or None."""
    first = next((op.layer for op in program.operations if op.kind != "dropout"), None)
    if len(x) < FEW or first is None or is_foreign(first) or first.normalizes or first.reads_raw:
        return None  # these layers may work with inputs of any scale
    scale = scale_of(x)
    varies = scale.reach > 0
    if not varies.any():
        return None
    reach = np.where(varies, scale.reach, np.inf)
    most, least = int(scale.size.argmax()), int(reach.argmin())
    widest = float(scale.deviation.max())
    large, small = scale.size[most] > LARGE, widest < SMALL
    if not (large or small or widest > UNLIKE * reach[least]):
        return None
    described = [scale.describe(most, names, "x")]
    if least != most and np.isfinite(reach[least]) and scale.size[most] > 10 * scale.size[least]:
        described.append(scale.describe(least, names, "x"))
    change = "A network learns slowly or not at all from inputs "
    if isinstance(x, SparseSource):
        change += (
            "whose columns are far from the size of 1: divide each by its largest magnitude, which leaves the zeros as "
            "they are (sklearn.preprocessing.MaxAbsScaler), and by the same numbers in whatever is predicted"
        )
    else:
        change += (
            f"that are far from mean 0 and standard deviation 1: let it begin with fc.Standardize({program.n_in}), or "
            "mean, std = x.mean(axis=0), x.std(axis=0); x = (x - mean) / std, and the same for whatever is predicted"
        )
    return Remark(column_of("x", most, names), ", and ".join(described), change)


def of_targets(t: Array, loss: Loss, program: Program, outputs: Any = None, x: Source | None = None) -> Remark | None:
    """Return a remark on numeric targets with an unsuitable scale, or None.

    ``outputs(rows)`` returns the present outputs for row numbers, of ``x`` if it is given; there is no remark if these
    are near the targets.
    """
    if len(t) < FEW or t.ndim != 2 or not loss.link.is_identity or is_foreign(loss):
        return None
    if program.operations[-1].kind == "rescale":
        return None  # its outputs have the unit of the targets
    scale = scale_of(t)
    most = int(scale.size.argmax())
    size = float(scale.size[most])
    if size == 0 or SMALL <= size <= LARGE:
        return None
    if size > LARGE and outputs is not None:
        rows = spread(ArraySource(t) if x is None else x, min(len(t), 64))
        with np.errstate(all="ignore"):
            if np.sqrt(np.square(outputs(rows) - t[rows].astype(np.float64)).mean()) <= LARGE:
                return None
    return Remark(
        column_of("t", most, None),
        scale.describe(most, None, "t"),
        "Training begins with outputs near 0 and takes small steps: let the network end in fc.Rescale(); or mean, std "
        "= t.mean(axis=0), t.std(axis=0), train on (t - mean) / std, and use predict(x) * std + mean",
    )


def of_order(x: Any, t: Any) -> Remark | None:
    """Return a remark if two pandas tables have the same row labels in different orders, or None."""
    ours: Any = getattr(x, "index", None)
    theirs: Any = getattr(t, "index", None)
    if not (hasattr(ours, "equals") and hasattr(theirs, "equals")) or len(ours) != len(theirs) or ours.equals(theirs):
        return None
    try:
        same = ours.is_unique and ours.sort_values().equals(theirs.sort_values())
    except TypeError:  # labels that cannot be sorted
        return None
    if not same:
        return None
    return Remark(
        "x, t",
        "x and t have the same row labels in different orders, but rows are matched by position",
        "t.loc[x.index] has the order of x. (If the positions are right: t.reset_index(drop=True) and "
        "x.reset_index(drop=True))",
    )
