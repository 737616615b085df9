"""What a user registers is found wherever the library looks for its own: outside.py is what a user writes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.checking.proof import cases, prove
from fullyconnected.cli import main

OUTSIDE = Path(__file__).with_name("outside.py")
X = np.random.default_rng(0).normal(size=(40, 3))
T = X @ [[0.5], [-1.0], [0.25]] + 0.1


@pytest.fixture
def outside():
    """The module, which registers what it has when it is loaded."""
    spec = importlib.util.spec_from_file_location("outside", OUTSIDE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def net(outside):
    return fc.Network([fc.Dense(3, 4, "bent"), outside.Scaled(4), fc.Dense(4, 1)], dtype="float64", seed=0)


class TestTraining:
    def test_everything_at_once_by_its_name(self, net):
        history = fc.fit(net, X, T, "fourth", "signs", epochs=60, metrics=["largest"], progress=False, seed=0)
        assert history.engine == "numpy"
        assert "bent" in history.engine_why.lower()
        assert history.loss[-1] < history.loss[0] / 10
        assert history.metrics["largest"][-1] < history.metrics["largest"][0]
        assert net.evaluate(X, T, "fourth", ["largest"]).metrics.keys() == {"largest"}

    def test_patience_watches_the_metric(self, net):
        history = fc.fit(
            net, X, T, "fourth", "signs", epochs=200, metrics=["largest"], monitor="largest", patience=3, progress=False
        )
        best = np.argmin(history.metrics["largest"])
        assert history.best_epoch == best + 1
        assert net.evaluate(X, T, "fourth", ["largest"]).metrics["largest"] == history.metrics["largest"][best]

    def test_a_run_goes_on_from_its_checkpoint(self, outside, tmp_path):
        ends = []
        for epochs in ([4], [2, 4]):
            layers = [fc.Dense(3, 4, "bent"), outside.Scaled(4), fc.Dense(4, 1)]
            net = fc.Network(layers, dtype="float64", seed=0)
            for n in epochs:
                path = tmp_path / str(len(epochs))
                fc.fit(net, X, T, "fourth", "signs", epochs=n, checkpoint=path, metrics=["largest"], progress=False)
            ends.append(net.theta.tobytes())
        assert ends[0] == ends[1]

    def test_the_solver(self, net):
        history = fc.fit(net, X, T, "fourth", "downhill", epochs=30, progress=False)
        assert len(history.loss) == 30
        assert history.loss == sorted(history.loss, reverse=True)
        assert history.loss[-1] < history.loss[0] / 10

    def test_the_engine(self, outside):
        net = fc.mlp([3, 5, 1], activation=None, seed=0)
        found = net.predict(X, engine="matrices")
        np.testing.assert_allclose(found, net.predict(X, engine="numpy"), rtol=1e-5, atol=1e-6)
        assert fc.engines()["matrices"] == (True, "one matrix product")
        with pytest.raises(errors.ConfigError, match="it predicts, and does not train"):
            fc.fit(net, X, T, "fourth", engine="matrices", progress=False)
        with pytest.raises(errors.ConfigError, match="and not dense_1"):
            fc.mlp([3, 5, 1], activation="tanh").predict(X, engine="matrices")


class TestFiles:
    @pytest.mark.parametrize("name", ["net.safetensors", "net.plain"])
    def test_a_network_comes_back_with_its_loss(self, net, tmp_path, name):
        fc.fit(net, X, T, "fourth", "signs", epochs=2, progress=False)
        net.save(tmp_path / name)
        back = fc.load(tmp_path / name)
        assert back.theta.tobytes() == net.theta.tobytes()
        assert [type(layer) for layer in back.layers] == [type(layer) for layer in net.layers]
        assert type(back.loss) is type(net.loss)
        assert (back.predictions(X) == net.predict(X)).all()

    def test_each_format_is_known_by_its_content(self, net, tmp_path):
        net.save(tmp_path / "net.plain")
        assert (tmp_path / "net.plain").read_bytes().startswith(b'{"plain": ')
        moved = (tmp_path / "net.plain").rename(tmp_path / "net.safetensors")
        assert (fc.load(moved).theta == net.theta).all()


class TestWhatIsShown:
    def test_the_summary(self, net):
        shown = net.summary(width=100)
        assert "bent(x W + b)" in shown
        assert "Scaled(n_in=4)" in shown

    def test_the_worked_example(self, net):
        record = fc.trace(net, X[:3], T[:3], "fourth", "signs")
        assert record.ok
        assert {"bent", "scaled", "fourth", "signs"} <= {
            word for step in record.steps for word in str(step.equation).replace("(", " ").replace(".", " ").split()
        }
        for form in ("to_text", "to_markdown", "to_html", "to_json"):
            assert "signs" in getattr(fc.explain(net, X[:3], T[:3], "fourth", "signs"), form)()

    def test_the_proof(self, outside, pairwise):
        found = [case for case in cases() if "scaled" in case.layer or case.activation == "bent"]
        assert {case.layer for case in found} > {"dense", "scaled", "batch_norm"}
        assert {case.loss for case in cases(["scaled"])} >= {"fourth", "huber"}
        proof = prove(pairwise(cases(["scaled"])))
        assert proof.ok
        assert {"scaled", "bent", "fourth"} <= {name for table in proof.worst.values() for name in table}

    def test_checks_of_one(self, outside):
        assert fc.check_gradients(outside.Scaled(3)).ok
        assert fc.check_gradients(outside.Bent()).ok
        assert fc.check_gradients(outside.Fourth(), X[:, :1], T).ok


class TestTheCommandLine:
    @pytest.fixture
    def table(self, tmp_path):
        rows = "\n".join(",".join(f"{value:.6f}" for value in row) for row in np.hstack([X, T]))
        (tmp_path / "table.csv").write_text(f"a,b,c,t\n{rows}\n", encoding="utf-8")
        return str(tmp_path / "table.csv")

    def test_from_a_table_to_predictions(self, table, tmp_path, capsys):
        first = ["--import", str(OUTSIDE.stem)]
        sys.path.insert(0, str(OUTSIDE.parent))
        try:
            model = str(tmp_path / "model.plain")
            train = ["train", table, *first, "--target", "t", "-o", model, "-q"]
            assert main([*train, "--epochs", "3", "--members", "2", "--hidden", "4"]) == 0
            assert Path(model).read_bytes().startswith(b'{"plain": ')
            capsys.readouterr()
            assert main(["predict", model, table, *first]) == 0
            assert len(capsys.readouterr().out.split()) > 40
            explain = ["explain", model, *first, "--data", table, "--row", "0", "--optimizer", "signs"]
            assert main(explain) == 0
            assert "signs" in capsys.readouterr().out
        finally:
            sys.path.remove(str(OUTSIDE.parent))
            sys.modules.pop(OUTSIDE.stem, None)

    def test_a_process_of_its_own_knows_nothing_without_the_import(self, table, tmp_path):
        command = [sys.executable, "-m", "fullyconnected", "explain", "xor", "--optimizer", "signs"]
        told = [
            subprocess.run([*command, *more], capture_output=True, text=True, cwd=OUTSIDE.parent)
            for more in ([], ["--import", "outside"])
        ]
        assert [each.returncode for each in told] == [2, 0]
        assert "there is no optimizer 'signs'" in told[0].stderr
        assert "signs" in told[1].stdout
