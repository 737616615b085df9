"""Write engine_formulas.js of the playground: what the library's formulas say, as loops of JavaScript.

Activations, losses and optimizers that work entry by entry are printed from ``symbolic.formulas`` by the printer of
``exchange``, so that the playground without Python cannot say anything else. What mixes entries, such as softmax, is
written by hand in the engine. A test holds the file against this script.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from fullyconnected.activations import _TAIL, ACTIVATIONS
from fullyconnected.exchange.programs.javascript import HELPERS, JavaScript, literal
from fullyconnected.exchange.programs.loops import WHOLE
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.expression import Expression, Name, Number, entrywise, mapped, names_in
from fullyconnected.symbolic.formulas.lines import Line
from fullyconnected.symbolic.formulas.losses import LOSSES as LOSS_FORMULAS

FILE = Path(__file__).parent.parent / "src/fullyconnected/playing/page/engine_formulas.js"
KERNEL = SimpleNamespace(dtype=np.dtype(np.float64))
BY_HAND = ("softmax", "muon", "lbfgs", "binary_cross_entropy", "softmax_cross_entropy", "hinge")
HEAD = """\
/*
 * The activations, losses and optimizers of the library that work entry by entry, as loops.
 *
 * Written by tools/engine_formulas.py from the formulas of fullyconnected.symbolic.formulas: do not change it by hand.
 * x and y are input and output, dx and dy their gradients; z are outputs, t targets; s are settings.
 */
