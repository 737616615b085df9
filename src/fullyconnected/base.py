"""The base classes of layers, activation functions, losses, metrics, optimizers and solvers.

Each defines the methods, the order of their arguments, and what most implementations share. None of them owns an
array. The arrays that they read and write are arguments of their methods:

====== ===============================================================================
p      a layer's parameters and running state, by name: ``p.W``, ``p.b``
x, y   the input of a layer, its output
c      the buffers that ``cache`` requested, by name: what forward keeps for backward,
       and scratch; and ``c.xp``, the array namespace (NumPy)
dy, dx the gradient of the loss with respect to ``y`` and ``x``
g      the gradient of the loss with respect to each parameter: ``g.W``, ``g.b``
z, t   the arguments of a loss: the network's raw outputs, and the targets
====== ===============================================================================

A step allocates nothing of batch size: every array function comes from ``c.xp`` and writes with ``out=``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, SupportsFloat

import numpy as np

from fullyconnected.core import deprecation
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Shape, Views, allocate, bind_buffers, dot, new_buffers
from fullyconnected.core.batches import TrainingRows
from fullyconnected.core.checks import as_array, as_weights, count, number, require_finite
from fullyconnected.core.contracts import IN_CACHES, check_class, check_shapes, guarded, is_foreign, read_only
from fullyconnected.core.settings import Settings, names_of, settings
from fullyconnected.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["PLACES", "ActivationFunction", "Layer", "Link", "Loss", "Metric", "Optimizer", "Param", "Solver"]

PLACES = ("first", "hidden", "last", "rest")  # what a network or Factors say of a parameter, and no layer does


class Param(NamedTuple):
    """One parameter tensor: its shape and its role.

    Parameters
    ----------
    shape : tuple of int
        Sizes, each 1 or more.
    decays : bool
        Whether l2 and weight decay shrink it: True for weights; False for biases and gains.
    matrix : bool
        Whether it is an (in, out) matrix, which ``get_weights`` can transpose to the (out, in) of other libraries; or
        a stack of such matrices, (k, in, out).
    lr_factor : float
        The factor on the learning rate of this parameter, 0 or more; with 0 the parameter stays as it is.
    roles : tuple of str
        What it is, for :class:`fullyconnected.Factors` and for optimizers: ``"weight"``, ``"bias"``, ``"gain"``,
        ``"scale"``, ``"embedding"``, or words of your own. With none, it is a weight if it decays or is a matrix, and
        else a bias. A network adds its place: ``"first"``, ``"hidden"`` or ``"last"``, where its layer has a matrix of
        weights.
    decay_factor : float
        The factor on l2 and weight decay of this parameter, 0 or more, if it decays.
    stacked : bool
        Whether its first axis counts the members of an ensemble, each of which has its own part.

    Examples
    --------
    >>> Param((2, 3), decays=True).shape
    (2, 3)
    """

    shape: Shape
    decays: bool = False
    matrix: bool = False
    lr_factor: float = 1.0
    roles: tuple[str, ...] = ()
    decay_factor: float = 1.0
    stacked: bool = False

    @property
    def is_hidden(self) -> bool:
        """Whether it is a matrix of weights between other layers with such matrices: not of the first, nor the last."""
        return self.matrix and "weight" in self.roles and "hidden" in self.roles


class Layer(Settings):
    """A differentiable map from rows of ``n_in`` numbers to rows of ``n_out``; a frozen dataclass of sizes.

    A layer of your own needs a ``name``, ``n_in`` and ``n_out``, ``forward`` and ``backward``, and, where it has
    parameters, ``params`` and ``initialize``. Once registered (:func:`fullyconnected.register`) it can be saved and
    loaded, and the proof covers it. Shapes: x (rows, n_in), y (rows, n_out).

    Examples
    --------
    >>> import fullyconnected as fc
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Double(fc.Layer):
    ...     n_in: int
    ...     n_out = property(lambda self: self.n_in)
    ...     name = "double"
    ...     def forward(self, p, x, c, y, *, train):
    ...         c.xp.multiply(x, 2, out=y)
    ...     def backward(self, p, x, c, y, dy, g, dx):
    ...         if dx is not None:
    ...             c.xp.multiply(dy, 2, out=dx)
    >>> fc.check_gradients(Double(3)).ok
    True
    """

    name: ClassVar[str]
    random: ClassVar[bool] = False  # whether forward draws from c.uniforms
    least_rows: ClassVar[int] = 1  # how many rows a training batch needs; more than 1 if rows affect each other
    skips: ClassVar[bool] = False  # whether it also reads the input of the block that it is in: c.skip
    joins: ClassVar[bool] = False  # whether it reads the ends of branches: c.parts
    reads_raw: ClassVar[bool] = False  # whether it comes first, and its x is float64 whatever the network's dtype
    comes_last: ClassVar[bool] = False  # whether it comes last, and its copies of a row are the outputs of members
    normalizes: ClassVar[bool] = False  # whether inputs of any scale give outputs of the same scale
    adapts_to_targets: ClassVar[bool] = False  # whether adapt is given the targets, in place of the rows it reads

    if TYPE_CHECKING:  # a subclass may have either as a setting, or as a property

        @property
        def n_in(self) -> int | None: ...
        @property
        def n_out(self) -> int | None: ...

    @classmethod
    def example(cls, n: int) -> Layer:
        """Return a layer of this class, ``n`` wide, for gradient checks; override it if this call does not fit."""
        return cls(n_in=n)

    @classmethod
    def examples(cls, n: int) -> Iterable[Layer]:
        """Return layers of this class for gradient checks: one for each way in which it computes."""
        return (cls.example(n),)

    @classmethod
    def example_unset(cls, n: int) -> Layer | None:
        """Return a layer that is ``unset``, ``n`` wide, for gradient checks after it has adapted; None if none is."""
        return None

    def with_input_width(self, n_in: int) -> Self:
        """Return the layer for inputs of ``n_in`` columns: itself, or a copy with that width."""
        if self.n_in != n_in:
            raise ShapeError(f"takes {self.n_in} columns, and what comes before it gives {n_in}")
        return self

    def steps(self) -> Iterable[Layer]:
        """Return the layers that stand for this one in a program: itself, unless it is a block made of others.

        A layer among them with ``skips = True`` reads two inputs, x from the layer before it and ``c.skip``, the input
        of the block; its backward also writes ``c.d_skip``, the gradient with respect to ``c.skip``.
        """
        return (self,)

    def with_steps(self, steps: Sequence[Layer]) -> Layer:
        """Return the block made of these layers, in place of those that :meth:`steps` returns."""
        raise ConfigError(
            f"{type(self).__name__} makes its layers anew, so that constants of the data cannot be set in them: give "
            f"them to the layers, or write a method with_steps(steps) that returns the block with these layers"
        )

    def branches(self) -> Iterable[Sequence[Layer]]:
        """Return the layers side by side that stand for this one, each branch for the same input; () if it has none.

        Their outputs are joined, in this order, by a layer with ``joins = True``: it reads them as ``c.parts``, and
        its backward writes the gradients with respect to them, ``c.d_parts``.
        """
        return ()

    def with_branches(self, branches: Iterable[Sequence[Layer]]) -> Layer:
        """Return the layer made of these branches, in place of those that :meth:`branches` returns."""
        raise ConfigError(f"{type(self).__name__} needs a method with_branches(branches), as it has branches")

    def copies(self, n: int) -> int:
        """Return the number of copies of each row in the output, for ``n`` in the input; they lie one after the other.

        With k copies, x has k rows for each row of the batch. The outputs of a network have one copy of each row again,
        except where it ends in an ensemble, whose members' outputs the copies are.
        """
        return n

    def params(self) -> Mapping[str, Param]:
        """Return the parameters by name, in their order in ``theta``."""
        return {}

    def state(self) -> Mapping[str, Shape]:
        """Return the shapes of the running statistics by name: training updates them, but not by a gradient."""
        return {}

    def cache(self, rows: int) -> BufferSpecs:
        """Return the buffers, by name, that forward and backward use for a batch of ``rows`` rows."""
        return {}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        """Write the initial values of the parameters and of the running statistics."""

    @property
    def unset(self) -> bool:
        """Whether constants among its settings are still to be taken from training rows, by :meth:`adapt`."""
        return False

    def adapt(self, p: Views, rows: TrainingRows, weights: Array, rng: np.random.Generator) -> Layer:
        """Return the layer with constants of the training rows, and write parameters that depend on them into ``p``.

        It is called once, before the first step, if the layer is ``unset`` or ``initialize`` has left NaN in a
        parameter; all layers before it are set by then. The layer that it returns has the same widths and parameters.

        Parameters
        ----------
        p : Views
            The parameters. Those that ``initialize`` has left NaN are to be set.
        rows : TrainingRows
            The training rows of positive weight, as they reach this layer in prediction: ``rows.shape`` is (n, n_in),
            ``for start, block in rows.blocks()`` yields all of them in blocks of bounded size, and
            ``rows.taken(numbers, dtype)`` returns copies of some.
        weights : array (n,)
            The weights of the rows, all positive.
        rng : numpy.random.Generator
            For draws; a function of the seed of the network and of the place of the layer in it.
        """
        return self

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        """Write the output into ``y``, and what backward needs into ``c``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; see help(fc.Layer)")

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        """Write the gradients into ``g`` and, unless it is None, ``dx``; ``dy`` may be overwritten."""
        raise NotImplementedError(f"{type(self).__name__} has no backward: it can predict, but not be trained")

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        """Return the signed distance of each unit from each of its kinks; None if there are no kinks."""
        return None

    def example_rows(self, rng: np.random.Generator, rows: int) -> Array:
        """Return rows that this layer takes, for gradient checks; override it if some numbers are no input."""
        return rng.normal(size=(rows, int(self.n_in or 0)))

    def check_rows(self, x: Array, what: str, first: int) -> None:
        """Raise if rows as they are given cannot be used; called if ``reads_raw``, and by default for NaN and infinity.

        ``what`` is their name in the message, and ``first`` the number of the first of them. A layer that takes NaN as
        a missing value, or codes of categories, checks column by column what it takes.
        """
        require_finite(x, what, np.dtype(np.float64), first)

    def input_units(self, x: Array) -> Array | None:
        """Return the unit of each entry of rows as they are given, for the steps of gradient checks; None for 1.

        A 0 says that there is no gradient with respect to the entry, as for a missing value or a code: it is left out.
        """
        return None


