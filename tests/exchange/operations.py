"""The table of operations and formats in docs/exchange.md, made by trying all of them.

    python -m tests.exchange.operations

writes the table into the document, with all columns: it needs onnx, PyTorch and Keras. test_operations.py
holds the document to what the formats do, in the columns whose packages are there.
"""

import re
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fullyconnected as fc
from fullyconnected.layers import LAYERS
from tests.exchange.networks import ACTIVATION_NAMES, LAYER_NAMES, rows_for, trained

DOCUMENT = Path(__file__).parents[2] / "docs" / "exchange.md"
BEGIN_WITH = (
    fc.PeriodicEmbedding,
    fc.PiecewiseLinearEncoding,
    fc.PiecewiseLinearEmbedding,
    fc.Scale,
)  # which read numbers
SCALES = {"mean": (1.0, -2.0, 0.0, 3.0), "scale": (2.0, 0.5, 1.0, 3.0)}
SETTINGS = {  # of layers that a format may have with some of their settings alone: a row for each
    "standardize": {
        "Standardize": fc.Standardize(4, **SCALES),
        "Standardize(clip=True)": fc.Standardize(4, **SCALES, clip=True),
        "Standardize(missing=True)": fc.Standardize(4, **SCALES, missing=True),
    },
    "parametric": {
        'Parametric("relu")': fc.layers.Parametric("relu", n_in=4),
        'Parametric("tanh")': fc.layers.Parametric("tanh", n_in=4),
    },
}
BEGIN, END = "<!-- operations -->", "<!-- end of operations -->"


class Column(NamedTuple):
    """A format: what it needs to be tried, and what is tried with a network in a folder: what it gives is ignored."""

    name: str
    needs: tuple[str, ...]
    leave: Callable
    back: Callable | None = None


def _int8(net, folder):
    return fc.exchange.to_c(net, folder / "net.c", dtype="int8", data=rows_for(net, 64))


COLUMNS = [
    Column(
        "ONNX",
        ("onnx",),
        lambda net, folder: fc.exchange.to_onnx(net, folder / "net.onnx"),
        lambda _, folder: fc.exchange.from_onnx(folder / "net.onnx"),
    ),
    Column("C", (), lambda net, folder: fc.exchange.to_c(net, folder / "net.c")),
    Column("C, int8", (), _int8),
    Column("JavaScript", (), lambda net, folder: fc.exchange.to_js(net, folder / "net.mjs")),
    Column("Python", (), lambda net, folder: fc.exchange.to_python(net, folder / "net.py")),
    Column(
        "PyTorch", ("torch",), lambda net, _: fc.exchange.to_torch(net), lambda made, _: fc.exchange.from_torch(made)
    ),
    Column("Keras", ("keras",), lambda net, _: fc.exchange.to_keras(net), lambda made, _: fc.exchange.from_keras(made)),
]


def there(column: Column) -> bool:
    """Whether what a column needs is installed."""
    return all(find_spec(each) is not None for each in column.needs)


def operations():
    """Yield the name of each registered layer and activation, and networks that have it."""
    for name in LAYER_NAMES:
        for row, layer in SETTINGS.get(name, {}).items():
            yield f"`{row}`", name, [within(layer)]
        if name not in SETTINGS:
            examples = [*LAYERS.classes[name].examples(4)]
            yield f"`{type(examples[0]).__name__}`", name, [*map(within, examples)]
    for name in ACTIVATION_NAMES:
        yield f'`"{name}"`', name, [trained(fc.mlp([4, 5, 3], activation=name, seed=0), 0.5)]


def within(layer):
    """Return a network with a layer where it usually stands: at the beginning, at the end, or between two others."""
    first = [] if layer.reads_raw or layer.comes_last or isinstance(layer, BEGIN_WITH) else [fc.Dense(4, 4)]
    return trained(fc.Network([*first, layer, *([] if layer.comes_last else [fc.Dense(layer.n_out, 2)])], seed=0))


def cell(column: Column, operation: str, nets) -> str:
    """Return what a format makes of networks: yes, or why not; and whether they come back, by which bits."""
    same = True
    with tempfile.TemporaryDirectory() as folder:
        for net in nets:
            try:
                made = column.leave(net, Path(folder))
            except fc.errors.FullyConnectedError as error:
                return f"no: {error!s:.60}"
            if isinstance(made, fc.exchange.Quantisation):
                floats = [why for name, why in made.float32.items() if operation in name]
                if floats and operation not in " ".join(made.int8):
                    return "in float32"
            if column.back is None:
                continue
            try:
                back = column.back(made, Path(folder))
            except fc.errors.FullyConnectedError:
                return "yes; not back"
            x = rows_for(net, 7)
            same &= bool(np.array_equal(back.predict(x), net.predict(x)))
    return "yes" if column.back is None else f"yes; back, {'the same bits' if same else 'to rounding'}"


def table(columns) -> dict[str, dict[str, str]]:
    """Return the cells by operation and column."""
    return {name: {column.name: cell(column, of, nets) for column in columns} for name, of, nets in operations()}


def in_document() -> dict[str, dict[str, str]]:
    """Return the cells that the document has."""
    text = DOCUMENT.read_text("utf-8")
    lines = text[text.index(BEGIN) : text.index(END)].splitlines()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if line.startswith("|")]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


def main() -> None:
    """Write the table into the document."""
    found = table(COLUMNS)
    lines = [f"| operation | {' | '.join(each.name for each in COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    lines += [f"| {name} | {' | '.join(cells.values())} |" for name, cells in found.items()]
    text = DOCUMENT.read_text("utf-8")
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    DOCUMENT.write_text("\n".join([head, *lines, tail]), "utf-8")


if __name__ == "__main__":
    main()
