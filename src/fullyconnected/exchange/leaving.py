"""What leaves of a network or an estimator: its graph, a test vector, and what its columns and results are."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from unicodedata import normalize

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import as_rows
from fullyconnected.core.wording import many, printable
from fullyconnected.errors import ConfigError, InputTypeError
from fullyconnected.exchange.graph import FLOAT64, Assigned, Builder, Graph, add_network, graph_of
from fullyconnected.exchange.vector import Vector, rows_for
from fullyconnected.files import read_model
from fullyconnected.network import Network, load
from fullyconnected.predictor import Predictor, RowPredictor
from fullyconnected.program.sources import Source, is_sparse
from fullyconnected.symbolic.expression import (
    Compare,
    Expression,
    Name,
    Reduce,
    call,
    chain,
    mapped,
    most,
    number,
    total,
    where,
)
from fullyconnected.symbolic.formulas.activations import of_activation
from fullyconnected.tables.column import Column
from fullyconnected.tables.dates import CYCLES
from fullyconnected.tables.encoders import CategoryEncoder, DateEncoder, Encoder, NumberEncoder
from fullyconnected.tables.frame import Frame
from fullyconnected.tabular.ensemble import Ensemble
from fullyconnected.tabular.mixture import LEAST
from fullyconnected.tabular.prediction import TablePredictor
from fullyconnected.tabular.tasks import CLASSES, LABELS

__all__ = ["Leaving", "in_comment", "is_far", "leaving"]

FINE = 1e-5  # of the scale of a column: rounding its numbers by more would show in the results


@dataclass(frozen=True)
class Leaving:
    """What a writer of a format is given.

    Attributes
    ----------
    graph : Graph
    vector : Vector
    what : str
        What it is, in a sentence.
    columns : tuple of str
        What each column of x is; empty if they have no names.
    results : str
        What the results are: ``"outputs"``, ``"values"``, ``"rates"``, ``"probabilities of classes"``,
        ``"probabilities of labels"`` or ``"scores of classes"``.
    classes : tuple or None
        The labels of a classifier, in the order of the results; of two classes with one score, there are two.
    gaps : tuple of bool
        Which columns may be missing, as NaN.
    far : tuple of int
        The columns that lie so far from 0, beside their scale, that float32 loses what they say.
    rows : function
        Makes rows of x (rows, columns) of what the model predicts from, or raises as it does.
    decides : Name or None
        The result by which a class is chosen: the first of the largest, or what is above ``half`` if it is only one, or
        one for each label.
    half : float
    table : TablePredictor or None
        Of an estimator for tables, what encodes the cells of its columns, and predicts.
    """

    graph: Graph
    vector: Vector
    what: str
    columns: tuple[str, ...]
    results: str
    classes: tuple[Any, ...] | None
    gaps: tuple[bool, ...]
    far: tuple[int, ...]
    rows: Callable[[Any], Array]
    decides: Name | None = None
    half: float = 0.0
    table: TablePredictor | None = None

    def about(self, *, reads_float32: bool = False) -> list[str]:
        """Return lines that say what it is, for a comment, and what is lost where x is read in float32."""
        said = [self.what, ""]
        if self.columns:
            said += [f"x[{i}]: {printable(column)}" for i, column in enumerate(self.columns)]
        n, one = self.vector.y.shape[1], ONE[self.results]
        if self.classes is not None and len(self.classes) == n:
            said += [f"y[{i}]: the {one} {printable(repr(each))}" for i, each in enumerate(self.classes)]
        else:
            said += [f"y: {many(n, one)}"]
            if self.classes is not None:  # which a score above 0 tells apart
                said += [
                    f"   below 0 for {printable(repr(self.classes[0]))}, above for {printable(repr(self.classes[-1]))}"
                ]
        if reads_float32 and self.far:
            said += [
                "",
                f"{', '.join(f'x[{i}]' for i in self.far)}: so far from 0 that float32, which x is, rounds what is "
                f"there by more than {FINE:g} of its spread.",
                "Results may differ from the model's. Subtracting a constant before the training mends that.",
            ]
        return [in_comment(line) for line in (*said, "")]


DATES = {  # what the parts of a date are; of those with a cycle, there are the sine and the cosine
    "days": "days since 1970, with the fraction of the day",
    "month": "of 2 pi m / 12, where m is 0 in January",
    "day": "day of the month, from 1",
    "weekday": "of 2 pi w / 7, where w is 0 on Mondays",
    "hour": "of 2 pi h / 24, where h is the hour with its fraction",
}
ONE = {  # what one result is
    "outputs": "output",
    "values": "value",
    "rates": "rate",
    "probabilities of classes": "probability of class",
    "probabilities of labels": "probability of label",
    "scores of classes": "score of class",
}


def in_comment(text: str) -> str:
    """Return a line that neither begins nor ends a comment of C, and has none of its trigraphs."""
    return text.replace("/*", "/ *").replace("*/", "* /").replace("??", "? ?")


def leaving(model: Any) -> Leaving:
    """Return what leaves of a network, a fitted estimator, a :class:`fullyconnected.Predictor`, or the path of a file.

    Raises
    ------
    InputTypeError
        For anything else.
    ConfigError
        For a network with a layer that has no formula, or that is not ready to predict.
    """
    if isinstance(model, str | os.PathLike):
        extras = read_model(model).extras
        model = Predictor(model) if {"estimator", "tabular", "table"} & extras.keys() else load(model)
    if isinstance(model, Network):
        return _of_network(model)
    if not isinstance(model, type) and hasattr(model, "save") and hasattr(model, "get_params"):
        with tempfile.TemporaryDirectory() as folder:  # what leaves is what a file holds
            model.save(path := os.path.join(folder, "model.safetensors"))
            model = Predictor(path)
    by = getattr(model, "_by", None)
    if isinstance(by, RowPredictor):
        return _of_rows(by)
    if isinstance(by, TablePredictor):
        return _of_table(by)
    if isinstance(model, Predictor):
        raise ConfigError("a model for tables of version 0.1.0 cannot leave: train it again on its table")
    raise InputTypeError(
        f"a Network, a fitted estimator of this library, a Predictor or the path of a file can leave; got a "
        f"{type(model).__name__}"
    )


def _of_network(net: Network) -> Leaving:
    graph = graph_of(net)
    x = rows_for(net)
    vector = Vector.of(x, net.predict(x), graph)
    what = f"A network: {_sizes(net)}."
    return Leaving(graph, vector, what, (), "outputs", None, _gaps(net), _far(net), partial(_rows, net))


def _of_rows(by: RowPredictor) -> Leaving:
    """Return what leaves of a multi-layer perceptron of scikit-learn's kind."""
    net, labels = by.net, by.labels
    link = net.loss.link  # type: ignore[union-attr]
    builder = Builder(by.width, np.dtype(np.float32))
    z = add_network(builder, net)
    results = {"values": "values", "rates": "rates", "scores": "scores of classes"}.get(link.predicts, "")
    x = rows_for(net)
    outputs = net.predict(x)
    if labels is None or not results:
        p = _meant(z, link.inverse)
        found = link.predictions(outputs)
        if labels is not None:
            results = "probabilities of labels" if labels.kind == "multilabel-indicator" else "probabilities of classes"
            found = labels.probabilities(outputs, found)
            if net.n_out == 1 and labels.kind != "multilabel-indicator":
                p = call("beside", 1 - p, p)
            elif labels.tells == "labels" and labels.kind == "multiclass":
                logs = builder.name("logs")  # of probabilities that may all be as small as floats get
                builder.assign(logs, -call("softplus", -z), builder.dtype, builder.dtype)
                shifted = call("exp", logs - most(logs, "units"))
                p = shifted / total(shifted, "units")
    else:
        p, found = z, outputs
    graph = builder.graph(_last(builder, p, builder.dtype, builder.dtype))
    columns = tuple(by.features or ())
    classes = None if labels is None else tuple(labels.classes.tolist())
    what = f"A {'regressor' if labels is None else 'classifier'}: {_sizes(net)}."
    decides = None if labels is None else z
    vector = Vector.of(x, found, graph)

    def rows(data: Any) -> Array:
        if isinstance(data, Frame) and columns:
            data = {each.name: _numbers(each) for each in data.columns if normalize("NFC", each.name) in columns}
        return _rows(net, data if isinstance(data, Frame) else by.rows(data))

    return Leaving(graph, vector, what, columns, results, classes, _gaps(net), _far(net), rows, decides)


