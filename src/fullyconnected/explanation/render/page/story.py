"""The beginning of the page: the task, what the network says, what was wanted, and what the step does to the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import sentence
from fullyconnected.explanation.render import document
from fullyconnected.explanation.render.page.frame import opened
from fullyconnected.explanation.render.page.plan import Plan
from fullyconnected.symbolic.digits import brief, shown

__all__ = ["head", "story"]

MOST_INPUTS = 6  # numbers of a row that the table has
LEAST = 0.0005  # a smaller change of the loss is not told
NOTHING = 1e-12  # nor is that of a smaller loss, which is rounding
COLUMNS = (
    Message("row"),
    Message("input"),
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
    yield f"<p>{say(_after(plan))}</p></div>"
    yield '<div><div class="scroll"><table class="rows"><thead><tr>'
    for title in COLUMNS if plan.weights is None else (*COLUMNS, WEIGHT):
        yield f'<th scope="col">{say(title)}</th>'
    yield "</tr></thead><tbody>"
    for r in plan.listed:
        called = say(Message("row {r}", r=r))
        checked = " checked" * (r == plan.row)
        choice = f'<input class="scripted" hidden type="radio" name="row" value="{r}"{checked}> '
        yield (
            f'<tr data-row="{r}"><th scope="row"><label>{choice * bool(plan.by_row)}{called}</label></th>'
            f"<td>{_numbers(trace.values[trace.wires[0]][r])}</td><td>{_numbers(trace.predicted[r])}</td>"
            f"<td>{_wanted(trace.wanted[r])}</td><td>{brief(trace.losses[r])}</td>"
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


def _numbers(values: Array) -> str:
    """Return numbers of a row, at most so many, and how many more there are."""
    flat = np.ravel(values)
    few = flat if len(flat) <= MOST_INPUTS else flat[: MOST_INPUTS - 1]
    more = f", … ({len(flat):,})" * (len(flat) > len(few))
    return f'<span title="{", ".join(map(shown, few))}">{", ".join(map(brief, few))}{more}</span>'


def _wanted(value: Any) -> str:
    return _numbers(np.asarray(value)) if np.ndim(value) else f"{value}"
