"""The input stage for tables: codes of categories, and groups of columns with layers of their own."""

import copy
import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.program.workspace import Workspace

ENGINES = pytest.mark.parametrize("engine", [name for name, info in fc.engines().items() if info.available])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
RNG = np.random.default_rng(0)
NUMBERS, CITY, COLOUR = (
    RNG.normal(size=(40, 2)) * [10, 1e4] + [40, 3e4],
    RNG.integers(0, 5, 40),
    RNG.integers(-1, 3, 40),
)
X = np.column_stack([NUMBERS[:, 0], CITY, COLOUR, NUMBERS[:, 1]])  # age, city, colour, income
NAMES = ["age", "city", "colour", "income"]
T = RNG.normal(size=(40, 2))
LOSS = "half_squared_error"


def stage():
    """Return a stage with all that may stand in it: chains, a block, columns in another order, or read twice."""
    income = fc.Standardize.fit(NUMBERS[:, ::-1], clip=True, missing=True)
    return fc.Columns(
        [
            (["income", "age"], income),
            ("city", fc.Embedding(5, 3)),
            ("colour", [fc.OneHot(3), fc.Dense(3, 2, "tanh"), fc.Residual([fc.Dense(2, 2, "gelu")])]),
            ("city", [fc.Embedding(5, 9), fc.Dropout(0.2)]),
            ("age", [fc.Standardize(1, 40.0, 10.0), fc.Dense(1, 4, "relu"), fc.BatchNorm()]),
        ],
        names=NAMES,
    )


def network(dtype="float64", first=None):
    first = first or stage()
    return fc.Network([first, fc.Dense(first.n_out, 6, "tanh"), fc.Dense(6, 2)], dtype=dtype, seed=0)


