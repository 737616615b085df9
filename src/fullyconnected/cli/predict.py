"""``fullyconnected predict``: from a network that ``train`` has saved, and a table, to a table of predictions."""

import argparse
import io

from fullyconnected.cli.console import writable, write
from fullyconnected.errors import ConfigError

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes to its parser."""
    add = parser.add_argument
    add("model", help="a file that 'fullyconnected train' has saved")
    add("table", help="CSV file with the columns that the model was trained on, in any order, and any others")
    add(
        "--output",
        "-o",
        metavar="FILE",
        default="-",
        help="the CSV file to write; standard output for -, and if left out",
    )
    add("--probabilities", action="store_true", help="for classes: a column with the probability of each, too")


def run(options: argparse.Namespace) -> int:
    """Predict, and write a row for each row of the table."""
    import csv

    from fullyconnected.tables.model import load_table_model
    from fullyconnected.tables.table import read_table

    writable(options.output, options.model, options.table)
    model = load_table_model(options.model)
    if options.probabilities and model.classes is None:
        raise ConfigError(f"--probabilities: {options.model} predicts a number, {model.target!r}, and no classes")
    y = model.predict(read_table(options.table, features=model.features))
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    if model.classes is None:
        rows.writerow(["prediction"])
        rows.writerows([f"{value:.10g}"] for value in y)
    else:
        columns = model.classes if options.probabilities else ()
        rows.writerow(["prediction", *(f"probability {label}" for label in columns)])
        for row in y:
            rows.writerow([model.classes[row.argmax()], *(f"{p:.6g}" for p in row[: len(columns)])])
    write(options.output, text.getvalue())
    return 0
