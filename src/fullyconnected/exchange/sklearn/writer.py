"""A fitted estimator of this library as scikit-learn's own class, where that can hold it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.activations import Sigmoid, Tanh
from fullyconnected.errors import ConfigError, InputTypeError, missing
from fullyconnected.exchange.sklearn.proof import TOLERANCE, require_equal, results_of
from fullyconnected.exchange.vector import rows_for
from fullyconnected.layers import Dense, Dropout, Rescale, Standardize
from fullyconnected.network import Network

if TYPE_CHECKING:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import Pipeline

    from fullyconnected.annotations import SklearnLike

__all__ = ["to_sklearn"]

ACTIVATIONS = {"relu": "relu", Sigmoid.name: "logistic", Tanh.name: "tanh"}
NUMBERS = ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_", "n_outputs_", "n_layers_")
SOLVERS = ("lbfgs", "sgd", "adam")
HOLDS = "scikit-learn's perceptron holds dense layers of one of its four activations, and nothing between them"


def to_sklearn(estimator: SklearnLike) -> MLPClassifier | MLPRegressor | Pipeline | TransformedTargetRegressor:
    """Return a fitted ``MLPClassifier`` or ``MLPRegressor`` of scikit-learn that predicts what an estimator here does.

    It has the weights bit for bit, the parameters that scikit-learn knows, what training has recorded, and the moments
    of Adam or momentum, so that ``partial_fit`` goes on. What matters to training alone and is unknown there, such as
    ``dropout`` or ``weight_decay``, is left out, and another solver becomes "adam". With ``scale=True`` it is a
    ``Pipeline`` that begins with a ``StandardScaler``; a regressor whose targets are scaled is in a
    ``TransformedTargetRegressor``, too.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor of this library
        A fitted one.

    Returns
    -------
    MLPClassifier, MLPRegressor, Pipeline or TransformedTargetRegressor of scikit-learn

    Raises
    ------
    InputTypeError
        For anything else.
    ConfigError
        If the estimator is not fitted, or if scikit-learn cannot hold it: layers other than Dense, an activation that
        it does not know, or several, another loss, or an ensemble for tables. The error says which.
    MissingPackageError
        Where scikit-learn is not installed (extra ``sklearn``).

    Examples
    --------
    >>> import fullyconnected as fc
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = fc.MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> theirs = to_sklearn(model)
    >>> type(theirs).__module__.split(".")[0], bool((theirs.predict(X) == model.predict(X)).all())
    ('sklearn', True)
    """
    try:
        from sklearn import neural_network
    except ImportError as error:
        raise missing("scikit-learn", "sklearn", "to make its estimators") from error
    from fullyconnected.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor

    given: Any = estimator
    name = type(given).__name__
    if type(given) in (TabularClassifier, TabularRegressor):
        raise ConfigError(
            f"a {name} is an ensemble with a vocabulary of its table, which no class of scikit-learn holds. "
            f"fc.exchange.to_onnx writes it for ONNX Runtime"
        )
    if type(given) not in (MLPClassifier, MLPRegressor):
        raise InputTypeError(
            f"an fc.MLPClassifier or fc.MLPRegressor is wanted, and no class that derives from them; got a {name}"
        )
    if not hasattr(given, "network_"):
        raise ConfigError(f"the {name} is not fitted: call fit first")
    begin, dense, end = _taken_apart(given.network_)
    parameters = _parameters(given, dense)
    kind: Any = getattr(neural_network, name)
    known = kind().get_params(deep=False)
    if parameters.get("loss") == "poisson" and "loss" not in known:
        raise ConfigError("this version of scikit-learn has no loss 'poisson'; 1.7 and later do")
    mlp = kind(**{key: copy.deepcopy(value) for key, value in parameters.items() if key in known})
    _fit_in(mlp, given)
    made = _with_scalers(mlp, given, begin, end)
    x = rows_for(given.network_).astype(np.float64)
    found, wanted = results_of(made, x), results_of(given, x)
    require_equal(found, wanted, TOLERANCE[given.network_.dtype.name], "scikit-learn's estimator", "the one here")
    return made


def _taken_apart(net: Network) -> tuple[Standardize | None, list[Dense], Rescale | None]:
    """Return the constants at the beginning, the dense layers, and the unit at the end; or raise for other layers."""
    layers = [layer for layer in net.layers if type(layer) is not Dropout]
    begin = layers.pop(0) if type(layers[0]) is Standardize else None
    end = layers.pop() if type(layers[-1]) is Rescale else None
    assert begin is None or isinstance(begin, Standardize)
    assert end is None or isinstance(end, Rescale)
    if begin is not None and (begin.clip or begin.missing):
        raise ConfigError(f"the network begins with {begin!r:.200}, which no StandardScaler computes")
    if strange := [layer for layer in layers if not isinstance(layer, Dense)]:
        raise ConfigError(f"the network has a layer {type(strange[0]).__name__}; {HOLDS}")
    return begin, [layer for layer in layers if isinstance(layer, Dense)], end


def _activation(layers: list[Dense], asked: Any) -> str:
    """Return scikit-learn's name of the activation of all hidden layers."""
    found = []
    for layer in layers[:-1]:
        f = layer.activation
        if f is not None and ACTIVATIONS.get(f.name) is None:
            raise ConfigError(f"the network has the activation {f!r:.80}; scikit-learn knows relu, tanh and logistic")
        found.append("identity" if f is None else ACTIVATIONS[f.name])
    if len({*found}) > 1:
        raise ConfigError(f"the network has the activations {', '.join(found)}; scikit-learn has one for all layers")
    return found[0] if found else asked if asked in (*ACTIVATIONS.values(), "identity") else "relu"