class TestCodes:
    @ENGINES
    @DTYPES
    @pytest.mark.parametrize("of", ["i1", "u8", "f4", "f8", ">i2", "f2"])
    def test_of_any_dtype(self, of, dtype, engine):
        codes = np.array([[0], [3], [1], [3]], of)
        hot = fc.Network([fc.OneHot(4)], dtype=dtype).predict(codes, engine=engine)
        np.testing.assert_array_equal(hot, np.eye(4)[codes[:, 0].astype(int)])
        net = fc.Network([fc.Embedding(4, 6)], dtype=dtype, seed=0)
        np.testing.assert_array_equal(net.predict(codes, engine=engine), net.params[0].W[codes[:, 0].astype(int)])

    @ENGINES
    def test_an_unknown_level_has_its_place(self, engine):
        assert not fc.Network([fc.OneHot(3)]).predict([[-1]], engine=engine).any()
        net = fc.Network([fc.Embedding(3, 2)], seed=0)
        assert not net.predict([[-1]], engine=engine).any()
        net.params[0].W[3] = 5, 7
        assert net.predict([[-1]], engine=engine).tolist() == [[5, 7]]

    @ENGINES
    @DTYPES
    def test_the_gradient_of_a_level_is_the_sum_over_its_rows(self, engine, dtype):
        codes, net = np.array([[2], [0], [2], [-1], [2]]), fc.Network([fc.Embedding(4, 2)], dtype=dtype, seed=0)
        t = np.arange(10.0).reshape(5, 2)
        found = net.gradients(codes, t, LOSS, engine=engine)
        dy = (net.predict(codes) - t) / 5
        wanted = [dy[1], [0, 0], dy[0] + dy[2] + dy[4], [0, 0], dy[3]]
        np.testing.assert_allclose(found.params[0].W, wanted, rtol=0, atol=1e-6 if dtype == "float32" else 1e-15)
        assert not found.x.any()

    @ENGINES
    def test_what_training_has_not_seen_stays_as_it_is(self, engine):
        net = fc.Network([fc.Embedding(4, 2), fc.Dense(2, 1)], seed=0)
        before = net.params[0].W.copy()
        how = {"epochs": 3, "progress": False, "engine": engine}
        fc.fit(net, [[0], [2], [0]], [1.0, 2.0, 3.0], LOSS, fc.SGD(0.1), **how)
        same = (before == net.params[0].W).all(axis=1)
        assert same.tolist() == [False, True, False, True, True]

    def test_levels_tell_apart_what_numbers_cannot(self):
        """Of the levels 0, 1, 2 and 3, the odd ones: no weight of the code itself can say that."""
        codes = np.arange(80)[:, None] % 4
        for first in (fc.OneHot(4), fc.Embedding(4, 2)):
            net = fc.Network([first, fc.Dense(first.n_out, 2)], seed=0)
            fc.fit(net, codes, codes[:, 0] % 2, "softmax_cross_entropy", fc.Adam(0.1), epochs=60, progress=False)
            assert (net.predict(codes).argmax(axis=1) == codes[:, 0] % 2).all()

    @pytest.mark.parametrize("layer", [fc.OneHot(3), fc.Embedding(3, 2)], ids=["one_hot", "embedding"])
    @pytest.mark.parametrize(
        ("code", "said"),
        [
            (3.0, r"x\[1, 0\] is 3.0; .* the code of a level, a whole number from 0 to 2, or -1 for a level that is"),
            (1.5, r"x\[1, 0\] is 1.5; "),
            (-2, r"x\[1, 0\] is -2"),
            (np.nan, r"x\[1, 0\] is missing, NaN; "),
            (None, r"x\[1, 0\] is missing, NaN; "),
            (np.inf, r"x\[1, 0\] is inf"),
            (1e300, r"x\[1, 0\] is 1e\+300"),
        ],
    )
    def test_codes_that_are_none(self, layer, code, said):
        net = fc.Network([layer, fc.Dense(layer.n_out, 1)], seed=0)
        with pytest.raises(errors.DataError, match=said):
            net.predict([[1], [code]])
        with pytest.raises(errors.DataError, match=said):
            fc.fit(net, [[1], [code]], [1.0, 2.0], LOSS, progress=False)

    @pytest.mark.parametrize(
        ("wrong", "error", "said"),
        [
            (lambda: fc.OneHot(0), errors.ConfigError, "levels of OneHot must be 1 or more"),
            (lambda: fc.OneHot(2.0), errors.InputTypeError, "levels of OneHot is a whole number"),
            (lambda: fc.Embedding(3, 0), errors.ConfigError, "size of Embedding must be 1 or more"),
            (lambda: fc.Embedding(3, 2, init="normal"), errors.UnknownNameError, "normal"),
            (lambda: fc.Network([fc.Dense(2, 2), fc.OneHot(2)]), errors.ShapeError, "takes 1 columns"),
            (lambda: fc.Network([fc.Dense(2, 1), fc.Embedding(2, 2)]), errors.ConfigError, "can begin with it"),
            (lambda: fc.Network([fc.Residual([fc.Embedding(2, 1)])]), errors.ConfigError, "can begin with it"),
        ],
    )
    def test_settings_that_cannot_be(self, wrong, error, said):
        with pytest.raises(error, match=said):
            wrong()

    def test_initial_values(self):
        W = fc.Network([fc.Embedding(2000, 4)], seed=0).params[0].W
        assert W[:-1].std() == pytest.approx(1, abs=0.05)
        assert not W[-1].any()
        assert fc.Network([fc.Embedding(2000, 4, init=0.1)], seed=0).params[0].W.std() == pytest.approx(0.1, abs=0.01)

    def test_single_rows_are_checked_too(self):
        """Also where a service predicts a row at a time, for which there is a shorter way."""
        net = fc.Network([fc.OneHot(3), fc.Dense(3, 1)], dtype="float64", seed=0)
        row = np.array([[1.0]])
        for _ in range(3):
            net.predict(row)
        for wrong in (0.5, 3.0, -2.0):
            with pytest.raises(errors.DataError, match=r"x\[0, 0\] is"):
                net.predict(np.array([[wrong]]))


