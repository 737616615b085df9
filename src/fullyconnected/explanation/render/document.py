"""What every form shows of a record: arrays as tables, elided where they are large, and entries worked out."""

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.core.messages import Message
from fullyconnected.core.wording import in_words, printable
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import PHASES, Step, Trace
from fullyconnected.symbolic.digits import decimal, place, shown
from fullyconnected.symbolic.evaluation import entry, exact, shape_of
from fullyconnected.symbolic.expression import Binary, Expression, Name, Number, Transposed, sides

__all__ = [
    "LEGEND", "NOTES", "Cell", "Chapter", "Grid", "Worked", "cells", "chapters", "folded", "given", "grid", "headline",
    "left_out", "losses", "note", "nothing_yet", "numbers_in", "relation", "shapes", "statistics", "story", "table",
    "verdict", "worked",
]  # fmt: skip

ENTRIES = 6  # a result of at most this many entries is worked out whole
FEW = 3  # of a larger result, this many first entries and the last one are worked out
NUMBERS = 20  # about how many numbers the worked entries of a step have; a long formula has fewer entries, at least two
ROWS, OUTPUTS = 4, 6  # of how many rows, and outputs, it is said what the network says
FACTORS = {
    "lr_factor": "the factor on the learning rate of {}",
    "decay_factor": "the factor on the weight decay of {}",
    "shape_factor": "the root of the outputs over the inputs of {}, or 1 if that is larger",
}
EXACT = 64  # how many entries are checked for whether all digits are exact


class Cell(NamedTuple):
    """A number of a table: the text shown, its value, and the entry of which array it is."""

    text: str
    value: float
    quantity: str
    whole: bool  # whether all of its digits are shown


class Grid(NamedTuple):
    """An array as a table; None stands for the rows or columns left out.

    ``note`` describes an elided array, and is empty where everything is shown.
    """

    rows: tuple[tuple[Cell | None, ...] | None, ...]
    shape: Shape
    note: str

    @property
    def sign(self) -> str:
        """``=`` where every number is shown with all its digits, else ``~``."""
        return "=" if all(c.whole for row in self.rows if row is not None for c in row if c is not None) else "~"

    @property
    def columns(self) -> int:
        """The number of cells in a row, including the one that stands for columns left out."""
        return max((len(row) for row in self.rows if row is not None), default=0)


class Chapter(NamedTuple):
    """A phase of the record: a note about it, its steps, and a sentence about the steps left out."""

    phase: str
    note: str
    steps: list[Step]
    others: str


class Worked(NamedTuple):
    """One entry of a result, worked out: its name, the formula with numbers instead of names, and the result."""

    left: str
    right: Expression
    sign: str
    result: Cell
    at: Shape


def cell(name: Name, array: Array, at: Shape) -> Cell:
    """Return one entry of a named array."""
    value, text = array[at], shown(array[at])
    kind = np.float32 if isinstance(value, np.float32) else np.float64
    return Cell(text, value.item(), name.quantity + place(at), bool(kind(text) == value or not np.isfinite(value)))


def grid(name: Name, array: Array, most: tuple[int, int] = (6, 5)) -> Grid:
    """Return an array as a table; a vector is a row, and the matrices of an ensemble's members follow each other."""
    height, width = math.prod(array.shape[:-1]), array.shape[-1] if array.ndim else 1

    def chosen(count: int, limit: int) -> list[int | None]:
        return list(range(count)) if count <= limit else [*range(limit - 2), None, count - 1]

    def at(i: int, j: int) -> Shape:
        return (*map(int, np.unravel_index(i, array.shape[:-1])), j) if array.ndim > 1 else (j,) * array.ndim

    rows = tuple(
        None if i is None else tuple(None if j is None else cell(name, array, at(i, j)) for j in chosen(width, most[1]))
        for i in chosen(height, most[0])
    )
    elided = height > most[0] or width > most[1]
    return Grid(rows, array.shape, statistics(array) if elided else "")


def table(step: Step, most: tuple[int, int] = (6, 5)) -> Grid | None:
    """Return a step's result as a table; None where only some entries were computed, which are worked out."""
    if step.entries is not None and len(step.entries) < step.result.size:
        return None
    return grid(step.equation.left, step.result, most)


def cells(table: Grid, down: str, across: str, written: Callable[[Cell], str]) -> list[list[str]]:
    """Return the texts of a table's rows, with ``down`` for rows left out and ``across`` for columns left out."""
    return [
        [down] * table.columns if row is None else [across if c is None else written(c) for c in row]
        for row in table.rows
    ]


def statistics(array: Array) -> str:
    """Describe an array in one line."""
    values = array.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    said = f"{'x'.join(map(str, array.shape))}: {array.size:,} numbers"
    if finite.size:
        with np.errstate(all="ignore"):
            spread = f"mean {finite.mean():.4g}, standard deviation {finite.std():.4g}"
        said += f" from {finite.min():.4g} to {finite.max():.4g}, {spread}"
    if finite.size < values.size:
        said += f"; {values.size - finite.size:,} are not finite"
    return said


