"""The slots of an optimizer, and the calls that make a step, with views of the vectors of a run."""

import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.base import Optimizer
from fullyconnected.core.arrays import Array, Cache, Shape, Views, aligned
from fullyconnected.core.contracts import check_shapes, is_foreign
from fullyconnected.program.description import Tensor
from fullyconnected.program.guard import WatchedRule
from fullyconnected.program.program import PIECE, Program

__all__ = ["Rules", "Update", "new_slots", "slots_of", "updates"]


class Update(NamedTuple):
    """One call of a step: ``run(theta, g, s, c, lr=lr, step=step, decays=decays)``."""

    run: Callable[..., None]
    theta: Array
    g: Array
    s: Any
    c: Any
    decays: bool


class Rules:
    """The calls of an optimizer, and of those that have some of its parameters, one for each factor on weight decay.

    With ``scheduled``, :meth:`times` multiplies all of these factors by another, for the steps that follow. With
    ``watched``, a user's own rule is watched until it has changed something.
    """

    def __init__(self, rule: Optimizer, *, scheduled: bool = False, watched: bool = True) -> None:
        self.rule, self.scheduled, self.watched, self.factor = rule, scheduled, watched, 1.0
        self.calls: dict[tuple[int, float], Callable[..., None]] = {}
        self.rules: dict[int, Optimizer] = {}

    def call(self, rule: Optimizer, factor: float) -> Callable[..., None]:
        """Return the call of an optimizer whose weight decay has this factor."""
        key = id(rule), factor
        self.rules[id(rule)] = rule
        if key not in self.calls:
            found = self._of(*key)
            self.calls[key] = WatchedRule(found) if self.watched and is_foreign(found) else _method(found)
        if not self.scheduled:
            return self.calls[key]

        def run(theta: Array, g: Array, s: Any, c: Any, **numbers: Any) -> None:
            self.calls[key](theta, g, s, c, **numbers)

        return run

    def times(self, factor: Any) -> None:
        """Multiply each factor on the weight decay by this one, in place of the last."""
        if isinstance(factor, float) and isinstance(self.factor, float) and factor == self.factor:
            return
        self.factor = factor
        for key, call in self.calls.items():
            rule = self._of(*key)
            if isinstance(call, WatchedRule):
                call.follow(rule)
            else:
                self.calls[key] = _method(rule)

    def _of(self, rule: int, factor: float) -> Optimizer:
        return self.found(self.rules[rule], factor * self.factor)

    def found(self, rule: Optimizer, factor: Any) -> Optimizer:
        """Return an optimizer with its weight decay times ``factor``."""
        return rule if factor == 1 or not rule.decays else rule.times_decay(factor)


def _method(rule: Optimizer) -> Callable[..., None]:
    return rule.update_tensor if rule.sees_tensors else rule.update


def new_slots(rule: Optimizer, program: Program, dtype: np.dtype[Any]) -> dict[str, Array]:
    """Return the slots before the first step: flat vectors of zeros by name, one parameter after the other.

    The slots of an optimizer that treats each entry separately are vectors like theta.
    """
    sizes: dict[str, int] = {}
    for tensor in program.tensors:
        for name, shape in _shapes(rule, tensor, "slot_shapes").items():
            sizes[name] = sizes.get(name, 0) + math.prod(shape)
    return {name: aligned(size, dtype, 0.0) for name, size in sizes.items()}


