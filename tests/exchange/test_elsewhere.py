"""Formulas that another library of arrays computes give what the network does; here, the other library is NumPy."""

import hypothesis
import numpy as np
import pytest

from fullyconnected.exchange.elsewhere import ArrayLibrary
from fullyconnected.exchange.graph import graph_of, placed_of
from fullyconnected.symbolic.evaluation import FUNCTIONS
from tests.exchange.networks import NETWORKS, rows_for
from tests.exchange.random_networks import networks

ERF = np.vectorize(__import__("math").erf, otypes=[np.float64])


class NumPy(ArrayLibrary):
    """What a library has to give, and no more."""

    entrywise = {
        **{name: FUNCTIONS[name] for name in ("exp", "cos", "sin", "expm1", "log", "tanh", "sqrt", "abs", "sign")},
        **{"softplus": FUNCTIONS["softplus"], "isnan": np.isnan, "max": np.maximum, "min": np.minimum},
        "erf": lambda a: ERF(a).astype(a.dtype),
    }

    def cast(self, a, dtype):
        return np.asarray(a, dtype)

    def number(self, value, dtype):
        return np.array(value, dtype)

    def codes(self, n, dtype):
        return np.arange(n, dtype=dtype)

    def reshaped(self, a, *shape):
        rest = int(np.prod([n for n in shape if n != -1]))
        return a.reshape([a.size // rest if n == -1 else n for n in shape])

    def turned(self, a, *axes):
        return a.transpose(axes)

    def joined(self, parts, axis):
        return np.concatenate(parts, axis=axis)

    def repeated(self, a, k):
        return np.repeat(a, k, axis=0)

    def columns(self, a, which):
        return a[:, list(which)]

    def chosen(self, condition, a, b):
        return np.where(condition, a, b)

    def reduced(self, kind, a, axis, *, keep):
        fold = np.logaddexp.reduce if kind == "logsumexp" else getattr(np, kind)
        return fold(a, axis=axis, keepdims=keep)


def assert_same(net, found, x):
    wanted = net.predict(x)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    rounding = 1e-5 if net.dtype == np.float32 else 1e-7  # of the series for gelu in double
    assert np.abs(found - wanted).max(initial=0) <= rounding * max(1, np.abs(wanted).max(initial=0))


@pytest.mark.parametrize("n", [0, 1, 7])
def test_everything_registered(net, n):
    x, graph = rows_for(net, n), graph_of(net, net.dtype.name)
    with np.errstate(all="ignore"):
        assert_same(net, NumPy().results(graph, x, graph.constants), x)


@hypothesis.given(networks())
def test_random_networks(net):
    x, graph = rows_for(net, 5), graph_of(net, net.dtype.name)
    with np.errstate(all="ignore"):
        assert_same(net, NumPy().results(graph, x, graph.constants), x)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_operation_after_the_other_with_parameters_that_stay_their_own(name):
    net = NETWORKS[name](dtype="float64")
    program, x = net.program, rows_for(net, 4)
    memory = program.memory(net.theta, net.state)
    if len(program.operations) == 1 and program.members is None:
        op, (placed,) = program.operations[0], placed_of(net)
        graph, letters = placed.graph()
        assert {*letters.values()} == {tensor.letter for tensor in (*op.params, *op.state)}
        for constant, letter in letters.items():
            np.testing.assert_array_equal(graph.constants[constant], getattr(memory[0], letter))
        with np.errstate(all="ignore"):
            assert_same(net, NumPy().results(graph, x, graph.constants), x)
