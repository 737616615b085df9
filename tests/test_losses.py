"""The losses against their formulas, row by row in plain Python numbers; their targets, scales and extremes."""

import copy
import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.core.arrays import BLOCK
from fullyconnected.engine.numpy_engine import clip
from fullyconnected.losses import LOSSES

ROWS, OUTPUTS = 6, 3


def softmax_cross_entropy(z, t):
    p = np.zeros(len(z))
    p[t] = 1
    return softmax_cross_entropy_of_p(z, p)


def softmax_cross_entropy_of_p(z, p):
    log_sum = max(z) + math.log(sum(math.exp(a - max(z)) for a in z))
    value = sum(q * (log_sum - a) for q, a in zip(p, z, strict=True))
    return value, [math.exp(a - log_sum) * sum(p) - q for q, a in zip(p, z, strict=True)]


def smoothed(formula, n):
    """The formula for targets of which a tenth is spread over n classes."""

    def of_a_row(z, t):
        p = np.eye(len(z))[t] if np.ndim(t) == 0 else np.asarray(t)
        return formula(z, 0.9 * p + 0.1 / n)

    return of_a_row


def hinge(z, t):
    margins = [a - z[t] + 1 if j != t else -1 for j, a in enumerate(z)]
    dz = [1.0 if m > 0 else 0.0 for m in margins]
    dz[t] = -sum(dz)
    return sum(max(m, 0) for m in margins), dz


def entrywise(f):
    def of_a_row(z, t):
        values, slopes = zip(*(f(a, b) for a, b in zip(z, t, strict=True)), strict=True)
        return sum(values), list(slopes)

    return of_a_row


def huber(delta):
    def f(a, b):
        r = a - b
        return (r * r / 2, r) if abs(r) <= delta else (delta * (abs(r) - delta / 2), math.copysign(delta, r))

    return entrywise(f)


def quantile(q):
    return entrywise(lambda a, b: (q * (b - a), -q) if a < b else ((1 - q) * (a - b), 1 - q if a > b else 0.0))


def logistic(a, b):
    value = max(a, 0) + math.log1p(math.exp(-abs(a))) - b * a
    return value, (1 / (1 + math.exp(-a)) if a > 0 else math.exp(a) / (1 + math.exp(a))) - b


NUMBERS = np.array([[0.3, -2, 5], [1, 1, 1], [-1, 0, 1], [4, 0.5, 0], [2, 2, -2], [0, 0, 0]])
CLASSES = np.array([0, 2, 1, 1, 0, 2])
SHARES = np.array([[0, 1, 0.5], [1, 1, 1], [0, 0, 0], [0.2, 0.3, 0.4], [1, 0, 1], [0, 1, 0]])
COUNTS = np.array([[0, 1, 5], [2, 2, 2], [0, 0, 0], [7, 0.5, 1], [1, 0, 1], [3, 1, 0]])
P = np.array([[1, 0, 0], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3], [0, 0.5, 0.5], [0, 0, 1], [0.9, 0.1, 0]])

CASES = {  # the loss, its targets, and the value and gradient of one row
    "half_squared_error": (fc.HalfSquaredError(), NUMBERS, entrywise(lambda a, b: ((a - b) ** 2 / 2, a - b))),
    "mean_squared_error": (fc.MeanSquaredError(), NUMBERS, entrywise(lambda a, b: ((a - b) ** 2 / 3, (a - b) * 2 / 3))),
    "absolute_error": (fc.AbsoluteError(), NUMBERS, entrywise(lambda a, b: (abs(a - b), np.sign(a - b)))),
    "huber": (fc.Huber(), NUMBERS, huber(1.0)),
    "huber 0.3": (fc.Huber(0.3), NUMBERS, huber(0.3)),
    "quantile": (fc.Quantile(), NUMBERS, quantile(0.5)),
    "quantile 0.9": (fc.Quantile(0.9), NUMBERS, quantile(0.9)),
    "poisson": (fc.Poisson(), COUNTS, entrywise(lambda a, b: (math.exp(a) - b * a, math.exp(a) - b))),
    "binary_cross_entropy": (fc.BinaryCrossEntropy(), SHARES, entrywise(logistic)),
    "softmax_cross_entropy": (fc.SoftmaxCrossEntropy(), CLASSES, softmax_cross_entropy),
    "softmax_cross_entropy of probabilities": (fc.SoftmaxCrossEntropy(), P, softmax_cross_entropy_of_p),
    "hinge": (fc.Hinge(), CLASSES, hinge),
    "binary_cross_entropy smoothed": (
        fc.BinaryCrossEntropy(label_smoothing=0.1),
        SHARES,
        smoothed(entrywise(logistic), 2),
    ),
    "softmax_cross_entropy smoothed": (
        fc.SoftmaxCrossEntropy(label_smoothing=0.1),
        CLASSES,
        smoothed(softmax_cross_entropy_of_p, OUTPUTS),
    ),
    "softmax_cross_entropy smoothed of probabilities": (
        fc.SoftmaxCrossEntropy(label_smoothing=0.1),
        P,
        smoothed(softmax_cross_entropy_of_p, OUTPUTS),
    ),
}
Z = np.random.default_rng(5).normal(size=(ROWS, OUTPUTS)) * 2
Z[0, 0], Z[1, 1] = NUMBERS[0, 0], NUMBERS[1, 1]  # at the kinks of absolute error and quantile
Z[2] = [1, 0, -1]  # at the kink of the hinge: 0 and 1 differ by exactly the margin


