"""Files of Keras become networks: those that Keras wrote, with what it gave for some rows, and hostile ones."""

import io
import json
import sys
import tracemalloc
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fullyconnected as fc
from fullyconnected.errors import FileFormatError, InputTypeError, MissingPackageError
from fullyconnected.exchange import from_keras, to_keras
from fullyconnected.exchange.keras import calls
from tests.exchange.test_formats import assert_near

h5py = pytest.importorskip("h5py")
GOLDEN = Path(__file__).parent.parent / "golden/exchange"
FILES = sorted(path.name for path in GOLDEN.iterdir() if path.suffix in (".keras", ".h5"))


@pytest.mark.parametrize("name", FILES)
def test_files_give_what_keras_gave(name):
    golden = load_file(GOLDEN / "keras.safetensors")
    stem = name.partition(".")[0]
    x, y = golden[f"{stem}/x"], golden[f"{stem}/y"]
    net = from_keras(GOLDEN / name)
    assert net.dtype == ("float64" if stem == "double" else "float32")
    x = x.reshape(len(x), -1)
    for n in (0, 1, len(x)):
        assert_near(net.predict(x[:n]), y[:n])


def test_settings_that_no_weight_holds():
    net = from_keras(GOLDEN / "mlp.keras")
    standardize, dense, norm, dropout, _, layer_norm, prelu, last = net.layers
    assert standardize == fc.Standardize(4, mean=(1.0, 0.0, -2.0, 5.0), scale=(2.0, 1.0, 1e-7, 3.0))
    assert dense.activation.name == "relu"
    assert (norm.epsilon, norm.momentum) == (1e-3, 0.01)  # as Keras begins
    assert dropout.rate == 0.2
    assert layer_norm.epsilon == 1e-3
    assert prelu.activation.name == "relu"
    assert last.activation.name == "softmax"
    net = from_keras(GOLDEN / "residual.keras")
    assert [type(layer).__name__ for layer in net.layers] == ["Dense", "Residual", "Residual", "Dense"]
    assert net.layers[1].layers[0].momentum == 0.1


def test_a_network_from_keras_is_trained_and_saved(tmp_path):
    net = from_keras(GOLDEN / "residual.keras")
    x = np.random.default_rng(0).normal(size=(50, 4))
    history = fc.fit(net, x, x[:, :2] > 0, "half_squared_error", fc.Adam(0.01), epochs=5, seed=0, progress=False)
    assert history.loss[-1] < history.loss[0]
    net.save(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(fc.load(tmp_path / "net.safetensors").predict(x), net.predict(x))


# --- files that are made here -----------------------------------------------------------------------------------------


def layer(kind, name="it", inbound=None, module="keras.layers", **config):
    made = {"module": module, "class_name": kind, "config": {"name": name, **config}, "registered_name": None}
    if inbound is not None:
        nodes = [{"class_name": "__keras_tensor__", "config": {"keras_history": [each, 0, 0]}} for each in inbound]
        calls = [{"args": [nodes] if len(nodes) > 1 else nodes, "kwargs": {}}] if nodes else []
        made |= {"name": name, "inbound_nodes": calls}
    return made


def inputs(*shape, name="x", inbound=None, **config):
    return layer("InputLayer", name, inbound, batch_shape=[None, *shape], **config)


def sequential(*layers):
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [*layers]}}


