"""The input of every contender: the initial weights of a network, its rows, and their order; or two matrices."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

__all__ = ["RULES", "TABLES", "TRAINED", "USED", "Absent", "Case", "Product", "Slice"]

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


class Product(NamedTuple):
    """A product of an m x k and a k x n matrix in a training step; a turned matrix is stored transposed."""

    m: int
    n: int
    k: int
    turn_a: bool
    turn_b: bool
    threads: int

    job = "product"

    @property
    def flops(self) -> int:
        return 2 * self.m * self.n * self.k

    @property
    def formula(self) -> str:
        """What it computes in a layer of inputs x and weights W, where dy is the gradient of its outputs."""
        return "x' dy" if self.turn_a else "dy W'" if self.turn_b else "x W"

    @property
    def shape(self) -> str:
        return f"{self.m} x {self.k} by {self.k} x {self.n}"

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both matrices, turned as needed: small whole numbers, whose products have the same sum in any order.

        They are those of ``_native.product_seconds``.
        """
        m, n, k = self[:3]
        a, b = (np.arange(m * k) % 7 - 3.0).astype(np.float32), (np.arange(k * n) % 5 - 2.0).astype(np.float32)
        return (
            a.reshape(k, m).T if self.turn_a else a.reshape(m, k),
            b.reshape(n, k).T if self.turn_b else b.reshape(k, n),
        )


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
    def products(self) -> list[Product]:
        """The products of a step: of each layer forward, the gradient of its weights, and that of its input."""
        products = []
        for n, m in pairwise(self.sizes):
            products += [
                Product(self.batch, m, n, False, False, self.threads),
                Product(n, m, self.batch, True, False, self.threads),
                Product(self.batch, n, m, False, True, self.threads),
            ]
        return [*products[:2], *products[3:]]  # the input needs no gradient

    @property
    def flops(self) -> int:
        return sum(product.flops for product in self.products)

    def order(self, steps: int) -> np.ndarray:
        """Return the row numbers of several steps, in shuffled order."""
        return np.resize(self.permutation, steps * self.batch)
