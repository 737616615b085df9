"""Models of Keras become networks, and networks models, with the same results. `.ci/nightly keras` runs it."""

import os
import random
import subprocess
import sys
import warnings

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import fullyconnected as fc
from fullyconnected.errors import ConfigError, FileFormatError, InputTypeError
from fullyconnected.exchange import from_keras, to_keras
from tests.exchange.networks import NETWORKS, rows_for
from tests.exchange.random_networks import networks

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("JAX_ENABLE_X64", "1")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # some backends warn of themselves
    keras = pytest.importorskip("keras", reason="Keras is not needed to test the library; .ci/nightly keras has it")
layers = keras.layers
pytestmark = pytest.mark.filterwarnings("default")  # of Keras, such as of its own older format
BACKEND = keras.backend.backend()
EXAMPLES = 100 if BACKEND == "torch" else 20  # others take a while for a model
# without rows, TensorFlow's own sum of two tensors fails
ROWS = (1, 7) if BACKEND == "tensorflow" else (0, 1, 7)
RETURN = (
    fc.Dense,
    fc.Activation,
    fc.Dropout,
    fc.LayerNorm,
    fc.RMSNorm,
    fc.BatchNorm,
    fc.Rescale,
    fc.Standardize,
    fc.Scale,
)


def predicted(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def assert_same(found, wanted):
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0) <= 1e-5 * max(1, np.abs(wanted).max(initial=0))


def returns(layer):
    """Whether a layer is one in Keras, too."""
    if isinstance(layer, fc.Residual):
        return all(map(returns, layer.layers))
    return isinstance(layer, RETURN) and not (getattr(layer, "clip", False) or getattr(layer, "missing", False))


def assert_there_and_back(net, path=None):
    model = to_keras(net)
    for n in ROWS:
        x = rows_for(net, n, seed=5)
        assert_same(predicted(model, x), net.predict(x))
    if not all(map(returns, net.layers)):
        if not any(isinstance(layer, fc.layers.Parametric) for layer in net.layers):
            with pytest.raises(ConfigError):
                from_keras(model)
        return
    back = from_keras(model)
    if net.n_params:  # what has no weights has no type, either
        assert back.dtype == net.dtype
    np.testing.assert_array_equal(back.theta, net.theta)
    np.testing.assert_array_equal(back.state, net.state)
    if back.dtype == net.dtype:
        np.testing.assert_array_equal(back.predict(x), net.predict(x))


def test_what_acts_in_training_alone_is_left_out():
    made = [layers.GaussianNoise(0.5), layers.GaussianDropout(0.5), layers.AlphaDropout(0.5)]
    made += [layers.Reshape((2, 2)), layers.SpatialDropout1D(0.5), layers.Flatten()]
    model = keras.Sequential([keras.Input((4,)), *made, layers.Dense(3), layers.ActivityRegularization(l2=0.1)])
    net = from_keras(model)
    assert [type(each) for each in net.layers] == [fc.Dense]
    x = rows_for(net, 7)
    assert_same(predicted(model, x), net.predict(x))


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_a_quantised_model_is_refused_by_that_name(mode, tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="relu")])
    model.quantize(mode)
    model.save(path := tmp_path / "model.keras")
    for given in (model, path):
        with pytest.raises((ConfigError, FileFormatError), match=rf"\(Dense\) is quantised to {mode}"):
            from_keras(given)


