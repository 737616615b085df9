"""The native engine computes what the NumPy engine computes, over all that it supports.

The tests that have an ``engine`` are those of every engine: tests/cuda/test_equality.py runs them with another one.
"""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.losses import LOSSES
from fullyconnected.program.workspace import Workspace

pytestmark = pytest.mark.skipif(not fc.engines()["native"].available, reason=fc.engines()["native"].about)

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}
OPTIMIZERS = (
    fc.SGD(0.05),
    fc.Momentum(0.02),
    fc.Nesterov(0.02),
    fc.RMSProp(0.003),
    fc.Adam(0.003),
    fc.AdamW(0.003, weight_decay=0.1),
    fc.Muon(0.01, weight_decay=0.1, rest=fc.AdamW(0.003)),
    fc.Adam(0.003, epsilon=1e-3, epsilon_hat=True),
)
LAYERS = {
    "dense": lambda n, f: [],
    "activation": lambda n, f: [fc.Activation(f)],
    "dropout": lambda n, f: [fc.Dropout(0.3)],
    "layer_norm": lambda n, f: [fc.LayerNorm(epsilon=0.01)],
    "rms_norm": lambda n, f: [fc.RMSNorm(epsilon=0.01)],
    "batch_norm": lambda n, f: [fc.BatchNorm(epsilon=0.01)],
    "parametric": lambda n, f: [fc.Parametric(f)],
    "periodic": lambda n, f: [fc.PeriodicEmbedding(n, 3, 2), fc.Dense(2 * n, n, f)],
    "encoding": lambda n, f: [fc.PiecewiseLinearEncoding.example(n), fc.Dense(3 * n, n, f)],
    "piecewise": lambda n, f: [fc.PiecewiseLinearEmbedding.example(n), fc.Dense(2 * n, n, f)],
    "scale": lambda n, f: [fc.Scale()],
    "rescale": lambda n, f: [fc.Rescale(n, 0.3, np.linspace(0.5, 2, n))],
    "ntk": lambda n, f: [
        fc.Dense(n, n + 2, f, parametrization="ntk"),
        fc.Dense(n + 2, n, bias=False, parametrization="ntk"),
    ],
    "residual": lambda n, f: [fc.Residual([fc.Dense(n, n + 3, f), fc.Dropout(0.2), fc.Dense(n + 3, n, bias=False)])],
    "nested": lambda n, f: [fc.Residual([fc.Residual([fc.Dense(n, n, f)]), fc.LayerNorm(epsilon=0.01)])],
}

OUTPUTS = [(name, n) for name, loss in LOSSES.classes.items() for n in (1, 3) if n >= loss.min_outputs]
MEMBERS = ("tabm", "mini", "packed")


def ensemble(kind, k, f, n_out, width=11):
    """Return a body that all members share, and members with everything in them, by kind."""
    init = 0.03 if f == "exp" else None
    block = [fc.Dense(width, width, f, init=init, parametrization="ntk"), fc.LayerNorm(epsilon=0.01)]
    layers = [
        fc.Dense(5, width, f, init=init),
        fc.BatchNorm(epsilon=0.01),
        fc.Residual(block),
        fc.Dropout(0.2),
        fc.Dense(width, width, f, init=init, bias=False),
        fc.RMSNorm(epsilon=0.01),
        fc.Dense(width, width, f, init=init),
        fc.Dense(width, n_out),
        fc.Rescale(n_out, 0.3, 1.5),
    ]
    return [fc.Dense(5, 5, "tanh"), fc.Members(k, layers, kind)]


@pytest.fixture(scope="module")
def engine():
    return "native"


def network(layers, dtype, seed, scale=0.1):
    net = fc.Network(layers, dtype=dtype, seed=seed)
    net.theta += np.random.default_rng(seed).normal(0, scale, net.n_params)
    return net


def data(loss, rows, n_in, n_out, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, n_in)), loss.example_targets(rng, rows, n_out)


