"""A network as a program: its layers laid out as a flat list of steps, and the memory that running it writes.

:class:`Program` is what does not change: the steps, their names, and where each parameter lies in ``theta``.
:class:`Workspace` is everything a step writes: activations, gradients, caches. One belongs to one thread, while
``theta`` may be shared. ``workspace.bind(rows)`` gives the :class:`Batch` of that many rows: the same memory, cut
to size, with every view made beforehand, so that a training step allocates nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.base import Layer, Loss, Param
from fullyconnected.core.arrays import Array, Shape, Views, carve, dot, reserve, shaped, size_of
from fullyconnected.core.contracts import is_foreign, read_only
from fullyconnected.core.randomness import Uniforms
from fullyconnected.layers import Add, Save
from fullyconnected.program.guard import forward_and_backward, parameters, value_and_gradient

__all__ = ["Batch", "Piece", "Program", "Step", "Workspace"]

PIECE = 1 << 15  # entries of theta that an optimizer takes at a time, so that its scratch stays in cache


class Step(NamedTuple):
    """One layer of the program: its name, and where its parameters and its running state begin."""

    name: str
    layer: Layer
    params: Mapping[str, Param]
    state: Mapping[str, Shape]
    theta_at: int
    state_at: int

    @property
    def shapes(self) -> dict[str, Shape]:
        """The parameters' shapes by name."""
        return {name: param.shape for name, param in self.params.items()}


class Piece(NamedTuple):
    """A stretch of ``theta``, and whether l2 and weight decay shrink it."""

    part: slice
    decays: bool


