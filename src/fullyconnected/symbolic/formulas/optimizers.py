"""The formulas of the optimizers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fullyconnected.base import Optimizer
from fullyconnected.core.arrays import Shape
from fullyconnected.core.messages import Message
from fullyconnected.optimizers import OPTIMIZERS as REGISTERED
from fullyconnected.orthogonal import COEFFICIENTS, LEAST_NORM
from fullyconnected.symbolic.expression import Expression, Name, call, number, opaque, total
from fullyconnected.symbolic.formulas.lines import EPSILON, UNKNOWN, Line, found

__all__ = ["OPTIMIZERS", "unknown_update", "update"]

THETA, G, LR, STEPS = Name("theta"), Name("g"), Name("lr"), Name("steps")
V, V_NEW, M, M_NEW = Name("v"), Name("v", new=True), Name("m"), Name("m", new=True)
MOMENTUM, RHO, BETA1, BETA2 = Name("momentum"), Name("rho"), Name("beta", "1"), Name("beta", "2")
DECAY, SHAPE = Name("weight_decay"), Name("shape_factor")  # of Muon: the root of n_out / n_in, or 1 if that is larger

POLYNOMIAL = Message(
    "Each singular value s becomes 3.4445 s - 4.775 s^3 + 2.0315 s^5: small ones grow, none gets far above 1."
)
OF_EACH = Message("Each member m has a matrix of its own.")
V_OF_SQUARES = Message(
    "v is a running mean of the squared gradient: how large the gradients of this number usually are."
)
VELOCITY = Line(
    "s.v",
    MOMENTUM * V + G,
    Message(
        "The velocity v keeps a part, momentum, of what it was, and adds the gradient: ways that agree add up, those "
        "that alternate cancel out."
    ),
)


def _adam(rule: Any, kept: Expression, also: Message | None = None) -> list[Line]:
    first, second = M_NEW / (1 - BETA1**STEPS), V_NEW / (1 - BETA2**STEPS)
    step = LR * first / (call("sqrt", second) + EPSILON)
    if rule.epsilon_hat:
        step = LR * call("sqrt", 1 - BETA2**STEPS) / (1 - BETA1**STEPS) * M_NEW / (call("sqrt", V_NEW) + EPSILON)
    why = Message(
        "The step goes against m, divided by the root of v: each number moves by about lr, however large its gradients "
        "are. Dividing by 1 - beta^steps makes up for the start of m and v at 0; epsilon avoids a division by 0."
    )
    m = Message(
        "m is a running mean of the gradient, of which it keeps beta1: what changes from step to step cancels out."
    )
    return [
        Line("s.m", BETA1 * M + (1 - BETA1) * G, m),
        Line("s.v", BETA2 * V + (1 - BETA2) * G**2, V_OF_SQUARES),
        Line("theta", kept - step, why if also is None else also + why),
    ]


def _muon(rule: Any, decays: bool, shape: Shape) -> list[Line]:
    (linear, cubic, quintic), ahead = COEFFICIENTS, G + MOMENTUM * V_NEW if rule.nesterov else V_NEW
    stack, wide = len(shape) > 2, shape[-2] <= shape[-1]
    pairs = (
        Message("The products of each two of its rows.")
        if wide
        else Message("The products of each two of its columns.")
    )
    squares = call("over_entries", ahead**2) if stack else total(ahead**2)
    letters = (Name("X"), Name("A"), Name("B"))
    norm = Message("Divided by its norm, the root of the sum of its squares, it has no singular value above 1.")
    lines = [
        VELOCITY,
        Line(
            "c.X0",
            ahead / call("max", call("sqrt", squares), number(LEAST_NORM)),
            OF_EACH + norm if stack else norm,
        ),
    ]

    def product(left: Expression, right: Expression) -> Expression:
        return call("stacked", left, right) if stack else left @ right

    for done in range(rule.rounds):
        x, a, b = (replace(letter, index=str(done)) for letter in letters)
        square = x @ x.T if wide else x.T @ x
        if stack:
            square = call("stacked_back" if wide else "stacked_outer", x, x)
        lines += [
            Line(f"c.{a.text}", square, pairs),
            Line(f"c.{b.text}", quintic * product(a, a) + cubic * a, Message("A polynomial of this matrix.")),
            Line(f"c.X{done + 1}", linear * x + (product(b, x) if wide else product(x, b)), POLYNOMIAL),
        ]
    last = Name("X", str(rule.rounds))
    kept = THETA * (1 - LR * DECAY) if decays and rule.weight_decay else THETA
    why = Message(
        "The step has about the same length in every direction: lr, times the root of n_out / n_in if that is above 1."
    )
    return [*lines, Line("theta", kept - LR * SHAPE * last, why)]


# The arguments are the optimizer, whether weight decay shrinks the tensor, and its shape.
OPTIMIZERS: dict[str, Callable[[Any, bool, Shape], list[Line]]] = {
    "sgd": lambda *_: [
        Line(
            "theta",
            THETA - LR * G,
            Message(
                "The gradient says where L grows, so that the step goes the other way. The learning rate lr says how "
                "far: if it is too small, learning is slow; if it is too large, the step jumps over the minimum."
            ),
        )
    ],
    "momentum": lambda *_: [
        VELOCITY,
        Line("theta", THETA - LR * V_NEW, Message("The step is the learning rate times the velocity, against it.")),
    ],
    "nesterov": lambda *_: [
        VELOCITY,
        Line(
            "theta",
            THETA - LR * (G + MOMENTUM * V_NEW),
            Message("As with momentum, but the gradient is added once more, as if the next step were made already."),
        ),
    ],
    "rmsprop": lambda *_: [
        Line("s.v", RHO * V + (1 - RHO) * G**2, V_OF_SQUARES),
        Line(
            "theta",
            THETA - LR * G / (call("sqrt", V_NEW) + EPSILON),
            Message(
                "The step goes against the gradient, divided by the root of v: where gradients are usually large, it "
                "is shorter."
            ),
        ),
    ],
    "muon": _muon,
    "adam": lambda rule, *_: _adam(rule, THETA),
    "adamw": lambda rule, decays, _: (
        _adam(
            rule,
            THETA * (1 - LR * DECAY),
            Message("Weight decay makes the weight a little smaller first, by lr times weight_decay."),
        )
        if decays
        else _adam(rule, THETA)
    ),
}


def update(
    optimizer: Optimizer, *, decays: bool, slots: Sequence[str] | None = None, shape: Shape = (1, 1)
) -> list[Line]:
    """Return the lines of an optimizer's step for one tensor of a shape; ``decays`` says that weight decay shrinks it.

    ``slots`` names the optimizer's state for this tensor, if that depends on the tensor.
    """
    known = found(OPTIMIZERS, REGISTERED, optimizer)
    if known is not None:
        return known(optimizer, decays, shape)
    return unknown_update(optimizer, optimizer.slots if slots is None else slots)


def unknown_update(optimizer: Optimizer, slots: Sequence[str]) -> list[Line]:
    """Return the lines of a step whose formula is not known."""
    name = optimizer.name
    lines = [Line(f"s.{slot}", opaque(f"{name}.{slot}", THETA, G), UNKNOWN) for slot in slots]
    return [*lines, Line("theta", opaque(name, THETA, G), UNKNOWN)]
