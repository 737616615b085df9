"""Columns as lines that bend at the edges of bins: PiecewiseLinearEmbedding."""

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


def network(dtype="float64", edges=EDGES, bins=None, size=4, n_out=2, seed=0):
    layers = [fc.PiecewiseLinearEmbedding(None, bins, size, edges=edges), fc.Dense(len(edges) * size, n_out)]
    return noisy(fc.Network(layers, dtype=dtype, seed=seed))


def noisy(net):
    net.theta += np.random.default_rng(9).normal(0, 0.3, net.n_params)  # else W is 0
    return net


def shares(x, edges):
    """The encoding of one column, bin by bin, as the paper has it."""
    found = np.zeros((len(x), len(edges) - 1))
    for k, (left, right) in enumerate(itertools.pairwise(edges)):
        share = (x - left) / (right - left)
        share = share if k == 0 else np.maximum(share, 0)
        found[:, k] = share if k == len(edges) - 2 else np.minimum(share, 1)
    return found


def by_formula(layer, p, x):
    outputs = []
    for j, edges in enumerate(layer.edges):
        v = shares(x[:, j], edges)
        outputs.append(np.outer(x[:, j], p.w[j]) + v @ p.W[j, : v.shape[1]] + p.b[j])
    return np.hstack(outputs)


def by_hand(net, x, t):
    """The gradients of half the squared error, each from its formula."""
    layer, p, size = net.layers[0], net.params[0], net.layers[0].size
    W2, y = net.params[1].W, by_formula(layer, p, x)
    dz = (y @ W2 + net.params[1].b - t) / len(x)
    dy = dz @ W2.T
    dx, parts = np.zeros_like(x), []
    gW, gw, gb = (np.zeros_like(a) for a in (p.W, p.w, p.b))
    for j, edges in enumerate(layer.edges):
        de = dy[:, j * size : (j + 1) * size]
        v = shares(x[:, j], edges)
        gW[j, : v.shape[1]], gw[j], gb[j] = v.T @ de, x[:, j] @ de, de.sum(axis=0)
        dx[:, j] = de @ p.w[j]
        if len(edges) > 1:
            k = np.searchsorted(edges[1:-1], x[:, j])  # at an edge, the bin below
            dx[:, j] += (de * p.W[j, k]).sum(axis=1) / np.diff(edges)[k]
    for a in (gw, gW, gb, y.T @ dz, dz.sum(axis=0)):
        parts.append(a.ravel())
    return np.concatenate(parts), dx


