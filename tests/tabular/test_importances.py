"""How much columns matter: what predictions for held-out rows lose when cells are shuffled."""

import numpy as np
import pytest

from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import judge
from fullyconnected.tables.vocabulary import Vocabulary
from fullyconnected.tabular import importances as module
from fullyconnected.tabular.importances import importances
from fullyconnected.tabular.recipe import Recipe
from fullyconnected.tabular.tasks import CLASSES, LABELS, NUMBERS
from fullyconnected.tabular.training import train

QUICK = Recipe(members=3, hidden=(16,), epochs=12, bins=8)
ROWS = 400
RANDOM = np.random.default_rng(0)
SIZE, NOISE = RANDOM.normal(size=ROWS), RANDOM.normal(size=ROWS)
DAY = np.datetime64("2024-01-01") + RANDOM.integers(0, 700, ROWS)
GAPS = np.where(RANDOM.random(ROWS) < 0.3, np.nan, RANDOM.normal(size=ROWS))
TABLE = {
    "noise": NOISE,
    "size": SIZE,
    "country": ["NO"] * ROWS,
    "day": DAY,
    "gaps": GAPS,
    "city": RANDOM.choice(["Oslo", "Bergen", "Narvik"], ROWS).tolist(),
}
FRAME = frame_of(TABLE)
VOCABULARY = Vocabulary.of(FRAME, judge(FRAME))
X = VOCABULARY.encode(FRAME)
VALUES = SIZE + 2 * np.isnan(GAPS) + np.where(np.array(TABLE["city"]) == "Oslo", 1.5, 0)
NAMED = dict(zip(TABLE, range(len(TABLE)), strict=True))


def found(t, task, n_out, w=None, groups=None, x=X, seed=0):
    w = np.ones(len(x)) if w is None else w
    done = train(x, t, VOCABULARY.features, task, n_out, QUICK, sample_weight=w, groups=groups, seed=seed, n_threads=1)
    return done, importances(done, x, t, w, VOCABULARY.features, FRAME.names, seed=seed, n_threads=1)


@pytest.mark.parametrize("task", [NUMBERS, CLASSES, LABELS])
def test_what_matters_is_told_from_what_does_not(task):
    t = {NUMBERS: VALUES[:, None], CLASSES: (VALUES > 1).astype(int)}.get(task)
    if t is None:
        t = np.column_stack([VALUES > 1, SIZE > 0]).astype(float)
    _, by = found(t, task, 1 if task == NUMBERS else 2)
    assert by.shape == (6,)
    assert by[NAMED["country"]] == 0  # which is left out
    relevant = [by[NAMED[name]] for name in ("size", "gaps", "city")]
    assert min(relevant) > 0.05
    assert max(abs(by[NAMED[name]]) for name in ("noise", "day")) < 0.2 * min(relevant)


def test_the_share_of_a_column_is_what_shuffling_it_costs_in_r2():
    x, size = X[:, :2], np.column_stack([NOISE, SIZE])
    vocabulary = Vocabulary.of(FRAME, judge(FRAME))
    features = vocabulary.features[:2]
    t = 100 * SIZE[:, None]
    recipe = Recipe(members=3, hidden=(), epochs=40, bins=8, views=("smooth",))
    done = train(x, t, features, NUMBERS, 1, recipe, seed=0, n_threads=1)
    by = importances(done, size, t, np.ones(ROWS), features, ["noise", "size"], n_threads=1)
    assert by[1] == pytest.approx(2, rel=0.15)  # E (a - b)^2 = 2 Var, for a and b of different rows
    assert abs(by[0]) < 0.02


def test_only_members_that_have_not_learned_from_a_row_speak():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(40), 10)
    t = rng.integers(0, 2, 40)[group]  # which says nothing of other groups
    x = X.copy()
    x[:, 0] = rng.normal(size=40)[group]  # by which a group is known
    _, by = found(t, CLASSES, 2, groups=group, x=x)
    assert by[0] < 0.05
    assert by.max() < 0.05


def test_rows_count_by_their_weight():
    group = np.arange(ROWS) % 2
    t = np.where(group == 0, SIZE, NOISE)[:, None]
    x = np.column_stack([X[:, :2], group])
    features = [*VOCABULARY.features[:2], VOCABULARY.features[0]._replace(source="which", name="which")]
    names = ["noise", "size", "which"]
    w = np.where(group == 0, 1.0, 1e-3)
    done = train(x, t, features, NUMBERS, 1, QUICK, sample_weight=w, seed=0, n_threads=1)
    by = importances(done, x, t, w, features, names, n_threads=1)
    assert by[1] > 10 * abs(by[0])


def test_few_rows_are_shuffled_of_a_large_table(monkeypatch):
    monkeypatch.setattr(module, "MOST", 50)
    done, few = found(VALUES[:, None], NUMBERS, 1)
    assert few[NAMED["size"]] > 0.1
    again = importances(done, X, VALUES[:, None], np.ones(ROWS), VOCABULARY.features, FRAME.names, n_threads=1)
    np.testing.assert_array_equal(few, again)  # the same seed takes the same rows
    sizes = []
    predict = module._HeldOut.predict
    monkeypatch.setattr(module._HeldOut, "predict", lambda self, x: (sizes.append(len(x)), predict(self, x))[1])
    importances(done, X, VALUES[:, None], np.ones(ROWS), VOCABULARY.features, FRAME.names, n_threads=1)
    assert set(sizes) == {50}


def test_a_row_held_out_from_no_member_or_from_several():
    done, _ = found(VALUES[:, None], NUMBERS, 1)
    done.split.held[:100] = False
    done.split.held[100:200, :2] = True
    by = importances(done, X, VALUES[:, None], np.ones(ROWS), VOCABULARY.features, FRAME.names, n_threads=1)
    assert np.isfinite(by).all()
    assert by[NAMED["size"]] > 0.1
