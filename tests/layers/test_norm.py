"""Layer, root mean square and batch normalisation against their formulas, their running statistics, and their edges."""

import numpy as np
import pytest

import fullyconnected as fc


def normed(layer, rng):
    net = fc.Network([layer], dtype=np.float64)
    net.params[0].gamma, net.params[0].beta = rng.normal(size=4), rng.normal(size=4)
    return net


def formula(x, axis, p, epsilon=1e-5):
    n = (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + epsilon)
    return p.gamma * n + p.beta


def test_layer_norm(rng):
    net = normed(fc.LayerNorm(n_in=4), rng)
    x = rng.normal(size=(6, 4)) * 5 + 3
    np.testing.assert_allclose(net.predict(x), formula(x, 1, net.params[0]), rtol=1e-12)
    for x in (np.full((2, 4), 7.0), np.zeros((2, 4))):  # a constant row has no variance
        np.testing.assert_allclose(net.predict(x), np.tile(net.params[0].beta, (2, 1)), rtol=1e-12)
    big = np.array([[1e3, -1e3, 1e3, -1e3]]) * 1e5
    assert np.isfinite(net.predict(big)).all()


def test_layer_norm_of_one_column():
    net = fc.Network([fc.LayerNorm(n_in=1), fc.Dense(1, 1)], seed=0)
    assert np.isfinite(net.predict([[3.0], [4.0]])).all()


def rooted(x, gamma, epsilon=1e-6):
    return gamma * x / np.sqrt((x * x).mean(axis=1, keepdims=True) + epsilon)


def rms_normed(rng, n=4, dtype=np.float64, **settings):
    net = fc.Network([fc.RMSNorm(n_in=n, **settings)], dtype=dtype)
    net.params[0].gamma = rng.normal(size=n)
    return net


def test_rms_norm(rng):
    net = rms_normed(rng)
    gamma, x = net.params[0].gamma, rng.normal(size=(6, 4)) * 5 + 3
    np.testing.assert_allclose(net.predict(x), rooted(x, gamma), rtol=1e-12)
    assert np.array_equal(net.predict(np.zeros((2, 4))), np.zeros((2, 4)))
    # no mean is subtracted
    np.testing.assert_allclose(net.predict(np.full((2, 4), 7.0)), np.tile(gamma, (2, 1)), rtol=1e-7)
    np.testing.assert_allclose(net.predict(1e6 * x), net.predict(1e3 * x), rtol=1e-10)
    np.testing.assert_allclose(net.predict(-x), -net.predict(x), rtol=1e-15)
    epsilon = rms_normed(rng, epsilon=0.5)
    np.testing.assert_allclose(epsilon.predict(x), rooted(x, epsilon.params[0].gamma, 0.5), rtol=1e-12)


def test_the_parameters_of_rms_norm():
    net = fc.Network([fc.Dense(2, 3), fc.RMSNorm(), fc.Dense(3, 1)], seed=0)
    found = {tensor.name: tensor.of(net.theta).tolist() for tensor in net.program.tensors if "norm" in tensor.name}
    assert found == {"rms_norm_1.gamma": [1, 1, 1]}
    (gamma,) = (tensor.param for tensor in net.program.tensors if "norm" in tensor.name)
    assert (gamma.roles, gamma.decays) == (("gain",), False)
    assert net.layers[1] == fc.RMSNorm(n_in=3, epsilon=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 7, 16, 33])
