"""Which nodes are a layer: patterns, keyed by the operator that makes the layer's result, and how they are found.

A pattern is an operator with a pattern for each input. ``"z"`` is what the layer reads, another name in small letters
any result, one in capitals a constant, and a number a constant of that value. A list has alternatives. The sides of a
sum or a product may change places, and what is divided by a constant, or less a constant, is a product or a sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.exchange.onnx.file import OnnxFile
from fullyconnected.exchange.onnx.given import Node

__all__ = ["KINDS", "PATTERNS", "Found", "Matcher"]

ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of constants, relative: float32 has rounded them
COMMUTE = ("Add", "Mul", "Max", "Min")
Pattern = Any  # a tuple, a list, a name or a number

SIGMOID = [
    ("Sigmoid", "z"),
    ("Div", 1, ("Add", ("Exp", ("Neg", "z")), 1)),
    ("Reciprocal", ("Add", ("Exp", ("Neg", "z")), 1)),
]
SOFTPLUS = [
    ("Softplus", "z"),
    ("Add", ("Relu", "z"), ("Log", ("Add", ("Exp", ("Neg", ("Abs", "z"))), 1))),
    ("Log", ("Add", ("Exp", "z"), 1)),
]
ERF = ("Erf", ("Mul", "z", math.sqrt(0.5)))
TAIL = [  # 1 + erf(z / sqrt 2); Erfc is TensorFlow's
    ("Add", ERF, 1),
    (
        "Erfc",
        [("Mul", ("Neg", "z"), math.sqrt(0.5)), ("Mul", "z", -math.sqrt(0.5)), ("Neg", ("Mul", "z", math.sqrt(0.5)))],
    ),
]
EXPM1 = ("Add", ("Exp", "z"), -1)
POSITIVE = ("Greater", "z", 0)
MEAN = ("ReduceMean", "z")
OFF = ("Sub", "z", MEAN)


def _squared(p: Pattern) -> Pattern:
    return [("Mul", p, p), ("Pow", p, 2)]


def _root(p: Pattern) -> Pattern:
    return ("Sqrt", ("Add", ("ReduceMean", _squared(p)), "E"))


def _rate(p: Pattern) -> Pattern:
    """Return 1 / sqrt(the mean of p^2 + epsilon)."""
    return [("Reciprocal", _root(p)), ("Div", 1, _root(p)), ("Pow", ("Add", ("ReduceMean", _squared(p)), "E"), -0.5)]


def _normed(p: Pattern) -> Pattern:
    return [("Div", p, _root(p)), ("Mul", p, _rate(p)), ("Mul", p, ("Mul", _rate(p), "G"))]


GAIN = [("Mul", _rate(OFF), "G"), _rate(OFF)]
MOVED = [("Mul", ("Neg", MEAN), GAIN), ("Neg", ("Mul", MEAN, GAIN))]

# Standardize of this library, with missing values and its smooth clip
UNIT = ("Div", ("Sub", "z", "M"), "S")
ABSENT = ("Cast", ("IsNaN", "z"))
GONE = ("Greater", ABSENT, 0)
FILLED = ("Where", GONE, 0, UNIT)


def _clipped(p: Pattern) -> Pattern:
    third = ("Div", p, 3)
    return ("Div", p, ("Sqrt", ("Add", ("Mul", third, third), 1)))


# by the name of what is found
PATTERNS: dict[str, Sequence[Pattern]] = {
    "relu": [("Relu", "z"), ("Max", "z", 0)],
    "leaky_relu": [("LeakyRelu", "z"), ("Where", POSITIVE, "z", ("Mul", "z", "A")), ("Max", "z", ("Mul", "z", "A"))],
    "elu": [
        ("Elu", "z"),
        *(("Where", POSITIVE, "z", ("Mul", EXPM1, "A")), ("Where", POSITIVE, "z", EXPM1)),
        ("Where", POSITIVE, ["z", ("Elu", "z")], ("Mul", ("Elu", "z"), "A")),  # Keras, if alpha is not 1
        (
            "Add",
            ("Mul", ("Cast", POSITIVE), ("Elu", "z")),
            ("Mul", ("Mul", ("Elu", "z"), "A"), ("Cast", ("Not", POSITIVE))),
        ),
    ],
    "selu": [("Selu", "z"), ("Where", POSITIVE, ("Mul", "z", "S"), ("Mul", EXPM1, "A"))],
    "gelu": [
        ("Gelu", "z"),
        ("Mul", ("Mul", "z", TAIL), 0.5),
        ("Mul", ("Mul", "z", 0.5), TAIL),
        ("Mul", "z", [("Mul", TAIL, 0.5), ("Add", ("Mul", ERF, 0.5), 0.5)]),
    ],
    "silu": [("Mul", "z", SIGMOID), ("Div", "z", ("Add", ("Exp", ("Neg", "z")), 1)), ("Swish", "z")],
    "mish": [("Mish", "z"), ("Mul", "z", ("Tanh", SOFTPLUS))],
    "sigmoid": SIGMOID,
    "tanh": [("Tanh", "z")],
    "softplus": SOFTPLUS,
    "softplus above": [("Where", ("Greater", "z", "T"), "z", ("Softplus", "z"))],
    "exp": [("Exp", "z")],
    "softmax": [("Softmax", "z")],
    "prelu": [("PRelu", "z", "A"), ("Add", ("Relu", "z"), ("Mul", ("Relu", ("Neg", "z")), "N"))],
    "parametric": [("Add", "z", ("Mul", ("Sub", "f", "z"), "A"))],
    "layer_norm": [
        *_normed(OFF),
        ("Add", ("Mul", "z", GAIN), [("Add", MOVED, "B"), MOVED, ("Sub", "B", ("Mul", MEAN, GAIN))]),
        *(("LayerNormalization", "z", "G"), ("LayerNormalization", "z", "G", "B")),
    ],
    "rms_norm": [*_normed("z"), ("RMSNormalization", "z", "G")],
    "batch_norm": [("BatchNormalization", "z", "G", "B", "M", "V")],
    "clipped": [_clipped(UNIT)],
    "with gaps": [("Concat", ("Div", ("Where", GONE, 0, ("Sub", "z", "M")), "S"), ABSENT)],
    "clipped, with gaps": [("Concat", _clipped(FILLED), ABSENT)],
    "scaler": [("ai.onnx.ml.Scaler", "z")],
    "dropout": [("Dropout", "z"), ("Dropout", "z", "R"), ("Dropout", "z", "R", "T")],
    "gemm": [("Gemm", "z", "W"), ("Gemm", "z", "W", "B")],
    "matmul": [("MatMul", "z", "W")],
    "neg": [("Neg", "z")],
    "less": [("Sub", "C", "z")],
    "over": [("Div", "z", "C")],  # before products, as which they can be read, too
    "times": [("Mul", "z", "C")],
    "minus": [("Sub", "z", "C")],
    "plus": [("Add", "z", "C")],
    "twice": [("Add", "z", "z")],
    "sum": [("Add", "z", "f")],
}


class Found(NamedTuple):
    """What the names of a pattern stand for, and the nodes that it takes up, by what they make."""

    names: Mapping[str, Any]
    nodes: frozenset[str] = frozenset()

    def bound(self, name: str, value: Any) -> Found:
        return self._replace(names={**self.names, name: value})


class Matcher:
    """Finds patterns among the nodes of a file, by the name of a result."""

    def __init__(self, file: OnnxFile, nodes: Sequence[Node]) -> None:
        self.file = file
        self.made = {each: node for node in nodes for each in node.outputs}

    def all(self, node: Node) -> Iterator[tuple[str, Found]]:
        """Yield what makes the first result of a node, by its name in PATTERNS."""
        for name, pattern in BY_KIND.get(node.kind, ()):
            yield from ((name, found) for found in self._match(pattern, node.outputs[0], Found({})))

    def _match(self, pattern: Pattern, value: str | Array, found: Found) -> Iterator[Found]:
        if isinstance(pattern, list):
            for each in pattern:
                yield from self._match(each, value, found)
            return
        constant = value if isinstance(value, np.ndarray) else self.file.constant(value)
        if isinstance(pattern, tuple):
            node = None if constant is not None else self.made.get(str(value))
            if node is not None and node.outputs[0] == value:
                taken = found._replace(nodes=found.nodes | {node.outputs[0]})
                for inputs in self._readings(pattern[0], len(pattern) - 1, node):
                    yield from self._match_all(pattern[1:], inputs, taken)
        elif isinstance(pattern, str) and pattern.isupper():
            if constant is not None and (pattern not in found.names or found.names[pattern] is constant):
                yield found.bound(pattern, constant)
        elif isinstance(pattern, str):
            if constant is None and found.names.get(pattern, value) == value:
                yield found.bound(pattern, value)
        elif constant is not None and _is_number(constant, pattern):
            yield found

    def _match_all(self, patterns: Sequence[Pattern], values: Sequence[str | Array], found: Found) -> Iterator[Found]:
        if not patterns:
            yield found
            return
        for each in self._match(patterns[0], values[0], found):
            yield from self._match_all(patterns[1:], values[1:], each)

    def _readings(self, kind: str, count: int, node: Node) -> Iterator[Sequence[str | Array]]:
        """Yield the inputs of a node if it is of a kind, or can be read as one of it: as a product, or a sum."""
        if node.kind == kind == "ReduceMean":
            if self._is_over_columns(node):
                yield node.inputs[:1]
        elif node.kind == kind:
            inputs = [each for each in node.inputs if each]
            if len(inputs) == count:
                yield inputs
                if kind in COMMUTE and count == 2:
                    yield inputs[::-1]
        elif (kind, node.kind) in (("Mul", "Div"), ("Add", "Sub")):
            right = self.file.constant(node.read(1))
            if right is not None and right.dtype.kind == "f":
                with np.errstate(all="ignore"):
                    other = np.asarray(1 / right if kind == "Mul" else -right)
                yield [node.read(0), other]

    def _is_over_columns(self, node: Node) -> bool:
        """Whether a node takes the mean of each row, and keeps the axis."""
        axes, keeps, empty = node.given(axes=[], keepdims=1, noop_with_empty_axes=0)
        if node.read(1) and (value := self.file.constant(node.read(1))) is not None:
            axes = value.reshape(-1).tolist()
        return axes in ([-1], [1]) and keeps == 1 and empty in (0, 1)


def _is_number(constant: Array, value: float) -> bool:
    whole = constant.size and constant.dtype.kind in "fi"
    return bool(whole and np.allclose(constant.astype(np.float64), value, rtol=ROUNDING, atol=0))


def _heads(pattern: Pattern) -> Iterator[str]:
    """Yield the operators that a pattern may end with."""
    if isinstance(pattern, list):
        for each in pattern:
            yield from _heads(each)
        return
    yield pattern[0]
    if pattern[0] == "Mul":
        yield "Div"
    if pattern[0] == "Add":
        yield "Sub"


def _kinds_in(pattern: Pattern) -> Iterator[str]:
    """Yield all operators in a pattern."""
    if isinstance(pattern, list):
        for each in pattern:
            yield from _kinds_in(each)
    elif isinstance(pattern, tuple):
        yield pattern[0]
        for each in pattern[1:]:
            yield from _kinds_in(each)


BY_KIND: dict[str, list[tuple[str, Pattern]]] = {}
for _name, _patterns in PATTERNS.items():
    for _pattern in _patterns:
        for _kind in dict.fromkeys(_heads(_pattern)):
            BY_KIND.setdefault(_kind, []).append((_name, _pattern))
KINDS = {kind for patterns in PATTERNS.values() for pattern in patterns for kind in _kinds_in(pattern)}
