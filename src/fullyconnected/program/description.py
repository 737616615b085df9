"""A network as data: a list of operations, each with its name, kind, inputs and parameters.

Everything that works on the structure of a network reads this list, and has one table keyed by an operation's ``kind``:
an engine lowers it, the summary counts it, a worked example names it, a file is compared with it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, Shape
from fullyconnected.core.checks import count
from fullyconnected.errors import ConfigError, ShapeError
from fullyconnected.layers import Activation, Concatenate, OneHot, Select, Standardize, operation
from fullyconnected.layers.residual import chain
from fullyconnected.program.plain import settings_of

__all__ = [
    "Operation", "Part", "Tensor", "apart", "describe", "end_of", "flatten", "kind_of", "layers_of", "placed",
    "places_of", "steps_of",
]  # fmt: skip

FITS = "what comes before it gives", "the input of its block has"
NESTED = 100  # levels of blocks within blocks


class Tensor(NamedTuple):
    """A parameter or a running statistic: its name, and its place in the network's flat vector."""

    name: str  # "dense_1.W"
    letter: str  # "W", as its layer calls it
    shape: Shape
    part: slice
    param: Param  # with all its roles; for a running statistic, only its shape counts

    def of(self, flat: Array) -> Array:
        """Return this tensor as a view of a flat vector, such as theta or a gradient."""
        return flat[self.part].reshape(self.shape)


class Operation(NamedTuple):
    """One operation of a network: what it computes, from what, and with which parameters.

    ``reads`` are the operations whose outputs it reads, with -1 for the network's input: one as a rule; at the end of a
    residual block also the one whose output is the input of the block; and where branches end, the last operation of
    each. ``copies`` is the number of copies
    of each row in the output, as in an ensemble whose members are trained in one product, and ``copies_in`` that in the
    input. ``number`` identifies its stream of random numbers.
    """

    name: str  # "dense_1", or within a block "residual_1.dense_1"
    kind: str  # the name that its class is registered under
    layer: Layer  # its settings, and its NumPy code
    reads: tuple[int, ...]
    number: int
    copies_in: int
    copies: int
    params: tuple[Tensor, ...]  # in theta
    state: tuple[Tensor, ...]  # in the vector of running statistics

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings as plain values, as a file holds them; ConfigError if no file can."""
        return settings_of(self.layer)

    @property
    def is_dense(self) -> bool:
        """Whether it is a Dense layer, of a network or of an ensemble's members."""
        return self.kind in ("dense", "shared_dense", "own_dense")

    @property
    def n_in(self) -> int:
        """The number of its input columns."""
        return int(self.layer.n_in or 0)

    @property
    def n_out(self) -> int:
        """The number of its output columns."""
        return int(self.layer.n_out or 0)


class Part(NamedTuple):
    """One layer at its place in the program, before the places of its parameters are known."""

    name: str
    layer: Layer
    reads: tuple[int, ...]
    number: int


def steps_of(layer: Layer, name: str = "") -> tuple[Layer, ...]:
    """Return the layers that a block is made of, with all widths, or () for a layer that is no block; or raise."""
    given: object = layer.steps()
    steps = tuple(given) if isinstance(given, Iterable) else ()
    if len(steps) == 1 and steps[0] is layer:
        return ()
    if not steps:
        raise ConfigError(f"{name}.steps() returns the layers that stand for it, one or more; got {given!a:.80}")
    return chain(steps, layer.n_in, layer.n_out, f"{name}: ")


def flatten(layers: Sequence[Layer]) -> list[Part]:
    """Return the layers in the order in which they run, including those within blocks, each with what it reads."""
    parts: list[Part] = []
    blocks = 0  # the beginning of a block also takes a number

    def append(name: str, layer: Layer, *reads: int) -> None:
        parts.append(Part(name, layer, reads, len(parts) + blocks))

    def add(layers: Sequence[Layer], prefix: str, block: int, counts: dict[str, int], *, raw: bool) -> None:
        """Add layers one after the other, the first of which reads the input of the block that they are in.

        ``raw`` says whether that input is the rows as they are given.
        """
        nonlocal blocks
        if prefix.count(".") > NESTED:
            raise ConfigError(f"blocks are nested more than {NESTED} levels deep: {prefix:.50}...; do steps() end?")
        before = block
        for i, layer in enumerate(layers):
            n = counts[layer.name] = counts.get(layer.name, 0) + 1
            name = prefix + (layer.name if layer.skips and n == 1 else f"{layer.name}_{n}")
            if layer.skips and not prefix:
                raise ConfigError(f"{name} reads the input of its block, and is in none: let steps() return it")
            if layer.comes_last and (prefix or i + 1 < len(layers)):
                raise ConfigError(
                    f"{name} keeps the outputs of each of its members: a network can end in it, and it can stand "
                    f"nowhere else. Put the layers that follow it into its list"
                )
            branches = tuple(layer.branches())
            scales = isinstance(layer, Standardize) and before >= 0 and isinstance(parts[before].layer, OneHot)
            if not (raw or scales) and (layer.reads_raw or branches):
                raise ConfigError(
                    f"{name} reads the rows as they are given: a network can begin with it, and it can stand nowhere "
                    f"else, except at the beginning of a part of Columns"
                )
            if branches:
                ends: list[int] = []
                inner: dict[str, int] = {}
                for branch in branches:
                    add(branch, f"{name}.", before, inner, raw=True)
                    ends.append(len(parts) - 1)
                widths = tuple(int(parts[end].layer.n_out or 0) for end in ends)
                append(f"{name}.{Concatenate.name}", Concatenate(widths), *ends)
            elif inside := steps_of(layer, name):
                blocks += any(each.skips for each in inside)
                add(inside, f"{name}.", before, {}, raw=False)
            else:
                append(name, layer, *((before, block) if layer.skips else (before,)))
            before, raw = len(parts) - 1, isinstance(layer, Select)

    add(layers, "", -1, {}, raw=True)
    return parts


