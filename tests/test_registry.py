"""Layers, activations, losses and optimizers of one's own: written from the docstrings, registered, trained."""

import re
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
class Scale(fc.Layer):
    """Multiply each column by a parameter of its own: y = x s."""

    n_in: int
    start_at: float = 1.0
    name: ClassVar[str] = "scale"

    @property
    def n_out(self):
        return self.n_in

    def params(self):
        return {"s": fc.Param((self.n_in,), decays=True)}

    def cache(self, rows):
        return {"product": (rows, self.n_in), "ones": np.ones(rows)}

    def start(self, p, rng):
        p.s = self.start_at

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, p.s, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        c.xp.multiply(dy, x, out=c.product)
        c.ones.dot(c.product, out=g.s)
        if dx is not None:
            c.xp.multiply(dy, p.s, out=dx)


class Snake(fc.ActivationFunction):
    """y = h + sin(h)^2."""

    name = "snake"
    keeps_input = True

    def cache(self, rows, n):
        return {"a": (rows, n)}

    def forward(self, h, c, y):
        c.xp.sin(h, out=y)
        y *= y
        y += h

    def backward(self, h, c, y, dy):
        c.xp.multiply(h, 2, out=c.a)
        c.xp.sin(c.a, out=c.a)
        c.a += 1
        dy *= c.a


@dataclass(frozen=True)
class Bent(fc.ActivationFunction):
    """With a setting: y = h / (1 + k |h|)."""

    k: float = 1.0
    name: ClassVar[str] = "bent"
    keeps_input: ClassVar[bool] = True

    def forward(self, h, c, y):
        y[...] = h / (1 + self.k * abs(h))

    def backward(self, h, c, y, dy):
        dy /= (1 + self.k * abs(h)) ** 2


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
        fc.register(Scale)
        net = fc.Network([fc.Dense(3, 4, "tanh"), Scale(4), fc.Residual([Scale(4, 0.5)]), fc.Dense(4, 2)], seed=0)
        assert net.params[1].s.tolist() == [1] * 4
        assert net.params[2][0].s.tolist() == [0.5] * 4
        net = fc.Network(net.layers, dtype=np.float64, seed=0)
        x, t = data
        g = net.gradients(x, t, "squared_error")
        np.testing.assert_allclose(g.theta, slopes(net, x, t, "squared_error"), atol=1e-8)
        history = fc.fit(net, x, t, "squared_error", epochs=20, progress=False)
        assert history.loss[-1] < history.loss[0]

    def test_first_in_the_network(self, data):
        fc.register(Scale)
        net = fc.Network([Scale(3), fc.Dense(3, 2)], dtype=np.float64, seed=0)
        x, t = data
        g = net.gradients(x, t, "squared_error")
        np.testing.assert_allclose(g.theta, slopes(net, x, t, "squared_error"), atol=1e-8)
        before = net.params[0].s.copy()
        fc.fit(net, x, t, "squared_error", fc.SGD(0.1), 1, 40, progress=False)
        np.testing.assert_allclose(net.params[0].s, before - 0.1 * g.params[0].s)

    def test_decays_as_it_says(self, data):
        fc.register(Scale)
        net = fc.Network([Scale(3, 2.0), fc.Dense(3, 2)], dtype=np.float64, seed=0)
        plain, with_l2 = (net.gradients(*data, "squared_error", l2=l2) for l2 in (0, 1))
        np.testing.assert_allclose(with_l2.params[0].s - plain.params[0].s, 2)

    def test_in_files_and_messages(self, tmp_path):
        fc.register(Scale)
        net = fc.Network([Scale(3, 0.5), fc.Dense(3, 2)], seed=0)
        net.save(tmp_path / "net")
        assert fc.load(tmp_path / "net").layers == net.layers
        assert re.search(r"scale_1 +Scale\(n_in=3", net.summary(200))
        with pytest.raises(errors.ShapeError, match=r"Scale\(n_in=2.*takes 2 columns.*gives 3"):
            fc.Network([fc.Dense(2, 3), Scale(2)])

    def test_unregistered_it_trains_but_no_file_could_be_read(self, data, tmp_path):
        net = fc.Network([Scale(3), fc.Dense(3, 2)], seed=0)
        fc.fit(net, *data, "squared_error", epochs=1, progress=False)
        with pytest.raises(errors.ConfigError, match=r"Scale is not registered.*fc.register it first"):
            net.save(tmp_path / "net")
        with pytest.raises(errors.ConfigError, match=r"fc\.register"):
            fc.fit(net, *data, "squared_error", epochs=1, progress=False, checkpoint=tmp_path / "run")

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
            net.gradients(*data, "squared_error")


