"""The units of targets that are numbers."""

import numpy as np
import pytest

from fullyconnected.tabular.units import Logarithm, Unit

W = np.ones(200)


def tail(zeros=0, unit=1.0):
    t = np.exp(np.random.default_rng(0).normal(size=(200, 1)))
    t[:zeros] = 0
    return unit * t


@pytest.mark.parametrize("zeros", [0, 60])
@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_what_is_learned_stands_for_the_targets(zeros, unit):
    t = tail(zeros, unit)
    common, scale = Unit.of(t, W), Logarithm.of(t, W)
    z = scale.standard(t, common)
    assert abs(z.mean()) < 1e-6
    assert z.std() == pytest.approx(1)
    np.testing.assert_allclose(common.values(scale.said(z, common)), t, rtol=1e-9, atol=1e-12 * unit)


def test_the_factor_has_the_least_squared_error():
    t = tail()
    common, scale = Unit.of(t, W), Logarithm.of(t, W)
    z = scale.standard(t, common) + np.random.default_rng(1).normal(size=t.shape)

    def error(each):
        return float(((common.values(each.said(z, common)) - t) ** 2).mean())

    best = scale.corrected(z, t, W)
    assert error(best) < error(scale)
    for factor in (0.99, 1.01):
        near = best._replace(factor=best.factor * factor)
        assert ((near.said(z, common) - common.standard(t)) ** 2).mean() >= (
            (best.said(z, common) - common.standard(t)) ** 2
        ).mean()


@pytest.mark.parametrize(
    "t",
    [
        np.linspace(0, 1, 200),  # no tail
        -tail()[:, 0],  # on the other side
        tail()[:, 0] - 0.1,  # partly negative
        np.ones(200),
        np.zeros(200),
        np.r_[np.full(199, 1.0), 1e-300],  # the tail of the logarithm is longer
    ],
    ids=["uniform", "negative", "some negative", "constant", "zero", "tiny"],
)
def test_targets_without_a_long_tail_have_no_logarithm(t):
    assert Logarithm.of(t[:, None], W) is None


def test_targets_below_those_that_are_learned_are_as_the_least():
    t = tail()
    common, scale = Unit.of(t, W), Logarithm.of(t, W)
    assert scale.standard(np.array([[-3.0]]), common) == pytest.approx(scale.standard(t, common).min())


def test_rows_count_by_their_weights():
    t = np.r_[np.linspace(1, 2, 199), 1000.0][:, None]
    assert Logarithm.of(t, W) is not None
    assert Logarithm.of(t, np.r_[np.ones(199), 1e-12]) is None
