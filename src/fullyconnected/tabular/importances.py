"""How much each column of a table matters: what predictions for held-out rows lose when its cells are shuffled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.tables.encoders import Feature
from fullyconnected.tabular.alone import Alone
from fullyconnected.tabular.scores import losses_of
from fullyconnected.tabular.training import Trained

__all__ = ["importances"]

SHARE = 0.02  # of the work of the training that all shuffles together may take, about
ENOUGH = 200  # rows that are shuffled even if that takes more
MOST = 20_000  # rows, repeats included, beyond which nothing more is told
REPEATS = 5


def importances(
    trained: Trained,
    x: Array,
    t: Array,
    w: Array,
    features: Sequence[Feature],
    columns: Sequence[str],
    *,
    seed: int = 0,
    n_threads: int | None = None,
) -> Array:
    r"""Return by how much the loss of predictions for held-out rows grows when the cells of a column are shuffled.

    For each column, ``mean(loss(t, f(shuffled x)) - loss(t, f(x)))`` over held-out rows, where f is made of the members
    alone that have not learned from the row. The loss is the log-loss of classes or of labels; of numbers, the squared
    error in shares of their variance, so that it is what R2 loses. All columns of x that are made of the same column
    of the table are shuffled together. A column that says nothing has a number near 0, which may be below it; one that
    no network reads has 0.

    Parameters
    ----------
    trained : Trained
        An ensemble, and the rows that its members have not learned from.
    x, t, w : array
        The rows that it was trained with, their targets and weights.
    features : sequence of Feature
        What each column of x is.
    columns : sequence of str
        The names of the columns of the table.
    seed : int
        Seed of the rows that are taken, where all are too many, and of the shuffles.
    n_threads : int, optional
        As :func:`fullyconnected.fit` takes it.

    Returns
    -------
    array (columns,)

    Source: Breiman, "Random forests", Machine Learning 45, 2001, section 10; Fisher, Rudin and Dominici, "All models
    are wrong, but many are useful", JMLR 20, 2019.
    """
    random = np.random.default_rng((seed, 1))
    places: dict[str, list[int]] = {}
    for i, feature in enumerate(features):
        places.setdefault(feature.source, []).append(i)
    held = trained.split.held
    rows = np.flatnonzero(trained.split.judged)
    # a step of training is a pass forward and about two back, for each member; a shuffle is one pass of one member
    steps = max(len(history.loss) for history in trained.histories) * held.shape[1] * 3 * len(x)
    passes = max(1, len(places)) * held[rows].sum(axis=1).mean()
    budget = min(MOST, max(ENOUGH, int(SHARE * steps / passes)))
    if len(rows) > budget:
        rows = np.sort(random.choice(rows, budget, replace=False))
    x, t, w = x[rows], t[rows], w[rows]
    ensemble, of = trained.ensemble, _HeldOut(trained, rows, n_threads)

    def losses(x: Array) -> Array:
        return losses_of(of.predict(x), t, ensemble.task, ensemble.unit)

    before, found = losses(x), np.zeros(len(columns))
    repeats = int(np.clip(budget // len(rows), 1, REPEATS))
    for name, of_column in places.items():
        grown = [losses(_shuffled(x, of_column, random)) - before for _ in range(repeats)]
        found[columns.index(name)] = np.average(np.mean(grown, axis=0), weights=w)
    return found


class _HeldOut:
    """What an ensemble predicts for rows by those of its members alone that have not learned from them."""

    def __init__(self, trained: Trained, rows: Array, n_threads: int | None) -> None:
        self.ensemble, self.n_threads = trained.ensemble, n_threads
        held = trained.split.held[rows]
        self.counts = held.sum(axis=1, keepdims=True)
        self.members = [
            (i, net, np.flatnonzero(held[:, m]))
            for i, whole in enumerate(self.ensemble.networks)
            for m, net in enumerate(Alone(whole).nets)
            if held[:, m].any()
        ]

    def predict(self, x: Array) -> Array:
        ensemble = self.ensemble
        total = np.zeros((len(x), ensemble.networks[0].n_out))
        for i, net, rows in self.members:
            z = net.predict(x[rows], n_threads=self.n_threads).astype(np.float64)
            total[rows] += ensemble.shares[i] * ensemble.said(i, z)
        return ensemble.finished(total / self.counts)


def _shuffled(x: Array, columns: list[int], random: np.random.Generator) -> Array:
    """Return rows in which some columns, together, are those of other rows."""
    x = x.copy()
    x[:, columns] = x[random.permutation(len(x))][:, columns]
    return x
