"""Whatever is registered comes back from a file as it was; whatever a file could not bring back is refused."""

import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.errors import ConfigError, FileFormatError
from fullyconnected.initializers import INITIALIZERS
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.program.plain import DEEPEST, build_layers, build_loss, describe_layers, describe_loss, settings_of


def altered(thing):
    """Return the same with every setting other than its default, so that none can be lost unseen."""
    changes = {}
    for each in fields(thing) if is_dataclass(thing) else ():
        value = getattr(thing, each.name)
        if each.name == "activation":
            changes["activation"] = altered(ACTIVATIONS.build("leaky_relu"))
        elif each.name == "kind":
            changes["kind"] = {"tabm": "mini", "pbld": "plr"}[value]
        elif isinstance(value, bool):
            changes[each.name] = not value
        elif isinstance(value, float):
            changes[each.name] = value / 2
        elif isinstance(value, str):
            changes[each.name] = {"parametrization": "ntk"}.get(each.name, "uniform01")
    return replace(thing, **changes) if changes else thing


def same_after_a_file(path, layers, dtype=np.float32):
    net = fc.Network(layers, seed=3, dtype=dtype)
    net.state[...] = np.arange(1, net.state.size + 1) / 7
    net.save(path)
    loaded = fc.load(path)
    assert describe_layers(loaded.layers) == describe_layers(net.layers)
    for vector in ("theta", "state"):
        a, b = getattr(net, vector), getattr(loaded, vector)
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
    x = net.layers[0].example_rows(np.random.default_rng(0), 5)
    assert loaded.predict(x).tobytes() == net.predict(x).tobytes()
    return loaded


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS.classes)
def test_every_layer_comes_back(name, dtype, tmp_path):
    example = LAYERS.classes[name].example(4)
    for layer in (example, altered(example)):
        layers = [layer, fc.Dense(layer.n_out, 3)] if layer.reads_raw else [fc.Dense(3, 4), layer]
        loaded = same_after_a_file(tmp_path / "net", layers, dtype)
        assert loaded.layers[layers.index(layer)] == layer.with_input_width(layer.n_in or 4)


@pytest.mark.parametrize("name", LOSSES.classes)
def test_every_loss_comes_back(name):
    for loss in (LOSSES.build(name), altered(LOSSES.build(name)), LOSSES.classes[name].example(3)):
        assert build_loss(json.loads(json.dumps(describe_loss(loss)))) == loss


def test_settings_that_a_class_got_later_are_not_in_a_file_unless_they_are_used():
    """So that earlier versions read it, and a subclass of before is built as it was."""
    assert describe_loss(fc.SoftmaxCrossEntropy()) == {"loss": "softmax_cross_entropy", "settings": {}}
    used = describe_loss(fc.SoftmaxCrossEntropy(label_smoothing=0.1))
    assert used == {"loss": "softmax_cross_entropy", "settings": {"label_smoothing": 0.1}}


def test_a_subclass_with_a_constructor_of_its_own_loses_nothing_unseen(monkeypatch):
    monkeypatch.setattr(LOSSES, "classes", dict(LOSSES.classes))

    class Focused(fc.BinaryCrossEntropy):
        name = "focused"

        def __init__(self, power=None):
            if power is not None:
                self.power = power

    fc.register(Focused)
    assert build_loss(describe_loss(Focused())) == Focused()
    with pytest.raises(ConfigError, match="would lose the settings of Focused, power: make it a dataclass"):
        settings_of(Focused(2.0))


@pytest.mark.parametrize("name", ACTIVATIONS.classes)
def test_every_activation_comes_back(name, tmp_path):
    for activation in (ACTIVATIONS.build(name), altered(ACTIVATIONS.build(name))):
        loaded = same_after_a_file(tmp_path / "net", [fc.Dense(3, 4, activation), fc.Activation(activation)])
        assert [layer.activation for layer in loaded.layers] == [activation, activation]


