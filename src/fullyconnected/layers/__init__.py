"""The layers: frozen dataclasses of sizes and mathematics, each a :class:`fullyconnected.Layer`."""

from fullyconnected.base import Layer
from fullyconnected.core.registry import Registry
from fullyconnected.layers.dense import Activation, Dense
from fullyconnected.layers.dropout import Dropout
from fullyconnected.layers.factors import Scale
from fullyconnected.layers.norm import BatchNorm, LayerNorm
from fullyconnected.layers.residual import Add, Residual
from fullyconnected.layers.scaling import Rescale, Standardize

__all__ = [
    "LAYERS",
    "Activation",
    "Add",
    "BatchNorm",
    "Dense",
    "Dropout",
    "LayerNorm",
    "Rescale",
    "Residual",
    "Scale",
    "Standardize",
    "operation",
]

LAYERS = Registry(
    "layer", Layer, (Dense, Activation, Dropout, LayerNorm, BatchNorm, Residual, Standardize, Rescale, Scale)
)


def operation(name: str) -> type[Layer] | None:
    """Return the class of the operation with this name: a registered layer, or the Add that ends a residual block."""
    return Add if name == Add.name else LAYERS.classes.get(name)
