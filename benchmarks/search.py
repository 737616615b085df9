"""What a search takes with one thread a worker, beside workers that each take a thread for every processor.

``python benchmarks/search.py [--rounds 7] [--rows 10000] [--epochs 5]`` searches over four settings in three splits,
twelve fits: with as many workers of joblib as there are processors and one thread each; with as many workers, and as
many threads in each of them; and one fit after the other on all processors. They take turns. Times are medians, in
brackets the lowest and the highest, and a ratio is the median of the ratios to the first in the same round.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import joblib
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV

import fullyconnected as fc

NETWORKS = {"64": (64,), "128-128": (128, 128)}
GRID = {"alpha": [1e-4, 1e-2], "learning_rate_init": [0.001, 0.01]}


def search(sizes: tuple[int, ...], workers: int, threads: int, asked: argparse.Namespace) -> Callable[[], float]:
    """Return a function that searches and returns the seconds that it took."""
    rows = make_classification(asked.rows, 64, n_informative=16, random_state=0)
    model = fc.MLPClassifier(sizes, max_iter=asked.epochs, n_jobs=threads, random_state=0)

    def run() -> float:
        began = time.perf_counter()
        GridSearchCV(model, GRID, cv=3, n_jobs=workers, refit=False).fit(*rows)
        return time.perf_counter() - began

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"rounds": 7, "rows": 10_000, "epochs": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # that training has not converged
    n = joblib.cpu_count()
    print(f"{n} processors; {asked.rows} rows of 64 numbers, {asked.epochs} epochs a fit, twelve fits a search")
    for network, sizes in NETWORKS.items():
        ways = [(n, 1), (n, n), (1, n)]
        searches = [search(sizes, workers, threads, asked) for workers, threads in ways]
        rounds = [[run() for run in searches] for _ in range(asked.rounds + 1)][1:]  # the first does not count
        for i, (workers, threads) in enumerate(ways):
            seconds, ratios = [each[i] for each in rounds], [each[i] / each[0] for each in rounds]
            print(
                f"64-{network}-1, {workers} workers, {threads} threads each: {statistics.median(seconds):.2f} s "
                f"({min(seconds):.2f} to {max(seconds):.2f}), ratio {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
