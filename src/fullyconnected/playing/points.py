"""The points of the classics: a function for each kind, of uniform and of normal numbers.

These functions stand alone, since a script that repeats a run has their source.
"""

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = ["KINDS", "REACH", "class_of", "normal", "square"]

REACH = 2.0  # coordinates are from -2 to 2


def normal(u: Array) -> Array:
    """Return two normal numbers for each row, of its last two uniform ones. Source: Box and Muller 1958."""
    r, a = np.sqrt(-2 * np.log(1 - u[:, 2])), 2 * np.pi * u[:, 3]
    return np.column_stack([r * np.cos(a), r * np.sin(a)])


def square(u: Array) -> Array:
    """Return points that fill the square evenly."""
    return 2 * REACH * u[:, :2] - REACH


def class_of(u: Array, classes: int) -> Array:
    """Return the classes, which take turns."""
    return np.arange(len(u)) % classes


def xor(u: Array, n: Array, noise: float, classes: int) -> tuple[Array, Array]:
    """Two classes in opposite quarters, away from the axes."""
    x = square(u)
    x += 0.1 * np.where(x < 0, -1.0, 1.0)
    return x + noise * n, (x[:, 0] * x[:, 1] < 0).astype(np.float64)


def circles(u: Array, n: Array, noise: float, classes: int) -> tuple[Array, Array]:
    """A disc inside a ring."""
    c, a = class_of(u, 2), 2 * np.pi * u[:, 0]
    radius = np.where(c == 0, 0.9 * np.sqrt(u[:, 1]), 1.4 + 0.6 * u[:, 1])
    return radius[:, None] * np.column_stack([np.cos(a), np.sin(a)]) + noise * n, c.astype(np.float64)


def spirals(u: Array, n: Array, noise: float, classes: int) -> tuple[Array, Array]:
    """Arms that wind round each other."""
    c, s = class_of(u, classes), 0.05 + 0.95 * u[:, 0]
    a = 3.5 * np.pi * s + 2 * np.pi * c / classes
    return 2 * s[:, None] * np.column_stack([np.sin(a), np.cos(a)]) + 0.3 * noise * n, c.astype(np.float64)


def moons(u: Array, n: Array, noise: float, classes: int) -> tuple[Array, Array]:
    """Two half moons that interlock."""
    c, a = class_of(u, 2), np.pi * u[:, 0]
    x1 = np.where(c == 0, np.cos(a) - 0.5, 0.5 - np.cos(a))
    x2 = np.where(c == 0, np.sin(a) - 0.25, 0.25 - np.sin(a))
    return 1.3 * np.column_stack([x1, x2]) + noise * n, c.astype(np.float64)


def blobs(u: Array, n: Array, noise: float, classes: int) -> tuple[Array, Array]:
    """A round cloud for each class."""
    c = class_of(u, classes)
    a = 2 * np.pi * c / classes
    return 1.3 * np.column_stack([np.cos(a), np.sin(a)]) + (0.2 + noise) * n, c.astype(np.float64)


def plane(u: Array, n: Array, noise: float, classes: int) -> tuple[Array, Array]:
    """Numbers that rise evenly."""
    x = square(u)
    return x, (x[:, 0] + x[:, 1]) / 2 + noise * n[:, 0]


def hills(u: Array, n: Array, noise: float, classes: int) -> tuple[Array, Array]:
    """Numbers with a hill and a valley."""
    x = square(u)
    hill, valley = ((x - 1) ** 2).sum(axis=1), ((x + 1) ** 2).sum(axis=1)
    return x, np.exp(-hill) - np.exp(-valley) + noise * n[:, 0]


KINDS = {each.__name__: each for each in (xor, circles, spirals, moons, blobs, plane, hills)}
