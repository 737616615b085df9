"""Layers with one learned factor for each unit: Scale multiplies its input by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Views
from fullyconnected.core.settings import settings
from fullyconnected.layers.widths import SameWidth

__all__ = ["Scale"]


@settings
class Scale(SameWidth):
    """Multiply each column by a factor that is learned: ``y = s * x``; ds = 1' (x * dy), dx = s * dy.

    At the beginning of a network, before the first product, the factors let training choose how much each input counts;
    l2 and weight decay leave them alone. Their initial value is 1.

    Parameters
    ----------
    n_in : int, optional
        The width; None takes it from the previous layer.

    Shapes
    ------
    x and y (rows, n_in), s (n_in,).

    Raises
    ------
    ConfigError, InputTypeError
        For a width below 1 or not whole.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.Scale(2)])
    >>> net.params[0].s = [1, 10]
    >>> net.predict([[3.0, 4.0]]).tolist()
    [[3.0, 40.0]]

    Source: Holzmueller, Grinsztajn and Steinwart, "Better by default", NeurIPS 2024, section 3: the scaling layer.
    """

    n_in: int | None = None
    name: ClassVar[str] = "scale"

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(n)

    def params(self) -> Mapping[str, Param]:
        return {"s": Param((self.width,), roles=("scale",))}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        p.s = 1

    def cache(self, rows: int) -> BufferSpecs:
        return {"product": (rows, self.width), "ones": np.ones(rows)}

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        c.xp.multiply(x, p.s, out=y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        xp = c.xp
        xp.multiply(x, dy, out=c.product)
        c.ones.dot(c.product, out=g.s)  # (rows,) (rows, n)
        if dx is not None:
            xp.multiply(dy, p.s, out=dx)
