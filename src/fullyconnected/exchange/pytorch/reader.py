"""Modules of PyTorch as parts of a network: layers by their classes, and a forward of the user's own by its trace."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.utils import parametrize

from fullyconnected import layers
from fullyconnected.activations import ELU, Exp, LeakyReLU
from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.exchange import arriving
from fullyconnected.exchange.arriving import Part
from fullyconnected.exchange.flow import Node, parts_between
from fullyconnected.exchange.pytorch.modules import Block, Columns, Embedding, Formulas, Pooled, Residual

__all__ = ["as_array", "loss_of", "parts_of", "results_of"]


def as_array(tensor: Any) -> Array | None:
    """Return a tensor as an array, of at least float32; None stays None."""
    if tensor is None:
        return None
    if nn.parameter.is_lazy(tensor) or tensor.is_meta:
        raise ConfigError("the module has no weights yet: it was made lazily, or on the device meta")
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor).numpy()


def parts_of(module: Any) -> list[Part]:
    """Return the parts of a module.

    Raises
    ------
    ConfigError
        For a layer that a network cannot have; the message names the first.
    """
    return _chain(module, type(module).__name__)


def loss_of(module: Any) -> Any:
    """Return the loss by which a module pools the outputs of an ensemble, or None."""
    return next((each.loss for each in module.modules() if type(each) is Pooled), None)


def results_of(module: Any, parts: list[Part]) -> Callable[[Array], Array]:
    """Return what computes a module's results for rows, on a copy of it that predicts, in float32 or float64."""
    from copy import deepcopy

    copied = deepcopy(module).cpu().train(False)
    wide = any(value.dtype == "float64" for part in parts for each in part.values for value in each.values())
    dtype = torch.float64 if wide else torch.float32
    reads_codes = any(type(each) is nn.Embedding for each in module.modules())

    def results(x: Array) -> Array:
        with torch.no_grad():
            rows = torch.from_numpy(x)
            found = copied.to(dtype)(rows.long() if reads_codes else rows.to(dtype))
        return found.reshape(len(x), -1).numpy()

    return results


def _chain(module: Any, where: str) -> list[Part]:
    """Return the parts of a module, whatever it is made of."""
    kind: Any = parametrize.type_before_parametrizations(module)
    if name := WRAPPED.get(kind.__name__):
        return _chain(getattr(module, name), where)
    # a class of the user's that computes what the one it is made of does is that one
    base = next((each for each in kind.__mro__ if each in KNOWN and each.forward is kind.forward), None)
    if base is not None and base in ONE:
        return [*ONE[base](module, f"{where} ({base.__name__})")]
    if base is nn.Sequential:
        return _in_order(module, where)
    if base is not None:
        values = tuple(values for part in _in_order(module, where) for values in part.values)
        return [Part(module.layer, values, where)]
    if kind.__module__.startswith("torch."):
        known = sorted(each.__name__ for each in KNOWN if each.__module__.startswith("torch."))
        raise ConfigError(f"{where} is a {kind.__name__}, which a network cannot have; it can have {', '.join(known)}")
    return _traced(module, where)


def _in_order(module: Any, where: str) -> list[Part]:
    """Return the parts of modules one after the other."""
    children = (module.parts if isinstance(module, Columns) else module)._modules  # of which some may be the same
    return [part for name, child in children.items() for part in _chain(child, f"{where}.{printable(name)}")]


def _embedding(module: Any, where: str) -> list[Part]:
    if module.max_norm is not None:
        raise ConfigError(f"{where} has max_norm, by which reading a vector changes it; a network cannot do that")
    return [arriving.embedding(as_array(module.weight), where)]


def _own_embedding(module: Any, where: str) -> list[Part]:
    W = arriving.numbers(as_array(module.weight), where, ndim=2)
    return [Part(layers.Embedding(len(W) - 1, W.shape[1]), ({"W": W},), where)]


def _linear(module: Any, where: str) -> Part:
    W = as_array(module.weight)
    return arriving.dense(None if W is None else W.T, as_array(module.bias), where)


def _batch_norm(module: Any, where: str) -> Part:
    if module.running_mean is None:
        raise ConfigError(f"{where} keeps no running statistics, by which a network predicts")
    if module.momentum is None:
        raise ConfigError(f"{where} has no momentum: set it, as in module.momentum = 0.1, before it is taken")
    mean, var, gamma, beta = map(as_array, (module.running_mean, module.running_var, module.weight, module.bias))
    return arriving.batch_norm(mean, var, gamma, beta, module.eps, module.momentum, where)


