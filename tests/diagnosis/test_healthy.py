"""Networks that learn: fresh or trained, nothing but notes is found."""

import numpy as np
import pytest

import fullyconnected as fc

datasets = pytest.importorskip("sklearn.datasets", reason="the tables are scikit-learn's")
LOSSES = {
    "digits": "softmax_cross_entropy",
    "iris": "softmax_cross_entropy",
    "wine": "softmax_cross_entropy",
    "diabetes": "half_squared_error",
    "breast_cancer": "binary_cross_entropy",
}


def table(name):
    """Return a table with standardised features and, where they are numbers, targets; digits are as they come."""
    x, t = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        return x / 16, t
    t = (t - t.mean()) / t.std() if name == "diabetes" else t
    return (x - x.mean(axis=0)) / x.std(axis=0), t


def warnings_of(net, x, t, loss, history=None):
    findings = fc.diagnose(net, x, t, loss, history).findings
    return [str(each) for each in findings if each.severity != "note"]


def mlp(x, hidden, n_out, activation, dtype):
    return fc.mlp([x.shape[1], *hidden, n_out], activation, dtype=dtype, seed=1)


CASES = [
    ("iris", [16], "relu", "float32"),
    ("iris", [8], "tanh", "float64"),
    ("iris", [64, 32], "gelu", "float32"),
    ("iris", [16, 16], "sigmoid", "float64"),
    ("digits", [64], "relu", "float32"),
    ("digits", [128, 64], "relu", "float64"),
    ("digits", [32], "tanh", "float32"),
    ("digits", [64, 32], "elu", "float32"),
    ("digits", [32, 32, 32, 32], "silu", "float64"),
    ("wine", [32], "relu", "float64"),
    ("wine", [16, 16, 16], "tanh", "float32"),
    ("wine", [8], "softplus", "float32"),
    ("wine", [64], "mish", "float64"),
    ("diabetes", [16], "relu", "float32"),
    ("diabetes", [32], "tanh", "float64"),
    ("diabetes", [], None, "float64"),
    ("diabetes", [16, 8], "gelu", "float32"),
    ("breast_cancer", [32], "relu", "float64"),
    ("breast_cancer", [16], "sigmoid", "float32"),
    ("breast_cancer", [32, 16, 8], "selu", "float32"),
    ("breast_cancer", [64, 64], "leaky_relu", "float64"),
    ("breast_cancer", [], None, "float32"),
]


@pytest.mark.parametrize(("name", "hidden", "activation", "dtype"), CASES)
def test_tables(name, hidden, activation, dtype):
    (x, t), loss = table(name), LOSSES[name]
    n_out = int(t.max()) + 1 if loss == "softmax_cross_entropy" else 1
    net = mlp(x, hidden, n_out, activation, dtype)
    assert warnings_of(net, x, t, loss) == []
    history = fc.fit(net, x, t, loss, fc.Adam(3e-3), epochs=60, batch_size=32, progress=False, validation=(x, t))
    assert warnings_of(net, x, t, None, history) == []
    assert warnings_of(net, x, t, loss, history.loss) == []
    assert warnings_of(net, x, t, loss) == []


RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5))
Y = np.sin(X[:, 0]) + 0.5 * X[:, 1]
BLOCK = fc.Residual([fc.LayerNorm(), fc.Dense(16, 16, "relu")])
OTHERS = {
    "norm": ([fc.Dense(5, 16), fc.BatchNorm(), fc.Activation("relu"), fc.Dense(16, 1)], Y, "half_squared_error"),
    "dropout": ([fc.Dense(5, 64, "relu"), fc.Dropout(0.5), fc.Dense(64, 2)], (Y > 0) * 1, "softmax_cross_entropy"),
    "blocks": ([fc.Dense(5, 16), *[BLOCK] * 6, fc.Dense(16, 1)], Y, "mean_squared_error"),
    "hinge": ([fc.Dense(5, 16, "relu"), fc.Dense(16, 2)], (Y > 0) * 1, "hinge"),
    "probabilities": ([fc.Dense(5, 16, "relu"), fc.Dense(16, 2)], np.eye(2)[(Y > 0) * 1] * 0.8 + 0.1, "cross_entropy"),
    "counts": ([fc.Dense(5, 16, "tanh"), fc.Dense(16, 1)], RNG.poisson(np.exp(Y)), "poisson"),
    "quantile": ([fc.Dense(5, 16, "tanh"), fc.Dense(16, 1)], Y, fc.Quantile(0.9)),
    "absolute": ([fc.Dense(5, 16, "tanh"), fc.Dense(16, 2)], np.c_[Y, -2 * Y], "absolute_error"),
    "labels": ([fc.Dense(5, 16, "tanh"), fc.Dense(16, 3)], (X[:, :3] > 0.5) * 1, "binary_cross_entropy"),
    "softmax": ([fc.Dense(5, 16, "tanh"), fc.Dense(16, 2, "softmax")], np.eye(2)[(Y > 0) * 1], "half_squared_error"),
    "pair": ([fc.Dense(5, 16, (np.sin, np.cos)), fc.Dense(16, 1)], Y, "huber"),
    "few rows": ([fc.Dense(5, 16, "tanh"), fc.Dense(16, 1)], Y[:3], "half_squared_error"),
    "zeros at the end": ([fc.Dense(5, 16, "tanh"), fc.Dense(16, 1, init="zeros")], Y, "half_squared_error"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_layers_and_losses(case):
    layers, t, loss = OTHERS[case]
    loss = "softmax_cross_entropy" if loss == "cross_entropy" else loss
    x, net = X[: len(t)], fc.Network(layers, seed=0)
    assert warnings_of(net, x, t, loss) == []
    history = fc.fit(net, x, t, loss, fc.Adam(5e-3), epochs=80, batch_size=32, progress=False)
    assert warnings_of(net, x, t, None, history) == []


def test_one_row_and_one_column():
    assert warnings_of(fc.mlp([1, 8, 1], seed=0), [[0.5]], [1.0], "half_squared_error") == []
    assert warnings_of(fc.mlp([1, 64, 1], "tanh", seed=0), X[:, :1], Y, "half_squared_error") == []
