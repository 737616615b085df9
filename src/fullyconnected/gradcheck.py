"""The proof: every gradient held against central differences of the loss that it is the gradient of.

For each parameter and each input, the loss is computed a step h to the right and to the left. The slope between is
right up to h^2, and up to rounding: the losses carry about eps |L|, so the slope about eps |L| / h. What is compared
is the whole way a gradient goes in training: forward, loss, weights, l2, backward, from buffers that start as NaN.

The differences are always taken in float64, also for a float32 network, whose own gradient is then allowed the
rounding of its dtype.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fullyconnected.checks import as_rows, count, number
from fullyconnected.data import check_data
from fullyconnected.errors import KindError
from fullyconnected.flat import Array
from fullyconnected.gradhints import hint
from fullyconnected.layers import Activation
from fullyconnected.network import Network
from fullyconnected.program import Workspace
from fullyconnected.protocols import ActivationFunction, Layer, Loss
from fullyconnected.rng import as_seed
from fullyconnected.wording import in_ascii

__all__ = ["TOLERANCE", "H", "Report", "Subject", "TensorReport", "check_gradients", "of_network"]

H = float(np.finfo(np.float64).eps) ** (1 / 3)  # where h^2 and eps / h are about the same: 6e-6
TOLERANCE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 5e-4}
SMALLER = (1e-1, 1e-2, 1e-3)  # the steps, as parts of h, with which a slope beside a kink is looked for


@dataclass(frozen=True)
class TensorReport:
    """How one tensor's gradient compares: ``error`` is (gradient - difference) / largest entry, at its worst entry."""

    name: str
    shape: tuple[int, ...]
    error: float
    entry: tuple[int, ...]
    gradient: float
    difference: float
    tolerance: float
    checked: int  # entries compared; all of them, unless fewer were asked for
    unresolved: bool = False  # both lie below what rounding lets a difference resolve
    kinks: tuple[str, ...] = ()  # entries left out because a kink lies within every step, and where it is
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return abs(self.error) <= self.tolerance


@dataclass(frozen=True)
class Report:
    """The outcome of :func:`check_gradients`: prints as a table, with a diagnosis where something is wrong."""

    tensors: tuple[TensorReport, ...]
    loss: float
    rows: int
    h: float
    dtype: str

    @property
    def ok(self) -> bool:
        """Whether every tensor's gradient passes."""
        return all(tensor.ok for tensor in self.tensors)

    @property
    def worst(self) -> float:
        """The largest error of all tensors, without its sign; NaN where a gradient is not finite."""
        errors = [abs(tensor.error) for tensor in self.tensors]
        return math.nan if any(map(math.isnan, errors)) else max(errors, default=0.0)

    def __str__(self) -> str:
        left = max(8, *(len(t.name) for t in self.tensors))
        lines = [
            f"gradients of a loss of {self.loss:.6g} ({self.rows} row{'s' * (self.rows != 1)}, {self.dtype}) "
            f"against central differences in float64 with h = {self.h:.2g}",
            f"{'tensor':<{left}}  {'shape':<12} {'worst at':<10} {'gradient':>13} {'difference':>13} {'error':>9}",
        ]
        for t in self.tensors:
            where = ",".join(map(str, t.entry))
            shape = "x".join(map(str, t.shape))
            verdict = "" if t.ok else "  WRONG"
            lines.append(
                f"{t.name:<{left}}  {shape:<12} {f'[{where}]':<10} {t.gradient:>13.6g} {t.difference:>13.6g} "
                f"{t.error:>9.1e}{verdict}"
            )
        for t in self.tensors:
            if t.checked < math.prod(t.shape):
                lines.append(
                    f"{t.name}: {t.checked:,} of {math.prod(t.shape):,} entries were compared, drawn at random"
                )
            if t.unresolved:
                lines.append(f"{t.name}: gradient and differences are below what rounding lets a difference resolve")
            lines += [f"{t.name}{kink}" for kink in t.kinks[:3]]
            if len(t.kinks) > 3:
                lines.append(f"{t.name}: and {len(t.kinks) - 3} more entries at a kink")
        lines += [f"{t.name}: {t.hint}" for t in self.tensors if t.hint]
        lines.append(
            "all right" if self.ok else "WRONG: errors travel backward, so look at the last wrong tensor first"
        )
        return in_ascii("\n".join(lines))


