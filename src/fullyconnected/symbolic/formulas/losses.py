"""The formulas of the losses."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fullyconnected.base import Loss
from fullyconnected.core.messages import Message
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
    why: Message
    slope_why: Message
    factor: Expression | None = None  # of the whole sum


def _softmax(loss: Any, classes: bool) -> Terms:
    shifted = call("exp", Z - most(Z, "units"))
    log_sum = Reduce("logsumexp", "units", Z)
    p = Line(
        "p",
        shifted / total(shifted, "units"),
        Message(
            "softmax makes probabilities of the outputs: the exponential makes them positive, and dividing by their "
            "sum makes them add up to 1. Subtracting the largest changes nothing, and avoids overflow."
        ),
    )
    if classes:
        terms: Expression = log_sum - call("pick", Z, T)
        slope = P - call("onehot", T, Z)
    else:
        terms, slope = T * (log_sum - Z), P * total(T, "units") - T
    why = Message(
        "Minus the logarithm of the probability of the right class: 0 if that is 1, and the larger the smaller it is."
    )
    slope_why = Message(
        "Softmax and logarithm together have a simple slope: the probability minus the target. The right class is "
        "pulled up by what it lacks, the others are pushed down by what they have."
    )
    if loss.label_smoothing:
        kept, even = 1 - SMOOTHING, SMOOTHING / K
        if classes:
            terms = log_sum - kept * call("pick", Z, T) - SMOOTHING * mean(Z, "units")
            slope = P - kept * call("onehot", T, Z) - even
        else:
            goal = kept * T + even
            terms, slope = goal * (log_sum - Z), P * total(goal, "units") - goal
        why = Message(
            "Training takes label_smoothing of each target away, and spreads it evenly over the k classes. The loss is "
            "minus the sum of these targets times the logarithms of the probabilities."
        )
        slope_why = Message("Softmax and logarithm together have a simple slope: probability minus smoothed target.")
    return Terms([p], terms, slope, why, slope_why)


def _logistic(loss: Any) -> Terms:
    goal: Expression = T
    why = Message(
        "Minus the logarithm of the probability of the right answer: 0 if that is 1, and the larger the smaller it is."
    )
    slope_why = Message(
        "Sigmoid and logarithm together have a simple slope: the probability minus the target, by how much it is off."
    )
    if loss.label_smoothing:
        goal = (1 - SMOOTHING) * T + SMOOTHING / 2
        why = Message(
            "Training moves the targets towards 1/2 by label_smoothing. The loss is the cross-entropy with these."
        )
        slope_why = Message("Sigmoid and logarithm together have a simple slope: probability minus smoothed target.")
    return Terms(
        [],
        call("softplus", Z) - goal * Z,
        1 / (1 + call("exp", -Z)) - goal,
        why,
        slope_why,
    )


_RIGHT = call("onehot", T, Z) > 0
_MARGIN = where(_RIGHT, 0, call("max", Z - call("pick", Z, T) + 1, number(0)))

# The arguments are the loss, and whether the targets are class numbers.
LOSSES: dict[str, Callable[[Any, bool], Terms]] = {
    "half_squared_error": lambda *_: Terms(
        [],
        (Z - T) ** 2,
        Z - T,
        Message("The squares of the errors are added up. The factor 1/2 is there so that the slope is simple."),
        Message(
            "The slope of half a square is the error itself: how far the output is from the target, and which way."
        ),
        number(1) / 2,
    ),
    "mean_squared_error": lambda *_: Terms(
        [],
        (Z - T) ** 2,
        2 / K * (Z - T),
        Message("The mean of the squared errors over the k outputs."),
        Message("The slope of a square is twice the error: how far the output is from the target, and which way."),
        1 / K,
    ),
    "absolute_error": lambda *_: Terms(
        [],
        call("abs", Z - T),
        call("sign", Z - T),
        Message("The sum of the absolute errors: each counts as much as it is large."),
        Message("The slope is the sign of the error: it says which way, and is the same however far the target is."),
    ),
    "huber": lambda *_: Terms(
        [Line("c.r", Z - T, Message("r is the error of each output."))],
        R * call("clip", R, -DELTA, DELTA) - call("clip", R, -DELTA, DELTA) ** 2 / 2,
        call("clip", R, -DELTA, DELTA),
        Message("Half the squared error up to delta, and linear beyond, so that outliers count less."),
        Message("The slope is the error, limited to the range from -delta to delta."),
    ),
    "quantile": lambda *_: Terms(
        [Line("c.r", Z - T, Message("r is the error of each output."))],
        R * where(R > 0, 1 - Q, -Q),
        where(R > 0, 1 - Q, Q * call("sign", R)),
        Message("An output below its target costs q of the distance, one above it 1 - q."),
        Message("The slope is -q below the target, and 1 - q above it."),
    ),
    "poisson": lambda *_: Terms(
        [],
        call("exp", Z) - T * Z,
        call("exp", Z) - T,
        Message(
            "The outputs are logarithms of rates; the loss is minus the log-likelihood of the counts, without a "
            "constant."
        ),
        Message("The slope is the rate minus the count: by how much the rate is off."),
    ),
    "binary_cross_entropy": lambda loss, _: _logistic(loss),
    "hinge": lambda *_: Terms(
        [
            Line(
                "c.e",
                _MARGIN,
                Message("e says how far each wrong class is within the margin of 1 below the right one."),
            )
        ],
        E,
        where(_RIGHT, -total(_SIGN, "units"), _SIGN),
        Message("The sum over the wrong classes within the margin."),
        Message("The slope is 1 for each wrong class within the margin, and minus their number for the right class."),
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
        return [Line("L", unknown, UNKNOWN), Line("dz", slope, UNKNOWN)]
    if known is None:
        terms_line = Line("c.e", unknown, UNKNOWN)
        terms = Terms([terms_line], E, slope, Message("The terms e of the loss are added up."), UNKNOWN)
    else:
        terms = known(loss, classes)
    why, slope_why = terms.why, terms.slope_why
    value, slope = total(terms.terms), terms.slope
    if weighted:
        why += Message("Each sample counts with its weight w; the weights add up to 1.")
        slope_why += Message("It counts with the weight of the sample.")
        if getattr(loss, "class_weight", None) is not None:
            why += Message("The weight includes that of the class.")
        value, slope = total(WEIGHTS * terms.terms), WEIGHTS * slope
    if terms.factor is not None:
        value = terms.factor * value
    if rows > 1 and not weighted:
        why += Message("1 / {n} makes it the mean over the {n} samples.", n=rows)
        slope_why += Message("Of the mean over {n} samples, each has 1 / {n}.", n=rows)
        value, slope = number(1) / rows * value, number(1) / rows * slope
    return [
        *terms.keeps,
        Line("L", value, why),
        Line("dz", slope, slope_why),
    ]
