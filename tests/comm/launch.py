"""Real processes that speak by MPI: where ``mpiexec`` is, and a run of it that cannot outlive its test."""

import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

__all__ = ["MPIS", "TCP", "end_of", "mpiexec", "run", "start"]

WORDS = {"openmpi": ("open mpi", "openrte", "prte"), "mpich": ("hydra", "mpich")}  # in what `mpiexec --version` says
# As many processes as a test wants, on any number of cores; no core is kept for one, as other tests run here, too.
OPTIONS = {"openmpi": ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"], "mpich": []}
MPIS = tuple(OPTIONS)
# Both wheels have a program of the same name, so that MPICH's has a folder of its own in the environment (Makefile).
MPICH = Path(sys.prefix) / "mpich"
VARIABLES = {"openmpi": {}, "mpich": {"LD_LIBRARY_PATH": str(MPICH / "lib"), "MPI4PY_MPIABI": "mpich"}}
TCP = {  # over the loopback, as between machines, in place of shared memory
    "openmpi": {"OMPI_MCA_btl": "tcp,self", "OMPI_MCA_btl_tcp_if_include": "lo", "OMPI_MCA_pml": "ob1"},
    "mpich": {"MPIR_CVAR_NOLOCAL": "1", "FI_PROVIDER": "tcp"},
}


@cache
def mpiexec(mpi="openmpi"):
    """Return the launcher of an MPI: the one of a wheel, beside Python, or one on PATH; None if there is none."""
    beside = os.pathsep.join(map(str, (MPICH / "bin", Path(sys.executable).parent)))
    found = [
        shutil.which(name, path=str(folder)) for folder in beside.split(os.pathsep) for name in ("mpiexec", "mpirun")
    ]
    found += [shutil.which(name) for name in (f"mpiexec.{mpi}", "mpiexec", "mpirun")]
    for program in filter(None, found):
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout.lower()
        if any(word in said for word in WORDS[mpi]):
            return program
    return None


def start(n, script_or_args, *, mpi="openmpi", env=None):
    """Start ``n`` processes of Python; skip the test if there is no MPI to start them.

    ``script_or_args`` is the path of a script, or all arguments of Python; ``env`` is added to the environment, from
    which None removes a variable. Each process has one thread.
    """
    if os.name != "posix":
        pytest.skip("processes are started by mpiexec on POSIX systems alone")
    program = None if find_spec("mpi4py") is None else mpiexec(mpi)
    if program is None:
        reason = f"needs mpi4py, and an mpiexec of {mpi}, beside Python or on PATH: pip install mpi4py {mpi}"
        if os.environ.get("FULLYCONNECTED_REQUIRE_MPI", "0") not in ("", "0"):
            pytest.fail(reason)
        pytest.skip(reason)
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **VARIABLES[mpi], **(env or {})}
    arguments = [script_or_args] if isinstance(script_or_args, str | os.PathLike) else script_or_args
    return subprocess.Popen(
        [program, *OPTIONS[mpi], "-n", str(n), sys.executable, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={name: value for name, value in variables.items() if value is not None},
        start_new_session=True,
    )


def run(n, script_or_args, *, mpi="openmpi", timeout=60, env=None):
    """Return what became of ``n`` processes of Python, which :func:`start` starts.

    Processes that take longer than the timeout (seconds) are ended, and the test fails.
    """
    return end_of(start(n, script_or_args, mpi=mpi, env=env), timeout)


def end_of(job, timeout=60):
    """Return what became of a job; if it takes longer than the timeout (seconds), it is ended, and the test fails."""
    try:
        out, err = job.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        out, err = _ended(job)
        pytest.fail(f"the processes took more than {timeout} s\n{out}\n{err}")
    except BaseException:  # Ctrl-C
        _ended(job)
        raise
    return subprocess.CompletedProcess(job.args, job.returncode, out, err)


def _ended(job):
    """End a job, and return what it has said: the launcher ends its processes when it is asked to."""
    job.send_signal(signal.SIGTERM)
    try:
        return job.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        return job.communicate()
