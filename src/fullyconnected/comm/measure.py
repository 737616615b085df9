"""What the machine and the network are like that a training by several processes would have: measured in its own steps.

All processes call :func:`measure` together, with the same arguments. Times are taken in turns, round by round, so that
what else the machines do touches all of them alike; of each round the slowest process counts, since the others wait
for it, and of all rounds the median.
"""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from fullyconnected.comm.base import ALONE, Comm
from fullyconnected.comm.model import Interconnect, Work, fitted, interconnect_of
from fullyconnected.core.batches import sizes_of
from fullyconnected.engine.threads import n_threads
from fullyconnected.losses import HalfSquaredError
from fullyconnected.network import Network, mlp
from fullyconnected.optimizers import Adam
from fullyconnected.program.reading import Part
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

__all__ = ["LADDER", "Host", "Measured", "Stepper", "counted", "hosts_of", "measure", "taken_in_turns", "work_of"]

LADDER = (4_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000, 16_000_000, 64_000_000)  # bytes
LEAST_ROUNDS, MOST_ROUNDS = 3, 101
A_MOMENT, A_WHILE = 0.001, 0.02  # seconds: of a call that a clock times well, and of calls between two other works
FEWER = 4  # a step is also measured with so many times fewer rows


@dataclass(frozen=True)
class Host:
    """A host, with the processes on it: how many, with how many threads together, and the cores that they may use.

    ``load`` is its load average of the last minute, before anything is measured, or None where that is not told.
    """

    name: str
    processes: int
    threads: int
    cores: int
    load: float | None


@dataclass(frozen=True)
class Measured:
    """What was measured, in seconds and bytes; without other processes, nothing of sums.

    ``sums`` has the time of a sum by its bytes, ``alone`` that of the computation of a step of ``rows`` rows (and of a
    quarter of them), ``together`` that of a whole step, with the sum. ``work`` and ``link`` are the fits to these.
    """

    comm: str
    processes: int
    hosts: tuple[Host, ...]
    engine: str
    threads: int
    layers: tuple[int, ...]
    parameters: int
    rows: int
    alone: dict[int, float]
    work: Work
    sums: dict[int, float]
    link: Interconnect | None
    together: float | None


class Stepper:
    """Steps of a network on this process, alone or with others, on random rows that are drawn once.

    Parameters
    ----------
    comm : Comm
        The processes that share each batch.
    layers : sequence of int
        The widths, from the inputs to the outputs.
    rows : int
        The rows of each process.
    threads : int, optional
        As ``n_threads`` of ``fc.fit``.
    """

    def __init__(self, comm: Comm, layers: Sequence[int], rows: int, threads: int | None = None) -> None:
        self.net: Network = mlp([*layers], activation="relu", seed=0)
        rng, batch = np.random.default_rng(0), rows * comm.size
        x, t = (rng.normal(size=(rows, n)).astype(np.float32) for n in (layers[0], layers[-1]))
        settings = FitSettings(batch_size=batch, shuffle=False, warn=False, comm=comm, n_threads=threads)
        self.run = Run(self.net, x, t, HalfSquaredError(), Adam(1e-6), settings)
        self.rows, self.batch = rows, batch
        self.order: Any = np.empty(0, np.int64)  # of the last call, which most calls repeat
        self.part: Part | None = None

    def __call__(self, steps: int) -> None:
        """Train so many steps: the same rows again and again, as only their time counts."""
        run, rows = self.run, steps * self.batch
        if len(self.order) != rows:
            self.order = np.arange(rows) % self.rows
            if run.share is not None:
                self.part = Part.of(run.data, self.order, run.share, sizes_of(rows, self.batch))
        if self.part is None:
            run.trainer.epoch(self.order)
        else:
            trainer: Any = run.trainer
            trainer.epoch_in_parts([self.part], rows)


