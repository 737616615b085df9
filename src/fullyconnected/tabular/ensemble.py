"""An ensemble of networks for a table, and what it predicts; nothing here trains."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.network import Network
from fullyconnected.program.data import as_source
from fullyconnected.program.sources import ArraySource
from fullyconnected.tabular.intervals import Intervals
from fullyconnected.tabular.mixture import of_two, sharpened
from fullyconnected.tabular.tasks import CLASSES, LABELS
from fullyconnected.tabular.units import Logarithm, Unit

__all__ = ["Ensemble", "decided"]

BLOCK = 1 << 20  # outputs of members that are held at a time


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
    logarithms : tuple of (Logarithm or None)
        For each network, the logarithm that it learns in place of targets with a long tail; empty if none does.
    intervals : Intervals or None
        For numbers, what errors of held-out rows say of those of predictions; None in files of earlier versions.
    bases : tuple of arrays
        For each network, the mean over the training rows of what its first layer gives: where the paths of
        contributions begin. Empty in files of earlier versions.
    """

    task: str
    networks: tuple[Network, ...]
    shares: tuple[float, ...]
    temperature: float
    fill: tuple[float, ...]
    unit: Unit | None = None
    logarithms: tuple[Logarithm | None, ...] = ()
    intervals: Intervals | None = None
    bases: tuple[Array, ...] = ()
    _weights: Array = field(init=False, repr=False, compare=False)  # of the members of all networks

    def __post_init__(self) -> None:
        counts = [int(net.program.members or 1) for net in self.networks]
        parts = [np.full(k, share / k) for k, share in zip(counts, self.shares, strict=True)]
        object.__setattr__(self, "_weights", np.concatenate(parts))

    def predict(self, x: Array, n_threads: int | None = None, *, checked: bool = False) -> Array:
        """Return the probabilities of classes or of labels, or values: (rows, outputs), in float64.

        Rows that the vocabulary of the networks has encoded are ``checked`` already.
        """
        first = self.networks[0]
        if not checked:
            filled = self._filled(x)
            for net in self.networks:
                as_source(filled, net.program, net.dtype, empty=True)
        assert first.loss is not None
        link, n_out = first.loss.link, first.n_out
        rows = max(1, BLOCK // (len(self._weights) * n_out))
        mixed = np.empty((len(x), n_out))
        for start in range(0, len(x), rows):
            block = self._filled(x[start : start + rows])
            if len(x) == 1:
                outputs = [net.row_outputs_checked(block) for net in self.networks]
            else:
                source = ArraySource(block)
                outputs = [net.outputs_checked(source, "auto", n_threads) for net in self.networks]
            # each of them is (rows, members, n_out)
            if self.logarithms and self.unit is not None:
                for i, each in enumerate(self.logarithms):
                    outputs[i] = outputs[i] if each is None else each.said(outputs[i], self.unit)
            z = np.concatenate(outputs, axis=1, dtype=np.float64)
            p = link.predictions(z.reshape(-1, n_out)).reshape(z.shape)
            np.matmul(self._weights, p, out=mixed[start : start + rows])
        return self.finished(mixed)

    def _filled(self, x: Array) -> Array:
        """Return rows with a number for each that is missing, where the networks want one."""
        return np.where(gaps, self.fill, x) if (gaps := np.isnan(x)).any() else x

    def around(self, predicted: Array, coverage: float) -> Array:
        """Return intervals (rows, outputs, 2) around predictions of numbers (rows, outputs)."""
        if self.unit is None:
            raise ConfigError("a classifier has no intervals: its probabilities say how sure it is")
        if self.intervals is None:
            raise ConfigError(
                "this regressor has no intervals: its file is of a version that did not keep the errors of held-out "
                "rows, or it was trained elsewhere. Fit it again"
            )
        return self.intervals.around(predicted, coverage)

    def said(self, i: int, z: Array) -> Array:
        """Return what outputs (rows, outputs) of a network mean: probabilities, or numbers in the common unit."""
        logarithm, loss = self.logarithms[i] if self.logarithms else None, self.networks[i].loss
        if logarithm is not None and self.unit is not None:
            return logarithm.said(z, self.unit)
        assert loss is not None
        return loss.link.predictions(z)

    def decided(self, p: Array) -> Array:
        """Return class numbers (rows,), or for several labels their indicators (rows, labels), from probabilities."""
        return decided(p, self.task)

    def finished(self, mixed: Array) -> Array:
        """Return mixed predictions of the networks at the temperature, or in their unit and range."""
        if self.unit is not None:
            return self.unit.values(mixed)
        return at_temperature(mixed, self.temperature, self.task)


def decided(p: Array, task: str) -> Array:
    """Return what :meth:`Ensemble.decided` does."""
    return (p > 0.5).astype(np.int64) if task == LABELS else p.argmax(axis=1)


def at_temperature(p: Array, temperature: float, task: str) -> Array:
    """Return the probabilities of classes, or of each of several labels, at a temperature."""
    if task == CLASSES:
        return sharpened(p, temperature)
    return sharpened(of_two(p), temperature)[:, 1].reshape(p.shape)
