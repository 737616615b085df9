"""From the operations of a network to the columns and lines of its picture: what is drawn, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.messages import Message
from fullyconnected.errors import ConfigError
from fullyconnected.explanation.pictures.choice import Chosen, chosen_units, keeps_units
from fullyconnected.explanation.pictures.scene import At, Column, Edge, Fan, Number, Scene, Skip, Unit, Wire
from fullyconnected.explanation.pictures.tape import Held, Tape
from fullyconnected.program.description import Operation
from fullyconnected.symbolic.digits import place

__all__ = ["scene_of"]

MOST_LABELS = 16  # if more weights are drawn between two columns, they are a matrix instead of numbers


def scene_of(tape: Tape, focus: str = "", lang: str = "en") -> Scene:
    """Return the picture of what is on a tape; the unit or weight in ``focus`` is among those that are drawn."""
    if not any(op.is_dense for op in tape.operations):
        raise ConfigError("there is no Dense layer to draw")
    return _Stages(tape, chosen_units(tape, focus), lang).scene


class _Stages:
    """Turns operations into columns, one after the other."""

    def __init__(self, tape: Tape, chosen: list[Chosen], lang: str) -> None:
        self.tape, self.chosen = tape, chosen
        layers = [name for name, known in self._known() if known]
        self.scene = Scene([], [], [], [], tuple(layers), lang)
        self.lane = 0
        self.where: list[dict[tuple[int, int], At]] = []  # for each wire, the place of each unit that is drawn
        first = tape.wires[0]
        title = [Message("input")]
        if tape.rows > 1:
            title.append(Message("row {row} of {rows}", row=tape.row, rows=tape.rows))
        self._add(0, tuple(title), (first.text,), self._units(0, "input"), [], depth=0)
        ends = next((i for i, op in enumerate(tape.operations) if op.layer.joins), -1)
        for i, op in enumerate(tape.operations):
            if i < ends and op.reads == (-1,):
                self.lane += 1
            if i == ends:
                self.lane = 0
            self._operation(i, op)
        self._name_ends()
        if tape.end is not None:
            self._end()

    def _known(self) -> Iterator[tuple[str, bool]]:
        yield "values", True  # those of weights, at least
        yield "gradients", any(wire.gradient is not None for wire in self.tape.wires)

    def _number(self, held: Held, at: tuple[int, ...]) -> Number:
        value = None if held.value is None else held.value[at]
        gradient = None if held.gradient is None else held.gradient[at]
        return Number(held.quantity + place(at), value, gradient)

    def _cell(self, w: int, m: int, j: int) -> tuple[Number, str]:
        """Return the number of a unit, of the row that is shown, and its name."""
        held, copies = self.tape.wires[w], self._copies(w)
        name = f"{held.text}[{f'{m},' if copies > 1 else ''}{j}]"
        if held.value is None:
            return Number(f"{held.quantity}{place((m, j))}"), name
        return self._number(held, (self.tape.row * copies + m, j)), name

    def _copies(self, w: int) -> int:
        return self.tape.operations[w - 1].copies if w else 1

    def _units(self, w: int, kind: str) -> list[Unit]:
        units = []
        for m, j in self.chosen[w]:
            cell, name = self._cell(w, m, j)
            units.append(Unit(name, kind, (cell,), (name,)))
        return units

    def _width(self, w: int) -> int:
        return (self.tape.operations[w - 1].n_out if w else self.tape.operations[0].n_in) * self._copies(w)

    def _add(
        self, w: int, title: tuple[str, ...], captions: tuple[str, ...], units: list[Unit], follows: list[At | None], *,
        depth: int, **more: Any,
    ) -> int:  # fmt: skip
        """Add the column of a wire, and return its number."""
        c = len(self.scene.columns)
        column = Column(title, captions, units, self._width(w), follows, depth, self.lane, **more)
        if w and title:
            column.block = self.tape.operations[w - 1].name.rpartition(".")[0]
        self.scene.columns.append(column)
        self.where.append({unit: (c, k) for k, unit in enumerate(self.chosen[w])})
        return c

    def _depth(self, op: Operation) -> int:
        """Return the place of an operation from left to right, behind all that it reads."""
        places = [at for read in op.reads for at in self.where[read + 1].values()]
        return 1 + max((self.scene.columns[c].depth for c, _ in places), default=0)

    def _operation(self, i: int, op: Operation) -> None:
        w, reads = i + 1, op.reads[0] + 1
        if not self.chosen[w]:  # in a branch that is not drawn
            self.where.append({})
        elif op.kind == "select":
            columns = op.settings["columns"]
            self.where.append({(0, k): self.where[reads][0, columns[k]] for _, k in self.chosen[w]})
        elif op.is_dense:
            self._dense(i, op)
        elif op.kind == "activation" and reads == i and op.name == self.tape.operations[i - 1].name:
            self._activation(i, op)
        else:
            self._other(i, op)

    def _title(self, op: Operation, *more: str) -> tuple[str, ...]:
        said = [op.name.rpartition(".")[2], *more]
        if op.copies > 1 and op.copies_in == 1:
            said.append(Message("{k} members", k=op.copies))
        if op.name in self.tape.unset:
            said.append(Message("(unset)"))
        return tuple(said)

    def _kind(self, w: int) -> str:
        """Return the kind of a wire's units: output if only the loss, or nothing, comes behind."""
        later = self.tape.operations[w:]
        return "hidden" if any(op.is_dense or not keeps_units(op) for op in later) else "output"

    def _dense(self, i: int, op: Operation) -> None:
        w = i + 1
        source = next(iter(self.where[op.reads[0] + 1].values()))[0]
        depth = self._depth(op)
        c = self._add(w, self._title(op), (self.tape.wires[w].text,), self._units(w, self._kind(w)), [], depth=depth)
        params = self.tape.params[i]
        W, b = params["W"], params.get("b")
        edges = list(self._weights(op, W, op.reads[0] + 1, w))
        number = len(edges)
        if b is not None and b.value is not None:
            units = self.scene.columns[source].units
            units.append(Unit("1", "bias"))
            for (m, j), target in self.where[w].items():
                at = (m, j)[2 - b.value.ndim :]
                edges.append(Edge((source, len(units) - 1), target, self._held(op, b, at), f"{b.text}{place(at)}"))
        arrays = [[a.value for a in (W, b) if a is not None], [a.gradient for a in (W, b) if a is not None]]
        largest = tuple(max((_largest(a) for a in some if a is not None), default=0.0) for some in arrays)
        apart = 1 < op.copies == op.copies_in
        each = {at: f"{j}" if apart or op.copies == 1 else f"{m},{j}" for (m, j), at in self.where[w].items()}
        labels = list(dict.fromkeys(each.values()))
        places = {at: labels.index(label) for at, label in each.items()}
        name = W.text if b is None else f"{W.text}, {b.text}"
        self.scene.fans.append(Fan(source, c, name, edges, largest, labels, places, number > MOST_LABELS))  # type: ignore[arg-type]

    def _weights(self, op: Operation, W: Held, source: int, target: int) -> Iterator[Edge]:
        assert W.value is not None
        apart = op.copies_in > 1
        for (member, unit), start in self.where[source].items():
            for (m, j), stop in self.where[target].items():
                if m == member or not apart:
                    at = (m, unit, j)[3 - W.value.ndim :]
                    yield Edge(start, stop, self._held(op, W, at), f"{W.text}{place(at)}")

    def _held(self, op: Operation, held: Held, at: tuple[int, ...]) -> Number:
        """Return a weight or a bias, or nothing if it is still to be drawn."""
        number = self._number(held, at)
        return number._replace(value=None) if op.name in self.tape.unset and np.isnan(number.value) else number

    def _activation(self, i: int, op: Operation) -> None:
        """Add what an activation gives to the units of the layer that it belongs to."""
        w = i + 1
        self.where.append(self.where[i])
        c = next(iter(self.where[i].values()))[0]
        column, layer = self.scene.columns[c], self.tape.operations[i].layer
        kind = self._kind(w)
        for (m, j), (_, k) in self.where[w].items():
            (cell, name), unit = self._cell(w, m, j), column.units[k]
            column.units[k] = Unit(name, kind, (*unit.cells, cell), (*unit.names, name))
        said = str(layer.activation.name)  # type: ignore[attr-defined]
        column.title = (column.title[0], said, *column.title[1:])
        column.captions = (*column.captions, self.tape.wires[w].text)
        column.band = said == "softmax"

    def _other(self, i: int, op: Operation) -> None:
        """Add the column of an operation that has no matrix."""
        w, layer = i + 1, op.layer
        reads = [self.where[read + 1] for read in op.reads]
        thin = keeps_units(op) or layer.joins
        pairs = list(self._pairs(i, op, reads))
        follows: list[At | None] = []
        if thin:
            rows = {target: source for source, target in pairs}
            lanes = {self.scene.columns[c].lane for c, _ in rows.values()}
            if layer.joins or lanes == {self.lane}:  # else a branch begins, in a place of its own
                follows = [rows.get(unit) for unit in self.chosen[w]]
        band = op.kind.endswith(("layer_norm", "rms_norm")) or "." in op.kind
        said: tuple[str, ...] = ()
        if op.kind in ("activation", "parametric"):
            said = (str(layer.activation.name),)  # type: ignore[attr-defined]
            band = said == ("softmax",)
        mask = self.tape.masks.get(i)
        if layer.random and mask is None:
            said = (Message("off"),)
        kind = self._kind(w)
        units = [self._off(unit, w, at, mask) for unit, at in zip(self._units(w, kind), self.chosen[w], strict=True)]
        sign = "+" if op.kind == "add" else ""
        stacked = op.kind.endswith("batch_norm") and self.tape.train
        c = self._add(
            w, self._title(op, *said), (self.tape.wires[w].text,), units, follows, depth=self._depth(op),
            named=not thin, band=band, stacked=stacked, sign=sign,
        )  # fmt: skip
        for source, target in pairs:
            to = self.where[w][target]
            unit = self.scene.columns[source[0]].units[source[1]]
            self.scene.wires.append(Wire(source, to, unit.quantity, units[to[1]].dropped))
        if layer.skips:
            held = self.tape.wires[op.reads[1] + 1]
            block = op.name.rpartition(".")[0]
            entered = next(iter(reads[1].values()))[0]
            returns = Message("a gradient returns")
            if op.kind == "add":
                returns = Message("{gradient} returns", gradient=f"dL/d{self.tape.wires[w].text}")
            self.scene.skips.append(Skip(entered, c, held.quantity, held.text, returns, block))

    def _off(self, unit: Unit, w: int, at: tuple[int, int], mask: Array | None) -> Unit:
        if mask is None:
            return unit
        return unit._replace(dropped=bool(mask[self.tape.row * self._copies(w) + at[0], at[1]] == 0))

    def _pairs(
        self, i: int, op: Operation, reads: list[dict[tuple[int, int], At]]
    ) -> Iterator[tuple[At, tuple[int, int]]]:
        """Yield what each unit of an operation reads: the place of a unit, and the unit that reads it."""
        targets = self.chosen[i + 1]
        if op.layer.joins:
            start = 0
            for read, found in zip(op.reads, reads, strict=True):
                yield from ((at, (0, start + j)) for (_, j), at in found.items())
                start += self.tape.operations[read].n_out
            return
        for (m, j), at in reads[0].items():
            for target in targets:
                if _belongs(op, m, j, target):
                    yield at, target

    def _name_ends(self) -> None:
        """Give the inputs the names of their columns, and the outputs those of classes or targets."""
        last = len(self.tape.operations)
        while last > 1 and keeps_units(self.tape.operations[last - 1]):
            last -= 1
        outputs = self.tape.outputs
        if len(outputs) != self.tape.operations[-1].n_out:  # of a single probability, which is that of the second class
            outputs = outputs[1:] if len(outputs) == 2 else ()
        for w, names in ((0, self.tape.inputs), (last, outputs)):
            for (_, j), (c, k) in self.where[w].items() if names else ():
                units = self.scene.columns[c].units
                units[k] = units[k]._replace(called=names[j])

    # --- the loss -----------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Add targets, probabilities and the loss."""
        tape, scene = self.tape, self.scene
        end = tape.end
        assert end is not None
        last, t = len(tape.wires) - 1, end.t
        outputs, held = self.where[last], tape.wires[last]
        assert held.value is not None
        assert t.value is not None
        depth = scene.columns[next(iter(outputs.values()))[0]].depth
        beside = t.value.shape == held.value.shape  # a target for each output
        seen = [each for each in (end.p, t if beside else None) if each is not None]
        c = len(scene.columns)
        units: list[Unit] = []
        follows: list[At | None] = []
        for (m, j), at in outputs.items() if seen else ():
            row = tape.row * self._copies(last) + m
            cells = tuple(self._number(each, (row, j)) for each in seen)
            names = tuple(f"{each.text}{place((row, j))}" for each in seen)
            scene.wires.append(Wire(at, (c, len(units)), f"{held.quantity}{place((row, j))}"))
            units.append(Unit(names[-1], "target", cells, names))
            follows.append(at)
        if not beside:
            units += self._targets(t)
            follows += [None] * (len(units) - len(follows))
        captions = tuple(each.text for each in seen)
        column = Column((), captions, units, len(units), follows, depth + 1, named=False)
        column.band = end.mixes
        scene.columns.append(column)
        ends = (
            [] if seen else [Wire(at, (c + 1, 0), self._cell(last, *unit)[0].quantity) for unit, at in outputs.items()]
        )
        scene.wires += ends
        rows = Message("of {rows} rows", rows=tape.rows) if tape.rows > 1 else ""
        for loss in end.loss:
            said = rows if loss is end.loss[-1] else Message("without l2")
            title = tuple(filter(None, (end.name if loss is end.loss[0] else Message("loss"), said)))
            cell = Number(loss.quantity, loss.value[()], loss.gradient)  # type: ignore[index]
            unit = Unit(loss.text, "loss", (cell,), (loss.text,))
            scene.columns.append(Column(title, (), [unit], 1, back=loss is end.loss[0]))
            k = len(scene.columns) - 1
            scene.columns[k].depth = scene.columns[k - 1].depth + 1
            for n, unit in enumerate(scene.columns[k - 1].units):
                scene.wires.append(Wire((k - 1, n), (k, 0), unit.quantity))

    def _targets(self, t: Held) -> Iterator[Unit]:
        """Yield the targets of the row if they are not one for each output: the number of a class, as a rule."""
        assert t.value is not None
        row = self.tape.row * self._copies(len(self.tape.wires) - 1)
        copies = len(t.value) // max(1, self.tape.rows)
        for at in np.ndindex(t.value.shape[1:]):
            where = (row if copies > 1 else self.tape.row, *at)
            name = "t" if at else Message("t, class")
            yield Unit(name, "target", (self._number(t, where),), (f"t{place(where)}",))


def _belongs(op: Operation, m: int, j: int, target: tuple[int, int]) -> bool:
    """Whether unit j of member m is what a unit of an operation without a matrix reads."""
    member, k = target
    if op.copies == op.copies_in and member != m:
        return False
    if op.n_in == op.n_out:
        return j == k
    if op.kind == "standardize":  # the values, and then whether they are missing
        return j == k % op.n_in
    if op.n_out % max(1, op.n_in) == 0 and "." not in op.kind:  # a block of outputs for each column
        return j == k // (op.n_out // op.n_in)
    return True


def _largest(a: Array) -> float:
    size = np.abs(a[np.isfinite(a)])
    return float(size.max()) if size.size else 0.0