def test_altered_settings_are_other_settings():
    assert altered(ACTIVATIONS.build("elu")).alpha == 0.5
    assert altered(fc.BatchNorm(n_in=2)) == fc.BatchNorm(n_in=2, epsilon=0.5e-5, momentum=0.05)
    layer = altered(fc.Dense(2, 3))
    assert (layer.bias, layer.init, layer.bias_init) == (False, "uniform01", "uniform01")


@pytest.mark.parametrize("init", [*INITIALIZERS, 0, 0.25, np.float32(0.1), np.int64(1)])
def test_every_initializer_comes_back(init, tmp_path):
    loaded = same_after_a_file(tmp_path / "net", [fc.Dense(3, 4, init=init, bias_init=init)])
    assert (loaded.layers[0].init, loaded.layers[0].bias_init) == (init, init)


def test_an_initializer_that_is_a_function_is_left_out(tmp_path):
    def halves(rng, shape, fan_in, fan_out):
        return np.full(shape, 0.5)

    fc.Network([fc.Dense(3, 4, "relu", init=halves, bias_init=halves)]).save(tmp_path / "net")
    loaded = fc.load(tmp_path / "net")
    assert (loaded.theta == 0.5).all()
    assert (loaded.layers[0].init, loaded.layers[0].bias_init) == ("he_normal", "zeros")


def test_settings_may_be_numbers_of_numpy(tmp_path):
    layers = [
        fc.Dense(np.int64(3), np.int32(4)),
        fc.Dropout(np.float32(0.25)),
        fc.BatchNorm(momentum=np.float64(0.5)),
        fc.LayerNorm(n_in=np.int16(4)),
    ]
    loaded = same_after_a_file(tmp_path / "net", layers)
    assert loaded.layers == fc.Network(layers).layers


def test_blocks_within_blocks(tmp_path):
    block = fc.Residual([fc.LayerNorm(), fc.Residual([fc.Dense(4, 8, "gelu"), fc.BatchNorm(), fc.Dense(8, 4)])])
    loaded = same_after_a_file(tmp_path / "net", [fc.Dense(3, 4), block, block, fc.Dense(4, 2)])
    assert isinstance(loaded.layers[1].layers, tuple)


def nested(depth):
    block = fc.Dense(2, 2)
    for _ in range(depth):
        block = fc.Residual([block])
    return block


def test_how_deep_blocks_may_lie_is_the_same_both_ways(tmp_path):
    same_after_a_file(tmp_path / "net", [nested(DEEPEST - 1)])
    with pytest.raises(ConfigError, match=f"more than {DEEPEST} levels deep"):
        fc.Network([nested(DEEPEST)]).save(tmp_path / "net")
    described: Any = {"layer": "dense", "settings": {"n_in": 2, "n_out": 2}}
    for _ in range(DEEPEST):
        described = {"layer": "residual", "settings": {"layers": [described]}}
    with pytest.raises(FileFormatError, match=f"more than {DEEPEST} levels deep"):
        build_layers([described])


@dataclass(frozen=True)
class Scaled(fc.ActivationFunction):
    """An activation that holds another, and a tuple."""

    activation: Any
    factors: tuple[float, ...] = field(default=(1.0, 2.0))
    name = "scaled by"
    needs_input = True

    def forward(self, z, c, y):
        c.xp.multiply(z, sum(self.factors), out=y)

    def backward(self, z, c, y, dy):
        dy *= sum(self.factors)


@dataclass(frozen=True)
class Wrapped(fc.Layer):
    """A layer that holds another under a name of its own, and has parameters."""

    n_in: int
    inner: Any
    label: str | None = None
    name = "schön gewickelt"

    @property
    def n_out(self):
        return self.n_in

    def params(self):
        return {"größe": fc.Param((self.n_in,))}

    def initialize(self, p, rng):
        p.größe = rng.normal(size=self.n_in)

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, p.größe, out=y)


