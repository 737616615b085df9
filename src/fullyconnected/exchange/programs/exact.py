"""Which results of a graph every machine gives to the last bit, and how near a row comes to another integer.

Adding, multiplying, dividing and square roots round in one way everywhere, and integers do not round at all. The
functions of a machine's library may differ in the last bits, and so do sums in another order.
"""

from __future__ import annotations

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.exchange.graph import Graph
from fullyconnected.symbolic.columns import COLUMNS
from fullyconnected.symbolic.copies import COPIES
from fullyconnected.symbolic.evaluation import evaluate
from fullyconnected.symbolic.expression import Binary, Call, Expression, Name, Number, Reduce, names_in, nodes_in

__all__ = ["distances", "inexact"]

SUMS = {"over_rows", "over_members", "over_entries", "own", "each", "of_rows", "of_waves"}
EXACT = {
    "max",
    "clip",
    "abs",
    "sign",
    "sqrt",
    "isnan",
    "as_int8",
    "looked_up",
    "indicator",
    "beside",
    "most_of_members",
}
EXACT |= {*COPIES, *COLUMNS} - SUMS


def inexact(graph: Graph) -> set[Name]:
    """Return the results in floating-point numbers whose last bits another machine may not have.

    An integer that is made of such a result counts as exact: it is, unless the result lies between two integers.
    """
    found: set[Name] = set()
    for name, formula, computed, kept in graph.lines:
        if kept.kind == "i":
            continue
        own = computed.kind == "f" and any(map(_rounds_in_its_own_way, nodes_in(formula)))
        if own or any(each in found for each in names_in(formula)):
            found.add(name)
    return found


def distances(graph: Graph, x: Array) -> Array:
    """Return how far what is inexact in each row stays from the middle of two integers that it may become, (rows,).

    The unit is the step from one integer to the next; infinite where all is exact.
    """
    values = {**graph.constants, **graph.results(x)}
    doubtful, least = inexact(graph), np.full(len(x), np.inf)
    for _, formula, computed, _ in graph.lines:
        if not (isinstance(formula, Call) and formula.function == "as_int8"):
            continue
        value, zero = formula.operands
        if doubtful.isdisjoint(names_in(value)):
            continue
        with np.errstate(all="ignore"):
            v = np.asarray(evaluate(value, {each: values[each].astype(computed) for each in names_in(value)}))
            away = np.abs(v - np.floor(v) - 0.5)
        assert isinstance(zero, Number)
        inside = (v > -128 - zero.value) & (v < 127 - zero.value)  # all beyond is one integer
        away = np.where(inside, away, np.inf)
        by_row = np.moveaxis(away, 1, 0) if away.ndim == 3 else away
        least = np.minimum(least, by_row.reshape(len(x), -1).min(axis=1))
    return least


def _rounds_in_its_own_way(node: Expression) -> bool:
    match node:
        case Binary("@", Call("indicator"), _):
            return False
        case Binary("@"):
            return True
        case Binary("^", _, Number(2)):
            return False
        case Binary("^"):
            return True
        case Reduce(kind):
            return kind != "max"
        case Call(function):
            return function not in EXACT
    return False