def _layer_norm(module: Any, where: str) -> Part:
    (n,) = _one_axis(module, where)
    return arriving.layer_norm(as_array(module.weight), as_array(module.bias), n, module.eps, where)


def _rms_norm(module: Any, where: str) -> Part:
    (n,) = _one_axis(module, where)
    gamma, epsilon = as_array(module.weight), module.eps
    if epsilon is None:  # that of the numbers in which PyTorch computes: float32 also for a module in half precision
        wide = gamma is not None and gamma.dtype.name == "float64"
        epsilon = torch.finfo(torch.float64 if wide else torch.float32).eps
    return arriving.rms_norm(gamma, n, epsilon, where)


def _one_axis(module: Any, where: str) -> tuple[int]:
    if len(module.normalized_shape) != 1:
        raise ConfigError(f"{where} normalises over the axes {module.normalized_shape}; the rows of a network have one")
    return (int(module.normalized_shape[0]),)


def _softmax(module: Any, where: str) -> list[Part]:
    if module.dim not in (1, -1):
        raise ConfigError(f"{where} has dim={module.dim}; the softmax of a network is that of each row, dim=1")
    return _of("softmax")(module, where)


def _gelu(module: Any, where: str) -> list[Part]:
    if module.approximate != "none":
        raise ConfigError(f"{where} is approximated by {module.approximate}; the network's gelu is the exact one")
    return _of("gelu")(module, where)


def _softplus(module: Any, where: str) -> list[Part]:
    if module.beta != 1 or module.threshold < 15:  # above the threshold it is z, which differs by exp(-z)
        raise ConfigError(
            f"{where} has beta={module.beta} and threshold={module.threshold}; the network's has 1 and none"
        )
    return _of("softplus")(module, where)


def _leaky(module: Any, where: str) -> list[Part]:
    f = "relu" if module.negative_slope == 0 else arriving.made(where, LeakyReLU, module.negative_slope)
    return [arriving.activation(f, where)]


def _flatten(module: Any, where: str) -> list[Part]:
    if (module.start_dim, module.end_dim) not in ((1, -1), (-1, -1), (1, 1)):
        raise ConfigError(f"{where} joins other axes than those of a row")
    return []


def _of(name: str) -> Callable[[Any, str], list[Part]]:
    return lambda module, where: [arriving.activation(name, where)]


def _formulas(module: Any, where: str) -> list[Part]:
    found = {letter: as_array(getattr(module, name)) for name, letter in module.letters.items()}
    values = ({letter: value for letter, value in found.items() if value is not None},) if found else ()
    return [Part(module.layer, values, where)]


ONE: dict[Any, Callable[[Any, str], Any]] = {
    nn.Linear: lambda module, where: [_linear(module, where)],
    nn.BatchNorm1d: lambda module, where: [_batch_norm(module, where)],
    nn.LayerNorm: lambda module, where: [_layer_norm(module, where)],
    nn.RMSNorm: lambda module, where: [_rms_norm(module, where)],
    nn.Embedding: _embedding,
    nn.Dropout: lambda module, where: [arriving.dropout(module.p, where)],
    nn.Identity: lambda module, where: [],
    nn.Flatten: _flatten,
    nn.ReLU: _of("relu"),
    nn.SELU: _of("selu"),
    nn.SiLU: _of("silu"),
    nn.Mish: _of("mish"),
    nn.Sigmoid: _of("sigmoid"),
    nn.Tanh: _of("tanh"),
    nn.GELU: _gelu,
    nn.Softplus: _softplus,
    nn.Softmax: _softmax,
    nn.LeakyReLU: _leaky,
    nn.ELU: lambda module, where: [arriving.activation(arriving.made(where, ELU, module.alpha), where)],
    nn.PReLU: lambda module, where: [arriving.prelu(as_array(module.weight), where)],
    Embedding: _own_embedding,
    Formulas: _formulas,
    Pooled: lambda module, where: [],
}

BLOCKS = nn.Sequential, Residual, Block, Columns
KNOWN = (*ONE, *BLOCKS)
WRAPPED = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}


# --- a forward of the user's own --------------------------------------------------------------------------------------