def far(a, b, whole):
    """Return how far two tensors lie apart, relative to their size, or to a tenth of the whole gradient's."""
    size = max(float(np.linalg.norm(a)), 0.1 * whole)
    return float(np.linalg.norm(a - b)) / size if size else float(np.linalg.norm(b))


def exact(net):
    """Return the same network in float64."""
    other = fc.Network(net.layers, dtype=np.float64, seed=0)
    other.theta = net.theta
    return other


def rows_beside_kinks(net, x, t, loss, how):
    """Return which rows pass so near a kink that two ways of rounding may end up on its two sides."""
    net = exact(net)
    encoded = loss.encode_targets(np.asarray(t), net.n_out)
    workspace = Workspace(net.program, net.theta, net.state.copy(), len(x), loss=loss)
    batch = workspace.bind(len(x))
    encoded = np.repeat(encoded, net.program.copies, axis=0)  # of an ensemble, once for each member
    batch.x[...], batch.t = x, encoded
    workspace.at(how.get("seed", 0), 0)
    batch.forward(train=how.get("train", False))
    distances = [op.layer.kink_distances(p, rows) for op, p, rows, _, _ in batch.bound()]
    distances.append(loss.kink_distances(batch.z, encoded))
    beside = np.zeros(len(x), bool)
    for found in distances:
        if found is not None:
            near = (found != 0) & (np.abs(found) < 1e-4)  # an exact zero, as after a relu, is one in every way
            beside |= near.reshape(-1, len(x), found.shape[-1] * (found.shape[-2] // len(x))).any(axis=(0, 2))
    return beside


def distances(net, gradients, right):
    """Return how far a loss and its gradients lie from the right ones, each by its name."""
    whole = float(np.linalg.norm(right.theta))
    found = {"loss": abs(gradients.loss - right.loss) / (abs(right.loss) or 1), "x": far(right.x, gradients.x, 0.0)}
    for name, _, _, part, _ in net.program.tensors:
        found[name] = far(right.theta[part], gradients.theta[part], whole)
    return found


def assert_same_gradients(engine, net, x, t, loss, **how):
    tolerance = TOLERANCE[net.dtype.type]
    x = x.astype(net.dtype)
    if net.dtype == np.float32 and (beside := rows_beside_kinks(net, x, t, loss, how)).any():
        weights = how.get("sample_weight")
        weights = np.ones(len(x)) if weights is None else weights
        weights = np.where(beside if weights.ndim == 1 else beside[:, None], 0, weights)
        if not weights.any(axis=0).all():
            return
        how["sample_weight"] = weights
    numpy, native = (net.gradients(x, t, loss, engine=each, **how) for each in ("numpy", engine))
    errors = distances(net, native, numpy)
    bounds = dict.fromkeys(errors, tolerance)
    if max(errors.values()) > tolerance and net.dtype == np.float32:
        # where rounding is amplified, as by a batch normalisation, both are some way from the exact gradient, and not
        # on the same side of it
        truth = exact(net).gradients(x, t, loss, engine="numpy", **how)
        errors = distances(net, native, truth)
        bounds = {name: max(tolerance, 2 * error) for name, error in distances(net, numpy, truth).items()}
    wrong = {name: (error, bounds[name]) for name, error in errors.items() if not error <= bounds[name]}
    assert not wrong
    every = {} if net.program.members is None else {"members": True}
    predicted = net.predict(x, engine="numpy", **every)
    assert far(predicted, net.predict(x, engine=engine, **every), 0.0) <= tolerance


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_with_every_activation_and_loss(engine, kind, pairwise):
    every = pairwise(itertools.product(LAYERS, ACTIVATIONS.classes, OUTPUTS, (np.float64, np.float32)))
    for i, (_, activation, (name, n_out), dtype) in enumerate(case for case in every if case[0] == kind):
        loss = LOSSES.build(name)
        init = 0.1 if activation == "exp" else None  # exp of exp overflows soon
        layers = [
            fc.Dense(5, 11, activation, init=init),
            *LAYERS[kind](11, activation),
            fc.Dense(11, n_out, bias=i % 2 == 0),
        ]
        net = network(layers, dtype, i, scale=0.02 if activation == "exp" else 0.1)
        x, t = data(loss, 19, 5, n_out, i)
        weights = np.random.default_rng(i).random(19) if i % 3 else None
        for train in (False, True):
            assert_same_gradients(engine, net, x, t, loss, l2=0.1 * (i % 2), sample_weight=weights, train=train, seed=i)


@pytest.mark.parametrize("kind", MEMBERS)
def test_every_ensemble_with_every_activation_and_loss(engine, kind, exhaustive):
    pooled = [output for output in OUTPUTS if LOSSES.build(output[0]).link.pools]
    pairs = [*itertools.product(ACTIVATIONS.classes, pooled)]
    if not exhaustive:  # all of both, but not with each other: where a layer meets a loss, there is an output between
        n = max(len(ACTIVATIONS.classes), len(pooled))
        pairs = [*itertools.islice(zip(itertools.cycle(ACTIVATIONS.classes), itertools.cycle(pooled)), n)]
    for i, (dtype, (activation, (name, n_out))) in enumerate(itertools.product((np.float64, np.float32), pairs)):
        loss = LOSSES.build(name)
        k = (1, 2, 5)[i % 3]
        net = network(ensemble(kind, k, activation, n_out), dtype, i, scale=0.02 if activation == "exp" else 0.1)
        x, t = data(loss, 19, 5, n_out, i)
        weights = [None, np.random.default_rng(i).random(19), np.random.default_rng(i).random((19, k))][
            (i + i // 3) % 3
        ]
        for train in (False, True):
            assert_same_gradients(engine, net, x, t, loss, l2=0.1 * (i % 2), sample_weight=weights, train=train, seed=i)


widths = st.integers(1, 70)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(widths, min_size=2, max_size=5),
    rows=st.one_of(st.integers(1, 9), st.integers(1, 300)),
    activation=st.sampled_from(sorted(set(ACTIVATIONS.classes) - {"exp"})),
    loss=st.sampled_from(sorted(LOSSES.classes)),
    dtype=st.sampled_from([np.float64, np.float32]),
    weighted=st.booleans(),
    default=st.booleans(),
    seed=st.integers(0, 100),
)
def test_networks_of_any_shape(engine, sizes, rows, activation, loss, dtype, weighted, default, seed):
    cls = LOSSES.classes[loss]
    sizes[-1] = max(sizes[-1], cls.min_outputs)
    if loss == "binary_cross_entropy" and not default:
        sizes[-1] = min(sizes[-1], 12)  # of more weights of classes the native engine knows nothing
    loss = cls() if default else cls.example(sizes[-1])
    net = fc.mlp(sizes, activation, dtype=dtype, seed=seed)
    x, t = data(loss, rows, sizes[0], sizes[-1], seed)
    weights = np.random.default_rng(seed).random(rows) if weighted else None
    assert_same_gradients(engine, net, x, t, loss, l2=0.01, sample_weight=weights, train=True, seed=seed)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("sizes", "rows"), [([300, 400, 270, 10], 300), ([33, 1100, 7], 1100), ([700, 5], 1500)])
def test_networks_of_many_blocks(engine, sizes, rows, dtype):
    loss = fc.SoftmaxCrossEntropy()
    net = fc.mlp(sizes, "tanh", dtype=dtype, seed=0)
    x, t = data(loss, rows, sizes[0], sizes[-1], 0)
    assert_same_gradients(engine, net, x, t, loss)


def way(net, x, t, loss, optimizer, engine, **how):
    net = net.copy()
    began = net.theta.copy()
    fc.fit(net, x, t, loss, optimizer, engine=engine, progress=False, **how)
    return net, net.theta - began


@pytest.fixture
def nearest(monkeypatch):
    """How far from 0 relu was handed a number, where that was nearest and not 0 itself; set it to infinity first."""
    relu, found = type(ACTIVATIONS.build("relu")), SimpleNamespace(distance=math.inf)
    forward = relu.forward

    def watched(self, z, c, y):
        if isinstance(z, np.ndarray):  # not on a GPU
            found.distance = min(found.distance, np.abs(z[z != 0]).min(initial=math.inf))
        forward(self, z, c, y)

    monkeypatch.setattr(relu, "forward", watched)
    return found


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_twenty_steps_end_at_the_same_place(engine, optimizer, nearest, pairwise):
    activations = ("tanh", "sigmoid", "gelu", "relu", "silu", "softplus")
    every = pairwise(itertools.product(OPTIMIZERS, LAYERS, enumerate(activations)))
    for _, kind, (i, activation) in [case for case in every if case[0] == optimizer]:
        how = {
            "batch_size": 8,  # the last batch has five rows
            "epochs": 4,
            "l2": 0.01 * (i % 2),
            "alpha": 0.1 * (i >= 3),
            "sample_weight": np.random.default_rng(i).random(37) if i % 3 == 0 else None,
            "max_grad_norm": 0.5 if i % 3 == 1 else None,
            "schedule": fc.CosineDecay(4) if i % 2 else None,
            "average": fc.EMA(0.8, warm_up=i == 2) if i in (2, 4) else None,
            "seed": i,
        }
        for seed in range(i, 600, 6):  # until nothing comes so near a kink that two ways of rounding could part there
            layers = [fc.Dense(6, 13, activation), *LAYERS[kind](13, activation), fc.Dense(13, 3)]
            single = network(layers, np.float32, seed)
            x, t = data(fc.SoftmaxCrossEntropy(), 37, 6, 3, seed)
            x = x.astype(np.float32)
            nearest.distance = math.inf
            (net_a, a), (net_b, b), (_, c), (_, d) = (
                way(net, x, t, "softmax_cross_entropy", optimizer, each, **how)
                for net, each in itertools.product((exact(single), single), ("numpy", engine))
            )
            if nearest.distance > 1e-4:
                break
        assert np.linalg.norm(a - b) <= 1e-9 * np.linalg.norm(a)
        np.testing.assert_allclose(net_a.state, net_b.state, rtol=1e-9)
        # In float32 theta is rounded after each of the twenty steps, in both ways; and what the sums within a step
        # lose, NumPy's distance from the exact way shows: the native engine may lose as much.
        stored = 20 * np.finfo(np.float32).eps * np.linalg.norm(single.theta)
        assert np.linalg.norm(c - d) <= 2 * np.linalg.norm(c - a) + stored


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("kind", MEMBERS)
def test_an_ensemble_ends_at_the_same_place(engine, kind, optimizer):
    for i, activation in enumerate(("tanh", "gelu", "silu")):
        net = network(ensemble(kind, 3, activation, 2), np.float64, i)
        x, t = data(fc.SoftmaxCrossEntropy(), 37, 5, 2, i)
        weights = np.random.default_rng(i).integers(0, 3, (37, 3)).astype(float)
        how = {
            "batch_size": 8,
            "epochs": 3,
            "l2": 0.01 * (i % 2),
            "alpha": 0.1 * (i == 2),
            "sample_weight": weights if i else None,
            "max_grad_norm": 0.5 if i == 1 else None,
            "average": fc.EMA(0.8) if i == 2 else None,
            "seed": i,
        }
        (net_a, a), (net_b, b) = (
            way(net, x, t, "softmax_cross_entropy", optimizer, each, **how) for each in ("numpy", engine)
        )
        assert np.linalg.norm(a - b) <= 1e-9 * np.linalg.norm(a)
        np.testing.assert_allclose(net_a.state, net_b.state, rtol=1e-9)


@pytest.mark.parametrize("kind", MEMBERS)
def test_threads_share_the_work_of_an_ensemble(kind):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(700, 5)), rng.normal(size=(700, 2))
    for k in (2, 5):
        ways = []
        for threads in (1, 2, 3, 3):
            net = fc.Network(ensemble(kind, k, "gelu", 2, width=60), dtype=np.float64, seed=0)
            how = {"l2": 1e-3, "batch_size": 256, "epochs": 1, "sample_weight": np.ones((700, k))}
            ways.append(way(net, x, t, "huber", fc.SGD(0.1), "native", n_threads=threads, **how)[1])
        for other in ways[1:]:
            assert np.linalg.norm(ways[0] - other) <= 1e-10 * np.linalg.norm(ways[0])
        assert ways[2].tobytes() == ways[3].tobytes()


