"""What a run on a GPU does besides computing the same: it stays on the card, replays graphs, and says what is wrong."""

import gc
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.engine.cuda.presence import load
from fullyconnected.errors import (
    CheckpointError,
    ConfigError,
    DivergenceError,
    InputTypeError,
    MissingPackageError,
    UnknownNameError,
)
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings
from tests.cuda import standin

RNG = np.random.default_rng(0)
X = RNG.normal(size=(203, 5))
T = np.sin(X[:, :2]).sum(axis=1)
WEIGHTS = RNG.uniform(0, 2, 203)
WEIGHTS[:70] = 0
LOSS = "half_squared_error"
pytestmark = pytest.mark.usefixtures("cupy")


def network(dtype=np.float64):
    layers = [fc.Dense(5, 8, "relu"), fc.BatchNorm(), fc.Dropout(0.2), fc.Dense(8, 8, "tanh"), fc.Dense(8, 1)]
    return fc.Network(layers, dtype=dtype, seed=1)


def fitted(engine, net=None, x=X, t=T, optimizer=None, **how):
    net = net or network()
    how = {"epochs": 3, "batch_size": 32, "seed": 3, "progress": False, "warn": False, **how}
    return net, fc.fit(net, x, t, LOSS, optimizer or fc.Adam(0.01), engine=engine, **how)


def assert_same(how, make=network, tolerance=1e-9, **other):
    (a, one), (b, two) = (fitted(engine, make(), **how, **other) for engine in ("numpy", "cuda"))
    way = np.linalg.norm(a.theta - make().theta)
    assert np.linalg.norm(a.theta - b.theta) <= tolerance * way
    np.testing.assert_allclose(a.state, b.state, rtol=1e-6)
    for name in ("loss", "validation_loss"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-9)
    assert two.engine == "cuda"


@pytest.mark.parametrize(
    "how",
    [
        {"sample_weight": WEIGHTS},
        {"sample_weight": WEIGHTS, "shuffle": False},  # whole batches without weight make no step
        {"l2": 0.01, "max_grad_norm": 0.3},
        {"max_grad_norm": 1e9},
        {"alpha": 0.5, "sample_weight": WEIGHTS},
        {"schedule": fc.CosineDecay(3)},
        {"weight_decay_schedule": lambda epoch: 1 - epoch / 4, "optimizer": fc.AdamW(0.01, weight_decay=0.3)},
        {"weight_decay_schedule": fc.CosineDecay(3), "optimizer": fc.Muon(0.01, weight_decay=0.3)},
        {"dropout_schedule": lambda epoch: max(0.0, 1 - epoch)},  # no dropout in the end
        {"validation": (X[:50], T[:50]), "metrics": ["r2"], "patience": 1},
        {"average": fc.EMA(0.9)},
        {"average": fc.SWA(1)},
        {"factors": fc.Factors(lr={"dense_1": 0, "bias": 0.5})},
        {"factors": fc.Factors(weight_decay={"dense_1": 0.5}), "optimizer": fc.AdamW(0.01, weight_decay=0.3)},
        {"batch_size": 500},
        {"batch_size": 101},  # a last row alone is added to the batch before
        {"batch_size": 2, "epochs": 1},
        {"window": 64, "streams": 4},
    ],
    ids=",".join,
)
def test_every_setting(how):
    assert_same(how)


def test_more_steps_than_numbers_are_brought_at_once(monkeypatch):
    from fullyconnected.engine.cuda import numbers, trainer

    for module in (numbers, trainer):
        monkeypatch.setattr(module, "CHUNK", 3)
    assert_same({"batch_size": 10, "schedule": fc.CosineDecay(3)})


def test_an_optimizer_with_more_numbers_than_a_page_has(monkeypatch):
    from fullyconnected.engine.cuda import numbers

    monkeypatch.setattr(numbers, "PAGE", 2)
    assert_same({"optimizer": fc.Muon(0.01, rest=fc.AdamW(0.02, weight_decay=0.1)), "alpha": 0.1})


def test_rows_that_are_read_window_by_window(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert_same({"x": np.load(tmp_path / "x.npy", mmap_mode="r"), "window": 50})
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({**{f"c{i}": X[:, i] for i in range(5)}, "t": T})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=37)
    rows = fc.Parquet(tmp_path / "rows.parquet", target="t")
    assert_same({"x": rows, "t": None, "window": 50, "sample_weight": WEIGHTS})


