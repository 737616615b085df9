"""The exceptions: one base class for all, and for each error the built-in exception that it refines.

``except fc.errors.FullyConnectedError`` catches everything the library raises on purpose;
``except ValueError`` and the like work as they would with any other library.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fullyconnected.core import deprecation

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DivergenceError",
    "DownloadError",
    "FileAccessError",
    "FileFormatError",
    "FullyConnectedError",
    "InputTypeError",
    "MissingNameError",
    "MissingPackageError",
    "DataWarning",
    "ShapeError",
    "UnknownNameError",
    "nearest",
]


if not TYPE_CHECKING:  # to a type checker any name would pass otherwise

    def __getattr__(name: str) -> object:
        if (new := deprecation.ERRORS.get(name)) is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        deprecation.warn(f"errors.{name}", f"errors.{new}")
        return globals()[new]


class FullyConnectedError(Exception):
    """The base of every error that the library raises on purpose."""

    def __str__(self) -> str:
        # the bytes of a file's name that are not UTF-8 could not be printed; Python's own errors escape them, too
        return super().__str__().encode("utf-8", "backslashreplace").decode("utf-8")


class ConfigError(FullyConnectedError, ValueError):
    """A setting is out of range, or two settings do not go together."""


class UnknownNameError(ConfigError):
    """A name that nothing is registered under; the message offers the nearest one."""


class ShapeError(FullyConnectedError, ValueError):
    """An array has the wrong number of rows, columns or dimensions."""


class DataError(FullyConnectedError, ValueError):
    """An array has the right shape, but values that cannot be used: NaN, or a class that does not exist."""


class InputTypeError(FullyConnectedError, TypeError):
    """Something is of the wrong type: an array of objects, a float where a whole number belongs."""


class MissingNameError(FullyConnectedError, AttributeError):
    """An attribute does not exist, such as another library's name for a method; the message says what to write."""


class FileAccessError(FullyConnectedError, OSError):
    """A file cannot be opened: it does not exist, is a folder, may not be read, or is locked by another program."""


class FileFormatError(FullyConnectedError, ValueError):
    """A file is not what it should be: cut short, altered, of another version or of another kind."""


class CheckpointError(FileFormatError):
    """A checkpoint is whole, but belongs to a run with other settings."""


class DownloadError(FullyConnectedError, OSError):
    """A file could not be downloaded, or what came is not the file that was published."""


class MissingPackageError(FullyConnectedError, ImportError):
    """An optional package is not installed; the message gives the command that installs it."""


class CommError(FullyConnectedError, RuntimeError):
    """Processes that train together cannot go on: their weights differ, or what one of them was to decide failed."""


class DivergenceError(FullyConnectedError, ArithmeticError):
    """Training produced a loss or weights that are not finite.

    Attributes
    ----------
    epoch, step : int
        Where it happened, counted from 1 (steps over the whole run).
    learning_rate : float
        The rate of that step, with all factors, such as that of the schedule.
    layer : str
        The first layer whose parameters or output are not finite, or ``"loss"``.
    advice : str
        What to do about the likely cause: inputs or targets out of range, code of your own, the learning rate.
    """

    def __init__(self, epoch: int, step: int, learning_rate: float, layer: str, advice: str = "") -> None:
        self.epoch, self.step, self.learning_rate, self.layer, self.advice = epoch, step, learning_rate, layer, advice
        # a solver has no learning rate, and moves only to where the loss is finite: only its start can be elsewhere
        place = f"at learning rate {learning_rate:.3g}" if learning_rate == learning_rate else "where the solver starts"
        message = (
            f"training diverged in epoch {epoch}, step {step}, {place}: the first values that are not finite are in "
            f"{layer}. The network has the weights from before that epoch again."
        )
        super().__init__(f"{message} {advice}" if advice else message)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.epoch, self.step, self.learning_rate, self.layer, self.advice)


class DataWarning(FullyConnectedError, UserWarning):
    """Data that can be used, but that a network hardly learns from; ``fit(warn=False)`` does not warn."""


def nearest(what: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown name, with the name to use instead or the nearest one, and a list of all."""
    import difflib

    from fullyconnected.core.habits import NAMES

    names, wanted = sorted(known), str(name)[:80].lower()
    close = [NAMES.get(wanted.replace(" ", "_"), "")]
    if close[0] not in names:
        close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return UnknownNameError(f"there is no {what} {name!r:.80}{hint} Known: {', '.join(names)}.")


def missing(package: str, extra: str, purpose: str) -> MissingPackageError:
    """Return the error for an optional package that is not installed."""
    return MissingPackageError(
        f"{purpose} needs the package {package}, which is not installed: pip install 'fullyconnected[{extra}]'"
    )
