"""A session: the numbers of fit, whatever the order of steps; the way back; and what is seen."""

import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import ConfigError, FullyConnectedError, InputTypeError
from fullyconnected.playing.building import loss_of, network_of, rule_of, schedule_of
from fullyconnected.playing.data import made
from fullyconnected.playing.knobs import KNOBS
from fullyconnected.playing.session import Frame, Session
from fullyconnected.playing.setup import Setup
from fullyconnected.playing.timeline import POINTS

VARIED: tuple[dict[str, Any], ...] = (
    {},
    {"data": "spirals", "hidden": [8, 8], "residual": True, "dropout": 0.2, "optimizer": "adam", "learning_rate": 0.01},
    {"data": "hills", "norm": "batch", "schedule": "cosine", "schedule_epochs": 4, "optimizer": "momentum", "rows": 50},
    {"data": "moons", "norm": "layer", "loss": "hinge", "schedule": "warmup", "schedule_epochs": 3, "l2": 0.01},
    {"data": "circles", "hidden": [], "features": ["x1^2", "x2^2"], "optimizer": "muon", "shuffle": False},
    {"data": "blobs", "norm": "rms", "batch_size": 1, "rows": 20, "max_grad_norm": 0.5, "optimizer": "nesterov"},
    {"data": "points", "optimizer": "rmsprop", "activation": "relu", "init": "he_uniform", "seed": 7},
    {"data": "formula", "task": "regression", "optimizer": "adamw", "weight_decay": 0.1, "schedule": "step"},
)


def of(**knobs: Any) -> Session:
    return Session(Setup.of(knobs))


def theta(session: Session) -> bytes:
    return session.stepper.net.theta.tobytes()


@pytest.mark.parametrize("knobs", VARIED, ids=lambda knobs: str(knobs.get("data", "xor")))
class TestTheSameNumbers:
    def test_as_fit(self, knobs: dict[str, Any]) -> None:
        """Bit for bit, though it was trained in other portions."""
        setup = Setup.of(knobs)
        session = Session(setup)
        for _ in range(5):
            session.step("sample")
        session.step("batch")
        session.step("backward")
        session.seek(0)
        while session.stepper.step < 5 * session.stepper.steps:
            session.step("epoch")
        data = made(setup)
        net = network_of(setup, data)
        x, t = data.training()
        with np.errstate(all="ignore"):
            fc.fit(
                net, x, t if t.dtype.kind == "i" else t[:, None], loss_of(setup, data), rule_of(setup), epochs=5,
                batch_size=session.stepper.batch_size, l2=setup.l2, shuffle=setup.shuffle, seed=setup.seed,
                schedule=schedule_of(setup), max_grad_norm=setup.max_grad_norm or None, warn=False,
                engine=session.stepper.engine.name, n_threads=session.stepper.n_threads,
            )  # fmt: skip
        assert theta(session) == net.theta.tobytes()
        assert session.stepper.net.state.tobytes() == net.state.tobytes()

    def test_after_any_way_back(self, knobs: dict[str, Any]) -> None:
        session, seen = of(**knobs), {}
        for _ in range(40):
            seen[session.stepper.step] = theta(session)
            session.step("batch")
        for step in (0, 39, 13, 14, 1, 38, 0):
            assert session.seek(step) == step
            assert theta(session) == seen[step]
            assert session.frame()["last"] == 40

    def test_looking_changes_nothing(self, knobs: dict[str, Any]) -> None:
        quiet, looked = of(**knobs), of(**knobs)
        for _ in range(6):
            quiet.step("batch")
            for what in ("forward", "sample", "backward"):
                looked.step(what)
                looked.frame()
            looked.look(row=0)
            looked.step("batch")
        assert theta(quiet) == theta(looked)
        assert quiet.stepper.net.state.tobytes() == looked.stepper.net.state.tobytes()


