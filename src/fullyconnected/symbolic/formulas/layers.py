"""The formulas of the layers, forward and backward."""

from collections.abc import Callable
from typing import Any

from fullyconnected.base import Layer
from fullyconnected.layers import operation
from fullyconnected.symbolic.expression import Expression, Name, Reduce, call, mean, number, opaque, where
from fullyconnected.symbolic.formulas.activations import of_activation
from fullyconnected.symbolic.formulas.lines import DY, EPSILON, ONES, UNKNOWN, Both, Line, X, Y

__all__ = ["LAYERS", "backward", "d_skip", "forward"]

W, B, MASK, SKIP = Name("W"), Name("b"), Name("m"), Name("skip")
GAMMA, BETA, N, RATE, S = (Name(letter) for letter in ("gamma", "beta", "n", "rate", "s"))
MEAN, VARIANCE, MOMENTUM = Name("running_mean"), Name("running_var"), Name("momentum")
OFFSET, SCALE, D, H = Name("mean"), Name("scale"), Name("d"), Name("h")


def _dense(layer: Any, train: bool, rows: int) -> Both:
    def divided(product: Expression) -> Expression:
        return product / call("sqrt", number(layer.n_in)) if layer.parametrization == "ntk" else product

    why = f"Each unit adds up its inputs times their weights{', and its bias' * layer.bias}."
    if layer.parametrization == "ntk":
        why += " Dividing by the square root of their number makes weights of about 1 suitable for any width."
    of_w = Line(
        "g.W",
        divided(X.T @ DY),
        "A weight multiplies an input: its gradient is that input times the gradient of the unit it leads to, summed "
        "over the rows.",
    )
    of_b = Line("g.b", ONES.T @ DY, "A bias is added in every row: its gradient is the sum over the rows.")
    back = "An input affects L through every unit: its gradient is the sum of theirs, each times the weight."
    return Both(
        [Line("y", divided(X @ W) + B if layer.bias else divided(X @ W), why)],
        [of_w, *[of_b] * layer.bias, Line("dx", divided(DY @ W.T), back)],
    )


def _dropout(layer: Any, train: bool, rows: int) -> Both:
    if not train or layer.rate == 0:
        return Both([Line("y", X, "Dropout drops nothing outside training.")], [Line("dx", DY, "Nothing was dropped.")])
    why = "The mask m sets some entries to 0 and scales up the others, so that the expected value stays the same."
    back = "A dropped entry does not affect L; the others were scaled by the same factor."
    return Both([Line("y", MASK * X, why)], [Line("dx", DY * MASK, back)])


def _layer_norm(layer: Any, train: bool, rows: int) -> Both:
    return Both(
        [
            Line(
                "c.rate",
                1 / call("sqrt", Reduce("var", "units", X) + EPSILON),
                "One over each row's standard deviation.",
            ),
            Line("c.n", (X - mean(X, "units")) * RATE, "Each row is normalised to mean 0 and variance 1."),
            _SCALED,
        ],
        _normed_back("units", True),
    )


def _batch_norm(layer: Any, train: bool, rows: int) -> Both:
    back = _normed_back("rows", train)
    if not train:
        forward = [
            Line("c.rate", 1 / call("sqrt", VARIANCE + EPSILON), "One over each unit's running standard deviation."),
            Line("c.n", (X - MEAN) * RATE, "Outside training, running statistics replace those of the batch."),
            _SCALED,
        ]
        return Both(forward, back)
    variance = Reduce("var", "rows", X)
    kept = 1 - MOMENTUM
    follows = MOMENTUM * variance * (number(rows) / max(rows - 1, 1))
    forward = [
        Line("c.rate", 1 / call("sqrt", variance + EPSILON), "One over each unit's standard deviation in the batch."),
        Line("c.n", (X - mean(X, "rows")) * RATE, "Each unit is normalised to mean 0 and variance 1 in the batch."),
        _SCALED,
        Line("p.running_mean", kept * MEAN + MOMENTUM * mean(X, "rows"), "The running mean moves towards the batch's."),
        Line("p.running_var", kept * VARIANCE + follows, "The running variance moves towards the batch's, unbiased."),
    ]
    return Both(forward, back)


_SCALED = Line("y", GAMMA * N + BETA, "Each unit has two parameters, the gain gamma and the shift beta.")


