"""The formulas of layers that stand at the beginning of a network, or of one of its parts."""

import math
from collections.abc import Callable
from typing import Any

from fullyconnected.core.messages import Message
from fullyconnected.symbolic.expression import (
    Expression,
    Name,
    Placed,
    Taken,
    call,
    number,
    where,
)
from fullyconnected.symbolic.formulas.lines import DY, OF_B, Both, Line, X

__all__ = ["concatenate", "embedding", "encoding", "one_hot", "periodic", "piecewise", "select", "standardize"]

W, B, FREQUENCIES, PHI, V, E = (Name(letter) for letter in ("W", "b", "w", "phi", "v", "e"))
OFFSET, SCALE, D, H = Name("mean"), Name("scale"), Name("d"), Name("h")
LEFT, RIGHT, LOW, HIGH, AFTER, UNTIL = (Name(word) for word in ("left", "right", "low", "high", "after", "until"))

ENDS = Message("after and until are left and right, but the first and the last bin go on.")
SIDE_BY_SIDE = Message("The outputs of all inputs stand side by side.")
NO_QUANTITY = Message("A code is no quantity: it has no gradient.")


def periodic(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of waves of each input."""
    turn, w = number(2 * math.pi), call("each_own", FREQUENCIES)
    angle = turn * call("each_row", X) * w + call("each_own", PHI) if layer.phases else turn * call("each_row", X) * w
    cosine, sine = call("cos", angle), call("sin", angle)
    waves = Message("Each input has waves of its own frequencies; 6.28 is 2 pi, a whole turn.")
    e = call("each", V, W) + call("each_own", B)
    e = call("max", e, number(0)) if layer.rectified else e
    linear = Message("For each input j, a product of its own turns its waves into outputs.")
    if layer.rectified:
        linear = Message(
            "For each input j, a product of its own turns its waves into outputs, of which none is below 0."
        )
    side = Message("The outputs of all inputs stand side by side, each behind the input itself.")
    if not layer.phases:
        side = SIDE_BY_SIDE
    de: Expression = call("back_to", DY, E)
    de = de * (E > 0) if layer.rectified else de
    dv = call("each_back", de, W)
    if layer.phases:
        dz: Expression = -(sine * dv)
    else:
        dz = call("second_half", dv) * call("first_half", V) - call("first_half", dv) * call("second_half", V)
    dx: Expression = call("of_waves", turn * w * dz)
    of_phi = Line("g.phi", call("of_rows", dz), Message("A phase is added in every sample: its gradient is their sum."))
    turns = Message("An input turns all of its waves, each by its frequency; the gradients of all of them are added.")
    if layer.phases:
        turns += Message("It is an output itself, too.")
    return Both(
        [
            Line("c.v", cosine if layer.phases else call("joined", cosine, sine), waves),
            Line("c.e", e, linear),
            Line("y", call("rows_beside", X, E) if layer.phases else call("rows_of", E), side),
        ],
        [
            Line("g.b", call("of_rows", de), OF_B),
            Line(
                "g.W",
                call("each_outer", V, de),
                Message("As in a Dense layer, for each input: its waves times the gradients of their outputs."),
            ),
            *[of_phi] * layer.phases,
            Line(
                "g.w",
                call("of_rows", turn * call("each_row", X) * dz),
                Message("A frequency multiplies the input: its gradient is the input times that of the angle."),
            ),
            Line("dx", dx + call("back_beside", DY, X) if layer.phases else dx, turns),
        ],
    )


def _shares() -> tuple[Line, Callable[[Expression], Expression]]:
    """Return the line of the shares of bins, and a function that gives the gradient by x of that by the shares."""
    x, left, right = call("each_row", X), call("each_own", LEFT), call("each_own", RIGHT)
    inside = (x > call("each_own", AFTER)) * (1 - (x > call("each_own", UNTIL)))
    line = Line(
        "c.v",
        call("clip", (x - left) / (right - left), call("each_own", LOW), call("each_own", HIGH)),
        Message("How much of each bin of its input lies below x, from 0 to 1; the first and the last bin go on."),
    )
    return line, lambda dv: call("of_waves", dv * inside / (right - left))


def encoding(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of the shares of bins of each input."""
    shares, pulled = _shares()
    return Both(
        [shares, Line("y", call("rows_of", V), SIDE_BY_SIDE)],
        [
            Line(
                "dx",
                pulled(call("back_to", DY, V)),
                Message("A change of x moves the share of the bin in which it lies, and of no other.") + ENDS,
            )
        ],
    )


def piecewise(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of a line of each input that bends at the edges of bins."""
    shares, pulled = _shares()
    x, w = call("each_row", X), call("each_own", FREQUENCIES)
    de = call("back_to", DY, E)
    return Both(
        [
            shares,
            Line(
                "c.e",
                call("each", V, W) + x * w + call("each_own", B),
                Message("For each input j, a line with the slopes w, which bends at the edges of the bins by its W."),
            ),
            Line("y", call("rows_of", E), SIDE_BY_SIDE),
        ],
        [
            Line("g.b", call("of_rows", de), OF_B),
            Line(
                "g.W",
                call("each_outer", V, de),
                Message(
                    "As in a Dense layer, for each input: the shares of its bins times the gradients of its outputs."
                ),
            ),
            Line(
                "g.w",
                call("of_rows", x * de),
                Message("w multiplies the input: its gradient is the input times that of the output, summed."),
            ),
            Line(
                "dx",
                pulled(call("each_back", de, W)) + call("of_waves", de * w),
                Message("A change of x moves the share of the bin in which it lies, and moves along the line.") + ENDS,
            ),
        ],
    )


def standardize(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of inputs that are centred and scaled."""
    of_data = Message("Each input is centred and scaled by constants of the data, which training does not change.")
    gone = call("isnan", X) > 0
    z = (X - OFFSET) / SCALE
    values: Expression = DY
    forward: list[Line] = []
    if not (layer.clip or layer.missing):
        forward = [Line("y", z, of_data)]
    else:
        d = z if layer.clip else X - OFFSET
        filled = of_data + Message("A missing value counts as the mean.") if layer.missing else of_data
        forward.append(Line("c.d", where(gone, 0, d) if layer.missing else d, filled))
        y = D / SCALE
        if layer.clip:
            forward.append(
                Line(
                    "c.h",
                    call("sqrt", 1 + (D / 3) ** number(2)),
                    Message("It is near 1, and grows where d is far from 0."),
                )
            )
            y = D / H
        clips = Message("The smooth clip: near 0 it changes nothing, and no result is farther from 0 than 3.")
        shows = Message("Beside the values stand the indicators: 1 where a value is missing.")
        if layer.missing:
            y, values = call("beside", y, call("isnan", X)), Taken(DY, tuple(range(layer.n_in)))
        forward.append(Line("y", y, clips + shows if layer.missing and layer.clip else clips if layer.clip else shows))
    dx = values / H ** number(3) / SCALE if layer.clip else values / SCALE
    back = Message("A change of an input is a change of its standardised value, divided by the scale.")
    if layer.clip:
        back += Message("The slope of the smooth clip is 1 / h^3.")
    if layer.missing:
        back += Message("A missing value has no gradient.")
    return Both(forward, [Line("dx", where(gone, 0, dx) if layer.missing else dx, back)])


def one_hot(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of a unit for each level."""
    why = Message("The unit of the level that the code stands for is 1, and the others are 0.")
    return Both(
        [Line("y", call("indicator", X, number(layer.levels)), why)],
        [Line("dx", 0 * X, NO_QUANTITY)],
    )


def embedding(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of weights for each level."""
    row = where(number(0) > X, layer.levels, X)
    chosen = call("indicator", Name("row"), number(layer.levels + 1))
    return Both(
        [
            Line(
                "c.row", row, Message("A code is the number of its level's weights; unknown levels have the last ones.")
            ),
            Line(
                "y",
                chosen @ W,
                Message("The weights of the level that the code chooses: a product with ones and zeros."),
            ),
        ],
        [
            Line(
                "g.W",
                chosen.T @ DY,
                Message("The weights of a level have the sum of the gradients of the samples that chose it."),
            ),
            Line("dx", 0 * X, NO_QUANTITY),
        ],
    )


def select(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of some of the inputs."""
    dx = Placed(DY, tuple(layer.columns), layer.n_in)
    return Both(
        [Line("y", Taken(X, tuple(layer.columns)), Message("The part reads these inputs, as they are given."))],
        [Line("dx", dx, Message("The inputs that a part reads have its gradient; it has none for the others."))],
        dx,
    )


def concatenate(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of parts side by side."""
    parts = [Name("x", str(k)) for k in range(1, len(layer.widths) + 1)]
    why = Message("Each part has the gradient of its own outputs.")
    return Both(
        [Line("y", call("beside", *parts), Message("The outputs of the parts, side by side."))],
        [
            Line(f"dx{part.index}", Taken(DY, tuple(range(of.start, of.stop))), why)
            for part, of in zip(parts, layer.places(), strict=True)
        ],
    )
