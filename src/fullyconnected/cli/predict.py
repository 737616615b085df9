"""``fullyconnected predict``: the predictions of a saved model for the rows of a table."""

import argparse
import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from fullyconnected.cli.console import STANDARD_OUTPUT, check_output, write
from fullyconnected.cli.tables import add_source, check_apart, inputs_of, listed, placing, read
from fullyconnected.errors import ConfigError, FileFormatError, missing

__all__ = ["arguments", "run"]

Named = dict[str, Sequence[Any]]  # columns by their names
OTHERS = (  # suffixes of other forms, as which a file of CSV could not be opened
    ".json", ".xlsx", ".xls", ".ods", ".gz", ".zip", ".bz2", ".xz", ".zst", ".db", ".sqlite", ".sqlite3", ".feather",
    ".arrow", ".npy", ".npz", ".html", ".safetensors",
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="model file saved by 'fullyconnected train', or by an estimator")
    add_source(parser, "file with the columns that the model learned from, in any order; others are ignored")
    add("--output", "-o", metavar="FILE", default="-",
        help="CSV file to write, or .tsv, .jsonl or .parquet (default: -, CSV to standard output)")  # fmt: skip
    add("--proba", "--probabilities", action="store_true", help="add the probability of each class")
    add("--interval", type=_coverage, nargs="?", const=0.9, metavar="COVERAGE",
        help="for numbers: add between which two the target lies, with this probability (default: 0.9)")  # fmt: skip
    add("--contributions", action="store_true",
        help="write what each column adds to a number, or to the probability of the predicted class")  # fmt: skip
    several = "can be repeated, or have commas between"
    add("--id", action="append", default=[], metavar="COLUMN", help=f"column of the table to write first; {several}")


def _coverage(text: str) -> float:
    """Return the number behind --interval, where the table may stand by mistake."""
    try:
        return float(text)
    except ValueError:
        told = f"{text!a:.200} is no number; with nothing behind it, --interval stands after the table"
        raise argparse.ArgumentTypeError(told) from None


def run(options: argparse.Namespace) -> int:
    """Write a prediction for each row of the table."""
    from fullyconnected.assessment.problem import column_named, require_exact
    from fullyconnected.predictor import Predictor

    check_output(options.output, options.model, *inputs_of(options))
    check_apart(options, options.output)
    how = _form(options.output)
    model = Predictor(options.model)
    if options.proba and model.classes is None:
        raise ConfigError(f"--proba: {options.model} predicts a number, and no classes")
    if options.interval is not None and model.classes is not None:
        raise ConfigError(f"--interval: {options.model} predicts classes, and no numbers; --proba says how sure it is")
    frame = read(options)
    columns: dict[str, Sequence[Any]] = {}
    for name in listed(options.id, frame.names):
        column = column_named(frame, name, "--id")
        require_exact(column, "those that tell rows apart")
        columns[column.name] = [_plain(cell, column.origin) for cell in column.values.tolist()]
    with placing(frame):
        p = model.predict_proba(frame) if options.proba else None
        y = model.predict(frame) if p is None else model.classes[p.argmax(axis=1)]  # type: ignore[index]
        span = None if options.interval is None else model.predict_interval(frame, options.interval)
    found: dict[str, Sequence[Any]] = {"prediction": y.tolist()}
    if span is not None:
        found |= {name: span[:, i].tolist() for i, name in enumerate(("low", "high"))}
    if p is not None and model.classes is not None:
        found |= {f"probability {label}": p[:, i].tolist() for i, label in enumerate(model.classes.tolist())}
    if options.contributions:
        with placing(frame):
            found |= _contributions(options.model, frame, y)
    if clash := [name for name in columns if name in found]:
        raise ConfigError(f"--id {clash[0]}: the predictions have a column of that name; rename it in the table")
    how(columns, found, options.output)
    return 0


def _contributions(path: str, frame: Any, y: Any) -> dict[str, Sequence[Any]]:
    """Return what each column adds to the prediction, and the base value that it is added to."""
    import numpy as np

    from fullyconnected.estimators.loading import load_estimator

    estimator: Any = load_estimator(path)
    if not hasattr(estimator, "contributions"):
        raise ConfigError(f"--contributions: {path} holds no estimator for tables")
    parts = estimator.contributions(frame)
    if parts.ndim == 3:
        parts = parts[np.arange(len(parts)), :, np.searchsorted(estimator.classes_, y)]
    used = {each.name for each in estimator.vocabulary_.encoders}
    names = [*estimator.feature_names_in_.tolist(), None]
    return {
        "base value" if name is None else f"{name} adds": parts[:, i].tolist()
        for i, name in enumerate(names)
        if name is None or name in used
    }


def _plain(cell: Any, origin: str) -> Any:
    """Return a cell as it is written: whole numbers without a fraction, and nothing for what is missing."""
    if cell is None or cell != cell:
        return None
    if origin == "boolean":
        return bool(cell)
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return cell.isoformat(" ") if hasattr(cell, "isoformat") else cell


def _form(path: str) -> Any:
    """Return the function that writes a table of the form that the suffix of a path says."""
    suffix = os.path.splitext(path)[1].lower()
    forms = {"": _csv, ".csv": _csv, ".tsv": _tsv, ".txt": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}
    if suffix == ".parquet":
        return _parquet()
    if suffix in OTHERS:
        raise ConfigError(
            f"--output {path}: {suffix} is not written; let the name end in .csv, .tsv, .jsonl or .parquet"
        )
    return _csv if path == STANDARD_OUTPUT else forms.get(suffix, _csv)


def _csv(ids: Named, found: Named, path: str, delimiter: str = ",") -> None:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n", delimiter=delimiter)
    rows.writerow([*ids, *found])
    given = ([str(each).lower() if isinstance(each, bool) else each for each in values] for values in ids.values())
    rows.writerows(zip(*given, *(_digits(name, values) for name, values in found.items()), strict=True))
    write(path, text.getvalue())


def _digits(name: str, values: Sequence[Any]) -> Iterator[Any]:
    """Yield cells of text: numbers with as many digits as mean something."""
    digits = ".6g" if name.startswith("probability ") else ".10g"
    return (f"{each:{digits}}" if isinstance(each, float) else each for each in values)


def _tsv(ids: Named, found: Named, path: str) -> None:
    _csv(ids, found, path, "\t")


def _json_lines(ids: Named, found: Named, path: str) -> None:
    columns = ids | found
    rows = zip(*columns.values(), strict=True)
    write(path, "".join(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n" for row in rows))


def _parquet() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing("pyarrow", "tables", "a file of Parquet") from None

    def written(ids: Named, found: Named, path: str) -> None:
        from fullyconnected.files.atomic import write_atomically

        try:
            table = pyarrow.table(ids | found)
        except pyarrow.ArrowInvalid as error:
            raise FileFormatError(f"{path}: a column cannot be written as Parquet: {error}") from None
        data = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(table, data)
        write_atomically(path, data.getvalue().to_pybytes())

    return written
