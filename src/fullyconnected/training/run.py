"""A run: the loop that trains epochs, evaluates and records them, and stops."""

import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from math import inf, isnan
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

import numpy as np

from fullyconnected.averages import EMA
from fullyconnected.base import Metric, Optimizer, Solver
from fullyconnected.comm import choice as comms
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows, Share, sizes_of
from fullyconnected.core.checks import ColumnNames, columns_of, duration, number
from fullyconnected.core.contracts import is_foreign
from fullyconnected.core.mapped import is_mapped
from fullyconnected.core.order import Order
from fullyconnected.core.randomness import as_seed
from fullyconnected.engine.choice import choose
from fullyconnected.engine.numpy_engine import blas_threads
from fullyconnected.engine.state import Best, TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.engine.updates import new_slots
from fullyconnected.errors import ConfigError, DivergenceError, InputTypeError, nearest
from fullyconnected.layers import Dropout
from fullyconnected.metrics import METRICS, named
from fullyconnected.network import Network
from fullyconnected.optimizers import OPTIMIZERS, Adam
from fullyconnected.program.adapting import is_filled_by
from fullyconnected.program.data import Data, check_data, require_rows
from fullyconnected.program.description import flatten
from fullyconnected.program.evaluation import Evaluation, evaluation
from fullyconnected.program.reading import WINDOW, Gatherer, MappedReader, Part, Reader
from fullyconnected.program.sources import ArraySource, Converted, Source, beneath
from fullyconnected.training import members, scales, solver, together
from fullyconnected.training import progress as display
from fullyconnected.training.averages import Averaging, check
from fullyconnected.training.history import Epoch, History
from fullyconnected.training.settings import FitSettings

if TYPE_CHECKING:
    from fullyconnected.training.checkpoint import Checkpoint

__all__ = ["Run"]


