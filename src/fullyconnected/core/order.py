"""The order in which the epochs of a run visit the rows: in one piece, or window by window, from several streams.

A source of rows is cut into streams, and a stream into pieces that lie within a shard of the source. In each epoch a
stream goes through its pieces in an order that is drawn, a window of some rows at a time, and the rows of a window are
shuffled. A batch takes its share of each stream, in the order of the streams. Every row comes once in an epoch. All
this is a function of the seed, the epoch, the shards, the batch size and the number of streams: neither of how fast
rows are read, nor of who reads them.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fullyconnected.core.batches import Rows, Share, n_batches, sizes_of
from fullyconnected.core.randomness import PIECES, SHUFFLE, generator
from fullyconnected.errors import ConfigError

__all__ = ["Order", "Window", "epoch_order"]

PARTS = 16  # pieces in a window where a source has no shards of its own


class Window(NamedTuple):
    """Some batches of an epoch: the ranges of rows that they are made of, and the order in which they are visited.

    ``order`` are places among the rows of the ranges, which lie one after the other: (2, 5) and (7, 8) are the rows 2,
    3, 4, 7 in the places 0, 1, 2, 3.
    """

    ranges: tuple[tuple[int, int], ...]
    order: Rows

    @property
    def rows(self) -> Rows:
        """The numbers of the rows, in the order of the ranges."""
        return np.concatenate([np.arange(0), *(np.arange(start, stop) for start, stop in self.ranges)])


def epoch_order(rows: int, seed: int, epoch: int, *, shuffle: bool) -> Rows:
    """Return the order in which epoch number ``epoch`` visits the rows: a permutation, or the caller's own order."""
    if not shuffle:
        return np.arange(rows)
    return generator(seed, SHUFFLE, epoch).permutation(rows)


