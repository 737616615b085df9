"""What a file of ONNX holds: its nodes in order, and the values of all that does not depend on the rows.

Nothing outside the file is read and nothing in it is run. No size is taken from anywhere but from arrays in the file.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.onnx.folding import FOLDED, size_of
from fullyconnected.exchange.onnx.given import READ, Node, refused, settings_of

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["OPSETS", "OnnxFile", "TooMuch", "read_model"]

LARGEST = 2**31 - 1  # bytes, the most that a message of Protocol Buffers may have
OPSETS = range(7, 27)  # before the seventh, operators broadcast in another way
NODES = 100_000
MOST = 16  # numbers that nodes may need for each number in the file, so that a small file takes little memory


class TooMuch(ConfigError):
    """A file asks for far more memory than it has bytes."""


def read_model(path: PathLike) -> onnx.ModelProto:
    """Return what a file of ONNX says; no other file is opened, whatever it names."""
    with open(os.fspath(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise ConfigError(f"it has {size} bytes, and a file of ONNX {LARGEST} at most")
        return onnx.load_model_from_string(file.read(size))


class OnnxFile:
    """The nodes of a file, the constants among what they read and make, and the one input.

    Attributes
    ----------
    opset : int
    input : onnx.ValueInfoProto
    outputs : list of onnx.ValueInfoProto
    nodes : list of Node
        In an order in which each reads what those before it have made.
    made : dict of str to Node
        The node that makes each.
    held : int
        How many numbers the file has.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        if max(len(graph.node), len(graph.initializer)) > NODES:
            raise TooMuch(f"it has more than {NODES} nodes or tensors, and no fully connected network has so many")
        self.opset = _opset(model)
        self.tensors: dict[str, TensorProto] = {}
        self.values: dict[str, Array | None] = {}
        self.nodes: list[Node] = []
        self.made: dict[str, Node] = {}
        self.outputs = [*graph.output]
        if graph.sparse_initializer:
            raise ConfigError("it has sparse tensors, which are not known")
        for tensor in graph.initializer:
            self._keep(tensor.name, tensor)
        inputs = [each for each in graph.input if each.name not in self.tensors]
        if len(inputs) != 1:
            names = ", ".join(repr(each.name[:100]) for each in inputs[:20]) or "none"
            raise refused(f"a network has one input, the rows; this graph has {len(inputs)}: {names}")
        self.input = inputs[0]
        for at, proto in enumerate(graph.node):
            self._add(proto, at)
        if not self.nodes:
            raise ConfigError("there is no node in it that computes something")
        self.held, self.needed = sum(map(_stored, self.tensors.values())), 0

    def _keep(self, name: str, tensor: TensorProto) -> None:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise refused(
                f"the tensor {name[:200]!r} is in another file, which is never read: save all in one file, by "
                f"torch.onnx.export(..., external_data=False), or by onnx.save(onnx.load('a.onnx'), 'b.onnx')"
            )
        if not name or name in self.tensors:
            raise refused(f"two tensors have the name {name[:200]!r}")
        self.tensors[name] = tensor

    def _add(self, proto: onnx.NodeProto, at: int) -> None:
        kind = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
        outputs = tuple(each for each in proto.output if each)
        made = Node(kind, tuple(proto.input), outputs, settings_of(proto), proto.name or f"{proto.op_type} {at}", proto)
        for each in made.inputs:
            if each and each not in self.made and each not in self.tensors and each != self.input.name:
                raise made.refuse(f"reads {each[:100]!r}, which nothing before it makes: it is missing, or in a cycle")
        there = {self.input.name}
        for each in outputs:
            if each in self.made or each in self.tensors or each in there:
                raise made.refuse(f"makes {each[:100]!r}, which is there already")
            there.add(each)
        if kind == "Constant" and len(outputs) == 1 and (tensor := _of_constant(made)) is not None:
            self._keep(outputs[0], tensor)
            return
        self.nodes.append(made)
        self.made |= dict.fromkeys(outputs, made)

    def take(self, numbers: int) -> None:
        """Count numbers that are needed; raise if a file of this size asks for far too many."""
        self.needed += numbers
        if self.needed > MOST * self.held + 2**16:
            raise TooMuch(f"it holds {self.held} numbers, and its nodes make far more of them than that")

    def constant(self, name: str) -> Array | None:
        """Return the value of what does not depend on the rows, as far as it was computed; None for all else."""
        if name not in self.values:
            self.values[name] = _decoded(name, self.tensors[name]) if name in self.tensors else None
        return self.values[name]

    def fold(self, node: Node) -> bool:
        """Compute what a node makes of constants alone, and say whether it was one."""
        values = [self.constant(each) if each else None for each in node.inputs]
        constant = [each for each in values if each is not None]
        if node.kind not in FOLDED or not constant or len(constant) != sum(map(bool, node.inputs)):
            return False
        try:
            size = size_of(node, values)
            if size > sum(each.size for each in constant):
                raise node.refuse("makes more numbers of constants than they are")
            self.take(size)  # before there is memory for them
            with np.errstate(all="ignore"):
                self.values[node.outputs[0]] = np.asarray(FOLDED[node.kind](node, values))
        except ConfigError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise node.refuse(f"does not fit the constants that it reads: {error!s:.200}") from error
        return True


def _opset(model: onnx.ModelProto) -> int:
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] not in OPSETS:
        said = ", ".join(map(str, versions[:5])) or "none"
        raise ConfigError(f"the opset is one from {OPSETS[0]} to {OPSETS[-1]}; the file says {said}")
    return versions[0]


def _of_constant(node: Node) -> TensorProto | None:
    """Return the tensor of a node Constant, if its value is one of numbers."""
    ((kind, value),) = node.settings.items() if len(node.settings) == 1 else ((None, None),)
    if kind == "value" and isinstance(value, TensorProto):
        return value
    if kind in ("value_float", "value_floats") and isinstance(value, float | list):
        return numpy_helper.from_array(np.array(value, np.float32))
    if kind in ("value_int", "value_ints") and isinstance(value, int | list):
        return numpy_helper.from_array(np.array(value, np.int64))
    return None


def _stored(tensor: TensorProto) -> int:
    """Return how many numbers are there, whatever the shape of a tensor says."""
    size = SIZES.get(int(tensor.data_type), 8)
    lists = len(tensor.float_data) + len(tensor.double_data) + len(tensor.int32_data) + len(tensor.int64_data)
    return max(len(tensor.raw_data) // size, lists)


SIZES: dict[int, int] = {
    TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2, TensorProto.BFLOAT16: 2, TensorProto.INT32: 4, TensorProto.BOOL: 1,
}  # fmt: skip


def _decoded(name: str, tensor: TensorProto) -> Array | None:
    """Return a tensor of numbers as an array; None for other types, such as text."""
    if tensor.data_type not in READ:
        return None
    shape = [*tensor.dims]
    if any(size < 0 for size in shape) or math.prod(shape) != _stored(tensor):
        said = ", ".join(map(str, shape[:10]))
        raise refused(f"the tensor {name[:200]!r} of the shape ({said}) holds {_stored(tensor)} numbers")
    value = np.asarray(numpy_helper.to_array(tensor))
    return value.astype(np.float32) if value.dtype.kind not in "fib" else value  # bfloat16 is no type of NumPy
