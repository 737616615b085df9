"""Formulas as another library of arrays computes them: one that can differentiate them, such as PyTorch's.

A library is a class with a handful of functions; what an operation of a network means stands in its formula alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fullyconnected.errors import ConfigError
from fullyconnected.exchange.graph import FLOAT64, Graph
from fullyconnected.symbolic.expression import (
    Binary,
    Call,
    Cases,
    Compare,
    Expression,
    Name,
    Negative,
    Number,
    Reduce,
    Taken,
    names_in,
)

__all__ = ["ArrayLibrary"]


class ArrayLibrary:
    """Computes formulas with the arrays of a library, the first axis of which may be of an unknown length.

    A library gives ``entrywise``, its functions of single entries: ``exp cos sin expm1 log tanh sqrt abs sign erf
    softplus isnan`` of one operand, and ``max min`` of two; and the methods that raise here.
    """

    entrywise: ClassVar[Mapping[str, Callable[..., Any]]] = {}

    def cast(self, a: Any, dtype: np.dtype[Any]) -> Any:
        """Return an array in another type."""
        raise NotImplementedError

    def number(self, value: float, dtype: np.dtype[Any]) -> Any:
        """Return a number as an array without axes."""
        raise NotImplementedError

    def codes(self, n: int, dtype: np.dtype[Any]) -> Any:
        """Return the numbers from 0 to n - 1."""
        raise NotImplementedError

    def reshaped(self, a: Any, *shape: int) -> Any:
        """Return the same numbers in another shape, one length of which may be -1."""
        raise NotImplementedError

    def turned(self, a: Any, *axes: int) -> Any:
        """Return an array with its axes in another order."""
        raise NotImplementedError

    def joined(self, parts: Sequence[Any], axis: int) -> Any:
        """Return arrays one behind the other along an axis."""
        raise NotImplementedError

    def repeated(self, a: Any, k: int) -> Any:
        """Return an array with each row k times."""
        raise NotImplementedError

    def columns(self, a: Any, which: Sequence[int]) -> Any:
        """Return some columns."""
        raise NotImplementedError

    def chosen(self, condition: Any, a: Any, b: Any) -> Any:
        """Return entries of a where a condition holds, and of b elsewhere."""
        raise NotImplementedError

    def reduced(self, kind: str, a: Any, axis: int, *, keep: bool) -> Any:
        """Return the ``sum``, ``mean``, ``max``, ``var`` (of 1 / n) or ``logsumexp`` over an axis."""
        raise NotImplementedError

    # what is built of them

    def results(self, graph: Graph, x: Any, constants: Mapping[Name, Any]) -> Any:
        """Return what the formulas of a graph give for rows x (rows, n_in), with constants as arrays of the library."""
        values: dict[Name, Any] = {**constants, graph.x: self.cast(x, graph.computed_of(graph.x))}
        for name, formula, computed, kept in graph.lines:
            found = {each: values[each] for each in names_in(formula)}
            if computed == FLOAT64:
                found = {each: self.cast(value, FLOAT64) for each, value in found.items()}
            values[name] = self.cast(self._value(formula, found, computed), kept)
        return values[graph.output]

    def _value(self, node: Expression, values: Mapping[Name, Any], dtype: np.dtype[Any]) -> Any:
        def of(part: Expression) -> Any:
            return self._value(part, values, dtype)

        match node:
            case Name():
                return values[node]
            case Number(value):
                return self.number(float(value), dtype)
            case Negative(operand):
                return -of(operand)
            case Binary("@", left, right):
                return of(left) @ of(right)
            case Binary("^", base, Number(2)):
                return of(base) * of(base)
            case Binary("+", left, right):
                return of(left) + of(right)
            case Binary("-", left, right):
                return of(left) - of(right)
            case Binary("*", left, right):
                return of(left) * of(right)
            case Binary("/", left, right):
                return of(left) / of(right)
            case Compare(left, right):
                return self.cast(of(left) > of(right), dtype)
            case Cases(condition, then, otherwise):
                return self.chosen(of(condition.left) > of(condition.right), of(then), of(otherwise))
            case Taken(operand, columns):
                return self.columns(of(operand), columns)
            case Reduce(kind, "units", operand):
                return self.reduced(kind, of(operand), 1, keep=True)
            case Call("isnan", (operand,)):
                return self.cast(self.entrywise["isnan"](of(operand)), dtype)
            case Call("clip", (operand, least, most)):
                return self.entrywise["min"](self.entrywise["max"](of(operand), of(least)), of(most))
            case Call("Phi", (operand,)):
                return (self.entrywise["erf"](of(operand) * self.number(math.sqrt(0.5), dtype)) + 1) / 2
            case Call("indicator", (codes, Number(n))):
                return self.cast(of(codes) == self.codes(int(n), dtype), dtype)
            case Call(function, operands) if function in self.entrywise:
                return self.entrywise[function](*map(of, operands))
            case Call(function, operands):
                return self._laid_out(function, [*map(of, operands)])
        raise ConfigError(f"there is no way to compute {node!r:.100} elsewhere")

    def _laid_out(self, function: str, operands: Sequence[Any]) -> Any:
        """Return what only lays numbers out, or joins those of members or columns; see symbolic/copies.py."""
        a, own = operands[0], operands[-1]
        match function:
            case "beside":
                return self.joined(operands, 1)
            case "joined":
                return self.joined(operands, 2)
            case "each":
                return a @ own
            case "each_row":
                return self.reshaped(self.turned(a, 1, 0), a.shape[1], -1, 1)
            case "each_own":
                return self.reshaped(a, a.shape[0], 1, a.shape[1])
            case "rows_of":
                return self.reshaped(self.turned(a, 1, 0, 2), -1, a.shape[0] * a.shape[2])
            case "rows_beside":
                return self._laid_out("rows_of", [self._laid_out("joined", [self._laid_out("each_row", [a]), own])])
            case "copied":
                return self.repeated(a, own.shape[0])
            case "scaled" | "shifted":
                by_member = self.reshaped(a, -1, *own.shape)
                return self.reshaped(by_member * own if function == "scaled" else by_member + own, -1, own.shape[1])
            case "over_members" | "most_of_members":
                kind = "sum" if function == "over_members" else "max"
                return self.reduced(kind, self.reshaped(a, -1, own.shape[0], a.shape[1]), 1, keep=False)
            case "own":
                by_member = self.turned(self.reshaped(a, -1, own.shape[0], a.shape[1]), 1, 0, 2)
                return self.reshaped(self.turned(by_member @ own, 1, 0, 2), -1, own.shape[2])
            case "wide":
                return self.reshaped(a, -1, own.shape[0] * own.shape[1])
            case "narrow":
                return self.reshaped(a, -1, own.shape[1])
            case "flat":
                return self.reshaped(a, -1)
        raise ConfigError(f"there is no way to compute {function} elsewhere")
