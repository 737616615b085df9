"""An assessment as a page: what was found, how good the model is, and what to look at next, in one file."""

from __future__ import annotations

import numpy as np

from fullyconnected.assessment.advice import advice
from fullyconnected.assessment.assess import Assessment
from fullyconnected.core.arrays import Array
from fullyconnected.pages.outcomes import Classes, Numbers
from fullyconnected.pages.report import Report, to_html
from fullyconnected.tabular.tasks import CLASSES

__all__ = ["to_page"]


def to_page(found: Assessment) -> str:
    """Return an assessment as HTML, which loads nothing from elsewhere and needs no script."""
    problem, classes = found.problem, found.problem.task == CLASSES
    target, learned = problem.roles.target, problem.at(~found.held)
    facts = [
        ("table", problem.source),
        ("target", f"{target}: {'classification' if classes else 'regression'} ({problem.reason})"),
        ("rows", f"{found.training_rows:,} to learn from, {found.test_rows:,} in the test part"),
    ]
    if problem.lacking:
        facts.append(("left out", f"{problem.lacking:,} rows without a target"))
    judged = found.judged
    outcome: Classes | Numbers
    if classes:
        labels = found.estimator.classes_
        outcome = Classes(
            target, [str(each) for each in labels.tolist()], judged.t, judged.p, _codes(learned.y, labels)
        )
        usual, loses = "the most frequent class, and the shares of the classes", "the log-loss grows"
    else:
        outcome = Numbers(target, judged.t, judged.p[:, 0], np.asarray(learned.y, np.float64))
        usual, loses = "the mean", "R2 loses"
    report = found.estimator.report_
    return to_html(
        Report(
            f"{target}, predicted from {len(problem.frame.columns):,} columns of {problem.source}",
            facts,
            found.models,
            f"{usual} in the training rows{_of_some(found)}",
            [f"{each.column!r}: {each.why}" for each in found.suspects],
            [f"{each}." for each in advice(found)],
            [outcome],
            f"{len(judged.t):,} {found.judged_by} rows",
            found.importances,
            f"By how much {loses} for held-out rows when the cells of a column are shuffled",
            report.columns,
            report.networks,
        )
    )


def _of_some(found: Assessment) -> str:
    """Return from how many rows the other models have learned, if not from all."""
    return "" if found.compared is None else f"; the other models have learned from {found.compared:,} of them"


def _codes(y: Array, classes: Array) -> Array:
    """Return the numbers of the classes of labels; a class without weight is none."""
    places = {each: i for i, each in enumerate(classes.tolist())}
    return np.array([places[each] for each in y.tolist() if each in places], np.intp)
