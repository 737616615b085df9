"""Layers, activations, losses and optimizers of one's own: written from the docstrings, registered, trained."""

import re
import subprocess
import sys
import types
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.registries import REGISTRIES


def slopes(net, x, t, loss, h=1e-6):
    """Central differences of the loss for every parameter."""
    found = np.empty(net.n_params)
    for i in range(net.n_params):
        at = net.theta[i]
        net.theta[i] = at + h
        right = net.evaluate(x, t, loss, ()).loss
        net.theta[i] = at - h
        found[i] = (right - net.evaluate(x, t, loss, ()).loss) / (2 * h)
        net.theta[i] = at
    return found


@pytest.fixture
def data(rng):
    return rng.normal(size=(40, 3)), rng.normal(size=(40, 2))


# Each class below is what a reader of fc.Layer, fc.ActivationFunction, fc.Loss and fc.Optimizer would write.


@dataclass(frozen=True)
class Stretch(fc.Layer):
    """Multiply each column by a parameter of its own: y = x s."""

    n_in: int
    start_at: float = 1.0
    name: ClassVar[str] = "stretch"

    @property
    def n_out(self):
        return self.n_in

    def params(self):
        return {"s": fc.Param((self.n_in,), decays=True)}

    def cache(self, rows):
        return {"product": (rows, self.n_in), "ones": np.ones(rows)}

    def initialize(self, p, rng):
        p.s = self.start_at

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, p.s, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        c.xp.multiply(dy, x, out=c.product)
        c.ones.dot(c.product, out=g.s)
        if dx is not None:
            c.xp.multiply(dy, p.s, out=dx)


class Snake(fc.ActivationFunction):
    """y = z + sin(z)^2."""

    name = "snake"
    needs_input = True

    def cache(self, rows, n):
        return {"a": (rows, n)}

    def forward(self, z, c, y):
        c.xp.sin(z, out=y)
        y *= y
        y += z

    def backward(self, z, c, y, dy):
        c.xp.multiply(z, 2, out=c.a)
        c.xp.sin(c.a, out=c.a)
        c.a += 1
        dy *= c.a


@dataclass(frozen=True)
class Bent(fc.ActivationFunction):
    """With a setting: y = z / (1 + k |z|)."""

    k: float = 1.0
    name: ClassVar[str] = "bent"
    needs_input: ClassVar[bool] = True

    def forward(self, z, c, y):
        y[...] = z / (1 + self.k * abs(z))

    def backward(self, z, c, y, dy):
        dy /= (1 + self.k * abs(z)) ** 2


@dataclass(frozen=True)
class LogCosh(fc.Loss):
    """Sum over outputs of log(cosh(z - t)), weighted mean over rows."""

    name: ClassVar[str] = "log_cosh"

    def terms(self, z, t, c, dz):
        c.xp.subtract(z, t, out=dz)
        c.e[...] = np.log(np.cosh(dz))
        c.xp.tanh(dz, out=dz)


@dataclass(frozen=True)
class AdaGrad(fc.Optimizer):
    """v += g^2; theta -= lr g / sqrt(v + epsilon)."""

    lr: float = 0.1
    epsilon: float = 1e-10
    name: ClassVar[str] = "adagrad"
    slots: ClassVar[tuple[str, ...]] = ("v",)

    def update(self, theta, g, s, c, *, lr, step, decays):
        c.xp.multiply(g, g, out=c.a)
        s.v += c.a
        c.xp.add(s.v, self.epsilon, out=c.a)
        c.xp.sqrt(c.a, out=c.a)
        c.xp.divide(g, c.a, out=c.a)
        c.a *= lr
        theta -= c.a


