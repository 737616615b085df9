"""A rule that works entry by entry, as one kernel: its own code is run once on names, and what it does is written down.

Each call of an array function would be a kernel of its own, which reads and writes all entries: the twelve of Adam move
five times as many bytes as there are.
"""

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from fullyconnected.engine.cuda.numbers import Number, Numbers
from fullyconnected.engine.updates import Update

__all__ = ["run_fused"]

THREADS, MOST = 256, 1 << 16  # of a block; blocks of a kernel, each of which goes on where the last of them ends

FORMS = {
    "abs": "fabs({})",
    "add": "{} + {}",
    "divide": "{} / {}",
    "multiply": "{} * {}",
    "negative": "-{}",
    "reciprocal": "1 / {}",
    "sqrt": "sqrt({})",
    "subtract": "{} - {}",
}


class Untraceable(Exception):
    """The code does something that is not written down here, and is run as it is."""


class Entry:
    """An entry of an array while code is written down: a name of a variable."""

    __array_ufunc__ = None

    def __init__(self, tracing: "Tracing", name: str) -> None:
        self.__dict__.update(_tracing=tracing, _name=name)

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(name)

    def __getitem__(self, key: Any) -> Any:
        raise Untraceable("a part of an array")

    def __setitem__(self, key: Any, value: Any) -> None:
        if key is not Ellipsis:
            raise Untraceable("a part of an array")
        self._tracing.write(self, self._tracing.text(value))

    def _in_place(name: str) -> Callable[["Entry", Any], "Entry"]:  # type: ignore[misc]
        def apply(self: "Entry", other: Any) -> "Entry":
            return self._tracing.call(name, self, other, out=self)

        return apply

    __iadd__, __isub__ = _in_place("add"), _in_place("subtract")
    __imul__, __itruediv__ = _in_place("multiply"), _in_place("divide")


class Tracing:
    """The array functions, which write down what they would do with one entry."""

    def __init__(self, numbers: Numbers, dtype: np.dtype[Any]) -> None:
        self.numbers, self.dtype = numbers, dtype
        self.lines: list[str] = []
        self.written: set[str] = set()
        self.slots: dict[str, Any] = {}  # where the numbers of the step are found, by name
        self.constants: dict[str, float] = {}  # so that a rule with other settings is the same kernel

    def __getattr__(self, name: str) -> Any:
        if name not in FORMS:
            raise Untraceable(name)
        return lambda *args, **named: self.call(name, *args, **named)

    def call(self, name: str, *args: Any, out: Entry | None = None, **named: Any) -> Entry:
        """Write down a call, and return where its result is."""
        if named:
            raise Untraceable(f"{name} with {', '.join(named)}")
        made = f"({FORMS[name].format(*map(self.text, args))})"
        if out is None:
            out = Entry(self, f"t{len(self.lines)}")
            self.lines.append(f"T {out._name};")
        self.write(out, made)
        return out

    def write(self, out: Entry, text: str) -> None:
        """Write down an assignment."""
        self.lines.append(f"{out._name} = {text};")
        self.written.add(out._name)

    def text(self, value: Any) -> str:
        """Return an entry, or a number, as it is written."""
        if isinstance(value, Entry):
            return str(value._name)
        if isinstance(value, Number):
            slot = self.numbers.slot(value, self.dtype)
            name = next((each for each, known in self.slots.items() if known is slot), f"n{len(self.slots)}")
            self.slots[name] = slot
            return f"{name}[0]"
        if isinstance(value, bool | int | float | np.number):
            name = f"k{len(self.constants)}"
            self.constants[name] = float(value)
            return name
        raise Untraceable(repr(value))


def run_fused(cupy: Any, numbers: Numbers, update: Update, **named: Any) -> bool:
    """Run an update as one kernel and return True; or do nothing and return False, if it does not work by entries."""
    theta = update.theta
    tracing = Tracing(numbers, theta.dtype)
    scratch = {name: a for name, a in vars(update.c).items() if name != "xp"}
    arrays = {"theta": theta, "g": update.g, **{f"s_{name}": a for name, a in _items(update.s)}}
    if not all(a.dtype == theta.dtype and a.size == theta.size and a.flags.c_contiguous for a in arrays.values()):
        return False
    entries = {name: Entry(tracing, name) for name in (*arrays, *(f"c_{name}" for name in scratch))}
    s = SimpleNamespace(**{name: entries[f"s_{name}"] for name, _ in _items(update.s)})
    c = SimpleNamespace(xp=tracing, **{name: entries[f"c_{name}"] for name in scratch})
    try:
        update.run(entries["theta"], entries["g"], s, c, decays=update.decays, **named)
    except Untraceable:
        return False
    source = _source(str(theta.dtype), tuple(arrays), tuple(scratch), tracing)
    blocks = min(MOST, -(-theta.size // THREADS))
    constants = (theta.dtype.type(value) for value in tracing.constants.values())
    given = (*arrays.values(), *tracing.slots.values(), *constants, np.int64(theta.size))
    kernel(cupy, source)((blocks,), (THREADS,), given)
    return True


def _items(s: Any) -> list[tuple[str, Any]]:
    return list(vars(s).items())


@cache
def kernel(cupy: Any, source: str) -> Any:
    """Return a kernel; products and sums are not contracted, so that it gives the bits of single calls."""
    return cupy.RawKernel(source, "update", ("--fmad=false",))


def _source(dtype: str, arrays: tuple[str, ...], scratch: tuple[str, ...], tracing: Tracing) -> str:
    """Return the code of a kernel, in which each thread takes entries that lie a grid apart."""
    slots, constants = (f"const T* {name}" for name in tracing.slots), (f"const T {name}" for name in tracing.constants)
    parameters = [*(f"T* a_{name}" for name in arrays), *slots, *constants]
    body = [
        *(f"T {name} = a_{name}[i];" for name in arrays),
        *(f"T c_{name};" for name in scratch),
        *tracing.lines,
        *(f"a_{name}[i] = {name};" for name in arrays if name in tracing.written),
    ]
    lines = "\n        ".join(body)
    return f"""typedef {"float" if dtype == "float32" else "double"} T;
extern "C" __global__ void update({", ".join(parameters)}, const long long size) {{
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {{
        {lines}
    }}
}}
"""
