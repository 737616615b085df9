"""A graph whose products with constant weights are products of integers: int8, added up in int32.

An int8 q of -128 to 127 stands for ``(q - zero) * scale``. All activations of a layer have one scale and one zero; its
weights have no zero, and a scale for each output, so that ::

    (x @ W + b)[j] = m[j] * (q_x @ q_W + q_b)[j],  m[j] = scale_x * scale_W[j]

where q_b in int32 is b with what the zero of x adds. One multiplication makes the next int8 of these sums. ReLU is then
the end of its range, and another activation a table of 256 int8. What is no such product stays as it was. The formulas,
as :meth:`Graph.predict` evaluates them, say what each integer is; C gives the same ones.

The range of activations is that of the rows that are given, with 0, which is exact. Columns of x itself, which have
units, may each have a scale of their own, which balances a column with its weights, if that loses less on these rows.

After B. Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018; and for columns G. Xiao et al., SmoothQuant: accurate and efficient post-training quantization, 2023.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError, DataError
from fullyconnected.exchange.graph import FLOAT64, Assigned, Graph
from fullyconnected.exchange.programs.folding import affine, folded, only_input
from fullyconnected.symbolic.evaluation import evaluate
from fullyconnected.symbolic.expression import (
    Binary,
    Call,
    Expression,
    Name,
    call,
    entrywise,
    mapped,
    names_in,
    nodes_in,
    number,
    sides,
    with_names,
)

__all__ = ["INT8", "INT32", "quantised"]

INT8, INT32, FLOAT32 = (np.dtype(kind) for kind in ("int8", "int32", "float32"))
LARGEST = 2**31 - 1
ROOM = 2**24  # that a bias has in int32 at least
FINEST = 1e-37  # the least scale, whose inverse float32 still has


class Range(NamedTuple):
    """What an int8 stands for: ``(q - zero) * scale``; the scale is a number, or one for each column."""

    scale: Array
    zero: float

    @classmethod
    def of(cls, a: Array) -> Range:
        """Return the range of the numbers of an array and of 0."""
        low, high = min(float(a.min()), 0.0), max(float(a.max()), 0.0)
        scale = max(high - low, 255 * FINEST) / 255 if high > low else 1.0
        zero = float(np.clip(np.rint(-128 - low / scale), -128, 127)) + 0.0  # -0.0 is written as 0.0
        return cls(_as_used(np.array(scale)), zero)

    def of_numbers(self, a: Array) -> Array:
        """Return numbers as integers."""
        return np.clip(np.rint(a / self.scale) + self.zero, -128, 127)

    def numbers(self, q: Array) -> Array:
        """Return the numbers that integers stand for."""
        return (q - self.zero) * self.scale


class Sums(NamedTuple):
    """The sums of a product in int32, and the factor of each in its result: by output, or by member and output."""

    name: Name
    factor: Array


def quantised(graph: Graph, x: Array) -> Graph:
    """Return the graph with its products of activations and constant weights in int8.

    Parameters
    ----------
    graph : Graph
    x : array (rows, n_in)
        The rows whose results set the ranges of activations.

    Raises
    ------
    ConfigError
        If there is no such product, if one adds up so many numbers that int32 may overflow, or if weights are so large
        or so small that a factor is no number of float32.
    DataError
        If a result for these rows is not finite.
    """
    return _Quantiser(graph, x).graph()


class _Quantiser:
    """Writes the lines of a graph anew."""

    def __init__(self, graph: Graph, x: Array) -> None:
        self.values = {**graph.constants, **graph.results(x)}
        self.constants: dict[Name, Array] = dict(graph.constants)
        self.old = folded(graph, self._product_in)
        self.formulas = {line.name: line.formula for line in self.old.lines}
        self.taken = {name.identifier for name in (graph.x, *self.values)}
        self.lines: list[Assigned] = []
        self.sums: dict[Name, Sums] = {}  # by the name of the result
        self.integers: dict[Name, tuple[Name, Range]] = {}  # what a result is in int8

    def graph(self) -> Graph:
        for line in self.old.lines:
            self._line(line)
        if not self.sums:
            raise ConfigError("there is no product of activations with constant weights, which int8 would be for")
        needed, lines = {self.old.output}, []
        for line in reversed(self.lines):
            if line.name in needed:
                needed.update(names_in(line.formula))
                lines.append(line)
        constants = {name: value for name, value in self.constants.items() if name in needed}
        return replace(self.old, lines=tuple(reversed(lines)), constants=MappingProxyType(constants))

    # products

    def _line(self, line: Assigned) -> None:
        """Add a line, in int8 what is a product in it."""
        product = self._product_in(line.formula)
        if product is None:
            self.lines.append(line)
            return
        whole = affine(_with(line.formula, product, PRODUCT), PRODUCT, self.constants)
        if whole is not None and whole[0].all() and all(np.isfinite(each).all() for each in whole):
            self._product(line, product, *whole)
            return
        made = self._name("u", line.name)  # what more the line computes is a line of its own
        self._product(line._replace(name=made), product, np.ones(()), np.zeros(()))
        self.values[made] = self._evaluated(product)
        self._line(line._replace(formula=_with(line.formula, product, made)))

    def _product(self, line: Assigned, product: Any, factor: Array, offset: Array) -> None:
        """Add the lines of a result that is a factor times a product, and an offset."""
        function = product.function if isinstance(product, Call) else "@"
        left, weights = sides(product)
        own = left.operands[1] if isinstance(left, Call) and left.function == "copied" else None
        x = sides(left)[0] if own is not None else left
        assert isinstance(weights, Name)
        W = self.constants[weights].astype(FLOAT64)
        n = W.shape[-2]
        room = LARGEST - 2 * 128 * 127 * n
        if room < ROOM:
            raise ConfigError(f"a layer of {n:,} inputs is too wide for int8: its sums may be too large for int32")
        if not isinstance(x, Name):
            whole, x = x, self._name("v", line.name)
            self.values[x] = self._evaluated(whole)
            self.lines.append(Assigned(x, whole, line.computed, line.computed))
        if function == "@" and own is None and (before := self._affine_before(x, n)) is not None:
            x, gain, shift = before
            offset = offset + factor * (shift @ W)
            W = gain[:, None] * W
        q, of = self._int8(x, W)
        W *= np.broadcast_to(of.scale, n)[:, None]
        scale = np.abs(W).max(axis=-2, keepdims=function == "each") / 127
        # where weights are nothing beside a bias, the bias has to fit into int32
        needed = np.abs(offset / factor) / room + np.zeros_like(scale)
        scale = np.maximum(scale, needed.max(axis=0) if needed.ndim > scale.ndim else needed)
        scale = np.maximum(scale, FINEST**2)
        integers = np.rint(W / (scale if function == "each" else np.expand_dims(scale, -2)))
        of_zero = of.zero * integers.sum(axis=-2, keepdims=function == "each")
        bias = np.rint(offset / factor / scale) - of_zero
        q_W, q_b = self._constant("q_W", weights, integers, INT8), self._constant("q_b", weights, bias, INT32)
        operand: Expression = q
        if own is not None:
            assert isinstance(own, Name)
            k = len(self.constants[own])
            operand = call("copied", q, self._constant("members", weights, np.zeros((k, 1)), INT8))
        added = operand @ q_W if function == "@" else call(function, operand, q_W)
        sums = self._name("s", weights)
        self.lines.append(Assigned(sums, call("shifted", added, q_b) if bias.ndim == 2 else added + q_b, INT32, INT32))
        self.sums[line.name] = Sums(sums, np.broadcast_to(factor * scale, bias.shape))
        self.lines.append(Assigned(line.name, self._times(line.name, self.sums[line.name], 1.0), FLOAT32, line.kept))

    def _times(self, of: Name, sums: Sums, scale: Any) -> Expression:
        """Return what sums stand for, divided by a scale."""
        with np.errstate(over="ignore"):
            factor = (sums.factor / scale).astype(FLOAT32)
        if not np.isfinite(factor).all():
            raise ConfigError(f"the weights of {of.full or of.text} are too large beside what follows for int8")
        m = self._constant("m", of, factor, FLOAT32)
        return call("scaled", sums.name, m) if factor.ndim == 2 else sums.name * m

    def _affine_before(self, x: Name, n: int) -> tuple[Name, Array, Array] | None:
        """Return the result of products of which an operand is a gain of each column times it, and a shift; or None."""
        before = only_input(self.formulas.get(x, x), self.constants)
        if before is None or x in self.sums or self._of_product(before) is None:
            return None
        found = affine(self.formulas.get(x, x), before, self.constants)
        if found is None or max(each.ndim for each in found) > 1:
            return None
        return before, np.broadcast_to(found[0], n), np.broadcast_to(found[1], n)

    # activations

    def _int8(self, x: Name, W: Array) -> tuple[Name, Range]:
        """Return the name of a result in int8, and what its integers stand for."""
        if x in self.integers:
            return self.integers[x]
        values = np.asarray(self.values[x], FLOAT64)
        if not np.isfinite(values).all():
            raise DataError(f"{x.full or x.text} is not finite for a row of data, so that it has no range in int8")
        q, of = self._name("q", x), Range.of(values)
        found = self._of_product(x)
        if found is None:
            if x == self.old.x:
                of = min((of, _by_column(values, W)), key=lambda each: _lost(values, W, each))
            inverse = self._constant("scale", x, 1 / of.scale, FLOAT32)
            self._as_int8(q, x * inverse, of)
        else:
            formula, inner = found
            sums = self.sums[inner]
            if formula in (inner, call("max", inner, number(0))):  # of ReLU, the zero is -128
                self._as_int8(q, self._times(x, sums, of.scale), of)
            else:
                before, p = Range.of(np.asarray(self.values[inner], FLOAT64)), self._name("p", x)
                self._as_int8(p, self._times(x, sums, before.scale), before)
                with np.errstate(all="ignore"):
                    activated = evaluate(formula, {inner: before.numbers(np.arange(-128.0, 128.0))})
                table = self._constant("table", x, of.of_numbers(np.nan_to_num(activated)), INT8)
                self.lines.append(Assigned(q, call("looked_up", p, table), INT8, INT8))
        self.integers[x] = q, of
        return q, of

    def _as_int8(self, name: Name, value: Expression, of: Range) -> None:
        self.lines.append(Assigned(name, call("as_int8", value, number(of.zero)), FLOAT32, INT8))

    def _of_product(self, x: Name) -> tuple[Expression, Name] | None:
        """Return a result as a formula of the result of one product and of numbers, and the name of that; or None."""
        formula: Expression = x
        while True:
            constants = [name for name in names_in(formula) if name in self.constants]
            same = {name: self.constants[name].flat[0] for name in constants if np.ptp(self.constants[name]) == 0}
            formula = with_names(formula, {name: number(float(value)) for name, value in same.items()})
            names = set(names_in(formula))
            if len(names) == 1 and names <= self.sums.keys():
                return formula, names.pop()
            further = {name: self.formulas[name] for name in names - self.sums.keys() if name in self.formulas}
            if not further or not all(map(entrywise, further.values())) or names & self.constants.keys():
                return None
            formula = with_names(formula, further)

    # names and values

    def _product_in(self, formula: Expression) -> Expression | None:
        """Return the first product in a formula that has constant weights; not the choice of a row of a table."""
        for node in nodes_in(formula):
            match node:
                case Binary("@", Call("indicator"), _):
                    continue
                case Binary("@", _, Name() as W) | Call("own" | "each", (_, Name() as W)):
                    if W in self.constants and self.constants[W].dtype.kind == "f":
                        return node
        return None

    def _evaluated(self, formula: Expression) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(evaluate(formula, {name: self.values[name] for name in names_in(formula)}))

    def _name(self, letter: str, of: Name) -> Name:
        """Return a name that is not in use, of the same operation as another."""
        made = Name(letter, of.index, full=of.full)
        while made.identifier in self.taken:
            made = replace(made, letter=f"{made.letter}_")
        self.taken.add(made.identifier)
        return made

    def _constant(self, letter: str, of: Name, value: Any, dtype: np.dtype[Any]) -> Expression:
        if np.ndim(value) == 0:
            return number(float(value))
        made = self._name(letter, of)
        self.constants[made] = np.array(value, dtype, order="C")
        return made


PRODUCT = Name("product")


def _with(node: Expression, part: Expression, other: Expression) -> Expression:
    """Return a formula with another part in place of one."""
    return other if node == part else mapped(node, lambda each: _with(each, part, other))


def _as_used(scale: Array) -> Array:
    """Return a scale whose inverse is a number of float32."""
    inverse = (1 / scale).astype(FLOAT32)
    return np.asarray(1 / inverse.astype(FLOAT64))


def _by_column(x: Array, W: Array) -> Range:
    """Return the range of x (rows, n) by column: its scale is the root of its largest number by its largest weight."""
    by_column = np.abs(W).max(axis=-1).reshape(-1, W.shape[-2]).max(axis=0)
    most = np.abs(x).max(axis=0)
    used = (most > 0) & (by_column > 0)
    root = np.sqrt(np.where(used, most, 1.0) / np.where(used, by_column, 1.0))
    root = np.where(used, root, root[used].min(initial=1.0))
    of = Range.of(x / root)
    return Range(_as_used(np.maximum(of.scale * root, FINEST)), of.zero)


def _lost(x: Array, W: Array, of: Range) -> float:
    """Return the mean square of what a range loses of a product, with the weights in int8, too."""
    scaled = W * np.broadcast_to(of.scale, W.shape[-2])[:, None]
    scale = np.maximum(np.abs(scaled).max(axis=-2, keepdims=True) / 127, FINEST**2)
    found = (of.of_numbers(x) - of.zero) @ (np.rint(scaled / scale) * scale)
    return float(np.square(found - x @ W).mean())
