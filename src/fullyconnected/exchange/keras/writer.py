"""A network as a functional model of Keras: its own layers where it has them, and ``keras.ops`` for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.graph import FLOAT64, Graph, Placed, placed_of, pooled_graph, pools
from fullyconnected.exchange.keras.operations import Keras, Symbol
from fullyconnected.program.description import steps_of

if TYPE_CHECKING:
    from fullyconnected.network import Network

__all__ = ["model_of"]


class Tensor(NamedTuple):
    """A tensor of Keras, and the type that it has, which Keras may not know."""

    held: Any
    dtype: np.dtype[Any]

    def cast(self, dtype: np.dtype[Any]) -> Tensor:
        """Return it in a type."""
        return self if self.dtype == dtype else Tensor(ops.cast(self.held, dtype.name), dtype)


def model_of(net: Network) -> Any:
    """Return a network as a model."""
    placed = placed_of(net)
    dtype = FLOAT64 if net.program.raw_columns else net.dtype
    h = Tensor(x := keras.Input((net.n_in,), dtype=dtype.name, name="x"), dtype)
    for layer in net.layers:
        h = _called(layer, placed, h)
    if pools(net):
        h = _computed(pooled_graph(net), h)
    found = h.cast(net.dtype).held
    if net.dtype == FLOAT64:  # which some operations make float32 of
        found = ops.cast(found, "float64")
    return keras.Model(x, found, name="network")


def _called(layer: Layer, placed: Iterator[Placed], h: Tensor) -> Tensor:
    """Return what a layer gives for a tensor."""
    if branches := [*layer.branches()]:
        parts = []
        for select, *inner in branches:
            op, _, _, kept = next(placed)
            assert op.layer == select
            columns = [*op.layer.columns]  # type: ignore[attr-defined]
            part = Tensor(ops.take(h.held, columns, axis=1), h.dtype).cast(kept)
            for each in inner:
                part = _called(each, placed, part)
            parts.append(part)
        *_, kept = next(placed)  # of what joins them
        joined = [part.cast(kept).held for part in parts]
        return Tensor(layers.Concatenate(dtype=kept.name)(joined) if len(joined) > 1 else joined[0], kept)
    if steps := steps_of(layer):
        if any(step.skips for step in steps[:-1]):
            raise ConfigError(f"{layer!r:.100} adds its input in its midst; no model can be made of it")
        before = h
        for step in steps:
            if not step.skips:
                h = _called(step, placed, h)
                continue
            op, _, _, kept = next(placed)
            both = [before.cast(kept).held, h.cast(kept).held]
            h = Tensor(layers.Add(dtype=kept.name, name=_name(op.name))(both), kept)
        return h
    for i, piece in enumerate(next(placed).parts()):
        op, p, _, kept = piece
        name = _name(op.name) + "_activation" * i  # that of Dense
        if op.kind == "embedding":
            h = _embedded(op.layer, p, name, h)
        elif op.kind in STOCK and (made := STOCK[op.kind](op.layer, p)):
            h = _by_stock(made, name, h, kept)
        else:
            h = _computed(piece.graph()[0], h)
    return h


def _by_stock(made: Stock, name: str, h: Tensor, kept: np.dtype[Any]) -> Tensor:
    kind, settings, weights = made
    dtype = np.dtype(settings.pop("dtype", kept))
    layer = kind(name=name, dtype=dtype.name, **settings)
    given = Tensor(layer(h.held), dtype)
    if weights:
        layer.set_weights(weights)
    return given.cast(kept)


def _embedded(layer: Any, p: Any, name: str, h: Tensor) -> Tensor:
    """Return the vectors of codes (rows, 1), of which those below 0 have the last one."""
    codes = ops.where(ops.less(h.held, 0), np.array([layer.levels], h.dtype), h.held)
    vectors = layers.Embedding(*p.W.shape, name=name, dtype=p.W.dtype.name)
    found = layers.Reshape((layer.size,), dtype=p.W.dtype.name)(vectors(ops.cast(codes, "int32")))
    vectors.set_weights([p.W])
    return Tensor(found, p.W.dtype)


def _name(name: str) -> str:
    return name.replace(".", "_")


def _computed(graph: Graph, h: Tensor) -> Tensor:
    """Return what formulas give for a tensor."""
    constants = {name: Symbol(value) for name, value in graph.constants.items()}
    wide = FLOAT64 in (h.dtype, *(each for line in graph.lines for each in (line.computed, line.kept)))
    found = Keras(wide=wide).results(graph, Symbol(h.held), constants)
    return Tensor(found.held, next(line.kept for line in graph.lines if line.name == graph.output))


# --- layers that Keras has --------------------------------------------------------------------------------------------

Stock = tuple[Callable[..., Any], dict[str, Any], list[Array]]  # its class, settings, and weights


def _dense(layer: Any, p: Any) -> Stock:
    W = p.W if layer.weight_factor == 1 else p.W * p.W.dtype.type(layer.weight_factor)
    settings = {"units": layer.n_out, "use_bias": layer.bias, "kernel_initializer": keras.initializers.GlorotUniform(0)}
    return layers.Dense, settings, [W, p.b] if layer.bias else [W]


NAMED = {
    **{name: name for name in ("relu", "selu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh", "softmax")},
    **{"exp": "exponential", "identity": "linear"},
}


def _activation(layer: Any, p: Any) -> Stock | None:
    f = layer.activation
    if not type(f).__module__.startswith("fullyconnected."):
        return None
    match f.name:
        case "leaky_relu":
            return layers.LeakyReLU, {"negative_slope": f.slope}, []
        case "elu":
            return layers.ELU, {"alpha": f.alpha}, []
    return (layers.Activation, {"activation": NAMED[f.name]}, []) if f.name in NAMED else None


def _norm(layer: Any, p: Any) -> Stock:
    return layers.LayerNormalization, {"epsilon": layer.epsilon}, [p.gamma, p.beta]


def _rms_norm(layer: Any, p: Any) -> Stock:
    return layers.RMSNormalization, {"epsilon": layer.epsilon}, [p.gamma]


def _batch_norm(layer: Any, p: Any) -> Stock:
    # the share of the old average, without the last digits of the difference
    settings = {"epsilon": layer.epsilon, "momentum": round(1 - layer.momentum, 15)}
    return layers.BatchNormalization, settings, [p.gamma, p.beta, p.running_mean, p.running_var]


def _standardize(layer: Any, p: Any) -> Stock | None:
    scale = np.array(layer.scale)
    if layer.clip or layer.missing or not ((scale > 1e-7) & (scale < 1e100)).all():
        return None  # 1e-7 is the least scale that Keras takes
    settings = {"mean": [*layer.mean], "variance": (scale * scale).tolist(), "dtype": FLOAT64}
    return layers.Normalization, settings, []


def _rescale(layer: Any, p: Any) -> Stock:
    return layers.Rescaling, {"scale": [*layer.scale], "offset": [*layer.mean]}, []


def _scale(layer: Any, p: Any) -> Stock:
    settings = {"equation": "ab,b->ab", "output_shape": (layer.n_in,), "kernel_initializer": "ones"}
    return layers.EinsumDense, settings, [p.s]


def _parametric(layer: Any, p: Any) -> Stock | None:
    f = layer.activation
    return (layers.PReLU, {}, [1 - p.a]) if f.name == "relu" else None


STOCK: dict[str, Callable[[Any, Any], Stock | None]] = {
    "dense": _dense,
    "activation": _activation,
    "dropout": lambda layer, p: (layers.Dropout, {"rate": layer.rate}, []),
    "layer_norm": _norm,
    "rms_norm": _rms_norm,
    "batch_norm": _batch_norm,
    "standardize": _standardize,
    "rescale": _rescale,
    "scale": _scale,
    "parametric": _parametric,
}
