"""Pictures of a network: its units and weights, and the graph of its computation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import as_rows, known_columns
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, InputTypeError
from fullyconnected.explanation.naming import wires
from fullyconnected.explanation.paths import Focus
from fullyconnected.explanation.pictures.graph import Op, Parameter, Wire, graph
from fullyconnected.explanation.pictures.picture import Column, Edge, Unit, picture
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.recorder import trace
from fullyconnected.network import Network
from fullyconnected.program.description import Operation, apart
from fullyconnected.program.program import Program
from fullyconnected.program.workspace import Workspace
from fullyconnected.symbolic.digits import place, shown
from fullyconnected.symbolic.expression import Name

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, LossLike

__all__ = ["Drawing", "Show", "draw", "graph_of", "picture_of"]

Show = Literal["values", "gradients", "both"]
FIRST, LAST = 3, 1  # how many first and last units of a wide layer are drawn
WIDE = 8  # a layer of more units is not drawn whole
SMALL = 6  # the graph shows the numbers of an array of at most this many
MEMBERS, UNITS = 4, 2  # of an ensemble of more members, or more units in a column, so many are drawn
LINE = 32  # characters in a line of numbers in the graph


At = tuple[int, int]  # a member and a unit


class Drawing(str):
    """A string of SVG, which a notebook shows as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<Drawing, {len(self):,} characters of SVG>"


class Part(NamedTuple):
    """An operation of the network, with its values in the first row, if known; of an ensemble, for each member."""

    op: Operation  # of the input, the one that reads it
    y: Array | None = None  # (copies, n_out)
    dy: Array | None = None
    quantity: str = ""  # of y
    text: str = ""  # what formulas call y
    W: Array | None = None
    b: Array | None = None
    dW: Array | None = None
    db: Array | None = None
    unset: bool = False  # whether it waits for training rows, without which its constants or weights are unknown

    @property
    def said(self) -> str:
        """The name of the operation in the title of its column."""
        return f"{self.op.name} (unset)" if self.unset else self.op.name


def draw(
    net: Network,
    x: ArrayLike | None = None,
    t: ArrayLike | None = None,
    loss: LossLike | None = None,
    *,
    show: Show | None = None,
    focus: str | None = None,
) -> Drawing:
    """Return a network as a picture in SVG: units as circles, biases as squares, weights as lines between them.

    Lines of large weights are thick, lines of negative weights are dashed. With ``x``, the units have their values for
    the first row. With ``t`` and ``loss``, the picture can show gradients: those of weights include all rows, those of
    units are for the first row. Of a layer of more than 8 units, the first three and the last are drawn. The units of
    an ensemble's members stand below each other, and ``y1[2,0]`` is unit 0 of member 2; of more than 4 members, the
    first three and the last are drawn.

    Parameters
    ----------
    net : Network
        A network with at least one Dense layer. The names of other layers stand above the units.
    x : array, optional
        Inputs, one row or more.
    t, loss : optional
        Targets and loss, as for :func:`fullyconnected.trace`.
    show : {"values", "gradients", "both"}, optional
        The numbers to show; if None, ``"both"`` with ``t``, and ``"values"`` without.
    focus : str, optional
        A weight or a unit, ``"dense_1.W[0,1]"``, ``"dense_1.y[0,2]"`` or ``"x[0,0]"``; the rest is dimmed.

    Returns
    -------
    Drawing
        A string of SVG, which a notebook shows as a picture.

    Raises
    ------
    InputTypeError, ConfigError
        If ``net`` is not a Network, for targets without a loss, or gradients without targets; and the errors of
        :meth:`Network.predict` and :func:`fullyconnected.trace`.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> svg = fc.draw(fc.mlp([2, 3, 1], seed=0), [[0.5, -1.0]])
    >>> svg.startswith("<svg"), svg.count('data-kind="weight"')
    (True, 13)
    """
    if not isinstance(net, Network):
        raise InputTypeError(f"a Network can be drawn; got {net!r}")
    if (t is None) != (loss is None):
        raise InputTypeError("targets need a loss, and a loss needs targets: draw(net, x, t, fc.HalfSquaredError())")
    if t is not None and x is None:
        raise InputTypeError("targets need inputs, too: draw(net, x, t, loss)")
    if t is None and show in ("gradients", "both"):
        raise ConfigError(f"show={show!r} needs targets and a loss: draw(net, x, t, fc.HalfSquaredError())")
    if x is None or t is None or loss is None:
        return _drawn(list(_of_network(net, x)), show or "values", focus, 0 if x is None else np.shape(x)[0])
    return picture_of(trace(net, x, t, loss), show=show or "both", focus=focus)


