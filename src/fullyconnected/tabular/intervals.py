"""Between which numbers a target lies with a given probability, by the errors of predictions for held-out rows."""

from __future__ import annotations

from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError

__all__ = ["Intervals"]

PARTS = 8  # of the predictions, from the least to the largest, each of which has errors of its own size
ROWS = 25  # that a part has at least
PRIOR = 5.0  # rows with errors of the size of all that count in each part
FLOOR = 0.2  # what is added to the size of the errors of a part, as a share of that of all
LEAST = 0.5  # of the squares of errors that remains without their excess
ROUNDING = 1e-12
GRID = np.concatenate([np.arange(1, 151) / 200, 0.75 + np.arange(1, 201) / 800])  # levels that are kept of many


class Errors(NamedTuple):
    """The sizes of errors of one output: on the whole, and beside predictions of a size.

    ``size`` is the mean error beside each of the predictions ``at``; between them, it is on the line. Of the quotients
    of errors and size, a share ``levels`` of all, by weight, is at most ``quotients``.
    """

    at: Array
    size: Array
    levels: Array
    quotients: Array

    @classmethod
    def of(cls, p: Array, t: Array, w: Array, parts: int, excess: float = 0.0) -> Errors:
        """Return the sizes of errors by those of predictions (rows,), whose squares have an excess: its root."""
        e, w = np.abs(t - p), w / w.mean()
        mean = float(np.average(e, weights=w))
        order = np.argsort(p, kind="stable")
        share = (np.cumsum(w[order]) - w[order] / 2) / w.sum()
        part = np.empty(len(p), np.intp)
        part[order] = np.minimum((share * parts).astype(np.intp), parts - 1)
        weight = np.bincount(part, w, parts)
        here = np.flatnonzero(weight)
        at = np.bincount(part, w * p, parts)[here] / weight[here]
        size = (np.bincount(part, w * e, parts)[here] + PRIOR * mean) / (weight[here] + PRIOR) + FLOOR * mean
        at, first = np.unique(at, return_index=True)
        size = size[first] if mean > 0 else np.ones(len(at))
        quotients = e / np.interp(p, at, size)
        order = np.argsort(quotients, kind="stable")
        levels, quotients = np.cumsum(w[order]) / w.sum(), quotients[order]
        levels[-1] = 1.0
        if len(levels) > len(GRID):
            kept = np.unique(np.minimum(np.searchsorted(levels, GRID), len(levels) - 1))
            levels, quotients = levels[kept], quotients[kept]
        unit = mean or 1.0  # squares of large numbers would be infinite
        square = float(np.average(np.square(e / unit), weights=w))
        factor = max(1 - (excess / unit) ** 2 / square, LEAST) ** 0.5 if square > 0 else 1.0
        return cls(at, size, levels, quotients * factor)

    def below(self, p: Array, level: float) -> Array:
        """Return how far targets are from predictions (rows,) at most, in a share ``level`` of the rows."""
        return self.quotients[np.searchsorted(self.levels, min(level, 1.0))] * np.interp(p, self.at, self.size)


class Intervals(NamedTuple):
    r"""What errors of held-out rows say of the errors of predictions for new rows.

    The interval of a prediction p is ``p +- q s(p)``. s(p) is the mean size of errors of predictions like p: it is
    taken from up to eight parts of the predictions, from the least to the largest. q is the quantile of ``|e| / s`` at
    ``coverage (1 + 1 / n)`` over the n held-out rows, by their weights: were new rows and their errors like those that
    were held out, the target would be in the interval with at least this probability. Rows of a group are held out
    together, and n counts groups; with weights, it is the number of equal ones that would be as sure.

    Attributes
    ----------
    errors : tuple of Errors
        One for each output.
    rows : float
        That number n.

    Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for regression",
    Journal of the American Statistical Association 113, 2018, section 5.2; with errors out of fold, as in Barber,
    Candes, Ramdas and Tibshirani, "Predictive inference with the jackknife+", Annals of Statistics 49, 2021. There the
    members' predictions are the centres; here it is that of the ensemble.
    """

    errors: tuple[Errors, ...]
    rows: float

    @classmethod
    def of(
        cls, predicted: Array, t: Array, w: Array, groups: Array | None = None, excess: Array | None = None
    ) -> Intervals:
        """Return the intervals of predictions like these (rows, outputs), which are of rows held out.

        ``excess`` (outputs,) is the root of what their mean squared errors have more than those of predictions for new
        rows, which more members give.

        >>> import numpy as np
        >>> t = np.arange(1.0, 100.0)[:, None]
        >>> Intervals.of(np.zeros((99, 1)), t, np.ones(99)).around(np.array([[7.0]]), 0.9).round(6).tolist()
        [[[-83.0, 97.0]]]
        """
        _, group = np.unique(np.arange(len(t)) if groups is None else groups, return_inverse=True)
        of_group = np.bincount(group, w)
        rows = float(of_group.sum() ** 2 / (of_group**2).sum())
        parts = int(np.clip(rows // ROWS, 1, PARTS))
        above = np.zeros(t.shape[1]) if excess is None else excess
        outputs = zip(predicted.T, t.T, above.tolist(), strict=True)
        return cls(tuple(Errors.of(p, y, w, parts, more) for p, y, more in outputs), rows)

    def around(self, predicted: Array, coverage: float) -> Array:
        """Return the interval of each prediction (rows, outputs), as (rows, outputs, 2)."""
        level = _share(coverage) * (1 + 1 / self.rows) - ROUNDING
        if level > 1:
            most = self.rows / (self.rows + 1)
            raise ConfigError(
                f"coverage={coverage:g} takes more held-out rows than there were: the errors of {self.rows:,.0f} (rows "
                f"of equal weight, or groups) tell intervals of a coverage of at most {most:.4g}"
            )
        half = [each.below(p, level) for each, p in zip(self.errors, predicted.T, strict=True)]
        return predicted[:, :, None] + np.stack(half, axis=1)[:, :, None] * [-1.0, 1.0]


def _share(coverage: Any) -> float:
    """Return a coverage, which is a number between 0 and 1, or raise."""
    try:
        share = float(coverage)
    except (TypeError, ValueError):
        share = np.nan
    if isinstance(coverage, bool | str) or not isfinite(share) or not 0 < share < 1:
        raise ConfigError(f"coverage is the share of targets that intervals contain, between 0 and 1; got {coverage!r}")
    return share
