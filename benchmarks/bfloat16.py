"""What ``precision="bfloat16"`` costs and gains on this processor.

    python benchmarks/bfloat16.py [curves] [speed] [--rounds 15] [--threads 2] [--quick]

``curves`` trains on digits and diabetes, which scikit-learn brings along, in float32 and in bfloat16, from the same
weights and in the same order: the loss of the training epoch by epoch, and accuracy or R2 on two fifths of the rows,
held out, in means of three seeds. Where the processor multiplies no bfloat16, the NumPy engine of bfloat16_numpy.py
stands in, which rounds the same way: these are numbers of the rounding, and hold for any processor.

``speed`` times training steps of two large networks beside float32 and beside PyTorch's autocast to bfloat16, each in a
process of its own, in turns; microseconds and ratios are medians of the rounds. It needs a processor with AMX or
AVX512-BF16, and for PyTorch the dependency group ``peers``.
"""

import argparse
import sys
from statistics import median
from typing import Any

import numpy as np
from bfloat16_numpy import InBfloat16
from machine import processor
from peers_case import RULES, TRAINED, Absent, Case
from peers_print import spread
from peers_worker import Worker, one_round, started

import fullyconnected as fc

EPOCHS = (1, 2, 5, 10, 20, 40)
SEEDS = 3
CONTENDERS = {
    "native, bfloat16": "peers_ours.Bfloat16",
    "native, float32": "peers_ours.Native",
    "PyTorch, bfloat16": "peers_torch.Autocast",
    "PyTorch, float32": "peers_torch.Eager",
}


def ways() -> list[str]:
    """Return how the native engine multiplies bfloat16 here, the best first; or nothing."""
    try:
        from fullyconnected import _native
    except ImportError:
        return []
    return _native.usable_bfloat16()


def data(name: str) -> tuple[Any, Any, Any]:
    """Return the standardised rows of a data set, its targets, and a loss."""
    from sklearn import datasets

    x, t = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = ((x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-3)).astype(np.float32)
    return (x, t, "softmax_cross_entropy") if name == "digits" else (x, (t - t.mean()) / t.std(), "half_squared_error")


def curve(name: str, how: dict[str, Any], epochs: int) -> tuple[Any, float]:
    """Return the losses of the training, and the score on rows held out, in means over the seeds."""
    x, t, loss = data(name)
    losses, scores = [], []
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(x))
        train, held = order[: len(x) * 3 // 5], order[len(x) * 3 // 5 :]
        net = fc.mlp([x.shape[1], 64, 64, 10 if name == "digits" else 1], "relu", seed=seed)
        rule = fc.AdamW(1e-3) if name == "digits" else fc.SGD(0.01)
        history = fc.fit(net, x[train], t[train], loss, rule, epochs=epochs, batch_size=32, seed=seed, progress=False,
                         warn=False, **how)  # fmt: skip
        losses.append(history.loss)
        metric = "accuracy" if name == "digits" else "r2"
        scores.append(net.evaluate(x[held], t[held], metrics=[metric], **how).metrics[metric])
    return np.mean(losses, axis=0), float(np.mean(scores))


def curves(quick: bool) -> None:
    """Print the losses and the scores."""
    found = ways()
    fc.register(InBfloat16)
    rounding = {"precision": "bfloat16"} if found else {"engine": InBfloat16.name}
    print(f"bfloat16 by {found[0]}, {processor()}" if found else "bfloat16 by the NumPy engine that rounds")
    epochs = [each for each in EPOCHS if not quick or each <= 2]
    print(f"\n| data | | {' | '.join(f'loss, epoch {each}' for each in epochs)} | held out |")
    print("| --- | --- |" + " ---: |" * (len(epochs) + 1))
    for name in ("digits", "diabetes"):
        for kind, how in (("float32", {}), ("bfloat16", rounding)):
            losses, score = curve(name, how, epochs[-1])
            print(f"| {name} | {kind} | {' | '.join(f'{losses[each - 1]:.4f}' for each in epochs)} | {score:.4f} |")


def speed(rounds: int, threads: int) -> None:
    """Print the times of steps."""
    if not ways():
        print("\nThe native engine multiplies no bfloat16 on this processor, so that there is no speed to measure.")
        return
    print(f"\n{processor()}, {threads} threads, bfloat16 by {ways()[0]}\n")
    print(
        "| network | batch | optimizer |"
        + "".join(f" {name} |" for name in CONTENDERS)
        + " of PyTorch's | of float32's |"
    )
    print("| --- | ---: | --- |" + " ---: |" * (len(CONTENDERS) + 2))
    with started(CONTENDERS, threads) as workers:
        for sizes, batch, rows in TRAINED[-2:]:
            for rule in RULES:
                compare(workers, Case("train", sizes, batch, threads, rule, rows), rounds)


def compare(workers: dict[str, Worker], case: Case, rounds: int) -> None:
    """Print the row of one network and optimizer."""
    us: dict[str, list[float]] = {}
    for name, worker in workers.items():
        if isinstance(why := worker.ask("load", case) or worker.ask("fill", 0.5), Absent):
            print(f"{name} is left out: {why.reason}", file=sys.stderr)
        else:
            us[name] = []
    for _ in range(rounds):
        for name, answer in one_round(workers, us, "-".join(map(str, case.sizes))):
            us[name].append(answer.us)
    ours = us["native, bfloat16"]
    cells = [f"{median(us[name]):.0f}" if name in us else "-" for name in CONTENDERS]
    for other in ("PyTorch, bfloat16", "native, float32"):
        ratios = [a / b for a, b in zip(ours, us.get(other, []), strict=False)]
        cells.append(spread(ratios) if ratios else "-")
    print(f"| {'-'.join(map(str, case.sizes))} | {case.batch} | {case.rule} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=["curves", "speed", []], help="what to run; both by default")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="two epochs")
    arguments = parser.parse_args()
    parts = arguments.parts or ["curves", "speed"]
    if "curves" in parts:
        curves(arguments.quick)
    if "speed" in parts:
        speed(arguments.rounds, arguments.threads)


if __name__ == "__main__":
    main()
