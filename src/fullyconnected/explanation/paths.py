"""The paths from one number to the loss: the entries that it affects in each step, and the slopes between them.

The slopes come from the layer's own ``backward``, applied to a gradient that is 1 at one entry and 0 elsewhere. The
share of a path is the product of its slopes, and the shares add up to the gradient.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.activations import FunctionPair
from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array, Shape, Views
from fullyconnected.core.messages import Message
from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import ConfigError
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.running import Recorder
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.digits import decimal, place, shown
from fullyconnected.symbolic.evaluation import exact
from fullyconnected.symbolic.expression import Expression, Name, Number, chain, entrywise
from fullyconnected.symbolic.turning import turned_shape

__all__ = ["Focus", "Path", "focus_on"]

SHOWN = 12  # paths that are shown, at most
BEAM = 200  # paths that are followed at once; if there are more, those with the largest shares so far
WIDE = 2048  # a step of more entries is refused if its slopes need one backward pass per entry
# operations in which a parameter affects one column of the output
OWN_COLUMN = {"dense", "layer_norm", "rms_norm", "batch_norm", "scale", "parametric", "embedding"}


class Path(NamedTuple):
    """A path from the number to the loss: its entries, the slopes between them, and the product of the slopes."""

    nodes: tuple[str, ...]
    factors: tuple[str, ...]
    tree: Expression
    sign: str
    result: str
    quantities: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Focus:
    """A number, the paths from it to the loss, and the entries that it affects."""

    text: str
    name: Name
    at: Shape
    paths: tuple[Path, ...]
    summary: Message
    rest: Message | None
    moved: dict[Name, Array]  # for each wire, which entries the number affects
    shares: dict[str, Array]  # by full name: of each unit's entries, and of each weight, the sum over all paths there
    turned_from: Focus | None = None  # the same where samples are rows, if they are columns here

    def __str__(self) -> str:
        return in_ascii(self.text)

    @property
    def in_rows(self) -> Focus:
        """The same number and paths in the record whose samples are rows."""
        return self if self.turned_from is None else self.turned_from

    def chosen(self, step: Step) -> Callable[[Shape], bool]:
        """Return a function that says which entries of a step's result concern the number."""
        left = step.equation.left
        plain = left if not left.of and not left.new else next((n for n in self.moved if n.full == left.full), left)
        if f"{left.full}:".startswith(f"{self.name.full}:"):  # the number itself, its gradient, difference or update
            return lambda at: at == self.at
        moved = self.moved.get(plain)
        if moved is not None and moved.shape == step.result.shape:
            return lambda at: bool(moved[at])
        if not step.result.shape:
            return lambda at: True
        if step.phase == "loss":
            wire: Array | None = self.moved[self.wire]
        elif step.phase == "forward" and not left.new:  # a cached value of a layer
            wire = next((m for n, m in self.moved.items() if n.index == left.index and n.letter in ("z", "y")), None)
        else:
            wire = None
        if wire is None:
            return lambda at: False
        samples: Array = np.any(wire, axis=1 if self.turned_from is None else 0)
        axis = 0 if self.turned_from is None else -1
        if len(step.result.shape) == 2 and step.result.shape[axis] == len(samples):
            return lambda at: bool(samples[at[axis]])
        return lambda at: bool(samples.any())

    def others(self, count: int) -> Message:
        """Return a sentence about the steps that do not concern the number."""
        if count == 1:
            return Message("1 more step of this phase does not concern {name}.", name=self.text)
        return Message("{n} more steps of this phase do not concern {name}.", n=count, name=self.text)

    @property
    def wire(self) -> Name:
        """The name of the outputs."""
        return list(self.moved)[-1]

    def concerns(self, step: Step) -> bool:
        """Whether any entry of a step's result concerns the number."""
        chosen = self.chosen(step)
        return any(map(chosen, step.entries if step.entries is not None else np.ndindex(step.result.shape)))


