"""The functional form, against the expected numbers of the CS231n assignment, and central differences."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.functional import (
    affine_backward,
    affine_forward,
    hinge_loss,
    relu_backward,
    relu_forward,
    softmax_loss,
)


def numeric(f, x, dy, h=1e-5):
    """Central differences of sum(f(x) dy) with respect to x."""
    slopes = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        at = x[i]
        x[i] = at + h
        right = f(x).copy()
        x[i] = at - h
        slopes[i] = ((right - f(x)) * dy).sum() / (2 * h)
        x[i] = at
    return slopes


def test_affine_forward():
    x = np.linspace(-0.1, 0.5, 240).reshape(2, 4, 5, 6)
    w, b = np.linspace(-0.2, 0.3, 360).reshape(120, 3), np.linspace(-0.3, 0.1, 3)
    out, _ = affine_forward(x, w, b)
    wanted = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    np.testing.assert_allclose(out, wanted, rtol=1e-8)


def test_affine_backward(rng):
    x, w, b, dout = (rng.normal(size=shape) for shape in ((10, 2, 3), (6, 5), (5,), (10, 5)))
    _, cache = affine_forward(x, w, b)
    dx, dw, db = affine_backward(dout, cache)
    np.testing.assert_allclose(dx, numeric(lambda x: affine_forward(x, w, b)[0], x, dout), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(dw, numeric(lambda w: affine_forward(x, w, b)[0], w, dout), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(db, numeric(lambda b: affine_forward(x, w, b)[0], b, dout), rtol=1e-8, atol=1e-9)
    assert (dx.shape, dw.shape, db.shape) == (x.shape, w.shape, b.shape)


def test_relu():
    out, cache = relu_forward(np.linspace(-0.5, 0.5, 12).reshape(3, 4))
    wanted = [[0, 0, 0, 0], [0, 0, 0.04545455, 0.13636364], [0.22727273, 0.31818182, 0.40909091, 0.5]]
    np.testing.assert_allclose(out, wanted, atol=5e-8)
    assert np.array_equal(relu_backward(np.full((3, 4), 7.0), cache), np.where(out > 0, 7.0, 0.0))


def test_relu_on_a_matrix_of_integers():
    x = [[-1, 5, 2, 4, -1], [2, -2, 3, -1, 0], [-1, -2, -3, -4, 0]]
    out, cache = relu_forward(x)
    assert out.tolist() == np.maximum(x, 0).tolist()
    assert relu_backward(np.ones((3, 5)), cache).tolist() == (np.array(x) > 0).astype(float).tolist()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (0, 3)])
def test_relu_of_any_shape(shape, rng):
    x = rng.normal(size=shape)
    out, cache = relu_forward(x)
    assert np.array_equal(out, np.maximum(x, 0))
    assert np.array_equal(relu_backward(np.ones(shape), cache), (x > 0) * 1.0)


def test_losses_of_small_random_scores():
    """About log(10) and 9 for ten classes; the gradients against central differences."""
    rng = np.random.default_rng(231)
    x, y = 0.001 * rng.normal(size=(50, 10)), rng.integers(0, 10, 50)
    for loss, about in ((softmax_loss, np.log(10)), (hinge_loss, 9)):
        value, dx = loss(x, y)
        assert value == pytest.approx(about, abs=0.01)
        slopes = numeric(lambda x, loss=loss: np.array(loss(x, y)[0]), x, np.array(1.0))
        np.testing.assert_allclose(dx, slopes, atol=1e-8)


def test_the_same_numbers_as_a_network(rng):
    net = fc.mlp([4, 5, 3], dtype=np.float64, seed=0)
    x, t = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    (W1, b1), (W2, b2) = (dict(p).values() for p in net.params)
    z, first = affine_forward(x, W1, b1)
    a, kink = relu_forward(z)
    z, second = affine_forward(a, W2, b2)
    value, dz = softmax_loss(z, t)
    da, dW2, db2 = affine_backward(dz, second)
    dx, dW1, db1 = affine_backward(relu_backward(da, kink), first)
    g = net.gradients(x, t, "softmax_cross_entropy")
    assert value == pytest.approx(g.loss, rel=1e-14)
    np.testing.assert_allclose(np.concatenate([a.ravel() for a in (dW1, db1, dW2, db2)]), g.theta, rtol=1e-12)
    np.testing.assert_allclose(dx, g.x, rtol=1e-12, atol=1e-16)


def test_float32_stays_float32_and_arguments_are_left_alone(rng):
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((5, 2, 2), (4, 3), (3,)))
    for a in (x, w, b):
        a.flags.writeable = False
    out, cache = affine_forward(x, w, b)
    dout = np.ones((5, 3), np.float32)
    dout.flags.writeable = False
    assert {a.dtype for a in (out, *affine_backward(dout, cache))} == {np.dtype(np.float32)}
    out, cache = relu_forward(x)
    dout = np.ones(x.shape, np.float32)
    dout.flags.writeable = False
    assert out.dtype == relu_backward(dout, cache).dtype == np.float32


def test_backward_twice_is_the_same():
    out, cache = affine_forward([[1.0, 2.0]], [[1.0], [2.0]], [0.0])
    first = [a.copy() for a in affine_backward([[1.0]], cache)]
    affine_backward([[5.0]], cache)
    for one, two in zip(first, affine_backward([[1.0]], cache), strict=True):
        assert np.array_equal(one, two)
    assert out.tolist() == [[5.0]]


def test_no_rows():
    out, cache = affine_forward(np.zeros((0, 2)), np.zeros((2, 3)), np.zeros(3))
    assert out.shape == (0, 3)
    dx, dw, db = affine_backward(np.zeros((0, 3)), cache)
    assert (dx.shape, dw.any(), db.any()) == ((0, 2), False, False)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: affine_forward(np.ones((2, 3)), np.ones((4, 5)), np.ones(5)),
            errors.ShapeError,
            r"\(2, 3\), \(4, 5\)",
        ),
        (lambda: affine_forward(np.ones((2, 3)), np.ones((3, 5)), np.ones(3)), errors.ShapeError, "do not fit"),
        (lambda: affine_forward(np.ones((2, 3)), np.ones(3), np.ones(3)), errors.ShapeError, "do not fit"),
        (lambda: affine_forward([["a"]], [[1.0]], [1.0]), errors.InputTypeError, "x has dtype"),
        (
            lambda: affine_backward(np.ones((1, 2)), affine_forward([[1.0]], [[1.0]], [1.0])[1]),
            errors.ShapeError,
            "dout",
        ),
        (lambda: softmax_loss([[1.0, 2.0]], [2]), errors.DataError, "no class 2"),
        (lambda: hinge_loss([[1.0, 2.0]], [0.0]), errors.InputTypeError, "integers"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_relu_backward_of_another_shape():
    _, cache = relu_forward(np.ones((2, 3)))
    with pytest.raises(errors.ShapeError, match="dout"):
        relu_backward(np.ones((3, 2)), cache)
    with pytest.raises(errors.ShapeError, match="dout"):
        relu_backward(np.ones(5), cache)


def test_not_a_number_passes():
    out, _ = relu_forward([np.nan, -np.inf, np.inf])
    np.testing.assert_array_equal(out, [np.nan, 0, np.inf])
