"""A training step allocates nothing of batch or layer size, and prediction runs in bounded memory."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.core.arrays import allocate, bind_buffers
from fullyconnected.losses import LOSSES as known
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

ROWS, BATCH, WIDTH = 512, 128, 256
# One activation is BATCH * WIDTH * 4 = 131 kB, and theta 600 kB. What a step may take for a moment is less and does not
# grow with either: Python numbers, views, and NumPy's casting buffer of 8,192 entries, where a mask meets numbers.
ALLOWED = 40_000

NETWORKS = {
    "dense": lambda: [fc.Dense(WIDTH, WIDTH, "relu"), fc.Dense(WIDTH, WIDTH, "tanh"), fc.Dense(WIDTH, 10)],
    "gelu mish silu": lambda: [
        fc.Dense(WIDTH, WIDTH, "gelu"),
        fc.Dense(WIDTH, WIDTH, "mish"),
        fc.Dense(WIDTH, 10, "silu"),
    ],
    "dropout and norms": lambda: [
        fc.Dense(WIDTH, WIDTH, "elu"),
        fc.Dropout(0.2),
        fc.LayerNorm(),
        fc.RMSNorm(),
        fc.Dense(WIDTH, WIDTH, "selu"),
        fc.BatchNorm(),
        fc.Activation("leaky_relu"),
        fc.Dense(WIDTH, 10),
    ],
    "residual": lambda: [
        fc.Residual([fc.Dense(WIDTH, WIDTH, "softplus"), fc.Activation("sigmoid")]),
        fc.Dense(WIDTH, 10),
    ],
}
LOSSES = {
    "softmax_cross_entropy": "classes",
    "hinge": "classes",
    "half_squared_error": "numbers",
    "mean_squared_error": "numbers",
    "absolute_error": "numbers",
    "huber": "numbers",
    "quantile": "numbers",
    "poisson": "counts",
    "binary_cross_entropy": "bits",
}


def peak_of_an_epoch(layers, loss, optimizer, dtype=np.float32, x=None, **settings) -> int:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, WIDTH)).astype(dtype) * 0.1 if x is None else x
    t = {
        "classes": rng.integers(0, 10, ROWS),
        "numbers": rng.normal(size=(ROWS, 10)),
        "counts": rng.poisson(2.0, (ROWS, 10)),
        "bits": rng.integers(0, 2, (ROWS, 10)),
    }[LOSSES[known.get(loss).name]]
    run = Run(
        fc.Network(layers, seed=0), x, t, loss, optimizer, FitSettings(batch_size=BATCH, engine="numpy", **settings)
    )
    order = np.arange(ROWS - 7)  # with a short last batch
    run.trainer.epoch(order)  # what is made once is made here
    tracemalloc.start()
    try:
        run.trainer.epoch(order)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "binary_cross_entropy"])
def test_a_step_allocates_nothing_for_smoothed_and_weighted_labels(name) -> None:
    example = known.classes[name].example(10)
    assert peak_of_an_epoch([fc.Dense(WIDTH, 10)], example, fc.SGD(1e-3)) < ALLOWED


@pytest.mark.parametrize("network", NETWORKS)
def test_a_step_allocates_nothing_for_any_layer(network) -> None:
    assert peak_of_an_epoch(NETWORKS[network](), "softmax_cross_entropy", fc.SGD(1e-3)) < ALLOWED


def test_a_step_allocates_nothing_for_rows_that_codes_choose() -> None:
    codes = np.arange(-1, ROWS - 1)[:, None] % 50
    layers = [fc.Embedding(50, WIDTH), fc.Dense(WIDTH, 10)]
    assert peak_of_an_epoch(layers, "softmax_cross_entropy", fc.SGD(1e-3), x=codes) < ALLOWED


def test_a_step_allocates_nothing_for_columns_by_bins() -> None:
    layers = [
        fc.Dense(WIDTH, WIDTH),
        fc.PiecewiseLinearEncoding.example(WIDTH),
        fc.Dense(3 * WIDTH, WIDTH),
        fc.PiecewiseLinearEmbedding.example(WIDTH),
        fc.Dense(2 * WIDTH, 10),
    ]
    peak = peak_of_an_epoch(layers, "softmax_cross_entropy", fc.SGD(1e-3))
    assert peak < ALLOWED + 8192 * 4  # two numbers are compared to one mask, each in a casting buffer


@pytest.mark.parametrize("loss", [fc.SoftmaxCrossEntropy(), fc.Hinge()])
def test_the_outputs_of_the_right_classes_are_read_in_place(loss) -> None:
    """They are one number a row, of a loss that has many rows of few outputs."""
    rows = 50_000
    z, t = np.zeros((rows, 2), np.float32), np.arange(rows) % 2
    c = bind_buffers(allocate(wanted := loss.buffers(rows, 2), z.dtype), wanted, z.dtype)
    loss.terms(z, t, c, dz := np.empty_like(z))
    tracemalloc.start()
    try:
        loss.terms(z, t, c, dz)
        assert tracemalloc.get_traced_memory()[1] < 4 * rows
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_allocates_nothing_for_any_loss(loss) -> None:
    assert peak_of_an_epoch(NETWORKS["dense"](), loss, fc.SGD(1e-4)) < ALLOWED


@pytest.mark.parametrize("rule", [fc.SGD, fc.Momentum, fc.Nesterov, fc.RMSProp, fc.Adam, fc.AdamW])
def test_a_step_allocates_nothing_for_any_optimizer(rule) -> None:
    settings = {"l2": 1e-3, "max_grad_norm": 0.5, "schedule": fc.StepDecay(0.9)}
    assert peak_of_an_epoch(NETWORKS["dense"](), "half_squared_error", rule(1e-4), **settings) < ALLOWED


def test_a_step_allocates_nothing_for_an_average() -> None:
    peak = peak_of_an_epoch(NETWORKS["dropout and norms"](), "half_squared_error", fc.Adam(1e-4), average=fc.EMA(0.9))
    assert peak < ALLOWED


def test_a_step_allocates_nothing_with_weights_and_input_of_another_dtype() -> None:
    weights = np.random.default_rng(0).uniform(0.5, 2, ROWS)
    peak = peak_of_an_epoch(
        NETWORKS["dense"](), "half_squared_error", fc.SGD(1e-4), dtype=np.float64, sample_weight=weights
    )
    assert peak < ALLOWED + 8192 * 12  # the cast from float64 takes a casting buffer, too


def test_prediction_of_many_rows_takes_the_memory_of_few() -> None:
    net = fc.mlp([4, WIDTH, WIDTH, 1], seed=0)
    x = np.zeros((400_000, 4), np.float32)
    net.predict(x[:1])
    tracemalloc.start()
    try:
        z = net.predict(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - z.nbytes < 64e6  # one layer's activations of all rows alone are 400 MB


def test_twenty_thousand_predictions_do_not_grow() -> None:
    net = fc.mlp([10, 64, 1], seed=0)
    x = np.zeros((1, 10), np.float32)
    net.predict(x)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20_000):
            net.predict(x)
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


# Rows in files take twice as much as may be allocated while a network is trained on them, judged and predicts, and by
# night four times; and more than an estimator may, which has some numbers of each row.
IN_FILES = """
import os, re, resource, sys, threading, warnings
import numpy as np
import fullyconnected as fc
import fullyconnected.training.run

