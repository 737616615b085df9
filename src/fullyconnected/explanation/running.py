"""The recorder, which runs a training step with the layers' own code, and keeps every result.

It runs a copy of the program with every activation as a separate operation, so that no result is overwritten. Tests
hold its results equal to those of the original program, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np

from fullyconnected.base import Loss, Optimizer, Param, guarded_loss
from fullyconnected.core.arrays import Array, new_buffers
from fullyconnected.core.messages import Message
from fullyconnected.core.wording import printable
from fullyconnected.explanation.naming import wires
from fullyconnected.explanation.record import Step
from fullyconnected.factors import Factors
from fullyconnected.network import Network
from fullyconnected.program.data import BatchLoader, Data
from fullyconnected.program.description import Operation, apart
from fullyconnected.program.program import Program
from fullyconnected.program.workspace import Batch, Workspace
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.equation import Equation
from fullyconnected.symbolic.evaluation import evaluate
from fullyconnected.symbolic.expression import Expression, Name, chain, names_in, total, with_names
from fullyconnected.symbolic.formulas.lines import with_told
from fullyconnected.symbolic.names import identifier

__all__ = ["Recorder", "losses_of_rows"]

GRADIENTS = ("dn",)  # of values that forward keeps, where they are results of their own
PAST = Message("The number goes past the block, too: what comes back on that way is added.")


class Recorder:
    """Runs the program once and records every result."""

    def __init__(
        self,
        net: Network,
        data: Data,
        rule: Optimizer | None,
        train: bool,
        factors: Factors | None = None,
        draws: tuple[int, int] = (0, 0),
    ) -> None:
        """``draws`` are the seed and the number of the step to which the random numbers belong."""
        self.net, self.data, self.train, self.draws = net, data, train, draws
        rules = {rule.for_param(tensor.param) for tensor in net.program.tensors} | {rule} if rule is not None else set()
        self.taken: set[str] = {"l2", *(name for each in rules for name in vars(each))}  # texts and full names in use
        program = Program(net.layers, apart(net.program.operations))
        self.program = program if factors is None else program.for_training(factors)
        self.theta, self.state = net.theta.copy(), net.state.copy()
        self.batch = self.loaded(self.theta, self.state)
        self.workspace = self.batch.workspace
        self.steps: list[Step] = []
        self.lines: list[tuple[int, str]] = []  # of each step: its operation, -1 for the loss, and what it computes
        self.values: dict[Name, Array] = {}
        self.factors: dict[str, Name] = {}  # those on the rates of single parameters
        self.checked = False
        self._name_steps()

    def loaded(self, theta: Array, state: Array) -> Batch:
        """Return a batch of all rows, ready to be run with these parameters and running statistics."""
        workspace = Workspace(self.program, theta, state, len(self.data.x), loss=self.data.loss, input_gradient=True)
        batch = BatchLoader(self.data, workspace).load_all()
        workspace.at(*self.draws)
        return batch

    def _name_steps(self) -> None:
        """Name every wire between the operations, their parameters and running statistics."""
        self.names = [printable(op.name) for op in self.program.operations]
        self.wires = wires(self.program.operations, activated=self.data.loss.link.inverse is not None)
        self.index = [wire.index for wire in self.wires[1:]]
        for wire in self.wires[1:]:
            self.taken |= self._alike(wire) | {wire.full}
        self.parameters: dict[tuple[int, str], Name] = {}
        self.called: dict[Name, str] = {self.wires[0]: "x"}  # the names of parameters and input in the gradient check
        for i, op in enumerate(self.program.operations):
            for letter in (tensor.letter for tensor in (*op.params, *op.state)):
                own = self._own(letter, self.index[i], self.names[i])
                self.parameters[i, letter] = own
                self.called[own] = f"{op.name}.{letter}"

    def _alike(self, name: Name) -> set[str]:
        """Return the identifiers of a quantity, of its gradients, and of its updated value."""
        gradients = (name.gradient(of) for of in "LE")
        return {each.identifier for each in (name, replace(name, new=True), *gradients)}

    def _own(self, letter: str, index: str, layer: str) -> Name:
        """Return a unique name for a parameter or statistic, whose letter a user has chosen."""
        full = f"{layer}.{printable(letter).replace(':', '_')}"
        while {full, f"{full}_new"} & self.taken:
            full += "_"
        self.taken |= {full, f"{full}_new"}
        return self.new(Name(identifier(letter), index, full=full))

    def new(self, name: Name) -> Name:
        """Return the name, with underscores added until it differs from all others."""
        while self._alike(name) & self.taken:
            name = replace(name, letter=f"{name.letter}_")
        self.taken |= self._alike(name)
        return name

    def keep(self, name: Name, value: Any) -> Name:
        """Keep a read-only copy of a value under a name."""
        kept = np.array(value)
        kept.flags.writeable = False
        self.values[name] = kept
        return name

    def add(
        self, phase: str, layer: str, left: Name, right: Expression, why: str, line: tuple[int, str] = (-1, ""),
        **more: Any,
    ) -> None:  # fmt: skip
        """Record a step, whose values are already kept; ``line`` says what it computes, in forward and in the loss."""
        self.steps.append(self.step(len(self.steps) + 1, phase, layer, left, right, why, **more))
        self.lines.append(line)

    def step(
        self, number: int, phase: str, layer: str, left: Name, right: Expression, why: str, **more: Any
    ) -> Step:  # fmt: skip
        """Return a step, whose values are already kept."""
        values = {name: self.values[name] for name in (left, *names_in(right))}
        return Step(number, phase, layer, Equation(left, right), MappingProxyType(values), why, **more)

    def parameter(self, i: int, letter: str) -> Name:
        """Return the name of a parameter, running statistic, cached value or setting of operation i."""
        own = self.parameters.get((i, letter))
        return own or Name(letter, self.index[i], full=f"{self.names[i]}.{letter}")

    def of_letter(self, i: int, letter: str) -> Name:
        """Return the name of a value that operation i computes on the way; ``dn`` is the gradient of ``n``."""
        of = letter[1:] if letter in GRADIENTS else ""
        return self.parameter(i, of).gradient("L") if of else self.parameter(i, letter)

    def bound(
        self, formula: Expression, local: Mapping[str, Expression], called: Callable[[Name], Name], *sources: Any
    ) -> Expression:
        """Return a formula with the network's names, and keep the values of names that are new.

        ``local`` has the known names. Other letters are parameters, running statistics, cached values or settings:
        ``called`` gives their names, and their values are attributes of ``sources``.
        """
        names: dict[Name, Expression] = {}
        for name in names_in(formula):
            names[name] = known = local.get(name.text) or called(name)
            if isinstance(known, Name) and known not in self.values:
                found = (getattr(source, name.letter + name.index, None) for source in sources)
                self.keep(known, next(value for value in found if value is not None))
        return with_names(formula, names)

    def of_operation(self, i: int, formula: Expression, *sources: Any) -> Expression:
        """Return a formula of operation i with the network's names."""
        op, y = self.program.operations[i], self.wires[i + 1]
        ones = Name("1", full="ones" if op.copies == 1 else f"ones_{op.copies}")  # for each copy of each row
        self.keep(ones, np.ones(op.copies * len(self.data.x), self.theta.dtype))
        local = {"x": self.wires[op.reads[0] + 1], "y": y, "dy": y.gradient("L"), "1": ones}
        if op.layer.skips:
            local["skip"] = self.wires[op.reads[1] + 1]
        if op.layer.joins:
            local |= {f"x{k}": self.wires[source + 1] for k, source in enumerate(op.reads, 1)}
        settings = (getattr(op.layer, "activation", None), op.layer)
        return self.bound(formula, local, lambda name: self.of_letter(i, name.letter), *sources, *settings)

    def forward(self) -> None:
        self.keep(self.wires[0], self.batch.x)
        for i, p in enumerate(self.workspace.p):
            for letter, view in p:
                self.keep(self.parameter(i, letter), view)
        with np.errstate(all="ignore"):
            for i, (op, p, x, c, y) in enumerate(self.batch.bound()):
                op.layer.forward(p, x, c, y, train=self.train)
                self._forward_step(i, p, c, y)

    def _forward_step(self, i: int, p: Any, c: Any, y: Array) -> None:
        op, rows = self.program.operations[i], len(self.data.x)
        told = formulas.told(op.layer, train=self.train)
        lines = with_told(formulas.forward(op.layer, train=self.train, rows=rows * op.copies_in), told.forward)
        for line in lines:
            kind, dot, letter = line.result.partition(".")
            if line.result.startswith("d."):  # the code computes it on the way, and does not keep it
                right = self.of_operation(i, line.formula, c)
                left, value = self.parameter(i, letter), evaluate(right, self.values)
            elif not dot:
                left, value = self.wires[i + 1], y
            elif kind == "c":
                left, value = self.parameter(i, letter), getattr(c, letter)
            else:
                left, value = replace(self.parameter(i, letter), new=True), getattr(p, letter)
            right = self.of_operation(i, line.formula, c)
            self.keep(left, value)
            self.add("forward", self.names[i], left, right, line.why, (i, line.result))

    def loss(self, l2: float) -> float:
        batch, data, z = self.batch, self.data, self.wires[-1]
        weighted = data.weights is not None
        with np.errstate(all="ignore"):
            value = data.loss.value_and_gradient(batch.z, batch.t, batch.c, batch.dz)
        letter = "E" if l2 else "L"
        t = self.keep(Name("t", full="t"), batch.t)
        local = {"z": z, "t": t}
        if weighted:
            local["w"] = self.keep(Name("w", full="sample_weight"), batch.c.w[:, :1])
        # the loss overwrites its probabilities, but its predictions are the same
        written: dict[str, Callable[[], Any]] = {
            "p": lambda: data.loss.predictions(batch.z),
            "L": lambda: value,
            "dz": lambda: batch.dz,
        }
        lines = formulas.of_loss(data.loss, rows=len(batch.z), weighted=weighted, classes=batch.t.ndim == 1)
        named = {"L": Name(letter, full=letter), "dz": z.gradient("L")}
        sources = (data.loss, SimpleNamespace(k=self.net.n_out))
        for line in lines:
            kind, _, short = line.result.rpartition(".")
            left = named.get(short) or Name(short, full=f"loss.{short}")
            right = self.bound(line.formula, local, lambda name: replace(name, full=f"loss.{name.letter}"), *sources)
            self.keep(left, getattr(batch.c, short) if kind == "c" else written[short]())
            self.add("loss", "loss", left, right, line.why, (-1, line.result))
            if kind == "c" or short == "p":
                local[short] = left
        if l2:
            value = self._add_l2_value(value, l2)
        return float(value)

    def _add_l2_value(self, value: Any, l2: float) -> Any:
        batch, rate = self.batch, self.keep(Name("l2", full="l2"), l2)
        right: Expression = Name("E", full="E")
        decaying = [
            (self.parameter(i, letter), param.decay_factor) for i, letter, param in self.tensors() if param.decays
        ]
        if alike := [total(name**2) for name, factor in decaying if factor == 1]:
            right = right + rate / 2 * chain("+", alike)
        for name, factor in decaying:
            if factor != 1:
                right = right + self.times(rate, "decay_factor", name, factor) / 2 * total(name**2)
        # there are no gradients yet: add_l2 adds to zeros, which are discarded
        batch.workspace.gradient.fill(0)
        with np.errstate(all="ignore"):
            value = value + batch.workspace.add_l2(l2)
        batch.workspace.gradient.fill(math.nan)
        left = self.keep(Name("L", full="L"), value)
        self.add(
            "loss",
            "loss",
            left,
            right,
            Message(
                "E is the loss without the L2 term, which is l2 / 2 times the sum of the squares of all weights: large "
                "weights cost something, too."
            ),
            (-1, "l2"),
        )
        return value

    def tensors(self) -> Iterator[tuple[int, str, Param]]:
        """Yield each parameter tensor: its operation, its letter, and what it is."""
        for i, op in enumerate(self.program.operations):
            for tensor in op.params:
                yield i, tensor.letter, tensor.param

    def times(self, what: Expression, kind: str, name: Name, value: float) -> Expression:
        """Return a rate times the factor on it of one parameter, unless that is 1."""
        if value == 1:
            return what
        full = f"{name.full}:{kind}"
        if full not in self.factors:
            self.factors[full] = self.keep(self.new(Name(kind, name.text, full=full)), value)
        return what * self.factors[full]

    def backward(self, l2: float) -> None:
        with np.errstate(all="ignore"):
            self.caches = [c for *_, c, _ in self.batch.bound()]
            for i, op, g, dx in self.batch.walk_back():
                self._backward_step(i, op, g, dx, bool(l2))
            if not l2:
                return
            self.workspace.add_l2(l2)
        rate = Name("l2", full="l2")
        for i, letter, param in reversed(list(self.tensors())):
            if param.decays:
                name = self.parameter(i, letter)
                pull = self.times(rate, "decay_factor", name, param.decay_factor)
                left = self.keep(name.gradient("L"), getattr(self.workspace.g[i], letter))
                why = Message(
                    "The slope of l2 / 2 times the square of a weight is l2 times the weight: it pulls towards 0."
                )
                self.add("backward", self.names[i], left, name.gradient("E") + pull * name, why)

    def _backward_step(self, i: int, op: Operation, g: Any, dx: Array | None, l2: bool) -> None:
        decaying = {tensor.letter for tensor in op.params if tensor.param.decays}
        told = formulas.told(op.layer, train=self.train)
        for line in with_told(formulas.backward(op.layer, train=self.train), told.backward):
            _, dot, letter = line.result.partition(".")
            if line.result.startswith("d."):
                right, why = self.of_operation(i, line.formula, self.caches[i]), line.why
                left, value = self.of_letter(i, letter), evaluate(right, self.values)
            elif dot:
                right, why = self.of_operation(i, line.formula, self.caches[i]), line.why
                left, value = self.parameter(i, letter), getattr(g, letter)
                left = left.gradient("E" if l2 and letter in decaying else "L")
            else:
                part = int(line.result[2:] or 1) - 1  # dx, or dx1, dx2 and so on where branches end
                source = op.reads[part]
                if self.program.readers[source][0] != i:
                    continue  # its part is in the line of the first that reads the same input
                right, why = self.of_operation(i, line.formula, self.caches[i]), line.why
                left = self.wires[source + 1].gradient("L")
                value = self.caches[i].d_parts[part] if op.layer.joins else dx
                for end in self.program.skipped_to.get(source, ()):  # operations that read its input again
                    past = formulas.d_skip(self.program.operations[end].layer, train=self.train)
                    right = right + self.of_operation(end, past)
                    why = line.why + PAST if self.program.operations[end].layer.skips else why
            self.keep(left, value)
            self.add("backward", self.names[i], left, right, why)


def losses_of_rows(loss: Loss, z: Array, t: Array, rows: int) -> Array:
    """Return the loss of each row alone, whatever it weighs: of an ensemble, the mean of the members' losses."""
    copies, found = len(z) // rows, np.empty(rows, z.dtype)
    c, dz = new_buffers(loss.buffers(copies, z.shape[1]), z.dtype), np.empty((copies, z.shape[1]), z.dtype)
    value = guarded_loss(loss)
    with np.errstate(all="ignore"):
        for i in range(rows):
            part = slice(i * copies, (i + 1) * copies)
            found[i] = value(z[part], t[part], c, dz)
    return found
