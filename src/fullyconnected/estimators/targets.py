"""The targets of a table: what comes as y as an array, and what of it cannot be learned."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from fullyconnected.core.arrays import Array
from fullyconnected.errors import DataError, InputTypeError, ShapeError
from fullyconnected.tables.column import NUMBERS, meaning

__all__ = ["classes_of", "groups_of", "numbers_of", "plain_targets"]


def plain_targets(y: Any, counts: Array) -> Array:
    """Return the targets of the rows that count as an array, without missing values and infinite numbers, or raise.

    It is (rows,), or (rows, outputs) for several. Objects that are all numbers become numbers; texts stay objects.
    ``counts`` says of each row of the table whether it counts.
    """
    if isinstance(y, np.ma.MaskedArray):
        y, gone = y.data.astype(object), np.ma.getmaskarray(y)
        y[gone] = None
    try:
        array = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    except ValueError:
        raise ShapeError("the rows of y differ in length; one target is wanted for each, or as many for all") from None
    if array.dtype.kind == "c":
        raise ShapeError(f"Complex data not supported: y has the dtype {array.dtype}; numbers or labels are wanted")
    if array.dtype.kind in "SV":
        raise InputTypeError(f"y has the dtype {array.dtype}, which are bytes; decode them: y.astype(str)")
    if array.ndim not in (1, 2) or (array.ndim == 2 and not array.shape[1]):
        raise ShapeError(
            f"y should be a 1d array, got an array of shape {array.shape} instead; or (rows, outputs) for several"
        )
    if len(array) != len(counts):
        raise ShapeError(f"X has {len(counts)} rows, and y has {len(array)}; a target for each row is wanted")
    if array.ndim == 2 and array.shape[1] == 1:
        array = column_or_1d(array, warn=True)
    array, places = array[counts], np.flatnonzero(counts)
    objects = array.dtype.kind in "OT"
    means = [meaning(value) for value in array.ravel().tolist()] if objects else []
    gone = np.reshape([each == "nothing" for each in means], array.shape) if objects else np.asarray(array != array)
    if gone.any():
        many, first = _rows(gone, places)
        raise DataError(
            f"Input y contains NaN: {many} no target, the first is row {first}. Leave such rows out of X and y "
            f"(keep = pandas.notna(y)), or fill in what is known"
        )
    if objects:
        array = _of_objects(array, set(means))
    if array.dtype.kind == "f" and (far := np.isinf(array)).any():
        row = _rows(far, places)[1]
        raise DataError(
            f"Input y contains infinity or a value too large for dtype('float64'), in row {row}: leave the row out, or "
            f"correct it"
        )
    return array


def numbers_of(y: Array, name: str) -> Array:
    """Return targets that are numbers as float64 (rows, outputs), or raise."""
    if y.dtype.kind not in "biuf":
        raise InputTypeError(
            f"y has the dtype {y.dtype}, such as {y.flat[0]!r:.60}; numbers are wanted: y.astype(float). For labels, "
            f"use {name.replace('Regressor', 'Classifier')}"
        )
    t = y.astype(np.float64)
    return t if t.ndim == 2 else t[:, None]


def classes_of(y: Array) -> tuple[Array, Array]:
    """Return the classes, and their numbers (rows,); for several labels 0, 1, ... and the indicators (rows, labels).

    Raises
    ------
    ValueError
        For numbers that are no labels, several outputs with more than two values, or a single class.
    """
    kind = type_of_target(y, input_name="y")
    check_classification_targets(y)
    if kind == "multiclass-multioutput":
        raise DataError(
            f"y has {y.shape[1]} columns that are not all 0 and 1; fit a classifier for each column, or give "
            f"indicators of several labels"
        )
    if kind == "multilabel-indicator":
        return np.arange(y.shape[1]), y.astype(np.int64)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"y has 1 class only, {classes.tolist()[0]!r:.60}, in the rows that have a weight; a classifier needs two "
            f"or more to tell apart"
        )
    return classes, codes


def groups_of(given: Any, counts: Array) -> Array | None:
    """Return the groups of the rows that count (rows,), or None; raise for another shape, or a row without a group."""
    if given is None:
        return None
    groups = np.asarray(given)
    if groups.shape != counts.shape:
        raise ShapeError(f"groups has shape {groups.shape}; expected ({len(counts)},), a group for each row")
    groups = groups[counts]
    gone = np.array([meaning(each) == "nothing" for each in groups.tolist()])
    if gone.any():
        many, first = _rows(gone, np.flatnonzero(counts))
        raise DataError(
            f"{many} no group, the first is row {first}: give each a group, one of its own if it belongs to none"
        )
    return groups if groups.dtype.kind in "biufU" else np.array([str(each) for each in groups.tolist()])


def _of_objects(array: Array, found: set[str]) -> Array:
    """Return objects as numbers, or as texts; ``found`` is what they mean."""
    values = array.ravel().tolist()
    if found <= NUMBERS:
        plain = np.array([float(value) if isinstance(value, Decimal) else value for value in values])
        if plain.dtype == object:
            raise DataError("y has whole numbers too large for 64 bits: scale them down, or give them as text")
        return plain.reshape(array.shape)
    if found != {"text"}:
        kinds = sorted({type(value).__name__ for value in values})
        raise InputTypeError(
            f"y holds {' and '.join(kinds[:4])}; labels are all texts or all numbers: convert them, as with "
            f"[str(label) for label in y]"
        )
    return array.astype(object)


def _rows(found: Array, places: Array) -> tuple[str, int]:
    """Return how many rows have what was found, in words, and the place of the first of them in the table."""
    rows = np.asarray(found.reshape(len(found), -1).any(axis=1))
    n = np.count_nonzero(rows)
    return f"{n:,} of {len(rows):,} rows have" if n > 1 else "one row has", int(places[np.argmax(rows)])
