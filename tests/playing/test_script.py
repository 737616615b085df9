"""A run as a script: it repeats the run to the last digit."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fullyconnected.errors import ConfigError
from fullyconnected.playing.exports import explanation_of
from fullyconnected.playing.session import Session
from fullyconnected.playing.setup import Setup
from fullyconnected.playing.table import Table

RUNS: tuple[dict[str, Any], ...] = (
    {},
    {"data": "circles", "hidden": [], "features": ["x1^2", "x2^2", "sin(x1)", "x1*x2"]},
    {
        "data": "spirals",
        "classes": 4,
        "hidden": [6, 6],
        "residual": True,
        "dropout": 0.2,
        "optimizer": "adam",
        "seed": 9,
    },
    {"data": "moons", "norm": "batch", "schedule": "exponential", "schedule_epochs": 7, "activation": "gelu"},
    {"data": "blobs", "norm": "layer", "loss": "hinge", "optimizer": "momentum", "momentum": 0.8, "test_share": 0},
    {"data": "plane", "norm": "rms", "loss": "huber", "optimizer": "adamw", "weight_decay": 0.2, "max_grad_norm": 0.3},
    {"data": "hills", "loss": "absolute_error", "optimizer": "rmsprop", "schedule": "warmup", "init": "lecun_normal"},
    {"data": "formula", "formula": "max(x1^3, sin(2*x2)) < 0.5*pi - e/x2^2", "l2": 0.01, "shuffle": False},
    {"data": "formula", "formula": "min(x1, x2, 1) + -x1^-2 * (2 > x1)", "task": "regression", "schedule": "step"},
    {"data": "points", "optimizer": "muon", "batch_size": 3, "schedule": "linear", "data_seed": 4, "rows": 10},
)


def run(script: str, folder: Path) -> list[str]:
    path = folder / "playground.py"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=True, cwd=folder, timeout=120
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("knobs", RUNS, ids=lambda knobs: str(knobs.get("data", "xor")))
def test_a_script_repeats_a_run(knobs: dict[str, Any], tmp_path: Path) -> None:
    session = Session(Setup.of(knobs))
    session.go(6 * session.stepper.steps)
    frame = session.frame()
    lines = run(session.export("python")["text"], tmp_path)
    assert lines[0].endswith(repr(frame["loss"]["train"]))
    if frame["loss"]["test"] is None:
        assert len(lines) == 1
    else:
        assert lines[1].endswith(repr(frame["loss"]["test"]))


def test_its_weights_are_those_of_the_playground(tmp_path: Path) -> None:
    session = Session(Setup.of({"data": "moons"}))
    session.set_weight("dense_1", "W", [0, 2], -0.125)  # before the first step, which a script can repeat
    session.go(5 * session.stepper.steps)
    script = session.export("python")["text"] + "\nprint(net.theta.tobytes().hex())\n"
    assert run(script, tmp_path)[-1] == session.stepper.net.theta.tobytes().hex()


def test_a_table_is_in_it(tmp_path: Path) -> None:
    table = {
        "a": [1.5, 2, 3, 4, 7, 9],
        "b": ["x", "y", "x", "z", "z", "y"],
        "c": [0, 1, 0, 1, 1, 0],
        "say": list("\"\\\n'ab"),
    }
    session = Session(Setup.of({"data": "table", "target": "c"}), Table.of(table))
    session.go(3 * session.stepper.steps)
    assert run(session.export("python")["text"], tmp_path)[0].endswith(repr(session.frame()["loss"]["train"]))


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "rmsprop", "sgd"])
def test_the_explanation_is_of_the_very_step(optimizer: str) -> None:
    """Its weights after the update are those of the playground after the step."""
    setup = {"optimizer": optimizer, "hidden": [3], "batch_size": 2, "rows": 20, "schedule": "linear", "dropout": 0.3}
    session = Session(Setup.of(setup))
    session.go(11)
    record = explanation_of(session.stepper, None).trace
    session.step("batch")
    W = session.frame()["layers"][0]["W"]
    assert record.values[record.name("dense_1.W_new")] == pytest.approx(W, rel=1e-12, abs=1e-15)


def test_within_an_epoch_it_says_what_is_missing() -> None:
    session = Session(Setup.of({}))
    session.go(30)
    text = session.export("python")["text"]
    assert "2 epochs, 28 steps" in text
    assert "has made 2 more of the 14 steps of the next epoch" in text


def test_weights_set_in_the_midst_are_refused() -> None:
    session = Session(Setup.of({}))
    session.go(30)
    session.set_weight("dense_1", "b", [0], 1.0)
    with pytest.raises(ConfigError, match="a weight was set by hand after step 30"):
        session.export("python")


def test_before_the_first_step_it_has_no_training(tmp_path: Path) -> None:
    session = Session(Setup.of({"data": "hills"}))
    assert run(session.export("python")["text"], tmp_path)[0].endswith(repr(session.frame()["loss"]["train"]))


def test_an_explanation_says_at_its_top_that_the_gradient_is_scaled_down() -> None:
    knobs = {"hidden": [2], "batch_size": 2}
    for longest, is_told in ((0.01, True), (100, False), (0, False)):
        session = Session(Setup.of({**knobs, "max_grad_norm": longest}))
        page = explanation_of(session.stepper, None).to_html()
        head = page[page.index("<header") : page.index("</header>")]
        assert ("is not the one that the playground makes" in head) == is_told
    assert f"{session.view.gradient():.4g}" in explanation_of(
        Session(Setup.of({**knobs, "max_grad_norm": 0.01})).stepper, None
    ).trace.settings["task"]  # fmt: skip
