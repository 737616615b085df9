"""Held to PyTorch: the numbers in golden/torch.safetensors, which golden/make_torch.py writes, in float64."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fullyconnected as fc
from fullyconnected.activations import ELU, LeakyReLU
from fullyconnected.program.workspace import Workspace

GOLDEN = load_file(Path(__file__).parent / "golden" / "torch.safetensors")


def agrees(ours, name):
    np.testing.assert_allclose(ours, GOLDEN[name], rtol=1e-10, atol=1e-10, err_msg=name, strict=True)


def numbered(prefix):
    """All arrays called prefix/0, prefix/1, ..."""
    found = []
    while (name := f"{prefix}/{len(found)}") in GOLDEN:
        found.append(GOLDEN[name])
    assert found
    return found


ACTIVATIONS = {
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "leaky_relu_0.2": LeakyReLU(0.2),
    "elu": "elu",
    "elu_0.7": ELU(0.7),
    "selu": "selu",
    "gelu": "gelu",
    "silu": "silu",
    "mish": "mish",
    "softplus": "softplus",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    h = GOLDEN["activation/h"]
    net = fc.Network([fc.Activation(ACTIVATIONS[name], n_in=1)], dtype=np.float64)
    agrees(net.predict(h[:, None])[:, 0], f"activation/{name}/y")
    below_everything = np.full(h.shape, -1e9)  # there the loss is sum(y) / rows
    g = net.gradients(h[:, None], below_everything, fc.AbsoluteError())
    agrees(g.x[:, 0] * len(h), f"activation/{name}/dh")


def test_every_activation_has_golden_numbers():
    from fullyconnected.activations import ACTIVATIONS as known

    assert set(known.classes) - set(ACTIVATIONS) == {"softmax", "exp", "identity"}


def test_softmax_layer():
    h, dy = GOLDEN["softmax/h"], GOLDEN["softmax/dy"]
    net = fc.Network([fc.Activation("softmax", n_in=4)], dtype=np.float64)
    y = net.predict(h)
    agrees(y, "softmax/y")
    g = net.gradients(h, y - dy * len(h), fc.HalfSquaredError())  # whose derivative with respect to y is dy
    agrees(g.x, "softmax/dh")


LOSSES = {
    "mean_squared_error": (fc.MeanSquaredError(), "numbers"),
    "squared_error": (fc.HalfSquaredError(), "numbers"),
    "absolute_error": (fc.AbsoluteError(), "numbers"),
    "huber": (fc.Huber(), "numbers"),
    "huber_0.7": (fc.Huber(0.7), "numbers"),
    "cross_entropy_classes": (fc.SoftmaxCrossEntropy(), "classes"),
    "cross_entropy_p": (fc.SoftmaxCrossEntropy(), "p"),
    "logistic_bits": (fc.BinaryCrossEntropy(), "bits"),
    "logistic_shares": (fc.BinaryCrossEntropy(), "shares"),
    "hinge": (fc.Hinge(), "classes"),
}


CLASS_WEIGHTS = [0.5, 1, 2, 4]
WITH_SETTINGS = {
    "cross_entropy_smoothed_classes": (fc.SoftmaxCrossEntropy(label_smoothing=0.1), "classes"),
    "cross_entropy_smoothed_p": (fc.SoftmaxCrossEntropy(label_smoothing=0.1), "p"),
    "cross_entropy_class_weight": (fc.SoftmaxCrossEntropy(class_weight=CLASS_WEIGHTS), "classes"),
    "cross_entropy_both": (fc.SoftmaxCrossEntropy(label_smoothing=0.1, class_weight=CLASS_WEIGHTS), "classes"),
    "cross_entropy_both_p": (fc.SoftmaxCrossEntropy(label_smoothing=0.1, class_weight=CLASS_WEIGHTS), "p"),
    "logistic_smoothed": (fc.BinaryCrossEntropy(label_smoothing=0.1), "shares"),
    "logistic_class_weight": (fc.BinaryCrossEntropy(class_weight=(1, 3)), "bit"),
    "logistic_both": (fc.BinaryCrossEntropy(label_smoothing=0.1, class_weight=(0.5, 2)), "shares"),
}
LOSSES |= WITH_SETTINGS


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name):
    loss, targets = LOSSES[name]
    z, t = GOLDEN["loss/z"], GOLDEN["loss/bits"][:, :1] if targets == "bit" else GOLDEN[f"loss/{targets}"]
    value, dz = loss(z[:, :1] if targets == "bit" else z, t)
    agrees(np.array(value), f"loss/{name}/value")
    agrees(dz, f"loss/{name}/dz")


def test_weighted_loss():
    value, dz = fc.SoftmaxCrossEntropy()(GOLDEN["loss/z"], GOLDEN["loss/classes"], GOLDEN["loss/w"])
    agrees(np.array(value), "loss/cross_entropy_weighted/value")
    agrees(dz, "loss/cross_entropy_weighted/dz")


def test_poisson_loss():
    value, dz = fc.Poisson()(GOLDEN["loss/z"][:7], GOLDEN["loss/counts"][:7])
    agrees(np.array(value), "loss/poisson/value")
    agrees(dz, "loss/poisson/dz")


def norm_net(layer):
    net = fc.Network([layer], dtype=np.float64)
    net.params[0].gamma, net.params[0].beta = GOLDEN["norm/gain"], GOLDEN["norm/shift"]
    return net


def gradients_for(net, x, y, *, train):
    """The gradients of a loss whose derivative with respect to the outputs y is the golden dy."""
    return net.gradients(x, y - GOLDEN["norm/dy"] * len(x), fc.HalfSquaredError(), train=train)


def test_layer_norm():
    net, x = norm_net(fc.LayerNorm(n_in=5)), GOLDEN["norm/x"][0]
    agrees(net.predict(x), "layer_norm/y")
    g = gradients_for(net, x, GOLDEN["layer_norm/y"], train=False)
    agrees(g.x, "layer_norm/dx")
    agrees(g.params[0].gamma, "layer_norm/gain")
    agrees(g.params[0].beta, "layer_norm/shift")


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize(("name", "epsilon"), [("1e-6", 1e-6), ("None", np.finfo(np.float64).eps), ("0.5", 0.5)])
def test_rms_norm(name, epsilon, engine):
    """The numbers of golden/make_rms_norm.py: with each epsilon, the middle one PyTorch's own for float64."""
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    golden = load_file(Path(__file__).parent / "golden" / "rms_norm.safetensors")
    net, x = fc.Network([fc.RMSNorm(n_in=5, epsilon=epsilon)], dtype=np.float64), golden["x"]
    net.params[0].gamma = golden["gamma"]
    # the gradients of a loss whose derivative with respect to the outputs is the golden dy
    g = net.gradients(x, golden[f"{name}/y"] - golden["dy"] * len(x), fc.HalfSquaredError(), engine=engine)
    for part, found in {"y": net.predict(x), "dx": g.x, "dgamma": g.params[0].gamma}.items():
        expected = golden[f"{name}/{part}"]
        scale = np.abs(expected).max(axis=-1, keepdims=True)
        np.testing.assert_allclose(found / scale, expected / scale, rtol=1e-9, atol=1e-9, err_msg=part)


