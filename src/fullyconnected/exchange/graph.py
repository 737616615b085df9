"""A network as it leaves: named results, each with its formula, and the arrays that the formulas name.

The formulas are those of worked examples (``symbolic/formulas``), of a prediction, in the order in which they are
computed. What does not depend on the rows is computed beforehand. A writer of another language translates formulas, and
knows no layer: whatever has a formula there can leave, a layer of the user's own among it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.base import Link
from fullyconnected.core.arrays import Array, Views, new_buffers
from fullyconnected.errors import ConfigError
from fullyconnected.network import Network
from fullyconnected.program.description import Operation, apart, layers_of
from fullyconnected.program.program import Program
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.evaluation import evaluate
from fullyconnected.symbolic.expression import (
    Compare,
    Expression,
    Name,
    Number,
    Opaque,
    Reduce,
    call,
    mapped,
    names_in,
    nodes_in,
    number,
    with_names,
)
from fullyconnected.symbolic.names import identifier

__all__ = [
    "Assigned",
    "Builder",
    "Graph",
    "Placed",
    "add_network",
    "add_pooled",
    "graph_of",
    "placed_of",
    "pooled_graph",
    "pools",
]

FLOAT64 = np.dtype(np.float64)


class Assigned(NamedTuple):
    """A result: its name, its formula, and the type in which it is computed, and kept."""

    name: Name
    formula: Expression
    computed: np.dtype[Any]
    kept: np.dtype[Any]


@dataclass(frozen=True)
class Graph:
    """Formulas from rows to a result.

    Attributes
    ----------
    x : Name
        The rows (rows, n_in).
    n_in : int
    lines : tuple of Assigned
        In the order in which they are computed.
    constants : mapping of Name to array
    output : Name
        The result (rows, n_out), one of the lines.
    """

    x: Name
    n_in: int
    lines: tuple[Assigned, ...]
    constants: Mapping[Name, Array]
    output: Name

    def results(self, x: Array) -> dict[Name, Array]:
        """Return every result for rows, as NumPy computes the formulas."""
        values: dict[Name, Any] = {**self.constants, self.x: np.asarray(x, self.computed_of(self.x))}
        with np.errstate(all="ignore"):
            for name, formula, computed, kept in self.lines:
                found = {each: values[each] for each in names_in(formula)}
                found = {each: _as(value, computed) for each, value in found.items()}
                values[name] = np.asarray(evaluate(formula, found)).astype(kept)
        return {name: values[name] for name in (self.x, *(line.name for line in self.lines))}

    def predict(self, x: Array) -> Array:
        """Return the result for rows (rows, n_in)."""
        return self.results(x)[self.output]

    def in_double(self, x: Array) -> Array:
        """Return the result with all numbers in float64, which tells what float32 loses; integers are as they are."""
        integers = {line.name for line in self.lines if line.kept.kind == "i"}
        values: dict[Name, Any] = {**self.constants, self.x: np.asarray(x, FLOAT64)}
        values |= {name: value for name, value in self.results(x).items() if name in integers}
        with np.errstate(all="ignore"):
            for name, formula, _, _ in self.lines:
                if name not in integers:
                    found = {each: np.asarray(values[each], FLOAT64) for each in names_in(formula)}
                    values[name] = np.asarray(evaluate(formula, found))
        return np.asarray(values[self.output], FLOAT64)

    def computed_of(self, name: Name) -> np.dtype[Any]:
        """Return the type in which the first formula with a name is computed."""
        return next((line.computed for line in self.lines if name in names_in(line.formula)), FLOAT64)


class Builder:
    """Collects the lines of a graph, each name of which is used once.

    It folds what does not depend on the rows into constants, unless parameters are to be trained where they arrive.
    """

    def __init__(self, n_in: int, dtype: np.dtype[Any], *, folds: bool = True) -> None:
        self.x, self.n_in, self.dtype, self.folds = Name("x"), n_in, dtype, folds
        self.tensors: dict[Name, str] = {}  # which constants are parameters or running statistics, and of which letter
        self.taken = {self.x.identifier}
        self.lines: list[Assigned] = []
        self.constants: dict[Name, Array] = {}
        self.known: dict[Name, Expression] = {}  # names that stand for a number, or for another name

    def name(self, letter: str, index: str = "", full: str = "") -> Name:
        """Return a name that is not in use: the letter, with underscores behind it if that is necessary."""
        made = Name(letter, index, full=full)
        while made.identifier in self.taken:
            made = replace(made, letter=f"{made.letter}_")
        self.taken.add(made.identifier)
        return made

    def constant(self, letter: str, index: str, value: Any, dtype: np.dtype[Any], full: str = "") -> Expression:
        """Return what stands for a constant: its name, or itself if it is a single number."""
        if np.ndim(value) == 0:
            return number(float(value))
        made = self.name(letter, index, full)
        self.constants[made] = np.array(value, dtype, order="C")
        return made

    def assign(self, name: Name, formula: Expression, computed: np.dtype[Any], kept: np.dtype[Any]) -> None:
        """Add a line; a formula that is only a name, or does not depend on the rows, takes no line."""
        formula = with_names(formula, self.known)
        if self.folds:
            formula = self._folded(formula, name, computed)
        if isinstance(formula, Name | Number):
            self.known[name] = formula
        else:
            self.lines.append(Assigned(name, formula, computed, kept))

    def result(self, name: Name) -> Expression:
        """Return what stands for a name in formulas: itself, unless its formula was only another name."""
        return self.known.get(name, name)

    def graph(self, output: Expression) -> Graph:
        """Return the graph that ends with a result."""
        assert isinstance(output, Name)
        return Graph(self.x, self.n_in, tuple(self.lines), MappingProxyType(self.constants), output)

    def _folded(self, node: Expression, of: Name, dtype: np.dtype[Any]) -> Expression:
        """Return a formula in which everything that does not depend on the rows is one constant."""
        if isinstance(node, Name | Number):
            return node
        names = list(names_in(node))
        is_condition = isinstance(node, Compare)  # which stays one, with its sides computed
        if not is_condition and not isinstance(node, Opaque) and all(name in self.constants for name in names):
            with np.errstate(all="ignore"):
                value = evaluate(node, {name: np.asarray(self.constants[name], dtype) for name in names})
            return self.constant(f"{of.letter}_" if of.letter in "xyz" else of.letter, of.index, value, dtype, of.full)
        return mapped(node, lambda part: self._folded(part, of, dtype))


def graph_of(net: Network, dtype: str = "float32") -> Graph:
    """Return the graph of ``net.predict``: the outputs (rows, n_out), those of members pooled.

    Parameters
    ----------
    net : Network
    dtype : str
        The type in which it is computed, apart from operations on the rows as they are given, which are in float64.

    Raises
    ------
    ConfigError
        For a layer or an activation without a formula, such as one of the user's own; for a network whose constants are
        not set, or an ensemble without a loss.
    """
    net.require_set()
    builder = Builder(int(net.n_in or 0), np.dtype(dtype))
    z = add_network(builder, net)
    return builder.graph(add_pooled(builder, z, int(net.program.members or 1), net._link()) if pools(net) else z)


def pools(net: Network) -> bool:
    """Whether a prediction is the mean of several members'; what a single one says is not pooled."""
    return net.program.members not in (None, 1)


