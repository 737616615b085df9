"""The optimizers against their formulas, step by step in float64; held to PyTorch in test_golden.py."""

from dataclasses import dataclass

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.training.identity import stable_repr

STEPS = 25
RULES = [name for name, cls in OPTIMIZERS.classes.items() if issubclass(cls, fc.Optimizer)]


class Formulas:
    """Each rule as a textbook has it: from (theta, g, memory, step) to the next theta."""

    @staticmethod
    def sgd(theta, g, s, t, lr=0.01):
        return theta - lr * g

    @staticmethod
    def momentum(theta, g, s, t, lr=0.01, momentum=0.9):
        s["v"] = momentum * s.get("v", 0) + g
        return theta - lr * s["v"]

    @staticmethod
    def nesterov(theta, g, s, t, lr=0.01, momentum=0.9):
        s["v"] = momentum * s.get("v", 0) + g
        return theta - lr * (g + momentum * s["v"])

    @staticmethod
    def rmsprop(theta, g, s, t, lr=0.001, rho=0.99, epsilon=1e-8):
        s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
        return theta - lr * g / (np.sqrt(s["v"]) + epsilon)

    @staticmethod
    def adam(theta, g, s, t, lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, epsilon_hat=False):
        s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
        s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
        if epsilon_hat:
            return theta - lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * s["m"] / (np.sqrt(s["v"]) + epsilon)
        m, v = s["m"] / (1 - beta1**t), s["v"] / (1 - beta2**t)
        return theta - lr * m / (np.sqrt(v) + epsilon)

    @staticmethod
    def adamw(theta, g, s, t, lr=0.001, weight_decay=0.01, mask=0, **others):
        return Formulas.adam(theta - lr * weight_decay * mask * theta, g, s, t, lr=lr, **others)


CASES = [
    ("sgd", {}),
    ("sgd", {"lr": 0.3}),
    ("momentum", {}),
    ("momentum", {"lr": 0.1, "momentum": 0.5}),
    ("momentum", {"lr": 0.1, "momentum": 0.0}),
    ("nesterov", {}),
    ("nesterov", {"lr": 0.1, "momentum": 0.7}),
    ("rmsprop", {}),
    ("rmsprop", {"lr": 0.02, "rho": 0.9, "epsilon": 1e-2}),
    ("adam", {}),
    ("adam", {"lr": 0.02, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}),
    ("adam", {"beta1": 0.0, "beta2": 0.0}),
    ("adam", {"epsilon_hat": True}),
    ("adam", {"lr": 0.02, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3, "epsilon_hat": True}),
    ("adamw", {}),
    ("adamw", {"lr": 0.05, "weight_decay": 0.3, "beta1": 0.8}),
    ("adamw", {"weight_decay": 0.0}),
    ("adamw", {"lr": 0.05, "weight_decay": 0.3, "epsilon": 1e-2, "epsilon_hat": True}),
]


def test_every_rule_is_tested():
    assert {name for name, _ in CASES} | {"muon"} == set(RULES)  # that one is tested in test_muon.py


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_against_the_formula(name, settings, rng):
    """Through fit, with gradients of the network itself: the whole way that a user's numbers go."""
    net = fc.Network([fc.Dense(3, 4, "tanh"), fc.LayerNorm(), fc.Dense(4, 2)], dtype=np.float64, seed=0)
    x, t = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    twin, memory = net.copy(), {}
    mask = np.concatenate([np.ones(12), np.zeros(4 + 8), np.ones(8), np.zeros(2)])  # weights decay
    if name == "adamw":
        settings = {**settings}
        formula = {"mask": mask}
    else:
        formula = {}
    training = fc.epochs(net, x, t, "half_squared_error", OPTIMIZERS.build(name, **settings))
    for step in range(1, STEPS + 1):
        next(training)
        g = twin.gradients(x, t, "half_squared_error").theta
        twin.theta = getattr(Formulas, name)(twin.theta.copy(), g, memory, step, **settings, **formula)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-11, atol=1e-13, err_msg=f"step {step}")


