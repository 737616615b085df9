"""The columns of a table as inputs of ONNX, and the nodes that encode them as the vocabulary of an estimator does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from fullyconnected.core.arrays import Array
from fullyconnected.exchange.graph import FLOAT64
from fullyconnected.exchange.leaving import is_far
from fullyconnected.exchange.onnx.nodes import Nodes
from fullyconnected.tables.dates import CYCLES
from fullyconnected.tables.encoders import CategoryEncoder, DateEncoder, Encoder, NumberEncoder

__all__ = ["add_columns", "input_of", "is_fine", "values_of"]

NO_DATE = np.iinfo(np.int64).min  # seconds that stand for a missing date
DAY = 86_400
NEW = "a level that the training did not have"


def input_of(encoder: Encoder, *, fine: bool) -> onnx.ValueInfoProto:
    """Return the input of a column, (rows, 1): text, seconds since 1970, or a number, in double if it is ``fine``."""
    kind = TensorProto.DOUBLE if fine else TensorProto.FLOAT
    if isinstance(encoder, DateEncoder):
        kind = TensorProto.INT64
    elif isinstance(encoder, CategoryEncoder) and not encoder.numeric:
        kind = TensorProto.STRING
    return helper.make_tensor_value_info(encoder.name, kind, ["rows", 1])


def is_fine(encoder: Encoder, mean: float, scale: float) -> bool:
    """Whether float32 cannot tell the numbers of a column apart: they are far from 0, and near to each other."""
    if isinstance(encoder, CategoryEncoder) and encoder.numeric:
        levels = np.array(encoder.levels)
        with np.errstate(over="ignore"):
            return not np.array_equal(levels.astype(np.float32).astype(np.float64), levels)
    return type(encoder) is NumberEncoder and is_far(mean, scale)


def add_columns(nodes: Nodes, encoders: Sequence[Encoder]) -> str:
    """Add the nodes that encode all columns, and return the name of the rows (rows, features), in double."""
    nodes.dtype = FLOAT64
    parts: list[str] = []
    for each in encoders:
        if isinstance(each, DateEncoder):
            parts += _date(nodes, each)
        elif isinstance(each, CategoryEncoder):
            parts.append(_numeric_level(nodes, each) if each.numeric else _level(nodes, each))
        else:
            parts.append(nodes.add("Cast", [each.name], to=TensorProto.DOUBLE))
    return nodes.add("Concat", parts, nodes.fresh("encoded"), axis=1)


def _level(nodes: Nodes, encoder: CategoryEncoder) -> str:
    """Return the code of each text; an empty one is missing."""
    nodes.uses_ml = True
    keys = [*map(str, encoder.levels), ""]
    codes = [float(i) for i in range(len(encoder.levels))] + [encoder.codes[None]]
    settings: dict[str, Any] = {"keys_strings": keys, "values_floats": codes, "default_float": encoder.unknown}
    found = nodes.add("LabelEncoder", [encoder.name], domain="ai.onnx.ml", **settings)
    return nodes.add("Cast", [found], to=TensorProto.DOUBLE)


def _numeric_level(nodes: Nodes, encoder: CategoryEncoder) -> str:
    """Return the code of each number; NaN is missing."""
    levels = nodes.constant(np.array([encoder.levels], np.float64), "levels")
    cells = nodes.add("Cast", [encoder.name], to=TensorProto.DOUBLE)
    same = nodes.add("Cast", [nodes.add("Equal", [cells, levels])], to=TensorProto.DOUBLE)
    codes = nodes.constant(np.arange(len(encoder.levels), dtype=np.float64)[:, None], "codes")
    known = nodes.add("Greater", [nodes.reduced("ReduceSum", same, 1, keep=True), nodes.number(0.0)])
    code = nodes.add("Where", [known, nodes.add("MatMul", [same, codes]), nodes.number(encoder.unknown)])
    gone = nodes.add("IsNaN", [encoder.name])
    return nodes.add("Where", [gone, nodes.number(encoder.codes[None]), code])


def _date(nodes: Nodes, encoder: DateEncoder) -> list[str]:
    """Return the parts of each date, as :func:`fullyconnected.tables.dates.numbers_of` has them."""

    def whole(value: int) -> str:
        return nodes.constant(np.array(value, np.int64), "whole")

    def by(kind: str, a: str, b: str | int) -> str:
        return nodes.add(kind, [a, whole(b) if isinstance(b, int) else b])

    def real(a: str) -> str:
        return nodes.add("Cast", [a], to=TensorProto.DOUBLE)

    seconds = encoder.name
    gone = by("Equal", seconds, int(NO_DATE))
    seconds = nodes.add("Where", [gone, whole(0), seconds])
    in_day = by("Mod", seconds, DAY)
    day = by("Div", by("Sub", seconds, in_day), DAY)  # whole days since 1970, towards the past
    # the civil calendar of years that begin in March: of 400 years, of the year, and of the month
    since = by("Add", day, 719_468)
    of_era = by("Mod", since, 146_097)
    leaps = by("Sub", by("Add", by("Sub", of_era, by("Div", of_era, 1460)), by("Div", of_era, 36_524)),
               by("Div", of_era, 146_096))  # fmt: skip
    year = by("Div", leaps, 365)
    before = by("Sub", by("Add", by("Mul", year, 365), by("Div", year, 4)), by("Div", year, 100))
    of_year = by("Sub", of_era, before)
    month = by("Div", by("Add", by("Mul", of_year, 5), 2), 153)  # from March, which is 0
    parts = {
        "days": nodes.add("Div", [real(seconds), nodes.number(float(DAY))]),
        "month": real(by("Mod", by("Add", month, 2), 12)),
        "day": real(by("Add", by("Sub", of_year, by("Div", by("Add", by("Mul", month, 153), 2), 5)), 1)),
        "weekday": real(by("Mod", by("Add", day, 3), 7)),
        "hour": nodes.add("Div", [real(in_day), nodes.number(3600.0)]),
    }
    missing, found = nodes.number(np.nan), []
    for part in encoder.parts:
        value = nodes.add("Where", [gone, missing, parts[part]])
        if part not in CYCLES:
            found.append(value)
            continue
        angle = nodes.add("Mul", [value, nodes.number(2 * np.pi / CYCLES[part])])
        found += [nodes.add("Sin", [angle]), nodes.add("Cos", [angle])]
    return found


def values_of(encoder: Encoder, x: Array, *, fine: bool) -> tuple[list[Any], Array]:
    """Return cells that encode as columns of x (rows, features) do, about, and the values of the input for them."""
    real = np.float64 if fine else np.float32
    if isinstance(encoder, DateEncoder):
        seconds = [None if np.isnan(days) else int(days * DAY) for days in x[:, 0]]
        cells: list[Any] = [None if each is None else np.datetime64(each, "s") for each in seconds]
        values = np.array([NO_DATE if each is None else each for each in seconds], np.int64)
    elif isinstance(encoder, CategoryEncoder):
        levels = dict(enumerate(encoder.levels))
        gone = encoder.codes[None] if encoder.missing else None
        new: Any = _other(encoder) if encoder.numeric else NEW
        cells = [None if code == gone else levels.get(int(code), new) for code in x[:, 0]]
        if encoder.numeric:
            values = np.array([np.nan if each is None else each for each in cells], real)
        else:
            values = np.array([each or "" for each in cells], object)
    else:
        values = x[:, 0].astype(real)
        cells = [None if np.isnan(each) else float(each) for each in values]
    return cells, values[:, None]


def _other(encoder: CategoryEncoder) -> float:
    """Return a number that is no level."""
    return next(float(i) for i in range(len(encoder.levels) + 1) if float(i) not in encoder.codes)
