"""How long a step of several machines takes, by a model: what each computes, and the sum over all of them.

A step of ``W`` machines that share a batch, each with ``b`` of its rows, takes::

    T(W, b) = c + 6 P b / F + S(W, n)

``P`` parameters take 6 floating-point operations a row (a product and a sum in each of three matrix products: forward,
and backward to the weights and to the inputs), of which a machine does ``F`` in a second; ``c`` is what does not depend
on the rows, such as the update. ``S`` is the time of the sum of ``n`` bytes over all machines, the gradient. A message
of ``m`` bytes takes ``a + m / B``, latency and bandwidth, and to add ``m`` bytes to others takes ``m g``. The links
between all pairs of machines are alike, and what is sent between two of them does not disturb the others: a model,
which leaves out whatever is shared.

Sources: R. Hockney, "The communication challenge for MPP: Intel Paragon and Meiko CS-2", Parallel Computing 20, 1994,
for ``a + m / B``; R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations in MPICH",
International Journal of High Performance Computing Applications 19, 2005, for the sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = [
    "Interconnect",
    "Work",
    "all_reduce",
    "compute",
    "efficiency",
    "fitted",
    "halving",
    "interconnect_of",
    "ring",
    "rows_for_efficiency",
    "rows_to_gain",
    "speed_up",
    "step",
]


class Interconnect(NamedTuple):
    """What is between two machines.

    Attributes
    ----------
    latency : float
        ``a``, seconds that a message takes however short it is.
    bandwidth : float
        ``B``, bytes in a second.
    reduction : float
        ``g``, seconds to add a byte to another. A measured bandwidth of sums has it inside, since both grow alike.
    """

    latency: float
    bandwidth: float
    reduction: float = 0.0


class Work(NamedTuple):
    """What each machine computes.

    Attributes
    ----------
    parameters : int
        ``P``, of the network.
    flops : float
        ``F``, floating-point operations of a machine in a second.
    fixed : float
        ``c``, seconds of a step that do not depend on its rows.
    itemsize : int
        Bytes of a parameter: 4 in float32, 8 in float64.
    """

    parameters: int
    flops: float
    fixed: float = 0.0
    itemsize: int = 4

    @property
    def bytes(self) -> int:
        """``n``, what is summed in a step."""
        return self.parameters * self.itemsize

    def seconds_of(self, rows: float) -> float:
        """Return ``6 P b / F``."""
        return 6.0 * self.parameters * rows / self.flops

    def rows_in(self, seconds: float) -> float:
        """Return how many rows are computed in some time."""
        return seconds * self.flops / (6.0 * self.parameters)


def ring(machines: int, n: float, link: Interconnect) -> float:
    """Return the seconds of a sum of ``n`` bytes round a ring.

    ``2 (W-1) a + 2 (W-1)/W n/B + (W-1)/W n g``: in ``W - 1`` steps each machine adds up a ``W``-th of the bytes, and in
    as many hands it round.

    >>> ring(1, 1e6, Interconnect(1e-5, 1e9)), round(ring(4, 1e6, Interconnect(1e-5, 1e9)), 8)
    (0.0, 0.00156)
    """
    messages, volume = _of_ring(machines)
    return _seconds(messages, volume, volume / 2, n, link)


def halving(machines: int, n: float, link: Interconnect) -> float:
    """Return the seconds of a sum of ``n`` bytes by recursive halving and doubling, which is Rabenseifner's.

    ``2 log2(W) a + 2 (W-1)/W n/B + (W-1)/W n g`` for powers of 2. Of another number of machines, those beyond the next
    lower power of 2 first hand all to another one, and get the sum at the end: ``2 a + 2 n/B + n g`` more.

    >>> round(halving(4, 1e6, Interconnect(1e-5, 1e9)), 8), round(halving(5, 1e6, Interconnect(1e-5, 1e9)), 8)
    (0.00154, 0.00356)
    """
    messages, volume = _of_halving(machines)
    return _seconds(messages, volume, volume / 2, n, link)


def all_reduce(machines: int, n: float, link: Interconnect) -> float:
    """Return the seconds of a sum of ``n`` bytes: the faster of both ways, of which MPI chooses one by the size."""
    return min(ring(machines, n, link), halving(machines, n, link))


def compute(rows: float, work: Work) -> float:
    """Return the seconds that a machine computes in a step of so many rows: ``c + 6 P b / F``."""
    return work.fixed + work.seconds_of(rows)


def step(machines: int, rows: float, work: Work, link: Interconnect) -> float:
    """Return the seconds of a step with so many rows on each machine: ``c + 6 P b / F + S(W, n)``."""
    return compute(rows, work) + all_reduce(machines, work.bytes, link)


def speed_up(machines: int, batch: float, work: Work, link: Interconnect) -> float:
    """Return how many times as fast a step of one batch is that machines share: ``T(1, G) / T(W, G/W)``.

    The batch is the same for any number of machines (strong scaling), and so is the result of the training.
    """
    return compute(batch, work) / step(machines, batch / machines, work, link)


def efficiency(machines: int, rows: float, work: Work, link: Interconnect) -> float:
    """Return the share of ``W`` times the speed of one machine that ``W`` have: ``T(1, W b) / (W T(W, b))``.

    It is that of one batch, of ``b`` rows on each. Where ``c`` is 0, it is also the share of its time that a machine
    computes, ``T(1, b) / T(W, b)``.
    """
    return speed_up(machines, machines * rows, work, link) / machines


def rows_to_gain(machines: int, work: Work, link: Interconnect, more: int | None = None) -> float:
    """Return the rows on each of ``W`` machines from which ``V`` machines, by default one more, are faster.

    The batch ``G = W b`` is the same for both, and so are the steps of an epoch. ``T(V, G/V) < T(W, G/W)`` where::

        b > F / (6 P) * (S(V, n) - S(W, n)) / (1 - W/V)

    A further machine pays from there on: below, it makes each epoch slower.

    >>> work, link = Work(1_000_000, flops=1e11), Interconnect(1e-5, 1e9)
    >>> b = rows_to_gain(1, work, link)
    >>> step(2, 1.01 * b / 2, work, link) < step(1, 1.01 * b, work, link)
    True
    >>> step(2, 0.99 * b / 2, work, link) < step(1, 0.99 * b, work, link)
    False
    """
    more = machines + 1 if more is None else more
    dearer = all_reduce(more, work.bytes, link) - all_reduce(machines, work.bytes, link)
    return max(0.0, work.rows_in(dearer) / (1 - machines / more))


def rows_for_efficiency(machines: int, work: Work, link: Interconnect, efficiency: float = 0.8) -> float:
    """Return the rows on each of ``W`` machines from which they have a share ``e`` of ``W`` times the speed of one.

    ``b = F / (6 P) * (e S(W, n) + (e - 1/W) c) / (1 - e)``. With neither latency nor ``c``, ``P`` cancels, since both
    the bytes and the operations of a row are as many as parameters: about ``4 F / (3 B) e / (1 - e)`` in float32, for
    any network.

    >>> work, link = Work(1_000_000, flops=1e11), Interconnect(0.0, 1e9)
    >>> round(rows_for_efficiency(256, work, link)), round(rows_for_efficiency(256, Work(5, flops=1e11), link))
    (531, 531)
    """
    lost = efficiency * all_reduce(machines, work.bytes, link) + (efficiency - 1 / machines) * work.fixed
    return max(0.0, work.rows_in(lost / (1 - efficiency)))


def interconnect_of(machines: int, sums: Sequence[tuple[float, float]]) -> Interconnect:
    """Return the latency and the bandwidth by which sums of these bytes have taken these seconds.

    The sums over a power of 2 of machines are taken for recursive halving, others for a ring. The additions are inside
    the bandwidth.

    >>> link = Interconnect(2e-6, 5e9)
    >>> found = interconnect_of(8, [(n, halving(8, n, link)) for n in (4e3, 1e5, 1e6, 6e7)])
    >>> round(found.latency * 1e6, 6), round(found.bandwidth / 1e9, 6)
    (2.0, 5.0)
    """
    constant, slope = fitted(sums)
    messages, volume = (_of_halving if machines & (machines - 1) == 0 else _of_ring)(machines)
    return Interconnect(constant / messages, volume / slope if slope else math.inf)


def fitted(points: Sequence[tuple[float, float]], rounds: int = 20) -> tuple[float, float]:
    """Return ``p`` and ``q``, 0 or more, for which ``p + q x`` is near to each ``y``.

    It is a fit by least squares of relative errors, as the small numbers matter as the large ones do, in which a point
    counts less the further it lies off (iteratively reweighted: the sum of the errors' sizes is least).

    >>> [round(each, 6) for each in fitted([(1, 3), (10, 21), (100, 201), (1000, 9999), (2000, 4001)])]
    [1.0, 2.0]
    """
    weights = [1 / (y * y) for _, y in points]
    p = q = 0.0
    for _ in range(rounds):
        p, q = _least_squares(points, weights)
        off = [abs(p + q * x - y) / y for x, y in points]
        weights = [1 / (y * y) / max(each, 1e-6) for (_, y), each in zip(points, off, strict=True)]
    return p, q


def _least_squares(points: Sequence[tuple[float, float]], weights: Sequence[float]) -> tuple[float, float]:
    """Return the line with the least sum of weighted squares, among those that neither begin below 0 nor fall."""
    total = sum(weights)
    x = sum(w * each for (each, _), w in zip(points, weights, strict=True)) / total
    y = sum(w * each for (_, each), w in zip(points, weights, strict=True)) / total
    xx = sum(w * (each - x) ** 2 for (each, _), w in zip(points, weights, strict=True))
    xy = sum(w * (a - x) * (b - y) for (a, b), w in zip(points, weights, strict=True))
    slope = xy / xx if xx else 0.0
    if slope <= 0:
        return y, 0.0
    if y >= slope * x:
        return y - slope * x, slope
    through = sum(w * a * b for (a, b), w in zip(points, weights, strict=True))
    return 0.0, through / sum(w * a * a for (a, _), w in zip(points, weights, strict=True))


def _of_ring(machines: int) -> tuple[int, float]:
    """Return how many messages follow on one another, and how many times all bytes are sent."""
    return 2 * (machines - 1), 2 * (machines - 1) / machines


def _of_halving(machines: int) -> tuple[int, float]:
    within = 1 << (machines.bit_length() - 1)  # the power of 2
    beyond = within < machines
    return 2 * (within.bit_length() - 1) + 2 * beyond, 2 * (within - 1) / within + 2 * beyond


def _seconds(messages: int, volume: float, added: float, n: float, link: Interconnect) -> float:
    return messages * link.latency + volume * n / link.bandwidth + added * n * link.reduction
