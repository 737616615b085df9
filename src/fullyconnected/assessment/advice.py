"""What to look at next, drawn from an assessment: short sentences, the most urgent first."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from math import sqrt

import numpy as np

from fullyconnected.assessment.assess import LINEAR, OURS, TRIVIAL, Assessment
from fullyconnected.core.wording import in_words
from fullyconnected.tables.levels import MOST_LEVELS
from fullyconnected.tabular.tasks import CLASSES

__all__ = ["advice"]

FEW_ROWS, LEAST = 200, 20
RARE, SELDOM = 0.05, 10  # the share and the number of rows from which on a class is no rare one
GAPS = 0.5
AS_GOOD = 0.01  # a difference of accuracy or R2 that is none


def advice(found: Assessment) -> tuple[str, ...]:
    """Return what to look at next."""
    return tuple(_sentences(found))


def _sentences(found: Assessment) -> Iterator[str]:
    yield from _of_leaks(found)
    yield from _of_scores(found)
    if found.problem.task == CLASSES:
        yield from _of_classes(found)
    yield from _of_columns(found)


def _of_leaks(found: Assessment) -> Iterator[str]:
    for each in found.suspects[:3]:
        yield (
            f"{_name(each.column)} may give the target away: {each.why}. If it is only known once the target is, leave "
            f"it out: --ignore {shlex.quote(each.column)}"
        )
    if found.test_rows and found.repeated >= 0.05 * found.test_rows:
        yield (
            f"{found.repeated:,} of {found.test_rows:,} test rows equal a training row, so the test score may be too "
            f"good: remove repeated rows, or keep those that belong together in one part, --group COLUMN"
        )


def _of_scores(found: Assessment) -> Iterator[str]:
    scored = {each.name: each for each in found.models}
    ours, usual = scored[OURS].validation, scored[TRIVIAL].validation
    assert ours is not None
    assert usual is not None
    name, rows, test = next(iter(ours)), found.training_rows, scored[OURS].test
    value = ours[name]
    learned = value > usual[name] + AS_GOOD
    if not learned:
        yield (
            f"The model predicts no better than {_of_trivial(found)}: the columns say little of "
            f"{found.problem.roles.target!r:.60}, or {rows:,} rows are too few to learn it from"
        )
    if test is not None and found.test_rows >= LEAST:
        share = min(max(value, 0.0), 1.0)
        doubt = 3 * sqrt(max(share * (1 - share), 0.01) / found.test_rows)
        if value - test[name] > max(doubt, 3 * AS_GOOD):
            yield (
                f"The test rows are predicted worse than rows held out in training ({name} {test[name]:.3g} and "
                f"{value:.3g}): {_why_worse(found)}"
            )
    linear = scored.get(LINEAR)
    if learned and linear is not None and linear.validation is not None and linear.validation[name] >= value - AS_GOOD:
        better = "better" if linear.validation[name] > value + AS_GOOD else "as good"
        yield (
            f"A linear model is {better} ({name} {linear.validation[name]:.3g} and {value:.3g}), and easier to read: "
            f"take it, or look for columns that say more"
        )
    for rival in found.models[1:-1]:
        if rival.name == LINEAR or rival.test is None or test is None:
            continue
        if rival.test[name] > test[name] + 2 * AS_GOOD:
            yield (
                f"The {rival.name} predict{'s' * (not rival.name.endswith('s'))} the test rows better ({name} "
                f"{rival.test[name]:.3g} and {test[name]:.3g}): more epochs or members may help, or another model"
            )
    if rows < FEW_ROWS:
        yield f"{rows:,} training rows are few: every score is uncertain, and another --seed moves it"


def _why_worse(found: Assessment) -> str:
    if found.problem.times is not None:
        return "the latest rows differ from the earlier ones"
    if found.problem.groups is not None:
        return "the groups differ from each other"
    return "if rows belong together, name what they share, --group COLUMN, or --time COLUMN"


def _of_classes(found: Assessment) -> Iterator[str]:
    counts = np.unique(found.problem.y, return_counts=True)[1]
    names = [str(each) for each in found.problem.classes.tolist()]
    rarest = int(counts.argmin())
    share = counts[rarest] / counts.sum()
    if counts[rarest] < SELDOM:
        many = _rows(int(counts[rarest]))
        yield f"{_name(names[rarest])} has {many}, too few to learn from: join it with another class"
    elif share < min(RARE, 0.5 / len(counts)):
        yield (
            f"{_name(names[rarest])} is rare ({share:.1%} of the rows): look at its recall and not at the accuracy; "
            f'fc.TabularClassifier(class_weight="balanced") gives it more weight'
        )
    if found.confusion is not None:
        for first, second, times in found.confusion.mistakes(1):
            i = found.confusion.classes.index(first)
            if found.confusion.recalls[i] < 0.5:
                yield (
                    f"{_name(first)} is taken for {_name(second)} in {times:,} of "
                    f"{int(found.confusion.counts[i].sum()):,} {found.judged_by} rows: look for a column that tells "
                    f"the two apart"
                )
    if found.unknown:
        have = "has" if found.unknown == 1 else "have"
        yield f"{_rows(found.unknown)} of the test part {have} a class that no training row has, and no score"


def _of_columns(found: Assessment) -> Iterator[str]:
    columns = found.estimator.report_.columns
    dates = [each.column for each in columns if "look like dates" in each.note]
    if dates:
        look, them = ("looks like a date", "it is") if len(dates) == 1 else ("look like dates", "they are")
        yield f"{_names(dates)} {look} in another form: write 2024-12-31, and {them} read as such"
    numbered = [each for each in columns if each.kind == "identifier" or "as the numbers of rows" in each.note]
    if ids := [each.column for each in numbered if each.column not in dates]:
        looks, them = ("looks like an identifier", "it") if len(ids) == 1 else ("look like identifiers", "them")
        yield f"{_names(ids)} {looks}: name {them} with --id, which predict can write beside its predictions"
    if gaps := [each.column for each in columns if each.used and each.missing > GAPS]:
        are = "is" if len(gaps) == 1 else "are"
        yield f"{_names(gaps)} {are} missing in most rows: find out why, since a gap can be news or a mistake"
    if texts := [each.column for each in columns if each.kind == "category" and each.levels > MOST_LEVELS]:
        have = "has" if len(texts) == 1 else "have"
        yield f"{_names(texts)} {have} more than {MOST_LEVELS:,} levels: join those that mean the same"
    lacking = found.problem.lacking
    if lacking >= 0.1 * (lacking + len(found.problem.y)):
        yield (
            f"{_rows(lacking)} had no {found.problem.roles.target!r:.60}: if these differ from the others, so will "
            f"predictions for their like"
        )


def _of_trivial(found: Assessment) -> str:
    return "always the most frequent class" if found.problem.task == CLASSES else "always the mean"


def _names(names: list[str]) -> str:
    shown = [_name(each) for each in names[:3]]
    return in_words([*shown, f"{len(names) - 3:,} more"] if len(names) > 3 else shown)


def _name(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def _rows(n: int) -> str:
    return "one row" if n == 1 else f"{n:,} rows"
