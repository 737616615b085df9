"""The test vector of a file that leaves: rows, and what is predicted for them, by which a receiver proves the file."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.graph import Graph
from fullyconnected.network import Network

__all__ = ["TOLERANCE", "Vector", "rows_for"]

TOLERANCE = 1e-5  # of the size of the results: what float32 may lose
ROWS = 4


class Vector(NamedTuple):
    """Rows (rows, n_in) and their results (rows, n_out), in float32.

    A result may differ by :data:`TOLERANCE` times the largest of its row, or by that of 1 if all are smaller.
    """

    x: Array
    y: Array

    @classmethod
    def of(cls, x: Array, y: Array, graph: Graph) -> Vector:
        """Return the vector of rows and results; raise if the formulas of a graph give other results."""
        made = cls(x, y.astype(np.float32))
        made.require(graph.predict(x), "what was to be written")
        return made

    def require(self, found: Array, what: str) -> None:
        """Raise if results differ, and say where first."""
        if found.shape != self.y.shape:
            raise ConfigError(f"{what} gives results of the shape {found.shape}; the network {self.y.shape}")
        allowed = TOLERANCE * np.maximum(1, np.abs(self.y).max(axis=1, initial=0.0, keepdims=True))
        wrong = ~np.isclose(found, self.y, rtol=0, atol=allowed, equal_nan=True)
        if wrong.any():
            row, column = map(int, np.argwhere(wrong)[0])
            raise ConfigError(
                f"{what} does not reproduce the network, so that nothing was written: for row {row} of the test "
                f"vector, result {column} is {float(found[row, column])!r}, and the network's "
                f"{float(self.y[row, column])!r}"
            )


def rows_for(net: Network) -> Array:
    """Return rows around what the layers that read them expect: codes, numbers near the mean, and gaps."""
    random = np.random.default_rng(0)
    x = (normal := random.normal(size=(ROWS, int(net.n_in or 0)))).copy()
    for layer, columns in net.program.raw_columns:
        part: Any = layer
        if levels := getattr(part, "levels", 0):
            x[:, columns] = random.integers(-1, levels, x[:, columns].shape)
        elif getattr(part, "scale", None) is not None and getattr(part, "mean", None) is not None:
            x[:, columns] = np.asarray(part.mean) + np.asarray(part.scale) * normal[:, columns]
            if getattr(part, "missing", False):
                x[0, columns] = np.nan
    return x.astype(np.float32)