class ActivationFunction(Settings):
    """A function of pre-activations ``z``, of each entry separately or (like softmax) of each row.

    ``needs_input`` says that backward reads ``z``; where it is False, ``z`` and ``y`` may be one array. ``kinks``
    lists the points where the derivative jumps; ``suited_init`` is the ``init`` of a Dense layer with this activation
    for which none is given. An activation of your own needs a ``name``, ``forward`` and
    ``backward``. Shapes: z, y and dy (rows, n).

    Examples
    --------
    >>> import fullyconnected as fc
    >>> class Cube(fc.ActivationFunction):
    ...     name = "cube"
    ...     needs_input = True
    ...     def forward(self, z, c, y):
    ...         y[...] = z**3
    ...     def backward(self, z, c, y, dy):
    ...         dy *= 3 * z**2
    >>> fc.check_gradients(Cube()).ok
    True
    """

    name: ClassVar[str]
    needs_input: ClassVar[bool] = False
    suited_init: ClassVar[str] = "glorot_uniform"
    kinks: tuple[float, ...] = ()

    def cache(self, rows: int, n: int) -> BufferSpecs:
        """Return the buffers, by name, that forward and backward use for a batch of shape ``(rows, n)``."""
        return {}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        """Write ``y = f(z)``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; see help(fc.ActivationFunction)")

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        """Turn ``dy``, the gradient with respect to ``y``, into the gradient with respect to ``z``, in place."""
        raise NotImplementedError(f"{type(self).__name__} has no backward: it can predict, but not be trained")

    def of_mean(self, z: Array) -> Array:
        """Return the z (rows, n) whose y is the mean over k of those of ``z`` (rows, k, n), in float64.

        It is for activations that turn outputs into predictions (``inverse`` of a :class:`Link`), so that the members
        of an ensemble can be averaged. One that does not have it cannot be the link of an ensemble.
        """
        raise NotImplementedError(f"{type(self).__name__} has no of_mean; see help(fc.ActivationFunction.of_mean)")


@settings
class Link(Settings):
    """What the raw outputs of a network mean to a loss, and the function that turns them into predictions.

    Parameters
    ----------
    name : str
        The usual name of the link function.
    predicts : {"values", "rates", "labels", "classes", "scores"}
        What the predictions are. Values: numbers in the unit of the targets; rates: expected counts; labels: for each
        output the probability that its label is 1; classes: in each row the probabilities of the classes, which sum
        to 1; scores: numbers of which the largest marks the likeliest class.
    inverse : ActivationFunction, optional
        The function from outputs to predictions; None for the identity.
    takes : str
        The name of the outputs in error messages: "HalfSquaredError takes raw outputs".
    refuses : tuple of str
        Names of activations that a network must not end in, because the loss applies them itself.

    Raises
    ------
    ConfigError
        For an unknown ``predicts``, an ``inverse`` that is no activation, or a ``refuses`` that is no tuple.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> fc.Poisson.link.name, fc.Poisson.link.inverse
    ('log', Exp())
    """

    name: str
    predicts: str = "values"
    inverse: ActivationFunction | None = None
    takes: str = "raw outputs"
    refuses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.predicts not in PREDICTED:
            raise ConfigError(f"predicts of a Link is one of {', '.join(PREDICTED)}; got {self.predicts!r:.80}")
        if not isinstance(self.inverse, ActivationFunction | None):
            raise ConfigError(f"inverse of a Link is an ActivationFunction or None; got {self.inverse!r:.80}")
        if not isinstance(self.refuses, tuple):
            raise ConfigError(f"refuses of a Link is a tuple of names; got {self.refuses!r:.80}")

    @property
    def is_identity(self) -> bool:
        """Whether outputs estimate the targets themselves."""
        return self.inverse is None and self.predicts == "values"

    @property
    def tells_labels(self) -> bool:
        """Whether each output stands for a label of its own."""
        return self.predicts == "labels"

    @property
    def tells_classes(self) -> bool:
        """Whether outputs say which class or which labels are the likeliest."""
        return self.predicts in ("labels", "classes", "scores")

    def predictions(self, z: Array) -> Array:
        """Return the predictions of checked outputs (rows, n_out) in a new array; overflow gives infinity."""
        y = np.array(z, order="C")
        if self.inverse is not None:
            forward, c = self.inverse.forward, new_buffers(self.inverse.cache(*z.shape), z.dtype)
            if is_foreign(self.inverse):
                forward = guarded(forward, f"the activation {self.inverse!r}", "z", "c and y")
            with np.errstate(all="ignore"):
                forward(read_only(z), c, y)
        return y

    @property
    def pools(self) -> bool:
        """Whether the outputs of several members can be turned into those of the mean of their predictions."""
        known = self.inverse is None or type(self.inverse).of_mean is not ActivationFunction.of_mean
        return self.predicts != "scores" and known

    def pooled(self, z: Array) -> Array:
        """Return the outputs (rows, n_out) whose predictions are the mean of those of z (rows, members, n_out).

        They are computed in float64, and returned in the dtype of z; those of one member are its own, bit for bit.
        """
        if z.shape[1] == 1:
            return z[:, 0].copy()
        with np.errstate(all="ignore"):
            exact = z.astype(np.float64)
            found = exact.mean(axis=1) if self.inverse is None else self.inverse.of_mean(exact)
            return found.astype(z.dtype)


PREDICTED = ("values", "rates", "labels", "classes", "scores")
IDENTITY = Link("identity")


class Loss(Settings):
    """A number to minimise: the weighted mean over the rows of a loss of each row.

    A loss of your own needs a ``name`` and ``terms``, and ``encode_targets`` where its targets are not simply numbers
    of the outputs' shape. ``terms`` computes value and gradient together, and :meth:`value_and_gradient` weights both
    in one place, so that they cannot disagree. (A loss may have a ``value_and_gradient`` of its own where fewer
    operations do the same, as for half a square.)
    ``link`` says what outputs mean: by default, estimates of the targets; else one of ``fullyconnected.links``, or a
    :class:`Link`.
    Shapes: z and dz (rows, n_out), ``c.e`` (rows, n_out) or (rows, 1), t as ``encode_targets`` returns it.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> class Fourth(fc.Loss):
    ...     name = "fourth"
    ...     def terms(self, z, t, c, dz):
    ...         c.e[...] = (z - t) ** 4
    ...         dz[...] = 4 * (z - t) ** 3
    >>> Fourth()([[2.0]], [0.0])
    (16.0, array([[32.]]))
    >>> fc.check_gradients(Fourth(), [[2.0]], [0.0]).ok
    True
    """

    name: ClassVar[str]
    min_outputs: ClassVar[int] = 1
    if TYPE_CHECKING:  # a subclass may have it as a property

        @property
        def link(self) -> Link: ...
    else:
        link = IDENTITY  # what the outputs mean

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_link(cls, cls.link)

    def encode_targets(self, t: Array, n_out: int) -> Array:
        """Check all targets, and return them as the array from which batches take rows."""
        return as_outputs(t, n_out)

    def cache(self, rows: int, n_out: int) -> BufferSpecs:
        """Return the buffers by name; ``e`` holds the terms of the sum, ``(rows, n_out)`` or ``(rows, 1)``."""
        return {"e": (rows, n_out)}

    def example_targets(self, rng: np.random.Generator, rows: int, n_out: int) -> Array:
        """Return targets that this loss takes, for gradient checks; override it if some numbers are no targets."""
        return rng.normal(size=(rows, n_out))

    @classmethod
    def example(cls, n_out: int) -> Self:
        """Return a loss with settings that differ from the default, if it has any, for gradient checks."""
        return cls()

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        """Write the terms of each row's loss into ``c.e``, and the derivative of their sum into ``dz``."""
        raise NotImplementedError(f"{type(self).__name__} has no terms; see help(fc.Loss)")

    def kink_distances(self, z: Array, t: Array) -> Array | None:
        """Return the signed distance of each output from each kink; None if there are no kinks."""
        return None

    def buffers(self, rows: int, n_out: int) -> BufferSpecs:
        """Return the buffers of ``cache``, and the weights that :meth:`value_and_gradient` needs in addition."""
        wanted = self.cache(rows, n_out)
        check_shapes(type(self).__name__, wanted, "cache", least=0, taken=("xp", "w", "w_e"))
        e = wanted.get("e")
        if not isinstance(e, tuple) or e not in ((rows, 1), (rows, n_out)):
            raise ConfigError(f"the loss {self.name!r} wants c.e as {e}; it must be (rows, 1) or (rows, n_out)")
        return {**wanted, "w": np.full((rows, n_out), 1 / rows), "w_e": np.full((rows, e[1]), 1 / rows)}

    def row_weights(self, t: Array, w: Array | None) -> Array | None:
        """Return the weights of rows (rows,) in this loss; None if all weigh the same.

        ``t`` are encoded targets, and ``w`` the given sample weights or None. A loss with weights of classes multiplies
        these.
        """
        return w

    def for_evaluation(self) -> Loss:
        """Return the loss by which a network is judged: this one, without what is for training alone."""
        return self

    def set_weights(self, c: Cache, w: Array, total: float | None = None) -> None:
        """Set the rows' weights (rows,), divided by their sum; before that, all rows weigh the same.

        Where the rows are a part of a batch, they are divided by ``total``, the sum over the batch.
        """
        total = w.sum() if total is None else total
        c.xp.divide(w[:, None], total, out=c.w, casting="same_kind")
        c.xp.divide(w[:, None], total, out=c.w_e, casting="same_kind")

    def value_and_gradient(self, z: Array, t: Array, c: Cache, dz: Array) -> SupportsFloat:
        """Return ``sum_i w_i sum_j e_ij``, and write its gradient into ``dz``."""
        self.terms(z, t, c, dz)
        c.xp.multiply(dz, c.w, out=dz)
        return dot(c.xp, c.e, c.w_e)

    def __call__(self, z: ArrayLike, t: ArrayLike, sample_weight: ArrayLike | None = None) -> tuple[float, Array]:
        """Return the loss of outputs ``z`` for targets ``t``, and its gradient with respect to ``z``.

        Raises
        ------
        ShapeError, InputTypeError, DataError
            For outputs or targets of a wrong shape or kind, or weights that are not (rows,) and 0 or more.
        """
        z = self._checked(z)
        if not len(z):
            raise ShapeError(f"outputs are (rows, n_out) with one row at least; got {z.shape}")
        encoded = encoded_by(self, as_array(t, "t"), z.shape[1])
        if len(encoded) != len(z):
            raise ShapeError(f"there are {len(z)} rows of outputs and {len(encoded)} of targets")
        w = None if sample_weight is None else as_weights(sample_weight, len(z))
        t = in_dtype(encoded, z.dtype)
        return self.of_checked(z, t, self.row_weights(t, w))

    def predictions(self, z: ArrayLike) -> Array:
        """Return the predictions of raw outputs, by ``link``: values, rates, or probabilities.

        Parameters
        ----------
        z : array (rows, n_out)
            Raw outputs, as ``net.predict`` returns them; 0 rows give 0 rows. NaN stays NaN.

        Returns
        -------
        array (rows, n_out)
            A new array in the dtype of z (float64 for whole numbers). Probabilities of classes sum to 1 in each row.

        Raises
        ------
        ShapeError, InputTypeError
            For outputs of another shape, too few outputs, or outputs that are not numbers.

        Examples
        --------
        >>> import fullyconnected as fc
        >>> fc.SoftmaxCrossEntropy().predictions([[0.0, 0.0, 1000.0]])
        array([[0., 0., 1.]])
        >>> fc.Poisson().predictions([[0.0]])
        array([[1.]])
        """
        return self.link.predictions(self._checked(z))

    def _checked(self, z: ArrayLike) -> Array:
        """Return outputs (rows, n_out) as floats."""
        z = as_array(z, "z")
        if z.ndim != 2:
            raise ShapeError(f"outputs are (rows, n_out); got {z.shape}")
        check_outputs(self)
        if z.shape[1] < self.min_outputs:
            raise ShapeError(f"{type(self).__name__} takes {self.min_outputs} outputs or more; got {z.shape}")
        return z if z.dtype.kind == "f" else z.astype(np.float64)

    def of_checked(self, z: Array, t: Array, w: Array | None) -> tuple[float, Array]:
        """Return loss and gradient as ``__call__`` does, for arguments that are checked and encoded already."""
        return self.evaluator(z, w)(z, t)

    def evaluator(self, like: Array, w: Array | None) -> Callable[[Array, Array], tuple[float, Array]]:
        """Return a function of outputs of this shape, and targets, whose memory is allocated once; see of_checked."""
        wanted = self.buffers(*like.shape)
        c = bind_buffers(allocate(wanted, like.dtype), wanted, like.dtype)
        if w is not None:
            self.set_weights(c, w)
        dz, value_and_gradient = np.empty_like(like, order="C"), guarded_loss(self)

        def evaluate(z: Array, t: Array) -> tuple[float, Array]:
            with np.errstate(all="ignore"):  # what overflows is infinite or NaN in the result
                return float(value_and_gradient(z, t, c, dz)), dz

        return evaluate


