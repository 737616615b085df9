"""A run goes on from its checkpoint in another process, and only with what it was begun with."""

import json
import os
import runpy
import subprocess
import sys

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fullyconnected as fc

PROGRAM = '''
import functools
import os
import sys
import threading

import numpy as np

import fullyconnected as fc

FACTOR, SLOPE, SCALE, RATE = 0.9, 0.1, 2.0, 1.0


@fc.register
class Bent(fc.ActivationFunction):
    name = "bent"
    needs_input = True

    def forward(self, z, c, y):
        c.xp.multiply(z, SLOPE, out=y)
        c.xp.maximum(z, y, out=y)

    def backward(self, z, c, y, dy):
        dy *= np.where(z > 0, 1.0, SLOPE)


@fc.register
class Scaled(fc.HalfSquaredError):
    name = "scaled"

    def terms(self, z, t, c, dz):
        super().terms(z, t, c, dz)
        dz *= SCALE


@fc.register
class Slow(fc.SGD):
    name = "slow"

    def update(self, theta, g, s, c, **settings):
        settings["lr"] *= RATE
        super().update(theta, g, s, c, **settings)


class Schedule:
    """It holds a lock, refers to itself, and remembers."""

    def __init__(self, rate):
        self.lock, self.me, self.rate, self.asked = threading.Lock(), self, rate, []

    def __call__(self, epoch):
        with self.lock:
            self.asked.append(epoch)
        return self.rate**epoch * float(os.environ.get("FACTOR", 1))


class Error:
    def __init__(self, power):
        self.power = power

    def __call__(self, z, t):
        return (np.abs(z - t) ** self.power).mean()


def error(z, t, power):
    return (np.abs(z - t) ** power).mean()


if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=(20, 3))
    net = fc.Network([fc.Dense(3, 4, "bent"), fc.Dense(4, 1)], seed=0)
    metrics = [functools.partial(error, power=2), functools.partial(error, power=3), Error(2)]
    settings = {"metrics": metrics, "schedule": Schedule(FACTOR), "batch_size": 8, "progress": False}
    try:
        history = fc.fit(
            net, x, x.sum(axis=1), Scaled(), Slow(0.01), int(sys.argv[1]), checkpoint=sys.argv[2], **settings
        )
    except fc.errors.CheckpointError as error:
        print(error)
    else:
        print(len(history.loss), *history.metrics, net.theta.tobytes().hex())
'''


@pytest.fixture
def program(tmp_path):
    """Run the program in a process of its own, and return what it prints."""

    def run(epochs, path="run", **environment):
        (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "program.py", str(epochs), path],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        return done.stdout.strip()

    return run


def test_the_same_command_goes_on_in_another_process(program):
    for epochs in (2, 3, 5):
        out = program(epochs)
    assert out == program(5, "straight")
    assert out.startswith("5 error(power=2) error(power=3) Error ")


CHANGES = {
    ("RATE = 0.9", "RATE = 0.8"): ("schedule='Schedule of code", "rate=0.9", "rate=0.8"),
    ("SCALE, RATE = 0.9, 0.1", "SCALE, RATE = 0.9, 0.2"): ("Bent='Bent of code", "SLOPE=0.1", "SLOPE=0.2"),
    ("c.xp.maximum(z, y", "c.xp.minimum(z, y"): ("Bent='Bent of code", "SLOPE=0.1", "SLOPE=0.1"),
    ("RATE = 0.9, 0.1, 2.0", "RATE = 0.9, 0.1, 3.0"): ("loss='Scaled() of code", "SCALE=2.0", "SCALE=3.0"),
    ("dz *= SCALE", "dz *= -SCALE"): ("loss='Scaled() of code", "SCALE=2.0", "SCALE=2.0"),
    ("0.1, 2.0, 1.0", "0.1, 2.0, 0.5"): ("optimizer='Slow(lr=0.01) of code", "RATE=1.0", "RATE=0.5"),
    ("*= RATE", "+= RATE"): ("optimizer='Slow(lr=0.01) of code", "RATE=1.0", "RATE=1.0"),
    ("self.rate**epoch", "self.rate*epoch"): ("schedule='Schedule of code", "rate=0.9", "rate=0.9"),
}


