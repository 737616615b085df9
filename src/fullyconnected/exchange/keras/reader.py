"""A model of Keras, live or read from a file, as a network: its layers one after the other, or as a graph of calls."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.exchange import arriving
from fullyconnected.exchange.arriving import Part
from fullyconnected.exchange.flow import Node, parts_between
from fullyconnected.exchange.keras.calls import Calls, Described, Tensor, input_shape
from fullyconnected.exchange.keras.file import Stored, Weights, is_model, layers_of, name_of
from fullyconnected.exchange.keras.given import Given, Made, is_sum, refuse_foreign
from fullyconnected.exchange.keras.layers import parts_of
from fullyconnected.exchange.vector import rows_for
from fullyconnected.network import Network

__all__ = ["Reader", "array_of", "described"]

HALF = "float16", "bfloat16"


def described(model: Any) -> Stored:
    """Return a model's description and weights."""
    kind = type(model)
    if not getattr(model, "built", True):
        raise ConfigError("the model has no weights yet: model.build((None, n)) makes them, with n columns")
    found: dict[str, Any] = {"class_name": kind.__name__, "module": kind.__module__, "name": model.name}
    refuse_foreign(found, "the model")
    if not is_model(found):
        raise ConfigError(
            f"the model is a {kind.__name__}, whose computation is code; Sequential and functional models are data"
        )
    if half := [layer for layer in model.layers if str(getattr(layer, "compute_dtype", "")) in HALF]:
        raise ConfigError(
            f"the layer {printable(half[0].name)} computes in {half[0].compute_dtype}, whose results are too coarse to "
            f"compare with: model.save('model.keras'), and give that file; its weights are read as they are"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of a lambda, which is refused
        found["config"] = _plain(model.get_config())
    return Stored(found, _weights(model))


def _plain(value: Any) -> Any:
    """Return settings as JSON has them, which a file would."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _weights(model: Any) -> Weights:
    found: dict[str, Any] = {}
    for layer in model.layers:
        nested = is_model({"class_name": type(layer).__name__}) and hasattr(layer, "layers")
        found[layer.name] = _weights(layer) if nested else [array_of(each) for each in layer.weights]
    return found


def array_of(tensor: Any) -> Array:
    """Return a tensor or a variable of any of Keras's backends as an array."""
    if hasattr(tensor, "detach"):  # as PyTorch calls it
        tensor = tensor.detach().cpu()
    return np.asarray(tensor.numpy() if hasattr(tensor, "numpy") else tensor)


class Reader:
    """A model that is read, and what is known of its rows."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.used: set[int] = set()
        self.shape: Shape = ()  # of a row as the model takes it
        self.whole = False  # whether it takes whole numbers

    def network(self, what: str) -> Network:
        """Return the network."""
        model, weights = self.stored
        refuse_foreign(model, what)
        self.shape = input_shape(model, weights) or ()
        if not self.shape:
            raise ConfigError(f"{what} does not say how many columns it reads; give it an Input")
        parts, shape = self.model(model, weights, self.shape, first=True)
        if len(shape) != 1:
            raise ConfigError(f"{what} gives rows of the shape {shape}; end it with a Flatten")
        if parts and parts[0].layer.n_in is None:
            parts[0] = parts[0]._replace(layer=parts[0].layer.with_input_width(math.prod(self.shape)))
        net = arriving.network_of(parts, what)
        if net.n_in != math.prod(self.shape):
            raise ConfigError(f"{what} says that it reads rows of the shape {self.shape}; its layers read {net.n_in}")
        return net

    def given(self, x: Array) -> Array:
        """Return rows in the shape in which the model takes them."""
        return x.reshape(-1, *self.shape)

    def rows(self, net: Network) -> Array:
        """Return rows that both may be given."""
        x = rows_for(net, unknown=False)
        return np.abs(np.round(4 * x)) if self.whole and not net.program.raw_columns else x

    def model(self, model: Described, weights: Weights, shape: Shape, *, first: bool) -> Made:
        """Return the parts of a model, and the shape of what it gives; ``first`` if nothing is computed before it."""
        if model["class_name"] != "Sequential":
            return self.functional(Calls(model), weights, shape, first=first)
        parts: list[Part] = []
        for layer in layers_of(model):
            made, shape = self.layer(layer, weights, shape, first=first and not parts)
            parts += made
        return parts, shape

    def functional(self, calls: Calls, weights: Weights, shape: Shape, *, first: bool) -> Made:
        """Return the parts of a functional model."""
        nodes: dict[str, Node[Part]] = {}
        known: dict[Tensor, tuple[Shape, bool]] = {}  # of each result, and whether nothing is computed before it
        for gives, layer, reads in calls.calls:
            before, start = known[reads[0]] if reads else (shape, first)
            parts: list[Part] = []
            where = _where(layer)
            if len(reads) < 2:
                parts, after = self.layer(layer, weights, before, first=start)
            else:
                refuse_foreign(layer, where)
                if not is_sum(layer):
                    raise ConfigError(f"{where} joins {len(reads)} results; only a sum of two is known, as x + F(x)")
                after = before
                if odd := [known[each][0] for each in reads if known[each][0] != before]:
                    raise ConfigError(f"{where} adds rows of the shapes {before} and {odd[0]}")
            known[gives] = after, start and not parts and len(reads) < 2
            if reads:
                nodes[_key(gives)] = Node(tuple(parts), tuple(map(_key, reads)), where)
        found = parts_between(nodes, _key(calls.input), _key(calls.output), arriving.residual)
        return found, known[calls.output][0]

    def layer(self, layer: Described, weights: Weights, shape: Shape, *, first: bool) -> Made:
        """Return the parts of a layer, or of a model in its place."""
        where, held = _where(layer), weights.get(name_of(layer), [])
        refuse_foreign(layer, where)
        config: Any = layer.get("config")
        if not isinstance(config, Mapping) and not is_model(layer):
            raise ConfigError(f"{where} has no settings")
        if layer["class_name"] == "InputLayer":
            self.whole |= str(layer["config"].get("dtype")).startswith(("int", "uint", "bool"))
            return [], shape
        if (held or is_model(layer)) and id(layer) in self.used:
            raise ConfigError(f"{where} is called twice; here the layers of a network have their own weights each")
        self.used.add(id(layer))
        if is_model(layer):
            return self.model(layer, held if isinstance(held, Mapping) else {}, shape, first=first)
        return parts_of(Given(layer["class_name"], config, held, shape, where, first), layer.get("module"))


def _where(layer: Described) -> str:
    return f"the layer {printable(name_of(layer))} ({printable(str(layer.get('class_name')))})"


def _key(tensor: Tensor) -> str:
    """Return a name of what a call of a layer gives."""
    name, index = tensor
    return f"{name}, call {index}" if index else name
