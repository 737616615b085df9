"""Inverted dropout: entries that are kept are scaled up in training, so that prediction needs no correction."""

from typing import ClassVar

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache, Views
from fullyconnected.core.checks import number
from fullyconnected.core.settings import settings
from fullyconnected.layers.widths import SameWidth

__all__ = ["Dropout"]


@settings
class Dropout(SameWidth):
    """Set each entry to zero with probability ``rate`` in training: ``y = m x``, with m = 0 or 1 / (1 - rate).

    In prediction, and for gradients with ``train=False``, y = x. The mask is a function of seed, step, layer, row
    and unit, so that a repeated or resumed run drops the same units. In a run with ``dropout_schedule``, the rate of a
    step is ``rate`` times what the schedule gives; at a lower rate, a part of the same units is dropped.

    Parameters
    ----------
    rate : float
        The probability, in [0, 1).
    n_in : int, optional
        The width; None takes it from the previous layer.

    Shapes
    ------
    x and y (rows, n_in).

    Raises
    ------
    ConfigError
        For a rate outside [0, 1).

    Examples
    --------
    >>> Dropout(0.5).with_input_width(3)
    Dropout(n_in=3, rate=0.5)

    Source: Srivastava et al., "Dropout", JMLR 2014; scaled in training, as is now usual, not in prediction.
    """

    rate: float
    name: ClassVar[str] = "dropout"
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        number("rate of Dropout", self.rate, below=1)

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(0.3, n_in=n)

    def cache(self, rows: int) -> BufferSpecs:
        shape = (rows, self.width)
        return {
            "m": shape,
            "uniform": Buffer(shape, np.float32),
            "stays": Buffer(shape, np.bool_),
            "scale": np.full((), 1 / (1 - self.rate)),
        }

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        factor = c.uniforms.dropout  # of a schedule, if there is one
        rate = self.rate if factor is None else self.rate * factor
        c.drops = train and self.rate > 0
        if c.drops:
            c.uniforms.fill(c.uniform)
            c.xp.greater_equal(c.uniform, rate, out=c.stays)
            c.xp.copyto(c.m, c.stays)
            c.xp.multiply(c.m, c.scale if factor is None else 1 / (1 - rate), out=c.m)
            c.xp.multiply(x, c.m, out=y)
        else:
            c.xp.copyto(y, x)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is None:
            return
        if c.drops:
            c.xp.multiply(dy, c.m, out=dx)
        else:
            c.xp.copyto(dx, dy)
