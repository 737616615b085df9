"""The units of a picture, with their names and numbers."""

from __future__ import annotations

from fullyconnected.explanation.pictures.pen import FAINT, FAINT_WORDS, FILLS, NEGATIVE, Look, Pen, text
from fullyconnected.explanation.pictures.placement import CELL, LINE, MIDDLE, SIDE, SMALL, Box
from fullyconnected.explanation.pictures.scene import At, Column, Unit
from fullyconnected.pages import svg
from fullyconnected.pages.svg import DARK, Element

__all__ = ["draw_units"]


def draw_units(pen: Pen) -> None:
    """Draw the units of all columns."""
    for c, column in enumerate(pen.scene.columns):
        _column(pen, c, column)


def _column(pen: Pen, c: int, column: Column) -> None:
    place, own = pen.place, column.own
    own = [k for k in own if not any(column.follows) or column.follows[k] is not None]
    if column.band and len(own) > 1:
        top, bottom = (place.boxes[c, k].y for k in (own[0], own[-1]))
        wide, high = place.inner[c] + 8, bottom - top + place.tall + 8
        look: Look = {
            "fill": "currentColor",
            "fill_opacity": 0.13,
            "stroke": "currentColor",
            "stroke_opacity": 0.45,
        }
        left = place.centres[c] - wide / 2
        svg.add(
            pen.shapes, "rect", x=left, y=top - place.tall / 2 - 4, width=wide, height=high, rx=14.0,
            data_kind="band", **look,
        )  # fmt: skip
    for k, unit in enumerate(column.units):
        _unit(pen, (c, k), column, unit)
    if c in place.marks:
        x, y = place.marks[c]
        dots = "".join(f"M{svg.number(x)} {svg.number(y + step)}h.1" for step in (-6, 0, 6))
        svg.add(
            pen.shapes,
            "path",
            d=dots,
            stroke="currentColor",
            stroke_width=3.0,
            stroke_linecap="round",
            data_kind="ellipsis",
        )
        if column.named:
            svg.write(pen.shapes, x + 8, y, pen.say(column.more), SMALL, "start")


def _unit(pen: Pen, at: At, column: Column, unit: Unit) -> None:
    """Draw a unit, its name and its numbers."""
    place, box = pen.place, pen.place.boxes[at]
    lit = pen.light is None or at in pen.light.units
    fill, stroke = FILLS[unit.kind]
    chosen = pen.light is not None and any(cell.quantity == pen.light.quantity for cell in unit.cells)
    group = svg.add(  # its shape takes the width of its line from it, so that a page can change it
        pen.shapes, "g", stroke_width=3.5 if chosen else 1.3,
        data_unit=str(pen.numbers[at]), data_kind=unit.kind, data_q=unit.quantity, data_called=unit.called,
    )  # fmt: skip
    svg.tip(group, pen.say(unit.about))
    high = SIDE if unit.kind == "bias" else place.tall
    left, top = box.x - box.wide / 2, box.y - high / 2
    if column.stacked:
        for by in (5, 2.5):
            svg.add(
                group,
                "rect",
                x=left + by,
                y=top + by,
                width=box.wide,
                height=high,
                rx=9.0,
                fill=fill,
                stroke=stroke,
            )
    round_ = 3.0 if unit.kind == "bias" else 9.0
    look: Look = {"fill": fill, "stroke": stroke}
    if not lit:  # words on what shines through have the colour of the page
        look |= {"fill_opacity": FAINT, "stroke_opacity": 0.4}
    if unit.dropped:
        look |= {"fill": "none", "stroke": NEGATIVE, "stroke_dasharray": "4 3", "pointer_events": "all"}
    svg.add(group, "rect", x=left, y=top, width=box.wide, height=high, rx=round_, **look)
    if unit.kind == "bias":
        text(group, box.x, box.y, "1", MIDDLE, font_size=MIDDLE, text_anchor="middle", **_ink(lit))
        return
    _name(pen, group, box, column, unit, left, lit=lit)
    right = box.x + box.wide / 2 - 2
    for k, cell in enumerate(unit.cells):
        x = right - CELL * (len(unit.cells) - k - 0.5)
        if k and place.valued:
            svg.add(
                group,
                "path",
                d=f"M{svg.number(x - CELL / 2)} {svg.number(top + 3)}v{svg.number(high - 6)}",
                stroke=stroke,
                stroke_opacity=0.6 if lit else 0.3,
                stroke_width=1.0,
            )
        for n, layer in enumerate(pen.scene.layers):
            if layer in pen.layers:
                alone = all(each.gradient is None for each in unit.cells)
                y = box.y + (0 if alone else LINE * (n - (len(pen.scene.layers) - 1) / 2))
                pen.number(layer, x, y, cell, unit.names[k], lit=lit, bare=unit.dropped or not lit)


def _ink(lit: bool) -> Look:
    return {"fill": DARK} if lit else {"fill": "currentColor", "opacity": FAINT_WORDS}


def _name(pen: Pen, group: Element, box: Box, column: Column, unit: Unit, left: float, *, lit: bool) -> None:
    """Write the name of a unit, or the sign of what it does."""
    look: Look = {"font_size": MIDDLE, **_ink(lit)}
    if column.named or not pen.place.valued:
        room = box.wide - 12 - (CELL * len(unit.cells) if pen.place.valued else 0)
        name = unit.called or pen.say(unit.name)
        while svg.width(name, MIDDLE) > room + 1:
            name = f"{name[:-2]}\u2026"
        text(group, left + 7, box.y, name, MIDDLE, **look)
    elif column.sign:
        text(group, left + 5, box.y, column.sign, MIDDLE, **look, font_weight="600")
    elif unit.kind == "target" and not any(column.follows[k] for k, each in enumerate(column.units) if each is unit):
        text(
            group, left - 6, box.y, pen.say(unit.name), MIDDLE, **{**look, "fill": "currentColor", "text_anchor": "end"}
        )
