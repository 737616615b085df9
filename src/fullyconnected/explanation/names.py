"""What a user has called things, so that every notation takes it: layers, parameters and rules may have any names."""

import unicodedata

__all__ = ["identifier", "printable"]


def printable(text: object) -> str:
    r"""Return text on one line, of signs that can be printed and written to a file.

    >>> printable("a layer\nof my own")
    'a layer of my own'
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def identifier(text: object) -> str:
    """Return text as the beginning of a Python name, which a number may follow.

    >>> identifier("lambda"), identifier("W-x"), identifier("2nd"), identifier("W1")
    ('lambda', 'W_x', 'p2nd', 'W1_')
    """
    text = "".join(c if f"a{c}".isidentifier() else "_" for c in unicodedata.normalize("NFKC", str(text)))
    text = text if text.isidentifier() else f"p{text}"
    return f"{text}_" if text[-1].isdigit() else text
