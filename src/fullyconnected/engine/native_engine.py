"""The native engine, in C++ (native/). Tests compare its results with those of the NumPy engine."""

import functools
import math
from collections.abc import Iterable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from fullyconnected.averages import EMA
from fullyconnected.base import Loss, Optimizer, Solver
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows, n_batches
from fullyconnected.engine.base import Engine, EngineInfo
from fullyconnected.engine.lowering import (
    LossSpec,
    OpSpec,
    OptimizerSpec,
    TrainerSpec,
    Unsupported,
    lower,
    lower_loss,
    lower_optimizer,
)
from fullyconnected.engine.replay import first_not_finite
from fullyconnected.engine.state import Average, TrainingState
from fullyconnected.engine.task import Task, answer_of
from fullyconnected.engine.threads import n_threads, register_with_threadpoolctl
from fullyconnected.errors import DivergenceError
from fullyconnected.program.data import Data
from fullyconnected.program.program import Program
from fullyconnected.program.reading import Part
from fullyconnected.program.sources import ArraySource, Read, Source, SparseSource, read_in_place

__all__ = ["NativeEngine", "NativePredictor", "NativeTrainer", "load_extension"]

BLOCK = 1 << 20  # entries that are converted at a time, where rows cannot be read in place


@functools.cache
def load_extension() -> Any:
    """Return the compiled extension, or raise :class:`Unsupported` with the reason why it cannot run here."""
    try:
        from fullyconnected import _native
    except ImportError as error:
        if getattr(error, "name", None) == "fullyconnected._native" or "cannot import name" in str(error):
            raise Unsupported(
                "it was not built: no C++20 compiler (GCC or Clang) was found when fullyconnected was installed. "
                "Install one, and fullyconnected again, by pip install --force-reinstall --no-cache-dir"
            ) from None
        raise Unsupported(f"it cannot be loaded: {error}") from None
    try:
        _native.kernels()
        _native.caches()
    except ValueError as error:  # FULLYCONNECTED_CPU or FULLYCONNECTED_CACHES says what cannot be
        raise Unsupported(str(error)) from None
    register_with_threadpoolctl()
    return _native


class NativeEngine(Engine):
    """Runs programs made of the library's own classes, in C++."""

    name = "native"
    automatic = True
    averages = True
    schedules = True
    shares = True
    precisions: ClassVar[tuple[str, ...]] = ("bfloat16",)

    def about(self) -> EngineInfo:
        try:
            return EngineInfo(True, f"kernels for {load_extension().kernels()}, {n_threads()} threads")
        except Unsupported as reason:
            return EngineInfo(False, str(reason))

    def supports(
        self,
        program: Program,
        *,
        loss: Loss | None = None,
        optimizer: Optimizer | Solver | None = None,
        source: Source | None = None,
        precision: str | None = None,
    ) -> str | None:
        try:
            if source is not None and (source.in_memory or optimizer is None):  # a run reads others window by window
                _require_dense(source)
            _ops(program)
            if loss is not None:
                lower_loss(loss)
            if isinstance(optimizer, Optimizer):
                lower_optimizer(optimizer)
            if precision is not None:
                _require_bfloat16()
        except Unsupported as reason:
            return str(reason)
        return None

    def trainer(self, task: Task, state: TrainingState) -> "NativeTrainer":
        return NativeTrainer(task, state)

    def gradient(
        self, program: Program, theta: Array, state: Array, data: Data, *, l2: float, train: bool, seed: int
    ) -> tuple[float, Array, Array]:
        rows = len(data.x)
        loss, no_rule = lower_loss(data.loss), OptimizerSpec()
        ops = _ops(program)
        spec = TrainerSpec(ops, loss, no_rule, program.n_in, rows, 1, l2, n_threads(), input_gradient=True)
        trainer = _trainer(spec, program, theta, state, data, {})
        gradient, dx = np.empty_like(theta), np.empty((rows, program.n_in), theta.dtype)
        return trainer.gradient(np.arange(rows), seed, train, gradient, dx), gradient, dx

    def predictor(
        self, program: Program, theta: Array, state: Array, *, precision: str | None = None
    ) -> "NativePredictor":
        return NativePredictor(program, theta, state, precision)


