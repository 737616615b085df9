"""What a setup trains: its network, loss, rule and schedule, made of the library's own classes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fullyconnected import schedules
from fullyconnected.base import Layer, Loss, Optimizer
from fullyconnected.layers import Activation, BatchNorm, Dense, Dropout, LayerNorm, Residual, RMSNorm
from fullyconnected.losses import LOSSES
from fullyconnected.network import Network
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.playing.data import Dataset
from fullyconnected.playing.setup import Setup

__all__ = ["NORMS", "Hidden", "hidden_of", "layers_of", "loss_of", "network_of", "outputs_of", "rule_of", "schedule_of"]

NORMS: dict[str, type[Any]] = {"batch": BatchNorm, "layer": LayerNorm, "rms": RMSNorm}


class Hidden(NamedTuple):
    """A hidden layer as the picture shows it: its units, and the operation of the program whose output they are."""

    units: int
    operation: int
    says: str


def outputs_of(setup: Setup, data: Dataset) -> int:
    """Return how many outputs the network has: one for numbers and for two classes, else one for each class."""
    classes = data.n_outputs
    return 1 if classes == 1 or (classes == 2 and setup.loss != "hinge") else classes


def layers_of(setup: Setup, n_in: int, n_out: int) -> list[Layer]:
    """Return the layers of a setup, those of the hidden ones and the last."""
    layers: list[Layer] = []
    init = None if setup.init in ("auto", "file") else setup.init
    for width in setup.hidden:
        if setup.norm == "none":
            block: list[Layer] = [Dense(n_in, width, setup.activation, init=init)]
        else:
            block = [Dense(n_in, width, init=init), NORMS[setup.norm](), Activation(setup.activation)]
        if setup.dropout:
            block.append(Dropout(setup.dropout))
        layers += [Residual(block)] if setup.residual and n_in == width else block
        n_in = width
    return [*layers, Dense(n_in, n_out)]


def network_of(setup: Setup, data: Dataset) -> Network:
    """Return the network with its initial weights."""
    layers = layers_of(setup, len(data.input_names), outputs_of(setup, data))
    return Network(layers, dtype=np.float64, seed=setup.seed)


def hidden_of(setup: Setup, net: Network) -> list[Hidden]:
    """Return the hidden layers, each with the last of its operations before dropout, or the sum of its block."""
    found: list[Hidden] = []
    operations, at = net.program.operations, 0
    width_in = net.n_in
    for width in setup.hidden:
        last = at + (0 if setup.norm == "none" else 2)
        says = setup.activation + ("" if setup.norm == "none" else f", {setup.norm} norm")
        at = last + 1 + (setup.dropout > 0)
        if setup.residual and width_in == width:
            last, at = at, at + 1  # the sum
            says += ", residual"
        if setup.dropout:
            says += f", dropout {setup.dropout:g}"
        assert operations[last].n_out == width
        found.append(Hidden(width, last, says))
        width_in = width
    return found


def loss_of(setup: Setup, data: Dataset) -> Loss:
    """Return the loss that is trained."""
    name = setup.loss
    if name in ("auto", "cross_entropy"):
        name = {1: "half_squared_error", 2: "binary_cross_entropy"}.get(data.n_outputs, "softmax_cross_entropy")
    return LOSSES.get(name)


def rule_of(setup: Setup) -> Optimizer:
    """Return the optimizer."""
    settings: dict[str, Any] = {"lr": setup.learning_rate}
    if setup.optimizer in ("momentum", "nesterov"):
        settings["momentum"] = setup.momentum
    if setup.optimizer == "adamw":
        settings["weight_decay"] = setup.weight_decay
    rule = OPTIMIZERS.classes[setup.optimizer](**settings)
    assert isinstance(rule, Optimizer)
    return rule


def schedule_of(setup: Setup) -> Callable[[float], float] | None:
    """Return the schedule of the learning rate, or None if it is constant."""
    epochs = setup.schedule_epochs
    made: dict[str, Callable[[], Callable[[float], float]]] = {
        "step": lambda: schedules.StepDecay(0.5, epochs),
        "exponential": lambda: schedules.ExponentialDecay(0.1 ** (1 / epochs)),
        "linear": lambda: schedules.LinearDecay(epochs),
        "cosine": lambda: schedules.CosineDecay(epochs),
        "warmup": lambda: schedules.Warmup(epochs),
    }
    return made[setup.schedule]() if setup.schedule in made else None
