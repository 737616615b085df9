"""What all parts of a picture are drawn with: its groups, its colours, and numbers in their places."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.pictures.light import light_of
from fullyconnected.explanation.pictures.placement import CELL, DIGIT, SMALL, Placement
from fullyconnected.explanation.pictures.scene import Number, Scene
from fullyconnected.pages import svg
from fullyconnected.pages.svg import DARK, MONO, Element
from fullyconnected.symbolic.digits import shown

__all__ = [
    "CHIPS", "FAINT", "FAINT_WORDS", "FILLS", "INKS", "MARKS", "NEGATIVE", "POSITIVE", "Look", "Pen", "field", "level",
    "point", "square", "text",
]  # fmt: skip

Look = dict[str, str | float | None]
FAINT, FAINT_WORDS = 0.16, 0.6  # opacity out of focus; numbers remain readable
FILLS = {  # light fills for dark words, with an outline for light and for dark pages
    "input": ("#cdeac6", "#4a9a4a"),
    "hidden": ("#cfe1f7", "#4a86c8"),
    "output": ("#f8cfcb", "#cf5b50"),
    "bias": ("#fbeab0", "#b08d1f"),
    "target": ("#e6e9ee", "#7d8794"),
    "loss": ("#f5d5ea", "#b5589b"),
}
POSITIVE, NEGATIVE = "#7d8794", "#c9722e"
INKS = {"values": DARK, "gradients": "#5b2a91"}  # of numbers, on the fills
CHIPS = {"values": "#e9edf2", "gradients": "#ece3f8"}  # fills of numbers and entries of weights
MARKS = {"values": ("#46515e", "#a8521a"), "gradients": ("#6b2fa8", "#6b2fa8")}  # of positive and negative entries


class Pen:
    """Holds the layout of a scene and the groups of its drawing, from back to front."""

    def __init__(self, scene: Scene, layers: Sequence[str], focus: Focus | str) -> None:
        self.scene, self.layers = scene, layers
        self.light = light_of(scene, focus) if focus else None
        self.place = Placement(scene)
        sizes = [abs(e.number.value) for e in scene.edges() if e.number.value is not None]
        self.largest = max((float(size) for size in sizes if math.isfinite(size)), default=0.0) or 1.0
        self.numbers = {at: n for n, (at, _) in enumerate(scene.units())}

    def say(self, message: str) -> str:
        """Return words in the language of the picture."""
        return self.scene.say(message)

    def begin(self, root: Element) -> None:
        """Make the groups of a picture."""
        self.root = root
        strokes = svg.add(root, "g", fill="none")
        self.signs = {
            sign: svg.add(strokes, "g", stroke=colour, stroke_dasharray=dash)
            for sign, colour, dash in ((1, POSITIVE, None), (-1, NEGATIVE, "6 4"))
        }
        self.shapes = svg.add(root, "g")
        self.words = {}
        for layer in self.layers:
            group = svg.add(root, "g", data_layer=layer, fill=INKS[layer], font_family=MONO, font_size=SMALL)
            group.attrib |= {"text-anchor": "middle"} | ({"font-style": "italic"} if layer == "gradients" else {})
            self.words[layer] = group

    def number(
        self, layer: str, x: float, y: float, number: Number, name: str, *, lit: bool, bare: bool = False
    ) -> None:
        """Write a number in its place, with a title that has all digits if there are more; ``bare`` is on no fill."""
        value = number.of(layer)
        if value is None:
            return
        said, whole = number.text(layer), shown(value)
        group = self.words[layer]
        if whole != said:
            group = svg.add(group, "g")
            svg.tip(group, f"{f'dL/d{name}' if layer == 'gradients' else name} = {whole}")
        element = text(
            group, x, y, said, SMALL, data_q=number.quantity_of(layer),
            fill="currentColor" if bare else None, opacity=None if lit else FAINT_WORDS,
        )  # fmt: skip
        if DIGIT * len(said) > CELL:
            element.attrib |= {"textLength": svg.number(CELL - 4), "lengthAdjust": "spacingAndGlyphs"}

    def wide(self, value: object) -> float:
        """Return the width of a line: from 0.8 for a weight of zero to 3.5 for the largest in the picture."""
        size = 0.0 if value is None else float(value)  # type: ignore[arg-type]
        return 0.8 + 2.7 * min(1.0, abs(size) / self.largest) if math.isfinite(size) else 0.8

    def thick(self, share: float | None) -> float:
        """Return the width of a line in focus: from 1 to 5, with its share of the gradient."""
        assert self.light is not None
        return 1.2 + 3.8 * self.light.strength(share)

    def opacity(self, lit: bool, share: float | None, otherwise: float | None = None) -> float | None:
        if self.light is None:
            return otherwise
        return 0.45 + 0.55 * self.light.strength(share) if lit else FAINT


def text(parent: Element, x: float, y: float, words: str, size: float, **more: str | float | None) -> Element:
    """Append a line of text with ``y`` at half its height, whose look is that of its group."""
    element = svg.add(parent, "text", x=x, y=y + 0.35 * size, **more)
    element.text = svg.allowed(words)
    return element


def square(at: complex, half: float) -> str:
    """Return the path of a square around a point."""
    side = svg.number(2 * half)
    return f"M{point(at - half - half * 1j)}h{side}v{side}h-{side}z"


def field(left: float, y: float, wide: float, high: float) -> str:
    """Return the path of a rectangle with ``y`` at half its height."""
    across, down = svg.number(wide), svg.number(high)
    return f"M{svg.number(left)} {svg.number(y - high / 2)}h{across}v{down}h-{across}z"


def level(start: complex, stop: complex) -> str:
    """Return the rest of a path to a point, short if it is level."""
    return f"H{svg.number(stop.real)}" if abs(start.imag - stop.imag) < 0.05 else f"L{point(stop)}"


def point(at: complex) -> str:
    """Return a point as a path has it."""
    return f"{svg.number(at.real)} {svg.number(at.imag)}"