def measure(comm: Comm, layers: Sequence[int], rows: int, seconds: float = 10.0) -> Measured:
    """Return what training a network by these processes is made of.

    Parameters
    ----------
    comm : Comm
        The processes, all of which call this.
    layers : sequence of int
        The widths of the network, from the inputs to the outputs, two or more.
    rows : int
        The rows of a batch on each process, 1 or more.
    seconds : float
        About how long it may take, more than 0. Each time is taken at least three times.
    """
    hosts = hosts_of(comm)
    fewer = max(1, rows // FEWER)
    steppers = {n: Stepper(ALONE, layers, n) for n in sorted({fewer, rows})}
    whole = steppers[rows]
    parameters = whole.net.n_params
    works: dict[Any, Callable[[int], None]] = dict(steppers)
    if comm.size > 1:
        works["together"] = Stepper(comm, layers, rows)
    share = seconds / 2 if comm.size > 1 else seconds
    steps = taken_in_turns(comm, works, share)
    sums: dict[int, float] = {}
    link = None
    if comm.size > 1:
        sizes = sorted({*LADDER, parameters * whole.net.dtype.itemsize})
        sums = taken_in_turns(comm, {n: _summing(comm, n) for n in sizes}, share)
        link = interconnect_of(comm.size, list(sums.items()))
    alone = {n: steps[n] for n in steppers}
    engine = whole.run.engine
    return Measured(
        comm.name,
        comm.size,
        hosts,
        f"{engine.name}: {engine.about()[1]}",
        n_threads(),
        tuple(layers),
        parameters,
        rows,
        alone,
        work_of(parameters, alone),
        sums,
        link,
        steps.get("together"),
    )


def work_of(parameters: int, alone: dict[int, float]) -> Work:
    """Return the speed of a machine by the time of steps alone, by their rows."""
    fixed, of_a_row = fitted(list(alone.items()))
    if len(alone) > 1 and of_a_row > 0:
        return Work(parameters, 6 * parameters / of_a_row, fixed)
    rows = max(alone)
    return Work(parameters, 6 * parameters * rows / alone[rows])


def taken_in_turns(comm: Comm, works: dict[Any, Callable[[int], None]], seconds: float) -> dict[Any, float]:
    """Return the time of each work: it does something so many times as it is told.

    All processes do the same, at the same time. The first decides how often.
    """
    rounds: dict[Any, list[float]] = {name: [] for name in works}
    often = {}
    for name, work in works.items():
        work(1)  # what is done once: memory, threads, connections
        once = max(_slowest(comm, work, 1, 1), 1e-9)
        times = max(1, min(1000, int(A_MOMENT / once)))
        often[name] = comm.broadcast((times, max(1, min(20, int(A_WHILE / (times * once))))))
    began = time.monotonic()
    for done in range(MOST_ROUNDS):
        if comm.broadcast(done >= LEAST_ROUNDS and time.monotonic() - began > seconds):
            break
        for name, work in works.items():
            rounds[name].append(_slowest(comm, work, *often[name]))
    return {name: statistics.median(each) for name, each in rounds.items()}


def _slowest(comm: Comm, work: Callable[[int], None], times: int, calls: int) -> float:
    """Return the time of a work, the median of some calls, in the process that takes longest; all begin together."""
    comm.gather(None)
    marks = [time.perf_counter()]
    for _ in range(calls):
        work(times)
        marks.append(time.perf_counter())
    return max(comm.gather(statistics.median(b - a for a, b in itertools.pairwise(marks)))) / times


def _summing(comm: Comm, size: int) -> Callable[[int], None]:
    buffer = np.zeros(size // 4, np.float32)  # sums of zeros stay what they are

    def work(times: int) -> None:
        for _ in range(times):
            comm.sum(buffer)

    return work


def hosts_of(comm: Comm) -> tuple[Host, ...]:
    """Return the hosts of all processes, in the order of the first process on each."""
    return counted(comm.gather((socket.gethostname(), n_threads(), _cores(), _load())))


def counted(told: Iterable[tuple[str, int, Set[int], float | None]]) -> tuple[Host, ...]:
    """Return hosts by what each process has told: its host's name, its threads, cores that it may use, and the load.

    >>> for host in counted([("a", 1, frozenset([0, 1]), 0.5), ("b", 2, frozenset([0]), None), ("a", 1, {2}, 0.5)]):
    ...     print(host.name, host.processes, host.threads, host.cores, host.load)
    a 2 2 3 0.5
    b 1 2 1 None
    """
    hosts: dict[str, list[tuple[str, int, Set[int], float | None]]] = {}
    for each in told:
        hosts.setdefault(each[0], []).append(each)
    return tuple(
        Host(name, len(here), sum(h[1] for h in here), len(set[int]().union(*(h[2] for h in here))), here[0][3])
        for name, here in hosts.items()
    )


def _cores() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # on Windows
        return None