class Projection(Loss):
    """Weighted mean over rows of ``sum_j t_j z_j``: what a layer alone is checked with, for random t."""

    name = "projection"

    def terms(self, z: Array, t: Array, c: Any, dz: Array) -> None:
        c.xp.multiply(z, t, out=c.e)
        c.xp.copyto(dz, t)


def check_gradients(
    obj: Any,
    x: Any = None,
    t: Any = None,
    loss: Any = None,
    *,
    l2: float = 0.0,
    sample_weight: Any = None,
    train: bool = False,
    seed: Any = 0,
    h: float | None = None,
    tolerance: float | None = None,
    entries: int | None = None,
    engine: str = "numpy",
) -> Report:
    """Compare every gradient, of all parameters and of the input, with central differences of the loss.

    An error is (gradient - difference) relative to the largest entry of its tensor, or to what rounding lets a
    difference resolve, about 10 eps L / h, where that is more. A difference across a kink says nothing: there, a
    smaller step is taken, and where the point lies on the kink itself the entry is left out and the kink is named.

    Parameters
    ----------
    obj : Network, Layer, ActivationFunction or Loss
        A layer or activation is checked with a random projection as its loss, unless ``loss`` is given, from random
        parameters near its first ones. For a loss, ``x`` are the outputs it is given.
    x, t : array
        The batch; a layer or activation without them gets 5 random rows.
    loss : Loss or str
        For a network.
    l2, sample_weight, train, seed
        As :meth:`Network.gradients` takes them.
    h : float, optional
        The step, relative for entries above 1; the cube root of float64's rounding, 6e-6, if None.
    tolerance : float, optional
        1e-6 for a float64 network and 5e-4 for a float32 one, if None.
    entries : int, optional
        Check at most so many entries of each tensor, drawn by ``seed``; every one if None. An entry takes two forward
        passes, so a network of a million parameters takes an hour, and 100 entries of each tensor take seconds.
    engine : str
        Whose gradients are checked: ``"numpy"`` or ``"native"``. The differences are NumPy's. (A loss alone has no
        engine.)

    Returns
    -------
    Report
        ``.ok``, ``.worst``; prints as a table, with a diagnosis.

    Raises
    ------
    KindError
        For anything else, or where x, t or the loss is missing; and whatever :meth:`Network.gradients` raises.

    Examples
    --------
    >>> from fullyconnected import SquaredError, mlp
    >>> net = mlp([2, 3, 1], activation="tanh", dtype=np.float64, seed=0)
    >>> report = check_gradients(net, [[0.5, -1.0]], [1.0], SquaredError())
    >>> report.ok, report.worst < 1e-6
    (True, True)
    """
    h = H if h is None else number("h", h, above=True)
    seed = as_seed(seed)
    rng = np.random.default_rng(seed)
    if isinstance(obj, ActivationFunction):
        obj = Activation(obj, n_in=4 if x is None else math.prod(np.shape(x)[1:]))
    if isinstance(obj, Loss):
        if x is None or t is None:
            raise KindError("to check a loss, give the outputs x (rows, n_out) and the targets t")
        subject = _of_loss(obj, x, t, sample_weight)
    elif isinstance(obj, Network | Layer):
        net = obj if isinstance(obj, Network) else _around(obj, x, rng)
        x = rng.normal(size=(5, net.n_in)) if x is None else x
        if loss is None and not isinstance(obj, Network):
            loss, t = Projection(), rng.normal(size=(len(x), net.n_out))
        if t is None or loss is None:
            raise KindError("to check a network, give x, t and loss: check_gradients(net, x, t, fc.SquaredError())")
        subject = of_network(net, x, t, loss, l2, sample_weight, train, seed, engine)
    else:
        raise KindError(f"a Network, a Layer, an ActivationFunction or a Loss can be checked; got {obj!r}")
    tolerance = TOLERANCE[subject.dtype] if tolerance is None else number("tolerance", tolerance, above=True)
    entries = None if entries is None else count("entries", entries)
    return subject.report(h, tolerance, entries, rng)


