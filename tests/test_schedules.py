"""Learning-rate schedules: their values, and that they change the rate of every step exactly so."""

import math

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

AT = [0, 0.25, 0.999, 1, 1.5, 2, 3.7, 10, 1e6]


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (fc.StepDecay(0.5), lambda e: 0.5 ** int(e)),
        (fc.StepDecay(0.1, every=3), lambda e: 0.1 ** int(e / 3)),
        (fc.ExponentialDecay(0.9), lambda e: 0.9**e),
        (fc.LinearDecay(4), lambda e: 1 - min(e, 4) / 4),
        (fc.LinearDecay(4, end=0.2), lambda e: 1 - 0.8 * min(e, 4) / 4),
        (fc.CosineDecay(4), lambda e: (1 + math.cos(math.pi * min(e, 4) / 4)) / 2),
        (fc.CosineDecay(4, end=0.1), lambda e: 0.1 + 0.9 * (1 + math.cos(math.pi * min(e, 4) / 4)) / 2),
        (fc.Warmup(2), lambda e: min(e / 2, 1)),
        (fc.Warmup(2, then=fc.StepDecay(0.5)), lambda e: e / 2 if e < 2 else 0.5 ** int(e - 2)),
        (fc.Warmup(1, then=lambda e: 7 + e), lambda e: e if e < 1 else 6 + e),
    ],
)
def test_values(schedule, formula):
    for epoch in AT:
        assert schedule(epoch) == pytest.approx(formula(epoch), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    "schedule",
    [
        fc.StepDecay(0.5),
        fc.ExponentialDecay(0.5),
        fc.LinearDecay(3),
        fc.CosineDecay(3, end=0.1),
        fc.Warmup(1.5, then=fc.StepDecay(0.1)),
        lambda epoch: 0.3 if epoch < 1 else 2.0,
    ],
)
def test_changes_the_rate_of_every_step(schedule, rng):
    """Three steps an epoch, the last of them short: step i of epoch e has the rate at e + i / 3."""
    net = fc.Network([fc.Dense(2, 1)], dtype=np.float64, seed=0)
    x, t = rng.normal(size=(8, 2)), rng.normal(size=8)
    twin = net.copy()
    fc.fit(net, x, t, "half_squared_error", fc.SGD(0.1), 3, 3, schedule=schedule, shuffle=False, progress=False)
    for epoch in range(3):
        for i, rows in enumerate((slice(0, 3), slice(3, 6), slice(6, 8))):
            g = twin.gradients(x[rows], t[rows], "half_squared_error").theta
            twin.theta = twin.theta - 0.1 * schedule(epoch + i / 3) * g
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-13)


def test_zero_rate_does_not_move(rng):
    net = fc.mlp([2, 3, 1], seed=0)
    before = net.theta.copy()
    fc.fit(
        net, rng.normal(size=(8, 2)), np.arange(8), "half_squared_error", epochs=2, schedule=lambda e: 0, progress=False
    )
    assert np.array_equal(net.theta, before)


@pytest.mark.parametrize("rule", [fc.Momentum(0.1), fc.AdamW(0.1, weight_decay=0.5), fc.RMSProp(0.1)], ids=repr)
def test_a_constant_schedule_is_another_rate(rule, rng):
    x, t = rng.normal(size=(8, 2)), rng.normal(size=8)
    nets = [fc.mlp([2, 3, 1], dtype=np.float64, seed=0) for _ in range(2)]
    fc.fit(nets[0], x, t, "half_squared_error", rule, 3, 4, schedule=lambda e: 0.5, progress=False)
    fc.fit(nets[1], x, t, "half_squared_error", type(rule)(**{**vars(rule), "lr": 0.05}), 3, 4, progress=False)
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-12)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: fc.StepDecay(0), errors.ConfigError, "factor must be more than 0"),
        (lambda: fc.StepDecay(0.5, every=0), errors.ConfigError, "every must be more than 0"),
        (lambda: fc.StepDecay("0.5"), errors.InputTypeError, "factor is a number; got '0.5'"),
        (lambda: fc.ExponentialDecay(-1), errors.ConfigError, "factor"),
        (lambda: fc.LinearDecay(0), errors.ConfigError, "epochs must be more than 0"),
        (lambda: fc.LinearDecay(5, end=-1), errors.ConfigError, "end must be 0 or more"),
        (lambda: fc.CosineDecay(math.nan), errors.ConfigError, "epochs"),
        (lambda: fc.CosineDecay(5, end=math.inf), errors.ConfigError, "end"),
        (lambda: fc.Warmup(-1), errors.ConfigError, "epochs"),
        (lambda: fc.Warmup(1, then=0.5), errors.InputTypeError, "then is a schedule"),
    ],
)
def test_settings_that_cannot_be(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize("value", [None, "slow", np.zeros(2)], ids=str)
def test_a_schedule_that_returns_no_number_is_an_error(value):
    with pytest.raises(errors.InputTypeError, match="what the schedule returns"):
        fc.fit(fc.mlp([1, 1], seed=0), [[1.0]], [1.0], "half_squared_error", schedule=lambda e: value, progress=False)
