"""Formulas turned from rows as samples to columns as samples, ``z = x W + b`` to ``z = W x + b``, and back.

Every array is transposed, by its last two axes, and ``(A B)' = B' A'``. A vector, which is a row, becomes a column.

>>> x, W, b = Name("x"), Name("W", "1"), Name("b", "1")
>>> turned(x @ W + b) == W @ x + b
True
>>> turned(turned(x @ W + b)) == x @ W + b
True
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.symbolic.expression import (
    MIXING,
    Binary,
    Call,
    Expression,
    Name,
    Opaque,
    Placed,
    Reduce,
    Taken,
    Transposed,
    Values,
    mapped,
)

__all__ = ["Turned", "turned", "turned_array", "turned_index", "turned_shape"]


def turned(node: Expression) -> Expression:
    """Return a formula for turned arrays, whose value is turned, too."""
    match node:
        case Name("1"):  # a column in either, so that 1' turns into 1
            return Transposed(node)
        case Transposed(Name("1") as ones):
            return ones
        case Binary("@", left, right):
            return turned(right) @ turned(left)
        case Reduce(operand=operand) | Taken(operand=operand) | Placed(operand=operand):
            return replace(node, operand=turned(operand), down=not node.down)
        case Call(function, operands) if function in MIXING and not isinstance(node, Opaque):
            return replace(node, operands=tuple(map(turned, operands)), down=not node.down)
    return mapped(node, turned)


def turned_array(array: Any) -> Any:
    """Return an array with its last two axes swapped; a vector becomes a column."""
    array = np.asarray(array)
    if array.ndim < 2:
        return array.reshape(-1, 1) if array.ndim else array
    return np.swapaxes(array, -1, -2)


def turned_shape(shape: Shape) -> Shape:
    """Return the shape of a turned array."""
    if len(shape) < 2:
        return (*shape, 1) if shape else shape
    return (*shape[:-2], shape[-1], shape[-2])


def turned_index(at: Shape) -> Shape:
    """Return where an entry stands in the turned array."""
    return turned_shape(at) if len(at) > 1 else (*at, 0) if at else at


class Turned(Mapping[Name, Array]):
    """Values of quantities, turned; numbers of classes, a vector in either, stay as they are."""

    def __init__(self, values: Values) -> None:
        self.values_there = values

    def __getitem__(self, name: Name) -> Array:
        array = self.values_there[name]
        return np.swapaxes(array, -1, -2) if np.ndim(array) > 1 else array

    def __iter__(self) -> Iterator[Name]:
        return iter(self.values_there)

    def __len__(self) -> int:
        return len(self.values_there)
