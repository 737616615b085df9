"""The levels of a category: when two texts are the same level, and how many of them have a code of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from unicodedata import normalize

__all__ = ["MOST_LEVELS", "count_levels", "key_of_level", "most_frequent"]

MOST_LEVELS = 1000  # of a column; the rest of them share a code, since few rows tell of each


def key_of_level(text: str) -> str:
    r"""Return what texts of one level have in common: without space around it, in Unicode's composed form.

    Bytes of a file that were no text are written as escapes, so that a file can hold any level.

    >>> key_of_level(" Oslo"), key_of_level("Tromso\u0308") == "Troms\xf6", key_of_level("caf\udce9")
    ('Oslo', True, 'caf\\udce9')
    """
    text = text.strip()
    return text if text.isascii() else normalize("NFC", text).encode("utf-8", "backslashreplace").decode()


def count_levels(texts: Iterable[str | None]) -> dict[str, int]:
    """Return how often each level occurs, by its key; None, a missing value, is no level."""
    found = Counter(texts)
    del found[None]
    levels: dict[str, int] = {}
    for text, times in found.items():
        key = key_of_level(str(text))
        levels[key] = levels.get(key, 0) + times
    return levels


def most_frequent(levels: Mapping[str, int]) -> tuple[str, ...]:
    """Return the levels that have a code of their own, sorted: of those that occur equally often, the first by name."""
    first = sorted(levels, key=lambda key: (-levels[key], key))[:MOST_LEVELS]
    return tuple(sorted(first))
