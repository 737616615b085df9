"""What a formula is part of: a line of a record, written in the letters of the code.

``x`` and ``y`` go in and out, ``dy`` and ``dx`` are the loss's derivatives, ``g.W`` is a parameter's gradient, ``c.n``
something that forward keeps in its cache. Other letters are parameters, running statistics and settings.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from fullyconnected.core.registry import Registry
from fullyconnected.symbolic.expression import Expression, Name

__all__ = ["ALPHA", "CHAIN", "DX", "DY", "EPSILON", "ONES", "X", "Y", "Both", "Line", "found"]

F = TypeVar("F")

X, Y, DX, DY, ONES = Name("x"), Name("y"), Name("dx"), Name("dy"), Name("1")
ALPHA, EPSILON = Name("alpha"), Name("epsilon")
CHAIN = "The chain rule: the gradient that arrives, times the slope of the function where it was evaluated"


class Line(NamedTuple):
    """One result: where the code writes it, its formula, and why it is so."""

    result: str
    formula: Expression
    why: str


class Both(NamedTuple):
    """The two ways through a layer, in the order of the code.

    Where it ends a block, ``d_skip`` is the derivative with respect to what came into that, ``skip``.
    """

    forward: list[Line]
    backward: list[Line]
    d_skip: Expression = DY


def found(table: Mapping[str, F], registry: Registry[Any], thing: Any) -> F | None:
    """Return what a table has for a thing, or None.

    It has nothing for what is not of the very class that is registered under the name: a derived one may do anything.
    """
    return table.get(thing.name) if registry.classes.get(thing.name) is type(thing) else None
