"""The formulas of the layers, forward and backward."""

import math
from collections.abc import Callable
from typing import Any

from fullyconnected.base import Layer
from fullyconnected.core.messages import Message
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
    why = Message("Each unit multiplies its inputs by its weights, and adds up the products.")
    if layer.bias:
        why = Message("Each unit multiplies its inputs by its weights, and adds up the products and its bias.")
    if layer.parametrization == "ntk":
        why += Message("Dividing by the root of the number of inputs makes weights of about 1 suitable for any width.")
    of_w = Line(
        "g.W",
        _divided(layer, X.T @ DY),
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
        [Line("y", _divided(layer, X @ W) + B if layer.bias else _divided(layer, X @ W), why)],
        [of_w, *[of_b] * layer.bias, Line("dx", _divided(layer, DY @ W.T), back)],
    )


def _shared_dense(layer: Any, train: bool, rows: int) -> Both:
    x = call("copied", X, R) if layer.first else X
    y = call("scaled", U, S)
    dz = call("scaled", DY, S)
    dv = _divided(layer, dz @ W.T)
    to_x = call("scaled", dv, R)
    of_b = Line("g.b", call("over_rows", DY, B), OF_MEMBERS_B)
    scales = Message("Each member scales the sums by an s of its own.")
    adds = Message("Each member scales the sums by an s of its own, and adds its bias.")
    return Both(
        [
            Line("c.v", call("scaled", x, R), BY_R),
            Line(
                "c.u",
                _divided(layer, V @ W),
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
                _divided(layer, V.T @ dz),
                Message(
                    "All members use the weight, so its gradient sums their shares over the samples of all of them."
                ),
            ),
            Line("g.r", call("over_rows", dv * x, R), OF_R),
            Line("dx", call("over_members", to_x, R) if layer.first else to_x, _to_x(layer)),
        ],
    )


def _own_dense(layer: Any, train: bool, rows: int) -> Both:
    x = call("copied", X, W) if layer.first else X
    y = _divided(layer, call("own", x, W))
    dx = _divided(layer, call("own_back", DY, W))
    of_b = Line("g.b", call("over_rows", DY, B), OF_MEMBERS_B)
    why = Message("Each member m has weights of its own, and adds up its inputs times these.")
    return Both(
        [Line("y", call("shifted", y, B) if layer.bias else y, why)],
        [
            *[of_b] * layer.bias,
            Line(
                "g.W",
                _divided(layer, call("own_outer", x, DY, W)),
                Message(
                    "As in a single network, for each member: its inputs times the gradients of its units, summed over "
                    "its samples."
                ),
            ),
            Line("dx", call("over_members", dx, W) if layer.first else dx, _to_x(layer)),
        ],
    )


def _member_scale(layer: Any, train: bool, rows: int) -> Both:
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


def _dropout(layer: Any, train: bool, rows: int) -> Both:
    if not train or layer.rate == 0:
        nothing = Message("Dropout drops nothing outside training: the numbers go on as they are.")
        return Both(
            [Line("y", X, nothing)], [Line("dx", DY, Message("Nothing was dropped: the gradient is the same."))]
        )
    why = Message("The mask m sets some numbers to 0, and scales up the others so that the mean stays about the same.")
    back = Message("A dropped number had no say, so no gradient comes back to it; the others were multiplied by m.")
    return Both([Line("y", MASK * X, why)], [Line("dx", DY * MASK, back)])


def _layer_norm(layer: Any, train: bool, rows: int) -> Both:
    return Both(
        [
            Line(
                "c.rate",
                1 / call("sqrt", Reduce("var", "units", X) + EPSILON),
                Message("One over each sample's standard deviation; epsilon avoids a division by 0."),
            ),
            Line(
                "c.n",
                (X - mean(X, "units")) * RATE,
                Message("Each sample is normalised: its numbers have mean 0 and variance 1 now."),
            ),
            Line("y", GAMMA * N + BETA, SCALED),
        ],
        _normed_back("units", True),
    )


def _member_layer_norm(layer: Any, train: bool, rows: int) -> Both:
    forward = _layer_norm(layer, train, rows).forward
    y = call("shifted", call("scaled", N, GAMMA), BETA)
    dn = call("scaled", DY, GAMMA)
    return Both(
        [*forward[:-1], Line("y", y, SCALED + OF_EACH_MEMBER)],
        [*_of_gains(N), _normed_dx(dn, "units", True)],
    )


