"""A network for a table: it standardises the features, and predicts labels or numbers; one file holds all of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

import numpy as np

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import number
from fullyconnected.core.randomness import as_seed
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, DataError, FileFormatError
from fullyconnected.files import Model, read_model, write_model
from fullyconnected.losses import MeanSquaredError, SoftmaxCrossEntropy
from fullyconnected.network import Network, mlp
from fullyconnected.optimizers import AdamW
from fullyconnected.tables.cells import CODE, LARGEST, as_number
from fullyconnected.tables.table import Table, read_table
from fullyconnected.training.fit import fit
from fullyconnected.training.history import History

__all__ = ["Plan", "TableModel", "load_table_model", "prepare"]

TASKS = ("classification", "regression")
FORMAT = 1


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

    def standardise(self, table: Table) -> Array:
        """Return the standardised rows of a table that was read with these features."""
        with np.errstate(over="ignore"):
            x = (table.x - self.means) / self.scales
        if far := np.argwhere(~(np.abs(x) <= LARGEST)).tolist():
            row, i = far[0]
            raise DataError(
                f"{table.place(row, self.features[i])}: {table.x[row, i]:g} is too far from the training data, "
                f"whose mean is {self.means[i]:g} and standard deviation {self.scales[i]:g}"
            )
        return x.astype(self.net.dtype)

    def outputs(self, x: Array) -> Array:
        """Return probabilities (rows, classes), or predictions (rows,) in the target's own unit."""
        y = self.loss.predictions(self.net.predict(x).astype(np.float64))
        return y if self.classes else y[:, 0] * self.target_scale + self.target_mean

    def predict(self, table: Table | str | os.PathLike[str]) -> Array:
        """Return :meth:`outputs` for a table or the path of a CSV file; raise if they are not all finite."""
        if not isinstance(table, Table):
            table = read_table(table, features=self.features)
        y = self.outputs(self.standardise(table))
        if bad := np.argwhere(~np.isfinite(y)).tolist():
            raise DataError(
                f"{table.path}, row {bad[0][0] + 2}: no finite number can be predicted; "
                f"its values are too far from the training data"
            )
        return y

    @property
    def loss(self) -> Loss:
        """The loss that the network is trained with."""
        return MeanSquaredError() if self.classes is None else SoftmaxCrossEntropy()

    def targets(self, table: Table) -> Array:
        """Return the targets of a table as the loss takes them: class numbers, or standardised numbers.

        Raises
        ------
        DataError
            For a label that is no class of the model, or, for regression, a target that is not a number.
        """
        if self.classes is None:
            return (table.numbers() - self.target_mean) / self.target_scale
        known = {_key(label): i for i, label in reversed(list(enumerate(self.classes)))}
        for row, label in enumerate(table.labels):
            if _key(label) not in known:
                raise DataError(
                    f"{table.place(row, table.target)}: {label!r} is no class of the model, which knows "
                    f"{printable(', '.join(self.classes[:12]))}{', ...' * (len(self.classes) > 12)}"
                )
        return np.array([known[_key(label)] for label in table.labels], np.intp)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file that :func:`load_table_model` reads."""
        described = {
            "format": FORMAT,
            "features": list(self.features),
            "means": self.means.tolist(),
            "scales": self.scales.tolist(),
            "target": self.target,
            "classes": None if self.classes is None else list(self.classes),
            "target_mean": self.target_mean,
            "target_scale": self.target_scale,
        }
        net = self.net
        write_model(path, Model(net.layers, net.theta, net.state, {"table": described}, loss=self.loss))


def load_table_model(path: str | os.PathLike[str]) -> TableModel:
    """Return the model that :meth:`TableModel.save` wrote.

    Raises
    ------
    FileFormatError
        For a file that is no model, or a network without a table, or whose description does not fit its network.
    OSError
        If the file cannot be read.
    """
    name, file = os.fspath(path), read_model(path)
    net = Network.from_vectors(file.layers, file.theta, file.state)
    described = file.extras.get("table")
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


def _key(label: str) -> str | float:
    """Return what labels of one class have in common: their number, as for 1 and 1.0, or else their text."""
    value = None if CODE.match(label) else as_number(label)
    return normalize("NFC", label) if value is None else value


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


@dataclass(frozen=True)
class Plan:
    """A model that is ready to be trained, with its data and the split into training and validation rows."""

    model: TableModel
    x: Array  # standardised
    t: Array  # class numbers, or the target in its own unit
    training_rows: Array  # row numbers
    validation_rows: Array

    def train(self, **settings: Any) -> History:
        """Train the network in place, with AdamW; ``settings`` are those of :func:`fullyconnected.fit`."""
        lr = settings.pop("lr", 1e-3)
        t = self.t
        if self.model.classes is None:
            t = (t - self.model.target_mean) / self.model.target_scale
        rows, held = self.training_rows, self.validation_rows
        settings["validation"] = (self.x[held], t[held]) if len(held) else None
        return fit(self.model.net, self.x[rows], t[rows], self.model.loss, AdamW(lr), **settings)

    def scores(self) -> dict[str, tuple[float, float]]:
        """Return, by name, a score of the model on the validation rows, and that of a constant prediction.

        The constant is the most frequent class, or the mean, of the training rows. Without validation rows, both are
        scored on the training rows.
        """
        rows = self.validation_rows if len(self.validation_rows) else self.training_rows
        y, t, known = self.model.outputs(self.x[rows]), self.t[rows], self.t[self.training_rows]
        if self.model.classes is not None:
            frequent = np.bincount(known).argmax()
            return {"accuracy": (float((y.argmax(axis=1) == t).mean()), float((t == frequent).mean()))}
        error, usual, spread = y - t, known.mean() - t, np.square(t - t.mean()).sum()
        found = {"mean absolute error": (float(np.abs(error).mean()), float(np.abs(usual).mean()))}
        if spread > 0:  # else R2 is not defined
            found = {"R2": (1 - float(error @ error / spread), 1 - float(usual @ usual / spread)), **found}
        return found


def prepare(table: Table, task: str, hidden: Sequence[int] = (64, 64), validation: float = 0.2, seed: int = 0) -> Plan:
    """Return the plan for a table that was read with its target.

    Parameters
    ----------
    table : Table
        Two rows or more.
    task : {"classification", "regression"}
        Whether classes or numbers are predicted; :func:`choose_task` proposes one.
    hidden : sequence of int
        Units of each hidden layer.
    validation : float
        The share of the rows, and of those of each class, held back for validation: from 0 to less than 1.
    seed : int
        Seed of the initial weights and of the split.

    Raises
    ------
    DataError
        For a target that does not vary, or, in regression, is not a number.
    """
    share, seed = number("validation", validation, below=1), as_seed(seed)
    if task not in TASKS:
        raise ConfigError(f"task is {' or '.join(TASKS)}; got {task!r}")
    if len(table.x) < 2:
        raise DataError(f"{table.path} has {len(table.x)} rows below its header; two at least are needed for training")
    classes, t = _classes(table) if task == "classification" else (None, table.numbers())
    if (t == t[0]).all():
        raise DataError(
            f"{table.path}: column {table.target!r} holds {table.labels[0]!r} in every row; there is nothing to learn"
        )
    rows, held = _split(np.zeros(len(t), int) if classes is None else t, share, seed)
    means, scales = _statistics(table.x[rows])
    net = mlp([len(table.features), *hidden, 1 if classes is None else len(classes)], seed=seed)
    # The weights of a column that is constant in training have no gradient and would keep their random initial values:
    # predictions for other values of the column would be random. Hence they are set to 0.
    net.params[0].W[np.ptp(table.x[rows], axis=0) == 0] = 0
    (mean,), (scale,) = _statistics(t[rows, None]) if classes is None else ((0.0,), (1.0,))
    model = TableModel(net, table.features, means, scales, str(table.target), classes, float(mean), float(scale))
    return Plan(model, model.standardise(table), t, rows, held)


def _classes(table: Table) -> tuple[tuple[str, ...], Array]:
    """Return the sorted labels (numbers by value, text by the alphabet), and the class number of each row."""
    keys: list[Any] = [normalize("NFC", cell) for cell in table.labels] if table.coded else table.numbers().tolist()
    spelled: dict[Any, str] = {}
    for key, cell in zip(keys, table.labels, strict=True):
        spelled.setdefault(key, cell)  # 1 and 1.0 are one class, which is named as its first row writes it
    place = {key: i for i, key in enumerate(sorted(spelled))}
    return tuple(spelled[key] for key in place), np.array([place[key] for key in keys])


def _split(classes: Array, share: float, seed: int) -> tuple[Array, Array]:
    """Return the training rows and the validation rows: a random split with ``share`` of each class for validation."""
    order = np.random.default_rng(seed).permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]  # class after class, shuffled within each
    place = np.arange(len(order))
    back = np.floor((place + 1) * share) > np.floor(place * share)  # every fifth row if share is 0.2
    first = np.unique(classes[order], return_index=True)[1]
    for start, end in zip(first, [*first[1:], len(order)], strict=True):
        if back[start:end].all():  # each class keeps a training row
            back[start] = False
    return np.sort(order[~back]), np.sort(order[back])


def _statistics(x: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column; 1 for a column that does not vary."""
    means, scales = x.mean(axis=0), x.std(axis=0)
    constant = (np.ptp(x, axis=0) == 0) | ~(scales > 0)
    return np.where(constant, x[0], means), np.where(constant, 1.0, scales)