class TestLayer:
    def test_gradients_and_training(self, data):
        fc.register(Stretch)
        net = fc.Network([fc.Dense(3, 4, "tanh"), Stretch(4), fc.Residual([Stretch(4, 0.5)]), fc.Dense(4, 2)], seed=0)
        assert net.params[1].s.tolist() == [1] * 4
        assert net.params[2][0].s.tolist() == [0.5] * 4
        net = fc.Network(net.layers, dtype=np.float64, seed=0)
        x, t = data
        g = net.gradients(x, t, "half_squared_error")
        np.testing.assert_allclose(g.theta, slopes(net, x, t, "half_squared_error"), atol=1e-8)
        history = fc.fit(net, x, t, "half_squared_error", epochs=20, progress=False)
        assert history.loss[-1] < history.loss[0]

    def test_first_in_the_network(self, data):
        fc.register(Stretch)
        net = fc.Network([Stretch(3), fc.Dense(3, 2)], dtype=np.float64, seed=0)
        x, t = data
        g = net.gradients(x, t, "half_squared_error")
        np.testing.assert_allclose(g.theta, slopes(net, x, t, "half_squared_error"), atol=1e-8)
        before = net.params[0].s.copy()
        fc.fit(net, x, t, "half_squared_error", fc.SGD(0.1), 1, 40, progress=False)
        np.testing.assert_allclose(net.params[0].s, before - 0.1 * g.params[0].s)

    def test_decays_as_it_says(self, data):
        fc.register(Stretch)
        net = fc.Network([Stretch(3, 2.0), fc.Dense(3, 2)], dtype=np.float64, seed=0)
        plain, with_l2 = (net.gradients(*data, "half_squared_error", l2=l2) for l2 in (0, 1))
        np.testing.assert_allclose(with_l2.params[0].s - plain.params[0].s, 2)

    def test_in_files_and_messages(self, tmp_path):
        fc.register(Stretch)
        net = fc.Network([Stretch(3, 0.5), fc.Dense(3, 2)], seed=0)
        net.save(tmp_path / "net")
        assert fc.load(tmp_path / "net").layers == net.layers
        assert re.search(r"stretch_1 +Stretch\(n_in=3", net.summary(200))
        with pytest.raises(errors.ShapeError, match=r"Stretch\(n_in=2.*takes 2 columns.*gives 3"):
            fc.Network([fc.Dense(2, 3), Stretch(2)])

    def test_unregistered_it_trains_but_no_file_could_be_read(self, data, tmp_path):
        net = fc.Network([Stretch(3), fc.Dense(3, 2)], seed=0)
        fc.fit(net, *data, "half_squared_error", epochs=1, progress=False)
        with pytest.raises(errors.ConfigError, match=r"Stretch is not registered.*fc.register it first"):
            net.save(tmp_path / "net")
        with pytest.raises(errors.ConfigError, match=r"fc\.register"):
            fc.fit(net, *data, "half_squared_error", epochs=1, progress=False, checkpoint=tmp_path / "run")

    def test_a_layer_that_forgets_its_backward_is_told(self, data):
        @dataclass(frozen=True)
        class Half(fc.Layer):
            n_in: int
            n_out: int
            name: ClassVar[str] = "half"

            def forward(self, p, x, c, y, *, train):
                c.xp.multiply(x, 0.5, out=y)

        net = fc.Network([Half(3, 3), fc.Dense(3, 2)], seed=0)
        assert net.predict(data[0]).shape == (40, 2)
        with pytest.raises(NotImplementedError):
            net.gradients(*data, "half_squared_error")


class TestActivation:
    @pytest.mark.parametrize("f", [Snake(), Bent(0.3), (np.sin, np.cos)], ids=["class", "with a setting", "pair"])
    @pytest.mark.parametrize("inside", [True, False])
    def test_gradients_and_training(self, f, inside, data):
        layers = [fc.Dense(3, 4, f)] if inside else [fc.Dense(3, 4), fc.Activation(f)]
        net = fc.Network([*layers, fc.Dense(4, 2)], dtype=np.float64, seed=0)
        x, t = data
        g = net.gradients(x, t, "half_squared_error")
        np.testing.assert_allclose(g.theta, slopes(net, x, t, "half_squared_error"), atol=1e-8)
        history = fc.fit(net, x, t, "half_squared_error", epochs=20, progress=False)
        assert history.loss[-1] < history.loss[0]

    def test_by_name_once_registered(self):
        with pytest.raises(errors.UnknownNameError):
            fc.Dense(2, 3, "snake")
        assert fc.register(Snake) is Snake
        fc.register(Bent)
        assert isinstance(fc.Dense(2, 3, "snake").activation, Snake)
        assert fc.mlp([2, 3, 1], activation="bent").layers[0].activation == Bent()
        assert np.isfinite(fc.mlp([2, 3, 1], activation="snake").predict([[1, 2]])).all()

    def test_in_files(self, tmp_path):
        fc.register(Bent)
        net = fc.mlp([2, 3, 1], activation=Bent(0.25), seed=0)
        net.save(tmp_path / "net")
        loaded = fc.load(tmp_path / "net")
        assert loaded.layers[0].activation == Bent(0.25)
        assert np.array_equal(loaded.predict([[1, 2]]), net.predict([[1, 2]]))

    def test_a_pair_cannot_be_saved_and_says_what_to_do(self, tmp_path):
        net = fc.mlp([2, 3, 1], activation=(np.sin, np.cos), seed=0)
        with pytest.raises(errors.ConfigError, match=r"pair of functions.*class.*fc.register"):
            net.save(tmp_path / "net")

    def test_as_a_decorator(self):
        @fc.register
        class Cube(fc.ActivationFunction):
            name = "cube"
            needs_input = True

            def forward(self, z, c, y):
                y[...] = z**3

            def backward(self, z, c, y, dy):
                dy *= 3 * z**2

        net = fc.Network([fc.Activation("cube", n_in=1)], dtype=np.float64)
        assert net.predict([[2]]).tolist() == [[8]]
        assert net.gradients([[2]], [0], fc.AbsoluteError()).x.tolist() == [[12]]
        assert Cube is ACTIVATIONS.classes["cube"]


