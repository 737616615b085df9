"""A record as a page: one file that loads nothing from elsewhere, and shows everything without JavaScript, too."""

import math
import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from fullyconnected.core.version import __version__
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.pictures.drawing import Show, graph_of, picture_of
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.render import document
from fullyconnected.pages.document import page
from fullyconnected.symbolic.digits import place, shown
from fullyconnected.symbolic.expression import Binary, Call, Expression, Name, Transposed, names_in
from fullyconnected.symbolic.mathml import MINUS, mathml, mathml_number
from fullyconnected.symbolic.notation import ADDED, LEVEL

__all__ = ["to_html"]

MOST = (8, 6)  # rows and columns of an array on the page
SHORT = {"+": 2, "-": 2, "*": 6, "/": 12}  # a sum, product or fraction of at most this many numbers is not broken
SIGN = {"=": "=", "~": "≈"}
CALLS = {"sqrt": "<mo>√</mo>", "log": "<mi>log</mi>"}  # functions whose argument may be broken
OPEN, CLOSE = "<mo stretchy='false'>(</mo>", "<mo stretchy='false'>)</mo>"
CALM = 16  # a picture with at most this many weights shows values and gradients at once by default
WIDE = 900  # a wider picture has the whole width of the page, and is not scaled down
SHOWS: tuple[Show, ...] = ("values", "gradients", "both")


def to_html(trace: Trace, focus: Focus | None = None, lang: str = "en") -> str:
    """Return the page."""
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    return page(document.headline(trace), "\n".join(_body(trace, focus)), style=style, script=script)


def _body(trace: Trace, focus: Focus | None) -> Iterator[str]:
    open_question = trace.first_not_finite is None and bool(trace.reports) and not trace.resolved
    kind, mark = ("open", "?") if open_question else ("right", "✓") if trace.ok else ("wrong", "✗")
    yield "<header>"
    yield f"<h1>{escape(document.headline(trace))}</h1>"
    yield (
        f'<p class="verdict {kind}"><span aria-hidden="true">{mark}</span> '
        f"<span>L = {shown(trace.values[trace.name('L')])}; {escape(document.verdict(trace))}.</span></p>"
    )
    links = {"#reading": "How to read it", "#steps": "All steps as one document"}
    if trace.first_not_finite is not None:
        links = {f"#step={trace.first_not_finite.number}": "The first step that is not finite", **links}
    yield '<p class="links">' + " ".join(f'<a href="{to}">{what}</a>' for to, what in links.items()) + "</p>"
    yield "</header>"
    yield "<main>"
    yield '<div class="desk">'
    yield from _network(trace, focus)
    yield from _stepper(trace)
    yield "</div>"
    yield from _reading()
    yield from _graph(trace)
    yield from _given(trace)
    if focus is not None:
        yield from _paths(focus)
    yield from _check(trace)
    yield _opened("steps", "All steps")
    for phase, note, steps, _ in document.chapters(trace):
        yield f"<h3>{phase.capitalize()}</h3>"
        if note:
            yield f"<p>{escape(note)}</p>"
        for step in steps:
            yield from _article(step, focus)
    yield "</section>"
    yield from _assumptions(trace)
    yield "</main>"


def _opened(name: str, title: str, more: str = "") -> str:
    """Return the beginning of a section: its tag, with more attributes if there are any, and its title."""
    return f'<section id="{name}"{more} aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>'


