"""The engine of the playground without Python: the same numbers as the library's, under Node."""

import random
import runpy
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import schedules
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.core.randomness import generator
from fullyconnected.errors import DivergenceError
from fullyconnected.initializers import INITIALIZERS, WEIGHTS_FROM_ROWS
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.plain import describe_layers, describe_loss
from tests.node import needs_node
from tests.playground.node import PAGE, ask

pytestmark = needs_node
TOOLS = Path(__file__).parent.parent.parent / "tools"
SEEDS = [0, 1, 7, 2**32 - 1, 2**32, 2**53 - 1, 2**64 - 1]


@pytest.fixture(scope="module")
def tables():
    return ask(("tables", None))[0]


class TestTables:
    @pytest.mark.parametrize(
        ("kind", "registered"),
        [
            ("layer", {*LAYERS.classes} - {"residual"} | {"add"}),  # a block comes as its layers and an addition
            ("activation", ACTIVATIONS.classes),
            ("loss", LOSSES.classes),
            ("optimizer", OPTIMIZERS.classes),
            ("initializer", {*INITIALIZERS, *WEIGHTS_FROM_ROWS}),
            ("schedule", {*schedules.__all__} - {"Schedule", "ProgressSchedule"}),
        ],
    )
    def test_each_registered_name_is_there_or_refused_with_a_reason(self, tables, kind, registered):
        present, refused = tables[kind]
        assert not {*present} & {*refused}
        assert {*present, *refused} == {*registered}
        assert all(len(reason) > 20 for reason in refused.values())

    def test_initial_weights_suit_the_activation(self, tables):
        wanted = {name: cls.suited_init for name, cls in ACTIVATIONS.classes.items()}
        found = {name: tables["suited"].get(name, "glorot_uniform") for name in ACTIVATIONS.classes}
        assert found == wanted

    def test_formulas_are_those_of_the_library(self):
        source = runpy.run_path(str(TOOLS / "engine_formulas.py"))["source"]()
        assert (PAGE / "engine_formulas.js").read_text("utf-8") == source, "run tools/engine_formulas.py"


class TestRandomNumbers:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_are_numpys(self, seed):
        n, index = 3000, (2**33 + 5, 17, 2)
        found = ask(("draws", {"seed": str(seed), "purpose": 1, "index": index, "n": n}))[0]

        def rng():
            return generator(seed, 1, *index)

        assert np.array_equal(found["random"], rng().random(n))
        assert np.array_equal(found["floats"], rng().random(n, dtype=np.float32))
        assert np.array_equal(found["integers"], rng().integers(0, 1000, n))
        assert np.array_equal(found["permutation"], rng().permutation(n))
        # a processor may add the product in one rounding, and libraries round exp and log1p in their own way
        assert np.allclose(found["uniform"], rng().uniform(-0.3, 0.7, n), rtol=0, atol=2e-16)
        assert np.allclose(found["normal"], rng().normal(0.5, 2, n), rtol=1e-15, atol=4e-16)

    def test_permutations_of_any_length(self):
        lengths = [1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 2000]
        found = ask(*(("draws", {"seed": n, "purpose": 1, "index": [3], "n": n}) for n in lengths))
        for n, each in zip(lengths, found, strict=True):
            assert np.array_equal(each["permutation"], generator(n, 1, 3).permutation(n))

    def test_the_tail_of_normal_numbers(self):
        n = 200_000  # about fifty of them lie beyond 3.65, where the table ends
        found = np.array(ask(("draws", {"seed": 3, "purpose": 0, "index": [], "n": n}))[0]["normal"])
        wanted = generator(3, 0).normal(0.5, 2, n)
        assert (abs(wanted - 0.5) > 2 * 3.6542).sum() > 20
        assert np.allclose(found, wanted, rtol=1e-15, atol=4e-16)


def schedule_of(rng):
    """Return a random schedule, or None."""
    decay = rng.choice([fc.StepDecay(0.5, 3), fc.ExponentialDecay(0.97), fc.LinearDecay(20), fc.CosineDecay(30, 0.1)])
    return rng.choice([None, None, decay, fc.Warmup(4), fc.Warmup(2.5, then=decay)])


