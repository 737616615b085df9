"""Training: a loop that yields once an epoch, and ``fit``, which runs it to the end."""

import os
import time
import warnings
from collections.abc import Generator, Iterator
from math import isnan
from typing import Any

import numpy as np

from fullyconnected.core.batches import epoch_order
from fullyconnected.core.checks import Columns, columns_of, count, interval, number
from fullyconnected.core.contracts import check_call
from fullyconnected.core.randomness import as_seed
from fullyconnected.engine import choose
from fullyconnected.engine.state import Best, TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.errors import ConfigError, DataWarning, DivergenceError, KindError
from fullyconnected.metrics import named
from fullyconnected.network import Network
from fullyconnected.optimizers import LBFGS, OPTIMIZERS, Adam
from fullyconnected.program.data import Data, check_data, require_rows
from fullyconnected.training import progress as display
from fullyconnected.training import scales, solver
from fullyconnected.training.history import Epoch, History

__all__ = ["Epoch", "History", "epochs", "fit"]


class Run:
    """A network, its data and its settings, all checked; iterating trains, an epoch at a time."""

    def __init__(
        self,
        net: Network,
        x: Any,
        t: Any,
        loss: Any,
        optimizer: Any = None,
        *,
        batch_size: int = 128,
        l2: float = 0.0,
        shuffle: bool = True,
        seed: Any = 0,
        sample_weight: Any = None,
        validation: Any = None,
        metrics: Any = (),
        patience: int | None = None,
        max_grad_norm: float | None = None,
        schedule: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | str | None = None,
        warn: bool = True,
        engine: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        if not isinstance(net, Network):
            raise KindError(
                f"the first argument is the Network to train; got a {type(net).__name__}. "
                f"Write fc.fit(net, x, t, loss, optimizer)"
            )
        self.net, known = net, net.columns
        self.data = check_data(net.program, net.dtype, x, t, loss, sample_weight, columns=known)
        answers = columns_of(t) or ()  # of a single one the name says nothing
        columns = Columns(known.x or columns_of(x), known.t or (answers if len(answers) > 1 else None))
        self.optimizer = OPTIMIZERS.get(Adam() if optimizer is None else optimizer)
        self.validation = _validation(net, validation, self.data, columns)
        judged = self.validation or self.data
        self.metrics = named(metrics, judged.t, judged.loss, net.n_out, judged.weights, also=self.data.t)
        self.patience = None if patience is None else count("patience", patience)
        if not isinstance(shuffle, bool | np.bool_):
            raise KindError(f"shuffle is True or False (the rows' own order); got {shuffle!r}")
        if schedule is not None and not callable(schedule):
            raise KindError(f"schedule is a function of the epoch, such as fc.StepDecay(0.95); got {schedule!r}")
        if schedule is not None:
            check_call(schedule, "the schedule", "epoch")
        if max_grad_norm is not None:
            max_grad_norm = number("max_grad_norm", max_grad_norm, above=True)
        self.shuffle = bool(shuffle)
        batch_size = count("batch_size", batch_size)
        require_rows(net.program, len(self.data.x), f"x of {len(self.data.x)} row(s)")
        require_rows(net.program, batch_size, f"batch_size={batch_size}")
        self.task = Task(
            net.program,
            self.data.loss,
            self.optimizer,
            self.data.x,
            self.data.t,
            self.data.weights,
            batch_size,
            number("l2", l2),
            max_grad_norm,
            schedule,
            None if n_threads is None else count("n_threads", n_threads),
        )
        choice = choose(engine, self.task)
        self.asked, self.why = engine, choice.why
        self.state = TrainingState.start(net.theta, net.state, as_seed(seed), self.optimizer)
        if not np.isfinite(net.theta).all():
            raise ConfigError("the network's parameters are not all finite; nothing can be learned from there")
        if isinstance(self.optimizer, LBFGS):
            solver.refuse(self.task, checkpoint)
        self.checkpoint = None
        every = None if checkpoint_every is None else interval("checkpoint_every", checkpoint_every)
        if checkpoint is not None:
            from fullyconnected.training.checkpoint import Checkpoint, fingerprint  # loads what reads and writes files

            self.checkpoint = Checkpoint(
                checkpoint,
                net,
                self.task,
                every,
                columns,
                shuffle=self.shuffle,
                seed="fresh" if seed is None else self.state.seed,
                patience=self.patience,
                metrics=list(self.metrics),
                data=fingerprint(self.data),
                validation=fingerprint(self.validation),
            )
            self.checkpoint.begin(self.state)
            self.task = self.checkpoint.watch(self.task)
        self.engine = choice.make(self.task, self.state)
        net.columns = columns
        self.stopped = "epochs"
        if not isinstance(warn, bool | np.bool_):
            raise KindError(f"warn is True or False; got {warn!a:.80}")
        self.warning = self.look_at(x, t, columns) if warn and not self.state.epoch else ""

    def look_at(self, given_x: Any, given_t: Any, columns: Columns) -> str:
        """Say what it is of the data that a network hardly learns from; or nothing."""
        x, t, loss, net = self.data.x, self.data.t, self.data.loss, self.net
        told = (
            scales.of_order(given_x, given_t),
            scales.of_inputs(x, net.program, columns.x),
            scales.of_targets(t, loss, lambda rows: net.predict(x[rows], engine="numpy")),
        )
        return ". ".join(each for each in told if each)

    def __iter__(self) -> Generator[Epoch]:
        try:
            while not self.out_of_patience():
                yield self.epoch()
        finally:  # also where Ctrl-C, an error or the end of the caller's loop ends it
            if self.checkpoint is not None:
                self.checkpoint.finish()
        self.stopped = "patience"
        self.give_back_best()

    def epoch(self) -> Epoch:
        """Train an epoch, judge it, note it, and see to the checkpoint."""
        state, began = self.state, time.perf_counter()
        order = epoch_order(len(self.data.x), state.seed, state.epoch, shuffle=self.shuffle)
        theta, running, begun = state.theta.copy(), state.state.copy(), state.step
        try:
            loss = self.engine.epoch(order)
        except BaseException as error:
            # Ctrl-C may come between an update that overflows and the loss that would show it
            finite = np.isfinite(state.theta).all() and np.isfinite(state.state).all()
            if isinstance(error, DivergenceError) or not finite:
                state.theta[...], state.state[...] = theta, running
            if isinstance(error, DivergenceError):
                from fullyconnected.training.divergence import explained

                raise explained(error, self.task, theta, running, state.seed, begun, order) from None
            raise
        try:
            epoch = self.record(loss, began)
        except Exception:  # a metric of the user's own: an epoch that is not counted has not been trained
            state.theta[...], state.state[...] = theta, running
            raise
        if self.checkpoint is not None:
            self.checkpoint.after_epoch(state)
        return epoch

    def train(self, total: int, shown: display.Progress) -> None:
        """Train until there have been ``total`` epochs, or until patience ends."""
        trained = iter(self)
        try:
            while self.state.epoch < total and (epoch := next(trained, None)) is not None:
                shown.show(epoch.number, epoch)
        finally:
            trained.close()  # here, and not whenever it is no longer needed: it writes the checkpoint

    def solve(self, iterations: int, shown: display.Progress) -> None:
        """Train with L-BFGS, whose iterations are the epochs."""
        began = time.perf_counter()

        def after(loss: float) -> bool:
            nonlocal began
            epoch = self.record(loss, began)
            began = time.perf_counter()
            shown.show(epoch.number, epoch)
            return self.out_of_patience()

        why, loss = solver.solve(self.task, self.state, iterations, after)
        if not self.state.epoch:  # where it began, there was nothing to gain
            self.record(loss, began)
        self.stopped = "patience" if self.out_of_patience() else why

    def record(self, loss: float, began: float) -> Epoch:
        """Judge the network after an epoch, and note what came out."""
        state, validation_loss = self.state, None
        metrics: dict[str, float] = {}
        if self.validation is not None or self.metrics:
            evaluation = self.net.judge(self.validation or self.data, self.metrics, self.asked, self.task.n_threads)
            metrics = evaluation.metrics
            if self.validation is not None:
                validation_loss = evaluation.loss
        state.epoch += 1  # from here on nothing takes time: an epoch that Ctrl-C catches before is not counted
        if validation_loss is not None:
            state.records.setdefault("validation_loss", []).append(validation_loss)
        state.records.setdefault("loss", []).append(loss)
        for name, value in metrics.items():
            state.records.setdefault(f"metric.{name}", []).append(value)
        watched = loss if validation_loss is None else validation_loss
        best = state.best
        better = best is None or watched < best.value or (isnan(best.value) and not isnan(watched))
        if self.patience is not None and better:
            state.best = Best(watched, state.epoch, state.theta.copy(), state.state.copy())
        return Epoch(state.epoch, loss, validation_loss, metrics, time.perf_counter() - began)

    def out_of_patience(self) -> bool:
        """Whether patience is set, and as many epochs have gone by without a better one."""
        best = self.state.best
        return self.patience is not None and best is not None and self.state.epoch - best.epoch >= self.patience

    def give_back_best(self) -> None:
        """Give the network the weights of its best epoch, where patience has kept them."""
        if self.patience is not None and self.state.best is not None:
            self.net.theta[...], self.net.state[...] = self.state.best.theta, self.state.best.state

    def history(self) -> History:
        """Return what has been recorded so far."""
        records, best = self.state.records, self.state.best
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
            best_epoch=best.epoch if best is not None and self.patience is not None else None,
        )


