"""The table of files in which networks arrive, by their suffixes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from fullyconnected.core.wording import in_words, printable
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.keras import from_keras
from fullyconnected.exchange.onnx.reader import from_onnx
from fullyconnected.exchange.pytorch import PICKLED, UNPICKLED, from_torch

if TYPE_CHECKING:
    from fullyconnected.annotations import ActivationLike, PathLike
    from fullyconnected.network import Network

__all__ = ["ARRIVALS", "Arrival", "arrival_of", "read"]


class Arrival(NamedTuple):
    """A kind of file: what it is, what makes a network of it, and whether it says which activations it has."""

    what: str
    read: Callable[..., Network]
    says_activations: bool = True


ARRIVALS = {
    ".onnx": Arrival("ONNX", from_onnx),
    ".safetensors": Arrival("weights of PyTorch", from_torch, says_activations=False),
    ".keras": Arrival("Keras", from_keras),
    ".h5": Arrival("Keras", from_keras),
    ".hdf5": Arrival("Keras", from_keras),
}
PICKLES = {  # which can run any code when they are read, and what to do instead
    **dict.fromkeys(PICKLED, f"write its weights with {UNPICKLED}"),
    **dict.fromkeys(
        (".pkl", ".pickle", ".joblib"),
        f"load it where it is trusted, and call fc.exchange.from_sklearn, or, of a module of PyTorch, {UNPICKLED}",
    ),
}


def arrival_of(path: PathLike) -> Arrival:
    """Return the kind of file that the suffix of a path says; raise for another one."""
    name, suffix = printable(os.fsdecode(path)), os.path.splitext(os.fsdecode(path))[1].lower()
    if suffix in PICKLES:
        raise ConfigError(f"{name} is a pickle, which can run any code when it is read: {PICKLES[suffix]}")
    if suffix not in ARRIVALS:
        raise ConfigError(f"{name}: the suffix says what a file holds; networks arrive in {in_words(ARRIVALS)}")
    return ARRIVALS[suffix]


def read(path: PathLike, activation: ActivationLike | None = None) -> Network:
    """Return the network of a file; ``activation`` stands between layers if a file has weights alone."""
    by = arrival_of(path)
    if not by.says_activations:
        if activation is None:
            raise ConfigError(
                f"{printable(os.fsdecode(path))} has weights alone, which do not say the activation between layers: "
                f"give one, such as relu, or identity for none"
            )
        return by.read(path, activation=activation)
    if activation is not None:
        raise ConfigError(f"an activation is for files of weights alone; {printable(os.fsdecode(path))} has its own")
    return by.read(path)
