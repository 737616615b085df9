"""Tables in CSV files: numbers in every row of every column that is asked for, and a target that may be text.

A row's number in an error is the one that a spreadsheet shows: the header is row 1.
"""

import contextlib
import os
import shlex
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import DataError, FileFormatError
from fullyconnected.tables.cells import CODE, LARGEST, as_feature, as_number, hint, is_missing, shortened, wrong
from fullyconnected.tables.rows import Row, key_of, require_text, rows_of

__all__ = ["Table", "choose_task", "read_table"]

ADVICE = "Every feature is a number in every row: fill the cell in, or leave the row or the column out"
MOST_CLASSES = 20  # different whole numbers up to which a target is taken for classes


@dataclass(frozen=True)
class Table:
    """The columns that were asked for: ``x`` (rows, features) float64, and the target's cells as they are written."""

    path: str
    features: tuple[str, ...]
    x: Array
    target: str | None
    labels: tuple[str, ...]

    def place(self, row: int, column: str | None) -> str:
        """Return where a cell is in words; ``row`` counts from 0 below the header."""
        return f"{self.path}, row {row + 2}, column {column!r:.200}"

    def numbers(self) -> Array:
        """Return the target as numbers, or raise for the first cell that is none."""
        values = [as_number(cell) for cell in self.labels]
        for row, (cell, value) in enumerate(zip(self.labels, values, strict=True)):
            if reason := wrong(cell, value):
                advice = "; text is learned by --task classification" if value is None and not hint(cell) else ""
                raise DataError(f"{self.place(row, self.target)}: {reason}{advice}")
        return np.array(values, np.float64)

    @property
    def coded(self) -> bool:
        """Whether the target holds text, or digits that begin with a zero (007): names, not numbers."""
        return any(as_number(cell) is None or CODE.match(cell) for cell in self.labels)


def read_table(
    path: str | os.PathLike[str],
    target: str | None = None,
    features: Sequence[str] | None = None,
    known: Collection[str] = (),
) -> Table:
    """Read a CSV file: UTF-8, a header, cells between commas, semicolons, tabs or bars, quoted where they need to be.

    A first line ``sep=;`` says what is between the cells; else it is told from the columns that are asked for, and from
    the first rows. UTF-16 is read where the file begins with its mark. Names of columns are compared in Unicode's
    composed form, rows and columns at the end that are empty are left out, and columns that are not asked for may hold
    and be called anything.

    Parameters
    ----------
    path : path
        A file, or a pipe: it is read once.
    target : str, optional
        The column to learn; its cells stay text.
    features : sequence of str, optional
        The columns to read as numbers, true and false being 1 and 0, in the order wanted. If None, all but the target.
    known : collection of str
        Labels of the target that are no missing values, though they look so: ``"None"``, ``"NA"``.

    Raises
    ------
    DataError
        For a cell that is missing, not a number, not finite or too large; the message names file, row and column.
    FileFormatError
        For what is no such table: no header, a column missing or there twice, a row of another length.
    """
    path = os.fspath(path)
    wanted = [*(features or ()), *([] if target is None else [target])]
    with contextlib.closing(rows_of(path, wanted)) as rows:
        header = next(rows, Row(1, 1, [])).cells
        columns = _columns(path, header, wanted, everything=features is None)
        answer = -1 if target is None else columns[key_of(target)]
        if features is None:
            features = [header[i] for i in columns.values() if i != answer]
            if not features:
                raise FileFormatError(f"{path}: there is no column beside {target!r}, so nothing to predict it from")
            nameless = [i for i, name in enumerate(header) if not name]
        else:
            nameless = []
        places = [columns[key_of(name)] for name in features]
        least = max(columns.values()) + 1
        numbers, labels, missing = array("d"), list[str](), list[Row]()
        for row in rows:
            cells = row.cells
            if len(cells) != len(header) and (len(cells) < least or any(cells[len(header) :])):
                raise FileFormatError(f"{row.place(path)}: {_other_length(len(cells), least)}")
            chosen = [cells[i] for i in places]
            try:
                values = list(map(float, chosen))
            except ValueError:
                values = [np.nan]
            if not sum(map(abs, values)) <= LARGEST or "_" in "".join(chosen):  # rare: now look at every cell
                values = [_value(path, row, name, cell) for name, cell in zip(features, chosen, strict=True)]
            numbers.extend(values)
            for i in nameless:
                if i < len(cells) and cells[i]:
                    raise FileFormatError(f"{path}: {_nameless(i, row)}")
            if target is not None:
                labels.append(cells[answer])
                if is_missing(cells[answer]) and cells[answer] not in known:
                    missing.append(row)
                elif not cells[answer].isprintable():
                    require_text(path, cells[answer], row)
    if "+" in labels:  # then - is a class, too
        missing = [row for row in missing if row.cells[answer] != "-"]
    if missing:
        raise DataError(_missing(path, missing, str(target), answer))
    found = None if target is None else header[answer]
    return Table(path, tuple(features), np.asarray(numbers).reshape(-1, len(places)), found, tuple(labels))


