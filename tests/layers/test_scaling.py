"""Standardize and Rescale: constants of the data at both ends of a network, in float64 whatever its dtype."""

import copy
import json
import pickle
import re

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.program.data import BatchLoader, check_data
from fullyconnected.program.workspace import Workspace

RNG = np.random.default_rng(0)
STAMPS = 1e9 + RNG.uniform(-1, 1, 60)
X = np.c_[STAMPS, RNG.normal(size=60) * 1e-6, RNG.normal(size=60) * 1e5 + 3, np.full(60, 0.1)]
T = (np.tanh(STAMPS - 1e9) * 50 + X[:, 2] * 1e-4 + 1000)[:, None]
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
ENGINES = pytest.mark.parametrize("engine", [name for name, info in fc.engines().items() if info.available])


def network(dtype="float32", seed=0):
    layers = [fc.Standardize.fit(X), fc.Dense(4, 8, "tanh"), fc.Dense(8, 1), fc.Rescale.fit(T)]
    return fc.Network(layers, dtype=dtype, seed=seed)


class TestConstants:
    def test_weighted_mean_and_population_deviation(self):
        w = RNG.integers(0, 4, 60)
        layer, repeated = fc.Standardize.fit(X, w), np.repeat(X, w, axis=0)
        np.testing.assert_allclose(layer.mean, repeated.mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(layer.scale[:3], repeated.std(axis=0)[:3], rtol=1e-9)
        assert fc.Standardize.fit(X, w * 1e30).scale == pytest.approx(layer.scale, rel=1e-12)

    def test_a_column_that_does_not_vary_has_scale_1(self):
        assert fc.Standardize.fit(X).scale[3] == 1
        for value in (0.0, 0.1, 1e300, -1e9):
            assert fc.Standardize.fit(np.full((1000, 1), value)).scale == (1.0,)
        for far in (2.0**-900, 2.0**-570, 2.0**570, 2.0**950):
            layer, near = fc.Standardize.fit(X * far), fc.Standardize.fit(X)
            assert layer.scale == (*(far * each for each in near.scale[:3]), 1.0)
            assert layer.mean == tuple(far * each for each in near.mean)
        assert fc.Standardize.fit([[1.0, 5.0], [9.0, 7.0]], [1, 0]) == fc.Standardize(mean=[1.0, 5.0])

    def test_a_block_at_a_time_and_of_any_dtype(self, monkeypatch):
        whole = fc.Standardize.fit(X)
        monkeypatch.setattr("fullyconnected.layers.scaling.BLOCK", 28)
        np.testing.assert_allclose(fc.Standardize.fit(X).scale, whole.scale, rtol=1e-12)
        counts = RNG.integers(0, 200, (60, 2, 3))
        for dtype in ("uint8", "int64", "float16", "longdouble", ">i4"):
            layer = fc.Standardize.fit(counts.astype(dtype))
            np.testing.assert_allclose(layer.mean, counts.reshape(60, 6).mean(axis=0), rtol=1e-12)

    def test_sparse_rows_as_dense_ones(self):
        sparse = pytest.importorskip("scipy.sparse")
        x = RNG.normal(size=(60, 5)) * (RNG.random((60, 5)) < 0.3)
        w = RNG.random(60)
        for kind in (sparse.csr_array, sparse.coo_array, sparse.csc_matrix):
            assert fc.Standardize.fit(kind(x), w) == fc.Standardize.fit(x, w)

    def test_numbers_for_all_columns(self):
        assert fc.Standardize(3, scale=255) == fc.Standardize(mean=[0, 0, 0], scale=[255.0] * 3)
        assert fc.Standardize(scale=np.array([2, 4])).n_in == 2
        assert eval(repr(fc.Standardize(784, 1, 255)), vars(fc)) == fc.Standardize(784, 1, 255)
        assert len(repr(fc.Standardize(mean=range(784)))) < 100

    @pytest.mark.parametrize(
        ("call", "error", "said"),
        [
            (
                lambda: fc.Standardize(),
                errors.ShapeError,
                r"neither n_in nor a list. From data: Standardize.fit",
            ),
            (lambda: fc.Standardize(2, [1.0]), errors.ShapeError, "n_in 2 and mean 1"),
            (lambda: fc.Standardize(mean=[[1.0]]), errors.ShapeError, r"one for each column; got the shape \(1, 1\)"),
            (lambda: fc.Standardize(mean=[1.0, np.nan]), errors.DataError, r"mean of Standardize\[1\] is nan"),
            (lambda: fc.Rescale(scale=[1.0, 0.0]), errors.ConfigError, "scale of Rescale must be positive; the least"),
            (lambda: fc.Standardize(mean=["a"]), errors.InputTypeError, "mean of Standardize has dtype"),
            (lambda: fc.Standardize(True), errors.InputTypeError, "n_in is a whole number"),
            (lambda: fc.Standardize.fit([1.0, 2.0]), errors.ShapeError, "For a column: x"),
            (lambda: fc.Standardize.fit(np.empty((0, 3))), errors.ShapeError, "x has no rows"),
            (lambda: fc.Standardize.fit([[1.0], [np.inf]]), errors.DataError, r"x\[1, 0\] is inf"),
            (lambda: fc.Standardize.fit([[1.0]], [-1.0]), errors.DataError, "weights are 0 or more"),
            (lambda: fc.Standardize.fit([[1.0]], [1.0, 2.0]), errors.ShapeError, "sample_weight"),
        ],
    )
    def test_what_is_refused(self, call, error, said):
        with pytest.raises(error, match=said):
            call()

    def test_they_are_no_parameters(self):
        net = network()
        assert net.n_params == 4 * 8 + 8 + 8 + 1
        assert "constants: 10 numbers of the data in float64" in net.summary(width=100)
        before = net.layers
        fc.fit(net, X, T, "half_squared_error", epochs=2, l2=0.5, progress=False)
        assert net.layers == before


class TestItsPlace:
    @pytest.mark.parametrize(
        "layers",
        [
            [fc.Dense(2, 2), fc.Standardize(2)],
            [fc.Residual([fc.Standardize(2)])],
            [fc.Standardize(2), fc.Standardize(2)],
        ],
    )
    def test_it_stands_at_the_beginning_alone(self, layers):
        with pytest.raises(errors.ConfigError, match="a network can begin with it, and it can stand nowhere else"):
            fc.Network(layers)

    def test_the_width_is_checked(self):
        with pytest.raises(errors.ShapeError, match="takes 3 columns, and what comes before it gives 2"):
            fc.Network([fc.Standardize(2), fc.Dense(3, 1)])
        with pytest.raises(errors.ShapeError, match="the network takes 2"):
            fc.Network([fc.Standardize(2), fc.Dense(2, 1)]).predict([[1.0, 2.0, 3.0]])


@ENGINES
class TestPrecision:
    def test_timestamps_survive_in_float32(self, engine):
        net = fc.Network([fc.Standardize(mean=[1e9], scale=[0.5]), fc.Dense(1, 1, init="ones")])
        for x in (STAMPS[:, None], np.asfortranarray(STAMPS[:, None])):
            z = net.predict(x, engine=engine)
            np.testing.assert_array_equal(z[:, 0], ((STAMPS - 1e9) / 0.5).astype(np.float32))
        whole = np.array([[10**9 + 1], [10**9 - 2]])
        assert net.predict(whole, engine=engine).ravel().tolist() == [2, -4]
        t = np.sin(3 * (STAMPS - 1e9))
        net = fc.Network([fc.Standardize.fit(STAMPS[:, None]), fc.Dense(1, 16, "tanh"), fc.Dense(16, 1)], seed=0)
        fc.fit(net, STAMPS[:, None], t, "half_squared_error", fc.Adam(0.01), epochs=300, batch_size=20, seed=0,
               progress=False, engine=engine)  # fmt: skip
        assert net.evaluate(STAMPS[:, None], t, "half_squared_error", ["r2"], engine=engine).metrics["r2"] > 0.95

    @DTYPES
    def test_the_same_as_training_on_scaled_numbers(self, engine, dtype):
        scaled = (X - np.array(fc.Standardize.fit(X).mean)) / np.array(fc.Standardize.fit(X).scale)
        inside, outside = network(dtype), fc.Network(network(dtype).layers[1:], dtype=dtype, seed=0)
        outside.theta = inside.theta
        for net, x in ((inside, X), (outside, scaled)):
            fc.fit(net, x, T, "half_squared_error", fc.SGD(1e-4), epochs=5, seed=1, batch_size=16, progress=False,
                   engine=engine, warn=False)  # fmt: skip
        np.testing.assert_array_equal(inside.theta, outside.theta)
        np.testing.assert_array_equal(inside.predict(X, engine=engine), outside.predict(scaled, engine=engine))

    def test_overflow_in_float64_alone_is_refused(self, engine):
        net = fc.Network([fc.Standardize(scale=[1e200]), fc.Dense(1, 1, init="ones")])
        assert net.predict([[2e200]], engine=engine).item() == 2
        with pytest.raises(errors.DataError, match="inf"):
            net.predict([[np.inf]], engine=engine)
        with pytest.raises(errors.DataError, match="nan"):
            net.predict([[np.nan]])


@DTYPES
class TestGradients:
    def test_of_rows_of_every_scale(self, dtype):
        net = network(dtype)
        for engine in ("numpy", *(["native"] if fc.engines()["native"].available else [])):
            report = fc.check_gradients(net, X[:7], T[:7], "half_squared_error", l2=0.1, engine=engine)
            assert report.ok, report
            assert {tensor.name: tensor.verdict for tensor in report.tensors}["x"] == "ok"

    def test_a_wrong_one_is_found(self, dtype, monkeypatch):
        backward = fc.Standardize.backward

        def wrong(self, p, x, c, y, dy, g, dx):
            backward(self, p, x, c, y, dy, g, dx)
            if dx is not None:
                dx *= 1.002

        monkeypatch.setattr(fc.Standardize, "backward", wrong)
        assert fc.check_gradients(network(dtype), X[:7], T[:7], "half_squared_error").wrong


class TestEverythingElse:
    @DTYPES
    def test_files_and_copies_keep_every_digit(self, dtype, tmp_path):
        net = network(dtype)
        net.save(tmp_path / "net.safetensors")
        for twin in (fc.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert twin.layers == net.layers
            assert twin.predict(X).tobytes() == net.predict(X).tobytes()

    def test_a_file_with_other_constants_is_refused(self, tmp_path):
        path = tmp_path / "net.safetensors"
        network().save(path)
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        key = next(key for key, value in header["__metadata__"].items() if "standardize" in value)
        description = json.loads(header["__metadata__"][key])
        for wrong in ([1.0], "abc", [1.0, 2.0, 3.0, None], {"a": 1}):
            description["layers"][0]["settings"]["scale"] = wrong
            header["__metadata__"][key] = json.dumps(description)
            new = json.dumps(header).encode()
            path.write_bytes(len(new).to_bytes(8, "little") + new + content[8 + size :])
            with pytest.raises(errors.FileFormatError):
                fc.load(path)

    def test_no_warning_about_scales(self):
        net = network()
        fc.fit(net, X, T, "half_squared_error", epochs=1, progress=False)  # a warning would be an error here
        found = {each.name for each in fc.diagnose(net, X, T, "half_squared_error").findings}
        assert not found & {"features_unscaled", "targets_unscaled", "gradients_exploding"}

    def test_a_resumed_run_has_the_same_bits(self, tmp_path):
        settings = {"seed": 0, "progress": False, "batch_size": 16}
        whole, parts = network(), network()
        fc.fit(whole, X, T, "huber", epochs=4, **settings)
        for epochs in (2, 4):
            fc.fit(parts, X, T, "huber", epochs=epochs, checkpoint=tmp_path / "run.safetensors", **settings)
        assert whole.theta.tobytes() == parts.theta.tobytes()
        other = fc.Network([fc.Standardize(4), *whole.layers[1:]], seed=0)
        with pytest.raises(errors.CheckpointError, match="layer 0"):
            fc.fit(other, X, T, "huber", epochs=5, checkpoint=tmp_path / "run.safetensors", warn=False, **settings)

    def test_sparse_rows_are_dense_a_batch_at_a_time(self, monkeypatch):
        sparse = pytest.importorskip("scipy.sparse")
        x = X * (RNG.random(X.shape) < 0.5)
        a, b = network(), network()
        for net, rows in ((a, x), (b, sparse.csr_array(x))):
            fc.fit(net, rows, T, "huber", epochs=2, seed=0, batch_size=16, engine="numpy", progress=False)
        assert a.theta.tobytes() == b.theta.tobytes()
        np.testing.assert_array_equal(a.predict(x, engine="numpy"), b.predict(sparse.csr_array(x), engine="numpy"))

    def test_a_step_allocates_nothing_of_batch_size(self):
        import tracemalloc

        net, x = network(), np.tile(X, (200, 1))
        data = check_data(net.program, net.dtype, x, np.tile(T, (200, 1)), "huber")
        loader = BatchLoader(data, Workspace(net.program, net.theta, net.state, len(x), loss=data.loss, source=data.x))
        rows = np.arange(len(x))
        loader.load(rows)[0].loss_and_gradient(train=True)
        tracemalloc.start()
        loader.load(rows)[0].loss_and_gradient(train=True)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200_000 < len(x) * 4 * 8  # NumPy converts numbers in pieces of 8192

    def test_it_is_explained_and_drawn(self):
        net = network("float64")
        found = fc.explain(net, X[:2], T[:2], "half_squared_error", "sgd", focus="x[0,1]")
        assert "y1 = (x - mean1) / scale1" in str(found)
        assert "dL/dx = dL/dy1 / scale1" in str(found)
        assert found.trace.ok
        assert fc.draw(net, X[:2], T[:2], "half_squared_error").startswith("<svg")
        assert fc.draw(net, X[:2]).startswith("<svg")

    @pytest.mark.parametrize("form", ["text", "markdown", "html", "json", "python"])
    def test_in_every_form_and_in_focus(self, form):
        from fullyconnected.explanation import focus_on
        from fullyconnected.explanation.forms import FORMS
        from fullyconnected.explanation.recorder import recorded

        recorder, record = recorded(network(), X[:2], T[:2], fc.HalfSquaredError(), "adam", 0.1, None, True, 0, None)
        assert all(not step.error > 1e-6 for step in record.steps if step.phase != "check")
        for focus in (None, "x[0,1]", "dense_1.W[0,1]"):
            found = FORMS[form].render(record, None if focus is None else focus_on(recorder, record, focus))
            if focus != "dense_1.W[0,1]":  # which the constants do not concern
                assert re.search(r"scale1|scale\}?_\{?1|scale<", found)


def test_a_layer_of_ones_own_may_read_the_rows_as_they_are_given():
    class Seconds(fc.Layer):
        name, n_in, n_out, reads_raw = "seconds", 1, 1, True

        def forward(self, p, x, c, y, *, train):
            assert x.dtype == np.float64
            y[...] = np.sin(x - 1e9)

        def backward(self, p, x, c, y, dy, g, dx):
            if dx is not None:
                dx[...] = dy * np.cos(x - 1e9)

    net, x = fc.Network([Seconds(), fc.Dense(1, 1, init="ones")]), STAMPS[:, None]
    history = fc.fit(net, x, np.sin(x - 1e9), "huber", fc.SGD(1e-30), epochs=1, progress=False)
    assert history.loss[0] < 1e-12
    assert history.engine == "numpy"
    np.testing.assert_array_equal(net.predict(x), np.sin(x - 1e9).astype(np.float32))
    small = fc.Network([Seconds(), fc.Dense(1, 1)], dtype="float64", seed=0)
    assert fc.check_gradients(small, [[0.25], [0.5]], [[0.0], [1.0]], "huber").ok
