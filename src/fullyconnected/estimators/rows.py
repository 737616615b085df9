"""Which rows are held out for validation, and what the rows of each class weigh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight

from fullyconnected.core.arrays import Array

__all__ = ["class_factors", "of_rows", "shuffled", "stratified"]


def shuffled(n: int, fraction: float, groups: Any, random: np.random.RandomState) -> tuple[Array, Array]:
    """Return the numbers of rows for training and for validation; rows of one group stay together."""
    if groups is not None:
        return _by_groups(np.zeros(n, int), fraction, groups, random)
    train, held_out = train_test_split(np.arange(n), random_state=random, test_size=fraction)
    return train, held_out


def stratified(codes: Array, fraction: float, groups: Any, random: np.random.RandomState) -> tuple[Array, Array]:
    """Return the numbers of rows for training and for validation, with all classes in both in equal shares.

    ``codes`` are two classes (rows,) as bool, class numbers (rows,), or the indicators of labels (rows, labels). Two
    classes are split as scikit-learn splits them. A class of a single row stays in training. If there are fewer rows to
    hold out than classes, the split is drawn without regard to them.
    """
    n, rows = len(codes), np.arange(len(codes))
    if groups is not None:
        return _by_groups(codes, fraction, groups, random)
    if codes.ndim == 2:
        return _by_labels(codes.astype(bool), fraction, random)
    if codes.dtype == bool:
        train, held_out = train_test_split(rows, random_state=random, test_size=fraction, stratify=codes[:, None])
        return train, held_out
    counts = np.bincount(codes)
    single = counts[codes] == 1
    classes, wanted = np.count_nonzero(counts > 1), math.ceil(fraction * n)
    if not classes or not classes <= wanted <= np.count_nonzero(~single) - classes:
        return shuffled(n, fraction, None, random)
    train, held_out = train_test_split(rows[~single], random_state=random, test_size=wanted, stratify=codes[~single])
    return np.concatenate([train, rows[single]]), held_out


def _by_labels(has: Array, fraction: float, random: np.random.RandomState) -> tuple[Array, Array]:
    """Split rows with several labels: the rarest label first, each row to the part that lacks it most.

    Source: Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", 2011.
    """
    n = len(has)
    order, *parts = random.permutation(n), *shuffled(n, fraction, None, np.random.RandomState(0))
    has = has[order]
    wanted_rows = np.array([len(part) for part in parts])
    wanted = np.outer(wanted_rows / n, has.sum(axis=0))  # (part, label)
    part = np.full(n, -1)
    while (free := part < 0).any():
        left = has[free].sum(axis=0)
        if not left.any():  # rows without labels fill what is left
            chosen = np.flatnonzero(free)
        else:
            label = int(np.argmin(np.where(left > 0, left, n + 1)))
            chosen = np.flatnonzero(free & has[:, label])
        for row in chosen:
            need = np.where(wanted_rows > 0, wanted[:, label] if left.any() else wanted_rows, -np.inf)
            best = np.flatnonzero(need == need.max())
            to = best[np.argmax(wanted_rows[best])]
            part[row] = to
            wanted[to] -= has[row]
            wanted_rows[to] -= 1
    return order[part == 0], order[part == 1]


def _by_groups(codes: Array, fraction: float, groups: Any, random: np.random.RandomState) -> tuple[Array, Array]:
    """Split whole groups: in a random order, those are held out that bring the parts nearer to the fraction.

    What counts is the share of the rows and the share of each class or label that is held out: the sum of the squares
    of how far they are from the fraction. A group that is larger than what is left to hold out waits until all others
    have been looked at; then the one is held out that brings the parts nearest, or that is all there is.
    """
    if fraction > 0.5:
        return _by_groups(codes, 1 - fraction, groups, random)[::-1]
    names, group = np.unique(groups, return_inverse=True)
    n = len(names)
    if n < 2:
        raise ValueError("groups has one group, which cannot be in both parts: give X_val, or early_stopping=False")
    columns = codes.shape[1] if codes.ndim == 2 else int(codes.max()) + 1
    counts = np.zeros((n, columns))
    if codes.ndim == 2:
        np.add.at(counts, group, codes)
    else:
        np.add.at(counts, (group, codes.astype(int)), 1)
    shares = np.column_stack([counts, np.bincount(group)])  # the last column is that of all rows
    shares /= np.maximum(shares.sum(axis=0), 1)
    order, held_out, left = random.permutation(n), np.zeros(n, bool), np.full(columns + 1, fraction)
    for i in order:
        share = shares[i]
        if share[-1] <= left[-1] + 1e-9 and share @ share < 2 * left @ share:
            held_out[i] = True
            left -= share
    free = order[~held_out[order]]
    # the number of rows comes first
    importance = np.r_[np.ones(columns), columns**2]
    far = np.square(left - shares[free]) @ importance
    if not held_out.any() or (len(free) > 1 and far.min() < np.square(left) @ importance - 1e-9):
        held_out[free[far.argmin()]] = True
    return np.flatnonzero(~held_out[group]), np.flatnonzero(held_out[group])


def class_factors(given: Any, classes: Array, codes: Array, w: Array | None) -> list[Array]:
    """Return the factors of each class; for several labels, those of 0 and of 1 for each label.

    With "balanced" the classes weigh the same in the sum: W / (classes W_c), where W is the sum of the rows' weights
    and W_c that of the rows of class c.
    """
    if codes.ndim == 1:
        return [_factors(given, classes, codes, w)]
    columns: Sequence[Any] = given if isinstance(given, list) else [given] * codes.shape[1]
    if len(columns) != codes.shape[1]:
        raise ValueError(f"class_weight has {len(columns)} entries; there are {codes.shape[1]} labels")
    return [_factors(one, np.array([0, 1]), column, w) for one, column in zip(columns, codes.T, strict=True)]


def of_rows(factors: list[Array], codes: Array) -> Array:
    """Return the factor of each row: that of its class, or the product over its labels."""
    if codes.ndim == 1:
        return factors[0][codes]
    return np.prod([factor[column] for factor, column in zip(factors, codes.T, strict=True)], axis=0)


def _factors(given: Any, classes: Array, codes: Array, w: Array | None) -> Array:
    """Return the factor of each class."""
    if isinstance(given, str):
        weight = np.bincount(codes, w, minlength=len(classes))
        present = weight > 0
        return np.divide(weight.sum(), present.sum() * weight, out=np.ones(len(classes)), where=present)
    if not isinstance(given, dict | None):
        raise ValueError("class_weight is a dict, 'balanced' or None; a list of them only for several labels")
    factors = np.asarray(compute_class_weight(given, classes=classes, y=classes), np.float64)
    if not (np.isfinite(factors).all() and (factors >= 0).all() and factors.any()):
        raise ValueError(f"class_weight has weights that are negative, not finite, or all zero: {given!r:.200}")
    return factors
