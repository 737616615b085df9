"""The layers: frozen dataclasses of sizes and mathematics, each a :class:`fullyconnected.base.Layer`."""

from fullyconnected.base import Layer
from fullyconnected.core.registry import Registry
from fullyconnected.layers.dense import Activation, Dense
from fullyconnected.layers.dropout import Dropout
from fullyconnected.layers.norm import BatchNorm, LayerNorm
from fullyconnected.layers.residual import Add, Residual, Save

__all__ = ["LAYERS", "Activation", "Add", "BatchNorm", "Dense", "Dropout", "LayerNorm", "Residual", "Save"]

LAYERS = Registry("layer", Layer, (Dense, Activation, Dropout, LayerNorm, BatchNorm, Residual))
