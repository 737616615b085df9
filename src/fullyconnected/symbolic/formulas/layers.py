"""The formulas of the layers, forward and backward."""

import math
from collections.abc import Callable
from typing import Any

from fullyconnected.base import Layer
from fullyconnected.layers import operation
from fullyconnected.symbolic.expression import (
    Expression,
    Name,
    Placed,
    Reduce,
    Taken,
    call,
    mean,
    number,
    opaque,
    where,
    with_names,
)
from fullyconnected.symbolic.formulas.activations import of_activation
from fullyconnected.symbolic.formulas.lines import DY, EPSILON, ONES, UNKNOWN, Both, Line, X, Y

__all__ = ["LAYERS", "backward", "d_skip", "forward"]

W, B, MASK, SKIP, A, F = (Name(letter) for letter in ("W", "b", "m", "skip", "a", "f"))
GAMMA, BETA, N, RATE, S = (Name(letter) for letter in ("gamma", "beta", "n", "rate", "s"))
MEAN, VARIANCE, MOMENTUM = Name("running_mean"), Name("running_var"), Name("momentum")
R, U, V = (Name(letter) for letter in "ruv")  # of an ensemble
FREQUENCIES, PHI, V, E = (Name(letter) for letter in ("w", "phi", "v", "e"))
OFFSET, SCALE, D, H = Name("mean"), Name("scale"), Name("d"), Name("h")
LEFT, RIGHT, LOW, HIGH, AFTER, UNTIL = (Name(word) for word in ("left", "right", "low", "high", "after", "until"))


def _divided(layer: Any, product: Expression) -> Expression:
    return product / call("sqrt", number(layer.n_in)) if layer.parametrization == "ntk" else product


def _dense(layer: Any, train: bool, rows: int) -> Both:
    why = f"Each unit adds up its inputs times their weights{', and its bias' * layer.bias}."
    if layer.parametrization == "ntk":
        why += " Dividing by the square root of their number makes weights of about 1 suitable for any width."
    of_w = Line(
        "g.W",
        _divided(layer, X.T @ DY),
        "A weight multiplies an input: its gradient is that input times the gradient of the unit it leads to, summed "
        "over the rows.",
    )
    of_b = Line("g.b", ONES.T @ DY, "A bias is added in every row: its gradient is the sum over the rows.")
    back = "An input affects L through every unit: its gradient is the sum of theirs, each times the weight."
    return Both(
        [Line("y", _divided(layer, X @ W) + B if layer.bias else _divided(layer, X @ W), why)],
        [of_w, *[of_b] * layer.bias, Line("dx", _divided(layer, DY @ W.T), back)],
    )


def _shared_dense(layer: Any, train: bool, rows: int) -> Both:
    x = call("copied", X, R) if layer.first else X
    y = call("scaled", U, S)
    dz = call("scaled", DY, S)
    dv = _divided(layer, dz @ W.T)
    to_x = call("scaled", dv, R)
    of_b = Line("g.b", call("over_rows", DY, B), "Each member adds its b in every row: the sum over its rows.")
    return Both(
        [
            Line("c.v", call("scaled", x, R), "Each member m scales the inputs by an r of its own."),
            Line(
                "c.u",
                _divided(layer, V @ W),
                "The weights are those of all members, so that one product does for all of them.",
            ),
            Line("y", call("shifted", y, B) if layer.bias else y, "Each member scales the sums, and adds its bias."),
        ],
        [
            *[of_b] * layer.bias,
            Line(
                "g.s", call("over_rows", U * DY, S), "s multiplies u: its gradient is u times that of y, over the rows."
            ),
            Line(
                "g.W",
                _divided(layer, V.T @ dz),
                "A weight that all members have in common: the sum over the rows of all of them.",
            ),
            Line(
                "g.r", call("over_rows", dv * x, R), "r multiplies x: its gradient is x times that of v, over the rows."
            ),
            Line(
                "dx",
                call("over_members", to_x, R) if layer.first else to_x,
                "An input affects L through every unit" + " of each member" * layer.first + ".",
            ),
        ],
    )


