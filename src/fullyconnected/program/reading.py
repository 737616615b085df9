"""Rows that are read while something else computes: an iterator a step ahead, and the windows of an epoch."""

import mmap
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows, Share, Shared, Whole, batches, sizes_of
from fullyconnected.core.mapped import mapping_of, spare_room
from fullyconnected.core.order import Order, Window
from fullyconnected.errors import ConfigError
from fullyconnected.program.data import Data
from fullyconnected.program.sources import ArraySource

__all__ = ["Gatherer", "MappedReader", "Part", "Reader", "ahead"]

T = TypeVar("T")
WINDOW = 1 << 26  # bytes of rows in a window, unless a number of rows is given
GATHERED = 1 << 24  # bytes of rows that are taken at a time from all over an array


def memory() -> int | None:
    """Return the bytes of memory of this machine, or None where that is not told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # on Windows
        return None


class Part(NamedTuple):
    """Some batches of an epoch: rows that are in memory, with their targets and weights, and their order.

    Where several processes share the batches, the order has the rows of this one, and ``shared`` what is to be known of
    the whole batches.
    """

    data: Data
    order: Rows
    shared: Shared | None = None

    def batches(self, batch_size: int, least: int) -> Iterator[tuple[Rows, Whole | None]]:
        """Yield the rows of each batch that are in this part, and what is to be known of the whole batch, if shared."""
        if self.shared is None:
            for rows in batches(self.order, batch_size, least):
                yield rows, None
            return
        at = 0
        for i, own in enumerate(self.shared.own.tolist()):
            yield self.order[at : at + own], self.shared.whole(i)
            at += own

    @classmethod
    def of(cls, data: Data, order: Rows, share: Share | None, sizes: Array) -> "Part":
        """Return what a process takes of all rows in an order, which is cut into batches of these sizes."""
        if share is None:
            return cls(data, order)
        weights = None if data.weights is None else data.weights[order]
        return cls(data, share.taken(order, sizes), share.shared(sizes, weights))


def own_windows(
    order: Order, share: Share | None, weights: Array | None, seed: int, epoch: int
) -> Iterator[tuple[Window, Shared | None]]:
    """Yield what this process takes of the windows of an epoch, and what is to be known of their batches.

    Its share is that of whole streams, and then its windows have the rows of these alone; or else a part of each batch.
    ``weights`` are those of all rows, or None.
    """
    if share is None:
        for window in order.windows(seed, epoch):
            yield window, None
        return
    streams = order.streams_of(share)
    whole = None if streams is not None and weights is None else order.windows(seed, epoch)
    own = whole if streams is None else order.windows(seed, epoch, streams)
    assert own is not None
    for number, window in enumerate(own):
        every = window if streams is None or whole is None else next(whole)
        sizes = order.sizes(number)
        shared = share.shared(sizes, None if weights is None else weights[every.rows[every.order]])
        yield (window if streams is not None else window._replace(order=share.taken(window.order, sizes))), shared


def ahead(items: Iterator[T]) -> Generator[T]:
    """Yield the items of an iterator; while the caller works with one, a thread makes the next, and no more.

    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    made: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
    wanted, left = threading.Semaphore(1), threading.Event()

    def make() -> None:
        try:
            while wanted.acquire() and not left.is_set():
                made.put((True, next(items)))
        except BaseException as error:  # StopIteration, too, at the end
            made.put((False, error))

    thread = threading.Thread(target=make, name="fullyconnected-reader", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads can be started
        yield from items
        return
    try:
        while True:
            there, item = made.get()
            if not there:
                break
            wanted.release()
            yield item
            del item  # so that no more than two are there
    finally:
        left.set()
        wanted.release()
        thread.join()
    if not isinstance(item, StopIteration):
        raise item


class MappedReader:
    """Visits the windows of an array that is mapped from a file, where it lies; the system reads a window ahead.

    ``verify(start, stop)`` raises if rows can no longer be used. The array begins with row number ``begin`` of those
    that are ordered; ``weights`` are those of all of them.
    """

    def __init__(
        self,
        data: Data,
        array: Array,
        order: Order,
        verify: Callable[[int, int], None] = lambda start, stop: None,
        *,
        share: Share | None = None,
        begin: int = 0,
        weights: Array | None = None,
    ) -> None:
        self.data, self.array, self.order, self.verify, self.share = data, array, order, verify, share
        self.begin, self.weights = begin, data.weights if weights is None else weights

    def parts(self, seed: int, epoch: int) -> Generator[Part]:
        """Yield the windows of an epoch."""
        windows = own_windows(self.order, self.share, self.weights, seed, epoch)
        begin, following = self.begin, next(windows, None)
        while following is not None:
            window, shared = following
            following = next(windows, None)
            for start, stop in () if following is None else following[0].ranges:
                will_need(self.array[start - begin : stop - begin])
            for start, stop in window.ranges:
                self.verify(start, stop)
            yield Part(self.data, window.rows[window.order] - begin, shared)


def will_need(a: Array) -> None:
    """Let the system begin to read an array that is mapped from a file."""
    mapped = mapping_of(a)
    if mapped is None or not hasattr(mmap, "MADV_WILLNEED"):
        return
    begin = np.frombuffer(mapped, np.uint8).__array_interface__["data"][0]
    start = a.__array_interface__["data"][0] - begin
    page = start % mmap.PAGESIZE
    with suppress(OSError, ValueError):  # which would read them later
        mapped.madvise(mmap.MADV_WILLNEED, start - page, a.nbytes + page)


class Reader:
    """Reads the windows of an epoch into memory, a window ahead; two buffers take turns.

    With ``keep``, what the first whole epoch has read is kept in a file, if there is room, and read from there. With a
    ``share`` of whole streams, the rows of the others are not read.
    """

    def __init__(
        self, data: Data, order: Order, dtype: np.dtype[Any], *, keep: bool = False, share: Share | None = None
    ) -> None:
        self.data, self.order, self.share = data, order, share
        self.begin, self.end = 0, order.rows  # the first of its rows, and the one after the last
        if (streams := order.streams_of(share)) is not None:
            self.begin, self.end = order.rows_of(streams)
        # what is wider than the network computes with is cast as it is read, as it would be later
        kept = data.x.dtype.kind in "biu" or data.x.dtype in (np.float32, dtype)
        self.dtype = (
            data.x.dtype if kept and data.x.dtype.isnative and data.x.dtype.itemsize <= dtype.itemsize else dtype
        )
        self.buffers: list[Array] = []
        self.kept = spare_room((self.end - self.begin, *data.x.shape[1:]), self.dtype) if keep else None
        self.again: MappedReader | None = None  # which visits what is kept, once that is all
        self.row = data.x.shape[1] * self.dtype.itemsize  # bytes
        needed, there = 2 * self.most * self.row, memory()
        if there is not None and needed > there:
            raise ConfigError(
                f"two windows of {self.most} rows, of which one is read while one is trained on, take "
                f"{needed / 1e9:.3g} GB, and this machine has {there / 1e9:.3g} GB of memory: give a smaller window"
            )

    @property
    def most(self) -> int:
        """The most rows that are read at once."""
        order, share = self.order, self.share
        if share is None or order.streams_of(share) is None:
            return order.most
        each = (share.of(order.sizes(window)) for window in {0, (order.steps - 1) // order.batches})
        return max(int((end - first).sum()) for first, end in each)

    def parts(self, seed: int, epoch: int) -> Generator[Part]:
        """Yield the windows of an epoch; each is overwritten after the next."""
        return ahead(self.read(seed, epoch)) if self.again is None else self.again.parts(seed, epoch)

    def read(self, seed: int, epoch: int) -> Iterator[Part]:
        """Read one window after the other."""
        source, data, begin, end = self.data.x, self.data, self.begin, self.end
        for number, (window, shared) in enumerate(own_windows(self.order, self.share, data.weights, seed, epoch)):
            x = self.buffer(number % 2, sum(stop - start for start, stop in window.ranges))
            at = 0
            for start, stop in window.ranges:
                rows = x[at : at + stop - start]
                source.fill(start, rows)
                if self.kept is not None:
                    self.kept[start - begin : stop - begin] = rows
                at += stop - start
            yield self.part(x, [slice(*each) for each in window.ranges], window.order, shared)
        if self.kept is not None:
            kept = np.asarray(self.kept)
            t, weights, given = (
                None if a is None else a[begin:end] for a in (data.t, data.weights, data.sample_weight)
            )
            assert t is not None
            own = Data(ArraySource(kept), t, weights, data.loss, given)
            how: Any = {"share": self.share, "begin": begin, "weights": data.weights}
            self.again = MappedReader(own, kept, self.order, source.verify, **how)
            self.buffers = []

    def part(self, x: Array, places: Sequence[slice | Rows], order: Rows, shared: Shared | None) -> Part:
        """Return rows that have been read, from these places, with their targets and weights."""
        data = self.data
        t, weights, given = (
            None if a is None else np.concatenate([a[:0], *(a[each] for each in places)])
            for a in (data.t, data.weights, data.sample_weight)
        )
        assert t is not None
        return Part(Data(ArraySource(x), t, weights, data.loss, given), order, shared)

    def buffer(self, which: int, rows: int) -> Array:
        """Return memory for the rows of a window."""
        if not self.buffers:
            self.buffers = [np.empty((self.most, *self.data.x.shape[1:]), self.dtype) for _ in range(2)]
        return self.buffers[which][:rows]


class Gatherer(Reader):
    """Reads the batches of an epoch whose rows are all shuffled together, all over an array, some batches ahead."""

    @property
    def batches(self) -> int:
        """The number of batches that are read at once."""
        return max(1, GATHERED // (self.order.batch_size * self.row))

    @property
    def most(self) -> int:
        order = self.order
        return min(order.rows, self.batches * order.batch_size + max(0, order.last - order.batch_size))

    def read(self, seed: int, epoch: int) -> Iterator[Part]:
        """Read some batches after the others."""
        order, rows = self.order, self.order.of(seed, epoch)
        for number, first in enumerate(range(0, order.steps, self.batches)):
            last = first + self.batches >= order.steps
            some = rows[first * order.batch_size : None if last else (first + self.batches) * order.batch_size]
            sizes = sizes_of(len(some), order.batch_size, order.least if last else 1)
            own = Part.of(self.data, some, self.share, sizes)
            x = self.buffer(number % 2, len(own.order))
            self.data.x.take(own.order, x)
            yield self.part(x, [own.order], np.arange(len(own.order)), own.shared)