class TestSteps:
    def test_samples_add_up_to_the_gradient_of_the_batch(self) -> None:
        session = of(batch_size=6, l2=0.1)
        rows = len(session.stepper.next_rows())
        for sample in range(rows):
            assert session.step("sample") == 0
            assert session.now is not None
            assert session.now["sample"] == sample
        summed = [layer["dW"] for layer in session.frame()["layers"]]
        session.step("backward")
        whole = [layer["dW"] for layer in session.frame()["layers"]]
        for one, other in zip(summed, whole, strict=True):
            assert one == pytest.approx(other, rel=1e-12, abs=1e-15)
        session.now = None
        session.sample = rows - 1
        assert session.step("sample") == 1  # after the last, the step is made

    def test_a_step_is_what_the_gradients_said(self) -> None:
        session = of(learning_rate=0.5)
        session.step("backward")
        layer = session.frame()["layers"][0]
        before = layer["W"]
        session.step("batch")
        assert session.frame()["layers"][0]["W"] == pytest.approx(before - 0.5 * layer["dW"], rel=1e-12)

    def test_slopes_are_those_of_the_units(self) -> None:
        """By central differences: how the loss of a sample changes with the output of a unit, through its biases."""
        session = of(batch_size=1, activation="identity", hidden=[3])
        session.step("backward")
        frame = session.frame()
        # with the identity, the slope of a unit's output is that of its bias
        assert frame["now"]["slopes"][0] == pytest.approx(frame["layers"][0]["db"], rel=1e-12)
        assert frame["now"]["slopes"][1] == pytest.approx(frame["layers"][1]["db"], rel=1e-12)

    def test_epochs_end_where_they_do(self) -> None:
        session = of(rows=50, test_share=0, batch_size=8)
        session.step("batch")
        assert session.step("epoch") == 7
        assert session.step("epoch") == 14

    @pytest.mark.parametrize("what", ["", "bach", "samples"])
    def test_unknown_steps_are_refused(self, what: str) -> None:
        with pytest.raises(ConfigError, match="a step is one of sample, forward"):
            of().step(what)


class TestRunning:
    def test_it_runs_until_a_step_and_tells_frames(self) -> None:
        session, frames = of(), []
        done = threading.Event()

        def listen(frame: Frame) -> None:
            frames.append((time.monotonic(), frame))
            if not frame["running"] and frame["step"]:
                done.set()

        session.listeners.append(listen)
        session.run(until=3000)
        assert done.wait(60)
        assert session.stepper.step == 3000
        assert theta(session) == self.alone(3000)
        gaps = np.diff([at for at, frame in frames if frame["running"]])
        assert (gaps > 0.045).all()  # at most twenty a second
        session.close()

    @staticmethod
    def alone(step: int) -> bytes:
        session = of()
        session.go(step)
        return theta(session)

    def test_commands_come_between(self) -> None:
        session = of(hidden=[32, 32], rows=400)
        session.run()
        for _ in range(5):
            time.sleep(0.02)
            step = session.pause()
            assert session.stepper.step == step
            session.run()
        session.seek(3)
        assert session.stepper.step == 3
        session.close()
        assert session.thread is not None
        assert not session.thread.is_alive()

    @pytest.mark.parametrize("back", [False, True])
    def test_a_long_epoch_and_a_long_replay_let_others_be_heard(self, back: bool) -> None:
        session = of(hidden=[8, 8], rows=400, batch_size=1)
        if back:
            session.timeline.states_stride = 1 << 20  # so that all is replayed
            session.go(session.stepper.steps)
            session.seek(0)
            began = session.seek(session.stepper.steps, patience=0.0)
        else:
            began = session.step("epoch", patience=0.0)
        assert began < session.stepper.steps
        assert session.running
        end = time.monotonic() + 60
        while session.running:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert session.stepper.step == session.stepper.steps
        reached, other = theta(session), of(hidden=[8, 8], rows=400, batch_size=1)
        other.step("epoch")
        assert reached == theta(other)
        session.close()

    def test_a_large_run_that_is_replaced_leaves_nothing_in_memory(self) -> None:
        session = of(data="spirals", rows=2000, hidden=[64] * 4, batch_size=500)
        session.step()
        session.frame()
        gone = [weakref.ref(each) for each in (session.stepper, session.view.rows.x, session.view.step.gradient)]
        gc.disable()
        try:
            session.begin(Setup.of({}))
            assert [each() for each in gone] == [None] * 3
        finally:
            gc.enable()

    def test_two_hundred_thousand_steps_take_no_more_memory_than_a_few(self) -> None:
        session = of(rows=10, batch_size=2)
        session.go(1000)
        session.go(200_000)
        assert len(session.timeline.points) <= POINTS
        assert len(session.timeline.states) <= POINTS
        steps = session.timeline.curves()["step"]
        assert (np.diff(steps) == session.timeline.stride).all()
        assert steps[-1] > 198_000
        before = theta(session)
        session.seek(123_456)
        session.seek(200_000)
        assert theta(session) == before


