"""Which units of a network are drawn: not all of a wide layer, of an ensemble, or of a deep network."""

from __future__ import annotations

import re

import numpy as np

from fullyconnected.explanation.pictures.tape import Tape
from fullyconnected.program.description import Operation

__all__ = ["Chosen", "chosen_units", "keeps_units"]

# how many units are drawn as they are, and of a wider layer how many first and last ones; fewer in deep networks
FEWER = ((8, 3, 1), (4, 2, 1), (3, 2, 1), (2, 1, 1))
MOST = 620  # weights and units in a picture
MEMBERS, UNITS = 4, 2  # of an ensemble of more members, or more units in a column, so many are drawn
BRANCHES = 5  # of more layers side by side, the first and the last ones are drawn

Chosen = list[tuple[int, int]]  # a member and a unit of it


def chosen_units(tape: Tape, focus: str) -> list[Chosen]:
    """Return the units that are drawn, of the input and of each operation; those in ``focus`` are among them."""
    for limits in FEWER:
        chosen = _chosen(tape, limits, focus)
        if _size(tape, chosen) <= MOST:
            break
    return chosen


def keeps_units(op: Operation) -> bool:
    """Whether the units of an operation are those that it reads."""
    return not op.is_dense and op.n_in == op.n_out and op.copies == op.copies_in and not op.layer.joins


def _chosen(tape: Tape, limits: tuple[int, int, int], focus: str) -> list[Chosen]:
    """Return the units that are drawn, of the input and of each operation."""
    operations = tape.operations
    branches = _branches(tape, limits)
    first = operations[0]
    n_in = first.n_in
    begin = _kept(n_in, 1, limits)
    if branches and n_in > limits[0]:
        begin = sorted({(0, j) for branch in branches for j in operations[branch[0]].layer.columns[:2]})  # type: ignore[attr-defined]
    found: list[Chosen] = [begin]
    drawn = {i for branch in branches for i in branch}
    ends = next((i for i, op in enumerate(operations) if op.layer.joins), -1)
    few = limits if len(branches) < 3 else (4, 2, 1)
    wanted = _wanted(tape, focus)
    if 0 in wanted:
        found[0] = sorted({*begin, *wanted[0]})
    for i, op in enumerate(operations):
        before = found[op.reads[0] + 1]
        if i < ends and i not in drawn:
            found.append([])
        elif op.kind == "select":
            columns = op.settings["columns"]
            found.append([(0, k) for k, j in enumerate(columns) if (0, j) in before])
        elif op.layer.joins:
            starts = np.cumsum([0, *(operations[read].n_out for read in op.reads)])
            found.append(
                [(0, int(start) + j) for start, read in zip(starts, op.reads, strict=False) for _, j in found[read + 1]]
            )
        elif keeps_units(op):
            found.append(before)
        else:
            kept = _kept(op.n_out, op.copies, few if i < ends else limits)
            found.append(sorted({*kept, *wanted.get(i + 1, ())}))
    return found


def _branches(tape: Tape, limits: tuple[int, int, int]) -> list[list[int]]:
    """Return the operations of each branch that is drawn, of a network that begins with layers side by side."""
    found: list[list[int]] = []
    for i, op in enumerate(tape.operations):
        if op.layer.joins:
            return found if len(found) <= BRANCHES else [*found[: limits[1]], *found[-limits[2] :]]
        if op.reads == (-1,):
            found.append([])
        found[-1].append(i)
    return []


def _kept(n: int, members: int, limits: tuple[int, int, int]) -> Chosen:
    """Return the units of a layer that are drawn, each as the number of its member and its own."""
    wide, first, last = limits
    if members == 1:
        return [(0, j) for j in ([*range(n)] if n <= wide else [*range(first), *range(n - last, n)])]
    chosen = [*range(members)] if members <= MEMBERS else [*range(MEMBERS - 1), members - 1]
    every = [*range(n)] if n * len(chosen) <= wide or n <= UNITS else [*range(UNITS - 1), n - 1]
    return [(m, j) for m in chosen for j in every]


def _wanted(tape: Tape, focus: str) -> dict[int, Chosen]:
    """Return the units that the focus needs, by wire: the unit itself, or those at the ends of its weight."""
    match = re.fullmatch(r"(.+)\[(\d+(?:,\d+)*)\]", focus)
    if match is None:
        return {}
    at = tuple(map(int, match[2].split(",")))
    found: list[tuple[int, tuple[int, int]]] = []
    for i, (op, params) in enumerate(zip(tape.operations, tape.params, strict=True)):
        for letter, held in params.items():
            if op.is_dense and held.quantity == match[1] and held.value is not None and held.value.ndim == len(at):
                m = at[0] if len(at) > 1 + (letter == "W") else 0  # of a weight that all members have, the first
                found.append((i + 1, (m, at[-1])))
                if letter == "W":
                    found.append((op.reads[0] + 1, (m if op.copies_in > 1 else 0, at[-2])))
    for w, wire in enumerate(tape.wires):
        if wire.quantity == match[1] and len(at) == 2:
            copies = tape.operations[w - 1].copies if w else 1
            found.append((w, (at[0] % copies, at[1])))
    wanted: dict[int, Chosen] = {}
    for w, unit in found:
        while w and keeps_units(tape.operations[w - 1]):
            w = tape.operations[w - 1].reads[0] + 1
        if unit[1] < (tape.operations[w - 1].n_out if w else tape.operations[0].n_in):
            wanted.setdefault(w, []).append(unit)
    return wanted


def _size(tape: Tape, chosen: list[Chosen]) -> int:
    """Return about how many weights and units are drawn."""
    total = 0
    for i, op in enumerate(tape.operations):
        total += 2 * len(chosen[i + 1])
        if op.is_dense:
            total += len(chosen[op.reads[0] + 1]) * len(chosen[i + 1]) // max(1, op.copies_in)
    return total