def _rms_norm(layer: Any, train: bool, rows: int) -> Both:
    return Both(
        [
            Line(
                "c.rate",
                1 / call("sqrt", mean(X * X, "units") + EPSILON),
                Message("One over the root of each sample's mean square; epsilon avoids a division by 0."),
            ),
            Line("c.n", X * RATE, Message("Each sample is divided by its root mean square; no mean is subtracted.")),
            Line("y", GAMMA * N, GAINED),
        ],
        [
            Line("g.gamma", ONES.T @ (DY * N), OF_GAMMA),
            _rooted_dx(DY * GAMMA),
        ],
    )


def _member_rms_norm(layer: Any, train: bool, rows: int) -> Both:
    *normalised, _ = _rms_norm(layer, train, rows).forward
    of_gamma = _of_gains(N)[1]
    return Both(
        [*normalised, Line("y", call("scaled", N, GAMMA), GAINED + OF_EACH_MEMBER)],
        [of_gamma, _rooted_dx(call("scaled", DY, GAMMA))],
    )


def _rooted_dx(dn: Expression) -> Line:
    why = Message(
        "A number has two ways to L: by itself, and by the root mean square of its sample. What goes the second way is "
        "subtracted."
    )
    return Line("dx", (dn - N * mean(dn * N, "units")) * RATE, why)


def _batch_norm(layer: Any, train: bool, rows: int) -> Both:
    forward, dx = _over_rows(train, rows, X, DY * GAMMA, MEAN, VARIANCE)
    statistics = forward[2:]
    y = Line("y", GAMMA * N + BETA, SCALED)
    return Both([*forward[:2], y, *statistics], [*_normed_back("rows", train)[:2], dx])


