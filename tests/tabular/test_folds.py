"""Which rows a member does not learn from."""

import numpy as np
import pytest

from fullyconnected.errors import DataError, ShapeError
from fullyconnected.tabular.folds import held_out

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
