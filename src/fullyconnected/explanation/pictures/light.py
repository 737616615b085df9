"""What is in focus in a picture: a unit with its weights, or all paths of a number to the loss with their shares."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.messages import Message
from fullyconnected.errors import UnknownNameError
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.pictures.scene import At, Edge, Scene, Unit, Wire
from fullyconnected.symbolic.digits import place, shown

__all__ = ["Light", "light_of", "said_of"]


@dataclass
class Light:
    """Units, edges, wires and ways past blocks that are lit, by their numbers in the scene, with their shares.

    A share is the part of the gradient that comes through, or None if it is not known.
    """

    quantity: str
    units: set[At] = field(default_factory=set)
    edges: dict[int, float | None] = field(default_factory=dict)
    wires: dict[int, float | None] = field(default_factory=dict)
    skips: dict[int, float | None] = field(default_factory=dict)
    said: Message | None = None

    @property
    def largest(self) -> float:
        """The size of the largest share."""
        shares = [*self.edges.values(), *self.wires.values(), *self.skips.values()]
        return max((abs(share) for share in shares if share is not None and math.isfinite(share)), default=0.0) or 1.0

    @property
    def has_shares(self) -> bool:
        """Whether lines are as thick as their shares."""
        return any(share is not None for share in (*self.edges.values(), *self.wires.values()))

    def strength(self, share: float | None) -> float:
        """Return the size of a share beside the largest, from 0 to 1."""
        if share is None:
            return 0.5
        return abs(share) / self.largest if math.isfinite(share) else 1.0


def light_of(scene: Scene, focus: Focus | str) -> Light | None:
    """Return what a focus lights, or None for a number that has no place in the picture, such as a gain."""
    quantity = focus if isinstance(focus, str) else f"{focus.name.quantity}{place(focus.at)}"
    centre = {at for at, unit in scene.units() if any(cell.quantity == quantity for cell in unit.cells)}
    every = list(scene.edges())
    edges = [n for n, edge in enumerate(every) if edge.number.quantity == quantity]
    said = Message("In focus: {about}.", about=every[edges[0]].about) if edges else None  # a matrix has no numbers
    if isinstance(focus, Focus):
        return _of_paths(scene, focus, Light(quantity, set(centre), said=said), edges)
    if not centre and not edges:
        known = {cell.quantity for _, unit in scene.units() for cell in unit.cells}
        known |= {edge.number.quantity for edge in scene.edges()}
        close = difflib.get_close_matches(quantity, known - {""}, n=3, cutoff=0)
        raise UnknownNameError(f"{quantity!r} is not in the picture; the nearest are {', '.join(close)}")
    return _of_lines(scene, Light(quantity, set(centre), said=said), edges)


def _of_lines(scene: Scene, light: Light, begins: list[int]) -> Light:
    """Light a unit with its own lines, or a weight and all that its unit leads to."""
    every = list(scene.edges())
    if not begins:
        centre = set(light.units)
        light.edges = {n: None for n, e in enumerate(every) if e.source in centre or e.target in centre}
        light.wires = {n: None for n, wire in enumerate(scene.wires) if {wire.source, wire.target} & centre}
        lines: list[Edge | Wire] = [*(every[n] for n in light.edges), *(scene.wires[n] for n in light.wires)]
        light.units |= {end for line in lines for end in (line.source, line.target)}
        return light
    light.edges = dict.fromkeys(begins)
    light.units = {every[n].target for n in begins}
    for c in range(len(scene.columns)):  # columns are in the order of the computation
        light.edges |= {
            n: None for n, e in enumerate(every) if e.source in light.units and e.source[0] == c and e.number.value != 0
        }
        light.wires |= {
            n: None for n, w in enumerate(scene.wires) if w.source in light.units and w.source[0] == c and not w.cut
        }
        light.units |= {every[n].target for n in light.edges} | {scene.wires[n].target for n in light.wires}
        for n, skip in enumerate(scene.skips):
            if skip.source == c and any(at[0] == c for at in light.units):
                light.skips[n] = None
                light.units |= {(skip.target, k) for k in scene.columns[skip.target].own if (c, k) in light.units}
    light.units |= {every[n].source for n in begins}
    return light


def _of_paths(scene: Scene, focus: Focus, light: Light, begins: list[int]) -> Light | None:
    """Light all entries that a number affects, and the lines between them."""
    every = list(scene.edges())
    shares = focus.shares
    moved: dict[str, Array] = {wire.quantity: np.any(entries, axis=0) for wire, entries in focus.moved.items()}

    def lit(unit: Unit) -> bool:
        name, _, at = unit.quantity.rpartition("[")
        return name in moved and bool(moved[name][int(at.rstrip("]").split(",")[-1])])

    on_the_way = {at for at, unit in scene.units() if lit(unit)}
    ends = {at for at, unit in scene.units() if unit.kind == "loss"}
    ends |= {wire.target for wire in scene.wires if wire.source in on_the_way and _is_end(scene, wire.target)}
    light.units |= on_the_way | ends
    for n, edge in enumerate(every):
        if n in begins or (edge.source in on_the_way and edge.target in on_the_way and edge.number.value != 0):
            name, _, at = edge.number.quantity.rpartition("[")
            entry = tuple(map(int, at.rstrip("]").split(",")))
            array = shares.get(name)
            share = float(array[entry]) if array is not None else None
            light.edges[n] = _through(scene, shares, edge.target) if n in begins else share
    for n, wire in enumerate(scene.wires):
        if wire.source in light.units and wire.target in light.units and not wire.cut:
            light.wires[n] = _through(scene, shares, wire.source if _is_end(scene, wire.target) else wire.target)
    for n, skip in enumerate(scene.skips):
        full = scene.columns[skip.target].units[0].quantity.rpartition("[")[0]
        if f"{full}:skip" in shares and any(at[0] == skip.source for at in on_the_way):
            light.skips[n] = float(shares[f"{full}:skip"])
    light.units |= {every[n].source for n in begins}
    light.said = focus.summary if light.said is None else light.said + focus.summary
    return light if on_the_way else None


def _is_end(scene: Scene, at: At) -> bool:
    return scene.columns[at[0]].units[at[1]].kind in ("target", "loss")


def _through(scene: Scene, shares: dict[str, Array], at: At) -> float | None:
    """Return what comes through a unit: the share of its last number."""
    unit = scene.columns[at[0]].units[at[1]]
    name, _, rest = unit.quantity.rpartition("[")
    array = shares.get(name)
    if array is None:
        return None
    row, unit_number = map(int, rest.rstrip("]").split(","))
    return float(array[row % len(array), unit_number])


def said_of(about: str, light: Light | None, share: float | None) -> str:
    """Return what a tooltip says of a line, with its share."""
    if light is None or share is None:
        return about
    return Message(
        "{about}; {share} of the gradient of {quantity} comes this way",
        about=about,
        share=shown(share),
        quantity=light.quantity,
    )