FUNCTIONS: dict[Any, tuple[Any, tuple[str, ...]]] = {  # the module that does the same, and its settings behind x
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, "relu"), (nn.ReLU, ())),
    **dict.fromkeys((F.tanh, torch.tanh, "tanh"), (nn.Tanh, ())),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, "sigmoid"), (nn.Sigmoid, ())),
    **dict.fromkeys((F.selu, torch.selu), (nn.SELU, ())),
    **dict.fromkeys((F.softmax, torch.softmax, "softmax"), (nn.Softmax, ("dim",))),
    **dict.fromkeys((torch.flatten, "flatten"), (nn.Flatten, ("start_dim", "end_dim"))),
    F.leaky_relu: (nn.LeakyReLU, ("negative_slope",)),
    F.elu: (nn.ELU, ("alpha",)),
    F.gelu: (nn.GELU, ("approximate",)),
    F.silu: (nn.SiLU, ()),
    F.mish: (nn.Mish, ()),
    F.softplus: (nn.Softplus, ("beta", "threshold")),
    F.dropout: (nn.Dropout, ("p",)),
}
IDLE = ("inplace", "training", "_stacklevel", "dtype", "input")  # settings that change no result of a prediction
SUMS = operator.add, operator.iadd, torch.add, "add", "add_"


class _Tracer(fx.Tracer):
    """Follows a forward down to the modules that are known."""

    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
        return (
            type(m) in ONE
            or type(m) in (nn.Sequential, Residual, Block, Columns)
            or super().is_leaf_module(m, module_qualified_name)
        )


def _traced(module: Any, where: str) -> list[Part]:
    """Return the parts of a module with a forward of its own."""
    try:
        graph = _Tracer().trace(module)
    except Exception as error:  # what a user's code raises for what is no tensor
        raise ConfigError(
            f"{where} has a forward of its own that cannot be followed ({error!s:.200}): give its layers as one "
            f"nn.Sequential"
        ) from error
    nodes: dict[str, Node[Part]] = {}
    inputs: list[str] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            if not node.args and not node.users:
                continue
            inputs.append(node.name)
        elif node.op == "output":
            if len(inputs) != 1 or not isinstance(node.args[0], fx.Node):
                raise ConfigError(
                    f"{where} has {len(inputs)} inputs, or other than one result; a network has one of each"
                )
            return parts_between(nodes, inputs[0], node.args[0].name, arriving.residual)
        elif node.op == "call_module":
            child = module.get_submodule(node.target)
            nodes[node.name] = Node(tuple(_chain(child, f"{where}.{node.target}")), _reads(node), where)
        elif node.op == "call_method" and node.target in ("size", "contiguous", "detach"):
            nodes[node.name] = Node((), _reads(node), where)
        else:
            nodes[node.name] = _function(node, f"{where}, {node.name}")
    raise ConfigError(f"{where} returns nothing")


def _reads(node: Any) -> tuple[str, ...]:
    return tuple(each.name for each in node.args if isinstance(each, fx.Node))


def _function(node: Any, where: str) -> Node[Part]:
    """Return a call of a function, or of a method of a tensor."""
    target = node.target
    name = target if isinstance(target, str) else f"{target.__module__}.{target.__name__}"
    if target in SUMS and len(_reads(node)) == 2 and not node.kwargs:
        return Node((), _reads(node), where)
    if target in ("view", "reshape") and node.args[-1] == -1 and len(node.args) == 3:
        return Node((), _reads(node)[:1], where)  # (rows, -1), which rows are already
    if target in (torch.squeeze, "squeeze") and node.args[1:] in ((1,), (-1,)):
        return Node((), _reads(node), where)  # of one result for each row
    if target is operator.getitem or (target is getattr and node.args[1] == "shape"):
        return Node((), _reads(node), where)
    if target in (torch.exp, "exp"):
        return Node((arriving.activation(Exp(), where),), _reads(node), where)
    if target not in FUNCTIONS:
        raise ConfigError(f"{where}: a network cannot have {printable(name)}; it can have activations, and x + F(x)")
    made, names = FUNCTIONS[target]
    given = {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
    if made is nn.Flatten:
        given.setdefault("start_dim", 0)
    settings: Mapping[str, Any] = {key: value for key, value in given.items() if key not in IDLE}
    if any(isinstance(value, fx.Node) for value in settings.values()):
        raise ConfigError(f"{where}: the settings of {printable(name)} are computed; a network has fixed ones")
    return Node(tuple(_chain(made(**settings), where)), (node.args[0].name,) if node.args else (), where)