class TestColumns:
    @DTYPES
    def test_what_it_gives(self, dtype):
        net, x = network(dtype), X.copy()
        x[3, 3] = np.nan
        y = fc.Network([stage()], dtype=dtype, seed=0)
        y.theta = net.theta[: y.n_params]
        first, second, dense = (y.params[0][part][place] for part, place in ((1, 0), (3, 0), (4, 1)))
        z = np.nan_to_num((x[:, [3, 0]] - NUMBERS.mean(axis=0)[::-1]) / NUMBERS.std(axis=0)[::-1])
        got = y.predict(x).astype(float)
        near = {"rtol": 0, "atol": 1e-5 if dtype == "float32" else 1e-13}
        np.testing.assert_allclose(got[:, :2], z / np.sqrt(1 + (z / 3) ** 2), **near)
        np.testing.assert_array_equal(got[:, 2:4], np.isnan(x[:, [3, 0]]))
        np.testing.assert_allclose(got[:, 4:7], first.W[CITY], **near)
        np.testing.assert_allclose(got[:, 9:18], second.W[CITY], **near)
        relu = np.maximum((x[:, :1] - 40) / 10 @ dense.W + dense.b, 0)
        np.testing.assert_allclose(got[:, 18:], relu / np.sqrt(1 + 1e-5), **near)

    def test_the_parameters_are_by_part(self):
        parts = network().params[0]
        assert [[len(each) for each in part] for part in parts] == [[0], [1], [0, 2, 1], [1, 0], [0, 2, 2]]
        names = [tensor.name for tensor in network().program.tensors]
        assert names[:4] == [
            "columns_1.embedding_1.W",
            "columns_1.dense_1.W",
            "columns_1.dense_1.b",
            "columns_1.residual_1.dense_1.W",
        ]

    @pytest.mark.parametrize("train", [False, True])
    def test_all_gradients_agree_with_differences(self, train):
        net, x = network(), X.copy()
        x[3, 3] = np.nan
        net.theta += np.random.default_rng(1).normal(0, 0.1, net.n_params)
        w = np.random.default_rng(2).uniform(0.5, 2, 40)
        report = fc.check_gradients(net, x, T, LOSS, l2=0.1, sample_weight=w, train=train)
        assert report.ok, report
        assert "81 of 160 entries, in column 1, 2, 3" in str(report)  # two columns of codes, and a missing value

    @pytest.mark.parametrize("part", ["select", "concatenate", "embedding"])
    def test_a_wrong_gradient_is_found(self, part, monkeypatch):
        cls = type(next(op for op in network().program.operations if op.kind == part).layer)
        right = cls.backward

        def wrong(self, p, x, c, y, dy, g, dx):
            right(self, p, x, c, y, dy, g, dx)
            for array in [dx, *getattr(c, "d_parts", []), *(a for _, a in g)]:
                if array is not None:
                    array *= 2

        monkeypatch.setattr(cls, "backward", wrong)
        assert fc.check_gradients(network(), X, T, LOSS).wrong

    @DTYPES
    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_the_engines_agree(self, threads, dtype):
        pytest.importorskip("fullyconnected._native")
        rng, near = np.random.default_rng(0), 1e-12 if dtype == "float64" else 1e-5
        x = X[rng.integers(0, 40, 3000)]
        t = rng.normal(size=(3000, 2))
        nets = network(dtype), network(dtype)
        engines = dict(zip(("numpy", "native"), nets, strict=True))
        found = [net.gradients(x, t, LOSS, l2=0.1, engine=engine) for engine, net in engines.items()]
        np.testing.assert_allclose(found[0].theta, found[1].theta, rtol=0, atol=near * 10)
        np.testing.assert_allclose(found[0].x, found[1].x, rtol=0, atol=near)
        how = {"epochs": 2, "batch_size": 700, "l2": 0.01, "progress": False, "n_threads": threads}
        for engine, net in engines.items():
            history = fc.fit(net, x, t, LOSS, fc.AdamW(1e-3), engine=engine, **how)
            assert history.engine == engine
        np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=0, atol=near * 100)
        a, b = nets[0].predict(x, engine="numpy"), nets[0].predict(x, engine="native")
        np.testing.assert_allclose(a, b, rtol=0, atol=near * 10)

    def test_a_column_that_no_part_names_is_not_read(self):
        net = network(first=fc.Columns([([3, 0], fc.Standardize.fit(X[:, [3, 0]])), (1, fc.OneHot(5))], n_in=5))
        x = np.column_stack([X, np.full(40, np.nan)])
        x[:, 2] = np.inf
        assert np.isfinite(net.predict(x)).all()
        found = net.gradients(x, T, LOSS)
        assert not found.x[:, [1, 2, 4]].any()
        assert found.x[:, [0, 3]].any()

    def test_each_part_refuses_for_its_own_columns(self):
        net = network()
        for column, value, said in (
            (0, np.nan, r"x\[7, 0\] \(column 'age'\) is nan; "),  # another part takes it, this one not
            (1, 5, r"x\[7, 1\] \(column 'city'\) is 5.0; Embedding takes the code"),
            (2, 0.5, r"x\[7, 2\] \(column 'colour'\) is 0.5; OneHot takes"),
            (3, np.inf, r"x\[7, 3\] \(column 'income'\) is inf"),
        ):
            x = X.copy()
            x[7, column] = value
            with pytest.raises(errors.DataError, match=said):
                net.predict(x)
            with pytest.raises(errors.DataError, match="validation " + said):
                fc.fit(net, X, T, LOSS, validation=(x, T), progress=False)
        plain = network(first=fc.Columns([([0, 3], fc.Dense(2, 3, "tanh")), (1, fc.OneHot(5))], n_in=4))
        x = X.copy()
        x[5, 3] = np.nan
        with pytest.raises(errors.DataError, match=r"^x\[5, 3\] is nan; x must be finite"):
            plain.predict(x)
        x[5, 3] = 1e300
        with pytest.raises(errors.DataError, match=r"^x\[5, 3\] is 1e\+300, too large for a network of float32"):
            network("float32", plain.layers[0]).predict(x)

    def test_a_large_table_is_checked_block_by_block(self, monkeypatch):
        monkeypatch.setattr("fullyconnected.program.program.BLOCK", 6)
        net, x = network(), X.copy()
        assert np.isfinite(net.predict(x)).all()
        x[33, 1] = 7
        with pytest.raises(errors.DataError, match=r"x\[33, 1\] \(column 'city'\) is 7.0"):
            net.predict(x)

    def test_numbers_that_float32_cannot_tell_apart(self):
        first = fc.Columns([(0, fc.Standardize(1, 1e9, 0.5)), (1, fc.Embedding(2**25, 1, init="zeros"))])
        net = fc.Network([first], dtype="float32")
        net.params[0][1][0].W[2**24 + 1] = 7
        got = net.predict([[1e9 + 1, 2**24 + 1], [1e9, 2**24]])
        assert got.tolist() == [[2, 7], [0, 0]]

    @ENGINES
    def test_a_saturated_or_huge_table(self, engine):
        first = fc.Columns([(range(3), fc.Standardize(3, 0.0, 1.0, clip=True)), (3, fc.OneHot(2))])
        net = fc.Network([first, fc.Dense(5, 4, "relu"), fc.Dense(4, 1)], seed=0)
        x = np.array([[1e300, -1e300, 0, 1], [1e-300, 5, -5, 0]])
        assert np.isfinite(net.predict(x, engine=engine)).all()
        assert net.predict(x[:0], engine=engine).shape == (0, 1)

    def test_sparse_rows(self):
        sparse, net = pytest.importorskip("scipy.sparse"), network()
        np.testing.assert_array_equal(net.predict(sparse.csr_array(X)), net.predict(X))
        twin = network()
        how = {"epochs": 2, "progress": False, "engine": "numpy"}
        fc.fit(net, sparse.csr_array(X), T, LOSS, **how)
        fc.fit(twin, X, T, LOSS, **how)
        np.testing.assert_array_equal(net.theta, twin.theta)

    def test_a_step_allocates_nothing_of_batch_size_that_is_kept(self):
        net = network()
        workspace = Workspace(net.program, net.theta, net.state, 40, loss=fc.HalfSquaredError(), input_gradient=True)
        batch = workspace.bind(40)
        batch.x[...], batch.t = X, T
        first = batch.loss_and_gradient(train=False), batch.dx.copy()
        workspace.gradient.fill(np.nan)
        again = batch.loss_and_gradient(train=False), batch.dx.copy()
        assert first[0] == again[0]
        np.testing.assert_array_equal(first[1], again[1])

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_files_copies_and_pickles(self, dtype, tmp_path):
        net = network(dtype)
        net.save(tmp_path / "net")
        for twin in (fc.load(tmp_path / "net"), copy.deepcopy(net), net.copy(), pickle.loads(pickle.dumps(net))):
            assert twin.layers == net.layers
            assert twin.layers[0].names == tuple(NAMES)
            assert twin.columns.x == tuple(NAMES)
            np.testing.assert_array_equal(twin.predict(X), net.predict(X))

    def test_it_is_explained_and_every_number_is_right(self):
        net, x = network(), X[:3].copy()
        x[1, 3] = np.nan
        found = fc.explain(net, x, T[:3], LOSS, "adam", l2=0.1)
        assert found.trace.ok
        assert max(step.error for step in found.trace.steps if step.finite) < 1e-12
        exec(compile(found.to_python(), "script", "exec"), {"__name__": "script"})
        text = found.to("text")
        assert "y_part2 = x[:, 1:2]" in text
        assert "place(" in text
        for focus in ("x[0,0]", "x[1,1]", "columns_1.embedding_1.W[2,1]", "columns_1.dense_2.b[0]"):
            focused = fc.explain(net, x, T[:3], LOSS, focus=focus).to("text")
            assert "lead from" in focused or "leads from" in focused or "No path" in focused

    def test_the_slopes_along_the_paths_add_up(self):
        """The age is read by two parts, so that its paths go through both."""
        found = fc.explain(network(), X[:2], T[:2], LOSS, focus="x[0,0]")
        assert {"y_part1", "y_part5"} <= {node.split("[")[0] for path in found.focus.paths for node in path.nodes}

    def test_summary_and_pictures(self):
        net = network()
        said = net.summary(100)
        assert "x[:, [3, 0]]" in said
        assert "columns_1.concatenate" in said
        assert "columns_1" in str(fc.draw(net, X, T, LOSS))
        assert "not known" not in said


