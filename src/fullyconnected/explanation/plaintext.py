"""A record as plain text of 80 columns."""

import textwrap
from collections.abc import Iterator

from fullyconnected.explanation.document import (
    LEGEND,
    NOTES,
    Grid,
    given,
    grid,
    headline,
    left_out,
    relation,
    shapes,
    verdict,
    worked,
)
from fullyconnected.explanation.equation import text
from fullyconnected.explanation.numbers import shown
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import PHASES, Step, Trace

__all__ = ["to_text"]

WIDTH = 80


def to_text(trace: Trace, focus: Focus | None = None) -> str:
    """Return the whole record as text."""
    return "\n".join(_lines(trace, focus)) + "\n"


def _lines(trace: Trace, focus: Focus | None) -> Iterator[str]:
    yield from _wrapped(headline(trace))
    for setting, value in trace.settings.items():
        yield from _wrapped(f"{setting}: {value}", "  ")
    yield from _wrapped(f"L = {shown(trace.values[trace.name('L')])}; {verdict(trace)}.")
    yield ""
    for line in LEGEND:
        yield from _wrapped(line)
    yield from _wrapped(
        "x' is x transposed, * works entry by entry, a product without a sign is one of matrices, 1 is a vector of "
        "ones, one for each row; = is exact at the digits shown, ≈ is rounded."
    )
    yield ""
    yield "GIVEN"
    for name, what in given(trace):
        yield ""
        table = grid(name, trace.values[name])
        yield from _table(name.text, table.sign, table, "  ")
        yield from _wrapped(what, "      ")
    if focus is not None:
        yield from _paths(focus)
    for phase in PHASES:
        steps = [step for step in trace.steps if step.phase == phase]
        if steps:
            yield ""
            yield phase.upper()
            if phase in NOTES:
                yield ""
                yield from _wrapped(NOTES[phase], "  ")
        concerned = [step for step in steps if focus is None or focus.concerns(step)]
        for step in concerned:
            yield ""
            yield from _step(step, focus)
        if focus is not None and len(concerned) < len(steps):
            yield ""
            yield from _wrapped(focus.others(len(steps) - len(concerned)), "  ")


def _step(step: Step, focus: Focus | None) -> Iterator[str]:
    yield from _wrapped(f"{step.number:>3}  {step.layer}: {step.equation}", "", "         ")
    indent = " " * 5
    if said := shapes(step):
        yield from _wrapped(f"shapes: {said}", indent)
    yield from _table(step.name, relation(step), grid(step.equation.left, step.result), indent)
    if not step.finite:
        yield from _wrapped("NOT FINITE: this result holds NaN or infinity.", indent)
    lines, more = worked(step, focus.chosen(step) if focus is not None else None)
    for line in lines:
        yield from _wrapped(f"{line.left} = {text(line.right)} {line.sign} {line.result.text}", indent, indent + "    ")
    if more:
        yield from _wrapped(left_out(more), indent)
    yield from _wrapped(step.why, indent)


def _paths(focus: Focus) -> Iterator[str]:
    yield ""
    yield from _wrapped(f"PATHS of {focus} to the loss")
    yield ""
    yield from _wrapped(focus.summary, "  ")
    for path in focus.paths:
        yield ""
        yield from _wrapped(" -> ".join(path.nodes), "  ", "      ")
        yield from _wrapped(f"{' * '.join(path.factors)}", "  = ", "      ")
        yield from _wrapped(f"{text(path.tree)} {path.sign} {path.result}", "  = ", "      ")
    if focus.rest:
        yield ""
        yield from _wrapped(focus.rest, "  ")


def _table(name: str, sign: str, table: Grid, indent: str) -> Iterator[str]:
    """Yield an array as rows in brackets, behind its name, or below it where that is too wide."""
    cells = [["..." if c is None else c.text for c in row] if row is not None else None for row in table.rows]
    width = max((len(c) for row in cells if row is not None for c in row), default=1)
    if not table.shape:
        yield from _wrapped(f"{name} {sign} {cells[0][0] if cells[0] else ''}", indent)
        return
    rows = ["[" + "  ".join(c.rjust(width) for c in row) + "]" if row is not None else "..." for row in cells]
    head = f"{indent}{name} {sign} "
    if rows and len(head) + max(map(len, rows)) > WIDTH:
        yield from _wrapped(head, "", indent)
        head = indent + "  "
        if len(head) + max(map(len, rows)) > WIDTH:
            rows = [part for row in rows for part in textwrap.wrap(row, WIDTH - len(head))]
    for i, row in enumerate(rows):
        yield (head if i == 0 else " " * len(head)) + row
    if table.note:
        yield from _wrapped(table.note, indent + "  ")


def _wrapped(line: str, first: str = "", then: str | None = None) -> list[str]:
    then = first if then is None else then
    lines = textwrap.wrap(line, WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
    return [each.rstrip() for each in lines]
