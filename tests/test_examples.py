"""Each example is run as a user runs it; it asserts its own numbers, and here we look at what it says."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc

EXAMPLES = Path(__file__).parents[1] / "examples"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # the tests themselves run side by side
WIDE = {"COLUMNS": "100"}  # where a summary has columns; what it is in a narrow window, its own tests say
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a script in an empty folder, with every warning an error."""

    def run(script, *arguments, **environment):
        source = str(Path(fc.__file__).parents[1])
        path = os.pathsep.join(filter(None, [environment.pop("first", ""), source, os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLES / script), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **ONE_THREAD, **WIDE, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    return run


def output(result):
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def number(text, before):
    return float(re.search(rf"^{before}(\S+)$", text, re.MULTILINE).group(1))


def test_worked_example(run):
    text = output(run("worked_example.py"))
    table = [line.split() for line in text.splitlines() if re.match(r"[Wbx]\d+ ", line)]
    assert [row[0] for row in table] == ["W11", "W12", "W21", "W22", "b1", "b2", "x1", "x2"]
    assert table[3] == ["W22", "0.185512500", "0.181812500", "-0.185000000", "-0.185"]
    assert "all right" in text


def test_realmlp(run):
    text = output(run("realmlp.py"))
    assert float(re.search(r"breast cancer, .*: accuracy (\S+) ", text)[1]) > 0.96
    assert float(re.search(r"diabetes, .*: R2 (\S+) ", text)[1]) > 0.35


def test_tabm(run):
    text = output(run("tabm.py"))
    assert float(re.search(r"breast cancer, .*: accuracy (\S+) ", text)[1]) > 0.96
    assert float(re.search(r"diabetes, .*: R2 (\S+) ", text)[1]) > 0.4


def test_table(run, tmp_path):
    text = output(run("table.py"))
    assert re.search(r"^brand +category +3  3 different texts$", text, re.MULTILINE)
    assert re.search(r"^number +identifier +800  left out", text, re.MULTILINE)
    assert float(re.search(r"new rows: R2 (\S+)", text)[1]) > 0.95
    assert 38 < float(re.search(r"new rows: error (\S+),", text)[1]) < 60  # of which 40 cannot be known
    assert 70 <= int(re.search(r"intervals for 80 %: (\d+)%", text)[1]) <= 90
    parts = re.search(r"^one bicycle: .*\n((?:  .*\n)+)", text, re.MULTILINE)[1]
    *adds, price = [float(each) for each in re.findall(r"  ([+-]\d+\.\d)", parts)]
    assert abs(sum(adds) - price) < 4  # those below 1 are not shown
    assert (tmp_path / "bicycles.safetensors").exists()


def test_xor(run):
    text = output(run("xor.py"))
    assert re.search(r"dense_1 +sigmoid\(x W \+ b\) +\(rows, 3\) +6 +3 ", text)
    assert re.search(r"dense_2 +sigmoid\(x W \+ b\) +\(rows, 1\) +3 +1 ", text)
    assert "parameters: 13;" in text
    losses = re.findall(r"^epoch: (\d+) / 15000  Loss = (\d\.\d{6})$", text, re.MULTILINE)
    assert [int(epoch) for epoch, _ in losses] == [1, *range(1000, 15001, 1000)]
    assert float(losses[0][1]) > 0.5
    assert float(losses[-1][1]) < 0.01
    results = [float(result) for result in re.findall(r"XOR +\d => (\S+)", text)]
    np.testing.assert_allclose(results, [0, 1, 1, 0] * 2, atol=0.05)


def test_batch_in_matrix_form(run):
    text = output(run("batch_in_matrix_form.py"))
    assert "after 1 step: W[0] = [-0.03620225 -0.05002861 -0.06394325]" in text
    assert "after 5 steps: W[0] = [-0.18020225 -0.25002861 -0.31994325]" in text
    assert "after 6 steps: W[0] = [-0.21620225 -0.30002861 -0.38394325]" in text


def test_tables_with_scikit_learn(run, tmp_path):
    pytest.importorskip("sklearn")
    text = output(run("tables_with_scikit_learn.py"))
    losses = re.findall(r"^(?:scikit-learn|here) +loss (\S+) after (\d+) epochs", text, re.MULTILINE)
    assert len(losses) == 2
    assert "y has mean 152 and standard deviation 77: " in text  # in the one warning
    assert re.search(r"^warning +t\[:, 0\]", text, re.MULTILINE)  # in the diagnosis
    assert fc.load(tmp_path / "diabetes.safetensors").n_in == 10


@pytest.mark.parametrize(
    ("backend", "needs"), {"loky": "", "threading": "", "dask": "distributed", "ray": "ray"}.items()
)
def test_search(run, backend, needs):
    pytest.importorskip("sklearn")
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not needed to test the library; .ci/nightly search has it")
    text = output(run("search.py", backend))
    assert re.search(rf"^{backend}: 12 fits in [12] processes, one thread each$", text, re.MULTILINE)
    assert "best of the search {'alpha': 0.0001, 'hidden_layer_sizes': (64,)}" in text
    assert "the same bits as in one process" in text


def test_digits_small(run):
    pytest.importorskip("sklearn")
    text = output(run("digits_small.py"))
    worst = re.findall(r"^ +with(?:out)? bias: .* from (0\.\d+) to", text, re.MULTILINE)
    assert len(worst) == 2
    assert min(map(float, worst)) >= 0.94


def test_digits(run, tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    text = output(run("digits.py"))
    assert number(text, "test accuracy ") >= 0.97
    assert "parameters: 50,826;" in text
    assert (tmp_path / "demo" / "learning-curve.png").read_bytes().startswith(b"\x89PNG")
    assert fc.load(tmp_path / "demo" / "digits.safetensors").n_params == 50_826


def test_digits_without_rich_and_matplotlib(run, tmp_path):
    pytest.importorskip("sklearn")
    for package in ("rich", "matplotlib"):
        (tmp_path / "without").mkdir(exist_ok=True)
        (tmp_path / "without" / f"{package}.py").write_text("raise ImportError\n", encoding="utf-8")
    text = output(run("digits.py", first=str(tmp_path / "without")))
    assert number(text, "test accuracy ") >= 0.97
    table = re.findall(r"^ +(\d)((?: +(?:\d+|\.)){10})$", text, re.MULTILINE)
    assert [digit for digit, _ in table] == list("0123456789")
    assert sum(int(n) for _, row in table for n in row.split() if n != ".") == 360
    assert text.isascii()
    assert "fullyconnected[plot]" in text
    assert [file.name for file in (tmp_path / "demo").iterdir()] == ["digits.safetensors"]


def refused(result):
    """Return what a script that could not go on has said."""
    assert result.returncode != 0
    assert "adam, v" in result.stdout  # the checks have run, to the last
    assert "Traceback" not in result.stdout + result.stderr
    assert "--path" in result.stderr
    assert "--digits" in result.stderr
    return result.stderr


def test_cifar10_without_a_network(run, tmp_path):
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"), str(tmp_path))
    said = refused(run("cifar10.py", **proxies, **homes, no_proxy="", NO_PROXY=""))
    assert "could not be downloaded" in said or "pip install" in said


def test_cifar10_from_a_path_that_is_not_there(run, tmp_path):
    assert "nowhere" in refused(run("cifar10.py", "--path", tmp_path / "nowhere"))


def test_cifar10_from_files(run, tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        records = rng.integers(0, 256, (20, 3073), np.uint8)  # a label, then 32 by 32 pixels in three planes
        records[:, 0] = rng.integers(0, 10, 20)
        (folder / name).write_bytes(records.tobytes())
    text = output(run("cifar10.py", "--path", tmp_path, "--epochs", "2"))
    assert "training on CIFAR-10, 98 rows" in text
    assert len(re.findall(r"50 rows by heart .* all right", text)) == 2
    assert 0 <= number(text, "test accuracy ") <= 1


def test_cifar10_with_digits(run):
    pytest.importorskip("sklearn")
    text = output(run("cifar10.py", "--digits"))
    assert number(text, "validation accuracy ") >= 0.95
    assert number(text, "test accuracy ") >= 0.95