class TestWithOthers:
    def test_a_diagnosis_finds_all_of_a_step_finite(self):
        found = fc.diagnose(network("float32"), X, T, LOSS)
        assert not [finding for finding in found.findings if finding.name == "not_finite"], found

    def unset(self):
        """Return a stage whose constants and initial weights come from the training rows, in branches, too."""
        return fc.Columns(
            [
                ("city", [fc.Embedding(5, 3), fc.Dense(3, 2, init="unit_variance")]),
                (["age", "income"], [fc.Standardize(2, clip=True), fc.Dense(2, 4, "tanh", init="unit_variance")]),
                ("colour", fc.OneHot(3)),
            ],
            names=NAMES,
        )

    def test_parts_take_their_constants_from_the_rows_that_reach_them(self):
        net, w = network("float32", self.unset()), np.arange(40) % 3
        assert set(net.unset) == {"columns_1.dense_1", "columns_1.standardize_1", "columns_1.dense_2"}
        net.adapt(X, sample_weight=w)
        (_, (scaling, _)), rows = net.layers[0].parts[1], X[:, [0, 3]]
        assert scaling == fc.Standardize.fit(rows, w, clip=True)
        (embedding, first), (_, second), _ = net.params[0]
        z = (rows - np.array(scaling.mean)) / np.array(scaling.scale)
        z = z / np.sqrt(1 + (z / 3) ** 2)
        for reaching, dense in ((embedding.W[CITY], first), (z, second)):
            products = reaching @ dense.W
            second_moment = np.average((products - np.average(products, axis=0, weights=w)) ** 2, axis=0, weights=w)
            np.testing.assert_allclose(second_moment, 1, rtol=1e-4)

    def test_a_fit_does_so_once(self, tmp_path):
        net, how = network("float64", self.unset()), {"progress": False, "seed": 0, "checkpoint": tmp_path / "run"}
        fc.fit(net, X, T, LOSS, epochs=2, **how)
        stage = net.layers[0]
        assert not net.unset
        twin = network("float64", self.unset())
        fc.fit(twin, X, T, LOSS, epochs=4, **how)
        assert twin.layers[0] == stage
        whole = network("float64", self.unset())
        fc.fit(whole, X, T, LOSS, epochs=4, progress=False, seed=0)
        np.testing.assert_array_equal(whole.theta, twin.theta)

    @ENGINES
    def test_embeddings_may_be_frozen_or_learn_at_a_rate_of_their_own(self, engine):
        how = {"epochs": 2, "progress": False, "engine": engine}
        for frozen, moves in (("embedding", (False, True)), ("rest", (True, False))):
            net = network()
            before = net.copy()
            factors = fc.Factors(lr={"embedding": 1, "rest": 1} | {frozen: 0})
            fc.fit(net, X, T, LOSS, fc.AdamW(0.01), factors=factors, **how)
            changed = {}
            for tensor in net.program.tensors:
                moved = (tensor.of(net.theta) != tensor.of(before.theta)).any()
                changed.setdefault("embedding" in tensor.param.roles, set()).add(bool(moved))
            assert changed == {True: {moves[0]}, False: {moves[1]}}

    def test_the_first_matrices_of_all_branches_are_first(self):
        places = {t.name: t.param.roles[1:] for t in network().program.tensors if t.param.matrix}
        assert places == {
            "columns_1.dense_1.W": ("first",),
            "columns_1.residual_1.dense_1.W": ("hidden",),
            "columns_1.dense_2.W": ("first",),
            "dense_1.W": ("hidden",),
            "dense_2.W": ("last",),
        }


