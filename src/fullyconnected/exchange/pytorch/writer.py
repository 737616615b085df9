"""A network as a module of PyTorch: its own layers where it has them, and the formulas of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils import skip_init

from fullyconnected.base import Layer
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.graph import Placed, placed_of, pooled_graph, pools
from fullyconnected.exchange.pytorch.modules import Block, Columns, Embedding, Formulas, Pooled, Residual, as_tensor
from fullyconnected.program.description import steps_of

if TYPE_CHECKING:
    from fullyconnected.network import Network

__all__ = ["module_of"]


def module_of(net: Network) -> Any:
    """Return a network as a module in evaluation mode."""
    placed = placed_of(net)
    modules = [module for layer in net.layers for module in _modules(layer, placed)]
    if pools(net):
        modules.append(Pooled(pooled_graph(net), net.loss))
    return nn.Sequential(*modules).train(False)


def _modules(layer: Layer, placed: Iterator[Placed]) -> Iterator[Any]:
    """Yield the modules of a layer, or of the operations of a block."""
    if branches := [*layer.branches()]:
        parts = []
        for select, *layers in branches:
            op, *_ = next(placed)
            modules = [module for each in layers for module in _modules(each, placed)]
            assert op.layer == select
            parts.append((op.layer.columns, nn.Sequential(*modules)))  # type: ignore[attr-defined]
        *_, kept = next(placed)  # of what joins them
        yield Columns(parts, kept, layer)
    elif steps := steps_of(layer):
        if any(step.skips for step in steps[:-1]):
            raise ConfigError(f"{layer!r:.100} adds its input in its midst; no module can be made of it")
        modules = [module for step in steps if not step.skips for module in _modules(step, placed)]
        if steps[-1].skips:
            next(placed)
        yield (Residual if steps[-1].skips else Block)(modules, layer)
    else:
        for part in next(placed).parts():
            if (made := STOCK.get(part.op.kind)) and (module := made(part.op.layer, part.p)):
                yield module
            else:
                yield Formulas(*part.graph(), part.op.layer)


def _linear(layer: Any, p: Any) -> Any:
    module = skip_init(nn.Linear, layer.n_in, layer.n_out, bias=layer.bias, dtype=getattr(torch, p.W.dtype.name))
    W = p.W if layer.weight_factor == 1 else p.W * p.W.dtype.type(layer.weight_factor)
    with torch.no_grad():
        module.weight.copy_(as_tensor(W.T))
        if layer.bias:
            module.bias.copy_(as_tensor(p.b))
    return module


def _norm(kind: Callable[..., Any], layer: Any, p: Any, values: Mapping[str, str], **how: Any) -> Any:
    module = kind(layer.n_in, eps=layer.epsilon, dtype=getattr(torch, p.gamma.dtype.name), **how)
    with torch.no_grad():
        for theirs, ours in values.items():
            getattr(module, theirs).copy_(as_tensor(getattr(p, ours)))
    return module


AFFINE = {"weight": "gamma", "bias": "beta"}
RUNNING = {"running_mean": "running_mean", "running_var": "running_var"}
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda f: nn.ReLU(),
    "leaky_relu": lambda f: nn.LeakyReLU(f.slope),
    "elu": lambda f: nn.ELU(f.alpha),
    "selu": lambda f: nn.SELU(),
    "gelu": lambda f: nn.GELU(),
    "silu": lambda f: nn.SiLU(),
    "mish": lambda f: nn.Mish(),
    "softplus": lambda f: nn.Softplus(),
    "sigmoid": lambda f: nn.Sigmoid(),
    "tanh": lambda f: nn.Tanh(),
    "softmax": lambda f: nn.Softmax(dim=1),
    "identity": lambda f: nn.Identity(),
}


def _activation(layer: Any, p: Any) -> Any | None:
    f = layer.activation
    return (
        ACTIVATIONS[f.name](f) if f.name in ACTIVATIONS and type(f).__module__.startswith("fullyconnected.") else None
    )


STOCK: dict[str, Callable[[Any, Any], Any]] = {
    "dense": _linear,
    "activation": _activation,
    "dropout": lambda layer, p: nn.Dropout(layer.rate),
    "layer_norm": lambda layer, p: _norm(nn.LayerNorm, layer, p, AFFINE),
    "rms_norm": lambda layer, p: _norm(nn.RMSNorm, layer, p, {"weight": "gamma"}),
    "batch_norm": lambda layer, p: _norm(nn.BatchNorm1d, layer, p, AFFINE | RUNNING, momentum=layer.momentum),
    "embedding": lambda layer, p: Embedding(p.W),
}
