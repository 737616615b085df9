"""Constants of the data in a network: Standardize brings its columns to one scale, Rescale its outputs to a unit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache, Views
from fullyconnected.core.checks import as_array, as_rows, as_weights, count, require_finite, rows_of
from fullyconnected.core.settings import settings
from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, RowsLike

__all__ = ["Rescale", "Standardize"]

BLOCK = 1 << 20  # entries of data that are converted at a time
SHOWN = 3  # constants in a repr, of more than twice as many
NOISE = 4 * np.finfo(np.float64).eps  # a column that varies by no more, relative to its entries, is constant
F64: np.dtype[Any] = np.dtype(np.float64)


@settings
class Scaling(Layer):
    """The constants of Standardize and Rescale; a number stands for all columns."""

    n_in: int | None = None
    mean: ArrayLike = 0.0  # numbers for each column in the end: a tuple of float
    scale: ArrayLike = 1.0

    def __post_init__(self) -> None:
        what, widths = type(self).__name__, {} if self.n_in is None else {"n_in": count("n_in", self.n_in)}
        given = {name: as_array(getattr(self, name), f"{name} of {what}") for name in ("mean", "scale")}
        for name, a in given.items():
            if a.ndim > 1:
                raise ShapeError(f"{name} of {what} is a number, or one for each column; got the shape {a.shape}")
            require_finite(np.atleast_1d(a), f"{name} of {what}", F64)
            if a.ndim:
                widths[name] = len(a)
        if not (given["scale"] > 0).all():
            raise ConfigError(f"scale of {what} must be positive; the least is {given['scale'].min():g}")
        if len(set(widths.values())) != 1:
            told = " and ".join(f"{name} {n}" for name, n in widths.items()) or "it has neither n_in nor a list"
            raise ShapeError(
                f"{what} takes a number of columns, n_in, or a mean or scale for each of them: {told}. From data: "
                f"{what}.fit(x)"
            )
        n = next(iter(widths.values()))
        # plain numbers of float64, which files hold exactly; the engines make arrays of them once
        constants = {name: tuple(np.broadcast_to(a, n).astype(F64).tolist()) for name, a in given.items()}
        for name, value in {"n_in": n, **constants}.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        def told(values: Any) -> str:
            if len(set(values)) == 1:
                return repr(values[0])
            some = values if len(values) <= 2 * SHOWN else values[:SHOWN]
            return f"({', '.join(map(repr, some))}{', ...' * (len(some) < len(values))})"

        return in_ascii(f"{type(self).__name__}({self.n_in}, mean={told(self.mean)}, scale={told(self.scale)})")

    @property
    def n_out(self) -> int | None:
        """The number of outputs, which is the number of inputs."""
        return self.n_in

    @classmethod
    def example(cls, n: int) -> Self:
        return cls(n, np.linspace(-1, 1, n), np.linspace(0.5, 2, n))

    @classmethod
    def fit(cls, x: RowsLike, sample_weight: ArrayLike | None = None) -> Self:
        """Return the layer with the mean and the standard deviation of each column.

        Parameters
        ----------
        x : array (rows, ...), or sparse matrix of SciPy
            Finite numbers of any dtype; they are read in blocks, in float64.
        sample_weight : array (rows,), optional
            Weights of the rows, 0 or more.

        Returns
        -------
        Standardize or Rescale
            The standard deviation is that of the population, with 1 / n. The scale of a column that does not vary is 1.

        Raises
        ------
        ShapeError, InputTypeError, DataError
            For values that are not rows of finite numbers, or weights that are not (rows,) and 0 or more.

        Examples
        --------
        >>> Standardize.fit([[1.0, 5.0], [3.0, 5.0]])
        Standardize(2, mean=(2.0, 5.0), scale=1.0)
        """
        given: Any = x
        shape = given.shape if hasattr(given, "tocsr") else as_array(given, "x").shape
        n = math.prod(shape[1:])
        w = np.ones(rows_of(shape, n)) if sample_weight is None else as_weights(sample_weight, shape[0])
        w /= w.sum()
        mean, largest = np.zeros(n), np.zeros(n)
        for share, rows in _blocks(x, w, n):
            mean += (share * rows).sum(axis=0)
            np.maximum(largest, np.abs(rows).max(axis=0), out=largest)
        # a power of two, by which nothing is rounded, keeps the squares of any entries within float64
        unit = np.ldexp(1.0, np.clip(np.frexp(largest)[1], -1000, 1000))
        rest, squares = np.zeros(n), np.zeros(n)
        for share, rows in _blocks(x, w, n):
            rows = rows / unit
            rows -= mean / unit
            rest += (share * rows).sum(axis=0)
            squares += (share * np.square(rows)).sum(axis=0)
        scale = unit * np.sqrt(np.maximum(squares - np.square(rest), 0))  # rest is what rounding left of the mean
        scale[scale <= NOISE * largest] = 1
        return cls(n, mean + unit * rest, scale)

    def cache(self, rows: int) -> BufferSpecs:
        constants = {name: Buffer((), np.float64, np.array(getattr(self, name))) for name in ("mean", "scale")}
        return {"d": Buffer((rows, int(self.n_in or 0)), np.float64), **constants}


def _blocks(x: Any, w: Array, n: int) -> Iterator[tuple[Array, Array]]:
    """Yield rows of positive weight in float64 blocks (rows, n), with their weights (rows, 1)."""
    size = max(1, BLOCK // max(1, n))
    x = x.tocsr() if hasattr(x, "tocsr") else as_array(x, "x")
    for start in range(0, len(w), size):
        block = x[start : start + size]
        rows = as_rows(block.toarray() if hasattr(block, "toarray") else block, n)
        require_finite(rows, "x", F64, start)
        counts = np.flatnonzero(w[start : start + size])
        if len(counts):
            yield w[start + counts, None], rows[counts].astype(F64, copy=False)


@settings
class Standardize(Scaling):
    """Bring each column of the input to mean 0 and standard deviation 1: ``y = (x - mean) / scale``.

    dx = dy / scale. A network can begin with it; it can stand nowhere else. mean and scale are constants of the data,
    not parameters: no optimizer changes them, and l2 does not shrink them. They are float64 whatever the dtype of the
    network, and so is the arithmetic; rows are read in their own dtype, and the result is rounded to the network's. So
    a float32 network can tell 1e9 from 1e9 + 1. Sparse rows are made dense a batch at a time.

    Parameters
    ----------
    n_in : int, optional
        The number of columns; None takes it from the length of mean or scale.
    mean, scale : float, or sequence of float
        One for each column, or one for all; scale is positive. :meth:`fit` takes them from data.

    Shapes
    ------
    x and y (rows, n_in).

    Raises
    ------
    ShapeError, ConfigError, InputTypeError, DataError
        For numbers of columns that differ, a scale that is not positive, or constants that are not finite numbers.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> x = [[1e9, 0.1], [1e9 + 2, 0.3]]
    >>> net = fc.Network([fc.Standardize.fit(x), fc.Dense(2, 1, init="ones")])
    >>> net.predict(x).round(5).tolist()
    [[-2.0], [2.0]]

    Source: LeCun, Bottou, Orr and Mueller, "Efficient backprop", 1998, section 4.3.
    """

    name: ClassVar[str] = "standardize"
    reads_raw: ClassVar[bool] = True

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        c.xp.subtract(x, c.mean, out=c.d)
        c.xp.divide(c.d, c.scale, out=y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is not None:
            c.xp.divide(dy, c.scale, out=dx)


@settings
class Rescale(Scaling):
    """Bring each column to the unit of the targets, the inverse of Standardize: ``y = mean + scale * x``.

    dx = scale * dy. After the last layer, ``Rescale.fit(t)`` gives outputs in the unit of the targets ``t``, while the
    layers before it work with numbers of about 1. mean and scale are float64 constants, as in :class:`Standardize`.

    Parameters
    ----------
    n_in, mean, scale
        As in :class:`Standardize`.

    Shapes
    ------
    x and y (rows, n_in).

    Raises
    ------
    ShapeError, ConfigError, InputTypeError, DataError
        As in :class:`Standardize`.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> fc.Network([fc.Dense(1, 1, init="ones"), fc.Rescale(mean=[200.0], scale=[50.0])]).predict([[2.0]]).tolist()
    [[300.0]]
    """

    name: ClassVar[str] = "rescale"

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        c.xp.multiply(x, c.scale, out=c.d)
        c.xp.add(c.d, c.mean, out=y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is not None:
            c.xp.multiply(dy, c.scale, out=dx)
