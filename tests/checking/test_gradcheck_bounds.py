"""The checker is trusted: it never calls a correct gradient wrong, and finds a thousandth where float64 can see it.

Both are asked of fresh networks, with inputs from a millionth to years, and of trained ones, whose losses and gradients
are tiny where an answer is right.
"""

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.checking.differences import measure
from fullyconnected.layers import Dense
from fullyconnected.losses import LOSSES

SCALES = {
    "a thousandth": lambda rng, shape: rng.normal(size=shape) * 1e-3,
    "one": lambda rng, shape: rng.normal(size=shape),
    "pixels": lambda rng, shape: rng.integers(0, 256, shape).astype(float),
    "years": lambda rng, shape: 2000.0 + rng.integers(-20, 20, shape),
    "of every size": lambda rng, shape: rng.normal(size=shape) * [1e-3, 1.0, 1e3],
}
BODIES = {
    "dense": lambda f: [Dense(3, 5, f)],
    "deep": lambda f: [Dense(3, 5, f), Dense(5, 5, f)],
    "normalised": lambda f: [Dense(3, 5, f), fc.LayerNorm(), Dense(5, 5, f)],
    "over the batch": lambda f: [Dense(3, 5, f), fc.BatchNorm(), Dense(5, 5, f)],
    "with a way around": lambda f: [Dense(3, 5, f), fc.Residual([Dense(5, 5, f)])],
}
ACTIVATIONS = ("relu", "selu", "tanh", "gelu", "softplus", "sigmoid")
SOFT = ("relu", "selu", "gelu", "softplus")  # they are not flat on both sides, where no gradient is left to compare
FLAT = ("years", "of every size")  # so large that all but relu are flat, but not quite, on one side at least
UNMOVED = ("over the batch", "normalised")  # where large inputs are brought to one size, hardly a weight counts


def network(body, activation, n_out, dtype):
    return fc.Network([*BODIES[body](activation), Dense(5, n_out)], dtype=dtype, seed=3)


