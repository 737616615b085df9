"""Layers and losses as plain values, which JSON can hold, and back. Reading only calls registered classes with them.

A layer is ``{"layer": its name, "settings": {...}}``. Activations and losses are described in the same way, with
the key ``"activation"`` or ``"loss"``, and can be among the settings of a layer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite
from numbers import Integral, Real
from typing import Any

from fullyconnected.activations import ACTIVATIONS, FunctionPair
from fullyconnected.base import ActivationFunction, Layer, Loss
from fullyconnected.core.registry import Registry
from fullyconnected.core.settings import untold
from fullyconnected.errors import ConfigError, FileFormatError, UnknownNameError
from fullyconnected.layers import LAYERS
from fullyconnected.layers.residual import chain
from fullyconnected.losses import LOSSES

__all__ = ["build_layers", "build_loss", "describe_layers", "describe_loss", "settings_of"]

REGISTRIES: tuple[Registry[Any], ...] = (LAYERS, ACTIVATIONS, LOSSES)
DEEPEST = 16  # levels of nesting; error messages about deeper ones would cost time and memory


def describe_layers(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return the layers' names and settings as JSON values, or raise if a file cannot hold them."""
    return [_describe(layer, DEEPEST) for layer in layers]


def describe_loss(loss: Loss | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a loss's name and settings as JSON values, or its class's name alone if a file cannot hold it."""
    if not isinstance(loss, Loss):  # no loss, or the description of one that is not registered
        return None if loss is None else dict(loss)
    try:
        return _describe(loss, DEEPEST)
    except ConfigError:
        return {"unknown": type(loss).__name__}


def _describe(thing: Layer | ActivationFunction | Loss, depth: int) -> dict[str, Any]:
    kind = type(thing).__name__
    if isinstance(thing, FunctionPair):
        raise ConfigError(
            f"the activation {thing!r} is a pair of functions, and a file holds no code: to save the network, write a "
            f"subclass of ActivationFunction with a name, and fc.register it"
        )
    registry = next(registry for registry in REGISTRIES if isinstance(thing, registry.bases))
    if registry.classes.get(thing.name) is not type(thing):
        raise ConfigError(f"{kind} is not registered, so a file with it could not be loaded: fc.register it first")
    return {registry.kind: thing.name, "settings": settings_of(thing, depth)}


def settings_of(thing: Any, depth: int = DEEPEST) -> dict[str, Any]:
    """Return the settings of a layer, loss and the like as plain values, or raise if a file cannot hold them."""
    kind = type(thing).__name__
    names: list[str] = [f.name for f in fields(thing) if f.init] if is_dataclass(thing) else []
    made_by = next(cls for cls in type(thing).__mro__ if "__init__" in vars(cls))
    if "__dataclass_fields__" not in vars(made_by) and (lost := [name for name in vars(thing) if name not in names]):
        raise ConfigError(f"a file would lose the settings of {kind}, {', '.join(lost)}: make it a dataclass")
    if not depth:
        raise ConfigError(f"layers are nested more than {DEEPEST} levels deep, which a file cannot hold")
    settings: dict[str, Any] = {}
    for key in names:
        value = getattr(thing, key)
        if key in ("init", "bias_init", "scale_init") and callable(value):
            continue  # a function that has set the initial values, which a file need not hold
        if untold(type(thing), key, value):
            continue  # earlier versions do not know it
        try:
            settings[key] = _plain(value, depth - 1)
        except (TypeError, OverflowError) as error:
            raise ConfigError(f"{key} of {kind} is {error}, which a file cannot hold; use plain values") from None
    return settings


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, Layer | ActivationFunction):
        return _describe(value, depth)
    if isinstance(value, tuple | list):
        return [_plain(each, depth) for each in value]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):  # also NumPy's numbers
        return int(value)
    if isinstance(value, Real) and isfinite(value):
        return float(value)
    raise TypeError(f"{value!r:.80}" if isinstance(value, Real) else f"a {type(value).__name__}")


def build_layers(described: Any) -> tuple[Layer, ...]:
    """Return the layers of a description, with all widths set; raise for anything that is unknown or does not fit."""
    if not isinstance(described, list) or not described:
        raise FileFormatError("the architecture is not a list of layers")
    try:
        return chain([_build(each, DEEPEST) for each in described], None)
    except FileFormatError:
        raise
    except Exception as error:  # a user's class may raise anything for settings from a file
        raise FileFormatError(f"its layers do not form a network: {error!s:.600}") from error


def build_loss(described: Any) -> Loss | Mapping[str, Any] | None:
    """Return the loss of a description, the description itself if the loss is not registered, or None.

    A class may raise anything for settings from a file.
    """
    if described is None:
        return None
    names = [described.get(key) for key in ("loss", "unknown")] if isinstance(described, dict) else []
    if sum(isinstance(name, str) for name in names) != 1:
        raise FileFormatError(f"a loss is described by its name and its settings; found {described!r:.80}")
    if described.keys() == {"unknown"}:
        return described
    try:
        return _build(described, DEEPEST)
    except UnknownNameError:
        return described


def _build(described: Any, depth: int) -> Any:
    if isinstance(described, list):
        return tuple(_build(each, depth) for each in described)
    if not isinstance(described, dict):
        return described
    if not depth:
        raise FileFormatError(f"layers are nested more than {DEEPEST} levels deep")
    for registry in REGISTRIES:
        if described.keys() == {registry.kind, "settings"} and isinstance(described["settings"], dict):
            settings = {key: _build(value, depth - 1) for key, value in described["settings"].items()}
            return registry.build(described[registry.kind], **settings)
    raise FileFormatError(f"a layer or activation is described by its name and its settings; found {described!r:.80}")
