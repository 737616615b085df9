"""A program laid out for the native engine, as plain names and numbers, or the reason why that engine cannot run it.

The native engine has operations of its own for the layers, activations, losses and optimizers of this library. What a
user has written, in Python, is known to the NumPy engine alone.
"""

import math
from typing import Any, NamedTuple

from fullyconnected.base import ActivationFunction, Loss, Optimizer
from fullyconnected.layers import Activation, Add, BatchNorm, Dense, Dropout, LayerNorm, Save
from fullyconnected.optimizers import LBFGS
from fullyconnected.program.program import Program, Step

__all__ = ["Layout", "NotNative", "Rules", "lay_out", "lay_out_loss", "lay_out_rules"]

KINDS = {
    Dense: "dense",
    Activation: "activation",
    Dropout: "dropout",
    LayerNorm: "layer_norm",
    BatchNorm: "batch_norm",
    Save: "save",
    Add: "add",
}


class NotNative(Exception):
    """The native engine has no operation for something; the message says for what."""


class Layout(NamedTuple):
    """One operation, in the order in which ``Layout`` of native/src/engine.hpp has its fields."""

    kind: str
    function: str
    n_in: int
    n_out: int
    setting: float
    scale: float
    momentum: float
    bias: bool
    first_at: int
    first_size: int
    second_at: int
    second_size: int
    decays: bool
    state_at: int
    layer: int
    partner: int


class Rules(NamedTuple):
    """An optimizer, in the order in which ``Rules`` of native/src/engine.hpp has its fields."""

    rule: str = "none"
    decay: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    weight_decay: float = 0.0


def lay_out(program: Program) -> list[Layout]:
    """Return the operations of a program, or raise :class:`NotNative`."""
    layouts: list[Layout] = []
    open_blocks: list[int] = []
    for i, step in enumerate(program.steps):
        kind = KINDS.get(type(step.layer))
        if kind is None:
            raise NotNative(f"it has no layer {type(step.layer).__name__} ({step.name})")
        if kind == "save":
            open_blocks.append(i)
        layouts.append(_operation(kind, step, i, open_blocks.pop() if kind == "add" else -1))
    return layouts


def _operation(kind: str, step: Step, i: int, partner: int) -> Layout:
    layer: Any = step.layer
    function, setting, scale = _function(step, getattr(layer, "activation", None))
    if kind == "dropout":
        setting = layer.rate
    elif kind in ("layer_norm", "batch_norm"):
        setting = layer.epsilon
    first, second = (*(math.prod(param.shape) for param in step.params.values()), 0, 0)[:2]
    return Layout(
        kind,
        function,
        layer.n_in,
        layer.n_out,
        setting,
        scale,
        momentum=layer.momentum if kind == "batch_norm" else 0.0,
        bias=kind == "dense" and layer.bias,
        first_at=step.theta_at,
        first_size=first,
        second_at=step.theta_at + first,
        second_size=second,
        decays=any(param.decays for param in step.params.values()),
        state_at=step.state_at,
        layer=i,
        partner=partner,
    )


def _function(step: Step, f: ActivationFunction | None) -> tuple[str, float, float]:
    """Return an activation's name, its setting, and the scale that SELU has on both branches."""
    if f is None:
        return "identity", 0.0, 1.0
    if not _ours(f, "activations") or f.name == "function pair":
        raise NotNative(f"it has no activation {f!r} ({step.name})")
    setting = getattr(f, "slope", getattr(f, "alpha", 0.0))
    return f.name, setting, getattr(f, "scale", 1.0)


def lay_out_loss(loss: Loss) -> tuple[str, float]:
    """Return a loss's name and its setting, or raise :class:`NotNative`."""
    if not _ours(loss, "losses"):
        raise NotNative(f"it has no loss {type(loss).__name__}")
    return loss.name, getattr(loss, "delta", getattr(loss, "q", 0.0))


def lay_out_rules(optimizer: Optimizer) -> Rules:
    """Return an optimizer's rule and settings, or raise :class:`NotNative`."""
    if isinstance(optimizer, LBFGS):
        raise NotNative("L-BFGS takes its gradients from NumPy")
    if not _ours(optimizer, "optimizers"):
        raise NotNative(f"it has no optimizer {type(optimizer).__name__}")
    return Rules(optimizer.name, *(getattr(optimizer, name, 0.0) for name in Rules._fields[1:]))


def _ours(thing: Any, module: str) -> bool:
    """Whether a class is this library's own; a subclass of the user's may do something else."""
    return type(thing).__module__ == f"fullyconnected.{module}"
