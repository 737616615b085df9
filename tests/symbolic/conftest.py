"""All that the library says in formulas, for whatever kind of thing."""

import pytest

from fullyconnected.activations import ACTIVATIONS
from fullyconnected.base import Optimizer
from fullyconnected.layers import LAYERS, Activation
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.program import Program
from fullyconnected.symbolic import formulas

# the library's own, before any test adds to them; a solver has no step that a formula could say
RULES = [name for name, cls in OPTIMIZERS.classes.items() if issubclass(cls, Optimizer)]
NAMES = [*([*registry.classes] for registry in (LAYERS, ACTIVATIONS, LOSSES)), RULES]


def of_everything():
    """Yield a name for each registered thing in each of its modes, and its lines."""
    layers, activations, losses, rules = NAMES
    for name in layers:
        for train in (False, True):
            for layer in (op.layer for op in Program([LAYERS.classes[name].example(3)]).operations):
                lines = [*formulas.forward(layer, train=train, rows=4), *formulas.backward(layer, train=train)]
                yield f"{name}, {train=}", lines
    for name in activations:
        layer = Activation(name, n_in=3)
        lines = [*formulas.forward(layer, train=True, rows=4), *formulas.backward(layer, train=True)]
        yield name, lines
    for name in losses:
        for weighted in (False, True):
            for classes in (False, True):
                for loss in (LOSSES.build(name), LOSSES.classes[name].example(3)):
                    lines = formulas.of_loss(loss, rows=4, weighted=weighted, classes=classes)
                    yield f"{loss}, {weighted=}, {classes=}", lines
    for name in rules:
        for decays in (False, True):
            yield f"{name}, {decays=}", formulas.update(OPTIMIZERS.build(name), decays=decays)
            if name in ("adam", "adamw"):
                rule = OPTIMIZERS.build(name, epsilon_hat=True)
                yield f"{name}, {decays=}, epsilon_hat=True", formulas.update(rule, decays=decays)


@pytest.fixture(scope="session")
def every_formula():
    """Return the lines of all that is registered, by what they are of."""
    return dict(of_everything())
