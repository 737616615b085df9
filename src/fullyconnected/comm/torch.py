"""Processes that ``torchrun``, Ray Train or Spark's TorchDistributor has started, which speak by torch.distributed."""

import os
from datetime import timedelta
from typing import Any, ClassVar

from fullyconnected.comm.base import Comm, T
from fullyconnected.comm.launchers import TORCH
from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError, missing

__all__ = ["TorchComm"]


class TorchComm(Comm):
    """The processes of a group of ``torch.distributed``, such as all that torchrun or Ray Train has started.

    Numbers lie in the memory of the host and are summed by gloo, also where the group itself works on GPUs.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, optional
        By default all processes.
    timeout : float, optional
        As for :class:`fullyconnected.Comm`.

    Raises
    ------
    MissingPackageError
        If PyTorch is not installed.
    ConfigError
        If no launcher has started this process.
    """

    name: ClassVar[str] = "torch"

    def __init__(self, group: object | None = None, *, timeout: float | None = None) -> None:
        super().__init__(timeout)
        try:
            import torch
            import torch.distributed as distributed
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "torch":
                raise
            raise missing("torch", "torch", 'comm="torch"') from None
        if not distributed.is_available():
            raise ConfigError("this PyTorch was built without torch.distributed")
        longer = timedelta(seconds=2 * self.timeout)  # than the watch waits, which says more when it ends the job
        if not distributed.is_initialized():
            if not all(name in os.environ for name in TORCH):
                raise ConfigError(
                    'comm="torch" is for processes that torchrun or the like has started, and this one was started '
                    'alone: run  torchrun --nproc-per-node 4 train.py. comm="auto" trains alone without a launcher'
                )
            distributed.init_process_group("gloo", timeout=longer)
        if distributed.get_backend(group) != "gloo":
            ranks = None if group is None else distributed.get_process_group_ranks(group)
            group = distributed.new_group(ranks, backend="gloo", timeout=longer)
        self._torch, self._distributed, self._group = torch, distributed, group
        self.rank, self.size = distributed.get_rank(group), distributed.get_world_size(group)

    def sum(self, buffer: Array) -> None:
        with self.waiting():
            self._distributed.all_reduce(self._torch.from_numpy(buffer), group=self._group)  # which shares its memory

    def gather(self, value: T) -> list[T]:
        found: list[Any] = [None] * self.size
        with self.waiting():
            self._distributed.all_gather_object(found, value, group=self._group)
        return found

    def broadcast(self, value: T) -> T:
        found = [value]  # of all but the first process, it is overwritten
        first = 0 if self._group is None else self._distributed.get_global_rank(self._group, 0)
        with self.waiting():
            self._distributed.broadcast_object_list(found, src=first, group=self._group)
        return found[0]