COLUMNS = 5  # of numbers; then two of codes, and two of numbers with gaps
STAGES = {
    "codes": lambda: [(COLUMNS, fc.OneHot(4)), (COLUMNS + 1, fc.OneHot(90))],
    "bins": lambda: [(range(COLUMNS), fc.PiecewiseLinearEncoding(COLUMNS, bins=6))],
    "between": lambda: [
        (COLUMNS + 1, fc.OneHot(90)),
        ([0, 1, 2], fc.Standardize(3, robust=True)),
        (range(COLUMNS), [fc.Standardize(COLUMNS), fc.PiecewiseLinearEncoding(COLUMNS, bins=6)]),
        ([3, 4], fc.Standardize(2, clip=True)),
        ([7, 8], [fc.Standardize(2, missing=True), fc.PiecewiseLinearEncoding(4, bins=5)]),
        (COLUMNS, fc.OneHot(4)),
    ],
    "embedded": lambda: [
        (0, fc.PeriodicEmbedding(1, 3, 2)),
        (COLUMNS, fc.OneHot(4)),
        (1, fc.PiecewiseLinearEncoding(1)),
    ],
    "inside": lambda: [
        ([0, 1], [fc.PiecewiseLinearEncoding(2, bins=7), fc.Dense(14, 6, "tanh")]),
        (COLUMNS, [fc.OneHot(4), fc.Dense(4, 5)]),
    ],
}


