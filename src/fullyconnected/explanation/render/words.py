"""What the forms of a record say in words, as messages that can be said in any language of the catalogue."""

import math
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.messages import Message
from fullyconnected.core.wording import in_words, printable
from fullyconnected.explanation.record import Trace
from fullyconnected.symbolic.digits import shown
from fullyconnected.symbolic.expression import Name

__all__ = [
    "NOTES", "PHASE_TITLES", "SETTINGS", "TEXTBOOK", "Term", "described", "folded", "given", "headline", "left_out",
    "legend", "losses", "note", "nothing_yet", "statistics", "story", "textbook", "verdict",
]  # fmt: skip

ROWS, OUTPUTS = 4, 6  # of how many rows, and outputs, it is said what the network says
GIVEN = {  # what there is once
    "x": Message("the input"),
    "t": Message("the targets"),
    "sample_weight": Message("the weights of the samples, divided by their sum"),
    "ones": Message("a 1 for each sample"),
    "step": Message("the step of the central differences"),
    "steps": Message("the number of the optimizer's step, counted from 1"),
    "l2": Message("the strength of the L2 term"),
}
OF_NUMBERS = {  # what belongs to a quantity
    "lr_factor": Message("the factor on the learning rate of {of}", of=""),
    "decay_factor": Message("the factor on the weight decay of {of}", of=""),
    "shape_factor": Message("the root of the outputs over the inputs of {of}, or 1 if that is larger", of=""),
    "step": Message("the step of the central differences for each entry of {of}", of=""),
}
OF_LAYERS = {
    "W": Message("the weights of {of}", of=""),
    "b": Message("the biases of {of}", of=""),
    "gamma": Message("the gains of {of}", of=""),
    "beta": Message("the shifts of {of}", of=""),
    "m": Message("the mask of {of}: by what each number is multiplied", of=""),
    "epsilon": Message("a small number of {of} that avoids a division by 0", of=""),
    "momentum": Message("how far the running statistics of {of} move", of=""),
    "running_mean": Message("the running mean of {of}", of=""),
    "running_var": Message("the running variance of {of}", of=""),
}
OF_OTHERS = {  # settings of the optimizer and of the loss
    "lr": Message("the learning rate of {of}", of=""),
    "beta1": Message("how much of m {of} keeps", of=""),
    "beta2": Message("how much of v {of} keeps", of=""),
    "rho": Message("how much of v {of} keeps", of=""),
    "momentum": Message("how much of the velocity {of} keeps", of=""),
    "epsilon": Message("a small number of {of} that avoids a division by 0", of=""),
    "weight_decay": Message("the weight decay of {of}", of=""),
    "k": Message("the number of outputs, for the {of}", of=""),
    "label_smoothing": Message("the label smoothing of the {of}", of=""),
}


def statistics(array: Array) -> Message:
    """Describe an array in one line."""
    values = array.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    said = Message("{shape}: {n} numbers", shape="x".join(map(str, array.shape)), n=f"{array.size:,}")
    if finite.size and finite.min() == finite.max():
        said = Message("{of}, all of them {value}", of=said, value=f"{finite[0]:.4g}")
    elif finite.size:
        with np.errstate(all="ignore"):
            numbers = {"mean": finite.mean(), "deviation": finite.std(), "least": finite.min(), "most": finite.max()}
        said = Message(
            "{of} from {least} to {most}, mean {mean}, standard deviation {deviation}",
            of=said, **{name: f"{value:.4g}" for name, value in numbers.items()},
        )  # fmt: skip
    if finite.size < values.size:
        said = Message("{of}; {n} are not finite", of=said, n=f"{values.size - finite.size:,}")
    return said


def given(trace: Trace) -> list[tuple[Name, Message]]:
    """Return the quantities that a record starts from, each with a description."""
    zeros = folded(trace)
    return [(name, described(trace, name)) for name in trace.given if name not in zeros]


def described(trace: Trace, name: Name) -> Message:
    """Say what a quantity that was not computed is."""
    owner, _, part = name.full.rpartition(":")
    of = next((known.text for known in trace.values if known.full == owner and not known.of), "")
    if of and part in OF_NUMBERS:
        return Message(OF_NUMBERS[part].template, of=of)
    if of:
        return Message("the optimizer's {letter} for each entry of {of}, before the step", letter=part, of=of)
    if name.full == "t" and trace.operations[-1].copies > 1:
        return Message("the targets, once for each member")
    layer, _, letter = name.full.rpartition(".")
    if not layer:
        return GIVEN.get(letter) or Message("{name}", name=name.full)
    known = OF_LAYERS if layer in {op.name for op in trace.operations} else OF_OTHERS
    if letter in known:
        return Message(known[letter].template, of=layer)
    return Message("{letter} of {of}", letter=letter, of=layer)


def folded(trace: Trace) -> list[Name]:
    """Return the optimizer's memory where all of it is 0, as before the first step: it is told in one sentence."""
    owners = {name.full for name in trace.values}
    return [
        name
        for name in trace.given
        if name.full.rpartition(":")[0] in owners
        and name.full.rpartition(":")[2] not in OF_NUMBERS
        and not trace.values[name].any()
    ]


