"""Arrays: named views of a flat vector, and buffers that a layer or a loss requests by name.

All parameters of a network are one contiguous vector, so that an optimizer, a norm, a snapshot or a checkpoint is
one line. The layers see named views of it: ``p.W``, ``p.b``.
"""

import math
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fullyconnected.core import deprecation
from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import InputTypeError, MissingNameError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "BLOCK",
    "Array",
    "Buffer",
    "BufferSpecs",
    "Cache",
    "Shape",
    "Views",
    "aligned",
    "allocate",
    "bind_buffers",
    "dot",
    "new_buffers",
    "of_usual_size",
    "take",
]

BLOCK = 1024  # products that are added up in their own dtype, before float64 takes over
LINE = 64  # bytes of a cache line, and of the widest vector of a processor

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]


class Buffer(NamedTuple):
    """A request for a buffer whose dtype is not the network's, such as a mask; with a value, it is that constant."""

    shape: Shape
    dtype: type
    value: Array | None = None


# Buffers by the names under which they were asked for, and xp, the array namespace.
Cache = SimpleNamespace

# The buffers that a layer requests, by name: each a shape (in the network's dtype), a Buffer, or a constant array.
BufferSpecs = Mapping[str, Shape | Buffer | Array]


class Views:
    """Named arrays that share memory with a flat vector: reading gives the view, assigning copies into it.

    >>> theta = np.zeros(6)
    >>> p = Views({"W": theta[:4].reshape(2, 2), "b": theta[4:]})
    >>> p.b = [1, 2]
    >>> theta
    array([0., 0., 0., 0., 1., 2.])
    """

    def __init__(self, views: Mapping[str, Array]) -> None:
        self.__dict__.update(views)

    def __setattr__(self, name: str, value: "ArrayLike") -> None:
        view = getattr(self, name)
        if not isinstance(view, np.ndarray):  # on a card, which takes what is there alone
            view[...] = value
            return
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise InputTypeError(f"{name} must be set to numbers; got {array.dtype}")
        if array.shape not in (view.shape, ()):
            raise ShapeError(f"{name} has shape {view.shape}; got {array.shape}")
        with np.errstate(over="ignore"):  # a number too large for the dtype becomes infinite, which training refuses
            view[...] = array

    def __getattr__(self, name: str) -> Array:  # reached only for names that do not exist
        if (new := deprecation.PARAMETERS.get(name)) in self.__dict__:
            deprecation.warn(name, new)
            return self.__dict__[new]
        raise MissingNameError(f"there is no parameter {name!r} here, only {', '.join(self.__dict__) or 'none'}")

    def __iter__(self) -> Iterator[tuple[str, Array]]:
        return iter(self.__dict__.items())

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        return in_ascii(f"Views({', '.join(f'{name} {view.shape}' for name, view in self)})")


def dot(xp: Any, a: Array, b: Array) -> Any:
    """Return the dot product of two arrays, read in C order; the sums of blocks of 1024 are added up in float64.

    A float32 sum of a million numbers loses accuracy where a processor adds them one after the other.

    >>> round(float(dot(np, np.full(100_000, 0.1, np.float32), np.ones(100_000, np.float32))), 1)
    10000.0
    """
    if a.size <= BLOCK:
        return xp.vdot(a, b)
    a, b = a.reshape(-1), b.reshape(-1)
    if not isinstance(a, np.ndarray):  # a card adds up in a tree, which loses nothing
        return xp.vdot(a, b)
    total: Any = 0.0
    for at in range(0, a.size, BLOCK):
        total = xp.add(total, xp.vdot(a[at : at + BLOCK], b[at : at + BLOCK]), dtype=np.float64)
    return total


def take(a: Array, places: Array, out: Array, axis: int | None = None) -> None:
    """Write the entries of an array at these places, or its rows with ``axis=0``, into ``out``; no place is outside.

    >>> take(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0, 1]), out := np.empty((3, 2)), axis=0)
    >>> out[:, 0]
    array([3., 1., 3.])
    """
    if isinstance(a, np.ndarray):
        a.take(places, axis, out, "clip")  # with any other mode NumPy buffers the output
    else:  # CuPy's has no mode, and no buffer
        a.take(places, axis, out)


def aligned(size: int, dtype: np.dtype[Any], value: float) -> Array:
    """Return a flat vector of one value that begins with a cache line, so that no wide vector lies in two of them."""
    dtype = np.dtype(dtype)
    memory = np.empty(size * dtype.itemsize + LINE, np.uint8)
    first = -memory.__array_interface__["data"][0] % LINE
    vector = memory[first : first + size * dtype.itemsize].view(dtype)
    vector.fill(value)
    return vector


def allocate(wanted: BufferSpecs, dtype: np.dtype[Any], xp: Any = np) -> dict[str, Array]:
    """Return flat memory for each requested buffer. Floats start as NaN, to expose a read before a write."""
    memory = {}
    for name, want in wanted.items():
        if not isinstance(want, np.ndarray) and getattr(want, "value", None) is None:
            shape, kind = (want.shape, want.dtype) if isinstance(want, Buffer) else (want, dtype)
            memory[name] = xp.full(math.prod(shape), math.nan if np.dtype(kind).kind == "f" else 1, kind)
    return memory


def bind_buffers(memory: Mapping[str, Array], wanted: BufferSpecs, dtype: np.dtype[Any], xp: Any = np) -> Cache:
    """Return the requested buffers as views of the beginnings of ``memory``, the constants, and ``xp``, by name."""
    cache = Cache(xp=xp)
    for name, want in wanted.items():
        if isinstance(want, np.ndarray):
            setattr(cache, name, xp.array(want, dtype if want.dtype.kind == "f" else want.dtype))
        elif isinstance(want, Buffer) and want.value is not None:
            setattr(cache, name, xp.array(want.value, want.dtype))
        else:
            shape = want.shape if isinstance(want, Buffer) else want
            setattr(cache, name, memory[name][: math.prod(shape)].reshape(shape))
    return cache


def new_buffers(wanted: BufferSpecs, dtype: np.dtype[Any]) -> Cache:
    """Return the requested buffers in memory of their own, and the constants, by name."""
    cache = Cache(xp=np)
    for name, want in wanted.items():
        if isinstance(want, np.ndarray | Buffer):
            return bind_buffers(allocate(wanted, dtype), wanted, dtype)
        setattr(cache, name, np.full(want, math.nan, dtype))
    return cache


def of_usual_size(weights: Array) -> Array:
    """Return weights, 0 or more, of which only the ratios count, so that sums and squares of them are finite.

    They are divided by a power of two, which changes no digit, and only if the largest is huge or tiny.

    >>> of_usual_size(np.array([1.0, 3.0])), of_usual_size(np.array([2.0**1000, 2.0**1001]))
    (array([1., 3.]), array([0.25, 0.5 ]))
    """
    largest = float(weights.max(initial=0.0))
    return weights if largest == 0 or 1e-9 < largest < 1e9 else np.ldexp(weights, -math.frexp(largest)[1])
