"""Formats of files: chosen by suffix to write, by content to read; one of one's own through its registration alone."""

import json
import os
from typing import ClassVar

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.files import FORMATS
from fullyconnected.tables.model import load_table_model


class Text(fc.Format):
    """All of a network as JSON."""

    name = "text"
    suffixes = (".json", ".net.txt")

    def recognises(self, head):
        return head.startswith(b'{"description"')

    def write(self, description, tensors):
        lists = {name: a.tolist() for name, a in tensors.items()}
        return json.dumps({"description": description, "tensors": lists}).encode()

    def read(self, data):
        found = json.loads(data)
        dtype = found["description"]["dtype"]
        return found["description"], {name: np.array(a, dtype) for name, a in found["tensors"].items()}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(FORMATS, "classes", dict(FORMATS.classes))
    fc.register(Text)


@pytest.fixture
def net():
    layers = [fc.Dense(3, 4, fc.LeakyReLU(0.2)), fc.BatchNorm(), fc.Residual([fc.Dense(4, 4)]), fc.Dense(4, 2)]
    net = fc.Network(layers, seed=0)
    fc.fit(net, np.eye(3), [0, 1, 1], "softmax_cross_entropy", epochs=2, progress=False)
    return net


def same(net, other):
    return (net.layers, net.loss, net.dtype, net.theta.tobytes(), net.state.tobytes()) == (
        *(other.layers, other.loss, other.dtype, other.theta.tobytes(), other.state.tobytes()),
    )


# the last one in the letters that names of files may have here
@pytest.mark.parametrize("name", ["net.json", "NET.JSON", "a.net.txt", os.fsdecode("日本語.json".encode())])
def test_the_suffix_says_how_a_network_is_written(net, tmp_path, name):
    net.save(tmp_path / name)
    assert json.loads((tmp_path / name).read_bytes())["description"]["dtype"] == "float32"
    assert same(fc.load(tmp_path / name), net)


@pytest.mark.parametrize(
    "name", ["net.safetensors", "net", "net.SAFETENSORS", "net.bin", "json", "net.txt", ".json.old"]
)
def test_without_a_known_suffix_it_is_safetensors(net, tmp_path, name):
    net.save(tmp_path / name)
    assert (tmp_path / name).read_bytes()[8:9] == b"{"
    assert same(fc.load(tmp_path / name), net)


@pytest.mark.parametrize(("name", "other"), [("a.json", "b.safetensors"), ("a.safetensors", "b.json"), ("a.json", "b")])
def test_the_content_says_how_a_file_is_read(net, tmp_path, name, other):
    net.save(tmp_path / name)
    (tmp_path / name).rename(tmp_path / other)
    assert same(fc.load(tmp_path / other), net)


class Framed(Text):
    """A format whose files could be taken for those of another one."""

    name = "framed"
    suffixes = (".Framed",)
    magic = b"12345678{"

    def recognises(self, head):
        return head[len(self.magic) - 1] == self.magic[-1]  # an IndexError for a short file

    def write(self, description, tensors):
        return self.magic + super().write(description, tensors)

    def read(self, data):
        return super().read(data[len(self.magic) :])


@pytest.mark.parametrize("magic", [b"12345678{", (50).to_bytes(8, "little") + b"{"])
def test_a_format_reads_its_own_files_whatever_others_take_them_for(net, tmp_path, magic):
    fc.register(type("Framed", (Framed,), {"magic": magic}))
    for name in ("net.framed", "net.FRAMED"):
        net.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(magic)
        assert same(fc.load(tmp_path / name), net)
    if magic.startswith(b"1"):  # as a length, these 8 bytes would be more than any file has
        (tmp_path / "net.framed").rename(tmp_path / "net")
        assert same(fc.load(tmp_path / "net"), net)


def test_a_format_that_cannot_tell_its_files_does_not_stand_in_the_way_of_others(net, tmp_path):
    fc.register(type("Framed", (Framed,), {"name": "aaa", "recognises": lambda self, head: head[1 << 20]}))
    for name in ("net.json", "net.safetensors", "net.framed"):
        net.save(tmp_path / name)
        assert same(fc.load(tmp_path / name), net)
    (tmp_path / "empty").touch()
    with pytest.raises(errors.FileFormatError, match="this is not a model file of any known format"):
        fc.load(tmp_path / "empty")


def test_a_model_for_a_table(tmp_path):
    described = {"format": 1, "features": ["a"], "means": [0.0], "scales": [1.0], "target": "b"}
    described |= {"classes": ["no", "yes"], "target_mean": 0.0, "target_scale": 1.0}
    made = fc.mlp([1, 2], seed=0)
    fc.files.write_model(
        tmp_path / "model.json", fc.files.Model(made.layers, made.theta, made.state, {"table": described})
    )
    assert np.array_equal(load_table_model(tmp_path / "model.json").net.theta, made.theta)
    with pytest.raises(errors.FileFormatError, match=r"model\.json is a model for a table"):
        fc.load(tmp_path / "model.json")