class Metric(Settings):
    """A measure of quality besides the loss, computed from raw outputs, the targets and the rows' weights.

    A metric of your own needs a ``name``, ``greater_is_better`` and ``__call__``, and ``for_targets`` where it is not
    defined for every loss. Once registered (:func:`fullyconnected.register`) its name can be used like those of the
    library. A function ``(outputs, targets) -> float`` can be used as a metric, too, but has no registered name.
    Shapes: z (rows, n_out), t as the loss encodes it, w (rows,); all are read-only.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> class LargestError(fc.Metric):
    ...     name = "largest_error"
    ...     greater_is_better = False
    ...     def __call__(self, z, t, w):
    ...         return float(abs(z - t)[w > 0].max())
    >>> net = fc.Network([fc.Dense(1, 1, bias=False, init="ones")])
    >>> net.evaluate([[1.0], [5.0]], [1.0, 2.0], "half_squared_error", [LargestError()]).metrics
    {'largest_error': 3.0}
    """

    name: ClassVar[str]
    greater_is_better: ClassVar[bool]

    def for_targets(self, t: Array, loss: Loss, n_out: int, *, w: Array | None, trained: Array) -> Metric:
        """Return the metric for these targets, itself or one with other settings; raise where it is not defined.

        ``t`` are the encoded targets to evaluate on, ``w`` their rows' weights, and ``trained`` the targets that the
        network is trained with: others than ``t`` where ``t`` belongs to validation data.
        """
        return self

    def __call__(self, z: Array, t: Array, w: Array) -> float:
        """Return the value of the metric; each row counts by its weight, 0 or more."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__; see help(fc.Metric)")

    def of_parts(self, parts: Iterable[tuple[Array, Array, Array]]) -> float | None:
        """Return the value over the rows of many parts, each z, t and w; None asks for all rows at once.

        It is called for millions of rows. The parts can be gone through several times, and each has a row with weight.
        """
        return None


class Optimizer(Settings):
    """A rule that updates parameters by their gradient; a frozen dataclass, which owns no array.

    An optimizer of your own needs a ``name``, a field ``lr``, ``update`` and, where it keeps vectors from step to
    step, ``slots``. It treats each entry separately: ``update`` may be called for one piece of ``theta`` after another.
    Shapes: theta, g, each slot and each scratch (entries,).

    An optimizer that needs whole parameters has ``update_tensor`` instead. It is called for one parameter at a time,
    with theta and g in its shape; ``slot_shapes`` and ``scratch_shapes`` return the shapes of slots and scratch.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class SignDescent(fc.Optimizer):
    ...     lr: float = 0.5
    ...     name = "sign_descent"
    ...     def update(self, theta, g, s, c, *, lr, step, decays):
    ...         c.xp.sign(g, out=c.a)
    ...         c.a *= lr
    ...         theta -= c.a
    >>> net = fc.Network([fc.Dense(1, 1, bias=False, init="ones")])
    >>> history = fc.fit(net, [[1.0]], [[3.0]], "half_squared_error", SignDescent(), epochs=2, progress=False)
    >>> net.theta.tolist()
    [2.0]
    """

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]] = ()  # vectors like theta that are kept from step to step; zero at first
    scratch: ClassVar[tuple[str, ...]] = ("a",)  # vectors like theta that update writes before it reads them
    lr: float

    @property
    def decays(self) -> bool:
        """Whether ``update`` uses its argument ``decays``."""
        return False

    def times_decay(self, factor: float) -> Self:
        """Return the optimizer with its weight decay times ``factor``, by default that of a field ``weight_decay``."""
        if not is_dataclass(self) or "weight_decay" not in names_of(type(self)):
            raise ConfigError(
                f"{type(self).__name__} has no field weight_decay that a weight-decay factor could multiply: define "
                f"its method times_decay(factor), which returns an optimizer with another weight decay"
            )
        return replace(self, weight_decay=self.weight_decay * factor)

    def for_param(self, param: Param) -> Optimizer:
        """Return the optimizer of a parameter, for one with ``update_tensor``: itself, or another one.

        The learning rate of another one follows schedules and factors in proportion to its own ``lr``.
        """
        return self

    def update(self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        """Update ``theta`` in place; ``s`` holds the slots, ``c`` the scratch and ``xp``; ``step`` counts from 1."""
        raise NotImplementedError(f"{type(self).__name__} has no update; see help(fc.Optimizer)")

    @property
    def sees_tensors(self) -> bool:
        """Whether the class has ``update_tensor``, and so updates whole parameters."""
        return type(self).update_tensor is not Optimizer.update_tensor

    def update_tensor(
        self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, param: Param, name: str
    ) -> None:
        """Update one parameter in place; ``param`` is its description, ``name`` its name: ``"dense_1.W"``."""
        raise NotImplementedError(f"{type(self).__name__} has no update_tensor; see help(fc.Optimizer)")

    def slot_shapes(self, param: Param, name: str) -> Mapping[str, Shape]:
        """Return the shapes of the slots of a parameter by name; slots are kept from step to step, zero at first."""
        return dict.fromkeys(self.slots, param.shape)

    def scratch_shapes(self, param: Param, name: str) -> Mapping[str, Shape]:
        """Return the shapes of the scratch for a parameter by name; ``update_tensor`` writes it before it reads it."""
        return dict.fromkeys(self.scratch, param.shape)


class Solver(Settings):
    """A full-batch method that minimises the loss of all rows as a function of all parameters; a frozen dataclass.

    It is given to ``fit`` as the optimizer; its iterations are the epochs. A solver of your own needs a ``name`` and
    ``minimize``. Shapes: theta and gradients (parameters,), float64 whatever the network's dtype is.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> class Backtracking(fc.Solver):
    ...     name = "backtracking"
    ...     def minimize(self, loss, theta, iterations, after):
    ...         value, g = loss(theta)
    ...         for _ in range(iterations):
    ...             step = 1.0
    ...             while (there := loss(theta - step * g))[0] > value - step / 2 * g @ g:
    ...                 step /= 2
    ...             theta, (value, g) = theta - step * g, there
    ...             if after(theta, value):
    ...                 break
    ...         return "epochs"
    >>> net = fc.Network([fc.Dense(1, 1, bias=False, init="ones")])
    >>> history = fc.fit(net, [[1.0], [2.0]], [3.0, 6.0], "half_squared_error", Backtracking(), progress=False)
    >>> round(float(net.theta[0]), 3)
    3.0
    """

    name: ClassVar[str]

    def minimize(
        self,
        loss: Callable[[Array], tuple[float, Array]],
        theta: Array,
        iterations: int,
        after: Callable[[Array, float], bool],
    ) -> str:
        """Minimise ``loss``, starting from ``theta``, and return why it stopped, for ``History.stopped``.

        Parameters
        ----------
        loss : callable
            Function from parameters to the loss, l2 included, and its gradient; not finite where numbers overflow.
        theta : array (parameters,)
            The starting point; it may be overwritten.
        iterations : int
            Maximum number of iterations.
        after : callable
            To be called after each iteration with the parameters that it reached and their loss; stop if it returns
            True.

        Returns
        -------
        str
            ``"epochs"`` after the maximum number of iterations, ``"converged"``, or another word.
        """
        raise NotImplementedError(f"{type(self).__name__} has no minimize; see help(fc.Solver)")


def check_layer(layer: Layer) -> None:
    """Raise if a layer of a user's own class cannot be used."""
    deprecation.accept_old_values(layer)
    check_class(type(layer), "layer")
    what = type(layer).__name__
    count(f"least_rows of {what}", layer.least_rows)
    for size in ("n_in", "n_out"):
        value = getattr(layer, size, "missing")
        if value is not None and (not isinstance(value, int | np.integer) or value < 1):
            raise ConfigError(f"{what} needs {size}, a whole number of 1 or more, or None; it is {value!a:.80}")
    if layer.n_in is None:
        return  # its shapes are known only with its width
    if layer.n_out is None:
        raise ConfigError(f"{what} needs n_out, a whole number of 1 or more; it is None where n_in is {layer.n_in}")
    check_shapes(what, params := layer.params(), "params", Param)
    for name, param in params.items():
        number(f"lr_factor of {name} of {what}", param.lr_factor)
        number(f"decay_factor of {name} of {what}", param.decay_factor)
        if param.matrix and len(param.shape) not in (2, 3):
            raise ConfigError(f"{name} of {what} is an (in, out) matrix, and has the shape {param.shape}")
        if not (isinstance(param.roles, tuple) and all(isinstance(role, str) for role in param.roles)):
            raise ConfigError(
                f'roles of {name} of {what} is a tuple of texts, such as ("bias",); got {param.roles!a:.80}'
            )
        for role in param.roles:
            if not role.isidentifier() or role in PLACES:
                raise ConfigError(
                    f"{name} of {what} has the role {role!a:.80}: a role is a word, and not one of "
                    f"{', '.join(PLACES)}, which a network gives"
                )
    check_shapes(what, state := layer.state(), "state")
    if both := params.keys() & state.keys():
        raise ConfigError(f"{what} has a parameter and a running statistic that are both called {min(both)!a}")
    check_shapes(what, layer.cache(1), "cache", least=0, taken=IN_CACHES)


