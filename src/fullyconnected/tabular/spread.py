"""How far members of an ensemble are apart, by which one of them is worse than all together."""

from __future__ import annotations

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.tabular.ensemble import Ensemble
from fullyconnected.tabular.folds import Split

__all__ = ["excess_error"]

ROWS = 2000  # that are looked at, at most


def excess_error(ensemble: Ensemble, x: Array, w: Array, split: Split, n_threads: int | None = None) -> Array:
    r"""Return the root of what squared errors of held-out predictions have more than those of the ensemble (outputs,).

    A row is predicted out of fold by k of K members, and a new row by all K. If single members differ from their mean
    with the variance v, the squared errors differ by ``v (1 / k - 1 / K)``. v is taken from the members that have
    learned from the row, which are at least as close to one another as for a new row: so it is rather too small.

    Source: Krogh and Vedelsby, "Neural network ensembles, cross validation, and active learning", NIPS 1994.
    """
    rows = np.flatnonzero(split.judged & (split.learned.sum(axis=1) > 1))
    rows = rows[:: -(-len(rows) // ROWS) or 1]
    outputs = int(ensemble.networks[0].n_out or 0)
    if not len(rows):
        return np.zeros(outputs)
    learned, members = split.learned[rows], split.held.shape[1]
    mixed = np.zeros((len(rows) * members, outputs))
    for i, net in enumerate(ensemble.networks):
        z = net.predict(x[rows], members=True, n_threads=n_threads)
        mixed += ensemble.shares[i] * ensemble.said(i, z.reshape(-1, outputs).astype(np.float64))
    scale = 1.0 if ensemble.unit is None else ensemble.unit.scale  # squares of large numbers would be infinite
    values = ensemble.finished(mixed).reshape(len(rows), members, outputs) / scale
    count = learned.sum(axis=1)[:, None]
    mean = np.einsum("rm,rmo->ro", learned, values) / count
    v = np.einsum("rm,rmo->ro", learned, (values - mean[:, None]) ** 2) / (count - 1)
    fewer = 1 / split.held[rows].sum(axis=1) - 1 / members
    return np.sqrt(np.average(v * fewer[:, None], axis=0, weights=w[rows])) * scale