"""
NORMAL = """\
// the normal distribution function, by the coefficients of activations.py
const TAIL = Float64Array.of(
{coefficients}
);
function Phi(a) {{
    if (Number.isNaN(a)) return a;
    const size = Math.min(Math.abs(a), 1000), u = (size - 4) / (size + 4);
    let tail = TAIL[0];
    for (let i = 1; i < TAIL.length; i++) tail = tail * u + TAIL[i];
    tail *= Math.exp(-0.5 * a * a);
    return a > 0 ? 1 - tail : tail;
}}
const phi = (a) => Math.exp(-0.5 * a * a) / Math.sqrt(2 * Math.PI);"""


class Entries(JavaScript):
    """JavaScript of one entry, with a text for each name."""

    def __init__(self) -> None:
        self.helpers = {}
        self.texts: dict[Name, str] = {}

    def function(self, name: str, operands: list[str], dtype: np.dtype[Any]) -> str:
        if name in ("Phi", "phi"):
            return f"{name}({', '.join(operands)})"
        return super().function(name, operands, dtype)

    def _formula(self, node: Expression, kernel: Any, axes: tuple[str, ...]) -> tuple[str, int]:
        if isinstance(node, Name):
            return self.texts[node], WHOLE
        return super()._formula(node, kernel, axes)

    def of(self, node: Expression) -> str:
        """Return the text of a formula."""
        return self._formula(node, KERNEL, ())[0]


class Loop:
    """A loop over entries: what is the same for all of them is computed before it."""

    def __init__(self, language: Entries, vectors: Sequence[str], given: Sequence[str] = ()) -> None:
        self.language = language
        self.vectors = {Name(letter) for letter in vectors}
        self.given = given  # numbers that are arguments; all others are settings
        self.settings: dict[str, None] = {}
        self.constants: dict[Expression, str] = {}
        self.body: list[str] = []
        language.texts = {name: f"{name.letter}[i]" for name in self.vectors}

    def text(self, node: Expression) -> str:
        """Return the text of a formula in the loop."""
        return self.language.of(self._hoisted(node))

    def keep(self, name: Name, node: Expression) -> None:
        """Add a number that is computed for each entry."""
        text = self.text(node)
        self.vectors.add(name)
        self.language.texts[name] = name.identifier
        self.body.append(f"const {name.identifier} = {text};")

    def _hoisted(self, node: Expression) -> Expression:
        """Return a formula in which names stand for what no vector has a part in."""
        assert entrywise(node)
        if isinstance(node, Name) and node not in self.vectors:
            self.language.texts[node] = node.identifier
            if node.identifier not in self.given:
                self.settings[node.identifier] = None
            return node
        names = set(names_in(node))
        if isinstance(node, Name | Number) or names & self.vectors or not names:
            return mapped(node, self._hoisted) if not isinstance(node, Name | Number) else node
        for name in names:
            self._hoisted(name)
        if node not in self.constants:
            self.constants[node] = f"const c{len(self.constants)} = {self.language.of(node)};"
        name = Name("c", str(list(self.constants).index(node)))
        self.language.texts[name] = name.identifier
        self.vectors.add(name)
        return name

    def lines(self, count: str = "let i = 0; i < n; i++") -> Iterator[str]:
        """Yield the lines of the loop."""
        if self.settings:
            yield f"const {{ {', '.join(sorted(self.settings))} }} = s;"
        yield from self.constants.values()
        yield f"for ({count}) {{"
        yield from (f"    {line}" for line in self.body)
        yield "}"


def activation(language: Entries, name: str) -> Iterator[str]:
    """Yield the lines of an activation."""
    function = ACTIVATIONS.classes[name]()
    both = formulas.ACTIVATIONS[name](function)
    keeps, (y,), (dx,) = both.forward[:-1], both.forward[-1:], both.backward
    forward = Loop(language, "xy")
    kept(forward, keeps)
    forward.body.append(f"y[i] = {forward.text(y.formula)};")
    ahead = list(forward.lines())
    backward = Loop(language, ("x", "y", "dy"))
    kept(backward, [line for line in keeps if Name(line.result.removeprefix("c.")) in {*names_in(dx.formula)}])
    backward.body.append(f"dx[i] = {backward.text(dx.formula)};")
    back = list(backward.lines())
    yield f"{name}: {{"
    yield f"    settings: {settings(function, {**forward.settings, **backward.settings})},"
    yield from method("forward(x, y, n, s)", ahead)
    yield from method("backward(x, y, dy, dx, n, s)", back)
    yield "},"


def kept(loop: Loop, lines: Sequence[Line]) -> None:
    """Add the intermediate results of a layer or loss, whose names are their letters."""
    for line in lines:
        loop.keep(Name(line.result.removeprefix("c.")), line.formula)


def loss(language: Entries, name: str) -> Iterator[str]:
    """Yield the lines of a loss."""
    function = LOSSES.classes[name]()
    terms = LOSS_FORMULAS[name](function, False)
    loop = Loop(language, "zt", ("k",))
    kept(loop, terms.keeps)
    loop.body += [f"sum += {loop.text(terms.terms)};", f"dz[i] = share * ({loop.text(terms.slope)});"]
    factor = "" if terms.factor is None else f"({language.of(terms.factor)}) * "
    yield f"{name}: {{"
    yield f"    settings: {settings(function, loop.settings)},"
    lines = ["let sum = 0;", *loop.lines(), f"return {factor}share * sum;"]
    yield from method("value(z, t, dz, n, k, share, s)", lines)
    yield "},"


def optimizer(language: Entries, name: str) -> Iterator[str]:
    """Yield the lines of an optimizer."""
    rule = OPTIMIZERS.classes[name]()
    used: dict[str, None] = {}
    methods: list[str] = []
    for decays in (False, True) if rule.decays else (False,):
        loop = Loop(language, ("theta", "g", *rule.slots), ("lr", "steps"))
        for line in formulas.OPTIMIZERS[name](rule, decays, (1, 1)):
            where, _, slot = line.result.partition(".")
            if where == "s":
                loop.keep(Name(slot, new=True), line.formula)
                loop.body.append(f"{slot}[i] = {slot}_new;")
            else:
                loop.body.append(f"theta[i] = {loop.text(line.formula)};")
        used |= loop.settings
        slots = [f"const {{ {', '.join(rule.slots)} }} = slots;"] if rule.slots else []
        lines = [*slots, *loop.lines("let i = start; i < stop; i++")]
        methods += method(f"{'decay' if decays else 'update'}(theta, g, slots, start, stop, lr, steps, s)", lines)
    yield f"{name}: {{"
    yield f"    settings: {settings(rule, used)},"
    yield f"    slots: [{', '.join(map(repr, rule.slots))}],".replace("'", '"')
    yield from methods
    yield "},"


def settings(thing: Any, names: dict[str, None]) -> str:
    """Return the settings that formulas name, with the values of a class that is made without arguments."""
    known = {each.name for each in fields(thing)} if hasattr(thing, "__dataclass_fields__") else set()
    entries = [f"{name}: {literal(float(getattr(thing, name)))}" for name in sorted(names)]
    if "lr" in known:
        entries.insert(0, f"lr: {literal(thing.lr)}")
    return f"{{ {', '.join(entries)} }}" if entries else "{}"


def method(head: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a method in a table."""
    yield f"    {head} {{"
    yield from (f"        {line}" for line in lines)
    yield "    },"


def source() -> str:
    """Return the text of the module."""
    language = Entries()
    tables = []
    for kind, registry, write in (
        ("ACTIVATIONS", ACTIVATIONS, activation),
        ("LOSSES", LOSSES, loss),
        ("OPTIMIZERS", OPTIMIZERS, optimizer),
    ):
        entries = [line for name in registry.classes if name not in BY_HAND for line in write(language, name)]
        tables += [f"export const {kind} = {{", *(f"    {line}" for line in entries), "};", ""]
    tail = ",\n".join(f"    {literal(each)}" for each in _TAIL[8])
    helpers = [HELPERS[name] for name in HELPERS if name in language.helpers]
    return "\n".join([HEAD + NORMAL.format(coefficients=tail), *helpers, "", *tables])


if __name__ == "__main__":
    FILE.write_text(source(), "utf-8")
