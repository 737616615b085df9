"""A run that goes on where it was: its checkpoint, and what it must go on with to end as if it had never stopped."""

import math
import os
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

from fullyconnected.core.checks import Columns
from fullyconnected.core.settings import Settings
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.errors import ConfigError
from fullyconnected.files import describe_layers, read_checkpoint, write_checkpoint
from fullyconnected.network import Network
from fullyconnected.program.data import Data
from fullyconnected.program.sources import ArraySource
from fullyconnected.training.identity import alike, own_code, stable_repr
from fullyconnected.training.settings import FitSettings

__all__ = ["Checkpoint", "fingerprint"]

# Where nothing else is asked for, a checkpoint is written no sooner than after so many seconds, and so that writing
# takes at most this share of the time: small networks train for thousands of epochs while one is written.
SOONEST, SHARE = 5.0, 0.02


class Checkpoint:
    """The file of a run: gone on from where it exists, and written anew every so often, and when the run ends.

    ``others`` are settings as the run has understood them. Between two writings the last
    complete epoch is kept in memory, so that it can be written whatever ends the run in the midst of the next.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        net: Network,
        task: Task,
        settings: FitSettings,
        columns: Columns,
        **others: Any,
    ) -> None:
        self.path, self.layers, self.every, self.columns = os.fspath(path), net.layers, settings.every, columns
        self.loss = task.data.loss
        self.written, self.took = monotonic(), 0.0
        self.memory: TrainingState | None = None
        self.pending = False
        self.seen: tuple[int, ...] | None = None  # the file as this run knows it
        layers = describe_layers(net.layers)  # raises where a file cannot hold the network
        self.answers: dict[int, tuple[float, float]] = {}  # of the schedule, in each epoch the last: where it was asked
        self.schedule: Any = task.schedule
        self.settings = {
            **{f"layer {i}": layer for i, layer in enumerate(layers)},
            **{type(each).__qualname__: code for each in _parts(net.layers) if (code := own_code(each)) is not None},
            "dtype": net.dtype.name,
            "loss": stable_repr(task.data.loss),
            "optimizer": stable_repr(task.optimizer),
            **_lasting(settings),
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
            read_checkpoint(self.path, state, self.problem)
            self.seen = self.look()
        else:
            self.write(state)

    def watch(self, task: Task) -> Task:
        """Return the task with a schedule whose answers are noted as they are given."""
        if task.schedule is None:
            return task
        schedule, answers = task.schedule, self.answers

        def noted(epoch: float) -> float:
            answer = schedule(epoch)
            answers[int(epoch)] = epoch, answer
            return answer

        return task._replace(schedule=noted)

    def problem(self, run: dict[str, Any]) -> str | None:
        """Return why a run cannot be gone on with as it was begun; None where it can."""
        # what a file knows nothing of had its default then
        then, old = {**_lasting(FitSettings()), **run["settings"]}, "answers" not in run
        for key in sorted(self.settings.keys() | then.keys()):
            one, other = then.get(key), self.settings.get(key)
            if one == other or (old and key not in then):  # it did not look at the code of layers
                continue
            if isinstance(one, str) and isinstance(other, str) and (_alike_by_name if old else alike)(one, other):
                continue
            return (
                f"was begun with {key}={_around(one, other)} and would go on with {_around(other, one)}: the result "
                f"would be neither run's. Set it back, choose another path, or remove the file"
            )
        answers = [] if old else [_answer(pair, run["epoch"]) for pair in run["answers"]]
        for epoch, answer in answers if self.schedule is not None else ():
            now = float(self.schedule(epoch))
            if not math.isclose(now, answer, rel_tol=1e-9, abs_tol=1e-12):  # another processor may round otherwise
                return (
                    f"was begun with a schedule that gave {answer:.6g} at epoch {epoch:g}, and gives {now:.6g} now: "
                    f"the result would be neither run's. Set back what it depends on, choose another path, or remove "
                    f"the file"
                )
        self.answers.update((int(epoch), (epoch, answer)) for epoch, answer in answers)
        return None

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
        """Write the last complete epoch, unless it has been written, or another run has gone on from the file since.

        A loop over ``epochs`` that an error has left may end only when Python forgets that error: much later, in a
        notebook.
        """
        if self.pending and self.memory is not None and self.look() in (None, self.seen):
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
        answers = [list(map(float, pair)) for epoch, pair in sorted(self.answers.items()) if epoch < state.epoch]
        kept = {"settings": self.settings, "answers": answers}
        write_checkpoint(self.path, self.layers, state, kept, self.columns, self.loss)
        self.seen, self.written = self.look(), monotonic()
        self.took = self.written - began

    def look(self) -> tuple[int, ...] | None:
        """Return what tells the file from any that is written later, or None where there is none."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _lasting(settings: FitSettings) -> dict[str, Any]:
    """Return the settings that a run must go on with, by name, as a file has them."""
    values = settings.those(set(settings.names()) - set(settings.MAY_CHANGE))
    return {
        name: value if name != "schedule" and isinstance(value, bool | int | float | str | None) else stable_repr(value)
        for name, value in values.items()
    }


def _parts(things: Iterable[Any]) -> Iterator[Settings]:
    """Yield layers and activations, with those within them."""
    for each in things:
        if isinstance(each, Settings):
            yield each
            yield from _parts(vars(each).values())
        elif isinstance(each, tuple):
            yield from _parts(each)


def _answer(pair: Any, epochs: int) -> tuple[float, float]:
    """Return when a schedule was asked within so many epochs, and what it answered, as a file has them."""
    epoch, answer = map(float, pair)
    if not (0 <= epoch < epochs and math.isfinite(answer)):
        raise ValueError(f"{pair!r:.80} is no answer of a schedule in {epochs!r:.20} epochs")
    return epoch, answer


def _alike_by_name(then: str, now: str) -> bool:
    """Whether a setting is the same in a file of version 0.1.0, which told functions by the interpreter's own code."""
    names = re.findall(r"([\w.<>]+) [0-9a-f]{8}\b", then)
    return bool(names) and all(name in now for name in names)


def _around(one: Any, other: Any) -> str:
    """Return a setting for a message: all of it, or where it differs from the other."""
    text, against = repr(one), repr(other)
    if len(text) <= 200:
        return text
    differ = next((i for i, pair in enumerate(zip(text, against, strict=False)) if len(set(pair)) > 1), len(against))
    start = max(0, differ - 100)
    return ("..." if start else "") + text[start : start + 200] + ("..." if start + 200 < len(text) else "")


def fingerprint(data: Data | None) -> str | None:
    """Return what tells one data set from another: shapes, dtypes and checksums."""
    if data is None:
        return None
    parts = []
    for source in (data.x, *(ArraySource(a) for a in (data.t, data.weights) if a is not None)):
        value = 0
        for start in range(0, len(source), rows := max(1, (1 << 24) // max(1, source.block(0, 1).nbytes))):
            value = zlib.crc32(source.block(start, min(start + rows, len(source))).tobytes(), value)
        parts.append(f"{source.shape} {source.dtype} {value:08x}")
    return ", ".join(parts)
