"""A network for a table of numbers, as ``fullyconnected train`` of version 0.1.0 wrote it: its files are read here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, DataError, FileFormatError, ShapeError
from fullyconnected.files import Model, read_model
from fullyconnected.labels import Labels
from fullyconnected.losses import MeanSquaredError, SoftmaxCrossEntropy
from fullyconnected.network import Network
from fullyconnected.tables.cells import CODE, LARGEST, as_feature, as_number, wrong
from fullyconnected.tables.column import Column, place
from fullyconnected.tables.frame import Frame, frame_of
from fullyconnected.tables.levels import key_of_level
from fullyconnected.tables.names import key_of

if TYPE_CHECKING:
    from fullyconnected.annotations import TableLike

__all__ = ["TABLE", "TableModel", "load_table_model", "table_model"]

TABLE = "table"  # the name of the extras in which a file has such a model
FORMAT = 1
ADVICE = "Every feature is a number in every row: fill in the cell, or remove the row"


@dataclass(frozen=True)
class TableModel:
    """A network, and how the columns of a table become its inputs and outputs.

    Attributes
    ----------
    net : Network
        It takes standardised features, and gives a logit for each class, or the standardised target.
    features : tuple of str
        The names of the feature columns, in the order of the network's inputs.
    means, scales : array (features,)
        Mean and standard deviation of each feature over the training rows; the network takes ``(x - mean) / scale``.
    target : str
        The name of the column that is predicted.
    classes : tuple of str or None
        The labels as the table writes them; None for regression.
    target_mean, target_scale : float
        Mean and standard deviation of the target over the training rows, for regression.
    """

    net: Network
    features: tuple[str, ...]
    means: Array
    scales: Array
    target: str
    classes: tuple[str, ...] | None
    target_mean: float = 0.0
    target_scale: float = 1.0

    # what a Predictor and an estimator have, too

    @property
    def labels(self) -> Labels | None:
        """The labels of a classifier."""
        return None if self.classes is None else Labels("multiclass", np.array(self.classes, object), "classes")

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.features)

    @property
    def classes_(self) -> Array:
        """The labels, in the order of the columns of ``predict_proba``."""
        if self.classes is None:
            raise AttributeError("a model that predicts a number has no classes")
        return np.array(self.classes, object)

    @property
    def n_features_in_(self) -> int:
        """The number of features."""
        return len(self.features)

    @property
    def feature_names_in_(self) -> Array:
        """The names of the features."""
        return np.array(self.features, object)

    def predict(self, X: TableLike) -> Array:
        """Return the predicted label (text) or number of each row of a table, whose columns are found by name."""
        y = self._outputs(X)
        return y if self.classes is None else self.classes_[y.argmax(axis=1)]

    def predict_proba(self, X: TableLike) -> Array:
        """Return the probability of each class (rows, classes)."""
        if self.classes is None:
            raise ConfigError(f"this model predicts a number, {self.target!r:.80}, and no probabilities of classes")
        return self._outputs(X)

    def predict_interval(self, X: TableLike, coverage: float) -> Array:
        """Raise, since such a model does not know the errors of its predictions."""
        raise ConfigError("a model of version 0.1.0 has no intervals: train it again")

    def inputs(self, X: TableLike) -> Array:
        """Return the standardised rows of a table as the network takes them.

        Raises
        ------
        ShapeError
            For a column that is missing.
        DataError
            For a cell that is missing, no number, or too far from those of the training.
        """
        frame = frame_of(X)
        numbers = np.empty((frame.rows, len(self.features)))
        for i, column in enumerate(self._columns(frame)):
            numbers[:, i] = _numbers(column)
        with np.errstate(over="ignore"):
            x = (numbers - self.means) / self.scales
        if far := np.argwhere(~(np.abs(x) <= LARGEST)).tolist():
            row, i = far[0]
            raise DataError(
                f"{place(self.features[i], row)}: {numbers[row, i]:g} is too far from the training data, whose mean is "
                f"{self.means[i]:g} and standard deviation {self.scales[i]:g}"
            )
        return x.astype(self.net.dtype)

    def targets(self, X: TableLike) -> Array:
        """Return the targets in a table as the loss takes them: class numbers, or standardised numbers.

        Raises
        ------
        DataError
            For a label that is no class of the model, or, for regression, a target that is not a number.
        """
        frame = frame_of(X)
        column = next((each for each in frame.columns if key_of(each.name) == key_of(self.target)), None)
        if column is None:
            raise ShapeError(f"a column is missing: {self.target!r:.80}, which has the targets")
        if self.classes is None:
            return (_numbers(column, as_number) - self.target_mean) / self.target_scale
        known = {_key(label): i for i, label in reversed(list(enumerate(self.classes)))}
        codes = []
        for row, cell in enumerate(column.values.tolist()):
            label = "" if cell is None else f"{cell:.12g}" if isinstance(cell, float) else str(cell)
            if _key(label.strip()) not in known:
                raise DataError(
                    f"{place(self.target, row)}: {label!r:.80} is no class of the model, which knows "
                    f"{printable(', '.join(self.classes[:12]))}{', ...' * (len(self.classes) > 12)}"
                )
            codes.append(known[_key(label.strip())])
        return np.array(codes, np.intp)

    @property
    def loss(self) -> Loss:
        """The loss that the network was trained with."""
        return MeanSquaredError() if self.classes is None else SoftmaxCrossEntropy()

    def _outputs(self, X: TableLike) -> Array:
        """Return probabilities (rows, classes), or predictions (rows,) in the target's own unit."""
        y = self.loss.predictions(self.net.predict(self.inputs(X)).astype(np.float64))
        y = y if self.classes else y[:, 0] * self.target_scale + self.target_mean
        if bad := np.argwhere(~np.isfinite(y)).tolist():
            raise DataError(
                f"row {bad[0][0]}: no finite number can be predicted; its values are too far from the training data"
            )
        return y

    def _columns(self, frame: Frame) -> Iterator[Column]:
        known = {key_of(column.name): column for column in frame.columns}
        for name in self.features:
            if key_of(name) not in known:
                listed = ", ".join(f"{each!r:.40}" for each in frame.names[:12])
                raise ShapeError(f"a column is missing: {name!r:.80}; the table has {listed}")
            yield known[key_of(name)]


