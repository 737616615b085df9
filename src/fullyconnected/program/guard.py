"""Guards around a user's own code: arrays that it must not write are read-only, and common mistakes are explained.

The library's own layers, activations, losses and optimizers run without them.
"""

import dis
from collections.abc import Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from fullyconnected.activations import FunctionPair
from fullyconnected.base import ActivationFunction, Layer, Optimizer
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Views
from fullyconnected.core.contracts import guarded, is_foreign, read_only
from fullyconnected.errors import ConfigError

__all__ = ["WatchedRule", "forward_and_backward", "parameters"]

TRIALS = 50  # updates after which an optimizer that first accumulates gradients has changed theta


class GuardedActivation(ActivationFunction):
    """A user's own activation, which gets its inputs read-only."""

    name = "guarded"

    def __init__(self, f: ActivationFunction) -> None:
        self.f, self.needs_input = f, f.needs_input  # type: ignore[misc]
        what = type(f).__name__ if not isinstance(f, FunctionPair) else f"the activation {f!a}"
        self.compute = guarded(f.forward, f"{what}.forward", "z, its input", "y")
        self.differentiate = guarded(f.backward, f"{what}.backward", "z and y", "dy")
        self.looked_at = False

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return self.f.cache(rows, n)

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        self.compute(read_only(z), c, y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        looks = not self.looked_at and isinstance(dy, np.ndarray)  # a look at an array on a card would wait for it
        before = dy.copy() if looks else None
        self.differentiate(read_only(z), c, read_only(y), dy)
        if before is not None:
            self.looked_at = True
            if before.any() and np.array_equal(dy, before) and assigns_anew(type(self.f).backward, 4):
                raise ConfigError(
                    f"{type(self.f).__name__}.backward does not change dy: 'dy = ...' only gives another array that "
                    f"name. It must turn dy into dL/dz in place: dy *= ..., or dy[...] = ..."
                )


def forward_and_backward(name: str, layer: Layer, *, trains: bool) -> tuple[Any, Any]:
    """Return both methods of a layer, with guards if it is a user's own."""
    if is_foreign(layer):
        what = f"{name} ({type(layer).__name__})"
        forward = guarded(layer.forward, f"forward of {what}", "x and the parameters", "y")
        return (
            # training looks for NaN itself, and raises DivergenceError
            forward if trains else looked_at_once(forward, what),
            guarded(layer.backward, f"backward of {what}", "x, y and the parameters", "g, dx and dy"),
        )
    f = getattr(layer, "activation", None)
    if f is not None and (is_foreign(f) or isinstance(f, FunctionPair)):
        layer = replace(layer, activation=GuardedActivation(f))  # type: ignore[type-var]
    return layer.forward, layer.backward


def looked_at_once(forward: Any, what: str) -> Any:
    """Return a method that raises if its first output is all NaN, as before the call, and its input is finite."""
    looked_at = False

    def run(p: Views, x: Array, c: Cache, y: Array, **settings: Any) -> None:
        nonlocal looked_at
        forward(p, x, c, y, **settings)
        if not looked_at and isinstance(y, np.ndarray):
            looked_at = True
            if y.size and np.isnan(y).all() and np.isfinite(x).all():
                raise ConfigError(f"forward of {what} writes nothing to y, or only NaN: y[...] = ..., not y = ...")

    return run


def parameters(p: Views, writable: Collection[str]) -> Views:
    """Return a layer's parameters and running statistics, read-only except for those that it may write."""
    return Views({name: a if name in writable else read_only(a) for name, a in p})


class WatchedRule:
    """A user's ``update``, watched until it has changed theta once, if it contains an assignment ``theta = ...``.

    A learning rate may be too small for the dtype, and an optimizer may accumulate gradients for some steps. But one
    that changes nothing in many steps at a learning rate of 1 has written to another array.
    """

    def __init__(self, rule: Optimizer) -> None:
        method = "update_tensor" if rule.sees_tensors else "update"
        self.what = f"{type(rule).__name__}.{method}"
        # without such an assignment, an optimizer that changes nothing does so on purpose
        self.moved = not assigns_anew(getattr(type(rule), method), 1)
        self.follow(rule)

    def follow(self, rule: Optimizer) -> None:
        """Go on with the same rule, but for its weight decay."""
        method = "update_tensor" if rule.sees_tensors else "update"
        self.update = guarded(getattr(rule, method), self.what, "what it is given", "theta and s")

    def __call__(self, theta: Array, g: Array, s: Views, c: Cache, **settings: Any) -> None:
        if self.moved:
            self.update(theta, g, s, c, **settings)
            return
        before = theta.copy()
        self.update(theta, g, s, c, **settings)
        self.moved = not np.array_equal(theta, before)
        if not self.moved and g.any() and settings["lr"]:
            self.try_it_out(theta, g, s, c, settings)

    def try_it_out(self, like: Array, g: Array, s: Views, c: Cache, settings: dict[str, Any]) -> None:
        """Raise if the optimizer changes nothing at a learning rate of 1 either."""
        theta = np.linspace(1, 2, like.size, dtype=like.dtype).reshape(like.shape)
        before, s = theta.copy(), Views({name: np.zeros_like(slot) for name, slot in s})
        scratch = SimpleNamespace(**{name: np.empty_like(a) if name != "xp" else a for name, a in vars(c).items()})
        for step in range(1, TRIALS + 1):
            self.update(theta, g.copy(), s, scratch, **{**settings, "lr": 1.0, "step": step})
            if not np.array_equal(theta, before):
                self.moved = True
                return
        raise ConfigError(
            f"{self.what} does not change theta, so that nothing would be trained. It must change "
            f"theta in place: theta -= ..., or theta[...] = ...; 'theta = ...' only gives another array that name"
        )


def assigns_anew(function: Any, place: int) -> bool:
    """Whether a function assigns to its argument at this place, counted from 0, other than in place as by ``*=``."""
    code = getattr(function, "__code__", None)
    if code is None or place >= code.co_argcount:
        return False
    name, before = code.co_varnames[place], None
    for instruction in dis.get_instructions(code):
        stored = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        in_place = before is not None and before.opname == "BINARY_OP" and before.argrepr.endswith("=")
        if instruction.opname.startswith("STORE_FAST") and name in stored and not in_place:
            return True
        before = instruction
    return False
