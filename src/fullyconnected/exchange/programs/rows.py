"""A graph as loops over one row, for languages without arrays: what is written where, and by which kind of loop.

Each formula is divided where its entries mix: into products, sums over some entries, and choices of a row of a table,
with loops between them that compute each entry from the same entry of others. What only lays numbers out in another way
is a view, and takes no loop. Results that are no longer read give their place to later ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.exchange.graph import Assigned, Graph
from fullyconnected.symbolic.evaluation import shape_of
from fullyconnected.symbolic.expression import (
    Binary,
    Call,
    Expression,
    Name,
    Number,
    Reduce,
    Taken,
    call,
    mapped,
    nodes_in,
    sides,
)

__all__ = [
    "COLUMN",
    "Buffer",
    "Choose",
    "Each",
    "Fold",
    "Kernel",
    "LookUp",
    "Product",
    "RowProgram",
    "View",
    "row_program",
]

COLUMN = Name("column")  # in the value of a loop: the number of the column
PART = Name("part")  # in the value of a loop that copies
LAID_OUT = ("each_row", "each_own", "rows_of", "wide", "narrow", "flat")  # of one row, the same numbers in one order
COSTLY = ("exp", "expm1", "log", "softplus", "tanh", "sqrt", "sin", "cos", "Phi")


@dataclass(frozen=True)
class Buffer:
    """Where numbers lie: the row that is given ``"x"``, the result ``"y"``, a constant, or memory for results.

    Results of one type share memory: ``start`` is the place of this one among them.
    """

    name: str
    role: str  # "input", "output", "constant" or "result"
    size: int
    dtype: np.dtype[Any]
    start: int = 0


@dataclass(frozen=True)
class View:
    """Entries of a buffer: entry (i, j, ...) is at ``offset + i strides[0] + j strides[1] + ...``."""

    buffer: str
    offset: int
    shape: Shape
    strides: Shape

    @classmethod
    def whole(cls, buffer: str, shape: Shape) -> View:
        """Return all entries of a buffer, in rows."""
        return cls(buffer, 0, shape, _strides(shape))

    @property
    def in_rows(self) -> bool:
        """Whether the entries lie one after the other."""
        return all(n == 1 or a == b for n, a, b in zip(self.shape, self.strides, _strides(self.shape), strict=True))

    def shaped(self, shape: Shape) -> View:
        """Return the same entries, which lie one after the other, in another shape."""
        return View(self.buffer, self.offset, shape, _strides(shape))

    def part(self, axis: int, start: int, stop: int) -> View:
        """Return the entries from ``start`` to ``stop`` of an axis."""
        shape = (*self.shape[:axis], stop - start, *self.shape[axis + 1 :])
        return View(self.buffer, self.offset + start * self.strides[axis], shape, self.strides)

    def spread(self, shape: Shape) -> View:
        """Return it as an operand of entries of a larger shape, as NumPy broadcasts."""
        lacking = len(shape) - len(self.shape)
        own, strides = (1,) * lacking + self.shape, (0,) * lacking + self.strides
        return View(
            self.buffer, self.offset, shape, tuple(0 if n == 1 else s for n, s in zip(own, strides, strict=True))
        )


@dataclass(frozen=True)
class Kernel:
    """A loop that writes ``to``, and computes in the type ``dtype``."""

    to: View
    dtype: np.dtype[Any]

    def reads(self) -> Iterator[str]:
        """Yield the buffers that it reads."""
        raise NotImplementedError


@dataclass(frozen=True)
class Each(Kernel):
    """Each entry is a formula of the same entries of others; ``views`` says which those of a name are."""

    value: Expression
    views: Mapping[Name, View]

    def reads(self) -> Iterator[str]:
        yield from (view.buffer for view in self.views.values())


@dataclass(frozen=True)
class Product(Kernel):
    """``to[b, j] = start[b, j] + sum_i left[b, i] right[b, i, j]``; of floating-point numbers, without a start."""

    left: View
    right: View
    start: View | None = None

    def reads(self) -> Iterator[str]:
        yield from (view.buffer for view in (self.left, self.right, self.start) if view is not None)


@dataclass(frozen=True)
class Fold(Each):
    """The sum, mean, largest, variance or logarithm of the sum of exponentials of a formula, over one axis of two.

    ``to`` has the axis with the length 1; ``n`` is its length before.
    """

    kind: str
    axis: int
    n: int


@dataclass(frozen=True)
class Choose(Kernel):
    """``to[0, j] = table[code, j]``; 0 for a code that is no row of the table."""

    table: View
    code: View

    def reads(self) -> Iterator[str]:
        yield from (self.table.buffer, self.code.buffer)


@dataclass(frozen=True)
class LookUp(Kernel):
    """``to[i] = table[code[i] + 128]``: a function of int8."""

    table: View
    code: View

    def reads(self) -> Iterator[str]:
        yield from (self.table.buffer, self.code.buffer)


@dataclass(frozen=True)
class RowProgram:
    """The loops that predict for one row, and the memory that they need."""

    kernels: tuple[Kernel, ...]
    buffers: Mapping[str, Buffer]
    constants: Mapping[str, Array]
    n_in: int
    n_out: int

    def memory(self, dtype: Any) -> int:
        """Return how many numbers of a type all results take together."""
        return max(
            (b.start + b.size for b in self.buffers.values() if b.role == "result" and b.dtype == dtype), default=0
        )

    @property
    def multiplications(self) -> int:
        """How many products of two numbers are added up for a row."""
        return sum(prod(each.to.shape) * each.left.shape[-1] for each in self.kernels if isinstance(each, Product))


def row_program(graph: Graph) -> RowProgram:
    """Return the loops of a graph for one row."""
    return _Division(graph).program()


class _Division:
    """Divides the formulas of a graph into loops."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[Name, Array] = {**graph.constants, **graph.results(np.zeros((1, graph.n_in)))}
        self.buffers: dict[str, Buffer] = {}
        self.views: dict[Name, View] = {}
        self.kernels: list[Kernel] = []
        self.done: dict[Expression, View] = {}  # parts of the present formula that have been computed
        self._add(graph.x, "input", np.dtype(np.float32))
        for name, value in graph.constants.items():
            view = self._add(name, "constant", value.dtype)
            if self._turned(value):
                *outer, n_in, n_out = value.shape
                self.views[name] = replace(view, strides=(*_strides((*outer, n_out, n_in))[:-2], 1, n_in))

    def program(self) -> RowProgram:
        for line in self.graph.lines:
            self._line(line)
        constants = {
            name.identifier: value.swapaxes(-1, -2) if self._turned(value) else value
            for name, value in self.graph.constants.items()
            if any(name.identifier in kernel.reads() for kernel in self.kernels)
        }
        buffers = {k: b for k, b in self._placed().items() if b.role != "constant" or k in constants}
        n_out = self.values[self.graph.output].shape[1]
        return RowProgram(tuple(self.kernels), buffers, constants, self.graph.n_in, n_out)

    @staticmethod
    def _turned(value: Array) -> bool:
        """Whether a constant is weights in int8, of which those of an output lie one after the other."""
        return value.dtype == np.int8 and value.ndim > 1

    def _add(self, name: Name, role: str, dtype: Any) -> View:
        shape = self.values[name].shape
        self.buffers[name.identifier] = Buffer(name.identifier, role, prod(shape), dtype)
        self.views[name] = view = View.whole(name.identifier, shape)
        return view

    def _line(self, line: Assigned) -> None:
        self.computed, self.done = line.computed, {}
        times = Counter(nodes_in(line.formula))
        self.often = {node for node, n in times.items() if n > 1 and isinstance(node, Call) and node.function in COSTLY}
        if line.name == self.graph.output:
            self._fill(self._add(line.name, "output", line.kept), line.formula)
        elif (view := self._view(line.formula)) is not None and self.buffers[view.buffer].dtype == line.kept:
            self.views[line.name] = view
        else:
            self._fill(self._add(line.name, "result", line.kept), line.formula)

    def _shape(self, node: Expression) -> Shape:
        return shape_of(node, self.values)

    def _view(self, node: Expression) -> View | None:
        """Return where the value of a node lies already, or None."""
        match node:
            case Name():
                return self.views[node]
            case Call(function, operands) if function in LAID_OUT:
                view = self._placed_view(operands[0])
                return view.shaped(self._shape(node)) if view.in_rows else None
            case Call("copied", (operand, _)):
                return self._placed_view(operand).spread(self._shape(node))
            case Taken(operand, columns) if columns == tuple(range(columns[0], columns[-1] + 1)):
                return self._placed_view(operand).part(1, columns[0], columns[-1] + 1)
        return self.done.get(node)

    def _placed_view(self, node: Expression) -> View:
        """Return where the value of a node lies, after computing it if it lies nowhere."""
        view = self._view(node)
        if view is None:
            made = Name(f"t{len(self.buffers)}", "_")
            self.values[made] = np.empty(self._shape(node))
            view = self._add(made, "result", self.computed)
            self._fill(view, node)
            self.done[node] = view
        return view

    def _fill(self, to: View, node: Expression) -> None:
        """Add the loops that write the value of a node."""
        match node:
            case Binary("@", Call("indicator", (code, _)), table):
                self.kernels.append(Choose(to, self.computed, self._placed_view(table), self._placed_view(code)))
            case Binary("+", product, start) | Call("shifted", (product, start)) if self.computed == np.int32:
                self._product(to, product, self._placed_view(start).spread(to.shape))
            case Binary("@") | Call("own" | "each"):
                self._product(to, node)
            case Call("looked_up", (code, table)):
                of = self._placed_view(table)
                self.kernels.append(LookUp(to, self.computed, of, self._placed_view(code).spread(to.shape)))
            case Reduce(kind, "units", operand):
                self._fold(to, kind, 1, operand)
            case Call("over_members" | "most_of_members" as kind, (operand, _)):
                self._fold(to, "sum" if kind == "over_members" else "max", 0, operand)
            case Call("beside", parts):
                ends = np.cumsum([0, *(self._shape(part)[1] for part in parts)]).tolist()
                for part, (start, stop) in zip(parts, pairwise(ends), strict=True):
                    self._fill(to.part(1, start, stop), part)
            case Call("joined", (left, right)):
                middle = self._shape(left)[2]
                self._fill(to.part(2, 0, middle), left)
                self._fill(to.part(2, middle, to.shape[2]), right)
            case Call("rows_beside", (x, e)):
                n, _, size = self._shape(e)
                by_column = to.shaped((n, 1, size + 1))
                self._fill(by_column.part(2, 0, 1), call("each_row", x))
                self._fill(by_column.part(2, 1, size + 1), e)
            case Taken(operand, columns):
                of, place = self._placed_view(operand), 0
                for run in _runs(columns):
                    here, there = to.part(1, place, place + len(run)), of.part(1, run[0], run[-1] + 1)
                    self.kernels.append(Each(here, self.computed, PART, {PART: there}))
                    place += len(run)
            case _:
                views: dict[Name, View] = {}
                value = self._inline(node, views, outer=True)
                spread = {name: view.spread(to.shape) for name, view in views.items()}
                self.kernels.append(Each(to, self.computed, value, spread))

    def _product(self, to: View, node: Expression, start: View | None = None) -> None:
        """Add the loop of a product."""
        left, right = sides(node)
        a, b = self._placed_view(left), self._placed_view(right)
        if isinstance(node, Binary):
            b = View(b.buffer, b.offset, (to.shape[0], *b.shape), (0, *b.strides))
        elif isinstance(node, Call) and node.function == "each":  # (n, rows, ...), with one row
            to, a = (View(v.buffer, v.offset, v.shape[::2], v.strides[::2]) for v in (to, a))
            start = start and View(start.buffer, start.offset, start.shape[::2], start.strides[::2])
        self.kernels.append(Product(to, self.computed, a, b, start))

    def _fold(self, to: View, kind: str, axis: int, operand: Expression) -> None:
        views: dict[Name, View] = {}
        shape = self._shape(operand)
        value = self._inline(operand, views)
        spread = {name: view.spread(shape) for name, view in views.items()}
        self.kernels.append(Fold(to, self.computed, value, spread, kind, axis, shape[axis]))

    def _inline(self, node: Expression, views: dict[Name, View], *, outer: bool = False) -> Expression:
        """Return a node as a formula of one entry, and add the views of what it names.

        What is costly and comes more than once is computed once, unless it is the ``outer`` node, which is the formula.
        """

        def seen(node: Expression) -> Name:
            view = self._placed_view(node)
            name = Name(f"v{len(views)}", "_")
            known = next((each for each, of in views.items() if of == view), None)
            if known is None:
                views[name] = view
            return known or name

        if node in self.often and not outer:
            return seen(node)
        match node:
            case Number():
                return node
            case Call("scaled", (a, r)):
                return self._inline(a, views) * self._inline(r, views)
            case Call("shifted", (a, b)):
                return self._inline(a, views) + self._inline(b, views)
            case Call("indicator", (codes, _)):
                return call("equal", self._inline(codes, views), COLUMN)
            case Binary("@") | Reduce() | Taken() | Name():
                return seen(node)
            case Call(function) if function not in ENTRYWISE:
                return seen(node)
        return mapped(node, lambda part: self._inline(part, views))

    def _placed(self) -> dict[str, Buffer]:
        """Return the buffers with the places of results, which those that are read no more leave to others."""
        last = {name: i for i, kernel in enumerate(self.kernels) for name in (kernel.to.buffer, *kernel.reads())}
        live: dict[Any, list[Buffer]] = {}
        found = dict(self.buffers)
        for i, kernel in enumerate(self.kernels):
            buffer = found[kernel.to.buffer]
            if buffer.role != "result":
                continue
            here = live.setdefault(buffer.dtype, [])
            here[:] = [each for each in here if last[each.name] >= i]
            if any(each.name == buffer.name for each in here):
                continue
            start = 0
            for each in sorted(here, key=lambda each: each.start):
                if start + buffer.size <= each.start:
                    break
                start = max(start, each.start + each.size)
            found[buffer.name] = placed = replace(buffer, start=start)
            here.append(placed)
        return {name: b for name, b in found.items() if b.role != "result" or name in last}


ENTRYWISE = (
    *("exp", "expm1", "log", "softplus", "tanh", "sqrt", "sin", "cos", "Phi", "abs", "sign", "max", "clip", "isnan"),
    "as_int8",
)


def _runs(columns: tuple[int, ...]) -> Iterator[list[int]]:
    """Yield the runs of columns that follow each other."""
    run = [columns[0]]
    for column in columns[1:]:
        if column != run[-1] + 1:
            yield run
            run = []
        run.append(column)
    yield run


def _strides(shape: Shape) -> Shape:
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))
