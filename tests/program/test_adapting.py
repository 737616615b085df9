"""Constants and initial weights from the training rows: when they are taken, of which rows, and what waits for them."""

import copy
import json
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import sparse

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.annotations import Source
from fullyconnected.engine.choice import ENGINES
from fullyconnected.initializers import BIASES_FROM_ROWS, WEIGHTS_FROM_ROWS
from fullyconnected.program import adapting

RNG = np.random.default_rng(0)
X = RNG.normal(3, [1, 10, 0.1, 5], size=(300, 4))
T = X @ [[1.0], [0.2], [-3.0], [0.1]] + 50
W = RNG.integers(0, 3, 300).astype(float)
LOSS = fc.HalfSquaredError()
STILL = fc.SGD(1e-30)  # which changes no weight
SHORT = {"epochs": 1, "progress": False, "warn": False}


class InBlocks(Source):
    """Rows that are in no array; it remembers the most that were asked for at once."""

    def __init__(self, x):
        self.x, self.shape, self.dtype, self.most = x, x.shape, x.dtype, 0

    def take(self, rows, out):
        self.most = max(self.most, len(rows))
        out[...] = self.x[rows]

    def block(self, start, stop):
        self.most = max(self.most, stop - start)
        return self.x[start:stop]


@dataclass(frozen=True)
class Centre(fc.Layer):
    """Subtracts what the columns were on average when training began; NaN before."""

    n_in: int
    mean: tuple = None
    n_out = property(lambda self: self.n_in)
    unset = property(lambda self: self.mean is None)
    name = "centre"

    def adapt(self, p, rows, weights, rng):
        total = sum(weights[start : start + len(block)] @ block for start, block in rows.blocks())
        return replace(self, mean=tuple((total / weights.sum()).tolist()))

    def forward(self, p, x, c, y, *, train):
        y[...] = x - np.array(self.mean)

    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            dx[...] = dy


def realmlp(seed=0, dtype="float64"):
    """Return a network whose layers all come from the data, as RealMLP's."""
    known = {"init": "unit_variance", "bias_init": "he+5"}
    return fc.Network(
        [
            fc.Standardize(4, robust=True, clip=True),
            fc.Dense(4, 16, "selu", **known),
            fc.Residual([fc.Dense(16, 16, "mish", **known)]),
            fc.Dropout(0.3),
            fc.Dense(16, 1, **known),
            fc.Rescale(),
        ],
        dtype=dtype,
        seed=seed,
    )


def adapted(net, *given, **named):
    net.adapt(*given, **named)
    return net


def reached(net, n):
    """Return what the first n layers give for X."""
    first = fc.Network(net.layers[:n], dtype=net.dtype)
    first.theta = net.theta[: first.n_params]
    return first.predict(X)


