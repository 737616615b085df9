"""What a file holds of an estimator for tables: its networks, vocabulary, shares and report, and no code and no rows.

The first network is the model of the file. The layers of the others are among its extras, and their parameters are
further vectors. What is read may come from a stranger, and is checked before anything is made of it.
"""

from __future__ import annotations

from dataclasses import fields
from math import isfinite, isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, FileFormatError
from fullyconnected.estimators.files import labels_described, parameters_of
from fullyconnected.estimators.tabular_report import Score, TabularReport, TrainedNetwork
from fullyconnected.files import Model, write_model
from fullyconnected.network import Network
from fullyconnected.predictor import TABULAR, Labels, labels_of
from fullyconnected.program.plain import build_layers, describe_layers
from fullyconnected.program.program import Program
from fullyconnected.tables.described import taken
from fullyconnected.tables.kinds import KINDS, Decision
from fullyconnected.tables.texts import Reading
from fullyconnected.tables.vocabulary import Vocabulary
from fullyconnected.tabular.ensemble import Ensemble, Unit
from fullyconnected.tabular.recipe import LABELS, LOSSES, NUMBERS, TASKS

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["FITTED", "read_ensemble", "read_report", "save"]

FORMAT = 1
FITTED = ("n_iter_", "n_outputs_", "n_features_in_")


def save(estimator: Any, path: PathLike) -> None:
    """Write a fitted estimator for tables to a file."""
    if not type(estimator).__module__.startswith("fullyconnected.estimators."):
        raise ConfigError(f"a file holds an estimator of the library; got {type(estimator)!r:.80}, of your own")
    ensemble: Ensemble = estimator.ensemble_
    first, *others = ensemble.networks
    described: dict[str, Any] = {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "parameters": parameters_of(estimator),
        "fitted": {name: int(getattr(estimator, name)) for name in FITTED},
        "labels": None,
        "vocabulary": estimator.vocabulary_.plain(),
        "ensemble": {
            "task": ensemble.task,
            "shares": list(ensemble.shares),
            "temperature": ensemble.temperature,
            "fill": [None if isnan(each) else each for each in ensemble.fill],
            "unit": None if ensemble.unit is None else {k: v.tolist() for k, v in ensemble.unit._asdict().items()},
            "others": [describe_layers(net.layers) for net in others],
        },
        "report": _report_described(estimator.report_),
    }
    if hasattr(estimator, "classes_"):
        kind = "multilabel-indicator" if ensemble.task == LABELS else "multiclass"
        described["labels"] = labels_described(estimator.classes_, kind)
    vectors = {f"network_{i}.{part}": vector for i, net in enumerate(others, 2) for part, vector in _vectors(net)}
    write_model(path, Model(first.layers, first.theta, first.state, {TABULAR: described}, vectors, loss=first.loss))


def read_ensemble(model: Model, described: Any) -> tuple[Ensemble, Vocabulary, Labels | None]:
    """Return the ensemble, the vocabulary and the labels in a file, or raise FileFormatError if they do not fit."""
    if taken(described, "format", int) != FORMAT:
        raise FileFormatError(f"an estimator for tables is of format {described['format']}, not {FORMAT}")
    vocabulary = Vocabulary.from_plain(described.get("vocabulary"))
    of = taken(described, "ensemble", dict)
    task = taken(of, "task", str)
    nets = [Network.from_vectors(model.layers, model.theta, model.state)]
    for i, layers in enumerate(taken(of, "others", list), 2):
        nets.append(_network(build_layers(layers), f"network_{i}", model))
    if task not in TASKS or not isinstance(model.loss, LOSSES[task]):
        raise FileFormatError(f"an ensemble has the task {task!r:.40}, and the loss {model.loss!r:.80}")
    for net in nets:
        net.loss = model.loss
        if (net.n_in, net.n_out) != (vocabulary.width, nets[0].n_out):
            raise FileFormatError(f"a network has {net.n_in} inputs, and the vocabulary {vocabulary.width} columns")
    shares, fill = _numbers(of, "shares", len(nets)), taken(of, "fill", list)
    temperature, outputs = _number(of.get("temperature")), int(nets[0].n_out or 0)
    if min(shares) < 0 or not 0.999 < sum(shares) < 1.001 or temperature <= 0:
        raise FileFormatError(f"an ensemble has the shares {shares} and the temperature {temperature}")
    if len(fill) != vocabulary.width:
        raise FileFormatError(f"{len(fill)} columns have a number for gaps, and the vocabulary {vocabulary.width}")
    unit = None
    if task == NUMBERS:
        given = taken(of, "unit", dict)
        unit = Unit(*(np.array(_numbers(given, name, outputs)) for name in Unit._fields))
        if (unit.scale <= 0).any() or (unit.low > unit.high).any():
            raise FileFormatError("the unit of the targets has a scale of 0, or a range that is empty")
    gaps = tuple(nan if each is None else _number(each) for each in fill)
    labels = labels_of(described, nets[0])
    several = labels is not None and labels.kind == "multilabel-indicator"
    if (labels is None) != (task == NUMBERS) or several != (task == LABELS):
        raise FileFormatError(f"the labels do not fit the task {task!r}")
    return Ensemble(task, tuple(nets), tuple(shares), temperature, gaps, unit), vocabulary, labels