class Order:
    """The order of the rows in each epoch of a run.

    Parameters
    ----------
    rows : int
        The number of rows, 1 or more.
    batch_size, least : int
        As in :func:`batches`.
    shuffle : bool
        Whether to shuffle; without, each stream is visited in its own order.
    shards : sequence of int, optional
        The numbers of rows that lie together. A piece never spans two of them.
    streams : int
        The number of streams, from 1 to ``batch_size``.
    window : int, optional
        The number of rows that are shuffled together, of all streams; it is rounded down to whole batches, of which it
        has one at least. None is all rows.

    With one stream and a window of all rows, this is :func:`epoch_order`; or ``drawn``, where somebody else has drawn
    the order of the next epoch.
    """

    drawn: Rows | None = None

    def __init__(
        self,
        rows: int,
        batch_size: int,
        least: int,
        *,
        shuffle: bool = True,
        shards: Sequence[int] | None = None,
        streams: int = 1,
        window: int | None = None,
    ) -> None:
        if streams > batch_size:
            raise ConfigError(
                f"a batch takes rows from each stream, and batch_size={batch_size} rows cannot come from "
                f"streams={streams}: give batch_size or fewer"
            )
        self.rows, self.shuffle, self.streams = rows, shuffle, streams
        self.steps = n_batches(rows, batch_size, least)
        self.least = least
        self.batch_size, self.last = batch_size, rows - (self.steps - 1) * batch_size
        whole = window is None or window >= rows
        self.batches = self.steps if whole or window is None else max(1, window // batch_size)  # in a window
        lengths = [self._taken(self.steps, stream) for stream in range(streams)]
        ends = np.cumsum(lengths)
        if shards is None:
            part = max(1, self.batches * batch_size // streams // PARTS)
            self.pieces = [_cut(int(end - n), int(end), part) for end, n in zip(ends, lengths, strict=True)]
        else:
            borders = np.concatenate([[0], np.cumsum(shards)])
            self.pieces = [_within(int(end - n), int(end), borders) for end, n in zip(ends, lengths, strict=True)]

    @property
    def is_plain(self) -> bool:
        """Whether an epoch is a single permutation of all rows."""
        return self.streams == 1 and self.batches >= self.steps

    def layout(self) -> str:
        """Return what identifies the windows and the pieces."""
        value = 0
        for pieces in self.pieces:
            value = zlib.crc32(pieces.astype("<i8").tobytes(), value)
        return f"{self.batches} batches in a window, pieces {value:08x}"

    @property
    def most(self) -> int:
        """The most rows in a window; the last batch may have one more than the others."""
        whole = self.batches >= self.steps
        return self.rows if whole else self.batches * self.batch_size + max(0, self.last - self.batch_size)

    def of(self, seed: int, epoch: int) -> Rows:
        """Return the rows in the order of an epoch."""
        if self.is_plain and self.drawn is not None:
            return self.drawn
        if self.is_plain:
            return epoch_order(self.rows, seed, epoch, shuffle=self.shuffle)
        return np.concatenate([window.rows[window.order] for window in self.windows(seed, epoch)])

    def windows(self, seed: int, epoch: int, streams: range | None = None) -> Iterator[Window]:
        """Yield the windows of an epoch, each of whole batches; of some streams alone, of which each has its share."""
        streams = range(self.streams) if streams is None else streams
        drawn = [(stream, self._drawn(seed, epoch, stream)) for stream in streams]
        for number, first in enumerate(range(0, self.steps, self.batches)):
            stop = min(first + self.batches, self.steps)
            ranges: list[tuple[int, int]] = []
            orders, at = [], 0
            for stream, pieces in drawn:
                start, end = self._taken(first, stream), self._taken(stop, stream)
                ranges += _between(pieces, start, end)
                order = np.arange(end - start)
                if self.is_plain and self.drawn is not None:
                    order = self.drawn
                elif self.shuffle:
                    order = generator(seed, SHUFFLE, epoch, stream, number).permutation(end - start)
                orders.append(at + order)
                at += end - start
            yield Window(tuple(ranges), self._joined(orders, streams, first, stop))

    def sizes(self, window: int) -> Rows:
        """Return the numbers of rows of the batches in window number ``window``."""
        first, stop = window * self.batches, (window + 1) * self.batches
        if stop < self.steps:
            return sizes_of((stop - first) * self.batch_size, self.batch_size)
        return sizes_of(self.rows - first * self.batch_size, self.batch_size, self.least)

    def streams_of(self, share: Share | None) -> range | None:
        """Return the streams that a process has, or None where it takes a part of each batch, or trains alone."""
        return range(share.low, share.high) if share is not None and share.parts == self.streams else None

    def rows_of(self, streams: range) -> tuple[int, int]:
        """Return where the rows of some streams that follow each other begin and end."""
        begin, end = (sum(self._taken(self.steps, each) for each in range(k)) for k in (streams.start, streams.stop))
        return begin, end

    def _share(self, rows: int, stream: int) -> int:
        """Return how many of the rows of a batch come from a stream."""
        return rows * (stream + 1) // self.streams - rows * stream // self.streams

    def _taken(self, batch: int, stream: int) -> int:
        """Return how many rows of a stream come before a batch."""
        if batch < self.steps:
            return batch * self._share(self.batch_size, stream)
        return (batch - 1) * self._share(self.batch_size, stream) + self._share(self.last, stream)

    def _drawn(self, seed: int, epoch: int, stream: int) -> np.ndarray:
        """Return the pieces of a stream in the order of an epoch."""
        pieces = self.pieces[stream]
        if not self.shuffle or self.batches >= self.steps:  # a window of all rows is shuffled as a whole
            return pieces
        return pieces[generator(seed, PIECES, epoch, stream).permutation(len(pieces))]

    def _joined(self, orders: list[Rows], streams: range, first: int, stop: int) -> Rows:
        """Return the order of some batches, of which each takes its share of each stream."""
        if len(orders) < 2:
            return orders[0] if orders else np.arange(0)
        full = stop - first - (stop == self.steps)  # batches of the usual size
        shares = [self._share(self.batch_size, stream) for stream in streams]
        usual = [o[: full * n].reshape(full, n) for o, n in zip(orders, shares, strict=True)]
        rest = [o[full * n :] for o, n in zip(orders, shares, strict=True)]
        return np.concatenate([np.concatenate(usual, axis=1).ravel(), *rest])


def _cut(start: int, stop: int, size: int) -> np.ndarray:
    """Return a range cut into pieces of so many rows: an array of (start, stop)."""
    begins = np.arange(start, stop, size)
    return np.stack([begins, np.minimum(begins + size, stop)], axis=1)


def _within(start: int, stop: int, borders: np.ndarray) -> np.ndarray:
    """Return a range cut at these borders."""
    inner = borders[(borders > start) & (borders < stop)]
    begins = np.unique(np.concatenate([[start], inner])) if stop > start else inner
    return np.stack([begins, np.concatenate([begins[1:], [stop][: len(begins)]])], axis=1).astype(np.intp)


def _between(pieces: np.ndarray, start: int, stop: int) -> list[tuple[int, int]]:
    """Return the ranges of rows that lie between two places of pieces that follow each other."""
    ends = np.cumsum(pieces[:, 1] - pieces[:, 0])
    found = []
    first = int(np.searchsorted(ends, start, "right"))
    for (begin, end), last in zip(pieces[first:].tolist(), ends[first:].tolist(), strict=True):
        if last - (end - begin) >= stop:
            break
        found.append((begin + max(0, start - last + end - begin), end - max(0, last - stop)))
    return found
