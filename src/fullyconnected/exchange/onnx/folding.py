"""What nodes of ONNX make of constants alone, and how many numbers that is, before there is memory for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from fullyconnected.exchange.onnx.given import READ, ROWS, Node

__all__ = ["FOLDED", "size_of"]

Folding = Callable[[Node, list[Any]], Any]


def size_of(node: Node, values: list[Any]) -> int:
    """Return how many numbers a node makes of constants, at most."""
    first = values[0]
    match node.kind:
        case "Add" | "Sub" | "Mul" | "Div":
            if len(values) != 2:
                raise node.refuse(f"reads {len(values)} constants, and 2 belong there")
            return math.prod(np.broadcast_shapes(first.shape, values[1].shape))
        case "Concat":
            return sum(each.size for each in values)
        case "Gather":
            return int(values[1].size * first.size // max(first.shape[node.given(axis=0)], 1))
    return int(first.size)


def _axes(node: Node, values: list[Any]) -> tuple[int, ...]:
    axes = values[1] if len(values) > 1 and values[1] is not None else node.settings.get("axes", [])
    return tuple(int(each) for each in np.reshape(axes, -1))


def _cast(node: Node, values: list[Any]) -> Any:
    kind = node.settings.get("to")
    if kind != TensorProto.INT64 and (values[0] == ROWS).any():
        raise node.refuse("makes another type of the number of rows")
    if kind == TensorProto.BFLOAT16:
        rounded = values[0].astype(np.float32).view(np.uint32)
        rounded = (rounded + 0x7FFF + ((rounded >> 16) & 1)) & np.uint32(0xFFFF0000)
        return rounded.view(np.float32)
    if kind not in READ:
        raise node.refuse("makes another type than one of numbers")
    return values[0].astype(helper.tensor_dtype_to_np_dtype(kind))


def _reshaped(node: Node, values: list[Any]) -> Any:
    shape = [int(each) for each in values[1]]
    if not node.settings.get("allowzero"):
        shape = [values[0].shape[i] if each == 0 else each for i, each in enumerate(shape)]
    return values[0].reshape(shape)


def _sliced(node: Node, values: list[Any]) -> Any:
    starts, ends = values[1], values[2]
    axes = values[3] if len(values) > 3 and values[3] is not None else range(len(starts))
    steps = values[4] if len(values) > 4 and values[4] is not None else [1] * len(starts)
    at = [slice(None)] * values[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at[int(axis)] = slice(int(start), int(end), int(step))
    return values[0][tuple(at)]


def _expanded(node: Node, values: list[Any]) -> Any:
    return np.expand_dims(values[0], _axes(node, values))


def _flat(node: Node, values: list[Any]) -> Any:
    axis = int(node.given(axis=1))
    return values[0].reshape(math.prod(values[0].shape[:axis]), -1)


def _of_floats(function: np.ufunc) -> Folding:
    def computed(node: Node, values: list[Any]) -> Any:
        if any(each.dtype.kind != "f" for each in values):  # of sizes, among which the number of rows is not known
            raise node.refuse("computes with whole numbers")
        return function(*values[: function.nin])  # another would be written to

    return computed


FOLDED: dict[str, Folding] = {
    "Identity": lambda _, v: v[0],
    "Cast": _cast,
    "Transpose": lambda node, v: v[0].transpose(node.given(perm=[*range(v[0].ndim)][::-1])),
    "Reshape": _reshaped,
    "Flatten": _flat,
    "Squeeze": lambda node, v: v[0].squeeze(_axes(node, v) or None),
    "Unsqueeze": _expanded,
    "Concat": lambda node, v: np.concatenate(v, node.given(axis=0)),
    "Gather": lambda node, v: v[0].take(v[1], node.given(axis=0)),
    "Slice": _sliced,
    "Add": _of_floats(np.add),
    "Sub": _of_floats(np.subtract),
    "Mul": _of_floats(np.multiply),
    "Div": _of_floats(np.divide),
    "Neg": _of_floats(np.negative),
    "Sqrt": _of_floats(np.sqrt),
    "Reciprocal": _of_floats(np.reciprocal),
}
