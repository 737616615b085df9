"""Evaluation of a formula for arrays, and the formula of a single entry with numbers instead of names.

>>> from fullyconnected.symbolic.expression import Name
>>> x, W, b = Name("x"), Name("W", "1"), Name("b", "1")
>>> values = {x: np.array([[0.1, 0.5]]), W: np.array([[0.15, 0.2], [0.25, 0.3]]), b: np.array([0.35, 0.45])}
>>> evaluate(x @ W + b, values).round(12)
array([[0.49, 0.62]])
>>> exact(entry(x @ W + b, (0, 0), values))
Fraction(49, 100)
"""

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any, TypeVar

import numpy as np

from fullyconnected.core.arrays import Shape
from fullyconnected.symbolic.columns import COLUMNS
from fullyconnected.symbolic.copies import COPIES
from fullyconnected.symbolic.digits import decimal, place, shown
from fullyconnected.symbolic.expression import (
    TERMS,
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
    Values,
    call,
    chain,
    mapped,
    number,
    sides,
)
from fullyconnected.symbolic.turning import Turned, turned, turned_array, turned_shape

__all__ = ["FUNCTIONS", "entry", "evaluate", "exact", "shape_of", "size_of"]

P = TypeVar("P")

_erfc: Callable[[Any], Any] = np.vectorize(math.erfc, otypes=[np.float64])

# the axis of a sum, and whether it is kept, over what, and whether units stand below each other
AXES: dict[tuple[str, bool], tuple[int | None, bool]] = {
    ("units", False): (1, True),
    ("rows", False): (0, False),
    ("units", True): (0, True),
    ("rows", True): (1, True),
    ("all", False): (None, False),
}
LAID_OUT = {**COPIES, **COLUMNS}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "cos": np.cos,
    "sin": np.sin,
    "expm1": np.expm1,
    "log": np.log,
    "softplus": lambda z: np.logaddexp(z, 0),
    "tanh": np.tanh,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "max": np.maximum,
    "clip": lambda r, least, largest: np.clip(r, least, largest),
    "Phi": lambda z: (0.5 * _erfc(-np.asarray(z, np.float64) / math.sqrt(2))).astype(np.asarray(z).dtype),
    "phi": lambda z: np.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    "onehot": lambda t, like: np.eye(like.shape[1], dtype=like.dtype)[t],
    "indicator": lambda codes, n: 1.0 * (codes == np.arange(n)),
    "pick": lambda z, t: np.take_along_axis(z, t[:, None], 1),
    "isnan": lambda x: np.isnan(x).astype(np.asarray(x).dtype),
    "beside": lambda *parts: np.concatenate(parts, axis=1),
    "most_of_members": lambda z, own: z.reshape(-1, len(own), z.shape[1]).max(axis=1),
    # the next int8 to z + zero, halves to even; NaN is the least
    "as_int8": lambda z, zero: np.rint(np.where(z >= -128 - zero, np.minimum(z, 127 - zero), -128 - zero)) + zero,
    "looked_up": lambda q, table: table[np.asarray(q, np.intp) + 128],
    **{name: function.value for name, function in LAID_OUT.items()},
}


def evaluate(node: Expression, values: Values) -> Any:
    """Return the value of a formula for arrays, by the same operations of NumPy in the same dtype.

    Raises
    ------
    TypeError
        If the formula has an :class:`Opaque` part.
    """
    return _value_and_size(node, values)[0]


def size_of(node: Expression, values: Values) -> float:
    """Return the largest intermediate number, including sums of magnitudes; rounding errors are relative to it."""
    return float(_value_and_size(node, values)[1])


def _largest(value: Any) -> float:
    finite = np.abs(np.asarray(value, np.float64))
    return float(np.max(finite, initial=0.0, where=np.isfinite(finite)))