def test_within_an_epoch_nothing_is_brought_to_the_host(cupy):
    seen = []

    def look(epoch):
        seen.append(len(cupy.transfers))
        return 1.0

    net = network()
    for _ in fc.epochs(net, X, T, LOSS, fc.Adam(0.01), batch_size=16, engine="cuda", warn=False):
        break
    cupy.transfers.clear()
    fitted("cuda", net, batch_size=16, epochs=1)
    home = [size for way, size in cupy.transfers if way == "to host"]
    # the losses of 13 steps, the parameters, running statistics, and both slots of Adam: once each, at the end
    assert home == [13 * 8, net.theta.nbytes, net.state.nbytes, net.theta.nbytes, net.theta.nbytes]


def test_the_rows_are_brought_once(cupy):
    run = Run(network(), X, T, LOSS, fc.SGD(0.1), FitSettings(batch_size=64, engine="cuda", warn=False))
    run.epoch()
    cupy.transfers.clear()
    run.epoch()
    assert X.nbytes not in [size for _, size in cupy.transfers]
    assert max(size for way, size in cupy.transfers if way == "to device") < X.nbytes


def test_each_size_of_batch_is_recorded_once_and_replayed(cupy, monkeypatch):
    recorded, launched = [], []
    begin, launch = cupy.cuda.Stream.begin_capture, cupy.cuda.Graph.launch
    monkeypatch.setattr(cupy.cuda.Stream, "begin_capture", lambda *a, **k: (recorded.append(1), begin(*a, **k))[1])
    monkeypatch.setattr(cupy.cuda.Graph, "launch", lambda *a, **k: (launched.append(1), launch(*a, **k))[1])
    fitted("cuda", epochs=5, batch_size=32)  # six batches of 32 rows, and one of 11
    assert (len(recorded), len(launched)) == (2, 35 - 2)  # the first of each is run as it is


def test_the_same_bits_again_and_from_a_checkpoint(tmp_path):
    how = {"average": fc.EMA(0.9), "validation": (X[:50], T[:50]), "patience": 9}
    whole, history = fitted("cuda", epochs=6, **how)
    assert np.array_equal(fitted("cuda", epochs=6, **how)[0].theta, whole.theta)
    fitted("cuda", epochs=3, checkpoint=tmp_path / "run", **how)
    resumed, again = fitted("cuda", epochs=6, checkpoint=tmp_path / "run", **how)
    assert np.array_equal(resumed.theta, whole.theta)
    assert again.loss == history.loss


def test_a_run_goes_on_with_another_engine_and_not_in_another_precision(tmp_path):
    def fit(engine, epochs, **how):
        net = network(np.float32)
        return fitted(engine, net, epochs=epochs, checkpoint=tmp_path / "run", **how)[0].theta

    fit("numpy", 2)
    fit("cuda", 4)
    with pytest.raises(CheckpointError, match="was begun with precision=None and would go on with 'tf32'"):
        fit("cuda", 6, precision="tf32")
    found = fit("auto", 6)
    np.testing.assert_allclose(found, fitted("numpy", network(np.float32), epochs=6)[0].theta, rtol=1e-3, atol=1e-5)


def test_weights_that_a_caller_changes_between_epochs_count():
    thetas = []
    for engine in ("numpy", "cuda"):
        net = network()
        for epoch in fc.epochs(net, X, T, LOSS, fc.SGD(0.01), engine=engine, warn=False):
            net.params[0].W *= 0.5
            if epoch.number == 3:
                break
        thetas.append(net.theta)
    np.testing.assert_allclose(*thetas, rtol=1e-9, atol=1e-12)


def test_predictions_in_blocks_of_any_rows(monkeypatch):
    from fullyconnected.engine.cuda import predictor

    net = network()
    monkeypatch.setattr(predictor, "WORKSPACE", 10 * net.program.entries_a_row)
    for rows in (0, 1, 10, 11, 203):
        np.testing.assert_allclose(net.predict(X[:rows], engine="cuda"), net.predict(X[:rows]), rtol=1e-9, atol=1e-12)
    net.params[0].W *= 2  # what changes is seen
    np.testing.assert_allclose(net.predict(X, engine="cuda"), net.predict(X), rtol=1e-9, atol=1e-12)
    out = np.empty((203, 1), order="F")
    assert net.predict(X, engine="cuda", out=out) is out
    np.testing.assert_allclose(out, net.predict(X), rtol=1e-9, atol=1e-12)


