"""A network as a table, in text and in HTML: each layer's formula, output and parameters, and its FLOPs per row.

An addition, a multiplication or a division counts as one FLOP, so a multiply-add as two. For each row, Dense takes
2 n_in n_out FLOPs, n_out for its bias and n_out for the factor of "ntk"; norms, dropout and the end of a residual block
take a few for each unit. Activation functions are not counted, nor is work done once per row or once per batch, nor the
loss and the optimizer.
"""

import html
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.activations import FunctionPair
from fullyconnected.base import ActivationFunction
from fullyconnected.core.arrays import allocate
from fullyconnected.core.checks import count
from fullyconnected.core.wording import in_ascii, in_words, line_width, printable, span
from fullyconnected.program.description import Operation, Tensor
from fullyconnected.program.program import Program

__all__ = ["Summary", "summarise"]


class Summary(str):
    """The text of a summary; a notebook shows its table in HTML instead."""

    table: str  # in HTML

    def __new__(cls, text: str, table: str = "") -> "Summary":
        self = super().__new__(cls, text)
        self.table = table
        return self

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table


def _applied(f: ActivationFunction | None, z: str) -> str:
    """Return ``f(z)`` with the settings of f that are not the defaults: ``elu(x; alpha=0.5)``."""
    if f is None:
        return z
    if isinstance(f, FunctionPair):
        return f"{getattr(f.f, '__name__', 'f')}({z})"
    name = getattr(f, "name", type(f).__name__)
    chosen: list[str] = []
    if is_dataclass(f):
        values = ((field.name, field.default, getattr(f, field.name)) for field in fields(f))
        chosen = [f"{name}={value!r}" for name, usual, value in values if repr(value) != repr(usual)]
    return f"{name}({'; '.join([z, ', '.join(chosen)] if chosen else [z])})"


def _product(layer: Any, product: str = "x W") -> str:
    return f"{product} / sqrt({layer.n_in})" if layer.parametrization == "ntk" else product


def _normalised(layer: Any, over: str) -> str:
    return f"gamma (x - mean) / sqrt(variance + {layer.epsilon:g}) + beta, of each {over}"


def _rooted(layer: Any) -> str:
    return f"gamma x / sqrt(mean(x^2) + {layer.epsilon:g}), of each row"


def _standardized(layer: Any) -> str:
    z = "(x - mean) / scale"
    if layer.clip:
        z = f"d / sqrt(1 + (d / 3)^2), d = {z}"
    return f"{z}; and where x is missing" if layer.missing else z


def _periodic(layer: Any) -> str:
    angle = "2 pi x w" + " + phi" * layer.phases
    linear = f"cos({angle}) W + b" if layer.phases else f"[cos({angle}), sin({angle})] W + b"
    return (
        f"[x, {linear}] of each column"
        if layer.phases
        else f"{f'max({linear}, 0)' if layer.rectified else linear} of each column"
    )


# By the operation's kind; an operation that is not here is shown as the repr of its layer.
FORMULAS: dict[str, Callable[[Any], str]] = {
    "dense": lambda layer: _applied(layer.activation, f"{_product(layer)} + b" if layer.bias else _product(layer)),
    "activation": lambda layer: _applied(layer.activation, "x"),
    "dropout": lambda layer: f"m x, rate {layer.rate:g}",
    "layer_norm": lambda layer: _normalised(layer, "row"),
    "rms_norm": _rooted,
    "batch_norm": lambda layer: _normalised(layer, "unit"),
    "shared_dense": lambda layer: _applied(
        layer.activation, f"({_product(layer, '(x * r) W')}) * s" + " + b" * layer.bias
    ),
    "own_dense": lambda layer: _applied(layer.activation, _product(layer, "x W[m]") + " + b[m]" * layer.bias),
    "member_scale": lambda layer: "x * r",
    "member_layer_norm": lambda layer: _normalised(layer, "row"),
    "member_rms_norm": _rooted,
    "member_batch_norm": lambda layer: _normalised(layer, "unit of each member"),
    "add": lambda layer: "x + F(x)",
    "scale": lambda layer: "s x",
    "parametric": lambda layer: f"x + a ({_applied(layer.activation, 'x')} - x)",
    "periodic_embedding": _periodic,
    "piecewise_linear_encoding": lambda layer: f"shares of {layer.bins} bin{'s' * (layer.bins > 1)} of each column",
    "piecewise_linear_embedding": lambda layer: (
        f"x w + v W + b of each column, v its shares of {layer.bins} bin{'s' * (layer.bins > 1)}"
    ),
    "standardize": _standardized,
    "rescale": lambda layer: "mean + scale x",
    "one_hot": lambda layer: "1 where x is the column's number",
    "embedding": lambda layer: "W[x]",
    "select": lambda layer: f"x[:, {span(layer.columns)}]",
    "concatenate": lambda layer: f"the {len(layer.widths)} parts, side by side",
}


