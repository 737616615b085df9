"""What a picture of a network shows: columns of units, the weights between them, and the lines that carry values on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, NamedTuple

from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import say
from fullyconnected.symbolic.digits import brief, shown

__all__ = ["At", "Column", "Edge", "Fan", "Number", "Scene", "Skip", "Unit", "Wire"]

At = tuple[int, int]  # a column, and one of its units


class Number(NamedTuple):
    """A value and its gradient, None where they are not known; ``quantity`` is its name throughout a page."""

    quantity: str
    value: Any = None
    gradient: Any = None

    def of(self, layer: str) -> Any:
        """Return the value, or the gradient for the layer ``"gradients"``."""
        return self.gradient if layer == "gradients" else self.value

    def quantity_of(self, layer: str) -> str:
        """Return the name of the value, or that of the gradient."""
        return f"dL:{self.quantity}" if layer == "gradients" else self.quantity

    def text(self, layer: str) -> str:
        """Return the value or the gradient with three digits, or nothing."""
        value = self.of(layer)
        return "" if value is None else brief(value)

    def said(self, name: str) -> str:
        """Return both numbers with all their digits, after a name."""
        if self.gradient is None:
            return name if self.value is None else f"{name} = {shown(self.value)}"
        if self.value is None:
            return Message("gradient {gradient}", gradient=shown(self.gradient))
        return Message(
            "{name} = {value}, gradient {gradient}", name=name, value=shown(self.value), gradient=shown(self.gradient)
        )


class Unit(NamedTuple):
    """A node: its name, its kind and its numbers, of which the last one is what it gives on.

    Kinds are input, hidden, output, bias, target and loss. ``names`` has the name of each number, and ``called`` is
    what it is outside of the network: the name of a column or of a class.
    """

    name: str
    kind: str
    cells: tuple[Number, ...] = ()
    names: tuple[str, ...] = ()
    dropped: bool = False
    called: str = ""

    @property
    def quantity(self) -> str:
        """The name of what it gives on."""
        return self.cells[-1].quantity if self.cells else ""

    @property
    def about(self) -> str:
        """Its numbers with all their digits."""
        if self.kind == "bias":
            return Message("1, which the biases multiply")
        each = [cell.said(name) for cell, name in zip(self.cells, self.names, strict=True)] or [self.name]
        said = reduce(lambda one, other: Message("{one}; {other}", one=one, other=other), each)
        said = Message("{said}; dropped", said=said) if self.dropped else said
        return Message("{name}: {said}", name=self.called, said=said) if self.called else said


@dataclass
class Column:
    """Units below each other: what one operation gives.

    Attributes
    ----------
    title : tuple of str
        Lines above it: the operation, and what else there is to say.
    captions : tuple of str
        What stands above each number of its units.
    units : list of Unit
        Those that are drawn; ``total`` is how many there are without biases.
    follows : list of At or None
        For a unit that stands in the row of another one, which that is.
    depth, lane : int
        The place from left to right, and the branch that it belongs to, with 0 for none.
    named : bool
        Whether its units have their names beside the numbers; a thin column has none.
    band, stacked : bool
        Whether it mixes the units of a row, or the rows of a unit.
    sign : str
        What stands in its units before the numbers, such as +.
    block : str
        The name of the block that the operation is in, or nothing.
    back : bool
        Whether its title reaches back over the column before it, which has none.
    """

    title: tuple[str, ...]
    captions: tuple[str, ...]
    units: list[Unit]
    total: int
    follows: list[At | None] = field(default_factory=list)
    depth: int = 0
    lane: int = 0
    named: bool = True
    band: bool = False
    stacked: bool = False
    sign: str = ""
    block: str = ""
    back: bool = False

    @property
    def own(self) -> list[int]:
        """The numbers of its units without biases."""
        return [k for k, unit in enumerate(self.units) if unit.kind != "bias"]

    @property
    def hidden(self) -> int:
        """How many units are not drawn; a mark before the last unit stands for them."""
        return max(0, self.total - len(self.own))

    @property
    def more(self) -> Message:
        """What stands at that mark."""
        return Message("{n} more", n=self.hidden)


class Edge(NamedTuple):
    """A weight or a bias, between two units."""

    source: At
    target: At
    number: Number
    name: str

    @property
    def about(self) -> str:
        """Its numbers with all their digits."""
        return self.number.said(self.name)


@dataclass
class Fan:
    """The weights of a Dense layer, from one column to another.

    ``largest`` has the largest size of a value and of a gradient, in the whole matrix; ``labels`` are the names of its
    columns, and ``places`` says in which of them the weights of a target are. If ``matrix``, the numbers are drawn as
    one, else they stand at the edges.
    """

    source: int
    target: int
    name: str
    edges: list[Edge]
    largest: tuple[float, float]
    labels: list[str]
    places: dict[At, int]
    matrix: bool


class Wire(NamedTuple):
    """A line that carries a value on as it is, from one unit to another; ``cut`` if a zero took its place."""

    source: At
    target: At
    quantity: str
    cut: bool = False


class Skip(NamedTuple):
    """The way past a block, from the column that enters it to the one in which it ends."""

    source: int
    target: int
    quantity: str
    text: str
    back: str
    block: str


@dataclass
class Scene:
    """Everything in a picture, and the language of its words.

    ``layers`` are the kinds of numbers that are known: values, gradients.
    """

    columns: list[Column]
    fans: list[Fan]
    wires: list[Wire]
    skips: list[Skip]
    layers: tuple[str, ...]
    lang: str = "en"

    def say(self, message: str) -> str:
        """Return words in the language of the picture."""
        return say(message, self.lang)

    def units(self) -> Iterator[tuple[At, Unit]]:
        """Yield all units with their places."""
        for c, column in enumerate(self.columns):
            for k, unit in enumerate(column.units):
                yield (c, k), unit

    def edges(self) -> Iterator[Edge]:
        """Yield all weights and biases."""
        for fan in self.fans:
            yield from fan.edges