@pytest.mark.parametrize("engine", ENGINES)
class TestInEachEngine:
    def test_the_formula(self, engine):
        net = noisy(fc.Network([fc.PiecewiseLinearEmbedding(size=4, edges=EDGES)], dtype="float64", seed=1))
        x = np.concatenate([X, 10 * X, np.column_stack([[-1, -0.25, 0.5, 2], [-0.5, 0.75, 0.1, 0], [3, 3, 0, 9]])])
        expected = by_formula(net.layers[0], net.params[0], x)
        np.testing.assert_allclose(net.predict(x, engine=engine), expected, rtol=1e-12, atol=1e-14)

    def test_the_gradients_also_at_the_edges_and_beyond(self, engine):
        net = network(size=3)
        x = np.array([[each, 3 * each, each] for each in (-9, -1, -0.5, -0.25, 0, 0.25, 0.5, 1.2, 2.0, 7.0)], float)
        t = np.random.default_rng(3).normal(size=(len(x), 2))
        g = net.gradients(x, t, "half_squared_error", engine=engine)
        theta, dx = by_hand(net, x, t)
        np.testing.assert_allclose(g.theta, theta, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(g.x, dx, rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        ("n", "bins", "size", "rows"),
        [(1, 1, 1, 1), (3, 4, 3, 7), (64, 48, 16, 256), (5, 200, 24, 33), (2, 3, 2, 1000), (40, 16, 17, 700)],
    )
    def test_of_any_shape(self, engine, n, bins, size, rows, dtype):
        rng = np.random.default_rng(n)
        x = rng.normal(size=(rows, n))
        x[:, 0] = np.round(x[:, 0])  # many of its values are edges
        net = fc.Network([fc.PiecewiseLinearEmbedding(n, bins, size), fc.Dense(n * size, 2)], dtype=dtype, seed=0)
        net.adapt(x, rng.integers(1, 4, rows))
        noisy(net)
        x = np.concatenate([x, 3 * rng.normal(size=(rows, n))])
        t = rng.normal(size=(len(x), 2))
        own, found = (net.gradients(x, t, "half_squared_error", engine=each) for each in ("numpy", engine))
        bound = 1e-5 if dtype == "float32" else 1e-12
        y = net.predict(x, engine="numpy")
        assert np.abs(net.predict(x, engine=engine) - y).max() <= bound * np.abs(y).max()
        assert np.abs(found.theta - own.theta).max() <= bound * np.abs(own.theta).max()
        assert np.abs(found.x - own.x).max() <= bound * np.abs(own.x).max()

    @pytest.mark.parametrize("optimizer", [fc.SGD(0.01), fc.AdamW(0.01, weight_decay=0.1), fc.Muon(0.01)])
    @pytest.mark.parametrize("how", [{"l2": 0.1}, {"max_grad_norm": 0.01}, {"average": fc.EMA(0.8)}, {"n_threads": 2}])
    def test_training_is_that_of_numpy(self, engine, optimizer, how):
        ends = []
        for each in ("numpy", engine):
            net = network()
            fc.fit(net, X, T, "half_squared_error", optimizer, 5, 4, engine=each, **QUIET, **how)
            ends.append(net.theta)
        np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_unused_bins_do_nothing_and_do_not_move(self, engine, dtype):
        """Neither by their gradients, nor by l2 and weight decay; whatever stands in them, outputs are the same."""
        net = fc.Network([fc.PiecewiseLinearEmbedding(3, 5, 4), fc.Dense(12, 2)], dtype=dtype, seed=0)
        x = np.column_stack([X[:, 0], X[:, 1] > 0, np.full(11, 7.0)])
        fc.fit(net, x, T, "half_squared_error", fc.AdamW(0.1, weight_decay=0.1), 5, 4, l2=0.1, engine=engine, **QUIET)
        used = net.layers[0].used
        assert used[0] == 5
        assert 1 <= used[1] <= 2
        assert used[2] == 0
        for j, m in enumerate(used):
            assert (net.params[0].W[j, m:] == 0).all()
            assert (net.params[0].W[j, :m] != 0).all()
        y, g = net.predict(x, engine=engine), net.gradients(x, T, "half_squared_error", engine=engine)
        for j, m in enumerate(used):
            assert (g.params[0].W[j, m:] == 0).all()
            net.params[0].W[j, m:] = 1e30
        assert np.array_equal(net.predict(x, engine=engine), y)
        again = net.gradients(x, T, "half_squared_error", engine=engine)
        assert np.array_equal(again.theta, g.theta)
        assert np.array_equal(again.x, g.x)

    @pytest.mark.parametrize("learns", ["w", "W", "b"])
    def test_one_parameter_may_learn_alone(self, engine, learns):
        ends = []
        for each in ("numpy", engine):
            net = network()
            frozen = {f"piecewise_linear_embedding_1.{letter}": 0 for letter in "wWb" if letter != learns}
            factors = fc.Factors(lr=frozen | {"dense_1": 0})
            fc.fit(net, X, T, "half_squared_error", "adam", 3, factors=factors, engine=each, **QUIET)
            ends.append(net.theta)
        np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)
        assert not np.array_equal(ends[1], network().theta)

    def test_a_frozen_embedding_keeps_its_bits(self, engine):
        net = network()
        before = net.copy()
        factors = fc.Factors(lr={"embedding": 0})
        fc.fit(net, X, T, "half_squared_error", "adam", 3, factors=factors, engine=engine, **QUIET)
        for name, view in net.program.named(net.theta).items():
            same = view.tobytes() == before.program.named(before.theta)[name].tobytes()
            assert same == name.startswith("piecewise")

    def test_a_run_that_adapts_goes_on_from_its_checkpoint(self, engine, tmp_path):
        ends = []
        for runs in ([6], [2, 6]):
            for epochs in runs:
                net = fc.Network([fc.Standardize(3), fc.PiecewiseLinearEmbedding(size=2), fc.Dense(6, 2)], seed=0)
                how = {"checkpoint": tmp_path / str(len(runs)), "engine": engine, **QUIET}
                fc.fit(net, X, T, "half_squared_error", fc.AdamW(0.01), epochs, 4, **how)
            ends.append((net.theta.tobytes(), net.layers[1].edges))
        assert ends[0] == ends[1]

    @pytest.mark.parametrize("threads", [2, 3])
    def test_any_number_of_threads_gives_the_same_gradient(self, engine, threads):
        x, t = np.random.default_rng(1).normal(size=(400, 30)), np.random.default_rng(2).normal(size=(400, 2))
        ends = set()
        for n_threads in (1, threads, threads):
            net = fc.Network([fc.PiecewiseLinearEmbedding(30, 16, 8), fc.Dense(240, 2, init="zeros")], seed=0)
            how = {"n_threads": n_threads, "engine": engine, **QUIET, "factors": fc.Factors(lr={"dense_1.b": 0})}
            fc.fit(net, x, t, "half_squared_error", fc.Adam(0.01), 3, 400, **how)
            ends.add(net.params[0].W.tobytes())
        assert len(ends) == 1

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e6, 1e30, 3.3e38])
    def test_columns_of_any_scale(self, engine, dtype, scale):
        """The shares do not depend on the unit of a column: only x w does."""
        x = np.linspace(-1, 1, 41)[:, None].astype(dtype)
        nets = [fc.Network([fc.PiecewiseLinearEmbedding(1, 7, 3)], dtype=dtype, seed=0) for _ in range(2)]
        for net, factor in zip(nets, (1, scale), strict=True):
            net.adapt(factor * x)
            noisy(net)
            net.params[0].w = 0
        near, far = (net.predict(c * x, engine=engine) for net, c in zip(nets, (1, scale), strict=True))
        np.testing.assert_allclose(far, near, rtol=2e-5, atol=2e-6)
        g = nets[1].gradients(scale * x, 0 * far, "half_squared_error", engine=engine)
        assert np.isfinite(g.theta).all()
        assert np.isfinite(g.x).all()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_far_values_of_a_narrow_column_are_finite(self, engine, dtype):
        net = fc.Network([fc.PiecewiseLinearEmbedding(size=2, edges=[[0.0, 1e-25, 3e-25]])], dtype=dtype, seed=0)
        x = np.array([[1e30], [-1e30], [3e38], [2e-25]], dtype)
        y = net.predict(x, engine=engine)
        assert np.isfinite(y).all()
        np.testing.assert_allclose(y, net.predict(x, engine="numpy"), rtol=1e-5)

    def test_edges_that_are_one_number_in_float32(self, engine):
        """A bin between them is empty there, and what it adds is added at once."""
        edges = [[0.0, 1e9, 1e9 + 1, 1e9 + 2, 2e9]]
        layers = [fc.PiecewiseLinearEmbedding(size=2, edges=edges)]
        nets = [noisy(fc.Network(layers, dtype=each, seed=0)) for each in DTYPES]
        x = np.array([[0.0], [5e8], [1e9], [1e9 + 64], [1.5e9], [3e9]])
        for net in nets:
            net.params[0].w = 0
        low, exact = (net.predict(x, engine=engine) for net in nets)
        np.testing.assert_allclose(low, exact, rtol=1e-5, atol=1e-6)
        own, found = (nets[0].gradients(x, low + 1, "half_squared_error", engine=each) for each in ("numpy", engine))
        np.testing.assert_allclose(found.theta, own.theta, rtol=1e-5)
        np.testing.assert_allclose(found.x, own.x, rtol=1e-5)

    def test_numbers_that_are_not_finite_are_noticed(self, engine):
        net = network()
        net.params[0].w[0, 0] = np.nan
        assert np.isnan(net.predict(X, engine=engine)).all()
        with pytest.raises(errors.DivergenceError):
            fc.fit(network(), X, T, "half_squared_error", fc.SGD(1e200), 5, engine=engine, **QUIET)
        for bin in range(3):  # also one that no row lies in, or that is not used, as 0 NaN is NaN
            net = network()
            net.params[0].W[1, bin, 2] = np.nan
            y = net.predict(X[:1], engine=engine)
            assert np.isnan(y).all()
        behind = fc.Network([fc.Dense(3, 3), fc.PiecewiseLinearEmbedding(size=4, edges=EDGES)], dtype="float64")
        behind.params[0].b[1] = np.nan
        y = behind.predict(X, engine=engine)
        assert np.isnan(y[:, 4:8]).all()
        assert np.isfinite(y[:, :4]).all()

    def test_gradients_that_are_not_finite_are_those_of_numpy(self, engine):
        for value in (np.nan, np.inf, -np.inf, 1e30):
            net = fc.Network([fc.Dense(3, 3), *network("float32", size=3).layers], dtype="float32", seed=0)
            noisy(net)
            net.params[0].b[1] = value
            net.params[2].W[1, 0] = value
            own, found = (net.gradients(X, T, "huber", engine=each) for each in ("numpy", engine))
            assert np.array_equal(np.isfinite(own.theta), np.isfinite(found.theta))
            assert np.array_equal(np.isfinite(own.x), np.isfinite(found.x))

    def test_behind_other_layers_and_in_blocks(self, engine):
        block = fc.Residual([fc.PiecewiseLinearEmbedding(bins=3, size=2), fc.Dense(8, 4)])
        layers = [fc.Standardize(3), fc.Dense(3, 4, "tanh"), block, fc.Dropout(0.2), fc.Dense(4, 2)]
        net = fc.Network(layers, dtype="float64", seed=0)
        assert net.unset == ("standardize_1", "residual_1.piecewise_linear_embedding_1")
        net.adapt(X)
        assert net.unset == ()
        net = noisy(net)
        own, found = (
            net.gradients(X, T, "huber", train=True, seed=1, engine=each, l2=0.1) for each in ("numpy", engine)
        )
        np.testing.assert_allclose(found.theta, own.theta, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(found.x, own.x, rtol=1e-9, atol=1e-13)

    def test_in_columns_with_members_behind(self, engine):
        parts = [
            ([0, 2], [fc.Standardize(2), fc.PiecewiseLinearEmbedding(bins=4, size=3)]),
            (1, fc.PiecewiseLinearEmbedding(1, 2, 2)),
            (3, fc.OneHot(3)),
        ]
        layers = [fc.Columns(parts), fc.Members(3, [fc.Dense(11, 5, "relu"), fc.Dense(5, 2)])]
        x = np.column_stack([X, np.arange(11) % 3])
        ends = []
        for each in ("numpy", engine):
            net = fc.Network(layers, dtype="float64", seed=0)
            fc.fit(net, x, T, "half_squared_error", fc.AdamW(0.01), 4, 4, engine=each, **QUIET)
            ends.append(net.theta)
            assert fc.check_gradients(net, x[:, :] + [0.01, 0.01, 0.01, 0], T, "half_squared_error", engine=each).ok
        np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)