def _own_dense(layer: Any, train: bool, rows: int) -> Both:
    x = call("copied", X, W) if layer.first else X
    y = _divided(layer, call("own", x, W))
    dx = _divided(layer, call("own_back", DY, W))
    of_b = Line("g.b", call("over_rows", DY, B), "Each member adds its b in every row: the sum over its rows.")
    return Both(
        [Line("y", call("shifted", y, B) if layer.bias else y, "Each member m has weights of its own.")],
        [
            *[of_b] * layer.bias,
            Line(
                "g.W",
                _divided(layer, call("own_outer", x, DY, W)),
                "The product of each member's inputs and gradients, over its rows.",
            ),
            Line(
                "dx",
                call("over_members", dx, W) if layer.first else dx,
                "An input affects L through every unit" + " of each member" * layer.first + ".",
            ),
        ],
    )


def _member_scale(layer: Any, train: bool, rows: int) -> Both:
    x = call("copied", X, R)
    return Both(
        [Line("y", call("scaled", x, R), "Each member m scales the inputs by an r of its own.")],
        [
            Line(
                "g.r", call("over_rows", DY * x, R), "r multiplies x: its gradient is x times that of y, over the rows."
            ),
            Line("dx", call("over_members", call("scaled", DY, R), R), "An input affects L through every member."),
        ],
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
            Line("y", GAMMA * N + BETA, _SCALED),
        ],
        _normed_back("units", True),
    )


def _member_layer_norm(layer: Any, train: bool, rows: int) -> Both:
    forward = _layer_norm(layer, train, rows).forward
    y = call("shifted", call("scaled", N, GAMMA), BETA)
    dn = call("scaled", DY, GAMMA)
    return Both(
        [*forward[:-1], Line("y", y, f"{_SCALED} Each member m has its own.")],
        [*_of_gains(N), _normed_dx(dn, "units", True)],
    )


def _rms_norm(layer: Any, train: bool, rows: int) -> Both:
    return Both(
        [
            Line("c.rate", 1 / call("sqrt", mean(X * X, "units") + EPSILON), "One over each row's root mean square."),
            Line("c.n", X * RATE, "Each row is divided by its root mean square; no mean is subtracted."),
            Line("y", GAMMA * N, "Each unit has one parameter, the gain gamma."),
        ],
        [
            Line("g.gamma", ONES.T @ (DY * N), _OF_GAMMA),
            _rooted_dx(DY * GAMMA),
        ],
    )


def _member_rms_norm(layer: Any, train: bool, rows: int) -> Both:
    *normalised, _ = _rms_norm(layer, train, rows).forward
    of_gamma = _of_gains(N)[1]
    return Both(
        [*normalised, Line("y", call("scaled", N, GAMMA), "Each unit of each member m has a gain gamma of its own.")],
        [of_gamma, _rooted_dx(call("scaled", DY, GAMMA))],
    )


def _rooted_dx(dn: Expression) -> Line:
    why = "An entry also changes the root mean square of its row: that part of the gradient is subtracted."
    return Line("dx", (dn - N * mean(dn * N, "units")) * RATE, why)


def _batch_norm(layer: Any, train: bool, rows: int) -> Both:
    forward, dx = _over_rows(train, rows, X, DY * GAMMA, MEAN, VARIANCE)
    statistics = forward[2:]
    y = Line("y", GAMMA * N + BETA, _SCALED)
    return Both([*forward[:2], y, *statistics], [*_normed_back("rows", train)[:2], dx])


