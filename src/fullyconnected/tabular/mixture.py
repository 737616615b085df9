"""How much each of several models counts, and how sure they are together: by predictions of rows held out from them."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = ["LEAST", "log_loss", "of_two", "shares_of_numbers", "shares_of_probabilities", "sharpened", "temperature_of"]

LEAST = 1e-7  # the smallest probability that a logarithm is taken of
ROUNDS = 500
ENOUGH = 1e-6  # a change of the shares that ends their search
EQUAL = 20.0  # rows, as it were, that speak for equal shares: few rows held out say little of which model is better
RANGE = 4.0  # a temperature is from 1 / 4 to 4


def shares_of_probabilities(of_target: Array, w: Array) -> Array:
    r"""Return the shares of a mixture that make the targets most probable: they are 0 or more, and their sum is 1.

    The probability of a target is ``sum_j a_j p_j``. Equal shares are the more probable ones beforehand, by a Dirichlet
    distribution that counts as ``c = 20`` rows do. Each round sets ``a_j`` to ``(n m_j + c / k) / (n + c)``, where
    ``m_j`` is the mean of ``a_j p_j / sum_i a_i p_i`` over the rows, k the number of models, and n that of the rows, or
    ``sum(w)^2 / sum(w^2)``; it never makes that less probable.

    Parameters
    ----------
    of_target : array (models, rows)
        What each model says of each row's target: its probability.
    w : array (rows,)
        Weights of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> for rows in 1, 20, 2000:
    ...     p = np.array([[0.9] * rows, [0.2] * rows])
    ...     print(shares_of_probabilities(p, np.ones(rows)).round(1).tolist())
    [0.5, 0.5]
    [0.7, 0.3]
    [1.0, 0.0]

    Source: Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", 1977, section
    4.3, and section 3 for the distribution beforehand.
    """
    p = np.maximum(of_target, LEAST)
    a = equal = np.full(len(p), 1 / len(p))
    rows = w.sum() ** 2 / (w**2).sum()
    for _ in range(ROUNDS):
        part = a[:, None] * p
        found = np.average(part / part.sum(axis=0), axis=1, weights=w)
        new = (rows * found + EQUAL * equal) / (rows + EQUAL)
        done, a = np.abs(new - a).max() < ENOUGH, new
        if done:
            break
    return a / a.sum()


def shares_of_numbers(predicted: Array, t: Array, w: Array) -> Array:
    """Return the shares with which the mean of several predictions has the least squared error.

    The shares are 0 or more, and their sum is 1. With ``e_j = predicted_j - t``, the squared error is ``a' E a`` for
    ``E_ij = mean(e_i e_j)``; of all subsets of models, the one is taken whose least is the smallest, and the smaller
    subset of two that are as good.

    Parameters
    ----------
    predicted : array (models, rows, outputs)
    t : array (rows, outputs)
        Each output counts by its own spread.
    w : array (rows,)
        Weights of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.zeros((4, 1))
    >>> off = np.array([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])[:, :, None]
    >>> shares_of_numbers(off, t + [[1.0], [0.0], [0.0], [-1.0]], np.ones(4)).round(3).tolist()
    [0.5, 0.5]
    """
    spread = np.sqrt(np.average((t - np.average(t, axis=0, weights=w)) ** 2, axis=0, weights=w))
    e = (predicted - t) / np.where(spread > 0, spread, 1.0)
    E = np.einsum("iro,jro,r->ij", e, e, w / w.sum())
    best, least = np.full(len(e), 1 / len(e)), np.inf
    for size in range(1, len(e) + 1):
        for some in combinations(range(len(e)), size):
            part = E[np.ix_(some, some)]
            # E may be singular: models may say the same, or be right
            a = np.linalg.lstsq(part + 1e-12 * np.trace(part) * np.eye(size), np.ones(size), rcond=None)[0]
            if not a.sum() > 0 or (a := a / a.sum()).min() < 0:
                continue
            if (value := float(a @ part @ a)) < least * (1 - 1e-9):
                best, least = np.zeros(len(e)), value
                best[list(some)] = a
    return best


def of_two(p: Array) -> Array:
    """Return probabilities of labels (rows, labels) as those of two classes each (rows labels, 2): absent, present.

    >>> import numpy as np
    >>> of_two(np.array([[0.25, 0.5]])).tolist()
    [[0.75, 0.25], [0.5, 0.5]]
    """
    flat = p.ravel()
    return np.stack([1 - flat, flat], axis=1)


def sharpened(p: Array, temperature: float) -> Array:
    """Return probabilities (rows, classes) at a temperature: ``p^(1/T)``, divided by its sum over the classes."""
    if temperature == 1.0:
        return p
    q = np.maximum(p, LEAST) ** (1 / temperature)  # from 1e-28 on, since T is 1 / 4 or more
    return q / q.sum(axis=1, keepdims=True)


def log_loss(p: Array, codes: Array, w: Array) -> float:
    """Return the weighted mean of ``-log`` of the probabilities of the classes."""
    return float(np.average(-np.log(np.maximum(p[np.arange(len(p)), codes], LEAST)), weights=w))


def temperature_of(p: Array, codes: Array, w: Array) -> float:
    """Return the temperature at which probabilities have the least log-loss: above 1 if they were too sure.

    The log-loss is a convex function of 1 / T, so that a golden-section search finds its least.

    Parameters
    ----------
    p : array (rows, classes)
        Probabilities of rows that the model has not learned from.
    codes : array (rows,)
        Their classes.
    w : array (rows,)
        Weights of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.array([[0.9, 0.1]] * 4)
    >>> round(temperature_of(p, np.array([0, 0, 0, 1]), np.ones(4)), 3)  # nine tenths sure, three quarters right
    2.0

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    ratio = (5**0.5 - 1) / 2

    def loss(inverse: float) -> float:
        return log_loss(sharpened(p, 1 / inverse), codes, w)

    low, high = 1 / RANGE, RANGE
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-4:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return 2 / (low + high)
