"""What may change between the epochs of a run: the factor on the learning rate, and the order of the rows."""

import itertools
import json
import math

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fullyconnected as fc
from fullyconnected.core.order import epoch_order
from fullyconnected.errors import DivergenceError, FileFormatError
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

ROWS = 21
X = np.random.default_rng(0).normal(size=(ROWS, 3))
T = np.sin(X[:, :2])
ENGINES = [name for name, each in fc.engines().items() if each.available]


def begun(optimizer, kind=Run, **settings):
    net = fc.Network([fc.Dense(3, 5, "tanh"), fc.Dropout(0.2), fc.Dense(5, 2)], dtype=np.float64, seed=0)
    return kind(net, X, T, "half_squared_error", optimizer, FitSettings(**{"batch_size": 8, **settings}))


class Slower(Run):
    """Halves the rate after each epoch, as a rule that looks at the loss might."""

    def record(self, loss, began):
        epoch = super().record(loss, began)
        self.state.lr_factor /= 2
        return epoch


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("schedule", [None, fc.CosineDecay(5)])
@pytest.mark.parametrize("rule", [fc.SGD, fc.Adam], ids=lambda rule: rule.name)
class TestTheFactor:
    def test_multiplies_the_rate_of_each_epoch(self, rule, schedule, engine):
        """A power of two, so that the products are exact: the bits are those of the other rate."""
        run = begun(rule(0.01), Slower, engine=engine, schedule=schedule)
        for epoch in range(3):
            twin = begun(rule(0.01 * 0.5**epoch), engine=engine, schedule=schedule)
            twin.state.theta[...], twin.state.step, twin.state.epoch = run.state.theta, run.state.step, run.state.epoch
            for name, slot in run.state.slots.items():
                twin.state.slots[name][...] = slot
            run.epoch()
            twin.epoch()
            assert run.state.theta.tobytes() == twin.state.theta.tobytes()

    def test_is_part_of_a_checkpoint(self, rule, schedule, engine, tmp_path):
        how = {"engine": engine, "schedule": schedule}
        straight = begun(rule(0.01), Slower, **how)
        for _ in range(4):
            straight.epoch()
        for _ in range(2):
            run = begun(rule(0.01), Slower, checkpoint=tmp_path / "run", checkpoint_every=1, **how)
            for _ in range(2):
                run.epoch()
        assert run.state.lr_factor == straight.state.lr_factor == 0.0625
        assert run.state.theta.tobytes() == straight.state.theta.tobytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_diverges_tells_the_rate_with_its_factor(engine):
    run = begun(fc.SGD(1e-3), engine=engine)
    run.epoch()
    run.state.lr_factor = 1e30
    with pytest.raises(DivergenceError, match=r"learning rate 1e\+27") as caught:
        list(itertools.islice(run, 9))
    assert caught.value.learning_rate == pytest.approx(1e27, rel=1e-12)
    assert "ten times smaller" in caught.value.advice


def test_a_copy_of_the_state_has_it():
    state = begun(fc.Adam()).state
    copy = state.copied()
    state.lr_factor = 0.25
    assert (copy.lr_factor, state.copied().lr_factor, state.copied(copy).lr_factor) == (1.0, 0.25, 0.25)


def changed(path, change):
    """Change what a checkpoint says of its run."""
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    content = json.loads(metadata["fullyconnected"])
    change(content["extras"]["run"])
    save_file(load_file(path), path, {"fullyconnected": json.dumps(content)})


def test_an_older_checkpoint_has_a_factor_of_1(tmp_path):
    path = tmp_path / "run"
    run = begun(fc.Adam(), Slower, checkpoint=path, checkpoint_every=1)
    run.epoch()
    assert begun(fc.Adam(), checkpoint=path).state.lr_factor == 0.5
    changed(path, lambda run: run.pop("lr_factor"))
    assert begun(fc.Adam(), checkpoint=path).state.lr_factor == 1.0


@pytest.mark.parametrize("wrong", ["a half", None, [1.0], True, -0.5, math.nan, math.inf])
def test_a_factor_that_makes_no_sense_is_refused(tmp_path, wrong):
    begun(fc.Adam(), checkpoint=tmp_path / "run")
    changed(tmp_path / "run", lambda run: run.update(lr_factor=wrong))
    with pytest.raises(FileFormatError):
        begun(fc.Adam(), checkpoint=tmp_path / "run")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_order_of_an_epoch_may_be_chosen(engine):
    class Reversed(Run):
        def order(self):
            return np.arange(self.rows)[::-1].copy()

    run = begun(fc.SGD(0.1), Reversed, engine=engine)
    net = begun(fc.SGD(0.1)).net
    fc.fit(net, X[::-1], T[::-1], "half_squared_error", fc.SGD(0.1), epochs=1, batch_size=8, shuffle=False,
           engine=engine, progress=False)  # fmt: skip
    run.epoch()
    assert run.net.theta.tobytes() == net.theta.tobytes()


def test_by_default_it_is_that_of_the_seed_and_the_epoch():
    run = begun(fc.SGD(0.1), seed=7)
    for epoch in range(3):
        assert np.array_equal(run.order(), epoch_order(ROWS, 7, epoch, shuffle=True))
        run.epoch()
    assert np.array_equal(begun(fc.SGD(0.1), shuffle=False).order(), np.arange(ROWS))
