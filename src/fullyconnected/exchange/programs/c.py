"""A network as one file of C99: no library but math.h, no malloc, weights that can stay in flash, and its own test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.version import __version__
from fullyconnected.core.wording import printable
from fullyconnected.exchange.programs.loops import Loops
from fullyconnected.exchange.programs.rows import Kernel, Product, RowProgram, View
from fullyconnected.exchange.vector import Vector

__all__ = ["c_source"]

TYPES = {"float32": "float", "float64": "double", "int8": "int8_t", "int32": "int32_t"}
STORES = {"float32": "fc_floats", "float64": "fc_doubles", "int8": "fc_int8s", "int32": "fc_int32s"}
WIDTH = 110
HELPERS = {
    "square": "static {t} fc_square{s}({t} a) {{ return a * a; }}",
    "max": "static {t} fc_max{s}({t} a, {t} b) {{ return a > b || isnan(a) ? a : b; }}",
    "min": "static {t} fc_min{s}({t} a, {t} b) {{ return a < b || isnan(a) ? a : b; }}",
    "isnan": "static {t} fc_isnan{s}({t} a) {{ return isnan(a) ? {one} : {zero}; }}",
    "softplus": "static {t} fc_softplus{s}({t} a) {{ return fc_max{s}(a, {zero}) + log1p{s}(exp{s}(-fabs{s}(a))); }}",
    "Phi": "static {t} fc_Phi{s}({t} a) {{ return {half} * erfc{s}(-a * {root}); }}",
    "as_int8": """\
/* Return the int8 next to a + zero, halves to even; NaN is the least. Adding and subtracting 1.5 * 2^23 rounds. */
static int fc_as_int8{s}({t} a, {t} zero) {{
    a = a > -4e6f ? a : -4e6f;
    a = a < 4e6f ? a : 4e6f;
    const int q = (int)((a + 12582912.0f) - 12582912.0f) + (int)zero;
    return q > 127 ? 127 : q < -128 ? -128 : q;
}}""",
    "sign": "static {t} fc_sign{s}({t} a) {{ return a > {zero} ? {one} : a < {zero} ? -{one} : {zero}; }}",
}
INTEGERS = """\
#include <stdint.h>

/* Products and sums of floats stay two operations each, so that integers made of them are the same everywhere. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize ("fp-contract=off")
#else
#pragma STDC FP_CONTRACT OFF
#endif
#if defined(__clang__) || __GNUC__ >= 8
#define FC_UNROLL _Pragma("GCC unroll 8")
#else
#define FC_UNROLL
#endif""".splitlines()
SELF_TEST = """\
/* Return 0 if the results for the rows of the test vector are right, otherwise the number of the first row with a
   wrong one, from 1. */
int fc_self_test(void) {
    float y[FC_N_OUT];
    for (int i = 0; i < ROWS; i++) {
        fc_predict(fc_test_x + i * FC_N_IN, y);
        for (int j = 0; j < FC_N_OUT; j++) {
            if (!(fabsf(y[j] - fc_test_y[i * FC_N_OUT + j]) <= fc_allowed[j])) return i + 1;
        }
    }
    return 0;
}

