"""The formulas of the losses."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fullyconnected.base import Loss
from fullyconnected.losses import LOSSES as REGISTERED
from fullyconnected.symbolic.expression import Expression, Name, Reduce, call, mean, most, number, opaque, total, where
from fullyconnected.symbolic.formulas.lines import UNKNOWN, Line, found

__all__ = ["LOSSES", "Terms", "of_loss"]

Z, T, P, E, R, WEIGHTS = Name("z"), Name("t"), Name("p"), Name("e"), Name("r"), Name("w")
DELTA, Q, K, SMOOTHING = Name("delta"), Name("q"), Name("k"), Name("label_smoothing")
_SIGN = call("sign", E)


class Terms(NamedTuple):
    """A loss: its intermediate results, the terms that are summed over a row, and their derivative by z."""

    keeps: list[Line]
    terms: Expression
    slope: Expression
    why: str
    slope_why: str
    factor: Expression | None = None  # of the whole sum


def _softmax(loss: Any, classes: bool) -> Terms:
    shifted = call("exp", Z - most(Z, "units"))
    log_sum = Reduce("logsumexp", "units", Z)
    p = Line(
        "p", shifted / total(shifted, "units"), "softmax turns logits into probabilities that add up to 1 in each row."
    )
    if classes:
        terms: Expression = log_sum - call("pick", Z, T)
        slope = P - call("onehot", T, Z)
    else:
        terms, slope = T * (log_sum - Z), P * total(T, "units") - T
    why, smoothed = "Minus the logarithm of the probability of the right class.", ""
    if loss.label_smoothing:
        kept, even = 1 - SMOOTHING, SMOOTHING / K
        if classes:
            terms = log_sum - kept * call("pick", Z, T) - SMOOTHING * mean(Z, "units")
            slope = P - kept * call("onehot", T, Z) - even
        else:
            goal = kept * T + even
            terms, slope = goal * (log_sum - Z), P * total(goal, "units") - goal
        why = "Training takes label_smoothing of each target away, and spreads it evenly over the k classes. "
        why += "The loss is minus the sum of these targets times the logarithms of the probabilities."
        smoothed = " smoothed"
    return Terms(
        [p],
        terms,
        slope,
        why,
        f"The derivative of softmax and logarithm together is the probability minus the{smoothed} target.",
    )


def _logistic(loss: Any) -> Terms:
    goal: Expression = T
    why, smoothed = "Minus the logarithm of the probability of the right answer.", ""
    if loss.label_smoothing:
        goal, smoothed = (1 - SMOOTHING) * T + SMOOTHING / 2, " smoothed"
        why = "Training moves the targets towards 1/2 by label_smoothing. The loss is the cross-entropy with these."
    return Terms(
        [],
        call("softplus", Z) - goal * Z,
        1 / (1 + call("exp", -Z)) - goal,
        why,
        f"The derivative is the probability minus the{smoothed} target.",
    )


_RIGHT = call("onehot", T, Z) > 0
_MARGIN = where(_RIGHT, 0, call("max", Z - call("pick", Z, T) + 1, number(0)))

# The arguments are the loss, and whether the targets are class numbers.
LOSSES: dict[str, Callable[[Any, bool], Terms]] = {
    "half_squared_error": lambda *_: Terms(
        [],
        (Z - T) ** 2,
        Z - T,
        "Half the sum of the squared errors.",
        "The derivative of half a square is the error itself.",
        number(1) / 2,
    ),
    "mean_squared_error": lambda *_: Terms(
        [],
        (Z - T) ** 2,
        2 / K * (Z - T),
        "The mean of the squared errors over the k outputs.",
        "The derivative of a square is twice the error.",
        1 / K,
    ),
    "absolute_error": lambda *_: Terms(
        [],
        call("abs", Z - T),
        call("sign", Z - T),
        "The sum of the absolute errors.",
        "The derivative is the sign of the error.",
    ),
    "huber": lambda *_: Terms(
        [Line("c.r", Z - T, "The errors.")],
        R * call("clip", R, -DELTA, DELTA) - call("clip", R, -DELTA, DELTA) ** 2 / 2,
        call("clip", R, -DELTA, DELTA),
        "Half the squared error up to delta, and linear beyond.",
        "The derivative is the error, limited to the range from -delta to delta.",
    ),
    "quantile": lambda *_: Terms(
        [Line("c.r", Z - T, "The errors.")],
        R * where(R > 0, 1 - Q, -Q),
        where(R > 0, 1 - Q, Q * call("sign", R)),
        "An output below its target costs q of the distance, one above it 1 - q.",
        "The derivative is -q below the target, and 1 - q above it.",
    ),
    "poisson": lambda *_: Terms(
        [],
        call("exp", Z) - T * Z,
        call("exp", Z) - T,
        "The outputs are logarithms of rates; the loss is minus the log-likelihood of the counts, without a constant.",
        "The derivative is the rate minus the count.",
    ),
    "binary_cross_entropy": lambda loss, _: _logistic(loss),
    "hinge": lambda *_: Terms(
        [Line("c.e", _MARGIN, "How far the score of each wrong class is within the margin of 1.")],
        E,
        where(_RIGHT, -total(_SIGN, "units"), _SIGN),
        "The sum over the wrong classes within the margin.",
        "The derivative is 1 for each wrong class within the margin, and minus their number for the right class.",
    ),
    "softmax_cross_entropy": _softmax,
}


def of_loss(loss: Loss, *, rows: int, weighted: bool, classes: bool) -> list[Line]:
    """Return the lines of a loss: its value ``L``, and ``dz``.

    ``classes`` says that the targets are class numbers, ``weighted`` that there are sample weights.
    """
    known, unknown = found(LOSSES, REGISTERED, loss), opaque(loss.name, Z, T)
    slope = opaque(f"{loss.name}.slope", Z, T)
    # such a loss may weight its terms in its own way
    if known is None and type(loss).value_and_gradient is not Loss.value_and_gradient:
        return [Line("L", unknown, f"{UNKNOWN} of the loss."), Line("dz", slope, f"{UNKNOWN} of its gradient.")]
    if known is None:
        terms_line = Line("c.e", unknown, f"{UNKNOWN} of the loss, its terms.")
        terms = Terms([terms_line], E, slope, "The sum of the terms.", f"{UNKNOWN} of the gradient.")
    else:
        terms = known(loss, classes)
    over = "."
    value, slope = total(terms.terms), terms.slope
    if weighted:
        class_too = "" if getattr(loss, "class_weight", None) is None else ", which includes that of its class"
        over = f", each row times its weight w{class_too}; the weights add up to 1."
        value, slope = total(WEIGHTS * terms.terms), WEIGHTS * slope
    if terms.factor is not None:
        value = terms.factor * value
    if rows > 1 and not weighted:
        over = f", averaged over the {rows} rows."
        value, slope = number(1) / rows * value, number(1) / rows * slope
    return [
        *terms.keeps,
        Line("L", value, f"{terms.why.removesuffix('.')}{over}"),
        Line("dz", slope, terms.slope_why),
    ]
