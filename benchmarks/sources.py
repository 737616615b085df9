"""What it costs to train on rows in files: an epoch of each source beside one of the same rows in memory.

``python benchmarks/sources.py [--rows 400000] [--columns 64] [--rounds 7]`` needs pyarrow. It writes the rows as .npy
and as Parquet into a temporary folder, so that they are in the page cache, and trains on each source for an epoch at a
time, in turns. A ratio is the median over the rounds of the time of an epoch to that of the array in the same round. In
the first epoch, what is decoded is also kept for the later ones: it has a ratio of its own, of one round, after a run
that counts for nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from machine import processor

import fullyconnected as fc
from fullyconnected.core.randomness import generator

NETWORKS = {"32-1": [32, 1], "128-128-1": [128, 128, 1], "256-256-256-1": [256, 256, 256, 1]}
LOSS = "half_squared_error"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"rows": 400_000, "columns": 64, "rounds": 7, "window": 50_000, "batch": 256}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    rng = generator(0, 0)
    x = rng.standard_normal((asked.rows, asked.columns), np.float32)
    t = x[:, 0] * x[:, 1]
    size = x.nbytes / 1e6
    print(f"{processor()}; {asked.rows} rows of {asked.columns} float32, {size:.0f} MB; window {asked.window} rows")
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), x)
        table = pa.table({**{f"c{j}": x[:, j] for j in range(asked.columns)}, "t": t})
        for name, compression in (("snappy", "snappy"), ("plain", "none")):
            pq.write_table(table, Path(folder, f"{name}.parquet"), row_group_size=65_536, compression=compression)
        sources: dict[str, tuple[Any, Any, int | None]] = {
            "array in memory": (x, t, None),
            ".npy, mapped": (np.load(Path(folder, "x.npy"), mmap_mode="r"), t, asked.window),
            "Arrow table": (fc.ArrowTable(table, "t"), None, asked.window),
            "Parquet": (fc.Parquet(Path(folder, "plain.parquet"), "t"), None, asked.window),
            "Parquet, snappy": (fc.Parquet(Path(folder, "snappy.parquet"), "t"), None, asked.window),
        }
        for network, sizes in NETWORKS.items():
            for source in sources.values():
                next(loop(sizes, *source, asked))
            loops = {name: loop(sizes, *source, asked) for name, source in sources.items()}
            times: dict[str, list[float]] = {name: [] for name in loops}
            for _ in range(asked.rounds + 1):
                for name, epochs in loops.items():
                    began = time.perf_counter()
                    next(epochs)
                    times[name].append(time.perf_counter() - began)
            first, *base = times.pop("array in memory")
            print(f"{network:>16}: {statistics.median(base):6.3f} s in memory", end="")
            for name, seconds in times.items():
                ratio = statistics.median(one / other for one, other in zip(seconds[1:], base, strict=True))
                print(f"   {name} {ratio:.2f} (first {seconds[0] / first:.2f})", end="")
            print(flush=True)


def loop(sizes: list[int], x: Any, t: Any, window: int | None, asked: Any) -> Iterator[fc.Epoch]:
    """Return a run of epochs on a source."""
    net = fc.mlp([asked.columns, *sizes], seed=0)
    return fc.epochs(net, x, t, LOSS, fc.Adam(), batch_size=asked.batch, window=window, warn=False)


if __name__ == "__main__":
    main()
