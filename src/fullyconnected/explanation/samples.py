"""Two sample networks for worked examples: XOR, and the layer of the page "Fully Connected Layers" of tinyml."""

from typing import Any

import numpy as np

from fullyconnected.core.messages import Message
from fullyconnected.losses import HalfSquaredError
from fullyconnected.network import Network, mlp
from fullyconnected.optimizers import SGD

__all__ = ["SAMPLES", "TASKS", "seed", "xor"]


def xor() -> tuple[Network, Any, Any, dict[str, Any]]:
    """Return a 2-3-1 network of sigmoids, the four rows of XOR, and the settings of the step."""
    net = mlp([2, 3, 1], activation="sigmoid", output_activation="sigmoid", dtype=np.float64, seed=0)
    x, t = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    return net, x, t, {"loss": HalfSquaredError(), "optimizer": SGD(0.1)}


def seed() -> tuple[Network, Any, Any, dict[str, Any]]:
    """Return one layer of two inputs and two outputs, with the weights, data and settings of tinyml's page."""
    net = mlp([2, 2], dtype=np.float64, seed=0)
    net.set_weights([[[0.15, 0.20], [0.25, 0.30]], [0.35, 0.45]])
    return net, [[0.1, 0.5]], [[0.01, 0.99]], {"loss": HalfSquaredError(), "optimizer": SGD(0.5), "step": 0.01}


SAMPLES = {"xor": xor, "seed": seed}
TASKS = {
    "xor": Message("XOR: the target is 1 where exactly one of the two inputs is 1"),
    "seed": Message("one layer, with the numbers of the page Fully Connected Layers of tinyml"),
}
