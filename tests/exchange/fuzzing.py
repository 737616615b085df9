"""Damaged files of ONNX by the thousand, each read. A script, so that a crash is seen and memory can be limited.

``fuzzing.py COUNT SEED FOLDER`` prints how many files arrived and how many were refused, or fails with the seed.
"""

import random
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[2]))

import fullyconnected as fc
from tests.files.fuzzing import damaged_bytes, limit_memory

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"
NAMES = ["", "x", "a", "é\n", "x" * 3000, "../etc/passwd"]
SIZES = [0, 1, -1, 2, 3, 4, 10**6, 2**31, 2**62, -(2**63)]
KINDS = [
    *(
        "Gemm",
        "MatMul",
        "Add",
        "Mul",
        "Sub",
        "Div",
        "Relu",
        "Reshape",
        "Concat",
        "Identity",
        "Cast",
        "Loop",
        "Constant",
    ),
    *(
        "Dropout",
        "Softmax",
        "LayerNormalization",
        "BatchNormalization",
        "Where",
        "Transpose",
        "Gather",
        "Slice",
        "Shape",
    ),
    *("Squeeze", "Unsqueeze", "Flatten", "Pow", "Expand", "Tile", "ReduceMean", "PRelu"),
]


def damaged_graph(data, rng):
    """Alter nodes, settings, shapes or names, and leave the file one of Protocol Buffers."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    names = [*NAMES, *(each for node in graph.node for each in (*node.input, *node.output))]
    names += [each.name for each in graph.initializer]
    for _ in range(rng.choice((1, 1, 2, 4))):
        node, kind = rng.choice(graph.node), rng.randrange(14)
        tensor = rng.choice(graph.initializer) if graph.initializer else onnx.TensorProto()
        if kind == 0:
            node.op_type = rng.choice(KINDS)
        elif kind == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        elif kind == 2 and node.output:
            node.output[rng.randrange(len(node.output))] = rng.choice(names)
        elif kind == 3:
            rng.choice((node.input, node.output)).append(rng.choice(names))
        elif kind == 4 and node.input:
            del node.input[rng.randrange(len(node.input))]
        elif kind == 5:
            setting = (
                rng.choice(node.attribute) if node.attribute else node.attribute.add(name=rng.choice(["axis", "to"]))
            )
            setting.type = rng.choice([setting.type, *range(1, 12)])
            setting.i, setting.f = rng.choice(SIZES), rng.choice([0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf")])
            setting.ints.append(rng.choice(SIZES))
        elif kind == 6:
            tensor.data_type = rng.randrange(28)
        elif kind == 7 and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(SIZES)
        elif kind == 8:
            tensor.dims.append(rng.choice(SIZES))
        elif kind == 9:
            tensor.raw_data = rng.choice(
                [b"", tensor.raw_data[:-1], tensor.raw_data * 2, b"\xff" * len(tensor.raw_data)]
            )
        elif kind == 10:
            tensor.name = rng.choice(names)
        elif kind == 11:
            copied = graph.node.add()
            copied.CopyFrom(node)
            copied.output[:] = [f"{each}'" for each in node.output]
        elif kind == 12:
            sizes = rng.choice(graph.input).type.tensor_type.shape.dim
            if sizes:
                rng.choice(sizes).dim_value = rng.choice(SIZES)
        elif kind == 13:
            rng.choice([graph.input, graph.output]).add().CopyFrom(rng.choice(graph.output))
    return model.SerializeToString()


def read_all(count, seed, folder):
    """Read every damaged file: a network that predicts, or an error of the library, soon and in little memory."""
    rng, arrived = random.Random(seed), 0
    files, path = [each.read_bytes() for each in sorted(GOLDEN.glob("*.onnx"))], folder / "damaged.onnx"
    usual = 0.0
    for original in sorted(GOLDEN.glob("*.onnx")):
        began = time.process_time()
        try:
            fc.exchange.from_onnx(original)
        except fc.errors.FileFormatError:
            continue
        usual = max(usual, time.process_time() - began)
    tracemalloc.start()
    limit_memory(400 << 20)
    for case in range(count):
        data = rng.choice((damaged_bytes, damaged_graph, damaged_graph))(rng.choice(files), rng)
        path.write_bytes(data)
        tracemalloc.reset_peak()
        before, began = tracemalloc.get_traced_memory()[0], time.process_time()
        net, refusal = None, ""
        try:
            net = fc.exchange.from_onnx(path)
        except fc.errors.FileFormatError as error:
            refusal = str(error)
        took, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1] - before
        assert took < 50 * usual, f"case {case} of seed {seed} took {took} s, and a whole file {usual} s"
        assert peak < 100 * len(data) + 20_000_000, f"case {case} of seed {seed} took {peak} bytes for {len(data)}"
        assert len(refusal) < 3000
        if net is not None and net.n_in < 10**6:
            arrived += 1
            assert net.predict(np.zeros((2, net.n_in))).shape == (2, net.n_out)
    return f"{arrived} of {count} damaged files arrived"


if __name__ == "__main__":
    sys.stdout.write(read_all(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
