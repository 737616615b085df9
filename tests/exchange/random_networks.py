"""Networks of whatever is registered, in any order in which a network can have it: drawn by hypothesis."""

from dataclasses import replace

from hypothesis import strategies as st

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.layers import LAYERS
from tests.exchange.networks import ACTIVATION_NAMES, KINDS, LAYER_NAMES, LOSSES, trained


def layers(width, *, first):
    """Return all layers of a width that a network can begin with, or have further behind."""
    made = [layer for name in LAYER_NAMES for layer in LAYERS.classes[name].examples(width)]
    made = [layer for layer in made if layer.n_in == width or first]
    return [layer for layer in made if not layer.comes_last and (first or not (layer.reads_raw or layer.branches()))]


@st.composite
def chains(draw, width, length, *, first):
    """Draw layers that begin with a width, and the width that they end with."""
    found = []
    for _ in range(draw(st.integers(1, length))):
        layer = draw(st.sampled_from(layers(width, first=first and not found)))
        if isinstance(layer, fc.Dense):
            layer = fc.Dense(width, draw(st.integers(1, 6)))
        if getattr(layer, "activation", None) is not None:
            layer = replace(layer, activation=ACTIVATIONS.get(draw(st.sampled_from(ACTIVATION_NAMES))))
        found.append(layer)
        width = layer.n_out
    return found, width


@st.composite
def networks(draw):
    """Draw a network of everything that is registered, with numbers as after a training."""
    loss = None
    if draw(st.sampled_from([False, False, True])):  # an ensemble, which can stand alone
        loss, f = draw(st.sampled_from(LOSSES)), draw(st.sampled_from(["tanh", "relu"]))
        normed = draw(st.sampled_from([[], [fc.BatchNorm()], [fc.LayerNorm()], [fc.RMSNorm()]]))
        inner = [fc.Dense(4, 5, f), *normed, fc.Dense(5, 2)]
        found = [fc.Members(draw(st.integers(1, 4)), inner, kind=draw(st.sampled_from(KINDS)))]
    else:
        found, width = draw(chains(4, 4, first=True))
        if draw(st.booleans()):
            inner, end = draw(chains(width, 2, first=False))
            found.append(fc.Residual([*inner, fc.Dense(end, width)], n_in=width))
    net = fc.Network(found, dtype=draw(st.sampled_from(["float32", "float64"])), seed=0)
    net.loss = loss
    return trained(net, 0.5)
