"""The safetensors format: tensors by name, and the description as JSON in the metadata; reading runs no code."""

import json
from typing import Any, ClassVar

from safetensors import SafetensorError
from safetensors.numpy import load, save

from fullyconnected.core.arrays import Array
from fullyconnected.errors import FileFormatError
from fullyconnected.files.format import Format

__all__ = ["Safetensors"]

ENTRY = "fullyconnected"  # all metadata are one entry, since safetensors writes several in any order


class Safetensors(Format):
    """The safetensors format, in which any reader of safetensors finds the parameters by their names."""

    name: ClassVar[str] = "safetensors"
    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)

    def recognises(self, head: bytes) -> bool:
        # the header follows its length, which takes 8 bytes, and which safetensors limits
        return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= 100_000_000

    def write(self, description: dict[str, Any], tensors: dict[str, Array]) -> bytes:
        return save(tensors, {ENTRY: json.dumps(description, allow_nan=False)})

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
            raise FileFormatError("this was not written by fullyconnected: its metadata lack the description")
        try:
            description = json.loads(metadata[ENTRY], object_pairs_hook=_object, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"the description of the network is not JSON: {error}") from None
        return description, tensors


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")
