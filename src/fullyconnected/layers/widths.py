"""Layers whose output is as wide as their input, and which can take that width from the previous layer."""

from dataclasses import field, replace
from typing import Self

from fullyconnected.base import Layer
from fullyconnected.core.checks import count
from fullyconnected.core.settings import settings
from fullyconnected.errors import ShapeError

__all__ = ["SameWidth"]


@settings
class SameWidth(Layer):
    """A layer with ``n_out = n_in``; ``n_in=None`` takes the width of the previous layer."""

    n_in: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.n_in is not None:
            object.__setattr__(self, "n_in", count(f"n_in of {type(self).__name__}", self.n_in))

    @property
    def n_out(self) -> int | None:
        """The number of outputs, which is the number of inputs."""
        return self.n_in

    @property
    def width(self) -> int:
        """The width, once it is known."""
        if self.n_in is None:
            raise ShapeError(f"{type(self).__name__} has no width yet: give n_in, or put it after a layer that has one")
        return self.n_in

    def with_input_width(self, n_in: int) -> Self:
        return replace(self, n_in=n_in) if self.n_in is None else super().with_input_width(n_in)
