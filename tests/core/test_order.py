"""The order in which epochs visit rows: streams, pieces and windows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullyconnected.core.batches import batches, n_batches
from fullyconnected.core.order import Order, epoch_order
from fullyconnected.errors import ConfigError


@st.composite
def orders(draw: Any) -> tuple[Order, dict[str, Any]]:
    rows = draw(st.integers(1, 200))
    batch_size = draw(st.integers(2, 40))
    borders = sorted(draw(st.sets(st.integers(1, max(1, rows - 1)), max_size=6)) - {rows}) if rows > 1 else []
    given = {
        "rows": rows,
        "batch_size": batch_size,
        "least": draw(st.sampled_from([1, 2])),
        "shuffle": draw(st.booleans()),
        "shards": draw(st.sampled_from([None, np.diff([0, *borders, rows]).tolist()])),
        "streams": draw(st.integers(1, min(5, batch_size))),
        "window": draw(st.none() | st.integers(1, 300)),
    }
    return Order(**given), given


@given(orders())
def test_an_epoch_sees_every_row_once(drawn: tuple[Order, dict[str, Any]]) -> None:
    order, given = drawn
    for epoch in (0, 1):
        assert sorted(order.of(5, epoch)) == list(range(given["rows"]))


@given(orders())
def test_a_window_has_whole_batches_and_no_more_rows_than_it_may(drawn: tuple[Order, dict[str, Any]]) -> None:
    order, given = drawn
    size, least = given["batch_size"], given["least"]
    windows = list(order.windows(5, 3))
    joined = [rows for w in windows for rows in batches(w.rows[w.order], size, least)]
    whole = list(batches(order.of(5, 3), size, least))
    assert len(joined) == n_batches(given["rows"], size, least)
    assert all(np.array_equal(one, other) for one, other in zip(joined, whole, strict=True))
    assert max(len(w.order) for w in windows) == order.most
    if given["window"] is not None:
        assert max(len(w.order) for w in windows) <= max(given["window"], size + least - 1)


@given(orders())
def test_a_batch_takes_its_share_of_each_stream_in_their_order(drawn: tuple[Order, dict[str, Any]]) -> None:
    order, given = drawn
    streams = given["streams"]
    ends = np.cumsum([sum(stop - start for start, stop in pieces) for pieces in order.pieces])
    assert ends[-1] == given["rows"]
    for rows in batches(order.of(5, 2), given["batch_size"], given["least"]):
        of = np.searchsorted(ends, rows, "right")
        assert (np.diff(of) >= 0).all()
        counts = np.bincount(of, minlength=streams)
        assert counts.max() - counts.min() <= 1


@given(orders())
def test_no_piece_spans_two_shards(drawn: tuple[Order, dict[str, Any]]) -> None:
    order, given = drawn
    if given["shards"] is None:
        return
    ends = np.cumsum(given["shards"])
    for pieces in order.pieces:
        for start, stop in pieces:
            assert stop > start
            assert np.searchsorted(ends, start, "right") == np.searchsorted(ends, stop - 1, "right")


@pytest.mark.parametrize("shards", [None, [40, 1, 59]])
@pytest.mark.parametrize("window", [None, 100, 1000])
def test_one_stream_with_a_window_of_all_rows_is_a_shuffle_of_all_rows(
    shards: list[int] | None, window: int | None
) -> None:
    order = Order(100, 7, 1, shards=shards, window=window)
    assert order.is_plain
    for epoch in range(3):
        assert np.array_equal(order.of(5, epoch), epoch_order(100, 5, epoch, shuffle=True))
        (only,) = order.windows(5, epoch)
        assert only.ranges[0][0] == 0
        assert np.array_equal(only.rows[only.order], order.of(5, epoch))


def test_windows_of_a_source_without_shards_mix_distant_rows() -> None:
    order = Order(16_000, 10, 1, window=1600)
    first = next(order.windows(5, 0)).rows
    assert len(set(first // 1600)) >= 6  # of ten
    again = next(order.windows(5, 1)).rows
    assert set(first) != set(again)


def test_shards_come_in_another_order_in_each_epoch() -> None:
    order = Order(1000, 10, 1, shards=[100] * 10, window=100)
    firsts = {next(order.windows(5, epoch)).ranges for epoch in range(20)}
    assert len(firsts) > 5
    assert all(len(ranges) == 1 for ranges in firsts)


def test_without_shuffling_a_stream_keeps_its_order() -> None:
    assert Order(10, 4, 1, shuffle=False, window=4).of(0, 0).tolist() == list(range(10))
    # streams of 5 rows each
    assert Order(10, 4, 1, shuffle=False, streams=2).of(0, 0).tolist() == [0, 1, 5, 6, 2, 3, 7, 8, 4, 9]


def test_more_streams_than_rows_in_a_batch_are_refused() -> None:
    with pytest.raises(ConfigError, match="streams=5"):
        Order(100, 4, 1, streams=5)


def test_seed_epoch_streams_and_window_change_the_order() -> None:
    usual = Order(200, 10, 1, streams=2, window=50)
    others = [Order(200, 10, 1, streams=3, window=50), Order(200, 10, 1, streams=2, window=70)]
    first = usual.of(0, 4)
    assert np.array_equal(first, Order(200, 10, 1, streams=2, window=50).of(0, 4))
    assert not np.array_equal(first, usual.of(0, 5))
    assert not np.array_equal(first, usual.of(1, 4))
    assert all(not np.array_equal(first, other.of(0, 4)) for other in others)
