"""Real processes, started by a real mpiexec, train together, are killed, stopped and started again."""

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from tests.comm import case
from tests.comm.launch import MPIS, TCP, end_of, run, start

CASE = case.__file__
LOSS, SETTINGS = "half_squared_error", {"epochs": 2, "batch_size": 32, "seed": 3, "progress": False, "warn": False}
DEATH = 10  # seconds in which a job must have ended


@pytest.fixture(scope="module")
def alone():
    """Return the network that one process trains, its history, and the way that the weights have gone."""
    x, t = case.rows()
    net = case.network()
    start = net.theta.copy()
    history = fc.fit(net, x, t, LOSS, fc.Adam(0.01), n_threads=1, **SETTINGS)
    return net, history, float(np.linalg.norm(net.theta - start))


def trained(folder, size):
    """Return what all processes have at the end, and require that it is the same in every bit."""
    found = [np.load(folder / f"rank-{rank}.npz") for rank in range(size)]
    for each in found:
        assert each["size"] == size
        for name in ("theta", "state", "loss"):
            assert np.array_equal(each[name], found[0][name])
    return found[0]


def processes(folder):
    """Return the process of each rank that has begun."""
    return {int(path.name.split("-")[1]): int(path.name.split("-")[2]) for path in folder.glob("pid-*")}


