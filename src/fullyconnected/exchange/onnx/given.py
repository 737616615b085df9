"""A node of ONNX as it stands in a file: its operator, what it reads, and its settings, checked when they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import onnx
from onnx import AttributeProto, TensorProto, helper

from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError

__all__ = ["FLOATS", "READ", "ROWS", "Node", "refused", "settings_of"]

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
READ = (*FLOATS, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
SIMPLE = (AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING, AttributeProto.FLOATS, AttributeProto.INTS)
LISTS = (AttributeProto.FLOATS, AttributeProto.INTS)
ROWS = -(2**61)  # stands for the number of rows in a shape that is computed


def refused(text: str) -> ConfigError:
    """Return the error of this text, in which names of the file are shown on one line and shortened."""
    return ConfigError(printable(text[:1500]))


class Node(NamedTuple):
    """A node: its operator (after the domain, if it is not ONNX's own), what it reads and makes, and its settings."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any]
    name: str
    proto: onnx.NodeProto

    def refuse(self, why: str) -> ConfigError:
        """Return the error that says why this node cannot be taken."""
        domain, fed = self.proto.domain or "ai.onnx", ", ".join(repr(each[:100]) for each in self.inputs[:8] if each)
        kind = self.proto.op_type[:100]
        return refused(f"the node {self.name[:200]!r}, {kind} of {domain[:100]}, fed by {fed or 'nothing'}, {why}")

    def given(self, **usual: Any) -> Any:
        """Return the values of settings, each of the type of its usual value; raise for one that is not known."""
        for name, value in self.settings.items():
            if name not in usual:
                raise self.refuse(f"has a setting {name[:100]!r}, with which it is not known")
            if type(value) is not type(usual[name]):
                raise self.refuse(f"has a setting {name!r} of another type than {type(usual[name]).__name__}")
        found = tuple(self.settings.get(name, value) for name, value in usual.items())
        return found[0] if len(found) == 1 else found

    def read(self, i: int) -> str:
        """Return the name of an input, or no name."""
        return self.inputs[i] if i < len(self.inputs) else ""


def settings_of(proto: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node; those that are graphs, or of another strange kind, are None."""
    found = {}
    for each in proto.attribute:
        plain = each.type in SIMPLE and not each.ref_attr_name
        value: Any = helper.get_attribute_value(each) if plain else None
        if each.type == AttributeProto.TENSOR and not each.ref_attr_name:
            value = each.t
        found[each.name] = [*value] if each.type in LISTS and plain else value
    return found
