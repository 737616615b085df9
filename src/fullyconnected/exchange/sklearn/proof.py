"""The proof of what comes from scikit-learn: it predicts the same for rows made of what the source has seen."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError, MissingPackageError
from fullyconnected.exchange.sklearn.steps import Feature, Gap, Level, Number

__all__ = ["TOLERANCE", "require_equal", "require_same_predictions", "results_of"]

ROWS, MOST_ROWS = 64, 4096  # as many as the levels of a column, within these bounds
NEW = "a level that the training did not have"
SPREADS = (0.3, 1.0, 3.0, 10.0)  # how far from the means the rows lie, in scales, in turn
TOLERANCE = {"float64": 1e-6, "float32": 1e-3}  # scikit-learn itself computes float32 in float64


def require_same_predictions(
    model: Any, made: Any, features: Sequence[Feature], names: list[str] | None, n_in: int, *, by_names: bool
) -> None:
    """Raise if an estimator does not predict what the model of scikit-learn does, and say where first."""
    objects = {f.column for f in features if isinstance(f, Level) and f.levels.objects}
    X = _rows(_cells(features, n_in), names, objects, by_names=by_names)
    try:
        wanted, labels = results_of(model, X), _predicted(model, X)
    except Exception as error:
        raise ConfigError(
            f"the model of scikit-learn does not predict rows made of its own means and levels: {error!s:.300}"
        ) from error
    precise = made.network_.dtype.name if hasattr(made, "network_") else "float64"
    require_equal(results_of(made, X), wanted, TOLERANCE[precise], "what was made of it", "scikit-learn's")
    if hasattr(made, "classes_"):
        _require_labels(_predicted(made, X), labels, wanted)


def results_of(model: Any, X: Any) -> Array:
    """Return the probabilities of a classifier (rows, classes), or the predictions of a regressor (rows, outputs)."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # such as of rows without names of columns
        found = model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)
    return np.asarray(found, np.float64).reshape(len(found), -1)


def _predicted(model: Any, X: Any) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.predict(X)
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found)


def require_equal(found: Array, wanted: Array, tolerance: float, what: str, source: str) -> None:
    """Raise if results differ by more than a share of their size, or of the usual one, and say where first."""
    if found.shape != wanted.shape:
        raise ConfigError(f"{what} gives results of the shape {found.shape}, and {source} {wanted.shape}")
    size = np.abs(wanted)
    with np.errstate(all="ignore"):
        finite = size[np.isfinite(size)]
        allowed = tolerance * np.maximum(size, np.median(finite) if finite.size else 0.0)
        near = (np.abs(found - wanted) <= allowed) & np.isfinite(wanted)
        wrong = ~(near | (found == wanted) | (np.isnan(found) & np.isnan(wanted)))
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        raise ConfigError(
            f"{what} does not predict what {source} does, so that it was not taken: for row {row} of the proof, result "
            f"{column} is {float(found[row, column])!r}, and {source} {float(wanted[row, column])!r}"
        )


def _require_labels(found: Array, wanted: Array, p: Array) -> None:
    """Raise if labels differ where the probabilities leave no doubt."""
    if p.ndim == 2 and found.ndim == 1:
        two = np.sort(p, axis=1)[:, -2:]
        sure = two[:, -1] - two[:, 0] > 1e-6 if p.shape[1] > 1 else np.ones(len(p), bool)
    else:
        sure = np.abs(p - 0.5).reshape(found.shape) > 1e-6
    wrong = sure & (found != wanted)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise ConfigError(
            f"what was made of it predicts {found[row]!r:.80} for row {row} of the proof, and scikit-learn's "
            f"{wanted[row]!r:.80}"
        )


def _cells(features: Sequence[Feature], n_in: int) -> list[list[Any]]:
    """Return cells of each column: numbers around the mean, all levels, and missing ones where they are known."""
    random = np.random.default_rng(0)
    of_column: dict[int, list[Feature]] = {}
    for f in features:
        of_column.setdefault(f.column, []).append(f)
    known = {i: found for i, own in of_column.items() if (found := _known(own))}
    rows = min(max(ROWS, *map(len, known.values()), 0), MOST_ROWS)
    columns: list[list[Any]] = [[0.0] * rows for _ in range(n_in)]
    for i, own in of_column.items():
        if i in known:
            order = random.permutation(len(known[i]))
            columns[i] = [known[i][int(k)] for k in random.permutation(np.resize(order, rows))]
            continue
        first = next((f for f in own if isinstance(f, Number)), Number(i))
        drawn = random.normal(size=rows)
        columns[i] = (
            first.mean + first.scale * (0.5 + drawn if first.clipped else np.resize(SPREADS, rows) * drawn)
        ).tolist()
        fills = [f.fill for f in own if isinstance(f, Number)]
        if None not in fills and (fills or any(isinstance(f, Gap) for f in own)):
            columns[i][3::7] = [nan] * len(columns[i][3::7])
    return columns


def _known(own: Sequence[Feature]) -> list[Any]:
    """Return a cell of each level that all encoders of a column take, and a new one if they do; none for numbers."""
    levels = [*{id(f.levels): f.levels for f in own if isinstance(f, Level)}.values()]
    cells = {key: cell for each in levels for key, cell in each.cells.items()}
    strict = [each for each in levels if each.strict]
    found = [cell for key, cell in cells.items() if all(key in each.cells for each in strict)]
    if levels and not strict:
        numbers = [key for key in cells if isinstance(key, float)]
        found.append(max(numbers) + 1 if numbers else NEW)
    return found


def _rows(columns: list[list[Any]], names: list[str] | None, objects: set[int], *, by_names: bool) -> Any:
    """Return rows as a table if they are read by the names of columns, else as an array.

    Scikit-learn compares levels that are objects, such as texts, truth values or whole numbers beside None, only with
    cells that are objects.
    """
    if names is not None and by_names:
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingPackageError(
                "to prove a ColumnTransformer, which reads columns by name, takes the package pandas, which is not "
                "installed: pip install pandas"
            ) from error
        made = {
            name: pd.Series(column, dtype=object if i in objects else None)
            for i, (name, column) in enumerate(zip(names, columns, strict=True))
        }
        return pd.DataFrame(made)
    X = np.empty((len(columns[0]), len(columns)), object if objects else np.float64)
    for i, column in enumerate(columns):
        X[:, i] = column
    return X
