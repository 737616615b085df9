r"""The four notations of a formula: plain text, LaTeX, MathML and NumPy, each printed from the same tree.

>>> from fullyconnected.explanation.expression import Name, total
>>> x, W, b = Name("x"), Name("W", "1"), Name("b", "1")
>>> text(x @ W + b), latex(x @ W + b), numpy(x @ W + b)
('x W1 + b1', 'x \\, W_{1} + b_{1}', 'x @ W1 + b1')
>>> mathml(W**2)
'<msup><msub><mi>W</mi><mn>1</mn></msub><mn>2</mn></msup>'
"""

import re
from dataclasses import dataclass
from html import escape

from fullyconnected.explanation.expression import (
    Binary,
    Call,
    Cases,
    Compare,
    Expression,
    Gap,
    Name,
    Negative,
    Number,
    Opaque,
    Reduce,
    Transposed,
    names_in,
)

__all__ = ["ADDED", "LEVEL", "MINUS", "Equation", "latex", "mathml", "numpy", "text"]

COMPARED, ADDED, MULTIPLIED, SIGNED, RAISED, WHOLE = range(6)  # how tightly a formula holds together
LEVEL = {"+": ADDED, "-": ADDED, "*": MULTIPLIED, "/": MULTIPLIED, "@": MULTIPLIED, "^": RAISED}
OVER = {"units": "j", "rows": "i", "all": ""}
SCALARS = {"lr", "beta", "epsilon", "decay", "weight_decay", "step", "alpha", "slope", "lambda", "delta", "q", "l2",
           "momentum", "L", "E"}  # fmt: skip


def plain(node: Expression) -> bool:
    """Whether a formula is of single numbers, so that a product is one of numbers."""
    return all(name.letter in SCALARS and not name.of for name in names_in(node))


class Notation:
    """Where brackets go; what is written in them, each notation says for itself."""

    ten = False  # whether 1e-7 is written as a product with a power of ten

    def __call__(self, node: Expression) -> str:
        return self.write(node)

    def write(self, node: Expression, least: int = COMPARED, first: bool = True) -> str:
        """Return a formula, in brackets where it holds together less than ``least``.

        A minus at the beginning takes brackets, too, unless the formula comes ``first``.
        """
        text, level = self.node(node, first)
        if level < least or (not first and self.starts_negative(text)):
            return self.brackets(self.node(node, True)[0])
        return text

    def node(self, node: Expression, first: bool) -> tuple[str, int]:
        """Return a formula, and how tightly it holds together."""
        match node:
            case Name():
                return self.name(node), WHOLE
            case Number(_, text):
                return self.number(node), RAISED if self.ten and "e" in text else WHOLE
            case Gap(count):
                return self.gap(count), WHOLE
            case Negative(operand):
                return self.negative(self.write(operand, MULTIPLIED, False)), SIGNED
            case Transposed(operand):
                return self.transposed(operand), RAISED
            case Binary("^", base, exponent):
                written = self.write(base, WHOLE, False)
                if isinstance(base, Name) and base.of:
                    written = self.brackets(written)
                return self.power(written, self.write(exponent, WHOLE)), RAISED
            case Binary("/", left, right) if (fraction := self.fraction(left, right)) is not None:
                return fraction, WHOLE
            case Binary("@", left, right):
                inside = RAISED if not (isinstance(left, Binary) and left.operator == "@") else MULTIPLIED
                return self.product(self.write(left, inside, first), self.write(right, RAISED, False)), MULTIPLIED
            case Binary(operator, left, right):
                level = LEVEL[operator]
                sign = self.times(left, right) if operator == "*" else self.sign(operator)
                same = operator in "+*" and isinstance(right, Binary) and right.operator == operator
                return f"{self.write(left, level, first)}{sign}{self.write(right, level + (not same), False)}", level
            case Compare(left, right):
                return self.compare(self.write(left, ADDED), self.write(right, ADDED)), WHOLE
            case Cases(condition, then, otherwise):
                return self.cases(condition, then, otherwise)
            case Reduce(kind, over, operand):
                return self.reduce(kind, over, operand)
            case Opaque(function, operands):
                return self.opaque(function, [self.write(operand) for operand in operands]), WHOLE
            case Call(function, operands):
                return self.call(function, operands)
        raise TypeError(node)

    # what the notations differ in

    def starts_negative(self, text: str) -> bool:
        return text.startswith("-")

    def brackets(self, text: str) -> str:
        return f"({text})"

    def name(self, name: Name) -> str:
        raise NotImplementedError

    def number(self, number: Number) -> str:
        raise NotImplementedError

    def gap(self, count: int) -> str:
        raise NotImplementedError

    def negative(self, text: str) -> str:
        return f"-{text}"

    def transposed(self, operand: Expression) -> str:
        raise NotImplementedError

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{exponent}"

    def fraction(self, above: Expression, below: Expression) -> str | None:
        return None

    def product(self, left: str, right: str) -> str:
        raise NotImplementedError

    def sign(self, operator: str) -> str:
        return f" {operator} "

    def times(self, left: Expression, right: Expression) -> str:
        return " * "

    def compare(self, left: str, right: str) -> str:
        return f"({left} > {right})"

    def cases(self, condition: Compare, then: Expression, otherwise: Expression) -> tuple[str, int]:
        raise NotImplementedError

    def reduce(self, kind: str, over: str, operand: Expression) -> tuple[str, int]:
        raise NotImplementedError

    def call(self, function: str, operands: tuple[Expression, ...]) -> tuple[str, int]:
        raise NotImplementedError

    def opaque(self, name: str, operands: list[str]) -> str:
        return f"{name}({', '.join(operands)})"


