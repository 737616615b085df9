"""Processes that are killed at any moment. A script, run by the tests beside it, for here processes are forked.

``killing.py calls FOLDER``, ``killing.py saves FOLDER TIMES SEED`` and ``killing.py trains FOLDER TIMES SEED`` print
how many processes they have killed, or fail; ``killing.py train NAME FOLDER`` is one run, for whoever kills it.
"""

import os
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np

import fullyconnected as fc
from fullyconnected.files import atomic


def dies(work, delay=None):
    """Do the work in another process and kill that ``delay`` seconds after it has begun; say whether it was killed."""
    begun, begins = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(begins, b".")
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(begins)
    os.read(begun, 1)
    os.close(begun)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit("the process failed by itself")
    return os.WIFSIGNALED(status)


def which(path, nets):
    """Return which of the networks a file holds, whole."""
    theta = fc.load(path).theta
    (found,) = (i for i, net in enumerate(nets) if (theta == net.theta).all())
    return found


def calls(folder):
    """Kill a process that saves at each call in turn with which it touches files: the file is old, then new."""
    path, found, died = folder / "net.safetensors", [], True
    nets = [fc.mlp([100, 300, 10], seed=seed) for seed in (0, 1)]

    def work():
        left = len(found) + 1

        def count(frame, event, argument):
            nonlocal left
            left -= event == "c_call" and frame.f_code.co_filename == atomic.__file__
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        nets[1].save(path)
        sys.setprofile(None)

    while died:
        nets[0].save(path)
        died = dies(work)
        found.append(which(path, nets))
        for left in folder.glob(".*.tmp"):
            left.unlink()
    assert found == sorted(found)
    assert {*found[:-1]} == {0, 1}, "no process was killed before the file took its name, or none after it"
    return f"{len(found) - 1} kills, {found.count(0)} of them before the file was the new one"


def saves(folder, times, seed):
    """Kill a process that saves two networks in turn; the file is always one of the two."""
    path, draw = folder / "net.safetensors", random.Random(seed)
    nets = [fc.mlp([100, 300, 10], seed=seed) for seed in (0, 1)]
    began = time.perf_counter()
    nets[0].save(path)
    took = time.perf_counter() - began

    def work():
        while True:
            for net in nets[::-1]:
                net.save(path)

    found = set()
    for kills in range(1, 100 * times):
        assert dies(work, draw.uniform(0, 5 * took))
        found.add(which(path, nets))
        if kills >= times and len(found) == 2:  # on a busy machine it can take more of them until both were met
            break
    assert found == {0, 1}, "no process came to saving"
    left = len(list(folder.iterdir())) - 1
    return f"{kills} kills, {left} of them in the midst of a save"


def constant(rng, shape, fan_in, fan_out):
    return np.full(shape, 0.1) + 0.01 * rng.random(shape)


def slower(epoch):
    return 1 / (1 + epoch)


