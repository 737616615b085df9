"""A network for a table: standardised features in, labels or the target's own unit out, all kept in one file."""

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
    """A network, and what stands between it and a table.

    Attributes
    ----------
    net : Network
        From standardised features to logits, one a class, or to the standardised target.
    features : tuple of str
        The columns, in the order of the network's inputs.
    means, scales : array (features,)
        The network sees ``(x - mean) / scale``: mean and standard deviation of the rows that it learns from.
    target : str
        The column that it predicts.
    classes : tuple of str or None
        The labels as the table writes them; None for regression.
    target_mean, target_scale : float
        Of the target, for regression.
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
        """Return the rows of a table that was read with these features, as the network takes them."""
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
        """Return what :meth:`outputs` does for a table, or for the CSV file of one; raise where that is not finite."""
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
        """What the network is trained with."""
        return MeanSquaredError() if self.classes is None else SoftmaxCrossEntropy()

    def targets(self, table: Table) -> Array:
        """Return the target of a table that was read with it, as the loss takes it: classes, or standardised numbers.

        Raises
        ------
        DataError
            For a label that the model has not learned, or a target that is not a number where numbers are predicted.
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
        """Write all of it to a model file; :func:`load_table_model` reads it."""
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
        Where the file is no model, a network without a table, or its description does not fit the network.
    OSError
        Where it cannot be read.
    """
    name, file = os.fspath(path), read_model(path)
    net = Network.from_vectors(file.layers, file.theta, file.state)
    described = file.extras.get("table")
    if not isinstance(described, dict):
        what = "the checkpoint of a run" if "run" in file.extras else "a network"
        raise FileFormatError(
            f"{name} holds {what} that was not trained from a table, so what its inputs and outputs mean is not "
            f"known; 'fullyconnected train' writes files that can be used here. In Python: net = fc.load({name!r}), "
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
    """Return what makes two labels one class: the number, where both are the same one; else the text."""
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
    """A model that is ready to be trained: rows, targets, and which rows are held back to judge it by."""

    model: TableModel
    x: Array  # standardised
    t: Array  # class numbers, or the target in its own unit
    learned: Array
    held: Array

    def train(self, **settings: Any) -> History:
        """Train the network in place, with AdamW; ``settings`` are those of :func:`fullyconnected.fit`."""
        lr = settings.pop("lr", 1e-3)
        t = self.t
        if self.model.classes is None:
            t = (t - self.model.target_mean) / self.model.target_scale
        validation = (self.x[self.held], t[self.held]) if len(self.held) else None
        return fit(
            self.model.net,
            self.x[self.learned],
            t[self.learned],
            self.model.loss,
            AdamW(lr),
            validation=validation,
            **settings,
        )

    def scores(self) -> dict[str, tuple[float, float]]:
        """Return, by name, how good the model is on the rows held back, and how good the same answer to all would be.

        That answer is the class most frequent, or the mean, among the rows learned from. Where no rows are held
        back, the model is judged by those that it learned from.
        """
        rows = self.held if len(self.held) else self.learned
        y, t, known = self.model.outputs(self.x[rows]), self.t[rows], self.t[self.learned]
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
        What the target is; :func:`fullyconnected.tables.choose_task` has a proposal.
    hidden : sequence of int
        Units of each hidden layer.
    validation : float
        The share of the rows to hold back, from 0 to less than 1; of every class alike.
    seed : int
        Of the first weights, and of which rows are held back.

    Raises
    ------
    DataError
        Where the target does not vary, or is not a number and regression is asked for.
    """
    share, seed = number("validation", validation, below=1), as_seed(seed)
    if task not in TASKS:
        raise ConfigError(f"task is {' or '.join(TASKS)}; got {task!r}")
    if len(table.x) < 2:
        raise DataError(f"{table.path} has {len(table.x)} rows below its header; two at least are needed to learn from")
    classes, t = _classes(table) if task == "classification" else (None, table.numbers())
    if (t == t[0]).all():
        raise DataError(
            f"{table.path}: column {table.target!r} holds {table.labels[0]!r} in every row; there is nothing to learn"
        )
    learned, held = _split(np.zeros(len(t), int) if classes is None else t, share, seed)
    means, scales = _statistics(table.x[learned])
    net = mlp([len(table.features), *hidden, 1 if classes is None else len(classes)], seed=seed)
    # A column that is the same in every row learned from gets no gradient: its first weights would stay, and give
    # another value of it an effect by chance.
    net.params[0].W[np.ptp(table.x[learned], axis=0) == 0] = 0
    model = TableModel(net, table.features, means, scales, str(table.target), classes)
    if classes is None:
        (mean,), (scale,) = _statistics(t[learned, None])
        model = TableModel(net, table.features, means, scales, str(table.target), None, float(mean), float(scale))
    return Plan(model, model.standardise(table), t, learned, held)


def _classes(table: Table) -> tuple[tuple[str, ...], Array]:
    """Return the labels in order, numbers by value and text by the alphabet, and each row's place among them."""
    keys: list[Any] = [normalize("NFC", cell) for cell in table.labels] if table.coded else table.numbers().tolist()
    spelled: dict[Any, str] = {}
    for key, cell in zip(keys, table.labels, strict=True):
        spelled.setdefault(key, cell)  # 1 and 1.0 are one class, written as it came first
    place = {key: i for i, key in enumerate(sorted(spelled))}
    return tuple(spelled[key] for key in place), np.array([place[key] for key in keys])


def _split(classes: Array, share: float, seed: int) -> tuple[Array, Array]:
    """Return the rows to learn from and those to hold back: at random, and of every class ``share``, to within one."""
    order = np.random.default_rng(seed).permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]  # class after class, shuffled within each
    place = np.arange(len(order))
    back = np.floor((place + 1) * share) > np.floor(place * share)  # every fifth, for 0.2
    first = np.unique(classes[order], return_index=True)[1]
    for start, end in zip(first, [*first[1:], len(order)], strict=True):
        if back[start:end].all():  # a class can be learned only where a row of it is left
            back[start] = False
    return np.sort(order[~back]), np.sort(order[back])


def _statistics(x: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column; 1 for a column that does not vary."""
    means, scales = x.mean(axis=0), x.std(axis=0)
    constant = (np.ptp(x, axis=0) == 0) | ~(scales > 0)
    return np.where(constant, x[0], means), np.where(constant, 1.0, scales)
