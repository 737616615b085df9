"""The program of a network: its operations, and the views of its flat vectors that they work with."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, Views, allocate
from fullyconnected.core.checks import as_array, require_finite
from fullyconnected.core.contracts import guarded, is_foreign, read_only
from fullyconnected.errors import ConfigError, DataError, nearest
from fullyconnected.factors import Factors, names_of_parameter
from fullyconnected.layers import Columns, Select
from fullyconnected.program.description import Operation, Part, Tensor, describe, end_of, flatten

if TYPE_CHECKING:
    from fullyconnected.annotations import DType

__all__ = ["PIECE", "Piece", "Program"]

BLOCK = 1 << 20  # entries of columns that are checked at a time
PIECE = 1 << 15  # entries of theta that an optimizer updates at a time, so that its scratch stays in cache


class Piece(NamedTuple):
    """A part of ``theta``, whether l2 and weight decay shrink it, and the factors on its learning rate and on those."""

    part: slice
    decays: bool
    lr_factor: float
    decay_factor: float


class Program:
    """The operations of a network, in order, and the table of its parameters. It never changes.

    ``parts`` are the layers without their blocks; if given, they may be other ones that compute the same, or the first
    of them.
    """

    def __init__(self, layers: Sequence[Layer], parts: Iterable[Part] | None = None) -> None:
        self.n_in = int(layers[0].n_in or 0)
        names = layers[0].names if isinstance(layers[0], Columns) else None
        self.names = None if names is None else tuple(names)  # of the columns of x, if they are read by them
        self.operations = operations = describe(flatten(layers) if parts is None else parts, self.n_in)
        self.n_out, self.copies = (last := operations[-1]).n_out, last.copies
        self.members = self.copies if layers[-1].comes_last else None  # how many, if the network is an ensemble
        if parts is None and self.members is None and self.copies != 1:
            raise ConfigError(
                f"{last.name} gives {last.copies} copies of each row; the output must have one: add a layer that makes "
                f"one of them, such as their mean"
            )
        if parts is None and (
            early := [op.name for op in operations[:-1] if op.layer.unset and op.layer.adapts_to_targets]
        ):
            raise ConfigError(
                f"{early[0]} would take its constants from the targets, and is not at the end of the network: give it "
                f"mean and scale, or put it there"
            )
        self.unset = any(op.layer.unset for op in operations)  # whether constants are still to be taken from data
        self.tensors = tuple(tensor for op in operations for tensor in op.params)
        self.frozen: frozenset[str] = frozenset()  # the names of parameters that training leaves as they are
        self.state_tensors = tuple(tensor for op in operations for tensor in op.state)
        self.n_params, self.n_state = end_of(self.tensors), end_of(self.state_tensors)
        self.least_rows = max(op.layer.least_rows for op in operations)
        # the first operation with parameters, where the backward pass ends unless x needs a gradient, too
        self.first = next((i for i, op in enumerate(operations) if op.params), len(operations))

    def for_training(self, factors: Factors | None = None) -> "Program":
        """Return the program of a run with these factors, in which l2 and weight decay are for what learns alone.

        Raises
        ------
        UnknownNameError, ConfigError
            For a key that names nothing here, a factor on weight decay where nothing decays, or if nothing learns.
        """
        factors = Factors() if factors is None else factors
        _check_keys(factors, self.tensors)
        changed = {each.name: _factored(each.param, *factors.of(each.name, each.param)) for each in self.tensors}
        frozen = frozenset(name for name, param in changed.items() if param.lr_factor == 0)
        if not frozen and all(changed[each.name] == each.param for each in self.tensors):
            return self
        if len(frozen) == len(self.tensors) and not self.n_state:
            raise ConfigError(
                "the factors on the learning rate freeze every parameter, so that nothing would be trained: give a "
                "layer another factor, such as Factors(lr={'rest': 0, 'last': 1})"
            )
        made = copy(self)
        vars(made).pop("has_gradient", None)
        made.operations = operations = tuple(
            op._replace(params=tuple(tensor._replace(param=changed[tensor.name]) for tensor in op.params))
            for op in self.operations
        )
        made.tensors, made.frozen = tuple(tensor for op in operations for tensor in op.params), frozen
        learn = (i for i, op in enumerate(operations) if any(tensor.name not in frozen for tensor in op.params))
        made.first = next(learn, len(operations))
        return made

    @property
    def reads_raw(self) -> bool:
        """Whether it begins with operations on the rows as they are given, each of which says what it takes."""
        return self.operations[0].layer.reads_raw

    @cached_property
    def readers(self) -> Mapping[int, tuple[int, ...]]:
        """For each operation, those that read its output, in their order; -1 is the input."""
        found: dict[int, tuple[int, ...]] = {}
        for i, op in enumerate(self.operations):
            for source in op.reads:
                found[source] = (*found.get(source, ()), i)
        return found

    @cached_property
    def branches_end(self) -> int:
        """The operation that joins the branches with which the program begins; -1 if there are none."""
        return next((i for i, op in enumerate(self.operations) if op.layer.joins), -1)

    @cached_property
    def raw_columns(self) -> tuple[tuple[Layer, tuple[int, ...] | slice], ...]:
        """The layers that read columns of the rows as they are given, and these columns."""
        if not self.reads_raw:
            return ()
        selects = [(i, op.layer) for i, op in enumerate(self.operations) if isinstance(op.layer, Select)]
        if not selects:
            return ((self.operations[0].layer, slice(None)),)
        return tuple((self.operations[self.readers[i][0]].layer, tuple(layer.columns)) for i, layer in selects)

    def is_raw(self, op: Operation) -> bool:
        """Whether an operation reads the rows as they are given, or columns of them."""
        source = op.reads[0]
        return op.layer.reads_raw and (source == -1 or isinstance(self.operations[source].layer, Select))

    def dtype_of(self, i: int, dtype: "DType") -> "DType":
        """Return the dtype of the output of operation ``i`` (-1 for the input) in a network of ``dtype``."""
        layer = None if i < 0 else self.operations[i].layer
        raw = self.reads_raw if layer is None else isinstance(layer, Select) and layer.raw
        return np.dtype(np.float64) if raw else dtype

    def input_dtype(self, dtype: "DType") -> "DType":
        """Return the dtype of the rows that a network of this dtype reads."""
        return self.dtype_of(-1, dtype)

    def check_rows(self, x: Array, what: str, dtype: "DType", first: int = 0) -> None:
        """Raise if a network of this dtype cannot read rows: for NaN or infinity, or what its first layer says."""
        if not self.reads_raw:
            require_finite(x, what, dtype, first)
        for layer, columns in self.raw_columns:
            if isinstance(columns, slice):
                self._check_part(layer, x, what, dtype, first)
                continue
            size = max(1, BLOCK // len(columns))  # rows at a time, since columns are copied
            try:
                for start in range(0, len(x), size):
                    self._check_part(layer, x[start : start + size, columns], what, dtype, first + start)
            except DataError as error:
                raise DataError(self._placed(str(error), what, columns)) from None

    def _check_part(self, layer: Layer, x: Array, what: str, dtype: "DType", first: int) -> None:
        """Raise if the layer that reads them cannot use these columns."""
        if not layer.reads_raw:
            require_finite(x, what, dtype, first)
        elif not is_foreign(layer):
            layer.check_rows(x, what, first)
        else:
            name = f"check_rows of {type(layer).__name__}"
            found = guarded(layer.check_rows, name, "x")(read_only(x), what, first)
            if found is not None:
                raise ConfigError(f"{name} returns {found!a:.80}, which is not used: it has to raise for wrong rows")

    def _placed(self, said: str, what: str, columns: tuple[int, ...]) -> str:
        """Return a message about an entry of some columns as one about the same entry of the rows."""

        def entry(found: re.Match[str]) -> str:
            column = columns[int(found[2])]
            called = "" if self.names is None else f" (column {self.names[column]!a:.80})"
            return f"{what}[{found[1]}, {column}]{called}"

        return re.sub(rf"^{re.escape(what)}\[(\d+), (\d+)\]", entry, said)

    def input_units(self, x: Array) -> Array | None:
        """Return the unit of each entry of rows, as the layers that read it say; None for 1. See Layer.input_units."""
        if self.raw_columns and isinstance(self.raw_columns[0][1], slice):
            return self._units_of(self.raw_columns[0][0], x)
        if not self.raw_columns:
            return None
        units = np.zeros(x.shape)  # of columns that nothing reads
        for layer, columns in self.raw_columns:
            found = self._units_of(layer, x[:, columns])
            units[:, columns] = np.maximum(units[:, columns], 1.0 if found is None else found)
        return units

    def _units_of(self, layer: Layer, x: Array) -> Array | None:
        if not layer.reads_raw or not is_foreign(layer):
            return layer.input_units(x) if layer.reads_raw else None
        name = f"input_units of {type(layer).__name__}"
        found: Any = guarded(layer.input_units, name, "x")(read_only(x))
        if found is None:
            return None
        units = as_array(found, name).astype(np.float64)
        if units.shape != x.shape:
            raise ConfigError(f"{name} has shape {units.shape}; it is that of x, {x.shape}")
        if (wrong := ~((units >= 0) & (units < np.inf))).any():
            raise ConfigError(f"{name} holds {units[wrong][0]}; a size is wanted for each entry, or 0 for no gradient")
        return units

    @cached_property
    def has_gradient(self) -> tuple[bool, ...]:
        """Whether parameters of each operation, or of one that its input comes from, learn."""
        found: list[bool] = []
        for op in self.operations:
            learns = any(tensor.name not in self.frozen for tensor in op.params)
            found.append(learns or any(source >= 0 and found[source] for source in op.reads))
        return tuple(found)

    def passes_on(self, op: Operation) -> bool:
        """Whether parameters before an operation learn, so that backward goes on to its input."""
        return any(source >= 0 and self.has_gradient[source] for source in op.reads)

    @cached_property
    def skipped_to(self) -> Mapping[int, tuple[int, ...]]:
        """For each output that several operations read, all but the first of them; -1 is the input."""
        return {source: readers[1:] for source, readers in self.readers.items() if len(readers) > 1}

    @cached_property
    def multiplies_input(self) -> bool:
        """Whether the product of a Dense layer is all that reads the input, which may then be sparse."""
        first = self.operations[0]
        return first.kind == "dense" and not is_foreign(first.layer) and -1 not in self.skipped_to

    @cached_property
    def entries_a_row(self) -> int:
        """The number of entries that a workspace for prediction has per row, caches included."""
        kept = self.n_in
        for op in self.operations:
            kept += op.copies * op.n_out
            kept += sum(a.size for a in allocate(op.layer.cache(op.copies_in), np.dtype(np.float32)).values())
        return kept

    def views(self, theta: Array) -> list[Views]:
        """Return each operation's parameters as views of ``theta``, or its gradients as views of a flat gradient."""
        return [Views({tensor.letter: tensor.of(theta) for tensor in op.params}) for op in self.operations]

    def memory(self, theta: Array, state: Array) -> list[Views]:
        """Return each operation's parameters and running statistics as views: the argument ``p`` of its layer."""
        return [
            Views({**vars(params), **{tensor.letter: tensor.of(state) for tensor in op.state}})
            for params, op in zip(self.views(theta), self.operations, strict=True)
        ]

    def named(self, theta: Array, state: Array | None = None) -> dict[str, Array]:
        """Return each parameter by its full name and, if ``state`` is given, each running statistic."""
        found = {tensor.name: tensor.of(theta) for tensor in self.tensors}
        return found if state is None else found | {tensor.name: tensor.of(state) for tensor in self.state_tensors}

    def names_of(self, address: str) -> list[str]:
        """Return the full names of the parameters and statistics that a name is for: its own, a layer's, a block's."""
        all_names = [tensor.name for tensor in (*self.tensors, *self.state_tensors)]
        found = [name for name in all_names if address in names_of_parameter(name)]
        if not found:
            addresses = {each: None for name in all_names for each in reversed(names_of_parameter(name))}
            raise nearest("layer, parameter or running statistic", address, addresses)
        return found

    def pieces(self, *, by_decay: bool, size: int = PIECE) -> Iterator[Piece]:
        """Cut ``theta`` into parts of the same ``lr_factor`` and, if ``by_decay``, decay, and of bounded size."""
        stretches: list[list[Any]] = []
        for tensor in self.tensors:
            param = tensor.param
            role = param.lr_factor, param.decays, param.decay_factor if param.decays else 1.0
            if stretches and stretches[-1][2][0] == role[0] and (stretches[-1][2] == role or not by_decay):
                stretches[-1][1] = tensor.part.stop
            else:
                stretches.append([tensor.part.start, tensor.part.stop, role])
        for start, stop, (lr_factor, decays, decay_factor) in stretches:
            for at in range(start, stop, size):
                yield Piece(slice(at, min(at + size, stop)), decays, lr_factor, decay_factor)