class TestScaledCodes:
    """Constants of the data may scale what OneHot gives, as RealMLP does."""

    @ENGINES
    @DTYPES
    def test_what_it_gives(self, dtype, engine):
        scaled = fc.Standardize(3, mean=[0, 0, 1], scale=[0.5, 1, 2], clip=True)
        first = fc.Columns([("colour", [fc.OneHot(3), scaled]), ("age", fc.Standardize(1, 40.0, 10.0))])
        net = fc.Network([first], dtype=dtype, seed=0)
        z = (np.eye(4)[COLOUR, :3] - [0, 0, 1]) / [0.5, 1, 2]
        wanted = np.column_stack([z / np.sqrt(1 + z**2 / 9), (X[:, 0] - 40) / 10])
        got = net.predict(X[:, [2, 0]], engine=engine)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6 if dtype == "float32" else 1e-14)
        assert fc.check_gradients(net, X[:, [2, 0]], np.zeros((40, 4)), LOSS).ok

    def test_they_adapt_and_are_the_same_on_both_engines(self):
        pytest.importorskip("fullyconnected._native")
        thetas = []
        for engine in ("numpy", "native"):
            first = fc.Columns([("colour", [fc.OneHot(3), fc.Standardize(3, robust=True, clip=True)])])
            net = fc.Network([first, fc.Dense(3, 2, "tanh"), fc.Dense(2, 2)], dtype="float64", seed=0)
            how = {"epochs": 2, "progress": False, "engine": engine}
            fc.fit(net, X[:, 2:3], T, LOSS, **how)
            codes = (COLOUR[:, None] == np.arange(3)).astype(float)
            assert net.layers[0].parts[0][1][1] == fc.Standardize.fit(codes, robust=True, clip=True)
            thetas.append(net.theta)
        np.testing.assert_allclose(*thetas, rtol=0, atol=1e-13)

    def test_it_stands_behind_one_hot_alone(self):
        with pytest.raises(errors.ConfigError, match=r"columns_1\.standardize_1 reads the rows as they"):
            fc.Network([fc.Columns([("a", [fc.Embedding(2, 2), fc.Standardize(2, 0.0, 1.0)])])])


