"""The formulas of every layer, activation, loss and optimizer of the library: the one place that has them.

A :class:`Line` says what one result is made of, in the letters of the code: ``x`` and ``y`` go in and out, ``dy`` and
``dx`` are the loss's derivatives, ``g.W`` is a parameter's gradient, ``c.n`` something that forward keeps in its cache.
Other letters are parameters, running statistics and settings. No number is computed here: ``record`` takes each from
what the code has written, and the tests hold the formulas against those numbers.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fullyconnected import activations as f
from fullyconnected import losses, optimizers
from fullyconnected.base import ActivationFunction, Layer, Loss, Optimizer
from fullyconnected.layers import Activation, Add, BatchNorm, Dense, Dropout, LayerNorm
from fullyconnected.symbolic.expression import (
    Binary,
    Expression,
    Name,
    Reduce,
    call,
    chain,
    mean,
    most,
    number,
    opaque,
    total,
    where,
)

__all__ = ["Line", "and_past", "backward", "forward", "of_loss", "update"]


class Line(NamedTuple):
    """One result: where the code writes it, its formula, and why it is so."""

    result: str
    formula: Expression
    why: str


X, Y, DX, DY = Name("x"), Name("y"), Name("dx"), Name("dy")
W, B, ONES = Name("W"), Name("b"), Name("1")
GAMMA, BETA, N, RATE = (Name(letter) for letter in ("gamma", "beta", "n", "rate"))
MEAN, VARIANCE = Name("running_mean"), Name("running_var")
ALPHA, EPSILON, MASK, SIGMOID, TANH = (Name(letter) for letter in ("alpha", "epsilon", "m", "sigmoid", "t"))
SCALE, SLOPE, MOMENTUM = Name("scale"), Name("slope"), Name("momentum")

CHAIN = "The chain rule: the gradient that arrives, times the slope of the function where it was evaluated"


# --- layers -----------------------------------------------------------------------------------------------------------


KNOWN = (Dense, Activation, Dropout, LayerNorm, BatchNorm, Add)  # and no class derived from them


def forward(layer: Layer, *, train: bool, rows: int) -> list[Line]:
    """Return what a layer computes on the way forward for a batch of ``rows``, in order."""
    if type(layer) not in KNOWN:
        return [Line("y", opaque(layer.name, X), "A layer without a known formula: what its code gave.")]
    match layer:
        case Activation(activation=function):
            return _activated(function)[0]
        case Dense(bias=bias):
            plus = " and its bias" if bias else ""
            why = f"Each unit adds up what comes in, each number times its weight{',' * bias}{plus}."
            return [Line("y", X @ W + B if bias else X @ W, why)]
        case Dropout():
            if not train or layer.rate == 0:
                return [Line("y", X, "Dropout drops nothing outside training.")]
            why = "Each entry is dropped with its mask's 0, or scaled up, so that the expected sum stays the same."
            return [Line("y", MASK * X, why)]
        case Add():
            return [Line("y", X + Name("skip"), "The block ends: what came into it is added to what came through it.")]
        case LayerNorm():
            return [
                Line("c.rate", 1 / call("sqrt", Reduce("var", "units", X) + EPSILON), "One over the row's deviation."),
                Line("c.n", (X - mean(X, "units")) * RATE, "Each row is brought to mean 0 and variance 1."),
                Line("y", GAMMA * N + BETA, "Each unit has a gain gamma and a shift beta to learn."),
            ]
    return _batch_norm(train, rows)


def _batch_norm(train: bool, rows: int) -> list[Line]:
    last = Line("y", GAMMA * N + BETA, "Each unit has a gain gamma and a shift beta to learn.")
    if not train:
        return [
            Line("c.rate", 1 / call("sqrt", VARIANCE + EPSILON), "One over the running deviation of each unit."),
            Line("c.n", (X - MEAN) * RATE, "Outside training the running averages stand for the batch."),
            last,
        ]
    variance = Reduce("var", "rows", X)
    kept = 1 - MOMENTUM
    follows = MOMENTUM * variance * (number(rows) / max(rows - 1, 1))
    return [
        Line("c.rate", 1 / call("sqrt", variance + EPSILON), "One over each unit's deviation over the batch."),
        Line("c.n", (X - mean(X, "rows")) * RATE, "Each unit is brought to mean 0 and variance 1 over the batch."),
        last,
        Line("p.running_mean", kept * MEAN + MOMENTUM * mean(X, "rows"), "The running mean follows the batch's."),
        Line("p.running_var", kept * VARIANCE + follows, "The running variance follows the batch's unbiased one."),
    ]


def backward(layer: Layer, *, train: bool) -> list[Line]:
    """Return what a layer computes on the way back, in order."""
    if type(layer) not in KNOWN:
        gave = opaque(f"{layer.name}.backward", X, Y, DY)
        return [
            Line(result, gave, "What its code gave.") for result in (*(f"g.{name}" for name in layer.params()), "dx")
        ]
    match layer:
        case Activation(activation=function):
            return _activated(function)[1]
        case Dense(bias=bias):
            lines = [
                Line(
                    "g.W",
                    X.T @ DY,
                    "A weight is multiplied by its own input: its gradient is that input times the gradient of the "
                    "unit that it leads to, added up over the rows.",
                )
            ]
            if bias:
                why = "A bias is added in every row: its gradient is the sum over the rows."
                lines.append(Line("g.b", ONES.T @ DY, why))
            why = "An input reaches L through every unit it leads to: their gradients add up, each times the weight."
            return [*lines, Line("dx", DY @ W.T, why)]
        case Dropout():
            if not train or layer.rate == 0:
                return [Line("dx", DY, "Nothing was dropped.")]
            return [Line("dx", DY * MASK, "What was dropped has no part in L; the rest was scaled by the same factor.")]
        case Add():
            return [Line("dx", DY, "A sum hands its gradient on unchanged, to the block and to what went past it.")]
        case LayerNorm():
            return _normed_back("units", True)
    return _normed_back("rows", train)


def and_past(line: Line, past: Sequence[int]) -> Line:
    """Return a formula of dx with the gradients that reach the same input from the ends of blocks, called past0, ..."""
    if not past:
        return line
    formula = chain("+", [line.formula, *(Name("past", str(i)) for i in past)])
    why = "Its input went past the block, too: the gradient that comes back on that way is added."
    return Line(line.result, formula, f"{line.why} {why}")


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


# --- activations ------------------------------------------------------------------------------------------------------

Both = tuple[list[Line], list[Line]]


def _function(formula: Expression, slope: Expression | None, what: str, keeps: Sequence[Line] = ()) -> Both:
    match slope:
        case None:
            dx: Expression = DY
        case Binary("*", left, right):  # a chain of products needs no brackets
            dx = DY * left * right
        case _:
            dx = DY * slope
    return [*keeps, Line("y", formula, what)], [Line("dx", dx, f"{CHAIN}.")]


def _relu(_: Any) -> Both:
    return (
        [Line("y", call("max", X, number(0)), "relu lets what is above 0 pass, and makes the rest 0.")],
        [Line("dx", DY * (X > 0), f"{CHAIN}: 1 above 0, else 0; at the kink, 0 itself, it counts as 0.")],
    )


def _elu(function: Any) -> Both:
    if function.scale == 1:
        formula, slope = where(X > 0, X, ALPHA * call("expm1", X)), where(X > 0, 1, Y + ALPHA)
    else:
        formula = where(X > 0, SCALE * X, SCALE * ALPHA * call("expm1", X))
        slope = where(X > 0, SCALE, Y + SCALE * ALPHA)
    return _function(formula, slope, f"{function.name} bends negative numbers towards a floor.")


_SIGMOID = 1 / (1 + call("exp", -X))
_SHIFTED = call("exp", X - most(X, "units"))

ACTIVATIONS: dict[type[ActivationFunction], Callable[[Any], Both]] = {
    f.Identity: lambda _: _function(X, None, "The number itself."),
    f.ReLU: _relu,
    f.LeakyReLU: lambda _: _function(
        where(X > 0, X, SLOPE * X), where(X > 0, 1, SLOPE), "Below 0 it lets a small share of the number pass."
    ),
    f.ELU: _elu,
    f.SELU: _elu,
    f.GELU: lambda _: _function(
        X * call("Phi", X), call("Phi", X) + X * call("phi", X), "Each number times the share of a normal one below it."
    ),
    f.SiLU: lambda _: _function(
        X * SIGMOID,
        SIGMOID + Y * (1 - SIGMOID),
        "Each number times its own sigmoid.",
        [Line("c.sigmoid", _SIGMOID, "The sigmoid, from 0 to 1.")],
    ),
    f.Mish: lambda _: _function(
        X * TANH,
        TANH + X * _SIGMOID * (1 - TANH**2),
        "Each number times the tanh of its softplus.",
        [Line("c.t", call("tanh", call("softplus", X)), "tanh of softplus, from 0 to 1.")],
    ),
    f.Softplus: lambda _: _function(call("softplus", X), 1 - call("exp", -Y), "A smooth form of max(0, h)."),
    f.Sigmoid: lambda _: _function(_SIGMOID, Y * (1 - Y), "sigmoid maps every number to between 0 and 1."),
    f.Tanh: lambda _: _function(call("tanh", X), 1 - Y**2, "tanh maps every number to between -1 and 1."),
    f.Exp: lambda _: _function(call("exp", X), Y, "The exponential, always positive."),
    f.Softmax: lambda _: (
        [Line("y", _SHIFTED / total(_SHIFTED, "units"), "Shares that add up to 1 in each row.")],
        [Line("dx", Y * (DY - total(DY * Y, "units")), f"{CHAIN}: each share depends on every entry of its row.")],
    ),
}


def _activated(function: ActivationFunction) -> Both:
    known = ACTIVATIONS.get(type(function))
    if known is not None:
        return known(function)
    return (
        [Line("y", opaque(function.name, X), "A function without a known formula: what its code gave.")],
        [Line("dx", opaque(f"{function.name}.backward", X, Y, DY), "What its code gave.")],
    )


# --- losses -----------------------------------------------------------------------------------------------------------

Z, T, P, E, R, WEIGHTS = Name("z"), Name("t"), Name("p"), Name("e"), Name("r"), Name("w")
DELTA, Q = Name("delta"), Name("q")
_SIGN = call("sign", E)


class Terms(NamedTuple):
    """A loss: what it keeps, the terms that are added up over a row, and their derivative with respect to z."""

    keeps: list[Line]
    terms: Expression
    slope: Expression
    why: str
    slope_why: str
    factor: Expression | None = None  # of the whole sum


def _softmax(classes: bool) -> Terms:
    shifted = call("exp", Z - most(Z, "units"))
    log_sum = Reduce("logsumexp", "units", Z)
    p = Line(
        "p", shifted / total(shifted, "units"), "The logits as probabilities: shares that add up to 1 in each row."
    )
    if classes:
        terms: Expression = log_sum - call("pick", Z, T)
        slope = P - call("onehot", T, Z)
    else:
        terms, slope = T * (log_sum - Z), P * total(T, "units") - T
    return Terms(
        [p],
        terms,
        slope,
        "Minus the logarithm of the probability that the right class was given.",
        "Softmax and logarithm together have the simplest slope: probability minus target.",
    )


_RIGHT = call("onehot", T, Z) > 0
_MARGIN = where(_RIGHT, 0, call("max", Z - call("pick", Z, T) + 1, number(0)))

LOSSES: dict[type[Loss], Callable[[Any, bool], Terms]] = {
    losses.HalfSquaredError: lambda *_: Terms(
        [],
        (Z - T) ** 2,
        Z - T,
        "Half the squares of the errors, added up.",
        "The half makes the slope of a square the error itself.",
        number(1) / 2,
    ),
    losses.MeanSquaredError: lambda *_: Terms(
        [],
        (Z - T) ** 2,
        2 / Name("k") * (Z - T),
        "The squares of the errors, and their mean over the k outputs.",
        "The slope of a square is twice the error.",
        1 / Name("k"),
    ),
    losses.AbsoluteError: lambda *_: Terms(
        [], call("abs", Z - T), call("sign", Z - T), "How far off each output is.", "Only the side counts, not how far."
    ),
    losses.Huber: lambda *_: Terms(
        [Line("c.r", Z - T, "The errors.")],
        R * call("clip", R, -DELTA, DELTA) - call("clip", R, -DELTA, DELTA) ** 2 / 2,
        call("clip", R, -DELTA, DELTA),
        "Half a square near 0, and a line from delta on.",
        "The error, but never more than delta.",
    ),
    losses.Quantile: lambda *_: Terms(
        [Line("c.r", Z - T, "The errors.")],
        R * where(R > 0, 1 - Q, -Q),
        where(R > 0, 1 - Q, Q * call("sign", R)),
        "An output below its target costs q of the distance, one above it 1 - q.",
        "Only the side counts: the cost of a unit more.",
    ),
    losses.Poisson: lambda *_: Terms(
        [],
        call("exp", Z) - T * Z,
        call("exp", Z) - T,
        "The outputs are logarithms of rates: the rate, minus the logarithm of how likely the count was.",
        "Rate minus count.",
    ),
    losses.BinaryCrossEntropy: lambda *_: Terms(
        [],
        call("softplus", Z) - T * Z,
        1 / (1 + call("exp", -Z)) - T,
        "Minus the logarithm of the probability that the right answer was given.",
        "Probability minus target.",
    ),
    losses.Hinge: lambda *_: Terms(
        [Line("c.e", _MARGIN, "By how much each wrong class comes within the margin of 1.")],
        E,
        where(_RIGHT, -total(_SIGN, "units"), _SIGN),
        "The wrong classes that come too close, added up.",
        "1 for each class that comes too close, and minus their number for the right one.",
    ),
    losses.SoftmaxCrossEntropy: lambda _, classes: _softmax(classes),
}


def of_loss(loss: Loss, *, rows: int, weighted: bool, classes: bool) -> list[Line]:
    """Return what a loss computes: its value ``L``, and ``dz``.

    ``classes`` says that the targets are class numbers, ``weighted`` that the rows have weights of their own.
    """
    known, unknown = LOSSES.get(type(loss)), opaque(loss.name, Z, T)
    slope = opaque(f"{loss.name}.slope", Z, T)
    # with its terms and weights it does what it likes
    if known is None and type(loss).value_and_gradient is not Loss.value_and_gradient:
        why = "A loss without a known formula: what its code gave."
        return [Line("L", unknown, why), Line("dz", slope, "What its code gave.")]
    if known is None:
        why = "A loss without a known formula: the terms that its code gave."
        terms = Terms([Line("c.e", unknown, why)], E, slope, "The terms, added up.", "What its code gave.")
    else:
        terms = known(loss, classes)
    over = "."
    value, slope = total(terms.terms), terms.slope
    if weighted:
        over = ", each row times its weight; the weights w add up to 1."
        value, slope = total(WEIGHTS * terms.terms), WEIGHTS * slope
    if terms.factor is not None:
        value = terms.factor * value
    if rows > 1 and not weighted:
        over = f", and the mean over the {rows} rows."
        value, slope = number(1) / rows * value, number(1) / rows * slope
    return [
        *terms.keeps,
        Line("L", value, f"{terms.why.removesuffix('.')}{over}"),
        Line("dz", slope, terms.slope_why),
    ]


# --- optimizers -------------------------------------------------------------------------------------------------------

THETA, G, LR, STEP = Name("theta"), Name("g"), Name("lr"), Name("step")
V, V_NEW, M, M_NEW = Name("v"), Name("v", new=True), Name("m"), Name("m", new=True)
RHO, BETA1, BETA2, DECAY = Name("rho"), Name("beta", "1"), Name("beta", "2"), Name("weight_decay")


def update(optimizer: Optimizer, *, decays: bool) -> list[Line]:
    """Return how a rule moves one tensor of parameters; ``decays`` says that weight decay shrinks it."""
    against = "Against the gradient, by the learning rate"
    velocity = Line("s.v", MOMENTUM * V + G, "The velocity: a share of the last one, and the gradient.")
    match type(optimizer):
        case optimizers.SGD:
            return [Line("theta", THETA - LR * G, f"{against}.")]
        case optimizers.Momentum:
            return [velocity, Line("theta", THETA - LR * V_NEW, "Against the velocity, by the learning rate.")]
        case optimizers.Nesterov:
            ahead = G + MOMENTUM * V_NEW
            return [velocity, Line("theta", THETA - LR * ahead, "As if the velocity had taken its next step already.")]
        case optimizers.RMSProp:
            return [
                Line("s.v", RHO * V + (1 - RHO) * G**2, "A running mean of the squares of the gradient."),
                Line("theta", THETA - LR * G / (call("sqrt", V_NEW) + EPSILON), f"{against}, over its usual size."),
            ]
        case optimizers.Adam | optimizers.AdamW:
            first, second = M_NEW / (1 - BETA1**STEP), V_NEW / (1 - BETA2**STEP)
            moved, shrinks = (
                LR * first / (call("sqrt", second) + EPSILON),
                type(optimizer) is optimizers.AdamW and decays,
            )
            kept = THETA * (1 - LR * DECAY) if shrinks else THETA
            why = "Against the mean gradient over its usual size; both means are freed of their start at zero."
            return [
                Line("s.m", BETA1 * M + (1 - BETA1) * G, "A running mean of the gradient."),
                Line("s.v", BETA2 * V + (1 - BETA2) * G**2, "A running mean of its square."),
                Line("theta", kept - moved, "Weights decay, too. " * shrinks + why),
            ]
    name, why = optimizer.name, "A rule without a known formula: what its code gave."
    slots = [Line(f"s.{slot}", opaque(f"{name}.{slot}", THETA, G), "What its code gave.") for slot in optimizer.slots]
    return [*slots, Line("theta", opaque(name, THETA, G), why)]
