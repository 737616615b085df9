"""The model file: every parameter as a named tensor, and beside them, as JSON, what they are parameters of.

The format is safetensors, which holds numbers and text and runs nothing. Whatever is read is held against what the
architecture says before memory is taken for it: names, shapes, dtype, finiteness, version.
"""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import UNNAMED, Columns
from fullyconnected.errors import ConfigError, FileFormatError
from fullyconnected.files.architecture import build_layers, describe_layers
from fullyconnected.files.atomic import write_atomically
from fullyconnected.files.upgrade import upgrade
from fullyconnected.program.program import Program

__all__ = ["Model", "read_model", "write_model"]

NAME, VERSION = "fullyconnected", 2  # one entry of metadata: safetensors writes several in any order
DTYPES = ("float32", "float64")


@dataclass
class Model:
    """What a file holds: a network, and beside it whatever the writer added."""

    layers: tuple[Layer, ...]
    theta: Array
    state: Array
    extras: dict[str, Any] = field(default_factory=dict)  # JSON values: a table's columns, a run's settings
    vectors: dict[str, Array] = field(default_factory=dict)  # further vectors of theta's dtype
    columns: Columns = UNNAMED  # of what the network was trained with, where they had names


def write_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model so that at every moment ``path`` holds the old file or the new one, whole."""
    for name, vector in {"parameters": model.theta, "running statistics": model.state}.items():
        if not np.isfinite(vector).all():
            raise ConfigError(f"the network's {name} are not all finite; such a network is not saved")
    content = {
        "version": VERSION,
        "dtype": model.theta.dtype.name,
        "layers": describe_layers(model.layers),
        "extras": model.extras
        if model.columns == UNNAMED
        else {**model.extras, "trained_with": model.columns._asdict()},
    }
    try:
        text = json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a file holds plain JSON beside its tensors: {error}") from None
    tensors = Program(model.layers).named(model.theta, model.state)
    tensors |= {f"run.{name}": np.ascontiguousarray(vector) for name, vector in model.vectors.items()}
    write_atomically(path, save(tensors, {NAME: text}))


def read_model(path: str | os.PathLike[str]) -> Model:
    """Return what a model file holds, or raise :class:`FileFormatError` with what is wrong with it.

    The file is read, not mapped, so that a process that cuts it short meanwhile cannot crash this one.
    """
    with open(os.fspath(path), "rb") as file:  # a number would be taken for an open file, and closed
        try:
            return _model(file.read(os.fstat(file.fileno()).st_size))
        except FileFormatError as error:
            raise FileFormatError(f"{os.fspath(path)}: {error}") from error.__cause__


def _model(data: bytes) -> Model:
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise FileFormatError(f"this is not a whole safetensors file of float32 or float64: {error!s:.300}") from None
    del data  # the tensors are copies
    content = _content(header.get("__metadata__") or {})
    dtype, extras, layers = content["dtype"], content["extras"], build_layers(content["layers"])
    if dtype not in DTYPES:
        raise FileFormatError(f"dtype is {dtype!r:.80}; float32 and float64 are known")
    if not isinstance(extras, dict):
        raise FileFormatError("the extras are not a JSON object")
    program = Program(layers)
    columns = _columns(extras.pop("trained_with", {}), program.n_in)
    shapes = {tensor.name: tensor.shape for tensor in (*program.tensors, *program.state_tensors)}
    if content["version"] < VERSION:
        upgrade(content["version"], tensors, shapes.keys(), extras)
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
    for name, view in program.named(theta, state).items():
        view[...] = tensors.pop(name)
        if not np.isfinite(view).all():
            raise FileFormatError(f"{name} holds values that are not finite")
    vectors = {name.removeprefix("run."): tensors[name].ravel() for name in sorted(tensors)}
    return Model(layers, theta, state, extras, vectors, columns)


def _columns(described: Any, n_in: int) -> Columns:
    """Return the names of columns, which files of earlier releases do not have."""
    if not isinstance(described, dict) or not described.keys() <= {"x", "t"}:
        raise FileFormatError("the columns are not described by x and t")
    for key, names in described.items():
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise FileFormatError(f"the columns of {key} are not a list of names")
    x, t = (None if described.get(key) is None else tuple(described[key]) for key in ("x", "t"))
    if x is not None and len(x) != n_in:
        raise FileFormatError(f"there are {len(x)} names of columns, and the network takes {n_in} inputs")
    return Columns(x, t)


def _content(metadata: dict[str, str]) -> dict[str, Any]:
    if NAME not in metadata:
        raise FileFormatError("this was not written by fullyconnected: its metadata do not say so")
    try:
        content = json.loads(metadata[NAME], object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"the description of the network is not JSON: {error}") from None
    version = content.get("version") if isinstance(content, dict) else None
    if version not in range(1, VERSION + 1):
        raise FileFormatError(
            f"this is of version {version!r:.80}, and this release reads versions 1 to {VERSION}; "
            f"a newer release of fullyconnected may read it"
        )
    if content.keys() != {"version", "dtype", "layers", "extras"}:
        raise FileFormatError(
            f"the network is described by version, dtype, layers and extras; found {list(content)!r:.80}"
        )
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
