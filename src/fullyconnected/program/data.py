"""Data sets (rows, targets, weights and a loss), checked once against a network before anything is computed."""

import math
import re
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.base import Loss, encoded_by, in_dtype
from fullyconnected.core.arrays import Array, take
from fullyconnected.core.batches import Rows, Whole
from fullyconnected.core.checks import (
    UNNAMED,
    ColumnNames,
    as_array,
    as_weights,
    columns_of,
    known_columns,
    refuse_path,
    require_finite,
    rows_of,
    same_columns,
    same_rows,
)
from fullyconnected.core.mapped import is_mapped, scratch
from fullyconnected.errors import ConfigError, DataError, InputTypeError, ShapeError
from fullyconnected.losses import LOSSES
from fullyconnected.program.claims import beside, names_of, place_of, shape_of
from fullyconnected.program.program import Program
from fullyconnected.program.sources import (
    ArraySource,
    Read,
    Source,
    SparseSource,
    array_source,
    is_sparse,
    number_of,
)
from fullyconnected.program.workspace import Batch, Workspace

BLOCK = 1 << 16  # rows whose targets are encoded at a time

__all__ = [
    "BatchLoader",
    "Data",
    "as_source",
    "check_data",
    "check_loss",
    "require_rows",
    "with_targets",
]


class Data(NamedTuple):
    """Checked rows (rows, n_in), targets as the loss encodes them, the loss, and what each row weighs in it (rows,).

    ``sample_weight`` are the weights that were given. The loss may multiply these, and metrics do not. Both may be
    (rows, members) where the network is an ensemble.
    """

    x: Source
    t: Array
    weights: Array | None
    loss: Loss
    sample_weight: Array | None = None

    @property
    def row_weights(self) -> Array | None:
        """What each row weighs in the loss (rows,): in an ensemble, the mean of what it weighs for the members."""
        return _of_rows(self.weights)

    @property
    def row_sample_weight(self) -> Array | None:
        """The weights that were given (rows,), likewise."""
        return _of_rows(self.sample_weight)


def _of_rows(w: Array | None) -> Array | None:
    return w if w is None or w.ndim == 1 else np.asarray(w.mean(axis=1))


def check_loss(program: Program, loss: Any) -> Loss:
    """Return a loss, given as an object or by name; or raise if it does not fit the outputs of the program."""
    loss = LOSSES.get(loss)
    n_out = program.n_out
    if n_out < loss.min_outputs:
        raise ConfigError(
            f"{type(loss).__name__} takes {loss.min_outputs} outputs or more and the network has {n_out}"
            + (": one for each class. (For two classes with a single output: BinaryCrossEntropy)" if n_out == 1 else "")
        )
    if (output := output_activation(program)) in loss.link.refuses:
        raise ConfigError(
            f"the network ends in {output!r}, but {type(loss).__name__} takes "
            f"{loss.link.takes}. Remove the activation of the last layer"
        )
    if program.members is not None and not loss.link.pools:
        what = type(loss).__name__
        if loss.link.predicts == "scores":
            why = "outputs are scores, and a mean of scores is no mean of predictions. Use SoftmaxCrossEntropy()"
        else:
            why = (
                f"link is {loss.link.name!a:.80}, and it is unknown which outputs give the mean of several members' "
                f"predictions. Let {type(loss.link.inverse).__name__} have of_mean (help(fc.ActivationFunction))"
            )
        raise ConfigError(f"the network is an ensemble, of which the mean prediction counts; but {what}'s {why}")
    return loss


def check_data(
    program: Program,
    dtype: np.dtype[Any],
    x: Any,
    t: Any,
    loss: Any,
    sample_weight: Any = None,
    what: str = "",
    columns: ColumnNames = UNNAMED,
    *,
    sparse: bool = False,
) -> Data:
    """Return data on which a network of this program and dtype can be trained or evaluated, or raise.

    ``what`` is a prefix to the names of the arrays in messages: ``"validation "``. ``columns`` are the columns that
    the network was trained with. ``sparse`` says whether ``x`` may be sparse; else it must be dense.
    """
    t, sample_weight = with_targets(x, t, sample_weight, (f"{what}x", f"{what}t", f"{what}sample_weight"))
    if isinstance(x, Source):
        names_of(x, f"{what}x")  # which raises if its columns are no names
    x = known_columns(x, program.names, columns.x, f"{what}x")
    same_columns(columns.t, columns_of(t), f"{what}t", "net.columns.t")
    loss, n_out = check_loss(program, loss), program.n_out
    try:
        source = as_source(x, program, dtype, f"{what}x", sparse=sparse)
    except ShapeError as error:
        if not _fits(t, program.n_in):
            raise
        raise ShapeError(f"{error}. {what}t has that shape: are {what}x and {what}t swapped?") from None
    t = same_rows(len(source), as_array(t, f"{what}t"), f"{what}t")
    require_finite(t, f"{what}t", dtype)
    t = _encoded(loss, t, n_out, dtype)
    given = None
    if sample_weight is not None:
        given = as_weights(sample_weight, len(source), f"{what}sample_weight", program.members)
    if type(source) is ArraySource:
        source = ArraySource(np.ascontiguousarray(source.array))
    return Data(source, t, _weights(loss, t, given), loss, given)