class Text(Notation):
    """Plain text: ``x' dL/dh1``; a product of matrices has no sign, and one entry by entry has ``*``."""

    def name(self, name: Name) -> str:
        return name.text

    def number(self, number: Number) -> str:
        return number.text

    def gap(self, count: int) -> str:
        return f"... ({count:,} more)"

    def transposed(self, operand: Expression) -> str:
        return f"{self.write(operand, WHOLE)}'"

    def product(self, left: str, right: str) -> str:
        return f"{left} {right}"

    def cases(self, condition: Compare, then: Expression, otherwise: Expression) -> tuple[str, int]:
        bare = f"{self.write(condition.left, ADDED)} > {self.write(condition.right, ADDED)}"
        return f"({self.write(then, ADDED)} if {bare} else {self.write(otherwise, ADDED)})", WHOLE

    def reduce(self, kind: str, over: str, operand: Expression) -> tuple[str, int]:
        index, inside = f"_{OVER[over]}" if OVER[over] else "", self.write(operand)
        return (f"log(sum{index}(exp({inside})))" if kind == "logsumexp" else f"{kind}{index}({inside})"), WHOLE

    def call(self, function: str, operands: tuple[Expression, ...]) -> tuple[str, int]:
        match function, operands:
            case "expm1", (x,):
                return f"exp({self.write(x)}) - 1", ADDED
            case "softplus", (x,):
                return f"log(1 + exp({self.write(x)}))", WHOLE
            case "onehot", (t, _):
                return f"onehot({self.write(t)})", WHOLE
            case "pick", (z, t):
                return f"{self.write(z, WHOLE)}[{self.write(t)}]", WHOLE
            case "abs", (x,):
                return f"|{self.write(x)}|", WHOLE
        return f"{function}({', '.join(map(self.write, operands))})", WHOLE


class NumPy(Text):
    """Python source over arrays that are named as in the text."""

    def name(self, name: Name) -> str:
        return "ones" if name.letter == "1" else name.identifier

    def number(self, number: Number) -> str:
        return repr(number.value)

    def transposed(self, operand: Expression) -> str:
        return f"{self.write(operand, WHOLE)}.T"

    def power(self, base: str, exponent: str) -> str:
        return f"{base}**{exponent}"

    def product(self, left: str, right: str) -> str:
        return f"{left} @ {right}"

    def cases(self, condition: Compare, then: Expression, otherwise: Expression) -> tuple[str, int]:
        bare = f"{self.write(condition.left, ADDED)} > {self.write(condition.right, ADDED)}"
        return f"np.where({bare}, {self.write(then)}, {self.write(otherwise)})", WHOLE

    def reduce(self, kind: str, over: str, operand: Expression) -> tuple[str, int]:
        how = {"units": ", axis=1, keepdims=True", "rows": ", axis=0", "all": ""}[over]
        fold = "logaddexp.reduce" if kind == "logsumexp" else kind
        return f"np.{fold}({self.write(operand)}{how})", WHOLE

    def call(self, function: str, operands: tuple[Expression, ...]) -> tuple[str, int]:
        inside = [self.write(operand) for operand in operands]
        match function:
            case "softplus":
                return f"np.logaddexp({inside[0]}, 0)", WHOLE
            case "onehot":
                return f"np.eye({inside[1]}.shape[1])[{inside[0]}]", WHOLE
            case "pick":
                return f"np.take_along_axis({inside[0]}, {inside[1]}[:, None], 1)", WHOLE
            case "Phi" | "phi":
                return f"{function}({inside[0]})", WHOLE
            case "max":
                return f"np.maximum({', '.join(inside)})", WHOLE
        return f"np.{function}({', '.join(inside)})", WHOLE