def looking_up(stage, members, dtype, width=35):
    """Return a network that begins with codes and bins, and the rows that it is adapted to."""
    rng = np.random.default_rng(3)
    numbers = rng.normal(size=(211, COLUMNS))
    numbers[:, 4] = 2.0  # no bin
    gaps = np.where(rng.random((211, 2)) < 0.2, np.nan, rng.normal(size=(211, 2)))
    x = np.column_stack([numbers, rng.integers(-1, 4, 211), rng.integers(-1, 90, 211), gaps])
    first = fc.Columns(STAGES[stage](), n_in=COLUMNS + 4)
    body = [fc.Dense(first.n_out, width, "tanh", parametrization="ntk"), fc.Dense(width, 3)]
    net = fc.Network(
        [first, fc.Members(members, body, kind="packed")] if members else [first, *body], dtype=dtype, seed=1
    )
    net.adapt(x)
    x[0, :COLUMNS] = [1e9, -1e9, 1e30, -1e37, 7.0]
    return net, x


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("members", [0, 3])
@pytest.mark.parametrize("stage", STAGES)
def test_codes_and_bins_are_looked_up_as_numpy_multiplies_by_them(engine, stage, members, dtype):
    net, x = looking_up(stage, members, dtype)
    tolerance = TOLERANCE[dtype]
    wanted = net.predict(x, engine="numpy")
    found = net.predict(x, engine=engine)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted[1:]).max())
    for rows in (1, 2, 3, 40) if engine == "native" else ():  # the same bits whatever the other rows are
        assert net.predict(x[5 : 5 + rows], engine=engine).tobytes() == found[5 : 5 + rows].tobytes()
    x, t = x[1:], np.random.default_rng(4).integers(0, 3, len(x) - 1)
    ways = [
        (fc.SGD(0.05), {"l2": 0.01, "n_threads": 2}),
        (fc.Momentum(0.02), {"max_grad_norm": 0.1, "sample_weight": np.arange(len(x)) % 3}),
        (fc.Nesterov(0.02), {"average": fc.EMA(0.8), "n_threads": 3}),
        (fc.SGD(0.05), {"factors": fc.Factors(lr={"first": 0, "last": 0.5})}),
    ]
    if dtype == np.float64:  # where a gradient is nothing but rounding, a step of Adam is as large as any
        ways.append((fc.AdamW(0.003, weight_decay=0.1), {"factors": fc.Factors(weight_decay={"first": 0.5})}))
    for optimizer, how in ways:
        (_, a), (_, b) = (
            way(net, x, t, "softmax_cross_entropy", optimizer, each, batch_size=50, epochs=3, seed=0, **how)
            for each in ("numpy", engine)
        )
        assert np.linalg.norm(a - b) <= 100 * tolerance * np.linalg.norm(a)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_look_the_same_rows_up(threads):
    net, x = looking_up("between", 0, np.float32, width=300)
    x, t = np.tile(x[1:], (5, 1)), np.arange(5 * len(x) - 5) % 3
    ways = [
        way(net, x, t, "softmax_cross_entropy", fc.SGD(0.05), "native", n_threads=n, batch_size=500, epochs=2, seed=0)
        for n in (1, threads, threads)
    ]
    assert ways[1][1].tobytes() == ways[2][1].tobytes()
    assert np.linalg.norm(ways[0][1] - ways[1][1]) <= 1e-5 * np.linalg.norm(ways[0][1])


