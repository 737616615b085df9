"""The proof: a gradient check for each registered layer, activation, loss, number of outputs, sample weights and l2."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fullyconnected.activations import ACTIVATIONS
from fullyconnected.base import ActivationFunction, Layer, Loss
from fullyconnected.checking.gradcheck import Report, check_gradients
from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import in_ascii
from fullyconnected.layers import LAYERS, Activation, Dense, Parametric
from fullyconnected.losses import LOSSES
from fullyconnected.network import Network
from fullyconnected.program.description import flatten

__all__ = ["Case", "Proof", "cases", "prove"]

N_IN, WIDTH, ROWS = 2, 3, 4  # small, because each entry of each tensor takes two forward passes


@dataclass(frozen=True)
class Case:
    """One network of the proof, and how it is checked."""

    layer: str
    activation: str
    loss: str
    n_out: int
    weighted: bool
    l2: float
    train: bool
    example: int = 0  # which of the layer's examples

    def __str__(self) -> str:
        details = [f"{self.n_out} outputs", "weights" * self.weighted, f"l2 {self.l2}" * bool(self.l2)]
        layer = f"{self.layer}, example {self.example}" if self.example else self.layer
        return f"{layer}, {self.activation}, {self.loss}, {', '.join(filter(None, details))}"

    def check(self) -> Report:
        """Check this case's gradients, in float64, at random parameters, input and targets."""
        rng = np.random.default_rng(hash_of(str(self)))
        loss: Loss = LOSSES.classes[self.loss].example(self.n_out) if self.weighted else LOSSES.build(self.loss)
        net = Network(list(self._layers()), dtype=np.float64, seed=0)
        x = net.layers[0].example_rows(rng, ROWS)
        noise = rng.normal(0, 0.1, net.n_params)  # a parameter of 0 or 1 would hide a missing factor
        t: Array = loss.example_targets(rng, ROWS, self.n_out)
        members = () if net.program.members is None else (net.program.members,)
        weights = rng.uniform(0.5, 2, (ROWS, *members)) if self.weighted else None
        net.adapt(x, weights)
        net.theta += noise
        return check_gradients(net, x, t, loss, l2=self.l2, sample_weight=weights, train=self.train, seed=1)

    def _layers(self) -> Iterator[Layer]:
        activation: ActivationFunction = ACTIVATIONS.build(self.activation)
        width = WIDTH
        if self.layer == Dense.name and self.weighted:  # half of the networks adapt to the rows and their weights
            yield Dense(N_IN, WIDTH, activation, init="unit_variance", bias_init="he+5", parametrization="ntk")
        elif self.layer == Dense.name:
            yield Dense(N_IN, WIDTH, activation)
        elif self.layer in (Activation.name, Parametric.name):
            yield Dense(N_IN, WIDTH)
            yield LAYERS.build(self.layer, activation=activation)
        elif LAYERS.classes[self.layer].reads_raw:
            yield (first := self._example(N_IN))
            yield Dense(int(first.n_out or 0), WIDTH, activation)
        elif LAYERS.classes[self.layer].comes_last:
            yield Dense(N_IN, self.n_out, activation)
            yield self._example(self.n_out)
            return
        else:
            yield Dense(N_IN, WIDTH, activation)
            yield (layer := self._example(WIDTH))
            width = int(layer.n_out or 0)
        yield Dense(width, self.n_out)

    def _example(self, n: int) -> Layer:
        unset = LAYERS.classes[self.layer].example_unset(n) if self.weighted else None
        return unset or [*LAYERS.classes[self.layer].examples(n)][self.example]


def hash_of(text: str) -> int:
    """Return a hash of a text that is the same in each process, unlike Python's own."""
    return int.from_bytes(text.encode(), "little") % (2**63 - 25)


