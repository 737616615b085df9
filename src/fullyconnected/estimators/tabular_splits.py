"""What ``cv`` and ``validation_fraction`` of an estimator for tables say of its rows."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError, DataError
from fullyconnected.tables.dataframes import is_dataframe
from fullyconnected.tabular.folds import HoldOut

__all__ = ["hold_out_of", "rows_of"]


def hold_out_of(
    cv: Any, validation_fraction: Any, X: Any, y: Array, groups: Array | None, counts: Array, *, classes: bool
) -> HoldOut:
    """Return how rows are held out, in indices of the rows that count.

    Parameters
    ----------
    cv : int, splitter of scikit-learn, iterable of (train, test) or None
        Indices that are given as such are of the rows of the table; a splitter gets the rows that count.
    validation_fraction : float or None
        The other way to say it.
    X : object
        The table, of which a splitter gets the rows that count.
    y : array (rows that count,)
        Their targets.
    groups : array (rows that count,) or None
        Their groups.
    counts : array (rows,) of bool
        Which rows of the table count.
    classes : bool
        Whether the targets are classes, of which every member must learn two.

    Raises
    ------
    ConfigError
        If both are given.
    DataError
        For pairs that do not split the rows.
    """
    if cv is not None and validation_fraction is not None:
        raise ConfigError(
            f"cv={cv!r:.60} and validation_fraction={validation_fraction!r} both say which rows are held out: give one"
        )
    if validation_fraction is not None:
        return HoldOut(fraction=float(validation_fraction))
    if cv is None or isinstance(cv, Integral):
        return HoldOut(parts=None if cv is None else int(cv))
    if hasattr(cv, "split"):
        table = rows_of(X, np.flatnonzero(counts))
        if isinstance(table, dict):  # of which scikit-learn would take the columns for rows
            table = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        pairs, rows = list(cv.split(table, y, groups)), np.arange(len(y))
    else:
        pairs, rows = list(cv), np.where(counts, np.cumsum(counts) - 1, -1)
    if not pairs:
        raise DataError(f"cv={cv!r:.80} has no split: give pairs (train, test) of indices of rows")
    return HoldOut(pairs=tuple(_pair(i, each, rows, y if classes else None) for i, each in enumerate(pairs)))


def rows_of(X: Any, rows: Array) -> Any:
    """Return some rows of a table in the form in which it was given."""
    if isinstance(X, dict):
        return {name: _safe_indexing(cells, rows) for name, cells in X.items()}
    if is_dataframe(X):
        import narwhals.stable.v2 as nw

        return nw.from_native(X, eager_only=True)[rows.tolist()].to_native()
    return _safe_indexing(X, rows)


def _pair(i: int, pair: Any, rows: Array, labels: Array | None) -> tuple[Array, Array]:
    """Return a checked pair of indices of the rows that count; ``rows`` has them, and -1 for those that do not."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"split {i} of cv is {pair!r:.60}; a pair (train, test) of indices of rows is wanted")
    parts = []
    for name, given in zip(("training", "test"), pair, strict=True):
        index = np.asarray(given)
        if index.dtype == bool and index.shape == rows.shape:
            index = np.flatnonzero(index)
        if index.ndim != 1 or (index.dtype.kind not in "iu" and index.size):
            raise DataError(
                f"the {name} rows of split {i} of cv are {given!r:.60}; a list of whole numbers is wanted, the indices "
                f"of rows"
            )
        if index.size and not (index.min() >= 0 and index.max() < len(rows)):
            wrong = index[(index < 0) | (index >= len(rows))][0]
            raise DataError(f"split {i} of cv has the row {wrong}, and the table has rows 0 to {len(rows) - 1}")
        found = rows[index.astype(np.intp)]
        if not (found >= 0).any():
            raise DataError(f"split {i} of cv has no {name} row" + " that has a weight" * (index.size > 0))
        parts.append(found[found >= 0])
    train, test = parts
    if len(both := np.intersect1d(train, test)):
        row = np.flatnonzero(np.isin(rows, both))[0]
        raise DataError(f"split {i} of cv has the row {row} in both parts, and what is learned is not held out")
    if labels is not None and len(classes := np.unique(labels[train])) < 2:
        raise DataError(
            f"the training rows of split {i} of cv have one class alone, {classes.tolist()[0]!r:.60}: shuffle the rows "
            f"(StratifiedKFold(shuffle=True)), or make the part larger"
        )
    return train, test