def _of_table(by: TablePredictor) -> Leaving:
    """Return what leaves of an ensemble for tables, which reads rows as its vocabulary encodes them."""
    ensemble, labels, features = by.ensemble, by.labels, by.vocabulary.features
    builder = Builder(len(features), np.dtype(np.float32))
    fill = np.array(ensemble.fill)
    x: Expression = builder.x
    if (known := ~np.isnan(fill)).any():
        # a missing number in a column in which training had none is its median; others stay as they are
        stands = builder.constant("fill", "", np.where(known, fill, 0.0), FLOAT64)
        gap = call("isnan", builder.x) * builder.constant("filled", "", known.astype(np.float64), FLOAT64)
        made = builder.name("x", "0")
        builder.assign(made, where(Compare(gap, number(0)), stands, builder.x), FLOAT64, FLOAT64)
        x = made
    parts = []
    for i, (net, share) in enumerate(zip(ensemble.networks, ensemble.shares, strict=True)):
        z = add_network(builder, net, "abcdefgh"[i] if len(ensemble.networks) > 1 else "", x)
        k = int(net.program.members or 1)
        own = builder.constant("members", "abcdefgh"[i], np.zeros((k, 1)), FLOAT64)
        said = builder.name("p", "abcdefgh"[i])
        builder.assign(said, _said(builder, ensemble, i, z), FLOAT64, FLOAT64)
        parts.append(call("over_members", builder.result(said), own) * (share / k))
    mixed = builder.name("mixed")
    builder.assign(mixed, chain("+", parts), FLOAT64, FLOAT64)
    decides = _last(builder, _finished(builder, ensemble, builder.result(mixed)), FLOAT64, FLOAT64)
    y = builder.name("result")
    builder.lines.append(Assigned(y, decides, FLOAT64, builder.dtype))
    graph = builder.graph(y)
    rows = rows_for(ensemble.networks[0])
    found = ensemble.predict(rows.astype(np.float64), checked=True)
    results = {CLASSES: "probabilities of classes", LABELS: "probabilities of labels"}.get(ensemble.task, "values")
    classes = None if labels is None else tuple(labels.classes.tolist())
    sizes = f"{many(len(ensemble.networks), 'network')} of {ensemble.networks[0].program.members} members"
    what = f"A {'regressor' if labels is None else 'classifier'} for a table: {sizes}."
    columns = tuple(text for each in by.vocabulary.encoders for text in _said_of(each))
    gaps, far = tuple(not each.levels for each in features), _far(ensemble.networks[0])
    vector = Vector.of(rows, found, graph)
    return Leaving(graph, vector, what, columns, results, classes, gaps, far, by.rows, decides, 0.5, by)