class TestNaN:
    def test_it_stops_before_it_and_says_why(self) -> None:
        session = of(data="plane", learning_rate=50)
        session.run()
        end = time.monotonic() + 60
        while session.running and time.monotonic() < end:
            time.sleep(0.01)
        assert session.stopped is not None
        assert session.stopped["text"].startswith(f"Step {session.stepper.step + 1} gives numbers that are not finite")
        assert "a learning rate ten times smaller" in session.stopped["text"]
        assert np.isfinite(session.stepper.net.theta).all()
        assert session.frame()["stopped"] == session.stopped
        step = session.stepper.step
        assert session.step("batch") == step  # it stays
        assert session.stopped is not None
        assert session.seek(step - 3) == step - 3
        assert session.stopped is None

    def test_a_wrong_setup_leaves_all_as_it_was(self) -> None:
        session = of()
        session.step("epoch")
        before, number = theta(session), session.run_number
        for knobs in ({"data": "table"}, {"norm": "batch", "batch_size": 1}, {"init": "file"}):
            with pytest.raises(FullyConnectedError):
                session.begin(Setup.of(knobs))
        assert (theta(session), session.run_number) == (before, number)
        assert session.step("epoch") == 28


class TestEdits:
    def test_a_weight_is_set_and_what_follows_is_replayed(self) -> None:
        session = of()
        session.step("epoch")
        plain = theta(session)
        session.set_weight("dense_2", "W", [1, 0], 0.75)
        assert session.frame()["layers"][1]["W"][1, 0] == 0.75
        assert session.frame()["edited"]
        edited = theta(session)
        session.step("epoch")
        after = theta(session)
        session.seek(13)
        session.seek(14)
        assert theta(session) == edited
        session.seek(28)
        assert theta(session) == after
        assert plain != edited

    def test_what_came_after_is_forgotten(self) -> None:
        session = of()
        session.go(50)
        session.seek(20)
        session.set_weight("dense_1", "b", [0], 1.5)
        assert session.timeline.last == 20

    @pytest.mark.parametrize(
        ("given", "kind"),
        [
            (("dense_9", "W", [0, 0], 1.0), ConfigError),
            (("dense_1", "W", [0], 1.0), ConfigError),
            (("dense_1", "W", [0, 9], 1.0), ConfigError),
            (("dense_1", "W", [-1, 0], 1.0), ConfigError),
            (("dense_1", "W", "00", 1.0), InputTypeError),
            (("dense_1", "W", [0, 0], float("nan")), ConfigError),
            (("dense_1", "W", [0, 0], "1"), InputTypeError),
            (("dense_1", "W", [0, True], 1.0), InputTypeError),
        ],
    )
    def test_what_is_no_weight_is_refused(self, given: Any, kind: type[Exception]) -> None:
        session = of()
        with pytest.raises(kind):
            session.set_weight(*given)
        assert not session.frame()["edited"]


class TestFrames:
    @pytest.mark.parametrize("knobs", VARIED, ids=lambda knobs: str(knobs.get("data", "xor")))
    def test_have_what_the_page_draws(self, knobs: dict[str, Any]) -> None:
        session = of(**knobs)
        session.step("epoch")
        frame, told = session.frame(), session.described()
        hidden = told["setup"]["hidden"]
        assert frame["grid"]["data"].shape == (6400,)
        assert [len(each["data"]) for each in frame["units"]] == [400 * units for units in hidden]
        assert [layer["W"].shape for layer in frame["layers"]] == [
            (layer["n_in"], layer["n_out"]) for layer in frame["layers"]
        ]
        assert len(told["network"]["layers"]) == len(hidden) + 1
        assert len(frame["curves"]["train"]) == len(frame["curves"]["step"]) == session.stepper.step + 1
        assert (
            sum(frame["histograms"][0]["weights"]["counts"]) == frame["layers"][0]["W"].size + hidden[0]
            if hidden
            else 1
        )

    def test_the_ground_is_what_the_network_says(self) -> None:
        session = of(data="moons")
        session.go(300)
        left, right, low, high = session.data.domain
        i, j = 20, 60
        x = [left + (j + 0.5) / 80 * (right - left), high - (i + 0.5) / 80 * (high - low)]
        p = 1 / (1 + np.exp(-session.look(x=x)["output"][0]))
        assert session.frame()["grid"]["data"][80 * i + j] == pytest.approx(255 * p, abs=0.51)

    def test_a_unit_that_gives_the_same_for_all_rows_is_dead(self) -> None:
        session = of(activation="relu", hidden=[4])
        for i in range(2):
            session.set_weight("dense_1", "W", [i, 2], 0.0)
        session.set_weight("dense_1", "b", [2], -1.0)
        assert session.frame()["dead"] == [[2]]

    def test_without_test_points_there_is_no_test_loss(self) -> None:
        frame = of(test_share=0).frame()
        assert frame["loss"]["test"] is None
        assert frame["metric"]["test"] is None