def counted(report):
    return np.array([sum(t.checked for t in report.tensors), sum(t.unresolved for t in report.tensors)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", SCALES)
def test_no_gradient_of_a_fresh_network_is_called_wrong(scale, dtype) -> None:
    rng, losses = np.random.default_rng(7), itertools.cycle(LOSSES.classes)
    total = np.zeros(2, int)
    for body, activation in itertools.product(BODIES, ACTIVATIONS):
        loss = LOSSES.build(next(losses))
        x, t = SCALES[scale](rng, (4, 3)), loss.example_targets(rng, 4, 2)
        net = network(body, activation, 2, dtype)
        report = fc.check_gradients(net, x, t, loss, train=body == "over the batch")
        assert not report.wrong, f"{body}, {activation}, {loss}\n{report}"
        assert report.ok
        if dtype == np.float64 and activation in (("relu",) if scale in FLAT else SOFT) and body not in UNMOVED:
            total += counted(report)
    assert total[1] <= 0.01 * total[0]


@functools.cache
def trained(loss_name, activation, dtype):
    """Return a network that has learned rows by heart, and the rows: most of its answers are nearly right."""
    rng, loss = np.random.default_rng(1), LOSSES.build(loss_name)
    x = rng.normal(size=(12, 2))
    if loss.min_outputs > 1:
        t = (x[:, 0] > 0).astype(int)
    elif loss_name == "binary_cross_entropy":
        t = (x > 0).astype(float)
    elif loss_name == "poisson":
        t = rng.poisson(2, (12, 2))
    else:
        t = np.stack([np.sin(x[:, 0]), x[:, 1]], 1)
    net = fc.Network([Dense(2, 6, activation), Dense(6, 2)], dtype=dtype, seed=0)
    fc.fit(net, x, t, loss, fc.Adam(0.1), epochs=400, batch_size=12, progress=False)
    return net, x, t, loss


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", LOSSES.classes)
def test_no_row_of_a_trained_network_is_called_wrong(loss, dtype) -> None:
    for activation in ("tanh", "relu"):
        net, x, t, loss_ = trained(loss, activation, dtype)
        for i in range(len(x)):
            report = fc.check_gradients(net, x[i : i + 1], t[i : i + 1], loss_)
            assert not report.wrong, f"{activation}, row {i}\n{report}"
            for tensor in report.tensors:
                assert not tensor.unresolved or abs(tensor.gradient) < tensor.bound


def mistaken(change):
    @dataclass(frozen=True)
    class Mistaken(Dense):
        def backward(self, p, x, c, y, dy, g, dx):
            super().backward(p, x, c, y, dy, g, dx)
            change(g)

    return Mistaken


MISTAKES = {
    "the sign": lambda g: g.W.__imul__(-1),
    "a factor": lambda g: g.W.__imul__(2),
    "a thousandth": lambda g: g.W.__imul__(1.001),
    "a thousandth less": lambda g: g.W.__imul__(0.999),
    "left out": lambda g: g.W.__imul__(0),
    "a thousandth of the bias": lambda g: g.b.__imul__(1.001),
    "one entry": lambda g: g.W.__setitem__((0, 0), g.W[0, 0] * 1.1),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_planted_mistakes_are_found_in_fresh_and_in_trained_networks(mistake, dtype, pairwise) -> None:
    every = pairwise(itertools.product(MISTAKES, (np.float64, np.float32), LOSSES.classes))
    losses = [loss for each, type_, loss in every if (each, type_) == (mistake, dtype)]
    found = resolvable = 0
    for name in losses:
        net, x, t, loss = trained(name, "tanh", dtype)
        bad = fc.Network([mistaken(MISTAKES[mistake])(2, 6, "tanh"), net.layers[1]], dtype=dtype, seed=0)
        assert fc.check_gradients(bad, x, t, loss).wrong, f"fresh, {name}"
        bad.theta = net.theta
        for i in range(0, 12, 3):
            right = fc.check_gradients(net, x[i : i + 1], t[i : i + 1], loss).tensors["bias" in mistake]
            if right.verdict == "ok" and not right.unresolved and abs(right.gradient) > 0:
                report = fc.check_gradients(bad, x[i : i + 1], t[i : i + 1], loss)
                resolvable += 1
                small = mistake == "one entry" and not report.wrong  # that entry may be far below the largest
                found += report.wrong or small
                assert report.tensors["bias" in mistake].wrong or small, f"{name}, row {i}\n{report}"
    assert (
        found == resolvable >= 24 * len(losses) / len(LOSSES.classes)
    )  # hinge is zero for all rows that it has learned


class Rounded(fc.ActivationFunction):
    """A function of float64 that computes in float32."""

    name = "rounded"
    needs_input = True

    def forward(self, z, c, y):
        y[...] = np.tanh(z.astype(np.float32))

    def backward(self, z, c, y, dy):
        dy *= 1 - np.tanh(z.astype(np.float32)) ** 2


@pytest.mark.parametrize("size", [1e-3, 1.0, 10.0])
@pytest.mark.parametrize("units", [1, 3, 8])
def test_an_activation_that_rounds_to_float32_is_not_called_wrong(units, size) -> None:
    rng = np.random.default_rng(3)
    net = fc.Network([Dense(2, units, Rounded()), Dense(units, 2)], dtype=np.float64, seed=1)
    x = size * rng.normal(size=(4, 2))
    assert not fc.check_gradients(net, x, rng.normal(size=(4, 2)), fc.HalfSquaredError()).wrong
    assert not fc.check_gradients(net, x, [0, 1, 1, 0], fc.SoftmaxCrossEntropy()).wrong


class Naive(fc.Loss):
    """Cross-entropy as the formula has it: log sum exp z - z_t, which cancels where the answer is right."""

    name = "naive"
    min_outputs = 2

    def encode_targets(self, t, n_out):
        return t

    def cache(self, rows, n_out):
        return {"e": (rows, 1)}

    def terms(self, z, t, c, dz):
        rows = np.arange(len(z))
        np.exp(z, out=dz)
        total = dz.sum(axis=1, keepdims=True)
        c.e[...] = np.log(total) - z[rows, t][:, None]
        dz /= total
        dz[rows, t] -= 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_loss_that_cancels_is_unresolved_and_not_wrong(dtype) -> None:
    verdicts = []
    for weight in (1, 3, 6, 8, 10, 12, 15, 18, 22, 30):
        net = fc.Network([Dense(1, 2, bias=False)], dtype=dtype)
        net.theta = [weight, -weight]
        verdicts.append([t.verdict for t in fc.check_gradients(net, [[1.0]], [0], Naive()).tensors])
        assert fc.check_gradients(net, [[1.0]], [0], fc.SoftmaxCrossEntropy()).ok
    assert "wrong" not in {verdict for pair in verdicts for verdict in pair}
    assert verdicts[0] == ["ok", "ok"]
    assert "unresolved" in verdicts[-1]


def test_a_thousandth_is_found_in_a_loss_that_is_nearly_zero() -> None:
    class Off(fc.SoftmaxCrossEntropy):
        name = "off"

        def terms(self, z, t, c, dz):
            super().terms(z, t, c, dz)
            dz *= 1.001

    for weight in (1, 8, 16):
        net = fc.Network([Dense(1, 2, bias=False)], dtype=np.float64)
        net.theta = [weight, -weight]
        assert fc.check_gradients(net, [[1.0]], [0], Off()).wrong


def test_what_bends_within_the_step_is_asked_with_a_smaller_one() -> None:
    """The slope of sin(1e5 z) over a step of 6e-6 is a fifth of what it is at the point."""
    wave = (lambda z: np.sin(1e5 * z), lambda z: 1e5 * np.cos(1e5 * z))
    net = fc.Network([Dense(1, 3, wave), Dense(3, 1)], dtype=np.float64, seed=0)
    report = fc.check_gradients(net, [[0.3]], [1.0], fc.HalfSquaredError())
    assert report.ok
    assert report.worst < 1e-6
    off = (wave[0], lambda z: 1.001e5 * np.cos(1e5 * z))
    assert fc.check_gradients(fc.Network([Dense(1, 3, off), Dense(3, 1)], dtype=np.float64, seed=0), [[0.3]], [1.0],
                              fc.HalfSquaredError()).wrong  # fmt: skip


def test_a_kink_that_nobody_names_is_found_and_left_out() -> None:
    ramp = (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype))
    net = fc.Network([Dense(1, 2, ramp), Dense(2, 1)], dtype=np.float64, seed=0)
    net.set_weights([[[1.0, 1.0]], [0.0, 0.5], [[1.0], [2.0]], [0.0]])
    report = fc.check_gradients(net, [[0.0]], [3.0], fc.HalfSquaredError())
    assert report.ok
    assert "dense_1.b[0] lies on a kink that no layer or loss names" in str(report)
    wrong = (ramp[0], lambda z: 3.0 * (z > 0))
    net = fc.Network([Dense(1, 2, wrong), Dense(2, 1)], dtype=np.float64, seed=0)
    net.set_weights([[[1.0, 1.0]], [0.0, 0.5], [[1.0], [2.0]], [0.0]])
    assert fc.check_gradients(net, [[0.0]], [3.0], fc.HalfSquaredError()).wrong


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_loss_that_is_not_finite_gets_one_line(dtype) -> None:
    net = fc.Network([Dense(1, 2, "exp"), Dense(2, 1)], dtype=dtype, seed=0)
    net.theta = [500, 500, 0, 0, 1, 1, 0]
    report = fc.check_gradients(net, [[2.0]], [1.0], fc.HalfSquaredError())
    assert not report.ok
    assert not report.wrong
    assert {tensor.verdict for tensor in report.tensors} == {"unresolved"}
    assert len(str(report).splitlines()) == 1
    assert "the loss is " in str(report)
    assert "the output of dense_1" in str(report)
    assert "never have been written" not in str(report)


def test_a_loss_that_float32_alone_cannot_hold_is_not_compared() -> None:
    net = fc.Network([Dense(1, 1)], dtype=np.float32, seed=0)
    report = fc.check_gradients(net, [[1e25]], [0.0], fc.HalfSquaredError())
    assert not report.wrong
    assert not report.ok
    assert "the loss is inf" in str(report)


def test_a_report_is_ok_where_none_is_wrong_and_one_at_least_is_right() -> None:
    flat = fc.Network([Dense(1, 1, "sigmoid"), Dense(1, 1)], dtype=np.float64, seed=0)
    flat.theta = [30.0, 0.0, 1e-6, 0.5]
    report = fc.check_gradients(flat, [[1.0]], [1.0], fc.HalfSquaredError())
    verdicts = {tensor.name: tensor.verdict for tensor in report.tensors}
    assert verdicts["dense_1.W"] == "unresolved"
    assert verdicts["dense_2.W"] == "ok"
    assert report.ok
    assert "that could not be resolved" in str(report)


@pytest.mark.parametrize(
    ("factor", "words"),
    [(0.999994, "a rounded constant"), (1.00002, "a rounded constant"), (1.001, "1.001 times"), (1.05, "1.05 times")],
)
def test_a_rounded_constant_is_told_from_a_factor(factor, words) -> None:
    rng = np.random.default_rng(0)
    net = fc.Network([mistaken(lambda g: g.W.__imul__(factor))(3, 2)], dtype=np.float64, seed=0)
    report = fc.check_gradients(net, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), fc.HalfSquaredError())
    assert report.wrong
    assert words in report.tensors[0].hint


def test_a_large_tensor_is_not_looked_into_entry_by_entry_once_it_is_wrong(monkeypatch) -> None:
    from fullyconnected.checking import comparison

    asked = []
    monkeypatch.setattr(comparison, "measure", lambda at, step: asked.append(step) or measure(at, step))
    net = fc.Network([mistaken(lambda g: g.W.__imul__(2))(40, 10)], dtype=np.float64, seed=0)
    rng = np.random.default_rng(0)
    report = fc.check_gradients(net, rng.normal(size=(3, 40)), rng.normal(size=(3, 10)), fc.HalfSquaredError())
    assert report.tensors[0].wrong
    assert "2 times too large" in report.tensors[0].hint
    assert len(asked) <= 64


def test_a_gradient_that_is_not_a_number_is_wrong_on_a_kink_too() -> None:
    net = fc.Network([mistaken(lambda g: g.b.__imul__(np.nan))(1, 2, "relu"), Dense(2, 1)], dtype=np.float64, seed=0)
    net.set_weights([[[1.0, 1.0]], [0.0, 0.5], [[1.0], [2.0]], [0.0]])
    assert fc.check_gradients(net, [[0.0]], [3.0], fc.HalfSquaredError()).wrong


def activation(forward_, backward_):
    class Own(fc.ActivationFunction):
        name, needs_input = "own", True

        def forward(self, z, c, y):
            y[...] = forward_(z)

        def backward(self, z, c, y, dy):
            dy *= backward_(z)

    return Own()


def checked(function, dtype=np.float64, rows=6, **settings):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))
    net = fc.Network([Dense(3, 4, function), Dense(4, 2)], dtype=dtype, seed=0)
    return fc.check_gradients(net, x, t, fc.HalfSquaredError(), **settings)