def functional(output, *layers):
    config = {"name": "f", "layers": [*layers], "input_layers": ["x", 0, 0], "output_layers": [output, 0, 0]}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def weights_file(weights=None, change=None):
    """Return the bytes of a file of weights, and let a test change it before."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for path, arrays in (weights or {}).items():
            group = file.create_group(f"layers/{path}/vars")
            for i, array in enumerate(arrays):
                group[str(i)] = array
        if change is not None:
            change(file)
    return data.getvalue()


def keras_file(path, model, weights=None, change=None, more=()):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", model if isinstance(model, str) else json.dumps(model))
        archive.writestr("model.weights.h5", weights_file(weights, change))
        for name, data in more:
            archive.writestr(name, data)
    return path


DENSE = [random(4, 3), random(3)]


def one(kind, weights=(), shape=(4,), **config):
    """Return a model of one layer, and its weights."""
    snake = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(kind))
    return sequential(inputs(*shape), layer(kind, **config)), {snake: list(weights)}


ACTIVATIONS = [
    ("relu", lambda z: np.maximum(z, 0)),
    ("leaky_relu", lambda z: np.where(z > 0, z, 0.2 * z)),
    ("elu", lambda z: np.where(z > 0, z, np.expm1(z))),
    ("silu", lambda z: z / (1 + np.exp(-z))),
    ("swish", lambda z: z / (1 + np.exp(-z))),
    ("mish", lambda z: z * np.tanh(np.log1p(np.exp(z)))),
    ("softplus", lambda z: np.log1p(np.exp(z))),
    ("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
    ("tanh", np.tanh),
    ("exponential", np.exp),
    ("softmax", lambda z: np.exp(z) / np.exp(z).sum(1, keepdims=True)),
    ("linear", lambda z: z),
    (None, lambda z: z),
    (layer("LeakyReLU", negative_slope=0.4), lambda z: np.where(z > 0, z, 0.4 * z)),
    (layer("ReLU", negative_slope=0.1), lambda z: np.where(z > 0, z, 0.1 * z)),
    (layer("LeakyReLU"), lambda z: np.where(z > 0, z, 0.3 * z)),
    (layer("ELU", alpha=0.5), lambda z: np.where(z > 0, z, 0.5 * np.expm1(z))),
]


class TestLayers:
    def read(self, tmp_path, model, weights=None):
        return from_keras(keras_file(tmp_path / "model.keras", model, weights))

    @pytest.mark.parametrize("number", range(len(ACTIVATIONS)))
    def test_activations(self, tmp_path, number):
        name, f = ACTIVATIONS[number]
        net = self.read(tmp_path, *one("Dense", DENSE, activation=name))
        x = random(7, 4)
        np.testing.assert_allclose(net.predict(x), f(x @ DENSE[0] + DENSE[1]), rtol=1e-5, atol=1e-6)

    def test_norms_with_parts(self, tmp_path):
        x, a, b, variance = random(5, 4), random(4), random(4) + 1, np.abs(random(4)) + 0.1
        net = self.read(tmp_path, *one("BatchNormalization", [a, b, variance], scale=False, epsilon=0.5, axis=[1]))
        np.testing.assert_allclose(net.predict(x), (x - b) / np.sqrt(variance + 0.5) + a, rtol=1e-5, atol=1e-6)
        net = self.read(tmp_path, *one("LayerNormalization", [], scale=False, center=False, axis=[-1]))
        normed = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-3)
        np.testing.assert_allclose(net.predict(x), normed, rtol=1e-5, atol=1e-6)

    def test_constants(self, tmp_path):
        x = random(5, 4)
        net = self.read(tmp_path, *one("Rescaling", scale=[1.0, 2.0, 3.0, 4.0], offset=1.5))
        np.testing.assert_allclose(net.predict(x), x * [1, 2, 3, 4] + 1.5, rtol=1e-6)
        net = self.read(tmp_path, *one("Normalization", mean=2.0, variance=4.0, axis=None, invert=True))
        np.testing.assert_allclose(net.predict(x), 2 + 2 * x, rtol=1e-6)
        inside = sequential(inputs(4), layer("Dense", "d"), layer("Normalization", "n", mean=[1, 2, 3], variance=4.0))
        net = self.read(tmp_path, inside, {"dense": DENSE})
        np.testing.assert_allclose(net.predict(x), (x @ DENSE[0] + DENSE[1] - [1, 2, 3]) / 2, rtol=1e-5, atol=1e-6)

    def test_what_acts_in_training_alone_is_nothing(self, tmp_path):
        kinds = {"GaussianNoise": {"stddev": 0.1}, "GaussianDropout": {"rate": 0.1}, "AlphaDropout": {"rate": 0.1}}
        kinds |= {"ActivityRegularization": {"l1": 0.1}}
        made = [layer(kind, kind, **settings) for kind, settings in kinds.items()]
        net = self.read(tmp_path, sequential(inputs(4), *made, layer("Dense", "d")), {"dense": DENSE})
        assert [type(each) for each in net.layers] == [fc.Dense]
        wide = sequential(
            inputs(2, 2), layer("SpatialDropout1D", "s", rate=0.5), layer("Flatten", "f"), layer("Dense", "d")
        )
        assert [type(each) for each in self.read(tmp_path, wide, {"dense": DENSE}).layers] == [fc.Dense]

    def test_an_activation_comes_first(self, tmp_path):
        net = self.read(tmp_path, *one("ReLU"))
        np.testing.assert_array_equal(net.predict(x := random(5, 4)), np.maximum(x, 0))

    def test_rows_of_any_shape_are_read_in_order(self, tmp_path):
        W = random(12, 2)
        many = sequential(
            inputs(2, 6), layer("Reshape", "r", target_shape=[3, -1]), layer("ReLU", "a"), layer("Flatten", "f"),
            layer("Dense", "d", use_bias=False),
        )  # fmt: skip
        x = random(5, 2, 6)
        net = self.read(tmp_path, many, {"dense": [W]})
        np.testing.assert_allclose(net.predict(x.reshape(5, 12)), np.maximum(x, 0).reshape(5, 12) @ W, rtol=1e-5)

    def test_layers_without_weights_may_be_called_often_and_blocks_nest(self, tmp_path):
        W = [random(4, 4), random(4)]
        relu = layer("ReLU", "relu", ["d"])
        relu["inbound_nodes"] += layer("", "", ["s"])["inbound_nodes"]
        last = layer("Dense", "e", [])
        node = {"class_name": "__keras_tensor__", "config": {"keras_history": ["relu", 1, 0]}}
        last["inbound_nodes"] = [{"args": [node], "kwargs": {"training": False}}]
        model = functional(
            "t", inputs(4, inbound=[]), layer("Dense", "d", ["x"]), relu, layer("Add", "s", ["relu", "x"]), last,
            layer("Add", "t", ["x", "e"]),
        )  # fmt: skip
        net = self.read(tmp_path, model, {"dense": W, "dense_1": W})
        x = random(6, 4)
        inner = np.maximum(np.maximum(x @ W[0] + W[1], 0) + x, 0) @ W[0] + W[1]
        np.testing.assert_allclose(net.predict(x), x + inner, rtol=1e-5, atol=1e-5)

    def test_operations(self, tmp_path):
        nn, dense = "keras.src.ops.nn", layer("Dense", "d", ["x"])
        add = layer("Add", "t", ["e", "x"], "keras.src.ops.numpy")
        add["inbound_nodes"][0]["args"] = add["inbound_nodes"][0]["args"][0]  # x + y has two arguments, not a list
        model = functional(
            "t", inputs(4, inbound=[]), dense, layer("Elu", "e", ["d"], nn, alpha=0.3), add | {"registered_name": "Add"}
        )  # fmt: skip
        W = [random(4, 4), random(4)]
        z = (x := random(6, 4)) @ W[0] + W[1]
        net = self.read(tmp_path, model, {"dense": W})
        np.testing.assert_allclose(net.predict(x), x + np.where(z > 0, z, 0.3 * np.expm1(z)), rtol=1e-5, atol=1e-6)

    def test_many_layers(self, tmp_path):
        n = 700  # so many that their group is a tree of two levels
        layers = [layer("Dense", f"d{i}", use_bias=False) for i in range(n)]
        weights = {f"dense_{i}" if i else "dense": [random(2, 2) + np.float32(i)] for i in range(n)}
        net = self.read(tmp_path, sequential(inputs(2), *layers), weights)
        assert len(net.layers) == n
        np.testing.assert_array_equal([p.W for p in net.params], [W for (W,) in weights.values()])

    def test_a_sum_as_keras_2_writes_it(self, tmp_path):
        W = [random(4, 4), random(4)]
        dense, add = layer("Dense", "d"), layer("TFOpLambda", "t", function="__operators__.add")
        dense |= {"name": "d", "inbound_nodes": [[["x", 0, 0, {}]]]}
        add |= {"name": "t", "inbound_nodes": [["x", 0, 0, {"y": ["d", 0, 0], "name": None}]]}
        x = random(6, 4)
        net = self.read(tmp_path, functional("t", inputs(4, inbound=[]), dense, add), {"dense": W})
        np.testing.assert_allclose(net.predict(x), x + x @ W[0] + W[1], rtol=1e-5, atol=1e-6)
        add["config"]["function"] = "math.subtract"
        with pytest.raises(FileFormatError, match=r"t \(TFOpLambda\) joins 2 results; only a sum"):
            self.read(tmp_path, functional("t", inputs(4, inbound=[]), dense, add), {"dense": W})


QUANTISED = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8", "source_name": "float32"}}
SECRET = "raise SystemExit('executed')"
WRONG = {
    "a lambda": (*one("Lambda", function=SECRET), "layer it (Lambda) is a function of Python"),
    "a lambda as activation": (
        *one("Dense", DENSE, activation={"class_name": "__lambda__", "config": {"value": SECRET}}),
        "is what is no function by name",
    ),
    "a function of a module": (
        *one("Dense", DENSE, activation={"class_name": "function", "module": "os", "config": "system"}),
        "is the function 'system'; code is not executed",
    ),
    "a class of a module": (sequential(inputs(4), layer("Dense", module="os")), {}, "'Dense' of 'os', which is not"),
    "a registered class": (
        sequential(inputs(4), layer("Mine") | {"registered_name": "Custom>Mine"}), {}, "class 'Custom>Mine'"
    ),
    "a class called as a module": (sequential(inputs(4), layer("Dense", module="kerasx.layers")), {}, "of 'kerasx"),
    "a subclass": ({"class_name": "Mine", "config": {}}, {}, "'Mine', whose computation is code"),
    "an unknown layer": (*one("Conv2D"), r"it (Conv2D) has no counterpart here. Known: Activation, Activity"),
    "an unknown activation": (*one("Dense", DENSE, activation="relu6"), "activation 'relu6'; known are elu,"),
    "an unknown operation": (
        functional("o", inputs(4, inbound=[]), layer("Gelu", "o", ["x"], "keras.src.ops.nn", approximate=True)),
        {}, "with approximate=False it has one",
    ),
    "a limit of relu": (*one("ReLU", max_value=6.0), "max_value=6.0"),
    "training always": (
        functional("d", inputs(4, inbound=[]), layer("Dropout", "d", ["x"], rate=0.1) | {
            "inbound_nodes": [{"args": layer("", "", ["x"])["inbound_nodes"][0]["args"], "kwargs": {"training": True}}]
        }), {}, "called with training=True",
    ),
    "renorm": (*one("BatchNormalization", renorm=True), "renorm=True"),
    "rms": (*one("LayerNormalization", [random(4)], rms_scaling=True), "rms_scaling=True"),
    "an axis": (*one("Softmax", axis=0), "along the axis 0"),
    "lora": (*one("Dense", DENSE, lora_rank=2), "LoRA"),
    "int8": (
        *one("Dense", [DENSE[1], np.ones((4, 3), np.int8), DENSE[1]], dtype=QUANTISED),
        "it (Dense) is quantised to int8, which has rounded its weights; give the model from before model.quantize",
    ),
    "int8 by name": (*one("Dense", DENSE, dtype="int8_from_float32"), "it (Dense) is quantised to int8_from_float32"),
    "a missing bias": (*one("Dense", DENSE[:1]), "has 1 arrays of weights; 2 belong there: kernel, bias"),
    "whole numbers": (*one("Dense", [np.ones((4, 3), np.int8), DENSE[1]]), "is of the type int8"),
    "numbers that are not finite": (*one("Dense", [DENSE[0] * np.nan, DENSE[1]]), "not finite"),
    "a matrix of another width": (*one("Dense", [random(5, 3), DENSE[1]]), "its layers read 5"),
    "pictures": (*one("Dense", DENSE, shape=(2, 4)), "put a Flatten before it"),
    "a result of many axes": (*one("ReLU", shape=(2, 4)), "end it with a Flatten"),
    "a negative scale": (*one("Rescaling", scale=-1.0), "scale of Rescale must be positive"),
    "a number that is none": (*one("Dropout", rate="many"), "rate of the layer it (Dropout) is 'many'"),
    "a huge row": (*one("ReLU", shape=(10**12,)), "too long"),
    "a huge reshape": (*one("Reshape", target_shape=[10**9, 10**9]), "turns rows"),
    "many codes": (*one("Embedding", [random(3, 2)], shape=(10**6,)), "at most 10000"),
    "an open row": (*one("ReLU", shape=(None,)), "every axis but the first has a length"),
    "no input": (sequential(layer("ReLU")), {}, "how many columns"),
    "nothing": (sequential(), {}, "how many columns"),
    "only an input": (sequential(inputs(4)), {}, "no layer that computes"),
    "two inputs": (
        functional("a", inputs(4, inbound=[]), inputs(4, name="z", inbound=[]), layer("Add", "a", ["x", "z"])),
        {}, "one input",
    ),
    "a product": (
        functional("m", inputs(4, inbound=[]), layer("ReLU", "r", ["x"]), layer("Multiply", "m", ["r", "x"])), {},
        "m (Multiply) joins 2 results",
    ),
    "two branches": (
        functional("a", inputs(4, inbound=[]), layer("ReLU", "r", ["x"]), layer("ELU", "e", ["x"]),
                   layer("Add", "a", ["r", "e"])), {}, "residual block",
    ),
    "a sum with itself": (functional("a", inputs(4, inbound=[]), layer("Add", "a", ["x", "x"])), {}, "residual block"),
    "a name twice": (sequential(inputs(4), layer("ReLU"), layer("ReLU")), {}, "two of its layers have the name 'it'"),
    "a circle": (
        functional("a", inputs(4, inbound=[]), layer("ReLU", "a", ["b"]), layer("ReLU", "b", ["a"])), {},
        "reads what it gives itself",
    ),
    "a layer that is not there": (functional("a", layer("ReLU", "a", ["b"])), {}, "no such layer"),
    "a call with nothing": (
        functional("r", inputs(4, inbound=[]), layer("ReLU", "r", []) | {"inbound_nodes": [[]]}), {}, "called with []"
    ),
    "a functional model as a list": ({"class_name": "Functional", "config": []}, {}, "the model has 0 inputs"),
    "a constant that is none": (*one("Rescaling", scale={"class_name": "__numpy__"}), "scale of Rescale[0] is nan"),
    "layers that are none": ({"class_name": "Sequential", "config": {"layers": 3}}, {}, "no list"),
}  # fmt: skip
DEEP = sequential(inputs(4))
for _ in range(300):
    DEEP = sequential(DEEP)


@contextmanager
def bounded(most):
    """Fail if more bytes are taken at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def circular(file):
    group = file.create_group("layers/dense")
    group["vars"] = group
    group["0"] = group


