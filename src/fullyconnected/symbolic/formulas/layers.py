"""The formulas of the layers, forward and backward."""

from collections.abc import Callable
from typing import Any

from fullyconnected.base import Layer
from fullyconnected.layers import operation
from fullyconnected.symbolic.expression import Expression, Name, Reduce, call, mean, number, opaque
from fullyconnected.symbolic.formulas.activations import of_activation
from fullyconnected.symbolic.formulas.lines import DY, EPSILON, ONES, Both, Line, X, Y

__all__ = ["LAYERS", "backward", "d_skip", "forward"]

W, B, MASK, SKIP = Name("W"), Name("b"), Name("m"), Name("skip")
GAMMA, BETA, N, RATE = (Name(letter) for letter in ("gamma", "beta", "n", "rate"))
MEAN, VARIANCE, MOMENTUM = Name("running_mean"), Name("running_var"), Name("momentum")


def _dense(layer: Any, train: bool, rows: int) -> Both:
    plus = " and its bias" if layer.bias else ""
    why = f"Each unit adds up what comes in, each number times its weight{',' * layer.bias}{plus}."
    of_w = Line(
        "g.W",
        X.T @ DY,
        "A weight is multiplied by its own input: its gradient is that input times the gradient of the "
        "unit that it leads to, added up over the rows.",
    )
    of_b = Line("g.b", ONES.T @ DY, "A bias is added in every row: its gradient is the sum over the rows.")
    back = "An input reaches L through every unit it leads to: their gradients add up, each times the weight."
    return Both(
        [Line("y", X @ W + B if layer.bias else X @ W, why)],
        [of_w, *[of_b] * layer.bias, Line("dx", DY @ W.T, back)],
    )


def _dropout(layer: Any, train: bool, rows: int) -> Both:
    if not train or layer.rate == 0:
        return Both([Line("y", X, "Dropout drops nothing outside training.")], [Line("dx", DY, "Nothing was dropped.")])
    why = "Each entry is dropped with its mask's 0, or scaled up, so that the expected sum stays the same."
    back = "What was dropped has no part in L; the rest was scaled by the same factor."
    return Both([Line("y", MASK * X, why)], [Line("dx", DY * MASK, back)])


def _layer_norm(layer: Any, train: bool, rows: int) -> Both:
    return Both(
        [
            Line("c.rate", 1 / call("sqrt", Reduce("var", "units", X) + EPSILON), "One over the row's deviation."),
            Line("c.n", (X - mean(X, "units")) * RATE, "Each row is brought to mean 0 and variance 1."),
            _SCALED,
        ],
        _normed_back("units", True),
    )


def _batch_norm(layer: Any, train: bool, rows: int) -> Both:
    back = _normed_back("rows", train)
    if not train:
        forward = [
            Line("c.rate", 1 / call("sqrt", VARIANCE + EPSILON), "One over the running deviation of each unit."),
            Line("c.n", (X - MEAN) * RATE, "Outside training the running averages stand for the batch."),
            _SCALED,
        ]
        return Both(forward, back)
    variance = Reduce("var", "rows", X)
    kept = 1 - MOMENTUM
    follows = MOMENTUM * variance * (number(rows) / max(rows - 1, 1))
    forward = [
        Line("c.rate", 1 / call("sqrt", variance + EPSILON), "One over each unit's deviation over the batch."),
        Line("c.n", (X - mean(X, "rows")) * RATE, "Each unit is brought to mean 0 and variance 1 over the batch."),
        _SCALED,
        Line("p.running_mean", kept * MEAN + MOMENTUM * mean(X, "rows"), "The running mean follows the batch's."),
        Line("p.running_var", kept * VARIANCE + follows, "The running variance follows the batch's unbiased one."),
    ]
    return Both(forward, back)


_SCALED = Line("y", GAMMA * N + BETA, "Each unit has a gain gamma and a shift beta to learn.")


def _normed_back(over: str, through: bool) -> list[Line]:
    dn = DY * GAMMA
    if through:
        dx = (dn - mean(dn, over) - N * mean(dn * N, over)) * RATE
        of = "row" if over == "units" else "batch"
        why = f"An entry moves its {of}'s mean and variance, too: what those take away is subtracted."
    else:
        dx, why = dn * RATE, "The running averages are constants here, so only the scale is left."
    return [
        Line("g.beta", ONES.T @ DY, "beta is added in every row: its gradient is the sum over the rows."),
        Line("g.gamma", ONES.T @ (DY * N), "gamma multiplies n: its gradient is n times what arrives, over the rows."),
        Line("dx", dx, why),
    ]


# Each is handed the layer, whether it is training, and how many rows there are.
LAYERS: dict[str, Callable[[Any, bool, int], Both]] = {
    "dense": _dense,
    "activation": lambda layer, *_: of_activation(layer.activation),
    "dropout": _dropout,
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "add": lambda *_: Both(
        [Line("y", X + SKIP, "The block ends: what came into it is added to what came through it.")],
        [Line("dx", DY, "A sum hands its gradient on unchanged, to the block and to what went past it.")],
    ),
}


def _of_layer(layer: Layer, train: bool, rows: int) -> Both:
    if layer.name in LAYERS and operation(layer.name) is type(layer):
        return LAYERS[layer.name](layer, train, rows)
    given = (X, SKIP) if layer.skips else (X,)
    gave = opaque(f"{layer.name}.backward", *given, Y, DY)
    return Both(
        [Line("y", opaque(layer.name, *given), "A layer without a known formula: what its code gave.")],
        [Line(result, gave, "What its code gave.") for result in (*(f"g.{name}" for name in layer.params()), "dx")],
        gave,
    )


def forward(layer: Layer, *, train: bool, rows: int) -> list[Line]:
    """Return what a layer computes on the way forward for a batch of ``rows``, in order."""
    return _of_layer(layer, train, rows).forward


def backward(layer: Layer, *, train: bool) -> list[Line]:
    """Return what a layer computes on the way back, in order; how many rows there are does not matter."""
    return _of_layer(layer, train, 1).backward


def d_skip(layer: Layer, *, train: bool) -> Expression:
    """Return what a layer that ends a block gives on the way back for what came into the block."""
    return _of_layer(layer, train, 1).d_skip
