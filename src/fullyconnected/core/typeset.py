"""Lines of text for a terminal of any width: paragraphs, and tables whose last column may have lines of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from fullyconnected.core.wording import in_ascii

__all__ = ["cut", "table", "wrapped"]

LEAST = 24  # the width of a last column, below which it goes into lines of its own


def wrapped(text: str, width: int, *, indent: int = 0, letters: bool = False) -> list[str]:
    """Return the lines of a paragraph, all but the first indented; in ASCII, unless it may keep its ``letters``."""
    return textwrap.wrap(text if letters else in_ascii(text), max(width, 10), subsequent_indent=" " * indent)


def cut(text: str, longest: int) -> str:
    """Return a text, shortened if it is longer.

    >>> cut("temperature", 20), cut("temperature", 8)
    ('temperature', 'tempe...')
    """
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    width: int,
    right: Sequence[int] = (),
    *,
    letters: bool = False,
) -> list[str]:
    """Return the lines of a table, whose last column is wrapped, or has lines of its own where there is no room.

    Parameters
    ----------
    head : sequence of str
        The names of the columns.
    rows : iterable of sequences of str
        The cells.
    width : int
        The longest line; only the first column gives way if the others alone are longer.
    right : sequence of int
        The columns whose cells stand at the right, as numbers do.
    letters : bool
        Whether cells keep letters that are not in ASCII.
    """
    cells = [[cell if letters else in_ascii(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    before = sum(widths[:-1]) + 2 * (len(head) - 1)
    below = before + min(widths[-1], LEAST) > width  # the last column has lines of its own
    if below and before - 2 > width:
        widths[0] = max(len(head[0]), widths[0] - (before - 2 - width))
    room = max(width - (2 if below else before), 10)

    def line(row: Sequence[str]) -> str:
        first = cut(row[0], widths[0]).ljust(widths[0])
        texts = [row[i].rjust(widths[i]) if i in right else row[i].ljust(widths[i]) for i in range(1, len(row))]
        return "  ".join([first, *texts])

    shown = head[:-1] if below else head
    lines = [line(shown), "  ".join("-" * n for n in [*widths[:-1], min(widths[-1], room)][: len(shown)])]
    for row in cells:
        last = textwrap.wrap(row[-1], room) or [""]
        if below:
            lines += [line(row[:-1]), *(f"  {each}" for each in last)]
        else:
            lines += [line([*row[:-1], last[0]]), *(" " * before + each for each in last[1:])]
    return lines
