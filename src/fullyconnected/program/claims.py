"""What a source of rows says of itself, checked before it is used: a class of the caller's may say anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from numbers import Integral
from typing import Any

import numpy as np

from fullyconnected.errors import DataError, InputTypeError, ShapeError

__all__ = ["beside", "dtype_of", "names_of", "place_of", "shape_of", "shards_of"]


def shape_of(source: Any, what: str = "") -> tuple[int, int]:
    """Return the shape that a source says it has, (rows, n_in), or raise; ``what`` is its name in the message."""
    shape: Any = getattr(source, "shape", None)
    if type(shape) is tuple and len(shape) == 2 and type(shape[0]) is type(shape[1]) is int and min(shape) >= 0:
        return shape
    wanted = "(rows, features) is wanted, two whole numbers of 0 or more"
    if shape is None:
        raise InputTypeError(f"{_called(source, what)}, has no shape: {wanted}")
    sizes = _listed(shape)
    if sizes is None or not all(map(_is_whole, sizes)):
        raise InputTypeError(f"{_called(source, what)}, has shape {shape!a:.80}; {wanted}")
    if len(sizes) != 2 or min(sizes) < 0:
        raise ShapeError(f"{_called(source, what)}, has shape {shape!a:.80}; {wanted}")
    return int(sizes[0]), int(sizes[1])


def dtype_of(source: Any, what: str) -> np.dtype[Any]:
    """Return the dtype that a source says its numbers have, or raise."""
    given: Any = getattr(source, "dtype", None)
    wanted = "one of numbers is wanted, such as numpy.dtype(numpy.float32)"
    if given is None:
        raise InputTypeError(f"{_called(source, what)}, has no dtype: {wanted}")
    try:
        dtype = np.dtype(given)
    except (TypeError, ValueError):
        raise InputTypeError(f"the dtype of {_called(source, what)}, is {given!a:.80}; {wanted}") from None
    if dtype.kind not in "biuf":
        raise InputTypeError(
            f"the dtype of {_called(source, what)}, is {dtype}; {wanted}. (Text and dates are read from an "
            f"fc.ArrowTable or fc.Parquet)"
        )
    return dtype


def shards_of(source: Any, what: str) -> tuple[int, ...] | None:
    """Return how many rows of a source lie together, or None; or raise if it does not say so."""
    given: Any = source.shards
    if given is None:
        return None
    shards = _listed(given)
    whole = shards is not None and all(map(_is_whole, shards))
    if shards is None or not whole or min(shards, default=0) < 0:
        raise (DataError if whole else InputTypeError)(
            f"the shards of {_called(source, what)}, are {given if shards is None else shards!a:.80}; whole numbers of "
            f"rows are wanted, one of 0 or more for each shard, such as (100, 100)"
        )
    if isinstance(given, Iterator):  # which is not there a second time
        with suppress(AttributeError):  # of a property, which makes another one
            source.shards = shards
    if sum(shards) != shape_of(source, what)[0]:
        raise DataError(
            f"the shards of {_called(source, what)}, have {sum(shards)} rows together, and its shape says "
            f"{shape_of(source, what)[0]}"
        )
    return tuple(map(int, shards))


def names_of(source: Any, what: str) -> tuple[str, ...] | None:
    """Return the names of the columns of a source, or None; or raise if they do not name each by another text."""
    given: Any = source.columns
    if given is None:
        return None
    names, n = None if isinstance(given, Iterator | Set) else _listed(given), shape_of(source, what)[1]
    if names is None:
        raise InputTypeError(
            f"the columns of {_called(source, what)}, are {given!a:.80}; a sequence of names is wanted, one for each "
            f"of its {n} columns"
        )
    from fullyconnected.tables.frame import different  # here, as elsewhere, what the import can do without

    for name in names:
        if not isinstance(name, str):
            raise InputTypeError(
                f"the columns of {_called(source, what)}, have texts as names; got {name!a:.80} of type "
                f"{type(name).__name__}"
            )
        if not name:
            raise DataError(f"the columns of {_called(source, what)}, have texts as names; one is empty")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"the name {name!a:.80} of a column of {_called(source, what)}, is not text that UTF-8 can hold"
            ) from None
    names = tuple(map(str, names))
    if len(names) != n:
        raise ShapeError(
            f"the columns of {_called(source, what)}, have {len(names)} names, and its shape says that there are {n}"
        )
    different(names)
    return names


def beside(source: Any, what: str) -> tuple[Any, Any]:
    """Return the targets and the weights that a source has beside its rows, each None without; or raise."""
    for name in ("targets", "weights"):
        if not callable(its := getattr(source, name)):
            raise InputTypeError(
                f"{name} of {_called(source, what)}, is a {type(its).__name__}; a method is wanted, which returns "
                f"them: def {name}(self)"
            )
    return source.targets(), source.weights()


def place_of(source: Any, row: int, column: int | None = None) -> str:
    """Return where a number comes from as a source says it; empty if it fails, so that a message is about the number.

    >>> from types import SimpleNamespace
    >>> place_of(SimpleNamespace(where=lambda row: f"line {row + 1}"), 1), place_of(SimpleNamespace(), 1)
    ('line 2', '')
    """
    try:
        place: object = source.where(row) if column is None else source.where(row, column)
    except Exception:  # whatever a method of the caller's raises
        return ""
    return place if isinstance(place, str) else ""


def _called(source: Any, what: str) -> str:
    """Return how a message names a source: what it is to the caller, and its class."""
    return f"{what}, a {type(source).__name__}" if what else f"a {type(source).__name__}"


def _listed(given: Any) -> tuple[Any, ...] | None:
    """Return the entries of a sequence or of what is iterated over once; None for a text and what has no entries."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return None
    try:
        return tuple(given)
    except TypeError:  # an array without dimensions
        return None


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
