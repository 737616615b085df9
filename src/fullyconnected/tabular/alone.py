"""Each packed member of a network as a network of its own, so that rows are computed for those alone that are asked."""

from __future__ import annotations

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.layers import Members
from fullyconnected.network import Network

__all__ = ["Alone"]


class Alone:
    """The packed members of a network, each alone.

    Attributes
    ----------
    nets : tuple of Network
        One for each member, with parameters of its own.
    """

    nets: tuple[Network, ...]

    def __init__(self, net: Network) -> None:
        first, members = net.layers
        assert isinstance(members, Members)
        place = np.arange(net.n_params)
        self._places = [
            np.concatenate([tensor.of(place)[m].ravel() for tensor in net.program.tensors]) for m in range(members.k)
        ]
        layers = (first, *members.layers)
        self.nets = tuple(Network.from_vectors(layers, net.theta[each], net.state) for each in self._places)
        for each in self.nets:
            each.loss = net.loss

    def take(self, theta: Array) -> None:
        """Let the members have the parameters that the whole network has now."""
        for net, place in zip(self.nets, self._places, strict=True):
            np.take(theta, place, out=net.theta)