def test_batch_norm_in_training():
    net = norm_net(fc.BatchNorm(n_in=5))
    for batch, x in enumerate(GOLDEN["norm/x"]):
        y = GOLDEN[f"batch_norm/train/{batch}/y"]
        g = gradients_for(net, x, y, train=True)
        agrees(g.x, f"batch_norm/train/{batch}/dx")
        agrees(g.params[0].gamma, f"batch_norm/train/{batch}/gain")
        agrees(g.params[0].beta, f"batch_norm/train/{batch}/shift")


def trained_batch_norm():
    """Running statistics after each of three batches; the rate is too small to move gamma and beta."""
    net = norm_net(fc.BatchNorm(n_in=5))
    x = GOLDEN["norm/x"].reshape(18, 5)
    fc.fit(net, x, np.zeros((18, 5)), "half_squared_error", fc.SGD(1e-300), 1, 6, shuffle=False, progress=False)
    return net


def test_batch_norm_running_statistics():
    net = trained_batch_norm()
    agrees(net.state[:5], "batch_norm/train/2/mean")
    agrees(net.state[5:], "batch_norm/train/2/variance")


def test_batch_norm_in_prediction():
    net, x = trained_batch_norm(), GOLDEN["norm/x"][1]
    agrees(net.predict(x), "batch_norm/eval/y")
    g = gradients_for(net, x, GOLDEN["batch_norm/eval/y"], train=False)
    agrees(g.x, "batch_norm/eval/dx")
    agrees(g.params[0].gamma, "batch_norm/eval/gain")
    agrees(g.params[0].beta, "batch_norm/eval/shift")


