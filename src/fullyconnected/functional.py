"""Layers and losses as functions, in pairs with a cache: ``out, cache = affine_forward(x, w, b)``.

They run the code of the layers and losses. Arrays are float32 or float64 (other numbers become float64), results are
new arrays, and a gradient has the shape of the array that it belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array, Cache, Shape, Views, allocate, bind_buffers
from fullyconnected.core.checks import as_array
from fullyconnected.errors import ShapeError
from fullyconnected.layers import Activation, Dense
from fullyconnected.losses import Hinge, SoftmaxCrossEntropy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["affine_backward", "affine_forward", "hinge_loss", "relu_backward", "relu_forward", "softmax_loss"]


# What forward keeps for backward: the layer, its parameters, its input, its buffers, its output, the shape of x.
Kept = tuple[Layer, Views, Array, Cache, Array, Shape]


def _floats(*arrays: tuple[ArrayLike, str]) -> list[Array]:
    """Return the arrays in C order and in one floating dtype."""
    given = [as_array(a, what) for a, what in arrays]
    dtype = np.result_type(*given)
    dtype = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return [np.asarray(a, dtype, order="C") for a in given]


def _forward(layer: Layer, p: Views, x: Array, shape: Shape) -> tuple[Array, Kept]:
    """Return the output for the rows of x, and what backward needs; ``shape`` is that of the caller's array."""
    wanted = layer.cache(len(x))
    c = bind_buffers(allocate(wanted, x.dtype), wanted, x.dtype)
    y = np.empty((len(x), int(layer.n_out or 0)), x.dtype)
    with np.errstate(all="ignore"):
        layer.forward(p, x, c, y, train=True)
    return y, (layer, p, x, c, y, shape)


def affine_forward(x: ArrayLike, w: ArrayLike, b: ArrayLike) -> tuple[Array, Kept]:
    """Return ``x w + b`` (rows, n_out), and a cache for affine_backward.

    Parameters
    ----------
    x : array (rows, ...)
        Any numbers; flattened to (rows, n_in).
    w : array (n_in, n_out)
        The weights.
    b : array (n_out,)
        The biases.

    Raises
    ------
    ShapeError, InputTypeError
        For arrays that do not fit each other, or are not numbers.

    Examples
    --------
    >>> out, cache = affine_forward([[1.0, 2.0]], [[1.0], [10.0]], [0.5])
    >>> out
    array([[21.5]])
    """
    x, w, b = _floats((x, "x"), (w, "w"), (b, "b"))
    if x.ndim < 1 or w.ndim != 2 or b.shape != w.shape[1:] or x[:1].size not in (w.shape[0], 0):
        raise ShapeError(f"x (rows, ...), w (n_in, n_out) and b (n_out,) do not fit: {x.shape}, {w.shape}, {b.shape}")
    layer, p = Dense(*w.shape), Views({"W": w, "b": b})
    return _forward(layer, p, x.reshape(len(x), w.shape[0]), x.shape)


def affine_backward(dout: ArrayLike, cache: Kept) -> tuple[Array, Array, Array]:
    """Return ``dx, dw, db`` for the gradient ``dout`` of a loss with respect to the output of affine_forward.

    ``dx = dout w'``, ``dw = x' dout``, ``db = 1' dout``, each in the shape of x, w and b.

    Parameters
    ----------
    dout : array (rows, n_out)
        Any numbers.
    cache
        The cache that affine_forward returned.

    Raises
    ------
    ShapeError, InputTypeError
        For a ``dout`` of another shape, or that is not numbers.

    Examples
    --------
    >>> out, cache = affine_forward([[1.0, 2.0]], [[1.0], [10.0]], [0.5])
    >>> affine_backward([[1.0]], cache)
    (array([[ 1., 10.]]), array([[1.],
           [2.]]), array([1.]))
    """
    layer, p, x, c, y, shape = cache
    dy = _like(dout, y)
    g = Views({"W": np.empty_like(p.W), "b": np.empty_like(p.b)})
    dx = np.empty_like(x)
    layer.backward(p, x, c, y, dy, g, dx)
    return dx.reshape(shape), g.W, g.b


def relu_forward(x: ArrayLike) -> tuple[Array, Kept]:
    """Return ``max(x, 0)``, in the shape of x, and a cache for relu_backward.

    Parameters
    ----------
    x : array
        Any numbers, in any shape.

    Raises
    ------
    ShapeError, InputTypeError
        For an x that is not an array of numbers.

    Examples
    --------
    >>> relu_forward([-1.0, 0.0, 2.0])[0]
    array([0., 0., 2.])
    """
    (x,) = _floats((x, "x"))
    layer, p = Activation("relu", n_in=max(x.size, 1)), Views({})
    y, cache = _forward(layer, p, x.reshape(1 if x.size else 0, max(x.size, 1)), x.shape)
    return y.reshape(x.shape), cache


def relu_backward(dout: ArrayLike, cache: Kept) -> Array:
    """Return ``dx``: ``dout`` where x > 0, and 0 where x <= 0.

    Parameters
    ----------
    dout : array
        Any numbers, in the shape of x.
    cache
        The cache that relu_forward returned.

    Raises
    ------
    ShapeError, InputTypeError
        For a ``dout`` of another shape, or that is not numbers.

    Examples
    --------
    >>> out, cache = relu_forward([-1.0, 0.0, 2.0])
    >>> relu_backward([5.0, 5.0, 5.0], cache)
    array([0., 0., 5.])
    """
    layer, p, x, c, y, shape = cache
    dx = np.empty_like(x)
    layer.backward(p, x, c, y, _like(dout, y.reshape(shape)).reshape(y.shape), Views({}), dx)
    return dx.reshape(shape)


def _like(dout: ArrayLike, y: Array) -> Array:
    dy = np.array(as_array(dout, "dout"), y.dtype, order="C")  # a copy: backward may overwrite it
    if dy.shape != y.shape:
        raise ShapeError(f"dout has shape {dy.shape}; forward returned {y.shape}")
    return dy


def softmax_loss(x: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
    """Return the softmax cross-entropy of scores x for classes y, a mean over rows, and its gradient with respect to x.

    ``-log p_y`` in each row, with p = softmax(x), as :class:`fullyconnected.SoftmaxCrossEntropy`.

    Parameters
    ----------
    x : array (rows, classes)
        Scores, any numbers; two classes or more.
    y : array (rows,) of int
        Class numbers, from 0 to classes - 1.

    Raises
    ------
    ShapeError, InputTypeError, DataError
        For scores or class numbers of another shape or kind; for a class that does not exist.

    Examples
    --------
    >>> loss, dx = softmax_loss([[0.0, 0.0]], [1])
    >>> round(loss, 6), dx
    (0.693147, array([[ 0.5, -0.5]]))
    """
    return SoftmaxCrossEntropy()(x, y)


def hinge_loss(x: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
    """Return the multiclass hinge loss of scores x for classes y, a mean over rows, and its gradient with respect to x.

    ``sum_j max(0, x_j - x_y + 1)`` over the wrong classes of each row, as :class:`fullyconnected.Hinge`.

    Parameters
    ----------
    x : array (rows, classes)
        Scores, any numbers; two classes or more.
    y : array (rows,) of int
        Class numbers, from 0 to classes - 1.

    Raises
    ------
    ShapeError, InputTypeError, DataError
        For scores or class numbers of another shape or kind; for a class that does not exist.

    Examples
    --------
    >>> hinge_loss([[1.0, 0.5, -2.0]], [0])
    (0.5, array([[-1.,  1.,  0.]]))
    """
    return Hinge()(x, y)
