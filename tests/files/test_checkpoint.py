"""A run that was stopped, by whatever, and begun again ends with the bits of one that never was."""

import contextlib
import errno
import gc
import importlib.util
import itertools
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fullyconnected as fc
from fullyconnected.engine.state import TrainingState
from fullyconnected.errors import CheckpointError, ConfigError, DivergenceError, FileFormatError, InputTypeError
from fullyconnected.files import write_checkpoint
from fullyconnected.training import checkpoint as resume
from fullyconnected.training import progress

KILLING = Path(__file__).with_name("killing.py")
ONE_THREAD = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}

spec = importlib.util.spec_from_file_location("killing", KILLING)
killing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(killing)
run, TABLE, CLASSES = killing.run, killing.TABLE, killing.CLASSES
LASTING = [name for name in killing.RUNS if name not in ("a fresh seed", "RealMLP")]  # its schedule has an end


def same(one, other):
    """Whether two networks and their histories are, bit for bit."""
    (net, history), (twin, twins) = one, other
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert net.state.tobytes() == twin.state.tobytes()
    assert repr(history) == repr(twins)  # NaN is not equal to itself
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_runs_killed_at_any_moment_and_begun_again_end_with_the_same_bits(tmp_path, examples):
    times = str(examples(40))  # of each run
    subprocess.run([sys.executable, KILLING, "trains", tmp_path, times, "2"], env=ONE_THREAD, check=True)


def test_a_run_killed_on_any_system_in_processes_of_its_own(tmp_path):
    def process(folder):
        folder.mkdir(exist_ok=True)
        return subprocess.Popen([sys.executable, KILLING, "train", "blocks", folder], env=ONE_THREAD)

    assert process(tmp_path / "alone").wait() == 0
    draw = random.Random(3)
    for _ in range(4):
        with process(tmp_path / "killed") as child:
            while child.poll() is None and not (tmp_path / "killed" / "run").exists():
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.2))
            child.kill()
    assert process(tmp_path / "killed").wait() == 0
    for file in ("run", "net", "history"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "alone" / file).read_bytes()


@pytest.mark.parametrize("name", LASTING)
def test_a_then_b_epochs_are_a_plus_b(name, tmp_path):
    path = tmp_path / "run"
    run(name, path, epochs=2)
    run(name, path, epochs=3)
    assert same(run(name, path, epochs=7), run(name, None, epochs=7))
    run(name, tmp_path / "straight", epochs=7)
    assert path.read_bytes() == (tmp_path / "straight").read_bytes()


@pytest.mark.parametrize("name", LASTING)
def test_a_finished_run_is_not_trained_again(name, tmp_path):
    path = tmp_path / "run"
    first, written = run(name, path, epochs=3), path.stat().st_mtime_ns
    assert same(run(name, path, epochs=3), first)
    assert same(run(name, path, epochs=1), first)  # more than were asked for
    assert path.stat().st_mtime_ns == written


def test_a_run_that_patience_has_ended_gives_its_best_weights_again(tmp_path):
    path = tmp_path / "run"
    net, history = run("patience ends it", path)
    assert history.stopped == "patience"
    assert history.best_epoch == len(history.loss) - 1
    assert same(run("patience ends it", path), (net, history))
    assert same(run("patience ends it", path, epochs=200), (net, history))
    assert not np.array_equal(fc.load(path).theta, net.theta)  # the file has the last ones, to go on from


def test_a_fresh_seed_is_drawn_once(tmp_path):
    path = tmp_path / "run"
    _, begun = run("a fresh seed", path, epochs=2)
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    one, other = run("a fresh seed", path, epochs=5), run("a fresh seed", copy, epochs=5)
    assert same(one, other)
    assert one[1].seed == begun.seed
    assert one[1].loss[:2] == begun.loss
    assert run("a fresh seed", None, epochs=1)[1].seed != begun.seed


def test_a_checkpoint_is_a_network(tmp_path):
    path = tmp_path / "run"
    net, _ = run("blocks", path, epochs=2)
    loaded = fc.load(path)
    assert loaded.layers == net.layers
    assert loaded.predict(TABLE).tobytes() == net.predict(TABLE).tobytes()


