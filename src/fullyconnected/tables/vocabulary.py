"""The vocabulary of a table: all that turns its rows into the numbers and codes that a network reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from operator import itemgetter
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.mapped import is_mapped, scratch
from fullyconnected.core.wording import in_words
from fullyconnected.errors import ConfigError, DataError, FileFormatError, InputTypeError, ShapeError
from fullyconnected.tables.column import Column
from fullyconnected.tables.dates import varying_parts
from fullyconnected.tables.described import describe, read_encoder, taken
from fullyconnected.tables.encoders import CategoryEncoder, DateEncoder, Encoder, Feature, NumberEncoder
from fullyconnected.tables.frame import Frame, different
from fullyconnected.tables.kinds import USED, Decision
from fullyconnected.tables.levels import MOST_LEVELS, count_levels, most_frequent
from fullyconnected.tables.names import key_of
from fullyconnected.tables.texts import Reading

__all__ = ["Vocabulary"]

FORMAT = 1
ROWS = 1 << 16  # of a table in files that are encoded at a time


@dataclass(frozen=True)
class Vocabulary:
    """What turns the rows of a table into an array: numbers as they are, and codes for the levels of categories.

    It is made from training rows, never sees a target, and cannot be changed; several threads may use it at once.

    Parameters
    ----------
    names : tuple of str
        The names of all columns of the training table, in its order.
    encoders : tuple of Encoder
        One for each column that is used, in the order of the table.
    named : bool
        Whether the names are the table's own. Then tables are read by them, in any order.

    Examples
    --------
    >>> from fullyconnected.tables.frame import frame_of
    >>> from fullyconnected.tables.kinds import judge
    >>> frame = frame_of({"age": [31, 22, None], "city": ["Oslo", "Bergen", "Oslo"], "id": [7, 7, 7]})
    >>> vocabulary = Vocabulary.of(frame, judge(frame))
    >>> vocabulary.encode(frame).tolist()
    [[31.0, 1.0], [22.0, 0.0], [nan, 1.0]]
    >>> vocabulary.encode_row({"city": "Paris", "age": 40, "id": 7}).tolist()  # -1 is an unknown level
    [[40.0, -1.0]]
    """

    names: tuple[str, ...]
    encoders: tuple[Encoder, ...]
    named: bool
    _places: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _by_name: Callable[[Any], Any] = field(init=False, repr=False, compare=False)
    _by_place: Callable[[Any], Any] = field(init=False, repr=False, compare=False)
    _cells: tuple[tuple[Encoder, Mapping[Any, float] | None], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        place = {name: i for i, name in enumerate(self.names)}
        used = [each.name for each in self.encoders]
        places = [place[name] for name in used]
        one = len(used) == 1  # itemgetter gives one value alone, and several as a tuple
        derived = {
            "_places": tuple(places),
            "_by_name": itemgetter(*used, *used[: int(one)]),
            "_by_place": itemgetter(*places, *places[: int(one)]),
            "_cells": tuple((each, _codes(each)) for each in self.encoders),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, frame: Frame, decisions: Sequence[Decision]) -> Vocabulary:
        """Return the vocabulary of training rows, with what was decided of each of their columns.

        Raises
        ------
        ConfigError
            If the decisions are those of another table.
        DataError
            If there is no column to learn from.
        """
        if [each.column for each in decisions] != list(frame.names):
            raise ConfigError("the decisions are not those of the columns of this table")
        encoders = [_encoder_of(c, d) for c, d in zip(frame.columns, decisions, strict=True) if d.used]
        if not encoders:
            said = in_words(f"{each.column!r:.40} is {each.kind}" for each in decisions[:3])
            more = f", and so on, {len(decisions)} in all" if len(decisions) > 3 else ""
            raise DataError(f"no column of the table can be learned from: {said}{more}")
        return cls(frame.names, tuple(encoders), frame.named)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What each column of x is."""
        return tuple(feature for each in self.encoders for feature in each.features)

    @property
    def width(self) -> int:
        """The number of columns of x."""
        return sum(len(each.features) for each in self.encoders)

    def places(self, names: Sequence[str]) -> list[int]:
        """Return where the columns that are used stand in a table with these names, in the order of the training table.

        Raises
        ------
        ShapeError
            For a column that is missing, with the one in the table that may be it.
        """
        known = {name: i for i, name in enumerate(names)}
        wanted = [each.name for each in self.encoders]
        if not known.keys() >= set(wanted):
            known = {key_of(name): i for i, name in enumerate(names)}
            self._require(wanted, known, names)
            wanted = [key_of(name) for name in wanted]
        return [known[name] for name in wanted]

    def encode(self, frame: Frame) -> Array:
        """Return the rows of a table as x (rows, width) in float64.

        Numbers may be NaN, where they are missing; codes are whole numbers from -1. If the training table had names,
        a table with names is read by them, in any order, whatever other columns it has. All others are read by place.
        Where columns of the table lie in files, so does x.

        Raises
        ------
        ShapeError
            For a column that is missing, or another number of columns in a table without names.
        DataError
            For a cell of another kind than the column held in training, or an infinite number.
        """
        columns = list(self._columns(frame))
        if not any(is_mapped(each.values) for each in columns):
            self._write(columns, x := np.empty((frame.rows, self.width)))
            return x
        x = np.asarray(scratch((frame.rows, self.width), np.float64, in_file=True))
        try:
            for start in range(0, frame.rows, ROWS):  # or each column would go through the whole file
                rows = slice(start, start + ROWS)
                self._write([replace(each, values=each.values[rows]) for each in columns], x[rows])
        except DataError:
            self._write(columns, x)  # which raises for the same cell, and counts all rows
            raise
        return x

    def _write(self, columns: Sequence[Column], x: Array) -> None:
        """Write the columns of x for those of a table."""
        start = 0
        for encoder, column in zip(self.encoders, columns, strict=True):
            stop = start + len(encoder.features)
            encoder.encode(column, x[:, start:stop])
            start = stop

    def encode_row(self, row: Mapping[str, Any] | Sequence[Any]) -> Array:
        """Return a single row as x (1, width): a dict by the names of columns, or a list of all cells in their order.

        Raises
        ------
        ShapeError, InputTypeError, DataError
            As :meth:`encode`.
        """
        x: list[float] = []
        for value, (encoder, codes) in zip(self._values(row), self._cells, strict=False):
            if codes is None:
                if type(value) is float:
                    x.append(value)
                    continue
            elif (type(value) is str or value is None) and (code := codes.get(value)) is not None:
                x.append(code)
                continue
            x += encoder.cells(value)
        if inf in x or -inf in x:
            for value, (encoder, _) in zip(self._values(row), self._cells, strict=False):
                encoder.cells(value)  # the one with the infinite number raises
        return np.array([x])

    def plain(self) -> dict[str, Any]:
        """Return the vocabulary as plain values, which JSON can hold, for :meth:`from_plain`."""
        used = {each.name: describe(each) for each in self.encoders}
        columns = [used.get(name, {"name": name, "kind": "unused"}) for name in self.names]
        return {"format": FORMAT, "named": self.named, "columns": columns}

    @classmethod
    def from_plain(cls, described: Any) -> Vocabulary:
        """Return the vocabulary that :meth:`plain` has described.

        Raises
        ------
        FileFormatError
            If it is damaged, or of another version.
        """
        if not isinstance(described, dict) or described.get("format") != FORMAT:
            found = described.get("format") if isinstance(described, dict) else described
            raise FileFormatError(f"the vocabulary of a table is of format {found!r:.80}, not {FORMAT}")
        named = taken(described, "named", bool)
        columns = taken(described, "columns", list)
        names = tuple(taken(each, "name", str) for each in columns)
        kinds = [taken(each, "kind", str) for each in columns]
        if strange := set(kinds).difference({*USED, "unused"}):
            raise FileFormatError(f"a vocabulary has columns of an unknown kind: {min(strange)!r:.80}")
        try:
            different(names)
            "".join(names).encode()
        except (DataError, UnicodeError) as error:
            raise FileFormatError(f"the names of columns in a vocabulary are damaged: {error!s:.200}") from None
        used = [read_encoder(each) for each, kind in zip(columns, kinds, strict=True) if kind != "unused"]
        if not used or None in used:
            raise FileFormatError("a vocabulary has no column that is used, or one whose kind cannot be read")
        return cls(names, tuple(each for each in used if each is not None), named)

    def _columns(self, frame: Frame) -> list[Column]:
        """Return the columns of a table that the encoders take, in their order, or raise."""
        if not (self.named and frame.named):
            if len(frame.columns) != len(self.names):
                raise ShapeError(f"X has {len(frame.columns)} columns; in training it had {len(self.names)}")
            return [frame.columns[i] for i in self._places]
        return [frame.columns[i] for i in self.places(frame.names)]

    def _values(self, row: Any) -> Any:
        """Return the cells of a row that the encoders take, in their order, or raise."""
        if type(row) is dict and self.named:
            try:
                return self._by_name(row)
            except KeyError:
                pass
        if hasattr(row, "to_dict"):  # a row of pandas
            row = row.to_dict()
        if isinstance(row, Mapping):
            if not self.named:
                raise InputTypeError("the training table had no names of columns: give the row as a list of its cells")
            known = {key_of(str(name)): value for name, value in row.items()}
            wanted = [each.name for each in self.encoders]
            self._require(wanted, known, list(row))
            return [known[key_of(name)] for name in wanted]
        if isinstance(row, str) or not hasattr(row, "__len__") or getattr(row, "ndim", 1) != 1:
            raise InputTypeError(f"a row is a dict or a list of cells; got a {type(row).__name__}")
        if len(row) != len(self.names):
            raise ShapeError(f"the row has {len(row)} cells; in training there were {len(self.names)} columns")
        if isinstance(row, np.ndarray) and row.dtype.kind != "M":
            row = row.tolist()  # Python's own numbers are found without a call
        return self._by_place(row)

    def _require(self, wanted: Iterable[str], known: Mapping[str, Any], names: Sequence[Any]) -> None:
        """Raise if a column is missing, with the one in the table that may be it."""
        lacking = [name for name in wanted if key_of(name) not in known]
        if not lacking:
            return
        import difflib

        spare = {str(name).casefold(): str(name) for name in names if str(name) not in self.names}
        close = difflib.get_close_matches(lacking[0].casefold(), spare, n=1, cutoff=0.6)
        many = f"{len(lacking)} columns are missing, the first is" if len(lacking) > 1 else "a column is missing:"
        if close:
            advice = f"is it {spare[close[0]]!r:.80}, by another name?"
        else:
            listed = ", ".join(f"{str(name)!r:.40}" for name in names[:12])
            advice = f"the table has {listed}{', ...' * (len(names) > 12)}"
        raise ShapeError(f"{many} {lacking[0]!r:.80}; {advice}")


