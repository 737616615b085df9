"""Formulas as Python source for NumPy."""

from fullyconnected.symbolic.expression import Compare, Expression, Name, Number
from fullyconnected.symbolic.notation import ADDED, WHOLE, Notation

__all__ = ["NumPy", "as_numpy"]


class NumPy(Notation):
    """Python source, with arrays named as in plain text."""

    runs = True

    def name(self, name: Name) -> str:
        return name.full or "ones" if name.letter == "1" else name.identifier

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
        name = {"Phi": "Phi", "phi": "phi", "max": "np.maximum"}.get(function, f"np.{function}")
        return f"{name}({', '.join(inside)})", WHOLE


as_numpy = NumPy()