def test_it_is_written_before_the_first_epoch_and_after_every_one(tmp_path):
    path = tmp_path / "run"
    net = fc.mlp([12, 2], seed=0)
    epochs = fc.epochs(net, TABLE, CLASSES, "hinge", checkpoint=path, checkpoint_every=1)
    assert (fc.load(path).theta == net.theta).all()
    for _ in range(3):
        next(epochs)
        assert (fc.load(path).theta == net.theta).all()


class Clock:
    """Time that goes on by as much as an epoch, or a writing of the checkpoint, is said to take."""

    def __init__(self, monkeypatch, writing=0.01):
        self.now, self.written, self.writing = 100.0, [], writing
        monkeypatch.setattr(resume, "monotonic", lambda: self.now)
        monkeypatch.setattr(resume, "write_checkpoint", self.write)

    def write(self, path, layers, state, settings, *more):
        self.now += self.writing
        self.written.append(state.epoch)
        if len(self.written) == 1:  # how often is asked here: a disk that a thousand are written to takes a minute
            write_checkpoint(path, layers, state, settings, *more)

    def train(self, path, epochs, seconds, **settings):
        net = fc.mlp([2, 1], seed=0)
        for epoch in fc.epochs(net, [[1.0, 2.0]], [1.0], "half_squared_error", checkpoint=path, **settings):
            self.now += seconds(epoch.number) if callable(seconds) else seconds
            if epoch.number == epochs:
                break
        return self.written


@pytest.mark.parametrize(
    ("every", "seconds", "written"),
    [
        (None, 0.0001, [0, 1000]),  # a thousand epochs in the time in which ten checkpoints could be written
        (1, 0.0001, list(range(1001))),
        (300, 0.0001, [0, 300, 600, 900, 1000]),
        (5000, 100.0, [0, 1000]),
        ("30s", 0.1001, [0, 301, 601, 901, 1000]),
        ("0.5m", 0.1001, [0, 301, 601, 901, 1000]),
        ("1 min", 0.1001, [0, 601, 1000]),
        (" 1h ", 3601, list(range(1001))[:1] + list(range(2, 1001))),
        (np.int64(500), 1.0, [0, 500, 1000]),
    ],
    ids=str,
)
def test_a_checkpoint_is_written_as_often_as_is_said_and_at_the_end(tmp_path, monkeypatch, every, seconds, written):
    assert Clock(monkeypatch).train(tmp_path / "run", 1000, seconds, checkpoint_every=every) == written


@pytest.mark.parametrize("writing", [0.001, 0.1, 1.0, 20.0])
@pytest.mark.parametrize("seconds", [0.001, 1.0, 60.0])
def test_by_default_writing_takes_a_small_share_of_the_time(tmp_path, monkeypatch, writing, seconds):
    clock = Clock(monkeypatch, writing)
    began, written = clock.now, clock.train(tmp_path / "run", 2000, seconds)
    wrote = (len(written) - 2) * writing  # beside the first and the last
    assert wrote <= 0.02 * (clock.now - began)
    rare = max(5, 50 * writing) + seconds + writing  # and no more is lost than what this took
    assert all((b - a) * seconds <= rare + seconds for a, b in itertools.pairwise(written))