def virtual(file):
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[...] = h5py.VirtualSource("s.h5", "secret", (4, 3))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


class TestHostile:
    @pytest.mark.parametrize("name", WRONG)
    def test_what_cannot_be_read_is_named(self, name, tmp_path):
        model, weights, message = WRONG[name]
        with pytest.raises(FileFormatError) as found:
            from_keras(keras_file(tmp_path / "model.keras", model, weights))
        assert message in str(found.value)
        assert "model.keras" in str(found.value)

    @pytest.mark.parametrize("args", [[[] for _ in range(100_000)], [["x", 0, 0]] * 100_000])
    def test_arguments_by_the_hundred_thousand(self, args, tmp_path, monkeypatch):
        looked_at, tensor = [], calls._tensor
        monkeypatch.setattr(calls, "_tensor", lambda each: looked_at.append(each) or tensor(each))
        for node in ({"args": args, "kwargs": {}}, [["x", 0, 0]] * len(args)):
            model = functional("r", inputs(4, inbound=[]), layer("ReLU", "r", ["x"]) | {"inbound_nodes": [node]})
            with pytest.raises(FileFormatError, match="'r' is called with more than 1000 arguments"):
                from_keras(keras_file(tmp_path / "m.keras", model))
        assert len(looked_at) < 10  # the model's own input and output

    def test_shared_weights(self, tmp_path):
        model = functional("e", inputs(3, inbound=[]), layer("Dense", "d", ["x"]), layer("ReLU", "e", []))
        d, e = model["config"]["layers"][1:]
        d["inbound_nodes"] += layer("", "", ["d"])["inbound_nodes"]
        node = {"class_name": "__keras_tensor__", "config": {"keras_history": ["d", 1, 0]}}
        e["inbound_nodes"] = [{"args": [node], "kwargs": {}}]
        with pytest.raises(FileFormatError, match="called twice"):
            from_keras(keras_file(tmp_path / "m.keras", model, {"dense": [random(3, 3), random(3)]}))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda file: file.__setitem__("layers/dense/vars/0", h5py.SoftLink("/secret")), "a link to another place"),
            (
                lambda file: file.__setitem__("layers/dense/vars/0", h5py.ExternalLink("s.h5", "/secret")),
                "groups of another",
            ),
            (circular, "are not there"),
            (lambda file: file.create_group("layers/dense/vars/0"), "are not there"),
            (lambda file: file.__setitem__("layers/dense/vars/0", "a text"), "of a type that is no float32"),
            (lambda file: file.__setitem__("layers/dense/vars/0", h5py.Empty("f4")), "without a shape"),
            (
                lambda file: file.create_dataset("layers/dense/vars/0", (1 << 20, 1 << 20), "f4", chunks=(64, 64)),
                "in chunks",
            ),
            (lambda file: file.create_dataset("layers/dense/vars/0", (1 << 40, 4), "f4"), "too few bytes"),
            (
                lambda file: file.create_dataset("layers/dense/vars/0", data=np.zeros((4096, 64), "f4"), compression=9),
                "in chunks, compressed",
            ),
            (
                lambda file: file.create_dataset(
                    "layers/dense/vars/0", (4, 3), "f4", external=[("/etc/passwd", 0, 48)]
                ),
                "another file",
            ),
            (virtual, "chunks, compressed or virtual"),
        ],
    )
    def test_weights_lie_in_the_file(self, change, message, tmp_path):
        (tmp_path / "s.h5").write_bytes(weights_file(change=lambda file: file.__setitem__("secret", DENSE[0])))
        model = sequential(inputs(4), layer("Dense"))
        path = keras_file(tmp_path / "m.keras", model, {}, change)
        with bounded(1e6), pytest.raises(FileFormatError, match=message):
            from_keras(path)

    def test_one_place_cannot_stand_for_many(self, tmp_path):
        def linked(file):
            file["one"] = random(300, 300)
            for i in range(40):
                file.create_group(f"layers/dense{f'_{i}' if i else ''}/vars")["0"] = file["one"]  # a hard link

        layers = [layer("Dense", f"d{i}", use_bias=False) for i in range(40)]
        with pytest.raises(FileFormatError, match="several layers"):
            from_keras(keras_file(tmp_path / "m.keras", sequential(inputs(300), *layers), {}, linked))

    def test_zips(self, tmp_path):
        model, weights = one("Dense", DENSE)
        path = tmp_path / "m.keras"
        for more, message in (([("/etc/x", "")], "leads out"), ([("a/../../x", "")], "leads out")):
            with pytest.raises(FileFormatError, match=message):
                from_keras(keras_file(path, model, weights, more=more))
        with pytest.warns(UserWarning, match="Duplicate"):
            keras_file(path, model, weights, more=[("config.json", "{}")])
        with pytest.raises(FileFormatError, match="twice"):
            from_keras(path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(model))
        with pytest.raises(FileFormatError, match=r"no model\.weights\.h5"):
            from_keras(path)
        for method, message in ((zipfile.ZIP_DEFLATED, "too many"), (zipfile.ZIP_BZIP2, "compressed by the method")):
            with zipfile.ZipFile(path, "w", method) as archive:
                archive.writestr("config.json", json.dumps(model))
                archive.writestr("model.weights.h5", bytes(100_000_000))
            with bounded(1e6), pytest.raises(FileFormatError, match=message):
                from_keras(path)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:  # what Keras does not write, but may stand
            archive.writestr("config.json", json.dumps(model))
            archive.writestr("model.weights.h5", weights_file(weights))
        assert from_keras(path).n_out == 3
        data = bytearray(path.read_bytes())
        at = data.index(b"PK\x01\x02")
        data[at + 8] |= 1  # of the first entry of the directory: encrypted
        path.write_bytes(data)
        with pytest.raises(FileFormatError, match="encrypted"):
            from_keras(path)

    @pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"class_name": "Sequential"}', "NaN", "\xff"])
    def test_descriptions(self, text, tmp_path):
        with pytest.raises(FileFormatError, match=r"m\.keras"):
            from_keras(keras_file(tmp_path / "m.keras", text))

    def test_nesting_without_end(self, tmp_path):
        with pytest.raises(FileFormatError):
            from_keras(keras_file(tmp_path / "m.keras", DEEP))

    def test_models_that_call_models_twice(self, tmp_path):
        model = functional("r", inputs(4, inbound=[]), layer("ReLU", "r", ["x"]))
        for _ in range(40):
            inner = model | {"name": "m", "inbound_nodes": layer("", "", ["x"])["inbound_nodes"] * 2}
            inner["inbound_nodes"][1] = layer("", "", ["m"])["inbound_nodes"][0]
            last = layer("ReLU", "r", ["m"])
            last["inbound_nodes"][0]["args"][0]["config"]["keras_history"][1] = 1
            model = functional("r", inputs(4, inbound=[]), inner, last)
        with pytest.raises(FileFormatError, match="called twice"):
            from_keras(keras_file(tmp_path / "m.keras", model))

    def test_other_files(self, tmp_path):
        path = tmp_path / "alone.weights.h5"
        path.write_bytes(weights_file({"dense": DENSE}))
        with pytest.raises(FileFormatError, match=r"weights alone.*load_weights"):
            from_keras(path)
        for data in (b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"something else"):
            path.write_bytes(data)
            with pytest.raises(FileFormatError, match=r"alone\.weights\.h5"):
                from_keras(path)
        with pytest.raises(FileNotFoundError):
            from_keras(tmp_path / "none.keras")
        for given in (3, None, object(), b"PK", bytes(path), fc.mlp([2, 1], seed=0)):
            with pytest.raises(InputTypeError, match="from_keras takes"):
                from_keras(given)

    @pytest.mark.parametrize("name", ["mlp.keras", "residual.keras", "mlp.h5", "nested.h5"])
    def test_damaged_files(self, name, tmp_path):
        whole = (GOLDEN / name).read_bytes()
        rng = np.random.default_rng(0)
        path = tmp_path / name
        for i in range(150):
            data = bytearray(whole)
            if i < 30:
                del data[int(rng.integers(len(data))) :]
            else:
                for _ in range(int(rng.integers(1, 30))):
                    data[int(rng.integers(len(data)))] = int(rng.integers(256))
            path.write_bytes(data)
            with suppress(FileFormatError):
                assert np.isfinite(from_keras(path).theta).all()

    @pytest.mark.parametrize("name", ["mlp.keras", "residual.keras", "nested.keras", "codes.keras"])
    def test_changed_settings(self, name, tmp_path):
        with zipfile.ZipFile(GOLDEN / name) as archive:
            text, weights = archive.read("config.json"), archive.read("model.weights.h5")
        rng = np.random.default_rng(0)
        other = [
            None,
            True,
            0,
            -1,
            2,
            10**30,
            1e400,
            -0.5,
            "",
            "relu",
            "x",
            [],
            [None, 3],
            {},
            [[["x", 0, 0]]],
            "é" * 999,
        ]
        path = tmp_path / name
        for _ in range(300):
            model = json.loads(text)
            for _ in range(int(rng.integers(1, 4))):
                places = list(places_in(model))
                held, key = places[int(rng.integers(len(places)))]
                if rng.random() < 0.2:
                    del held[key]
                else:
                    held[key] = other[int(rng.integers(len(other)))]
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("config.json", json.dumps(model))
                archive.writestr("model.weights.h5", weights)
            with suppress(FileFormatError):
                assert np.isfinite(from_keras(path).theta).all()

    def test_changed_weights(self, tmp_path):
        with zipfile.ZipFile(GOLDEN / "mlp.keras") as archive:
            text, weights = archive.read("config.json"), archive.read("model.weights.h5")
        rng = np.random.default_rng(0)
        for _ in range(300):
            data = bytearray(weights)
            for _ in range(int(rng.integers(1, 60))):
                data[int(rng.integers(len(data)))] = int(rng.integers(256))
            with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
                archive.writestr("config.json", text)
                archive.writestr("model.weights.h5", data)
            with suppress(FileFormatError):
                assert np.isfinite(from_keras(tmp_path / "m.keras").theta).all()


