"""Functions of formulas that join the rows of an ensemble with what each of its k members has of its own.

Row i k + m of (rows k, n) is that of member m for row i of the batch. What a member has of its own is a row of (k, n),
or a matrix of (k, n, n_out): the last operand, whose first axis says how many members there are.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Shape

__all__ = ["COPIES", "Copies", "Place", "Term"]

Place = tuple[int, Shape]  # an operand, and an entry of it
Term = Sequence[Place]  # a product of entries


class Copies(NamedTuple):
    """A function: its value for arrays, the shape of that, and which products are added up for an entry of it."""

    value: Callable[..., Any]
    shape: Callable[..., Shape]  # of the shapes of the operands
    terms: Callable[..., Sequence[Term]]  # of the place of an entry, and the shapes of the operands


def _by_member(a: Any, own: Any) -> Any:
    return a.reshape(-1, len(own), a.shape[-1])


def _flat_place(place: int, own: Shape) -> Shape:
    return divmod(place, own[-1])


COPIES = {
    # x (rows, n) once for each member: (rows k, n)
    "copied": Copies(
        lambda x, own: np.repeat(x, len(own), axis=0),
        lambda x, own: (x[0] * own[0], *x[1:]),
        lambda at, x, own: [[(0, (at[0] // own[0], *at[1:]))]],
    ),
    # a * r_m and a + b_m
    "scaled": Copies(
        lambda a, r: (_by_member(a, r) * r).reshape(a.shape),
        lambda a, r: a,
        lambda at, a, r: [[(0, at), (1, (at[0] % r[0], at[1]))]],
    ),
    "shifted": Copies(
        lambda a, b: (_by_member(a, b) + b).reshape(a.shape),
        lambda a, b: a,
        lambda at, a, b: [[(0, at)], [(1, (at[0] % b[0], at[1]))]],
    ),
    # the sum over the rows of each member (k, n), and the sum over the members for each row (rows, n)
    "over_rows": Copies(
        lambda a, own: _by_member(a, own).sum(axis=0),
        lambda a, own: (own[0], a[1]),
        lambda at, a, own: [[(0, (i + at[0], at[1]))] for i in range(0, a[0], own[0])],
    ),
    "over_members": Copies(
        lambda a, own: _by_member(a, own).sum(axis=1),
        lambda a, own: (a[0] // own[0], a[1]),
        lambda at, a, own: [[(0, (at[0] * own[0] + m, at[1]))] for m in range(own[0])],
    ),
    # products with a matrix of each member's own: x W_m, dy W_m' and x_m' dy_m
    "own": Copies(
        lambda x, W: np.einsum("rki,kio->rko", _by_member(x, W), W).reshape(len(x), W.shape[2]),
        lambda x, W: (x[0], W[2]),
        lambda at, x, W: [[(0, (at[0], i)), (1, (at[0] % W[0], i, at[1]))] for i in range(W[1])],
    ),
    "own_back": Copies(
        lambda dy, W: np.einsum("rko,kio->rki", _by_member(dy, W), W).reshape(len(dy), -1),
        lambda dy, W: (dy[0], W[1]),
        lambda at, dy, W: [[(0, (at[0], o)), (1, (at[0] % W[0], at[1], o))] for o in range(W[2])],
    ),
    "own_outer": Copies(
        lambda x, dy, W: np.einsum("rki,rko->kio", _by_member(x, W), _by_member(dy, W)),
        lambda x, dy, W: W,
        lambda at, x, dy, W: [[(0, (i + at[0], at[1])), (1, (i + at[0], at[2]))] for i in range(0, x[0], W[0])],
    ),
    # of stacks with a matrix for each member: products A_m B_m, A_m B_m' and A_m' B_m, and the sum of all entries
    "stacked": Copies(
        lambda a, b: a @ b,
        lambda a, b: (*a[:2], b[2]),
        lambda at, a, b: [[(0, (*at[:2], q)), (1, (at[0], q, at[2]))] for q in range(b[1])],
    ),
    "stacked_back": Copies(
        lambda a, b: a @ b.transpose(0, 2, 1),
        lambda a, b: (*a[:2], b[1]),
        lambda at, a, b: [[(0, (*at[:2], q)), (1, (at[0], at[2], q))] for q in range(b[2])],
    ),
    "stacked_outer": Copies(
        lambda a, b: a.transpose(0, 2, 1) @ b,
        lambda a, b: (a[0], a[2], b[2]),
        lambda at, a, b: [[(0, (at[0], q, at[1])), (1, (at[0], q, at[2]))] for q in range(a[1])],
    ),
    "over_entries": Copies(
        lambda a: a.sum(axis=(1, 2), keepdims=True),
        lambda a: (a[0], 1, 1),
        lambda at, a: [[(0, (at[0], i, j))] for i in range(a[1]) for j in range(a[2])],
    ),
    # the rows of all members side by side, (rows, k n), and back; and what members have of their own likewise, (k n,)
    "wide": Copies(
        lambda a, own: a.reshape(-1, own.size),
        lambda a, own: (a[0] // own[0], own[0] * own[1]),
        lambda at, a, own: [[(0, (at[0] * own[0] + at[1] // own[1], at[1] % own[1]))]],
    ),
    "narrow": Copies(
        lambda a, own: a.reshape(-1, own.shape[1]),
        lambda a, own: (int(np.prod(a)) // own[1], own[1]),
        lambda at, a, own: [[(0, (at[0] // own[0], at[0] % own[0] * own[1] + at[1]))]],
    ),
    "flat": Copies(
        lambda own: own.reshape(-1),
        lambda own: (own[0] * own[1],),
        lambda at, own: [[(0, _flat_place(at[-1], own))]],
    ),
}