def _member_batch_norm(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of batch normalisation with the units of all members side by side."""

    def narrow(line: Line) -> Line:
        return line._replace(formula=call("narrow", line.formula, GAMMA))

    gamma, beta, running_mean, running_var = (call("flat", name) for name in (GAMMA, BETA, MEAN, VARIANCE))
    x, dn = call("wide", X, GAMMA), call("wide", DY, GAMMA) * gamma
    forward, dx = _over_rows(train, rows // layer.k, x, dn, running_mean, running_var)
    y = Line("y", gamma * N + beta, f"{_SCALED} Each member has its own, and its own statistics.")
    return Both([*forward[:2], *map(narrow, (y, *forward[2:]))], [*_of_gains(call("narrow", N, GAMMA)), narrow(dx)])


def _of_gains(n: Expression) -> list[Line]:
    """Return the lines of the gradients of gamma and beta where each member has its own."""
    return [
        Line("g.beta", call("over_rows", DY, BETA), "beta is added in every row of its member: the sum over its rows."),
        Line(
            "g.gamma", call("over_rows", DY * n, GAMMA), "gamma multiplies n: n times the gradient of y, over its rows."
        ),
    ]


def _over_rows(
    train: bool, rows: int, x: Expression, dn: Expression, running_mean: Expression, running_var: Expression
) -> tuple[list[Line], Line]:
    """Return the lines of forward without that of y, and that of dx, for statistics of each column over the rows."""
    dx = _normed_dx(dn, "rows", train)
    if not train:
        of_one = 1 / call("sqrt", running_var + EPSILON)
        return [
            Line("c.rate", of_one, "One over each unit's running standard deviation."),
            Line("c.n", (x - running_mean) * RATE, "Outside training, running statistics replace those of the batch."),
        ], dx
    variance = Reduce("var", "rows", x)
    kept = 1 - MOMENTUM
    follows = MOMENTUM * variance * (number(rows) / max(rows - 1, 1))
    moved = kept * running_mean + MOMENTUM * mean(x, "rows")
    return [
        Line("c.rate", 1 / call("sqrt", variance + EPSILON), "One over each unit's standard deviation in the batch."),
        Line("c.n", (x - mean(x, "rows")) * RATE, "Each unit is normalised to mean 0 and variance 1 in the batch."),
        Line("p.running_mean", moved, "The running mean moves towards the batch's."),
        Line(
            "p.running_var", kept * running_var + follows, "The running variance moves towards the batch's, unbiased."
        ),
    ], dx


_OF_GAMMA = "gamma multiplies n: its gradient is n times that of y, over all rows."
_SCALED = "Each unit has two parameters, the gain gamma and the shift beta."


def _parametric(layer: Any, train: bool, rows: int) -> Both:
    of = of_activation(layer.activation)
    *keeps, (_, formula, what) = of.forward
    why = (
        "Each unit learns how much of the activation it has: with a = 0 it is linear, with a = 1 it is the activation."
    )
    changed = with_names(of.backward[-1].formula, {Y: F, DY: A * DY})
    return Both(
        [*keeps, Line("c.f", formula, what), Line("y", X + A * (F - X), why)],
        [
            Line("g.a", ONES.T @ ((F - X) * DY), "a multiplies what the activation changes: its gradient is summed."),
            Line(
                "dx", (1 - A) * DY + changed, "The part that is linear, and the chain rule for the activation's part."
            ),
        ],
    )


def _periodic(layer: Any, train: bool, rows: int) -> Both:
    turn, w = number(2 * math.pi), call("each_own", FREQUENCIES)
    angle = turn * call("each_row", X) * w + call("each_own", PHI) if layer.phases else turn * call("each_row", X) * w
    cosine, sine = call("cos", angle), call("sin", angle)
    waves = "Each column has waves of its own; 6.28 is 2 pi, a whole turn."
    e = call("each", V, W) + call("each_own", B)
    e = call("max", e, number(0)) if layer.rectified else e
    linear = (
        "For each column j, a product of its own turns waves into outputs"
        + ", of which none is below 0" * layer.rectified
    )
    side = "The outputs of the columns stand side by side" + ", each behind its column itself." * layer.phases
    de: Expression = call("back_to", DY, E)
    de = de * (E > 0) if layer.rectified else de
    dv = call("each_back", de, W)
    if layer.phases:
        dz: Expression = -(sine * dv)
    else:
        dz = call("second_half", dv) * call("first_half", V) - call("first_half", dv) * call("second_half", V)
    dx: Expression = call("of_waves", turn * w * dz)
    of_phi = Line("g.phi", call("of_rows", dz), "A phase is added in every row: its gradient is the sum over the rows.")
    return Both(
        [
            Line("c.v", cosine if layer.phases else call("joined", cosine, sine), waves),
            Line("c.e", e, f"{linear}."),
            Line("y", call("rows_beside", X, E) if layer.phases else call("rows_of", E), side.removesuffix(".") + "."),
        ],
        [
            Line("g.b", call("of_rows", de), "A bias is added in every row: its gradient is the sum over the rows."),
            Line(
                "g.W",
                call("each_outer", V, de),
                "As in a dense layer, for each column: waves times gradients of outputs.",
            ),
            *[of_phi] * layer.phases,
            Line(
                "g.w",
                call("of_rows", turn * call("each_row", X) * dz),
                "A frequency is multiplied by the column: its gradient is the column times that of the angle.",
            ),
            Line(
                "dx",
                dx + call("back_beside", DY, X) if layer.phases else dx,
                "A column turns all of its waves, each by its frequency"
                + (", and is an output itself." if layer.phases else "."),
            ),
        ],
    )


def _shares() -> tuple[Line, Callable[[Expression], Expression]]:
    """Return the line of the shares of bins, and a function that gives the gradient by x of that by the shares."""
    x, left, right = call("each_row", X), call("each_own", LEFT), call("each_own", RIGHT)
    inside = (x > call("each_own", AFTER)) * (1 - (x > call("each_own", UNTIL)))
    line = Line(
        "c.v",
        call("clip", (x - left) / (right - left), call("each_own", LOW), call("each_own", HIGH)),
        "How much of each bin of its column lies below x, from 0 to 1; the first and the last bin go on.",
    )
    return line, lambda dv: call("of_waves", dv * inside / (right - left))


ENDS = "after and until are left and right, but the first and the last bin go on."


def _encoding(layer: Any, train: bool, rows: int) -> Both:
    shares, pulled = _shares()
    return Both(
        [shares, Line("y", call("rows_of", V), "The shares of the columns stand side by side.")],
        [
            Line(
                "dx", pulled(call("back_to", DY, V)), f"A step of x moves the share of the bin in which it lies; {ENDS}"
            )
        ],
    )


def _piecewise(layer: Any, train: bool, rows: int) -> Both:
    shares, pulled = _shares()
    x, w = call("each_row", X), call("each_own", FREQUENCIES)
    de = call("back_to", DY, E)
    return Both(
        [
            shares,
            Line(
                "c.e",
                call("each", V, W) + x * w + call("each_own", B),
                "For each column j, a line with the slopes w, which bends at the edges of the bins by its W.",
            ),
            Line("y", call("rows_of", E), "The outputs of the columns stand side by side."),
        ],
        [
            Line("g.b", call("of_rows", de), "A bias is added in every row: its gradient is the sum over the rows."),
            Line(
                "g.W",
                call("each_outer", V, de),
                "As in a dense layer, for each column: shares of bins times gradients of outputs.",
            ),
            Line(
                "g.w",
                call("of_rows", x * de),
                "w multiplies the column: its gradient is the column times that of the output, over the rows.",
            ),
            Line(
                "dx",
                pulled(call("each_back", de, W)) + call("of_waves", de * w),
                f"A step of x moves the share of the bin in which it lies, and the line; {ENDS}",
            ),
        ],
    )


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
            y, values = call("beside", y, call("isnan", X)), Taken(DY, tuple(range(layer.n_in)))
            why += " Beside the values stand the indicators: 1 where a value is missing."
        forward.append(Line("y", y, why.strip()))
    dx = values / H ** number(3) / SCALE if layer.clip else values / SCALE
    back = "A step of an input is a step of its standardised value, divided by the scale."
    if layer.clip:
        back += " The slope of the smooth clip is 1 / h^3."
    if layer.missing:
        back += " A missing value has no gradient."
    return Both(forward, [Line("dx", where(gone, 0, dx) if layer.missing else dx, back)])


def _one_hot(layer: Any, train: bool, rows: int) -> Both:
    why = "The column of the level that the code stands for is 1, and the others are 0."
    return Both(
        [Line("y", call("indicator", X, number(layer.levels)), why)],
        [Line("dx", 0 * X, "A code is no quantity: it has no gradient.")],
    )


def _embedding(layer: Any, train: bool, rows: int) -> Both:
    row = where(number(0) > X, layer.levels, X)
    chosen = call("indicator", Name("row"), number(layer.levels + 1))
    return Both(
        [
            Line("c.row", row, "A code is the number of its row of W; an unknown level has the last one."),
            Line("y", chosen @ W, "The row of W that the code chooses, as a product with ones and zeros."),
        ],
        [
            Line("g.W", chosen.T @ DY, "Each row of W has the sum of the gradients of the rows that chose it."),
            Line("dx", 0 * X, "A code is no quantity: it has no gradient."),
        ],
    )


def _select(layer: Any, train: bool, rows: int) -> Both:
    dx = Placed(DY, tuple(layer.columns), layer.n_in)
    return Both(
        [Line("y", Taken(X, tuple(layer.columns)), "The part reads these columns, as they are given.")],
        [Line("dx", dx, "The columns that a part reads have its gradient; it has none for the others.")],
        dx,
    )


def _concatenate(layer: Any, train: bool, rows: int) -> Both:
    parts = [Name("x", str(k)) for k in range(1, len(layer.widths) + 1)]
    why = "Each part has the gradient of its own columns."
    return Both(
        [Line("y", call("beside", *parts), "The outputs of the parts, side by side.")],
        [
            Line(f"dx{part.index}", Taken(DY, tuple(range(of.start, of.stop))), why)
            for part, of in zip(parts, layer.places(), strict=True)
        ],
    )


def _normed_back(over: str, through: bool) -> list[Line]:
    return [
        Line("g.beta", ONES.T @ DY, "beta is added in every row: its gradient is the sum over the rows."),
        Line("g.gamma", ONES.T @ (DY * N), _OF_GAMMA),
        _normed_dx(DY * GAMMA, over, through),
    ]


def _normed_dx(dn: Expression, over: str, through: bool) -> Line:
    if through:
        dx = (dn - mean(dn, over) - N * mean(dn * N, over)) * RATE
        of = "row" if over == "units" else "batch"
        why = f"An entry also changes the mean and variance of its {of}: their parts of the gradient are subtracted."
    else:
        dx, why = dn * RATE, "The running statistics are constants here, so only the scale remains."
    return Line("dx", dx, why)


# The arguments are the layer, whether it is training, and the number of rows.
LAYERS: dict[str, Callable[[Any, bool, int], Both]] = {
    "dense": _dense,
    "activation": lambda layer, *_: of_activation(layer.activation),
    "dropout": _dropout,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "batch_norm": _batch_norm,
    "parametric": _parametric,
    "periodic_embedding": _periodic,
    "piecewise_linear_encoding": _encoding,
    "piecewise_linear_embedding": _piecewise,
    "standardize": _standardize,
    "scale": lambda *_: Both(
        [Line("y", S * X, "Each column has a learned factor.")],
        [
            Line("g.s", ONES.T @ (X * DY), "s multiplies x: its gradient is x times that of y, over all rows."),
            Line("dx", S * DY, "A step of an input is a step of the output, multiplied by the factor."),
        ],
    ),
    "one_hot": _one_hot,
    "embedding": _embedding,
    "select": _select,
    "concatenate": _concatenate,
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
    "shared_dense": _shared_dense,
    "own_dense": _own_dense,
    "member_scale": _member_scale,
    "member_batch_norm": _member_batch_norm,
    "member_layer_norm": _member_layer_norm,
    "member_rms_norm": _member_rms_norm,
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
