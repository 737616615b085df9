"""What every form shows of a record: arrays as tables, elided where they are large, entries worked out, and words."""

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.core.messages import Message
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import PHASES, Step, Trace
from fullyconnected.explanation.render.words import (
    NOTES,
    PHASE_TITLES,
    SETTINGS,
    TEXTBOOK,
    Term,
    described,
    folded,
    given,
    headline,
    left_out,
    legend,
    losses,
    note,
    nothing_yet,
    statistics,
    story,
    textbook,
    verdict,
)  # fmt: skip
from fullyconnected.symbolic.digits import decimal, place, shown
from fullyconnected.symbolic.evaluation import entry, exact, shape_of
from fullyconnected.symbolic.expression import Binary, Expression, Name, Number, Transposed, sides

__all__ = [
    "NOTES", "PHASE_TITLES", "SETTINGS", "TEXTBOOK", "Cell", "Chapter", "Grid", "Term", "Worked", "cells",
    "chapters", "described", "folded", "given", "grid", "headline", "left_out", "legend", "losses", "note",
    "nothing_yet", "numbers_in", "relation", "shapes", "statistics", "story", "table", "textbook", "verdict", "why",
    "worked",
]  # fmt: skip

ENTRIES = 6  # a result of at most this many entries is worked out whole
FEW = 3  # of a larger result, this many first entries and the last one are worked out
NUMBERS = 20  # about how many numbers the worked entries of a step have; a long formula has fewer entries, at least two
EXACT = 64  # how many entries are checked for whether all digits are exact


class Cell(NamedTuple):
    """A number of a table: the text shown, its value, and the entry of which array it is."""

    text: str
    value: float
    quantity: str
    whole: bool  # whether all of its digits are shown


class Grid(NamedTuple):
    """An array as a table; None stands for the rows or columns left out.

    ``note`` describes an elided array, and is None where everything is shown.
    """

    rows: tuple[tuple[Cell | None, ...] | None, ...]
    shape: Shape
    note: Message | None

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
    note: Message
    steps: list[Step]
    others: Message | None


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
    return Grid(rows, array.shape, statistics(array) if elided else None)


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


def chapters(trace: Trace, focus: Focus | None = None) -> Iterator[Chapter]:
    """Yield the phases of a record; with a focus, only the steps that concern it."""
    for phase in PHASES:
        steps = [step for step in trace.steps if step.phase == phase]
        concerned = [step for step in steps if focus is None or focus.concerns(step)]
        others = None if focus is None or len(concerned) == len(steps) else focus.others(len(steps) - len(concerned))
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
        last = tuple(n - 1 for n in array.shape)
        first = [at for at in islice(np.ndindex(array.shape), EXACT) if at != last]
        # those that are not 0, which say more
        indices = [*sorted(sorted(first, key=lambda at: not array[at])[:FEW]), last]
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


def why(trace: Trace, step: Step) -> str:
    """Return what a step means; where an optimizer does the same again for another parameter, the first such step."""
    if step.phase == "update":
        first = next(each for each in trace.steps if each.phase == "update" and each.why == step.why)
        if first.number < step.number:
            return Message("As in step {n}.", n=first.number)
    return step.why


def numbers_in(node: Expression) -> int:
    """Count the numbers in a formula."""
    return 1 if isinstance(node, Number) else sum(map(numbers_in, sides(node))) or 1


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
