"""Formulas as MathML."""

import re
from html import escape

from fullyconnected.symbolic.expression import Compare, Expression, Name, Number
from fullyconnected.symbolic.notation import ADDED, MULTIPLIED, OVER, RAISED, WHOLE, Notation, plain

__all__ = ["MINUS", "MathML", "mathml", "mathml_number"]

MINUS = "\u2212"  # a hyphen is shorter than the minus sign of numbers
BRACKETS = "<mrow><mo>(</mo>{0}<mo>)</mo></mrow>"
OF_M = "<mo>[</mo><mi>m</mi><mo>]</mo>"
OF_J = "<mo>[</mo><mi>j</mi><mo>]</mo>"
EXP = f"<mi>exp</mi>{BRACKETS}"


class MathML(Notation):
    """Presentation MathML; a number that is an entry of a quantity has the attribute ``data-q`` with its name."""

    ten = True
    forms = {
        "expm1": (f"{EXP}<mo>{MINUS}</mo><mn>1</mn>", ADDED),
        "softplus": (f"<mi>log</mi>{BRACKETS.format(f'<mn>1</mn><mo>+</mo>{EXP}')}", WHOLE),
        "onehot": (f"<mi>onehot</mi>{BRACKETS}", WHOLE),
        "pick": ("{0}<mo>[</mo>{1}<mo>]</mo>", WHOLE),
        "indicator": (f"<mi>onehot</mi>{BRACKETS}", WHOLE),
        "beside": ("<mo>[</mo>{0}<mo>]</mo>", WHOLE),
        "abs": ("<mrow><mo>|</mo>{0}<mo>|</mo></mrow>", WHOLE),
        "sqrt": ("<msqrt>{0}</msqrt>", WHOLE),
        "scaled": (f"{{0}}<mo>⊙</mo>{{1}}{OF_M}", MULTIPLIED),
        "shifted": (f"{{0}}<mo>+</mo>{{1}}{OF_M}", ADDED),
        "over_rows": (f"<munder><mo>∑</mo><mi>i</mi></munder>{BRACKETS}", RAISED),
        "over_members": (f"<munder><mo>∑</mo><mi>m</mi></munder>{BRACKETS}", RAISED),
        "most_of_members": (f"<munder><mo>max</mo><mi>m</mi></munder>{BRACKETS}", RAISED),
        "own": (f"{{0}}<mo>&#x2062;</mo>{{1}}{OF_M}", MULTIPLIED),
        "own_back": (f"{{0}}<mo>&#x2062;</mo><msup><mrow>{{1}}{OF_M}</mrow><mi>T</mi></msup>", MULTIPLIED),
        "own_outer": (f"<msup><mrow>{{0}}{OF_M}</mrow><mi>T</mi></msup><mo>&#x2062;</mo>{{1}}{OF_M}", MULTIPLIED),
        "stacked": (f"{{0}}{OF_M}<mo>&#x2062;</mo>{{1}}{OF_M}", MULTIPLIED),
        "stacked_back": (f"{{0}}{OF_M}<mo>&#x2062;</mo><msup><mrow>{{1}}{OF_M}</mrow><mi>T</mi></msup>", MULTIPLIED),
        "stacked_outer": (f"<msup><mrow>{{0}}{OF_M}</mrow><mi>T</mi></msup><mo>&#x2062;</mo>{{1}}{OF_M}", MULTIPLIED),
        "over_entries": (f"<munder><mo>∑</mo><mrow><mi>i</mi><mo>,</mo><mi>j</mi></mrow></munder>{BRACKETS}", RAISED),
        "joined": ("<mo>[</mo>{0}<mo>|</mo>{1}<mo>]</mo>", WHOLE),
        "first_half": ("{0}<mo>[</mo><mi>cos</mi><mo>]</mo>", WHOLE),
        "second_half": ("{0}<mo>[</mo><mi>sin</mi><mo>]</mo>", WHOLE),
        "each": (f"{{0}}<mo>&#x2062;</mo>{{1}}{OF_J}", MULTIPLIED),
        "each_back": (f"{{0}}<mo>&#x2062;</mo><msup><mrow>{{1}}{OF_J}</mrow><mi>T</mi></msup>", MULTIPLIED),
        "each_outer": (f"<msup><mrow>{{0}}{OF_J}</mrow><mi>T</mi></msup><mo>&#x2062;</mo>{{1}}{OF_J}", MULTIPLIED),
        "of_rows": (f"<munder><mo>∑</mo><mi>i</mi></munder>{BRACKETS}", RAISED),
        "of_waves": (f"<munder><mo>∑</mo><mi>k</mi></munder>{BRACKETS}", RAISED),
        "rows_beside": ("<mo>[</mo>{0}<mo>|</mo>{1}<mo>]</mo>", WHOLE),
        "back_to": ("{0}<mo>[</mo>{1}<mo>]</mo>", WHOLE),
        "back_beside": ("{0}<mo>[</mo>{1}<mo>]</mo>", WHOLE),
    }

    down = {
        "own": (f"{{1}}{OF_M}<mo>&#x2062;</mo>{{0}}", MULTIPLIED),
        "own_back": (f"<msup><mrow>{{1}}{OF_M}</mrow><mi>T</mi></msup><mo>&#x2062;</mo>{{0}}", MULTIPLIED),
        "own_outer": (f"{{1}}{OF_M}<mo>&#x2062;</mo><msup><mrow>{{0}}{OF_M}</mrow><mi>T</mi></msup>", MULTIPLIED),
        "stacked": (f"{{1}}{OF_M}<mo>&#x2062;</mo>{{0}}{OF_M}", MULTIPLIED),
        "stacked_back": (f"<msup><mrow>{{1}}{OF_M}</mrow><mi>T</mi></msup><mo>&#x2062;</mo>{{0}}{OF_M}", MULTIPLIED),
        "stacked_outer": (f"{{1}}{OF_M}<mo>&#x2062;</mo><msup><mrow>{{0}}{OF_M}</mrow><mi>T</mi></msup>", MULTIPLIED),
        "joined": ("<mo>[</mo>{0}<mo>;</mo>{1}<mo>]</mo>", WHOLE),
        "each": (f"{{1}}{OF_J}<mo>&#x2062;</mo>{{0}}", MULTIPLIED),
        "each_back": (f"<msup><mrow>{{1}}{OF_J}</mrow><mi>T</mi></msup><mo>&#x2062;</mo>{{0}}", MULTIPLIED),
        "each_outer": (f"{{1}}{OF_J}<mo>&#x2062;</mo><msup><mrow>{{0}}{OF_J}</mrow><mi>T</mi></msup>", MULTIPLIED),
        "rows_beside": ("<mo>[</mo>{0}<mo>;</mo>{1}<mo>]</mo>", WHOLE),
    }
    bar = "<mo>|</mo>"
    below = "<mo>;</mo>"

    def starts_negative(self, text: str) -> bool:
        return text.startswith("<mo>\u2212</mo>") or text.partition(">")[2].startswith(("\u2212", "<mn>\u2212"))

    def equation(self, left: Name, right: Expression) -> str:
        return f"<mrow>{self.write(left)}<mo>=</mo>{self.write(right)}</mrow>"

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
        return BRACKETS.format(text)

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

    def taken(self, operand: str, across: str) -> str:
        return f"{operand}<mo>[</mo><mtext>{across}</mtext><mo>]</mo>"

    def placed(self, operand: str, columns: str, n: int, down: bool) -> tuple[str, int]:
        inside = f"{operand}<mo>,</mo><mtext>{columns}</mtext>"
        return f"<mi>place</mi>{self.brackets(inside)}", WHOLE

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

    def reduce(self, kind: str, over: str, operand: Expression, down: bool) -> tuple[str, int]:
        sign = "<mo>∑</mo>" if kind in ("sum", "logsumexp") else f"<mi>{kind}</mi>"
        if OVER[over]:
            sign = f"<munder>{sign}<mi>{OVER[over]}</mi></munder>"
        if kind == "logsumexp":
            return f"<mi>log</mi>{self.brackets(f'{sign}<mi>exp</mi>{self.brackets(self.write(operand))}')}", WHOLE
        return f"{sign}{self.brackets(self.write(operand))}", RAISED

    def function(self, name: str, operands: list[str]) -> str:
        letter = {"Phi": "Φ", "phi": "φ"}.get(name, name)
        return f"<mi>{letter}</mi>{self.brackets('<mo>,</mo>'.join(operands))}"

    def opaque(self, name: str, operands: list[str]) -> str:
        return f"<mi>{escape(name)}</mi>{self.brackets('<mo>,</mo>'.join(operands))}"


mathml = MathML()

GREEK_LETTERS = {
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "beta": "β",
    "delta": "δ",
    "epsilon": "ε",
    "gamma": "\N{GREEK SMALL LETTER GAMMA}",
    "rho": "\N{GREEK SMALL LETTER RHO}",
    "lambda": "λ",
    "phi": "φ",
    "weight_decay": "decay",
}


def mathml_number(text: str, quantity: str = "") -> str:
    """Return shown digits as one MathML element, so that a page can mark it."""
    mark = f' data-q="{escape(quantity)}"' if quantity else ""
    mantissa, _, exponent = text.replace("-", "\u2212").replace("inf", "∞").partition("e")
    if not exponent:
        return f"<mn{mark}>{mantissa}</mn>"
    return f"<mrow{mark}><mn>{mantissa}</mn><mo>·</mo><msup><mn>10</mn><mn>{exponent}</mn></msup></mrow>"


def _one(text: str) -> str:
    """Return MathML as a single element, which a base or an exponent must be."""
    depth = ended = 0
    for tag in re.finditer(r"<(/?)", text):
        depth += -1 if tag[1] else 1
        ended += depth == 0
    return text if ended == 1 else f"<mrow>{text}</mrow>"
