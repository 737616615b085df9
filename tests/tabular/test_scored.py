"""The best epoch of each member by a score of predictions for rows held out."""

import numpy as np
import pytest

from fullyconnected.tables.encoders import Feature
from fullyconnected.tabular.folds import HoldOut
from fullyconnected.tabular.mixture import log_loss
from fullyconnected.tabular.recipe import Recipe
from fullyconnected.tabular.tasks import CLASSES, NUMBERS
from fullyconnected.tabular.training import train

QUICK = Recipe(members=3, hidden=(8,), epochs=5, views=("smooth",))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
T = (X[:, 0] > 0).astype(int)
FEATURES = [Feature(f"x{i}", f"x{i}", "number") for i in range(2)]


def trained(score, task=CLASSES, t=T, **settings):
    return train(X, t, FEATURES, task, 2 if task == CLASSES else 1, QUICK, seed=0, n_threads=1, score=score, **settings)


def test_the_log_loss_as_a_score_chooses_as_the_loss_does():
    for hold_out in (HoldOut(), HoldOut(fraction=0.3)):
        by_loss = trained(None, hold_out=hold_out)
        by_score = trained(lambda p, rows: -log_loss(p, T[rows], np.ones(len(rows))), hold_out=hold_out)
        assert by_score.histories[0].best_epochs == by_loss.histories[0].best_epochs
        np.testing.assert_array_equal(by_score.predicted, by_loss.predicted)


def test_a_member_is_judged_by_rows_that_others_hold_out():
    seen = []
    done = trained(lambda p, rows: seen.append((p, rows)) or 0.0)
    assert len(seen) == 3 * 5  # a call for each part in each epoch
    parts = {tuple(rows.tolist()) for _, rows in seen}
    assert parts == {tuple(np.flatnonzero(~part).tolist()) for part in done.split.held.T}
    assert all(p.shape == (len(rows), 2) and np.allclose(p.sum(axis=1), 1) for p, rows in seen)
    seen.clear()
    done = trained(lambda p, rows: seen.append((p, rows)) or 0.0, hold_out=HoldOut(fraction=0.2))
    assert len(seen) == 3 * 5  # a call for each member, of the same rows
    assert all((rows == np.flatnonzero(done.split.judged)).all() for _, rows in seen)
    assert (seen[-1][0] != seen[-2][0]).any()  # each by itself


def test_the_best_score_is_kept_and_the_loss_decides_between_equal_ones():
    epochs = iter(np.repeat([0.1, 0.5, 0.9, 0.5, 0.2], 3))
    assert trained(lambda p, rows: next(epochs)).histories[0].best_epochs == [3, 3, 3]
    falling = iter(-1e6 * np.arange(15.0))
    assert trained(lambda p, rows: next(falling)).histories[0].best_epochs == [1, 1, 1]
    same = trained(lambda p, rows: 1.0).histories[0]
    assert same.best_epochs == trained(None).histories[0].best_epochs


@pytest.mark.parametrize("skewed", [False, True])
def test_values_are_in_the_unit_of_the_targets(skewed):
    t = (np.exp(3 * X[:, :1]) if skewed else 1e6 + X[:, :1]) * 10
    seen = []
    done = trained(lambda p, rows: seen.append(p) or 0.0, NUMBERS, t)
    assert all(t.min() <= p.min() and p.max() <= t.max() for p in seen)
    assert len(done.histories) == 1 + skewed
