"""The formulas of layers that normalise."""

from typing import Any

from fullyconnected.core.messages import Message
from fullyconnected.symbolic.expression import (
    Expression,
    Name,
    Reduce,
    call,
    mean,
    number,
)
from fullyconnected.symbolic.formulas.lines import DY, EPSILON, ONES, Both, Line, X

__all__ = ["batch_norm", "layer_norm", "member_batch_norm", "member_layer_norm", "member_rms_norm", "rms_norm"]

GAMMA, BETA, N, RATE = (Name(letter) for letter in ("gamma", "beta", "n", "rate"))
MEAN, VARIANCE, MOMENTUM = Name("running_mean"), Name("running_var"), Name("momentum")

OF_GAMMA = Message("gamma multiplies n, so its gradient is n times that of the product, summed over the samples.")
OF_BETA = Message("beta is added in every sample, so its gradient is the sum over the samples.")
OVER_ITS_SAMPLES = Message("Of each member, its own samples count.")
OF_EACH_MEMBER = Message("Each member m has its own.")
SCALED = Message(
    "Each unit has two parameters, so that it can have any scale again: the gain gamma and the shift beta."
)
GAINED = Message("Each unit has one parameter, so that it can have any scale again: the gain gamma.")
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


def layer_norm(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of layer normalisation."""
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


def member_layer_norm(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of layer normalisation in an ensemble."""
    forward = layer_norm(layer, train, rows).forward
    y = call("shifted", call("scaled", N, GAMMA), BETA)
    dn = call("scaled", DY, GAMMA)
    return Both(
        [*forward[:-1], Line("y", y, SCALED + OF_EACH_MEMBER)],
        [*_of_gains(N), _normed_dx(dn, "units", True)],
    )


def rms_norm(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of normalisation by the root mean square."""
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


def member_rms_norm(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of the same in an ensemble."""
    *normalised, _ = rms_norm(layer, train, rows).forward
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


def batch_norm(layer: Any, train: bool, rows: int) -> Both:
    """Return the lines of batch normalisation."""
    forward, dx = _over_rows(train, rows, X, DY * GAMMA, MEAN, VARIANCE)
    statistics = forward[2:]
    y = Line("y", GAMMA * N + BETA, SCALED)
    return Both([*forward[:2], y, *statistics], [*_normed_back("rows", train)[:2], dx])


def member_batch_norm(layer: Any, train: bool, rows: int) -> Both:
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


def _normed_back(over: str, through: bool) -> list[Line]:
    return [
        Line("g.beta", ONES.T @ DY, OF_BETA),
        Line("g.gamma", ONES.T @ (DY * N), OF_GAMMA),
        _normed_dx(DY * GAMMA, over, through),
    ]


def _normed_dx(dn: Expression, over: str, through: bool) -> Line:
    if through:
        dx = (dn - mean(dn, over) - N * mean(dn * N, over)) * RATE
        why = THREE_WAYS[over]
    else:
        dx = dn * RATE
        why = Message("The running statistics are constants here, so that only the scale remains.")
    return Line("dx", dx, why)
