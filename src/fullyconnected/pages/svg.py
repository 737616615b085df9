"""SVG as text: shapes and words made with ElementTree, and styled by attributes alone.

GitHub's view of notebooks removes style sheets, classes and scripts, and a page with a strict policy does not apply
them; attributes remain. There are two kinds of colours, so that a picture suits light and dark pages: ``currentColor``,
which is the page's own, and fixed middle tones, with dark words on light fills.
"""

import re
import textwrap
import unicodedata
from xml.etree import ElementTree

__all__ = [
    "DARK", "MONO", "SANS", "Element", "add", "allowed", "drawing", "lines", "number", "render", "tip",
    "width", "write",
]  # fmt: skip

Element = ElementTree.Element

SANS = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
DARK = "#1b1f24"  # words on a light fill
EM = 0.62  # width of a character in units of the font size; the fonts for numbers have 0.60 or less

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML does not allow


def allowed(text: str) -> str:
    """Return a text without the characters that XML does not allow."""
    return _FORBIDDEN.sub("\ufffd", text)


def number(value: float) -> str:
    """Return a coordinate rounded to a tenth, in as few characters as possible."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def width(text: str, size: float) -> float:
    """Estimate the width of a line of text in a font of this size."""
    wide = sum(map(_is_wide, text))
    return size * (EM * (len(text) - wide) + wide)


def lines(text: str, room: float, size: float) -> list[str]:
    """Break a text into lines of at most this width; a name that is longer is broken behind its underscores.

    Signs that are wide, such as those of Chinese, have no spaces between them: a line may end behind each of them.
    """
    if any(map(_is_wide, text)):
        return [line for part in text.split("\n") for line in _lines_of_signs(part, room, size)]
    most = max(1, int(room / (EM * size)))

    def in_parts(word: re.Match[str]) -> str:
        parts = [""]
        for part in re.split(r"(?<=_)(?=[^\W\d_])", word[0]):
            if parts[-1] and len(parts[-1]) + len(part) > most:
                parts.append("")
            parts[-1] += part
        return " ".join(parts)  # no two of them fit into one line

    text = re.sub(rf"\S{{{most + 1},}}", in_parts, text)
    return [line for part in text.split("\n") for line in textwrap.wrap(part, most)]


def _is_wide(sign: str) -> bool:
    return unicodedata.east_asian_width(sign) in "WF"


def _lines_of_signs(text: str, room: float, size: float) -> list[str]:
    """Break a text with wide signs into lines, none of which begins with a closing sign or ends with an opening one."""
    found, end = [""], len(text)
    ends = [
        k
        for k in range(1, end)
        if (_is_wide(text[k - 1]) or _is_wide(text[k]) or text[k - 1] == " ")
        and unicodedata.category(text[k]) not in ("Pe", "Po", "Pf", "Zs")
        and unicodedata.category(text[k - 1]) not in ("Ps", "Pi")
    ]
    for start, stop in zip([0, *ends], [*ends, end], strict=True):
        piece = text[start:stop]
        for part in [piece] if width(piece.rstrip(), size) <= room else piece:  # a name that is longer than a line
            if found[-1] and width((found[-1] + part).rstrip(), size) > room:
                found.append("")
            found[-1] += part
    return [line for line in map(str.strip, found) if line]


def drawing(wide: float, high: float, title: str, desc: str, prefix: str) -> Element:
    """Return an empty picture; ``prefix`` makes its two ids differ from those of other pictures in the page."""
    svg = Element("svg", xmlns="http://www.w3.org/2000/svg")
    size = {"width": number(wide), "height": number(high), "viewBox": f"0 0 {number(wide)} {number(high)}"}
    names = {"aria-labelledby": f"{prefix}-title", "aria-describedby": f"{prefix}-desc"}
    svg.attrib |= {**size, "role": "img", **names, "font-family": SANS, "fill": "currentColor"}
    for tag, text in (("title", title), ("desc", desc)):
        add(svg, tag, id=f"{prefix}-{tag}").text = allowed(text)
    return svg


def add(parent: Element, tag: str, **attributes: str | float | None) -> Element:
    """Append an element. ``stroke_width`` becomes stroke-width; attributes that are None or empty are left out."""
    element = ElementTree.SubElement(parent, tag)
    for name, value in attributes.items():
        if value is not None and value != "":
            text = allowed(value) if isinstance(value, str) else number(value)
            element.set(name.replace("_", "-"), text)
    return element


def write(
    parent: Element, x: float, y: float, text: str, size: float, anchor: str = "middle", **more: str | float | None
) -> Element:
    """Append a line of text, with ``y`` at half its height."""
    # the baseline is computed, since some SVG renderers do not support dominant-baseline
    element = add(parent, "text", x=x, y=y + 0.35 * size, font_size=size, text_anchor=anchor, **more)
    element.text = allowed(text)
    return element


def tip(element: Element, text: str) -> None:
    """Give a shape a tooltip, which a browser shows when the pointer rests on it."""
    add(element, "title").text = allowed(text)


def render(svg: Element) -> str:
    """Return the picture as ASCII text, for a page or a file of any encoding."""
    return ElementTree.tostring(svg, encoding="us-ascii").decode()  # other letters become &#8594; and the like
