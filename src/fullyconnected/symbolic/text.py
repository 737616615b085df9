"""Formulas as plain text."""

from fullyconnected.symbolic.expression import Compare, Expression, Name, Number
from fullyconnected.symbolic.notation import ADDED, MULTIPLIED, OVER, WHOLE, Notation

__all__ = ["Text", "text"]


class Text(Notation):
    """Plain text such as ``x' dL/dz1``: a matrix product has no sign, and ``*`` multiplies entry by entry."""

    forms = {
        "expm1": ("exp({0}) - 1", ADDED),
        "softplus": ("log(1 + exp({0}))", WHOLE),
        "onehot": ("onehot({0})", WHOLE),
        "pick": ("{0}[{1}]", WHOLE),
        "indicator": ("onehot({0})", WHOLE),
        "beside": ("[{0}]", WHOLE),
        "abs": ("|{0}|", WHOLE),
        "scaled": ("{0} * {1}[m]", MULTIPLIED),
        "shifted": ("{0} + {1}[m]", ADDED),
        "over_rows": ("sum_i({0})", WHOLE),
        "over_members": ("sum_m({0})", WHOLE),
        "most_of_members": ("max_m({0})", WHOLE),
        "own": ("{0} {1}[m]", MULTIPLIED),
        "own_back": ("{0} {1}[m]'", MULTIPLIED),
        "own_outer": ("{0}[m]' {1}[m]", MULTIPLIED),
        "stacked": ("{0}[m] {1}[m]", MULTIPLIED),
        "stacked_back": ("{0}[m] {1}[m]'", MULTIPLIED),
        "stacked_outer": ("{0}[m]' {1}[m]", MULTIPLIED),
        "over_entries": ("sum_ij({0})", WHOLE),
        "joined": ("[{0} | {1}]", WHOLE),
        "first_half": ("{0}[cos]", WHOLE),
        "second_half": ("{0}[sin]", WHOLE),
        "each": ("{0} {1}[j]", MULTIPLIED),
        "each_back": ("{0} {1}[j]'", MULTIPLIED),
        "each_outer": ("{0}[j]' {1}[j]", MULTIPLIED),
        "of_rows": ("sum_i({0})", WHOLE),
        "of_waves": ("sum_k({0})", WHOLE),
        "rows_beside": ("[{0} | {1}]", WHOLE),
        "back_to": ("{0}[{1}]", WHOLE),
        "back_beside": ("{0}[{1}]", WHOLE),
    }

    down = {
        "own": ("{1}[m] {0}", MULTIPLIED),
        "own_back": ("{1}[m]' {0}", MULTIPLIED),
        "own_outer": ("{1}[m] {0}[m]'", MULTIPLIED),
        "stacked": ("{1}[m] {0}[m]", MULTIPLIED),
        "stacked_back": ("{1}[m]' {0}[m]", MULTIPLIED),
        "stacked_outer": ("{1}[m] {0}[m]'", MULTIPLIED),
        "joined": ("[{0} ; {1}]", WHOLE),
        "each": ("{1}[j] {0}", MULTIPLIED),
        "each_back": ("{1}[j]' {0}", MULTIPLIED),
        "each_outer": ("{1}[j] {0}[j]'", MULTIPLIED),
        "rows_beside": ("[{0} ; {1}]", WHOLE),
    }
    bar = " | "
    below = " ; "

    def name(self, name: Name) -> str:
        return name.text

    def number(self, number: Number) -> str:
        return number.text

    def gap(self, count: int) -> str:
        return f"... ({count:,} more)"

    def transposed(self, operand: Expression) -> str:
        return f"{self.write(operand, WHOLE)}'"

    def taken(self, operand: str, across: str) -> str:
        return f"{operand}[{across}]"

    def placed(self, operand: str, columns: str, n: int, down: bool) -> tuple[str, int]:
        return f"place({operand}, {columns})", WHOLE

    def product(self, left: str, right: str) -> str:
        return f"{left} {right}"

    def cases(self, condition: Compare, then: Expression, otherwise: Expression) -> tuple[str, int]:
        bare = f"{self.write(condition.left, ADDED)} > {self.write(condition.right, ADDED)}"
        return f"({self.write(then, ADDED)} if {bare} else {self.write(otherwise, ADDED)})", WHOLE

    def reduce(self, kind: str, over: str, operand: Expression, down: bool) -> tuple[str, int]:
        index, inside = f"_{OVER[over]}" if OVER[over] else "", self.write(operand)
        return (f"log(sum{index}(exp({inside})))" if kind == "logsumexp" else f"{kind}{index}({inside})"), WHOLE

    def function(self, name: str, operands: list[str]) -> str:
        return self.opaque(name, operands)


text = Text()
