"""The way of tiny networks through the native engine (kernels/tiny.hpp): what takes it, and what it computes."""

import itertools

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.errors import DivergenceError
from fullyconnected.losses import LOSSES
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

pytestmark = pytest.mark.skipif(not fc.engines()["native"].available, reason=fc.engines()["native"].about)

SMOOTH = ("identity", "elu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh")
SMOOTH_LOSSES = ("half_squared_error", "mean_squared_error", "poisson", "binary_cross_entropy", "softmax_cross_entropy")
RULES = (
    fc.SGD(0.05),
    fc.Momentum(0.02),
    fc.Nesterov(0.02),
    fc.RMSProp(0.003, epsilon=1e-3),
    fc.Adam(0.01, epsilon=1e-3),
    fc.AdamW(0.01, epsilon=1e-3, weight_decay=0.1),
    fc.Adam(0.01, epsilon=1e-3, epsilon_hat=True),
)


def is_tiny(net, rows=8, *, rule=None, loss="half_squared_error", **how):
    x, t = np.ones((rows, net.n_in)), np.zeros((rows, net.n_out))
    settings = FitSettings(engine="native", **{"batch_size": 4, **how})
    return Run(net, x, t, loss, rule or fc.SGD(0.1), settings).trainer._trainer.tiny


def some(seed, dtype=np.float64, *, smooth=False):
    """Return a random tiny network, or one a little too large, with rows, a loss, an optimizer and settings."""
    rng = np.random.default_rng(seed)
    names = [name for name in ACTIVATIONS.classes if name != "softmax" and (name in SMOOTH or not smooth)]
    loss = LOSSES.build(str(rng.choice([name for name in LOSSES.classes if name in SMOOTH_LOSSES or not smooth])))
    widths = [int(n) for n in rng.integers(1, 21, rng.integers(2, 6))]
    widths[-1] = max(loss.min_outputs, widths[-1] if rng.random() < 0.5 else 1)
    layers = [
        fc.Dense(n, m, str(rng.choice(names)), bias=bool(rng.random() < 0.8)) for n, m in itertools.pairwise(widths)
    ]
    layers[-1] = fc.Dense(*widths[-2:], "tanh" if rng.random() < 0.3 else "identity")
    net = fc.Network(layers, dtype=dtype, seed=seed)
    net.theta = (0.5 * net.theta + rng.normal(0, 0.05, net.n_params)).astype(dtype)
    rows, batch = int(rng.integers(5, 40)), int(rng.integers(1, 10))
    x, t = rng.normal(size=(rows, widths[0])).astype(dtype), loss.example_targets(rng, rows, widths[-1])
    rule = RULES[rng.integers(len(RULES))]
    chance = rng.random(8) < 0.3
    how = {
        "batch_size": batch,
        "epochs": 3,
        "seed": seed,
        "l2": 0.01 * chance[0],
        "alpha": 0.1 * chance[1],
        "sample_weight": rng.integers(0, 3, rows).astype(float) if chance[2] else None,
        "schedule": fc.CosineDecay(3) if chance[3] else None,
        "average": fc.EMA(0.8, warm_up=bool(chance[5])) if chance[4] else None,
        "max_grad_norm": 0.5 if chance[5] and chance[6] else None,
    }
    if chance[7]:
        decays = {"last": 2.0} if how["l2"] or how["alpha"] else {}
        how["factors"] = fc.Factors(lr={"first": 0, "last": 0.5} if len(layers) > 1 else {}, weight_decay=decays)
    if how["sample_weight"] is not None:
        how["sample_weight"][0] = 1
    return net, x, t, loss, rule, how


def fitted(case, engine, dtype=None, **other):
    net, x, t, loss, rule, how = case
    net = fc.Network(net.layers, dtype=dtype or net.dtype, seed=0)
    net.theta = case[0].theta
    history = fc.fit(net, x, t, loss, rule, engine=engine, progress=False, **{**how, **other})
    return net.theta.astype(np.float64), history


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_end_where_numpys_end(seed):
    taken = set()
    for case in map(some, range(100 * seed, 100 * seed + 25)):
        (a, ours), (b, theirs) = (fitted(case, engine) for engine in ("native", "numpy"))
        assert np.linalg.norm(a - b) <= 1e-10 * np.linalg.norm(b), case
        np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-10)
        net, x, t, loss, rule, how = case
        settings = FitSettings(
            engine="native", **{k: v for k, v in how.items() if k in ("batch_size", "max_grad_norm")}
        )
        taken.add(Run(net, x, t, loss, rule, settings).trainer._trainer.tiny)
    assert taken == {True, False}  # both sides of the border


@pytest.mark.parametrize("seed", range(6))
def test_in_float32_they_end_as_near_to_the_exact_way_as_numpys(seed):
    for i in range(100 * seed, 100 * seed + 15):
        case = some(i, np.float32, smooth=True)
        ours, theirs = (fitted(case, engine)[0] for engine in ("native", "numpy"))
        exact = fitted(case, "numpy", np.float64)[0]
        steps = 3 * -(-len(case[1]) // case[-1]["batch_size"])
        stored = steps * np.finfo(np.float32).eps * np.linalg.norm(exact)
        assert np.linalg.norm(ours - theirs) <= 2 * np.linalg.norm(theirs - exact) + stored, case


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES.classes)
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS.classes if name != "softmax"])
def test_every_activation_and_loss_in_one_step(activation, loss, dtype):
    rng, loss = np.random.default_rng(0), LOSSES.build(loss)
    for widths, last in itertools.product(((2, 3, 1), (7, 2, 5, 3)), ("identity", "softplus")):
        if widths[-1] < loss.min_outputs:
            continue
        net = fc.mlp(list(widths), activation, last, dtype=dtype, seed=1)
        net.theta = (0.3 * net.theta + rng.normal(0, 0.1, net.n_params)).astype(dtype)
        x, t = rng.normal(size=(3, widths[0])).astype(dtype), loss.example_targets(rng, 3, widths[-1])
        case = net, x, t, loss, fc.SGD(0.1), {"epochs": 1, "batch_size": 3, "shuffle": False}
        (a, ours), (b, theirs) = (fitted(case, engine) for engine in ("native", "numpy"))
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(ours.loss, theirs.loss, rtol=tolerance, atol=tolerance)
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


