"""Which launcher has started this process: what each leaves in the environment."""

import os
import sys
from collections.abc import Mapping

__all__ = ["HERE", "SIZES", "TORCH", "is_worker", "started_by_mpi", "started_by_torch"]

# The variables that say how many processes were started: of Open MPI, of MPICH, Intel MPI and MS-MPI, of Cray's PALS,
# of Flux, and of Slurm's srun (which sets none of a step in the script of a batch job itself).
SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PALS_NRANKS", "FLUX_JOB_SIZE", "SLURM_STEP_NUM_TASKS")
# What the process leaves that a launcher has started: one that it starts itself inherits all variables, and is none of
# those that train together.
HERE = "FULLYCONNECTED_PROCESS"
TORCH = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE")  # what torch.distributed reads


def started_by_mpi(environment: Mapping[str, str] = os.environ) -> tuple[str | None, int]:
    """Return the variable by which an MPI launcher shows, or None, and how many processes it has started.

    >>> started_by_mpi({"OMPI_COMM_WORLD_SIZE": "4"})
    ('OMPI_COMM_WORLD_SIZE', 4)
    >>> started_by_mpi({})
    (None, 1)
    """
    if is_worker() or environment.get(HERE, str(os.getpid())) != str(os.getpid()):
        return None, 1
    for name in SIZES:
        if (text := environment.get(name, "")).isdigit():
            return name, int(text)
    return None, 1


def is_worker() -> bool:
    """Whether this process is a worker of multiprocessing or joblib, whose launcher has started their parent."""
    # not imported here: a worker has the module; joblib's own workers (loky) are workers of multiprocessing, too
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def started_by_torch(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun has started several processes, or ``torch.distributed`` is at work in this one already."""
    if all(name in environment for name in TORCH) and not is_worker() and environment["WORLD_SIZE"] != "1":
        return True
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and bool(distributed.is_available() and distributed.is_initialized())
