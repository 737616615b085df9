"""The network drawn as its units and weights: columns from left to right, and behind the outputs the loss.

Sign, size and kind are not shown by colour alone: negative weights are dashed and hollow, large ones thick and large,
biases square, gradients in italics. Numbers stand on light fills, so that they can be read on light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fullyconnected.core.messages import Message
from fullyconnected.errors import ConfigError
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.pictures.lines import draw_weights, draw_wires
from fullyconnected.explanation.pictures.pen import Pen, text
from fullyconnected.explanation.pictures.placement import CELL, HEAD, LINE, MARGIN, PIXEL, SMALL, TITLE
from fullyconnected.explanation.pictures.scene import Fan, Scene
from fullyconnected.explanation.pictures.units import draw_units
from fullyconnected.pages import svg
from fullyconnected.pages.svg import Element

__all__ = ["Show", "picture"]

Show = Literal["values", "gradients", "both"]
LAYERS = {"values": ("values",), "gradients": ("gradients",), "both": ("values", "gradients")}


def picture(
    scene: Scene, *, show: Show = "both", focus: Focus | str = "", title: Message, desc: Message, prefix: str = "net"
) -> str:
    """Return a scene as SVG.

    Parameters
    ----------
    scene : Scene
        What is drawn.
    show : {"values", "gradients", "both"}
        The numbers that are shown; their places are the same.
    focus : Focus or str
        A number and its paths, or the quantity of a unit or of a weight; everything else is dimmed.
    title, desc : Message
        A description of the picture for screen readers. What is left out is added to ``desc``.
    prefix : str
        The beginning of its ids, which differs for each picture of a page.
    """
    if show not in LAYERS:
        raise ConfigError(f"show is one of {', '.join(LAYERS)}; got {show!r}")
    pen = Pen(scene, [layer for layer in LAYERS[show] if layer in scene.layers], focus)
    room = max(pen.place.wide, 260.0) - 2 * MARGIN
    legend = [line for words in (_legend(pen, pen.layers), *_said(pen)) for line in svg.lines(words, room, SMALL)]
    most = [line for words in (_legend(pen, scene.layers), *_said(pen)) for line in svg.lines(words, room, SMALL)]
    high = pen.place.bottom + (LINE + 1) * len(most) + 8  # the same, whatever is shown
    for note in _notes(pen):
        desc += note
    root = svg.drawing(room + 2 * MARGIN, high, pen.say(title), pen.say(desc), prefix)
    pen.begin(root)
    _titles(pen)
    draw_weights(pen)
    draw_wires(pen)
    draw_units(pen)
    for k, line in enumerate(legend):
        svg.write(root, MARGIN, pen.place.bottom + (LINE + 1) * (k + 0.6), line, SMALL, "start", opacity=0.85)
    return svg.render(root)


def _titles(pen: Pen) -> None:
    group = svg.add(pen.root, "g", text_anchor="middle", font_size=TITLE)
    place = pen.place
    for c, column in enumerate(pen.scene.columns):
        if column.lane and any(
            other.depth == column.depth and other.lane < column.lane for other in pen.scene.columns[:c]
        ):
            above = min(place.boxes[c, k].y for k in range(len(column.units))) - place.tall / 2
            text(group, place.centres[c], above - 8, pen.say(column.title[0]), TITLE, font_weight="600")
            continue
        if column.block:
            text(group, place.centres[c], place.heads - HEAD, column.block, SMALL, font_size=SMALL, opacity=0.8)
        for k, line in enumerate(place.titles[c]):
            weight = "600" if k == 0 else None
            x, anchor = (place.centres[c] + place.inner[c] / 2, "end") if column.back else (place.centres[c], None)
            kind = "row" if c == 0 and k else None  # a page changes it with the row
            text(
                group, x, place.heads + HEAD * k, line, TITLE, font_weight=weight, text_anchor=anchor, data_kind=kind
            )  # fmt: skip
        if not place.valued:
            continue
        for k, caption in enumerate(column.captions):
            x = place.centres[c] + place.inner[c] / 2 - 2 - CELL * (len(column.captions) - k - 0.5)
            text(group, x, place.captions, caption, SMALL, font_size=SMALL, opacity=0.8)
    for f, fan in enumerate(pen.scene.fans):
        _fan_title(pen, group, f, fan)


def _fan_title(pen: Pen, group: Element, f: int, fan: Fan) -> None:
    """Write the name of a fan's weights above them, and the names of the columns of a matrix."""
    place = pen.place
    if pen.scene.columns[fan.target].lane:
        return
    if fan.matrix:
        start = place.strips[f]
        y = min(place.boxes[e.source].y for e in fan.edges) - PIXEL * len(pen.scene.layers) / 2 - 7
        text(group, start, y - LINE, fan.name, SMALL, text_anchor="start", font_size=SMALL, opacity=0.8)
        for target, k in {k: (target, k) for target, k in fan.places.items()}.values():
            x = start + place.column_of(f, target) + PIXEL / 2
            text(group, x, y, fan.labels[k], 9, font_size=9.0, opacity=0.8)
    elif place.labels:
        x = min(label.x for (i, _), label in place.labels.items() if i == f)
        text(
            group,
            x + CELL * len(pen.scene.layers) / 2,
            place.captions,
            fan.name,
            SMALL,
            font_size=SMALL,
            opacity=0.8,
        )


def _notes(pen: Pen) -> list[Message]:
    """Return sentences about what is left out or drawn in another way."""
    notes = []
    for column in pen.scene.columns:
        if column.hidden:
            notes.append(
                Message(
                    "Of the {n} units of {layer}, {hidden} are not drawn.",
                    n=column.total,
                    layer=column.title[0],
                    hidden=column.hidden,
                )
            )
    for fan in pen.scene.fans:
        if fan.matrix:
            layer = pen.scene.columns[fan.source].title[0]
            notes.append(
                Message("{names} are drawn as a matrix beside the units of {layer}.", names=fan.name, layer=layer)
            )
    return notes


def _said(pen: Pen) -> list[str]:
    return [pen.say(pen.light.said)] if pen.light is not None and pen.light.said else []


def _legend(pen: Pen, layers: Sequence[str]) -> str:
    """Return the meaning of the signs that occur in the picture."""
    scene = pen.scene
    matrix, shares = any(fan.matrix for fan in scene.fans), pen.light is not None and pen.light.has_shares
    dashed, thick = Message("dashed: negative weight"), Message("thick: large weight")
    if matrix:
        dashed, thick = Message("dashed, hollow: negative weight"), Message("thick, large: large weight")
    if shares:
        thick = Message("thick: large share of the gradient")
    signs = {
        Message("square: bias"): any(unit.kind == "bias" for _, unit in scene.units()),
        dashed: any(e.number.value is not None and e.number.value < 0 for e in scene.edges()),
        thick: pen.light is None or shares,
        Message("fields in a row: weights that leave a unit"): matrix,
        Message("band: mixes units"): any(column.band for column in scene.columns),
        Message("stack: mixes rows"): any(column.stacked for column in scene.columns),
        Message("crossed, dashed: dropped"): any(unit.dropped for _, unit in scene.units()),
        Message("italics: gradient of the loss"): "gradients" in layers,
    }
    return " \u00b7 ".join(pen.say(sign) for sign, occurs in signs.items() if occurs)
