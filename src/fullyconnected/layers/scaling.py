"""Constants of the data in a network: Standardize brings its columns to one scale, Rescale its outputs to a unit."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache, Views
from fullyconnected.core.batches import TrainingRows
from fullyconnected.core.checks import as_array, count, flag, require_finite
from fullyconnected.core.settings import LATER, settings
from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import ConfigError, DataError, ShapeError
from fullyconnected.layers.statistics import F64, constants_of

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, RowsLike

__all__ = ["Rescale", "Standardize"]

SHOWN = 3  # constants in a repr, of more than twice as many
FAR = 1e100  # the smooth clip takes what is farther from 0 for this, so that its square does not overflow


@settings
class Scaling(Layer):
    """The constants of Standardize and Rescale; a number stands for all columns. Without any, ``adapt`` sets them."""

    n_in: int | None = None
    mean: ArrayLike | None = None  # numbers for each column in the end: a tuple of float
    scale: ArrayLike | None = None

    def __post_init__(self) -> None:
        what, widths = type(self).__name__, {} if self.n_in is None else {"n_in": count("n_in", self.n_in)}
        if self.mean is None and self.scale is None and (widths or not self.reads_raw):
            object.__setattr__(self, "n_in", widths.get("n_in"))  # else the width is that of the layer before
            return
        for name, usual in (("mean", 0.0), ("scale", 1.0)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, usual)
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
                f"{what}.fit(x), or {what}(n_in) in a network that is trained or adapts"
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

        given = [] if self.n_in is None else [f"{self.n_in}"]
        given += [] if self.unset else [f"mean={told(self.mean)}", f"scale={told(self.scale)}"]
        given += [f"{name}=True" for name in ("robust", "clip", "missing") if getattr(self, name, False)]
        return in_ascii(f"{type(self).__name__}({', '.join(given)})")

    @property
    def n_out(self) -> int | None:
        """The number of outputs, which is the number of inputs."""
        return self.n_in

    @property
    def unset(self) -> bool:
        """Whether its constants are still to be taken from training rows."""
        return self.mean is None

    def with_input_width(self, n_in: int) -> Self:
        return replace(self, n_in=n_in) if self.n_in is None else super().with_input_width(n_in)

    def adapt(self, p: Views, rows: TrainingRows, weights: Array, rng: np.random.Generator) -> Self:
        held, how = rows.held(), {name: getattr(self, name, False) for name in ("robust", "missing")}
        mean, scale = constants_of(rows if held is None else held, weights, **how)
        return replace(self, mean=mean, scale=scale)

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
        return cls(None, *constants_of(x, sample_weight))

    def cache(self, rows: int) -> BufferSpecs:
        unknown = np.full(int(self.n_in or 0), np.nan)  # until the layer adapts, nothing can be computed
        given = {name: unknown if self.unset else np.array(getattr(self, name)) for name in ("mean", "scale")}
        constants = {name: Buffer((), np.float64, value) for name, value in given.items()}
        return {"d": Buffer((rows, int(self.n_in or 0)), np.float64), **constants}


@settings
class Standardize(Scaling):
    """Bring each column of the input to mean 0 and standard deviation 1: ``z = (x - mean) / scale``.

    ``y = z``; with ``clip``, ``y = z / sqrt(1 + (z / 3)^2)``, which is z near 0 and never leaves -3 to 3; with
    ``missing``, z of a missing value, NaN, is 0, and for each column there is another one in y that is 1 where the
    value is missing. dx = dy dy/dz / scale, and 0 for missing values.

    A network can begin with it; it can stand nowhere else. mean and scale are constants of the data, not parameters:
    no optimizer changes them, and l2 does not shrink them. They are float64 whatever the dtype of the network, and so
    is the arithmetic; rows are read in their own dtype, and the result is rounded to the network's. So a float32
    network can tell 1e9 from 1e9 + 1. Sparse rows are made dense a batch at a time.

    Parameters
    ----------
    n_in : int, optional
        The number of columns; None takes it from the length of mean or scale.
    mean, scale : float, or sequence of float
        One for each column, or one for all; scale is positive. If neither is given, they are taken from the training
        rows: :func:`fullyconnected.fit` does so once, at the start of the first training, or :meth:`Network.adapt`.
        If one is given, the other is mean 0 or scale 1.
    clip : bool
        Whether far values are brought near by the smooth clip.
    missing : bool
        Whether NaN is a missing value; else it is refused.
    robust : bool
        Whether constants of the training rows are the median and the distance of the quartiles, as in :meth:`fit`.

    Shapes
    ------
    x (rows, n_in); y (rows, n_in), or (rows, 2 n_in) with ``missing``: first the values, then the indicators.

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
    >>> begins = fc.Standardize.fit([[1.0], [5.0], [np.nan]], missing=True)
    >>> net = fc.Network([begins, fc.Dense(2, 1, init="ones")])
    >>> net.predict([[5.0], [np.nan]]).tolist()
    [[1.0], [1.0]]
    >>> net = fc.Network([fc.Standardize(2), fc.Dense(2, 1, init="ones")])
    >>> net.adapt(x)
    >>> net.layers[0] == fc.Standardize.fit(x)
    True

    Source: LeCun, Bottou, Orr and Mueller, "Efficient backprop", 1998, section 4.3; the smooth clip and the robust
    scale: Holzmueller, Grinsztajn and Steinwart, "Better by default", 2024, section 3.
    """

    clip: bool = False
    missing: bool = False
    robust: bool = field(default=False, metadata=LATER, kw_only=True)

    name: ClassVar[str] = "standardize"
    reads_raw: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("clip", "missing", "robust"):
            object.__setattr__(self, name, flag(f"{name} of Standardize", getattr(self, name)))

    @property
    def n_out(self) -> int | None:
        """The number of outputs: of each input its value and, with ``missing``, its indicator."""
        return None if self.n_in is None else self.n_in * (1 + self.missing)

    @classmethod
    def fit(
        cls,
        x: RowsLike,
        sample_weight: ArrayLike | None = None,
        *,
        robust: bool = False,
        clip: bool = False,
        missing: bool = False,
    ) -> Self:
        """Return the layer with the mean and the standard deviation of each column, or with its median and quartiles.

        Parameters
        ----------
        x : array (rows, ...), or sparse matrix of SciPy
            Numbers of any dtype; they are read in blocks, in float64 (with ``robust``, column by column).
        sample_weight : array (rows,), optional
            Weights of the rows, 0 or more.
        robust : bool
            Whether to take the median, and the distance between the quartiles (half the range where that is 0), on
            which far values have no influence. Quantiles of rows of unequal weights are not interpolated.
        clip, missing : bool
            As for :class:`Standardize`; with ``missing``, constants are those of the values that are there.

        Returns
        -------
        Standardize
            The standard deviation is that of the population, with 1 / n. The scale of a column that does not vary is 1.

        Raises
        ------
        ShapeError, InputTypeError, DataError
            For values that are not rows of numbers, infinity, NaN without ``missing``, or weights that are not (rows,)
            and 0 or more.

        Examples
        --------
        >>> Standardize.fit([[1.0], [2.0], [3.0], [4.0], [1000.0]], robust=True, clip=True)
        Standardize(1, mean=3.0, scale=2.0, robust=True, clip=True)
        """
        constants = constants_of(x, sample_weight, robust=flag("robust", robust), missing=flag("missing", missing))
        return cls(None, *constants, clip=clip, missing=missing, robust=robust)

    @classmethod
    def example(cls, n: int) -> Self:
        return replace(super().example(n), clip=True, missing=True)

    @classmethod
    def example_unset(cls, n: int) -> Self:
        return cls(n, robust=True, clip=True, missing=True)

    def example_rows(self, rng: np.random.Generator, rows: int) -> Array:
        x = super().example_rows(rng, rows)
        if self.missing:
            x[rng.random(x.shape) < 0.2] = np.nan
        return x

    def check_rows(self, x: Array, what: str, first: int) -> None:
        try:
            require_finite(x, what, F64, first, missing=self.missing)
        except DataError as error:
            if self.missing or " is nan" not in str(error):
                raise
            raise DataError(f"{error}. Or take NaN as a missing value: Standardize(..., missing=True)") from None

    def input_units(self, x: Array) -> Array | None:
        units = np.maximum(np.abs(x - np.array(self.mean)), np.array(self.scale))
        return np.where(np.isnan(x), 0.0, units) if self.missing else units

    def cache(self, rows: int) -> BufferSpecs:
        shape = rows, int(self.n_in or 0)
        more = {"h": Buffer(shape, np.float64)} if self.clip else {}
        if self.missing:
            more |= {"raw": Buffer(shape, np.float64), "there": Buffer(shape, np.bool_)}
        return {**super().cache(rows), **more}

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        xp, n = c.xp, x.shape[1]
        xp.subtract(x, c.mean, out=c.d)
        values = y[:, :n]
        if self.missing:
            xp.greater_equal(x, x, out=c.there)  # NaN is not equal to itself
            xp.subtract(1, c.there, out=y[:, n:])
            xp.copyto(c.raw, c.d)
            c.d.fill(0)
            xp.copyto(c.d, c.raw, where=c.there)
        if not self.clip:
            xp.divide(c.d, c.scale, out=values)
            return
        xp.divide(c.d, c.scale, out=c.d)
        xp.clip(c.d, -FAR, FAR, out=c.d)
        xp.divide(c.d, 3, out=c.h)
        xp.multiply(c.h, c.h, out=c.h)
        xp.add(c.h, 1, out=c.h)
        xp.sqrt(c.h, out=c.h)
        xp.divide(c.d, c.h, out=values)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is None:
            return
        xp, n = c.xp, x.shape[1]
        if self.clip:  # dy/dz = 1 / h^3, which may be so small that it is 0
            xp.divide(dy[:, :n], c.h, out=c.d)
            xp.divide(c.d, c.h, out=c.d)
            xp.divide(c.d, c.h, out=c.d)
            xp.divide(c.d, c.scale, out=dx)
        else:
            xp.divide(dy[:, :n], c.scale, out=dx)
        if self.missing:
            xp.multiply(dx, c.there, out=dx)


@settings
class Rescale(Scaling):
    """Bring each column to the unit of the targets, the inverse of Standardize: ``y = mean + scale * x``.

    dx = scale * dy. After the last layer, ``Rescale()`` gives outputs in the unit of the targets, while the layers
    before it work with numbers of about 1. mean and scale are float64 constants, as in :class:`Standardize`.

    Parameters
    ----------
    n_in : int, optional
        The number of columns; None takes it from the length of mean or scale, or from the previous layer.
    mean, scale : float, or sequence of float
        As in :class:`Standardize`, but if neither is given, they are those of the targets of the training rows, and the
        layer stands at the end. ``Rescale.fit(t)`` takes them from targets ``t``.

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
    >>> net = fc.Network([fc.Dense(1, 1, init="ones"), fc.Rescale()])
    >>> net.adapt([[1.0], [2.0]], t=[100.0, 300.0])
    >>> net.layers[1]
    Rescale(1, mean=200.0, scale=100.0)
    """

    name: ClassVar[str] = "rescale"
    adapts_to_targets: ClassVar[bool] = True

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        c.xp.multiply(x, c.scale, out=c.d)
        c.xp.add(c.d, c.mean, out=y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is not None:
            c.xp.multiply(dy, c.scale, out=dx)
