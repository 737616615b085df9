"""The beginning of the page: the task, what the network says, what was wanted, and what the step does to the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import sentence
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.render import document
from fullyconnected.explanation.render.page.frame import opened
from fullyconnected.explanation.render.page.plan import Plan
from fullyconnected.symbolic.digits import brief, shown

__all__ = ["head", "story"]

MOST_INPUTS = 6  # numbers of a row that the table has
LONGEST = 18  # characters of a name in its head
LEAST = 0.0005  # a smaller change of the loss is not told
NOTHING = 1e-12  # nor is that of a smaller loss, which is rounding
INPUT = Message("input")
COLUMNS = (
    Message("row"),
    INPUT,
    Message("the network says"),
    Message("wanted"),
    Message("loss of the row"),
)
WEIGHT = Message("share of the weights")  # where rows have weights


def head(plan: Plan) -> Iterator[str]:
    """Yield the title, and whether the numbers were found right."""
    trace, say = plan.trace, plan.say
    open_question = trace.first_not_finite is None and bool(trace.reports) and not trace.resolved
    kind, mark = ("open", "?") if open_question else ("right", "✓") if trace.ok else ("wrong", "✗")
    yield f"<header><h1>{say(document.headline(trace))}</h1>"
    if "task" in trace.settings:
        yield f'<p class="task">{say(trace.settings["task"])}</p>'
    first = trace.first_not_finite
    more = ""
    if first is not None:
        more = f' <a href="#step={first.number}">{say(Message("The first step that is not finite"))}</a>'
    yield (
        f'<p class="verdict {kind}"><span aria-hidden="true">{mark}</span> '
        f"<span>{escape(sentence(document.verdict(trace), plan.lang))}</span>{more}</p></header>"
    )


def story(plan: Plan) -> Iterator[str]:
    """Yield the rows with what the network says of them, and the loss before and after the step."""
    trace, say = plan.trace.in_rows, plan.say
    yield opened("story", say(Message("What happens in this step")))
    yield f'<div class="story"><div><p>{say(_before(plan))}</p>'
    begin = say(Message("See how, in {n} steps", n=len(plan.trace.steps)))
    yield f'<p>{say(_after(plan))}</p><p><a class="go" href="#step=1">{begin}</a></p></div>'
    yield '<div><div class="scroll"><table class="rows"><thead><tr>'
    for title in COLUMNS if plan.weights is None else (*COLUMNS, WEIGHT):
        if title is INPUT and trace.inputs:
            yield from _names_of_inputs(trace.inputs)
        else:
            yield f'<th scope="col">{say(title)}</th>'
    yield "</tr></thead><tbody>"
    for r in plan.listed:
        called = say(Message("row {r}", r=r))
        checked = " checked" * (r == plan.row)
        choice = f'<input class="scripted" hidden type="radio" name="row" value="{r}"{checked}> '
        yield (
            f'<tr data-row="{r}"><th scope="row"><label>{choice * bool(plan.by_row)}{called}</label></th>'
            f"{_inputs(trace, r)}<td>{_says(trace, r)}</td>"
            f"<td>{_wanted(trace, r)}</td><td>{brief(trace.losses[r])}</td>"
            f"{'' if plan.weights is None else f'<td>{brief(plan.weights[r])}</td>'}</tr>"
        )
    yield "</tbody></table></div>"
    if len(plan.listed) < plan.rows:
        said = Message("{n} of the {rows} rows are listed.", n=len(plan.listed), rows=plan.rows)
        yield f'<p class="note">{say(said)}</p>'
    drawn = any(op.is_dense for op in trace.operations)
    if plan.rows > 1 and drawn and plan.one_row:
        yield f'<p class="note">{say(plan.one_row)}</p>'
    yield "</div></div></section>"


def _before(plan: Plan) -> Message:
    numbers = {"rows": plan.rows, "loss": _told(plan)[0]}
    if plan.rows == 1:
        return Message(
            "The network reads one row, says what it takes it for, and is told what was wanted. How wrong it is, is "
            "one number: the loss, {loss}.",
            **numbers,
        )
    return Message(
        "The network reads {rows} rows, says what it takes each for, and is told what was wanted. How wrong it is, "
        "over all rows, is one number: the loss, {loss}.",
        **numbers,
    )


def _after(plan: Plan) -> Message:
    """Say what the step does to the loss."""
    before, after = plan.trace.loss, plan.trace.loss_after
    if after is None:
        return Message(
            "Backward finds how fast the loss grows with each number. There is no optimizer here, so nothing is moved."
        )
    values = {"rule": plan.trace.settings["optimizer"], "after": _told(plan)[1]}
    done = Message("After one step of {rule}, the loss of the same rows is {after}.", **values)
    if not (math.isfinite(before) and math.isfinite(after) and abs(before) > NOTHING):
        return done
    change = abs(after - before) / abs(before)
    if change < LEAST:
        return done
    percent = brief(100 * change)
    if after < before:
        return done + Message("That is {percent} % less.", percent=percent)
    return done + Message("That is {percent} % more: the step was too long.", percent=percent)


def _told(plan: Plan) -> tuple[str, str]:
    """Return the loss before and after, with as many digits as it takes to tell them apart."""
    before, after = plan.trace.loss, plan.trace.loss_after
    if after is None:
        return brief(before), ""
    few, more = (brief(before), brief(after)), (shown(before), shown(after))
    return few if few[0] != few[1] else more


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _few(values: Sequence[Any]) -> Sequence[Any]:
    """Return the first ones if there are many."""
    return values if len(values) <= MOST_INPUTS else values[: MOST_INPUTS - 1]


def _names_of_inputs(names: Sequence[str]) -> Iterator[str]:
    """Yield the titles of the columns of the inputs, of which each has a name."""
    for name in _few(names):
        yield f'<th scope="col" title="{escape(name)}">{escape(_cut(name))}</th>'
    if len(names) > MOST_INPUTS:
        yield f'<th scope="col">… ({len(names):,})</th>'


def _inputs(trace: Trace, r: int) -> str:
    """Return what the network reads of a row: a cell for each number that has a name, or one for all."""
    values = np.ravel(trace.values[trace.wires[0]][r])
    if not trace.inputs:
        return f"<td>{_numbers(values)}</td>"
    cells = [f'<td title="{shown(value)}">{brief(value)}</td>' for value in _few([*values])]
    return "".join(cells) + "<td>…</td>" * (len(values) > MOST_INPUTS)


def _says(trace: Trace, r: int) -> str:
    """Return what the network says of a row: the class that it holds to be most likely, if classes have names."""
    values, names = np.ravel(trace.predicted[r]), trace.outputs
    if len(names) == 2 and len(values) == 1:
        values = np.array([1 - values[0], values[0]])
    elif len(names) != len(values):
        return _numbers(values)
    order = np.argsort(-values, kind="stable") if _classes(trace) else range(len(values))
    return _named([(names[k], brief(values[k])) for k in order], 1 if _classes(trace) else MOST_INPUTS)


def _wanted(trace: Trace, r: int) -> str:
    """Return what was wanted of a row: the name of its class, or numbers."""
    value, names = np.ravel(trace.wanted[r]), trace.outputs
    if names and _classes(trace) and float(value[0]).is_integer() and 0 <= value[0] < len(names):
        return _named([(names[int(value[0])], "")], 1)
    if len(names) == len(value):
        return _named([(name, brief(each)) for name, each in zip(names, value, strict=True)], MOST_INPUTS)
    return _numbers(value) if np.ndim(trace.wanted[r]) else f"{trace.wanted[r]}"


def _named(said: list[tuple[str, str]], most: int) -> str:
    """Return the first of some names with their numbers, and all of them as a title."""
    whole = ", ".join(f"{name} {number}".strip() for name, number in said)
    few = ", ".join(f"{_cut(name)} {number}".strip() for name, number in said[:most])
    more = " …" * (1 < most < len(said))
    return f'<span title="{escape(whole)}">{escape(few)}{more}</span>'


def _classes(trace: Trace) -> bool:
    """Whether the outputs that have names are classes of which a row has one."""
    return np.ndim(trace.wanted) == 1 or len(trace.outputs) == 2 > trace.predicted.shape[1]


def _numbers(values: Array) -> str:
    """Return numbers of a row, at most so many, and how many more there are."""
    flat = np.ravel(values)
    few = flat if len(flat) <= MOST_INPUTS else flat[: MOST_INPUTS - 1]
    more = f", … ({len(flat):,})" * (len(flat) > len(few))
    return f'<span title="{", ".join(map(shown, few))}">{", ".join(map(brief, few))}{more}</span>'
