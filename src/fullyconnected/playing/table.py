"""The user's own table in the playground: two of its columns, or a plane through all of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fullyconnected.assessment.problem import Problem, Roles, column_named, problem_of
from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, DataError, InputTypeError, ShapeError
from fullyconnected.playing.data import MARGIN, Dataset, require_variety, split
from fullyconnected.playing.setup import Setup
from fullyconnected.tables.files import read_frame
from fullyconnected.tables.frame import Frame, frame_of
from fullyconnected.tables.kinds import judge
from fullyconnected.tables.vocabulary import Vocabulary

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["Table"]

MOST_ROWS = 2000  # of a longer table, as many are drawn
MOST_CLASSES = 6  # colours and marks that can be told apart
MOST_COLUMNS = 1000


@dataclass(frozen=True)
class Table:
    """A table with its name; :meth:`dataset` makes the rows of a setup of it."""

    frame: Frame
    source: str

    @classmethod
    def read(cls, path: PathLike) -> Self:
        """Read a table from a file, as the estimators do."""
        return cls(read_frame(path), os.path.basename(os.fsdecode(path)))

    @classmethod
    def of(cls, table: Any) -> Self:
        """Take a table that is in memory: a DataFrame, or columns by name."""
        try:
            return cls(frame_of(table), "the table")
        except (InputTypeError, ShapeError) as error:
            said = re.sub(r"^X is a (\w+);", rf"{table!r:.80} is of type \1;", str(error))
            said = re.sub(r"^X has 0 feature.*", "the table has no columns", said)
            said = re.sub(r"(row \d+) of X is a (\w+);", r"\1 of the table is of type \2;", said)
            raise type(error)(
                f"{said.rstrip('.')}. A playground begins with a table, a Network, or the path of a file with either"
            ) from None

    def dataset(self, setup: Setup) -> Dataset:
        """Return the rows of the table as the setup asks for them."""
        frame, says = self.frame, []
        name = _column(frame, setup.target, "target") if setup.target else frame.names[-1]
        try:
            problem = problem_of(frame, Roles(name))
        except DataError as error:
            said = re.split(r"; if they are classes, use --task| Correct it, or use --task", str(error))[0]
            raise ConfigError(f"target: {said.rstrip('.')}. Choose another target, or correct the table") from None
        if problem.lacking:
            says.append(f"{problem.lacking} rows without {printable(name)} are left out.")
        if len(problem.y) > MOST_ROWS:
            says.append(f"{MOST_ROWS} of {len(problem.y)} rows are shown and trained on, drawn by the data seed.")
            order = np.random.default_rng(setup.data_seed).permutation(len(problem.y))
            problem = problem.at(np.sort(order[:MOST_ROWS]))
        test = split(len(problem.y), setup)
        task = "classification" if problem.task == "classes" else "regression"
        setup.require_loss(task)
        if task == "regression":
            require_variety(problem.y.astype(np.float64), test)
        t, classes = _targets(problem, test, says) if task == "regression" else _classes(problem)
        rows, names = _numbers(problem.frame, test, says, self.two_of(problem.frame, setup.columns))
        if rows.shape[1] == 2:
            x, axes = rows, names

            def inputs(at: Array) -> Array:
                return at

            says.append("Both columns are in units of their standard deviation, around their mean.")
        else:
            directions, share = _plane(rows[~test])
            x, axes = rows @ directions, ["component 1", "component 2"]

            def inputs(at: Array) -> Array:
                return at @ directions.T

            says.append(
                f"The network sees all {rows.shape[1]} columns of numbers that the table gives. The picture is a plane "
                f"through them, the first two principal components, which have {share:.0%} of the variance; "
                f"what the network says off this plane is not in it, so a point may lie on ground of another colour."
            )
        low, high = x.min(axis=0), x.max(axis=0)
        reach = float(np.max(high - low)) / 2 * MARGIN or 1.0
        middle = (low + high) / 2
        left, right, bottom, top = (float(m + d * reach) for m in middle for d in (-1, 1))
        return Dataset(
            np.ascontiguousarray(x), rows, t, test, task, classes, (axes[0], axes[1]), printable(name), tuple(names),
            inputs, (left, right, bottom, top), " ".join(says),
        )  # fmt: skip

    def two_of(self, frame: Frame, columns: str) -> tuple[str, ...]:
        """Return the columns that are asked for; none means all."""
        if not columns.strip():
            return ()
        given = [part.strip() for part in columns.split(",")]
        if len(given) != 2 or given[0] == given[1]:
            raise ConfigError(
                f"columns: two different names with a comma between them are wanted, or none for all columns; "
                f"got {columns!r:.80}"
            )
        return tuple(_column(frame, each, "columns") for each in given)


def _column(frame: Frame, name: str, knob: str) -> str:
    try:
        return column_named(frame, name, knob).name
    except ConfigError as error:
        raise type(error)(f"{knob}: {error}") from None


def _classes(problem: Problem) -> tuple[Array, tuple[str, ...]]:
    labels, t = np.unique(problem.y, return_inverse=True)
    if len(labels) > MOST_CLASSES:
        raise ConfigError(
            f"target: {printable(problem.roles.target)} has {len(labels)} classes; the playground shows up to "
            f"{MOST_CLASSES}. Choose another target"
        )
    return t.astype(np.int64), tuple(printable(str(label)) for label in labels)


def _targets(problem: Problem, test: Array, says: list[str]) -> tuple[Array, None]:
    t = problem.y.astype(np.float64)
    mean, deviation = t[~test].mean(), t[~test].std() or 1.0
    says.append(
        f"{printable(problem.roles.target)} is shown in units of its standard deviation, {deviation:.4g}, around its "
        f"mean, {mean:.4g}."
    )
    return (t - mean) / deviation, None


def _numbers(frame: Frame, test: Array, says: list[str], two: tuple[str, ...]) -> tuple[Array, list[str]]:
    """Return the columns as numbers of mean 0 and standard deviation 1 over the training rows, and their names."""
    decisions = judge(frame.at(~test))
    if two:
        kinds = {decision.column: decision for decision in decisions}
        for name in two:
            if kinds[name].kind not in ("number", "boolean", "date"):
                raise ConfigError(
                    f"columns: {printable(name)} is no axis, since it is {kinds[name].kind}: {kinds[name].why}"
                )
        frame = replace(frame, columns=tuple(frame.column(name) for name in two))
        decisions = tuple(kinds[name] for name in two)
    used = [decision for decision in decisions if decision.used]
    left = [printable(decision.column) for decision in decisions if not decision.used]
    if left:
        says.append(f"Left out, since they say nothing: {', '.join(left)}.")
    if not used:
        raise ConfigError("target: no other column has anything to learn from; choose another target or another table")
    vocabulary = Vocabulary.of(frame.at(~test), decisions)
    width = sum(max(1, feature.levels) for feature in vocabulary.features)
    if width > MOST_COLUMNS:
        raise ConfigError(f"the table makes {width} columns of numbers; the playground takes {MOST_COLUMNS}")
    x, names = _apart(vocabulary, np.asarray(vocabulary.encode(frame), np.float64))
    with np.errstate(all="ignore"):
        known = np.isfinite(x)
        missing = int((~known).sum())
        part = np.where(known, x, 0.0)[~test]
        n = np.maximum(known[~test].sum(axis=0), 1)
        mean = part.sum(axis=0) / n
        deviation = np.sqrt((np.where(known[~test], part - mean, 0.0) ** 2).sum(axis=0) / n)
    x = np.where(known, (x - mean) / np.where(deviation > 0, deviation, 1.0), 0.0)
    if missing:
        says.append(f"{missing} missing values are set to their column's mean.")
    return x, names


def _apart(vocabulary: Vocabulary, x: Array) -> tuple[Array, list[str]]:
    """Return the columns, with one for each level in place of a code, and their names."""
    parts: list[Array] = []
    names: list[str] = []
    place = 0
    for encoder in vocabulary.encoders:
        for feature in encoder.features:
            column = x[:, place]
            place += 1
            if feature.kind != "code":
                parts.append(column)
                names.append(printable(feature.name))
                continue
            levels = [*getattr(encoder, "levels", ())]
            levels += ["other"] * getattr(encoder, "rare", False) + ["missing"] * getattr(encoder, "missing", False)
            for code, level in enumerate(levels):
                parts.append((column == code).astype(np.float64))
                names.append(printable(f"{feature.name}={level}"))
    return np.column_stack(parts), names


def _plane(rows: Array) -> tuple[Array, float]:
    """Return two directions (columns, 2), the first principal components, and their share of the variance."""
    _, s, vt = np.linalg.svd(rows, full_matrices=False)
    directions = np.zeros((rows.shape[1], 2))
    found = vt[:2].T
    sign = np.sign(
        found[np.abs(found).argmax(axis=0), range(found.shape[1])]
    )  # so that no picture is mirrored by chance
    directions[:, : found.shape[1]] = found * sign
    total = float(np.square(s).sum())
    return directions, float(np.square(s[:2]).sum()) / total if total else 0.0
