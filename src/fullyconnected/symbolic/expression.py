"""Formulas as small trees without arrays; ``evaluation`` evaluates them for arrays, and ``notation`` prints them.

A formula is written with Python's operators on :class:`Name`.

>>> x, W, b = Name("x"), Name("W", "1"), Name("b", "1")
>>> formula = x @ W + b
>>> [name.text for name in names_in(formula)]
['x', 'W1', 'b1']
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.symbolic.columns import COLUMNS
from fullyconnected.symbolic.copies import COPIES
from fullyconnected.symbolic.digits import shown

__all__ = [
    "MIXING", "TERMS", "Binary", "Call", "Cases", "Compare", "Expression", "Gap", "Name", "Negative", "Number",
    "Opaque", "Placed", "Reduce", "Taken", "Transposed", "Values", "call", "chain", "entrywise", "mapped", "mean",
    "most", "names_in", "nodes_in", "number", "opaque", "sides", "total", "where", "with_names",
]  # fmt: skip

# functions that do not work on each entry alone
MIXING = ("onehot", "indicator", "pick", "beside", "most_of_members", *COPIES, *COLUMNS)
TERMS = 8  # of a longer sum, only the first terms and the last are shown


def _binary(operator: str, *, swapped: bool = False) -> Callable[[Any, Any], "Expression"]:
    """Return the method for one of Python's operators; ``swapped`` if the node stands to its right."""

    def combined(self: "Expression", other: Any) -> "Expression":
        left, right = (number(other), self) if swapped else (self, number(other))
        return Binary(operator, left, right)

    return combined


@dataclass(frozen=True)
class Expression:
    """A node of a formula; Python's operators combine nodes to trees."""

    __add__, __radd__ = _binary("+"), _binary("+", swapped=True)
    __sub__, __rsub__ = _binary("-"), _binary("-", swapped=True)
    __mul__, __rmul__ = _binary("*"), _binary("*", swapped=True)
    __truediv__, __rtruediv__ = _binary("/"), _binary("/", swapped=True)
    __matmul__, __pow__ = _binary("@"), _binary("^")

    def __neg__(self) -> "Expression":
        return Negative(self)

    def __gt__(self, other: Any) -> "Expression":
        return Compare(self, number(other))

    @property
    def T(self) -> "Expression":
        """The transpose."""
        return Transposed(self)


@dataclass(frozen=True)
class Name(Expression):
    """A quantity ``W1``; its gradient ``dL/dW1`` (``of="L"``); or its updated value ``W1_new`` (``new=True``)."""

    letter: str
    index: str = ""
    of: str = ""
    new: bool = False
    full: str = ""  # its name in the library: dense_1.W

    @property
    def text(self) -> str:
        """The name in plain text."""
        plain = self.letter + ("_" if self.index and not self.index.isdigit() else "") + self.index
        plain += "_new" * self.new
        return f"d{self.of}/d{plain}" if self.of else plain

    @property
    def identifier(self) -> str:
        """The name in Python."""
        return self.text.replace("/", "_")

    @property
    def quantity(self) -> str:
        """The key of the quantity in pictures and tables: ``dense_1.W``, and ``dL:dense_1.W`` for its gradient."""
        plain = (self.full or self.text.removeprefix(f"d{self.of}/d").removesuffix("_new")) + "_new" * self.new
        return f"d{self.of}:{plain}" if self.of else plain

    def gradient(self, of: str) -> "Name":
        """Return the name of the derivative of the loss with respect to this."""
        return replace(self, of=of)


@dataclass(frozen=True)
class Number(Expression):
    """A number, its shown digits, and the quantity of which it is an entry."""

    value: float | int
    text: str = ""
    quantity: str = ""


@dataclass(frozen=True)
class Binary(Expression):
    """An operation on two operands: ``+ - * / ^`` entry by entry, or ``@``, the matrix product."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Negative(Expression):
    """Minus an operand."""

    operand: Expression


@dataclass(frozen=True)
class Transposed(Expression):
    """A transposed matrix."""

    operand: Expression


@dataclass(frozen=True)
class Taken(Expression):
    """Some columns of a matrix, in this order; with ``down``, some rows."""

    operand: Expression
    columns: tuple[int, ...]
    down: bool = False


@dataclass(frozen=True)
class Placed(Expression):
    """A matrix of ``n`` columns: an operand's are these, and the others are 0; with ``down``, of ``n`` rows."""

    operand: Expression
    columns: tuple[int, ...]
    n: int
    down: bool = False