@pytest.mark.parametrize("every", [0, -1, "0s", "s", "", "10", "10 epochs", "-5s", "1d", "1e400s", "nans", "٣s"])
def test_other_times_are_refused(tmp_path, every):
    with pytest.raises(ConfigError, match="checkpoint_every"):
        begin(tmp_path / "run", checkpoint_every=every)
    with pytest.raises(ConfigError, match="checkpoint_every"):  # also where there is none to write
        fc.fit(fc.mlp([12, 2]), TABLE, CLASSES, "hinge", checkpoint_every=every, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("every", [True, 2.0, [1], b"30s"])
def test_what_is_no_time_at_all_is_refused(tmp_path, every):
    with pytest.raises(InputTypeError, match="checkpoint_every"):
        begin(tmp_path / "run", checkpoint_every=every)


class Stop(Exception):
    """Whatever may end a run."""


@pytest.mark.parametrize("where", ["epoch", "metric", "loop", "generator", "left", "display"])
@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit])
def test_whatever_ends_a_run_the_last_whole_epoch_is_in_its_checkpoint(tmp_path, monkeypatch, where, error):
    def stop(at):
        if os.environ.get("STOP") == at[0] and at[1] >= 4.3:
            raise error
        return 1.0

    def metric(z, t):
        judged.append(1)
        return stop(("metric", len(judged)))

    def schedule(epoch):
        return stop(("epoch", epoch))

    class Shown(progress.Progress):
        def show(self, number, epoch):
            stop(("display", number))

    monkeypatch.setattr(progress, "choose", lambda shown: Shown())
    monkeypatch.setenv("STOP", where)
    judged, path = [], tmp_path / "run"
    settings = {"optimizer": fc.Adam(0.01), "metrics": [metric], "checkpoint": path, "schedule": schedule}
    settings |= {"engine": "numpy", "seed": 3, "checkpoint_every": "1h"}
    net = fc.Network(killing.DEEP, seed=0)
    with contextlib.suppress(error, StopIteration):
        if where in ("loop", "generator", "left"):
            epochs = fc.epochs(net, TABLE, CLASSES, "hinge", **settings)
            for epoch in epochs:
                net.theta[0] += 7.0 * (epoch.number == 5)  # what the caller does then is not the run's
                if where == "left" and epoch.number == 5:
                    break
                if where == "generator" and epoch.number == 5:
                    epochs.throw(error)
                stop(("loop", epoch.number))
            epochs.close()
        else:
            history = fc.fit(net, TABLE, CLASSES, "hinge", epochs=9, **settings)
            assert history.interrupted
            assert error is KeyboardInterrupt
    if where == "loop":
        del epochs
        gc.collect()
    done = 4 if where in ("epoch", "metric") else 5
    monkeypatch.setenv("STOP", "")
    resumed, whole = (fc.Network(killing.DEEP, seed=0) for _ in range(2))
    first = next(fc.epochs(resumed, TABLE, CLASSES, "hinge", **settings))
    assert first.number == done + 1
    one = fc.fit(resumed, TABLE, CLASSES, "hinge", epochs=9, **settings | {"checkpoint": copied(path)})
    other = fc.fit(whole, TABLE, CLASSES, "hinge", epochs=9, **settings | {"checkpoint": None})
    assert same((resumed, one), (whole, other))


def copied(path):
    """Another name for the same checkpoint, so that what is done with the first does not matter."""
    path.with_name("copy").write_bytes(path.read_bytes())
    return path.with_name("copy")


