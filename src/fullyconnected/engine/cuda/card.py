"""A GPU that CuPy computes on: its memory, its streams, and sums over the processes of a run."""

import gc
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, cast

from fullyconnected.comm.base import Comm
from fullyconnected.engine.cuda.presence import load
from fullyconnected.engine.cuda.products import HERE, Cublas, array_of
from fullyconnected.errors import ConfigError, MissingPackageError

__all__ = ["Card", "Sums", "card_of"]

THREAD = threading.local()  # what it works with on each card
IDLE: dict[Any, list[Cublas]] = {}  # what threads that have ended worked with
ABLE = 80  # the compute capability, times ten, from which on a card multiplies TF32 and bfloat16


class Borrowed(dict[Any, Cublas]):
    """What a thread works with on each card, and gives back when it ends."""

    def __del__(self) -> None:
        if IDLE is not None:  # as at the end of Python
            for key, cublas in self.items():
                IDLE.setdefault(key, []).append(cublas)


class Card:
    """A GPU, on which each thread works in a stream of its own.

    Whoever stops working waits for the card, so that another thread, in another stream, finds all that was done.

    ``precision`` is that of products of float32 matrices: ``"tf32"``, ``"bfloat16"``, or None for float32 itself.
    """

    def __init__(self, number: int, precision: str | None = None) -> None:
        self.cupy = load()
        self.device, self.precision = self.cupy.cuda.Device(number), precision
        if precision is not None and int(self.device.compute_capability) < ABLE:
            raise ConfigError(
                f"precision={precision!r} is for GPUs of compute capability {ABLE / 10} and more (Ampere, 2020); "
                f"{self.name} has {int(self.device.compute_capability) / 10}: leave precision at None"
            )
        self.array = array_of(self.cupy, precision)  # the class of its arrays

    @property
    def cublas(self) -> Cublas:
        """The products and the stream of this thread on this card, whose memory CuPy gives to the next run."""
        known = vars(THREAD).setdefault("known", Borrowed())
        key = self.cupy, self.device.id
        if key not in known:
            idle = IDLE.get(key)  # of threads that have ended
            known[key] = idle.pop() if idle else self._new()
        return cast(Cublas, known[key])

    def _new(self) -> Cublas:
        with self.device:
            stream = self.cupy.cuda.Stream(non_blocking=True)
            with stream:
                return Cublas(self.cupy, stream, int(self.device.compute_capability))

    def forget_stream(self) -> None:
        """Let this thread work in another stream from now on, since a recording has broken off in this one."""
        vars(THREAD).get("known", {}).pop((self.cupy, self.device.id), None)

    @property
    def name(self) -> str:
        """What the maker calls it."""
        return str(self.cupy.cuda.runtime.getDeviceProperties(self.device.id)["name"].decode())

    @contextmanager
    def at_work(self) -> Iterator[Cublas]:
        """Return a context in which CuPy works on this card, in the stream of this thread."""
        with self.device:
            try:
                cublas = self.cublas
                HERE.cublas.append(cublas)
                try:
                    with cublas.stream:
                        yield cublas
                        cublas.stream.synchronize()
                except BaseException:
                    with suppress(Exception):  # what has gone wrong is told, and not that the card is busy
                        cublas.stream.synchronize()
                    raise
                finally:
                    HERE.cublas.pop()
            except self.cupy.cuda.memory.OutOfMemoryError as error:
                raise ConfigError(f"the memory of {self.name} does not suffice: {error}. {LESS}") from None

    def require(self, wanted: int, what: str) -> None:
        """Raise if so many bytes of its memory are not free."""
        if wanted > self._free():
            gc.collect()  # runs that have ended
            self.cupy.get_default_memory_pool().free_all_blocks()
        if wanted > (free := self._free()):
            raise ConfigError(
                f"{what} take {wanted / 1e9:.3g} GB of the memory of {self.name}, of which {free / 1e9:.3g} GB are "
                f"free. {LESS}"
            )

    def _free(self) -> int:
        return int(self.cupy.cuda.runtime.memGetInfo()[0])


LESS = "A smaller batch_size takes less for a step, and rows from a source with window= are never all there"


def card_of(comm: Comm | None, precision: str | None = None) -> Card:
    """Return the card of this process: CuPy's current one, or of several processes on a machine one for each."""
    cupy = load()
    if comm is None:
        return Card(cupy.cuda.Device().id, precision)
    here = socket.gethostname(), os.environ.get("CUDA_VISIBLE_DEVICES")
    everywhere, there = comm.gather(here), cupy.cuda.runtime.getDeviceCount()
    number = everywhere[: comm.rank].count(here)
    if (beside := everywhere.count(here)) > there:
        raise ConfigError(
            f"each process takes a GPU of its own: {beside} processes run on {here[0]}, which has {there}. Start one "
            f"process for each GPU"
        )
    cupy.cuda.Device(number).use()  # also for predictions in between
    return Card(number, precision)


class Sums:
    """Sums over the cards of all processes, by NCCL, in the stream of the thread."""

    def __init__(self, card: Card, comm: Comm) -> None:
        nccl: Any = None
        try:
            nccl = getattr(card.cupy.cuda, "nccl", None) or import_module("cupy.cuda.nccl")
            available = bool(nccl.available)
        except ImportError:
            available = False
        if not all(comm.gather(available)):
            raise MissingPackageError(
                "several processes with engine='cuda' add up their gradients by NCCL, which CuPy does not find: "
                "pip install nvidia-nccl-cu12"
            )
        self.nccl = nccl
        # All processes would have to record at once to tell each other of their memory, and one may record anew alone.
        os.environ.setdefault("NCCL_GRAPH_REGISTER", "0")
        self.types = {"float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64, "int64": nccl.NCCL_INT64}
        number = comm.broadcast(nccl.get_unique_id() if comm.rank == 0 else None)
        with card.device, comm.waiting():
            self.of_cards = nccl.NcclCommunicator(comm.size, number, comm.rank)

    def end(self) -> None:
        """End, after all graphs that have sums in them, for which NCCL would wait."""
        self.of_cards.destroy()

    def __call__(self, buffer: Any) -> None:
        """Replace the numbers of an array by their sums over all cards, in place."""
        at = buffer.data.ptr
        self.of_cards.allReduce(
            at, at, buffer.size, self.types[str(buffer.dtype)], self.nccl.NCCL_SUM, HERE.cublas[-1].stream.ptr
        )
