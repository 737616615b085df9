"""Statistics of the columns of training rows, from which layers take constants: means, deviations and quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import as_array, as_rows, as_weights, require_finite, rows_of

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike

__all__ = ["F64", "constants_of", "each_column", "quantiles"]

BLOCK = 1 << 20  # entries of data that are converted at a time
KEPT = 1 << 23  # entries of columns that are kept at a time for their quantiles
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

    ``x`` is an array, a sparse matrix, or rows that are computed, which are gone through again for every few columns;
    ``what`` is its name in a message. With ``missing``, values that are NaN are left out.
    """
    n, w = _columns_and_weights(x, sample_weight, missing=missing)
    counts = np.flatnonzero(w)
    for j, column in enumerate(_columns(x, n, missing)):
        values = np.asarray(column.toarray() if hasattr(column, "toarray") else column)[:, 0]
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
    """Return the number of columns of data, and the weight of each row, 1 if none are given."""
    shape = x.shape if hasattr(x, "tocsr") or hasattr(x, "held") else as_array(x, "x", missing=missing).shape
    n = math.prod(shape[1:])
    return n, np.ones(rows_of(shape, n)) if sample_weight is None else as_weights(sample_weight, shape[0])


def _mean_and_deviation(x: Any, sample_weight: ArrayLike | None, *, missing: bool) -> tuple[Array, Array]:
    """Return the mean and the standard deviation of each column; with ``missing``, of the entries that are not NaN."""
    n, w = _columns_and_weights(x, sample_weight, missing=missing)
    w /= w.sum()
    weight, mean, largest = np.zeros(n), np.zeros(n), np.zeros(n)
    for share, rows in _blocks(x, w, n, missing):
        weight += share.sum(axis=0)
        mean += (share * rows).sum(axis=0)
        np.maximum(largest, np.abs(rows).max(axis=0), out=largest)
    weight[weight == 0] = 1  # all of the column is missing
    mean /= weight
    # a power of two, by which nothing is rounded, keeps the squares of any entries within float64
    unit = np.ldexp(1.0, np.clip(np.frexp(largest)[1], -1000, 1000))
    rest, squares = np.zeros(n), np.zeros(n)
    for share, rows in _blocks(x, w, n, missing):
        rows = rows / unit
        rows -= mean / unit
        rest += (share * rows).sum(axis=0)
        squares += (share * np.square(rows)).sum(axis=0)
    rest /= weight
    squares /= weight
    scale = unit * np.sqrt(np.maximum(squares - np.square(rest), 0))  # rest is what rounding left of the mean
    scale[scale <= NOISE * largest] = 1
    return mean + unit * rest, scale


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


def _columns(x: Any, n: int, missing: bool) -> Iterator[Any]:
    """Yield each column of data (rows, 1)."""
    if hasattr(x, "held"):
        some = max(1, KEPT // x.shape[0])
        for first in range(0, n, some):
            kept = np.concatenate([np.array(block[:, first : first + some], F64) for _, block in x.blocks()])
            yield from (kept[:, [j]] for j in range(kept.shape[1]))
    else:
        columns = x.tocsc() if hasattr(x, "tocsc") else as_rows(x, n, missing=missing)
        yield from (columns[:, [j]] for j in range(n))


def _blocks(x: Any, w: Array, n: int, missing: bool) -> Iterator[tuple[Array, Array]]:
    """Yield rows of positive weight in float64 blocks (rows, n), with a weight for each entry, or for each row.

    Entries that are NaN, if they may be missing, become 0 and weigh 0.
    """
    for start, block in x.blocks() if hasattr(x, "held") else _slices(x, max(1, BLOCK // max(1, n)), missing):
        rows = as_rows(block, n)
        require_finite(rows, "x", F64, start, missing=missing)
        counts = np.flatnonzero(w[start : start + len(rows)])
        if len(counts):
            share, rows = w[start + counts, None], rows[counts].astype(F64, copy=False)
            if missing:
                gone = np.isnan(rows)
                share, rows = np.where(gone, 0.0, share), np.where(gone, 0.0, rows)
            yield share, rows


def _slices(x: Any, size: int, missing: bool) -> Iterator[tuple[int, Array]]:
    """Yield the rows of an array or of a sparse matrix in blocks, each with the number of its first row."""
    x = x.tocsr() if hasattr(x, "tocsr") else as_array(x, "x", missing=missing)
    for start in range(0, x.shape[0], size):
        block = x[start : start + size]
        yield start, block.toarray() if hasattr(block, "toarray") else block
