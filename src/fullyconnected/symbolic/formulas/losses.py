"""The formulas of the losses."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fullyconnected.base import Loss
from fullyconnected.losses import LOSSES as REGISTERED
from fullyconnected.symbolic.expression import Expression, Name, Reduce, call, most, number, opaque, total, where
from fullyconnected.symbolic.formulas.lines import Line, found

__all__ = ["LOSSES", "Terms", "of_loss"]

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

# Each is handed the loss, and whether the targets are class numbers.
LOSSES: dict[str, Callable[[Any, bool], Terms]] = {
    "half_squared_error": lambda *_: Terms(
        [],
        (Z - T) ** 2,
        Z - T,
        "Half the squares of the errors, added up.",
        "The half makes the slope of a square the error itself.",
        number(1) / 2,
    ),
    "mean_squared_error": lambda *_: Terms(
        [],
        (Z - T) ** 2,
        2 / Name("k") * (Z - T),
        "The squares of the errors, and their mean over the k outputs.",
        "The slope of a square is twice the error.",
        1 / Name("k"),
    ),
    "absolute_error": lambda *_: Terms(
        [], call("abs", Z - T), call("sign", Z - T), "How far off each output is.", "Only the side counts, not how far."
    ),
    "huber": lambda *_: Terms(
        [Line("c.r", Z - T, "The errors.")],
        R * call("clip", R, -DELTA, DELTA) - call("clip", R, -DELTA, DELTA) ** 2 / 2,
        call("clip", R, -DELTA, DELTA),
        "Half a square near 0, and a line from delta on.",
        "The error, but never more than delta.",
    ),
    "quantile": lambda *_: Terms(
        [Line("c.r", Z - T, "The errors.")],
        R * where(R > 0, 1 - Q, -Q),
        where(R > 0, 1 - Q, Q * call("sign", R)),
        "An output below its target costs q of the distance, one above it 1 - q.",
        "Only the side counts: the cost of a unit more.",
    ),
    "poisson": lambda *_: Terms(
        [],
        call("exp", Z) - T * Z,
        call("exp", Z) - T,
        "The outputs are logarithms of rates: the rate, minus the logarithm of how likely the count was.",
        "Rate minus count.",
    ),
    "binary_cross_entropy": lambda *_: Terms(
        [],
        call("softplus", Z) - T * Z,
        1 / (1 + call("exp", -Z)) - T,
        "Minus the logarithm of the probability that the right answer was given.",
        "Probability minus target.",
    ),
    "hinge": lambda *_: Terms(
        [Line("c.e", _MARGIN, "By how much each wrong class comes within the margin of 1.")],
        E,
        where(_RIGHT, -total(_SIGN, "units"), _SIGN),
        "The wrong classes that come too close, added up.",
        "1 for each class that comes too close, and minus their number for the right one.",
    ),
    "softmax_cross_entropy": lambda _, classes: _softmax(classes),
}


def of_loss(loss: Loss, *, rows: int, weighted: bool, classes: bool) -> list[Line]:
    """Return what a loss computes: its value ``L``, and ``dz``.

    ``classes`` says that the targets are class numbers, ``weighted`` that the rows have weights of their own.
    """
    known, unknown = found(LOSSES, REGISTERED, loss), opaque(loss.name, Z, T)
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