def picture_of(record: Trace, *, show: Show = "both", focus: Focus | str | None = None, prefix: str = "net") -> Drawing:
    """Return the network of a record as a picture; its ids begin with ``prefix``."""
    record = record.in_rows
    parts = list(_of_trace(record))
    focus = focus.in_rows if isinstance(focus, Focus) else focus
    if isinstance(focus, Focus):  # a number without a place in the picture, such as a gain, is not marked
        chosen = f"{focus.name.quantity}{place(focus.at)}"
        drawable = focus.name.letter in "Wb" or chosen.startswith("x[0,")
        focus = chosen if drawable else None
    return _drawn(parts, show, focus, record.rows, prefix)


def _of_network(net: Network, x: Any) -> Iterator[Part]:
    outputs: list[Array | None] = [None] * len(net.program.operations)
    first: Array | None = None
    if x is not None:
        net.require_set()
        x = known_columns(x, net.program.names, net.columns.x)
        x = as_rows(x, net.n_in, missing=net.program.reads_raw)
        net.program.check_rows(x, "x", net.dtype)
        batch = Workspace(net.program, net.theta, net.state.copy(), len(x)).bind(len(x))
        np.copyto(batch.x, x, casting="unsafe")
        with np.errstate(all="ignore"):
            batch.forward(train=False)
        first, outputs = batch.x[:1], [y[: op.copies] for op, *_, y in batch.bound()]
    yield Part(net.program.operations[0], first, quantity="x", text="x")
    every = Program(net.layers, apart(net.program.operations))
    texts = {wire.full: wire.text for wire in wires(every.operations)}
    for op, p, y in zip(net.program.operations, net.program.views(net.theta), outputs, strict=True):
        W, b = getattr(p, "W", None), getattr(p, "b", None)
        yield Part(
            op, y, quantity=f"{op.name}.y", text=texts[f"{printable(op.name)}.y"], W=W, b=b, unset=op.name in net.unset
        )


def _of_trace(record: Trace) -> Iterator[Part]:
    def parameter(full: str, of: str = "") -> Array | None:
        return next((a for n, a in record.values.items() if n.full == full and n.of == of and not n.new), None)

    x = record.wires[0]
    dx = record.values.get(x.gradient("L"))
    yield Part(record.operations[0], record.values[x][:1], None if dx is None else dx[:1], "x", "x")
    for op, wire in zip(record.operations, record.wires[1:], strict=True):
        dy = record.values.get(wire.gradient("L"))
        parameters = (parameter(f"{op.name}.{letter}", of) for of in ("", "L") for letter in "Wb")
        yield Part(
            op, record.values[wire][: op.copies], None if dy is None else dy[: op.copies], wire.quantity, wire.text,
            *(parameters if op.is_dense else ()),
        )  # fmt: skip


def _drawn(parts: Sequence[Part], show: Show, focus: str | None, rows: int, prefix: str = "net") -> Drawing:
    """Return the picture: each Dense layer starts a column, with the values of the last layer before the next one.

    Of layers side by side, what joins them is drawn.
    """
    joins = next((i for i, part in enumerate(parts) if i and part.op.layer.joins), 1)
    parts = [parts[0], *parts[joins:]]
    titles, units, dense = [["input"]], [parts[0]], []
    column = {parts[0].quantity: 0}  # the column of each layer's outputs: its units have those of its last layer
    for part in parts[1:]:
        op = part.op
        function = getattr(getattr(op.layer, "activation", None), "name", "")
        if op.is_dense:
            titles.append([f"{part.said} {function}".rstrip()])
            units.append(part)
            dense.append(part)
        else:
            last = titles[-1][-1]
            name = op.name.rpartition(".")[0] if op.layer.joins else f"{part.said} {function}".rstrip()
            titles[-1][-1:] = [f"{last} {function}"] if op.kind == "activation" else [last, name]
            units[-1] = part
        column[part.quantity] = len(units) - 1
    if not dense:
        raise ConfigError("there is no Dense layer to draw")
    widths = [dense[0].op.n_in, *(part.op.n_out for part in dense)]
    members = [1, *(part.op.copies for part in units[1:])]
    kept = [_kept(n, k) for n, k in zip(widths, members, strict=True)]
    name, _, at = (focus or "").partition("[")
    if name in column:
        focus = f"{units[column[name]].quantity}[{at}"
    _keep_focus(kept, widths, focus, [part.quantity for part in units], dense)
    columns, edges = [], []
    for k, (part, width, chosen) in enumerate(zip(units, widths, kept, strict=True)):
        kind = "input" if k == 0 else "output" if k == len(units) - 1 else "hidden"
        drawn = []
        for m, j in chosen:
            said = f"{m},{j}" if members[k] > 1 else f"{j}"
            values = _at(part.y, (m, j)), _at(part.dy, (m, j))
            drawn.append(Unit(f"{part.text}[{said}]", kind, *values, f"{part.quantity}[{m},{j}]"))
        biased = [int(each.b is not None) for each in dense] + [0]  # the last column has no bias of a next layer
        columns.append(Column(", ".join(titles[k]), [*[Unit("1", "bias")] * biased[k], *drawn], width * members[k]))
        if k < len(dense):
            apart = members[k] == members[k + 1]
            edges.append(list(_edges(dense[k], chosen, kept[k + 1], biased[k + 1], apart)))
    what = f"A network of {'-'.join(map(str, widths))} units"
    said = "Layers are columns from left to right; squares are biases, dashed lines are negative weights."
    if (k := members[-1]) > 1:
        what += f", an ensemble of {k} members"
        said += " The units of the members stand below each other."
    if rows > 1:
        said += f" Numbers at units are those of the first of {rows} rows; gradients of weights include all rows."
    return Drawing(picture(columns, edges, show=show, focus=focus, title=what, desc=said, prefix=prefix))


