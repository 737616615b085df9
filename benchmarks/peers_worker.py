"""A process of its own for each contender, which is stopped whenever it is not its turn.

Run as a program it is that process; imported it is the end that the benchmark holds.
"""

import importlib
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from peers_case import Absent, Case, Slice

__all__ = ["Worker"]

AGAIN = 5  # times at most that a slice is timed again in which other programs took more than OTHERS of a processor
OTHERS = 0.08
MOST = 60_000  # steps a call


class Worker:
    """The process, from outside: its threads run only while it is asked something."""

    def __init__(self, where: str, threads: int) -> None:
        self.pipe, end = Pipe()
        command = [sys.executable, __file__, str(end.fileno()), where, str(threads)]
        self.process = subprocess.Popen(command, pass_fds=[end.fileno()])
        end.close()  # so that a process that dies is noticed
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, what: str, argument: Any = None) -> Any:
        """Let it go on until it has answered; ``Absent`` says why it cannot."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.pipe.send((what, argument))
            answer = self.pipe.recv()
        except (EOFError, OSError):
            return Absent(f"its process ended with {self.process.wait()}")
        self.process.send_signal(signal.SIGSTOP)
        return answer


class Timer:
    """A contender at work on a case, inside the process."""

    def __init__(self, where: str, case: Case) -> None:
        module, name = where.split(".")
        self.case, self.contender = case, getattr(importlib.import_module(module), name)(case)
        self.work = getattr(self.contender, case.job)
        self.argument, self.steps, self.calls = case.x, 1, 1

    def check(self, _: None) -> Any:
        """Return what all must agree on, the losses of three steps or the predictions, or why they cannot."""
        if why := getattr(self.contender, "differs", None):
            return why
        if self.case.job == "predict":
            return self.work(self.case.x)
        return [float(self.work(rows)) for rows in self.case.order(3).reshape(3, -1)]

    def fill(self, seconds: float) -> None:
        """Find how many steps a call, and how many calls, fill this time; at least three steps."""
        if self.case.job == "train":
            self.take(3)
        while (took := self.timed()) < seconds / 3 and self.case.job == "train" and self.steps < MOST:
            self.take(min(self.steps * 8, max(self.steps * 2, int(self.steps * seconds / took)), MOST))
        self.calls = max(1, round(seconds / took))

    def take(self, steps: int) -> None:
        whole = getattr(self.contender, "whole", 1)  # a call of some is so many steps, or a multiple of them
        self.steps = -(-steps // whole) * whole
        self.argument = self.case.order(self.steps)
        self.timed()  # what is compiled anew for a number of steps is compiled here

    def timed(self) -> float:
        began = time.perf_counter()
        for _ in range(self.calls):
            self.work(self.argument)
        return time.perf_counter() - began

    def slice(self, _: None) -> Slice:
        spoilt = 0
        while True:
            before = others()
            seconds = self.timed()
            if others() - before < OTHERS * seconds + 0.02 or spoilt == AGAIN:  # the kernel counts in 0.01 s
                return Slice(seconds / self.steps / self.calls * 1e6, spoilt)
            spoilt += 1
            time.sleep(0.1)


def others() -> float:
    """Return the seconds of processor time that other programs have taken; 0 where the system does not say."""
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
                timer = None  # gives the case before back first
                timer = Timer(where, argument)
            else:
                answer = getattr(timer, what)(argument)
        except Exception as error:
            answer = Absent(f"{type(error).__name__}: {error}".partition("\n")[0])
        pipe.send(answer)


if __name__ == "__main__":
    main()
