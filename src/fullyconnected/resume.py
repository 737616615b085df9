"""A run that goes on where it was: its checkpoint, and what it must go on with to end as if it had never stopped."""

import dis
import functools
import os
import types
import warnings
import zlib
from time import monotonic
from typing import Any

import numpy as np

from fullyconnected.checks import Columns
from fullyconnected.data import Data
from fullyconnected.engine import Task
from fullyconnected.errors import ConfigError
from fullyconnected.files import describe_layers, read_checkpoint, write_checkpoint
from fullyconnected.network import Network
from fullyconnected.training_state import TrainingState

__all__ = ["Checkpoint", "fingerprint", "told"]

# Where nothing else is asked for, a checkpoint is written no sooner than after so many seconds, and so that writing
# takes at most this share of the time: small networks train for thousands of epochs while one is written.
SOONEST, SHARE = 5.0, 0.02


class Checkpoint:
    """The file of a run: gone on from where it exists, and written anew every so often, and when the run ends.

    ``every`` is a number of epochs, seconds as a float, or None for what costs little. Between two writings the last
    complete epoch is kept in memory, so that it can be written whatever ends the run in the midst of the next.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        net: Network,
        task: Task,
        every: int | float | None,
        columns: Columns,
        **others: Any,
    ) -> None:
        self.path, self.layers, self.every, self.columns = os.fspath(path), net.layers, every, columns
        self.written, self.took = monotonic(), 0.0
        self.memory: TrainingState | None = None
        self.pending = False
        layers = describe_layers(net.layers)  # raises where a file cannot hold the network
        self.settings = {
            **{f"layer {i}": layer for i, layer in enumerate(layers)},
            "dtype": net.dtype.name,
            "loss": told(task.loss),
            "optimizer": told(task.optimizer),
            "batch_size": task.batch_size,
            "l2": task.l2,
            "max_grad_norm": task.max_grad_norm,
            "schedule": told(task.schedule),
            **others,
        }

    def begin(self, state: TrainingState) -> None:
        """Bring ``state`` to where the file is, or write the file for the first time.

        Before the first epoch, so that it shows at once whether it can be written, and so that an epoch that Ctrl-C
        cuts short can begin anew.
        """
        if os.path.exists(self.path):
            if not (os.path.isfile(self.path) or os.path.isdir(self.path)):
                raise ConfigError(f"checkpoint={self.path!r} is a pipe or device; a file can be read and replaced")
            read_checkpoint(self.path, state, self.settings)
        else:
            self.write(state)

    def after_epoch(self, state: TrainingState) -> None:
        """Write the run where it is time to; else remember it."""
        if self.is_due(state.epoch):
            try:
                self.pending = not self.try_to_write(state)
            except BaseException:
                self.remember(state)
                raise
            if not self.pending:
                return
        try:
            self.remember(state)
        except KeyboardInterrupt:  # half of it may be of the epoch before
            self.remember(state)
            raise

    def finish(self) -> None:
        """Write the last complete epoch, unless it has been written."""
        if self.pending and self.memory is not None:
            self.pending = not self.try_to_write(self.memory)

    def is_due(self, epoch: int) -> bool:
        """Whether the run is to be written after this epoch."""
        if isinstance(self.every, int):
            return epoch % self.every == 0
        wait = max(SOONEST, self.took / SHARE) if self.every is None else self.every
        return monotonic() - self.written >= wait

    def remember(self, state: TrainingState) -> None:
        """Keep a copy of the run as it is."""
        self.memory, self.pending = state.copied(self.memory), True

    def try_to_write(self, state: TrainingState) -> bool:
        """Write the run and return True, or warn: a disk that is full for a while must not end hours of training."""
        try:
            self.write(state)
        except OSError as error:
            self.written = monotonic()
            warnings.warn(
                f"the checkpoint could not be written: {error}. Training goes on, and it is tried again",
                RuntimeWarning,
                stacklevel=2,
            )
            return False
        return True

    def write(self, state: TrainingState) -> None:
        """Write all of the run."""
        began = monotonic()
        write_checkpoint(self.path, self.layers, state, self.settings, self.columns)
        self.written = monotonic()
        self.took = self.written - began


def told(thing: Any) -> str:
    """Return what tells one setting from another, the same in every process: a function by its code.

    Of the variables around a function those count that it only reads; one that it writes is no setting.
    """
    if isinstance(thing, functools.partial):
        return f"partial({told(thing.func)}, {told(thing.args)}, {told(thing.keywords)})"
    if isinstance(thing, types.MethodType):
        return f"{told(thing.__self__)}.{thing.__name__}"
    if isinstance(thing, types.FunctionType):
        written = {each.argval for each in dis.get_instructions(thing) if each.opname == "STORE_DEREF"}
        cells = zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True)
        within = [cell.cell_contents for name, cell in cells if name not in written]
        return f"{thing.__qualname__} {_code(thing.__code__)} {told(thing.__defaults__)} {told(within)}"
    if isinstance(thing, tuple | list):
        return f"[{', '.join(map(told, thing))}]"
    if isinstance(thing, dict):
        return f"{{{', '.join(f'{key}: {told(value)}' for key, value in thing.items())}}}"
    if isinstance(thing, np.ndarray | np.generic):
        return told(thing.tolist())
    if isinstance(thing, int | float) and not isinstance(thing, bool):
        return repr(float(thing))  # 1 and 1.0 are one rate
    if hasattr(thing, "__qualname__"):
        return str(thing.__qualname__)
    if hasattr(thing, "__dict__") or hasattr(thing, "__slots__"):
        names = [*getattr(thing, "__dict__", ()), *getattr(thing, "__slots__", ())]
        return f"{type(thing).__qualname__}({', '.join(f'{name}={told(getattr(thing, name))}' for name in names)})"
    return repr(thing)


def _code(code: types.CodeType) -> str:
    """Return a checksum of what a function does, with the functions that it makes."""
    constants = [_code(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts]
    return f"{zlib.crc32(repr((code.co_code, code.co_names, constants)).encode()):08x}"


def fingerprint(data: Data | None) -> str | None:
    """Return what tells one data set from another: shapes, dtypes and checksums."""
    if data is None:
        return None
    parts = []
    for a in (data.x, data.t, data.weights):
        if a is not None:
            value = 0
            for start in range(0, len(a), rows := max(1, (1 << 24) // max(1, a[:1].nbytes))):
                value = zlib.crc32(a[start : start + rows].tobytes(), value)
            parts.append(f"{a.shape} {a.dtype} {value:08x}")
    return ", ".join(parts)
