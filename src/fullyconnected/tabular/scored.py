"""A run in which the best epoch of each member is the one with the best score of predictions for held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fullyconnected.base import Link
from fullyconnected.core.arrays import Array
from fullyconnected.network import Evaluation, member_losses
from fullyconnected.program.data import Data
from fullyconnected.training import members
from fullyconnected.training.run import Run

__all__ = ["Score", "ScoredRun", "of_held_out"]

# from predictions (some rows, outputs) and the indices of these rows to a number, of which more is better
Score = Callable[[Array, Array], float]
TIE = 1e-9  # what the loss may change of a score, which decides between epochs with the same score


class ScoredRun(Run):
    """A run of packed members, whose epochs are judged by a score in place of the loss.

    A member is judged by the rows that are held out from the others and not from itself, as the members predict them
    from which they are held out. Where all hold out the same rows, it is judged by these, as it predicts them itself.
    So there is a call of the score in an epoch for each part, or for each member. Of epochs with the same score, that
    with the smallest loss is the best.

    Parameters
    ----------
    given
        What a :class:`Run` takes.
    score : callable (predictions, rows) -> float
    held : array (rows, members) of bool
        Which rows are held out from which members.
    meant : callable
        What mean outputs of members, as the loss means them, stand for: (rows, outputs), for the rows held out.
    """

    def __init__(self, *given: Any, score: Score, held: Array, meant: Callable[[Array], Array]) -> None:
        self.score, self.held, self.meant = score, held, meant
        super().__init__(*given)

    def evaluate_members(self, data: Data) -> tuple[Evaluation, Array]:
        settings = self.settings

        def judge(z: Array, data: Data) -> Array:
            scores, losses = self._scores(z), members.judged_by(settings.best_per_member, member_losses(z, data))
            with np.errstate(invalid="ignore"):
                share = np.nan_to_num(losses / (1 + np.abs(losses)), nan=1.0)  # at most 1
            return -scores + TIE * np.maximum(1, np.abs(scores)) * share

        return self.judged.evaluate_members(data, self.metrics, settings.engine, settings.n_threads, judge)

    def _scores(self, z: Array) -> Array:
        """Return the score of each member, from the outputs of all (rows, members, n_out)."""
        rows = np.flatnonzero(self.held.any(axis=1))
        held, z, link = self.held[rows], z[rows], self.data.loss.link
        parts, of_member = np.unique(held, axis=1, return_inverse=True)
        if parts.shape[1] == 1:
            alone = [of_held_out(z[:, [m]], held[:, [m]], link) for m in range(z.shape[1])]
            return np.array([self.score(self.meant(said), rows) for said in alone])
        said = self.meant(of_held_out(z, held, link))
        scores = np.array([self.score(said[~part], rows[~part]) for part in parts.T])
        return scores[of_member.ravel()]


def of_held_out(z: Array, held: Array, link: Link) -> Array:
    """Return the mean prediction for each row of the members from which it is held out: (rows, outputs), in float64.

    ``z`` are the outputs of all members (rows, members, outputs); each row is held out from one or more.
    """
    z = z.astype(np.float64)
    total = np.zeros((len(z), z.shape[2]))
    for m in range(z.shape[1]):
        rows = np.flatnonzero(held[:, m])
        total[rows] += link.predictions(z[rows, m])
    return total / held.sum(axis=1, keepdims=True)
