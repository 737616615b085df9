"""The safetensors format: tensors by name, and the description as JSON in the metadata; it runs nothing."""

import json
from typing import Any, ClassVar

from safetensors import SafetensorError
from safetensors.numpy import load, save

from fullyconnected.core.arrays import Array
from fullyconnected.errors import FileFormatError
from fullyconnected.files.format import Format

__all__ = ["Safetensors"]

ENTRY = "fullyconnected"  # one entry of metadata: safetensors writes several in any order


class Safetensors(Format):
    """Any reader of safetensors finds the parameters by their names."""

    name: ClassVar[str] = "safetensors"
    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)

    def recognises(self, head: bytes) -> bool:
        return head[8:9] == b"{"  # after the length of its header

    def write(self, description: dict[str, Any], tensors: dict[str, Array]) -> bytes:
        data: bytes = save(tensors, {ENTRY: json.dumps(description, allow_nan=False)})
        return data

    def read(self, data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
        try:
            tensors = load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        except (SafetensorError, KeyError, ValueError, RecursionError) as error:
            raise FileFormatError(
                f"this is not a whole safetensors file of float32 or float64: {error!s:.300}"
            ) from None
        metadata = header.get("__metadata__") or {}
        if ENTRY not in metadata:
            raise FileFormatError("this was not written by fullyconnected: its metadata do not say so")
        try:
            description = json.loads(metadata[ENTRY], object_pairs_hook=_object, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"the description of the network is not JSON: {error}") from None
        return description, tensors


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