def _kept(n: int, members: int) -> list[At]:
    """Return the units of a layer that are drawn, each as the number of its member and its own."""
    if members == 1:
        return [(0, j) for j in ([*range(n)] if n <= WIDE else [*range(FIRST), *range(n - LAST, n)])]
    chosen = [*range(members)] if members <= MEMBERS else [*range(MEMBERS - 1), members - 1]
    every = [*range(n)] if n * len(chosen) <= WIDE or n <= UNITS else [*range(UNITS - 1), n - 1]
    return [(m, j) for m in chosen for j in every]


def _keep_focus(
    kept: list[list[At]], widths: list[int], focus: str | None, units: list[str], layers: list[Part]
) -> None:
    """Add the units of the focus, or at the ends of its weight, to those that are drawn."""
    match = re.fullmatch(r"(.+?)(?:\.([Wb]))?\[(\d+(?:,\d+)*)\]", focus or "")
    if match is None:
        return
    name, letter, at = match[1], match[2], tuple(map(int, match[3].split(",")))
    wanted: list[tuple[int, At]] = []
    k = next((k for k, part in enumerate(layers) if part.op.name == name), None)
    if letter and k is not None:
        array = layers[k].W if letter == "W" else layers[k].b
        if array is None or array.ndim != len(at):
            return
        m = at[0] if len(at) > 1 + (letter == "W") else 0  # of a weight that all members have in common, the first
        wanted = [(k + 1, (m, at[-1]))]
        if letter == "W":
            wanted.append((k, (m if layers[k].op.copies_in > 1 else 0, at[-2])))
    elif name in units:
        wanted = [(units.index(name), (at[-2] if len(at) > 1 else 0, at[-1]))]
    for k, unit in wanted:
        if unit[1] < widths[k] and unit not in kept[k]:
            kept[k] = sorted([*kept[k], unit])


def _edges(part: Part, sources: list[At], targets: list[At], after: int, apart: bool) -> Iterator[Edge]:
    """Yield the lines of a layer's biases and weights; ``after`` is the position of the first target in its column.

    Where members are ``apart``, only the units of the same one are joined.
    """
    assert part.W is not None
    before = 0 if part.b is None else 1
    for j, (member, target) in enumerate(targets, after):
        if part.b is not None:
            at: tuple[int, ...] = (member, target)[2 - part.b.ndim :]
            quantity = f"{part.op.name}.b{place(at)}"
            yield Edge(0, j, _weight(part.b[at]), _known(part, part.b, at), _at(part.db, at), quantity)
        for i, (own, source) in enumerate(sources, before):
            if own == member or not apart:
                at = (member, source, target)[3 - part.W.ndim :]
                quantity = f"{part.op.name}.W{place(at)}"
                yield Edge(i, j, _weight(part.W[at]), _known(part, part.W, at), _at(part.dW, at), quantity)


def _weight(value: Any) -> float:
    return float(value) if np.isfinite(value) else 0.0


def _at(array: Array | None, at: tuple[int, ...]) -> str:
    return "" if array is None else shown(array[at])


