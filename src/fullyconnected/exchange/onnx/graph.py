"""The way from the rows to the result in a graph of ONNX: what is on it, how wide it is, without what does nothing."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.onnx.file import OnnxFile, TooMuch
from fullyconnected.exchange.onnx.given import FLOATS, ROWS, Node, refused

__all__ = ["ALIKE", "ENTRYWISE", "OnnxGraph"]

NUMBERS = (*FLOATS, TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.INT8, TensorProto.UINT8)
ALIKE = ("Identity", "Cast", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze")  # if rows stay what they are
BY_ENTRY = (
    *("Relu", "LeakyRelu", "Elu", "Selu", "Gelu", "Swish", "Mish", "Softplus", "Sigmoid", "Tanh", "Exp"),
    *("Neg", "Abs", "Erf", "Erfc", "Log", "Sqrt", "Reciprocal"),
)
TRUTHS = ("Greater", "Not", "IsNaN")
ENTRYWISE = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Greater", "Where", "PRelu")


class OnnxGraph:
    """The nodes that lead from the rows to the result of a network.

    Attributes
    ----------
    input, result : str
        The result is an output of the file without what only gives it another form, such as dicts of probabilities.
    pairs : bool
        Whether the file puts 1 minus the result beside the result, as for two classes.
    nodes : list of Node
        In order. Names that they read are those of nodes that compute something.
    widths : dict of str to int
        How many columns each has, as far as it is known.
    """

    def __init__(self, model: onnx.ModelProto, known: Collection[str]) -> None:
        self.file = OnnxFile(model)
        self.input = self.file.input.name
        self.shape = self._declared(self.file.input)
        self.pairs = False
        columns = None if self.shape is None or None in self.shape[1:] else math.prod(map(_size, self.shape[1:]))
        if columns is None:
            self._walk(None)
            columns = self.wanted
        self._walk(columns)
        output = self._output()
        self.result = self._without_form(output)
        self.nodes = self._needed(known)
        if columns is not None and columns > self.file.held + 2**16:
            raise ConfigError(f"the input has {columns} columns, and the whole file {self.file.held} numbers")

    def _declared(self, given: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
        """Return the shape of the input, with None for a size that is not said, or None for all of it."""
        kind = given.type.tensor_type
        if not given.type.HasField("tensor_type") or kind.elem_type not in NUMBERS:
            raise refused(f"the input {given.name[:200]!r} is no tensor of numbers")
        if not kind.HasField("shape"):
            return None
        shape = tuple(each.dim_value if each.HasField("dim_value") else None for each in kind.shape.dim)
        if len(shape) < 2 or any(each is not None and each < 1 for each in shape[1:]):
            said = ", ".join("?" if each is None else str(each) for each in shape[:10])
            raise refused(f"the input {given.name[:200]!r} has the shape ({said}), and rows (rows, columns)")
        return shape

    def _walk(self, columns: int | None) -> None:
        """Go through all nodes: compute what is constant, pass over what does nothing, and say how wide the others are.

        What is wrong is kept until it is known whether the result needs it.
        """
        self.same: dict[str, str] = {}  # what a node that does nothing gives, by what it reads
        self.dropout: dict[str, float] = {}  # the rates of nodes that drop units in training
        self.trouble: dict[str, ConfigError] = {}
        self.widths = {} if columns is None else {self.input: columns}
        self.wanted: int | None = None  # how many columns the first product takes, where nothing else says it
        deep = {self.input} if self.shape is not None and len(self.shape) > 2 else set[str]()  # what has more axes
        for node in self.file.nodes:
            try:
                if not deep.isdisjoint(node.inputs) and node.kind not in ("Flatten", "Reshape", "Shape"):
                    self._require_entries(node, deep)
                    deep |= {*node.outputs}
                self._look_at(node._replace(inputs=tuple(self.same.get(each, each) for each in node.inputs)))
            except TooMuch:
                raise
            except ConfigError as error:
                self.trouble |= dict.fromkeys(node.outputs, error)

    def _require_entries(self, node: Node, deep: Collection[str]) -> None:
        """Raise unless a node treats each entry alone, so that rows may be flattened before it, too."""
        values = [self.file.constant(each) for each in node.inputs if each not in deep]
        single = node.kind in ENTRYWISE and all(each is not None and each.size == 1 for each in values)
        if not single and node.kind not in (*BY_ENTRY, *ALIKE):
            raise node.refuse("reads more axes than two, and mixes columns or treats them apart: flatten them before")

    def _look_at(self, node: Node) -> None:
        first = node.read(0)
        if not node.outputs or self.file.fold(node):
            return
        if node.kind == "Shape" and first in self.widths:
            rest = self.shape[1:] if first == self.input and self.shape is not None else (self.widths[first],)
            begin, stop = node.given(start=0, end=len(rest) + 1)
            self.file.values[node.outputs[0]] = np.array([ROWS, *map(_size, rest)], np.int64)[begin:stop]
        elif node.kind in ALIKE and not self._is_of_truth(node):
            if node.kind == "Dropout":
                self._drop(node)
            elif not self._is_same(node):
                raise node.refuse("gives rows another shape or type")
            else:
                self.same[node.outputs[0]] = first
            if first in self.widths:
                self.widths[node.outputs[0]] = self.widths[first]
        elif (width := self._width(node)) is not None:
            self.widths |= dict.fromkeys(node.outputs, width)

    def _is_of_truth(self, node: Node) -> bool:
        """Whether a node makes 1 and 0 of what is true and false."""
        before = self.file.made.get(node.read(0))
        is_of = before is not None and before.kind in TRUTHS
        return is_of and node.kind == "Cast" and node.settings.get("to") in FLOATS

    def _drop(self, node: Node) -> None:
        training = self.file.constant(node.read(2)) if node.read(2) else np.array(False)
        ratio = self.file.constant(node.read(1)) if node.read(1) else np.array(node.settings.get("ratio", 0.5))
        if training is None or training.any() or ratio is None or ratio.size != 1:
            raise node.refuse("drops units in prediction, too, or of an unknown share")
        self.dropout[node.outputs[0]] = float(ratio.reshape(-1)[0])

    def _is_same(self, node: Node) -> bool:
        """Whether a node gives the rows that it reads, in another type of floats or in rows of one axis."""
        first, flat = node.read(0), self.shape is None or len(self.shape) == 2
        match node.kind:
            case "Identity":
                return True
            case "Cast":
                return node.settings.get("to") in FLOATS
            case "Flatten":
                return node.given(axis=1) == 1 or (flat and node.given(axis=1) == -1)
            case "Reshape" if (shape := self._target(node)) is not None and len(shape) == 2:
                batch = None if self.shape is None else self.shape[0]
                rows, columns = shape
                if rows == 0 and node.settings.get("allowzero"):
                    return False
                keeps = rows in (0, ROWS) or (rows == batch and batch is not None)
                return (keeps and columns == -1) or ((keeps or rows == -1) and columns == self.widths.get(first))
        return False

    def _target(self, node: Node) -> tuple[int, ...] | None:
        """Return the shape that a node is told to give, if it is known."""
        value = self.file.constant(node.read(1)) if node.read(1) else None
        return None if value is None or value.ndim != 1 or value.dtype.kind != "i" else tuple(value.tolist())

    def _width(self, node: Node) -> int | None:
        """Return how many columns a node gives; raise if what it reads does not fit."""
        widths = [self.widths[each] for each in node.inputs if each in self.widths]
        width = max(widths, default=None)
        if node.kind in ("MatMul", "Gemm") and (W := self.matrix(node)) is not None:
            if self.wanted is None and not widths:
                self.wanted = len(W)
            if widths and widths[0] != len(W):
                raise node.refuse(f"has a matrix for {len(W)} columns, and {widths[0]} come in")
            return int(W.shape[1])
        if node.kind == "Concat":
            return sum(widths) if len(widths) == len(node.inputs) else None
        if node.kind.startswith("Reduce"):
            return None  # one number for each row, which may meet those of any number of columns
        if node.kind in ENTRYWISE and width is not None:
            for value in filter(lambda each: each is not None, map(self.file.constant, node.inputs)):
                assert value is not None
                if value.ndim > 2 or value.size not in (1, width) or value.shape[-1:] not in ((), (value.size,)):
                    raise node.refuse(f"has a constant of the shape {value.shape}, and {width} columns come in")
        return width

    def matrix(self, node: Node) -> Array | None:
        """Return the constant matrix (n_in, n_out) of a product, if there is one on its right."""
        W = self.file.constant(node.read(1))
        if W is None or W.ndim != 2:
            return None
        return W.T if node.kind == "Gemm" and node.settings.get("transB") else W

    # the result

    def _output(self) -> str:
        """Return the output that has numbers, beside which there may be one of labels."""
        kinds = {each.name: each.type for each in self.file.outputs}
        floats = [
            name
            for name, kind in kinds.items()
            if not kind.HasField("tensor_type") or kind.tensor_type.elem_type in (TensorProto.UNDEFINED, *FLOATS)
        ]
        if len(floats) != 1:
            names = ", ".join(repr(each[:100]) for each in [*kinds][:20]) or "none"
            raise refused(f"a network has one output of floats, beside labels; this graph has {len(floats)}: {names}")
        return floats[0]

    def _without_form(self, name: str) -> str:
        """Return what an output is another form of: dicts by class, 1 - p beside p, or one column as (rows,)."""
        while (node := self.file.made.get(name)) is not None:
            first = node.read(0)
            match node.kind:
                case "ai.onnx.ml.ZipMap" | "Identity" | "Squeeze":
                    name = first
                case "Cast" if node.settings.get("to") in FLOATS:
                    name = first
                case "Reshape" if self._target(node) in ((-1,), (-1, 1), (ROWS,)):
                    name = first
                case "Concat" if not self.pairs and self._is_pair(node):
                    name, self.pairs = node.read(1), True
                case _:
                    break
        return self.same.get(name, name)

    def _is_pair(self, node: Node) -> bool:
        other = self.file.made.get(node.read(0))
        if other is None or len(node.inputs) != 2 or other.kind != "Sub" or node.settings.get("axis") not in (1, -1):
            return False
        one = self.file.constant(other.read(0))
        return one is not None and bool((one == 1).all()) and other.read(1) == node.read(1)

    def _needed(self, known: Collection[str]) -> list[Node]:
        """Return the nodes that the result needs; raise what is wrong with the first of them."""
        needed, todo = set[str](), [self.result]
        while todo:
            name = todo.pop()
            node = self.file.made.get(name)
            if name in needed or node is None or self.file.constant(name) is not None:
                continue
            needed.add(name)
            todo += [self.same.get(each, each) for each in (node.inputs[:1] if node.kind in ALIKE else node.inputs)]
        found = []
        for node in self.file.nodes:
            if not needed.isdisjoint(node.outputs):
                if node.kind not in known:
                    raise node.refuse(f"is not known; what is known are {', '.join(sorted(known))}")
                if node.outputs[0] in self.trouble:
                    raise self.trouble[node.outputs[0]]
                self.file.take(sum(self.widths.get(each, 0) for each in node.outputs))
                found.append(node._replace(inputs=tuple(self.same.get(each, each) for each in node.inputs)))
        return found


def _size(size: int | None) -> int:
    return size or 0