class NativeTrainer:
    """Trains one run in C++; all memory is allocated when it is made, and an epoch is one call without the GIL."""

    def __init__(self, task: Task, state: TrainingState) -> None:
        self.task, self.state = task, state
        average = task.average if isinstance(task.average, EMA) else None
        spec = TrainerSpec(
            _ops(task.program),
            lower_loss(task.data.loss),
            lower_optimizer(task.rule),
            task.program.n_in,
            min(task.batch_size, len(task.data.x)),
            task.program.least_rows,
            task.l2,
            n_threads(task.n_threads),
            math.inf if task.max_grad_norm is None else task.max_grad_norm,
            task.alpha,
            average_decay=average.decay if average else 0.0,
            average_warms_up=average is not None and average.warm_up,
            shares=task.others is not None,
            bfloat16=task.precision is not None,
        )
        averaged = state.average if average else None
        self._read = task.data if type(task.data.x) is ArraySource else _first_row(task.data)
        self._trainer = _trainer(spec, task.program, state.theta, state.state, self._read, state.slots, averaged)
        self._rates = np.empty(0)
        if task.others is not None:
            total, buffers = task.others.sum, self._trainer.buffers()  # not self, which would keep itself alive
            self._trainer.share(lambda which: total(buffers[which]))

    def epoch(self, order: Rows) -> float:
        return self.epoch_in_parts([Part(self.task.data, order)], len(order))

    def epoch_in_parts(self, parts: Iterable[Part], rows: int) -> float:
        state, trainer, task = self.state, self._trainer, self.task
        cut = task.batch_size, task.program.least_rows
        all_rates, *all_factors = self._rates_of(rows), *self._factors_of(rows)
        first, loss = 0, math.nan
        for part in parts:
            shared = part.shared
            steps = n_batches(len(part.order), *cut) if shared is None else len(shared.rows)
            here = slice(first, first + steps)
            if part.data is not self._read:
                trainer.read(**_arrays(part.data, task.program, state.theta.dtype))
                self._read = part.data
            rates, factors = all_rates[here], [factors[here] for factors in all_factors]
            how = part.order, rates, *factors, state.seed, state.step, first > 0
            try:
                if shared is None:
                    loss, state.step = trainer.epoch(*how)
                else:
                    loss, state.step = trainer.shared_epoch(*how, *shared)
            except BaseException:  # Ctrl-C, or an exception from the handler of another signal
                state.step = trainer.step
                raise
            if math.isnan(loss):
                state.step = trainer.step
                where = self._first_not_finite(part, first, n_batches(rows, *cut))
                raise DivergenceError(state.epoch + 1, state.step, trainer.rate, where)
            first += steps
        return float(loss)

    def _rates_of(self, rows: int) -> Array:
        """Return the learning rate of each step of an epoch."""
        task = self.task
        steps = n_batches(rows, task.batch_size, task.program.least_rows)
        lr = task.rule.lr * self.state.lr_factor
        if task.schedule is not None:
            epoch = self.state.epoch
            return np.array([lr * answer_of("schedule", task.schedule, epoch + i / steps) for i in range(steps)])
        if self._rates.size != steps or self._rates[0] != lr:
            self._rates = np.full(steps, float(lr))
        return self._rates

    def _factors_of(self, rows: int) -> tuple[Array, Array]:
        """Return the factors on weight decay and on the rates of dropout in each step; none for those that stay 1."""
        task, epoch = self.task, self.state.epoch
        steps = n_batches(rows, task.batch_size, task.program.least_rows)
        decay, dropout = task.weight_decay_schedule, task.dropout_schedule
        return (
            np.array([task.decay_factor(epoch + i / steps) for i in range(steps if decay is not None else 0)]),
            np.array([task.dropout_factor(epoch + i / steps) for i in range(steps if dropout is not None else 0)]),
        )

    def _first_not_finite(self, part: Part, first: int, steps: int) -> str:
        """Name the first value that is not finite when NumPy repeats the forward pass of the last batch.

        The part begins with step number ``first`` of the epoch, which has so many steps.
        """
        task = self.task
        at, step = 0, first
        for rows, whole in part.batches(task.batch_size, task.program.least_rows):
            if at == self._trainer.last_batch and (len(rows) or whole is None):
                break
            at, step = at + len(rows), step + 1
        else:  # this process has no row of that batch
            return "loss"
        state, row = self.state, 0 if whole is None else whole.first
        dropout = task.dropout_factor(state.epoch + step / steps)
        how: Any = {"seed": state.seed, "step": state.step - 1, "row": row, "dropout": dropout}
        return first_not_finite(task, state.theta, state.state, part.data, rows, **how)


def _first_row(data: Data) -> Data:
    """Return what stands for a data set that is not in memory until its first part is there."""
    x = ArraySource(np.zeros((1, *data.x.shape[1:])))
    weights, given = (None if w is None else w[:1] for w in (data.weights, data.sample_weight))
    return Data(x, data.t[:1], weights, data.loss, given)


