"""Types for annotations: arguments of functions, and of the methods of your own layers, losses, optimizers and engines.

The signatures of the library use them. Your own code may use them, too:
``def train(x: fc.annotations.ArrayLike, loss: fc.annotations.LossLike) -> fc.History``. Nothing else imports this
module at run time, because it takes ``numpy.typing``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsFloat, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fullyconnected.averages import EMA, SWA
from fullyconnected.base import ActivationFunction, Loss, Metric, Optimizer, Solver
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache, Shape, Views
from fullyconnected.core.batches import TrainingRows
from fullyconnected.engine.base import Data, Predictor, Program, Rows, Source, Task, Trainer, TrainingState
from fullyconnected.factors import Factors
from fullyconnected.schedules import Schedule
from fullyconnected.tables.frame import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fullyconnected.comm.base import Comm
    from fullyconnected.predictor import Predictor as OfFile

__all__ = [
    "ActivationLike",
    "Array",
    "ArrayLike",
    "AxesLike",
    "Buffer",
    "BufferSpecs",
    "CVLike",
    "Cache",
    "ClassWeightLike",
    "CommLike",
    "DType",
    "DTypeLike",
    "FitOptions",
    "InitializerLike",
    "LayerParams",
    "LossLike",
    "MetricLike",
    "ModelLike",
    "OptimizerLike",
    "PathLike",
    "ProgressLike",
    "RowsLike",
    "Schedule",
    "SeedLike",
    "Shape",
    "SizesLike",
    "SklearnLike",
    "Splitter",
    "SparseLike",
    "TableLike",
    "TrainingRows",
    "ValidationLike",
    "Views",
]
__all__ += ["Data", "Predictor", "Program", "Rows", "Source", "Task", "Trainer", "TrainingState"]  # of engines

# ArrayLike is NumPy's: arrays, nested lists of numbers, and objects with __array__, such as tables of pandas or polars.


class SparseLike(Protocol):
    """A matrix or array of scipy.sparse, of any format."""

    @property
    def format(self) -> str: ...
    def tocsr(self, copy: bool = ...) -> object: ...


RowsLike: TypeAlias = ArrayLike | SparseLike | Source
"""Rows of inputs for training and prediction."""

TableLike: TypeAlias = (
    ArrayLike | Mapping[str, Any] | Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]] | Frame | Source
)
"""A table: a DataFrame, an Arrow table, an array, a dict of columns or of one row, a list of rows, one of a file, or a
source of rows."""

ActivationLike: TypeAlias = ActivationFunction | str | tuple[Callable[[Array], ArrayLike], Callable[[Array], ArrayLike]]
"""An activation, its name, or a pair: the function and its derivative."""

LossLike: TypeAlias = Loss | str
"""A loss or its name."""

OptimizerLike: TypeAlias = Optimizer | Solver | str
"""An optimizer, a solver, or the name of one."""

MetricLike: TypeAlias = Metric | str | Callable[[Array, Array], SupportsFloat]
"""A metric, its name, or a function of outputs and targets."""

InitializerLike: TypeAlias = str | float | Callable[[np.random.Generator, Shape, int, int], ArrayLike]
"""The name of an initializer, a standard deviation, or a function ``(rng, shape, fan_in, fan_out) -> array``."""

SeedLike: TypeAlias = int | np.integer | np.random.Generator | None
"""A seed, or a generator to draw one from; None draws a new seed."""

DType: TypeAlias = np.dtype[np.float32] | np.dtype[np.float64]
"""The dtype of a network."""


class Splitter(Protocol):
    """What deals rows into training and test rows, as scikit-learn's KFold does."""

    def split(self, X: Any, y: Any = None, groups: Any = None, /) -> Iterator[Any]:
        """Yield pairs of indices of rows, those that are learned from and those that are held out."""
        ...


CVLike: TypeAlias = int | Splitter | Iterable[tuple[ArrayLike, ArrayLike]] | None
"""A number of parts, a splitter, or pairs of indices of rows."""

DTypeLike: TypeAlias = str | type[np.floating] | np.dtype[np.floating]
"""float32 or float64, as a NumPy dtype or type, or by name."""

SizesLike: TypeAlias = Sequence[int | np.integer] | NDArray[np.integer]
"""The numbers of inputs, hidden units and outputs."""

ValidationLike: TypeAlias = tuple[RowsLike, ArrayLike] | tuple[RowsLike, ArrayLike, ArrayLike | None] | Source
"""Rows and targets of validation data, or rows, targets and weights; or a source with targets."""

PathLike: TypeAlias = str | os.PathLike[str]
"""The name of a file."""

ProgressLike: TypeAlias = bool | Literal["auto"]
"""Whether a run shows its progress."""

ClassWeightLike: TypeAlias = Mapping[Any, float] | Sequence[Mapping[Any, float]] | Literal["balanced"] | None
"""Weights of classes by label, "balanced", or the weights of each of several labels."""

CommLike: TypeAlias = "Comm | Literal['auto', 'mpi', 'torch'] | None"
"""The processes that train together, or who has started them; None is this process alone."""

AxesLike: TypeAlias = "Axes | Sequence[Axes] | NDArray[np.object_]"
"""Axes of matplotlib: one, or several."""


class Saves(Protocol):
    """A network, or a fitted estimator of the library."""

    def save(self, path: PathLike, /) -> None:
        """Write it to a file."""
        ...


ModelLike: TypeAlias = "Saves | OfFile | PathLike"
"""What predicts: a network, a fitted estimator, a Predictor, or the name of a file of one of them."""


class SklearnLike(Protocol):
    """An estimator of scikit-learn: a perceptron, a pipeline or a search."""

    def get_params(self, deep: bool = True) -> Mapping[str, object]:
        """Return its parameters by name."""
        ...


class FitOptions(TypedDict, total=False):
    """The settings of :func:`fullyconnected.fit` that :func:`fullyconnected.epochs` takes, too."""

    batch_size: int
    l2: float
    alpha: float
    shuffle: bool
    streams: int
    window: int | None
    seed: SeedLike
    sample_weight: ArrayLike | None
    validation: ValidationLike | None
    metrics: MetricLike | Sequence[MetricLike]
    monitor: str | None
    patience: int | None
    best_per_member: bool | Literal["others"]
    max_time: float | str | None
    max_grad_norm: float | None
    schedule: Schedule | None
    weight_decay_schedule: Schedule | None
    dropout_schedule: Schedule | None
    checkpoint: PathLike | None
    checkpoint_every: int | str | None
    average: EMA | SWA | None
    factors: Factors | None
    warn: bool
    engine: str
    n_threads: int | None
    precision: str | None
    comm: CommLike


class LayerParams(Views):
    """The type of an entry of ``net.params``: arrays by name, or the entries of the layers of a block by number.

    At run time, the entry of a layer is a :class:`Views`, and that of a Residual block a list of its layers' entries.
    """

    if TYPE_CHECKING:

        def __getitem__(self, i: int) -> LayerParams: ...
        def __iter__(self) -> Iterator[Any]: ...
