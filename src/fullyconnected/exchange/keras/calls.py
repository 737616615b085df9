"""A functional model of Keras as the calls of its layers, each with what it reads, and the shape of a row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fullyconnected.core.arrays import Shape
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.keras.file import Weights, is_model, layers_of, name_of

__all__ = ["Call", "Calls", "Described", "Tensor", "input_shape"]

MOST = 1 << 24  # numbers in a row
READS = 1000  # arguments of a call, of which a sum has two
Described = Mapping[str, Any]
Tensor = tuple[str, int]  # the name of the layer that gives it, and which of its calls does


class Call(NamedTuple):
    """A call of a layer: what it gives, the layer, and what it reads, which is nothing for an input."""

    gives: Tensor
    layer: Described
    reads: tuple[Tensor, ...]


class Calls:
    """The calls of a functional model's layers, each after those whose results it reads.

    Attributes
    ----------
    input, output : Tensor
    calls : list of Call
    """

    def __init__(self, model: Described) -> None:
        config = model["config"] if isinstance(model["config"], Mapping) else {}
        self._layers = {name_of(layer): layer for layer in layers_of(model)}
        self.input = _only(config.get("input_layers"), "inputs")
        self.output = _only(config.get("output_layers"), "outputs")
        self.calls: list[Call] = []
        self._order()

    def _order(self) -> None:
        waiting: list[tuple[Tensor, Call | None]] = [(self.output, None)]
        begun, done = set[Tensor](), set[Tensor]()
        while waiting:
            tensor, call = waiting.pop()
            if call is not None:
                self.calls.append(call)
                done.add(tensor)
            elif tensor not in done:
                if tensor in begun:
                    raise ConfigError(f"the layer {tensor[0]!a:.80} reads what it gives itself")
                begun.add(tensor)
                call = self._call(tensor)
                waiting.append((tensor, call))
                waiting += [(each, None) for each in call.reads if each not in done]

    def _call(self, tensor: Tensor) -> Call:
        name, index = tensor
        if name not in self._layers:
            raise ConfigError(f"a layer reads what {name!a:.80} gives, and there is no such layer")
        layer = self._layers[name]
        if layer.get("class_name") == "InputLayer":
            if tensor != self.input:
                raise ConfigError(f"the model reads {name!a:.80} and {self.input[0]!a:.80}; a network has one input")
            return Call(tensor, layer, ())
        calls = layer.get("inbound_nodes")
        if not isinstance(calls, list) or not 0 <= index < len(calls):
            raise ConfigError(f"the layer {name!a:.80} has no call {index}")
        if not (reads := tuple(_inputs(calls[index], name))):
            raise ConfigError(f"the layer {name!a:.80} reads nothing")
        return Call(tensor, layer, reads)


def input_shape(model: Described, weights: Weights) -> Shape | None:
    """Return the shape of a row that a model is given, as its first layer says, or its first matrix; or None."""
    layers = layers_of(model)
    if model["class_name"] != "Sequential":
        first = Calls(model).input[0]
        layers = [layer for layer in layers if name_of(layer) == first]
    for layer in layers[:1]:
        config, held = layer["config"], weights.get(name_of(layer))
        known = [] if is_model(layer) else [config.get("batch_shape"), config.get("batch_input_shape")]
        if isinstance(built := layer.get("build_config"), Mapping):
            known.append(built.get("input_shape"))
        if isinstance(model["config"], Mapping):
            known.append(model["config"].get("build_input_shape"))
        for each in known:
            if each is not None:
                return _shape(each)
        if is_model(layer):
            return input_shape(layer, held if isinstance(held, Mapping) else {})
        if layer.get("class_name") == "Dense" and held and held[0].ndim:
            return (int(held[0].shape[0]),)
    return None


def _shape(given: Any) -> Shape:
    """Return the shape of a row from that of rows, whose number is open."""
    if not isinstance(given, list | tuple) or len(given) < 2 or not all(type(n) is int and n > 0 for n in given[1:]):
        raise ConfigError(f"the model reads rows of the shape {given!a:.80}; every axis but the first has a length")
    if math.prod(given[1:]) > MOST:
        raise ConfigError(f"the model reads rows of the shape {given!a:.80}, which are too long")
    return tuple(given[1:])


def _only(given: Any, what: str) -> Tensor:
    """Return the one input or output of a model."""
    found = given[0] if isinstance(given, list) and len(given) == 1 else given
    if not isinstance(found, list | tuple) or not found or not isinstance(found[0], str):
        n = len(given) if isinstance(given, list | dict) else 0
        raise ConfigError(f"the model has {n} {what}; a network has one")
    return _tensor(found)


def _tensor(history: Any) -> Tensor:
    if isinstance(history, list | tuple) and len(history) > 2:
        name, index, which = history[:3]
        if isinstance(name, str) and type(index) is int and which == 0:
            return name, index
    raise ConfigError(f"a layer reads {history!a:.80}, which is no output of a layer")


def _inputs(call: Any, name: str) -> Iterator[Tensor]:
    """Yield what a call of a layer reads, as Keras 3 or 2 writes it."""
    settings: list[Any] = []
    if isinstance(call, Mapping):
        waiting, seen, settings = [call.get("args", [])], 0, [call.get("kwargs", {})]
        while waiting:
            each = waiting.pop()
            if isinstance(each, list):
                if (seen := seen + len(each)) > READS:
                    raise ConfigError(f"the layer {name!a:.80} is called with more than {READS} arguments")
                waiting += reversed(each)
            elif isinstance(each, Mapping) and each.get("class_name") == "__keras_tensor__":
                held = each.get("config")
                yield _tensor(held.get("keras_history") if isinstance(held, Mapping) else held)
            else:
                raise ConfigError(f"the layer {name!a:.80} is called with {each!a:.80}, which no layer gives")
    else:  # of Keras 2, in which an operation of TensorFlow has its first operand alone, and the others by name
        if not isinstance(call, list) or not call:
            raise ConfigError(f"the layer {name!a:.80} is called with {call!a:.80}, which no layer gives")
        if len(call) > READS:
            raise ConfigError(f"the layer {name!a:.80} is called with more than {READS} arguments")
        for history in [call] if isinstance(call[0], str) else call:
            yield _tensor(history)
            settings += history[3:]
    for given in settings:
        if not isinstance(given, Mapping):
            raise ConfigError(f"the layer {name!a:.80} is called with {given!a:.80}, which are no settings")
        for key, value in given.items():
            if key == "y" and isinstance(value, list):
                yield _tensor(value)
            elif value is not None and not (key == "training" and value is False):
                raise ConfigError(
                    f"the layer {name!a:.80} is called with {key}={value!a:.80}, which has no counterpart"
                )