def _member_batch_norm(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of batch normalisation with the units of all members side by side."""

    def narrow(line: Line) -> Line:
        return line._replace(formula=call("narrow", line.formula, GAMMA))

    gamma, beta, running_mean, running_var = (call("flat", name) for name in (GAMMA, BETA, MEAN, VARIANCE))
    x, dn = call("wide", X, GAMMA), call("wide", DY, GAMMA) * gamma
    forward, dx = _over_rows(train, rows // layer.k, x, dn, running_mean, running_var)
    y = Line("y", gamma * N + beta, SCALED + OF_EACH_MEMBER)
    return Both([*forward[:2], *map(narrow, (y, *forward[2:]))], [*_of_gains(call("narrow", N, GAMMA)), narrow(dx)])


def _of_gains(n: Expression) -> list[Line]:
    """Return the lines of the gradients of gamma and beta where each member has its own."""
    return [
        Line("g.beta", call("over_rows", DY, BETA), OF_BETA + OVER_ITS_SAMPLES),
        Line("g.gamma", call("over_rows", DY * n, GAMMA), OF_GAMMA + OVER_ITS_SAMPLES),
    ]


def _over_rows(
    train: bool, rows: int, x: Expression, dn: Expression, running_mean: Expression, running_var: Expression
) -> tuple[list[Line], Line]:
    """Return the lines of forward without that of y, and that of dx, for statistics of each column over the rows."""
    dx = _normed_dx(dn, "rows", train)
    if not train:
        of_one = 1 / call("sqrt", running_var + EPSILON)
        return [
            Line(
                "c.rate",
                of_one,
                Message("One over each unit's standard deviation, that of training; epsilon avoids a division by 0."),
            ),
            Line(
                "c.n",
                (x - running_mean) * RATE,
                Message("Outside training, the running statistics stand in for those of the batch."),
            ),
        ], dx
    variance = Reduce("var", "rows", x)
    kept = 1 - MOMENTUM
    follows = MOMENTUM * variance * (number(rows) / max(rows - 1, 1))
    moved = kept * running_mean + MOMENTUM * mean(x, "rows")
    return [
        Line(
            "c.rate",
            1 / call("sqrt", variance + EPSILON),
            Message("One over each unit's standard deviation in the batch; epsilon avoids a division by 0."),
        ),
        Line(
            "c.n",
            (x - mean(x, "rows")) * RATE,
            Message("Each unit is normalised: over the samples of the batch it has mean 0 and variance 1 now."),
        ),
        Line(
            "p.running_mean",
            moved,
            Message("The running mean moves a little towards that of the batch; predictions use it later."),
        ),
        Line(
            "p.running_var",
            kept * running_var + follows,
            Message("The running variance moves a little towards that of the batch, made unbiased by n / (n - 1)."),
        ),
    ], dx


def _to_x(layer: Any) -> Message:
    if layer.first:
        return Message("An input goes to every unit of each member, and the gradients of all of these ways are added.")
    return Message("An input goes to every unit of its member, and the gradients of all of these ways are added.")


OF_B = Message("A bias is added in every sample, and a sum hands on its gradient: those of all samples are added.")
OF_MEMBERS_B = Message("Each member adds its bias in every sample: the gradients of its samples are added.")
BY_R = Message("Each member m scales the inputs by an r of its own.")
OF_R = Message("r multiplies x: its gradient is x times that of the product, summed over the member's samples.")
OF_GAMMA = Message("gamma multiplies n, so its gradient is n times that of the product, summed over the samples.")
OF_BETA = Message("beta is added in every sample, so its gradient is the sum over the samples.")
OVER_ITS_SAMPLES = Message("Of each member, its own samples count.")
OF_EACH_MEMBER = Message("Each member m has its own.")
SCALED = Message(
    "Each unit has two parameters, so that it can have any scale again: the gain gamma and the shift beta."
)
GAINED = Message("Each unit has one parameter, so that it can have any scale again: the gain gamma.")


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


def _periodic(layer: Any, train: bool, rows: int) -> Both:
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


ENDS = Message("after and until are left and right, but the first and the last bin go on.")
SIDE_BY_SIDE = Message("The outputs of all inputs stand side by side.")


def _encoding(layer: Any, train: bool, rows: int) -> Both:
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


def _standardize(layer: Any, train: bool, rows: int) -> Both:
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


def _one_hot(layer: Any, train: bool, rows: int) -> Both:
    why = Message("The unit of the level that the code stands for is 1, and the others are 0.")
    return Both(
        [Line("y", call("indicator", X, number(layer.levels)), why)],
        [Line("dx", 0 * X, NO_QUANTITY)],
    )


def _embedding(layer: Any, train: bool, rows: int) -> Both:
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


def _select(layer: Any, train: bool, rows: int) -> Both:
    dx = Placed(DY, tuple(layer.columns), layer.n_in)
    return Both(
        [Line("y", Taken(X, tuple(layer.columns)), Message("The part reads these inputs, as they are given."))],
        [Line("dx", dx, Message("The inputs that a part reads have its gradient; it has none for the others."))],
        dx,
    )


def _concatenate(layer: Any, train: bool, rows: int) -> Both:
    parts = [Name("x", str(k)) for k in range(1, len(layer.widths) + 1)]
    why = Message("Each part has the gradient of its own outputs.")
    return Both(
        [Line("y", call("beside", *parts), Message("The outputs of the parts, side by side."))],
        [
            Line(f"dx{part.index}", Taken(DY, tuple(range(of.start, of.stop))), why)
            for part, of in zip(parts, layer.places(), strict=True)
        ],
    )


def _normed_back(over: str, through: bool) -> list[Line]:
    return [
        Line("g.beta", ONES.T @ DY, OF_BETA),
        Line("g.gamma", ONES.T @ (DY * N), OF_GAMMA),
        _normed_dx(DY * GAMMA, over, through),
    ]


NO_QUANTITY = Message("A code is no quantity: it has no gradient.")
THREE_WAYS = {
    "units": Message(
        "A number has three ways to L: by itself, by the mean and by the variance of its sample. What goes by these "
        "two is subtracted."
    ),
    "rows": Message(
        "A number has three ways to L: by itself, by the mean and by the variance of its unit in the batch. What goes "
        "by these two is subtracted."
    ),
}


def _normed_dx(dn: Expression, over: str, through: bool) -> Line:
    if through:
        dx = (dn - mean(dn, over) - N * mean(dn * N, over)) * RATE
        why = THREE_WAYS[over]
    else:
        dx = dn * RATE
        why = Message("The running statistics are constants here, so that only the scale remains.")
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
    "one_hot": _one_hot,
    "embedding": _embedding,
    "select": _select,
    "concatenate": _concatenate,
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
    "shared_dense": _shared_dense,
    "own_dense": _own_dense,
    "member_scale": _member_scale,
    "member_batch_norm": _member_batch_norm,
    "member_layer_norm": _member_layer_norm,
    "member_rms_norm": _member_rms_norm,
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
