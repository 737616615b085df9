"""The base class of engines, which train, compute gradients and predict. The NumPy engine is the reference."""

from typing import ClassVar, NamedTuple, Protocol

from fullyconnected.base import Loss, Optimizer, Solver
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.program.data import Data
from fullyconnected.program.program import Program
from fullyconnected.program.sources import Source

__all__ = ["Data", "Engine", "EngineInfo", "Predictor", "Program", "Rows", "Source", "Task", "Trainer", "TrainingState"]


class EngineInfo(NamedTuple):
    """Whether an engine is available, and what it runs on, or why it is not available."""

    available: bool
    about: str


class Trainer(Protocol):
    """A training run with its memory; it trains one epoch at a time."""

    def epoch(self, order: Rows) -> float:
        """Train on the rows in this order; return the mean of the batches' losses, weighted by their rows."""
        ...

    # A trainer may also have epoch_in_parts(parts, rows), where parts yields an epoch of so many rows as Parts, each of
    # whole batches: a data set in memory, and the order of its rows. It is called where rows are read window by window;
    # without it, epoch is, and the trainer takes rows from the source of its task.


class Predictor(Protocol):
    """A program with its memory for predictions; it belongs to one thread at a time."""

    def predict(self, x: Array, z: Array, n_threads: int | None) -> None:
        """Write the outputs of checked rows x (rows, n_in), of any dtype, into z (rows, n_out); both of any layout.

        Where ``program.members`` is a number, z is (rows members, n_out): the outputs of all members of a row follow
        each other.
        """
        ...

    def row(self, x: Array, z: Array) -> bool:
        """Do the same for unchecked rows and return True; or return False if they have to be checked first.

        It is called before the checks in Python, which can take longer than the prediction. Where it returns False, z
        may hold anything.
        """
        ...


class Engine:
    """An engine runs networks: it trains, computes gradients and predicts, each if ``supports`` says that it can.

    An engine of your own needs a ``name`` and these methods, and is registered by :func:`fullyconnected.register`.
    Then ``engine="its name"`` selects it. It has no state: a new object is made for each use.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> class Sums(fc.Engine):
    ...     name = "sums"
    ...     def about(self):
    ...         return True, "the sum of each row"
    ...     def supports(self, program, *, loss=None, optimizer=None, source=None):
    ...         return None if loss is None else "it predicts, and does nothing else"
    ...     def predictor(self, program, theta, state):
    ...         return self
    ...     def predict(self, x, z, n_threads):
    ...         x.sum(axis=1, keepdims=True, out=z)
    ...     def row(self, x, z):
    ...         return False
    >>> Sums = fc.register(Sums)
    >>> fc.mlp([2, 1]).predict([[1.0, 2.0]], engine="sums").tolist()
    [[3.0]]
    """

    name: ClassVar[str]
    automatic: ClassVar[bool] = False  # whether engine="auto" may choose it; the last registered is tried first
    schedules: ClassVar[bool] = False  # whether its trainer follows schedules of weight decay and of dropout
    shares: ClassVar[bool] = False  # whether its trainer shares batches with the processes of task.comm
    precisions: ClassVar[tuple[str, ...]] = ()  # of products of matrices, that task.precision may ask for
    averages: ClassVar[bool] = False  # whether its trainer moves state.average in each step if task.average is an EMA

    def about(self) -> tuple[bool, str]:
        """Return whether the engine can be used here, and what it runs on, or why it cannot."""
        raise NotImplementedError(f"{type(self).__name__} has no about; see help(fc.Engine)")

    def supports(
        self,
        program: Program,
        *,
        loss: Loss | None = None,
        optimizer: Optimizer | Solver | None = None,
        source: Source | None = None,
    ) -> str | None:
        """Return why the engine cannot do this work, or None if it can.

        Without a loss the work is to predict; with a loss, to compute a gradient; with an optimizer as well, to train.
        (A solver takes its gradients from NumPy: no other engine is asked to train with it.) ``source`` has the rows
        for gradients and training. An engine with ``precisions`` also takes ``precision=``, which is given if it is one
        of them, and then computes in it if it returns None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no supports; see help(fc.Engine)")

    def trainer(self, task: Task, state: TrainingState) -> Trainer:
        """Return the trainer of one run; its epochs change ``state``, and raise DivergenceError if the run diverges.

        The learning rate is the optimizer's, times ``state.lr_factor``, times what a schedule returns. With
        ``task.weight_decay_schedule`` and ``task.dropout_schedule``, the optimizer's weight decay and the rates of
        dropout in a step are multiplied by ``task.decay_factor(epoch)`` and ``task.dropout_factor(epoch)``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no trainer; see help(fc.Engine)")

    def gradient(
        self, program: Program, theta: Array, state: Array, data: Data, *, l2: float, train: bool, seed: int
    ) -> tuple[float, Array, Array]:
        """Return the loss of all rows as one batch, its flat gradient, and its gradient with respect to x."""
        raise NotImplementedError(f"{type(self).__name__} has no gradient; see help(fc.Engine)")

    def predictor(self, program: Program, theta: Array, state: Array) -> Predictor:
        """Return a predictor for these vectors, whose values may change from one prediction to the next.

        An engine with ``precisions`` also takes ``precision=``, which is given if it is not None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no predictor; see help(fc.Engine)")
