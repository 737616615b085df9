"""How predictions come out beside the truth: a confusion matrix of classes, or what is left of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = ["Confusion", "Residuals", "confusion_of", "residuals_of"]

SHOWN = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Confusion:
    """How often each class was predicted as which.

    Attributes
    ----------
    classes : tuple of str
        The classes, as they are written.
    counts : array (classes, classes)
        Rows of a class (first index) that were predicted as another (second index).
    """

    classes: tuple[str, ...]
    counts: Array

    @property
    def recalls(self) -> Array:
        """The share of the rows of each class that were predicted as it; NaN for a class without rows."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.diag(self.counts) / self.counts.sum(axis=1))

    @property
    def precisions(self) -> Array:
        """The share of the predictions of each class that are right; NaN for a class that was never predicted."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.diag(self.counts) / self.counts.sum(axis=0))

    def mistakes(self, most: int = 3) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes: a class, what it was taken for, and how often."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        places = [np.unravel_index(i, wrong.shape) for i in order]
        return [(self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in places if wrong[i, j]]


@dataclass(frozen=True)
class Residuals:
    """What is left of numbers when predictions are taken off: the truth minus the prediction.

    Attributes
    ----------
    quantiles : tuple of (share, value)
        Quantiles of the residuals, from the least to the largest.
    mean : float
        Their mean: how much predictions are too low on average.
    absolute : float
        The mean of their sizes.
    """

    quantiles: tuple[tuple[float, float], ...]
    mean: float
    absolute: float


def confusion_of(codes: Array, p: Array, classes: Array) -> Confusion:
    """Return the confusion matrix of class numbers (rows,) and probabilities (rows, classes)."""
    n = len(classes)
    counts = np.zeros((n, n), np.int64)
    np.add.at(counts, (codes, p.argmax(axis=1)), 1)
    return Confusion(tuple(str(each) for each in classes.tolist()), counts)


def residuals_of(t: Array, predicted: Array) -> Residuals:
    """Return what is left of numbers (rows,) when predictions (rows,) are taken off."""
    left = np.asarray(t, np.float64) - predicted
    quantiles = tuple((share, float(value)) for share, value in zip(SHOWN, np.quantile(left, SHOWN), strict=True))
    return Residuals(quantiles, float(left.mean()), float(np.abs(left).mean()))