def test_ctrl_c_while_the_last_epoch_is_remembered(tmp_path, monkeypatch):
    """Half a copy would be of one epoch, and half of another."""
    copy, pressed = TrainingState.copied, []

    def press(self, into=None):
        made = copy(self, into)
        if self.epoch == 3 and not pressed:
            pressed.append(True)
            made.theta[: made.theta.size // 2] = 0
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(TrainingState, "copied", press)
    path = tmp_path / "run"
    assert run("everything", path, checkpoint_every="1h")[1].interrupted
    assert pressed
    assert same(run("everything", path), run("everything", None))


def test_a_disk_that_is_full_does_not_end_a_run(tmp_path, monkeypatch):
    def full(*arguments):
        times.append(1)
        if 2 <= len(times) <= until:
            raise OSError(errno.ENOSPC, "No space left on device", "run")
        write_checkpoint(*arguments)

    monkeypatch.setattr(resume, "write_checkpoint", full)
    alone = run("everything", None)
    for until, left in ((4, 15), (99, 0)):
        times, path = [], tmp_path / f"run {until}"
        with pytest.warns(RuntimeWarning, match=r"could not be written: .*No space left .*Training continues"):
            assert same(run("everything", path), alone)
        assert len(times) == 16 + (until == 99)
        assert json.loads(metadata(path))["extras"]["run"]["epoch"] == left
    times = [1]
    with pytest.raises(OSError, match="No space left"):  # before training, it is known at once
        run("everything", tmp_path / "other")


def metadata(path):
    with safe_open(path, "numpy") as file:
        return file.metadata()["fullyconnected"]


def test_a_script_that_ends_in_an_error_has_its_checkpoint(tmp_path):
    """The loop is left when the interpreter is about to end."""
    (tmp_path / "script.py").write_text(
        "import fullyconnected as fc\n"
        "for epoch in fc.epochs(fc.mlp([1, 1], seed=0), [[1.0]], [1.0], 'half_squared_error', checkpoint='run'):\n"
        "    if epoch.number == 7:\n"
        "        raise RuntimeError('of my own')\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.endswith("RuntimeError: of my own\n")
    assert json.loads(metadata(tmp_path / "run"))["extras"]["run"]["epoch"] == 7


def test_a_loop_that_ends_late_leaves_the_checkpoint_of_another_run(tmp_path):
    """In a notebook, Python keeps the loop that Ctrl-C has left as long as it keeps the error."""

    def epochs():
        return fc.epochs(fc.mlp([1, 1], seed=0), [[1.0]], [1.0], "half_squared_error", checkpoint=tmp_path / "run")

    left, later = epochs(), epochs()
    for _ in range(3):
        next(left)
    for _ in range(7):
        next(later)
    later.close()
    left.close()
    assert next(epochs()).number == 8
    (tmp_path / "run").unlink()  # where there is none, nobody else's can be lost
    left = epochs()
    next(left)
    (tmp_path / "run").unlink()
    left.close()
    assert next(epochs()).number == 2


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_a_pipe_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "run")
    with pytest.raises(ConfigError, match="a file can be read and replaced"):
        begin(tmp_path / "run")


def test_what_cannot_be_written_is_known_before_training(tmp_path):
    net = fc.mlp([12, 2], seed=0)
    theta = net.theta.copy()
    with pytest.raises(FileNotFoundError, match="folder of this file does not exist"):
        fc.fit(net, TABLE, CLASSES, "hinge", checkpoint=tmp_path / "nowhere" / "run", progress=False)
    with pytest.raises(OSError):
        fc.fit(net, TABLE, CLASSES, "hinge", checkpoint=tmp_path, progress=False)
    assert (net.theta == theta).all()


@pytest.mark.parametrize("epoch", [0, 1, 4])
@pytest.mark.parametrize("step", [0, 20])
def test_ctrl_c_within_an_epoch_and_the_same_call_again(tmp_path, epoch, step):
    net, twin = (fc.Network(killing.DEEP, seed=3) for _ in range(2))
    told = {"optimizer": fc.Adam(0.01), "epochs": 6, "batch_size": 32, "l2": 0.01, "progress": False}
    press = True

    def constant(at):
        nonlocal press
        if press and at >= epoch + step * 32 / 1500:
            press = False
            raise KeyboardInterrupt
        return 0.5

    settings = {**told, "schedule": constant, "checkpoint": tmp_path / "run"}
    history = fc.fit(net, TABLE, CLASSES, "softmax_cross_entropy", **settings)
    assert history.interrupted
    assert len(history.loss) == epoch
    history = fc.fit(net, TABLE, CLASSES, "softmax_cross_entropy", **settings)
    whole = fc.fit(twin, TABLE, CLASSES, "softmax_cross_entropy", **told, schedule=constant)
    assert same((net, history), (twin, whole))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_ctrl_c_while_the_checkpoint_is_written(tmp_path, monkeypatch, step):
    times, real = 0, getattr(os, step)

    def press(*args):
        nonlocal times
        times += 1
        if times == 5:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(os, step, press)
    path = tmp_path / "run"
    assert run("everything", path)[1].interrupted
    assert [each.name for each in tmp_path.iterdir()] == ["run"]
    assert same(run("everything", path), run("everything", None))


def test_a_run_that_diverges_keeps_its_last_checkpoint(tmp_path):
    net = fc.mlp([12, 2], seed=0)
    settings = {"checkpoint": tmp_path / "run", "schedule": killing.slower, "progress": False, "warn": False}
    x = TABLE * 1e15
    with pytest.raises(DivergenceError):
        fc.fit(net, x, TABLE[:, :2], "half_squared_error", fc.SGD(1e10), **settings)
    assert (fc.load(tmp_path / "run").theta == net.theta).all()


def another(schedule=0.5):
    return 1 / (2 + schedule)


HELD = (TABLE[:100], CLASSES[:100])
CHANGES = {
    "optimizer": {"optimizer": fc.Adam(0.02)},
    "loss": {"loss": "hinge"},
    "batch_size": {"batch_size": 33},
    "l2": {"l2": 0.1},
    "shuffle": {"shuffle": False},
    "seed": {"seed": 4},
    "patience": {"patience": 3},
    "max_grad_norm": {"max_grad_norm": 2.0},
    "schedule": {"schedule": fc.Warmup(2, then=another)},
    "validation": {"validation": HELD},
    "metrics": {"metrics": ["accuracy"]},
    "data": {"sample_weight": np.ones(1500)},
}


def begin(path, x=TABLE, t=CLASSES, layers=None, dtype=np.float32, **changes):
    settings = {"optimizer": fc.Adam(0.01), "schedule": fc.Warmup(2, then=killing.slower), "seed": 3} | changes
    net = fc.Network(layers or killing.DEEP, seed=0, dtype=dtype)
    loss = settings.pop("loss", "softmax_cross_entropy")
    fc.fit(net, x, t, loss, epochs=2, checkpoint=path, progress=False, **settings)
    return net


@pytest.mark.parametrize("key", CHANGES)
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, key):
    path = tmp_path / "run"
    begin(path)
    begin(path)
    before = path.read_bytes()
    with pytest.raises(
        CheckpointError, match=rf"run was begun with {key}=.* and would go on with .*: the result"
    ) as caught:
        begin(path, **CHANGES[key])
    assert isinstance(caught.value, FileFormatError)
    assert path.read_bytes() == before