TABLE = np.random.default_rng(0).normal(size=(1500, 12))
CLASSES = (TABLE[:, 0] * TABLE[:, 1] > 0).astype(int)
HELD = (TABLE[:200] + 0.1, CLASSES[:200])
DEEP = [fc.Dense(12, 32, "relu"), fc.BatchNorm(), fc.Dropout(0.2), fc.Dense(32, 2)]
PLAIN = [fc.Dense(12, 24, "tanh"), fc.Dense(24, 2)]
BLOCK = [fc.Dense(12, 16), fc.Residual([fc.LayerNorm(), fc.Dense(16, 16, "gelu"), fc.Dropout(0.1)]), fc.Dense(16, 2)]
CODED = np.column_stack([TABLE[:, :10], np.abs(TABLE[:, 10:]).round()])
STAGE = fc.Columns(
    [
        (range(10), fc.Standardize.fit(TABLE[:, :10], clip=True)),
        (10, fc.Embedding(5, 3)),
        (11, [fc.OneHot(5), fc.Dense(5, 4, "tanh")]),
    ]
)
COLUMNS = [STAGE, fc.Dense(17, 16, "relu"), fc.Dropout(0.1), fc.Dense(16, 2)]
TABM = [
    fc.Standardize(12),
    fc.PiecewiseLinearEmbedding(bins=6, size=2),
    fc.Members(3, [fc.Dense(24, 16, "relu"), fc.Dropout(0.1), fc.BatchNorm(), fc.Dense(16, 2)]),
]
SHARES = [fc.Standardize(12, robust=True, clip=True), fc.PiecewiseLinearEncoding(bins=2)]
PACKED = [
    fc.Columns([(range(12), SHARES), (range(12), fc.Standardize(12))]),
    fc.Members(3, [fc.Dense(36, 16, "relu"), fc.Dense(16, 16, "relu"), fc.Dense(16, 2)], "packed"),
]
NTK = {"parametrization": "ntk"}
REALMLP = [
    fc.Columns(
        [
            (range(10), fc.Standardize(10, robust=True, clip=True)),
            (10, [fc.OneHot(5), fc.Standardize(5, robust=True, clip=True)]),
            (11, fc.Embedding(5, 3)),
        ]
    ),
    fc.Scale(18),
    fc.Dense(18, 16, "selu", init="lecun_normal", bias_init=1.0, **NTK),
    fc.Dense(16, 2, init="zeros", **NTK),
]
DRAWN = [fc.Dense(12, 2, init=constant)]
KNOWN = {"init": "unit_variance", "bias_init": "he+5"}
ADAPTS = [fc.Standardize(12, clip=True), fc.Dense(12, 24, "selu", **KNOWN), fc.Dropout(0.3), fc.Dense(24, 2, **KNOWN)]
RUNS = {
    "everything": (
        DEEP,
        {
            "optimizer": fc.Adam(0.01),
            "patience": 5,
            "validation": HELD,
            "schedule": fc.CosineDecay(12),
            "l2": 0.01,
            "max_grad_norm": 1.0,
        },
    ),
    "patience ends it": (
        DEEP,
        {"optimizer": fc.Adam(0.05), "patience": 1, "validation": HELD, "metrics": ["accuracy"], "epochs": 100},
    ),
    "best of training": (PLAIN, {"optimizer": fc.SGD(2.0), "patience": 3}),
    "blocks": (BLOCK, {"optimizer": fc.AdamW(0.01), "schedule": fc.Warmup(3, then=slower)}),
    "float64": (DEEP, {"dtype": np.float64, "optimizer": fc.AdamW(0.01), "max_grad_norm": 0.5}),
    "weights": (PLAIN, {"optimizer": fc.Momentum(0.05), "sample_weight": np.arange(1500) % 3}),
    "rows in order": (PLAIN, {"optimizer": fc.Nesterov(0.05), "shuffle": False, "batch_size": 100}),
    "one batch": (DEEP, {"optimizer": fc.RMSProp(0.01), "batch_size": 1500, "epochs": 60}),
    "a generator's seed": (DEEP, {"optimizer": fc.Adam(0.01), "seed": "generator"}),
    "a fresh seed": (DEEP, {"optimizer": fc.Adam(0.01), "seed": None}),
    "an initializer": (DRAWN, {"optimizer": fc.SGD(0.1), "schedule": lambda epoch: 0.9**epoch}),
    "moving average": (DEEP, {"optimizer": fc.Adam(0.01), "average": fc.EMA(0.99), "patience": 9, "validation": HELD}),
    "mean of epochs": (DEEP, {"optimizer": fc.Adam(0.01), "average": fc.SWA(2), "validation": HELD}),
    "two optimizers": (BLOCK, {"optimizer": fc.Muon(0.02, rest=fc.Adam(0.01)), "max_grad_norm": 1.0}),
    "frozen layers": (
        DEEP,
        {"optimizer": fc.AdamW(0.01), "factors": fc.Factors(lr={"first": 0, "bias": 0.1}, weight_decay={"last": 2})},
    ),
    "RealMLP": (
        REALMLP,
        {
            "x": CODED,
            "optimizer": fc.Adam(0.04, beta2=0.95),
            "schedule": fc.LogCosine(4),
            "factors": fc.Factors(lr={"scale": 6, "bias": 0.1}),
        },
    ),
    "TabM": (TABM, {"optimizer": fc.AdamW(0.01), "patience": 9, "validation": HELD}),
    "stacks of matrices": (PACKED, {"optimizer": fc.Muon(0.02, weight_decay=0.1)}),
    "columns": (COLUMNS, {"x": CODED, "optimizer": fc.AdamW(0.01), "l2": 0.01}),
    "from the data": (
        ADAPTS,
        {
            "optimizer": fc.AdamW(0.02, weight_decay=0.1),
            "schedule": fc.CosineDecay(14),
            "weight_decay_schedule": slower,
            "dropout_schedule": fc.Warmup(3, then=slower),
        },
    ),
    "a metric that is not a number": (PLAIN, {"optimizer": "adam", "metrics": [lambda z, t: float("nan")]}),
}


def run(name, checkpoint, **changes):
    """Train as ``name`` says, going on from the checkpoint where there is one; return the network and its history.

    The checkpoint is written after every epoch, so that a run that is killed over and over comes to its end.
    """
    layers, settings = RUNS[name]
    settings = (
        {"epochs": 15, "batch_size": 32, "seed": 3, "progress": False, "checkpoint_every": 1} | settings | changes
    )
    if settings["seed"] == "generator":
        settings["seed"] = np.random.default_rng(9)
    net, x = (
        fc.Network(layers, seed=settings["seed"], dtype=settings.pop("dtype", np.float32)),
        settings.pop("x", TABLE),
    )
    return net, fc.fit(net, x, CLASSES, "softmax_cross_entropy", checkpoint=checkpoint, **settings)


def train(name, folder):
    """Train, and write down what came out."""
    net, history = run(name, folder / "run")
    net.save(folder / "net")
    (folder / "history").write_text(repr(history), encoding="utf-8")


def trains(folder, times, seed):
    """Kill runs and start them again, until they end: with the bits of those that were let alone."""
    kills, draw = 0, random.Random(seed)
    for name in RUNS:
        alone, killed = folder / name / "alone", folder / name / "killed"
        killed.mkdir(parents=True)
        if name == "a fresh seed":  # it is drawn when a run begins: both go on from that
            run(name, killed / "run", epochs=1)
        shutil.copytree(killed, alone)
        began = time.perf_counter()
        train(name, alone)
        took = time.perf_counter() - began
        for _ in range(times):
            if not dies(lambda: train(name, killed), draw.uniform(0, 0.2 * took)):  # noqa: B023
                break
            kills += 1
        else:
            train(name, killed)
        for file in ("run", "net", "history"):
            assert (killed / file).read_bytes() == (alone / file).read_bytes(), f"{name}: {file} differs"
    return f"{kills} kills in {len(RUNS)} runs"


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(sys.argv[2], Path(sys.argv[3]))
    else:
        folder, *numbers = sys.argv[2:]
        sys.stdout.write(
            {"calls": calls, "saves": saves, "trains": trains}[sys.argv[1]](Path(folder), *map(int, numbers))
        )
