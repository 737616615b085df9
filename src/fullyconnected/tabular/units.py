"""The units of targets that are numbers: what networks learn instead of them, and what their outputs stand for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.layers import Rescale

__all__ = ["Logarithm", "Unit"]

SKEWED = 0.5  # the skewness from which on the logarithm of a target is tried; that of an exponential is 2


class Unit(NamedTuple):
    """The unit of targets: networks learn ``(t - mean) / scale``, and predictions keep to the range.

    All are arrays (outputs,) in float64, so that targets with a large mean keep their digits.
    """

    mean: Array
    scale: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, t: Array, w: Array) -> Unit:
        """Return the unit of the targets of training rows (rows, outputs), by their weights."""
        layer = Rescale.fit(t, w)
        return cls(np.asarray(layer.mean), np.asarray(layer.scale), t.min(axis=0), t.max(axis=0))

    def standard(self, t: Array) -> Array:
        """Return targets in this unit."""
        return (t - self.mean) / self.scale

    def values(self, z: Array) -> Array:
        """Return what numbers in this unit stand for, in the range."""
        return np.clip(self.mean + self.scale * z, self.low, self.high)


class Logarithm(NamedTuple):
    r"""The logarithm of targets with a long tail, which a network learns in place of them.

    It learns ``z = (log(t + shift) - mean) / scale``, and its z stands for ``factor exp(mean + scale z) - shift``. The
    exponential of a mean of logarithms is too small for a mean of targets: the factor makes the squared error for rows
    held out the least, as a "smearing" factor does.

    All are arrays (outputs,). Outputs that are not ``skewed`` are learned in the common unit.

    Source: Duan, "Smearing estimate: a nonparametric retransformation method", Journal of the American Statistical
    Association 78, 1983.
    """

    skewed: Array
    shift: Array
    mean: Array
    scale: Array
    low: Array
    high: Array
    factor: Array

    @classmethod
    def of(cls, t: Array, w: Array) -> Logarithm | None:
        """Return the logarithm of targets (rows, outputs), or None if none has a long tail.

        A long tail is a skewness above 1/2, of targets that are nowhere negative, which is smaller for the logarithm.
        With targets of 0, the median of the others is added to all before.

        >>> import numpy as np
        >>> t = np.exp(np.linspace(-3, 3, 99))[:, None]
        >>> Logarithm.of(t, np.ones(99)).skewed.tolist(), Logarithm.of(np.log(t), np.ones(99))
        ([True], None)
        """
        n_out = t.shape[1]
        shift = np.zeros(n_out)
        for i, column in enumerate(t.T):
            if column.min() == 0 < column.max():
                shift[i] = np.median(column[column > 0])
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(t.min(axis=0) + shift > 0, np.log(t + shift), np.nan)
        before, after = (np.array([_skewness(column, w) for column in each.T]) for each in (t, logs))
        skewed = (t.min(axis=0) >= 0) & (before > SKEWED) & (np.abs(after) < before)
        if not skewed.any():
            return None
        logs = np.where(skewed, logs, 0.0)
        unit = Unit.of(logs, w)
        return cls(skewed, shift, unit.mean, unit.scale, unit.low, unit.high, np.ones(n_out))

    def standard(self, t: Array, unit: Unit) -> Array:
        """Return what a network learns in place of targets (rows, outputs); those below the least are as the least."""
        logs = np.log(np.where(self.skewed, np.maximum(t + self.shift, np.exp(self.low)), 1.0))
        return np.where(self.skewed, (logs - self.mean) / self.scale, unit.standard(t))

    def said(self, z: Array, unit: Unit) -> Array:
        """Return outputs of a network (..., outputs) in the common unit; those of logarithms keep to their range."""
        values = self.factor * np.exp(np.clip(self.mean + self.scale * z, self.low, self.high)) - self.shift
        return np.where(self.skewed, unit.standard(values), z)

    def corrected(self, z: Array, t: Array, w: Array) -> Logarithm:
        """Return it with the factor by which outputs for rows held out (rows, outputs) have the least squared error."""
        e = np.exp(np.clip(self.mean + self.scale * z, self.low, self.high) - self.high)  # at most 1
        least = np.average(e * np.where(self.skewed, (t + self.shift) / np.exp(self.high), 1.0), axis=0, weights=w)
        most = np.average(e * e, axis=0, weights=w)
        return self._replace(factor=np.where(self.skewed & (most > 0), least / np.where(most > 0, most, 1.0), 1.0))


def _skewness(t: Array, w: Array) -> float:
    """Return the weighted mean of the cubes of the standardised numbers: 0 if they are symmetric, or do not vary."""
    size = float(np.abs(t).max())
    if not size > 0 or not np.isfinite(size):
        return 0.0 if size == 0 else np.nan
    part = t / size  # cubes of large numbers would be infinite
    off = part - np.average(part, weights=w)
    spread = np.average(off**2, weights=w)
    return float(np.average(off**3, weights=w) / spread**1.5) if spread > 1e-12 else 0.0
