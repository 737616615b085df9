"""Rows that are not in memory, as X: checked as scikit-learn checks a table, and never copied as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _check_y

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.core.checks import refuse_path
from fullyconnected.core.mapped import is_mapped
from fullyconnected.errors import ShapeError
from fullyconnected.estimators.compat import check_n_features, validate_data
from fullyconnected.estimators.warning import warn
from fullyconnected.program.claims import shape_of
from fullyconnected.program.data import with_targets
from fullyconnected.program.sources import Chosen, Read, Source, array_source

__all__ = ["apart", "are_read", "checked", "checked_with_y", "some", "with_own"]

SHOWN = 5  # names in a message
FLOATS = (np.float64, np.float32)
NAMES = ("X", "y", "sample_weight")


def apart(X: Any, y: Any, sample_weight: Any, names: tuple[str, str, str] = NAMES) -> tuple[Any, Any, Any]:
    """Return all three; of a source, its rows alone, with the targets and weights that it has beside them."""
    own = with_own(X, y, sample_weight, names)
    return _read(X, names[0]) if isinstance(X, Source) else X, *own


def with_own(X: Any, y: Any, sample_weight: Any, names: tuple[str, str, str] = NAMES) -> tuple[Any, Any]:
    """Return y and the weights as given, or else those that a source has beside its rows; or raise."""
    if isinstance(X, Source):
        return with_targets(X, y, sample_weight, names)
    for name, given in zip(names, (X, y, sample_weight), strict=True):
        refuse_path(given, name)
    return y, sample_weight


def checked_with_y(estimator: Any, X: Any, y: Any, *, reset: bool, **how: Any) -> tuple[Any, Array]:
    """Return X and y checked as scikit-learn checks them."""
    if isinstance(X, Source):
        X, y = checked(estimator, X, reset=reset), _check_y(y, multi_output=True, estimator=estimator, **how)
        check_consistent_length(X, y)
        return X, y
    how = {"accept_sparse": ["csr", "csc"], "multi_output": True, "dtype": _dtypes(X), **how}
    X, y = validate_data(estimator, X, y, reset=reset, **how)
    return X, y


def checked(estimator: Any, X: Any, *, reset: bool = False) -> Any:
    """Return X checked as scikit-learn checks it; of a source, what it says of itself, since its rows are not there."""
    refuse_path(X, "X")
    if not isinstance(X, Source):
        return validate_data(estimator, X, accept_sparse=["csr", "csc"], dtype=_dtypes(X), reset=reset)
    if min(shape_of(X, "X")) < 1:
        name = X.name if isinstance(X, Read) else type(X).__name__
        raise ShapeError(f"X, a {name}, has shape {X.shape}; (rows, features) is wanted, with one or more of each")
    _check_names(estimator, X.columns, reset=reset)
    check_n_features(estimator, X, reset=reset)
    return _read(X, "X")


def _read(X: Source, what: str) -> Source:
    """Return the rows of a source, without what it has beside them; what it gives is checked."""
    return X if isinstance(X, Read | Chosen) else Read(X, what)


def are_read(X: Any) -> bool:
    """Whether rows are read when they are needed: those of a source, and of an array that is mapped from a file."""
    return isinstance(X, Source) or is_mapped(X)


def some(X: Any, rows: Rows) -> Any:
    """Return some rows: a copy, or where they are read a source of them, whose numbers then ascend."""
    if not are_read(X):
        return X[rows]
    return Chosen(X if isinstance(X, Source) else array_source(X, X.shape[1]), rows)


def _dtypes(X: Any) -> Any:
    """Return the dtypes that scikit-learn may leave as they are; an array in a file is never converted as a whole."""
    return None if is_mapped(X) and X.dtype.kind in "biuf" else FLOATS


def _check_names(estimator: Any, names: Sequence[str] | None, *, reset: bool) -> None:
    """Set or check ``feature_names_in_``, as scikit-learn does it for the kinds of tables that it knows."""
    found = None if names is None else np.asarray(list(names), dtype=object)
    known, name = getattr(estimator, "feature_names_in_", None), type(estimator).__name__
    if reset:
        if found is not None:
            estimator.feature_names_in_ = found
        elif known is not None:
            del estimator.feature_names_in_
    elif known is None and found is not None:
        warn(f"X has feature names, but {name} was fitted without feature names")
    elif known is not None and found is None:
        warn(f"X does not have valid feature names, but {name} was fitted with feature names")
    elif known is not None and found is not None and not np.array_equal(known, found):
        unseen, missing = sorted({*found} - {*known}), sorted({*known} - {*found})
        message = "The feature names should match those that were passed during fit.\n"
        message += _listed("Feature names unseen at fit time:\n", unseen)
        message += _listed("Feature names seen at fit time, yet now missing:\n", missing)
        if not unseen and not missing:
            message += "Feature names must be in the same order as they were in fit.\n"
        raise ValueError(message)


def _listed(title: str, names: list[str]) -> str:
    lines = [f"- {name}\n" for name in names[:SHOWN]] + ["- ...\n"] * (len(names) > SHOWN)
    return title + "".join(lines) if names else ""