class TestEdges:
    def test_of_quantiles(self):
        net = fc.Network([fc.PiecewiseLinearEmbedding(3, 4, 2)], dtype="float64")
        net.adapt(X)
        np.testing.assert_allclose(net.layers[0].edges, np.quantile(X, [0, 0.25, 0.5, 0.75, 1], axis=0).T, rtol=1e-14)

    def test_of_weighted_rows(self):
        """A row of weight 0 is none; one of a larger weight has more of the bins."""
        layers = [fc.PiecewiseLinearEmbedding(3, 4, 2)]
        nets = [fc.Network(layers, dtype="float64") for _ in range(4)]
        w = np.arange(11) % 3
        nets[0].adapt(X, w > 0)
        nets[1].adapt(X[w > 0])
        assert nets[0].layers == nets[1].layers
        nets[2].adapt(X, w)
        nets[3].adapt(X, w / 1024)
        assert nets[2].layers == nets[3].layers
        for column, edges in zip(X.T, nets[2].layers[0].edges, strict=True):
            assert set(edges) <= set(column[w > 0])
            below = [w[column <= edge].sum() / w.sum() for edge in edges]
            assert all(reached >= q for reached, q in zip(below, (0, 0.25, 0.5, 0.75, 1), strict=True))

    def test_of_columns_with_few_values(self):
        x = np.column_stack([np.arange(11) > 6, np.full(11, 0.1), np.arange(11) % 3])
        net = fc.Network([fc.PiecewiseLinearEmbedding(3, 48, 2), fc.Dense(6, 1)], seed=0)
        net.adapt(x)
        two, one, three = net.layers[0].edges
        assert (two, one, three) == ((0, 1), (0.1,), (0, 1, 2))
        assert net.params[0].W.shape == (3, 48, 2)

    def test_quantiles_that_differ_by_rounding_are_one(self):
        """Else a bin would be as narrow as that, and the slope in it as steep."""
        for n in range(3, 40):
            x = np.repeat([0.0, 1.0], [n, 2 * n])[:, None]
            net = fc.Network([fc.PiecewiseLinearEmbedding(1, 30, 1)], dtype="float64")
            net.adapt(x / 3)
            assert np.diff(net.layers[0].edges[0]).min(initial=1) > 1e-9

    @pytest.mark.parametrize("n_rows", [1, 2])
    def test_of_one_or_two_rows(self, n_rows):
        net = fc.Network([fc.PiecewiseLinearEmbedding(3, 4, 2), fc.Dense(6, 1)], seed=0)
        net.adapt(X[:n_rows])
        assert net.layers[0].used == (n_rows - 1,) * 3
        assert np.isfinite(net.predict(X)).all()

    def test_those_of_computed_rows_are_those_of_the_same_rows(self):
        first = fc.Dense(3, 3, "tanh")
        net = fc.Network([first, fc.PiecewiseLinearEmbedding(3, 5, 2)], dtype="float64", seed=0)
        alone = fc.Network([first], dtype="float64", seed=0)
        other = fc.Network([fc.PiecewiseLinearEmbedding(3, 5, 2)], dtype="float64", seed=0)
        net.adapt(X)
        other.adapt(alone.predict(X, engine="numpy"))
        np.testing.assert_allclose(net.layers[1].edges, other.layers[0].edges, rtol=1e-14)

    def test_any_rows_and_dtypes(self):
        sparse = pytest.importorskip("scipy.sparse")
        x = np.where(np.random.default_rng(5).random((30, 3)) < 0.5, np.random.default_rng(6).normal(size=(30, 3)), 0)
        found = []
        for rows in (x, x.astype("longdouble"), sparse.csr_array(x), np.asfortranarray(x), x.tolist()):
            net = fc.Network([fc.PiecewiseLinearEmbedding(3, 5, 2)], dtype="float64")
            net.adapt(rows)
            found.append(net.layers[0])
        assert all(layer == found[0] for layer in found)
        net = fc.Network([fc.PiecewiseLinearEmbedding(2, 3, 1)])
        net.adapt(np.arange(10, dtype="uint8").reshape(5, 2))
        assert net.layers[0].edges[0][-1] == 8

    def test_they_are_taken_once(self):
        net = fc.Network([fc.PiecewiseLinearEmbedding(3, 5, 2), fc.Dense(6, 2)], seed=0)
        with pytest.raises(errors.ConfigError, match="piecewise_linear_embedding_1"):
            net.predict(X)
        fc.fit(net, X, T, "half_squared_error", "sgd", 1, **QUIET)
        edges = net.layers[0].edges
        fc.fit(net, 2 * X, T, "half_squared_error", "sgd", 1, **QUIET)
        net.adapt(5 * X)
        assert net.layers[0].edges is edges

    def test_given_edges_are_kept(self):
        for edges in (EDGES, [np.array(column) for column in EDGES], tuple(map(tuple, EDGES))):
            layer = fc.PiecewiseLinearEmbedding(edges=edges)
            assert (layer.n_in, layer.bins, layer.size, layer.used) == (3, 3, 16, (3, 1, 0))
            assert layer.edges == tuple(map(tuple, EDGES))
        assert fc.PiecewiseLinearEmbedding(3, 7, edges=EDGES).params()["W"].shape == (3, 7, 16)
        assert fc.PiecewiseLinearEmbedding(edges=np.array([[0, 1, 5]])).edges == ((0.0, 1.0, 5.0),)
        assert fc.PiecewiseLinearEmbedding(edges=[[2.0]]).bins == 1

    def test_what_is_told(self):
        assert repr(fc.PiecewiseLinearEmbedding()) == "PiecewiseLinearEmbedding(None, 48, 16)"
        assert repr(fc.PiecewiseLinearEmbedding(2, 3, 4)) == "PiecewiseLinearEmbedding(2, 3, 4)"
        one = fc.PiecewiseLinearEmbedding(size=1, edges=[np.arange(9), [2]])
        assert repr(one) == "PiecewiseLinearEmbedding(2, 8, 1, edges=((0.0, 1.0, 2.0, ...), (2.0,)))"
        many = fc.PiecewiseLinearEmbedding(size=1, edges=[[2]] * 9)
        assert repr(many) == "PiecewiseLinearEmbedding(9, 1, 1, edges=((2.0,), (2.0,), (2.0,), ...))"


