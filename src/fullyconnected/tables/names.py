"""The names of columns: when two of them are the same."""

from unicodedata import normalize

__all__ = ["key_of"]


def key_of(name: str) -> str:
    """Return a column's name in Unicode's composed form, in which names are compared."""
    return normalize("NFC", name)