def test_a_backward_that_is_another_each_time_is_wrong() -> None:
    rng = np.random.default_rng(1)
    kept = np.random.default_rng(5).random((6, 4)) > 0.5
    report = checked(activation(lambda z: 2 * z * kept, lambda z: 2 * (rng.random(z.shape) > 0.5)))
    assert report.wrong
    assert "differs each time" in str(report)
    noisy = activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2 + rng.normal(0, 1e-2, z.shape))
    assert checked(noisy).wrong


def test_a_mistake_that_is_made_in_float32_alone_is_wrong() -> None:
    twice = activation(np.tanh, lambda z: (1 - np.tanh(z) ** 2) * (2 if z.dtype == np.float32 else 1))
    assert checked(twice).ok
    report = checked(twice, np.float32)
    assert report.wrong
    assert "2 times too large" in str(report)


def test_a_mistake_that_jumps_under_rounding_does_not_hide_in_it() -> None:
    """The largest entry is 1 % off, and several are the largest but for their last digits."""

    def change(g):
        g.W[np.unravel_index(np.abs(g.W).argmax(), g.W.shape)] *= 1.01

    net = fc.Network([mistaken(change)(3, 2)], dtype=np.float64, seed=0)
    x = np.full((4, 3), 0.1) * [[1], [-3], [7], [2]]
    report = fc.check_gradients(net, x, np.full((4, 2), 5.0), fc.AbsoluteError())
    assert report.wrong


