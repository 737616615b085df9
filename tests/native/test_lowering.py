"""What the native engine has of the library: each class is in one of its tables, or refused with a reason."""

from dataclasses import dataclass, fields, is_dataclass

import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.core.registry import Registry
from fullyconnected.engine import lowering, native_engine
from fullyconnected.engine.choice import choose
from fullyconnected.engine.lowering import Unsupported, lower, lower_loss, lower_optimizer
from fullyconnected.errors import ConfigError
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS

HERE = fc.engines()["native"]
needs_native = pytest.mark.skipif(not HERE.available, reason=HERE.about)


def lowered(kind, name):
    """Return the record that one registered object is lowered to."""
    if kind == "loss":
        return lower_loss(LOSSES.build(name))
    if kind == "optimizer":
        return lower_optimizer(OPTIMIZERS.build(name))
    if kind == "activation":
        return lower(fc.Network([fc.Dense(3, 3, name)]).program)[0]
    return lower(fc.Network([LAYERS.classes[name].example(3)]).program)[0]


TABLES = {
    "activation": (ACTIVATIONS, lowering.ACTIVATIONS_HERE),
    "loss": (LOSSES, lowering.LOSSES_HERE),
    "optimizer": (OPTIMIZERS, lowering.OPTIMIZERS_HERE),
}
OURS = [(kind, name) for kind, (registry, _) in TABLES.items() for name in registry.classes]
OURS += [("layer", name) for name in LAYERS.classes]


@pytest.mark.parametrize(("kind", "name"), OURS)
def test_each_class_of_the_library_is_lowered_or_refused_with_a_reason(kind, name):
    if kind == "optimizer" and issubclass(OPTIMIZERS.classes[name], fc.Solver):
        with pytest.raises(ConfigError, match="a full-batch solver takes its gradients from NumPy"):
            choose("native", fc.mlp([3, 3]).program, optimizer=OPTIMIZERS.build(name))
    else:
        assert lowered(kind, name)


@pytest.mark.parametrize("kind", TABLES)
def test_the_tables_hold_no_name_that_the_library_does_not_have(kind):
    registry, here = TABLES[kind]
    assert here.keys() <= registry.classes.keys()


@pytest.mark.parametrize(("kind", "name"), [pair for pair in OURS if pair[0] in TABLES])
def test_each_setting_of_a_class_is_handed_over(kind, name):
    """A setting that is added to a class, and that its kernel is not given, would be passed over silently."""
    registry, here = TABLES[kind]
    if name not in here:
        return
    cls = registry.classes[name]
    settings = {field.name for field in fields(cls)} - {"lr", "class_weight"} if is_dataclass(cls) else set()
    assert settings <= set(here[name].values())


def test_a_class_is_known_by_itself_and_not_by_its_name_or_module(monkeypatch):
    loss = fc.Huber(0.5)
    monkeypatch.setattr(fc.Huber, "__module__", "fullyconnected.moved")
    assert lower_loss(loss) == ("huber", 0.5)

    class Huber(fc.Huber):
        __module__ = "fullyconnected.losses"

    with pytest.raises(Unsupported, match="it has no loss Huber"):
        lower_loss(Huber())

    class Tanh(type(ACTIVATIONS.build("tanh"))):
        pass

    with pytest.raises(Unsupported, match="no activation"):
        lower(fc.Network([fc.Dense(2, 1, Tanh())]).program)

    @dataclass(frozen=True)
    class Adam(fc.Adam):
        pass

    with pytest.raises(Unsupported, match="no optimizer Adam"):
        lower_optimizer(Adam())


def test_what_takes_the_place_of_a_class_is_not_taken_for_it():
    class Own(fc.Loss):
        name = "own"

    registry = Registry("loss", fc.Loss, (Own,))
    first = Own()

    class Own(fc.Loss):
        name = "own"

    registry.add(Own)
    assert registry.owns(first)
    assert not registry.owns(Own())


@needs_native
@pytest.mark.parametrize("name", ["OpSpec", "LossSpec", "OptimizerSpec", "TrainerSpec"])
def test_each_record_has_the_fields_of_the_one_in_cpp(name):
    from fullyconnected import _native

    here = {each for each in dir(getattr(_native, name)) if not each.startswith("_")}
    assert here == set(getattr(lowering, name)._fields)


@pytest.mark.parametrize("name", LAYERS.classes)
def test_each_hidden_matrix_is_known_as_one(name):
    """Muon moves these as a whole; one that the engine did not know would be left as it is."""
    cls = LAYERS.classes[name]
    for layer in cls.examples(3):
        ends = [] if cls.comes_last else [fc.Dense(layer.n_out or 3, 2)]
        program = fc.Network([*([] if layer.reads_raw else [fc.Dense(3, 3)]), layer, *ends]).program
        hidden = {tensor.part.start for tensor in program.tensors if tensor.param.is_hidden}
        assert {spec.at[0] for spec in lower(program) if spec.hidden} == hidden


@needs_native
def test_a_program_is_lowered_once(monkeypatch):
    calls = []
    monkeypatch.setattr(native_engine, "lower", lambda program: calls.append(program) or lower(program))
    net, x = fc.mlp([2, 3, 1], seed=0), [[0.0, 1.0]]
    fc.fit(net, x, [1.0], "half_squared_error", epochs=2, validation=(x, [1.0]), engine="native", progress=False)
    net.gradients(x, [1.0], "half_squared_error", engine="native")
    net.predict(x, engine="native")
    assert calls == [net.program]