def load_table_model(path: str | os.PathLike[str]) -> TableModel:
    """Return the model for a table in a file of ``fullyconnected train`` of version 0.1.0.

    Raises
    ------
    FileFormatError
        For a file that is no model, or a network without a table, or whose description does not fit its network.
    OSError
        If the file cannot be read.
    """
    return table_model(read_model(path), os.fspath(path))


def table_model(file: Model, name: str) -> TableModel:
    """Return the model for a table in a file that was read; ``name`` is the file's."""
    net = Network.from_vectors(file.layers, file.theta, file.state)
    described = file.extras.get(TABLE)
    if not isinstance(described, dict):
        what = "the checkpoint of a run" if "run" in file.extras else "a network"
        raise FileFormatError(
            f"{name} holds {what} that was not trained from a table, so the columns of its inputs and outputs are not "
            f"known; use a file that 'fullyconnected train' has written. In Python: net = fc.load({name!r}), "
            f"then net.predict(x) or fc.explain(net, x, t, loss)"
        )
    if described.get("format") != FORMAT:
        raise FileFormatError(f"{name}: the table's description is of format {described.get('format')!r}, not {FORMAT}")
    try:
        classes = None if described["classes"] is None else _names(described["classes"])
        model = TableModel(
            net,
            _names(described["features"]),
            _vector(described["means"]),
            _vector(described["scales"]),
            str(described["target"]),
            classes,
            *_vector([described["target_mean"], described["target_scale"]]).tolist(),
        )
        if not len(model.features) == len(model.means) == len(model.scales) == net.n_in:
            raise ValueError(
                f"{net.n_in} inputs, {len(model.features)} features, {len(model.means)} means and "
                f"{len(model.scales)} standard deviations"
            )
        if net.n_out != (1 if classes is None else len(classes)):
            raise ValueError(f"{net.n_out} outputs for {classes or 'a number'}")
        if not ((model.scales > 0).all() and model.target_scale > 0):
            raise ValueError("a standard deviation that is not positive")
        net.loss = model.loss  # files of earlier versions do not hold it
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(f"{name}: the table's description is damaged: {error!r}") from None
    return model


def _numbers(column: Column, number: Any = as_feature) -> Array:
    """Return the numbers in a column, or raise for the first cell that is none."""
    if column.holds == "numbers" and np.isfinite(column.values).all():
        return column.values
    if column.holds == "dates":
        raise DataError(f"column {column.name!r:.200} holds dates, and numbers are wanted")
    numbers = np.empty(len(column.values))
    for row, cell in enumerate(column.values.tolist()):
        text = "" if cell is None or cell != cell else str(cell).strip()
        value = number(text)
        if reason := wrong(text, value):
            raise DataError(f"{place(column.name, row)}: {reason}. {ADVICE}")
        numbers[row] = value
    return numbers


def _key(label: str) -> str | float:
    """Return what labels of one class have in common: their number, as for 1 and 1.0, or else their text."""
    value = None if CODE.match(label) else as_number(label)
    return key_of_level(label) if value is None else value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value) or len(set(value)) < len(value):
        raise ValueError("a list of different names is wanted")
    return tuple(value)


def _vector(value: Any) -> Array:
    if not isinstance(value, list) or not all(type(each) in (int, float) for each in value):
        raise ValueError("a list of numbers is wanted")
    vector = np.array(value, np.float64)
    if not np.isfinite(vector).all():
        raise ValueError("a number is not finite")
    return vector
