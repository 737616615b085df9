"""A playground without a server: a setup that is trained, taken step by step, rewound, and looked at.

Commands come from any thread, and one thread trains while it runs. What is seen goes to listeners as frames of plain
data and arrays, at most twenty a second.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from math import inf, isfinite
from typing import Any

import numpy as np

from fullyconnected.errors import ConfigError, DivergenceError, InputTypeError
from fullyconnected.playing import exports
from fullyconnected.playing.advice import advice_of, explained_stop
from fullyconnected.playing.data import Dataset, made
from fullyconnected.playing.model import Model
from fullyconnected.playing.setup import LARGEST_STEP, Setup
from fullyconnected.playing.stepping import Stepper
from fullyconnected.playing.table import Table
from fullyconnected.playing.timeline import Timeline
from fullyconnected.playing.view import View, histogram

__all__ = ["Frame", "Session"]

log = logging.getLogger("fullyconnected.playground")
Frame = dict[str, Any]
EVERY = 0.05  # seconds between frames
SHARE = 4  # how many times as long as a frame takes it trains until the next one
SLICE = 0.01  # seconds that training goes on before it looks whether a command waits
LARGE = 1 << 20  # bytes of a view that are given back at once when a run is replaced
ADVICE_EVERY = 2.0  # seconds between two looks for advice
WHATS = ("sample", "forward", "backward", "batch", "epoch")


class Session:
    """A playground: its setup, its run, and who listens.

    Parameters
    ----------
    setup : Setup
        The setup to begin with.
    table : Table, optional
        The user's own table.
    model : Model, optional
        The network whose weights ``init="file"`` begins with.

    Examples
    --------
    >>> session = Session(Setup.of({"data": "xor"}))
    >>> session.step("epoch")
    14
    >>> before = session.stepper.net.theta.copy()
    >>> session.step("batch"), session.seek(14)
    (15, 14)
    >>> bool((session.stepper.net.theta == before).all())
    True
    """

    data: Dataset
    view: View

    def __init__(self, setup: Setup, table: Table | None = None, model: Model | None = None) -> None:
        self.table, self.model = table, model
        self.lock = threading.RLock()
        self.counting = threading.Lock()
        self.waiting = 0  # how many commands wait for the lock, which the training thread then leaves to them
        self.listeners: list[Callable[[Frame], None]] = []
        self.thread: threading.Thread | None = None
        self.running = False
        self.until: int | None = None
        self.pace: float | None = None
        self.began = (0.0, 0)  # when it began to run, and at which step
        self.closed = False
        self.seen: tuple[object, Frame] = (None, {})
        self.run_number = time.time_ns() // 1_000_000  # so that those of a later server are larger
        self.begin(setup)

    def begin(self, setup: Setup) -> None:
        """Begin anew with a setup, at step 0; if it is refused, all stays as it was."""
        with self.locked():
            data = made(setup, self.table)
            stepper = Stepper(setup, data, self.model)
            view = View(stepper)
            self.running = False
            large = "view" in vars(self) and self.view.size > LARGE
            self.setup, self.data, self.stepper, self.view = setup, data, stepper, view
            self.timeline = Timeline(stepper.kept())
            self.run_number += 1
            self.stopped: dict[str, str] | None = None
            self.now: dict[str, Any] | None = None
            self.sample: int | None = None
            self.advice: list[dict[str, str]] = []
            self.speed, self.counted = 0.0, (time.monotonic(), 0)
            self.advised = -ADVICE_EVERY
            if large:  # what was there refers to itself, and would stay until Python happens to look
                self.seen = (None, {})
                gc.collect()
            self.note()
            self.publish()

    def locked(self) -> _Turn:
        """Return a context in which nothing else changes the session."""
        return _Turn(self)

    # commands

    def run(self, until: int | None = None, pace: float | None = None) -> None:
        """Train until :meth:`pause` or a step, at full speed, or with at most ``pace`` steps a second."""
        with self.locked():
            if until is not None:
                until = _step("until", until)
            if pace is not None:
                pace = _pace(pace)
            if self.closed or (until is not None and until <= self.stepper.step):
                return
            self.until, self.stopped, self.now, self.sample = until, None, None, None
            self.counted = self.began = (time.monotonic(), self.stepper.step)
            self.pace = pace
            if not self.running:
                self.running = True
                self.thread = threading.Thread(target=self._train, name="playground", daemon=True)
                self.thread.start()

    def pause(self) -> int:
        """Stop training, and return the step."""
        with self.locked():
            if self.running:
                self.running, self.speed = False, 0.0
                self.publish()
            return self.stepper.step

    def step(self, what: str = "batch", patience: float | None = None) -> int:
        """Go one step: ``"sample"``, ``"forward"``, ``"backward"``, ``"batch"`` or ``"epoch"``; return the step.

        What takes longer than ``patience`` seconds goes on as :meth:`run` does, so that other commands are answered.
        """
        if what not in WHATS:
            raise ConfigError(f"a step is one of {', '.join(WHATS)}; got {what!r:.80}")
        with self.locked():
            self.pause()
            self.stopped = None
            if what == "forward":
                self.sample, self.now = None, self.view.forward()
            elif what == "backward":
                self.sample, self.now = None, self.view.backward()
            elif what == "sample":
                self.next_sample()
            else:
                steps, step = self.stepper.steps, self.stepper.step
                self.reach(step + 1 if what == "batch" else (step // steps + 1) * steps, patience)
            self.look_for_advice()
            self.publish()
            return self.stepper.step

    def next_sample(self) -> None:
        """Look at the next sample of the batch; after the last, make the step."""
        rows = len(self.stepper.next_rows())
        sample = 0 if self.sample is None else self.sample + 1
        if sample < rows:
            self.sample, self.now = sample, self.view.backward(sample)
        else:
            self.go(self.stepper.step + 1)

    def seek(self, to: int, patience: float | None = None) -> int:
        """Go to a step, back or on: what was trained is replayed bit for bit. Return the step.

        A replay that takes longer than ``patience`` seconds goes on as :meth:`run` does.
        """
        to = _step("to", to)
        with self.locked():
            self.pause()
            self.stopped, self.now, self.sample = None, None, None
            if to > self.timeline.last:
                self.run(to)
                return self.stepper.step
            if to < self.stepper.step or self.timeline.before(to).step > self.stepper.step:
                self.stepper.restore(self.timeline.before(to))
            self.reach(to, patience)
            self.publish()
            return self.stepper.step

    def look(self, row: int | None = None, x: list[float] | None = None) -> dict[str, Any]:
        """Return the values of all units for a row of the data, or for a place in the picture."""
        with self.locked():
            if row is not None:
                if not _is_whole(row) or not 0 <= row < len(self.data.t):
                    raise ConfigError(
                        f"row is the number of a point, a whole number from 0 to {len(self.data.t) - 1}; "
                        f"got {row!r:.80}"
                    )
                given = self.data.rows[row]
            else:
                place = np.array([_numbers("x is a place in the picture, two numbers", x, 2)])
                given = self.data.inputs(place)[0]
            layers = self.view.look(given)
            loss = None
            if row is not None:
                t = self.data.t[row : row + 1]
                found = self.stepper.loss(np.array([layers[-1]]), t if t.dtype.kind == "i" else t[:, None])
                loss = float(found[0])
            return {"layers": layers, "inputs": given.tolist(), "output": layers[-1], "loss": loss}

    def set_weight(self, layer: str, part: str, at: list[int], value: float) -> None:
        """Set a weight; what came after this step is forgotten, and what is trained from here on starts from it."""
        (number,) = _numbers("value is a weight, a number", [value], 1)
        if not isinstance(at, list) or not all(map(_is_whole, at)):
            raise InputTypeError(f"at is the place of a weight, such as [0, 1]; got {at!r:.80}")
        with self.locked():
            self.pause()
            self.stepper.set_weight(f"{layer}.{part}", at, number)
            self.timeline.forget_after(self.stepper.step)
            self.timeline.keep(self.stepper.kept())
            self.now, self.sample, self.stopped = None, None, None
            self.note()
            self.publish()

    def export(self, what: str) -> dict[str, Any]:
        """Return something to take away: ``"python"``, ``"model"``, ``"explanation"`` or ``"svg"``."""
        with self.locked():
            return exports.export(what, self.stepper, self.sample)

    def close(self) -> None:
        """Stop, for good."""
        with self.locked():
            self.closed = True
            self.pause()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join()

    # training

    def go(self, step: int) -> None:
        """Train to a step, keeping what is to be kept on the way, and note it if the run diverges."""
        self.now, self.sample = None, None
        try:
            while self.stepper.step < step:
                self.stepper.to(min(step, self.timeline.next_stop(self.stepper.step)))
                self.note()
        except DivergenceError as error:
            self.note()
            self.running = False
            self.stopped, self.advice = explained_stop(error, self.stepper), []

    def reach(self, step: int, patience: float | None) -> None:
        """Train to a step, for at most so many seconds, and then leave the rest to the thread."""
        if patience is None:
            return self.go(step)
        began, portion = time.monotonic(), 1
        while self.stepper.step < step and self.stopped is None:
            now = time.monotonic()
            if now - began > patience:
                return self.run(step)
            self.go(min(step, self.stepper.step + portion))
            portion = self._portion(portion, time.monotonic() - now)
        return None

    def note(self) -> None:
        """Keep what the timeline wants of this step."""
        step, timeline = self.stepper.step, self.timeline
        if timeline.wants_point(step):
            timeline.add(step, self.view.point())
        if timeline.wants_state(step):
            timeline.keep(self.stepper.kept())
        timeline.reached(step)

    def _train(self) -> None:
        """Train until somebody says stop: the work of the thread."""
        try:
            self._train_on()
        except Exception as error:  # which nobody else would hear of
            with self.lock:
                self.running = False
                text = f"The training has failed, which is a mistake in the playground: {type(error).__name__}: {error}"
                self.stopped = {"why": "failed", "text": text}
                log.exception("the training has failed")
                self.publish()

    def _train_on(self) -> None:
        published, portion, every = 0.0, 1, EVERY
        while True:
            while self.waiting:  # a command comes first
                time.sleep(0.0005)
            with self.lock:
                if not self.running:
                    return
                began, before = time.monotonic(), self.stepper.step
                target = before + portion
                if self.pace is not None:
                    since, step = self.began
                    target = min(target, step + int((began - since) * self.pace))
                self.go(target if self.until is None else min(target, self.until))
                now = time.monotonic()
                if self.until is not None and self.stepper.step >= self.until:
                    self.running = False
                if self.stepper.step - before == portion:  # else a pace has held it up, which says nothing of its time
                    portion = self._portion(portion, now - began)
                if now - published >= every or not self.running:
                    self.count_speed(now)
                    self.look_for_advice(now)
                    self.publish()
                    published = time.monotonic()
                    every = max(EVERY, SHARE * (published - now))  # so that training has most of the time
                if not self.running:
                    return
            if self.stepper.step <= before:  # the next step is not yet due
                time.sleep(0.002)

    @staticmethod
    def _portion(portion: int, seconds: float) -> int:
        """Return how many steps to take at a time, such that a command never waits for long."""
        if seconds < SLICE / 2:
            return portion * 2
        return max(1, portion // 2) if seconds > SLICE else portion

    def count_speed(self, now: float) -> None:
        """Measure the steps a second, over half a second or more."""
        since, step = self.counted
        if now - since > 0.5 or not self.speed:
            self.speed = (self.stepper.step - step) / max(now - since, 1e-9)
        if now - since > 0.5:
            self.counted = (now, self.stepper.step)

    def look_for_advice(self, now: float | None = None) -> None:
        """Look whether there is something to say beside the curves, now and then."""
        now = time.monotonic() if now is None else now
        if self.stopped is not None:  # which says what matters
            return
        if now - self.advised >= ADVICE_EVERY or not self.running:
            self.advised = now
            self.advice = advice_of(self.stepper, self.timeline)

    # what is seen

    def publish(self) -> None:
        """Give a frame to all who listen."""
        if self.listeners:
            frame = self.frame()
            for listener in list(self.listeners):
                listener(frame)

    def frame(self) -> Frame:
        """Return all that is to be seen at this step."""
        with self.lock:
            stepper = self.stepper
            epoch, first = divmod(stepper.step, stepper.steps)
            return {
                **self.looked(),
                "run": self.run_number,
                "step": stepper.step,
                "epoch": epoch,
                "in_epoch": first,
                "steps_a_epoch": stepper.steps,
                "last": self.timeline.last,
                "running": self.running,
                "speed": self.speed,
                "curves": self.timeline.curves(),
                "now": self.now,
                "stopped": self.stopped,
                "advice": self.advice,
                "edited": bool(stepper.edits),
            }

    def looked(self) -> Frame:
        """Return what takes time to look at, which is the same as long as nothing is trained or set."""
        now = None if self.now is None else (self.now["phase"], self.now["sample"])
        key = self.run_number, self.stepper.step, tuple(self.stepper.edits), now
        if self.seen[0] != key:
            self.seen = key, self.look_anew()
        return self.seen[1]

    def look_anew(self) -> Frame:
        """Look at the network as it is now."""
        view = self.view
        train, test, metric_train, metric_test, rate, norm = view.point()
        if self.now is not None and self.now["phase"] == "sample":
            view.backward(self.sample)  # the workspace holds the gradients up to the sample
        layers = view.layers()
        return {
            "loss": {"train": _plain(train), "test": _plain(test)},
            "metric": {"name": view.metric, "train": _plain(metric_train), "test": _plain(metric_test)},
            "learning_rate": rate,
            "gradient_norm": _plain(norm),
            "grid": view.ground(),
            "units": view.units(),
            "layers": layers,
            "histograms": [
                {
                    "weights": histogram(np.concatenate([each["W"].ravel(), each["b"]])),
                    "gradients": histogram(np.concatenate([each["dW"].ravel(), each["db"]])),
                }
                for each in layers
            ],
            "dead": view.dead(),
        }

    def described(self) -> dict[str, Any]:
        """Return what is said of a setup once: its data and its network."""
        with self.lock:
            stepper, data = self.stepper, self.data
            dense = [op.name for op in stepper.net.program.operations if op.is_dense]
            hidden = [
                {"name": name, "units": each.units, "says": each.says}
                for name, each in zip(dense, self.view.hidden, strict=False)
            ]
            last = {"name": dense[-1], "units": stepper.net.n_out, "says": "no activation"}
            return {
                "run": self.run_number,
                "setup": self.setup.plain(),
                "data": of_data(data),
                "network": {
                    "inputs": list(data.input_names),
                    "layers": [*hidden, last],
                    "outputs": stepper.net.n_out,
                    "params": stepper.net.n_params,
                },
                "text": str(stepper.net.summary(72)),
                "engine": stepper.engine.name,
            }


class _Turn:
    """Takes the lock of a session, and lets the training thread know that somebody waits for it."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def __enter__(self) -> None:
        with self.session.counting:
            self.session.waiting += 1
        self.session.lock.acquire()
        with self.session.counting:
            self.session.waiting -= 1

    def __exit__(self, *error: object) -> None:
        self.session.lock.release()


