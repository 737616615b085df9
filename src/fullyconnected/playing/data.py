"""The points of the playground: the classics, a formula, or drawn by hand; and what the network is given of them.

A draw is a function of the data seed and its purpose, as everywhere in the library: the same setup has the same points,
and more points begin with those that fewer have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.randomness import generator
from fullyconnected.errors import ConfigError
from fullyconnected.playing import formula, points
from fullyconnected.playing.setup import Setup, task_of

__all__ = ["DATA", "FEATURES", "SPLIT", "Dataset", "drawn", "made", "require_variety", "split"]

DATA, SPLIT = 16, 17  # purposes of draws, beside those of core/randomness.py
MARGIN = 1.2  # by which the picture is larger than what the points cover

# what the network can be given of a point, by the names in the knob
FEATURES: dict[str, Callable[[Array, Array], Array]] = {
    "x1": lambda x1, _: x1,
    "x2": lambda _, x2: x2,
    "x1^2": lambda x1, _: x1 * x1,
    "x2^2": lambda _, x2: x2 * x2,
    "x1*x2": lambda x1, x2: x1 * x2,
    "sin(x1)": lambda x1, _: np.sin(x1),
    "sin(x2)": lambda _, x2: np.sin(x2),
}


class Dataset(NamedTuple):
    """The rows of a setup: where they are in the picture, what the network is given of them, and what it is to say.

    ``inputs`` turns places in the picture into rows for the network: those of the background, for instance.
    """

    x: Array  # (rows, 2): the places in the picture
    rows: Array  # (rows, n_in): what the network is given
    t: Array  # (rows,): numbers of classes, or numbers
    test: Array  # (rows,): whether a row is for testing
    task: str
    classes: tuple[str, ...] | None
    names: tuple[str, str]
    target: str
    input_names: tuple[str, ...]
    inputs: Callable[[Array], Array]
    domain: tuple[float, float, float, float]
    says: str | None = None

    @property
    def n_outputs(self) -> int:
        """How many classes there are, or 1 for numbers."""
        return len(self.classes) if self.classes is not None else 1

    def training(self) -> tuple[Array, Array]:
        """Return the rows that are trained on, and their targets."""
        return self.rows[~self.test], self.t[~self.test]

    def testing(self) -> tuple[Array, Array]:
        """Return the rows for testing, and their targets."""
        return self.rows[self.test], self.t[self.test]

    def range(self) -> tuple[float, float]:
        """Return the least and the largest number among the targets, a little apart if they are the same."""
        low, high = float(self.t.min()), float(self.t.max())
        return (low, high) if low < high else (low - 1.0, high + 1.0)


class HasRows(Protocol):
    """A table, which makes the rows of a setup."""

    def dataset(self, setup: Setup) -> Dataset:
        """Return the rows that the setup asks for."""
        ...


def made(setup: Setup, table: HasRows | None = None) -> Dataset:
    """Return the rows of a setup; ``table`` is the user's own, for ``data="table"``.

    Raises
    ------
    ConfigError, UnknownNameError, DataError
        For a formula without a value at some point, a table that is not there, and columns that it does not have.
    """
    if setup.data == "table":
        if table is None:
            raise ConfigError("data: there is no table; open the playground with one: fullyconnected playground t.csv")
        return table.dataset(setup)
    x, t = drawn(setup)
    test = split(len(x), setup)
    task = task_of(setup)
    assert task is not None
    if task == "regression":
        require_variety(t, test)
    if task == "classification":
        classes = tuple(map(str, range(max(2, int(t.max()) + 1))))
        t = t.astype(np.int64)
    else:
        classes = None
    reach = max(points.REACH, float(np.abs(x).max())) * MARGIN
    if setup.data != "points":
        reach = points.REACH * MARGIN  # which noise does not change, so that pictures can be compared

    def inputs(at: Array) -> Array:
        return np.column_stack([FEATURES[name](at[:, 0], at[:, 1]) for name in setup.features])

    return Dataset(
        x, inputs(x), t, test, task, classes, ("x1", "x2"), "class" if classes else "t", setup.features, inputs,
        (-reach, reach, -reach, reach),
    )  # fmt: skip


def require_variety(t: Array, test: Array) -> None:
    """Raise if R2 is not defined: it compares the errors with how the numbers vary."""
    for which, given in {"test": t[test], "training": t[~test]}.items():
        if len(given) and given.min() == given.max():
            raise ConfigError(
                f"test_share: the target is {given[0]:.4g} in {'the one' if len(given) == 1 else f'all {len(given)}'} "
                f"{which} row{'s' * (len(given) > 1)}, and R2 needs numbers that differ; take more rows, "
                f"or another share or data seed"
            )


def split(rows: int, setup: Setup) -> Array:
    """Return which rows are for testing: a share of them, drawn by the data seed; one row or more is left to train."""
    n_test = min(int(setup.test_share * rows + 0.5), rows - 1)
    test = np.zeros(rows, bool)
    test[generator(setup.data_seed, SPLIT).permutation(rows)[:n_test]] = True
    return test


def drawn(setup: Setup) -> tuple[Array, Array]:
    """Return the points of the classics, of a formula, or those drawn by hand, and their targets, in float64."""
    if setup.data == "points":
        given = np.array(setup.points, np.float64)
        return given[:, :2].copy(), given[:, 2].copy()
    u = generator(setup.data_seed, DATA).random((setup.rows, 4))
    n = points.normal(u)
    if setup.data == "formula":
        return _by_formula(setup, u, n)
    return points.KINDS[setup.data](u, n, setup.noise, setup.classes)


def _by_formula(setup: Setup, u: Array, n: Array) -> tuple[Array, Array]:
    x = points.square(u)
    v = formula.values(setup.formula, x[:, 0], x[:, 1])
    if not np.isfinite(v).all():
        x1, x2 = x[np.flatnonzero(~np.isfinite(v))[0]]
        raise ConfigError(
            f"formula: {setup.formula!r} has no finite value at x1 = {x1:.3g}, x2 = {x2:.3g}; it is needed for "
            f"all from -{points.REACH:g} to {points.REACH:g}"
        )
    if setup.task == "regression":
        return x, v + setup.noise * n[:, 0]
    return x + setup.noise * n, (v > 0).astype(np.float64)
