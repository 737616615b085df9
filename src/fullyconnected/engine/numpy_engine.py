"""The NumPy engine: the layers' own code, batch by batch. It is the reference for all other engines."""

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from fullyconnected.averages import EMA
from fullyconnected.base import Loss, Optimizer, Solver
from fullyconnected.core.arrays import Array, dot
from fullyconnected.core.batches import Rows, Whole, n_batches
from fullyconnected.core.checks import thread_count
from fullyconnected.engine.base import Engine, EngineInfo
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task, answer_of
from fullyconnected.engine.updates import Rules, updates
from fullyconnected.errors import DivergenceError, missing
from fullyconnected.program.data import BatchLoader, Data
from fullyconnected.program.program import PIECE, Program
from fullyconnected.program.reading import Part
from fullyconnected.program.sources import Source, SparseSource
from fullyconnected.program.workspace import Across, Batch, Workspace

__all__ = ["NumpyEngine", "NumpyPredictor", "NumpyTrainer", "blas_threads"]

WORKSPACE = 1 << 23  # entries: prediction uses batches that need about this much memory


class NumpyEngine(Engine):
    """Runs every program, by the layers' own code."""

    name = "numpy"
    automatic = True
    averages = True
    schedules = True
    shares = True

    def about(self) -> EngineInfo:
        return EngineInfo(True, f"NumPy {np.__version__}")

    def supports(
        self,
        program: Program,
        *,
        loss: Loss | None = None,
        optimizer: Optimizer | Solver | None = None,
        source: Source | None = None,
    ) -> None:
        return None

    def trainer(self, task: Task, state: TrainingState) -> "NumpyTrainer":
        return NumpyTrainer(task, state)

    def gradient(
        self, program: Program, theta: Array, state: Array, data: Data, *, l2: float, train: bool, seed: int
    ) -> tuple[float, Array, Array]:
        workspace = Workspace(program, theta, state, len(data.x), loss=data.loss, input_gradient=True)
        batch = BatchLoader(data, workspace).load_all()
        if train:
            workspace.at(seed, 0)
        with np.errstate(all="ignore"):
            value = float(batch.loss_and_gradient(train=train, l2=l2))
        return value, workspace.gradient, batch.dx

    def predictor(self, program: Program, theta: Array, state: Array) -> "NumpyPredictor":
        return NumpyPredictor(program, theta, state)


