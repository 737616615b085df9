"""The computation drawn as a chain of operations, with arrows forward for values and back for gradients.

Values stand above the arrows to the right, gradients below the arrows to the left. Parameters stand above their
operations. A long chain continues in the next row.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import say
from fullyconnected.pages import svg
from fullyconnected.pages.svg import DARK, MONO, Element

__all__ = ["Op", "Parameter", "Wire", "graph"]

PAGE = 800.0  # how wide a row may be, unless a single operation is wider
SMALL, MIDDLE = 11.0, 12.0  # fonts: of numbers, of names
LINE = 14.0  # the height of a line of words
MARGIN = 14.0
HIGH = 38.0  # height of a box
APART = 5.0  # half the distance of the arrow forward and the arrow back
STEP = 12.0  # distance of parallel lines
LANE = 18.0  # distance of ways past operations, each with its way back
PAD = 9.0  # space beside words
STEM = 24.0  # from a parameter to its box
BEND = 20.0  # additional length if the parameter is not above the middle of its box
LONGEST = 220.0  # the longest line of numbers
ROUND, HEAD = 5.0, 7.0  # the radius of a corner, the length of an arrow's head
FILL, FORWARD, BACK = "#e9edf2", "#7d8794", "#9070c8"

Point = tuple[float, float]


class Parameter(NamedTuple):
    """A parameter of an operation and its gradient, as texts; ``quantity`` is its name throughout a page.

    ``back`` says that there is a gradient, whose numbers may be too many for a text. ``about`` and ``about_gradient``
    have all digits, for tooltips.
    """

    name: str
    value: str = ""
    gradient: str = ""
    quantity: str = ""
    back: bool = False
    about: str = ""
    about_gradient: str = ""


class Op(NamedTuple):
    """An operation, such as ``@ W1``."""

    label: str
    params: Sequence[Parameter] = ()


class Wire(NamedTuple):
    """The value between two operations and its gradient, as texts, which may have several lines.

    ``quantity`` is its name throughout a page. ``gradient_name`` is empty if there is no gradient. ``about`` and
    ``about_gradient`` have all digits, for tooltips.
    """

    name: str
    value: str
    gradient_name: str
    gradient: str
    shape: str
    quantity: str = ""
    about: str = ""
    about_gradient: str = ""


class Words(NamedTuple):
    """A name, and below it numbers."""

    lines: list[str]
    quantity: str
    about: str = ""

    @property
    def wide(self) -> float:
        return max((svg.width(line, SMALL if k else MIDDLE) for k, line in enumerate(self.lines)), default=0.0)

    @property
    def high(self) -> float:
        return LINE * len(self.lines)


def graph(
    wires: Sequence[Wire],
    ops: Sequence[Op],
    bypasses: Sequence[tuple[int, int]] = (),
    *,
    title: str,
    desc: str,
    prefix: str = "graph",
    lang: str = "en",
) -> str:
    """Return the computation as SVG.

    Parameters
    ----------
    wires, ops
        ``wires[i]`` enters ``ops[i]``, and the last wire leaves the last operation.
    bypasses : sequence of (int, int)
        (i, j) for a connection from wire i to operation j that skips the operations between.
    title, desc : str
        A description of the picture for screen readers.
    prefix : str
        The beginning of its ids, which differs for each picture of a page.
    lang : str
        The language of the caption; all other words come as they are.
    """
    return _Graph(wires, ops, bypasses).draw(title, desc, prefix, lang)


def _words(name: str, shape: str, numbers: str, quantity: str, about: str = "") -> Words:
    """Return a name and its numbers as lines, and no lines without a name."""
    return Words([f"{name} {shape}".strip(), *svg.lines(numbers, LONGEST, SMALL)] if name else [], quantity, about)


def _back(quantity: str) -> str:
    return f"dL:{quantity}" if quantity else ""


def _rows(links: Sequence[float], room: float) -> list[list[int]]:
    """Break a chain into rows, given the widths of its links."""
    rows: list[list[int]] = [[]]
    for i, wide in enumerate(links):
        if rows[-1] and sum(links[k] for k in rows[-1]) + wide > room:
            rows.append([])
        rows[-1].append(i)
    return rows


class _Graph:
    """Lays out the graph and draws it."""

    def __init__(self, wires: Sequence[Wire], ops: Sequence[Op], bypasses: Sequence[tuple[int, int]]) -> None:
        self.ops, self.bypasses = ops, sorted(bypasses, key=lambda ends: ends[1] - ends[0])  # short ones near the row
        self.above = [_words(w.name, w.shape, w.value, w.quantity, w.about) for w in wires]
        self.below = [_words(w.gradient_name, w.shape, w.gradient, _back(w.quantity), w.about_gradient) for w in wires]
        self.held = [
            [
                (
                    _words(p.name, "", p.value, p.quantity, p.about),
                    _words(
                        f"dL/d{p.name}" if p.gradient or p.back else "",
                        "",
                        p.gradient,
                        _back(p.quantity),
                        p.about_gradient,
                    ),
                )
                for p in op.params
            ]
            for op in ops
        ]
        self._across()
        self._down()

    def _across(self) -> None:
        """Choose the rows, and where each wire and each box stands in its own."""
        last, sources = len(self.ops), {i for i, _ in self.bypasses}
        pads = [PAD + STEP if i in sources else PAD for i in range(last + 1)]  # room for a branch
        texts = [max(a.wide, b.wide) for a, b in zip(self.above, self.below, strict=True)]
        spans = [max(40.0, pad + text + PAD) for pad, text in zip(pads, texts, strict=True)]
        self.boxes = [max(54.0, svg.width(op.label, MIDDLE) + 24) for op in self.ops]
        self.sides = [[max(value.wide, back.wide) + PAD for value, back in held] for held in self.held]
        for i, sides in enumerate(self.sides):
            # each of two parameters has a bend to its half of the box, unless a slightly wider box avoids it
            above = sum(sides) if len(sides) > 2 else max(sides, default=0.0) + 2 * PAD
            if len(sides) > 2 or (len(sides) == 2 and above < self.boxes[i] + 30):
                self.boxes[i] = max(self.boxes[i], above)
        over = [max(0.0, sum(sides) - box) / 2 for sides, box in zip(self.sides, self.boxes, strict=True)]
        spans = [max(span, sum(over[max(i - 1, 0) : i + 1])) for i, span in enumerate(spans)]  # room for parameters
        links = [span + box for span, box in zip(spans, self.boxes, strict=False)]
        links[-1] += spans[-1]  # the last wire stays in its row

        room = PAGE - 2 * MARGIN - 4 * LANE
        rows = _rows(links, room)
        while room > max(links) and len(narrow := _rows(links, room - 10)) == len(rows):  # for rows of similar length
            room, rows = room - 10, narrow
        self.first = {row[0] for row in rows}
        self.row_of = [r for r, row in enumerate(rows) for _ in row]
        far = [(i, j) for i, j in self.bypasses if self.row_of[i] != self.row_of[j]]
        self.channels = {ends: MARGIN + LANE * k for k, ends in enumerate(far)}
        self.left = MARGIN + LANE * len(far)
        self.row_of.append(len(rows) - 1)

        self.branches, self.texts, self.middles = [], [], list[float]()
        x = self.wide = self.left
        for i, (pad, span) in enumerate(zip(pads, spans, strict=True)):
            if i in self.first and i:
                x = self.left + 2 * STEP
            self.branches.append(x + pad - 7)
            self.texts.append(x + (pad + span - PAD) / 2)
            x += span
            if i < last:
                self.middles.append(x + self.boxes[i] / 2)
                x += self.boxes[i]
                self.wide = max(self.wide, x + over[i], x + (2 * STEP if i + 1 in self.first else 0))
        self.end, self.wide = x, max(self.wide, x) + MARGIN

    def _down(self) -> None:
        """Choose the vertical positions of the rows, and of the lines between them."""
        self.y, self.stems, self.turns = list[float](), list[float](), list[float]()
        self.lanes = dict[tuple[int, int, int], float]()
        y = MARGIN
        for row in range(self.row_of[-1] + 1):
            wires = [i for i, r in enumerate(self.row_of) if r == row]
            held = [value.high + back.high for i in wires for pairs in self.held[i : i + 1] for value, back in pairs]
            above = max(self.above[i].high for i in wires) + 2 * APART
            bend = BEND if any(len(pairs) == 2 for i in wires for pairs in self.held[i : i + 1]) else 0.0
            stem = max(STEM, above + APART - HIGH / 2) + bend  # parameters stand above the words at the wires
            y += max(HIGH / 2 + stem + max(held) if held else HIGH / 2, above)
            self.stems.append(stem)
            self.y.append(y)
            y += max(HIGH / 2, max(self.below[i].high for i in wires) + 2 * APART)
            for i, j in self.bypasses:
                if row in (self.row_of[i], self.row_of[j]):
                    y += LANE
                    self.lanes[row, i, j] = y
            self.turns.append(y + 1.5 * STEP)
            y += 3.5 * STEP
        self.high = y - 2 * STEP

    def draw(self, title: str, desc: str, prefix: str, lang: str) -> str:
        """Return the picture."""
        backward = any(words.lines for words in (*self.below, *(back for held in self.held for _, back in held)))
        caption = Message("above the arrows: values")
        if backward:
            caption = Message(
                "grey arrows: values, named above \u00b7 purple arrows: gradients of the loss, named below in italics"
            )
        captions = svg.lines(say(caption, lang), max(self.wide - 2 * MARGIN, 200), SMALL)
        root = svg.drawing(self.wide, self.high + LINE * len(captions) + STEP, title, desc, prefix)
        self.strokes, self.shapes = svg.add(root, "g"), svg.add(root, "g")
        self.groups = [svg.add(root, "g", data_layer="values")]
        if backward:
            self.groups.append(svg.add(root, "g", data_layer="gradients", font_style="italic"))
        for i in range(len(self.row_of)):
            self._wire(i)
        for i, op in enumerate(self.ops):
            self._box(i, op)
        for ends in self.bypasses:
            self._bypass(*ends)
        for k, line in enumerate(captions):
            svg.write(root, MARGIN, self.high + LINE * (k + 0.3), line, SMALL, "start", opacity=0.8)
        return svg.render(root)

    def _wire(self, i: int) -> None:
        """Draw the arrows of a wire, and write above and below them."""
        y, turned = self.y[self.row_of[i]], i in self.first and i > 0
        start = self.middles[i - 1] + self.boxes[i - 1] / 2 + 2 if i else self.left
        stop = self.middles[i] - self.boxes[i] / 2 - 2 if i < len(self.ops) else self.end
        for apart, back in ((-APART, False), (APART, True)):
            path = [(start, y + apart), (stop, y + apart)]
            if turned:  # parallel around the corners: the outer arrow at the first two is the inner one at the third
                above, turn = self.y[self.row_of[i] - 1], self.turns[self.row_of[i] - 1]
                right, left = start + STEP - apart, self.left + STEP - apart
                path[:1] = [(start, above + apart), (right, above + apart), (right, turn - apart)]
                path[3:3] = [(left, turn - apart), (left, y + apart)]
            if not back:
                _arrow(self.strokes, path, FORWARD)
            elif self.below[i].lines:
                _arrow(self.groups[1], path[::-1], BACK)
        self._write(0, self.above[i], self.texts[i], y - 2 * APART - self.above[i].high)
        self._write(1, self.below[i], self.texts[i], y + 2 * APART)

    def _box(self, i: int, op: Op) -> None:
        """Draw an operation, and its parameters above it."""
        x, y, wide = self.middles[i], self.y[self.row_of[i]], self.boxes[i]
        box = svg.add(self.shapes, "rect", x=x - wide / 2, y=y - HIGH / 2, width=wide, height=HIGH, rx=6.0, fill=FILL)
        box.attrib |= {"stroke": FORWARD, "stroke-width": "1.5", "data-kind": "operation"}
        svg.write(self.shapes, x, y, op.label, MIDDLE, fill=DARK)
        left, start, stop = x - sum(self.sides[i]) / 2, y - HIGH / 2 - self.stems[self.row_of[i]], y - HIGH / 2
        for k, ((value, back), side) in enumerate(zip(self.held[i], self.sides[i], strict=True)):
            here = there = left + side / 2
            if len(self.sides[i]) == 2:
                half = x - wide / 2 * (1 - k)
                there = min(max(here, half + PAD), half + wide / 2 - PAD)
            self._write(0, value, here, start - value.high - back.high)
            self._write(1, back, here, start - back.high)
            self._stem(self.strokes, FORWARD, here, there, -APART if back.lines else 0.0, start + 3, stop - 2)
            if back.lines:
                self._stem(self.groups[1], BACK, here, there, APART, start + 3, stop - 2)
            left += side

    def _stem(
        self, group: Element, colour: str, here: float, there: float, apart: float, start: float, stop: float
    ) -> None:
        """Draw the arrow from a parameter down to its box, or with a positive ``apart`` the one back up to it."""
        turn = start + 12 + (APART if (there > here) == (apart < 0) else 0)  # the outer arrow turns first
        bend = [(here + apart, turn), (there + apart, turn)] if here != there else []
        path = [(here + apart, start), *bend, (there + apart, stop)]
        _arrow(group, path[::-1] if apart > 0 else path, colour)

    def _bypass(self, i: int, j: int) -> None:
        """Draw a connection that skips operations, below all words; to another row, it follows the left margin."""
        source, target, start, stop = self.row_of[i], self.row_of[j], self.branches[i], self.middles[j]
        path = [(start, self.y[source] - APART), (start, self.lanes[source, i, j])]
        if (i, j) in self.channels:
            path += [(self.channels[i, j], self.lanes[row, i, j]) for row in (source, target)]
        path += [(stop, self.lanes[target, i, j]), (stop, self.y[target] + HIGH / 2 + 2)]
        _arrow(self.strokes, path, FORWARD, "skip", self.above[i].quantity)
        svg.add(self.strokes, "circle", cx=start, cy=path[0][1], r=3.0, fill=FORWARD, data_kind="branch")
        if self.below[i].lines:  # outside of the way there
            below = self.lanes[target, i, j] + APART
            back = [(stop + 2 * APART, self.y[target] + HIGH / 2 + 2), (stop + 2 * APART, below)]
            level = below
            if (i, j) in self.channels:
                level = self.lanes[source, i, j] - APART
                back += [(self.channels[i, j] - APART, y) for y in (below, level)]
            back += [(start - 8, level), (start - 8, self.y[source] + APART + 1)]
            _arrow(self.groups[1], back, BACK, "skip", self.below[i].quantity)

    def _write(self, layer: int, words: Words, x: float, top: float) -> None:
        """Write a name, and its numbers below it."""
        if not words.lines:
            return
        group = self.groups[layer]
        if words.about:
            group = svg.add(group, "g")
            svg.tip(group, words.about)
        for k, line in enumerate(words.lines):
            if k == 1:
                group = svg.add(group, "g", font_family=MONO)
            svg.write(group, x, top + LINE * (k + 0.5), line, SMALL if k else MIDDLE, data_q=words.quantity)


def _towards(a: Point, b: Point, by: float) -> Point:
    """Return the point at this distance from a towards b."""
    share = by / math.dist(a, b)
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


def _arrow(parent: Element, points: list[Point], colour: str, kind: str = "arrow", quantity: str = "") -> None:
    """Draw a line with round corners, and an arrow head at its end."""
    path = [("M", points[0])]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        by = min(ROUND, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        path += [("L", _towards(corner, before, by)), ("Q", corner), (" ", _towards(corner, after, by))]
    tip, back = points[-1], _towards(points[-1], points[-2], HEAD)
    path.append(("L", back))
    svg.add(
        parent, "path", d=_path(path), fill="none", stroke=colour, stroke_width=1.5, data_kind=kind, data_q=quantity
    )
    x, y = (back[0] - tip[0]) / 2, (back[1] - tip[1]) / 2  # half of the head's length is its width to either side
    corners = [("M", tip), ("L", (back[0] - y, back[1] + x)), ("L", (back[0] + y, back[1] - x))]
    svg.add(parent, "path", d=_path(corners) + "Z", fill=colour)


def _path(steps: list[tuple[str, Point]]) -> str:
    return "".join(f"{letter}{svg.number(x)} {svg.number(y)}" for letter, (x, y) in steps)
