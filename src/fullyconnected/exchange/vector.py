"""The test vector of a file that leaves: rows, and what is predicted for them, by which a receiver proves the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.graph import Graph, graph_of
from fullyconnected.exchange.programs.exact import distances, inexact
from fullyconnected.network import Network

__all__ = ["Vector", "require_reproduced", "rows_for"]

TOLERANCE = 1e-5  # of the largest number of a result
LOST = 10  # times what float32 loses, which may be more in a network that is saturated
MOST = 0.01  # of the largest number of all results: what float32 loses may not be more
LEAST = 1e-12  # of the same: what may be 0 where it is so small beside the others
ROWS = 8
CANDIDATES = 1000  # rows of data, among which those of the test vector are
SURE, NEAR = 1e-2, 2e-4  # parts of the step to the next integer: from SURE on, all rows are as good; below NEAR none is


class Vector(NamedTuple):
    """Rows (rows, n_in) and their results (rows, n_out), in float32.

    Each result may differ by its own number of ``allowed`` (n_out,), since targets may have different units: by 1e-5
    of the largest number that it has, or by ten times what float32 loses of it in this model.
    """

    x: Array
    y: Array
    allowed: Array

    @classmethod
    def of(cls, x: Array, y: Array, graph: Graph) -> Vector:
        """Return the vector of rows and results; raise if the formulas of a graph give other results."""
        with np.errstate(over="ignore"):
            y = y.astype(np.float32)
        if not np.isfinite(y).all():
            raise ConfigError(
                "the results for rows such as those of the training are not finite in float32, in which a model "
                "leaves: they overflow, or a weight is not finite"
            )
        exact = graph.in_double(x)
        made = cls(x, y, _allowed(y, exact if np.isfinite(exact).all() else y, TOLERANCE))
        made.require(graph.predict(x), "what was to be written")
        return made

    @classmethod
    def of_integers(cls, x: Array, graph: Graph) -> Vector:
        """Return the vector of some rows of x, with the results of a graph that has integers.

        They are the first rows, unless the functions of a machine decide about an integer: then those rows on which
        it comes least near to another. Results that are exact may not differ at all, others by some units of float32.
        """
        x = x[:CANDIDATES]
        away = distances(graph, x)
        rows = np.sort(np.argsort(-np.minimum(away, SURE), kind="stable")[:ROWS])
        rows = rows[away[rows] >= min(NEAR, away.max())]
        y = graph.predict(x[rows])
        if not np.isfinite(y).all():
            raise ConfigError("the results of int8 are not finite in float32 for a row of data")
        if away[rows].min() < NEAR:
            allowed = 0.1 * np.abs(y).max(axis=0).astype(np.float64)
        elif graph.output in inexact(graph):
            allowed = _allowed(y, graph.in_double(x[rows]), 0.1 * TOLERANCE)
        else:
            allowed = np.zeros(y.shape[1])
        return cls(x[rows], y, allowed)

    def require(self, found: Array, what: str, so: str = "nothing was written") -> None:
        """Raise if results differ, and say where first, and what follows."""
        if found.shape != self.y.shape:
            raise ConfigError(f"{what} gives results of the shape {found.shape}; the network {self.y.shape}")
        wrong = ~(np.abs(found.astype(np.float64) - self.y) <= self.allowed)
        if wrong.any():
            row, column = map(int, np.argwhere(wrong)[0])
            raise ConfigError(
                f"{what} does not reproduce the network, so that {so}: for row {row} of the test vector, result "
                f"{column} is {float(found[row, column])!r}, and the network's {float(self.y[row, column])!r}"
            )


def require_reproduced(net: Network, results: Callable[[Array], Array], what: str) -> None:
    """Raise if what was made of a network gives other results for a few rows, and say where first."""
    x = rows_for(net)
    Vector.of(x, net.predict(x), graph_of(net, net.dtype.name)).require(results(x), what, "it was not made")


def _allowed(y: Array, exact: Array, tolerance: float) -> Array:
    """Return by how much each result may differ, of which ``exact`` has the numbers in double."""
    largest = np.abs(y).max(axis=0).astype(np.float64)
    lost = np.abs(exact - y).max(axis=0)
    most = largest.max()
    found: Array = np.maximum(tolerance * largest, np.minimum(LOST * lost, MOST * most))
    return np.maximum(found, max(LEAST * most, 1e-37))


def rows_for(net: Network, *, unknown: bool = True) -> Array:
    """Return rows around what the layers that read them expect: codes, numbers near the mean, and gaps.

    Without ``unknown``, all codes are those of levels.
    """
    random = np.random.default_rng(0)
    x = (normal := random.normal(size=(ROWS, int(net.n_in or 0)))).copy()
    for layer, columns in net.program.raw_columns:
        part: Any = layer
        if levels := getattr(part, "levels", 0):
            x[:, columns] = random.integers(-unknown, levels, x[:, columns].shape)
        elif getattr(part, "scale", None) is not None and getattr(part, "mean", None) is not None:
            x[:, columns] = np.asarray(part.mean) + np.asarray(part.scale) * normal[:, columns]
            if getattr(part, "missing", False):
                x[0, columns] = np.nan
    return x.astype(np.float32)
