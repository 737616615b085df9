"""Users' names of layers, parameters and optimizers, converted so that every notation accepts them."""

import unicodedata

__all__ = ["identifier", "latin"]


def latin(text: object) -> str:
    """Return text in ASCII: letters lose their accents, and others are spelled by their Unicode names.

    >>> latin("größe"), latin("γ"), latin("Δx"), latin("字"), latin("a-b")
    ('grosse', 'gamma', 'Deltax', 'u5b57', 'a-b')
    """
    return "".join(map(_latin, unicodedata.normalize("NFKD", str(text).replace("ß", "ss"))))


def _latin(c: str) -> str:
    if c.isascii() or unicodedata.combining(c):
        return c if c.isascii() else ""
    kind, _, called = unicodedata.name(c, "").partition(" LETTER ")
    called = called.partition(" WITH ")[0].replace("LAMDA", "LAMBDA")
    if not called.isalpha():
        return f"u{ord(c):x}" if c.isalnum() else "_"
    return called.capitalize() if kind.endswith("CAPITAL") else called.lower()


def identifier(text: object) -> str:
    """Return text as a Python name in ASCII that does not end with a digit, so that a number can follow.

    >>> identifier("lambda"), identifier("W-x"), identifier("2nd"), identifier("W1"), identifier("β")
    ('lambda', 'W_x', 'p2nd', 'W1_', 'beta')
    """
    text = "".join(c if c.isalnum() else "_" for c in latin(text))
    text = text if text.isidentifier() else f"p{text}"
    return f"{text}_" if text[-1].isdigit() else text
