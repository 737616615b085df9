"""The network: how it is put together, its vector of parameters, prediction, gradients, evaluation, threads."""

import copy
import math
import pickle
import threading
import tracemalloc
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.core.arrays import BLOCK


def net64(*sizes, activation="tanh", seed=0):
    return fc.mlp(list(sizes), activation=activation, dtype=np.float64, seed=seed)


class TestConstruction:
    @pytest.mark.parametrize(
        ("layers", "error", "message"),
        [
            (
                [fc.Dense(2, 3), fc.Dense(4, 1)],
                errors.ShapeError,
                r"layer 1, Dense\(n_in=4.*takes 4 columns.*gives 3 \(layer 0, Dense\(n_in=2",
            ),
            (
                [fc.Dense(2, 3), fc.LayerNorm(n_in=2)],
                errors.ShapeError,
                "layer 1, LayerNorm.*takes 2.*gives 3.*layer 0",
            ),
            (
                [fc.Dense(2, 3), fc.Dropout(0.1), fc.Dense(2, 1)],
                errors.ShapeError,
                "layer 2.*takes 2.*gives 3.*layer 1",
            ),
            (
                [fc.Dropout(0.5), fc.Dense(2, 3)],
                errors.ShapeError,
                "layer 0.*comes first and has no width: give it n_in",
            ),
            ([], errors.ConfigError, "one layer or more; the list is empty"),
            (fc.Dense(2, 3), errors.InputTypeError, "a list of layers; got Dense"),
            ([fc.Dense], errors.InputTypeError, "layer 0 is <class"),
            ([fc.Dense(2, 3), "relu"], errors.InputTypeError, "layer 1 is 'relu'"),
            ([fc.Dense(2, 3), None], errors.InputTypeError, "layer 1 is None"),
            ((layer for layer in [fc.Dense(2, 3)]), errors.InputTypeError, "a list of layers"),
            (None, errors.InputTypeError, "a list of layers; got None"),
            ([2, 3, 1], errors.InputTypeError, "layer 0 is 2"),
        ],
    )
    def test_layers_that_do_not_fit(self, layers, error, message):
        with pytest.raises(error, match=message):
            fc.Network(layers)

    @pytest.mark.parametrize(
        ("dtype", "error"),
        [
            (np.float16, errors.ConfigError),
            ("float16", errors.ConfigError),
            (int, errors.ConfigError),
            (np.longdouble, errors.ConfigError),
            (complex, errors.ConfigError),
            ("flaot32", errors.InputTypeError),
            (None, errors.InputTypeError),
            (32, errors.InputTypeError),
        ],
    )
    def test_dtypes_that_cannot_be(self, dtype, error):
        with pytest.raises(error, match="dtype is float32 or float64; got"):
            fc.mlp([2, 1], dtype=dtype)

    @pytest.mark.parametrize("dtype", [np.float64, "float64", float, np.dtype("float64"), "f8"])
    def test_dtypes(self, dtype):
        assert fc.mlp([2, 1], dtype=dtype).theta.dtype == np.float64
        assert fc.mlp([2, 1]).dtype == np.float32

    def test_sizes(self):
        net = fc.Network([fc.Dense(3, 5, "relu"), fc.Dropout(0.5), fc.BatchNorm(), fc.Dense(5, 2)])
        assert (net.n_in, net.n_out, net.n_params) == (3, 2, 20 + 10 + 12)
        assert [layer.n_out for layer in net.layers] == [5, 5, 5, 2]
        assert len(net.theta) == net.n_params
        assert len(net.state) == 10

    def test_layers_may_be_used_twice(self):
        """A layer holds no parameters: the same object in two places is two layers."""
        layer = fc.Dense(3, 3)
        net = fc.Network([layer, layer], seed=0)
        assert net.n_params == 24
        assert not np.array_equal(net.params[0].W, net.params[1].W)

    def test_without_parameters(self):
        net = fc.Network([fc.Activation("relu", n_in=2), fc.Dropout(0.5)])
        assert (net.n_params, len(net.theta)) == (0, 0)
        assert net.predict([[-1, 2]]).tolist() == [[0, 2]]
        assert len(fc.fit(net, [[1, 2]], [[0, 0]], "half_squared_error", epochs=2, progress=False).loss) == 2

    def test_mlp(self):
        net = fc.mlp([4, 8, 6, 3], activation="gelu", output_activation="softmax", seed=0)
        assert [layer.activation.name for layer in net.layers] == ["gelu", "gelu", "softmax"]
        assert np.array_equal(net.theta, fc.mlp((4, 8, 6, 3), activation="gelu", seed=0).theta)
        assert fc.mlp(np.array([4, 2])).n_in == 4
        np.testing.assert_allclose(net.predict(np.ones((2, 4))).sum(axis=1), 1, rtol=1e-6)

    @pytest.mark.parametrize("sizes", [[4], [], 4, "48", None, {4, 5}])
    def test_mlp_sizes(self, sizes):
        with pytest.raises(errors.ConfigError, match="two or more; got"):
            fc.mlp(sizes)

    @pytest.mark.parametrize(
        ("sizes", "error", "message"),
        [
            ([2, 0, 1], errors.ConfigError, r"sizes\[1\] must be 1 or more; got 0"),
            ([2, -3, 1], errors.ConfigError, r"sizes\[1\].*-3"),
            ([2, 3.0, 1], errors.InputTypeError, r"sizes\[1\] is a whole number; got 3.0 of type float"),
            ([True, 1], errors.InputTypeError, r"sizes\[0\].*True"),
            (["2", 1], errors.InputTypeError, r"sizes\[0\].*'2'"),
            ([2, None], errors.InputTypeError, r"sizes\[1\].*None"),
        ],
    )
    def test_mlp_sizes_that_cannot_be(self, sizes, error, message):
        with pytest.raises(error, match=message):
            fc.mlp(sizes)


