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
        monkeypatch.setattr("fullyconnected.layers.statistics.BLOCK", 28)
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


class TestRobust:
    def test_median_and_quartiles(self):
        far = X.copy()
        far[0] = 1e15
        layer = fc.Standardize.fit(far, robust=True)
        low, middle, high = np.quantile(far, (0.25, 0.5, 0.75), axis=0)
        np.testing.assert_array_equal(layer.mean, middle)
        np.testing.assert_array_equal(layer.scale[:3], (high - low)[:3])
        assert layer.scale[3] == 0.5 * (1e15 - 0.1)  # the quartiles are equal, and the range is not 0
        assert fc.Standardize.fit(np.full((9, 1), 7.0), robust=True) == fc.Standardize(1, mean=7.0, robust=True)

    def test_weights(self):
        w = RNG.integers(0, 4, 61)
        x = RNG.normal(size=(61, 2))
        repeated = np.repeat(x, w, axis=0)
        layer = fc.Standardize.fit(x, w, robust=True)
        low, middle, high = np.quantile(repeated, (0.25, 0.5, 0.75), axis=0, method="inverted_cdf")
        np.testing.assert_allclose(layer.mean, middle)
        np.testing.assert_allclose(layer.scale, high - low)
        assert fc.Standardize.fit(x, w > 1, robust=True) == fc.Standardize.fit(x[w > 1], robust=True)

    @pytest.mark.parametrize("unit", [0.1, 1 / 3, 0.7, 1e-9, 3e5])
    def test_the_unit_of_weights_changes_nothing_where_they_reach_a_quartile_exactly(self, unit):
        for n in range(8, 80, 8):
            x, w = RNG.normal(size=(n, 3)), RNG.permutation(np.repeat([1, 3], n // 2))
            whole = fc.Standardize.fit(x, w, robust=True)
            assert fc.Standardize.fit(x, unit * w, robust=True) == whole
            nets = [fc.Network([fc.PiecewiseLinearEncoding(3, bins=8)]) for _ in range(2)]
            nets[0].adapt(x, w)
            nets[1].adapt(x, unit * w)
            assert nets[0].layers == nets[1].layers

    def test_sparse_rows_and_missing_values(self):
        sparse = pytest.importorskip("scipy.sparse")
        x = RNG.normal(size=(60, 5)) * (RNG.random((60, 5)) < 0.7)
        assert fc.Standardize.fit(sparse.coo_array(x), robust=True) == fc.Standardize.fit(x, robust=True)
        x[3], x[:, 4] = np.nan, np.nan
        layer = fc.Standardize.fit(x, robust=True, missing=True)
        there = fc.Standardize.fit(np.delete(x, 3, axis=0)[:, :4], robust=True)
        assert layer.mean == (*there.mean, 0.0)
        assert layer.scale == (*there.scale, 1.0)

    def test_a_value_that_cannot_be_is_named_with_its_column(self):
        sparse = pytest.importorskip("scipy.sparse")
        x = RNG.normal(size=(60, 5))
        x[7, 3] = np.inf
        for rows in (x, sparse.csr_array(x)):
            with pytest.raises(errors.DataError, match=r"x\[7, 3\] is inf"):
                fc.Standardize.fit(rows, robust=True)


HOLES = X[:, :3].copy()
HOLES[RNG.random(HOLES.shape) < 0.2] = np.nan
HOLES[7] = np.nan


@ENGINES
@DTYPES
class TestMissingValues:
    def test_values_and_indicators(self, engine, dtype):
        w = RNG.random(60)
        layer = fc.Standardize.fit(HOLES, w, missing=True)
        gone = np.isnan(HOLES)
        weights = w[:, None] * ~gone
        mean = (weights * np.nan_to_num(HOLES)).sum(axis=0) / weights.sum(axis=0)
        np.testing.assert_allclose(layer.mean, mean, rtol=1e-14)
        y = fc.Network([layer], dtype=dtype).predict(HOLES, engine=engine)
        assert y.shape == (60, 6)
        np.testing.assert_array_equal(y[:, 3:], gone)
        assert not y[:, :3][gone].any()
        plain = fc.Network([fc.Standardize(mean=layer.mean, scale=layer.scale)], dtype=dtype)
        filled = plain.predict(np.nan_to_num(HOLES), engine=engine)
        np.testing.assert_array_equal(y[:, :3][~gone], filled[~gone])
        for row in (0, 7):  # alone
            one = fc.Network([layer], dtype=dtype).predict(HOLES[row : row + 1], engine=engine)
            np.testing.assert_array_equal(one, y[row : row + 1])

    def test_it_trains(self, engine, dtype):
        t = np.nan_to_num(HOLES[:, 0] - 1e9) + np.isnan(HOLES[:, 1])
        for settings in ({}, {"clip": True}):
            layer = fc.Standardize.fit(HOLES, missing=True, **settings)
            net = fc.Network([layer, fc.Dense(6, 16, "tanh"), fc.Dense(16, 1)], dtype=dtype, seed=0)
            fc.fit(net, HOLES, t, "half_squared_error", fc.Adam(0.02), epochs=200, seed=0, batch_size=16, engine=engine,
                   validation=(HOLES, t), progress=False)  # fmt: skip
            assert net.evaluate(HOLES, t, "half_squared_error", ["r2"], engine=engine).metrics["r2"] > 0.95

    def test_without_being_asked_they_are_refused(self, engine, dtype):
        net = fc.Network([fc.Standardize(3), fc.Dense(3, 1)], dtype=dtype)
        with pytest.raises(errors.DataError, match=r"x\[\d+, \d\] is nan; .*missing=True"):
            net.predict(HOLES, engine=engine)
        net = fc.Network([fc.Standardize(3, missing=True), fc.Dense(6, 1)], dtype=dtype)
        for wrong in (np.inf, -np.inf):
            x = HOLES.copy()
            x[5, 2] = wrong
            with pytest.raises(errors.DataError, match=r"x\[5, 2\] is -?inf"):
                net.predict(x, engine=engine)
            with pytest.raises(errors.DataError, match=r"x\[5, 2\] is -?inf"):
                fc.fit(net, x, HOLES[:, 0], "half_squared_error", engine=engine, progress=False)
        with pytest.raises(errors.DataError, match="nan"):
            fc.Standardize.fit(HOLES)
        with pytest.raises(errors.InputTypeError, match="missing of Standardize is True or False"):
            fc.Standardize(3, missing="yes")

    def test_of_tables_and_masks(self, engine, dtype):
        pandas = pytest.importorskip("pandas")
        layer = fc.Standardize.fit(HOLES, missing=True)
        net = fc.Network([layer, fc.Dense(6, 1)], dtype=dtype, seed=0)
        expected = net.predict(HOLES, engine=engine)
        table = pandas.DataFrame(HOLES, columns=list("abc")).astype("Float64")
        masked = np.ma.masked_invalid(HOLES)
        objects = HOLES.astype(object)
        objects[np.isnan(HOLES)] = None
        masked_objects = np.ma.array(np.nan_to_num(HOLES), object, mask=np.isnan(HOLES))
        for x in (table, masked, masked_objects, objects, HOLES.tolist()):
            assert fc.Standardize.fit(x, missing=True) == layer
            np.testing.assert_array_equal(net.predict(x, engine=engine), expected)
        for x in (table, masked, masked_objects, objects):
            with pytest.raises(errors.DataError):
                fc.Network([fc.Standardize(3), fc.Dense(3, 1)]).predict(x)
        text = pandas.DataFrame({"a": pandas.Series([1, None, 3], dtype=object), "b": list("xyz"), "c": 0.0})
        with pytest.raises(errors.InputTypeError, match="column 'b' \\(text\\) of x holds no numbers"):
            net.predict(text)

    def test_they_are_looked_at(self, engine, dtype):
        x = HOLES.copy()
        x[:, 1] = np.nan
        net = fc.Network([fc.Standardize.fit(x, missing=True), fc.Dense(6, 1)], dtype=dtype, seed=0)
        found = fc.diagnose(net, x, T, "half_squared_error").findings
        assert ("features_constant", "x[:, 1]") in {(each.name, each.where) for each in found}
        assert "missing" not in str(fc.draw(net, x[:2]))

    def test_the_input_gradient_leaves_them_out(self, engine, dtype):
        layer = fc.Standardize.fit(HOLES, missing=True, clip=True)
        net = fc.Network([layer, fc.Dense(6, 5, "tanh"), fc.Dense(5, 1)], dtype=dtype, seed=0)
        t = np.arange(60.0) / 60
        x, t = HOLES[:9], t[:9]
        g = net.gradients(x, t, "half_squared_error", engine=engine)
        assert not g.x[np.isnan(x)].any()
        report = fc.check_gradients(net, x, t, "half_squared_error", engine=engine)
        assert report.ok, report
        assert report.tensors[-1].left_out == np.isnan(x).sum()
        told = (
            f"missing values and codes have no gradient, and are left out ({report.tensors[-1].left_out} of 27 entries"
        )
        assert told in str(report)


class TestSmoothClip:
    @ENGINES
    def test_values_and_slopes(self, engine):
        x = np.array([0.0, 0.1, -3.0, 7.0, -1e5, 1e9, -1e120, 1e300])[:, None]
        net = fc.Network([fc.Standardize(1, 1.0, 2.0, clip=True), fc.Dense(1, 1, init="ones")], dtype="float64")
        z = (x - 1) / 2
        np.testing.assert_allclose(net.predict(x, engine=engine), z / np.hypot(1, z / 3), rtol=1e-15)
        assert np.abs(net.predict(x, engine=engine)).max() <= 3
        g = net.gradients(x, np.zeros(8), "half_squared_error", engine=engine)
        with np.errstate(under="ignore"):
            slopes = net.predict(x) / 8 * np.hypot(1, z / 3) ** -3 / 2
        np.testing.assert_allclose(g.x, slopes, rtol=1e-12, atol=1e-200)

    def test_a_gradient_of_a_missing_value_is_wrong(self, monkeypatch):
        backward = fc.Standardize.backward

        def wrong(self, p, x, c, y, dy, g, dx):
            backward(self, p, x, c, y, dy, g, dx)
            if dx is not None:
                dx[np.isnan(x)] = 1e-3

        monkeypatch.setattr(fc.Standardize, "backward", wrong)
        net = fc.Network([fc.Standardize(3, 0.0, 1e5, missing=True), fc.Dense(6, 1)], dtype="float64", seed=0)
        report = fc.check_gradients(net, HOLES[:8], np.zeros(8), "half_squared_error")
        assert report.wrong
        assert "a missing value or a code has no gradient" in str(report)

    def test_it_is_told_saved_and_explained(self, tmp_path):
        layer = fc.Standardize(2, [1, 2], 2, clip=True, missing=True)
        assert repr(layer) == "Standardize(2, mean=(1.0, 2.0), scale=2.0, clip=True, missing=True)"
        net = fc.Network([layer, fc.Dense(4, 1)], seed=0)
        net.save(tmp_path / "net.safetensors")
        for twin in (fc.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert twin.layers == net.layers
        assert "where x is missing" in net.summary(width=200)
        shown = str(fc.explain(net, [[1.5, np.nan], [9.0, 1.0]], [1.0, 2.0], "half_squared_error"))
        assert "d_std1 = (0 if isnan(x) > 0 else (x - mean_std1) / scale_std1)" in " ".join(shown.split())
        assert "y_std1 = [d_std1 / h_std1 | isnan(x)]" in shown
        shown = str(fc.explain(net, [[np.nan, np.nan]], [1.0], "half_squared_error"))
        assert "5 of 7 gradients (of 5 parameters and 2 inputs) were compared" in " ".join(shown.split())


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
        other = fc.Network([fc.Standardize(4, 0.0), *whole.layers[1:]], seed=0)
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
        assert "y_std1 = (x - mean_std1) / scale_std1" in str(found)
        assert "dL/dx = dL/dy_std1 / scale_std1" in str(found)
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
                assert re.search(r"scale_std1|scale\}?_\{|scale<", found)


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


class Codes(fc.Layer):
    """A table of three categories, whose codes are in the first column, beside a number."""

    name, n_in, n_out, reads_raw = "codes", 2, 4, True

    def check_rows(self, x, what, first):
        for row in np.flatnonzero(~np.isin(x[:, 0], (0, 1, 2))):
            raise errors.DataError(f"{what}[{first + row}, 0] is no code")

    def input_units(self, x):
        return np.stack([np.zeros(len(x)), np.ones(len(x))], axis=1)

    def forward(self, p, x, c, y, *, train):
        y[:, :3] = x[:, :1] == np.arange(3)
        y[:, 3] = x[:, 1]

    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            dx[...] = 0
            dx[:, 1] = dy[:, 3]


class TestALayerOfOnesOwnSaysWhatItTakes:
    X = np.array([[2.0, 0.5], [0.0, -1.0], [1.0, 2.0]])

    def network(self, **methods):
        layer = type("Codes", (Codes,), methods)()
        return fc.Network([layer, fc.Dense(4, 1)], dtype="float64", seed=0)

    def test_codes(self):
        net = self.network()
        with pytest.raises(errors.DataError, match=r"x\[1, 0\] is no code"):
            net.predict([[1.0, 2.0], [1.5, 2.0]])
        report = fc.check_gradients(net, self.X, np.ones(3), "half_squared_error")
        assert report.ok
        assert (report.tensors[-1].left_out, report.tensors[-1].columns) == (3, (0,))
        explained = str(fc.explain(net, self.X, np.ones(3), "half_squared_error"))
        assert "dL/dx agrees within" in explained
        assert "3 of 6 entries were compared" in explained

    @pytest.mark.parametrize(
        ("units", "message"),
        [
            (lambda self, x: np.ones(3), r"input_units of Codes has shape \(3,\); it is that of x, \(3, 2\)"),
            (lambda self, x: 1.0, r"input_units of Codes has shape \(\)"),
            (lambda self, x: -np.ones_like(x), r"input_units of Codes holds -1\.0; a size is wanted"),
            (lambda self, x: x * np.nan, "input_units of Codes holds nan"),
            (lambda self, x: [["1", "2"]] * len(x), "input_units of Codes has dtype"),
            (lambda self, x: np.abs(x, out=x), "input_units of Codes writes to an array that it may only read"),
        ],
    )
    def test_units_that_are_none(self, units, message):
        net = self.network(input_units=units)
        with pytest.raises(errors.FullyConnectedError, match=message):
            fc.check_gradients(net, self.X, np.ones(3), "half_squared_error")

    def test_units_may_be_a_list(self):
        net = self.network(input_units=lambda self, x: [[0, 1]] * len(x))
        assert fc.check_gradients(net, self.X, np.ones(3), "half_squared_error").ok

    def test_a_check_that_is_none(self):
        for check, message in (
            (lambda self, x, what: None, "check_rows takes"),
            (lambda self, x, what, first: x.fill(0), "check_rows of Codes writes to an array that it may only read"),
            (lambda self, x, what, first: np.isfinite(x).all(), "check_rows of Codes returns .*True"),
        ):
            x = self.X.copy()
            with pytest.raises(errors.ConfigError, match=message):
                self.network(check_rows=check).predict(x)
            np.testing.assert_array_equal(x, self.X)
