"""The checkpoint of a run, from which it can be resumed with the same settings and data, and the same results."""

import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

from fullyconnected.core.checks import ColumnNames
from fullyconnected.core.deprecation import in_old_names
from fullyconnected.core.settings import Settings
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.errors import ConfigError
from fullyconnected.files import read_checkpoint, write_checkpoint
from fullyconnected.network import Network
from fullyconnected.program.data import Data
from fullyconnected.program.plain import describe_layers
from fullyconnected.program.sources import ArraySource
from fullyconnected.schedules import Schedule
from fullyconnected.training.identity import alike, own_code, stable_repr
from fullyconnected.training.settings import FitSettings

__all__ = ["Checkpoint", "fingerprint"]

# By default, at least this many seconds pass between two writes, and writing takes at most this share of the time:
# small networks train for thousands of epochs in the time of one write.
SOONEST, SHARE = 5.0, 0.02


class Checkpoint:
    """The file of a run, which is resumed from it if it exists; it is written at intervals, and at the end of the run.

    ``others`` are further values that must be the same in a resumed run. Between two writes, a copy of the state after
    the last complete epoch is kept in memory, so that it can be written if the run ends within an epoch.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        net: Network,
        task: Task,
        settings: FitSettings,
        columns: ColumnNames,
        **others: Any,
    ) -> None:
        self.path, self.layers, self.every = os.fspath(path), net.layers, settings.every
        # until an epoch is complete, the weights come from what the network was trained with before
        self.before, self.after = (net.columns, net.loss), (columns, task.data.loss)
        self.written, self.took = monotonic(), 0.0
        self.memory: TrainingState | None = None
        self.pending = False
        self.members = (net.program.members or 0) if settings.best_per_member else 0
        self.seen: tuple[int, ...] | None = None  # identity of the file that this run has read or written
        layers = describe_layers(net.layers)  # raises if a file cannot hold the network
        schedules = settings.those(settings.SCHEDULES)
        self.schedules: dict[str, Any] = {name: each for name, each in schedules.items() if each is not None}
        # the last argument and result of each schedule in each epoch
        self.answers: dict[str, dict[int, tuple[float, float]]] = {name: {} for name in self.schedules}
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
        """Set ``state`` to that of the file, or write the file for the first time.

        The first write is before the first epoch, to detect at once whether the file can be written, and so that a run
        that Ctrl-C interrupts in that epoch can be resumed.
        """
        if os.path.exists(self.path):
            if not (os.path.isfile(self.path) or os.path.isdir(self.path)):
                raise ConfigError(f"checkpoint={self.path!r} is a pipe or device; a file can be read and replaced")
            read_checkpoint(self.path, state, self.problem, self.members)
            self.seen = self.look()
        else:
            self.write(state)

    def watch(self, task: Task) -> Task:
        """Return the task with schedules whose results are recorded."""

        def recorded(schedule: Schedule, answers: dict[int, tuple[float, float]]) -> Schedule:
            def run(epoch: float) -> float:
                answer = schedule(epoch)
                answers[int(epoch)] = epoch, answer
                return answer

            return run

        watched: Any = {name: recorded(each, self.answers[name]) for name, each in self.schedules.items()}
        return task._replace(**watched)

    def problem(self, run: dict[str, Any]) -> str | None:
        """Return why the run in a file cannot be resumed with the present settings and data, or None if it can."""
        # a setting that is not in the file is newer than the file, and had its default value
        then, old = {**_lasting(FitSettings()), **run["settings"]}, "answers" not in run
        for key in sorted(self.settings.keys() | then.keys()):
            one, other = then.get(key), self.settings.get(key)
            if one == other or (old and key not in then):  # old files do not have the code of layers
                continue
            same = _alike_by_name if old else alike
            if isinstance(one, str) and isinstance(other, str) and same(in_old_names(one), in_old_names(other)):
                continue
            return (
                f"was begun with {key}={_around(one, other)} and would go on with {_around(other, one)}: the result "
                f"would be neither run's. Set it back, choose another path, or remove the file"
                + ". (A run with SWA can be prolonged if the start is a number of epochs)"
                * (key == "epochs")
            )
        given = {"schedule": [] if old else run["answers"], **run.get("answers_of", {})}
        for name, schedule in self.schedules.items():
            answers = [_answer(pair, run["epoch"]) for pair in given.get(name, ())]
            for epoch, answer in answers:
                now = float(schedule(epoch))
                # another processor may round differently
                if not math.isclose(now, answer, rel_tol=1e-9, abs_tol=1e-12):
                    what = name.replace("_", " ").replace("weight decay", "weight-decay")
                    return (
                        f"was begun with a {what} that gave {answer:.6g} at epoch {epoch:g}, and gives {now:.6g} "
                        f"now: the result would be neither run's. Set back what it depends on, choose another path, or "
                        f"remove the file"
                    )
            self.answers[name].update((int(epoch), (epoch, answer)) for epoch, answer in answers)
        return None

    def after_epoch(self, state: TrainingState) -> None:
        """Write the state if it is due, else keep a copy of it."""
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
        except KeyboardInterrupt:  # the copy may be half done
            self.remember(state)
            raise

    def finish(self) -> None:
        """Write the state after the last complete epoch, unless that is done, or another run has changed the file.

        If an error has ended a loop over ``epochs``, this may be called only when Python deletes the error, which is
        much later in a notebook.
        """
        if self.pending and self.memory is not None and self.look() in (None, self.seen):
            self.pending = not self.try_to_write(self.memory)

    def is_due(self, epoch: int) -> bool:
        """Whether the state is to be written after this epoch."""
        if isinstance(self.every, int):
            return epoch % self.every == 0
        wait = max(SOONEST, self.took / SHARE) if self.every is None else self.every
        return monotonic() - self.written >= wait

    def remember(self, state: TrainingState) -> None:
        """Keep a copy of the state in memory."""
        self.memory, self.pending = state.copied(self.memory), True

    def try_to_write(self, state: TrainingState) -> bool:
        """Write the state and return True, or warn and return False: a full disk must not end hours of training."""
        try:
            self.write(state)
        except OSError as error:
            self.written = monotonic()
            warnings.warn(
                f"the checkpoint could not be written: {error}. Training continues, and it will be tried again",
                RuntimeWarning,
                stacklevel=2,
            )
            return False
        return True

    def write(self, state: TrainingState) -> None:
        """Write the state to the file."""
        began = monotonic()
        answers = {
            name: [list(map(float, pair)) for epoch, pair in sorted(own.items()) if epoch < state.epoch]
            for name, own in self.answers.items()
        }
        # earlier versions know the schedule of the learning rate alone, and read its answers
        kept: dict[str, Any] = {"settings": self.settings, "answers": answers.pop("schedule", [])}
        kept |= {"answers_of": answers} if answers else {}
        write_checkpoint(self.path, self.layers, state, kept, *(self.after if state.epoch else self.before))
        self.seen, self.written = self.look(), monotonic()
        self.took = self.written - began

    def look(self) -> tuple[int, ...] | None:
        """Return the identity of the present file, which changes when it is written, or None if there is no file."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _lasting(settings: FitSettings) -> dict[str, Any]:
    """Return the settings that a resumed run must have, by name, as they are stored."""
    values = settings.those(set(settings.names()) - set(settings.MAY_CHANGE))
    return {
        name: value
        if name not in settings.SCHEDULES and isinstance(value, bool | int | float | str | None)
        else stable_repr(value)
        for name, value in values.items()
    }