class TestWhen:
    def test_fit_adapts_once_before_the_first_step(self):
        net, by_hand = realmlp(), adapted(realmlp(), X, t=T)
        fc.fit(net, X, T, LOSS, STILL, **SHORT)
        assert net.layers == by_hand.layers
        assert net.theta.tobytes() == by_hand.theta.tobytes()
        assert net.unset == ()

    def test_what_is_set_stays(self):
        net = adapted(realmlp(), X, t=T)
        layers, theta = net.layers, net.theta.copy()
        fc.fit(net, 2 * X, 3 * T, LOSS, STILL, **SHORT)
        net.adapt(5 * X)
        assert net.layers is layers
        assert (net.theta == theta).all()

    def test_a_loop_over_epochs_adapts(self):
        net = realmlp()
        next(fc.epochs(net, X, T, LOSS, STILL, warn=False))
        assert net.layers == adapted(realmlp(), X, t=T).layers

    def test_a_solver_adapts(self):
        net = fc.Network([fc.Standardize(4), fc.Dense(4, 1, init="unit_variance")], dtype="float64", seed=0)
        fc.fit(net, X, T, LOSS, fc.LBFGS(), **SHORT)
        assert net.layers[0] == fc.Standardize.fit(X)

    @pytest.mark.parametrize("engine", ENGINES.classes)
    def test_every_engine_begins_with_the_same_bits(self, engine):
        if not fc.engines()[engine].available:
            pytest.skip("it is not here")
        net = realmlp(dtype="float32")
        fc.fit(net, X, T, LOSS, STILL, engine=engine, **SHORT)
        assert net.theta.tobytes() == adapted(realmlp(dtype="float32"), X, t=T).theta.tobytes()

    def test_a_refused_call_leaves_the_network_as_it_was(self, tmp_path):
        net = realmlp()
        for wrong in ({"engine": "nowhere"}, {"average": fc.SWA(9)}, {"checkpoint": tmp_path}):
            with pytest.raises((errors.FullyConnectedError, OSError)):
                fc.fit(net, X, T, LOSS, **{**SHORT, **wrong})
            assert len(net.unset) == 5
            assert net.layers[0].mean is None

    def test_weights_that_are_given_are_not_drawn_again(self):
        done = adapted(realmlp(seed=1), X, t=T)
        for give in (lambda net: net.set_weights(done.get_weights()), lambda net: setattr(net, "theta", done.theta)):
            net = realmlp()
            give(net)
            assert net.unset == ("standardize_1", "rescale_1")
            net.adapt(X, t=T)
            assert (net.theta == done.theta).all()

    def test_biases_alone_can_wait(self):
        net = fc.Network([fc.Dense(4, 3, init="ones", bias_init="he+5")], dtype="float64", seed=0)
        assert (net.params[0].W == 1).all()
        net.params[0].b = [1, 2, 3]
        assert net.unset == ()
        net.adapt(X)
        assert (net.params[0].b == [1, 2, 3]).all()

    def test_the_columns_of_the_rows_are_remembered(self):
        pd = pytest.importorskip("pandas")
        net = fc.Network([fc.Standardize(2), fc.Dense(2, 1)])
        net.adapt(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 9.0]}))
        with pytest.raises(errors.FullyConnectedError, match="columns"):
            net.predict(pd.DataFrame({"b": [1.0], "a": [2.0]}))


CALLS = {
    "predict": lambda net, path: net.predict(X),
    "predict one row": lambda net, path: net.predict(X[:1]),
    "predict nothing": lambda net, path: net.predict(X[:0]),
    "evaluate": lambda net, path: net.evaluate(X, T, LOSS),
    "gradients": lambda net, path: net.gradients(X, T, LOSS),
    "native gradients": lambda net, path: net.gradients(X, T, LOSS, engine="auto"),
    "loss_and_grad": lambda net, path: net.loss_and_grad(X, T, LOSS),
    "save": lambda net, path: net.save(path / "net.safetensors"),
    "get_weights": lambda net, path: net.get_weights(),
    "trace": lambda net, path: fc.trace(net, X[:2], T[:2], LOSS),
    "explain": lambda net, path: fc.explain(net, X[:2], T[:2], LOSS),
    "draw": lambda net, path: fc.draw(net, X[:2]),
    "check_gradients": lambda net, path: fc.check_gradients(net, X[:2], T[:2], LOSS),
}


class TestBefore:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_what_needs_the_rows_says_so(self, call, tmp_path):
        with pytest.raises(errors.ConfigError, match=r"unset: standardize_1, dense_1.*Write net.adapt\(x\), or fit, f"):
            call(realmlp(), tmp_path)
        call(adapted(realmlp(), X, t=T), tmp_path)

    def test_predictions(self):
        net = realmlp()
        net.loss = LOSS
        with pytest.raises(errors.ConfigError, match="unset"):
            net.predictions(X)

    def test_what_can_be_seen_says_that_it_is_unset(self):
        net = realmlp()
        names = "standardize_1, dense_1, residual_1.dense_1, dense_2 and rescale_1"
        assert f"unset: {names} take constants or initial" in " ".join(net.summary(width=200).split())
        assert "unset" in net._repr_html_()
        assert "(unset)" in fc.draw(net)
        assert "nan" not in fc.draw(net)
        assert repr(net).startswith("Network([Standardize(4, robust=True, clip=True), Dense(")
        done = adapted(net, X, t=T)
        assert "unset" not in done.summary() + fc.draw(done)

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
    def test_copies_wait_for_the_same_draws(self, copied):
        net = realmlp(seed=7)
        other = copied(net)
        assert other.unset == net.unset
        other.adapt(X, t=T)
        assert net.layers[0].mean is None
        assert np.isnan(net.theta).any()
        net.adapt(X, t=T)
        assert net.theta.tobytes() == other.theta.tobytes()
        assert copied(net).unset == ()

    def test_a_file_has_the_constants(self, tmp_path):
        net = adapted(realmlp(), X, t=T)
        net.save(tmp_path / "net.safetensors")
        again = fc.load(tmp_path / "net.safetensors")
        assert again.layers == net.layers
        assert again.unset == ()
        assert (again.predict(X) == net.predict(X)).all()

    def test_a_file_without_constants_is_refused(self, tmp_path):
        path = tmp_path / "net.safetensors"
        fc.Network([fc.Standardize(4, 0.0), fc.Dense(4, 1)], seed=0).save(path)
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        key = next(key for key, value in header["__metadata__"].items() if "standardize" in value)
        told = json.loads(header["__metadata__"][key])
        told["layers"][0]["settings"] |= {"mean": None, "scale": None}
        header["__metadata__"][key] = json.dumps(told)
        new = json.dumps(header).encode()
        path.write_bytes(len(new).to_bytes(8, "little") + new + content[8 + size :])
        with pytest.raises(errors.FileFormatError, match="standardize_1 has no constants"):
            fc.load(path)

    def test_a_new_network_of_the_same_layers_waits_for_weights_alone(self):
        net = adapted(realmlp(), X, t=T)
        assert fc.Network(net.layers).unset == ("dense_1", "residual_1.dense_1", "dense_2")