def _said(builder: Builder, ensemble: Ensemble, i: int, z: Name) -> Expression:
    """Return what a network's outputs mean: probabilities, or numbers in the common unit."""
    logarithm = ensemble.logarithms[i] if ensemble.logarithms else None
    if logarithm is None or ensemble.unit is None:
        return _meant(z, ensemble.networks[i].loss.link.inverse)  # type: ignore[union-attr]
    parts = {
        name: builder.constant(name, f"l{i}", getattr(logarithm, name), FLOAT64)
        for name in ("shift", "mean", "scale", "low", "high", "factor")
    }
    logs = call("clip", parts["mean"] + parts["scale"] * z, parts["low"], parts["high"])
    values = parts["factor"] * call("exp", logs) - parts["shift"]
    unit = [builder.constant(name, f"u{i}", getattr(ensemble.unit, name), FLOAT64) for name in ("mean", "scale")]
    skewed = builder.constant("skewed", f"l{i}", logarithm.skewed.astype(np.float64), FLOAT64)
    return where(Compare(skewed, number(0)), (values - unit[0]) / unit[1], z)


def _finished(builder: Builder, ensemble: Ensemble, mixed: Expression) -> Expression:
    """Return mixed predictions at the temperature, or in their unit and range; see :meth:`Ensemble.finished`."""
    if ensemble.unit is not None:
        mean, scale, low, high = (builder.constant(n, "u", v, FLOAT64) for n, v in ensemble.unit._asdict().items())
        return call("clip", mean + scale * mixed, low, high)
    if ensemble.temperature == 1.0:
        return mixed
    z = builder.name("logits")
    builder.assign(z, call("log", call("max", mixed, number(LEAST))) / ensemble.temperature, FLOAT64, FLOAT64)
    if ensemble.task == CLASSES:
        shifted = call("exp", z - Reduce("max", "units", z))
        return shifted / total(shifted, "units")
    absent = builder.name("absent")
    builder.assign(absent, call("log", call("max", 1 - mixed, number(LEAST))) / ensemble.temperature, FLOAT64, FLOAT64)
    return 1 / (1 + call("exp", absent - z))


