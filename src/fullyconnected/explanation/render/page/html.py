"""The page of a record: one file that loads nothing from elsewhere, and shows everything without a script, too."""

import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files

from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.pictures.drawing import graph_of, shown_row
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.render import document
from fullyconnected.explanation.render.page.answers import answers
from fullyconnected.explanation.render.page.articles import articles
from fullyconnected.explanation.render.page.desk import desk
from fullyconnected.explanation.render.page.frame import opened
from fullyconnected.explanation.render.page.gates import gates
from fullyconnected.explanation.render.page.plan import Plan
from fullyconnected.explanation.render.page.story import head, story
from fullyconnected.explanation.render.page.tables import check, given, paths, settings
from fullyconnected.pages.document import page
from fullyconnected.symbolic.expression import Name, Transposed
from fullyconnected.symbolic.mathml import mathml

__all__ = ["to_html"]

# the sections of the page in their order, and how the bar above calls them
CONTENTS = {
    "story": "Story",
    "desk": "Steps",
    "answers": "In short",
    "paths": "Paths",
    "gates": "Gates",
    "graph": "Computation",
    "given": "Given",
    "check": "Check",
    "steps": "All steps",
    "reading": "How to read it",
    "settings": "Settings",
}


def to_html(trace: Trace, focus: Focus | None = None) -> str:
    """Return the page."""
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    plan = Plan(trace, focus, shown_row(trace))
    script = re.sub(r"(?m)^\s*(?://.*\n)?", "", script)  # without the comments and indents of its source
    return page(document.headline(trace), "\n".join(_body(plan)), style=style, script=script)


def _body(plan: Plan) -> Iterator[str]:
    sections = {
        "story": story(plan),
        "desk": desk(plan),
        "answers": answers(plan),
        "paths": paths(plan, plan.focus) if plan.focus is not None else iter(()),
        "gates": gates(plan),
        "graph": _graph(plan),
        "given": given(plan),
        "check": check(plan),
        "steps": articles(plan),
        "reading": _reading(plan),
        "settings": settings(plan),
    }
    made = {name: "\n".join(lines) for name, lines in sections.items()}
    yield from head(plan)
    yield from _bar(plan, [name for name in CONTENTS if made[name]])
    yield "<main>"
    yield from made.values()
    yield "</main>"


def _bar(plan: Plan, names: list[str]) -> Iterator[str]:
    """Yield the bar with the contents of the page."""
    say = plan.say
    yield f'<nav id="bar" aria-label="{say("Contents")}"><ul>'
    for name in names:
        yield f'<li><a href="#{name}">{say(CONTENTS[name])}</a></li>'
    yield "</ul></nav>"


def _graph(plan: Plan) -> Iterator[str]:
    yield opened("graph", plan.say("The computation"))
    yield f'<figure class="picture"><div class="scroll">{graph_of(plan.trace)}</div></figure></section>'


def _reading(plan: Plan) -> Iterator[str]:
    say = plan.say
    gradient = mathml(Name("W", "1", of="L"))
    yield opened("reading", say("How to read it")) + "<ul>"
    for line in document.LEGEND:
        yield f"<li>{escape(line)}</li>"
    yield f"<li><math>{gradient}</math> {say('is what the pictures call dL/dW1')}.</li>"
    yield (
        f"<li><math>{mathml(Transposed(Name('x')))}</math> {say('is x transposed')}, ⊙ "
        f"{say('multiplies entry by entry')}, <math>{mathml(Name('1'))}</math> "
        f"{say('is a vector of ones, one for each row')}.</li>"
    )
    yield f"<li>{say('= means that the digits shown are exact, ≈ that they are rounded.')}</li>"
    yield (
        f'<li class="scripted" hidden>{say("The arrow keys, Home and End change the step; the space bar plays.")} '
        f"{say('Click a number to mark it everywhere. The address of the page keeps both.')}</li>"
    )
    yield "</ul></section>"
