"""A module as a user writes one: a layer, an activation, a loss, a metric, an optimizer, a solver, an engine, a format.

It uses public names alone, and registers each with one line. ``test_outside.py`` imports it, and looks for each
wherever the library has its own.
"""

import json
from dataclasses import dataclass

import numpy as np

import fullyconnected as fc


@fc.register
@dataclass(frozen=True)
class Scaled(fc.Layer):
    """Multiply each column by a factor that is learned."""

    n_in: int
    n_out = property(lambda self: self.n_in)
    name = "scaled"

    def params(self):
        return {"s": fc.Param((self.n_in,), decays=True)}

    def initialize(self, p, rng):
        p.s = rng.uniform(0.5, 1.5, self.n_in)

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, p.s, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        g.s = (x * dy).sum(axis=0)
        if dx is not None:
            c.xp.multiply(dy, p.s, out=dx)


@fc.register
class Bent(fc.ActivationFunction):
    """y = z + z^3 / 10."""

    name = "bent"
    needs_input = True

    def forward(self, z, c, y):
        y[...] = z + z**3 / 10

    def backward(self, z, c, y, dy):
        dy *= 1 + 0.3 * z**2


@fc.register
class Fourth(fc.Loss):
    """The fourth power of each error."""

    name = "fourth"

    def terms(self, z, t, c, dz):
        c.e[...] = (z - t) ** 4
        dz[...] = 4 * (z - t) ** 3


@fc.register
class Largest(fc.Metric):
    """The largest error of all."""

    name = "largest"
    greater_is_better = False

    def __call__(self, z, t, w):
        return float(np.abs(z - t).max())


@fc.register
@dataclass(frozen=True)
class Signs(fc.Optimizer):
    """A step of the same length for every parameter, against the sign of a mean of its gradients."""

    lr: float = 0.01
    name = "signs"
    slots = ("m",)

    def update(self, theta, g, s, c, *, lr, step, decays):
        s.m *= 0.5
        s.m += g
        c.xp.sign(s.m, out=c.a)
        c.a *= lr
        theta -= c.a


@fc.register
class Downhill(fc.Solver):
    """Steps against the gradient, half as long where the loss does not fall."""

    name = "downhill"

    def minimize(self, loss, theta, iterations, after):
        value, g = loss(theta)
        for _ in range(iterations):
            step = 1.0
            while not (there := loss(theta - step * g))[0] < value and step > 1e-12:
                step /= 2
            theta, (value, g) = theta - step * g, there
            if after(theta, value):
                break
        return "epochs"


@fc.register
class Matrices(fc.Engine):
    """Predicts networks of Dense layers without activations as one matrix product, and does nothing else."""

    name = "matrices"

    def about(self):
        return True, "one matrix product"

    def supports(self, program, *, loss=None, optimizer=None, source=None):
        if loss is not None:
            return "it predicts, and does not train"
        odd = [op.name for op in program.operations if op.kind != "dense" or op.layer.activation is not None]
        return f"it takes Dense layers without activations, and not {odd[0]}" if odd else None

    def predictor(self, program, theta, state):
        return _Product(program, theta)


class _Product:
    def __init__(self, program, theta):
        self.program, self.theta = program, theta

    def row(self, x, z):
        return False

    def predict(self, x, z, n_threads):
        y = np.asarray(x, self.theta.dtype)
        for op in self.program.operations:
            W, *b = (tensor.of(self.theta) for tensor in op.params)
            y = y @ W + sum(b)
        z[...] = y


@fc.register
class Plain(fc.Format):
    """JSON alone: the numbers as text."""

    name = "plain"
    suffixes = (".plain",)

    def recognises(self, head):
        return head.startswith(b'{"plain": ')

    def write(self, description, tensors):
        numbers = {name: [tensor.dtype.name, tensor.tolist()] for name, tensor in tensors.items()}
        return json.dumps({"plain": description, "tensors": numbers}).encode()

    def read(self, data):
        found = json.loads(data)
        return found["plain"], {name: np.array(n, dtype) for name, (dtype, n) in found["tensors"].items()}