class Work(NamedTuple):
    """FLOPs per row: of forward in prediction and in training, and of the gradients of parameters and of the input."""

    predict: int
    train: int
    params: int
    input: int


def _dense(layer: Any) -> Work:
    products, bias = 2 * layer.n_in * layer.n_out, layer.n_out * layer.bias
    factor = layer.n_out * (layer.parametrization == "ntk")  # on the product, and on the gradient of it
    forward = products + factor + bias
    return Work(forward, forward, products + bias + factor, products)


def _shared(layer: Any) -> Work:
    products, scales, bias = 2 * layer.n_in * layer.n_out, layer.n_in + layer.n_out, layer.n_out * layer.bias
    factor = layer.n_out * (layer.parametrization == "ntk")
    forward, params = products + scales + factor + bias, products + 2 * scales + layer.n_out + factor + bias
    return Work(forward, forward, params + products, layer.n_in)


def _waves(layer: Any) -> Work:
    """Count a sine or a cosine as one."""
    n, given, size = layer.linear
    waves, linear, outputs = n * layer.frequencies, 2 * n * given * size, n * size
    forward = 4 * waves + linear + outputs  # x w, 2 pi, and phi and a cosine, or a cosine and a sine
    return Work(forward, forward, 6 * waves + 2 * linear + outputs, 2 * waves)


def _bins(layer: Any) -> Work:
    """Count v as a subtraction and a division for each bin."""
    n, bins, size = layer.shape
    shares, products, outputs = n * bins, 2 * n * bins * size, n * size
    forward = 2 * shares + products + 3 * outputs
    return Work(forward, forward, products + 2 * outputs, products + 2 * shares + 2 * outputs)


def _each(*flops: int) -> Callable[[Any], Work]:
    """Return a function that gives the work of a layer with so many FLOPs for each unit."""
    return lambda layer: Work(*(layer.n_out * n for n in flops))


# By the operation's kind: the number of constants of the data that are among the settings of a layer.
CONSTANTS: dict[str, Callable[[Any], int]] = {
    **dict.fromkeys(("standardize", "rescale"), lambda layer: 2 * layer.n_in),
    **dict.fromkeys(
        ("piecewise_linear_encoding", "piecewise_linear_embedding"), lambda layer: sum(map(len, layer.known_edges))
    ),
}

