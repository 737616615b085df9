"""An ensemble for a table in a file: its networks, vocabulary and labels, and no code and no rows.

The first network is the model of the file. The layers of the others are among its extras, and their parameters are
further vectors. What is read may come from a stranger, and is checked before anything is made of it.
"""

from __future__ import annotations

from math import isfinite, isnan, nan
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import DataError, FileFormatError
from fullyconnected.files import Model
from fullyconnected.labels import Labels, labels_of
from fullyconnected.network import Network
from fullyconnected.program.plain import build_layers, describe_layers
from fullyconnected.program.program import Program
from fullyconnected.tables.described import taken
from fullyconnected.tables.vocabulary import Vocabulary
from fullyconnected.tabular.ensemble import Ensemble
from fullyconnected.tabular.intervals import Errors, Intervals
from fullyconnected.tabular.tasks import LABELS, LOSSES, NUMBERS, TASKS
from fullyconnected.tabular.units import Logarithm, Unit

__all__ = ["TABULAR", "model_of", "number", "read_ensemble"]

TABULAR = "tabular"  # the name of the extras in which a file has an estimator for tables
FORMAT = 1
LARGEST = float(np.log(np.finfo(np.float64).max))  # logarithm of a target


def model_of(ensemble: Ensemble, vocabulary: Vocabulary, described: dict[str, Any]) -> Model:
    """Return what a file holds of an ensemble and its vocabulary, with what else is described of its estimator."""
    first, *others = ensemble.networks
    extras = {
        "format": FORMAT,
        **described,
        "vocabulary": vocabulary.plain(),
        "ensemble": {
            "task": ensemble.task,
            "shares": list(ensemble.shares),
            "temperature": ensemble.temperature,
            "fill": [None if isnan(each) else each for each in ensemble.fill],
            "unit": None if ensemble.unit is None else _listed(ensemble.unit),
            "logarithms": [None if each is None else _listed(each) for each in ensemble.logarithms],
            "intervals": None if ensemble.intervals is None else _described(ensemble.intervals),
            "others": [describe_layers(net.layers) for net in others],
        },
    }
    vectors = {f"network_{i}.{part}": vector for i, net in enumerate(others, 2) for part, vector in _vectors(net)}
    vectors |= {f"base_{i}": base for i, base in enumerate(ensemble.bases, 1)}
    return Model(first.layers, first.theta, first.state, {TABULAR: extras}, vectors, loss=first.loss)


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
    temperature, outputs = number(of.get("temperature")), int(nets[0].n_out or 0)
    if min(shares) < 0 or not 0.999 < sum(shares) < 1.001 or temperature <= 0:
        raise FileFormatError(f"an ensemble has the shares {shares} and the temperature {temperature}")
    if len(fill) != vocabulary.width:
        raise FileFormatError(f"{len(fill)} columns have a number for gaps, and the vocabulary {vocabulary.width}")
    unit: Unit | None = None
    logarithms: tuple[Logarithm | None, ...] = ()
    intervals: Intervals | None = None
    if task == NUMBERS:
        unit = Unit(**_arrays(taken(of, "unit", dict), Unit._fields, outputs))
        _require_usable(unit)
        logarithms = _logarithms(of.get("logarithms", []), len(nets), outputs)  # which earlier files do not have
        intervals = _intervals(of.get("intervals"), outputs)
    bases = _bases(model, nets)
    gaps = tuple(nan if each is None else number(each) for each in fill)
    _require_readable(nets, vocabulary, gaps)
    labels = labels_of(described, nets[0])
    several = labels is not None and labels.kind == "multilabel-indicator"
    if (labels is None) != (task == NUMBERS) or several != (task == LABELS):
        raise FileFormatError(f"the labels do not fit the task {task!r}")
    ensemble = Ensemble(task, tuple(nets), tuple(shares), temperature, gaps, unit, logarithms, intervals, bases)
    return ensemble, vocabulary, labels


