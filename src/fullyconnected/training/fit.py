"""``fit`` and ``epochs``: a run from its beginning to its end, or an epoch at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Never, Unpack

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
        FitOptions,
        LossLike,
        MetricLike,
        OptimizerLike,
        PathLike,
        ProgressLike,
        SeedLike,
        ValidationLike,
    )
    from fullyconnected.base import Optimizer
    from fullyconnected.schedules import Schedule

__all__ = ["epochs", "fit"]


def _unknown(function: str, name: str) -> InputTypeError:
    """Return the error for a setting that does not exist: a TypeError, as for any function."""
    from fullyconnected.core.habits import SETTINGS, advice

    known = sorted([*FitSettings.names(), *("epochs", "progress") * (function == "fit")])
    hint = advice(name, SETTINGS, known)
    return InputTypeError(f"{function} has no setting {name!r}{hint}{'' if hint else '. Known: ' + ', '.join(known)}")


def epochs(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    loss: LossLike | None = None,
    optimizer: Optimizer | str | None = None,
    **settings: Unpack[FitOptions],
) -> Iterator[Epoch]:
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
        For a solver such as L-BFGS, which has no epochs to stop between; and whatever :func:`fit` raises.

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
        raise ConfigError(f"epochs yields between epochs, and {type(run.optimizer).__name__} has none: use fit")
    if run.warning:
        warnings.warn(run.warning, DataWarning, stacklevel=2)
    return iter(run)


def fit(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    loss: LossLike | None = None,
    optimizer: OptimizerLike | None = None,
    epochs: int = 10,
    batch_size: int = 128,
    *,
    l2: float = 0.0,
    shuffle: bool = True,
    seed: SeedLike = 0,
    sample_weight: ArrayLike | None = None,
    validation: ValidationLike | None = None,
    metrics: MetricLike | Sequence[MetricLike] = (),
    monitor: str | None = None,
    patience: int | None = None,
    max_grad_norm: float | None = None,
    schedule: Schedule | None = None,
    checkpoint: PathLike | None = None,
    checkpoint_every: int | str | None = None,
    progress: ProgressLike = "auto",
    warn: bool = True,
    engine: str = "auto",
    n_threads: int | None = None,
    **others: Never,
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
    optimizer : Optimizer, Solver or str
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
    metrics : sequence of str, Metric or callable
        As :meth:`Network.evaluate` takes them; on the validation data where there are any.
    monitor : str, optional
        What ``patience`` watches: ``"loss"``, ``"validation_loss"``, or the name of a metric, which is then one of
        ``metrics``. None takes the validation loss where there are validation data, else the loss. A function of your
        own says by an attribute which way is better: ``function.greater_is_better = True``.
    patience : int, optional
        Stop after as many epochs without an improvement of what is monitored, and give the weights of the best epoch
        back. Equal is no improvement, and any number improves NaN.
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
    warn : bool
        Whether a :class:`fullyconnected.errors.DataWarning` says which inputs or targets a network hardly learns from.
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
    ShapeError, DataError, InputTypeError, ConfigError
        For data or settings that cannot be used, before anything is computed.
    CheckpointError
        Where the checkpoint belongs to another run.

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
    given = locals()  # the arguments by name, before there is any other name
    if others:
        raise _unknown("fit", min(others))
    total = count("epochs", epochs)
    run = Run(net, x, t, loss, optimizer, FitSettings.among(given))
    if run.warning:
        warnings.warn(run.warning, DataWarning, stacklevel=2)
    shown = display.choose(progress)
    try:
        shown.start(total, run.state.epoch)
        run.train(total, shown)
    except KeyboardInterrupt:
        run.stopped = "interrupted"
    finally:
        shown.stop()
    run.restore_best()
    return run.history()
