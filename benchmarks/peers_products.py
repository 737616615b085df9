"""The matrix products of training steps, shape by shape: the native engine's beside those of MKL and OpenBLAS.

A measurement is the fastest of as many products as fill its time, of the same matrices each time, from the call to its
return; MKL's and OpenBLAS's calls come from Python, which is about a microsecond. The share of the FMA peak is of the
peak measured in the same round. A product of which a call would be a large part is left out.
"""

import ctypes
import re
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import files
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np
from peers_case import TRAINED, Absent, Case, Product
from peers_print import figure, head, row, spread
from peers_worker import Worker, one_round, started

try:
    from fullyconnected import _native
except ImportError:
    _native = None

__all__ = ["MKL", "Native", "OpenBLAS", "products"]

OURS = "native engine"
CONTENDERS = {
    OURS: "peers_products.Native",
    "MKL": "peers_products.MKL",
    "OpenBLAS": "peers_products.OpenBLAS",
}
LEAST = 1_000_000  # floating-point operations: about 10 us


class Native:
    """The native engine, which multiplies and takes the time in one call."""

    def __init__(self, product: Product) -> None:
        if _native is None:
            raise RuntimeError("it is not built")
        self.case, self.c = product, np.empty((product.m, product.n), np.float32)
        self.about = f"kernels for {_native.kernels()}"

    def product(self, times: int) -> float:
        """Multiply so many times; return the seconds of the fastest."""
        return _native.product_seconds(*self.case, times, self.c)


class Library:
    """A library for linear algebra."""

    multiply: Callable[[], object]

    def product(self, times: int) -> float:
        fastest = float("inf")
        for _ in range(times):
            began = time.perf_counter()
            self.multiply()
            fastest = min(fastest, time.perf_counter() - began)
        return fastest


class MKL(Library):
    """The wheel ``mkl``, called by ctypes."""

    def __init__(self, product: Product) -> None:
        m, n, k, *turned, threads = product
        mkl, self.factors = load_mkl(), product.factors()
        mkl.MKL_Set_Num_Threads(threads)
        self.c = np.empty((m, n), np.float32)
        (a, at), (b, bt) = (
            (ctypes.c_void_p(f.ctypes.data), (f.T if turn else f).shape[1])
            for f, turn in zip(self.factors, turned, strict=True)
        )
        in_rows, (turn_a, turn_b) = 101, (112 if turn else 111 for turn in turned)
        one, zero, c = ctypes.c_float(1), ctypes.c_float(0), ctypes.c_void_p(self.c.ctypes.data)
        self.multiply = partial(mkl.cblas_sgemm, in_rows, turn_a, turn_b, m, n, k, one, a, at, b, bt, zero, c, n)

    @property
    def about(self) -> str:
        """Its version, and the library of kernels that it has loaded for this processor."""
        text = ctypes.create_string_buffer(200)
        load_mkl().MKL_Get_Version_String(text, len(text))
        found = re.search(r"Version ([\d.]+)", text.value.decode())
        try:
            maps = Path("/proc/self/maps").read_text(encoding="utf-8")
        except OSError:
            maps = ""
        kernels = sorted(set(re.findall(r"libmkl_(?:def|mc3|avx\w*)", maps)))
        return ", ".join([found[1] if found else "of unknown version", *kernels])


@cache
def load_mkl() -> ctypes.CDLL:
    path = next(file for file in files("mkl") or () if "mkl_rt" in file.name).locate()
    mkl = ctypes.CDLL(str(path))
    mkl.MKL_Set_Interface_Layer(0)  # whole numbers of 32 bits
    mkl.MKL_Set_Threading_Layer(0)  # Intel's OpenMP
    mkl.MKL_Set_Dynamic(0)  # it would take fewer threads where two processors share a core
    return mkl


class OpenBLAS(Library):
    """NumPy's own, by ``matmul``."""

    def __init__(self, product: Product) -> None:
        import threadpoolctl

        found = [each for each in threadpoolctl.threadpool_info() if "numpy" in each["filepath"]]
        if [each["internal_api"] for each in found] != ["openblas"]:
            raise RuntimeError(f"NumPy has {', '.join(each['internal_api'] for each in found) or 'another library'}")
        self.about = f"{found[0]['version']} of NumPy {np.__version__}, kernels for {found[0]['architecture']}"
        self.c = np.empty((product.m, product.n), np.float32)
        self.multiply = partial(np.matmul, *product.factors(), out=self.c)


class Bench:
    """Runs the contenders in turns, on one product after the other."""

    def __init__(self, workers: dict[str, Worker], rounds: int, seconds: float) -> None:
        self.workers, self.rounds, self.seconds = workers, rounds, seconds
        self.notes: dict[str, None] = {}  # an ordered set
        self.slices = self.again = 0

    def ready(self, product: Product) -> Iterator[str]:
        """Send the product to all; yield those that compute it, and note why others do not."""
        for name, worker in self.workers.items():
            why = worker.ask("load", product) or worker.ask("check") or worker.ask("fill", self.seconds)
            if why is None:
                yield name
            else:
                self.notes[f"{name}: {why.reason if isinstance(why, Absent) else why}"] = None

    def run(self, product: Product) -> tuple[dict[str, list[float]], list[float]]:
        """Return the microseconds of each contender, and the FMA peak in GFLOP/s, by round."""
        us: dict[str, list[float]] = {name: [] for name in self.ready(product)}
        peaks = []
        for _ in range(self.rounds):
            if _native:
                peaks.append(_native.fma_peak(product.threads))
            for name, answer in one_round(self.workers, us, product.shape):
                us[name].append(answer.us)
                self.slices, self.again = self.slices + 1, self.again + answer.spoilt
        return us, peaks


def products(networks: list[int], threads: int, rounds: int, seconds: float) -> None:
    """Print the table of the products of these networks, each product of a network once."""
    with started(CONTENDERS, threads) as workers:
        bench = Bench(workers, rounds, seconds)
        names = list(bench.ready(Product(8, 8, 8, False, False, threads)))
        print(*(f"- {name}: {workers[name].ask('about')}" for name in names), "", sep="\n")
        columns = chain(*((f"{name}, us", "of FMA peak") for name in names))
        head(["network", "batch", "product", "shape", *columns, "native / best"])
        for sizes, batch, _ in (TRAINED[i] for i in networks):
            for product in dict.fromkeys(Case("train", sizes, batch, threads).products):
                if product.flops >= LEAST:
                    us, peaks = bench.run(product)
                    what = ["-".join(map(str, sizes)), batch, product.formula, product.shape]
                    row([*what, *figures(us, peaks, product, names), ratio(us)])
        print(
            f"\n{bench.slices} measurements; {bench.again} were repeated.",
            *(f"- {note}" for note in bench.notes),
            sep="\n",
        )


def figures(us: dict[str, list[float]], peaks: list[float], product: Product, names: list[str]) -> Iterator[str]:
    """Yield the microseconds of each contender, and its share of the peak of the same round."""
    for name in names:
        yield figure(us.get(name))
        shares = [product.flops / each / peak / 1e3 for each, peak in zip(us.get(name, ()), peaks, strict=False)]
        yield f"{median(shares):.0%}" if shares else "-"


def ratio(us: dict[str, list[float]]) -> str:
    """Return the native engine's time divided by that of the faster library in the same round."""
    ours, *theirs = us.values() if OURS in us else [[]]
    if not ours or not theirs:
        return "-"
    return spread([mine / min(others) for mine, *others in zip(ours, *theirs, strict=True)])