def check_link(cls: type[Loss], link: object) -> None:
    """Raise if the link of a loss is none; a class may have a property, which its objects are asked for."""
    if not isinstance(link, Link | property):
        raise ConfigError(
            f"{cls.__name__}.link is {link!a:.80}; one of fc.links is wanted, such as link = fc.links.LOGIT, "
            f"or an fc.links.Link of your own"
        )


def check_outputs(loss: Loss) -> None:
    """Raise if what a loss says of its outputs cannot be used."""
    check_link(type(loss), loss.link)
    count(f"min_outputs of {type(loss).__name__}", loss.min_outputs)


def guarded_loss(loss: Loss) -> Callable[[Array, Array, Any, Array], Any]:
    """Return a loss's ``value_and_gradient``; that of a user's own class gets z and t read-only."""
    if not is_foreign(loss):
        return loss.value_and_gradient
    run = guarded(loss.value_and_gradient, f"the loss {type(loss).__name__}", "z and t", "c.e and dz", value=True)
    return lambda z, t, c, dz: run(read_only(z), read_only(t), c, dz)


def in_dtype(t: Array, dtype: np.dtype[Any]) -> Array:
    """Return encoded targets in C order: numbers in the dtype of the outputs, class numbers as they are."""
    return np.ascontiguousarray(t, dtype if t.dtype.kind == "f" or t.ndim > 1 else None)


