"""Parts of the formulas of layers that a worked example tells as lines of their own, such as a mean."""

from collections.abc import Callable

from fullyconnected.base import Layer
from fullyconnected.core.messages import Message
from fullyconnected.layers import operation
from fullyconnected.symbolic.expression import Expression, Name, Reduce, call, mean, number
from fullyconnected.symbolic.formulas.lines import DY, Line, Part, Told, X

__all__ = ["TOLD", "told"]

GAMMA, N = Name("gamma"), Name("n")
MEAN = {
    "units": Message("The mean of the numbers of each sample."),
    "rows": Message("The mean of each unit over the samples of the batch."),
}
VARIANCE = {
    "units": Message("The variance of the numbers of each sample: the mean square of their distances from the mean."),
    "rows": Message("The variance of each unit in the batch: the mean square of its distances from its mean."),
}
SHIFT = {
    "units": Message("What a shift of all numbers of a sample would change: the normalisation takes it away."),
    "rows": Message("What a shift of all samples of a unit would change: the normalisation takes it away."),
}
STRETCH = {
    "units": Message("What a stretch of all numbers of a sample would change: the normalisation takes it away."),
    "rows": Message("What a stretch of all samples of a unit would change: the normalisation takes it away."),
}


def _of_norm(x: Expression, dn: Expression, over: str, *, root: bool = False) -> Told:
    """Return the statistics of a normalisation, and the parts of its gradient, as lines of their own."""
    average, square, shift = mean(x, over), mean(x * x, over), mean(dn, over)
    if root:
        statistics = [Part(square, Line("d.square", square, Message("The mean of the squares of each sample.")))]
    else:
        spread = Line("d.var", mean((x - average) ** number(2), over), VARIANCE[over])
        statistics = [Part(average, Line("d.mean", average, MEAN[over])), Part(Reduce("var", over, x), spread)]
    product = Message("In a product, each factor has the other one as its slope: n has gamma.")
    parts = [Part(dn, Line("d.dn", dn, product))]
    if not root:
        parts.append(Part(shift, Line("d.shift", shift, SHIFT[over])))
    stretch = mean(dn * N, over)
    return Told(statistics, [*parts, Part(stretch, Line("d.stretch", stretch, STRETCH[over]))])


# The argument is whether the layer is training.
TOLD: dict[str, Callable[[bool], Told]] = {
    "layer_norm": lambda _: _of_norm(X, DY * GAMMA, "units"),
    "rms_norm": lambda _: _of_norm(X, DY * GAMMA, "units", root=True),
    "batch_norm": lambda train: _of_norm(X, DY * GAMMA, "rows") if train else Told([], []),
    "member_layer_norm": lambda _: _of_norm(X, call("scaled", DY, GAMMA), "units"),
    "member_rms_norm": lambda _: _of_norm(X, call("scaled", DY, GAMMA), "units", root=True),
    "member_batch_norm": lambda train: (
        _of_norm(call("wide", X, GAMMA), call("wide", DY, GAMMA) * call("flat", GAMMA), "rows")
        if train
        else Told([], [])
    ),
}


def told(layer: Layer, *, train: bool) -> Told:
    """Return the parts of a layer's formulas that are told as lines of their own."""
    known = layer.name in TOLD and operation(layer.name) is type(layer)
    return TOLD[layer.name](train) if known else Told([], [])
