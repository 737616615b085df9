"""The layout of units, weights and their numbers in the picture of a network, such that no words overlap.

Between two columns, the numbers of all weights stand at the same distance from the first column. At this distance, the
vertical distances of the lines are fixed fractions of the picture's height. This gives the height at which every number
has room, and only its own line passes through its centre. Columns that are nearer to each other leave fewer choices for
that distance, and need a higher picture: the lowest layout that fits on a page is chosen.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.pages.svg import lines, width

__all__ = ["LINE", "MARGIN", "MIDDLE", "RADIUS", "SMALL", "TITLE", "Column", "Edge", "Placement", "Unit", "number_of"]

RADIUS = 22.0  # of a unit
SMALL, TITLE, MIDDLE = 11.0, 12.0, 13.0  # font sizes: of numbers and captions, of columns, of units
LINE = 14.0  # the height of a line of words
LABEL = 15.0  # the least distance between the centres of two numbers at edges
MARGIN = 14.0
LONGEST = 24  # characters in the name of a unit; the rest is cut
PAGE = 700.0  # a wider picture is made higher instead, up to a point
NEAREST = 220.0  # the least distance of two columns
PARTS = np.linspace(0.01, 0.99, 197)  # the fractions of an edge at which its number may stand


class Unit(NamedTuple):
    """A node: its name, its kind (input, hidden, output or bias), and its numbers as texts.

    ``quantity`` is the name of its value throughout a page, such as ``dense_1.y[0,1]``.
    """

    name: str
    kind: str
    value: str = ""
    gradient: str = ""
    quantity: str = ""

    @property
    def outside(self) -> str:
        """The name if it is too long to stand within the unit and so stands below it, else an empty string."""
        if width(self.name, MIDDLE) <= 2 * RADIUS - 3:
            return ""
        return self.name if len(self.name) <= LONGEST else self.name[: LONGEST - 1] + "\u2026"


class Edge(NamedTuple):
    """A weight, from the unit at position ``source`` of a column to the one at ``target`` of the next."""

    source: int
    target: int
    weight: float
    value: str = ""
    gradient: str = ""
    quantity: str = ""


class Column(NamedTuple):
    """A layer: the units that are drawn, from top to bottom, and how many it has in ``total``, biases not counted."""

    title: str
    units: Sequence[Unit]
    total: int

    @property
    def hidden(self) -> int:
        """How many units are not drawn; a mark before the last unit stands for them."""
        return max(0, self.total - sum(unit.kind != "bias" for unit in self.units))

    @property
    def mark(self) -> str:
        """The words at this mark, or an empty string."""
        return f"{self.hidden} more" if self.hidden else ""


class Fit(NamedTuple):
    """A possible distance of two columns, the height it needs, and at which fractions of an edge its numbers stand."""

    distance: float
    height: float
    parts: list[float]


def number_of(thing: Unit | Edge, layer: str) -> str:
    """Return the number of a unit or a weight in one layer of the picture, ``"values"`` or ``"gradients"``."""
    return thing.value if layer == "values" else thing.gradient


class Placement:
    """The positions of everything; ``labelled`` has the edges between columns that have numbers.

    Attributes
    ----------
    wide, top, height : float
        The picture's width, and the top and the height of its rows.
    titles : list of list of str
        The lines of each column's title.
    units : list of list of complex
        The centre of each unit: x + y j.
    ellipses : list of complex or None
        The centre of the mark for the units that are not drawn.
    parts : list of list of float
        Between columns, for each layer: at which fraction of an edge its number stands.
    """

    def __init__(self, columns: Sequence[Column], labelled: Sequence[Sequence[Edge]], layers: Sequence[str]) -> None:
        most = max(len(column.units) + (column.hidden > 0) for column in columns)
        rows = [_rows(column, most) for column in columns]
        self.titles = [lines(column.title, 150, TITLE) for column in columns]
        heads = [max((width(line, TITLE) / 2 for line in title), default=0.0) for title in self.titles]
        halves = []  # half the width of each column
        for column in columns:
            words = [number_of(unit, layer) for unit in column.units for layer in layers]
            words += [column.mark, *(unit.outside for unit in column.units)]
            halves.append(max(RADIUS, *(width(word, SMALL) / 2 for word in words)))
        below = LINE * (len(layers) + any(unit.outside for column in columns for unit in column.units))
        pairs: list[list[Fit]] = []
        for i, edges in enumerate(labelled):
            heights = np.array([(rows[i][edge.source], rows[i + 1][edge.target]) for edge in edges]).reshape(-1, 2)
            widths = [max((width(number_of(e, layer), SMALL) for e in edges), default=0.0) for layer in layers]
            least = max(NEAREST, heads[i] + heads[i + 1] + MARGIN)
            pairs.append(list(_fits(heights, widths, halves[i] + 8, halves[i + 1] + 8, least)))
        self.height, fits = _choose(pairs, most * (2 * RADIUS + below + max(10, 36 - 3 * most)))
        self.parts = [fit.parts for fit in fits]
        self.top = MARGIN + LINE * max(map(len, self.titles)) + MARGIN / 2
        first = MARGIN + max(halves[0], heads[0])
        total = sum(fit.distance for fit in fits)
        stretch = max(1.0, min(PAGE, 0.9 * self.height) / total) if fits else 1.0  # steep lines are hard to follow
        across = [first + stretch * sum(fit.distance for fit in fits[:i]) for i in range(len(columns))]
        self.wide = max(NEAREST, across[-1] + max(halves[-1], heads[-1]) + MARGIN)
        down = self.top - below / 2  # a unit shares its row with the words below it
        middles = [[complex(x, down + y * self.height) for y in ys] for x, ys in zip(across, rows, strict=True)]
        self.units = [at[: len(column.units)] for at, column in zip(middles, columns, strict=True)]
        self.ellipses = [at[-1] if column.hidden else None for at, column in zip(middles, columns, strict=True)]


def _rows(column: Column, most: int) -> list[float]:
    """Return the heights of a column's units as fractions of the picture's, and after them that of the ellipsis."""
    rows = len(column.units) + (column.hidden > 0)
    pitch = min(1 / rows, 2 / most)  # few units are spread out, but not over the whole height
    heights = [0.5 + (row - (rows - 1) / 2) * pitch for row in range(rows)]
    return [*heights[:-2], heights[-1], heights[-2]] if column.hidden else heights


def _fits(heights: Array, widths: list[float], left: float, right: float, least: float) -> Iterator[Fit]:
    """Yield the possible distances of two columns, from near to far.

    ``heights`` has a row (from, to) for each edge with numbers, in fractions of the picture's height; ``widths`` has
    the width of each layer's numbers. Numbers keep the distances ``left`` and ``right`` from the columns.
    """
    y = np.sort((1 - PARTS)[:, None] * heights[:, 0] + PARTS[:, None] * heights[:, 1])
    gap = np.diff(y).min(axis=1, initial=1.0)  # between neighbours, in fractions of the picture's height
    least = max(least, left + sum(widths) + right + 20)
    for distance in np.arange(least, least + 1200, 20).tolist():
        # with two layers, values stand in the left half and gradients in the right half
        middle = [] if len(widths) == 1 else [distance / 2 - 3, distance / 2 + 3]
        limits = [left, *middle, distance - right]
        clear = [
            np.where((PARTS * distance - wide / 2 >= start) & (PARTS * distance + wide / 2 <= stop), gap, 0.0)
            for wide, start, stop in zip(widths, limits[::2], limits[1::2], strict=True)
        ]
        worst = min(float(each.max()) for each in clear)
        if worst > 0:
            yield Fit(distance, LABEL / worst, [float(PARTS[each.argmax()]) for each in clear])


def _choose(pairs: Sequence[Sequence[Fit]], lowest: float) -> tuple[float, list[Fit]]:
    """Return the lowest height whose picture is not much wider than a page, and the fit of each pair of columns."""
    best, choice = np.inf, (lowest, list[Fit]())
    for height in sorted({lowest, *(fit.height for fits in pairs for fit in fits if fit.height > lowest)}):
        nearest = [fit for fits in pairs for fit in [fit for fit in fits if fit.height <= height][:1]]
        cost = height + 2 * max(0.0, sum(fit.distance for fit in nearest) - PAGE)
        if len(nearest) == len(pairs) and cost < best:
            best, choice = cost, (height, nearest)
    return choice