class TestLoss:
    def test_gradients_weights_and_training(self, data):
        fc.register(LogCosh)
        net = fc.mlp([3, 4, 2], activation="tanh", dtype=np.float64, seed=0)
        x, t = data
        value = np.log(np.cosh(net.predict(x) - t)).sum() / 40
        g = net.gradients(x, t, "log_cosh")
        assert g.loss == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(g.theta, slopes(net, x, t, LogCosh()), atol=1e-8)
        w = np.arange(40.0)
        weighted = net.evaluate(x, t, "log_cosh", (), sample_weight=w).loss
        rows = np.log(np.cosh(net.predict(x) - t)).sum(axis=1)
        assert weighted == pytest.approx(w @ rows / w.sum(), rel=1e-12)
        history = fc.fit(net, x, t, LogCosh(), epochs=20, validation=(x, t), progress=False)
        assert history.loss[-1] < history.loss[0]
        assert LogCosh()([[0.0]], [0.0])[0] == 0

    def test_one_output_takes_flat_targets(self, rng):
        net = fc.mlp([3, 1], dtype=np.float64, seed=0)
        x = rng.normal(size=(9, 3))
        assert fc.fit(net, x, np.zeros(9), LogCosh(), epochs=2, progress=False).loss[1] > 0

    def test_with_targets_of_its_own(self):
        @dataclass(frozen=True)
        class Likelihood(fc.Loss):
            """A Gaussian's mean and log-deviation for one target: two outputs, one number."""

            name: ClassVar[str] = "gaussian"
            min_outputs: ClassVar[int] = 2

            def encode_targets(self, t, n_out):
                return t.reshape(len(t), 1).astype(float)

            def cache(self, rows, n_out):
                return {"e": (rows, 1)}

            def terms(self, z, t, c, dz):
                r = (t - z[:, :1]) * np.exp(-z[:, 1:])
                c.e[...] = r * r / 2 + z[:, 1:]
                dz[:, :1] = -r * np.exp(-z[:, 1:])
                dz[:, 1:] = 1 - r * r

        rng = np.random.default_rng(0)
        x = np.ones((400, 1))
        t = rng.normal(3.0, 0.5, 400)
        net = fc.Network([fc.Dense(1, 2)], dtype=np.float64, seed=0)
        fc.fit(net, x, t, Likelihood(), fc.Adam(0.05), 200, 100, progress=False)
        mean, log_deviation = net.predict([[1.0]])[0]
        assert mean == pytest.approx(t.mean(), abs=0.05)
        assert np.exp(log_deviation) == pytest.approx(t.std(), abs=0.05)
        with pytest.raises(errors.ConfigError, match="takes 2 outputs or more"):
            fc.fit(fc.mlp([1, 1]), x, t, Likelihood())

    def test_a_cache_without_e_is_told(self):
        class Broken(fc.Loss):
            name = "broken"

            def cache(self, rows, n_out):
                return {"r": (rows, n_out)}

        with pytest.raises(errors.ConfigError, match=r"c\.e.*\(rows, 1\) or \(rows, n_out\)"):
            fc.mlp([2, 1]).gradients([[1, 2]], [0], Broken())


class TestOptimizer:
    def test_by_the_formula(self, data):
        fc.register(AdaGrad)
        x, t = data
        net = fc.mlp([3, 4, 2], activation="tanh", dtype=np.float64, seed=0)
        twin, v = net.copy(), 0.0
        fc.fit(net, x, t, "half_squared_error", "adagrad", 5, 40, progress=False)
        for _ in range(5):
            g = twin.gradients(x, t, "half_squared_error").theta
            v = v + g * g
            twin.theta = twin.theta - 0.1 * g / np.sqrt(v + 1e-10)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-10)

    def test_on_a_network_of_many_parameters(self, rng):
        """The rule may be handed theta in pieces; what it remembers must go with them."""
        x, t = rng.normal(size=(20, 300)), rng.normal(size=(20, 200))
        net = fc.mlp([300, 250, 200], activation="tanh", dtype=np.float64, seed=0)
        twin, v = net.copy(), 0.0
        fc.fit(net, x, t, "half_squared_error", AdaGrad(0.01), 3, 20, progress=False, shuffle=False)
        for _ in range(3):
            g = twin.gradients(x, t, "half_squared_error").theta
            v = v + g * g
            twin.theta = twin.theta - 0.01 * g / np.sqrt(v + 1e-10)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-9, atol=1e-12)

    def test_schedule_and_checkpoint(self, data, tmp_path):
        fc.register(AdaGrad)
        nets = [fc.mlp([3, 4, 2], seed=0) for _ in range(2)]
        settings = {"schedule": fc.StepDecay(0.5), "progress": False, "batch_size": 16}
        fc.fit(nets[0], *data, "half_squared_error", AdaGrad(), 6, **settings)
        for epochs in (2, 6):
            net = fc.mlp([3, 4, 2], seed=0)
            fc.fit(net, *data, "half_squared_error", AdaGrad(), epochs, checkpoint=tmp_path / "run", **settings)
        assert np.array_equal(net.theta, nets[0].theta)

    def test_decay(self, data):
        @dataclass(frozen=True)
        class Shrink(fc.Optimizer):
            """Looks at which parameters decay, and does nothing else."""

            lr: float = 0.1
            name: ClassVar[str] = "shrink"
            decays: ClassVar[bool] = True

            def update(self, theta, g, s, c, *, lr, step, decays):
                if decays:
                    theta *= 1 - lr

        net = fc.Network([fc.Dense(3, 2), fc.LayerNorm()], dtype=np.float64, seed=0)
        net.params[0].b = 1
        W = net.params[0].W.copy()
        fc.fit(net, *data, "half_squared_error", Shrink(), 2, 40, progress=False)
        np.testing.assert_allclose(net.params[0].W, W * 0.81)
        assert net.params[0].b.tolist() == [1, 1]
        assert net.params[1].gamma.tolist() == [1, 1]


