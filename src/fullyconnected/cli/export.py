"""``fullyconnected export``: a model as a file that predicts without this library, and proves itself."""

import argparse
import os

from fullyconnected.cli.console import check_output
from fullyconnected.core.wording import printable
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    parser.add_argument("model", metavar="MODEL", help="a network or an estimator that was saved or trained")
    parser.add_argument("file", metavar="FILE", help="file to write: NAME.onnx for ONNX, NAME.c for C99, NAME.js "
                        "or NAME.mjs for JavaScript, NAME.py for a script that needs NumPy alone")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Write the file, and say what it is."""
    import sys

    from fullyconnected.exchange.formats import export, format_of

    by = format_of(options.file)
    check_output(options.file, options.model, option="FILE")
    export(options.model, options.file)
    size = os.path.getsize(options.file)
    Stream(sys.stdout).write(
        f"{printable(options.file)}: {by.what}, {size:,} bytes; its results for a test vector are the model's\n"
    )
    return 0
