"""The benchmarks run: their shortest parts, whose times say nothing here."""

import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.comm.launch import run

FOLDER = Path(__file__).parents[1] / "benchmarks"
QUICK = {
    "estimators.py": ("--quick", "--only", "row,files"),
    "import_time.py": ("--rounds", "1"),
    "leaving.py": ("--rounds", "1"),
    "muon.py": ("--quick", "--rounds", "1"),
    "search.py": ("--rounds", "1", "--rows", "300", "--epochs", "1"),
    "sparse.py": ("--rows", "200", "--columns", "50", "--rounds", "1"),
}


@pytest.mark.parametrize("name", QUICK)
def test_benchmarks_run(name):
    if name not in ("import_time.py", "muon.py") and importlib.util.find_spec("sklearn") is None:
        pytest.skip("needs scikit-learn, which it measures against")
    done = subprocess.run([sys.executable, FOLDER / name, *QUICK[name]], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("processes", [1, 2])
def test_steps_of_several_processes_are_set_beside_the_model(processes):
    done = run(processes, [FOLDER / "scale.py", "--quick", "--rounds", "1"], timeout=240)
    assert done.returncode == 0, done.stderr
    assert all(f"| 64-64-10 | 128 | {n} | " in done.stdout for n in {1, processes})
    assert "load average" in done.stdout


NAMED = {"--models": "model", "--only": "table"}


class TestAccuracy:
    """The ranks of the estimators for tables among other models."""

    @staticmethod
    def folder(path):
        """A folder with a small table, in the form that the benchmark takes, and a score of somebody else."""
        pytest.importorskip("pandas")
        rng = np.random.default_rng(0)
        size, colour = rng.normal(size=60).round(3), rng.choice(["red", "blue", ""], 60)
        kind = np.where(size + (colour == "red") > 0.5, "large", "small")
        lines = ["size,colour,kind", *(f"{a},{b},{c}" for a, b, c in zip(size, colour, kind, strict=True))]
        lines[4] = "," + lines[4].partition(",")[2]
        with gzip.open(path / "apples.csv.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(lines))
        about = {
            "target": "kind",
            "classes": ["small", "large"],
            "categorical": {"colour": {"levels": ["blue", "red"]}},
        }
        (path / "apples.json").write_text(json.dumps(about), encoding="utf-8")
        rows = np.arange(60)
        np.savez(path / "splits.npz", apples_0_train=rows[:45], apples_0_test=rows[45:])
        (path / "baselines.csv").write_text(
            "table,split,model,accuracy,logloss,r2,rmse,fit_s,predict_s,n_train,n_test\n"
            "apples,0,oracle,1.0,0.01,,,0.1,0.1,45,15\n",
            encoding="utf-8",
        )
        return path

    def test_a_folder_is_scored_once_and_ranked(self, tmp_path):
        pytest.importorskip("sklearn")
        results, page = tmp_path / "results.csv", tmp_path / "page.md"
        command = [sys.executable, FOLDER / "accuracy.py", "--tables", self.folder(tmp_path), "--results", results]
        command += ["--page", page, "--models"]
        for models in ("linear", "linear,histgb,mlp,rf,fullyconnected"):
            done = subprocess.run([*command, models], capture_output=True, text=True, timeout=120)
            assert (done.returncode, done.stderr) == (0, "")
        scored = results.read_text(encoding="utf-8")
        assert scored.count("apples,0,") == 5  # the linear model once
        text = page.read_text(encoding="utf-8")
        assert "| table | fullyconnected | histgb | linear | mlp | oracle | rf |" in text
        assert text.count("| mean rank (splits) |") == 3
        again = subprocess.run([*command, "rf"], capture_output=True, text=True, timeout=120)
        assert (again.returncode, results.read_text(encoding="utf-8")) == (0, scored)

    def test_mean_ranks_share_ties_and_leave_out_what_has_no_score(self, monkeypatch):
        pytest.importorskip("pandas")
        pytest.importorskip("sklearn")
        monkeypatch.syspath_prepend(str(FOLDER))
        accuracy = importlib.import_module("accuracy")
        scores = {"fullyconnected": (0.9, 0.8), "a": (0.9, 0.7), "b": (0.5, "")}
        rows = [
            {"table": "t", "split": str(i), "model": model, "accuracy": str(values[i]), "logloss": "", "r2": "",
             "rmse": "", "fit_s": "1"}
            for model, values in scores.items()
            for i in range(2)
        ]  # fmt: skip
        line = next(line for line in accuracy.page(rows).splitlines() if line.startswith("| mean rank"))
        assert line == "| mean rank (splits) | **1.25** (2) | **1.75** (2) | **3.00** (1) |"

    @pytest.mark.parametrize(
        ("given", "said"), [(["--models", "oak"], "no model 'oak'"), (["--only", "oak"], "no table")]
    )
    def test_other_names_are_refused(self, given, said):
        pytest.importorskip("sklearn")
        done = subprocess.run(
            [sys.executable, FOLDER / "accuracy.py", *given], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert said in done.stderr


class TestAblation:
    """What each part of the estimators for tables is worth."""

    def test_each_variant_is_judged_once_by_training_rows(self, tmp_path):
        pytest.importorskip("sklearn")
        results, page = tmp_path / "ablation.csv", tmp_path / "page.md"
        command = [sys.executable, FOLDER / "ablation.py", "--tables", TestAccuracy.folder(tmp_path)]
        command += ["--results", results, "--page", page, "--rows", "30", "--variants"]
        for variants in ("default", "default,fast"):
            done = subprocess.run([*command, variants], capture_output=True, text=True, timeout=120)
            assert (done.returncode, done.stderr) == (0, "")
        rows = [line.split(",") for line in results.read_text(encoding="utf-8").splitlines()[1:]]
        assert [(draw, variant) for _, draw, variant, *_ in rows if variant in ("default", "fast")] == [
            *[("0", "default"), ("1", "default"), ("2", "default"), ("0", "fast"), ("1", "fast"), ("2", "fast")]
        ]
        text = page.read_text(encoding="utf-8")
        assert "| the default | 1.000 | 0 | 0 | 1.00 |" in text
        assert '| `preset="fast"` |' in text
        done = subprocess.run([*command, "oak"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert "no variant 'oak'" in done.stderr


class TestIntervals:
    """The coverage of intervals on tables."""

    def test_a_table_is_measured(self):
        pytest.importorskip("pandas")
        pytest.importorskip("sklearn")
        command = [sys.executable, FOLDER / "intervals.py", "--inner", "1", "--rows", "60", "--only"]
        done = subprocess.run([*command, "diabetes"], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert "| diabetes | 1 | 60 | 88 | 0." in done.stdout
        assert done.stdout.splitlines()[-1].startswith("| all |")
        done = subprocess.run([*command, "oak"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert "no table 'oak'" in done.stderr
