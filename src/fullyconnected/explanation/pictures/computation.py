"""The computation of a record as a graph of its operations."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import say
from fullyconnected.explanation.pictures.graph import Op, Parameter, Wire, graph
from fullyconnected.explanation.record import Trace
from fullyconnected.program.description import Operation
from fullyconnected.symbolic.digits import brief, shown
from fullyconnected.symbolic.expression import Name

__all__ = ["graph_text"]

SMALL = 8  # the graph shows the numbers of an array of at most this many
LINE = 32  # characters in a line of numbers


def graph_text(record: Trace, lang: str = "en") -> str:
    """Return the computation of a record as a graph of its operations, with values above and gradients below."""
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
    t = record.values[record.name("t")]
    targets = Parameter("t", _numbers(t), "", "t", about=_about("t", t))
    ops.append(Op(Message("loss: {name}", name=record.settings["loss"].partition("(")[0]), [targets]))
    loss = record.name("L")
    value = record.values[loss]
    wires.append(Wire("L", _numbers(value), "dL/dL", "1", "", "L", _about("L", value)))
    title = Message("The computation of the loss in {n} steps", n=len(ops))
    said = Message("Boxes are operations from left to right; the value is above each line, and its gradient below.")
    ops = [op._replace(label=say(op.label, lang)) for op in ops]
    return graph(wires, ops, bypasses, title=say(title, lang), desc=say(said, lang), lang=lang)


def _wire(record: Trace, name: Name) -> Wire:
    array, gradient = record.values[name], name.gradient("L")
    found = record.values.get(gradient)
    back, about = ("", "") if found is None else (_numbers(found), _about(gradient.text, found))
    whole = f"{name.quantity}[0,0]" if array.size == 1 else name.quantity
    shape = "x".join(map(str, array.shape))
    return Wire(name.text, _numbers(array), gradient.text, back, shape, whole, _about(name.text, array), about)


def _dense(op: Operation, names: list[str]) -> str:
    layer: Any = op.layer
    divisor = f" / sqrt({layer.n_in})" if layer.parametrization == "ntk" else ""
    return f"@ {names[0]}{divisor}{''.join(f' + {name}' for name in names[1:])}"


def _shared_dense(op: Operation, names: list[str]) -> str:
    W, *b, r, s = names
    return f"* {r} {_dense(op, [W])} * {s}{''.join(f' + {name}' for name in b)}"


def _bins(op: Operation) -> Message:
    layer: Any = op.layer
    return Message("1 bin") if layer.bins == 1 else Message("{n} bins", n=layer.bins)


# labels of operations in the graph; others have their names
SAID: dict[str, Callable[[Any, list[str]], str]] = {
    "dense": _dense,
    "own_dense": _dense,
    "shared_dense": _shared_dense,
    "member_scale": lambda _, names: f"* {names[0]}",
    "activation": lambda op, _: str(op.layer.activation.name),
    "add": lambda *_: "+",
    "parametric": lambda op, _: Message("parametric {function}", function=op.layer.activation.name),
    "periodic_embedding": lambda op, _: Message("waves, {kind}", kind=op.layer.kind),
    "piecewise_linear_encoding": lambda op, _: Message("shares, {bins}", bins=_bins(op)),
    "piecewise_linear_embedding": lambda op, _: Message("bends, {bins}", bins=_bins(op)),
    "scale": lambda _, names: f"* {names[0]}",
}


def _op(record: Trace, op: Operation) -> Op:
    parameters = []
    letters = {tensor.letter for tensor in op.params}
    for name in record.values:
        layer_name, _, letter = name.full.rpartition(".")
        if layer_name == op.name and letter in letters and not name.of and not name.new:
            array, gradient = record.values[name], record.values.get(name.gradient("L"))
            back, about = ("", "") if gradient is None else (_numbers(gradient), _about(f"dL/d{name.text}", gradient))
            parameters.append(
                Parameter(
                    name.text,
                    _numbers(array),
                    back,
                    name.quantity,
                    gradient is not None,
                    _about(name.text, array),
                    about,
                )
            )
    said = SAID.get(op.kind)
    label = op.layer.name if said is None else said(op, [each.name for each in parameters])
    if op.kind == "dense" and record.notation == "Wx":  # the product is the other way round
        label = re.sub(r"^@ (\S+)", r"\1 @", label)
    return Op(label, parameters)


def _numbers(array: Array) -> str:
    """Return a small array as lines of numbers of three digits, and an empty string for a larger one."""
    return _lines(array, brief)


def _about(name: str, array: Array) -> str:
    """Return a small array with all its digits, as a tooltip."""
    text = _lines(array, shown)
    return f"{name} = {text}" if text and text != _numbers(array) else ""


def _lines(array: Array, text: Callable[[Any], str]) -> str:
    if array.size > SMALL:
        return ""
    rows = [" ".join(map(text, row)) for row in np.atleast_2d(array).reshape(-1, *np.atleast_1d(array).shape[-1:])]
    if len(rows) > 1 and max(map(len, rows)) > LINE:  # the graph breaks them, and brackets say where each ends
        rows = [f"[{row}]" for row in rows]
    return "\n".join(rows)
