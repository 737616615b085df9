"""``fullyconnected predict``: the predictions of a model that ``train`` saved, for the rows of a table."""

import argparse
import io

from fullyconnected.cli.console import check_output, write
from fullyconnected.errors import ConfigError

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    add = parser.add_argument
    add("model", help="model file saved by 'fullyconnected train'")
    add(
        "table",
        help="CSV file with the features that the model was trained on, in any order; other columns are ignored",
    )
    add("--output", "-o", metavar="FILE", default="-", help="CSV file to write (default: -, standard output)")
    add("--probabilities", action="store_true", help="for classes: add a column with the probability of each class")


def run(options: argparse.Namespace) -> int:
    """Write a prediction for each row of the table."""
    import csv

    from fullyconnected.tables.model import load_table_model
    from fullyconnected.tables.table import read_table

    check_output(options.output, options.model, options.table)
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