GREEK = {"alpha", "beta", "delta", "epsilon", "lambda", "Phi", "phi"}


class Latex(Notation):
    """LaTeX for mathematics mode, such as KaTeX and MathJax take."""

    ten = True

    def name(self, name: Name) -> str:
        letter, index = (_upright(part) for part in (name.letter, name.index))
        if name.letter == "1":
            return r"\mathbf{1}"
        if name.letter in GREEK:
            letter = f"\\{name.letter}"
        below = f"_{{{index}}}" if index else ""
        above = r"^{\mathrm{new}}" if name.new else ""
        written = f"{letter}{below}{above}"
        return rf"\frac{{\partial {name.of}}}{{\partial {written}}}" if name.of else written

    def brackets(self, text: str) -> str:
        return rf"\left({text}\right)"

    def number(self, number: Number) -> str:
        return latex_number(number.text)

    def gap(self, count: int) -> str:
        return rf"\dots \text{{({count:,} more)}}"

    def transposed(self, operand: Expression) -> str:
        if isinstance(operand, Name) and operand.of:
            return f"{self.brackets(self.name(operand))}^{{T}}"
        return f"{self.write(operand, WHOLE)}^{{T}}"

    def power(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def fraction(self, above: Expression, below: Expression) -> str | None:
        return rf"\frac{{{self.write(above)}}}{{{self.write(below)}}}"

    def product(self, left: str, right: str) -> str:
        return rf"{left} \, {right}"

    def times(self, left: Expression, right: Expression) -> str:
        return r" \cdot " if plain(left) or plain(right) else r" \odot "

    def compare(self, left: str, right: str) -> str:
        return f"[{left} > {right}]"

    def cases(self, condition: Compare, then: Expression, otherwise: Expression) -> tuple[str, int]:
        bare = f"{self.write(condition.left)} > {self.write(condition.right)}"
        rows = rf"{self.write(then)} & \text{{if }} {bare} \\ {self.write(otherwise)} & \text{{else}}"
        return rf"\begin{{cases}} {rows} \end{{cases}}", WHOLE

    def reduce(self, kind: str, over: str, operand: Expression) -> tuple[str, int]:
        index = f"_{{{OVER[over]}}}" if OVER[over] else ""
        if kind == "logsumexp":
            return rf"\log\left(\sum{index} \exp{self.brackets(self.write(operand))}\right)", WHOLE
        sign = {"sum": r"\sum", "max": r"\max"}.get(kind, rf"\operatorname{{{kind}}}")
        return f"{sign}{index} {self.brackets(self.write(operand))}", RAISED

    def call(self, function: str, operands: tuple[Expression, ...]) -> tuple[str, int]:
        inside = [self.write(operand) for operand in operands]
        match function:
            case "expm1":
                return rf"\exp\left({inside[0]}\right) - 1", ADDED
            case "softplus":
                return rf"\log\left(1 + \exp\left({inside[0]}\right)\right)", WHOLE
            case "onehot":
                return rf"\operatorname{{onehot}}\left({inside[0]}\right)", WHOLE
            case "pick":
                return rf"{self.write(operands[0], WHOLE)}[{inside[1]}]", WHOLE
            case "abs":
                return rf"\left|{inside[0]}\right|", WHOLE
            case "sqrt":
                return rf"\sqrt{{{inside[0]}}}", WHOLE
            case "exp" | "log" | "tanh" | "max":
                name = f"\\{function}"
            case "Phi" | "phi":
                name = f"\\{function}"
            case _:
                name = rf"\operatorname{{{function}}}"
        return rf"{name}\left({', '.join(inside)}\right)", WHOLE

    def opaque(self, name: str, operands: list[str]) -> str:
        return rf"\operatorname{{{_latex_text(name)}}}\left({', '.join(operands)}\right)"


def latex_number(text: str) -> str:
    """Return shown digits as LaTeX."""
    if text == "NaN":
        return r"\mathrm{NaN}"
    if text.endswith("inf"):
        return text.replace("inf", r"\infty")
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{exponent}}}" if exponent else mantissa


