"""Pictures of a network: its units and weights, and the graph of its computation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fullyconnected.core.messages import Message
from fullyconnected.errors import ConfigError, InputTypeError
from fullyconnected.explanation.paths import Focus, focus_on
from fullyconnected.explanation.pictures.computation import graph_text
from fullyconnected.explanation.pictures.picture import Show, picture
from fullyconnected.explanation.pictures.stages import scene_of
from fullyconnected.explanation.pictures.tape import Tape, shown_row, tape_of_network, tape_of_record
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.recorder import recorded
from fullyconnected.network import Network
from fullyconnected.symbolic.digits import place
from fullyconnected.symbolic.turning import turned_index

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, LossLike

__all__ = ["Drawing", "Show", "draw", "graph_of", "picture_of", "shown_row"]


class Drawing(str):
    """A string of SVG, which a notebook shows as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<Drawing, {len(self):,} characters of SVG>"


def draw(
    net: Network,
    x: ArrayLike | None = None,
    t: ArrayLike | None = None,
    loss: LossLike | None = None,
    *,
    show: Show | None = None,
    focus: str | None = None,
) -> Drawing:
    """Return a network as a picture in SVG: units with their numbers, biases as squares, weights as lines between them.

    Lines of large weights are thick, lines of negative weights are dashed. Of up to 16 weights between two layers, each
    has its number on its line; of more, the picture has a matrix with a row beside each unit, in which the area of a
    mark is the size of the weight, and hollow marks are negative. Numbers have three digits, and their titles have all.

    With ``x``, the units have their values for one row. With ``t`` and ``loss``, targets and loss follow the outputs,
    and the picture has gradients, in italics: those of weights include all rows, those of units are for the row that is
    shown. This is the row of the focus, or the first of those with the most inputs that are not zero, of the first 8
    inputs.

    Of a layer of more than 8 units, the first three and the last are drawn; of a deep network, fewer. The units of an
    ensemble's members stand below each other, and ``y1[2,0]`` is unit 0 of member 2; of more than 4 members, the first
    three and the last are drawn.

    Parameters
    ----------
    net : Network
        A network with at least one Dense layer.
    x : array, optional
        Inputs, one row or more.
    t, loss : optional
        Targets and loss, as for :func:`fullyconnected.trace`.
    show : {"values", "gradients", "both"}, optional
        The numbers to show, each in the same place; if None, ``"both"`` with ``t``, and ``"values"`` without.
    focus : str, optional
        A weight or a unit, ``"dense_1.W[0,1]"``, ``"dense_1.y[0,2]"`` or ``"x[0,0]"``; the rest is dimmed. All paths of
        a weight to the loss are drawn, with ``t`` as thick as their shares of its gradient.

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
        return _drawn(tape_of_network(net, x), show or "values", focus or "", None)
    recorder, record = recorded(net, x, t, loss, None, 0.0, None, False, 0, None)
    found: Focus | str = focus or ""
    if focus:
        try:
            found = focus_on(recorder, record, focus)
        except ConfigError:  # a unit, or a number whose paths are too many to follow
            found = focus
    return _drawn(tape_of_record(record), show or "both", found, None)


def picture_of(
    record: Trace, *, row: int | None = None, show: Show = "both", focus: Focus | str | None = None,
    prefix: str = "net", lang: str = "en",
) -> Drawing:  # fmt: skip
    """Return the network of a record as a picture, with words in a language; its ids begin with ``prefix``.

    ``row`` is the number of the row whose values are shown; None for that of the focus or of :func:`shown_row`.
    """
    rows = record.in_rows
    chosen = focus.in_rows if isinstance(focus, Focus) else focus or ""
    drawn = _drawn(tape_of_record(rows), show, chosen, row, prefix, lang)
    return drawn if rows is record else Drawing(_turned(drawn, rows))


def _turned(drawn: str, record: Trace) -> str:
    """Return a picture of a record with the entries of its arrays where they stand if samples are columns."""
    own = [name for op in record.operations for name in record.values if name.full.rpartition(".")[0] == op.name]
    texts = "|".join(sorted({re.escape(name.text) for name in own if name not in record.wires}, key=len, reverse=True))

    def entry(found: re.Match[str]) -> str:
        at = tuple(map(int, found[2].split(",")))
        if found[1] == 'data-q="t' and len(at) == 1:  # the number of a class, of which a sample has one
            return found[0]
        return found[1] + place(turned_index(at))

    drawn = re.sub(r'(data-q="[^"]*)\[([\d,]+)\]', entry, drawn)
    return re.sub(rf"((?<![\w.])(?:{texts}))\[([\d,]+)\]", entry, drawn) if texts else drawn


def graph_of(record: Trace, lang: str = "en") -> Drawing:
    """Return the computation of a record as a graph of its operations, with values above and gradients below."""
    return Drawing(graph_text(record, lang))


def _drawn(
    tape: Tape, show: Show, focus: Focus | str, row: int | None, prefix: str = "net", lang: str = "en"
) -> Drawing:
    chosen = f"{focus.name.quantity}{place(focus.at)}" if isinstance(focus, Focus) else focus
    tape.row = tape.row_of(chosen) if row is None else row
    scene = scene_of(tape, chosen, lang)
    dense = [op for op in tape.operations if op.is_dense]
    sizes = "-".join(str(n) for n in (dense[0].n_in, *(op.n_out for op in dense)))
    what = Message("A network of {sizes} units", sizes=sizes)
    said = Message("Layers are columns from left to right; squares are biases, dashed lines are negative weights.")
    if (k := dense[-1].copies) > 1:
        what = Message("A network of {sizes} units, an ensemble of {k} members", sizes=sizes, k=k)
        said += Message("The units of the members stand below each other.")
    if tape.rows > 1:
        said += Message(
            "Numbers at units are those of row {row} of {rows}; gradients of weights include all rows.",
            row=tape.row,
            rows=tape.rows,
        )
    return Drawing(picture(scene, show=show, focus=focus, title=what, desc=said, prefix=prefix))