def _reading() -> Iterator[str]:
    gradient = mathml(Name("W", "1", of="L"))
    yield _opened("reading", "How to read it") + "<ul>"
    yield "<li>x is the input, with one row per sample; t are the targets. L is the loss, which training reduces.</li>"
    yield (
        "<li>The number in a name is that of the layer: W1 and b1 are the weights and biases of the first layer, z1 is "
        "the input of its activation, and y1 its output.</li>"
    )
    yield (
        f"<li><math>{gradient}</math>, in the pictures dL/dW1, is the gradient of W1: how fast L grows with each entry "
        "of W1.</li>"
    )
    yield "<li>In y1[0,2], 0 is the row and 2 the unit, both counted from 0; in sums, i counts rows and j units.</li>"
    yield (
        f"<li><math>{mathml(Transposed(Name('x')))}</math> is x transposed, ⊙ multiplies entry by entry, and "
        f"<math>{mathml(Name('1'))}</math> is a vector of ones, one for each row.</li>"
    )
    yield "<li>= means that the digits shown are exact, ≈ that they are rounded.</li>"
    yield (
        '<li class="scripted" hidden>Click any number to mark it everywhere. The pictures show what a step computes in '
        "bold.</li>"
    )
    yield "</ul></section>"


def _network(trace: Trace, focus: Focus | None) -> Iterator[str]:
    dense = [op for op in trace.operations if op.is_dense]
    if not dense:  # units and lines are those of Dense layers
        return
    pictures = {show: picture_of(trace, show=show, focus=focus, prefix=f"net-{show}") for show in SHOWS}
    wide = any(float(re.findall('width="(.+?)"', drawn)[0]) > WIDE for drawn in pictures.values())
    yield _opened("network", "The network", f' class="{"wide" if wide else "narrow"}"')
    weights = sum(op.copies * op.n_in * op.n_out for op in dense)
    first = "both" if weights <= CALM else "values"
    yield (
        '<fieldset class="scripted" hidden><legend>Numbers in the picture</legend>'
        + "".join(
            f'<label><input type="radio" name="show" value="{show}"{" checked" * (show == first)}> {show}</label>'
            for show in SHOWS
        )
        + "</fieldset>"
    )
    yield '<figure class="picture">'
    for show, drawn in pictures.items():
        yield f'<div class="scroll" data-show="{show}"{" hidden" * (show != "both")}>{drawn}</div>'
    if trace.rows > 1:
        yield (
            f"<figcaption>The numbers at the units are those of row 0, the first of {trace.rows} rows; the gradients "
            "of weights and biases include all rows.</figcaption>"
        )
    yield "</figure></section>"


def _graph(trace: Trace) -> Iterator[str]:
    yield _opened("graph", "The computation")
    yield f'<figure class="picture"><div class="scroll">{graph_of(trace)}</div></figure></section>'


def _stepper(trace: Trace) -> Iterator[str]:
    last = len(trace.steps)
    yield _opened("now", "Step by step", ' class="scripted" hidden')
    yield '<div class="controls">'
    for action, label, sign in (("first", "First step", "|◀"), ("back", "Previous step", "◀")):
        yield f'<button type="button" data-go="{action}" aria-label="{label}">{sign}</button>'
    yield (
        f'<label class="slider"><span>Step <span id="at">1</span> of {last}</span>'
        f'<input id="slider" type="range" min="1" max="{last}" value="1" step="1"></label>'
    )
    for action, label, sign in (("on", "Next step", "▶"), ("last", "Last step", "▶|")):
        yield f'<button type="button" data-go="{action}" aria-label="{label}">{sign}</button>'
    yield "</div>"
    yield '<div class="controls phases">'
    for phase, _, (first, *_), _ in document.chapters(trace):
        yield f'<button type="button" data-step="{first.number}" data-phase="{phase}">{phase.capitalize()}</button>'
    yield "</div>"
    yield '<div class="controls"><label>Mark a number <select id="mark"><option value="">none</option></select></label>'
    yield '<span id="said" role="status"></span></div>'
    yield '<div id="panel"><h3 aria-live="polite"></h3><div></div></div>'
    yield "<p>Arrow keys, Home and End change the step; the address of the page keeps it.</p>"
    yield "</section>"


