"""The fully connected layer against its formulas, and the numbers of the worked examples."""

import numpy as np
import pytest

import fullyconnected as fc


def one_layer(W, b, activation=None, dtype=np.float64):
    W = np.asarray(W)
    net = fc.Network([fc.Dense(*W.shape, activation)], dtype=dtype)
    net.params[0].W, net.params[0].b = W, b
    return net


def test_seed_000_by_hand():
    """The 2-2 worked example of docs/derivations.md."""
    net = one_layer([[0.15, 0.20], [0.25, 0.30]], [0.35, 0.45])
    np.testing.assert_allclose(net.predict([[0.1, 0.5]]), [[0.49, 0.62]], rtol=1e-14)
    g = net.gradients([[0.1, 0.5]], [[0.01, 0.99]], fc.HalfSquaredError())
    assert g.loss == pytest.approx(0.18365, rel=1e-13)
    np.testing.assert_allclose(g.params[0].W, [[0.048, -0.037], [0.24, -0.185]], rtol=1e-13)
    np.testing.assert_allclose(g.params[0].b, [0.48, -0.37], rtol=1e-13)
    np.testing.assert_allclose(g.x, [[-0.002, 0.009]], rtol=1e-12)


def test_seed_000_central_differences():
    """The values left and right of each parameter, as the seed should have printed them."""
    wanted = {
        0: (0.1841305, 0.1831705),
        1: (0.1832805, 0.1840205),
        2: (0.1860625, 0.1812625),
        3: (0.1818125, 0.1855125),
        4: (0.1885, 0.1789),
        5: (0.1800, 0.1874),
    }
    net = one_layer([[0.15, 0.20], [0.25, 0.30]], [0.35, 0.45])
    at = net.theta.copy()
    for i, sides in wanted.items():
        for value, step in zip(sides, (0.01, -0.01), strict=True):
            net.theta[:] = at
            net.theta[i] += step
            loss = net.evaluate([[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error", ()).loss
            assert loss == pytest.approx(value, rel=1e-12)


def test_seed_004_affine_products():
    x = np.arange(1.0, 11).reshape(2, 5)
    dy = np.array([[0, 0.2, 0.4], [0.6, 0.8, 1.0]])
    W = np.linspace(-1, 1, 15).reshape(5, 3)
    net = one_layer(W, [0, 0, 0])
    y = x @ W
    g = net.gradients(x, y - 2 * dy, fc.HalfSquaredError())  # two rows: the loss's derivative is dy
    wanted = [[3.6, 5, 6.4], [4.2, 6, 7.8], [4.8, 7, 9.2], [5.4, 8, 10.6], [6, 9, 12]]
    np.testing.assert_allclose(g.params[0].W, wanted, rtol=1e-12)
    np.testing.assert_allclose(g.params[0].b, [0.6, 1, 1.4], rtol=1e-12)
    np.testing.assert_allclose(g.x, dy @ W.T, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("rows", [1, 2, 17])
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (1, 5), (5, 1), (4, 3), (33, 65)])
def test_against_the_formulas(rows, n_in, n_out, rng):
    W, b = rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)
    x, t = rng.normal(size=(rows, n_in)), rng.normal(size=(rows, n_out))
    net = one_layer(W, b, "tanh")
    y = np.tanh(x @ W + b)
    np.testing.assert_allclose(net.predict(x), y, rtol=1e-12, atol=1e-14)
    g = net.gradients(x, t, fc.HalfSquaredError())
    dz = (y - t) / rows * (1 - y**2)
    np.testing.assert_allclose(g.params[0].W, x.T @ dz, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(g.params[0].b, dz.sum(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(g.x, dz @ W.T, rtol=1e-12, atol=1e-14)
    assert g.loss == pytest.approx(((y - t) ** 2).sum() / 2 / rows, rel=1e-12)


def test_without_bias(rng):
    net = fc.Network([fc.Dense(3, 2, "tanh", bias=False), fc.Dense(2, 2, bias=False)], dtype=np.float64, seed=0)
    assert net.n_params == 6 + 4
    assert [name for name, _ in net.params[0]] == ["W"]
    x = rng.normal(size=(4, 3))
    np.testing.assert_allclose(net.predict(x), np.tanh(x @ net.params[0].W) @ net.params[1].W, rtol=1e-13)
    assert not net.predict(np.zeros((1, 3))).any()
    g = net.gradients(x, np.zeros((4, 2)), "half_squared_error")
    assert len(g.theta) == 10


def test_symmetry_is_broken_and_biases_start_at_zero():
    net = fc.mlp([20, 30, 2], seed=1)
    assert len(np.unique(net.params[0].W)) == 600
    assert not net.params[0].b.any()


@pytest.mark.parametrize(
    ("activation", "deviation"),
    [
        ("relu", np.sqrt(2 / 400)),
        ("gelu", np.sqrt(2 / 400)),
        ("selu", np.sqrt(1 / 400)),
        ("tanh", np.sqrt(2 / 700)),
        (None, np.sqrt(2 / 700)),
        ((np.sin, np.cos), np.sqrt(2 / 700)),
    ],
)
def test_first_weights_suit_the_activation(activation, deviation):
    W = fc.Network([fc.Dense(400, 300, activation)], seed=2, dtype=np.float64).params[0].W
    assert W.std() == pytest.approx(deviation, rel=0.02)
    assert W.mean() == pytest.approx(0, abs=4 * deviation / np.sqrt(W.size))


def test_signals_keep_their_size_through_depth(rng):
    """He for relu: twenty layers neither blow the signal up nor let it die."""
    net = fc.mlp([256] * 21, activation="relu", output_activation="relu", seed=0)
    z = net.predict(rng.normal(size=(64, 256)))
    assert 0.1 < np.sqrt((z**2).mean()) < 10


def test_same_first_weights_in_both_precisions():
    single, double = (fc.mlp([5, 4, 3], dtype=dtype, seed=9) for dtype in (np.float32, np.float64))
    assert np.array_equal(single.theta, double.theta.astype(np.float32))


def test_float32_stays_float32(rng):
    net = fc.mlp([4, 5, 3], activation="gelu", seed=0)
    x, t = rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    g = net.gradients(x, t, "mean_squared_error")
    for a in (net.theta, net.predict(x), g.theta, g.x, g.params[1].W, *net.get_weights()):
        assert a.dtype == np.float32


def test_repr_can_be_read_back():
    from fullyconnected import Dense  # noqa: F401

    layer = fc.Dense(2, 3, bias=False, init=0.1)
    assert eval(repr(layer)) == layer


ENGINES = [name for name, info in fc.engines().items() if info.available]


def pair(layers, dtype="float64"):
    """The same network in both parametrizations, with other biases than 0."""
    nets = []
    for kind in ("standard", "ntk"):
        net = fc.Network([layer(kind) for layer in layers], dtype=dtype, seed=3)
        for i, p in enumerate(net.params):
            if "b" in dict(p):
                p.b = np.random.default_rng(i).normal(size=p.b.shape)
        nets.append(net)
    return nets


def dense(*sizes, **settings):
    return lambda kind: fc.Dense(*sizes, parametrization=kind, **settings)


@pytest.mark.parametrize("engine", ENGINES)
class TestNeuralTangent:
    def test_by_hand(self, engine):
        net = fc.Network([fc.Dense(4, 1, parametrization="ntk")], dtype="float64")
        net.params[0].W, net.params[0].b = [[1], [2], [3], [4]], 10
        x = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 2.0, 0.0]])
        assert net.predict(x, engine=engine).tolist() == [[12.5], [15]]
        g = net.gradients(x, [[0.5], [1.0]], "half_squared_error", engine=engine)  # dz is 12 and 14, over two rows
        assert g.params[0].W.tolist() == [[3], [7], [7], [3]]
        assert g.params[0].b.tolist() == [13]
        assert g.x.tolist() == [[3, 6, 9, 12], [3.5, 7, 10.5, 14]]

    @pytest.mark.parametrize(
        "init", ["he_normal", "lecun_uniform", 0.3, lambda rng, shape, *_: rng.random(shape), None]
    )
    def test_its_outputs_begin_as_those_of_the_standard_one(self, engine, init):
        standard, ntk = pair([dense(7, 5, "relu", init=init), dense(5, 2, init=init)])
        x = np.random.default_rng(0).normal(size=(6, 7))
        np.testing.assert_allclose(ntk.predict(x, engine=engine), standard.predict(x, engine=engine), rtol=1e-12)
        for n, p, q in zip((7, 5), standard.params, ntk.params, strict=True):
            np.testing.assert_allclose(q.W, p.W * np.sqrt(n), rtol=1e-14)

    def test_also_where_they_depend_on_the_training_rows(self, engine):
        how = {"init": "unit_variance", "bias_init": "he+5"}
        nets = [
            fc.Network([fc.Dense(7, 5, "relu", parametrization=kind, **how), fc.Dense(5, 2)], dtype="float64", seed=3)
            for kind in ("standard", "ntk")
        ]
        x = np.random.default_rng(0).normal(size=(60, 7))
        for net in nets:
            net.adapt(x)
        standard, ntk = (net.predict(x, engine=engine) for net in nets)
        np.testing.assert_allclose(ntk, standard, rtol=1e-12)
        np.testing.assert_allclose(nets[1].params[0].W, nets[0].params[0].W * np.sqrt(7), rtol=1e-14)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize(
        ("rows", "sizes"), [(1, (2, 1, 1)), (3, (5, 9, 2)), (300, (70, 200, 3)), (700, (90, 300, 40))]
    )
    def test_gradients_are_those_of_the_standard_one_divided(self, engine, rows, sizes, dtype):
        """In products of every size: plain loops, one row, in place, copied, of several blocks, and shared."""
        a, b, c = sizes
        standard, ntk = pair([dense(a, b, "mish"), dense(b, b, "tanh", bias=False), dense(b, c)], dtype)
        rng = np.random.default_rng(rows)
        x, t = rng.normal(size=(rows, a)), rng.normal(size=(rows, c))
        wanted = standard.gradients(x, t, "half_squared_error", engine="numpy")
        found = ntk.gradients(x, t, "half_squared_error", engine=engine)
        bound = 2e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(found.x, wanted.x, rtol=bound, atol=bound * np.abs(wanted.x).max())
        for n, p, q in zip((a, b, b), wanted.params, found.params, strict=True):
            np.testing.assert_allclose(q.W * np.sqrt(n), p.W, rtol=bound, atol=bound * np.abs(p.W).max())

    @pytest.mark.parametrize("rule", [fc.SGD(0.05), fc.Adam(0.01), fc.AdamW(0.01, weight_decay=0.1)])
    @pytest.mark.parametrize("how", [{"l2": 0.1}, {"max_grad_norm": 0.01}])
    def test_training_is_the_same_in_every_engine(self, engine, rule, how):
        """l2 and decay act on W as it is stored."""
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(50, 40)), rng.normal(size=(50, 3))
        ends = []
        for each in ("numpy", engine):
            _, net = pair([dense(40, 60, "selu"), dense(60, 3)])
            fc.fit(net, x, t, "half_squared_error", rule, 3, 16, engine=each, progress=False, warn=False, **how)
            ends.append(net.theta)
        np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)

    def test_a_run_goes_on_from_its_checkpoint(self, engine, tmp_path):
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
        ends = []
        for runs in ([5], [2, 5]):
            for epochs in runs:
                _, net = pair([dense(4, 6, "mish"), dense(6, 2)], "float32")
                how = {"checkpoint": tmp_path / str(len(runs)), "engine": engine, "progress": False, "warn": False}
                fc.fit(net, x, t, "half_squared_error", fc.AdamW(0.01), epochs, 8, **how)
            ends.append(net.theta.tobytes())
        assert ends[0] == ends[1]