def focus_on(recorder: Recorder, shown_as: Trace, text: str) -> Focus:
    """Return the paths of one parameter or input of a record, given as ``"dense_1.W[0,1]"`` or ``"W1[0,1]"``.

    Entries are called as in the record. All others in the paths are those of a record whose samples are rows.

    Raises
    ------
    ConfigError
        If there is no such entry of a parameter or of the input.
    """
    name, there = _parse(shown_as, text)
    trace, label = shown_as.in_rows, f"{name.text}{place(there)}"
    at = there[: trace.values[name].ndim] if shown_as is trace or len(there) < 2 else turned_shape(there)
    at = at[-1:] if trace.values[name].ndim == 1 else at
    slopes, wires = _Slopes(recorder, shown_as.place), trace.wires
    starts, first = slopes.starts(name, at)
    ways = slopes.ways(starts, first)
    last = wires[-1].gradient("L")
    dz = trace.values[last]
    ended = [
        partial.on((len(wires), ()), dz[partial.at[1]], f"{last.text}{slopes.put(partial.at[1])}")
        for partial in slopes.follow(starts, first)
        if dz[partial.at[1]] != 0
    ]
    count = float(ways[-1][dz != 0].sum())
    if name.gradient("E") in trace.values and (value := trace.values[name][at]) != 0:  # l2 sees the weight itself
        rate = trace.values[Name("l2", full="l2")]
        factors: tuple[tuple[str, Any], ...] = (("l2", rate), (label, value))
        ended.append(_Partial(float(rate) * float(value), (len(wires), ()), (), factors))
        count += 1
    ended.sort(key=_importance)
    kept, gradient = ended[:SHOWN], trace.values[name.gradient("L")][at]
    paths = tuple(_path(partial, name, at, wires, slopes.put) for partial in kept)
    summary = Message(
        "{paths} from {name} to L. The slopes along a path are multiplied; the products of all paths add up to "
        "dL/d{name} = {gradient}.",
        paths=_counted(count),
        name=label,
        gradient=shown(gradient),
    )
    if not kept:
        summary = Message("No path leads from {name} to L: each has a slope of 0 somewhere.", name=label)
    moved: dict[Name, Array] = {wire: np.greater(found, 0) for wire, found in zip(wires, ways, strict=True)}
    return Focus(
        label, name, at, paths, summary, _rest(paths, ended, count, gradient), moved, slopes.shares(starts, first)
    )


def _counted(count: float) -> Message:
    if count == 1:
        return Message("One path leads")
    if count < 2**53:
        return Message("{n} paths lead", n=f"{int(count):,}")
    return Message("About {n} paths lead", n=f"{count:.3g}")


def _rest(paths: Sequence[Path], ended: Sequence[_Partial], count: float, gradient: Any) -> Message | None:
    """Return a sentence about the sum of the paths shown, and of the others."""
    kept = ended[:SHOWN]
    if count > len(kept):
        total = sum(partial.share for partial in kept)
        numbers = {"n": len(kept), "total": shown(total), "others": shown(float(gradient) - total)}
        if count > len(ended):
            return Message(
                "These {n} paths have the largest products of those followed, which add up to {total}; those of all "
                "others add up to {others}.", **numbers,
            )  # fmt: skip
        return Message(
            "These {n} paths have the largest products, which add up to {total}; those of all others add up to "
            "{others}.",
            **numbers,
        )
    if len(kept) < 2:
        return None
    digits = [decimal(path.result) for path in paths]
    exactly = None not in digits and sum(digits) == decimal(shown(gradient))  # type: ignore[arg-type]
    added = " + ".join(f"({path.result})" if path.result[0] == "-" else path.result for path in paths)
    sign = "=" if exactly else "~"
    return Message("Sum: {added} {sign} {gradient}", added=added, sign=sign, gradient=shown(gradient))


def _parse(trace: Trace, text: str) -> tuple[Name, Shape]:
    match = re.fullmatch(r"\s*(.+?)\s*\[([^\[\]]*)\]\s*", text) if isinstance(text, str) else None
    choices = {n: trace.values[n] for n in trace.values if n.gradient("L") in trace.values and not n.of}
    choices = {n: a for n, a in choices.items() if n not in trace.wires[1:]}
    known = ", ".join(f"{n.full}{a.shape}" for n, a in choices.items())
    if match is None:
        raise ConfigError(f'focus is one number, such as "dense_1.W[0,1]"; got {text!r:.200}. There are: {known}')
    for name, array in choices.items():
        if match[1] in (name.text, name.full):
            at = tuple(int(i) if re.fullmatch(r"\s*\d{1,9}\s*", i, re.ASCII) else -1 for i in match[2].split(","))
            if len(at) != array.ndim or not all(0 <= i < n for i, n in zip(at, array.shape, strict=True)):
                raise ConfigError(f"focus: {name.full} has shape {array.shape}, so there is no entry [{match[2]}]")
            return name, at
    raise ConfigError(f"focus: there is no parameter or input {match[1]!r:.200}. There are: {known}")