@pytest.mark.parametrize("name", sorted(set(RULES)))
def test_extreme_gradients_in_float32(name):
    """Gradients of 1e-20 and 1e15, and zero: nothing overflows, and zero stays where it is."""
    net = fc.Network([fc.Dense(3, 1, bias=False)], seed=0)
    net.theta = [1, 1, 1]
    x = [[0, 1e-20, 1e15]]
    rule = OPTIMIZERS.build(name, lr=1e-17, **({"rest": fc.Adam(1e-17)} if name == "muon" else {}))
    fc.fit(net, x, [1e9], fc.AbsoluteError(), rule, epochs=3, progress=False)
    assert np.isfinite(net.theta).all()
    assert net.theta[0] == pytest.approx(1, rel=1e-6)


def test_adam_is_not_moved_by_the_scale_of_the_gradient():
    """Its first step is lr, whatever the gradient's size; epsilon is outside the corrected root."""
    for scale in (1e-3, 1, 1e6):
        net = fc.Network([fc.Dense(1, 1, bias=False)], dtype=np.float64)
        net.theta = [0.0]
        fc.fit(net, [[scale]], [1e30], fc.AbsoluteError(), fc.Adam(0.1), epochs=1, progress=False)
        assert net.theta[0] == pytest.approx(0.1 * scale / (scale + 1e-8), rel=1e-12)


def test_adam_with_the_other_epsilon_is_scikit_learns(rng):
    """Beside the root that is not corrected yet, epsilon counts for more: a step is shorter at first."""
    theirs = pytest.importorskip("sklearn.neural_network._stochastic_optimizers").AdamOptimizer
    net = fc.Network([fc.Dense(3, 4, "tanh"), fc.Dense(4, 2)], dtype=np.float64, seed=0)
    x, t = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    parameters = [view.copy() for p in net.params for _, view in p]
    rule, twin = theirs(parameters, 0.02, 0.8, 0.99, 1e-3), net.copy()
    training = fc.epochs(
        net, x, t, "half_squared_error", fc.Adam(0.02, beta1=0.8, beta2=0.99, epsilon=1e-3, epsilon_hat=True)
    )
    for _ in range(STEPS):
        next(training)
        g = twin.gradients(x, t, "half_squared_error")
        rule.update_params(parameters, [view for p in g.params for _, view in p])
        twin.set_weights(parameters)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-11, atol=1e-13)
    first = [fc.Adam(0.1, epsilon=1e-2, epsilon_hat=hat) for hat in (False, True)]
    ends = []
    for rule in first:
        one = fc.Network([fc.Dense(1, 1, bias=False)], dtype=np.float64)
        one.theta = [0.0]
        fc.fit(one, [[1.0]], [1e30], fc.AbsoluteError(), rule, epochs=1, progress=False)
        ends.append(one.theta[0])
    np.testing.assert_allclose(ends, [0.1 / (1 + 1e-2), 0.1 / (1 + 1e-2 / np.sqrt(0.001))], rtol=1e-12)


def test_a_setting_that_came_later_changes_no_text_and_no_place_where_it_is_not_used():
    """The texts are in checkpoints, which would else belong to another run; and AdamW's fifth argument stays."""
    assert repr(fc.Adam()) == "Adam(lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08)"
    assert stable_repr(fc.Adam()) == "Adam(lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08)"
    assert fc.AdamW(1e-3, 0.9, 0.999, 1e-8, 0.25).weight_decay == 0.25
    with_hat = fc.AdamW(epsilon_hat=np.True_)
    assert eval(repr(with_hat), vars(fc)) == with_hat != fc.AdamW()
    assert "epsilon_hat=True" in stable_repr(with_hat)
    with pytest.raises(errors.InputTypeError, match="epsilon_hat is True or False; got 1e-07"):
        fc.Adam(epsilon_hat=1e-7)

    @dataclass(frozen=True)
    class Mine(fc.Adam):
        other: float = 0.5

    assert "epsilon_hat" not in stable_repr(Mine())
    assert "epsilon_hat=True" in stable_repr(Mine(epsilon_hat=True))