class TestThereAndBack:
    def test_everything_registered(self, net):
        assert_there_and_back(net)

    @hypothesis.given(networks())
    @hypothesis.settings(max_examples=EXAMPLES, deadline=None)
    def test_random_networks(self, net):
        assert_there_and_back(net)

    def test_an_mlp_has_layers_of_keras(self):
        made = [
            *(fc.Standardize(4, mean=1e6, scale=[1.0, 3.0, 0.1, 7.0]), fc.Dense(4, 6, "gelu")),
            *(fc.BatchNorm(epsilon=1e-4, momentum=0.2), fc.Dropout(0.3), fc.Dense(6, 6, fc.activations.LeakyReLU(0.3))),
            *(fc.Residual([fc.RMSNorm(epsilon=1e-3), fc.Dense(6, 6)]), fc.Dense(6, 2), fc.Rescale(2, scale=3.0)),
        ]
        net = fc.Network(made, seed=0)
        model = to_keras(net)
        assert [type(each).__name__ for each in model.layers if isinstance(each, layers.Layer)] == [
            *("InputLayer", "Normalization", "Dense", "Activation", "BatchNormalization", "Dropout", "Dense"),
            *("LeakyReLU", "RMSNormalization", "Dense", "Add", "Dense", "Rescaling"),
        ]
        norm, drop = model.get_layer("batch_norm_1"), model.get_layer("dropout_1")
        assert (norm.epsilon, norm.momentum, drop.rate) == (1e-4, 0.8, 0.3)
        back = from_keras(model)
        assert back.layers == net.layers
        np.testing.assert_array_equal(back.theta, net.theta)

    @pytest.mark.parametrize("name", ["deep", "tabm members, softmax_cross_entropy", "batch_norm 0", "embedding 0"])
    def test_a_file_loads_without_this_library(self, name, tmp_path):
        net = NETWORKS[name](dtype="float32")
        x = rows_for(net, 5, seed=2)
        to_keras(net).save(tmp_path / "model.keras")
        np.save(tmp_path / "x.npy", x)
        code = (
            "import sys; sys.modules['fullyconnected'] = None; import keras, numpy as np;"
            "model = keras.saving.load_model('model.keras');"
            "np.save('y.npy', keras.ops.convert_to_numpy(model(np.load('x.npy'))))"
        )
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
        assert_same(np.load(tmp_path / "y.npy"), net.predict(x))

    def test_it_is_trained_there(self):
        net = fc.Network(
            [fc.Dense(3, 8, "tanh"), fc.BatchNorm(), fc.Residual([fc.Dense(8, 8)]), fc.Dense(8, 1)], seed=0
        )
        model, before = to_keras(net), net.theta.copy()
        x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
        model.compile(optimizer="adam", loss="mse")
        losses = model.fit(x, x[:, :1] * x[:, 1:2], epochs=5, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
        np.testing.assert_array_equal(net.theta, before)
        back = from_keras(model)
        assert not np.array_equal(back.theta, before)
        assert_same(predicted(model, x), back.predict(x))

    def test_random_numbers_are_left_alone(self):
        random.seed(3)
        wanted = random.random()
        random.seed(3)
        to_keras(fc.Network([fc.Dense(3, 8, "tanh"), fc.Dropout(0.5), fc.Dense(8, 1)], seed=0))
        assert random.random() == wanted

    def test_what_is_no_network(self):
        with pytest.raises(InputTypeError, match="to_keras takes a Network"):
            to_keras("net")
        with pytest.raises(ConfigError, match="formula"):
            to_keras(fc.Network([fc.Dense(2, 3, (np.sin, np.cos))], seed=0))


NAMES = ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh", "softmax", None]


@st.composite
def models(draw):
    """Draw a Sequential or functional model of what a network can have, with weights as after a training."""
    dtype = draw(st.sampled_from(["float32", "float64"]))
    width = draw(st.integers(1, 5))
    x = h = keras.Input((width,), dtype=dtype)
    if draw(st.booleans()):
        h = layers.Normalization(mean=[1.0] * width, variance=[4.0] * width, dtype=dtype)(h)
    for _ in range(draw(st.integers(1, 4))):
        width = draw(st.integers(1, 6))
        bias, name = draw(st.booleans()), draw(st.sampled_from(NAMES))
        h = layers.Dense(width, activation=name, use_bias=bias, dtype=dtype)(h)
        kinds = ["batch", "layer", "rms", "prelu", "elu", "relu", "drop", "nested", "residual", "rescaling"]
        for kind in draw(st.lists(st.sampled_from(kinds), max_size=2)):
            center, scale = draw(st.booleans()), draw(st.booleans())
            match kind:
                case "batch":
                    h = layers.BatchNormalization(center=center, scale=scale, epsilon=0.01, dtype=dtype)(h)
                case "layer":
                    h = layers.LayerNormalization(center=center, scale=scale, dtype=dtype)(h)
                case "rms":
                    h = layers.RMSNormalization(dtype=dtype)(h)
                case "prelu":
                    h = layers.PReLU(dtype=dtype)(h)
                case "elu":
                    h = layers.ELU(alpha=0.4, dtype=dtype)(h)
                case "relu":
                    h = layers.ReLU(negative_slope=0.1 * center, dtype=dtype)(h)
                case "drop":
                    h = layers.Dropout(0.3, dtype=dtype)(h)
                case "rescaling":
                    h = layers.Rescaling(0.5, offset=-1.0, dtype=dtype)(h)
                case "nested":
                    inner = [keras.Input((width,), dtype=dtype), layers.Dense(width, "tanh", dtype=dtype)]
                    h = keras.Sequential([*inner, layers.BatchNormalization(dtype=dtype)])(h)
                case "residual":
                    inner = layers.Dense(width, "gelu", dtype=dtype)(layers.LayerNormalization(dtype=dtype)(h))
                    h = layers.Add(dtype=dtype)([h, inner]) if center else inner + h
    model = keras.Model(x, layers.Dense(2, dtype=dtype)(h))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    for each in model.layers:
        if isinstance(each, layers.Normalization):
            continue
        for weight in each.weights:
            value = rng.normal(size=weight.shape)
            weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value * 0.7)
    return model, dtype


