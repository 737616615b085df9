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
from fullyconnected.exchange.onnx_columns import add_columns, input_of, values_of
from fullyconnected.exchange.onnx_nodes import Nodes
from fullyconnected.exchange.vector import Vector
from fullyconnected.tables.column import column_of

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
    nodes = Nodes(model.graph, opset, [each.name for each in encoders] or ["x"])
    if model.table is None:
        nodes.graph()
        inputs, given = (
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", model.graph.n_in])],
            {"x": vector.x},
        )
    else:
        inputs = [input_of(each) for each in encoders]
        nodes.graph(add_columns(nodes, encoders), FLOAT64)
        given, vector = _of_columns(model)
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


def _of_columns(model: Leaving) -> tuple[dict[str, Array], Vector]:
    """Return a test vector of cells: the values of each input, and the results."""
    assert model.table is not None
    x, given, at = np.empty(model.vector.x.shape), {}, 0
    for encoder in model.table.vocabulary.encoders:
        stop = at + len(encoder.features)
        cells, given[encoder.name] = values_of(encoder, model.vector.x[:, at:stop])
        encoder.encode(column_of(encoder.name, cells), x[:, at:stop])
        at = stop
    y = model.table.ensemble.predict(x, checked=True)
    return given, Vector(model.vector.x, y.astype(np.float32))


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
    """Add the label of each row, and return what it is."""
    classes = np.array(model.classes)
    half = nodes.constant(np.array(0.0 if model.results == "scores of classes" else 0.5, np.float32))
    if model.results == "probabilities of labels":
        nodes.add("Cast", [nodes.add("Greater", [nodes.y, half])], nodes.label, to=TensorProto.INT64)
        return helper.make_tensor_value_info(nodes.label, TensorProto.INT64, ["rows", n_out])
    if n_out > 1:
        best = nodes.add("ArgMax", [nodes.y], axis=1, keepdims=0)
    else:
        over = nodes.add("Cast", [nodes.add("Greater", [nodes.y, half])], to=TensorProto.INT64)
        best = nodes.add("Reshape", [over, nodes.integers([-1])])
    if classes.dtype.kind in "US" or classes.dtype == object:
        table = helper.make_tensor(nodes.fresh("classes"), TensorProto.STRING, classes.shape, [*map(str, classes)])  # type: ignore[list-item]
    else:
        wide = {"i": np.int64, "u": np.int64, "b": np.bool_, "f": np.float64}[classes.dtype.kind]
        table = numpy_helper.from_array(classes.astype(wide), nodes.fresh("classes"))
    nodes.initializers.append(table)
    nodes.add("Gather", [table.name, best], nodes.label, axis=0)
    return helper.make_tensor_value_info(nodes.label, table.data_type, ["rows"])