class TestConstants:
    @pytest.mark.parametrize("settings", [{}, {"clip": True}, {"missing": True}, {"robust": True}], ids=str)
    @pytest.mark.parametrize("w", [None, W])
    def test_standardize_takes_what_its_fit_takes(self, settings, w):
        x = X.copy()
        if "missing" in settings:
            x[RNG.random(x.shape) < 0.2] = np.nan
        net = fc.Network([begins := fc.Standardize(4, **settings), fc.Dense(begins.n_out, 1)])
        net.adapt(x, w)
        wanted = fc.Standardize.fit(x, w, **settings)
        assert np.allclose(net.layers[0].mean, wanted.mean, rtol=1e-14)
        assert np.allclose(net.layers[0].scale, wanted.scale, rtol=1e-14)
        assert replace(net.layers[0], mean=0, scale=1) == replace(wanted, mean=0, scale=1)

    def test_weights_are_those_that_were_given(self):
        net = fc.Network([fc.Standardize(4), fc.Dense(4, 2)])
        loss = fc.SoftmaxCrossEntropy(class_weight=[1.0, 9.0])
        fc.fit(net, X, T[:, 0] > 50, loss, sample_weight=W, **SHORT)
        assert np.allclose(net.layers[0].mean, fc.Standardize.fit(X, W).mean, rtol=1e-14)

    def test_a_number_is_no_longer_needed_for_both(self):
        assert fc.Standardize(3, scale=2.0) == fc.Standardize(3, 0.0, 2.0)
        assert fc.Standardize(3, mean=2.0) == fc.Standardize(3, 2.0, 1.0)
        assert not fc.Standardize(3, scale=2.0).unset
        assert eval(repr(fc.Standardize(3, robust=True, clip=True)), vars(fc)) == fc.Standardize(
            3, None, None, True, robust=True
        )
        assert fc.Standardize(3) != fc.Standardize(3, 0.0)

    def test_rescale_takes_the_targets(self):
        net = fc.Network([fc.Dense(4, 1), fc.Rescale()], dtype="float64", seed=0)
        fc.fit(net, X, T, "huber", sample_weight=W, **SHORT)
        assert np.allclose(net.layers[1].mean, fc.Rescale.fit(T, W).mean, rtol=1e-14)
        assert np.allclose(net.layers[1].scale, fc.Rescale.fit(T, W).scale, rtol=1e-14)

    def test_targets_that_rescale_cannot_take(self):
        net = fc.Network([fc.Dense(4, 1), fc.Rescale()], seed=0)
        with pytest.raises(
            errors.ConfigError, match=r"takes its constants from the targets, and there.*adapt\(x, t=t\)"
        ):
            net.adapt(X)
        with pytest.raises(errors.ConfigError, match=r"rescale_1.*Poisson.*no estimates of the targets"):
            fc.fit(net, X, np.abs(T), "poisson", **SHORT)
        with pytest.raises(errors.ShapeError, match="targets have shape"):
            net.adapt(X, t=np.ones((300, 2)))
        with pytest.raises(errors.DataError, match=r"t.* is nan"):
            net.adapt(X, t=np.full(300, np.nan))
        with pytest.raises(errors.ShapeError, match="t has shape"):
            net.adapt(X, t=T[:5])
        assert net.unset == ("rescale_1",)

    def test_targets_that_nothing_takes_may_be_of_any_kind(self):
        net = fc.Network([fc.Standardize(4), fc.Dense(4, 3)])
        net.adapt(X, t=np.zeros(300, int))
        assert net.unset == ()

    def test_rescale_without_constants_stands_at_the_end(self):
        with pytest.raises(errors.ConfigError, match="rescale_1 would take its constants from the targets"):
            fc.Network([fc.Rescale(4), fc.Dense(4, 1)])

    @pytest.mark.parametrize(
        ("given", "error", "said"),
        [
            ((np.ones((0, 4)),), errors.ShapeError, "no rows"),
            ((np.ones((3, 2)),), errors.ShapeError, "the network takes 4"),
            ((X, np.zeros(300)), errors.DataError, "every sample_weight is zero"),
            ((X, -W), errors.DataError, "weights are 0 or more"),
            ((np.full((3, 4), np.nan),), errors.DataError, "missing=True"),
        ],
    )
    def test_bad_rows(self, given, error, said):
        net = fc.Network([fc.Standardize(4), fc.Dense(4, 1)])
        with pytest.raises(error, match=said):
            net.adapt(*given)
        assert net.unset == ("standardize_1",)


