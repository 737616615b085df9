"""What is to be learned from a table: the column to predict, those to predict it from, and the rows that count."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array, of_usual_size
from fullyconnected.errors import ConfigError, DataError
from fullyconnected.tables.cells import CODE, as_number, hint, is_missing, shortened
from fullyconnected.tables.column import ROUNDED, Column, text_of
from fullyconnected.tables.dates import looks_like_date
from fullyconnected.tables.frame import Frame
from fullyconnected.tables.levels import count_levels, key_of_level
from fullyconnected.tables.names import key_of
from fullyconnected.tables.texts import reading_of
from fullyconnected.tabular.tasks import CLASSES, NUMBERS

__all__ = ["Problem", "Roles", "column_named", "problem_of", "require_exact"]

TASKS = {"classification": CLASSES, "regression": NUMBERS}
DATES = "holds dates, which cannot be predicted; make numbers of them, such as of days"
MOST_CLASSES = 20  # a target of more different whole numbers is taken for a number to predict


@dataclass(frozen=True)
class Roles:
    """What some columns of a table are for; all others are learned from.

    Attributes
    ----------
    target : str
        The column to predict.
    ignore, ids : tuple of str
        Columns that are left out, and those that tell rows apart and are never learned from.
    weight, group, time : str or None
        The weight of a row; the group whose rows stay together; and what orders the rows in time.
    """

    target: str
    ignore: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    weight: str | None = None
    group: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class Problem:
    """What is to be learned from a table.

    Attributes
    ----------
    source : str
        The name of the table, for messages.
    roles : Roles
        What its columns are for, by their names in the table.
    task : str
        ``"classes"`` or ``"numbers"``.
    reason : str
        Why it is that, in words.
    frame : Frame
        The columns that are learned from, of the rows that have a target.
    y : array (rows,)
        Their targets: labels, or numbers.
    rows : array (rows,)
        Where they stand in the table, from 0.
    lacking : int
        How many rows have no target and are left out.
    weights, groups, times : array (rows,) or None
        Their weights, groups, and places in time.
    """

    source: str
    roles: Roles
    task: str
    reason: str
    frame: Frame
    y: Array
    rows: Array
    lacking: int = 0
    weights: Array | None = None
    groups: Array | None = None
    times: Array | None = None

    def at(self, rows: Array) -> Problem:
        """Return the problem of some of the rows, by a mask or by their places."""
        given = {name: getattr(self, name) for name in ("weights", "groups", "times")}
        some: dict[str, Any] = {name: None if values is None else values[rows] for name, values in given.items()}
        return replace(self, frame=self.frame.at(rows), y=self.y[rows], rows=self.rows[rows], **some)

    @property
    def classes(self) -> Array:
        """The different labels, sorted."""
        return np.unique(self.y)


def problem_of(
    frame: Frame, roles: Roles, *, task: str | None = None, labels: Collection[str] = (), learned: bool = True
) -> Problem:
    """Return what is to be learned from a table.

    Rows without a target are left out. Text, and whole numbers of at most 20 different values that occur twice or more
    on average, are classes; other numbers are numbers to predict.

    Parameters
    ----------
    frame : Frame
        The table with all its columns; one that was read from a file says where each row stands.
    roles : Roles
        What its columns are for.
    task : {"classification", "regression"}, optional
        What is learned; judged by the target if None.
    labels : collection of str
        Texts of the target that look like a missing value in a file, but are labels, such as ``"None"``.
    learned : bool
        Whether there must be something to learn: two rows, and targets that vary.

    Raises
    ------
    ConfigError
        For a column that is not there, with the nearest name, or one with two roles that exclude each other.
    DataError
        For a table of fewer than two rows, a target that does not vary or is no target, or a row without weight, group
        or time.
    """
    source = getattr(frame, "source", "the table")
    target = column_named(frame, roles.target, "--target")
    names: dict[str, str] = {}
    single = (("weight", roles.weight), ("group", roles.group), ("time", roles.time))
    several = [("ignore", each) for each in roles.ignore] + [("id", each) for each in roles.ids]
    for role, name in (*several, *((role, name) for role, name in single if name is not None)):
        found = column_named(frame, name, f"--{role}").name
        if found == target.name:
            raise ConfigError(f"--{role} {name}: this is the column to predict")
        names[f"{role} {name}"] = found
    alone = [names.get(f"{role} {name}") for role, name in single]
    out = {target.name, alone[0], alone[1], *(names[f"{role} {name}"] for role, name in several)}
    features = [column for column in frame.columns if column.name not in out]
    if frame.rows < (2 if learned else 1):
        raise DataError(f"{source} has {'one row; two are' if frame.rows else 'no rows; two at least are'} needed")
    if not features:
        raise DataError(f"{source}: there is no column to predict {target.name!r} from")
    kept = ~_missing(target, labels)
    if learned and np.count_nonzero(kept) == 1:
        raise DataError(f"{source}: one row alone has a {target.name!r}; two at least are needed for training")
    if not kept.any():
        raise DataError(f"{source}: column {target.name!r} is missing in every row; there is nothing to learn")
    found, y, reason = _target_of(_Cells(frame, target, kept), task, learned)
    if found == CLASSES:
        require_exact(target, "labels")
    if learned and (y == y[0]).all():
        raise DataError(f"{source}: column {target.name!r} holds {_said(y[0])} in every row; there is nothing to learn")
    by_name = {column.name: column for column in frame.columns}
    extra = [None if name is None else _Cells(frame, by_name[name], kept) for name in alone]
    weights = None if extra[0] is None else _weights(extra[0])
    if alone[1] is not None:
        require_exact(by_name[alone[1]], "groups")
    groups = None if extra[1] is None else _groups(extra[1])
    times = None if extra[2] is None else _times(extra[2])
    plain = Roles(
        target.name,
        tuple(names[f"ignore {name}"] for name in roles.ignore),
        tuple(names[f"id {name}"] for name in roles.ids),
        *alone,
    )
    columns = replace(frame, columns=tuple(features)).at(kept)
    lacking = int(np.count_nonzero(~kept))
    rows = np.flatnonzero(kept)
    return Problem(source, plain, found, reason, columns, y, rows, lacking, weights, groups, times)


def column_named(frame: Frame, name: str, option: str) -> Column:
    """Return a column by its name in any form of Unicode, or raise with the name that may have been meant."""
    for column in frame.columns:
        if key_of(column.name) == key_of(name):
            return column
    import difflib

    names = [column.name for column in frame.columns]
    alike = {each.casefold(): each for each in names}
    close = difflib.get_close_matches(name.casefold(), alike, n=1, cutoff=0.6)
    said = f"did you mean {shortened(alike[close[0]])}? The" if close else "the"
    listed = ", ".join(map(shortened, names[:12])) + (", ..." if len(names) > 12 else "")
    source = getattr(frame, "source", "the table")
    raise ConfigError(f"{source}: there is no column {name!r:.200} for {option}; {said} columns are {listed}")


def require_exact(column: Column, what: str) -> None:
    """Raise if whole numbers of a column have been rounded, and what they are for needs all their digits."""
    if ROUNDED in column.note:
        raise DataError(f"column {column.name!r:.200}: {ROUNDED}, and {what} need all their digits: write them as text")


class _Cells:
    """The cells of a column in the rows that count, and where each of them stands."""

    def __init__(self, frame: Frame, column: Column, kept: Array) -> None:
        self.frame, self.column = frame, column
        self.rows = np.flatnonzero(kept)
        self.values = column.values[kept]
        self.source = f"{getattr(frame, 'source', 'the table')}: column {column.name!r:.200}"

    def texts(self) -> list[str]:
        return [str(cell).strip() for cell in self.values.tolist()]

    def place(self, i: int) -> str:
        """Return the place of the i-th cell in words."""
        row = int(self.rows[i])
        if hasattr(self.frame, "place"):
            return str(self.frame.place(row, self.column.name))
        return f"column {self.column.name!r:.200}, row {row}"

    def require_all(self, what: str) -> None:
        """Raise if a cell is missing."""
        gone = _missing(self.column)[self.rows]
        if gone.any():
            many = int(np.count_nonzero(gone))
            said = f", as in {many:,} rows" if many > 1 else ""
            raise DataError(
                f"{self.place(int(np.argmax(gone)))}: the cell is empty{said}; {what} is needed in every row"
            )

    def plain(self) -> Array | None:
        """Return numbers or dates, also of a column of text that holds them in all rows; or None."""
        if self.column.holds != "text":
            return self.values
        cells = self.texts()
        reading, _ = reading_of(count_levels(cells))
        if reading is None or reading.of == "truth" or reading.others:
            return None
        return np.array([reading.value(cell) for cell in cells])


def _missing(column: Column, labels: Collection[str] = ()) -> Array:
    """Return where a column is missing: in a file of text, where NA and the like stand, unless they are labels."""
    if column.origin != "written":
        return column.missing
    gone = [
        cell is None or (is_missing(cell.strip()) and cell.strip() not in labels) for cell in column.values.tolist()
    ]
    return np.array(gone, bool)


def _target_of(cells: _Cells, task: str | None, learned: bool) -> tuple[str, Array, str]:
    """Return the task, the labels or numbers of the rows that have a target, and the reason for the task."""
    if task is not None and task not in TASKS:
        raise ConfigError(f"task is {' or '.join(TASKS)}; got {task!r:.80}")
    column = cells.column
    if column.holds == "dates":
        raise DataError(f"{cells.source} {DATES}")
    if column.holds == "numbers":
        numbers = cells.values
        if far := np.flatnonzero(~np.isfinite(numbers)).tolist():
            raise DataError(f"{cells.place(far[0])}: {numbers[far[0]]} is not a finite number")
        labels = _number_labels(numbers, column.origin)
        if column.origin == "boolean" and task is None:
            return CLASSES, labels, "true and false"
    else:
        values = _numbers_in(cells.texts())
        if values is None:
            return _text_target(cells, task, learned)
        numbers, labels = values, _text_labels(cells.texts())
    if task is not None:
        chosen = TASKS[task]
        return chosen, labels if chosen == CLASSES else numbers, "set by --task"
    different = len(np.unique(numbers))
    whole = bool((numbers % 1 == 0).all())
    if whole and different <= MOST_CLASSES and 2 * different <= len(numbers):
        return CLASSES, labels, f"whole numbers, {different:,} different values"
    return NUMBERS, numbers, f"numbers, {different:,} different values"


def _text_target(cells: _Cells, task: str | None, learned: bool) -> tuple[str, Array, str]:
    """Return the task, the targets and the reason for a column of text that is not all numbers."""
    texts = cells.texts()
    odd = [i for i, text in enumerate(texts) if as_number(text) is None]
    levels = count_levels(texts)
    reading, note = reading_of(levels)
    if task != "classification" and reading is not None and reading.of == "numbers" and not reading.others:
        numbers = np.array([reading.value(text) for text in texts], np.float64)
        return NUMBERS, numbers, "set by --task" if task else note or "numbers"
    if task == "regression" and all(map(looks_like_date, texts)):
        raise DataError(f"{cells.source} {DATES}")
    if odd and (task == "regression" or (task is None and 2 * len(odd) < len(texts))):
        said = f"{cells.place(odd[0])}: {shortened(texts[odd[0]])} is not a number{hint(texts[odd[0]])}"
        if task is not None:
            way = "for text, use --task classification" if learned else "the model predicts numbers"
            raise DataError(f"{said}; {way}")
        raise DataError(
            f"{said}, as most cells of the column are. Correct it, or use --task classification to take each text for "
            f"a class"
        )
    if task == "regression":  # digits that begin with a zero, or numbers that are not finite
        return NUMBERS, _finite(cells, texts), "set by --task"
    different = len(levels)
    if task is None and 2 * different > len(texts):
        if all(map(looks_like_date, texts)):
            raise DataError(f"{cells.source} {DATES}")
        raise DataError(
            f"{cells.source} holds {different:,} different texts in {len(texts):,} rows, which look like names and not "
            f"like classes; if they are classes, use --task classification"
        )
    return CLASSES, _text_labels(texts), "set by --task" if task else f"text, {different:,} different values"


def _finite(cells: _Cells, texts: list[str]) -> Array:
    numbers = np.array([as_number(text) for text in texts], np.float64)
    if far := np.flatnonzero(~np.isfinite(numbers)).tolist():
        raise DataError(f"{cells.place(far[0])}: {shortened(texts[far[0]])} is not a finite number")
    return numbers


def _numbers_in(cells: Sequence[str]) -> Array | None:
    """Return the numbers that all cells are, or None; digits that begin with a zero (007) are names."""
    values = [as_number(cell.strip()) for cell in cells]
    if None in values or any(CODE.match(cell.strip()) for cell in cells):
        return None
    numbers = np.array(values, np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _number_labels(numbers: Array, origin: str) -> Array:
    """Return numbers as labels: bools, whole numbers, or else their texts."""
    if origin == "boolean":
        return numbers.astype(bool)
    if (numbers % 1 == 0).all() and (np.abs(numbers) < 2**53).all():
        return numbers.astype(np.int64)
    return np.array([text_of(float(each)) for each in numbers], object)


def _text_labels(cells: Sequence[str]) -> Array:
    """Return labels as the first row of each writes it: 1 and 1.0 are one, and whole numbers are numbers."""
    numbers = _numbers_in(cells)
    keys: list[Any] = [key_of_level(cell) for cell in cells] if numbers is None else numbers.tolist()
    spelled: dict[Any, str] = {}
    for key, cell in zip(keys, cells, strict=True):
        spelled.setdefault(key, key_of_level(cell))
    if numbers is not None and all(spelled[key] == text_of(key) for key in spelled):
        return _number_labels(numbers, "number")
    return np.array([spelled[key] for key in keys], object)


def _said(value: Any) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.12g}" if isinstance(value, float) else f"{value}"


def _weights(cells: _Cells) -> Array:
    cells.require_all("a weight")
    weights = cells.plain()
    if weights is None or weights.dtype.kind != "f":
        texts = [str(each) for each in cells.values.tolist()]
        i = next((i for i, text in enumerate(texts) if as_number(text) is None), 0)
        raise DataError(f"{cells.place(i)}: {shortened(texts[i])} is not a number, as a weight is")
    wrong = ~((weights >= 0) & np.isfinite(weights))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise DataError(f"{cells.place(i)}: {weights[i]:.12g} is no weight; a number of 0 or more is wanted")
    if not weights.any():
        raise DataError(f"{cells.source} is 0 in every row, so that no row counts")
    return of_usual_size(weights)


def _groups(cells: _Cells) -> Array:
    cells.require_all("a group")
    values = [key_of_level(text) for text in cells.texts()] if cells.column.holds == "text" else cells.values
    groups = np.unique(values, return_inverse=True)[1]
    if not groups.any():
        raise DataError(f"{cells.source} is the same in every row; two groups at least are needed")
    return groups


def _times(cells: _Cells) -> Array:
    cells.require_all("a time")
    times = cells.plain()
    if times is None:
        raise DataError(
            f"{cells.place(0)}: {shortened(str(cells.values[0]))} is text, as the column is; times are dates in the "
            f"form 2024-12-31 23:59, or numbers"
        )
    return times