def lives(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False


def assert_no_orphan(folder):
    end = time.monotonic() + DEATH
    while any(map(lives, processes(folder).values())):
        assert time.monotonic() < end, f"of {processes(folder)} some live on"
        time.sleep(0.05)


@pytest.mark.parametrize(("mpi", "size"), [("openmpi", 1), ("openmpi", 3), ("openmpi", 8), ("mpich", 2), ("mpich", 4)])
def test_the_result_is_that_of_one_process(mpi, size, alone, tmp_path):
    done = run(size, [CASE, tmp_path, "comm='mpi'"], mpi=mpi)
    assert done.returncode == 0, done.stderr
    net, history, way = alone
    found = trained(tmp_path, size)
    assert np.abs(found["theta"] - net.theta).max() <= 1e-6 * way
    np.testing.assert_allclose(found["loss"], history.loss, rtol=1e-5)


@pytest.mark.parametrize("mpi", MPIS)
def test_over_tcp_and_again_with_the_same_bits(mpi, alone, tmp_path):
    found = []
    for _ in range(2):
        assert run(3, [CASE, tmp_path], mpi=mpi, env=TCP[mpi]).returncode == 0
        found.append(trained(tmp_path, 3)["theta"])
    assert np.array_equal(*found)
    assert np.abs(found[0] - alone[0].theta).max() <= 1e-6 * alone[2]


def test_files_of_parquet_of_uneven_row_groups(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    x, t = case.rows()
    table = pa.table({**{f"c{i}": x[:, i] for i in range(case.N)}, "t": t})
    with pq.ParquetWriter(tmp_path / "rows.parquet", table.schema) as writer:
        at = 0
        for rows in (100, 1, 299, 150, 50):
            writer.write_table(table.slice(at, rows), row_group_size=rows)
            at += rows
    net = case.network()
    begin = net.theta.copy()
    how = {**SETTINGS, "streams": 4, "window": 128, "epochs": 3}
    rows = fc.Parquet(tmp_path / "rows.parquet", target="t")
    fc.fit(net, rows, None, LOSS, fc.Adam(0.01), n_threads=1, **how)
    for size in (2, 5):  # the second has more processes than streams
        assert run(size, [CASE, tmp_path, "x='parquet'", "streams=4", "window=128", "epochs=3"]).returncode == 0
        way = np.linalg.norm(net.theta - begin)
        assert np.abs(trained(tmp_path, size)["theta"] - net.theta).max() <= 1e-6 * way


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_an_estimator(tmp_path):
    x, t = case.rows()
    how = {"hidden_layer_sizes": (16,), "max_iter": 5, "tol": 0, "early_stopping": True, "random_state": 0}
    model = fc.MLPRegressor(**how, n_jobs=1).fit(x, t)
    assert run(2, [CASE, tmp_path, "x='estimator'"]).returncode == 0
    np.testing.assert_allclose(trained(tmp_path, 2)["theta"], model.network_.theta, atol=1e-5)


# --- faults -----------------------------------------------------------------------------------------------------------

LONG = ["epochs=100", "checkpoint='run'", "checkpoint_every=1"]


def until_it_trains(job, folder, size):
    """Wait until all processes have begun, and the checkpoint has been written a few times."""
    end, seen = time.monotonic() + 60, set()
    while len(processes(folder)) < size or len(seen) < 3:
        assert time.monotonic() < end
        assert job.poll() is None, job.communicate()
        if (folder / "run").exists():
            seen.add((folder / "run").stat().st_mtime_ns)
        time.sleep(0.01)


@pytest.mark.parametrize(("mpi", "rank", "size"), [("openmpi", 0, 3), ("openmpi", 2, 2), ("mpich", 1, 3)])
def test_a_process_is_killed_and_the_job_begun_again(mpi, rank, size, tmp_path):
    job = start(3, [CASE, tmp_path, *LONG], mpi=mpi)
    until_it_trains(job, tmp_path, 3)
    time.sleep(random.Random(f"{mpi}{rank}{size}").uniform(0, 0.2))
    os.kill(processes(tmp_path)[rank], signal.SIGKILL)
    killed = time.monotonic()
    ended = end_of(job)
    assert time.monotonic() - killed < DEATH
    assert ended.returncode != 0
    assert_no_orphan(tmp_path)
    for path in tmp_path.glob("pid-*"):
        path.unlink()
    assert fc.load(tmp_path / "run").n_params  # it is whole, also if the process that writes it was killed
    again = run(size, [CASE, tmp_path, *LONG], mpi=mpi, timeout=120)
    assert again.returncode == 0, again.stderr
    found = trained(tmp_path, size)
    assert len(found["loss"]) == 100
    if size == 3:
        assert run(3, [CASE, tmp_path, LONG[0]], mpi=mpi, timeout=120).returncode == 0
        uninterrupted = trained(tmp_path, 3)
        assert np.array_equal(found["theta"], uninterrupted["theta"])
        assert np.array_equal(found["loss"], uninterrupted["loss"])


@pytest.mark.parametrize("mpi", MPIS)
def test_a_process_that_is_stopped_ends_the_job_in_time(mpi, tmp_path):
    env = {"FULLYCONNECTED_TIMEOUT": "2"}
    job = start(3, [CASE, tmp_path, *LONG], mpi=mpi, env={**env, "FAULT": "1 5 stop"})
    ended = end_of(job)
    assert ended.returncode == 75
    assert "has waited 2 s for the others" in ended.stderr
    assert_no_orphan(tmp_path)
    assert fc.load(tmp_path / "run").n_params


@pytest.mark.parametrize(("mpi", "rank"), [("openmpi", 0), ("mpich", 2)])
def test_an_exception_in_one_process_ends_all_with_its_message(mpi, rank, tmp_path):
    began = time.monotonic()
    ended = run(3, [CASE, tmp_path, *LONG], mpi=mpi, env={"FAULT": f"{rank} 5 raise"})
    assert time.monotonic() - began < 60
    assert ended.returncode not in (0, 75)
    assert "LookupError: something of the caller's own went wrong" in ended.stderr
    assert f"this was process {rank} of 3" in ended.stderr
    assert_no_orphan(tmp_path)


@pytest.mark.parametrize(("what", "status"), [("interrupt", 130), ("exit", 3), ("full", 1)])
def test_whatever_ends_a_process_ends_all(what, status, tmp_path):
    if what == "full" and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    ended = run(2, [CASE, tmp_path, *LONG], env={"FAULT": f"1 5 {what}"})
    assert ended.returncode == status, ended.stderr
    assert "this was process 1 of 2" in ended.stderr
    assert_no_orphan(tmp_path)


def test_a_job_that_is_suspended_for_longer_than_the_timeout_goes_on(tmp_path):
    job = start(2, [CASE, tmp_path, *LONG], env={"FULLYCONNECTED_TIMEOUT": "2"})
    until_it_trains(job, tmp_path, 2)
    pids = processes(tmp_path).values()
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in pids:
            os.kill(pid, number)
        time.sleep(3 if number == signal.SIGSTOP else 0)
    ended = end_of(job, 120)
    assert ended.returncode == 0, ended.stderr
    trained(tmp_path, 2)


WORKERS = """
import numpy as np
import fullyconnected as fc
from sklearn.model_selection import GridSearchCV
from fullyconnected.comm.choice import choose

if __name__ == "__main__":
    comm = choose("auto")
    x = np.random.default_rng(0).normal(size=(60, 3))
    if comm.rank == 0:
        model = fc.MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, tol=1e9, n_iter_no_change=1, comm="auto")
        search = GridSearchCV(model, {"alpha": [0.1, 1]}, cv=2, n_jobs=2, refit=False).fit(x, x[:, 0])
        print(len(search.cv_results_["params"]))
    comm.gather(0)
"""


def test_workers_of_a_process_are_none_of_those_that_train_together(tmp_path):
    (tmp_path / "search.py").write_text(WORKERS, encoding="utf-8")
    ended = run(2, [tmp_path / "search.py"], timeout=120)
    assert (ended.returncode, ended.stdout.split()) == (0, ["2"]), ended.stderr


FULL = """
import errno, sys
from pathlib import Path
from fullyconnected.training import checkpoint
from tests.comm import case
write, calls = checkpoint.write_checkpoint, []

def full(*args):
    calls.append(1)
    if len(calls) > 2:
        raise OSError(errno.ENOSPC, "No space left on device")
    write(*args)

checkpoint.write_checkpoint = full
case.main(Path(sys.argv[1]), "checkpoint='run'", "checkpoint_every=1", "epochs=5")
"""


def test_a_full_disk_under_the_checkpoint_ends_nothing(tmp_path, alone):
    script = tmp_path / "full.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(Path(CASE).parents[2])!r})\n{FULL}", "utf-8")
    ended = run(2, [script, tmp_path])
    assert ended.returncode == 0, ended.stderr
    assert "the checkpoint could not be written: [Errno 28] No space left" in ended.stderr
    assert len(trained(tmp_path, 2)["loss"]) == 5
    assert fc.load(tmp_path / "run").n_params  # the last one that could be written


# --- who has started the processes ------------------------------------------------------------------------------------


def test_the_launcher_of_another_mpi_is_named(tmp_path):
    """Each of the processes would think that it is alone, and all of them would write the same checkpoint."""
    ended = run(2, [CASE, tmp_path], mpi="mpich", env={"LD_LIBRARY_PATH": None, "MPI4PY_MPIABI": None})
    assert ended.returncode != 0
    assert "the launcher has started 2 processes" in ended.stderr
    assert "belongs to another MPI" in ended.stderr


def test_the_command_trains_in_several_processes(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3))
    lines = [f"{a:.3f},{b:.3f},{'yes' if a + c > 0 else 'no'}" for a, b, c in x]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,answer", *lines]), "utf-8")
    command = ["-m", "fullyconnected", "train", tmp_path / "table.csv", "--target", "answer", "--preset", "fast"]
    one, two = tmp_path / "one", tmp_path / "two"
    from fullyconnected.cli import main

    assert main([*map(str, command[2:]), "-o", str(one), "--epochs", "4", "--quiet"]) == 0
    ended = run(2, [*command, "-o", two, "--epochs", "4"], timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("saved to") == 1
    table = {"a": x[:, 0], "b": x[:, 1]}
    np.testing.assert_allclose(
        fc.Predictor(two).predict_proba(table), fc.Predictor(one).predict_proba(table), atol=1e-4
    )
    ended = run(2, [*command, "--ignore", "nothing", "-o", two])
    assert ended.returncode == 2
    assert ended.stderr.count("fullyconnected: error:") == 1
