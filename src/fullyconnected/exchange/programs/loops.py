"""The loops of a row program as source code; what C and JavaScript write in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fullyconnected.exchange.programs.rows import COLUMN, Choose, Each, Fold, Kernel, LookUp, Product, RowProgram, View
from fullyconnected.symbolic.expression import (
    Binary,
    Call,
    Cases,
    Compare,
    Expression,
    Name,
    Negative,
    Number,
)

__all__ = ["Loops"]

AXES = "ijk"
CHOICE, SUM, PRODUCT, WHOLE = range(4)  # how tightly an operator binds


class Loops:
    """A language of the family of C; subclasses say how it writes numbers, functions and declarations."""

    integer = "int"  # the type of a counter
    real: Mapping[str, str] = {}  # how a variable is declared, by the type of its numbers

    def __init__(self, program: RowProgram) -> None:
        self.program = program

    def lines(self) -> Iterator[str]:
        """Yield the lines of the loops."""
        for kernel in self.program.kernels:
            match kernel:
                case Fold():
                    yield from self._fold(kernel)
                case Each():
                    yield from self._each(kernel)
                case Product():
                    yield from self._product(kernel)
                case Choose():
                    yield from self._choose(kernel)
                case LookUp():
                    yield from self._look_up(kernel)

    # what a language decides

    def number(self, value: float, dtype: np.dtype[Any]) -> str:
        raise NotImplementedError

    def function(self, name: str, operands: list[str], dtype: np.dtype[Any]) -> str:
        raise NotImplementedError

    def read(self, text: str, view: View, dtype: np.dtype[Any]) -> str:
        """Return an entry of a view where numbers of a type are computed."""
        return text

    def hint(self, kernel: Product) -> str:
        """Return what stands before the loop that adds up products."""
        return ""

    def stored(self, text: str, kernel: Kernel) -> str:
        """Return a value as the type of what it is stored in."""
        return text

    # the loops

    def _each(self, kernel: Each) -> Iterator[str]:
        axes = self._axes(kernel.to.shape)
        value = self.expression(kernel.value, kernel, axes)
        yield from self._nested(axes, kernel.to.shape, [f"{self._at(kernel.to, axes)} = {self.stored(value, kernel)};"])

    def _product(self, kernel: Product) -> Iterator[str]:
        (rows, columns), inner = kernel.to.shape, kernel.left.shape[1]
        row, column = self._axes(kernel.to.shape)
        to, left = self._at(kernel.to, (row, column)), self._at(kernel.left, (row, "k"))
        right = self._at(kernel.right, (row, "k", column))
        real, zero = self.real[kernel.dtype.name], self.number(0.0, kernel.dtype)
        start = zero if kernel.start is None else self._at(kernel.start, (row, column))
        if columns == 1 or kernel.right.strides[-2] == 1:  # whose weights of an output lie one after the other
            body = [
                f"{real} sum = {start};",
                f"{self.hint(kernel)}{self._for('k', inner)} sum += {left} * {right};",
                f"{to} = {self.stored('sum', kernel)};",
            ]
            yield from self._nested((row, column), (rows, columns), body) if rows * columns > 1 else self._block(body)
            return
        body = [  # row by row of the matrix, so that a compiler can compute several columns at once
            f"{self._for('j', columns)} {to} = {zero};",
            f"{self._for('k', inner)} {{",
            f"    {real} a = {left};",
            f"    {self._for('j', columns)} {to} += a * {right};",
            "}",
        ]
        yield from self._nested((row, ""), (rows, 1), body)

    def _fold(self, kernel: Fold) -> Iterator[str]:
        shape = list(kernel.to.shape)
        outer = self._axes(tuple(shape))
        shape[kernel.axis] = kernel.n
        inner = list(outer)
        inner[kernel.axis] = "k"
        value = self.expression(kernel.value, kernel, tuple(inner))
        real, to = self.real[kernel.dtype.name], self._at(kernel.to, outer)
        zero, most = self.number(0.0, kernel.dtype), self.number(-np.inf, kernel.dtype)
        each = self._for("k", kernel.n)
        count = self.number(float(kernel.n), kernel.dtype)

        def of(name: str, *operands: str) -> str:
            return self.function(name, list(operands), kernel.dtype)

        def largest() -> list[str]:
            return [f"{real} most = {most};", f"{each} most = {of('max', 'most', value)};"]

        summed = [f"{real} sum = {zero};", f"{each} sum += {value};"]
        match kernel.kind:
            case "max":
                body, result = largest(), "most"
            case "sum":
                body, result = summed, "sum"
            case "mean":
                body, result = summed, f"sum / {count}"
            case "var":
                off = f"({value} - sum / {count})"
                body = [*summed, f"{real} squares = {zero};", f"{each} squares += {off} * {off};"]
                result = f"squares / {count}"
            case _:  # logsumexp
                added = of("exp", f"{value} - most")
                body, result = (
                    [*largest(), f"{real} sum = {zero};", f"{each} sum += {added};"],
                    f"most + {of('log', 'sum')}",
                )
        loops = self._nested(outer, kernel.to.shape, [*body, f"{to} = {self.stored(result, kernel)};"])
        yield from loops if any(n > 1 for n in kernel.to.shape) else self._block(loops)

    def _choose(self, kernel: Choose) -> Iterator[str]:
        levels, size = kernel.table.shape
        value, dtype = self._at(kernel.code, ("0", "0")), self.type_of(kernel.code)
        table, to = self._at(kernel.table, ("code", "j")), self._at(kernel.to, ("0", "j"))
        chosen = f"code >= 0 ? {table} : {self.number(0.0, self.type_of(kernel.table))}"
        yield from self._block(
            [
                f"{self.real[dtype.name]} value = {value};",
                f"{self.integer} code = {self.code(levels, dtype)};",
                f"{self._for('j', size)} {to} = {chosen};",
            ]
        )

    def _look_up(self, kernel: LookUp) -> Iterator[str]:
        axes = self._axes(kernel.to.shape)
        table, code = self.buffer(kernel.table.buffer), self._at(kernel.code, axes)
        yield from self._nested(axes, kernel.to.shape, [f"{self._at(kernel.to, axes)} = {table}[{code} + 128];"])

    def code(self, levels: int, dtype: np.dtype[Any]) -> str:
        """Return ``value`` as the number of a level, and -1 if it is none."""
        raise NotImplementedError

    def type_of(self, view: View) -> np.dtype[Any]:
        """Return the type of the numbers in a view."""
        return self.program.buffers[view.buffer].dtype

    def counted(self, axis: str, dtype: np.dtype[Any]) -> str:
        """Return a counter as a number."""
        return axis

    def _block(self, lines: Iterator[str] | list[str]) -> Iterator[str]:
        yield "{"
        yield from (f"    {line}" for line in lines)
        yield "}"

    def _nested(self, axes: tuple[str, ...], shape: tuple[int, ...], body: list[str]) -> Iterator[str]:
        loops = [self._for(axis, n) for axis, n in zip(axes, shape, strict=True) if n > 1]
        if len(loops) == 1 and len(body) == 1:
            yield f"{loops[0]} {body[0]}"
            return
        for depth, loop in enumerate(loops):
            yield f"{'    ' * depth}{loop} {{"
        yield from (f"{'    ' * len(loops)}{line}" for line in body)
        for depth in reversed(range(len(loops))):
            yield f"{'    ' * depth}}}"

    def _for(self, axis: str, n: int) -> str:
        return f"for ({self.integer} {axis} = 0; {axis} < {n}; {axis}++)"

    def _axes(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Return the counter of each axis; an axis of one entry has none."""
        return tuple(AXES[i] if n > 1 else "0" for i, n in enumerate(shape))

    def _at(self, view: View, axes: tuple[str, ...]) -> str:
        """Return the entry of a view at these counters."""
        terms = [str(view.offset)] if view.offset else []
        for axis, n, stride in zip(axes, view.shape, view.strides, strict=True):
            if n > 1 and stride and axis != "0":
                terms.append(axis if stride == 1 else f"{axis} * {stride}")
        return f"{self.buffer(view.buffer)}[{' + '.join(terms) or '0'}]"

    def buffer(self, name: str) -> str:
        """Return how a buffer is called."""
        return name

    # the formula of an entry

    def expression(self, node: Expression, kernel: Each, axes: tuple[str, ...]) -> str:
        """Return the formula of the entry at these counters."""
        return self._formula(node, kernel, axes)[0]

    def _formula(self, node: Expression, kernel: Each, axes: tuple[str, ...]) -> tuple[str, int]:
        """Return a formula, and how tightly its outer operator binds."""

        def write(node: Expression, least: int = CHOICE) -> str:
            text, level = self._formula(node, kernel, axes)
            return f"({text})" if level < least or (text.startswith("-") and least > CHOICE) else text

        def chosen(left: Expression, sign: str, right: Expression, then: str, otherwise: str) -> tuple[str, int]:
            return f"{write(left, SUM)} {sign} {write(right, SUM)} ? {then} : {otherwise}", CHOICE

        one, zero = (self.number(each, kernel.dtype) for each in (1.0, 0.0))
        match node:
            case Name():
                if node == COLUMN:
                    return self.counted(axes[-1], kernel.dtype), WHOLE
                view = kernel.views[node]
                return self.read(self._at(view, axes), view, kernel.dtype), WHOLE
            case Number(value):
                return self.number(float(value), kernel.dtype), WHOLE
            case Negative(operand):
                return f"-{write(operand, WHOLE)}", SUM
            case Binary("^", base, Number(2)):
                return self.function("square", [write(base)], kernel.dtype), WHOLE
            case Binary("^", base, exponent):
                return self.function("pow", [write(base), write(exponent)], kernel.dtype), WHOLE
            case Binary(operator, left, right):
                level = SUM if operator in "+-" else PRODUCT  # rounding depends on what is computed first
                return f"{write(left, level)} {operator} {write(right, level + 1)}", level
            case Compare(left, right):
                return chosen(left, ">", right, one, zero)
            case Cases(condition, then, otherwise):
                return chosen(condition.left, ">", condition.right, write(then), write(otherwise))
            case Call("equal", (left, right)):
                return chosen(left, "==", right, one, zero)
            case Call(function, operands):
                return self.function(function, [write(operand) for operand in operands], kernel.dtype), WHOLE
        raise TypeError(node)
