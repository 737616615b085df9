"""Answers to what a reader asks first, each with the step that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Shape
from fullyconnected.core.messages import Message
from fullyconnected.explanation.record import Step
from fullyconnected.explanation.render.page.frame import opened
from fullyconnected.explanation.render.page.plan import Plan, largest
from fullyconnected.symbolic.digits import brief, place

__all__ = ["answers"]

NOTHING = 1e-12  # a gradient of at most this size moves nothing


class Answer(NamedTuple):
    """A question and its answer, as HTML, and where the page shows it: a step, and a number to be marked there."""

    question: str
    answer: str
    step: Step | None = None
    quantity: str = ""


def answers(plan: Plan) -> Iterator[str]:
    """Yield the section of the answers, if all numbers are finite."""
    if plan.trace.first_not_finite is not None:
        return
    yield opened("answers", plan.say(Message("In short"))) + '<dl class="answers">'
    for question, answer, step, quantity in _answers(plan):
        link = ""
        if step is not None:
            at = f"#step={step.number}" + (f"&amp;q={escape(quantity)}" if quantity else "")
            link = f' <a href="{at}">{plan.say(Message("step {n}", n=step.number))}</a>'
        yield f"<div><dt>{question}</dt><dd>{answer}{link}</dd></div>"
    yield "</dl></section>"


def _answers(plan: Plan) -> Iterator[Answer]:
    steps = {step.equation.left: step for step in plan.trace.steps}
    if plan.rows > 1:
        yield _worst_row(plan)
    if plan.blamed is not None:
        gradient, at = plan.blamed
        if abs(float(plan.trace.values[gradient][at])) < NOTHING:
            yield _nothing(plan, steps[gradient], at)
        else:
            yield _blame(plan, steps[gradient], at)
            moved = replace(gradient, of="", new=True)
            if moved in steps:
                yield _move(plan, steps[moved], at)
    inputs = plan.trace.wires[0].gradient("L")
    if inputs in steps and np.isfinite(plan.trace.values[inputs]).all() and plan.trace.values[inputs].any():
        yield _input(plan, steps[inputs])
    checks = [step for step in plan.trace.steps if step.phase == "check"]
    if checks:
        yield _right(plan, checks[0])


def _worst_row(plan: Plan) -> Answer:
    loss = brief(plan.trace.losses[plan.worst])
    if plan.weights is not None:
        said = Message("Row {r}, by its weight: its loss is {loss}.", r=plan.worst, loss=loss)
    else:
        said = Message("Row {r}: its loss is {loss}.", r=plan.worst, loss=loss)
    return Answer(plan.say(Message("Which row is the most wrong?")), plan.say(said))


def _nothing(plan: Plan, step: Step, at: Shape) -> Answer:
    said = Message(
        "None: the largest gradient of all parameters is {g}, which is as good as 0. From these rows, the network "
        "learns nothing: either it is right already, or its units are where their functions are flat.",
        g=brief(step.result[at]),
    )
    return Answer(plan.say(Message("Which parameter is most to blame for this loss?")), plan.say(said), step)


def _blame(plan: Plan, step: Step, at: Shape) -> Answer:
    weight, gradient = replace(step.equation.left, of=""), float(step.result[at])
    values = {"w": weight.text + place(at), "value": brief(plan.trace.values[weight][at]), "g": brief(gradient)}
    first = Message("{w} = {value}. No parameter has a larger gradient than {g}.", **values)
    size = brief(abs(gradient))
    if gradient > 0:
        said = first + Message("If it falls by a little, the loss falls by {size} times that.", size=size)
    else:
        said = first + Message("If it grows by a little, the loss falls by {size} times that.", size=size)
    question = plan.say(Message("Which parameter is most to blame for this loss?"))
    return Answer(question, plan.say(said), step, step.equation.left.quantity + place(at))


def _move(plan: Plan, step: Step, at: Shape) -> Answer:
    weight = replace(step.equation.left, new=False)
    new, old = float(step.result[at]), float(plan.trace.values[weight][at])
    numbers = {"move": brief(new - old), "new": brief(new)}
    if plan.trace.settings["optimizer"].startswith("Muon"):  # two rules, each with a rate of its own
        said = Message("It moves by {move}, to {new}.", **numbers)
        question = plan.say(Message("What does the step do to it?"))
        return Answer(question, plan.say(said), step, step.equation.left.quantity + place(at))
    said = Message(
        "It moves by {move}, to {new}. The move is the learning rate times a number that does not depend on it: with "
        "half the rate, it would move half as far, by {half}.",
        half=brief((new - old) / 2),
        **numbers,
    )
    question = plan.say(Message("What does the step do to it, and what if the learning rate were half as large?"))
    return Answer(question, plan.say(said), step, step.equation.left.quantity + place(at))


def _input(plan: Plan, step: Step) -> Answer:
    at, x = largest(step.result), plan.trace.wires[0]
    j = at[-1 - plan.axis]
    numbers = {"x": x.text + place(at), "r": at[plan.axis], "g": brief(step.result[at])}
    said = Message("{x}, number {j} of row {r}: its gradient is {g}.", j=j, **numbers)
    if plan.trace.inputs:
        said = Message("{x}, the {name} of row {r}: its gradient is {g}.", name=plan.trace.inputs[j], **numbers)
    question = plan.say(Message("Which input does the loss depend on most?"))
    return Answer(question, plan.say(said), step, step.equation.left.quantity + place(at))


def _right(plan: Plan, step: Step) -> Answer:
    said = Message(
        "Each number was computed by the code that trains. Each gradient is compared with the slope of the loss "
        "between two values that are close to each other. And an example can be saved as a script that computes "
        "everything again."
    )
    return Answer(plan.say(Message("How do I know that these numbers are right?")), plan.say(said), step)
