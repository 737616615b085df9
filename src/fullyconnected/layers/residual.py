"""The residual block ``y = x + F(x)``. Its operations are the layers of F, and an addition that also reads x."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from fullyconnected.base import Layer, check_layer
from fullyconnected.core.arrays import Array, Cache, Views
from fullyconnected.core.contracts import is_foreign
from fullyconnected.core.settings import settings
from fullyconnected.errors import ConfigError, InputTypeError, ShapeError
from fullyconnected.layers.dense import Dense
from fullyconnected.layers.widths import SameWidth

__all__ = ["Add", "Residual", "chain"]


def chain(layers: Sequence[Layer], n_in: int | None, n_out: int | None = None, within: str = "") -> tuple[Layer, ...]:
    """Return the layers with all widths, each taking an open one from the layer before; or raise if two do not fit.

    ``n_out`` is the number of outputs that they are to have, if it is given; messages begin with ``within``.
    """
    sized: list[Layer] = []
    for i, layer in enumerate(layers):
        _check(layer, f"{within}layer {i}")
        if n_in is None:
            if layer.n_in is None:
                raise ShapeError(f"{within}layer {i}, {layer!r:.200}, comes first and has no width: give it n_in")
        else:
            try:
                layer = layer.with_input_width(n_in)
            except ShapeError as error:
                before = f"layer {i - 1}, {sized[-1]!r:.200}" if sized else "the input of the block"
                raise ShapeError(f"{within}layer {i}, {layer!r:.200}, {error} ({before})") from None
            _check(layer, f"{within}what with_input_width of layer {i} returns")
        sized.append(layer)
        n_in = layer.n_out
    if n_out not in (None, n_in):
        raise ShapeError(f"{within}the block needs {n_out} outputs, but its last layer gives {n_in}")
    return tuple(sized)


def _check(layer: Any, what: str) -> None:
    """Raise if something is no layer, or is of a user's own class and cannot be used."""
    if not isinstance(layer, Layer):
        hint = f': fc.Activation("{layer:.40}")' if isinstance(layer, str) else ""
        hint = f": call it, {layer.__name__}(...)" if isinstance(layer, type) else hint
        raise InputTypeError(f"{what} is {layer!r:.200}; layers are Dense, Dropout and so on, or your own Layer{hint}")
    if is_foreign(layer):
        check_layer(layer)


@settings
class Residual(SameWidth):
    """Add a block's input to its output: ``y = x + F(x)``; dx = dy + F'(x)' dy.

    Parameters
    ----------
    layers : sequence of Layer
        F: one layer or more, with as many outputs as inputs; Residual blocks may be among them.
    n_in : int, optional
        The width; None takes it from the block's first layer, or from the layer before the block.

    Shapes
    ------
    x and y (rows, n_in).

    Raises
    ------
    ShapeError
        Where the block changes the width, or its layers do not fit each other.

    Examples
    --------
    >>> from fullyconnected.layers import Dense
    >>> Residual([Dense(4, 8, "relu"), Dense(8, 4)]).n_out
    4

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, equation 1.
    """

    layers: Sequence[Layer]
    name: ClassVar[str] = "residual"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.layers, Layer) or not isinstance(self.layers, Sequence) or not self.layers:
            raise ConfigError(f"Residual takes a list of one layer or more; got {self.layers!r}")
        n_in = self.n_in
        if n_in is None and isinstance(self.layers[0], Layer):
            n_in = self.layers[0].n_in
        object.__setattr__(self, "n_in", n_in)
        # if no width is known yet, the layer before the block will give it
        layers = tuple(self.layers) if n_in is None else chain(self.layers, n_in, n_in, "Residual: ")
        object.__setattr__(self, "layers", layers)

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls([Dense(n, n, "tanh")])

    def steps(self) -> Iterable[Layer]:
        return (*self.layers, Add(n_in=self.width))

    def with_steps(self, steps: Sequence[Layer]) -> Self:
        return replace(self, layers=tuple(steps[:-1]))


@settings
class Add(SameWidth):
    """The end of a residual block: y = x + the input of the block; the gradient of both is dy."""

    name: ClassVar[str] = "add"
    skips: ClassVar[bool] = True

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        c.xp.add(x, c.skip, out=y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        c.xp.copyto(c.d_skip, dy)
        if dx is not None:
            c.xp.copyto(dx, dy)
