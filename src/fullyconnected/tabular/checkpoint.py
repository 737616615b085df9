"""The folder of a training: what it is of, and the checkpoint of each network, so that it can be gone on with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from zlib import crc32

import numpy as np

from fullyconnected.errors import CheckpointError, ConfigError, FileAccessError
from fullyconnected.files.atomic import write_atomically
from fullyconnected.tabular.recipe import Recipe

__all__ = ["RunFolder"]

RUN = "run.json"
FORMAT = 1
ADVICE = "the result would be neither run's. Set it back, choose another folder, or remove this one"


class RunFolder:
    """A folder in which the training of an ensemble is kept while it runs.

    It has the checkpoint of each network, as :func:`fullyconnected.fit` writes it, and ``run.json``, which says of
    which data and by which settings it is. Both are replaced atomically.

    Parameters
    ----------
    path : path
        The folder, which is made if it is not there.
    settings : mapping of str to a JSON value
        What decides the result, beside the data.
    data : mapping of str to array, list of arrays, or None
        The data, of which checksums are kept; None or an empty list for what is not given.

    Attributes
    ----------
    recipe : Recipe or None
        What a training that has begun is made by.

    Raises
    ------
    CheckpointError
        If the folder has the training of something else.
    ConfigError
        If it has other files, or is none.
    """

    def __init__(self, path: str | os.PathLike[str], settings: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.path = os.fspath(path)
        sums = {name: _checksum(each if isinstance(each, list) else [each]) for name, each in data.items()}
        self.told: dict[str, Any] = json.loads(json.dumps({"settings": dict(settings), "data": sums}))
        self.recipe: Recipe | None = None
        if (begun := _read(self.path)) is None:
            return
        for name, now in self.told["data"].items():
            if (then := begun["data"].get(name)) != now:
                what = f"without {name}" if then is None else f"with another {name}" if now else f"with a {name}"
                raise CheckpointError(f"{self.path} has a training that was begun {what}: {ADVICE}")
        for name, now in self.told["settings"].items():
            if (then := begun["settings"].get(name)) != now:
                raise CheckpointError(
                    f"{self.path} has a training that was begun with {name}={then!r:.200} and would go on with "
                    f"{now!r:.200}: {ADVICE}"
                )
        self.recipe = begun["recipe"]

    def begin(self, recipe: Recipe) -> None:
        """Take note of the recipe of a training that begins."""
        if self.recipe is None:
            try:
                os.makedirs(self.path, exist_ok=True)
            except OSError as error:
                said = error.strerror or error
                raise FileAccessError(f"checkpoint={self.path!r}: the folder cannot be made: {said}") from None
            self.recipe = recipe
            text = json.dumps({"format": FORMAT, **self.told, "recipe": asdict(recipe)}, indent=1)
            write_atomically(os.path.join(self.path, RUN), text.encode())

    def network(self, i: int) -> str:
        """Return the path of the checkpoint of network i."""
        return os.path.join(self.path, f"network_{i + 1}.safetensors")


def _checksum(arrays: Sequence[Any]) -> str | None:
    """Return the identity of arrays, their shapes, types and contents, or None if there is none."""
    parts = []
    for each in map(np.asarray, (each for each in arrays if each is not None)):
        raw = np.array(each.tolist(), "U").tobytes() if each.dtype == object else np.ascontiguousarray(each).tobytes()
        parts.append(f"{each.shape} {each.dtype} {crc32(raw):08x}")
    return ", ".join(parts) or None


def _read(path: str) -> dict[str, Any] | None:
    """Return what a folder says of its training, with the recipe, or None if there is none yet."""
    if not path:
        raise ConfigError("checkpoint='' is no folder; give the path of one, which is made if it is not there")
    if not os.path.lexists(path):
        return None
    if not os.path.isdir(path):
        raise ConfigError(f"checkpoint={path!r} is a file; a folder is wanted, in which there may be a training")
    name = os.path.join(path, RUN)
    if not os.path.exists(name):
        if others := sorted(each for each in os.listdir(path) if not each.startswith(".")):
            raise ConfigError(
                f"checkpoint={path!r} is a folder with other files, such as {others[0]!r:.80}; give one that is new or "
                f"empty, or that has a training"
            )
        return None
    try:
        with open(name, encoding="utf-8") as file:
            begun = json.load(file)
        if begun["format"] != FORMAT:
            raise ValueError(f"it is of format {begun['format']!r:.20}, not {FORMAT}")
        given = begun["recipe"]
        recipe = Recipe(**{**given, "hidden": tuple(given["hidden"]), "views": tuple(given["views"])})
        if not isinstance(begun["settings"], dict) or not isinstance(begun["data"], dict):
            raise TypeError("its settings or data are missing")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{name} does not describe a training: {error!r:.200}; remove the folder") from None
    return {**begun, "recipe": recipe}
