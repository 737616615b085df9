"""The gradient check: each gradient is compared with central differences of its loss.

For each parameter and each input, the loss is computed a step above and a step below its value. If the slope between
the two is not the gradient, the error of the slope is bounded: kinks between the points, the curvature of the loss
(truncation), and the rounding of all that the loss is computed from (see ``differences``). The rounding error of the
gradient itself is measured by computing it again with random rounding. A gradient is wrong only if none of these
explains the difference; if they could hide a mistake of a thousandth of the largest entry, it is not called right
either. The check covers the whole computation of a training step: forward pass, loss, sample weights, l2 and backward
pass, in buffers that start as NaN.

The differences are always computed in float64. The gradient of a float32 network may differ by the rounding of float32.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.base import ActivationFunction, Layer, Loss
from fullyconnected.checking.comparison import Kinks, Subject
from fullyconnected.checking.report import Report, TensorReport
from fullyconnected.core.arrays import Array, Cache
from fullyconnected.core.checks import as_rows, count, number
from fullyconnected.core.deprecation import old_arguments
from fullyconnected.core.randomness import as_seed
from fullyconnected.errors import InputTypeError
from fullyconnected.layers import Activation
from fullyconnected.network import Network
from fullyconnected.program.data import BatchLoader, Data, check_data
from fullyconnected.program.sources import ArraySource
from fullyconnected.program.workspace import Workspace

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, LossLike, SeedLike

__all__ = ["FIRST_STEP", "TOLERANCE", "Report", "Subject", "TensorReport", "check_gradients", "of_network"]

FIRST_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)  # 6e-6: truncation step^2 and rounding eps / step are equal
TOLERANCE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 5e-4}


class Projection(Loss):
    """Weighted mean over rows of ``sum_j t_j z_j``: the loss with which a single layer is checked, for random t."""

    name = "projection"

    def terms(self, z: Array, t: Array, c: Cache, dz: Array) -> None:
        c.xp.multiply(z, t, out=c.e)
        c.xp.copyto(dz, t)


@old_arguments
def check_gradients(
    obj: Network | Layer | ActivationFunction | Loss,
    x: ArrayLike | None = None,
    t: ArrayLike | None = None,
    loss: LossLike | None = None,
    *,
    l2: float = 0.0,
    sample_weight: ArrayLike | None = None,
    train: bool = False,
    seed: SeedLike = 0,
    step: float | None = None,
    tolerance: float | None = None,
    entries: int | None = None,
    engine: str = "numpy",
) -> Report:
    """Compare the gradients of all parameters and of the input with central differences of the loss.

    The error is (gradient - difference) relative to the largest entry of the tensor. If it is above the tolerance,
    smaller and larger steps are tried, and the errors by rounding and truncation are bounded, for the differences and
    for the gradient. The gradient is wrong if its error is above that bound. If the bound is above 0.05 % of the
    largest entry, and so could hide a mistake, the gradient is neither right nor wrong but unresolved. A difference
    across a kink says nothing, so smaller steps are used; an entry on the kink itself is left out, and the report
    names the kink.

    Parameters
    ----------
    obj : Network, Layer, ActivationFunction or Loss
        A layer or activation is checked at random parameters near its initial ones, with a random projection as its
        loss unless ``loss`` is given. For a loss, ``x`` are the outputs of a network.
    x, t : array
        The batch; a layer or activation without one is checked on 5 random rows.
    loss : Loss or str
        The loss of a network.
    l2, sample_weight, train, seed
        As in :meth:`Network.gradients`.
    step : float, optional
        The first step, relative for entries above 1; None takes 6e-6, the cube root of float64's precision.
    tolerance : float, optional
        The largest allowed error; None takes 1e-6 for a float64 network and 5e-4 for a float32 one.
    entries : int, optional
        Check at most this many entries of each tensor, drawn by ``seed``; None checks all. An entry takes two forward
        passes (about forty if these do not agree with the gradient), so a network of a million parameters takes an
        hour, and 100 entries of each tensor take seconds.
    engine : str
        The engine whose gradients are checked: ``"numpy"`` or ``"native"``. The differences are computed with NumPy,
        and so is a loss alone.

    Returns
    -------
    Report
        ``.ok`` (none is wrong, and at least one is right), ``.wrong``, ``.worst``; ``.tensors[i].verdict`` is
        ``"ok"``, ``"wrong"`` or ``"unresolved"``. It prints as a table, with a diagnosis.

    Raises
    ------
    InputTypeError
        For other objects, or if x, t or the loss is missing; and the errors of :meth:`Network.gradients`.

    Examples
    --------
    >>> from fullyconnected import HalfSquaredError, mlp
    >>> net = mlp([2, 3, 1], activation="tanh", dtype=np.float64, seed=0)
    >>> report = check_gradients(net, [[0.5, -1.0]], [1.0], HalfSquaredError())
    >>> report.ok, report.worst < 1e-6
    (True, True)
    """
    step = FIRST_STEP if step is None else number("step", step, above=True)
    seed = as_seed(seed)
    rng = np.random.default_rng(seed)
    if isinstance(obj, ActivationFunction):
        obj = Activation(obj, n_in=4 if x is None else math.prod(np.shape(x)[1:]))
    if isinstance(obj, Loss):
        if x is None or t is None:
            raise InputTypeError("to check a loss, give the outputs x (rows, n_out) and the targets t")
        subject = _of_loss(obj, x, t, sample_weight)
    elif isinstance(obj, Network | Layer):
        net = obj if isinstance(obj, Network) else _around(obj, x, rng)
        net.require_set()
        x = net.layers[0].example_rows(rng, 5) if x is None else x
        if loss is None and not isinstance(obj, Network):
            loss, t = Projection(), rng.normal(size=(np.shape(x)[0], net.n_out))
        if t is None or loss is None:
            raise InputTypeError(
                "to check a network, give x, t and loss: check_gradients(net, x, t, fc.HalfSquaredError())"
            )
        subject = of_network(net, x, t, loss, l2, sample_weight, train, (seed, 0), engine)
    else:
        raise InputTypeError(f"a Network, a Layer, an ActivationFunction or a Loss can be checked; got {obj!r}")
    tolerance = TOLERANCE[subject.dtype] if tolerance is None else number("tolerance", tolerance, above=True)
    entries = None if entries is None else count("entries", entries)
    return subject.report(step, tolerance, entries, rng)


def _around(layer: Layer, x: Any, rng: np.random.Generator) -> Network:
    """Return a float64 network of one layer, at parameters near its initial ones of which none is 0 or 1."""
    if layer.n_in is None and x is not None:
        layer = layer.with_input_width(math.prod(np.shape(x)[1:]))
    net = Network([layer], dtype=np.float64, seed=0)
    if net.unset:  # what adapts does so to these rows, or to targets that are as good as any
        x = layer.example_rows(rng, 5) if x is None else x
        net.adapt(x, t=rng.normal(size=(np.shape(x)[0], net.n_out)))
    net.theta += rng.normal(0, 0.1, net.n_params)
    return net


def of_network(
    net: Network, x: Any, t: Any, loss: Any, l2: float, sample_weight: Any, train: bool, draws: tuple[int, int],
    engine: str, claimed: tuple[float, Array, Array] | None = None,
) -> Subject:  # fmt: skip
    """Return a network's loss as a function of its parameters and inputs, with the claimed gradients.

    ``draws`` are the seed and the number of the step to which random numbers belong. ``claimed`` are the loss, the flat
    gradient and that of x, which are computed if they are not given.
    """
    data = check_data(net.program, net.dtype, x, t, loss, sample_weight, columns=net.columns)
    loss = data.loss
    if claimed is None:
        g = net.gradients(x, t, loss, l2, sample_weight, train, draws[0], engine=engine)
        claimed = g.loss, g.theta, g.x
    theta, state = net.theta.astype(np.float64), net.state.astype(np.float64)
    at_first = state.copy()
    workspace = Workspace(net.program, theta, state, len(data.x), loss=data.loss, input_gradient=True)
    workspace.at(*draws)
    # the differences are computed from the same input as the gradient: rounded to the dtype that the network reads
    targets = data.t.astype(np.float64) if data.t.dtype.kind == "f" else data.t
    rows = data.x.taken(np.arange(len(data.x)), net.program.input_dtype(net.dtype))
    batch = BatchLoader(Data(ArraySource(rows), targets, data.weights, data.loss), workspace).load_all()

    def value() -> float:
        state[...] = at_first
        with np.errstate(all="ignore"):
            found = float(batch.loss_of(batch.forward(train=train)))
            return found + float(workspace.add_l2(l2)) if l2 else found

    def kinks() -> Kinks:
        yield from ((op.name, op.layer.kink_distances(p, rows)) for op, p, rows, *_ in batch.bound())
        yield f"the loss {loss.name}", loss.kink_distances(batch.z, batch.t)

    value()
    size = max(1.0, float(np.abs(batch.z).max()))
    arrays = {**net.program.named(theta), "x": batch.x}
    given = net.program.input_units(batch.x)
    units = {} if given is None else {"x": given}
    still = None if given is None else given == 0  # missing values and codes stay as they are

    def claims(flat: Array, dx: Array) -> dict[str, Array]:
        return {**net.program.named(flat), "x": dx.reshape(batch.x.shape)}

    found = claims(*claimed[1:])

    def own() -> dict[str, Array]:
        if engine == "numpy":
            return found
        plain = net.gradients(x, t, loss, l2, sample_weight, train, draws[0], engine="numpy")
        return claims(plain.theta, plain.x)

    def again(rng: np.random.Generator | None) -> dict[str, Array]:
        """Compute the gradients in float64, with results rounded up or down at random by the network's precision."""

        def shake(a: Array | None, dtype: np.dtype[Any] = net.dtype, still: Array | None = None) -> None:
            if rng is not None and a is not None:
                shaken = a * (1 + float(np.finfo(dtype).eps) * rng.choice((-1.0, 1.0), a.shape))
                np.copyto(a, shaken, where=True if still is None else ~still)

        kept = theta.copy(), batch.x.copy()
        state[...] = at_first
        shake(theta)
        shake(batch.x, rows.dtype, still)
        with np.errstate(all="ignore"):
            for op, p, x, c, y in batch.bound():
                op.layer.forward(p, x, c, y, train=train)
                shake(y)
            batch.loss_of(batch.z)
            shake(batch.dz)
            for *_, dx in batch.walk_back():
                shake(dx)
            if l2:
                workspace.add_l2(l2)
        theta[...], batch.x[...] = kept
        return claims(workspace.gradient.copy(), batch.dx.copy())

    return Subject(
        arrays, found, value, kinks, own, again, len(rows), net.n_out, net.dtype, size, claimed[0], l2,
        batch.first_not_finite, units,
    )  # fmt: skip


