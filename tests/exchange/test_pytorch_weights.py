"""Weights by name, as PyTorch writes them, become networks; no PyTorch is needed."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import fullyconnected as fc
from fullyconnected.errors import ConfigError, FileFormatError, InputTypeError

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"


def weights(*sizes, names=None, seed=0):
    """Return a state_dict of Linear layers."""
    rng = np.random.default_rng(seed)
    names = names or [2 * i for i in range(len(sizes) - 1)]
    found = {}
    for name, n_in, n_out in zip(names, sizes, sizes[1:], strict=False):
        found[f"{name}.weight"] = rng.normal(size=(n_out, n_in)).astype(np.float32)
        found[f"{name}.bias"] = rng.normal(size=n_out).astype(np.float32)
    return found


def shapes(net):
    return [(layer.n_in, layer.n_out, layer.activation and layer.activation.name) for layer in net.layers]


def test_weights_are_turned_and_activations_stand_where_numbers_are_left_out():
    given = weights(4, 6, 5, 2, names=["0", "2", "3"])
    net = fc.exchange.from_torch(given, activation="tanh")
    assert shapes(net) == [(4, 6, "tanh"), (6, 5, None), (5, 2, None)]
    np.testing.assert_array_equal(net.params[1].W, given["2.weight"].T)
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    h = np.tanh(x @ given["0.weight"].T + given["0.bias"]) @ given["2.weight"].T + given["2.bias"]
    np.testing.assert_allclose(net.predict(x), h @ given["3.weight"].T + given["3.bias"], rtol=1e-5, atol=1e-5)


def test_layers_by_name_are_put_in_the_order_in_which_they_fit():
    given = weights(4, 6, 5, 2, names=["net.fc1", "net.fc2", "net.head"])
    shuffled = {name: given[name] for name in sorted(given, reverse=True)}
    net = fc.exchange.from_torch(shuffled, activation="relu")
    assert shapes(net) == [(4, 6, "relu"), (6, 5, "relu"), (5, 2, None)]


def test_an_order_that_is_not_clear_is_asked_for(tmp_path):
    given = weights(4, 4, 4, 2, names=["second", "first", "head"])
    assert shapes(fc.exchange.from_torch(given, activation="relu"))[0] == (4, 4, "relu")  # as the module has them
    save_file(given, path := tmp_path / "model.safetensors")  # which has no order
    for _ in range(8):  # the package gives another one each time
        with pytest.raises(FileFormatError, match="several orders of the layers fit"):
            fc.exchange.from_torch(path, activation="relu")
    with pytest.raises(ConfigError, match=r"no order of the layers fits: a from 4 to 3, b from 5 to 2"):
        fc.exchange.from_torch({**weights(4, 3, names=["a"]), **weights(5, 2, names=["b"])}, activation="relu")


@pytest.mark.parametrize(
    "names",
    [["fc1", "fc2", "fc10"], ["net.2.lin", "net.10.lin", "net.11.lin"], ["stem", "fc1", "fc2"], ["a", "m", "b"]],
)
def test_a_file_gives_the_same_network_each_time(names, tmp_path):
    sizes = (4, 4, 4, 4) if "fc10" in names or "net.2.lin" in names else (5, 4, 4, 2)
    given = weights(*sizes, names=names)
    save_file(given, path := tmp_path / "model.safetensors")
    for _ in range(8):
        net = fc.exchange.from_torch(path, activation="tanh")
        for name, layer in zip(names, net.params, strict=True):
            np.testing.assert_array_equal(layer.W, given[f"{name}.weight"].T)


def test_many_layers_that_fit_in_no_order_are_refused_soon(tmp_path):
    rng = np.random.default_rng(0)
    given = {f"{chr(97 + i)}x.weight": rng.normal(size=(4, 4)).astype(np.float32) for i in range(20)}
    given["z.weight"], given["zz.weight"] = np.ones((3, 4), np.float32), np.ones((2, 4), np.float32)
    save_file(given, path := tmp_path / "model.safetensors")
    with pytest.raises(FileFormatError, match=r"orders? of the layers fits?"):
        fc.exchange.from_torch(path, activation="relu")


def test_an_activation_that_stands_nowhere_is_refused():
    given = weights(4, 8, 8, 2, names=["0", "1", "2"])  # of an nn.ModuleList
    with pytest.raises(ConfigError, match="no activation stands between the layers 0, 1, 2"):
        fc.exchange.from_torch(given, activation="relu")
    assert shapes(fc.exchange.from_torch(given, activation="identity")) == [(4, 8, None), (8, 8, None), (8, 2, None)]
    assert shapes(fc.exchange.from_torch(weights(4, 2), activation="relu")) == [(4, 2, None)]
    for names in (["0", "1", "2"], ["0", "2", "4"], ["a", "b", "c"]):
        with pytest.raises(ConfigError, match="did you mean 'relu'"):
            fc.exchange.from_torch(weights(4, 8, 8, 2, names=names), activation="rlu")


def test_norms_stand_between_a_matrix_and_its_activation():
    norm = {
        "1.weight": np.full(6, 2.0, np.float32),
        "1.bias": np.ones(6, np.float32),
        "1.running_mean": np.ones(6, np.float32),
        "1.running_var": np.full(6, 4.0, np.float32),
        "1.num_batches_tracked": np.array(7),
    }
    given = weights(4, 6, names=["0"]) | norm | weights(6, 2, names=["4"])
    net = fc.exchange.from_torch(given, activation="relu")
    assert [type(layer).__name__ for layer in net.layers] == ["Dense", "BatchNorm", "Activation", "Dense"]
    assert net.layers[1].epsilon == 1e-5
    assert net.layers[1].momentum == 0.1
    given = {name.replace("1.", "norm."): value for name, value in given.items()}
    net = fc.exchange.from_torch(
        {name.replace("0.", "a.").replace("4.", "b."): value for name, value in given.items()}, activation="relu"
    )
    assert [type(layer).__name__ for layer in net.layers] == ["Dense", "BatchNorm", "Activation", "Dense"]


def test_what_weights_alone_do_not_say():
    with pytest.raises(ConfigError, match='activation="relu"'):
        fc.exchange.from_torch(weights(2, 3, 1))
    with pytest.raises(ConfigError, match="swish_ish"):
        fc.exchange.from_torch(weights(2, 3, 1), activation="swish_ish")
    vector = {"1.weight": np.full(3, 0.25, np.float32)}  # which of them it is, nothing says
    given = weights(2, 3, names=["0"]) | vector | weights(3, 1, names=["2"])
    with pytest.raises(ConfigError, match="1 is a vector without biases: RMSNorm, PReLU"):
        fc.exchange.from_torch(given, activation="relu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight_ih_l0": np.ones((3, 2))}, "0 has weight, bias, weight_ih_l0; layers have weight and bias"),
        ({"0.weight": np.ones((3, 2, 3, 3))}, "2 axes belong there"),
        ({"0.bias": np.ones(4)}, r"the biases of 0 has the shape \(4,\); \(3,\)"),
        ({"0.weight": np.full((3, 2), np.nan)}, "not finite"),
        ({"0.weight": np.ones((3, 2), np.int8)}, "of the type int8"),
        ({"0.weight": "text"}, "of the type"),
        ({"0.weight": None}, "of the type"),
        ({"0.weight": [[1.0], [1.0, 2.0]]}, "0.weight has no numbers that can be read"),
        ({"weight": np.ones((3, 2), np.int16), "bias": np.ones(3)}, "of the only layer is of the type int16"),
        ({"model_state_dict": {}, "epoch": 3}, "the only layer has model_state_dict, epoch|epoch"),
    ],
)
def test_weights_that_are_none_of_a_layer(change, message):
    with pytest.raises(ConfigError, match=message):
        fc.exchange.from_torch(weights(2, 3, 1) | change, activation="relu")


def test_other_things_are_refused(tmp_path):
    for thing in (None, 3, [1], fc.mlp([2, 1], seed=0)):
        with pytest.raises(InputTypeError, match="takes a module, its state_dict"):
            fc.exchange.from_torch(thing)
    with pytest.raises(ConfigError, match="no weights"):
        fc.exchange.from_torch({}, activation="relu")
    for name in ("model.pt", "model.pth", "pytorch_model.bin"):
        with pytest.raises(ConfigError, match="pickle"):
            fc.exchange.from_torch(tmp_path / name, activation="relu")
    with pytest.raises(FileNotFoundError):
        fc.exchange.from_torch(tmp_path / "model.safetensors", activation="relu")
    with pytest.raises(InputTypeError, match="to_torch takes a Network"):
        fc.exchange.to_torch(fc.Dense(2, 3))


class TestFiles:
    def test_a_file_gives_what_its_weights_do(self, tmp_path):
        given = weights(4, 6, 2)
        save_file(given, path := tmp_path / "model.safetensors")
        net = fc.exchange.from_torch(path, activation="relu")
        assert (net.theta == fc.exchange.from_torch(given, activation="relu").theta).all()

    @pytest.mark.parametrize("name", ["mlp", "half", "bfloat16"])
    def test_files_that_pytorch_wrote(self, name):
        results = load_file(GOLDEN / "torch_results.safetensors")
        net = fc.exchange.from_torch(GOLDEN / f"torch_{name}.safetensors", activation="relu")
        found, wanted = net.predict(results["x"]), results[name]
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()

    def test_a_number_of_layers_above_nine_stays_in_order(self, tmp_path):
        given = weights(*[3] * 13)
        save_file(given, path := tmp_path / "deep.safetensors")
        net = fc.exchange.from_torch(path, activation="tanh")
        for i, layer in enumerate(net.params):
            np.testing.assert_array_equal(layer.W, given[f"{2 * i}.weight"].T)

    def test_bytes_that_are_no_file_of_weights(self, tmp_path):
        header = {"a.weight": {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 4]}}
        texts = [b"", b"{}", b"\x00" * 64, (len(h := json.dumps(header).encode())).to_bytes(8, "little") + h + b"1234"]
        for i, text in enumerate(texts):
            (path := tmp_path / f"{i}.safetensors").write_bytes(text)
            with pytest.raises(FileFormatError, match=rf"{i}\.safetensors"):
                fc.exchange.from_torch(path, activation="relu")

    def test_changed_bytes_give_a_network_or_an_error_of_the_library(self, tmp_path):
        save_file(weights(3, 4, 2), path := tmp_path / "model.safetensors")
        whole, rng = path.read_bytes(), np.random.default_rng(0)
        for _ in range(300):
            changed = bytearray(whole[: rng.integers(1, len(whole) + 1)] if rng.random() < 0.3 else whole)
            for at in rng.integers(0, len(changed), rng.integers(1, 4)):
                changed[at] = rng.integers(256)
            path.write_bytes(changed)
            with suppress(FileFormatError):
                fc.exchange.from_torch(path, activation="relu")