def test_rms_norm_of_rows_of_any_width(n, dtype, engine, rng):
    """Widths below, at and above those of vectors; rows of other sizes than 1, which are where rounding would show."""
    if not fc.engines()[engine].available:
        pytest.skip("the native engine was not built")
    net, x = rms_normed(rng, n, dtype), (rng.normal(size=(5, n)) * [[1e-3], [1], [10], [1e6], [0]]).astype(dtype)
    gamma, given, dy = net.params[0].gamma.astype(float), x.astype(float), rng.normal(size=(5, n))
    root = np.sqrt((given**2).mean(axis=1, keepdims=True) + 1e-6)
    y, normal, dn = rooted(given, gamma), given / root, gamma * dy
    dx = (dn - normal * (normal * dn).mean(axis=1, keepdims=True)) / root
    g = net.gradients(x, (y - 5 * dy).astype(dtype), "half_squared_error", engine=engine)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(net.predict(x), y, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(g.params[0].gamma, (dy * normal).sum(axis=0), rtol=tolerance, atol=10 * tolerance)
    if n > 1:  # of a single unit, it is what is left of a difference of equal numbers
        np.testing.assert_allclose(g.x * root, dx * root, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_rows_do_not_change_each_other(engine, rng):
    """A row that is not a number, or too large to square, spoils itself alone."""
    if not fc.engines()[engine].available:
        pytest.skip("the native engine was not built")
    for norm in (fc.LayerNorm(n_in=3), fc.RMSNorm(n_in=3)):
        net, x = fc.Network([norm], seed=0), rng.normal(size=(5, 3)).astype(np.float32)
        wanted = net.gradients(x, np.zeros((5, 3)), "half_squared_error", engine=engine).x
        x[2], x[4] = (1e30, 1, 2), (0, 0, -3e38)
        found = net.gradients(x, np.zeros((5, 3)), "half_squared_error", engine=engine).x
        assert np.array_equal(found[[0, 1, 3]], wanted[[0, 1, 3]])
        assert np.isnan(found[[2, 4]]).all()


def test_epsilon(rng):
    net = normed(fc.LayerNorm(n_in=4, epsilon=0.5), rng)
    x = rng.normal(size=(6, 4))
    np.testing.assert_allclose(net.predict(x), formula(x, 1, net.params[0], 0.5), rtol=1e-12)


def test_batch_norm_predicts_with_running_statistics(rng):
    net = normed(fc.BatchNorm(n_in=4), rng)
    x = rng.normal(size=(6, 4)) * 5 + 3
    p = net.params[0]
    np.testing.assert_allclose(net.predict(x), p.gamma * x / np.sqrt(1 + 1e-5) + p.beta, rtol=1e-12)
    together, alone = net.predict(x), np.concatenate([net.predict(row[None]) for row in x])
    np.testing.assert_allclose(together, alone, rtol=1e-14)


@pytest.mark.parametrize("momentum", [0.1, 0.5])
def test_running_statistics_follow_the_batches(rng, momentum):
    net = fc.Network([fc.BatchNorm(n_in=4, momentum=momentum), fc.Dense(4, 1)], dtype=np.float64, seed=0)
    x = rng.normal(size=(10, 4)) * 3 + 1
    fc.fit(net, x, np.zeros(10), "half_squared_error", batch_size=6, epochs=2, shuffle=False, progress=False)
    mean, variance = np.zeros(4), np.ones(4)
    for rows in (x[:6], x[6:]) * 2:  # the last batch is short; the variance is the unbiased one
        mean = (1 - momentum) * mean + momentum * rows.mean(axis=0)
        variance = (1 - momentum) * variance + momentum * rows.var(axis=0, ddof=1)
    np.testing.assert_allclose(net.state, np.concatenate([mean, variance]), rtol=1e-12)
    z = (x - mean) / np.sqrt(variance + 1e-5) * net.params[0].gamma + net.params[0].beta
    np.testing.assert_allclose(net.predict(x), z @ net.params[1].W + net.params[1].b, rtol=1e-11)


def test_gradients_do_not_move_the_running_statistics(rng):
    net = fc.Network([fc.BatchNorm(n_in=4), fc.Dense(4, 1)], dtype=np.float64, seed=0)
    state, x = net.state.copy(), rng.normal(size=(10, 4)) + 5
    in_training = net.gradients(x, np.zeros(10), "half_squared_error", train=True)
    assert np.array_equal(net.state, state)
    fixed = net.gradients(x, np.zeros(10), "half_squared_error", train=False)
    assert np.array_equal(net.state, state)
    assert in_training.loss != fixed.loss  # and yet they differ: the batch's statistics are not the running ones
    net.predict(x)
    net.evaluate(x, np.zeros(10), "half_squared_error")
    assert np.array_equal(net.state, state)


def test_a_batch_of_equal_rows_in_training():
    """Its variance is zero; nothing divides by zero."""
    net = fc.Network([fc.Dense(3, 4), fc.BatchNorm(), fc.Dense(4, 1)], seed=0)
    fc.fit(net, np.ones((5, 3)), np.arange(5.0), "half_squared_error", batch_size=2, epochs=3, progress=False)
    assert np.isfinite(net.theta).all()
    assert np.isfinite(net.state).all()


class Sizes(fc.MeanSquaredError):
    """Keeps how many rows each batch has."""

    name = "sizes"

    def __init__(self):
        object.__setattr__(self, "seen", [])

    def terms(self, z, t, c, dz):
        self.seen.append(len(z))
        super().terms(z, t, c, dz)


class Centre(fc.Layer):
    """Takes the mean over the rows away: a layer of the user's own that looks across them."""

    name, n_in, n_out, least_rows = "centre", 3, 3, 3

    def forward(self, p, x, c, y, *, train):
        y[...] = x - x.mean(axis=0)

    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            dx[...] = dy - dy.mean(axis=0)


@pytest.mark.parametrize(
    ("layer", "rows", "size", "sizes"),
    [
        (fc.BatchNorm(), 65, 32, [32, 33]),
        (fc.BatchNorm(), 33, 32, [33]),
        (fc.BatchNorm(), 66, 32, [32, 32, 2]),
        (fc.BatchNorm(), 5, 2, [2, 3]),
        (fc.BatchNorm(), 3, 2, [3]),
        (fc.Residual([fc.Residual([fc.BatchNorm()])]), 5, 4, [5]),
        (fc.LayerNorm(), 65, 32, [32, 32, 1]),
        (Centre(), 8, 3, [3, 5]),
        (Centre(), 9, 3, [3, 3, 3]),
    ],
)
def test_a_last_batch_with_too_few_rows_goes_with_the_one_before(layer, rows, size, sizes, rng):
    loss = Sizes()
    x, t = rng.normal(size=(rows, 3)), rng.normal(size=rows)
    fc.fit(fc.Network([fc.Dense(3, 3), layer, fc.Dense(3, 1)]), x, t, loss, epochs=2, batch_size=size, progress=False)
    assert loss.seen == 2 * sizes


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("rows", "size"), [(65, 32), (33, 32), (9, 4), (66, 32)])
def test_both_engines_cut_the_same_batches(rows, size, shuffle, rng):
    if not fc.engines()["native"].available:
        pytest.skip("the native engine was not built")
    x, t, w = rng.normal(size=(rows, 3)), rng.normal(size=rows), rng.integers(0, 3, rows)
    how = {"batch_size": size, "epochs": 4, "shuffle": shuffle, "sample_weight": w, "schedule": fc.CosineDecay(4)}
    layers = [fc.Dense(3, 8, "tanh"), fc.BatchNorm(), fc.Dropout(0.2), fc.Dense(8, 1)]
    nets = {engine: fc.Network(layers, dtype=np.float64, seed=0) for engine in ("numpy", "native")}
    losses = [fc.fit(net, x, t, "half_squared_error", **how, engine=e, progress=False).loss for e, net in nets.items()]
    np.testing.assert_allclose(*losses, rtol=1e-10)
    np.testing.assert_allclose(*(net.theta for net in nets.values()), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(*(net.state for net in nets.values()), rtol=1e-8)


def test_a_row_left_over_does_not_spoil_the_running_statistics(rng):
    """Its mean is itself and its variance zero: they would make a fifth of the averages, at momentum 0.2."""
    x = rng.normal(size=(65, 3)) + 5
    net = fc.Network([fc.BatchNorm(n_in=3, momentum=0.2), fc.Dense(3, 1)], dtype=np.float64, seed=0)
    fc.fit(net, x, x @ [1.0, 2, 3], "half_squared_error", fc.Adam(0.01), epochs=100, batch_size=32, progress=False)
    variance = dict(net.program.memory(net.theta, net.state)[0])["running_var"]
    assert (variance > 0.7 * x.var(axis=0)).all()


@pytest.mark.parametrize(
    ("layer", "rows", "size", "message"),
    [
        (fc.BatchNorm(), 8, 1, "batch_norm_1 combines the rows.*needs 2 or more.*got batch_size=1"),
        (fc.BatchNorm(), 1, 32, "got x of 1 row"),
        (fc.Residual([fc.BatchNorm()]), 8, 1, r"residual_1.batch_norm_1 combines"),
        (Centre(), 8, 2, "needs 3 or more.*got batch_size=2"),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "numpy"])
def test_batches_with_too_few_rows_are_refused_before_training(layer, rows, size, message, engine, rng):
    net = fc.Network([fc.Dense(3, 3), layer, fc.Dense(3, 1)], seed=0)
    x, t, before = rng.normal(size=(rows, 3)), rng.normal(size=rows), net.theta.copy()
    with pytest.raises(fc.errors.ConfigError, match=message):
        fc.fit(net, x, t, "half_squared_error", batch_size=size, engine=engine, progress=False)
    assert np.array_equal(net.theta, before)
    assert net.predict(x[:1]).shape == (1, 1)
    assert net.gradients(x[:1], t[:1], "half_squared_error", engine=engine).loss >= 0


def test_a_run_with_a_row_left_over_goes_on_with_the_same_bits(rng, tmp_path):
    x, t = rng.normal(size=(9, 3)), rng.normal(size=9)
    nets = [fc.Network([fc.Dense(3, 4), fc.BatchNorm(), fc.Dense(4, 1)], seed=0) for _ in range(2)]
    how = {"batch_size": 4, "progress": False}
    fc.fit(nets[0], x, t, "half_squared_error", epochs=5, **how)
    for epochs in (2, 5):
        fc.fit(nets[1], x, t, "half_squared_error", epochs=epochs, checkpoint=tmp_path / "run", **how)
        nets[1] = nets[1] if epochs == 5 else fc.Network(nets[1].layers, seed=0)
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()


def test_norm_parameters_do_not_decay(rng):
    net = fc.Network([fc.LayerNorm(n_in=3), fc.Dense(3, 2)], dtype=np.float64, seed=0)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    plain, with_l2 = (net.gradients(x, t, "half_squared_error", l2=l2) for l2 in (0, 0.3))
    np.testing.assert_allclose(with_l2.params[0].gamma, plain.params[0].gamma)
    np.testing.assert_allclose(with_l2.params[0].beta, plain.params[0].beta)
    np.testing.assert_allclose(with_l2.params[1].b, plain.params[1].b)
    np.testing.assert_allclose(with_l2.params[1].W, plain.params[1].W + 0.3 * net.params[1].W)
    assert with_l2.loss == pytest.approx(plain.loss + 0.15 * (net.params[1].W ** 2).sum())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: fc.BatchNorm(momentum=0), "momentum of BatchNorm must be more than 0 and less than 1"),
        (lambda: fc.BatchNorm(momentum=1), "less than 1"),
        (lambda: fc.BatchNorm(epsilon=0), "epsilon of BatchNorm must be more than 0"),
        (lambda: fc.LayerNorm(epsilon=-1e-5), "epsilon of LayerNorm must be more than 0"),
        (lambda: fc.RMSNorm(epsilon=0), "epsilon of RMSNorm must be more than 0"),
        (lambda: fc.RMSNorm(epsilon=float("nan")), "epsilon of RMSNorm"),
        (lambda: fc.RMSNorm(n_in=0), "n_in of RMSNorm must be 1 or more"),
        (lambda: fc.LayerNorm(n_in=0), "n_in of LayerNorm must be 1 or more"),
    ],
)
def test_settings_that_cannot_be(build, message):
    with pytest.raises(fc.errors.ConfigError, match=message):
        build()