def pooled_graph(net: Network) -> Graph:
    """Return the graph from the outputs of the members of a network to what they predict together."""
    builder = Builder(net.n_out, net.dtype)
    return builder.graph(add_pooled(builder, builder.x, int(net.program.members or 1), net._link()))


def add_network(builder: Builder, net: Network, prefix: str = "", x: Expression | None = None) -> Name:
    """Add the lines of a network, and return the name of its last layer's outputs, (rows, n_out) for each member.

    ``prefix`` begins the numbers of its names, and ``x`` stands for the rows that it reads. The results of an operation
    and its constants have its name as their full name.
    """
    program = Program(net.layers, apart(net.program.operations))
    memory = program.memory(net.theta, net.state)
    indices = _indices(net, prefix)
    wires: list[Expression] = [builder.x if x is None else x]
    for i, (op, p) in enumerate(zip(program.operations, memory, strict=True)):
        is_last = i + 1 == len(program.operations) or program.operations[i + 1].name != op.name
        full = f"{op.name} of network {prefix}" if prefix else op.name
        y = builder.name("y" if is_last else "z", indices[op.name], full)
        computed = program.dtype_of(op.reads[0], builder.dtype)
        reads = [wires[source + 1] for source in op.reads]
        wires.append(
            _add_operation(builder, op, p, reads, y, indices[op.name], computed, program.dtype_of(i, builder.dtype))
        )
    if not isinstance(wires[-1], Name):
        raise ConfigError("the outputs of the network do not depend on its inputs")
    if wires[-1] == builder.x:  # such as a network of dropout alone
        out = builder.name("y")
        builder.lines.append(Assigned(out, builder.x + 0, builder.dtype, builder.dtype))
        return out
    return wires[-1]


