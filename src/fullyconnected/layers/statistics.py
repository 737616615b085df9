"""Statistics of the columns of training rows, from which layers take constants: means, deviations and quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import as_array, as_rows, as_weights, require_finite, rows_of
from fullyconnected.core.mapped import is_mapped, room_for

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike

__all__ = ["F64", "constants_of", "each_column", "quantiles"]

BLOCK = 1 << 20  # entries of data that are converted at a time
KEPT = 1 << 23  # entries of columns that are kept at a time where not all columns can be
NOISE = 4 * np.finfo(np.float64).eps  # a column that varies by no more, relative to its entries, is constant
F64: np.dtype[Any] = np.dtype(np.float64)


def constants_of(
    x: Any, sample_weight: ArrayLike | None, *, robust: bool = False, missing: bool = False
) -> tuple[Array, Array]:
    """Return the mean and the scale of each column of data."""
    return (_middle_and_spread if robust else _mean_and_deviation)(x, sample_weight, missing=missing)


def each_column(
    x: Any, sample_weight: ArrayLike | None, what: str = "x", *, missing: bool = False
) -> Iterator[tuple[Array, Array]]:
    """Yield the values of each column in rows of positive weight, in float64, and their weights.

    ``x`` is an array, a sparse matrix, or rows that are computed; ``what`` is its name in a message. With ``missing``,
    values that are NaN are left out.
    """
    n, w = _columns_and_weights(x, sample_weight, missing=missing)
    counts = np.flatnonzero(w) if (w == 0).any() else slice(None)
    for j, values in enumerate(_columns(x, n, missing)):
        require_finite(values, what, F64, place_of=lambda row, j=j: (row, j), missing=missing)  # type: ignore[misc]
        values, share = values[counts].astype(F64, copy=False), w[counts]
        there = ~np.isnan(values) if missing else slice(None)
        yield values[there], share[there]


def quantiles(values: Array, w: Array, q: Sequence[float] | Array) -> Array:
    """Return quantiles, interpolated; of values of unequal weights, those at which the weights up to there reach q."""
    if (w == w[0]).all():
        return np.quantile(values, q)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(w[order])
    share = np.asarray(q)
    # sums of weights that reach q exactly may be rounded to less, so that weights of another unit gave another value
    share = np.where(share < 1, share * (1 - len(w) * np.finfo(np.float64).eps), share)
    return np.asarray(values[order][np.searchsorted(reached, share * reached[-1])])


def _columns_and_weights(x: Any, sample_weight: ArrayLike | None, *, missing: bool) -> tuple[int, Array]:
    """Return the number of columns of data, and the weight of each row; without any, they share the memory of one."""
    shape = x.shape if hasattr(x, "tocsr") or hasattr(x, "held") else as_array(x, "x", missing=missing).shape
    n = math.prod(shape[1:])
    rows = rows_of(shape, n)
    if sample_weight is None:
        return n, np.broadcast_to(1.0, rows)
    if isinstance(sample_weight, np.ndarray) and sample_weight.strides == (0,) and len(sample_weight) == rows:
        return n, np.broadcast_to(as_weights(sample_weight[:1], 1), rows)
    return n, as_weights(sample_weight, rows)


def _mean_and_deviation(x: Any, sample_weight: ArrayLike | None, *, missing: bool) -> tuple[Array, Array]:
    """Return the mean and the standard deviation of each column; with ``missing``, of the entries that are not NaN.

    Rows are gone through once. The moments of a block are taken in two passes, and added to those of the blocks before:
    Chan, Golub and LeVeque 1983, equation 2.1. Means are counted from that of the first block, so that a large offset
    takes no digits from what is added up.
    """
    n, w = _columns_and_weights(x, sample_weight, missing=missing)
    whole = w.sum()
    total, largest, unit = np.zeros(n), np.zeros(n), np.ones(n)
    centre, mean, variance = np.zeros(n), np.zeros(n), np.zeros(n)  # in units of ``unit``, and of its square
    for share, rows in _blocks(x, w, n, missing):
        share /= whole
        # a power of two, by which nothing is rounded, keeps the squares of any entries within float64
        before = unit
        np.maximum(largest, np.abs(rows).max(axis=0), out=largest)
        unit = np.ldexp(1.0, np.clip(np.frexp(largest)[1], -1000, 1000))
        for each in (centre, mean, variance, variance):
            each *= before / unit
        weight = share.sum(axis=0) + np.zeros(n)
        known = np.where(weight == 0, 1, weight)  # all of the column is missing
        middle = (share * rows).sum(axis=0) / known / unit
        rows /= unit
        rows -= middle
        rest = (share * rows).sum(axis=0) / known  # what rounding left of the mean
        np.square(rows, out=rows)
        squares = (share * rows).sum(axis=0) / known
        centre = np.where(total == 0, middle, centre)
        shift = middle - centre + rest - mean
        so_far, total = total, total + weight
        new = weight / np.where(total == 0, 1, total)
        variance *= 1 - new
        variance += new * np.maximum(squares - np.square(rest), 0)
        variance += np.square(shift) * new * (so_far / np.where(total == 0, 1, total))
        mean += shift * new
    scale = unit * np.sqrt(variance)
    scale[scale <= NOISE * largest] = 1
    return unit * (centre + mean), scale


def _middle_and_spread(x: Any, sample_weight: ArrayLike | None, *, missing: bool) -> tuple[Array, Array]:
    """Return the median and the distance of the quartiles of each column; half the range where that is 0."""
    middle, spread = [], []
    for values, w in each_column(x, sample_weight, missing=missing):
        if not len(values):  # all of the column is missing
            values, w = np.zeros(1), np.ones(1)
        low, median, high = quantiles(values, w, (0.25, 0.5, 0.75))
        middle.append(median)
        spread.append((high - low) or 0.5 * values.max() - 0.5 * values.min() or 1.0)
    return np.array(middle), np.array(spread)


def _columns(x: Any, n: int, missing: bool) -> Iterator[Array]:
    """Yield each column of data (rows,).

    What is not in memory is written to where its columns lie one after the other, so that it is read once; where there
    is no room for that, it is read again for every few columns.
    """
    if hasattr(x, "tocsc"):
        columns = x.tocsc()
        yield from (columns[:, [j]].toarray()[:, 0] for j in range(n))
        return
    if not hasattr(x, "held"):
        x = as_array(x, "x", missing=missing)
        if not is_mapped(x) or (x.ndim == 2 and x.flags.f_contiguous):
            yield from as_rows(x, n, missing=missing).T
            return
    rows = x.shape[0]
    kept = room_for((n, rows), F64)
    some = n if kept is not None else max(1, KEPT // rows)
    for first in range(0, n, some):
        columns = np.empty((min(some, n - first), rows)) if kept is None else kept
        for start, block in _slices(x, n, missing):
            columns[:, start : start + len(block)] = block[:, first : first + some].T
        yield from columns


def _blocks(x: Any, w: Array, n: int, missing: bool) -> Iterator[tuple[Array, Array]]:
    """Yield rows of positive weight in float64 blocks (rows, n), with a weight for each entry, or for each row.

    Entries that are NaN, if they may be missing, become 0 and weigh 0. The caller may write to both.
    """
    for start, rows in _slices(x, n, missing):
        require_finite(rows, "x", F64, start, missing=missing)
        counts = np.flatnonzero(w[start : start + len(rows)])
        if len(counts):
            share, rows = w[start + counts, None], rows[counts].astype(F64, "C", copy=False)
            if missing:
                gone = np.isnan(rows)
                share, rows = np.where(gone, 0.0, share), np.where(gone, 0.0, rows)
            yield share, rows


def _slices(x: Any, n: int, missing: bool) -> Iterator[tuple[int, Array]]:
    """Yield rows in blocks (rows, n) of the same size for the same rows, each with the number of its first row."""
    size = max(1, BLOCK // max(1, n))
    if hasattr(x, "held"):
        yield from _regrouped(x, n, min(size, x.shape[0]))
        return
    x = x.tocsr() if hasattr(x, "tocsr") else as_array(x, "x", missing=missing)
    for start in range(0, x.shape[0], size):
        block = x[start : start + size]
        yield start, as_rows(block.toarray() if hasattr(block, "toarray") else block, n)


def _regrouped(x: Any, n: int, size: int) -> Iterator[tuple[int, Array]]:
    """Yield rows that come in blocks of any size in float64 blocks of one size, each of which overwrites the last."""
    kept, first, there = np.empty((size, n)), 0, 0
    for _, block in x.blocks():
        block = as_rows(block, n)
        while len(block):
            part, block = block[: size - there], block[size - there :]
            kept[there : there + len(part)] = part
            there += len(part)
            if there == size:
                yield first, kept
                first, there = first + size, 0
    if there:
        yield first, kept[:there]
