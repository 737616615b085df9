"""Formulas as Python source for NumPy."""

from fullyconnected.symbolic.expression import Compare, Expression, Name, Number
from fullyconnected.symbolic.notation import ADDED, WHOLE, Notation

__all__ = ["NumPy", "as_numpy"]


class NumPy(Notation):
    """Python source, with arrays named as in plain text."""

    runs = True
    forms = {
        "softplus": ("np.logaddexp({0}, 0)", WHOLE),
        "onehot": ("np.eye({1}.shape[1])[{0}]", WHOLE),
        "pick": ("np.take_along_axis({0}, {1}[:, None], 1)", WHOLE),
        "beside": ("np.hstack([{0}, {1}])", WHOLE),
        "left": ("{0}[:, :{1}.shape[1]]", WHOLE),
    }

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

    def function(self, name: str, operands: list[str]) -> str:
        known = {"Phi": "Phi", "phi": "phi", "max": "np.maximum"}.get(name, f"np.{name}")
        return f"{known}({', '.join(operands)})"


as_numpy = NumPy()
