"""The benchmarks run: their shortest parts, whose times say nothing here."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
QUICK = {
    "estimators.py": ("--quick", "--only", "row,files"),
    "import_time.py": ("--rounds", "1"),
    "muon.py": ("--quick", "--rounds", "1"),
    "sparse.py": ("--rows", "200", "--columns", "50", "--rounds", "1"),
}


@pytest.mark.parametrize("name", QUICK)
def test_benchmarks_run(name):
    if name not in ("import_time.py", "muon.py") and importlib.util.find_spec("sklearn") is None:
        pytest.skip("needs scikit-learn, which it measures against")
    done = subprocess.run([sys.executable, FOLDER / name, *QUICK[name]], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