warnings.simplefilter("ignore")

kind, folder, allowed = sys.argv[1], sys.argv[2], int(sys.argv[3])

def told(what):
    with open("/proc/self/status") as file:
        return int(re.findall(rf"{what}:\\s+(\\d+) kB", file.read())[0]) * 1000

net = fc.mlp([50, 16, 1], seed=0)
x = np.zeros((100, 50), np.float32)
# what is loaded at first use, and the threads, count for nothing
fc.fit(net, x, x[:, :1], "half_squared_error", epochs=1, progress=False, n_threads=1)
if kind not in ("parquet", "classifier", "table"):
    table = np.load(os.path.join(folder, "table.npy"), mmap_mode="r")
    t = np.load(os.path.join(folder, "t.npy"), mmap_mode="r") if kind == "rows alone" else table[:, 50]
    source, of = (table[:, :50], t), "RssAnon"
else:
    import pyarrow
    pyarrow.set_cpu_count(1), pyarrow.set_io_thread_count(1)
    target, columns = "label" if kind == "classifier" else "t", [f"c{j}" for j in range(50)]
    small, rows = (fc.Parquet(folder + end, target, columns=columns) for end in (".small", ""))
    fc.fit(net, small, None, "half_squared_error", window=200, progress=False)
    if kind == "table":
        how = {"preset": "fast", "epochs": 1, "n_members": 2, "hidden": (8,), "random_state": 0, "n_jobs": 1}
        fc.TabularRegressor(**how).fit(small).score(small)
    if kind == "classifier":
        how = {"early_stopping": True, "scale": True, "max_iter": 2, "random_state": 0, "n_jobs": 1}
        fc.MLPClassifier((16,), **how).fit(small).score(small)
    source, of = (rows, None), "VmData"
    begun = told(of)
    resource.setrlimit(resource.RLIMIT_DATA, (begun + allowed, begun + allowed))
