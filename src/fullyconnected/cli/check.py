"""``fullyconnected check``: the proof of everything that is registered."""

import argparse
import sys

from fullyconnected.cli.console import compared, put
from fullyconnected.errors import ConfigError
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes to its parser."""
    add = parser.add_argument
    add("--import", dest="modules", action="append", default=[], metavar="MODULE", help="prove what it registers, too")


def run(options: argparse.Namespace) -> int:
    """Prove, and print what was found."""
    import importlib

    from fullyconnected.checking.proof import prove

    for name in options.modules:
        sys.path[:0] = [""] * ("" not in sys.path)  # a module of the user's own lies where the command is run
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever the module does
            kind = "" if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: "
            raise ConfigError(f"--import {name}: {kind}{error}{_where(error)}") from None

    stream = Stream(sys.stderr)

    def tell(done: int, total: int) -> None:
        if (done % 50 == 0 or done == total) and stream.isatty():
            stream.write(f"\r{done:,} of {total:,} networks" + "\n" * (done == total))

    proof = prove(tell=tell)
    put(f"{proof}\n")
    return compared(wrong=proof.wrong, ok=proof.ok)


def _where(error: BaseException) -> str:
    """Return in which line of whose file an error arose, outside of Python's own."""
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    inside = [frame for frame in frames if frame.filename != __file__]
    return f" ({inside[-1].filename}, line {inside[-1].lineno})" if inside else ""
