"""Layers with one learned factor for each unit: on its input (Scale), or on what an activation changes (Parametric)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fullyconnected.activations import activation
from fullyconnected.base import ActivationFunction, Layer, Param
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Views
from fullyconnected.core.settings import settings
from fullyconnected.errors import ConfigError
from fullyconnected.layers.widths import SameWidth

if TYPE_CHECKING:
    from fullyconnected.annotations import ActivationLike

__all__ = ["Parametric", "Scale"]


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


@settings
class Parametric(SameWidth):
    """Apply an activation with a strength that each unit learns: ``y = x + a * (f(x) - x)``.

    With a = 0 a unit is linear, with a = 1, the initial value, it is f, and beyond, it bends more than f. The gradients
    are da = 1' (dy * (f(x) - x)) and dx = (1 - a) * dy + f'(x) (a * dy). l2 and weight decay leave a alone. At the
    kinks of f, the derivative is the one that f has there.

    Parameters
    ----------
    activation : str, ActivationFunction or pair of functions
        f, as in :class:`Dense`.
    n_in : int, optional
        The width; None takes it from the previous layer.

    Shapes
    ------
    x and y (rows, n_in), a (n_in,).

    Raises
    ------
    UnknownNameError, InputTypeError, ConfigError
        For an unknown activation, or something that is not an activation; for a width below 1 or not whole.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.Dense(1, 3, init="ones"), fc.Parametric("relu")])
    >>> net.params[1].a = [0, 0.5, 1]
    >>> net.predict([[-2.0], [3.0]]).tolist()
    [[-2.0, -1.0, 0.0], [3.0, 3.0, 3.0]]

    Source: Holzmueller, Grinsztajn and Steinwart, "Better by default", NeurIPS 2024, section 3: parametric activation
    functions.
    """

    activation: ActivationFunction
    name: ClassVar[str] = "parametric"

    if TYPE_CHECKING:

        def __init__(self, activation: ActivationLike, *, n_in: int | None = None) -> None: ...

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "activation", activation(self.activation))

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls("tanh", n_in=n)

    def params(self) -> Mapping[str, Param]:
        return {"a": Param((self.width,), roles=("activation",))}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        p.a = 1

    def cache(self, rows: int) -> BufferSpecs:
        shape = rows, self.width
        own: dict[str, Any] = {"f": shape, "bend": shape, "ones": np.ones(rows)}
        others = self.activation.cache(*shape)
        if both := own.keys() & others.keys():
            raise ConfigError(
                f"{type(self.activation).__name__}.cache() requests a buffer {min(both)!a}, but Parametric has one of "
                f"that name: choose another"
            )
        return {**own, **others}

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        xp = c.xp
        self.activation.forward(x, c, c.f)
        xp.subtract(c.f, x, out=c.bend)
        xp.multiply(c.bend, p.a, out=y)
        xp.add(y, x, out=y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        xp = c.xp
        xp.multiply(c.bend, dy, out=c.bend)
        c.ones.dot(c.bend, out=g.a)  # (rows,) (rows, n)
        if dx is not None:
            xp.multiply(dy, p.a, out=dx)
            xp.subtract(dy, dx, out=dy)
            self.activation.backward(x, c, c.f, dx)
            xp.add(dx, dy, out=dx)

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        kinks = self.activation.kinks
        return np.stack([x - kink for kink in kinks]) if kinks else None
