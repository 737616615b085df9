"""A record as Markdown with LaTeX between dollar signs, which notebooks and GitHub render."""

from collections.abc import Iterator

from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.render import document
from fullyconnected.symbolic.latex import latex, latex_number

__all__ = ["to_markdown"]

SIGN = {"=": "=", "~": r"\approx"}


def to_markdown(trace: Trace, focus: Focus | None = None) -> str:
    """Return the whole record as Markdown."""
    return "\n\n".join(_parts(trace, focus)) + "\n"


def _parts(trace: Trace, focus: Focus | None) -> Iterator[str]:
    yield f"# {document.headline(trace)}"
    yield "\n".join(f"- {_plain(name)}: {_plain(value)}" for name, value in trace.settings.items())
    yield "\n".join(f"- {_plain(said)}" for said in document.story(trace))
    verdict = document.verdict(trace)
    yield f"{_plain(document.losses(trace))} {_plain(verdict[0].upper() + verdict[1:])}."
    yield _plain(" ".join(document.LEGEND))
    yield (
        r"$\odot$ multiplies entry by entry; $\mathbf{1}$ is a vector of ones, one for each row. $=$ means that the "
        r"digits shown are exact, $\approx$ that they are rounded."
    )
    yield "## Given"
    for name, what in document.given(trace):
        yield f"{_plain(what[0].upper() + what[1:] if what.startswith(('the ', 'a ')) else what)}:"
        table = document.grid(name, trace.values[name])
        yield from _display(f"{latex(name)} {SIGN[table.sign]} {_matrix(table)}")
        if table.note:
            yield _plain(table.note)
    if nothing := document.nothing_yet(trace):
        yield _plain(nothing)
    if focus is not None:
        yield f"## Paths of {_plain(focus.text)} to the loss"
        yield _plain(focus.summary)
        for path in focus.paths:
            yield f"`{' -> '.join(path.nodes)}`"
            yield from _display(f"{latex(path.tree)} {SIGN[path.sign]} {latex_number(path.result)}")
        if focus.rest:
            yield _plain(focus.rest)
    for phase, note, steps, others in document.chapters(trace, focus):
        yield f"## {phase.capitalize()}"
        if note:
            yield _plain(note)
        for step in steps:
            yield from _step(step, focus)
        if others:
            yield _plain(others)


def _step(step: Step, focus: Focus | None) -> Iterator[str]:
    yield f"### {step.number}. {_plain(step.layer)}: {_plain(step.name)}"
    yield from _display(step.equation.latex)
    if document.shapes(step):
        yield f"Shapes: {_plain(document.shapes(step))}"
    if table := document.table(step):
        yield from _display(f"{latex(step.equation.left)} {SIGN[document.relation(step)]} {_matrix(table)}")
        if table.note:
            yield _plain(table.note)
    if not step.finite:
        yield "**Not finite:** this result holds NaN or infinity."
    lines, more = document.worked(step, focus.chosen(step) if focus is not None else None)
    name = latex(step.equation.left)
    for line in lines:
        index = f"{{{name}}}_{{{','.join(map(str, line.at))}}}" if line.at else name
        yield from _display(f"{index} = {latex(line.right)} {SIGN[line.sign]} {latex_number(line.result.text)}")
    if more:
        yield f"{document.left_out(more).capitalize()}."
    yield _plain(step.why)


def _display(formula: str) -> Iterator[str]:
    yield f"$$\n{formula}\n$$"


def _matrix(table: document.Grid) -> str:
    rows = document.cells(table, r"\vdots", r"\dots", lambda cell: latex_number(cell.text))
    if not table.shape:
        return rows[0][0]
    inside = r" \\ ".join(map(" & ".join, rows))
    return rf"\begin{{bmatrix}} {inside} \end{{bmatrix}}"


def _plain(text: str) -> str:
    """Return text in ASCII with Markdown's special characters escaped."""
    for sign in "\\`*_[]&<>#|$~":
        text = text.replace(sign, {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(sign, f"\\{sign}"))
    return text.encode("ascii", "xmlcharrefreplace").decode()