def _trainer(
    spec: TrainerSpec,
    program: Program,
    theta: Array,
    state: Array,
    data: Data,
    slots: dict[str, Array],
    average: Average | None = None,
) -> Any:
    native = load_extension()
    return (native.TrainerFloat32 if theta.dtype == np.float32 else native.TrainerFloat64)(
        _made(spec),
        theta=theta,
        state=state,
        **_arrays(data, program, theta.dtype),
        m=slots.get("m"),
        v=slots.get("v"),
        average_theta=average and average.theta,
        average_state=average and average.state,
    )


def _arrays(data: Data, program: Program, dtype: np.dtype[Any]) -> dict[str, Array | None]:
    """Return the rows, targets and weights of a data set as C++ reads them."""
    return {
        "x": _readable(_dense(data.x), program.input_dtype(dtype)),
        "t": data.t.astype(np.int64, copy=False) if data.t.ndim == 1 else data.t,
        "weights": data.weights if data.weights is None else data.weights.reshape(-1),
    }


_lowered: WeakKeyDictionary[Program, list[Any]] = WeakKeyDictionary()


def _ops(program: Program) -> list[Any]:
    """Return the operations of a program as the extension's own objects, or raise :class:`Unsupported`."""
    load_extension()  # where it cannot run at all, that is the reason to give
    ops = _lowered.get(program)
    if ops is None:
        ops = _lowered[program] = [_made(op) for op in lower(program)]
    return ops


def _made(spec: OpSpec | LossSpec | OptimizerSpec | TrainerSpec) -> Any:
    """Return an object of the extension with the fields of a record, and of the records in it."""
    made = getattr(load_extension(), type(spec).__name__)()
    value: Any
    for name, value in zip(spec._fields, spec, strict=True):
        if isinstance(value, LossSpec | OptimizerSpec):
            value = _made(value)
        setattr(made, name, [_made(each) for each in value] if name == "rest" else value)
    return made


def _require_dense(source: Source) -> None:
    """Raise :class:`Unsupported` if the rows of a source are in no array."""
    if isinstance(source, SparseSource):
        raise Unsupported("it trains on dense rows, and x is sparse")
    if not isinstance(source, ArraySource):
        name = source.name if isinstance(source, Read) else type(source).__name__
        raise Unsupported(f"it reads rows from an array in memory; these come from a {name}")


def _require_bfloat16() -> None:
    """Raise :class:`Unsupported` if this processor, with the kernels in use, multiplies no bfloat16."""
    native = load_extension()
    if native.usable_bfloat16():
        return
    if "avx512" in native.usable_kernels() and native.kernels() != "avx512":
        raise Unsupported(
            f"precision='bfloat16' is for the kernels for avx512, and FULLYCONNECTED_CPU={native.kernels()} has others "
            f"taken: unset it"
        )
    raise Unsupported(
        "precision='bfloat16' is for processors with AMX or AVX512-BF16 (of Intel's Xeons since Sapphire Rapids, of "
        "AMD's processors since Zen 4), and here there is neither: leave precision at None"
    )


def _dense(source: Source) -> Array:
    """Return the array of a source, or raise :class:`Unsupported`."""
    _require_dense(source)
    return np.ascontiguousarray(source.block(0, len(source)))


def _readable(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return x as C++ reads it: float16, long double and other byte orders are converted, rows and numbers moved."""
    return np.require(x, None if read_in_place(x.dtype) else dtype, ("C", "A"))


class NativePredictor:
    """A program with its memory for predictions; it belongs to one thread at a time."""

    def __init__(self, program: Program, theta: Array, state: Array, precision: str | None = None) -> None:
        native = load_extension()
        predictor = native.PredictorFloat32 if theta.dtype == np.float32 else native.PredictorFloat64
        self._predictor = predictor(_ops(program), program.n_in, theta, state, precision is not None, n_threads)
        self._dtype = program.input_dtype(theta.dtype)
        self.row = self._predictor.row

    def predict(self, x: Array, z: Array, threads: int | None) -> None:
        """Write the outputs of checked rows x (rows, n_in) into z (rows, n_out)."""
        threads = None if threads is None else n_threads(threads)
        written = z.flags.carray  # C++ writes to it
        if written and x.flags.c_contiguous and x.flags.aligned and read_in_place(x.dtype):
            self._predictor.predict(x, z, threads)
            return
        rows, copies = max(1, BLOCK // max(x.shape[1], z.shape[1])), len(z) // max(1, len(x))
        for start in range(0, len(x), rows):
            block = _readable(x[start : start + rows], self._dtype)
            there = z[start * copies : (start + rows) * copies]
            out = there if written else np.empty(there.shape, z.dtype)
            self._predictor.predict(block, out, threads)
            if not written:
                there[...] = out