def test_gradients():
    net = network()
    assert fc.check_gradients(net, X, T, "half_squared_error", l2=0.1).ok
    assert fc.check_gradients(fc.PiecewiseLinearEmbedding(4, 3, 3)).ok
    assert fc.check_gradients(fc.PiecewiseLinearEmbedding(edges=EDGES)).ok


def test_rows_on_edges_are_kinks_of_the_gradient_check():
    net = fc.Network([fc.PiecewiseLinearEmbedding(3, 5, 2), fc.Dense(6, 2)], dtype="float64", seed=0)
    net.adapt(X)
    report = fc.check_gradients(noisy(net), X, T, "half_squared_error")
    assert report.ok
    assert len(report.tensors[-1].kinks) == 3 * 4  # of 11 rows, the quantiles are rows


def test_kinks_are_the_edges_between_bins():
    layer = fc.PiecewiseLinearEmbedding(size=1, edges=EDGES)
    found = layer.kink_distances(None, np.array([[0.0, 0.0, 3.0]]))
    assert found.tolist() == [[[0.25, -np.inf, -np.inf]], [[-0.5, -np.inf, -np.inf]]]
    assert fc.PiecewiseLinearEmbedding(size=1, edges=[[0.0, 1.0]]).kink_distances(None, np.zeros((2, 1))) is None


