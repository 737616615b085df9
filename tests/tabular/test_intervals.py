"""Intervals by the errors of held-out rows: how many targets they contain, and how wide they are."""

import numpy as np
import pytest

from fullyconnected.errors import ConfigError
from fullyconnected.tables.encoders import Feature
from fullyconnected.tabular.folds import Split
from fullyconnected.tabular.intervals import GRID, Intervals
from fullyconnected.tabular.recipe import Recipe
from fullyconnected.tabular.spread import excess_error
from fullyconnected.tabular.tasks import NUMBERS
from fullyconnected.tabular.training import train


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions, and targets whose distance grows with the prediction."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(1, 10, (rows, 1))
    return p, p + 0.1 * p * rng.standard_t(5, (rows, 1))


def inside(around: np.ndarray, t: np.ndarray) -> np.ndarray:
    return (around[:, :, 0] <= t) & (t <= around[:, :, 1])


@pytest.mark.parametrize("rows", [40, 99, 400, 5000])
@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_they_contain_as_many_targets_as_they_promise(rows: int, coverage: float) -> None:
    trials, of_new = max(20, 8000 // rows), drawn(20_000, 12345)
    shares = []
    for seed in range(trials):
        p, t = drawn(rows, seed)
        shares.append(inside(Intervals.of(p, t, np.ones(rows)).around(of_new[0], coverage), of_new[1]).mean())
    spread = (coverage * (1 - coverage) / rows / trials + coverage * (1 - coverage) / 20_000) ** 0.5
    assert abs(np.mean(shares) - coverage) < 4 * spread + 0.01  # of parts with few rows, and of levels on a grid


def test_they_are_wider_where_errors_are_larger() -> None:
    p, t = drawn(3000, 0)
    around = Intervals.of(p, t, np.ones(3000)).around(np.array([[2.0], [9.0]]), 0.9)
    narrow, wide = (around[:, 0, 1] - around[:, 0, 0]).tolist()
    assert 2 < wide / narrow < 6
    np.testing.assert_allclose(around.mean(axis=2), [[2.0], [9.0]])
    far = Intervals.of(p, t, np.ones(3000)).around(np.array([[-1e6], [1e6]]), 0.9)
    assert (far[:, 0, 1] - far[:, 0, 0] < 2 * wide).all()  # no error has been seen there


def test_few_rows_have_intervals_of_one_width() -> None:
    p, t = drawn(45, 0)
    around = Intervals.of(p, t, np.ones(45)).around(p, 0.8)
    np.testing.assert_allclose(np.ptp(around[:, 0, 1] - around[:, 0, 0]), 0, atol=1e-12)


def test_rows_count_by_their_weight() -> None:
    rng = np.random.default_rng(0)
    e = np.where(np.arange(2000) < 1000, 1.0, 10.0) * rng.normal(size=2000)
    p, w = np.zeros((2000, 1)), np.where(np.arange(2000) < 1000, 1.0, 1e-9)
    heavy = Intervals.of(p, e[:, None], w).around(p[:1], 0.9)[0, 0, 1]
    alone = Intervals.of(p[:1000], e[:1000, None], w[:1000]).around(p[:1], 0.9)[0, 0, 1]
    assert heavy == pytest.approx(alone, rel=0.02)
    twice = Intervals.of(np.zeros((200, 1)), np.repeat(e[:100, None], 2, axis=0), np.ones(200))
    double = Intervals.of(np.zeros((100, 1)), e[:100, None], np.full(100, 2.0))
    assert double.rows == 100
    assert abs(twice.around(p[:1], 0.9)[0, 0, 1] / double.around(p[:1], 0.9)[0, 0, 1] - 1) < 0.1


def test_groups_count_once() -> None:
    rng = np.random.default_rng(1)
    group, e = np.repeat(np.arange(30), 50), np.repeat(rng.normal(size=30), 50)[:, None]
    by = Intervals.of(np.zeros((1500, 1)), e, np.ones(1500), np.array([f"g{i}" for i in group]))
    assert by.rows == pytest.approx(30)
    assert by.around(np.zeros((1, 1)), 0.9)[0, 0, 1] == np.sort(np.abs(e[::50, 0]))[27]  # 0.9 (30 + 1) = 27.9: the 28th
    with pytest.raises(ConfigError, match=r"coverage=0.99 takes more held-out rows than there were: the errors of 30"):
        by.around(np.zeros((1, 1)), 0.99)


def test_the_excess_of_the_errors_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    p, e, member = np.zeros((4000, 1)), rng.normal(size=(4000, 1)), 0.5 * rng.normal(size=(4000, 1))
    whole = Intervals.of(p, e, np.ones(4000)).around(p[:1], 0.9)
    less = Intervals.of(p, e + member, np.ones(4000), excess=np.array([0.5])).around(p[:1], 0.9)
    more = Intervals.of(p, e + member, np.ones(4000)).around(p[:1], 0.9)
    assert less[0, 0, 1] == pytest.approx(whole[0, 0, 1], rel=0.03)
    assert more[0, 0, 1] > 1.07 * whole[0, 0, 1]
    capped = Intervals.of(p, e, np.ones(4000), excess=np.array([1e9])).around(p[:1], 0.9)
    assert capped[0, 0, 1] == pytest.approx(whole[0, 0, 1] * 0.5**0.5)


def test_how_far_members_are_apart() -> None:
    rng = np.random.default_rng(0)
    x, features = rng.normal(size=(300, 3)), [Feature(f"x{i}", f"x{i}", "number") for i in range(3)]
    t = 100 * x[:, :1] + 10 * rng.normal(size=(300, 1))
    recipe = Recipe(members=4, hidden=(16,), epochs=10, bins=8)
    done = train(x, t, features, NUMBERS, 1, recipe, seed=0, n_threads=1)
    ensemble, w = done.ensemble, np.ones(300)
    apart = excess_error(ensemble, x, w, done.split, 1)
    assert 0 < apart[0] < np.sqrt(((done.predicted - t) ** 2).mean())
    all_out = Split(np.zeros((300, 4), bool), np.ones((300, 4), bool))
    assert excess_error(ensemble, x, w, all_out, 1).tolist() == [0]
    half = Split(done.split.learned, ~done.split.learned | (np.arange(4) == 0))
    assert excess_error(ensemble, x, w, half, 1)[0] < apart[0]  # a row that more members predict has less of it


def test_several_outputs_have_errors_of_their_own() -> None:
    rng = np.random.default_rng(0)
    p = rng.normal(size=(1000, 2))
    around = Intervals.of(p, p + rng.normal(size=(1000, 2)) * [1.0, 100.0], np.ones(1000)).around(p, 0.9)
    assert around.shape == (1000, 2, 2)
    width = (around[:, :, 1] - around[:, :, 0]).mean(axis=0)
    assert width == pytest.approx([2 * 1.645, 200 * 1.645], rel=0.15)


def test_many_rows_are_kept_as_some_hundred_numbers() -> None:
    p, t = drawn(20_000, 0)
    errors = Intervals.of(p, t, np.ones(20_000)).errors[0]
    assert len(errors.levels) <= len(GRID) + 1
    assert errors.levels[-1] == 1
    assert len(errors.at) <= 8


def test_errors_that_are_zero_or_large_and_predictions_that_are_one() -> None:
    ones = np.ones((50, 1))
    assert (Intervals.of(ones, ones, np.ones(50)).around(ones, 0.9) == 1).all()
    huge = Intervals.of(1e300 * ones, np.linspace(-1e300, 1e300, 50)[:, None], np.ones(50)).around(ones, 0.9)
    assert np.isfinite(huge).all()
    two = Intervals.of(ones[:2], np.array([[1.0], [3.0]]), np.ones(2))
    assert two.around(ones[:1], 0.5)[0, 0].tolist() == [-1, 3]
    with pytest.raises(ConfigError, match=r"of 2 .* of at most 0.6667"):
        two.around(ones[:1], 0.9)
    assert Intervals.of(ones, ones, np.ones(50)).around(np.empty((0, 1)), 0.9).shape == (0, 1, 2)


@pytest.mark.parametrize("coverage", [0, 1, 1.5, -0.1, float("nan"), float("inf"), "0.9", True, None, [0.9, 0.8]])
def test_a_coverage_is_a_share(coverage: object) -> None:
    p, t = drawn(100, 0)
    with pytest.raises(ConfigError, match="coverage is the share of targets that intervals contain, between 0 and 1"):
        Intervals.of(p, t, np.ones(100)).around(p, coverage)
