"""The record of one training step: its operations in order, with all their inputs and results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fullyconnected.checking.gradcheck import TensorReport
from fullyconnected.core.arrays import Array
from fullyconnected.program.description import Operation
from fullyconnected.symbolic.equation import Equation
from fullyconnected.symbolic.evaluation import evaluate, size_of
from fullyconnected.symbolic.expression import Expression, Name, Opaque, Taken, names_in, sides
from fullyconnected.symbolic.turning import turned_index

__all__ = ["PHASES", "Step", "Trace"]
PHASES = ("forward", "loss", "backward", "check", "update", "after")


@dataclass(frozen=True, eq=False)
class Step:
    """One line of the record: a result, its formula, and its operands.

    Attributes
    ----------
    number : int
        Counts from 1.
    phase : str
        ``"forward"``, ``"loss"``, ``"backward"``, ``"check"``, ``"update"``, or ``"after"`` the update.
    layer : str
        The layer's name in the network, such as ``"dense_1"``; ``"loss"``; or the optimizer's name.
    equation : Equation
        Prints as text, and has ``.latex``, ``.mathml`` and ``.numpy``.
    values : mapping of Name to array
        All quantities in the equation, read-only.
    why : str
        One sentence that explains the formula.
    entries : tuple of index, or None
        The entries of the result that were computed; None means all. In a large tensor, only some entries are compared
        with central differences.
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
        """The values of the operands, by name."""
        return {name.text: self.values[name] for name in names_in(self.equation.right)}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the result and of the operands, by name."""
        return {self.name: self.result.shape, **{name: a.shape for name, a in self.operands.items()}}

    @property
    def known(self) -> bool:
        """Whether the formula of the result is known; it is not for the result of a user's own code."""
        return _known(self.equation.right)

    @property
    def finite(self) -> bool:
        """Whether every number of the result is finite."""
        chosen = self.result if self.entries is None else [self.result[entry] for entry in self.entries]
        return bool(np.isfinite(chosen).all())

    @property
    def error(self) -> float:
        """The largest difference between the result and its formula, relative to the largest intermediate number.

        NaN if the formula is not known, or if no number is finite.
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
    """The read-only record of one training step, returned by :func:`trace`.

    Attributes
    ----------
    steps : tuple of Step
        The steps in the order of the computation.
    values : mapping of Name to array
        Every quantity by its name; read-only.
    operations : tuple of Operation
        The program that ran, with every activation as a separate operation.
    wires : tuple of Name
        The names of the input, and of the output of each operation.
    loss : float
        The loss, including l2.
    dtype : str
        The dtype of the network. The central differences are computed in float64.
    rows : int
        The number of rows in the batch.
    settings : mapping of str to str
        Everything else that the numbers depend on, as text.
    predicted : array (rows, outputs)
        What the network says of each row, as the loss understands its outputs: values, rates or probabilities.
    wanted : array (rows, outputs) or (rows,)
        The targets: numbers, or the number of each row's class.
    losses : array (rows,)
        The loss of each row alone, whatever it weighs, without l2.
    again : tuple of Step
        The forward pass that is run again after the update, up to the loss, which is the last of ``steps``. Each has
        the number of the step whose formula it repeats.
    loss_after : float or None
        The loss of the same rows after the update; None without an optimizer.
    inputs, outputs : tuple of str
        The names of the columns of x, and of the outputs, such as those of classes; empty where they are not known.
    notation : str
        ``"xW"`` where samples are rows, ``z = x W + b``, or ``"Wx"`` where they are columns, ``z = W x + b``.
    in_rows : Trace
        The same record with samples as rows, which it is itself unless its notation is ``"Wx"``.
    """

    steps: tuple[Step, ...]
    values: Mapping[Name, Array]
    operations: tuple[Operation, ...]
    wires: tuple[Name, ...]
    loss: float
    dtype: str
    rows: int
    settings: Mapping[str, str]
    predicted: Array
    wanted: Array
    losses: Array
    again: tuple[Step, ...] = ()
    loss_after: float | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    notation: str = "xW"
    turned_from: Trace | None = None

    @property
    def in_rows(self) -> Trace:
        return self if self.turned_from is None else self.turned_from

    def place(self, at: tuple[int, ...]) -> tuple[int, ...]:
        """Return where an entry of an array of :attr:`in_rows` stands in the array of this record."""
        return at if self.turned_from is None else turned_index(at)

    @property
    def given(self) -> tuple[Name, ...]:
        """The names of quantities that were not computed: inputs, targets, sample weights, parameters and settings."""
        every = (*self.steps, *self.again)
        computed = {step.equation.left for step in every}
        used = dict.fromkeys(name for step in every for name in names_in(step.equation.right))
        return tuple(name for name in used if name not in computed and not name.full.endswith((":right", ":left")))

    @property
    def first_not_finite(self) -> Step | None:
        """The first step whose result holds NaN or infinity, or None.

        Columns of the input, which may be missing where a layer takes that, are no result.
        """
        last = [step for step in self.steps if step.phase == "after"]
        order = (*self.steps[: len(self.steps) - len(last)], *self.again, *last)
        return next((step for step in order if not (step.finite or isinstance(step.formula, Taken))), None)

    @property
    def reports(self) -> tuple[TensorReport, ...]:
        """The comparison of each gradient with central differences."""
        return tuple(step.report for step in self.steps if step.report is not None)

    @property
    def ok(self) -> bool:
        """Whether all numbers are finite, and no gradient that was compared is wrong."""
        return self.first_not_finite is None and not self.wrong

    @property
    def wrong(self) -> bool:
        """Whether a gradient differs from the central differences by more than their error."""
        return any(report.wrong for report in self.reports)

    @property
    def resolved(self) -> bool:
        """Whether at least one gradient could be compared."""
        return any(report.verdict != "unresolved" for report in self.reports)

    def name(self, text: str) -> Name:
        """Return the name with this text or full name: ``"W1"`` or ``"dense_1.W"``."""
        for name in self.values:
            if text in (name.text, name.quantity):
                return name
        raise KeyError(text)


def _known(node: Expression) -> bool:
    return not isinstance(node, Opaque) and all(map(_known, sides(node)))