#ifdef FC_MAIN
int main(void) { return fc_self_test(); }
#endif
"""
NEEDS = {"softplus": ("max",), "clip": ("max", "min")}


class C(Loops):
    """C99."""

    real = TYPES

    def __init__(self, program: RowProgram) -> None:
        super().__init__(program)
        self.helpers: dict[tuple[str, str], None] = {}

    def number(self, value: float, dtype: np.dtype[Any]) -> str:
        return literal(value, dtype)

    def counted(self, axis: str, dtype: np.dtype[Any]) -> str:
        return f"({TYPES[dtype.name]}){axis}"

    def read(self, text: str, view: View, dtype: np.dtype[Any]) -> str:
        is_other = self.type_of(view).kind == "i" and dtype.kind == "f"
        return f"({TYPES[dtype.name]}){text}" if is_other else text

    def hint(self, kernel: Product) -> str:
        return "FC_UNROLL " if kernel.dtype == np.int32 and kernel.left.shape[1] >= 8 else ""

    def stored(self, text: str, kernel: Kernel) -> str:
        return f"({TYPES[self.type_of(kernel.to).name]})({text})"

    def code(self, levels: int, dtype: np.dtype[Any]) -> str:
        inside = f"value >= {literal(0.0, dtype)} && value < {literal(float(levels), dtype)}"
        return f"{inside} && value == {self.function('floor', ['value'], dtype)} ? (int)value : -1"

    def buffer(self, name: str) -> str:
        return {"input": "x", "output": "y"}.get(self.program.buffers[name].role, f"fc_{name}")

    def function(self, name: str, operands: list[str], dtype: np.dtype[Any]) -> str:
        suffix = "f" if dtype == np.float32 else ""
        if name == "clip":
            return self.function("min", [self.function("max", operands[:2], dtype), operands[2]], dtype)
        if name in HELPERS:
            for each in (*NEEDS.get(name, ()), name):
                self.helpers[each, dtype.name] = None
            return f"fc_{name}{suffix}({', '.join(operands)})"
        known = {"abs": "fabs"}.get(name, name)
        return f"{known}{suffix}({', '.join(operands)})"


def literal(value: float, dtype: np.dtype[Any]) -> str:
    """Return a number as C writes it."""
    if dtype.kind == "i":
        return str(int(value))
    if np.isnan(value) or np.isinf(value):
        return "NAN" if np.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    if dtype == np.float32:
        with np.errstate(over="ignore"):
            short = np.float32(value)
        if np.isinf(short):
            return "INFINITY" if value > 0 else "-INFINITY"
        text = f"{short:.9g}"
        return f"{text if '.' in text or 'e' in text else f'{text}.0'}f"
    return repr(float(value))


def c_source(program: RowProgram, vector: Vector, about: list[str], file: str) -> str:
    """Return the text of a file; ``about`` are lines that say what it is."""
    language = C(program)
    loops = list(language.lines())  # which finds what helpers they need
    constants = sum(each.nbytes for each in program.constants.values())
    tested = vector.x.nbytes + vector.y.nbytes + 4 * len(vector.allowed)
    memory = {name: n for name in TYPES if (n := program.memory(np.dtype(name)))}
    taken = sum(n * np.dtype(name).itemsize for name, n in memory.items())
    in_integers = any(each.dtype.kind == "i" for each in program.buffers.values())
    head = [
        *about,
        f"Written by fullyconnected {__version__}.",
        "",
        f"flash: {constants + tested:,} bytes of constants, {tested:,} of which are the test vector",
        f"memory: {taken:,} bytes, static; so no two threads may predict at once",
        f"multiply-adds of a row: {program.multiplications:,}",
        "",
        f"To try it: cc -std=c99 -DFC_MAIN {printable(file)} -lm && ./a.out",
        "Exit status 0 says that it predicts as it should.",
        "To use it, declare: void fc_predict(const float *x, float *y); int fc_self_test(void);",
        "Several models in one program: compile each file with names of its own, such as",
        "-Dfc_predict=door_predict -Dfc_self_test=door_self_test, and declare those.",
    ]
    return "\n".join(
        [
            "/*",
            *(f" * {line}".rstrip() for line in head),
            " */",
            "#include <math.h>",
            *(INTEGERS if in_integers else ()),
            "",
            f"#define FC_N_IN {program.n_in}",
            f"#define FC_N_OUT {program.n_out}",
            "",
            "void fc_predict(const float *x, float *y);",
            "int fc_self_test(void);",
            "",
            *(line for name, value in program.constants.items() for line in _array(f"fc_{name}", value)),
            *_helpers(language),
            *_memory(memory),
            "/* Write the FC_N_OUT results for a row of FC_N_IN numbers. */",
            "void fc_predict(const float *x, float *y) {",
            *(f"    {line}" for line in _results(program)),
            *(f"    {line}" for line in loops),
            "}",
            "",
            *_array("fc_test_x", vector.x),
            *_array("fc_test_y", vector.y),
            *_array("fc_allowed", vector.allowed.astype(np.float32)),
            SELF_TEST.replace("ROWS", str(len(vector.x))),
        ]
    )


def _array(name: str, value: Array) -> Iterator[str]:
    """Yield the lines of a constant."""
    yield f"static const {TYPES[value.dtype.name]} {name}[{value.size}] = {{ /* {' x '.join(map(str, value.shape))} */"
    line = "   "
    for each in value.ravel().tolist():
        text = f" {literal(each, value.dtype)},"
        if len(line) + len(text) > WIDTH:
            yield line
            line = "   "
        line += text
    yield line
    yield "};"


def _helpers(language: C) -> Iterator[str]:
    """Yield the functions that the loops call and math.h lacks."""
    for name, kind in sorted(language.helpers, key=lambda each: (each[1], list(HELPERS).index(each[0]))):
        dtype = np.dtype(kind)
        constants = {"zero": 0.0, "one": 1.0, "half": 0.5, "root": 0.5**0.5}
        numbers = {each: literal(value, dtype) for each, value in constants.items()}
        yield HELPERS[name].format(t=TYPES[kind], s="f" if kind == "float32" else "", **numbers)
    if language.helpers:
        yield ""


def _memory(memory: Mapping[str, int]) -> Iterator[str]:
    """Yield the memory of results: how many numbers of each type."""
    for kind, size in memory.items():
        yield f"static {TYPES[kind]} {STORES[kind]}[{size}];"
    yield ""


def _results(program: RowProgram) -> Iterator[str]:
    """Yield where each result lies."""
    for buffer in program.buffers.values():
        if buffer.role == "result":
            kind = buffer.dtype.name
            yield f"{TYPES[kind]} *const fc_{buffer.name} = {STORES[kind]} + {buffer.start};"
