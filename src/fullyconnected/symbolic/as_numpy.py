"""Formulas as Python source for NumPy."""

from fullyconnected.symbolic.expression import Compare, Expression, Name, Number
from fullyconnected.symbolic.notation import ADDED, MULTIPLIED, WHOLE, Notation

__all__ = ["NumPy", "as_numpy"]


class NumPy(Notation):
    """Python source, with arrays named as in plain text."""

    runs = True
    forms = {
        "softplus": ("np.logaddexp({0}, 0)", WHOLE),
        "onehot": ("np.eye({1}.shape[1])[{0}]", WHOLE),
        "pick": ("np.take_along_axis({0}, {1}[:, None], 1)", WHOLE),
        "indicator": ("1.0 * ({0} == np.arange({1}))", MULTIPLIED),
        "beside": ("np.hstack([{0}])", WHOLE),
        "copied": ("np.repeat({0}, len({1}), axis=0)", WHOLE),
        "scaled": ("({0}.reshape(-1, *{1}.shape) * {1}).reshape(-1, {1}.shape[1])", WHOLE),
        "shifted": ("({0}.reshape(-1, *{1}.shape) + {1}).reshape(-1, {1}.shape[1])", WHOLE),
        "over_rows": ("{0}.reshape(-1, *{1}.shape).sum(axis=0)", WHOLE),
        "over_members": ("{0}.reshape(-1, len({1}), {0}.shape[1]).sum(axis=1)", WHOLE),
        "most_of_members": ("{0}.reshape(-1, len({1}), {0}.shape[1]).max(axis=1)", WHOLE),
        "own": ("np.einsum('rki,kio->rko', {0}.reshape(-1, *{1}.shape[:2]), {1}).reshape(-1, {1}.shape[2])", WHOLE),
        "own_back": (
            "np.einsum('rko,kio->rki', {0}.reshape(-1, len({1}), {1}.shape[2]), {1}).reshape(-1, {1}.shape[1])",
            WHOLE,
        ),
        "own_outer": (
            "np.einsum('rki,rko->kio', {0}.reshape(-1, *{2}.shape[:2]), {1}.reshape(-1, len({2}), {2}.shape[2]))",
            WHOLE,
        ),
        "stacked": ("{0} @ {1}", MULTIPLIED),
        "stacked_back": ("{0} @ {1}.transpose(0, 2, 1)", MULTIPLIED),
        "stacked_outer": ("{0}.transpose(0, 2, 1) @ {1}", MULTIPLIED),
        "over_entries": ("{0}.sum(axis=(1, 2), keepdims=True)", WHOLE),
        "wide": ("{0}.reshape(-1, {1}.size)", WHOLE),
        "narrow": ("{0}.reshape(-1, {1}.shape[1])", WHOLE),
        "flat": ("{0}.reshape(-1)", WHOLE),
        "each_row": ("{0}.T[:, :, None]", WHOLE),
        "each_own": ("{0}[:, None]", WHOLE),
        "joined": ("np.concatenate([{0}, {1}], axis=2)", WHOLE),
        "first_half": ("{0}[:, :, : {0}.shape[2] // 2]", WHOLE),
        "second_half": ("{0}[:, :, {0}.shape[2] // 2 :]", WHOLE),
        "each": ("{0} @ {1}", MULTIPLIED),
        "each_back": ("{0} @ {1}.transpose(0, 2, 1)", MULTIPLIED),
        "each_outer": ("{0}.transpose(0, 2, 1) @ {1}", MULTIPLIED),
        "of_rows": ("{0}.sum(axis=1)", WHOLE),
        "of_waves": ("{0}.sum(axis=2).T", WHOLE),
        "rows_of": ("{0}.transpose(1, 0, 2).reshape(-1, len({0}) * {0}.shape[2])", WHOLE),
        "rows_beside": (
            "np.concatenate([{0}.T[:, :, None], {1}], axis=2).transpose(1, 0, 2)"
            ".reshape(-1, len({1}) * ({1}.shape[2] + 1))",
            WHOLE,
        ),
        "back_to": ("{0}.reshape({1}.shape[1], len({1}), -1).transpose(1, 0, 2)[:, :, -{1}.shape[2] :]", WHOLE),
        "back_beside": ("{0}[:, :: {0}.shape[1] // {1}.shape[1]]", WHOLE),
    }

    down = {
        "onehot": ("np.eye({1}.shape[0])[{0}].T", WHOLE),
        "pick": ("np.take_along_axis({0}, {1}[None, :], 0)", WHOLE),
        "indicator": ("1.0 * ({0} == np.arange({1})[:, None])", MULTIPLIED),
        "beside": ("np.vstack([{0}])", WHOLE),
        "flat": ("{0}.T.reshape(-1, 1)", WHOLE),
    }

    def turned_form(self, form: str, operands: list[str]) -> str:
        across = [f"np.swapaxes({operand}, -1, -2)" for operand in operands]
        return f"np.swapaxes({form.format(*across)}, -1, -2)"

    def name(self, name: Name) -> str:
        return name.full or "ones" if name.letter == "1" else name.identifier

    def number(self, number: Number) -> str:
        return repr(number.value)

    def transposed(self, operand: Expression) -> str:
        return f"{self.write(operand, WHOLE)}.T"

    def taken(self, operand: str, across: str) -> str:
        return f"{operand}[{across}]"

    def placed(self, operand: str, columns: str, n: int, down: bool) -> tuple[str, int]:
        if down:
            return f"np.eye({n})[:, {columns}] @ {operand}", MULTIPLIED
        return f"{operand} @ np.eye({n})[{columns}]", MULTIPLIED

    def power(self, base: str, exponent: str) -> str:
        return f"{base}**{exponent}"

    def product(self, left: str, right: str) -> str:
        return f"{left} @ {right}"

    def cases(self, condition: Compare, then: Expression, otherwise: Expression) -> tuple[str, int]:
        bare = f"{self.write(condition.left, ADDED)} > {self.write(condition.right, ADDED)}"
        return f"np.where({bare}, {self.write(then)}, {self.write(otherwise)})", WHOLE

    def reduce(self, kind: str, over: str, operand: Expression, down: bool) -> tuple[str, int]:
        how = {"units": ", axis=1, keepdims=True", "rows": ", axis=0", "all": ""}[over]
        if down:
            how = {"units": ", axis=0, keepdims=True", "rows": ", axis=1, keepdims=True", "all": ""}[over]
        fold = "logaddexp.reduce" if kind == "logsumexp" else kind
        return f"np.{fold}({self.write(operand)}{how})", WHOLE

    def function(self, name: str, operands: list[str]) -> str:
        known = {"Phi": "Phi", "phi": "phi", "max": "np.maximum"}.get(name, f"np.{name}")
        return f"{known}({', '.join(operands)})"


as_numpy = NumPy()