def _parameters(given: Any, layers: list[Dense]) -> dict[str, Any]:
    """Return the parameters by scikit-learn's names, or raise if it has not what they stand for."""
    from fullyconnected.losses import BinaryCrossEntropy, HalfSquaredError, Poisson, SoftmaxCrossEntropy

    loss, net = given._loss_, given.network_
    found = {**given.get_params(deep=False), "activation": _activation(layers, given.activation)}
    if not isinstance(found["solver"], str) or found["solver"] not in SOLVERS:
        found["solver"] = "adam"
    if (last := layers[-1].activation) is not None:
        raise ConfigError(f"the outputs have the activation {last!r:.80}; those of scikit-learn follow from its loss")
    if not hasattr(given, "classes_"):
        if loss not in (HalfSquaredError(), Poisson()):
            raise ConfigError(f"it was trained by {loss!r:.80}; scikit-learn knows the squared error and 'poisson'")
        found["loss"] = "poisson" if loss == Poisson() else "squared_error"
        return found
    several = given._label_binarizer.y_type_.startswith("multilabel")
    wanted = BinaryCrossEntropy() if several or len(given.classes_) <= 2 else SoftmaxCrossEntropy()
    if loss != wanted:
        raise ConfigError(f"it was trained by {loss!r:.80}; for these labels scikit-learn knows {wanted!r} alone")
    assert net.n_out == (len(given.classes_) if several or len(given.classes_) > 2 else 1)
    return found


def _fit_in(mlp: Any, given: Any) -> None:
    """Give a perceptron of scikit-learn the weights, the labels, and what training has recorded."""
    for name in NUMBERS:
        setattr(mlp, name, getattr(given, name, None))
    mlp.coefs_ = [np.array(W) for W in given.coefs_]
    mlp.intercepts_ = [np.array(b) for b in given.intercepts_]
    mlp._best_coefs, mlp._best_intercepts = ([each.copy() for each in some] for some in (mlp.coefs_, mlp.intercepts_))
    mlp.loss_curve_ = list(given.loss_curve_)
    mlp.validation_scores_ = None if given.validation_scores_ is None else list(given.validation_scores_)
    mlp._no_improvement_count = given._no_improvement_count
    mlp.n_features_in_, mlp.out_activation_ = given.n_features_in_, given.out_activation_
    if hasattr(given, "feature_names_in_"):
        mlp.feature_names_in_ = given.feature_names_in_.copy()
    if hasattr(given, "classes_"):
        mlp.classes_ = given.classes_.copy()
        mlp._label_binarizer = copy.deepcopy(given._label_binarizer)
    state = vars(given).get("_optimizer")
    rule = given._optimizer_object()
    if state is not None and state.name == rule.name and state.lr == rule.lr and given.solver == mlp.solver:
        from fullyconnected.exchange.sklearn.mlp import optimizer_of

        mlp._optimizer = optimizer_of(mlp, state, given.network_)


def _with_scalers(mlp: Any, given: Any, begin: Standardize | None, end: Rescale | None) -> Any:
    """Return the perceptron behind the constants of its columns, and before the unit of its targets."""
    from sklearn.base import clone
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline

    made = mlp
    if begin is not None:
        first = _scaler(begin, getattr(given, "feature_names_in_", None))
        mlp.__dict__.pop("feature_names_in_", None)  # it sees what the scaler gives
        made = make_pipeline(first, mlp)
    if end is None:
        return made
    outer = TransformedTargetRegressor(clone(made), transformer=clone(_scaler(end, None)))
    outer.regressor_, outer.transformer_ = made, _scaler(end, None)
    outer._training_dim = 1 if mlp.n_outputs_ == 1 else 2
    if hasattr(given, "feature_names_in_"):
        outer.feature_names_in_ = given.feature_names_in_.copy()
    return outer


def _scaler(layer: Standardize | Rescale, names: Any) -> Any:
    """Return a StandardScaler with the constants of a layer."""
    from sklearn.preprocessing import StandardScaler

    made = StandardScaler()
    made.mean_, made.scale_ = np.array(layer.mean), np.array(layer.scale)
    made.var_, made.n_features_in_ = made.scale_**2, len(made.mean_)
    if names is not None:
        made.feature_names_in_ = names.copy()
    return made