def test_estimators_and_evaluation():
    pytest.importorskip("sklearn")
    how = {"hidden_layer_sizes": (8,), "tol": 1e9, "n_iter_no_change": 3, "random_state": 0, "early_stopping": True}
    models = [fc.MLPRegressor(**how, engine=engine).fit(X, T) for engine in ("numpy", "cuda")]
    np.testing.assert_allclose(models[0].loss_curve_, models[1].loss_curve_, rtol=1e-4)
    net = models[0].network_
    assert net.evaluate(X, T, LOSS, engine="cuda").loss == pytest.approx(net.evaluate(X, T, LOSS).loss)


# --- what diverges ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"optimizer": fc.SGD(1e200)},
        {"optimizer": fc.SGD(30.0)},
        {"optimizer": fc.SGD(30.0), "window": 64},
        {"optimizer": fc.SGD(1e45), "batch_size": 500, "epochs": 1},  # the last update of an epoch
        {"optimizer": fc.SGD(2.0), "schedule": lambda epoch: 1e200 if epoch > 1.2 else 0.01},
    ],
    ids=["first", "later", "windows", "last", "schedule"],
)
def test_a_run_that_diverges_says_the_same_as_on_numpy_and_leaves_the_epoch_before(how):
    said = []
    for engine in ("numpy", "cuda"):
        net = fc.mlp([5, 8, 8, 1], "relu", dtype=np.float32, seed=1)
        with pytest.raises(DivergenceError) as caught:
            fitted(engine, net, **how)
        error = caught.value
        said.append((error.epoch, error.step, error.learning_rate, error.layer, net.theta))
    assert said[0][:4] == said[1][:4]
    np.testing.assert_allclose(said[0][4], said[1][4], rtol=1e-4, atol=1e-6)


# --- precision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "digits"), [("tf32", 11), ("bfloat16", 8)])
def test_products_are_rounded_as_asked(precision, digits):
    net, x = fc.mlp([60, 50, 40, 3], "tanh", seed=0), RNG.normal(size=(30, 60)).astype(np.float32)
    exact = net.predict(x, engine="cuda")
    found = net.predict(x, engine="cuda", precision=precision)
    far = np.abs(found - exact).max()
    assert 2.0 ** -(digits + 6) < far < 2.0 ** -(digits - 4)  # of sums of products of about 1
    t = RNG.integers(0, 3, 30)
    ways = []
    for how in ({}, {"precision": precision}):
        trained = net.copy()
        history = fc.fit(trained, x, t, "softmax_cross_entropy", fc.SGD(0.1), engine="cuda", epochs=3, batch_size=7,
                         progress=False, **how)  # fmt: skip
        ways.append((trained.theta - net.theta, history.loss))
    apart = np.linalg.norm(ways[0][0] - ways[1][0]) / np.linalg.norm(ways[0][0])
    assert 0 < apart < 2.0 ** -(digits - 5)
    np.testing.assert_allclose(*(loss for _, loss in ways), rtol=2.0 ** -(digits - 4))


def test_a_precision_that_cannot_be_had_is_refused():
    net = fc.mlp([5, 1], seed=0)
    with pytest.raises(UnknownNameError, match="precision"):
        net.predict(X, precision="tf23")
    with pytest.raises(InputTypeError, match="precision"):
        fitted("cuda", net, precision=32)
    for call in (
        lambda: net.predict(X, precision="tf32"),
        lambda: fitted("numpy", net, precision="bfloat16"),
        lambda: fitted("numpy", net, precision="tf32"),
    ):
        with pytest.raises(ConfigError, match="precision of the network alone"):
            call()
    with pytest.raises(ConfigError, match="networks of float32"):
        fitted("cuda", network(np.float64), precision="tf32")


def test_an_old_card_has_no_such_precision(monkeypatch):
    standin.install(monkeypatch, capability="75")
    with pytest.raises(ConfigError, match=r"compute capability 8.0 .* has 7\.5"):
        fitted("cuda", fc.mlp([5, 1], seed=0), precision="tf32")
    fitted("cuda", fc.mlp([5, 1], seed=0))


# --- a user's own code ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Double(fc.Layer):
    n_in: int
    n_out = property(lambda self: self.n_in)
    name = "double_on_a_card"

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, 2, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            c.xp.multiply(dy, 2, out=dx)