def encoded_by(loss: Loss, t: Array, n_out: int) -> Array:
    """Return targets as a loss encodes them, or raise; the result may be the caller's own array."""
    if not is_foreign(loss):
        return loss.encode_targets(t, n_out)
    try:
        encoded = loss.encode_targets(read_only(t), n_out)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ConfigError(
            f"{type(loss).__name__}.encode_targets writes to t, which is the caller's: copy it first"
        ) from error
    if not isinstance(encoded, np.ndarray) or len(encoded) != len(t):
        raise ConfigError(
            f"{type(loss).__name__}.encode_targets returns an array with a row for each row of t; got {encoded!a:.80}"
        )
    return encoded


def as_outputs(t: Array, n_out: int) -> Array:
    """Return targets as ``(rows, n_out)``; ``(rows,)`` is accepted for a single output."""
    if t.ndim == 1 and n_out == 1:
        t = t[:, None]
    if t.ndim != 2 or t.shape[1] != n_out:
        wanted = "(rows,) or (rows, 1)" if n_out == 1 else f"(rows, {n_out})"
        hint = ""
        if n_out > 1 and t.size == len(t) and t.size and t.dtype.kind in "biu" and 0 <= t.min() <= t.max() < n_out:
            hint = f". For class numbers: SoftmaxCrossEntropy(), or a column for each class, np.eye({n_out})[t.ravel()]"
        elif t.ndim == 2:
            hint = f". For a number in each column, the last layer needs {t.shape[1]} outputs"
        raise ShapeError(
            f"targets have shape {t.shape}; the network gives {n_out} outputs, so {wanted} is wanted{hint}"
        )
    return t
