"""The gates of one unit, and what each does to a gradient that comes back."""

from collections.abc import Iterator

import numpy as np

from fullyconnected.core.messages import Message
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
    yield opened("gates", plan.say(Message("Gates: how a gradient comes back through one unit")))
    said = Message(
        "This is one unit, for row {row}. Values go to the right; the gradient comes back from the loss, and each gate "
        "passes it on by a rule of its own.",
        row=plan.row,
    )
    yield f"<p>{plan.say(said)}</p>"
    drawn = gates_of(circuit, lang=plan.lang)
    yield f'<figure class="picture"><div class="scroll">{drawn}</div></figure><dl class="answers">'
    for gate, meaning in _meanings(circuit):
        yield f"<div><dt>{plan.say(gate)}</dt><dd>{plan.say(meaning)}</dd></div>"
    yield "</dl></section>"


def _finite(circuit: Circuit) -> bool:
    wires = [wire for pair in circuit.terms for wire in pair]
    return bool(np.isfinite([each.value for each in wires] + [circuit.z.value, circuit.z.gradient]).all())


def _meanings(circuit: Circuit) -> Iterator[tuple[Message, Message]]:
    back, (source, weight) = brief(circuit.z.gradient), circuit.terms[0]
    if circuit.y is not None:
        yield (
            Message("{function}: a function scales", function=circuit.function),
            Message(
                "A function scales what comes back by its slope: here dL/d{z} = {g}, where dL/d{y} = {h}. Where the "
                "function is flat, nothing comes through.",
                z=circuit.z.name,
                y=circuit.y.name,
                g=back,
                h=brief(circuit.y.gradient),
            ),
        )
    yield (
        Message("+: a sum distributes"),
        Message("Each term moves the sum by as much as it moves itself, so each gets the same gradient, {g}.", g=back),
    )
    yield (
        Message("\u00d7: a product swaps"),
        Message(
            "If one factor moves by a little, the product moves by the other factor times that. So each gets what came "
            "back times the other one: {w} gets {x} times {g}, which is {gw}, and {source} gets {v} times {g}, which "
            "is {gx}.",
            w=weight.name,
            x=brief(source.value),
            g=back,
            gw=brief(weight.gradient),
            source=source.name,
            v=brief(weight.value),
            gx=brief(source.gradient),
        ),
    )
    if len(circuit.parts) > 1:
        few = circuit.parts[:PARTS]
        terms = " + ".join(f"({brief(part)})" if part < 0 else brief(part) for part in few)
        yield (
            Message("A branch sums"),
            Message(
                "{w} is read in every row, so it reaches the loss in {rows} ways, and what comes back on all of them "
                "is added up: {terms} is about {total}, which is dL/d{w}.",
                w=circuit.weight.name,
                rows=len(circuit.parts),
                terms=terms + " + ..." * (len(few) < len(circuit.parts)),
                total=brief(sum(circuit.parts)),
            ),
        )