class HostDouble(Double):
    name = "double_on_the_host"

    def forward(self, p, x, c, y, *, train):
        y[...] = np.multiply(np.asarray(x), 2)


@dataclass(frozen=True)
class Own(fc.Optimizer):
    lr: float = 0.01
    name = "own_on_a_card"
    slots = ("v",)

    def update(self, theta, g, s, c, *, lr, step, decays):
        s.v = s.v * 0.9 + g
        theta -= c.xp.multiply(s.v, lr / (1 - 0.9**step))


class Natural(fc.SGD):
    """Written as on paper: what is computed with the rate and the step needs no function of c.xp."""

    name = "natural"

    def update(self, theta, g, s, c, *, lr, step, decays):
        theta -= lr / (1 + 0.1 * step) * g
        theta *= 1 - 0.01 * lr


class Looking(Own):
    name = "looking_at_the_step"

    def update(self, theta, g, s, c, *, lr, step, decays):
        if step == 1:
            theta -= g * lr


def test_a_layer_and_an_optimizer_of_ones_own():
    def make():
        return fc.Network([fc.Dense(5, 4, "tanh"), Double(4), fc.Dense(4, 1)], dtype=np.float64, seed=0)

    assert_same({"optimizer": Own(0.001)}, make)
    assert_same({"optimizer": Natural(0.001), "schedule": fc.CosineDecay(3)}, make)


def test_what_is_not_for_arrays_of_a_card_is_explained():
    layers = [fc.Dense(5, 4), HostDouble(4), fc.Dense(4, 1)]
    net = fc.Network(layers, seed=0)
    before = net.theta.copy()
    with pytest.raises(ConfigError, match=r"HostDouble is given arrays of CuPy.*c\.xp.*engine='numpy'"):
        fitted("cuda", net)
    with pytest.raises(ConfigError, match="HostDouble"):
        net.predict(X, engine="cuda")
    with pytest.raises(ConfigError, match="HostDouble"):
        net.gradients(X, T, LOSS, engine="cuda")
    with pytest.raises(ConfigError, match="may not compare them"):
        fitted("cuda", fc.mlp([5, 1], seed=0), optimizer=Looking())
    assert np.array_equal(net.theta, before)


# --- no GPU, or not enough of it --------------------------------------------------------------------------------------


def test_without_cupy_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert fc.engines()["cuda"].about.endswith("pip install 'fullyconnected[cuda]'")
    for call in (lambda: fitted("cuda"), lambda: network().predict(X, engine="cuda")):
        with pytest.raises(ConfigError, match=r"pip install 'fullyconnected\[cuda\]'"):
            call()
    assert fitted("auto")[1].engine != "cuda"


def test_a_gpu_has_to_be_named():
    assert fitted("auto")[1].engine != "cuda"


