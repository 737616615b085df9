"""The update of a step: the optimizer's own code with every result kept, and the same rows again after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from fullyconnected.base import Optimizer, Param
from fullyconnected.core.arrays import Array
from fullyconnected.core.messages import Message
from fullyconnected.core.wording import printable
from fullyconnected.engine.updates import new_slots, slots_of, updates
from fullyconnected.explanation.record import Step
from fullyconnected.explanation.running import Recorder
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.evaluation import evaluate
from fullyconnected.symbolic.expression import Expression, Name, names_in, with_names
from fullyconnected.symbolic.formulas.lines import Line
from fullyconnected.symbolic.names import identifier

__all__ = ["Memory", "again", "update"]


@dataclass(frozen=True)
class Memory:
    """What an optimizer knows before a step: its slots, how many steps it has made, and the factor on its rate."""

    slots: Mapping[str, Array]
    steps: int = 0
    lr_factor: float = 1.0


def update(recorder: Recorder, rule: Optimizer, memory: Memory | None) -> Array:
    """Record a step of an optimizer, the first if it has no memory, and return the new parameters."""
    return _Update(recorder, rule, memory).run()


class _Update:
    """One step of an optimizer."""

    def __init__(self, recorder: Recorder, rule: Optimizer, memory: Memory | None) -> None:
        self.recorder, self.rule = recorder, rule
        self.memory = memory or Memory(new_slots(rule, recorder.program, recorder.theta.dtype))

    def run(self) -> Array:
        r, rule, memory = self.recorder, self.rule, self.memory
        theta, gradient = r.theta.copy(), r.workspace.gradient
        before = list(slots_of(rule, r.program, memory.slots))
        slots = {name: slot.copy() for name, slot in memory.slots.items()}
        notes: list[dict[str, Array]] = []
        with np.errstate(all="ignore"):
            for run, *given, c, decays in updates(rule, r.program, theta, gradient, slots):
                seen: dict[str, Array] = {}
                c.note = _note_into(seen)
                notes.append(seen)
                run(*given, c, lr=rule.lr * memory.lr_factor, step=memory.steps + 1, decays=decays)
        noted = iter(notes)  # of a rule of whole parameters, there is one for each that learns
        r.keep(Name("steps", full="steps"), np.int64(memory.steps + 1))
        remembered = iter(zip(before, slots_of(rule, r.program, slots), strict=True))
        for i, op in enumerate(r.program.operations):
            for tensor in op.params:
                seen = next(noted) if rule.sees_tensors and tensor.param.lr_factor else {}
                name = r.parameter(i, tensor.letter)
                self._tensor(name, tensor.param, tensor.of(theta), *next(remembered), seen)
        return theta

    def _tensor(
        self, name: Name, param: Param, theta: Array, before: Mapping[str, Array], slots: Mapping[str, Array],
        seen: Mapping[str, Array],
    ) -> None:  # fmt: skip
        r, whole = self.recorder, self.rule
        rule = whole.for_param(param)
        local: dict[str, Expression] = {}
        made, new = {"theta": replace(name, new=True)}, {"theta": theta}
        for slot, value in slots.items():
            known = r.new(Name(identifier(slot), name.text, full=f"{name.full}:{printable(slot)}"))
            local[slot] = r.keep(known, before[slot])
            local[f"{slot}_new"] = made[f"s.{slot}"] = replace(known, new=True)
            new[f"s.{slot}"] = value
        for note, value in seen.items():  # what the optimizer has computed on its way
            known = r.new(Name(note, name.text, full=f"{name.full}:{note}"))
            local[note] = made[f"c.{note}"] = r.keep(known, value)
            new[f"c.{note}"] = value
        local |= {"theta": name, "g": name.gradient("L"), "steps": Name("steps", full="steps")}
        said = printable(rule.name)

        def called(name: Name) -> Name:
            full = f"{said}.{name.text}"
            if rule is not whole and hasattr(whole, name.text):  # both have a learning rate
                return Name(name.text, said, full=full)
            return replace(name, full=full)

        now = SimpleNamespace(lr=rule.lr * self.memory.lr_factor)
        lines = formulas.update(rule, decays=param.decays and rule.decays, slots=tuple(slots), shape=param.shape)
        if not all(line.result in made for line in lines):
            lines = formulas.unknown_update(rule, tuple(slots))
        if param.lr_factor == 0:
            lines = [Line("theta", Name("theta"), Message("Its learning-rate factor is 0: it stays as it is."))]
        else:
            rates = [("lr", "lr_factor", param.lr_factor), ("weight_decay", "decay_factor", param.decay_factor)]
            for letter, kind, factor in rates[: 1 + (param.decays and rule.decays)]:
                if factor != 1:
                    local[letter] = r.times(r.bound(Name(letter), {}, called, now, rule), kind, name, factor)
        for line in lines:
            right = r.bound(line.formula, local, called, now, rule)
            r.keep(made[line.result], new[line.result])
            r.add("update", said, made[line.result], right, line.why)


def _note_into(seen: dict[str, Array]) -> Callable[..., None]:
    """Return a function that keeps copies of what an optimizer has computed on its way, of a stack one by one."""

    def note(name: str, value: Any, *, stacked: bool = False) -> None:
        new = np.array([value] if stacked else value)
        seen[name] = np.concatenate([seen[name], new]) if name in seen else new

    return note


def again(recorder: Recorder, theta: Array, l2: float) -> tuple[list[Step], float]:
    """Run the same rows with new parameters; record the loss, and return the steps that lead to it, and its value.

    What does not depend on the parameters is not computed again, and random numbers are the same.
    """
    r = recorder
    batch = r.loaded(theta, r.net.state.copy())
    moved: dict[Name, Expression] = {
        name: replace(name, new=True) for i, letter, _ in r.tensors() for name in [r.parameter(i, letter)]
    }
    found: list[Step] = []

    def repeat(step: Step, value: Any, *, told: bool = False) -> None:
        left, right = step.equation.left, step.equation.right
        if not told and step.known and not any(name in moved for name in names_in(right)):
            return
        right = with_names(right, moved)
        moved[left] = r.keep(replace(left, new=True), evaluate(right, r.values) if value is None else value)
        if told:
            why = Message("The same rows, with the new parameters. The formula is that of step {n}.", n=step.number)
            r.add("after", step.layer, replace(left, new=True), right, why)
        else:
            why = Message("The formula of step {n}, with the new parameters.", n=step.number)
            found.append(r.step(step.number, "after", step.layer, replace(left, new=True), right, why))

    known = [(*line, step) for line, step in zip(r.lines, r.steps, strict=True) if line[1]]
    with np.errstate(all="ignore"):
        for i, (op, p, x, c, y) in enumerate(batch.bound()):
            op.layer.forward(p, x, c, y, train=r.train)
            for operation, result, step in known:
                if operation == i and not result.startswith("p."):  # running statistics do not enter the loss
                    kind, _, letter = result.partition(".")
                    repeat(step, {"c": getattr(c, letter, None), "d": None, "y": y}[kind])
        value = r.data.loss.value_and_gradient(batch.z, batch.t, batch.c, batch.dz)
        for operation, result, step in known:
            if operation >= 0 or result == "dz":
                continue
            if result == "l2":
                batch.workspace.gradient.fill(0)
                value = value + batch.workspace.add_l2(l2)
            if result in ("L", "l2"):
                repeat(step, value, told=True)
            elif result == "p":
                repeat(step, r.data.loss.predictions(batch.z))
            else:
                repeat(step, getattr(batch.c, result[2:]))
    return found, float(value)