def test_what_has_changed_behind_its_name_is_refused_and_named(program, tmp_path, monkeypatch, capsys):
    def rerun(epochs, old, new):
        assert old in PROGRAM
        (tmp_path / "program.py").write_text(PROGRAM.replace(old, new), encoding="utf-8")
        for registry in fc.registries.REGISTRIES:
            for name in ("bent", "scaled", "slow"):
                registry.classes.pop(name, None)
        monkeypatch.setattr("sys.argv", ["program.py", str(epochs), "run"])
        runpy.run_path("program.py", run_name="__main__")
        return capsys.readouterr().out.replace('"', "'")

    monkeypatch.chdir(tmp_path)
    program(2)
    before = (tmp_path / "run").read_bytes()
    for change, (key, then, now) in CHANGES.items():
        begun, _, goes_on = rerun(3, *change).partition(" and would go on with ")
        assert begun.startswith(f"run was begun with {key} ")
        assert then in begun
        assert now in goes_on
        assert ": the result would be neither run's. Set it back, choose another path" in goes_on
        assert (tmp_path / "run").read_bytes() == before
    assert rerun(3, "", "").startswith("3 ")


def test_a_schedule_that_answers_otherwise_is_refused_for_whatever_reason(program):
    """As where it looks at the environment, which nothing that tells code can see."""
    begun = program(2, FACTOR="0.5")
    assert begun.startswith("2 ")
    out = program(3, FACTOR="0.25")
    assert out.startswith("run was begun with a schedule that gave 0.46")
    assert ", and gives 0.23" in out
    assert program(2, FACTOR="0.5") == begun
    assert program(3, FACTOR="0.5").startswith("3 ")


def slower(epoch):
    return 0.5**epoch


def fit(path, epochs=2, schedule=slower, **settings):
    net = fc.mlp([1, 1], seed=0)
    x, t = [[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0]
    fc.fit(
        net,
        x,
        t,
        "half_squared_error",
        epochs=epochs,
        batch_size=1,
        schedule=schedule,
        checkpoint=path,
        progress=False,
        **settings,
    )
    return net


def make(factor):
    return lambda epoch: factor**epoch


def test_a_checkpoint_refuses_another_function_as_its_schedule(tmp_path) -> None:
    path = tmp_path / "run"
    fit(path, 2, make(0.5))
    fit(path, 2, make(0.5))
    with pytest.raises(fc.errors.CheckpointError, match="schedule"):
        fit(path, 2, make(0.9))


@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_a_schedule_is_not_asked_more_often_while_a_run_is_on_its_way(tmp_path, engine):
    def counted(epoch):
        asked.append(epoch)
        return 1.0

    asked = []
    fit(None, 4, counted, engine=engine)
    alone, asked = asked, []
    fit(tmp_path / "run", 4, counted, engine=engine, checkpoint_every=1)
    assert asked == alone


def rewritten(path, change):
    """Change what a checkpoint says of its run."""
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        content = json.loads(file.metadata()["fullyconnected"])
    change(content["extras"]["run"])
    save_file(tensors, path, {"fullyconnected": json.dumps(content)})


def test_a_checkpoint_of_0_1_0_is_gone_on_with(tmp_path):
    """It told functions by the code of one Python, and did not note what a schedule answered."""

    def as_then(schedule):
        def change(run):
            del run["answers"]
            run["settings"]["schedule"] = schedule

        return change

    net = fit(tmp_path / "straight", 4)
    path = tmp_path / "run"
    for then in ("slower f25a7e0b None []", "slower 00000000 [1.0] [[2.0]]"):
        path.unlink(missing_ok=True)
        fit(path)
        rewritten(path, as_then(then))
        assert (fit(path, 4).theta == net.theta).all()
        assert (fit(path, 4).theta == net.theta).all()
    fit(path, 5)
    rewritten(path, as_then("StepDecay(factor=0.5, every=1.0)"))
    with pytest.raises(fc.errors.CheckpointError, match="schedule"):
        fit(path, 6)
    assert fit(path, 6, fc.StepDecay(0.5)).n_in == 1


@pytest.mark.parametrize(
    "answers",
    [None, 5, "text", [1], [[1]], [["a", 1.0]], [[5.0, 1.0]], [[-1.0, 1.0]], [[0.0, "nan"]], [[0.0, 1.0, 2.0]]],
)
def test_answers_that_make_no_sense_are_refused(tmp_path, answers):
    path = tmp_path / "run"
    fit(path)
    rewritten(path, lambda run: run.update(answers=answers))
    with pytest.raises(fc.errors.FileFormatError, match="run"):
        fit(path, 3)


def test_a_long_setting_is_shown_where_it_differs(tmp_path):
    path = tmp_path / "run"

    def scheduled(rates):
        return lambda epoch: rates[int(epoch) % 2]

    fit(path, schedule=scheduled([*([1.0] * 54), 0.25, 1.0]))
    with pytest.raises(
        fc.errors.CheckpointError, match=r"begun with schedule=\.\.\..*0\.25.*go on with \.\.\..*0\.125"
    ):
        fit(path, schedule=scheduled([*([1.0] * 54), 0.125, 1.0]))
