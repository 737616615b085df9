"""The formulas of a graph as nodes of ONNX, for any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.graph import FLOAT64, Graph
from fullyconnected.symbolic.evaluation import shape_of
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
    call,
    total,
)

__all__ = ["TYPES", "Nodes"]

AXES_ARE_INPUTS = 18  # the opset from which all reductions take them so
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, FLOAT64: TensorProto.DOUBLE}
ENTRYWISE = {"exp": "Exp", "cos": "Cos", "sin": "Sin", "log": "Log", "tanh": "Tanh", "sqrt": "Sqrt", "abs": "Abs",
             "sign": "Sign"}  # fmt: skip
OPERATORS = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "^": "Pow"}


class Nodes:
    """Collects nodes, one or a few for each node of a formula."""

    def __init__(self, graph: Graph, opset: int, inputs: Sequence[str]) -> None:
        self.of, self.opset = graph, opset
        self.taken = {*inputs}
        self.y, self.label = self.fresh("y"), self.fresh("label")  # a column of a table may have these names
        self.values: dict[Name, Array] = {**graph.constants, **graph.results(np.zeros((1, graph.n_in)))}
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.known: dict[Any, str] = {}  # where values are, by formula and type, and constants by their content
        self.dtype: np.dtype[Any] = np.dtype(np.float32)  # of what is computed at present
        self.kept_as: dict[Name, np.dtype[Any]] = {graph.x: self.dtype}
        self.within: dict[Expression, str] = {}  # the values of the parts of the present line
        self.uses_ml = False  # whether there are nodes of ONNX's second set of operators

    def graph(self, x: str = "x", dtype: Any = np.float32) -> None:
        """Add all lines, the last of which gives the results, for rows that are called ``x``."""
        self.known[self.of.x, np.dtype(dtype)] = x
        self.kept_as[self.of.x] = np.dtype(dtype)
        for name, formula, computed, kept in self.of.lines:
            self.dtype, self.within = computed, {}
            found = self.node(formula)
            if computed != kept:
                found = self.add("Cast", [found], to=TYPES[kept])
            self.known[name, kept] = self.called(
                found, self.y if name == self.of.output else self.fresh(name.identifier)
            )
            self.kept_as[name] = kept

    def result(self, name: Name) -> str:
        """Return where the result of a line is."""
        return self.known[name, self.kept_as[name]]

    # names and constants

    def fresh(self, name: str) -> str:
        """Return a name that is not in use."""
        made, i = name, 1
        while made in self.taken:
            made, i = f"{name}_{i}", i + 1
        self.taken.add(made)
        return made

    def add(self, kind: str, inputs: Sequence[str], output: str | None = None, **settings: Any) -> str:
        """Add a node, and return the name of its output."""
        output = output or self.fresh(kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"{output}_node", **settings))
        return output

    def called(self, tensor: str, name: str) -> str:
        """Give the last node's output another name, and return that; of what is older, make a copy."""
        last = self.nodes[-1]
        if last.output[0] != tensor or tensor in self.known.values():
            return self.add("Identity", [tensor], name)
        last.output[0], last.name = name, f"{name}_node"
        return name

    def constant(self, value: Array, name: str = "constant") -> str:
        """Return the name of a constant."""
        key = value.dtype.str, value.shape, value.tobytes()
        if key not in self.known:
            self.known[key] = self.fresh(name)
            self.initializers.append(numpy_helper.from_array(value, self.known[key]))
        return self.known[key]

    def integers(self, values: Sequence[int]) -> str:
        return self.constant(np.array(values, np.int64), "shape")

    def number(self, value: float) -> str:
        return self.constant(np.array(value, self.dtype), "number")

    def shape(self, node: Expression) -> Shape:
        return shape_of(node, self.values)

    def reshaped(self, tensor: str, *shape: int) -> str:
        return self.add("Reshape", [tensor, self.integers(shape)])

    def turned(self, tensor: str, *axes: int) -> str:
        return self.add("Transpose", [tensor], perm=axes)

    def reduced(self, kind: str, tensor: str, axis: int, *, keep: bool) -> str:
        """Add a reduction over an axis, which later opsets take as an input."""
        if kind == "ReduceSum" or self.opset >= AXES_ARE_INPUTS:
            return self.add(kind, [tensor, self.integers([axis])], keepdims=int(keep))
        return self.add(kind, [tensor], axes=[axis], keepdims=int(keep))

    def flag(self, tensor: str) -> str:
        """Return what holds true or false as numbers."""
        return self.add("Cast", [tensor], to=TYPES[self.dtype])

    # formulas

    def node(self, node: Expression) -> str:
        """Return the name of a formula's value, which is computed once."""
        if node not in self.within:
            self.within[node] = self._node(node)
        return self.within[node]

    def name(self, name: Name) -> str:
        """Return the name of a result or a constant in the type that is computed in."""
        if name in self.of.constants:
            return self.constant(self.of.constants[name].astype(self.dtype), name.identifier)
        key = name, self.dtype
        if key not in self.known:
            self.known[key] = self.add("Cast", [self.known[name, self.kept_as[name]]], to=TYPES[self.dtype])
        return self.known[key]

    def _node(self, node: Expression) -> str:
        match node:
            case Name():
                return self.name(node)
            case Number(value):
                return self.number(float(value))
            case Negative(operand):
                return self.add("Neg", [self.node(operand)])
            case Binary("/", Number(1), Binary("+", Number(1), Call("exp", (Negative(operand),)))):
                return self.add("Sigmoid", [self.node(operand)])
            case Binary("/", Call("exp", (Binary("-", a, Reduce("max", "units", b)),)) as above, below) if (
                a == b and below == total(above, "units")
            ):
                return self.add("Softmax", [self.node(a)], axis=1)
            case Binary("+", Binary("@", left, Name() as right), Name() as bias) if self._is_dense(left, right, bias):
                return self.add("Gemm", [self.node(left), self.node(right), self.node(bias)])
            case Binary("@", Call("indicator", (code, _)), table):
                whole = self.add("Cast", [self.node(code)], to=TensorProto.INT64)
                chosen = self.add("Gather", [self.node(table), whole], axis=0)
                return self.reshaped(chosen, -1, self.shape(table)[1])
            case Binary("@", left, right):
                return self.add("MatMul", [self.node(left), self.node(right)])
            case Binary("^", base, Number(2)):
                return self.add("Mul", [self.node(base)] * 2)
            case Binary(sign, left, right):
                return self.add(OPERATORS[sign], [self.node(left), self.node(right)])
            case Compare(left, right):
                return self.flag(self.add("Greater", [self.node(left), self.node(right)]))
            case Cases(condition, then, otherwise):
                over = self.add("Greater", [self.node(condition.left), self.node(condition.right)])
                return self.add("Where", [over, self.node(then), self.node(otherwise)])
            case Taken(operand, columns):
                return self.add("Gather", [self.node(operand), self.integers(columns)], axis=1)
            case Reduce(kind, "units", operand):
                return self._reduced(kind, self.node(operand), 1)
            case Call(function, operands):
                return self._call(node, function, operands)
        raise ConfigError(f"ONNX has no node for {node!r:.100}")

    def _is_dense(self, left: Expression, right: Name, bias: Name) -> bool:
        constant = right in self.of.constants and bias in self.of.constants
        return constant and len(self.shape(left)) == 2 and len(self.shape(bias)) == 1

    def _reduced(self, kind: str, tensor: str, axis: int, *, keep: bool = True) -> str:
        match kind:
            case "sum" | "mean" | "max":
                return self.reduced(f"Reduce{kind.title()}", tensor, axis, keep=keep)
            case "var":
                off = self.add("Sub", [tensor, self.reduced("ReduceMean", tensor, axis, keep=True)])
                return self.reduced("ReduceMean", self.add("Mul", [off, off]), axis, keep=keep)
        most = self.reduced("ReduceMax", tensor, axis, keep=True)
        added = self.reduced("ReduceSum", self.add("Exp", [self.add("Sub", [tensor, most])]), axis, keep=True)
        return self.add("Add", [most, self.add("Log", [added])])

    def _call(self, node: Expression, function: str, operands: tuple[Expression, ...]) -> str:
        if function in ENTRYWISE:
            return self.add(ENTRYWISE[function], [self.node(operands[0])])
        match function:
            case "max" if isinstance(operands[1], Number) and operands[1].value == 0:
                return self.add("Relu", [self.node(operands[0])])
            case "max":
                return self.add("Max", [self.node(each) for each in operands])
            case "clip":
                return self.add("Min", [self.add("Max", [*map(self.node, operands[:2])]), self.node(operands[2])])
            case "isnan":
                return self.flag(self.add("IsNaN", [self.node(operands[0])]))
            case "expm1":
                return self.add("Sub", [self.add("Exp", [self.node(operands[0])]), self.number(1.0)])
            case "softplus":
                return self._softplus(self.node(operands[0]))
            case "Phi":
                erf = self.add("Erf", [self.add("Mul", [self.node(operands[0]), self.number(0.5**0.5)])])
                return self.add("Mul", [self.add("Add", [erf, self.number(1.0)]), self.number(0.5)])
            case "indicator":
                codes = self.constant(np.arange(self.shape(node)[1], dtype=self.dtype), "codes")
                return self.flag(self.add("Equal", [self.node(operands[0]), codes]))
            case "beside":
                return self.add("Concat", [*map(self.node, operands)], axis=1)
            case "joined":
                return self.add("Concat", [*map(self.node, operands)], axis=2)
            case "each":
                return self.add("MatMul", [*map(self.node, operands)])
            case "each_row":
                turned = self.turned(self.node(operands[0]), 1, 0)
                return self.add("Unsqueeze", [turned, self.integers([2])])
            case "rows_of" | "rows_beside":
                of = (
                    operands[0] if function == "rows_of" else call("joined", call("each_row", operands[0]), operands[1])
                )
                return self.reshaped(self.turned(self.node(of), 1, 0, 2), -1, self.shape(node)[1])
        return self._of_members(node, function, operands)

    def _softplus(self, z: str) -> str:
        """Return log(1 + exp(z)), without an exponential that overflows."""
        small = self.add("Exp", [self.add("Neg", [self.add("Abs", [z])])])
        log = self.add("Log", [self.add("Add", [small, self.number(1.0)])])
        return self.add("Add", [self.add("Relu", [z]), log])

    def _of_members(self, node: Expression, function: str, operands: tuple[Expression, ...]) -> str:
        """Return what joins the rows of an ensemble with what each member has of its own; see symbolic/copies.py."""
        a, own = operands[0], operands[-1]
        k, columns = self.shape(own)[0], self.shape(a)[-1]
        match function:
            case "copied":
                apart = self.add("Unsqueeze", [self.node(a), self.integers([1])])
                return self.reshaped(self.add("Expand", [apart, self.integers([1, k, 1])]), -1, columns)
            case "scaled" | "shifted":
                by_member = self.reshaped(self.node(a), -1, k, columns)
                kind = "Mul" if function == "scaled" else "Add"
                return self.reshaped(self.add(kind, [by_member, self.node(own)]), -1, columns)
            case "over_members" | "most_of_members":
                kind = "sum" if function == "over_members" else "max"
                return self._reduced(kind, self.reshaped(self.node(a), -1, k, columns), 1, keep=False)
            case "own":
                by_member = self.turned(self.reshaped(self.node(a), -1, k, columns), 1, 0, 2)
                product = self.add("MatMul", [by_member, self.node(own)])
                return self.reshaped(self.turned(product, 1, 0, 2), -1, self.shape(own)[2])
            case "wide" | "narrow":
                return self.reshaped(self.node(a), -1, self.shape(node)[1])
        raise ConfigError(f"ONNX has no node for {function}")
