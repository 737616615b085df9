"""What int8 makes of a model, in words: what is computed in it, what it saves, and what it loses on rows of data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import in_words, many, printable
from fullyconnected.errors import DataError, ShapeError
from fullyconnected.exchange.graph import FLOAT64, Assigned, Graph
from fullyconnected.exchange.leaving import Leaving, in_comment
from fullyconnected.exchange.programs.agreement import STRETCHED, Agreement, kappa_of, stretched_columns
from fullyconnected.exchange.programs.exact import SUMS
from fullyconnected.exchange.programs.quantised import quantised
from fullyconnected.exchange.programs.rows import RowProgram, row_program
from fullyconnected.exchange.vector import Vector
from fullyconnected.symbolic.expression import Call, Reduce, names_in, nodes_in

__all__ = ["Quantisation", "in_int8"]

FEW, CALIBRATED = 100, 4096  # rows: fewer are few, and at most so many set the ranges
SAME = 0.99  # the least share of rows of the same class of which it is said that int8 loses little
KAPPA = 0.9  # the same of Cohen's kappa
ALIKE = 0.99  # the same of R2
NAMED = 5  # columns
BLOCK = 1024  # rows that are predicted at a time
WIDTH = 100


@dataclass(frozen=True)
class Quantisation:
    """What int8 makes of a model; as a text, a report of it.

    Attributes
    ----------
    rows : int
        The number of rows of data, on which the differences between int8 and float32 were measured.
    calibrated : int
        The number of those that set the ranges of activations.
    bytes_float32, bytes_int8 : int
        The size of all constants.
    int8 : tuple of str
        The operations whose products are computed in int8.
    float32 : mapping of str to str
        The operations that are computed in float32 or float64, wholly or after their product, and why.
    mean_difference, largest_difference : float
        Of the results, over all rows, in standard deviations of the float32 results in the middle 98% of the rows; of
        results that are the same in these, relative to their size.
    same_class : float or None
        Of a classifier, the share of the rows that have the same class, or of several labels the same ones.
    kappa : float or None
        Of a classifier, Cohen's kappa between the classes in int8 and in float32: ``(a - c) / (1 - c)`` of the share a
        of rows that agree, and the share c that would by chance, so that a class with few rows counts, too. Of several
        labels, the least. None if all rows have the same class.
    middle_r2 : float or None
        Of all other models, R2 between the results in int8 and in float32 in the middle 98% of the rows: without the 1%
        with the largest results in float32, and the 1% with the least, which would make all errors look small. Of
        several results, the least of those that vary in these rows; None if none does.
    unvarying : tuple of int
        Of all models but classifiers, the results that do not vary in these rows.
    stretched : tuple of str
        The columns of x whose range few rows stretch: their largest distance from the median is more than 20 times the
        99th percentile of such distances; of a column that is the same in 99% of the rows, than the largest such
        percentile of all columns.
    """

    rows: int
    calibrated: int
    bytes_float32: int
    bytes_int8: int
    int8: tuple[str, ...]
    float32: dict[str, str]
    mean_difference: float
    largest_difference: float
    same_class: float | None
    kappa: float | None
    middle_r2: float | None
    unvarying: tuple[int, ...]
    stretched: tuple[str, ...]

    @property
    def loses_much(self) -> bool | None:
        """Whether less than 99% of the rows have the same class, kappa is below 0.9, or R2 is below 0.99.

        None if the rows cannot tell: if there are fewer than 100, or their results do not vary, and yet none of these
        is so low.
        """
        least = ((self.same_class, SAME), (self.kappa, KAPPA), (self.middle_r2, ALIKE))
        if any(value is not None and value < enough for value, enough in least):
            return True
        return None if self.rows < FEW or not self._varies else False

    @property
    def _varies(self) -> bool:
        return self.kappa is not None or self.middle_r2 is not None

    def __str__(self) -> str:
        return "\n".join(line for part in self._parts() for line in wrap(part, WIDTH, subsequent_indent="    "))

    def _parts(self) -> Iterator[str]:
        yield f"int8 {self._verdict()}: {self._found()}."
        if self.loses_much:
            yield (
                "All inputs of a layer share 256 steps: columns or activations of very different sizes lose most. "
                "Standardise the columns in the model before it is trained, or let it leave in float32."
            )
        if self.unvarying and self.middle_r2 is not None:
            yield (
                f"These rows cannot tell what {in_words(f'y[{i}]' for i in self.unvarying)} "
                f"{'loses, since it does' if len(self.unvarying) == 1 else 'lose, since they do'} not vary in the "
                f"middle 98% of them."
            )
        if self.stretched:
            more = f" and {len(self.stretched) - NAMED:,} more" if len(self.stretched) > NAMED else ""
            yield (
                f"Few rows stretch the range of {', '.join(self.stretched[:NAMED])}{more}, more than {STRETCHED} times "
                f"beyond what 99% of the rows have, so that the others share few of the 256 steps. Leave such rows out "
                f"of the data, or clip the columns, if they are no rows to predict from."
            )
        unit = "size" if self.same_class is None and self.middle_r2 is None else "standard deviation"
        yield (
            f"Results differ by {self.mean_difference:.2g} of their {unit} on average, and by "
            f"{self.largest_difference:.2g} at most, on the {many(self.rows, 'row')} of data."
        )
        if self.calibrated < FEW:
            yield (
                f"{many(self.calibrated, 'row')} {'is' if self.calibrated == 1 else 'are'} few to set the ranges of "
                f"activations; values beyond the ranges become their ends. Give {FEW} or more."
            )
        elif self.calibrated < self.rows:
            yield f"{self.calibrated:,} of them, evenly chosen, set the ranges of activations."
        yield f"Constants take {self.bytes_int8:,} bytes, and {self.bytes_float32:,} in float32."
        yield f"In int8: the products of {', '.join(self.int8)}."
        for why in dict.fromkeys(self.float32.values()):
            yield f"Not in int8, since it {why}: {', '.join(n for n, each in self.float32.items() if each == why)}."

    def _verdict(self) -> str:
        """Return what is to be said first."""
        if self.loses_much is not None:
            return "LOSES MUCH" if self.loses_much else "loses little"
        if self.rows < FEW:
            return f"CANNOT BE JUDGED by {many(self.rows, 'row')}, only by {FEW} or more"
        same = "class" if self.same_class is not None else "results"
        return f"CANNOT BE JUDGED by rows that have the same {same}"

    def _found(self) -> str:
        """Return how int8 and float32 agree."""
        if self.same_class is not None:
            percent = np.floor(round(1e4 * self.same_class, 6)) / 100  # 100 is said of all rows alone
            beside = "" if self.kappa is None else f"; Cohen's kappa, which is 0 by chance, is {self.kappa:.4g}"
            return f"{percent:g}% of the rows have the class that they have in float32{beside}"
        if self.middle_r2 is None:
            return f"its results differ from those of float32 by {self.mean_difference:.2g} of their size"
        return f"R2 between its results and those of float32 is {self.middle_r2:.6g} in the middle 98% of the rows"


def in_int8(model: Leaving, data: Any) -> tuple[RowProgram, Vector, Quantisation]:
    """Return the loops of a model in int8, their test vector, and a report.

    Parameters
    ----------
    model : Leaving
    data : rows or table
        What the model predicts from.

    Raises
    ------
    ShapeError, InputTypeError, DataError, ConfigError
        For data that the model does not predict from, or without rows; and as :func:`quantised`.
    """
    with np.errstate(over="ignore"):
        x = model.rows(data).astype(np.float32)
    if not len(x):
        raise ShapeError("data has no rows; the ranges of int8 need some, 100 or more")
    if np.isinf(x).any():
        raise DataError("data has numbers that are too large for float32, which C reads")
    chosen = x if len(x) <= CALIBRATED else x[np.linspace(0, len(x) - 1, CALIBRATED).astype(int)]
    graph = quantised(model.graph, chosen)
    before, program = row_program(model.graph), row_program(graph)
    bytes_float32, bytes_int8 = (sum(c.nbytes for c in each.constants.values()) for each in (before, program))
    blocks = [x[i : i + BLOCK] for i in range(0, len(x), BLOCK)]
    (y, own), (q, other) = (
        (np.concatenate(part) for part in zip(*(_said(model, each, rows) for rows in blocks), strict=True))
        for each in (model.graph, graph)
    )
    agreement = Agreement.of(q, y)
    is_classifier = model.classes is not None
    report = Quantisation(
        len(x),
        len(chosen),
        bytes_float32,
        bytes_int8,
        tuple(dict.fromkeys(line.name.full for line in graph.lines if line.kept == np.int32)),
        _in_float(graph),
        float(agreement.off.mean()),
        float(agreement.off.max()),
        float((own == other).all(axis=1).mean()) if is_classifier else None,
        _least(kappa_of(other, own)) if is_classifier else None,
        None if is_classifier else _least(agreement.r2),
        () if is_classifier else tuple(np.flatnonzero(np.isnan(agreement.r2)).tolist()),
        tuple(_column(model, i) for i in stretched_columns(x, model.graph)),
    )
    return program, Vector.of_integers(x, graph), report


def _least(values: Array) -> float | None:
    """Return the least number; None if all are NaN."""
    return None if np.isnan(values).all() else float(np.nanmin(values))


def _column(model: Leaving, i: int) -> str:
    """Return a column of x as it is named in a comment."""
    return f"x[{i}] ({in_comment(printable(model.columns[i]))})" if model.columns else f"x[{i}]"


def _said(model: Leaving, graph: Graph, x: Array) -> tuple[Array, Array]:
    """Return the results for rows, and by which class, or labels, a classifier decides."""
    y = graph.predict(x).astype(FLOAT64)
    if model.classes is None:
        return y, np.zeros((len(y), 0))
    if model.results == "probabilities of labels" or y.shape[1] == 1:
        return y, y > (0.0 if model.results == "scores of classes" else 0.5)
    return y, y.argmax(axis=1)[:, None]


def _in_float(graph: Graph) -> dict[str, str]:
    """Return the operations that have lines in floating-point numbers, and why."""
    found: dict[str, str] = {}
    products = {line.name for line in graph.lines if line.kept == np.int32}
    for line in graph.lines:
        only_scaled = any(name in products for name in names_in(line.formula))  # the numbers that sums stand for
        if line.kept.kind == "f" and not only_scaled:
            found.setdefault(line.name.full or "what becomes of the outputs", _why(line, graph))
    return found


def _why(line: Assigned, graph: Graph) -> str:
    """Return why a line is in floating-point numbers."""
    nodes = list(nodes_in(line.formula))
    functions = {node.function for node in nodes if isinstance(node, Call)}
    if "indicator" in functions:
        return "chooses rows of a table"
    if any(isinstance(node, Reduce) for node in nodes) or functions & SUMS:
        return "adds up the numbers of a row"
    if line.computed == FLOAT64:
        return "works on columns as they are given"
    return "is no product with constant weights"
