"""Measure the estimators beside scikit-learn's: time to train and to predict a row, memory, files and import.

    python benchmarks/estimators.py [--quick] [--only train,row,table,memory,files,import]

Both run with one thread, the same parameters and the same ``random_state``, and take turns; the first round warms up.
Times are medians of the rounds; a ratio is the median of the ratios of the rounds, with the lowest and the highest.
Memory is what a fit adds, at its highest, to the resident size of its process, which Linux tells in ``/proc``: each fit
runs in a process of its own, which has loaded the data from a file, and has fitted a few rows before.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from machine import processor
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_classification
from sklearn.neural_network import MLPClassifier, MLPRegressor

import fullyconnected as fc

DIGITS = {"hidden_layer_sizes": (64,), "batch_size": 32, "max_iter": 30, "n_iter_no_change": 30, "random_state": 0}
ROWS = {"tall": (100_000, 20), "wide": (5_000, 1_000)}  # the data whose memory is measured
IMPORTS = {
    "fullyconnected": "import fullyconnected as fc; fc.MLPClassifier",
    "scikit-learn": "from sklearn.neural_network import MLPClassifier",
}


def main() -> None:
    parts = {"train": train, "row": row, "table": table, "memory": memory, "files": files, "import": imports}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and a smaller table of 2,000 rows")
    parser.add_argument("--only", default=",".join(parts), help="the parts to run (default: %(default)s)")
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # that training has not converged
    if given.fit:
        print(added_by_a_fit(*given.fit))
        return
    print(f"{processor()}; Python {platform.python_version()}, NumPy {np.__version__}, one thread")
    print(f"fullyconnected {fc.__version__}, scikit-learn {sklearn.__version__}")
    for name in given.only.split(","):
        parts[name](given.quick)


def train(quick: bool) -> None:
    """Fit on digits with both engines, and on tables with defaults."""
    heading("fit, seconds", "ratio: theirs / ours")
    X, y = load_digits(return_X_y=True)
    ours = {engine: fc.MLPClassifier(**DIGITS, tol=0, engine=engine) for engine in ("native", "numpy")}
    theirs = MLPClassifier(**DIGITS, tol=0)
    rounds = 3 if quick else 9
    native, numpy, peer = in_turn(rounds, *(timed_fit(model, X / 16, y) for model in (*ours.values(), theirs)))
    compare("digits, 64 units, native engine", native, peer, "at least 8")
    compare("digits, 64 units, NumPy engine", numpy, peer, "at least 1.8")
    print(f"{'':34} largest difference of the losses: {np.ptp([m.loss_ for m in (*ours.values(), theirs)]):.1e}")
    tables = {
        "iris": ("MLPClassifier", load_iris(return_X_y=True)),
        "diabetes": ("MLPRegressor", load_diabetes(return_X_y=True)),
        "20,000 x 20": ("MLPClassifier", make_classification(2_000 if quick else 20_000, 20, random_state=0)),
    }
    for name, (kind, (X, y)) in tables.items():
        if name == "20,000 x 20":
            rounds = 2 if quick else 4
        ours_s, theirs_s = in_turn(rounds, *(timed_fit(m(random_state=0), X, y) for m in both(kind)))
        compare(f"{f'{len(X):,} x 20' if 'x' in name else name}, defaults", ours_s, theirs_s, "at least 4")


def row(quick: bool) -> None:
    """Predict one row with 10-64-64, and see where the time goes."""
    rounds, calls = (7, 300) if quick else (31, 1000)
    X, y = make_classification(500, 10, random_state=0)
    model, peer = (kind((64, 64), random_state=0, max_iter=5).fit(X, y) for kind in both("MLPClassifier"))
    x = X[:1].copy()
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model")
        predictor = fc.Predictor(f"{folder}/model")
    (W1, W2, W3), (b1, b2, b3) = model.coefs_, model.intercepts_

    def by_hand(x: np.ndarray) -> np.ndarray:
        h = np.maximum(x @ W1 + b1, 0)
        h = np.maximum(h @ W2 + b2, 0)
        p = 1 / (1 + np.exp(-(h @ W3 + b3)))
        return np.hstack([1 - p, p])

    net, loss, reader, z = model.network_, model._loss_, model._label_reader, model.decision_function(x)[:, None]
    np.testing.assert_allclose(by_hand(x), model.predict_proba(x), rtol=1e-9)
    works = {
        "fullyconnected": lambda: model.predict_proba(x),
        "scikit-learn": lambda: peer.predict_proba(x),
        "Predictor": lambda: predictor.predict_proba(x),
        "NumPy, written by hand": lambda: by_hand(x),
        "checks and network": lambda: model._outputs(x),
        "network": lambda: net.predict(x),
        "probabilities": lambda: reader.probabilities(z, loss.link.predictions(z)),
    }
    measured = in_turn(rounds, *(partial(microseconds, work, calls) for work in works.values()))
    times = dict(zip(works, measured, strict=True))
    heading("predict_proba of one row, 10-64-64, us", "ratio: ours / theirs")
    compare("MLPClassifier", times["fullyconnected"], times["scikit-learn"], "at most 0.25", ours_over_theirs=True)
    compare("Predictor, NumPy by hand", times["Predictor"], times["NumPy, written by hand"], "at most 2", True)
    whole, checked, network, shares = (
        statistics.median(times[name]) for name in ("fullyconnected", "checks and network", "network", "probabilities")
    )
    print(
        f"{'':34} of MLPClassifier's {whole:.1f} us: checks of the input {checked - network:.1f}, "
        f"network {network:.1f}, probabilities {shares:.1f}, calls {whole - checked - shares:.1f}"
    )


def table(quick: bool) -> None:
    """Predict one row of a table, 15 numbers and 5 categories, with the default ensemble, and its products in NumPy."""
    rounds, calls = (7, 100) if quick else (31, 300)
    rng = np.random.default_rng(0)
    columns = {f"n{i}": rng.normal(size=1000).tolist() for i in range(15)}
    columns |= {f"c{i}": rng.choice(list("abcdefgh"), 1000).tolist() for i in range(5)}
    model = fc.TabularClassifier(epochs=1, random_state=0).fit(columns, np.array(columns["n0"]) > 0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model")
        predictor = fc.Predictor(f"{folder}/model")
    one = {name: cells[0] for name, cells in columns.items()}
    weights = []
    for net in model.ensemble_.networks:
        members: Any = net.layers[1]
        made = [rng.normal(size=(members.k, each.n_in, each.n_out)).astype(np.float32) for each in members.layers]
        x = rng.normal(size=(1, 1, made[0].shape[1])).astype(np.float32)
        weights.append((x[0], np.hstack(list(made[0])), members.k, made[1:]))
    W1, W2, W3 = (rng.normal(size=shape) for shape in ((10, 64), (64, 64), (64, 1)))
    few = rng.normal(size=(1, 10))

    def products() -> None:
        for x, first, k, others in weights:
            h = (x @ first).reshape(k, 1, -1)
            for W in others:
                h = h @ W

    def forward() -> np.ndarray:
        h = np.maximum(np.maximum(few @ W1 + 1, 0) @ W2 + 1, 0)
        p = 1 / (1 + np.exp(-(h @ W3 + 1)))
        return np.hstack([1 - p, p])

    works = (lambda: predictor.predict_proba(one), products, forward)
    ours, bare, small = in_turn(rounds, *(partial(microseconds, work, calls) for work in works))
    bound = [1.5 * b + 2 * s for b, s in zip(bare, small, strict=True)]
    heading(
        "predict_proba of one row of a table, us", "ratio: ours / 1.5 times the products and two forwards of 10-64-64"
    )
    compare("Predictor, 20 columns", ours, bound, "at most 1", ours_over_theirs=True)


def memory(quick: bool) -> None:
    """Fit in processes of their own."""
    heading("memory that a fit adds, MB", "ratio: ours / theirs")
    with tempfile.TemporaryDirectory() as folder:
        for name, (rows, columns) in ROWS.items():
            X, y = make_classification(rows, columns, random_state=0)
            np.savez(f"{folder}/{name}.npz", X=X, y=y)
            for stopping in ("", "early stopping"):
                works = (partial(fit_elsewhere, who, f"{folder}/{name}.npz", stopping) for who in IMPORTS)
                ours, theirs = in_turn(1 if quick else 5, *works)
                what = f"{rows:,} x {columns:,}, {stopping or 'defaults'}"
                compare(what, ours, theirs, "at most 1", ours_over_theirs=True)


def fit_elsewhere(who: str, path: str, stopping: str) -> float:
    command = [sys.executable, __file__, "--fit", who, path, "3", stopping]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def added_by_a_fit(who: str, path: str, epochs: str, stopping: str) -> float:
    """Return by how many MB the largest resident size of this process is higher after a fit."""
    kind = fc.MLPClassifier if who == "fullyconnected" else MLPClassifier
    with np.load(path) as file:
        X, y = file["X"], file["y"]
    settings = {"random_state": 0, "early_stopping": bool(stopping)}
    kind(max_iter=2, **settings).fit(X[:100], y[:100])
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the highest size becomes that of now
    before = highest_size()
    kind(max_iter=int(epochs), **settings).fit(X, y)
    return highest_size() - before


def highest_size() -> float:
    """Return the largest resident size that this process has had, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def files(quick: bool) -> None:
    """Save and pickle a fitted classifier."""
    del quick  # it takes no time
    heading("size over that of the weights", "save at most 1.1, pickle at most 3.3")
    rng = np.random.default_rng(0)
    for sizes in ((64, 64, 10), (100, 200, 100, 5)):
        X, y = rng.normal(size=(300, sizes[0])), rng.integers(0, sizes[-1], 300)
        model, peer = (kind(sizes[1:-1], random_state=0, max_iter=30).fit(X, y) for kind in both("MLPClassifier"))
        weights = model.network_.theta.nbytes
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model")
            saved = Path(f"{folder}/model").stat().st_size
        ours, theirs = (len(pickle.dumps(each)) / weights for each in (model, peer))
        print(
            f"{'-'.join(map(str, sizes)):34} save {saved / weights:.2f}, pickle {ours:.2f}, scikit-learn's pickle "
            f"{theirs:.2f}; the weights have {weights / 1000:,.0f} kB"
        )