@pytest.mark.parametrize(
    ("error", "driver", "said"),
    [
        ("cudaErrorNoDevice: no CUDA-capable device is detected", 13000, "sees no GPU"),
        ("cudaErrorInsufficientDriver: too old", 11040, r"driver is for CUDA 11\.4, and CuPy for CUDA 12\.9"),
        ("cudaErrorInsufficientDriver: too old", 0, "no NVIDIA driver"),
        ("cudaErrorUnknown: something", 13000, "CUDA cannot be used: cudaErrorUnknown"),
    ],
)
def test_why_there_is_no_gpu(cupy, monkeypatch, error, driver, said):
    runtime = cupy.cuda.runtime

    def fails():
        found = runtime.CUDARuntimeError(100)
        found.args = (error,)
        raise found

    monkeypatch.setattr(runtime.CUDARuntimeError, "__str__", lambda self: self.args[0])
    monkeypatch.setattr(runtime, "getDeviceCount", fails)
    monkeypatch.setattr(runtime, "driverGetVersion", lambda: driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert re.search(said, fc.engines()["cuda"].about)
    with pytest.raises(ConfigError, match=said):
        fitted("cuda")


def test_too_little_memory_says_how_much_is_wanted(monkeypatch):
    standin.install(monkeypatch, memory=1 << 25)
    x = np.zeros((1_000_000, 5))
    net = network()
    before = net.theta.copy()
    with pytest.raises(ConfigError, match=r"1000000 rows.* take 0.0\d+ GB .* free. .*batch_size.*window="):
        fitted("cuda", net, x=x, t=x[:, 0], batch_size=128)
    assert np.array_equal(net.theta, before)
    fitted("cuda", x=x[:1000], t=x[:1000, 0], batch_size=32)
    with pytest.raises(ConfigError, match="memory of"):
        network().predict(np.zeros((300_000, 5)), engine="cuda")


def test_what_a_run_has_taken_is_free_when_it_has_ended(cupy):
    """At once, not when Python collects garbage: else the next of many runs would be refused."""
    net, x = network(), np.zeros((50_000, 5))
    gc.collect()
    gc.disable()
    try:
        used = []
        for _ in range(4):
            fitted("cuda", x=x, t=x[:, 0], epochs=1, batch_size=25_000)
            net.predict(x, engine="cuda")
            used.append(cupy.get_default_memory_pool().used_bytes())
        assert used[0] == used[-1] < 10e6  # what cuBLAS works with
    finally:
        gc.enable()


def test_threads_that_end_leave_what_they_worked_with_to_others(cupy):
    net, free = network(), []
    for _ in range(4):
        work = lambda: free.append((net.predict(X, engine="cuda"), cupy.cuda.Device().mem_info))  # noqa: E731
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        gc.collect()
    assert free[1][1] == free[-1][1]
    wanted = net.predict(X)
    for found, _ in free:
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_two_threads_train_and_predict_at_once(cupy):
    wanted, other = fitted("cuda")[0], network()
    predicted = other.predict(X)

    def work(_):
        net = fitted("cuda")[0]
        return net.theta, other.predict(X, engine="cuda")

    with ThreadPoolExecutor(4) as threads:
        for theta, z in threads.map(work, range(8)):
            np.testing.assert_array_equal(theta, wanted.theta)
            np.testing.assert_allclose(z, predicted, rtol=1e-9, atol=1e-12)


def test_weights_that_a_schedule_changes_count():
    """A schedule may look at the network; whatever it does there, it does so before the weights go to the card."""
    thetas = []
    for engine in ("native", "cuda"):
        net = network()

        def schedule(epoch, net=net):
            net.params[-1].W = 0.5
            return 1.0

        fitted(engine, net, optimizer=fc.SGD(1e-9), schedule=schedule, epochs=1, batch_size=500)
        thetas.append(net.params[-1].W.copy())
    np.testing.assert_allclose(*thetas, atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_is_told_to_be_started_otherwise(monkeypatch):
    fitted("cuda", epochs=1)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ConfigError, match=r"forked.*spawn"):
        fitted("cuda", epochs=1)
    assert "forked" in fc.engines()["cuda"].about


def test_a_recording_that_breaks_off_leaves_the_next_run_alone(cupy, monkeypatch):
    begin = cupy.cuda.Stream.begin_capture

    def interrupted(*args, **how):
        begin(*args, **how)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(cupy.cuda.Stream, "begin_capture", interrupted)
    assert fitted("cuda")[1].interrupted
    assert_same({})


def test_sparse_rows_are_refused_in_training_and_predicted_of():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csr_array(np.where(np.abs(X) > 1, X, 0))
    with pytest.raises(ConfigError, match="dense rows"):
        fitted("cuda", x=x)
    net = fc.mlp([5, 1], seed=0)
    np.testing.assert_allclose(net.predict(x, engine="cuda"), net.predict(x), rtol=1e-5, atol=1e-6)


def test_a_run_that_is_interrupted_leaves_the_epoch_before(cupy, monkeypatch):
    launch, left = cupy.cuda.Graph.launch, iter(range(40))

    def interrupted(*args, **how):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return launch(*args, **how)

    monkeypatch.setattr(cupy.cuda.Graph, "launch", interrupted)
    net, history = fitted("cuda", epochs=50)
    assert history.interrupted
    wanted, _ = fitted("numpy", epochs=len(history.loss))
    np.testing.assert_allclose(net.theta, wanted.theta, rtol=1e-6, atol=1e-9)


def test_missing_package_error_is_what_the_loader_raises(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingPackageError, match="cuda"):
        load()


def test_nothing_of_it_is_loaded_before_it_is_used():
    code = "import sys, fullyconnected as fc; fc.mlp([2, 1]).predict([[1.0, 2.0]]); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    of_cuda = {name for name in loaded if name.startswith("fullyconnected.engine.cuda.")}
    assert of_cuda == {"fullyconnected.engine.cuda.presence"}
