"""The layout of a picture: where each unit, each number and each line is, such that no words overlap.

Columns stand beside each other, each as wide as its numbers need. Between two of them are either the numbers of all
weights, below each other at the unit that they lead to and each on its own line, or the rows of a matrix, each beside
the unit whose weights it has. Every number has its place whether it is shown or not, and whatever it is: a text that is
longer than its place is squeezed into it.
"""

from __future__ import annotations

from typing import NamedTuple

from fullyconnected.explanation.pictures.scene import At, Column, Edge, Fan, Scene
from fullyconnected.pages.svg import lines, width

__all__ = [
    "CELL",
    "DIGIT",
    "HEAD",
    "LINE",
    "MARGIN",
    "MIDDLE",
    "PIXEL",
    "SIDE",
    "SMALL",
    "TITLE",
    "Box",
    "Label",
    "Placement",
]

SMALL, TITLE, MIDDLE = 11.0, 12.0, 11.0  # font sizes: of numbers and captions, of columns, of units
DIGIT = 6.8  # the width of a character of a number
LONGEST = 8  # characters in a number; a longer one is squeezed
CELL = LONGEST * DIGIT + 5  # the width of a number
LINE = 13.0  # the height of a line of numbers
HEAD = 15.0  # the height of a line of titles
GAP = 6.0  # between two units
SIDE = 18.0  # side of the square of a bias
PORT = 14.5  # the distance of numbers at weights
PIXEL = 12.0  # side of an entry of a matrix
MARGIN = 10.0
BROAD = 170.0  # a longer title is broken between its words
RUN = 64.0, 84.0  # the shortest and the longest way of lines across
THROUGH = 26.0  # the way of lines that carry a value on to the same row
SLANT = 44.0  # the same if they are not level
ARC = 20.0  # the height of a way past a block
SPREAD = 1.45  # few units are spread out, but not over the whole height


class Box(NamedTuple):
    """The middle of a unit, and its width."""

    x: float
    y: float
    wide: float


class Label(NamedTuple):
    """Where the numbers of a weight stand: the left end and the middle of their line."""

    x: float
    y: float