begun, most, done = told(of), 0, threading.Event()

def watch():
    global most
    while not done.wait(0.002):
        most = max(most, told(of) - begun)

threading.Thread(target=watch, daemon=True).start()
if kind == "classifier":
    fullyconnected.training.run.WINDOW = 20_000 * 50 * 4
    fc.MLPClassifier((16,), batch_size=10_000, **how).fit(rows).score(rows)
elif kind == "table":
    fc.TabularRegressor(**how).fit(rows).score(rows)
else:
    fc.fit(net, *source, "half_squared_error", epochs=2, window=20_000, batch_size=200, progress=False, n_threads=1)
    if kind not in ("rows alone", "parquet"):
        fc.fit(net, *source, "half_squared_error", epochs=1, batch_size=200, progress=False, n_threads=1)
    net.evaluate(*source, metrics=["r2"])
    net.predict(source[0])
    fc.Network([fc.Standardize(50), fc.Dense(50, 1)]).adapt(source[0])
done.set()
print(most)
"""
# two windows take 8 MB, or 32 MB where all rows are shuffled together, a thread 8 MB, what Arrow decodes of two row
# groups 26 MB, a number of each row 6 MB, and the order of all rows 12 MB
ALLOWED_OF_FILES = 75_000_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell a process's private memory")
@pytest.mark.parametrize(
    "kind",
    ["rows alone", "columns of the other byte order", "Fortran order", "parquet", "classifier", "table"],
)
def test_rows_in_files_may_be_larger_than_memory(tmp_path, kind, exhaustive):
    rows, columns, allowed = {"classifier": 1_500_000, "table": 900_000}.get(kind, 750_000), 50, ALLOWED_OF_FILES
    least = 4 if exhaustive else 2  # of the rows, of what is allowed
    dtype = np.dtype(np.float32).newbyteorder("S" if "byte order" in kind else "=")
    if kind in ("classifier", "table"):
        pytest.importorskip("sklearn")
        allowed += rows * {"classifier": 90, "table": 200}[kind]  # some numbers of each row
        least = 1.4
    elif exhaustive:
        rows *= 2
    if kind == "table":  # whose numbers are in float64
        pytest.importorskip("narwhals")
        dtype = np.dtype(np.float64)
    assert rows * columns * dtype.itemsize >= least * allowed
    rng = np.random.default_rng(0)
    t = rng.standard_normal(rows, np.float32)
    (folder := tmp_path / "rows").mkdir()
    if kind not in ("parquet", "classifier", "table"):
        shape = (rows, columns + (kind != "rows alone"))  # the targets are the last column
        order = {"fortran_order": kind == "Fortran order"}
        table = np.lib.format.open_memmap(folder / "table.npy", "w+", dtype, shape, **order)
        for start in range(0, rows, 50_000):
            table[start : start + 50_000] = rng.standard_normal((50_000, shape[1]), np.float32)
        table.flush()
        np.save(folder / "t.npy", t)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        for i in range(3):
            part = rng.standard_normal((rows // 3, columns), np.float32)
            here = t[i * (rows // 3) : (i + 1) * (rows // 3)]
            named = {f"c{j}": part[:, j] for j in range(columns)} | {"t": here, "label": here > 0}
            parquet.write_table(pyarrow.table(named), folder / f"{i}.parquet", row_group_size=20_000)
        parquet.write_table(pyarrow.table(named).slice(0, 1000), f"{folder}.small")
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", IN_FILES, kind, str(folder), str(allowed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf-8", timeout=240)
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) <= allowed
