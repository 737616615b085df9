"""What the commands for tables say of columns, scores, mistakes and what to do next, at any width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fullyconnected.core.typeset import cut, table, wrapped
from fullyconnected.core.wording import line_width, printable

NUMBERS = "numbers"  # the task of a regressor

if TYPE_CHECKING:
    from fullyconnected.assessment.assess import Assessment, Scored
    from fullyconnected.assessment.outcomes import Confusion, Residuals
    from fullyconnected.tables.kinds import Decision

__all__ = [
    "of_advice", "of_columns", "of_confusion", "of_importances", "of_numbers", "of_operations", "of_residuals",
    "of_scores", "of_stored_columns", "of_suspects", "paragraph", "some",
]  # fmt: skip

LONGEST = 20  # characters of a name in a table
MOST_COLUMNS, MOST_CLASSES, MOST_LISTED, MOST_IMPORTANT = 60, 12, 24, 10
LEAST_IMPORTANT = 0.001
NARROW = 6  # characters that the name of a class needs at the head of a column
HEADS = {"validation": "held out", "test": "test"}


def paragraph(text: str, indent: int = 0) -> list[str]:
    """Return a text as lines of the terminal's width; letters are kept."""
    return wrapped(printable(text), line_width(), indent=indent, letters=True)


def some(names: Sequence[str], most: int = 20) -> str:
    """Return the first names in one line, with escapes for what a terminal cannot show."""
    shown = [name if len(name) <= 60 else f"{name[:57]}..." for name in map(printable, names[:most])]
    return ", ".join(shown) + (", ..." if len(names) > most else "")


def of_columns(decisions: Sequence[Decision]) -> Iterator[str]:
    """Yield a table of the columns: what each is, how much of it is missing, and why."""
    cells = []
    for each in decisions[:MOST_COLUMNS]:
        why = "; ".join(filter(None, ("" if each.used else "left out", each.why, each.note)))
        missing = f"{each.missing:.1%}" if each.missing else ""
        cells.append((_name(each.column), each.kind, missing, f"{each.levels:,}", printable(why)))
    yield from _table(("column", "kind", "missing", "levels", "why"), cells, right=(2, 3))
    if len(decisions) > MOST_COLUMNS:
        yield from paragraph(f"... and {len(decisions) - MOST_COLUMNS:,} more")


def of_scores(models: Sequence[Scored], trivial: str, heads: Mapping[str, str] = HEADS) -> Iterator[str]:
    """Yield a table of scores: for each score, every model, by rows held out in training and by the test part."""
    kinds = [(kind, head) for kind, head in heads.items() if any(getattr(each, kind) for each in models)]
    if not kinds:
        return
    names = next(list(scores) for each in models for kind, _ in kinds if (scores := getattr(each, kind)))
    cells: list[tuple[str, ...]] = []
    for name in names:
        cells.append((name, *("" for _ in kinds)))
        for each in models:
            cells.append((f"  {each.name}", *(_score(getattr(each, kind), name) for kind, _ in kinds)))
    timed = [each for each in models if each.seconds is not None]
    if len(timed) > 1:
        cells.append(("seconds to fit", *("" for _ in kinds)))
        cells += [(f"  {each.name}", *("" for _ in kinds[1:]), f"{each.seconds:.1f}") for each in timed]
    yield from _table(("score", *(head for _, head in kinds)), cells, right=(1, 2))
    if trivial:
        yield from paragraph(f"trivial: {trivial}")


def of_confusion(found: Confusion, by: str) -> Iterator[str]:
    """Yield a confusion matrix: a row for each class, a column for what it was taken for, and its recall."""
    n = len(found.classes)
    names = [_name(each, 14) for each in found.classes]
    digits = len(f"{found.counts.max():,}")
    room = (line_width() - max(map(len, ["class", *names])) - len("  recall")) // n - 2  # for each class
    yield from paragraph(f"{by} rows, by their class (down) and what they were taken for (across):")
    if n > MOST_CLASSES or room < max(digits, NARROW):
        cells = [
            (_name(each), f"{int(total):,}", _share(recall), _share(precision))
            for each, total, recall, precision in zip(
                found.classes[:MOST_LISTED], found.counts.sum(axis=1), found.recalls, found.precisions, strict=False
            )
        ]
        yield from _table(("class", "rows", "recall", "precision"), cells, right=(1, 2, 3))
        if n > MOST_LISTED:
            yield from paragraph(f"... and {n - MOST_LISTED:,} more classes")
        for first, second, times in found.mistakes():
            yield from paragraph(f"{times:,} of {first!r:.40} were taken for {second!r:.40}")
        return
    by_class = [(names[i], *(f"{count:,}" for count in found.counts[i]), _share(found.recalls[i])) for i in range(n)]
    yield from _table(("class", *(cut(each, room) for each in names), "recall"), by_class, right=range(1, n + 2))


