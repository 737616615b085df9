"""The page of a record: one file that loads nothing from elsewhere, and shows everything without a script, too."""

import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files

from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import say
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
    "story": Message("Story"),
    "desk": Message("Steps"),
    "answers": Message("In short"),
    "paths": Message("Paths"),
    "gates": Message("Gates"),
    "graph": Message("Computation"),
    "given": Message("Given"),
    "check": Message("Check"),
    "steps": Message("All steps"),
    "reading": Message("How to read it"),
    "settings": Message("Settings"),
}


def to_html(trace: Trace, focus: Focus | None = None, lang: str = "en") -> str:
    """Return the page."""
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    plan = Plan(trace, focus, shown_row(trace), lang)
    title = say(document.headline(trace), lang)
    return page(title, "\n".join(_body(plan)), style=style, script=_compact(script), lang=lang)


def _compact(script: str) -> str:
    """Return a script without its comments, indents, and spaces at signs; what is in quotes stays."""
    script = re.sub(r"(?m)^\s*(?://.*\n)?| // .*$", "", script)
    return re.sub(r'("(?:[^"\\\n]|\\.)*"|`[^`]*`)| ?([=<>!]==?|=>|&&|\|\||\?\?|[=?:<>,;(){}*/]) ?', r"\1\2", script)


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
    yield f'<nav id="bar" aria-label="{say(Message("Contents"))}"><ul>'
    for name in names:
        yield f'<li><a href="#{name}">{say(CONTENTS[name])}</a></li>'
    yield "</ul></nav>"


def _graph(plan: Plan) -> Iterator[str]:
    yield opened("graph", plan.say(Message("The computation")))
    yield f'<figure class="picture"><div class="scroll">{graph_of(plan.trace, plan.lang)}</div></figure></section>'


def _reading(plan: Plan) -> Iterator[str]:
    say = plan.say
    yield opened("reading", say(Message("How to read it"))) + "<ul>"
    for line in document.legend(plan.trace):
        yield f"<li>{say(line)}</li>"
    gradient, transposed, ones = (mathml(each) for each in (Name("W", "1", of="L"), Transposed(Name("x")), Name("1")))
    for sign, meaning in (
        (f"<math>{gradient}</math>", Message("what the pictures call dL/dW1")),
        (f"<math>{transposed}</math>", Message("x transposed")),
        ("⊙", Message("multiplies entry by entry")),
        (f"<math>{ones}</math>", Message("a vector of ones, one for each row")),
        ("=", Message("the digits shown are exact")),
        ("≈", Message("they are rounded")),
    ):
        yield f"<li>{sign}: {say(meaning)}</li>"
    keys = Message(
        "The arrow keys, Home and End change the step, and the space bar plays. Click a number to mark it everywhere. "
        "The address of the page keeps both."
    )
    yield f'<li class="scripted" hidden>{say(keys)}</li></ul>'
    yield f'<h3>{say(Message("In your textbook"))}</h3><div class="scroll"><table class="rows"><thead><tr>'
    for title in (Message("here"), Message("elsewhere"), Message("what it is")):
        yield f'<th scope="col">{say(title)}</th>'
    yield "</tr></thead><tbody>"
    for ours, others, what in document.textbook(plan.trace):
        yield f'<tr><th scope="row">{escape(ours)}</th><td>{escape(others)}</td><td>{say(what)}</td></tr>'
    yield "</tbody></table></div></section>"