class TestWeights:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_pre_activations_have_unit_variance_layer_after_layer(self, dtype):
        net = adapted(realmlp(dtype=dtype), X, t=T)
        hidden = net.params
        for h, params in ((reached(net, 1), hidden[1]), (reached(net, 2), hidden[2][0]), (reached(net, 4), hidden[4])):
            assert np.allclose((h @ params.W).std(axis=0), 1, atol=1e-12 if dtype == "float64" else 1e-5)

    def test_weights_of_rows_count(self):
        net = adapted(realmlp(), X, W, t=T)
        z = reached(net, 1) @ net.params[1].W
        assert np.allclose(np.average((z - np.average(z, 0, W)) ** 2, 0, W), 1, atol=1e-12)

    def test_repeating_a_row_is_a_weight_of_two(self):
        rows = np.repeat(np.arange(300), W.astype(int))
        weighted, repeated = adapted(realmlp(), X, W, t=T), adapted(realmlp(), X[rows], t=T[rows])
        robust = weighted.layers[0].scale  # quantiles of weighted rows are not interpolated
        assert np.allclose(robust, repeated.layers[0].scale, rtol=0.1)
        plain = [
            fc.Network([fc.Dense(4, 9, init="unit_variance", bias_init="he+5")], dtype="float64", seed=0) for _ in "ab"
        ]
        plain[0].adapt(X, W)
        plain[1].adapt(X[rows])
        assert np.allclose(plain[0].theta, plain[1].theta, rtol=1e-10)

    def test_biases_are_the_formula(self):
        """b = -(x* W), with x* = sum_k s_k x_k over five rows, whose shares s are uniform on the simplex."""
        W0 = RNG.normal(size=(4, 7))
        w = np.full(300, 0.5)

        class Rows:
            shape = X.shape

            def taken(self, rows, dtype):
                return X[rows].astype(dtype)

        b = BIASES_FROM_ROWS["he+5"](np.random.default_rng(5), W0, Rows(), w)
        rng = np.random.default_rng(5)
        e = rng.standard_exponential((7, 5))
        rows = np.floor(rng.random((7, 5)) * 300).astype(int)
        for j in range(7):
            point = sum(e[j, k] / e[j].sum() * X[rows[j, k]] for k in range(5))
            assert b[j] == pytest.approx(-(point @ W0[:, j]), rel=1e-12)

    def test_weights_are_the_formula(self):
        """W = V / std(x V), with V from N(0, 1 / n_in) and the standard deviation of the population, with 1 / n."""

        class Rows:
            shape = X.shape

            def blocks(self):
                return ((start, X[start : start + 7]) for start in range(0, 300, 7))

        found = WEIGHTS_FROM_ROWS["unit_variance"](np.random.default_rng(5), (4, 7), Rows(), np.ones(300))
        V = np.random.default_rng(5).normal(0, 0.5, (4, 7))
        assert np.allclose(found, V / (X @ V).std(axis=0), rtol=1e-12)

    def test_a_hyperplane_goes_through_the_rows(self):
        net = fc.Network([fc.Dense(4, 64, init="unit_variance", bias_init="he+5")], dtype="float64", seed=0)
        net.adapt(X)
        z = net.predict(X)
        assert ((z > 0).any(axis=0) & (z < 0).any(axis=0)).all()

    def test_units_that_do_not_vary_keep_their_weights(self):
        for x in (X[:1], np.repeat(X[:1], 9, axis=0), np.zeros((5, 4))):
            net = fc.Network([fc.Dense(4, 8, init="unit_variance", bias_init="he+5")], dtype="float64", seed=0)
            net.adapt(x)
            assert 0.2 < net.params[0].W.std() < 0.8
            assert np.allclose(net.predict(x), 0, atol=1e-12)

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_few_rows_and_many_units(self, n):
        known = {"init": "unit_variance", "bias_init": "he+5"}
        layers = [fc.Dense(4, 50, "tanh", **known), fc.Dense(50, 90, "relu", **known), fc.Dense(90, 1, **known)]
        net = fc.Network(layers, dtype="float64", seed=0)
        net.adapt(X[:n])
        h = np.tanh(X[:n] @ net.params[0].W + net.params[0].b)
        assert n == 1 or np.allclose((h @ net.params[1].W).std(axis=0), 1)

    def test_large_numbers(self):
        net = fc.Network([fc.Dense(4, 8, init="unit_variance", bias_init="he+5")], dtype="float64", seed=0)
        net.adapt(X + 1e9)
        assert np.allclose(((X + 1e9) @ net.params[0].W).std(axis=0), 1, rtol=1e-4)
        net = fc.Network([fc.Dense(4, 8, "relu"), fc.Dense(8, 8, init="unit_variance")], seed=0)
        net.theta[:32] = 3e38
        with pytest.raises(errors.ConfigError, match=r"not all finite in float32.*fc.Standardize\(4\)"):
            net.adapt(X)
        assert net.unset == ("dense_2",)

    def test_draws_are_functions_of_the_seed_and_the_layer(self):
        one, same, other = (adapted(realmlp(seed), X, t=T) for seed in (1, 1, 2))
        assert one.theta.tobytes() == same.theta.tobytes()
        assert not np.allclose(one.params[1].W, other.params[1].W)
        first, second = (fc.Dense(4, 4, init="unit_variance") for _ in range(2))
        net = adapted(fc.Network([first, second], dtype="float64", seed=0), X)
        assert not np.allclose(net.params[0].W / net.params[1].W, (net.params[0].W / net.params[1].W)[0], rtol=1e-3)

    def test_names(self):
        with pytest.raises(errors.UnknownNameError, match="unit_variance"):
            fc.Dense(2, 2, init="unit_varianc")
        with pytest.raises(errors.UnknownNameError):
            fc.Dense(2, 2, bias_init="unit_variance")
        with pytest.raises(errors.UnknownNameError):
            fc.Dense(2, 2, init="he+5")


