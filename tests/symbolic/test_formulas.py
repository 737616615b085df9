"""Everything that is registered has its formula, or a reason for none; and a class of one's own may have one."""

from dataclasses import dataclass

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.layers import LAYERS, PARTS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.expression import Name, Opaque, call, number, sides
from fullyconnected.symbolic.formulas.lines import DY, ONES, Both, Line, X
from fullyconnected.symbolic.formulas.losses import T, Terms, Z
from fullyconnected.symbolic.formulas.optimizers import LR, THETA, G

TABLES = {
    LAYERS: formulas.LAYERS,
    ACTIVATIONS: formulas.ACTIVATIONS,
    LOSSES: formulas.LOSSES,
    OPTIMIZERS: formulas.OPTIMIZERS,
}
REFUSED = {
    "residual": "a program has its end, add, and the layers of the block",
    "members": "a program has an operation for each of its layers",
    "columns": "a program has select, the layers of the parts, and concatenate",
    "lbfgs": "it takes many looks at the data in a step, and trace refuses it",
}
NAMES = {registry: {*registry.classes} for registry in TABLES}  # the library's own, before any test adds to them


def known(node):
    return not isinstance(node, Opaque) and all(map(known, sides(node)))


def test_each_has_a_formula_or_a_reason():
    for registry, table in TABLES.items():
        assert NAMES[registry] - REFUSED.keys() <= table.keys()
        assert not REFUSED.keys() & table.keys()
        assert table.keys() - PARTS.keys() <= registry.classes.keys(), "a formula of nothing that is registered"


def test_no_formula_has_a_part_that_is_not_known(every_formula):
    for of, lines in every_formula.items():
        assert all(known(line.formula) for line in lines), of


def test_a_class_derived_from_one_of_the_librarys_is_not_taken_for_it():
    for registry in TABLES:
        for name in NAMES[registry]:
            derived = type("Derived", (registry.classes[name],), {})
            if registry is LAYERS:
                (layer, *_) = derived.example(3).steps()  # a block has no formula, and the parts of any are the same
                assert name in REFUSED or not known(formulas.forward(layer, train=True, rows=2)[0].formula)
            elif registry is ACTIVATIONS:
                layer = fc.Activation(derived(), n_in=2)
                lines = [*formulas.forward(layer, train=True, rows=2), *formulas.backward(layer, train=True)]
                assert not any(known(line.formula) for line in lines)
            elif registry is LOSSES:
                lines = formulas.of_loss(derived(), rows=2, weighted=False, classes=False)
                assert not known(lines[0].formula)
            elif issubclass(derived, fc.Optimizer):
                assert not any(known(line.formula) for line in formulas.update(derived(), decays=True))


class TestOfOnesOwn:
    """A class that is registered and one line in a table: the formula is in the record, and true of its numbers."""

    @pytest.fixture(autouse=True)
    def _registries(self, monkeypatch):
        for registry in TABLES:
            monkeypatch.setattr(registry, "classes", {**registry.classes})

    def test_all_four(self, monkeypatch):
        @fc.register
        @dataclass(frozen=True)
        class Stretch(fc.Layer):
            n_in: int
            n_out = property(lambda self: self.n_in)
            name = "stretch"

            def params(self):
                return {"s": fc.Param((self.n_in,))}

            def initialize(self, p, rng):
                p.s[...] = 2.0

            def forward(self, p, x, c, y, *, train):
                c.xp.multiply(x, p.s, out=y)

            def backward(self, p, x, c, y, dy, g, dx):
                c.xp.sum(dy * x, axis=0, out=g.s)
                c.xp.multiply(dy, p.s, out=dx)

        @fc.register
        class Cube(fc.ActivationFunction):
            name, needs_input = "cubic", True

            def forward(self, z, c, y):
                y[...] = z**3

            def backward(self, z, c, y, dy):
                dy *= 3 * z**2

        @fc.register
        class Fourth(fc.Loss):
            name = "fourth"

            def terms(self, z, t, c, dz):
                c.e[...] = (z - t) ** 4
                dz[...] = 4 * (z - t) ** 3

        @fc.register
        @dataclass(frozen=True)
        class SignDescent(fc.Optimizer):
            lr: float = 0.5
            name = "sign_descent"

            def update(self, theta, g, s, c, *, lr, step, decays):
                theta -= lr * np.sign(g)

        net = fc.Network([fc.Dense(2, 2, "cubic"), Stretch(2)], dtype="float64", seed=0)
        given = np.array([[0.5, -1.0], [1.0, 2.0]]), np.zeros((2, 2)), "fourth", "sign_descent"
        record = fc.trace(net, *given)
        assert {"y1 = cubic(z1)", "y_stretch1 = stretch(y1)"} < {str(step.equation) for step in record.steps}

        stretch, sign = Name("s"), call("sign", G)
        of_s = Line("g.s", ONES.T @ (DY * X), "Each number that came in, times what arrives, over the rows.")
        added = {
            LAYERS: lambda *_: Both(
                [Line("y", X * stretch, "A product.")], [of_s, Line("dx", DY * stretch, "A factor.")]
            ),
            ACTIVATIONS: lambda _: Both([Line("y", X**3, "A cube.")], [Line("dx", DY * (3 * X**2), "Its slope.")]),
            LOSSES: lambda *_: Terms([], (Z - T) ** 4, number(4) * (Z - T) ** 3, "A power.", "Its slope."),
            OPTIMIZERS: lambda *_: [Line("theta", THETA - LR * sign, "By the sign alone.")],
        }
        names = ("stretch", "cubic", "fourth", "sign_descent")
        for (registry, entry), name in zip(added.items(), names, strict=True):
            monkeypatch.setitem(TABLES[registry], name, entry)
        record = fc.trace(net, *given)
        for step in record.steps:
            assert step.known, step.equation
            assert not step.error > 1e-9, step.equation
        assert record.ok
        assert {"y1 = z1^3", "y_stretch1 = y1 * s_stretch1"} < {str(step.equation) for step in record.steps}