def test_ntk_is_proven_and_finds_its_kinks():
    _, net = pair([dense(3, 4, "relu"), dense(4, 2, "leaky_relu")])
    x, t = np.random.default_rng(1).normal(size=(6, 3)), np.zeros((6, 2))
    assert fc.check_gradients(net, x, t, "half_squared_error", l2=0.1).ok
    p, layer = net.params[0], net.layers[0]
    p.W, p.b, x = 1, -2, np.array([[1.0, 1.0, 2 * np.sqrt(3) - 2]])  # where z is 0
    assert np.abs(layer.kink_distances(p, x)).max() < 1e-15


def test_ntk_of_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    _, net = pair([dense(5, 3, "tanh"), dense(3, 1)])
    x = sparse.random(30, 5, 0.3, "csr", random_state=0)
    ends = []
    for rows in (x, x.toarray()):
        twin = net.copy()
        fc.fit(twin, rows, np.ones(30), "half_squared_error", epochs=2, engine="numpy", progress=False, warn=False)
        ends.append(twin.theta)
    np.testing.assert_allclose(*ends, rtol=1e-9)


def test_ntk_in_files_and_texts(tmp_path):
    standard, ntk = pair([dense(4, 3, "selu"), dense(3, 2)])
    assert "parametrization" not in repr(standard.layers[0])  # texts of before are compared with those of now
    assert "parametrization='ntk'" in repr(ntk.layers[0])
    ntk.save(tmp_path / "net")
    assert fc.load(tmp_path / "net").layers == ntk.layers
    assert standard.layers != ntk.layers
    x = np.random.default_rng(0).normal(size=(3, 4))
    assert np.array_equal(fc.load(tmp_path / "net").predict(x), ntk.predict(x))
    assert np.array_equal(ntk.get_weights("out,in")[0], ntk.params[0].W.T)  # as it is stored
    assert "selu(x W / sqrt(4) + b)" in ntk.summary(width=120)


def test_ntk_is_explained(tmp_path):
    _, net = pair([dense(4, 2, "tanh"), dense(2, 1, bias=False)])
    found = fc.explain(net, [[1.0, 2.0, 3.0, 4.0]], [[1.0]], "half_squared_error", "adam", focus="dense_1.W[2,1]")
    steps = {str(step.equation) for step in found.trace.steps}
    assert {"z1 = x W1 / sqrt(4) + b1", "y2 = y1 W2 / sqrt(2)", "dL/dW1 = x' dL/dz1 / sqrt(4)"} <= steps
    assert found.trace.ok
    text = found.to_text()
    assert "x[0,2] / sqrt(4) *" in text
    assert "W2[1,0] / sqrt(2) *" in text
    assert r"\frac{x \, W_{1}}{\sqrt{4}}" in found.to_markdown()
    exec(compile(found.to_python(), "script", "exec"), {"__name__": "script"})


@pytest.mark.parametrize("given", ["nkt", "NTK ", None, 3, ["ntk"], np.array(["ntk", "standard"])])
def test_an_unknown_parametrization(given):
    with pytest.raises(fc.errors.UnknownNameError, match="there is no parametrization"):
        fc.Dense(2, 3, parametrization=given)