@pytest.mark.parametrize("average", [None, fc.EMA(0.9)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_threads_give_the_same_bits(threads, average):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(900, 120)).astype(np.float32), rng.integers(0, 10, 900)
    thetas = []
    for _ in range(3):
        net = fc.Network([fc.Dense(120, 150, "relu"), fc.Dropout(0.2), fc.Dense(150, 10)], seed=0)
        how = {"progress": False, "engine": "native", "n_threads": threads, "average": average}
        fc.fit(net, x, t, "softmax_cross_entropy", fc.Adam(), epochs=2, **how)
        thetas.append(net.theta.tobytes())
    assert thetas[0] == thetas[1] == thetas[2]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_threads_share_the_work_and_change_the_last_bits_alone(dtype):
    rng = np.random.default_rng(0)
    layers = [
        fc.Standardize(120, 0.1, 2.0, clip=True),
        fc.Dense(120, 150, "gelu"),
        fc.BatchNorm(),
        fc.LayerNorm(),
        fc.RMSNorm(),
        fc.Dropout(0.1),
        fc.Activation("softmax"),
    ]
    x, t = rng.normal(size=(700, 120)), rng.integers(0, 40, 700)
    ways = []
    for threads in (1, 2, 5):
        net = fc.Network(
            [*layers, fc.Residual([fc.Dense(150, 150, "tanh")]), fc.Dense(150, 40), fc.Rescale(40, 0.1, 2.0)],
            dtype=dtype,
            seed=0,
        )
        how = {"l2": 1e-3, "max_grad_norm": 0.1, "batch_size": 256, "epochs": 2}
        ways.append(way(net, x, t, "softmax_cross_entropy", fc.SGD(0.1), "native", n_threads=threads, **how)[1])
    for other in ways[1:]:
        assert np.linalg.norm(ways[0] - other) <= (1e-10 if dtype == np.float64 else 1e-3) * np.linalg.norm(ways[0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("limit", [None, 0.1])
def test_an_average_follows_each_step_as_in_numpy(limit, dtype):
    """Also of a matrix whose update is fused with its gradient, and in the threads that share it."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(700, 120)), rng.integers(0, 40, 700)
    weights = np.arange(700) // 256 != 1  # in the rows' own order, the second batch makes no step
    ends = []
    for engine, threads in (("numpy", None), ("native", 1), ("native", 2), ("native", 5)):
        net = fc.Network([fc.Dense(120, 150, "tanh"), fc.BatchNorm(), fc.Dense(150, 40)], dtype=dtype, seed=0)
        how = {"batch_size": 256, "epochs": 4, "shuffle": False, "sample_weight": weights, "max_grad_norm": limit}
        how |= {"average": fc.EMA(0.7), "n_threads": threads}
        trained, moved = way(net, x, t, "softmax_cross_entropy", fc.SGD(0.1), engine, **how)
        ends.append(np.concatenate([moved, trained.state]))
    for other in ends[1:]:
        assert np.linalg.norm(ends[0] - other) <= (1e-10 if dtype == np.float64 else 1e-4) * np.linalg.norm(other)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, np.longdouble, bool, *"bBhHiIlL", ">f4", ">i2"], ids=str
)
@pytest.mark.parametrize("ends", [False, True])
def test_rows_of_every_dtype(engine, dtype, ends):
    x = np.random.default_rng(0).integers(0, 2, (30, 4)).astype(dtype)
    net = fc.mlp([4, 5, 1], "tanh", seed=0)
    if ends:
        net = fc.Network([fc.Standardize(4, 0.5, [0.5, 1, 2, 4]), *net.layers, fc.Rescale(1, -1, 0.5)], seed=0)
    t = np.arange(30.0)
    a, b = (net.predict(x, engine=each) for each in ("numpy", engine))
    np.testing.assert_allclose(
        a, b, rtol=0, atol=10 * np.finfo(np.float32).eps * max(1, np.abs(a).max())
    )  # of ten sums
    a, b = (way(net, x, t, "half_squared_error", fc.SGD(1e-3), each, epochs=1)[1] for each in ("numpy", engine))
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("activation", ACTIVATIONS.classes)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30])
def test_what_is_not_finite_passes_through_as_in_numpy(engine, activation, value):
    for kind in LAYERS:
        net = network([fc.Dense(3, 6, activation), *LAYERS[kind](6, "tanh"), fc.Dense(6, 2)], np.float32, 0)
        net.params[0].W[1, 2] = value
        if activation == "mish" and abs(value) == 1e30:
            continue  # NumPy's product overflows before a factor of 0 is known, and gives NaN; C++ gives the limit
        x, t = data(fc.HalfSquaredError(), 5, 3, 2, 0)
        a, b = (net.gradients(x, t, "half_squared_error", engine=each) for each in ("numpy", engine))
        assert np.isfinite(a.loss) == np.isfinite(b.loss)
        for name, _, _, part, _ in net.program.tensors:
            assert (np.isfinite(a.theta[part]) == np.isfinite(b.theta[part])).all(), (kind, name)
        a, b = (net.predict(x, engine=each) for each in ("numpy", engine))
        assert (np.isnan(a) == np.isnan(b)).all(), kind
        assert (a[np.isinf(a)] == b[np.isinf(a)]).all(), kind


def test_dropout_draws_the_same_masks(engine):
    net = fc.Network([fc.Dropout(0.4, n_in=13), fc.Dense(13, 1, bias=False, init="ones")], dtype=np.float64, seed=0)
    x = np.ones((57, 13))
    for seed in (0, 1, 2**64 - 1):
        a, b = (
            net.gradients(x, np.zeros(57), "half_squared_error", train=True, seed=seed, engine=each)
            for each in ("numpy", engine)
        )
        assert ((a.x == 0) == (b.x == 0)).all()


def test_many_small_numbers_are_flushed_inside_a_call_alone():
    tiny = np.float32(1e-39)
    net = fc.mlp([1, 1], seed=0)
    fc.fit(net, [[1.0]], [1.0], "half_squared_error", fc.Adam(), epochs=3, progress=False, engine="native")
    assert tiny * np.float32(1) == tiny != 0


def test_gradients_of_the_native_engine_pass_the_check():
    for name in LOSSES.classes:
        loss = LOSSES.build(name)
        net = network([fc.Dense(4, 6, "gelu"), fc.LayerNorm(), fc.Dense(6, 3)], np.float64, 1)
        x, t = data(loss, 7, 4, 3, 1)
        assert fc.check_gradients(net, x, t, loss, l2=0.1, engine="native").ok
    net = fc.Network([fc.Dense(4, 6, "tanh"), fc.Dropout(0.5), fc.BatchNorm(), fc.Dense(6, 2)], dtype="float64", seed=0)
    x, t = data(fc.HalfSquaredError(), 7, 4, 2, 1)
    assert fc.check_gradients(net, x, t, "half_squared_error", train=True, engine="native").ok