# By the operation's kind; the work of an operation that is not here is not known.
WORK: dict[str, Callable[[Any], Work]] = {
    "dense": _dense,
    "activation": _each(0, 0, 0, 0),
    "dropout": _each(0, 1, 0, 1),
    "layer_norm": _each(7, 7, 3, 8),  # in prediction: subtract the mean, scale, times gamma, plus beta
    "rms_norm": _each(4, 4, 2, 6),  # square, add, times the rate, times gamma
    "batch_norm": _each(4, 7, 3, 6),
    "shared_dense": _shared,  # r needs the product that the gradient of the input needs
    "own_dense": _dense,
    "member_scale": _each(1, 1, 2, 2),
    "member_layer_norm": _each(7, 7, 3, 8),
    "member_rms_norm": _each(4, 4, 2, 6),
    "member_batch_norm": _each(4, 7, 3, 6),
    "add": _each(1, 1, 0, 0),
    "scale": _each(1, 1, 2, 1),
    "parametric": _each(3, 3, 2, 3),
    "periodic_embedding": _waves,
    "piecewise_linear_encoding": _each(2, 2, 0, 2),  # as in _bins
    "piecewise_linear_embedding": _bins,
    "standardize": lambda layer: Work(
        *(layer.n_in * flops for flops in ((7, 7, 0, 4) if layer.clip else (2, 2, 0, 1)))  # a square root is one
    ),
    "rescale": _each(2, 2, 0, 1),
    "one_hot": _each(0, 0, 0, 0),
    "embedding": _each(0, 0, 1, 0),  # each gradient is added to that of its level
    "select": _each(0, 0, 0, 0),
    "concatenate": _each(0, 0, 0, 0),
}


def _work(op: Operation) -> Work | None:
    """Return the work of an operation for each row; None if it is not known."""
    work = WORK.get(op.kind)
    return work and Work(*(op.copies * flops for flops in work(op.layer)))


def _training(program: Program) -> int:
    """Return the FLOPs per row of a training step, forward and backward, as far as they are known."""
    flops = 0
    for i, op in enumerate(program.operations):
        work = _work(op) or Work(0, 0, 0, 0)
        # the backward pass ends at the first parameters: layers before them need no gradient
        flops += work.train + (work.params if i >= program.first else 0) + work.input * program.passes_on(op)
        if i > program.first:  # the gradients that skip blocks are added
            skipped = program.skipped_to.get(i - 1, ()) if i > program.branches_end else ()
            flops += len(skipped) * op.copies_in * op.n_in
    return flops


def _workspace(program: Program, dtype: np.dtype[Any]) -> int:
    """Return the bytes that a :class:`Workspace` takes for each row in training, without those for the loss."""

    def caches(rows: int) -> int:
        held = (allocate(op.layer.cache(rows * op.copies_in), dtype) for op in program.operations)
        return sum(a.nbytes for cache in held for a in cache.values())

    ops, end = program.operations, program.branches_end
    widths = [op.copies * op.n_out for op in ops]
    beside = sum(op.copies_in * op.n_in for op in ops if op.layer.skips)
    branches = sum(widths[:end]) if program.first < end else 0
    entries = beside + branches + 2 * max((program.n_out, *widths[program.first :]))
    read = program.n_in * program.input_dtype(dtype).itemsize
    read += sum(width * program.dtype_of(i, dtype).itemsize for i, width in enumerate(widths))
    return read + entries * dtype.itemsize + caches(2) - caches(1)  # the part of the caches that grows with the rows


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.part.stop - tensor.part.start for tensor in tensors)


def _memory(size: float) -> str:
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{f'{size:,.0f}' if size >= 100 else f'{size:.3g}'} {units[0]}"


COLUMNS = ("layer", "formula", "output", "weights", "biases", "memory", "FLOPs a row")


class _Table(NamedTuple):
    title: str
    layers: list[tuple[str, ...]]  # a cell for each of COLUMNS
    total: tuple[str, ...]
    notes: list[tuple[str, str]]


