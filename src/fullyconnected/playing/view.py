"""What is seen of a network at a step: the ground of the picture, each unit's own picture, gradients, dead units."""

from __future__ import annotations

from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.metrics import named
from fullyconnected.playing.building import hidden_of
from fullyconnected.playing.stepping import Stepper
from fullyconnected.program.data import BatchLoader, Data
from fullyconnected.program.workspace import Batch, Workspace

__all__ = ["MOST_PICTURES", "View", "histogram"]

GRID, COARSE, SMALL = 80, 40, 20  # cells on a side of the ground, of that of a large network, and of a unit's picture
LARGE = 4000  # parameters from which the ground is coarse, as it would take longer than the training
MOST_PICTURES = 16  # of the units of a layer
BINS = 21
MOST_ROWS = 2000
CONFIDENT = 1.0  # a score of the hinge loss beyond its margin counts as sure


class View:
    """Looks at the network of a stepper, without changing it: with a workspace and running statistics of its own."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        net, data, setup = stepper.net, stepper.data, stepper.setup
        self.net, self.data = net, data
        self.hidden = hidden_of(setup, net)
        self.state = net.state.copy()
        self.program = net.program
        self.side = GRID if net.n_params < LARGE else COARSE
        self.grid = np.ascontiguousarray(data.inputs(_cells(data.domain, self.side)))
        small = np.ascontiguousarray(data.inputs(_cells(data.domain, SMALL)))
        seen = stepper.data.training()[0][:MOST_ROWS]
        self.small, self.rows = self._workspace(small), self._workspace(seen)
        rows = min(stepper.batch_size + self.program.least_rows - 1, len(stepper.training.x))
        self.step = Workspace(self.program, net.theta, self.state, max(1, rows), loss=stepper.training.loss)
        self.loader = BatchLoader(stepper.training, self.step)
        judged: Any = stepper.testing or stepper.training
        self.metric = "accuracy" if data.classes is not None else "r2"
        self.metrics = named([self.metric], judged.t, judged.loss, net.n_out, also=stepper.training.t)
        self.range = data.range()
        self.known: tuple[object, tuple[float, ...]] | None = None
        values = (len(small) + len(seen) + rows) * sum(each.units for each in self.hidden) + net.n_params
        self.size = values * net.dtype.itemsize  # bytes that its workspaces take at least

    def _workspace(self, rows: Array) -> Batch:
        workspace = Workspace(self.program, self.net.theta, self.net.state, len(rows))
        batch = workspace.bind(len(rows))
        batch.x[...] = rows
        return batch

    # of all rows

    def judged(self, data: Data | None) -> tuple[float, float]:
        """Return the loss and the metric of some rows; NaN if there are none."""
        if data is None:
            return np.nan, np.nan
        with np.errstate(all="ignore"):
            found = self.net.evaluate_checked(data, self.metrics)
        return found.loss, found.metrics[self.metric]

    def point(self) -> tuple[float, ...]:
        """Return a point of the curves; the workspace then holds the gradient of the batch that comes next."""
        now = self.stepper.step, tuple(self.stepper.edits)
        if self.known is None or self.known[0] != now:
            self.known = now, self._point()
        return self.known[1]

    def _point(self) -> tuple[float, ...]:
        (train, metric), (test, of_test) = self.judged(self.stepper.training), self.judged(self.stepper.testing)
        return train, test, metric, of_test, self.stepper.rate(), self.gradient()

    def gradient(self) -> float:
        """Compute the gradient of the batch that comes next, and return its norm; the workspace holds it."""
        batch = self._load(self.stepper.next_rows())
        with np.errstate(all="ignore"):
            batch.loss_and_gradient(train=True, l2=self.stepper.setup.l2)
            return float(np.linalg.norm(self.step.gradient))

    def _load(self, rows: Rows) -> Batch:
        """Return the batch of these rows, as the next step of the training sees it."""
        self.state[...] = self.net.state
        self.known = None  # the workspace will hold something else
        batch, _ = self.loader.load(rows)
        self.step.at(self.stepper.now.seed, self.stepper.step)
        return batch

    # the pictures

    def ground(self) -> dict[str, Any]:
        """Return the ground of the picture: what the network says at each of its places."""
        setup, classes = self.stepper.setup, self.data.classes
        found: dict[str, Any] = {"size": [self.side, self.side], "shares": None}
        with np.errstate(all="ignore"):
            z = self.net.predictions(self.grid)
        if classes is None:
            low, high = self.range
            return {**found, "kind": "value", "low": low, "high": high, "data": as_bytes(z[:, 0], low, high)}
        if len(classes) == 2:
            low, high = (0.0, 1.0) if z.shape[1] == 1 else (-CONFIDENT, CONFIDENT)
            score = z[:, 0] if z.shape[1] == 1 else z[:, 1] - z[:, 0]
            return {**found, "kind": "probability", "low": low, "high": high, "data": as_bytes(score, low, high)}
        sure = np.ones(len(z)) if setup.loss == "hinge" else z.max(axis=1)
        best = z.argmax(axis=1).astype(np.uint8)
        return {**found, "kind": "classes", "low": 0.0, "high": 1.0, "data": best, "shares": as_bytes(sure, 0.0, 1.0)}

    def units(self) -> list[dict[str, Any]]:
        """Return the pictures of the units of each hidden layer."""
        found = []
        for y in self._outputs(self.small):
            y = y[:, :MOST_PICTURES]
            low, high = y.min(axis=0), y.max(axis=0)
            data = as_bytes(y.T, low[:, None], high[:, None]).ravel()
            found.append({"size": SMALL, "low": low, "high": high, "data": data})
        return found

    def dead(self) -> list[list[int]]:
        """Return the units of each hidden layer whose output is the same for all training rows."""
        return [np.flatnonzero(y.max(axis=0) == y.min(axis=0)).tolist() for y in self._outputs(self.rows)]

    def _outputs(self, batch: Batch) -> list[Array]:
        with np.errstate(all="ignore"):
            batch.forward(train=False)
        outputs = [y for *_, y in batch.bound()]
        return [outputs[each.operation] for each in self.hidden]

    # weights and gradients

    def layers(self) -> list[dict[str, Any]]:
        """Return the weights of each dense layer, and the gradient that the workspace holds."""
        found = []
        for op in self.program.operations:
            if not op.is_dense:
                continue
            weights = {tensor.letter: tensor.of(self.net.theta).copy() for tensor in op.params}
            slopes = {f"d{tensor.letter}": tensor.of(self.step.gradient).copy() for tensor in op.params}
            found.append({"name": op.name, "n_in": op.n_in, "n_out": op.n_out, **weights, **slopes})
        return found

    # a step apart

    def forward(self) -> dict[str, Any]:
        """Run the next batch forward, as training does."""
        rows = self.stepper.next_rows()
        batch = self._load(rows)
        with np.errstate(all="ignore"):
            batch.forward(train=True)
            loss = float(batch.loss_of(batch.z))
        return self._now("forward", rows, 0, loss, self._of_row(batch, 0), None)

    def backward(self, sample: int | None = None) -> dict[str, Any]:
        """Run the next batch forward and backward; with a sample, backward for those up to it alone."""
        rows = self.stepper.next_rows()
        batch = self._load(rows)
        at = 0 if sample is None else sample
        with np.errstate(all="ignore"):
            batch.forward(train=True)
            values = self._of_row(batch, at)
            loss = float(batch.loss_of(batch.z))
            if sample is not None:
                loss = float(self.stepper.loss.of_checked(batch.z[at : at + 1], batch.t[at : at + 1], np.ones(1))[0])
                batch.dz[at + 1 :] = 0
            wanted = {each.operation + 1: k for k, each in enumerate(self.hidden)}
            slopes = [np.array([])] * len(self.hidden) + [batch.dz[at].copy()]
            for i, _, _, dx in batch.walk_back():
                if i in wanted and dx is not None:
                    slopes[wanted[i]] = dx[at].copy()
            if self.stepper.setup.l2:
                self.step.add_l2(self.stepper.setup.l2)
        return self._now("backward" if sample is None else "sample", rows, at, loss, values, slopes)

    def _of_row(self, batch: Batch, row: int) -> list[Array]:
        outputs = [y for *_, y in batch.bound()]
        return [*(outputs[each.operation][row].copy() for each in self.hidden), batch.z[row].copy()]

    def _now(
        self, phase: str, rows: Rows, sample: int, loss: float, values: list[Array], slopes: list[Array] | None
    ) -> dict[str, Any]:
        return {
            "phase": phase,
            "rows": self.stepper.places[rows].tolist(),
            "sample": sample,
            "loss": loss,
            "layers": [value.tolist() for value in values],
            "slopes": None if slopes is None else [slope.tolist() for slope in slopes],
        }

    def look(self, x: Array) -> list[list[float]]:
        """Return the outputs of the hidden layers and of the last one for one row of the network's input."""
        batch = self._workspace(np.atleast_2d(x))
        with np.errstate(all="ignore"):
            batch.forward(train=False)
        return [value.tolist() for value in self._of_row(batch, 0)]


def histogram(values: Array) -> dict[str, Any]:
    """Return a histogram of numbers around 0."""
    flat = values.ravel()
    finite = flat[np.isfinite(flat)]
    reach = float(np.abs(finite).max(initial=0.0)) or 1.0
    counts, _ = np.histogram(finite / reach, BINS, (-1.0, 1.0))  # by shares, since tiny reaches have no bins
    return {"low": -reach, "high": reach, "counts": counts.tolist()}


def _cells(domain: tuple[float, float, float, float], size: int) -> Array:
    """Return the centres of the cells of a square, row by row from the top, as in a picture."""
    left, right, low, high = domain
    at = (np.arange(size) + 0.5) / size
    x1, x2 = np.meshgrid(left + at * (right - left), high - at * (high - low))
    return np.column_stack([x1.ravel(), x2.ravel()])


def as_bytes(values: Array, low: Array | float, high: Array | float) -> Array:
    """Return numbers as bytes, 0 at ``low`` and below, and 255 at ``high`` and above; 128 if these are the same."""
    with np.errstate(all="ignore"):
        shares = (values - low) / (np.asarray(high) - low)
    return (np.clip(np.nan_to_num(shares, nan=0.5), 0, 1) * 255 + 0.5).astype(np.uint8)