class TestRows:
    def test_any_source_gives_the_same_bits_in_bounded_memory(self):
        x = np.tile(X, (1500, 1))
        x[:, 0] += np.arange(len(x)) % 17
        known = {"init": "unit_variance", "bias_init": "he+5"}
        layers = [fc.Standardize(4), fc.Dense(4, 16, "relu", **known), fc.Dense(16, 8, **known)]
        nets = [fc.Network(layers, seed=0) for _ in range(2)]
        given = InBlocks(x)
        for net, rows in zip(nets, (x, given), strict=True):
            net.adapt(rows)
        assert nets[0].params[1].W.tobytes() == nets[1].params[1].W.tobytes()
        assert np.allclose(nets[0].layers[0].mean, nets[1].layers[0].mean, rtol=1e-12)
        assert np.allclose(nets[0].theta, nets[1].theta, rtol=1e-5, atol=1e-5)
        assert given.most <= (1 << 20) // 4

    def test_robust_constants_of_a_source(self, monkeypatch):
        from fullyconnected.layers import statistics

        monkeypatch.setattr(statistics, "KEPT", 700)  # two columns at a time
        net = fc.Network([fc.Standardize(4, robust=True), fc.Dense(4, 1)])
        net.adapt(InBlocks(X))
        assert net.layers[0] == fc.Standardize.fit(X, robust=True)

    def test_sparse_rows(self):
        dense = np.where(RNG.random((200, 30)) < 0.1, RNG.normal(size=(200, 30)), 0)
        w = RNG.integers(0, 2, 200).astype(float)
        for layers in (
            [fc.Dense(30, 8, "relu", init="unit_variance", bias_init="he+5"), fc.Dense(8, 2, init="unit_variance")],
            [fc.Standardize(30), fc.Dense(30, 8, init="unit_variance", bias_init="he+5")],
            [fc.Standardize(30, robust=True), fc.Dense(30, 8, init="unit_variance")],
        ):
            one, other = (fc.Network(layers, dtype="float64", seed=0) for _ in range(2))
            one.adapt(dense, w)
            other.adapt(sparse.csr_array(dense), w)
            assert np.allclose(one.theta, other.theta, rtol=1e-9, atol=1e-12)
            assert getattr(one.layers[0], "scale", 0) == pytest.approx(getattr(other.layers[0], "scale", 0), rel=1e-12)

    def test_rows_without_weight_are_not_read(self):
        x, w = X.copy(), np.ones(300)
        x[::7], w[::7] = 1e30, 0
        one = adapted(
            fc.Network([fc.Dense(4, 3, init="unit_variance", bias_init="he+5")], dtype="float64", seed=0), x, w
        )
        rest = np.flatnonzero(w)
        two = adapted(
            fc.Network([fc.Dense(4, 3, init="unit_variance", bias_init="he+5")], dtype="float64", seed=0), X[rest]
        )
        assert np.allclose(one.theta, two.theta, rtol=1e-10)

    @pytest.mark.parametrize("dtype", ["int8", "float16", "bool", "float32"])
    def test_rows_of_any_dtype(self, dtype):
        x = (X > 3).astype(dtype)
        net = adapted(realmlp(), x, t=T)
        assert np.isfinite(net.predict(x)).all()


