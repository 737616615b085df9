"""The formulas of the layers, forward and backward."""

from collections.abc import Callable
from typing import Any

from fullyconnected.base import Layer
from fullyconnected.core.messages import Message
from fullyconnected.layers import operation
from fullyconnected.symbolic.expression import Expression, Name, opaque, with_names
from fullyconnected.symbolic.formulas.activations import of_activation
from fullyconnected.symbolic.formulas.inputs import (
    concatenate,
    embedding,
    encoding,
    one_hot,
    periodic,
    piecewise,
    select,
    standardize,
)
from fullyconnected.symbolic.formulas.lines import DY, OF_B, ONES, UNKNOWN, Both, Line, X, Y, divided
from fullyconnected.symbolic.formulas.members import member_scale, own_dense, shared_dense
from fullyconnected.symbolic.formulas.norms import (
    batch_norm,
    layer_norm,
    member_batch_norm,
    member_layer_norm,
    member_rms_norm,
    rms_norm,
)

__all__ = ["LAYERS", "backward", "d_skip", "forward"]

W, B, MASK, SKIP, A, F, S = (Name(letter) for letter in ("W", "b", "m", "skip", "a", "f", "s"))
OFFSET, SCALE = Name("mean"), Name("scale")


def _dense(layer: Any, train: bool, rows: int) -> Both:
    why = Message("Each unit multiplies its inputs by its weights, and adds up the products.")
    if layer.bias:
        why = Message("Each unit multiplies its inputs by its weights, and adds up the products and its bias.")
    if layer.parametrization == "ntk":
        why += Message("Dividing by the root of the number of inputs makes weights of about 1 suitable for any width.")
    of_w = Line(
        "g.W",
        divided(layer, X.T @ DY),
        Message(
            "A weight multiplies an input: its share is that input times the gradient of the unit it leads to. The "
            "transposed matrix makes the product sum these shares over the samples."
        ),
    )
    of_b = Line("g.b", ONES.T @ DY, OF_B)
    back = Message(
        "An input goes several ways, one through each unit, and the gradients of all ways are added: each is the "
        "gradient of a unit times the weight on the way."
    )
    return Both(
        [Line("y", divided(layer, X @ W) + B if layer.bias else divided(layer, X @ W), why)],
        [of_w, *[of_b] * layer.bias, Line("dx", divided(layer, DY @ W.T), back)],
    )


def _dropout(layer: Any, train: bool, rows: int) -> Both:
    if not train or layer.rate == 0:
        nothing = Message("Dropout drops nothing outside training: the numbers go on as they are.")
        return Both(
            [Line("y", X, nothing)], [Line("dx", DY, Message("Nothing was dropped: the gradient is the same."))]
        )
    why = Message("The mask m sets some numbers to 0, and scales up the others so that the mean stays about the same.")
    back = Message("A dropped number had no say, so no gradient comes back to it; the others were multiplied by m.")
    return Both([Line("y", MASK * X, why)], [Line("dx", DY * MASK, back)])


def _parametric(layer: Any, train: bool, rows: int) -> Both:
    of = of_activation(layer.activation)
    *keeps, (_, formula, what) = of.forward
    why = Message(
        "Each unit learns how much of the activation it has: with a = 0 it is linear, with a = 1 it is the activation."
    )
    changed = with_names(of.backward[-1].formula, {Y: F, DY: A * DY})
    return Both(
        [*keeps, Line("c.f", formula, what), Line("y", X + A * (F - X), why)],
        [
            Line(
                "g.a",
                ONES.T @ ((F - X) * DY),
                Message("a multiplies what the activation changes: that is its gradient, summed over the samples."),
            ),
            Line(
                "dx",
                (1 - A) * DY + changed,
                Message("The number goes two ways: the linear part, and by the chain rule through the activation."),
            ),
        ],
    )


# The arguments are the layer, whether it is training, and the number of rows.
LAYERS: dict[str, Callable[[Any, bool, int], Both]] = {
    "dense": _dense,
    "activation": lambda layer, *_: of_activation(layer.activation),
    "dropout": _dropout,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "parametric": _parametric,
    "periodic_embedding": periodic,
    "piecewise_linear_encoding": encoding,
    "piecewise_linear_embedding": piecewise,
    "standardize": standardize,
    "scale": lambda *_: Both(
        [Line("y", S * X, Message("Each input has a learned factor."))],
        [
            Line(
                "g.s",
                ONES.T @ (X * DY),
                Message("In a product, each factor has the other one as its slope: s has x, summed over the samples."),
            ),
            Line("dx", S * DY, Message("In a product, each factor has the other one as its slope: x has s.")),
        ],
    ),
    "one_hot": one_hot,
    "embedding": embedding,
    "select": select,
    "concatenate": concatenate,
    "rescale": lambda *_: Both(
        [
            Line(
                "y",
                OFFSET + SCALE * X,
                Message(
                    "Constants of the data bring each output to the unit of the targets; training does not change them."
                ),
            )
        ],
        [Line("dx", SCALE * DY, Message("A change of the value is a change of the result, multiplied by the scale."))],
    ),
    "shared_dense": shared_dense,
    "own_dense": own_dense,
    "member_scale": member_scale,
    "member_batch_norm": member_batch_norm,
    "member_layer_norm": member_layer_norm,
    "member_rms_norm": member_rms_norm,
    "add": lambda *_: Both(
        [
            Line(
                "y",
                X + SKIP,
                Message("The residual block ends: what came into it is added to what its layers have made of it."),
            )
        ],
        [Line("dx", DY, Message("A sum hands its gradient on, unchanged, to each of its terms: here to both ways."))],
    ),
}


def _of_layer(layer: Layer, train: bool, rows: int) -> Both:
    if layer.name in LAYERS and operation(layer.name) is type(layer):
        return LAYERS[layer.name](layer, train, rows)
    given = (X, SKIP) if layer.skips else (X,)
    gave = opaque(f"{layer.name}.backward", *given, Y, DY)
    return Both(
        [Line("y", opaque(layer.name, *given), UNKNOWN)],
        [Line(name, gave, UNKNOWN) for name in (*(f"g.{name}" for name in layer.params()), "dx")],
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