def _codes(encoder: Encoder) -> Mapping[Any, float] | None:
    """Return the codes of levels, which are none for a date; None for numbers."""
    if isinstance(encoder, CategoryEncoder):
        return encoder.codes
    return None if isinstance(encoder, NumberEncoder) else {}


def _encoder_of(column: Column, decision: Decision) -> Encoder:
    """Return the encoder of a column that is used."""
    reading, missing = decision.reading, decision.missing > 0
    if decision.kind in ("number", "boolean"):
        return NumberEncoder(column.name, decision.kind == "boolean", missing, decision.heavy, reading)
    if decision.kind == "date":
        dates = column.values if reading is None else _dates(column, reading)
        return DateEncoder(column.name, varying_parts(dates[~np.isnat(dates)]), missing, reading)
    if column.holds == "text":
        counts = count_levels(column.values.tolist())
        return CategoryEncoder(column.name, most_frequent(counts), len(counts) > MOST_LEVELS, missing)
    levels, times = np.unique(column.values[~column.missing], return_counts=True)
    first = np.argsort(-times, kind="stable")[:MOST_LEVELS]
    return CategoryEncoder(
        column.name, tuple((np.sort(levels[first]) + 0.0).tolist()), len(levels) > MOST_LEVELS, missing
    )


def _dates(column: Column, reading: Reading) -> Array:
    known = {text: reading.value(text) for text in set(column.values.tolist()) - {None}}
    return np.array([date for date in known.values() if date is not None])
