"""Random training steps for all tests of explain: any layers, activations, losses and rules that are registered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.explanation import Explanation, explain
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.recorder import trace
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.data import output_activation
from fullyconnected.program.program import Program

MEMORY = {  # settings that are not the defaults
    "leaky_relu": {"slope": 0.2},
    "elu": {"alpha": 0.7},
    "huber": {"delta": 0.3},
    "quantile": {"q": 0.8},
    "softmax_cross_entropy": {"label_smoothing": 0.1},
    "binary_cross_entropy": {"label_smoothing": 0.1, "class_weight": (0.5, 2.0)},
}


@dataclass(frozen=True)
class Case:
    """One training step: everything that ``fc.explain`` is handed."""

    layers: tuple[fc.Layer, ...]
    loss: fc.Loss
    optimizer: fc.Optimizer | None
    rows: int
    weighted: bool
    l2: float
    train: bool
    dtype: str
    classes: bool  # whether targets are class numbers where a loss takes those and probabilities, too
    digits: int | None  # all numbers have so few decimals, or all of them
    seed: int

    def net(self) -> fc.Network:
        net = fc.Network(list(self.layers), dtype=self.dtype, seed=self.seed)
        net.theta = self.rounded(net.theta + np.random.default_rng(self.seed).normal(0, 0.3, net.n_params))
        return net

    def rounded(self, a: Any) -> Any:
        return a if self.digits is None else np.round(a, self.digits)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        rng, n_out = np.random.default_rng(self.seed + 1), self.layers[-1].n_out
        x = self.rounded(self.layers[0].example_rows(rng, self.rows))
        t = self.loss.example_targets(rng, self.rows, n_out)
        if t.ndim == 1 and not self.classes:
            t = np.eye(n_out)[t]
        return x, self.rounded(t) if t.dtype.kind == "f" else t

    def weights(self) -> np.ndarray | None:
        if not self.weighted:
            return None
        return self.rounded(np.random.default_rng(self.seed + 2).uniform(0.5, 2, self.rows))

    def settings(self) -> dict[str, Any]:
        return {"l2": self.l2, "sample_weight": self.weights(), "train": self.train, "seed": self.seed}

    def trace(self, net: fc.Network | None = None, **more: Any) -> Trace:
        return trace(net or self.net(), *self.data(), self.loss, self.optimizer, **{**self.settings(), **more})

    def explain(self, net: fc.Network | None = None, **more: Any) -> Explanation:
        return explain(net or self.net(), *self.data(), self.loss, self.optimizer, **{**self.settings(), **more})


def random_cases(depth: int = 4, width: int = 5, rows: int = 4, **fixed: Any) -> Any:
    """Return a Hypothesis strategy of cases; ``fixed`` sets fields of theirs."""
    st = pytest.importorskip("hypothesis").strategies
    activations = st.sampled_from([None, *ACTIVATIONS.classes]).map(
        lambda name: None if name is None else ACTIVATIONS.build(name, **MEMORY.get(name, {}))
    )
    rules = [name for name, cls in OPTIMIZERS.classes.items() if issubclass(cls, fc.Optimizer)]

    def layer(draw: Any, n: int, inside: int) -> fc.Layer:
        others = [
            "activation",
            "dropout",
            "layer_norm",
            "rms_norm",
            "batch_norm",
            "residual",
            "rescale",
            "scale",
            "parametric",
            "periodic_embedding",
            "piecewise_linear_encoding",
            "piecewise_linear_embedding",
        ]
        kind = draw(st.sampled_from(["dense"] * 4 + others))
        match kind:
            case "activation":
                return fc.Activation(draw(activations.filter(bool)), n_in=n)
            case "dropout":
                return fc.Dropout(draw(st.sampled_from([0.0, 0.3, 0.5])), n_in=n)
            case "layer_norm":
                return fc.LayerNorm(n_in=n, epsilon=draw(st.sampled_from([1e-5, 0.01])))
            case "rms_norm":
                return fc.RMSNorm(n_in=n, epsilon=draw(st.sampled_from([1e-6, 0.01])))
            case "batch_norm":
                return fc.BatchNorm(n_in=n)
            case "parametric":
                return fc.Parametric(draw(activations.filter(bool)), n_in=n)
            case "periodic_embedding" if n <= 3:
                kind = draw(st.sampled_from(["pbld", "plr", "pl"]))
                return fc.PeriodicEmbedding(n, draw(st.integers(1, 2)), 2, kind, sigma=0.5)
            case "piecewise_linear_encoding" | "piecewise_linear_embedding" if n <= 3:
                some = st.lists(st.sampled_from([-1.5, -0.25, 0.0, 0.5, 2.0]), min_size=1, max_size=4, unique=True)
                edges = [sorted(draw(some)) for _ in range(n)]
                if kind == "piecewise_linear_encoding":
                    return fc.PiecewiseLinearEncoding(n, 3, edges=edges)
                return fc.PiecewiseLinearEmbedding(n, 3, 2, edges=edges)
            case "scale":
                return fc.Scale(n)
            case "rescale":
                return fc.Rescale(n, 0.25, draw(st.sampled_from([0.5, 2.0])))
            case "residual" if inside < 2:
                block = layers(draw, n, inside + 1)
                if block[-1].n_out != n:
                    block.append(fc.Dense(block[-1].n_out, n))
                return fc.Residual(block)
        kind = draw(st.sampled_from(["standard", "standard", "ntk"]))
        n_out, f = draw(st.integers(1, width)), draw(activations)
        return fc.Dense(n, n_out, f, bias=draw(st.booleans()), parametrization=kind)

    def layers(draw: Any, n: int, inside: int) -> list[fc.Layer]:
        found: list[fc.Layer] = []
        for _ in range(draw(st.integers(1, depth if inside == 0 else 2))):
            found.append(layer(draw, n, inside))
            n = found[-1].n_out
        return found

    def parts() -> Any:
        """Return a strategy of parts of Columns: the first two columns are codes, the others numbers."""
        dense = fc.Dense(2, 2, "tanh")
        codes = [fc.OneHot(3), fc.Embedding(3, 2), [fc.Embedding(3, 2), dense, fc.Residual([dense])]]
        numbers = [dense, fc.Standardize(2, 0.5, 2.0), [fc.Standardize(2, 0.5, 2.0, clip=True), fc.Residual([dense])]]
        return st.tuples(st.sampled_from([0, 1]), st.sampled_from(codes)) | st.tuples(
            st.sampled_from([(2, 3), (3, 2)]), st.sampled_from(numbers)
        )

    @st.composite
    def cases(draw: Any) -> Case:
        name = fixed.get("loss") or draw(st.sampled_from(sorted(LOSSES.classes)))
        loss = LOSSES.build(name, **MEMORY.get(name, {}))
        stack = layers(draw, draw(st.integers(1, width)), 0)
        begins = draw(st.sampled_from(["plain", "standardize", "columns"]))
        if begins == "standardize":
            stack.insert(
                0, fc.Standardize(stack[0].n_in, -0.5, draw(st.sampled_from([0.5, 2.0])), clip=draw(st.booleans()))
            )
        elif begins == "columns":
            stage = fc.Columns(draw(st.lists(parts(), min_size=1, max_size=3)), n_in=4)
            stack[:0] = [stage, fc.Dense(stage.n_out, stack[0].n_in)]
        wanted = draw(st.integers(loss.min_outputs, max(width, 2)))
        if stack[-1].n_out < loss.min_outputs or output_activation(Program(stack)) in loss.link.refuses:
            stack.append(fc.Dense(stack[-1].n_out, wanted))
        found = {
            "layers": tuple(stack),
            "loss": loss,
            "optimizer": OPTIMIZERS.build(
                (rule := draw(st.sampled_from(rules))),
                lr=draw(st.sampled_from([0.5, 1e-3])),
                **({"epsilon_hat": draw(st.booleans())} if rule.startswith("adam") else {}),
            ),
            "rows": draw(st.integers(1, rows)),
            "weighted": draw(st.booleans()),
            "l2": draw(st.sampled_from([0.0, 0.1])),
            "train": draw(st.booleans()),
            "dtype": draw(st.sampled_from(["float64", "float32"])),
            "classes": draw(st.booleans()),
            "digits": draw(st.sampled_from([None, 1, 2])),
            "seed": draw(st.integers(0, 1000)),
        }
        return Case(**{**found, **{key: value for key, value in fixed.items() if key != "loss"}})

    return cases()


@dataclass(frozen=True)
class Gate(fc.Layer):
    """The end of a block of one's own: what came through it, times what came into it."""

    n_in: int
    n_out = property(lambda self: self.n_in)
    name = "gate"
    skips = True

    def forward(self, p: Any, x: Any, c: Any, y: Any, *, train: bool) -> None:
        c.xp.multiply(x, c.skip, out=y)

    def backward(self, p: Any, x: Any, c: Any, y: Any, dy: Any, g: Any, dx: Any) -> None:
        c.xp.multiply(dy, x, out=c.d_skip)
        if dx is not None:
            c.xp.multiply(dy, c.skip, out=dx)


@dataclass(frozen=True)
class Gated(fc.Layer):
    """A block that ends in a gate."""

    n_in: int
    n_out = property(lambda self: self.n_in)
    name = "gated"

    def steps(self) -> Any:
        return fc.Dense(self.n_in, self.n_in, "tanh"), Gate(self.n_in)


@pytest.fixture
def gated() -> fc.Network:
    """Return a network of blocks that end in a product: the slope past a block is no 1."""
    return fc.Network([fc.Dense(2, 2), Gated(2), Gated(2), fc.Dense(2, 1)], dtype="float64", seed=0)


@pytest.fixture(scope="session")
def cases() -> Callable[..., Any]:
    """Return a function that makes a strategy of random cases."""
    return random_cases
