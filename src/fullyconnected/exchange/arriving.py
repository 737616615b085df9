"""What arrives from elsewhere: layers with the values of their parameters, of which a network is made.

A reader of a format turns what it finds into parts by the functions of this module, which check sizes and numbers, and
say where in the source something is wrong. No size is taken from anywhere but from arrays that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from fullyconnected.activations import Identity
from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, FileFormatError, FullyConnectedError, MissingPackageError
from fullyconnected.exchange.graph import graph_of
from fullyconnected.exchange.vector import Vector, rows_for
from fullyconnected.layers import (
    Activation,
    BatchNorm,
    Columns,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    Parametric,
    Residual,
    RMSNorm,
)
from fullyconnected.network import Network

if TYPE_CHECKING:
    from fullyconnected.annotations import ActivationLike, PathLike

__all__ = [
    "Part",
    "activation",
    "batch_norm",
    "dense",
    "dropout",
    "embedding",
    "layer_norm",
    "made",
    "network_of",
    "numbers",
    "prelu",
    "reading",
    "require_same",
    "residual",
    "rms_norm",
    "side_by_side",
]

Made = TypeVar("Made")
FLOATS = ("float16", "bfloat16", "float32", "float64")


class Part(NamedTuple):
    """A layer, the values of its parameters and running statistics by name, and where it stood in the source.

    A block has those of each operation in it that has any, in the order in which they run.
    """

    layer: Layer
    values: tuple[Mapping[str, Array], ...]
    where: str


def numbers(given: Any, where: str, shape: tuple[int, ...] | None = None, ndim: int | None = None) -> Array:
    """Return an array of finite numbers in float64 if it has that type, else in float32; or raise.

    ``shape`` is the shape that it must have, or ``ndim`` the number of its axes, none of which may be empty.
    """
    value = np.asarray(given)
    if value.dtype.name not in FLOATS:
        raise ConfigError(f"{where} is of the type {value.dtype}; weights are float32, float64 or float16")
    if shape is not None and value.shape != shape:
        raise ConfigError(f"{where} has the shape {value.shape}; {shape} belongs there")
    if ndim is not None and (value.ndim != ndim or not value.size):
        raise ConfigError(f"{where} has the shape {value.shape}; {ndim} axes belong there, and none of them empty")
    value = np.ascontiguousarray(value, np.float64 if value.dtype == np.float64 else np.float32)
    if not np.isfinite(value).all():
        raise ConfigError(f"{where} holds numbers that are not finite")
    return value


def dense(W: Any, b: Any | None, where: str) -> Part:
    """Return a layer y = x W + b of a matrix (n_in, n_out), with biases (n_out,) or none."""
    W = numbers(W, f"the matrix of {where}", ndim=2)
    n_in, n_out = W.shape
    if b is None:
        return Part(Dense(n_in, n_out, bias=False), ({"W": W},), where)
    return Part(Dense(n_in, n_out), ({"W": W, "b": numbers(b, f"the biases of {where}", (n_out,))},), where)


def made(where: str, kind: Callable[..., Made], *args: Any, **settings: Any) -> Made:
    """Return an object of the library, or raise what it says of its settings, with where they stood."""
    try:
        return kind(*args, **settings)
    except FullyConnectedError as error:
        raise ConfigError(f"{where}: {error}") from error


def activation(f: ActivationLike, where: str) -> Part:
    """Return an activation as a layer, which the Dense layer before it takes in; raise for one that is not known."""
    return Part(made(where, Activation, f), (), where)


def prelu(slopes: Any, where: str) -> Part:
    """Return y = x where x > 0, else a slope times x: one of each unit (n,), or one for all (1,)."""
    slopes = numbers(slopes, f"the slopes of {where}", ndim=1)
    layer = Parametric("relu", n_in=len(slopes) if len(slopes) > 1 else None)
    return Part(layer, ({"a": 1 - slopes},), where)


def dropout(rate: float, where: str) -> Part:
    """Return dropout with a rate in [0, 1)."""
    return Part(made(where, Dropout, rate), (), where)


def layer_norm(gamma: Any | None, beta: Any | None, n: int, epsilon: float, where: str) -> Part:
    """Return a LayerNorm of n units; without a gain it is 1, and without a shift 0."""
    return _norm(LayerNorm, {}, gamma, beta, n, where, epsilon=epsilon)


def rms_norm(gamma: Any | None, n: int, epsilon: float, where: str) -> Part:
    """Return an RMSNorm of n units; without a gain it is 1."""
    return Part(made(where, RMSNorm, n_in=n, epsilon=epsilon), ({"gamma": _gain(gamma, n, where)},), where)


def batch_norm(
    mean: Any, var: Any, gamma: Any | None, beta: Any | None, epsilon: float, momentum: float, where: str
) -> Part:
    """Return a BatchNorm with running statistics (n,), which move by ``momentum`` towards those of a batch."""
    mean = numbers(mean, f"the running mean of {where}", ndim=1)
    var = numbers(var, f"the running variance of {where}", mean.shape)
    if (var < 0).any():
        raise ConfigError(f"the running variance of {where} is below 0")
    state = {"running_mean": mean, "running_var": var}
    return _norm(BatchNorm, state, gamma, beta, len(mean), where, epsilon=epsilon, momentum=momentum)


def _norm(
    kind: type[Layer], state: Mapping[str, Array], gamma: Any, beta: Any, n: int, where: str, **how: float
) -> Part:
    gain = _gain(gamma, n, where)
    shift = np.zeros(n, np.float32) if beta is None else numbers(beta, f"the shift of {where}", (n,))
    return Part(made(where, kind, n_in=n, **how), ({"gamma": gain, "beta": shift, **state},), where)


def _gain(gamma: Any | None, n: int, where: str) -> Array:
    return np.ones(n, np.float32) if gamma is None else numbers(gamma, f"the gain of {where}", (n,))


def embedding(table: Any, where: str) -> Part:
    """Return an embedding of columns of codes by one table (levels, size): of as many as what follows takes.

    Each column has a table of its own, all with these values. A level that is unknown, of the code -1, is 0.
    """
    W = numbers(table, f"the table of {where}", ndim=2)
    W = np.concatenate([W, np.zeros_like(W[:1])])  # whose last row is that of an unknown level
    return Part(Embedding(len(W) - 1, W.shape[1]), ({"W": W},), where)


def side_by_side(part: Part, columns: int) -> Part:
    """Return an embedding that reads each of some columns by a table of its own, all with the values of one."""
    if columns == 1:
        return part
    layer = Columns([([i], part.layer) for i in range(columns)], n_in=columns)
    return Part(layer, part.values * columns, part.where)


def residual(parts: Sequence[Part], where: str) -> Part:
    """Return a block y = x + F(x) of the parts of F."""
    parts = _joined(parts)
    block = made(where, Residual, [part.layer for part in parts])
    return Part(block, tuple(values for part in parts for values in part.values), where)


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Return parts in which a Dense layer has the activation behind it."""
    found: list[Part] = []
    for part in parts:
        before: Any = found[-1].layer if found else None
        if isinstance(part.layer, Activation) and isinstance(before, Dense) and before.activation is None:
            if not isinstance(f := part.layer.activation, Identity):
                found[-1] = found[-1]._replace(layer=replace(before, activation=f, init=f.suited_init))
        else:
            found.append(part)
    return found


