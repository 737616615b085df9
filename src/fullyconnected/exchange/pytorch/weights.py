"""Weights by name, as PyTorch's state_dict has them, as parts of a network; without PyTorch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.activations import Identity
from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.exchange import arriving
from fullyconnected.exchange.arriving import Part

if TYPE_CHECKING:
    from fullyconnected.annotations import ActivationLike, PathLike

__all__ = ["as_array", "parts_of_weights", "weights_in"]

EPSILON, MOMENTUM = 1e-5, 0.1  # of PyTorch's norms, if nothing else was set
OTHERS = ("num_batches_tracked",)
DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
STEPS = 100_000  # in the search for the order of layers


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
        raise ConfigError("this was written by this library, which reads it as it is, by fullyconnected.load")
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


def as_array(tensor: Any, where: str = "the module", *, wanted: bool = False) -> Any:
    """Return a tensor of PyTorch, or what NumPy makes an array of, as an array of at least float32.

    None, which stands for a parameter that a module does not have, stays None unless an array is wanted.
    """
    if tensor is None and not wanted:
        return None
    if getattr(tensor, "is_meta", False) or type(tensor).__name__ == "UninitializedParameter":
        raise ConfigError(f"{where} has no weights yet: it was made lazily, or on the device meta")
    try:
        if hasattr(tensor, "detach"):
            tensor = tensor.detach().cpu()
            tensor = tensor.to_dense() if tensor.is_sparse else tensor
            return (tensor.float() if tensor.is_floating_point() and tensor.dtype.itemsize < 4 else tensor).numpy()
        return np.asarray(tensor)
    except Exception as error:  # of PyTorch, for a tensor without numbers; of NumPy, for rows of different lengths
        raise ConfigError(f"{where} has no numbers that can be read: {error!s:.200}") from error


def parts_of_weights(weights: Mapping[str, Array], activation: ActivationLike, *, in_order: bool) -> list[Part]:
    """Return the parts of weights by name, ``"0.weight"``, ``"0.bias"``, ..., with an activation between layers.

    Where the layers are numbered, the activation stands where a number is left out, which is how nn.Sequential counts
    layers without weights; else behind each matrix but the last one, or behind the norm that follows it. ``in_order``
    says whether the names are in the order of the layers, if their numbers do not say it; a file has none.

    Raises
    ------
    ConfigError
        For names or shapes that do not belong to layers, an order of the layers that is not clear, or an activation
        that stands nowhere.
    """
    between = arriving.activation(activation, "activation")
    layers: dict[str, dict[str, Array]] = {}
    for name, value in weights.items():
        prefix, _, letter = name.rpartition(".")
        if letter not in OTHERS:
            layers.setdefault(prefix, {})[letter] = value
    if not layers:
        raise ConfigError("there are no weights")
    found = {name: _layer(values, printable(name) or "the only layer") for name, values in layers.items()}
    numbers = {name: re.fullmatch(r"(.*\.|)(\d+)", name) for name in found}
    if all(numbers.values()) and len({match[1] for match in numbers.values() if match}) == 1:
        places = {int(match[2]): found[name] for name, match in numbers.items() if match}
        parts = _numbered(dict(sorted(places.items())), between)
    else:
        parts = _named([found[name] for name in _ordered(found, in_order=in_order)], between)
    if len(parts) == len(found) > 1 and not isinstance(activation, Identity) and activation != "identity":
        raise ConfigError(
            f"no activation stands between the layers {', '.join(map(printable, found))}: no number is left out, as "
            f"nn.Sequential does for one. Give the module itself, or activation='identity' if there is none"
        )
    return parts


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


def _numbered(places: Mapping[int, Part], between: Part) -> list[Part]:
    """Return layers in the order of their numbers, with an activation where one is left out."""
    found: list[Part] = []
    before: int | None = None
    for place, part in places.items():
        if before is not None and place > before + 1:
            found.append(between)
        found.append(part)
        before = place
    return found


def _named(parts: list[Part], between: Part) -> list[Part]:
    """Return layers with an activation behind each matrix and its norm, but not behind the last matrix."""
    matrices = [i for i, part in enumerate(parts) if "W" in part.values[0]]
    found: list[Part] = []
    for i, part in enumerate(parts):
        if i in matrices[1:]:
            found.append(between)
        found.append(part)
    return found


def _ordered(parts: Mapping[str, Part], *, in_order: bool) -> list[str]:
    """Return the names of layers in the order in which each takes what the one before gives; raise if it is not clear.

    Names that differ by a number alone, such as fc1 and fc2, are in the order of these.
    """
    if in_order and all(a.layer.n_out == b.layer.n_in for a, b in pairwise(parts.values())):
        return [*parts]
    families: dict[str, list[tuple[int, str]]] = {}  # the numbers and names of those that differ by a number
    for name in sorted(parts):
        digits = re.findall(r"\d+", name)
        families.setdefault(re.sub(r"\d+", "#", name), []).append((int(digits[-1]) if digits else 0, name))
    waiting = [[name for _, name in sorted(family)] for family in families.values()]
    orders: list[list[str]] = []
    steps = 0

    def extend(order: list[str], left: list[list[str]]) -> None:
        """Add the orders that begin so; two are enough to know that it is not clear."""
        nonlocal steps
        steps += 1
        if len(orders) > 1 or steps > STEPS:
            return
        if len(order) == len(parts):
            orders.append(order)
        for i, family in enumerate(left):
            if family and (not order or parts[order[-1]].layer.n_out == parts[family[0]].layer.n_in):
                extend([*order, family[0]], [*left[:i], family[1:], *left[i + 1 :]])

    extend([], waiting)
    if len(orders) != 1 or steps > STEPS:
        said = "no order of the layers fits" if not orders else "several orders of the layers fit"
        sizes = ", ".join(f"{part.where} from {part.layer.n_in} to {part.layer.n_out}" for part in parts.values())
        raise ConfigError(
            f"{said}: {sizes}. Give the module itself, or its state_dict as a dict, which has its layers in their order"
        )
    return orders[0]
