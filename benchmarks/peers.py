"""Compare the library with scikit-learn, PyTorch, JAX and ONNX Runtime: training steps, predictions, a small job.

    python benchmarks/peers.py [train] [tables] [predict] [xor] [products]
        [--networks 0,1,2,3,4,5] [--rounds 15] [--threads 2]

Every contender runs in its own process, with the same initial weights and rows. The benchmark first checks that all
compute the same losses of three steps, or the same predictions. Then they take turns, in a random order each round: one
is timed for a fraction of a second while all others are stopped. A step includes gathering the rows, forward, loss,
backward and update, in the loop that a user would write for speed. A measurement during which other programs used the
processors is repeated. The tables give medians over the rounds, in microseconds, and the median of the rounds' ratios
to the fastest peer of the same round, with the lowest and the highest. ``products`` multiplies matrices of the shapes
of these steps, beside MKL and OpenBLAS (peers_products.py).

Needs the dependency group ``peers``. Libraries that are not installed are left out, and named below the table.
"""

import argparse
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from machine import caches, processor
from peers_case import RULES, TABLES, TRAINED, USED, Absent, Case
from peers_print import figure, head, installed, row, spread
from peers_products import products
from peers_worker import Worker, one_round, started

try:
    from fullyconnected import _native
except ImportError:
    _native = None

CONTENDERS = {  # all must compute the same as the first
    "numpy": ("NumPy engine", "peers_ours.NumPy"),
    "native": ("native engine", "peers_ours.Native"),
    "sklearn": ("scikit-learn", "peers_sklearn.MLP"),
    "torch": ("PyTorch", "peers_torch.Eager"),
    "compiled": ("PyTorch compiled", "peers_torch.Compiled"),
    "jit": ("JAX jit", "peers_jax.Jit"),
    "scan": ("JAX scan", "peers_jax.Scan"),
    "onnx": ("ONNX Runtime", "peers_onnx.Session"),
    "bare": ("bare NumPy", "peers_ours.Bare"),
}
OURS = ("numpy", "native")
KNOWS_TABLES = ("numpy", "native", "torch", "compiled")
ABSTAIN = {"train": ("onnx", "bare"), "predict": ("scan",)}
WHOLE = ("ours", "numpy_engine", "bare", "sklearn", "torch", "jax")  # functions of peers_xor.py
SLOW = 5.0  # seconds: a whole job that takes longer is run only three times
JOBS = ("train", "tables", "predict", "xor", "products")
PACKAGES = ("numpy", "scikit-learn", "torch", "jax", "onnxruntime", "mkl")


class Rounds(NamedTuple):
    """Measurements of a case by round: microseconds of each contender, and GFLOP/s of the peak and of the products."""

    us: dict[str, list[float]]
    peak: list[float]
    products: list[float]

    def ratio(self) -> str:
        """Return the native engine's time divided by that of the fastest peer of the same round."""
        peers = [times for peer, times in self.us.items() if peer not in OURS]
        if "native" not in self.us or not peers:
            return "-"
        return spread([ours / min(theirs) for ours, *theirs in zip(self.us["native"], *peers, strict=True)])

    def shares(self, flops: int) -> list[str]:
        """Return the share of the peak that the native engine reaches in a step, and in its products alone."""
        if "native" not in self.us or not self.peak:
            return ["-", "-"]
        step = flops / median(self.us["native"]) / 1e3
        return [f"{reached / max(self.peak):.0%}" for reached in (step, median(self.products))]


