"""What a divergence advises: by its cause, which is found with the weights that were still finite."""

import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

X = np.random.default_rng(0).normal(size=(20, 3))
T = X @ [[1.0], [2.0], [-1.0]]
OURS = [fc.Dense(3, 4, "tanh"), fc.Dense(4, 1)]


def diverging(layers=None, x=X, t=T, loss="half_squared_error", optimizer=None, net=None, **settings):
    net = net or fc.Network(layers or OURS, seed=0)
    before = net.theta.copy()
    with pytest.raises(errors.DivergenceError) as caught, np.errstate(all="ignore"):
        fc.fit(
            net, x, t, loss, optimizer or fc.SGD(1e-30), **{"epochs": 9, "batch_size": 6, "progress": False, **settings}
        )
    if caught.value.epoch == 1:
        assert np.array_equal(net.theta, before)
    assert caught.value.advice in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return caught.value


def layer(**members):
    base = {"name": "mine", "n_in": 4, "n_out": 4}
    return type("Mine", (fc.Layer,), {**base, **members})()


def forward(self, p, x, c, y, *, train):
    y[...] = 2 * x


def backward(self, p, x, c, y, dy, g, dx):
    dx[...] = 2 * dy


class TestCode:
    """Of a user's own: at any rate, and with any optimizer."""

    @pytest.mark.parametrize(
        ("members", "method", "wrote", "optimizer"),
        [
            (members, method, wrote, optimizer)
            for members, method, wrote in (
                ({"forward": lambda self, p, x, c, y, train: None, "backward": backward}, "forward", "y"),
                ({"forward": lambda self, p, x, c, y, train: y[:, :2].fill(1), "backward": backward}, "forward", "y"),
                ({"forward": forward, "backward": lambda self, p, x, c, y, dy, g, dx: None}, "backward", "g and dx"),
            )
            for optimizer in (fc.SGD(1e-30), fc.SGD(10.0), fc.Adam(), fc.LBFGS())
            if method == "forward" or not isinstance(optimizer, fc.LBFGS)  # it ends where its first loss is finite
        ],
    )
    def test_a_layer_that_writes_nothing(self, members, method, wrote, optimizer):
        if isinstance(optimizer, fc.LBFGS):
            pytest.importorskip("scipy.optimize", reason="the solver is SciPy's")
        error = diverging([fc.Dense(3, 4), layer(**members), fc.Dense(4, 1)], optimizer=optimizer)
        assert f"The learning rate is not the cause: {method} of Mine (mine_1) leaves NaN" in error.advice
        assert f"every entry of {wrote}" in error.advice
        assert "smaller" not in error.advice

    def test_a_layer_that_forgets_the_gradient_of_a_parameter(self):
        mine = layer(
            forward=forward,
            backward=backward,
            params=lambda self: {"s": fc.Param((4,))},
            initialize=lambda self, p, rng: p.s.fill(1),
        )
        assert "backward of Mine (mine_1)" in diverging([fc.Dense(3, 4), mine, fc.Dense(4, 1)]).advice

    def test_an_activation(self):
        class Root(fc.ActivationFunction):
            name = "root"

            def forward(self, z, c, y):
                y[...] = np.sqrt(z)

            def backward(self, z, c, y, dy):
                dy /= 2 * y

        assert "forward of Root (dense_1)" in diverging([fc.Dense(3, 4, Root()), fc.Dense(4, 1)]).advice
        pair = (np.log, lambda z: 1 / z)
        assert "forward of (log, <lambda>) (dense_1)" in diverging([fc.Dense(3, 4, pair), fc.Dense(4, 1)]).advice

    @pytest.mark.parametrize(
        ("terms", "wrote"),
        [
            (lambda self, z, t, c, dz: dz.fill(1), "c.e"),
            (lambda self, z, t, c, dz: c.e.fill(1), "dz"),
            (lambda self, z, t, c, dz: (c.e.fill(1), dz.fill(np.inf))[:0] or None, "dz"),
        ],
    )
    def test_a_loss(self, terms, wrote):
        error = diverging(loss=type("Mine", (fc.Loss,), {"name": "mine", "terms": terms})())
        assert "terms of Mine leaves NaN or infinity although its arguments are finite" in error.advice
        assert f"every entry of {wrote}" in error.advice

    def test_an_optimizer(self):
        def update(self, theta, g, s, c, *, lr, step, decays):
            theta -= lr * g / np.sqrt(s.v)

        rule = type("Mine", (fc.Optimizer,), {"name": "mine", "lr": 1e-3, "slots": ("v",), "update": update})()
        error = diverging(optimizer=rule)
        assert "The learning rate is not the cause: update of Mine makes NaN" in error.advice

    def test_a_loss_that_is_not_defined_everywhere_is_named_beside_the_rate(self):
        def terms(self, z, t, c, dz):
            c.e[...] = -np.log(z + 20)
            dz[...] = 5.0

        loss = type("Mine", (fc.Loss,), {"name": "mine", "terms": terms})()
        error = diverging(loss=loss, optimizer=fc.SGD(1.0))
        assert "Mine is not defined for all values" in error.advice


