"""The record of a training step: what runs, and what its results depend on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.base import Optimizer, Solver
from fullyconnected.checking.gradcheck import of_network
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import columns_of, number
from fullyconnected.core.deprecation import old_arguments
from fullyconnected.core.messages import Message
from fullyconnected.core.randomness import as_seed
from fullyconnected.core.wording import printable
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.updates import new_slots
from fullyconnected.errors import ConfigError, InputTypeError
from fullyconnected.explanation.differences import check
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.running import Recorder, losses_of_rows
from fullyconnected.explanation.updating import Memory, again, update
from fullyconnected.factors import Factors
from fullyconnected.network import Network
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.data import check_data

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, LossLike, SeedLike

__all__ = ["Recorder", "recorded", "trace"]

STEP = 1e-3  # step of the differences: eight digits of a loss of about 1 give four digits of the slope by hand


@old_arguments
def trace(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    loss: LossLike,
    optimizer: Optimizer | str | None = None,
    *,
    l2: float = 0.0,
    sample_weight: ArrayLike | None = None,
    train: bool = False,
    seed: SeedLike = 0,
    step: float | None = None,
    factors: Factors | None = None,
    state: TrainingState | None = None,
) -> Trace:
    """Return the record of one training step of a network: forward, loss, backward, check, update and loss after it.

    The training code computes every value. The network and its running statistics do not change.

    Parameters
    ----------
    net : Network
        A network of any layers; for your own layers, the record has results but no formulas.
    x, t : array
        The batch, one row or more, and its targets.
    loss : Loss or str
        The loss, such as ``fc.HalfSquaredError()``.
    optimizer : Optimizer or str, optional
        An optimizer, whose first step is recorded, and the loss of the same rows after it; with None, there is no
        update. Solvers such as LBFGS are refused.
    l2, sample_weight, train, seed
        As for :meth:`Network.gradients`.
    step : float, optional
        The step of the central differences, multiplied by the entry's size if that is above 1; 0.001 if None.
    factors : Factors, optional
        As for :func:`fullyconnected.fit`.
    state : TrainingState, optional
        The state of a run, to record the step that it would make with these rows: its parameters and running
        statistics in place of the network's, its seed, the optimizer's memory, its number of steps, and its factor on
        the learning rate. Where a schedule changes the rate, give the optimizer that of the step.

    Returns
    -------
    Trace
        ``.steps``, each with phase, layer, equation, operands, shapes, result and why; ``.predicted``, ``.wanted`` and
        ``.losses`` of each row; ``.loss``, and ``.loss_after`` the update.

    Raises
    ------
    InputTypeError, ConfigError
        If ``net`` is not a Network, the optimizer is a solver, or the state is none of such a run; and the errors of
        :meth:`Network.gradients`.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.mlp([2, 2], dtype="float64", seed=0)
    >>> net.theta = [0.15, 0.20, 0.25, 0.30, 0.35, 0.45]
    >>> record = fc.trace(net, [[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error")
    >>> for step in record.steps[:3]:
    ...     print(step.phase, step.equation, step.result.round(12).tolist())
    forward y1 = x W1 + b1 [[0.49, 0.62]]
    loss L = 1 / 2 * sum((y1 - t)^2) 0.18365
    loss dL/dy1 = y1 - t [[0.48, -0.37]]
    """
    return recorded(net, x, t, loss, optimizer, l2, sample_weight, train, seed, step, factors, state)[1]


def recorded(
    net: Network, x: Any, t: Any, loss: Any, optimizer: Any, l2: float, sample_weight: Any, train: bool, seed: Any,
    step: float | None, factors: Factors | None = None, state: TrainingState | None = None,
) -> tuple[Recorder, Trace]:  # fmt: skip
    """Return the record as :func:`trace` does, and the recorder that made it."""
    if not isinstance(net, Network):
        raise InputTypeError(f"a Network can be traced; got {net!r}")
    rule = None if optimizer is None else OPTIMIZERS.get(optimizer)
    if isinstance(rule, Solver):
        raise ConfigError(
            f"{type(rule).__name__} evaluates the loss many times in a step; give an optimizer such as fc.SGD(0.1)"
        )
    data = check_data(net.program, net.dtype, x, t, loss, sample_weight, columns=net.columns)
    net.require_set()
    l2, seed = number("l2", l2), as_seed(seed)
    step = number("step", STEP if step is None else step, above=True)
    if factors is not None and not isinstance(factors, Factors):
        raise InputTypeError(f'factors is fc.Factors(lr={{"bias": 0.1}}) or the like; got {factors!a:.80}')
    draws = seed, 0
    if state is not None:
        net = _of_run(net, state, rule)
        if seed:
            raise ConfigError(f"the state of a run has a seed, {state.seed}; got another one, seed={seed}")
        draws = state.seed, state.step
    recorder = Recorder(net, data, rule, train, factors, draws)
    recorder.forward()
    value = recorder.loss(l2)
    outputs, targets = recorder.batch.outputs().copy(), recorder.batch.t.copy()
    losses = losses_of_rows(data.loss, recorder.batch.z, targets, len(data.x))
    recorder.backward(l2)
    if finite := math.isfinite(value):
        if factors is not None:
            net = net.copy()
            net.program = net.program.for_training(factors)
        claimed = value, recorder.workspace.gradient.copy(), recorder.batch.dx.copy()
        check(recorder, of_network(net, x, t, data.loss, l2, sample_weight, train, draws, "numpy", claimed), step)
    settings = {"loss": printable(repr(data.loss)), "dtype": net.dtype.name, "rows": str(len(data.x))}
    if any(op.layer.random or op.state for op in net.program.operations):
        mode = Message("prediction: no dropout, and running statistics")
        if train and state is None:
            mode = Message("training, seed {seed}", seed=draws[0])
        elif train:
            mode = Message("training, seed {seed}, step {n}", seed=draws[0], n=draws[1] + 1)
        settings["mode"] = mode
    if (k := net.program.copies) > 1:
        settings["members"] = Message(
            "{k}; of {k} rows that follow each other, each is that of a member m, and W[m] is what member m has of its "
            "own",
            k=k,
        )
    if l2:
        settings["l2"] = repr(l2)
    if factors is not None:
        settings["factors"] = printable(repr(factors))
    repeated: list[Step] = []
    after = None
    if rule is not None:
        memory = None if state is None else Memory(state.slots, state.step, state.lr_factor)
        repeated, after = again(recorder, update(recorder, rule, memory), l2)
        settings["optimizer"] = printable(repr(rule))
    if finite:
        settings["step"] = Message(
            "{step} for the central differences, which are in float64; relative for numbers above 1", step=f"{step:g}"
        )
    return recorder, Trace(
        steps=tuple(recorder.steps),
        values=MappingProxyType(recorder.values),
        operations=tuple(op._replace(name=printable(op.name)) for op in recorder.program.operations),
        wires=tuple(recorder.wires),
        loss=value,
        dtype=net.dtype.name,
        rows=len(data.x),
        settings=MappingProxyType(settings),
        predicted=_kept(data.loss.link.predictions(outputs)),
        wanted=_kept(data.t),
        losses=_kept(losses),
        again=tuple(repeated),
        loss_after=after,
        inputs=_names(net.columns.x or columns_of(x), net.n_in),
        outputs=_names(net.columns.t, net.n_out),
    )


def _names(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Return names in a form that every text can hold, if there are as many as there are numbers."""
    return tuple(map(printable, names)) if names is not None and len(names) == count else ()


def _kept(array: Array) -> Array:
    kept = np.array(array)
    kept.flags.writeable = False
    return kept


def _of_run(net: Network, state: TrainingState, rule: Optimizer | None) -> Network:
    """Return a copy of a network with the parameters and running statistics of a state, or raise if it has others."""
    if not isinstance(state, TrainingState):
        raise InputTypeError(f"state is that of a run, a TrainingState; got {state!a:.80}")
    wanted = {} if rule is None else new_slots(rule, net.program, net.dtype)
    for what, mine, its in (
        ("parameters", net.theta, state.theta),
        ("running statistics", net.state, state.state),
        *((f"numbers of the optimizer's {name}", slot, state.slots.get(name)) for name, slot in wanted.items()),
    ):
        if its is None or its.shape != mine.shape:
            raise ConfigError(
                f"the state is that of another run: it has {0 if its is None else its.size:,} {what}, and "
                f"{mine.size:,} are needed. Give the network and the optimizer that the run trains"
            )
    net = net.copy()
    net.theta, net.state[...] = state.theta, state.state
    return net
