"""``scale=True``: constants of the training rows at both ends of the network, and the part of it that is trained.

The network of a regressor ends in Rescale, so that it gives values in the unit of y, in whatever form it is used. What
is trained is the network without that end, on scaled targets: it shares the vectors of parameters and of statistics.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.layers import Rescale, Standardize
from fullyconnected.network import Network

__all__ = ["around", "inside", "is_scaled", "scaled"]


def is_scaled(net: Network) -> bool:
    """Whether a network begins with the constants of its training rows."""
    return isinstance(net.layers[0], Standardize)


def around(net: Network, X: Any, t: Array | None, w: Array | None) -> Network:
    """Return the network with constants of these rows at its beginning and, if there are targets, at its end."""
    ends = () if t is None else (Rescale.fit(t, w),)
    return Network.from_vectors((Standardize.fit(X, w), *net.layers, *ends), net.theta, net.state)


def inside(net: Network) -> Network:
    """Return the network that is trained, in the same memory."""
    if not isinstance(net.layers[-1], Rescale):
        return net
    return Network.from_vectors(net.layers[:-1], net.theta, net.state)


def scaled(net: Network, t: Array) -> Array:
    """Return targets in the unit of what is trained."""
    last = net.layers[-1]
    return (t - np.array(last.mean)) / np.array(last.scale) if isinstance(last, Rescale) else t
