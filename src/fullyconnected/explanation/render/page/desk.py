"""What moves: the picture of the network, the step that it shows, and the buttons that lead from step to step."""

import re
from collections.abc import Iterator

from fullyconnected.core.messages import Message
from fullyconnected.explanation.pictures.drawing import picture_of
from fullyconnected.explanation.render import document
from fullyconnected.explanation.render.page.frame import opened
from fullyconnected.explanation.render.page.numbers import numbers
from fullyconnected.explanation.render.page.plan import ALIKE, Plan

__all__ = ["desk"]

WIDE = (928, 1400)  # a picture of such a width, in px, is made narrower down to the first of them, where the page is
SPEEDS = (0.5, 1, 2, 4)
# what the buttons do, their names, and their signs as paths in a box of 16 by 16
BUTTONS = (
    ("first", Message("First step"), "M3 3v10M13 3L5 8l8 5z"),
    ("back", Message("Previous step"), "M12 3L4 8l8 5z"),
    ("play", Message("Play"), "M4 2l9 6-9 6z"),
    ("on", Message("Next step"), "M4 3l8 5-8 5z"),
    ("last", Message("Last step"), "M13 3v10M3 3l8 5-8 5z"),
)
SHOWS = {
    "auto": Message("by step"),
    "values": Message("values"),
    "gradients": Message("gradients"),
    "both": Message("both"),
}


def desk(plan: Plan) -> Iterator[str]:
    """Yield the picture, the panel and the buttons."""
    drawn = any(op.is_dense for op in plan.trace.operations)  # units and lines are those of Dense layers
    yield opened("desk", plan.say(Message("Step by step")))
    yield from _tools(plan, drawn)
    if drawn:
        yield from _stage(plan)
    yield f'<div id="panel" class="scripted" data-axis="{plan.axis}" data-alike="{plan.say(ALIKE)}" hidden>'
    yield '<h3 aria-live="polite"></h3><div></div></div>'
    yield from _controls(plan)
    yield "</section>"


def _tools(plan: Plan, drawn: bool) -> Iterator[str]:
    """Yield what is set once: the numbers in the picture, the speed, and the number to be marked."""
    say = plan.say
    yield '<div class="tools scripted" hidden>'
    if drawn:
        yield f'<label>{say(Message("Numbers"))} <select id="show">'
        for value, words in SHOWS.items():
            yield f'<option value="{value}">{say(words)}</option>'
        yield "</select></label>"
    yield f'<label>{say(Message("Speed"))} <select id="speed">'
    for speed in SPEEDS:
        yield f'<option value="{speed:g}"{" selected" * (speed == 1)}>{speed:g}&#215;</option>'
    yield "</select></label>"
    yield (
        f'<form role="search"><label>{say(Message("Find a number"))} <input id="find" type="search" list="numbers" '
        f'autocomplete="off" placeholder="W1[0,1]" data-none="{say(Message("There is no such number."))}" '
        f'data-found="{say(Message("Marked, places:"))}"></label><datalist id="numbers"></datalist>'
        '<span id="said" role="status"></span></form>'
    )
    read, computed = say(Message("read")), say(Message("computed"))
    yield f'<span class="key"><i class="in">{read}</i><i class="now">{computed}</i></span>'
    yield "</div>"


def _stage(plan: Plan) -> Iterator[str]:
    say = plan.say
    drawn = picture_of(plan.trace, focus=plan.focus, row=plan.row, prefix="net", lang=plan.lang)
    wide = " wide" * (WIDE[0] < float(re.findall('width="(.+?)"', drawn)[0]) < WIDE[1])
    which = f'data-row="{plan.row}" data-rows="{plan.rows}"'
    yield f'<figure id="stage"><div class="scroll{wide}" id="picture" {which}>{drawn}</div>'
    said = Message("Point at a number to read all of its digits.")
    if plan.rows > 1:
        said = Message(
            "Numbers at units are those of row {row}; gradients of weights and biases are over all {rows} rows.",
            row=plan.row,
            rows=plan.rows,
        )
    yield f'<figcaption><span id="readout" role="status">{say(said)}</span></figcaption></figure>{numbers(plan, drawn)}'


def _controls(plan: Plan) -> Iterator[str]:
    say, last = plan.say, len(plan.trace.steps)
    yield f'<div id="controls" class="scripted" hidden role="group" aria-label="{say(Message("Steps"))}">'
    yield '<div class="buttons">'
    for action, label, sign in BUTTONS:
        stop = f' data-stop="{say(Message("Pause"))}"' if action == "play" else ""
        yield (
            f'<button type="button" data-go="{action}" aria-label="{say(label)}"{stop}><svg viewBox="0 0 16 16" '
            f'aria-hidden="true"><path d="{sign}"/></svg></button>'
        )
    yield f'</div><label class="slider"><span>{say(Message("Step"))} <b id="at">1</b> / {last}</span>'
    yield f'<input id="slider" type="range" min="1" max="{last}" value="1" step="1"></label>'
    yield '<div class="phases">'
    for phase, _, (first, *_), _ in document.chapters(plan.trace):
        name = say(document.PHASE_TITLES[phase])
        yield f'<button type="button" data-step="{first.number}" data-phase="{phase}">{name}</button>'
    yield "</div></div>"