def _widened(parts: list[Part]) -> list[Part]:
    """Return parts in which a first embedding reads as many columns as what follows it takes."""
    first, *others = parts
    width = next((each.layer.n_in for each in others if each.layer.n_in is not None), None)
    if not isinstance(first.layer, Embedding) or width in (None, first.layer.size):
        return parts
    columns, rest = divmod(width, first.layer.size)
    if rest:
        raise ConfigError(
            f"{first.where} gives vectors of {first.layer.size} numbers, and what follows takes {width} columns"
        )
    return [side_by_side(first, columns), *others]


def network_of(parts: Sequence[Part], what: str) -> Network:
    """Return the network of parts: in float64 if a value has this type, else in float32.

    Raises
    ------
    ConfigError
        If there is no part, or they do not fit each other.
    """
    if not parts:
        raise ConfigError(f"{what} has no layer that computes something")
    parts = _widened(_joined(parts))
    values = [each for part in parts for each in part.values]
    wide = any(value.dtype == np.float64 for each in values for value in each.values())
    layers = [part.layer for part in parts]
    if layers[0].n_in is None:  # such as dropout of the inputs, which can have any width
        width = next((each.n_in for each in layers if each.n_in is not None), None)
        if width is None:
            raise ConfigError(f"no layer of {what} says how many columns it takes")
        layers[0] = layers[0].with_input_width(width)
    net = made(f"the layers of {what}", Network, layers, dtype="float64" if wide else "float32", seed=0)
    given = iter(values)
    for op, p in zip(net.program.operations, net.program.memory(net.theta, net.state), strict=True):
        if op.params or op.state:
            for name, value in next(given).items():
                getattr(p, name)[...] = value
    assert next(given, None) is None
    return net


def require_same(net: Network, results: Callable[[Array], Any], what: str, x: Array | None = None) -> None:
    """Raise if what a network was made of gives other results for a few rows, and say where first.

    ``results`` takes rows (rows, n_in) in float32, by default as many as a test vector has, and ``what`` says whose
    results they are.
    """
    x = rows_for(net, unknown=False) if x is None else x
    found = np.asarray(results(x))
    Vector.of(x, net.predict(x), graph_of(net)).require(found, what, so="it was not taken")


@contextmanager
def reading(path: PathLike, kind: str) -> Iterator[None]:
    """Turn whatever a file leads to, while it is read, into an error of this library that names the file.

    ``kind`` says what it should be, such as ``"a file of ONNX"``.
    """
    import os

    name = printable(os.fsdecode(path))
    try:
        yield
    except (OSError, MissingPackageError):
        raise
    except FullyConnectedError as error:
        raise FileFormatError(f"{name}: {error}") from error
    except MemoryError:
        raise FileFormatError(f"{name}: there is no memory for what it says that it holds") from None
    except RecursionError:
        raise FileFormatError(f"{name}: it is nested too deeply") from None
    except Exception as error:  # a reader of another project may raise anything for a damaged file
        raise FileFormatError(f"{name}: this is not {kind} that can be read: {error!s:.300}") from error