def test_classes_of_your_own_come_back(tmp_path):
    fc.register(Scaled)
    fc.register(Wrapped)
    scaled = Scaled(ACTIVATIONS.build("tanh"), (0.5, 0.25))
    wrapped = Wrapped(4, fc.Dense(2, 3, scaled), label='"\n\0 é')
    loaded = same_after_a_file(tmp_path / "net", [fc.Dense(3, 4, scaled), wrapped])
    assert loaded.layers[1] == wrapped
    assert loaded.layers[0].activation == scaled


def test_a_class_that_is_not_registered_is_refused_both_ways(tmp_path):
    net = fc.Network([fc.Dense(3, 4), Wrapped(4, None)])
    with pytest.raises(ConfigError, match=r"Wrapped is not registered.*fc\.register"):
        net.save(tmp_path / "net")
    assert not (tmp_path / "net").exists()
    fc.register(Wrapped)
    net.save(tmp_path / "net")
    del LAYERS.classes[Wrapped.name]
    with pytest.raises(FileFormatError, match=r"there is no layer 'schön gewickelt'.*Known: .*dense"):
        fc.load(tmp_path / "net")


def test_a_class_that_has_taken_anothers_name_is_refused(tmp_path):
    class Dense(fc.Dense):
        pass

    with pytest.raises(ConfigError, match="Dense is not registered"):
        fc.Network([Dense(2, 3)]).save(tmp_path / "net")


def test_settings_that_a_file_would_lose_are_refused(tmp_path):
    @fc.register
    class Times(fc.ActivationFunction):
        name = "times"

        def __init__(self, factor=2.0):
            self.factor = factor

    with pytest.raises(ConfigError, match=r"lose the settings of Times, factor: make it a dataclass"):
        fc.Network([fc.Dense(2, 3, Times(3.0))]).save(tmp_path / "net")


@pytest.mark.parametrize("value", [np.tanh, {"a": 1}, b"bytes", np.zeros(3), 1j, object(), [{1}]])
def test_settings_that_are_not_plain_are_refused(tmp_path, value):
    fc.register(Wrapped)
    with pytest.raises(ConfigError, match=r"inner of Wrapped is a \w+, which a file cannot hold"):
        fc.Network([Wrapped(4, value)]).save(tmp_path / "net")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -np.float64("inf")])
def test_settings_that_json_cannot_hold_are_refused(tmp_path, value):
    fc.register(Wrapped)
    with pytest.raises(ConfigError, match="which a file cannot hold"):
        fc.Network([Wrapped(4, value)]).save(tmp_path / "net")


def test_a_pair_of_functions_is_refused_before_anything_is_trained(tmp_path):
    net = fc.Network([fc.Dense(1, 1, (np.sin, np.cos))], seed=0)
    theta = net.theta.copy()
    with pytest.raises(ConfigError, match=r"\(sin, cos\) is a pair of functions.*fc\.register"):
        net.save(tmp_path / "net")
    with pytest.raises(ConfigError, match="pair of functions"):
        fc.fit(net, [[0.0]], [1.0], "half_squared_error", checkpoint=tmp_path / "run", progress=False)
    with pytest.raises(ConfigError, match="pair of functions"):
        fc.epochs(net, [[0.0]], [1.0], "half_squared_error", checkpoint=tmp_path / "run")
    assert (net.theta == theta).all()
    assert not list(tmp_path.iterdir())


DENSE = {"layer": "dense", "settings": {"n_in": 2, "n_out": 3}}