def _paths(focus: Focus) -> Iterator[str]:
    yield _opened("paths", f"Paths of {escape(focus.text)} to the loss")
    yield f"<p>{escape(focus.summary)}</p><ol>"
    for path in focus.paths:
        nodes = " → ".join(
            f'<span data-q="{escape(q)}">{escape(node)}</span>' if q else escape(node)
            for node, q in zip(path.nodes, [*path.quantities, ""], strict=True)
        )
        factors = " · ".join(map(escape, path.factors))
        line = _broken(_pieces(path.tree), path.sign, mathml_number(path.result))
        yield f'<li><p>{nodes}</p><p>{factors}</p><div class="scroll">{line}</div></li>'
    yield "</ol>"
    if focus.rest:
        yield f"<p>{escape(focus.rest.replace(' ~ ', ' ≈ '))}</p>"
    yield "</section>"


def _check(trace: Trace) -> Iterator[str]:
    steps = [step for step in trace.steps if step.phase == "check"]
    if not steps:
        return
    yield _opened("check", "Central differences")
    yield f"<p>{escape(document.NOTES['check'])}</p>"
    yield '<div class="scroll"><table class="check"><thead><tr>'
    for title in ("entry", "value", "L left", "L right", "slope", "gradient", "difference"):
        yield f'<th scope="col">{title}</th>'
    yield "</tr></thead>"
    for step in steps:
        yield from _differences(trace, step)
    yield "</table></div></section>"


def _differences(trace: Trace, step: Step) -> Iterator[str]:
    name = trace.name(step.equation.left.full.removesuffix(":slope"))
    gradient = name.gradient("L")
    right, left = list(names_in(step.equation.right))[:2]
    values, gradients = trace.values[name], trace.values[gradient]
    yield "<tbody>"
    yield (
        f'<tr class="tensor"><th scope="rowgroup" colspan="7"><span>{escape(name.full)}</span> '
        f"<span>{escape(step.why)}</span></th></tr>"
    )
    for at in step.entries or ():
        apart = abs(float(step.result[at]) - float(gradients[at]))
        row = (
            _cell(values[at], name.quantity + place(at))
            + _cell(step.values[left][at])
            + _cell(step.values[right][at])
            + _cell(step.result[at], step.equation.left.quantity + place(at))
            + _cell(gradients[at], gradient.quantity + place(at))
            + _cell(float(f"{apart:.1g}"))
        )
        yield f'<tr><th scope="row">{escape(name.text + place(at))}</th>{row}</tr>'
    yield "</tbody>"


def _given(trace: Trace) -> Iterator[str]:
    yield _opened("given", "Given")
    yield '<dl class="given">'
    for name, what in document.given(trace):
        table = document.grid(name, trace.values[name], MOST)
        note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
        yield (
            f'<div><dt>{escape(what)}</dt><dd><div class="scroll"><math><mrow>{mathml(name)}<mo>{SIGN[table.sign]}</mo>'
            f"{_matrix(table)}</mrow></math></div>{note}</dd></div>"
        )
    yield "</dl></section>"


def _article(step: Step, focus: Focus | None) -> Iterator[str]:
    name = step.equation.left
    yield (
        f'<article id="step={step.number}" data-phase="{step.phase}" data-result="{escape(name.quantity)}" '
        f'aria-labelledby="title-{step.number}">'
    )
    yield (
        f'<h4 id="title-{step.number}"><span class="count">{step.number}</span> {step.phase.capitalize()} · '
        f"{escape(step.layer)} · <math>{mathml(name)}</math></h4>"
    )
    yield f'<div class="scroll formula"><math displaystyle="true">{step.equation.mathml}</math></div>'
    if said := document.shapes(step):
        yield f'<p class="shapes"><span>shapes</span> {escape(said)}</p>'
    table, sign = document.grid(name, step.result, MOST), SIGN[document.relation(step)]
    yield (
        f'<div class="scroll"><math displaystyle="true"><mrow>{mathml(name)}<mo>{sign}</mo>{_matrix(table)}'
        "</mrow></math></div>"
    )
    if table.note:
        yield f'<p class="note">{escape(table.note)}</p>'
    if not step.finite:
        yield '<p class="note wrong">Not finite: this result holds NaN or infinity.</p>'
    lines, more = document.worked(step, focus.chosen(step) if focus is not None else None)
    in_table = step.phase == "check" and focus is None and len(lines) > 1
    if lines:
        yield '<ul class="worked">'
        for line in lines[:1] if in_table else lines:
            yield f'<li><div class="scroll">{_worked(name, line)}</div></li>'
        if in_table:
            yield '<li>the other entries are in the <a href="#check">table of central differences</a></li>'
        elif more:
            yield f"<li>{document.left_out(more)}</li>"
        yield "</ul>"
    yield f'<p class="why">{escape(step.why)}</p>'
    yield "</article>"


