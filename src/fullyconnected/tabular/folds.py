"""Which rows each member of an ensemble learns from, and by which ones it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import DataError, ShapeError

__all__ = ["HoldOut", "Split", "held_out", "n_folds", "one_part"]


class Split(NamedTuple):
    """Which rows each member learns from, and which ones are held out from it: bool (rows, members) each."""

    learned: Array
    held: Array

    @property
    def known(self) -> Array:
        """Whether any member learns from a row: bool (rows,)."""
        return np.asarray(self.learned.any(axis=1))

    @property
    def judged(self) -> Array:
        """Whether a row is held out from any member: bool (rows,)."""
        return np.asarray(self.held.any(axis=1))

    @property
    def is_one_part(self) -> bool:
        """Whether the same rows are held out from all members."""
        return bool((self.held == self.held[:, :1]).all())


@dataclass(frozen=True)
class HoldOut:
    """How rows are held out: dealt into parts, a share of them, or as pairs of indices say.

    Attributes
    ----------
    parts : int or None
        The number of parts that the rows are dealt into; None for one for each member.
    fraction : float or None
        The share of the rows that is held out from all members instead.
    pairs : tuple of (array, array)
        Instead of either: the rows that are learned from and those that are held out, as indices. Member i has pair
        i, and beyond the last one it goes on with the first.
    """

    parts: int | None = None
    fraction: float | None = None
    pairs: tuple[tuple[Array, Array], ...] = ()

    def split(self, t: Array, members: int, seed: int, groups: Array | None = None) -> Split:
        """Return the split of the rows with these targets, as :func:`held_out` takes them."""
        if self.pairs:
            learned, held = np.zeros((2, len(t), members), bool)
            for m in range(members):
                train, test = self.pairs[m % len(self.pairs)]
                learned[train, m] = held[test, m] = True
            return Split(learned, held)
        if self.fraction is not None:
            held = np.repeat(one_part(t, self.fraction, seed, groups)[:, None], members, axis=1)
        else:
            held = held_out(t, members, seed, groups, self.parts)
        return Split(~held, held)


def n_folds(rows: int, members: int, groups: Array | None = None, parts: int | None = None) -> int:
    """Return into how many parts rows are dealt: one for each member, or fewer if there are fewer rows or groups.

    Raises
    ------
    DataError
        For a single row or group, of which nothing could be held out, or fewer of them than ``parts``.
    """
    most = rows if groups is None else len(np.unique(groups))
    if most < 2:
        what = f"{rows} rows" if groups is None else f"{most} group of rows"
        raise DataError(f"an ensemble holds rows out to judge what it learns, and {what} cannot be divided; give two")
    if parts is not None and parts > most:
        what = "rows" if groups is None else "groups of rows"
        raise DataError(f"{most} {what} cannot be divided into {parts} parts: give a cv of {most} or less")
    return min(members, most) if parts is None else parts


def held_out(t: Array, members: int, seed: int, groups: Array | None = None, parts: int | None = None) -> Array:
    """Return, for each row and member, whether the member does not learn from the row: bool (rows, members).

    The rows are dealt into folds, a member for each. Classes (t of one dimension) are in all folds in equal shares, and
    so are small and large numbers (the first column of t). Rows of the same group are in one fold. If there are more
    members than folds, the rows are dealt again, in another order, for the next ones; if there are fewer, the rows of
    the last folds are held out from none.

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
    parts : int, optional
        The number of folds; None for as many as members, or fewer if there are fewer rows or groups.

    Raises
    ------
    DataError, ShapeError
        For fewer than two rows or groups, or than ``parts``, or groups of another length.
    """
    _check_groups(groups, len(t))
    folds = n_folds(len(t), members, groups, parts)
    held = np.empty((len(t), members), bool)
    for first in range(0, members, folds):
        random = np.random.default_rng((seed, first))
        fold = _dealt(t, folds, random) if groups is None else _by_groups(np.asarray(groups), folds, random)
        some = np.arange(first, min(first + folds, members))
        held[:, some] = fold[:, None] == some - first
    return held


def one_part(t: Array, fraction: float, seed: int, groups: Array | None = None) -> Array:
    """Return whether each row is in the one part that is held out, about a fraction of the rows: bool (rows,).

    Classes, and small and large numbers, are in it by their shares. Whole groups are in it, or not.

    Raises
    ------
    DataError, ShapeError
        As :func:`held_out` does.
    """
    _check_groups(groups, len(t))
    n_folds(len(t), 2, groups)
    random, held = np.random.default_rng((seed, 0)), np.zeros(len(t), bool)
    if groups is None:
        wanted = int(np.clip(round(fraction * len(t)), 1, len(t) - 1))
        order = _alike_in_order(t, random)
        before = np.floor((np.arange(len(t) + 1) + random.random()) * wanted / len(t))  # one of as many neighbours
        held[order[np.diff(before) > 0]] = True
        return held
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = random.permutation(len(sizes))
    reached = np.cumsum(sizes[order])
    n = int(np.clip(np.abs(reached - fraction * len(t)).argmin() + 1, 1, len(sizes) - 1))
    return np.isin(group, order[:n])


def _check_groups(groups: Array | None, rows: int) -> None:
    if groups is not None and np.shape(groups) != (rows,):
        raise ShapeError(f"groups has shape {np.shape(groups)}; expected ({rows},), a group for each row")


def _alike_in_order(t: Array, random: np.random.Generator) -> Array:
    """Return the rows in an order in which those that are alike are neighbours, and else at random."""
    key = t if t.ndim == 1 else t[:, 0]
    order = random.permutation(len(t))
    return np.asarray(order[np.argsort(key[order], kind="stable")])


def _dealt(t: Array, folds: int, random: np.random.Generator) -> Array:
    """Return the fold of each row: of as many rows that are neighbours, since they are alike, each goes to one."""
    order = _alike_in_order(t, random)
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