def test_layers_of_the_native_engine_in_float32_are_not_called_wrong() -> None:
    if not fc.engines()["native"].available:
        pytest.skip(fc.engines()["native"].about)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        net = fc.Network([Dense(2, 2), fc.LayerNorm(), Dense(2, 1)], dtype=np.float32, seed=seed)
        x, t = 10 * rng.normal(size=(3, 2)), rng.normal(size=3)
        report = fc.check_gradients(net, x, t, fc.HalfSquaredError(), engine="native")
        assert not report.wrong, f"{seed}\n{report}"


@pytest.mark.parametrize("weight", [1e4, 1e6, 1e7, 1e8, 1e9, 1e10, 1e12])
def test_what_bends_within_the_smallest_step_is_not_called_wrong(weight) -> None:
    net = fc.Network([Dense(1, 1, "tanh")], dtype=np.float64, seed=0)
    net.theta = [weight, 0.3]
    report = fc.check_gradients(net, [[0.1 / weight], [0.2 / weight]], [0.0, 1.0], fc.HalfSquaredError())
    assert not report.wrong, str(report)


@pytest.mark.parametrize(
    ("kind", "bias"),
    [*((np.float32, b) for b in (0.0, 2.0, 5.0, 8.0, 10.0, 12.0)), (np.float16, 0.0), (np.float16, 3.0)],
)
def test_stairs_are_not_called_wrong(bias, kind) -> None:
    """On a stair of a value that is rounded to few digits, no step shows that the function moves at all."""
    coarse = activation(
        lambda z: 1 / (1 + np.exp(-z.astype(kind))), lambda z: np.exp(-abs(z)) / (1 + np.exp(-abs(z))) ** 2
    )
    net = fc.Network([Dense(1, 2, coarse), Dense(2, 1)], dtype=np.float64, seed=0)
    net.theta[2:4] = bias
    report = fc.check_gradients(net, [[0.5]], [1.0], fc.HalfSquaredError())
    assert not report.wrong, str(report)