Node = tuple[int, Shape]  # a wire, and the entry in it


class _Partial(NamedTuple):
    """A path as far as it has been followed."""

    share: float
    at: Node
    nodes: tuple[Node, ...]
    factors: tuple[tuple[str, Any], ...]

    def on(self, at: Node, slope: Any, said: str) -> _Partial:
        return _Partial(self.share * float(slope), at, (*self.nodes, at), (*self.factors, (said, slope)))


def _importance(partial: _Partial) -> float:
    """Return a sort key that puts NaN first, and then the largest shares."""
    return -math.inf if math.isnan(partial.share) else -abs(partial.share)


def _path(partial: _Partial, name: Name, at: Shape, wires: Sequence[Name], put: Callable[[Shape], str]) -> Path:
    nodes = [f"{name.text}{put(at)}"]
    quantities = [f"{name.quantity}{put(at)}"]
    for i, entry in partial.nodes:
        if i < len(wires):
            nodes.append(f"{wires[i].text}{put(entry)}")
            quantities.append(f"{wires[i].quantity}{put(entry)}")
    if len(nodes) > 1 and nodes[0] == nodes[1]:  # an input stands at the beginning already
        del nodes[0], quantities[0]
    nodes.append("L")
    factors = [(said, value) for said, value in partial.factors if said]
    numbers: list[Expression] = [Number(float(value), shown(value)) for _, value in factors]
    tree = chain("*", numbers)
    result = shown(partial.share)
    sign = "=" if (e := exact(tree)) is not None and e == decimal(result) else "~"
    return Path(tuple(nodes), tuple(said for said, _ in factors), tree, sign, result, tuple(quantities))


