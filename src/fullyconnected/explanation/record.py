"""The record of one training step: what was computed, in order, with every number that went in and came out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fullyconnected.checking.gradcheck import TensorReport
from fullyconnected.core.arrays import Array
from fullyconnected.program.description import Operation
from fullyconnected.symbolic.equation import Equation
from fullyconnected.symbolic.evaluation import evaluate, size_of
from fullyconnected.symbolic.expression import Expression, Name, Opaque, names_in, sides

__all__ = ["PHASES", "Step", "Trace"]
PHASES = ("forward", "loss", "backward", "check", "update")


@dataclass(frozen=True, eq=False)
class Step:
    """One line of the record: a result, its formula, and what went into it.

    Attributes
    ----------
    number : int
        Counts from 1.
    phase : str
        ``"forward"``, ``"loss"``, ``"backward"``, ``"check"`` or ``"update"``.
    layer : str
        Its name in the network: ``"dense_1"``; ``"loss"`` or the optimizer's name.
    equation : Equation
        Prints as text; ``.latex``, ``.mathml`` and ``.numpy`` say the same.
    values : mapping of Name to array
        Of everything in the equation, read-only.
    why : str
        One sentence.
    entries : tuple of index, or None
        Which entries of the result there are; None means all. A difference is not taken for every entry of a large
        tensor.
    """

    number: int
    phase: str
    layer: str
    equation: Equation
    values: Mapping[Name, Array]
    why: str
    entries: tuple[tuple[int, ...], ...] | None = None
    report: TensorReport | None = None  # of a check: whether the gradient is right

    @property
    def name(self) -> str:
        """The result's name: ``"z1"``, ``"dL/dW1"``."""
        return self.equation.left.text

    @property
    def result(self) -> Array:
        """The result's value."""
        return self.values[self.equation.left]

    @property
    def formula(self) -> Expression:
        """The right side of the equation, as a tree."""
        return self.equation.right

    @property
    def operands(self) -> dict[str, Array]:
        """The values that went in, by name."""
        return {name.text: self.values[name] for name in names_in(self.equation.right)}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the result and of the operands, by name."""
        return {self.name: self.result.shape, **{name: a.shape for name, a in self.operands.items()}}

    @property
    def known(self) -> bool:
        """Whether the formula says how the result is computed, or only that a user's own code did it."""
        return _known(self.equation.right)

    @property
    def finite(self) -> bool:
        """Whether every number of the result is."""
        chosen = self.result if self.entries is None else [self.result[entry] for entry in self.entries]
        return bool(np.isfinite(chosen).all())

    @property
    def error(self) -> float:
        """The largest distance of the result from its formula, relative to the largest number met on the way.

        NaN where the formula is not known, or nothing is finite.
        """
        if not self.known:
            return math.nan
        with np.errstate(all="ignore"):
            wanted = np.broadcast_to(evaluate(self.equation.right, self.values), self.result.shape)
            off = np.abs(np.subtract(self.result, wanted, dtype=np.float64))
            size = size_of(self.equation.right, self.values)
        compared = off[np.isfinite(off)]
        return float(compared.max() / size) if compared.size and size else (0.0 if compared.size else math.nan)


@dataclass(frozen=True, eq=False)
class Trace:
    """The record of one training step, made by :func:`trace`: ordered, and frozen.

    Attributes
    ----------
    steps : tuple of Step
        In the order in which they were computed.
    values : mapping of Name to array
        Every quantity by its name; read-only.
    operations : tuple of Operation
        The program that ran, every activation a step of its own; ``wires`` are the names of what goes in and out.
    loss : float
        With l2, if there is any.
    dtype : str
        What the network computes in. The differences are taken in float64.
    rows : int
        Of the batch.
    settings : mapping of str to str
        What else the numbers depend on, as text.
    """

    steps: tuple[Step, ...]
    values: Mapping[Name, Array]
    operations: tuple[Operation, ...]
    wires: tuple[Name, ...]
    loss: float
    dtype: str
    rows: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def given(self) -> tuple[Name, ...]:
        """What was not computed: inputs, targets, weights, parameters and settings."""
        computed = {step.equation.left for step in self.steps}
        used = dict.fromkeys(name for step in self.steps for name in names_in(step.equation.right))
        return tuple(name for name in used if name not in computed and not name.full.endswith((":right", ":left")))

    @property
    def first_not_finite(self) -> Step | None:
        """The first step whose result holds NaN or infinity, or None."""
        return next((step for step in self.steps if not step.finite), None)

    @property
    def reports(self) -> tuple[TensorReport, ...]:
        """How each gradient compares with central differences."""
        return tuple(step.report for step in self.steps if step.report is not None)

    @property
    def ok(self) -> bool:
        """Whether all is finite, and no gradient that was compared is wrong."""
        return self.first_not_finite is None and not self.wrong

    @property
    def wrong(self) -> bool:
        """Whether a gradient is wrong: it disagrees with the differences by more than these may be off."""
        return any(report.wrong for report in self.reports)

    @property
    def resolved(self) -> bool:
        """Whether a gradient at least could be compared."""
        return any(report.verdict != "unresolved" for report in self.reports)

    def name(self, text: str) -> Name:
        """Return the name that is written so, or called so by the library: ``"W1"`` or ``"dense_1.W"``."""
        for name in self.values:
            if text in (name.text, name.quantity):
                return name
        raise KeyError(text)


def _known(node: Expression) -> bool:
    return not isinstance(node, Opaque) and all(map(_known, sides(node)))
