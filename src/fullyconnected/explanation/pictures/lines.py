"""The lines of a picture: weights with their numbers or as a matrix, values that go on, and ways past blocks."""

from __future__ import annotations

import math

from fullyconnected.core.messages import Message
from fullyconnected.explanation.pictures.light import said_of
from fullyconnected.explanation.pictures.pen import (
    CHIPS,
    FAINT,
    MARKS,
    NEGATIVE,
    POSITIVE,
    Look,
    Pen,
    field,
    level,
    point,
    square,
    text,
)
from fullyconnected.explanation.pictures.placement import CELL, PIXEL, SMALL, TITLE
from fullyconnected.explanation.pictures.scene import Edge, Fan
from fullyconnected.pages import svg
from fullyconnected.pages.svg import DARK
from fullyconnected.symbolic.digits import shown

__all__ = ["draw_weights", "draw_wires"]

KINDS = ("filled", "hollow", "crossed")  # marks of a matrix: positive, negative, and not finite


def draw_weights(pen: Pen) -> None:
    """Draw all weights as lines, with their numbers or their matrices."""
    n = 0
    for f, fan in enumerate(pen.scene.fans):
        _chips(pen, f, fan, n)
        for e, edge in enumerate(fan.edges):
            _edge(pen, f, e, n, fan, edge)
            n += 1


def _chips(pen: Pen, f: int, fan: Fan, first: int) -> None:
    """Draw what numbers stand on: a light field each, or the entries of a matrix; ``first`` is the first edge."""
    place = pen.place
    for n, layer in enumerate(pen.scene.layers):
        if layer not in pen.layers:
            continue
        if not fan.matrix:
            fields: dict[str, list[str]] = {}
            for (i, e), label in place.labels.items():
                if i == f and fan.edges[e].number.of(layer) is not None:
                    mark = field(label.x + n * CELL, label.y, CELL - 2, 13)
                    fields.setdefault(_array(fan.edges[e], layer), []).append(mark)
            for array, marks in fields.items():
                group = svg.add(pen.words[layer], "g", data_q=array)
                svg.add(group, "path", d="".join(marks), fill=CHIPS[layer])
            continue
        _matrix(pen, f, fan, n, layer, first)


def _matrix(pen: Pen, f: int, fan: Fan, n: int, layer: str, first: int) -> None:
    """Draw the entries of a matrix: the area of a mark is the size, and hollow ones are negative."""
    place, largest = pen.place, fan.largest[layer == "gradients"]
    ink, other = MARKS[layer]
    group = svg.add(pen.words[layer], "g", fill=CHIPS[layer], stroke=ink, stroke_width=0.0)
    if layer == "values":  # a page draws the marks anew with the weights after the update
        group.set("data-largest", shown(largest))
    marks: dict[tuple[str, bool], dict[str, list[str]]] = {}  # by parameter, whether they are lit, and kind
    side = svg.number(PIXEL - 0.5)
    for e, edge in enumerate(fan.edges):
        value = edge.number.of(layer)
        if value is None:
            continue
        box, lit = place.boxes[edge.source], pen.light is None or first + e in pen.light.edges
        x = place.strips[f] + place.column_of(f, edge.target)
        y = box.y + PIXEL * (n - len(pen.scene.layers) / 2)
        quantity = edge.number.quantity_of(layer)
        cell = svg.add(group, "path", d=f"M{svg.number(x)} {svg.number(y)}h{side}v{side}h-{side}z", data_q=quantity)
        if pen.light is not None and edge.number.quantity == pen.light.quantity:
            cell.set("stroke-width", "2")
        svg.tip(cell, f"{f'dL/d{edge.name}' if layer == 'gradients' else edge.name} = {shown(value)}")
        if not lit:
            cell.set("data-dim", "")
        kinds = marks.setdefault((_array(edge, layer), lit), {kind: [] for kind in KINDS})
        middle = complex(x + PIXEL / 2 - 0.25, y + PIXEL / 2 - 0.25)
        if not math.isfinite(value):
            kinds["crossed"].append(f"M{point(middle - 3 - 3j)}l6 6m-6 0l6-6")
            continue
        half = max(0.6, math.sqrt(abs(float(value)) / (largest or 1.0)) * (PIXEL - 2) / 2)
        negative = value < 0
        kinds["hollow" if negative else "filled"].append(square(middle, max(0.4, half - 0.6) if negative else half))
    looks: dict[str, Look] = {
        "filled": {"fill": ink, "stroke": "none"},
        "hollow": {"fill": "none", "stroke": other, "stroke_width": 1.2},
        "crossed": {"fill": "none", "stroke": DARK, "stroke_width": 1.5},
    }
    for (array, lit), kinds in marks.items():
        one = svg.add(group, "g", data_q=array, pointer_events="none", opacity=None if lit else 0.3)
        for kind, paths in kinds.items():
            if paths or layer == "values":  # other weights may be of another kind
                svg.add(one, "path", **looks[kind]).set("d", "".join(paths))


def _array(edge: Edge, layer: str) -> str:
    """Return the name of the whole parameter that a weight is of."""
    return edge.number.quantity_of(layer).rpartition("[")[0]


