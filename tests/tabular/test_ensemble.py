"""Ensembles for tables: what they learn, what they say of rows held out, and their units."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

import fullyconnected as fc
from fullyconnected.tables.encoders import Feature
from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import judge
from fullyconnected.tables.vocabulary import Vocabulary
from fullyconnected.tabular.budget import LEAST
from fullyconnected.tabular.mixture import log_loss
from fullyconnected.tabular.recipe import Recipe
from fullyconnected.tabular.tasks import CLASSES, LABELS, NUMBERS, TASKS
from fullyconnected.tabular.training import train

QUICK = Recipe(members=4, hidden=(16,), epochs=12, bins=8)
ONE = {"n_threads": 1}


def numbers(n):
    return [Feature(f"x{i}", f"x{i}", "number") for i in range(n)]


def encoded(table):
    frame = frame_of(table)
    vocabulary = Vocabulary.of(frame, judge(frame))
    return vocabulary.encode(frame), vocabulary


def test_classes():
    x, t = load_breast_cancer(return_X_y=True)
    done = train(x[::2], t[::2], numbers(30), CLASSES, 2, QUICK, seed=0, **ONE)
    p = done.ensemble.predict(x[1::2])
    assert p.sum(axis=1) == pytest.approx(1)
    assert (p.argmax(axis=1) == t[1::2]).mean() > 0.94
    assert (done.predicted.argmax(axis=1) == t[::2]).mean() > 0.94
    assert sum(done.ensemble.shares) == pytest.approx(1)


def test_numbers_keep_to_their_range_and_their_digits():
    x, t = load_diabetes(return_X_y=True)
    t = 1e9 + t[:, None]  # float32 has steps of 64 there
    done = train(x[::2], t[::2], numbers(10), NUMBERS, 1, QUICK, seed=0, **ONE)
    y = done.ensemble.predict(x[1::2])
    error = ((y - t[1::2]) ** 2).mean() / t[1::2].var()
    assert error < 0.7
    assert len(np.unique(y)) > 200
    far = done.ensemble.predict(np.full((1, 10), 1e6))
    assert t[::2].min() <= far.item() <= t[::2].max()


def test_several_outputs_and_several_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    t = np.column_stack([x[:, 0] * 1000, x[:, 1] - x[:, 2]])
    done = train(x, t, numbers(3), NUMBERS, 2, QUICK, seed=0, **ONE)
    assert (((done.predicted - t) ** 2).mean(axis=0) < 0.1 * t.var(axis=0)).all()
    labels = (t > 0).astype(float)
    done = train(x, labels, numbers(3), LABELS, 2, QUICK, seed=0, **ONE)
    p = done.ensemble.predict(x)
    assert p.shape == (300, 2)
    assert ((p > 0.5) == labels).mean(axis=0).min() > 0.9


def test_a_table_with_text_and_gaps():
    rng = np.random.default_rng(1)
    city = rng.choice(["Oslo", "Bergen", "Narvik"], 400)
    age = rng.normal(40, 10, 400)
    age[::7] = np.nan
    t = np.where(city == "Oslo", 2.0, 0.0) + np.where(np.isnan(age), 1.0, 0.0) + np.nan_to_num(age, nan=40.0) / 20
    x, vocabulary = encoded({"city": city, "age": age})
    done = train(x, t[:, None], vocabulary.features, NUMBERS, 1, QUICK, seed=0, **ONE)
    assert ((done.predicted[:, 0] - t) ** 2).mean() < 0.1 * t.var()
    y = done.ensemble.predict(vocabulary.encode(frame_of({"city": ["Paris", None], "age": [40.0, np.nan]})))
    assert np.isfinite(y).all()


def test_a_gap_that_training_did_not_have_stands_for_the_median():
    x = np.random.default_rng(0).normal(size=(60, 2))
    done = train(x, x[:, :1], numbers(2), NUMBERS, 1, replace(QUICK, epochs=2), seed=0, **ONE)
    gap, filled = np.array([[np.nan, 0.5]]), np.array([[np.median(x[:, 0]), 0.5]])
    np.testing.assert_array_equal(done.ensemble.predict(gap), done.ensemble.predict(filled))


def test_labels_at_random_are_predicted_at_chance():
    """What a member says of rows that it has not learned from, and that have not chosen its epoch, is worth nothing."""
    right, losses, n = [], [], 400
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, t = rng.normal(size=(n, 5)), rng.integers(0, 2, n)
        done = train(x, t, numbers(5), CLASSES, 2, replace(QUICK, epochs=24), seed=seed, **ONE)
        right.append((done.predicted.argmax(axis=1) == t).mean())
        losses.append(log_loss(done.predicted, t, np.ones(n)))
    assert abs(np.mean(right) - 0.5) < 3 * 0.5 / np.sqrt(10 * n)
    assert np.mean(losses) > np.log(2) - 0.003


def test_the_same_seed_gives_the_same_bits_and_weights_count():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    t = (x[:, 0] > 0).astype(int)
    one, two, other = (train(x, t, numbers(3), CLASSES, 2, QUICK, seed=s, **ONE) for s in (0, 0, 1))
    assert one.ensemble.predict(x).tobytes() == two.ensemble.predict(x).tobytes()
    assert one.ensemble.predict(x).tobytes() == one.ensemble.predict(x, checked=True).tobytes()
    assert one.ensemble.predict(x).tobytes() != other.ensemble.predict(x).tobytes()
    flipped = np.where(x[:, 1] > 0, t, 1 - t)  # rows of little weight say the opposite
    w = np.where(x[:, 1] > 0, 1.0, 1e-3)
    done = train(x, flipped, numbers(3), CLASSES, 2, replace(QUICK, epochs=30), sample_weight=w, seed=0, **ONE)
    assert ((done.ensemble.predict(x).argmax(axis=1) == t)[x[:, 1] > 0]).mean() > 0.9


def test_a_time_budget_decides_the_number_of_epochs():
    x = np.random.default_rng(0).normal(size=(200, 3))
    much = replace(QUICK, epochs=100_000)
    done = train(x, x[:, :1], numbers(3), NUMBERS, 1, much, seed=0, max_time=0.5, **ONE)
    assert LEAST <= done.histories[0].planned_epochs == done.recipe.epochs < 100_000
    done = train(x, x[:, :1], numbers(3), NUMBERS, 1, much, seed=0, max_time=1e-9, **ONE)
    assert done.recipe.epochs == done.histories[0].planned_epochs == LEAST
    assert done.recipe.views == ("bends",)
    same = train(x, x[:, :1], numbers(3), NUMBERS, 1, QUICK, seed=0, max_time=1e6, **ONE)
    assert same.recipe == QUICK


def test_groups_are_held_out_together():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 12, 240)
    x = np.column_stack([group, rng.normal(size=240)])  # the group tells the target, to who has seen it
    features = [Feature("group", "group", "code", 12), *numbers(1)]
    t = rng.normal(size=12)[group][:, None]
    known = train(x, t, features, NUMBERS, 1, replace(QUICK, epochs=40), seed=0, **ONE)
    apart = train(x, t, features, NUMBERS, 1, replace(QUICK, epochs=40), groups=group, seed=0, **ONE)
    error = [((done.predicted - t) ** 2).mean() / t.var() for done in (known, apart)]
    assert error[0] < 0.2
    assert error[1] > 0.8


@pytest.mark.parametrize("task", TASKS)
def test_an_ensemble_is_the_mean_of_its_networks_by_their_shares(task, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    t = {CLASSES: np.digitize(x[:, 0], [-0.5, 0.5]), LABELS: (x[:, :2] > 0).astype(int), NUMBERS: x[:, :1]}[task]
    n_out = {CLASSES: 3, LABELS: 2, NUMBERS: 1}[task]
    trained = train(x, t, numbers(3), task, n_out, Recipe(members=3, hidden=(8,), epochs=3), n_threads=1)
    ensemble = trained.ensemble
    parts = zip(ensemble.networks, ensemble.shares, strict=True)
    wanted = ensemble.finished(np.asarray(sum(share * net.predictions(x).astype(float) for net, share in parts)))
    for block in (1, 100, 1 << 20):
        monkeypatch.setattr("fullyconnected.tabular.ensemble.BLOCK", block)
        np.testing.assert_allclose(ensemble.predict(x), wanted, rtol=1e-4, atol=1e-5)
    assert ensemble.predict(x[:0]).shape == (0, n_out)
    with pytest.raises(fc.errors.DataError, match="inf"):
        ensemble.predict(np.full((1, 3), np.inf))


def long_tailed(rows, seed=0, unit=1.0):
    """Targets whose logarithm is linear in x, with noise: multiplication is what a network has to learn of them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x, unit * np.exp(1.2 * x[:, :1] - 0.8 * x[:, 1:2] + 0.1 * rng.normal(size=(rows, 1)))


