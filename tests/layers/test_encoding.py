"""Columns as their shares of bins: PiecewiseLinearEncoding."""

import itertools
import json
import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.program.plain import build_layers, describe_layers

ENGINES = [name for name, info in fc.engines().items() if info.available]
DTYPES = ["float32", "float64"]
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(11, 3)), RNG.normal(size=(11, 2))
EDGES = [[-1.0, -0.25, 0.5, 2.0], [-0.5, 0.75], [3.0]]  # three bins, one, and none
QUIET = {"progress": False, "warn": False}


def by_formula(x, edges, bins):
    """The encoding column by column and bin by bin, as the paper has it, linear beyond the ends."""
    found = np.zeros((len(x), len(edges), bins))
    for j, column in enumerate(edges):
        for k, (left, right) in enumerate(itertools.pairwise(column)):
            share = (x[:, j] - left) / (right - left)
            share = share if k == 0 else np.maximum(share, 0)
            found[:, j, k] = share if k == len(column) - 2 else np.minimum(share, 1)
    return found.reshape(len(x), -1)


def dx_by_formula(x, dy, edges):
    dx, dy = np.zeros_like(x), dy.reshape(len(x), len(edges), -1)
    for j, column in enumerate(edges):
        if len(column) > 1:
            k = np.searchsorted(column[1:-1], x[:, j])  # at an edge, the bin below
            dx[:, j] = dy[np.arange(len(x)), j, k] / np.diff(column)[k]
    return dx


def stage(n, bins=4, missing=False):
    """What an ensemble of packed members reads: shares of bins, and the same columns as numbers."""
    shares = [fc.Standardize(n, robust=True, clip=True, missing=missing), fc.PiecewiseLinearEncoding(bins=bins)]
    return fc.Columns([(range(n), shares), (range(n), fc.Standardize(n, missing=missing))])


def ensemble(n, dtype="float32", missing=False, seed=0):
    first = stage(n, missing=missing)
    layers = [first, fc.Members(3, [fc.Dense(first.n_out, 6, "relu"), fc.Dense(6, 2)], "packed")]
    return fc.Network(layers, dtype=dtype, seed=seed)


