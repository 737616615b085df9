"""ONNX Runtime, for prediction only."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from peers_case import Case

__all__ = ["Session"]


class Session:
    """A session on a graph of Gemm and Relu."""

    def __init__(self, case: Case) -> None:
        nodes, tensors, x = [], [], "x"
        for i, (W, b) in enumerate(zip(case.W, case.b, strict=True)):
            tensors += [numpy_helper.from_array(W, f"W{i}"), numpy_helper.from_array(b, f"b{i}")]
            nodes.append(helper.make_node("Gemm", [x, f"W{i}", f"b{i}"], [f"h{i}"]))
            nodes.append(helper.make_node("Relu", [f"h{i}"], [x := f"y{i}"]))
        nodes.pop()
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", n])
            for name, n in (("x", case.sizes[0]), (f"h{i}", case.sizes[-1]))
        ]
        graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = case.threads
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"x": x})[0]