def _value_and_size(node: Expression, values: Values) -> tuple[Any, float]:
    value: Any
    match node:
        case Name():
            return values[node], _largest(values[node])
        case Number(value):
            return value, abs(value) if math.isfinite(value) else 0.0
        case Call(down=True) if not isinstance(node, Opaque):
            value, size = _value_and_size(turned(node), Turned(values))
            return turned_array(value), size
    parts = [_value_and_size(part, values) for part in sides(node)]
    operands, size = [value for value, _ in parts], max(size for _, size in parts)
    match node:
        case Cases():
            return np.where(operands[0] != 0, operands[1], operands[2]), size
        case Binary("@"):
            value = operands[0] @ operands[1]
            size = max(size, _largest(np.abs(operands[0]) @ np.abs(operands[1])))
        case Binary(sign):
            value = OPERATORS[sign](*operands)
        case Compare():
            value = (operands[0] > operands[1]).astype(np.result_type(*operands))
        case Negative():
            value = -operands[0]
        case Taken(_, columns, down):
            value = operands[0][columns, :] if down else operands[0][:, columns]
        case Placed(_, columns, n, down):
            across = operands[0].T if down else operands[0]
            value = np.zeros((len(across), n), across.dtype)
            value[:, columns] = across
            value = value.T if down else value
        case Transposed():
            value = operands[0].T
        case Reduce(kind, over, _, down):
            axis, keep = AXES[over, down and over != "all"]
            fold: Callable[..., Any] = np.logaddexp.reduce if kind == "logsumexp" else getattr(np, kind)
            value = fold(operands[0], axis=axis, keepdims=keep)
            if kind == "sum":
                size = max(size, _largest(np.sum(np.abs(operands[0]), axis=axis)))
        case Call(function) if not isinstance(node, Opaque):
            value = FUNCTIONS[function](*operands)
        case _:
            raise TypeError(node)
    return value, max(size, _largest(value))


