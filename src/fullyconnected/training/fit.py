"""``fit`` and ``epochs``: training as a whole, or an epoch at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Never, Unpack

from fullyconnected.base import Solver
from fullyconnected.core.checks import count
from fullyconnected.errors import ConfigError, DataWarning, InputTypeError
from fullyconnected.network import Network
from fullyconnected.training import progress as display
from fullyconnected.training.history import Epoch, History
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

if TYPE_CHECKING:
    from fullyconnected.annotations import (
        ArrayLike,
        CommLike,
        FitOptions,
        LossLike,
        MetricLike,
        OptimizerLike,
        PathLike,
        ProgressLike,
        RowsLike,
        SeedLike,
        ValidationLike,
    )
    from fullyconnected.averages import EMA, SWA
    from fullyconnected.base import Optimizer
    from fullyconnected.factors import Factors
    from fullyconnected.schedules import Schedule

__all__ = ["complete", "epochs", "fit"]


def _unknown(function: str, name: str) -> InputTypeError:
    """Return the error for an unknown setting: a TypeError, as for any function."""
    from fullyconnected.core.habits import SETTINGS, advice

    known = sorted([*FitSettings.names(), *("epochs", "progress") * (function == "fit")])
    hint = advice(name, SETTINGS, known)
    return InputTypeError(f"{function} has no setting {name!r}{hint}{'' if hint else '. Known: ' + ', '.join(known)}")


def epochs(
    net: Network,
    x: RowsLike,
    t: ArrayLike | None = None,
    loss: LossLike | None = None,
    optimizer: Optimizer | str | None = None,
    **settings: Unpack[FitOptions],
) -> Iterator[Epoch]:
    """Train like :func:`fit`, yielding after each epoch, so that the caller's loop can log, stop or save.

    Training ends when the caller leaves the loop, or by early stopping, which restores the best weights. With an
    ``average``, the network gets it when the loop is left or ends, unless something else has changed the weights since
    the last epoch. A run that is resumed from a ``checkpoint`` may begin after the epoch at which the loop would stop,
    so compare epoch numbers with ``>=``. The checkpoint is also written when the loop is left; if you call ``next``
    yourself, call ``close`` at the end. The arguments are those of :func:`fit` without ``epochs`` and ``progress``, and
    are checked at once.

    Yields
    ------
    Epoch
        ``number, loss, validation_loss, metrics, seconds``.

    Raises
    ------
    ConfigError
        For a solver such as L-BFGS, which has no epochs to stop between; and the errors of :func:`fit`.

    Examples
    --------
    >>> from fullyconnected import HalfSquaredError, mlp
    >>> for epoch in epochs(mlp([1, 1], seed=0), [[0.0], [1.0]], [1.0, 3.0], HalfSquaredError()):
    ...     if epoch.number == 3:
    ...         break
    >>> epoch.number
    3
    """
    for name in settings:
        if name not in FitSettings.names():
            raise _unknown("epochs", name)
    run = Run(net, x, t, loss, optimizer, FitSettings(**settings))
    if isinstance(run.optimizer, Solver):
        raise ConfigError(f"epochs yields after each epoch, and {type(run.optimizer).__name__} has none: use fit")
    if run.warning:
        warnings.warn(run.warning, DataWarning, stacklevel=2)
    return iter(run)


def fit(
    net: Network,
    x: RowsLike,
    t: ArrayLike | None = None,
    loss: LossLike | None = None,
    optimizer: OptimizerLike | None = None,
    epochs: int = 10,
    batch_size: int = 128,
    *,
    l2: float = 0.0,
    alpha: float = 0.0,
    shuffle: bool = True,
    streams: int = 1,
    window: int | None = None,
    seed: SeedLike = 0,
    sample_weight: ArrayLike | None = None,
    validation: ValidationLike | None = None,
    metrics: MetricLike | Sequence[MetricLike] = (),
    monitor: str | None = None,
    patience: int | None = None,
    best_per_member: bool | Literal["others"] = False,
    max_time: float | str | None = None,
    max_grad_norm: float | None = None,
    schedule: Schedule | None = None,
    weight_decay_schedule: Schedule | None = None,
    dropout_schedule: Schedule | None = None,
    checkpoint: PathLike | None = None,
    checkpoint_every: int | str | None = None,
    average: EMA | SWA | None = None,
    factors: Factors | None = None,
    progress: ProgressLike = "auto",
    warn: bool = True,
    engine: str = "auto",
    n_threads: int | None = None,
    precision: str | None = None,
    comm: CommLike = None,
    **others: Never,
) -> History:
    """Train a network in place, and return the history of the run.

    A second call continues from the network's weights, but with a new optimizer state and, for the same seed, the same
    shuffles. To resume a run itself, use a ``checkpoint``.

    Parameters
    ----------
    net : Network
        The network to train. After Ctrl-C it can be used as it is, and ``history.interrupted`` is true.
    x : array (rows, ...), or sparse matrix of SciPy
        Finite numbers of any dtype, which are cast to the network's dtype a batch at a time. (The native engine casts
        float16, long doubles and foreign byte orders all at once.) A matrix or array of scipy.sparse is converted to
        CSR, and trained on by the NumPy engine. If the network begins with Dense, a product takes time and memory for
        the entries, not for the zeros; if it begins with another layer, each batch is made dense.
        A :class:`Source`, such as ``fc.Parquet("rows/", target="price")``, may be larger than memory: its rows are read
        window by window, in a thread of its own, and checked when they are read.
    t : array (rows,) or (rows, n_out)
        Targets in the form that the loss takes; None for a source with targets of its own.
    loss : Loss or str
        Such as ``fc.SoftmaxCrossEntropy()``. There is no default; the error for None proposes a loss.
    optimizer : Optimizer, Solver or str
        Such as ``fc.SGD(0.1)``; ``fc.Adam(1e-3)`` if None.
    epochs : int
        The total number of epochs, including those of a resumed checkpoint; 1 or more.
    batch_size : int
        Rows in a batch, 1 or more; the last batch of an epoch may be smaller. BatchNorm needs 2 or more, and a last
        batch of one row is joined to the batch before.
    l2 : float
        Adds ``l2 / 2 sum(W^2)`` to the loss of each batch, 0 or more; biases and the gamma of norms are not included.
    alpha : float
        Adds ``alpha / 2 sum(W^2) / w`` to the loss of each batch, as scikit-learn does, 0 or more; w is the sum of the
        weights of its rows, or their number. For batches of 100 rows, ``alpha=1`` is ``l2=0.01``.
    shuffle : bool
        Whether to shuffle the rows in each epoch.
    streams : int
        The number of streams that the rows are cut into, each of rows that lie together; from 1 to ``batch_size``. A
        batch takes its share of each stream, in their order. It belongs to the run, as the seed does.
    window : int, optional
        How many rows are shuffled together: in each epoch the shards of a source, or parts of an array, come in an
        order that is drawn, and are gone through in windows of so many rows, of all streams together. None is all rows
        of an array, and for a :class:`Source` as many as take 64 MB. Two windows are in memory at a time, since the
        next one is read while one is trained on. For an array in a file (``np.load(path, mmap_mode="r")``) that is
        larger than memory, give a number; without, rows are taken from all over the file.
    seed : int, None or numpy.random.Generator
        Seed of the shuffling and of dropout; None draws a new one.
    sample_weight : array (rows,) or (rows, members), optional
        Weights of the rows, 0 or more: a row of weight 2 counts twice in the mean over the batch. For an ensemble
        (:class:`Members`) there may be one for each member, whose loss is then a weighted mean of its own.
    validation : (x, t) or (x, t, weights), or a source with targets, optional
        Validation data; their loss, without label smoothing, is computed after each epoch.
    metrics : sequence of str, Metric or callable
        As in :meth:`Network.evaluate`; computed on the validation data if there are any, else on the training data.
    monitor : str, optional
        The quantity that early stopping monitors: ``"loss"``, ``"validation_loss"``, or the name of a metric, which is
        added to ``metrics``. None takes the validation loss if there are validation data, else the loss. A function of
        your own needs an attribute that says which direction is better: ``function.greater_is_better = True``.
    patience : int, optional
        Early stopping: stop after this many epochs without improvement of the monitored quantity, and restore the
        weights of the best epoch. An equal value is no improvement; any number is an improvement on NaN.
    best_per_member : bool or "others"
        With early stopping of packed :class:`Members`: whether each member gets the weights of the epoch in which its
        own validation loss was best; with ``"others"``, that in which the mean of the other members' validation losses
        was. Where weights (rows, members) hold out other rows for each member, its own held-out rows have then no part
        in the choice, and what it predicts for them is worth as much as for new rows. The run stops when no member has
        improved for ``patience`` epochs.
    max_time : float or str, optional
        The time that all epochs may take together: seconds, or a text such as ``"30s"``, ``"5m"`` or ``"1h"``. The time
        of the first epoch decides how many are planned, 1 or more and at most ``epochs``. The history has the number;
        a run with ``epochs=history.planned_epochs`` gives the same bits.
    max_grad_norm : float, optional
        Scale gradients of a larger norm down to this norm.
    schedule : callable, optional
        A function from the number of epochs trained so far, as a float, to a factor on the learning rate, such as
        ``fc.CosineDecay(10)``. It is called before each step; by the native engine, before each epoch for all its
        steps. Those of progress, ``fc.FlatCosine()``, ``fc.LogCosine()`` and ``fc.LinearWarmup()``, take the share of
        ``epochs`` that has passed instead.
    weight_decay_schedule : callable, optional
        The same for the optimizer's weight decay, such as that of ``fc.AdamW``; it does not change ``l2``.
    dropout_schedule : callable, optional
        The same for the rates of all Dropout layers; times the factor, each rate stays below 1.
    checkpoint : path, optional
        A file for the state of the run. If it exists, the run is resumed from it, and ends with the same bits as if it
        had never stopped. It is written at the start, at intervals, and at the end, also if Ctrl-C, early stopping or
        an error ends the run. ``fc.load`` reads the network after the last complete epoch from it.
    checkpoint_every : int or str, optional
        The interval between writes of the checkpoint: a number of epochs, 1 or more, or a time such as ``"30s"``,
        ``"5m"`` or ``"1h"``. None takes five seconds, or more if writing would take over a fiftieth of the time.
    average : EMA or SWA, optional
        An average of the weights, ``fc.EMA(0.999)`` or ``fc.SWA(0.75)``, which often predicts better than the last
        weights. Validation, metrics and early stopping judge the average, and at its end ``fit`` puts it into the
        network (by early stopping, the best one), also after Ctrl-C. Until then, ``net.theta`` is what is trained.
    factors : Factors, optional
        Factors on the learning rate and the weight decay of single layers, parameters or roles, such as
        ``fc.Factors(lr={"dense_1": 0})``, which freezes a layer.
    progress : "auto", True or False
        A progress bar on a terminal (with rich), or else about a hundred lines; False shows nothing.
    warn : bool
        Whether to warn (:class:`fullyconnected.errors.DataWarning`) of inputs or targets that make training difficult.
    engine : str
        ``"native"`` (C++), ``"numpy"`` (the layers' own code), or ``"auto"``: native if it is installed and can run
        the network, else NumPy; ``history.engine_why`` has the reason. ``"cuda"`` is an NVIDIA GPU (with CuPy), which
        is never chosen by itself; see ``docs/gpu.md``. The engines differ by rounding alone.
    n_threads : int, optional
        Number of threads, 1 or more; the NumPy engine needs threadpoolctl for it. None takes as many as the process
        may use (OMP_NUM_THREADS, the processors it is bound to, threadpoolctl's limit), and one in a worker of joblib
        or multiprocessing. The same number of threads gives the same bits.
    precision : "tf32" or "bfloat16", optional
        What the products of matrices of a float32 network are computed from, for speed: inputs rounded to 11 binary
        digits (TF32) or 8 (bfloat16), summed in float32. Weights, slots and all else stay float32. ``"cuda"`` has both,
        ``"native"`` has bfloat16 on processors with AMX or AVX512-BF16; others refuse it. None, and nothing else, is
        float32 itself. See "In bfloat16" in ``docs/performance.md``.
    comm : "auto", "mpi", "torch", Comm or None
        The processes that train this network together, each of which makes this call with the same arguments: all that
        ``mpiexec`` or ``srun`` has started (``"mpi"``, with mpi4py), or torchrun or Ray Train (``"torch"``); ``"auto"``
        takes what has started this process, and trains alone if nothing has. None trains alone. The result is that of
        one process, but for rounding. Of an array, each process takes its part of every batch; of a source that is
        read, whole streams, so give ``streams`` a multiple of the number of processes. See ``docs/scale.md``.

    Returns
    -------
    History
        ``loss``, ``validation_loss``, ``metrics``, ``engine``, ``interrupted``, ...

    Raises
    ------
    DivergenceError
        If the loss or the weights become NaN or infinite. The network then has the weights from before the epoch.
    ShapeError, DataError, InputTypeError, ConfigError
        For data or settings that cannot be used, before anything is computed.
    CheckpointError
        If the checkpoint belongs to another run.
    CommError
        If the weights of processes that train together are no longer equal in every bit.

    Examples
    --------
    >>> import numpy as np
    >>> from fullyconnected import Adam, HalfSquaredError, mlp
    >>> net = mlp([1, 8, 1], activation="tanh", seed=0)
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> history = fit(net, x, x**2, HalfSquaredError(), Adam(0.01), epochs=200, batch_size=16, progress=False)
    >>> history.loss[-1] < 0.01 < history.loss[0]
    True
    """
    given = locals()  # the arguments by name, before other local names are defined
    if others:
        raise _unknown("fit", min(others))
    total = count("epochs", epochs)
    run = Run(net, x, t, loss, optimizer, FitSettings.among(given), total)
    if run.warning:
        warnings.warn(run.warning, DataWarning, stacklevel=2)
    return complete(run, total, progress)


def complete(run: Run, total: int, progress: ProgressLike = False) -> History:
    """Train a run up to epoch ``total`` or until it ends, show it, and give the network its weights."""
    shown = display.choose(progress if run.comm.rank == 0 else False)
    try:
        shown.start(total, run.state.epoch)
        run.train(total, shown)
    except KeyboardInterrupt:
        if run.comm.size > 1:  # the others go on, and would wait for this process
            raise
        run.stopped = "interrupted"
    finally:
        shown.stop()
    run.settle()
    return run.history()
