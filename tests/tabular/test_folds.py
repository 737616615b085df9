"""Which rows a member does not learn from."""

import numpy as np
import pytest

from fullyconnected.errors import DataError, ShapeError
from fullyconnected.tabular.folds import HoldOut, held_out, one_part

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies


@hypothesis.given(rows=st.integers(2, 60), members=st.integers(2, 12), seed=st.integers(0, 5), number=st.booleans())
def test_each_row_is_held_out_and_learned_from(rows, members, seed, number):
    rng = np.random.default_rng(seed)
    t = rng.normal(size=(rows, 2)) if number else rng.integers(0, 3, rows)
    held = held_out(t, members, seed)
    assert held.shape == (rows, members)
    assert (held.sum(axis=1) >= 1).all()
    assert (~held).any(axis=1).all()  # some member learns from it
    assert held.any(axis=0).all()  # and each member is judged
    sizes = held.sum(axis=0)
    assert sizes.max() - sizes.min() <= 1


def test_classes_are_in_all_folds_in_equal_shares():
    t = np.repeat([0, 1, 2], [80, 40, 8])
    held = held_out(t, 8, seed=3)
    for c, each in enumerate((10, 5, 1)):
        assert (held[t == c].sum(axis=0) == each).all()


def test_small_and_large_numbers_are_in_all_folds():
    t = np.random.default_rng(0).lognormal(size=(400, 1))
    means = [t[fold].mean() for fold in held_out(t, 5, seed=0).T]
    assert np.ptp(means) < 0.35 * t.std()


def test_members_beyond_the_folds_hold_out_other_rows():
    held = held_out(np.zeros((3, 1)), 7, seed=0)
    assert (held[:, :3].sum(axis=1) == 1).all()
    assert (held[:, 3:6].sum(axis=1) == 1).all()
    assert held[:, 6].sum() == 1
    many = held_out(np.arange(40.0)[:, None], 4, seed=0), held_out(np.arange(40.0)[:, None], 4, seed=1)
    assert (many[0] != many[1]).any()


def test_rows_of_a_group_are_held_out_together():
    groups = np.array(["oak", "elm", "ash", "fir", "yew"])[np.random.default_rng(0).integers(0, 5, 70)]
    held = held_out(np.zeros((70, 1)), 4, seed=0, groups=groups)
    for group in set(groups):
        assert (held[groups == group] == held[groups == group][0]).all()
    assert held.any(axis=0).all()
    assert (held.sum(axis=1) == 1).all()


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(DataError, match="1 rows cannot be divided"):
        held_out(np.zeros((1, 1)), 4, seed=0)
    with pytest.raises(DataError, match="1 group of rows cannot be divided"):
        held_out(np.zeros((9, 1)), 4, seed=0, groups=np.zeros(9))
    with pytest.raises(ShapeError, match=r"groups has shape \(3,\); expected \(9,\), a group for each row"):
        held_out(np.zeros((9, 1)), 4, seed=0, groups=np.zeros(3))


def test_parts_of_a_given_number():
    t = np.arange(60)[:, None] * 1.0
    few, many = held_out(t, 4, seed=0, parts=2), held_out(t, 4, seed=0, parts=6)
    assert (few.sum(axis=0) == 30).all()
    assert (few[:, 0] == ~few[:, 1]).all()
    assert (few[:, :2] != few[:, 2:]).any()  # another deal
    assert (many.sum(axis=0) == 10).all()
    assert (many.sum(axis=1) <= 1).all()
    assert (~many.any(axis=1)).sum() == 20  # in parts that no member has
    with pytest.raises(DataError, match="60 rows cannot be divided into 61 parts: give a cv of 60 or less"):
        held_out(t, 4, seed=0, parts=61)
    with pytest.raises(DataError, match="3 groups of rows cannot be divided into 4 parts"):
        held_out(t, 4, seed=0, groups=np.arange(60) % 3, parts=4)


@hypothesis.given(rows=st.integers(2, 80), fraction=st.floats(1e-6, 1 - 1e-6), seed=st.integers(0, 3))
def test_one_part_is_about_a_share_of_the_rows(rows, fraction, seed):
    held = one_part(np.arange(rows) % 2, fraction, seed)
    assert 1 <= held.sum() <= rows - 1
    assert abs(held.sum() - fraction * rows) <= 1
    groups = np.random.default_rng(seed).integers(0, 9, rows)
    if len(np.unique(groups)) < 2:
        return
    held = one_part(np.arange(rows) % 2, fraction, seed, groups)
    assert held.any()
    assert not held.all()
    assert not set(groups[held]) & set(groups[~held])


def test_classes_are_in_one_part_by_their_shares():
    t = np.repeat([0, 1, 2], [80, 40, 8])
    split = HoldOut(fraction=0.25).split(t, 3, seed=1)
    assert split.is_one_part
    assert (split.held == ~split.learned).all()
    assert np.bincount(t[split.judged]).tolist() == [20, 10, 2]


def test_pairs_say_what_each_member_learns_and_holds_out():
    pairs = (np.array([0, 1]), np.array([2])), (np.array([0, 1, 2]), np.array([3]))
    split = HoldOut(pairs=pairs).split(np.zeros((5, 1)), 3, seed=0)
    assert split.learned.T.astype(int).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]
    assert split.held.T.astype(int).tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0]]
    assert split.judged.tolist() == [False, False, True, True, False]
    assert not split.is_one_part