def _value(path: str, row: Row, column: str, cell: str) -> float:
    value = as_feature(cell)
    if reason := wrong(cell, value):
        raise DataError(f"{row.place(path, column)}: {reason}. {ADVICE}")
    assert value is not None
    return value


def _missing(path: str, rows: list[Row], target: str, answer: int) -> str:
    """Say what is missing in the target, in how many rows, and what to do."""
    cell, value = rows[0].cells[answer], as_number(rows[0].cells[answer])
    many = f", as in {len(rows):,} rows" if len(rows) > 1 else ""
    if not cell or value is not None:  # nothing, or nan, which are no label anywhere
        return f"{rows[0].place(path, target)}: {wrong(cell, value)}{many}"
    return (
        f"{rows[0].place(path, target)}: {cell!r} stands for a missing value{many}; leave such rows out. "
        f"Where it is a class of its own: --label {shlex.quote(cell)}"
    )


def _other_length(found: int, wanted: int) -> str:
    advice = "; a cell that has in it what is between cells stands in quotes" if found > wanted else ""
    return f"{found} cells, where the header has {wanted} columns{advice}"


def _nameless(i: int, row: Row) -> str:
    index = "; where pandas wrote an index there, leave it out: to_csv(index=False)" if i == 0 else ""
    said = f"column {i + 1} has no name in the header (row 1), and {shortened(row.cells[i])} in row {row.number}"
    return f"{said}{index}"


def _columns(path: str, header: list[str], wanted: Sequence[str], everything: bool) -> dict[str, int]:
    """Return where each column is, by the key of its name; those that are wanted are there, and there once."""
    columns: dict[str, int] = {}
    for i, name in enumerate(header):
        if not name:
            continue
        first = columns.setdefault(key_of(name), i)
        if first != i and (everything or key_of(name) in map(key_of, wanted)):
            raise FileFormatError(
                f"{path}: columns {first + 1} and {i + 1} are both named {shortened(name)} in row 1; "
                f"is the header missing?"
            )
    if not columns:
        raise FileFormatError(f"{path} has no header: row 1 must hold the columns' names")
    if everything:
        require_text(path, "".join(header), Row(1, 1, []))
    for name in wanted:
        if key_of(name) not in columns:
            require_text(path, "".join(header), Row(1, 1, []))
            raise FileFormatError(f"{path}: there is no column {name!r:.200}; {_named(header, name)}")
    return columns


def _named(header: list[str], name: str) -> str:
    """Say what the columns are called, and which of them may be meant."""
    import difflib

    names = [shortened(each) for each in header if each]
    said = f"the header (row 1) names {', '.join(names[:12])}" + (", ..." if len(names) > 12 else "")
    alike = {each.casefold(): each for each in header if each}
    close = difflib.get_close_matches(name.casefold(), alike, n=1, cutoff=0.8)
    if close:
        said += f"; did you mean {shortened(alike[close[0]])}?"
    if len(names) == 1:
        said += "; between columns there is a comma, a semicolon, a tab or a bar"
    return said


def choose_task(table: Table) -> tuple[str, str]:
    """Return ``"classification"`` or ``"regression"`` for the table's target, and the reason in words.

    Classification for text, and for whole numbers of at most 20 different values that occur twice on average;
    regression for other numbers. Digits that begin with a zero (007) are text. A column most of whose cells are
    numbers is not taken for text because of a few that are not: these are an error, and so are numbers that are
    written in another way (1,000 or 5 %) where nothing else is in the column.
    """
    reasons = [wrong(cell, as_number(cell)) for cell in table.labels]
    odd = [i for i, reason in enumerate(reasons) if reason]
    numeric = all(hint(table.labels[i]) for i in odd)  # such as 1,000: a column of numbers in another notation
    if odd and (numeric or 2 * len(odd) < len(table.labels)):
        most = "" if numeric else ", as most cells of the column are"
        raise DataError(
            f"{table.place(odd[0], table.target)}: {reasons[odd[0]]}{most}. "
            f"Correct it, or take every text for a class of its own: --task classification"
        )
    rows, coded = len(table.labels), table.coded
    numbers = [] if coded else table.numbers().tolist()
    different = len({normalize("NFC", cell) for cell in table.labels} if coded else set(numbers))
    if coded:
        if 2 * different > rows:
            raise DataError(
                f"{table.path}: column {table.target!r} holds {different} different texts in {rows} rows, "
                f"which looks like names and not like classes; if it is classes: --task classification"
            )
        return "classification", f"text, {different} different values"
    if different <= MOST_CLASSES and 2 * different <= rows and all(value % 1 == 0 for value in numbers):
        return "classification", f"whole numbers, {different} different values"
    return "regression", f"numbers, {different} different values"
