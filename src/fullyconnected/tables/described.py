"""Encoders as plain values, which JSON can hold, and back. What is read may come from a stranger, and is checked."""

from __future__ import annotations

import sys
from typing import Any

from fullyconnected.errors import FileFormatError
from fullyconnected.tables.dates import PARTS
from fullyconnected.tables.encoders import CategoryEncoder, DateEncoder, Encoder, NumberEncoder
from fullyconnected.tables.levels import key_of_level
from fullyconnected.tables.texts import Reading

LARGEST = sys.float_info.max

__all__ = ["describe", "read_encoder", "taken"]


def describe(encoder: Encoder) -> dict[str, Any]:
    """Return an encoder as plain values."""
    described: dict[str, Any] = {"name": encoder.name, "kind": encoder.kind, "missing": False}
    match encoder:
        case NumberEncoder():
            described |= {"missing": encoder.missing, "boolean": encoder.boolean, "heavy": encoder.heavy}
        case CategoryEncoder():
            described |= {"missing": encoder.missing, "levels": list(encoder.levels), "rare": encoder.rare}
        case DateEncoder():
            described |= {"missing": encoder.missing, "parts": list(encoder.parts)}
    if isinstance(encoder, NumberEncoder | DateEncoder) and encoder.reading is not None:
        reading = encoder.reading
        described["reading"] = {"of": reading.of, "decimal": reading.decimal, "others": reading.others}
    return described


def read_encoder(described: dict[str, Any]) -> Encoder | None:
    """Return the encoder that ``describe`` has described, or None for a kind that is none; raise if it is damaged."""
    name, missing = taken(described, "name", str), taken(described, "missing", bool)
    match described["kind"]:
        case NumberEncoder.kind:
            boolean, heavy = taken(described, "boolean", bool), taken(described, "heavy", bool)
            return NumberEncoder(name, boolean, missing, heavy, _reading(described, ("numbers", "truth")))
        case CategoryEncoder.kind:
            return CategoryEncoder(name, _levels(described), taken(described, "rare", bool), missing)
        case DateEncoder.kind:
            parts = tuple(taken(described, "parts", list))
            if not parts or list(parts) != [part for part in PARTS if part in parts]:
                raise FileFormatError(f"the column {name!r:.80} has the parts {parts!r:.80} of a date")
            return DateEncoder(name, parts, missing, _reading(described, ("dates",)))
    return None


def taken(described: Any, key: str, kind: type) -> Any:
    """Return the value of a key if it is of exactly this type, or raise."""
    if not isinstance(described, dict) or type(described.get(key)) is not kind:
        found = described.get(key) if isinstance(described, dict) else described
        raise FileFormatError(f"{key!r} of a column is to be a {kind.__name__}; found {found!r:.80}")
    return described[key]


def _reading(described: dict[str, Any], allowed: tuple[str, ...]) -> Reading | None:
    if described.get("reading") is None:
        return None
    given = taken(described, "reading", dict)
    reading = Reading(taken(given, "of", str), taken(given, "decimal", str), taken(given, "others", bool))
    if reading.of not in allowed or reading.decimal not in (".", ","):
        raise FileFormatError(f"the column {described['name']!r:.80} is read in an unknown way: {given!r:.80}")
    return reading


def _levels(described: dict[str, Any]) -> tuple[str, ...] | tuple[float, ...]:
    levels = taken(described, "levels", list)
    text = all(type(level) is str and level == key_of_level(level) != "" for level in levels)
    numbers = all(type(level) in (int, float) and abs(level) <= LARGEST for level in levels)
    if not levels or not (text or numbers) or levels != sorted(set(levels)):
        raise FileFormatError(
            f"the levels of the column {described['name']!r:.80} are to be different texts, or finite numbers, in "
            f"order; found {levels!r:.80}"
        )
    return tuple(levels) if text else tuple(map(float, levels))