class TestActivation:
    @pytest.mark.parametrize("f", [Snake(), Bent(0.3), (np.sin, np.cos)], ids=["class", "with a setting", "pair"])
    @pytest.mark.parametrize("inside", [True, False])
    def test_gradients_and_training(self, f, inside, data):
        layers = [fc.Dense(3, 4, f)] if inside else [fc.Dense(3, 4), fc.Activation(f)]
        net = fc.Network([*layers, fc.Dense(4, 2)], dtype=np.float64, seed=0)
        x, t = data
        g = net.gradients(x, t, "squared_error")
        np.testing.assert_allclose(g.theta, slopes(net, x, t, "squared_error"), atol=1e-8)
        history = fc.fit(net, x, t, "squared_error", epochs=20, progress=False)
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
            keeps_input = True

            def forward(self, h, c, y):
                y[...] = h**3

            def backward(self, h, c, y, dy):
                dy *= 3 * h**2

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
            least_outputs: ClassVar[int] = 2

            def encode(self, t, n_out):
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
        fc.fit(net, x, t, "squared_error", "adagrad", 5, 40, progress=False)
        for _ in range(5):
            g = twin.gradients(x, t, "squared_error").theta
            v = v + g * g
            twin.theta = twin.theta - 0.1 * g / np.sqrt(v + 1e-10)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-10)

    def test_on_a_network_of_many_parameters(self, rng):
        """The rule may be handed theta in pieces; what it remembers must go with them."""
        x, t = rng.normal(size=(20, 300)), rng.normal(size=(20, 200))
        net = fc.mlp([300, 250, 200], activation="tanh", dtype=np.float64, seed=0)
        twin, v = net.copy(), 0.0
        fc.fit(net, x, t, "squared_error", AdaGrad(0.01), 3, 20, progress=False, shuffle=False)
        for _ in range(3):
            g = twin.gradients(x, t, "squared_error").theta
            v = v + g * g
            twin.theta = twin.theta - 0.01 * g / np.sqrt(v + 1e-10)
        np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-9, atol=1e-12)

    def test_schedule_and_checkpoint(self, data, tmp_path):
        fc.register(AdaGrad)
        nets = [fc.mlp([3, 4, 2], seed=0) for _ in range(2)]
        settings = {"schedule": fc.StepDecay(0.5), "progress": False, "batch_size": 16}
        fc.fit(nets[0], *data, "squared_error", AdaGrad(), 6, **settings)
        for epochs in (2, 6):
            net = fc.mlp([3, 4, 2], seed=0)
            fc.fit(net, *data, "squared_error", AdaGrad(), epochs, checkpoint=tmp_path / "run", **settings)
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
        fc.fit(net, *data, "squared_error", Shrink(), 2, 40, progress=False)
        np.testing.assert_allclose(net.params[0].W, W * 0.81)
        assert net.params[0].b.tolist() == [1, 1]
        assert net.params[1].gain.tolist() == [1, 1]


class TestNames:
    @pytest.mark.parametrize(
        ("base", "name", "kind"),
        [
            (fc.Layer, "dense", "layer"),
            (fc.ActivationFunction, "relu", "activation"),
            (fc.Loss, "squared_error", "loss"),
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

    @pytest.mark.parametrize("name", [None, "", 5])
    def test_without_a_name(self, name):
        with pytest.raises(errors.ConfigError, match="needs a class attribute name, a string"):
            fc.register(type("Mine", (fc.Loss,), {"name": name}))
        with pytest.raises(errors.ConfigError, match="needs a class attribute name"):
            fc.register(type("Mine", (fc.Loss,), {}))

    @pytest.mark.parametrize("thing", [int, Snake(), "snake", np.sin, None])
    def test_what_cannot_be_registered(self, thing):
        with pytest.raises(errors.KindError, match="register takes a class of Layer, ActivationFunction, Loss or Opt"):
            fc.register(thing)

    def test_nothing_is_left_behind(self):
        for registry, name in (
            (LAYERS, "scale"),
            (ACTIVATIONS, "snake"),
            (LOSSES, "log_cosh"),
            (OPTIMIZERS, "adagrad"),
        ):
            assert name not in registry.classes
