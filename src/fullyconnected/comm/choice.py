"""The choice of the processes that train together, and the comparison of what they were given."""

from collections.abc import Mapping
from typing import Any

from fullyconnected.comm.base import ALONE, Comm
from fullyconnected.comm.launchers import started_by_mpi, started_by_torch
from fullyconnected.comm.mpi import MPIComm
from fullyconnected.comm.torch import TorchComm
from fullyconnected.errors import ConfigError, InputTypeError, nearest

__all__ = ["COMMS", "at_work", "choose", "require_same"]

COMMS = {"mpi": MPIComm, "torch": TorchComm}


MADE: dict[str, Comm] = {}  # by name: the first of each kind changes what happens when this process fails


def _made(name: str) -> Comm:
    if name not in MADE:
        MADE[name] = COMMS[name]()
    return MADE[name]


def at_work() -> Comm:
    """Return the processes that were chosen by name in this one, if there are several; else this process alone."""
    return next((comm for comm in MADE.values() if comm.size > 1), ALONE)


def choose(comm: Any) -> Comm:
    """Return the processes that are meant by ``comm``: None, a :class:`Comm`, ``"auto"``, ``"mpi"`` or ``"torch"``."""
    if comm is None:
        return ALONE
    if isinstance(comm, Comm):
        return comm
    if not isinstance(comm, str):
        raise InputTypeError(
            f'comm is "auto", "mpi", "torch", an object such as fc.MPIComm(), or None; got {comm!a:.80}'
        )
    if comm == "auto":
        if started_by_torch():
            return _made("torch")
        return _made("mpi") if started_by_mpi()[1] > 1 else ALONE
    if comm not in COMMS:
        raise nearest("comm", comm, ("auto", *COMMS))
    return _made(comm)


def require_same(comm: Comm, given: Mapping[str, str]) -> None:
    """Raise in all processes if they were given different things; ``given`` describes them, each by a name."""
    if comm.size == 1:
        return
    of_all = comm.gather(dict(given))
    for rank, other in enumerate(of_all):
        for name in dict.fromkeys([*of_all[0], *other]):
            first, its = of_all[0].get(name, "nothing"), other.get(name, "nothing")
            if first != its:
                raise ConfigError(
                    f"the {comm.size} processes were not given the same: {name} is {first:.200} in process 0, and "
                    f"{its:.200} in process {rank}. Each must be started with the same program, settings and data"
                )