def plain_schedule(schedule):
    """Return a schedule as plain values."""
    if schedule is None:
        return None
    settings = {f.name: getattr(schedule, f.name) for f in fields(schedule)}
    if settings.get("then") is not None:
        settings["then"] = plain_schedule(settings["then"])
    return {"schedule": type(schedule).__name__, "settings": settings}


def activation_of(rng, name=None):
    name = rng.choice([each for each in ACTIVATIONS.classes if "." not in each]) if name is None else name
    return {"leaky_relu": fc.LeakyReLU(0.2), "elu": fc.ELU(0.7)}.get(name, name) if rng.random() < 0.5 else name


def layers_of(rng, n_in, activation):
    """Return random hidden layers: norms, dropout and residual blocks among them."""
    layers, width = [], n_in
    for _ in range(rng.randint(0, 3)):
        out, init = rng.randint(1, 6), rng.choice([None, *INITIALIZERS, 0.3])
        if init in ("zeros", "ones", "uniform01", "signs") and rng.random() < 0.7:
            init = None
        norm = rng.choice([None, None, fc.BatchNorm, fc.LayerNorm, fc.RMSNorm])
        if norm is not None:
            out, init = max(3, out), None  # of two units, a norm leaves the signs alone; of equal ones, rounding
        if norm is None:
            part = [
                fc.Dense(
                    width, out, activation, init=init, bias=rng.random() < 0.8, bias_init=rng.choice(["zeros", 0.1])
                )
            ]
        else:
            part = [fc.Dense(width, out, init=init), norm(), fc.Activation(activation)]
        if rng.random() < 0.3:
            part.append(fc.Dropout(rng.choice([0.0, 0.2, 0.5])))
        if out == width and rng.random() < 0.7:
            part = [fc.Residual(part)] if rng.random() < 0.8 else [fc.Residual([fc.Residual(part), fc.Dense(out, out)])]
        layers += part
        width = out
    return layers, width


def setup_of(number):
    """Return a random run: network, rows, targets, loss, optimizer and the settings of fit."""
    rng, numbers = random.Random(number), np.random.default_rng(number)
    names = [name for name in LOSSES.classes if "." not in name]
    loss = LOSSES.get(names[number % len(names)])
    if loss.name == "huber":
        loss = fc.Huber(0.4)
    activations = [name for name in ACTIVATIONS.classes if "." not in name]
    n_in, n_out = rng.randint(1, 4), rng.randint(max(1, loss.min_outputs), 3)
    layers, width = layers_of(rng, n_in, activation_of(rng, activations[number % len(activations)]))
    seed = rng.choice(SEEDS)
    net = fc.Network([*layers, fc.Dense(width, n_out)], seed=seed, dtype="float64")
    rows = rng.randint(5, 30)
    x = numbers.normal(size=(rows, n_in))
    t = loss.example_targets(numbers, rows, n_out)
    rules = [
        fc.SGD(0.05),
        fc.Momentum(0.02, 0.8),
        fc.Nesterov(0.02),
        fc.RMSProp(0.003),
        fc.Adam(0.01),
        fc.Adam(0.01, beta1=0.8),
    ]
    rules += [fc.AdamW(0.01, weight_decay=0.1), fc.AdamW(weight_decay=0.0)]
    rules += [fc.Muon(0.02), fc.Muon(0.03, momentum=0.8, nesterov=False, weight_decay=0.1, rest=fc.SGD(0.01))]
    settings = {
        "batch_size": rng.randint(5 if net.state.size else 1, 12),
        "seed": seed,
        "shuffle": rng.random() < 0.8,
        "l2": rng.choice([0.0, 0.0, 0.01]),
        "max_grad_norm": rng.choice([None, None, 0.5]),
        "schedule": schedule_of(rng),
    }
    return net, x, t, loss, rules[number % len(rules)], settings


def plain_rule(rule):
    """Return an optimizer as plain values."""
    settings = {f.name: getattr(rule, f.name) for f in fields(rule) if f.name != "epsilon_hat"}
    if "rest" in settings:
        settings["rest"] = plain_rule(settings["rest"])
    return {"optimizer": rule.name, "settings": settings}


