"""Estimators from files; nothing in a file is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from fullyconnected.base import Loss
from fullyconnected.core.wording import printable
from fullyconnected.errors import FileFormatError
from fullyconnected.estimators import architecture
from fullyconnected.estimators.classifier import MLPClassifier
from fullyconnected.estimators.files import FITTED, read_value
from fullyconnected.estimators.regressor import MLPRegressor
from fullyconnected.estimators.tabular_classifier import TabularClassifier
from fullyconnected.estimators.tabular_regressor import TabularRegressor
from fullyconnected.files import Model, read_model
from fullyconnected.labels import labels_of
from fullyconnected.network import Network
from fullyconnected.predictor import features_of
from fullyconnected.tables.model import TABLE, TableModel, table_model
from fullyconnected.tabular.stored import TABULAR, read_ensemble

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["load_estimator"]

CLASSES: dict[str, type[MLPClassifier | MLPRegressor]] = {each.__name__: each for each in (MLPClassifier, MLPRegressor)}
TABLES: dict[str, type[TabularClassifier | TabularRegressor]] = {
    each.__name__: each for each in (TabularClassifier, TabularRegressor)
}


def load_estimator(
    path: PathLike,
) -> MLPClassifier | MLPRegressor | TabularClassifier | TabularRegressor | TableModel:
    """Return the estimator in a file that its ``save`` has written.

    Nothing in the file is run; see :func:`fullyconnected.load` for what is checked. ``checkpoint`` is None, so that a
    further ``fit`` neither goes on from another run nor replaces its file. An estimator for tables comes without its
    ``oof_predictions_``, which are of its training rows.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        Or, for a file that ``fullyconnected train`` of version 0.1.0 has written, a ``TableModel``: it has ``predict``,
        ``predict_proba``, ``classes_`` and ``feature_names_in_``, takes the same tables, and cannot be fitted.

    Raises
    ------
    FileFormatError
        If the file is damaged, holds no estimator, or uses a class of your own that is not registered.

    Examples
    --------
    >>> import fullyconnected as fc, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> fc.MLPClassifier((3,), random_state=0, tol=0.1).fit([[0.0], [1.0]], ["no", "yes"]).save(path)
    >>> load_estimator(path)
    MLPClassifier(hidden_layer_sizes=(3,), random_state=0, tol=0.1)
    """
    model = read_model(path)
    if TABULAR in model.extras:
        return _tabular(model, path)
    if TABLE in model.extras:
        return table_model(model, str(path))
    described = model.extras.get("estimator")
    if not isinstance(described, dict):
        raise FileFormatError(f"{printable(path)} holds a network, and no estimator: fc.load reads it")
    if not isinstance(model.loss, Loss):
        raise FileFormatError(
            f"{printable(path)} holds an estimator whose loss is not known here: fc.register its class first"
        )
    net = Network.from_vectors(model.layers, model.theta, model.state)
    net.loss = model.loss
    labels, features = labels_of(described, net), features_of(described, net)
    try:
        parameters = {name: read_value(value) for name, value in described["parameters"].items()}
        estimator = CLASSES[described["class"]](**{**parameters, "checkpoint": None})  # a file starts and replaces none
        fitted = {name: read_value(value) for name, value in described["fitted"].items() if name in FITTED}
        if (labels is None) == isinstance(estimator, MLPClassifier) or fitted["n_features_in_"] != net.n_in:
            raise ValueError("its parts do not fit")
        estimator.__dict__.update(
            fitted,
            network_=net,
            _loss_=model.loss,
            _built_with=estimator._architecture(architecture.hidden_sizes(estimator.hidden_layer_sizes)),
            _no_improvement_count=0,
            _watched=read_value(described.get("watched", described["parameters"].get("scoring"))),
        )
        if labels is not None:
            estimator.classes_ = labels.classes.copy()
            binarizer = LabelBinarizer().fit(estimator.classes_)
            binarizer.y_type_, binarizer.sparse_input_ = labels.kind, described["labels"].get("sparse") is True
            estimator._label_binarizer = binarizer
        if features is not None:  # in the form in which they were given
            estimator.feature_names_in_ = np.array(described["features"], dtype=object)
    except Exception as error:
        raise FileFormatError(f"{printable(path)} does not describe an estimator: {error!s:.300}") from error
    return estimator


def _tabular(model: Model, path: PathLike) -> TabularClassifier | TabularRegressor:
    """Return the estimator for tables in a file."""
    from fullyconnected.estimators import tabular_files as files  # which loads what trains

    described = model.extras[TABULAR]
    try:
        ensemble, vocabulary, labels = read_ensemble(model, described)
        parameters = {name: read_value(value) for name, value in described["parameters"].items()}
        estimator = TABLES[described["class"]](**parameters)
        fitted = {name: read_value(described["fitted"][name]) for name in files.FITTED}
        found = fitted["n_features_in_"], fitted["n_outputs_"]
        fits = found == (len(vocabulary.names), ensemble.networks[0].n_out) and type(fitted["n_iter_"]) is int
        if (labels is None) == isinstance(estimator, TabularClassifier) or not fits:
            raise ValueError("its parts do not fit")
        estimator.__dict__.update(
            fitted, ensemble_=ensemble, vocabulary_=vocabulary, report_=files.read_report(described.get("report"))
        )
        if (matters := estimator.report_.importances) is not None:
            estimator.__dict__["feature_importances_"] = np.array(matters)
        if labels is not None:
            estimator.__dict__["classes_"] = labels.classes.copy()
        if vocabulary.named:
            estimator.__dict__["feature_names_in_"] = np.array(vocabulary.names, object)
    except Exception as error:
        raise FileFormatError(f"{printable(path)} does not describe an estimator: {error!s:.300}") from error
    return estimator