class TestModels:
    @hypothesis.given(models())
    @hypothesis.settings(max_examples=EXAMPLES // 2, deadline=None)
    def test_random_models(self, tmp_path_factory, given):
        model, dtype = given
        net = from_keras(model)
        assert net.dtype == dtype
        folder = tmp_path_factory.mktemp("models")
        model.save(folder / "model.keras")
        model.save(folder / "model.h5")
        for n in ROWS:
            x = np.random.default_rng(n).normal(size=(n, net.n_in)).astype(np.float32)
            wanted = predicted(model, x)
            assert_same(net.predict(x), wanted.astype(dtype))
        for name in ("model.keras", "model.h5"):
            read = from_keras(folder / name)
            np.testing.assert_array_equal(read.theta, net.theta)
            np.testing.assert_array_equal(read.predict(x), net.predict(x))

    def test_pictures_of_whole_numbers(self):
        model = keras.Sequential(
            [
                *(keras.Input((4, 3), dtype="uint8"), layers.Rescaling(1 / 255), layers.Flatten()),
                *(layers.Dense(5, "relu"), layers.Dense(2)),
            ]
        )
        x = np.random.default_rng(0).integers(0, 256, (6, 4, 3)).astype(np.uint8)
        assert_same(from_keras(model).predict(x.reshape(6, 12).astype(np.float32)), predicted(model, x))

    def test_a_model_that_gives_something_else_is_not_taken(self, monkeypatch):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
        monkeypatch.setattr(layers.Dense, "call", lambda self, x, training=None: keras.ops.matmul(x, self.kernel) + 0.1)
        with pytest.raises(ConfigError, match="row 0 of the test vector"):
            from_keras(model)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x + 1)]), "function of Python"),
            (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2, lambda x: x + 1)]), "not executed"),
            (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2, mine)]), "not executed"),
            (lambda: keras.Sequential([keras.Input((4,)), Mine(2)]), "Mine.*not Keras's own"),
            (lambda: keras.Sequential([keras.Input((4, 4)), layers.LSTM(2)]), "LSTM.* has no counterpart"),
            (lambda: keras.Sequential([layers.Dense(2)]), "model.build"),
            (
                lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2, dtype="mixed_bfloat16")]),
                "computes in bfloat16",
            ),
            (lambda: Whole(), "Whole.*not Keras's own"),
        ],
    )
    def test_what_cannot_be_taken(self, make, message):
        with pytest.raises(ConfigError, match=message):
            from_keras(make())

    def test_half_precision_is_read_from_a_file(self, tmp_path):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(2, dtype="mixed_bfloat16")])
        model.save(tmp_path / "model.keras")
        np.testing.assert_array_equal(
            from_keras(tmp_path / "model.keras").params[0].W, np.array(model.get_weights()[0])
        )

    def test_weights_alone(self, tmp_path):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
        model.save_weights(tmp_path / "model.weights.h5")
        with pytest.raises(FileFormatError, match="weights alone"):
            from_keras(tmp_path / "model.weights.h5")


def mine(x):
    return x + 1


class Mine(layers.Dense):
    pass


class Whole(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)
        self.build((None, 4))

    def call(self, x):
        return self.dense(x)