class TestParameters:
    def test_views(self):
        net = net64(2, 3, 1)
        net.params[0].W[0, 1] = 42
        assert net.theta[1] == 42
        net.theta[6] = 7
        assert net.params[0].b[0] == 7
        net.params[1].b = [5]
        assert net.theta[-1] == 5
        assert net.params[0].W.base is not None
        assert np.shares_memory(net.params[0].W, net.theta)

    def test_writing_changes_the_predictions(self):
        net = net64(2, 1)
        net.predict([[1, 1]])
        net.params[0].W = [[2], [3]]
        net.params[0].b[:] = 1
        assert net.predict([[1, 1]]).tolist() == [[6]]
        net.theta = [0, 0, 9]
        assert net.predict([[1, 1]]).tolist() == [[9]]
        net.theta *= 2
        assert net.predict([[1, 1]]).tolist() == [[18]]

    def test_theta_is_copied_in(self):
        net, values = net64(2, 1), np.array([1.0, 2.0, 3.0])
        theta = net.theta
        net.theta = values
        values[:] = 0
        assert net.theta is theta
        assert theta.tolist() == [1, 2, 3]
        assert theta.flags.c_contiguous

    @pytest.mark.parametrize("values", [[1.0, 2.0], [[1.0, 2.0, 3.0]], 5.0, []])
    def test_theta_of_another_shape(self, values):
        with pytest.raises(errors.ShapeError, match=r"theta has shape \(3,\); got"):
            net64(2, 1).theta = values

    @pytest.mark.parametrize("values", [["a", "b", "c"], [1j, 0, 0], [None] * 3])
    def test_theta_of_no_numbers(self, values):
        net = net64(2, 1)
        before = net.theta.copy()
        with pytest.raises(errors.InputTypeError, match="theta has dtype"):
            net.theta = values
        assert np.array_equal(net.theta, before)

    def test_unknown_parameters(self):
        net = fc.Network([fc.Dense(2, 1, bias=False), fc.Dropout(0.5)])
        for read in (lambda: net.params[0].b, lambda: net.params[0].w):
            with pytest.raises(AttributeError, match="only W"):
                read()
        with pytest.raises(AttributeError, match="only W"):
            net.params[0].b = 1
        with pytest.raises(AttributeError, match="only none"):
            _ = net.params[1].W
        with pytest.raises(AttributeError):
            net.params = []

    def test_a_parameter_of_another_shape(self):
        with pytest.raises(ValueError, match=r"W has shape \(2, 3\); got \(3, 2\)"):
            net64(2, 3).params[0].W = np.zeros((3, 2))

    def test_order(self):
        """W before b, layer by layer, W row by row: files and optimizers of others can count on it."""
        net = net64(2, 2, 1)
        net.theta = np.arange(9.0)
        assert net.params[0].W.tolist() == [[0, 1], [2, 3]]
        assert net.params[0].b.tolist() == [4, 5]
        assert net.params[1].W.tolist() == [[6], [7]]
        assert net.params[1].b.tolist() == [8]