def _upright(name: str) -> str:
    """Return part of a name: a letter or a number as it is, a word in upright letters."""
    if len(name) < 2 or name.isdigit():
        return name
    return rf"\{'mathrm' if name.isascii() else 'text'}{{{name.replace('_', chr(92) + '_')}}}"


def _latex_text(text: str) -> str:
    """Return a name that a user may have chosen so that LaTeX takes it, and Markdown sees no markup in it."""

    def sign(c: str) -> str:
        if not c.isascii():
            return rf"\text{{{c}}}"
        return c if c.isalnum() else r"\ " if c == " " else rf"{{\char{ord(c)}}}"

    return "".join(map(sign, text))


MINUS = "\u2212"  # a hyphen would be shorter than the sign of a number beside it


class MathML(Notation):
    """Presentation MathML; each number that is an entry of something carries ``data-q``, which says of what."""

    ten = True

    def starts_negative(self, text: str) -> bool:
        return text.startswith("<mo>\u2212</mo>") or text.partition(">")[2].startswith(("\u2212", "<mn>\u2212"))

    def name(self, name: Name) -> str:
        letter = (
            "\N{MATHEMATICAL BOLD DIGIT ONE}" if name.letter == "1" else GREEK_LETTERS.get(name.letter, name.letter)
        )
        written = f"<mi>{letter}</mi>"
        index = f"<mn>{name.index}</mn>" if name.index.isdigit() else f"<mi>{name.index}</mi>"
        if name.index and name.new:
            written = f"<msubsup>{written}{index}<mtext>new</mtext></msubsup>"
        elif name.index:
            written = f"<msub>{written}{index}</msub>"
        elif name.new:
            written = f"<msup>{written}<mtext>new</mtext></msup>"
        if name.of:
            d = "<mo>∂</mo>"
            return f"<mfrac><mrow>{d}<mi>{name.of}</mi></mrow><mrow>{d}{written}</mrow></mfrac>"
        return written

    def brackets(self, text: str) -> str:
        return f"<mrow><mo>(</mo>{text}<mo>)</mo></mrow>"

    def number(self, number: Number) -> str:
        return mathml_number(number.text, number.quantity)

    def gap(self, count: int) -> str:
        return f"<mo>…</mo><mtext>({count:,} more)</mtext>"

    def negative(self, text: str) -> str:
        return f"<mo>\u2212</mo>{text}"

    def transposed(self, operand: Expression) -> str:
        bare = not (isinstance(operand, Name) and operand.of)
        inside = f"<mrow>{self.write(operand, WHOLE)}</mrow>" if bare else self.brackets(self.write(operand))
        return f"<msup>{inside}<mi>T</mi></msup>"

    def power(self, base: str, exponent: str) -> str:
        return f"<msup>{_one(base)}{_one(exponent)}</msup>"

    def fraction(self, above: Expression, below: Expression) -> str | None:
        return f"<mfrac><mrow>{self.write(above)}</mrow><mrow>{self.write(below)}</mrow></mfrac>"

    def product(self, left: str, right: str) -> str:
        return f"{left}<mo>&#x2062;</mo>{right}"  # an invisible product

    def sign(self, operator: str) -> str:
        return f"<mo>{operator.replace('-', MINUS)}</mo>"

    def times(self, left: Expression, right: Expression) -> str:
        return "<mo>·</mo>" if plain(left) or plain(right) else "<mo>⊙</mo>"

    def compare(self, left: str, right: str) -> str:
        return f"<mrow><mo>[</mo>{left}<mo>&gt;</mo>{right}<mo>]</mo></mrow>"

    def cases(self, condition: Compare, then: Expression, otherwise: Expression) -> tuple[str, int]:
        bare = f"{self.write(condition.left)}<mo>&gt;</mo>{self.write(condition.right)}"
        rows = (
            f"<mtr><mtd>{self.write(then)}</mtd><mtd><mtext>if&#xA0;</mtext>{bare}</mtd></mtr>"
            f"<mtr><mtd>{self.write(otherwise)}</mtd><mtd><mtext>else</mtext></mtd></mtr>"
        )
        return f"<mrow><mo>{{</mo><mtable>{rows}</mtable></mrow>", WHOLE

    def reduce(self, kind: str, over: str, operand: Expression) -> tuple[str, int]:
        sign = "<mo>∑</mo>" if kind in ("sum", "logsumexp") else f"<mi>{kind}</mi>"
        if OVER[over]:
            sign = f"<munder>{sign}<mi>{OVER[over]}</mi></munder>"
        if kind == "logsumexp":
            return f"<mi>log</mi>{self.brackets(f'{sign}<mi>exp</mi>{self.brackets(self.write(operand))}')}", WHOLE
        return f"{sign}{self.brackets(self.write(operand))}", RAISED

    def call(self, function: str, operands: tuple[Expression, ...]) -> tuple[str, int]:
        inside = [self.write(operand) for operand in operands]
        match function:
            case "expm1":
                return f"<mi>exp</mi>{self.brackets(inside[0])}<mo>{MINUS}</mo><mn>1</mn>", ADDED
            case "softplus":
                grown = f"<mn>1</mn><mo>+</mo><mi>exp</mi>{self.brackets(inside[0])}"
                return f"<mi>log</mi>{self.brackets(grown)}", WHOLE
            case "onehot":
                return f"<mi>onehot</mi>{self.brackets(inside[0])}", WHOLE
            case "pick":
                return f"{self.write(operands[0], WHOLE)}<mo>[</mo>{inside[1]}<mo>]</mo>", WHOLE
            case "abs":
                return f"<mrow><mo>|</mo>{inside[0]}<mo>|</mo></mrow>", WHOLE
            case "sqrt":
                return f"<msqrt>{inside[0]}</msqrt>", WHOLE
        name = {"Phi": "Φ", "phi": "φ"}.get(function, function)
        return f"<mi>{name}</mi>{self.brackets('<mo>,</mo>'.join(inside))}", WHOLE

    def opaque(self, name: str, operands: list[str]) -> str:
        return f"<mi>{escape(name)}</mi>{self.brackets('<mo>,</mo>'.join(operands))}"


