"""The command ``fullyconnected``: train on a table, predict for a table, explain a step, prove the gradients."""

import argparse
import contextlib
import io
import sys
from collections.abc import Sequence
from importlib import import_module

from fullyconnected.cli.console import answer, load
from fullyconnected.core.version import __version__

__all__ = ["COMMANDS", "main"]

# Each is a module here that is named so: ``arguments`` is what it adds to the parser, and ``run`` is what it does. It
# is imported where its name is among the arguments, and what it uses in ``run``, so that --help answers at once.
COMMANDS = {
    "train": "Train a network on a CSV table of numbers, and save it.",
    "predict": "Predict for every row of a CSV table, in its order.",
    "explain": "Explain one training step as a worked example, with every number.",
    "check": "Prove the gradients of everything registered by central differences.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status.

    0: all went well. 1: ``check`` or ``explain`` has found a wrong gradient, or whoever was to read the result from
    standard output is gone. 2: an error, told in one line on standard error. 3: ``check`` or ``explain`` could not
    compare any gradient, because all are too small or the loss is not finite. 130: interrupted by Ctrl-C; ``train``,
    which saves what it has, also by a terminal that hangs up (unless under nohup), and by SIGTERM.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the command's name; ``sys.argv`` if None.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments).parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        with contextlib.suppress(ValueError):  # it is closed
            # a file gets UTF-8, as the tables that are read; a terminal its own, with escapes for letters that it lacks
            sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
    return answer(_run, options)


def _run(options: argparse.Namespace) -> int:
    load(options.modules)
    status: int = options.run(options)
    return status


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fullyconnected", description="Fully connected networks for tables.")
    parser.add_argument("--version", action="version", version=f"fullyconnected {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name in arguments:
            module = import_module(f"{__name__}.{name}")
            module.arguments(command)
            told = "import a Python module first; what it registers is known to the command by name"
            command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE", help=told)
            command.set_defaults(run=module.run)
    return parser
