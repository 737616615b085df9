"""Measure an epoch on sparse rows beside scikit-learn's, and a prediction of all rows, with one thread each.

An epoch is a fifth of a run of five, which begins with new weights.

python benchmarks/sparse.py [--rows 5000] [--columns 20000] [--density 0.001] [--hidden 50] [--rounds 9]
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.neural_network import MLPClassifier

import fullyconnected as fc

EPOCHS = 5


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(x: Any, t: Any, hidden: int, rounds: int) -> None:
    how: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 200, "progress": False, "warn": False}
    peer = MLPClassifier(hidden, solver="sgd", momentum=0, alpha=0, batch_size=200, max_iter=EPOCHS, tol=0)

    def network() -> fc.Network:
        return fc.mlp([x.shape[1], hidden, 1], seed=0, dtype=x.dtype)

    net = network()
    works = {
        "epoch": (lambda: fc.fit(network(), x, t, "binary_cross_entropy", fc.SGD(1e-3), **how), lambda: peer.fit(x, t)),
        "predict": (lambda: net.predict(x), lambda: peer.predict_proba(x)),
    }
    for what, (ours, theirs) in works.items():
        epochs = EPOCHS if what == "epoch" else 1
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds + 1)][1:]
        ours_ms, theirs_ms = (1e3 * statistics.median(column) / epochs for column in zip(*pairs, strict=True))
        ratios = sorted(b / a for a, b in pairs)
        print(
            f"{x.dtype.name} {what:8} fullyconnected {ours_ms:7.2f} ms, scikit-learn {theirs_ms:7.2f} ms, "
            f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in {"rows": 5000, "columns": 20_000, "hidden": 50, "rounds": 9}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--density", type=float, default=0.001)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's, that it has not converged
    t = np.random.default_rng(0).integers(0, 2, given.rows)
    for dtype in (np.float32, np.float64):
        x = sparse.random(given.rows, given.columns, given.density, "csr", dtype, random_state=0)
        compare(x, t, given.hidden, given.rounds)


if __name__ == "__main__":
    main()
