"""The shares of several models, and the temperature of their probabilities."""

import numpy as np
import pytest

from fullyconnected.tabular.mixture import (
    EQUAL,
    RANGE,
    log_loss,
    shares_of_numbers,
    shares_of_probabilities,
    sharpened,
    temperature_of,
)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_shares_make_the_targets_more_probable(seed):
    rng = np.random.default_rng(seed)
    p, w = rng.uniform(0.05, 1, (3, 60)), rng.uniform(0.1, 3, 60)
    a = shares_of_probabilities(p, w)
    assert a.sum() == pytest.approx(1)
    assert (a >= 0).all()
    rows = w.sum() ** 2 / (w**2).sum()

    def less(a):  # how improbable the targets and the shares are together, as in so many rows of weight 1
        return -rows * np.average(np.log(a @ p), weights=w) - EQUAL / 3 * np.log(a).sum()

    for other in rng.dirichlet(np.ones(3), 400):
        assert less(other) >= less(a) - 1e-3
    np.testing.assert_allclose(shares_of_probabilities(p, 1e-9 * w), a)  # whatever the unit of the weights


def test_few_rows_change_equal_shares_little():
    p = np.array([[0.9], [0.2], [0.1]])
    shares = [shares_of_probabilities(p.repeat(n, axis=1), np.ones(n)) for n in (1, 30, 1000)]
    assert [a.argmax() for a in shares] == [0, 0, 0]
    assert shares[0].max() - 1 / 3 < 0.05
    assert 0.5 < shares[1].max() < 0.8
    assert shares[2].max() > 0.97


@pytest.mark.parametrize("seed", range(5))
def test_no_other_shares_have_a_smaller_squared_error(seed):
    rng = np.random.default_rng(seed)
    t, w = rng.normal(size=(50, 2)) * [1, 1000], rng.uniform(0.1, 3, 50)
    y = t + rng.normal(size=(3, 50, 2)) * [1, 1000] * rng.uniform(0.2, 2, (3, 1, 1))
    a = shares_of_numbers(y, t, w)

    def error(shares):
        return (w[:, None] * ((np.einsum("j,jro->ro", shares, y) - t) / [1, 1000]) ** 2).sum() / w.sum()

    assert a.sum() == pytest.approx(1)
    assert (a >= 0).all()
    for other in rng.dirichlet(np.ones(3), 400):
        assert error(other) >= error(a) * (1 - 0.05)


def test_one_model_and_models_that_are_alike():
    t, w = np.arange(4.0)[:, None], np.ones(4)
    assert shares_of_numbers(t[None] + 1, t, w).tolist() == [1.0]
    assert shares_of_probabilities(np.full((1, 4), 0.3), w).tolist() == [1.0]
    assert shares_of_numbers(np.stack([t, t]), t, w).sum() == pytest.approx(1)  # both are right
    assert shares_of_numbers(np.stack([t + 1, t + 1]), t, w).tolist() == [1.0, 0.0]  # the first alone will do
    np.testing.assert_allclose(shares_of_probabilities(np.full((2, 4), 0.3), w), [0.5, 0.5])


def test_targets_that_do_not_vary_and_impossible_ones():
    assert np.isfinite(shares_of_numbers(np.ones((2, 3, 1)), np.zeros((3, 1)), np.ones(3))).all()
    assert shares_of_probabilities(np.zeros((2, 3)), np.ones(3)).sum() == pytest.approx(1)


@pytest.mark.parametrize("true", [0.5, 1.0, 1.7])
def test_the_temperature_is_the_one_that_the_labels_were_drawn_with(true):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(20000, 3)) * 2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    codes = (rng.random((len(z), 1)) > np.cumsum(sharpened(p, true), axis=1)).sum(axis=1)
    assert temperature_of(p, codes, np.ones(len(z))) == pytest.approx(true, rel=0.05)


def test_a_temperature_keeps_the_order_and_stays_in_its_range():
    p, w = np.array([[0.7, 0.2, 0.1], [0.1, 0.0, 0.9]]), np.ones(2)
    assert sharpened(p, 1.0) is p
    for temperature in (0.3, 3.0):
        q = sharpened(p, temperature)
        assert q.sum(axis=1) == pytest.approx(1)
        assert (q.argmax(axis=1) == p.argmax(axis=1)).all()
    assert temperature_of(p, np.array([0, 2]), w) == pytest.approx(1 / RANGE, rel=1e-3)  # all right: as sure as may be
    assert temperature_of(p, np.array([2, 1]), w) == pytest.approx(RANGE, rel=1e-3)
    weighted = temperature_of(p, np.array([0, 1]), np.array([1.0, 0.0]))
    assert weighted == pytest.approx(temperature_of(p[:1], np.array([0]), w[:1]))


def test_log_loss():
    assert log_loss(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1]), np.array([3.0, 0.0])) == pytest.approx(
        np.log(2)
    )