class NumpyPredictor:
    """Predicts with NumPy alone, in bounded memory."""

    xp: Any = np

    def __init__(self, program: Program, theta: Array, state: Array) -> None:
        self.program, self.theta, self.state = program, theta, state
        self.workspace: Workspace | None = None

    def predict(self, x: Array | SparseSource, z: Array, n_threads: int | None) -> None:
        """Write the outputs of checked rows into z; sparse rows are for programs that multiply their input."""
        program, source = self.program, x if isinstance(x, SparseSource) else None
        sparse = source is not None
        size = min(len(x), max(1, WORKSPACE // (program.entries_a_row - program.n_in * sparse)))
        workspace = self.workspace
        if workspace is None or workspace.rows < size or workspace.sparse != sparse:
            workspace = self.workspace = Workspace(program, self.theta, self.state, size, source=source, xp=self.xp)
        with blas_threads(n_threads), np.errstate(all="ignore"):
            for start in range(0, len(x), size):
                stop = min(start + size, len(x))
                batch = workspace.bind(stop - start)
                if isinstance(x, SparseSource):
                    x.take(np.arange(start, stop), batch.x)
                else:
                    np.copyto(batch.x, x[start:stop], casting="unsafe")
                copies = program.copies
                z[start * copies : stop * copies] = batch.forward(train=False)

    def row(self, x: Array, z: Array) -> bool:
        """Return False: with NumPy, even the prediction of a single row takes longer than its checks."""
        return False


class NumpyTrainer:
    """Trains one run with NumPy alone; all memory is allocated when it is made.

    An engine that works on a device overrides a method: ``load`` chooses the rows, ``before_update`` changes their
    gradient, and ``check_loss`` is the only place in a step that waits for a number (besides clipping, in
    ``before_update``).

    Where the task has other processes, a step takes this one's rows of the batch, and ``add_up`` sums its gradient and
    its loss over all processes: both are sums over rows, whose weights are divided by that of the whole batch.
    """

    xp: Any = np  # what makes its arrays and computes with them

    def __init__(self, task: Task, state: TrainingState) -> None:
        self.task, self.state = task, state
        rows = min(task.batch_size + task.program.least_rows - 1, len(task.data.x))
        program, theta = task.program, state.theta
        others = task.others
        self.across = None if others is None else Across(others.sum)
        how: Any = {"loss": task.data.loss, "source": task.data.x, "across": self.across, "xp": self.xp}
        self.workspace = Workspace(program, theta, state.state, rows, **how)
        self.random = bool(self.workspace.random)  # whether a layer draws random numbers
        self.loader = BatchLoader(task.data, self.workspace)
        self.rules = Rules(task.rule, scheduled=task.weight_decay_schedule is not None)
        self.updates = updates(self.rules, program, theta, self.workspace.gradient, state.slots, self.xp)
        self.average = task.average if isinstance(task.average, EMA) else None
        self.averaged: list[tuple[Array, Array, Array]] = []  # parts of the average, of what it follows, and scratch
        if self.average is not None and state.average is not None:
            scratch = np.empty(min(PIECE, max(theta.size, state.state.size)), theta.dtype)
            for average, now in zip(state.average, (theta, state.state), strict=True):
                for at in range(0, now.size, PIECE):
                    part = now[at : at + PIECE]
                    self.averaged.append((average[at : at + PIECE], part, scratch[: part.size]))

    def epoch(self, order: Rows) -> float:
        return self.epoch_in_parts([Part(self.task.data, order)], len(order))

    def epoch_in_parts(self, parts: Iterable[Part], rows: int) -> float:
        with blas_threads(self.task.n_threads):
            return self._epoch(parts, rows)

    def _epoch(self, parts: Iterable[Part], n_rows: int) -> float:
        task, state, gradient = self.task, self.state, self.workspace.gradient
        optimizer, schedule, l2, alpha = task.rule, task.schedule, task.l2, task.alpha
        updates = [tuple(update) for update in self.updates]  # which unpack faster
        load, check_loss, before_update, average = self.load, self.check_loss, self.before_update, self.average
        across = self.across
        total: Any = 0.0
        weight = 0.0
        lr = base = optimizer.lr * state.lr_factor
        least = task.program.least_rows
        steps = n_batches(n_rows, task.batch_size, least)
        with np.errstate(all="ignore"):  # numbers that are not finite are found below, and raise DivergenceError
            for i, (rows, whole) in enumerate(self._batches(parts)):
                batch, share = load(rows, whole)
                if share == 0:  # every row has weight zero, so the batch makes no step
                    continue
                if schedule is not None:
                    lr = base * answer_of("schedule", schedule, state.epoch + i / steps)
                if task.weight_decay_schedule is not None:
                    self.rules.times(task.decay_factor(state.epoch + i / steps))
                if task.dropout_schedule is not None:
                    self.workspace.set_dropout(task.dropout_factor(state.epoch + i / steps))
                pull = l2 + alpha / share if alpha else l2
                if across is None and batch is not None:
                    value = batch.loss_and_gradient(train=True, l2=pull)
                else:
                    value = self.add_up(batch)
                    value += self.workspace.add_l2(pull) if pull else 0.0
                state.step += 1
                value = check_loss(value, batch, lr)
                before_update(gradient, share)
                for update, theta, g, s, c, decays in updates:
                    update(theta, g, s, c, lr=lr, step=state.step, decays=decays)
                if average is not None:
                    self.follow(average.share(state.step))
                total = total + value * share
                weight += share
            # a gradient can overflow although the loss is finite, and no loss is computed after the last update
            if not (all_finite(state.theta) and all_finite(state.state)):
                raise DivergenceError(state.epoch + 1, state.step, lr, where_not_finite(batch))
        return float(total) / weight

    def _batches(self, parts: Iterable[Part]) -> Iterator[tuple[Rows, Whole | None]]:
        """Yield the batches of all parts, each with the part's rows to be loaded; and what they are a part of."""
        for part in parts:
            self.loader.data = part.data
            yield from part.batches(self.task.batch_size, self.task.program.least_rows)

    def follow(self, share: float) -> None:
        """Move the average by ``share`` of the way towards the weights after a step."""
        for average, now, difference in self.averaged:
            np.subtract(now, average, out=difference)
            difference *= share
            average += difference

    def load(self, rows: Rows, whole: Whole | None) -> tuple[Batch | None, float]:
        """Return the batch of these rows, ready for its step, and the sum of the weights of the whole batch.

        The batch is None if this process has no row of it.
        """
        if self.random:
            self.workspace.at(self.state.seed, self.state.step, 0 if whole is None else whole.first)
        if self.across is not None and whole is not None:
            self.across.rows = whole.rows
            if not len(rows):
                return None, whole.weight
        return self.loader.load(rows, whole)

    def add_up(self, batch: Batch | None) -> float:
        """Write the gradient of a batch, summed over all processes, and return its loss.

        The loss is that of all processes, without the penalty of l2. It is summed in two parts, so that float32 keeps
        its digits.
        """
        exchanged = self.workspace.exchanged
        if batch is None:
            self.workspace.take_part()
            value = 0.0
        else:
            value = float(batch.loss_and_gradient(train=True))
        exchanged[-2] = value
        exchanged[-1] = value - float(exchanged[-2]) if math.isfinite(value) else 0.0
        self.task.comm.sum(exchanged)
        return float(exchanged[-2]) + float(exchanged[-1])

    def check_loss(self, loss: Any, batch: Batch | None, lr: float) -> Any:
        """Return the loss of a batch, or raise if it is not finite, so that a run ends in the step that diverges."""
        value = float(loss)
        if not math.isfinite(value):
            raise DivergenceError(self.state.epoch + 1, self.state.step, lr, where_not_finite(batch))
        return value

    def before_update(self, gradient: Array, share: float) -> None:
        """Clip the flat gradient of a batch if asked; ``share`` is the sum of the weights of its rows."""
        if self.task.max_grad_norm is not None:
            clip(gradient, self.task.max_grad_norm)


def where_not_finite(batch: Batch | None) -> str:
    """Name what is not finite first in a batch; if this process has no row of it, that is in another one."""
    return "loss" if batch is None else batch.first_not_finite()


def blas_threads(n_threads: int | None, *, or_any: bool = False) -> AbstractContextManager[Any]:
    """Return a context in which NumPy's matrix products use ``n_threads`` threads.

    That needs threadpoolctl, which the native engine does without; ``or_any`` takes any number if it is missing.
    """
    if n_threads is None:
        return nullcontext()
    n_threads = thread_count(n_threads)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        if or_any:
            return nullcontext()
        raise missing("threadpoolctl", "threads", "n_threads with the NumPy engine") from None
    return threadpool_limits(n_threads, user_api="blas")


def all_finite(vector: Array) -> bool:
    """Whether every entry is finite; a sum of squares shows it fastest, unless it overflows."""
    return math.isfinite(float(vector.dot(vector))) or bool(np.isfinite(vector).all())


def clip(g: Array, limit: float) -> None:
    """Scale a gradient down to norm ``limit`` if its norm is larger: ``g *= min(1, limit / |g|)``."""
    norm = math.sqrt(float(dot(np, g, g)))
    if not math.isfinite(norm):  # the squares may overflow although the entries are finite
        largest = max(float(g.max()), -float(g.min()))
        norm = largest * math.sqrt(float(np.square(g / largest).sum()))
    if norm > limit and math.isfinite(norm):
        g *= limit / norm
