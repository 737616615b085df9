"""What a page shows of a record: which row, in which words, and which steps repeat the formula of an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import NamedTuple

import numpy as np

from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import say
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.symbolic.expression import Expression, Name, mapped, names_in

__all__ = ["ALIKE", "Plan", "Run", "identical", "pattern", "reads"]

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
    def worst(self) -> int:
        """The row that adds most to the loss."""
        losses = np.asarray(self.trace.losses, np.float64)
        weights = next((a for n, a in self.trace.in_rows.values.items() if n.full == "sample_weight"), None)
        return int(np.argmax(losses if weights is None else losses * np.ravel(weights)))

    @cached_property
    def by_row(self) -> frozenset[Name]:
        """The quantities that have a row for each row of the input, without their gradients."""
        trace = self.trace.in_rows
        if trace.operations[-1].copies > 1 or any(op.layer.random for op in trace.operations):
            return frozenset()  # members follow each other; and which units are dropped, the picture says of one row
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


def reads(step: Step) -> list[str]:
    """Return the quantities that a step's formula reads."""
    return [name.quantity for name in names_in(step.equation.right)]


def identical(steps: Sequence[Step]) -> str:
    """Say which steps these are: ``"7"`` or ``"9-80"``."""
    first, last = steps[0].number, steps[-1].number
    return str(first) if first == last else f"{first}-{last}"