def trained(layers=None, x=None, loss="half_squared_error", optimizer="sgd", **settings):
    net = fc.Network(layers or [fc.Dense(3, 3), fc.Dense(3, 2)], dtype=np.float64, seed=0)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    fc.fit(net, x, t, loss, optimizer, epochs=2, batch_size=3, progress=False, **settings)
    return net


def of(base, name="mine", **members):
    return type("Mine", (base,), {"name": name, **members})


def cubic(**changed):
    """An activation that is right, but for what is changed."""

    def forward(self, z, c, y):
        y[...] = z**3

    def backward(self, z, c, y, dy):
        dy *= 3 * z**2

    return of(fc.ActivationFunction, **{"needs_input": True, "forward": forward, "backward": backward, **changed})()


def doubling(**changed):
    """A layer that is right, but for what is changed."""

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, 2, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            c.xp.multiply(dy, 2, out=dx)

    return of(fc.Layer, **{"n_in": 3, "n_out": 3, "forward": forward, "backward": backward, **changed})()


def writes(i):
    """A method that doubles one of its arguments in place, and leaves the others."""

    def method(self, *given, **settings):
        given[i][...] *= 2

    return method


class TestWhatMustNotBeWritten:
    """It is read by others, too: what the user's code gets is read-only, and the message says which and whose."""

    @pytest.mark.parametrize("inside", [True, False])
    @pytest.mark.parametrize("needs_input", [True, False])
    @pytest.mark.parametrize(
        "changed", [{"forward": writes(0)}, {"backward": writes(0)}, {"backward": writes(2)}], ids=["z", "z again", "y"]
    )
    def test_by_an_activation(self, changed, needs_input, inside):
        f = cubic(**changed, needs_input=needs_input)
        layers = [fc.Dense(3, 3, f)] if inside else [fc.Dense(3, 3, "tanh"), fc.Activation(f)]
        with pytest.raises(errors.ConfigError, match=r"Mine\..*ward writes to an array that it may only read \(z"):
            trained([*layers, fc.Dense(3, 2)])

    def test_by_a_pair_of_functions(self):
        def clipped(z):
            z[z < 0] = 0
            return z

        with pytest.raises(errors.ConfigError, match=r"activation \(clipped, <lambda>\).forward writes.*may only read"):
            trained([fc.Dense(3, 3, (clipped, lambda z: z > 0)), fc.Dense(3, 2)])
        with pytest.raises(errors.ConfigError, match="may only read"):
            fc.Network([fc.Dense(3, 3, (clipped, lambda z: z > 0))]).predict(np.ones((2, 3)))

    @pytest.mark.parametrize(
        ("changed", "method"),
        [({"forward": writes(1)}, "forward"), ({"backward": writes(1)}, "backward"), ({"backward": writes(3)}, "back")],
        ids=["x", "x again", "y"],
    )
    def test_by_a_layer(self, changed, method):
        with pytest.raises(errors.ConfigError, match=method + r".* of mine_1 \(Mine\) writes.*may only read \(x"):
            trained([fc.Dense(3, 3), doubling(**changed), fc.Dense(3, 2)])

    def test_parameters_by_a_layer(self):
        def forward(self, p, x, c, y, *, train):
            p.s[...] += 1
            c.xp.multiply(x, p.s, out=y)

        layer = doubling(
            forward=forward, params=lambda self: {"s": fc.Param((3,))}, initialize=lambda self, p, rng: None
        )
        with pytest.raises(errors.ConfigError, match="initialize leaves s of mine_1 without finite values"):
            trained([layer, fc.Dense(3, 2)])
        layer = doubling(
            forward=forward,
            params=lambda self: {"s": fc.Param((3,))},
            initialize=lambda self, p, rng: vars(p)["s"].fill(1),
        )
        with pytest.raises(errors.ConfigError, match=r"may only read \(x and the parameters\)"):
            fc.Network([layer]).predict(np.ones((2, 3)))

    def test_running_statistics_in_a_prediction(self):
        def forward(self, p, x, c, y, *, train):
            p.seen[...] += 1
            y[...] = x

        layer = doubling(
            forward=forward, state=lambda self: {"seen": (1,)}, initialize=lambda self, p, rng: p.seen.fill(0)
        )
        net = trained([fc.Dense(3, 3), layer, fc.Dense(3, 2)])
        assert net.state.tolist() == [6]  # three batches, twice
        with pytest.raises(errors.ConfigError, match="may only read"):
            net.predict(np.ones((2, 3)))

    @pytest.mark.parametrize("i", [0, 1])
    def test_outputs_and_targets_by_a_loss(self, i):
        loss = of(fc.Loss, terms=writes(i))()
        with pytest.raises(errors.ConfigError, match=r"the loss Mine writes.*\(z and t\)"):
            trained(loss=loss)
        z, t = np.ones((2, 2)), np.ones((2, 2))
        with pytest.raises(errors.ConfigError, match=r"the loss Mine writes.*may only read"):
            loss(z, t)
        with pytest.raises(errors.ConfigError, match=r"the loss Mine writes.*may only read"):
            fc.mlp([3, 2]).evaluate(np.ones((2, 3)), t, loss)
        assert (z == 1).all()
        assert (t == 1).all()

    def test_the_callers_targets_by_encode(self):
        def encode_targets(self, t, n_out):
            t -= 1
            return t

        t = np.ones((2, 2))
        with pytest.raises(
            errors.ConfigError, match="encode_targets writes to t, which is the caller's: copy it first"
        ):
            fc.mlp([3, 2]).evaluate(np.ones((2, 3)), t, of(fc.Loss, encode_targets=encode_targets)())
        assert (t == 1).all()

    def test_by_a_metric(self):
        def rude(z, t):
            z -= t
            return 0.0

        with pytest.raises(errors.ConfigError, match=r"the metric .*rude.* writes to an array that it may only read"):
            trained(metrics=[rude])

    def test_what_is_right_trains_as_the_librarys_own(self, data):
        """Guarded or not, the same bits."""
        own = of(fc.ActivationFunction, forward=lambda self, z, c, y: c.xp.tanh(z, out=y),
                 backward=lambda self, z, c, y, dy: fc.Dense(1, 1, "tanh").activation.backward(z, c, y, dy),
                 cache=lambda self, rows, n: fc.Dense(1, 1, "tanh").activation.cache(rows, n))()  # fmt: skip
        nets = [trained([fc.Dense(3, 4, f), fc.Dense(4, 2)], engine="numpy") for f in (own, "tanh")]
        assert nets[0].theta.tobytes() == nets[1].theta.tobytes()


