"""Layers of the nodes of a graph of ONNX: what each pattern means, and how they follow each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fullyconnected.activations import ELU, SELU, LeakyReLU
from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.exchange import arriving, flow
from fullyconnected.exchange.arriving import Part
from fullyconnected.exchange.onnx.affine import Affine, Piece, settled
from fullyconnected.exchange.onnx.given import Node
from fullyconnected.exchange.onnx.graph import ALIKE, OnnxGraph
from fullyconnected.exchange.onnx.patterns import KINDS, ROUNDING, Matcher
from fullyconnected.layers import Activation, Parametric, Standardize

__all__ = ["KNOWN", "Layers"]

KNOWN = {*KINDS, *ALIKE}
Names = Mapping[str, Any]  # what the names of a pattern stand for
ABOVE = 15.0  # where softplus(z) is z, to the digits of float32


class Layers:
    """What each node of a graph gives, as a layer of what an earlier one gives.

    Raises
    ------
    ConfigError
        For the first node that is neither a layer nor part of one.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph, matcher = graph, Matcher(graph.file, graph.nodes)
        self.steps: dict[str, flow.Node[Piece]] = {}  # what makes each result
        taken: set[str] = set()
        if graph.input not in graph.widths:
            raise ConfigError("how many columns the rows have is said neither by the input nor by a matrix")
        for node in graph.nodes:
            if node.outputs[0] not in graph.widths:  # one number for each row: part of a norm
                continue
            for name, found in matcher.all(node):
                pieces = MAKERS[name](self, node, found.names)
                if pieces is not None:
                    reads = ("z", "f") if name == "sum" else ("z",)
                    named = tuple(found.names[each] for each in reads)
                    self.steps[node.outputs[0]] = flow.Node(tuple(pieces), named, _where(node))
                    taken |= found.nodes
                    break
        for node in graph.nodes:
            if node.outputs[0] not in taken:
                raise node.refuse("is part of nothing that is known in this place")

    def parts(self) -> list[Part]:
        """Return the layers of the network."""

        def block(inner: Sequence[Piece], where: str) -> Part:
            return arriving.residual(settled(inner, begins=False), where)

        pieces = flow.parts_between(self.steps, self.graph.input, self.graph.result, block)
        parts = settled(pieces, begins=True)
        if parts and parts[0].layer.n_in is None:
            parts[0] = parts[0]._replace(layer=parts[0].layer.with_input_width(self.graph.widths[self.graph.input]))
        return parts

    def width(self, node: Node) -> int:
        """Return how many columns a node gives."""
        return self.graph.widths[node.outputs[0]]

    def row(self, node: Node, value: Array) -> Array:
        """Return a constant as one number for each column (n,)."""
        n = self.width(node)
        if value.dtype.kind != "f" or value.size not in (1, n) or value.shape[-1:] not in ((), (value.size,)):
            raise node.refuse(f"reads a constant of the shape {value.shape} and the type {value.dtype}, not {n} floats")
        return np.broadcast_to(value.reshape(-1), (n,))


def _where(node: Node) -> str:
    return printable(repr(node.name[:200]))


def _short(value: Any) -> float:
    """Return a number with the digits that float32 has kept of it: 0.01, and not 0.009999999776482582."""
    return float(str(np.float32(value)))


def _single(value: Array) -> float | None:
    """Return the number that all entries of a constant are, or None if they differ."""
    flat = value.reshape(-1)
    if not len(flat) or value.dtype.kind != "f" or (flat != flat[0]).any():
        return None
    return float(flat[0]) if value.dtype == np.float64 else _short(flat[0])


Maker = Callable[[Layers, Node, Names], "list[Piece] | None"]  # None: the pattern is something else


def _function(name: str) -> Maker:
    def make(_: Layers, node: Node, found: Names) -> list[Piece]:
        return [arriving.activation(name, _where(node))]

    return make


def _leaky_relu(_: Layers, node: Node, found: Names) -> list[Piece] | None:
    slope = _single(found["A"]) if "A" in found else _short(node.given(alpha=0.01))
    if slope is None:
        return None
    if not 0 <= slope < 1:
        raise node.refuse(f"has the slope {slope:g}; slopes are from 0 to below 1")
    return [arriving.activation("relu" if slope == 0 else LeakyReLU(slope), _where(node))]


