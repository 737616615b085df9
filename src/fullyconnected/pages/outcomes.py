"""Predictions beside the truth, and the targets that were learned, as charts and tables of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.pages import charts
from fullyconnected.pages.charts import finite
from fullyconnected.pages.tables import bars, cut, plain, scrolled, table, text

__all__ = ["Classes", "Numbers", "of_outcomes", "of_targets"]

FEW = 6  # classes below which the cells of a matrix are large
MOST_CELLS = 12  # classes up to which a matrix has its numbers; with more it is shades
MOST_CLASSES = 100  # in a matrix: those with most rows
MOST_BARS = 30  # classes
MOST_OUTPUTS = 12  # that have charts


@dataclass(frozen=True)
class Classes:
    """What was predicted of classes.

    Attributes
    ----------
    name : str
        The name of the target.
    classes : sequence of str
        The classes, as they are written.
    t : array (rows,)
        The number of the true class.
    p : array (rows, classes)
        Predicted probabilities.
    learned : array (rows,), optional
        The numbers of the classes in the rows that were learned from.
    """

    name: str
    classes: Sequence[str]
    t: Array
    p: Array
    learned: Array | None = None


@dataclass(frozen=True)
class Numbers:
    """What was predicted of numbers: the true ones and the predictions, (rows,), and those that were learned from."""

    name: str
    t: Array
    p: Array
    learned: Array | None = None


def of_outcomes(outcomes: Sequence[Classes | Numbers], what: str) -> Iterator[str]:
    """Yield charts of predictions beside the truth; ``what`` says which rows they are of."""
    shown = [each for each in outcomes if len(each.t)][:MOST_OUTPUTS]
    if shown and what:
        yield f'<p class="lead">{text(what)}.</p>'
    for i, each in enumerate(shown):
        if several := len(outcomes) > 1:
            yield f"<h3>{cut(each.name)}</h3>"
        draw: Any = _of_classes if isinstance(each, Classes) else _of_numbers
        yield from draw(each, f"of-{i}", "h4" if several else "h3")
    if len(outcomes) > MOST_OUTPUTS:
        yield f'<p class="note">{len(outcomes) - MOST_OUTPUTS} more are not drawn.</p>'


def _figure(level: str, title: str, told: str, drawn: str) -> str:
    return f"<figure><figcaption><{level}>{title}</{level}><p>{told}</p></figcaption>{drawn}</figure>"


def _of_numbers(each: Numbers, prefix: str, level: str) -> Iterator[str]:
    t, p = finite(each.t, each.p)
    if not len(t):
        return
    yield '<div class="cards">'
    shaded = " Where there are more rows, it is darker." if len(t) > charts.POINTS else ""
    yield _figure(
        level,
        "Predicted and true",
        f"On the dashed line, both are equal.{shaded}",
        charts.against_truth(t, p, plain(each.name), f"{prefix}-points"),
    )
    with np.errstate(over="ignore"):
        left = t - p
    yield _figure(
        level,
        "Residuals",
        "The truth minus the prediction: right of the dashed line, predictions are too low.",
        charts.histogram(left, "true minus predicted", f"{prefix}-residuals", zero=True)
        if np.isfinite(left).any()
        else "",
    )
    yield "</div>"


def _of_classes(each: Classes, prefix: str, level: str) -> Iterator[str]:
    n = len(each.classes)
    counts = np.zeros((n, n), np.int64)
    np.add.at(counts, (each.t, np.argmax(each.p, axis=1)), 1)
    yield '<div class="cards">'
    if n <= MOST_CELLS:
        yield _cells(each, counts, level)
    else:
        yield _shaded(each, counts, prefix, level)
    if n == 2:
        what, came, p = plain(each.classes[1]), each.t == 1, each.p[:, 1]
    else:
        what, came, p = "the predicted class", np.argmax(each.p, axis=1) == each.t, each.p.max(axis=1)
    came, p = finite(came, p)
    if len(p):
        curve = charts.calibration_of(came, np.clip(p, 0, 1))
        yield _figure(
            level,
            "Are the probabilities right?",
            f"The probability of {escape(what)}, and how often it came true. On the dashed line, both are equal; above "
            f"it, the model is too cautious. Larger points have more rows.",
            charts.calibration(curve, what, f"{prefix}-calibration"),
        )
    yield "</div>"
    if n > 2:
        yield from _by_class(each, counts, level)


def _cells(each: Classes, counts: Array, level: str) -> str:
    """Return a matrix of counts as a table, in which the share of the row is a shade."""
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num(counts / counts.sum(axis=1, keepdims=True))
    heads = "".join(f'<th scope="col">{cut(name, 24)}</th>' for name in each.classes)
    rows = []
    for i, name in enumerate(each.classes):
        cells = "".join(
            f'<td class="{"one" if i == k else "two"} h{int(np.ceil(4 * share))}">{count:,}</td>'
            for k, (count, share) in enumerate(zip(counts[i].tolist(), shares[i].tolist(), strict=True))
        )
        right = f"{shares[i, i]:.0%}" if counts[i].sum() else ""
        rows.append(f'<tr><th scope="row">{cut(name, 24)}</th>{cells}<td class="share">{right}</td></tr>')
    few = " few" if len(each.classes) < FEW else ""
    drawn = scrolled(f"confusion matrix of {cut(each.name)}") + (
        f'<table class="heat{few}"><thead><tr><td class="corner"></td>{heads}'
        f'<th scope="col">right</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )
    return _figure(
        level,
        "Which class is taken for which?",
        "A row for each true class, a column for what it was taken for; blue is right.",
        drawn,
    )


def _shaded(each: Classes, counts: Array, prefix: str, level: str) -> str:
    """Return a matrix of many classes as shades: those with most rows, in the order of the classes."""
    rows = counts.sum(axis=1)
    kept = np.sort(np.argsort(-rows, kind="stable")[:MOST_CLASSES])
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num(counts[np.ix_(kept, kept)] / rows[kept, None])
    few = f", of the {len(kept)} classes with most rows" if len(kept) < len(rows) else ""
    desc = f"{np.trace(counts):,} of {counts.sum():,} rows are right; the largest mistakes are listed below."
    return _figure(
        level,
        "Which class is taken for which?",
        f"True classes from top to bottom, what they were taken for from left to right{few}; blue is right.",
        charts.matrix(shares, "Confusion matrix", desc, f"{prefix}-matrix"),
    )


def _by_class(each: Classes, counts: Array, level: str) -> Iterator[str]:
    """Yield how often each class is found, and the most frequent mistakes."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:5]
    mistakes = [np.unravel_index(place, wrong.shape) for place in order if wrong.flat[place]]
    if mistakes:
        yield f'<{level}>The most frequent mistakes</{level}><ul class="said">'
        for i, k in mistakes:
            yield (
                f"<li>{wrong[i, k]:,} of {counts[i].sum():,} rows of {cut(each.classes[i], 40)} are taken for "
                f"{cut(each.classes[k], 40)}</li>"
            )
        yield "</ul>"
    if len(each.classes) > MOST_CELLS:
        rows = [
            (cut(name, 40), f"{total:,}", _share(right, total), _share(right, taken))
            for name, total, taken, right in zip(
                each.classes, counts.sum(axis=1), counts.sum(axis=0), np.diag(counts), strict=True
            )
        ][:500]
        yield f"<details><summary>All {len(each.classes):,} classes</summary>"
        yield from table(
            f"all classes of {cut(each.name)}", ("class", "rows", "recall", "precision"), rows, numbers=(1, 2, 3)
        )
        yield "</details>"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""