def places_in(value):
    """Yield what holds something, and where it does."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places_in(value[key])


def test_keras_without_its_backend(tmp_path, monkeypatch):
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras/__init__.py").write_text("import the_backend", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    message = r"Keras is installed, but not its backend the_backend: .* KERAS_BACKEND to torch, jax or tensorflow"
    with pytest.raises(MissingPackageError, match=message):
        to_keras(fc.mlp([2, 1], seed=0))
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingPackageError, match=r"needs the package keras.*fullyconnected\[keras\]"):
        to_keras(fc.mlp([2, 1], seed=0))


@pytest.mark.parametrize("name", ["residual.keras", "nested.keras", "codes.keras"])
def test_another_type_in_any_place_is_named_in_our_words(name, tmp_path, examples):
    with zipfile.ZipFile(GOLDEN / name) as archive:
        text, weights = archive.read("config.json"), archive.read("model.weights.h5")
    wrong = []
    for i in range(len([*places_in(json.loads(text))])):
        others = (None, 3, "x", [3], {"x": 3}, "left out")
        for j in range(examples(len(others))):  # each place has some of them, and the next place the next
            other = others[(i * examples(len(others)) + j) % len(others)]
            model = json.loads(text)
            held, key = [*places_in(model)][i]
            held[key] = other
            if other == "left out":
                del held[key]
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.writestr("config.json", json.dumps(model))
                archive.writestr("model.weights.h5", weights)
            try:
                from_keras(tmp_path / name)
            except FileFormatError as error:
                if not isinstance(error.__cause__, fc.errors.FullyConnectedError):  # but a message of Python
                    wrong.append((key, other, str(error)))
    assert not wrong