class TestWhatMustBeWritten:
    """A name that is given to another array leaves the one that was to be written as it was."""

    def test_theta_by_a_rule(self):
        def rebinds(self, theta, g, s, c, *, lr, step, decays):
            theta = theta - lr * g

        def returns(self, theta, g, s, c, *, lr, step, decays):
            return theta - lr * g

        before = trained(optimizer=fc.SGD(1e-30)).theta
        for update, message in (
            (rebinds, r"Mine.update does not change theta.*theta -= "),
            (returns, r"Mine.update returns ndarray, which is not used: write to theta and s instead"),
        ):
            rule = of(fc.Optimizer, lr=0.1, update=update)()
            net = fc.Network([fc.Dense(3, 2)])
            before = net.theta.copy()
            with pytest.raises(errors.ConfigError, match=message):
                fc.fit(net, np.ones((4, 3)), np.ones((4, 2)), "half_squared_error", rule, epochs=1, progress=False)
            assert np.array_equal(net.theta, before)

    def test_a_rule_that_gathers_gradients_or_has_a_tiny_rate_is_none_of_those(self):
        def gathers(self, theta, g, s, c, *, lr, step, decays):
            s.v += g
            if step % 7 == 0:
                theta -= lr * s.v
                s.v[...] = 0

        trained(optimizer=of(fc.Optimizer, lr=0.1, slots=("v",), update=gathers)())

        def descends(self, theta, g, s, c, *, lr, step, decays):
            theta -= lr * g

        trained(optimizer=of(fc.Optimizer, lr=1e-300, update=descends)())
        trained(optimizer=of(fc.Optimizer, lr=0.1, update=descends)(), schedule=lambda epoch: 0.0)

        def does_nothing(self, theta, g, s, c, *, lr, step, decays):
            pass

        trained(optimizer=of(fc.Optimizer, lr=0.1, update=does_nothing)())

        def turned_round_first(self, theta, g, s, c, *, lr, step, decays):
            theta = theta[::-1]
            theta -= lr * g[::-1]

        trained(optimizer=of(fc.Optimizer, lr=0.1, update=turned_round_first)())

    def test_slots_that_are_assigned_are_copied_into(self, tmp_path):
        """Else they would be no part of the run's state, and a run that is gone on with another run."""

        def update(self, theta, g, s, c, *, lr, step, decays):
            s.v = 0.9 * s.v + g
            theta -= lr * s.v

        rule = of(fc.Optimizer, lr=0.1, slots=("v",), update=update)()
        whole = trained(optimizer=rule)
        theirs = trained(optimizer=fc.Momentum(0.1), engine="numpy")
        np.testing.assert_allclose(whole.theta, theirs.theta, rtol=1e-12)
        rng = np.random.default_rng(0)
        x, t, path = rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), tmp_path / "run"
        for epochs in (1, 2):
            net = fc.Network(whole.layers, dtype=np.float64, seed=0)
            fc.fit(net, x, t, "half_squared_error", rule, epochs, 3, checkpoint=path, progress=False)
        assert net.theta.tobytes() == whole.theta.tobytes()

    def test_dy_by_an_activation(self):
        def backward(self, z, c, y, dy):
            dy = dy * 3 * z**2

        with pytest.raises(errors.ConfigError, match=r"Mine.backward does not change dy.*dy \*= "):
            trained([fc.Dense(3, 3, cubic(backward=backward)), fc.Dense(3, 2)])

        def straight_through(self, z, c, y, dy):
            pass

        trained([fc.Dense(3, 3, cubic(backward=straight_through)), fc.Dense(3, 2)])  # meant

        def in_place(self, z, c, y, dy):
            dy *= np.ones_like(z)

        trained([fc.Dense(3, 3, cubic(backward=in_place)), fc.Dense(3, 2)])

    @pytest.mark.parametrize(
        ("layers", "message"),
        [
            ([fc.Dense(3, 3, cubic(forward=lambda self, z, c, y: z**3))], "Mine.forward returns ndarray.*write to y"),
            ([fc.Dense(3, 3, cubic(backward=lambda self, z, c, y, dy: dy * 2))], "Mine.backward returns.*write to dy"),
            ([doubling(forward=lambda self, p, x, c, y, train: 2 * x)], r"forward of mine_1 \(Mine\) returns.*to y"),
        ],
    )
    def test_what_is_returned_is_not_taken(self, layers, message):
        with pytest.raises(errors.ConfigError, match=message):
            trained([*layers, fc.Dense(3, 2)])

    def test_y_by_a_layer_in_a_prediction(self):
        def rebinds(self, p, x, c, y, *, train):
            y = 2 * x  # noqa: F841

        net = fc.Network([doubling(forward=rebinds)], seed=0)
        with pytest.raises(errors.ConfigError, match=r"forward of mine_1 \(Mine\) writes nothing to y"):
            net.predict(np.ones((2, 3)))


