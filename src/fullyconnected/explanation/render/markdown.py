"""A record as Markdown with LaTeX between dollar signs, which notebooks and GitHub render."""

from collections.abc import Iterator

from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import say, sentence
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.render import document
from fullyconnected.symbolic.latex import latex, latex_number

__all__ = ["to_markdown"]

SIGN = {"=": "=", "~": r"\approx"}


def to_markdown(trace: Trace, focus: Focus | None = None, lang: str = "en") -> str:
    """Return the whole record as Markdown; in English it is ASCII."""
    return "\n\n".join(_Markdown(lang).parts(trace, focus)) + "\n"


class _Markdown:
    """The paragraphs of a record in one language."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def said(self, message: str) -> str:
        """Return a message as text in which no sign is markup."""
        return _plain(say(message, self.lang), ascii=self.lang == "en")

    def parts(self, trace: Trace, focus: Focus | None) -> Iterator[str]:
        """Yield the paragraphs."""
        yield f"# {self.said(document.headline(trace))}"
        yield "\n".join(
            f"- {self.said(document.SETTINGS.get(name, name))}: {self.said(value)}"
            for name, value in trace.settings.items()
        )
        yield "\n".join(f"- {self.said(said)}" for said in document.story(trace))
        yield self.said(document.losses(trace) + sentence(document.verdict(trace), self.lang))
        for line in document.legend(trace):
            yield self.said(line)
        yield say(
            Message(
                r"$\odot$ multiplies entry by entry; $\mathbf{{1}}$ is a vector of ones, one for each sample. $=$ "
                r"means that the digits shown follow exactly from those of the operands, $\approx$ that they are "
                r"rounded."
            ),
            self.lang,
        )
        yield f"## {self.said(Message('In your textbook'))}"
        yield "\n".join(
            f"- {_plain(term.ours)}: {_plain(term.others)} ({self.said(term.what)})"
            for term in document.textbook(trace)
        )
        yield f"## {self.said(Message('Given'))}"
        for name, what in document.given(trace):
            said = self.said(what)
            yield f"{said[0].upper() + said[1:] if said.startswith(('the ', 'a ', 'how ')) else said}:"
            table = document.grid(name, trace.values[name])
            yield from _display(f"{latex(name)} {SIGN[table.sign]} {_matrix(table)}")
            if table.note:
                yield self.said(table.note)
        if nothing := document.nothing_yet(trace):
            yield self.said(nothing)
        if focus is not None:
            yield f"## {self.said(Message('Paths of {name} to the loss', name=focus.text))}"
            yield self.said(focus.summary)
            for path in focus.paths:
                yield f"`{' -> '.join(path.nodes)}`"
                yield from _display(f"{latex(path.tree)} {SIGN[path.sign]} {latex_number(path.result)}")
            if focus.rest:
                yield self.said(focus.rest)
        for phase, note, steps, others in document.chapters(trace, focus):
            yield f"## {self.said(document.PHASE_TITLES[phase])}"
            if note:
                yield self.said(note)
            for step in steps:
                yield from self.step(step, focus)
                yield self.said(document.why(trace, step))
            if others:
                yield self.said(others)

    def step(self, step: Step, focus: Focus | None) -> Iterator[str]:
        """Yield a step: its formula, shapes, result and entries."""
        yield f"### {step.number}. {_plain(step.layer)}: {_plain(step.name)}"
        yield from _display(step.equation.latex)
        if shapes := document.shapes(step):
            yield self.said(Message("Shapes: {shapes}", shapes=shapes))
        if table := document.table(step):
            yield from _display(f"{latex(step.equation.left)} {SIGN[document.relation(step)]} {_matrix(table)}")
            if table.note:
                yield self.said(table.note)
        if not step.finite:
            yield say(Message("**Not finite:** this result holds NaN or infinity."), self.lang)
        lines, more = document.worked(step, focus.chosen(step) if focus is not None else None)
        name = latex(step.equation.left)
        for line in lines:
            index = f"{{{name}}}_{{{','.join(map(str, line.at))}}}" if line.at else name
            yield from _display(f"{index} = {latex(line.right)} {SIGN[line.sign]} {latex_number(line.result.text)}")
        if more:
            yield sentence(document.left_out(more), self.lang)


def _display(formula: str) -> Iterator[str]:
    yield f"$$\n{formula}\n$$"


def _matrix(table: document.Grid) -> str:
    rows = document.cells(table, r"\vdots", r"\dots", lambda cell: latex_number(cell.text))
    if not table.shape:
        return rows[0][0]
    inside = r" \\ ".join(map(" & ".join, rows))
    return rf"\begin{{bmatrix}} {inside} \end{{bmatrix}}"


def _plain(text: str, *, ascii: bool = True) -> str:
    """Return text with Markdown's special characters escaped, and others than ASCII as references if wanted."""
    for sign in "\\`*_[]&<>#|$~":
        text = text.replace(sign, {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(sign, f"\\{sign}"))
    return text.encode("ascii", "xmlcharrefreplace").decode() if ascii else text
