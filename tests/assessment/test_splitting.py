"""Which rows are held out: by classes, groups or time."""

import numpy as np
import pytest

from fullyconnected import errors
from fullyconnected.assessment.problem import Roles, problem_of
from fullyconnected.assessment.splitting import held_back, in_time
from fullyconnected.tables.frame import frame_of


def problem(y, **columns):
    roles = Roles("y", group="g" if "g" in columns else None, time="t" if "t" in columns else None)
    return problem_of(frame_of({"a": list(range(len(y))), **columns, "y": y}), roles)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.5])
def test_each_class_has_its_share(share):
    y = ["u"] * 200 + ["v"] * 40
    held = held_back(problem(y), share)
    for label, rows in (("u", 200), ("v", 40)):
        assert abs(np.sum(held[np.array(y) == label]) - share * rows) <= 1


def test_the_rarest_class_keeps_a_row():
    held = held_back(problem(["u"] * 50 + ["v"] * 50 + ["w"]), 0.9)
    assert not held[-1]


def test_small_and_large_numbers_have_their_share():
    y = np.random.default_rng(0).permutation(200) / 7
    held = held_back(problem(y.tolist()), 0.2)
    assert held.sum() == 40
    assert abs(np.median(y[held]) - np.median(y)) < 2
    assert np.sum(y[held] > np.quantile(y, 0.9)) in (3, 4, 5)


def test_the_seed_decides():
    parts = [held_back(problem(["u", "v"] * 50), 0.2, seed).tolist() for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]


def test_groups_are_never_divided():
    groups = np.random.default_rng(0).integers(0, 30, 300)
    held = held_back(problem(["u", "v"] * 150, g=groups.tolist()), 0.2)
    assert not set(groups[held]) & set(groups[~held])
    assert abs(held.sum() - 60) < 15


def test_the_latest_rows_are_held_out_and_rows_of_a_time_stay_together():
    times = np.random.default_rng(0).integers(0, 20, 200)
    held = held_back(problem(["u", "v"] * 100, t=times.tolist()), 0.2)
    assert times[held].min() > times[~held].max()
    assert 0 < held.sum() <= 60


def test_splits_in_time_judge_later_rows():
    times = np.random.default_rng(0).integers(0, 1000, 500)
    splits = in_time(times)
    assert len(splits) == 4
    for train, test in splits:
        assert times[train].max() < times[test].min()
    tests = np.concatenate([test for _, test in splits])
    assert len(np.unique(tests)) == len(tests)
    assert abs(len(tests) - 200) < 5
    ((train, test),) = in_time(times, members=1)
    assert abs(len(test) - 200) < 5
    with pytest.raises(errors.DataError, match="too few different times"):
        in_time(np.zeros(9))


def test_no_test_part():
    assert not held_back(problem(["u", "v"] * 9), 0).any()


@pytest.mark.parametrize("share", [-0.1, 1.0, np.nan])
def test_a_share_out_of_range(share):
    with pytest.raises(errors.ConfigError, match="--test must be 0 or more and less than 1"):
        held_back(problem(["u", "v"] * 9), share)


def test_what_is_left_must_have_something_to_learn():
    with pytest.raises(errors.DataError, match=r"without the latest rows, all 8 rows that are left .* same 'y'"):
        held_back(problem(["u"] * 8 + ["v"] * 2, t=list(range(10))), 0.2)
    with pytest.raises(errors.ConfigError, match="cannot both say"):
        held_back(problem(["u", "v"] * 5, t=list(range(10)), g=[0, 1] * 5), 0.2)
