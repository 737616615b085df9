"""JAX: a jitted step called from Python, and an epoch as one call."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from peers_case import Case

__all__ = ["Jit", "Scan"]


class Jit:
    """The step is jitted, gathering and update included, and its state is donated."""

    def __init__(self, case: Case) -> None:
        self.case, self.x, self.t = case, jnp.asarray(case.x), jnp.asarray(case.t)
        theta, self.layers = [(jnp.array(W), jnp.array(b)) for W, b in zip(case.W, case.b, strict=True)], lambda a: a
        if case.xor and case.rule == "Adam":  # with one vector, a step of the scan takes a ninth of the time
            theta, self.layers = ravel_pytree(theta)
        moments = jax.tree.map(jnp.zeros_like, (theta, theta)) if case.rule == "Adam" else ()
        self.state = theta, moments, jnp.zeros((), jnp.int32)
        self.jitted = jax.jit(self.step, donate_argnums=0)
        self.forward = jax.jit(self.outputs)

    def outputs(self, theta: Any, x: jax.Array) -> jax.Array:
        *hidden, (W, b) = self.layers(theta)
        for V, a in hidden:
            x = (jax.nn.sigmoid if self.case.xor else jax.nn.relu)(x @ V + a)
        return jax.nn.sigmoid(x @ W + b) if self.case.xor else x @ W + b

    def loss(self, theta: Any, x: jax.Array, t: jax.Array) -> jax.Array:
        y = self.outputs(theta, x)
        if self.case.classes:
            return -jnp.take_along_axis(jax.nn.log_softmax(y), t[:, None], axis=1).mean()
        return jnp.square(y - t).mean() / 2

    def step(self, state: Any, x: jax.Array, t: jax.Array, rows: jax.Array) -> Any:
        (theta, moments, i), lr, tree = state, self.case.lr, jax.tree.map
        loss, g = jax.value_and_grad(self.loss)(theta, x[rows], t[rows])
        if not moments:
            return (tree(lambda p, g: p - lr * g, theta, g), moments, i), loss
        i = i + 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, moments[0], g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], g)
        rate, scale = lr / (1 - 0.9**i), 1 / (1 - 0.999**i)
        return (tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v * scale) + 1e-8), theta, m, v), (m, v), i), loss

    def train(self, order: np.ndarray) -> float:
        for rows in order.reshape(-1, self.case.batch):
            self.state, loss = self.jitted(self.state, self.x, self.t, rows)
        return float(loss)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.forward(self.state[0], x))


class Scan(Jit):
    """The epoch is jitted: a scan of the same step over the rows of each batch."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.jitted = jax.jit(self.epoch, donate_argnums=0)

    def epoch(self, state: Any, x: jax.Array, t: jax.Array, order: jax.Array) -> Any:
        return jax.lax.scan(lambda state, rows: self.step(state, x, t, rows), state, order)

    def train(self, order: np.ndarray) -> float:
        self.state, losses = self.jitted(self.state, self.x, self.t, order.reshape(-1, self.case.batch))
        return float(losses[-1])