def shape_of(node: Expression, values: Values) -> Shape:
    """Return the shape of a formula's value."""
    match node:
        case Name():
            return values[node].shape
        case Transposed(operand):
            return shape_of(operand, values)[::-1]
        case Binary("@", left, right):
            return shape_of(left, values)[:-1] + shape_of(right, values)[1:]
        case Reduce(_, over, operand, down):
            shape = shape_of(operand, values)
            if down and over != "all":
                return (1, *shape[1:]) if over == "units" else (*shape[:1], 1)
            return {"units": (*shape[:1], 1), "rows": shape[1:], "all": ()}[over]
        case Call(down=True) if not isinstance(node, Opaque):
            return turned_shape(shape_of(turned(node), Turned(values)))
        case Call("onehot", (_, like)):
            return shape_of(like, values)
        case Call("indicator", (codes, Number(n))):
            return (shape_of(codes, values)[0], int(n))
        case Call("pick", (z, _)):
            return (shape_of(z, values)[0], 1)
        case Call("most_of_members", (z, own)):
            rows, columns = shape_of(z, values)
            return (rows // shape_of(own, values)[0], columns)
        case Call("beside", parts):
            shapes = [shape_of(part, values) for part in parts]
            return shapes[0][0], sum(columns for _, columns in shapes)
        case Taken(operand, columns, down):
            rows, across = shape_of(operand, values)
            return (len(columns), across) if down else (rows, len(columns))
        case Placed(operand, _, n, down):
            rows, across = shape_of(operand, values)
            return (n, across) if down else (rows, n)
        case Call(function, operands) if function in LAID_OUT and not isinstance(node, Opaque):
            return LAID_OUT[function].shape(*(shape_of(operand, values) for operand in operands))
    shapes = [shape_of(part, values) for part in sides(node)]
    return np.broadcast_shapes(*shapes) if shapes else ()


# --- one entry, with numbers instead of names -------------------------------------------------------------------------


def entry(node: Expression, at: Shape, values: Values) -> Expression:
    """Return the formula of one entry of the result as a tree of numbers.

    A sum of many terms has only the first ones and the last, with a :class:`Gap` for the others.
    """
    match node:
        case Name():
            array = values[node]
            # broadcasting as in NumPy: axes are aligned at the last one, and an axis of length 1 fits any index
            index = tuple(0 if n == 1 else i for n, i in zip(array.shape[::-1], at[::-1], strict=False))[::-1]
            value = array[index]
            there = turned_shape(index) if isinstance(values, Turned) and len(index) > 1 else index
            return Number(value.item(), shown(value), node.quantity + place(there))
        case Transposed(operand):
            return entry(operand, at[::-1], values)
        case Binary("@", left, right):
            split = len(shape_of(left, values)) - 1
            return _added(
                range(shape_of(right, values)[0]),
                lambda k: entry(left, (*at[:split], k), values) * entry(right, (k, *at[split:]), values),
            )
        case Reduce():
            return _reduced(node, at, values)
        case Call(down=True) if not isinstance(node, Opaque):
            return entry(turned(node), turned_shape(at), Turned(values))
        case Compare():
            return number(int(_compared(node, at, values)))
        case Cases(condition, then, otherwise):
            return entry(then if _compared(condition, at, values) else otherwise, at, values)
        case Call("onehot", (t, _)):
            right_one = entry(t, at[:1], values)
            assert isinstance(right_one, Number)
            return Number(int(at[1] == right_one.value), str(int(at[1] == right_one.value)), right_one.quantity)
        case Call("indicator", (codes, _)):
            code = entry(codes, (at[0], 0), values)
            return number(int(at[1] == float(evaluate(code, {}))))
        case Call("pick", (z, t)):
            right_one = entry(t, at[:1], values)
            assert isinstance(right_one, Number)
            return entry(z, (at[0], int(right_one.value)), values)
        case Call("beside", parts):
            row, column = at
            for part in parts:
                if column < (width := shape_of(part, values)[1]):
                    return entry(part, (row, column), values)
                column -= width
        case Taken(operand, columns, down):
            return entry(operand, (columns[at[0]], at[1]) if down else (at[0], columns[at[1]]), values)
        case Placed(operand, columns, _, down):
            if at[0 if down else 1] not in columns:
                return number(0)
            there = (columns.index(at[0]), at[1]) if down else (at[0], columns.index(at[1]))
            return entry(operand, there, values)
        case Call(function, operands) if function in LAID_OUT and not isinstance(node, Opaque):
            terms = LAID_OUT[function].terms(at, *(shape_of(operand, values) for operand in operands))
            return _added(
                terms, lambda term: chain("*", [entry(operands[which], place, values) for which, place in term])
            )
    return mapped(node, lambda operand: entry(operand, at, values))


def _compared(node: Compare, at: Shape, values: Values) -> bool:
    left, right = (evaluate(entry(side, at, values), {}) for side in (node.left, node.right))
    return bool(left > right)


def _added(places: Sequence[P], term: Callable[[P], Expression]) -> Expression:
    if len(places) <= TERMS:
        return chain("+", [*map(term, places)])
    kept = TERMS // 2
    return chain("+", [*map(term, places[:kept]), Gap(len(places) - kept - 1), term(places[-1])])


def _reduced(node: Reduce, at: Shape, values: Values) -> Expression:
    kind, over, operand = node.kind, node.over, node.operand
    shape = shape_of(operand, values)
    places: Sequence[Shape]
    if over != "all" and node.down == (over == "rows"):
        places = [(at[0], j) for j in range(shape[1])]
    elif over != "all":
        places = [(i, *at[-1:]) for i in range(shape[0])]
    else:
        places = list(product(*map(range, shape)))
        if node.down and len(shape) > 1:  # in the same order: one sample after the other
            places = [turned_shape(there) for there in product(*map(range, turned_shape(shape)))]

    def term(here: Shape) -> Expression:
        return entry(operand, here, values)

    if kind == "max":
        array = evaluate(operand, values)
        return term(places[int(np.argmax([array[place] for place in places]))])
    if kind == "logsumexp":
        return call("log", _added(places, lambda here: call("exp", term(here))))
    added = _added(places, term)
    if kind == "var":
        return _added(places, lambda here: (term(here) - added / len(places)) ** 2) / len(places)
    return added / len(places) if kind == "mean" else added


def exact(node: Expression) -> Fraction | None:
    """Return the value of a tree of numbers, given their shown digits; None if it is no fraction or has a gap.

    The value decides between ``=`` and the sign for rounded numbers.
    """
    match node:
        case Number(_, text):
            return decimal(text)
        case Negative(operand):
            value = exact(operand)
            return None if value is None else -value
        case Binary(sign, left, right):
            a, b = exact(left), exact(right)
            if a is None or b is None:
                return None
            whole = b.denominator == 1 and abs(b) < 100 and (a or b > 0)
            if sign in "+-*" or (sign == "/" and b) or (sign == "^" and whole):
                return OPERATORS[sign](a, b)
        case Call(function, operands):
            found = [exact(operand) for operand in operands]
            if any(value is None for value in found):
                return None
            return _exact_call(function, [value for value in found if value is not None])
    return None


def _exact_call(function: str, a: list[Fraction]) -> Fraction | None:
    match function:
        case "max":
            return max(a)
        case "clip":
            return min(max(a[0], a[1]), a[2])
        case "abs":
            return abs(a[0])
        case "isnan":
            return Fraction(0)  # a number that has digits
        case "sign":
            return Fraction((a[0] > 0) - (a[0] < 0))
        case "exp" if a[0] == 0:
            return Fraction(1)
        case "tanh" | "expm1" if a[0] == 0:
            return Fraction(0)
        case "log" if a[0] == 1:
            return Fraction(0)
        case "sqrt" if a[0] >= 0:
            top, bottom = math.isqrt(a[0].numerator), math.isqrt(a[0].denominator)
            return Fraction(top, bottom) if (top * top, bottom * bottom) == a[0].as_integer_ratio() else None
    return None
