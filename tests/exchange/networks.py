"""One network for each thing that is registered, and some larger ones, with what they may be given."""

import numpy as np

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.layers import LAYERS

# the library's own, before any test adds to them
LAYER_NAMES, ACTIVATION_NAMES = [*LAYERS.classes], [*ACTIVATIONS.classes]
LOSSES = "softmax_cross_entropy", "binary_cross_entropy", "poisson", "half_squared_error", None
KINDS = "tabm", "mini", "packed"


def rows_for(net, n, seed=0):
    """Return rows that a network may be given: codes, one of them unknown, numbers, and gaps where there may be."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, net.n_in))
    for layer, columns in net.program.raw_columns:
        if levels := getattr(layer, "levels", 0):
            x[:, columns] = rng.integers(-1, levels, size=x[:, columns].shape)
        elif getattr(layer, "missing", False) is True:
            x[:1, columns] = np.nan
    return x.astype(np.float32)


def trained(net, size=0.5):
    """Return a network with other numbers than those it begins with."""
    rng = np.random.default_rng(1)
    if net.program.unset:
        net.adapt(rows_for(net, 50))
    net.theta[:] = rng.normal(size=len(net.theta)) * size
    net.state[:] = rng.uniform(0.5, 1.5, len(net.state))
    return net


def of_layers():
    for name in LAYER_NAMES:
        for i, layer in enumerate(LAYERS.classes[name].examples(4)):
            yield f"{name} {i}", lambda layer=layer, **how: trained(fc.Network([layer], seed=0, **how))


def of_activations():
    for name in ACTIVATION_NAMES:
        yield (
            f"activation {name}",
            lambda name=name, **how: trained(
                fc.mlp([4, 5, 3], activation=name, output_activation=name, seed=0, **how), 0.5 if name == "exp" else 2.0
            ),
        )


def ensemble(loss, kind, size, k=4, **how):
    net = fc.Network([fc.Members(k, [fc.Dense(4, 6, "relu"), fc.Dense(6, 3)], kind=kind)], seed=0, **how)
    net.loss = loss
    return trained(net, size)


def of_ensembles():
    for loss in LOSSES:
        for kind in KINDS:
            # large outputs, of which probabilities are 0 or 1; of rates, they would be infinite
            size = 1.0 if loss == "poisson" else 30.0
            yield (
                f"{kind} members, {loss}",
                lambda loss=loss, kind=kind, size=size, **how: ensemble(loss, kind, size, **how),
            )
    yield "a single member", lambda **how: ensemble("softmax_cross_entropy", "tabm", 1.0, k=1, **how)


def deep(**how):
    """Return a network with everything that nests: columns, members, norms, blocks."""
    columns = fc.Columns(
        [
            ([0, 2], fc.Standardize(2, mean=[1.0, -2.0], scale=[2.0, 0.5], clip=True, missing=True)),
            ([1], fc.OneHot(3)),
            ([3], fc.Embedding(4, 2)),
            ([4, 5], [fc.Standardize(2, mean=[0.0, 1.0], scale=[1.0, 3.0]), fc.PeriodicEmbedding(2, size=3)]),
        ],
        n_in=7,
    )
    block = fc.Residual([fc.LayerNorm(), fc.Dense(8, 8, "gelu"), fc.Dropout(0.3), fc.RMSNorm()])
    layers = [columns, fc.Dense(columns.n_out, 8, "mish"), block, fc.BatchNorm(), fc.Dense(8, 2)]
    return trained(fc.Network(layers, seed=0, **how))


def some_mlps():
    """Yield networks of random sizes."""
    rng = np.random.default_rng(7)
    for i in range(8):
        sizes = rng.integers(1, 20, size=rng.integers(2, 6)).tolist()
        name = str(rng.choice([each for each in ACTIVATION_NAMES if each not in ("exp", "softmax")]))
        yield (
            f"mlp {sizes} {name}",
            lambda sizes=sizes, name=name, i=i, **how: fc.mlp(sizes, activation=name, seed=i, **how),
        )


NETWORKS = {**dict(of_layers()), **dict(of_activations()), **dict(of_ensembles()), "deep": deep, **dict(some_mlps())}
