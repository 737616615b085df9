"""The content of a model file of any format: each parameter as a named tensor, and a description of the network.

Before a network is built from a file, the version, and the names, shapes, dtypes and finiteness of the tensors are
checked against the description.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fullyconnected.base import Layer, Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import UNNAMED, ColumnNames
from fullyconnected.core.contracts import is_foreign
from fullyconnected.core.deprecation import PARAMETERS
from fullyconnected.errors import ConfigError, FileFormatError
from fullyconnected.losses import LOSSES
from fullyconnected.program.data import check_loss
from fullyconnected.program.plain import build_layers, build_loss, describe_layers, describe_loss
from fullyconnected.program.program import Program

__all__ = ["Model", "build_model", "describe_model"]

VERSION = 2  # release 0.1.0 wrote version 1, in which some parameters and running statistics have old names
OLD_PARAMETERS = {new: old for old, new in PARAMETERS.items()}
DTYPES = ("float32", "float64")


@dataclass
class Model:
    """What a file holds: a network, and anything that was saved with it."""

    layers: tuple[Layer, ...]
    theta: Array
    state: Array
    extras: dict[str, Any] = field(default_factory=dict)  # JSON values, such as a table's columns or a run's settings
    vectors: dict[str, Array] = field(default_factory=dict)  # further vectors of theta's dtype
    columns: ColumnNames = UNNAMED  # of the tables that the network was trained with
    loss: Loss | Mapping[str, Any] | None = None  # of the training; a description if it is not registered


def describe_model(model: Model) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the description and the tensors for a file, or raise if a file cannot hold the model."""
    for name, vector in {"parameters": model.theta, "running statistics": model.state}.items():
        if not np.isfinite(vector).all():
            raise ConfigError(f"the network's {name} are not all finite, so it cannot be saved")
    named = {} if model.columns == UNNAMED else {"trained_with": model.columns._asdict()}
    description = {
        "version": VERSION,
        "dtype": model.theta.dtype.name,
        "layers": describe_layers(model.layers),
        "loss": describe_loss(model.loss),
        "extras": {**model.extras, **named},
    }
    tensors = Program(model.layers).named(model.theta, model.state)
    tensors |= {f"run.{name}": np.ascontiguousarray(vector) for name, vector in model.vectors.items()}
    return description, tensors


def build_model(description: Any, tensors: dict[str, Array]) -> Model:
    """Return the model in a file, or raise if its parts do not fit; each tensor is removed from ``tensors``."""
    content = _checked(description)
    dtype, extras, layers = content["dtype"], content["extras"], build_layers(content["layers"])
    if dtype not in DTYPES:
        raise FileFormatError(f"dtype is {dtype!r:.80}; it should be float32 or float64")
    if not isinstance(extras, dict):
        raise FileFormatError("the extras are not a JSON object")
    described = content.get("loss")
    try:
        program = Program(layers)
    except Exception as error:  # a user's class may raise anything
        raise FileFormatError(f"its layers do not form a network: {error!s:.600}") from error
    if program.unset:
        name = next(op.name for op in program.operations if op.layer.unset)
        raise FileFormatError(f"{name} has no constants: a network is saved with those of its training rows")
    try:
        loss = build_loss(described)
        if isinstance(loss, Loss):
            check_loss(program, loss)
    except FileFormatError:
        raise
    except Exception as error:
        if not is_foreign(LOSSES.classes[described["loss"]]):
            raise FileFormatError(f"the loss of the network cannot be used: {error!s:.600}") from error
        loss = described  # a user's class may have changed since
    columns = _columns(extras.pop("trained_with", {}), program.n_in)
    shapes = {tensor.name: tensor.shape for tensor in (*program.tensors, *program.state_tensors)}
    for name in shapes.keys() - tensors.keys() if content["version"] < VERSION else ():
        layer, _, part = name.rpartition(".")
        if (old := f"{layer}.{OLD_PARAMETERS.get(part)}") in tensors:
            tensors[name] = tensors.pop(old)
    if missing := shapes.keys() - tensors:
        raise FileFormatError(f"the tensor {min(missing)} is missing")
    for name, tensor in tensors.items():
        if name not in shapes and not name.startswith("run."):
            raise FileFormatError(f"the tensor {name!r:.80} belongs to no layer")
        if tensor.dtype != dtype:
            raise FileFormatError(f"{name:.80} has dtype {tensor.dtype}; the file says {dtype}")
        if tensor.shape != shapes.get(name, tensor.shape):
            raise FileFormatError(f"{name} has shape {tensor.shape}; the architecture says {shapes[name]}")
    theta, state = np.empty(program.n_params, dtype), np.empty(program.n_state, dtype)
    for flat, places in ((theta, program.tensors), (state, program.state_tensors)):
        for place in places:
            view = place.of(flat)
            view[...] = tensors.pop(place.name)
            if not np.isfinite(view).all():
                raise FileFormatError(f"{place.name} holds values that are not finite")
    vectors = {name.removeprefix("run."): tensors[name].ravel() for name in sorted(tensors)}
    return Model(layers, theta, state, extras, vectors, columns, loss)


def _columns(described: Any, n_in: int) -> ColumnNames:
    """Return the column names, which files of earlier releases do not have."""
    if not isinstance(described, dict) or not described.keys() <= {"x", "t"}:
        raise FileFormatError("the columns are not described by x and t")
    for key, names in described.items():
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise FileFormatError(f"the columns of {key} are not a list of names")
    x, t = (None if described.get(key) is None else tuple(described[key]) for key in ("x", "t"))
    if x is not None and len(x) != n_in:
        raise FileFormatError(f"the file names {len(x)} columns, and the network takes {n_in} inputs")
    return ColumnNames(x, t)


def _checked(content: Any) -> Any:
    """Return the description if all its parts are there; files of earlier versions have no loss."""
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is not int or not 1 <= version <= VERSION:
        raise FileFormatError(
            f"this file has version {version!r:.80}, and this release reads versions 1 to {VERSION}; "
            f"a newer release of fullyconnected may read it"
        )
    if {"loss", *content} != {"version", "dtype", "layers", "loss", "extras"}:
        raise FileFormatError(
            f"the network is described by version, dtype, layers, loss and extras; found {list(content)!r:.80}"
        )
    return content