def imports(quick: bool) -> None:
    """Import the classifier in new processes, after NumPy; what the first round compiles is kept, as for any user."""
    heading("import of MLPClassifier, seconds", "difference: ours - theirs")
    ours, theirs = in_turn(3 if quick else 15, *(partial(import_elsewhere, code) for code in IMPORTS.values()))
    differences = sorted(a - b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{'after NumPy':34} ours {spread(ours)}, theirs {spread(theirs)}, difference "
        f"{statistics.median(differences):+.3f} ({differences[0]:+.3f} to {differences[-1]:+.3f}); at most +0.05"
    )


def import_elsewhere(code: str) -> float:
    timed = f"import time, numpy; began = time.perf_counter()\n{code}\nprint(time.perf_counter() - began)"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", timed]
    return float(subprocess.run(command, env=kept, capture_output=True, text=True, check=True).stdout)


def both(kind: str) -> tuple[Any, Any]:
    """Return the library's class and scikit-learn's."""
    return getattr(fc, kind), {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[kind]


def timed_fit(model: Any, X: np.ndarray, y: np.ndarray) -> Callable[[], float]:
    """Return a function that fits the model, and returns how many seconds that takes."""

    def fit() -> float:
        began = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - began

    return fit


def microseconds(work: Callable[[], Any], calls: int) -> float:
    return 1e6 * timeit.timeit(work, number=calls) / calls


def in_turn(rounds: int, *works: Callable[[], float]) -> list[tuple[float, ...]]:
    """Return what each of the works measures in each round; they take turns, and the first round does not count."""
    return list(zip(*[[work() for work in works] for _ in range(rounds + 1)][1:], strict=True))


def heading(what: str, ratio: str) -> None:
    print(f"\n{what} ({ratio})")


def spread(values: tuple[float, ...]) -> str:
    digits = 1 if min(values) >= 1 else 3
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def compare(
    what: str, ours: tuple[float, ...], theirs: tuple[float, ...], target: str, ours_over_theirs: bool = False
) -> None:
    """Print both medians and their ratio, with the target."""
    pairs = zip(*((ours, theirs) if ours_over_theirs else (theirs, ours)), strict=True)
    ratios = sorted(a / max(b, 1e-12) for a, b in pairs)
    print(
        f"{what:34} ours {spread(ours)}, theirs {spread(theirs)}, "
        f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}); {target}",
        flush=True,
    )


if __name__ == "__main__":
    main()
