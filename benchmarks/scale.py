"""Measure steps of one process and of several that share a batch, in turns, beside the model of docs/scale.md.

    OMP_NUM_THREADS=1 mpiexec -n 4 python benchmarks/scale.py [--rounds 15] [--quick]

The batch is the same for any number of processes, 1, 2, 4, ... up to those that are started; each has one thread, and
one process is also measured with two. The processes that have no part in a measurement sleep. What the model needs is
measured in the same rounds: steps of one process with fewer rows, and sums of several sizes over each number of
processes. Where processes are more than cores, the model is told that each has its part of a core alone. Times are
medians of the rounds, and beside them the lowest of all, which other programs have disturbed least. How many times as
fast a step is as that of one process is taken round by round: the median, and the lowest and highest of the rounds.
float32, Adam.
"""

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import processor

import fullyconnected as fc
from fullyconnected.comm import model
from fullyconnected.comm.measure import Stepper, work_of

CASES: list[tuple[list[int], tuple[int, ...]]] = [
    ([64, 64, 10], (128, 4096)),
    ([256, 128, 10], (512,)),
    ([784, 512, 512, 10], (256, 4096)),
]
HEAD = [
    *("network", "batch", "processes", "a step, ms", "by the model", "model / measured"),
    *("lowest, ms", "by the model", "model / lowest", "times as fast as one", "by the lowest"),
]
QUICK: list[tuple[list[int], tuple[int, ...]]] = [([64, 64, 10], (128,))]
SUMS = (4_000, 64_000, 1_000_000, 16_000_000)  # bytes, besides those of the network
A_MOMENT, A_WHILE = 0.001, 0.05  # seconds: of a call that a clock times well, and of a measurement
Works = dict[Any, tuple[int, Callable[[int], None] | None]]


class Turns:
    """Measurements that so many of all processes take together, one after another, while the others sleep."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.sizes = [w for w in (2**n for n in range(10)) if w <= world.size]
        self.comms = {w: self.first(w) for w in self.sizes}

    def first(self, w: int) -> fc.Comm | None:
        """Return the first so many processes, or None if this one is not among them."""
        part = self.world.Split(0 if self.world.rank < w else 1)
        if self.world.rank >= w:
            return None
        return fc.Comm() if w == 1 else fc.MPIComm(part)

    def together(self) -> None:
        """Wait for all, asleep: a process that waits for MPI would take a core from those that are measured."""
        request = self.world.Ibarrier()
        while not request.Test():
            time.sleep(0.002)

    def once(self, w: int, work: Callable[[int], None] | None, times: int, calls: int) -> tuple[float, float]:
        """Return the time of a work by ``w`` processes, of the slowest: the median of the calls, and the least."""
        self.together()
        took = [0.0]
        if self.world.rank < w and work is not None:
            marks = [time.perf_counter()]
            for _ in range(calls):
                work(times)
                marks.append(time.perf_counter())
            took = [(b - a) / times for a, b in itertools.pairwise(marks)]
        self.together()
        median, least = zip(*self.world.allgather((statistics.median(took), min(took))), strict=True)
        return max(median), max(least)

    def measured(self, works: Works, rounds: int) -> dict[Any, list[tuple[float, float]]]:
        """Return the times of all works, each in all rounds."""
        often = {}
        for name, (w, work) in works.items():
            self.once(w, work, 1, 1)
            _, took = self.once(w, work, 1, 3)
            times = max(1, min(1000, int(A_MOMENT / took)))
            often[name] = times, max(3, min(50, int(A_WHILE / (times * took))))
        found: dict[Any, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, (w, work) in works.items():
                found[name].append(self.once(w, work, *often[name]))
        return found


def compare(turns: Turns, layers: list[int], batch: int, rounds: int, cores: int) -> None:
    """Measure a network with a batch, and print a line for each number of processes."""
    works: Works = {}
    few = sorted({batch // w for w in (*turns.sizes, 4)})
    alone = turns.comms[1]
    for rows in few:
        works["rows", rows] = 1, alone and Stepper(alone, layers, rows, 1)
    n_params = fc.mlp(layers, seed=0).n_params
    for w in turns.sizes[1:]:
        comm = turns.comms[w]
        works["step", w] = w, comm and Stepper(comm, layers, batch // w, 1)
        for size in sorted({*SUMS, 4 * n_params}):
            works["sum", w, size] = w, comm and summing(comm, size)
    if cores > 1:
        works["threads", 2] = 1, alone and Stepper(alone, layers, batch, 2)
    times = turns.measured(works, rounds)
    if turns.world.rank:
        return
    middle = {name: statistics.median(median for median, _ in each) for name, each in times.items()}
    lowest = {name: min(least for _, least in each) for name, each in times.items()}

    def line(processes: str, name: Any, w: int | None) -> None:
        cells = [f"{'-'.join(map(str, layers))}", f"{batch}", processes]
        for took in (middle, lowest):
            said = None if w is None else expected(took, w, n_params, few, cores)
            cells += [f"{1e3 * took[name]:.3g}"]
            cells += ["", ""] if said is None else [f"{1e3 * said:.3g}", f"{said / took[name]:.2f}"]
        one = times["rows", batch]
        ratios = sorted(a[0] / b[0] for a, b in zip(one, times[name], strict=True))
        cells += [f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"]
        cells += [f"{lowest['rows', batch] / lowest[name]:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)

    line("1", ("rows", batch), 1)
    if cores > 1:
        line("1, with 2 threads", ("threads", 2), None)
    for w in turns.sizes[1:]:
        line(str(w), ("step", w), w)


def expected(took: dict[Any, float], w: int, n_params: int, few: list[int], cores: int) -> float:
    """Return what the model says of a step of ``w`` processes, by what one process and sums have taken."""
    work = work_of(n_params, {rows: took["rows", rows] for rows in few})
    if w == 1:
        return model.compute(few[-1], work)
    link = model.interconnect_of(w, [(name[2], each) for name, each in took.items() if name[:2] == ("sum", w)])
    shared = max(1.0, w / cores)
    return model.step(w, few[-1] / w, work._replace(flops=work.flops / shared, fixed=work.fixed * shared), link)


def summing(comm: fc.Comm, size: int) -> Callable[[int], None]:
    """Return what sums so many bytes over all processes."""
    buffer = np.zeros(size // 4, np.float32)

    def work(times: int) -> None:
        for _ in range(times):
            comm.sum(buffer)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="the smallest network alone")
    given = parser.parse_args()
    from mpi4py import MPI  # after --help

    turns = Turns(MPI.COMM_WORLD)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    if not turns.world.rank:
        library = MPI.Get_library_version().partition(",")[0].strip("\0 ")
        print(f"{processor()}, {cores} cores, load average {load}; {library}; {given.rounds} rounds")
        print(f"| {' | '.join(HEAD)} |\n| --- | ---: | --- |{' ---: |' * (len(HEAD) - 3)}", flush=True)
    for layers, batches in QUICK if given.quick else CASES:
        for batch in batches:
            compare(turns, layers, batch, given.rounds, cores)
    if not turns.world.rank and hasattr(os, "getloadavg"):
        print("load average at the end: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))


if __name__ == "__main__":
    main()
