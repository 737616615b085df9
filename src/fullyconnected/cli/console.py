"""What the commands share: exit statuses, errors told in one line, and where a result is written."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, FullyConnectedError
from fullyconnected.training.progress import Stream

__all__ = [
    "INTERRUPTED", "STANDARD_OUTPUT", "WRONG", "answer", "compared", "is_standard_output", "load", "put", "tell",
    "writable", "write",
]  # fmt: skip

MISTAKEN, WRONG, UNRESOLVED, INTERRUPTED = 1, 2, 3, 130  # a gradient, the command
STANDARD_OUTPUT = "-"


def answer(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command, and return its exit status; an error becomes a line and a status."""
    try:
        return run(options)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and error.filename is None:  # a reader such as head has seen enough
            return 1
        of_file = error.filename is not None and error.strerror is not None
        return tell(f"error: {f'{error.filename}: {error.strerror}' if of_file else error}", WRONG)
    except FullyConnectedError as error:
        return tell(f"error: {error}", WRONG)
    except MemoryError as error:
        return tell(f"error: there is not enough memory{f': {error}' if str(error) else ''}", WRONG)
    except KeyboardInterrupt:
        return tell("interrupted", INTERRUPTED)


def tell(message: str, status: int) -> int:
    """Write a line to standard error, and return the exit status."""
    Stream(sys.stderr).write(f"fullyconnected: {printable(message)}\n")
    return status


def compared(*, wrong: bool, ok: bool) -> int:
    """Return the exit status of a comparison of gradients: 1 if one is wrong, 3 if nothing could be compared."""
    return MISTAKEN if wrong else 0 if ok else UNRESOLVED


def put(result: str | bytes) -> None:
    """Write what was asked for to standard output; whoever only wants to be told something uses a Stream."""
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
        with contextlib.suppress(OSError, ValueError):  # or the interpreter would try once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def write(path: str, text: str) -> None:
    """Write text to a file, or to standard output, which ``-`` stands for."""
    from fullyconnected.files.atomic import write_atomically

    if path == STANDARD_OUTPUT:
        put(text)
    else:
        write_atomically(path, text.encode("utf-8", "backslashreplace"))


def writable(path: str, *read: str, option: str = "--output") -> None:
    """Raise now, and not after minutes of training, where a file cannot be written, or is one that is read."""
    from fullyconnected.files.atomic import check_writable

    if path == STANDARD_OUTPUT:
        return
    target = Path(path)
    if target.exists() and any(Path(other).exists() and target.samefile(other) for other in read):
        raise ConfigError(f"{option} {path} would replace a file that is read; choose another name")
    if target.is_dir() or not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        raise ConfigError(f"{option} {path} is a folder, or in a folder that does not exist")
    check_writable(path)


def is_standard_output(path: str) -> bool:
    """Whether a path is where printed words go: ``-``, ``/dev/stdout``, or the file that it is redirected to."""
    try:
        return path == STANDARD_OUTPUT or os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # no such file, or no standard output with a number
        return False


def load(modules: Sequence[str]) -> None:
    """Import modules of the user's own, which register what they have."""
    for name in modules:
        sys.path[:0] = [""] * ("" not in sys.path)  # they lie where the command is run
        try:
            import_module(name)
        except Exception as error:  # whatever the module does
            kind = "" if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: "
            raise ConfigError(f"--import {name}: {kind}{error}{_where(error)}") from None


def _where(error: BaseException) -> str:
    """Return in which line of whose file an error arose, outside of Python's own."""
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    inside = [frame for frame in frames if frame.filename != __file__]
    return f" ({inside[-1].filename}, line {inside[-1].lineno})" if inside else ""
