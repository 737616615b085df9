"""``fullyconnected export``: a model as a file that predicts without this library, and proves itself."""

import argparse
import os
import sys

from fullyconnected.cli.console import check_output, print_result
from fullyconnected.cli.tables import placing, read
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    parser.add_argument("model", metavar="MODEL", help="a network or an estimator that was saved or trained")
    parser.add_argument("file", metavar="FILE", help="file to write: NAME.onnx for ONNX, NAME.c for C99, NAME.js "
                        "or NAME.mjs for JavaScript, NAME.py for a script that needs NumPy alone")  # fmt: skip
    parser.add_argument("--dtype", choices=("float32", "int8"), default="float32", help="how C computes "
                        "products (default: %(default)s); int8 needs --data, and reports what it loses")  # fmt: skip
    parser.add_argument("--data", metavar="TABLE", help="for int8: rows such as those of the training, by which the "
                        "ranges of its integers are set: .csv .tsv .json .jsonl .parquet .sqlite")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Write the file, and say what it is; what int8 loses has to be seen."""
    from fullyconnected.exchange.formats import FORMATS, export, format_of, to_c

    by = format_of(options.file)
    check_output(options.file, options.model, *([] if options.data is None else [options.data]), option="FILE")
    report = None
    if options.dtype == "float32" and options.data is None:
        export(options.model, options.file)
    elif by is not FORMATS[".c"]:
        raise ConfigError(f"{printable(options.file)}: --dtype int8 and --data are for C; let the name end in .c")
    elif options.data is None:
        raise ConfigError("--dtype int8 needs --data TABLE, rows such as those of the training")
    elif options.dtype == "float32":
        raise ConfigError("--data sets the ranges of int8, and float32 has no use for it: add --dtype int8")
    else:
        frame = read(argparse.Namespace(table=options.data, name=None, query=None))
        with placing(frame):
            report = to_c(options.model, options.file, "int8", frame)
    size = os.path.getsize(options.file)
    tested = "the model's" if report is None else "those of the same integers in NumPy"
    said = f"{printable(options.file)}: {by.what}, {size:,} bytes; its results for a test vector are {tested}\n"
    if report is None:
        Stream(sys.stdout).write(said)  # the file is there, whatever becomes of what is told
    else:
        print_result(f"{said}{report}\n")
    return 0
