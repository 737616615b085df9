"""What C in int8 saves beside C in float32, and what it costs: flash, memory, time, instructions, and accuracy.

    python benchmarks/int8.py [--rounds 30] [--seeds 3]

The first table: the constants and the static memory of a file in bytes; what a row takes on this machine, compiled
with -O2, in nanoseconds, the least of the rounds, which alternate; and the instructions of a row on a Cortex-M4, which
has a unit for float32, and a Cortex-M3, which has none, counted by QEMU (left out where that or a compiler is missing).

The second table: the accuracy, or R2, on 40% of the rows, held out, in float32 and in int8, which was calibrated with
the rows of the training; and of the held-out rows the share that has the same class, or R2 between both. All are means
over the seeds, which split the rows and begin the training.
"""

import argparse
import ctypes
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from leaving import LOOP, timed

import fullyconnected as fc
from fullyconnected.tables.frame import frame_of

ROWS = 200
START = Path(__file__).parent.parent / "tests" / "exchange" / "cortex_m4.c"
CPUS = {
    "Cortex-M4": ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    "Cortex-M3": ["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"],
}
COUNT = """\
#include <stdio.h>
void fc_predict(const float *x, float *y);
static float x[1000], y[100];
#define SYSTICK ((volatile unsigned *)0xE000E010)
int main(void) {
    for (int i = 0; i < 1000; i++) x[i] = (float)(i % 7) - 3.0f;
    SYSTICK[1] = 0xFFFFFF;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5;
    fc_predict(x, y);
    unsigned a = SYSTICK[2];
    fc_predict(x, y);
    unsigned b = SYSTICK[2], c = SYSTICK[2];
    printf("%u\\n", (unsigned)(((a - b) - (b - c)) * 40.0 / 32.0)); /* ticks of 40 ns, instructions of 32 ns */
    return 0;
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # some trainings end before they converge
    print("| network | activation | | constants, bytes | memory, bytes | a row, ns | on a Cortex-M4 | on a Cortex-M3 |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for sizes, activation in (([10, 64, 64, 1], "relu"), ([10, 64, 64, 1], "tanh"), ([784, 128, 10], "relu")):
        for line in sizes_and_times(sizes, activation, given.rounds):
            print(line, flush=True)
    print()
    print("| data | model | float32 | int8 | same class, or R2 between both |")
    print("| --- | --- | ---: | ---: | ---: |")
    for data, name, make in models():
        print(f"| {data} | {name} | {' | '.join(accuracy(data, make, given.seeds))} |", flush=True)


def sizes_and_times(sizes: list[int], activation: str, rounds: int) -> Iterator[str]:
    net = fc.mlp(sizes, activation=activation, seed=0)
    x = np.random.default_rng(0).normal(size=(ROWS, sizes[0])).astype(np.float32)
    found: dict[str, list[str]] = {}
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("float32", "int8"):
            here = Path(folder, dtype)
            here.mkdir()
            fc.exchange.to_c(net, here / "model.c", dtype, x if dtype == "int8" else None)
            text = (here / "model.c").read_text("utf-8").replace(",", "")
            flash, vector = map(int, re.findall(r"flash: (\d+) bytes of constants (\d+) of", text)[0])
            memory = int(re.findall(r"memory: (\d+) bytes", text)[0])
            found[dtype] = [f"{flash - vector:,}", f"{memory:,}"]
            (here / "loop.c").write_text(LOOP, "utf-8")
            build = ["cc", "-O2", "-shared", "-fPIC", "loop.c", "model.c", "-o", "loop.so", "-lm"]
            subprocess.run(build, cwd=here, check=True)
            rows = ctypes.CDLL(str(here / "loop.so")).rows
            y = np.empty(1000, np.float32)
            at = x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p)
            runs[dtype] = timed(lambda rows=rows, at=at: rows(*at, ROWS, sizes[0]))  # type: ignore[misc]
        least = {dtype: min(times) for dtype, times in _in_turns(runs, rounds).items()}
        for dtype, cells in found.items():
            cells.append(f"{1e9 * least[dtype] / ROWS:,.0f}")
            cells += [instructions(Path(folder, dtype), cpu) for cpu in CPUS]
            yield f"| {'-'.join(map(str, sizes))} | {activation} | {dtype} | {' | '.join(cells)} |"


def _in_turns(runs: dict[str, Any], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {each: [] for each in runs}
    for _ in range(rounds):
        for each, run in runs.items():
            times[each].append(run())
    return times


def instructions(folder: Path, cpu: str) -> str:
    """Return how many instructions a row takes, as a text; empty without a compiler and an emulator."""
    compiler, emulator = shutil.which("arm-none-eabi-gcc"), shutil.which("qemu-system-arm")
    if compiler is None or emulator is None:
        return ""
    (folder / "count.c").write_text(COUNT, "utf-8")
    build = [compiler, *CPUS[cpu], "-O2", "-std=c99", START, "count.c", "model.c", "--specs=rdimon.specs"]
    link = ["-Wl,--section-start=.vectors=0", "-lm", "-o", "count.elf"]
    subprocess.run([*build, *link], cwd=folder, check=True)
    machine = ["-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "null", "-icount", "shift=5"]
    host = ["-kernel", "count.elf", "-semihosting-config", "enable=on,target=native"]
    done = subprocess.run([emulator, *machine, *host], cwd=folder, check=True, capture_output=True, text=True)
    return f"{int(done.stdout):,}"


def models() -> Iterator[tuple[str, str, Any]]:
    """Yield the name of a data set, that of a model, and what makes it of a seed."""
    how = {"hidden_layer_sizes": (64,), "scale": True}
    for data in ("digits", "wine"):
        for activation in ("relu", "tanh"):
            yield (
                data,
                f"`MLPClassifier`, {activation}",
                lambda seed, activation=activation: fc.MLPClassifier(activation=activation, random_state=seed, **how),
            )
        yield data, "`TabularClassifier`", lambda seed: fc.TabularClassifier(preset="fast", random_state=seed)
    yield (
        "wine",
        "`MLPClassifier`, columns as they are",
        lambda seed: fc.MLPClassifier(hidden_layer_sizes=(64,), random_state=seed),
    )
    yield "diabetes", "`MLPRegressor`, relu", lambda seed: fc.MLPRegressor(random_state=seed, **how)
    yield "diabetes", "`TabularRegressor`", lambda seed: fc.TabularRegressor(preset="fast", random_state=seed)


def accuracy(data: str, make: Any, seeds: int) -> list[str]:
    """Return the scores in float32, in int8, and of both beside each other, as texts."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    X, y = getattr(datasets, f"load_{data}")(return_X_y=True)
    found = []
    for seed in range(seeds):
        train, test, of_train, of_test = train_test_split(X, y, test_size=0.4, random_state=seed)
        model = make(seed).fit(train, of_train)
        x = model.vocabulary_.encode(frame_of(test)) if hasattr(model, "vocabulary_") else test
        with tempfile.TemporaryDirectory() as folder:
            results = []
            for dtype, rows in (("float32", None), ("int8", train)):
                fc.exchange.to_c(model, path := Path(folder, f"{dtype}.c"), dtype, rows)
                results.append(predicted(path, x))
        if hasattr(model, "classes_"):
            a, b = (model.classes_[p.argmax(axis=1)] for p in results)
            found.append(((a == of_test).mean(), (b == of_test).mean(), (a == b).mean()))
        else:
            a, b = (p[:, 0] for p in results)
            found.append((_r2(a, of_test), _r2(b, of_test), _r2(b, a)))
    return [f"{each:.4f}" for each in np.mean(found, axis=0)]


def _r2(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(1 - np.square(found - wanted).mean() / wanted.var())


def predicted(path: Path, x: np.ndarray) -> np.ndarray:
    """Return what a file of C predicts for rows."""
    library = path.with_suffix(".so")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", path, "-o", library, "-lm"], check=True)
    n_out = int(re.findall(r"#define FC_N_OUT (\d+)", path.read_text("utf-8"))[0])
    run, y = ctypes.CDLL(str(library)).fc_predict, np.empty((len(x), n_out), np.float32)
    for row, result in zip(np.ascontiguousarray(x, np.float32), y, strict=True):
        run(row.ctypes.data_as(ctypes.c_void_p), result.ctypes.data_as(ctypes.c_void_p))
    return y


if __name__ == "__main__":
    main()
