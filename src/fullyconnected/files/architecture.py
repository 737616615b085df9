"""Layers and losses as JSON and back. Reading calls registered classes with plain settings, and nothing else.

A layer is ``{"layer": its name, "settings": {...}}``, and an activation and a loss are ``{"activation": ...}`` and
``{"loss": ...}`` alike; they may stand among the settings of another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any

from fullyconnected.activations import ACTIVATIONS, FunctionPair
from fullyconnected.base import ActivationFunction, Layer, Loss
from fullyconnected.core.registry import Registry
from fullyconnected.errors import ConfigError, FileFormatError, UnknownNameError
from fullyconnected.layers import LAYERS
from fullyconnected.layers.residual import chain
from fullyconnected.losses import LOSSES

__all__ = ["build_layers", "build_loss", "describe_layers", "describe_loss"]

REGISTRIES: tuple[Registry[Any], ...] = (LAYERS, ACTIVATIONS, LOSSES)
DEEPEST = 16  # things within things; further down the mere naming of what is wrong would cost time and memory


def describe_layers(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return the layers' names and settings as JSON values, or raise where a file could not hold them."""
    return [_describe(layer, DEEPEST) for layer in layers]


def describe_loss(loss: Loss | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a loss's name and settings as JSON values; of one that no file can hold, the name of its class alone."""
    if not isinstance(loss, Loss):  # none, or what an earlier file said of one that is not known here
        return None if loss is None else dict(loss)
    try:
        return _describe(loss, DEEPEST)
    except ConfigError:
        return {"unknown": type(loss).__name__}


def _describe(thing: Layer | ActivationFunction | Loss, depth: int) -> dict[str, Any]:
    kind = type(thing).__name__
    if isinstance(thing, FunctionPair):
        raise ConfigError(
            f"the activation {thing!r} is a pair of functions, and a file holds no code: make it a class of "
            f"ActivationFunction with a name and fc.register it, then the network can be saved"
        )
    registry = next(registry for registry in REGISTRIES if isinstance(thing, registry.bases))
    if registry.classes.get(thing.name) is not type(thing):
        raise ConfigError(f"{kind} is not registered, so no file could be loaded: fc.register it first")
    if vars(thing) and not is_dataclass(thing):
        raise ConfigError(f"a file would lose the settings of {kind}, {', '.join(vars(thing))}: make it a dataclass")
    if not depth:
        raise ConfigError(f"layers lie more than {DEEPEST} deep within each other, which a file cannot hold")
    names: list[str] = [f.name for f in fields(thing) if f.init] if is_dataclass(thing) else []
    settings: dict[str, Any] = {}
    for key in names:
        value = getattr(thing, key)
        if key in ("init", "bias_init") and callable(value):
            continue  # an initializer that is a function has done its work
        try:
            settings[key] = _plain(value, depth - 1)
        except TypeError as error:
            raise ConfigError(f"{key} of {kind} is {error}, which a file cannot hold; use plain values") from None
    return {registry.kind: thing.name, "settings": settings}


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, Layer | ActivationFunction):
        return _describe(value, depth)
    if isinstance(value, tuple | list):
        return [_plain(each, depth) for each in value]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):  # NumPy's numbers too
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"a {type(value).__name__}")


def build_layers(described: Any) -> tuple[Layer, ...]:
    """Return the layers that a description names, each with its width, or raise for what it does not know."""
    if not isinstance(described, list) or not described:
        raise FileFormatError("the architecture is not a list of layers")
    try:
        return chain([_build(each, DEEPEST) for each in described], None)
    except FileFormatError:
        raise
    except Exception as error:  # whatever a class of the user's own makes of settings that a file has made up
        raise FileFormatError(f"no network can be made of its layers: {error!s:.600}") from error


def build_loss(described: Any) -> Loss | Mapping[str, Any] | None:
    """Return the loss that a description names, the description itself where it is not known here, or None."""
    if described is None:
        return None
    names = [described.get(key) for key in ("loss", "unknown")] if isinstance(described, dict) else []
    if sum(isinstance(name, str) for name in names) != 1:
        raise FileFormatError(f"a loss is described by its name and its settings; found {described!r:.80}")
    if described.keys() == {"unknown"}:
        return described
    try:
        found: Loss = _build(described, DEEPEST)
    except UnknownNameError:
        return described
    except FileFormatError:
        raise
    except Exception as error:
        raise FileFormatError(f"the loss of the network cannot be made: {error!s:.600}") from error
    return found


def _build(described: Any, depth: int) -> Any:
    if isinstance(described, list):
        return tuple(_build(each, depth) for each in described)
    if not isinstance(described, dict):
        return described
    if not depth:
        raise FileFormatError(f"layers lie more than {DEEPEST} deep within each other")
    for registry in REGISTRIES:
        if described.keys() == {registry.kind, "settings"} and isinstance(described["settings"], dict):
            settings = {key: _build(value, depth - 1) for key, value in described["settings"].items()}
            return registry.build(described[registry.kind], **settings)
    raise FileFormatError(f"a layer or activation is described by its name and its settings; found {described!r:.80}")