class _Slopes:
    """The slopes of each step between single entries, computed by the layers' own backward."""

    def __init__(self, recorder: Recorder, there: Callable[[Shape], Shape]) -> None:
        """``there`` says where an entry stands in the record that is shown."""
        self.recorder, self.there = recorder, there
        self.bound = list(recorder.batch.bound())
        self.memo: dict[tuple[int, int], Any] = {}  # slopes by operation and the wire that it reads

    def put(self, at: Shape) -> str:
        """Return an index as it is shown."""
        return place(self.there(at))

    def backward(self, i: int, at: Any) -> tuple[Any, Any, Any]:
        """Return the results of operation i's backward: g, dx, and d_skip at the end of a block.

        The gradient is 1 at an entry of y, or at all of them (``...``), and 0 elsewhere. Forward is run first, as
        backward may overwrite a cache.
        """
        op, p, x, c, y = self.bound[i]
        dy = np.zeros_like(y)
        dy[at] = 1
        g = Views({tensor.letter: np.full(tensor.shape, math.nan, dy.dtype) for tensor in op.params})
        dx = np.full_like(x, math.nan)
        with np.errstate(all="ignore"):
            op.layer.forward(p, x, c, y, train=self.recorder.train)
            op.layer.backward(p, x, c, y, dy, g, dx)
        return g, dx, c.d_skip.copy() if op.layer.skips else None

    def starts(self, name: Name, at: Shape) -> tuple[list[_Partial], int]:
        """Return the first steps of the paths, and the wire that they lead to."""
        r = self.recorder
        if name == r.wires[0]:
            return [_Partial(1.0, (0, at), ((0, at),), ())], 0
        i, letter = next(key for key, own in r.parameters.items() if own == name)
        shape = r.values[r.wires[i + 1]].shape
        kind = r.program.operations[i].kind
        found = []
        columns = [at[-1]] if kind in OWN_COLUMN else range(shape[1])
        for row in range(shape[0]):
            for j in columns:
                g, *_ = self.backward(i, (row, j))
                if slope := float(getattr(g, letter)[at]):
                    said = f"d{r.wires[i + 1].text}{self.put((row, j))}/d{name.text}"
                    if kind == "dense":
                        x = r.wires[r.program.operations[i].reads[0] + 1]
                        said = f"{x.text}{self.put((row, at[0]))}{self.divisor(i)}" if name.letter == "W" else "1"
                    found.append(_Partial(slope, (i + 1, (row, j)), ((i + 1, (row, j)),), ((said, slope),)))
        return found, i + 1

    def divisor(self, i: int) -> str:
        """Return what the product of a dense operation is divided by, as it is written."""
        layer: Any = self.recorder.program.operations[i].layer
        return f" / sqrt({layer.n_in})" if layer.parametrization == "ntk" else ""

    def onward(self, i: int, at: Shape) -> list[tuple[Node, Any, str]]:
        """Return the entries that an entry of wire i affects, with the slopes and their texts."""
        return [each for reader in self.readers(i) for each in self.through(reader, at, i) if each[1] != 0]

    def readers(self, i: int) -> Sequence[int]:
        """Return the operations that read wire i: first those at the ends of blocks, then the one that comes next."""
        return self.recorder.program.readers[i - 1][::-1]

    def through(self, i: int, at: Shape, source: int) -> Iterator[tuple[Node, Any, str]]:
        """Yield the entries that an entry of a wire affects through operation i, with the slopes and their texts."""
        r = self.recorder
        kind, target = r.program.operations[i].kind, i + 1
        if kind == "dense":
            W = r.parameter(i, "W")
            layer: Any = r.program.operations[i].layer
            for k, slope in enumerate(r.values[W][at[1]] * r.theta.dtype.type(layer.weight_factor)):
                yield (target, (at[0], k)), slope, f"{W.text}{self.put((at[1], k))}{self.divisor(i)}"
        elif kind == "add":
            yield (target, at), 1.0, ""
        elif kind == "select":
            columns = r.program.operations[i].settings["columns"]
            if at[1] in columns:
                yield (target, (at[0], columns.index(at[1]))), 1.0, ""
        elif kind == "concatenate":
            yield (target, (at[0], self.place(i, source).start + at[1])), 1.0, ""
        else:
            slopes = self.of_operation(i, source)
            for entry in [at] if slopes.ndim == 2 else np.ndindex(slopes.shape[:2]):
                said = f"d{r.wires[target].text}{self.put(entry)}/d{r.wires[source].text}{self.put(at)}"
                yield (target, entry), slopes[at if slopes.ndim == 2 else (*entry, *at)], said

    def of_operation(self, i: int, source: int) -> Array:
        """Return the slopes of an operation: of each entry of y by each entry of a wire, or by the same entry only."""
        if (i, source) in self.memo:
            return self.memo[i, source]
        r = self.recorder
        op, shape = r.program.operations[i], r.values[r.wires[i + 1]].shape
        which = 1 if source == op.reads[0] + 1 else 2  # the position of dx or d_skip in the results of backward
        if _alone(op.layer, r.train, shape[0]):  # one gradient of ones gives all slopes
            slopes = self.backward(i, ...)[which]
        elif math.prod(shape) > WIDE:
            raise ConfigError(
                f"focus: {r.names[i]} joins {math.prod(shape):,} numbers, too many to follow; give fewer rows"
            )
        else:
            slopes = np.zeros((*shape, *r.values[r.wires[source]].shape), r.theta.dtype)
            for entry in np.ndindex(shape):
                slopes[entry] = self.backward(i, entry)[which]
        self.memo[i, source] = slopes
        return slopes

    def place(self, i: int, source: int) -> slice:
        """Return the columns of a wire in the output of operation i, which joins it with others."""
        op: Any = self.recorder.program.operations[i]
        return next(place for place, read in zip(op.layer.places(), op.reads, strict=True) if read + 1 == source)

    def ways(self, starts: Sequence[_Partial], first: int) -> list[Array]:
        """Return for each wire how many paths lead to each of its entries."""
        r = self.recorder
        found = [np.zeros(r.values[wire].shape) for wire in r.wires]
        for partial in starts:
            found[first][partial.at[1]] += 1
        for source in range(first, len(r.wires) - 1):
            for i in self.readers(source):
                kind = r.program.operations[i].kind
                if kind == "dense":
                    found[i + 1] += found[source] @ (r.values[r.parameter(i, "W")] != 0)
                elif kind == "select":
                    found[i + 1] += found[source][:, r.program.operations[i].settings["columns"]]
                elif kind == "concatenate":
                    found[i + 1][:, self.place(i, source)] += found[source]
                elif found[source].any():
                    open_ways = self.of_operation(i, source) != 0
                    whole = open_ways.ndim > 2
                    found[i + 1] += np.tensordot(open_ways, found[source], 2) if whole else found[source] * open_ways
        return found

    def shares(self, starts: Sequence[_Partial], first: int) -> dict[str, Array]:
        """Return what the paths through each entry of a wire, and through each weight, add up to, over all rows.

        Of a unit it is (copies, units), of the way past a block that of the block's end by its name and ``:skip``.
        """
        r = self.recorder
        moves: list[Array] = [np.zeros(r.values[wire].shape) for wire in r.wires]  # slopes of each entry by the number
        dense = [r.parameter(i, "W") for i, op in enumerate(r.program.operations) if op.is_dense]
        found = {W.full: np.zeros(r.values[W].shape) for W in dense}
        for partial in starts:
            moves[first][partial.at[1]] += partial.share
        with np.errstate(all="ignore"):
            for source in range(first, len(r.wires) - 1):
                for i in self.readers(source):
                    if not moves[source].any():
                        continue
                    op, made, back = r.program.operations[i], self._moved(i, source, moves[source]), self._back(i + 1)
                    moves[i + 1] += made
                    if op.layer.skips and source == op.reads[1] + 1:
                        found[f"{r.wires[i + 1].full}:skip"] = np.nansum(made * back)
                    if op.is_dense:
                        W = r.parameter(i, "W")
                        found[W.full] = self._through_weights(i, moves[source], back)
            for i, wire in enumerate(r.wires):
                copies = r.program.operations[i - 1].copies if i else 1
                shares = moves[i] * self._back(i)
                found[wire.full] = np.nansum(shares.reshape(-1, copies, shares.shape[1]), axis=0)
        return found

    def _back(self, wire: int) -> Array:
        """Return the gradient at a wire."""
        name = self.recorder.wires[wire]
        gradient = self.recorder.values.get(name.gradient("L"))
        return np.zeros(self.recorder.values[name].shape) if gradient is None else gradient

    def _moved(self, i: int, source: int, moves: Array) -> Array:
        """Return by how much the output of operation i moves if a wire moves by ``moves``."""
        r = self.recorder
        op = r.program.operations[i]
        if op.kind == "dense":
            return moves @ r.values[r.parameter(i, "W")] * float(op.layer.weight_factor)  # type: ignore[attr-defined]
        if op.kind == "select":
            return moves[:, op.settings["columns"]]
        if op.kind == "concatenate":
            made = np.zeros(r.values[r.wires[i + 1]].shape)
            made[:, self.place(i, source)] = moves
            return made
        slopes = self.of_operation(i, source)
        return np.tensordot(slopes, moves, 2) if slopes.ndim > 2 else slopes * moves

    def _through_weights(self, i: int, moves: Array, back: Array) -> Array:
        """Return the sum over all paths through each weight of a Dense operation."""
        r = self.recorder
        op = r.program.operations[i]
        W = r.values[r.parameter(i, "W")]
        x, z = (a.reshape(len(r.data.x), -1, a.shape[1]) for a in (moves, back))  # (rows, copies, units)
        if op.kind == "shared_dense":
            x, z = x * r.values[r.parameter(i, "r")], z * r.values[r.parameter(i, "s")]
        x = np.broadcast_to(x, (len(z), op.copies, x.shape[2]))
        flows = np.einsum("rmi,rmj->mij", x, z) * (W if W.ndim == 3 else W[None])
        return (flows if W.ndim == 3 else flows.sum(axis=0)) * float(op.layer.weight_factor)  # type: ignore[attr-defined]

    def follow(self, starts: Sequence[_Partial], first: int) -> list[_Partial]:
        """Return the paths to the outputs; if there are many, those with the largest shares in between."""
        reached: dict[int, list[_Partial]] = {first: list(starts)}
        last = len(self.recorder.wires) - 1
        for i in range(first, last):
            for partial in sorted(reached.pop(i, []), key=_importance)[:BEAM]:
                for target, slope, said in self.onward(i, partial.at[1]):
                    reached.setdefault(target[0], []).append(partial.on(target, slope, said))
        return reached.get(last, [])


def _alone(layer: Layer, train: bool, rows: int) -> bool:
    """Whether each entry of a layer's output depends only on the same entry of its input."""
    if type(getattr(layer, "activation", None)) is FunctionPair:  # its formula is not known
        return True
    return all(entrywise(line.formula) for line in formulas.forward(layer, train=train, rows=rows))