OTHERS = fc.Standardize(4), fc.Standardize(4, robust=True), fc.Standardize(4, 1.0)


class TestResume:
    def settings(self, tmp_path):
        return {"batch_size": 64, "progress": False, "warn": False, "checkpoint": tmp_path / "run.safetensors"}

    def test_a_resumed_run_never_adapts(self, tmp_path, monkeypatch):
        whole = realmlp()
        fc.fit(whole, X, T, LOSS, epochs=4, batch_size=64, progress=False, warn=False)
        fc.fit(realmlp(), X, T, LOSS, epochs=2, **self.settings(tmp_path))
        monkeypatch.setattr(adapting, "adapted", lambda *_: pytest.fail("it adapts again"))
        net = realmlp(seed=9)  # whose draws would be others
        fc.fit(net, X, T, LOSS, epochs=4, **self.settings(tmp_path))
        assert net.theta.tobytes() == whole.theta.tobytes()
        assert net.layers == whole.layers

    def test_a_run_with_an_average(self, tmp_path):
        whole, parts = realmlp(), None
        fc.fit(whole, X, T, LOSS, epochs=4, batch_size=64, progress=False, warn=False, average=fc.EMA(0.9))
        for epochs in (1, 3, 4):
            parts = realmlp()
            fc.fit(parts, X, T, LOSS, epochs=epochs, average=fc.EMA(0.9), **self.settings(tmp_path))
        assert parts.theta.tobytes() == whole.theta.tobytes()

    @pytest.mark.parametrize(
        "first", [fc.Standardize(4), fc.Standardize(4, robust=True), fc.Standardize(4, 1.0)], ids=str
    )
    def test_another_first_layer_is_refused(self, tmp_path, first):
        fc.fit(realmlp(), X, T, LOSS, epochs=1, **self.settings(tmp_path))
        net = fc.Network([first, *realmlp().layers[1:]], dtype="float64", seed=0)
        waits = net.unset
        with pytest.raises(errors.CheckpointError, match="layer 0"):
            fc.fit(net, X, T, LOSS, epochs=2, **self.settings(tmp_path))
        assert net.unset == waits

    def test_other_rows_are_refused(self, tmp_path):
        fc.fit(realmlp(), X, T, LOSS, epochs=1, **self.settings(tmp_path))
        net = realmlp()
        with pytest.raises(errors.CheckpointError, match="data"):
            fc.fit(net, X + 1, T, LOSS, epochs=2, **self.settings(tmp_path))
        assert len(net.unset) == 5


