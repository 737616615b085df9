"""A network as one module of JavaScript: no dependency, its numbers inside, and its own test."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.version import __version__
from fullyconnected.core.wording import printable
from fullyconnected.exchange.programs.loops import Loops
from fullyconnected.exchange.programs.rows import RowProgram
from fullyconnected.exchange.vector import Vector

__all__ = ["javascript_source"]

FEW = 64  # numbers of a constant that are written out; of more, their bytes in base64
ARRAYS = {"float32": "Float32Array", "float64": "Float64Array"}
HELPERS = {
    "square": "const square = (a) => a * a;",
    "isnan": "const isnan = (a) => (Number.isNaN(a) ? 1 : 0);",
    "softplus": "const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));",
    "erfc": """\
// 1 - erf(a): a series near 0, and a continued fraction from 2 on
function erfc(a) {
    if (a < 0) return 2 - erfc(-a);
    if (a > 27) return 0;
    if (a < 2) {
        let term = a, sum = a;
        for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
            term *= (-a * a) / n;
            sum += term / (2 * n + 1);
        }
        return 1 - (2 / Math.sqrt(Math.PI)) * sum;
    }
    let below = a;
    for (let n = 60; n > 0; n--) below = a + n / 2 / below;
    return Math.exp(-a * a) / Math.sqrt(Math.PI) / below;
}""",
    "Phi": "const Phi = (a) => 0.5 * erfc(-a * Math.SQRT1_2);",
}
NEEDS = {"Phi": ("erfc",)}


class JavaScript(Loops):
    """JavaScript, whose numbers are all of double precision."""

    integer = "let"
    real = {"float32": "let", "float64": "let"}

    def __init__(self, program: RowProgram) -> None:
        super().__init__(program)
        self.helpers: dict[str, None] = {}

    def number(self, value: float, dtype: np.dtype[Any]) -> str:
        return literal(value)

    def code(self, levels: int, dtype: np.dtype[Any]) -> str:
        return f"Number.isInteger(value) && value >= 0 && value < {levels} ? value : -1"

    def buffer(self, name: str) -> str:
        return {"input": "x", "output": "y"}.get(self.program.buffers[name].role, f"_{name}")

    def function(self, name: str, operands: list[str], dtype: np.dtype[Any]) -> str:
        if name == "clip":
            return f"Math.min(Math.max({operands[0]}, {operands[1]}), {operands[2]})"
        if name in HELPERS:
            for each in (*NEEDS.get(name, ()), name):
                self.helpers[each] = None
            return f"{name}({', '.join(operands)})"
        return f"Math.{name}({', '.join(operands)})"


def literal(value: float) -> str:
    """Return a number as JavaScript writes it."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return repr(value).removesuffix(".0")


def javascript_source(
    program: RowProgram,
    vector: Vector,
    about: list[str],
    file: str,
    *,
    gaps: Sequence[bool],
    classes: tuple[Any, ...] | None,
    wide: bool,
) -> str:
    """Return the text of a file; ``about`` are lines that say what it is, and ``gaps`` which columns may be missing.

    ``wide`` says whether rows are read in double.
    """
    language = JavaScript(program)
    loops = list(language.lines())
    texts = None if classes is None else f"[{', '.join(map(_label, classes))}]"
    head = [*about, f"Written by fullyconnected {__version__}.", "", USE.format(printable(file)), TEST]
    singles, doubles = (program.memory(np.dtype(name)) for name in ("float32", "float64"))
    some = [*program.constants.values()]
    lines = [
        "/*",
        *(f" * {line}".rstrip() for line in head),
        " */",
        f"export const nIn = {program.n_in};",
        f"export const nOut = {program.n_out};",
        *([f"export const classes = {texts};"] if texts is not None else []),
        "",
        *([BYTES, ""] if any(each.size > FEW for each in (*some, vector.x, vector.y)) else []),
        *(line for name, value in program.constants.items() for line in _array(f"_{name}", value)),
        *(HELPERS[name] for name in HELPERS if name in language.helpers),
        *([f"const floats = new Float64Array({singles});"] if singles else []),
        *([f"const doubles = new Float64Array({doubles});"] if doubles else []),
        f"const mayLack = {json.dumps([int(each) for each in gaps])};",
        "",
        "// Return the nOut results for a row of nIn numbers.",
        "export function predict(row) {",
        "    if (row?.length !== nIn) throw new TypeError(`a row has ${nIn} numbers; got ${row?.length}`);",
        "    const x = Array.from(row, (each, i) => {",
        '        if (typeof each !== "number" || !(Number.isFinite(each) || (Number.isNaN(each) && mayLack[i]))) {',
        "            throw new TypeError(`number ${i} of the row is ${each}; it must be a finite number`);",
        "        }",
        f"        return {'each' if wide else 'Math.fround(each)'};",
        "    });",
        "    const y = new Float32Array(nOut);",
        *(f"    {line}" for line in _results(program)),
        *(f"    {line}" for line in loops),
        "    return Array.from(y);",
        "}",
        "",
        *_array("_testX", vector.x),
        *_array("_testY", vector.y),
        *_array("_allowed", vector.allowed),
        SELF_TEST.replace("ROWS", str(len(vector.x))),
        "",
    ]
    return "\n".join(lines)


USE = 'To use it: import {{ predict, selfTest }} from "./{}"; predict([...]) gives the results of a row.'
TEST = "selfTest() throws an error if it does not predict as it should."
BYTES = """\
function numbers(kind, text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer), size = kind.BYTES_PER_ELEMENT;
    const read = size === 4 ? "getFloat32" : "getFloat64";
    return kind.from({ length: bytes.length / size }, (_, i) => view[read](size * i, true));
}"""
SELF_TEST = """\
// Throw an error if the results for the rows of the test vector are wrong.
export function selfTest() {
    for (let i = 0; i < ROWS; i++) {
        const found = predict(_testX.subarray(i * nIn, (i + 1) * nIn));
        found.forEach((each, j) => {
            const wanted = _testY[i * nOut + j];
            if (!(Math.abs(each - wanted) <= _allowed[j])) {
                throw new Error(`row ${i}, result ${j}: ${each} in place of ${wanted}`);
            }
        });
    }
}"""


def _label(each: Any) -> str:
    """Return a label; a whole number that is too large for a number of JavaScript is a BigInt."""
    if isinstance(each, int) and not isinstance(each, bool) and abs(each) >= 2**53:
        return f"{each}n"
    return json.dumps(each, default=str)


def _array(name: str, value: Array) -> Iterator[str]:
    """Yield the lines of a constant."""
    kind = ARRAYS[value.dtype.name]
    shape = " x ".join(map(str, value.shape))
    if value.size <= FEW:
        single = value.dtype == np.float32
        texts = [literal(float(f"{each:.9g}") if single else float(each)) for each in value.ravel()]
        yield f"const {name} = {kind}.of({', '.join(texts)}); // {shape}"
        return
    text = base64.b64encode(value.astype(value.dtype.newbyteorder("<")).tobytes()).decode()
    yield f'const {name} = numbers({kind}, "{text}"); // {shape}'


def _results(program: RowProgram) -> Iterator[str]:
    for buffer in program.buffers.values():
        if buffer.role == "result":
            kind = "floats" if buffer.dtype == np.float32 else "doubles"
            yield f"const _{buffer.name} = {kind}.subarray({buffer.start}, {buffer.start + buffer.size});"
