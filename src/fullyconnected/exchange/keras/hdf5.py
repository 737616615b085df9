"""The part of HDF5 that Keras writes: groups, arrays that lie in the file as they are, and texts as attributes.

A reader of all of HDF5 follows links into other files, loads filters, and can be led in circles by a damaged file.
This one knows none of that, and what it reads of a file is bounded: each byte a few times over.

Source: The HDF Group, "HDF5 file format specification", version 3.0: superblocks 0 and 1, object headers of version 1,
and groups as symbol tables, which are the format by default.
"""

from __future__ import annotations

import math
import struct
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.errors import FileFormatError

__all__ = ["SIGNATURE", "Hdf5", "Item"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
OFTEN = 8  # times that each byte of a file may be read, on average
SPACE, TYPE, OUTSIDE, LAYOUT, FILTERS, ATTRIBUTE, CONTINUED, SYMBOLS = 0x1, 0x3, 0x7, 0x8, 0xB, 0xC, 0x10, 0x11
NEWER = (0x2, 0x6)  # groups as links
CONTIGUOUS = 1
SOFT_LINK = 2
SHARED = 2  # the flag of a message that lies elsewhere
WHOLE, FLOAT, TEXT, VARIABLE = 0, 1, 3, 9  # classes of types
FLOATS = {
    (2, 10, 5, 0, 10, 15): "f2",
    (4, 23, 8, 0, 23, 127): "f4",
    (8, 52, 11, 0, 52, 1023): "f8",
}  # by size, places and lengths of exponent and mantissa, and bias


class Message(NamedTuple):
    """A part of the header of an object."""

    kind: int
    data: bytes


class Hdf5:
    """A file, of which at most so much is read as it has bytes for."""

    def __init__(self, data: bytes) -> None:
        self.data, self.left = data, OFTEN * len(data) + (1 << 16)
        self.heaps: dict[int, dict[int, tuple[int, int]]] = {}
        version, sizes = data[8:9], data[13:15]
        if data[:8] != SIGNATURE or version not in (b"\x00", b"\x01") or sizes != b"\x08\x08":
            raise FileFormatError(
                "it is HDF5 in another version than the one that Keras writes: load it in Keras, and save it again"
            )
        at = 24 + 4 * version[0]
        if self.number(at, 8):
            raise FileFormatError("its HDF5 begins elsewhere than at its first byte")
        self.root = Item(self, self.number(at + 40, 8))

    def read(self, at: int, n: int) -> bytes:
        """Return some bytes, which lie in the file."""
        self.require(at, n)
        return self.data[at : at + n]

    def require(self, at: int, n: int) -> None:
        """Raise if some bytes do not lie in the file, or too many have been read."""
        if n < 0 or at < 0 or at + n > len(self.data):
            raise FileFormatError(f"its HDF5 is cut short or damaged: there are no {n} bytes at {at}")
        self.left -= n
        if self.left < 0:
            raise FileFormatError("its HDF5 is damaged: it leads to the same places again and again")

    def number(self, at: int, n: int) -> int:
        """Return a whole number of n bytes."""
        return int.from_bytes(self.read(at, n), "little")

    def expect(self, at: int, signature: str) -> None:
        """Raise if a block does not begin with its four letters."""
        if self.read(at, 4) != signature.encode():
            raise FileFormatError(f"its HDF5 is damaged: there is no {signature} at {at}")

    def text(self, length: int, heap: int, index: int) -> bytes:
        """Return a text of some length, which a heap in the file holds under a number."""
        at, size = self._places(heap).get(index, (0, -1))
        if length > size:
            raise FileFormatError("its HDF5 is damaged: a text is not there")
        return self.read(at, length)

    def _places(self, heap: int) -> dict[int, tuple[int, int]]:
        """Return where a heap holds what, and how many bytes of it."""
        if heap not in self.heaps:
            self.expect(heap, "GCOL")
            found = self.heaps[heap] = {}
            at, end = heap + 16, heap + self.number(heap + 8, 8)
            while at + 16 <= end:
                index, size = struct.unpack("<H6xQ", self.read(at, 16))
                if not index:
                    break
                found[index] = at + 16, size
                at += 16 + size + -size % 8
        return self.heaps[heap]

    def at(self, *names: str) -> Item | None:
        """Return what a path of groups leads to, or None."""
        found: Item | None = self.root
        for name in names:
            if found is None or name not in found.children:
                return None
            found = found.children[name]
            if found is None:
                raise FileFormatError(f"{'/'.join(names)!a:.200} is a link to another place, not what Keras writes")
        return found


class Item:
    """A group or an array in a file."""

    def __init__(self, file: Hdf5, address: int) -> None:
        self.file, self.address = file, address

    @cached_property
    def messages(self) -> list[Message]:
        """The parts of its header."""
        file, at = self.file, self.address
        if file.number(at, 1) != 1:
            raise FileFormatError(f"its HDF5 has an object at {at} in another version than the one that Keras writes")
        left, blocks, found = file.number(at + 2, 2), [(at + 16, file.number(at + 8, 4))], list[Message]()
        for at, length in blocks:  # to which it may add more
            end = at + length
            while at + 8 <= end and left:
                kind, size, flags = struct.unpack("<HHB3x", file.read(at, 8))
                data = file.read(at + 8, size)
                left, at = left - 1, at + 8 + size
                if kind == CONTINUED:
                    blocks.append(struct.unpack_from("<QQ", _at_least(data, 16)))
                elif kind in (SPACE, TYPE, LAYOUT, ATTRIBUTE, SYMBOLS) and flags & SHARED:
                    raise FileFormatError("its HDF5 keeps headers that objects share, which Keras does not write")
                else:
                    found.append(Message(kind, data))
        return found

    def message(self, kind: int) -> bytes | None:
        """Return the first part of the header of a kind, or None."""
        return next((each.data for each in self.messages if each.kind == kind), None)

    @cached_property
    def children(self) -> dict[str, Item | None]:
        """What a group holds by name, and None for a link to another place; an array holds nothing."""
        if any(each.kind in NEWER for each in self.messages):
            raise FileFormatError(
                "its HDF5 has groups of another version than Keras writes, which may hold links to other files"
            )
        if (table := self.message(SYMBOLS)) is None:
            return {}
        file = self.file
        tree, heap = struct.unpack_from("<QQ", _at_least(table, 16))
        file.expect(heap, "HEAP")
        length, names = file.number(heap + 8, 8), file.number(heap + 24, 8)
        texts = file.read(names, length)
        found: dict[str, Item | None] = {}
        nodes, seen = [tree], set[int]()
        while nodes:
            if (at := nodes.pop()) in seen:
                raise FileFormatError("its HDF5 is damaged: a group holds itself")
            seen.add(at)
            file.expect(at, "TREE")
            kind, level, count = struct.unpack("<BBH", file.read(at + 4, 4))
            if kind:
                raise FileFormatError("its HDF5 is damaged: a group is not one of names")
            below = [file.number(at + 32 + 16 * i, 8) for i in range(count)]
            if level:
                nodes += below
                continue
            for node in below:
                file.expect(node, "SNOD")
                for i in range(file.number(node + 6, 2)):
                    name, header, cache = struct.unpack("<QQI", file.read(node + 8 + 40 * i, 20))
                    end = texts.find(b"\0", name)
                    if end < 0:
                        raise FileFormatError("its HDF5 is damaged: a name has no end")
                    found[texts[name:end].decode("utf-8")] = None if cache == SOFT_LINK else Item(file, header)
        return found

    def array(self, name: str) -> Array:
        """Return the numbers of an array, which is called ``name``."""
        layout, space, kind = (self.message(each) for each in (LAYOUT, SPACE, TYPE))
        if layout is None or space is None or kind is None:
            raise FileFormatError(f"the weights {name!a:.200} are not there")
        if self.message(OUTSIDE) is not None:
            raise FileFormatError(f"the weights {name!a:.200} lie in another file")
        if self.message(FILTERS) is not None or _at_least(layout, 2)[:2] != bytes([3, CONTIGUOUS]):
            raise FileFormatError(
                f"the weights {name!a:.200} do not lie in the file as they are, as Keras writes them; they are in "
                f"chunks, compressed or virtual: load the model in Keras, and save it again"
            )
        dtype, shape = _dtype(kind, name), _shape(space)
        address, held = struct.unpack_from("<QQ", _at_least(layout, 18), 2)
        needed = math.prod(shape) * dtype.itemsize
        if needed != held or needed > len(self.file.data):
            raise FileFormatError(
                f"the weights {name!a:.200} have the shape {shape}, for which the file has too few bytes"
            )
        if not needed:
            return np.zeros(shape, dtype)
        self.file.require(address, needed)
        return np.frombuffer(self.file.data, dtype, math.prod(shape), address).reshape(shape)

    @cached_property
    def attributes(self) -> dict[str, tuple[bytes, bytes, bytes]]:
        """The type, the shape and the data of each attribute by its name."""
        found: dict[str, tuple[bytes, bytes, bytes]] = {}
        for data in (each.data for each in self.messages if each.kind == ATTRIBUTE):
            version, flags, *lengths = struct.unpack_from("<BBHHH", _at_least(data, 8))
            if version not in (1, 2, 3) or (version > 1 and flags):
                raise FileFormatError("its HDF5 has attributes in another version than the one that Keras writes")
            at, parts = 8 + (version == 3), []
            for length in lengths:
                parts.append(_at_least(data, at + length)[at : at + length])
                at += length + (-length % 8 if version == 1 else 0)
            name, kind, space = parts
            found.setdefault(name.rstrip(b"\0").decode("utf-8"), (kind, space, data[at:]))
        return found

    def texts(self, name: str) -> list[str] | None:
        """Return the texts of an attribute, or None if there is none; a single text is a list of one."""
        if name not in self.attributes:
            return None
        kind, space, data = self.attributes[name]
        count, size = math.prod(_shape(space)), int.from_bytes(_at_least(kind, 8)[4:8], "little")
        held = data[: count * size]
        if len(held) != count * size:
            raise FileFormatError(f"its HDF5 is damaged: the attribute {name!a:.80} is cut short")
        cells = [held[i * size : (i + 1) * size] for i in range(count)] if size else []
        if kind[0] & 15 == TEXT:
            found = [cell.rstrip(b"\0") for cell in cells]
        elif kind[0] & 15 == VARIABLE and kind[1] & 15 == 1 and size == 16:
            found = [self.file.text(*struct.unpack("<IQI", cell)) for cell in cells]
        elif cells:
            raise FileFormatError(f"the attribute {name!a:.80} is no text")
        else:
            found = []  # Keras writes no names as an array without numbers
        return [text.decode("utf-8") for text in found]


def _at_least(data: bytes, n: int) -> bytes:
    if len(data) < n:
        raise FileFormatError("its HDF5 is damaged: a header is cut short")
    return data


def _shape(space: bytes) -> Shape:
    version, rank, _, kind = _at_least(space, 4)[:4]
    start = {1: 8, 2: 4}.get(version)
    if start is None or (version == 2 and kind == 2):
        raise FileFormatError("its HDF5 has an array without a shape")
    return struct.unpack_from(f"<{rank}Q", _at_least(space, start + 8 * rank), start)


def _dtype(kind: bytes, name: str) -> np.dtype[Any]:
    """Return the type of numbers."""
    size, order = int.from_bytes(_at_least(kind, 8)[4:8], "little"), "<>"[kind[1] & 1]
    if kind[0] & 15 == WHOLE and size in (1, 2, 4, 8):
        return np.dtype(f"{order}{'i' if kind[1] & 8 else 'u'}{size}")
    if kind[0] & 15 == FLOAT:
        layout = struct.unpack_from("<4BI", _at_least(kind, 20), 12)
        if found := FLOATS.get((size, *layout)):
            return np.dtype(order + found)
    raise FileFormatError(f"the weights {name!a:.200} are of a type that is no float32, float64 or float16")
