"""A run that can be taken step by step, in any portions, with the numbers of :func:`fullyconnected.fit`.

An engine trains the batches of an order of rows; here it is given a part of the order of an epoch. The batches, the
rates and the random numbers of a step are functions of the seed and the step, so that it does not matter how a run is
divided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows, n_batches
from fullyconnected.core.order import epoch_order
from fullyconnected.engine.choice import choose
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.engine.updates import new_slots
from fullyconnected.errors import ConfigError, DivergenceError
from fullyconnected.playing.building import loss_of, network_of, rule_of, schedule_of
from fullyconnected.playing.data import Dataset
from fullyconnected.playing.model import Model
from fullyconnected.playing.setup import Setup
from fullyconnected.program.data import check_data, require_rows
from fullyconnected.training.divergence import explained

__all__ = ["Edit", "Kept", "Stepper"]


class Edit(NamedTuple):
    """A weight that was set by hand after so many steps: its place in theta, and its value."""

    step: int
    place: int
    value: float


class Kept(NamedTuple):
    """All of a run that changes, as it was after a step."""

    step: int
    theta: Array
    state: Array
    slots: tuple[Array, ...]

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return self.theta.nbytes + self.state.nbytes + sum(slot.nbytes for slot in self.slots)


class _Clock:
    """A schedule for a part of an epoch: it is asked as if the part were whole, and answers for the step it is."""

    def __init__(self, schedule: Callable[[float], float]) -> None:
        self.schedule = schedule
        self.epoch, self.first, self.steps, self.all = 0, 0, 1, 1

    def set(self, epoch: int, first: int, steps: int, all_steps: int) -> None:
        """Answer for ``steps`` steps from ``first`` on, of ``all_steps`` in the epoch."""
        self.epoch, self.first, self.steps, self.all = epoch, first, steps, all_steps

    def __call__(self, at: float) -> float:
        i = self.first + round((at - self.epoch) * self.steps)
        return self.schedule(self.epoch + i / self.all)


class Stepper:
    """The training of a setup: the network, its data, and all that changes; :meth:`to` goes on to a step.

    Raises
    ------
    ConfigError, ShapeError, DataError
        For a setup that cannot be trained, such as batches of one row with batch normalisation.
    """

    def __init__(self, setup: Setup, data: Dataset, model: Model | None = None) -> None:
        self.setup, self.data = setup, data
        self.net = network_of(setup, data)
        if setup.init == "file":
            if model is None:
                raise ConfigError("init: there is no file with weights; choose other initial weights")
            model.require_fit(self.net)
            self.net.theta, self.net.state[...] = model.net.theta, model.net.state
        loss, rule, schedule = loss_of(setup, data), rule_of(setup), schedule_of(setup)
        self.net.loss = loss
        x, t = data.training()
        self.loss, self.rule, self.schedule = loss, rule, schedule
        self.training = check_data(self.net.program, self.net.dtype, x, _targets(t), loss)
        x, t = data.testing()
        self.testing = check_data(self.net.program, self.net.dtype, x, _targets(t), loss) if len(x) else None
        self.batch_size = min(setup.batch_size, len(self.training.x))
        self.places = np.flatnonzero(~data.test)  # of the training rows among all
        with_hint = f"batch_size={self.batch_size}: raise the batch size, or choose another norm"
        try:
            require_rows(self.net.program, self.batch_size, with_hint)
        except ConfigError as error:
            raise ConfigError(f"batch_size: {error}") from None
        self.clock = None if schedule is None else _Clock(schedule)
        self.engine, _ = choose(
            "auto", self.net.program, loss=loss, optimizer=rule, source=self.training.x, schedules=False
        )
        self.task = Task(
            self.net.program,
            self.training,
            rule,
            self.batch_size,
            l2=setup.l2,
            max_grad_norm=setup.max_grad_norm or None,
            schedule=self.clock,
            n_threads=self.n_threads,
        )
        slots = new_slots(rule, self.net.program, self.net.dtype)
        self.now = TrainingState(self.net.theta, self.net.state, setup.seed, slots)
        self.trainer = self.engine.trainer(self.task, self.now)
        self.edits: list[Edit] = []

    @property
    def n_threads(self) -> int | None:
        """The threads of the engine: one, so that the bits are the same on all machines with the same instructions."""
        return 1 if self.engine.name == "native" else None

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""
        return n_batches(len(self.training.x), self.batch_size, self.task.program.least_rows)

    @property
    def step(self) -> int:
        """The steps so far."""
        return self.now.step

    def order(self, epoch: int) -> Rows:
        """Return the order of the training rows in an epoch."""
        return epoch_order(len(self.training.x), self.setup.seed, epoch, shuffle=self.setup.shuffle)

    def part(self, epoch: int, first: int, stop: int) -> Rows:
        """Return the rows of some batches of an epoch."""
        order = self.order(epoch)
        return order[first * self.batch_size : None if stop == self.steps else stop * self.batch_size]

    def next_rows(self) -> Rows:
        """Return the training rows of the batch that comes next."""
        epoch, first = divmod(self.step, self.steps)
        return self.part(epoch, first, first + 1)

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        epoch, first = divmod(self.step, self.steps)
        return self.rule.lr * (1.0 if self.schedule is None else self.schedule(epoch + first / self.steps))

    def to(self, step: int) -> None:
        """Go on to a step; raise if it cannot be reached because numbers are no longer finite.

        Then the run is at the last step whose numbers are.
        """
        while self.step < step:
            epoch, first = divmod(self.step, self.steps)
            stop = min(self.steps, first + step - self.step, first + self._until_edit())
            self._train(epoch, first, stop)
            self._apply_edits()

    def _until_edit(self) -> int:
        return min((each.step - self.step for each in self.edits if each.step > self.step), default=self.steps)

    def _apply_edits(self) -> None:
        for each in self.edits:
            if each.step == self.step:
                self.now.theta[each.place] = each.value

    def _train(self, epoch: int, first: int, stop: int) -> None:
        before = self.kept()
        try:
            self._run(epoch, first, stop)
        except DivergenceError as error:
            found = error
            self.restore(before)
            for each in range(first, stop):  # which of the steps it was
                kept = self.kept()
                try:
                    self._run(epoch, each, each + 1)
                except DivergenceError as failed:
                    self.restore(kept)
                    found = failed
                    break
            order = self.part(epoch, self.step - epoch * self.steps, stop)
            at_hand = self.kept()
            with suppress(FloatingPointError):
                found = explained(found, self.task, at_hand.theta, at_hand.state, self.now.seed, self.step, order)
            raise found from None

    def _run(self, epoch: int, first: int, stop: int) -> None:
        self.now.epoch = epoch
        if self.clock is not None:
            self.clock.set(epoch, first, stop - first, self.steps)
        self.trainer.epoch(self.part(epoch, first, stop))
        self.now.epoch = epoch + (stop == self.steps)

    def kept(self) -> Kept:
        """Return a copy of all that changes."""
        now = self.now
        return Kept(now.step, now.theta.copy(), now.state.copy(), tuple(slot.copy() for slot in now.slots.values()))

    def restore(self, kept: Kept) -> None:
        """Go back, or on, to what was kept."""
        now = self.now
        now.theta[...], now.state[...] = kept.theta, kept.state
        for slot, then in zip(now.slots.values(), kept.slots, strict=True):
            slot[...] = then
        now.step, now.epoch = kept.step, kept.step // self.steps

    def set_weight(self, name: str, place: Sequence[int], value: float) -> None:
        """Set one number of a parameter, such as ``dense_1.W`` at [0, 1]; the training goes on from it."""
        tensor = next((each for each in self.net.program.tensors if each.name == name), None)
        if tensor is None:
            known = ", ".join(each.name for each in self.net.program.tensors)
            raise ConfigError(f"the network has no parameter {name!r:.80}; it has {known:.400}")
        if len(place) != len(tensor.shape) or not all(0 <= i < n for i, n in zip(place, tensor.shape, strict=True)):
            last = [n - 1 for n in tensor.shape]
            raise ConfigError(
                f"{name} has entries from {[0] * len(last)} to {last}; there is no entry {list(place)!r:.80}"
            )
        at = tensor.part.start + int(np.ravel_multi_index(tuple(place), tensor.shape))
        step = self.step
        self.edits = [each for each in self.edits if each.step < step or (each.step == step and each.place != at)]
        self.edits.append(Edit(step, at, value))
        self._apply_edits()


def _targets(t: Array) -> Array:
    """Return numbers of classes as they are, and numbers as a column."""
    return t if t.dtype.kind == "i" else t[:, None]