def _validation(net: Network, validation: Any, data: Data, columns: Columns) -> Data | None:
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise KindError(
            "validation is (x, t) or (x, t, weights). A share of the rows is held back by hand: order = "
            "np.random.default_rng(0).permutation(len(x)); fit on x[order[n:]], t[order[n:]], and give the first n"
        )
    x, t, weights = (*validation, None)[:3]
    return check_data(net.program, net.dtype, x, t, data.loss, weights, "validation ", columns)


def _unknown(function: str, name: str) -> KindError:
    """Return the error for a setting that does not exist: a TypeError, as for any function."""
    from fullyconnected.core.habits import SETTINGS, advice

    known = sorted({*(Run.__init__.__kwdefaults__ or {}), *("epochs", "progress") * (function == "fit")})
    hint = advice(name, SETTINGS, known)
    return KindError(f"{function} has no setting {name!r}{hint}{'' if hint else '. Known: ' + ', '.join(known)}")


def epochs(net: Network, x: Any, t: Any, loss: Any = None, optimizer: Any = None, **settings: Any) -> Iterator[Epoch]:
    """Train as :func:`fit` does, yielding after every epoch: the caller's loop logs, stops, saves.

    It goes on until the caller's loop ends, or until patience does (then the best weights are given back): with a
    ``checkpoint`` it may begin beyond the epoch at which the loop would end, so compare with ``>=``. The checkpoint is
    written when the loop is left, too; whoever calls ``next`` instead ends with ``close``. Arguments are those of
    :func:`fit` without ``epochs`` and ``progress``, and are checked at once.

    Yields
    ------
    Epoch
        ``number, loss, validation_loss, metrics, seconds``.

    Raises
    ------
    ConfigError
        For L-BFGS, which has no epochs to stop between; and whatever :func:`fit` raises.

    Examples
    --------
    >>> from fullyconnected import SquaredError, mlp
    >>> for epoch in epochs(mlp([1, 1], seed=0), [[0.0], [1.0]], [1.0, 3.0], SquaredError()):
    ...     if epoch.number == 3:
    ...         break
    >>> epoch.number
    3
    """
    known = Run.__init__.__kwdefaults__ or {}
    for name in settings:
        if name not in known:
            raise _unknown("epochs", name)
    run = Run(net, x, t, loss, optimizer, **settings)
    if isinstance(run.optimizer, LBFGS):
        raise ConfigError("epochs yields between epochs, and L-BFGS has none: use fit")
    if run.warning:
        warnings.warn(run.warning, DataWarning, stacklevel=2)
    return iter(run)


