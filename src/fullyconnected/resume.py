"""A run that goes on where it was: its checkpoint, and what it must go on with to end as if it had never stopped."""

import dis
import functools
import os
import types
import zlib
from typing import Any

import numpy as np

from fullyconnected.data import Data
from fullyconnected.engine import Task
from fullyconnected.files import describe_layers, read_checkpoint, write_checkpoint
from fullyconnected.network import Network
from fullyconnected.training_state import TrainingState

__all__ = ["Checkpoint", "fingerprint", "told"]


class Checkpoint:
    """The file of a run: gone on from where it exists, and written anew after every epoch."""

    def __init__(self, path: str | os.PathLike[str], net: Network, task: Task, **others: Any) -> None:
        self.path, self.layers = os.fspath(path), net.layers
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
            read_checkpoint(self.path, state, self.settings)
        else:
            self.write(state)

    def write(self, state: TrainingState) -> None:
        """Write all of the run."""
        write_checkpoint(self.path, self.layers, state, self.settings)


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
