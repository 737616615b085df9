"""The network: layers, and the vector of their parameters. This module does not depend on optimizers or training."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, Never, NoReturn

import numpy as np
from numpy import empty, ndarray  # as names of their own, since looking them up in np takes time in predict

from fullyconnected.activations import activation as as_activation
from fullyconnected.base import IDENTITY, Layer, Link, Loss, as_outputs, in_dtype
from fullyconnected.core import randomness
from fullyconnected.core.arrays import Array, aligned
from fullyconnected.core.checks import (
    UNNAMED,
    ColumnNames,
    as_array,
    as_weights,
    check_precision,
    columns_of,
    count,
    flag,
    known_columns,
    number,
    require_finite,
    same_rows,
    thread_count,
)
from fullyconnected.core.contracts import is_foreign
from fullyconnected.core.mapped import is_mapped
from fullyconnected.core.wording import in_words
from fullyconnected.errors import ConfigError, FileFormatError, InputTypeError, MissingNameError, ShapeError
from fullyconnected.layers import Add, Dense, Select
from fullyconnected.layers.residual import chain
from fullyconnected.program.description import steps_of
from fullyconnected.program.evaluation import Evaluation, evaluation, member_losses
from fullyconnected.program.program import Program

if TYPE_CHECKING:
    from fullyconnected.annotations import (
        ActivationLike,
        ArrayLike,
        DType,
        DTypeLike,
        LayerParams,
        LossLike,
        MetricLike,
        PathLike,
        RowsLike,
        SeedLike,
        SizesLike,
    )
    from fullyconnected.base import Metric
    from fullyconnected.engine.base import Predictor
    from fullyconnected.program.data import Data
    from fullyconnected.program.sources import Source
    from fullyconnected.program.summary import Summary

__all__ = ["Gradients", "Network", "load", "mlp"]

POOLED = 1 << 20  # outputs of members that are pooled together


class Gradients(NamedTuple):
    """A loss and its gradient with respect to ``theta`` (flat), ``params`` (by layer and name) and the input ``x``."""

    loss: float
    theta: Array
    params: list[LayerParams]
    x: Array


class _Idle(dict[str, "list[Predictor]"]):
    """The predictors of each engine that no thread is using; list.pop and append are atomic. It has weak references."""


class Network:
    """A stack of layers and the one vector that holds all their parameters.

    Parameters
    ----------
    layers : sequence of Layer
        In order; a layer without an input width takes that of the layer before.
    dtype : float32 or float64
        The type of parameters, outputs and computations: float32 by default, float64 to check gradients.
    seed : int, None or numpy.random.Generator
        Seed of the initial parameters; None draws a new one.

    Attributes
    ----------
    theta : array (n_params,)
        All parameters. Assigning to it copies the values.
    params : list
        One entry for each layer: ``params[0].W`` and ``params[0].b`` are views into ``theta``. The entry of a Residual
        block or of Members is a list of the entries of its layers.
    layers : tuple of Layer
        The layers, with all widths known.
    n_in, n_out, n_params : int
        The numbers of inputs, outputs and parameters.
    columns : ColumnNames
        ``columns.x`` and ``columns.t`` are the column names of the tables (of pandas or polars, say) that the network
        was first trained with; None if they had no names. Later tables must have the same columns in the same order.
        Files and copies keep the names.
    loss : Loss or None
        The loss of the last training, by which :meth:`predictions` interprets outputs; None before the first training.
        Files and copies keep it. A loss or its name can be assigned.

    Raises
    ------
    ShapeError
        For two layers that do not fit; the message names both.
    ConfigError, InputTypeError
        For an empty list, things that are not layers, or another dtype.

    Examples
    --------
    >>> net = Network([Dense(2, 3, "tanh"), Dense(3, 1)], seed=0)
    >>> net.n_params, net.predict([[0.5, -1.0]]).shape
    (13, (1, 1))
    """

    def __init__(
        self, layers: Sequence[Layer], *more: Never, dtype: DTypeLike = np.float32, seed: SeedLike = None
    ) -> None:
        if more or isinstance(layers, Layer) or not isinstance(layers, Sequence):
            given = f"{layers!r:.200}" + ", ..." * bool(more)
            raise InputTypeError(
                f"layers is a list of layers; got {given}: fc.Network([fc.Dense(2, 3), fc.Dense(3, 1)])"
            )
        if not layers:
            raise ConfigError("a network has one layer or more; the list is empty")
        try:
            kind: np.dtype[Any] = np.dtype("none" if dtype is None else dtype)  # NumPy takes None for float64
        except TypeError:
            raise InputTypeError(f"dtype is float32 or float64; got {dtype!r}") from None
        if kind not in (np.float32, np.float64):
            raise ConfigError(f"dtype is float32 or float64; got {kind}")
        self._build(chain(layers, None), kind)
        seed = randomness.as_seed(seed)
        self._seed: int | None = seed  # what adapt draws with; None if there is nothing to draw
        for op, p in zip(self.program.operations, self._p, strict=True):
            with np.errstate(over="ignore"):
                op.layer.initialize(p, randomness.generator(seed, randomness.INIT, op.number))
        if np.isfinite(self._theta).all() and np.isfinite(self._state).all() and not self.program.unset:
            self._seed = None
        else:
            self._require_finite(waiting=self.unset)

    def _require_finite(self, waiting: Sequence[str] = ()) -> None:
        """Raise if initial values are not finite, except NaN in operations that wait for training rows."""
        for op, p in zip(self.program.operations, self._p, strict=True):
            wrong = np.isinf if op.name in waiting else lambda view: ~np.isfinite(view)
            if any(wrong(view).any() for _, view in p):
                raise ConfigError(self._first_not_finite())

    def _first_not_finite(self) -> str:
        """Return a message about the initial values that are not finite."""
        for op, p in zip(self.program.operations, self._p, strict=True):
            for name, view in p:
                if not np.isfinite(view).all() and is_foreign(op.layer):
                    which = f"{type(op.layer).__name__}.initialize leaves {name} of {op.name}"
                    return f"{which} without finite values; set them: p.{name} = ..."
        return f"the initial values are not all finite in {self.dtype}; check init and bias_init"

    def _build(self, layers: tuple[Layer, ...], dtype: np.dtype[Any]) -> None:
        self.layers, self.program = layers, Program(layers)
        self.columns = ColumnNames(self.program.names)
        self._loss: Loss | Mapping[str, object] | None = None  # a description if the loss is not registered
        try:
            self._theta = aligned(self.program.n_params, dtype, np.nan)
            self._state = np.full(self.program.n_state, np.nan, dtype)
        except (MemoryError, ValueError):
            raise ConfigError(f"there is no memory for a network of {self.program.n_params:,} parameters") from None
        self._make_views()

    def _make_views(self) -> None:
        self._p = self.program.memory(self._theta, self._state)
        self._idle = _Idle({"auto": []})
        idle = self._idle["auto"] if self.program.members is None else []  # an ensemble's outputs have to be pooled
        self._quick = idle, self.program.n_out, self._theta.dtype

    @property
    def theta(self) -> Array:
        """All parameters, as one flat, contiguous vector."""
        return self._theta

    @theta.setter
    def theta(self, values: ArrayLike) -> None:
        values = as_array(values, "theta")
        if values.shape != self._theta.shape:
            raise ShapeError(f"theta has shape {self._theta.shape}; got {values.shape}")
        with np.errstate(over="ignore"):  # values too large for the dtype become infinite, which training refuses
            self._theta[...] = values

    @property
    def state(self) -> Array:
        """All running statistics (of BatchNorm), as one flat vector."""
        return self._state

    @property
    def params(self) -> list[LayerParams]:
        """The parameters of each layer, by name, as views into ``theta``."""
        return self._by_layer(self._theta)

    def _by_layer(self, flat: Array) -> list[LayerParams]:
        views = iter(self.program.views(flat))

        def entries(layers: Iterable[Layer]) -> list[Any]:
            found = [(layer, entry(layer)) for layer in layers]
            return [views for layer, views in found if not isinstance(layer, Add | Select)]

        def entry(layer: Layer) -> Any:
            if branches := [entries(branch) for branch in layer.branches()]:
                next(views)  # of what joins them
                return branches
            return entries(steps) if (steps := steps_of(layer)) else next(views)

        return [entry(layer) for layer in self.layers]

    @property
    def dtype(self) -> DType:
        """The dtype of parameters, outputs and computations."""
        return self._theta.dtype

    @property
    def loss(self) -> Loss | None:
        """The loss that the network was last trained with."""
        return self._loss if isinstance(self._loss, Loss) else None

    @loss.setter
    def loss(self, given: LossLike | None) -> None:
        from fullyconnected.program.data import check_loss

        self._loss = None if given is None else check_loss(self.program, given)

    @property
    def n_in(self) -> int:
        """The number of inputs: how many numbers a row has."""
        return self.program.n_in

    @property
    def n_out(self) -> int:
        """The number of outputs for a row."""
        return self.program.n_out

    @property
    def n_params(self) -> int:
        """The number of parameters."""
        return self.program.n_params

    @property
    def unset(self) -> tuple[str, ...]:
        """The operations that wait for training rows: their constants, or initial weights, are taken from these.

        :meth:`adapt` sets them, or :func:`fullyconnected.fit` at the start of the first training. Until then, the
        network cannot predict or be saved. A file never holds such a network; copies and pickles do.
        """
        if self._seed is None and not self.program.unset:
            return ()
        from fullyconnected.program.adapting import unset_operations

        return unset_operations(self.program, self._theta, self._state)

    def require_set(self) -> None:
        """Raise if the network waits for training rows."""
        if unset := self.unset:
            take = "takes" if len(unset) == 1 else "take"
            raise ConfigError(
                f"the network is unset: {in_words(unset)} {take} constants or initial weights from training rows. "
                f"Write net.adapt(x), or fit, first"
            )

    def predict(
        self,
        x: RowsLike,
        *,
        members: bool = False,
        engine: str = "auto",
        n_threads: int | None = None,
        precision: str | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the last layer's raw outputs (rows, n_out) for any number of rows, in bounded memory.

        Dropout is off, and batch normalisation uses its running statistics. Outputs that overflow are infinite or NaN.

        Of an ensemble (:class:`Members`), these are the outputs whose predictions are the mean of the members'
        predictions: the logarithm of the mean probability of each class, the log odds of the mean probability, the
        logarithm of the mean rate, or the mean, by the loss of the training (``net.loss``). An ensemble without a loss
        gives the mean of the outputs: set ``net.loss`` first if they are logits or logarithms.

        Parameters
        ----------
        x : array (rows, ...), or sparse matrix of SciPy
            Finite numbers of any dtype; 0 rows give 0 rows. With sparse rows, ``"auto"`` is NumPy if the network begins
            with Dense.
        members : bool
            Whether to return the outputs of all members (rows, members, n_out); only for an ensemble.
        engine : str
            ``"auto"``, ``"native"``, ``"numpy"`` or ``"cuda"``, as in :func:`fullyconnected.fit`. The engines' outputs
            differ by rounding alone.
        n_threads : int, optional
            As in :func:`fullyconnected.fit`.
        precision : "tf32" or "bfloat16", optional
            Of products of matrices, as in :func:`fullyconnected.fit`.
        out : array (rows, n_out), or (rows, members, n_out) with ``members=True``, optional
            Where the outputs are written, such as a file that ``np.lib.format.open_memmap`` maps into memory; None
            makes an array. It has the network's dtype, may lie in memory in any order, and shares none with ``x``. If
            rows of a source cannot be read in the middle, it holds the outputs of those before.

        Returns
        -------
        array (rows, n_out) or (rows, members, n_out)
            ``out``, if it is given.

        Raises
        ------
        ShapeError, InputTypeError, DataError
            For another width than ``n_in``, for values that are not numbers, and for NaN or infinity; for an ``out`` of
            another shape or dtype.
        ConfigError
            If ``engine="native"`` cannot run this network; for ``members=True`` if it is no ensemble; for an ensemble
            whose loss is not known, because it is not registered; for an ``out`` that is read-only or shares memory
            with ``x``.

        Examples
        --------
        >>> net = mlp([4, 8, 3], seed=0)
        >>> net.predict(np.zeros((0, 4))).shape
        (0, 3)
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "outputs.npy")
        >>> out = np.lib.format.open_memmap(path, "w+", net.dtype, (100, 3))
        >>> net.predict(np.ones((100, 4)), out=out) is out
        True
        """
        plain = out is None and engine == "auto" and precision is None and n_threads is None and members is False
        if plain and type(x) is ndarray and x.ndim == 2 and x.size:
            # one attribute holds all that is needed, since __getattr__ makes each look-up slower
            idle, n_out, dtype = self._quick
            try:
                predictor = idle.pop()
            except IndexError:  # this is the first prediction, or other threads use all predictors
                pass
            else:
                z = empty((len(x), n_out), dtype)
                done = predictor.row(x, z)
                idle.append(predictor)
                if done:
                    return z
        from fullyconnected.program.data import as_source  # here, as elsewhere, what the import can do without

        x = known_columns(x, self.program.names, self.columns.x)
        precision = check_precision(precision)
        source = as_source(x, self.program, self.dtype, empty=True, sparse=True)
        k, link = self.program.members, None
        if flag("members", members) and k is None:
            raise ConfigError(
                "members=True gives the outputs of each member of an ensemble, and this network is none: it does not "
                "end in fc.Members"
            )
        if not members and k is not None:
            link = self._link()
        if out is None:
            return self.outputs_checked(source, engine, n_threads, link, precision=precision)
        shape = (len(source), k, self.n_out) if members and k is not None else (len(source), self.n_out)
        given = _writable(out, shape, self.dtype, source.held())
        self.outputs_checked(source, engine, n_threads, link, lambda *_: given, precision)
        return out

    def _link(self) -> Link:
        """Return the link by which the outputs of members are pooled: that of the loss, or the identity without one."""
        if self._loss is None:
            return IDENTITY
        if not isinstance(self._loss, Loss):
            raise ConfigError(
                f"the network is an ensemble, and its loss says how outputs of members are averaged; but "
                f"{self._lost_loss()}. Set it, such as net.loss = fc.SoftmaxCrossEntropy(); or take the outputs of "
                f"each member, net.predict(x, members=True)"
            )
        return self._loss.link

    def _lost_loss(self) -> str:
        """Return why the loss that the network was trained with is not there."""
        if self._loss is None:
            return "it has not been trained, or comes from a file of an earlier version"
        assert not isinstance(self._loss, Loss)
        name = self._loss.get("loss") or self._loss["unknown"]
        return f"it was saved with a loss, {name:.80}, that is not registered, has changed or cannot be stored"

    def outputs_checked(
        self,
        x: Source,
        engine: str,
        n_threads: int | None,
        link: Link | None = None,
        new: Callable[[tuple[int, ...], DType], Array] = empty,
        precision: str | None = None,
    ) -> Array:
        """Return the outputs of checked rows; those of members are pooled if a ``link`` is given.

        ``new`` makes the array that they are in.
        """
        self.require_set()
        if n_threads is not None:
            n_threads = thread_count(n_threads)
        k = self.program.members
        pooled = k is not None and link is not None
        z = new((len(x), self.n_out) if k is None or pooled else (len(x), k, self.n_out), self.dtype)
        blocks: Iterator[tuple[int, Any]] = iter(x.blocks() if len(x) else ())
        if x.sparse and len(x) and engine in ("auto", "numpy") and self.program.multiplies_input and k is None:
            engine, blocks = "numpy", iter([(0, x)])  # which multiplies the entries alone; others get dense blocks
        key = engine if precision is None else f"{engine} in {precision}"
        try:
            predictor = self._idle[key].pop()
        except (KeyError, IndexError, TypeError):  # no predictor is idle, or there is no such engine
            from fullyconnected.engine.choice import IDLE, choose

            how: Any = {} if precision is None else {"precision": precision}
            chosen = choose(engine, self.program, **how, dtype=self.dtype).engine
            predictor = chosen.predictor(self.program, self._theta, self._state, **how)
            IDLE[id(self._idle)] = self._idle
        if not x.in_memory:
            from fullyconnected.program.reading import ahead

            blocks = ahead(blocks)
        try:
            for start, block in blocks:
                if k is None:
                    predictor.predict(block, z[start : start + len(block)], n_threads)
                    continue
                size = max(1, POOLED // (k * self.n_out))  # so that the outputs of all members take little memory
                for at in range(0, len(block), size):
                    rows = block[at : at + size]
                    there = z[start + at : start + at + len(rows)]
                    here = link is None and there.flags.c_contiguous
                    every = there if here else np.empty((len(rows), k, self.n_out), self.dtype)
                    predictor.predict(rows, every.reshape(-1, self.n_out), n_threads)
                    if not here:
                        there[...] = every if link is None else link.pooled(every)
        finally:
            if isinstance(blocks, Generator):
                blocks.close()
            self._idle.setdefault(key, []).append(predictor)
        return z

    def row_outputs_checked(self, x: Array) -> Array:
        """Return the outputs of the members for a checked row (1, k, n_out), with as few calls as there can be."""
        try:
            predictor = self._idle["auto"].pop()
        except (KeyError, IndexError):  # none is idle
            from fullyconnected.program.sources import ArraySource

            return self.outputs_checked(ArraySource(x), "auto", 1)
        try:
            z = np.empty((1, self.program.members or 1, self.program.n_out), self._theta.dtype)
            predictor.predict(x, z[0], 1)
            return z
        finally:
            self._idle["auto"].append(predictor)

    def predictions(self, x: RowsLike, *, engine: str = "auto", n_threads: int | None = None) -> Array:
        """Return probabilities, rates or values (rows, n_out): the outputs as the loss of the training interprets them.

        This is ``net.loss.predictions(net.predict(x))``: the probabilities of the classes with softmax cross-entropy,
        the probability of a 1 for each output with binary cross-entropy, rates with a Poisson loss, and the outputs
        themselves with other losses.

        Parameters
        ----------
        x, engine, n_threads
            As in :meth:`predict`.

        Raises
        ------
        ConfigError
            If the network has no loss: it has not been trained, or was loaded from a file without a loss.
        ShapeError, InputTypeError, DataError
            As in :meth:`predict`.

        Examples
        --------
        >>> net = Network([Dense(1, 2, init="zeros")])
        >>> net.loss = "softmax_cross_entropy"
        >>> net.predictions([[3.0]])
        array([[0.5, 0.5]], dtype=float32)
        """
        loss = self._loss
        if not isinstance(loss, Loss):
            raise ConfigError(
                f"the network has no loss, which defines what its outputs mean: {self._lost_loss()}. Set it, such as "
                f"net.loss = fc.SoftmaxCrossEntropy(); or use the outputs themselves, net.predict(x)"
            )
        return loss.predictions(self.predict(x, engine=engine, n_threads=n_threads))

    def evaluate(
        self,
        x: RowsLike,
        t: ArrayLike | None = None,
        loss: LossLike | None = None,
        metrics: MetricLike | Sequence[MetricLike] = "auto",
        *,
        sample_weight: ArrayLike | None = None,
        engine: str = "auto",
        n_threads: int | None = None,
        precision: str | None = None,
    ) -> Evaluation:
        """Return the loss and the metrics over a data set, computed as in prediction (``train=False``).

        Parameters
        ----------
        x, t : array
            Rows, which may be sparse as in :meth:`predict`, and their targets, as the loss takes them. A
            :class:`Source` is read block by block, and may have its own targets: then ``t`` is None.
        loss : Loss or str, optional
            Such as ``fc.SoftmaxCrossEntropy()``; None is that of the training, ``net.loss``.
        metrics : "auto", or sequence of str, Metric or callable
            ``accuracy``, ``mean_absolute_error``, ``mean_squared_error``, ``r2``, metrics of your own
            (:class:`fullyconnected.Metric`), or functions ``(outputs, targets) -> float``. ``"auto"`` is accuracy if
            the targets are classes, else none. A metric that is not defined for these targets is refused.
        sample_weight : array (rows,), optional
            Weights of the rows in the loss and in the metrics; functions do not get them. An ensemble is judged as a
            whole: of weights (rows, members) a row has their mean.
        engine, n_threads, precision
            As in :meth:`predict`.

        Returns
        -------
        Evaluation
            ``loss``, without label smoothing, and ``metrics`` by name.

        Raises
        ------
        ShapeError, InputTypeError, DataError, ConfigError
            As in :func:`fullyconnected.fit`.

        Examples
        --------
        >>> mlp([1, 1], seed=0).evaluate([[0.0], [0.0]], [2.0, 4.0], "half_squared_error", ["mean_absolute_error"])
        Evaluation(loss=5.0, metrics={'mean_absolute_error': 3.0})
        """
        from fullyconnected.metrics import named
        from fullyconnected.program.data import check_data

        loss = self.loss if loss is None else loss
        precision = check_precision(precision)
        data = check_data(self.program, self.dtype, x, t, loss, sample_weight, columns=self.columns, sparse=True)
        measured = named(metrics, data.t, data.loss, self.n_out, data.row_sample_weight)
        return self.evaluate_checked(data, measured, engine, n_threads, precision)

    def evaluate_checked(
        self,
        data: Data,
        metrics: Mapping[str, Metric],
        engine: str = "auto",
        n_threads: int | None = None,
        precision: str | None = None,
    ) -> Evaluation:
        """Return the loss and the metrics over checked data; the loss is summed in float64 over blocks of rows."""
        from fullyconnected.core.mapped import scratch

        new = empty if data.x.in_memory and not is_mapped(data.x.held()) else scratch
        outputs = self.outputs_checked(data.x, engine, n_threads, data.loss.link, new, precision)
        return evaluation(outputs, data, metrics)

    def evaluate_members(
        self,
        data: Data,
        metrics: Mapping[str, Metric],
        engine: str = "auto",
        n_threads: int | None = None,
    ) -> tuple[Evaluation, Array]:
        """Return the same for an ensemble, and the loss of each member with its own weights of the rows."""
        return self.evaluate_outputs_of_members(self.outputs_checked(data.x, engine, n_threads), data, metrics)

    def evaluate_outputs_of_members(
        self, z: Array, data: Data, metrics: Mapping[str, Metric]
    ) -> tuple[Evaluation, Array]:
        """Return the same of the outputs of all members (rows, members, n_out)."""
        size = max(1, POOLED // (z.shape[1] * self.n_out))
        blocks = [data.loss.link.pooled(z[start : start + size]) for start in range(0, len(z), size)]
        return evaluation(np.concatenate(blocks), data, metrics), member_losses(z, data)

    def gradients(
        self,
        x: ArrayLike,
        t: ArrayLike,
        loss: LossLike,
        l2: float = 0.0,
        sample_weight: ArrayLike | None = None,
        train: bool = False,
        seed: SeedLike = None,
        *,
        engine: str = "numpy",
    ) -> Gradients:
        """Return the loss of a batch and its gradient with respect to every parameter and to the input.

        The loss of an ensemble is the mean of its members' losses.

        Parameters
        ----------
        x, t : array
            A batch of one row or more; it must be dense, as the gradient with respect to it is.
        loss : Loss or str
            Such as ``fc.HalfSquaredError()``.
        l2 : float
            Strength of the penalty ``l2 / 2 sum(W^2)``, which is added to the loss; 0 or more.
        sample_weight : array (rows,) or (rows, members), optional
            Weights of the rows; in an ensemble, for each member if they are given so.
        train : bool
            Whether to use dropout and the statistics of the batch (BatchNorm). Running statistics do not change.
        seed : int, None or numpy.random.Generator
            Seed of the dropout masks.
        engine : str
            ``"numpy"`` (the layers' own code), ``"native"``, or ``"auto"`` for the fastest that can run the network.

        Returns
        -------
        Gradients
            ``loss``, and gradients ``theta`` (flat), ``params`` (as the network's) and ``x`` (in the input's shape).

        Raises
        ------
        ShapeError, InputTypeError, DataError, ConfigError
            As in :func:`fullyconnected.fit`.

        Examples
        --------
        >>> net = Network([Dense(2, 2)], dtype=np.float64)
        >>> net.params[0].W = [[0.15, 0.20], [0.25, 0.30]]
        >>> net.params[0].b = [0.35, 0.45]
        >>> g = net.gradients([[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error")
        >>> round(g.loss, 12), g.params[0].W.round(12).tolist()
        (0.18365, [[0.048, -0.037], [0.24, -0.185]])
        """
        from fullyconnected.program.data import check_data

        data = check_data(self.program, self.dtype, x, t, loss, sample_weight, columns=self.columns)
        self.require_set()
        state = self._state.copy() if train else self._state
        l2, seed = number("l2", l2), randomness.as_seed(seed) if train else 0
        from fullyconnected.engine.choice import choose

        runs = choose(engine, self.program, loss=data.loss, source=data.x).engine
        value, flat, dx = runs.gradient(self.program, self._theta, state, data, l2=l2, train=train, seed=seed)
        return Gradients(value, flat, self._by_layer(flat), dx.reshape(np.shape(x)))

    def loss_and_grad(
        self, x: ArrayLike, t: ArrayLike, loss: LossLike, l2: float = 0.0, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Array]:
        """Return the loss of a batch and its flat gradient, as ``scipy.optimize.minimize(jac=True)`` needs them."""
        g = self.gradients(x, t, loss, l2, sample_weight)
        return g.loss, g.theta

    def adapt(self, x: RowsLike, sample_weight: ArrayLike | None = None, *, t: ArrayLike | None = None) -> None:
        """Take constants and initial weights from training rows, where layers leave them to the data.

        Layers that do are ``Standardize(n_in)`` and ``Rescale()`` without mean and scale, ``PiecewiseLinearEncoding``
        and ``PiecewiseLinearEmbedding`` without edges, and Dense layers with ``init="unit_variance"`` or
        ``bias_init="he+5"``. They adapt one after the other, each to the rows as the layers before it give them in
        prediction, block by block. What is set already stays as it is: a second call does nothing.
        :func:`fullyconnected.fit` does the same with its rows before the first training.

        Parameters
        ----------
        x : array (rows, ...), or sparse matrix of SciPy
            Training rows, as in :meth:`predict`; one or more.
        sample_weight : array (rows,), optional
            Weights of the rows, 0 or more; rows of weight 0 are left out.
        t : array (rows,) or (rows, n_out), optional
            Targets, which a network that ends in ``Rescale()`` needs; for others they may be of any kind.

        Raises
        ------
        ShapeError, InputTypeError, DataError, ConfigError
            For rows, weights or targets that cannot be used, and for initial weights that are not finite.

        Examples
        --------
        >>> net = Network([Dense(2, 3, "relu", init="unit_variance"), Dense(3, 1)], seed=0)
        >>> net.unset
        ('dense_1',)
        >>> net.adapt([[0.0, 1.0], [2.0, -1.0], [1.0, 3.0]])
        >>> net.unset, net.predict([[1.0, 1.0]]).shape
        ((), (1, 1))
        """
        from fullyconnected.program.claims import beside
        from fullyconnected.program.data import as_source
        from fullyconnected.program.sources import Source

        x = known_columns(x, self.program.names, self.columns.x)
        source = as_source(x, self.program, self.dtype, sparse=True)
        weights = None
        if isinstance(x, Source):
            its_t, its_weight = beside(x, "x")
            t, sample_weight = its_t if t is None else t, its_weight if sample_weight is None else sample_weight
        if sample_weight is not None:
            weights = as_weights(sample_weight, len(source), members=self.program.members)
            weights = weights if weights.ndim == 1 else weights.mean(axis=1)
        targets = None
        if t is not None:
            given = same_rows(len(source), as_array(t, "t"), "t")
            require_finite(given, "t", self.dtype)
            if any(op.layer.unset and op.layer.adapts_to_targets for op in self.program.operations):
                targets = in_dtype(as_outputs(given, self.n_out), self.dtype)
        if self.unset:
            self.adapt_checked(source, weights, targets)
            self.columns = self.columns._replace(x=self.columns.x or columns_of(x))

    def adapt_to(self, data: Data) -> Callable[[], None]:
        """Adapt to the rows of a checked data set and, at the end, to its targets; what is returned undoes it."""
        last = self.program.operations[-1]
        if last.layer.unset and last.layer.adapts_to_targets and not data.loss.link.is_identity:
            raise ConfigError(
                f"{last.name}, {last.layer!r:.80}, takes its constants from the targets, but {data.loss!r:.80} takes "
                f"{data.loss.link.takes}, no estimates of the targets: leave it out, or give it mean and scale"
            )
        return self.adapt_checked(data.x, data.row_sample_weight, data.t)

    def adapt_checked(self, x: Source, weights: Array | None, targets: Array | None) -> Callable[[], None]:
        """Adapt to checked rows, and return a function that undoes it."""
        from fullyconnected.program.adapting import adapted

        theta = self._theta.copy()
        undo = self.take(adapted(self.layers, theta, self._state, x, weights, targets, self._seed or 0), theta)
        try:
            self._require_finite()
        except ConfigError:
            undo()
            raise ConfigError(
                f"initial weights that are drawn from the training rows are not all finite in {self.dtype}: the rows "
                f"are too large for it. Begin the network with fc.Standardize({self.n_in})"
            ) from None
        return undo

    def take(self, layers: tuple[Layer, ...], theta: Array) -> Callable[[], None]:
        """Take adapted layers and parameters in place of the network's own, and return a function that undoes it."""
        before = self.layers, self._theta.copy(), self._seed
        self._set(layers, theta, None)
        return lambda: self._set(*before)

    def _set(self, layers: tuple[Layer, ...], theta: Array, seed: int | None) -> None:
        """Replace the layers by others with the same parameters, and set these."""
        self._theta[...], self._seed = theta, seed
        if layers is not self.layers:
            self.layers, self.program = layers, Program(layers)
        self._make_views()

    def get_weights(self, layout: str = "in,out") -> list[Array]:
        """Return copies of all parameter arrays, W as (n_in, n_out), or as (n_out, n_in) for layout ``"out,in"``."""
        transposed = _is_transposed(layout)
        if np.isnan(self._theta).any():
            self.require_set()
        views = ((tensor.of(self._theta), transposed and tensor.param.matrix) for tensor in self.program.tensors)
        return [(a.swapaxes(-1, -2) if turn else a).copy() for a, turn in views]

    def set_weights(self, weights: Sequence[ArrayLike], layout: str = "in,out") -> None:
        """Set all parameter arrays, in the order and layout of :meth:`get_weights`; none is set if one does not fit."""
        transposed, tensors = _is_transposed(layout), self.program.tensors
        if not isinstance(weights, Sequence):
            raise InputTypeError(
                f"weights is a list of arrays, as get_weights returns it; got a {type(weights).__name__}"
            )
        if len(weights) != len(tensors):
            raise ShapeError(f"the network has {len(tensors)} parameter arrays; got {len(weights)}")
        arrays = []
        for tensor, a in zip(tensors, weights, strict=True):
            a = as_array(a, tensor.name)
            a = a.swapaxes(-1, -2) if transposed and tensor.param.matrix and a.ndim > 1 else a
            if a.shape != tensor.shape:
                after = " after transposing" * transposed
                raise ShapeError(f"{tensor.name} is {tensor.shape} as (in, out); got {a.shape}{after}")
            require_finite(a, tensor.name, self.dtype)
            arrays.append(a)
        for tensor, a in zip(tensors, arrays, strict=True):
            tensor.of(self._theta)[...] = a

    def copy_weights_from(self, other: Network, names: str | Iterable[str] | None = None) -> list[str]:
        """Copy parameters and running statistics from another network, by name; if one does not fit, none is copied.

        Parameters
        ----------
        other : Network
            The network to copy from. Its dtype may be another one.
        names : str or iterable of str, optional
            What to copy: layers, ``"dense_1"``, blocks, ``"residual_1"``, or full names, ``"dense_1.W"``. None copies
            everything that this network has.

        Returns
        -------
        list of str
            The full names of what was copied.

        Raises
        ------
        UnknownNameError
            For a name that this network does not have.
        ShapeError
            If the other network lacks something, or has it in another shape; the message lists all of it.
        InputTypeError, DataError
            If ``other`` is not a network, or holds numbers that are not finite in this network's dtype.

        Examples
        --------
        >>> old, new = mlp([2, 3, 1], seed=0), mlp([2, 3, 5], seed=1)
        >>> new.copy_weights_from(old, ["dense_1"])
        ['dense_1.W', 'dense_1.b']
        """
        if not isinstance(other, Network):
            raise InputTypeError(
                f"weights are copied from a Network, such as fc.load(path); got a {type(other).__name__}"
            )
        given: list[Any] | None = None if names is None else [names] if isinstance(names, str) else list(names)
        for each in given or ():
            if not isinstance(each, str):
                raise InputTypeError(f'names are those of layers or parameters, such as "dense_1"; got {each!a:.80}')
        mine, its = (net.program.named(net._theta, net._state) for net in (self, other))
        chosen = mine if given is None else {name: None for each in given for name in self.program.names_of(each)}
        wrong = {name: f"{name} is not there" for name in chosen if name not in its}
        for name in chosen:
            if name in its and mine[name].shape != its[name].shape:
                wrong[name] = f"{name} is {mine[name].shape} here and {its[name].shape} there"
        if wrong:
            unfit = {name.rpartition(".")[0] for name in wrong}
            fit = list(dict.fromkeys(owner for name in chosen if (owner := name.rpartition(".")[0]) not in unfit))
            raise ShapeError(
                f"the other network does not fit: {'; '.join(wrong.values())}"
                + f". To copy what fits: names={fit}" * bool(fit)
            )
        for name in chosen:
            require_finite(its[name], f"{name} of the other network", self.dtype)
        for name in chosen:
            mine[name][...] = its[name]
        return list(chosen)

    def summary(self, width: int | None = None) -> Summary:
        """Return a table of the layers: formula, output shape, parameters, memory and FLOPs; notebooks show it as HTML.

        Weights are the parameters to which l2 and weight decay apply; biases are all others, such as the gamma and
        beta of a norm. A FLOP is an addition or a multiplication in predicting a row. Dense takes 2 n_in n_out FLOPs,
        and n_out for its bias; LayerNorm takes 7 per unit, RMSNorm and BatchNorm 4, and the end of a Residual block 1.
        Activation functions are not counted, and the FLOPs of your own layers are not known (``-``).

        Parameters
        ----------
        width : int, optional
            The maximum length of a line, 1 or more. If it is too short for columns, the table becomes a list. None
            takes the terminal's width (or COLUMNS), or 80 if standard output is not a terminal.

        Returns
        -------
        Summary
            A string.

        Raises
        ------
        InputTypeError, ConfigError
            For a width that is not a whole number, or below 1.

        Examples
        --------
        >>> print(mlp([2, 3, 1], activation="sigmoid", seed=0).summary(width=80))
        Network: (rows, 2) -> (rows, 1), float32
        <BLANKLINE>
        layer    formula           output     weights  biases  memory  FLOPs a row
        -------  ----------------  ---------  -------  ------  ------  -----------
        dense_1  sigmoid(x W + b)  (rows, 3)        6       3    36 B           15
        dense_2  x W + b           (rows, 1)        3       1    16 B            7
        -------  ----------------  ---------  -------  ------  ------  -----------
        total                                       9       4    52 B           22
        <BLANKLINE>
        parameters: 13; l2 and weight decay shrink 9 weights, and leave 4 biases alone
        training: forward and backward take 50 FLOPs and 60 B a row, without the
          loss
        """
        from fullyconnected.program.summary import summarise

        return summarise(self.program, self.dtype, width, self.unset)

    def save(self, path: PathLike) -> None:
        """Write the network to a file, by default of the safetensors format; an old file is replaced in one step.

        Raises
        ------
        ConfigError
            For parameters that are not finite or not set, or a layer or activation that a file cannot hold.
        OSError
            If the file cannot be written, or is marked read-only.
        """
        from fullyconnected.files import Model, write_model  # here, since training and prediction do not need it

        self.require_set()
        write_model(path, Model(self.layers, self._theta, self._state, columns=self.columns, loss=self._loss))

    def copy(self) -> Network:
        """Return a copy of the network, with its own parameters."""
        return copy.deepcopy(self)

    __copy__ = copy  # two networks never share their parameters

    @classmethod
    def from_vectors(
        cls,
        layers: tuple[Layer, ...],
        theta: Array,
        state: Array,
        columns: ColumnNames = UNNAMED,
        loss: Loss | Mapping[str, object] | None = None,
        seed: int | None = None,
    ) -> Network:
        """Return a network that uses the given vectors without copying them; ``seed`` is for parameters not yet set."""
        net, vectors = cls.__new__(cls), {"theta": theta, "state": state}
        net.__setstate__({"layers": layers, **vectors, "columns": columns, "loss": loss, "seed": seed})
        return net

    def _parts(self) -> dict[str, Any]:
        vectors = {"theta": self._theta, "state": self._state}
        return {"layers": self.layers, **vectors, "columns": self.columns, "seed": self._seed}

    def __getstate__(self) -> dict[str, Any]:
        state = {**self._parts(), "loss": {"unknown": type(self._loss).__name__}}
        with suppress(Exception):  # its class is defined in a function, say; the network can be pickled all the same
            state["pickled_loss"] = pickle.dumps(self._loss)
        return state

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        return type(self).from_vectors(**copy.deepcopy(self._parts(), memo), loss=self._loss)

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.layers, self.columns = saved["layers"], saved.get("columns", UNNAMED)
        self._seed = saved.get("seed")
        self._loss = saved.get("loss")
        with suppress(Exception):  # the class of the loss may not exist in this process
            self._loss = pickle.loads(saved.get("pickled_loss", b""))
        # joblib gives its workers read-only arrays that are mapped from a file; np.require copies them
        self._theta, self._state = (np.require(saved[name], None, ["C", "W", "E"]) for name in ("theta", "state"))
        self.program = Program(self.layers)
        self.columns = ColumnNames(self.columns.x or self.program.names, self.columns.t)
        self._make_views()

    if not TYPE_CHECKING:  # else a type checker would accept any attribute, and any call

        def __getattr__(self, name: str) -> Any:  # reached only for names that do not exist
            if name.startswith("_"):  # tools look such names up, and expect an AttributeError
                raise AttributeError(f"'Network' object has no attribute {name!r}")
            from fullyconnected.core.habits import ATTRIBUTES, advice

            known = [each for each in (*dir(type(self)), *vars(self)) if not each.startswith("_")]
            raise MissingNameError(f"a Network has no attribute {name!r}{advice(name, ATTRIBUTES, known, 'net.')}")

        def __call__(self, *given: object, **settings: object) -> NoReturn:
            """Raise, since a network is not a function."""
            raise InputTypeError("a Network cannot be called; write net.predict(x)")

    def __repr__(self) -> str:
        return f"Network({list(self.layers)!a}, dtype={self.dtype})"

    def _repr_html_(self) -> str:
        return self.summary().table


def _writable(out: Any, shape: tuple[int, ...], dtype: DType, x: Any) -> Array:
    """Return the array in which outputs of rows ``x`` can be written, or raise."""
    if not isinstance(out, ndarray) or isinstance(out, np.ma.MaskedArray):
        raise InputTypeError(f"out is an array to write to, such as np.empty({shape}, {dtype.name!r}); got {out!a:.80}")
    if out.dtype != dtype:
        raise InputTypeError(f"out has dtype {out.dtype}; the outputs of this network are {dtype}")
    if out.shape != shape:
        raise ShapeError(f"out has shape {out.shape}; the outputs have {shape}")
    if not out.flags.writeable:
        raise ConfigError('out is read-only: give one that can be written to (mode "r+" or "w+" of a mapped file)')
    effort: Any = 1000  # places that are compared before arrays whose entries lie between each other count as shared
    for read in (x.data, x.indices, x.indptr) if hasattr(x, "indptr") else (x,):
        if isinstance(read, ndarray) and np.may_share_memory(out, read):
            try:
                shared = np.shares_memory(out, read, effort)
            except np.exceptions.TooHardError:
                shared = True
            if shared:
                raise ConfigError("out shares memory with x, which is read while out is written: give another array")
    return np.asarray(out)


def _is_transposed(layout: str) -> bool:
    if layout not in ("in,out", "out,in"):
        raise ConfigError(f'layout is "in,out" or "out,in"; got {layout!r}')
    return layout == "out,in"


def mlp(
    sizes: SizesLike,
    activation: ActivationLike | None = "relu",
    output_activation: ActivationLike | None = None,
    *more: Never,
    dtype: DTypeLike = np.float32,
    seed: SeedLike = None,
) -> Network:
    """Return a network of Dense layers: ``mlp([784, 512, 10])`` has one hidden layer of 512 units.

    Parameters
    ----------
    sizes : sequence of int
        The numbers of inputs, of units of each hidden layer, and of outputs: two numbers or more.
    activation, output_activation
        Activations of the hidden layers and of the last layer, as in :class:`Dense`.
    dtype, seed
        As in :class:`Network`.

    Raises
    ------
    ConfigError, InputTypeError, UnknownNameError
        For fewer than two sizes, a size that is not a whole number of 1 or more, or an unknown activation.

    Examples
    --------
    >>> [layer.n_out for layer in mlp([784, 512, 10], seed=0).layers]
    [512, 10]
    """
    apart = more or _is_sizes(activation) or _is_sizes(output_activation)
    if apart or isinstance(sizes, str) or not isinstance(sizes, Sequence | np.ndarray) or len(sizes) < 2:
        numbers: list[Any] = [each for each in (sizes, activation, output_activation, *more) if _is_sizes(each)]
        given = np.hstack(numbers or [0])
        hint = f": fc.mlp({given.tolist()})" if apart and given.size > 1 else ""
        raise ConfigError(
            f"sizes are a list, of the input, the hidden layers and the output, two or more; "
            f"got {sizes!r:.200}{hint or ', ...' * bool(more)}"
        )
    widths = [count(f"sizes[{i}]", size) for i, size in enumerate(sizes)]
    if activation is not None:
        activation = as_activation(activation)  # checked even if there is no hidden layer
    activations = [activation] * (len(widths) - 2) + [output_activation]
    pairs = zip(widths[:-1], widths[1:], activations, strict=True)
    return Network([Dense(n_in, n_out, f) for n_in, n_out, f in pairs], dtype=dtype, seed=seed)


def _is_sizes(given: Any) -> bool:
    """Whether something is a whole number or a list of whole numbers."""
    numbers = given if isinstance(given, list | tuple) else [given]
    return bool(numbers) and all(isinstance(each, Integral) and not isinstance(each, bool) for each in numbers)


def load(path: PathLike) -> Network:
    """Return the network in a file from :meth:`Network.save` or a checkpoint; no code in the file is executed.

    Raises
    ------
    FileFormatError
        For a file that is damaged, of another version, or names a layer that is not registered; and for an estimator
        for tables, which is more than its network.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
    >>> net = mlp([2, 3, 1], seed=0)
    >>> net.save(path)
    >>> bool((load(path).theta == net.theta).all())
    True
    """
    from fullyconnected.files import read_model

    model = read_model(path)
    for kind, networks in (("table", "net"), ("tabular", "ensemble_.networks")):
        if kind in model.extras:
            name = os.fspath(path)
            raise FileFormatError(
                f"{name} is a model for a table, as 'fullyconnected train' writes it: what encodes a table, and what "
                f"predictions stand for, is in no network, so that one alone would mislead. To predict: fullyconnected "
                f"predict {name} TABLE.csv. In Python: import fullyconnected as fc; model = "
                f"fc.load_estimator({name!r}); model.predict(table) gives labels or numbers, and model.{networks} is "
                f"what it is made of"
            )
    return Network.from_vectors(model.layers, model.theta, model.state, model.columns, model.loss)
