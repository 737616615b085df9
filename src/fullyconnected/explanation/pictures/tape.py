"""What pictures are made of: the operations of a network or of a record, with all values that are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fullyconnected.base import Link
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import as_rows, known_columns
from fullyconnected.errors import ShapeError
from fullyconnected.explanation.naming import wires
from fullyconnected.explanation.record import Trace
from fullyconnected.losses import LOSSES
from fullyconnected.network import Network
from fullyconnected.program.description import Operation, apart
from fullyconnected.program.program import Program
from fullyconnected.program.workspace import Workspace
from fullyconnected.symbolic.expression import Name
from fullyconnected.symbolic.names import identifier

__all__ = ["End", "Held", "Tape", "shown_row", "tape_of_network", "tape_of_record"]

FIRST_COLUMNS = 8  # of many columns, as many as a picture shows


@dataclass
class Held:
    """A quantity: what formulas call it, its full name, and its value and gradient, if they are known."""

    text: str
    quantity: str
    value: Array | None = None
    gradient: Array | None = None


@dataclass
class End:
    """The loss and what it reads beside the outputs: targets, and probabilities if it has them."""

    name: str
    loss: list[Held]
    t: Held
    p: Held | None  # of the shape of the outputs
    mixes: bool  # whether a probability depends on all outputs of its row


@dataclass
class Tape:
    """Operations, each activation apart, and their wires; ``row`` is the one of ``rows`` whose values are shown."""

    operations: tuple[Operation, ...]
    wires: list[Held]  # the input, and the output of each operation
    params: list[dict[str, Held]]  # of each operation, by letter
    rows: int = 0
    row: int = 0
    unset: tuple[str, ...] = ()
    masks: dict[int, Array] = field(default_factory=dict)  # of dropout, by operation
    train: bool = False
    end: End | None = None
    inputs: tuple[str, ...] = ()  # what the columns of x are called, if they have names
    outputs: tuple[str, ...] = ()

    def row_of(self, focus: str) -> int:
        """Return the row of a unit in focus, and else the one that is shown."""
        name, _, at = focus.rstrip("]").rpartition("[")
        for i, wire in enumerate(self.wires):
            if wire.quantity == name and (row := at.partition(",")[0]).isdecimal():
                return min(int(row) // (self.operations[i - 1].copies if i else 1), max(self.rows - 1, 0))
        return self.row


def shown_row(record: Trace) -> int:
    """Return the number of the row whose numbers are shown first: of XOR's, the one without zeros.

    It is the first of those with the most inputs that are neither zero nor missing, of which only the first ones count
    if there are many.
    """
    record = record.in_rows
    return _row_of(record.values[record.wires[0]])


def _row_of(x: Array) -> int:
    useful = np.isfinite(x) & (x != 0)
    return int(np.lexsort((~useful.any(axis=1), -useful[:, :FIRST_COLUMNS].sum(axis=1)))[0])


def tape_of_network(net: Network, x: Any = None) -> Tape:
    """Return a network, with what it computes for rows of x."""
    program = Program(net.layers, apart(net.program.operations))
    outputs: list[Array | None] = [None] * len(program.operations)
    first: Array | None = None
    if x is not None:
        net.require_set()
        x = known_columns(x, net.program.names, net.columns.x)
        x = as_rows(x, net.n_in, missing=net.program.reads_raw)
        net.program.check_rows(x, "x", net.dtype)
        if not len(x):
            raise ShapeError("x has no rows; a picture shows the numbers of one")
        batch = Workspace(program, net.theta, net.state.copy(), len(x)).bind(len(x))
        np.copyto(batch.x, x, casting="unsafe")
        with np.errstate(all="ignore"):
            batch.forward(train=False)
        first, outputs = batch.x, [y for *_, y in batch.bound()]
    names = wires(program.operations)
    params = [
        {
            letter: Held(Name(identifier(letter), name.index).text, f"{name.full.rpartition('.')[0]}.{letter}", view)
            for letter, view in vars(views).items()
        }
        for views, name in zip(program.views(net.theta), names[1:], strict=True)
    ]
    held = [Held(name.text, name.quantity, y) for name, y in zip(names, [first, *outputs], strict=True)]
    rows, row = (0, 0) if first is None else (len(first), _row_of(first))
    return Tape(program.operations, held, params, rows, row, tuple(net.unset))


def tape_of_record(record: Trace) -> Tape:
    """Return the operations and the values of a record."""
    known = {name.full: name for name in record.values if not name.of and not name.new}

    def held(name: Any) -> Held:
        return Held(name.text, name.quantity, record.values[name], record.values.get(name.gradient("L")))

    params = [
        {letter.letter: held(known[full]) for letter in op.params if (full := f"{op.name}.{letter.letter}") in known}
        for op in record.operations
    ]
    masks = {
        i: record.values[known[full]]
        for i, op in enumerate(record.operations)
        if op.layer.random and (full := f"{op.name}.m") in known
    }
    return Tape(
        record.operations,
        [held(wire) for wire in record.wires],
        params,
        record.rows,
        shown_row(record),
        masks=masks,
        train=record.settings.get("mode", "").startswith("training"),
        end=_end(record, known),
        inputs=record.inputs,
        outputs=record.outputs,
    )


def _end(record: Trace, known: Mapping[str, Any]) -> End:
    z = record.values[record.wires[-1]]
    name = record.settings["loss"].partition("(")[0]
    link: Any = next((cls.link for cls in LOSSES.classes.values() if cls.__name__ == name), None)
    p = None
    if (
        isinstance(link, Link) and link.inverse is not None
    ):  # the same bits as the loss's own, which a record may not have
        p = Held("p", "loss.p", record.values[known["loss.p"]] if "loss.p" in known else link.predictions(z))
    mixes = p is not None and link.inverse.name == "softmax"
    loss = [Held(each, each, record.values[known[each]]) for each in ("E", "L") if each in known]
    loss[-1].gradient = np.ones(())
    return End(name, loss, Held("t", "t", record.values[known["t"]]), p, mixes)
