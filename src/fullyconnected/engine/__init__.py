"""Who runs a program: an engine trains one epoch at a time. NumPy's is the specification of every other."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.engine.lowering import Unsupported
from fullyconnected.engine.native_engine import NativeEngine, NativeGradient, NativePredictor, library, why_not
from fullyconnected.engine.numpy_engine import NumpyEngine, limited
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.engine.threads import n_threads
from fullyconnected.errors import ConfigError, InputTypeError, nearest
from fullyconnected.program.program import Program

__all__ = [
    "Choice",
    "Engine",
    "EngineInfo",
    "NativePredictor",
    "Unsupported",
    "Task",
    "check_engine",
    "choose",
    "choose_gradient",
    "engines",
    "limited",
    "refused",
]


class Engine(Protocol):
    """Runs the epochs of one run."""

    name: str

    def epoch(self, order: Rows) -> float:
        """Train on the rows in this order; return the mean of the batches' losses, weighted by their rows."""
        ...


class EngineInfo(NamedTuple):
    """Whether an engine is there, and what it runs on, or why it is not."""

    available: bool
    about: str


class Choice(NamedTuple):
    """The engine that a run gets, and why it is that one."""

    make: Callable[[Task, TrainingState], Engine]
    why: str


NAMES = ("auto", "native", "numpy")


def engines() -> dict[str, EngineInfo]:
    """Return every engine by name: whether it is there, and what it runs on, or why it is not.

    ``"numpy"`` is always there. ``"native"``, in C++, is the faster one; it needs a compiler when the library is
    installed from source.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> fc.engines()["numpy"].available
    True
    """
    import numpy as np

    try:
        about = f"kernels for {library().kernels()}, {n_threads()} threads"
        native = EngineInfo(True, about)
    except Unsupported as reason:
        native = EngineInfo(False, str(reason))
    return {"native": native, "numpy": EngineInfo(True, f"NumPy {np.__version__}")}


def check_engine(name: str) -> str:
    """Return the name of an engine, or raise."""
    if not isinstance(name, str):
        raise InputTypeError(f"engine is the name of one, or 'auto'; got {name!r}")
    if name not in NAMES:
        raise nearest("engine", name, NAMES)
    return name


def choose_gradient(name: str, program: Program, loss: Loss) -> Callable[..., tuple[float, Array, Array]] | None:
    """Return what takes a gradient by the native engine, or None where NumPy is to take it."""
    if check_engine(name) == "numpy":
        return None
    try:
        return NativeGradient(program, loss)
    except Unsupported as reason:
        if name == "native":
            raise refused(reason) from None
        return None


def refused(reason: object) -> ConfigError:
    """Return the error for what the native engine was asked for and cannot run."""
    return ConfigError(f"the native engine cannot run this: {reason}. engine='auto' takes NumPy where it must")


def choose(name: str, task: Task) -> Choice:
    """Return the engine for a task: the one of that name, or, for ``"auto"``, the fastest that can run it."""
    if check_engine(name) == "numpy":
        return Choice(NumpyEngine, "it was asked for")
    reason = why_not(task)
    if reason is None:
        return Choice(NativeEngine, "it was asked for" if name == "native" else "it is the fastest")
    if name == "native":
        raise refused(reason)
    return Choice(NumpyEngine, f"the native engine cannot run this: {reason}")
