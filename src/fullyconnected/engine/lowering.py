"""A program lowered for the native engine, to plain names and numbers, or the reason why that engine cannot run it.

The native engine has operations of its own for the layers, activations, losses and optimizers of this library. What a
user has written, in Python, is known to the NumPy engine alone. Each table below says of the library's own classes, by
the names that they are registered under, which the engine has, and which of their settings it is given.
"""

import math
from typing import Any, NamedTuple

from fullyconnected.activations import ACTIVATIONS
from fullyconnected.base import ActivationFunction, Loss, Optimizer
from fullyconnected.core.registry import Registry
from fullyconnected.layers import Activation, Add, BatchNorm, Dense, Dropout, LayerNorm, Save
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.program import Program, Step

__all__ = [
    "LossSpec",
    "OpSpec",
    "OptimizerSpec",
    "TrainerSpec",
    "Unsupported",
    "lower",
    "lower_loss",
    "lower_optimizer",
]

KINDS = {
    Dense: "dense",
    Activation: "activation",
    Dropout: "dropout",
    LayerNorm: "layer_norm",
    BatchNorm: "batch_norm",
    Save: "save",
    Add: "add",
}


# each by the fields of its record below: the attributes that they are read from
ACTIVATIONS_HERE: dict[str, dict[str, str]] = {
    "identity": {},
    "relu": {},
    "leaky_relu": {"setting": "slope"},
    "elu": {"setting": "alpha", "scale": "scale"},
    "selu": {"setting": "alpha", "scale": "scale"},
    "gelu": {},
    "silu": {},
    "mish": {},
    "softplus": {},
    "sigmoid": {},
    "tanh": {},
    "exp": {},
    "softmax": {},
}
LOSSES_HERE: dict[str, dict[str, str]] = {
    "half_squared_error": {},
    "mean_squared_error": {},
    "absolute_error": {},
    "huber": {"setting": "delta"},
    "quantile": {"setting": "q"},
    "poisson": {},
    "hinge": {},
    "softmax_cross_entropy": {},
    "binary_cross_entropy": {},
}
OPTIMIZERS_HERE: dict[str, dict[str, str]] = {
    "sgd": {},
    "momentum": {"decay": "decay"},
    "nesterov": {"decay": "decay"},
    "rmsprop": {"decay": "decay", "epsilon": "epsilon"},
    "adam": {"beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon"},
    "adamw": {"beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon", "weight_decay": "weight_decay"},
}
# what the engine does not have of the library's own, and why
NOT_HERE = {"lbfgs": "L-BFGS takes its gradients from NumPy"}


class Unsupported(Exception):
    """The native engine has no operation for something; the message says for what."""


class OpSpec(NamedTuple):
    """One operation of a program."""

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


class LossSpec(NamedTuple):
    """A loss, and the one setting that it may have."""

    name: str
    setting: float = 0.0


class OptimizerSpec(NamedTuple):
    """An optimizer's rule and settings; without a rule, gradients are computed and nothing is moved."""

    rule: str = "none"
    decay: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    weight_decay: float = 0.0


class TrainerSpec(NamedTuple):
    """All that a trainer is told beside the arrays; the first three are the extension's own objects."""

    ops: list[Any]
    loss: Any
    optimizer: Any
    batch_size: int
    least_rows: int
    l2: float
    max_norm: float
    threads: int
    input_gradient: bool


def lower(program: Program) -> list[OpSpec]:
    """Return the operations of a program, or raise :class:`Unsupported`."""
    ops: list[OpSpec] = []
    open_blocks: list[int] = []
    for i, step in enumerate(program.steps):
        kind = KINDS.get(type(step.layer))
        if kind is None:
            raise Unsupported(f"it has no layer {type(step.layer).__name__} ({step.name})")
        if kind == "save":
            open_blocks.append(i)
        ops.append(_operation(kind, step, i, open_blocks.pop() if kind == "add" else -1))
    return ops


def _operation(kind: str, step: Step, i: int, partner: int) -> OpSpec:
    layer: Any = step.layer
    function, setting, scale = _function(step, getattr(layer, "activation", None))
    if kind == "dropout":
        setting = layer.rate
    elif kind in ("layer_norm", "batch_norm"):
        setting = layer.epsilon
    first, second = (*(math.prod(param.shape) for param in step.params.values()), 0, 0)[:2]
    return OpSpec(
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
    settings = _settings(f, ACTIVATIONS, ACTIVATIONS_HERE, f"it has no activation {f!r} ({step.name})")
    return f.name, settings.get("setting", 0.0), settings.get("scale", 1.0)


def lower_loss(loss: Loss) -> LossSpec:
    """Return a loss as the engine takes it, or raise :class:`Unsupported`."""
    return LossSpec(loss.name, **_settings(loss, LOSSES, LOSSES_HERE, f"it has no loss {type(loss).__name__}"))


def lower_optimizer(optimizer: Optimizer) -> OptimizerSpec:
    """Return an optimizer as the engine takes it, or raise :class:`Unsupported`."""
    lacking = f"it has no optimizer {type(optimizer).__name__}"
    return OptimizerSpec(optimizer.name, **_settings(optimizer, OPTIMIZERS, OPTIMIZERS_HERE, lacking))


def _settings(thing: Any, registry: Registry[Any], here: dict[str, dict[str, str]], lacking: str) -> dict[str, float]:
    """Return the settings that the engine is given of an object, or raise :class:`Unsupported`."""
    if not registry.owns(thing) or thing.name not in here:
        raise Unsupported(NOT_HERE.get(thing.name, lacking))
    return {field: getattr(thing, attribute) for field, attribute in here[thing.name].items()}
