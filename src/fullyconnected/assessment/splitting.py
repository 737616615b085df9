"""Which rows are held out as the test part, that nothing is chosen by, and which ones are held out together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fullyconnected.assessment.problem import Problem
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import number
from fullyconnected.errors import ConfigError, DataError
from fullyconnected.tabular.tasks import CLASSES

__all__ = ["in_time", "held_back"]


FIRST, MOST_SPLITS = 0.6, 4  # the share of the rows before the first split in time, and the number of splits


def held_back(problem: Problem, share: float = 0.2, seed: int = 0) -> Array:
    """Return which rows are the test part: bool (rows,), about a share of them.

    Rows that are ordered in time give the latest ones; rows of a group are all in one part. Otherwise each class, or
    small and large numbers, has its share, and the rarest class keeps a row to learn from.

    Parameters
    ----------
    problem : Problem
        What is learned.
    share : float
        The share of the rows, from 0 to less than 1; 0 is no test part.
    seed : int
        Seed of the choice.

    Raises
    ------
    ConfigError
        If rows have groups and times both: the latest rows would divide groups.
    DataError
        If no rows can be held out, or if those that are left do not have what is to be learned.
    """
    share = number("--test", share, below=1)
    if problem.groups is not None and problem.times is not None:
        raise ConfigError("--group and --time cannot both say which rows are held out; leave one of them out")
    rows, random = len(problem.y), np.random.default_rng(seed)
    if share == 0:
        return np.zeros(rows, bool)
    if problem.times is not None:
        held = _latest(problem.times, share)
        way = "the latest rows"
    elif problem.groups is not None:
        held = _of_groups(problem.groups, share, random)
        way = "the rows of whole groups"
    else:
        held = _dealt(problem, share, random)
        way = "the test part"
    if not held.any():
        return held
    left = problem.y[~held]
    if len(left) < 2 or (left == left[0]).all():
        raise DataError(
            f"{problem.source}: without {way}, all {len(left):,} rows that are left to learn from have the same "
            f"{problem.roles.target!r}; choose a smaller --test, or --test 0"
        )
    return held


def in_time(times: Array, members: int = MOST_SPLITS) -> list[tuple[Array, Array]]:
    """Return the rows to learn from, and the later ones to judge by, of splits in time, as indices.

    There are four splits, or as many as ``members`` of an ensemble if these are fewer. The first learns from the first
    60 % of the rows, and of four it is judged by the next 10 %; what a split is judged by, the next one learns from.
    Rows of the same time are in one part.

    Raises
    ------
    DataError
        If there are too few different times.

    >>> [(len(train), test.tolist()) for train, test in in_time(np.arange(10))]
    [(6, [6]), (7, [7]), (8, [8]), (9, [9])]
    """
    ordered, found = np.sort(times), []
    shares = np.linspace(FIRST, 1, min(members, MOST_SPLITS), endpoint=False)
    cuts = [ordered[min(len(ordered) - 1, int(np.ceil(len(ordered) * share - 1e-9)))] for share in shares]
    for first, last in pairwise([*cuts, None]):
        train = times < first
        test = ~train if last is None else ~train & (times < last)
        if train.any() and test.any():
            found.append((np.flatnonzero(train), np.flatnonzero(test)))
    if not found:
        raise DataError("the rows have too few different times to hold the latest ones out; leave --time out")
    return found


def _latest(times: Array, share: float) -> Array:
    """Return the latest rows, from a time on: rows of the same time are in one part."""
    ordered = np.sort(times)
    first = ordered[min(len(ordered) - 1, int(np.ceil(len(ordered) * (1 - share))))]
    held = np.asarray(times >= first)
    return held if not held.all() else np.asarray(times > first)


def _of_groups(groups: Array, share: float, random: np.random.Generator) -> Array:
    """Return the rows of groups at random, as many as come nearest to the share, and never all."""
    order = random.permutation(len(sizes := np.bincount(groups)))
    held, total = np.zeros(len(groups), bool), 0
    for group in order[:-1]:
        if abs(total + sizes[group] - share * len(groups)) < abs(total - share * len(groups)):
            held |= groups == group
            total += int(sizes[group])
    return held


def _dealt(problem: Problem, share: float, random: np.random.Generator) -> Array:
    """Return every n-th row where alike rows are neighbours; each class keeps one."""
    codes = np.unique(problem.y, return_inverse=True)[1]
    order = random.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    place = np.arange(len(order)) + random.random()  # so that not the smallest numbers are always kept
    back = np.floor((place + 1) * share) > np.floor(place * share)
    held = np.zeros(len(codes), bool)
    held[order] = back
    if problem.task == CLASSES:
        for code in range(codes.max() + 1):
            if held[codes == code].all():
                held[np.flatnonzero(codes == code)[0]] = False
    return held