class TestChecksOfClasses:
    """When a class is registered or first used, and not by an AttributeError from within."""

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"name": None}, "Mine needs a class attribute name"),
            ({"n_out": None, "params": lambda self: {"W": (3, 3)}, "n_in": 3}, "n_out"),
            (
                {"params": lambda self: {"W": (3, 3)}},
                r"returns \(3, 3\) for W; a Param is wanted: fc.Param\(\(3, 3\), dec",
            ),
            ({"params": lambda self: {"W": 3}}, "returns 3 for W; a Param is wanted"),
            ({"params": lambda self: {"W": fc.Param(3)}}, r"shape of W is 3; a tuple.*such as \(3,\)"),
            ({"params": lambda self: {"W": fc.Param((3, 0))}}, "of 1 or more is wanted"),
            ({"params": lambda self: {"W": fc.Param((3, 2.0))}}, "a tuple of whole numbers"),
            ({"params": lambda self: [("W", fc.Param((3,)))]}, r"params\(\) returns a dict of shapes by name"),
            ({"state": lambda self: {"m": 3}}, r"state\(\): the shape of m is 3"),
            ({"state": lambda self: {"m": fc.Param((3,))}}, r"state\(\): the shape of m is"),
            ({"cache": lambda self, rows: {"s": rows}}, r"cache\(\): the shape of s is 1; a tuple .* of 0 or more"),
            (
                {"params": lambda self: {"m": fc.Param((3,))}, "state": lambda self: {"m": (3,)}},
                "a parameter and a running statistic that are both called 'm'",
            ),
            ({"n_in": "3"}, "Mine needs n_in, a whole number of 1 or more, or None; it is '3'"),
            (
                {"forward": lambda self, x: x},
                r"Mine.forward takes \(self, x\), but is called as forward\(p, x, c, y, train=\)",
            ),
            ({"backward": lambda self, p, x, y, dy: dy}, r"is called as backward\(p, x, c, y, dy, g, dx\)"),
            ({"params": lambda self, n: {}}, r"Mine.params takes \(self, n\), but is called as params\(\)"),
            ({"params": lambda self: {"W": fc.Param(())}}, r"shape of W is \(\); .* or \(1,\) for a single number"),
            ({"cache": lambda self, rows: None}, r"cache\(\) returns a dict of shapes by name; got None"),
            *(
                (
                    {"cache": lambda self, rows, name=name: {name: (rows, 3)}},
                    f"'{name}' is a name that the library sets",
                )
                for name in ("xp", "uniforms", "skip", "d_skip")
            ),
            ({"least_rows": "x"}, "least_rows of Mine is a whole number; got 'x'"),
            ({"least_rows": 0}, "least_rows of Mine must be 1 or more"),
        ],
    )
    def test_a_layer(self, changed, message):
        with pytest.raises((errors.ConfigError, errors.InputTypeError), match=message):
            trained([doubling(**changed), fc.Dense(3, 2)])
        with pytest.raises((errors.ConfigError, errors.InputTypeError), match=message):
            fc.Network([fc.Dense(3, 3), fc.Residual([doubling(**changed)])])

    @pytest.mark.parametrize(
        ("base", "method"),
        [
            (base, name)
            for registry in REGISTRIES
            for base in registry.bases
            for name, found in vars(base).items()
            if isinstance(found, types.FunctionType) and (not name.startswith("_") or name == "__call__")
        ],
    )
    def test_every_method_takes_what_that_of_its_base_takes(self, base, method):
        def too_much(self, a, b, c, d, e, f, g, h, i, j):
            """No method of a base class takes so many."""

        named = {"greater_is_better": True, "suffixes": (".mine",), method: too_much}
        with pytest.raises(errors.ConfigError, match=rf"Mine.{method} takes \(self, a, .*but is called as {method}\("):
            fc.register(of(base, **named))

    @pytest.mark.parametrize("base", [base for registry in REGISTRIES for base in registry.bases])
    def test_a_base_class_has_no_name_to_be_registered_under(self, base):
        with pytest.raises(
            errors.ConfigError, match=rf"{base.__name__}( needs a class attribute name|\.suffixes is a tuple)"
        ):
            fc.register(base)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"link": property(lambda self: "logit")}, "Mine.link is 'logit'; one of fc.links is wanted"),
            ({"link": property(lambda self: 3)}, "Mine.link is 3; one of fc.links is wanted"),
            ({"min_outputs": "x"}, "min_outputs of Mine is a whole number; got 'x'"),
            ({"min_outputs": property(lambda self: "2")}, "min_outputs of Mine is a whole number; got '2'"),
            ({"cache": lambda self, rows, n_out: {"e": (rows, 5)}}, r"it must be \(rows, 1\) or \(rows, n_out\)"),
            ({"cache": lambda self, rows, n_out: None}, r"cache\(\) returns a dict of shapes by name; got None"),
            *(
                (
                    {"cache": lambda self, rows, n_out, name=name: {"e": (rows, 1), name: (rows, 1)}},
                    f"'{name}' is a name",
                )
                for name in ("xp", "w", "w_e")
            ),
            ({"value_and_gradient": lambda self, z, t, c, dz: None}, "returns None; its value_and_gradient has to ret"),
            ({"value_and_gradient": lambda self, z, t, c, dz: "x"}, "returns 'x'; its value_and_gradient has to retur"),
        ],
    )
    def test_a_loss(self, changed, message):
        loss = of(fc.Loss, **{"terms": lambda self, z, t, c, dz: None, **changed})()
        for use in (lambda: trained(loss=loss), lambda: loss(np.ones((2, 2)), np.ones((2, 2)))):
            with pytest.raises((errors.ConfigError, errors.InputTypeError), match=message):
                use()

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"scratch": ("xp",)}, r"Mine.scratch\(\): 'xp' is a name that the library sets itself"),
            ({"slots": (1,)}, r"Mine.slots\(\): 1 is not a name"),
            (
                {"update_tensor": fc.Optimizer.update_tensor, "scratch_shapes": lambda self, param, name: {"xp": (1,)}},
                "scratch_shapes is used only with update_tensor",
            ),
            (
                {
                    "update_tensor": lambda self, theta, g, s, c, *, lr, step, param, name: None,
                    "scratch_shapes": lambda self, param, name: {"xp": (1,)},
                },
                r"Mine.scratch_shapes\(\): 'xp' is a name that the library sets itself",
            ),
        ],
    )
    def test_the_memory_of_an_optimizer(self, changed, message):
        with pytest.raises(errors.ConfigError, match=message):
            trained(optimizer=of(fc.Optimizer, lr=0.1, **changed)())

    @pytest.mark.parametrize("taken", ["xp", "uniforms", "skip", "d_skip"])
    def test_an_activation_has_no_buffer_of_a_name_that_is_taken(self, taken):
        with pytest.raises(errors.ConfigError, match=f"'{taken}' is a name that the library sets itself"):
            fc.Dense(3, 3, cubic(cache=lambda self, rows, n: {taken: (rows, n)}))

    @pytest.mark.parametrize("taken", ["z", "ones"])
    def test_an_activation_and_its_layer_do_not_share_a_buffer(self, taken):
        f = of(fc.ActivationFunction, needs_input=True, cache=lambda self, rows, n: {taken: (rows, n)})()
        with pytest.raises(errors.ConfigError, match=rf"Mine.cache\(\) requests a buffer '{taken}', but Dense has one"):
            fc.Network([fc.Dense(3, 3, f)]).predict(np.ones((2, 3)))

    def test_a_layer_without_sizes(self):
        class Half(fc.Layer):
            name = "half"

        with pytest.raises(errors.ConfigError, match="Half needs n_in, a whole number"):
            fc.Network([Half()])

    @pytest.mark.parametrize(
        ("base", "changed", "message"),
        [
            (fc.Layer, {"forward": lambda self, x: x}, r"Mine.forward takes \(self, x\)"),
            (fc.ActivationFunction, {"forward": lambda self, z: z}, r"is called as forward\(z, c, y\)"),
            (fc.ActivationFunction, {"backward": lambda self, dy: dy}, r"is called as backward\(z, c, y, dy\)"),
            (fc.ActivationFunction, {"kinks": 0.0}, "Mine.kinks is a tuple; got 0.0"),
            (fc.Loss, {"terms": lambda self, z, t: 0}, r"is called as terms\(z, t, c, dz\)"),
            (fc.Loss, {"encode_targets": lambda self, t: t}, r"is called as encode_targets\(t, n_out\)"),
            (
                fc.Optimizer,
                {"update": lambda self, theta, g: 0},
                r"called as update\(theta, g, s, c, lr=, step=, decays=\)",
            ),
            (fc.Optimizer, {"slots": "velocity"}, r"slots is a tuple; got 'velocity', which would be \('velocity',\)"),
            (fc.Optimizer, {"scratch": "ab"}, "scratch is a tuple"),
        ],
    )
    def test_when_it_is_registered_and_when_it_is_used(self, base, changed, message):
        cls = of(base, **{"lr": 0.1, **changed})
        with pytest.raises(errors.ConfigError, match=message):
            fc.register(cls)
        uses = {
            fc.Layer: lambda: fc.Network([cls()]),
            fc.ActivationFunction: lambda: fc.Dense(2, 3, cls()),
            fc.Loss: lambda: trained(loss=cls()),
            fc.Optimizer: lambda: trained(optimizer=cls()),
        }
        with pytest.raises(errors.ConfigError, match=message):
            uses[base]()

    @pytest.mark.parametrize("lr", [None, "0.1", -1.0])
    def test_a_rule_without_a_rate(self, lr):
        with pytest.raises(errors.FullyConnectedError, match="lr of Mine"):
            trained(optimizer=of(fc.Optimizer, lr=lr)())

    def test_settings_that_it_does_not_have(self):
        for build in (lambda: fc.HalfSquaredError(2), lambda: fc.Hinge(margin=1), lambda: type(cubic())(3)):
            with pytest.raises(TypeError, match="has no settings; got"):
                build()

    def test_nameless_ones(self):
        for base, use in (
            (fc.Loss, lambda thing: trained(loss=thing)),
            (fc.Optimizer, lambda thing: trained(optimizer=thing)),
            (fc.ActivationFunction, lambda thing: fc.Dense(3, 2, thing)),
            (fc.Layer, lambda thing: fc.Network([thing])),
        ):
            cls = type("Mine", (base,), {"lr": 0.1, "n_in": 3, "n_out": 3})
            with pytest.raises(errors.ConfigError, match="Mine needs a class attribute name, a string, such as name"):
                use(cls())

    def test_what_is_missing_is_told_where_it_is_run(self):
        for call, message in (
            (lambda: trained([fc.Dense(3, 3, of(fc.ActivationFunction)()), fc.Dense(3, 2)]), "Mine has no forward"),
            (lambda: trained(loss=of(fc.Loss)()), "Mine has no terms"),
            (lambda: trained(optimizer=of(fc.Optimizer, lr=0.1)()), "Mine has no update"),
            (lambda: trained([of(fc.Layer, n_in=3, n_out=2)()]), "Mine has no forward"),
        ):
            with pytest.raises(NotImplementedError, match=message):
                call()


