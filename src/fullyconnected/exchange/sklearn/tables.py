"""A pipeline of scikit-learn that reads the cells of a table, as an ensemble of one network for tables.

The network's first layers read the columns as the pipeline's steps do, and the rows of its first weights stand in the
order in which they give them: those of a level that shares a feature with others are repeated, and those of a feature
that is shifted move a part of their sum into the biases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import nan
from numbers import Integral
from typing import Any

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.estimators import TabularClassifier, TabularRegressor
from fullyconnected.estimators.architecture import named
from fullyconnected.exchange.sklearn.scalers import class_of
from fullyconnected.exchange.sklearn.steps import Feature, Gap, Level, Number, levels_of
from fullyconnected.layers import Columns, Dense, Members, OneHot, PiecewiseLinearEncoding, Standardize
from fullyconnected.network import Network
from fullyconnected.tables.encoders import CategoryEncoder, Encoder, NumberEncoder
from fullyconnected.tables.frame import different
from fullyconnected.tables.kinds import Decision
from fullyconnected.tables.vocabulary import Vocabulary
from fullyconnected.tabular.ensemble import Ensemble
from fullyconnected.tabular.report import TabularReport, TrainedNetwork
from fullyconnected.tabular.tasks import CLASSES, LABELS, LOSSES, NUMBERS
from fullyconnected.tabular.units import Unit

__all__ = ["table_estimator_of"]

LARGEST = float(np.finfo(np.float64).max)


@dataclass
class Reading:
    """How a table is read.

    Attributes
    ----------
    encoders : list of Encoder
        One for each column that is used.
    fill : list of float
        What stands for a missing number of each of them.
    parts : list
        The columns, by their place among the encoders, and the layers that read them.
    W, b : array
        The first weights, for what these layers give, and the first biases.
    """

    W: Array
    b: Array
    encoders: list[Encoder] = field(default_factory=list)
    fill: list[float] = field(default_factory=list)
    parts: list[tuple[list[int], list[Layer]]] = field(default_factory=list)


def read_by(features: Sequence[Feature], names: Sequence[str], W: Array, b: Array) -> Reading:
    """Return how a table is read that a network with the first weights W and biases b sees as these features."""
    of_column: dict[int, list[tuple[int, Feature]]] = {}
    for i, f in enumerate(features):
        of_column.setdefault(f.column, []).append((i, f))
    if not of_column:
        raise ConfigError("the pipeline drops all columns of its table")
    read, rows = Reading(W, b.copy()), list[Array]()
    numbers: list[tuple[int, list[tuple[int, Any]]]] = []
    codes: list[tuple[int, Array]] = []
    for column, own in sorted(of_column.items()):
        kinds = {isinstance(f, Level) for _, f in own}
        if kinds == {True}:
            codes.append((len(read.encoders), _code(names[column], own, read)))
        elif all(isinstance(f, Number | Gap) for _, f in own):
            numbers.append((len(read.encoders), own))
            seen = _is_seen(own)
            read.encoders.append(NumberEncoder(names[column], missing=seen))
            read.fill.append(nan if seen else _filled_by(own))
        else:
            raise ConfigError(
                f"column {names[column]!r:.80} is a number for one step and a category for another; an estimator for "
                f"tables reads a column in one way: give it twice, under two names"
            )
    rows += _numbers(numbers, read)
    for at, block in codes:
        read.parts.append(([at], [OneHot(len(block))]))
        rows.append(block)
    read.W = np.concatenate(rows)
    return read


def _is_seen(own: Sequence[tuple[int, Any]]) -> bool:
    """Whether the network has to see which cells of a column of numbers are missing: one value does not do."""
    fills = {f.fill for _, f in own if isinstance(f, Number)} - {None}
    return len(fills) > 1 or any(isinstance(f, Gap) for _, f in own)


def _filled_by(own: Sequence[tuple[int, Any]]) -> float:
    """Return what stands for a missing number, which is the mean where the pipeline has nothing for it."""
    return next((f.fill for _, f in own if f.fill is not None), float(own[0][1].mean))


def _numbers(columns: Sequence[tuple[int, list[tuple[int, Any]]]], read: Reading) -> Iterator[Array]:
    """Add the layers that read numbers, each with as many columns as are alike, and yield their weights."""
    wanted: list[tuple[tuple[bool, bool, int], int, tuple[int, Number] | None, list[tuple[int, Gap]]]] = []
    for at, own in columns:
        seen, indicators = _is_seen(own), [(i, f) for i, f in own if isinstance(f, Gap)]
        scaled = [(i, f) for i, f in own if isinstance(f, Number)]
        turns = {False: 0, True: 0}  # a column stands once in a layer, and again in the next of that kind
        if indicators and all(f.clipped for _, f in scaled):
            wanted.append(((seen, False, 0), at, None, indicators))
            turns[False], indicators = 1, []
        for i, f in scaled:
            beside = [] if f.clipped else indicators
            indicators = indicators if f.clipped else []
            wanted.append(((seen, f.clipped, turns[f.clipped]), at, (i, f), beside))
            turns[f.clipped] += 1
    wanted.sort(key=lambda each: each[:2])
    for (seen, clipped, _), some in groupby(wanted, key=lambda each: each[0]):
        yield _layer(list(some), seen, clipped, read)


def _layer(columns: Sequence[Any], seen: bool, clipped: bool, read: Reading) -> Array:
    """Add the layers for columns of numbers that are alike, and return their weights."""
    n, W = len(columns), read.W
    mean, scale, rows, gaps = np.zeros(n), np.ones(n), np.zeros((n, W.shape[1])), np.zeros((n, W.shape[1]))
    edges: list[Any] = []
    for k, (_, _, scaled, indicators) in enumerate(columns):
        for i, gap in indicators:
            read.b += _times(gap.there, W[i])
            gaps[k] += _times(gap.gone - gap.there, W[i])
        low = 0.0
        if scaled is not None:
            i, f = scaled
            # behind a layer that sees gaps, a missing number is 0, which is that of its mean
            mean[k] = f.fill if seen and f.fill is not None else f.mean
            scale[k] = f.scale
            low = float((f.mean - mean[k]) / f.scale)
            rows[k] = _times(f.factor, W[i])
            read.b += _times(f.offset if clipped else f.offset - f.factor * low, W[i])
        edges.append([low - 1, low, low + 1, low + 2])
    layers: list[Layer] = [Standardize(n, mean, scale, missing=seen)]
    if clipped:  # the share of the bin in the middle is cut at both ends, and the weights of the others are 0
        layers.append(PiecewiseLinearEncoding(edges=edges + [[0.0]] * (n * seen)))
        rows = np.stack([np.zeros_like(rows), rows, np.zeros_like(rows)], axis=1).reshape(3 * n, -1)
        gaps = np.zeros((3 * n, W.shape[1]))
    read.parts.append(([at for _, at, *_ in columns], layers))
    return np.concatenate([rows, gaps]) if seen else rows


def _times(factor: float, row: Array) -> Array:
    """Return a row of weights times a factor, without a trace of a factor that is 1 or 0."""
    return row if factor == 1 else factor * row if factor else np.zeros_like(row)


def _code(name: str, own: Sequence[tuple[int, Any]], read: Reading) -> Array:
    """Add the encoder of a column of levels, and return the weights of its codes."""
    levels = levels_of([f for _, f in own])
    if not levels:
        raise ConfigError(f"column {name!r:.80} is encoded by where it is missing alone, which cannot be held")
    tables: dict[int, list[tuple[int, Any]]] = {}
    for i, f in own:
        tables.setdefault(id(f.levels), []).append((i, f))
    keys = [*levels, "other", None]
    block = np.zeros((len(keys), read.W.shape[1]))
    for some in tables.values():
        groups, other = some[0][1].levels.groups, some[0][1].levels.other
        of_group = np.zeros((2 + max(*groups.values(), other, *(f.group for _, f in some)), read.W.shape[1]))
        for i, f in some:  # the last row is that of no group, -1
            of_group[f.group] += _times(f.high - f.low, read.W[i])
            read.b += _times(f.low, read.W[i])
        found = [groups.get(key, other) for key in levels]
        block += of_group[[*found, other, groups.get(None, other)]]
    rare, missing = bool(block[-2].any()), bool(block[-1].any())  # without a code of its own, either is 0
    read.encoders.append(CategoryEncoder(name, tuple(levels), rare, missing))
    read.fill.append(nan)
    return block[[True] * len(levels) + [rare, missing]]


def _ensemble_of(
    read: Reading,
    others: Sequence[tuple[Array, Array]],
    activations: Sequence[Any],
    task: str,
    unit: tuple[list[float], list[float]] | None,
) -> Ensemble:
    """Return the ensemble of one network: it reads a table, and goes on with the weights and biases of other layers."""
    pairs = [(read.W, read.b), *others]
    layers = [Dense(len(W), W.shape[1], f) for (W, _), f in zip(pairs, activations, strict=True)]
    first = Columns([*read.parts], n_in=len(read.encoders))
    net = Network([first, Members(1, layers, kind="packed")], dtype="float64", seed=0)
    given = iter(pairs)
    for op, p in zip(net.program.operations, net.program.memory(net.theta, net.state), strict=True):
        if op.params:
            W, b = next(given)
            p.W[0], p.b[0] = W, b
    net.loss = LOSSES[task]()
    n = net.n_out
    units = None
    if task == NUMBERS:
        mean, scale = unit or ([0.0] * n, [1.0] * n)
        units = Unit(np.array(mean), np.array(scale), np.full(n, -LARGEST), np.full(n, LARGEST))
    return Ensemble(task, (net,), (1.0,), 1.0, tuple(read.fill), units)


def table_estimator_of(
    mlp: Any,
    pairs: Sequence[tuple[Array, Array]],
    features: Sequence[Feature],
    unit: tuple[list[float], list[float]] | None,
    names: list[str] | None,
    n_in: int,
    rows: int,
) -> TabularClassifier | TabularRegressor:
    """Return the estimator for tables of a perceptron behind a pipeline that was fitted to so many rows."""
    called = names or [f"x{i}" for i in range(n_in)]
    different(called)
    activation, end = named(mlp.activation), "exp" if mlp.out_activation_ == "exp" else None
    W, b = (each.astype(np.float64) for each in pairs[-1])
    kind = NUMBERS
    if class_of(mlp) == "MLPClassifier":
        kind = LABELS if mlp._label_binarizer.y_type_.startswith("multilabel") else CLASSES
        if kind == CLASSES and W.shape[1] == 1:
            if len(mlp.classes_) != 2:
                raise ConfigError("the perceptron has learned from one class alone, and predicts nothing else")
            # softmax of (0, z) is the logistic function of z
            W, b = np.concatenate([np.zeros_like(W), W], axis=1), np.concatenate([np.zeros(1), b])
    layers = [*((first.astype(np.float64), second.astype(np.float64)) for first, second in pairs[:-1]), (W, b)]
    read = read_by(features, called, *layers[0])
    activations = [*[activation] * (len(layers) - 1), end]
    ensemble = _ensemble_of(read, layers[1:], activations, kind, unit)
    hidden = tuple(len(second) for _, second in layers[:-1])
    seed = int(mlp.random_state) if isinstance(mlp.random_state, Integral) else None
    made: Any = (TabularRegressor if kind == NUMBERS else TabularClassifier)(
        n_members=1, hidden=hidden, random_state=seed
    )
    vocabulary = Vocabulary(tuple(called), tuple(read.encoders), names is not None)
    epochs = int(getattr(mlp, "n_iter_", 0))
    report = TabularReport(
        rows,
        _decisions(called, vocabulary),
        (TrainedNetwork("scikit-learn", 1.0, epochs, (epochs,)),),
        None,
        "",
        (),
        hidden=hidden,
    )
    made.__dict__.update(
        ensemble_=ensemble,
        vocabulary_=vocabulary,
        report_=report,
        n_features_in_=n_in,
        n_outputs_=int(ensemble.networks[0].n_out or 0),
        n_iter_=epochs,
        **({} if names is None else {"feature_names_in_": np.array(names, object)}),
        **({} if kind == NUMBERS else {"classes_": np.array(mlp.classes_)}),
    )
    return made


def _decisions(names: Sequence[str], vocabulary: Vocabulary) -> tuple[Decision, ...]:
    """Return what each column of the table is to the pipeline."""
    used, found = {each.name: each for each in vocabulary.encoders}, []
    for name in names:
        encoder = used.get(name)
        if encoder is None:
            found.append(Decision(name, "identifier", "the pipeline does not read it", 0.0, 0))
        elif isinstance(encoder, CategoryEncoder):
            found.append(Decision(name, "category", "a OneHotEncoder reads it", 0.0, len(encoder.levels)))
        else:
            found.append(Decision(name, "number", "the pipeline reads it as a number", 0.0, 0))
    return tuple(found)
