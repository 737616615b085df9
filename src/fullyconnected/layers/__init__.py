"""The layers: frozen dataclasses of sizes and mathematics, each a :class:`fullyconnected.Layer`."""

from fullyconnected.base import Layer
from fullyconnected.core.registry import Registry
from fullyconnected.layers.categories import Embedding, OneHot
from fullyconnected.layers.columns import Columns, Concatenate, Select
from fullyconnected.layers.dense import Activation, Dense
from fullyconnected.layers.dropout import Dropout
from fullyconnected.layers.factors import Parametric, Scale
from fullyconnected.layers.members import (
    MemberBatchNorm,
    MemberLayerNorm,
    MemberRMSNorm,
    Members,
    MemberScale,
    OwnDense,
    SharedDense,
)
from fullyconnected.layers.norm import BatchNorm, LayerNorm, RMSNorm
from fullyconnected.layers.periodic import PeriodicEmbedding
from fullyconnected.layers.piecewise import PiecewiseLinearEmbedding, PiecewiseLinearEncoding
from fullyconnected.layers.residual import Add, Residual
from fullyconnected.layers.scaling import Rescale, Standardize

__all__ = [
    "LAYERS",
    "PARTS",
    "Activation",
    "Add",
    "BatchNorm",
    "Columns",
    "Concatenate",
    "Dense",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Members",
    "OneHot",
    "Parametric",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "PiecewiseLinearEncoding",
    "RMSNorm",
    "Rescale",
    "Residual",
    "Scale",
    "Select",
    "Standardize",
    "operation",
]

LAYERS = Registry(
    "layer",
    Layer,
    (
        *(Dense, Activation, Dropout, LayerNorm, RMSNorm, BatchNorm, Residual, Standardize, Rescale, Scale, Parametric),
        *(PeriodicEmbedding, PiecewiseLinearEncoding, PiecewiseLinearEmbedding, OneHot, Embedding, Columns, Members),
    ),
)

# what blocks are made of, beside registered layers
PARTS: dict[str, type[Layer]] = {
    cls.name: cls
    for cls in (
        *(Add, Select, Concatenate),
        *(SharedDense, OwnDense, MemberScale, MemberBatchNorm, MemberLayerNorm, MemberRMSNorm),
    )
}


def operation(name: str) -> type[Layer] | None:
    """Return the class of the operation with this name: a registered layer, or what a block is made of."""
    return PARTS.get(name) or LAYERS.classes.get(name)
