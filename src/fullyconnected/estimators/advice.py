"""Why a fit has not converged: what a diagnosis finds, and which parameter of the estimator to change."""

from __future__ import annotations

import re
from typing import Any

from fullyconnected.diagnosis.examine import examine
from fullyconnected.network import Network
from fullyconnected.program.data import Data
from fullyconnected.training.history import History

__all__ = ["ADVICE", "why"]

MOST = 3  # findings in a warning

# for each finding, what to change in the estimator; the others cannot come after a fit that has ended
ADVICE = {
    "features_unscaled": "set scale=True, or put a StandardScaler before the estimator",
    "targets_unscaled": "set scale=True, or scale y, as with TransformedTargetRegressor(transformer=StandardScaler())",
    "targets_constant": "look at y",
    "symmetric_weights": "begin anew, with warm_start=False",
    "dead_units": 'lower learning_rate_init, or set activation="leaky_relu"',
    "saturated_units": 'scale X, lower learning_rate_init, or set activation="relu"',
    "gradients_exploding": "lower learning_rate_init, or set max_grad_norm=1.0",
    "gradients_vanishing": 'set activation="relu", layer_norm=True or residual=True, or fewer hidden_layer_sizes',
    "loss_rising": "lower learning_rate_init",
    "loss_oscillating": "lower learning_rate_init, or raise batch_size",
    "loss_above_chance": "change learning_rate_init, or raise max_iter",
    "class_imbalance": 'set class_weight="balanced"',
    "overfitting": "set early_stopping=True, or raise alpha",
    "loss_still_falling": "raise max_iter or learning_rate_init",
}
# a solver chooses its own steps and takes all rows: a learning rate, clipping and early stopping are not for it
OF_SOLVERS = ADVICE | {
    "dead_units": 'set activation="leaky_relu"',
    "saturated_units": 'scale X, or set activation="relu"',
    "gradients_exploding": "set layer_norm=True, or raise alpha",
    "loss_rising": "",
    "loss_oscillating": "",
    "loss_above_chance": "raise max_iter",
    "overfitting": "raise alpha, or lower hidden_layer_sizes",
    "loss_still_falling": "raise max_iter",
}


def why(estimator: Any, net: Network, data: Data) -> str:
    """Return the most important findings after a fit as sentences, or an empty string."""
    names = getattr(estimator, "feature_names_in_", None)
    history = History(loss=list(estimator.loss_curve_), validation_loss=list(estimator.validation_loss_curve_ or ()))
    found = examine(net, data, history, None if names is None else tuple(map(str, names)), quick=True).findings
    one = data.t.ndim == 1 or data.t.shape[1] == 1
    told = [
        f"{_in_their_words(each.seen, one)}: {advice}."
        for each in found
        if (advice := _advice(each.name, estimator, sparse=data.x.sparse))
    ]
    return " ".join(each if each.startswith("y") else each[:1].upper() + each[1:] for each in told[:MOST])


def _advice(finding: str, estimator: Any, *, sparse: bool) -> str | None:
    """Return what to change in the estimator, of what it has not done yet; None if there is nothing to say."""
    if finding == "features_unscaled" and sparse:
        return "put a MaxAbsScaler before the estimator, which keeps the zeros"
    if finding == "overfitting" and estimator.early_stopping:
        return "raise alpha, or lower hidden_layer_sizes"
    if finding == "targets_unscaled" and (estimator.scale or getattr(estimator, "output_activation", None) is not None):
        return "divide y by a number that brings it near 1"
    if not hasattr(estimator, "partial_fit"):
        return OF_SOLVERS.get(finding)
    advice = ADVICE.get(finding)
    if advice is not None and not isinstance(estimator.solver, str):  # which has its own
        return advice.replace("learning_rate_init", "the learning rate of solver")
    return advice


def _in_their_words(seen: str, one_output: bool) -> str:
    """Return what was seen with scikit-learn's names: features, and y."""
    seen = re.sub(r"\bx\[:, (\d+)\]", r"feature \1", seen)
    seen = re.sub(r"\bfrom x$", "from X", seen)
    return re.sub(r"\bt\[:, (\d+)\]", "y" if one_output else r"y[:, \1]", seen)
