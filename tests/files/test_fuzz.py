"""Files of any bytes at all: each is a network that predicts, or is refused by an error of the library."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.errors import FileFormatError
from fullyconnected.files.model import VERSION
from fullyconnected.layers import LAYERS

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

FUZZING = Path(__file__).with_name("fuzzing.py")


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files(tmp_path, seed, examples):
    run = [sys.executable, "-W", "error", FUZZING, str(examples(3000)), str(seed), tmp_path]
    out = subprocess.run(run, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    loaded = int(out.stdout.split()[0])
    assert examples(100) < loaded < examples(1000)  # much of the damage is to settings that go either way


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "net"


def loads_or_is_refused(path, data):
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    try:
        net = fc.load(path)
    except FileFormatError:
        return None
    assert net.n_in > 10**6 or net.predict(np.zeros((2, net.n_in))).shape == (2, net.n_out)
    return net


def framed(header, data):
    return len(header).to_bytes(8, "little") + header + data


@hypothesis.given(data=st.binary(max_size=300), is_header=st.booleans())
def test_any_bytes(path, data, is_header):
    assert loads_or_is_refused(path, framed(data, b"") if is_header else data) is None


sizes = st.sampled_from([0, 1, 2, 4, 8, 12, 2**31, 2**32, 2**62, 2**63, 2**64, -1, 0.5, None])
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(
            ["F32", "F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "", "x", 5, None]
        ),
        "shape": st.lists(sizes, max_size=4),
        "data_offsets": st.lists(sizes, min_size=1, max_size=3),
    }
)
description = json.dumps({"version": VERSION, "dtype": "float32", "layers": [], "extras": {}})


@hypothesis.given(
    tensors=st.dictionaries(st.sampled_from(["dense_1.W", "dense_1.b", "run.x", "", "é"]), entries, max_size=3),
    metadata=st.sampled_from([None, {}, [], 5, {"fullyconnected": 5}, {"fullyconnected": description}]),
    data=st.sampled_from([b"", bytes(4), bytes(8), bytes(16), bytes(1000)]),
)
def test_any_header(path, tensors, metadata, data):
    header = json.dumps({**tensors, "__metadata__": metadata}).encode()
    assert loads_or_is_refused(path, framed(header, data)) is None


names = st.sampled_from(["n_in", "n_out", "activation", "bias", "init", "bias_init", "rate", "epsilon", "layers", "x"])
plain = (
    st.none() | st.booleans() | st.integers(-2, 5) | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
)
plain = plain | st.sampled_from(["relu", "zeros", "he_normal"]) | st.just(4)


def things(values):
    settings = st.dictionaries(names, values, max_size=5)
    layer = st.fixed_dictionaries({"layer": st.sampled_from([*LAYERS.classes, "?"]), "settings": settings})
    activations = st.sampled_from([*ACTIVATIONS.classes, "?"])
    return layer | st.fixed_dictionaries({"activation": activations, "settings": st.just({}) | settings})


values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | things(inner), max_leaves=8)


def test_any_architecture(path, examples):
    @hypothesis.settings(max_examples=examples(500))
    @hypothesis.given(layers=st.lists(things(values) | values, max_size=3), version=st.integers(1, VERSION))
    def check(layers, version):
        has_architecture(path, layers, version)

    check()


def has_architecture(path, layers, version):
    text = json.dumps({"version": version, "dtype": "float64", "layers": layers, "extras": {}})
    loads_or_is_refused(path, save({}, {"fullyconnected": text}))
    W, b = np.ones((4, 4)), np.ones(4)
    layers = [{"layer": "dense", "settings": {"n_in": 4, "n_out": 4}}, *layers]
    text = json.dumps({"version": version, "dtype": "float64", "layers": layers, "extras": {}})
    loads_or_is_refused(path, save({"dense_1.W": W, "dense_1.b": b}, {"fullyconnected": text}))
