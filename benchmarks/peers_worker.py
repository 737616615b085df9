"""One process for each contender, which is stopped except during its turn.

The benchmark imports this module for ``started``, and ``Worker`` runs it as the process.
"""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np
from peers_case import Absent, Case, Product, Slice

__all__ = ["Worker", "one_round", "started"]

AGAIN = 5  # how often a measurement is repeated at most
OTHERS = 0.08  # it is repeated if other programs used more than this share of a processor
MOST = 60_000  # steps per call, at most


class Worker:
    """The benchmark's end of a process, which runs only while it answers a request."""

    def __init__(self, where: str, threads: int) -> None:
        self.pipe, end = Pipe()
        command = [sys.executable, __file__, str(end.fileno()), where, str(threads)]
        self.process = subprocess.Popen(command, pass_fds=[end.fileno()])
        end.close()  # so that recv fails if the process dies
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, what: str, argument: Any = None) -> Any:
        """Let the process continue until it has answered; return ``Absent`` if it cannot."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.pipe.send((what, argument))
            answer = self.pipe.recv()
        except (EOFError, OSError):
            return Absent(f"its process ended with {self.process.wait()}")
        self.process.send_signal(signal.SIGSTOP)
        return answer


@contextmanager
def started(contenders: dict[str, str], threads: int) -> Iterator[dict[str, Worker]]:
    """Start the contenders' processes; kill them at the end, since a stopped process reacts to no other signal."""
    workers = {name: Worker(where, threads) for name, where in contenders.items()}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.process.wait()


def one_round(workers: dict[str, Worker], names: Collection[str], what: str) -> Iterator[tuple[str, Slice]]:
    """Time contenders, each once, in a random order; end the benchmark of ``what`` if one of them fails."""
    for name in random.sample(list(names), len(names)):
        answer = workers[name].ask("slice")
        if isinstance(answer, Absent):
            sys.exit(f"{name}, {what}: {answer.reason}")
        yield name, answer


class Timer:
    """Times a contender on a case, inside the process."""

    def __init__(self, where: str, case: Case | Product) -> None:
        module, name = where.split(".")
        __import__(module)
        self.before = most_memory()
        self.case, self.contender = case, getattr(importlib.import_module(module), name)(case)
        self.work = getattr(self.contender, case.job)
        self.argument, self.steps, self.calls = getattr(case, "x", None), 1, 1

    def check(self, _: None) -> Any:
        """Return the losses of three steps or the predictions, which must be equal for all, or why they differ."""
        if why := getattr(self.contender, "differs", None):
            return why
        if self.case.job == "predict":
            return self.work(self.case.x)
        return [float(self.work(rows)) for rows in self.case.order(3).reshape(3, -1)]

    def fill(self, seconds: float) -> None:
        """Find how many steps per call, and how many calls, take this time; at least three steps."""
        if self.case.job == "train":
            self.take(3)
        while (took := self.timed()) < seconds / 3 and self.case.job == "train" and self.steps < MOST:
            self.take(min(self.steps * 8, max(self.steps * 2, int(self.steps * seconds / took)), MOST))
        self.calls = max(1, round(seconds / took))

    def take(self, steps: int) -> None:
        whole = getattr(self.contender, "whole", 1)  # some contenders run only multiples of this number of steps
        self.steps = -(-steps // whole) * whole
        self.argument = self.case.order(self.steps)
        self.timed()  # some contenders compile for each number of steps

    def timed(self) -> float:
        began = time.perf_counter()
        for _ in range(self.calls):
            self.work(self.argument)
        return time.perf_counter() - began

    def us(self) -> float:
        """Return the microseconds of a step or a prediction."""
        return self.timed() / self.steps / self.calls * 1e6

    def memory(self, _: None) -> float:
        """Return how much more memory than before the case the process has held, in MiB."""
        return most_memory() - self.before

    def slice(self, _: None) -> Slice:
        spoilt = 0
        while True:
            before, began = others(), time.perf_counter()
            us, most = self.us(), OTHERS * (time.perf_counter() - began) + 0.02  # the kernel's clock ticks are 0.01 s
            if others() - before < most or spoilt == AGAIN:
                return Slice(us, spoilt)
            spoilt += 1
            time.sleep(0.1)


class ProductTimer(Timer):
    """Times a contender on a product, the fastest of many, since the native engine tells no other time of one."""

    def check(self, _: None) -> str | None:
        a, b = self.case.factors()
        self.work(1)
        return None if np.array_equal(self.contender.c, a.astype(np.float64) @ b) else "its product is wrong"

    def fill(self, seconds: float) -> None:
        self.calls = max(3, round(seconds / self.work(3)))

    def us(self) -> float:
        return self.work(self.calls) * 1e6

    def about(self, _: None) -> str:
        return self.contender.about


def most_memory() -> float:
    """Return the most memory that the process has held so far, in MiB; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def others() -> float:
    """Return the seconds of processor time that other programs have used; 0 where the system does not tell."""
    try:
        user, nice, system, _, _, irq, softirq, steal = map(
            int, Path("/proc/stat").read_text(encoding="utf-8").split(maxsplit=9)[1:9]
        )
    except OSError:
        return 0.0
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()


def main() -> None:
    end, where, threads = sys.argv[1:]
    pipe, timer = Connection(int(end)), None
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    while True:
        what, argument = pipe.recv()
        answer = None
        try:
            if what == "load":
                timer = None  # frees the memory of the previous case
                timer = (ProductTimer if isinstance(argument, Product) else Timer)(where, argument)
            else:
                answer = getattr(timer, what)(argument)
        except Exception as error:
            answer = Absent(f"{type(error).__name__}: {error}".partition("\n")[0])
        pipe.send(answer)


if __name__ == "__main__":
    main()