def of_residuals(found: Residuals, by: str) -> Iterator[str]:
    """Yield quantiles of what is left of numbers."""
    yield from paragraph(f"{by} rows, the truth minus the prediction:")
    heads = {0.0: "least", 0.5: "median", 1.0: "largest"}
    cells = [(heads.get(share, f"{share:.0%}"), f"{value:.4g}") for share, value in found.quantiles]
    cells += [("mean", f"{found.mean:.4g}"), ("mean size", f"{found.absolute:.4g}")]
    yield from _table(("quantile", "residual"), cells, right=(1,))


def of_operations(operations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the operations of a network."""
    shown = [(_name(each["name"], 32), each["kind"], f"{each['outputs']}") for each in operations[:MOST_COLUMNS]]
    yield from _table(("operation", "layer", "outputs"), shown, right=(2,))
    if len(operations) > MOST_COLUMNS:
        yield from paragraph(f"... and {len(operations) - MOST_COLUMNS:,} more")


def of_stored_columns(columns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the columns that a file names, and what is known of each."""
    cells = []
    for each in columns[:MOST_COLUMNS]:
        missing, levels = each.get("missing"), each.get("levels")
        kind = each.get("kind", "") if each.get("used", True) else f"{each['kind']}, left out"
        told = f"{missing:.1%}" if missing else "", "" if levels is None else f"{levels:,}"
        cells.append((_name(each["column"]), kind, *told))
    yield from _table(("column", "kind", "missing", "levels"), cells, right=(2, 3))
    if len(columns) > MOST_COLUMNS:
        yield from paragraph(f"... and {len(columns) - MOST_COLUMNS:,} more")


def of_importances(importances: Sequence[tuple[str, float]], task: str) -> Iterator[str]:
    """Yield the columns that a model relies on most: what predictions for held-out rows lose when one is shuffled."""
    shown = [(name, value) for name, value in importances[:MOST_IMPORTANT] if value >= LEAST_IMPORTANT]
    if not shown:
        return
    largest, sign = shown[0][1], "-" if task == NUMBERS else "+"
    cells = [(_name(name), f"{sign}{value:.3f}", "#" * max(1, round(10 * value / largest))) for name, value in shown]
    yield from _table(("if shuffled", "R2" if task == NUMBERS else "log-loss", ""), cells, right=(1,))


def of_numbers(head: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Return a table whose columns are all numbers."""
    return _table(head, cells, right=range(1, len(head)))


def of_suspects(found: Assessment) -> Iterator[str]:
    """Yield what may make the scores too good to be true."""
    for each in found.suspects:
        yield from paragraph(f"leak? {each.column!r:.40}: {each.why}", 2)
    if found.repeated:
        share = f"{found.repeated / found.test_rows:.1%}"
        yield from paragraph(f"test rows that equal a training row in all columns: {found.repeated:,} ({share})", 2)
    if found.duplicates:
        yield from paragraph(f"training rows that repeat another one in all columns: {found.duplicates:,}", 2)


def of_advice(sentences: Sequence[str]) -> Iterator[str]:
    """Yield what to look at next."""
    if sentences:
        yield "what to look at next:"
        for each in sentences:
            yield from paragraph(f"- {each}.", 2)


def _table(head: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    return [line.rstrip() for line in table(head, cells, line_width(), right, letters=True)]


def _name(text: str, longest: int = LONGEST) -> str:
    return cut(printable(text), longest)


def _score(scores: Mapping[str, float] | None, name: str) -> str:
    if scores is None or name not in scores:
        return ""
    value = scores[name]
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.4f}" if abs(value) >= 0.0001 else "0"


def _share(share: float) -> str:
    return "" if share != share else f"{share:.0%}"