def test_a_run_does_not_go_on_with_the_other_epsilon(tmp_path):
    how = {"epochs": 1, "checkpoint": tmp_path / "run", "progress": False}
    for hat in (False, False, True):
        run = fc.mlp([1, 1], seed=0), [[1.0]], [1.0], "half_squared_error", fc.Adam(epsilon_hat=hat)
        if hat:
            with pytest.raises(errors.CheckpointError, match=r"was begun with optimizer=.*go on with .*epsilon_hat"):
                fc.fit(*run, **how)
        else:
            fc.fit(*run, **how)


def test_cs231n_rules(rng):
    """The expected numbers of the CS231n assignment, for the forms that it shares with these rules."""
    from types import SimpleNamespace

    w, dw = np.linspace(-0.4, 0.6, 20), np.linspace(-0.6, 0.4, 20)
    c = SimpleNamespace(xp=np, a=np.empty(20), **{f"s{i}": None for i in range(3)})
    theta, s = w.copy(), SimpleNamespace(v=np.linspace(0.6, 0.9, 20))
    fc.RMSProp(1e-2, rho=0.99).update(theta, dw, s, c, lr=1e-2, step=1, decays=False)
    np.testing.assert_allclose(theta[:5], [-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247], atol=1e-7)
    np.testing.assert_allclose(s.v[[0, -1]], [0.5976, 0.8926], rtol=1e-7)
    theta = w.copy()
    s = SimpleNamespace(m=np.linspace(0.6, 0.9, 20), v=np.linspace(0.7, 0.5, 20))
    fc.Adam(1e-2).update(theta, dw, s, c, lr=1e-2, step=6, decays=False)
    np.testing.assert_allclose(theta[:5], [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977], atol=1e-7)
    np.testing.assert_allclose([s.m[0], s.m[-1], s.v[0], s.v[-1]], [0.48, 0.85, 0.69966, 0.49966], rtol=1e-6)
    theta, s = w.copy(), SimpleNamespace(v=-np.linspace(0.6, 0.9, 20) / 1e-3)  # there lr is inside v, and v has a minus
    fc.Momentum(1e-3).update(theta, dw, s, c, lr=1e-3, step=1, decays=False)
    np.testing.assert_allclose(theta[:4], [0.1406, 0.20738947, 0.27417895, 0.34096842], atol=1e-8)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: fc.SGD(0), "lr must be more than 0"),
        (lambda: fc.Adam(-1e-3), "lr must be more than 0, and finite; got -0.001"),
        (lambda: fc.Adam(np.nan), "finite; got nan"),
        (lambda: fc.Adam(np.inf), "finite; got inf"),
        (lambda: fc.Momentum(momentum=1.01), "momentum must be 0 or more and 1 or less"),
        (lambda: fc.Nesterov(momentum=-0.1), "momentum"),
        (lambda: fc.RMSProp(rho=1.5), "rho"),
        (lambda: fc.RMSProp(epsilon=0), "epsilon must be more than 0"),
        (lambda: fc.Adam(beta1=1), "beta1"),
        (lambda: fc.Adam(beta2=-1), "beta2"),
        (lambda: fc.Adam(epsilon=0.0), "epsilon"),
        (lambda: fc.AdamW(weight_decay=-0.1), "weight_decay must be 0 or more"),
        (lambda: fc.LBFGS(history=0), "history must be 1 or more"),
        (lambda: fc.LBFGS(tolerance=-1), "tolerance"),
    ],
)
def test_settings_out_of_range(build, message):
    with pytest.raises(errors.ConfigError, match=message):
        build()


@pytest.mark.parametrize("lr", ["0.1", None, True, [0.1], 1j])
@pytest.mark.parametrize("rule", [fc.SGD, fc.Adam, fc.RMSProp])
def test_rates_that_are_no_numbers(rule, lr):
    with pytest.raises(errors.InputTypeError, match="lr is a number; got"):
        rule(lr)


def test_rules_are_frozen():
    with pytest.raises(AttributeError):
        fc.Adam().lr = 0.1
    assert fc.Adam(1e-3) == fc.Adam() != fc.Adam(2e-3)
