"""Where the NumPy engine's trainer leaves a place for others: the whole gradient, and the loss."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.engine import numpy_engine
from fullyconnected.engine.numpy_engine import NumpyTrainer
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.engine.updates import new_slots
from fullyconnected.errors import DivergenceError
from fullyconnected.program.data import check_data

ROWS, BATCH = 40, 16
X = np.random.default_rng(0).normal(size=(ROWS, 3))
T = X.sum(axis=1)


def begun(trainer, *, optimizer=None, **settings):
    """Return a trainer, made for a network with dropout, and its state."""
    layers = [fc.Dense(3, 7, "tanh"), fc.Dropout(0.4), fc.Dense(7, 5), fc.Dropout(0.1), fc.Dense(5, 1)]
    net = fc.Network(layers, dtype=np.float64, seed=0)
    data = check_data(net.program, net.dtype, X, T, "half_squared_error", settings.pop("weights", None))
    optimizer = optimizer or fc.Adam(0.01)
    state = TrainingState(net.theta, net.state, 5, new_slots(optimizer, net.program, net.dtype))
    return trainer(Task(net.program, data, optimizer, **{"batch_size": BATCH, **settings}), state), state


def test_the_whole_gradient_is_seen_once_a_step_before_anything_moves():
    seen = []

    class Looking(NumpyTrainer):
        def before_update(self, gradient, share):
            seen.append((gradient.copy(), share, self.state.theta.copy()))

    trainer, state = begun(Looking, optimizer=fc.SGD(0.5))
    before = state.theta.copy()
    trainer.epoch(np.arange(ROWS))
    assert [share for _, share, _ in seen] == [16, 16, 8]
    for g, _, theta in seen:
        np.testing.assert_allclose(theta, before)
        before = theta - 0.5 * g
    np.testing.assert_allclose(state.theta, before)


def test_only_one_place_of_a_step_turns_a_loss_into_a_number(monkeypatch):
    """A loss that lies on a device is waited for where ``check_loss`` does so, and else once an epoch."""

    class OnDevice(float):
        brought = 0

        def __float__(self):
            OnDevice.brought += 1
            return super().__float__()

        def __mul__(self, other):
            return OnDevice(super().__mul__(other))

        def __radd__(self, other):
            return OnDevice(super().__radd__(other))

        __add__ = __radd__

        def __bool__(self, *other):
            raise AssertionError("a value is looked at")

        __lt__ = __gt__ = __le__ = __ge__ = __eq__ = __bool__
        __hash__ = None

    into = numpy_engine.Batch.loss_and_gradient
    monkeypatch.setattr(numpy_engine.Batch, "loss_and_gradient", lambda *a, **how: OnDevice(into(*a, **how)))

    class Patient(NumpyTrainer):
        def check_loss(self, loss, batch, lr):
            return loss

    losses = []
    for trainer, size, brought in ((NumpyTrainer, 4, 10), (NumpyTrainer, 20, 2), (Patient, 4, 1), (Patient, 20, 1)):
        OnDevice.brought = 0
        losses.append(begun(trainer, batch_size=size)[0].epoch(np.arange(ROWS)))
        assert OnDevice.brought == brought
    assert losses[:2] == losses[2:]


def test_a_run_ends_in_the_step_that_diverges():
    trainer, state = begun(NumpyTrainer, optimizer=fc.SGD(1e200))
    with pytest.raises(DivergenceError) as caught:
        trainer.epoch(np.arange(ROWS))
    assert (caught.value.step, state.step) == (2, 2)