def cases(layers: Sequence[str] | None = None) -> Iterator[Case]:
    """Yield all cases, or those of some layers; a layer that differs in training is checked in both modes.

    The first example of a layer meets every activation together with every loss, in training if that differs. What a
    further example or the other mode changes does not depend on them: there, each activation and each loss comes once.
    """
    for name in LAYERS.classes if layers is None else layers:
        cls = LAYERS.classes[name]
        for i, example in enumerate(cls.examples(WIDTH)):
            modes = (True, False) if any(part.random or part.state() for part in parts_of(example)) else (False,)
            for train in modes:
                first = i == 0 and train is modes[0]
                outputs = (
                    (1, 2, 5) if first and not cls.comes_last else (1, 2)
                )  # what comes last is as wide as they are
                l2s = (0.0, 0.1) if first else (0.1,)
                for n_out, weighted, l2 in itertools.product(outputs, (False, True), l2s):
                    losses = [loss for loss in LOSSES.classes if _fits(cls, loss, n_out)]
                    for activation, loss in (itertools.product if first else _pairs)(ACTIVATIONS.classes, losses):
                        yield Case(name, activation, loss, n_out, weighted, l2, train, i)


def _fits(layer: type[Layer], loss: str, n_out: int) -> bool:
    """Return whether a loss takes so many outputs, and, of an ensemble, can judge what it predicts."""
    cls = LOSSES.classes[loss]
    return n_out >= cls.min_outputs and (not layer.comes_last or LOSSES.build(loss).link.pools)


def _pairs(some: Iterable[str], others: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs in which each of both comes once at least."""
    some, others = list(some), list(others)
    for i in range(max(len(some), len(others))):
        yield some[i % len(some)], others[i % len(others)]


def parts_of(layer: Layer) -> list[Layer]:
    """Return the operations that a layer stands for."""
    return [part.layer for part in flatten([layer])]


@dataclass
class Proof:
    """The result of all checks; it prints as a table with a line for each layer, activation and loss."""

    passed: int = 0
    failures: list[tuple[Case, Report]] = field(default_factory=list)
    unresolved: list[Case] = field(default_factory=list)
    worst: dict[str, dict[str, tuple[int, float]]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no case is wrong, and at least one is right."""
        return not self.failures and self.passed > 0

    @property
    def wrong(self) -> bool:
        """Whether a gradient is wrong."""
        return bool(self.failures)

    def add(self, case: Case, report: Report) -> None:
        """Add the report of one case."""
        if report.wrong:
            self.failures.append((case, report))
        elif report.ok:
            self.passed += 1
        else:
            self.unresolved.append(case)
            return  # its errors say nothing
        for kind, name in (("layer", case.layer), ("activation", case.activation), ("loss", case.loss)):
            table = self.worst.setdefault(kind, {})
            checks, worst = table.get(name, (0, 0.0))
            table[name] = checks + 1, float(np.maximum(worst, report.worst))  # np.maximum keeps NaN

    def __str__(self) -> str:
        lines = []
        for kind, table in self.worst.items():
            lines += [f"{kind:<24} {'checks':>7} {'worst error':>12}", "-" * 45]
            lines += [f"{name:<24} {checks:>7,} {worst:>12.1e}" for name, (checks, worst) in table.items()]
            lines.append("")
        for case, report in self.failures[:5]:
            lines += [f"WRONG: {case}", str(report), ""]
        if len(self.failures) > 5:
            lines.append(f"and {len(self.failures) - 5} more that are wrong")
        if self.unresolved:
            lines.append(f"unresolved, gradients too small to compare: {self.unresolved[0]}")
            if len(self.unresolved) > 1:
                lines.append(f"and {len(self.unresolved) - 1:,} more that are unresolved")
        total = self.passed + len(self.failures) + len(self.unresolved)
        lines.append(
            f"{self.passed:,} of {total:,} networks proven: every parameter and input "
            f"against central differences in float64, error below 1e-6"
        )
        return in_ascii("\n".join(lines))


def prove(chosen: Iterable[Case] | None = None, progress: Callable[[int, int], None] | None = None) -> Proof:
    """Check the gradients of every registered layer with every activation and loss.

    Parameters
    ----------
    chosen : iterable of Case, optional
        What is checked; None checks all that :func:`cases` yields.
    progress : callable, optional
        Called with the numbers of checked and of all cases, after each case.
    """
    proof, chosen = Proof(), list(cases() if chosen is None else chosen)
    for done, case in enumerate(chosen, 1):
        proof.add(case, case.check())
        if progress is not None:
            progress(done, len(chosen))
    return proof
