"""From a graph of operations, as other projects describe networks, to parts in a row: sums become residual blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from fullyconnected.core.wording import in_words, printable
from fullyconnected.errors import ConfigError

__all__ = ["Node", "parts_between"]

P = TypeVar("P")  # a part, or what becomes one later


class Node(NamedTuple, Generic[P]):
    """An operation: the parts that it is, and the names of what it reads, one; a sum of two has no parts."""

    parts: tuple[P, ...]
    reads: tuple[str, ...]
    where: str


def parts_between(
    nodes: Mapping[str, Node[P]], start: str, end: str, block: Callable[[Sequence[P], str], P]
) -> list[P]:
    """Return the parts that lead from the input ``start`` to the result ``end``.

    Each node has the name of its result, and stands behind those that it reads. A sum of h and what parts make of h
    becomes the ``block`` of these parts and of where the sum stands, such as
    :func:`fullyconnected.exchange.arriving.residual`.

    Raises
    ------
    ConfigError
        For a result that does not come from the input, or a sum of other things.
    """
    places = {start: -1} | {name: i for i, name in enumerate(nodes)}
    return _between(nodes, places, start, end, block)


def _between(
    nodes: Mapping[str, Node[P]],
    places: Mapping[str, int],
    start: str,
    end: str,
    block: Callable[[Sequence[P], str], P],
) -> list[P]:
    found: list[P] = []
    at = end
    while at != start:
        if at not in nodes or places[at] <= places[start]:
            raise _Apart(f"{printable(at[:200])} does not come from the input {printable(start[:200])}")
        node = nodes[at]
        if len(node.reads) == 1:
            found += node.parts[::-1]
            at = node.reads[0]
            continue
        try:
            # only the later of both can be made of the other
            skipped, inner = sorted(node.reads, key=lambda name: places.get(name, -1))
            parts = _between(nodes, places, skipped, inner, block)
            if not parts:
                raise _Apart("it is doubled")
        except (_Apart, ValueError) as error:
            raise ConfigError(
                f"{node.where} adds {in_words(printable(each[:200]) for each in node.reads)}; a residual block adds "
                f"its input to what its layers make of it"
            ) from error
        found.append(block(parts, node.where))
        at = skipped
    return found[::-1]


class _Apart(ConfigError):
    """A result does not come from another one."""
