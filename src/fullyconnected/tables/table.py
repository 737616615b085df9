"""Tables in CSV files: columns of numbers as features, and a target column that may be text.

Error messages count rows as a spreadsheet does: the header is row 1.
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

ADVICE = "Every feature is a number in every row: fill in the cell, or remove the row or the column"
MOST_CLASSES = 20  # a target of more different whole numbers is taken for a number to predict


@dataclass(frozen=True)
class Table:
    """The columns that were read: the features as ``x`` (rows, features) float64, and the target's cells as text."""

    path: str
    features: tuple[str, ...]
    x: Array
    target: str | None
    labels: tuple[str, ...]

    def place(self, row: int, column: str | None) -> str:
        """Return the place of a cell in words; ``row`` counts from 0 below the header."""
        return f"{self.path}, row {row + 2}, column {column!r:.200}"

    def numbers(self) -> Array:
        """Return the target as numbers, or raise for the first cell that is not a number."""
        values = [as_number(cell) for cell in self.labels]
        for row, (cell, value) in enumerate(zip(self.labels, values, strict=True)):
            if reason := wrong(cell, value):
                advice = "; for text, use --task classification" if value is None and not hint(cell) else ""
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
    """Read a CSV file: in UTF-8, with a header, and with commas, semicolons, tabs or bars between cells.

    A first line such as ``sep=;`` sets the delimiter; otherwise it is guessed from the first rows. UTF-16 is read if
    the file begins with its byte order mark. Names of columns are compared in Unicode's composed form. Empty rows and
    columns at the end are left out, and columns that are not read may have any names and cells.

    Parameters
    ----------
    path : path
        A file or a pipe, which is read once.
    target : str, optional
        The column to predict; its cells stay text.
    features : sequence of str, optional
        The columns to read as numbers, in this order; true and false are 1 and 0. None reads all but the target.
    known : collection of str
        Labels of the target that look like missing values but are not: ``"None"``, ``"NA"``.

    Raises
    ------
    DataError
        For a cell that is missing, not a number, not finite or too large; the message names file, row and column.
    FileFormatError
        For no header, a column that is missing or there twice, or a row of another length.
    """
    path = os.fspath(path)
    wanted = [*(features or ()), *([] if target is None else [target])]
    with contextlib.closing(rows_of(path, wanted)) as rows:
        header = next(rows, Row(1, 1, [])).cells
        columns = _columns(path, header, wanted, everything=features is None)
        answer = -1 if target is None else columns[key_of(target)]
        nameless = [i for i, name in enumerate(header) if features is None and not name]
        if features is None:
            features = [header[i] for i in columns.values() if i != answer]
            if not features:
                raise FileFormatError(f"{path}: there is no column but {target!r}, so nothing to predict it from")
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
            if not sum(map(abs, values)) <= LARGEST or "_" in "".join(chosen):  # rarely: look at each cell
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
    if "+" in labels:  # then - is a class as well
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
    """Return an error message: what is missing in the target, in how many rows, and what to do."""
    cell, value = rows[0].cells[answer], as_number(rows[0].cells[answer])
    many = f", as in {len(rows):,} rows" if len(rows) > 1 else ""
    if not cell or value is not None:  # an empty cell or nan, which are never labels
        return f"{rows[0].place(path, target)}: {wrong(cell, value)}{many}"
    return (
        f"{rows[0].place(path, target)}: {cell!r} stands for a missing value{many}; remove such rows. "
        f"If it is a class: --label {shlex.quote(cell)}"
    )


def _other_length(found: int, wanted: int) -> str:
    advice = "; a cell that contains the delimiter is to be quoted" if found > wanted else ""
    return f"{found} cells, where the header has {wanted} columns{advice}"


def _nameless(i: int, row: Row) -> str:
    index = "; if pandas wrote an index there, leave it out: to_csv(index=False)" if i == 0 else ""
    said = f"column {i + 1} has no name in the header (row 1), and {shortened(row.cells[i])} in row {row.number}"
    return f"{said}{index}"


def _columns(path: str, header: list[str], wanted: Sequence[str], everything: bool) -> dict[str, int]:
    """Return the position of each column by its key, or raise if a wanted column is missing or there twice."""
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
    """Return the names of the columns for an error message, and the one that may have been meant."""
    import difflib

    names = [shortened(each) for each in header if each]
    said = f"the header (row 1) names {', '.join(names[:12])}" + (", ..." if len(names) > 12 else "")
    alike = {each.casefold(): each for each in header if each}
    close = difflib.get_close_matches(name.casefold(), alike, n=1, cutoff=0.8)
    if close:
        said += f"; did you mean {shortened(alike[close[0]])}?"
    if len(names) == 1:
        said += "; columns are separated by commas, semicolons, tabs or bars"
    return said


def choose_task(table: Table) -> tuple[str, str]:
    """Return ``"classification"`` or ``"regression"`` for the table's target, and the reason in words.

    The task is classification for text, and for whole numbers of at most 20 different values that occur twice or more
    on average; it is regression for other numbers. Digits that begin with a zero (007) are text. If most cells are
    numbers, the others are an error, and so are numbers in another notation (1,000 or 5 %) in a column of nothing else.
    """
    reasons = [wrong(cell, as_number(cell)) for cell in table.labels]
    odd = [i for i, reason in enumerate(reasons) if reason]
    numeric = all(hint(table.labels[i]) for i in odd)  # a column of numbers in another notation, such as 1,000
    if odd and (numeric or 2 * len(odd) < len(table.labels)):
        most = "" if numeric else ", as most cells of the column are"
        raise DataError(
            f"{table.place(odd[0], table.target)}: {reasons[odd[0]]}{most}. "
            f"Correct it, or use --task classification to take each text for a class"
        )
    rows, coded = len(table.labels), table.coded
    numbers = [] if coded else table.numbers().tolist()
    different = len({normalize("NFC", cell) for cell in table.labels} if coded else set(numbers))
    if coded:
        if 2 * different > rows:
            raise DataError(
                f"{table.path}: column {table.target!r} holds {different} different texts in {rows} rows, "
                f"which look like names and not like classes; if they are classes, use --task classification"
            )
        return "classification", f"text, {different} different values"
    if different <= MOST_CLASSES and 2 * different <= rows and all(value % 1 == 0 for value in numbers):
        return "classification", f"whole numbers, {different} different values"
    return "regression", f"numbers, {different} different values"