def test_a_checkpoint_of_other_data_or_of_another_network_is_refused(tmp_path):
    path = tmp_path / "run"
    begin(path)
    other = TABLE.copy()
    other[700, 3] += 1e-9
    with pytest.raises(CheckpointError, match="begun with data="):
        begin(path, x=other)
    with pytest.raises(CheckpointError, match="begun with data="):
        begin(path, t=1 - CLASSES)
    with pytest.raises(CheckpointError, match="begun with data="):
        begin(path, x=TABLE.astype(np.float32))
    with pytest.raises(CheckpointError, match="begun with dtype='float32' and would go on with 'float64'"):
        begin(path, dtype=np.float64)
    dropping = [*killing.DEEP[:2], fc.Dropout(0.3), killing.DEEP[3]]
    with pytest.raises(
        CheckpointError, match=r"begun with layer 2=.*'rate': 0\.2.* and would go on with .*'rate': 0\.3"
    ):
        begin(path, layers=dropping)
    with pytest.raises(CheckpointError, match=r"begun with layer 4=None and would go on with .*'leaky_relu'"):
        begin(path, layers=[*killing.DEEP, fc.Activation("leaky_relu")])


def test_a_network_is_no_checkpoint_and_other_files_are_none_either(tmp_path):
    path = tmp_path / "net"
    fc.Network(killing.DEEP, seed=0).save(path)
    with pytest.raises(CheckpointError, match="is a model, not a checkpoint of a run; choose another path"):
        begin(path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match="this is not a model file of any known format"):
        begin(path)


def test_functions_are_told_by_name_and_numbers_by_value(tmp_path):
    path = tmp_path / "run"
    begin(path, optimizer=fc.Adam(np.float64(0.01)), schedule=lambda epoch: 1.0)
    begin(path, optimizer=fc.Adam(0.01), schedule=lambda epoch: 1.0)
    with pytest.raises(CheckpointError, match=r"schedule='.*lambda.*slower"):
        begin(path, schedule=killing.slower)


def test_a_network_that_no_file_can_hold_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match="pair of functions"):
        begin(tmp_path / "run", layers=[fc.Dense(12, 2, (np.sin, np.cos))])
    with pytest.raises(ConfigError, match="checkpoint"):
        fc.fit(fc.mlp([12, 2]), TABLE, CLASSES, "hinge", fc.LBFGS(), checkpoint=tmp_path / "run", progress=False)
    assert not list(tmp_path.iterdir())


BROKEN = [
    None,
    -1,
    0.5,
    True,
    "text",
    [],
    {},
    [[]],
    2**64,
    float(2**70),
    "nan",
    {"loss": 5},
    {"loss": ["x"]},
    {"loss": None},
]


