"""A record turned into the convention in which samples are columns: ``z = W x + b``, with W (n_out, n_in)."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.messages import Message
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.symbolic.equation import Equation
from fullyconnected.symbolic.expression import Name
from fullyconnected.symbolic.turning import turned, turned_array, turned_index

__all__ = ["CONVENTIONS", "focus_in_columns", "in_columns"]

CONVENTIONS = ("xW", "Wx")


def in_columns(trace: Trace) -> Trace:
    """Return a record whose arrays are transposed, with formulas that are true of them."""
    values = MappingProxyType({name: _turned(name, array) for name, array in trace.values.items()})
    return replace(
        trace,
        steps=tuple(_step(step, values) for step in trace.steps),
        again=tuple(_step(step, values) for step in trace.again),
        values=values,
        predicted=_kept(trace.predicted.T),
        wanted=_kept(trace.wanted.T),
        settings=MappingProxyType({**trace.settings, "layout": LAYOUT}),
        notation="Wx",
        turned_from=trace,
    )


LAYOUT = Message("samples are columns: z = W x + b, with W (outputs, inputs)")


def _step(step: Step, values: Mapping[Name, Array]) -> Step:
    return replace(
        step,
        equation=Equation(step.equation.left, turned(step.equation.right)),
        values=MappingProxyType({name: values[name] for name in step.values}),
        entries=None if step.entries is None else tuple(map(turned_index, step.entries)),
    )


def _turned(name: Name, array: Array) -> Array:
    if name.full == "t" and array.ndim == 1:  # the number of each sample's class
        return array
    return _kept(turned_array(array))


def _kept(array: Array) -> Array:
    kept = np.ascontiguousarray(array).reshape(array.shape)  # which makes a vector of a single number
    kept.flags.writeable = False
    return kept


def focus_in_columns(focus: Focus) -> Focus:
    """Return a number and its paths, with the entries where they stand in the turned record."""
    moved = {name: turned_array(array) for name, array in focus.moved.items()}
    return replace(focus, at=turned_index(focus.at), moved=moved, turned_from=focus)