class TestWeights:
    def test_both_layouts(self):
        net = net64(3, 4, 2)
        ours, theirs = net.get_weights(), net.get_weights("out,in")
        assert [a.shape for a in ours] == [(3, 4), (4,), (4, 2), (2,)]
        assert [a.shape for a in theirs] == [(4, 3), (4,), (2, 4), (2,)]
        assert np.array_equal(theirs[0], ours[0].T)
        other = net64(3, 4, 2, seed=1)
        other.set_weights(theirs, layout="out,in")
        assert np.array_equal(other.theta, net.theta)
        other = net64(3, 4, 2, seed=1)
        other.set_weights(ours)
        assert np.array_equal(other.theta, net.theta)

    def test_they_are_copies(self):
        net = net64(3, 2)
        for layout in ("in,out", "out,in"):
            weights = net.get_weights(layout)
            weights[0][:] = 99
            weights[1][:] = 99
        assert not (net.theta == 99).any()

    def test_square_layers_are_turned_too(self):
        net = net64(3, 3)
        net.set_weights([np.arange(9).reshape(3, 3), [0, 0, 0]], layout="out,in")
        assert net.params[0].W.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]

    def test_blocks_and_norms(self):
        layers = [fc.Dense(2, 3), fc.Residual([fc.LayerNorm(), fc.Dense(3, 3)]), fc.BatchNorm()]
        net = fc.Network(layers, seed=0)
        assert [a.shape for a in net.get_weights()] == [(2, 3), (3,), (3,), (3,), (3, 3), (3,), (3,), (3,)]
        other = fc.Network(layers, seed=1)
        other.set_weights(net.get_weights())
        assert np.array_equal(other.theta, net.theta)

    @pytest.mark.parametrize(
        ("weights", "layout", "error", "message"),
        [
            ([np.zeros((3, 2))], "in,out", errors.ShapeError, "2 parameter arrays; got 1"),
            ([np.zeros((2, 3)), np.zeros(2)], "in,out", errors.ShapeError, r"dense_1.W is \(3, 2\).*got \(2, 3\)"),
            ([np.zeros((3, 2)), np.zeros(2)], "out,in", errors.ShapeError, r"got \(2, 3\) after transposing"),
            ([np.zeros((3, 2)), np.zeros(3)], "in,out", errors.ShapeError, r"dense_1.b is \(2,\)"),
            ([np.zeros((3, 2)), [0, np.nan]], "in,out", errors.DataError, r"dense_1.b\[1\] is nan"),
            ([np.zeros((3, 2)), ["a", "b"]], "in,out", errors.InputTypeError, "dense_1.b has dtype"),
            ([np.zeros((3, 2)), np.zeros(2)], "io", errors.ConfigError, "layout is.*got 'io'"),
        ],
    )
    def test_nothing_changes_unless_all_fit(self, weights, layout, error, message):
        net = net64(3, 2)
        before = net.theta.copy()
        with pytest.raises(error, match=message):
            net.set_weights(weights, layout)
        assert np.array_equal(net.theta, before)


KINDS = {
    "list": lambda x: x.tolist(),
    "tuple": lambda x: tuple(map(tuple, x.tolist())),
    "int64": lambda x: x.astype(np.int64),
    "int8": lambda x: x.astype(np.int8),
    "uint8": lambda x: x.astype(np.uint8),
    "uint64": lambda x: x.astype(np.uint64),
    "float16": lambda x: x.astype(np.float16),
    "float32": lambda x: x.astype(np.float32),
    "float64": lambda x: x,
    "longdouble": lambda x: x.astype(np.longdouble),
    "big-endian": lambda x: x.astype(">f8"),
    "Fortran order": np.asfortranarray,
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every other column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
    "transposed": lambda x: x.T.copy().T,
}