def test_initial_values():
    net = fc.Network([fc.PiecewiseLinearEmbedding(50, 3, 25), fc.Dense(1250, 1)], dtype="float64", seed=0)
    p = net.params[0]
    assert (p.W == 0).all()
    for a in (p.w, p.b):
        assert np.abs(a).max() <= 0.2
        assert np.abs(a).max() > 0.195


def test_files_copies_and_pickles(tmp_path):
    unset = fc.Network([fc.PiecewiseLinearEmbedding(3, 5, 4), fc.Dense(12, 2)], seed=0)
    for net in (network(), network("float32")):
        net.save(tmp_path / "net")
        for twin in (fc.load(tmp_path / "net"), net.copy(), pickle.loads(pickle.dumps(net))):
            assert twin.layers == net.layers
            assert np.array_equal(twin.predict(X), net.predict(X))
    for twin in (unset.copy(), pickle.loads(pickle.dumps(unset))):
        assert twin.unset == ("piecewise_linear_embedding_1",)
    assert build_layers(json.loads(json.dumps(describe_layers(unset.layers)))) == unset.layers


def test_l2_shrinks_the_weights():
    assert {tensor.letter for tensor in network().program.tensors[:3] if tensor.param.decays} == {"w", "W"}


def test_it_is_explained():
    net = network(size=2, n_out=1)
    focus = "piecewise_linear_embedding_1.W[1,0,0]"
    found = fc.explain(net, X[:3], T[:3, :1], "half_squared_error", "adam", focus=focus)
    assert found.trace.ok
    assert all(step.known and step.error < 1e-12 for step in found.trace.steps if step.phase != "check")
    exec(compile(found.to_python(), "script", "exec"), {"__name__": "script"})
    assert {
        "v_bend1 = clip((x - left_bend1) / (right_bend1 - left_bend1), low_bend1, high_bend1)",
        "e_bend1 = v_bend1 W_bend1[j] + x * w_bend1 + b_bend1",
        "y_bend1 = e_bend1",
        "dL/dW_bend1 = v_bend1[j]' dL/dy_bend1[e_bend1][j]",
        "dL/dw_bend1 = sum_i(x * dL/dy_bend1[e_bend1])",
    } <= {str(step.equation) for step in found.trace.steps}
    assert "piecewise" in fc.draw(net, X[:1])
    assert "x w + v W + b of each column, v its shares of 3 bins" in net.summary(width=150)
    assert "constants: 7 numbers of the data in float64" in net.summary(width=150)


