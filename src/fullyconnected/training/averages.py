"""The average of the weights of a run: what the run judges, and what its network has at its end."""

import math
from collections.abc import Generator, Iterable
from contextlib import closing

import numpy as np

from fullyconnected.averages import EMA, SWA
from fullyconnected.core.arrays import Array, aligned
from fullyconnected.core.batches import Share, sizes_of
from fullyconnected.core.contracts import is_foreign
from fullyconnected.core.order import Order
from fullyconnected.engine.numpy_engine import blas_threads
from fullyconnected.engine.state import Average, TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.errors import ConfigError
from fullyconnected.network import Network
from fullyconnected.program.data import BatchLoader
from fullyconnected.program.program import Program
from fullyconnected.program.reading import MappedReader, Part, Reader
from fullyconnected.program.workspace import Across, Workspace
from fullyconnected.training.settings import FitSettings

__all__ = ["Averaging", "check", "running_statistics"]


def check(rule: EMA | SWA, program: Program, total: int | None, settings: FitSettings) -> None:
    """Raise if an average cannot be taken in a run of ``total`` epochs, or of a number that nobody has said."""
    if isinstance(rule, EMA):
        return
    if rule.is_share and total is None and settings.max_time is None:
        raise ConfigError(
            f"average={rule} begins after a share of the planned epochs, and a loop over epochs does not say how many "
            f"it will be: give the number of epochs before the average begins, such as SWA(15); or use fit"
        )
    if total is not None and rule.skipped(total) >= total and settings.checkpoint is None:  # which may be prolonged
        raise ConfigError(
            f"average={rule} begins after {rule.start} epochs, and the run has {total}: give fewer, or a share of "
            f"them, such as SWA(0.75)"
        )
    for op in program.operations:
        if op.state and is_foreign(op.layer):
            raise ConfigError(
                f"SWA computes running statistics anew for the averaged weights, and knows how for BatchNorm alone; "
                f"{op.name} ({type(op.layer).__name__}) has some of its own: use fc.EMA, which averages them"
            )


class Averaging:
    """The average of a run, in a network of its own, which is like the one that is trained.

    An EMA is kept by the engine, step by step. Of an SWA, the run tells the end of each epoch; before the first that is
    averaged, and in that epoch, the average is the weights themselves.
    """

    def __init__(
        self,
        rule: EMA | SWA,
        net: Network,
        task: Task,
        visits: Order,
        reader: Reader | MappedReader | None,
        share: Share | None = None,
    ) -> None:
        self.rule, self.task, self.visits, self.reader, self.share = rule, task, visits, reader, share
        vectors = Average(aligned(net.theta.size, net.dtype, 0.0), net.state.copy())
        vectors.theta[...] = net.theta
        self.net = Network.from_vectors(net.layers, *vectors)
        self.n = self.epoch = 0  # how many epochs an SWA has averaged, and how many there were
        self.stale = True  # whether the running statistics may be those of other weights

    @property
    def vectors(self) -> Average:
        """The average itself."""
        return Average(self.net.theta, self.net.state)

    def at(self, epoch: int, planned: int | None) -> None:
        """Set how many epochs are averaged after an epoch, of so many planned ones."""
        self.epoch = epoch
        if isinstance(self.rule, SWA):
            self.n = int(max(0, epoch - self.rule.skipped(planned)))

    def after_epoch(self, state: TrainingState, planned: int | None) -> None:
        """Take the weights at the end of an epoch, which ``state.epoch`` does not count yet."""
        if isinstance(self.rule, EMA):
            return
        self.at(state.epoch + 1, planned)
        if self.n > 1:
            theta = self.net.theta
            theta += (state.theta - theta) / self.n
        else:
            self.net.theta[...], self.net.state[...] = state.theta, state.state
        self.stale = True

    def complete(self, seed: int) -> None:
        """Compute the running statistics of an SWA, unless they are those of the averaged weights already."""
        if self.n > 1 and self.stale and self.net.state.size:
            with closing(self.first_epoch(seed)) as parts:
                self.net.state[...] = running_statistics(self.task, self.net.theta, seed, parts, self.epoch)
        self.stale = False

    def first_epoch(self, seed: int) -> Generator[Part]:
        """Yield the rows in the order of the first epoch: sorted rows would make batches unlike those of training."""
        if self.reader is None:
            sizes = sizes_of(len(self.task.data.x), self.task.batch_size, self.task.program.least_rows)
            yield Part.of(self.task.data, self.visits.of(seed, 0), self.share, sizes)
        else:
            with closing(self.reader.parts(seed, 0)) as parts:
                yield from parts

    def give(self, net: Network, state: TrainingState) -> None:
        """Give a network the average, if there is one yet."""
        if state.step if isinstance(self.rule, EMA) else self.n:
            self.complete(state.seed)
            net.theta[...], net.state[...] = self.net.theta, self.net.state

    def told(self, epoch: int, planned: int | None) -> str:
        """Return what the weights after an epoch are an average of."""
        rule = self.rule
        if isinstance(rule, EMA):
            return f"the moving average of the steps up to epoch {epoch}: {rule}"
        first = rule.skipped(planned) + 1
        if epoch < first:
            return f"no average: {rule} begins " + (f"with epoch {first}" if math.isfinite(first) else "later")
        return f"those of epoch {epoch}: {rule}" if epoch == first else f"the mean of epochs {first} to {epoch}: {rule}"


def running_statistics(task: Task, theta: Array, seed: int, parts: Iterable[Part], epoch: int) -> Array:
    """Return the mean of the statistics of all batches of training rows at these weights, weighted by their rows.

    Layers work as in training, so that dropout draws masks, those of the first steps, at the rate that a schedule gives
    after so many epochs.
    """
    program, data = task.program, task.data
    running, momentum = np.zeros(program.n_state, theta.dtype), np.ones(program.n_state)
    for op in program.operations:
        for tensor in op.state:
            momentum[tensor.part] = op.layer.momentum  # type: ignore[attr-defined]
    most = min(len(data.x), task.batch_size + program.least_rows - 1)
    across = None if task.others is None else Across(task.others.sum)
    workspace = Workspace(program, theta, running, most, loss=data.loss, source=data.x, across=across)
    workspace.set_dropout(task.dropout_factor(epoch))
    loader, total, n, step = BatchLoader(data, workspace), np.zeros(program.n_state), 0, 0
    with blas_threads(task.n_threads, or_any=True), np.errstate(all="ignore"):
        for part in parts:
            loader.data = part.data
            for rows, whole in part.batches(task.batch_size, program.least_rows):
                running[...] = 0  # then the layers leave momentum times the statistics of the batch
                size, first = (len(rows), 0) if whole is None else (whole.rows, whole.first)
                if across is not None:
                    across.rows = size
                batch, share = loader.load(rows, whole) if len(rows) or whole is None else (None, whole.weight)
                if share:  # training, too, leaves out batches without weight
                    workspace.at(seed, step, first)
                    if batch is None:
                        workspace.take_part(backward=False)
                    else:
                        batch.forward(train=True)
                    total += running * float(size)
                    n += size
                step += 1
    return (total / momentum / n).astype(theta.dtype)
