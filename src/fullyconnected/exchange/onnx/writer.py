"""A model as ONNX: its graph as nodes, the columns of a table as inputs, and the labels of a classifier."""

from __future__ import annotations

import json
from numbers import Integral
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fullyconnected.core.arrays import Array
from fullyconnected.core.version import __version__
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.graph import FLOAT64
from fullyconnected.exchange.leaving import Leaving
from fullyconnected.exchange.onnx.columns import add_columns, input_of, is_fine, values_of
from fullyconnected.exchange.onnx.nodes import TYPES, Nodes
from fullyconnected.exchange.vector import Vector
from fullyconnected.tables.column import column_of
from fullyconnected.tabular.prediction import TablePredictor

__all__ = ["OPSETS", "onnx_model"]

IR_OF = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}  # the first with each opset
OPSETS = tuple(IR_OF)


def onnx_model(model: Leaving, opset: Any) -> bytes:
    """Return a file of ONNX, which reproduces the model's test vector where ONNX Runtime is there to say so.

    Its inputs are ``x``, or the columns of a table; its outputs are ``y`` and, of a classifier, ``label``.
    """
    if not isinstance(opset, Integral) or isinstance(opset, bool) or opset not in OPSETS:
        raise ConfigError(f"opset is a whole number from {OPSETS[0]} to {OPSETS[-1]}; got {opset!r:.80}")
    vector, encoders = model.vector, () if model.table is None else model.table.vocabulary.encoders
    opset = int(opset)
    if any(not each.name for each in encoders):
        raise ConfigError("a column has no name, and is an input of ONNX, which needs one: rename it and train again")
    nodes = Nodes(model.graph, opset, [each.name for each in encoders] or ["x"])
    if model.table is None:
        kind = np.dtype(np.float64 if model.far else np.float32)
        nodes.graph(dtype=kind)
        inputs = [helper.make_tensor_value_info("x", TYPES[kind], ["rows", model.graph.n_in])]
        given = {"x": vector.x.astype(kind)}
    else:
        fine = _fine(model.table)
        inputs = [input_of(each, fine=of) for each, of in zip(encoders, fine, strict=True)]
        nodes.graph(add_columns(nodes, encoders), FLOAT64)
        given, vector = _of_columns(model, fine)
    n_out = vector.y.shape[1]
    outputs = [helper.make_tensor_value_info(nodes.y, TensorProto.FLOAT, ["rows", n_out])]
    if model.classes is not None:
        outputs.insert(0, _label(nodes, model, n_out))
    graph = helper.make_graph(nodes.nodes, "fullyconnected", inputs, outputs, nodes.initializers, doc_string=model.what)
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset), *[helper.make_opsetid("ai.onnx.ml", 2)] * nodes.uses_ml],
        ir_version=IR_OF[opset],
        producer_name="fullyconnected",
        producer_version=__version__,
    )
    about = {
        "what": model.what,
        "columns": json.dumps(model.columns),
        "results": model.results,
        "classes": json.dumps(model.classes, default=str),
        "test_vector": json.dumps({**{name: _plain(each) for name, each in given.items()}, nodes.y: _plain(vector.y)}),
    }
    helper.set_model_props(made, about)
    try:
        onnx.checker.check_model(made, full_check=True)
    except Exception as error:  # such as of a column without a name
        raise ConfigError(f"ONNX's own checker refuses the file: {printable(str(error))[:300]}") from error
    data: bytes = made.SerializeToString()
    _require(data, nodes.y, given, vector)
    return data


def _fine(table: TablePredictor) -> list[bool]:
    """Return which columns are inputs in double."""
    features = table.vocabulary.features
    mean, scale = np.zeros(len(features)), np.ones(len(features))
    for layer, columns in table.ensemble.networks[0].program.raw_columns:
        if (own := getattr(layer, "scale", None)) is not None:
            mean[list(columns)], scale[list(columns)] = layer.mean, own  # type: ignore[attr-defined,arg-type]
    at = [each.source for each in features]
    places = [at.index(each.name) for each in table.vocabulary.encoders]
    return [is_fine(each, mean[i], scale[i]) for each, i in zip(table.vocabulary.encoders, places, strict=True)]


def _of_columns(model: Leaving, fine: list[bool]) -> tuple[dict[str, Array], Vector]:
    """Return a test vector of cells: the values of each input, and the results."""
    assert model.table is not None
    x, given, at = np.empty(model.vector.x.shape), {}, 0
    for encoder, of in zip(model.table.vocabulary.encoders, fine, strict=True):
        stop = at + len(encoder.features)
        cells, given[encoder.name] = values_of(encoder, model.vector.x[:, at:stop], fine=of)
        encoder.encode(column_of(encoder.name, cells), x[:, at:stop])
        at = stop
    y = model.table.ensemble.predict(x, checked=True)
    return given, model.vector._replace(y=y.astype(np.float32))


def _require(data: bytes, output: str, given: dict[str, Array], vector: Vector) -> None:
    """Raise if ONNX Runtime, where it is installed, gives other results than the model."""
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError:
        return
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    vector.require(session.run([output], given)[0], "ONNX Runtime")


def _plain(a: Array) -> list[list[Any]]:
    """Return rows as JSON has them: None for NaN, and text for infinite numbers."""

    def plain(each: Any) -> Any:
        if isinstance(each, float) and not np.isfinite(each):
            return None if np.isnan(each) else str(each)
        return each

    return [[plain(each) for each in row] for row in a.tolist()]


def _label(nodes: Nodes, model: Leaving, n_out: int) -> onnx.ValueInfoProto:
    """Add the label of each row, and return what it is; it is chosen before results are rounded to float32."""
    assert model.decides is not None
    decides, labels = nodes.result(model.decides), [*(model.classes or ())]
    one_of = model.results != "probabilities of labels"
    if one_of and nodes.shape(model.decides)[1] > 1:
        best = nodes.add("ArgMax", [decides], axis=1, keepdims=0)
    else:
        half = nodes.constant(np.array(model.half, nodes.kept_as[model.decides]), "half")
        over = nodes.add("Greater", [decides, half])
        if not one_of:
            nodes.add("Cast", [over], nodes.label, to=TensorProto.INT64)
            return helper.make_tensor_value_info(nodes.label, TensorProto.INT64, ["rows", n_out])
        best = nodes.add("Reshape", [nodes.add("Cast", [over], to=TensorProto.INT64), nodes.integers([-1])])
    table = _table(nodes.fresh("classes"), labels)
    nodes.initializers.append(table)
    nodes.add("Gather", [table.name, best], nodes.label, axis=0)
    return helper.make_tensor_value_info(nodes.label, table.data_type, ["rows"])


def _table(name: str, labels: list[Any]) -> onnx.TensorProto:
    """Return the labels as a tensor: true and false, whole numbers, numbers, or text."""
    if all(isinstance(each, bool) for each in labels):
        return numpy_helper.from_array(np.array(labels, np.bool_), name)
    if all(isinstance(each, int) for each in labels):
        large = max(labels) > np.iinfo(np.int64).max
        return numpy_helper.from_array(np.array(labels, np.uint64 if large else np.int64), name)
    if all(isinstance(each, float) for each in labels):
        return numpy_helper.from_array(np.array(labels, np.float64), name)
    texts = [str(each).encode("utf-8", "backslashreplace").decode() for each in labels]
    return helper.make_tensor(name, TensorProto.STRING, [len(labels)], texts)  # type: ignore[arg-type]