def test_what_takes_the_way():
    assert is_tiny(fc.mlp([2, 3, 1], "sigmoid", seed=0))
    assert is_tiny(fc.mlp([20, 20, 20, 1], seed=0), batch_size=2)
    assert not is_tiny(fc.mlp([20, 20, 20, 1], seed=0), batch_size=3)
    assert is_tiny(fc.mlp([2, 3, 1], seed=0), n_threads=4)
    assert is_tiny(fc.mlp([2, 3, 1], seed=0), rule=fc.Adam(), l2=0.1, average=fc.EMA(0.9))
    assert is_tiny(fc.mlp([32, 1], seed=0))
    assert not is_tiny(fc.mlp([33, 1], seed=0))
    assert not is_tiny(fc.mlp([1, 33, 1], seed=0))
    assert is_tiny(fc.mlp([2] * 7, seed=0))
    assert not is_tiny(fc.mlp([2] * 8, seed=0))
    assert not is_tiny(fc.mlp([2, 3, 1], seed=0), max_grad_norm=1.0)
    assert not is_tiny(fc.mlp([2, 3, 3, 1], seed=0), rule=fc.Muon(0.1))
    assert is_tiny(fc.mlp([2, 3, 1], seed=0), rule=fc.Muon(0.1))  # which has no hidden matrix
    assert not is_tiny(fc.mlp([2, 3, 2], "relu", "softmax", seed=0))
    assert not is_tiny(fc.Network([fc.Dense(2, 3, "relu"), fc.LayerNorm(), fc.Dense(3, 1)], seed=0))
    assert not is_tiny(fc.Network([fc.Dense(2, 3, "relu", parametrization="ntk"), fc.Dense(3, 1)], seed=0))
    assert not is_tiny(fc.Network([fc.Members(2, [fc.Dense(2, 1)])], seed=0))


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bits_are_the_same_however_a_run_is_cut(rule, dtype, tmp_path):
    """In one run and in several, on one thread and on more, and beyond the steps after which all is written back."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(301, 3)).astype(dtype), rng.normal(size=(301, 2))
    net = fc.mlp([3, 5, 2], "tanh", dtype=dtype, seed=0)
    how = {"batch_size": 1, "seed": 3, "l2": 1e-3, "average": fc.EMA(0.9)}
    case = net, x, t, fc.HalfSquaredError(), rule, how
    whole, history = fitted(case, "native", epochs=3)
    assert (fitted(case, "native", epochs=3, n_threads=3)[0] == whole).all()
    for epochs in (1, 2):
        fitted(case, "native", epochs=epochs, checkpoint=tmp_path / "run")
    resumed, other = fitted(case, "native", epochs=3, checkpoint=tmp_path / "run")
    assert (resumed == whole).all()
    assert other.loss == history.loss


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [1e3, 1e20])
@pytest.mark.parametrize("rule", [fc.SGD, fc.Momentum])
def test_a_divergence_is_found_in_the_same_step(rule, rate, dtype):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(40, 3)).astype(dtype), rng.normal(size=(40, 2))
    caught = []
    for engine in ("native", "numpy"):
        net = fc.mlp([3, 4, 2], "identity", dtype=dtype, seed=0)
        how = {"epochs": 50, "batch_size": 3, "schedule": fc.CosineDecay(60), "seed": 0}
        with pytest.raises(DivergenceError) as error:
            fc.fit(net, x, t, "half_squared_error", rule(rate), engine=engine, progress=False, **how)
        caught.append((error.value.epoch, error.value.step, error.value.learning_rate, error.value.layer))
    assert caught[0] == caught[1]


def test_parameters_stay_what_they_were_when_the_loss_is_not_finite():
    net = fc.mlp([1, 2, 1], "identity", dtype=np.float32, seed=0)
    before = net.theta.copy()
    settings = FitSettings(engine="native", batch_size=1)
    run = Run(net, np.full((2, 1), 1e30), np.zeros((2, 1)), "half_squared_error", fc.Adam(), settings)
    assert run.trainer._trainer.tiny
    with pytest.raises(DivergenceError):
        run.trainer.epoch(np.arange(2))
    assert (net.theta == before).all()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float32, np.float64])
def test_rows_of_every_kind_of_number(dtype):
    x = np.random.default_rng(0).integers(0, 3, (20, 9)).astype(dtype)
    t = np.arange(20) % 3
    for single in (np.float32, np.float64):
        case = fc.mlp([9, 2, 3], "tanh", dtype=single, seed=0), x, t, fc.SoftmaxCrossEntropy(), fc.Adam(), {"epochs": 2}
        a, b = (fitted(case, engine, batch_size=3)[0] for engine in ("native", "numpy"))
        assert np.linalg.norm(a - b) <= (1e-5 if single == np.float32 else 1e-12) * np.linalg.norm(b)
