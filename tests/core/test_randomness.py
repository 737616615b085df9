"""Randomness is counted: shuffles are functions of (seed, epoch), whatever ran before."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.core.batches import batches
from fullyconnected.core.order import epoch_order
from fullyconnected.core.randomness import Uniforms


def test_every_epoch_visits_every_row_once_in_an_order_of_its_own():
    orders = [epoch_order(101, 0, epoch, shuffle=True) for epoch in range(20)]
    for order in orders:
        assert sorted(order) == list(range(101))
    assert len({order.tobytes() for order in orders}) == 20


def test_orders_depend_on_seed_and_epoch_alone():
    assert np.array_equal(epoch_order(50, 3, 7, shuffle=True), epoch_order(50, 3, 7, shuffle=True))
    assert not np.array_equal(epoch_order(50, 3, 7, shuffle=True), epoch_order(50, 4, 7, shuffle=True))


def test_orders_are_uniform():
    """Every row comes first about as often as any other."""
    firsts = [int(epoch_order(5, 0, epoch, shuffle=True)[0]) for epoch in range(2000)]
    assert np.bincount(firsts, minlength=5) == pytest.approx(400, abs=80)


def test_own_order():
    assert epoch_order(6, 0, 3, shuffle=False).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("rows", "size", "sizes"), [(6, 3, [3, 3]), (7, 3, [3, 3, 1]), (2, 5, [2]), (3, 1, [1, 1, 1])])
def test_batches(rows, size, sizes):
    parts = list(batches(np.arange(rows), size))
    assert [len(part) for part in parts] == sizes
    assert np.concatenate(parts).tolist() == list(range(rows))


def test_first_weights_shuffles_and_masks_share_no_numbers():
    """One seed everywhere: what a network starts from says nothing about how its rows are shuffled."""
    from fullyconnected.core import randomness as rng

    streams = [rng.generator(0, purpose, 0).random(8) for purpose in (rng.INIT, rng.SHUFFLE, rng.MASK)]
    assert len({value for stream in streams for value in stream}) == 24


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, errors.ConfigError, "0 to 2.*got -1"),
        (2**64, errors.ConfigError, "0 to 2"),
        (1.0, errors.InputTypeError, "seed is an int, None or a numpy.random.Generator; got 1.0"),
        ("0", errors.InputTypeError, "got '0'"),
        (True, errors.InputTypeError, "got True"),
        (np.random.RandomState(0), errors.InputTypeError, "numpy.random.Generator"),
    ],
)
def test_seeds_that_cannot_be(seed, error, message):
    with pytest.raises(error, match=message):
        fc.mlp([2, 1], seed=seed)
    with pytest.raises(error, match=message):
        fc.fit(fc.mlp([2, 1]), np.zeros((2, 2)), [0, 1], "half_squared_error", seed=seed)


@pytest.mark.parametrize("width", [1, 3, 8, 13])
@pytest.mark.parametrize("copies", [1, 3])
def test_masks_of_some_rows_of_a_batch_are_those_of_the_whole(width, copies):
    rows = 29
    uniforms = Uniforms(5, copies)
    uniforms.seed, uniforms.step = 2**63 + 1, 77
    whole = np.empty((rows * copies, width), np.float32)
    uniforms.fill(whole)
    for first in range(rows):
        for last in {first + 1, min(first + 4, rows), rows}:
            uniforms.row = first
            part = np.full(((last - first) * copies, width), np.nan, np.float32)
            uniforms.fill(part)
            assert np.array_equal(part, whole[first * copies : last * copies])


def test_the_numbers_of_a_mask_stay_as_they_are():
    uniforms = Uniforms(2)
    uniforms.seed, uniforms.step = 1, 3
    out = np.empty((1, 4), np.float32)
    uniforms.fill(out)
    counter = np.array([0, 3, 2, 0], np.uint64)
    philox = np.random.Generator(np.random.Philox(key=np.array([1, 2], np.uint64), counter=counter))
    assert out[0].tolist() == philox.random(4, dtype=np.float32).tolist()