def nothing_yet(trace: Trace) -> Message | None:
    """Say which of the optimizer's memory is 0, or return None if there is none of it."""
    letters = dict.fromkeys(name.full.rpartition(":")[2] for name in folded(trace))
    if not letters:
        return None
    return Message(
        "The optimizer's memory, {letters} of every parameter, is 0 before the first step.", letters=in_words(letters)
    )


def left_out(more: int) -> Message:
    """Say how many entries are not worked out.

    >>> left_out(1)
    'and 1 more entry, computed in the same way'
    """
    if more == 1:
        return Message("and 1 more entry, computed in the same way")
    return Message("and {n} more entries, computed in the same way", n=f"{more:,}")


def verdict(trace: Trace) -> Message:
    """Say in a sentence whether the gradients of a record are right."""
    if (bad := trace.first_not_finite) is not None:
        at = {"n": bad.number, "name": bad.name, "layer": bad.layer}
        held = [name for name, array in bad.operands.items() if not np.isfinite(array).all()]
        if not held:
            return Message("NOT FINITE: step {n}, {name} of {layer}, is the first result to hold NaN or infinity", **at)
        return Message(
            "NOT FINITE: step {n}, {name} of {layer}, is the first result to hold NaN or infinity; {held} held it from "
            "the start", held=", ".join(held), **at,
        )  # fmt: skip
    reports = trace.reports
    if not reports:
        return Message("the gradients were not compared with central differences")
    if wrong := [report.name for report in reports if report.wrong]:
        names = printable(", ".join(wrong))
        return Message("WRONG: the gradients of {names} disagree with central differences", names=names)
    if not trace.resolved:
        return Message("the gradients are too small to be compared with central differences: neither right nor wrong")
    compared, inputs = sum(r.checked - r.unresolved for r in reports), trace.values[trace.wires[0]].size
    parameters = sum(math.prod(r.shape) for r in reports if r.name != "x")  # there is none of inputs that are missing
    counts = {"all": parameters + inputs, "parameters": parameters, "inputs": inputs, "n": compared}
    numbers = {name: f"{count:,}" for name, count in counts.items()}
    if compared == parameters + inputs:
        return Message(
            "all {all} gradients (of {parameters} parameters and {inputs} inputs) agree with central differences",
            **numbers,
        )
    some = Message(
        "{n} of {all} gradients (of {parameters} parameters and {inputs} inputs) were compared with central "
        "differences, and agree", **numbers,
    )  # fmt: skip
    if missing := sum(report.unresolved for report in reports):
        if missing == 1:
            return Message("{some}; 1 is too small to be compared", some=some)
        return Message("{some}; {n} are too small to be compared", some=some, n=f"{missing:,}")
    return some


def note(trace: Trace, phase: str) -> Message:
    """Return what is said at the beginning of a phase, or nothing."""
    if phase != "update":
        return NOTES.get(phase, Message(""))
    step = int(trace.values[trace.name("steps")])
    if step == 1:
        return Message("This is the first step of the optimizer; its state starts at 0.")
    return Message("This is step {n} of the optimizer; its state is what the steps before have left.", n=step)


def losses(trace: Trace) -> Message:
    """Say what the loss is, and what it is after the update."""
    numbers = {"loss": shown(trace.values[trace.name("L")])}
    if trace.loss_after is None:
        return Message("The loss is L = {loss}.", **numbers)
    numbers["after"] = shown(trace.values[trace.name("L_new")])
    if trace.loss_after < trace.loss:
        return Message("The loss was L = {loss}; after the update it is smaller, L_new = {after}.", **numbers)
    return Message("The loss was L = {loss}; after the update it is not smaller, L_new = {after}.", **numbers)


def story(trace: Trace) -> list[Message]:
    """Say of the first rows what the network says, what is wanted, and how large the loss of each is."""
    trace = trace.in_rows
    few = trace.rows if trace.rows <= ROWS else ROWS - 1
    found = []
    for i in range(few):
        said = {"i": i, "says": _listed(trace.predicted[i]), "loss": shown(trace.losses[i])}
        wanted = _listed(trace.wanted[i])
        if trace.wanted.ndim == 1:
            found.append(
                Message(
                    "Row {i}: the network says {says}, and class {wanted} is right; the loss of this row is {loss}.",
                    wanted=wanted, **said,
                )
            )  # fmt: skip
        else:
            found.append(
                Message(
                    "Row {i}: the network says {says}, and {wanted} is wanted; the loss of this row is {loss}.",
                    wanted=wanted, **said,
                )
            )  # fmt: skip
    if few < trace.rows:
        found.append(Message("There are {n} more rows.", n=f"{trace.rows - few:,}"))
    return found


def _listed(numbers: Array) -> str:
    listed = [shown(value) for value in np.atleast_1d(numbers)[:OUTPUTS]]
    return ", ".join(listed) + ", ..." * (numbers.size > OUTPUTS)


