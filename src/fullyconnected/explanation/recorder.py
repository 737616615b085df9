"""The recorder, which runs a training step with the layers' own code, and keeps every result.

It runs a copy of the program with every activation as a separate operation, so that no result is overwritten. Tests
hold its results equal to those of the original program, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.base import Optimizer, Param, Solver
from fullyconnected.checking.gradcheck import FIRST_STEP, TOLERANCE, TensorReport, of_network
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import number
from fullyconnected.core.deprecation import old_arguments
from fullyconnected.core.randomness import as_seed
from fullyconnected.core.wording import printable
from fullyconnected.engine.updates import new_slots, slots_of, updates
from fullyconnected.errors import ConfigError, InputTypeError
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.factors import Factors
from fullyconnected.network import Network
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.data import BatchLoader, Data, check_data
from fullyconnected.program.description import Operation, apart, layers_of
from fullyconnected.program.program import Program
from fullyconnected.program.workspace import Batch, Workspace
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.equation import Equation
from fullyconnected.symbolic.expression import Expression, Name, chain, names_in, total, with_names
from fullyconnected.symbolic.formulas.lines import Line
from fullyconnected.symbolic.names import identifier

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, LossLike, SeedLike

__all__ = ["Recorder", "recorded", "trace"]

STEP = 1e-3  # step of the differences: eight digits of a loss of about 1 give four digits of the slope by hand
PAST = "The input is also added at the end of the block: the gradient from there is added."
ALL, SOME = 64, 8  # a tensor of at most so many entries is checked whole; of a larger one, so many


@old_arguments
def trace(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    loss: LossLike,
    optimizer: Optimizer | str | None = None,
    *,
    l2: float = 0.0,
    sample_weight: ArrayLike | None = None,
    train: bool = False,
    seed: SeedLike = 0,
    step: float | None = None,
    factors: Factors | None = None,
) -> Trace:
    """Return the record of one training step of a network: forward, loss, backward, check and update.

    The training code computes every value. The network and its running statistics do not change.

    Parameters
    ----------
    net : Network
        A network of any layers; for your own layers, the record has results but no formulas.
    x, t : array
        The batch, one row or more, and its targets.
    loss : Loss or str
        The loss, such as ``fc.HalfSquaredError()``.
    optimizer : Optimizer or str, optional
        An optimizer, whose first step is recorded; with None, there is no update. Solvers such as LBFGS are refused.
    l2, sample_weight, train, seed
        As for :meth:`Network.gradients`.
    step : float, optional
        The step of the central differences, multiplied by the entry's size if that is above 1; 0.001 if None.
    factors : Factors, optional
        As for :func:`fullyconnected.fit`.

    Returns
    -------
    Trace
        ``.steps``, each with phase, layer, equation, operands, shapes, result and why.

    Raises
    ------
    InputTypeError, ConfigError
        If ``net`` is not a Network, or the optimizer is a solver; and the errors of :meth:`Network.gradients`.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.mlp([2, 2], dtype="float64", seed=0)
    >>> net.theta = [0.15, 0.20, 0.25, 0.30, 0.35, 0.45]
    >>> record = fc.trace(net, [[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error")
    >>> for step in record.steps[:3]:
    ...     print(step.phase, step.equation, step.result.round(12).tolist())
    forward y1 = x W1 + b1 [[0.49, 0.62]]
    loss L = 1 / 2 * sum((y1 - t)^2) 0.18365
    loss dL/dy1 = y1 - t [[0.48, -0.37]]
    """
    return recorded(net, x, t, loss, optimizer, l2, sample_weight, train, seed, step, factors)[1]


def recorded(
    net: Network, x: Any, t: Any, loss: Any, optimizer: Any, l2: float, sample_weight: Any, train: bool, seed: Any,
    step: float | None, factors: Factors | None = None,
) -> tuple[Recorder, Trace]:  # fmt: skip
    """Return the record as :func:`trace` does, and the recorder that made it."""
    if not isinstance(net, Network):
        raise InputTypeError(f"a Network can be traced; got {net!r}")
    rule = None if optimizer is None else OPTIMIZERS.get(optimizer)
    if isinstance(rule, Solver):
        raise ConfigError(
            f"{type(rule).__name__} evaluates the loss many times in a step; give an optimizer such as fc.SGD(0.1)"
        )
    data = check_data(net.program, net.dtype, x, t, loss, sample_weight, columns=net.columns)
    net.require_set()
    l2, seed = number("l2", l2), as_seed(seed)
    step = number("step", STEP if step is None else step, above=True)
    if factors is not None and not isinstance(factors, Factors):
        raise InputTypeError(f'factors is fc.Factors(lr={{"bias": 0.1}}) or the like; got {factors!a:.80}')
    recorder = Recorder(net, data, rule, train, factors)
    recorder.forward(seed)
    value = recorder.loss(l2)
    recorder.backward(l2)
    if math.isfinite(value):
        if factors is not None:
            net = net.copy()
            net.program = net.program.for_training(factors)
        recorder.check(of_network(net, x, t, data.loss, l2, sample_weight, train, seed, "numpy"), step)
    settings = {"loss": printable(repr(data.loss)), "dtype": net.dtype.name, "rows": str(len(data.x))}
    if any(op.layer.random or op.state for op in net.program.operations):
        settings["mode"] = f"training, seed {seed}" if train else "prediction: no dropout, and running statistics"
    if (k := net.program.copies) > 1:
        settings["members"] = (
            f"{k}; of {k} rows that follow each other, each is that of a member m, and W[m] is what member m has of "
            f"its own"
        )
    if l2:
        settings["l2"] = repr(l2)
    if factors is not None:
        settings["factors"] = printable(repr(factors))
    if rule is not None:
        recorder.update(rule)
        settings["optimizer"] = printable(repr(rule))
    if recorder.checked:
        settings["step"] = f"{step:g} for the central differences, which are in float64; relative for numbers above 1"
    return recorder, Trace(
        tuple(recorder.steps),
        MappingProxyType(recorder.values),
        tuple(op._replace(name=printable(op.name)) for op in recorder.program.operations),
        tuple(recorder.wires),
        value,
        net.dtype.name,
        len(data.x),
        MappingProxyType(settings),
    )


class Recorder:
    """Runs the program once and records every result."""

    def __init__(
        self, net: Network, data: Data, rule: Optimizer | None, train: bool, factors: Factors | None = None
    ) -> None:
        self.net, self.data, self.train = net, data, train
        rules = {rule.for_param(tensor.param) for tensor in net.program.tensors} | {rule} if rule is not None else set()
        self.taken: set[str] = {"l2", *(name for each in rules for name in vars(each))}  # texts and full names in use
        program = Program(net.layers, apart(net.program.operations))
        self.program = program if factors is None else program.for_training(factors)
        self.theta, self.state = net.theta.copy(), net.state.copy()
        self.workspace = Workspace(
            self.program, self.theta, self.state, len(data.x), loss=data.loss, input_gradient=True
        )
        self.batch: Batch = BatchLoader(data, self.workspace).load_all()
        self.steps: list[Step] = []
        self.values: dict[Name, Array] = {}
        self.factors: dict[str, Name] = {}  # those on the rates of single parameters
        self.checked = False
        self._name_steps()

    def _name_steps(self) -> None:
        """Name every wire between the operations, after the names and numbers of the network's own operations."""
        self.names: list[str] = []
        self.index: list[str] = []
        self.wires = [Name("x", full="x")]
        raw = []  # names of the operations as in the network
        for i, op in enumerate(self.net.program.operations):
            k, name = str(i + 1), printable(op.name)
            z, y = Name("z", k, full=f"{name}.z"), Name("y", k, full=f"{name}.y")
            for wire in (z, y)[-len(layers_of(op)) :]:
                self.wires.append(wire)
                self.names.append(name)
                self.index.append(k)
                self.taken |= self._alike(wire) | {wire.full}
                raw.append(op.name)
        self.parameters: dict[tuple[int, str], Name] = {}
        self.called: dict[Name, str] = {self.wires[0]: "x"}  # the names of parameters and input in the gradient check
        for i, op in enumerate(self.program.operations):
            for letter in (tensor.letter for tensor in (*op.params, *op.state)):
                own = self._own(letter, self.index[i], self.names[i])
                self.parameters[i, letter] = own
                self.called[own] = f"{raw[i]}.{letter}"

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
        return self._new(Name(identifier(letter), index, full=full))

    def _new(self, name: Name) -> Name:
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

    def add(self, phase: str, layer: str, left: Name, right: Expression, why: str, **more: Any) -> None:
        """Record a step, whose values are already kept."""
        values = {name: self.values[name] for name in (left, *names_in(right))}
        equation = Equation(left, right)
        self.steps.append(Step(len(self.steps) + 1, phase, layer, equation, MappingProxyType(values), why, **more))

    def parameter(self, i: int, letter: str) -> Name:
        """Return the name of a parameter, running statistic, cached value or setting of operation i."""
        own = self.parameters.get((i, letter))
        return own or Name(letter, self.index[i], full=f"{self.names[i]}.{letter}")

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
        return self.bound(formula, local, lambda name: self.parameter(i, name.letter), *sources, *settings)

    def forward(self, seed: int) -> None:
        self.keep(self.wires[0], self.batch.x)
        self.workspace.at(seed, 0)
        for i, p in enumerate(self.workspace.p):
            for letter, view in p:
                self.keep(self.parameter(i, letter), view)
        with np.errstate(all="ignore"):
            for i, (op, p, x, c, y) in enumerate(self.batch.bound()):
                op.layer.forward(p, x, c, y, train=self.train)
                self._forward_step(i, p, c, y)

    def _forward_step(self, i: int, p: Any, c: Any, y: Array) -> None:
        op, rows = self.program.operations[i], len(self.data.x)
        for line in formulas.forward(op.layer, train=self.train, rows=rows * op.copies_in):
            kind, dot, letter = line.result.partition(".")
            if not dot:
                left, value = self.wires[i + 1], y
            elif kind == "c":
                left, value = self.parameter(i, letter), getattr(c, letter)
            else:
                left, value = replace(self.parameter(i, letter), new=True), getattr(p, letter)
            right = self.of_operation(i, line.formula, c)
            self.keep(left, value)
            self.add("forward", self.names[i], left, right, line.why)

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
            self.add("loss", "loss", left, right, line.why)
            if kind == "c" or short == "p":
                local[short] = left
        if l2:
            value = self._add_l2_value(value, l2)
        return float(value)

    def _add_l2_value(self, value: Any, l2: float) -> Any:
        batch, rate = self.batch, self.keep(Name("l2", full="l2"), l2)
        right: Expression = Name("E", full="E")
        decaying = [
            (self.parameter(i, letter), param.decay_factor) for i, letter, param in self._tensors() if param.decays
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
        self.add("loss", "loss", left, right, "The L2 term is l2 / 2 times the sum of the squares of all weights.")
        return value

    def _tensors(self) -> Iterator[tuple[int, str, Param]]:
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
            self.factors[full] = self.keep(self._new(Name(kind, name.text, full=full)), value)
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
        for i, letter, param in reversed(list(self._tensors())):
            if param.decays:
                name = self.parameter(i, letter)
                pull = self.times(rate, "decay_factor", name, param.decay_factor)
                left = self.keep(name.gradient("L"), getattr(self.workspace.g[i], letter))
                why = "The derivative of l2 / 2 times the square of a weight is l2 times the weight."
                self.add("backward", self.names[i], left, name.gradient("E") + pull * name, why)

    def _backward_step(self, i: int, op: Operation, g: Any, dx: Array | None, l2: bool) -> None:
        decaying = {tensor.letter for tensor in op.params if tensor.param.decays}
        for line in formulas.backward(op.layer, train=self.train):
            _, dot, letter = line.result.partition(".")
            if dot:
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
                    why = f"{line.why} {PAST}" if self.program.operations[end].layer.skips else why
            self.keep(left, value)
            self.add("backward", self.names[i], left, right, why)

    def check(self, subject: Any, size: float) -> None:
        """Record the central differences for every tensor; for a large one, only for some of its entries."""
        self.checked = True
        tolerance = TOLERANCE[subject.dtype]
        half = self.keep(Name("h", full="h"), np.float64(size))
        layers = [(self.names[i], self.parameter(i, letter)) for i, letter, _ in self._tensors()]
        for layer, name in [*layers, ("x", self.wires[0])]:
            called = self.called[name]
            array = subject.arrays[called]
            chosen = np.arange(array.size)
            if array.size > ALL:
                chosen = np.unique(np.linspace(0, array.size - 1, SOME).round().astype(int))
            moves = np.isfinite(array) & ~subject.still(called)  # NaN, infinity and codes cannot be moved
            chosen = chosen[moves.ravel()[chosen]]
            if not len(chosen):
                continue
            above, below, way, slope = (np.full(array.shape, math.nan) for _ in range(4))
            entries = tuple(tuple(map(int, e)) for e in zip(*np.unravel_index(chosen, array.shape), strict=True))
            with np.errstate(all="ignore"):
                for entry in entries:
                    distance = subject.step_at(called, entry, size)
                    above[entry], below[entry], way[entry] = subject.sides(array, entry, distance)
                    if way[entry] == 0:
                        raise ConfigError(
                            f"step = {size:g} is too small: it does not move {name.text}, {array[entry]:g}"
                        )
                    slope[entry] = (above[entry] - below[entry]) / way[entry]
                report = subject.tensor(called, FIRST_STEP, tolerance, chosen)
            label, full = name.text, name.full
            left = self.keep(self._new(Name("slope", label, full=f"{full}:slope")), slope)
            right = self.keep(Name("L", "right", full=f"{full}:right"), above)
            other = self.keep(Name("L", "left", full=f"{full}:left"), below)
            step = half
            if called in subject.units or (np.abs(array) > 1).any():  # the step is relative there
                step = self.keep(self._new(Name("h", label, full=f"{full}:h")), way / 2)
            formula = (right - other) / (2 * step)
            self.add("check", layer, left, formula, verdict(report, label), entries=entries, report=report)

    def update(self, rule: Optimizer) -> None:
        """Record the first step of an optimizer, whose state starts at zero."""
        theta, gradient = self.theta.copy(), self.workspace.gradient
        slots = new_slots(rule, self.program, theta.dtype)
        notes: list[dict[str, Array]] = []
        with np.errstate(all="ignore"):
            for run, *given, c, decays in updates(rule, self.program, theta, gradient, slots):
                seen: dict[str, Array] = {}
                c.note = _note_into(seen)
                notes.append(seen)
                run(*given, c, lr=rule.lr, step=1, decays=decays)
        noted = iter(notes)  # of a rule of whole parameters, there is one for each that learns
        self.keep(Name("step", full="step"), np.int64(1))
        remembered = iter(slots_of(rule, self.program, slots))
        for i, op in enumerate(self.program.operations):
            for tensor in op.params:
                seen = next(noted) if rule.sees_tensors and tensor.param.lr_factor else {}
                name = self.parameter(i, tensor.letter)
                self._updated(rule, name, tensor.param, tensor.of(theta), next(remembered), seen)

    def _updated(
        self, whole: Optimizer, name: Name, param: Param, theta: Array, slots: Mapping[str, Array],
        seen: Mapping[str, Array],
    ) -> None:  # fmt: skip
        rule = whole.for_param(param)
        local: dict[str, Expression] = {}
        made, new = {"theta": replace(name, new=True)}, {"theta": theta}
        for slot, value in slots.items():
            known = self._new(Name(identifier(slot), name.text, full=f"{name.full}:{printable(slot)}"))
            local[slot] = self.keep(known, np.zeros_like(value))
            local[f"{slot}_new"] = made[f"s.{slot}"] = replace(known, new=True)
            new[f"s.{slot}"] = value
        for note, value in seen.items():  # what the optimizer has computed on its way
            known = self._new(Name(note, name.text, full=f"{name.full}:{note}"))
            local[note] = made[f"c.{note}"] = self.keep(known, value)
            new[f"c.{note}"] = value
        local |= {"theta": name, "g": name.gradient("L"), "step": Name("step", full="step")}
        said = printable(rule.name)

        def called(name: Name) -> Name:
            full = f"{said}.{name.text}"
            if rule is not whole and hasattr(whole, name.text):  # both have a learning rate
                return Name(name.text, said, full=full)
            return replace(name, full=full)

        lines = formulas.update(rule, decays=param.decays and rule.decays, slots=tuple(slots), shape=param.shape)
        if not all(line.result in made for line in lines):
            lines = formulas.unknown_update(rule, tuple(slots))
        if param.lr_factor == 0:
            lines = [Line("theta", Name("theta"), "Its learning-rate factor is 0: it stays as it is.")]
        else:
            rates = [("lr", "lr_factor", param.lr_factor), ("weight_decay", "decay_factor", param.decay_factor)]
            for letter, kind, factor in rates[: 1 + (param.decays and rule.decays)]:
                if factor != 1:
                    local[letter] = self.times(self.bound(Name(letter), {}, called, rule), kind, name, factor)
        for line in lines:
            right = self.bound(line.formula, local, called, rule)
            self.keep(made[line.result], new[line.result])
            self.add("update", said, made[line.result], right, line.why)


def _note_into(seen: dict[str, Array]) -> Callable[..., None]:
    """Return a function that keeps copies of what an optimizer has computed on its way, of a stack one by one."""

    def note(name: str, value: Any, *, stacked: bool = False) -> None:
        new = np.array([value] if stacked else value)
        seen[name] = np.concatenate([seen[name], new]) if name in seen else new

    return note


def verdict(report: TensorReport, label: str) -> str:
    """Return a sentence that compares a gradient with the central differences."""
    size = math.prod(report.shape)
    some = f" ({report.checked:,} of {size:,} entries were compared)" if report.checked < size else ""
    if report.verdict == "unresolved":
        said = f"Unresolved: dL/d{label} and the differences are smaller than their rounding errors{some}."
    elif report.ok:
        near = f"{abs(report.error):.1g} of its largest entry"
        said = f"dL/d{label} agrees within {near}, compared at a step of {FIRST_STEP:.1g}{some}."
    else:
        said = f"dL/d{label} DISAGREES: it is {report.gradient:.6g}, not {report.difference:.6g}{some}. {report.hint}"
    if report.kinks:
        said += f" {len(report.kinks)} of the entries lie on a kink, where there is no derivative to compare."
    return said.strip()