class TestNumbers:
    @pytest.mark.parametrize("engine", ["numpy", "auto"])
    @pytest.mark.parametrize("rate", [1e-30, 0.1])
    def test_inputs_out_of_range(self, rate, engine):
        x = X.copy()
        x[:, 1] *= 1e30
        net = fc.Network([fc.Dense(3, 4), fc.Dense(4, 1)], seed=0)
        error = diverging(x=x, net=net, optimizer=fc.SGD(rate), engine=engine, warn=False)
        assert "The learning rate is not the cause" in error.advice
        assert "x[:, 1] reaches" in error.advice
        assert "(x - x.mean(axis=0)) / x.std(axis=0)" in error.advice
        assert "smaller" not in error.advice

    @pytest.mark.parametrize("optimizer", [fc.SGD(1e-30), fc.LBFGS()], ids=repr)
    def test_targets_out_of_range(self, optimizer):
        pytest.importorskip("scipy.optimize", reason="the solver is SciPy's")
        error = diverging(t=T * 1e25, optimizer=optimizer, warn=False)
        assert "targets reach" in error.advice
        assert "smaller" not in error.advice

    def test_l_bfgs_is_not_told_of_a_rate(self):
        pytest.importorskip("scipy.optimize", reason="the solver is SciPy's")
        error = diverging(t=T * 1e25, optimizer=fc.LBFGS(), warn=False)
        assert "where the solver starts" in str(error)
        assert "at learning rate" not in str(error)
        assert np.isnan(error.learning_rate)

    def test_parameters_out_of_range(self):
        net = fc.Network([fc.Dense(3, 4), fc.Dense(4, 1)], seed=0)
        net.theta *= 1e15
        error = diverging(net=net)
        assert "the network's own parameters reach" in error.advice

    def test_numbers_that_overflow_on_their_way(self):
        layers = [fc.Dense(3, 4, "exp", init=5.0), fc.Dense(4, 4, "exp", init=5.0), fc.Dense(4, 1)]
        assert "numbers overflow in float32" in diverging(layers).advice

    @pytest.mark.parametrize("engine", ["numpy", "auto"])
    @pytest.mark.parametrize("rule", [fc.SGD, fc.Momentum])
    def test_the_rate(self, rule, engine):
        error = diverging([fc.Dense(3, 1)], optimizer=rule(50.0), epochs=500, engine=engine)
        assert error.advice == "Try a learning rate ten times smaller, or max_grad_norm=1.0."
        error = diverging([fc.Dense(3, 1)], optimizer=rule(1e30), epochs=500, engine=engine, max_grad_norm=1e10)
        assert error.advice == "Try a learning rate ten times smaller."

    def test_the_rate_beside_inputs_and_targets_far_from_1(self):
        x = X * [1, 1, 40]
        error = diverging([fc.Dense(3, 1)], x=x, optimizer=fc.SGD(0.1), epochs=500, warn=False)
        assert error.advice.startswith("Try inputs of standard deviation 1 (x[:, 2] has mean")
        assert "a learning rate ten times smaller than 0.1" in error.advice
        error = diverging([fc.Dense(3, 1)], t=T * 500, optimizer=fc.SGD(5.0), epochs=500, warn=False)
        assert error.advice.startswith("Try targets of standard deviation 1 (t[:, 0] has mean")

    def test_a_decay_that_is_too_strong_for_the_rate(self):
        error = diverging([fc.Dense(3, 1)], optimizer=fc.SGD(0.1), l2=50.0, epochs=500)
        assert "Weight decay multiplies the weights by -4 in a step" in error.advice

    def test_a_decay_that_is_too_strong_for_the_rate_in_the_smallest_batch(self):
        rows = len(X)
        error = diverging([fc.Dense(3, 1)], optimizer=fc.SGD(0.1), alpha=50.0, epochs=500, batch_size=rows - 1)
        assert "Weight decay multiplies the weights by -4 in a step: l2 plus alpha over" in error.advice

    def test_the_rate_after_epochs_that_went_well_and_weights_that_have_grown(self):
        error = diverging([fc.Dense(3, 1)], optimizer=fc.SGD(2.0), epochs=5000, batch_size=20)
        assert error.epoch > 2
        assert "a learning rate ten times smaller" in error.advice
