"""What a page shows of a record: which row, in which words, and which steps repeat the formula of an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import say
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.symbolic.expression import Expression, Name, mapped, names_in

__all__ = ["ALIKE", "Plan", "Run", "identical", "largest", "pattern", "reads"]

MOST_ROWS, MOST_COLUMNS = 8, 8  # of an array on the page; the pictures draw at most 8 units of a layer
ALIKE = Message("Computed as in step")  # followed by the step's number
OFTEN = 4  # a formula that comes this often is shown once, and its results together


class Run(NamedTuple):
    """Steps that follow each other: one with its formula, or several that repeat formulas of earlier ones."""

    steps: Sequence[Step]
    alike: bool


@dataclass(frozen=True)
class Plan:
    """A record, the number in focus, and the row that is shown first."""

    trace: Trace
    focus: Focus | None
    row: int
    lang: str = "en"
    most: tuple[int, int] = field(default=(MOST_ROWS, MOST_COLUMNS), init=False)

    def say(self, message: str) -> str:
        """Return words of the page as HTML."""
        return escape(say(message, self.lang))

    @property
    def rows(self) -> int:
        """How many rows the input has."""
        return self.trace.rows

    @property
    def axis(self) -> int:
        """The axis of an array along which the samples lie: 0, or -1 where they are columns."""
        return 0 if self.trace.notation == "xW" else -1

    @cached_property
    def listed(self) -> list[int]:
        """The rows that can be chosen: of many, the first ones, the last, the worst, and the one shown first."""
        if self.rows <= MOST_ROWS:
            return [*range(self.rows)]
        return sorted({*range(MOST_ROWS - 3), self.row, self.worst, self.rows - 1})

    @cached_property
    def weights(self) -> Array | None:
        """The share of each row in the sum of all weights, or None if none were given."""
        every = self.trace.in_rows.values
        weights = next((array for name, array in every.items() if name.full == "sample_weight"), None)
        return None if weights is None else weights.reshape(self.rows, -1).sum(axis=1)  # of an ensemble, all members'

    @cached_property
    def worst(self) -> int:
        """The row that adds most to the loss."""
        losses = np.asarray(self.trace.losses, np.float64)
        return int(np.argmax(losses if self.weights is None else losses * self.weights))

    @cached_property
    def blamed(self) -> tuple[Name, Shape] | None:
        """The largest gradient of any parameter: the array that it is in, and its entry."""
        trace = self.trace
        if trace.first_not_finite is not None:
            return None
        inputs, given = trace.wires[0].gradient("L"), set(trace.given)
        computed = [step.equation.left for step in trace.steps]
        slopes = [name for name in computed if name.of == "L" and name != inputs and replace(name, of="") in given]
        if not slopes:
            return None
        gradient = max(slopes, key=lambda name: float(np.abs(trace.values[name]).max(initial=0)))
        return gradient, largest(trace.values[gradient])

    def blamed_in(self, step: Step) -> Shape | None:
        """Return the entry of that parameter where a step computes its gradient or moves it."""
        if self.blamed is None:
            return None
        gradient, at = self.blamed
        return at if step.equation.left in (gradient, replace(gradient, of="", new=True)) else None

    @property
    def one_row(self) -> Message | None:
        """Why no other row than the one that is shown first can be chosen, or None if one can be."""
        trace = self.trace.in_rows
        if trace.operations[-1].copies > 1:
            return Message(
                "The picture shows row {row}. No other can be chosen: in an ensemble, each row has outputs of all "
                "members, and the picture has their places for one row.",
                row=self.row,
            )
        known = {name.full for name in trace.values}
        if any(op.layer.random and f"{op.name}.m" in known for op in trace.operations):
            return Message(
                "The picture shows row {row}. No other can be chosen: dropout leaves out other units in each row, and "
                "the picture has those of one row.",
                row=self.row,
            )
        return None

    @cached_property
    def by_row(self) -> frozenset[Name]:
        """The quantities that have a row for each row of the input, without their gradients."""
        trace = self.trace.in_rows
        if self.one_row:
            return frozenset()
        computed = {step.equation.left for step in trace.steps if step.phase in ("forward", "loss")}
        computed |= {name for name in trace.values if name.full in ("x", "t", "sample_weight")}
        return frozenset(
            name for name in computed if not name.of and trace.values[name].shape[:1] == (self.rows,) and not name.new
        )

    def has_rows(self, name: Name) -> bool:
        """Whether an entry of this quantity belongs to one row of the input."""
        return replace(name, of="", new=False) in self.by_row

    @cached_property
    def first_alike(self) -> Mapping[int, Step]:
        """The step whose formula a step repeats, by its number, where a formula comes often."""
        seen: dict[object, list[Step]] = {}
        for step in self.trace.steps:
            if step.known:
                why = "" if step.phase == "check" else str(step.why)
                seen.setdefault((step.phase, why, pattern(step)), []).append(step)
        return {step.number: steps[0] for steps in seen.values() if len(steps) >= OFTEN for step in steps[1:]}

    def runs(self, steps: Sequence[Step]) -> Iterator[Run]:
        """Yield the steps of a phase, those that repeat earlier formulas together."""
        held: list[Step] = []
        for step in steps:
            concerned = self.focus is not None and self.focus.concerns(step)
            concerned = concerned or self.blamed_in(step) is not None
            if step.number in self.first_alike and step.finite and not concerned:
                held.append(step)
                continue
            if held:
                yield Run(held, alike=True)
                held = []
            yield Run([step], alike=False)
        if held:
            yield Run(held, alike=True)


def pattern(step: Step) -> Expression:
    """Return a step's equation without the numbers of layers: equal for steps that compute in the same way."""
    order: dict[str, str] = {}
    each = step.phase in ("check", "update")  # these do the same for every parameter, whatever it is called

    def changed(node: Expression) -> Expression:
        if not isinstance(node, Name):
            return mapped(node, changed)
        letter, index = node.letter, node.index
        if each and (node.of or index.isdigit()):
            letter, index = "parameter", node.letter + node.index
        return Name(letter, order.setdefault(index, str(len(order))) if index else "", node.of, node.new)

    left = changed(step.equation.left)
    assert isinstance(left, Name)
    return left + changed(step.equation.right)


def largest(array: Array) -> Shape:
    """Return the index of the entry that is farthest from 0."""
    return tuple(map(int, np.unravel_index(int(np.abs(array).argmax()), array.shape)))


def reads(step: Step) -> list[str]:
    """Return the quantities that a step's formula reads."""
    return [name.quantity for name in names_in(step.equation.right)]


def identical(steps: Sequence[Step]) -> str:
    """Say which steps these are: ``"7"`` or ``"9-80"``."""
    first, last = steps[0].number, steps[-1].number
    return str(first) if first == last else f"{first}-{last}"
