"""Measure whether the intervals of TabularRegressor contain as many targets as they promise, and how wide they are.

    python benchmarks/intervals.py [--tables DIR] [--only table,...] [--coverage 0.9] [--rows N] [--inner SEEDS]
                                   [--threads 1]

Fits the regressor with its default settings to the training part of each split of each regression table (those of
accuracy_tables.py: a folder, and always scikit-learn's diabetes), and prints a Markdown table, over the splits: the
share of test targets in their interval, beside the range of three standard deviations of a share of so many rows; the
mean width in standard deviations of y; and the width of intervals by the same errors that are all equally wide.
``--inner`` splits the training parts again, for choosing, so that no test part is looked at. Needs pandas.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from accuracy_tables import Table, bundled, from_folder

import fullyconnected as fc

HEAD = """| table | splits | training rows | test rows | coverage | within | mean width | equally wide |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, metavar="DIR", help="a folder of tables")
    parser.add_argument("--only", type=lambda text: text.split(","), help="tables, by name")
    parser.add_argument("--coverage", type=float, default=0.9, help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=15_000, help="training rows at most (default: %(default)s)")
    parser.add_argument("--inner", type=int, default=0, metavar="SEEDS", help="so many splits of each training part")
    parser.add_argument("--threads", type=int, default=1, help="threads of a fit (default: %(default)s)")
    given = parser.parse_args()
    tables = dict(from_folder(given.tables)) if given.tables else {}
    tables |= {name: load for name, load in bundled() if name == "diabetes"}
    if unknown := [name for name in given.only or () if name not in tables]:
        parser.error(f"there is no table {unknown[0]!r}; there are {', '.join(tables)}")
    print(HEAD)
    inside = total = 0
    for name, load in tables.items():
        if given.only and name not in given.only:
            continue
        table = load()
        if table.classes is not None:
            continue
        found = [measure(table, *rows, int(seed.partition(".")[0]), given) for seed, rows in splits(table, given)]
        n = sum(rows for _, rows, *_ in found)
        share = sum(hits for *_, hits, _, _ in found) / n
        spread = 3 * (given.coverage * (1 - given.coverage) / n) ** 0.5
        train, width, equal = (np.mean([each[i] for each in found]) for i in (0, 3, 4))
        print(
            f"| {name} | {len(found)} | {train:,.0f} | {n:,} | {share:.4f} | {given.coverage - spread:.3f} to "
            f"{given.coverage + spread:.3f} | {width:.3f} | {equal:.3f} |",
            flush=True,
        )
        inside, total = inside + share * n, total + n
    if total:
        print(f"| all | | | {total:,} | {inside / total:.4f} | | | |")


def splits(table: Table, given: argparse.Namespace):
    """Yield the name of each split and its rows: those of the table, or parts of its first training part."""
    if not given.inner:
        yield from table.splits.items()
        return
    train = next(iter(table.splits.values()))[0]
    for seed in range(given.inner):
        rows = np.random.default_rng(seed).permutation(train)
        yield str(seed), (rows[len(rows) // 4 :], rows[: len(rows) // 4])


def measure(table: Table, train: np.ndarray, test: np.ndarray, seed: int, given: argparse.Namespace):
    """Return the rows of training and test, the targets that are in their interval, and two mean widths."""
    if len(train) > given.rows:
        train = np.random.default_rng(seed).choice(train, given.rows, replace=False)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fc.TabularRegressor(random_state=seed, n_jobs=given.threads).fit(table.x.iloc[train], table.y[train])
        low, high = model.predict_interval(table.x.iloc[test], given.coverage).T
    took = time.perf_counter() - began
    y, spread = table.y[test], table.y[train].std()
    errors = np.abs(table.y[train] - model.oof_predictions_)
    equal = 2 * np.quantile(errors, min(1.0, given.coverage * (1 + 1 / len(train))), method="higher") / spread
    inside = np.count_nonzero((low <= y) & (y <= high))
    print(f"<!-- {table.name}: {inside / len(test):.4f} of {len(test)} rows, {took:.0f} s -->", flush=True)
    return len(train), len(test), inside, float((high - low).mean() / spread), float(equal)


if __name__ == "__main__":
    main()
