"""Which engine runs, what happens around it, and what it leaves behind."""

import itertools
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.engine import native_engine as native_module
from fullyconnected.engine.lowering import Unsupported
from fullyconnected.errors import ConfigError, DataError, DivergenceError, InputTypeError, UnknownNameError

HERE = fc.engines()["native"]
needs_native = pytest.mark.skipif(not HERE.available, reason=HERE.about)

X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
T = (X.sum(axis=1) > 0).astype(int)
WIDE = [(784, 512, 512, 10), (300, 1024, 700, 1), (512, 520, 512), (1000, 1, 1024)]


class Cube(fc.ActivationFunction):
    name = "cube"
    needs_input = True

    def forward(self, z, c, y):
        y[...] = z**3

    def backward(self, z, c, y, dy):
        dy *= 3 * z**2


class Double(fc.Dense):
    """A user's own layer, made from one of ours."""

    name = "double"

    def forward(self, p, x, c, y, *, train):
        super().forward(p, x, c, y, train=train)
        y *= 2


class Fourth(fc.Loss):
    name = "fourth"

    def terms(self, z, t, c, dz):
        c.e[...] = (z - t) ** 4
        dz[...] = 4 * (z - t) ** 3


@dataclass(frozen=True)
class SignDescent(fc.Optimizer):
    lr: float = 0.01
    name = "sign_descent"

    def update(self, theta, g, s, c, *, lr, step, decays):
        theta -= lr * np.sign(g)


def fitted(net=None, **how):
    net = net or fc.mlp([3, 4, 2], seed=0)
    how = {"loss": "softmax_cross_entropy", "epochs": 2, "progress": False, **how}
    return net, fc.fit(net, X, T, **how)


