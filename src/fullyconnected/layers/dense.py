"""The fully connected layer, with its activation; and an activation as a layer of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fullyconnected import initializers
from fullyconnected.activations import activation
from fullyconnected.base import ActivationFunction, Layer, Param
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Views
from fullyconnected.core.batches import TrainingRows
from fullyconnected.core.checks import count
from fullyconnected.core.settings import LATER, settings
from fullyconnected.errors import ConfigError, InputTypeError, nearest
from fullyconnected.layers.widths import SameWidth

if TYPE_CHECKING:
    from fullyconnected.annotations import ActivationLike, InitializerLike

__all__ = ["Activation", "Dense"]

PARAMETRIZATIONS = ("standard", "ntk")


@settings
class Dense(Layer):
    r"""Connect every input to every output: ``y = f(x W + b)``.

    With z = x W + b and dz = f'(z) dy, the gradients are dW = x' dz, db = 1' dz and dx = dz W'. With the neural tangent
    parametrization, ``y = f(x W / sqrt(n_in) + b)``, so that dW and dx are divided by sqrt(n_in), too.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of inputs and outputs, 1 or more.
    activation : str, ActivationFunction, pair of functions, or None
        f: a name such as ``"relu"``, an object, or the pair (f, derivative of f); None for y = x W + b.
    bias : bool
        Whether the layer has biases b.
    init, bias_init : str, float or callable
        Initial values: a name (``"he_normal"``), a standard deviation, or a function
        ``(rng, shape, fan_in, fan_out) -> array``. ``init=None`` goes by the activation: ``he_normal`` for
        relu, leaky_relu, elu, gelu, silu and mish, ``lecun_normal`` for selu, else ``glorot_uniform``, or what
        ``suited_init`` of an activation of your own says. ``init="unit_variance"`` and ``bias_init="he+5"`` depend on
        the training rows, and are drawn by :meth:`Network.adapt` or at the start of the first training: weights with
        which z of each unit has standard deviation 1, and biases with which z = 0 goes through the midst of the rows.
    parametrization : {"standard", "ntk"}
        With ``"ntk"``, W as it is stored, trained, and shrunk by l2 and weight decay is sqrt(n_in) times as large:
        ``init`` means the weights that the outputs are computed with, W / sqrt(n_in). So the outputs at the beginning
        are those of the standard parametrization with the same ``init`` and seed; with ``"lecun_normal"``, W has the
        variance 1.

    Shapes
    ------
    x (rows, n_in), W (n_in, n_out), b (n_out,), y (rows, n_out).

    Raises
    ------
    ConfigError, InputTypeError, UnknownNameError
        For sizes below 1 or not whole, or an unknown activation, initializer or parametrization.

    Examples
    --------
    >>> {name: param.shape for name, param in Dense(2, 3, "relu").params().items()}
    {'W': (2, 3), 'b': (3,)}

    >>> Dense(2, 3, parametrization="ntk").parametrization
    'ntk'

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 1986; of
    ``"ntk"``: Jacot, Gabriel and Hongler, "Neural tangent kernel", NeurIPS 2018, section 2.
    """

    n_in: int
    n_out: int
    activation: ActivationFunction | None = None
    bias: bool = field(default=True, kw_only=True)
    init: InitializerLike | None = field(default=None, kw_only=True)
    bias_init: InitializerLike = field(default="zeros", kw_only=True)
    parametrization: str = field(default="standard", kw_only=True, metadata=LATER)
    name: ClassVar[str] = "dense"

    if TYPE_CHECKING:  # what may be given for an activation, which then is one

        def __init__(
            self,
            n_in: int,
            n_out: int,
            activation: ActivationLike | None = None,
            *,
            bias: bool = True,
            init: InitializerLike | None = None,
            bias_init: InitializerLike = "zeros",
            parametrization: Literal["standard", "ntk"] = "standard",
        ) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_in", count("n_in of Dense", self.n_in))
        object.__setattr__(self, "n_out", count("n_out of Dense", self.n_out))
        if self.activation is not None:
            object.__setattr__(self, "activation", activation(self.activation))
        if not isinstance(self.bias, bool):
            raise InputTypeError(f"bias is True or False; got {self.bias!r} (its initial values are bias_init)")
        if self.init is None:
            object.__setattr__(self, "init", (self.activation or ActivationFunction).suited_init)
        initializers.check(self.init, "init")
        initializers.check(self.bias_init, "bias_init")
        if not isinstance(self.parametrization, str) or self.parametrization not in PARAMETRIZATIONS:
            raise nearest("parametrization", self.parametrization, PARAMETRIZATIONS)

    @property
    def weight_factor(self) -> float:
        """The factor on x W: 1 / sqrt(n_in) with the neural tangent parametrization."""
        return 1 / math.sqrt(self.n_in) if self.parametrization == "ntk" else 1.0

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(n, n, "tanh")

    def params(self) -> Mapping[str, Param]:
        W = {"W": Param((self.n_in, self.n_out), decays=True, matrix=True, roles=("weight",))}
        return {**W, "b": Param((self.n_out,), roles=("bias",))} if self.bias else W

    def cache(self, rows: int) -> BufferSpecs:
        wanted: dict[str, Any] = {"ones": np.ones(rows)}
        if self.weight_factor != 1:
            wanted["factor"] = np.array(self.weight_factor)
        if self.activation is None:
            return wanted
        if self.activation.needs_input:
            wanted["z"] = (rows, self.n_out)
        others = self.activation.cache(rows, self.n_out)
        if both := wanted.keys() & others.keys():
            raise ConfigError(
                f"{type(self.activation).__name__}.cache() requests a buffer {min(both)!a}, but Dense has one of that "
                f"name: choose another"
            )
        return {**wanted, **others}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        W = initializers.draw(self.init, rng, (self.n_in, self.n_out), self.n_in, self.n_out)
        p.W = W if self.weight_factor == 1 else W / self.weight_factor
        if self.bias:
            p.b = initializers.draw(self.bias_init, rng, (self.n_out,), self.n_in, self.n_out)

    def adapt(self, p: Views, rows: TrainingRows, weights: Array, rng: np.random.Generator) -> Layer:
        if np.isnan(p.W).any():
            W = initializers.WEIGHTS_FROM_ROWS[str(self.init)](rng, p.W.shape, rows, weights)
            p.W = W if self.weight_factor == 1 else W / self.weight_factor
        if self.bias and np.isnan(p.b).any():
            W = p.W.astype(np.float64)
            W *= self.weight_factor
            p.b = initializers.BIASES_FROM_ROWS[str(self.bias_init)](rng, W, rows, weights)
        return self

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        f = self.activation
        z = c.z if f is not None and f.needs_input else y  # if backward needs only y, z is overwritten by it
        x.dot(p.W, out=z)  # (rows, n_in) (n_in, n_out)
        if self.weight_factor != 1:
            c.xp.multiply(z, c.factor, out=z)
        if self.bias:
            c.xp.add(z, p.b, out=z)
        if f is not None:
            f.forward(z, c, y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        f = self.activation
        if f is not None:
            f.backward(c.z if f.needs_input else y, c, y, dy)  # dy is dL/dz from here on
        if self.bias:
            c.ones.dot(dy, out=g.b)  # (rows,) (rows, n_out)
        if self.weight_factor != 1:
            c.xp.multiply(dy, c.factor, out=dy)
        x.T.dot(dy, out=g.W)  # (n_in, rows) (rows, n_out)
        if dx is not None:
            dy.dot(p.W.T, out=dx)  # (rows, n_out) (n_out, n_in)

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        if self.activation is None or not self.activation.kinks:
            return None
        z = x @ p.W * self.weight_factor
        z = z + p.b if self.bias else z
        return np.stack([z - kink for kink in self.activation.kinks])


@settings
class Activation(SameWidth):
    """Apply an activation as a separate layer: ``y = f(x)``; dx = f'(x) dy.

    Parameters
    ----------
    activation : str, ActivationFunction or pair of functions
        f, as in :class:`Dense`.
    n_in : int, optional
        The width; None takes it from the previous layer.

    Shapes
    ------
    x and y (rows, n_in).

    Raises
    ------
    UnknownNameError, InputTypeError
        For an unknown activation, or something that is not an activation.

    Examples
    --------
    >>> Activation("tanh").with_input_width(3).n_out
    3

    Source: Rumelhart, Hinton and Williams 1986, as :class:`Dense`.
    """

    activation: ActivationFunction
    name: ClassVar[str] = "activation"

    if TYPE_CHECKING:

        def __init__(self, activation: ActivationLike, *, n_in: int | None = None) -> None: ...

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "activation", activation(self.activation))

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls("tanh", n_in=n)

    def cache(self, rows: int) -> BufferSpecs:
        return self.activation.cache(rows, self.width)

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        self.activation.forward(x, c, y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is not None:
            c.xp.copyto(dx, dy)
            self.activation.backward(x, c, y, dx)

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        kinks = self.activation.kinks
        return np.stack([x - kink for kink in kinks]) if kinks else None