class Bench:
    """Runs the contenders in turns, and prints the tables."""

    def __init__(self, workers: dict[str, Worker], arguments: argparse.Namespace) -> None:
        self.workers, self.arguments = workers, arguments
        self.notes: dict[str, None] = {}  # an ordered set
        self.slices = self.again = 0

    def names(self, job: str) -> list[str]:
        return [name for name in self.workers if name not in ABSTAIN[job]]

    def run(self, case: Case) -> Rounds:
        """Time the contenders on a case, in turns."""
        rounds = Rounds({name: [] for name in self.ready(case)}, [], [])
        for _ in range(self.arguments.rounds):
            if _native and case.job == "train":
                seconds = [_native.product_seconds(*product, 3) for product in case.products]
                rounds.products.append(case.flops / sum(seconds) / 1e9)
                rounds.peak.append(_native.fma_peak(case.threads))
            for name, answer in one_round(self.workers, rounds.us, title(case)):
                rounds.us[name].append(answer.us)
                self.slices, self.again = self.slices + 1, self.again + answer.spoilt
        return rounds

    def ready(self, case: Case) -> Iterator[str]:
        """Send the case to all; yield those that compute the same as the first, and note why others do not."""
        expected = None
        for name in self.names(case.job):
            if case.recipe and name not in KNOWS_TABLES:
                continue
            worker = self.workers[name]
            answer = worker.ask("load", case) or worker.ask("check")
            if isinstance(answer, str):
                self.note(case, name, answer)
            elif not isinstance(answer, Absent):
                expected = answer if expected is None else expected
                if not np.abs(np.subtract(answer, expected)).max() <= 1e-4 * np.abs(expected).max():
                    answer = Absent(f"it computes {answer} where {expected} is right")
            if not isinstance(answer, Absent):
                answer = worker.ask("fill", self.arguments.slice)
            if isinstance(answer, Absent):
                self.note(case, name, answer.reason)
            else:
                yield name

    def note(self, case: Case, name: str, text: str) -> None:
        self.notes[f"{CONTENDERS[name][0]}{' with ' + title(case) if case.xor else ''}: {text}"] = None

    def train(self) -> None:
        """Print the table of training steps."""
        names, peaks = self.names("train"), []
        last = ["native / best peer", "its FLOPs, of FMA peak", "its products alone"]
        head(["network", "batch", "rule", *(CONTENDERS[name][0] for name in names), *last])
        for i in self.arguments.networks:
            sizes, batch, rows = TRAINED[i]
            for rule in RULES:
                case = Case("train", sizes, batch, self.arguments.threads, rule, rows)
                rounds = self.run(case)
                times = [figure(rounds.us.get(name)) for name in names]
                row([title(case), batch, rule, *times, rounds.ratio(), *rounds.shares(case.flops)])
                peaks += rounds.peak
        if peaks:
            print(f"\nFMA peak, {self.arguments.threads} threads: {spread(peaks, '.0f')} GFLOP/s.", end="")
        self.end()

    def tables(self) -> None:
        """Print the table of training steps of networks for tables: 64 columns, three layers of 256, 10 classes."""
        names = [name for name in self.workers if name in KNOWS_TABLES]
        head(["network", "batch", *(CONTENDERS[name][0] for name in names), "native / best peer", "memory, MiB"])
        for recipe in TABLES:
            case = Case("train", (64, 256, 256, 256, 10), 256, self.arguments.threads, "Adam", 8192, recipe)
            rounds = self.run(case)
            memory = ""  # a process tells the most that it has held, which is that of the first network
            if recipe == TABLES[0]:
                asked = {CONTENDERS[name][0]: self.workers[name].ask("memory") for name in rounds.us}
                memory = ", ".join(f"{name} {most:.0f}" for name, most in asked.items())
            row([recipe, case.batch, *(figure(rounds.us.get(name)) for name in names), rounds.ratio(), memory])
        self.end()

    def predict(self) -> None:
        """Print the table of predictions."""
        names = self.names("predict")
        head(["network", "rows", *(CONTENDERS[name][0] for name in names), "native / best peer"])
        for sizes in USED:
            for batch in (1, 1024):
                case = Case("predict", sizes, batch, self.arguments.threads)
                rounds = self.run(case)
                row([title(case), batch, *(figure(rounds.us.get(name)) for name in names), rounds.ratio()])
        self.end()

    def end(self) -> None:
        """Print the notes below a table."""
        notes = [
            f"{self.slices} measurements; {self.again} were repeated.",
            *(f"- {note}" for note in self.notes),
        ]
        print("", *notes, "", sep="\n", flush=True)
        self.notes, self.slices, self.again = {}, 0, 0


def whole_jobs(rounds: int) -> None:
    """Print the table of learning XOR, from the start of a process to the end of 60,000 training steps."""
    script = Path(__file__).with_name("peers_xor.py")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    seconds: dict[str, list[float]] = {name: [] for name in WHOLE}
    outputs = {}
    for i in range(rounds):
        for name in random.sample(WHOLE, len(WHOLE)):
            if name in outputs and (outputs[name] is None or (i >= 3 and min(seconds[name]) > SLOW)):
                continue
            began = time.perf_counter()
            done = subprocess.run([sys.executable, script, name], env=environment, capture_output=True, text=True)
            seconds[name].append(time.perf_counter() - began)
            outputs[name] = done.stdout.strip() if not done.returncode else None
    head(["contender", "seconds", "ours / its", "its outputs for the four rows"])
    for name in WHOLE:
        ratios = [mine / its for mine, its in zip(seconds["ours"], seconds[name], strict=False)]
        row([name, figure(seconds[name]), spread(ratios), outputs[name] or "failed"])


def title(case: Case) -> str:
    return "-".join(map(str, case.sizes))


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def contenders(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(CONTENDERS):
        raise argparse.ArgumentTypeError(f"no {', '.join(unknown)} among {', '.join(CONTENDERS)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("jobs", nargs="*", metavar="job", help=f"{', '.join(JOBS)}; by default all")
    parser.add_argument("--networks", type=numbers, default=range(len(TRAINED)), help="networks to train, such as 0,3")
    parser.add_argument("--contenders", type=contenders, default=list(CONTENDERS), help=",".join(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slice", type=float, default=0.25, help="seconds of a measurement; at least three steps")
    arguments = parser.parse_args()
    jobs = arguments.jobs or JOBS
    if unknown := set(jobs) - set(JOBS):
        parser.error(f"no job {', '.join(unknown)}")
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)  # the contenders read it when they are imported
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that started() kills the stopped processes
    packages = ", ".join(map(installed, PACKAGES))
    print(f"{processor()}; {caches()}.\n")
    print(f"Python {platform.python_version()}, {packages}; {arguments.threads} threads, {arguments.rounds} rounds.\n")
    chosen = {name: CONTENDERS[name][1] for name in arguments.contenders}
    with started(chosen if {"train", "tables", "predict"} & set(jobs) else {}, arguments.threads) as workers:
        bench = Bench(workers, arguments)
        if "train" in jobs:
            bench.train()
        if "tables" in jobs:
            bench.tables()
        if "predict" in jobs:
            bench.predict()
    if "xor" in jobs:
        whole_jobs(arguments.rounds)
    if "products" in jobs:
        products(arguments.networks, arguments.threads, arguments.rounds, arguments.slice)


if __name__ == "__main__":
    main()
