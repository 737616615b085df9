"""The report of a diagnosis: how its findings are shown."""

import html
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from fullyconnected.core.wording import in_ascii, line_width
from fullyconnected.diagnosis.findings import SEVERITIES, Finding

__all__ = ["Diagnosis"]

COLUMNS = ("severity", "where", "what was seen, and what to change")
LEAST = 30  # the width of the last column, below which it goes into lines of its own


@dataclass(frozen=True)
class Diagnosis:
    """The outcome of :func:`fullyconnected.diagnose`: prints as a table; a notebook shows it as one.

    Attributes
    ----------
    findings : tuple of Finding
        What was found, the most important first: errors, warnings, notes, and causes before their consequences. Empty
        for a healthy network.
    about : str
        What was looked at: rows, loss, and the loss of a constant prediction.
    left_out : tuple of str
        What could not be looked at, and why.
    """

    findings: tuple[Finding, ...]
    about: str
    left_out: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are notes at most."""
        return all(each.severity == "note" for each in self.findings)

    @property
    def summary(self) -> str:
        """How many findings of each severity there are, in words."""
        counts = {name: sum(each.severity == name for each in self.findings) for name in SEVERITIES}
        told = ", ".join(f"{n} {name}{'s' * (n != 1)}" for name, n in counts.items() if n)
        return told or "nothing was found"

    def __str__(self) -> str:
        width = line_width()
        lines = textwrap.wrap(f"{self.summary}: {self.about}", width)
        heads = [(each.severity, in_ascii(each.where)) for each in self.findings]
        widths = [max(map(len, cells)) for cells in zip(COLUMNS[:2], *heads, strict=True)]
        room = width - sum(widths) - 4
        if heads and room >= LEAST:
            rule = "  ".join("-" * n for n in (*widths, room))
            lines += ["", f"{COLUMNS[0]:<{widths[0]}}  {COLUMNS[1]:<{widths[1]}}  {COLUMNS[2]}", rule]
        for (severity, where), text in zip(heads, self._texts(room if room >= LEAST else width - 2), strict=True):
            start = f"{severity:<{widths[0]}}  {where:<{widths[1]}}  "
            if room < LEAST:
                lines, start = [*lines, "", f"{severity}  {where}"], "  "
            lines += [(start if i == 0 else " " * len(start)) + line for i, line in enumerate(text)]
        lines += [""] * bool(heads and self.left_out)
        for each in self.left_out:
            lines += textwrap.wrap(f"not looked at: {each}", width, subsequent_indent="  ")
        return "\n".join(lines)

    __repr__ = __str__

    def _texts(self, room: int) -> Iterator[list[str]]:
        """Yield the lines of each finding; advice is not repeated."""
        before = ""
        for each in self.findings:
            change = "-> the same" if each.change == before else f"-> {each.change}"
            before = each.change
            seen = textwrap.wrap(in_ascii(f"{_plain(each.name)}: {each.seen}"), room)
            yield [*seen, *textwrap.wrap(in_ascii(change), room, subsequent_indent="   ")]

    def _repr_html_(self) -> str:
        def cells(row: tuple[str, ...]) -> str:
            return "".join(f'<td style="text-align:left;vertical-align:top">{html.escape(cell)}</td>' for cell in row)

        titles = ("severity", "finding", "where", "what was seen", "what to change")
        head = "".join(f'<th scope="col" style="text-align:left">{title}</th>' for title in titles)
        rows = "".join(
            f"<tr>{cells((each.severity, _plain(each.name), each.where, each.seen, each.change))}</tr>"
            for each in self.findings
        )
        notes = "".join(f"<p>not looked at: {html.escape(each)}</p>" for each in self.left_out)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        found = f"<p>{html.escape(f'{self.summary}: {self.about}')}</p>{table}{notes}"
        return found.encode("ascii", "xmlcharrefreplace").decode()


def _plain(name: str) -> str:
    return name.replace("_", " ")