class Run:
    """A network with its data and settings, all checked; iterating over it trains an epoch at a time."""

    state: TrainingState
    checkpoint: "Checkpoint | None"  # of several processes, the first alone has it

    def __init__(
        self,
        net: Network,
        x: Any,
        t: Any,
        loss: Any,
        optimizer: Any = None,
        settings: FitSettings | None = None,
        total: int | None = None,
    ) -> None:
        if not isinstance(net, Network):
            raise InputTypeError(
                f"the first argument is the Network to train; got a {type(net).__name__}. "
                f"Write fc.fit(net, x, t, loss, optimizer)"
            )
        self.settings = settings = (settings or FitSettings()).over(total)
        self.comm = comms.choose(settings.comm)
        self.patience, self.shuffle = settings.patience, settings.shuffle
        self.max_time = None if settings.max_time is None else duration("max_time", settings.max_time)
        self.total = total  # the epochs that are asked for; a loop over epochs does not say how many
        self.net, known = net, net.columns
        self.data = check_data(net.program, net.dtype, x, t, loss, settings.sample_weight, columns=known, sparse=True)
        self.rows = len(self.data.x)
        answers = columns_of(t) or ()  # the name of a single column says nothing
        self.columns = ColumnNames(known.x or columns_of(x), known.t or (answers if len(answers) > 1 else None))
        self.optimizer = OPTIMIZERS.get(Adam() if optimizer is None else optimizer)
        self.validation = _validation(net, settings.validation, self.data, self.columns)
        evaluated = self.validation or self.data
        where = evaluated.t, evaluated.loss, net.n_out, evaluated.row_sample_weight
        self.metrics = named(settings.metrics, *where, also=self.data.t)
        if settings.monitor in METRICS.classes and settings.monitor not in self.metrics:
            self.metrics |= named(settings.monitor, *where, also=self.data.t)
        default = "loss" if self.validation is None else "validation_loss"
        self.monitor = default if settings.monitor is None else settings.monitor
        self.greater_is_better = _greater_is_better(self.monitor, self.metrics, evaluated is self.validation)
        if settings.best_per_member:
            members.check(net.program, settings, self.validation)
        require_rows(net.program, self.rows, f"x of {self.rows} row(s)")
        require_rows(net.program, settings.batch_size, f"batch_size={settings.batch_size}")
        self.default_monitor = default
        undo = self.adapt_network() if net.unset else None
        try:
            self.begin(total)
        except BaseException:
            if undo is not None:  # a call that is refused changes nothing
                undo()
            raise
        self.warning = ""
        if settings.warn and not self.state.epoch:
            remarks = together.idle(self.comm, self.visits, self.share), self.look_at(x, t)
            self.warning = ". ".join(filter(None, remarks)) if self.comm.rank == 0 else ""

    def adapt_network(self) -> Callable[[], None]:
        """Let the network take constants and initial weights from the rows, or from the checkpoint that it has begun.

        What is returned undoes it.
        """
        net, path = self.net, self.settings.checkpoint
        if path is not None and os.path.isfile(path):
            from fullyconnected.files import read_model

            begun = read_model(path)
            if is_filled_by(flatten(net.layers), flatten(begun.layers)) and begun.theta.dtype == net.dtype:
                return net.take(begun.layers, begun.theta)
        with blas_threads(self.settings.n_threads, or_any=True):
            return net.adapt_to(self.data)

    def begin(self, total: int | None) -> None:
        """Prepare the training of the network as it is now, or resume it from its checkpoint."""
        net, settings = self.net, self.settings
        program = net.program.for_training(settings.factors)
        comm = self.comm
        self.task = Task(program, self.data, self.optimizer, **{**settings.those(Task._fields), "comm": comm})
        together.refuse(comm, net, self.data.loss)
        _check_decay(self.task, settings)
        if isinstance(self.optimizer, Solver):
            solver.refuse(self.optimizer, self.task, settings.checkpoint, net.dtype)
            self.task = self.task._replace(batch_size=self.rows)  # a solver uses all rows at once
        _check_schedules(self.task)
        self.engine, self.why = choose(
            settings.engine,
            program,
            averages=isinstance(settings.average, EMA),
            schedules=bool(settings.weight_decay_schedule or settings.dropout_schedule),
            shares=comm.size > 1,
            precision=settings.precision,
            dtype=net.dtype,
            loss=self.data.loss,
            optimizer=self.optimizer,
            source=self.data.x,
        )
        solves = isinstance(self.optimizer, Solver)
        slots = {} if solves else new_slots(self.task.rule, program, net.dtype)
        self.state = TrainingState(net.theta, net.state, as_seed(settings.seed), slots)
        if not np.isfinite(net.theta).all():
            raise ConfigError("the network's parameters are not all finite, so it cannot be trained")
        self.visits = self.order_of_epochs()
        if comm.size > 1:
            self.agree()
        self.share = self.share_of_batches()
        self.reader = self.reader_of_windows()
        self.judged, self.averaging = net, None
        if settings.average is not None:
            check(settings.average, net.program, total, settings)
            self.averaging = Averaging(settings.average, net, self.task, self.visits, self.reader, self.share)
            self.judged, self.state.average = self.averaging.net, self.averaging.vectors
        self.checkpoint = None
        if settings.checkpoint is not None:
            together.decided(comm, self.begin_checkpoint)
            together.adopt_state(comm, self.state)
            if self.state.epoch:
                self.adopt()
        if self.checkpoint is not None:
            self.task = self.checkpoint.watch(self.task)
        if self.averaging is not None:
            self.averaging.at(self.state.epoch, self.planned())
        if not solves:
            self.trainer = self.engine.trainer(self.task, self.state)
        self.stopped = "epochs"

    def agree(self) -> None:
        """Raise in all processes if they were given different things; else give all of them the state of the first."""
        seed, engine = self.settings.seed, self.engine
        alike: dict[str, Any] = {
            "optimizer": self.optimizer,
            "epochs": self.total,
            "engine": f"{engine.name}: {engine.about()[1]}",
            **({"seed": seed} if isinstance(seed, int) else {}),  # else that of the first process is taken
            **self.identity(),
        }
        given = together.likeness(self.net, self.settings, self.data, self.validation, **alike)
        comms.require_same(self.comm, given)
        together.adopt_state(self.comm, self.state)

    def begin_checkpoint(self) -> None:
        """Resume the run from its checkpoint, or write the first one; of several processes, the first alone does it."""
        from fullyconnected.training.checkpoint import Checkpoint, fingerprint  # loads what reads and writes files

        settings = self.settings
        assert settings.checkpoint is not None
        self.checkpoint = Checkpoint(
            settings.checkpoint,
            self.net,
            self.task,
            settings,
            self.columns,
            seed="fresh" if settings.seed is None else self.state.seed,
            metrics=list(self.metrics),
            monitor=None if self.monitor == self.default_monitor else self.monitored(),
            data=fingerprint(self.data),
            validation=fingerprint(self.validation),
            **({} if self.visits.is_plain else {"windows": self.visits.layout()}),
            **({"epochs": self.total} if getattr(settings.average, "is_share", False) else {}),
            **self.identity(),
        )
        self.checkpoint.begin(self.state)

    def share_of_batches(self) -> Share | None:
        """Return what this process takes of each batch: of rows that all have, a part; of others, whole streams."""
        x, streams = self.data.x, self.visits.streams
        mapped = isinstance(x, ArraySource) and is_mapped(x.array)
        read = not x.in_memory and not isinstance(beneath(x), ArraySource)
        return together.share_of(self.comm, self.visits, streams=read or (mapped and streams >= self.comm.size))

    def order_of_epochs(self) -> Order:
        """Return the order in which epochs visit the rows."""
        settings, x = self.settings, self.data.x
        window = settings.window
        # Those of an array are shuffled as a whole, wherever they lie: joblib maps arrays from files when it gives them
        # to its workers, and what comes out must not depend on that.
        if window is None and not x.in_memory and not isinstance(beneath(x), ArraySource):
            window = max(1, WINDOW // (x.shape[1] * self.dtype_read().itemsize))
        return Order(
            self.rows,
            self.task.batch_size,
            self.task.program.least_rows,
            shuffle=self.shuffle,
            shards=x.shards,
            streams=settings.streams,
            window=window,
        )

    def dtype_read(self) -> np.dtype[Any]:
        """Return the dtype that the network reads rows in."""
        return np.dtype(self.net.program.input_dtype(self.net.dtype))

    def reader_of_windows(self) -> Reader | MappedReader | None:
        """Return what reads the windows of an epoch ahead, or None where rows are taken from memory as they lie."""
        x, plain = self.data.x, self.visits.is_plain
        if isinstance(self.optimizer, Solver):
            return None
        if isinstance(x, Converted) or not x.in_memory:
            if plain and isinstance(beneath(x), ArraySource):
                return Gatherer(self.data, self.visits, self.dtype_read(), share=self.share)
            keep = x.keep and self.total != self.state.epoch + 1
            return Reader(self.data, self.visits, self.dtype_read(), keep=keep, share=self.share)
        if isinstance(x, ArraySource) and is_mapped(x.array) and not plain:
            return MappedReader(self.data, x.array, self.visits, share=self.share)
        return None

    def identity(self) -> dict[str, Any]:
        """Return further values that must be the same when the run is resumed from a checkpoint."""
        return {}

    def adopt(self) -> None:
        """Let the network remember this run's loss and columns, since its weights come from this run from now on."""
        self.net.columns, self.net.loss = self.columns, self.data.loss

    def look_at(self, given_x: Any, given_t: Any) -> str:
        """Return a warning about data that make training difficult, or an empty string."""
        x, t, loss, net = self.data.x, self.data.t, self.data.loss, self.net
        dtype = net.program.input_dtype(net.dtype)
        remarks = (
            scales.of_order(given_x, given_t),
            scales.of_inputs(x, net.program, self.columns.x),
            scales.of_targets(
                t, loss, net.program, lambda rows: net.predict(cast(Any, x.part(rows, dtype)), engine="numpy"), x
            ),
        )
        return ". ".join(str(each) for each in remarks if each)

    def __iter__(self) -> Generator[Epoch]:
        left = 0  # the checksum of the weights that the last epoch has left
        try:
            while not (self.out_of_patience() or self.out_of_time()):
                epoch = self.epoch()
                if self.averaging is not None:
                    left = crc32(self.state.theta.data)
                yield epoch
        except GeneratorExit:  # this may be much later than the caller's loop, which may have changed the weights
            if self.averaging is not None and left == crc32(self.state.theta.data):
                self.averaging.give(self.net, self.state)
            raise
        finally:  # also after Ctrl-C, an error, or the end of the caller's loop
            if self.checkpoint is not None:
                self.checkpoint.finish()
        self.stopped = "patience" if self.out_of_patience() else "max_time"
        self.settle()

    def epoch(self) -> Epoch:
        """Train an epoch, evaluate and record it, and write the checkpoint if it is due."""
        state, began = self.state, time.perf_counter()
        before, begun = [vector.copy() for vector in state.vectors()], state.step
        in_parts = self.reader is not None and hasattr(self.trainer, "epoch_in_parts")
        order = None if in_parts else self.order()
        try:
            loss = self.train_windows() if order is None else self.train_order(order)
            if is_foreign(self.engine):
                name = f"epoch of the engine {self.engine.name!a}"
                loss = number(f"what {name} returns", loss, least=-inf)
                if not (np.isfinite(state.theta).all() and np.isfinite(state.state).all()):
                    raise DivergenceError(
                        state.epoch + 1, state.step, self.task.rule.lr * state.lr_factor, f"what {name} wrote"
                    )
            together.require_equal(self.comm, state)
            epoch = self.record(loss, began)
        except BaseException as error:
            # Ctrl-C may interrupt between an update that overflows and the loss that would show it
            finite = np.isfinite(state.theta).all() and np.isfinite(state.state).all()
            if isinstance(error, Exception) or not finite:  # the epoch is not counted, so undo it
                for vector, then in zip(state.vectors(), before, strict=True):
                    vector[...] = then
                state.step = begun
            elif not np.array_equal(state.theta, before[0]):
                self.adopt()
            if isinstance(error, SystemExit) and self.comm.size > 1:  # which no hook sees: the others would wait
                together.end(self.comm, error)
            if isinstance(error, DivergenceError):
                from fullyconnected.training.divergence import explained

                order = self.visits.of(state.seed, state.epoch) if order is None else order
                raise explained(error, self.task, before[0], before[1], state.seed, begun, order) from None
            raise
        if self.checkpoint is not None:
            self.checkpoint.after_epoch(state)
        return epoch

    def train_windows(self) -> float:
        """Train on the windows of the next epoch, of which the next is read while one is trained on."""
        trainer: Any = self.trainer
        assert self.reader is not None
        with closing(self.reader.parts(self.state.seed, self.state.epoch)) as parts:
            return float(trainer.epoch_in_parts(parts, self.rows))

    def train_order(self, order: Rows) -> float:
        """Train on all rows in this order, or on what this process takes of their batches."""
        if self.share is None:
            return self.trainer.epoch(order)
        trainer: Any = self.trainer
        sizes = sizes_of(len(order), self.task.batch_size, self.task.program.least_rows)
        return float(trainer.epoch_in_parts([Part.of(self.data, order, self.share, sizes)], len(order)))

    def order(self) -> Rows:
        """Return the order in which the next epoch visits the rows."""
        return self.visits.of(self.state.seed, self.state.epoch)

    def train(self, total: int, shown: display.Progress) -> None:
        """Train up to epoch ``total``, or until early stopping, ``max_time`` or a solver ends the run."""
        self.total = total
        if isinstance(self.optimizer, Solver):
            self.solve(self.optimizer, total, shown)
            return
        trained = iter(self)
        try:
            while self.state.epoch < total and (epoch := next(trained, None)) is not None:
                self.tell(epoch, shown)
        finally:
            trained.close()  # writes the checkpoint now, and not at some time when Python deletes the generator

    def solve(self, minimizer: Solver, iterations: int, shown: display.Progress) -> None:
        """Train with a full-batch solver, whose iterations are the epochs."""
        began = time.perf_counter()

        def after(loss: float) -> bool:
            nonlocal began
            epoch = self.record(loss, began)
            began = time.perf_counter()
            self.tell(epoch, shown)
            return self.out_of_patience() or self.out_of_time()

        why, loss = solver.solve(minimizer, self.task, self.state, iterations, after)
        if self.out_of_time():
            why = "max_time"
        if not self.state.epoch:  # the initial point was optimal
            self.record(loss, began)
        self.stopped = "patience" if self.out_of_patience() else why

    def tell(self, epoch: Epoch, shown: display.Progress) -> None:
        """Show an epoch, and before it how many are planned, if that is not simply what was asked for."""
        if self.max_time is not None and (planned := self.planned()) is not None:
            shown.plan(planned)
        shown.show(epoch.number, epoch)

    def record(self, loss: float, began: float) -> Epoch:
        """Evaluate the network after an epoch, or the average of its weights, and record the results."""
        state, judged, validation_loss, of_members = self.state, self.judged, None, None
        metrics: dict[str, float] = {}
        evaluates = self.validation is not None or bool(self.metrics)
        if self.averaging is not None:
            self.averaging.after_epoch(state, self.planned())
            if evaluates or self.patience is not None:
                self.averaging.complete(state.seed)
        if evaluates:
            data = self.validation or self.data
            try:
                evaluated, of_members = self.evaluate(data)
            except KeyboardInterrupt:  # the weights stay, although they are not recorded
                self.adopt()
                raise
            metrics = evaluated.metrics
            if self.validation is not None:
                validation_loss = evaluated.loss
        if not state.records:
            self.adopt()
        state.epoch += 1  # the epoch counts from here on; Ctrl-C is unlikely in the little that follows
        told = {f"metric.{name}": value for name, value in metrics.items()}
        for name, value in {"validation_loss": validation_loss, "loss": loss, **told}.items():
            if value is not None:
                state.records.setdefault(name, []).append(value)
        if self.patience is not None:
            monitored: Any = {**metrics, "loss": loss, "validation_loss": validation_loss}[self.monitor]
            if of_members is not None:
                vectors = judged.theta, judged.state
                state.best = members.kept(state.best, of_members, state.epoch, judged.program, *vectors)
            elif self.is_better(monitored):
                state.best = Best(monitored, state.epoch, judged.theta.copy(), judged.state.copy())
        seconds = time.perf_counter() - began
        if self.max_time is not None and state.epochs_in_time is None:
            in_time = max(state.epoch, int(self.max_time / max(seconds, 1e-9)))
            state.epochs_in_time = self.comm.broadcast(in_time)  # one clock decides for all processes
        return Epoch(state.epoch, loss, validation_loss, metrics, seconds)

    def evaluate(self, data: Data) -> tuple[Evaluation, Array | None]:
        """Return the evaluation of the network, and with ``best_per_member`` what each member's epochs are judged by.

        Processes that train together compute the outputs together, and the first of them evaluates these.
        """
        if self.settings.best_per_member:
            return self.evaluate_members(data)
        settings, judged, link = self.settings, self.judged, data.loss.link
        how = settings.engine, settings.n_threads
        if self.comm.size == 1:
            return judged.evaluate_checked(data, self.metrics, *how), None
        z = together.outputs(self.comm, judged, data, *how, link)
        return together.decided(self.comm, lambda: evaluation(z, data, self.metrics)), None

    def evaluate_members(self, data: Data) -> tuple[Evaluation, Array]:
        """Return the evaluation of an ensemble, and for each member what its epochs are judged by: less is better."""
        settings, judged = self.settings, self.judged
        how = settings.engine, settings.n_threads
        if self.comm.size == 1:
            found, losses = judged.evaluate_members(data, self.metrics, *how)
        else:
            z = together.outputs(self.comm, judged, data, *how)
            found, losses = together.decided(
                self.comm, lambda: judged.evaluate_outputs_of_members(z, data, self.metrics)
            )
        return found, members.judged_by(settings.best_per_member, losses)

    def monitored(self) -> str:
        """Return what identifies the monitored quantity: its name, or the code of a user's function."""
        from fullyconnected.training.identity import stable_repr

        own = getattr(self.metrics.get(self.monitor), "run", None)
        return self.monitor if own is None else f"{stable_repr(own)}, greater_is_better={self.greater_is_better}"

    def is_better(self, value: float) -> bool:
        """Whether the monitored quantity is better than ever before; any number is better than NaN."""
        if self.state.best is None:
            return True
        best = self.state.best.value
        return (value > best if self.greater_is_better else value < best) or (isnan(best) and not isnan(value))

    def out_of_patience(self) -> bool:
        """Whether early stopping is due: ``patience`` epochs have passed without improvement."""
        best = self.state.best
        return self.patience is not None and best is not None and self.state.epoch - best.epoch >= self.patience

    def planned(self) -> int | None:
        """Return the number of epochs that the run is to have, by what is asked for and what ``max_time`` allows."""
        return min(filter(None, (self.total, self.state.epochs_in_time)), default=None)

    def out_of_time(self) -> bool:
        """Whether the run has had the epochs that ``max_time`` allows, and more were asked for."""
        in_time = self.state.epochs_in_time
        return in_time is not None and in_time <= self.state.epoch and (self.total is None or in_time < self.total)

    def settle(self) -> None:
        """Give the network its weights at the end: those of the best epoch by early stopping, or the average."""
        if self.patience is not None and self.state.best is not None:
            self.net.theta[...], self.net.state[...] = self.state.best.theta, self.state.best.state
        elif self.averaging is not None:
            self.averaging.give(self.net, self.state)

    def history(self) -> History:
        """Return the history of the epochs so far."""
        records, best, averaging = self.state.records, self.state.best, self.averaging
        best = None if self.patience is None else best
        at = self.state.epoch if best is None else best.epoch
        return History(
            loss=list(records.get("loss", [])),
            validation_loss=list(records.get("validation_loss", [])),
            metrics={
                key.removeprefix("metric."): list(values)
                for key, values in records.items()
                if key.startswith("metric.")
            },
            engine=self.engine.name,
            engine_why=self.why,
            seed=self.state.seed,
            interrupted=self.stopped == "interrupted",
            stopped=self.stopped,
            monitor=None if self.patience is None else self.monitor,
            best_epoch=None if best is None else best.epoch,
            best_epochs=[at for _, at in best.members] if best is not None and best.members else None,
            planned_epochs=self.planned(),
            averaged=None if averaging is None else averaging.told(at, self.planned()),
            processes=self.comm.size,
        )


def _check_decay(task: Task, settings: FitSettings) -> None:
    """Raise if there are factors on a weight decay, and no weight decay."""
    factors = settings.factors
    if factors is None or not factors.weight_decay or task.l2 or task.alpha or getattr(task.optimizer, "decays", False):
        return
    raise ConfigError(
        f"the factors have weight_decay={dict(factors.weight_decay)!a:.80}, and neither the optimizer nor l2 makes "
        f"weights decay: use one with a weight decay, such as fc.AdamW(weight_decay=0.01), or give l2"
    )


def _check_schedules(task: Task) -> None:
    """Raise if there is a schedule of something that the run does not have."""
    rule = task.optimizer
    if task.weight_decay_schedule is not None and isinstance(rule, Optimizer):
        if not rule.decays:
            raise ConfigError(
                f"weight_decay_schedule is for the optimizer's weight decay, and {rule!r:.80} has none: use one with "
                f"a weight decay, such as fc.AdamW(weight_decay=0.01). (No schedule changes l2, a part of the loss)"
            )
        rule.times_decay(1.0)  # or raise
    drops = (isinstance(op.layer, Dropout) and op.layer.rate > 0 for op in task.program.operations)
    if task.dropout_schedule is not None and not any(drops):
        raise ConfigError(
            "dropout_schedule is for the rates of Dropout layers, and the network has none: add fc.Dropout(0.15) after "
            "hidden layers, or leave it out"
        )


def _greater_is_better(monitor: str, metrics: Mapping[str, Metric], validation: bool) -> bool:
    """Return whether larger values of the monitored quantity are better; raise if that or the quantity is unknown."""
    if monitor == "validation_loss" and not validation:
        raise ConfigError("there is no validation loss to monitor without validation data: set validation")
    if monitor in ("loss", "validation_loss"):
        return False
    if monitor not in metrics:
        raise nearest("quantity to monitor", monitor, {"loss", "validation_loss", *metrics, *METRICS.classes})
    better: bool | None = metrics[monitor].greater_is_better
    if better is None:
        raise ConfigError(
            f"monitor={monitor!r} names a function, and it is unknown whether larger values are better: set "
            f"{monitor}.greater_is_better = True if they are, or False"
        )
    return better


def _validation(net: Network, validation: Any, data: Data, columns: ColumnNames) -> Data | None:
    if validation is None:
        return None
    if isinstance(validation, Source):
        validation = (validation, None)
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise InputTypeError(
            "validation is (x, t) or (x, t, weights). To hold back a share of the rows: order = "
            "np.random.default_rng(0).permutation(len(x)); fit on x[order[n:]], t[order[n:]], and give the first n"
        )
    x, t, weights = (*validation, None)[:3]
    return check_data(net.program, net.dtype, x, t, data.loss, weights, "validation ", columns, sparse=True)