def test_the_logarithm_of_a_long_tail_is_learned_where_it_pays():
    x, t = long_tailed(600, unit=1e5)
    done = train(x[:300], t[:300], numbers(3), NUMBERS, 1, QUICK, seed=0, **ONE)
    plain = train(x[:300], t[:300], numbers(3), NUMBERS, 1, replace(QUICK, logarithm=False), seed=0, **ONE)
    assert done.views == ("smooth", "smooth, log", "bends, log")
    assert plain.views == ("smooth", "bends")
    ours, theirs = (((each.ensemble.predict(x[300:]) - t[300:]) ** 2).mean() for each in (done, plain))
    assert ours < 0.7 * theirs
    total = done.ensemble.predict(x[300:]).sum() / t[300:].sum()
    assert total == pytest.approx(1, abs=0.1)  # not too small, as the exponential of a mean is
    far = done.ensemble.predict(np.array([[1e6, -1e6, 0.0], [-1e6, 1e6, 0.0]]))
    assert (t[:300].min() <= far).all()
    assert (far <= t[:300].max()).all()


def test_the_logarithm_is_left_where_it_does_not_pay():
    rng = np.random.default_rng(0)
    x = rng.exponential(size=(400, 3))
    t = 1 + x @ np.array([[1.0], [2.0], [0.0]]) + 0.1 * rng.random((400, 1))  # which linear networks learn as it is
    done = train(x, t, numbers(3), NUMBERS, 1, replace(QUICK, hidden=(), epochs=40), seed=0, **ONE)
    assert done.views == ("smooth", "smooth, log", "bends")
    assert len(done.ensemble.networks) == len(done.ensemble.shares) == sum(share > 0 for share in done.shares)


