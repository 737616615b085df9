"""Measure a step of Muon beside one of AdamW, in turns, with fewer and fewer rounds.

The ratio is the time of an epoch with Muon divided by that with AdamW, in the same round; float32, native engine.

python benchmarks/muon.py [--threads 1] [--rounds 15] [--quick]
"""

import argparse
import statistics
from typing import Any

import numpy as np

import fullyconnected as fc

STEPS = 8  # an epoch
CASES: list[tuple[list[int], int, str, int]] = [  # inputs, widths of the hidden layers, outputs; rows of a batch;
    ([20, 64, 64, 64, 2], 128, "", 1),  # and what the members of an ensemble share, and how many they are
    ([64, 256, 256, 256, 10], 256, "", 1),
    ([64, 256, 256, 256, 10], 1024, "", 1),
    ([64, 128, 512, 128, 10], 256, "", 1),
    ([64, 512, 512, 512, 10], 256, "", 1),
    ([64, 256, 256, 256, 10], 256, "tabm", 16),
    ([64, 128, 128, 128, 10], 256, "packed", 8),
]
RULES: dict[str, Any] = {"AdamW": fc.AdamW(1e-3)} | {
    f"Muon(rounds={rounds})": fc.Muon(0.02, rounds=rounds) for rounds in (5, 3, 1, 0)
}


def network(sizes: list[int], kind: str, k: int) -> fc.Network:
    net = fc.mlp(sizes, seed=0)
    return fc.Network([fc.Members(k, net.layers, kind)], seed=0) if kind else net


def compare(sizes: list[int], batch: int, kind: str, k: int, threads: int, rounds: int) -> None:
    rng = np.random.default_rng(0)
    x, t = (rng.normal(size=(STEPS * batch, n)).astype(np.float32) for n in (sizes[0], sizes[-1]))
    how: dict[str, Any] = {"batch_size": batch, "n_threads": threads, "warn": False}
    runs = {
        name: iter(fc.epochs(network(sizes, kind, k), x, t, "half_squared_error", rule, **how))
        for name, rule in RULES.items()
    }
    epochs = [{name: next(run).seconds for name, run in runs.items()} for _ in range(rounds + 1)][1:]
    ours = {name: 1e3 * statistics.median(epoch[name] for epoch in epochs) / STEPS for name in RULES}
    body = f"{kind} of {k}, " * bool(kind) + "-".join(map(str, sizes))
    print(f"{body}, batches of {batch}: AdamW {ours['AdamW']:.2f} ms a step")
    for name in list(RULES)[1:]:
        ratios = sorted(epoch[name] / epoch["AdamW"] for epoch in epochs)
        said = f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        print(f"  {name} {ours[name]:7.2f} ms, {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="the smallest network alone")
    given = parser.parse_args()
    for case in CASES[: 1 if given.quick else None]:
        compare(*case, given.threads, given.rounds)


if __name__ == "__main__":
    main()
