"""Predictions of a saved estimator, with NumPy alone: scikit-learn is needed to train, and not to predict."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn
from unicodedata import normalize

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import as_array, column_labels, columns_of, refuse_path
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, DataError, FileFormatError, InputTypeError, ShapeError
from fullyconnected.labels import Labels, labels_of
from fullyconnected.network import Network
from fullyconnected.program.sources import Source

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike, TableLike
    from fullyconnected.files import Model
    from fullyconnected.tables.model import TableModel
    from fullyconnected.tabular.prediction import TablePredictor

__all__ = ["Predictor", "features_of"]

BLOCK = 1 << 20  # numbers of an input that are converted at a time


class Predictor:
    """A saved estimator that predicts with NumPy alone: no scikit-learn, SciPy or pandas.

    It cannot be changed, and may be used by several threads at once and after a fork.

    Parameters
    ----------
    path : path
        A file that ``save`` of an estimator, or ``fullyconnected train`` of any version, has written.

    Attributes
    ----------
    classes : array or None
        The labels of a classifier, in the order of the columns of ``predict_proba``; a read-only copy.
    features : tuple of str or None
        The names of the columns, if the estimator was trained with a table that has names.

    Raises
    ------
    FileFormatError
        If the file is damaged, or holds no estimator.

    Examples
    --------
    >>> import fullyconnected as fc, os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> path = os.path.join(tempfile.mkdtemp(), "iris.safetensors")
    >>> fc.MLPClassifier(solver="lbfgs", random_state=0, max_iter=2000).fit(X, y).save(path)
    >>> Predictor(path).predict([[5.1, 3.5, 1.4, 0.2]])
    array([0])
    """

    __slots__ = ("_by", "features")
    features: tuple[str, ...] | None
    _by: RowPredictor | TablePredictor | TableModel

    def __init__(self, path: PathLike) -> None:
        from fullyconnected.files import read_model  # the estimators, which use features_of, need no files

        model = read_model(path)
        by = RowPredictor(model, path) if "estimator" in model.extras else _of_table(model, path)
        self.__setstate__((None, {"_by": by, "features": by.features}))

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:  # also for pickle and copy
        for name, value in state[1].items():
            object.__setattr__(self, name, value)

    @property
    def classes(self) -> Array | None:
        if self._by.labels is None:
            return None
        classes = self._by.labels.classes.copy()
        classes.flags.writeable = False
        return classes

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Predictor cannot be changed; {name} was to be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Predictor cannot be changed; {name} was to be deleted")

    def __repr__(self) -> str:
        labels = "" if self.classes is None else f", classes {printable(str(self.classes.tolist()))}"
        return f"<Predictor: {self._by.width} features{labels}>"

    def predict(self, X: TableLike) -> Array:
        """Return the predicted label, labels, or numbers of each row.

        Parameters
        ----------
        X : array (rows, features), sparse matrix, table, list, dict, or Source
            One row or more. A table or dict (name to number, or to a column of numbers) is read by the names of its
            columns, in any order, and so is a :class:`fullyconnected.Source`, such as ``fc.Parquet("rows/")``, whose
            rows are read a few at a time. An estimator for tables also takes text, dates and missing cells: a table as
            in its training, a list of dicts, or one row as a dict or a list of its cells.

        Raises
        ------
        ShapeError, InputTypeError, DataError
            For other shapes, kinds and names than those of the training, or numbers that are not finite.
        """
        return self._by.predict(X)

    def predict_proba(self, X: TableLike) -> Array:
        """Return the probability of each class (rows, classes), in the order of ``classes``.

        Raises
        ------
        ConfigError
            For a regressor, or a loss without probabilities.
        ShapeError, InputTypeError, DataError
            As :meth:`predict`.
        """
        return self._by.predict_proba(X)

    def predict_interval(self, X: TableLike, coverage: float = 0.9) -> Array:
        """Return between which numbers the target of each row lies with the probability ``coverage``.

        The least and the largest, (rows, 2), or (rows, outputs, 2) for several outputs; see
        :meth:`fullyconnected.TabularRegressor.predict_interval`.

        Raises
        ------
        ConfigError
            For an estimator other than a regressor for tables, a file of a version without intervals, or a coverage
            that is not between 0 and 1, or too large for the rows of the training.
        ShapeError, InputTypeError, DataError
            As :meth:`predict`.
        """
        return self._by.predict_interval(X, coverage)


def _of_table(model: Model, path: PathLike) -> TablePredictor | TableModel:
    """Return what predicts by the estimator for tables in a file, or by the model of an earlier version."""
    from fullyconnected.tabular.prediction import TablePredictor  # which other files need not load
    from fullyconnected.tabular.stored import TABULAR

    if "table" in model.extras:
        from fullyconnected.tables.model import table_model

        return table_model(model, str(path))
    if TABULAR not in model.extras:
        raise FileFormatError(f"{printable(path)} holds a network, and no estimator: fc.load reads it")
    try:
        return TablePredictor(model)
    except Exception as error:
        raise FileFormatError(f"{printable(path)} does not describe an estimator: {error!s:.300}") from error


class RowPredictor:
    """What a Predictor predicts with if its file has a multi-layer perceptron, which reads rows of numbers."""

    __slots__ = ("features", "labels", "net")
    features: tuple[str, ...] | None
    labels: Labels | None
    net: Network

    def __init__(self, model: Model, path: PathLike) -> None:
        described = model.extras["estimator"]
        if not isinstance(described, dict):
            raise FileFormatError(f"{printable(path)} holds a network, and no estimator: fc.load reads it")
        self.net = Network.from_vectors(model.layers, model.theta, model.state)
        if model.loss is None or isinstance(model.loss, Mapping):
            raise FileFormatError(
                f"{printable(path)} holds an estimator whose loss is not known here: fc.register its class first"
            )
        self.net.loss = model.loss
        self.labels, self.features = labels_of(described, self.net), features_of(described, self.net)

    @property
    def width(self) -> int:
        """The number of features."""
        return int(self.net.n_in or 0)

    def predict(self, X: Any) -> Array:
        """Return the predicted label, labels, or numbers of each row."""
        z = self._outputs(X)
        if self.labels is not None:
            return self.labels.of(z)
        y = self.net.loss.link.predictions(z)  # type: ignore[union-attr]
        return y[:, 0] if y.shape[1] == 1 else y

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class (rows, classes)."""
        loss: Any = self.net.loss
        if self.labels is None or loss.link.predicts not in ("labels", "classes"):
            raise ConfigError(f"this estimator has no probabilities: its loss is {loss!r}")
        z = self._outputs(X)
        return self.labels.probabilities(z, loss.link.predictions(z))

    def predict_interval(self, X: Any, coverage: float) -> Array:
        """Raise: there are no errors of held-out rows that would tell intervals."""
        raise ConfigError("this estimator has no intervals: those for tables have, fc.TabularRegressor")

    def _outputs(self, X: Any) -> Array:
        """Return the network's outputs for rows in any of the forms that ``predict`` takes."""
        return self.net.predict(self.rows(X))

    def rows(self, X: Any) -> Any:
        """Return rows in any of the forms that ``predict`` takes in one that the network takes."""
        refuse_path(X, "X")
        if isinstance(X, Mapping):
            X = self._from_columns(X, list(X))
        elif isinstance(X, list | tuple):
            X = as_array(X, "X")
        elif self.features is not None and columns_of(X) not in (None, self.features):
            labels = column_labels(X) or []
            X = X[self._ordered(labels)] if isinstance(X, Source) else self._from_columns(X, labels)
        if getattr(X, "ndim", 2) > 2:
            raise ShapeError(f"X has shape {X.shape}; (rows, {self.net.n_in}) is wanted, as in scikit-learn")
        return X

    def _ordered(self, labels: list[Any]) -> list[Any]:
        """Return those of these labels of columns that name the features, in any of Unicode's forms, in their order."""
        if self.features is None:
            raise InputTypeError("the estimator was trained without names of columns: give an array (rows, features)")
        names = [normalize("NFC", str(label)) for label in labels]
        if lacking := [name for name in self.features if name not in names]:
            raise ShapeError(f"the column {lacking[0]!r} is missing; there are {', '.join(map(repr, names))}")
        if twice := [name for name in self.features if names.count(name) > 1]:
            raise ShapeError(f"the column {twice[0]!r} is in the table more than once")
        return [labels[names.index(name)] for name in self.features]

    def _from_columns(self, X: Any, labels: list[Any]) -> Array:
        """Return the rows of a table or dict whose columns have these labels."""
        columns = [np.atleast_1d(np.asarray(X[label])) for label in self._ordered(labels)]
        if len({column.shape for column in columns}) > 1 or columns[0].ndim > 1:
            raise ShapeError("the columns differ in length, or are not (rows,)")
        for i, name in enumerate(self.features or ()):
            if columns[i].dtype == object:  # which may be numbers all the same
                with suppress(InputTypeError):
                    columns[i] = as_array(columns[i], f"the column {name!r}")
            if columns[i].dtype.kind not in "biuf":
                kind = "objects" if columns[i].dtype == object else columns[i].dtype
                raise DataError(f"the column {name!r} holds {kind}, not numbers")
        return np.stack(columns, axis=1)


def features_of(described: dict[str, Any], net: Network) -> tuple[str, ...] | None:
    """Return the names of the features of a described estimator, or None; raise if they do not fit the network."""
    names = described.get("features")
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != net.n_in or not all(isinstance(name, str) for name in names):
        raise FileFormatError(f"the estimator does not name its {net.n_in} features: {names!r:.80}")
    return tuple(normalize("NFC", name) for name in names)  # as those of tables are read
