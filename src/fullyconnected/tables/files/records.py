"""JSON: an object in each line, or a list of them; the keys are the columns."""

from __future__ import annotations

import json
from array import array
from typing import Any

from fullyconnected.errors import FileFormatError
from fullyconnected.tables.files.encoding import decoded
from fullyconnected.tables.files.source import SourceFrame, check_names, content, same_length, source_frame

__all__ = ["read_lines", "read_list"]


def read_lines(path: str) -> SourceFrame:
    """Return the columns of a file that has a JSON object in each line that is not blank."""
    records, lines = [], array("q")
    for number, line in enumerate(decoded(path, content(path)).split("\n"), 1):
        if line and not line.isspace():
            records.append(_record(f"{path}, line {number}", _parsed(f"{path}, line {number}", line)))
            lines.append(number)
    return _table(path, records, lines)


def read_list(path: str) -> SourceFrame:
    """Return the columns of a file that is a JSON list of objects."""
    text = decoded(path, content(path))
    try:
        found = _parsed(path, text)
    except FileFormatError as error:
        if "Extra data" in str(error):  # an object follows another
            raise FileFormatError(f"{error}; if it has an object in each line, let its name end in .jsonl") from None
        raise
    if not isinstance(found, list):
        raise FileFormatError(f"{path} holds {_said(found)}; a list of objects is wanted, one for each row")
    return _table(path, [_record(f"{path}, row {number}", each) for number, each in enumerate(found, 1)])


def _parsed(place: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_different)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise FileFormatError(
                f"{place}: the JSON is cut short: {error.msg.removesuffix(' starting at')}, at character {error.colno}"
            ) from None
        at = f"line {error.lineno}, character {error.colno}" if error.lineno > 1 else f"character {error.colno}"
        raise FileFormatError(f"{place}: this is not JSON: {error.msg}, at {at}") from None
    except RecursionError:
        raise FileFormatError(f"{place}: the JSON is nested too deeply") from None
    except ValueError as error:  # a key that is there twice, or a number of thousands of digits
        raise FileFormatError(f"{place}: {error}") from None


def _different(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"the key {twice!r:.80} is there twice in an object")
    return record


def _record(place: str, value: Any) -> dict[str, Any]:
    """Return an object that has a row's cells, or raise."""
    if not isinstance(value, dict):
        raise FileFormatError(f"{place}: {_said(value)}; an object is wanted, whose keys are the columns")
    for key, cell in value.items():
        if isinstance(cell, dict | list):
            raise FileFormatError(
                f"{place}, column {key!r:.200}: {_said(cell)}; a number, text, true, false or null is wanted: make a "
                f"column of each of its parts, or leave it out"
            )
        if isinstance(cell, str) and not cell.isascii():
            try:
                cell.encode()
            except UnicodeEncodeError:
                raise FileFormatError(
                    f"{place}, column {key!r:.200}: half of a pair of \\u escapes, which is no character"
                ) from None
    return value


def _table(path: str, records: list[dict[str, Any]], lines: array[int] | None = None) -> SourceFrame:
    if not records:
        raise FileFormatError(f"{path} has no rows")
    columns = same_length(path, records)
    if not columns:
        raise FileFormatError(f"{path}: the objects have no keys, which are the columns")
    check_names(path, dict(enumerate(columns)))
    return source_frame(path, columns, lines)


def _said(value: Any) -> str:
    what = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return f"{what.get(type(value), 'a number')} ({json.dumps(value)[:40]})"