def test_a_kink_that_only_small_steps_see_is_left_out() -> None:
    curve = (lambda z: z + 1e3 * z * z, lambda z: 1 + 2e3 * z)
    net = fc.Network([Dense(1, 1, curve), Dense(1, 1, "relu"), Dense(1, 1)], dtype=np.float64, seed=0)
    net.theta = [1, 0, 1, 0, 1, 0]
    report = fc.check_gradients(net, [[0.0]], [1.0], fc.HalfSquaredError())
    assert not report.wrong, str(report)
    assert "across its kink" in str(report)


def test_the_worst_entry_of_a_tensor_that_is_right_is_one_that_was_resolved() -> None:
    net = fc.Network([Dense(1, 2, "sigmoid"), Dense(2, 1)], dtype=np.float64, seed=0)
    net.theta = [1.0, 30.0, 0.0, 0.0, 1.0, 1e-6, 0.3]
    for tensor in fc.check_gradients(net, [[1.0]], [0.0], fc.HalfSquaredError()).tensors:
        if tensor.ok:
            assert abs(tensor.gradient - tensor.difference) <= 1e-6 * max(abs(tensor.gradient), 1)


@pytest.mark.parametrize(("part", "words"), [(0.0, "left out"), (0.5, "0.5 times"), (2.0, "2 times")])
def test_the_part_of_l2_that_is_there_is_named(part, words) -> None:
    layer = mistaken(lambda g: None)(3, 2)
    net = fc.Network([layer], dtype=np.float64, seed=0)

    def change(g):
        g.W[...] += (part - 1) * 0.3 * net.params[0].W

    bad = fc.Network([mistaken(change)(3, 2)], dtype=np.float64, seed=0)
    rng = np.random.default_rng(0)
    report = fc.check_gradients(bad, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), fc.HalfSquaredError(), l2=0.3)
    assert "l2" in report.tensors[0].hint
    assert words in report.tensors[0].hint


def test_a_single_entry_that_is_off_is_named() -> None:
    net = fc.Network([mistaken(lambda g: g.W.__setitem__((2, 1), 1.5 * g.W[2, 1]))(6, 4)], dtype=np.float64, seed=0)
    rng = np.random.default_rng(0)
    report = fc.check_gradients(net, rng.normal(size=(5, 6)), rng.normal(size=(5, 4)), fc.HalfSquaredError())
    assert report.tensors[0].hint == "only 1 of 24 entries is off, at [2,1]"


@pytest.mark.parametrize("distance", [1e-5, 1e-6, 1e-7, 2e-8])
def test_a_mistake_close_beside_a_kink_is_found(distance) -> None:
    right = fc.Network([Dense(1, 2, "relu"), Dense(2, 1)], dtype=np.float64, seed=0)
    wrong = fc.Network([mistaken(lambda g: g.b.__imul__(1.001))(1, 2, "relu"), Dense(2, 1)], dtype=np.float64, seed=0)
    for net in (right, wrong):
        net.set_weights([[[1.0, 1.0]], [distance, -distance], [[1.0], [2.0]], [0.0]])
        report = fc.check_gradients(net, [[0.0]], [1.0], fc.HalfSquaredError())
        assert report.wrong == (net is wrong), str(report)
        assert report.tensors[1].unresolved == 0
