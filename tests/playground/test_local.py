"""The playground without Python says what the one with Python says: the same setups, frames and replies, under Node."""

import base64
import contextlib
import io
import math
import random
import re
import runpy

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import ConfigError, FullyConnectedError
from fullyconnected.playing.commands import hello, knob_of, perform
from fullyconnected.playing.formula import values
from fullyconnected.playing.knobs import KNOBS
from fullyconnected.playing.session import Session
from fullyconnected.playing.setup import Setup
from fullyconnected.program.plain import describe_layers
from tests.node import needs_node
from tests.playground.node import ask

pytestmark = needs_node

STEPS = [
    *({"do": "step", "what": what} for what in ("forward", "backward", "sample", "sample", "batch", "epoch", "epoch")),
    *({"do": "step", "what": "batch"} for _ in range(5)),
]
SETUPS = [
    {},
    {"data": "circles", "activation": "relu", "optimizer": "adam", "batch_size": 7, "noise": 0.3, "hidden": [5]},
    {"data": "spirals", "hidden": [6, 6], "residual": True, "dropout": 0.3, "optimizer": "momentum",
     "schedule": "cosine"},
    {"data": "moons", "norm": "batch", "hidden": [4, 4], "residual": True, "l2": 0.01, "optimizer": "nesterov"},
    {"data": "blobs", "classes": 5, "loss": "hinge", "norm": "layer", "features": ["x1", "x2", "sin(x1)", "x1^2"]},
    {"data": "moons", "loss": "hinge", "norm": "rms", "activation": "gelu", "optimizer": "rmsprop",
     "learning_rate": 0.003},
    {"data": "plane", "hidden": [], "loss": "absolute_error", "schedule": "step", "schedule_epochs": 1},
    {"data": "hills", "loss": "huber", "activation": "silu", "optimizer": "adamw", "schedule": "warmup",
     "test_share": 0},
    {"data": "points", "hidden": [20], "init": "uniform01", "seed": 2**53 - 1, "batch_size": 3, "features": ["x1*x2"]},
    {"data": "formula", "formula": "max(x1^2, -x2/3) < 1", "max_grad_norm": 0.5, "shuffle": False, "hidden": [3, 4, 3],
     "optimizer": "muon", "learning_rate": 0.02},
    {"data": "formula", "task": "regression", "formula": "sin(2*x1) + exp(-x2^2)", "loss": "mean_squared_error",
     "data_seed": 12345, "activation": "softplus", "schedule": "linear"},
    {"data": "spirals", "classes": 2, "rows": 37, "schedule": "exponential", "activation": "elu", "norm": "batch"},
]  # fmt: skip


def in_python(commands):
    """Return what the session of the library says to commands, as the page gets it."""
    session, said = Session(Setup.of()), []
    frames = []
    session.listeners.append(frames.append)
    for command in commands:
        frames.clear()
        try:
            with np.errstate(all="ignore"):
                said.append({"reply": perform(session, command)})
        except FullyConnectedError as error:
            said.append({"error": str(error), "knob": knob_of(str(error))})
        if session.thread is not None:
            session.thread.join()
        said[-1]["frame"] = frames[-1] if frames else None
    session.close()
    return plain(said)