class TestPredict:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_every_kind_of_array(self, kind, dtype, rng):
        net = fc.mlp([3, 5, 2], activation="tanh", dtype=dtype, seed=0)
        x = rng.integers(0, 100, (7, 3)).astype(np.float64)
        given = KINDS[kind](x)
        z = net.predict(given)
        assert z.dtype == dtype
        assert z.flags.c_contiguous
        (W1, b1), (W2, b2) = (dict(p).values() for p in net.params)
        # as many roundings as there are terms, of the largest that the sums can be: in h, and passed on by W2, and in z
        h, sizes = x @ W1 + b1, np.abs(x) @ np.abs(W1) + np.abs(b1)
        bound = np.finfo(dtype).eps * ((4 * sizes + 6) @ np.abs(W2) + np.abs(b2))
        assert (np.abs(z - (np.tanh(h) @ W2 + b2)) <= bound).all()
        assert np.array_equal(z, net.predict(x))  # not a bit depends on the form
        t = rng.normal(size=(7, 2))
        g, reference = net.gradients(given, t, "half_squared_error"), net.gradients(x, t, "half_squared_error")
        assert np.array_equal(g.theta, reference.theta)
        nets = [net.copy(), net.copy()]
        for each, rows in zip(nets, (given, x), strict=True):
            fc.fit(each, rows, t, "half_squared_error", epochs=2, batch_size=3, progress=False)
        assert np.array_equal(nets[0].theta, nets[1].theta)

    def test_bool(self):
        net = net64(2, 1)
        assert np.array_equal(net.predict([[True, False]]), net.predict([[1, 0]]))

    @pytest.mark.parametrize("rows", [0, 1, 2, 1000])
    def test_any_number_of_rows(self, rows, rng):
        net = net64(3, 5, 2)
        x = rng.normal(size=(rows, 3))
        z = net.predict(x)
        assert z.shape == (rows, 2)
        for i in range(0, rows, 100):
            np.testing.assert_allclose(z[i], net.predict(x[i : i + 1])[0], rtol=1e-12)

    def test_sizes_in_turn(self, rng):
        """Small after large and large after small: memory kept from one call must not show in the next."""
        net, x = net64(3, 4, 2), rng.normal(size=(50, 3))
        z = net.predict(x)
        for rows in (50, 1, 7, 50, 3, 49, 50, 0, 5, 1):
            np.testing.assert_allclose(net.predict(x[:rows]), z[:rows], rtol=1e-12)
            assert net.predict(x[:rows]) is not z

    def test_the_result_is_the_callers(self, rng):
        net, x = net64(3, 2), rng.normal(size=(4, 3))
        first = net.predict(x)
        kept = first.copy()
        net.predict(x * 2)
        assert np.array_equal(first, kept)
        first[:] = 0
        assert np.array_equal(net.predict(x), kept)

    def test_bounded_memory(self):
        """300 000 rows through 256 units would be 300 MB at once."""
        net = fc.mlp([4, 256, 256, 1], seed=0)
        x = np.ones((300_000, 4), np.float32)
        tracemalloc.start()
        z = net.predict(x[:1])
        _, before = tracemalloc.get_traced_memory()
        z = net.predict(x)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert z.shape == (300_000, 1)
        assert peak - before < z.nbytes + 60e6

    def test_integers_are_cast_a_batch_at_a_time(self):
        net = fc.mlp([64, 8], seed=0)
        x = np.ones((1_000_000, 64), np.uint8)  # as float32 they would be 256 MB
        tracemalloc.start()
        net.predict(x)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100e6

    def test_many_different_sizes_keep_no_memory(self):
        """A service predicts whatever number of rows comes; what is kept must not grow with their variety."""
        net, x = fc.mlp([8, 16, 16, 1], seed=0), np.ones((2000, 8), np.float32)
        net.predict(x)
        tracemalloc.start()
        for rows in range(1, 2000, 4):
            net.predict(x[:rows])
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 1e6

    def test_read_only_and_untouched(self, rng):
        net = net64(3, 4, 2)
        x, t, w = rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), np.ones(8)
        copies = [a.copy() for a in (x, t, w)]
        for a in (x, t, w):
            a.flags.writeable = False
        net.predict(x)
        net.evaluate(x, t, "half_squared_error", sample_weight=w)
        net.gradients(x, t, "half_squared_error", sample_weight=w)
        fc.fit(net, x, t, "half_squared_error", sample_weight=w, validation=(x, t, w), epochs=2, progress=False)
        for a, b in zip((x, t, w), copies, strict=True):
            assert np.array_equal(a, b)

    def test_writable_arrays_are_untouched_too(self, rng):
        """float64 and C order: exactly what the network could use in place, and must not."""
        net = fc.Network([fc.Activation("relu", n_in=3), fc.Dense(3, 3, "relu")], dtype=np.float64, seed=0)
        x, t, w = rng.normal(size=(8, 3)), rng.normal(size=(8, 3)), np.full(8, 2.0)
        copies = [a.copy() for a in (x, t, w)]
        net.gradients(x, t, "half_squared_error", sample_weight=w)
        fc.fit(net, x, t, "half_squared_error", sample_weight=w, batch_size=8, shuffle=False, epochs=2, progress=False)
        net.predict(x)
        for a, b in zip((x, t, w), copies, strict=True):
            assert np.array_equal(a, b)

    def test_memmap(self, tmp_path, rng):
        x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(100, 3))
        x[:] = rng.normal(size=(100, 3))
        x.flush()
        x = np.memmap(tmp_path / "x", np.float32, "r", shape=(100, 3))
        net = fc.mlp([3, 2], seed=0)
        assert np.array_equal(net.predict(x), net.predict(np.array(x)))
        fc.fit(net, x, np.zeros((100, 2)), "half_squared_error", epochs=1, progress=False)

    def test_pandas(self, rng):
        pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        x = rng.normal(size=(5, 3))
        net = net64(3, 2)
        assert np.array_equal(net.predict(pandas.DataFrame(x)), net.predict(x))

    @pytest.mark.parametrize(
        ("kinds", "missing"),
        [
            (["bool", "float64"], False),
            (["boolean", "float64"], True),
            (["bool", "int8"], False),
            (["Int64", "Float64"], True),
            (["Int8", "bool"], True),
            (["object", "float64"], True),
            (["Float32", "Float32"], True),
        ],
    )
    def test_columns_of_pandas_whose_every_cell_is_a_number(self, kinds, missing, rng):
        pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        x = rng.integers(0, 2, (5, 2))
        frame = pandas.DataFrame({i: pandas.Series(x[:, i]).astype(kind) for i, kind in enumerate(kinds)})
        net = net64(2, 4, 1)
        assert np.array_equal(net.predict(frame), net.predict(x))
        if missing:
            frame.iloc[3, 0] = None
            with pytest.raises(
                errors.DataError, match=r"x\[3, 0\] is (<NA>|nan|None).*[Dd]rop such rows or fill them in"
            ):
                net.predict(frame)

    def test_objects_that_are_numbers(self, rng):
        x = rng.integers(0, 2, (5, 3))
        net = net64(3, 4, 2)
        for kind in (Decimal, Fraction, bool, np.float32, np.uint8, np.bool_):
            objects = np.array([[a, kind(int(b)), float(c)] for a, b, c in x], object)
            assert np.array_equal(net.predict(objects), net.predict(x))
        t = np.array([True, False, 2, np.int8(1), 0], object)  # whole numbers stay whole: they can be classes
        loss = fc.SoftmaxCrossEntropy()
        assert net64(3, 3).evaluate(x, t, loss) == net64(3, 3).evaluate(x, t.astype(int), loss)

    @pytest.mark.parametrize("shape", [(5, 2, 3), (5, 1, 2, 3), (5, 6, 1)])
    def test_inputs_of_more_dimensions(self, shape, rng):
        net, x = net64(6, 4, 2), rng.normal(size=shape)
        flat = x.reshape(5, 6)
        assert np.array_equal(net.predict(x), net.predict(flat))
        assert np.array_equal(net.predict(np.asfortranarray(x)), net.predict(flat))
        t = rng.normal(size=(5, 2))
        g, reference = net.gradients(x, t, "half_squared_error"), net.gradients(flat, t, "half_squared_error")
        assert g.x.shape == shape
        assert np.array_equal(g.x.reshape(5, 6), reference.x)
        assert np.array_equal(net.gradients(x.tolist(), t, "half_squared_error").x, g.x)
        assert net.predict(np.zeros((0, *shape[1:]))).shape == (0, 2)