def test_checkpoints_are_safetensors_whatever_they_are_called(tmp_path):
    settings = {"checkpoint": tmp_path / "run.json", "progress": False}
    for epochs in (1, 2):
        net = fc.mlp([2, 1], seed=0)
        fc.fit(net, [[1.0, 2.0]], [1.0], fc.Huber(0.5), epochs=epochs, **settings)
    assert (tmp_path / "run.json").read_bytes()[8:9] == b"{"
    assert same(fc.load(tmp_path / "run.json"), net)


def test_what_no_format_recognises_is_refused(tmp_path):
    for name in ("net", "net.h5"):
        for data in (b"", b"no network\n", b"\x89HDF\r\n\x1a\n" + bytes(100)):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(
                errors.FileFormatError,
                match="this is not a model file of any known format: safetensors, text",
            ):
                fc.load(tmp_path / name)
    (tmp_path / "net.json").write_bytes(b"no network\n")
    with pytest.raises(
        errors.FileFormatError, match=r"net\.json: this is not a whole file of the format 'text': JSONDec"
    ):
        fc.load(tmp_path / "net.json")
    (tmp_path / "net.safetensors").write_bytes(b"no")
    with pytest.raises(errors.FileFormatError, match="not a whole safetensors file"):
        fc.load(tmp_path / "net.safetensors")


def test_every_truncation_is_refused(tmp_path):
    fc.mlp([1, 1], seed=0).save(tmp_path / "net.json")
    data = (tmp_path / "net.json").read_bytes()
    for size in range(len(data)):
        (tmp_path / "net.json").write_bytes(data[:size])
        with pytest.raises(errors.FileFormatError, match="not a whole file of the format 'text'"):
            fc.load(tmp_path / "net.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, t: t.pop("dense_1.b"), "the tensor dense_1.b is missing"),
        (lambda d, t: t.update({"dense_1.W": [[1.0]]}), r"dense_1.W has shape \(1, 1\)"),
        (lambda d, t: d.update(layers=[]), "not a list of layers"),
        (lambda d, t: d.update(dtype="int8"), "dtype is 'int8'"),
        (lambda d, t: d.update(version=99), "has version 99"),
        (lambda d, t: d.pop("dtype"), "not a whole file of the format 'text': KeyError"),
        (lambda d, t: t.update({"dense_1.W": [["a", "b"]]}), "not a whole file of the format 'text': ValueError"),
    ],
)
def test_what_is_read_is_held_against_the_description(tmp_path, change, message):
    path = tmp_path / "net.json"
    fc.mlp([2, 1], seed=0).save(path)
    content = json.loads(path.read_bytes())
    change(content["description"], content["tensors"])
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(errors.FileFormatError, match=message):
        fc.load(path)


def changed(**members):
    return type("Mine", (Text,), {"name": "mine", "suffixes": (".mine",), **members})


def writes_into(self, description, tensors):
    tensors["dense_1.W"][...] = 0


def cannot(self, description, tensors):
    raise ValueError("no layers of this kind")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"write": lambda self, description, tensors: "text"}, "Mine.write returns bytes; got a str"),
        ({"write": lambda self, description, tensors: None}, "Mine.write returns bytes; got a NoneType"),
        ({"write": cannot}, "a file of the format 'mine' cannot hold the network: no layers of this kind"),
        ({"write": writes_into}, "cannot hold the network: .*read-only"),
    ],
)
def test_a_format_that_cannot_write_leaves_the_file_as_it_was(net, tmp_path, members, message):
    fc.register(changed(**members))
    (tmp_path / "net.mine").write_text("old", encoding="utf-8")
    before = net.theta.copy()
    with pytest.raises(errors.ConfigError, match=message):
        net.save(tmp_path / "net.mine")
    assert (tmp_path / "net.mine").read_text(encoding="utf-8") == "old"
    assert np.array_equal(net.theta, before)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"suffixes": ".mine"}, r"Mine.suffixes is a tuple such as \(\"\.safetensors\",\); got '\.mine'"),
        ({"suffixes": ("mine",)}, "Mine.suffixes is a tuple"),
        ({"suffixes": (".mine", ".safetensors")}, "the suffix '.safetensors' is taken by the format 'safetensors'"),
        ({"suffixes": (".json",)}, "the suffix '.json' is taken by the format 'text'"),
        ({"suffixes": (".JSON",)}, "the suffix '.json' is taken by the format 'text'"),
        ({"name": "safetensors"}, "the format name 'safetensors' is taken by fullyconnected.files"),
        ({"read": lambda self: None}, r"Mine.read takes \(self\), but is called as read\(data\)"),
        ({"name": None}, "Mine needs a class attribute name"),
    ],
)
def test_a_format_is_checked_when_it_is_registered(members, message):
    known = dict(FORMATS.classes)
    with pytest.raises(errors.ConfigError, match=message):
        fc.register(changed(**members))
    assert FORMATS.classes == known


def test_a_format_without_its_methods_says_so(net, tmp_path):
    class Empty(fc.Format):
        name: ClassVar[str] = "empty"
        suffixes: ClassVar[tuple[str, ...]] = (".empty",)

    for call in (
        lambda: Empty().recognises(b""),
        lambda: Empty().write({}, {}),
        lambda: Empty().read(b""),
    ):
        with pytest.raises(NotImplementedError, match=r"Empty has no .*; see help\(fc.Format\)"):
            call()
