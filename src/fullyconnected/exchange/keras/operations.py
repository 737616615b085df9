"""Formulas as operations of ``keras.ops``, of which a model of Keras is made that needs nothing of this library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from keras import ops

from fullyconnected.core.arrays import Shape
from fullyconnected.exchange.elsewhere import ArrayLibrary

__all__ = ["Keras", "Symbol"]


class Symbol:
    """A tensor of Keras, a constant or a number, which Python's operators combine by ``keras.ops``."""

    def __init__(self, held: Any) -> None:
        self.held = held

    @property
    def shape(self) -> Shape:
        """Its shape, with None for the number of rows."""
        return tuple(self.held.shape)

    def __neg__(self) -> Symbol:
        return Symbol(ops.negative(self.held))


def _by(function: Callable[..., Any]) -> Callable[[Symbol, Any], Symbol]:
    return lambda self, other: Symbol(function(self.held, other.held if isinstance(other, Symbol) else other))


def _sum(a: Any, b: Any) -> Any:
    """Return a + b as a difference: of (k, rows, k) and (k, 1, 1), Keras's own sum on TensorFlow is wrong."""
    return ops.subtract(a, -b if isinstance(b, np.ndarray) else ops.negative(b))


for _name, _function in {
    "__add__": _sum,
    "__sub__": ops.subtract,
    "__mul__": ops.multiply,
    "__truediv__": ops.divide,
    "__matmul__": ops.matmul,
    "__gt__": ops.greater,
    "__eq__": ops.equal,
}.items():
    setattr(Symbol, _name, _by(_function))


def _of(function: Callable[..., Any]) -> Callable[..., Symbol]:
    return lambda *operands: Symbol(function(*(each.held for each in operands)))


class Keras(ArrayLibrary):
    """The tensors of Keras, whose first axis is of an unknown length.

    ``wide`` says whether some are float64. Only then they are cast: what operations make of float64 may be float32, or
    be said to be so, unless Keras is set to it by ``keras.config.set_floatx("float64")``.
    """

    def __init__(self, *, wide: bool) -> None:
        self.wide = wide

    entrywise: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **{name: _of(getattr(ops, name)) for name in ("exp", "cos", "sin", "expm1", "log", "tanh", "sqrt", "abs")},
        **{name: _of(getattr(ops, name)) for name in ("sign", "erf", "isnan", "softplus")},
        # which keep float64, and a NaN among a, other than Keras's own
        "max": _of(lambda a, b: ops.where(ops.less(a, b), b, a)),
        "min": _of(lambda a, b: ops.where(ops.greater(a, b), b, a)),
    }

    def cast(self, a: Any, dtype: np.dtype[Any]) -> Any:
        if isinstance(a.held, np.ndarray):
            return Symbol(a.held.astype(dtype))
        return Symbol(ops.cast(a.held, dtype.name)) if self.wide or a.held.dtype == "bool" else a

    def number(self, value: float, dtype: np.dtype[Any]) -> Any:
        return Symbol(np.array([value], dtype))  # an array, of which a file keeps all digits

    def codes(self, n: int, dtype: np.dtype[Any]) -> Any:
        return Symbol(np.arange(n, dtype=dtype))

    def reshaped(self, a: Any, *shape: int) -> Any:
        return Symbol(ops.reshape(a.held, shape))

    def turned(self, a: Any, *axes: int) -> Any:
        return Symbol(ops.transpose(a.held, axes))

    def joined(self, parts: Sequence[Any], axis: int) -> Any:
        return Symbol(ops.concatenate([each.held for each in parts], axis=axis))

    def repeated(self, a: Any, k: int) -> Any:
        n = a.shape[1]
        return Symbol(ops.reshape(ops.tile(ops.expand_dims(a.held, 1), (1, k, 1)), (-1, n)))

    def columns(self, a: Any, which: Sequence[int]) -> Any:
        return Symbol(ops.take(a.held, [*which], axis=1))

    def chosen(self, condition: Any, a: Any, b: Any) -> Any:
        return Symbol(ops.where(condition.held, a.held, b.held))

    def reduced(self, kind: str, a: Any, axis: int, *, keep: bool) -> Any:
        match kind:
            case "max":  # by sorting, since Keras's own fails without rows
                last = ops.take(ops.sort(a.held, axis=axis), [a.shape[axis] - 1], axis=axis)
                return Symbol(last if keep else ops.squeeze(last, axis=axis))
            case "var":
                off = ops.subtract(a.held, ops.mean(a.held, axis=axis, keepdims=True))
                return Symbol(ops.mean(ops.square(off), axis=axis, keepdims=keep))
        return Symbol(getattr(ops, kind)(a.held, axis=axis, keepdims=keep))