def _edge(pen: Pen, f: int, e: int, n: int, fan: Fan, edge: Edge) -> None:
    """Draw a weight as a line, and its number."""
    place, value = pen.place, edge.number.value
    source, target = place.boxes[edge.source], place.boxes[edge.target]
    lit = pen.light is None or n in pen.light.edges
    start = complex(source.x + source.wide / 2, source.y)
    stop = complex(target.x - target.wide / 2, target.y)
    if fan.matrix:
        start = complex(place.end_of(f) + 2, source.y)
        path = f"M{point(start)}L{point(stop)}"
    else:
        label = place.labels[f, e]
        end = label.x + CELL * len(pen.scene.layers) + 1
        reach = place.tall / 2 - 5
        stop += 1j * max(-reach, min(reach, 0.6 * (label.y - target.y)))
        path = f"M{point(start)}L{svg.number(label.x - 2)} {svg.number(label.y)}H{svg.number(end)}L{point(stop)}"
        for k, layer in enumerate(pen.scene.layers):
            if layer in pen.layers:
                pen.number(layer, label.x + CELL * (k + 0.5) - 1, label.y, edge.number, edge.name, lit=lit)
    negative = value is not None and value < 0
    share = None if pen.light is None or not lit else pen.light.edges[n]
    line = svg.add(
        pen.signs[-1 if negative else 1],
        "path",
        d=path,
        stroke_width=pen.wide(value) if pen.light is None or not lit else pen.thick(share),
        opacity=pen.opacity(lit, share, 0.6 if fan.matrix else None),
        data_kind="weight",
        data_q=edge.number.quantity,
        data_ends=f"{pen.numbers[edge.source]} {pen.numbers[edge.target]}",
    )
    if not fan.matrix:
        svg.tip(line, pen.say(said_of(edge.about, pen.light, share)))


def draw_wires(pen: Pen) -> None:
    """Draw one-to-one lines, and the ways past blocks."""
    place, light = pen.place, pen.light
    crosses = []
    for n, wire in enumerate(pen.scene.wires):
        source, target = place.boxes[wire.source], place.boxes[wire.target]
        start, stop = complex(source.x + source.wide / 2, source.y), complex(target.x - target.wide / 2, target.y)
        lit = light is None or n in light.wires
        share = None if light is None or not lit else light.wires[n]
        svg.add(
            pen.signs[1], "path", d=f"M{point(start)}{level(start, stop)}",
            stroke_width=1.2 if light is None or not lit else pen.thick(share), opacity=pen.opacity(lit, share),
            data_kind="through", data_q=wire.quantity,
            data_ends=f"{pen.numbers[wire.source]} {pen.numbers[wire.target]}",
        )  # fmt: skip
        if wire.cut:
            crosses.append(f"M{point((start + stop) / 2 - 5 - 5j)}l10 10m-10 0l10-10")
    if crosses:
        svg.add(pen.signs[1], "path", d="".join(crosses), stroke=NEGATIVE, stroke_width=1.8, data_kind="cut")
    for n in range(len(pen.scene.skips)):
        _skip(pen, n)


def _skip(pen: Pen, n: int) -> None:
    """Draw the way past a block as an arc above it, with the name of what goes and of what returns."""
    place, light, skip = pen.place, pen.light, pen.scene.skips[n]
    y = place.arcs[n]
    first = [_top(pen, skip.source), _top(pen, skip.target)]
    half = [  # of what stands above the ends
        max([place.inner[c], svg.width(pen.scene.columns[c].block, SMALL) + 4, *titles]) / 2
        for c in (skip.source, skip.target)
        for titles in [[svg.width(line, TITLE) + 4 for line in place.titles[c]]]
    ]
    left = place.centres[skip.source] + half[0] + 3
    right = place.centres[skip.target] - half[1] - 3
    start = complex(place.centres[skip.source] + place.inner[skip.source] / 2 - 8, first[0])
    stop = complex(place.centres[skip.target] - place.inner[skip.target] / 2 + 8, first[1])
    path = (
        f"M{point(start)}v-4H{svg.number(left)}V{svg.number(y + 8)}Q{svg.number(left)} {svg.number(y)} "
        f"{svg.number(left + 8)} {svg.number(y)}H{svg.number(right - 8)}Q{svg.number(right)} {svg.number(y)} "
        f"{svg.number(right)} {svg.number(y + 8)}V{svg.number(stop.imag - 8)}H{svg.number(stop.real)}v7"
    )
    lit = light is None or n in light.skips
    share = None if light is None or not lit else light.skips[n]
    line = svg.add(
        pen.signs[1], "path", d=path, stroke_width=2.0 if light is None or not lit else pen.thick(share),
        opacity=pen.opacity(lit, share), data_kind="skip", data_q=skip.quantity,
    )  # fmt: skip
    about = Message("{block}: {name} goes past the block, and {back}", block=skip.block, name=skip.text, back=skip.back)
    svg.tip(line, pen.say(about))
    head = f"M{point(stop)}l-4-7h8z"
    svg.add(pen.signs[1], "path", d=head, fill=POSITIVE, opacity=None if lit else FAINT)
    past = Message("past {block}: {name}", block=skip.block, name=skip.text)
    texts = {"values": f"{pen.say(past)} \u2192", "gradients": f"\u2190 {pen.say(skip.back)}"}
    if svg.width("".join(texts.values()), SMALL) + 40 > right - left:
        texts["values"] = f"{skip.text} \u2192"
    wide = {layer: svg.width(words, SMALL) + 10 for layer, words in texts.items()}
    x = (left + right - sum(wide[layer] for layer in pen.scene.layers)) / 2
    for layer in pen.scene.layers:
        if layer in pen.layers:
            quantity = f"dL:{skip.quantity}" if layer == "gradients" else skip.quantity
            group = svg.add(pen.words[layer], "g", data_q=quantity)
            svg.add(group, "path", d=field(x, y, wide[layer] - 2, 14), fill=CHIPS[layer])
            text(group, x + wide[layer] / 2 - 1, y, texts[layer], SMALL, font_family=svg.SANS, data_q=quantity)
        x += wide[layer]


def _top(pen: Pen, c: int) -> float:
    place = pen.place
    return min(place.boxes[c, k].y for k in pen.scene.columns[c].own) - place.tall / 2 - 1
