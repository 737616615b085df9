"""All digits of the numbers in the picture, for each row that can be chosen and after the update, for the script."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

from fullyconnected.core.arrays import Shape
from fullyconnected.explanation.render.page.plan import Plan
from fullyconnected.symbolic.digits import shown
from fullyconnected.symbolic.expression import Name

__all__ = ["numbers"]

DRAWN = re.compile(r'data-q="([^"]*)\[([\d,]*)\]"')


def numbers(plan: Plan, drawn: str) -> str:
    """Return the data block for a picture: what its numbers are in each row that is listed, and what all are called."""
    by_row: dict[str, dict[str, list[str]]] = {}
    others: dict[str, dict[str, str]] = {}
    for name, at in _drawn(plan, drawn):
        array = plan.trace.values[name]
        if not plan.has_rows(name):
            others.setdefault(name.quantity, {})[",".join(map(str, at))] = shown(array[at])
            continue
        unit = ",".join(str(i) for k, i in enumerate(at) if k != plan.axis % len(at))
        places = [_in_row(at, plan.axis, row) for row in plan.listed]
        by_row.setdefault(name.quantity, {})[unit] = [shown(array[place]) for place in places]
    for loss in ("L", "E"):
        for name in (each for each in plan.trace.values if each.full == loss and not each.of):
            others[name.quantity] = {"": shown(plan.trace.values[name])}
    called = {
        name.quantity: name.text
        for name in plan.trace.values
        if not name.of and not name.new and ":" not in name.full and name.quantity != name.text
    }
    data: dict[str, Any] = {"listed": plan.listed, "rows": by_row, "others": others, "names": called}
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="values">{text}</script>'


def _drawn(plan: Plan, drawn: str) -> Iterator[tuple[Name, Shape]]:
    """Yield the numbers of a picture, and what they are after the update."""
    known = {name.quantity: name for name in plan.trace.values}
    for quantity, at in dict.fromkeys(DRAWN.findall(drawn)):
        name = known.get(unescape(quantity))
        if name is not None:
            entry = tuple(map(int, at.split(",")))
            yield name, entry
            if not name.of and (fresh := replace(name, new=True)) in plan.trace.values:
                yield fresh, entry


def _in_row(at: Shape, axis: int, row: int) -> Shape:
    return tuple(row if k == axis % len(at) else i for k, i in enumerate(at))
