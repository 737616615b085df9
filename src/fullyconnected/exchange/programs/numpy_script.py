"""A network as a Python script that needs NumPy alone, and asserts its own test vector when it is run or imported."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.version import __version__
from fullyconnected.exchange.graph import Graph
from fullyconnected.exchange.vector import Vector
from fullyconnected.symbolic.as_numpy import NumPy
from fullyconnected.symbolic.expression import Call, Number, names_in, nodes_in

__all__ = ["numpy_source"]

FEW = 64  # numbers of a constant that are written out; of more, their bytes in base64
WIDTH = 110
PHI = '''\
def Phi(z):
    """Return the distribution function of the normal distribution."""
    return np.vectorize(lambda a: 0.5 * math.erfc(-a / math.sqrt(2)), otypes=[z.dtype])(z)

'''


CODED = """\
def numbers(text, dtype, *shape):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)

"""


class Source(NumPy):
    """Python source, whose numbers may also be infinite."""

    def number(self, number: Number) -> str:
        text = repr(float(number.value))
        return f"np.{text}" if text in ("inf", "nan") else f"-np.{text[1:]}" if text == "-inf" else text


def numpy_source(graph: Graph, vector: Vector, about: list[str], classes: tuple[Any, ...] | None) -> str:
    """Return the script; ``about`` are lines that say what it is."""
    write = Source()
    functions = {n.function for line in graph.lines for n in nodes_in(line.formula) if isinstance(n, Call)}
    uses_phi = "Phi" in functions
    first = graph.computed_of(graph.x).name
    n_out, used = vector.y.shape[1], _used(graph)
    coded = not all(map(_short, (*used.values(), vector.x, vector.y)))
    body = []
    for name, formula, computed, kept in graph.lines:
        text = write(formula)
        if computed != kept:
            text = f"np.asarray({text}).astype(np.{kept.name})"
        body.append(f"    {name.identifier} = {text}")
    head = [*about, f"Written by fullyconnected {__version__}."]
    quoted = [line.replace("\\", "\\\\").replace('"""', "'''") for line in head]
    return "\n".join(
        [
            f'"""{quoted[0]}',
            *(line.rstrip() for line in quoted[1:]),
            '"""',
            *(["import base64"] if coded else []),
            *(["import math"] if uses_phi else []),
            "",
            "import numpy as np",
            "",
            *([PHI] if uses_phi else []),
            "",
            "def predict(x):",
            f'    """Return the results (rows, {n_out}) for rows (rows, {graph.n_in}) of numbers."""',
            f"    x = np.asarray(x, np.{first})",
            f"    if x.ndim != 2 or x.shape[1] != {graph.n_in}:",
            f'        raise ValueError(f"rows have the shape (rows, {graph.n_in}); got {{x.shape}}")',
            '    with np.errstate(all="ignore"):',
            *(f"    {line}" for line in body),
            f"    return {graph.output.identifier}",
            "",
            "",
            *([CODED] if coded else []),
            *(line for name, value in used.items() for line in _array(name, value)),
            *([f"classes = {[*classes]!r}"] if classes is not None else []),
            *_array("test_x", vector.x),
            *_array("test_y", vector.y),
            *_array("allowed", vector.allowed),
            "assert (np.abs(predict(test_x) - test_y) <= allowed).all()",
            "",
        ]
    )


def _used(graph: Graph) -> Mapping[str, Array]:
    """Return the constants that a formula names."""
    names = {name for line in graph.lines for name in names_in(line.formula)}
    return {name.identifier: value for name, value in graph.constants.items() if name in names}


def _short(value: Array) -> bool:
    """Whether the numbers of a constant are written out."""
    return value.size <= FEW and bool(np.isfinite(value).all())


def _array(name: str, value: Array) -> Iterator[str]:
    """Yield the lines of a constant."""
    dtype = value.dtype.newbyteorder("<").str
    if _short(value):
        if value.dtype == np.float32:
            value = np.array([float(f"{each:.9g}") for each in value.ravel()]).reshape(value.shape)
        made = f"{name} = np.array({value.tolist()}, {dtype!r})"
        yield from textwrap.wrap(made, WIDTH, subsequent_indent="    ", break_long_words=False)
        return
    text = base64.b64encode(value.astype(dtype).tobytes()).decode()
    yield f"{name} = numbers("
    for start in range(0, len(text), WIDTH):
        yield f'    "{text[start : start + WIDTH]}"'
    yield f"    , {dtype!r}, {', '.join(map(str, value.shape))})"
