"""The central differences of a step: for every tensor, its gradient beside the slope of the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fullyconnected.checking.gradcheck import FIRST_STEP, TOLERANCE, TensorReport
from fullyconnected.core.messages import Message
from fullyconnected.errors import ConfigError
from fullyconnected.explanation.running import Recorder
from fullyconnected.symbolic.expression import Name

__all__ = ["check"]

ALL, SOME = 64, 8  # a tensor of at most so many entries is checked whole; of a larger one, so many


def check(recorder: Recorder, subject: Any, size: float) -> None:
    """Record the central differences for every tensor; for a large one, only for some of its entries."""
    tolerance = TOLERANCE[subject.dtype]
    half = recorder.keep(Name("step", full="step"), np.float64(size))
    layers = [(recorder.names[i], recorder.parameter(i, letter)) for i, letter, _ in recorder.tensors()]
    for layer, name in [*layers, ("x", recorder.wires[0])]:
        called = recorder.called[name]
        array = subject.arrays[called]
        chosen = np.arange(array.size)
        if array.size > ALL:
            chosen = np.unique(np.linspace(0, array.size - 1, SOME).round().astype(int))
        moves = np.isfinite(array) & ~subject.still(called)  # NaN, infinity and codes cannot be moved
        chosen = chosen[moves.ravel()[chosen]]
        if not len(chosen):
            continue
        above, below, way, slope = (np.full(array.shape, math.nan) for _ in range(4))
        entries = tuple(tuple(map(int, e)) for e in zip(*np.unravel_index(chosen, array.shape), strict=True))
        with np.errstate(all="ignore"):
            for entry in entries:
                distance = subject.step_at(called, entry, size)
                above[entry], below[entry], way[entry] = subject.sides(array, entry, distance)
                if way[entry] == 0:
                    raise ConfigError(f"step = {size:g} is too small: it does not move {name.text}, {array[entry]:g}")
                slope[entry] = (above[entry] - below[entry]) / way[entry]
            report = subject.tensor(called, FIRST_STEP, tolerance, chosen)
        label, full = name.text, name.full
        left = recorder.keep(recorder.new(Name("slope", label, full=f"{full}:slope")), slope)
        right = recorder.keep(Name("L", "right", full=f"{full}:right"), above)
        other = recorder.keep(Name("L", "left", full=f"{full}:left"), below)
        step = half
        if called in subject.units or (np.abs(array) > 1).any():  # the step is relative there
            step = recorder.keep(recorder.new(Name("step", label, full=f"{full}:step")), way / 2)
        formula = (right - other) / (2 * step)
        recorder.add("check", layer, left, formula, verdict(report, label), entries=entries, report=report)


def verdict(report: TensorReport, label: str) -> Message:
    """Return a sentence that compares a gradient with the central differences."""
    size = math.prod(report.shape)
    if report.verdict == "unresolved":
        said = Message("Unresolved: dL/d{name} and the differences are smaller than their rounding errors.", name=label)
    elif report.ok:
        said = Message(
            "dL/d{name} agrees within {error} of its largest entry, compared at a step of {step}.",
            name=label,
            error=f"{abs(report.error):.1g}",
            step=f"{FIRST_STEP:.1g}",
        )
    else:
        said = Message(
            "dL/d{name} DISAGREES: it is {gradient}, not {difference}.",
            name=label,
            gradient=f"{report.gradient:.6g}",
            difference=f"{report.difference:.6g}",
        )
        said += report.hint
    if report.checked < size:
        said += Message("{n} of {all} entries were compared.", n=f"{report.checked:,}", all=f"{size:,}")
    if report.kinks:
        said += Message(
            "{n} of the entries lie on a kink, where there is no derivative to compare.", n=len(report.kinks)
        )
    return said
