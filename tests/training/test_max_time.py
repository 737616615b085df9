"""A run that is to take some time: the first epoch says how many there will be, and with as many it can be repeated."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.training import progress, run
from fullyconnected.training.settings import FitSettings

X = np.random.default_rng(0).normal(size=(40, 3))
T = np.sin(X[:, :2])
ENGINES = [name for name, each in fc.engines().items() if each.available]


@pytest.fixture
def clock(monkeypatch):
    """Set how many seconds pass after each look at the clock, which is looked at twice an epoch; the last one stays."""
    told = SimpleNamespace(seconds=[1.0], now=0.0)

    def perf_counter():
        now = told.now
        told.now += told.seconds[0]
        if len(told.seconds) > 1:
            told.seconds.pop(0)
        return now

    monkeypatch.setattr(run, "time", SimpleNamespace(perf_counter=perf_counter))
    return told


def network(seed=0):
    return fc.Network([fc.Dense(3, 6, "tanh"), fc.Dropout(0.2), fc.Dense(6, 2)], dtype=np.float64, seed=seed)


def fit(epochs, **settings):
    net = network()
    given = {"optimizer": fc.Adam(0.01), "batch_size": 16, "progress": False, **settings}
    return net, fc.fit(net, X, T, "half_squared_error", epochs=epochs, **given)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "settings", [{}, {"schedule": fc.CosineDecay(20)}, {"validation": (X[:9], T[:9]), "patience": 50}], ids=range(3)
)
def test_a_run_with_as_many_epochs_as_were_planned_has_the_same_bits(clock, engine, settings):
    net, history = fit(1000, max_time=7.5, engine=engine, **settings)
    assert (history.planned_epochs, len(history.loss), history.stopped) == (7, 7, "max_time")
    assert "stopped after the epochs that max_time allows" in str(history)
    twin, again = fit(history.planned_epochs, engine=engine, **settings)
    assert (again.planned_epochs, again.stopped) == (7, "epochs")
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert (history.loss, history.validation_loss) == (again.loss, again.validation_loss)


def test_the_first_epoch_alone_says_how_many_there_are(clock):
    clock.seconds = [2.0, 0.0, 50.0]
    _, history = fit(1000, max_time=20)
    assert (history.planned_epochs, len(history.loss)) == (10, 10)


@pytest.mark.parametrize(
    ("max_time", "planned", "stopped"), [(0.001, 1, "max_time"), (5, 5, "epochs"), (9, 5, "epochs")]
)
def test_it_is_one_epoch_at_least_and_never_more_than_were_asked_for(clock, max_time, planned, stopped):
    _, history = fit(5, max_time=max_time)
    assert (history.planned_epochs, len(history.loss), history.stopped) == (planned, planned, stopped)


def test_a_clock_that_stands_still_allows_every_epoch(clock):
    clock.seconds = [0.0]
    assert len(fit(5, max_time=1)[1].loss) == 5


def test_without_it_the_history_has_the_epochs_that_were_asked_for(clock):
    assert fit(3)[1].planned_epochs == 3
    assert fc.History().planned_epochs is None


def test_early_stopping_may_come_first(clock):
    _, history = fit(100, max_time=50, optimizer=fc.SGD(1e-30), patience=3, validation=(X, T))
    assert (history.stopped, history.planned_epochs, len(history.loss)) == ("patience", 50, 4)


def test_a_loop_over_epochs_ends(clock):
    net, twin = network(), network()
    epochs = fc.epochs(net, X, T, "half_squared_error", max_time="6s")
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5, 6]
    for _ in itertools.islice(fc.epochs(twin, X, T, "half_squared_error"), 6):
        pass
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_a_resumed_run_keeps_to_the_plan_and_may_be_prolonged_up_to_it(clock, tmp_path):
    straight, _ = fit(1000, max_time=8)
    clock.seconds = [1.0]
    for epochs, wanted in ((2, 2), (4, 4), (1000, 8), (1000, 8), (5, 8)):
        net, history = fit(epochs, max_time=8.0, checkpoint=tmp_path / "run")
        assert len(history.loss) == wanted
        assert history.planned_epochs == min(epochs, 8)
        clock.seconds = [100.0]  # another machine, or a slower hour
    assert net.theta.tobytes() == straight.theta.tobytes()
    with pytest.raises(errors.CheckpointError, match=r"was begun with max_time=8.0 and would go on with None"):
        fit(9, checkpoint=tmp_path / "run")


def change(path, of):
    """Change what a checkpoint says of its run."""
    with safe_open(path, "np") as file:
        content = json.loads(file.metadata()["fullyconnected"])
    of(content["extras"]["run"])
    save_file(load_file(path), path, {"fullyconnected": json.dumps(content)})


def test_what_a_checkpoint_says_of_the_plan(clock, tmp_path):
    path = tmp_path / "run"
    fit(2, max_time=8, checkpoint=path)
    for wrong in ("8", 8.0, -1, True, [8]):
        change(path, lambda run, wrong=wrong: run.update(epochs_in_time=wrong))
        with pytest.raises(errors.FileFormatError):
            fit(3, max_time=8, checkpoint=path)
    change(path, lambda run: run.pop("epochs_in_time"))  # as in a file of before
    _, history = fit(20, max_time=8, checkpoint=path)
    assert len(history.loss) == 8


def test_a_solver_ends_after_the_iterations_that_fit(clock):
    pytest.importorskip("scipy.optimize", reason="the solver is SciPy's")

    def solve(epochs, **settings):
        net = fc.mlp([3, 6, 2], "tanh", dtype=np.float64, seed=0)
        history = fc.fit(net, X, T, "half_squared_error", fc.LBFGS(), epochs, progress=False, **settings)
        return net, history

    net, history = solve(100, max_time=4)
    assert (history.planned_epochs, len(history.loss), history.stopped) == (4, 4, "max_time")
    twin, again = solve(4)
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert history.loss == again.loss
    assert solve(4, max_time=4)[1].stopped == "epochs"
    at_the_minimum = fc.Network([fc.Dense(3, 2, init="zeros")], dtype=np.float64)
    history = fc.fit(at_the_minimum, X, 0 * T, "half_squared_error", fc.LBFGS(), max_time=1e-6, progress=False)
    assert (history.stopped, history.planned_epochs) == ("converged", 1)


def test_the_display_counts_the_epochs_that_are_planned(clock, capsys, monkeypatch):
    fit(1000, max_time=12, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == [f"{i}/12" for i in range(1, 13)]
    planned = []

    class Broken(progress.Progress):
        def plan(self, epochs):
            planned.append(epochs)
            raise OSError

    monkeypatch.setattr(progress, "choose", lambda _: progress.Expendable(Broken()))
    assert len(fit(1000, max_time=3, progress=True)[1].loss) == 3
    assert planned == [3]


def test_a_bar_is_as_long_as_the_plan(clock, monkeypatch):
    pytest.importorskip("rich")
    import io

    bar = progress.Bar(progress.Stream(io.StringIO()))
    monkeypatch.setattr(progress, "choose", lambda _: bar)
    fit(1000, max_time=12, progress=True)
    (task,) = bar.bar.tasks
    assert (task.completed, task.total) == (12, 12)


@pytest.mark.parametrize(
    ("given", "seconds"), [(3, 3.0), (0.5, 0.5), ("30s", 30.0), (" 5 m", 300.0), ("2 min", 120.0), ("1.5h", 5400.0)]
)
def test_a_time_is_a_number_of_seconds_or_a_text(given, seconds):
    assert FitSettings(max_time=given).max_time == seconds


@pytest.mark.parametrize("wrong", [0, -1, np.nan, np.inf, "", "30", "0s", "1d", "s", "1e400h"])
def test_other_times_are_refused(wrong):
    with pytest.raises(errors.ConfigError, match="max_time"):
        fit(1, max_time=wrong)


@pytest.mark.parametrize("wrong", [True, [1], b"30s", 1j])
def test_what_is_no_time_at_all_is_refused(wrong):
    with pytest.raises(errors.InputTypeError, match="max_time"):
        fit(1, max_time=wrong)