def of_data(data: Dataset) -> dict[str, Any]:
    """Return the points as the page wants them."""
    return {
        "x1": np.ascontiguousarray(data.x[:, 0]),
        "x2": np.ascontiguousarray(data.x[:, 1]),
        "t": data.t.astype(np.float64),
        "test": data.test.astype(np.uint8),
        "names": list(data.names),
        "target": data.target,
        "task": data.task,
        "classes": None if data.classes is None else list(data.classes),
        "domain": list(data.domain),
        "range": None if data.classes is not None else list(data.range()),
        "says": data.says,
    }


def _plain(value: float) -> float | None:
    return value if isfinite(value) else None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _step(name: str, value: Any) -> int:
    if not _is_whole(value) or not 0 <= value <= LARGEST_STEP:
        raise ConfigError(f"{name} is the step to go to, a whole number from 0 to {LARGEST_STEP}; got {value!r:.80}")
    return int(value)


def _pace(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < inf:
        raise ConfigError(f"pace is how many steps a second are made at most, a number above 0; got {value!r:.80}")
    return float(value)


def _numbers(what: str, given: Any, many: int) -> list[float]:
    said = f"{what} from -1000000 to 1000000; got {(given if many > 1 else given[0])!r:.80}"
    fine = isinstance(given, list) and len(given) == many
    if not fine or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in given):
        raise InputTypeError(said)
    if not all(abs(each) <= 1e6 for each in given):
        raise ConfigError(said)
    return [float(each) for each in given]
