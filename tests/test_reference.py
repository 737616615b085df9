"""Random networks against a second implementation: backpropagation as a textbook has it, in a page of plain NumPy."""

import itertools

import numpy as np
import pytest

import fullyconnected as fc

hypothesis = pytest.importorskip("hypothesis", reason="draws the networks")
st = hypothesis.strategies

ACTIVATIONS = {  # f, and f' of z
    None: (lambda z: z, np.ones_like),
    "relu": (lambda z: z * (z > 0), lambda z: (z > 0) * 1.0),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01)),
    "elu": (lambda z: np.where(z > 0, z, np.exp(z) - 1), lambda z: np.where(z > 0, 1, np.exp(z))),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "softplus": (lambda z: np.log(1 + np.exp(z)), lambda z: 1 / (1 + np.exp(-z))),
    "silu": (
        lambda z: z / (1 + np.exp(-z)),
        lambda z: 1 / (1 + np.exp(-z)) + z * np.exp(-z) / (1 + np.exp(-z)) ** 2,
    ),
}
LR = 0.01
SMOOTH = [None, "sigmoid", "tanh", "softplus", "silu", "elu"]


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


LOSSES = {  # the loss of each row, and its derivative
    "half_squared_error": (lambda z, t: ((z - t) ** 2).sum(axis=1) / 2, lambda z, t: z - t),
    "mean_squared_error": (lambda z, t: ((z - t) ** 2).mean(axis=1), lambda z, t: 2 * (z - t) / z.shape[1]),
    "huber": (
        lambda z, t: np.where(abs(z - t) < 1, (z - t) ** 2 / 2, abs(z - t) - 0.5).sum(axis=1),
        lambda z, t: np.clip(z - t, -1, 1),
    ),
    "binary_cross_entropy": (
        lambda z, t: (np.log(1 + np.exp(z)) - t * z).sum(axis=1),
        lambda z, t: 1 / (1 + np.exp(-z)) - t,
    ),
    "softmax_cross_entropy": (
        lambda z, t: -np.log(softmax(z)[np.arange(len(z)), t]),
        lambda z, t: softmax(z) - np.eye(z.shape[1])[t],
    ),
}


def gradient(weights, names, x, t, loss, w, l2):
    """The loss of a batch and its gradient, by the chain rule, layer by layer."""
    values, zs = [x], []
    for (W, b), name in zip(weights, names, strict=True):
        zs.append(values[-1] @ W + b)
        values.append(ACTIVATIONS[name][0](zs[-1]))
    value, slope = LOSSES[loss]
    share = w / w.sum()
    total = share @ value(values[-1], t) + l2 / 2 * sum((W**2).sum() for W, _ in weights)
    d, found = share[:, None] * slope(values[-1], t), []
    for (W, _), name, z, before in zip(weights[::-1], names[::-1], zs[::-1], values[-2::-1], strict=True):
        d = d * ACTIVATIONS[name][1](z)
        found.insert(0, (before.T @ d + l2 * W, d.sum(axis=0)))
        d = d @ W.T
    return total, found, d


def rule(name, lr):
    """A function from a gradient and its memory to a step."""

    def step(g, memory):
        if name == "sgd":
            return lr * g
        if name == "momentum":
            memory["v"] = 0.9 * memory.get("v", 0) + g
            return lr * memory["v"]
        memory["t"] = memory.get("t", 0) + 1
        memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
        memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * g**2
        return lr * memory["m"] / (1 - 0.9 ** memory["t"]) / (np.sqrt(memory["v"] / (1 - 0.999 ** memory["t"])) + 1e-3)

    return step


def epoch(weights, names, x, t, loss, w, l2, batch_size, step, memories):
    """Train for one epoch; return its loss and the new weights."""
    total = share = 0.0
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        if not w[rows].any():
            continue
        value, gradients, _ = gradient(weights, names, x[rows], t[rows], loss, w[rows], l2)
        weights = [
            tuple(a - step(g, memory) for a, g, memory in zip(pair, pairs, kept, strict=True))
            for pair, pairs, kept in zip(weights, gradients, memories, strict=True)
        ]
        total, share = total + value * w[rows].sum(), share + w[rows].sum()
    return total / share, weights