def test_of_several_outputs_those_with_a_long_tail_alone_are_logarithms():
    x, t = long_tailed(300)
    both = np.column_stack([t, -t, np.where(t > 1, t, 0)])  # a tail, one on the other side, and one with zeros
    done = train(x, both, numbers(3), NUMBERS, 3, QUICK, seed=0, **ONE)
    scale = next(each for each in done.ensemble.logarithms if each is not None)
    assert scale.skewed.tolist() == [True, False, True]
    assert (((done.predicted - both) ** 2).mean(axis=0) < 0.5 * both.var(axis=0)).all()


def test_of_three_classes_labels_are_smoothed_and_the_temperature_takes_it_back():
    x, t = load_digits(return_X_y=True)
    x, t = x[:600], t[:600]
    done = {}
    for smoothing in (0.0, 0.2):
        recipe = replace(QUICK, hidden=(32,), epochs=40, smoothing=smoothing)
        done[smoothing] = train(x[:400], t[:400], numbers(64), CLASSES, 10, recipe, seed=0, **ONE).ensemble
    assert done[0.2].networks[0].loss == fc.SoftmaxCrossEntropy(label_smoothing=0.2)
    assert done[0.2].temperature < 0.8
    unsure = replace(done[0.2], temperature=1.0)
    loss = [log_loss(each.predict(x[400:]), t[400:], np.ones(200)) for each in (done[0.2], unsure)]
    assert loss[0] < 0.8 * loss[1]
    two = train(x[:400], t[:400] % 2, numbers(64), CLASSES, 2, QUICK, seed=0, **ONE).ensemble
    assert two.networks[0].loss == fc.SoftmaxCrossEntropy()
