"""The formulas of the activation functions."""

from collections.abc import Callable, Sequence
from typing import Any

from fullyconnected.activations import ACTIVATIONS as REGISTERED
from fullyconnected.base import ActivationFunction
from fullyconnected.core.messages import Message
from fullyconnected.symbolic.expression import Binary, Expression, Name, call, most, number, opaque, total, where
from fullyconnected.symbolic.formulas.lines import ALPHA, CHAIN, DY, UNKNOWN, Both, Line, X, Y, found

__all__ = ["ACTIVATIONS", "of_activation"]

SCALE, SLOPE, SIGMOID, TANH = Name("scale"), Name("slope"), Name("sigmoid"), Name("t")


def _function(
    formula: Expression, slope: Expression | None, what: str, keeps: Sequence[Line] = (), of: str = ""
) -> Both:
    match slope:
        case None:
            dx: Expression = DY
        case Binary("*", left, right):  # a chain of products needs no brackets
            dx = DY * left * right
        case _:
            dx = DY * slope
    return Both([*keeps, Line("y", formula, what)], [Line("dx", dx, CHAIN + of)])


def _elu(function: Any) -> Both:
    if function.scale == 1:
        formula, slope = where(X > 0, X, ALPHA * call("expm1", X)), where(X > 0, 1, Y + ALPHA)
    else:
        formula = where(X > 0, SCALE * X, SCALE * ALPHA * call("expm1", X))
        slope = where(X > 0, SCALE, Y + SCALE * ALPHA)
    return _function(
        formula,
        slope,
        Message(
            "{name} leaves positive numbers linear, and bends negative ones towards a lower limit.", name=function.name
        ),
        of=Message("Below 0 the slope is that of the exponential, which is y plus its limit."),
    )


_SIGMOID = 1 / (1 + call("exp", -X))
_SHIFTED = call("exp", X - most(X, "units"))

ACTIVATIONS: dict[str, Callable[[Any], Both]] = {
    "identity": lambda _: _function(X, None, Message("identity returns its input."), of=Message("Here that is 1.")),
    "relu": lambda _: Both(
        [
            Line(
                "y",
                call("max", X, number(0)),
                Message("relu lets positive numbers through, and makes 0 of the others."),
            )
        ],
        [
            Line(
                "dx",
                DY * (X > 0),
                CHAIN
                + Message(
                    "A maximum routes: where the number came through, the gradient goes back through unchanged, and "
                    "elsewhere nothing comes back. At 0 the slope is taken as 0."
                ),
            )
        ],
    ),
    "leaky_relu": lambda _: _function(
        where(X > 0, X, SLOPE * X),
        where(X > 0, 1, SLOPE),
        Message("leaky_relu lets positive numbers through, and multiplies negative ones by a small slope."),
        of=Message("It is 1 above 0, and the small slope below, so that a unit never falls silent."),
    ),
    "elu": _elu,
    "selu": _elu,
    "gelu": lambda _: _function(
        X * call("Phi", X),
        call("Phi", X) + X * call("phi", X),
        Message("gelu multiplies each number by the share of a normal distribution that lies below it, Phi."),
        of=Message("It is that of a product: each factor's slope, times the other factor."),
    ),
    "silu": lambda _: _function(
        X * SIGMOID,
        SIGMOID + Y * (1 - SIGMOID),
        Message("silu multiplies each number by its sigmoid: large ones come through, others fade out."),
        [Line("c.sigmoid", _SIGMOID, Message("The sigmoid is between 0 and 1."))],
        of=Message("It is that of a product: each factor's slope, times the other factor."),
    ),
    "mish": lambda _: _function(
        X * TANH,
        TANH + X * _SIGMOID * (1 - TANH**2),
        Message("mish multiplies each number by the tanh of its softplus."),
        [Line("c.t", call("tanh", call("softplus", X)), Message("The tanh of softplus is between 0 and 1."))],
        of=Message("It is that of a product: each factor's slope, times the other factor."),
    ),
    "softplus": lambda _: _function(
        call("softplus", X),
        1 - call("exp", -Y),
        Message("softplus is a smooth form of relu."),
        of=Message("It is the sigmoid, which rises from 0 to 1; written with the output, 1 - exp(-y)."),
    ),
    "sigmoid": lambda _: _function(
        _SIGMOID,
        Y * (1 - Y),
        Message("sigmoid makes a number between 0 and 1 of any number: 1/2 of 0, near 1 of large ones."),
        of=Message(
            "That of y = 1 / (1 + exp(-z)) is exp(-z) / (1 + exp(-z))^2, which is y times 1 - y. It is 1/4 at most, "
            "and near 0 where y is near 0 or 1: such a unit hardly learns."
        ),
    ),
    "tanh": lambda _: _function(
        call("tanh", X),
        1 - Y**2,
        Message("tanh makes a number between -1 and 1 of any number, and leaves small ones almost as they are."),
        of=Message("It is 1 - y^2: 1 at 0, and near 0 where y is near -1 or 1, where such a unit hardly learns."),
    ),
    "exp": lambda _: _function(
        call("exp", X), Y, Message("The exponential is always positive."), of=Message("It is its own slope.")
    ),
    "softmax": lambda _: Both(
        [
            Line(
                "y",
                _SHIFTED / total(_SHIFTED, "units"),
                Message(
                    "softmax makes shares that add up to 1: the exponential makes them positive, and they are divided "
                    "by their sum. Subtracting the largest number changes no share, and avoids overflow."
                ),
            )
        ],
        [
            Line(
                "dx",
                Y * (DY - total(DY * Y, "units")),
                CHAIN
                + Message(
                    "Each share grows at the cost of the others: what counts is how far its gradient is from their "
                    "mean."
                ),
            )
        ],
    ),
}


def of_activation(function: ActivationFunction) -> Both:
    """Return the formulas of an activation function and of its derivative."""
    known = found(ACTIVATIONS, REGISTERED, function)
    if known is not None:
        return known(function)
    return Both(
        [Line("y", opaque(function.name, X), UNKNOWN)],
        [Line("dx", opaque(f"{function.name}.backward", X, Y, DY), UNKNOWN)],
    )
