"""Columns that tell the target by themselves, and repeated rows: what makes a score too good to be true."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fullyconnected.assessment.problem import Problem
from fullyconnected.core.arrays import Array
from fullyconnected.tables.column import Column
from fullyconnected.tables.vocabulary import Vocabulary
from fullyconnected.tabular.tasks import CLASSES

__all__ = ["Suspect", "repeated", "suspects"]

ALMOST = 0.98  # of the errors of a trivial prediction that a single column would have to leave out
BINS = 64  # of a column of numbers
ROWS = 1 << 14  # whose cells are mixed at a time
LEAST = 20  # rows from which a rule on a single column can be judged
IN_ORDER = 0.9995  # rank correlation of a number that is the target in another unit


class Suspect(NamedTuple):
    """A column that predicts the target alone, with the share of a trivial prediction's errors that it leaves out."""

    column: str
    share: float
    why: str


def suspects(problem: Problem, vocabulary: Vocabulary) -> tuple[Suspect, ...]:
    """Return the columns that alone predict the target almost without an error, the worst first.

    Each column is judged by a rule on it alone: the most frequent class, or the mean, of each level or of 64 bins of a
    number, learned from every other row and tried on the rest.

    Parameters
    ----------
    problem : Problem
        What is learned, and its rows.
    vocabulary : Vocabulary
        What turns the columns into numbers and codes.
    """
    rows = len(problem.y)
    if rows < LEAST:
        return ()
    classes = problem.task == CLASSES
    t = np.unique(problem.y, return_inverse=True)[1] if classes else np.asarray(problem.y, np.float64)
    places = {name: i for i, name in enumerate(problem.frame.names)}
    x, start, found = vocabulary.encode(problem.frame), 0, []
    half = np.random.default_rng(0).permutation(rows) % 2 == 0
    for encoder in vocabulary.encoders:
        stop = start + len(encoder.features)
        column = problem.frame.columns[places[encoder.name]]
        if said := _same(column, problem.y, classes):
            found.append(Suspect(encoder.name, 1.0, said))
        elif encoder.features[0].levels <= rows / 4:  # a level of few rows each tells nothing of others
            shares = [_share(x[:, i], encoder.features[i - start].levels, t, half, classes) for i in range(start, stop)]
            if (best := max(shares)) >= ALMOST:
                what = "errors" if classes else "variance"
                why = f"a rule on this column alone leaves {1 - best:.1%} of the {what} of a trivial prediction"
                found.append(Suspect(encoder.name, best, why))
            elif not classes and stop - start == 1 and _in_order(x[:, start], t):
                found.append(
                    Suspect(encoder.name, 1.0, "it has the order of the target, as the target in another unit")
                )
        start = stop
    return tuple(sorted(found, key=lambda each: -each.share))


def repeated(x: Array, others: Array | None = None) -> int:
    """Return how many rows, as encoded, are also among others; or if there are none, how many repeat one above them."""
    if others is None:
        return len(x) - len(np.unique(_keys(x)))
    return int(np.count_nonzero(np.isin(_keys(x), _keys(others))))


def _keys(x: Array) -> Array:
    """Return a number of 64 bits for each row, the same for equal rows; a gap is equal to a gap.

    Different rows have the same one once in 2^64: each cell is mixed with its column, and they are added up.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: the mixer.
    """
    keys = np.zeros(len(x), np.uint64)
    place = np.arange(1, x.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for start in range(0, len(x), ROWS):
        block = x[start : start + ROWS]
        cells = np.ascontiguousarray(np.where(np.isnan(block), np.nan, block) + 0.0).view(np.uint64) + place
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            cells ^= cells >> np.uint64(shift)
            cells *= np.uint64(factor)
        cells ^= cells >> np.uint64(31)
        keys[start : start + ROWS] = cells.sum(axis=1, dtype=np.uint64)
    return keys


def _same(column: Column, y: Array, classes: bool) -> str:
    """Return in words that a column is the target, or an empty string."""
    if column.holds == "dates":
        return ""
    if column.holds == "numbers":
        if y.dtype.kind in "biuf" and np.array_equal(column.values, y.astype(np.float64)):
            return "it equals the target in every row"
        return ""
    if [str(each) for each in y.tolist()] == column.values.tolist():
        return "it equals the target in every row"
    pairs = {*zip(column.values.tolist(), y.tolist(), strict=True)}
    different = len({first for first, _ in pairs})
    if classes and different == len(pairs) == len({second for _, second in pairs}):
        return "each of its texts stands for one class, and each class has one text"
    return ""


def _share(x: Array, levels: int, t: Array, half: Array, classes: bool) -> float:
    """Return the share of a trivial prediction's errors that a rule on one column leaves out, on rows held out."""
    if levels:
        bins = np.where(x < 0, levels, x).astype(np.intp)
        n = levels + 1
    else:
        gaps = np.isnan(x)
        if gaps.all():
            return 0.0
        edges = _edges(x[~gaps], t[~gaps]) if classes else np.unique(np.quantile(x[~gaps], np.linspace(0, 1, BINS)))
        n = len(edges) + 2
        bins = np.where(gaps, n - 1, np.searchsorted(edges, np.where(gaps, 0, x), side="right"))
    left = usual = 0.0
    for learned in (half, ~half):
        tried = ~learned
        if classes:
            counts = np.zeros((n, int(t.max()) + 1))
            np.add.at(counts, (bins[learned], t[learned]), 1)
            most = np.bincount(t[learned]).argmax()
            rule = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), most)
            left += np.count_nonzero(rule[bins[tried]] != t[tried])
            usual += np.count_nonzero(most != t[tried])
        else:
            times = np.bincount(bins[learned], minlength=n)
            mean = t[learned].mean()
            with np.errstate(all="ignore"):
                rule = np.where(
                    times > 0, np.bincount(bins[learned], t[learned], minlength=n) / np.maximum(times, 1), mean
                )
                left += float(np.square(rule[bins[tried]] - t[tried]).sum())
                usual += float(np.square(mean - t[tried]).sum())
    return 1 - left / usual if usual > 0 and np.isfinite(usual) else 0.0


def _edges(x: Array, t: Array) -> Array:
    """Return where the class changes between numbers in their order, or if that is too often, quantiles of them."""
    order = np.argsort(x, kind="stable")
    x, t = x[order], t[order]
    changes = np.flatnonzero((t[1:] != t[:-1]) & (x[1:] != x[:-1]))
    return (
        x[changes + 1]
        if len(changes) <= min(BINS, len(x) / LEAST)
        else np.unique(np.quantile(x, np.linspace(0, 1, BINS)))
    )


def _in_order(x: Array, t: Array) -> bool:
    """Whether numbers have the order of the target, or the opposite one."""
    there = ~np.isnan(x)
    if np.count_nonzero(there) < max(LEAST, 0.9 * len(x)):
        return False
    first, second = (np.unique(each[there], return_inverse=True)[1].astype(np.float64) for each in (x, t))
    if first.max() < LEAST or second.max() < LEAST:
        return False
    return bool(abs(np.corrcoef(first, second)[0, 1]) > IN_ORDER)
