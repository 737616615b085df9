"""A record as plain text of 80 columns, in ASCII, which every terminal and every file accepts."""

import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from fullyconnected.core.wording import in_ascii
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.render import document
from fullyconnected.symbolic.text import text

__all__ = ["to_text"]

WIDTH = 80


class Paragraph(NamedTuple):
    """Text to be wrapped, and the indents of its first line and of the others."""

    words: str
    first: str
    then: str


def to_text(trace: Trace, focus: Focus | None = None, *, letters: bool = False) -> str:
    """Return the whole record as text; with ``letters``, users' names keep letters that are not ASCII."""
    lines: list[str] = []
    for part in _parts(trace, focus):
        if isinstance(part, str):
            lines.append(part)
        else:
            words = part.words if letters else in_ascii(part.words)
            wrapped = textwrap.wrap(
                words, WIDTH, initial_indent=part.first, subsequent_indent=part.then, break_on_hyphens=False
            )
            lines += [line.rstrip() for line in wrapped]
    return "\n".join(lines) + "\n"


def _parts(trace: Trace, focus: Focus | None) -> Iterator[str | Paragraph]:
    yield _paragraph(document.headline(trace))
    for setting, value in trace.settings.items():
        yield _paragraph(f"{setting}: {value}", "  ")
    yield ""
    for said in document.story(trace):
        yield _paragraph(said, "", "  ")
    verdict = document.verdict(trace)
    yield _paragraph(f"{document.losses(trace)} {verdict[0].upper()}{verdict[1:]}.")
    yield ""
    for line in document.LEGEND:
        yield _paragraph(line)
    yield _paragraph(
        "x' is x transposed; two names side by side are a matrix product, and * multiplies entry by entry; 1 is a "
        "vector of ones, one for each row. = means that the digits shown are exact, ~ that they are rounded."
    )
    yield ""
    yield "GIVEN"
    for name, what in document.given(trace):
        yield ""
        table = document.grid(name, trace.values[name])
        yield from _table(name.text, table.sign, table, "  ")
        yield _paragraph(what, "      ")
    if nothing := document.nothing_yet(trace):
        yield ""
        yield _paragraph(nothing, "  ")
    if focus is not None:
        yield from _paths(focus)
    for phase, note, steps, others in document.chapters(trace, focus):
        yield ""
        yield phase.upper()
        if note:
            yield ""
            yield _paragraph(note, "  ")
        for step in steps:
            yield ""
            yield from _step(step, focus)
        if others:
            yield ""
            yield _paragraph(others, "  ")


def _step(step: Step, focus: Focus | None) -> Iterator[str | Paragraph]:
    yield _paragraph(f"{step.number:>3}  {step.layer}: {step.equation.text}", "", "         ")
    indent = " " * 5
    if said := document.shapes(step):
        yield _paragraph(f"shapes: {said}", indent)
    if table := document.table(step):
        yield from _table(step.name, document.relation(step), table, indent)
    if not step.finite:
        yield _paragraph("NOT FINITE: this result holds NaN or infinity.", indent)
    lines, more = document.worked(step, focus.chosen(step) if focus is not None else None)
    for line in lines:
        yield _paragraph(f"{line.left} = {text(line.right)} {line.sign} {line.result.text}", indent, indent + "    ")
    if more:
        yield _paragraph(document.left_out(more), indent)
    yield _paragraph(step.why, indent)


def _paths(focus: Focus) -> Iterator[str | Paragraph]:
    yield ""
    yield _paragraph(f"PATHS of {focus.text} to the loss")
    yield ""
    yield _paragraph(focus.summary, "  ")
    for path in focus.paths:
        yield ""
        yield _paragraph(" -> ".join(path.nodes), "  ", "      ")
        yield _paragraph(f"{' * '.join(path.factors)}", "  = ", "      ")
        yield _paragraph(f"{text(path.tree)} {path.sign} {path.result}", "  = ", "      ")
    if focus.rest:
        yield ""
        yield _paragraph(focus.rest, "  ")


def _table(name: str, sign: str, table: document.Grid, indent: str) -> Iterator[str | Paragraph]:
    """Yield an array as rows in brackets, beside its name, or below the name if the rows are too wide."""
    cells = [["..." if c is None else c.text for c in row] if row is not None else None for row in table.rows]
    width = max((len(c) for row in cells if row is not None for c in row), default=1)
    if not table.shape:
        yield _paragraph(f"{name} {sign} {cells[0][0] if cells[0] else ''}", indent)
        return
    rows = ["[" + "  ".join(c.rjust(width) for c in row) + "]" if row is not None else "..." for row in cells]
    head = f"{indent}{name} {sign} "
    if rows and len(head) + max(map(len, rows)) > WIDTH:
        yield _paragraph(head, "", indent)
        head = indent + "  "
        if len(head) + max(map(len, rows)) > WIDTH:
            rows = [part for row in rows for part in textwrap.wrap(row, WIDTH - len(head))]
    for i, row in enumerate(rows):
        yield (head if i == 0 else " " * len(head)) + row
    if table.note:
        yield _paragraph(table.note, indent + "  ")


def _paragraph(words: str, first: str = "", then: str | None = None) -> Paragraph:
    return Paragraph(words, first, first if then is None else then)