@pytest.fixture
def network():
    """The network of make_torch.py: batch norm, relu, a residual block with layer norm and gelu."""
    block = fc.Residual([fc.LayerNorm(), fc.Dense(5, 5, "gelu")])
    layers = [fc.Dense(4, 5, bias=False), fc.BatchNorm(), fc.Activation("relu"), block, fc.Dense(5, 3)]
    net = fc.Network(layers, dtype=np.float64)
    net.set_weights(numbered("network/start"))
    return net


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_network_gradients(network, mode):
    g = network.gradients(GOLDEN["network/x"], GOLDEN["network/t"], "softmax_cross_entropy", train=mode == "train")
    agrees(np.array(g.loss), f"network/{mode}/loss")
    agrees(g.x, f"network/{mode}/x")
    theirs = np.concatenate([a.ravel() for a in numbered(f"network/{mode}")])
    np.testing.assert_allclose(g.theta, theirs, rtol=1e-10, atol=1e-10)


def test_network_training(network):
    x, t = GOLDEN["network/x"], GOLDEN["network/t"]
    for epoch in fc.epochs(network, x, t, "softmax_cross_entropy", fc.Adam(0.01)):
        if epoch.number in (1, 5, 20):
            for i, ours in enumerate(network.get_weights()):
                agrees(ours, f"network/adam/{epoch.number}/{i}")
            agrees(network.state[:5], f"network/adam/{epoch.number}/mean")
            agrees(network.state[5:], f"network/adam/{epoch.number}/variance")
        if epoch.number == 20:
            break