@st.composite
def problems(draw, activations):
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
    names = [draw(st.sampled_from(activations)) for _ in sizes[1:]]
    rows = draw(st.integers(1, 24))
    loss = draw(st.sampled_from(sorted(LOSSES)))
    if loss == "softmax_cross_entropy":
        sizes[-1] += 1
    if loss in ("softmax_cross_entropy", "binary_cross_entropy") and names[-1] == "sigmoid":
        names[-1] = "tanh"
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(rows, sizes[0]))
    t = {
        "softmax_cross_entropy": lambda: rng.integers(0, sizes[-1], rows),
        "binary_cross_entropy": lambda: rng.integers(0, 2, (rows, sizes[-1])).astype(float),
    }.get(loss, lambda: rng.normal(size=(rows, sizes[-1])))()
    w = np.ones(rows)
    if draw(st.booleans()):
        w = rng.random(rows) * (rng.random(rows) < 0.8)
        w[rng.integers(rows)] = 1.0
    weights = [(rng.normal(size=(a, b)) / np.sqrt(a), 0.1 * rng.normal(size=b)) for a, b in itertools.pairwise(sizes)]
    return {
        "weights": weights,
        "names": names,
        "x": x,
        "t": t,
        "w": w,
        "loss": loss,
        "l2": draw(st.sampled_from([0.0, 0.01, 1.0])),
        "batch_size": draw(st.integers(1, rows + 3)),
    }


def network(weights, names, dtype):
    layers = [fc.Dense(*W.shape, name) for (W, _), name in zip(weights, names, strict=True)]
    net = fc.Network(layers, dtype=dtype)
    net.set_weights([a for pair in weights for a in pair])
    return net


def train(problem, optimizer, dtype, tolerance):
    p = problem
    net = network(p["weights"], p["names"], dtype)
    even = (p["w"] == 1).all()
    history = fc.fit(
        net,
        p["x"],
        p["t"],
        p["loss"],
        {"sgd": fc.SGD(LR), "momentum": fc.Momentum(LR), "adam": fc.Adam(LR, epsilon=1e-3)}[optimizer],
        2,
        p["batch_size"],
        l2=p["l2"],
        sample_weight=None if even else p["w"],
        shuffle=False,
        progress=False,
    )
    memories = [({}, {}) for _ in p["weights"]]
    weights, losses = p["weights"], []
    for _ in range(2):
        value, weights = epoch(
            weights,
            p["names"],
            p["x"],
            p["t"],
            p["loss"],
            p["w"],
            p["l2"],
            p["batch_size"],
            rule(optimizer, LR),
            memories,
        )
        losses.append(value)
    np.testing.assert_allclose(history.loss, losses, rtol=tolerance, atol=tolerance)
    for ours, theirs in zip(net.get_weights(), (a for pair in weights for a in pair), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@hypothesis.settings(max_examples=150)
@hypothesis.given(problems(list(ACTIVATIONS)), st.sampled_from(["sgd", "momentum", "adam"]))
def test_two_epochs_in_float64(problem, optimizer):
    train(problem, optimizer, np.float64, 1e-10)


@hypothesis.settings(max_examples=60)
@hypothesis.given(problems(SMOOTH), st.sampled_from(["sgd", "momentum"]))
def test_two_epochs_in_float32(problem, optimizer):
    train(problem, optimizer, np.float32, 2e-4)


@hypothesis.settings(max_examples=100)
@hypothesis.given(problems(list(ACTIVATIONS)))
def test_gradients(problem):
    p = problem
    net = network(p["weights"], p["names"], np.float64)
    g = net.gradients(p["x"], p["t"], p["loss"], l2=p["l2"], sample_weight=p["w"])
    value, found, dx = gradient(p["weights"], p["names"], p["x"], p["t"], p["loss"], p["w"], p["l2"])
    assert g.loss == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(g.x, dx, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(g.params, found, strict=True):
        np.testing.assert_allclose(ours.W, theirs[0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.b, theirs[1], rtol=1e-10, atol=1e-12)


@hypothesis.settings(max_examples=60)
@hypothesis.given(problems(list(ACTIVATIONS)), st.integers(1, 30))
def test_prediction_does_not_depend_on_how_rows_are_grouped(problem, size):
    p = problem
    net = network(p["weights"], p["names"], np.float64)
    z = p["x"]
    for (W, b), name in zip(p["weights"], p["names"], strict=True):
        z = ACTIVATIONS[name][0](z @ W + b)
    parts = [net.predict(p["x"][start : start + size]) for start in range(0, len(z), size)]
    np.testing.assert_allclose(np.concatenate(parts), z, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(net.predict(p["x"]), z, rtol=1e-11, atol=1e-13)
