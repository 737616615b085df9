"""Tables as HTML: of the columns of a table, of networks, and of what they rely on, for a page or a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from fullyconnected.core.wording import printable
from fullyconnected.pages.charts import bar
from fullyconnected.tables.kinds import Decision

__all__ = ["bars", "cut", "of_columns", "of_networks", "plain", "scrolled", "table", "text"]

LONGEST = 80  # characters of a name
MOST, OPEN = 1000, 40  # columns that are listed, and those that are without a click

Network = tuple[str, float, int, tuple[int, ...]]


def text(value: object) -> str:
    """Return text from outside as HTML: printable, and escaped."""
    return escape(printable(value))


def plain(value: object, longest: int = 40) -> str:
    """Return text from outside that can be printed, shortened if it is long; it is not HTML."""
    said = printable(value)
    return said if len(said) <= longest else f"{said[: longest - 3]}..."


def cut(value: object, longest: int = LONGEST) -> str:
    """Return text from outside as HTML, shortened if it is long."""
    return escape(plain(value, longest))


def scrolled(what: str) -> str:
    """Return the beginning of a region for a table that may be wider than the page; the keyboard can scroll it.

    ``what`` is its name as HTML, which no other region of the page has.
    """
    return f'<div class="scroll" role="region" tabindex="0" aria-label="Table: {what}">'


def table(
    what: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = (), kind: str = ""
) -> Iterator[str]:
    """Yield a table, whose first cells are the heads of rows; all that is given is HTML.

    ``what`` is its name in the page, and ``numbers`` are the columns that are aligned to the right.
    """
    right = [' class="n"' if i in numbers else "" for i in range(len(head))]
    yield scrolled(what) + f"<table{f' class={kind!r}' if kind else ''}>"
    cells = "".join(
        f'<th scope="col"{side}>{cell}</th>' if cell else "<td></td>" for cell, side in zip(head, right, strict=True)
    )
    yield f"<thead><tr>{cells}</tr></thead><tbody>"
    for first, *others in rows:
        cells = "".join(f"<td{side}>{cell}</td>" for cell, side in zip(others, right[1:], strict=True))
        yield f'<tr><th scope="row">{first}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def of_columns(decisions: Sequence[Decision], *, drawn: bool = True) -> Iterator[str]:
    """Yield what each column is, how much of it is missing (with a bar, where these are drawn), and why."""
    head, numbers = ("column", "kind", "missing", "different"), (2, 3)
    rows = [_column(each, drawn) for each in decisions[:MOST]]
    yield from table("columns", head, rows[:OPEN], numbers=numbers)
    if len(rows) > OPEN:
        yield f"<details><summary>{len(rows) - OPEN:,} more columns</summary>"
        yield from table("more columns", head, rows[OPEN:], numbers=numbers)
        yield "</details>"
    if len(decisions) > MOST:
        yield f"<p>{len(decisions) - MOST:,} further columns are not listed.</p>"


def _column(each: Decision, drawn: bool) -> tuple[str, ...]:
    why = "; ".join(filter(None, (each.why, each.note)))
    kind = each.kind if each.used else f"{each.kind}<br><small>left out</small>"
    missing = f"{each.missing:.1%}" + (bar(each.missing, "two") if drawn else "") if each.missing else ""
    return f"{cut(each.column)}<small>{text(why)}</small>", kind, missing, f"{each.levels:,}"


def of_networks(networks: Sequence[Network]) -> Iterator[str]:
    """Yield the networks of an ensemble, what each counts, and the epochs whose weights its members keep."""
    rows = [
        (text(view), f"{share:.0%}", f"{len(kept)}", f"{epochs:,}", _span(kept))
        for view, share, epochs, kept in networks
    ]
    head = ("network", "counts", "members", "epochs", "kept from epoch")
    yield from table("networks", head, rows, numbers=(1, 2, 3, 4))


def bars(what: str, head: Sequence[str], pairs: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    """Yield a table of names with numbers and a bar each: the name as text, the number as HTML, and a share."""
    cells = [(cut(name), told, bar(share)) for name, told, share in pairs]
    yield from table(what, [*head, ""], cells, numbers=(1,), kind="bars-table")


def _span(epochs: Sequence[int]) -> str:
    low, high = min(epochs), max(epochs)
    return f"{low}" if low == high else f"{low} to {high}"