@dataclass
class Subject:
    """A function of arrays that can be nudged in place, and the gradients that are claimed for it."""

    arrays: dict[str, Array]  # float64, written to and put back
    claimed: dict[str, Array]
    value: Callable[[], float]
    kinks: Callable[[], Iterator[tuple[str, Array]]]  # of the last value: where, and the signed distances
    rows: int
    n_out: int
    dtype: np.dtype[Any]
    size: float  # of the outputs
    l2: float = 0.0

    def report(self, h: float, tolerance: float, entries: int | None, rng: np.random.Generator) -> Report:
        tensors = tuple(
            self.tensor(name, h, tolerance, _choose(a.size, entries, rng)) for name, a in self.arrays.items() if a.size
        )
        return Report(tensors, self.value(), self.rows, h, self.dtype.name)

    def _floor(self, h: float) -> float:
        """Return what a difference cannot resolve: the loss's rounding over h, and the outputs' own where L is 0."""
        largest = max((float(np.abs(g).max(initial=0)) for g in self.claimed.values()), default=0.0)
        eps, own = (float(np.finfo(dtype).eps) for dtype in (np.float64, self.dtype))
        return 10 * eps * (abs(self.value()) / h + self.size) + 10 * own * (largest if math.isfinite(largest) else 0)

    def tensor(self, name: str, h: float, tolerance: float, chosen: Array) -> TensorReport:
        """Compare one tensor's gradient with differences, at the chosen places of the flattened tensor."""
        floor = self._floor(h)
        array, claimed = self.arrays[name], self.claimed[name].astype(np.float64)
        slopes = claimed.copy()  # what is not chosen is not compared
        for entry in zip(*np.unravel_index(chosen, array.shape), strict=True):
            slopes[entry] = self._slope(array, entry, h)
        kinks: list[str] = []
        off = ~(np.abs(claimed - slopes) <= self._bound(claimed, slopes, tolerance, floor))
        for entry in map(tuple, np.argwhere(off)):
            better, where = self._beside_kink(array, entry, h)
            if better is None:
                if where:
                    slopes[entry] = claimed[entry]  # left out: there is no slope to compare with
                    kinks.append(f"[{','.join(map(str, entry))}] moves {where} across its kink, and is left out")
            else:
                slopes[entry] = better
        difference = claimed - slopes
        scale = max(float(np.abs(claimed).max()), float(np.abs(slopes).max()))
        bound = self._bound(claimed, slopes, tolerance, floor)
        worst = tuple(
            int(i) for i in np.unravel_index(np.argmax(np.nan_to_num(np.abs(difference), nan=np.inf)), array.shape)
        )
        error = float(difference[worst] / (bound / tolerance)) if bound else 0.0
        wrong = not abs(error) <= tolerance
        return TensorReport(
            name,
            array.shape,
            error,
            worst,
            float(claimed[worst]),
            float(slopes[worst]),
            tolerance,
            unresolved=scale <= floor,
            kinks=tuple(kinks),
            checked=len(chosen),
            hint=self._hint(claimed, slopes, array, chosen) if wrong else "",
        )

    def _hint(self, claimed: Array, slopes: Array, array: Array, chosen: Array) -> str:
        if len(chosen) < array.size:
            claimed, slopes, array = (a.ravel()[chosen] for a in (claimed, slopes, array))
        return hint(claimed, slopes, array, self.rows, self.n_out, self.l2)

    @staticmethod
    def _bound(claimed: Array, slopes: Array, tolerance: float, floor: float) -> float:
        """Return how far a gradient may be off: a part of the largest entry, and never less than rounding."""
        scale = max(float(np.abs(claimed).max()), float(np.abs(slopes).max()))
        return max(tolerance * scale, floor) if math.isfinite(scale) else tolerance

    def sides(self, array: Array, entry: tuple[int, ...], h: float) -> tuple[float, float, float]:
        """Return the loss a step to the right and a step to the left of an entry, and the way between the two."""
        kept = array[entry]
        step = h * max(1.0, abs(kept))
        right, left = kept + step, kept - step
        array[entry] = right
        above = self.value()
        array[entry] = left
        below = self.value()
        array[entry] = kept
        return above, below, float(right - left)

    def _slope(self, array: Array, entry: tuple[int, ...], h: float) -> float:
        above, below, way = self.sides(array, entry, h)
        return (above - below) / way

    def _beside_kink(self, array: Array, entry: tuple[int, ...], h: float) -> tuple[float | None, str]:
        """Return a slope taken without crossing a kink, or None and the kink that every step crosses."""
        where = self._crossed(array, entry, h)
        if not where:
            return None, ""
        for part in SMALLER:
            if not self._crossed(array, entry, h * part):
                return self._slope(array, entry, h * part), ""
        return None, where

    def _crossed(self, array: Array, entry: tuple[int, ...], h: float) -> str:
        """Name a kink that lies between the entry's two neighbours, or return an empty string."""
        kept = array[entry]
        step = h * max(1.0, abs(kept))
        sides = []
        for value in (kept + step, kept - step):
            array[entry] = value
            self.value()
            sides.append([(name, np.sign(distances)) for name, distances in self.kinks()])
        array[entry] = kept
        for (name, right), (_, left) in zip(*sides, strict=True):
            crossed = np.argwhere(right != left)
            if len(crossed):
                return f"{name}, row {crossed[0][-2]}, unit {crossed[0][-1]},"
        return ""


