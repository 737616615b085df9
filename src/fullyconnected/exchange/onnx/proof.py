"""What a graph of ONNX gives for rows, as ONNX's own reference computes it, and what a file of ours says."""

from __future__ import annotations

import json
from math import erfc

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.graph import graph_of
from fullyconnected.exchange.onnx.graph import OnnxGraph
from fullyconnected.exchange.vector import Vector
from fullyconnected.network import Network

__all__ = ["require_test_vector", "results_of"]


class Erfc(OpRun):
    """1 - erf: an operator of TensorFlow, which tf2onnx writes for GELU although ONNX has none of this name."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (np.vectorize(erfc, otypes=[x.dtype])(x),)


class BatchNormalization(OpRun):
    """BatchNorm in prediction; that of ONNX's reference, of opsets before 14, takes in the statistics of the rows."""

    op_domain = ""

    def _run(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float = 1e-5, **_: float
    ) -> tuple[Array]:
        return ((x - mean) / np.sqrt(var + epsilon) * gamma + beta,)


def results_of(graph: OnnxGraph, x: Array) -> Array:
    """Return the result of a graph for rows (rows, columns) as ONNX's reference, which is NumPy alone, computes it.

    It is given no more than the nodes on the way to the result, all of which are known, and one row at a time, since it
    keeps all that it computes. All numbers are in float64.
    """
    same: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Array] = {}
    for node in graph.nodes:
        inputs = [same.get(each, each) for each in node.inputs]
        if node.kind == "Dropout":
            same[node.outputs[0]] = inputs[0]
            continue
        made = onnx.NodeProto()
        made.CopyFrom(node.proto)
        del made.input[:]
        made.input.extend(inputs)
        if node.kind == "Cast":  # of what is true or false, to floats
            del made.attribute[:]
            made.attribute.append(helper.make_attribute("to", TensorProto.DOUBLE))
        nodes.append(made)
        for each in inputs:
            if (value := graph.file.constant(each)) is not None:
                constants[each] = value.astype(np.float64) if value.dtype.kind == "f" else value
    result = same.get(graph.result, graph.result)
    if result == graph.input:
        return x
    given = helper.make_tensor_value_info(graph.input, TensorProto.DOUBLE, None)
    made_result = helper.make_tensor_value_info(result, TensorProto.DOUBLE, None)
    # which are given beside the row, since each form of a model that holds them is a further copy
    held = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in constants]
    part = helper.make_graph(nodes, "way", [given, *held], [made_result])
    sets = [helper.make_opsetid("", graph.file.opset), helper.make_opsetid("ai.onnx.ml", 1)]
    reference = ReferenceEvaluator(helper.make_model(part, opset_imports=sets), new_ops=[Erfc, BatchNormalization])
    with np.errstate(all="ignore"):
        rows = [reference.run([result], {graph.input: row[None], **constants}) for row in x.astype(np.float64)]
    return np.concatenate([np.asarray(next(iter(row)), np.float64).reshape(1, -1) for row in rows])


def require_test_vector(net: Network, model: onnx.ModelProto, graph: OnnxGraph) -> None:
    """Raise if a file that this library has written has a test vector, and the network gives something else."""
    about = {each.key: each.value for each in model.metadata_props}
    if model.producer_name != "fullyconnected" or "test_vector" not in about:
        return
    try:
        said = json.loads(about["test_vector"])
        x, y = (np.array(said[name], np.float64) for name in (graph.input, model.graph.output[-1].name))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ConfigError(f"its test vector cannot be read: {error!s:.200}") from error
    if graph.pairs and y.ndim == 2:
        y = y[:, y.shape[1] // 2 :]
    if x.ndim != 2 or x.shape[1] != net.n_in or len(x) != len(y):
        raise ConfigError(f"its test vector has rows of the shape {x.shape} with results {y.shape}")
    x = x.astype(np.float32)
    Vector.of(x, net.predict(x), graph_of(net)).require(y, "its test vector", so="it was not taken")