def _worked(name: Name, line: document.Worked) -> str:
    """Return an entry worked out."""
    index = f"<mo stretchy='false'>[</mo><mn>{','.join(map(str, line.at))}</mn><mo stretchy='false'>]</mo>"
    first, *others = _pieces(line.right)
    pieces = [f"{mathml(name)}{index * bool(line.at)}<mo>=</mo>{first}", *others]
    return _broken(pieces, line.sign, mathml_number(line.result.text, line.result.quantity))


def _broken(pieces: Sequence[str], sign: str, result: str) -> str:
    """Return one line of mathematics as several formulas, between which a browser may break the line."""
    return " ".join(f"<math>{piece}</math>" for piece in (*pieces, f"<mo form='infix'>{SIGN[sign]}</mo>{result}"))


def _pieces(node: Expression, least: int = ADDED, first: bool = True) -> list[str]:
    """Return a formula in pieces: a short one whole, a long one broken before its operators.

    ``least`` and ``first`` are as in :meth:`Notation.write`.
    """
    if isinstance(node, Call) and node.function in CALLS and document.numbers_in(node) > SHORT["/"]:
        pieces = _pieces(node.operands[0])
        return [f"{CALLS[node.function]}{OPEN}{pieces[0]}", *pieces[1:-1], pieces[-1] + CLOSE]
    if not (isinstance(node, Binary) and document.numbers_in(node) > SHORT.get(node.operator, math.inf)):
        return [mathml.write(node, least, first)]
    level = LEVEL[node.operator]
    bracketed = level < least
    left = _pieces(node.left, level, first or bracketed)
    if not (first or bracketed) and mathml.starts_negative(left[0]):
        bracketed, left = True, _pieces(node.left, level)
    same = node.operator in "+*" and isinstance(node.right, Binary) and node.right.operator == node.operator
    right = _pieces(node.right, level + (not same), False)
    sign = node.operator.replace("*", "·").replace("-", MINUS)
    pieces = [*left, f"<mo form='infix'>{sign}</mo>{right[0]}", *right[1:]]
    if bracketed:
        pieces[0] = f"{OPEN}{pieces[0]}"
        pieces[-1] += CLOSE
    return pieces


def _matrix(table: document.Grid) -> str:
    rows = document.cells(table, "<mo>⋮</mo>", "<mo>…</mo>", lambda cell: mathml_number(cell.text, cell.quantity))
    if not table.shape:
        return rows[0][0]
    inside = "".join(f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>" for row in rows)
    return f'<mtable class="matrix">{inside}</mtable>'


def _cell(value: object, quantity: str = "") -> str:
    mark = f' data-q="{escape(quantity)}"' if quantity else ""
    return f"<td{mark}>{shown(value)}</td>"


def _assumptions(trace: Trace) -> Iterator[str]:
    yield _opened("assumptions", "What the numbers depend on") + '<dl class="settings">'
    settings = {"layout": "rows are samples: z = x W + b, with W (inputs, outputs)", **trace.settings}
    settings["kinks"] = "the derivative at a kink is that of its left side: for relu, it is 0 at 0"
    settings["library"] = f"fullyconnected {__version__}"
    for name, value in settings.items():
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl></section>"