OTHER: dict[str, Any] = {
    "rows": 150, "noise": 0.3, "classes": 4, "task": "regression", "formula": "x1 - x2", "test_share": 0.5,
    "data_seed": 3, "features": ["x1", "x1*x2"], "hidden": [5], "activation": "relu", "norm": "layer", "dropout": 0.3,
    "residual": True, "init": "lecun_normal", "seed": 5, "loss": "hinge", "optimizer": "adam", "learning_rate": 0.1,
    "momentum": 0.5, "weight_decay": 0.5, "schedule": "linear", "schedule_epochs": 3, "batch_size": 4, "shuffle": False,
    "l2": 0.05, "max_grad_norm": 0.01, "points": [[0, 0, 0], [1, 1, 1], [0, 1, 1]], "data": "circles",
}  # fmt: skip
WITH: dict[str, dict[str, Any]] = {
    "classes": {"data": "spirals"}, "task": {"data": "formula"}, "formula": {"data": "formula"},
    "points": {"data": "points"}, "residual": {"hidden": [4, 4]}, "momentum": {"optimizer": "momentum"},
    "weight_decay": {"optimizer": "adamw"}, "schedule_epochs": {"schedule": "cosine"},
}  # fmt: skip


@pytest.mark.parametrize("name", [knob.name for knob in KNOBS if knob.needs is None])
def test_every_knob_changes_something(name: str) -> None:
    found = []
    for knobs in (WITH.get(name, {}), {**WITH.get(name, {}), name: OTHER[name]}):
        session = of(**knobs)
        session.go(40)
        found.append((theta(session), session.frame()["loss"]))
    assert found[0] != found[1]


class TestAdvice:
    def test_dead_units_are_told(self) -> None:
        session = of(activation="relu", hidden=[4, 4])
        for j in range(4):
            session.set_weight("dense_2", "b", [j], -50.0)
        session.step("batch")
        assert "dead" in str(session.advice)

    def test_overfitting_is_told(self) -> None:
        session = of(
            data="moons", rows=40, noise=0.5, test_share=0.5, hidden=[32, 32], optimizer="adam", learning_rate=0.02
        )
        session.go(1500)
        session.look_for_advice()
        assert session.advice[0]["title"] == "overfitting"
        session.seek(5)  # what came after it is still known
        assert advised(session) == []

    @pytest.mark.parametrize(
        "data", ["xor", "circles", "spirals", "moons", "blobs", "plane", "hills", "formula", "points"]
    )
    def test_a_run_that_goes_well_is_left_in_peace(self, data: str, examples: Callable[[int], int]) -> None:
        for seed in range(examples(3)):
            session = of(data=data, seed=seed)
            for step in (1, 10, 60, *range(100, 2001, 100)):
                session.go(step)
                assert advised(session) == [], (seed, step)

    @pytest.mark.parametrize("data", ["xor", "spirals", "hills"])
    def test_a_rate_that_moves_nothing_is_told_in_time(self, data: str) -> None:
        session = of(data=data, learning_rate=1e-5)
        session.go(400)
        assert "loss above chance" not in advised(session)
        session.go(1000)
        assert "loss above chance" in advised(session)

    def test_a_rate_of_0_is_told(self) -> None:
        session = of(data="circles", schedule="linear", schedule_epochs=1, learning_rate=0.001)
        session.go(1000)
        assert "loss above chance" in advised(session)

    def test_a_rate_that_leads_nowhere_is_told(self) -> None:
        session = of(learning_rate=100.0)
        session.go(1000)
        assert "loss above chance" in advised(session)

    def test_a_run_that_diverges_is_told_why(self) -> None:
        session = of(data="plane", learning_rate=50.0)
        session.go(1000)
        assert session.stopped is not None
        assert "learning rate ten times smaller" in session.stopped["text"]


def advised(session: Session) -> list[str]:
    """Return the titles of what is said beside the curves now."""
    session.look_for_advice()
    return [each["title"] for each in session.advice]


def test_a_pace_is_kept() -> None:
    session = of()
    session.run(pace=100)
    time.sleep(1.0)
    step = session.pause()
    assert 20 <= step <= 160  # fewer on a machine that has much else to do, and never more
    session.run()  # and a pace that is given up leaves no debt, for which a command would have to wait
    time.sleep(0.3)
    began = time.monotonic()
    session.pause()
    assert time.monotonic() - began < 5
    session.close()