def test_settings_by_other_names():
    with pytest.raises(fc.errors.InputTypeError, match=r"RMSNorm: .*'eps'.*epsilon"):
        fc.RMSNorm(n_in=4, eps=1e-5)
    with pytest.raises(fc.errors.InputTypeError, match="epsilon of RMSNorm"):
        fc.RMSNorm(epsilon=None)  # as in PyTorch, where it is that of the dtype
    with pytest.raises(AttributeError, match=r"write fc.RMSNorm\(\)"):
        fc.RMSNormalization(epsilon=1e-6)


@pytest.mark.parametrize("layer", [fc.LayerNorm(), fc.RMSNorm(), fc.BatchNorm()])
def test_float32_stays_float32(layer, rng):
    net = fc.Network([fc.Dense(3, 4), layer, fc.Dense(4, 1)], seed=0)
    g = net.gradients(rng.normal(size=(5, 3)), np.zeros(5), "half_squared_error", train=True)
    fc.fit(net, rng.normal(size=(5, 3)), np.zeros(5), "half_squared_error", epochs=1, progress=False)
    assert {a.dtype for a in (g.theta, g.x, net.theta, net.state)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("norm", [fc.LayerNorm(n_in=3), fc.RMSNorm(n_in=3)])
def test_a_row_too_large_to_square_shows_as_nan_and_not_as_zeros(norm):
    net = fc.Network([norm], seed=0)
    assert np.isnan(net.predict([[1e19, 2e19, 4e19]])).all()


def test_running_statistics_that_overflow_are_a_divergence():
    net = fc.Network([fc.BatchNorm(n_in=1), fc.Dense(1, 1)], seed=0)
    x = 1e25 * np.linspace(-1, 1, 20)[:, None]
    with pytest.raises(fc.errors.DivergenceError):
        fc.fit(net, x, np.zeros(20), "half_squared_error", epochs=1, progress=False)
    assert np.isfinite(net.state).all()