@pytest.mark.parametrize("key", ["settings", "seed", "step", "epoch", "records", "best"])
def test_a_run_that_makes_no_sense_is_refused_and_changes_nothing(tmp_path, key):
    path = tmp_path / "run"
    begin(path, patience=2)
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        text = file.metadata()["fullyconnected"]
    for value in [*BROKEN, "gone"]:
        content = json.loads(text)
        content["extras"]["run"][key] = value
        if value == "gone":
            del content["extras"]["run"][key]
        save_file(tensors, path, {"fullyconnected": json.dumps(content)})
        net = fc.Network(killing.DEEP, seed=0)
        theta, state = net.theta.copy(), net.state.copy()
        settings = {"optimizer": fc.Adam(0.01), "schedule": fc.Warmup(2, then=killing.slower), "seed": 3, "patience": 2}
        if key == "records" and value == {}:
            continue  # they may be empty
        with pytest.raises(FileFormatError, match="run"):
            fc.epochs(net, TABLE, CLASSES, "softmax_cross_entropy", checkpoint=path, **settings)
        assert (net.theta == theta).all()
        assert (net.state == state).all()


@pytest.mark.parametrize("name", ["run.slot.m", "run.slot.v", "run.best.theta", "run.best.state", "dense_1.W"])
def test_tensors_that_do_not_fit_the_run_are_refused(tmp_path, name):
    path = tmp_path / "run"
    begin(path, patience=2)
    whole = load_file(path)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    for alter in (lambda a: None, lambda a: a.ravel()[:-1], lambda a: np.append(a, a), lambda a: a.astype(np.float64)):
        tensors = dict(whole)
        tensors[name] = alter(tensors[name])
        if tensors[name] is None:
            del tensors[name]
        save_file(tensors, path, metadata)
        with pytest.raises(FileFormatError, match="run"):
            begin(path, patience=2)
    save_file({**whole, "run.slot.x": whole["run.slot.m"]}, path, metadata)
    with pytest.raises(FileFormatError, match=r"slot\.x is unknown"):
        begin(path, patience=2)
    save_file({**whole, "run.best.theta": whole["run.best.theta"] * np.nan}, path, metadata)
    with pytest.raises(FileFormatError, match="not all finite"):
        begin(path, patience=2)
    save_file(whole, path, metadata)
    begin(path, patience=2)


def test_moments_that_have_overflowed_do_not_end_a_run(tmp_path):
    def fit(checkpoint, epochs):
        net = fc.mlp([12, 1], seed=0)
        x = np.where(np.arange(12) == 0, 1e10, 1) * TABLE  # its square overflows in float32
        t = 1e12 * TABLE[:, 0]
        settings = {"epochs": epochs, "checkpoint": checkpoint, "progress": False, "warn": False}
        return net, fc.fit(net, x, t, "half_squared_error", fc.Adam(1e-3), **settings)

    path = tmp_path / "run"
    fit(path, 1)
    assert np.isinf(load_file(path)["run.slot.v"]).any()
    assert same(fit(path, 3), fit(None, 3))


def own_rules():
    class M2(fc.Momentum):
        name = "m2"

    class Momentum(fc.Optimizer):
        name = "mine"

        def __init__(self, lr, decay):
            vars(self).update(lr=lr, decay=decay)

        def update(self, theta, g, s, c, *, lr, step, decays):
            theta -= lr * self.decay * g

    return fc.Momentum(0.1, 0.5), fc.Nesterov(0.1, 0.5), M2(0.1, 0.5), Momentum(0.1, 0.5)


@pytest.mark.parametrize("rule", own_rules(), ids=repr)
def test_a_run_of_an_earlier_version_goes_on_with_the_same_optimizer_alone(tmp_path, rule):
    """Checkpoints have the settings of optimizers under the names that they had then."""
    path, net = tmp_path / "run", fc.mlp([1, 1], seed=0)
    settings = {"progress": False, "checkpoint": path}
    fc.fit(net, [[1.0]], [2.0], "half_squared_error", rule, epochs=1, **settings)
    save_file(load_file(path), path, {"fullyconnected": metadata(path).replace("momentum=0.5", "decay=0.5")})
    assert "(lr=0.1, decay=0.5)" in metadata(path)
    fc.fit(net, [[1.0]], [2.0], "half_squared_error", rule, epochs=2, **settings)
    for other in (each for each in own_rules() if repr(each) != repr(rule)):
        with pytest.raises(CheckpointError, match="was begun with optimizer="):
            fc.fit(net, [[1.0]], [2.0], "half_squared_error", other, epochs=3, **settings)
