"""What a model weighs that has left, and how long it predicts a row, in each format and in the library.

    python benchmarks/leaving.py [--rounds 7]

All predict the same rows, one by one, on one thread, in turns; each figure is the median of the rounds, in
microseconds. C is compiled with -O2. What is not installed (a C compiler, Node, ONNX Runtime, PyTorch, Keras) is left
out; PyTorch and Keras have networks alone, and no file.
"""

import argparse
import contextlib
import ctypes
import json
import runpy
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fullyconnected as fc

ROWS = 200  # that each predicts in a round
KINDS = {
    **{"library": "library", "c": "C, -O2", "mjs": "JavaScript", "py": "Python", "onnx": "ONNX Runtime"},
    **{"torch": "PyTorch", "keras": "Keras"},
}
NODE = """\
import { predict } from "./model.mjs";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
const rows = JSON.parse(readFileSync("rows.json"));
for await (const line of createInterface({ input: process.stdin })) {
    const began = process.hrtime.bigint();
    for (let i = 0; i < Number(line); i++) predict(rows[i % rows.length]);
    console.log(Number(process.hrtime.bigint() - began) / 1e9);
}
"""


LOOP = """\
void fc_predict(const float *x, float *y);
void rows(const float *x, float *y, int n, int n_in) {
    for (int i = 0; i < n; i++) fc_predict(x + i * n_in, y);
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    given = parser.parse_args()
    print(f"| model | parameters | | {' | '.join(KINDS.values())} |")
    print(f"| --- | ---: | --- |{' ---: |' * len(KINDS)}")
    for name, model, x in models():
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            sizes, runs = made(model, x, Path(folder), stack)
            times: dict[str, list[float]] = {each: [] for each in runs}
            for run in runs.values():
                run()  # in the first round much is done for the first time
            for _ in range(given.rounds):
                for each, run in runs.items():
                    times[each].append(run() / ROWS)
            took = [f"{1e6 * statistics.median(times[k]):.3g}" if k in times else "" for k in KINDS]
            weighs = [f"{sizes[k] / 1000:,.0f}" if k in sizes else "" for k in KINDS]
            print(f"| {name} | {parameters(model):,} | a row, us | {' | '.join(took)} |")
            print(f"| | | the file, kB | {' | '.join(weighs)} |", flush=True)


def models() -> Iterator[tuple[str, Any, np.ndarray]]:
    """Yield models and rows in float32 for each."""
    rng = np.random.default_rng(0)
    for sizes in ([2, 8, 1], [10, 64, 64, 1], [784, 128, 10]):
        yield "-".join(map(str, sizes)), fc.mlp(sizes, seed=0), rng.normal(size=(ROWS, sizes[0])).astype(np.float32)
    x = rng.normal(size=(600, 20)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + x[:, 2]
    fitted = fc.TabularRegressor(epochs=4, random_state=0).fit(x, y)
    yield "`TabularRegressor`, 20 columns", fitted, x[:ROWS]


def parameters(model: Any) -> int:
    networks = [model] if isinstance(model, fc.Network) else model.ensemble_.networks
    return sum(net.program.n_params for net in networks)


def made(
    model: Any, x: np.ndarray, folder: Path, stack: contextlib.ExitStack
) -> tuple[dict[str, int], dict[str, Callable[[], float]]]:
    """Return the sizes of the files, and what predicts all rows, one by one, and returns the seconds of that."""
    model.save(folder / "model.safetensors")
    library = model if isinstance(model, fc.Network) else fc.Predictor(folder / "model.safetensors")
    rows = [row[None] for row in x]
    runs: dict[str, Callable[[], float]] = {"library": timed(lambda: [library.predict(row) for row in rows])}
    sizes = {"library": (folder / "model.safetensors").stat().st_size}
    for suffix in ("py", "c", "mjs"):
        fc.exchange.export(model, path := folder / f"model.{suffix}")
        sizes[suffix] = path.stat().st_size
    predict = runpy.run_path(str(folder / "model.py"))["predict"]
    runs["py"] = timed(lambda: [predict(row) for row in rows])
    if compiler := shutil.which("cc"):
        runs["c"] = in_c(compiler, folder, x)
    if node := shutil.which("node"):
        (folder / "rows.json").write_text(json.dumps(x.tolist()), "utf-8")
        (folder / "time.mjs").write_text(NODE, "utf-8")
        process = stack.enter_context(
            subprocess.Popen(
                [node, "time.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        )
        stack.callback(process.stdin.close)  # type: ignore[union-attr]
        runs["mjs"] = lambda: asked(process)
    with contextlib.suppress(ImportError, fc.errors.MissingPackageError):
        import onnxruntime

        fc.exchange.to_onnx(model, path := folder / "model.onnx")
        sizes["onnx"] = path.stat().st_size
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
        given = [
            {"x": row} if names == ["x"] else dict(zip(names, np.hsplit(row, len(names)), strict=True)) for row in rows
        ]
        runs["onnx"] = timed(lambda: [session.run(None, each) for each in given])
    if isinstance(model, fc.Network):
        with contextlib.suppress(ImportError, fc.errors.MissingPackageError):
            runs["torch"] = in_torch(model, x)
        with contextlib.suppress(ImportError, fc.errors.MissingPackageError):
            made = fc.exchange.to_keras(model)
            runs["keras"] = timed(lambda: [made(row, training=False) for row in rows])
    return sizes, runs


def in_torch(net: fc.Network, x: np.ndarray) -> Callable[[], float]:
    import torch

    torch.set_num_threads(1)
    module, rows = fc.exchange.to_torch(net), [torch.from_numpy(row[None]) for row in x]

    def work() -> None:
        with torch.inference_mode():
            for row in rows:
                module(row)

    return timed(work)


def timed(work: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return run


def in_c(compiler: str, folder: Path, x: np.ndarray) -> Callable[[], float]:
    """Return what calls C in a loop of C, so that no time of ctypes is in it."""
    (folder / "loop.c").write_text(LOOP, "utf-8")
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "loop.c", "model.c", "-o", "loop.so", "-lm"], cwd=folder, check=True
    )
    rows = ctypes.CDLL(str(folder / "loop.so")).rows
    x, y = np.ascontiguousarray(x), np.empty(1000, np.float32)
    at = x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p)
    return timed(lambda: rows(*at, len(x), x.shape[1]))


def asked(process: Any) -> float:
    process.stdin.write(f"{ROWS}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


if __name__ == "__main__":
    main()