class TestGradients:
    def test_parts_are_views_of_the_flat_gradient(self, rng):
        net = net64(3, 4, 2)
        g = net.gradients(rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "half_squared_error")
        assert g.theta.shape == (net.n_params,)
        flat = np.concatenate([a.ravel() for p in g.params for _, a in p])
        assert np.array_equal(flat, g.theta)
        assert g.params[0].W.shape == (3, 4)
        assert isinstance(g.loss, float)

    def test_they_are_the_callers(self, rng):
        net, x, t = net64(3, 2), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
        first = net.gradients(x, t, "half_squared_error")
        kept = first.theta.copy(), first.x.copy()
        net.gradients(2 * x, t, "half_squared_error")
        fc.fit(net, x, t, "half_squared_error", epochs=1, progress=False)
        assert np.array_equal(first.theta, kept[0])
        assert np.array_equal(first.x, kept[1])

    def test_the_network_is_left_alone(self, rng):
        net = net64(3, 2)
        before = net.theta.copy()
        net.gradients(rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "half_squared_error", l2=0.5, train=True)
        assert np.array_equal(net.theta, before)

    def test_loss_and_grad(self, rng):
        net, x, t, w = net64(3, 2), rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), [1, 2, 0, 1, 1]
        value, flat = net.loss_and_grad(x, t, fc.Huber(), 0.1, w)
        g = net.gradients(x, t, fc.Huber(), l2=0.1, sample_weight=w)
        assert value == g.loss
        assert np.array_equal(flat, g.theta)

    def test_scipy_can_minimise_with_it(self, rng):
        optimize = pytest.importorskip("scipy.optimize", reason="SciPy's minimisers")
        net, x = net64(3, 2), rng.normal(size=(20, 3))
        t = x @ rng.normal(size=(3, 2)) + 1

        def objective(theta):
            net.theta = theta
            return net.loss_and_grad(x, t, "half_squared_error")

        found = optimize.minimize(objective, net.theta.copy(), jac=True, method="BFGS")
        assert found.fun < 1e-10

    def test_l2_is_half_the_sum_of_squared_weights(self, rng):
        net = net64(3, 4, 2)
        net.params[0].b = rng.normal(size=4)
        x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
        plain, with_l2 = net.gradients(x, t, "half_squared_error"), net.gradients(x, t, "half_squared_error", l2=0.3)
        squares = sum((p.W**2).sum() for p in net.params)
        assert with_l2.loss == pytest.approx(plain.loss + 0.15 * squares, rel=1e-12)
        for p, a, b in zip(net.params, plain.params, with_l2.params, strict=True):
            np.testing.assert_allclose(b.W, a.W + 0.3 * p.W, rtol=1e-12)
            assert np.array_equal(a.b, b.b)
        assert np.array_equal(plain.x, with_l2.x)

    def test_weights(self, rng):
        net, x, t = net64(3, 2), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
        weighted = net.gradients(x, t, "half_squared_error", sample_weight=[1, 2, 0, 1])
        repeated = net.gradients(x[[0, 1, 1, 3]], t[[0, 1, 1, 3]], "half_squared_error")
        assert weighted.loss == pytest.approx(repeated.loss, rel=1e-13)
        np.testing.assert_allclose(weighted.theta, repeated.theta, rtol=1e-12)
        assert not weighted.x[2].any()
        scaled = net.gradients(x, t, "half_squared_error", sample_weight=[10, 20, 0, 10])
        np.testing.assert_allclose(weighted.theta, scaled.theta, rtol=1e-12)

    def test_of_one_row(self, rng):
        net = net64(3, 4, 2)
        x, t = rng.normal(size=(1, 3)), rng.normal(size=(1, 2))
        h = 1e-6
        g = net.gradients(x, t, "half_squared_error")
        for i in (0, 5, 20, 25):
            at = net.theta[i]
            net.theta[i] = at + h
            right = net.evaluate(x, t, "half_squared_error", ()).loss
            net.theta[i] = at - h
            left = net.evaluate(x, t, "half_squared_error", ()).loss
            net.theta[i] = at
            assert g.theta[i] == pytest.approx((right - left) / (2 * h), rel=1e-6, abs=1e-9)


