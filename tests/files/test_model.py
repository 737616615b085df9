"""The model file: what is in it, what comes back from it, and what is refused with a sentence."""

import json
import os
import pickle
import re
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fullyconnected as fc
from fullyconnected.errors import ConfigError, FileFormatError
from fullyconnected.files import Model, read_model, write_model


@pytest.fixture
def net():
    layers = [fc.Dense(3, 4, "relu"), fc.BatchNorm(), fc.Residual([fc.Dense(4, 4)]), fc.Dense(4, 2, bias=False)]
    return fc.Network(layers, seed=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def parts(path):
    """Return a file's tensors and its description, to be altered and put together again."""
    with safe_open(path, "numpy") as file:
        return load_file(path), json.loads(file.metadata()["fullyconnected"])


def put(path, tensors, content):
    text = content if isinstance(content, str) else json.dumps(content)
    save_file(tensors, path, {"fullyconnected": text})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_reader_of_safetensors_finds_the_parameters_by_name(net, path, dtype):
    net = fc.Network(net.layers, seed=0, dtype=dtype)
    net.save(path)
    tensors = load_file(path)
    found = {
        "dense_1.W": net.params[0].W,
        "dense_1.b": net.params[0].b,
        "batch_norm_1.gamma": net.params[1].gamma,
        "batch_norm_1.beta": net.params[1].beta,
        "batch_norm_1.running_mean": net.state[:4],
        "batch_norm_1.running_var": net.state[4:],
        "residual_1.dense_1.W": net.params[2][0].W,
        "residual_1.dense_1.b": net.params[2][0].b,
        "dense_2.W": net.params[3].W,
    }
    assert tensors.keys() == found.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == dtype
        assert (tensor == found[name]).all()


def test_the_same_network_gives_the_same_bytes(net, path):
    files = set()
    for each in (net, net.copy(), net):
        each.save(path)
        files.add(path.read_bytes())
        fc.load(path).save(path)
        files.add(path.read_bytes())
    assert len(files) == 1


def test_the_path_is_a_string_or_a_path(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (
        "plain",
        Path("path"),
        tmp_path / os.fsdecode("日本語 🧠.safetensors".encode()),
        str(tmp_path / "a b"),
    ):
        net.save(path)
        assert (fc.load(path).theta == net.theta).all()


def test_loading_makes_a_network_that_trains_and_is_its_own(net, path):
    net.save(path)
    loaded = fc.load(path)
    loaded.params[0].b = 5
    assert (loaded.theta[12:16] == 5).all()
    fc.fit(loaded, np.zeros((4, 3)), [0, 1, 0, 1], "softmax_cross_entropy", epochs=1, progress=False)
    assert not np.array_equal(loaded.theta, net.theta)
    assert (fc.load(path).theta == net.theta).all()


def test_extras_and_vectors_come_back(net, path):
    extras = {"columns": ["größe", "b"], "number": 0.1, "none": None, "deep": [[1, {"a": True}]]}
    vectors = {"x": np.arange(6, dtype=np.float32)[::2], "empty": np.zeros(0, np.float32)}
    write_model(path, Model(net.layers, net.theta, net.state, extras, vectors))
    model = read_model(path)
    assert model.extras == extras
    assert {name: vector.tolist() for name, vector in model.vectors.items()} == {"x": [0, 2, 4], "empty": []}
    model.vectors["x"][0] = 1  # they may be written to
    assert (fc.load(path).theta == net.theta).all()


@pytest.mark.parametrize("extras", [{"a": float("nan")}, {"a": {1}}, {"a": np.float32(1)}, {"a": b""}])
def test_extras_are_plain_json(net, path, extras):
    with pytest.raises(ConfigError, match=r"a file of the format 'safetensors' cannot hold the network: .*JSON"):
        write_model(path, Model(net.layers, net.theta, net.state, extras))
    assert not path.exists()


@pytest.mark.parametrize(("vector", "name"), [("theta", "parameters"), ("state", "running statistics")])
def test_a_network_that_is_not_finite_is_not_saved(net, path, vector, name):
    net.save(path)
    old = path.read_bytes()
    getattr(net, vector)[-1] = np.nan
    with pytest.raises(ConfigError, match=f"{name} are not all finite"):
        net.save(path)
    assert path.read_bytes() == old


def test_files_that_cannot_be_opened_raise_what_the_system_says(net, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fc.load(tmp_path / "nowhere")
    with pytest.raises(OSError):
        fc.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"folder of this file does not exist.*nowhere"):
        net.save(tmp_path / "nowhere" / "net")


@pytest.mark.skipif(os.name != "posix", reason="permissions and devices as Unix has them")
def test_devices_and_forbidden_files(net, path):
    for device in ("/dev/null", "/dev/zero", "/dev/urandom"):
        with pytest.raises(FileFormatError, match="this is not a model file of any known format: safetensors"):
            fc.load(device)
    net.save(path)
    path.chmod(0)
    if not os.access(path, os.R_OK):  # root may
        with pytest.raises(PermissionError):
            fc.load(path)


class Poison:
    def __reduce__(self):
        return os._exit, (1,)


def zipped(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model.json", "{}")
    return path.read_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0" * 8,
        b"\xff" * 8,
        b"\0" * 1000,
        b"\x02" + b"\0" * 7 + b"{}",
        b"\x02" + b"\0" * 7 + b"[]",
        (2**63).to_bytes(8, "little") + b"{}",
        (10**6).to_bytes(8, "little") + b"{" * 10**6,
        pickle.dumps(Poison()),
        b"\x89HDF\r\n\x1a\n" + b"\0" * 100,
        "text\n".encode("utf-16"),
        zipped,
    ],
)
def test_other_files_are_refused(path, data):
    data = data(path) if callable(data) else data
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=re.escape(str(path)) + ": this (is not a whole|was not written by)"):
        fc.load(path)


