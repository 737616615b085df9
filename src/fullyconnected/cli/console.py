"""What the commands share: exit statuses, errors reported in one line, and output to a file or standard output."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, FullyConnectedError
from fullyconnected.training.progress import Stream

__all__ = [
    "ERROR", "INTERRUPTED", "STANDARD_OUTPUT", "check_output", "comparison_status", "import_modules",
    "is_stdout", "print_result", "report", "run_and_report", "write",
]  # fmt: skip

WRONG_GRADIENT, ERROR, UNRESOLVED, INTERRUPTED = 1, 2, 3, 130
STANDARD_OUTPUT = "-"
HEAD_START = 0.5  # seconds


def run_and_report(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command, and return its exit status; report an error in one line.

    An error in one of several processes that work together ends all of them.
    """
    try:
        return run(options)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and error.filename is None:  # closed by its reader, such as head
            return 1
        of_file = error.filename is not None and error.strerror is not None
        return _end(f"error: {f'{error.filename}: {error.strerror}' if of_file else error}", ERROR)
    except FullyConnectedError as error:
        return _end(f"error: {error}", ERROR)
    except MemoryError as error:
        return _end(f"error: there is not enough memory{f': {error}' if str(error) else ''}", ERROR)
    except KeyboardInterrupt:
        return _end("interrupted", INTERRUPTED)


def _end(message: str, status: int) -> int:
    """Report why a command ends, and return its status; where other processes wait for this one, they end, too."""
    from fullyconnected.comm.choice import at_work

    comm = at_work()
    if comm.rank:
        time.sleep(HEAD_START)  # an error that all have is reported once, by the first
        message = f"{message} (in process {comm.rank} of {comm.size})"
    report(message, status)
    if comm.size > 1:
        comm.abort(status)
    return status


def report(message: str, status: int) -> int:
    """Write a line to standard error, and return the exit status."""
    Stream(sys.stderr).write(f"fullyconnected: {printable(message)}\n")
    return status


def comparison_status(*, wrong: bool, ok: bool) -> int:
    """Return the exit status of a comparison of gradients: 1 if one is wrong, 3 if nothing could be compared."""
    return WRONG_GRADIENT if wrong else 0 if ok else UNRESOLVED


def print_result(result: str | bytes) -> None:
    """Write the result of a command to standard output, or raise; messages, which may be lost, go to a Stream."""
    if getattr(sys.stdout, "closed", sys.stdout is None):
        raise ConfigError("standard output is closed; redirect it, or name a file to write to")
    try:
        if isinstance(result, str):
            sys.stdout.write(result)
        else:
            sys.stdout.buffer.write(result)
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            error.filename = "standard output"
        with contextlib.suppress(OSError, ValueError):  # else the interpreter tries to flush once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def write(path: str, text: str) -> None:
    """Write text to a file, or to standard output if the path is ``-``."""
    from fullyconnected.files.atomic import write_atomically

    if path == STANDARD_OUTPUT:
        print_result(text)
    else:
        write_atomically(path, text.encode("utf-8", "backslashreplace"))


def check_output(path: str, *inputs: str, option: str = "--output") -> None:
    """Raise before any work is done if a file cannot be written, or if it is one of the input files."""
    from fullyconnected.files.atomic import check_writable

    if path == STANDARD_OUTPUT:
        return
    target = Path(path)
    if target.exists() and any(Path(other).exists() and target.samefile(other) for other in inputs):
        raise ConfigError(f"{option} {path} would replace an input file; choose another name")
    if target.is_dir() or not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        raise ConfigError(f"{option} {path} is a folder, or in a folder that does not exist")
    check_writable(path)


def is_stdout(path: str) -> bool:
    """Whether a path is standard output: ``-``, ``/dev/stdout``, or the file that standard output is redirected to."""
    try:
        return path == STANDARD_OUTPUT or os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # no such file, or a standard output without a file descriptor
        return False


def import_modules(modules: Sequence[str]) -> None:
    """Import the user's modules, which register layers, losses and the like."""
    for name in modules:
        sys.path[:0] = [""] * ("" not in sys.path)  # so that modules in the current folder are found
        try:
            if not all(map(str.isidentifier, name.split("."))) or name.endswith(".py"):
                raise ModuleNotFoundError("this is a path, and the name of a module is wanted, such as package.module")
            import_module(name)
        except Exception as error:  # a module may raise anything
            kind = "" if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: "
            raise ConfigError(f"--import {name}: {kind}{error}{_where(error)}") from None


def _where(error: BaseException) -> str:
    """Return the file and line in which an import failed, leaving out those of Python's import system."""
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    inside = [frame for frame in frames if frame.filename != __file__]
    return f" ({inside[-1].filename}, line {inside[-1].lineno})" if inside else ""