def _flatten(layers: Sequence[Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield every step with its name: ``dense_1``, ``dense_2``, and within a block ``residual_1.dense_1``."""
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer.name] = counts.get(layer.name, 0) + 1
        name = prefix + (layer.name if isinstance(layer, Save | Add) else f"{layer.name}_{counts[layer.name]}")
        steps = tuple(layer.steps())
        if steps == (layer,):
            yield name, layer
        else:
            yield from _flatten(steps, name + ".")


class Program:
    """The steps of a network and the table of its parameters."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        steps: list[Step] = []
        theta_at = state_at = 0
        for name, layer in _flatten(layers):
            step = Step(name, layer, dict(layer.params()), dict(layer.state()), theta_at, state_at)
            theta_at += size_of(step.shapes)
            state_at += size_of(step.state)
            steps.append(step)
        self.steps = tuple(steps)
        self.n_params, self.n_state = theta_at, state_at
        self.n_in, self.n_out = int(layers[0].n_in or 0), int(layers[-1].n_out or 0)
        self.least_rows = max((step.layer.least_rows for step in steps), default=1)
        self.widths = tuple(int(step.layer.n_out or 0) for step in steps)
        # the first step with parameters: a gradient with respect to theta alone ends there
        self.first = next((i for i, step in enumerate(steps) if step.params), len(steps))

    @cached_property
    def entries_a_row(self) -> int:
        """How many numbers a workspace keeps for each row of a prediction, caches included."""
        caches = (reserve(step.layer.cache(1), np.dtype(np.float32)) for step in self.steps)
        return self.n_in + sum(self.widths) + sum(a.size for cache in caches for a in cache.values())

    def views(self, theta: Array) -> list[Views]:
        """Return the parameters of each step as views of ``theta``, or the gradients as views of a flat gradient."""
        return [carve(theta, step.shapes, step.theta_at) for step in self.steps]

    def memory(self, theta: Array, state: Array) -> list[Views]:
        """Return the parameters and the running state of each step, which is what a layer calls ``p``."""
        return [
            Views({**vars(params), **vars(carve(state, step.state, step.state_at))})
            for params, step in zip(self.views(theta), self.steps, strict=True)
        ]

    def tensors(self) -> Iterator[tuple[str, Shape, slice, bool]]:
        """Yield each parameter tensor: its full name, its shape, its part of ``theta``, and whether it decays."""
        for step in self.steps:
            start = step.theta_at
            for name, param in step.params.items():
                stop = start + math.prod(param.shape)
                yield f"{step.name}.{name}", param.shape, slice(start, stop), param.decays
                start = stop

    def state_tensors(self) -> Iterator[tuple[str, Shape, slice]]:
        """Yield each tensor of the running state: its full name, its shape, and its part of the state vector."""
        for step in self.steps:
            start = step.state_at
            for name, shape in step.state.items():
                stop = start + math.prod(shape)
                yield f"{step.name}.{name}", shape, slice(start, stop)
                start = stop

    def pieces(self, *, by_decay: bool) -> list[Piece]:
        """Cut ``theta`` into stretches of bounded size, and, if asked, of one answer to whether they decay."""
        stretches: list[list[Any]] = []
        for _, _, part, decays in self.tensors():
            if stretches and (stretches[-1][2] == decays or not by_decay):
                stretches[-1][1] = part.stop
            else:
                stretches.append([part.start, part.stop, decays])
        return [
            Piece(slice(at, min(at + PIECE, stop)), decays)
            for start, stop, decays in stretches
            for at in range(start, stop, PIECE)
        ]


class Batch:
    """A workspace cut to a number of rows: run forward, then backward. Its arrays are views; nothing is allocated."""

    x: Array  # (rows, n_in): what comes in is written here
    z: Array  # (rows, n_out): the last layer's output
    t: Array  # the encoded targets of these rows

    def __init__(self, workspace: "Workspace", rows: int) -> None:
        program, dtype, xp = workspace.program, workspace.dtype, workspace.xp
        self.rows, self.workspace, widths = rows, workspace, program.widths
        self._forward: list[tuple[Any, ...]] = []
        self._backward: list[tuple[Any, ...]] = []

        def cut(memory: Array, columns: int) -> Array:
            return memory[: rows * columns].reshape(rows, columns)

        x = self.x = cut(workspace.x, program.n_in)
        saved: list[tuple[Array, Any]] = []  # what the residual blocks that are open at this point have saved
        for i, (step, p) in enumerate(zip(program.steps, workspace.p, strict=True)):
            layer = step.layer
            forward, backward = forward_and_backward(step.name, layer, trains=workspace.trains)
            c = shaped(workspace.caches[i], layer.cache(rows), dtype, xp)
            c.uniforms = workspace.uniforms[i]
            n_in, n_out = x.shape[1], widths[i]
            y = x if isinstance(layer, Save) else cut(workspace.y[i], n_out)
            if isinstance(layer, Save):
                c.past = cut(workspace.past[i], n_in) if workspace.trains else None
                saved.append((x, c.past))
            elif isinstance(layer, Add):
                c.saved, c.past = saved.pop()
            given, kept = x, y
            if is_foreign(layer):
                p = parameters(p, step.state if workspace.trains else {})
                given, kept = read_only(x), read_only(y)
            self._forward.append((forward, p, given, c, y))
            if workspace.trains and i >= workspace.first:
                last = i == workspace.first and not workspace.input_gradient
                dy = cut(workspace.d[i % 2], n_out)  # the two vectors take turns: what step i + 1 wrote, step i reads
                dx = None if last else cut(workspace.d[(i + 1) % 2], n_in)
                self._backward.insert(0, (backward, p, given, c, kept, dy, workspace.g[i], dx))
            x = y
        self.z = x
        if workspace.loss is not None:
            self._value_and_gradient = value_and_gradient(workspace.loss)
            self.dz = cut(workspace.d[(len(widths) - 1) % 2], program.n_out)
            self.c = shaped(workspace.loss_cache, workspace.loss.buffers(rows, program.n_out), dtype, xp)
        if workspace.input_gradient:
            self.dx = cut(workspace.d[1], program.n_in)

    def forward(self, *, train: bool) -> Array:
        """Run the program on ``x``, and return its last output (rows, n_out)."""
        for forward, p, x, c, y in self._forward:
            forward(p, x, c, y, train=train)
        return self.z

    def fill(self, x: Array, t: Array, weights: Array | None) -> None:
        """Take in checked rows, encoded targets, and weights (rows,) in proportion; None weighs every row the same."""
        self.workspace.xp.copyto(self.x, x, casting="unsafe")
        self.t = t
        if weights is not None:
            self.set_weights(weights)

    def set_weights(self, w: Array) -> None:
        """Set the rows' weights (rows,), in proportion."""
        self.workspace.loss.set_weights(self.c, w)  # type: ignore[union-attr]

    def loss_of(self, z: Array) -> Any:
        """Return the loss of the outputs, and write its gradient into ``dz``."""
        return self._value_and_gradient(z, self.t, self.c, self.dz)

    def backward(self) -> None:
        """Turn ``dz`` into the flat gradient, and into ``dx`` where the workspace was asked for it."""
        for backward, p, x, c, y, dy, g, dx in self._backward:
            backward(p, x, c, y, dy, g, dx)

    def loss_and_gradient(self, *, train: bool, l2: float = 0.0) -> Any:
        """Return the loss of the batch in ``x`` and ``t``, and write its gradient into the workspace."""
        workspace = self.workspace
        value = self.loss_of(self.forward(train=train))
        self.backward()
        if l2:
            value = value + workspace.add_l2(l2)
        return value

    def bound(self) -> Iterator[tuple[Step, Any, Array, Any, Array]]:
        """Yield each step with what it is bound to: parameters, input, cache, output."""
        for step, (_, p, x, c, y) in zip(self.workspace.program.steps, self._forward, strict=True):
            yield step, p, x, c, y

    def find_not_finite(self, *, train: bool) -> tuple[str, int] | None:
        """Take a step and return what is first not finite, and of which layer (-1: of the loss), or None.

        ``"output"``, ``"loss"``, ``"dz"``, or ``"gradient"``.
        """
        for i, (forward, p, x, c, y) in enumerate(self._forward):
            forward(p, x, c, y, train=train)
            if not (np.isfinite(y).all() and all(np.isfinite(view).all() for _, view in p)):
                return "output", i
        if not np.isfinite(float(self.loss_of(self.z))):
            return "loss", -1
        if not np.isfinite(self.dz).all():
            return "dz", -1
        for i, (backward, p, x, c, y, dy, g, dx) in enumerate(self._backward):
            backward(p, x, c, y, dy, g, dx)
            if not (all(np.isfinite(view).all() for _, view in g) and (dx is None or np.isfinite(dx).all())):
                return "gradient", len(self._forward) - 1 - i
        return None

    def first_not_finite(self) -> str:
        """Name the first layer whose parameters or output are not finite, or ``"loss"``."""
        for step, (_, p, _, _, y) in zip(self.workspace.program.steps, self._forward, strict=True):
            for name, view in p:
                if not np.isfinite(view).all():
                    return f"{step.name}.{name}"
            if not np.isfinite(y).all():
                return f"the output of {step.name}"
        return "loss"


class Workspace:
    """Everything a step writes, for batches of up to ``rows`` rows.

    Parameters
    ----------
    program, theta, state
        What is run, and the vectors that it reads (state is written, too, in training).
    rows : int
        The largest batch.
    loss : Loss, optional
        Without one the workspace can only predict.
    input_gradient : bool
        Whether backward goes on to the input; the training of a network has no use for that.
    xp
        The array namespace.
    """

    def __init__(
        self,
        program: Program,
        theta: Array,
        state: Array,
        rows: int,
        *,
        loss: Loss | None = None,
        input_gradient: bool = False,
        xp: Any = np,
    ) -> None:
        self.program, self.theta, self.rows, self.loss, self.xp = program, theta, rows, loss, xp
        self.dtype, self.input_gradient, self.trains = theta.dtype, input_gradient, loss is not None
        self.first = 0 if input_gradient else program.first
        self.p = program.memory(theta, state)
        self.uniforms = [Uniforms(i) for i in range(len(program.steps))]
        self._random = [u for u, step in zip(self.uniforms, program.steps, strict=True) if step.layer.random]

        def new(size: int) -> Array:
            return xp.full(size, math.nan, theta.dtype)

        widths = program.widths
        blocks = [isinstance(step.layer, Save) for step in program.steps]
        self.x = new(rows * program.n_in)
        self.y = [new(0 if saves else rows * n) for n, saves in zip(widths, blocks, strict=True)]
        self.caches = [reserve(step.layer.cache(rows), theta.dtype, xp) for step in program.steps]
        if loss is not None:
            widest = max(program.n_out, program.n_in if input_gradient else 0, *widths[self.first :])
            self.d = [new(rows * widest) for _ in range(2)]
            self.past = [new(rows * n if saves else 0) for n, saves in zip(widths, blocks, strict=True)]
            self.gradient = new(program.n_params)
            self.g = program.views(self.gradient)
            self.loss_cache = reserve(loss.buffers(rows, program.n_out), theta.dtype, xp)
            scratch = new(min(PIECE, program.n_params))
            self._decaying = [
                (theta[piece.part], self.gradient[piece.part], scratch[: piece.part.stop - piece.part.start])
                for piece in program.pieces(by_decay=True)
                if piece.decays
            ]
        self._batches: dict[int, Batch] = {}

    def bind(self, rows: int) -> Batch:
        """Return the batch of ``rows`` rows, made on first use."""
        batch = self._batches.get(rows)
        if batch is None:
            if len(self._batches) == 4:  # a service that predicts one size after the other must not keep them all
                del self._batches[next(iter(self._batches))]
            batch = self._batches[rows] = Batch(self, rows)
        return batch

    def at(self, seed: int, step: int) -> None:
        """Say which step's random numbers the next forward pass in training draws."""
        for uniforms in self._random:
            uniforms.seed, uniforms.step = seed, step

    def add_l2(self, l2: float) -> Any:
        """Add the gradient of ``l2 / 2 sum(W^2)`` over the parameters that decay, and return its value."""
        xp, total = self.xp, 0.0
        for theta, g, a in self._decaying:
            xp.multiply(theta, l2, out=a)
            g += a
            total = total + dot(xp, theta, a)
        return 0.5 * total
