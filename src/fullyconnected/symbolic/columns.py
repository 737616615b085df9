"""Functions of formulas that give each column of (rows, n) numbers of its own: arrays (n, rows, k), a matrix for each.

The last axis of such an array is that of a column's waves, or of its outputs. What a column has of its own is a row of
(n, k), or a matrix of (n, k, size).
"""

from typing import Any

import numpy as np

from fullyconnected.core.arrays import Shape
from fullyconnected.symbolic.copies import COPIES, Copies, Term

__all__ = ["COLUMNS"]


def _beside(x: Any, e: Any) -> Any:
    joined = np.concatenate([x.T[:, :, None], e], axis=2)
    return joined.transpose(1, 0, 2).reshape(len(x), len(e) * joined.shape[2])


def _beside_term(at: Shape, e: Shape) -> Term:
    column, place = divmod(at[1], e[2] + 1)
    return [(1, (column, at[0], place - 1)) if place else (0, (at[0], column))]


COLUMNS = {
    # x (rows, n), and what each column has of its own (n, k), where each of both is to meet each of the other
    "each_row": Copies(
        lambda x: x.T[:, :, None],
        lambda x: (x[1], x[0], 1),
        lambda at, x: [[(0, (at[1], at[0]))]],
    ),
    "each_own": Copies(
        lambda w: w[:, None],
        lambda w: (w[0], 1, w[1]),
        lambda at, w: [[(0, (at[0], at[2]))]],
    ),
    # two arrays side by side, and the first and the second half of one
    "joined": Copies(
        lambda a, b: np.concatenate([a, b], axis=2),
        lambda a, b: (*a[:2], a[2] + b[2]),
        lambda at, a, b: [[(0, at) if at[2] < a[2] else (1, (*at[:2], at[2] - a[2]))]],
    ),
    "first_half": Copies(
        lambda a: a[:, :, : a.shape[2] // 2],
        lambda a: (*a[:2], a[2] // 2),
        lambda at, a: [[(0, at)]],
    ),
    "second_half": Copies(
        lambda a: a[:, :, a.shape[2] // 2 :],
        lambda a: (*a[:2], a[2] // 2),
        lambda at, a: [[(0, (*at[:2], at[2] + a[2] // 2))]],
    ),
    # products with a matrix of each column's own: v W_j, de W_j' and v_j' de_j
    "each": COPIES["stacked"],
    "each_back": COPIES["stacked_back"],
    "each_outer": COPIES["stacked_outer"],
    # the sum over the rows (n, k), and the sum over the waves (rows, n)
    "of_rows": Copies(
        lambda a: a.sum(axis=1),
        lambda a: (a[0], a[2]),
        lambda at, a: [[(0, (at[0], i, at[1]))] for i in range(a[1])],
    ),
    "of_waves": Copies(
        lambda a: a.sum(axis=2).T,
        lambda a: (a[1], a[0]),
        lambda at, a: [[(0, (at[1], at[0], q))] for q in range(a[2])],
    ),
    # the outputs of the columns side by side (rows, n size); the same with each column itself before its outputs
    "rows_of": Copies(
        lambda e: e.transpose(1, 0, 2).reshape(e.shape[1], len(e) * e.shape[2]),
        lambda e: (e[1], e[0] * e[2]),
        lambda at, e: [[(0, (at[1] // e[2], at[0], at[1] % e[2]))]],
    ),
    "rows_beside": Copies(
        _beside,
        lambda x, e: (x[0], e[0] * (e[2] + 1)),
        lambda at, x, e: [_beside_term(at, e)],
    ),
    # and back, for gradients: those of the outputs of each column (n, rows, size), and of the columns themselves
    "back_to": Copies(
        lambda dy, e: dy.reshape(e.shape[1], len(e), -1).transpose(1, 0, 2)[:, :, -e.shape[2] :],
        lambda dy, e: e,
        lambda at, dy, e: [[(0, (at[1], (at[0] + 1) * (dy[1] // e[0]) - e[2] + at[2]))]],
    ),
    "back_beside": Copies(
        lambda dy, x: dy[:, :: dy.shape[1] // x.shape[1]],
        lambda dy, x: x,
        lambda at, dy, x: [[(0, (at[0], at[1] * (dy[1] // x[1])))]],
    ),
}
