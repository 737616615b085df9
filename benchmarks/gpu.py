"""Measure the CUDA engine on a card: whether it computes what NumPy does, and training steps beside PyTorch's.

    python benchmarks/gpu.py [equality] [speed] [--rounds 7] [--rules SGD,Adam] [--networks 0,1,2,3]

``equality`` trains and predicts with every layer, activation, loss, optimizer and setting, in float64 and float32, and
compares with the NumPy engine; TF32 and bfloat16 are held to what rounding can do at most. ``speed`` trains four
networks, whose rows are on the card, in turns with PyTorch on the same card: eager, and compiled by ``torch.compile``
in the mode ``"reduce-overhead"``, each with the fastest of its optimizers. First it checks that all compute the same
losses of three steps. A measurement is of whole epochs, as ``fit`` takes them and with the drawing of their order, of
200 steps at least, from when the card has nothing to do until it has again. Times are medians of the rounds, in
microseconds a step; the ratio is ours over the faster of PyTorch's in the same round: the median, the lowest and the
highest. The first table is in float32 itself; then TF32 and autocast to bfloat16, with the last of the rules.

The exit status is 1 if a bound is passed, if losses differ, or if there is no card. Needs CuPy (the extra ``cuda``),
and PyTorch for its columns.
"""

import argparse
import gc
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

import gpu_equality
import numpy as np
import peers_ours
from peers import numbers
from peers_case import RULES, TRAINED, Case
from peers_print import figure, head, installed, row, spread

import fullyconnected as fc
from fullyconnected.core.order import epoch_order
from fullyconnected.engine.cuda.card import ABLE, load

NETWORKS = (  # sizes, rows in a batch, rows in total, and what a step may take at most, of the faster of PyTorch's
    (TRAINED[1][0], 32, 8192, 0.7),
    (TRAINED[3][0], 128, 468 * 128, 0.7),
    (TRAINED[4][0], 256, 195 * 256, 1.0),
    (TRAINED[5][0], 1024, 64 * 1024, 1.0),
)
PRECISIONS = {None: "float32", "tf32": "TF32", "bfloat16": "bfloat16"}
CLOSE = {None: 1e-4, "tf32": 1e-2, "bfloat16": 5e-2}  # of the largest loss of three steps
STEPS, SECONDS = 200, 0.25  # of a measurement, at least
HEAD = ("network", "batch", "rule", "ours, us", "eager", "compiled", "ours / faster", "asked", "PyTorch's optimizers")


class Ours(peers_ours.NumPy):
    """The CUDA engine, by what ``fit`` calls for an epoch."""

    engine = "cuda"

    def __init__(self, case: Case, precision: str | None) -> None:
        self.precision, self.drawn = precision, 0
        super().__init__(case)

    def losses(self, orders: np.ndarray) -> list[float]:
        return [self.train(order) for order in orders]

    def epochs(self, n: int) -> None:
        """Train so many epochs; the trainer waits for the card at the end of each."""
        for _ in range(n):
            self.train(epoch_order(self.run.rows, 0, self.drawn, shuffle=True))
            self.drawn += 1


class Turn(NamedTuple):
    """A contender, and how many epochs of it a measurement takes."""

    contender: Any
    epochs: int


