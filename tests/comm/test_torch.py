"""Real processes, started by torchrun, train together by ``torch.distributed``."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import fullyconnected as fc
from tests.comm import case
from tests.comm.test_processes import LOSS, SETTINGS, assert_no_orphan, trained

pytestmark = pytest.mark.skipif(
    find_spec("torch") is None, reason="PyTorch is not needed to test the library; .ci/nightly torchrun has it"
)


def torchrun(n, *args, env=None, timeout=180):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        n,
        case.__file__,
        *args,
    ]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, env=variables)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_result_is_that_of_one_process(size, tmp_path):
    done = torchrun(size, tmp_path, "comm='torch'")
    assert done.returncode == 0, done.stderr
    x, t = case.rows()
    net = case.network()
    start = net.theta.copy()
    fc.fit(net, x, t, LOSS, fc.Adam(0.01), n_threads=1, **SETTINGS)
    way = np.linalg.norm(net.theta - start)
    assert np.abs(trained(tmp_path, size)["theta"] - net.theta).max() <= 1e-6 * way


def test_auto_knows_torchrun_and_a_run_goes_on_from_its_checkpoint(tmp_path):
    how = ["epochs=4", "checkpoint='run'"]
    assert torchrun(2, tmp_path, *how).returncode == 0
    whole = {name: a.copy() for name, a in trained(tmp_path, 2).items()}
    (tmp_path / "run").unlink()
    for epochs in (2, 4):
        assert torchrun(2, tmp_path, f"epochs={epochs}", "checkpoint='run'").returncode == 0
    assert np.array_equal(trained(tmp_path, 2)["theta"], whole["theta"])


def test_an_exception_in_one_process_ends_all(tmp_path):
    done = torchrun(2, tmp_path, "epochs=100", env={"FAULT": "1 5 raise"})
    assert done.returncode != 0
    assert "LookupError: something of the caller's own went wrong" in done.stderr
    assert_no_orphan(tmp_path)


def test_a_process_that_is_stopped_ends_the_job(tmp_path):
    done = torchrun(2, tmp_path, "epochs=100", env={"FAULT": "1 5 stop", "FULLYCONNECTED_TIMEOUT": "3"})
    assert done.returncode != 0
    assert "has waited 3 s for the others" in done.stderr
    assert_no_orphan(tmp_path)


def test_without_a_launcher_it_says_how_to_start_it():
    code = "import fullyconnected as fc; fc.TorchComm()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "torchrun --nproc-per-node 4 train.py" in done.stderr
