"""What a file of the library holds: a network, the checkpoint of a run, an estimator, or one for tables."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fullyconnected.assessment.stored import facts_in
from fullyconnected.core.wording import printable
from fullyconnected.errors import FileFormatError
from fullyconnected.files import Model, read_model
from fullyconnected.labels import labels_of
from fullyconnected.network import Network
from fullyconnected.tables.model import TABLE, table_model
from fullyconnected.tabular.stored import TABULAR, read_ensemble

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["KINDS", "inspect"]

KINDS = {
    "network": "a network",
    "checkpoint": "the checkpoint of a run",
    "estimator": "an estimator of scikit-learn",
    "ensemble": "an estimator for tables",
    "table model": "a network for a table of numbers, of version 0.1.0",
}


def inspect(path: PathLike) -> dict[str, Any]:
    """Return what a file holds, as plain values that JSON can hold.

    Nothing in the file is run. The keys depend on what it holds; ``"kind"`` is one of ``KINDS``, and ``"bytes"``,
    ``"dtype"``, ``"parameters"`` and ``"networks"`` are always there.

    Raises
    ------
    FileFormatError
        For a file that is no model, or is damaged.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile, fullyconnected as fc
    >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
    >>> fc.mlp([2, 3, 1], seed=0).save(path)
    >>> found = inspect(path)
    >>> found["kind"], found["parameters"], found["networks"][0]["inputs"]
    ('network', 13, 2)
    """
    model, name = read_model(path), os.fspath(path)
    try:
        found, nets = _found(model, name)
    except FileFormatError as error:
        raise FileFormatError(str(error) if str(error).startswith(name) else f"{printable(name)}: {error}") from None
    found |= {
        "bytes": os.path.getsize(path),
        "dtype": model.theta.dtype.name,
        "loss": None if model.loss is None else repr(model.loss),
        "parameters": sum(len(net.theta) for net in nets),
        "networks": [_network(net) for net in nets],
    }
    return found


def _found(model: Model, name: str) -> tuple[dict[str, Any], list[Network]]:
    """Return what is found beside the networks, and the networks."""
    if TABULAR in model.extras:
        return _ensemble(model)
    if TABLE in model.extras:
        earlier = table_model(model, name)
        classes = None if earlier.classes is None else list(earlier.classes)
        columns = [{"column": each, "kind": "number"} for each in earlier.features]
        found = {"kind": "table model", "target": earlier.target, "classes": classes, "columns": columns}
        return found, [earlier.net]
    net = Network.from_vectors(model.layers, model.theta, model.state, model.columns)
    if "run" in model.extras:
        return {"kind": "checkpoint", **_run(model.extras["run"])}, [net]
    described = model.extras.get("estimator")
    if isinstance(described, dict):
        if not isinstance(model.loss, dict):
            net.loss = model.loss  # type: ignore[assignment]
        labels = None if net.loss is None else labels_of(described, net)
        return {
            "kind": "estimator",
            "class": str(described.get("class")),
            "classes": None if labels is None else labels.classes.tolist(),
            "columns": [{"column": str(each)} for each in described.get("features") or ()],
            "settings": described.get("parameters"),
        }, [net]
    return {"kind": "network", "columns": [{"column": each} for each in model.columns.x or ()]}, [net]


def _ensemble(model: Model) -> tuple[dict[str, Any], list[Network]]:
    described = model.extras[TABULAR]
    ensemble, vocabulary, labels = read_ensemble(model, described)
    facts, report = facts_in(model), described.get("report") or {}
    by_name = {each.name: each for each in vocabulary.encoders}
    told = {each.get("column"): each for each in report.get("columns", ()) if isinstance(each, dict)}
    columns = [
        {
            "column": name,
            "kind": told.get(name, {}).get("kind", by_name[name].kind if name in by_name else "unused"),
            "used": name in by_name,
            "missing": told.get(name, {}).get("missing"),
            "levels": told.get(name, {}).get("levels"),
        }
        for name in vocabulary.names
    ]
    found: dict[str, Any] = {
        "kind": "ensemble",
        "class": str(described.get("class")),
        "target": None if facts is None else facts.roles.target,
        "classes": None if labels is None else labels.classes.tolist(),
        "columns": columns,
        "settings": described.get("parameters"),
        "shares": list(ensemble.shares),
        "temperature": ensemble.temperature,
        "scores": {each["name"]: each["value"] for each in report.get("scores", ())},
        "trained": None if facts is None else {**asdict(facts), "models": [each._asdict() for each in facts.models]},
    }
    return found, list(ensemble.networks)


def _run(run: Any) -> dict[str, Any]:
    """Return how far a run has come, as its checkpoint says."""
    plain = (str, int, float, bool, type(None))
    return (
        {"run": {str(key): value for key, value in run.items() if isinstance(value, plain)}}
        if isinstance(run, dict)
        else {}
    )


def _network(net: Network) -> dict[str, Any]:
    operations = [
        {"name": each.name, "kind": type(each.layer).__name__, "outputs": each.layer.n_out}
        for each in net.program.operations
    ]
    return {
        "inputs": net.n_in,
        "outputs": net.n_out,
        "members": net.program.members,
        "parameters": len(net.theta),
        "operations": operations,
    }
