"""An ensemble of networks for a table, and what it predicts; nothing here trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.layers import Rescale
from fullyconnected.network import Network
from fullyconnected.tabular.mixture import sharpened
from fullyconnected.tabular.tasks import CLASSES, LABELS

__all__ = ["Ensemble", "Unit"]


class Unit(NamedTuple):
    """The unit of targets that are numbers: networks learn ``(t - mean) / scale``, and predictions keep to the range.

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


@dataclass(frozen=True)
class Ensemble:
    """Networks whose predictions are mixed.

    Attributes
    ----------
    task : str
        ``"classes"``, ``"labels"`` or ``"numbers"``.
    networks : tuple of Network
        They read the same rows x.
    shares : tuple of float
        How much each of them counts; their sum is 1.
    temperature : float
        What the logarithms of mixed probabilities are divided by: above 1 if the networks were too sure.
    fill : tuple of float
        What stands for a missing number in each column of x in which training had none: its median. NaN for others,
        whose missing cells the networks know.
    unit : Unit or None
        For numbers, the unit of the targets.
    """

    task: str
    networks: tuple[Network, ...]
    shares: tuple[float, ...]
    temperature: float
    fill: tuple[float, ...]
    unit: Unit | None = None

    def predict(self, x: Array, n_threads: int | None = None) -> Array:
        """Return the probabilities of classes or of labels, or values: (rows, outputs), in float64."""
        if (gaps := np.isnan(x)).any():
            x = np.where(gaps, self.fill, x)
        mixed: Any = 0.0
        for net, share in zip(self.networks, self.shares, strict=True):
            mixed = mixed + share * net.predictions(x, n_threads=n_threads).astype(np.float64)
        return self.finished(mixed)

    def decided(self, p: Array) -> Array:
        """Return class numbers (rows,), or for several labels their indicators (rows, labels), from probabilities."""
        return (p > 0.5).astype(np.int64) if self.task == LABELS else p.argmax(axis=1)

    def finished(self, mixed: Array) -> Array:
        """Return mixed predictions of the networks at the temperature, or in their unit and range."""
        if self.unit is not None:
            return np.clip(self.unit.mean + self.unit.scale * mixed, self.unit.low, self.unit.high)
        return at_temperature(mixed, self.temperature, self.task)


def at_temperature(p: Array, temperature: float, task: str) -> Array:
    """Return the probabilities of classes, or of each of several labels, at a temperature."""
    if task == CLASSES:
        return sharpened(p, temperature)
    return sharpened(np.stack([1 - p.ravel(), p.ravel()], axis=1), temperature)[:, 1].reshape(p.shape)
