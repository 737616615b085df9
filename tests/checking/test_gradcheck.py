"""The checker is tested: planted mistakes must fail, with the right hint first; what is right must pass."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.layers import Dense, Dropout
from fullyconnected.program.workspace import Workspace

ROWS, N_OUT = 7, 3  # neither is 2, so that no factor can be taken for another


@pytest.fixture
def data():
    rng = np.random.default_rng(5)
    return rng.normal(size=(ROWS, 4)), rng.normal(size=(ROWS, N_OUT))


def network(layer: fc.Layer) -> fc.Network:
    return fc.Network([fc.Dense(4, 3, "tanh"), layer, fc.Dense(3, N_OUT)], dtype=np.float64, seed=1)


def mistaken(change, cls=Dense):
    """Return a Dense whose gradients are altered after they have been written."""

    @dataclass(frozen=True)
    class Mistaken(cls):
        def backward(self, p, x, c, y, dy, g, dx):
            super().backward(p, x, c, y, dy, g, dx)
            change(g, dx, x, dy)

    return Mistaken


def times(factor):
    def change(g, dx, x, dy):
        g.W *= factor

    return change


def turn(g, dx, x, dy):
    g.W = (dy.T @ x).reshape(g.W.shape)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (times(-1), "the sign is wrong"),
        (times(2), "2 times too large"),
        (times(0.5), "half as large"),
        (times(ROWS), "7 times too large, the number of rows"),
        (times(1 / ROWS), "7 times too small, the number of rows"),
        (times(N_OUT), "3 times too large, the number of outputs"),
        (turn, "transposed"),
        (times(0), "zero everywhere"),
        (times(np.nan), "never have been written"),
        (times(1.001), "1.001 times"),
    ],
)
def test_a_planted_mistake_in_the_weights_fails_and_the_first_hint_names_it(data, change, words) -> None:
    report = fc.check_gradients(network(mistaken(change)(3, 3, "tanh")), *data, fc.HalfSquaredError())
    assert not report.ok
    wrong = [tensor for tensor in report.tensors if not tensor.ok]
    assert [tensor.name for tensor in wrong] == ["dense_2.W"]
    assert words in wrong[0].hint.split(";")[0]
    assert words in str(report)
    assert "WRONG" in str(report)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda g, dx, x, dy: g.b.__imul__(-1), ["dense_2.b"]),
        (lambda g, dx, x, dy: dx.__imul__(1.001), ["dense_1.W", "dense_1.b", "x"]),
        (lambda g, dx, x, dy: np.copyto(g.b, dy[-1]), ["dense_2.b"]),  # batch not summed
        (lambda g, dx, x, dy: np.copyto(g.W, np.outer(x[0], dy[0])), ["dense_2.W"]),
    ],
)
def test_a_planted_mistake_is_found_where_it_is(data, change, names) -> None:
    report = fc.check_gradients(network(mistaken(change)(3, 3, "tanh")), *data, fc.HalfSquaredError())
    assert [tensor.name for tensor in report.tensors if not tensor.ok] == names
    assert all(tensor.hint for tensor in report.tensors if not tensor.ok)


@pytest.mark.parametrize("shape", [(4, 3), (4, 4)])
def test_a_transposed_gradient_is_named_for_square_and_other_weights(shape) -> None:
    rng = np.random.default_rng(0)
    net = fc.Network([mistaken(turn)(*shape)], dtype=np.float64, seed=0)
    report = fc.check_gradients(
        net, rng.normal(size=(6, shape[0])), rng.normal(size=(6, shape[1])), fc.HalfSquaredError()
    )
    assert not report.ok
    assert "transposed" in report.tensors[0].hint


def test_a_missing_activation_derivative_fails(data) -> None:
    class Forgetful(fc.ActivationFunction):
        name = "forgetful"

        def forward(self, z, c, y):
            c.xp.tanh(z, out=y)

        def backward(self, z, c, y, dy):
            pass

    report = fc.check_gradients(network(Dense(3, 3, Forgetful())), *data, fc.HalfSquaredError())
    assert not report.ok
    assert {tensor.name for tensor in report.tensors if not tensor.ok} >= {"dense_2.W", "dense_2.b", "x"}


def test_l2_left_out_of_the_gradient_fails_and_is_named(data, monkeypatch) -> None:
    right = Workspace.add_l2

    def value_alone(self, l2):
        gradient = self.gradient.copy()
        value = right(self, l2)
        self.gradient[...] = gradient
        return value

    monkeypatch.setattr(Workspace, "add_l2", value_alone)
    report = fc.check_gradients(network(Dense(3, 3)), *data, fc.HalfSquaredError(), l2=0.3)
    wrong = [tensor for tensor in report.tensors if not tensor.ok]
    assert {tensor.name for tensor in wrong} == {"dense_1.W", "dense_2.W", "dense_3.W"}
    assert all("l2" in tensor.hint for tensor in wrong)


def test_a_dropout_scale_left_out_fails(data) -> None:
    def backward(self, p, x, c, y, dy, g, dx):
        np.multiply(dy, c.m != 0, out=dx)

    Unscaled = type("Unscaled", (Dropout,), {"backward": backward})
    report = fc.check_gradients(network(Unscaled(0.4)), *data, fc.HalfSquaredError(), train=True)
    assert not report.ok
    assert "0.6 times" in report.tensors[0].hint


class TenthOff(fc.Loss):
    """Half a sum of squares whose gradient is 0.1 % too large."""

    name = "tenth_off"
    factor: ClassVar[float] = 1.001

    def terms(self, z, t, c, dz):
        c.xp.subtract(z, t, out=dz)
        c.xp.multiply(dz, dz, out=c.e)
        c.e *= 0.5
        dz *= self.factor


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_loss_that_is_a_thousandth_off_fails_in_both_dtypes(data, dtype) -> None:
    net = fc.mlp([4, 5, N_OUT], activation="tanh", dtype=dtype, seed=0)
    assert not fc.check_gradients(net, *data, TenthOff()).ok
    assert fc.check_gradients(net, *data, fc.HalfSquaredError()).ok


def test_a_loss_alone_is_checked_and_a_factor_found(data) -> None:
    z, t = np.random.default_rng(1).normal(size=(ROWS, N_OUT)), data[1]
    assert fc.check_gradients(fc.HalfSquaredError(), z, t).worst < 1e-8
    Half = type("Half", (TenthOff,), {"factor": 0.5, "name": "half"})
    report = fc.check_gradients(Half(), z, t)
    assert not report.ok
    assert "half as large" in report.tensors[0].hint


@pytest.mark.parametrize("layer", [fc.Dense(4, 3, "gelu"), fc.LayerNorm(n_in=4), fc.Residual([fc.Dense(4, 4, "mish")])])
def test_a_layer_alone_needs_neither_data_nor_loss(layer) -> None:
    report = fc.check_gradients(layer)
    assert report.ok
    assert report.worst < 1e-6
    assert any(tensor.name == "x" for tensor in report.tensors)


def test_an_activation_alone_is_checked_and_a_mistake_found() -> None:
    assert fc.check_gradients(fc.ELU(0.5)).ok

    class Forgetful(fc.ActivationFunction):
        name = "forgetful"

        def forward(self, z, c, y):
            c.xp.tanh(z, out=y)

        def backward(self, z, c, y, dy):
            dy *= 2

    assert not fc.check_gradients(Forgetful()).ok


def test_a_layer_without_a_width_takes_it_from_x() -> None:
    assert fc.check_gradients(fc.BatchNorm(), np.random.default_rng(0).normal(size=(6, 5)), train=True).ok


def test_a_users_own_layer_is_checked_alone_and_a_sign_is_found() -> None:
    @dataclass(frozen=True)
    class Scale(fc.Layer):
        n_in: int
        right: bool = True
        name: ClassVar[str] = "scale_by_one_number"

        @property
        def n_out(self):
            return self.n_in

        def params(self):
            return {"s": fc.Param((1,))}

        def initialize(self, p, rng):
            p.s = 1

        def forward(self, p, x, c, y, *, train):
            c.xp.multiply(x, p.s, out=y)

        def backward(self, p, x, c, y, dy, g, dx):
            g.s = (dy * x).sum() * (1 if self.right else -1)
            if dx is not None:
                c.xp.multiply(dy, p.s, out=dx)

    assert fc.check_gradients(Scale(3)).ok
    report = fc.check_gradients(Scale(3, right=False))
    assert "the sign is wrong" in report.tensors[0].hint
    assert report.tensors[1].ok


def test_the_error_carries_its_sign(data) -> None:
    report = fc.check_gradients(network(mistaken(times(1.5))(3, 3)), *data, fc.HalfSquaredError())
    wrong = next(tensor for tensor in report.tensors if not tensor.ok)
    assert np.sign(wrong.error) == np.sign(wrong.gradient - wrong.difference)
    assert abs(wrong.error) == pytest.approx(1 / 3, rel=1e-6)  # 0.5 of 1.5, the largest of both tensors
    assert report.worst == abs(wrong.error)


def test_gradients_below_rounding_pass_and_the_report_says_so() -> None:
    # a bias in front of a batch normalisation has no influence at all
    rng = np.random.default_rng(0)
    net = fc.Network([fc.Dense(3, 4), fc.BatchNorm(), fc.Dense(4, 1)], dtype=np.float64, seed=0)
    report = fc.check_gradients(
        net, rng.normal(size=(6, 3)), 1e3 * rng.normal(size=6), fc.HalfSquaredError(), train=True
    )
    assert report.ok
    bias = next(tensor for tensor in report.tensors if tensor.name == "dense_1.b")
    assert bias.unresolved
    assert "dense_1.b: gradients below about" in str(report)


def test_a_kink_within_the_step_is_stepped_around() -> None:
    # z is 6e-6: the first unit lies 1e-6 beside its kink, and a smaller step stays on one side
    net = fc.Network([fc.Dense(1, 2, "relu"), fc.Dense(2, 1)], dtype=np.float64, seed=0)
    net.set_weights([[[1.0, 1.0]], [1e-6, 0.5], [[1.0], [2.0]], [0.0]])
    report = fc.check_gradients(net, [[0.0]], [1.0], fc.HalfSquaredError())
    assert report.ok
    assert not any(tensor.kinks for tensor in report.tensors)


def test_a_kink_at_the_point_is_named_and_left_out() -> None:
    net = fc.Network([fc.Dense(1, 2, "relu"), fc.Dense(2, 1)], dtype=np.float64, seed=0)
    net.set_weights([[[1.0, 1.0]], [0.0, 0.5], [[1.0], [2.0]], [0.0]])
    report = fc.check_gradients(net, [[0.0]], [1.0], fc.HalfSquaredError())
    assert report.ok
    assert "dense_1.b[0] moves dense_1, row 0, unit 0, across its kink" in str(report)


def test_a_kink_of_the_loss_is_named() -> None:
    report = fc.check_gradients(fc.Quantile(0.9), [[1.0, 2.0]], [[1.0, 0.0]])
    assert report.ok
    assert "the loss quantile" in str(report)


def test_a_mistake_beside_a_kink_is_still_found() -> None:
    net = fc.Network([mistaken(times(-1))(1, 2, "relu"), fc.Dense(2, 1)], dtype=np.float64, seed=0)
    net.set_weights([[[1.0, 1.0]], [-0.5, 0.5], [[1.0], [2.0]], [0.0]])
    report = fc.check_gradients(net, [[0.5]], [1.0], fc.HalfSquaredError())
    assert not report.ok


def test_checking_changes_nothing(data) -> None:
    net = fc.Network([fc.Dense(4, 3, "tanh"), fc.BatchNorm(), fc.Dense(3, N_OUT)], dtype=np.float64, seed=1)
    theta, state, x = net.theta.copy(), net.state.copy(), data[0].copy()
    fc.check_gradients(net, *data, fc.HalfSquaredError(), train=True)
    assert np.array_equal(net.theta, theta)
    assert np.array_equal(net.state, state)
    assert np.array_equal(data[0], x)


def test_large_inputs_get_a_larger_step() -> None:
    net = fc.mlp([2, 3, 1], activation="identity", dtype=np.float64, seed=0)
    assert fc.check_gradients(net, [[1e6, -2e6]], [1.0], fc.HalfSquaredError()).ok


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((fc.mlp([2, 1], seed=0), [[1.0, 2.0]]), "give x, t and loss"),
        ((fc.HalfSquaredError(),), "give the outputs x"),
        (("net",), "a Network, a Layer, an ActivationFunction or a Loss"),
    ],
)
def test_what_is_missing_is_said(arguments, words) -> None:
    with pytest.raises(fc.errors.InputTypeError, match=words):
        fc.check_gradients(*arguments)


def test_a_sample_of_the_entries_of_a_large_network() -> None:
    rng = np.random.default_rng(0)
    net = fc.mlp([300, 200, 5], dtype=np.float64, seed=0)
    x, t = rng.normal(size=(8, 300)), rng.integers(0, 5, 8)
    report = fc.check_gradients(net, x, t, fc.SoftmaxCrossEntropy(), entries=20)
    assert report.ok
    assert [tensor.checked for tensor in report.tensors] == [20, 20, 20, 5, 20]
    assert "20 of 60,000 entries were compared" in str(report)
    again = fc.check_gradients(net, x, t, fc.SoftmaxCrossEntropy(), entries=20)
    assert str(again) == str(report)


def test_a_mistake_is_found_and_named_in_a_sample_too(data) -> None:
    layer = mistaken(times(-1))(3, 3, "tanh")
    report = fc.check_gradients(network(layer), *data, fc.HalfSquaredError(), entries=4)
    wrong = [tensor for tensor in report.tensors if not tensor.ok]
    assert [(tensor.name, tensor.hint) for tensor in wrong] == [("dense_2.W", "the sign is wrong")]
