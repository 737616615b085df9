"""``inspect``: any file of the library, in words and as JSON."""

import json

import pytest

import fullyconnected as fc
from fullyconnected.cli import main
from fullyconnected.files import Model, write_model

pytest.importorskip("sklearn", reason="some files hold estimators of scikit-learn")


def inspect(capsys, path):
    """What is said of a file, in words without line ends, and as JSON."""
    assert main(["inspect", str(path)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert main(["inspect", str(path), "--json"]) == 0
    return words, json.loads(capsys.readouterr().out)


def test_a_network(capsys):
    fc.mlp([2, 3, 1], seed=0).save("net.safetensors")
    words, found = inspect(capsys, "net.safetensors")
    assert "net.safetensors: a network" in words
    assert "13 parameters in float32" in words
    assert "dense_1 Dense 3" in words
    assert (found["kind"], found["networks"][0]["outputs"], found["dtype"]) == ("network", 1, "float32")


def test_a_checkpoint(capsys):
    fc.fit(fc.mlp([2, 1]), [[1, 2]], [3], "half_squared_error", epochs=2, checkpoint="run.st", progress=False)
    words, found = inspect(capsys, "run.st")
    assert "run.st: the checkpoint of a run" in words
    assert found["kind"] == "checkpoint"
    assert found["loss"] == "HalfSquaredError()"


def test_an_estimator(capsys):
    fc.MLPClassifier((3,), random_state=0, tol=0.1).fit([[0.0], [1.0]], ["no", "yes"]).save("e")
    words, found = inspect(capsys, "e")
    assert "e: an estimator of scikit-learn, MLPClassifier" in words
    assert found["classes"] == ["no", "yes"]


def test_a_model_for_tables(trained, capsys):
    words, found = inspect(capsys, trained[1])
    assert "an estimator for tables, TabularClassifier" in words
    assert "it predicts dear" in words
    assert "on 128 rows of flats.csv; 32 more were held out" in words
    assert "network 1: " in words
    assert "2 members" in words
    assert (found["target"], found["classes"]) == ("dear", ["no", "yes"])
    assert {each["column"]: each["kind"] for each in found["columns"]}["city"] == "category"
    assert found["trained"]["models"][0]["test"]["accuracy"] >= 0
    assert found["parameters"] == sum(each["parameters"] for each in found["networks"])


def test_a_model_of_version_0_1(capsys):
    net = fc.mlp([1, 2], seed=0)
    described = {"format": 1, "features": ["a"], "means": [0.0], "scales": [1.0], "target": "b"}
    described |= {"classes": ["no", "yes"], "target_mean": 0.0, "target_scale": 1.0}
    write_model("old", Model(net.layers, net.theta, net.state, {"table": described}))
    words, found = inspect(capsys, "old")
    assert "of version 0.1.0" in words
    assert (found["target"], found["classes"], found["columns"][0]["column"]) == ("b", ["no", "yes"], "a")


def test_what_is_no_model(error_of, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert "is not a model file" in error_of("inspect", "t.csv")
    assert error_of("inspect", "none").startswith("none: No such file")
