"""A record as plain text of 80 columns: in English ASCII, which every terminal and every file accepts."""

import re
import textwrap
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from fullyconnected.core.messages import Message
from fullyconnected.core.wording import in_ascii
from fullyconnected.explanation.catalogue import say, sentence
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.render import document
from fullyconnected.symbolic.text import text

__all__ = ["to_text"]

WIDTH = 80
SIGNS = Message(
    "x' is x transposed; two names side by side are a matrix product, and * multiplies entry by entry; 1 is a vector "
    "of ones, one for each sample. = means that the digits shown follow exactly from those of the operands, ~ that "
    "they are rounded."
)
NEVER_FIRST = "，。；：、）"  # signs that begin no line


class Paragraph(NamedTuple):
    """Text to be wrapped, and the indents of its first line and of the others."""

    words: str
    first: str
    then: str


def to_text(trace: Trace, focus: Focus | None = None, lang: str = "en", *, letters: bool = False) -> str:
    """Return the whole record as text.

    In English, and without ``letters``, it is ASCII: other letters of users' names are escaped.
    """
    lines: list[str] = []
    for part in _Text(lang).parts(trace, focus):
        if isinstance(part, str):
            lines.append(part)
        else:
            words = part.words if letters or lang != "en" else in_ascii(part.words)
            lines += [line.rstrip() for line in _wrapped(words, part.first, part.then)]
    return "\n".join(lines) + "\n"


def _wrapped(words: str, first: str, then: str) -> list[str]:
    if not any(map(_wide, words)):
        return textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
    lines, line = [], first
    # a line may end behind a blank, and before or behind a letter as wide as two
    for piece in re.findall(r"[^ \u2e80-\u9fff\uff00-\uff60]+ *|（?[\u2e80-\u9fff\uff00-\uff60]| +", words):
        full = sum(2 if _wide(c) else 1 for c in line + piece.rstrip()) > WIDTH
        if full and piece not in NEVER_FIRST:
            lines.append(line)
            line = then + piece.lstrip()
        else:
            line += piece
    return [*lines, line]


def _wide(c: str) -> bool:
    return unicodedata.east_asian_width(c) in "WF"


class _Text:
    """The lines of a record in one language."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def said(self, message: str, first: str = "", then: str | None = None) -> Paragraph:
        """Return a message as a paragraph."""
        return _paragraph(say(message, self.lang), first, then)

    def title(self, message: Message) -> str:
        """Return a heading."""
        return say(message, self.lang).upper()

    def parts(self, trace: Trace, focus: Focus | None) -> Iterator[str | Paragraph]:
        """Yield the lines, and the paragraphs that are to be wrapped."""
        yield self.said(document.headline(trace))
        for setting, value in trace.settings.items():
            yield _paragraph(
                f"{say(document.SETTINGS.get(setting, setting), self.lang)}: {say(value, self.lang)}", "  "
            )
        yield ""
        for said in document.story(trace):
            yield self.said(said, "", "  ")
        yield self.said(document.losses(trace) + sentence(document.verdict(trace), self.lang))
        yield ""
        for line in (*document.legend(trace), SIGNS):
            yield self.said(line)
        yield ""
        yield self.title(Message("In your textbook"))
        yield ""
        width = max(len(term.ours) for term in document.textbook(trace))
        other = max(len(term.others) for term in document.textbook(trace))
        for term in document.textbook(trace):
            start = f"  {term.ours.ljust(width)}  {term.others.ljust(other)}  "
            yield self.said(term.what, start, " " * len(start))
        yield ""
        yield self.title(Message("Given"))
        for name, what in document.given(trace):
            yield ""
            table = document.grid(name, trace.values[name])
            yield from self.table(name.text, table.sign, table, "  ")
            yield self.said(what, "      ")
        if nothing := document.nothing_yet(trace):
            yield ""
            yield self.said(nothing, "  ")
        if focus is not None:
            yield from self.paths(focus)
        for phase, note, steps, others in document.chapters(trace, focus):
            yield ""
            yield self.title(document.PHASE_TITLES[phase])
            if note:
                yield ""
                yield self.said(note, "  ")
            for step in steps:
                yield ""
                yield from self.step(step, focus, document.why(trace, step))
            if others:
                yield ""
                yield self.said(others, "  ")

    def step(self, step: Step, focus: Focus | None, why: str) -> Iterator[str | Paragraph]:
        """Yield a step: its formula, shapes, result, entries and explanation."""
        yield _paragraph(f"{step.number:>3}  {step.layer}: {step.equation.text}", "", "         ")
        indent = " " * 5
        if shapes := document.shapes(step):
            yield self.said(Message("shapes: {shapes}", shapes=shapes), indent)
        if table := document.table(step):
            yield from self.table(step.name, document.relation(step), table, indent)
        if not step.finite:
            yield self.said(Message("NOT FINITE: this result holds NaN or infinity."), indent)
        lines, more = document.worked(step, focus.chosen(step) if focus is not None else None)
        for line in lines:
            yield _paragraph(
                f"{line.left} = {text(line.right)} {line.sign} {line.result.text}", indent, indent + "    "
            )
        if more:
            yield self.said(document.left_out(more), indent)
        yield self.said(why, indent)

    def paths(self, focus: Focus) -> Iterator[str | Paragraph]:
        """Yield the paths of a number to the loss."""
        yield ""
        yield self.said(Message("PATHS of {name} to the loss", name=focus.text))
        yield ""
        yield self.said(focus.summary, "  ")
        for path in focus.paths:
            yield ""
            yield _paragraph(" -> ".join(path.nodes), "  ", "      ")
            yield _paragraph(f"{' * '.join(path.factors)}", "  = ", "      ")
            yield _paragraph(f"{text(path.tree)} {path.sign} {path.result}", "  = ", "      ")
        if focus.rest:
            yield ""
            yield self.said(focus.rest, "  ")

    def table(self, name: str, sign: str, table: document.Grid, indent: str) -> Iterator[str | Paragraph]:
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
            yield self.said(table.note, indent + "  ")


def _paragraph(words: str, first: str = "", then: str | None = None) -> Paragraph:
    return Paragraph(words, first, first if then is None else then)