class TestNames:
    @pytest.mark.parametrize(
        ("base", "name", "kind"),
        [
            (fc.Layer, "dense", "layer"),
            (fc.ActivationFunction, "relu", "activation"),
            (fc.Loss, "half_squared_error", "loss"),
            (fc.Optimizer, "adam", "optimizer"),
        ],
    )
    def test_a_name_that_is_taken(self, base, name, kind):
        mine = type("Mine", (base,), {"name": name})
        with pytest.raises(errors.ConfigError, match=f"the {kind} name '{name}' is taken by .*; choose another"):
            fc.register(mine)
        assert fc.Dense(2, 3, "relu").activation == ACTIVATIONS.classes["relu"]()

    def test_the_same_class_again_is_fine(self):
        """A cell of a notebook is run twice."""
        fc.register(Snake)
        fc.register(Snake)
        again = type("Snake", (fc.ActivationFunction,), {"name": "snake", "__qualname__": "Snake"})
        fc.register(again)
        assert ACTIVATIONS.classes["snake"] is again

    def test_two_classes_of_one_name_in_different_modules(self, monkeypatch):
        """Neither takes the other's place without notice; nor that of one of the library's."""
        monkeypatch.setattr(ACTIVATIONS, "classes", dict(ACTIVATIONS.classes))
        fc.register(type("Curve", (fc.ActivationFunction,), {"name": "curve", "__module__": "my_layers"}))
        with pytest.raises(errors.ConfigError, match=r"'curve' is taken by my_layers\.Curve; choose another"):
            fc.register(type("Curve", (fc.ActivationFunction,), {"name": "curve", "__module__": "other_layers"}))
        with pytest.raises(errors.ConfigError, match=r"'relu' is taken by fullyconnected\.activations\.ReLU; choose"):
            fc.register(type("ReLU", (fc.ActivationFunction,), {"name": "relu"}))

    def test_a_script_that_another_module_imports_defines_its_classes_twice(self, tmp_path):
        """Once in __main__, once in the module of the file's name: they are the same."""
        (tmp_path / "script.py").write_text(
            "import fullyconnected as fc\n"
            "@fc.register\n"
            "class Mine(fc.ActivationFunction):\n    name = 'mine'\n"
            "if __name__ == '__main__':\n"
            "    import helper\n"
            "    print(fc.Dense(1, 1, 'mine').activation)\n",
            encoding="utf-8",
        )
        (tmp_path / "helper.py").write_text("import script\n", encoding="utf-8")
        out = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "Mine()"

    @pytest.mark.parametrize("name", [None, "", 5])
    def test_without_a_name(self, name):
        with pytest.raises(errors.ConfigError, match="needs a class attribute name, a string"):
            fc.register(type("Mine", (fc.Loss,), {"name": name}))
        with pytest.raises(errors.ConfigError, match="needs a class attribute name"):
            fc.register(type("Mine", (fc.Loss,), {}))

    @pytest.mark.parametrize("thing", [int, Snake(), "snake", np.sin, None])
    def test_what_cannot_be_registered(self, thing):
        with pytest.raises(errors.InputTypeError, match="register takes a class of Layer, ActivationFunction, Loss, M"):
            fc.register(thing)

    def test_nothing_is_left_behind(self):
        for registry, name in (
            (LAYERS, "stretch"),
            (ACTIVATIONS, "snake"),
            (LOSSES, "log_cosh"),
            (OPTIMIZERS, "adagrad"),
        ):
            assert name not in registry.classes