def fit(
    net: Network,
    x: Any,
    t: Any,
    loss: Any = None,
    optimizer: Any = None,
    epochs: int = 10,
    batch_size: int = 128,
    *,
    l2: float = 0.0,
    shuffle: bool = True,
    seed: Any = 0,
    sample_weight: Any = None,
    validation: Any = None,
    metrics: Any = (),
    patience: int | None = None,
    max_grad_norm: float | None = None,
    schedule: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | str | None = None,
    progress: Any = "auto",
    warn: bool = True,
    engine: str = "auto",
    n_threads: int | None = None,
    **others: Any,
) -> History:
    """Train a network in place, and return what happened.

    A second call goes on from the network's weights, but with a fresh optimizer and, for the same seed, the same
    orders of rows. To go on with a run itself, give it a ``checkpoint``.

    Parameters
    ----------
    net : Network
        Its parameters change; Ctrl-C leaves them usable, and the history says so.
    x : array (rows, ...)
        Finite numbers of any dtype; they are cast to the network's a batch at a time. (The native engine casts
        float16, long doubles and foreign byte orders all at once.)
    t : array (rows,) or (rows, n_out)
        Targets, as the loss takes them.
    loss : Loss or str
        Such as ``fc.SoftmaxCrossEntropy()``. There is no default: None is refused, with what to take.
    optimizer : Optimizer or str
        Such as ``fc.SGD(0.1)``; ``fc.Adam(1e-3)`` if None.
    epochs : int
        1 or more: how many a run has in all, those of its checkpoint included.
    batch_size : int
        1 or more; the last batch of an epoch may be short. With BatchNorm 2 or more, and a last batch of one row goes
        with the one before.
    l2 : float
        0 or more: adds ``l2 / 2 sum(W^2)`` to the loss of every batch; biases and norm gains are left alone.
    shuffle : bool
        Whether every epoch has an order of its own; else the rows come as they are.
    seed : int, None or numpy.random.Generator
        Of shuffles and dropout; None draws a fresh one.
    sample_weight : array (rows,), optional
        0 or more. A weight of 2 counts as the row twice in the batch's mean.
    validation : (x, t) or (x, t, weights), optional
        Judged after every epoch.
    metrics : sequence of str or callable
        As :meth:`Network.evaluate` takes them; on the validation data where there are any.
    patience : int, optional
        Stop after as many epochs without a smaller validation loss (without validation: training loss), and give
        the weights of the best epoch back.
    max_grad_norm : float, optional
        Scale longer gradients down to this norm.
    schedule : callable, optional
        From the epochs trained so far, as a float, to a factor on the learning rate: ``fc.CosineDecay(10)``. Asked
        before each step; by the native engine before each epoch, for all its steps.
    checkpoint : path, optional
        Written at the start, every so often, and at the end, also where Ctrl-C, patience or an error is the end. Where
        it exists, the run goes on from it, with the same bits at the end as if it had never stopped. ``fc.load`` reads
        it too: the network as it is after the last epoch.
    checkpoint_every : int or str, optional
        After how many epochs the checkpoint is written, 1 or more, or after how much time: ``"30s"``, ``"5m"``,
        ``"1h"``. None: after five seconds or more, so that writing takes no more than a fiftieth of the time.
    progress : "auto", True or False
        A bar on a terminal (with rich), else lines, a hundred or so; or nothing. What cannot be shown is left out.
    engine : str
        ``"native"``, the one in C++; ``"numpy"``, the layers' own code; or ``"auto"``: native where it is there and
        can run this, else NumPy, and the history says why. Both compute the same but for rounding.
    n_threads : int, optional
        1 or more; the NumPy engine needs threadpoolctl for it. None takes as many as the process may use:
        OMP_NUM_THREADS, the processors it is bound to, threadpoolctl's limit; and one in a worker of joblib or
        multiprocessing. The same number gives the same bits.

    Returns
    -------
    History
        ``loss``, ``validation_loss``, ``metrics``, ``engine``, ``interrupted``, ...

    Raises
    ------
    DivergenceError
        Where loss or weights are not finite any more; the network has the
        weights from before that epoch again, which are.
    ShapeError, DataError, KindError, ConfigError
        For data or settings that cannot be used, before anything is computed.
    CheckpointError
        Where the checkpoint belongs to another run.

    Examples
    --------
    >>> from fullyconnected import Adam, SquaredError, mlp
    >>> net = mlp([1, 8, 1], activation="tanh", seed=0)
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> history = fit(net, x, x**2, SquaredError(), Adam(0.01), epochs=200, batch_size=16, progress=False)
    >>> history.loss[-1] < 0.01 < history.loss[0]
    True
    """
    if others:
        raise _unknown("fit", min(others))
    total = count("epochs", epochs)
    run = Run(
        net,
        x,
        t,
        loss,
        optimizer,
        batch_size=batch_size,
        l2=l2,
        shuffle=shuffle,
        seed=seed,
        sample_weight=sample_weight,
        validation=validation,
        metrics=metrics,
        patience=patience,
        max_grad_norm=max_grad_norm,
        schedule=schedule,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        warn=warn,
        engine=engine,
        n_threads=n_threads,
    )
    if run.warning:
        warnings.warn(run.warning, DataWarning, stacklevel=2)
    shown = display.choose(progress)
    try:
        shown.start(total, run.state.epoch)
        if isinstance(run.optimizer, LBFGS):
            run.solve(total, shown)
        else:
            run.train(total, shown)
    except KeyboardInterrupt:
        run.stopped = "interrupted"
    finally:
        shown.stop()
    run.give_back_best()
    return run.history()
