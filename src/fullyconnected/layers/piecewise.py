"""Numeric columns by bins: PiecewiseLinearEncoding, the shares of the bins, and PiecewiseLinearEmbedding of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Shape, Views
from fullyconnected.core.checks import count
from fullyconnected.core.settings import settings
from fullyconnected.layers.bins import Bins, example_edges

__all__ = ["PiecewiseLinearEmbedding", "PiecewiseLinearEncoding"]


@settings
class PiecewiseLinearEncoding(Bins):
    r"""Give each column as its shares of bins: ``y = [v_1 | v_2 | ...]``.

    Of column j with the edges e_0 < e_1 < ... < e_m, v_j says how much of each bin lies below x_j: 1 for the bins below
    it, (x_j - e_(k-1)) / (e_k - e_(k-1)) for the one that it lies in, and 0 for those above. Nothing is cut off at the
    ends: below e_0 the first share goes on and becomes negative, and above e_m the last one exceeds 1. A linear map of
    v is a line that may bend at the edges, so that the next layer can take values that are close to each other for
    quite different ones, as trees do. It has no parameters; :class:`PiecewiseLinearEmbedding` has such a map of its own
    for each column, and so fewer outputs.

    Edges that are not given are quantiles of the training rows, by their weights: :func:`fullyconnected.fit` takes them
    once, at the start of the first training, or :meth:`Network.adapt`. Quantiles that are equal are one edge. A column
    with fewer bins than ``bins``, as one with few different values, or a constant, which has none, leaves its last
    outputs unused: they are 0. For the bin k in which x lies, dx = dy_k / (e_k - e_(k-1)); at an edge between two bins,
    that is the bin below. Where columns have different units or far values, :class:`Standardize` should come before,
    with ``clip=True``.

    Parameters
    ----------
    n_in : int, optional
        The number of columns; None takes it from the edges, or from the previous layer.
    bins : int, optional
        The largest number of bins of a column, 1 or more; None for as many as the edges make, or 16.
    edges : sequence of arrays, optional
        For each column its edges, finite and in increasing order, at least 1e-30 apart, and within the range of
        float32; one edge alone for a column without bins.

    Shapes
    ------
    x (rows, n_in), y (rows, n_in bins): the shares of a column stand side by side.

    Raises
    ------
    ShapeError, ConfigError, InputTypeError
        For numbers below 1 or not whole, or edges that are not as above or more than ``bins`` and one.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.PiecewiseLinearEncoding(edges=[[0.0, 1.0, 3.0]])])
    >>> net.predict([[-1.0], [0.5], [1.0], [2.0], [5.0]]).tolist()
    [[-1.0, 0.0], [0.5, 0.0], [1.0, 0.0], [1.0, 0.5], [1.0, 2.0]]
    >>> parts = [([0, 1], [fc.Standardize(2, clip=True), fc.PiecewiseLinearEncoding(bins=4)]), (1, fc.Standardize(1))]
    >>> net = fc.Network([fc.Columns(parts), fc.Members(3, [fc.Dense(9, 1)], "packed")], seed=0)
    >>> net.adapt([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [4.0, 5.0], [8.0, 5.0]])
    >>> net.layers[0].parts[0][1][1].used
    (4, 0)

    Source: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS
    2022, section 3.2.
    """

    name: ClassVar[str] = "piecewise_linear_encoding"
    usual: ClassVar[int] = 16

    @property
    def n_out(self) -> int | None:
        """The number of outputs: ``bins`` for each column."""
        return None if self.n_in is None else math.prod(self.table)

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(n, 3, edges=example_edges(n))

    @classmethod
    def example_unset(cls, n: int) -> Layer:
        return cls(n, 3)

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        self.find_shares(x, c)
        c.xp.copyto(y.reshape(len(x), -1, self.table[1]), c.v.transpose(1, 0, 2))

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is None:
            return
        c.xp.copyto(c.dv, dy.reshape(len(x), -1, self.table[1]).transpose(1, 0, 2))
        self.pull_shares(x, c)
        c.xp.copyto(dx, c.half.T)


@settings
class PiecewiseLinearEmbedding(Bins):
    r"""Embed each column by a line that may bend at the edges of its bins: ``y_j = x_j w_j + v_j W_j + b_j``.

    Of column j with the edges e_0 < e_1 < ... < e_m, v_j says how much of each bin lies below x_j: 1 for the bins below
    it, (x_j - e_(k-1)) / (e_k - e_(k-1)) for the one that it lies in, and 0 for those above. Below e_0 the first bin
    goes on, and above e_m the last one, so that v is linear there and may leave 0 to 1. W begins at 0: at first y is
    linear in x, and training adds the bends, so that a network can take values that are close to each other for quite
    different ones, as trees do.

    Edges are constants, not parameters. Those that are not given are quantiles of the training rows, by their weights:
    :func:`fullyconnected.fit` takes them once, at the start of the first training, or :meth:`Network.adapt`. Quantiles
    that are equal are one edge. A column with fewer bins than ``bins``, as one with few different values, or a
    constant, which has none, leaves the last rows of W_j unused: they do nothing, and their gradient is 0. l2 and
    weight decay shrink w and W. At an edge between two bins, the derivative is that of the bin below. Where columns
    have different units, :class:`Standardize` should come before.

    For max(v W + b, 0), the form of the first paper, put ``Activation("relu")`` behind: x is a sum of shares, so that
    w adds no function, only a better beginning. A maximum of v W alone is not offered: at W = 0, its derivative is 0
    for ever.

    Parameters
    ----------
    n_in : int, optional
        The number of columns; None takes it from the edges, or from the previous layer.
    bins : int, optional
        The largest number of bins of a column, 1 or more; None for as many as the edges make, or 48.
    size : int
        The number of outputs of a column, 1 or more.
    edges : sequence of arrays, optional
        For each column its edges, finite and in increasing order, at least 1e-30 apart, and within the range of
        float32; one edge alone for a column without bins.

    Shapes
    ------
    x (rows, n_in), w and b (n_in, size), W (n_in, bins, size), y (rows, n_in size): the outputs of a column stand side
    by side.

    Raises
    ------
    ShapeError, ConfigError, InputTypeError
        For numbers below 1 or not whole, or edges that are not as above or more than ``bins`` and one.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> layer = PiecewiseLinearEmbedding(size=1, edges=[[0.0, 1.0, 3.0]])
    >>> net = fc.Network([layer])
    >>> net.params[0].w, net.params[0].b, net.params[0].W = 0, 0, [[[1.0], [10.0]]]
    >>> net.predict([[-1.0], [0.5], [1.0], [2.0], [5.0]]).ravel().tolist()
    [-1.0, 0.5, 1.0, 6.0, 21.0]
    >>> net = fc.Network([fc.PiecewiseLinearEmbedding(2, bins=4, size=3), fc.Dense(6, 1)], seed=0)
    >>> net.adapt([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [4.0, 5.0], [8.0, 5.0]])
    >>> net.layers[0]
    PiecewiseLinearEmbedding(2, 4, 3, edges=((0.0, 1.0, 2.0, 4.0, 8.0), (5.0,)))

    Source: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS
    2022, section 3.2; with x w, and W that begins at 0: Gorishniy, Kotelnikov and Babenko, "TabM", ICLR 2025, appendix.
    """

    size: int = 16
    name: ClassVar[str] = "piecewise_linear_embedding"
    usual: ClassVar[int] = 48

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "size", count("size of PiecewiseLinearEmbedding", self.size))

    @property
    def n_out(self) -> int | None:
        """The number of outputs: ``size`` for each column."""
        return None if self.n_in is None else self.n_in * self.size

    @property
    def shape(self) -> Shape:
        """The shape of W: columns, bins, and outputs of a column."""
        return *self.table, self.size

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(n, 3, 2, edges=example_edges(n))

    @classmethod
    def example_unset(cls, n: int) -> Layer:
        return cls(n, 3, 2)

    def params(self) -> Mapping[str, Param]:
        n, _, size = self.shape
        roles = ("embedding",)
        return {
            "w": Param((n, size), decays=True, roles=roles),
            "W": Param(self.shape, decays=True, roles=roles),
            "b": Param((n, size), roles=roles),
        }

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        most = 1 / math.sqrt(self.size)
        p.w = rng.uniform(-most, most, p.w.shape)
        p.W = 0
        p.b = rng.uniform(-most, most, p.b.shape)

    def cache(self, rows: int) -> BufferSpecs:
        n, _, size = self.shape
        return {**super().cache(rows), "column": (n, rows), "e": (n, rows, size), "de": (n, rows, size)}

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        xp = c.xp
        self.find_shares(x, c)
        xp.matmul(c.v, p.W, out=c.e)  # of each column (rows, bins) (bins, size)
        xp.multiply(x.T[:, :, None], p.w[:, None, :], out=c.de)
        xp.add(c.e, c.de, out=c.e)
        xp.add(c.e, p.b[:, None, :], out=c.e)
        xp.copyto(y.reshape(len(x), -1, self.size), c.e.transpose(1, 0, 2))

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        xp = c.xp
        xp.copyto(c.de, dy.reshape(len(x), -1, self.size).transpose(1, 0, 2))
        c.de.sum(axis=1, out=g.b)
        xp.matmul(c.v.transpose(0, 2, 1), c.de, out=g.W)  # of each column (bins, rows) (rows, size)
        xp.multiply(x.T[:, :, None], c.de, out=c.e)
        c.e.sum(axis=1, out=g.w)
        if dx is None:
            return
        xp.matmul(c.de, p.W.transpose(0, 2, 1), out=c.dv)  # (rows, size) (size, bins)
        self.pull_shares(x, c)
        xp.multiply(c.de, p.w[:, None, :], out=c.e)
        c.e.sum(axis=2, out=c.column)
        xp.add(c.half.T, c.column.T, out=dx)
