"""Weights by name, as PyTorch's state_dict has them, as parts of a network; without PyTorch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.exchange import arriving
from fullyconnected.exchange.arriving import Part

if TYPE_CHECKING:
    from fullyconnected.annotations import ActivationLike, PathLike

__all__ = ["parts_of_weights", "weights_in"]

EPSILON, MOMENTUM = 1e-5, 0.1  # of PyTorch's norms, if nothing else was set
OTHERS = ("num_batches_tracked",)
DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
MANY = 7  # layers, the orders of which are all tried


def weights_in(path: PathLike) -> dict[str, Array]:
    """Return the tensors of a file of safetensors by their names."""
    from safetensors import SafetensorError, deserialize

    with open(os.fspath(path), "rb") as file:
        data = file.read(os.fstat(file.fileno()).st_size)
    try:
        found = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ConfigError(f"this is not a whole file of safetensors: {error!s:.200}") from None
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    if "fullyconnected" in json.loads(header).get("__metadata__", {}):
        raise ConfigError("this was written by this library: fullyconnected.load reads it")
    return {name: _tensor(name, each) for name, each in found}


def _tensor(name: str, stored: Mapping[str, Any]) -> Array:
    kind, shape, content = stored["dtype"], stored["shape"], stored["data"]
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if kind not in DTYPES:
        if name.rpartition(".")[2] in OTHERS:
            return np.zeros(())
        raise ConfigError(
            f"{printable(name)} is of the type {printable(kind)}; weights are float32, float64 or float16"
        )
    return np.frombuffer(content, np.dtype(DTYPES[kind]).newbyteorder("<")).astype(DTYPES[kind]).reshape(shape)


def parts_of_weights(weights: Mapping[str, Array], activation: ActivationLike) -> list[Part]:
    """Return the parts of weights by name, ``"0.weight"``, ``"0.bias"``, ..., with an activation between layers.

    Where the layers are numbered, the activation stands where a number is left out, which is how nn.Sequential counts
    layers without weights; else behind each matrix but the last one, or behind the norm that follows it.

    Raises
    ------
    ConfigError
        For names or shapes that do not belong to layers, or an order of the layers that is not clear.
    """
    layers: dict[str, dict[str, Array]] = {}
    for name, value in weights.items():
        prefix, _, letter = name.rpartition(".")
        if letter not in OTHERS:
            layers.setdefault(prefix, {})[letter] = value
    if not layers:
        raise ConfigError("there are no weights")
    found = [(name, _layer(values, printable(name))) for name, values in layers.items()]
    numbers = [re.fullmatch(r"(.*\.|)(\d+)", name) for name, _ in found]
    if all(numbers) and len({match[1] for match in numbers if match}) == 1:
        places = sorted((int(match[2]), part) for match, (_, part) in zip(numbers, found, strict=True) if match)
        return _numbered(places, activation)
    return _named(_ordered([part for _, part in found]), activation)


def _layer(values: Mapping[str, Array], where: str) -> Part:
    """Return the layer that has weights of these names and shapes."""
    known = dict(values)
    W, b = known.pop("weight", None), known.pop("bias", None)
    mean, var = known.pop("running_mean", None), known.pop("running_var", None)
    if known or (W is None and mean is None):
        raise ConfigError(
            f"{where} has {', '.join(printable(each) for each in values)}; layers have weight and bias, and norms of "
            f"batches running_mean and running_var. Give the module itself to take other ones"
        )
    if mean is not None:
        return arriving.batch_norm(mean, var, W, b, EPSILON, MOMENTUM, where)
    W = np.asarray(W)
    if W.ndim == 1:
        if b is None:
            raise ConfigError(
                f"{where} is a vector without biases: RMSNorm, PReLU and a LayerNorm without biases have one. Give the "
                f"module itself, which says what it is"
            )
        return arriving.layer_norm(W, b, len(W), EPSILON, where)
    return arriving.dense(W.T, b, where)


def _numbered(places: list[tuple[int, Part]], activation: ActivationLike) -> list[Part]:
    """Return layers in the order of their numbers, with an activation where one is left out."""
    found: list[Part] = []
    for i, (place, part) in enumerate(places):
        if i and place > places[i - 1][0] + 1:
            found.append(arriving.activation(activation, f"what stands before {part.where}"))
        found.append(part)
    return found


def _named(parts: list[Part], activation: ActivationLike) -> list[Part]:
    """Return layers with an activation behind each matrix and its norm, but not behind the last matrix."""
    matrices = [i for i, part in enumerate(parts) if "W" in part.values[0]]
    found: list[Part] = []
    for i, part in enumerate(parts):
        if i in matrices[1:]:
            found.append(arriving.activation(activation, f"what stands before {part.where}"))
        found.append(part)
    return found


def _ordered(parts: list[Part]) -> list[Part]:
    """Return layers in the order in which each takes what the one before gives; raise if that is not clear."""
    if _fit(parts):
        return parts
    if len(parts) > MANY:
        raise ConfigError(f"the order of the layers is not clear: {_shapes(parts)}. Give the module itself")
    orders = [[*each] for each in permutations(parts) if _fit([*each])]
    if len(orders) != 1:
        said = "no order of the layers fits" if not orders else "several orders of the layers fit"
        raise ConfigError(f"{said}: {_shapes(parts)}. Give the module itself")
    return orders[0]


def _fit(parts: list[Part]) -> bool:
    return all(a.layer.n_out == b.layer.n_in for a, b in pairwise(parts))


def _shapes(parts: list[Part]) -> str:
    return ", ".join(f"{part.where} from {part.layer.n_in} to {part.layer.n_out}" for part in parts)
