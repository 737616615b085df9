"""What a file holds of an estimator for tables beside its ensemble: its parameters, labels and report."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, FileFormatError
from fullyconnected.estimators.files import labels_described, parameters_of
from fullyconnected.files import Model, write_model
from fullyconnected.tables.described import taken
from fullyconnected.tables.kinds import KINDS, Decision
from fullyconnected.tables.texts import Reading
from fullyconnected.tabular.report import TabularReport, TrainedNetwork
from fullyconnected.tabular.scores import Score
from fullyconnected.tabular.stored import model_of, number
from fullyconnected.tabular.tasks import LABELS

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["FITTED", "model_file", "read_report", "save"]

FITTED = ("n_iter_", "n_outputs_", "n_features_in_")


def save(estimator: Any, path: PathLike) -> None:
    """Write a fitted estimator for tables to a file."""
    write_model(path, model_file(estimator, parameters_of(estimator)))


def model_file(estimator: Any, parameters: dict[str, Any]) -> Model:
    """Return what the file of a fitted estimator for tables holds, with its parameters as a file can hold them."""
    if not type(estimator).__module__.startswith("fullyconnected.estimators."):
        raise ConfigError(f"a file holds an estimator of the library; got {type(estimator)!r:.80}, of your own")
    described: dict[str, Any] = {
        "class": type(estimator).__name__,
        "parameters": parameters,
        "fitted": {name: int(getattr(estimator, name)) for name in FITTED},
        "labels": None,
        "report": _report_described(estimator.report_),
    }
    if hasattr(estimator, "classes_"):
        kind = "multilabel-indicator" if estimator.ensemble_.task == LABELS else "multiclass"
        described["labels"] = labels_described(estimator.classes_, kind)
    return model_of(estimator.ensemble_, estimator.vocabulary_, described)


def read_report(described: Any) -> TabularReport:
    """Return the report that a file describes, or raise FileFormatError."""
    temperature = described.get("temperature") if isinstance(described, dict) else None
    nets = [
        TrainedNetwork(
            taken(each, "view", str),
            number(each.get("share")),
            taken(each, "epochs", int),
            tuple(int(number(n)) for n in taken(each, "kept", list)),
        )
        for each in taken(described, "networks", list)
    ]
    scores = [
        Score(
            taken(each, "name", str),
            number(each.get("value")),
            number(each.get("baseline")),
            None if each.get("linear") is None else number(each["linear"]),
        )
        for each in taken(described, "scores", list)
    ]
    columns = tuple(_decision(each) for each in taken(described, "columns", list))
    matters = described.get("importances")  # which files of earlier versions do not have
    if matters is not None:
        matters = tuple(number(each) for each in taken(described, "importances", list))
        if len(matters) != len(columns):
            raise FileFormatError(f"a report has {len(columns)} columns, and the importance of {len(matters)}")
    hidden = described.get("hidden")
    if not nets or not all(each.kept for each in nets):
        raise FileFormatError("a report names no network, or one without members")
    return TabularReport(
        taken(described, "rows", int),
        columns,
        tuple(nets),
        None if temperature is None else number(temperature),
        taken(described, "baseline", str),
        tuple(scores),
        taken(described, "interrupted", bool),
        matters,
        taken(described, "linear", str) if "linear" in described else "",
        None if hidden is None else tuple(_units(each) for each in taken(described, "hidden", list)),
        taken(described, "in_time", bool) if "in_time" in described else False,
    )


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
        "linear": report.linear,
        "hidden": None if report.hidden is None else list(report.hidden),
        "in_time": report.in_time,
        "importances": None if report.importances is None else list(report.importances),
    }


def _units(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise FileFormatError(f"a hidden layer has {value!r:.40} units")
    return value


def _decision(described: Any) -> Decision:
    texts = {name: taken(described, name, str) for name in ("column", "kind", "why", "note")}
    if texts["kind"] not in KINDS:
        raise FileFormatError(f"a column is of the unknown kind {printable(texts['kind']):.80}")
    tail, reading = described.get("tail"), described.get("reading")
    if reading is not None:
        reading = Reading(taken(reading, "of", str), taken(reading, "decimal", str), taken(reading, "others", bool))
    return Decision(
        **texts,
        missing=number(described.get("missing")),
        levels=taken(described, "levels", int),
        tail=None if tail is None else number(tail),
        reading=reading,
    )