GREEK_LETTERS = {
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "beta": "β",
    "delta": "δ",
    "epsilon": "ε",
    "lambda": "λ",
    "weight_decay": "decay",
}


def mathml_number(text: str, quantity: str = "") -> str:
    """Return shown digits as MathML: one element, so that it can be marked as one."""
    mark = f' data-q="{escape(quantity)}"' if quantity else ""
    mantissa, _, exponent = text.replace("-", "\u2212").replace("inf", "∞").partition("e")
    if not exponent:
        return f"<mn{mark}>{mantissa}</mn>"
    return f"<mrow{mark}><mn>{mantissa}</mn><mo>·</mo><msup><mn>10</mn><mn>{exponent}</mn></msup></mrow>"


def _one(text: str) -> str:
    """Return MathML that is a single element: a base or an exponent must be one."""
    depth = ended = 0
    for tag in re.finditer(r"<(/?)", text):
        depth += -1 if tag[1] else 1
        ended += depth == 0
    return text if ended == 1 else f"<mrow>{text}</mrow>"


text, latex, mathml, numpy = Text(), Latex(), MathML(), NumPy()


@dataclass(frozen=True)
class Equation:
    """A name and the formula of what it stands for, in every notation."""

    left: Name
    right: Expression

    def __str__(self) -> str:
        return f"{text(self.left)} = {text(self.right)}"

    @property
    def latex(self) -> str:
        """For LaTeX's mathematics mode."""
        return f"{latex(self.left)} = {latex(self.right)}"

    @property
    def mathml(self) -> str:
        """The inside of a ``math`` element."""
        return f"<mrow>{mathml(self.left)}<mo>=</mo>{mathml(self.right)}</mrow>"

    @property
    def numpy(self) -> str:
        """Python source: an assignment."""
        return f"{numpy(self.left)} = {numpy(self.right)}"