class TestEverythingElse:
    def test_a_layer_is_checked_as_it_has_adapted(self):
        assert fc.check_gradients(fc.Standardize(3, clip=True)).ok
        assert fc.check_gradients(fc.Rescale(3)).ok
        assert fc.check_gradients(fc.Dense(3, 4, "tanh", init="unit_variance", bias_init="he+5")).ok
        assert fc.check_gradients(fc.Standardize(2, missing=True), [[1.0, np.nan], [2.0, 3.0], [4.0, -1.0]]).ok

    def test_an_adapted_network_has_right_gradients(self):
        net = adapted(realmlp(), X, t=T)
        assert fc.check_gradients(net, X[:6], T[:6], LOSS, l2=0.1, entries=20, train=True).ok

    def test_a_diagnosis_changes_nothing(self):
        net = realmlp()
        report = fc.diagnose(net, X, T, LOSS)
        assert len(net.unset) == 5
        assert not [found for found in report.findings if found.name in ("features_unscaled", "targets_unscaled")]
        assert "it has not been trained" in str(report)

    def test_estimators_with_scale_need_nothing(self):
        est = fc.MLPRegressor(scale=True, max_iter=2, random_state=0)
        with pytest.warns(UserWarning, match="Maximum iterations"):
            est.fit(X, T[:, 0])
        assert est.network_.unset == ()


class TestOwnLayers:
    def net(self, *layers):
        return fc.Network([fc.Dense(4, 5, "tanh"), *layers, fc.Dense(5, 1)], dtype="float64", seed=0)

    def test_it_adapts_to_what_reaches_it(self):
        net = adapted(self.net(Centre(5)), X, W)
        assert np.allclose(net.layers[1].mean, np.average(reached(net, 1), 0, W), rtol=1e-12)

    def test_within_a_block(self):
        net = adapted(self.net(fc.Residual([fc.Dense(5, 5, "tanh"), Centre(5)])), X)
        assert net.layers[1].layers[1].mean is not None
        assert net.unset == ()
        assert np.isfinite(net.predict(X)).all()
        for epoch in fc.epochs(self.net(fc.Residual([Centre(5), fc.Dense(5, 5)])), X, T, LOSS, warn=False):
            assert np.isfinite(epoch.loss)
            break

    def test_a_block_that_makes_its_layers_anew_says_what_to_do(self):
        @dataclass(frozen=True)
        class Block(fc.Layer):
            n_in: int
            n_out = property(lambda self: self.n_in)
            name = "block"

            def steps(self):
                return Centre(self.n_in), fc.Dense(self.n_in, self.n_in)

        net = self.net(Block(5))
        with pytest.raises(errors.ConfigError, match=r"Block makes its layers anew.*with_steps"):
            net.adapt(X)
        assert net.unset == ("block_1.centre_1",)

    @pytest.mark.parametrize(
        ("returns", "said"),
        [
            (lambda layer, rows: None, "adapt of .* returns None; it is to return the layer"),
            (lambda layer, rows: layer, "returns a layer whose constants are not set"),
            (lambda layer, rows: replace(layer, n_in=7, mean=(0.0,) * 7), "with another n_in: 7 in place of 5"),
            (lambda layer, rows: next(rows.blocks())[1].__setitem__(0, 1), "writes to an array that it may only read"),
        ],
    )
    def test_mistakes(self, returns, said):
        @dataclass(frozen=True)
        class Wrong(Centre):
            def adapt(self, p, rows, weights, rng):
                return returns(self, rows)

        net = self.net(Wrong(5))
        with pytest.raises(errors.ConfigError, match=said):
            net.adapt(X)
        assert net.unset == ("centre_1",)

    def test_copies_of_a_row_have_its_weight(self):
        @dataclass(frozen=True)
        class Twice(Centre):
            name = "twice"
            unset = False

            def copies(self, n):
                return 2 * n

            def forward(self, p, x, c, y, *, train):
                y[::2], y[1::2] = x, -x

        @dataclass(frozen=True)
        class Mean(Centre):
            name = "mean_of_two"
            unset = False

            def copies(self, n):
                return n // 2

            def forward(self, p, x, c, y, *, train):
                y[...] = x[::2]

        net = adapted(self.net(Twice(5), Centre(5), Mean(5)), X, W)
        assert np.allclose(net.layers[2].mean, 0, atol=1e-12)
