"""Formulas as plain text."""

from fullyconnected.symbolic.expression import Compare, Expression, Name, Number
from fullyconnected.symbolic.notation import ADDED, OVER, WHOLE, Notation

__all__ = ["Text", "text"]


class Text(Notation):
    """Plain text such as ``x' dL/dz1``: a matrix product has no sign, and ``*`` multiplies entry by entry."""

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


text = Text()
