"""Predictions of a saved estimator for tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.files import Model
from fullyconnected.labels import Labels
from fullyconnected.tables.frame import frame_of, is_cell
from fullyconnected.tables.gathered import is_source, parts_of, placed
from fullyconnected.tables.vocabulary import Vocabulary
from fullyconnected.tabular.ensemble import Ensemble
from fullyconnected.tabular.stored import TABULAR, read_ensemble

__all__ = ["TablePredictor"]


class TablePredictor:
    """What :class:`fullyconnected.Predictor` predicts with if its file has an estimator for tables."""

    __slots__ = ("ensemble", "labels", "vocabulary")
    ensemble: Ensemble
    vocabulary: Vocabulary
    labels: Labels | None

    def __init__(self, model: Model) -> None:
        self.ensemble, self.vocabulary, self.labels = read_ensemble(model, model.extras[TABULAR])

    @property
    def width(self) -> int:
        """The number of columns of the training table."""
        return len(self.vocabulary.names)

    @property
    def features(self) -> tuple[str, ...] | None:
        """The names of its columns."""
        return self.vocabulary.names if self.vocabulary.named else None

    def predict(self, X: Any) -> Array:
        """Return the predicted label, labels, or numbers of each row."""
        predicted = self._predicted(X)
        if self.labels is None:
            return predicted[:, 0] if predicted.shape[1] == 1 else predicted
        found = self.ensemble.decided(predicted)
        return found if found.ndim == 2 else self.labels.classes[found]

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class (rows, classes)."""
        if self.labels is None:
            raise ConfigError(f"this estimator has no probabilities: its loss is {self.ensemble.networks[0].loss!r}")
        return self._predicted(X)

    def predict_interval(self, X: Any, coverage: float) -> Array:
        """Return the interval of each row (rows, 2), or (rows, outputs, 2) for several outputs."""
        around = self.ensemble.around(self._predicted(X), coverage)
        return around[:, 0] if around.shape[1] == 1 else around

    def _predicted(self, X: Any) -> Array:
        """Return what the ensemble predicts for a table, or for one row: a dict of cells, or a list of them."""
        if not (is_source(X) and len(X)):
            return self.ensemble.predict(self.rows(X), checked=True)
        found = []
        for at, frame in parts_of(X):
            with placed(X, at):
                found.append(self.ensemble.predict(self.vocabulary.encode(frame), checked=True))
        return np.concatenate(found)

    def rows(self, X: Any) -> Array:
        """Return the rows of a table, or one row, as the vocabulary encodes them."""
        if type(X) is dict and self.vocabulary.named:
            single = all(map(is_cell, X.values()))
        else:
            single = isinstance(X, list | tuple) and len(X) > 0 and is_cell(X[0])
        vocabulary = self.vocabulary
        return vocabulary.encode_row(X) if single else vocabulary.encode(frame_of(X))