def plain(value):
    """Return arrays as lists, and what is not finite as None."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.ravel().tolist())  # as it is sent
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def reached(said):
    """Return an answer with the step to which it went on: what takes long is answered before it is done."""
    if said.get("frame") is None or "step" not in said.get("reply", {}):
        return said
    assert said["reply"]["step"] <= said["frame"]["step"]
    return {**said, "reply": {**said["reply"], "step": said["frame"]["step"]}}


UNLIKE = ("speed", "advice", "text", "engine", "running", "run")  # what is measured, or said in other words


def assert_same(found, wanted, where="", bound=1e-9):
    """Assert that two answers are the same: numbers but for rounding, and bytes of pictures but for one."""
    if isinstance(wanted, dict):
        found, wanted = reached(found), reached(wanted)
        assert found.keys() - {"took"} == wanted.keys(), where
        for key, each in wanted.items():
            if key not in UNLIKE:
                pictures = key in ("data", "shares") and isinstance(each, list) and wanted.get("kind") != "classes"
                assert_same(found[key], each, f"{where}.{key}", 1 if pictures else bound)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for i, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert_same(one, other, f"{where}[{i}]", bound)
    elif isinstance(wanted, float) or (isinstance(wanted, int) and bound == 1):
        assert found is not None, where
        assert abs(found - wanted) <= bound * max(1, bound < 1 and abs(wanted)), (where, found, wanted)
    else:
        assert found == wanted, where


def compare(*commands):
    """Assert that both say the same to commands, and return what Python says."""
    wanted = in_python(commands)
    (found,) = ask(commands, runner="local.mjs")
    for command, one, other in zip(commands, found[1:], wanted, strict=True):
        assert_same(one, other, command["do"])
    return wanted


@pytest.fixture(scope="module")
def said():
    return ask(*([{"do": "setup", "setup": setup}, *STEPS] for setup in SETUPS), runner="local.mjs")


class TestFrames:
    @pytest.mark.parametrize("i", range(len(SETUPS)))
    def test_are_those_of_the_library(self, said, i):
        commands = [{"do": "setup", "setup": SETUPS[i]}, *STEPS]
        for command, found, wanted in zip(commands, said[i][1:], in_python(commands), strict=True):
            bound = 1e-12 if command["do"] == "setup" else 1e-9  # points, and initial weights
            assert_same(found, wanted, command.get("what", "setup"), bound)

    def test_what_is_said_first(self, said):
        found, wanted = said[0][0]["hello"], plain(hello(Session(Setup.of()), 0))
        assert {*found["capabilities"]} < {*wanted["capabilities"]}
        assert_same({**found, "capabilities": 0}, {**wanted, "capabilities": 0})

    def test_a_run_goes_to_a_step_and_can_be_rewound(self):
        given = {"data": "moons", "norm": "batch", "dropout": 0.2, "optimizer": "momentum", "rows": 60}
        run = {"do": "run", "until": 1200}
        seeks = [{"do": "seek", "to": to} for to in (0, 700, 3, 1200, 1199)]
        said = compare({"do": "setup", "setup": given}, run, *seeks)
        assert [each["frame"]["step"] for each in said[1:]] == [1200, 0, 700, 3, 1200, 1199]
        assert len(said[1]["frame"]["curves"]["step"]) == 151  # at every eighth step

    def test_a_run_can_keep_a_pace(self):
        run = {"do": "run", "until": 30, "pace": 100}
        (_, said) = ask([run], runner="local.mjs")[0]
        assert said["frame"]["step"] == 30
        assert said["took"] >= 290  # ms
        wrong = [{"do": "run", "pace": pace} for pace in (0, -1, "fast")]
        assert all("pace is" in each["error"] for each in ask(wrong, runner="local.mjs")[0][1:])

    def test_a_step_that_takes_long_is_answered_before_it_is_done(self):
        given = {"rows": 60, "test_share": 0, "batch_size": 1, "hidden": [64] * 4, "optimizer": "muon"}
        commands = [{"do": "setup", "setup": given}, {"do": "step", "what": "epoch"}]
        _, _, epoch = ask(commands, runner="local.mjs")[0]
        assert epoch["reply"]["step"] < epoch["frame"]["step"] == 60

    def test_weights_can_be_set(self):
        at = {"layer": "dense_2", "part": "W", "at": [2, 1], "value": -0.75}
        said = compare(
            {"do": "step", "what": "epoch"},
            {"do": "weight", **at},
            {"do": "weight", "layer": "dense_1", "part": "b", "at": [3], "value": 0.5},
            {"do": "step", "what": "epoch"},
            {"do": "seek", "to": 5},
            {"do": "seek", "to": 20},
        )
        assert said[1]["frame"]["edited"]
        assert said[1]["frame"]["layers"][1]["W"][2 * 3 + 1] == -0.75

    def test_one_input_can_be_looked_at(self):
        look = [{"do": "look", "row": 3}, {"do": "look", "row": 199}, {"do": "look", "x": [0.25, -1.5]}]
        compare({"do": "step", "what": "epoch"}, *look, {"do": "data"}, {"do": "pause"})

    def test_a_run_that_diverges_stops_and_says_why(self):
        given = {"data": "plane", "activation": "exp", "learning_rate": 50}
        commands = [{"do": "setup", "setup": given}, {"do": "step", "what": "epoch"}]
        wanted, found = in_python(commands)[1]["frame"], ask(commands, runner="local.mjs")[0][2]["frame"]
        assert wanted["stopped"]["why"] == found["stopped"]["why"] == "diverged"
        assert found["step"] == wanted["step"]
        assert found["stopped"]["text"] == wanted["stopped"]["text"]

    def test_a_model_can_be_taken_away(self, tmp_path):
        for setup in SETUPS[:6]:
            commands = [
                {"do": "setup", "setup": setup},
                {"do": "step", "what": "epoch"},
                {"do": "export", "what": "model"},
            ]
            _, _, stepped, said = ask(commands, runner="local.mjs")[0]
            path = tmp_path / said["reply"]["name"]
            path.write_bytes(base64.b64decode(said["reply"]["base64"]))
            net = fc.load(path)
            weights = [each["W"] for each in stepped["frame"]["layers"]]
            dense = [tensor for tensor in net.program.tensors if tensor.letter == "W"]
            assert [tensor.of(net.theta).ravel().tolist() for tensor in dense] == weights
            session = Session(Setup.of(setup))
            assert describe_layers(net.layers) == describe_layers(session.stepper.net.layers)
            assert net.loss == session.stepper.loss


def drawn(rng, knob):
    """Return a random value of a knob."""
    if knob.kind == "choice":
        return rng.choice([choice.value for choice in knob.choices if choice.needs is None])
    if knob.kind == "choices":
        return rng.sample([choice.value for choice in knob.choices], rng.randint(1, 4))
    if knob.kind == "widths":
        return [rng.randint(1, 6) for _ in range(rng.randint(0, 4))]
    if knob.kind == "integer":
        return rng.randint(int(knob.least), int(min(knob.most, 60)))
    if knob.kind == "number":
        return rng.choice([knob.default, round(rng.uniform(knob.least, min(knob.most, 0.5)), 3)])
    return rng.random() < 0.5


def test_random_setups_are_the_same_or_refused_by_both():
    rng = random.Random(1)
    knobs = [knob for knob in KNOBS if knob.kind not in ("text", "points")]
    setups = [{knob.name: drawn(rng, knob) for knob in knobs if rng.random() < 0.7} for _ in range(40)]
    steps = [{"do": "step", "what": what} for what in ("sample", "epoch", "batch")]
    requests = [[{"do": "setup", "setup": setup}, *steps] for setup in setups if setup.get("activation") != "exp"]
    refused = 0
    for commands, found in zip(requests, ask(*requests, runner="local.mjs"), strict=True):
        wanted = in_python(commands)
        assert ("error" in found[1]) == ("error" in wanted[0]), commands[0]
        if "error" in wanted[0]:
            refused += 1
            continue
        for command, one, other in zip(commands, found[1:], wanted, strict=True):
            assert_same(one, other, f"{commands[0]['setup']}: {command.get('what', 'setup')}", 1e-6)
    assert refused < len(requests) / 2


@pytest.mark.parametrize("i", range(len(SETUPS)))
def test_a_script_repeats_the_run(i, tmp_path):
    edit = {"do": "weight", "layer": "dense_1", "part": "W", "at": [0, 0], "value": 0.125}
    steps = [{"do": "step", "what": what} for what in ("epoch", "epoch")]
    commands = [{"do": "setup", "setup": SETUPS[i]}, *[edit] * (i % 2), *steps, {"do": "export", "what": "python"}]
    *_, last, said = ask(commands, runner="local.mjs")[0]
    script = tmp_path / said["reply"]["name"]
    script.write_text(said["reply"]["text"], encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(script))
    train, *test = (float(line.split()[-1]) for line in printed.getvalue().splitlines())
    assert abs(train - last["frame"]["loss"]["train"]) <= 1e-9
    if last["frame"]["loss"]["test"] is None:
        assert test == []
    else:
        assert abs(test[0] - last["frame"]["loss"]["test"]) <= 1e-9


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("setup", "knob"),
        [
            ({"rows": 3}, "rows"),
            ({"rows": 10.5}, "rows"),
            ({"noise": "much"}, "noise"),
            ({"learning_rate": None}, "learning_rate"),
            ({"hidden": [0]}, "hidden"),
            ({"hidden": [2] * 9}, "hidden"),
            ({"hidden": 4}, "hidden"),
            ({"features": []}, "features"),
            ({"features": ["x3"]}, "features"),
            ({"activation": "softmax"}, "activation"),
            ({"residual": "yes"}, "residual"),
            ({"seed": 2**53}, "seed"),
            ({"seed": -1}, "seed"),
            ({"formula": "x" * 201}, "formula"),
            ({"data": "formula", "formula": "log(x1)"}, "formula"),
            ({"data": "formula", "formula": "x3"}, "formula"),
            ({"data": "points", "points": [[0, 0, 1]]}, "points"),
            ({"data": "points", "points": [[0, 0, 1], [1, 1, 0.5]]}, "points"),
            ({"data": "points", "points": [[0, 0, 1], [1, 1]]}, "points"),
            ({"data": "plane", "loss": "hinge"}, "loss"),
            ({"data": "xor", "loss": "huber"}, "loss"),
            ({"norm": "batch", "batch_size": 1}, "batch_size"),
            ({"data": "plane", "rows": 4, "test_share": 0.25}, "test_share"),
            ({"data": "table"}, "data"),
            ({"init": "file"}, "init"),
        ],
    )
    def test_a_setup_names_the_knob_and_leaves_all_as_it_was(self, setup, knob):
        commands = [{"do": "step", "what": "batch"}, {"do": "setup", "setup": setup}, {"do": "step", "what": "batch"}]
        (_, _, refused, after) = ask(commands, runner="local.mjs")[0]
        assert refused["knob"] == knob
        wanted = in_python(commands)[1]
        assert wanted["knob"] == knob
        assert refused["error"].startswith((f"{knob} ", f"{knob}:"))
        if knob in ("rows", "noise", "learning_rate", "seed", "test_share"):
            words = [re.split("; got| is -?[0-9.]+ in", each["error"])[0] for each in (refused, wanted)]
            assert words[0] == words[1]
        assert refused["frame"] is None
        assert after["frame"]["step"] == 2

    def test_commands(self):
        commands = [
            {"do": "setup", "setup": {"v": 2}},
            {"do": "setup", "setup": {"row": 10}},
            {"do": "setup", "setup": [1]},
            {"do": "dance"},
            {"do": "step", "what": "year"},
            {"do": "seek", "to": -1},
            {"do": "look", "row": 200},
            {"do": "look", "x": [1]},
            {"do": "weight", "layer": "dense_9", "part": "W", "at": [0, 0], "value": 1},
            {"do": "weight", "layer": "dense_1", "part": "W", "at": [2, 0], "value": 1},
            {"do": "weight", "layer": "dense_1", "part": "W", "at": [0, 0], "value": None},
            {"do": "export", "what": "svg"},
        ]
        (_, *said) = ask(commands, runner="local.mjs")[0]
        for command, each in zip(commands, said, strict=True):
            assert len(each["error"]) > 15, command


FORMULAS = [
    "x1", "-x1^2", "2^-x1", "2^3^x2", "-2^2*x1", "x1 - x2 - 3", "x1 / x2 / 2", "(x1 < x2) * (x2 > 0)", "x1 < x2",
    "+x1--x2", "1.5e-3*x1 + .5 + 2.", "min(x1, x2, 0.1)", "max(x1,\t-x2)", "abs(x1)**0.5", "sqrt(abs(x1*x2))",
    "floor(3*x1)/3", "sign(x1)*tanh(x2)", "log(3+x1) + exp(-x2)", "sin(pi*x1) * cos(e*x2) + tan(x1/4)", " x1 ",
    "((x1))", "x1*-x2", "x1^-2*x2", "(-2)^0.5", "1/0*x1", "log(x1)", "x1 * (x1 > 0) ^ 2", "-x1 ^ 2 < - x2", "3",
    "1E2*x1", "min(x1,x2,)", "0", "0.", "0.5", "1.e2", "10", "sin (x1)", "sin(x1,)", "\tx1\t+\tx2 ", "x1*(-+-x2)",
    "(" * 90 + "x1" + ")" * 90, "-" * 198 + "x1", "x1" + "+1" * 99,
]  # fmt: skip
WRONG = [
    "", "x1 +", "x1 x2", "(x1", "x1)", "sin()", "sin(x1, x2)", "min(x1)", "x3", "y", "sinh(x1)", "sin", "x1(2)",
    "x1.real", "x1 < x2 < 1", "x1 <= 2", "x1 == 2", "not x1", "x1 if x2 else 1", "lambda: x1", "[x1]", "'a'", "1j",
    "x1 @ x2", "x1 % 2", "x1 // 2", "~x1", "x1;x2", "x1\nx2", "__import__('os')", "constructor", "toString(x1)",
    "2x1", "x1 * * 2", ",", "min(,x1)", "1..2", "e5", "x1 ** ** 2", "\u0078\uff11", "x1 & 1", "sin(x=x1)", "sin(*x1)",
    "x1 # hi", "#", "0x1F", "0b1", "0o7", "1_000", "1_0.0", "007", "00", "01.5", "1e", "1e+", "1.5.2", "x1.5", "1if x1",
    "x1\f", "x1\u00a0+ x2", "\ufeffx1", "x1\r", "x1 \\", "x1\\\n", "(x1,)", "x1, x2", "()", "(sin)(x1)", "sin + x1",
    "(2)(3)",
    "x1^^2", "x1**^2", "x1*^2", "x1<<1", "x1->x2", "x1:=2", "x1 and x2", "True", "None", "...", "sin(x1 for x1 in x2)",
    "X1", "PI", "_x1", "x1_", "max(x1, *x2)", "sin(**x1)", "yield", "await x1", "x1!", "x1?", "f'x1'", "\0",
]  # fmt: skip


def test_formulas_have_the_values_that_python_gives():
    x1, x2 = np.random.default_rng(0).uniform(-2, 2, (2, 50))
    found = ask(*(("formula", {"text": text, "x1": x1.tolist(), "x2": x2.tolist()}) for text in FORMULAS))
    for text, each in zip(FORMULAS, found, strict=True):
        wanted = values(text, x1, x2)
        got = np.array([math.nan if a is None else a for a in each], float)
        finite = np.isfinite(wanted)
        assert np.allclose(got[finite], wanted[finite], rtol=1e-13, atol=1e-15), text
        assert not np.isfinite(got[~finite]).any(), text


def test_formulas_that_python_refuses_are_refused():
    found = ask(*(("formula", {"text": text, "x1": [0.5], "x2": [0.5]}) for text in WRONG))
    for text, each in zip(WRONG, found, strict=True):
        with pytest.raises(ConfigError):
            values(text, np.array([0.5]), np.array([0.5]))
        assert isinstance(each, str), text
        assert "formula" in each


def test_any_text_is_read_by_both_or_by_neither():
    rng = random.Random(3)
    parts = [*"+-*/^<>(),  #\t)", "x1", "x2", "pi", "e", "2", ".5", "1e3", "0", "07", "1_0", "x1)", "**", "sin", "if"]
    parts += [f"{name}(" for name in ("sin", "max", "min", "abs")]
    texts = ["".join(rng.choice(parts) for _ in range(rng.randint(1, 7))) for _ in range(4000)]
    found = ask(*(("formula", {"text": text, "x1": [0.5], "x2": [0.25]}) for text in texts))
    read = 0
    for text, each in zip(texts, found, strict=True):
        try:
            values(text, np.array([0.5]), np.array([0.25]))
        except ConfigError:
            assert isinstance(each, str), text
        else:
            assert not isinstance(each, str), text
            read += 1
    assert read > 200