def _table(program: Program, dtype: np.dtype[Any], unset: Sequence[str]) -> _Table:
    layers: list[tuple[str, ...]] = []
    weights, flops, known = 0, 0, True
    for op in program.operations:
        work, formula = _work(op), FORMULAS.get(op.kind, repr)(op.layer)
        shrunk = _size(tensor for tensor in op.params if tensor.param.decays)
        biases, statistics = _size(op.params) - shrunk, _size(op.state)
        rows = "rows" if op.copies == 1 else f"{op.copies} rows"
        memory = _memory((shrunk + biases + statistics) * dtype.itemsize)
        cost = f"{work.predict:,}" if work else "-"
        output = f"({rows}, {op.n_out})"
        layers.append((printable(op.name), printable(formula), output, f"{shrunk:,}", f"{biases:,}", memory, cost))
        weights, flops, known = weights + shrunk, flops + (work.predict if work else 0), known and work is not None
    biases = program.n_params - weights
    memory = _memory((program.n_params + program.n_state) * dtype.itemsize)
    left = dict.fromkeys(tensor.letter for tensor in program.tensors if not tensor.param.decays)
    others = [printable(letter) for letter in left if letter != "b"]
    also = f" (with {', '.join(others)})" if others else ""
    shrunk_or_not = (
        f"; l2 and weight decay shrink {weights:,} weight{'s' * (weights != 1)}, "
        f"and leave {biases:,} bias{'es' * (biases != 1)}{also} alone"
    )
    notes = {
        "parameters": f"{program.n_params:,}{shrunk_or_not if program.n_params else ''}",
        "training": f"forward and backward take {_training(program):,} FLOPs and "
        f"{_memory(_workspace(program, dtype))} a row, without the loss",
    }
    if program.n_state:
        notes["not trained"] = f"{program.n_state:,} running statistics, which follow the batches of training"
    if constants := sum(CONSTANTS[op.kind](op.layer) for op in program.operations if op.kind in CONSTANTS):
        notes["constants"] = f"{constants:,} numbers of the data in float64, which training does not change"
    if unset:
        takes = f"{in_words(map(printable, unset))} {'takes' if len(unset) == 1 else 'take'}"
        notes["unset"] = f"{takes} constants or initial weights from training rows: net.adapt(x), or fit, sets them"
    if not known:
        notes["-"] = "not known, and not counted"
    return _Table(
        f"Network: (rows, {program.n_in}) -> (rows, {program.n_out}), {dtype}",
        layers,
        ("total", "", "", f"{weights:,}", f"{biases:,}", memory, f"{flops:,}"),
        list(notes.items()),
    )