def test_every_truncation_is_refused(net, path):
    net.save(path)
    size = path.stat().st_size
    for other in range(size + 1, -1, -1):
        os.truncate(path, other)  # one byte more, and then ever fewer
        if other != size:
            with pytest.raises(FileFormatError, match="not a whole safetensors file"):
                fc.load(path)


def edit(**changes):
    def change(tensors, content):
        for key, value in changes.items():
            content[key] = value

    return change


def tensor(name, value):
    def change(tensors, content):
        del tensors[name]
        if value is not None:
            tensors[name] = value

    return change


def of_layer(i, **settings):
    def change(tensors, content):
        content["layers"][i]["settings"].update(settings)

    return change


W = np.ones((3, 4), np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(version=3), "has version 3, and this release reads versions 1 to 2; a newer release"),
        (edit(version="1"), "has version '1'"),
        (edit(version=None), "has version None"),
        (edit(surprise=1), "version, dtype, layers, loss and extras; found"),
        (lambda tensors, content: content.pop("extras"), "version, dtype, layers, loss and extras; found"),
        (edit(dtype="float16"), "dtype is 'float16'; it should be float32 or float64"),
        (edit(dtype=["float32"]), r"dtype is \['float32'\]"),
        (edit(dtype=None), "dtype is None"),
        (edit(dtype="float64"), "has dtype float32; the file says float64"),
        (edit(extras=[]), "extras are not a JSON object"),
        *(
            (edit(loss=loss), "a loss is described by its name and its settings; found")
            for loss in ("huber", [], 5, {}, {"loss": None, "settings": {}}, {"loss": "huber", "unknown": "Mine"})
        ),
        (edit(loss={"loss": "huber"}), "described by its name and its settings"),
        (edit(loss={"loss": "huber", "settings": {"delta": -1}}), "the loss of the network cannot be used: delta of"),
        (edit(loss={"loss": "huber", "settings": {"q": 1}}), "the loss of the network cannot be used: .*q"),
        (edit(loss={"layer": "dropout", "settings": {"rate": 0.5}}), "a loss is described by its name"),
        (edit(layers=[]), "not a list of layers"),
        (edit(layers={}), "not a list of layers"),
        (of_layer(0, n_out=5), "takes 4 columns, and what comes before it gives 5"),
        (of_layer(0, n_in=2), r"dense_1.W has shape \(3, 4\); the architecture says \(2, 4\)"),
        (of_layer(0, n_in=10**12), r"dense_1.W has shape \(3, 4\); the architecture says \(1000000000000, 4\)"),
        (of_layer(3, n_out=10**12), r"dense_2.W has shape \(4, 2\); the architecture says \(4, 1000000000000\)"),
        (of_layer(3, n_out=10**4000), "the architecture says"),
        (of_layer(3, bias=True), "the tensor dense_2.b is missing"),
        (of_layer(0, bias=False), "the tensor 'dense_1.b' belongs to no layer"),
        (of_layer(0, n_in=0), "its layers do not form a network: .*n_in of Dense"),
        (tensor("dense_1.W", None), "the tensor dense_1.W is missing"),
        (tensor("batch_norm_1.running_mean", None), "the tensor batch_norm_1.running_mean is missing"),
        (tensor("dense_1.W", W.T), r"dense_1.W has shape \(4, 3\); the architecture says \(3, 4\)"),
        (tensor("dense_1.W", W.ravel()), r"dense_1.W has shape \(12,\)"),
        (tensor("dense_1.W", W[:, :, None]), r"dense_1.W has shape \(3, 4, 1\)"),
        (tensor("dense_1.W", W.astype(np.float64)), "dense_1.W has dtype float64; the file says float32"),
        (tensor("dense_1.W", W.astype(np.float16)), "dense_1.W has dtype float16; the file says float32"),
        (tensor("dense_1.W", W.astype(np.int64)), "dense_1.W has dtype int64; the file says float32"),
        (tensor("dense_1.W", W.astype(bool)), "dense_1.W has dtype bool; the file says float32"),
        (tensor("dense_1.W", W * np.nan), "dense_1.W holds values that are not finite"),
        (
            tensor("batch_norm_1.running_var", np.full(4, np.inf, np.float32)),
            "batch_norm_1.running_var holds values that",
        ),
        (lambda tensors, content: tensors.update(more=W), "the tensor 'more' belongs to no layer"),
        (lambda tensors, content: tensors.update({"run.a": W.astype(np.int8)}), "run.a has dtype int8"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(net, path, change, message):
    net.save(path)
    tensors, content = parts(path)
    put(path, tensors, content)
    assert (fc.load(path).theta == net.theta).all()
    change(tensors, content)
    put(path, tensors, content)
    with pytest.raises(FileFormatError, match=re.escape(str(path)) + f": .*{message}"):
        fc.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "has version None"),
        ('"text"', "has version None"),
        ("NaN", "NaN is not a number in JSON"),
        ('{"version": 2, "dtype": Infinity}', "Infinity is not a number in JSON"),
        ('{"version": 2, "version": 2}', "a name occurs twice"),
        ('{"version": 2, "extras": {"a": 1, "a": 2}}', "a name occurs twice"),
        ("[" * 100_000, "not JSON"),
        ("9" * 100_000, "not JSON"),
        ('{"version": ' + "[" * 400 + "]" * 400 + "}", "has version"),
    ],
)
def test_descriptions_that_are_not_json_are_refused(net, path, text, message):
    net.save(path)
    put(path, load_file(path), text)
    with pytest.raises(FileFormatError, match=message):
        fc.load(path)


