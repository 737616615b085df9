"""Modules of PyTorch as parts of a network: layers by their classes, and a forward of the user's own by its trace."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
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
from fullyconnected.exchange.pytorch.weights import as_array

__all__ = ["loss_of", "parts_of", "predicting", "results_of"]


def parts_of(module: Any) -> list[Part]:
    """Return the parts of a module.

    Raises
    ------
    ConfigError
        For a layer that a network cannot have; the message names the first.
    """
    try:
        return _chain(module, type(module).__name__)
    except RecursionError:
        raise ConfigError(f"{type(module).__name__} contains itself, or is nested too deeply") from None


def loss_of(module: Any) -> Any:
    """Return the loss by which a module pools the outputs of an ensemble, or None."""
    return next((each.loss for each in module.modules() if type(each) is Pooled), None)


@contextmanager
def predicting(module: Any) -> Iterator[None]:
    """Set a module to evaluation mode for a while."""
    trained = [each for each in module.modules() if each.training]
    for each in trained:
        each.training = False
    try:
        yield
    finally:
        for each in trained:
            each.training = True


def results_of(module: Any) -> Callable[[Array], Array]:
    """Return what computes a module's results for rows: in float32 where it is in half precision, on a copy of it."""
    first = next((each for each in module.parameters() if each.is_floating_point()), torch.zeros(()))
    if first.dtype not in (torch.float32, torch.float64):
        try:
            module = deepcopy(module).float()
        except Exception as error:
            raise ConfigError(f"the module is in {first.dtype}, and no copy in float32 can be made: {error}") from error
        first = first.float()
    reads_codes = any(isinstance(each, nn.Embedding) and type(each) is not Embedding for each in module.modules())

    def results(x: Array) -> Array:
        rows = torch.from_numpy(x)
        with torch.no_grad():
            found = module((rows.long() if reads_codes else rows.to(first.dtype)).to(first.device))
        return found.reshape(len(x), -1).cpu().numpy()

    return results


def _chain(module: Any, where: str) -> list[Part]:
    """Return the parts of a module, whatever it is made of."""
    kind: Any = parametrize.type_before_parametrizations(module)
    if name := WRAPPED.get(kind.__name__):
        return _chain(getattr(module, name), where)
    base = _base(kind)
    if base is not None and base in ONE:
        return [*ONE[base](module, f"{where} ({base.__name__})")]
    if base is nn.Sequential:
        return _in_order(module, where)
    if base is not None:
        values = tuple(values for part in _in_order(module, where) for values in part.values)
        return [Part(module.layer, values, where)]
    if kind.__module__.startswith("torch.") and not isinstance(module, fx.GraphModule):
        known = sorted(each.__name__ for each in KNOWN if each.__module__.startswith("torch."))
        name = f"{kind.__module__}.{kind.__name__}" if kind.__name__ in known else kind.__name__
        raise ConfigError(f"{where} is a {name}, which a network cannot have; it can have {', '.join(known)}")
    return _traced(module, where)


def _base(kind: Any) -> Any | None:
    """Return the known class that a class is, or computes the same as, being made of it; or None."""
    return next((each for each in kind.__mro__ if each in KNOWN and each.forward is kind.forward), None)


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
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_"), (nn.ReLU, ())),
    **dict.fromkeys((F.tanh, torch.tanh, torch.tanh_, "tanh", "tanh_"), (nn.Tanh, ())),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, torch.sigmoid_, "sigmoid", "sigmoid_"), (nn.Sigmoid, ())),
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
SAME = ("contiguous", "detach", "clone", "float", "double", "squeeze", torch.squeeze)  # what keeps all numbers of a row
SHAPED = ("view", "reshape", torch.reshape)


class _Tracer(fx.Tracer):
    """Follows a forward down to the modules that are known."""

    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
        return _base(type(m)) is not None or super().is_leaf_module(m, module_qualified_name)


def _traced(module: Any, where: str) -> list[Part]:
    """Return the parts of a module with a forward of its own."""
    try:
        graph = _Tracer().trace(module)
    except Exception as error:  # what a user's code raises for what is no tensor
        raise ConfigError(
            f"{where} has a forward of its own that cannot be followed ({error!s:.200}): give its layers as one "
            f"nn.Sequential"
        ) from error
    return _Trace(module, where).parts(graph)


