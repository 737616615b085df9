"""One unit as a circuit of gates: values go to the right, and gradients come back, changed at each gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import say
from fullyconnected.explanation.record import Trace
from fullyconnected.pages import svg
from fullyconnected.pages.svg import DARK, MONO, Element
from fullyconnected.program.description import Operation
from fullyconnected.symbolic.digits import brief, place
from fullyconnected.symbolic.expression import Name

__all__ = ["Circuit", "Wire", "circuit_of", "gates_of"]

TERMS = 3  # of a longer sum, so many terms are drawn
SMALL, MIDDLE = 11.0, 13.0
HIGH = 40.0  # from one wire to the next
LEVEL = 90.0  # the level part of a wire, where its numbers stand
RADIUS = 15.0
NAMES, TIMES, PLUS, FUNCTION, END = 96.0, 250.0, 440.0, 590.0, 740.0  # where things stand from left to right
WIRE, BACK = "#7d8794", "#8a63d2"
FILL = "#e8ecf2"


class Wire(NamedTuple):
    """A number on its way: its name, its value, its gradient, and the quantity whose entry it is, if it is one."""

    name: str
    value: float
    gradient: float
    quantity: str = ""


class Circuit(NamedTuple):
    """A unit, for one row: the factors of its terms, their products, its bias, and what comes out.

    Of many terms, the largest are drawn. ``others`` says how many are not, and ``parts`` what each row adds to the
    gradient of ``weight``, the first weight drawn.
    """

    terms: Sequence[tuple[Wire, Wire]]
    others: int
    bias: Wire | None
    z: Wire
    y: Wire | None
    function: str
    parts: Sequence[float]
    weight: Wire


def circuit_of(trace: Trace, row: int) -> Circuit | None:
    """Return a unit of the last Dense layer that is a plain product, or None: the one with the largest gradient."""
    for i in reversed(range(len(trace.operations))):
        op = trace.operations[i]
        if op.is_dense and op.copies == 1 and getattr(op.layer, "parametrization", "") != "ntk":
            return _circuit(trace, i, op, row)
    return None


def _circuit(trace: Trace, i: int, op: Operation, row: int) -> Circuit | None:
    turned, trace = trace.place, trace.in_rows
    x, z = trace.wires[op.reads[0] + 1], trace.wires[i + 1]
    owned = {name.full: name for name in trace.values if not name.of and not name.new}
    W, b = owned.get(f"{op.name}.W"), owned.get(f"{op.name}.b")
    if W is None or trace.values[W].ndim != 2 or z.gradient("L") not in trace.values:
        return None

    def wire(name: Name, at: tuple[int, ...]) -> Wire:
        back = trace.values.get(name.gradient("L"))
        gradient = float("nan") if back is None else float(back[at])
        said = place(turned(at))
        return Wire(name.text + said, float(trace.values[name][at]), gradient, name.quantity + said)

    X, slopes = trace.values[x].astype(float), trace.values[z.gradient("L")].astype(float)
    j = int(np.argmax(np.abs(np.nan_to_num(slopes[row]))))
    slope = float(slopes[row, j])
    with np.errstate(all="ignore"):
        sizes = np.abs(np.nan_to_num(X[row] * trace.values[W][:, j]))
    chosen = sorted(np.argsort(-sizes, kind="stable")[:TERMS].tolist())
    pairs = []
    for k in chosen:
        # in this unit and this row alone, which is not all that x and W are read by
        source, weight = wire(x, (row, k)), wire(W, (k, j))
        with np.errstate(all="ignore"):
            back = weight.value * slope, source.value * slope
        pairs.append((source._replace(gradient=back[0]), weight._replace(gradient=back[1])))
    after = trace.operations[i + 1] if i + 1 < len(trace.operations) else None
    function = after if after is not None and after.kind == "activation" else None
    bias = None if b is None else wire(b, (j,))._replace(gradient=slope)
    with np.errstate(all="ignore"):
        parts = X[:, chosen[0]] * slopes[:, j]
    return Circuit(
        pairs,
        op.n_in - len(pairs),
        bias,
        wire(z, (row, j)),
        None if function is None else wire(trace.wires[i + 2], (row, j)),
        "" if function is None else str(getattr(getattr(function.layer, "activation", None), "name", "f")),
        parts.tolist(),
        wire(W, (chosen[0], j)),
    )


def gates_of(circuit: Circuit, prefix: str = "gates", lang: str = "en") -> str:
    """Return the circuit as SVG, with words in a language."""
    rows = 2 * len(circuit.terms) + bool(circuit.others) + (circuit.bias is not None)
    end = END if circuit.y is not None else END - FUNCTION + PLUS
    title = Message("A unit as a circuit of gates")
    desc = Message(
        "Each input is multiplied by its weight; the products and the bias are added. Values stand above the lines, "
        "and the gradients that come back below them, in italics."
    )
    root = svg.drawing(end + 150, HIGH * rows + 8, say(title, lang), say(desc, lang), prefix)
    lines = svg.add(root, "g", stroke=WIRE, stroke_width=1.5, fill="none")
    ahead, back = (svg.add(root, "g", font_family=MONO, text_anchor="middle", font_size=SMALL) for _ in range(2))
    back.attrib |= {"font-style": "italic", "fill": BACK}
    pen = Pen(root, lines, ahead, back)
    middle = HIGH * rows / 2
    for k, (source, weight) in enumerate(circuit.terms):
        levels = HIGH * (2 * k + 0.5), HIGH * (2 * k + 1.5)
        gate = (TIMES, sum(levels) / 2)
        for level, wire in zip(levels, (source, weight), strict=True):
            _line(pen, (NAMES, level), NAMES + LEVEL, gate, wire)
        product = Wire("", source.value * weight.value, circuit.z.gradient)
        _line(pen, gate, TIMES + RADIUS + LEVEL, (PLUS, middle), product)
        _gate(root, *gate, "\u00d7")
    down = HIGH * (2 * len(circuit.terms) + 0.5)
    if circuit.others:
        others = Message("and {n} more products", n=f"{circuit.others:,}")
        svg.write(root, NAMES, down, say(others, lang), SMALL, "start")
        down += HIGH
    if circuit.bias is not None:
        _line(pen, (NAMES, down), TIMES + RADIUS + LEVEL, (PLUS, middle), circuit.bias)
    out = circuit.z
    if circuit.y is not None:
        _line(pen, (PLUS, middle), FUNCTION - RADIUS, (FUNCTION, middle), circuit.z)
        _line(pen, (FUNCTION, middle), end, (end, middle), circuit.y)
        _gate(root, FUNCTION, middle, circuit.function, wide=True)
        out = circuit.y
    else:
        _line(pen, (PLUS, middle), end, (end, middle), circuit.z)
    _gate(root, PLUS, middle, "+")
    svg.write(root, end + 8, middle, f"{out.name} \u2192 L", MIDDLE, "start")
    return svg.render(root)


Point = tuple[float, float]


class Pen(NamedTuple):
    """The picture, and its groups: of lines, of values, and of the gradients that come back."""

    root: Element
    lines: Element
    ahead: Element
    back: Element


def _line(pen: Pen, start: Point, bend: float, stop: Point, wire: Wire) -> None:
    """Draw a wire, level up to ``bend`` and then on to a gate, with its value above its level part, its gradient below.

    The name of one that comes from outside stands at its left.
    """
    x, y = start
    svg.add(pen.lines, "path", d=f"M{x:g} {y:g}H{bend:g}L{stop[0]:g} {stop[1]:g}")
    if x == NAMES:
        svg.write(pen.root, NAMES - 6, y, wire.name, MIDDLE, "end")
    middle = (max(x + RADIUS, bend - LEVEL) + bend) / 2
    svg.add(pen.ahead, "text", x=middle, y=y - 5, data_q=wire.quantity).text = brief(wire.value)
    if np.isfinite(wire.gradient):
        svg.add(pen.back, "text", x=middle, y=y + 14).text = brief(wire.gradient)


def _gate(root: Element, x: float, y: float, sign: str, *, wide: bool = False) -> None:
    half = svg.width(sign, MIDDLE) / 2 + 8 if wide else RADIUS
    svg.add(
        root, "rect", x=x - half, y=y - RADIUS, width=2 * half, height=2 * RADIUS, rx=RADIUS, fill=FILL, stroke=WIRE,
        stroke_width=1.5,
    )  # fmt: skip
    svg.write(root, x, y, sign, MIDDLE, fill=DARK)
