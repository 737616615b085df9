"""The library with either engine, and a prediction in bare NumPy."""

import numpy as np
from peers_case import Case
from peers_tables import ours

import fullyconnected as fc
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

__all__ = ["Bare", "Bfloat16", "Native", "NumPy"]


class NumPy:
    """The NumPy engine; one call runs an epoch, as in ``fit``."""

    engine = "numpy"
    precision: str | None = None  # of products, where the engine has others than float32

    def __init__(self, case: Case) -> None:
        if case.recipe:
            self.net, how = ours(case)
            loss = fc.SoftmaxCrossEntropy(label_smoothing=0.1 if case.recipe == "realmlp" else 0.0)
            optimizer = how.pop("optimizer")
            settings = FitSettings(batch_size=case.batch, engine=self.engine, **how)
            self.run = Run(self.net, case.x, case.t, loss, optimizer, settings)
            return
        self.net = fc.mlp(case.sizes, "sigmoid" if case.xor else "relu", "sigmoid" if case.xor else None)
        self.net.set_weights([array for pair in zip(case.W, case.b, strict=True) for array in pair])
        if case.job == "train":
            loss = "softmax_cross_entropy" if case.classes else "half_squared_error"
            optimizer = {"SGD": fc.SGD, "Adam": fc.Adam}[case.rule](case.lr)
            settings = FitSettings(batch_size=case.batch, engine=self.engine, precision=self.precision)
            self.run = Run(self.net, case.x, case.t, loss, optimizer, settings)
        else:
            self.net.predict(case.x, engine=self.engine)  # raises where there is no such engine

    def train(self, order: np.ndarray) -> float:
        return self.run.trainer.epoch(order)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.net.predict(x, engine=self.engine)


class Native(NumPy):
    """The native engine."""

    engine = "native"

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.net.predict(x)  # as users call it: engine="auto" chooses this engine


class Bfloat16(Native):
    """The same, with products of bfloat16."""

    precision = "bfloat16"


class Bare:
    """Prediction in three lines of NumPy."""

    def __init__(self, case: Case) -> None:
        *self.hidden, self.last = zip(case.W, case.b, strict=True)

    def predict(self, x: np.ndarray) -> np.ndarray:
        for W, b in self.hidden:
            x = np.maximum(x @ W + b, 0)
        return x @ self.last[0] + self.last[1]