def slots_of(rule: Optimizer, program: Program, slots: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Return the slots of each parameter by name: views of the flat vectors, in the shapes that the optimizer gives."""
    found, at = [], dict.fromkeys(slots, 0)
    for tensor in program.tensors:
        views = {}
        for name, shape in _shapes(rule, tensor, "slot_shapes").items():
            start, at[name] = at[name], at[name] + math.prod(shape)
            views[name] = slots[name][start : at[name]].reshape(shape)
        found.append(views)
    return found


def updates(
    rule: Optimizer | Rules,
    program: Program,
    theta: Array,
    gradient: Array,
    slots: Mapping[str, Array],
    xp: Any = np,
    *,
    piece: int = PIECE,
) -> list[Update]:
    """Return the calls that make a step, with their views; a parameter with a learning-rate factor of 0 has none.

    A rule that works entry by entry is called for at most ``piece`` entries at a time.
    """
    rules = rule if isinstance(rule, Rules) else Rules(rule)
    rule = rules.rule
    made: list[Update] = []
    if not rule.sees_tensors:
        named = _namespace_for(rule)
        scratch = {name: xp.empty(min(piece, theta.size), theta.dtype) for name in rule.scratch}
        for part, decays, factor, decay_factor in program.pieces(by_decay=rule.decays, size=piece):
            s = named({name: slot[part] for name, slot in slots.items()})
            c = SimpleNamespace(xp=xp, **{name: a[: part.stop - part.start] for name, a in scratch.items()})
            run = rules.call(rule, decay_factor if rule.decays else 1.0)
            made += _scaled(Update(run, theta[part], gradient[part], s, c, decays), factor)
        return made
    shapes = [_shapes(rule, tensor, "scratch_shapes") for tensor in program.tensors]
    sizes = {name: max(math.prod(each.get(name, (0,))) for each in shapes) for each in shapes for name in each}
    memory = {name: xp.empty(size, theta.dtype) for name, size in sizes.items()}
    for tensor, views, wanted in zip(program.tensors, slots_of(rule, program, slots), shapes, strict=True):
        own, param = rule.for_param(tensor.param), tensor.param
        run = rules.call(own, param.decay_factor if own.decays and param.decays else 1.0)
        buffers = {name: memory[name][: math.prod(shape)].reshape(shape) for name, shape in wanted.items()}
        w, g = tensor.of(theta), tensor.of(gradient)
        if own.sees_tensors:
            run = _for_tensor(run, tensor)
        else:  # it treats each entry separately
            w, g, views, buffers = w.reshape(-1), g.reshape(-1), _flat(views), _flat(buffers)
        update = Update(run, w, g, _namespace_for(own)(views), SimpleNamespace(xp=xp, **buffers), param.decays)
        made += _scaled(update, param.lr_factor * (own.lr / rule.lr))
    return made


def _shapes(rule: Optimizer, tensor: Tensor, what: str) -> Mapping[str, Shape]:
    """Return the shapes of slots or scratch for a parameter."""
    rule = rule.for_param(tensor.param)
    if not rule.sees_tensors:
        return dict.fromkeys(rule.slots if what == "slot_shapes" else rule.scratch, tensor.shape)
    shapes: Mapping[str, Shape] = getattr(rule, what)(tensor.param, tensor.name)
    if is_foreign(rule):
        check_shapes(type(rule).__name__, shapes, what, taken=("xp",) * (what == "scratch_shapes"))
    return shapes


def _namespace_for(rule: Optimizer) -> Callable[[Mapping[str, Array]], Any]:
    """Return what holds the slots of a rule: in a user's code, ``s.v = ...`` copies into the slot."""
    return Views if is_foreign(rule) else _namespace


def _flat(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: a.reshape(-1) for name, a in arrays.items()}


def _namespace(arrays: Mapping[str, Array]) -> SimpleNamespace:
    return SimpleNamespace(**arrays)


def _for_tensor(update: Callable[..., None], tensor: Tensor) -> Callable[..., None]:
    """Return a call of ``update_tensor`` with the description and the name of a parameter."""

    def run(theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        update(theta, g, s, c, lr=lr, step=step, param=tensor.param, name=tensor.name)

    return run


def _scaled(update: Update, factor: float) -> list[Update]:
    """Return a list of an update with its learning rate times ``factor``; an empty list for a factor of 0."""
    if factor == 1:
        return [update]
    made = update.run

    def run(theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        made(theta, g, s, c, lr=lr * factor, step=step, decays=decays)

    return [update._replace(run=run)] if factor else []