def test_widths():
    net = fc.Network([fc.Dense(2, 3), fc.PiecewiseLinearEmbedding(size=4), fc.Dense(12, 1)])
    assert net.layers[1] == fc.PiecewiseLinearEmbedding(3, 48, 4)
    with pytest.raises(errors.ShapeError, match="comes first and has no width: give it n_in"):
        fc.Network([fc.PiecewiseLinearEmbedding()])
    with pytest.raises(errors.ShapeError, match="takes 4 columns, and what comes before it gives 3"):
        fc.Network([fc.Dense(2, 3), fc.PiecewiseLinearEmbedding(4)])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_in": 0}, errors.ConfigError, "n_in of PiecewiseLinearEmbedding must be 1 or more; got 0"),
        ({"bins": 0}, errors.ConfigError, "bins of PiecewiseLinearEmbedding must be 1 or more; got 0"),
        ({"bins": 2.5}, errors.InputTypeError, "bins of PiecewiseLinearEmbedding is a whole number; got 2.5"),
        ({"bins": True}, errors.InputTypeError, "bins of PiecewiseLinearEmbedding is a whole number"),
        ({"size": 0}, errors.ConfigError, "size of PiecewiseLinearEmbedding must be 1 or more; got 0"),
        ({"size": None}, errors.InputTypeError, "size of PiecewiseLinearEmbedding is a whole number"),
        ({"n_bins": 4}, errors.InputTypeError, "n_bins"),
        ({"edges": 3}, errors.InputTypeError, "edges of .* is a list with an array for each column; got 3"),
        ({"edges": "123"}, errors.InputTypeError, "is a list with an array for each column"),
        ({"edges": {0: [1, 2]}}, errors.InputTypeError, "is a list with an array for each column"),
        ({"edges": []}, errors.ShapeError, "takes edges for each of its columns; got 0"),
        ({"n_in": 2, "edges": EDGES}, errors.ShapeError, "takes edges for each of its 2; got 3"),
        ({"edges": [0.0, 1.0]}, errors.ShapeError, r"column 0 .* got the shape \(\); for a single column: edges=\[\["),
        ({"edges": [[0.0, 1.0], []]}, errors.ShapeError, r"column 1 .* got the shape \(0,\)"),
        ({"edges": [[[0.0, 1.0]]]}, errors.ShapeError, r"column 0 .* got the shape \(1, 2\)"),
        ({"edges": [[0.0, 1.0], ["a", "b"]]}, errors.InputTypeError, "edges of column 1"),
        ({"edges": [[0.0, 1.0, 1.0]]}, errors.ConfigError, "column 0 .* increase, .* got 1.0, and then 1.0"),
        ({"edges": [[0.0, 1.0, 0.5]]}, errors.ConfigError, "increase, each by 1e-30 or more; got 1.0, and then 0.5"),
        ({"edges": [[0.0, 1e-31]]}, errors.ConfigError, "increase, each by 1e-30 or more"),
        ({"edges": [[0.0], [0.0, np.nan]]}, errors.ConfigError, "column 1 .* finite .* got nan"),
        ({"edges": [[0.0, np.inf]]}, errors.ConfigError, "finite numbers .* got inf. .*fc.Standardize"),
        ({"edges": [[-1e39, 0]]}, errors.ConfigError, r"range of float32, up to 3.4e38; got -1e\+39"),
        ({"bins": 2, "edges": EDGES}, errors.ConfigError, "edges of column 0 make 3 bins, more than bins=2"),
    ],
)
def test_settings_that_cannot_be(settings, error, message):
    with pytest.raises(error, match=message):
        fc.PiecewiseLinearEmbedding(**settings)


