"""The gates of one unit, and what each does to a gradient that comes back."""

from collections.abc import Iterator

import numpy as np

from fullyconnected.explanation.pictures.gates import Circuit, circuit_of, gates_of
from fullyconnected.explanation.render.page.frame import opened
from fullyconnected.explanation.render.page.plan import Plan
from fullyconnected.symbolic.digits import brief

__all__ = ["gates"]

PARTS = 6  # so many parts of a sum over rows are written out


def gates(plan: Plan) -> Iterator[str]:
    """Yield the section of a unit as a circuit, if the network has a plain one and its numbers are finite."""
    circuit = circuit_of(plan.trace, plan.row)
    if circuit is None or not _finite(circuit):
        return
    say = plan.say
    yield opened("gates", say("Three gates make a network"))
    words = (
        "This is one unit, for row {row}. Values go to the right; the gradient comes back from the loss, and each gate "
        "passes it on by a rule of its own."
    )
    yield f"<p>{say(words, row=plan.row)}</p>"
    yield f'<figure class="picture"><div class="scroll">{gates_of(circuit)}</div></figure><dl class="answers">'
    for gate, meaning in _meanings(plan, circuit):
        yield f"<div><dt>{gate}</dt><dd>{meaning}</dd></div>"
    yield "</dl></section>"


def _finite(circuit: Circuit) -> bool:
    wires = [wire for pair in circuit.terms for wire in pair]
    return bool(np.isfinite([each.value for each in wires] + [circuit.z.value, circuit.z.gradient]).all())


def _meanings(plan: Plan, circuit: Circuit) -> Iterator[tuple[str, str]]:
    say, back = plan.say, circuit.z.gradient
    source, weight = circuit.terms[0]
    if circuit.y is not None:
        words = (
            "A function scales what comes back by its slope: here dL/d{z} = {g}, where dL/d{y} = {h}. Where the "
            "function is flat, nothing comes through."
        )
        yield (
            say("{function}: a function scales", function=circuit.function),
            say(words, z=circuit.z.name, y=circuit.y.name, g=brief(back), h=brief(circuit.y.gradient)),
        )
    yield (
        say("+: a sum distributes"),
        say(
            "Each term moves the sum by as much as it moves itself, so each gets the same gradient, {g}.", g=brief(back)
        ),
    )
    words = (
        "If one factor moves by a little, the product moves by the other factor times that. So each gets what came "
        "back times the other one: {w} gets {x} times {g} = {gw}, and {source} gets {v} times {g} = {gx}."
    )
    yield (
        say("\u00d7: a product swaps"),
        say(
            words,
            w=weight.name,
            x=brief(source.value),
            g=brief(back),
            gw=brief(weight.gradient),
            source=source.name,
            v=brief(weight.value),
            gx=brief(source.gradient),
        ),
    )
    if len(circuit.parts) > 1:
        few = circuit.parts[:PARTS]
        terms = " + ".join(f"({brief(part)})" if part < 0 else brief(part) for part in few)
        terms += " + ..." * (len(few) < len(circuit.parts))
        words = (
            "{w} is read in every row, so it reaches the loss on {rows} ways, and what comes back on all of them is "
            "added up: {terms} = {total}, which is dL/d{w}."
        )
        yield (
            say("Where a number is read more than once, gradients add up"),
            say(words, w=circuit.weight.name, rows=len(circuit.parts), terms=terms, total=brief(sum(circuit.parts))),
        )
