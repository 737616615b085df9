"""Constants and initial parameters that come from the training rows: each layer adapts to the rows that reach it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array, Views
from fullyconnected.core.batches import Rows
from fullyconnected.core.contracts import guarded, is_foreign, read_only
from fullyconnected.core.mapped import room_for
from fullyconnected.core.randomness import ADAPT, generator
from fullyconnected.errors import ConfigError
from fullyconnected.program.description import Operation, Part, flatten, steps_of
from fullyconnected.program.plain import settings_of
from fullyconnected.program.program import Program
from fullyconnected.program.sources import ArraySource, Chosen, Source, SparseSource, read_in_place
from fullyconnected.program.workspace import Batch, Workspace

__all__ = ["adapted", "is_filled_by", "unset_operations"]

BLOCK = 1 << 20  # entries that a block of rows takes while it goes through the layers before


def unset_operations(program: Program, theta: Array, state: Array) -> tuple[str, ...]:
    """Return the names of the operations that have to adapt: constants, or parameters that are NaN, are not set yet."""
    memory = zip(program.operations, program.memory(theta, state), strict=True)
    return tuple(op.name for op, p in memory if waits(op.layer, p))


def waits(layer: Layer, p: Views) -> bool:
    """Whether a layer has to adapt."""
    return layer.unset or (type(layer).adapt is not Layer.adapt and any(np.isnan(view).any() for _, view in p))


def adapted(
    layers: Sequence[Layer],
    theta: Array,
    state: Array,
    rows: Source,
    weights: Array | None,
    targets: Array | None,
    seed: int,
) -> tuple[Layer, ...]:
    """Return the layers with the constants of these rows, and set the parameters of ``theta`` that depend on them.

    The layers adapt one after the other, each to the rows as they leave the one before it, without dropout and with
    running statistics. ``targets`` (rows, n_out) are for a layer that adapts to them; None if there are none. Rows that
    are not in memory are read once, if there is room for them in a file; else for each constant and parameter.
    """
    parts, program = flatten(layers), Program(layers)
    memory = list(zip(program.operations, program.memory(theta, state), strict=True))
    if not rows.in_memory and sum(_readings(op.layer, p) for op, p in memory) > 1:
        rows = _kept(rows)
    if weights is not None and not weights.all():
        counts = np.flatnonzero(weights)
        weights = weights[counts]
        targets = None if targets is None else targets[counts]
        rows = SparseSource(rows.csr[counts]) if isinstance(rows, SparseSource) else Chosen(rows, counts)
    weights = np.broadcast_to(1.0, len(rows)) if weights is None else weights
    for i, (op, p) in enumerate(memory):
        if not waits(op.layer, p):
            continue
        if op.layer.adapts_to_targets:
            if targets is None:
                raise ConfigError(
                    f"{op.name}, {op.layer!r:.80}, takes its constants from the targets, and there are none here: give "
                    f"them, net.adapt(x, t=t), or give it mean and scale"
                )
            reach: Source = ArraySource(targets)
        else:
            reach = Reached(*_before(layers, parts, program, op, theta, state), rows, op)
        rng, copies = generator(seed, ADAPT, op.number), reach.shape[0] // len(rows)
        w = weights if copies == 1 else np.repeat(weights, copies)
        with np.errstate(all="ignore"):  # of what is not finite, the network tells
            parts[i] = parts[i]._replace(layer=_checked(op, _adapt(op, p, reach, w, rng)))
    rest = iter([part.layer for part in parts])
    return tuple(_with_steps(layer, rest) for layer in layers)


def _readings(layer: Layer, p: Views) -> int:
    """Return how often a layer would go through the rows to adapt to them."""
    if layer.adapts_to_targets or type(layer).adapt is Layer.adapt:
        return 0
    return layer.unset + sum(bool(np.isnan(view).any()) for _, view in p)


def _kept(rows: Source) -> Source:
    """Return rows that are read now, once; where there is no room for them, they are read whenever they are needed."""
    array = room_for(rows.shape, rows.dtype if read_in_place(rows.dtype) else np.float64)
    if array is None:
        return rows
    for start, block in rows.blocks():
        array[start : start + len(block)] = block
    return ArraySource(array)


def _adapt(op: Operation, p: Views, rows: Source, weights: Array, rng: np.random.Generator) -> Any:
    if not is_foreign(op.layer):
        return op.layer.adapt(p, rows, weights, rng)
    name, weights = f"adapt of {type(op.layer).__name__}", read_only(np.ascontiguousarray(weights))
    return guarded(op.layer.adapt, name, "the rows and their weights")(p, rows, weights, rng)


def _checked(op: Operation, new: Any) -> Layer:
    """Return the layer that ``adapt`` has returned, or raise if it cannot stand in the place of the old one."""
    old, name = op.layer, f"adapt of {type(op.layer).__name__}"
    if not isinstance(new, Layer) or type(new) is not type(old):
        raise ConfigError(f"{name} returns {new!a:.80}; it is to return the layer, with its constants set")
    if new.unset:
        raise ConfigError(f"{name} returns a layer whose constants are not set: {new!a:.80}")
    for what in ("n_in", "n_out", "params", "state"):
        before, after = (dict(found()) if callable(found := getattr(each, what)) else found for each in (old, new))
        if before != after:
            raise ConfigError(f"{name} returns a layer with another {what}: {after!a:.80} in place of {before!a:.80}")
    return new


def _before(
    layers: Sequence[Layer], parts: Sequence[Part], program: Program, op: Operation, theta: Array, state: Array
) -> tuple[Program | None, Array, Array]:
    """Return the program that gives the input of an operation, or None if that is the rows; and its vectors.

    In a branch, that is not all that comes before it in the list.
    """
    wanted, waiting = set[int](), {op.reads[0]}
    while waiting:
        if (i := waiting.pop()) >= 0 and i not in wanted:
            wanted.add(i)
            waiting |= {*parts[i].reads}
    if not wanted:
        return None, theta, state
    chosen = sorted(wanted)
    place = {-1: -1, **{i: k for k, i in enumerate(chosen)}}
    found = [parts[i]._replace(reads=tuple(place[source] for source in parts[i].reads)) for i in chosen]
    if chosen != list(range(len(chosen))):
        operations = [program.operations[i] for i in chosen]
        theta = np.concatenate([theta[:0], *(theta[each.part] for one in operations for each in one.params)])
        state = np.concatenate([state[:0], *(state[each.part] for one in operations for each in one.state)])
    return Program(layers, found), theta, state


def _with_steps(layer: Layer, rest: Iterator[Layer]) -> Layer:
    """Return a layer, or a block made of the next of the adapted layers: the same object if nothing has changed."""
    if branches := [tuple(branch) for branch in layer.branches()]:
        made = [tuple(_with_steps(each, rest) for each in branch) for branch in branches]
        next(rest)  # what joins them
        return layer if made == branches else layer.with_branches(made)
    inside = steps_of(layer)
    if not inside:
        return next(rest)
    new = [_with_steps(each, rest) for each in inside]
    return layer if all(a is b or a == b for a, b in zip(inside, new, strict=True)) else layer.with_steps(new)


class Reached(Source):
    """The rows of a source as they reach an operation: what the program before it gives, computed block by block.

    Without a program, it is the first operation. The size of a block depends on the widths alone, so that the results
    are the same for an array and for any other source.
    """

    def __init__(self, program: Program | None, theta: Array, state: Array, source: Source, op: Operation) -> None:
        self.source, self.copies, self.program = source, op.copies_in, program
        before = op.n_in if program is None else program.entries_a_row
        self.size = min(len(source), max(1, BLOCK // (before + op.copies_in * (op.n_in + op.n_out))))
        self.shape = len(source) * op.copies_in, op.n_in
        last = -1 if program is None else len(program.operations) - 1
        self.dtype = source.dtype if program is None else program.dtype_of(last, theta.dtype)
        if program is not None:
            given = source if isinstance(source, SparseSource) else None
            self.workspace = Workspace(program, theta, state, self.size, source=given)

    def held(self) -> object:
        return self.source.held() if self.program is None else None

    def _outputs(self, batch: Batch) -> Array:
        """Return the outputs of the program for rows of the source, all copies of each."""
        with np.errstate(all="ignore"):
            return read_only(batch.forward(train=False))

    def take(self, rows: Rows, out: Array) -> None:
        if self.program is None:
            self.source.take(rows, out)
            return
        of, copy = np.divmod(rows, self.copies)
        for start in range(0, len(rows), self.size):
            some = slice(start, start + self.size)
            batch = self.workspace.bind(len(of[some]))
            self.source.take(of[some], batch.x)
            z = self._outputs(batch).reshape(-1, self.copies, self.shape[1])
            out[some] = z[np.arange(len(z)), copy[some]]

    def block(self, start: int, stop: int) -> Array:
        if self.program is None:
            return read_only(self.source.block(start, stop))
        return self.taken(np.arange(start, stop), self.dtype)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        for start in range(0, len(self.source), self.size):
            stop = min(start + self.size, len(self.source))
            if self.program is None:
                yield start, self.block(start, stop)
                continue
            batch = self.workspace.bind(stop - start)
            if self.source.in_memory:
                self.source.take(np.arange(start, stop), batch.x)
            else:
                self.source.fill(start, batch.x)
            yield start * self.copies, self._outputs(batch)


def is_filled_by(unset: Iterable[Part], given: Iterable[Part]) -> bool:
    """Whether the second layers are the first ones, but for constants that the first have not set."""

    def fills(part: Part, other: Part) -> bool:
        one, two = settings_of(part.layer), settings_of(other.layer)
        if part.layer.unset:
            two = {name: value for name, value in two.items() if one.get(name, 0) is not None}
            one = {name: value for name, value in one.items() if value is not None}
        return type(part.layer) is type(other.layer) and part.name == other.name and one == two

    pairs = list(zip_longest(unset, given))
    return all(one is not None and two is not None and fills(one, two) for one, two in pairs)