class TestTables:
    def test_columns_are_read_by_their_names(self):
        pandas, net = pytest.importorskip("pandas"), network()
        table = pandas.DataFrame({name: X[:, i] for i, name in enumerate(NAMES)})
        other = table[["colour", "income", "age", "city"]].assign(note="text", empty=np.nan)
        np.testing.assert_array_equal(net.predict(other), net.predict(X))
        twin = network()
        how = {"epochs": 2, "progress": False}
        fc.fit(net, other, T, LOSS, validation=(other, T), **how)
        fc.fit(twin, X, T, LOSS, validation=(X, T), **how)
        np.testing.assert_array_equal(net.theta, twin.theta)
        assert net.columns.x == tuple(NAMES)
        assert net.evaluate(other, T, LOSS) == net.evaluate(X, T, LOSS)
        with pytest.raises(errors.DataError, match="x lacks 'city': the network reads the columns 'age', 'city'"):
            net.predict(other.drop(columns="city"))
        with pytest.raises(errors.InputTypeError, match=r"'city' .*text"):
            net.predict(other.assign(city="London"))
        with pytest.raises(errors.DataError, match="column 'city'"):
            net.predict(table.assign(city=9))

    def test_a_network_adapts_to_a_table_by_its_names_too(self):
        pandas = pytest.importorskip("pandas")
        first = fc.Columns([("age", fc.Standardize(1)), ("city", fc.OneHot(5))])
        net = fc.Network([first, fc.Dense(6, 1)], seed=0)
        net.adapt(pandas.DataFrame({"note": "text", "city": CITY, "age": X[:, 0]}))
        assert net.layers[0].parts[0][1][0] == fc.Standardize.fit(X[:, :1])

    def test_names_without_their_order_are_in_the_order_of_the_parts(self):
        first = fc.Columns([("b", fc.OneHot(2)), (["c", "a"], fc.Standardize(2, 0.0, 1.0)), ("b", fc.Embedding(2, 1))])
        assert first.names == ("b", "c", "a")
        assert first.n_in == 3

    def test_names_in_any_form_of_unicode(self):
        pandas = pytest.importorskip("pandas")
        net = fc.Network([fc.Columns([("\u00e9t\u00e9", fc.OneHot(2))]), fc.Dense(2, 1)], seed=0)
        assert net.predict(pandas.DataFrame({"e\u0301te\u0301": [0, 1]})).shape == (2, 1)

    def test_a_table_of_polars(self):
        polars, net = pytest.importorskip("polars"), network()
        table = polars.DataFrame({name: X[:, NAMES.index(name)] for name in reversed(NAMES)})
        np.testing.assert_array_equal(net.predict(table), net.predict(X))


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda: fc.Columns([]), errors.ConfigError, "parts of Columns are one or more; got none"),
        (lambda: fc.Columns("abc"), errors.InputTypeError, "parts of Columns are a sequence"),
        (lambda: fc.Columns([fc.OneHot(2)]), errors.InputTypeError, "part 0 of Columns is a pair such as"),
        (lambda: fc.Columns([("a", "b", "c")]), errors.InputTypeError, "part 0 of Columns is a pair"),
        (lambda: fc.Columns([("a", fc.OneHot)]), errors.InputTypeError, "layers of part 0 are a sequence"),
        (lambda: fc.Columns([("a", [fc.OneHot])]), errors.InputTypeError, r"part 0 of Columns: layer 0 .*call it"),
        (lambda: fc.Columns([("a", [])]), errors.ConfigError, "layers of part 0 are one or more"),
        (lambda: fc.Columns([([], fc.OneHot(2))]), errors.ConfigError, "columns of part 0 are one or more"),
        (lambda: fc.Columns([(1.5, fc.OneHot(2))]), errors.InputTypeError, "columns of part 0 are a sequence"),
        (lambda: fc.Columns([([True], fc.OneHot(2))]), errors.InputTypeError, "names or whole numbers; got True"),
        (lambda: fc.Columns([(-1, fc.OneHot(2))]), errors.ConfigError, "counted from 0; got -1"),
        (lambda: fc.Columns([([0, 0], fc.Dense(2, 1))]), errors.ConfigError, "names a column twice"),
        (lambda: fc.Columns([("a", fc.OneHot(2)), (1, fc.OneHot(2))]), errors.ConfigError, "these parts have both"),
        (lambda: fc.Columns([(5, fc.OneHot(2))], n_in=3), errors.ShapeError, "part 0 reads column 5, and there are 3"),
        (lambda: fc.Columns([("a", fc.OneHot(2))], names=["b"]), errors.ConfigError, "'a', and names has only b"),
        (lambda: fc.Columns([("a", fc.OneHot(2))], names=["a", "a"]), errors.ConfigError, "has a name twice"),
        (lambda: fc.Columns([("a", fc.OneHot(2))], names=[1]), errors.InputTypeError, "names of Columns are texts"),
        (lambda: fc.Columns([("a", fc.OneHot(2))], n_in=2, names=["a"]), errors.ShapeError, "n_in 2 and 1 names"),
        (lambda: fc.Columns([([0, 1], fc.OneHot(2))]), errors.ShapeError, "part 0 of Columns: layer 0, .*takes 1"),
        (lambda: fc.Columns([(0, [fc.OneHot(2), fc.Dense(3, 1)])]), errors.ShapeError, "part 0 of Columns: layer 1"),
        (
            lambda: fc.Columns([(0, fc.OneHot(2)), ([1, 0], fc.Dense(2, 1))]),
            errors.ConfigError,
            "part 1 reads column 0 as a number, and another part reads it as a code",
        ),
        (lambda: fc.Columns([(0, fc.Columns([(0, fc.OneHot(2))]))]), errors.ConfigError, "another Columns"),
        (
            lambda: fc.Network([fc.Columns([(0, [fc.Dense(1, 1), fc.OneHot(2)])])]),
            errors.ConfigError,
            "columns_1.one_hot_1 reads the rows as they are given: .* at the beginning of a part of Columns",
        ),
        (
            lambda: fc.Network([fc.Dense(2, 2), fc.Columns([([0, 1], fc.Dense(2, 1))])]),
            errors.ConfigError,
            "columns_1 reads the rows as they are given: a network can begin with it",
        ),
        (
            lambda: fc.Network([fc.Residual([fc.Columns([(0, fc.Dense(1, 1))])])]),
            errors.ConfigError,
            "residual_1.columns_1 reads the rows",
        ),
        (lambda: fc.Network([stage(), fc.Dense(4, 1)]), errors.ShapeError, "takes 4 columns"),
    ],
)
def test_stages_that_cannot_be(wrong, error, said):
    with pytest.raises(error, match=said):
        wrong()