def given(trace: Trace) -> list[tuple[Name, str]]:
    """Return the quantities that a record starts from, each with a description."""
    said = {
        "x": "the input",
        "t": "the targets" + ", once for each member" * (trace.operations[-1].copies > 1),
        "sample_weight": "the weights of the rows, divided by their sum",
        "ones": "a 1 for each row",
        "step": "the step size of the central differences",
        "steps": "the number of the optimizer's step, counted from 1",
        "lr": "the learning rate",
    }
    owners = {name.full for name in trace.values}

    def what(full: str) -> str:
        owner, _, part = full.rpartition(":")
        if owner not in owners:
            return said.get(full, full)
        if part in FACTORS:
            return FACTORS[part].format(owner)
        of_each = f"for each entry of {owner}"
        return f"{said['step']}, {of_each}" if part == "step" else f"the optimizer's {part} {of_each}, before the step"

    zeros = folded(trace)
    return [(name, what(name.full)) for name in trace.given if name not in zeros]


def folded(trace: Trace) -> list[Name]:
    """Return the optimizer's memory where all of it is 0, as before the first step: it is told in one sentence."""
    owners = {name.full for name in trace.values}
    return [
        name
        for name in trace.given
        if name.full.rpartition(":")[0] in owners
        and name.full.rpartition(":")[2] not in (*FACTORS, "step")
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


def chapters(trace: Trace, focus: Focus | None = None) -> Iterator[Chapter]:
    """Yield the phases of a record; with a focus, only the steps that concern it."""
    for phase in PHASES:
        steps = [step for step in trace.steps if step.phase == phase]
        concerned = [step for step in steps if focus is None or focus.concerns(step)]
        others = "" if focus is None or len(concerned) == len(steps) else focus.others(len(steps) - len(concerned))
        if steps:
            yield Chapter(phase, note(trace, phase), concerned, others)


def relation(step: Step) -> str:
    """Return ``=`` where the digits shown of a result follow exactly from those of its operands, else ``~``.

    If the formula is not known, ``=`` means that all digits are shown.
    """
    array = step.result
    if not step.known:
        return grid(step.equation.left, array).sign
    indices = step.entries if step.entries is not None else list(islice(np.ndindex(array.shape), EXACT + 1))
    if len(indices) > EXACT:  # without checking each of so many, only a copy is known to be exact
        return "=" if isinstance(step.formula, Name) else "~"
    return "=" if all(is_exact(step, at) for at in indices) else "~"


def is_exact(step: Step, at: Shape) -> bool:
    """Whether the digits shown of an entry are exactly what its formula gives for the digits shown of its operands."""
    result = shown(step.result[at])
    value = exact(entry(step.equation.right, at, step.values))
    return value is not None and value == decimal(result)


def worked(step: Step, chosen: Callable[[Shape], bool] | None = None) -> tuple[list[Worked], int]:
    """Return some entries of a step's result worked out, and how many more there are.

    ``chosen`` selects the entries; by default they are all entries of a small result, and the first ones and the last
    of a larger one.
    """
    if not step.known:
        return [], 0
    array = step.result
    if step.entries is None and chosen is None and array.size > ENTRIES:  # a large array's indices are not listed
        total = array.size
        indices = [*islice(np.ndindex(array.shape), FEW), tuple(n - 1 for n in array.shape)]
    else:
        every = step.entries if step.entries is not None else np.ndindex(array.shape)
        indices = [at for at in every if chosen is None or chosen(at)]
        total = len(indices)
    if len(indices) > ENTRIES:
        indices = [*indices[:FEW], indices[-1]]
    name = step.equation.left
    if indices:
        several = max(2, NUMBERS // numbers_in(entry(step.equation.right, indices[0], step.values)))
        indices = indices if len(indices) <= several else [*indices[: several - 1], indices[-1]]
    found, copies = [], 0
    for at in indices:
        result, right = cell(name, array, at), entry(step.equation.right, at, step.values)
        if isinstance(right, Number) and right.text == result.text:  # a copy, of which there is nothing to work out
            copies += 1
            continue
        sign = "=" if is_exact(step, at) else "~"
        found.append(Worked(name.text + place(at), right, sign, result, at))
    return found, total - copies - len(found) if found else 0


def numbers_in(node: Expression) -> int:
    """Count the numbers in a formula."""
    return 1 if isinstance(node, Number) else sum(map(numbers_in, sides(node))) or 1


def left_out(more: int) -> str:
    """Say how many entries are not worked out.

    >>> left_out(1)
    'and 1 more entry, computed in the same way'
    """
    return f"and {more:,} more entr{'y' if more == 1 else 'ies'}, computed in the same way"


def shapes(step: Step) -> str:
    """Return the shapes of a step: as an equation if the formula has only products and sums, else one by one."""

    def simple(node: Expression) -> bool:
        allowed = isinstance(node, Name | Transposed) or (isinstance(node, Binary) and node.operator in "@+-*")
        return allowed and all(map(simple, sides(node)))

    def written(node: Expression, within: str = "") -> str:
        if not isinstance(node, Binary):
            return str(shape_of(node, step.values))
        left, right = (written(part, node.operator) for part in (node.left, node.right))
        said = f"{left}{right}" if node.operator == "@" else f"{left} {node.operator} {right}"
        loose = {"+": ("*", "@", "-"), "-": ("*", "@", "-"), "*": ("@",)}
        return f"({said})" if within in loose.get(node.operator, ()) else said

    right = step.equation.right
    if simple(right) and isinstance(right, Binary):
        return f"{step.result.shape} = {written(right)}"
    return ", ".join(f"{name} {shape}" for name, shape in step.shapes.items() if shape)


def verdict(trace: Trace) -> str:
    """Say in a sentence whether the gradients of a record are right."""
    if (bad := trace.first_not_finite) is not None:
        said = f"NOT FINITE: step {bad.number}, {bad.name} of {bad.layer}, is the first result to hold NaN or infinity"
        given_so = [name for name, array in bad.operands.items() if not np.isfinite(array).all()]
        return f"{said}; {' and '.join(given_so)} held it from the start" if given_so else said
    reports = trace.reports
    if not reports:
        return "the gradients were not compared with central differences"
    wrong = [report.name for report in reports if report.wrong]
    if wrong:
        return f"WRONG: the gradients of {printable(', '.join(wrong))} disagree with central differences"
    if not trace.resolved:
        return "the gradients are too small to be compared with central differences: neither right nor wrong"
    compared, inputs = sum(r.checked - r.unresolved for r in reports), trace.values[trace.wires[0]].size
    parameters = sum(math.prod(r.shape) for r in reports if r.name != "x")  # there is none of inputs that are missing
    entries, of = parameters + inputs, f"(of {parameters:,} parameters and {inputs:,} inputs)"
    if compared < entries:
        missing = sum(report.unresolved for report in reports)
        small = f"; {missing:,} are too small to be compared" if missing else ""
        return f"{compared:,} of {entries:,} gradients {of} were compared with central differences, and agree{small}"
    return f"all {entries:,} gradients {of} agree with central differences"


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
    few = trace.rows if trace.rows <= ROWS else ROWS - 1
    found = []
    for i in range(few):
        numbers = {"i": i, "says": _listed(trace.predicted[i]), "loss": shown(trace.losses[i])}
        if trace.wanted.ndim == 1:
            template = (
                "Row {i}: the network says {says}, and the class is number {wanted}; the loss of this row is {loss}."
            )
        else:
            template = "Row {i}: the network says {says}, and {wanted} is wanted; the loss of this row is {loss}."
        found.append(Message(template, **numbers, wanted=_listed(trace.wanted[i])))
    if few < trace.rows:
        found.append(Message("There are {n} more rows.", n=f"{trace.rows - few:,}"))
    return found


def _listed(numbers: Array) -> str:
    listed = [shown(value) for value in np.atleast_1d(numbers)[:OUTPUTS]]
    return ", ".join(listed) + ", ..." * (numbers.size > OUTPUTS)


def headline(trace: Trace) -> str:
    """Describe the example in one line."""
    joins = next((i for i, op in enumerate(trace.operations) if op.layer.joins), 0)  # where layers side by side end
    widths = [op.n_out for op in trace.operations[joins:] if op.is_dense or op.layer.joins]
    sizes = "-".join(map(str, [trace.values[trace.wires[0]].shape[1], *widths]))
    k = trace.operations[-1].copies
    members = f" of {k} members" if k > 1 else ""
    return f"One training step of a {sizes} network{members}, worked out for {trace.rows} row{'s' * (trace.rows != 1)}"


LEGEND = (
    "x is the input, with one row per sample; t are the targets; L is the loss, which training reduces.",
    "W1 and b1 are the weights and biases of the first layer, z1 is the input of its activation, and y1 its output. "
    "dL/dW1 is the gradient of W1: how fast L grows with each entry of W1.",
    "In y1[0,2], 0 is the row and 2 the unit, both counted from 0; in sums, i counts rows and j units.",
)
NOTES = {
    "backward": Message("The gradients are computed from the loss back to the input, by the chain rule."),
    "check": Message(
        "Each number is increased and decreased by a small step, and the loss is computed again: L_right and "
        "L_left. The slope between the two must agree with the gradient."
    ),
    "after": Message(
        "The same rows go through the network once more, with the new parameters, to see whether the loss has become "
        "smaller."
    ),
}