def headline(trace: Trace) -> Message:
    """Describe the example in one line."""
    joins = next((i for i, op in enumerate(trace.operations) if op.layer.joins), 0)  # where layers side by side end
    trace = trace.in_rows
    widths = [op.n_out for op in trace.operations[joins:] if op.is_dense or op.layer.joins]
    sizes = "-".join(map(str, [trace.values[trace.wires[0]].shape[1], *widths]))
    network = Message("a {sizes} network", sizes=sizes)
    if not widths:
        network = Message("a network of {sizes} inputs", sizes=sizes)
    if (k := trace.operations[-1].copies) > 1:
        network = Message("a {sizes} network of {k} members", sizes=sizes, k=k)
    if trace.rows == 1:
        return Message("One training step of {network}, worked out for 1 row", network=network)
    return Message("One training step of {network}, worked out for {n} rows", network=network, n=trace.rows)


LEGEND = (
    Message("x is the input, with one row for each sample; t are the targets; L is the loss, which training reduces."),
    Message(
        "The number in a name is that of a Dense layer: W1 and b1 are the weights and biases of the first one, z1 is "
        "what it computes, and y1 what its activation makes of that, or what it gives if it has none. Other layers "
        "have a word with a number, as in y_norm1. dL/dW1 is the gradient of W1: how fast L grows with each entry of "
        "W1."
    ),
    Message(
        "In y1[0,2], 0 is the row and 2 the unit, both counted from 0; in sums, i counts rows and j units. W1[0,2] "
        "leads from input 0 to unit 2."
    ),
)
WITH_L2 = Message("With an L2 term, E is the loss without it, and L the loss with it.")


LEGEND_IN_COLUMNS = (
    Message(
        "x is the input, with one column for each sample; t are the targets; L is the loss, which training reduces."
    ),
    LEGEND[1],
    Message(
        "In y1[2,0], 2 is the unit and 0 the column of the sample, both counted from 0; in sums, i counts samples and "
        "j units. W1[2,0] leads from input 0 to unit 2."
    ),
)


def legend(trace: Trace) -> list[Message]:
    """Return what explains the names of a record."""
    found = LEGEND if trace.notation == "xW" else LEGEND_IN_COLUMNS
    return [*found, WITH_L2] if any(name.full == "E" for name in trace.values) else [*found]


class Term(NamedTuple):
    """What a textbook may call something else: our name, others, and what it is."""

    ours: str
    others: str
    what: Message


TEXTBOOK = (
    Term("z1 = x W1 + b1", "z = W x + b", Message("where samples are columns, W is transposed, and stands before x")),
    Term("y1", "a, h", Message("what a layer gives: its activations")),
    Term("dL/dz1", "delta", Message("the error of a layer: how L changes with what it computes")),
    Term("W1, b1", "theta, w", Message("the parameters")),
    Term("t", "y", Message("what is wanted: the target")),
    Term("p, y", "y with a hat", Message("what the network says: the prediction")),
    Term("L", "J, C, E", Message("the loss, or cost")),
    Term("lr", "eta, alpha", Message("the learning rate")),
)


IN_COLUMNS = Term(
    "z1 = W1 x + b1", "z = x W + b", Message("where samples are rows, W is transposed, and stands behind x")
)


def textbook(trace: Trace) -> tuple[Term, ...]:
    """Return what a textbook may call something else."""
    return TEXTBOOK if trace.notation == "xW" else (IN_COLUMNS, *TEXTBOOK[1:])


PHASE_TITLES = {
    "forward": Message("Forward"),
    "loss": Message("Loss"),
    "backward": Message("Backward"),
    "check": Message("Check"),
    "update": Message("Update"),
    "after": Message("After the update"),
}
SETTINGS = {
    "loss": Message("loss"),
    "dtype": Message("dtype"),
    "rows": Message("rows"),
    "mode": Message("mode"),
    "members": Message("members"),
    "l2": Message("l2"),
    "factors": Message("factors"),
    "optimizer": Message("optimizer"),
    "step": Message("step"),
    "data": Message("data"),
    "inputs": Message("inputs"),
    "target": Message("target"),
    "layout": Message("layout"),
    "kinks": Message("kinks"),
    "library": Message("library"),
    "task": Message("task"),
    "playground": Message("playground"),
    "after step": Message("after step"),
}
NOTES = {
    "forward": Message("The input goes through the layers, one after the other, to what the network says."),
    "loss": Message("The loss measures how far that is from what is wanted; with its slope, learning begins."),
    "backward": Message(
        "The gradients go from the loss back to the input, by the chain rule: each step multiplies what comes from "
        "behind by its own slope. A sum hands its gradient on unchanged, a product swaps its factors, a maximum routes "
        "it to the number that won, and where one number goes several ways, what comes back on them is added."
    ),
    "check": Message(
        "Each number is increased and decreased by a small step, and the loss is computed again: L_right and L_left. "
        "The slope between the two must agree with the gradient."
    ),
    "after": Message(
        "The same rows go through the network once more, with the new parameters, to see whether the loss has become "
        "smaller."
    ),
}
