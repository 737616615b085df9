"""The formulas of the layers of an ensemble, whose members work on copies of each row."""

from typing import Any

from fullyconnected.core.messages import Message
from fullyconnected.symbolic.expression import (
    Name,
    call,
)
from fullyconnected.symbolic.formulas.lines import DY, Both, Line, X, divided

__all__ = ["member_scale", "own_dense", "shared_dense"]

W, B, R, S, U, V = (Name(letter) for letter in "Wbrsuv")

OF_MEMBERS_B = Message("Each member adds its bias in every sample: the gradients of its samples are added.")
BY_R = Message("Each member m scales the inputs by an r of its own.")
OF_R = Message("r multiplies x: its gradient is x times that of the product, summed over the member's samples.")


def shared_dense(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of a Dense layer whose weights all members have in common."""
    x = call("copied", X, R) if layer.first else X
    y = call("scaled", U, S)
    dz = call("scaled", DY, S)
    dv = divided(layer, dz @ W.T)
    to_x = call("scaled", dv, R)
    of_b = Line("g.b", call("over_rows", DY, B), OF_MEMBERS_B)
    scales = Message("Each member scales the sums by an s of its own.")
    adds = Message("Each member scales the sums by an s of its own, and adds its bias.")
    return Both(
        [
            Line("c.v", call("scaled", x, R), BY_R),
            Line(
                "c.u",
                divided(layer, V @ W),
                Message("The members have the weights in common, so that one product does for all of them."),
            ),
            Line("y", call("shifted", y, B) if layer.bias else y, adds if layer.bias else scales),
        ],
        [
            *[of_b] * layer.bias,
            Line(
                "g.s",
                call("over_rows", U * DY, S),
                Message(
                    "s multiplies u: its gradient is u times that of the result, summed over the member's samples."
                ),
            ),
            Line(
                "g.W",
                divided(layer, V.T @ dz),
                Message(
                    "All members use the weight, so its gradient sums their shares over the samples of all of them."
                ),
            ),
            Line("g.r", call("over_rows", dv * x, R), OF_R),
            Line("dx", call("over_members", to_x, R) if layer.first else to_x, _to_x(layer)),
        ],
    )


def own_dense(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of a Dense layer for each member."""
    x = call("copied", X, W) if layer.first else X
    y = divided(layer, call("own", x, W))
    dx = divided(layer, call("own_back", DY, W))
    of_b = Line("g.b", call("over_rows", DY, B), OF_MEMBERS_B)
    why = Message("Each member m has weights of its own, and adds up its inputs times these.")
    return Both(
        [Line("y", call("shifted", y, B) if layer.bias else y, why)],
        [
            *[of_b] * layer.bias,
            Line(
                "g.W",
                divided(layer, call("own_outer", x, DY, W)),
                Message(
                    "As in a single network, for each member: its inputs times the gradients of its units, summed over "
                    "its samples."
                ),
            ),
            Line("dx", call("over_members", dx, W) if layer.first else dx, _to_x(layer)),
        ],
    )


def member_scale(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of the scales of members."""
    x = call("copied", X, R)
    return Both(
        [Line("y", call("scaled", x, R), BY_R)],
        [
            Line("g.r", call("over_rows", DY * x, R), OF_R),
            Line(
                "dx",
                call("over_members", call("scaled", DY, R), R),
                Message("An input goes to every member, and the gradients of all of them are added."),
            ),
        ],
    )


def _to_x(layer: Any) -> Message:
    if layer.first:
        return Message("An input goes to every unit of each member, and the gradients of all of these ways are added.")
    return Message("An input goes to every unit of its member, and the gradients of all of these ways are added.")
