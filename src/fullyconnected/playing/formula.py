"""Formulas of x1 and x2 that a user writes or an address brings: read as a tree, of which few kinds are known.

Its parts are numbers, names and signs, with spaces or tabs between them, and nothing else that Python knows: no
comments, no 0x1F or 1_000. ``page/local_formula.js`` reads the same texts.

Nothing is ever run that was written: the tree is walked, and each part is a known operation on arrays. Every number is
a float, so that no power grows without bound, and the text is short, so that none takes long.
"""

import ast
import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, NoReturn

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError

__all__ = ["FUNCTIONS", "compiled", "values"]

MOST = 200  # characters
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "abs", "sign", "tanh", "floor")},
    "min": lambda *given: reduce(np.minimum, given),
    "max": lambda *given: reduce(np.maximum, given),
}
CONSTANTS = {"pi": np.pi, "e": np.e}
OPERATIONS: Mapping[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Lt: np.less,
    ast.Gt: np.greater,
}
SEVERAL = ("min", "max")  # functions of two numbers or more
TOKEN = re.compile(
    r"(?P<number>(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?(?![\w.]))"
    r"|(?P<name>[a-z]\w*)|\*\*|[-+*/^<>(),]|[ \t]+",
    re.ASCII | re.IGNORECASE,
)


def compiled(text: str) -> ast.expr:
    """Return the tree of a formula after checking all of it, or raise.

    >>> ast.unparse(compiled("x1^2 + sin(x2)"))
    'x1 ** 2 + sin(x2)'
    """
    if len(text) > MOST:
        raise ConfigError(f"formula has at most {MOST} characters; got {len(text)}")
    try:
        _require_tokens(text)
        tree = ast.parse(text.strip(" \t").replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last two for brackets within brackets
        raise ConfigError(
            f"formula: {text!r:.80} cannot be read as a formula of x1 and x2, such as sin(2*x1) + x2"
        ) from None
    _check(tree)
    return tree


def values(text: str, x1: Array, x2: Array) -> Array:
    """Return the values of a formula at points, in float64; they may be infinite or NaN.

    >>> values("x1 ^ 2 - x2 / 2", np.array([3.0]), np.array([2.0])).tolist()
    [8.0]
    """
    names = {"x1": np.asarray(x1, np.float64), "x2": np.asarray(x2, np.float64), **CONSTANTS}
    with np.errstate(all="ignore"):
        found = np.asarray(_value(compiled(text), names), np.float64)
    return np.broadcast_to(found, x1.shape).copy()


def _require_tokens(text: str) -> None:
    """Raise for a text that has other parts than a formula, or the name of a function that is not called."""
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise ValueError
        at = found.end()
        if found["name"] in FUNCTIONS and not text[at:].lstrip(" \t").startswith("("):
            _refuse(found["name"])


def _check(node: ast.AST) -> None:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            _refuse(repr(node.value))
        return
    if isinstance(node, ast.Name):
        if node.id not in ("x1", "x2", *CONSTANTS):
            _refuse(node.id)
        return
    children: list[ast.expr]
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS or node.keywords:
            _refuse(ast.unparse(node))
        wanted = "two numbers or more" if name in SEVERAL else "one number"
        if (len(node.args) < 2) if name in SEVERAL else (len(node.args) != 1):
            raise ConfigError(f"formula: {name} takes {wanted}; got {ast.unparse(node):.80}")
        children = node.args
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        children = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and type(node.op) in OPERATIONS:
        children = [node.operand]
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in OPERATIONS:
        children = [node.left, *node.comparators]
    else:
        _refuse(ast.unparse(node))
    for child in children:
        _check(child)


def _refuse(what: str) -> NoReturn:
    raise ConfigError(
        f"formula: {what:.80} is not known; there are x1, x2, numbers, pi, e, + - * / ^ < >, brackets, and "
        f"{', '.join(FUNCTIONS)}"
    )


def _value(node: ast.AST, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int | float)
        return np.float64(node.value)
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return FUNCTIONS[node.func.id](*(_value(each, names) for each in node.args))
    if isinstance(node, ast.BinOp):
        return OPERATIONS[type(node.op)](_value(node.left, names), _value(node.right, names))
    if isinstance(node, ast.UnaryOp):
        return OPERATIONS[type(node.op)](_value(node.operand, names))
    assert isinstance(node, ast.Compare)
    less = OPERATIONS[type(node.ops[0])](_value(node.left, names), _value(node.comparators[0], names))
    return np.asarray(less, np.float64)