def _logarithms(described: Any, nets: int, outputs: int) -> tuple[Logarithm | None, ...]:
    """Return the logarithm that each network learns, or None."""
    if not isinstance(described, list) or len(described) not in (0, nets):
        raise FileFormatError(f"a list of {nets} logarithms is wanted; found {described!r:.80}")
    found: list[Logarithm | None] = []
    for each in described:
        if each is None:
            found.append(None)
            continue
        arrays = _arrays(each, Logarithm._fields, outputs)
        made = Logarithm(**{**arrays, "skewed": arrays["skewed"] != 0})
        _require_usable(made)
        if (made.factor <= 0).any() or (made.shift < 0).any() or (made.high > LARGEST).any():
            raise FileFormatError("a logarithm has a factor of 0 or less, a negative shift, or too large a range")
        found.append(made)
    return tuple(found)


def _bases(model: Model, nets: list[Network]) -> tuple[Array, ...]:
    """Return the bases of the networks of a file, which earlier files do not have."""
    found = tuple(model.vectors[name] for i in range(1, len(nets) + 1) if (name := f"base_{i}") in model.vectors)
    for net, base in zip(nets, found, strict=False):
        if len(base) != net.layers[0].n_out or not np.isfinite(base).all():
            raise FileFormatError(f"a base has {len(base)} numbers, or some that are not finite")
    if len(found) not in (0, len(nets)):
        raise FileFormatError(f"{len(found)} of {len(nets)} networks have a base")
    return found


def _described(intervals: Intervals) -> dict[str, Any]:
    errors = [{name: values.tolist() for name, values in each._asdict().items()} for each in intervals.errors]
    return {"rows": intervals.rows, "errors": errors}


def _intervals(described: Any, outputs: int) -> Intervals | None:
    """Return the intervals of an ensemble, which earlier files do not have."""
    if described is None:
        return None
    found = []
    for each in taken(described, "errors", list):
        made = Errors(*(np.array([number(value) for value in taken(each, name, list)]) for name in Errors._fields))
        at, size, levels, quotients = made
        fit = 0 < len(at) == len(size) and 0 < len(levels) == len(quotients) and levels[-1] == 1 and size.min() > 0
        if not fit or min(map(_least_step, (at, levels, quotients))) < 0 or quotients[0] < 0 or levels[0] <= 0:
            raise FileFormatError("the errors of held-out rows are not in order")
        found.append(made)
    rows = number(described.get("rows"))
    if len(found) != outputs or rows < 1:
        raise FileFormatError(f"there are errors of {len(found)} outputs and {rows:g} rows; outputs are {outputs}")
    return Intervals(tuple(found), rows)


def _least_step(values: Array) -> float:
    return float(np.diff(values).min(initial=0.0))


def _require_usable(unit: Unit | Logarithm) -> None:
    if (unit.scale <= 0).any() or (unit.low > unit.high).any():
        raise FileFormatError("the unit of the targets has a scale of 0, or a range that is empty")


def _require_readable(nets: list[Network], vocabulary: Vocabulary, fill: tuple[float, ...]) -> None:
    """Raise if the networks cannot read all that the vocabulary writes, since a prediction does not look again."""
    lowest = [-1.0 if each.levels else 0.0 for each in vocabulary.features]
    highest = [each.levels - 1.0 if each.levels else gap for each, gap in zip(vocabulary.features, fill, strict=True)]
    for net in nets:
        if net.program.members is None:
            raise FileFormatError("a network of an ensemble for a table has no members")
        try:
            net.program.check_rows(np.array([lowest, highest]), "x", net.dtype)
        except DataError as error:
            raise FileFormatError(f"a network cannot read what the vocabulary writes: {error!s:.200}") from None


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


def number(value: Any) -> float:
    """Return a number in a file, which must be finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise FileFormatError(f"a finite number is wanted; found {value!r:.80}")
    return float(value)


def _listed(arrays: Unit | Logarithm) -> dict[str, list[float]]:
    return {name: [float(each) for each in array] for name, array in arrays._asdict().items()}


def _arrays(described: Any, names: tuple[str, ...], count: int) -> dict[str, Array]:
    return {name: np.array(_numbers(described, name, count)) for name in names}


def _numbers(described: Any, name: str, count: int) -> list[float]:
    values = taken(described, name, list)
    if len(values) != count:
        raise FileFormatError(f"{name} has {len(values)} numbers; {count} are wanted")
    return [number(value) for value in values]
