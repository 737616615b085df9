"""Lines, which are formulas with the name of their result and an explanation, in the letters of the code.

``x`` and ``y`` are input and output, ``dy`` and ``dx`` their gradients, ``g.W`` is a parameter's gradient, ``c.n`` a
value that forward keeps in its cache. Other letters are parameters, running statistics and settings.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from fullyconnected.core.messages import Message
from fullyconnected.core.registry import Registry
from fullyconnected.symbolic.expression import Expression, Name, call, mapped, nodes_in, number

__all__ = [
    "ALPHA",
    "CHAIN",
    "DX",
    "DY",
    "EPSILON",
    "ONES",
    "X",
    "Y",
    "UNKNOWN",
    "Both",
    "Line",
    "Told",
    "found",
    "with_told",
]

F = TypeVar("F")

X, Y, DX, DY, ONES = Name("x"), Name("y"), Name("dx"), Name("dy"), Name("1")
ALPHA, EPSILON = Name("alpha"), Name("epsilon")
CHAIN = Message("The chain rule: the gradient of the output, times the slope of the function.")
UNKNOWN = Message("The formula is not known: the numbers are those of the code.")

OF_B = Message("A bias is added in every sample, and a sum hands on its gradient: those of all samples are added.")


class Line(NamedTuple):
    """One result: where the code writes it, its formula, and why this is the formula."""

    result: str
    formula: Expression
    why: str


class Part(NamedTuple):
    """A part of a formula that is told as a line of its own: ``d.mean`` for a mean, say."""

    of: Expression
    line: Line


class Told(NamedTuple):
    """The parts that are told, forward and backward. The code computes them on the way, and does not keep them."""

    forward: list[Part]
    backward: list[Part]


class Both(NamedTuple):
    """The lines of the forward and the backward pass of a layer, in the order of the code.

    At the end of a residual block, ``d_skip`` is the gradient with respect to ``skip``, the input of the block.
    """

    forward: list[Line]
    backward: list[Line]
    d_skip: Expression = DY


def divided(layer: Any, product: Expression) -> Expression:
    """Return a product divided by the root of the layer's inputs, if its parametrization asks for that."""
    return product / call("sqrt", number(layer.n_in)) if layer.parametrization == "ntk" else product


def found(table: Mapping[str, F], registry: Registry[Any], thing: Any) -> F | None:
    """Return the entry of a table for an object, or None.

    There is none if the object's class is not exactly the registered one, since a subclass may compute something else.
    """
    return table.get(thing.name) if registry.classes.get(thing.name) is type(thing) else None


def with_told(lines: Iterable[Line], told: Iterable[Part]) -> Iterator[Line]:
    """Yield lines in which what is told by a line of its own is a name; such lines come where they are used."""
    waiting = list(told)
    known: dict[Expression, Name] = {}

    def named(node: Expression) -> Expression:
        return known.get(node) or mapped(node, named)

    for line in lines:
        nodes = set(nodes_in(line.formula))
        last = max((k + 1 for k, part in enumerate(waiting) if part.of in nodes), default=0)
        for part in waiting[:last]:
            formula = named(part.line.formula)
            known[part.of] = Name(part.line.result.partition(".")[2])
            yield part.line._replace(formula=formula)
        del waiting[:last]
        yield line._replace(formula=named(line.formula))
