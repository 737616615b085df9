"""How well results agree with those of float32, as no few rows decide; and which columns few rows stretch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.exchange.graph import Graph
from fullyconnected.symbolic.expression import Call, Expression, Name, Taken, names_in, nodes_in

__all__ = ["STRETCHED", "Agreement", "kappa_of", "stretched_columns"]

EXTREME = 100  # of so many rows, one on each side is left out
STRETCHED = 20  # times the 99th percentile, all as distances from the median: from here on, a column is stretched


class Agreement(NamedTuple):
    """How far results are off, in spreads (rows, n_out); and of each result R2, NaN if it does not vary (n_out,)."""

    off: Array
    r2: Array

    @classmethod
    def of(cls, found: Array, wanted: Array) -> Agreement:
        """Return how results (rows, n_out) agree with those that are wanted.

        Of each result, the rows in the middle count: without the 1% with the largest values that are wanted, and the 1%
        with the least, so that a few rows far away do not make all else look small. Their standard deviation is the
        spread, or their size if they are all the same.
        """
        n = len(wanted)
        left_out = -(-n // EXTREME) if n > 2 else 0
        middle = np.argsort(wanted, axis=0, kind="stable")[left_out : n - left_out]
        own, other = (np.take_along_axis(each, middle, axis=0) for each in (wanted, found))
        spread, size = own.std(axis=0), np.abs(own).max(axis=0)
        varies = spread > 1e-6 * size
        unit = np.where(varies, spread, np.where(size > 0, size, 1.0))
        r2 = 1 - np.square((other - own) / unit).mean(axis=0)
        return cls(np.abs(found - wanted) / unit, np.where(varies, r2, np.nan))


def kappa_of(found: Array, wanted: Array) -> Array:
    """Return Cohen's kappa of each column of classes (rows, n), NaN where all that are wanted are the same (n,).

    It is ``(a - c) / (1 - c)`` of the share a of rows that agree, and the share c that would by chance.
    """
    kappa = np.full(wanted.shape[1], np.nan)
    for j, (f, w) in enumerate(zip(found.T, wanted.T, strict=True)):
        classes = np.unique(w)
        if len(classes) > 1:
            by_chance = sum(float((f == each).mean() * (w == each).mean()) for each in classes)
            kappa[j] = (float((f == w).mean()) - by_chance) / (1 - by_chance)
    return kappa


def stretched_columns(x: Array, graph: Graph) -> list[int]:
    """Return the columns of x (rows, n_in) whose range few rows stretch, without those that are codes.

    Of such a column, the largest distance from its median is more than 20 times the 99th percentile of all distances;
    of one that is the same in 99% of the rows, of the largest such percentile of all columns.
    """
    numbers = [i for i in range(x.shape[1]) if i not in _codes(graph) and not np.isnan(x[:, i]).all()]
    if not numbers:
        return []
    own = x[:, numbers].astype(np.float64)
    away = np.abs(own - np.nanmedian(own, axis=0))
    usual, most = np.nanquantile(away, 0.99, axis=0), np.nanmax(away, axis=0)
    usual = np.where(usual > 0, usual, usual.max())
    return [i for i, m, u in zip(numbers, most, usual, strict=True) if 0 < STRETCHED * u < m]


def _codes(graph: Graph) -> set[int]:
    """Return the columns of x that are codes of levels."""
    formulas = {line.name: line.formula for line in graph.lines}

    def columns(of: Expression) -> list[int]:
        """Return the column of x that each column of a formula is, entry by entry."""
        if of == graph.x:
            return [*range(graph.n_in)]
        if isinstance(of, Taken):
            within = columns(of.operand)
            return [within[i] for i in of.columns] if within else []
        parts = [formulas[of]] if of in formulas else names_in(of) if not isinstance(of, Name) else ()
        return next((found for each in parts if (found := columns(each))), [])

    codes = [node for line in graph.lines for node in nodes_in(line.formula)]
    return {
        i
        for node in codes
        if isinstance(node, Call) and node.function == "indicator"
        for i in columns(node.operands[0])
    }
