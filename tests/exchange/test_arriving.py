"""What all readers of other formats make networks of: parts, whose sizes and numbers are checked."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import ConfigError, FileFormatError
from fullyconnected.exchange import arriving
from fullyconnected.exchange.arriving import network_of


def some(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_parts_make_a_network_with_their_values():
    W, b, V, table = some(4, 5), some(5), some(5, 5, seed=1), some(7, 2, seed=2)
    mean, var = some(5), np.abs(some(5)) + 0.5
    parts = [
        arriving.embedding(table, "fields"),
        arriving.dense(W, b, "first"),
        arriving.activation("tanh", "first's"),
        arriving.batch_norm(mean, var, None, b, 1e-3, 0.01, "norm"),
        arriving.residual([arriving.dense(V, None, "inner"), arriving.activation("relu", "inner's")], "block"),
        arriving.layer_norm(b, None, 5, 1e-6, "last"),
        arriving.rms_norm(b, 5, 1e-6, "rows"),
        arriving.dropout(0.5, "drop"),
    ]
    net = network_of(parts, "it")
    assert net.dtype == np.float32
    assert [type(layer).__name__ for layer in net.layers] == [
        *("Columns", "Dense", "BatchNorm", "Residual", "LayerNorm", "RMSNorm", "Dropout")
    ]
    codes = np.array([[0, 6], [3, 1], [5, 5]])
    h = np.tanh(np.hstack([table[codes[:, 0]], table[codes[:, 1]]]) @ W + b)
    h = (h - mean) / np.sqrt(var + 1e-3) + b
    h = h + np.maximum(h @ V, 0)
    h = b * (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-6)
    h = b * h / np.sqrt((h * h).mean(1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(net.predict(codes), h, rtol=1e-4, atol=1e-5)
    arriving.require_same(net, net.predict, "it")


def test_one_value_in_float64_makes_a_network_in_float64():
    assert network_of([arriving.dense(some(2, 3).astype(np.float64), None, "it")], "it").dtype == np.float64
    assert network_of([arriving.dense(some(2, 3).astype(np.float16), None, "it")], "it").dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: arriving.dense(some(2, 3, 4), None, "fc1"), r"the matrix of fc1 has the shape \(2, 3, 4\); 2 axes"),
        (lambda: arriving.dense(some(0, 3), None, "fc1"), "none of them empty"),
        (lambda: arriving.dense(some(2, 3), some(2), "fc1"), r"the biases of fc1 has the shape \(2,\); \(3,\)"),
        (lambda: arriving.dense(np.ones((2, 3), int), None, "fc1"), "is of the type int64"),
        (lambda: arriving.dense(np.array([[None]]), None, "fc1"), "is of the type object"),
        (lambda: arriving.dense(some(2, 3) * np.nan, None, "fc1"), "not finite"),
        (lambda: arriving.batch_norm(some(3), -np.ones(3, np.float32), None, None, 1e-5, 0.1, "bn"), "below 0"),
        (lambda: arriving.batch_norm(some(3), some(3) ** 2, None, None, 0.0, 0.1, "bn"), "bn: epsilon"),
        (lambda: arriving.layer_norm(some(3), None, 4, 1e-5, "ln"), r"the gain of ln has the shape \(3,\); \(4,\)"),
        (lambda: arriving.rms_norm(some(3), 4, 1e-5, "rms"), r"the gain of rms has the shape \(3,\); \(4,\)"),
        (lambda: arriving.rms_norm(None, 4, 0.0, "rms"), "rms: epsilon"),
        (lambda: arriving.dropout(1.0, "drop"), "drop: rate"),
        (lambda: arriving.activation("swoosh", "act"), "act: there is no activation 'swoosh'"),
        (lambda: arriving.residual([arriving.dense(some(2, 3), None, "a")], "skip"), "skip: "),
        (lambda: network_of([], "the file"), "the file has no layer"),
        (lambda: network_of([arriving.dense(some(2, 3), None, "a"), arriving.dense(some(2, 3), None, "b")], "x"), "x"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_other_results_are_refused_and_it_says_where():
    net = network_of([arriving.dense(some(2, 3), None, "a")], "it")
    with pytest.raises(ConfigError, match="row 0 of the test vector, result 1"):
        arriving.require_same(net, lambda x: net.predict(x) + np.array([0, 0.1, 0]), "the module")
    with pytest.raises(ConfigError, match="shape"):
        arriving.require_same(net, lambda x: net.predict(x)[:, :2], "the module")


@pytest.mark.parametrize(
    "error", [KeyError("a"), MemoryError(), RecursionError(), ConfigError("it is odd"), ValueError()]
)
def test_whatever_a_file_leads_to_names_the_file(error):
    with pytest.raises(FileFormatError, match=r"net\.onnx"), arriving.reading("folder/net.onnx", "a file of ONNX"):
        raise error


def test_what_is_no_fault_of_the_file_stays_what_it_is():
    for error in (FileNotFoundError("net.onnx"), fc.errors.MissingPackageError("onnx")):
        with pytest.raises(type(error)), arriving.reading("net.onnx", "a file of ONNX"):
            raise error
