"""From a graph of operations, as other projects describe networks, to parts in a row: sums become residual blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fullyconnected.core.wording import in_words, printable
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.arriving import Part, residual

__all__ = ["Node", "parts_between"]


class Node(NamedTuple):
    """An operation: the parts that it is, and the names of what it reads, one; a sum of two has no parts."""

    parts: tuple[Part, ...]
    reads: tuple[str, ...]
    where: str


def parts_between(nodes: Mapping[str, Node], start: str, end: str) -> list[Part]:
    """Return the parts that lead from the input ``start`` to the result ``end``; each node has the name of its result.

    A sum of h and what parts make of h is a residual block.

    Raises
    ------
    ConfigError
        For a result that does not come from the input, or a sum of other things.
    """
    found: list[tuple[Part, ...]] = []
    at, seen = end, set[str]()
    while at != start:
        node = nodes.get(at)
        if node is None or at in seen:
            raise ConfigError(f"{printable(at)} does not come from the input {printable(start)}")
        seen.add(at)
        if len(node.reads) == 1:
            found.append(node.parts)
            at = node.reads[0]
            continue
        before = [_before(nodes, read) for read in node.reads]
        skipped = next((a for a, other in (node.reads, node.reads[::-1]) if a in before[node.reads.index(other)]), None)
        if len(node.reads) != 2 or skipped is None or node.reads[0] == node.reads[1]:
            raise ConfigError(
                f"{node.where} adds {in_words(map(printable, node.reads))}; a residual block adds its input to what "
                f"its layers make of it"
            )
        inner = node.reads[1 - node.reads.index(skipped)]
        found.append((residual(parts_between(nodes, skipped, inner), node.where),))
        at = skipped
    return [part for parts in reversed(found) for part in parts]


def _before(nodes: Mapping[str, Node], name: str) -> set[str]:
    """Return the names of all results that one is made of."""
    found, waiting = set[str](), [name]
    while waiting:
        for read in nodes[at].reads if (at := waiting.pop()) in nodes else ():
            if read not in found:
                found.add(read)
                waiting.append(read)
    return found