def of_targets(outcomes: Sequence[Classes | Numbers]) -> Iterator[str]:
    """Yield how the targets of the rows that were learned from are distributed."""
    for i, each in enumerate(outcomes[:MOST_OUTPUTS]):
        if each.learned is None or not len(each.learned):
            continue
        if len(outcomes) > 1:
            yield f"<h3>{cut(each.name)}</h3>"
        if isinstance(each, Classes):
            counts = np.bincount(each.learned, minlength=len(each.classes))
            order = np.argsort(-counts, kind="stable")
            pairs = [
                (each.classes[k], f"{counts[k]:,} ({counts[k] / counts.sum():.1%})", counts[k] / counts.max())
                for k in order[:MOST_BARS]
            ]
            yield from bars(f"classes of {cut(each.name)}", ("class", "rows"), pairs)
            if len(order) > MOST_BARS:
                rest = counts[order[MOST_BARS:]]
                yield f'<p class="note">{len(rest):,} rarer classes have {rest.sum():,} rows together.</p>'
        elif len(finite(each.learned)[0]):
            yield '<div class="cards">'
            yield _figure(
                "h3",
                f"The distribution of {cut(each.name, 40)}",
                "The rows that were learned from; those far out are in the outermost bars.",
                charts.histogram(np.asarray(each.learned), plain(each.name), f"learned-{i}"),
            )
            yield "</div>"
