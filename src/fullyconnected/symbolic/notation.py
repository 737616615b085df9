"""The base class of all notations, which decides where a formula needs brackets."""

from collections.abc import Mapping

from fullyconnected.core.wording import span
from fullyconnected.errors import ConfigError
from fullyconnected.symbolic.columns import COLUMNS
from fullyconnected.symbolic.copies import COPIES
from fullyconnected.symbolic.expression import (
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
    Placed,
    Reduce,
    Taken,
    Transposed,
    names_in,
)

__all__ = ["ADDED", "GREEK", "LEVEL", "MULTIPLIED", "OVER", "RAISED", "SILENT", "WHOLE", "Notation", "plain"]

COMPARED, ADDED, MULTIPLIED, SIGNED, RAISED, WHOLE = range(6)  # how tightly an operator binds
# how tightly the operator of an operand has to bind, where that is not the least
TIGHT = {
    "shifted": ADDED,
    "scaled": MULTIPLIED,
    **dict.fromkeys(("own", "own_back", "each", "each_back"), RAISED),
    **dict.fromkeys(("pick", "own_outer", "each_outer", "stacked", "stacked_back", "stacked_outer"), WHOLE),
    **dict.fromkeys(("first_half", "second_half", "back_to", "back_beside"), WHOLE),
}
MATRICES = (*COPIES, "each", "each_back", "each_outer")
# how numbers of members or of columns are laid out, which a formula need not say
SILENT = ("copied", "wide", "narrow", "flat", "each_row", "each_own", "rows_of")
LEVEL = {"+": ADDED, "-": ADDED, "*": MULTIPLIED, "/": MULTIPLIED, "@": MULTIPLIED, "^": RAISED}
OVER = {"units": "j", "rows": "i", "all": ""}
SCALARS = {"lr", "beta", "epsilon", "rho", "weight_decay", "step", "steps", "alpha", "slope", "lambda", "delta", "q",
           "l2", "momentum", "label_smoothing", "L", "E"}  # fmt: skip
GREEK = {"alpha", "beta", "delta", "epsilon", "gamma", "lambda", "Phi", "phi", "rho"}


def plain(node: Expression) -> bool:
    """Whether a formula has only scalars, so that a product is one of numbers."""
    return all(name.letter in SCALARS and not name.of for name in names_in(node))


class Notation:
    """A notation: this class places brackets, and its subclasses write names, numbers and operators."""

    ten = False  # whether 1e-7 is written as a product with a power of ten
    runs = False  # whether it is source code, which cannot express functions without a known formula
    # functions with a form of their own: how they are written around their operands, and how tightly that binds
    forms: Mapping[str, tuple[str, int]] = {}
    # and those of them that are written otherwise where samples are columns
    down: Mapping[str, tuple[str, int]] = {}
    bar = ", "  # between the parts of a matrix that stand side by side
    below = ", "  # and below each other

    def __call__(self, node: Expression) -> str:
        return self.write(node)

    def write(self, node: Expression, least: int = COMPARED, first: bool = True) -> str:
        """Return a formula, in brackets if its outer operator binds less tightly than ``least``.

        A formula that starts with a minus also gets brackets, unless it comes ``first``.
        """
        text, level = self.node(node, first)
        if level < least or (not first and self.starts_negative(text)):
            return self.brackets(self.node(node, True)[0])
        return text

    def node(self, node: Expression, first: bool) -> tuple[str, int]:
        """Return a formula, and how tightly its outer operator binds."""
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
            case Taken(operand, columns, down):
                across = f"{span(columns)}, :" if down else f":, {span(columns)}"
                return self.taken(self.write(operand, WHOLE), across), WHOLE
            case Placed(operand, columns, n, down):
                return self.placed(self.write(operand, WHOLE), span(columns), n, down)
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
            case Reduce(kind, over, operand, down):
                return self.reduce(kind, over, operand, down)
            case Opaque(function, operands):
                return self.opaque(function, [self.write(operand) for operand in operands]), WHOLE
            case Call(function, operands, down):
                return self.call(function, operands, down)
        raise TypeError(node)

    def lacks(self, what: str) -> ConfigError:
        """Return the error of a notation that cannot express something."""
        return ConfigError(f"{type(self).__name__} has no notation for {what}")

    # methods for subclasses; by default, an error says what the notation cannot express

    def starts_negative(self, text: str) -> bool:
        return text.startswith("-")

    def brackets(self, text: str) -> str:
        return f"({text})"

    def equation(self, left: Name, right: Expression) -> str:
        return f"{self.write(left)} = {self.write(right)}"

    def name(self, name: Name) -> str:
        raise NotImplementedError

    def number(self, number: Number) -> str:
        raise NotImplementedError

    def gap(self, count: int) -> str:
        raise self.lacks(f"a sum of which {count:,} terms are left out")

    def negative(self, text: str) -> str:
        return f"-{text}"

    def transposed(self, operand: Expression) -> str:
        raise self.lacks("transposed matrices")

    def taken(self, operand: str, across: str) -> str:
        raise self.lacks("some columns of a matrix")

    def placed(self, operand: str, columns: str, n: int, down: bool) -> tuple[str, int]:
        raise self.lacks("columns of a matrix that is 0 elsewhere")

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{exponent}"

    def fraction(self, above: Expression, below: Expression) -> str | None:
        return None

    def product(self, left: str, right: str) -> str:
        raise self.lacks("products of matrices")

    def sign(self, operator: str) -> str:
        return f" {operator} "

    def times(self, left: Expression, right: Expression) -> str:
        return " * "

    def compare(self, left: str, right: str) -> str:
        return f"({left} > {right})"

    def cases(self, condition: Compare, then: Expression, otherwise: Expression) -> tuple[str, int]:
        raise self.lacks("formulas by cases")

    def reduce(self, kind: str, over: str, operand: Expression, down: bool) -> tuple[str, int]:
        raise self.lacks(f"{kind} over entries")

    def call(self, function: str, operands: tuple[Expression, ...], down: bool) -> tuple[str, int]:
        if function in SILENT and not self.runs:
            return self.node(operands[0], True)
        least = TIGHT.get(function, COMPARED)
        laid_out = function in (*COPIES, *COLUMNS, "most_of_members")
        least = WHOLE if self.runs and laid_out else least
        # the last operand is what each member or column has of its own
        levels = [WHOLE if function in MATRICES and i else least for i in range(len(operands))]
        written = [self.write(operand, level) for operand, level in zip(operands, levels, strict=True)]
        if function == "beside":
            written = [(self.below if down else self.bar).join(written)]
        if down and function in self.down:
            form, level = self.down[function]
            return form.format(*written), level
        if function in self.forms:
            form, level = self.forms[function]
            if down:
                return self.turned_form(form, written), WHOLE
            return form.format(*written), level
        return self.function(function, written), WHOLE

    def turned_form(self, form: str, operands: list[str]) -> str:
        """Return a form for operands whose samples are columns."""
        return form.format(*operands)

    def function(self, name: str, operands: list[str]) -> str:
        raise self.lacks(f"the function {name}")

    def opaque(self, name: str, operands: list[str]) -> str:
        return f"{name}({', '.join(operands)})"
