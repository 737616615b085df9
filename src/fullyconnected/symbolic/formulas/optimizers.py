"""The formulas of the optimizers."""

from collections.abc import Callable, Sequence
from typing import Any

from fullyconnected.base import Optimizer
from fullyconnected.optimizers import OPTIMIZERS as REGISTERED
from fullyconnected.symbolic.expression import Expression, Name, call, opaque
from fullyconnected.symbolic.formulas.lines import EPSILON, UNKNOWN, Line, found

__all__ = ["OPTIMIZERS", "update"]

THETA, G, LR, STEP = Name("theta"), Name("g"), Name("lr"), Name("step")
V, V_NEW, M, M_NEW = Name("v"), Name("v", new=True), Name("m"), Name("m", new=True)
MOMENTUM, RHO, BETA1, BETA2 = Name("momentum"), Name("rho"), Name("beta", "1"), Name("beta", "2")
DECAY = Name("weight_decay")

AGAINST = "The step is the learning rate times the gradient, in the opposite direction"
VELOCITY = Line("s.v", MOMENTUM * V + G, "The velocity is a fraction of its last value, plus the gradient.")


def _adam(rule: Any, kept: Expression, also: str = "") -> list[Line]:
    first, second = M_NEW / (1 - BETA1**STEP), V_NEW / (1 - BETA2**STEP)
    step = LR * first / (call("sqrt", second) + EPSILON)
    if rule.epsilon_hat:
        step = LR * call("sqrt", 1 - BETA2**STEP) / (1 - BETA1**STEP) * M_NEW / (call("sqrt", V_NEW) + EPSILON)
    why = "The step is opposite to m, divided by the root of v; both are corrected for their start at zero."
    return [
        Line("s.m", BETA1 * M + (1 - BETA1) * G, "m is a running mean of the gradient."),
        Line("s.v", BETA2 * V + (1 - BETA2) * G**2, "v is a running mean of the squared gradient."),
        Line("theta", kept - step, also + why),
    ]


# The arguments are the optimizer, and whether weight decay shrinks the tensor.
OPTIMIZERS: dict[str, Callable[[Any, bool], list[Line]]] = {
    "sgd": lambda *_: [Line("theta", THETA - LR * G, f"{AGAINST}.")],
    "momentum": lambda *_: [
        VELOCITY,
        Line("theta", THETA - LR * V_NEW, "The step is the learning rate times the velocity, reversed."),
    ],
    "nesterov": lambda *_: [
        VELOCITY,
        Line("theta", THETA - LR * (G + MOMENTUM * V_NEW), "The step applies the momentum of the next step early."),
    ],
    "rmsprop": lambda *_: [
        Line("s.v", RHO * V + (1 - RHO) * G**2, "v is a running mean of the squared gradient."),
        Line("theta", THETA - LR * G / (call("sqrt", V_NEW) + EPSILON), f"{AGAINST}, divided by the root of v."),
    ],
    "adam": lambda rule, _: _adam(rule, THETA),
    "adamw": lambda rule, decays: (
        _adam(rule, THETA * (1 - LR * DECAY), "Weights also decay. ") if decays else _adam(rule, THETA)
    ),
}


def update(optimizer: Optimizer, *, decays: bool, slots: Sequence[str] | None = None) -> list[Line]:
    """Return the lines of an optimizer's step for one tensor; ``decays`` says that weight decay shrinks it.

    ``slots`` names the optimizer's state for this tensor, if that depends on the tensor.
    """
    known = found(OPTIMIZERS, REGISTERED, optimizer)
    if known is not None:
        return known(optimizer, decays)
    name, why = optimizer.name, f"{UNKNOWN} of the optimizer."
    slots = optimizer.slots if slots is None else slots
    lines = [Line(f"s.{slot}", opaque(f"{name}.{slot}", THETA, G), f"{UNKNOWN} of the optimizer.") for slot in slots]
    return [*lines, Line("theta", opaque(name, THETA, G), why)]
