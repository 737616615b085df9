"""What processes do in tests of several: they train a network, and write down what they have; see test_processes.py.

python case.py FOLDER [SETTING=VALUE...]: values are Python's. ``x`` is "array", "parquet" or "estimator". The rank, the
process and what became of the network lie in FOLDER.
"""

import ast
import os
import signal
import sys
from pathlib import Path

import numpy as np

import fullyconnected as fc
from fullyconnected.comm.choice import choose

ROWS, N = 600, 6


def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, N)).astype(np.float32)
    return x, (np.sin(x[:, :2]).sum(axis=1) + 0.1 * rng.normal(size=ROWS)).astype(np.float32)


def network():
    layers = [fc.Dense(N, 16, "relu"), fc.BatchNorm(), fc.Dropout(0.2), fc.Dense(16, 16, "tanh"), fc.LayerNorm()]
    return fc.Network([*layers, fc.Dense(16, 1)], seed=1)


def main(folder, *given):
    given = {name: ast.literal_eval(value) for name, _, value in (each.partition("=") for each in given)}
    kind, comm = given.pop("x", "array"), given.pop("comm", "auto")
    (rank := choose(comm).rank), (size := choose(comm).size)
    (folder / f"pid-{rank}-{os.getpid()}").touch()
    x, t = rows()
    settings = {"epochs": 2, "batch_size": 32, "seed": 3, "progress": False, "warn": False, **given}
    if (path := settings.get("checkpoint")) is not None:
        settings["checkpoint"] = folder / path
    if "FAULT" in os.environ:
        settings["schedule"] = fault
    net = network()
    if kind == "parquet":
        x, t = fc.Parquet(folder / "rows.parquet", target="t"), None
    if kind == "estimator":
        how = {"hidden_layer_sizes": (16,), "max_iter": 5, "tol": 0, "early_stopping": True, "random_state": 0}
        model = fc.MLPRegressor(**how, comm=comm).fit(x, t)
        net, loss = model.network_, model.loss_curve_
    else:
        loss = fc.fit(net, x, t, "half_squared_error", fc.Adam(0.01), comm=comm, **settings).loss
    np.savez(folder / f"rank-{rank}.npz", theta=net.theta, state=net.state, loss=loss, size=size)


def fault(epoch):
    """Do what the environment says, at an epoch in one process, and leave the learning rate as it is."""
    rank, at, what = os.environ["FAULT"].split()
    if choose("auto").rank == int(rank) and epoch >= int(at):
        if what == "raise":
            raise LookupError("something of the caller's own went wrong")
        if what == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if what == "interrupt":
            raise KeyboardInterrupt
        if what == "exit":
            sys.exit(3)
        if what == "full":  # the standard output, whose last words must not keep the others waiting
            sys.stdout = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115
            sys.stdout.write("a line that cannot be written")
            raise LookupError("something of the caller's own went wrong")
    return 1.0


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
