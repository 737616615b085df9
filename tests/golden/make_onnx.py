"""Write exchange/*.onnx: files of ONNX that others made, each with rows and what its maker predicts for them.

Needs torch==2.13.0, onnxscript==0.7.2 and skl2onnx==1.20.0, and in another environment keras==3.15.1,
tensorflow-cpu==2.21.0 and tf2onnx==1.17.0:

    torchv/bin/python tests/golden/make_onnx.py torch skl2onnx
    kerasv/bin/python tests/golden/make_onnx.py keras tf2onnx

Beside each file is one of safetensors with x and y, so that the test draws nothing of its own.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent / "exchange"


def keep(name, x, y):
    x, y = np.array(x, np.float32, order="C"), np.array(y, np.float32, order="C")
    save_file({"x": x, "y": y}, FOLDER / f"{name}.safetensors")


def without_places(path):
    """Take off what PyTorch writes of the source lines that a model comes from, which has the paths of this machine."""
    import onnx

    model = onnx.load(path)
    for each in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer,
                 *model.graph.value_info):  # fmt: skip
        del each.metadata_props[:]
        each.doc_string = ""
    onnx.save(model, path)


def of_torch():
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, *inner, after=None):
            super().__init__()
            self.inner, self.after = nn.Sequential(*inner), after or nn.Identity()

        def forward(self, x):
            return self.after(x + self.inner(x))

    class Rows(nn.Module):
        def forward(self, x):
            return x.view(x.size(0), -1)

    class Squeeze(nn.Module):
        def forward(self, x):
            return x.squeeze(-1)

    torch.manual_seed(0)
    nets = {
        "plain": nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.25), nn.Linear(6, 3), nn.Softmax(dim=1)),
        "activations": nn.Sequential(
            *(nn.Linear(3, 5), nn.GELU(), nn.Linear(5, 5, bias=False), nn.SiLU(), nn.Linear(5, 5), nn.Mish()),
            *(nn.Linear(5, 5), nn.ELU(0.7), nn.Linear(5, 5), nn.SELU(), nn.Linear(5, 5), nn.LeakyReLU(0.2)),
            *(nn.Linear(5, 5), nn.Softplus(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.PReLU(5)),
            *(nn.Linear(5, 5), nn.Sigmoid(), nn.Linear(5, 2)),
        ),
        "norms": nn.Sequential(
            *(nn.Linear(4, 6), nn.BatchNorm1d(6, eps=1e-3, momentum=0.2), nn.ReLU(), nn.Linear(6, 6)),
            *(nn.LayerNorm(6), nn.SiLU(), nn.Linear(6, 6), nn.LayerNorm(6, elementwise_affine=False)),
        ),
        "rms": nn.Sequential(nn.Linear(4, 6), nn.RMSNorm(6), nn.Tanh(), nn.RMSNorm(6, eps=1e-3), nn.Linear(6, 2)),
        "residual": nn.Sequential(
            nn.Flatten(),
            nn.Linear(6, 8),
            Block(nn.LayerNorm(8), nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8), Block(nn.Linear(8, 8), nn.Tanh())),
            Block(nn.Linear(8, 8), nn.BatchNorm1d(8), after=nn.ReLU()),
            nn.Linear(8, 1),
            Squeeze(),
        ),
        "views": nn.Sequential(Rows(), nn.Linear(6, 4), nn.Softplus(), nn.Linear(4, 1), nn.Flatten(0)),
    }
    for name, net in nets.items():
        for module in net.modules():  # as after a training
            if isinstance(module, nn.BatchNorm1d | nn.LayerNorm | nn.RMSNorm | nn.PReLU):
                with torch.no_grad():
                    for p in module.parameters():
                        p.copy_(torch.randn_like(p) + 0.5)
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        net.eval()
        n_in = next(module for module in net.modules() if isinstance(module, nn.Linear)).in_features
        shape = (7, 2, 3) if name in ("residual", "views") else (7, n_in)
        x = torch.randn(*shape)
        rows = x.reshape(7, n_in)
        with torch.no_grad():
            y = net(x).reshape(7, -1)
        for how in ({"dynamo": True}, {"dynamo": False, "opset_version": 13}):
            if name == "rms" and not how["dynamo"]:
                continue  # the older exporter has no RMSNorm
            made = f"torch_{'dynamo' if how['dynamo'] else 'script'}_{name}"
            axes = {"dynamic_shapes": [{0: "rows"}]} if how["dynamo"] else {"dynamic_axes": {"x": {0: "rows"}}}
            torch.onnx.export(
                net, (x,), path := FOLDER / f"{made}.onnx", input_names=["x"], external_data=False, **how, **axes
            )
            without_places(path)
            keep(made, rows, y)


def of_skl2onnx():
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    number = x @ [1.0, -2.0, 0.5] + np.sin(x[:, 0])
    small = {"hidden_layer_sizes": (5, 4), "max_iter": 40, "random_state": 0}
    labels = np.stack([number > 0, x[:, 0] > 0], axis=1).astype(int)
    models = {
        "two_classes": (MLPClassifier(**small, activation="tanh"), number > 0),
        "three_classes": (MLPClassifier(**small), np.array(["low", "middle", "high"])[np.digitize(number, [-1, 1])]),
        "labels": (MLPClassifier(**small, activation="logistic"), labels),
        "number": (make_pipeline(StandardScaler(), MLPRegressor(**small, activation="identity")), number),
        "numbers": (make_pipeline(MinMaxScaler(), MLPRegressor(**small)), np.stack([number, -number], axis=1)),
    }
    for name, (model, target) in models.items():
        model.fit(x, target)
        made = to_onnx(model, x[:1], target_opset=17)
        (FOLDER / f"skl2onnx_{name}.onnx").write_bytes(made.SerializeToString())
        rows = x[:7]
        y = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
        keep(
            f"skl2onnx_{name}", rows, np.reshape(y, (7, -1))[:, 1:] if name == "two_classes" else np.reshape(y, (7, -1))
        )


def keras_nets():
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)

    def block(x, *inner, first=False):
        y = x
        for layer in inner:
            y = layer(y)
        return layers.Add()([y, x] if first else [x, y])

    inputs = keras.Input((2, 2))
    x = layers.Dense(6)(layers.Flatten()(inputs))
    x = block(x, layers.LayerNormalization(), layers.Dense(8, "elu"), layers.Dense(6))
    x = block(x, layers.BatchNormalization(), layers.Activation("silu"), layers.Dense(6), first=True)
    residual = keras.Model(inputs, layers.Dense(2)(layers.Activation("relu")(x)))
    scaler = layers.Normalization(mean=[0.0, 5.0, 1.0], variance=[1.0, 100.0, 0.01])
    return {
        "plain": keras.Sequential([keras.Input((4,)), layers.Dense(6, "relu"), layers.Dropout(0.3),
                                   layers.Dense(3, "softmax")]),
        "activations": keras.Sequential([
            keras.Input((3,)), layers.Rescaling(0.5, 0.25),
            *(layers.Dense(5, each) for each in ("silu", "mish", "elu", "selu", "softplus", "tanh")),
            layers.Dense(5, use_bias=False), layers.LeakyReLU(0.2), layers.ELU(0.7), layers.Dense(5), layers.PReLU(),
            layers.Dense(5, "exponential"), layers.Dense(5, "sigmoid"), layers.Dense(1),
        ]),
        "gelu": keras.Sequential([keras.Input((3,)), layers.Dense(5, "gelu"), layers.Dense(2)]),
        "normalization": keras.Sequential([keras.Input((3,)), scaler, layers.Dense(2)]),
        "norms": keras.Sequential([
            keras.Input((4,)), layers.Dense(6), layers.BatchNormalization(), layers.Activation("relu"),
            layers.Dense(6, "tanh"), layers.BatchNormalization(), layers.Dense(6), layers.LayerNormalization(),
            layers.Dense(6, "relu"), layers.LayerNormalization(center=False, scale=False),
            layers.Dense(5, "relu"), layers.BatchNormalization(),
        ]),
        "rms": keras.Sequential([keras.Input((4,)), layers.Dense(6), layers.RMSNormalization(), layers.Dense(2)]),
        "residual": residual,
    }  # fmt: skip


def set_all(net, layers):
    """Give a network numbers as after a training."""
    rng = np.random.default_rng(1)
    for layer in net.layers:
        if isinstance(layer, layers.Dense):
            kernel, *bias = layer.get_weights()
            layer.set_weights([kernel, *(rng.normal(size=b.shape) * 0.3 for b in bias)])
        elif not isinstance(layer, layers.Normalization):
            layer.set_weights([rng.uniform(0.3, 1.7, w.shape) for w in layer.get_weights()])


def of_keras(*, by_tf2onnx=False):
    import os

    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import tensorflow as tf
    from keras import layers

    for name, net in keras_nets().items():
        set_all(net, layers)
        net(np.zeros((1, *net.input_shape[1:])))
        x = np.random.default_rng(2).normal(size=(7, *net.input_shape[1:])).astype(np.float32)
        made = f"{'tf2onnx' if by_tf2onnx else 'keras'}_{name}"
        path = FOLDER / f"{made}.onnx"
        if by_tf2onnx:
            import tf2onnx

            call = tf.function(lambda x, net=net: net(x, training=False))
            spec = (tf.TensorSpec((None, *net.input_shape[1:]), tf.float32, name="x"),)
            tf2onnx.convert.from_function(call, input_signature=spec, opset=17, output_path=str(path))
        else:
            net.export(path, format="onnx", verbose=False)
        keep(made, x.reshape(7, -1), net.predict(x, verbose=0))


MAKERS = {
    "torch": of_torch,
    "skl2onnx": of_skl2onnx,
    "keras": of_keras,
    "tf2onnx": lambda: of_keras(by_tf2onnx=True),
}
if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few iterations do not converge
        for maker in sys.argv[1:]:
            MAKERS[maker]()
