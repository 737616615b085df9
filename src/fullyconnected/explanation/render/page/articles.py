"""All steps, each as an article: the document that needs no script, and what the panel shows one after another."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from html import escape

from fullyconnected.core.arrays import Shape
from fullyconnected.core.messages import Message
from fullyconnected.explanation.record import Step
from fullyconnected.explanation.render import document
from fullyconnected.explanation.render.page.frame import opened
from fullyconnected.explanation.render.page.mathematics import SIGN, matrix, worked
from fullyconnected.explanation.render.page.plan import ALIKE, Plan, identical, reads
from fullyconnected.symbolic.mathml import mathml

__all__ = ["articles"]

FEW, FEWER = (4, 6), (2, 3)  # rows and columns of a result whose formula was shown before; and where there are many
MANY = 24
WORKED = {True: 3, False: 2}  # so many entries are worked out of a result with a row for each sample, and of others


def articles(plan: Plan) -> Iterator[str]:
    """Yield the section of all steps."""
    say = plan.say
    yield opened("steps", say(Message("All steps")))
    for phase, note, steps, _ in document.chapters(plan.trace):
        yield f"<h3>{say(document.PHASE_TITLES[phase])}</h3>"
        if note:
            yield f"<p>{say(note)}</p>"
        for run in plan.runs(steps):
            if not run.alike:
                yield from _article(plan, run.steps[0])
            elif len(run.steps) == 1:
                yield from _alike(plan, run.steps[0])
            else:
                yield from _folded(plan, run.steps)
    yield "</section>"


def _folded(plan: Plan, steps: Sequence[Step]) -> Iterator[str]:
    first = sorted({plan.first_alike[step.number].number for step in steps})
    numbers = {"n": ", ".join(map(str, first)), "count": len(steps), "steps": identical(steps)}
    if len(first) == 1:
        message = Message("The formula of step {n}, {count} times: steps {steps}", **numbers)
    else:
        message = Message("The formulas of steps {n}, for {count} further results: steps {steps}", **numbers)
    said = plan.say(message)
    yield f'<details class="fold"><summary>{said}</summary>'
    for step in steps:
        yield from _alike(plan, step, FEW if len(steps) <= MANY else FEWER)
    yield "</details>"


def _alike(plan: Plan, step: Step, most: tuple[int, int] = FEW) -> Iterator[str]:
    """Yield a step whose formula was shown before: its equation and its result."""
    first = plan.first_alike[step.number]
    table = document.table(step, most)
    result = "" if table is None else f"<mo>{SIGN[document.relation(step)]}</mo>{matrix(table)}"
    yield _heading(plan, step, escape(step.name), f' data-as="{first.number}"')
    yield f'<div class="scroll"><math>{step.equation.mathml}{result}</math></div>'
    yield from _notes(plan, step, table)
    if most == FEW:  # of very many, what they are together in says it, and the script when one of them is looked at
        link = f'<a href="#step={first.number}">{first.number}</a>'
        yield f'<p class="why">{plan.say(ALIKE)} {link}</p>'
    yield "</article>"


def _heading(plan: Plan, step: Step, called: str, more: str = "") -> str:
    name, rows = step.equation.left, " data-rows" if plan.has_rows(step.equation.left) else ""
    said = (
        f'<span class="count">{step.number}</span> {plan.say(document.PHASE_TITLES[step.phase])} · {escape(step.layer)}'
    )
    return (
        f'<article id="step={step.number}" data-phase="{step.phase}" data-result="{escape(name.quantity)}" '
        f'data-reads="{escape("|".join(reads(step)))}"{rows}{more}>'
        f"<h4>{said} · {called}</h4>"
    )


def _notes(plan: Plan, step: Step, table: document.Grid | None) -> Iterator[str]:
    """Yield what is to be said of a result: what of it is not shown, and that it is not finite."""
    if table is not None and table.note:
        yield f'<p class="note">{plan.say(table.note)}</p>'
    if not step.finite:
        yield f'<p class="note wrong">{plan.say(Message("Not finite: this result holds NaN or infinity."))}</p>'


def _article(plan: Plan, step: Step) -> Iterator[str]:
    name = mathml(step.equation.left)
    yield _heading(plan, step, f"<math>{name}</math>")
    yield f'<div><div class="scroll formula"><math displaystyle="true">{step.equation.mathml}</math></div>'
    yield f'<p class="why">{plan.say(document.why(plan.trace, step))}</p>'
    if said := document.shapes(step):
        yield f'<p class="shapes"><span>{plan.say(Message("shapes"))}</span> {escape(said)}</p>'
    yield "</div><div>"
    table = document.table(step, plan.most)
    if table is not None:
        result = f"{name}<mo>{SIGN[document.relation(step)]}</mo>{matrix(table)}"
        yield f'<div class="scroll"><math><mrow>{result}</mrow></math></div>'
    yield from _notes(plan, step, table)
    lines, more = document.worked(step, _chosen(plan, step))
    most = 1 if step.phase == "check" else WORKED[plan.has_rows(step.equation.left)]
    if plan.focus is not None:
        most = len(lines)
    in_table = step.phase == "check" and len(lines) > most
    some = _with_blamed(plan, step, lines[:most])
    if some:
        if plan.focus is None and plan.rows > 1 and plan.has_rows(step.equation.left):
            yield f'<p class="note">{plan.say(Message("worked out for row {row}", row=plan.row))}</p>'
        yield '<ul class="worked">'
        for line in some:
            yield f'<li class="scroll">{worked(line)}</li>'
        if in_table:
            others = Message("the other entries: in the table of central differences")
            yield f'<li><a href="#check">{plan.say(others)}</a></li>'
        elif (more := more + len(lines) - len(some)) > 0:
            yield f"<li>{plan.say(document.left_out(more))}</li>"
        yield "</ul>"
    yield "</div></article>"


def _with_blamed(plan: Plan, step: Step, lines: list[document.Worked]) -> list[document.Worked]:
    """Return lines of a step with that of the parameter that is most to blame, where the step has it."""
    at = plan.blamed_in(step)
    if at is None or any(line.at == at for line in lines):
        return lines
    own, _ = document.worked(replace(step, entries=(at,)))
    kept = lines if plan.focus is not None or not own else lines[:-1]
    return sorted([*kept, *own], key=lambda line: line.at)


def _chosen(plan: Plan, step: Step) -> Callable[[Shape], bool] | None:
    """Return which entries are worked out: those that concern the focus, or those of the row that is shown first."""
    if plan.focus is not None:
        return plan.focus.chosen(step)
    if step.entries is None and plan.has_rows(step.equation.left):
        return lambda at: at[plan.axis] == plan.row
    return None