class Placement:
    """The positions of everything.

    Attributes
    ----------
    wide, high : float
        The size of the picture without its legend.
    tall : float
        The height of a unit.
    boxes : dict of At to Box
        The units.
    marks : dict of int to (float, float)
        For columns of which units are left out, where the mark for them stands.
    labels : dict of int and int to Label
        For the edges of a fan whose numbers stand at its lines: their place.
    strips : dict of int to float
        For a fan that is drawn as a matrix: where its rows begin.
    pitch : dict of int to float
        For such a fan, the distance of two columns of its matrix.
    arcs : list of float
        The height of each way past a block.
    heads, captions : float
        The height of the first line of titles, and of what stands above the numbers.
    titles : list of list of str
        The lines of each column's title.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.valued = any(cell.value is not None for _, unit in scene.units() for cell in unit.cells)
        rows = len(scene.layers) if self.valued else 1
        self.tall = 6 + LINE * rows
        self.titles = [
            [line for words in c.title for line in lines(scene.say(words), BROAD, TITLE)] for c in scene.columns
        ]
        self.ports: dict[At, list[tuple[int, int, Edge]]] = {}
        for f, fan in enumerate(scene.fans):
            for e, edge in enumerate(fan.edges) if not fan.matrix else ():
                self.ports.setdefault(edge.target, []).append((f, e, edge))
        self.boxes: dict[At, Box] = {}
        self.marks: dict[int, tuple[float, float]] = {}
        self.labels: dict[tuple[int, int], Label] = {}
        self.strips: dict[int, float] = {}
        self.pitch: dict[int, float] = {}
        self._across(self._down())

    # --- down ---------------------------------------------------------------------------------------------------------

    def _slots(self, c: int, column: Column) -> list[float]:
        """Return the height that each unit needs, and after the last the mark for those that are left out."""
        strip = (PIXEL * len(self.scene.layers) + 6) if any(f.source == c and f.matrix for f in self.scene.fans) else 0
        slots = []
        for k, unit in enumerate(column.units):
            if unit.kind == "bias":
                slots.append(max(SIDE + 8, strip))
            else:
                slots.append(max(self.tall + GAP, PORT * len(self.ports.get((c, k), ())) + 9, strip))
        return slots

    def _down(self) -> dict[At, float]:
        """Return the height of each unit."""
        columns = self.scene.columns
        own = [c for c, column in enumerate(columns) if not any(column.follows)]
        slots = {c: self._slots(c, columns[c]) for c in own}
        need = {c: sum(slots[c]) + (24 if columns[c].hidden else 0) for c in own}
        lanes = sorted({column.lane for column in columns} - {0})
        of_lane = {lane: max((need[c] for c in own if columns[c].lane == lane), default=0) for lane in lanes}
        between = LINE + GAP  # the titles of a branch stand above it
        branches = sum(of_lane.values()) + between * len(lanes)
        height = max([branches, *(need[c] for c in own if columns[c].lane == 0)])
        tops, top = {0: 0.0}, (height - branches) / 2
        for lane in lanes:
            tops[lane] = top
            top += of_lane[lane] + between
        levels = self._levels()
        self.arcs = [MARGIN + ARC * (max(levels) - level + 0.6) for level in levels]
        blocks = any(column.block and not column.lane for column in columns)
        self.heads = MARGIN + ARC * (max(levels, default=-1) + 1) + HEAD * (0.5 + blocks)
        self.captions = self.heads + HEAD * max(map(len, self.titles))
        self.top = self.captions + LINE / 2 + 5
        found: dict[At, float] = {}
        for c, column in enumerate(columns):
            room = of_lane.get(column.lane, height)
            if c in slots and not (column.units and column.units[0].kind == "target"):
                self._column(c, column, slots[c], need[c], self.top + tops[column.lane], room, found)
            else:
                self._follow(c, column, found)
        self.bottom = max(y for y in found.values()) + self.tall / 2 + 4
        return found

    def _column(
        self, c: int, column: Column, slots: list[float], need: float, top: float, room: float, found: dict[At, float]
    ) -> None:
        """Place the units of a column below each other, in the middle of its room."""
        stretch = min(SPREAD, room / need)
        y = top + (room - stretch * need) / 2
        last = column.own[-1]
        for k, slot in enumerate(slots):
            if k == last and column.hidden:
                self.marks[c] = (0.0, y + 12 * stretch)
                y += 24 * stretch
            found[c, k] = y + slot * stretch / 2
            y += slot * stretch

    def _follow(self, c: int, column: Column, found: dict[At, float]) -> None:
        """Place the units of a column in the rows of those that they follow, and the others below."""
        for k, at in enumerate(column.follows):
            if at is not None:
                found[c, k] = found[at]
        before = [y for (i, _), y in found.items() if columns_apart(self.scene, i, c) <= 1]
        y = max((found[c, k] for k in range(len(column.units)) if (c, k) in found), default=max(before, default=0.0))
        slots = self._slots(c, column)
        for k in range(len(column.units)):
            if (c, k) not in found:
                y += (self.tall + slots[k]) / 2 + (2 if column.units[k].kind == "bias" else 10)
                found[c, k] = y
        own = column.own
        if column.hidden and len(own) > 1:
            self.marks[c] = (0.0, (found[c, own[-2]] + found[c, own[-1]]) / 2)

    def _levels(self) -> list[int]:
        """Return the level of each way past a block, above all earlier ones that have a place across in common."""
        found: list[tuple[int, int, int]] = []
        for skip in self.scene.skips:
            first, last = (self.scene.columns[c].depth for c in (skip.source, skip.target))
            below = [level for start, stop, level in found if start < last and first < stop]
            found.append((first, last, max(below, default=-1) + 1))
        return [level for *_, level in found]

    # --- across -------------------------------------------------------------------------------------------------------

    def _across(self, down: dict[At, float]) -> None:
        """Place the columns from left to right."""
        scene, columns = self.scene, self.scene.columns
        inner = [self._inner(column) for column in columns]
        outer = [
            max([w, width(column.block, SMALL) + 10, self._mark(column), *(width(line, TITLE) + 14 for line in t)])
            for w, column, t in zip(inner, columns, self.titles, strict=True)
        ]
        for c, column in enumerate(columns):
            if column.back:
                outer[c] = max(inner[c], outer[c] - inner[c - 1] - SLANT)
        depths = max(column.depth for column in columns) + 1
        whole = [max(outer[c] for c, column in enumerate(columns) if column.depth == d) for d in range(depths)]
        room = [max(inner[c] for c, column in enumerate(columns) if column.depth == d) for d in range(depths)]
        run = min(RUN[1], max(RUN[0], 0.3 * (self.bottom - self.top)))
        chips = CELL * len(scene.layers)
        gaps = [THROUGH] * depths
        spread = {c for c, column in enumerate(columns) if not any(column.follows)}
        for wire in scene.wires:  # lines that are not level need more room
            if wire.target[0] in spread:
                gaps[columns[wire.target[0]].depth] = max(gaps[columns[wire.target[0]].depth], SLANT)
        for f, fan in enumerate(scene.fans):
            d, before = columns[fan.target].depth, columns[fan.source].depth + 1
            if fan.matrix:
                self.pitch[f] = max(PIXEL + 1, *(5.6 * len(label) + 3 for label in fan.labels))
                name = width(fan.name, SMALL) + 8
                gaps[before] = max(gaps[before], 10 + max(name, self._strip(fan, f)) + RUN[0])
            else:
                gaps[d] = max(gaps[d], run + chips + 14)
        x = MARGIN
        middles = []
        for d in range(depths):
            if d:  # a gap lies between units; titles may be wider than those
                overhang = (whole[d - 1] - room[d - 1] + whole[d] - room[d]) / 2
                between = [f for f in scene.fans if columns[f.target].depth == d or columns[f.source].depth == d - 1]
                x += max(gaps[d], overhang + 8) + (0 if not between else min(overhang, 40))
            else:
                x += (whole[0] - room[0]) / 2
            middles.append(x + room[d] / 2)
            x += room[d]
        self.wide = x + (whole[-1] - room[-1]) / 2 + MARGIN
        self.centres = [middles[column.depth] for column in columns]
        self.inner = inner
        for (c, k), y in down.items():
            wide = SIDE if columns[c].units[k].kind == "bias" else inner[c]
            x = self.centres[c]
            if wide == SIDE:  # at the end of its column, where its lines begin
                x += (inner[c] - SIDE) / 2
            self.boxes[c, k] = Box(x, y, wide)
        self.marks = {c: (self.centres[c], y) for c, (_, y) in self.marks.items()}
        self._numbers(chips)

    def _inner(self, column: Column) -> float:
        """Return the width of a column's units."""
        cells = max((len(unit.cells) for unit in column.units), default=1)
        numbers = CELL * max(1, cells) if self.valued else 0.0
        if column.named or not self.valued:
            said = [unit.called or self.scene.say(unit.name) for unit in column.units if unit.kind != "bias"]
            names = max((width(name, MIDDLE) for name in said), default=0.0)
            return min(names, 160.0) + 12 + numbers
        return max(26.0, numbers + 4 + (14 if column.sign else 0))

    def _mark(self, column: Column) -> float:
        """Return the width of the mark for units that are left out, in the middle of a column."""
        if not column.hidden or not column.named:
            return 0.0
        return 2 * (10 + width(self.scene.say(column.more), SMALL))

    def _strip(self, fan: Fan, f: int) -> float:
        """Return the width of a row of a matrix."""
        return self.pitch[f] * len(fan.labels) + (10 if self.scene.columns[fan.target].hidden else 0)

    def column_of(self, f: int, target: At) -> float:
        """Return where a matrix has the weights of a unit, from the beginning of its rows."""
        fan = self.scene.fans[f]
        k = fan.places[target]
        last = self.scene.columns[fan.target].hidden and k == len(fan.labels) - 1
        return self.pitch[f] * k + (10 if last else 0)

    def end_of(self, f: int) -> float:
        """Return where the rows of a matrix end."""
        return self.strips[f] + self._strip(self.scene.fans[f], f)

    def _numbers(self, chips: float) -> None:
        """Place the numbers of weights: at each unit in the order in which their lines come, and matrices."""
        for target, ports in self.ports.items():
            box = self.boxes[target]
            ordered = sorted(ports, key=lambda port: (self.boxes[port[2].source].y, port[2].source))
            for n, (f, e, _) in enumerate(ordered):
                y = box.y + PORT * (n - (len(ports) - 1) / 2)
                self.bottom = max(self.bottom, y + 11)
                self.labels[f, e] = Label(box.x - box.wide / 2 - 14 - chips, y)
        for f, fan in enumerate(self.scene.fans):
            if fan.matrix:
                lowest = max(self.boxes[edge.source].y for edge in fan.edges)
                self.bottom = max(self.bottom, lowest + PIXEL * len(self.scene.layers) / 2 + 4)
                self.strips[f] = self.centres[fan.source] + self.inner[fan.source] / 2 + 8


def columns_apart(scene: Scene, one: int, other: int) -> int:
    """Return how far a column is to the right of another."""
    apart = scene.columns[other].depth - scene.columns[one].depth
    return apart if apart >= 0 else 10**6