class _Trace:
    """What the nodes of a trace are: parts, or sizes of tensors."""

    def __init__(self, module: Any, where: str) -> None:
        self.module, self.where = module, where
        self.nodes: dict[str, Node[Part]] = {}
        self.sizes: set[Any] = set()

    def parts(self, graph: Any) -> list[Part]:
        """Return the parts that lead from the input to the result."""
        inputs = [node.name for node in graph.nodes if node.op == "placeholder" and (node.users or not node.args)]
        (result,) = (node.args[0] for node in graph.nodes if node.op == "output")
        if len(inputs) != 1 or not isinstance(result, fx.Node):
            given = f"{len(inputs)} inputs" if len(inputs) != 1 else f"a {type(result).__name__} as its result"
            raise ConfigError(f"{self.where} has {given}; a network has one input, and one tensor as its result")
        for node in graph.nodes:
            if node.op in ("call_module", "call_function", "call_method") and not self._is_size(node):
                self.nodes[node.name] = self._node(node, f"{self.where}, {node.name}")
        return parts_between(self.nodes, inputs[0], result.name, arriving.residual)

    def _is_size(self, node: Any) -> bool:
        """Whether a node is the size of a tensor, or a number of one; they say how many rows there are."""
        of_size = node.target is operator.getitem and node.args[0] in self.sizes
        if of_size or node.target == "size" or (node.target is getattr and node.args[1] == "shape"):
            self.sizes.add(node)
        return node in self.sizes

    def _node(self, node: Any, where: str) -> Node[Part]:
        target = node.target
        reads = tuple(each.name for each in node.all_input_nodes if each.op != "get_attr" and each not in self.sizes)
        if node.op == "call_module":
            return Node(tuple(_chain(self.module.get_submodule(target), f"{self.where}.{target}")), reads, where)
        name = target if isinstance(target, str) else f"{target.__module__}.{target.__name__}"
        settings = {key: value for key, value in node.kwargs.items() if key not in IDLE}
        others = node.args[1:]
        added = [*node.args, *(value for key, value in node.kwargs.items() if key in ("input", "other"))]
        if target in SUMS and settings.keys() <= {"other"} and all(isinstance(each, fx.Node) for each in added):
            return Node((), tuple(each.name for each in added), where)
        if target in SAME and not settings and all(each in (1, -1) for each in others):
            return Node((), reads, where)
        if target in SHAPED and all(isinstance(each, int) or each in self.sizes for each in (*others[:1], *others[2:])):
            return Node((), reads, where)  # of rows that stay rows: what does not is seen when widths or results differ
        if target is F.linear:
            return Node((self._linear(node, where),), reads, where)
        if target in (torch.exp, "exp"):
            return Node((arriving.activation(Exp(), where),), reads, where)
        if target not in FUNCTIONS:
            raise ConfigError(
                f"{where}: a network cannot have {printable(name)}; it can have activations, and x + F(x)"
            )
        made, names = FUNCTIONS[target]
        given: Mapping[str, Any] = {
            **({"start_dim": 0} if made is nn.Flatten else {}),
            **{key: value for key, value in zip(names, others, strict=False) if key not in IDLE},
            **settings,
        }
        if any(isinstance(value, fx.Node) for value in given.values()):
            raise ConfigError(f"{where}: the settings of {printable(name)} are computed; a network has fixed ones")
        return Node(tuple(_chain(made(**given), where)), reads, where)

    def _linear(self, node: Any, where: str) -> Part:
        """Return a product with a parameter of the module."""
        given = {**dict(zip(("input", "weight", "bias"), node.args, strict=False)), **node.kwargs}
        W, b = (given.get(name) for name in ("weight", "bias"))
        if any(isinstance(each, fx.Node) and each.op != "get_attr" for each in (W, b)):
            raise ConfigError(f"{where}: the weights are computed; a network has its own")
        W, b = (None if each is None else self._attribute(each.target) for each in (W, b))
        return arriving.dense(None if W is None else as_array(W, where).T, as_array(b, where), where)

    def _attribute(self, path: str) -> Any:
        found = self.module
        for name in path.split("."):
            found = getattr(found, name)
        return found