def dense(**settings):
    return {"layer": "dense", "settings": DENSE["settings"] | settings}


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (None, "not a list of layers"),
        ([], "not a list of layers"),
        (DENSE, "not a list of layers"),
        ([None], "layer 0 is None"),
        ([5], "layer 0 is 5"),
        (["dense"], "layer 0 is 'dense'"),
        ([[DENSE]], "layer 0 is"),
        ([{}], "by its name and its settings; found {}"),
        ([{"layer": "dense"}], "by its name and its settings"),
        ([{"layer": "dense", "settings": []}], "by its name and its settings"),
        ([DENSE | {"more": 1}], "by its name and its settings"),
        (
            [{"layer": "dens", "settings": {}}],
            "there is no layer 'dens'; did you mean 'dense'.*Known: activation, batch",
        ),
        ([{"layer": None, "settings": {}}], "there is no layer None"),
        ([{"layer": ["dense"], "settings": {}}], r"there is no layer \['dense'\]"),
        ([{"layer": "save", "settings": {}}], "there is no layer 'save'"),
        ([{"layer": "os.system", "settings": {}}], "there is no layer 'os.system'"),
        ([{"activation": "relu", "settings": {}}], "layer 0 is ReLU"),
        ([{"layer": "dense", "settings": {"n_in": 2}}], "does not take"),
        ([dense(extra=1)], "does not take"),
        ([dense(self=1)], "self"),
        ([dense(name="dense")], "name"),
        ([dense(n_in=0)], "n_in of Dense must be 1 or more"),
        ([dense(n_in=2.0)], "n_in of Dense is a whole number"),
        ([dense(n_in=True)], "n_in of Dense is a whole number"),
        ([dense(n_in="2")], "n_in of Dense is a whole number"),
        ([dense(bias=1)], "bias is True or False"),
        ([dense(init="he_norml")], "did you mean 'he_normal'"),
        ([dense(init=-1)], "standard deviation"),
        ([dense(init=10**400)], "too large"),
        ([dense(init=[1])], "init"),
        ([dense(init=DENSE)], "init"),
        ([dense(activation="reul")], "did you mean 'relu'"),
        ([dense(activation=["sin", "cos"])], "pair"),
        ([dense(activation=DENSE)], "activation"),
        ([dense(activation={"activation": "relu", "settings": {"slope": 1}})], "does not take"),
        ([dense(activation={"activation": "leaky_relu", "settings": {"slope": -1}})], "slope must be more than 0"),
        ([{"layer": "dropout", "settings": {"rate": 0.5}}], "comes first and has no width"),
        ([DENSE, {"layer": "dropout", "settings": {"rate": 10**400}}], "less than 1"),
        ([DENSE, {"layer": "dropout", "settings": {"rate": 1}}], "rate of Dropout"),
        ([DENSE, {"layer": "residual", "settings": {"layers": []}}], "list of one layer or more"),
        ([DENSE, {"layer": "residual", "settings": {"layers": "abc"}}], "layer 0 is 'a'"),
        ([DENSE, {"layer": "residual", "settings": {"layers": {"a": 1}}}], "by its name and its settings"),
        ([DENSE, {"layer": "residual", "settings": {"layers": [DENSE]}}], "needs 2 outputs, but its last"),
        ([DENSE, DENSE], "takes 2 columns, and what comes before it gives 3"),
    ],
)
def test_descriptions_that_make_no_network_are_refused_with_a_sentence(described, message):
    with pytest.raises(FileFormatError, match=message):
        build_layers(described)


def test_a_class_of_your_own_may_fail_as_it_likes():
    @fc.register
    @dataclass(frozen=True)
    class Fragile(fc.Layer):
        n_in: Any
        name = "fragile"

        def __post_init__(self):
            _ = 1 / self.n_in

    with pytest.raises(FileFormatError, match="division by zero") as caught:
        build_layers([{"layer": "fragile", "settings": {"n_in": 0}}])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_messages_stay_short():
    long = [DENSE, *[{"layer": "dropout", "settings": {"rate": 0.5}}] * 1000]
    for described in ([{"layer": "x" * 10**5, "settings": {}}], [dense(**{"x" * 10**5: 1})], [*long, DENSE]):
        with pytest.raises(FileFormatError) as caught:
            build_layers(described)
        assert len(str(caught.value)) < 1000
