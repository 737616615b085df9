"""What is a factor times a result, and an offset: so norms of running statistics are one with a product beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.exchange.graph import FLOAT64, Assigned, Graph
from fullyconnected.symbolic.evaluation import evaluate
from fullyconnected.symbolic.expression import Binary, Call, Expression, Name, Negative, names_in, with_names

__all__ = ["affine", "folded", "only_input"]


def affine(node: Expression, of: Name, constants: Mapping[Name, Array]) -> tuple[Array, Array] | None:
    """Return the factor and the offset of which a formula is ``factor * of + offset``; None if it is of another kind.

    Both are constants in float64: numbers, or arrays by output, (n,), or by member and output, (k, n).
    """
    names = set(names_in(node))
    if node == of:
        return np.ones(()), np.zeros(())
    if of not in names:
        if not names <= constants.keys():
            return None
        return np.zeros(()), np.asarray(evaluate(node, {name: constants[name].astype(FLOAT64) for name in names}))
    match node:
        case Negative(a):
            found = affine(a, of, constants)
            return None if found is None else (-found[0], -found[1])
        case Binary("+" | "-" | "*" | "/" as sign, a, b) | Call("scaled" | "shifted" as sign, (a, b)):
            left, right = affine(a, of, constants), affine(b, of, constants)
            if left is None or right is None:
                return None
            (factor, offset), (other, shift) = left, right
            match sign:
                case "+" | "shifted":
                    return factor + other, offset + shift
                case "-":
                    return factor - other, offset - shift
                case "*" | "scaled" if not other.any():
                    return factor * shift, offset * shift
                case "*" if not factor.any():
                    return other * offset, shift * offset
                case "/" if not other.any():
                    return factor / shift, offset / shift
    return None


def folded(graph: Graph, product_of: Callable[[Expression], Expression | None]) -> Graph:
    """Return the graph in which what is affine in the result of a product, and alone reads it, is one line with it.

    So are two lines of which each is affine in what it reads. ``product_of`` returns the product in a formula, or None.
    """
    constants = graph.constants

    read = Counter(name for line in graph.lines for name in names_in(line.formula))
    lines: dict[Name, Assigned] = {}

    def is_affine(formula: Expression) -> bool:
        of = only_input(formula, constants)
        return of is not None and affine(formula, of, constants) is not None

    for line in graph.lines:
        before = lines.get(only_input(line.formula, constants) or graph.x)
        if (
            before is not None
            and read[before.name] == 1
            and line.computed == before.computed == before.kept
            and is_affine(line.formula)
            and (product_of(before.formula) is not None or is_affine(before.formula))
        ):
            del lines[before.name]
            line = line._replace(formula=with_names(line.formula, {before.name: before.formula}))
        lines[line.name] = line
    return replace(graph, lines=tuple(lines.values()))


def only_input(formula: Expression, constants: Mapping[Name, Array]) -> Name | None:
    """Return the one name in a formula that is no constant; None if there are several or none."""
    names = [name for name in names_in(formula) if name not in constants]
    return names[0] if len(names) == 1 else None
