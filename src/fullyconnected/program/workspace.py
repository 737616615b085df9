"""The memory that a program writes while it runs: activations, gradients, caches.

A :class:`Workspace` holds all arrays that a step writes. It belongs to one thread, while ``theta`` may be shared.
``workspace.bind(rows)`` returns a :class:`Batch` of that many rows: views of the same memory, all made beforehand, so
that a training step allocates nothing.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fullyconnected.base import Loss, guarded_loss
from fullyconnected.core.arrays import Array, Cache, Views, allocate, bind_buffers, dot
from fullyconnected.core.contracts import is_foreign, read_only
from fullyconnected.core.randomness import Uniforms
from fullyconnected.program.description import Operation
from fullyconnected.program.guard import forward_and_backward, parameters
from fullyconnected.program.program import PIECE, Program
from fullyconnected.program.sources import Source, SparseRows, SparseSource

__all__ = ["Across", "Batch", "Workspace"]


class Across:
    """The other processes that have a part of each batch: how many rows the whole has, and a sum over all of them.

    A layer that combines the rows of a batch finds it in its cache, ``c.across``.
    """

    def __init__(self, total: Callable[[Array], None]) -> None:
        self.rows, self.sum = 0, total


class Batch:
    """A workspace for batches of one size: run forward, then backward. Its arrays are views of the workspace."""

    x: Any  # (rows, n_in): the caller writes the inputs here; or SparseRows, which it gives them to
    z: Array  # (rows, n_out): the last layer's output; of an ensemble, the members' outputs, (rows members, n_out)
    t: Array  # the encoded targets of these rows; of an ensemble, once for each member

    def __init__(self, workspace: "Workspace", rows: int) -> None:
        program, dtype, xp = workspace.program, workspace.dtype, workspace.xp
        self.rows, self.workspace = rows, workspace
        self._forward: list[tuple[Any, ...]] = []
        self._backward: list[tuple[Any, ...]] = []

        def cut(memory: Array, columns: int, copies: int = 1) -> Array:
            return memory[: rows * copies * columns].reshape(rows * copies, columns)

        self.x = SparseRows(dtype) if workspace.sparse else cut(workspace.x, program.n_in)
        outputs = [self.x]  # outputs[i + 1] is the output of operation i
        # the gradients that operations write for an input that an operation before them reads, too
        d_skips: dict[int, Array] = {}
        in_branches: dict[int, Array] = {}
        if workspace.trains:
            for i, memory in workspace.d_skips.items():
                d_skips[i] = cut(memory, program.operations[i].n_in, program.operations[i].copies_in)
            for i, memory in workspace.d_branches.items():
                in_branches[i] = cut(memory, program.operations[i].n_out)
        for i, (op, p) in enumerate(zip(program.operations, workspace.p, strict=True)):
            layer, copies, x = op.layer, op.copies_in, outputs[op.reads[0] + 1]
            forward, backward = forward_and_backward(op.name, layer, trains=workspace.trains)
            c = bind_buffers(workspace.caches[i], layer.cache(rows * copies), dtype, xp)
            c.uniforms, c.across = workspace.uniforms[i], workspace.across
            if layer.skips:
                c.skip = outputs[op.reads[1] + 1]
                if workspace.trains:
                    c.d_skip = d_skips[i]
            if layer.joins:
                c.parts = [outputs[source + 1] for source in op.reads]
                c.d_parts = [in_branches[source] for source in op.reads if in_branches]
            y = cut(workspace.y[i], op.n_out, op.copies)
            given, kept = x, y
            if is_foreign(layer):
                p = parameters(p, {tensor.letter for tensor in op.state} if workspace.trains else ())
                given, kept = read_only(x), read_only(y)
                if layer.skips:
                    c.skip = read_only(c.skip)
            self._forward.append((forward, p, given, c, y))
            if workspace.trains and i >= workspace.first:
                # two vectors alternate: operation i reads what operation i + 1 wrote; each in a branch has its own
                dy = in_branches[i] if i in in_branches else cut(workspace.d[i % 2], op.n_out, op.copies)
                dx = None
                if not layer.joins and (workspace.input_gradient or program.passes_on(op)):
                    dx = cut(workspace.d[(i + 1) % 2], op.n_in, copies)
                    if i in in_branches:
                        dx = in_branches.get(op.reads[0], d_skips.get(i, dx))
                self._backward.append((backward, p, given, c, kept, dy, workspace.g[i], dx))
            outputs.append(y)
        for source, readers in program.skipped_to.items() if workspace.trains else ():
            # the first operation that reads the same input adds up all its gradients
            at = program.readers[source][0] - workspace.first
            if at >= 0:
                backward, *arguments = self._backward[at]
                others = [d_skips[i] for i in readers if i in d_skips]
                self._backward[at] = and_add(backward, others, xp), *arguments
        self._backward.reverse()
        self.z = outputs[-1]
        if workspace.loss is not None:
            self._value_and_gradient = guarded_loss(workspace.loss)
            self.dz = cut(workspace.d[(len(program.operations) - 1) % 2], program.n_out, program.copies)
            wanted = workspace.loss.buffers(rows * program.copies, program.n_out)
            self.c = bind_buffers(workspace.loss_cache, wanted, dtype, xp)
        if workspace.input_gradient:
            self.dx = cut(workspace.d[1], program.n_in)

    def forward(self, *, train: bool) -> Array:
        """Run the program on ``x``, and return its last output ``z``."""
        for forward, p, x, c, y in self._forward:
            forward(p, x, c, y, train=train)
        return self.z

    def outputs(self) -> Array:
        """Return the outputs (rows, n_out) of the last forward pass; those of members, as the loss pools them."""
        program, loss = self.workspace.program, self.workspace.loss
        if program.members is None or loss is None:
            return self.z
        return loss.link.pooled(self.z.reshape(self.rows, program.members, program.n_out))

    def set_weights(self, w: Array, total: float | None = None) -> None:
        """Set the weights of the rows of ``z``, which are divided by their sum, or by that of the whole batch."""
        assert self.workspace.loss is not None
        if total is None:
            self.workspace.loss.set_weights(self.c, w)
        else:
            self.workspace.loss.set_weights(self.c, w, total)

    def loss_of(self, z: Array) -> Any:
        """Return the loss of the outputs, and write its gradient into ``dz``."""
        return self._value_and_gradient(z, self.t, self.c, self.dz)

    def backward(self) -> None:
        """Turn ``dz`` into the flat gradient, and into ``dx`` if the workspace has ``input_gradient``."""
        for backward, p, x, c, y, dy, g, dx in self._backward:
            backward(p, x, c, y, dy, g, dx)
        for frozen in self.workspace.frozen:
            frozen[...] = 0

    def loss_and_gradient(self, *, train: bool, l2: float = 0.0) -> Any:
        """Return the loss of the batch in ``x`` and ``t``, and write its gradient into the workspace."""
        workspace = self.workspace
        value = self._value_and_gradient(self.forward(train=train), self.t, self.c, self.dz)
        self.backward()
        if l2:
            value = value + workspace.add_l2(l2)
        return value

    def bound(self) -> Iterator[tuple[Operation, Any, Array, Any, Array]]:
        """Yield each operation with its parameters, input, cache and output."""
        for op, (_, p, x, c, y) in zip(self.workspace.program.operations, self._forward, strict=True):
            yield op, p, x, c, y

    def walk_back(self) -> Iterator[tuple[int, Operation, Any, Array | None]]:
        """Run backward, and after each operation yield its index, the operation, its g and its dx."""
        operations = list(enumerate(self.workspace.program.operations))[self.workspace.first :]
        for (i, op), (backward, *arguments) in zip(reversed(operations), self._backward, strict=True):
            backward(*arguments)
            yield i, op, arguments[5], arguments[6]

    def find_not_finite(self, *, train: bool) -> tuple[str, int] | None:
        """Run a step; return what becomes not finite first, and in which operation (-1: in the loss), or None.

        The first is ``"output"``, ``"loss"``, ``"dz"``, or ``"gradient"``.
        """
        for i, (forward, p, x, c, y) in enumerate(self._forward):
            forward(p, x, c, y, train=train)
            if not (np.isfinite(y).all() and all(np.isfinite(view).all() for _, view in p)):
                return "output", i
        if not np.isfinite(float(self.loss_of(self.z))):
            return "loss", -1
        if not np.isfinite(self.dz).all():
            return "dz", -1
        for i, _, g, dx in self.walk_back():
            if not (all(np.isfinite(view).all() for _, view in g) and (dx is None or np.isfinite(dx).all())):
                return "gradient", i
        return None

    def first_not_finite(self) -> str:
        """Name the first operation whose parameters or output are not finite, or ``"loss"``."""
        for op, p, _, _, y in self.bound():
            for name, view in p:
                if not np.isfinite(view).all():
                    return f"{op.name}.{name}"
            if not np.isfinite(y).all():
                return f"the output of {op.name}"
        return "loss"


def and_add(backward: Any, others: list[Array], xp: Any) -> Any:
    """Return a backward that adds to dx the gradients that reach its input past a block, whose first layer it is."""

    def run(p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        backward(p, x, c, y, dy, g, dx)
        if dx is not None:
            for other in others:
                xp.add(dx, other, out=dx)

    return run


class Workspace:
    """All arrays that a step writes, for batches of up to ``rows`` rows.

    Parameters
    ----------
    program, theta, state
        The program, and the vectors of its parameters and running statistics; training also writes ``state``.
    rows : int
        Number of rows of the largest batch.
    loss : Loss, optional
        The loss; without one the workspace can only predict.
    input_gradient : bool
        Whether backward also computes the gradient with respect to the input, which training does not need.
    source : Source, optional
        Where the rows come from. Sparse rows stay sparse if the program begins with a matrix product; without a source,
        and with any other program, they are written into a dense array.
    xp
        The array namespace.
    across : Across, optional
        The other processes that have a part of each batch. The gradient is then followed by two more numbers
        (``exchanged``), which hold the loss.
    uniforms
        What draws the random numbers of an operation, by its number and the copies of a row that it reads.
    piece : int
        The most entries of ``theta`` that are worked on at a time.
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
        source: Source | None = None,
        xp: Any = np,
        across: Across | None = None,
        uniforms: Callable[[int, int], Uniforms] = Uniforms,
        piece: int = PIECE,
    ) -> None:
        self.across, self.piece = across, piece
        self.program, self.theta, self.rows, self.loss, self.xp = program, theta, rows, loss, xp
        self.dtype, self.input_gradient, self.trains = theta.dtype, input_gradient, loss is not None
        self.first = 0 if input_gradient else program.first
        self.sparse = isinstance(source, SparseSource) and program.multiplies_input
        self.p = program.memory(theta, state)
        self.uniforms = [uniforms(op.number, op.copies_in) for op in program.operations]
        # those of operations that draw random numbers
        self.random = [u for u, op in zip(self.uniforms, program.operations, strict=True) if op.layer.random]

        def new(size: int) -> Array:
            return xp.full(size, math.nan, theta.dtype)

        ops = program.operations
        self.x = xp.full(0 if self.sparse else rows * program.n_in, math.nan, program.input_dtype(theta.dtype))
        self.y = [
            xp.full(rows * op.copies * op.n_out, math.nan, program.dtype_of(i, theta.dtype)) for i, op in enumerate(ops)
        ]
        self.caches = [allocate(op.layer.cache(rows * op.copies_in), theta.dtype, xp) for op in ops]
        if loss is not None:
            widest = max(
                program.copies * program.n_out,
                program.n_in if input_gradient else 0,
                *(op.copies * op.n_out for op in ops[self.first :]),
            )
            self.d = [new(rows * widest) for _ in range(2)]
            again = {i for readers in program.skipped_to.values() for i in readers if input_gradient}
            again |= {i for i, op in enumerate(ops) if op.layer.skips}
            self.d_skips = {i: new(rows * ops[i].copies_in * ops[i].n_in) for i in sorted(again)}
            branching = self.first < program.branches_end
            self.d_branches = {i: new(rows * op.n_out) for i, op in enumerate(ops[: program.branches_end * branching])}
            self.exchanged = new(program.n_params + 2 * (across is not None))
            self.gradient = self.exchanged[: program.n_params]
            self.g = program.views(self.gradient)
            # the gradients of what is frozen are 0; before the first that learns, no backward pass writes them
            unread = [] if input_gradient else [t for t in program.tensors if t.name in program.frozen]
            self.frozen = [tensor.of(self.gradient) for tensor in unread]
            for g in self.frozen:
                g[...] = 0
            self.loss_cache = allocate(loss.buffers(rows * program.copies, program.n_out), theta.dtype, xp)
            scratch = new(min(piece, program.n_params))
            self._decaying = [
                (
                    *(theta[each.part], self.gradient[each.part], scratch[: each.part.stop - each.part.start]),
                    each.decay_factor,
                )
                for each in program.pieces(by_decay=True, size=piece)
                if each.decays
            ]
        self._batches: dict[int, Batch] = {}
        self._without_rows: list[tuple[int, Cache, Array, Array | None]] | None = None

    def bind(self, rows: int) -> Batch:
        """Return the batch of ``rows`` rows, which is made on first use."""
        batch = self._batches.get(rows)
        if batch is None:
            if len(self._batches) == 4:  # a service that predicts batches of many sizes must not keep them all
                del self._batches[next(iter(self._batches))]
            batch = self._batches[rows] = Batch(self, rows)
        return batch

    def release(self) -> None:
        """Forget its batches, which know it, so that its memory is free when nobody else uses it, and not later."""
        self._batches.clear()

    def take_part(self, *, backward: bool = True) -> None:
        """Write the gradient of no rows: only what combines the rows of a batch runs, together with other processes."""
        self.gradient[...] = 0
        if self._without_rows is None:
            self._without_rows = list(self._bind_without_rows())
        operations = self.program.operations
        for i, c, rows, _ in self._without_rows:
            operations[i].layer.forward(self.p[i], rows, c, rows, train=True)
        for i, c, rows, dx in reversed(self._without_rows if backward else []):
            if i >= self.first:
                operations[i].layer.backward(self.p[i], rows, c, rows, rows, self.g[i], dx)

    def _bind_without_rows(self) -> Iterator[tuple[int, Cache, Array, Array | None]]:
        """Yield the number, cache, rows and dx of each operation that combines rows, for a batch of none."""
        for i, op in enumerate(self.program.operations):
            if op.layer.least_rows > 1:
                c = bind_buffers(self.caches[i], op.layer.cache(0), self.dtype, self.xp)
                c.across, rows = self.across, self.xp.full((0, op.n_in), 0.0, self.dtype)  # as wide as its y
                yield i, c, rows, rows if self.input_gradient or self.program.passes_on(op) else None

    def at(self, seed: int, step: int, row: int = 0) -> None:
        """Choose the random numbers of the next forward pass in training: those of a step, from ``row`` of it on."""
        for uniforms in self.random:
            uniforms.seed, uniforms.step, uniforms.row = seed, step, row

    def set_dropout(self, factor: Any) -> None:
        """Multiply the rates of dropout by ``factor``, from the next forward pass in training on."""
        for uniforms in self.random:
            uniforms.dropout = factor

    def add_l2(self, l2: float) -> Any:
        """Add the gradient of ``l2 / 2 sum(W^2)`` over the parameters that decay, and return its value."""
        xp, total = self.xp, 0.0
        for theta, g, a, factor in self._decaying:
            xp.multiply(theta, l2 * factor, out=a)
            g += a
            total = total + dot(xp, theta, a)
        return 0.5 * total