def _standardize(layer: Any, train: bool, rows: int) -> Both:
    of_data = "Constants of the data centre and scale each column; training does not change them."
    gone = call("isnan", X) > 0
    z = (X - OFFSET) / SCALE
    values: Expression = DY
    forward: list[Line] = []
    if not (layer.clip or layer.missing):
        forward = [Line("y", z, of_data)]
    else:
        d = z if layer.clip else X - OFFSET
        filled = " A missing value counts as the mean." if layer.missing else ""
        forward.append(Line("c.d", where(gone, 0, d) if layer.missing else d, of_data + filled))
        y = D / SCALE
        if layer.clip:
            forward.append(
                Line("c.h", call("sqrt", 1 + (D / 3) ** number(2)), "It is near 1, and grows where d is far from 0.")
            )
            y = D / H
        why = "The smooth clip: near 0 it changes nothing, and nothing is farther than 3." if layer.clip else ""
        if layer.missing:
            y, values = call("beside", y, call("isnan", X)), call("left", DY, X)
            why += " Beside the values stand the indicators: 1 where a value is missing."
        forward.append(Line("y", y, why.strip()))
    dx = values / H ** number(3) / SCALE if layer.clip else values / SCALE
    back = "A step of an input is a step of its standardised value, divided by the scale."
    if layer.clip:
        back += " The slope of the smooth clip is 1 / h^3."
    if layer.missing:
        back += " A missing value has no gradient."
    return Both(forward, [Line("dx", where(gone, 0, dx) if layer.missing else dx, back)])


def _normed_back(over: str, through: bool) -> list[Line]:
    dn = DY * GAMMA
    if through:
        dx = (dn - mean(dn, over) - N * mean(dn * N, over)) * RATE
        of = "row" if over == "units" else "batch"
        why = f"An entry also changes the mean and variance of its {of}: their parts of the gradient are subtracted."
    else:
        dx, why = dn * RATE, "The running statistics are constants here, so only the scale remains."
    return [
        Line("g.beta", ONES.T @ DY, "beta is added in every row: its gradient is the sum over the rows."),
        Line("g.gamma", ONES.T @ (DY * N), "gamma multiplies n: its gradient is n times that of y, over all rows."),
        Line("dx", dx, why),
    ]


# The arguments are the layer, whether it is training, and the number of rows.
LAYERS: dict[str, Callable[[Any, bool, int], Both]] = {
    "dense": _dense,
    "activation": lambda layer, *_: of_activation(layer.activation),
    "dropout": _dropout,
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "standardize": _standardize,
    "scale": lambda *_: Both(
        [Line("y", S * X, "Each column has a learned factor.")],
        [
            Line("g.s", ONES.T @ (X * DY), "s multiplies x: its gradient is x times that of y, over all rows."),
            Line("dx", S * DY, "A step of an input is a step of the output, multiplied by the factor."),
        ],
    ),
    "rescale": lambda *_: Both(
        [
            Line(
                "y",
                OFFSET + SCALE * X,
                "Constants of the data bring each column to the unit of the targets; training does not change them.",
            )
        ],
        [Line("dx", SCALE * DY, "A step of the value is a step of the result, multiplied by the scale.")],
    ),
    "add": lambda *_: Both(
        [Line("y", X + SKIP, "The residual block ends: its input is added to the output of its layers.")],
        [Line("dx", DY, "The gradient of a sum is the gradient of each of its terms.")],
    ),
}


def _of_layer(layer: Layer, train: bool, rows: int) -> Both:
    if layer.name in LAYERS and operation(layer.name) is type(layer):
        return LAYERS[layer.name](layer, train, rows)
    given = (X, SKIP) if layer.skips else (X,)
    gave = opaque(f"{layer.name}.backward", *given, Y, DY)
    return Both(
        [Line("y", opaque(layer.name, *given), f"{UNKNOWN} of the layer.")],
        [Line(name, gave, f"{UNKNOWN} of the layer.") for name in (*(f"g.{name}" for name in layer.params()), "dx")],
        gave,
    )


def forward(layer: Layer, *, train: bool, rows: int) -> list[Line]:
    """Return the lines of a layer's forward pass for a batch of ``rows``, in order."""
    return _of_layer(layer, train, rows).forward


def backward(layer: Layer, *, train: bool) -> list[Line]:
    """Return the lines of a layer's backward pass, in order; they do not depend on the number of rows."""
    return _of_layer(layer, train, 1).backward


def d_skip(layer: Layer, *, train: bool) -> Expression:
    """Return the gradient that a layer at the end of a residual block gives with respect to the block's input."""
    return _of_layer(layer, train, 1).d_skip
