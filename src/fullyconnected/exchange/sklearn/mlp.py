"""The perceptron of scikit-learn by itself: its weights, parameters and optimizer, as those of an estimator here."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.estimators import MLPClassifier, MLPRegressor, architecture
from fullyconnected.estimators.files import FITTED
from fullyconnected.estimators.fitting import OptimizerState
from fullyconnected.exchange.arriving import numbers
from fullyconnected.exchange.sklearn.scalers import class_of
from fullyconnected.exchange.sklearn.steps import Number
from fullyconnected.layers import Rescale, Standardize
from fullyconnected.network import Network

__all__ = ["estimator_of", "optimizer_of", "weights_of"]

Weights = list[tuple[Array, Array]]
OUTPUTS = {"MLPClassifier": ("softmax", "logistic"), "MLPRegressor": ("identity", "exp")}


def weights_of(mlp: Any) -> Weights:
    """Return the weights and biases of each layer of a fitted perceptron; or raise if it is not fitted, or damaged."""
    kind = class_of(mlp)
    if not hasattr(mlp, "coefs_"):
        raise ConfigError(f"the {kind} is not fitted: call fit first")
    wanted = ("intercepts_", "out_activation_", *(("classes_", "_label_binarizer") * (kind == "MLPClassifier")))
    if lacking := [name for name in wanted if not hasattr(mlp, name)]:
        raise ConfigError(f"the {kind} has no {lacking[0]}: it is damaged, or pickled by too old a version")
    if mlp.out_activation_ not in OUTPUTS[kind]:
        raise ConfigError(f"the {kind} has the out_activation_ {mlp.out_activation_!r:.40}, which it cannot have")
    if mlp.activation not in ("identity", "logistic", "tanh", "relu"):
        raise ConfigError(f"the {kind} has the activation {mlp.activation!r:.40}, which scikit-learn does not know")
    if len(mlp.coefs_) != len(mlp.intercepts_) or not mlp.coefs_:
        raise ConfigError(f"the {kind} has {len(mlp.coefs_)} coefs_ and {len(mlp.intercepts_)} intercepts_")
    pairs: Weights = []
    for i, (W, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
        W = numbers(W, f"coefs_[{i}]", ndim=2)
        if pairs and len(W) != len(pairs[-1][1]):
            raise ConfigError(f"coefs_[{i}] reads {len(W)} units, and the layer before it has {len(pairs[-1][1])}")
        pairs.append((W, numbers(b, f"intercepts_[{i}]", (W.shape[1],))))
    return pairs


def estimator_of(
    mlp: Any,
    pairs: Weights,
    columns: Sequence[tuple[int, Number]],
    unit: tuple[list[float], list[float]] | None,
    names: list[str] | None,
) -> MLPClassifier | MLPRegressor:
    """Return the estimator of a perceptron behind columns that are shifted and scaled, with targets in a unit.

    Each column of the table comes with its place among those that the perceptron reads.
    """
    order = [place for place, _ in columns]
    pairs = [(pairs[0][0][order], pairs[0][1]), *pairs[1:]]
    kind = MLPClassifier if class_of(mlp) == "MLPClassifier" else MLPRegressor
    given, known = mlp.get_params(deep=False), kind().get_params(deep=False)
    mean, scale = (np.array([getattr(f, of) for _, f in columns]) for of in ("mean", "scale"))
    scaled = bool(mean.any() or (scale != 1).any())
    parameters = {name: copy.deepcopy(value) for name, value in given.items() if name in known}  # as clone does
    made: Any = kind(**{**parameters, "scale": scaled})
    sizes = [W.shape[1] for W, _ in pairs[:-1]]
    wide = any(each.dtype == np.float64 for pair in pairs for each in pair)
    net = architecture.build(
        len(columns), pairs[-1][0].shape[1], "float64" if wide else "float32",
        **{**made._architecture(sizes), "hidden_layer_sizes": sizes},
    )  # fmt: skip
    for (W, b), (coefs, intercepts) in zip(architecture.dense(net), pairs, strict=True):
        W[...], b[...] = coefs, intercepts
    begin = (Standardize(len(columns), mean, scale),) if scaled else ()
    end = () if unit is None else (Rescale(mean=unit[0], scale=unit[1]),)
    net = Network.from_vectors((*begin, *net.layers, *end), net.theta, net.state)
    _copy_fitted(mlp, made, len(columns), pairs)
    if names is not None:
        made.feature_names_in_ = np.array(names, object)
    if isinstance(made, MLPClassifier):
        made.classes_ = np.array(mlp.classes_)
        made._label_binarizer = copy.deepcopy(mlp._label_binarizer)
        made._loss_ = made._loss_object()
    else:
        made._loss_ = made._loss_and_outputs(np.zeros((1, net.n_out or 0)))[0]
    made._built_with = made._architecture(sizes)
    net.loss = made._loss_
    made.network_ = net
    if (rule := getattr(mlp, "_optimizer", None)) is not None and made.solver in ("adam", "sgd"):
        made._optimizer = _optimizer_state(rule, made._optimizer_object(), net, order)
    return made


def _copy_fitted(mlp: Any, made: Any, n_in: int, pairs: Weights) -> None:
    """Give an estimator what scikit-learn's fitting has recorded, as plain numbers."""
    usual: dict[str, Any] = {"n_iter_": 0, "t_": 0, "loss_curve_": [], "loss_": None, "best_loss_": None}
    for name in FITTED:
        value = getattr(mlp, name, usual.get(name))
        if isinstance(value, list):
            value = [float(each) for each in value]
        elif isinstance(value, float | np.floating):
            value = float(value)
        setattr(made, name, value)
    made.n_iter_, made.t_ = int(made.n_iter_), int(made.t_)
    made.n_features_in_, made.n_outputs_, made.n_layers_ = n_in, pairs[-1][0].shape[1], len(pairs) + 1
    made._no_improvement_count = int(getattr(mlp, "_no_improvement_count", 0))
    made._watched = made.scoring


