"""The network drawn as its units and weights: columns from left to right, biases as squares, lines for weights.

Sign, size and kind are not shown by colour alone: negative weights are dashed, large weights thick, biases square,
gradients in italics. Lines stop at words; a halo around the words would need the colour of the page.
"""

import difflib
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from fullyconnected.errors import ConfigError, UnknownNameError
from fullyconnected.explanation.pictures.placement import (
    LINE,
    MARGIN,
    MIDDLE,
    RADIUS,
    SMALL,
    TITLE,
    Column,
    Edge,
    Placement,
    Unit,
    number_of,
)
from fullyconnected.pages import svg
from fullyconnected.pages.svg import DARK, MONO, Box, Element

__all__ = ["Column", "Edge", "Unit", "picture"]

At = tuple[int, int]  # a column and one of its units, or a pair of columns and an edge between them

LAYERS = {"values": ("values",), "gradients": ("gradients",), "both": ("values", "gradients")}
MOST_LABELS = 40  # if there are more edges between two columns, they have no numbers
SIDE = 34.0  # side of the square of a bias
FAINT, FAINT_WORDS = 0.2, 0.6  # opacity out of focus; numbers remain readable
FILLS = {  # light fills for dark names, with an outline for light and for dark pages
    "input": ("#cdeac6", "#4a9a4a"),
    "hidden": ("#cfe1f7", "#4a86c8"),
    "output": ("#f8cfcb", "#cf5b50"),
    "bias": ("#fbeab0", "#b08d1f"),
}
POSITIVE, NEGATIVE = "#7d8794", "#c9722e"


def picture(
    columns: Sequence[Column],
    edges: Sequence[Sequence[Edge]],
    *,
    show: Literal["values", "gradients", "both"] = "values",
    focus: str | None = None,
    title: str,
    desc: str,
    prefix: str = "net",
) -> str:
    """Return the network as SVG.

    Parameters
    ----------
    columns, edges
        The layers, inputs first, and the weights between each and the next.
    show : {"values", "gradients", "both"}
        The numbers at units and weights.
    focus : str, optional
        The quantity of a unit or of a weight; everything that does not touch it is dimmed.
    title, desc : str
        A description of the picture for screen readers. Elisions are added to ``desc``.
    prefix : str
        The beginning of its ids, which differs for each picture of a page.
    """
    if show not in LAYERS:
        raise ConfigError(f"show is one of {', '.join(LAYERS)}; got {show!r}")
    return _Picture(columns, edges, LAYERS[show], focus).draw(title, desc, prefix)


class Word(NamedTuple):
    """The box that lines keep clear for a word, and whether the word belongs to the focus."""

    box: Box
    near: bool


