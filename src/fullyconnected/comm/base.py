"""What processes that train one network together need of each other, and a watch over their waiting."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Self, TypeVar

from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import number
from fullyconnected.errors import ConfigError, InputTypeError

__all__ = ["ALONE", "TEMPORARY_FAILURE", "TIMEOUT", "Comm", "say"]

TEMPORARY_FAILURE = 75  # EX_TEMPFAIL of sysexits.h: a scheduler may start the job again
TIMEOUT = 300.0  # seconds
T = TypeVar("T")
LONGEST_NAP = 1.0  # seconds between two looks of the watch


class Comm:
    """A group of processes that train one network together, each of which calls the same functions in the same order.

    This class itself is a group of one. Another has the five methods below, and is given as ``fc.fit(..., comm=...)``.
    Every method but ``abort`` is called by all processes at the same place, and returns when all of them have called
    it. A process that waits longer than the timeout for the others ends, with exit status 75 (EX_TEMPFAIL), so that
    one that is stopped or lost does not keep the rest of the job waiting.

    Parameters
    ----------
    timeout : float, optional
        Seconds that a process waits for the others, more than 0. By default the environment variable
        ``FULLYCONNECTED_TIMEOUT``, and 300 without it. It must be longer than the slowest process reads its rows, or
        writes a checkpoint.

    Attributes
    ----------
    rank, size : int
        The number of this process, from 0, and how many there are.

    Examples
    --------
    >>> alone = Comm()
    >>> alone.rank, alone.size, alone.gather("here")
    (0, 1, ['here'])
    """

    name: ClassVar[str] = "alone"
    rank: int = 0
    size: int = 1

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = None if timeout is None else number("timeout", timeout, above=True)
        self._watch: Watch | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rank {self.rank} of {self.size})"

    def __deepcopy__(self, memo: object) -> Self:
        return self  # processes are not copied where an estimator is

    @property
    def timeout(self) -> float:
        """Seconds that a process waits for the others."""
        if self._timeout is None:
            self._timeout = _timeout_of(os.environ.get("FULLYCONNECTED_TIMEOUT"))
        return self._timeout

    def sum(self, buffer: Array) -> None:
        """Replace the numbers of a vector (float32, float64 or int64) by their sums over all processes, in place."""

    def gather(self, value: T) -> list[T]:
        """Return what all processes give, in the order of their ranks. It is pickled: small things only."""
        return [value]

    def broadcast(self, value: T) -> T:
        """Return what process 0 gives; what the others give is not looked at."""
        return value

    def abort(self, status: int) -> None:
        """End all processes at once, with this exit status."""
        os._exit(status)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """End the job if what is done within takes longer than the timeout."""
        if self._watch is None:
            self._watch = Watch(self)
        self._watch.since = time.monotonic()
        try:
            yield
        finally:
            self._watch.since = None


ALONE = Comm()


class Watch:
    """A thread that ends the job when this process waits too long for the others.

    Waiting itself is left to the library that does it, which is faster than to ask it time and again.
    """

    def __init__(self, comm: Comm) -> None:
        self.comm, self.timeout = comm, comm.timeout  # which raises here, if it cannot be read
        self.since: float | None = None
        threading.Thread(target=self.look, name="fullyconnected-watch", daemon=True).start()

    def look(self) -> None:
        """Look now and then how long this process has been waiting.

        What counts is the sum of the naps, not the clock: the job may have been suspended, and gone on with.
        """
        comm, nap, waited, before = self.comm, min(LONGEST_NAP, self.timeout / 4), 0.0, self.since
        while True:
            time.sleep(nap)
            since = self.since
            waited = waited + nap if since is not None and since == before else 0.0
            before = since
            if waited >= self.timeout:
                say(
                    f"process {comm.rank} of {comm.size} has waited {self.timeout:g} s for the others, of which one is "
                    f"stopped, lost or slow. The job ends with status {TEMPORARY_FAILURE}: start it again, and it goes "
                    f"on from its checkpoint, if it has one. (FULLYCONNECTED_TIMEOUT=600 would wait for 600 s)"
                )
                comm.abort(TEMPORARY_FAILURE)


def say(text: str) -> None:
    """Write a last line to the standard error, where that is still open."""
    try:
        sys.stderr.write(f"fullyconnected: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


def _timeout_of(text: str | None) -> float:
    """Return the timeout that the environment gives."""
    if text is None:
        return TIMEOUT
    try:
        return number("FULLYCONNECTED_TIMEOUT", float(text), above=True)
    except (ValueError, InputTypeError):
        raise ConfigError(f"FULLYCONNECTED_TIMEOUT is a number of seconds, more than 0; got {text!r}") from None