def _encoded(loss: Loss, t: Array, n_out: int, dtype: np.dtype[Any]) -> Array:
    """Return targets as the loss encodes them; of those in a file, what is not them lies in a file, too."""
    if not is_mapped(t) or len(t) <= BLOCK:
        return in_dtype(encoded_by(loss, t, n_out), dtype)
    first = in_dtype(encoded_by(loss, t[:BLOCK], n_out), dtype)
    if np.may_share_memory(first, t):  # it is what was given
        return in_dtype(encoded_by(loss, t, n_out), dtype)
    out = scratch((len(t), *first.shape[1:]), first.dtype)
    try:
        for start in range(0, len(t), BLOCK):
            out[start : start + BLOCK] = in_dtype(encoded_by(loss, t[start : start + BLOCK], n_out), dtype)
    except DataError:
        encoded_by(loss, t, n_out)  # which counts its rows from the first one
        raise
    return out


def with_targets(x: Any, t: Any, sample_weight: Any, names: tuple[str, str, str]) -> tuple[Any, Any]:
    """Return the targets and the weights as given, or else those that a source has beside its rows; or raise.

    ``names`` are those of the three in messages.
    """
    for name, given in zip(names, (x, t, sample_weight), strict=True):
        refuse_path(given, name)
    own, weights = beside(x, names[0]) if isinstance(x, Source) and shape_of(x, names[0]) else (None, None)
    kind = type(x).__name__
    if t is None and own is None:
        more = f"this {kind} has no targets of its own" if isinstance(x, Source) else f"{names[0]} is a {kind}"
        raise InputTypeError(f"{names[1]} is missing: {more}. Give the targets of its rows")
    for name, given, its in ((names[1], t, own), (names[2], sample_weight, weights)):
        if given is not None and its is not None:
            raise ConfigError(f"{name} is given, and {names[0]}, a {kind}, has its own: give one")
    return (own if t is None else t), (weights if sample_weight is None else sample_weight)


def _weights(loss: Loss, t: Array, given: Array | None) -> Array | None:
    """Return what rows weigh in a loss; the weights of classes multiply those of each member."""
    if given is None or given.ndim == 1:
        return loss.row_weights(t, given)
    factors = loss.row_weights(t, None)
    if factors is None:
        return given
    what = f"sample weight times class_weight of {type(loss).__name__}"
    return as_weights(given * factors[:, None], len(t), what, given.shape[1])


def as_source(
    x: Any, program: Program, dtype: np.dtype[Any], what: str = "x", *, empty: bool = False, sparse: bool = False
) -> Source:
    """Return rows (rows, n_in) that a network of this dtype can read, or raise."""
    n_in = program.n_in
    if sparse and is_sparse(x):
        source: Source = SparseSource.of(x, n_in, what, empty=empty)
    elif not isinstance(x, Source):
        x = as_array(x, what, missing=program.reads_raw)
        rows_of(x.shape, n_in, what, empty=empty)
        source = array_source(x, n_in)
    elif (shape := shape_of(x, what))[1] == n_in and (shape[0] or empty):
        source = x.source if isinstance(x, Read) else x  # it is checked anew
    else:
        raise ShapeError(f"{what} has shape {shape}; the network wants (rows, {n_in}), with one row or more")

    def check(block: Array, start: int) -> None:
        try:
            program.check_rows(block, what, dtype, start)
        except DataError as error:
            raise _with_place(error, source, what) from None

    if not isinstance(source, ArraySource | SparseSource):
        return Read(source, what, check)
    if program.reads_raw:
        for start, block in Source.blocks(source):
            program.check_rows(block, what, dtype, start)
    else:
        source.require_finite(what, dtype)
    return source