class Bench:
    """Trains each network with all contenders in turns, and prints the tables."""

    def __init__(self, cupy: Any, torch: Any, given: argparse.Namespace) -> None:
        self.cupy, self.torch, self.given = cupy, torch, given
        self.notes: dict[str, None] = {}  # an ordered set
        self.wrong: list[str] = []

    def run(self) -> list[str]:
        """Print all tables; return what was computed wrongly."""
        able = int(self.cupy.cuda.Device().compute_capability) >= ABLE
        for precision, name in PRECISIONS.items():
            if precision is not None and not able:
                print(f"{name} was left out: the card is too old for it.\n", flush=True)
                continue
            print(f"{name}:\n")
            head(list(HEAD))
            for i in self.given.networks:
                sizes, batch, rows, asked = NETWORKS[i]
                case = Case("train", sizes, batch, self.given.threads, rows=rows)
                for rule in self.given.rules if precision is None else self.given.rules[-1:]:
                    self.compare(with_rule(case, rule), precision, asked)
            print("", *(f"- {note}" for note in self.notes), "", sep="\n", flush=True)
            self.notes = {}
        return self.wrong

    def compare(self, case: Case, precision: str | None, asked: float) -> None:
        """Measure a network, and print a line."""
        where = f"{'-'.join(map(str, case.sizes))}, {case.rule}, {PRECISIONS[precision]}"
        orders = case.order(3).reshape(3, -1)
        expected = peers_ours.NumPy(case)
        wanted = [expected.train(order) for order in orders]
        makers: dict[str, Callable[[], Any]] = {"ours": lambda: Ours(case, precision)}
        if self.torch is not None:
            for name, cls in (("eager", self.torch.Eager), ("compiled", self.torch.Compiled)):
                makers[name] = lambda cls=cls: cls(case, precision, self.given.torch)
        turns: dict[str, Turn] = {}
        kinds = []
        for name, make in makers.items():
            try:
                contender = make()
                losses = contender.losses(orders)
                if name != "ours":
                    kinds.append(f"{name}: {contender.choose()}")
                    self.notes |= dict.fromkeys(f"{where}, {name}: {each}" for each in contender.failed)
            except Exception as error:  # the others are measured all the same
                text = f"{where}, {name}: {type(error).__name__}: {error}".partition("\n")[0]
                self.notes[text] = None
                self.wrong += [text] if name == "ours" else []
                continue
            far = np.abs(np.subtract(losses, wanted)).max() / np.abs(wanted).max()
            if not far <= CLOSE[precision]:
                self.wrong.append(f"{where}: the losses of {name} are {losses}, and those of NumPy {wanted}")
                self.notes[self.wrong[-1]] = None
                continue
            turns[name] = Turn(contender, self.enough(contender, case))
        us = self.measured(turns, case)
        peers = [us[name] for name in us if name != "ours"]
        ratio = "-"
        if "ours" in us and peers:
            ratio = spread([mine / min(theirs) for mine, *theirs in zip(us["ours"], *peers, strict=True)])
        times = [figure(us.get(name)) for name in ("ours", "eager", "compiled")]
        row(["-".join(map(str, case.sizes)), case.batch, case.rule, *times, ratio, asked, ", ".join(kinds) or "-"])
        turns.clear()
        self.free()

    def enough(self, contender: Any, case: Case) -> int:
        """Return how many epochs make a measurement, after some that warm up."""
        contender.epochs(2)
        took = self.seconds(Turn(contender, 1))
        return max(1, -(-STEPS * case.batch // case.rows), round(SECONDS / took))

    def measured(self, turns: dict[str, Turn], case: Case) -> dict[str, list[float]]:
        """Return the microseconds of a step of each contender, by round."""
        us: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(self.given.rounds):
            for name in random.sample(list(turns), len(turns)):
                steps = turns[name].epochs * (case.rows // case.batch)
                us[name].append(self.seconds(turns[name]) / steps * 1e6)
        return us

    def seconds(self, turn: Turn) -> float:
        """Return how long the epochs of a contender take, from an idle card to an idle card."""
        device = self.cupy.cuda.Device()
        device.synchronize()  # which waits for all that the process has given it, by PyTorch as well
        began = time.perf_counter()
        turn.contender.epochs(turn.epochs)
        device.synchronize()
        return time.perf_counter() - began

    def free(self) -> None:
        """Give the memory of the card back, which the next network takes from either library."""
        gc.collect()
        self.cupy.get_default_memory_pool().free_all_blocks()
        if self.torch is not None and self.given.torch == "cuda":
            self.torch.torch.cuda.empty_cache()


def with_rule(case: Case, rule: str) -> Case:
    """Return a case with another optimizer, and the same rows."""
    made = copy(case)
    object.__setattr__(made, "rule", rule)
    return made


def peer(device: str) -> Any:
    """Return the module of PyTorch's contenders, or None if it is not to be had."""
    if device == "none":
        return None
    try:
        import gpu_torch
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        return None
    return gpu_torch


def about(cupy: Any) -> str:
    """Return what the card and the software are."""
    runtime = cupy.cuda.runtime
    card = runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    cuda = [
        f"{number // 1000}.{number % 1000 // 10}"
        for number in (runtime.driverGetVersion(), runtime.runtimeGetVersion())
    ]
    driver = "unknown"
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = (subprocess.run(asked, capture_output=True, text=True).stdout.splitlines() or [driver])[0].strip()
    packages = f"CuPy {cupy.__version__} with CUDA {cuda[1]}; {installed('torch')}; {installed('numpy')}"
    return f"{card}; driver {driver} for CUDA {cuda[0]}; {packages}"


def rules(text: str) -> list[str]:
    known = {name.lower(): name for name in RULES}
    names = text.lower().split(",")
    if unknown := set(names) - set(known):
        raise argparse.ArgumentTypeError(f"no {', '.join(sorted(unknown))} among {', '.join(RULES)}")
    return [known[name] for name in names]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("jobs", nargs="*", metavar="job", help="equality, speed; by default both")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rules", type=rules, default=list(RULES), help=",".join(RULES))
    parser.add_argument("--networks", type=numbers, default=range(len(NETWORKS)), help="networks to train, such as 0,3")
    parser.add_argument("--torch", metavar="DEVICE", default="cuda", help="where PyTorch computes, or none")
    parser.add_argument("--threads", type=int, default=2, help="threads of the host")
    given = parser.parse_args(argv)
    jobs = given.jobs or ["equality", "speed"]
    if unknown := set(jobs) - {"equality", "speed"}:
        parser.error(f"no job {', '.join(sorted(unknown))}")
    available, why = fc.engines()["cuda"]
    if not available:
        print(f"There is no GPU to measure: {why}.", file=sys.stderr)
        return 1
    cupy, torch = load(), peer(given.torch)
    print(f"{about(cupy)}; {given.rounds} rounds.\n", flush=True)
    began, wrong = time.perf_counter(), []
    if "equality" in jobs:
        wrong += gpu_equality.compare(cupy, row, None if torch is None else torch.copies_to_host)
        print(f"\nEquality: {len(wrong) or 'nothing'} above the bounds, after {time.perf_counter() - began:.0f} s.\n")
    if "speed" in jobs:
        wrong += Bench(cupy, torch, given).run()
    print(*(f"WRONG: {each}" for each in wrong), f"{time.perf_counter() - began:.0f} s in all.", sep="\n", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