def expected(z, t, formula, w=None):
    w = np.ones(len(z)) if w is None else np.asarray(w, float)
    rows = [formula([float(a) for a in row], target) for row, target in zip(z, t, strict=True)]
    value = math.fsum(weight * row[0] for weight, row in zip(w, rows, strict=True)) / w.sum()
    return value, w[:, None] * np.array([row[1] for row in rows]) / w.sum()


def test_every_loss_is_tested():
    assert {loss.name for loss, _, _ in CASES.values()} == set(LOSSES.classes)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("w", [None, [1, 2, 0, 0.5, 3, 1e-3]], ids=["even", "weighted"])
def test_against_the_formula(case, w):
    loss, t, formula = CASES[case]
    value, dz = loss(Z, t, w)
    wanted, wanted_dz = expected(Z, t, formula, w)
    assert value == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(dz, wanted_dz, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", CASES)
def test_float32_stays_float32(case):
    loss, t, formula = CASES[case]
    t = t.astype(np.float32) if t.dtype.kind == "f" else t
    value, dz = loss(Z.astype(np.float32), t)
    assert dz.dtype == np.float32
    wanted, wanted_dz = expected(Z.astype(np.float32), t, formula)
    assert value == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(dz, wanted_dz, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_in_a_network(case):
    """A network gives the loss what it gives alone, however its targets come in."""
    loss, t, formula = CASES[case]
    net = fc.Network([fc.Dense(OUTPUTS, OUTPUTS)], dtype=np.float64)
    net.params[0].W, net.params[0].b = np.eye(OUTPUTS), 0
    wanted, wanted_dz = expected(Z, t, formula)
    judged = expected(Z, t, CASES[case.replace(" smoothed", "")][2])[0]  # without smoothing
    for targets in (
        t,
        t.tolist(),
        np.asfortranarray(t),
        np.repeat(t, 2, axis=0)[::2],
        t.astype(t.dtype.newbyteorder()),
    ):
        g = net.gradients(Z, targets, loss)
        assert g.loss == pytest.approx(wanted, rel=1e-12)
        np.testing.assert_allclose(g.x, wanted_dz, rtol=1e-12, atol=1e-15)
        assert net.evaluate(Z, targets, loss, ()).loss == pytest.approx(judged, rel=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_arguments_are_left_alone(case):
    loss, t, _ = CASES[case]
    z, t, w = Z.copy(), t.copy(), np.ones(ROWS)
    for a in (z, t, w):
        a.flags.writeable = False
    loss(z, t, w)


@pytest.mark.parametrize("case", CASES)
def test_a_zero_weight_and_a_missing_row_are_the_same(case):
    loss, t, _ = CASES[case]
    value, dz = loss(Z, t, [1, 1, 0, 1, 0, 1])
    keep = [0, 1, 3, 5]
    value_of_four, dz_of_four = loss(Z[keep], t[keep])
    assert value == pytest.approx(value_of_four, rel=1e-14)
    np.testing.assert_allclose(dz[keep], dz_of_four, rtol=1e-14)
    assert not dz[[2, 4]].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
class TestExtremes:
    def test_cross_entropy_of_huge_logits(self, dtype):
        z = np.array([[1e30, 0, -1e30], [1e3, -1e3, 0], [-1e4, -1e4, -1e4]], dtype)
        value, dz = fc.SoftmaxCrossEntropy()(z, [0, 0, 1])
        assert value == pytest.approx(math.log(3) / 3, rel=1e-6)
        np.testing.assert_allclose(dz[2], np.array([1, -2, 1]) / 9, rtol=1e-6)
        assert not dz[:2].any()
        value, dz = fc.SoftmaxCrossEntropy()(z, [1, 1, 1])
        assert value == pytest.approx((1e30 + 2e3 + math.log(3)) / 3, rel=1e-6)
        np.testing.assert_allclose(dz[:2], np.array([[1, -1, 0], [1, -1, 0]]) / 3, rtol=1e-6)

    def test_confident_and_right_is_not_rounded_to_zero(self, dtype):
        """log(1 + e^-20) is 2e-9, which float32 does not see beside 1."""
        value, _ = fc.SoftmaxCrossEntropy()(np.array([[0, 20]], dtype), [0])
        assert value == pytest.approx(20, rel=1e-6)
        value, dz = fc.BinaryCrossEntropy()(np.array([[-20.0], [-80.0]], dtype), [0, 0])
        assert value == pytest.approx(math.exp(-20) / 2, rel=1e-5)
        np.testing.assert_allclose(dz[:, 0] * 2, [math.exp(-20), math.exp(-80)], rtol=2e-5)

    def test_probabilities_of_zero_cost_nothing(self, dtype):
        """0 log 0 is 0."""
        value, dz = fc.SoftmaxCrossEntropy()(np.array([[1e4, 0]], dtype), [[1.0, 0.0]])
        assert value == 0
        assert not dz.any()

    def test_logistic(self, dtype):
        z = np.array([[1e3], [-1e3], [1e30]], dtype)
        value, dz = fc.BinaryCrossEntropy()(z, [1, 0, 1])
        assert (value, dz.tolist()) == (0, [[0], [0], [0]])
        value, dz = fc.BinaryCrossEntropy()(z, [0, 1, 0])
        assert value == pytest.approx((2e3 + 1e30) / 3, rel=1e-6)
        np.testing.assert_allclose(dz[:, 0], np.array([1, -1, 1]) / 3, rtol=1e-6)

    def test_huber_far_out(self, dtype):
        value, dz = fc.Huber()(np.array([[1e30], [-1e30]], dtype), [0, 0])
        assert value == pytest.approx(1e30, rel=1e-6)
        assert dz.tolist() == [[0.5], [-0.5]]

    @pytest.mark.parametrize("engine", ["loss alone", "numpy", "native"])
    @pytest.mark.parametrize("logit", [0.5, 5.0, 10.0, 15.0, 17.0, 30.0, 60.0])
    @pytest.mark.parametrize("form", ["class", "one-hot", "nearly one-hot", "logistic 1", "logistic 0"])
    def test_a_right_answer_has_a_small_loss_and_slope_of_full_accuracy(self, dtype, engine, logit, form):
        """p - 1 near p = 1, taken as the sum of the other p and not as a difference of two nearly equal numbers."""
        if engine == "native" and not fc.engines()["native"].available:
            pytest.skip(fc.engines()["native"].about)
        other = math.exp(-logit) / (1 + math.exp(-logit))  # the probability of the wrong answer
        value, dz = math.log1p(math.exp(-logit)), [other, -other]
        z, loss, t = [[0.0, logit]], fc.SoftmaxCrossEntropy(), [1]
        if form == "one-hot":
            t = [[0.0, 1.0]]
        elif form == "nearly one-hot":
            t = [[2.0**-20, 1 - 2.0**-20]]
            value, dz = value + 2.0**-20 * logit, [other - 2.0**-20, 2.0**-20 - other]
        elif form.startswith("logistic"):
            loss, one = fc.BinaryCrossEntropy(), form.endswith("1")
            z, t, dz = [[logit if one else -logit]], [float(one)], [-other if one else other]
        if engine == "loss alone":
            found, slope = loss(np.array(z, dtype), t)
        else:
            net = fc.Network([fc.Activation("identity", n_in=len(z[0]))], dtype=dtype)
            found, _, _, slope = net.gradients(z, t, loss, engine=engine)
        close = 8 * float(np.finfo(dtype).eps)
        assert found == pytest.approx(value, rel=close)
        largest = 2.0**-20 if form.startswith("nearly") else 0  # there, p - t is a difference of numbers of this size
        np.testing.assert_allclose(slope[0], dz, rtol=close, atol=close * largest)

    @pytest.mark.parametrize("engine", ["loss alone", "numpy", "native"])
    @pytest.mark.parametrize("logit", [5.0, 17.0, 60.0])
    @pytest.mark.parametrize("smoothing", [1e-6, 2.0**-20, 0.1])
    @pytest.mark.parametrize("form", ["class", "one-hot", "logistic 1", "logistic 0"])
    def test_a_right_answer_has_the_small_slope_of_smoothed_labels(self, dtype, engine, logit, smoothing, form):
        """It is a share of the smoothing less the small 1 - p, and no number near 1 is in it."""
        if engine == "native" and not fc.engines()["native"].available:
            pytest.skip(fc.engines()["native"].about)
        other = math.exp(-logit) / (1 + math.exp(-logit))
        value, slope = math.log1p(math.exp(-logit)) + smoothing / 2 * logit, smoothing / 2 - other
        z, t, loss, dz = [[0.0, logit]], [1], fc.SoftmaxCrossEntropy(label_smoothing=smoothing), [-slope, slope]
        if form == "one-hot":
            t = [[0.0, 1.0]]
        elif form.startswith("logistic"):
            loss, one = fc.BinaryCrossEntropy(label_smoothing=smoothing), form.endswith("1")
            z, t, dz = [[logit if one else -logit]], [float(one)], [slope if one else -slope]
        if engine == "loss alone":
            found, dz_found = loss(np.array(z, dtype), t)
        else:
            net = fc.Network([fc.Activation("identity", n_in=len(z[0]))], dtype=dtype)
            found, _, _, dz_found = net.gradients(z, t, loss, engine=engine)
        close = 8 * float(np.finfo(dtype).eps)
        assert found == pytest.approx(value, rel=close)
        np.testing.assert_allclose(dz_found[0], dz, rtol=close, atol=close * (smoothing + other))

    @pytest.mark.parametrize("case", CASES)
    def test_nan_is_not_hidden(self, case, dtype):
        loss, t, _ = CASES[case]
        z = Z.astype(dtype)
        z[1, 2] = np.nan
        assert math.isnan(loss(z, t)[0])


# What float32 can lose where a block of numbers is added up one after the other, as the slowest of processors do. A
# million of them lose a thousand times as much.
WITHIN_A_BLOCK = BLOCK * float(np.finfo(np.float32).eps) / 2


def test_many_rows_in_float32():
    """The mean of a million rows is right to rounding, not to a float32 sum's drift."""
    rng = np.random.default_rng(0)
    z = rng.random((1_000_000, 1), np.float32) + 100
    value, _ = fc.AbsoluteError()(z, np.zeros(len(z)))
    assert value == pytest.approx(z.mean(dtype=np.float64), rel=WITHIN_A_BLOCK)


@pytest.mark.parametrize("loss", [fc.HalfSquaredError(), fc.MeanSquaredError(), fc.Huber(1e3), fc.Poisson()])
@pytest.mark.parametrize("shape", [(1_000_000, 1), (1000, 1000)])
def test_sums_of_many_equal_terms_in_float32(loss, shape):
    """Equal terms are the worst case: every addition within a block can be rounded to the same side."""
    z = np.full(shape, 0.7, np.float32)
    one = loss(z[:1].astype(np.float64), np.full((1, shape[1]), 0.1))[0]
    assert loss(z, np.full(shape, 0.1))[0] == pytest.approx(one, rel=WITHIN_A_BLOCK)
    weights = np.linspace(0.5, 1.5, shape[0])
    assert loss(z, np.full(shape, 0.1), weights)[0] == pytest.approx(one, rel=WITHIN_A_BLOCK)


def test_l2_and_the_norm_of_many_weights_in_float32():
    net = fc.Network([fc.Dense(1000, 1000, init=lambda rng, shape, *_: np.full(shape, 0.1))], seed=0)
    value = net.gradients(np.zeros((1, 1000)), np.zeros((1, 1000)), "half_squared_error", l2=2.0).loss
    assert value == pytest.approx(10_000, rel=WITHIN_A_BLOCK)
    g = np.full(1_000_000, 0.1, np.float32)
    clip(g, 1.0)
    assert np.linalg.norm(g.astype(np.float64)) == pytest.approx(1, rel=WITHIN_A_BLOCK)


def test_one_output_takes_targets_with_or_without_the_column():
    z = np.array([[0.5], [1.0]])
    for loss in (fc.HalfSquaredError(), fc.BinaryCrossEntropy(), fc.Poisson(), fc.Quantile(0.2)):
        flat, column = loss(z, [0, 1]), loss(z, [[0], [1]])
        assert flat[0] == column[0]
        assert np.array_equal(flat[1], column[1])


@pytest.mark.parametrize(
    "classes",
    [
        np.array([0, 1, 2, 1], np.uint8),
        np.array([0, 1, 2, 1], np.int8),
        np.array([[0], [1], [2], [1]]),
        [0, 1, 2, 1],
        np.eye(3)[[0, 1, 2, 1]],
        np.eye(3, dtype=int)[[0, 1, 2, 1]],
        np.eye(3, dtype=bool)[[0, 1, 2, 1]],
    ],
)
@pytest.mark.parametrize("loss", [fc.SoftmaxCrossEntropy(), fc.Hinge()], ids=["cross entropy", "hinge"])
def test_classes_in_every_form(loss, classes):
    z = np.random.default_rng(1).normal(size=(4, 3))
    value, dz = loss(z, classes)
    wanted, wanted_dz = loss(z, np.array([0, 1, 2, 1]))
    assert value == pytest.approx(wanted, rel=1e-14)
    np.testing.assert_allclose(dz, wanted_dz, rtol=1e-12, atol=1e-16)


def test_more_classes_than_a_small_integer_counts_rows():
    """Seed 3e: row numbers in int8 gave a wrong loss from row 128 on."""
    t = (np.arange(1000) % 200).astype(np.uint8)
    z = np.zeros((1000, 200))
    z[np.arange(1000), t] = 50
    assert fc.SoftmaxCrossEntropy()(z, t)[0] == pytest.approx(0, abs=1e-15)


def test_boolean_targets():
    assert fc.BinaryCrossEntropy()([[0.0], [0.0]], [True, False])[0] == pytest.approx(math.log(2))
    assert fc.SoftmaxCrossEntropy()([[0.0, 0.0]], [True])[0] == pytest.approx(math.log(2))


def test_quantile_finds_the_quantile():
    t = np.random.default_rng(0).exponential(size=4001)
    net = fc.Network([fc.Dense(1, 1)], dtype=np.float64)
    net.params[0].W = 0
    net.params[0].b = np.quantile(t, 0.9)
    slope = net.gradients(np.zeros((4001, 1)), t, fc.Quantile(0.9)).params[0].b
    assert abs(slope[0]) < 1e-3
    net.params[0].b = np.quantile(t, 0.5)
    assert net.gradients(np.zeros((4001, 1)), t, fc.Quantile(0.9)).params[0].b[0] == pytest.approx(-0.4, abs=1e-2)


@pytest.mark.parametrize("name", sorted(LOSSES.classes))
def test_by_name(name):
    assert LOSSES.get(name) == LOSSES.classes[name]()


class TestRefused:
    """A loss called on its own says what it cannot take; the networks' own checks are in test_bad_input.py."""

    @pytest.mark.parametrize(
        ("loss", "z", "t", "error", "message"),
        [
            (fc.HalfSquaredError(), [1.0, 2.0], [1.0, 2.0], errors.ShapeError, r"\(rows, n_out\).*\(2,\)"),
            (fc.HalfSquaredError(), np.zeros((0, 2)), np.zeros((0, 2)), errors.ShapeError, "one row at least"),
            (fc.HalfSquaredError(), [[1.0, 2.0]], [1.0], errors.ShapeError, r"\(1,\).*2 outputs.*\(rows, 2\)"),
            (fc.HalfSquaredError(), [[1.0], [2.0]], [1.0], errors.ShapeError, "2 rows of outputs and 1 of targets"),
            (fc.SoftmaxCrossEntropy(), [[1.0, 2.0]], [2], errors.DataError, "no class 2.*classes 0 to 1"),
            (fc.SoftmaxCrossEntropy(), [[1.0, 2.0]], [-1], errors.DataError, "no class -1"),
            (fc.SoftmaxCrossEntropy(), [[1.0, 2.0]], [1.0], errors.InputTypeError, r"integers.*float64.*astype\(int\)"),
            (fc.SoftmaxCrossEntropy(), [[1.0, 2.0]], [[0.5, 0.6]], errors.DataError, "probabilities; row 0"),
            (fc.SoftmaxCrossEntropy(), [[1.0, 2.0]], [[1.5, -0.5]], errors.DataError, "probabilities; row 0"),
            (fc.Hinge(), [[1.0, 2.0]], [[0.5, 0.5]], errors.DataError, "one-hot"),
            (fc.BinaryCrossEntropy(), [[1.0]], [2], errors.DataError, "0 to 1; they go from 2"),
            (fc.BinaryCrossEntropy(), [[1.0, 2.0]], [1], errors.ShapeError, "use SoftmaxCrossEntropy"),
            (fc.Poisson(), [[1.0]], [-0.5], errors.DataError, "0 or more.*-0.5"),
        ],
    )
    def test_targets(self, loss, z, t, error, message):
        with pytest.raises(error, match=message):
            loss(z, t)

    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (lambda: fc.Huber(0), "delta of Huber must be more than 0.*got 0"),
            (lambda: fc.Huber(-1.0), "more than 0"),
            (lambda: fc.Huber(math.inf), "finite"),
            (lambda: fc.Quantile(0), "q of Quantile"),
            (lambda: fc.Quantile(1.0), "less than 1"),
            (lambda: fc.Quantile(90), "less than 1"),
            (lambda: fc.Quantile(math.nan), "less than 1"),
            (lambda: fc.SoftmaxCrossEntropy(label_smoothing=1), "label_smoothing of SoftmaxCrossEntropy.*less than 1"),
            (lambda: fc.BinaryCrossEntropy(label_smoothing=-0.1), "label_smoothing of BinaryCrossEntropy.*0 or more"),
            (lambda: fc.SoftmaxCrossEntropy(class_weight=[1, -1]), "class_weight of Soft.*0 or more.*-1"),
            (lambda: fc.SoftmaxCrossEntropy(class_weight=[0, 0]), "not all of them 0"),
        ],
    )
    def test_settings(self, build, message):
        with pytest.raises(errors.ConfigError, match=message):
            build()

    @pytest.mark.parametrize(
        ("build", "error", "message"),
        [
            (lambda: fc.SoftmaxCrossEntropy(class_weight={0: 1, 1: 5}), errors.InputTypeError, "each class.*dict"),
            (lambda: fc.BinaryCrossEntropy(class_weight="balanced"), errors.InputTypeError, r"\(w0, w1\).*'balanced'"),
            (lambda: fc.SoftmaxCrossEntropy(class_weight=["a"]), errors.InputTypeError, "class_weight of Softmax"),
            (lambda: fc.SoftmaxCrossEntropy(class_weight=[[1, 2]]), errors.ShapeError, r"each class.*\(1, 2\)"),
            (lambda: fc.SoftmaxCrossEntropy(class_weight=2.0), errors.ShapeError, r"each class.*\(\)"),
            (lambda: fc.BinaryCrossEntropy(class_weight=[1, 2, 3]), errors.ShapeError, r"\(w0, w1\).*\(3,\)"),
            (lambda: fc.BinaryCrossEntropy(class_weight=5), errors.ShapeError, r"\(w0, w1\)"),
            (lambda: fc.SoftmaxCrossEntropy(class_weight=[1, math.nan]), errors.DataError, "class_weight.*finite"),
            (lambda: fc.SoftmaxCrossEntropy(label_smoothing="a"), errors.InputTypeError, "label_smoothing.*number"),
            (lambda: fc.SoftmaxCrossEntropy(smoothing=0.1), errors.InputTypeError, "did you mean 'label_smoothing'"),
            (lambda: fc.BinaryCrossEntropy(pos_weight=3), errors.InputTypeError, "did you mean 'class_weight'"),
        ],
    )
    def test_settings_of_cross_entropies(self, build, error, message):
        with pytest.raises(error, match=message):
            build()

    def test_class_weights_for_other_outputs_or_for_none_of_the_rows(self):
        z, weighted = np.zeros((3, 2)), fc.SoftmaxCrossEntropy(class_weight=[0, 1])
        with pytest.raises(errors.ShapeError, match=r"class_weight of SoftmaxCrossEntropy has 3 .* 2 outputs"):
            fc.SoftmaxCrossEntropy(class_weight=[1, 2, 3])(z, [0, 1, 0])
        with pytest.raises(errors.ShapeError, match=r"class_weight of BinaryCrossEntropy has 1 pair.* 2 outputs"):
            fc.BinaryCrossEntropy(class_weight=[[1, 2]])(z, np.zeros((3, 2)))
        with pytest.raises(errors.DataError, match="class_weight of SoftmaxCrossEntropy is zero"):
            weighted(z, [0, 0, 0])
        with pytest.raises(errors.DataError, match="class_weight of SoftmaxCrossEntropy is zero"):
            fc.mlp([2, 2], seed=0).gradients(z, [0, 0, 0], weighted)

    def test_weights(self):
        with pytest.raises(errors.ShapeError, match="sample_weight"):
            fc.HalfSquaredError()([[1.0]], [1.0], [1.0, 2.0])
        with pytest.raises(errors.DataError, match="zero"):
            fc.HalfSquaredError()([[1.0]], [1.0], [0.0])
        with pytest.raises(errors.DataError, match="-1"):
            fc.HalfSquaredError()([[1.0]], [1.0], [-1.0])

    def test_targets_that_are_no_numbers(self):
        with pytest.raises(errors.InputTypeError, match="numbers"):
            fc.HalfSquaredError()([[1.0]], ["a"])
        with pytest.raises(errors.InputTypeError, match="numbers"):
            fc.HalfSquaredError()([["a"]], [1.0])


def test_a_loss_that_derives_from_squared_error_gives_its_own_terms():
    class Tripled(fc.HalfSquaredError):
        name = "tripled"

        def terms(self, z, t, c, dz):
            super().terms(z, t, c, dz)
            c.e *= 3
            dz *= 3

    z, t, w = [[1.0, 2.0], [3.0, 5.0]], [[0.0, 0.0], [1.0, 1.0]], [1.0, 2.0]
    value, dz = fc.HalfSquaredError()(z, t, w)
    tripled, dz3 = Tripled()(z, t, w)
    assert tripled == pytest.approx(3 * value)
    np.testing.assert_allclose(dz3, 3 * dz)


class TestClassWeights:
    """The weight of a row's class multiplies the weight of the row, also in the sum that the mean is divided by."""

    OF_CLASS, OF_BIT = [0.5, 2.0, 3.0], [[1.0, 3.0], [0.5, 1.0], [2.0, 0.25]]
    ROW_WEIGHTS = (None, [1, 2, 0, 0.5, 3, 1e-3])

    @pytest.mark.parametrize("w", ROW_WEIGHTS, ids=["even", "weighted"])
    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    @pytest.mark.parametrize("form", ["classes", "one-hot", "probabilities", "bits", "shares", "one pair"])
    @pytest.mark.parametrize("engine", ["loss alone", "numpy", "native"])
    def test_are_weights_of_rows(self, form, smoothing, w, engine):
        if engine == "native" and not fc.engines()["native"].available:
            pytest.skip(fc.engines()["native"].about)
        if form in ("bits", "shares", "one pair"):
            t = SHARES if form == "shares" else SHARES.round()
            of_class = [0.5, 3.0] if form == "one pair" else self.OF_BIT
            pairs = [of_class] * OUTPUTS if form == "one pair" else of_class
            factors = [math.prod(a * (1 - b) + c * b for (a, c), b in zip(pairs, row, strict=True)) for row in t]
            cls = fc.BinaryCrossEntropy
        else:
            t = {"classes": CLASSES, "one-hot": np.eye(3)[CLASSES], "probabilities": P}[form]
            of_class, cls = self.OF_CLASS, fc.SoftmaxCrossEntropy
            factors = [of_class[row] if form == "classes" else np.dot(row, of_class) for row in t]
        weighted = cls(label_smoothing=smoothing, class_weight=of_class)
        plain, of_row = cls(label_smoothing=smoothing), np.array(factors) * (1 if w is None else np.array(w))
        if engine == "loss alone":
            (value, dz), (wanted, wanted_dz) = weighted(Z, t, w), plain(Z, t, of_row)
        else:
            net = fc.Network([fc.Activation("identity", n_in=OUTPUTS)], dtype=np.float64)
            value, _, _, dz = net.gradients(Z, t, weighted, sample_weight=w, engine=engine)
            wanted, _, _, wanted_dz = net.gradients(Z, t, plain, sample_weight=of_row, engine=engine)
        assert value == pytest.approx(wanted, rel=1e-14)
        np.testing.assert_allclose(dz, wanted_dz, rtol=1e-13, atol=1e-16)
        assert fc.check_gradients(weighted, Z, t, sample_weight=w).ok

    @pytest.mark.parametrize("of_class", [[1, 2, 4], (1.0, 2.0, 4.0), np.array([1, 2, 4], np.float32)])
    def test_are_plain_numbers_in_the_end(self, of_class):
        loss = fc.SoftmaxCrossEntropy(class_weight=of_class)
        assert loss == fc.SoftmaxCrossEntropy(class_weight=(1, 2, 4))
        assert repr(loss) == "SoftmaxCrossEntropy(class_weight=(1.0, 2.0, 4.0))"
        assert eval(repr(loss), vars(fc)) == loss
        pairs = fc.BinaryCrossEntropy(class_weight=np.ones((2, 2)), label_smoothing=np.float32(0.5))
        assert repr(pairs) == "BinaryCrossEntropy(label_smoothing=0.5, class_weight=((1.0, 1.0), (1.0, 1.0)))"
        assert pickle.loads(pickle.dumps(pairs)) == copy.deepcopy(pairs) == pairs


class TestInTraining:
    """Smoothing is for training alone; class weights are part of the loss, and metrics do not know them."""

    LOSS = fc.SoftmaxCrossEntropy(label_smoothing=0.2, class_weight=[0.5, 2.0, 3.0])
    WEIGHTED = fc.SoftmaxCrossEntropy(class_weight=[0.5, 2.0, 3.0])
    rng = np.random.default_rng(0)
    X, T, W = rng.normal(size=(40, 4)), rng.integers(0, 3, 40), rng.random(40)

    def test_evaluate_is_without_smoothing_and_metrics_are_without_class_weights(self):
        net = fc.mlp([4, 3], dtype="float64", seed=0)
        judged = net.evaluate(self.X, self.T, self.LOSS, ["accuracy"], sample_weight=self.W)
        assert judged.loss == pytest.approx(self.WEIGHTED(net.predict(self.X), self.T, self.W)[0], rel=1e-12)
        right = net.predict(self.X).argmax(axis=1) == self.T
        assert judged.metrics["accuracy"] == pytest.approx(np.average(right, weights=self.W), rel=1e-12)

    @pytest.mark.parametrize("engine", ["numpy", "native"])
    def test_fit_trains_with_both_and_validates_without_smoothing(self, engine):
        if engine == "native" and not fc.engines()["native"].available:
            pytest.skip(fc.engines()["native"].about)
        net, x, t = fc.mlp([4, 3], dtype="float64", seed=0), self.X, self.T
        start = net.copy()
        how = {"epochs": 1, "batch_size": 40, "progress": False, "engine": engine, "sample_weight": self.W}
        history = fc.fit(net, x, t, self.LOSS, fc.SGD(0.1), validation=(x, t), metrics=["accuracy"], **how)
        assert history.loss[0] == pytest.approx(self.LOSS(start.predict(x), t, self.W)[0], rel=1e-12)
        slope = start.gradients(x, t, self.LOSS, sample_weight=self.W).theta
        np.testing.assert_allclose(net.theta, start.theta - 0.1 * slope, rtol=1e-9, atol=1e-12)
        z = net.predict(x)
        assert history.validation_loss[0] == pytest.approx(self.WEIGHTED(z, t)[0], rel=1e-12)
        assert history.metrics["accuracy"][0] == pytest.approx(np.mean(z.argmax(axis=1) == t))

    def test_a_batch_of_classes_without_weight_makes_no_step(self):
        t, loss = np.repeat([0, 1], 20), fc.SoftmaxCrossEntropy(class_weight=[0, 1, 1])
        net, only = fc.mlp([4, 3], seed=0), fc.mlp([4, 3], seed=0)
        how = {"epochs": 2, "batch_size": 10, "shuffle": False, "progress": False}
        fc.fit(net, self.X, t, loss, fc.SGD(0.1), **how)
        fc.fit(only, self.X[20:], t[20:], "softmax_cross_entropy", fc.SGD(0.1), **how)
        np.testing.assert_allclose(net.theta, only.theta, rtol=1e-5, atol=1e-7)

    def test_lbfgs_minimizes_it(self):
        net, how = fc.mlp([4, 3], dtype="float64", seed=0), {"epochs": 200, "l2": 0.1, "progress": False}
        fc.fit(net, self.X, self.T, self.LOSS, fc.LBFGS(), **how)
        assert np.abs(net.gradients(self.X, self.T, self.LOSS, l2=0.1).theta).max() < 1e-4

    @pytest.mark.parametrize("engine", ["numpy", "native"])
    def test_a_run_is_resumed_to_the_bit_and_only_with_the_same_settings(self, engine, tmp_path):
        if engine == "native" and not fc.engines()["native"].available:
            pytest.skip(fc.engines()["native"].about)

        def train(epochs, loss=self.LOSS, path=None):
            net = fc.mlp([4, 5, 3], seed=0)
            how = {"seed": 1, "batch_size": 8, "progress": False, "engine": engine, "checkpoint": path}
            history = fc.fit(net, self.X, self.T, loss, fc.Adam(0.01), epochs=epochs, **how)
            return net, history

        path = tmp_path / "run.safetensors"
        straight, history = train(4)
        train(2, path=path)
        resumed, after = train(4, path=path)
        assert np.array_equal(straight.theta, resumed.theta)
        assert history.loss == after.loss
        other = fc.SoftmaxCrossEntropy(label_smoothing=0.2, class_weight=[0.5, 2.0, 3.5])
        for loss in (other, self.WEIGHTED):
            with pytest.raises(errors.CheckpointError, match="was begun with loss="):
                train(5, loss, path)

    def test_a_file_keeps_it(self, tmp_path):
        net = fc.mlp([4, 3], seed=0)
        pairs = fc.BinaryCrossEntropy(label_smoothing=0.1, class_weight=[[1, 2], [3, 4], [5, 6]])
        for loss in (self.LOSS, pairs):
            net.loss = loss
            net.save(tmp_path / "net.safetensors")
            assert fc.load(tmp_path / "net.safetensors").loss == loss

    def test_a_loss_of_a_pickle_of_before_equals_a_new_one(self):
        for cls in (fc.SoftmaxCrossEntropy, fc.BinaryCrossEntropy):
            before = object.__new__(cls)  # without the attributes of what the class has now
            assert before == cls()
            assert cls() == before
            assert before != cls(label_smoothing=0.1)
            assert repr(before) == repr(cls()) == f"{cls.__name__}()"
            assert before([[0.0, 0.0]], [[1, 0]])[0] == cls()([[0.0, 0.0]], [[1, 0]])[0]

    def test_a_subclass_of_ones_own_has_its_settings_and_these(self):
        @dataclass(frozen=True)
        class Focused(fc.BinaryCrossEntropy):
            power: float
            name = "focused"

        loss = Focused(2.0, label_smoothing=0.1, class_weight=[1, 3])
        assert loss.for_evaluation() == Focused(2.0, class_weight=[1, 3])
        z, t = [[0.5], [1.0]], [0, 1]
        assert loss(z, t)[0] == fc.BinaryCrossEntropy(label_smoothing=0.1, class_weight=[1, 3])(z, t)[0]

    def test_a_diagnosis_compares_with_the_loss_that_can_become_0(self):
        x = np.random.default_rng(0).normal(size=(200, 2))
        t = (x[:, 0] > 0).astype(int)
        for trained in (False, True):
            net, smoothed = fc.mlp([2, 8, 2], seed=0), fc.SoftmaxCrossEntropy(label_smoothing=0.3)
            if trained:
                fc.fit(net, x, t, smoothed, fc.Adam(0.05), epochs=20, progress=False)
            found, wanted = (fc.diagnose(net, x, 1 - t, loss) for loss in (smoothed, fc.SoftmaxCrossEntropy()))
            assert found.findings == wanted.findings
            assert found.about.partition("; ")[2] == wanted.about.partition("; ")[2] != ""
