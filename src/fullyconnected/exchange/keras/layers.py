"""The layers of Keras as parts of a network: what each of them means here, and which of their settings have a meaning.

A layer is a class, settings in JSON, its weights in the order in which Keras keeps them, and the shape of what it is
given, without the axis of rows. Rows stay rows: a shape of more axes is one row of the network, read in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.exchange import arriving
from fullyconnected.exchange.arriving import Part
from fullyconnected.exchange.keras.activations import ACTIVATIONS, function, operation
from fullyconnected.exchange.keras.given import Given, Made
from fullyconnected.layers import Rescale, Scale, Standardize

__all__ = ["parts_of"]

LEAST_SCALE = 1e-7  # of Normalization, Keras's epsilon
MOST_CODES = 10_000  # columns that one Embedding reads


def parts_of(given: Given, module: str | None) -> Made:
    """Return the parts of a layer of Keras, which may be none, and the shape of what it gives.

    Raises
    ------
    ConfigError
        For a layer, or a setting, that has no counterpart here; the message names it.
    """
    if "ops" in str(module).split("."):
        return operation(given)
    if given.kind == "Lambda":
        raise ConfigError(f"{given.where} is a function of Python, code that is not executed; write it as layers")
    if (mode := _quantisation(given)) is not None:
        raise ConfigError(
            f"{given.where} is quantised to {mode:.80}, which has rounded its weights; give the model from before "
            f"model.quantize"
        )
    if given.config.get("lora_rank"):
        raise ConfigError(f"{given.where} has weights of LoRA beside its own; merge them into it first")
    if given.kind not in READERS:
        raise ConfigError(
            f"{given.where} has no counterpart here. Known: {', '.join(sorted([*READERS, 'Add', 'InputLayer']))}, and "
            f"Sequential and functional models of these"
        )
    return READERS[given.kind](given)


def _quantisation(given: Given) -> str | None:
    """Return how the weights of a layer are rounded, or None."""
    policy = given.config.get("dtype")
    if isinstance(policy, str):
        return policy if "_from_" in policy else None
    settings = policy.get("config") if isinstance(policy, dict) else None
    mode = settings.get("mode") if isinstance(settings, dict) else None
    return None if mode is None else str(mode)


# --- layers with weights, norms and constants -------------------------------------------------------------------------


def _dense(given: Given) -> Made:
    given.units()
    has_bias = given.flag("use_bias")
    found = given.arrays("kernel", *["bias"] * has_bias)
    part = arriving.dense(found[0], found[1] if has_bias else None, given.where)
    parts, shape = function(given._replace(shape=(int(part.layer.n_out or 0),)))
    return [part, *parts], shape


def _einsum(given: Given) -> Made:
    """Return a factor for each column; other sums of products are not known."""
    given.plain(equation="ab,b->ab", bias_axes=None)
    n = given.units()
    s = arriving.numbers(given.arrays("kernel")[0], f"the factors of {given.where}", (n,))
    parts, shape = function(given)
    return [Part(Scale(n), ({"s": s},), given.where), *parts], shape


def _norm_arrays(given: Given, *others: str) -> list[Array | None]:
    """Return gamma and beta, or None for what a norm goes without, and other arrays."""
    has = {"gamma": given.flag("scale"), "beta": given.flag("center")}
    found = dict(zip(names := [n for n in has if has[n]] + list(others), given.arrays(*names), strict=True))
    return [found.get(name) for name in (*has, *others)]


def _batch_normalization(given: Given) -> Made:
    given.last_axis()
    given.plain(renorm=False, virtual_batch_size=None, adjustment=None)
    gamma, beta, mean, variance = _norm_arrays(given, "moving_mean", "moving_variance")
    # the share of the old average, so that 0.99 means 0.01, which the difference of floats is not
    momentum = round(1 - given.number("momentum", 0.99), 15)
    epsilon = given.number("epsilon", 1e-3)
    return [arriving.batch_norm(mean, variance, gamma, beta, epsilon, momentum, given.where)], given.shape


def _layer_normalization(given: Given) -> Made:
    given.last_axis()
    given.plain(rms_scaling=False)
    gamma, beta = _norm_arrays(given)
    return [arriving.layer_norm(gamma, beta, given.units(), given.number("epsilon", 1e-3), given.where)], given.shape


def _rms_normalization(given: Given) -> Made:
    given.last_axis()
    (gamma,) = given.arrays("scale")
    return [arriving.rms_norm(gamma, given.units(), given.number("epsilon", 1e-6), given.where)], given.shape


def _dropout(given: Given) -> Made:
    given.plain(noise_shape=None)
    return [arriving.dropout(given.number("rate", 0.0), given.where)], given.shape


def _embedding(given: Given) -> Made:
    columns = given.units()
    if columns > MOST_CODES:
        raise ConfigError(f"{given.where} reads {columns} columns of codes; at most {MOST_CODES} are possible")
    part = arriving.embedding(given.arrays("embeddings")[0], given.where)
    return [arriving.side_by_side(part, columns)], (columns, int(part.layer.n_out or 0))


def _constant(value: Any, given: Given, name: str) -> Array:
    """Return a constant of a layer for each number of a row: it has one for all, or for each of the last axis."""
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        held = value.get("config")
        value = held.get("value") if isinstance(held, dict) else None
    try:
        a = np.asarray(value, np.float64).ravel()
        return np.broadcast_to(a, given.shape).ravel()
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{name} of {given.where} does not fit rows of the shape {given.shape}") from None


def _scaling(given: Given, kind: Callable[..., Layer], mean: Array, scale: Array) -> Made:
    return [Part(arriving.made(given.where, kind, None, mean, scale), (), given.where)], given.shape


def _rescaling(given: Given) -> Made:
    scale = _constant(given.config.get("scale", 1.0), given, "scale")
    return _scaling(given, Rescale, _constant(given.config.get("offset", 0.0), given, "offset"), scale)


def _normalization(given: Given) -> Made:
    axis = given.config.get("axis", -1)
    if axis not in (None, [], -1, [-1], len(given.shape), [len(given.shape)]):
        raise ConfigError(f"{given.where} has constants along the axis {axis!a:.80}; here it is the last one, -1")
    mean, variance = given.config.get("mean"), given.config.get("variance")
    if mean is None or variance is None:
        mean, variance, _ = given.arrays("mean", "variance", "count")
    shift, variance = _constant(mean, given, "mean"), _constant(variance, given, "variance")
    with np.errstate(all="ignore"):
        scale = np.maximum(np.sqrt(variance), LEAST_SCALE)
        if given.config.get("invert"):
            return _scaling(given, Rescale, shift, scale)
        if given.first:
            return _scaling(given, Standardize, shift, scale)
        return _scaling(given, Rescale, -shift / scale, 1 / scale)


def _nothing(given: Given) -> Made:
    """Return what acts in training alone, and has no counterpart here, as nothing."""
    return [], given.shape


# --- shapes -----------------------------------------------------------------------------------------------------------


def _flatten(given: Given) -> Made:
    return [], (math.prod(given.shape),)


def _reshape(given: Given) -> Made:
    target = given.config.get("target_shape")
    whole = math.prod(given.shape)
    if not isinstance(target, list) or not all(type(n) is int for n in target):
        raise ConfigError(f"{given.where} has no target_shape")
    known = math.prod(n for n in target if n != -1)
    shape = tuple(whole // max(known, 1) if n == -1 else n for n in target)
    if math.prod(shape) != whole or min(shape, default=0) < 1:
        raise ConfigError(f"{given.where} turns rows of the shape {given.shape} into {target!a:.80}")
    return [], shape


READERS: dict[str, Callable[[Given], Made]] = {
    **ACTIVATIONS,
    "BatchNormalization": _batch_normalization,
    "Dense": _dense,
    "Dropout": _dropout,
    "EinsumDense": _einsum,
    "Embedding": _embedding,
    "Flatten": _flatten,
    "LayerNormalization": _layer_normalization,
    "Normalization": _normalization,
    "RMSNormalization": _rms_normalization,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    **dict.fromkeys(("ActivityRegularization", "AlphaDropout", "GaussianDropout", "GaussianNoise"), _nothing),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), _nothing),
}