def request_of(net, x, t, loss, rule, settings):
    """Return what the engine is asked for a run, before it begins."""
    return {
        "layers": describe_layers(net.layers),
        "nIn": net.n_in,
        "x": x.ravel().tolist(),
        "t": np.asarray(t).ravel().tolist(),
        "loss": describe_loss(loss),
        "optimizer": plain_rule(rule),
        "seed": str(settings["seed"]),
        "batchSize": settings["batch_size"],
        "shuffle": settings["shuffle"],
        "l2": settings["l2"],
        "maxGradNorm": settings["max_grad_norm"],
        "schedule": plain_schedule(settings["schedule"]),
    }


def run_of(number):
    """Return a random run: the request to the engine, its initial parameters, and what fit makes of it.

    The last is how far the parameters go elsewhere if they begin in other last digits. The gradient of a bias before a
    norm is nothing but rounding, which Adam divides by its own size, and Muon makes directions of it as long as others.
    """
    net, x, t, loss, rule, settings = setup_of(number)
    batch, least, before = min(settings["batch_size"], len(x)), net.program.least_rows, net.theta.copy()
    steps = max(1, -(-(len(x) - least + 1) // batch))
    epochs = -(-100 // steps)
    request = {**request_of(net, x, t, loss, rule, settings), "steps": steps * epochs}
    given = {"epochs": epochs, "progress": False, "warn": False, "engine": "numpy", **settings}
    other = net.copy()
    other.theta *= 1 + 1e-15 * np.random.default_rng(number).normal(size=other.theta.shape)
    try:
        losses = fc.fit(net, x, t, loss, rule, **given).loss
        fc.fit(other, x, t, loss, rule, **given)
    except DivergenceError as error:
        return request, before, net, error, 0.0
    return request, before, net, losses, float(np.abs(net.theta - other.theta).max())


class TestTraining:
    @pytest.mark.parametrize("first", range(0, 240, 60))
    def test_a_hundred_steps_are_the_librarys(self, first, examples):
        numbers = range(first, first + examples(60))
        runs = [run_of(number) for number in numbers]
        asked = ask(*(("train", run[0]) for run in runs), *(("initial", run[0]) for run in runs))
        diverged = sensitive = 0
        for number, (request, before, net, losses, moved), found, initial in zip(
            numbers, runs, asked[: len(runs)], asked[len(runs) :], strict=True
        ):
            assert np.allclose(initial, before, rtol=1e-15, atol=1e-15), f"setup {number}: initial parameters"
            if isinstance(losses, DivergenceError):
                assert found["stopped"]["step"] == losses.step, f"setup {number}"
                assert found["stopped"]["layer"] == losses.layer, f"setup {number}"
                diverged += 1
                continue
            bound = 1e-9 * max(1.0, np.abs(net.theta).max()) + 100 * moved
            sensitive += bound > 1e-6
            assert np.abs(np.array(found["theta"]) - net.theta).max() <= bound, f"setup {number}: parameters"
            assert np.allclose(found["state"], net.state, rtol=bound, atol=bound), f"setup {number}: statistics"
            batch, rows = request["batchSize"], len(request["x"]) // net.n_in
            starts = np.arange(len(found["losses"]) // len(losses)) * batch
            means = np.array(found["losses"]).reshape(len(losses), -1) @ np.diff([*starts, rows]) / rows
            assert np.allclose(means, losses, rtol=bound, atol=bound), f"setup {number}: losses"
        assert diverged <= examples(5)
        assert sensitive <= examples(5)  # the others are within 1e-6, and nearly all of them within 1e-9

    def test_ten_thousand_steps_a_second(self):
        net = fc.mlp([2, 4, 1], "tanh", seed=0, dtype="float64")
        x, t = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
        settings = {"batch_size": 4, "seed": 0, "shuffle": True, "l2": 0.0, "max_grad_norm": None, "schedule": None}
        request = request_of(net, x, t, fc.BinaryCrossEntropy(), fc.SGD(0.1), settings)
        assert ask(("speed", {**request, "steps": 20_000}))[0] > 10_000  # a tenth of what one core does