def _choose(size: int, entries: int | None, rng: np.random.Generator) -> Array:
    """Return which entries of a tensor are checked: all, or as many as asked for, at random."""
    if entries is None or entries >= size:
        return np.arange(size)
    return np.sort(rng.choice(size, entries, replace=False))


def _around(layer: Layer, x: Any, rng: np.random.Generator) -> Network:
    """Return a float64 network of one layer, from parameters near its first ones, so that no factor is 1 or 0."""
    if layer.n_in is None and x is not None:
        layer = layer.sized(math.prod(np.shape(x)[1:]))
    net = Network([layer], dtype=np.float64, seed=0)
    net.theta += rng.normal(0, 0.1, net.n_params)
    return net


def of_network(
    net: Network, x: Any, t: Any, loss: Any, l2: float, sample_weight: Any, train: bool, seed: int, engine: str
) -> Subject:
    """Return a network's loss as a function of its parameters and inputs, and the gradients that it claims."""
    g = net.gradients(x, t, loss, l2, sample_weight, train, seed, engine=engine)
    data = check_data(net.program, net.dtype, x, t, loss, sample_weight, columns=net.columns)
    theta, state = net.theta.astype(np.float64), net.state.astype(np.float64)
    at_first = state.copy()
    workspace = Workspace(net.program, theta, state, len(data.x), loss=data.loss, input_gradient=True)
    workspace.at(seed, 0)
    batch = workspace.bind(len(data.x))
    # both sides are given what the network computes with: the input as its dtype holds it
    t = data.t.astype(np.float64) if data.t.dtype.kind == "f" else data.t
    batch.fill(data.x.astype(net.dtype), t, data.weights)

    def value() -> float:
        state[...] = at_first
        with np.errstate(all="ignore"):
            found = float(batch.loss_of(batch.forward(train=train)))
            return found + float(workspace.add_l2(l2)) if l2 else found

    def kinks() -> Iterator[tuple[str, Array]]:
        for step, p, rows, _, _ in batch.bound():
            distances = step.layer.kink_distances(p, rows)
            if distances is not None:
                yield step.name, distances
        distances = data.loss.kink_distances(batch.z, batch.t)
        if distances is not None:
            yield f"the loss {data.loss.name}", distances

    value()
    size = max(1.0, float(np.abs(batch.z).max()))
    arrays = {name: theta[part].reshape(shape) for name, shape, part, _ in net.program.tensors()}
    claimed = {name: g.theta[part].reshape(shape) for name, shape, part, _ in net.program.tensors()}
    arrays["x"], claimed["x"] = batch.x, g.x.reshape(batch.x.shape)
    return Subject(arrays, claimed, value, kinks, len(data.x), net.n_out, net.dtype, size, l2)


def _of_loss(loss: Loss, x: Any, t: Any, sample_weight: Any) -> Subject:
    z = np.asarray(x)
    z = as_rows(z, math.prod(z.shape[1:]), "x").astype(z.dtype if z.dtype.kind == "f" else np.float64)
    _, claimed = loss(z, t, sample_weight)
    exact = z.astype(np.float64)
    targets = loss.encode(np.asarray(t), z.shape[1])

    def kinks() -> Iterator[tuple[str, Array]]:
        distances = loss.kink_distances(exact, targets)
        if distances is not None:
            yield f"the loss {loss.name}", distances

    def value() -> float:
        with np.errstate(all="ignore"):
            return loss(exact, t, sample_weight)[0]

    dtype = z.dtype if z.dtype in TOLERANCE else np.dtype(np.float64)
    size = max(1.0, float(np.abs(exact).max()))
    return Subject({"z": exact}, {"z": claimed}, value, kinks, len(z), z.shape[1], dtype, size)