def _places(net: Network) -> list[slice]:
    """Return where the parameters lie in theta, in scikit-learn's order: all weights, and then all biases."""
    place = np.arange(net.n_params)
    of = [tensor.of(place).ravel() for tensor in net.program.tensors]
    return [slice(int(each[0]), int(each[-1]) + 1) for each in (*of[0::2], *of[1::2])]


def _optimizer_state(rule: Any, ours: Any, net: Network, order: list[int]) -> OptimizerState | None:
    """Return the moments of scikit-learn's optimizer, which ``partial_fit`` goes on from; None if it has none."""
    places = _places(net)

    def flat(arrays: Sequence[Array], factor: float = 1.0) -> Array:
        made = np.zeros_like(net.theta)
        for at, each in zip(places, [arrays[0][order], *arrays[1:]], strict=True):
            made[at] = factor * np.ravel(each)
        return made

    if hasattr(rule, "ms") and ours.name == "adam":
        slots = {"m": flat(rule.ms), "v": flat(rule.vs)}
        return OptimizerState(ours.name, ours.lr, ours.lr, 1.0, int(rule.t), slots)
    if hasattr(rule, "velocities") and ours.name in ("momentum", "nesterov", "sgd"):
        rate = float(rule.learning_rate)  # scikit-learn's velocities are steps, and ours sums of gradients
        slots = {"v": flat(rule.velocities, -1 / rate)} if ours.name != "sgd" else {}
        return OptimizerState(ours.name, ours.lr, rate, rate / ours.lr, 0, slots)
    return None


def optimizer_of(mlp: Any, state: OptimizerState, net: Network) -> Any:
    """Return the optimizer of scikit-learn with the moments of one here."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    params, places = [*mlp.coefs_, *mlp.intercepts_], _places(net)

    def apart(slot: Array, factor: float = 1.0) -> list[Array]:
        return [factor * slot[at].reshape(each.shape) for at, each in zip(places, params, strict=True)]

    if mlp.solver == "adam":
        made: Any = AdamOptimizer(params, mlp.learning_rate_init, mlp.beta_1, mlp.beta_2, mlp.epsilon)
        made.t, made.ms, made.vs = state.step, apart(state.slots["m"]), apart(state.slots["v"])
        return made
    made = SGDOptimizer(
        params, mlp.learning_rate_init, mlp.learning_rate, mlp.momentum, mlp.nesterovs_momentum, mlp.power_t
    )
    made.learning_rate = state.learning_rate
    if "v" in state.slots:
        made.velocities = apart(state.slots["v"], -state.learning_rate)
    return made