class TestTheChoice:
    @needs_native
    def test_auto_takes_the_native_engine_and_says_so(self):
        history = fitted()[1]
        assert (history.engine, history.engine_why) == ("native", "it is the fastest")
        assert fitted(engine="native")[1].engine_why == "it was named"
        assert fitted(engine="numpy")[1].engine == "numpy"

    @pytest.mark.parametrize(
        ("layers", "how", "why"),
        [
            ([fc.Dense(3, 4, Cube()), fc.Dense(4, 2)], {}, "activation"),
            ([fc.Dense(3, 4, (np.sin, np.cos)), fc.Dense(4, 2)], {}, "activation"),
            ([Double(3, 2)], {}, "layer Double"),
            ([fc.Residual([Double(3, 3)]), fc.Dense(3, 2)], {}, "residual_1"),
            ([fc.Dense(3, 2)], {"optimizer": SignDescent()}, "optimizer SignDescent"),
            ([fc.Dense(3, 2)], {"optimizer": "lbfgs"}, "a full-batch solver takes its gradients from NumPy"),
        ],
    )
    def test_what_a_user_has_written_runs_on_numpy(self, layers, how, why):
        net, history = fitted(fc.Network(layers, seed=0), **how)
        assert history.engine == "numpy"
        if HERE.available:
            assert why in history.engine_why
            with pytest.raises(ConfigError, match=why):
                fitted(fc.Network(layers, seed=0), engine="native", **how)
        assert np.isfinite(net.predict(X)).all()

    def test_a_loss_of_the_users_own_runs_on_numpy(self):
        net = fc.mlp([3, 1], seed=0)
        history = fc.fit(net, X, T, Fourth(), epochs=1, progress=False)
        assert history.engine == "numpy"
        if HERE.available:
            with pytest.raises(ConfigError, match="loss Fourth"):
                fc.fit(net, X, T, Fourth(), epochs=1, progress=False, engine="native")
            with pytest.raises(ConfigError, match="loss Fourth"):
                net.gradients(X, T, Fourth(), engine="native")
            assert net.gradients(X, T, Fourth(), engine="auto").loss == net.gradients(X, T, Fourth()).loss

    def test_an_unknown_engine_is_refused_by_name(self):
        for call in (
            lambda: fitted(engine="nativ"),
            lambda: fc.mlp([3, 1]).predict(X, engine="nativ"),
            lambda: fc.mlp([3, 1]).gradients(X, T, "half_squared_error", engine="nativ"),
        ):
            with pytest.raises(UnknownNameError, match="did you mean 'native'"):
                call()
        with pytest.raises(InputTypeError, match="engine"):
            fitted(engine=2)

    @pytest.mark.parametrize("threads", [0, -1, 1.5, "two", True, 10**9])
    def test_a_number_of_threads_is_checked(self, threads):
        with pytest.raises((ConfigError, InputTypeError), match="n_threads"):
            fitted(n_threads=threads)

    @pytest.mark.parametrize("engine", ["numpy", "auto"])
    def test_a_number_of_threads_is_taken(self, engine):
        pytest.importorskip("threadpoolctl")
        assert fitted(n_threads=1, engine=engine)[1].loss

    def test_without_the_compiled_part_numpy_runs_and_the_reason_is_told(self, monkeypatch):
        def absent():
            raise Unsupported("it was not built")

        monkeypatch.setattr(native_module, "load_extension", absent)
        net, history = fitted()
        assert history.engine == "numpy"
        assert "it was not built" in history.engine_why
        assert net.predict(X).shape == (64, 2)
        assert not fc.engines()["native"].available
        for call in (
            lambda: fitted(engine="native"),
            lambda: net.predict(X, engine="native"),
            lambda: net.gradients(X, T, "softmax_cross_entropy", engine="native"),
        ):
            with pytest.raises(ConfigError, match="it was not built"):
                call()

    def test_a_build_without_the_compiled_part_says_why(self):
        code = (
            "import sys; sys.modules['fullyconnected._native'] = None\n"
            "import fullyconnected as fc; print(fc.engines()['native'].about)\n"
            "print(fc.mlp([2, 1]).predict([[1.0, 2.0]]).shape)"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert "no C++20 compiler" in out
        assert "(1, 1)" in out


@needs_native
class TestTheRun:
    def test_a_checkpoint_goes_on_with_the_same_bits(self, tmp_path):
        layers = [fc.Dense(3, 8, "gelu"), fc.BatchNorm(), fc.Dropout(0.3), fc.Dense(8, 2)]
        how = {"optimizer": fc.Adam(), "batch_size": 10, "engine": "native", "schedule": fc.CosineDecay(6)}
        whole, _ = fitted(fc.Network(layers, seed=0), epochs=6, **how)
        path = tmp_path / "run"
        for epochs in (2, 3, 6):
            parts, _ = fitted(fc.Network(layers, seed=0), epochs=epochs, checkpoint=path, **how)
        assert parts.theta.tobytes() == whole.theta.tobytes()
        assert parts.state.tobytes() == whole.state.tobytes()

    def test_a_checkpoint_goes_over_to_the_other_engine(self, tmp_path):
        path = tmp_path / "run"
        fitted(epochs=2, checkpoint=path, engine="native")
        assert fitted(epochs=4, checkpoint=path, engine="numpy")[1].engine == "numpy"

    @pytest.mark.parametrize("where", ["weights", "rate", "loss"])
    def test_divergence_names_the_layer_and_gives_the_weights_back(self, where):
        errors = []
        for engine in ("numpy", "native"):
            net = fc.mlp([3, 8, 2], "relu", seed=0)
            optimizer = fc.SGD(1e30 if where == "rate" else 0.1)
            if where == "weights":
                net.params[1].W[0, 0] = 3e38
            if where == "loss":
                net.params[1].W = 1e30
            before = net.theta.copy()
            with pytest.raises(DivergenceError) as caught:
                fc.fit(
                    net, X * 100, X[:, :2], "half_squared_error", optimizer, batch_size=8, progress=False,
                    engine=engine, warn=False,
                )  # fmt: skip
            assert np.array_equal(net.theta, before)
            errors.append((caught.value.epoch, caught.value.layer, caught.value.learning_rate))
        assert errors[0] == errors[1]

    def test_divergence_with_dropout_names_the_layer_of_that_step(self):
        layers = [fc.Dropout(0.9, n_in=1), fc.Dense(1, 1, "exp", init="ones"), fc.Dense(1, 1, init="ones")]
        x, t = np.full((40, 1), 12.0), np.zeros(40)
        for seed in range(12):
            named = []
            for engine in ("numpy", "native"):
                with pytest.raises(DivergenceError) as caught:
                    fc.fit(
                        fc.Network(layers, seed=0), x, t, "half_squared_error", fc.SGD(0.01), seed=seed, batch_size=1,
                        engine=engine, progress=False,
                    )  # fmt: skip
                named.append((caught.value.step, caught.value.layer))
            assert named[0] == named[1]

    @pytest.mark.parametrize("loss", ["softmax_cross_entropy", "hinge"])
    def test_targets_that_change_under_way_hit_nothing_else(self, loss):
        t = np.zeros(64, np.int64)
        for epoch in fc.epochs(fc.mlp([3, 4, 2], seed=0), X, t, loss, engine="native"):
            t[:] = (10**9, -(10**9))[epoch.number % 2]
            if epoch.number == 4:
                break

    def test_settings_too_small_for_the_processor_do_not_divide_by_zero(self):
        x = np.zeros((8, 3), np.float32)
        fc.fit(fc.mlp([3, 2], seed=0), x, x[:, :2], "half_squared_error", fc.Adam(epsilon=1e-37), engine="native")
        for layer in (norm(epsilon=1e-40) for norm in (fc.LayerNorm, fc.RMSNorm, fc.BatchNorm)):
            net = fc.Network([fc.Dense(3, 2), layer], seed=0)
            assert np.isfinite(
                net.gradients(x, x[:, :2], "half_squared_error", train=True, engine="native").theta
            ).all()

    def test_a_handler_of_a_signal_computes_as_always(self):
        code = """
import signal, numpy as np, fullyconnected as fc
seen = []
def handle(number, frame):
    if frame.f_code.co_name == "epoch_in_parts":  # where C++ is called
        seen.append((float(np.float32(1e-38) * np.float32(0.1)), 2.0**-1074 * 1.0))
signal.signal(signal.SIGALRM, handle)
x = np.zeros((2000, 50), np.float32)
training = fc.epochs(fc.mlp([50, 300, 1]), x, x[:, 0], "half_squared_error", batch_size=100, engine="native")
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(seen) < 5:
    next(training)
signal.setitimer(signal.ITIMER_REAL, 0)
print(all(a > 0 and b > 0 for a, b in seen))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
        assert (done.stdout, done.stderr) == ("True\n", "")

    @pytest.mark.parametrize(("rows", "units", "threads"), [(500, 200, 1), (60, 20, 4)])
    def test_python_ends_while_daemon_threads_train(self, rows, units, threads):
        """In long epochs, without the GIL; and in short ones, where threads wait for it most of the time."""
        code = f"""
import threading, time, numpy as np, fullyconnected as fc
x = np.zeros(({rows}, 50), np.float32)
begun = threading.Event()
how = dict(epochs=10**6, engine="native", n_threads=2, progress=False)
how["schedule"] = lambda epoch: begun.set() or 1.0
for _ in range({threads}):
    net = fc.mlp([50, {units}, 1])
    threading.Thread(target=lambda net=net: fc.fit(net, x, x[:, 0], "half_squared_error", **how), daemon=True).start()
begun.wait()
time.sleep(0.1)
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.5)
slow = Slow()
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")

    def test_batches_of_weight_zero_make_no_step(self):
        weights = np.repeat([0.0, 1.0, 0.0, 2.0], 16)
        ways = []
        for engine in ("numpy", "native"):
            net, history = fitted(sample_weight=weights, batch_size=16, shuffle=False, engine=engine)
            ways.append((net.theta, history.loss))
        np.testing.assert_allclose(ways[0][0], ways[1][0], rtol=1e-5)
        np.testing.assert_allclose(ways[0][1], ways[1][1], rtol=1e-5)

    def test_the_loss_of_an_epoch_is_the_same(self):
        for how in ({"l2": 0.1}, {"max_grad_norm": 1e-3, "l2": 0.1}, {"batch_size": 7}, {"optimizer": fc.AdamW()}):
            losses = [fitted(fc.mlp([3, 9, 2], seed=1), engine=e, **how)[1].loss for e in ("numpy", "native")]
            np.testing.assert_allclose(*losses, rtol=1e-5)

    def test_gradients_are_clipped_where_their_squares_overflow(self):
        for dtype, size in ((np.float32, 1e25), (np.float64, 1e170)):
            ways = []
            for engine in ("numpy", "native"):
                net = fc.mlp([1, 1], dtype=dtype, seed=0)
                fc.fit(
                    net, [[1.0]], [size], "absolute_error", fc.SGD(1.0), epochs=1, engine=engine, progress=False,
                    max_grad_norm=0.5,
                )  # fmt: skip
                ways.append(net.theta)
            np.testing.assert_allclose(*ways, rtol=1e-6)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("epsilon", [1e-30, 1e-8, 1.0])
    def test_steps_divide_by_any_size_of_gradient(self, dtype, epsilon):
        """From 0 and the smallest whose squares are normal numbers, up to those that overflow, where the step is 0."""
        least, most = (1e-15, 1e25) if dtype == np.float32 else (1e-140, 1e170)
        x = np.diag(np.concatenate([[0.0], np.geomspace(least, most, 40)])).astype(dtype)
        for optimizer in (
            fc.Adam(0.1, epsilon=epsilon),
            fc.Adam(0.1, epsilon=epsilon, epsilon_hat=True),
            fc.RMSProp(0.1, epsilon=epsilon),
        ):
            ways = []
            for engine in ("numpy", "native"):
                net = fc.Network([fc.Dense(len(x), 1, init="zeros", bias=False)], dtype=dtype)
                fc.fit(
                    net, x, np.ones(len(x)), "absolute_error", optimizer, epochs=1, batch_size=len(x), engine=engine,
                    progress=False, warn=False,
                )  # fmt: skip
                ways.append(net.theta)
            assert ways[0][-1] == 0
            assert ways[0][20] > 0
            normal = np.abs(ways[0]) > 1e3 * np.finfo(dtype).tiny  # the engine takes smaller numbers for 0
            np.testing.assert_allclose(ways[1][normal], ways[0][normal], rtol=20 * np.finfo(dtype).eps)
            assert np.abs(ways[1][~normal]).max() <= 1e3 * np.finfo(dtype).tiny

    def test_parameters_begin_with_a_cache_line(self):
        """So a wide vector of them lies in one line; the engine is some percent faster then."""
        for dtype in (np.float32, np.float64):
            net = fc.mlp([3, 5, 2], dtype=dtype, seed=0)
            assert net.theta.ctypes.data % 64 == 0
            assert net.theta.flags.c_contiguous
            assert len(pickle.dumps(net.theta)) < net.theta.nbytes + 200

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("rows", [1, 2, 5, 251, 252, 253, 600, 1000])
    def test_a_row_is_predicted_alike_in_any_company(self, rows, dtype):
        """To the last bit: the engine adds up in an order that the depth of a product alone decides, not its rows."""
        layers = [fc.Dense(5, 700, "tanh"), fc.LayerNorm(), fc.Dense(700, 33, "gelu"), fc.Dense(33, 2)]
        net = fc.Network(layers, dtype=dtype, seed=0)
        x = np.random.default_rng(0).normal(size=(1000, 5)).astype(dtype)
        z = net.predict(x, engine="native")
        assert np.array_equal(z[:rows], net.predict(x[:rows], engine="native"))
        assert np.array_equal(z[-rows:], net.predict(x[-rows:], engine="native"))

    @pytest.mark.parametrize("sizes", WIDE)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_row_of_a_wide_network_is_predicted_alike_by_any_threads(self, sizes, dtype, pairwise):
        """They share few rows by columns, and many by rows; rows are read, and outputs written, in place or not."""
        every = pairwise(itertools.product(WIDE, [np.float32, np.float64], (1, 2, 3, 5)))
        net = fc.mlp(sizes, dtype=dtype, seed=0)
        x = np.random.default_rng(0).normal(size=(770, sizes[0])).astype(dtype)
        z = net.predict(x, engine="native", n_threads=1)
        np.testing.assert_allclose(z, net.predict(x, engine="numpy"), rtol=1e-3, atol=1e-4)
        for n_threads in (threads for *case, threads in every if case == [sizes, dtype]):
            many = (385, 770) if n_threads == 2 else (385,)  # a block and more for each thread
            for rows in (1, 2, 6, 13, 48, 49, *many, 5):  # the memory grows, and is larger than it has to be
                for _ in range(2 if rows < 50 else 1):  # of short calls, the first is made by one thread alone
                    assert np.array_equal(net.predict(x[-rows:], engine="native", n_threads=n_threads), z[-rows:])
        for i in range(100):
            assert np.array_equal(net.predict(x[i : i + 1]), z[i : i + 1])

    def test_a_prediction_reads_rows_of_any_layout_and_writes_nothing_beside_its_outputs(self):
        net = fc.mlp([300, 600, 600, 7], seed=0)
        x = np.random.default_rng(0).normal(size=(50, 300)).astype(np.float32)
        z = net.predict(x, engine="native")
        unaligned = np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
        for same in (unaligned, np.asfortranarray(x), x.astype(float), x.astype(">f4"), np.repeat(x, 2, axis=0)[::2]):
            for rows in (1, 3, 50):
                assert np.array_equal(net.predict(same[:rows], engine="native", n_threads=2), z[:rows])
        out = np.full((52, 7), 5, np.float32)
        net.predict(x, engine="native", n_threads=2, out=out[1:-1])
        assert np.array_equal(out[1:-1], z)
        assert (out[[0, -1]] == 5).all()
        kept = x.copy()
        net.predict(x[:1])
        assert np.array_equal(x, kept)

    @pytest.mark.parametrize("kind", ["tabm", "mini", "packed"])
    def test_rows_of_wide_members_are_predicted_alike_by_any_threads(self, kind):
        net = fc.Network(
            [fc.Members(5, [fc.Dense(300, 600, "relu"), fc.Dense(600, 600), fc.Dense(600, 3)], kind=kind)], seed=0
        )
        x = np.random.default_rng(0).normal(size=(90, 300)).astype(np.float32)  # more than run together
        z = net.predict(x, engine="native", n_threads=1, members=True)
        for n_threads in (2, 3):
            for rows in (1, 4, 30, 48, 90):
                again = net.predict(x[:rows], engine="native", n_threads=n_threads, members=True)
                assert np.array_equal(again, z[:rows])

    def test_python_threads_predict_rows_of_a_wide_network_at_once(self, monkeypatch):
        monkeypatch.setattr(native_module, "n_threads", lambda n=None: n or 2)
        net = fc.mlp([300, 600, 600, 7], seed=0)
        x = np.random.default_rng(0).normal(size=(50, 300)).astype(np.float32)
        z, wrong = net.predict(x), []

        def work(_):
            for i in range(100):
                rows = 1 + i % 13  # some are over soon, and others release the GIL
                if not np.array_equal(net.predict(x[i % 30 :][:rows]), z[i % 30 :][:rows]):
                    wrong.append(i)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert wrong == []

    def test_a_row_of_a_wide_network_alone_asks_for_the_number_of_threads(self, monkeypatch):
        asked = []
        monkeypatch.setattr(native_module, "n_threads", lambda n=None: asked.append(n) or 2)
        wide, narrow = fc.mlp([300, 600, 600, 7], seed=0), fc.mlp([3, 10, 7], seed=0)
        for net in (wide, narrow):
            x = np.zeros((1, net.n_in), np.float32)
            net.predict(x)
            asked.clear()
            for _ in range(3):
                time.sleep(0.011)  # an answer holds for 10 ms
                net.predict(x)
            assert bool(asked) == (net is wide)

    def test_a_prediction_checks_what_it_is_given(self):
        net = fc.mlp([3, 4, 1], seed=0)
        good = np.zeros((2, 3), np.float32)
        for _ in range(2):  # at the second call there is a predictor that takes such rows as they are
            expected = net.predict(good)
            for same in (good.astype(float), good.tolist(), np.asfortranarray(good), good.astype(int), good[:, None]):
                assert np.array_equal(net.predict(same), expected)
            for bad in (
                np.array(3.0),
                good + np.nan,
                good + np.inf,
                good[:, :2],
                good[0],
                good.astype(complex),
                "x",
                None,
            ):
                with pytest.raises(fc.errors.FullyConnectedError):
                    net.predict(bad)
            with pytest.raises(fc.errors.DataError, match="too large"):
                net.predict(np.full((1, 3), 1e300))
        read_only = good.copy()
        read_only.flags.writeable = False
        assert np.array_equal(net.predict(read_only), expected)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("rows", [1, 40, 400])
    @pytest.mark.parametrize("sizes", [(3, 4, 1), (300, 320, 320, 7)])
    def test_rows_are_checked_wherever_a_wrong_number_is(self, sizes, rows, dtype, monkeypatch):
        """The threads check the rows that they predict, few of wide networks and many of any."""
        monkeypatch.setattr(native_module, "n_threads", lambda n=None: n or 3)
        net = fc.mlp(sizes, dtype=dtype, seed=0)
        good = np.random.default_rng(0).normal(size=(rows, sizes[0]))
        for kind in (np.float32, np.float64):
            x = good.astype(kind)
            expected = net.predict(x.astype(dtype))
            largest = float(np.finfo(np.float32 if np.float32 in (kind, dtype) else np.float64).max)
            for _ in range(2):  # at the second call there is a predictor that checks rows itself
                assert np.array_equal(net.predict(x), expected)
                for i, j in ((0, 0), (rows // 2, 1), (rows - 1, sizes[0] - 1)):
                    for value in (
                        np.nan,
                        -np.inf,
                        np.inf if kind is np.float32 else 1.0000001 * float(np.finfo(np.float32).max),
                    ):
                        wrong = x.copy()
                        wrong[i, j] = value
                        if not abs(value) <= largest:
                            with pytest.raises(fc.errors.DataError, match=rf"x\[{i}, {j}\]"):
                                net.predict(wrong)
                        else:
                            net.predict(wrong)
                    x[i, j] = -largest
                    with np.errstate(all="ignore"):
                        net.predict(x)
                    x[i, j] = good[i, j]
                assert np.array_equal(net.predict(x), expected)

    @pytest.mark.parametrize("engine", ["auto", "native", "numpy"])
    @pytest.mark.parametrize("n_threads", [0, -1, 1025, 10**30, 1.5, "2", True])
    def test_a_wrong_number_of_threads_is_refused_by_every_call(self, n_threads, engine):
        net, x = fc.mlp([3, 4, 1], seed=0), np.zeros((5000, 3), np.float32)
        for rows in (0, 1, 1, 5, 5000):
            with pytest.raises((ConfigError, InputTypeError), match="n_threads"):
                net.predict(x[:rows], n_threads=n_threads, engine=engine)
        with pytest.raises((ConfigError, InputTypeError), match="n_threads"):
            fc.fit(net, x, x[:, 0], "half_squared_error", n_threads=n_threads, engine=engine)

    @pytest.mark.parametrize(
        ("parts", "width"),
        [
            ([([0, 1], fc.Dense(2, 3, "tanh"))], 4),
            ([([1, 0], fc.LayerNorm())], 3),
            ([([0, 1], fc.Dense(2, 2)), ([3], fc.OneHot(4))], 7),
            ([([0], fc.Dense(1, 2)), ([1, 3], fc.Dense(2, 2))], 5),
        ],
    )
    @pytest.mark.parametrize("first", [False, True])
    def test_numbers_beyond_float32_are_refused_in_any_column_that_is_read_as_it_is(self, parts, width, first):
        wide = [([2], fc.Standardize(mean=[0.0], scale=[1e200]))]  # whose arithmetic is in float64
        net = fc.Network([fc.Columns(parts + wide if first else wide + parts), fc.Dense(width, 2)], seed=0)
        x = np.zeros((3, net.n_in))
        x[:, 2] = 1e201
        expected = net.predict(x)
        assert np.array_equal(net.predict(x), expected)
        assert np.isfinite(expected).all()
        for value in (1e39, -1e300):
            wrong = x.copy()
            wrong[1, 0] = value
            for _ in range(2):
                with pytest.raises(DataError, match=r"x\[1, 0\] is .*, too large for a network of float32"):
                    net.predict(wrong)

    @pytest.mark.parametrize("members", [True, "yes", 1, None])
    def test_wrong_members_are_refused_by_every_prediction(self, members):
        net = fc.mlp([3, 4, 1], seed=0)
        for _ in range(3):
            with pytest.raises((ConfigError, InputTypeError), match="members"):
                net.predict(X, members=members)
            net.predict(X)

    def test_weights_of_a_file_that_change_meanwhile_stop_no_thread(self, tmp_path):
        code = f"""
import threading, time, numpy as np, fullyconnected as fc
weights = np.lib.format.open_memmap({str(tmp_path / "weights.npy")!r}, "w+", np.float64, (200,))
weights[:] = 1
x = np.ones((200, 60), np.float32)
done = threading.Event()

def change():
    while not done.is_set():
        weights[...] = 0
        weights[...] = 1

threading.Thread(target=change, daemon=True).start()
end = time.monotonic() + 2
while time.monotonic() < end:
    net = fc.mlp([60, 100, 1], seed=0)
    try:
        fc.fit(net, x, x[:, 0], "half_squared_error", sample_weight=weights, batch_size=100, epochs=50, n_threads=3,
               progress=False, warn=False, engine="native")
    except (fc.errors.DataError, fc.errors.DivergenceError):  # all of them were 0, or of a batch some were
        pass
done.set()
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def test_rows_that_change_meanwhile_stop_no_thread(self):
        code = """
import threading, time, numpy as np, fullyconnected as fc
from fullyconnected.engine import native_engine
native_engine.n_threads = lambda n=None: n or 3
x = np.ones((8, 512), np.float32)
net = fc.mlp([512, 1024, 4], seed=0)  # which is long enough to let other threads of Python run, and to share rows
net.predict(x)
done = threading.Event()

def change():
    while not done.is_set():
        x[7, 511] = np.nan
        x[7, 511] = 1

threading.Thread(target=change, daemon=True).start()
outcomes, end = set(), time.monotonic() + 2
while time.monotonic() < end:
    try:
        net.predict(x)
        outcomes.add("predicted")
    except fc.errors.DataError:
        outcomes.add("refused")
done.set()
print(*sorted(outcomes))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "predicted" in done.stdout

    @pytest.mark.parametrize("rows", ["float16", "every other column", "another byte order"])
    def test_a_prediction_copies_a_block_at_a_time(self, rows):
        x = np.zeros((300000, 20), {"float16": "f2", "every other column": "f4", "another byte order": ">f4"}[rows])
        x = x[:, ::2] if rows == "every other column" else x[:, :10].copy()
        net = fc.mlp([10, 1], seed=0)
        net.predict(x[:2])
        tracemalloc.start()
        z = net.predict(x, engine="native")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < z.nbytes + 3 * 4 * 2**20
        np.testing.assert_array_equal(z, net.predict(x.astype(np.float32)))

    def test_validation_keeps_to_the_number_of_threads(self, monkeypatch):
        asked = []
        monkeypatch.setattr(native_module, "n_threads", lambda n=None: asked.append(n) or n or 2)
        fitted(validation=(X, T), n_threads=1)
        assert set(asked) == {1}

    def test_a_prediction_only_reads_the_weights(self):
        net = fc.mlp([3, 4, 1], seed=0)
        expected = net.predict(X, engine="numpy")
        net.theta.flags.writeable = False
        np.testing.assert_allclose(net.predict(X, engine="native"), expected, rtol=1e-5)

    def test_a_prediction_follows_the_weights(self):
        net = fc.mlp([3, 1], seed=0)
        first = net.predict(X)
        net.theta *= 2
        np.testing.assert_allclose(net.predict(X), 2 * first, rtol=1e-6)
        assert np.array_equal(net.copy().predict(X), net.predict(X))

    def test_python_threads_train_and_predict_at_once(self):
        net = fc.mlp([3, 100, 2], seed=0)
        x = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32)
        expected, results = net.predict(x), []

        def work(_):
            own = net.copy()
            fc.fit(own, x, x[:, :2], "half_squared_error", epochs=3, progress=False, engine="native", n_threads=2)
            results.append((own.theta.tobytes(), net.predict(x).tobytes()))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert len(set(results)) == 1
        assert results[0][1] == expected.tobytes()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_forked_process_trains_on(self):
        net, x = fc.mlp([50, 200, 2], seed=0), np.random.default_rng(0).normal(size=(500, 50)).astype(np.float32)

        def train():
            own = net.copy()
            fc.fit(own, x, x[:, :2], "half_squared_error", epochs=2, progress=False, engine="native", n_threads=2)
            return own.theta.tobytes()

        expected = train()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(_call, [None, None]) == ["ok", "ok"]
        child = os.fork()
        if child == 0:
            os._exit(0 if train() == expected else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert train() == expected

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_a_process_that_is_forked_during_a_call_does_not_wait_for_ever(self):
        code = """
import os, resource, signal, time, numpy as np, fullyconnected as fc
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
net, children, rows, began, ended = fc.mlp([64, 512, 512, 10], seed=0), [], 125, 0, 0
while ended - began < 0.3:  # a signal is answered in a call that is so long
    x, began = np.ones((2 * rows, 64), np.float32), time.monotonic()
    expected, ended, rows = net.predict(x, n_threads=2), time.monotonic(), 2 * rows

def handler(*_):
    children.append(os.fork())
    assert np.array_equal(net.predict(x[:100], n_threads=2), expected[:100])

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
while not children:
    z = net.predict(x, n_threads=2)
if children[0] == 0:  # the handler came between two calls
    os._exit(0)
assert np.array_equal(z, expected)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) in (0, -signal.SIGABRT)
        assert ("its threads are in the other process" in done.stderr) == (int(done.stdout) != 0)

    @pytest.mark.usefixtures("signals")
    @pytest.mark.parametrize("what", ["many steps", "one long step"])
    def test_ctrl_c_is_answered_within_an_epoch(self, what):
        """In half the time that the epoch still needs, on whatever machine: one is timed before."""
        code = f"""
import os, signal, threading, time, numpy as np, fullyconnected as fc
rows, batch = (200000, 1) if {what!r} == "many steps" else (20000, 20000)
width = 80 if batch == 1 else 800
x = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
net, steps, asked, begun, sent = fc.mlp([width, width, width, 1], seed=0), rows // batch, [], [], []
def press():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
def schedule(epoch):  # an engine asks for the rates of all steps of an epoch right before it begins
    if round(epoch * steps) % steps == 0:
        asked.append(time.monotonic())
    if round(epoch * steps) % steps == steps - 1:
        begun.append(time.monotonic())
        if len(begun) == 3:  # the first epoch warms up, the second tells how long one takes
            threading.Timer(0.2 * (asked[2] - begun[1]), press).start()
    return 1.0
history = fc.fit(net, x, np.zeros(rows), "half_squared_error", fc.SGD(1e-9), batch_size=batch, epochs=1000,
                 progress=False, engine="native", schedule=schedule)
answered = time.monotonic()
print(history.interrupted, len(history.loss), bool(np.isfinite(net.theta).all()))
print(answered - sent[0], 0.8 * (asked[2] - begun[1]))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
        assert done.stderr == ""
        said, times = done.stdout.splitlines()
        assert said == "True 2 True"
        answered, left = map(float, times.split())
        assert answered < left / 2

    def test_the_threads_and_the_memory_of_an_engine_are_given_back(self):
        def count():
            return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0

        x = np.zeros((256, 300), np.float32)
        net = fc.mlp([300, 300, 1], seed=0)
        fc.fit(net, x, x[:, 0], "half_squared_error", epochs=1, progress=False, engine="native", n_threads=3)
        before = count()
        for _ in range(20):
            fc.fit(net, x, x[:, 0], "half_squared_error", epochs=1, progress=False, engine="native", n_threads=3)
        assert count() <= before
        for threads in (*range(2, 12), 2, 2, 2, 3, 2, 3, 4, 5):  # those of other numbers do not stay for good
            fc.fit(net, x, x[:, 0], "half_squared_error", epochs=1, progress=False, engine="native", n_threads=threads)
        for _ in range(1000):  # they end by themselves, as soon as they are given a processor
            if count() <= before + 12:
                break
            time.sleep(0.01)
        assert count() <= before + 12


def _call(_):
    x = np.random.default_rng(0).normal(size=(500, 50)).astype(np.float32)
    net = fc.mlp([50, 200, 2], seed=0)
    fc.fit(net, x, x[:, :2], "half_squared_error", epochs=1, progress=False, engine="native", n_threads=2)
    return "ok"


@needs_native
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_product_that_is_timed_is_computed(turned, threads):
    m, n, k = 37, 20, 301
    a, b = (np.arange(m * k) % 7 - 3).astype(np.float32), (np.arange(k * n) % 5 - 2).astype(np.float32)
    out = np.empty((m, n), np.float32)
    assert native_module.load_extension().product_seconds(m, n, k, *turned, threads, 2, out) > 0
    a, b = a.reshape(k, m).T if turned[0] else a.reshape(m, k), b.reshape(n, k).T if turned[1] else b.reshape(k, n)
    np.testing.assert_array_equal(out, a @ b)


@needs_native
def test_a_product_does_not_fit_into_another_shape():
    with pytest.raises(ValueError, match="another shape"):
        native_module.load_extension().product_seconds(3, 4, 5, False, False, 1, 1, np.empty((4, 3), np.float32))