def apart(operations: Sequence[Operation]) -> list[Part]:
    """Return the parts of a network with every activation as a separate one, so that its input has a name, too.

    Parameters and running statistics lie where they did.
    """
    found: list[Part] = []
    last = {-1: -1}  # for each operation, the part that gives its output
    for i, op in enumerate(operations):
        reads = tuple(last[source] for source in op.reads)
        for layer in layers_of(op):
            found.append(Part(op.name, layer, reads, op.number))
            reads = (len(found) - 1,)
        last[i] = len(found) - 1
    return found


def layers_of(op: Operation) -> list[Layer]:
    """Return the layer of an operation, or a layer and its activation as two layers."""
    layer: Any = op.layer
    if not op.is_dense or layer.activation is None:
        return [layer]
    return [replace(layer, activation=None), Activation(layer.activation, n_in=op.n_out)]


def kind_of(layer: Layer) -> str:
    """Return the name that a layer's class is registered under, or else its full name, which is in no table."""
    cls = type(layer)
    return layer.name if operation(layer.name) is cls else f"{cls.__module__}.{cls.__qualname__}"


def describe(parts: Iterable[Part], n_in: int) -> tuple[Operation, ...]:
    """Return the operations of a network for inputs of ``n_in`` columns, with its parameters one after the other.

    >>> from fullyconnected.layers import Dense, Residual
    >>> for op in describe(flatten([Dense(2, 3), Residual([Dense(3, 3, "tanh")])]), 2):
    ...     print(op.name, op.kind, op.reads, [tensor.part for tensor in op.params])
    dense_1 dense (-1,) [slice(0, 6, None), slice(6, 9, None)]
    residual_1.dense_1 dense (0,) [slice(9, 18, None), slice(18, 21, None)]
    residual_1.add add (1, 0) []
    """
    parts = list(parts)
    places = places_of(parts)
    operations: list[Operation] = []
    numbers: dict[str, int] = {}  # of the layer that a name belongs to, of which several parts may be made
    theta_at = state_at = 0
    for (name, layer, reads, number), place in zip(parts, places, strict=True):
        for i, what in () if layer.joins else zip(reads, FITS, strict=False):
            width = operations[i].n_out if i >= 0 else n_in
            if layer.n_in != width:  # engines trust these numbers
                raise ShapeError(f"{name} takes {layer.n_in} columns, and {what} {width}")
        given = [operations[i].copies if i >= 0 else 1 for i in reads]
        if len(set(given)) > 1:
            raise ShapeError(f"{name} adds {given[0]} copies of each row to {given[1]}; the numbers must be equal")
        params = tuple(_tensors(name, placed(layer.params(), place), theta_at))
        state = tuple(_tensors(name, {key: Param(shape) for key, shape in layer.state().items()}, state_at))
        theta_at, state_at = end_of(params, theta_at), end_of(state, state_at)
        for each in (name, *(tensor.name for tensor in (*params, *state))):
            if numbers.setdefault(each, number) != number:
                raise ConfigError(f"two layers, or parameters of theirs, are called {each}: give a class another name")
        copies = count(f"copies({given[0]}) of {name}", layer.copies(given[0]))
        operations.append(Operation(name, kind_of(layer), layer, reads, number, given[0], copies, params, state))
    return tuple(operations)


def places_of(parts: Sequence[Part]) -> list[tuple[str, ...]]:
    """Return where each layer stands among those with a matrix of weights: first, hidden, last; () for the others.

    Those that no other comes before are the first ones, of which branches may have several.
    """
    found = [i for i, part in enumerate(parts) if any(_is_matrix(param) for param in part.layer.params().values())]
    places: list[tuple[str, ...]] = [()] * len(parts)
    behind: list[bool] = []  # whether each part comes behind a layer with a matrix, or has one
    for i, part in enumerate(parts):
        later = any(behind[source] for source in part.reads if source >= 0)
        behind.append(later or i in found)
        if i in found:
            ends = ("first",) * (not later) + ("last",) * (i == found[-1])
            places[i] = ends or ("hidden",)
    return places


def placed(params: Mapping[str, Param], place: tuple[str, ...]) -> dict[str, Param]:
    """Return a layer's parameters with all their roles."""
    return {letter: param._replace(roles=(*_roles(param), *place)) for letter, param in params.items()}


def _roles(param: Param) -> tuple[str, ...]:
    return param.roles or (("weight",) if param.decays or param.matrix else ("bias",))


def _is_matrix(param: Param) -> bool:
    return param.matrix and "weight" in _roles(param)


def _tensors(name: str, params: dict[str, Param], at: int) -> Iterator[Tensor]:
    for letter, param in params.items():
        size = math.prod(param.shape)
        yield Tensor(f"{name}.{letter}", letter, param.shape, slice(at, at + size), param)
        at += size


def end_of(tensors: Sequence[Tensor], at: int = 0) -> int:
    """Return where tensors that begin at ``at`` end in their flat vector."""
    return int(tensors[-1].part.stop) if tensors else at
