"""Predictions and gradients on a card, without graphs: a program runs once for a block of rows."""

from functools import partial
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.engine.cuda.card import card_of
from fullyconnected.engine.cuda.foreign import as_explained
from fullyconnected.engine.cuda.masks import CardUniforms
from fullyconnected.engine.cuda.numbers import Namespace
from fullyconnected.engine.cuda.resident import shares_of
from fullyconnected.program.data import Data
from fullyconnected.program.program import Program
from fullyconnected.program.workspace import Workspace

__all__ = ["CudaPredictor", "gradient_on_card"]

KEPT = 1 << 20  # entries of the memory of the card that a network keeps for its next prediction
WORKSPACE = 1 << 26  # entries: prediction uses batches that need about this much memory of the card


class CudaPredictor:
    """Predicts by CuPy, in bounded memory of the card."""

    def __init__(self, program: Program, theta: Array, state: Array, precision: str | None) -> None:
        self.program, self.theta, self.state = program, theta, state
        self.card = card_of(None, precision)
        self.workspace: Workspace | None = None
        self.vectors: list[Any] = []  # the parameters and the running statistics there

    def predict(self, x: Array, z: Array, n_threads: int | None) -> None:
        """Write the outputs of checked rows into z."""
        program, dtype = self.program, self.theta.dtype
        size = min(len(x), max(1, WORKSPACE // program.entries_a_row))
        with self.card.at_work():
            if self.workspace is None or self.workspace.rows < size:
                cupy = self.card.cupy
                self.release()
                xp = Namespace(cupy, self.card.array)
                self.vectors = [xp.zeros(vector.shape, dtype) for vector in (self.theta, self.state)]
                theta, state = self.vectors
                self.workspace = Workspace(program, theta, state, size, xp=xp)
            workspace, copies = self.workspace, program.copies
            for there, host in zip(self.vectors, (self.theta, self.state), strict=True):
                there.set(host)
            for start in range(0, len(x), size):
                stop = min(start + size, len(x))
                batch = workspace.bind(stop - start)
                batch.x.set(np.ascontiguousarray(x[start:stop], program.input_dtype(dtype)))
                with as_explained(program):
                    outputs: Any = batch.forward(train=False)
                z[start * copies : stop * copies] = outputs.get()
            if size * program.entries_a_row > KEPT:
                self.release()

    def release(self) -> None:
        """Give the memory of the card back."""
        if self.workspace is not None:
            self.workspace.release()
        self.workspace = None
        self.vectors = []

    def row(self, x: Array, z: Array) -> bool:
        """Return False: a row is checked before it is brought to the card."""
        return False


def gradient_on_card(
    program: Program, theta: Array, state: Array, data: Data, *, l2: float, train: bool, seed: int
) -> tuple[float, Array, Array]:
    """Return the loss of all rows as one batch, its flat gradient, and its gradient with respect to x."""
    card, rows, copies = card_of(None), len(data.x), program.copies
    with card.at_work():
        cupy = card.cupy
        xp: Any = Namespace(cupy, card.array)
        how: Any = {"loss": data.loss, "input_gradient": True, "piece": max(1, program.n_params)}
        here = xp.asarray(theta), xp.asarray(state)
        workspace = Workspace(program, *here, rows, xp=xp, uniforms=partial(CardUniforms, cupy, None), **how)
        batch = workspace.bind(rows)
        batch.x.set(np.ascontiguousarray(data.x.block(0, rows), program.input_dtype(theta.dtype)))
        batch.t = cupy.asarray(np.repeat(data.t, copies, axis=0))
        if data.weights is not None:
            sums = data.weights.sum(axis=0).reshape(1, -1)
            shares = shares_of(data.weights, sums, np.zeros(rows, np.intp), copies)
            batch.set_weights(cupy.asarray(shares.reshape(-1).astype(theta.dtype)), 1.0)
        if train:
            workspace.at(seed, 0)
        with as_explained(program, data.loss):
            value = batch.loss_and_gradient(train=train, l2=l2)
        gradient: Any = workspace.gradient
        dx: Any = batch.dx
        workspace.release()
        return float(cupy.asarray(value).get()), gradient.get(), dx.get()