def _with_place(error: DataError, source: Source, what: str) -> DataError:
    """Return an error that names what[row, column] with the place that this number of a source comes from."""
    found = re.search(rf"{re.escape(what)}\[(\d+)(?:, (\d+))?\]", text := str(error))
    if found is None:
        return error
    row = int(found[1])
    place = place_of(source, row, None if found[2] is None else int(found[2]))
    text = f"{text[: found.start(1)]}{number_of(source, row)}{text[found.end(1) :]}"
    return type(error)(f"{text} ({place})" if place else text)


class BatchLoader:
    """Copies rows of a data set into the batches of a workspace; all its memory is allocated when it is made."""

    def __init__(self, data: Data, workspace: Workspace) -> None:
        self.data, self.workspace = data, workspace
        self.copies = workspace.program.copies
        self._t = np.empty((workspace.rows, *data.t.shape[1:]), data.t.dtype)
        self._w = np.empty((workspace.rows, *(() if data.weights is None else data.weights.shape[1:])))
        # the targets and weights of the rows, once for each copy
        self._copied = None
        if self.copies > 1:
            self._copied = np.empty((workspace.rows, self.copies, *data.t.shape[1:]), data.t.dtype)
        self._shares = np.empty((workspace.rows, self.copies))
        self._bound: dict[int, tuple[Batch, Array, Array, Array]] = {}

    def load(self, rows: Rows, whole: Whole | None = None) -> tuple[Batch, float]:
        """Return the batch of these rows, and the sum of their weights; if that is 0, skip the batch.

        Where they are a part of a ``whole`` batch, the weights are divided by its sum, which is returned.
        """
        data, n = self.data, len(rows)
        bound = self._bound.get(n)
        if bound is None:
            batch = self.workspace.bind(n)
            batch.t = self._t[:n] if self._copied is None else self._copied[:n].reshape(-1, *data.t.shape[1:])
            bound = self._bound[n] = batch, batch.x, self._t[:n], self._w[:n]
        batch, x, t, w = bound
        data.x.take(rows, x)
        take(data.t, rows, t, axis=0)
        if self._copied is not None:
            np.copyto(self._copied[:n], t[:, None])
        if data.weights is not None:
            take(data.weights, rows, w, axis=0)
        elif whole is None:
            return batch, n
        else:
            w[...] = 1
        if self.copies > 1:
            return batch, self._share_out(batch, w, whole)
        share = float(w.sum()) if whole is None else whole.weight
        if share:
            batch.set_weights(w, None if whole is None else share)
        return batch, share

    def _share_out(self, batch: Batch, w: Array, whole: Whole | None) -> float:
        """Set the weights of an ensemble's batch, (rows,) or (rows, members), and return the mean of members' sums.

        The loss of each member is a weighted mean of its own, and the loss of the batch is the mean over the members;
        one of which no row has weight has no loss, and is left out.
        """
        shares = self._shares[: len(w)]
        np.copyto(shares, w if w.ndim == 2 else w[:, None])
        sums = shares.sum(axis=0) if whole is None else np.broadcast_to(whole.weights, self.copies)
        share = float(sums.mean())
        if share:
            shares /= np.where(sums > 0, sums, 1)
            batch.set_weights(shares.reshape(-1), None if whole is None else float(np.count_nonzero(sums)))
        return share

    def load_all(self) -> Batch:
        """Return all rows as one batch."""
        return self.load(np.arange(len(self.data.x)))[0]


def require_rows(program: Program, rows: int, given: str) -> None:
    """Raise if a training batch of ``rows`` rows is too small for a layer; ``given`` describes it in the message."""
    for op in program.operations:
        if rows < op.layer.least_rows:
            raise ConfigError(
                f"{op.name} combines the rows of a batch, and needs {op.layer.least_rows} or more of them in "
                f"training; got {given}. (The output of BatchNorm for a single row is the same whatever the row "
                f"holds. LayerNorm and RMSNorm work on each row separately)"
            )


def _fits(t: Any, n_in: int) -> bool:
    """Whether targets have the shape of inputs."""
    try:
        shape = np.shape(t)
    except ValueError:  # rows of different lengths
        return False
    return len(shape) > 1 and math.prod(shape[1:]) == n_in


def output_activation(program: Program) -> str | None:
    """Return the name of the activation that the network ends in, or None; dropout after it does not count."""
    layers = [op.layer for op in program.operations if op.kind != "dropout"]
    activation = getattr(layers[-1], "activation", None) if layers else None
    return None if activation is None else str(activation.name)
