"""A run in which the best epoch of each member is the one with the best score of predictions for held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fullyconnected.base import Link
from fullyconnected.core.arrays import Array
from fullyconnected.tabular.held_out import HeldOutRun, Said

__all__ = ["Score", "ScoredRun", "of_held_out"]

# from predictions (some rows, outputs) and the indices of these rows to a number, of which more is better
Score = Callable[[Array, Array], float]
TIE = 1e-9  # what the loss may change of a score, which decides between epochs with the same score


class ScoredRun(HeldOutRun):
    """A run of packed members, whose epochs are judged by a score in place of the loss.

    A member is judged by the rows that are held out from the others and not from itself, as the members predict them
    from which they are held out. Where all hold out the same rows, it is judged by these, as it predicts them itself.
    So there is a call of the score in an epoch for each part, or for each member. Of epochs with the same score, that
    with the smallest loss is the best.

    Parameters
    ----------
    given
        What a :class:`~fullyconnected.training.run.Run` takes.
    score : callable (predictions, rows) -> float
    held : array (rows, members) of bool
        Which rows are held out from which members.
    meant : callable
        What mean outputs of members, as the loss means them, stand for: (rows, outputs), for the rows held out.
    """

    def __init__(self, *given: Any, score: Score, held: Array, meant: Callable[[Array], Array]) -> None:
        self.score, self.held, self.meant = score, held, meant
        super().__init__(*given)

    def judged_by(self, losses: Array, said: Sequence[Said]) -> Array:
        scores, judged = self._scores(said), super().judged_by(losses, said)
        with np.errstate(invalid="ignore"):
            share = np.nan_to_num(judged / (1 + np.abs(judged)), nan=1.0)  # at most 1
        return -scores + TIE * np.maximum(1, np.abs(scores)) * share

    def _scores(self, said: Sequence[Said]) -> Array:
        """Return the score of each member, from what all say of the rows held out from them."""
        rows, link = np.flatnonzero(self.held.any(axis=1)), self.data.loss.link
        held = self.held[rows]
        parts, of_member = np.unique(held, axis=1, return_inverse=True)
        if parts.shape[1] == 1:
            return np.array(
                [self.score(self.meant(link.predictions(each.z.astype(np.float64))), rows) for each in said]
            )
        meant = self.meant(of_held_out(said, len(self.held), link)[rows])
        scores = np.array([self.score(meant[~part], rows[~part]) for part in parts.T])
        return scores[of_member.ravel()]


def of_held_out(said: Sequence[Said], n_rows: int, link: Link) -> Array:
    """Return the mean prediction for each row of the members from which it is held out: (rows, outputs), in float64.

    Rows that are held out from none have NaN.
    """
    total, count = np.zeros((n_rows, said[0].z.shape[1])), np.zeros((n_rows, 1))
    for rows, z in said:
        total[rows] += link.predictions(z.astype(np.float64))
        count[rows] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)
