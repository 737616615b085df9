"""The network of an estimator: its layers, and initial weights drawn as scikit-learn draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.layers import Activation, BatchNorm, Dense, Dropout, LayerNorm, Residual
from fullyconnected.network import Network

__all__ = ["Weights", "build", "dense", "draw", "hidden_sizes", "one_for_each"]


def hidden_sizes(given: Any) -> list[int]:
    """Return ``hidden_layer_sizes`` as a list, or raise for sizes below 1."""
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if any(isinstance(size, Real) and size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) if isinstance(size, Integral) else size for size in sizes]


def one_for_each(name: str, given: Any, n: int) -> list[Any]:
    """Return a setting for each of n hidden layers, given one for all or a list of them."""
    if not isinstance(given, list | tuple):
        return [given] * n
    if len(given) != n:
        raise ValueError(f"{name} has one entry for each of the {n} hidden layers, or is one for all; got {given!r}.")
    return list(given)


def build(
    n_in: int,
    n_out: int,
    dtype: Any,
    *,
    hidden_layer_sizes: Sequence[int],
    activation: Any,
    dropout: Any = 0.0,
    batch_norm: bool = False,
    layer_norm: bool = False,
    residual: bool = False,
    output_activation: Any = None,
) -> Network:
    """Return a network of hidden layers and a linear or activated output layer.

    A hidden layer is a product, then a norm if asked, then its activation, then dropout; with ``residual``, a layer
    that keeps the width is a block that its input skips.
    """
    layers: list[Any] = []
    width, sizes = n_in, hidden_layer_sizes
    functions = one_for_each("activation", activation, len(sizes))
    for size, function, rate in zip(sizes, functions, one_for_each("dropout", dropout, len(sizes)), strict=True):
        function = named(function)
        norms = [BatchNorm()] * batch_norm + [LayerNorm()] * layer_norm
        if norms and function is not None:
            layer: list[Any] = [Dense(width, size), *norms, Activation(function)]
        else:
            layer = [Dense(width, size, function), *norms]
        if rate:
            layer.append(Dropout(rate))
        layers += [Residual(layer)] if residual and width == size else layer
        width = size
    return Network([*layers, Dense(width, n_out, named(output_activation))], dtype=dtype, seed=0)


def named(activation: Any) -> Any:
    """Return an activation by the library's name for it: scikit-learn says logistic and identity."""
    if not isinstance(activation, str):
        return activation
    return {"identity": None, "logistic": "sigmoid"}.get(activation, activation)


def dense(net: Network) -> Iterator[tuple[Array, Array]]:
    """Yield W and b of each dense layer, in order: views of the network's parameters."""
    for op in net.program.operations:
        if op.kind == "dense":
            W, b = (tensor.of(net.theta) for tensor in op.params)
            yield W, b


def draw(net: Network, activations: Sequence[Any], random: np.random.RandomState) -> None:
    """Set the weights of the dense layers to scikit-learn's draws; there is an activation for each."""
    for (W, b), activation in zip(dense(net), activations, strict=True):
        bound = np.sqrt((2.0 if named(activation) == "sigmoid" else 6.0) / sum(W.shape))
        W[...] = random.uniform(-bound, bound, W.shape)
        b[...] = random.uniform(-bound, bound, b.shape)


class Weights(list[Array]):
    """The weight matrices or the biases of a network: setting an entry writes into the network."""

    def __setitem__(self, i: Any, values: Any) -> None:
        if isinstance(i, slice):
            for each, new in zip(self[i], values, strict=True):
                each[...] = new
        else:
            self[i][...] = values