def _elu(_: Layers, node: Node, found: Names) -> list[Piece] | None:
    alpha = _short(node.given(alpha=1.0)) if node.kind == "Elu" else _single(found["A"]) if "A" in found else 1.0
    if alpha is None:
        return None
    if not 0 < alpha < np.inf:
        raise node.refuse(f"has the alpha {alpha:g}; it is above 0")
    return [arriving.activation(ELU(alpha), _where(node))]


def _selu(_: Layers, node: Node, found: Names) -> list[Piece] | None:
    own = SELU()
    if node.kind == "Selu":
        alpha, scale = node.given(alpha=own.alpha, gamma=own.scale)
    else:
        scale, both = _single(found["S"]), _single(found["A"])
        if not scale or both is None:
            return None
        alpha = both / scale
    if not np.allclose([alpha, scale], [own.alpha, own.scale], rtol=10 * ROUNDING, atol=0):
        raise node.refuse(
            f"has the constants {alpha:g} and {scale:g}; those of SELU are {own.alpha:g} and {own.scale:g}"
        )
    return [arriving.activation(own, _where(node))]


def _gelu(_: Layers, node: Node, found: Names) -> list[Piece]:
    if node.kind == "Gelu" and (how := node.given(approximate=b"none")) != b"none":
        raise node.refuse(f"is the approximation {how[:20]!r} of GELU; the exact one, 'none', is known")
    return [arriving.activation("gelu", _where(node))]


def _silu(_: Layers, node: Node, found: Names) -> list[Piece]:
    if node.kind == "Swish" and (alpha := node.given(alpha=1.0)) != 1:
        raise node.refuse(f"has the alpha {alpha:g}; SiLU has 1")
    return [arriving.activation("silu", _where(node))]


def _softplus_above(_: Layers, node: Node, found: Names) -> list[Piece] | None:
    above = _single(found["T"])
    return [arriving.activation("softplus", _where(node))] if above is not None and above >= ABOVE else None


def _softmax(_: Layers, node: Node, found: Names) -> list[Piece]:
    if (axis := node.given(axis=-1 if "axis" not in node.settings else 1)) not in (1, -1):
        raise node.refuse(f"is over the axis {axis}; columns are the axis 1 or -1")
    return [arriving.activation("softmax", _where(node))]


def _parametric(layers: Layers, node: Node, found: Names) -> list[Piece] | None:
    """Return the activation that a step is, with strengths; None if it is another step."""
    step = layers.steps.get(found["f"])
    if step is None or step.reads != (found["z"],) or len(step.parts) != 1:
        return None
    layer = step.parts[0].layer if isinstance(step.parts[0], Part) else None
    if not isinstance(layer, Activation):
        return None
    a = arriving.numbers(layers.row(node, found["A"]), f"the strengths of {_where(node)}")
    return [Part(Parametric(layer.activation, n_in=len(a)), ({"a": a},), _where(node))]


def _prelu(layers: Layers, node: Node, found: Names) -> list[Piece]:
    return [arriving.prelu(layers.row(node, found["A"] if "A" in found else -found["N"]), _where(node))]


def _epsilon(node: Node, value: Array) -> float:
    epsilon = _single(value)
    if epsilon is None or not 0 < epsilon < np.inf:
        raise node.refuse("adds no positive number epsilon to the variance")
    return epsilon


def _of_rows(layers: Layers, node: Node, found: Names) -> tuple[Array | None, Array | None, int, float]:
    """Return gain, shift, width and epsilon of a norm of each row."""
    gamma, beta = (None if name not in found else layers.row(node, found[name]) for name in "GB")
    if node.kind not in ("LayerNormalization", "RMSNormalization"):
        return gamma, beta, layers.width(node), _epsilon(node, found["E"])
    axis, epsilon, _ = node.given(axis=-1, epsilon=1e-5, stash_type=1)
    if axis not in (1, -1):
        raise node.refuse(f"is over the axis {axis}; columns are the axis 1 or -1")
    return gamma, beta, layers.width(node), _short(epsilon)


def _layer_norm(layers: Layers, node: Node, found: Names) -> list[Piece]:
    return [arriving.layer_norm(*_of_rows(layers, node, found), _where(node))]


def _rms_norm(layers: Layers, node: Node, found: Names) -> list[Piece]:
    gamma, _, n, epsilon = _of_rows(layers, node, found)
    return [arriving.rms_norm(gamma, n, epsilon, _where(node))]


