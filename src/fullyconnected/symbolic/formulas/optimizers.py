"""The formulas of the optimizers."""

from collections.abc import Callable, Sequence
from typing import Any

from fullyconnected.base import Optimizer
from fullyconnected.optimizers import OPTIMIZERS as REGISTERED
from fullyconnected.symbolic.expression import Expression, Name, call, opaque
from fullyconnected.symbolic.formulas.lines import EPSILON, Line, found

__all__ = ["OPTIMIZERS", "update"]

THETA, G, LR, STEP = Name("theta"), Name("g"), Name("lr"), Name("step")
V, V_NEW, M, M_NEW = Name("v"), Name("v", new=True), Name("m"), Name("m", new=True)
MOMENTUM, RHO, BETA1, BETA2 = Name("momentum"), Name("rho"), Name("beta", "1"), Name("beta", "2")
DECAY = Name("weight_decay")

AGAINST = "Against the gradient, by the learning rate"
VELOCITY = Line("s.v", MOMENTUM * V + G, "The velocity: a share of the last one, and the gradient.")


def _adam(kept: Expression, also: str = "") -> list[Line]:
    first, second = M_NEW / (1 - BETA1**STEP), V_NEW / (1 - BETA2**STEP)
    why = "Against the mean gradient over its usual size; both means are freed of their start at zero."
    return [
        Line("s.m", BETA1 * M + (1 - BETA1) * G, "A running mean of the gradient."),
        Line("s.v", BETA2 * V + (1 - BETA2) * G**2, "A running mean of its square."),
        Line("theta", kept - LR * first / (call("sqrt", second) + EPSILON), also + why),
    ]


# Each is handed the rule, and whether weight decay shrinks the tensor.
OPTIMIZERS: dict[str, Callable[[Any, bool], list[Line]]] = {
    "sgd": lambda *_: [Line("theta", THETA - LR * G, f"{AGAINST}.")],
    "momentum": lambda *_: [
        VELOCITY,
        Line("theta", THETA - LR * V_NEW, "Against the velocity, by the learning rate."),
    ],
    "nesterov": lambda *_: [
        VELOCITY,
        Line("theta", THETA - LR * (G + MOMENTUM * V_NEW), "As if the velocity had taken its next step already."),
    ],
    "rmsprop": lambda *_: [
        Line("s.v", RHO * V + (1 - RHO) * G**2, "A running mean of the squares of the gradient."),
        Line("theta", THETA - LR * G / (call("sqrt", V_NEW) + EPSILON), f"{AGAINST}, over its usual size."),
    ],
    "adam": lambda *_: _adam(THETA),
    "adamw": lambda _, decays: _adam(THETA * (1 - LR * DECAY), "Weights decay, too. ") if decays else _adam(THETA),
}


def update(optimizer: Optimizer, *, decays: bool, slots: Sequence[str] | None = None) -> list[Line]:
    """Return how a rule moves one tensor of parameters; ``decays`` says that weight decay shrinks it.

    ``slots`` is what the rule remembers of it, where that depends on the tensor.
    """
    known = found(OPTIMIZERS, REGISTERED, optimizer)
    if known is not None:
        return known(optimizer, decays)
    name, why = optimizer.name, "A rule without a known formula: what its code gave."
    slots = optimizer.slots if slots is None else slots
    lines = [Line(f"s.{slot}", opaque(f"{name}.{slot}", THETA, G), "What its code gave.") for slot in slots]
    return [*lines, Line("theta", opaque(name, THETA, G), why)]