class _Wrapper(textwrap.TextWrapper):
    """Breaks lines between words, and after the dots in a name."""

    wordsep_simple_re = re.compile(r"( +)|(?<=\.)(?=[^\W\d])")

    def __init__(self, width: int, first: int = 0, further: int = 0) -> None:
        super().__init__(
            width,
            initial_indent=" " * first,
            subsequent_indent=" " * further,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _longest(texts: Iterable[str]) -> int:
    """Return the length of the longest piece without a possible line break."""
    return max((len(piece) for text in texts for piece in _Wrapper(1).wrap(text)), default=0)


def _text(table: _Table, width: int) -> str:
    layers = [tuple(map(in_ascii, cells)) for cells in table.layers]
    table = table._replace(layers=layers, notes=[(label, in_ascii(text)) for label, text in table.notes])
    lines = [*_wrapped(table.title, width), "", *(_as_columns(table, width) or _as_list(table, width)), ""]
    for label, text in table.notes:
        lines += _wrapped(f"{label}: {text}", width)
    return "\n".join(lines)


def _wrapped(text: str, width: int, first: int = 0) -> list[str]:
    """Break a text into lines, indented if the longest word leaves room for it."""
    room = max(0, width - _longest([text]))
    return _Wrapper(width, min(first, room), min(first + 2, room)).wrap(text)


def _as_columns(table: _Table, width: int) -> list[str] | None:
    """Return the lines of a table no wider than ``width``; None if there is no room for the columns."""
    columns = [*zip(*table.layers, table.total, strict=True)]
    for titles in (list(map(len, COLUMNS)), [_longest([title]) for title in COLUMNS]):  # on one line, if possible
        widths = [max(title, *map(len, cells)) for title, cells in zip(titles, columns, strict=True)]
        room = width - sum(widths[2:]) - 2 * (len(widths) - 1)  # for names and formulas, which may be broken into lines
        if room >= widths[0] + widths[1]:
            break
    least = max(_longest(columns[1]), min(widths[1], 14))  # a formula with one word per line is hard to read
    if room < _longest(columns[0]) + least:
        return None
    widths[1] = min(widths[1], max(least, room - widths[0]))
    widths[0] = min(widths[0], room - widths[1])

    def lines(row: Sequence[str], broken: int) -> list[str]:
        cells = [_Wrapper(widths[i]).wrap(cell) if i < broken else [cell] for i, cell in enumerate(row)]
        return [
            "  ".join(f"{part:{'<' if i < 3 else '>'}{widths[i]}}" for i, part in enumerate(parts)).rstrip()
            for parts in zip_longest(*cells, fillvalue="")
        ]

    rule = "  ".join("-" * n for n in widths)
    layers = [line for row in table.layers for line in lines(row, 2)]
    return [*lines(COLUMNS, len(COLUMNS)), rule, *layers, rule, *lines(table.total, 0)]


def _as_list(table: _Table, width: int) -> list[str]:
    """Return the lines of a list of layers, for lines too short for columns."""
    lines: list[str] = []
    for name, formula, *entries in (*table.layers, table.total):
        named = [f"{column}: {entry}" for column, entry in zip(COLUMNS[2:], entries, strict=True) if entry]
        # an entry that fits into a line is not broken: its spaces are non-breaking until it is wrapped
        kept = "; ".join(each.replace(" ", "\xa0") if len(each) < width - 4 else each for each in named)
        lines += _wrapped(f"{name}: {formula}" if formula else name, width)
        lines += [*(line.replace("\xa0", " ") for line in _wrapped(kept, width, 2)), ""]
    return lines[:-1]


def _html(table: _Table) -> str:
    def row(first: str, others: Iterable[str], span: int = 1) -> str:
        wide = f' colspan="{span}"' if span > 1 else ""
        cells = "".join(f"<td{wide}>{html.escape(cell)}</td>" for cell in others)
        return f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>'

    head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
    layers = "".join(row(name, others) for name, *others in table.layers)
    notes = "".join(row(label, [text], span=len(COLUMNS) - 1) for label, text in table.notes)
    found = (
        f"<table><caption>{html.escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{layers}</tbody>"
        f"<tfoot>{row(table.total[0], table.total[1:])}{notes}</tfoot></table>"
    )
    return found.encode("ascii", "xmlcharrefreplace").decode()


def summarise(program: Program, dtype: np.dtype[Any], width: int | None = None, unset: Sequence[str] = ()) -> Summary:
    """Return the summary of a program with parameters of ``dtype``, in lines of up to ``width`` characters.

    Parameters
    ----------
    program, dtype
        The program of a network, and its dtype.
    width : int, optional
        1 or more; None takes the width of the terminal, or 80 if standard output is not a terminal.
    unset : sequence of str
        The names of operations that wait for training rows.

    Raises
    ------
    InputTypeError, ConfigError
        For a width that is not a whole number, or below 1.

    Examples
    --------
    >>> from fullyconnected.layers import Dense
    >>> print(summarise(Program([Dense(2, 1, "tanh")]), np.dtype(np.float32), 40))
    Network: (rows, 2) -> (rows, 1), float32
    <BLANKLINE>
    dense_1: tanh(x W + b)
      output: (rows, 1); weights: 2;
        biases: 1; memory: 12 B;
        FLOPs a row: 5
    <BLANKLINE>
    total
      weights: 2; biases: 1; memory: 12 B;
        FLOPs a row: 5
    <BLANKLINE>
    parameters: 3; l2 and weight decay
      shrink 2 weights, and leave 1 bias
      alone
    training: forward and backward take 10
      FLOPs and 24 B a row, without the
      loss
    """
    table, width = _table(program, dtype, unset), line_width() if width is None else count("width", width)
    return Summary(_text(table, width), _html(table))
