"""Findings about a network in one step: units that do nothing, equal units, and gradients that vanish or explode.

The step is that of training (``train=True``), in a workspace with copies of the network's vectors.

The limits are from networks that learn: for iris, digits, wine, diabetes and breast cancer, standardised, with 1 to 4
hidden layers of 8 to 128 units of relu, tanh, sigmoid, gelu or elu, fresh and after 100 epochs, and for wine and digits
with up to 14 hidden layers of 32 units after 60.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fullyconnected.base import ActivationFunction
from fullyconnected.core.arrays import Array, dot
from fullyconnected.core.contracts import is_foreign
from fullyconnected.core.wording import printable
from fullyconnected.diagnosis.findings import Finding
from fullyconnected.engine.task import Task
from fullyconnected.optimizers import Adam
from fullyconnected.program.data import Data
from fullyconnected.program.description import Operation
from fullyconnected.program.program import Program
from fullyconnected.program.workspace import Batch, Workspace
from fullyconnected.training.divergence import at_once

__all__ = ["of_step"]

DEAD = 0.4  # share of a layer's units; where learning worked it was up to 0.34 (relu, 14 layers), most often 0
FEW = 4  # in fewer rows many healthy units of relu happen not to fire
FLAT = 1e-3  # a derivative below this, in each row, passes no gradient on; gelu's is that for z below -4
SATURATED = 0.5  # share of a layer's units; up to 0.19 where learning worked, 0.38 on digits from 0 to 16
STEEP = 0.05  # a unit is saturated where its derivative is below this share of the largest: |z| > 2.2 for tanh
ROWS = 0.95  # of so many rows
TWINS = 0.25  # share of a layer's units that equal another one; else it was 0
SOME = 500  # weights of each unit, evenly spaced, that are compared
SAME = 1e-5  # relative difference of equal weights, after rounding in float32
VANISHED = 1e-4  # ratio of first to last; with 6 layers of sigmoid 9e-4 and learns, 8 5e-5 and hardly, 10 2e-6 and not
EXPLODED = 1e3  # ratio of first to last; up to 58 where learning worked; 8e3 with 5 layers of relu and init=1.0
LARGE = 500.0  # ratio of gradient to weights; up to 13 where learning worked, 229 with 6 blocks, 711 with that init
LARGEST = {"sigmoid": 0.25, "tanh": 1.0}  # the derivative at 0 of what saturates on both sides
ROWWISE = ("softmax", "identity")  # these have no derivative of each unit, or none that says anything


class _Flow(NamedTuple):
    """How the gradient comes through an operation."""

    op: Operation
    dy: float  # the norm of the gradient with respect to its output
    dx: float  # and with respect to its input


def of_step(batch: Batch, data: Data, state: Array, *, scaled: bool) -> Iterator[Finding]:
    """Yield what one step on all rows of a batch shows; if it is not finite, that alone.

    ``state`` holds the running statistics, of which the batch's workspace has a copy that the step changes.
    ``scaled`` says that features and targets have suitable scales: if not, large gradients are a consequence.
    """
    workspace = batch.workspace
    program, theta = workspace.program, workspace.theta
    train = len(data.x) >= program.least_rows
    with np.errstate(all="ignore"):
        workspace.at(0, 0)
        batch.forward(train=train)
        loss = float(batch.loss_of(batch.z))
        flow = _flow(batch)
        outputs = all(np.isfinite(y).all() for *_, y in batch.bound())
        vectors = all(np.isfinite(each).all() for each in (theta, state, workspace.gradient))
        if not (outputs and vectors and np.isfinite([loss, *(norm for _, *norms in flow for norm in norms)]).all()):
            workspace.at(0, 0)
            if (broken := batch.find_not_finite(train=train)) is not None:
                yield _not_finite(program, data, theta, state, batch, *broken)
                return
        workspace.at(0, 0)
        batch.forward(train=train)  # once more, since backward may overwrite what forward has kept
        units = list(_units(batch)) if len(data.x) >= FEW else []
    units = [*_twins(program, workspace), *units]
    yield from units
    yield from _between_layers(program, flow, workspace, scaled=scaled, units=bool(units))


def _not_finite(program: Program, data: Data, theta: Array, state: Array, batch: Batch, kind: str, i: int) -> Finding:
    """Return the finding for a step that is not finite, with the advice that training would give."""
    for name, array in program.named(theta, state).items():
        if wrong := int((~np.isfinite(array)).sum()):
            seen = f"{printable(name)} has NaN or infinity in {wrong:,} of its {array.size:,} entries"
            change = "Begin with a new network, or load one from before, fc.load."
            return Finding("not_finite", "error", printable(name), seen, change)
    place = "the loss" if i < 0 else printable(program.operations[i].name)
    what = {"output": f"the output of {place}", "loss": "the loss", "dz": "the gradient of the loss"}
    seen = f"a step is not finite: {what.get(kind, f'the gradient of {place}')} has NaN or infinity"
    task = Task(program, data, Adam(), len(data.x))
    return Finding("not_finite", "error", place, seen, at_once(task, batch, kind, i, np.arange(len(data.x))))


def _units(batch: Batch) -> Iterator[Finding]:
    """Yield layers in which many units pass no gradient on, by the derivatives of their activations."""
    for op, p, x, c, y in batch.bound():
        f = getattr(op.layer, "activation", None)
        if not isinstance(f, ActivationFunction) or is_foreign(f) or is_foreign(op.layer) or f.name in ROWWISE:
            continue
        slope = np.ones_like(y)
        if op.kind == "parametric":
            f.backward(x, c, c.f, slope)
            slope = 1 + p.a * (slope - 1)
        else:
            f.backward((c.z if f.needs_input else y) if op.kind == "dense" else x, c, y, slope)
        slope, where = np.abs(slope), printable(op.name)
        if f.name in LARGEST:
            flat = (slope < STEEP * LARGEST[f.name]).mean(axis=0) >= ROWS
            if flat.mean() >= SATURATED:
                seen = (
                    f"{_share(flat)} of {where} are saturated: on at least {ROWS:.0%} of the rows their {f.name} is "
                    f"flat, with a derivative below {STEEP:.0%} of the largest"
                )
                change = "Bring the inputs to mean 0 and standard deviation 1, begin with smaller weights (init), or "
                yield Finding("saturated_units", "warning", where, seen, change + "put a LayerNorm before.")
        elif (dead := slope.max(axis=0) < FLAT).mean() >= DEAD:
            why = "relu gives 0" if f.name == "relu" else f"the derivative of their {f.name} is 0, or nearly,"
            seen = f"{_share(dead)} of {where} are dead: {why} on each of these rows"
            yield Finding("dead_units", "warning", where, seen, _OF_DEAD)


_OF_DEAD = (
    "No gradient reaches their weights, so that they stay dead. Bring the inputs to mean 0 and standard deviation 1, "
    'begin anew with a smaller learning rate, or use the activation "leaky_relu".'
)


def _share(units: Array) -> str:
    return f"{int(units.sum()):,} of the {len(units):,} units ({units.mean():.0%})"


def _twins(program: Program, workspace: Workspace) -> Iterator[Finding]:
    """Yield hidden layers of which many units have the weights, and the gradients, of another unit."""
    with_weights = [op for op in program.operations if any(tensor.param.matrix for tensor in op.params)]
    for op in with_weights[:-1]:
        own = [tensor for tensor in op.params if tensor.shape[-1] == op.n_out and len(tensor.shape) <= 2]
        parts = [tensor.of(flat) for flat in (workspace.theta, workspace.gradient) for tensor in own]
        parts = [part.reshape(-1, op.n_out) for part in parts]
        parts = [part[:: 1 + len(part) // SOME].astype(np.float64) for part in parts]
        columns = np.concatenate([part / (np.abs(part).max() or 1.0) for part in parts])
        order = np.argsort(np.random.default_rng(0).normal(size=len(columns)) @ columns)
        near = np.abs(np.diff(columns[:, order], axis=1)).max(axis=0) <= SAME
        twin = np.append(near, False) | np.append(False, near)
        if op.n_out > 1 and twin.mean() >= TWINS:
            where = printable(op.name)
            yield Finding(
                "symmetric_weights",
                "warning",
                where,
                f"{_share(twin)} of {where} have the same weights and the same gradients as another one, so that they "
                f"stay the same unit",
                "Begin with random weights: leave out init, which suits the activation then.",
            )


def _norm(a: Array) -> float:
    """Return the norm; the dot product of few numbers is not shared among threads, which may all be busy."""
    a = a.astype(np.float64)
    return math.sqrt(float(dot(np, a, a)))


def _flow(batch: Batch) -> list[_Flow]:
    """Run backward, and return how the gradient comes through each operation, first to last."""
    dy, flow = _norm(batch.dz), []
    for _, op, _, dx in batch.walk_back():
        below = 0.0 if dx is None else _norm(dx)
        flow.append(_Flow(op, dy, below))
        dy = below
    return flow[::-1]


def _between_layers(
    program: Program, flow: list[_Flow], workspace: Workspace, *, scaled: bool, units: bool
) -> Iterator[Finding]:
    in_units = program.operations[-1].kind == "rescale"  # of the targets, which the loss and all gradients are in
    last = flow[-2] if in_units and len(flow) > 1 else flow[-1]
    first = flow[program.first] if program.n_params else last
    if not last.dy > 0:  # every row is right already, or there is nothing to learn
        return
    ratio, where = first.dy / last.dy, printable(first.op.name)
    if ratio > EXPLODED:
        yield Finding(
            "gradients_exploding",
            "warning",
            where,
            f"the gradient grows on its way back: at {where} it is {ratio:.2g} times that at the output",
            "Begin with smaller weights (leave out init), use max_grad_norm=1.0, or put a LayerNorm between layers.",
        )
    elif ratio < VANISHED and not units and not _is_closed(flow, workspace):  # what is wrong with units explains it
        yield Finding(
            "gradients_vanishing",
            "warning",
            where,
            f"the gradient vanishes on its way back: at {where} it is {ratio:.2g} times that at the output",
            'Use the activation "relu" or "gelu" in hidden layers, fewer layers, or Residual blocks and LayerNorm.',
        )
    if scaled and not in_units and ratio <= EXPLODED:
        for tensor in program.tensors:
            g, w = (_norm(tensor.of(v)) for v in (workspace.gradient, workspace.theta))
            if tensor.param.decays and g > LARGE * w > 0:
                yield Finding(
                    "gradients_exploding",
                    "warning",
                    printable(tensor.name),
                    f"the gradient of {printable(tensor.name)} is {g / w:.2g} times as large as the weights themselves",
                    "Begin with smaller weights (leave out init), or use max_grad_norm=1.0.",
                )
                return


def _is_closed(flow: list[_Flow], workspace: Workspace) -> bool:
    """Whether the gradient ends at weights that are 0, as some begin with, and that are about to change."""
    for op, dy, dx in flow:
        if dy > 0 and dx == 0:
            matrices = [tensor for tensor in op.params if tensor.param.matrix]
            return any(
                not tensor.of(workspace.theta).any() and tensor.of(workspace.gradient).any() for tensor in matrices
            )
    return False
