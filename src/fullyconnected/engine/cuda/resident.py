"""The rows of a part on the card: its data, the order of its rows, and the batches that they are cut into."""

from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import sizes_of
from fullyconnected.engine.task import Task
from fullyconnected.program.reading import Part
from fullyconnected.program.workspace import Batch

__all__ = ["Loader", "Plan", "Resident", "plan_of", "shares_of"]

BLOCK = 1 << 24  # entries that are cast and brought to the card at a time


class Plan(NamedTuple):
    """The batches of a part: for each, what this process has of it, and what is to be known of the whole."""

    sizes: Array  # the rows of this process
    starts: Array  # where they begin in its order
    firsts: Array  # the number, in the whole batch, of the first of them
    wholes: Array  # the rows of the whole batch
    weights: Array  # what the whole batch weighs; without weight it makes no step
    shares: Array | None  # what each row of this process weighs in its batch, (rows, copies), or None: all the same


def plan_of(part: Part, task: Task) -> Plan:
    """Return the batches of a part."""
    data, order, shared, copies = part.data, part.order, part.shared, task.program.copies
    if shared is None:
        sizes = sizes_of(len(order), task.batch_size, task.program.least_rows)
        wholes, firsts = sizes, np.zeros_like(sizes)
    else:
        sizes, wholes, firsts = shared.own, shared.rows, shared.first
    starts = np.cumsum(sizes) - sizes
    w = None if data.weights is None else data.weights[order]
    if shared is not None:
        sums = shared.weights
    elif w is None:
        sums = sizes[:, None].astype(np.float64)
    else:
        sums = np.add.reduceat(w, starts, axis=0).reshape(len(sizes), -1).astype(np.float64)
    shares = None
    if w is not None or shared is not None:
        shares = shares_of(
            np.ones(len(order)) if w is None else w, sums, np.repeat(np.arange(len(sizes)), sizes), copies
        )
    return Plan(sizes, starts, firsts, wholes, sums.mean(axis=1), shares)


def shares_of(w: Array, sums: Array, batch: Array, copies: int) -> Array:
    """Return what each row weighs in its batch; the loss of an ensemble is the mean over members that have weight."""
    w = w if w.ndim == 2 else w[:, None]
    of_all = np.broadcast_to(sums, (len(sums), copies))
    there = of_all > 0
    members = np.maximum(1, np.count_nonzero(there, axis=1))
    return np.broadcast_to(w, (len(w), copies)) / (np.where(there, of_all, 1)[batch] * members[batch, None])


class Resident:
    """What the steps of a run read on the card, in memory that grows with the largest part, and else stays in place."""

    def __init__(self, xp: Any, task: Task, dtype: np.dtype[Any]) -> None:
        self.xp, self.dtype = xp, dtype
        self.input_dtype = np.dtype(task.program.input_dtype(dtype))
        self.data: Any = None  # whose rows and targets are there
        self.x: Any = None
        self.t: Any = None
        self.order: Any = None
        self.shares: Any = None

    def bytes_of(self, part: Part) -> int:
        """Return how much memory a part takes."""
        data = part.data
        rows = len(data.x)
        a_row = data.x.shape[1] * self.input_dtype.itemsize + data.t[:1].nbytes
        return rows * a_row + 8 * len(part.order)

    def put(self, part: Part, plan: Plan) -> bool:
        """Bring a part to the card; return whether anything there has another place now."""
        data, moved = part.data, False
        if data is not self.data:
            rows, n_in = data.x.shape
            self.x, new_x = self._room(self.x, (rows, n_in), self.input_dtype)
            self.t, new_t = self._room(self.t, data.t.shape, data.t.dtype)
            size = max(1, BLOCK // n_in)
            for start in range(0, rows, size):
                stop = min(start + size, rows)
                block = np.ascontiguousarray(data.x.block(start, stop), self.input_dtype)
                self.x[start:stop].set(block)
            self.t[:rows].set(np.ascontiguousarray(data.t))
            self.data, moved = data, new_x or new_t
        self.order, new = self._room(self.order, part.order.shape, np.dtype(np.int64))
        if len(part.order):
            self.order[: len(part.order)].set(np.ascontiguousarray(part.order, np.int64))
        moved |= new
        if plan.shares is not None:
            self.shares, new = self._room(self.shares, plan.shares.shape, self.dtype)
            if len(plan.shares):
                self.shares[: len(plan.shares)].set(np.ascontiguousarray(plan.shares, self.dtype))
            moved |= new
        return moved

    def _room(self, there: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Any, bool]:
        """Return memory for at least so many rows, and whether it is new."""
        if there is not None and len(there) >= shape[0]:
            return there, False
        return self.xp.zeros((max(1, shape[0]), *shape[1:]), dtype), True


class Loader:
    """Takes the rows of a batch from what is on the card, wherever the numbers of the step say that it begins."""

    def __init__(self, xp: Any, batch: Batch, resident: Resident, copies: int) -> None:
        rows, t = batch.rows, resident.t
        self.xp, self.batch, self.resident, self.copies = xp, batch, resident, copies
        self.count = xp.arange(rows, dtype=np.int64)
        self.places, self.rows = (xp.zeros(rows, np.int64) for _ in range(2))
        self.t = xp.zeros((rows, *t.shape[1:]), t.dtype)
        self.copied = xp.zeros((rows, copies, *t.shape[1:]), t.dtype) if copies > 1 else None
        self.shares = xp.zeros((rows, copies), resident.dtype)
        batch.t = self.t if self.copied is None else self.copied.reshape(-1, *t.shape[1:])

    def load(self, start: Any) -> None:
        """Write rows, targets and weights into the batch."""
        xp, resident, batch = self.xp, self.resident, self.batch
        xp.add(self.count, start, out=self.places)
        resident.order.take(self.places, out=self.rows)
        resident.x.take(self.rows, axis=0, out=batch.x)
        resident.t.take(self.rows, axis=0, out=self.t)
        if self.copied is not None:
            xp.copyto(self.copied, self.t[:, None])
        if resident.shares is not None:
            resident.shares.take(self.places, axis=0, out=self.shares)
            batch.set_weights(self.shares.reshape(-1), 1.0)