def _batch_norm(layers: Layers, node: Node, found: Names) -> list[Piece]:
    epsilon, momentum, training, _ = node.given(epsilon=1e-5, momentum=0.9, training_mode=0, spatial=1)
    if training:
        raise node.refuse("is in training mode")
    gamma, beta, mean, var = (layers.row(node, found[name]) for name in "GBMV")
    share = float(f"{1 - _short(momentum):.7g}")
    return [arriving.batch_norm(mean, var, gamma, beta, _short(epsilon), share, _where(node))]


def _scaler(layers: Layers, node: Node, found: Names) -> list[Piece]:
    offset, scale = (np.array(each, np.float32) for each in node.given(offset=[0.0], scale=[1.0]))
    a = Affine.of(layers.width(node), _where(node), scale.dtype)
    return [a.plus(-layers.row(node, offset).astype(np.float64)).times(layers.row(node, scale).astype(np.float64))]


def _standardize(*, clip: bool, missing: bool) -> Maker:
    def make(layers: Layers, node: Node, found: Names) -> list[Piece]:
        if missing and node.given(axis=1) not in (1, -1):
            raise node.refuse("joins rows, not columns")
        n = layers.graph.widths[found["z"]]
        mean, scale = (
            np.broadcast_to(arriving.numbers(found[name], _where(node)), (n,)).astype(np.float64).tolist()
            for name in "MS"
        )
        how = {"clip": clip, "missing": missing}
        return [Part(arriving.made(_where(node), Standardize, n, mean, scale, **how), (), _where(node))]

    return make


def _dropout(layers: Layers, node: Node, found: Names) -> list[Piece]:
    rate = layers.graph.dropout[node.outputs[0]]
    return [arriving.dropout(_short(rate), _where(node))] if rate else []


def _gemm(layers: Layers, node: Node, found: Names) -> list[Piece]:
    alpha, beta, turned, _ = node.given(alpha=1.0, beta=1.0, transA=0, transB=0)
    if turned:
        raise node.refuse("turns the rows that it reads (transA)")
    W, b = layers.graph.matrix(node), found.get("B")
    b = None if b is None else (layers.row(node, b) * beta).astype(b.dtype)
    return _dense(layers, node, W if W is None or alpha == 1 else (W * alpha).astype(W.dtype), b)


def _matmul(layers: Layers, node: Node, found: Names) -> list[Piece]:
    return _dense(layers, node, layers.graph.matrix(node), None)


def _dense(layers: Layers, node: Node, W: Array | None, b: Array | None) -> list[Piece]:
    if W is None:
        raise node.refuse("has no constant matrix on its right")
    layers.graph.file.take(W.size)
    return [arriving.dense(W, b, _where(node))]


def _affine(change: Callable[[Affine, Array], Affine]) -> Maker:
    def make(layers: Layers, node: Node, found: Names) -> list[Piece]:
        value = layers.row(node, found["C"])
        kept = Affine.of(len(value), _where(node), value.dtype)
        with np.errstate(all="ignore"):  # what comes of it is checked where it is used
            return [change(kept, value.astype(np.float64))]

    return make


def _neg(layers: Layers, node: Node, found: Names) -> list[Piece]:
    n = layers.width(node)
    return [Affine.of(n, _where(node), np.dtype(np.float32)).times(-np.ones(n))]


def _twice(layers: Layers, node: Node, found: Names) -> list[Piece]:
    n = layers.width(node)
    return [Affine.of(n, _where(node), np.dtype(np.float32)).times(np.full(n, 2.0))]


def _sum(layers: Layers, node: Node, found: Names) -> list[Piece]:
    """Return nothing: a sum of two results is no layer, but the end of a block."""
    return []


MAKERS: dict[str, Maker] = {
    **{name: _function(name) for name in ("relu", "mish", "sigmoid", "tanh", "softplus", "exp")},
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "softplus above": _softplus_above,
    "softmax": _softmax,
    "prelu": _prelu,
    "parametric": _parametric,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "batch_norm": _batch_norm,
    "clipped": _standardize(clip=True, missing=False),
    "with gaps": _standardize(clip=False, missing=True),
    "clipped, with gaps": _standardize(clip=True, missing=True),
    "scaler": _scaler,
    "dropout": _dropout,
    "gemm": _gemm,
    "matmul": _matmul,
    "neg": _neg,
    "less": _affine(lambda kept, by: kept.times(-np.ones(len(by))).plus(by)),
    "over": _affine(Affine.over),
    "times": _affine(Affine.times),
    "minus": _affine(lambda kept, by: kept.plus(-by)),
    "plus": _affine(Affine.plus),
    "twice": _twice,
    "sum": _sum,
}
