"""Code of a user's own while it runs: what it must not write is read-only, and what it forgets is found out.

The library's own layers, activations, losses and rules are run as they are.
"""

import dis
from collections.abc import Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from fullyconnected.activations import FunctionPair
from fullyconnected.base import ActivationFunction, Layer, Loss, Optimizer
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Views
from fullyconnected.core.contracts import guarded, is_foreign, read_only
from fullyconnected.errors import ConfigError

__all__ = ["WatchedRule", "forward_and_backward", "parameters", "value_and_gradient"]

TRIALS = 50  # updates after which a rule that gathers gradients first has moved


class GuardedActivation(ActivationFunction):
    """An activation of a user's own, which is handed its inputs read-only."""

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
        before = None if self.looked_at else dy.copy()
        self.differentiate(read_only(z), c, read_only(y), dy)
        if before is not None:
            self.looked_at = True
            if before.any() and np.array_equal(dy, before) and assigns_anew(type(self.f).backward, 4):
                raise ConfigError(
                    f"{type(self.f).__name__}.backward leaves dy as it is: 'dy = ...' only gives another array that "
                    f"name. It turns dy into dL/dz in place: dy *= ..., or dy[...] = ..."
                )


def forward_and_backward(name: str, layer: Layer, *, trains: bool) -> tuple[Any, Any]:
    """Return both methods of a layer as they are to be run; of the library's own, the methods themselves."""
    if is_foreign(layer):
        what = f"{name} ({type(layer).__name__})"
        forward = guarded(layer.forward, f"forward of {what}", "x and the parameters", "y")
        return (
            # a run that trains looks for NaN itself, and says so as a divergence
            forward if trains else looked_at_once(forward, what),
            guarded(layer.backward, f"backward of {what}", "x, y and the parameters", "g, dx and dy"),
        )
    f = getattr(layer, "activation", None)
    if f is not None and (is_foreign(f) or isinstance(f, FunctionPair)):
        layer = replace(layer, activation=GuardedActivation(f))  # type: ignore[type-var]
    return layer.forward, layer.backward


def looked_at_once(forward: Any, what: str) -> Any:
    """Return a method that raises where its first output is NaN alone, as it was born, and its input is finite."""
    looked_at = False

    def run(p: Views, x: Array, c: Cache, y: Array, **settings: Any) -> None:
        nonlocal looked_at
        forward(p, x, c, y, **settings)
        if not looked_at:
            looked_at = True
            if y.size and np.isnan(y).all() and np.isfinite(x).all():
                raise ConfigError(f"forward of {what} writes nothing to y, or NaN alone: y[...] = ..., not y = ...")

    return run


def parameters(p: Views, writable: Collection[str]) -> Views:
    """Return a layer's parameters and running statistics, read-only but for those that it may write to."""
    return Views({name: a if name in writable else read_only(a) for name, a in p})


def value_and_gradient(loss: Loss) -> Any:
    """Return a loss's method ``value_and_gradient`` as it is to be run."""
    if not is_foreign(loss):
        return loss.value_and_gradient
    run = guarded(loss.value_and_gradient, f"the loss {type(loss).__name__}", "z and t", "c.e and dz")
    return lambda z, t, c, dz: run(read_only(z), read_only(t), c, dz)


class WatchedRule:
    """An optimizer's ``update``, watched until it has moved the parameters once, if it gives their name to others.

    A rate may be too small for the dtype, and a rule may gather gradients for some steps. A rule that moves nothing at
    a rate of 1, however often it is asked, has written to something else.
    """

    def __init__(self, rule: Optimizer) -> None:
        method = "update_tensor" if rule.sees_tensors else "update"
        self.what = f"{type(rule).__name__}.{method}"
        self.moved = not assigns_anew(getattr(type(rule), method), 1)  # a rule that means to move nothing is let alone
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
        """Raise where the rule moves nothing at a rate of 1 either."""
        theta = np.linspace(1, 2, like.size, dtype=like.dtype).reshape(like.shape)
        before, s = theta.copy(), Views({name: np.zeros_like(slot) for name, slot in s})
        scratch = SimpleNamespace(**{name: np.empty_like(a) if name != "xp" else a for name, a in vars(c).items()})
        for step in range(1, TRIALS + 1):
            self.update(theta, g.copy(), s, scratch, **{**settings, "lr": 1.0, "step": step})
            if not np.array_equal(theta, before):
                self.moved = True
                return
        raise ConfigError(
            f"{self.what} leaves theta as it is, so that nothing would be trained. It moves "
            f"theta in place: theta -= ..., or theta[...] = ...; 'theta = ...' only gives another array that name"
        )


def assigns_anew(function: Any, place: int) -> bool:
    """Whether a function gives the argument at this place, counted from 0, to another object: not ``*=``."""
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
