"""A record as JSON: every number with all its digits, every formula in every notation."""

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.core.version import __version__
from fullyconnected.explanation.catalogue import say
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.render.document import (
    folded,
    given,
    headline,
    relation,
    shapes,
    statistics,
    verdict,
    worked,
)
from fullyconnected.symbolic.equation import NOTATIONS
from fullyconnected.symbolic.expression import Name, names_in
from fullyconnected.symbolic.latex import latex
from fullyconnected.symbolic.mathml import mathml
from fullyconnected.symbolic.text import text

__all__ = ["to_json"]

WHOLE = 10_000  # a larger array is given by its statistics and a sample


def to_json(trace: Trace, focus: Focus | None = None, lang: str = "en") -> str:
    """Return the whole record; NaN and infinity, which JSON does not have, are strings."""
    some = {  # what was computed for some entries alone
        name: step.entries
        for step in trace.steps
        for name in (step.equation.left, *names_in(step.formula))
        if step.entries is not None and step.values[name].shape == step.result.shape
    }
    record = {
        "format": "fullyconnected explanation",
        "format_version": 1,
        "library_version": __version__,
        "language": lang,
        "notation": trace.notation,
        "title": say(headline(trace), lang),
        "verdict": say(verdict(trace), lang),
        "ok": trace.ok,
        "loss": _number(trace.loss),
        "loss_after": None if trace.loss_after is None else _number(trace.loss_after),
        "rows": trace.rows,
        "dtype": trace.dtype,
        "settings": {name: say(value, lang) for name, value in trace.settings.items()},
        "quantities": {
            name.quantity: _quantity(name, array, some.get(name), lang) for name, array in trace.values.items()
        },
        "given": [{"quantity": name.quantity, "what": say(what, lang)} for name, what in given(trace)],
        "zero": [name.quantity for name in folded(trace)],
        "predicted": _few(trace.predicted),
        "wanted": _few(trace.wanted),
        "losses": _few(trace.losses),
        "steps": [_step(step, lang) for step in trace.steps],
        "again": [_step(step, lang) for step in trace.again],
        "focus": None if focus is None else _focus(focus, lang),
    }
    return json.dumps(record, allow_nan=False, indent=1) + "\n"


def _number(value: Any) -> Any:
    """Return a number for JSON, with the shortest digits that identify it."""
    value = value[()] if isinstance(value, np.ndarray) else value
    if isinstance(value, np.float32):
        value = float(str(value)) if math.isfinite(value) else float(value)
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value).replace("nan", "NaN").replace("inf", "Infinity")
    return value


def _numbers(array: Array) -> Any:
    return [_numbers(row) for row in array] if np.ndim(array) else _number(array)


def _chosen(shape: Shape, entries: Iterable[Shape]) -> Array:
    chosen = np.zeros(shape, bool)
    for entry in entries:
        chosen[entry] = True
    return chosen


def _few(array: Array) -> Any:
    """Return an array's numbers, or None of a large one."""
    return _numbers(array) if array.size <= WHOLE else None


def _quantity(name: Name, array: Array, entries: Iterable[Shape] | None, lang: str) -> dict[str, Any]:
    if entries is not None:  # the other numbers are null
        array = array.astype(object)
        array[~_chosen(array.shape, entries)] = None
    found = {"name": name.text, "latex": latex(name), "mathml": mathml(name), "shape": list(array.shape)}
    if array.size <= WHOLE:
        return {**found, "dtype": "float64" if entries is not None else array.dtype.name, "values": _numbers(array)}
    flat = array.ravel()
    sample = np.unique(np.linspace(0, flat.size - 1, 16).round().astype(int))
    sampled = [[*map(int, np.unravel_index(i, array.shape)), _number(flat[i])] for i in sample]
    return {
        **found,
        "dtype": array.dtype.name,
        "values": None,
        "elided": say(statistics(array), lang),
        "sample": sampled,
    }


def _step(step: Step, lang: str) -> dict[str, Any]:
    lines, more = worked(step)
    equation = step.equation
    report = step.report
    return {
        "number": step.number,
        "phase": step.phase,
        "layer": step.layer,
        "result": equation.left.quantity,
        "name": step.name,
        "formula": {
            name: equation.written(name) if step.known or not notation.runs else None
            for name, notation in NOTATIONS.items()
        },
        "operands": {name.text: name.quantity for name in names_in(equation.right)},
        "shapes": shapes(step),
        "sign": relation(step),
        "finite": step.finite,
        "worked": [
            {
                "entry": list(line.at),
                "text": f"{line.left} = {text(line.right)} {line.sign} {line.result.text}",
                "latex": latex(line.right),
                "mathml": mathml(line.right),
                "sign": line.sign,
                "shown": line.result.text,
                "value": _number(step.result[line.at]),
                "quantity": line.result.quantity,
            }
            for line in lines
        ],
        "worked_more": more,
        "entries": None if step.entries is None else [list(entry) for entry in step.entries],
        "why": say(step.why, lang),
        "check": None
        if report is None
        else {
            "verdict": report.verdict,
            "ok": report.ok,
            "error": _number(report.error),
            "compared": report.checked,
            "unresolved": report.unresolved,
            "hint": report.hint,
        },
    }


def _focus(focus: Focus, lang: str) -> dict[str, Any]:
    return {
        "quantity": focus.text,
        "summary": say(focus.summary, lang),
        "rest": say(focus.rest or "", lang),
        "paths": [
            {
                "nodes": list(path.nodes),
                "factors": list(path.factors),
                "text": text(path.tree),
                "sign": path.sign,
                "shown": path.result,
            }
            for path in focus.paths
        ],
    }