OPTIMIZERS = {
    "sgd": (fc.SGD(0.1), 0.0),
    "momentum": (fc.Momentum(0.1), 0.0),
    "nesterov": (fc.Nesterov(0.1), 0.0),
    "rmsprop": (fc.RMSProp(0.01), 0.0),
    "adam": (fc.Adam(0.01), 0.0),
    "adam_other": (fc.Adam(0.02, beta1=0.8, beta2=0.99, epsilon=1e-3), 0.0),
    "adamw": (fc.AdamW(0.01, weight_decay=0.1), 0.0),
    "adam_l2": (fc.Adam(0.01), 0.1),
    "momentum_l2": (fc.Momentum(0.1), 0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name):
    optimizer, l2 = OPTIMIZERS[name]
    net = fc.mlp([4, 5, 3], activation="tanh", dtype=np.float64)
    net.set_weights(numbered("optimizer/start"))
    x, t = GOLDEN["optimizer/x"], GOLDEN["optimizer/t"]
    for epoch in fc.epochs(net, x, t, "softmax_cross_entropy", optimizer, l2=l2):
        if epoch.number in (1, 5, 20):
            for i, ours in enumerate(net.get_weights()):
                agrees(ours, f"optimizer/{name}/{epoch.number}/{i}")
        if epoch.number == 20:
            break


def test_every_optimizer_has_golden_numbers():
    from fullyconnected.optimizers import OPTIMIZERS as known

    assert {type(rule) for rule, _ in OPTIMIZERS.values()} | {fc.Muon} == {
        cls for cls in known.classes.values() if issubclass(cls, fc.Optimizer)
    }


AVERAGES = {"ema": fc.EMA(0.8, warm_up=False), "ema_warm_up": fc.EMA(0.8), "swa": fc.SWA(0.25)}


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("name", AVERAGES)
def test_average_of_weights(network, name, engine):
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    network.set_weights(numbered("average/start"))
    x, t = GOLDEN["average/x"], GOLDEN["average/t"]
    fc.fit(
        *(network, x, t, "softmax_cross_entropy", fc.Momentum(0.1), 4, 4),
        **{"shuffle": False, "progress": False, "average": AVERAGES[name], "engine": engine},
    )
    for i, ours in enumerate(network.get_weights()):
        agrees(ours, f"average/{name}/{i}")
    agrees(network.state[:5], f"average/{name}/mean")
    agrees(network.state[5:], f"average/{name}/variance")


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_schedules_of_learning_rate_and_weight_decay(engine):
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    net = fc.mlp([4, 6, 3], activation="tanh", dtype=np.float64)
    net.set_weights(numbered("schedules/start"))
    fc.fit(
        *(net, GOLDEN["schedules/x"], GOLDEN["schedules/t"], "softmax_cross_entropy"),
        *(fc.AdamW(0.04, weight_decay=0.5), 20, 8),
        **{"schedule": fc.LogCosine(4), "weight_decay_schedule": fc.FlatCosine(0.5), "engine": engine},
        progress=False,
        warn=False,
    )
    for i, ours in enumerate(net.get_weights()):
        agrees(ours, f"schedules/end/{i}")


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_within_what_bfloat16_allows(nesterov, engine):
    """PyTorch rounds to 8 bits in each round, which turns small singular values, that grow most, by some hundredths."""
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    rule = fc.Muon(0.02, momentum=0.9, nesterov=nesterov, weight_decay=0.1, rest=fc.Adam(0.01))
    for steps in (1, 10):
        net = fc.mlp([4, 6, 9, 5, 3], activation="tanh", dtype=np.float64)
        net.set_weights(start := numbered("muon/start"))
        how = {"epochs": steps, "progress": False, "engine": engine}
        fc.fit(net, GOLDEN["muon/x"], GOLDEN["muon/t"], "softmax_cross_entropy", rule, **how)
        theirs = numbered(f"muon/{nesterov}/{steps}")
        for i, (ours, other, before) in enumerate(zip(net.get_weights(), theirs, start, strict=True)):
            exact = steps == 1 and i not in (2, 4)  # the second hidden matrix has smaller singular values
            bound = 1e-12 if exact else 0.2 if i == 4 else 0.05
            assert np.linalg.norm(ours - other) <= bound * np.linalg.norm(other - before)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_factors_are_groups_of_parameters(engine):
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    factors = fc.Factors(
        lr={"bias": 0.1, "last": 2, "dense_1": 0}, weight_decay={"bias": 0.5, "dense_3.b": 0.5, "dense_3.W": 3}
    )
    for step in (1, 20):
        net = fc.mlp([4, 6, 5, 3], activation="tanh", dtype=np.float64)
        net.set_weights(numbered("factors/start"))
        fc.fit(
            *(net, GOLDEN["factors/x"], GOLDEN["factors/t"], "softmax_cross_entropy"),
            fc.AdamW(0.01, weight_decay=0.1),
            **{"epochs": step, "factors": factors, "engine": engine, "progress": False},
        )
        for i, ours in enumerate(net.get_weights()):
            agrees(ours, f"factors/{step}/{i}")


@pytest.mark.parametrize("name", ["plain", "weighted"])
def test_constants_of_the_data(name):
    golden = load_file(Path(__file__).parent / "golden" / "sklearn.safetensors")
    x, w = golden["x"], golden["w"] if name == "weighted" else None
    there, back = fc.Standardize.fit(x, w), fc.Rescale.fit(x, w)
    np.testing.assert_allclose(there.mean, golden[f"{name}/mean"], rtol=1e-12)
    np.testing.assert_allclose(there.scale, golden[f"{name}/scale"], rtol=1e-8)
    exact = fc.Standardize(mean=golden[f"{name}/mean"], scale=golden[f"{name}/scale"])
    y = fc.Network([exact], dtype="float64").predict(x)
    np.testing.assert_allclose(y, golden[f"{name}/y"], rtol=1e-14)
    np.testing.assert_allclose(fc.Network([there], dtype="float64").predict(x), y, atol=1e-6)
    np.testing.assert_allclose(fc.Network([back], dtype="float64").predict(y), golden[f"{name}/back"], rtol=1e-12)


def test_one_column_for_each_level():
    golden = load_file(Path(__file__).parent / "golden" / "sklearn.safetensors")
    y = fc.Network([fc.OneHot(4)], dtype="float64").predict(golden["codes"])
    np.testing.assert_array_equal(y, golden["codes/y"])


@pytest.mark.parametrize("engine", [name for name, info in fc.engines().items() if info.available])
def test_codes_and_numbers_side_by_side(engine):
    """An embedding, standardised columns and a one-hot code: gradients, and ten steps of AdamW."""
    table = {name.removeprefix("table/"): a for name, a in GOLDEN.items() if name.startswith("table/")}
    first = fc.Columns(
        [
            ("city", fc.Embedding(4, 3)),
            (["height", "weight"], fc.Standardize(mean=table["mean"], scale=table["scale"])),
            ("colour", fc.OneHot(3)),
        ],
        names=["height", "weight", "city", "colour"],
    )
    net = fc.Network([first, fc.Dense(8, 5, "gelu"), fc.Dense(5, 3)], dtype="float64", seed=0)
    x = np.column_stack([table["numbers"], table["city"], table["colour"]])

    def vector(of):
        parts = [table[f"{of}/{i}"] for i in range(5)]
        unknown = np.zeros((1, 3))  # the row of W for levels that are unknown, which PyTorch lacks
        return np.concatenate([a.ravel() for a in (parts[0], unknown, *parts[1:])])

    net.theta = vector("start")
    np.testing.assert_allclose(net.predict(x, engine=engine), table["z"], rtol=1e-12)
    found = net.gradients(x, table["t"], "softmax_cross_entropy", engine=engine)
    np.testing.assert_allclose(found.loss, table["loss"], rtol=1e-12)
    np.testing.assert_allclose(found.theta, vector("gradient"), rtol=1e-9, atol=1e-14)
    how = {"epochs": 10, "batch_size": 10, "shuffle": False, "progress": False, "engine": engine}
    fc.fit(net, x, table["t"], "softmax_cross_entropy", fc.AdamW(0.01, weight_decay=0.0), **how)
    np.testing.assert_allclose(net.theta, vector("end"), rtol=1e-8, atol=1e-12)


@pytest.fixture
def recipe():
    """Return the module of the example that builds RealMLP-TD-S of public names."""
    path = Path(__file__).parents[1] / "examples" / "realmlp.py"
    if not path.is_file():
        pytest.skip("the examples are not beside the tests")
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("realmlp", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("engine", [name for name, info in fc.engines().items() if info.available])
@pytest.mark.parametrize("task", ["class", "regression"])
def test_realmlp_is_that_of_its_authors(task, engine, recipe):
    """From the same weights: outputs, loss, gradients, ten steps of Adam with its schedule, and ten of AdamW.

    The package smooths labels in float32, so that its losses of classes have an error of 1e-8.
    """
    golden = load_file(Path(__file__).parent / "golden" / "pytabkit.safetensors")
    x, classes = np.hstack([golden["numbers"], golden["codes"]]), task == "class"
    net = recipe.realmlp(3, [4], 3 if classes else 1, classes=classes, width=6, dtype="float64")
    net = fc.Network([layer for layer in net.layers if not isinstance(layer, fc.Rescale)], dtype="float64", seed=0)
    net.adapt(x)
    t = golden[f"{task}/t"]
    t = t[:, 0] if classes else (t - t.mean()) / t.std()

    def vector(name):
        return np.concatenate([golden[f"{task}/{name}/{i}"].ravel() for i in range(9)])

    how = {**recipe.settings(classes=classes), "batch_size": 24, "epochs": 10, "shuffle": False, "engine": engine}
    how |= {"progress": False, "warn": False}
    near = {"rtol": 0, "atol": 1e-7 if classes else 1e-13}
    net.theta = vector("start")
    np.testing.assert_allclose(net.predict(x, engine=engine), golden[f"{task}/z"], rtol=0, atol=1e-13)
    found = net.gradients(x, t, how["loss"], engine=engine)
    np.testing.assert_allclose(found.loss, golden[f"{task}/loss"], **near)
    np.testing.assert_allclose(found.theta, vector("gradient"), **near)
    fc.fit(net, x, t, **how)
    np.testing.assert_allclose(net.theta, vector("adam"), **near)
    net.theta = vector("start")
    fc.fit(net, x, t, **{**how, "optimizer": fc.AdamW(0.01, weight_decay=0.02), "schedule": None})
    np.testing.assert_allclose(net.theta, vector("adamw"), **near)


def test_realmlp_is_proven_explained_and_drawn(recipe):
    golden = load_file(Path(__file__).parent / "golden" / "pytabkit.safetensors")
    x, t = np.hstack([golden["numbers"], golden["codes"]]), golden["class/t"][:, 0]
    how = recipe.settings(classes=True)
    proven = recipe.realmlp(3, [4], 3, classes=True, width=6, dtype="float64")
    proven.adapt(x)
    proven.theta += np.random.default_rng(0).normal(0, 0.3, proven.n_params)
    for train in (False, True):
        w = np.random.default_rng(1).uniform(0.5, 2, len(x))
        assert fc.check_gradients(proven, x, t, how["loss"], l2=0.1, sample_weight=w, train=train).ok
    example = fc.explain(proven, x[:3], t[:3], how["loss"], how["optimizer"])
    assert example.trace.ok
    assert max(step.error for step in example.trace.steps) < 1e-12
    assert "columns_1" in str(fc.draw(proven, x, t, how["loss"]))


@pytest.mark.parametrize("name", ["robust", "missing"])
def test_robust_constants_and_missing_values(name):
    golden = load_file(Path(__file__).parent / "golden" / "sklearn.safetensors")
    x = golden["x" if name == "robust" else "missing/x"]
    layer = fc.Standardize.fit(x, **{name: True})
    np.testing.assert_allclose(layer.mean, golden[f"{name}/mean"], rtol=1e-12)
    np.testing.assert_allclose(layer.scale, golden[f"{name}/scale"], rtol=1e-8)
    exact = fc.Standardize(mean=golden[f"{name}/mean"], scale=golden[f"{name}/scale"], missing=name == "missing")
    y = fc.Network([exact], dtype="float64").predict(x)
    np.testing.assert_allclose(y[:, :5], golden[f"{name}/y"], rtol=1e-14, atol=1e-300)
    assert name == "robust" or np.array_equal(y[:, 5:], golden["missing/gone"])


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize(("first", "second"), [("mish", "selu"), ("leaky_relu", "softplus")])
def test_parts_of_realmlp(first, second, engine):
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    golden = load_file(Path(__file__).parent / "golden" / "realmlp.safetensors")
    hidden = [fc.Dense(3, 5, parametrization="ntk"), fc.Parametric(first)]
    hidden += [fc.Dense(5, 4, parametrization="ntk"), fc.Parametric(second)]
    net = fc.Network([fc.Scale(3), *hidden, fc.Dense(4, 2, bias=False, parametrization="ntk")], dtype=np.float64)
    names = ("s", "W1", "b1", "a1", "W2", "b2", "a2", "W3")
    net.set_weights([golden[name] for name in names])
    g = net.gradients(golden["x"], golden["t"], "half_squared_error", engine=engine)
    assert g.loss == pytest.approx(float(golden[f"{first}/loss"]), rel=1e-10)
    np.testing.assert_allclose(g.x, golden[f"{first}/dx"], rtol=1e-10, atol=1e-10)
    ours = [tensor.of(g.theta) for tensor in net.program.tensors]
    for name, found in zip(names, ours, strict=True):
        np.testing.assert_allclose(found, golden[f"{first}/d{name}"], rtol=1e-10, atol=1e-10, err_msg=name)


class TestEnsembles:
    """Members, held to the package of the TabM paper: golden/tabm.safetensors, which golden/make_tabm.py writes."""

    golden = load_file(Path(__file__).parent / "golden" / "tabm.safetensors")

    def tensors(self, part):
        return {name.removeprefix(part): a for name, a in self.golden.items() if name.startswith(part)}

    def net(self, kind):
        n_in, n_out, k, width = 5, 3, 4, 8
        layers = [fc.Dense(n_in, width, "relu"), fc.Dense(width, width, "relu"), fc.Dense(width, n_out)]
        net = fc.Network([fc.Members(k, layers, kind)], dtype="float64")
        named, before = net.program.named(net.theta), self.tensors(f"{kind}/before/")
        assert named.keys() == before.keys()
        for name, view in named.items():
            assert view.shape == before[name].shape
            view[...] = before[name]
        return net

    @pytest.mark.parametrize("kind", ["tabm", "mini", "packed"])
    def test_outputs_loss_and_every_gradient(self, kind):
        net, x, t = self.net(kind), self.golden["x"], self.golden["classes"]
        np.testing.assert_allclose(net.predict(x, members=True), self.golden[f"{kind}/outputs"], rtol=1e-10, atol=1e-10)
        net.loss = "softmax_cross_entropy"
        np.testing.assert_allclose(net.predictions(x), self.golden[f"{kind}/probabilities"], rtol=1e-10)
        g = net.gradients(x, t, "softmax_cross_entropy")
        assert g.loss == pytest.approx(float(self.golden[f"{kind}/loss"]), rel=1e-12)
        for name, gradient in net.program.named(g.theta).items():
            expected = self.golden[f"{kind}/gradient/{name}"]
            np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12, err_msg=name)

    @pytest.mark.parametrize("kind", ["tabm", "mini", "packed"])
    def test_ten_steps_of_adamw(self, kind):
        net, x, t = self.net(kind), self.golden["x"], self.golden["classes"]
        rule = fc.AdamW(0.01, weight_decay=0.1)
        fc.fit(net, x, t, "softmax_cross_entropy", rule, epochs=10, batch_size=6, progress=False, warn=False)
        for name, view in net.program.named(net.theta).items():
            np.testing.assert_allclose(view, self.golden[f"{kind}/after/{name}"], rtol=1e-6, atol=1e-8, err_msg=name)

    @pytest.mark.parametrize(("norm", "place"), [(fc.BatchNorm(), "batch"), (fc.LayerNorm(), "layer")])
    def test_norms_are_of_each_member(self, norm, place):
        golden = {name: self.golden[f"norm/{place}/{name}"] for name in ("gamma", "beta", "y", "dx", "dgamma", "dbeta")}
        x, dy = self.golden["norm/x"], self.golden["norm/dy"]
        rows, k, n = x.shape
        # each member reads its part of a row, and its outputs are those of the norm
        layers = [fc.Dense(k * n, n, bias=False), norm, fc.Dense(n, n, bias=False)]
        net = fc.Network([fc.Members(k, layers, "packed")], dtype="float64")
        first, own, last = net.params[0]
        first.W, last.W = np.eye(k * n).reshape(k * n, k, n).swapaxes(0, 1), np.broadcast_to(np.eye(n), (k, n, n))
        own.gamma, own.beta = golden["gamma"], golden["beta"]
        loss = fc.HalfSquaredError()
        workspace = Workspace(net.program, net.theta, net.state, rows, loss=loss, input_gradient=True)
        batch = workspace.bind(rows)
        batch.x[...] = x.reshape(rows, k * n)
        np.testing.assert_allclose(batch.forward(train=True).reshape(x.shape), golden["y"], rtol=1e-10, atol=1e-12)
        batch.dz[...] = dy.reshape(batch.dz.shape)
        batch.backward()
        np.testing.assert_allclose(batch.dx.reshape(x.shape), golden["dx"], rtol=1e-9, atol=1e-12)
        for letter in ("gamma", "beta"):
            np.testing.assert_allclose(getattr(workspace.g[1], letter), golden[f"d{letter}"], rtol=1e-9, atol=1e-12)
        for tensor in net.program.state_tensors:
            expected = self.golden[f"norm/{place}/{tensor.letter}"].reshape(k, n)
            np.testing.assert_allclose(tensor.of(net.state), expected, rtol=1e-12)


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("kind", ["pbld", "plr", "pl"])
def test_embedding_of_columns(kind, engine):
    """Those of "plr" and "pl" are of the package of their paper: golden/make_embeddings.py writes them."""
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    golden = load_file(Path(__file__).parent / "golden" / "embeddings.safetensors")
    x, y, dy = golden["x"], golden[f"{kind}/y"], golden["dy"]
    net = fc.Network([fc.PeriodicEmbedding(3, 5, 4, kind)], dtype=np.float64)
    for tensor in net.program.tensors:
        tensor.of(net.theta)[...] = golden[f"{kind}/{tensor.letter}"]
    np.testing.assert_allclose(net.predict(x, engine=engine), y, rtol=1e-10, atol=1e-10)
    g = net.gradients(x, y - dy * len(x), fc.HalfSquaredError(), engine=engine)  # whose derivative by y is dy
    np.testing.assert_allclose(g.x, golden[f"{kind}/dx"], rtol=1e-9, atol=1e-9)
    for tensor in net.program.tensors:
        ours = tensor.of(g.theta)
        np.testing.assert_allclose(ours, golden[f"{kind}/d{tensor.letter}"], rtol=1e-9, atol=1e-9, err_msg=tensor.name)


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("version", ["A", "B"])
def test_embedding_of_columns_by_bins(version, engine):
    """Both versions of the package of their papers; the first has no w, and a maximum behind it."""
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    golden = load_file(Path(__file__).parent / "golden" / "embeddings.safetensors")
    x, y, dy = golden["x"], golden[f"ple {version}/y"], golden["dy"]
    layers = [fc.PiecewiseLinearEmbedding(size=4, edges=[golden[f"edges/{j}"] for j in range(3)])]
    net = fc.Network(layers if version == "B" else [*layers, fc.Activation("relu")], dtype=np.float64)
    net.params[0].w = golden.get(f"ple {version}/w", 0)
    net.params[0].W, net.params[0].b = golden[f"ple {version}/W"], golden[f"ple {version}/b"]
    np.testing.assert_allclose(net.predict(x, engine=engine), y, rtol=1e-12, atol=1e-12)
    g = net.gradients(x, y - dy * len(x), fc.HalfSquaredError(), engine=engine)  # whose derivative by y is dy
    np.testing.assert_allclose(g.x, golden[f"ple {version}/dx"], rtol=1e-11, atol=1e-11)
    for name in "wWb"[version == "A" :]:
        expected = golden[f"ple {version}/d{name}"]
        np.testing.assert_allclose(getattr(g.params[0], name), expected, rtol=1e-11, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_encoding_of_columns_by_bins(engine):
    """The package leaves out the bins that a column does not have; here they are 0."""
    if not fc.engines()[engine].available:
        pytest.skip("the native engine is not built")
    golden = load_file(Path(__file__).parent / "golden" / "embeddings.safetensors")
    x, edges = golden["x"], [golden[f"edges/{j}"] for j in range(3)]
    net = fc.Network([fc.PiecewiseLinearEncoding(edges=edges)], dtype=np.float64)
    used = np.concatenate([np.arange(4) < len(column) - 1 for column in edges])
    y, dy = net.predict(x, engine=engine), np.zeros((len(x), 12))
    np.testing.assert_allclose(y[:, used], golden["encoding/y"], rtol=1e-12, atol=1e-12)
    assert (y[:, ~used] == 0).all()
    dy[:, used] = golden["encoding/dy"]
    g = net.gradients(x, y - dy * len(x), fc.HalfSquaredError(), engine=engine)  # whose derivative by y is dy
    np.testing.assert_allclose(g.x, golden["encoding/dx"], rtol=1e-11, atol=1e-11)


def test_bins_of_columns():
    """Those that the package finds; in the second column, the same value is several of the quantiles."""
    golden = load_file(Path(__file__).parent / "golden" / "embeddings.safetensors")
    net = fc.Network([fc.PiecewiseLinearEmbedding(3, 6, 1)], dtype=np.float64)
    net.adapt(golden["table"])
    for j, edges in enumerate(net.layers[0].edges):
        np.testing.assert_allclose(edges, golden[f"quantiles/{j}"], rtol=1e-14)
