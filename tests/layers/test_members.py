"""Members: an ensemble in one network. Its members are networks, and what it predicts is the mean of theirs."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors, network
from fullyconnected.explanation.forms import FORMS
from fullyconnected.symbolic.evaluation import evaluate
from fullyconnected.training import members

KINDS = ("tabm", "mini", "packed")
K, ROWS, N_IN, N_OUT = 3, 12, 4, 2


def layers(n_out=N_OUT, f="tanh"):
    return [fc.Dense(N_IN, 6, f), fc.Dense(6, 5, f), fc.Dense(5, n_out)]


def everything():
    block = fc.Residual([fc.Dense(6, 6, "relu", parametrization="ntk"), fc.LayerNorm(), fc.Dropout(0.2)])
    return [
        fc.Dense(N_IN, 6, "silu"),
        fc.BatchNorm(),
        block,
        fc.Activation("gelu"),
        fc.RMSNorm(),
        fc.Dense(6, N_OUT),
        fc.Rescale(mean=[1.0, -2.0], scale=[2.0, 3.0]),
    ]


def ensemble(kind="tabm", inside=None, k=K, dtype="float64", seed=0, before=()):
    inside = layers() if inside is None else inside
    net = fc.Network([*before, fc.Members(k, inside, kind)], dtype=dtype, seed=seed)
    net.theta += np.random.default_rng(seed).normal(0, 0.2, net.n_params)
    return net


@pytest.fixture
def x(rng):
    return rng.normal(size=(ROWS, N_IN))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def targets(loss, rng, rows=ROWS, n_out=N_OUT):
    return loss.example_targets(rng, rows, n_out)


def alone(net, m):
    """Return member m of a packed ensemble as a network of its own."""
    made = fc.Network(net.layers[-1].layers, dtype=net.dtype)
    tensors = iter(net.program.tensors)
    for own in made.program.tensors:
        own.of(made.theta)[...] = next(tensors).of(net.theta)[m]
    return made


class TestMembers:
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_computes_what_the_formula_says(self, kind, x):
        net = ensemble(kind)
        p = [views for _, views in zip(net.program.operations, net.program.views(net.theta), strict=True)]
        given = net.predict(x, members=True)
        for m in range(K):
            y = x
            if kind == "mini":
                y = y * p[0].r[m]
            for i, views in enumerate(p[kind == "mini" :]):
                own = {name: view[m] if view.shape[0] == K and name != "W" else view for name, view in views}
                W = own["W"][m] if own["W"].ndim == 3 else own["W"]
                z = (y * own.get("r", 1)) @ W * own.get("s", 1) + own["b"]
                y = np.tanh(z) if i < 2 else z
            np.testing.assert_allclose(given[:, m], y, rtol=1e-12)

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_they_share(self, kind):
        shapes = {tensor.name.removeprefix("members_1."): tensor.shape for tensor in ensemble(kind).program.tensors}
        assert shapes["own_dense_3.W" if kind == "packed" else "own_dense_1.W"] == (K, 5, N_OUT)
        if kind == "tabm":
            assert [shapes[f"shared_dense_1.{letter}"] for letter in "Wrsb"] == [(4, 6), (3, 4), (3, 6), (3, 6)]
        elif kind == "mini":
            assert [shapes[name] for name in ("member_scale_1.r", "dense_1.W", "dense_1.b")] == [(3, 4), (4, 6), (6,)]
        else:
            assert [shapes[f"own_dense_1.{letter}"] for letter in "Wb"] == [(3, 4, 6), (3, 6)]

    def test_how_they_begin(self):
        net = fc.Network([fc.Members(50, [fc.Dense(40, 30, bias_init=1.0), fc.Dense(30, 30), fc.Dense(30, 2)])], seed=0)
        first, second, last = net.params[0]
        assert set(first.r.ravel().tolist()) == {-1.0, 1.0}
        assert abs(first.r.mean()) < 0.1
        assert {1.0} == {*first.s.ravel(), *second.r.ravel(), *second.s.ravel()}
        assert first.b.any()
        assert (first.b == first.b[0]).all()  # as in the reference, all members begin with the same bias
        assert len(np.unique(last.W)) == last.W.size
        normal = fc.Network([fc.Members(50, [fc.Dense(40, 3), fc.Dense(3, 2)], "mini", scale_init=1.0)], seed=0)
        assert normal.params[0][0].r.std() == pytest.approx(1, abs=0.1)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("train", [False, True])
    def test_gradients_with_everything_in_it(self, kind, train, x, rng):
        net = ensemble(kind, everything(), before=[fc.Dense(N_IN, N_IN, "tanh")])
        for weights in (None, rng.random(ROWS), rng.random((ROWS, K))):
            t = rng.normal(size=(ROWS, N_OUT))
            report = fc.check_gradients(net, x, t, "huber", l2=0.1, sample_weight=weights, train=train)
            assert report.ok, str(report)

    @pytest.mark.parametrize("kind", KINDS)
    def test_they_are_networks_beside_each_other(self, kind, x, rng):
        """What one member's own parameters are does not matter to another."""
        net = ensemble(kind, everything()[:-1])
        before = net.predict(x, members=True)
        for tensor in net.program.tensors:
            if tensor.param.stacked:
                tensor.of(net.theta)[1] += rng.normal(size=tensor.shape[1:])
        after = net.predict(x, members=True)
        assert np.array_equal(before[:, [0, 2]], after[:, [0, 2]])
        assert (before[:, 1] != after[:, 1]).all()

    @pytest.mark.parametrize("norm", [fc.LayerNorm(epsilon=0.1), fc.RMSNorm(epsilon=0.1)])
    def test_rows_are_normalised_as_in_a_network_of_ones_own(self, norm, x):
        net = ensemble("packed", [fc.Dense(N_IN, 6), norm, fc.Dense(6, 6), fc.Residual([norm]), fc.Dense(6, N_OUT)])
        given = net.predict(x, members=True)
        for m in range(K):
            np.testing.assert_allclose(given[:, m], alone(net, m).predict(x), rtol=1e-10)

    def test_masks_and_running_statistics_are_per_member(self, x, rng):
        inside = [fc.Dense(N_IN, 6), fc.Dropout(0.5), fc.BatchNorm(), fc.Dense(6, 6), fc.Dense(6, 1)]
        net = fc.Network([fc.Members(2, inside, "packed")], dtype="float64", seed=0)
        for tensor in net.program.tensors:
            tensor.of(net.theta)[1] = tensor.of(net.theta)[0]  # the members are the same
        assert np.array_equal(*net.predict(x, members=True).swapaxes(0, 1))
        fc.fit(net, x, rng.normal(size=ROWS), "huber", "sgd", epochs=1, batch_size=ROWS, progress=False, warn=False)
        running = net.program.state_tensors[0].of(net.state)
        assert running.shape == (2, 6)
        assert (running[0] != running[1]).all()  # for their masks differ

    def test_packed_members_train_as_networks_of_their_own(self, x, rng):
        net = ensemble("packed", [fc.Dense(N_IN, 6, "tanh"), fc.BatchNorm(), fc.Dense(6, N_OUT)])
        weights = rng.integers(0, 3, (ROWS, K)).astype(float)
        weights[:, 0] = 1
        t, how = rng.integers(0, N_OUT, ROWS), {"epochs": 5, "batch_size": 6, "progress": False, "warn": False}
        single = [alone(net, m) for m in range(K)]
        fc.fit(net, x, t, "softmax_cross_entropy", fc.SGD(0.1 * K), sample_weight=weights, **how)
        for m, one in enumerate(single):
            fc.fit(one, x, t, "softmax_cross_entropy", fc.SGD(0.1), sample_weight=weights[:, m], **how)
            np.testing.assert_allclose(net.predict(x, members=True)[:, m], one.predict(x), rtol=1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_only_member_is_the_network(self, kind, x, rng):
        net = ensemble(kind, k=1)
        z = net.predict(x, members=True)
        assert z.shape == (ROWS, 1, N_OUT)
        for loss in (None, "softmax_cross_entropy", "binary_cross_entropy", "poisson"):
            net.loss = loss
            assert np.array_equal(net.predict(x), z[:, 0])
        t, w = rng.integers(0, N_OUT, ROWS), rng.random(ROWS)
        one, other = (net.gradients(x, t, "softmax_cross_entropy", sample_weight=each) for each in (w, w[:, None]))
        assert np.array_equal(one.theta, other.theta)

    def test_of_a_single_row_and_a_single_dense_layer(self, rng):
        net = fc.Network([fc.Members(4, [fc.Dense(1, 1)])], dtype="float64", seed=0)
        assert [tensor.shape for tensor in net.program.tensors] == [(4, 1, 1), (4, 1)]
        assert fc.check_gradients(net, [[2.0]], [1.0], "half_squared_error").ok

    def test_what_stands_before_is_shared(self, rng):
        x = rng.normal(100, 30, (50, N_IN))
        x[::7, 1] = np.nan
        before = [fc.Standardize.fit(x, missing=True), fc.Dense(2 * N_IN, N_IN, "relu")]
        net = ensemble(before=before)
        t = rng.normal(size=(50, N_OUT))
        assert fc.check_gradients(net, x[:8], t[:8], "huber").ok
        history = fc.fit(net, x, t, "huber", epochs=30, progress=False)
        assert history.loss[-1] < history.loss[0]

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_neural_tangent_parametrization_begins_with_the_same_outputs(self, kind, x):
        nets = []
        for parametrization in ("standard", "ntk"):
            sizes = (N_IN, 6, "tanh"), (6, 2)
            inside = [fc.Dense(*size, parametrization=parametrization) for size in sizes]
            nets.append(fc.Network([fc.Members(K, inside, kind)], dtype="float64", seed=3))
        np.testing.assert_allclose(*(net.predict(x, members=True) for net in nets), rtol=1e-12)
        assert "/ sqrt(6)" in nets[1].summary(width=120)
        assert fc.check_gradients(nets[1], x, np.zeros((ROWS, 2)), "huber").ok

    def test_constants_are_taken_from_the_training_rows(self, rng):
        x, t = rng.normal(100, 30, (60, N_IN)), rng.normal(50, 20, 60)
        inside = [fc.Dense(N_IN, 6, "relu"), fc.Dropout(0.1), fc.Dense(6, 1), fc.Rescale()]
        for kind in KINDS:
            net = fc.Network([fc.Standardize(N_IN), fc.Members(K, inside, kind)], seed=0)
            assert net.unset == ("standardize_1", "members_1.rescale_1")
            with pytest.raises(errors.ConfigError, match="unset"):
                net.predict(x)
            fc.fit(net, x, t, "huber", epochs=1, sample_weight=rng.random((60, K)), progress=False, warn=False)
            assert abs(np.ravel(net.layers[-1].layers[-1].mean)[0] - 50) < 10
            assert net.layers[-1].layers[:-1] == fc.Members(K, inside, kind).layers[:-1]
            assert abs(net.predict(x).mean() - 50) < 20

    @pytest.mark.parametrize("layout", ["in,out", "out,in"])
    def test_weights_in_both_layouts(self, layout):
        net = ensemble("packed")
        weights = net.get_weights(layout)
        assert weights[0].shape == ((K, N_IN, 6) if layout == "in,out" else (K, 6, N_IN))
        other = ensemble("packed", seed=5)
        other.set_weights(weights, layout)
        assert np.array_equal(other.theta, net.theta)


PREDICTED = {
    "half_squared_error": lambda z: z,
    "poisson": np.exp,
    "binary_cross_entropy": lambda z: 1 / (1 + np.exp(-z)),
    "softmax_cross_entropy": lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
}


class TestPredictions:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", PREDICTED)
    def test_are_the_mean_of_the_members(self, name, kind, x, rng):
        loss = fc.HalfSquaredError() if name == "half_squared_error" else None
        net = ensemble(kind)
        net.loss = name
        loss = net.loss
        expected = PREDICTED[name](net.predict(x, members=True)).mean(axis=1)
        np.testing.assert_allclose(loss.predictions(net.predict(x)), expected, rtol=1e-12)
        np.testing.assert_allclose(net.predictions(x), expected, rtol=1e-12)
        t = targets(loss, rng)
        z, w = net.predict(x), rng.random(ROWS)
        found = net.evaluate(x, t, name, sample_weight=w)
        assert found.loss == pytest.approx(loss(z, t, w)[0], rel=1e-12)
        for three in (np.tile(w[:, None], (1, K)), w[:, None] * [0.5, 1.5, 1.0]):  # of which a row has the mean
            assert net.evaluate(x, t, name, sample_weight=three).loss == pytest.approx(found.loss, rel=1e-12)

    def test_the_loss_of_the_call_counts_and_not_that_of_the_training(self, x, rng):
        net = ensemble()
        net.loss = "half_squared_error"
        t = rng.integers(0, N_OUT, ROWS)
        p = PREDICTED["softmax_cross_entropy"](net.predict(x, members=True)).mean(axis=1)
        found = net.evaluate(x, t, "softmax_cross_entropy")
        assert found.loss == pytest.approx(-np.log(p[np.arange(ROWS), t]).mean(), rel=1e-12)
        assert found.metrics["accuracy"] == (p.argmax(axis=1) == t).mean()

    def test_validation_patience_and_the_best_weights_judge_the_ensemble(self, x, rng):
        net, t = ensemble(), rng.integers(0, N_OUT, ROWS)
        history = fc.fit(
            net, x, t, "softmax_cross_entropy", fc.Adam(0.1), epochs=40, batch_size=6, patience=5, progress=False,
            validation=(x, 1 - t), metrics=["accuracy"], warn=False,
        )  # fmt: skip
        assert history.stopped == "patience"
        p = net.predictions(x)
        assert min(history.validation_loss) == pytest.approx(-np.log(p[np.arange(ROWS), 1 - t]).mean(), rel=1e-12)

    def test_saturated_members(self):
        """Numbers of any size: no probability is rounded to 0 or 1 on the way."""
        z = np.array([[[1000.0], [-1000.0]], [[1000.0], [1000.0]], [[-50.0], [-50.0]], [[1e-9], [0.0]]])
        pooled = fc.BinaryCrossEntropy.link.pooled(z)
        np.testing.assert_allclose(pooled[:, 0], [0, 1000, -50, 5e-10], rtol=1e-6, atol=1e-12)
        z = np.array([[[0.0, 1000.0], [1000.0, 0.0]], [[0.0, 800.0], [0.0, 800.0]], [[-1e300, 0.0], [0.0, 0.0]]])
        pooled = fc.SoftmaxCrossEntropy.link.pooled(z)
        np.testing.assert_allclose(
            pooled, np.log([[0.5, 0.5], [1, 1], [0.25, 0.75]]) - [[0, 0], [800, 0], [0, 0]], rtol=1e-12
        )
        z = np.array([[[1000.0], [1001.0]], [[-1000.0], [-1000.0]]])
        np.testing.assert_allclose(fc.Poisson.link.pooled(z)[:, 0], [1000 + np.log((1 + np.e) / 2), -1000], rtol=1e-12)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_not_finite_outputs_stay_so(self, dtype):
        z = np.array([[[np.nan, 1.0], [0.0, 1.0]], [[np.inf, 0.0], [0.0, 0.0]]], dtype)
        for loss in (fc.HalfSquaredError, fc.Poisson, fc.BinaryCrossEntropy, fc.SoftmaxCrossEntropy):
            found = loss.link.pooled(z)
            assert found.dtype == dtype
            assert np.isnan(found[0, 0])
            assert not np.isnan(found[1, 1])

    @pytest.mark.parametrize("kind", KINDS)
    def test_many_rows_are_pooled_in_parts(self, kind, monkeypatch, rng):
        net, x = ensemble(kind), rng.normal(size=(101, N_IN))
        net.loss = "softmax_cross_entropy"
        whole, every = net.predict(x), net.predict(x, members=True)
        monkeypatch.setattr(network, "POOLED", 7 * K * N_OUT)
        np.testing.assert_allclose(net.predict(x), whole, rtol=1e-12)
        np.testing.assert_allclose(net.predict(x, members=True), every, rtol=1e-12)
        assert net.predict(x[:0]).shape == (0, N_OUT)
        assert net.predict(x[:0], members=True).shape == (0, K, N_OUT)
        np.testing.assert_allclose(net.predict(x[:1]), whole[:1], rtol=1e-12)

    def test_sparse_rows(self, rng):
        sparse = pytest.importorskip("scipy.sparse")
        x = sparse.random_array((30, N_IN), density=0.3, rng=0, format="csr")
        for before in ((), [fc.Dense(N_IN, N_IN)]):
            net = ensemble(before=before)
            for each in (False, True):
                np.testing.assert_allclose(net.predict(x, members=each), net.predict(x.toarray(), members=each))
            t = rng.normal(size=(30, N_OUT))
            histories = [
                fc.fit(net.copy(), rows, t, "huber", epochs=2, progress=False, warn=False) for rows in (x, x.toarray())
            ]
            np.testing.assert_allclose(*(history.loss for history in histories))

    def test_a_link_of_ones_own(self, x, rng):
        class Square(fc.ActivationFunction):
            name = "square_of_mine"

            def forward(self, z, c, y):
                y[...] = z**2

            def of_mean(self, z):
                return np.sqrt((z**2).mean(axis=1))

        class OfSquares(fc.Loss):
            name = "of_squares"
            link = fc.links.Link("root", "rates", Square())

            def terms(self, z, t, c, dz):
                c.e[...], dz[...] = (z - t) ** 2, 2 * (z - t)

        net = ensemble()
        net.loss = OfSquares()
        np.testing.assert_allclose(net.predictions(x), (net.predict(x, members=True) ** 2).mean(axis=1), rtol=1e-12)
        del Square.of_mean
        with pytest.raises(errors.ConfigError, match=r"OfSquares's link is 'root', .* Let Square have of_mean"):
            net.evaluate(x, rng.normal(size=(ROWS, N_OUT)), OfSquares())


class TestWeights:
    def test_a_row_of_weight_zero_is_not_there_for_its_member(self, rng, x):
        net, t = ensemble("packed"), rng.normal(size=(ROWS, N_OUT))
        weights = np.ones((ROWS, K))
        weights[3, 1] = 0
        g = net.gradients(x, t, "huber", sample_weight=weights)
        without = np.delete(np.arange(ROWS), 3)
        for m in range(K):
            rows = without if m == 1 else slice(None)
            own = alone(net, m).gradients(x[rows], t[rows], "huber")
            for mine, tensor in zip(own.params, net.program.operations, strict=True):
                for (_, a), of in zip(mine, tensor.params, strict=True):
                    np.testing.assert_allclose(of.of(g.theta)[m] * K, a, rtol=1e-9, atol=1e-12)

    def test_weights_of_classes_multiply_those_of_members(self, rng, x):
        net, t, w = ensemble(), rng.integers(0, N_OUT, ROWS), rng.random((ROWS, K))
        loss = fc.SoftmaxCrossEntropy(class_weight=[1.0, 3.0])
        one = net.gradients(x, t, loss, sample_weight=w)
        other = net.gradients(x, t, "softmax_cross_entropy", sample_weight=w * np.where(t == 1, 3, 1)[:, None])
        assert one.loss == pytest.approx(other.loss, rel=1e-12)
        np.testing.assert_allclose(one.theta, other.theta, rtol=1e-10, atol=1e-14)

    def test_a_batch_without_weight_for_a_member(self, rng, x):
        """Its loss is that of the others; without weight for any, there is no step."""
        net, t = ensemble("packed"), rng.normal(size=(ROWS, N_OUT))
        weights = np.ones((ROWS, K))
        weights[:6, 0] = 0
        z = net.predict(x, members=True)
        history = fc.fit(
            net, x, t, "huber", fc.SGD(1e-300), epochs=1, batch_size=6, shuffle=False, sample_weight=weights,
            progress=False, warn=False,
        )  # fmt: skip
        first = np.mean([fc.Huber()(z[:6, m], t[:6])[0] for m in (1, 2)])
        second = np.mean([fc.Huber()(z[6:, m], t[6:])[0] for m in range(K)])
        assert history.loss[0] == pytest.approx((4 * first + 6 * second) / 10)  # by the weight of each batch
        weights[:6] = 0
        history = fc.fit(
            net, x, t, "huber", fc.SGD(1e-300), epochs=1, batch_size=6, shuffle=False, sample_weight=weights,
            progress=False, warn=False,
        )  # fmt: skip
        assert history.loss[0] == pytest.approx(second)

    @pytest.mark.parametrize(("weights", "error", "said"), [
        (np.ones((ROWS, 2)), errors.ShapeError, r"has shape \(12, 2\); .* or one for each member, \(12, 3\)"),
        (np.ones((ROWS, K, 1)), errors.ShapeError, r"has shape \(12, 3, 1\)"),
        (np.ones((ROWS, K)) * [1, 0, 1], errors.DataError, "every sample_weight of member 1 is zero"),
        (np.ones((ROWS, K)) * [1, -1, 1], errors.DataError, r"sample_weight\[0, 1\] is -1.0; weights are 0 or more"),
        (np.ones((ROWS, K)) * [1, np.nan, 1], errors.DataError, r"sample_weight\[0, 1\] is nan"),
    ])  # fmt: skip
    def test_refused(self, weights, error, said, rng, x):
        with pytest.raises(error, match=said):
            ensemble().gradients(x, rng.normal(size=(ROWS, N_OUT)), "huber", sample_weight=weights)

    def test_refused_without_members(self, rng, x):
        with pytest.raises(errors.ShapeError, match=r"for a network that ends in fc.Members\(3, \[...\]\)"):
            fc.fit(fc.mlp([N_IN, 1]), x, x[:, 0], "huber", sample_weight=np.ones((ROWS, 3)))


class TestRefused:
    @pytest.mark.parametrize(("made", "said"), [
        (lambda m: [m, fc.Activation("tanh")], "members_1 keeps the outputs .* layers that follow it into its list"),
        (lambda m: [m, fc.Rescale(mean=[0.0] * N_OUT)], "members_1 keeps the outputs"),
        (lambda m: [fc.Residual([fc.Members(2, [fc.Dense(4, 4)])])], "residual_1.members_1 keeps the outputs"),
        (lambda m: [m, m], "takes 4 columns, and what comes before it gives 2"),
    ])  # fmt: skip
    def test_where_it_cannot_stand(self, made, said):
        with pytest.raises((errors.ConfigError, errors.ShapeError), match=said):
            fc.Network(made(fc.Members(K, layers())))

    def test_twice_in_a_network(self):
        square = fc.Members(2, [fc.Dense(4, 4)])
        with pytest.raises(errors.ConfigError, match="members_1 keeps the outputs"):
            fc.Network([square, square])

    @pytest.mark.parametrize(("given", "error", "said"), [
        ((0, [fc.Dense(2, 1)]), errors.ConfigError, "k of Members must be 1 or more; got 0"),
        ((2.5, [fc.Dense(2, 1)]), errors.InputTypeError, "k of Members is a whole number"),
        ((2, [fc.Dense(2, 1)], "tabM"), errors.ConfigError, "kind of Members is 'tabm', 'mini', 'packed'; got 'tabM'"),
        ((2, []), errors.ConfigError, "takes the list of a member's layers"),
        ((2, fc.Dense(2, 1)), errors.ConfigError, "takes the list of a member's layers"),
        ((2, ["relu"]), errors.InputTypeError, 'Members: layer 0 is .*: fc.Activation'),
        ((2, [fc.Dropout(0.1, n_in=2), fc.Dense(2, 1)]), errors.ConfigError, "Members begins with Dense"),
        ((2, [fc.Dense(2, 3), fc.Dense(2, 1)]), errors.ShapeError, "Members: layer 1, .* takes|gives"),
        ((2, [fc.Dense(2, 3), fc.LayerNorm()]), errors.ConfigError, "layer 1 of Members, .* follows the last Dense"),
        ((2, [fc.Dense(2, 3), fc.RMSNorm()]), errors.ConfigError, "layer 1 of Members, .* follows the last Dense"),
        ((2, [fc.Dense(2, 3), fc.Members(2, [fc.Dense(3, 1)])]), errors.ConfigError, "layer 1 of Members is Members"),
        ((2, [fc.Dense(2, 2), fc.Residual([fc.Rescale(2)]), fc.Dense(2, 2)]), errors.ConfigError,
         "layer 0 of layer 1 of Members is Rescale"),
    ])  # fmt: skip
    def test_what_it_cannot_be_made_of(self, given, error, said):
        with pytest.raises(error, match=said):
            fc.Members(*given)

    @pytest.mark.parametrize("setting", ["init", "bias_init"])
    def test_initial_weights_from_rows(self, setting):
        known = {"init": "unit_variance", "bias_init": "he+5"}[setting]
        with pytest.raises(errors.ConfigError, match=f"whose {setting}={known!r}".replace("+", r"\+")):
            fc.Members(2, [fc.Dense(2, 3), fc.Dense(3, 1, **{setting: known})])

    def test_settings_that_have_no_effect(self):
        with pytest.raises(errors.ConfigError, match="packed members have no scales, and so no scale_init"):
            fc.Members(2, [fc.Dense(2, 1)], "packed", scale_init="ones")
        with pytest.raises(errors.UnknownNameError, match="initializer"):
            fc.Members(2, [fc.Dense(2, 1)], scale_init="sign")

    def test_layers_of_ones_own(self, x, rng):
        class Doubles(fc.Layer):
            name = "doubles"
            n_in = n_out = 6

            def forward(self, p, x, c, y, *, train):
                c.xp.multiply(x, 2, out=y)

            def backward(self, p, x, c, y, dy, g, dx):
                if dx is not None:
                    c.xp.multiply(dy, 2, out=dx)

        inside = [fc.Dense(N_IN, 6), Doubles(), fc.Dense(6, N_OUT)]
        assert fc.check_gradients(ensemble(inside=inside), x, rng.normal(size=(ROWS, N_OUT)), "huber").ok

        class Learns(Doubles):
            def params(self):
                return {"a": fc.Param((6,))}

        with pytest.raises(errors.ConfigError, match="if it has neither parameters nor running statistics"):
            fc.Members(2, [fc.Dense(N_IN, 6), Learns(), fc.Dense(6, N_OUT)])

    @pytest.mark.parametrize("do", [
        lambda net, x, t: fc.fit(net, x, t, "hinge"),
        lambda net, x, t: net.gradients(x, t, "hinge"),
        lambda net, x, t: net.evaluate(x, t, "hinge"),
        lambda net, x, t: setattr(net, "loss", "hinge"),
    ])  # fmt: skip
    def test_a_loss_of_scores(self, do, x):
        with pytest.raises(errors.ConfigError, match=r"Hinge's outputs are scores, .* Use SoftmaxCrossEntropy"):
            do(ensemble(), x, np.zeros(ROWS, int))

    def test_members_of_a_network_that_has_none(self, x):
        with pytest.raises(errors.ConfigError, match=r"this network is none: it does not end in fc\.Members"):
            fc.mlp([N_IN, 1]).predict(x, members=True)
        with pytest.raises(errors.InputTypeError, match="members is True or False; got 3"):
            ensemble().predict(x, members=3)

    def test_a_loss_that_is_not_known_any_more(self, x, rng, tmp_path):
        class Mine(fc.HalfSquaredError):
            name = "mine"

        net = ensemble()
        fc.fit(net, x, rng.normal(size=(ROWS, N_OUT)), Mine(), epochs=1, progress=False, warn=False)
        net.save(tmp_path / "net")
        loaded = fc.load(tmp_path / "net")
        with pytest.raises(errors.ConfigError, match="says how outputs of members are averaged; but it was saved with"):
            loaded.predict(x)
        assert np.array_equal(loaded.predict(x, members=True), net.predict(x, members=True))


class TestRuns:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("how", ["file", "pickle", "copy", "deepcopy"])
    def test_files_and_copies(self, kind, how, x, tmp_path):
        net = ensemble(kind, everything(), dtype="float32")
        net.loss = "half_squared_error"
        net.state[...] = np.random.default_rng(0).random(net.state.size)
        if how == "file":
            net.save(tmp_path / "net")
            other = fc.load(tmp_path / "net")
        else:
            other = {"pickle": lambda n: pickle.loads(pickle.dumps(n)), "copy": copy.copy, "deepcopy": copy.deepcopy}[
                how
            ](net)
        assert other.layers == net.layers
        assert np.array_equal(other.predict(x), net.predict(x))
        assert np.array_equal(other.predict(x, members=True), net.predict(x, members=True))

    @pytest.mark.parametrize("average", [None, fc.EMA(0.9), fc.SWA(1)])
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_resumed_run_is_the_same_to_the_bit(self, kind, average, x, rng, tmp_path):
        t, w = rng.normal(size=(ROWS, N_OUT)), rng.random((ROWS, K))
        how = {"batch_size": 5, "sample_weight": w, "validation": (x, t), "average": average, "progress": False,
               "warn": False, "n_threads": 1}  # fmt: skip
        once, twice = (ensemble(kind, everything()) for _ in range(2))
        fc.fit(once, x, t, "huber", "adam", epochs=5, **how)
        fc.fit(twice, x, t, "huber", "adam", epochs=2, checkpoint=tmp_path / "run", **how)
        again = ensemble(kind, everything(), seed=9)
        fc.fit(again, x, t, "huber", "adam", epochs=5, checkpoint=tmp_path / "run", **how)
        assert again.theta.tobytes() == once.theta.tobytes()
        assert again.state.tobytes() == once.state.tobytes()
        with pytest.raises(errors.CheckpointError, match="would go on with"):
            fc.fit(
                again, x, t, "huber", "adam", epochs=6, checkpoint=tmp_path / "run", **{**how, "sample_weight": w[::-1]}
            )

    def test_a_solver(self, x, rng):
        net = ensemble()
        history = fc.fit(net, x, rng.normal(size=(ROWS, N_OUT)), "huber", "lbfgs", epochs=20, progress=False)
        assert history.loss[-1] < history.loss[0] / 2

    @pytest.mark.parametrize("kind", KINDS)
    def test_it_learns_and_is_diagnosed(self, kind, rng):
        x = rng.normal(size=(200, N_IN))
        t = (x[:, 0] * x[:, 1] > 0).astype(int)
        net = fc.Network(
            [fc.Members(8, [fc.Dense(N_IN, 16, "relu"), fc.Dense(16, 16, "relu"), fc.Dense(16, 2)], kind)], seed=0
        )
        history = fc.fit(
            net, x, t, "softmax_cross_entropy", fc.AdamW(0.02), epochs=60, batch_size=50, metrics=["accuracy"],
            progress=False,
        )  # fmt: skip
        assert history.metrics["accuracy"][-1] > 0.95
        told = fc.diagnose(net, x, t, "softmax_cross_entropy", history=history)
        assert not [each for each in told.findings if each.severity == "error"], str(told)

    def test_a_run_that_diverges(self, x):
        net = ensemble(dtype="float32")
        t, w = np.full((ROWS, N_OUT), 1e6), np.ones((ROWS, K))
        with pytest.raises(errors.DivergenceError):
            fc.fit(net, x, t, "half_squared_error", fc.SGD(1e6), epochs=50, sample_weight=w, progress=False, warn=False)


class TestExplained:
    @pytest.mark.parametrize("train", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_formula_is_true(self, kind, train, x, rng):
        net = ensemble(kind, everything(), before=[fc.Dense(N_IN, N_IN, "relu")])
        t, w = rng.normal(size=(4, N_OUT)), rng.random((4, K))
        found = fc.explain(net, x[:4], t, "huber", "adam", train=train, sample_weight=w)
        assert found.trace.ok
        for step in found.trace.steps:
            assert step.known
            if step.phase != "check":
                computed = np.broadcast_to(evaluate(step.formula, step.values), step.result.shape)
                np.testing.assert_allclose(computed, step.result, rtol=1e-9, atol=1e-12, err_msg=step.name)
        exec(compile(found.to_python(), "script", "exec"), {"__name__": "script"})

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_form_and_focus(self, kind, x, rng):
        net, t = ensemble(kind), rng.normal(size=(3, N_OUT))
        places = [f"{tensor.name}[{'0,' * (len(tensor.shape) - 1)}0]" for tensor in net.program.tensors]
        for form in FORMS:
            assert fc.explain(net, x[:3], t, "huber").to(form)
        for focus, form in zip([*places, "x[0,1]"], itertools.cycle(FORMS), strict=False):
            assert fc.explain(net, x[:3], t, "huber", focus=focus).to(form)
        assert "of 3 members" in str(fc.explain(net, x[:3], t, "huber"))

    def test_it_says_what_each_member_has_of_its_own(self):
        net = fc.Network([fc.Members(2, [fc.Dense(1, 1, "relu"), fc.Dense(1, 1)])], dtype="float64", seed=0)
        told = str(fc.explain(net, [[1.0]], [[1.0]], "half_squared_error"))
        for equation in ("v1 = x * r1[m]", "u1 = v1 W1", "z1 = u1 * s1[m] + b1[m]", "y2 = y1 W2[m] + b2[m]"):
            assert equation in told

    @pytest.mark.parametrize(
        ("kind", "k", "units"),
        [("tabm", 2, 4 + 2 * 3 + 2 * 1), ("packed", 3, 4 + 3 * 2 + 3), ("mini", 9, 4 + 2 * 4 * 2 + 4)],
    )
    def test_the_picture_has_the_units_of_each_member(self, kind, k, units):
        net = fc.Network([fc.Members(k, [fc.Dense(4, 3, "relu"), fc.Dense(3, 1)], kind)], seed=0)
        svg = fc.draw(net, np.ones((2, 4)))
        assert sum(svg.count(f'data-kind="{each}"') for each in ("input", "hidden", "output")) == units
        assert "own_dense" in svg
        assert f"an ensemble of {k} members" in svg

    def test_the_summary(self):
        text = ensemble("tabm", everything()).summary(width=120)
        for said in ("((x * r) W) * s + b", "x W[m] + b[m]", "(3 rows, 6)", "of each unit of each member"):
            assert said in text
        assert "-: not known" not in text


class TestBestPerMember:
    """Early stopping of each packed member is that of a network of its own."""

    HOW = {"epochs": 30, "batch_size": 6, "progress": False, "warn": False, "seed": 3}

    def case(self, rng):
        x, t = rng.normal(size=(ROWS, N_IN)), rng.integers(0, N_OUT, ROWS)
        v = rng.normal(size=(20, N_IN)), rng.integers(0, N_OUT, 20), rng.random((20, K))
        return ensemble("packed", [fc.Dense(N_IN, 6, "tanh"), fc.BatchNorm(), fc.Dense(6, N_OUT)]), x, t, v

    def test_each_member_stops_as_a_network_of_its_own(self, rng):
        net, x, t, v = self.case(rng)
        single = [alone(net, m) for m in range(K)]
        history = fc.fit(
            net,
            x,
            t,
            "softmax_cross_entropy",
            fc.SGD(0.3 * K),
            validation=v,
            patience=30,
            best_per_member=True,
            **self.HOW,
        )
        for m, one in enumerate(single):
            own = fc.fit(
                one,
                x,
                t,
                "softmax_cross_entropy",
                fc.SGD(0.3),
                validation=(*v[:2], v[2][:, m]),
                patience=30,
                **self.HOW,
            )
            assert history.best_epochs[m] == own.best_epoch
            np.testing.assert_allclose(net.predict(x, members=True)[:, m], one.predict(x), rtol=1e-9)
        assert len(set(history.best_epochs)) > 1
        assert history.best_epoch == max(history.best_epochs)
        assert f"from {min(history.best_epochs)} to {max(history.best_epochs)}" in str(history)

    def test_by_the_others_a_members_own_rows_have_no_part_in_the_choice(self, rng):
        net, x, t, v = self.case(rng)
        how = {**self.HOW, "validation": v, "patience": 30, "best_per_member": "others"}
        one, other = net.copy(), net.copy()
        history = fc.fit(one, x, t, "softmax_cross_entropy", fc.SGD(0.3 * K), **how)

        loss, curves = fc.SoftmaxCrossEntropy(), []  # validation losses of each member, by runs of so many epochs
        for epochs in range(1, 31):
            fc.fit(now := net.copy(), x, t, "softmax_cross_entropy", fc.SGD(0.3 * K), **{**self.HOW, "epochs": epochs})
            z = now.predict(v[0], members=True)
            curves.append([loss(z[:, m], v[1], v[2][:, m])[0] for m in range(K)])
        curves = np.array(curves)
        wanted = [1 + int(np.delete(curves, m, axis=1).mean(axis=1).argmin()) for m in range(K)]
        assert history.best_epochs == wanted

        w = v[2].copy()
        w[:, 0] = rng.random(20)  # another judgement of the first member
        fc.fit(other, x, t, "softmax_cross_entropy", fc.SGD(0.3 * K), **{**how, "validation": (*v[:2], w)})
        mine = [net_of.predict(x, members=True)[:, 0].tobytes() for net_of in (one, other)]
        assert mine[0] == mine[1]

    def test_a_member_that_has_diverged_does_not_count_for_the_others(self):
        losses = members.judged_by("others", np.array([1.0, np.nan, 3.0, np.inf, 5.0]))
        assert losses.tolist() == [4.0, 3.0, 3.0, 3.0, 2.0]
        assert np.isnan(members.judged_by("others", np.array([1.0, np.nan]))[0])

    def test_it_stops_when_no_member_has_improved(self, rng):
        net, x, t, v = self.case(rng)
        how = {**self.HOW, "epochs": 200}
        history = fc.fit(
            net, x, t, "softmax_cross_entropy", fc.SGD(0.3 * K), validation=v, patience=4, best_per_member=True, **how
        )
        assert history.stopped == "patience"
        assert len(history.loss) == max(history.best_epochs) + 4

    @pytest.mark.parametrize("average", [None, fc.EMA(0.5)])
    def test_a_resumed_run_is_the_same_to_the_bit(self, average, rng, tmp_path):
        net, x, t, v = self.case(rng)
        how = {**self.HOW, "validation": v, "patience": 30, "best_per_member": True, "average": average, "n_threads": 1}
        once, twice = net.copy(), net.copy()
        rule = fc.SGD(0.3 * K)
        whole = fc.fit(once, x, t, "softmax_cross_entropy", rule, **how)
        for epochs in (7, 30):
            again = twice.copy()
            how["epochs"] = epochs
            history = fc.fit(again, x, t, "softmax_cross_entropy", rule, checkpoint=tmp_path / "run", **how)
        how_else = {**how, "best_per_member": False}
        with pytest.raises(errors.CheckpointError, match="was begun with best_per_member=True"):
            fc.fit(again.copy(), x, t, "softmax_cross_entropy", rule, checkpoint=tmp_path / "run", **how_else)
        assert history.best_epochs == whole.best_epochs
        assert again.theta.tobytes() == once.theta.tobytes()
        assert again.state.tobytes() == once.state.tobytes()

    @pytest.mark.parametrize(("net", "how", "said"), [
        (lambda: fc.mlp([N_IN, 2]), {}, "of an ensemble, and this network is none"),
        (lambda: ensemble("tabm"), {}, r"members_1.shared_dense_1.W is that of all of them. .* kind=\"packed\""),
        (lambda: ensemble("packed", before=[fc.Dense(N_IN, N_IN)]), {}, "dense_1.W is that of all of them"),
        (lambda: ensemble("packed"), {"validation": None}, "without validation data there is none: set validation"),
        (lambda: ensemble("packed"), {"monitor": "accuracy"}, "monitor is 'accuracy'"),
        (lambda: ensemble("packed"), {"patience": None}, "best_per_member is for early stopping: give patience"),
        (lambda: fc.Network([fc.Members(1, [fc.Dense(N_IN, N_OUT)], "packed")]), {"best_per_member": "others"},
         "for two members or more: this ensemble has one alone"),
    ])  # fmt: skip
    def test_refused(self, net, how, said, x, rng):
        t = rng.integers(0, N_OUT, ROWS)
        how = {"validation": (x, t), "patience": 3, "best_per_member": True, **how}
        with pytest.raises(errors.ConfigError, match=said):
            fc.fit(net(), x, t, "softmax_cross_entropy", **how)

    def test_another_word_is_refused(self, rng):
        net, x, t, v = self.case(rng)
        with pytest.raises(errors.InputTypeError, match="best_per_member is True, False or \"others\"; got 'own'"):
            fc.fit(net, x, t, "softmax_cross_entropy", validation=v, patience=3, best_per_member="own")
