"""Which rows each member of an ensemble does not learn from, so that it can be judged by them."""

from __future__ import annotations

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import DataError, ShapeError

__all__ = ["held_out", "n_folds"]


def n_folds(rows: int, members: int, groups: Array | None = None) -> int:
    """Return into how many parts rows are dealt: one for each member, or fewer if there are fewer rows or groups.

    Raises
    ------
    DataError
        For a single row or group, of which nothing could be held out.
    """
    parts = rows if groups is None else len(np.unique(groups))
    if parts < 2:
        what = f"{rows} rows" if groups is None else f"{parts} group of rows"
        raise DataError(f"an ensemble holds rows out to judge what it learns, and {what} cannot be divided; give two")
    return min(members, parts)


def held_out(t: Array, members: int, seed: int, groups: Array | None = None) -> Array:
    """Return, for each row and member, whether the member does not learn from the row: bool (rows, members).

    The rows are dealt into folds, a member for each. Classes (t of one dimension) are in all folds in equal shares, and
    so are small and large numbers (the first column of t). Rows of the same group are in one fold. If there are more
    members than folds, the rows are dealt again, in another order, for the next ones.

    Parameters
    ----------
    t : array (rows,) of class numbers, or (rows, outputs)
        The targets.
    members : int
        The number of members, 2 or more.
    seed : int
        Seed of the deal.
    groups : array (rows,), optional
        A group for each row.

    Raises
    ------
    DataError, ShapeError
        For fewer than two rows or groups, or groups of another length.
    """
    if groups is not None and np.shape(groups) != (len(t),):
        raise ShapeError(f"groups has shape {np.shape(groups)}; expected ({len(t)},), a group for each row")
    folds = n_folds(len(t), members, groups)
    held = np.empty((len(t), members), bool)
    for first in range(0, members, folds):
        random = np.random.default_rng((seed, first))
        fold = _dealt(t, folds, random) if groups is None else _by_groups(np.asarray(groups), folds, random)
        some = np.arange(first, min(first + folds, members))
        held[:, some] = fold[:, None] == some - first
    return held


def _dealt(t: Array, folds: int, random: np.random.Generator) -> Array:
    """Return the fold of each row: rows that are alike are neighbours, and of as many neighbours each goes to one."""
    key = t if t.ndim == 1 else t[:, 0]
    order = random.permutation(len(t))
    order = order[np.argsort(key[order], kind="stable")]
    fold = np.empty(len(t), np.intp)
    for start in range(0, len(t), folds):
        some = order[start : start + folds]
        fold[some] = random.permutation(folds)[: len(some)]
    return fold


def _by_groups(groups: Array, folds: int, random: np.random.Generator) -> Array:
    """Return the fold of each row: group after group, the largest first, to the fold that has the fewest rows yet."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    rows, of_group = np.zeros(folds, np.intp), np.empty(len(sizes), np.intp)
    for each in order:
        of_group[each] = rows.argmin()
        rows[of_group[each]] += sizes[each]
    return of_group[group]