def _factored(param: Param, lr: float, decay: float) -> Param:
    """Return a parameter with factors on its learning rate and on its weight decay; what is frozen does not decay."""
    factor = decay * (param.decay_factor if param.decays else 1.0)
    lr *= param.lr_factor
    return param._replace(lr_factor=lr, decays=factor > 0 and lr > 0, decay_factor=factor or 1.0)


def _check_keys(factors: Factors, tensors: Sequence[Tensor]) -> None:
    """Raise for keys that name nothing, or whose factors would change nothing."""
    known = {each: tensor for tensor in tensors for each in (*names_of_parameter(tensor.name), *tensor.param.roles)}
    for table in (factors.lr, factors.weight_decay):
        for key in table:
            if key not in known and key != "rest":
                raise nearest("parameter, layer or role", key, [*known, "rest"])
    for key in factors.weight_decay:
        alone = Factors(weight_decay={key: 1.0})
        if not any(_is_for(key, tensor) and alone.of(tensor.name, tensor.param)[1] for tensor in tensors):
            raise ConfigError(
                f"weight_decay of Factors has the key {key!r}, which is for parameters that do not decay. Give the "
                f"full name of one that should, or its own role, such as 'bias'"
            )


def _is_for(key: str, tensor: Tensor) -> bool:
    return key == "rest" or key in tensor.param.roles or key in names_of_parameter(tensor.name)