def _of_loss(loss: Loss, x: Any, t: Any, sample_weight: Any) -> Subject:
    z = np.asarray(x)
    z = as_rows(z, math.prod(z.shape[1:]), "x").astype(z.dtype if z.dtype.kind == "f" else np.float64)
    claimed_loss, claimed = loss(z, t, sample_weight)
    exact = z.astype(np.float64)
    targets = loss.encode_targets(np.asarray(t), z.shape[1])

    def kinks() -> Kinks:
        yield f"the loss {loss.name}", loss.kink_distances(exact, targets)

    def value() -> float:
        with np.errstate(all="ignore"):
            return loss(exact, t, sample_weight)[0]

    dtype = z.dtype if z.dtype in TOLERANCE else np.dtype(np.float64)
    eps = float(np.finfo(dtype).eps)

    def again(rng: np.random.Generator | None) -> dict[str, Array]:
        moved = exact if rng is None else exact * (1 + eps * rng.choice((-1.0, 1.0), exact.shape))
        return {"z": loss(moved, t, sample_weight)[1]}

    size = max(1.0, float(np.abs(exact).max()))
    claims = {"z": claimed}
    return Subject(
        {"z": exact}, claims, value, kinks, lambda: claims, again, len(z), z.shape[1], dtype, size, claimed_loss
    )
