"""What each column of a table contributes to a prediction: integrated gradients from the mean row to the row."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.engine.numpy_engine import blas_threads
from fullyconnected.errors import ConfigError
from fullyconnected.layers import Activation, Columns, Members, Standardize
from fullyconnected.layers.residual import chain
from fullyconnected.network import Network
from fullyconnected.program.program import Program
from fullyconnected.program.workspace import Batch, Workspace
from fullyconnected.tabular.ensemble import Ensemble
from fullyconnected.tabular.mixture import LEAST
from fullyconnected.tabular.tasks import CLASSES, LABELS

__all__ = ["TOLERANCE", "base_of", "contributions"]

TOLERANCE = 1e-3  # of the range of the targets, or of probability: what the parts may miss of the whole
NODES = (8, 16, 32, 64, 128, 256, 512)  # of the quadrature, until the parts miss less
ROWS, ENTRIES = 4096, 1 << 21  # that are encoded at a time, at most
POINTS = 1024  # rows times nodes that are computed at a time


def base_of(net: Network, x: Array, w: Array) -> Array:
    """Return the mean over rows of what the first layer of a network gives, by their weights: where paths begin."""
    columns, total = _columns_alone(net), np.zeros(int(net.layers[0].n_out or 0))
    rows = min(ROWS, max(1, ENTRIES // len(total)))
    for start in range(0, len(x), rows):
        total += w[start : start + rows] @ columns.predict(x[start : start + rows])
    return (total / w.sum()).astype(net.dtype)


def _columns_alone(net: Network) -> Network:
    """Return a network of the first layer of a network alone."""
    none = np.empty(0, net.dtype)
    return Network.from_vectors(net.layers[:1], none, none)


def contributions(
    ensemble: Ensemble, x: Array, owners: Sequence[int], columns: int, n_threads: int | None = None
) -> Array:
    r"""Return what each column contributes to the prediction for each row: (rows, columns + 1, outputs).

    With F the prediction as a function of what the first layers of all networks give, h, and h0 the mean of that over
    the training rows, it is ``(h - h0) * integral_0^1 dF/dh(h0 + a (h - h0)) da``, summed over the entries of h that
    are made of the column. The last entry is F(h0). The integral is taken by Gauss and Legendre's quadrature with 8
    nodes, or with twice as many, and so on, until the sum of all misses F(h) by at most a thousandth of the range of
    the targets, or of 1 for probabilities. What it misses is then added to the columns, in proportion to their sizes,
    so that the sum is F(h). If 512 nodes do not suffice, a warning says so.

    Parameters
    ----------
    ensemble : Ensemble
        With the bases of its networks.
    x : array (rows, inputs)
        Rows as a vocabulary encodes them.
    owners : sequence of int
        For each column of x, the number of the column of the table that it is made of.
    columns : int
        The number of columns of the table.
    n_threads : int, optional
        The number of threads.

    Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """
    if not ensemble.bases:
        raise ConfigError(
            "this estimator has no contributions: its file is of a version that did not keep the mean of the encoded "
            "training rows, from which they are measured, or it was trained elsewhere. Fit it again"
        )
    if (gaps := np.isnan(x)).any():
        x = np.where(gaps, ensemble.fill, x)
    paths = [_Path(ensemble, j) for j in range(len(ensemble.networks))]
    found, size = np.empty((len(x), columns + 1, paths[0].n_out)), POINTS // NODES[0]
    missed = 0.0
    with blas_threads(n_threads, or_any=True):
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            found[rows], most = _of_block(ensemble, paths, x[rows], owners, columns)
            missed = max(missed, most)
    if missed > TOLERANCE:
        warnings.warn(
            f"the contributions to some predictions missed up to {missed:.2g} of the range, which was added to them: "
            f"on the way to these rows, the networks change abruptly",
            stacklevel=4,
        )
    return found


def _of_block(
    ensemble: Ensemble, paths: Sequence[_Path], x: Array, owners: Sequence[int], columns: int
) -> tuple[Array, float]:
    """Return the contributions to the predictions for some rows, and what they missed at most."""
    ends, unit, n_out = ensemble.predict(x, checked=True), ensemble.unit, paths[0].n_out
    wide = np.ones(n_out) if unit is None else np.where(unit.high > unit.low, unit.high - unit.low, 1.0)
    for path in paths:
        path.lead_to(x)
    base = ensemble.finished(_mixed(ensemble, paths, np.zeros(1, np.intp), np.zeros(1))[0])
    todo, missed = np.arange(len(x)), np.zeros(len(x))
    for nodes in NODES:
        at, weights = np.polynomial.legendre.leggauss(nodes)
        at, weights = (at + 1) / 2, weights / 2
        for start in range(0, len(todo), POINTS // nodes):
            rows = todo[start : start + POINTS // nodes]
            _integrate(ensemble, paths, rows, at, weights)
            total = sum(path.total(rows) for path in paths)
            missed[rows] = (np.abs(ends[rows] - base - total) / wide).max(axis=1)
        todo = todo[missed[todo] > TOLERANCE]
        if not len(todo):
            break
    found = np.zeros((len(x), columns + 1, n_out))
    for path in paths:
        path.add_to(found, owners)
    rest = ends - base - found.sum(axis=1)
    sizes = np.abs(found)
    sizes[:, sorted({*owners})] += 1e-300  # where no column has a part, all that are read share what is missed
    found += rest[:, None] * (sizes / sizes.sum(axis=1, keepdims=True))
    found[:, -1] = base
    return found, float(missed.max(initial=0.0))


def _mixed(
    ensemble: Ensemble, paths: Sequence[_Path], rows: Array, at: Array
) -> tuple[Array, list[tuple[_Path, _Member, Batch, Array]]]:
    """Return what the members say together at points of the ways to rows, and what each of them says."""
    total, said = np.zeros((len(rows) * len(at), paths[0].n_out)), []
    for path in paths:
        for member in path.members:
            batch = member.forward(rows, at)
            p = ensemble.said(path.number, batch.z.astype(np.float64))
            total += path.weight * p
            said.append((path, member, batch, p))
    return total, said


def _integrate(ensemble: Ensemble, paths: Sequence[_Path], rows: Array, at: Array, weights: Array) -> None:
    """Set the integral of the gradient of each output with respect to the units behind the first product."""
    mixed, said = _mixed(ensemble, paths, rows, at)
    # probabilities of classes add up to 1, so that the gradients of all add up to 0
    last = mixed.shape[1] - 1 if ensemble.task == CLASSES else None
    for path, member, batch, p in said:
        member.slopes[rows] = 0.0
        for o in range(mixed.shape[1]):
            if o == last:
                member.slopes[rows, o] = -member.slopes[rows].sum(axis=1)
                continue
            v = _slope(ensemble, mixed, o)
            with np.errstate(all="ignore"):
                if o > 0:  # the backward pass has used up what the forward pass kept for it
                    batch.forward(train=False)
                batch.dz[...] = path.weight * _through_link(ensemble, path.number, batch.z, p, v)
                batch.backward()
            by_node = batch.dx.reshape(len(rows), len(at), -1)
            member.slopes[rows, o] = np.einsum("n,rnu->ru", weights, by_node)


def _slope(ensemble: Ensemble, mixed: Array, o: int) -> Array:
    """Return the gradient (points, outputs) of an output of the ensemble with respect to mixed predictions."""
    v = np.zeros_like(mixed)
    if ensemble.unit is not None:
        values, unit = mixed[:, o] * ensemble.unit.scale[o] + ensemble.unit.mean[o], ensemble.unit
        v[:, o] = unit.scale[o] * ((values > unit.low[o]) & (values < unit.high[o]))
        return v
    if ensemble.temperature == 1:
        v[:, o] = 1
        return v
    q, T = ensemble.finished(mixed), ensemble.temperature
    if ensemble.task == LABELS:
        for p in (mixed[:, o], 1 - mixed[:, o]):
            v[:, o] += q[:, o] * (1 - q[:, o]) / T * (p > LEAST) / np.maximum(p, LEAST)
        return v
    v[:, o] = 1
    return (v - q) * q[:, [o]] / T * (mixed > LEAST) / np.maximum(mixed, LEAST)


def _through_link(ensemble: Ensemble, j: int, z: Array, p: Array, v: Array) -> Array:
    """Return the gradient with respect to the outputs of a member, by that with respect to what they mean."""
    if ensemble.task == CLASSES:
        return p * (v - (v * p).sum(axis=1, keepdims=True))
    if ensemble.task == LABELS:
        return p * (1 - p) * v
    logarithm = ensemble.logarithms[j] if ensemble.logarithms else None
    if logarithm is None or ensemble.unit is None:
        return v
    logs = logarithm.mean + logarithm.scale * z.astype(np.float64)
    inside = (logs > logarithm.low) & (logs < logarithm.high)
    steep = logarithm.factor * np.exp(np.where(inside, logs, 0.0)) * logarithm.scale / ensemble.unit.scale
    return np.where(logarithm.skewed, v * steep * inside, v)


class _Member:
    """A member behind its first product, which is a straight line along the way to a row."""

    slopes: Array  # (rows, outputs, units): the integral of the gradient with respect to what the first product gives

    def __init__(self, net: Network, first: Any, program: Program, theta: Array) -> None:
        size, n_out = first.n_in * first.n_out, first.n_out
        begin = size + n_out * first.bias
        self.W = theta[:size].reshape(first.n_in, n_out) * theta.dtype.type(first.weight_factor)
        self.b = theta[size:begin] if first.bias else np.zeros(n_out, theta.dtype)
        self.net, self.program, self.theta = net, program, theta[begin:]
        self.workspace = self._room_for(1)

    def _room_for(self, points: int) -> Workspace:
        return Workspace(self.program, self.theta, self.net.state, points, loss=self.net.loss, input_gradient=True)

    def lead_to(self, base: Array, way: Array, n_out: int) -> None:
        """Take the ways to rows."""
        self.start, self.way = base @ self.W + self.b, way @ self.W
        self.slopes = np.zeros((len(way), n_out, len(self.b)))

    def forward(self, rows: Array, at: Array) -> Batch:
        """Return the batch of points of the ways to rows, after its forward pass."""
        count = len(rows) * len(at)
        if self.workspace.rows < count:
            self.workspace = self._room_for(count)
        batch = self.workspace.bind(count)
        points = self.start + at[:, None] * self.way[rows][:, None]
        batch.x[...] = points.reshape(len(batch.x), -1)
        with np.errstate(all="ignore"):
            batch.forward(train=False)
        return batch


class _Path:
    """A network of an ensemble along the straight ways from its base to rows."""

    def __init__(self, ensemble: Ensemble, number: int) -> None:
        net = ensemble.networks[number]
        first, members = net.layers[0], net.layers[-1]
        if len(net.layers) != 2 or not isinstance(first, Columns) or not isinstance(members, Members):
            raise ConfigError("contributions are for networks that begin with Columns and end in packed Members")
        self.number, self.n_out = number, int(net.n_out or 0)
        self.base, self.weight = ensemble.bases[number], ensemble.shares[number] / members.k
        self.inputs, self.columns = _inputs_of(first), _columns_alone(net)
        begin: Any = members.layers[0]
        program = Program(chain([Activation(begin.activation or "identity"), *members.layers[1:]], begin.n_out))
        thetas = [[each.of(net.theta)[m].ravel() for each in net.program.tensors] for m in range(members.k)]
        self.members = [_Member(net, begin, program, np.concatenate(theta)) for theta in thetas]

    def lead_to(self, x: Array) -> None:
        """Take the rows to which the ways lead."""
        self.way = self.columns.predict(x) - self.base
        for member in self.members:
            member.lead_to(self.base, self.way, self.n_out)

    def total(self, rows: Array) -> Array:
        """Return the sum of what all columns contribute to the predictions for rows (rows, outputs)."""
        return sum(np.einsum("rou,ru->ro", each.slopes[rows], each.way[rows]) for each in self.members)

    def add_to(self, found: Array, owners: Sequence[int]) -> None:
        """Add what the columns of the table contribute."""
        belongs = np.zeros((len(self.inputs), found.shape[1]))
        belongs[np.arange(len(self.inputs)), np.asarray(owners)[self.inputs]] = 1
        for o in range(self.n_out):
            gradient = sum(each.slopes[:, o] @ each.W.T for each in self.members)
            found[:, :, o] += (self.way * gradient) @ belongs


def _inputs_of(columns: Columns) -> list[int]:
    """Return the column of x that each output of the first layer is made of."""
    found: list[int] = []
    for inputs, layers in columns.parts:
        owners = list(inputs)
        for layer in layers:
            times = int(layer.n_out or 0) // len(owners)
            # Standardize gives all values, and then all indicators; others, all that is made of a column side by side
            owners = owners * times if isinstance(layer, Standardize) else np.repeat(owners, times).tolist()
        found += owners
    return found