def _add_operation(
    builder: Builder,
    op: Operation,
    p: Views,
    reads: Sequence[Expression],
    y: Name,
    index: str,
    computed: np.dtype[Any],
    kept: np.dtype[Any],
) -> Expression:
    """Add the lines of an operation with the parameters ``p``, and return what stands for its result ``y``."""
    local: dict[str, Expression] = {"x": reads[0]}
    if op.layer.skips:
        local["skip"] = reads[1]
    if op.layer.joins:
        local |= {f"x{k}": read for k, read in enumerate(reads, 1)}
    c = new_buffers(op.layer.cache(op.copies_in), computed)  # among which are tables of constants
    sources = p, c, op.layer, getattr(op.layer, "activation", None)
    for line in formulas.forward(op.layer, train=False, rows=1):
        _refuse_opaque(line.formula, op.name, op.layer)
        for name in names_in(line.formula):
            if name.text not in local:
                value = next(v for each in sources if (v := getattr(each, name.text, None)) is not None)
                of = builder.dtype if any(name.text == tensor.letter for tensor in op.params) else computed
                made = local[name.text] = builder.constant(identifier(name.letter), index, value, of, y.full)
                if isinstance(made, Name) and value is getattr(p, name.text, None):
                    builder.tensors[made] = name.text
        formula = with_names(line.formula, {name: local[name.text] for name in names_in(line.formula)})
        letter = line.result.rpartition(".")[2]
        if line.result == "y":
            builder.assign(y, formula, computed, kept)
            continue
        if not line.result.startswith("c."):
            continue  # a running statistic, which a prediction leaves as it is
        name = builder.name(identifier(letter), index, y.full)
        builder.assign(name, formula, computed, computed)
        local[letter] = builder.result(name)
    return builder.result(y)


class Placed(NamedTuple):
    """An operation with its parameters, and the types in which it computes, and keeps its result."""

    op: Operation
    p: Views
    computed: np.dtype[Any]
    kept: np.dtype[Any]

    def parts(self) -> Iterator[Placed]:
        """Yield it, or a product and the activation behind it."""
        computed = self.computed
        for layer in layers_of(self.op):
            op = self.op if layer is self.op.layer else self.op._replace(kind=layer.name, layer=layer)
            yield self._replace(op=op, computed=computed)
            computed = self.kept

    def graph(self) -> tuple[Graph, dict[Name, str]]:
        """Return its graph, of one input, and the letters of its parameters and statistics there.

        Nothing is folded, so that its parameters can be trained.
        """
        builder = Builder(self.op.n_in, self.kept, folds=False)
        read: Expression = builder.x
        for op, p, computed, kept in self.parts():
            read = _add_operation(builder, op, p, [read], builder.name("y"), "", computed, kept)
        return builder.graph(read), builder.tensors


def placed_of(net: Network) -> Iterator[Placed]:
    """Yield the operations of a network in their order."""
    program = net.program
    for i, (op, p) in enumerate(zip(program.operations, program.memory(net.theta, net.state), strict=True)):
        yield Placed(op, p, program.dtype_of(op.reads[0], net.dtype), program.dtype_of(i, net.dtype))


def add_pooled(builder: Builder, z: Name, k: int, link: Link) -> Name:
    """Add the line of the outputs whose predictions are the mean of those of k members; see :meth:`Link.pooled`."""
    kind = "identity" if link.inverse is None else link.inverse.name
    if kind not in POOLED or not link.pools:
        raise ConfigError(f"the predictions of members cannot be pooled in another language with the link {link.name}")
    pooled = builder.name("pooled")
    own = builder.constant("members", "", np.zeros((k, 1)), FLOAT64)
    builder.assign(pooled, POOLED[kind](z, own, k), FLOAT64, builder.dtype)
    return pooled


def _log_sum(z: Expression, own: Expression) -> Expression:
    """Return the logarithm of the sum over the members of exponentials."""
    largest = call("most_of_members", z, own)
    shifted = z - call("copied", largest, own)
    return largest + call("log", call("over_members", call("exp", shifted), own))


POOLED: dict[str, Callable[[Expression, Expression, int], Expression]] = {
    "identity": lambda z, own, k: call("over_members", z, own) / k,
    "exp": lambda z, own, k: _log_sum(z, own) - math.log(k),
    "sigmoid": lambda z, own, k: _log_sum(-call("softplus", -z), own) - _log_sum(-call("softplus", z), own),
    "softmax": lambda z, own, k: _log_sum(z - Reduce("logsumexp", "units", z), own) - math.log(k),
}


def _as(value: Array, computed: np.dtype[Any]) -> Array:
    """Return numbers in a type in which they are computed; those of float64 stay so in a formula of float32.

    Sums of int32 are computed in float64, which has all integers below 2^53, and whose products BLAS adds up sooner.
    """
    wider = computed == np.float32 and value.dtype.kind == "f"
    return value if wider else np.asarray(value, FLOAT64 if computed == np.int32 else computed)


def _indices(net: Network, prefix: str) -> dict[str, str]:
    """Return the number of each operation, as in a worked example."""
    return {op.name: f"{prefix}{i}" for i, op in enumerate(net.program.operations, 1)}


def _refuse_opaque(formula: Expression, name: str, layer: Any) -> None:
    if any(isinstance(node, Opaque) for node in nodes_in(formula)):
        what = getattr(layer, "activation", None) or layer
        raise ConfigError(
            f"{name} has no formula, which other languages would be written from: {what!r:.100}. Add its formula to "
            f"fullyconnected.symbolic.formulas, as the documentation of that module shows"
        )
