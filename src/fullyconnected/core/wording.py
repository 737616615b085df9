"""What others have written - names of layers and columns, labels, names of files - so that it can be shown anywhere."""

__all__ = ["in_ascii", "printable"]


def printable(text: object) -> str:
    r"""Return text on one line, of signs that can be printed and written to a file.

    The bytes of a file's name that are no UTF-8, which Python holds as signs of their own, are written as numbers.

    >>> printable("a layer\nof my own"), printable("caf\udce9.csv")
    ('a layer of my own', 'caf\\xe9.csv')
    """
    text = str(text)
    return text if text.isprintable() else "".join(map(_sign, text))


def _sign(c: str) -> str:
    if "\udc80" <= c <= "\udcff":
        return f"\\x{ord(c) - 0xDC00:02x}"
    return c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"


def in_ascii(text: str) -> str:
    r"""Return text that every terminal and every encoding of a file has, other letters as Python writes them.

    >>> in_ascii("größe")
    'gr\\xf6\\xdfe'
    """
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")