@pytest.mark.parametrize("engine", ENGINES)
class TestInEachEngine:
    @pytest.mark.parametrize("bins", [None, 3, 7, 40])
    def test_the_formula(self, engine, bins):
        net = fc.Network([fc.PiecewiseLinearEncoding(bins=bins, edges=EDGES)], dtype="float64")
        x = np.concatenate([X, 10 * X, np.column_stack([[-1, -0.25, 0.5, 2], [-0.5, 0.75, 0.1, 0], [3, 3, 0, 9]])])
        y, expected = net.predict(x, engine=engine), by_formula(x, EDGES, bins or 3)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
        assert (y[expected == 0] == 0).all()
        assert (y[expected == 1] == 1).all()

    def test_the_gradient_also_at_the_edges_and_beyond(self, engine):
        net = fc.Network([fc.PiecewiseLinearEncoding(edges=EDGES)], dtype="float64")
        x = np.array([[each, 3 * each, each] for each in (-9, -1, -0.5, -0.25, 0, 0.25, 0.5, 1.2, 2.0, 7.0)], float)
        dy = np.random.default_rng(3).normal(size=(len(x), 9))
        g = net.gradients(x, net.predict(x) - dy * len(x), "half_squared_error", engine=engine)
        np.testing.assert_allclose(g.x, dx_by_formula(x, dy, EDGES), rtol=1e-11, atol=1e-12)
        assert (g.x[:, 2] == 0).all()

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        ("n", "bins", "rows"), [(1, 1, 1), (3, 4, 7), (64, 16, 256), (5, 200, 33), (2, 3, 1000), (40, 17, 900)]
    )
    def test_of_any_shape(self, engine, n, bins, rows, dtype):
        rng = np.random.default_rng(n)
        x = rng.normal(size=(rows, n))
        x[:, 0] = np.round(x[:, 0])  # many of its values are edges
        net = fc.Network([fc.PiecewiseLinearEncoding(n, bins), fc.Dense(n * bins, 2)], dtype=dtype, seed=0)
        net.adapt(x, rng.integers(1, 4, rows))
        x = np.concatenate([x, 3 * rng.normal(size=(rows, n))])
        t = rng.normal(size=(len(x), 2))
        own, found = (net.gradients(x, t, "half_squared_error", engine=each) for each in ("numpy", engine))
        bound = 1e-5 if dtype == "float32" else 1e-12
        y = net.predict(x, engine="numpy")
        assert np.abs(net.predict(x, engine=engine) - y).max() <= bound * np.abs(y).max()
        assert np.abs(found.theta - own.theta).max() <= bound * np.abs(own.theta).max()
        assert np.abs(found.x - own.x).max() <= bound * np.abs(own.x).max()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_linear_map_of_it_is_the_embedding(self, engine, dtype):
        x = np.concatenate([X, 4 * X])
        embedding = fc.Network([fc.PiecewiseLinearEmbedding(size=2, edges=EDGES)], dtype=dtype, seed=0)
        p = embedding.params[0]
        p.w, p.W = 0, np.random.default_rng(1).normal(size=p.W.shape)
        net = fc.Network([fc.PiecewiseLinearEncoding(edges=EDGES), fc.Dense(9, 6)], dtype=dtype)
        W = np.zeros((3, 3, 3, 2))
        W[range(3), :, range(3)] = p.W
        net.params[1].W, net.params[1].b = W.reshape(9, 6), p.b.ravel()
        bound = 1e-5 if dtype == "float32" else 1e-12
        own, found = net.predict(x, engine=engine), embedding.predict(x, engine=engine)
        np.testing.assert_allclose(own, found, rtol=bound, atol=bound)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("missing", [False, True])
    def test_in_columns_that_are_read_twice_with_packed_members_behind(self, engine, dtype, missing):
        x, ends = X.copy(), []
        if missing:
            x[::3, 1] = np.nan
        for each in ("numpy", engine):
            net = ensemble(3, dtype, missing)
            fc.fit(net, x, T, "half_squared_error", fc.AdamW(0.01), 4, 4, engine=each, **QUIET)
            ends.append(net)
        bound = 2e-4 if dtype == "float32" else 1e-9
        np.testing.assert_allclose(ends[1].theta, ends[0].theta, rtol=bound, atol=bound)
        y = ends[0].predict(x, members=True, engine=engine)
        np.testing.assert_allclose(y, ends[0].predict(x, members=True, engine="numpy"), rtol=1e-5, atol=1e-5)
        encoding = ends[1].layers[0].parts[0][1][1]
        assert encoding == ends[0].layers[0].parts[0][1][1]
        assert encoding.used == ((4, 4, 4, 0, 1, 0) if missing else (4, 4, 4))  # an indicator has one bin, or none
        exact = ensemble(3, "float64", missing)
        exact.adapt(x)
        shifted = x + 0.01
        assert fc.check_gradients(exact, shifted, T, "half_squared_error", engine=engine).ok
        own, found = (exact.gradients(shifted, T, "half_squared_error", engine=each) for each in ("numpy", engine))
        np.testing.assert_allclose(found.x, own.x, rtol=1e-9, atol=1e-13)
        if missing:
            assert (own.x[::3, 1] == 0).all()

    def test_directly_in_columns(self, engine):
        parts = [([2, 0], fc.PiecewiseLinearEncoding(2, 4)), (3, fc.OneHot(3)), (1, fc.PiecewiseLinearEncoding(1, 2))]
        x = np.column_stack([X, np.arange(11) % 3])
        net = fc.Network([fc.Columns(parts)], dtype="float64")
        net.adapt(x)
        first, last = (net.layers[0].parts[i][1][0] for i in (0, 2))
        y = net.predict(x, engine=engine)
        np.testing.assert_allclose(y[:, :8], by_formula(x[:, [2, 0]], first.edges, 4), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(y[:, 11:], by_formula(x[:, [1]], last.edges, 2), rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize("threads", [2, 3])
    def test_any_number_of_threads_gives_the_same_gradient(self, engine, threads):
        x, t = np.random.default_rng(1).normal(size=(1200, 30)), np.random.default_rng(2).normal(size=(1200, 30))
        ends = set()
        for n_threads in (1, threads, threads):
            layers = [fc.Scale(30), fc.PiecewiseLinearEncoding(30, 16), fc.Dense(480, 30, init="zeros")]
            net = fc.Network(layers, seed=0)
            net.adapt(x)
            net.params[2].W[::7] = 0.5
            how = {"n_threads": n_threads, "engine": engine, "factors": fc.Factors(lr={"dense_1": 0}), **QUIET}
            fc.fit(net, x, t, "half_squared_error", fc.Adam(0.01), 3, 1200, **how)
            ends.add(net.params[0].s.tobytes())
        assert len(ends) == 1

    def test_a_run_that_adapts_goes_on_from_its_checkpoint(self, engine, tmp_path):
        ends = []
        for runs in ([6], [2, 6]):
            for epochs in runs:
                net = ensemble(3)
                how = {"checkpoint": tmp_path / str(len(runs)), "engine": engine, **QUIET}
                fc.fit(net, X, T, "half_squared_error", fc.AdamW(0.01), epochs, 4, **how)
            ends.append((net.theta.tobytes(), net.layers))
        assert ends[0] == ends[1]

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e6, 1e30, 3.3e38])
    def test_columns_of_any_scale(self, engine, dtype, scale):
        """The shares do not depend on the unit of a column."""
        x = np.linspace(-1, 1, 41)[:, None].astype(dtype)
        nets = [fc.Network([fc.PiecewiseLinearEncoding(1, 7)], dtype=dtype) for _ in range(2)]
        for net, factor in zip(nets, (1, scale), strict=True):
            net.adapt(factor * x)
        near, far = (net.predict(c * x, engine=engine) for net, c in zip(nets, (1, scale), strict=True))
        np.testing.assert_allclose(far, near, rtol=2e-5, atol=2e-6)
        assert np.isfinite(nets[1].gradients(scale * x, 0 * far, "half_squared_error", engine=engine).x).all()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_far_values_of_a_narrow_column_are_finite(self, engine, dtype):
        net = fc.Network([fc.PiecewiseLinearEncoding(edges=[[0.0, 1e-25, 3e-25]])], dtype=dtype)
        x = np.array([[1e30], [-1e30], [3e38], [2e-25]], dtype)
        y = net.predict(x, engine=engine)
        assert np.isfinite(y).all()
        np.testing.assert_allclose(y, net.predict(x, engine="numpy"), rtol=1e-5)

    def test_edges_that_are_one_number_in_float32(self, engine):
        """A bin between them is empty there: its share is 0, or 1."""
        layer = fc.PiecewiseLinearEncoding(edges=[[0.0, 1e9, 1e9 + 1, 1e9 + 2, 2e9]])
        y = fc.Network([layer]).predict([[0.0], [5e8], [1e9 + 64], [1.5e9], [3e9]], engine=engine)
        expected = [[0, 0, 0, 0], [0.5, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0.5], [1, 1, 1, 2]]
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)

    def test_numbers_that_are_not_finite_are_noticed(self, engine):
        """As NaN in all that is made of the column, whatever its bins; other columns are not touched."""
        net = fc.Network([fc.Dense(3, 3), fc.PiecewiseLinearEncoding(bins=20, edges=EDGES)], dtype="float64", seed=0)
        for j in range(3):
            net.params[0].b = np.where(np.arange(3) == j, np.nan, 0)
            y = net.predict(X, engine=engine).reshape(-1, 3, 20)
            assert np.isnan(y[:, j]).all()
            assert np.isfinite(np.delete(y, j, axis=1)).all()
        net = fc.Network([fc.Dense(3, 3), fc.PiecewiseLinearEncoding(edges=EDGES), fc.Dense(9, 2)], dtype="float64")
        with pytest.raises(errors.DivergenceError):
            fc.fit(net, X, T, "half_squared_error", fc.SGD(1e200), 5, engine=engine, **QUIET)

    def test_gradients_that_are_not_finite_are_those_of_numpy(self, engine):
        for value, at in itertools.product((np.nan, np.inf, -np.inf, 1e30), range(0, 12, 2)):
            layers = [fc.Dense(3, 3), fc.PiecewiseLinearEncoding(bins=4, edges=EDGES), fc.Dense(12, 2)]
            net = fc.Network(layers, dtype="float32", seed=0)
            net.params[2].W[at, 0] = value
            own, found = (net.gradients(X, T, "absolute_error", engine=each) for each in ("numpy", engine))
            assert np.array_equal(np.isfinite(own.theta), np.isfinite(found.theta))
            assert np.array_equal(np.isfinite(own.x), np.isfinite(found.x))

    def test_behind_other_layers_and_in_blocks(self, engine):
        block = fc.Residual([fc.PiecewiseLinearEncoding(bins=3), fc.Dense(12, 4)])
        layers = [fc.Standardize(3), fc.Dense(3, 4, "tanh"), block, fc.Dropout(0.2), fc.Dense(4, 2)]
        net = fc.Network(layers, dtype="float64", seed=0)
        assert net.unset == ("standardize_1", "residual_1.piecewise_linear_encoding_1")
        net.adapt(X)
        own, found = (
            net.gradients(X, T, "huber", train=True, seed=1, engine=each, l2=0.1) for each in ("numpy", engine)
        )
        np.testing.assert_allclose(found.theta, own.theta, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(found.x, own.x, rtol=1e-9, atol=1e-13)


class TestEdges:
    def test_they_are_those_of_the_embedding(self):
        x = np.column_stack([X, np.arange(11) > 6, np.full(11, 0.1), np.arange(11) % 3])
        for w in (None, np.arange(11) % 4):
            layers = [fc.PiecewiseLinearEncoding(6, 5), fc.PiecewiseLinearEmbedding(6, 5)]
            nets = [fc.Network([layer], dtype="float64", seed=0) for layer in layers]
            for net in nets:
                net.adapt(x, w)
            assert nets[0].layers[0].edges == nets[1].layers[0].edges
            assert nets[0].layers[0].used[3:] == (1, 0, 2)

    def test_they_are_taken_once(self):
        net = fc.Network([fc.PiecewiseLinearEncoding(3, 5), fc.Dense(15, 2)], seed=0)
        with pytest.raises(errors.ConfigError, match="piecewise_linear_encoding_1"):
            net.predict(X)
        fc.fit(net, X, T, "half_squared_error", "sgd", 1, **QUIET)
        edges = net.layers[0].edges
        fc.fit(net, 2 * X, T, "half_squared_error", "sgd", 1, **QUIET)
        net.adapt(5 * X)
        assert net.layers[0].edges is edges

    def test_unused_bins_are_0(self):
        net = fc.Network([fc.PiecewiseLinearEncoding(3, 5), fc.Dense(15, 2)], seed=0)
        x = np.column_stack([X[:, 0], X[:, 1] > 0, np.full(11, 7.0)])
        net.adapt(x)
        used = np.arange(5) < np.array(net.layers[0].used)[:, None]
        y = fc.Network(net.layers[:1]).predict(9 * X)
        assert (y[:, ~used.ravel()] == 0).all()
        assert (y[:, used.ravel()] != 0).any(axis=0).all()
        assert used.sum(axis=1).tolist() == [5, net.layers[0].used[1], 0]

    def test_given_edges_are_kept(self):
        for edges in (EDGES, [np.array(column) for column in EDGES], tuple(map(tuple, EDGES))):
            layer = fc.PiecewiseLinearEncoding(edges=edges)
            assert (layer.n_in, layer.bins, layer.n_out, layer.used) == (3, 3, 9, (3, 1, 0))
            assert layer.edges == tuple(map(tuple, EDGES))
        assert fc.PiecewiseLinearEncoding(3, 7, edges=EDGES).n_out == 21
        assert fc.PiecewiseLinearEncoding(edges=[[2.0]]).n_out == 1

    def test_what_is_told(self):
        assert repr(fc.PiecewiseLinearEncoding()) == "PiecewiseLinearEncoding(None, 16)"
        assert repr(fc.PiecewiseLinearEncoding(2, 3)) == "PiecewiseLinearEncoding(2, 3)"
        one = fc.PiecewiseLinearEncoding(edges=[np.arange(9), [2]])
        assert repr(one) == "PiecewiseLinearEncoding(2, 8, edges=((0.0, 1.0, 2.0, ...), (2.0,)))"


def test_gradients():
    assert fc.check_gradients(fc.PiecewiseLinearEncoding(4, 3)).ok
    assert fc.check_gradients(fc.PiecewiseLinearEncoding(edges=EDGES)).ok


def test_rows_on_edges_are_kinks_of_the_gradient_check():
    net = fc.Network([fc.PiecewiseLinearEncoding(3, 5), fc.Dense(15, 2)], dtype="float64", seed=0)
    net.adapt(X)
    report = fc.check_gradients(net, X, T, "half_squared_error")
    assert report.ok
    assert len(report.tensors[-1].kinks) == 3 * 4  # of 11 rows, the quantiles are rows


def test_files_copies_and_pickles(tmp_path):
    unset = ensemble(3)
    for dtype in DTYPES:
        net = ensemble(3, dtype)
        net.adapt(X)
        net.save(tmp_path / "net")
        for twin in (fc.load(tmp_path / "net"), net.copy(), pickle.loads(pickle.dumps(net))):
            assert twin.layers == net.layers
            assert np.array_equal(twin.predict(X), net.predict(X))
    for twin in (unset.copy(), pickle.loads(pickle.dumps(unset))):
        assert twin.unset == unset.unset
        assert "columns_1.piecewise_linear_encoding_1" in twin.unset
    assert build_layers(json.loads(json.dumps(describe_layers(unset.layers)))) == unset.layers


def test_it_is_explained():
    net = fc.Network([fc.PiecewiseLinearEncoding(edges=EDGES), fc.Dense(9, 1)], dtype="float64", seed=0)
    found = fc.explain(net, X[:3], T[:3, :1], "half_squared_error", "adam", focus="x[0,0]")
    assert found.trace.ok
    assert all(step.known and step.error < 1e-12 for step in found.trace.steps if step.phase != "check")
    exec(compile(found.to_python(), "script", "exec"), {"__name__": "script"})
    assert {
        "v_bin1 = clip((x - left_bin1) / (right_bin1 - left_bin1), low_bin1, high_bin1)",
        "y_bin1 = v_bin1",
        "dL/dx = sum_k(dL/dy_bin1[v_bin1] * (x > after_bin1) * (1 - (x > until_bin1)) / (right_bin1 - left_bin1))",
    } <= {str(step.equation) for step in found.trace.steps}
    assert "piecewise" in fc.draw(net, X[:1])
    told = net.summary(width=150)
    assert "shares of 3 bins of each column" in told
    assert "constants: 7 numbers of the data in float64" in told


def test_widths():
    net = fc.Network([fc.Dense(2, 3), fc.PiecewiseLinearEncoding(), fc.Dense(48, 1)])
    assert net.layers[1] == fc.PiecewiseLinearEncoding(3, 16)
    with pytest.raises(errors.ShapeError, match="comes first and has no width: give it n_in"):
        fc.Network([fc.PiecewiseLinearEncoding()])
    with pytest.raises(errors.ShapeError, match="takes 4 columns, and what comes before it gives 3"):
        fc.Network([fc.Dense(2, 3), fc.PiecewiseLinearEncoding(4)])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_in": 0}, errors.ConfigError, "n_in of PiecewiseLinearEncoding must be 1 or more; got 0"),
        ({"bins": 2.5}, errors.InputTypeError, "bins of PiecewiseLinearEncoding is a whole number; got 2.5"),
        ({"size": 4}, errors.InputTypeError, "PiecewiseLinearEncoding: there is no setting 'size'"),
        ({"edges": 3}, errors.InputTypeError, "edges of PiecewiseLinearEncoding is a list with an array for each"),
        (
            {"n_in": 2, "edges": EDGES},
            errors.ShapeError,
            "PiecewiseLinearEncoding takes edges for each of its 2; got 3",
        ),
        ({"edges": [[0.0, 1.0, 1.0]]}, errors.ConfigError, "column 0 of PiecewiseLinearEncoding increase"),
        ({"bins": 2, "edges": EDGES}, errors.ConfigError, "edges of column 0 make 3 bins, more than bins=2"),
    ],
)
def test_settings_that_cannot_be(settings, error, message):
    with pytest.raises(error, match=message):
        fc.PiecewiseLinearEncoding(**settings)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_values_are_named(value):
    x = X.copy()
    x[4, 2] = value
    for first in (fc.PiecewiseLinearEncoding(3, 4), fc.Columns([([0, 2], fc.PiecewiseLinearEncoding(2, 4))])):
        net = fc.Network([first, fc.Dense(first.n_out, 2)], seed=0)
        with pytest.raises(errors.DataError, match=rf"x\[4, 2\] is {value}"):
            net.adapt(x)
        assert net.unset


def test_packed_members_tell_close_numbers_apart():
    """What they learn slowly from the numbers alone, as they begin nearly linear in each column."""
    x = np.random.default_rng(1).uniform(-1, 1, (800, 1))
    t = np.sign(np.sin(12 * x))
    losses = []
    for first in (stage(1, bins=32), fc.Standardize(1)):
        members = fc.Members(2, [fc.Dense(first.n_out, 32, "relu"), fc.Dense(32, 1)], "packed")
        net = fc.Network([first, members], seed=0)
        fc.fit(net, x, t, "half_squared_error", fc.Adam(0.01), 30, 64, seed=0, **QUIET)
        losses.append(net.evaluate(x, t, "half_squared_error").loss)
    assert losses[0] < 0.5 * losses[1]
