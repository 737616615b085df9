"""The benchmarks run: their shortest parts, whose times say nothing here."""

import gzip
import importlib.util
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from tests.comm.launch import run
from tests.cuda import standin

FOLDER = Path(__file__).parents[1] / "benchmarks"
QUICK = {
    "bfloat16.py": ("curves", "--quick"),
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


class TestProducts:
    """The native engine's products of matrices beside those of other libraries."""

    @pytest.fixture
    def module(self, monkeypatch):
        monkeypatch.syspath_prepend(str(FOLDER))
        return importlib.import_module("peers_products")

    def test_they_are_set_beside_the_libraries_that_are_here(self):
        pytest.importorskip("fullyconnected._native")
        command = [
            sys.executable,
            FOLDER / "peers.py",
            "products",
            "--networks",
            "2",
            "--rounds",
            "1",
            "--slice",
            "0.001",
        ]
        done = subprocess.run([*command, "--threads", "1"], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert "; caches of " in done.stdout.splitlines()[0]
        assert "- native engine: kernels for " in done.stdout
        rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| 100-256-256-256-1")]
        assert [(product, shape) for _, _, product, shape, *_ in rows] == [
            ("x W", "256 x 100 by 100 x 256"),
            ("x' dy", "100 x 256 by 256 x 256"),
            *((product, "256 x 256 by 256 x 256") for product in ("x W", "x' dy", "dy W'")),
        ]
        assert all(us != "-" and share.endswith("%") for _, _, _, _, us, share, *_ in rows)
        for name in ("MKL", "OpenBLAS"):  # a column, or why it is not there
            assert f"| {name}, us |" in done.stdout or f"- {name}: " in done.stdout

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="contenders are stopped by a signal")
    @pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
    def test_contenders_compute_the_product(self, module, turned):
        with module.started(module.CONTENDERS, 1) as workers:
            bench = module.Bench(workers, 1, 0.001)
            names = list(bench.ready(module.Product(37, 20, 101, *turned, 1)))
            assert all(workers[name].ask("about") for name in names)
        assert len(names) + len(bench.notes) == 3
        assert not [note for note in bench.notes if "Error: " not in note]  # it cannot be loaded; none is wrong

    def test_who_computes_something_else_is_left_out(self, module):
        pytest.importorskip("fullyconnected._native")
        timer = importlib.import_module("peers_worker").ProductTimer(
            "peers_products.Native", module.Product(8, 4, 5, False, True, 1)
        )
        assert timer.check(None) is None
        timer.work = lambda times: 1.0
        timer.contender.c += 1
        assert timer.check(None) == "its product is wrong"

    def test_the_ratio_is_to_the_faster_of_the_others_in_each_round(self, module):
        us = {"native engine": [1.0, 2.0, 3.0], "MKL": [2.0, 1.0, 6.0], "OpenBLAS": [4.0, 4.0, 2.0]}
        assert module.ratio(us) == "1.50 (0.50-2.00)"
        assert module.ratio({name: us[name] for name in ("MKL", "OpenBLAS")}) == "-"
        assert module.ratio({"native engine": [1.0]}) == "-"
        product = module.Product(100, 100, 50, False, False, 1)
        us = {"MKL": [10.0, 20.0, 40.0]}
        shares = module.figures(us, [200.0, 100.0, 50.0], product, ["MKL", "OpenBLAS"])
        assert list(shares) == ["20.0", "50%", "-", "-"]

    def test_other_jobs_are_refused(self):
        done = subprocess.run([sys.executable, FOLDER / "peers.py", "oak"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert "no job oak" in done.stderr


class TestGpu:
    """The CUDA engine beside NumPy and PyTorch, on what stands for CuPy."""

    NETWORK = (8, 8, 10), 16, 64, 0.7

    @pytest.fixture
    def cupy(self, monkeypatch):
        """A card too old for TF32, and with it the modules of the benchmark."""
        monkeypatch.syspath_prepend(str(FOLDER))
        made = standin.install(monkeypatch, capability="75")
        return made

    @pytest.fixture
    def gpu(self, cupy, monkeypatch):
        module = importlib.import_module("gpu")
        monkeypatch.setattr(module, "NETWORKS", (self.NETWORK,))
        monkeypatch.setattr(module, "STEPS", 1)
        monkeypatch.setattr(module, "SECONDS", 0.001)
        return module

    @pytest.fixture
    def equality(self, gpu, monkeypatch):
        """Some of its cases."""
        module = importlib.import_module("gpu_equality")
        for name, some in (("networks", slice(3, None, 13)), ("settings", slice(1, None, 7))):
            cases = getattr(module, name)
            monkeypatch.setattr(module, name, lambda *where, cases=cases, some=some: list(cases(*where))[some])
        return module

    def test_what_is_equal_is_found_equal(self, gpu, equality, tmp_path, capsys):
        assert gpu.main(["equality", "--torch", "none"]) == 0
        said = capsys.readouterr().out
        assert "Equality: nothing above the bounds" in said
        assert "ends as in NumPy: epoch 1" in said
        assert "compute capability is 7.5" in said
        assert said.count("| yes |") == len(equality.networks()) + len(equality.settings(tmp_path))

    def test_what_is_above_its_bound_is_named(self, gpu, equality, monkeypatch, capsys):
        monkeypatch.setattr(equality, "BOUNDS", {np.float64: -1.0, np.float32: 1e-5})
        monkeypatch.setattr(equality, "settings", lambda folder: [])
        assert gpu.main(["equality", "--torch", "none"]) == 1
        wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WRONG: ")]
        assert len(wrong) == 3 * len(equality.networks())
        assert all("float64: " in line and "more than -1e+00" in line for line in wrong)

    def test_a_case_that_fails_does_not_end_the_others(self, gpu, equality, monkeypatch, capsys):
        def fails(dtype):
            raise RuntimeError("no such thing\nat all")

        broken = [case._replace(make=fails) if i == 1 else case for i, case in enumerate(equality.networks())]
        monkeypatch.setattr(equality, "networks", lambda: broken)
        assert gpu.main(["equality", "--torch", "none"]) == 1
        said = capsys.readouterr().out
        assert f"WRONG: {broken[1].name}: RuntimeError: no such thing\n" in said
        assert f"| {broken[2].name} | " in said

    def test_each_precision_is_held_to_its_rounding(self, cupy, monkeypatch):
        module = importlib.import_module("gpu_equality")
        made = standin.install(monkeypatch)
        said = module.precisions(made)
        assert [each.text.partition(":")[0] for each in said] == [
            f"{precision}, {sizes}" for sizes in ("256-512", "256-512-512-16") for precision in ("tf32", "bfloat16")
        ]
        assert not any(each.wrong for each in said)
        monkeypatch.setattr(module, "ROUNDING", {"bfloat16": module.ROUNDING["tf32"]})
        assert all(each.wrong for each in module.precisions(made))

    def test_copies_to_the_host_are_those_of_the_end_of_an_epoch(self, cupy, equality):
        counted, get = [], vars(cupy.ndarray).get("get")

        def copies(work):
            before = len(cupy.transfers)
            work()
            counted.append(sum(where == "to host" for where, _ in cupy.transfers[before:]))
            return counted[-1]

        said = equality.transfers(cupy, copies)
        assert [each.wrong for each in said] == [False, False]
        assert counted[0] == counted[1]
        assert all(f" make {counted[0]} " in each.text for each in said)
        assert vars(cupy.ndarray).get("get") is get
        (said,) = equality.transfers(cupy, lambda work: None)  # a profiler that sees nothing
        assert not said.wrong
        counts = iter((3, 11))
        _, said = equality.transfers(cupy, lambda work: next(counts))
        assert said.wrong
        assert "of 64 makes 11" in said.text

    def test_every_entry_of_the_registries_has_a_case(self, cupy):
        module = importlib.import_module("gpu_equality")
        names = {case.name for case in module.networks()}
        registries = {"layer": LAYERS, "activation": ACTIVATIONS, "loss": LOSSES, "optimizer": OPTIMIZERS}
        wanted = {f"{kind} {name}" for kind, registry in registries.items() for name in registry.classes}
        assert wanted - names == {"optimizer lbfgs"}  # a solver, which takes its gradients from NumPy

    @pytest.mark.parametrize("sizes", [[256, 512], [256, 512, 512, 16]])
    def test_a_bound_holds_for_rounded_products_and_not_for_those_rounded_more(self, sizes, cupy):
        module = importlib.import_module("gpu_equality")
        net = fc.mlp(sizes, "relu", seed=0)
        x = np.random.default_rng(0).normal(size=(300, sizes[0])).astype(np.float32)
        weights = net.get_weights()
        shares = []
        for bits in (10, 7):
            a = x
            for i, (W, b) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
                a = standin.rounded(a if i == 0 else np.maximum(a, 0), bits) @ standin.rounded(W, bits) + b
            exact, most, _ = module.bound(net, x, module.ROUNDING["tf32"])
            shares.append((np.abs(a - exact) / most).max())
        assert shares[0] < 0.6
        assert shares[1] > 1

    def test_steps_are_measured_without_pytorch(self, gpu, capsys):
        assert gpu.main(["speed", "--torch", "none", "--rounds", "2", "--rules", "adam,sgd"]) == 0
        said = capsys.readouterr().out
        assert said.startswith("stand-in; driver ")
        assert all(f"| 8-8-10 | 16 | {rule} | " in said for rule in ("Adam", "SGD"))
        assert "TF32 was left out" in said

    def test_losses_that_differ_are_named(self, gpu, monkeypatch, capsys):
        monkeypatch.setattr(gpu.Ours, "losses", lambda self, orders: [1.0, 2.0, float("nan")])
        assert gpu.main(["speed", "--torch", "none", "--rounds", "1", "--rules", "sgd"]) == 1
        assert "WRONG: 8-8-10, SGD, float32: the losses of ours are [1.0, 2.0, nan]" in capsys.readouterr().out

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, when it is imported
    def test_pytorch_computes_the_same_losses(self, gpu):
        pytest.importorskip("torch")
        torch = importlib.import_module("gpu_torch")
        sizes, batch, rows, _ = self.NETWORK
        case = gpu.Case("train", sizes, batch, 1, "Adam", rows)
        orders = case.order(3).reshape(3, -1)
        contender = torch.Eager(case, None, "cpu")
        np.testing.assert_allclose(contender.losses(orders), gpu.Ours(case, None).losses(orders), rtol=1e-5)
        assert contender.choose() in torch.Eager.kinds
        contender.epochs(2)

    def test_where_there_is_no_gpu_one_sentence_says_so(self, gpu, monkeypatch, capsys):
        standin.install(monkeypatch, devices=0)
        assert gpu.main([]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("There is no GPU to measure: CUDA sees no GPU on this machine")

    def test_other_names_are_refused(self, gpu, capsys):
        for given, said in ((["oak"], "no job oak"), (["--rules", "oak"], "no oak among SGD, Adam")):
            with pytest.raises(SystemExit) as ended:
                gpu.main(given)
            assert ended.value.code == 2
            assert said in capsys.readouterr().err