def read_report(described: Any) -> TabularReport:
    """Return the report that a file describes, or raise FileFormatError."""
    temperature = described.get("temperature") if isinstance(described, dict) else None
    nets = [
        TrainedNetwork(
            taken(each, "view", str),
            _number(each.get("share")),
            taken(each, "epochs", int),
            tuple(int(_number(n)) for n in taken(each, "kept", list)),
        )
        for each in taken(described, "networks", list)
    ]
    scores = [
        Score(taken(each, "name", str), _number(each.get("value")), _number(each.get("baseline")))
        for each in taken(described, "scores", list)
    ]
    if not nets or not all(each.kept for each in nets):
        raise FileFormatError("a report names no network, or one without members")
    return TabularReport(
        taken(described, "rows", int),
        tuple(_decision(each) for each in taken(described, "columns", list)),
        tuple(nets),
        None if temperature is None else _number(temperature),
        taken(described, "baseline", str),
        tuple(scores),
        taken(described, "interrupted", bool),
    )


def _vectors(net: Network) -> list[tuple[str, Array]]:
    return [(part, vector) for part, vector in (("theta", net.theta), ("state", net.state)) if len(vector)]


def _network(layers: Any, name: str, model: Model) -> Network:
    """Return a further network of a file, whose vectors must be those of its layers."""
    program = Program(layers)
    if program.unset:
        raise FileFormatError(f"{name} has layers without constants")
    vectors = []
    for part, size in (("theta", program.n_params), ("state", program.n_state)):
        vector = model.vectors.get(f"{name}.{part}", np.empty(0, model.theta.dtype))
        if len(vector) != size or not np.isfinite(vector).all():
            raise FileFormatError(f"{name}.{part} has {len(vector)} numbers, not {size}, or some that are not finite")
        vectors.append(vector)
    return Network.from_vectors(layers, vectors[0], vectors[1])


def _report_described(report: TabularReport) -> dict[str, Any]:
    columns = []
    for each in report.columns:
        plain = {field.name: getattr(each, field.name) for field in fields(each)}
        if each.reading is not None:
            plain["reading"] = {field.name: getattr(each.reading, field.name) for field in fields(each.reading)}
        columns.append(plain)
    return {
        "rows": report.rows,
        "columns": columns,
        "networks": [{**each._asdict(), "kept": list(each.kept)} for each in report.networks],
        "temperature": report.temperature,
        "baseline": report.baseline,
        "scores": [each._asdict() for each in report.scores],
        "interrupted": report.interrupted,
    }


def _decision(described: Any) -> Decision:
    texts = {name: taken(described, name, str) for name in ("column", "kind", "why", "note")}
    if texts["kind"] not in KINDS:
        raise FileFormatError(f"a column is of the unknown kind {printable(texts['kind']):.80}")
    tail, reading = described.get("tail"), described.get("reading")
    if reading is not None:
        reading = Reading(taken(reading, "of", str), taken(reading, "decimal", str), taken(reading, "others", bool))
    return Decision(
        **texts,
        missing=_number(described.get("missing")),
        levels=taken(described, "levels", int),
        tail=None if tail is None else _number(tail),
        reading=reading,
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise FileFormatError(f"a finite number is wanted; found {value!r:.80}")
    return float(value)


def _numbers(described: Any, name: str, count: int) -> list[float]:
    values = taken(described, name, list)
    if len(values) != count:
        raise FileFormatError(f"{name} has {len(values)} numbers; {count} are wanted")
    return [_number(value) for value in values]
