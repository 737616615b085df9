"""``fullyconnected import``: a file of another project becomes a file of this library."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fullyconnected as fc
from fullyconnected.cli import main

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"
TORCH = str(GOLDEN / "torch_mlp.safetensors")


def test_weights_of_pytorch(tmp_path, capsys):
    path = tmp_path / "net.safetensors"
    assert main(["import", TORCH, "-o", str(path), "--activation", "relu"]) == 0
    assert "a network from a file of weights of PyTorch: 5 inputs, 3 outputs" in capsys.readouterr().out
    results = load_file(GOLDEN / "torch_results.safetensors")
    np.testing.assert_allclose(fc.load(path).predict(results["x"]), results["mlp"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".HDF5"])
def test_the_older_format_of_keras_by_either_suffix(suffix, tmp_path, capsys):
    (path := tmp_path / f"net{suffix}").write_bytes((Path(TORCH).parent / "mlp.h5").read_bytes())
    assert main(["import", str(path), "-o", str(tmp_path / "net.safetensors")]) == 0
    assert "a network from a file of Keras" in capsys.readouterr().out


def test_and_out_again(tmp_path):
    model, script = str(tmp_path / "net.safetensors"), str(tmp_path / "net.py")
    assert main(["import", TORCH, "-o", model, "--activation", "relu"]) == 0
    assert main(["export", model, script]) == 0
    assert Path(script).read_text("utf-8").startswith('"""A network: 5 inputs, 3 outputs')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([TORCH, "-o", "net.safetensors"], "give one, such as relu"),
        ([TORCH, "-o", "net.safetensors", "--activation", "reloo"], "did you mean 'relu'"),
        ([TORCH, "-o", "no/such/folder/net.safetensors", "--activation", "relu"], "folder"),
        (["nothing.safetensors", "-o", "net.safetensors", "--activation", "relu"], "nothing.safetensors"),
        (["model.pkl", "-o", "net.safetensors"], "pickle"),
        (["model.pt", "-o", "net.safetensors"], "save_file"),
        (["model.txt", "-o", "net.safetensors"], "networks arrive in"),
    ],
)
def test_what_it_cannot_read(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("model.pkl", "model.pt", "model.txt"):
        Path(name).write_bytes(b"cos\nsystem\n")
    before = sorted(os.listdir())
    assert main(["import", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("fullyconnected: error: ")
    assert message in said
    assert sorted(os.listdir()) == before


def test_a_file_is_not_replaced_by_itself(tmp_path, capsys):
    (path := tmp_path / "net.safetensors").write_bytes(Path(TORCH).read_bytes())
    assert main(["import", str(path), "-o", str(path), "--activation", "relu"]) == 2
    assert "would replace an input file" in capsys.readouterr().err
    assert path.read_bytes() == Path(TORCH).read_bytes()


def test_a_file_of_this_library_is_no_file_of_weights(tmp_path, capsys):
    fc.mlp([2, 3, 1], seed=0).save(path := tmp_path / "net.safetensors")
    assert main(["import", str(path), "-o", str(tmp_path / "other.safetensors"), "--activation", "relu"]) == 2
    assert "written by this library" in capsys.readouterr().err