def _parts(things: Iterable[Any]) -> Iterator[Settings]:
    """Yield layers and activations, and those within them."""
    for each in things:
        if isinstance(each, Settings):
            yield each
            yield from _parts(vars(each).values())
        elif isinstance(each, tuple):
            yield from _parts(each)


def _answer(pair: Any, epochs: int) -> tuple[float, float]:
    """Return the argument and the result of a schedule from a file, or raise if they cannot be right."""
    epoch, answer = map(float, pair)
    if not (0 <= epoch < epochs and math.isfinite(answer)):
        raise ValueError(f"{pair!r:.80} is not a result of a schedule in {epochs!r:.20} epochs")
    return epoch, answer


def _alike_by_name(then: str, now: str) -> bool:
    """Whether a setting agrees with a file of version 0.1.0, by names: it identified functions by their bytecode."""
    names = re.findall(r"([\w.<>]+) [0-9a-f]{8}\b", then)
    return bool(names) and all(name in now for name in names)


def _around(one: Any, other: Any) -> str:
    """Return a setting for a message: the whole text, or the part where it differs from the other."""
    text, against = repr(one), repr(other)
    if len(text) <= 200:
        return text
    differ = next((i for i, pair in enumerate(zip(text, against, strict=False)) if len(set(pair)) > 1), len(against))
    start = max(0, differ - 100)
    return ("..." if start else "") + text[start : start + 200] + ("..." if start + 200 < len(text) else "")


def fingerprint(data: Data | None) -> str | None:
    """Return the identity of a data set: shapes, dtypes and checksums."""
    if data is None:
        return None
    parts = []
    for source in (data.x, *(ArraySource(a) for a in (data.t, data.sample_weight) if a is not None)):
        parts.append(f"{source.shape} {source.dtype} {source.checksum():08x}")
    return ", ".join(parts)
