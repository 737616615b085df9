"""The command ``fullyconnected``: train on a table, predict, evaluate, inspect, explain, play, and more."""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

from fullyconnected.cli.console import import_modules, run_and_report
from fullyconnected.core.version import __version__

__all__ = ["COMMANDS", "main"]

# Each command is a module of this package with the same name, and _ behind it if Python has that word: ``arguments``
# adds its options to the parser, and ``run`` does the work. Only a command that is called is imported, and it imports
# what it needs in ``run``: --help is quick.
COMMANDS = {
    "train": "Train an ensemble on a table, say what was found and how good it is, and save it.",
    "predict": "Predict the target for every row of a table, in the order of its rows.",
    "evaluate": "Score a model on a table whose targets are known.",
    "inspect": "Say what a file of the library holds.",
    "import": "Make a network of a file of ONNX or Keras, or of weights of PyTorch.",
    "export": "Write a model as a file of ONNX, C, JavaScript or Python that predicts without this library.",
    "explain": "Explain one training step as a worked example, with every number.",
    "playground": "Train a small network before your eyes, in a browser: change everything, step, and rewind.",
    "comm": "Measure the network between processes, and say from how many rows on a further machine pays.",
    "check": "Check the gradients of all registered layers, activations and losses against central differences.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status.

    0: success. 1: ``check`` or ``explain`` found a wrong gradient, or the reader of standard output closed it. 2: an
    error, reported in one line on standard error. 3: ``check`` or ``explain`` could not compare any gradient, because
    all are too small or the loss is not finite. 130: interrupted by Ctrl-C; ``train``, which saves the best epoch so
    far, can also be interrupted by closing the terminal (unless under nohup) and by SIGTERM.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments behind the command's name; those of ``sys.argv`` if None.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments).parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        with contextlib.suppress(ValueError):  # standard output is closed
            # Files are written in UTF-8, like the tables that are read. A terminal keeps its encoding; letters that the
            # encoding lacks become escapes.
            sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
    if sys.stderr is not None:
        return run_and_report(_run, options)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        return run_and_report(_run, options)  # what is imported may write there without asking, as NumPy 2.0 does


def _run(options: argparse.Namespace) -> int:
    import_modules(options.modules)
    return options.run(options)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fullyconnected", description="Fully connected networks for tables.")
    parser.add_argument("--version", action="version", version=f"fullyconnected {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name in arguments:
            module = import_module(f"{__name__}.{name}{'_' * iskeyword(name)}")
            module.arguments(command)
            text = "import a Python module first, so that what it registers can be named; can be repeated"
            command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE", help=text)
            command.set_defaults(run=module.run)
    return parser
