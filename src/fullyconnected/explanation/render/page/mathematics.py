"""Formulas on the page as MathML: matrices, and long lines in pieces, between which a browser may break them."""

import math
from collections.abc import Sequence
from html import escape

from fullyconnected.explanation.render import document
from fullyconnected.symbolic.expression import Binary, Call, Expression
from fullyconnected.symbolic.mathml import MINUS, mathml, mathml_number
from fullyconnected.symbolic.notation import ADDED, LEVEL

__all__ = ["SIGN", "broken", "matrix", "pieces", "worked"]

SHORT = {"+": 2, "-": 2, "*": 6, "/": 12}  # a sum, product or fraction of at most this many numbers is not broken
SIGN = {"=": "=", "~": "≈"}
CALLS = {"sqrt": "<mo>√</mo>", "log": "<mi>log</mi>"}  # functions whose argument may be broken
OPEN, CLOSE = "<mo stretchy='false'>(</mo>", "<mo stretchy='false'>)</mo>"


def worked(line: document.Worked) -> str:
    """Return an entry worked out; it is called as in the pictures."""
    first, *others = pieces(line.right)
    parts = [f"<mtext>{escape(line.left)}</mtext><mo>=</mo>{first}", *others]
    return broken(parts, line.sign, mathml_number(line.result.text, line.result.quantity))


def broken(parts: Sequence[str], sign: str, result: str) -> str:
    """Return one line of mathematics as several formulas, between which a browser may break the line."""
    return " ".join(f"<math>{part}</math>" for part in (*parts, f"<mo form='infix'>{SIGN[sign]}</mo>{result}"))


def pieces(node: Expression, least: int = ADDED, first: bool = True) -> list[str]:
    """Return a formula in pieces: a short one whole, a long one broken before its operators.

    ``least`` and ``first`` are as in :meth:`Notation.write`.
    """
    if isinstance(node, Call) and node.function in CALLS and document.numbers_in(node) > SHORT["/"]:
        parts = pieces(node.operands[0])
        return [f"{CALLS[node.function]}{OPEN}{parts[0]}", *parts[1:-1], parts[-1] + CLOSE]
    if not (isinstance(node, Binary) and document.numbers_in(node) > SHORT.get(node.operator, math.inf)):
        return [mathml.write(node, least, first)]
    level = LEVEL[node.operator]
    bracketed = level < least
    left = pieces(node.left, level, first or bracketed)
    if not (first or bracketed) and mathml.starts_negative(left[0]):
        bracketed, left = True, pieces(node.left, level)
    same = node.operator in "+*" and isinstance(node.right, Binary) and node.right.operator == node.operator
    right = pieces(node.right, level + (not same), False)
    sign = node.operator.replace("*", "·").replace("-", MINUS)
    parts = [*left, f"<mo form='infix'>{sign}</mo>{right[0]}", *right[1:]]
    if bracketed:
        parts[0] = f"{OPEN}{parts[0]}"
        parts[-1] += CLOSE
    return parts


def matrix(table: document.Grid) -> str:
    """Return an array as a matrix."""
    rows = document.cells(table, "<mo>⋮</mo>", "<mo>…</mo>", lambda cell: mathml_number(cell.text, cell.quantity))
    if not table.shape:
        return rows[0][0]
    inside = "".join(f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>" for row in rows)
    return f'<mtable class="matrix">{inside}</mtable>'