@dataclass(frozen=True)
class Call(Expression):
    """A function from :data:`FUNCTIONS`, applied to each entry, or like ``pick`` to each row; with ``down``, column."""

    function: str
    operands: tuple[Expression, ...]
    down: bool = False


@dataclass(frozen=True)
class Opaque(Call):
    """A function whose formula is not known, such as a user's own layer; it may have any name."""


@dataclass(frozen=True)
class Reduce(Expression):
    """``sum``, ``mean``, ``max``, ``var`` or ``logsumexp`` over the ``units`` of each row, the ``rows``, or ``all``.

    With ``down``, the units of a sample stand below each other, and the samples side by side.
    """

    kind: str
    over: str
    operand: Expression
    down: bool = False


@dataclass(frozen=True)
class Compare(Expression):
    """1 where the left side is larger, else 0."""

    left: Expression
    right: Expression


@dataclass(frozen=True)
class Cases(Expression):
    """One formula where a condition holds, another elsewhere."""

    condition: Compare
    then: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Gap(Expression):
    """The terms of a sum that are not shown, given by their number."""

    count: int


Values = Mapping[Name, Array]


def number(value: Any) -> Expression:
    """Return a number as a node, and a node unchanged."""
    return value if isinstance(value, Expression) else Number(value, shown(value))


def call(function: str, *operands: Expression) -> Expression:
    """Return a function of expressions."""
    return Call(function, operands)


def opaque(name: str, *operands: Expression) -> Expression:
    """Return a function of expressions of which only the name is known."""
    return Opaque(printable(name), operands)


def chain(operator: str, nodes: Sequence[Expression]) -> Expression:
    """Return a sum or a product; many operands form a balanced tree, which is printed like any other."""
    if len(nodes) <= TERMS:
        return reduce(lambda a, b: Binary(operator, a, b), nodes)
    half = len(nodes) // 2
    return Binary(operator, chain(operator, nodes[:half]), chain(operator, nodes[half:]))


def total(operand: Expression, over: str = "all") -> Expression:
    """Return the sum of the entries."""
    return Reduce("sum", over, operand)


def mean(operand: Expression, over: str) -> Expression:
    """Return the mean of the entries."""
    return Reduce("mean", over, operand)


def most(operand: Expression, over: str) -> Expression:
    """Return the largest of the entries."""
    return Reduce("max", over, operand)


def where(condition: Expression, then: Any, otherwise: Any) -> Expression:
    """Return a formula by cases."""
    assert isinstance(condition, Compare)
    return Cases(condition, number(then), number(otherwise))


def sides(node: Expression) -> tuple[Expression, ...]:
    """Return the operands of a node, from left to right."""
    fields = [value if isinstance(value, tuple) else (value,) for value in vars(node).values()]
    return tuple(part for parts in fields for part in parts if isinstance(part, Expression))


def names_in(node: Expression) -> Iterator[Name]:
    """Yield the names in a formula from left to right, each once."""
    seen = set()
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, Name) and node not in seen:
            seen.add(node)
            yield node
        stack.extend(reversed(sides(node)))


def nodes_in(node: Expression) -> Iterator[Expression]:
    """Yield a node and all that it is made of, each as often as it comes."""
    yield node
    for part in sides(node):
        yield from nodes_in(part)


def entrywise(node: Expression) -> bool:
    """Whether each entry of a formula's value depends only on the same entry of each operand."""
    mixes = isinstance(node, Reduce | Transposed | Taken | Placed | Opaque)
    mixes |= isinstance(node, Binary) and node.operator == "@"
    mixes |= isinstance(node, Call) and node.function in MIXING
    return not mixes and all(map(entrywise, sides(node)))


def mapped(node: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """Return a node with each of its operands changed."""

    def changed(field: Any) -> Any:
        if isinstance(field, tuple):
            return tuple(map(changed, field))
        return change(field) if isinstance(field, Expression) else field

    return type(node)(*map(changed, vars(node).values()))


def with_names(node: Expression, names: Mapping[Name, Expression]) -> Expression:
    """Return the formula with some names replaced by other nodes."""
    if isinstance(node, Name):
        return names.get(node, node)
    return mapped(node, lambda operand: with_names(operand, names))