def _meant(z: Expression, inverse: Any) -> Expression:
    """Return the predictions of outputs: the formula of the inverse link, with its lines put into each other."""
    if inverse is None:
        return z
    local: dict[str, Expression] = {"x": z}

    def bound(node: Expression) -> Expression:
        if isinstance(node, Name):
            return local.get(node.text) or number(float(getattr(inverse, node.text)))
        return mapped(node, bound)

    for line in of_activation(inverse).forward:
        local[line.result.rpartition(".")[2]] = bound(line.formula)
    return local["y"]


def _last(builder: Builder, formula: Expression, computed: Any, kept: Any) -> Name:
    """Add the line of the results, unless there is one, and return its name."""
    if isinstance(formula, Name) and any(line.name == formula for line in builder.lines):
        return formula
    made = builder.name("results")
    builder.assign(made, formula, computed, kept)
    return made


def _said_of(encoder: Encoder) -> list[str]:
    """Return what each column of x is that is made of a column of the table."""
    if isinstance(encoder, DateEncoder):
        names = iter(encoder.features)
        return [
            f"{next(names).name}: {DATES[part]}" for part in encoder.parts for _ in range(2 if part in CYCLES else 1)
        ]
    if not isinstance(encoder, CategoryEncoder):
        return [feature.name for feature in encoder.features]
    codes = [f"{i} is {level!r}" for i, level in enumerate(encoder.levels)]
    codes += [f"{len(encoder.levels)} is any other"] if encoder.rare else ["-1 is any other"]
    codes += [f"{int(encoder.codes[None])} is missing"] if encoder.missing else []
    return [f"{encoder.name}: {', '.join(codes)}"]


def _gaps(net: Network) -> tuple[bool, ...]:
    """Return which columns may be missing, as NaN."""
    found = np.zeros(int(net.n_in or 0), bool)
    for layer, columns in net.program.raw_columns:
        found[columns if isinstance(columns, slice) else list(columns)] |= bool(getattr(layer, "missing", False))
    return tuple(found.tolist())


def is_far(mean: float, scale: float) -> bool:
    """Whether float32 rounds numbers near a mean by more than they may be wrong by, beside their scale."""
    return abs(mean) * 2.0**-24 > FINE * scale


def _far(net: Network) -> tuple[int, ...]:
    """Return the columns that lie so far from 0 that float32 loses what they say."""
    found = []
    for layer, columns in net.program.raw_columns:
        mean, scale = getattr(layer, "mean", None), getattr(layer, "scale", None)
        if mean is not None and scale is not None:
            at = np.arange(int(net.n_in or 0))[columns if isinstance(columns, slice) else list(columns)]
            found += [int(i) for i, m, s in zip(at, mean, scale, strict=True) if is_far(m, s)]
    return tuple(sorted(found))


def _rows(net: Network, data: Any) -> Array:
    """Return the rows of data, after the checks of :meth:`Network.predict`."""
    if isinstance(data, Frame):
        data = np.stack([_numbers(column) for column in data.columns], axis=1)
    if isinstance(data, Source):
        data = data.taken(np.arange(len(data)), data.dtype)
    net.predict(data)
    dense = data.toarray() if is_sparse(data) else data
    return as_rows(dense, int(net.n_in or 0), "data", empty=True, missing=True)


def _numbers(column: Column) -> Array:
    """Return a column of a table as numbers, also those that are written as text."""
    x = np.empty((len(column.values), 1))
    NumberEncoder(column.name).encode(column, x)
    return x[:, 0]


def _sizes(net: Network) -> str:
    counts = {"input": int(net.n_in or 0), "output": net.n_out, "parameter": net.program.n_params}
    return ", ".join(many(n, what) for what, n in counts.items())
