"""The formulas of the activation functions."""

from collections.abc import Callable, Sequence
from typing import Any

from fullyconnected.activations import ACTIVATIONS as REGISTERED
from fullyconnected.base import ActivationFunction
from fullyconnected.symbolic.expression import Binary, Expression, Name, call, most, number, opaque, total, where
from fullyconnected.symbolic.formulas.lines import ALPHA, CHAIN, DY, UNKNOWN, Both, Line, X, Y, found

__all__ = ["ACTIVATIONS", "of_activation"]

SCALE, SLOPE, SIGMOID, TANH = Name("scale"), Name("slope"), Name("sigmoid"), Name("t")


def _function(formula: Expression, slope: Expression | None, what: str, keeps: Sequence[Line] = ()) -> Both:
    match slope:
        case None:
            dx: Expression = DY
        case Binary("*", left, right):  # a chain of products needs no brackets
            dx = DY * left * right
        case _:
            dx = DY * slope
    return Both([*keeps, Line("y", formula, what)], [Line("dx", dx, f"{CHAIN}.")])


def _elu(function: Any) -> Both:
    if function.scale == 1:
        formula, slope = where(X > 0, X, ALPHA * call("expm1", X)), where(X > 0, 1, Y + ALPHA)
    else:
        formula = where(X > 0, SCALE * X, SCALE * ALPHA * call("expm1", X))
        slope = where(X > 0, SCALE, Y + SCALE * ALPHA)
    return _function(formula, slope, f"{function.name} bends negative numbers towards a lower limit.")


_SIGMOID = 1 / (1 + call("exp", -X))
_SHIFTED = call("exp", X - most(X, "units"))

ACTIVATIONS: dict[str, Callable[[Any], Both]] = {
    "identity": lambda _: _function(X, None, "identity returns its input."),
    "relu": lambda _: Both(
        [Line("y", call("max", X, number(0)), "relu keeps positive numbers, and replaces the others by 0.")],
        [Line("dx", DY * (X > 0), f"{CHAIN}, which is 1 above 0 and 0 below; at 0 it is taken as 0.")],
    ),
    "leaky_relu": lambda _: _function(
        where(X > 0, X, SLOPE * X), where(X > 0, 1, SLOPE), "leaky_relu multiplies negative numbers by a small slope."
    ),
    "elu": _elu,
    "selu": _elu,
    "gelu": lambda _: _function(
        X * call("Phi", X), call("Phi", X) + X * call("phi", X), "gelu multiplies each number by the normal CDF, Phi."
    ),
    "silu": lambda _: _function(
        X * SIGMOID,
        SIGMOID + Y * (1 - SIGMOID),
        "silu multiplies each number by its sigmoid.",
        [Line("c.sigmoid", _SIGMOID, "The sigmoid is between 0 and 1.")],
    ),
    "mish": lambda _: _function(
        X * TANH,
        TANH + X * _SIGMOID * (1 - TANH**2),
        "mish multiplies each number by the tanh of its softplus.",
        [Line("c.t", call("tanh", call("softplus", X)), "The tanh of softplus is between 0 and 1.")],
    ),
    "softplus": lambda _: _function(call("softplus", X), 1 - call("exp", -Y), "softplus is a smooth form of relu."),
    "sigmoid": lambda _: _function(_SIGMOID, Y * (1 - Y), "sigmoid maps every number into the range from 0 to 1."),
    "tanh": lambda _: _function(call("tanh", X), 1 - Y**2, "tanh maps every number into the range from -1 to 1."),
    "exp": lambda _: _function(call("exp", X), Y, "The exponential is always positive."),
    "softmax": lambda _: Both(
        [Line("y", _SHIFTED / total(_SHIFTED, "units"), "softmax outputs are positive and add up to 1 in each row.")],
        [Line("dx", Y * (DY - total(DY * Y, "units")), f"{CHAIN}, summed over the row.")],
    ),
}


def of_activation(function: ActivationFunction) -> Both:
    """Return the formulas of an activation function and of its derivative."""
    known = found(ACTIVATIONS, REGISTERED, function)
    if known is not None:
        return known(function)
    return Both(
        [Line("y", opaque(function.name, X), f"{UNKNOWN} of the function.")],
        [Line("dx", opaque(f"{function.name}.backward", X, Y, DY), f"{UNKNOWN} of the derivative.")],
    )
