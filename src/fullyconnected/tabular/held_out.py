"""A run of packed members that evaluates each by the rows held out from it, and computes no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.mapped import is_mapped
from fullyconnected.program.data import Data
from fullyconnected.program.evaluation import Evaluation, mean_loss
from fullyconnected.program.sources import ArraySource, Chosen, Source
from fullyconnected.tabular.alone import Alone
from fullyconnected.training import members, together
from fullyconnected.training.run import Run

__all__ = ["HeldOutRun", "Said"]


class Said(NamedTuple):
    """What a member says of the rows held out from it: their numbers, and outputs (rows, n_out)."""

    rows: Array
    z: Array


class HeldOutRun(Run):
    """A run of packed members, whose validation loss is the mean of what each loses on the rows held out from it.

    The validation rows count for a member by weights (rows, members); those with a weight of 0 are not computed for it.
    Where each row is held out from one of k members, that is 1 / k of what evaluating all members takes.
    """

    _alone: Alone | None = None
    _parts: tuple[tuple[Array, Source], ...] = ()

    def evaluate_members(self, data: Data) -> tuple[Evaluation, Array]:
        said = self.said(data)
        weights = self.weights(data)
        of_rows = [weights[rows, m] for m, (rows, _) in enumerate(said)]

        def judge() -> tuple[Evaluation, Array]:
            losses = np.array(
                [mean_loss(each.z, data.t[each.rows], w, data.loss) for each, w in zip(said, of_rows, strict=True)]
            )
            total = np.array([w.sum() for w in of_rows])
            return Evaluation(float(losses @ total / total.sum()), {}), self.judged_by(losses, said)

        found: tuple[Evaluation, Array] = together.decided(self.comm, judge)
        return found

    def judged_by(self, losses: Array, said: Sequence[Said]) -> Array:
        """Return what the epochs of each member are judged by, of which less is better."""
        return members.judged_by(self.settings.best_per_member, losses)

    def said(self, data: Data) -> list[Said]:
        """Return what each member says now; processes that train together take turns at the members."""
        settings, net, comm = self.settings, self.judged, self.comm
        if self._alone is None:
            self._alone, weights = Alone(net), self.weights(data)
            rows = [np.flatnonzero(weights[:, m]) for m in range(weights.shape[1])]
            self._parts = tuple((each, _some(data.x, each)) for each in rows)
        self._alone.take(net.theta)
        every = np.zeros((sum(len(rows) for rows, _ in self._parts), net.n_out), net.dtype)
        parts = np.split(every, np.cumsum([len(rows) for rows, _ in self._parts])[:-1])
        for m, ((_, x), one, z) in enumerate(zip(self._parts, self._alone.nets, parts, strict=True)):
            if m % comm.size == comm.rank:
                z[...] = one.outputs_checked(x, settings.engine, settings.n_threads)
        comm.sum(every.reshape(-1))
        return [Said(rows, z) for (rows, _), z in zip(self._parts, parts, strict=True)]

    @staticmethod
    def weights(data: Data) -> Array:
        """Return the weights of the rows for each member."""
        assert data.weights is not None
        return data.weights


def _some(x: Source, rows: Array) -> Source:
    """Return some rows: a copy, or of an array in a file what reads them from there."""
    return Chosen(x, rows) if isinstance(x, ArraySource) and is_mapped(x.array) else x.part(rows, x.dtype)