def _known(part: Part, array: Array, at: tuple[int, ...]) -> str:
    """Return a weight or a bias, or nothing if it is still to be drawn."""
    return "" if part.unset and np.isnan(array[at]) else _at(array, at)


# --- the graph --------------------------------------------------------------------------------------------------------


def graph_of(record: Trace) -> Drawing:
    """Return the computation of a record as a graph of its operations, with values above and gradients below."""
    record = record.in_rows
    wires: list[Wire] = []
    ops: list[Op] = []
    bypasses = []
    # layers side by side are one box, from the input to what joins them
    joins = next((i for i, op in enumerate(record.operations) if op.layer.joins), 0)
    side_by_side = record.operations[:joins]
    for i, name in enumerate(record.wires):
        if 0 < i <= joins:
            continue
        wires.append(_wire(record, name))
        if i == 0 and joins:
            parameters = [each for op in side_by_side for each in _op(record, op).params]
            ops.append(Op(record.operations[joins].name.rpartition(".")[0], parameters))
        elif i < len(record.operations):
            op = record.operations[i]
            bypasses += [(source + 1 - joins, i - joins) for source in op.reads[1:]]
            ops.append(_op(record, op))
    targets = Parameter("t", _numbers(record.values[record.name("t")]), "", "t")
    ops.append(Op(f"loss: {record.settings['loss'].partition('(')[0]}", [targets]))
    loss = record.name("L")
    wires.append(Wire("L", shown(record.values[loss][()]), "dL/dL", "1", "", "L"))
    title = f"The computation of the loss in {len(ops)} steps"
    said = "Boxes are operations from left to right; the value is above each line, and its gradient below."
    return Drawing(graph(wires, ops, bypasses, title=title, desc=said))


def _wire(record: Trace, name: Name) -> Wire:
    array, gradient = record.values[name], name.gradient("L")
    back = _numbers(record.values[gradient]) if gradient in record.values else ""
    whole = f"{name.quantity}[0,0]" if array.size == 1 else name.quantity
    return Wire(name.text, _numbers(array), gradient.text, back, "x".join(map(str, array.shape)), whole)


def _dense(op: Operation, names: list[str]) -> str:
    layer: Any = op.layer
    divisor = f" / sqrt({layer.n_in})" if layer.parametrization == "ntk" else ""
    return f"@ {names[0]}{divisor}{''.join(f' + {name}' for name in names[1:])}"


def _shared_dense(op: Operation, names: list[str]) -> str:
    W, *b, r, s = names
    return f"* {r} {_dense(op, [W])} * {s}{''.join(f' + {name}' for name in b)}"


# labels of operations in the graph; others have their names
SAID: dict[str, Callable[[Any, list[str]], str]] = {
    "dense": _dense,
    "own_dense": _dense,
    "shared_dense": _shared_dense,
    "member_scale": lambda _, names: f"* {names[0]}",
    "activation": lambda op, _: str(op.layer.activation.name),
    "add": lambda *_: "+",
    "parametric": lambda op, _: f"parametric {op.layer.activation.name}",
    "periodic_embedding": lambda op, _: f"waves, {op.layer.kind}",
    "piecewise_linear_encoding": lambda op, _: f"shares, {op.layer.bins} bin{'s' * (op.layer.bins > 1)}",
    "piecewise_linear_embedding": lambda op, _: f"bends, {op.layer.bins} bin{'s' * (op.layer.bins > 1)}",
    "scale": lambda _, names: f"* {names[0]}",
}


def _op(record: Trace, op: Operation) -> Op:
    parameters = []
    letters = {tensor.letter for tensor in op.params}
    for name in record.values:
        layer_name, _, letter = name.full.rpartition(".")
        if layer_name == op.name and letter in letters and not name.of and not name.new:
            gradient = record.values.get(name.gradient("L"))
            back = "" if gradient is None else _numbers(gradient)
            parameters.append(Parameter(name.text, _numbers(record.values[name]), back, name.quantity))
    said = SAID.get(op.kind)
    return Op(op.layer.name if said is None else said(op, [each.name for each in parameters]), parameters)


def _numbers(array: Array) -> str:
    """Return a small array as lines of numbers, and an empty string for a larger one."""
    if array.size > SMALL:
        return ""
    rows = [" ".join(map(shown, row)) for row in np.atleast_2d(array).reshape(-1, *array.shape[-1:])]
    if len(rows) > 1 and max(map(len, rows)) > LINE:  # the graph breaks them, and brackets say where each ends
        rows = [f"[{row}]" for row in rows]
    return "\n".join(rows)
