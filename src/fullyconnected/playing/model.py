"""A network that the playground goes on with: one that its knobs could have made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fullyconnected.errors import ConfigError
from fullyconnected.layers import Activation, Dense, Dropout, Residual
from fullyconnected.network import Network
from fullyconnected.playing.building import NORMS, layers_of
from fullyconnected.playing.knobs import BY_NAME, MOST_LAYERS, MOST_UNITS
from fullyconnected.playing.setup import Setup

__all__ = ["Model"]

MOST_CLASSES = 6
REGRESSIONS = ("half_squared_error", "mean_squared_error", "absolute_error", "huber")


@dataclass(frozen=True)
class Model:
    """A network, where it comes from, and the knobs that make one of its shape."""

    net: Network
    source: str
    knobs: Mapping[str, Any]

    @classmethod
    def of(cls, net: Network, source: str) -> Self:
        """Take a network, or raise if no knobs make one of its layers."""
        if net.n_in != 2 or net.unset:
            raise ConfigError(
                f"{source} has {net.n_in} inputs; the playground goes on with networks of two, which a picture can show"
            )
        blocks: list[list[Any]] = [[]]
        for layer in net.layers:
            parts = list(layer.layers) if isinstance(layer, Residual) else [layer]
            for part in parts:
                if isinstance(part, Dense):
                    blocks.append([])
                blocks[-1].append(part)
        *hidden, last = blocks[1:] or [[]]
        first = hidden[0] if hidden else []
        knobs: dict[str, Any] = {"hidden": [block[0].n_out for block in hidden], "init": "file"}
        names = {kind: name for name, kind in NORMS.items()}
        for part in first:
            if isinstance(part, Dense | Activation) and part.activation is not None:
                knobs["activation"] = part.activation.name
            if type(part) in names:
                knobs["norm"] = names[type(part)]
            if isinstance(part, Dropout):
                knobs["dropout"] = part.rate
        knobs["residual"] = any(isinstance(layer, Residual) for layer in net.layers)
        known = {choice.value for choice in BY_NAME["activation"].choices}
        fits = bool(last) and knobs.get("activation", "tanh") in known and len(hidden) <= MOST_LAYERS
        fits = fits and max(knobs["hidden"], default=1) <= MOST_UNITS and not blocks[0]
        if not fits or not same_shape(Setup.of({**knobs, "init": "auto"}), net):
            raise ConfigError(
                f"{source} has layers that no knobs of the playground make: hidden layers of one activation, norm and "
                f"dropout, up to {MOST_LAYERS} of up to {MOST_UNITS} units, and a last Dense without an activation"
            )
        return cls(net, source, {**knobs, **_data(net, source)})

    def require_fit(self, net: Network) -> None:
        """Raise if the weights of the network do not fit another one."""
        if [tensor.shape for tensor in net.program.tensors] != [tensor.shape for tensor in self.net.program.tensors]:
            raise ConfigError(
                f"init: the weights of {self.source} are for hidden layers {self.knobs['hidden']} and "
                f"{self.net.n_out} output(s); set these, or choose other initial weights"
            )


def same_shape(setup: Setup, net: Network) -> bool:
    """Whether a setup makes the same operations as a network has."""
    made = Network(layers_of(setup, net.n_in, net.n_out), seed=0).program
    return [_told(op) for op in made.operations] == [_told(op) for op in net.program.operations]


def _told(op: Any) -> tuple[Any, ...]:
    function = getattr(op.layer, "activation", None)
    return op.kind, op.n_in, op.n_out, op.reads, getattr(function, "name", "identity"), getattr(op.layer, "rate", None)


def _data(net: Network, source: str) -> dict[str, Any]:
    """Return data that the network can be trained on, by its outputs and its loss."""
    loss = "" if net.loss is None else str(net.loss.name)
    if net.n_out > MOST_CLASSES:
        raise ConfigError(f"{source} has {net.n_out} outputs; the playground shows up to {MOST_CLASSES} classes")
    if net.n_out == 1:
        return {"data": "hills", "loss": loss} if loss in REGRESSIONS else {"data": "xor"}
    if net.n_out == 2:
        return {"data": "xor", "loss": "hinge"}
    return {"data": "blobs", "classes": net.n_out, **({"loss": "hinge"} if loss == "hinge" else {})}