def test_safetensors_of_others_are_refused(net, path):
    save_file({"weight": W}, path)
    with pytest.raises(FileFormatError, match="was not written by fullyconnected"):
        fc.load(path)
    save_file({"weight": W}, path, {"format": "pt"})
    with pytest.raises(FileFormatError, match="was not written by fullyconnected"):
        fc.load(path)
    header = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"1234")
    with pytest.raises(FileFormatError, match="BF16"):
        fc.load(path)


@pytest.mark.parametrize("shape", [[1] * 100, [0, 2**40], [0, 2**63, 2**63], [2**32, 2**32]])
def test_tensors_of_silly_shapes_are_refused(path, shape):
    size = 0 if 0 in shape else 4
    header = json.dumps({"run.a": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * size)
    with pytest.raises(FileFormatError):
        fc.load(path)


def test_further_metadata_of_other_tools_do_no_harm(net, path):
    net.save(path)
    tensors, content = parts(path)
    save_file(tensors, path, {"fullyconnected": json.dumps(content), "title": "mine", "format": "np"})
    assert (fc.load(path).theta == net.theta).all()


def test_a_file_that_is_cut_short_while_it_is_read_does_no_harm(path):
    net = fc.mlp([300, 300], seed=0)
    net.save(path)
    data, over = path.read_bytes(), threading.Event()

    def cut():
        while not over.is_set():
            path.write_bytes(data[: len(data) // 2])
            path.write_bytes(data)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        for _ in range(200):
            try:
                assert (fc.load(path).theta == net.theta).all()
            except FileFormatError:
                continue
    finally:
        over.set()
        cutter.join()


@pytest.mark.parametrize("described", [5, [], {"z": None}, {"x": "abc"}, {"x": [1, 2, 3]}, {"x": ["a"]}, {"t": {}}])
def test_a_damaged_description_of_columns_is_refused(described, net, path):
    write_model(path, Model(net.layers, net.theta, net.state, {"trained_with": described}))
    with pytest.raises(FileFormatError, match="columns"):
        read_model(path)