class TestRowsThatCannotBe:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_missing_values_are_named(self, value):
        x = X.copy()
        x[4, 2] = value
        for layers in (
            [fc.PiecewiseLinearEmbedding(3, 4, 2)],
            [fc.Columns([([0, 2], fc.PiecewiseLinearEmbedding(2, 4, 2)), (1, fc.PiecewiseLinearEmbedding(1, 4, 2))])],
        ):
            net = fc.Network([*layers, fc.Dense(6, 2)], seed=0)
            with pytest.raises(errors.DataError, match=rf"x\[4, 2\] is {value}"):
                net.adapt(x)
            with pytest.raises(errors.DataError, match=rf"x\[4, 2\] is {value}"):
                fc.fit(net, x, T, "half_squared_error", "sgd", 1, **QUIET)
            assert net.unset

    def test_values_that_no_float32_holds(self):
        net = fc.Network([fc.PiecewiseLinearEmbedding(3, 4, 2)], dtype="float64")
        with pytest.raises(errors.ConfigError, match=r"edges of column 1 .* Bring columns to a scale of about 1 first"):
            net.adapt(X * [1, 1e300, 1])

    def test_values_that_lie_too_near_each_other(self):
        net = fc.Network([fc.PiecewiseLinearEmbedding(3, 4, 2)], dtype="float64")
        with pytest.raises(errors.ConfigError, match=r"edges of column 1 .* by 1e-30 or more; .* fc.Standardize"):
            net.adapt(X * [1, 1e-33, 1])
        assert net.unset

    def test_what_layers_before_make_infinite(self):
        net = fc.Network([fc.Dense(3, 3), fc.PiecewiseLinearEmbedding(3, 4, 2)], dtype="float64", seed=0)
        net.params[0].W = 1e308
        with pytest.raises(errors.DataError, match=r"the input of PiecewiseLinearEmbedding\[\d+, 0\] is (-?inf|nan)"):
            net.adapt(1e3 * X)


def test_it_tells_close_numbers_apart():
    """What a plain network of that size learns slowly, as it is nearly linear in each column."""
    x = np.random.default_rng(1).uniform(-1, 1, (800, 1))
    t = np.sign(np.sin(12 * x))
    losses = []
    for first in (fc.PiecewiseLinearEmbedding(1, 32, 8), fc.Dense(1, 8, "relu")):
        net = fc.Network([first, fc.Dense(8, 32, "relu"), fc.Dense(32, 1)], seed=0)
        fc.fit(net, x, t, "half_squared_error", fc.Adam(0.01), 40, 64, seed=0, **QUIET)
        losses.append(net.evaluate(x, t, "half_squared_error").loss)
    assert losses[0] < 0.3 * losses[1]
