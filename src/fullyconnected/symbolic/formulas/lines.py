"""Lines, which are formulas with the name of their result and an explanation, in the letters of the code.

``x`` and ``y`` are input and output, ``dy`` and ``dx`` their gradients, ``g.W`` is a parameter's gradient, ``c.n`` a
value that forward keeps in its cache. Other letters are parameters, running statistics and settings.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from fullyconnected.core.registry import Registry
from fullyconnected.symbolic.expression import Expression, Name

__all__ = ["ALPHA", "CHAIN", "DX", "DY", "EPSILON", "ONES", "X", "Y", "UNKNOWN", "Both", "Line", "found"]

F = TypeVar("F")

X, Y, DX, DY, ONES = Name("x"), Name("y"), Name("dx"), Name("dy"), Name("1")
ALPHA, EPSILON = Name("alpha"), Name("epsilon")
CHAIN = "The chain rule: the gradient of the output, times the derivative of the function"
UNKNOWN = "The formula is unknown; the numbers come from the code"


class Line(NamedTuple):
    """One result: where the code writes it, its formula, and why this is the formula."""

    result: str
    formula: Expression
    why: str


class Both(NamedTuple):
    """The lines of the forward and the backward pass of a layer, in the order of the code.

    At the end of a residual block, ``d_skip`` is the gradient with respect to ``skip``, the input of the block.
    """

    forward: list[Line]
    backward: list[Line]
    d_skip: Expression = DY


def found(table: Mapping[str, F], registry: Registry[Any], thing: Any) -> F | None:
    """Return the entry of a table for an object, or None.

    There is none if the object's class is not exactly the registered one, since a subclass may compute something else.
    """
    return table.get(thing.name) if registry.classes.get(thing.name) is type(thing) else None
