"""Text from outside (names of layers, columns and files, labels), made safe to show anywhere."""

from collections.abc import Iterable

__all__ = ["in_ascii", "in_words", "line_width", "many", "printable", "span"]


def printable(text: object) -> str:
    r"""Return text as one line of characters that can be printed and written to a file.

    Bytes of a file's name that are not UTF-8, which Python keeps as surrogate characters, are written as escapes.

    >>> printable("a layer\nof my own"), printable("caf\udce9.csv")
    ('a layer of my own', 'caf\\xe9.csv')
    """
    text = str(text)
    return text if text.isprintable() else "".join(map(_character, text))


def _character(c: str) -> str:
    if "\udc80" <= c <= "\udcff":
        return f"\\x{ord(c) - 0xDC00:02x}"
    return c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"


def in_ascii(text: str) -> str:
    r"""Return text in ASCII, with all other characters escaped, for any terminal and any encoding of a file.

    >>> in_ascii("größe")
    'gr\\xf6\\xdfe'
    """
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")


def in_words(names: Iterable[str]) -> str:
    """Return a list as it is said.

    >>> in_words(["a"]), in_words(["a", "b"]), in_words(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def line_width() -> int:
    """Return the length of a printed line: the terminal's width (or COLUMNS), or 80 where there is no terminal."""
    import os
    import shutil  # here, since it takes longer to load than most of the library
    import sys

    terminal = os.environ.get("COLUMNS") or (sys.stdout is not None and sys.stdout.isatty())
    return shutil.get_terminal_size((80, 24)).columns if terminal else 80


def many(n: int, what: str) -> str:
    """Return a number of things in words.

    >>> many(1, "row"), many(1234, "row")
    ('1 row', '1,234 rows')
    """
    return f"{n:,} {what}{'s' * (n != 1)}"


def span(columns: tuple[int, ...]) -> str:
    """Return the columns of an index as NumPy takes it.

    >>> span((2, 3, 4)), span((3,)), span((4, 0))
    ('2:5', '3:4', '[4, 0]')
    """
    first, stop = columns[0], columns[0] + len(columns)
    return f"{first}:{stop}" if columns == tuple(range(first, stop)) else str([*columns])
