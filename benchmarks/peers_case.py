"""The input of every contender: the initial weights of a network, its rows, and their order."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

__all__ = ["RULES", "TABLES", "TRAINED", "USED", "Absent", "Case", "Slice"]

RULES = {"SGD": 1e-3, "Adam": 1e-4}  # optimizers and their learning rates
TRAINED = (  # sizes, rows in a batch, rows in total
    ((2, 3, 1), 1, 4),
    ((64, 64, 10), 32, 4096),
    ((100, 256, 256, 256, 1), 256, 8192),
    ((784, 512, 512, 10), 128, 8192),
    ((3072, 1024, 1024, 10), 256, 1024),
    ((1024, 2048, 2048, 2048, 10), 1024, 3072),
)
# networks for tables, of peers_tables.py; first the one that takes more memory, since a process tells the most it had
TABLES = ("tabm", "realmlp")
USED = ((10, 64, 64, 1), (784, 512, 512, 10))  # for prediction


class Absent(NamedTuple):
    """Why a contender does not take part."""

    reason: str


class Slice(NamedTuple):
    """Microseconds of a step or a prediction, and how often the measurement was repeated because of other programs."""

    us: float
    spoilt: int


@dataclass(frozen=True)
class Case:
    """A float32 network, an optimizer and the data.

    The network has relu between its layers; its loss is softmax cross-entropy, or half the squared error if it has one
    output. The smallest network has sigmoids instead, also at its end, and learns XOR.
    """

    job: str  # "train" or "predict"
    sizes: tuple[int, ...]
    batch: int
    threads: int
    rule: str = "SGD"
    rows: int = 0
    recipe: str = ""  # one of TABLES, or a plain network

    def __post_init__(self) -> None:
        rng, rows = np.random.default_rng(0), self.rows or self.batch
        put = object.__setattr__
        put(self, "W", [rng.normal(0, (2 / n) ** 0.5, (n, m)).astype(np.float32) for n, m in pairwise(self.sizes)])
        put(self, "b", [np.zeros(m, np.float32) for m in self.sizes[1:]])
        put(self, "x", rng.standard_normal((rows, self.sizes[0]), np.float32))
        put(self, "t", rng.integers(0, 10, rows) if self.classes else rng.random((rows, self.sizes[-1]), np.float32))
        put(self, "permutation", rng.permutation(rows))
        if self.xor:
            put(self, "x", np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32))
            put(self, "t", np.array([[0], [1], [1], [0]], np.float32))
            put(self, "permutation", np.arange(4))

    @property
    def classes(self) -> bool:
        return self.job == "train" and self.sizes[-1] > 1

    @property
    def xor(self) -> bool:
        return self.sizes == (2, 3, 1)

    @property
    def lr(self) -> float:
        return RULES[self.rule]

    @property
    def products(self) -> list[tuple[int, int, int, bool, bool]]:
        """The products of a step: rows, columns, inner size, and whether the first and second factor are transposed."""
        products = []
        for n, m in pairwise(self.sizes):
            products += [
                (self.batch, m, n, False, False),
                (n, m, self.batch, True, False),
                (self.batch, n, m, False, True),
            ]
        return [*products[:2], *products[3:]]  # the input needs no gradient

    @property
    def flops(self) -> int:
        return sum(2 * m * n * k for m, n, k, _, _ in self.products)

    def order(self, steps: int) -> np.ndarray:
        """Return the row numbers of several steps, in shuffled order."""
        return np.resize(self.permutation, steps * self.batch)