class _Picture:
    """Lays out the network and draws it."""

    def __init__(
        self, columns: Sequence[Column], edges: Sequence[Sequence[Edge]], layers: tuple[str, ...], focus: str | None
    ) -> None:
        self.columns, self.edges, self.layers, self.focus = columns, edges, layers, focus
        self.near_units, self.near_edges = self._near()
        self.labelled, self.notes = self._labelled()
        self.largest = max((abs(e.weight) for es in edges for e in es if math.isfinite(e.weight)), default=0.0) or 1.0
        self.place = Placement(columns, [[edges[i][k] for k in ks] for i, ks in enumerate(self.labelled)], layers)

    def _near(self) -> tuple[set[At], set[At]]:
        """Return the units and the edges that touch the quantity in focus."""
        units = {(i, k): unit for i, column in enumerate(self.columns) for k, unit in enumerate(column.units)}
        edges = {(i, k): edge for i, between in enumerate(self.edges) for k, edge in enumerate(between)}
        if self.focus is None:
            return set(units), set(edges)
        centre = {at for at, unit in units.items() if unit.quantity == self.focus}
        near = {
            (i, k)
            for (i, k), edge in edges.items()
            if edge.quantity == self.focus or (i, edge.source) in centre or (i + 1, edge.target) in centre
        }
        if not centre and not near:
            known = {unit.quantity for unit in units.values()} | {edge.quantity for edge in edges.values()}
            close = difflib.get_close_matches(self.focus, known - {""}, n=3, cutoff=0)
            raise UnknownNameError(f"{self.focus!r} is not in the picture; the nearest are {', '.join(close)}")
        ends = [{(i, edges[i, k].source), (i + 1, edges[i, k].target)} for i, k in near]
        return centre.union(*ends), near

    def _labelled(self) -> tuple[list[list[int]], list[str]]:
        """Return the edges that have numbers, and notes about the others."""
        labelled, notes = [], []
        for i, between in enumerate(self.edges):
            chosen = [k for k, edge in enumerate(between) if any(number_of(edge, layer) for layer in self.layers)]
            if len(chosen) > MOST_LABELS:
                chosen = [] if self.focus is None else [k for k in chosen if (i, k) in self.near_edges]
                which = "only those in focus have numbers" if chosen else "too many to show their numbers"
                names = f"from {self.columns[i].title} to {self.columns[i + 1].title}"
                notes.append(f"{len(between)} weights are drawn {names}: {which}.")
            labelled.append(chosen)
        return labelled, notes

    def draw(self, title: str, desc: str, prefix: str) -> str:
        """Return the picture."""
        place, room = self.place, self.place.wide - 2 * MARGIN
        captions = [line for text in (self._legend(), *self.notes) for line in svg.lines(text, room, SMALL)]
        hidden = [f"Of the {c.total} units of {c.title}, {c.hidden} are not drawn." for c in self.columns if c.hidden]
        desc = " ".join([desc, *hidden, *self.notes])
        bottom = place.top + place.height + MARGIN
        root = svg.drawing(place.wide, bottom + LINE * len(captions), title, desc, prefix)
        strokes, shapes = svg.add(root, "g", fill="none"), svg.add(root, "g")
        slant = {"gradients": "italic"}
        self.words = {
            layer: svg.add(root, "g", data_layer=layer, font_family=MONO, font_style=slant.get(layer))
            for layer in self.layers
        }
        words = [self._column(shapes, i) for i in range(len(self.columns))]
        for i in range(len(self.edges)):
            self._between(strokes, i, [*words[i], *words[i + 1]])
        for at, title_lines in zip(place.units, place.titles, strict=True):
            for k, line in enumerate(title_lines):
                svg.write(root, at[0].real, MARGIN + LINE * (k + 0.5), line, TITLE)
        for k, line in enumerate(captions):
            svg.write(root, MARGIN, bottom + LINE * k, line, SMALL, "start", opacity=0.8)
        return svg.render(root)

    def _column(self, shapes: Element, i: int) -> list[Word]:
        """Draw the units of a column, and return the words at them."""
        written = []
        for k, (unit, at) in enumerate(zip(self.columns[i].units, self.place.units[i], strict=True)):
            near = (i, k) in self.near_units
            group = svg.add(shapes, "g", opacity=None if near else FAINT)
            fill, stroke = FILLS[unit.kind]
            own = {"data_kind": unit.kind, "data_q": unit.quantity, "data_unit": self._number(i, k)}
            look = {"fill": fill, "stroke": stroke, **own}
            wide = 3.5 if self.focus and unit.quantity == self.focus else 1.5
            if unit.kind == "bias":
                left, top = at.real - SIDE / 2, at.imag - SIDE / 2
                shape = svg.add(
                    group, "rect", x=left, y=top, width=SIDE, height=SIDE, rx=3.0, stroke_width=wide, **look
                )
            else:
                shape = svg.add(group, "circle", cx=at.real, cy=at.imag, r=RADIUS, stroke_width=wide, **look)
            svg.tip(shape, _about(unit.name, unit))
            below = at + (RADIUS + LINE / 2 + 1) * 1j
            if unit.outside:
                svg.write(group, below.real, below.imag, unit.outside, SMALL)
                written.append(_word_at(below, unit.outside, near))
                below += LINE * 1j
            else:
                svg.write(group, at.real, at.imag, unit.name, MIDDLE, fill=DARK, pointer_events="none")
            for layer in self.layers:
                if number_of(unit, layer):
                    written.append(self._word(layer, below, unit, near))
                    below += LINE * 1j
        mark, words = self.place.ellipses[i], self.columns[i].mark
        if mark is not None:
            for step in (-11, -4, 3):
                svg.add(shapes, "circle", cx=mark.real, cy=mark.imag + step, r=1.8, data_kind="ellipsis")
            svg.write(shapes, mark.real, mark.imag + 16, words, SMALL)
            written.append(_word_at(mark + 16j, words, True))
        return written

    def _between(self, strokes: Element, i: int, written: list[Word]) -> None:
        """Draw the edges between two columns, and their numbers; no line crosses words that are not dimmed."""
        between, left, right = self.edges[i], self.place.units[i], self.place.units[i + 1]
        for k in self.labelled[i]:
            edge, near = between[k], (i, k) in self.near_edges
            for layer, part in zip(self.layers, self.place.parts[i], strict=True):
                if number_of(edge, layer):
                    at = (1 - part) * left[edge.source] + part * right[edge.target]
                    written.append(self._word(layer, at, edge, near))
        for k in sorted(range(len(between)), key=lambda k: (i, k) in self.near_edges):  # edges in focus on top
            edge, near = between[k], (i, k) in self.near_edges
            source, target = self.columns[i].units[edge.source], self.columns[i + 1].units[edge.target]
            start = _edge_of(source, left[edge.source], right[edge.target])
            stop = _edge_of(target, right[edge.target], left[edge.source])
            pieces = svg.visible(start, stop, [word.box for word in written if word.near or not near])
            line = svg.add(
                strokes,
                "path",
                d="".join(f"M{_point(a)}L{_point(b)}" for a, b in pieces),
                stroke=NEGATIVE if edge.weight < 0 else POSITIVE,
                stroke_width=self._wide(edge),
                stroke_dasharray="6 4" if edge.weight < 0 else None,
                opacity=None if near else FAINT,
                data_kind="weight",
                data_q=edge.quantity,
                data_ends=f"{self._number(i, edge.source)} {self._number(i + 1, edge.target)}",
            )
            svg.tip(line, _about(f"{source.name} \u2192 {target.name}", edge))

    def _word(self, layer: str, at: complex, thing: Unit | Edge, near: bool) -> Word:
        """Write a number with its middle at a point."""
        words = number_of(thing, layer)
        quantity = f"dL:{thing.quantity}" if thing.quantity and layer == "gradients" else thing.quantity
        faint = None if near else FAINT_WORDS
        svg.write(self.words[layer], at.real, at.imag, words, SMALL, data_q=quantity, opacity=faint)
        return _word_at(at, words, near)

    def _number(self, i: int, k: int) -> str:
        """Return the number of a unit in the picture, by which a page finds its weights."""
        return str(sum(len(column.units) for column in self.columns[:i]) + k)

    def _wide(self, edge: Edge) -> float:
        """Return the width of a line: from 1 for a weight of zero to 4 for the largest in the picture."""
        share = abs(edge.weight) / self.largest if math.isfinite(edge.weight) else 0.0
        return 1 + 3 * share + (self.focus is not None and edge.quantity == self.focus)

    def _legend(self) -> str:
        """Return the meaning of the signs that occur in the picture."""
        signs = {
            "square: bias": any(unit.kind == "bias" for column in self.columns for unit in column.units),
            "dashed: negative weight": any(edge.weight < 0 for between in self.edges for edge in between),
            "thick: large weight": any(self.edges),
            "italics: gradient of the loss": "gradients" in self.layers,
        }
        return " \u00b7 ".join(sign for sign, occurs in signs.items() if occurs)


def _word_at(at: complex, text: str, near: bool) -> Word:
    box = svg.box_of(at.real, at.imag, text, SMALL)
    return Word(box.grown(3, -1.5), near)  # digits are lower than a line


def _point(at: complex) -> str:
    return f"{svg.number(at.real)} {svg.number(at.imag)}"


def _edge_of(unit: Unit, at: complex, towards: complex) -> complex:
    """Return the point where a line from the centre of a unit leaves its shape."""
    along = (towards - at) / abs(towards - at)
    if unit.kind == "bias":
        return at + along * (SIDE / 2 + 1) / max(abs(along.real), abs(along.imag))
    return at + along * (RADIUS + 1)


def _about(name: str, thing: Unit | Edge) -> str:
    """Return the tooltip of a unit or a weight."""
    known = [text for text in (thing.value, thing.gradient and f"gradient {thing.gradient}") if text]
    return f"{name}: {', '.join(known)}" if known else name
