"""Processes that train together, played by threads: what a test can look into."""

import pickle
import threading

import fullyconnected as fc
from fullyconnected.comm.base import Comm


class Group:
    """So many threads, each of which runs one function with a :class:`Comm` of its own."""

    def __init__(self, size):
        self.size, self.all_here, self.given = size, threading.Barrier(size), [None] * size
        self.sums = 0

    def run(self, work):
        """Return what ``work(comm)`` returns in each thread, or raise what it raises in the first one that fails."""
        results, errors = [None] * self.size, [None] * self.size

        def one(rank):
            try:
                results[rank] = work(Member(self, rank))
            except BaseException as error:
                errors[rank] = error
                self.all_here.abort()

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        errors = [e for e in errors if e is not None]
        for error in sorted(errors, key=lambda e: isinstance(e, threading.BrokenBarrierError)):
            raise error
        return results


class Member(Comm):
    name = "threads"

    def __init__(self, group, rank):
        super().__init__()
        self.group, self.rank, self.size = group, rank, group.size

    def sum(self, buffer):
        total = buffer.copy()
        total[...] = 0
        for each in self.gather(buffer.copy()):
            total += each
        buffer[...] = total
        self.group.sums += self.rank == 0

    def gather(self, value):
        group = self.group
        group.given[self.rank] = pickle.dumps(value)
        group.all_here.wait(60)
        found = [pickle.loads(each) for each in group.given]
        group.all_here.wait(60)
        return found

    def broadcast(self, value):
        return self.gather(value)[0]


def fit_together(size, make, x, t, *args, **settings):
    """Return the networks and histories of so many processes that train the network that ``make()`` returns."""

    def work(comm):
        net = make()
        return net, fc.fit(net, x, t, *args, comm=comm, progress=False, **settings)

    return Group(size).run(work)
