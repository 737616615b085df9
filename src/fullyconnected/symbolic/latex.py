"""Formulas as LaTeX."""

from fullyconnected.symbolic.expression import Compare, Expression, Name, Number
from fullyconnected.symbolic.names import latin
from fullyconnected.symbolic.notation import ADDED, GREEK, MULTIPLIED, OVER, RAISED, WHOLE, Notation, plain

__all__ = ["Latex", "latex", "latex_number"]

COMMANDS = {"exp", "cos", "sin", "log", "tanh", "max", "Phi", "phi"}  # the functions that have one in LaTeX


class Latex(Notation):
    """LaTeX for mathematics mode, as KaTeX and MathJax accept it."""

    ten = True
    forms = {
        "expm1": (r"\exp\left({0}\right) - 1", ADDED),
        "softplus": (r"\log\left(1 + \exp\left({0}\right)\right)", WHOLE),
        "onehot": (r"\operatorname{{onehot}}\left({0}\right)", WHOLE),
        "pick": ("{0}[{1}]", WHOLE),
        "indicator": (r"\operatorname{{onehot}}\left({0}\right)", WHOLE),
        "beside": (r"\left[{0}\right]", WHOLE),
        "abs": (r"\left|{0}\right|", WHOLE),
        "sqrt": (r"\sqrt{{{0}}}", WHOLE),
        "scaled": (r"{0} \odot {1}[m]", MULTIPLIED),
        "shifted": ("{0} + {1}[m]", ADDED),
        "over_rows": (r"\sum_{{i}} \left({0}\right)", RAISED),
        "over_members": (r"\sum_{{m}} \left({0}\right)", RAISED),
        "most_of_members": (r"\max_{{m}} \left({0}\right)", RAISED),
        "own": (r"{0} \, {1}[m]", MULTIPLIED),
        "own_back": (r"{0} \, {1}[m]^{{T}}", MULTIPLIED),
        "own_outer": (r"{0}[m]^{{T}} \, {1}[m]", MULTIPLIED),
        "stacked": (r"{0}[m] \, {1}[m]", MULTIPLIED),
        "stacked_back": (r"{0}[m] \, {1}[m]^{{T}}", MULTIPLIED),
        "stacked_outer": (r"{0}[m]^{{T}} \, {1}[m]", MULTIPLIED),
        "over_entries": (r"\sum_{{i,j}} \left({0}\right)", RAISED),
        "joined": (r"\left[{0} \mid {1}\right]", WHOLE),
        "first_half": (r"{0}[\cos]", WHOLE),
        "second_half": (r"{0}[\sin]", WHOLE),
        "each": (r"{0} \, {1}[j]", MULTIPLIED),
        "each_back": (r"{0} \, {1}[j]^{{T}}", MULTIPLIED),
        "each_outer": (r"{0}[j]^{{T}} \, {1}[j]", MULTIPLIED),
        "of_rows": (r"\sum_{{i}} \left({0}\right)", RAISED),
        "of_waves": (r"\sum_{{k}} \left({0}\right)", RAISED),
        "rows_beside": (r"\left[{0} \mid {1}\right]", WHOLE),
        "back_to": ("{0}[{1}]", WHOLE),
        "back_beside": ("{0}[{1}]", WHOLE),
    }

    down = {
        "own": (r"{1}[m] \, {0}", MULTIPLIED),
        "own_back": (r"{1}[m]^{{T}} \, {0}", MULTIPLIED),
        "own_outer": (r"{1}[m] \, {0}[m]^{{T}}", MULTIPLIED),
        "stacked": (r"{1}[m] \, {0}[m]", MULTIPLIED),
        "stacked_back": (r"{1}[m]^{{T}} \, {0}[m]", MULTIPLIED),
        "stacked_outer": (r"{1}[m] \, {0}[m]^{{T}}", MULTIPLIED),
        "joined": (r"\left[{0} ; {1}\right]", WHOLE),
        "each": (r"{1}[j] \, {0}", MULTIPLIED),
        "each_back": (r"{1}[j]^{{T}} \, {0}", MULTIPLIED),
        "each_outer": (r"{1}[j] \, {0}[j]^{{T}}", MULTIPLIED),
        "rows_beside": (r"\left[{0} ; {1}\right]", WHOLE),
    }
    bar = r" \mid "
    below = " ; "

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

    def taken(self, operand: str, across: str) -> str:
        spaced = across.replace(", ", r",\,")
        return rf"{operand}_{{[{spaced}]}}"

    def placed(self, operand: str, columns: str, n: int, down: bool) -> tuple[str, int]:
        return rf"\operatorname{{place}}\left({operand},\,{columns}\right)", WHOLE

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

    def reduce(self, kind: str, over: str, operand: Expression, down: bool) -> tuple[str, int]:
        index = f"_{{{OVER[over]}}}" if OVER[over] else ""
        if kind == "logsumexp":
            return rf"\log\left(\sum{index} \exp{self.brackets(self.write(operand))}\right)", WHOLE
        sign = {"sum": r"\sum", "max": r"\max"}.get(kind, rf"\operatorname{{{kind}}}")
        return f"{sign}{index} {self.brackets(self.write(operand))}", RAISED

    def function(self, name: str, operands: list[str]) -> str:
        command = f"\\{name}" if name in COMMANDS else rf"\operatorname{{{name}}}"
        return rf"{command}\left({', '.join(operands)}\right)"

    def opaque(self, name: str, operands: list[str]) -> str:
        return rf"\operatorname{{{_latex_text(name)}}}\left({', '.join(operands)}\right)"


latex = Latex()


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
    return rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"


def _latex_text(text: str) -> str:
    r"""Return a name that a user may have chosen, so that LaTeX takes it and Markdown sees no markup in it.

    Not all that shows LaTeX knows numbers of characters (MathJax does not have ``\char``), so that other signs than
    letters and digits are blanks.
    """
    return "".join(c if c.isalnum() else r"\_" if c == "_" else r"\ " for c in latin(text))
