"""The activations of Keras: by name, as layers, and as operations of ``keras.ops``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fullyconnected.activations import ELU, LeakyReLU
from fullyconnected.base import ActivationFunction
from fullyconnected.errors import ConfigError
from fullyconnected.exchange import arriving
from fullyconnected.exchange.keras.given import Given, Made, refuse_foreign

__all__ = ["ACTIVATIONS", "function", "operation"]

FUNCTIONS: dict[str, ActivationFunction | str | None] = {
    "linear": None, "relu": "relu", "leaky_relu": LeakyReLU(0.2), "elu": "elu", "selu": "selu", "gelu": "gelu",
    "silu": "silu", "swish": "silu", "mish": "mish", "softplus": "softplus", "sigmoid": "sigmoid", "tanh": "tanh",
    "softmax": "softmax", "exponential": "exp",
}  # fmt: skip
OPERATIONS = {
    "Relu": "relu", "Selu": "selu", "Silu": "silu", "Mish": "mish", "Softplus": "softplus", "Sigmoid": "sigmoid",
    "Tanh": "tanh", "Exp": "exp",
}  # fmt: skip


def operation(given: Given) -> Made:
    """Return the part of a function of ``keras.ops``."""
    match given.kind:
        case "LeakyRelu":
            return _leaky_relu(given, 0.2)
        case "Elu":
            return _elu(given)
        case "Softmax":
            return _softmax(given)
        case "Gelu" if given.config.get("approximate", True) is False:
            return _activation(given, "gelu")
        case "Cast" if given.config.get("dtype") in ("float32", "float64"):
            return [], given.shape
        case kind if kind in OPERATIONS:
            return _activation(given, OPERATIONS[kind])
    raise ConfigError(
        f"{given.where} is the operation {given.kind!a:.80} of keras.ops, which has no counterpart here"
        + "; with approximate=False it has one" * (given.kind == "Gelu")
    )


def _leaky(given: Given, slope: float) -> ActivationFunction | str:
    return arriving.made(given.where, LeakyReLU, slope) if slope else "relu"


def _activation(given: Given, f: ActivationFunction | str | None) -> Made:
    return ([] if f is None else [arriving.activation(f, given.where)]), given.shape


def _relu(given: Given) -> Made:
    given.plain(max_value=None, threshold=0)
    return _activation(given, _leaky(given, given.number("negative_slope", 0.0)))


def _leaky_relu(given: Given, usual: float = 0.3) -> Made:
    name = "alpha" if "alpha" in given.config else "negative_slope"  # the first in Keras 2
    return _activation(given, _leaky(given, given.number(name, usual)))


def _elu(given: Given) -> Made:
    return _activation(given, arriving.made(given.where, ELU, given.number("alpha", 1.0)))


def _softmax(given: Given) -> Made:
    given.last_axis()
    return _activation(given, "softmax")


def _p_relu(given: Given) -> Made:
    n = given.units()
    (alpha,) = given.arrays("alpha")
    if alpha.shape != (n,):
        raise ConfigError(f"alpha of {given.where} has the shape {alpha.shape}; ({n},) belongs there")
    return [arriving.prelu(alpha, given.where)], given.shape


def function(given: Given) -> Made:
    """Return the part of an activation that a layer has, given by its name, or as a layer."""
    f: Any = given.config.get("activation", "linear")
    if f is None or (isinstance(f, str) and f in FUNCTIONS):
        found = None if f is None else FUNCTIONS[f]
        if found == "softmax":
            given.units()
        return _activation(given, found)
    if isinstance(f, str):
        raise ConfigError(f"{given.where} has the activation {f!a:.80}; known are {', '.join(sorted(FUNCTIONS))}")
    kind, config = (f.get("class_name"), f.get("config")) if isinstance(f, dict) else (None, None)
    if kind in ACTIVATIONS and kind != "PReLU" and isinstance(config, dict):
        refuse_foreign(f, f"the activation of {given.where}")
        return ACTIVATIONS[kind](given._replace(config=config, weights=()))
    what = f"the function {config!a:.80}" if isinstance(config, str) else f"what is no function by name: {f!a:.200}"
    raise ConfigError(f"the activation of {given.where} is {what}; code is not executed, and only Keras's own is known")


ACTIVATIONS: dict[str, Callable[[Given], Made]] = {
    "Activation": function,
    "ELU": _elu,
    "LeakyReLU": _leaky_relu,
    "PReLU": _p_relu,
    "ReLU": _relu,
    "Softmax": _softmax,
}