class TestEvaluate:
    def test_against_the_gradients_loss(self, rng):
        net, x, t = net64(3, 4, 3), rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
        w = rng.random(30)
        found = net.evaluate(x, t, "softmax_cross_entropy", sample_weight=w)
        assert found.loss == pytest.approx(
            net.gradients(x, t, "softmax_cross_entropy", sample_weight=w).loss, rel=1e-12
        )
        right = net.predict(x).argmax(axis=1) == t
        assert found.metrics["accuracy"] == pytest.approx(w @ right / w.sum(), rel=1e-12)

    def test_without_dropout_and_l2(self, rng):
        net = fc.Network([fc.Dense(3, 4), fc.Dropout(0.5), fc.Dense(4, 1)], dtype=np.float64, seed=0)
        x, t = rng.normal(size=(9, 3)), rng.normal(size=9)
        one, two = (net.evaluate(x, t, "half_squared_error", ["mean_squared_error"]) for _ in range(2))
        assert one == two
        assert one.loss == pytest.approx(((net.predict(x)[:, 0] - t) ** 2).mean() / 2, rel=1e-12)

    def test_an_infinite_loss_is_no_warning(self):
        assert net64(1, 1).evaluate([[1e300]], [0], "half_squared_error", ()).loss == np.inf


class TestCopies:
    @pytest.mark.parametrize("how", [lambda n: n.copy(), copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
    def test_copies_are_whole_and_apart(self, how, rng):
        layers = [fc.Dense(3, 4, "gelu"), fc.BatchNorm(), fc.Residual([fc.Dense(4, 4)]), fc.Dense(4, 1)]
        net = fc.Network(layers, dtype=np.float64, seed=0)
        x, t = rng.normal(size=(20, 3)), rng.normal(size=20)
        fc.fit(net, x, t, "half_squared_error", epochs=2, progress=False)
        z = net.predict(x)
        twin = how(net)
        assert np.array_equal(twin.predict(x), z)
        assert np.array_equal(twin.state, net.state)
        twin.params[0].W[:] = 0
        twin.state[:] = 1
        fc.fit(twin, x, t, "half_squared_error", epochs=1, progress=False)
        assert np.array_equal(net.predict(x), z)
        assert np.shares_memory(twin.params[0].W, twin.theta)

    def test_a_pickle_holds_no_workspace(self, rng):
        net = fc.mlp([4, 300, 1], seed=0)
        net.predict(rng.normal(size=(5000, 4)))
        assert len(pickle.dumps(net)) < net.theta.nbytes + 10_000


class TestThreads:
    def together(self, *works):
        """Run all at once, each in a thread, and raise what any of them raised."""
        problems, start = [], threading.Barrier(len(works))

        def run(work):
            try:
                start.wait()
                work()
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=run, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]

    def test_two_predict_and_two_ask_for_gradients(self, rng):
        net = fc.Network([fc.Dense(16, 64, "gelu"), fc.BatchNorm(), fc.Dense(64, 3)], seed=0)
        batches = [rng.normal(size=(rows, 16)).astype(np.float32) for rows in (257, 64, 1, 100)]
        t = [rng.integers(0, 3, len(x)) for x in batches]
        z = [net.predict(x) for x in batches]
        g = [net.gradients(x, y, "softmax_cross_entropy", train=True).theta for x, y in zip(batches, t, strict=True)]
        state = net.state.copy()

        def predicting():
            for i in range(150):
                assert np.array_equal(net.predict(batches[i % 4]), z[i % 4])

        def differentiating():
            for i in range(40):
                found = net.gradients(batches[i % 4], t[i % 4], "softmax_cross_entropy", train=True)
                assert np.array_equal(found.theta, g[i % 4])

        self.together(predicting, predicting, differentiating, differentiating)
        assert np.array_equal(net.state, state)

    def test_two_networks_train(self, rng):
        x, t = rng.normal(size=(64, 8)), rng.integers(0, 3, 64)

        def trained():
            net = fc.Network([fc.Dense(8, 16, "relu"), fc.Dropout(0.2), fc.Dense(16, 3)], seed=0)
            fc.fit(net, x, t, "softmax_cross_entropy", epochs=20, batch_size=16, progress=False)
            return net.theta

        alone, results = trained(), []
        self.together(*[lambda: results.append(trained())] * 3)
        assert len(results) == 3
        for theta in results:
            assert np.array_equal(theta, alone)


def test_a_layer_made_of_others_has_an_entry_for_each():
    class Pair(fc.Layer):
        name = "pair"
        n_in = n_out = 3

        def steps(self):
            return fc.Dense(3, 4), fc.Dense(4, 3)

    net = fc.Network([Pair(), fc.Residual([fc.Dense(3, 3), fc.Dropout(0.1)])], seed=0)
    first, second = net.params[0]
    assert (first.W.shape, second.W.shape) == ((3, 4), (4, 3))
    assert net.params[1][0].W.shape == (3, 3)
    assert len(net.params[1]) == 2


def test_an_output_activation_is_found_behind_dropout():
    net = fc.Network([fc.Dense(2, 3, "softmax"), fc.Dropout(0.1)], seed=0)
    with pytest.raises(fc.errors.ConfigError, match="applies the softmax itself"):
        net.evaluate(np.zeros((1, 2)), [0], "softmax_cross_entropy")
    with pytest.raises(fc.errors.ConfigError, match="Hinge takes scores"):
        net.evaluate(np.zeros((1, 2)), [0], "hinge")


def test_a_loss_over_millions_of_rows_does_not_drift():
    net = fc.mlp([1, 1], seed=0)
    net.theta = [0, 0]
    x, t = np.zeros((3_000_000, 1), np.float32), np.full((3_000_000, 1), 0.1, np.float32)
    assert net.evaluate(x, t, "half_squared_error", ()).loss == pytest.approx(0.005, rel=BLOCK * 2**-24)


def test_a_row_of_weight_zero_has_no_part_in_an_evaluation():
    net = fc.mlp([1, 1], seed=0)
    net.theta = [1, 0]
    loss = net.evaluate([[1.0], [200.0]], [1.0, 1.0], "poisson", (), sample_weight=[1, 0]).loss
    assert loss == pytest.approx(np.e - 1)


def test_a_shallow_copy_shares_nothing():
    net = fc.mlp([2, 2], seed=0)
    twin = copy.copy(net)
    twin.theta = np.zeros(6)
    assert net.theta.any()


LAYOUTS = {
    "an array": lambda shape, path: np.full(shape, np.nan, np.float32),
    "Fortran order": lambda shape, path: np.full(shape, np.nan, np.float32, order="F"),
    "every second row": lambda shape, path: np.full((2 * shape[0], *shape[1:]), np.nan, np.float32)[::2],
    "some columns": lambda shape, path: np.full((*shape[:-1], 9), np.nan, np.float32)[..., 1 : shape[-1] + 1],
    "a file": lambda shape, path: np.lib.format.open_memmap(path, "w+", np.float32, shape),
    "not aligned": lambda shape, path: np.ndarray(shape, np.float32, bytearray(4 * math.prod(shape) + 1), 1),
}


@pytest.mark.parametrize("engine", [name for name, info in fc.engines().items() if info.available])
class TestOutputsInAnArrayThatIsGiven:
    X = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)

    @pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
    @pytest.mark.parametrize("rows", [0, 1, 7, 500])
    @pytest.mark.parametrize("kind", ["array", "source", "float16", "sparse"])
    def test_it_has_the_same_bits(self, layout, rows, kind, engine, tmp_path, monkeypatch):
        monkeypatch.setattr("fullyconnected.engine.native_engine.BLOCK", 40)
        if kind == "sparse":
            sparse = pytest.importorskip("scipy.sparse")
        x = self.X[:rows].astype(np.float16).astype(np.float32)

        class Rows(fc.Source):
            shape, dtype = x.shape, x.dtype

            def block(self, start, stop):
                return x[start:stop]

        given = {"array": x, "float16": x.astype(np.float16), "source": Rows()}
        given = sparse.csr_array(x) if kind == "sparse" else given[kind]
        for net, how in (
            (fc.mlp([4, 8, 3], seed=0), {}),
            (fc.Network([fc.Dense(4, 8, "tanh"), fc.Members(5, [fc.Dense(8, 3)])], seed=0), {}),
            (fc.Network([fc.Dense(4, 8, "tanh"), fc.Members(5, [fc.Dense(8, 3)])], seed=0), {"members": True}),
        ):
            wanted = net.predict(given, engine=engine, **how)
            if kind == "float16":
                assert np.array_equal(wanted, net.predict(x, engine=engine, **how))
            out = layout(wanted.shape, tmp_path / "z.npy") if rows else np.empty(wanted.shape, np.float32)
            assert net.predict(given, engine=engine, out=out, **how) is out
            assert np.array_equal(out, wanted)

    def test_what_cannot_be_written_to_is_refused_before_anything_is_computed(self, engine):
        net, x = fc.mlp([4, 8, 3], seed=0), self.X.copy()
        table = np.zeros((500, 8), np.float32)
        table[:, :4] = x
        read_only = np.full((500, 3), 7, np.float32)
        read_only.flags.writeable = False
        for out, error, said in (
            ([[0.0] * 3] * 500, errors.InputTypeError, r"out is an array to write to, such as np.empty\(\(500, 3\)"),
            (np.ma.zeros((500, 3), np.float32), errors.InputTypeError, "out is an array to write to"),
            (np.full((500, 3), 7.0), errors.InputTypeError, "out has dtype float64; the outputs .* are float32"),
            (np.full((500, 3), 7, ">f4"), errors.InputTypeError, "out has dtype >f4"),
            (np.full((500, 4), 7, "f4"), errors.ShapeError, r"out has shape \(500, 4\); the outputs have \(500, 3\)"),
            (np.full((499, 3), 7, "f4"), errors.ShapeError, "out has shape"),
            (read_only, errors.ConfigError, "out is read-only"),
            (x[:, :3], errors.ConfigError, "out shares memory with x"),
        ):
            before = np.array(out)
            with pytest.raises(error, match=said):
                net.predict(x, out=out, engine=engine)
            assert np.array_equal(out, before)
        net.predict(table[:, :4], out=table[:, 5:], engine=engine)  # beside x, which is no part of it
        assert np.array_equal(table[:, 5:], net.predict(x, engine=engine))
        assert np.array_equal(table[:, :4], x)
        out = np.full((500, 3), 7, np.float32)
        for wrong, how in (
            (np.full((500, 4), np.nan), {}),
            (x[:, :2], {}),
            (x, {"members": True}),
            (x, {"engine": "?"}),
        ):
            with pytest.raises(errors.FullyConnectedError):
                net.predict(wrong, out=out, **{"engine": engine, **how})
        assert (out == 7).all()
