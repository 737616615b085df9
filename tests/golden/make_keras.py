"""Write exchange/*.keras and *.h5, models of Keras, and exchange/keras.safetensors: what Keras gives for some rows.

Files of Keras 3 need keras==3.15.1 with a backend, such as torch==2.13.0, and those of Keras 2 tf_keras==2.21.0; each
in an environment of its own, with numpy and safetensors:

    python3 -m venv k && k/bin/pip install keras==3.15.1 torch==2.13.0 safetensors
    KERAS_BACKEND=torch k/bin/python tests/golden/make_keras.py
    python3 -m venv t && t/bin/pip install tensorflow-cpu==2.21.0 tf_keras==2.21.0 safetensors
    TF_USE_LEGACY_KERAS=1 t/bin/python tests/golden/make_keras.py keras2

Weights are drawn anew, so that no norm is the one that it begins as.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

KERAS2 = sys.argv[1:] == ["keras2"]
if KERAS2:
    import tf_keras as keras
else:
    import keras
layers = keras.layers
FOLDER = Path(__file__).parent / "exchange"
rng = np.random.default_rng(20261130)
golden = {}


def keep(name, model, x, *suffixes):
    """Write a model with other weights than those that it begins with, and what it gives for rows."""
    for layer in model.layers:
        for weight in [] if isinstance(layer, layers.Normalization) else layer.weights:
            value = rng.normal(size=weight.shape)
            weight.assign(np.abs(value) + 0.3 if "variance" in weight.name else value)
    for suffix in suffixes:
        model.save(FOLDER / f"{name}.{suffix}")
    golden[f"{name}/x"] = x
    golden[f"{name}/y"] = np.array(model.predict(x, verbose=0))


def mlp(slope):
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Normalization(mean=[1.0, 0.0, -2.0, 5.0], variance=[4.0, 1.0, 0.0, 9.0]),
            layers.Dense(6, "relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(5, use_bias=False),
            slope,
            layers.LayerNormalization(center=False),
            layers.PReLU(),
            layers.Dense(3),
            layers.Softmax(),
        ]
    )


def residual():
    x = keras.Input((4,))
    h = layers.Dense(5, activation="gelu")(x)
    inner = layers.Dense(5, activation="swish")(layers.BatchNormalization(scale=False, momentum=0.9)(h))
    h = layers.Add()([h, layers.Dense(5)(inner)])
    part = layers.Dense(5, activation="mish" if not KERAS2 else "softplus")(h)
    h = layers.Add()([part, h])
    return keras.Model(x, layers.Dense(2, activation="sigmoid")(h))


def nested():
    stem = keras.Sequential([keras.Input((6,)), layers.Dense(4, "elu"), layers.BatchNormalization(epsilon=1e-5)])
    pictures = [keras.Input((3, 2)), layers.Rescaling(1 / 255, offset=-0.5), layers.Flatten()]
    return keras.Sequential([*pictures, stem, layers.Dense(4, "selu"), layers.Dense(1, "exponential")])


def codes():
    return keras.Sequential(
        [keras.Input((3,), dtype="int32"), layers.Embedding(7, 2), layers.Flatten(), layers.Dense(2, "tanh")]
    )


x = rng.normal(size=(9, 4)).astype(np.float32)
pictures = rng.integers(0, 256, (5, 3, 2)).astype(np.float32)
whole = rng.integers(0, 7, (6, 3)).astype(np.int32)
if KERAS2:
    golden = load_file(FOLDER / "keras.safetensors")
    keep("mlp2", mlp(layers.LeakyReLU(0.1)), x, "keras", "h5")
    keep("residual2", residual(), x, "h5")
    keep("nested2", nested(), pictures, "h5")
    keep("codes2", codes(), whole, "h5")
else:
    keep("mlp", mlp(layers.LeakyReLU()), x, "keras", "h5")
    keep("residual", residual(), x, "keras")
    keep("nested", nested(), pictures, "keras", "h5")
    keep("codes", codes(), whole, "keras")
    found = keras.Sequential([keras.Input((4,)), layers.Normalization(), layers.Dense(2, activation=layers.ELU(0.5))])
    found.layers[0].adapt(x)
    keep("adapted", found, x, "keras")
    wide = {"dtype": "float64"}
    model = keras.Sequential([keras.Input((4,), **wide), layers.Dense(3, "relu", **wide), layers.Dense(2, **wide)])
    keep("double", model, x, "keras")
save_file({name: np.ascontiguousarray(value) for name, value in golden.items()}, FOLDER / "keras.safetensors")
