"""The tables of the page: what the step starts from, paths, central differences, and what the numbers depend on."""

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from fullyconnected.core.arrays import Shape
from fullyconnected.core.messages import Message
from fullyconnected.core.version import __version__
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step
from fullyconnected.explanation.render import document
from fullyconnected.explanation.render.page.frame import opened
from fullyconnected.explanation.render.page.mathematics import SIGN, broken, matrix, pieces
from fullyconnected.explanation.render.page.plan import Plan
from fullyconnected.symbolic.digits import place, shown
from fullyconnected.symbolic.expression import names_in
from fullyconnected.symbolic.mathml import mathml, mathml_number

__all__ = ["check", "given", "paths", "settings"]

MANY = 24  # of more tensors than this, the tables show fewer numbers of each
FEW = (2, 4)  # so many rows and columns
COLUMNS = (
    Message("entry"),
    Message("value"),
    Message("L left"),
    Message("L right"),
    Message("slope"),
    Message("gradient"),
    Message("difference"),
)

LAYOUT = Message("samples are rows: z = x W + b, with W (inputs, outputs)")
KINKS = Message("the derivative at a kink is that of its left side: for relu, it is 0 at 0")


def given(plan: Plan) -> Iterator[str]:
    """Yield the section of what was not computed."""
    trace = plan.trace
    yield opened("given", plan.say(Message("Given")))
    yield '<dl class="given">'
    names = document.given(trace)
    for name, what in names:
        table = document.grid(name, trace.values[name], plan.most if len(names) <= MANY else FEW)
        note = f'<p class="note">{plan.say(table.note)}</p>' if table.note else ""
        rows = " data-rows" if plan.has_rows(name) else ""
        yield (
            f'<div data-result="{escape(name.quantity)}"{rows}><dt>{plan.say(what)}</dt><dd><div class="scroll"><math>'
            f"<mrow>{mathml(name)}<mo>{SIGN[table.sign]}</mo>{matrix(table)}</mrow></math></div>{note}</dd></div>"
        )
    if nothing := document.nothing_yet(trace):
        yield f"<div><dt>{plan.say(nothing)}</dt></div>"
    yield "</dl></section>"


def paths(plan: Plan, focus: Focus) -> Iterator[str]:
    """Yield the section of the paths from the number in focus to the loss."""
    yield opened("paths", plan.say(Message("Paths of {number} to the loss", number=focus.text)))
    yield f"<p>{plan.say(focus.summary)}</p><ol>"
    for path in focus.paths:
        nodes = " → ".join(
            f'<span data-q="{escape(q)}">{escape(node)}</span>' if q else escape(node)
            for node, q in zip(path.nodes, [*path.quantities, ""], strict=True)
        )
        factors = " · ".join(map(escape, path.factors))
        line = broken(pieces(path.tree), path.sign, mathml_number(path.result))
        yield f'<li><p>{nodes}</p><p>{factors}</p><div class="scroll">{line}</div></li>'
    yield "</ol>"
    if focus.rest:
        yield f"<p>{plan.say(focus.rest).replace(' ~ ', ' ≈ ')}</p>"
    yield "</section>"


def check(plan: Plan) -> Iterator[str]:
    """Yield the section of the central differences."""
    steps = [step for step in plan.trace.steps if step.phase == "check"]
    if not steps:
        return
    yield opened("check", plan.say(Message("Central differences")))
    yield f"<p>{plan.say(document.NOTES['check'])}</p>"
    if len(steps) > MANY:
        said = Message("Of each of these {count} tensors, the largest difference is shown.", count=len(steps))
        yield f'<p class="note">{plan.say(said)}</p>'
    yield '<div class="scroll"><table class="check"><thead><tr>'
    for title in COLUMNS:
        yield f'<th scope="col">{plan.say(title)}</th>'
    yield "</tr></thead>"
    for step in steps:
        yield from _differences(plan, step, len(steps) > MANY)
    yield "</table></div></section>"


def _differences(plan: Plan, step: Step, one: bool) -> Iterator[str]:
    trace = plan.trace
    name = trace.name(step.equation.left.full.removesuffix(":slope"))
    gradient = name.gradient("L")
    right, left = list(names_in(step.equation.right))[:2]
    values, gradients = trace.values[name], trace.values[gradient]
    apart = {at: abs(float(step.result[at]) - float(gradients[at])) for at in step.entries or ()}
    entries: Sequence[Shape] = list(apart)
    yield "<tbody>"
    if one:
        entries = sorted(entries, key=lambda at: (not np.isnan(apart[at]), -apart[at]))[:1]
    else:
        yield (
            f'<tr class="tensor"><th scope="rowgroup" colspan="7"><span>{escape(name.full)}</span> '
            f"<span>{plan.say(step.why)}</span></th></tr>"
        )
    for at in entries:
        row = (
            _cell(values[at], name.quantity + place(at))
            + _cell(step.values[left][at])
            + _cell(step.values[right][at])
            + _cell(step.result[at])
            + _cell(gradients[at], gradient.quantity + place(at))
            + _cell(float(f"{apart[at]:.1g}"))
        )
        yield f'<tr><th scope="row">{escape(name.text + place(at))}</th>{row}</tr>'
    yield "</tbody>"


def _cell(value: object, quantity: str = "") -> str:
    mark = f' data-q="{escape(quantity)}"' if quantity else ""
    return f"<td{mark}>{shown(value)}</td>"


def settings(plan: Plan) -> Iterator[str]:
    """Yield the section of what the numbers depend on."""
    yield opened("settings", plan.say(Message("What the numbers depend on"))) + '<dl class="settings">'
    every = {"layout": LAYOUT, **plan.trace.settings, "kinks": KINKS, "library": f"fullyconnected {__version__}"}
    for name, value in every.items():
        yield f"<div><dt>{plan.say(document.SETTINGS.get(name, name))}</dt><dd>{plan.say(value)}</dd></div>"
    yield "</dl></section>"
